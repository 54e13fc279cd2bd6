"""Settings become steps; an engine gives the same findings as this process; copies are kept."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa

from segue.config import LargeModel, Understanding
from segue.core.errors import BadSettings, NotFound
from segue.core.types import Item
from segue.store import schema
from segue.store.catalogue import put_items
from segue.store.workspace import Workspace
from segue.understand.findings import Findings, Print
from segue.understand.sight.phash import HashTrack
from segue.understand.steps import failures, put
from segue.understanding import (
    Chosen,
    encoders_of,
    plan_of,
    propose_copies,
    understand_workspace,
)

TEXTS = {
    "en": "The ship crosses the dark sea at night while the old captain waits for the storm.",
    "de": "Das Schiff fährt in der Nacht über das dunkle Meer, und der alte Kapitän wartet.",
    "zh": "夜里,船在黑暗的大海上航行,老船长等待着暴风雨的到来。",
}


@pytest.fixture
def workspace(tmp_path):
    made = Workspace.create(tmp_path / "w")
    put_items(
        made.engine, [Item(id=k, kind="book", title=k, description=t) for k, t in TEXTS.items()]
    )
    (made.root / "segue.toml").write_text(
        "[understand]\npictures = 'none'\nsound = 'none'\nonly = ['language']\n"
    )
    return made


def languages(workspace):
    with workspace.engine.connect() as connection:
        return dict(connection.execute(sa.select(schema.items.c.id, schema.items.c.language)).all())


def steps_done(workspace):
    d = schema.done.c
    with workspace.engine.connect() as connection:
        return sorted(
            connection.execute(sa.select(d.item_num, d.step, d.model, d.source_hash)).all()
        )


def names(plan):
    return [step.name for step in (*plan.cheap, *plan.words, *plan.dear)]


def test_settings_choose_the_steps():
    every = names(plan_of(Chosen()))
    assert len(every) == len(set(every))
    silent = Understanding(pictures="none", sound="none", speech="none", skip=("topics",))
    kept = names(plan_of(Chosen(silent)))
    assert set(every) - set(kept) == {
        "look", "picture-print", "attributes", "sound-timeline", "sound-print", "music", "speech",
        "screen-text", "topics",
    }  # fmt: skip
    asked = plan_of(Chosen(silent, LargeModel(url="http://127.0.0.1:9/v1", model="m")))
    assert [step.name for step in asked.dear] == ["summary", "tags"]
    assert "summary" not in [step.name for step in asked.words]  # one step a name


@pytest.mark.parametrize("key", ["skip", "only"])
def test_an_unknown_step_is_refused_with_those_that_there_are(key):
    with pytest.raises(BadSettings, match=f"{key}: no step is named 'topcis'; there are: .*topics"):
        plan_of(Chosen(Understanding(**{key: ("topcis",)})))


def test_an_unknown_encoder_is_refused():
    with pytest.raises(NotFound, match="use-multilingual"):
        encoders_of(Understanding(text="use-multilingul"))
    with pytest.raises(BadSettings, match="pictures = 'yamnet' is no classifier of pictures"):
        encoders_of(Understanding(pictures="yamnet"))


def test_all_cores_find_what_this_process_finds(workspace, tmp_path):
    report = understand_workspace(workspace, engine="cores", workers=1)
    assert report.steps == {"language": 3}
    assert languages(workspace) == {"en": "en", "de": "de", "zh": "zh"}
    other = Workspace.create(tmp_path / "other")
    put_items(
        other.engine, [Item(id=k, kind="book", title=k, description=t) for k, t in TEXTS.items()]
    )
    (other.root / "segue.toml").write_text((workspace.root / "segue.toml").read_text())
    understand_workspace(other)
    assert steps_done(other) == steps_done(workspace)
    assert understand_workspace(workspace, engine="cores", workers=1).steps == {"language": 0}
    assert failures(workspace.engine) == []


def test_a_decision_about_a_copy_stays(workspace):
    hashes = np.random.default_rng(0).integers(2**63, 2**64, 20, dtype=np.uint64)
    seen = HashTrack(np.arange(20.0), hashes).to_bytes()
    with workspace.engine.begin() as connection:
        for num in (1, 2):
            put(connection, num, "p", Findings(prints=(Print("picture", seen),)))
    assert propose_copies(workspace) == 1
    assert propose_copies(workspace) == 1  # proposed anew, not twice
    with workspace.engine.begin() as connection:
        connection.execute(sa.update(schema.copies).values(status="different"))
    assert propose_copies(workspace) == 0
    with workspace.engine.connect() as connection:
        rows = connection.execute(sa.select(schema.copies.c.status)).all()
    assert rows == [("different",)]
