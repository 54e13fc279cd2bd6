"""The loop over steps: idempotent, resumed, patient with failures, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from segue.core.errors import UnreadableMedia
from segue.core.types import Item
from segue.datasets.fetch import Unavailable
from segue.store import schema
from segue.store.catalogue import load_catalogue, put_items
from segue.store.workspace import Workspace
from segue.understand.cache import text_hash
from segue.understand.findings import Findings, Label, Measure, Note, Print
from segue.understand.sources import Cue, item_sources
from segue.understand.steps import TRIES, Steps, failures, here


class Counting:
    """Counts the words of titles; refuses what it was told to refuse."""

    name = "counting"

    def __init__(self, refuse=(), model="count@1", error=None):
        self.model = model
        self.refuse = set(refuse)
        self.error = error or UnreadableMedia("a title", "cannot be counted")
        self.seen = []

    def source(self, item):
        return "" if item.title == "nothing" else text_hash(item.title)

    def run(self, items):
        if any(item.title in self.refuse for item in items):
            raise self.error
        self.seen += [item.title for item in items]
        return [self.findings(item) for item in items]

    @staticmethod
    def findings(item):
        words = item.title.split()
        return Findings(
            labels=(Label("keyword", words[0], 1.0), Label("keyword", words[0], 0.5, 1.0, 2.0)),
            measures=(Measure("words", len(words)),),
            cues=(Cue(0.0, 1.0, item.title),),
            notes=(Note("summary", item.title, "en"),),
            prints=(Print("text", words[0].encode()),),
            language="de",
            said="counted by hand" if "odd" in words else "",
        )


@pytest.fixture
def workspace(tmp_path):
    opened = Workspace.create(tmp_path / "w")
    titles = ("one", "two words", "an odd one", "nothing", "four words in here", "five")
    put_items(
        opened.engine,
        [Item(t, "book", t, language="en" if t == "five" else None) for t in titles],
    )
    return opened


def sources(workspace):
    return item_sources(workspace.engine, workspace.derived)


def rows(workspace, table, column):
    query = sa.select(schema.items.c.id, table.c[column]).join_from(schema.items, table)
    with workspace.engine.connect() as connection:
        return sorted((row[0], row[1]) for row in connection.execute(query))


def test_findings_are_kept_and_a_second_run_does_nothing(workspace):
    step, loop = Counting(), Steps(workspace.engine)
    ran = loop.run(step, sources(workspace))
    assert (ran.done, ran.failed, ran.said) == (5, {}, {"counted by hand": 1})
    assert rows(workspace, schema.measures, "value") == [
        ("an odd one", 3.0), ("five", 1.0), ("four words in here", 4.0), ("one", 1.0),
        ("two words", 2.0),
    ]  # fmt: skip
    assert ("one", "one") in rows(workspace, schema.cues, "text")
    assert len(rows(workspace, schema.annotations, "label")) == 10
    assert loop.run(step, sources(workspace)).done == 0
    assert len(step.seen) == 5
    assert sources(workspace)[0].cues == (Cue(0.0, 1.0, "one"),)
    # A language is learned, never overruled.
    languages = {i.id: i.language for i in load_catalogue(workspace.engine).catalogue.items}
    assert (languages["one"], languages["five"]) == ("de", "en")


def test_another_model_or_matter_replaces_what_was_said(workspace):
    loop = Steps(workspace.engine)
    loop.run(Counting(), sources(workspace))
    assert loop.run(Counting(model="count@2"), sources(workspace)).done == 5
    assert {m for _, m in rows(workspace, schema.notes, "model")} == {"count@2"}
    put_items(workspace.engine, [Item("five", "book", "five and more")])
    assert loop.run(Counting(model="count@2"), sources(workspace)).done == 1
    assert ("five", "five and more") in rows(workspace, schema.notes, "text")
    put_items(workspace.engine, [Item("five", "book", "nothing")])
    assert loop.run(Counting(model="count@2"), sources(workspace)).done == 0
    for table in (schema.annotations, schema.measures, schema.cues, schema.notes, schema.prints):
        assert "five" not in {i for i, _ in rows(workspace, table, "model")}


@pytest.mark.parametrize("error", [None, KeyError("odd")])
def test_a_failure_costs_its_own_item_and_is_tried_again(workspace, error):
    step, loop = Counting(refuse=["two words"], error=error), Steps(workspace.engine)
    ran = loop.run(step, sources(workspace))
    assert ran.done == 4
    assert list(ran.failed) == [2]
    for _ in range(TRIES + 2):
        loop.run(step, sources(workspace))
    (letter,) = failures(workspace.engine)
    assert letter[:3] == ("two words", "counting", TRIES)
    assert ("cannot be counted" if error is None else "KeyError") in letter[3]
    # Tried enough; new matter or another model begins anew.
    step.refuse.clear()
    assert loop.run(step, sources(workspace)).done == 0
    assert loop.run(Counting(model="count@2"), sources(workspace)).done == 5
    assert failures(workspace.engine) == []


def test_a_missing_model_is_no_failure_of_the_items(workspace):
    step = Counting(refuse=["one"], error=Unavailable("run: segue data get counting"))
    loop = Steps(workspace.engine)
    ran = loop.run(step, sources(workspace))
    assert ran.said["run: segue data get counting"] >= 1
    assert failures(workspace.engine) == []
    step.refuse.clear()
    loop.run(step, sources(workspace))
    assert len(step.seen) == 5


def test_a_killed_run_keeps_what_it_had_done(workspace):
    def killed(tasks):
        yield from here([next(tasks)])
        raise KeyboardInterrupt

    step = Counting()
    with pytest.raises(KeyboardInterrupt):
        Steps(workspace.engine, killed).run(step, sources(workspace))
    before = len(step.seen)
    assert 0 < before < 5
    ran = Steps(workspace.engine).run(step, sources(workspace))
    assert (ran.done, len(step.seen)) == (5 - before, 5)


def test_no_batch_begins_when_the_time_is_used_up(workspace):
    loop, looks = Steps(workspace.engine), iter((True, False, False))
    ran = loop.run(Counting(), sources(workspace), in_time=lambda: next(looks))
    assert ran.done + ran.left == 5
    assert ran.left > 0
    assert loop.run(Counting(), sources(workspace)).done == ran.left


def test_what_stands_in_for_better_findings_is_tried_again(workspace):
    class StandIn(Counting):
        absent = True

        def findings(self, item):
            return replace(Counting.findings(item), again=self.absent)

    step, loop = StandIn(), Steps(workspace.engine)
    assert loop.run(step, sources(workspace)).done == 5
    assert len(rows(workspace, schema.notes, "text")) == 5  # kept until then
    step.absent = False
    assert loop.run(step, sources(workspace)).done == 5
    assert loop.run(step, sources(workspace)).done == 0
