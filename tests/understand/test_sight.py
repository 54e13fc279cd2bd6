"""Steps that look at pictures, on real pictures of the packages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segue.core.errors import BadInput, BadSettings, UnreadableMedia
from segue.datasets.fetch import Unavailable, get
from segue.understand.sight.attributes import (
    ATTRIBUTES,
    Attribute,
    Attributes,
    ConseZeroShot,
    answers,
)
from segue.understand.sight.frames import frames, frames_hash, opened
from segue.understand.sight.look import Look, appearance, colour_name, colourfulness, lab
from segue.understand.sight.ocr import Reader, ScreenText
from segue.understand.sight.phash import HashTrack, PicturePrint, picture_hash, without_border
from segue.understand.sources import Clip, ItemSource, Span


def fetched(name: str) -> Path:
    try:
        return get(name)
    except Unavailable as error:
        pytest.skip(f"cannot be had here: {error}")


@pytest.fixture(scope="module")
def photos() -> dict[str, Image.Image]:
    folder = fetched("media-scikit-image")
    names = ("chelsea.png", "coffee.png", "rocket.jpg", "camera.png", "astronaut.png")
    return {n.partition(".")[0]: Image.open(folder / n).convert("RGB") for n in names}


def kept(picture: Image.Image, path: Path, quality: int = 85) -> Clip:
    picture.save(path, "JPEG", quality=quality)
    return Clip(path.name, path)


def item(*clips: Clip, scenes: tuple[Span, ...] = ()) -> ItemSource:
    return ItemSource(1, "", clips, (), scenes=scenes)


def lettering(*lines: str) -> Image.Image:
    """Dark letters on a light ground, 640 x 200."""
    picture = Image.new("RGB", (640, 200), "#f4f0e0")
    for row, line in enumerate(lines):
        ImageDraw.Draw(picture).text((30, 20 + 80 * row), line, fill="#102040", font_size=44)
    return picture


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ((0, 0, 0), "black"), ((255, 255, 255), "white"), ((128, 128, 128), "grey"),
        ((200, 20, 20), "red"), ((20, 160, 40), "green"), ((30, 60, 200), "blue"),
        ((250, 220, 30), "yellow"), ((250, 140, 10), "orange"), ((110, 70, 40), "brown"),
        ((255, 120, 190), "pink"), ((120, 30, 160), "purple"),
    ],
)  # fmt: skip
def test_a_colour_has_the_name_that_people_give_it(code: tuple[int, ...], name: str) -> None:
    assert colour_name(np.array(code, dtype=np.float32)) == name


def test_lab_of_white_black_and_red_is_what_the_standard_says() -> None:
    rgb = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]], dtype=np.float32)
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]]
    np.testing.assert_allclose(lab(rgb), expected, atol=0.1)


def test_colourfulness_is_nothing_for_grey_and_much_for_a_rainbow() -> None:
    grey = np.repeat(np.arange(64, dtype=np.float32).reshape(8, 8, 1), 3, axis=2)
    assert colourfulness(grey) == pytest.approx(0)
    rainbow = Image.new("HSV", (64, 64))
    rainbow.putdata([(4 * (n % 64), 255, 255) for n in range(64 * 64)])
    assert colourfulness(np.asarray(rainbow.convert("RGB"), dtype=np.float32)) > 82


def test_a_picture_of_two_halves_shows_both_colours_with_their_shares() -> None:
    picture = Image.new("RGB", (90, 60), (30, 60, 200))
    picture.paste((250, 220, 30), (0, 0, 30, 60))
    look = appearance(picture)
    found = {name: share for name, _, share in look.palette if share > 0.05}
    assert found == {
        "blue": pytest.approx(2 / 3, abs=0.04),
        "yellow": pytest.approx(1 / 3, abs=0.04),
    }
    assert sum(share for _, _, share in look.palette) == pytest.approx(1)


def test_a_darker_or_blurred_picture_measures_as_such(photos: dict[str, Image.Image]) -> None:
    sharp = appearance(photos["chelsea"])
    dark = appearance(photos["chelsea"].point(lambda level: level // 2))
    blurred = appearance(photos["chelsea"].resize((40, 27)).resize(photos["chelsea"].size))
    assert dark.brightness < 0.7 * sharp.brightness
    assert dark.contrast < sharp.contrast
    assert blurred.sharpness < sharp.sharpness / 4
    assert blurred.brightness == pytest.approx(sharp.brightness, abs=0.02)


def test_look_follows_brightness_over_the_scenes(tmp_path: Path) -> None:
    light = kept(Image.new("RGB", (64, 64), "#eeeeee"), tmp_path / "light.jpg")
    dark = kept(Image.new("RGB", (64, 64), "#101010"), tmp_path / "dark.jpg")
    film = item(scenes=(Span(0, 4, light), Span(4, 9, dark), Span(9, 10, None)))
    (found,) = Look().run([film])
    course = [(m.start_s, m.value) for m in found.measures if m.name == "brightness"]
    assert [start for start, _ in course] == [None, 0, 4]
    assert course[1][1] > 0.9
    assert course[2][1] < 0.1
    assert course[0][1] == pytest.approx((course[1][1] + course[2][1]) / 2)
    assert {x.label for x in found.labels if x.kind == "colour"} == {"white", "black"}
    assert all(x.label.startswith("#") for x in found.labels if x.kind == "palette")


def test_frames_are_spread_and_their_hash_tells_times_and_content(tmp_path: Path) -> None:
    clips = [Clip(f"{n}", tmp_path / f"{n}.jpg") for n in range(10)]
    film = item(scenes=tuple(Span(n, n + 1, clip) for n, clip in enumerate(clips)))
    few = frames(film, 3)
    assert [f.middle_s for f in few] == [0.5, 4.5, 9.5]
    assert frames(item(*clips[:2]), 3)[0].middle_s is None
    moved = item(scenes=tuple(Span(n, n + 2, clip) for n, clip in enumerate(clips)))
    assert frames_hash(few) != frames_hash(frames(moved, 3))
    assert frames_hash(frames(item(), 3)) == ""
    with pytest.raises(BadInput, match="most must be >= 1, got 0"):
        frames(film, 0)


def test_one_unreadable_frame_is_said_and_only_unreadable_ones_raise(tmp_path: Path) -> None:
    bad = Clip("bad", tmp_path / "bad.jpg")
    bad.path.write_bytes(b"\xff\xd8\xff no picture")
    good = kept(Image.new("RGB", (64, 64), "red"), tmp_path / "good.jpg")
    assert "bad.jpg" in Look().run([item(bad, good)])[0].said
    with pytest.raises(UnreadableMedia, match=r"bad\.jpg"):
        opened(frames(item(bad), 3), 64)
    assert Look().run([item()])[0].measures == ()


def test_a_hash_outlives_recoding_scaling_bars_and_light(photos: dict[str, Image.Image]) -> None:
    for name, photo in photos.items():
        barred = Image.new("RGB", (photo.width, photo.height + 160))
        barred.paste(photo, (0, 80))
        small = photo.resize((photo.width // 3, photo.height // 3))
        dark = photo.point(lambda level: round(level * 0.75))
        first = picture_hash(photo)
        assert first is not None
        for changed in (barred, small, dark):
            other = picture_hash(changed)
            assert other is not None
            assert (first ^ other).bit_count() <= 8, name


def test_hashes_of_different_pictures_are_far(photos: dict[str, Image.Image]) -> None:
    hashes = [picture_hash(photo) or 0 for photo in photos.values()]
    far = [(a ^ b).bit_count() for n, a in enumerate(hashes) for b in hashes[n + 1 :]]
    assert min(far) > 14


def test_a_blank_has_no_hash_and_a_dark_picture_is_not_eaten_as_border() -> None:
    assert picture_hash(Image.new("RGB", (640, 360), "#202020")) is None
    night = np.zeros((100, 100), dtype=np.float32)
    assert min(without_border(night).shape) >= 40


def test_a_track_comes_back_from_its_bytes() -> None:
    track = HashTrack(np.array([0.5, np.nan]), np.array([2**63, 7], dtype=np.uint64))
    again = HashTrack.from_bytes(track.to_bytes())
    np.testing.assert_array_equal(again.times_s, track.times_s)
    np.testing.assert_array_equal(again.hashes, track.hashes)
    with pytest.raises(BadInput, match="12 bytes a frame, got 13"):
        HashTrack.from_bytes(b"0" * 13)


def test_the_print_of_a_film_leaves_blanks_out(
    photos: dict[str, Image.Image], tmp_path: Path
) -> None:
    cat = kept(photos["chelsea"], tmp_path / "cat.jpg")
    blank = kept(Image.new("RGB", (64, 64)), tmp_path / "blank.jpg")
    (found,) = PicturePrint().run([item(scenes=(Span(0, 2, blank), Span(2, 6, cat)))])
    (stored,) = found.prints
    assert stored.kind == "picture"
    np.testing.assert_array_equal(HashTrack.from_bytes(stored.data).times_s, [4.0])
    assert PicturePrint().run([item(blank)])[0].prints == ()


class Fixed:
    """Says that the last prompt fits best, and counts how often it was asked."""

    name = "fixed"

    def __init__(self) -> None:
        self.asked = 0

    def zero_shot(self, pictures: list[Image.Image], prompts: list[str]) -> np.ndarray:
        self.asked += 1
        fits = np.full((len(pictures), len(prompts)), 0.1 / max(1, len(prompts) - 1))
        fits[:, -1] = 0.9
        return fits.astype(np.float32)


def test_answers_are_probabilities_of_classes_from_one_look() -> None:
    two = (
        Attribute("a", {"x": ("one", "two"), "y": ("three",)}),
        Attribute("b", {"u": ("four",), "v": ("five",)}),
    )
    model = Fixed()
    found = answers(model, [Image.new("RGB", (9, 9))], two)
    assert model.asked == 1
    np.testing.assert_allclose(found[two[0]], [[0.5, 0.5]], atol=1e-6)
    assert found[two[1]][0, 1] == pytest.approx(0.9 / 0.925, abs=1e-3)


def test_a_clip_model_is_asked_everything_and_the_offline_one_only_what_it_can(
    tmp_path: Path,
) -> None:
    clip = kept(Image.new("RGB", (64, 64), "red"), tmp_path / "a.jpg")
    (every,) = Attributes(Fixed(), every=True).run([item(clip)])
    assert ("content-genre", "music") in {(x.kind, x.label) for x in every.labels}
    assert every.said == ""
    (some,) = Attributes(Fixed()).run([item(clip)])
    assert not {x.kind for x in some.labels} & {"medium", "time-of-day", "mood", "content-genre"}
    assert "mood" in some.said
    with pytest.raises(BadSettings, match="least"):
        Attributes(Fixed(), least=0)


@pytest.mark.slow
def test_the_offline_model_knows_settings_and_subjects() -> None:
    for name in ("efficientnet-lite2", "imagenet-labels", "pictures-psychopy", "pictures-gradio"):
        fetched(name)
    beach = Image.open(fetched("pictures-psychopy") / "beach.jpg").convert("RGB")
    lion = Image.open(fetched("pictures-gradio") / "lion.jpg").convert("RGB")
    found = answers(ConseZeroShot(), [beach, lion], ATTRIBUTES[:3])
    best = {a.name: [list(a.prompts)[n] for n in rows.argmax(1)] for a, rows in found.items()}
    assert best == {
        "place": ["outdoors", "outdoors"],
        "setting": ["water", "nature"],
        "subject": ["landscape", "animal"],
    }


def test_lines_are_found_and_read() -> None:
    fetched("ppocr-v4")
    lines = Reader().read(lettering("The Long Voyage", "Part 2 of 12"))
    assert [line.text.replace(" ", "") for line in lines] == ["TheLongVoyage", "Part2of12"]
    assert lines[0].box[3] <= lines[1].box[3]
    assert all(line.score > 0.9 for line in lines)
    left, top, right, bottom = lines[0].box
    assert 10 <= left <= 40
    assert 5 <= top <= 45
    assert 60 <= bottom <= 95
    assert 300 < right < 500
    assert Reader().read(Image.new("RGB", (640, 200), "white")) == []


def test_words_of_a_real_sign_are_read(tmp_path: Path) -> None:
    fetched("ppocr-v4")
    sign = Image.open(fetched("pictures-opencv") / "scenetext_segmented_word03.jpg")
    clip = kept(sign.convert("RGB"), tmp_path / "sign.jpg")
    (found,) = ScreenText().run([item(clip, clip)])
    (note,) = found.notes
    assert (note.kind, note.generated) == ("on-screen", False)
    assert note.text.split("\n") == ["Customer", "Freephone", "Private Hire", "Service"]
    with pytest.raises(BadSettings, match="side_px"):
        Reader(side_px=8)
