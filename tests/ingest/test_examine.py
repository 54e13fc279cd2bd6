"""One file at a time: tags, covers, encodings, limits (in this process, outside the sandbox)."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import av
import pytest
from PIL import Image
from pypdf import PdfWriter

import hostile_files
import media_makers
from segue.core.errors import UnreadableMedia
from segue.ingest.documents import decode_text, html_text
from segue.ingest.examine import examine
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Examined, Found
from segue.ingest.naming import is_side_text, kind_of, media_beside, title_of
from segue.ingest.probe import language, parts, sort_of, year
from segue.ingest.scan import scan


def look(path: Path, limits: MediaLimits | None = None) -> Examined:
    (found,) = (f for f in scan([path.parent]) if f.path == str(path))
    assert isinstance(found, Found)
    return examine(found, MediaLimits() if limits is None else limits)


def kinds(examined: Examined) -> list[str]:
    return [asset.kind for asset in examined.assets]


def text_frame(kind: bytes, text: str) -> bytes:
    body = b"\x03" + text.encode()
    return kind + struct.pack(">IH", len(body), 0) + body


@pytest.mark.skipif("libmp3lame" not in av.codecs_available, reason="FFmpeg without LAME")
def test_mp3_tags_and_cover(tmp_path):
    art = io.BytesIO()
    Image.new("RGB", (900, 300), "green").save(art, "PNG")
    picture = b"\0image/png\0\x03\0" + art.getvalue()
    frames = text_frame(b"TIT2", "Ufer") + text_frame(b"TPE1", "Ida; Ole")
    frames += text_frame(b"TCON", "Audiobook") + text_frame(b"TYER", "2004")
    frames += b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    size = bytes((len(frames) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    bare = media_makers.sound(tmp_path / "bare.mp3", 1.0, "libmp3lame").read_bytes()
    path = tmp_path / "ufer.mp3"
    path.write_bytes(b"ID3\x03\0\0" + size + frames + bare)
    seen = look(path)
    assert (seen.media, seen.title, seen.creators, seen.year) == (
        "audio",
        "Ufer",
        ("Ida", "Ole"),
        2004,
    )
    assert kinds(seen) == ["poster", "audio16k"]
    with Image.open(io.BytesIO(seen.assets[0].data)) as cover:
        assert cover.size == (640, 213)
    (found,) = (f for f in scan([tmp_path]) if f.path == str(path))
    assert kind_of(seen, found) == "speech"


def test_long_scene_gives_keyframes_in_order(tmp_path):
    seen = look(media_makers.shots(tmp_path / "a.mkv", [("a", 42.0, 0.0)]))
    times = [asset.time_s for asset in seen.assets if asset.kind == "keyframe"]
    assert len(times) == 21  # every two seconds
    assert times == sorted(times)
    for number, time_s in enumerate(times):
        assert number * 2.0 <= time_s < (number + 1) * 2.0
    assert len(seen.scenes) == len(seen.shots) == 1
    keyframe = seen.scenes[0].keyframe
    assert keyframe is not None
    assert abs(times[keyframe] - 21.0) <= 2.0
    assert seen.note == ""
    assert seen.streams[0]["width_px"] == 160


def test_sound_is_cut_at_its_limit_but_its_duration_is_told(tmp_path):
    path = media_makers.sound(tmp_path / "a.flac", 5.0)
    seen = look(path, MediaLimits(max_audio_s=2.0))
    assert len(seen.assets[0].data) == pytest.approx(2 * 16000 * 2, abs=100)
    assert seen.duration_s == pytest.approx(5.0, abs=0.1)
    assert seen.note == ""


def test_a_hole_in_the_middle_costs_only_itself(tmp_path):
    path = media_makers.video(tmp_path / "a.avi", 6.0, sound_codec=None)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = b"\xff" * 3000
    path.write_bytes(bytes(data))
    assert "keyframe" in kinds(look(path))


def test_a_pdf_gives_its_first_picture_as_cover(tmp_path):
    Image.new("RGB", (300, 400), "navy").save(tmp_path / "a.pdf", title="Atlas", author="E. Reve")
    seen = look(tmp_path / "a.pdf")
    assert (seen.title, seen.creators, kinds(seen)) == ("Atlas", ("E. Reve",), ["poster"])


def test_a_locked_pdf_is_refused(tmp_path):
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(tmp_path / "a.pdf")
    with pytest.raises(UnreadableMedia, match="password"):
        look(tmp_path / "a.pdf")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_text_encodings(tmp_path, encoding):
    text = "雨下了一整天，路上没有人。" * 10
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert look(tmp_path / "a.txt").assets[0].data.decode() == text


def test_a_cut_character_is_forgiven():
    assert decode_text("Straße".encode()[:5]) == "Stra"


def test_words_of_a_page():
    page = "<head><title>no</title></head><p>A&amp;B <b>c</b>d</p><script>x()</script><p>e"
    assert html_text(page) == "A&B cd\ne"


@pytest.mark.parametrize("build", [hostile_files.zip_bomb, hostile_files.lying_zip])
def test_zip_bombs_are_refused(tmp_path, build):
    build(tmp_path / "a.epub")
    with pytest.raises(UnreadableMedia, match=r"zip bomb|damaged"):
        look(tmp_path / "a.epub", MediaLimits(max_zip_bytes=80_000_000))


def test_entities_of_an_epub_are_refused(tmp_path):
    media_makers.epub(tmp_path / "a.epub", opf=hostile_files.LAUGHS)
    with pytest.raises(UnreadableMedia, match="damaged: EntitiesForbidden"):
        look(tmp_path / "a.epub")


def test_other_zips_are_no_books(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.epub", "w") as file:
        file.writestr("a.txt", "x")
    with pytest.raises(UnreadableMedia, match="no e-book"):
        look(tmp_path / "a.epub")


def test_bytes_decide_what_a_file_is(tmp_path):
    media_makers.picture(tmp_path / "real.png").rename(tmp_path / "liar.mp3")
    assert look(tmp_path / "liar.mp3").media == "image"
    assert sort_of(b"%!PS-Adobe", ".ps") == ""
    assert sort_of(b"\0" * 64, ".mp3") == "stream"


def test_small_words():
    assert [year(t) for t in ("2011-05-03", "c1998", "x", "120111")] == [2011, 1998, None, None]
    assert [language(t) for t in ("eng", "zh-CN", "und", "", "DE")] == [
        "en",
        "zh",
        None,
        None,
        "de",
    ]
    assert parts("Rock/Pop; Folk / Soul;Rock") == ("Rock", "Pop", "Folk", "Soul")
    assert title_of("a/07_night-train.flac") == "Night train"
    assert title_of("1918.mp3") == "1918"
    assert is_side_text("x/LICENSE.txt")
    assert is_side_text("README-de.txt")
    assert not is_side_text("Noticeable.txt")


def test_a_subtitle_belongs_to_the_file_of_its_name(tmp_path):
    for name in ("film.mp4", "film.en.srt", "film.en.mp4", "other.mp4"):
        (tmp_path / name).touch()
    beside = media_beside(str(tmp_path / "film.en.srt"))
    assert [Path(path).name for path in beside] == ["film.en.mp4", "film.mp4"]
