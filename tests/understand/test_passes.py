"""The cheap pass and the dear one, vectors of scenes, and the moment for a person."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sqlalchemy as sa

from segue.core.types import Histories, Item, Vectors
from segue.store import schema
from segue.store.catalogue import load_catalogue, put_items
from segue.store.scenes import SceneMatrix, SceneRow, load_scenes
from segue.store.vectors import load_vectors
from segue.store.workspace import Workspace
from segue.understand.cache import text_hash
from segue.understand.findings import Findings, Note
from segue.understand.moments import Taste, best_moment
from segue.understand.run import Encoders, StepPlan, understand
from segue.understand.sources import Cue
from understand.test_understand_run import BagOfWords, ByFirstByte, add_asset, num_of

LINES = {"v": ("a ship in space", "dinner at home"), "w": ("war and peace", "the end of war")}


class Listening:
    """Writes down what is said, from a table."""

    name, model = "speech", "table@1"

    def __init__(self):
        self.heard = []

    def source(self, item):
        return text_hash(item.title) if item.title in LINES else ""

    def run(self, items):
        self.heard += [item.title for item in items]
        return [
            Findings(cues=tuple(Cue(10.0 * n, 10.0 * n + 9, t) for n, t in enumerate(said)))
            for said in (LINES[item.title] for item in items)
        ]  # fmt: skip


class Summing:
    """A summary is the first line."""

    name, model = "words", "first-line@1"

    def __init__(self):
        self.read = []

    def source(self, item):
        return text_hash(repr((item.title, item.cues)))

    def run(self, items):
        self.read += [(item.title, len(item.cues)) for item in items]
        return [
            Findings(notes=(Note("summary", (i.cues or (Cue(0, 1, i.title),))[0].text),))
            for i in items
        ]


@pytest.fixture
def workspace(tmp_path):
    made = Workspace.create(tmp_path / "w")
    put_items(
        made.engine, [Item("v", "video", "v"), Item("w", "video", "w"), Item("b", "book", "b")]
    )
    for item, frames in (("v", b"cd"), ("w", b"cc")):
        for n, byte in enumerate(frames):
            add_asset(made, item, "keyframe", n, bytes([byte]) + item.encode() + b"%d" % n)
        with made.engine.begin() as connection:
            connection.execute(
                sa.insert(schema.scenes),
                [
                    {"item_num": num_of(made, item), "level": "scene", "position": n,
                     "start_s": 10.0 * n, "end_s": 10.0 * n + 10, "keyframe": n}
                    for n in range(2)
                ],
            )  # fmt: skip
    return made


def fakes():
    return Encoders(text=BagOfWords(), picture=ByFirstByte("picture"), sound=None)


def run(workspace, plan, encoders=None, **options):
    return understand(
        workspace, encoders=fakes() if encoders is None else encoders, steps=plan, **options
    )


def text_vector(workspace, item_id):
    stored = load_catalogue(workspace.engine)
    vectors = load_vectors(workspace.engine, stored.nums, "text")
    return vectors.values[stored.catalogue.row(item_id)]


def test_a_transcript_is_found_after_the_cheap_pass_and_then_read(workspace):
    listening, summing = Listening(), Summing()
    report = run(workspace, StepPlan(words=(summing,), dear=(listening,)))
    assert listening.heard == ["v", "w"]
    # Everything once without a transcript; those that got one again with it.
    assert summing.read == [("v", 0), ("w", 0), ("b", 0), ("v", 2), ("w", 2)]
    assert report.steps == {"words": 5, "speech": 2}
    assert report.texts == 5
    encoder = BagOfWords()
    heard = text_vector(workspace, "v") @ encoder.encode(["ship in space"])[0]
    assert heard > text_vector(workspace, "b") @ encoder.encode(["ship in space"])[0] + 0.2
    again = run(workspace, StepPlan(words=(summing,), dear=(listening,)))
    assert (again.steps, again.encoded, len(summing.read)) == ({"words": 0, "speech": 0}, 0, 5)


def test_when_the_time_is_up_the_cheap_pass_is_whole_and_the_rest_waits(workspace):
    listening, summing = Listening(), Summing()
    plan = StepPlan(words=(summing,), dear=(listening,))
    report = run(workspace, plan, budget_s=0.0)
    assert (report.left, listening.heard) == (2, [])
    assert report.contents == 3
    assert "2 items left" in str(report)
    assert run(workspace, plan).left == 0


def test_a_scene_is_found_by_what_is_said_in_it(workspace):
    encoders = fakes()
    run(workspace, StepPlan(dear=(Listening(),)), encoders)
    matrix = SceneMatrix.of(load_scenes(workspace.engine))
    assert len(matrix.rows) == 4
    query = encoders.text.encode(["dinner at home"])[0]
    best = matrix.rows[int(np.argmax(matrix.vectors @ query))]
    assert (best.item_num, best.start_s) == (num_of(workspace, "v"), 10.0)
    # What is gone takes its vectors with it.
    with workspace.engine.begin() as connection:
        connection.execute(
            sa.delete(schema.scenes).where(schema.scenes.c.item_num == num_of(workspace, "w"))
        )
    run(workspace, StepPlan(dear=(Listening(),)))
    with workspace.engine.connect() as connection:
        left = connection.scalars(sa.select(schema.scene_vectors.c.item_num)).all()
    assert set(left) == {num_of(workspace, "v")}


def basis(*rows):
    return np.asarray(rows, dtype=np.float32)


def history(*entries):
    items, weights = zip(*entries, strict=True) if entries else ((), ())
    return Histories(
        indptr=np.array([0, len(items)]),
        items=np.array(items, dtype=np.intp),
        weights=np.array(weights, dtype=np.float32),
        times=np.arange(len(items), dtype=np.float64),
        n_items=4,
    )


SCENES = [
    SceneRow(1, n, 5.0 * n, 5.0 * n + 5, n, vector)
    for n, vector in enumerate(basis([1, 0, 0], [0, 1, 0], [0, 0, 1]))
]
OWN = basis([0.6, 0.6, 0.5])[0]
CONTENT = Vectors(basis([1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]), np.array([1, 1, 1, 0], bool))


@pytest.mark.parametrize("row", [0, 1, 2])
def test_the_moment_is_the_scene_most_like_what_a_person_took(row):
    moment = best_moment(SCENES, OWN, Taste.of(history((row, 1.0)), CONTENT))
    assert (moment.scene.position, moment.because) == (row, row)


def test_a_moment_follows_the_newest_and_heeds_no_rejection():
    # Newest last: an old love against many newer ones.
    entries = [(0, 1.0), *itertools.repeat((1, 0.9), 3)]
    moment = best_moment(SCENES, OWN, Taste.of(history(*entries), CONTENT))
    assert (moment.scene.position, moment.because) == (1, 1)
    taste = Taste.of(history((0, -1.0), (3, 1.0), (2, 0.4)), CONTENT)
    assert taste.rows.tolist() == [2]  # a rejection and an item without content do not vote


def test_without_a_taste_the_scene_most_like_the_whole_begins():
    moment = best_moment(SCENES, basis([0.1, 0.9, 0.2])[0], Taste.of(history(), CONTENT))
    assert (moment.scene.position, moment.because) == (1, -1)
    assert best_moment(SCENES[:1], OWN, Taste.of(history(), CONTENT)) is None
