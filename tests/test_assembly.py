"""Settings and content as the composition root hands them out."""

import numpy as np
import pytest

from segue import assembly
from segue.core.errors import BadSettings, NotFound
from segue.core.types import Item
from segue.store import catalogue
from segue.store.vectors import VectorRow, put_vectors, snapshot
from segue.store.workspace import SETTINGS_FILE, Workspace
from segue.understand.encoders import registry
from understand.test_understand_run import BagOfWords


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


def put_beside(workspace, num, vector, encoder):
    row = VectorRow(num, "content", encoder, "h", np.asarray(vector, np.float32))
    with workspace.engine.begin() as connection:
        put_vectors(connection, [row])


def test_the_encoder_that_is_named_is_given_whatever_stands_beside_it(workspace):
    nums = catalogue.load_catalogue(workspace.engine).nums
    for encoder, vector in (("old@1", [1, 0]), ("new@1", [0, 1])):
        put_beside(workspace, 1, vector, encoder)
    put_beside(workspace, 2, [1, 0], "old@1")
    snapshot(workspace)
    assert assembly.load_content(workspace, nums).encoder == "old@1"
    new = assembly.load_content(workspace, nums, "new@1")
    assert (new.encoder, new.present.tolist(), new.values[0].tolist()) == (
        "new@1", [True, False], [0.0, 1.0],
    )  # fmt: skip
    # A name that nothing was made under is no reason to have no content.
    assert assembly.load_content(workspace, nums, "gone@1").encoder == "old@1"


def test_reembed_stands_beside_what_serves_until_a_model_uses_it(workspace, monkeypatch):
    monkeypatch.setitem(registry.ENCODERS, "words", "understand.test_understand_run:BagOfWords")
    for num in (1, 2):
        put_beside(workspace, num, [1, 0], "old@1")
    (workspace.root / SETTINGS_FILE).write_text("[understand]\npictures='none'\nsound='none'\n")
    monkeypatch.setattr(assembly, "champion_encoder", lambda _workspace: "old@1")
    state = assembly.reembed(workspace, "words")
    assert state["made"].endswith(BagOfWords.name)
    assert state["items"] == {"old@1": 2, state["made"]: 2}
    assert assembly.retire_encoders(workspace) == 0  # the old one serves
    (workspace.root / SETTINGS_FILE).write_text(
        "[understand]\ntext = 'words'\npictures='none'\nsound='none'\n"
    )
    nums = catalogue.load_catalogue(workspace.engine).nums
    assert assembly.load_content(workspace, nums, "old@1").encoder == "old@1"
    monkeypatch.setattr(assembly, "champion_encoder", lambda _workspace: state["made"])
    assert assembly.retire_encoders(workspace) == 2
    assert assembly.load_content(workspace, nums).encoder == state["made"]
