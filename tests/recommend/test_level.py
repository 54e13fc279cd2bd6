"""Kinds can be compared once what all items of each share is gone."""

import numpy as np

from segue.core.types import Vectors
from segue.recommend.level import LEAST_OF_KIND, level


def two_kinds(n=80):
    """Books and films whose vectors are a topic and, larger, what marks their kind."""
    rng = np.random.default_rng(0)
    kinds = np.array(["book"] * n + ["movie"] * n + ["game"] * 3)
    topic = np.arange(len(kinds)) % 4
    values = rng.normal(0, 0.05, (len(kinds), 12)).astype(np.float32)
    values[np.arange(len(kinds)), topic] += 0.5
    values[kinds == "book", 4:8] += 1
    values[kinds == "movie", 8:12] += 1
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return Vectors(values, np.ones(len(kinds), dtype=bool), "toy"), kinds, topic


def test_a_book_is_nearer_to_films_of_its_topic_than_to_other_books():
    content, kinds, topic = two_kinds()

    def found(vectors):
        cosines = vectors.values @ vectors.values[0]
        cosines[0] = -1
        best = np.argsort(-cosines)[:30]
        return (topic[best] == topic[0]).mean(), (kinds[best] == "movie").mean()

    same_topic, films = found(level(content, kinds))
    assert same_topic == 1.0
    assert 0.3 < films < 0.7
    assert found(content)[1] == 0.0


def test_small_kinds_and_a_single_large_one_keep_their_vectors():
    content, kinds, _ = two_kinds()
    done = level(content, kinds)
    assert done.encoder == "toy"
    games = kinds == "game"
    assert np.array_equal(done.values[games], content.values[games])
    lengths = np.linalg.norm(done.values, axis=1)
    assert np.allclose(lengths, 1, atol=1e-4)
    alone = np.where(kinds == "book", "book", "game")
    alone[LEAST_OF_KIND - 1 + 80 :] = "image"  # 49 of the second kind
    assert level(content, alone) is content


def test_items_without_content_take_no_part():
    content, kinds, _ = two_kinds()
    present = content.present.copy()
    present[:10] = False
    values = content.values.copy()
    values[:10] = 1e6
    done = level(Vectors(values, present), kinds)
    assert np.array_equal(done.values[:10], values[:10])
    clean = level(Vectors(content.values, present), kinds)
    assert np.array_equal(done.values[10:], clean.values[10:])
