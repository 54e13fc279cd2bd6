"""The small model itself, in this process and as the real server that it is."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from segue.core.errors import BadSettings
from segue.datasets import fetch as fetching
from segue.datasets.fetch import Unavailable, get, packages
from segue.understand.findings import Findings
from segue.understand.remote.chat import Chat
from segue.understand.remote.endpoint import Endpoint, NoAnswer, Remote
from segue.understand.remote.local import QWEN, LocalModel
from segue.understand.remote.steps import LargeSummary, LargeTags, Vocabulary
from segue.understand.sources import ItemSource

FILM = ItemSource(
    1, "", (), (), kind="film", title="Shallow Water",
    description="Three divers are trapped in a flooded cave with a killer. While the water rises "
    "and the lamps go out one by one, a monster that nobody believed in hunts them in the dark.",
)  # fmt: skip


class Nothing:
    """A local step that finds nothing."""

    name = model = "nothing"

    def source(self, _item):
        return "nothing"

    def run(self, items):
        return [Findings() for _ in items]


def test_without_llama_cpp_it_falls_back_and_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    (found,) = LargeSummary(Chat(LocalModel()), Nothing()).run([FILM])
    assert found.notes == ()
    assert "pip install 'segue[llm]'" in found.said


def test_a_model_file_that_is_not_there_falls_back(tmp_path):
    pytest.importorskip("xllamacpp")
    model = LocalModel(str(tmp_path / "absent.gguf"))
    (answer,) = model.post("chat/completions", [{"messages": []}])
    assert isinstance(answer, NoAnswer)
    assert "no model file" in str(answer)


def test_it_knows_chat_only_and_refuses_odd_settings():
    (answer,) = LocalModel().post("embeddings", [{}])
    assert isinstance(answer, NoAnswer)
    assert answer.status == 404
    for wrong in ({"threads": 0}, {"context_tokens": 10}):
        with pytest.raises(BadSettings):
            LocalModel(**wrong)


def test_its_name_holds_the_version_or_a_hash(tmp_path):
    assert LocalModel().name == f"{QWEN}@{packages()[QWEN].version}"
    names = set()
    for data in (b"one", b"two"):
        (tmp_path / "mine.gguf").write_bytes(data)
        names.add(LocalModel(str(tmp_path / "mine.gguf")).name)
    assert len(names) == 2


def test_pieces_are_joined_in_order(tmp_path):
    package = packages()[QWEN]
    for number in (2, 1, 3):
        (tmp_path / f"part0{number}.bin").write_bytes(b"%d" % number)
    found = [path.read_bytes() for path in fetching._pieces(package, tmp_path)]
    assert found == [b"1", b"2", b"3"]


@pytest.fixture(scope="module")
def model():
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs segue[llm]")
    try:
        get(QWEN)
    except Unavailable as error:
        pytest.skip(str(error))
    return LocalModel(context_tokens=1_024)


@pytest.mark.slow
def test_it_answers_in_form(model):
    genres = Vocabulary(genre=("horror", "comedy", "western"), mood=(), setting=(), topic=())
    (found,) = LargeTags(Chat(model), vocabulary=genres).run([FILM])
    assert found.said == ""
    assert {label.label for label in found.labels} <= {"horror", "comedy", "western"}
    (summary,) = LargeSummary(Chat(model), Nothing()).run([FILM])
    assert summary.said or summary.notes[0].generated
    (answer,) = model.post("chat/completions", [{"messages": [
        {"role": "user", "content": "word " * 3_000}]}])  # fmt: skip
    assert isinstance(answer, NoAnswer)
    assert "context size" in str(answer)


@pytest.mark.slow
def test_the_same_over_http(model, monkeypatch):
    monkeypatch.setenv("LLAMA_KEY", model.key)
    genres = Vocabulary(genre=("horror", "comedy", "western"), mood=(), setting=(), topic=())
    endpoint = Endpoint(model.url(), "qwen", key_variable="LLAMA_KEY", timeout_s=120, tries=1)
    there = LargeTags(Chat(Remote(endpoint)), vocabulary=genres).run([FILM])
    assert there == LargeTags(Chat(model), vocabulary=genres).run([FILM])
    assert there[0].labels
    monkeypatch.setenv("LLAMA_KEY", "another")
    assert "401" in LargeTags(Chat(Remote(endpoint)), vocabulary=genres).run([FILM])[0].said
