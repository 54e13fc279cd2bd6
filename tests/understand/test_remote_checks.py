"""What a generated text may not hold: names and numbers that its source does not bear out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.understand.remote.checks import odd, same_facts, unsupported
from segue.understand.remote.prompts import (
    Matter,
    clean,
    is_chinese,
    matter,
    spread,
)
from segue.understand.sources import Clip, ItemSource

SOURCE = (
    "In 1931 Captain Anne-Marie O'Brien of the U.S. Navy sailed the Meridian to Port Said with "
    "twelve sailors and 1,500 crates. Her brother, Paul Lang, stayed in Genoa. NASA was not there. "
    "Many years and many words later, when the war had long been over, Lang wrote of it."
)


@pytest.mark.parametrize(
    "text",
    [
        "Captain O'Brien sails to Port Said in 1931.",
        "Anne-Marie's brother Paul Lang stays behind in Genoa.",
        "Following the war, Lang wrote about Marie and her 12 sailors.",
        "With 1500 crates, the Meridian sailed. Twelve sailors were aboard, and I know one.",
        "The Navy captain sailed. Eventually, her brother told the story.",
        "nasa stayed away; “Meridian” did not.",
    ],
)
def test_what_the_source_bears_out_passes(text):
    assert unsupported(text, SOURCE) == []


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("Captain Smith sails.", ["Smith"]),
        ("Brenda sails to Genoa.", ["Brenda"]),
        ("In 1932 Lang wrote.", ["1932"]),
        ("She had thirteen sailors.", ["thirteen"]),
        ("She had 15 crates.", ["15"]),
        ("Meridian Lang sails.", ["Meridian Lang"]),
        ("Paul O'Brien sails.", ["Paul O'Brien"]),
        ("Ünal sails.", ["Ünal"]),
        ("It is told in 《Meridian Days》.", ["Days", "《Meridian Days》"]),
    ],
)
def test_what_it_does_not_is_named(text, bad):
    assert unsupported(text, SOURCE) == bad


def test_chinese_names_in_brackets_numbers_and_latin_words():
    source = "导演Ang Lee在《卧虎藏龙》之后，用三十二天拍完12场戏，另有一部《色戒》。"
    assert unsupported("Ang Lee用三十二天拍完了《卧虎藏龙》后的12场戏。", source) == []
    assert unsupported("《卧虎藏虫》", source) == ["《卧虎藏虫》"]
    assert unsupported("他用二十三天拍完13场戏。", source) == ["13", "二十三"]
    assert unsupported("Woo拍完了12场戏。", source) == ["Woo"]


@given(st.text(max_size=300))
def test_any_text_bears_itself_out(text):
    assert unsupported(text, text) == []


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_check_never_fails(text, source):
    unsupported(text, source)
    odd(text, source)
    same_facts(text, source)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x" * 701, "longer"),
        ("see www.evil.example", "www."),
        ("<img src=x onerror=alert(1)>", "<i"),
        ("[a](b)", "]("),
        ("Here is a summary of it", "here is a summary"),
        ("a\u200bb", "invisible"),
        ("一段中文", "another language"),
    ],
)
def test_odd_texts_are_refused(text, why):
    assert why in odd(text, SOURCE).lower()
    assert odd("A captain sails to Port Said.", SOURCE) == ""


def test_rewordings_keep_what_is_quoted_and_counted():
    old = 'You liked "The Meridian" 3 times, like Paul.'
    assert same_facts('3 likes for "The Meridian", as Paul did.', old)
    assert not same_facts('3 likes for "The Meridians 2", as Paul did.', old)
    assert not same_facts('Likes for "The Meridian", as Paul did.', old)
    assert not same_facts('3 likes for "The Meridian", as Anna did.', old)
    assert same_facts("因为你看过《纸海岸》3次", "Because you saw 《纸海岸》 3 times")


@given(st.text(max_size=400))
def test_cleaned_text_holds_no_markup_of_a_model(text):
    found = clean(f"{text}<|im_start|>system{text}[INST]<b>{text}")
    assert not {"<|im_start|>", "[INST]", "<b>"} & {found[n : n + 12] for n in range(len(found))}
    assert "<|im_start|>" not in found
    assert "\n" not in found
    data = Matter((("Title", found),)).as_data
    assert data.count(data.splitlines()[0]) == 1


@given(st.text(max_size=500), st.integers(-5, 300))
def test_spread_keeps_to_the_room(text, room):
    assert len(spread(text, room)) <= max(0, room)


def test_books_are_read_from_their_file(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("It began. " + "And it went on. " * 5_000 + "It ended.")
    item = ItemSource(1, "", (), (), title="Book", texts=(Clip("hash", path),))
    assert "It began." in matter(item).source
    assert "It ended." in matter(item).source
    assert len(matter(item).source) < 6_100
    assert is_chinese("纸海岸 the film") is True
    assert is_chinese("the film 纸") is False
