"""The text rater over a tiny BERT that the test makes: no network, no download."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from contracts import rater_contract
from contracts.rater_contract import RaterContract, parity_ratings, ratings_of
from segue.core.errors import BadSettings
from segue.core.types import Catalogue, Item, Profile, Training
from segue.recommend.deep.textual import TextRatings, _freeze, _pretrained
from segue.recommend.registry import make_rater

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "film", "calm", "loud"]
WIDE = 16


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a random two-layer BERT and its tokenizer."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    vocabulary = {word: n for n, word in enumerate([*WORDS, *map(str, range(20))])}
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDE,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def quick(bert: str, **settings: object) -> TextRatings:
    kept = {"dim": 8, "width": 16, "epochs": 1, "batch": 4, "max_tokens": 16}
    return TextRatings(bert, **{**kept, **settings})


def worded(extra: int = 0) -> Training:
    """Even items are calm, odd ones loud: the words tell. ``extra`` items have no rating."""
    training = parity_ratings()
    n = training.interactions.n_items + extra
    items = tuple(
        Item(str(i), "movie", "film", description=("calm", "loud")[i % 2]) for i in range(n)
    )
    return replace(
        training, catalogue=Catalogue(items), interactions=replace(training.interactions, n_items=n)
    )


class TestTextRatings(RaterContract):
    rater = "text ratings"

    @pytest.fixture(autouse=True)
    def tiny(self, bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = {"model": bert, "batch": 4, "epochs": 12, "rate": 1e-2, "text_rate": 5e-3}
        made = functools.partial(make_rater, **settings)
        monkeypatch.setattr(rater_contract, "make_rater", made)
        monkeypatch.setattr(rater_contract, "parity_ratings", worded)


def test_items_that_nobody_rated_are_known_by_their_words(bert: str) -> None:
    model = quick(bert, epochs=12, rate=1e-2, text_rate=5e-3)
    model.fit(worded(extra=2))
    calm_lover = ratings_of({0: 5.0, 1: 1.0, 2: 5.0, 3: 1.0}, 22)
    out = model.ratings(calm_lover, [Profile()], 0.0)[0]
    assert out[20] > out[21] + 0.5


def test_the_text_model_itself_is_tuned_except_what_is_frozen(bert: str) -> None:
    before, _ = _pretrained(bert)
    for frozen, moved in ((0, {True}), (1, {False, True}), (2, {False})):
        model = quick(bert, frozen=frozen)
        model.fit(parity_ratings())
        state, old = model.state(), before.state_dict()
        layers = [n for n in old if "query.weight" in n]
        change = {bool((state[f"text.{n}"] != old[n].numpy()).any()) for n in layers}
        assert change == moved
        embeddings = "embeddings.word_embeddings.weight"
        same = bool((state[f"text.{embeddings}"] == old[embeddings].numpy()).all())
        assert same == (frozen > 0)


def test_freezing_counts_the_layers(bert: str) -> None:
    text, _ = _pretrained(bert)
    _freeze(text, 1)
    learning = {n for n, p in text.named_parameters() if p.requires_grad}
    assert learning
    assert all(n.startswith("encoder.layer.1.") for n in learning)


def test_rating_needs_no_text_model(bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = quick(bert)
    model.fit(parity_ratings())
    other = TextRatings("nowhere", dim=8, width=16)
    other.restore({name: array.copy() for name, array in model.state().items()})
    history = ratings_of({0: 5.0})
    np.testing.assert_array_equal(
        model.ratings(history, [Profile()], 0.0), other.ratings(history, [Profile()], 0.0)
    )
    assert model.state()["encoded"].shape == (20, WIDE)
    assert other.state().keys() == model.state().keys()


def test_a_seed_fixes_the_result(bert: str) -> None:
    first, second = quick(bert), quick(bert)
    for model in (first, second):
        model.fit(parity_ratings())
    for name, array in first.state().items():
        np.testing.assert_array_equal(array, second.state()[name])


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be loaded"):
        quick(str(tmp_path)).fit(parity_ratings())
    for bad in ({"frozen": -1}, {"text_rate": 0.0}, {"model": ""}, {"max_tokens": 0}):
        with pytest.raises(BadSettings):
            TextRatings(**bad)
