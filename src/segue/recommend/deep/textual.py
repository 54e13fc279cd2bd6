"""A pretrained text model, fine-tuned to ratings together with the user side."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segue.core.checks import at_least, within
from segue.core.errors import BadSettings, MissingExtra
from segue.core.protocols import Arrays, Trial, Watcher
from segue.core.types import Floats, Histories, Profile, Training
from segue.recommend.deep import loop, weights
from segue.recommend.deep.rating import Mixer
from segue.recommend.deep.userside import Pairs, ProfileCodes, Ratings

MODEL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
TEXTS = 32  # encoded at once where no gradient is needed
MOST = 1_024  # ratings a step learns from: a very popular item has too many for one


class TextNet(nn.Module):
    """The text's mean-pooled encoding, projected, beside profile and behaviour (x and y).

    y holds how the person rates, and the encodings of what they liked, times the item's.
    """

    def __init__(self, text: nn.Module, wide: int, dim: int, mixer: Mixer) -> None:
        super().__init__()
        self.text = text
        self.project = nn.Linear(wide, dim)
        self.mixer = mixer

    @staticmethod
    def features(people: int, dim: int) -> int:
        """How many inputs the mixer has."""
        return people + 6 + 2 * dim

    def encode(self, tokens: dict[str, Tensor]) -> Tensor:
        """(n, wide) mean over the tokens of each text."""
        states = self.text(**tokens).last_hidden_state
        mask = tokens["attention_mask"][:, :, None].to(states.dtype)
        pooled: Tensor = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return pooled

    def forward(self, pairs: Pairs, known: Tensor, here: Tensor) -> Tensor:
        """(n_pairs,) s; ``known`` encodes all items of the fit, ``here`` that of each pair."""
        item = self.project(here)
        liked = pairs.tastes(self.project(known))
        parts = (pairs.profile[pairs.user], pairs.stats, item, liked * item)
        s: Tensor = self.mixer(torch.cat(parts, dim=1))
        return s


@dataclass
class TextRatings:
    """y = sigmoid(s) over the range of the ratings, from a text model over "title. description".

    ``model`` is a local folder or a hub name, read as safetensors. Its embeddings and first
    ``frozen`` layers keep their weights (0: all are tuned). It learns at ``text_rate``, all else
    at ``rate``. ``batch`` items are read a step. Rating needs no text model: the encodings of the
    items are part of the state.
    """

    model: str = MODEL
    frozen: int = 0
    max_tokens: int = 96
    dim: int = 32
    width: int = 64
    dropout: float = 0.1
    optimiser: str = "adamw"
    rate: float = 3e-3
    text_rate: float = 5e-5
    decay: float = 0.1
    epochs: int = 3
    batch: int = 16
    seed: int = 0
    name: str = "text ratings"
    watcher: Watcher | None = field(default=None, repr=False, compare=False)
    checkpoint: Path | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "max_tokens", "dim", "width", "epochs", "batch")
        if not self.model:
            raise BadSettings("model is empty; name a folder or a hub model")
        if self.frozen < 0 or self.text_rate <= 0:
            raise BadSettings(
                f"frozen must be >= 0 and text_rate > 0, got {self.frozen} and {self.text_rate}"
            )
        within(self, 0, 1, "dropout")
        self._descent = loop.Optimiser(self.optimiser, self.rate, self.decay, fade=0.1)
        self._people, self._ratings = ProfileCodes(), Ratings()
        self._encoded = np.zeros((0, 0), dtype=np.float32)  # (n_items, wide)
        self._text: Arrays = {}  # the tuned text model, kept though rating does not need it
        self._net: TextNet | None = None

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "text_rate": trial.suggest_float("text_rate", 1e-5, 2e-4, log=True),
            "rate": trial.suggest_float("rate", 1e-3, 1e-2, log=True),
            "decay": trial.suggest_float("decay", 1e-2, 3.0, log=True),
            "epochs": trial.suggest_int("epochs", 2, 6),
        }

    def fit(self, training: Training) -> None:
        past = self._ratings.fit(training.interactions)
        self._people.fit(training.profiles)
        loop.seeded(self.seed)
        text, tokenizer = _pretrained(self.model)
        _freeze(text, self.frozen)
        net = self._made(text, int(text.config.hidden_size))
        reader = _Reader(tokenizer, self.max_tokens, _texts(training, past.n_items))
        lesson = _Lesson(
            net, reader, self._ratings, past, self._people.encode(training.profiles), self.batch
        )
        loop.teach(
            self,
            training,
            net,
            epochs=self.epochs,
            steps=lesson.steps,
            optimiser=self._descent,
            slow={"text.": self.text_rate / self.rate},
        )
        self._encoded = reader.all(net).numpy()
        self._text = weights.state_arrays(net.text, "text.")
        net.text = nn.Identity()
        self._net = net

    def _made(self, text: nn.Module, wide: int) -> TextNet:
        features = TextNet.features(self._people.width, self.dim)
        mixer = Mixer(features, self.width, 1, "tanh", self.dropout)
        return TextNet(text, wide, self.dim, mixer)

    def ratings(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        net = self._net
        if net is None:
            raise BadSettings("text ratings: not fitted; call fit or restore first")
        known = torch.from_numpy(self._encoded)
        padded = torch.cat([known, torch.zeros_like(known[:1])])  # items beyond the fit: no text

        def asked(pairs: Pairs) -> Tensor:
            s: Tensor = net(pairs, known, padded[pairs.item])
            return s

        return self._ratings.predicted(histories, self._people.encode(profiles), asked)

    def state(self) -> Arrays:
        if self._net is None:
            raise BadSettings("text ratings: not fitted; call fit or restore first")
        return {
            **weights.state_arrays(self._net),
            **self._people.state(),
            **self._ratings.state(),
            **self._text,
            "encoded": self._encoded,
        }

    def restore(self, state: Arrays) -> None:
        self._people.restore(state)
        self._ratings.restore(state)
        self._encoded = np.asarray(state["encoded"], dtype=np.float32)
        self._text = {name: array for name, array in state.items() if name.startswith("text.")}
        net = self._made(nn.Identity(), self._encoded.shape[1])
        weights.load_arrays(net, state)
        self._net = net.eval()


@dataclass(frozen=True)
class _Reader:
    """Texts of all items, as tokens."""

    tokenizer: Any
    max_tokens: int
    texts: Sequence[str]

    def tokens(self, items: Sequence[int]) -> dict[str, Tensor]:
        made = self.tokenizer(
            [self.texts[i] for i in items],
            padding=True,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        )
        return dict(made)

    def all(self, net: TextNet) -> Tensor:
        """(n_items, wide) as the net encodes them now, without gradients."""
        was = net.training
        net.eval()
        with torch.no_grad():
            parts = [
                net.encode(self.tokens(range(start, min(start + TEXTS, len(self.texts)))))
                for start in range(0, len(self.texts), TEXTS)
            ]
        net.train(was)
        return torch.cat(parts)


@dataclass(frozen=True)
class _Lesson:
    """The batches of one training: some items, and ratings of them."""

    net: TextNet
    reader: _Reader
    ratings: Ratings
    past: Histories
    profile: Floats
    batch: int

    def steps(self, epoch: int, rng: np.random.Generator) -> Iterator[Tensor]:
        # What the histories hold is read once an epoch; only the batch's items get gradients.
        known = self.reader.all(self.net)
        assert self.past.values is not None
        order = rng.permutation(np.unique(self.past.items))
        for start in range(0, len(order), self.batch):
            items = np.sort(order[start : start + self.batch])
            rows = np.flatnonzero(np.isin(self.past.items, items))
            rows = np.sort(rng.permutation(rows)[:MOST])
            users, user = np.unique(self.past.user_of[rows], return_inverse=True)
            some = self.past.take(users)
            entry = rows - (self.past.indptr[users] - some.indptr[:-1])[user]
            pairs = self.ratings.pairs(
                some, self.profile[users], user, self.past.items[rows], entry, told=True
            )
            here = self.net.encode(self.reader.tokens(items.tolist()))
            place = torch.from_numpy(np.searchsorted(items, self.past.items[rows]))
            predicted = self.ratings.placed(self.net(pairs, known, here[place]))
            target = torch.from_numpy(self.past.values[rows])
            yield ((predicted - target) ** 2).mean()


def _texts(training: Training, n_items: int) -> list[str]:
    texts = [f"{item.title}. {item.description}".strip() for item in training.catalogue.items]
    return [*texts, *[""] * (n_items - len(texts))][:n_items]


def _pretrained(model: str) -> tuple[Any, Any]:
    """The net and its tokenizer; safetensors alone, and never code of the model's own."""
    try:
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        raise MissingExtra(
            "transformers is not installed; get it with: pip install 'segue[deep]'"
        ) from error
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        text = transformers.AutoModel.from_pretrained(model, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise BadSettings(
            f"text model {model!r} cannot be loaded ({error}); give a folder with a model in "
            "safetensors form, or a hub name that this machine can reach"
        ) from error
    return text.float(), tokenizer


def _freeze(text: nn.Module, frozen: int) -> None:
    """Keep the embeddings and the first ``frozen`` layers as they are."""
    if frozen == 0:
        return
    layers = max(
        (part for part in text.modules() if isinstance(part, nn.ModuleList)), key=len, default=None
    )
    kept = {id(p) for layer in list(layers or [])[frozen:] for p in layer.parameters()}
    for parameter in text.parameters():
        parameter.requires_grad_(id(parameter) in kept)
