"""Settings and content as the composition root hands them out."""

import numpy as np
import pytest

from segue import assembly
from segue.core.errors import BadSettings, NotFound
from segue.core.types import Item
from segue.store import catalogue
from segue.store.vectors import VectorRow, put_vectors, snapshot
from segue.store.workspace import SETTINGS_FILE, Workspace


@pytest.fixture
def workspace(tmp_path):
    made = Workspace.create(tmp_path)
    catalogue.put_items(made.engine, [Item("a", "movie", "A"), Item("b", "movie", "B")])
    yield made
    made.engine.dispose()


def put(workspace, num, values):
    with workspace.engine.begin() as connection:
        row = VectorRow(num, "content", "e@1", "0" * 64, np.array(values, dtype=np.float32))
        put_vectors(connection, [row])


def test_content_comes_from_the_snapshot_while_it_covers_the_catalogue(workspace):
    nums = catalogue.load_catalogue(workspace.engine).nums
    assert assembly.load_content(workspace, nums) is None
    put(workspace, 1, [1, 0])
    snapshot(workspace)
    mapped = assembly.load_content(workspace, nums)
    assert isinstance(mapped.values, np.memmap)
    assert mapped.present.tolist() == [True, False]
    catalogue.put_items(workspace.engine, [Item("c", "movie", "C")])
    put(workspace, 3, [0, 1])
    grown = assembly.load_content(workspace, catalogue.load_catalogue(workspace.engine).nums)
    assert grown.present.tolist() == [True, False, True]


def test_an_unknown_setting_is_refused_with_the_nearest_known_one(workspace):
    (workspace.root / SETTINGS_FILE).write_text("sed = 3\n")
    with pytest.raises(BadSettings, match="did you mean 'seed'"):
        assembly.read_settings(workspace)
    (workspace.root / SETTINGS_FILE).write_text("seed = 3\n")
    assert assembly.read_settings(workspace).seed == 3


def test_without_events_training_says_what_to_do(workspace):
    with pytest.raises(NotFound, match="segue import events"):
        assembly.load_training(workspace)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("understand = 3", "write \\[understand\\] on a line of its own"),
        ("[understand]\nspech = 'none'", "did you mean 'speech'"),
        ("[understand]\nspeech = true", "speech must be text in quotes, got True"),
        ("[understand]\nskip = 'ocr'", "skip must be a list of texts"),
        ("[understand]\nchinese = 'both'", "chinese must be one of simplified"),
        ("[llm]\ntimeout_s = 'long'", "timeout_s must be a number"),
        ("[llm]\nlocal = 1", "local must be true or false"),
    ],
)
def test_a_wrong_value_names_its_section_and_what_it_must_be(workspace, text, told):
    (workspace.root / SETTINGS_FILE).write_text(text)
    with pytest.raises(BadSettings, match=told):
        assembly.read_settings(workspace)


def test_sections_are_read(workspace):
    (workspace.root / SETTINGS_FILE).write_text(
        "seed = 1\n[understand]\nspeech = 'none'\nskip = ['ocr']\n[llm]\ntimeout_s = 5\n"
    )
    read = assembly.read_settings(workspace)
    assert (read.seed, read.understand.speech, read.understand.skip) == (1, "none", ("ocr",))
    assert read.llm.timeout_s == 5.0
