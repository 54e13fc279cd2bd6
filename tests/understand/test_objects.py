"""Things and people in pictures: as labels, and as words that find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from segue import understanding
from segue.config import Understanding, read_settings
from segue.core.errors import BadSettings, MissingExtra, UnreadableMedia
from segue.core.types import Floats, Item
from segue.datasets import fetch
from segue.datasets.fetch import Unavailable, get, packages
from segue.store import schema
from segue.store.catalogue import load_catalogue, put_items
from segue.store.insights import load_insights
from segue.store.vectors import load_vectors
from segue.store.workspace import Workspace
from segue.understand.align import unit
from segue.understand.annotate import Classifier
from segue.understand.encoders import registry
from segue.understand.fuse import FuseWeights
from segue.understand.run import Encoders, StepPlan, UnderstandReport, understand
from segue.understand.scene_vectors import SceneEncoder
from segue.understand.search import tokens
from segue.understand.sight.objects import (
    COCO,
    DETECTORS,
    Found,
    Objects,
    Remembering,
    WithObjects,
    detector,
    suppressed,
    with_objects,
)
from segue.understand.sight.objects_nanodet import NanoDet
from segue.understand.sources import Clip, ItemSource, Span
from segue.understanding import Chosen, encoders_of, plan_of

WHOLE = (0.0, 0.0, 1.0, 1.0)


def fetched(name: str) -> Path:
    try:
        return get(name)
    except Unavailable as error:
        pytest.skip(f"cannot be had here: {error}")


@pytest.fixture(scope="module")
def photos() -> dict[str, Image.Image]:
    folder = fetched("media-scikit-image")
    names = ("astronaut.png", "camera.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
    return {n.partition(".")[0]: Image.open(folder / n).convert("RGB") for n in names}


class Told:
    """A detector that tells what the first pixel of a picture stands for, and counts its looks."""

    name, labels, least, sure = "told@1", ("person", "car", "dog"), 0.5, 0.6

    def __init__(self, known: dict[int, tuple[Found, ...]]) -> None:
        self.known = known
        self.looks = 0

    def ready(self) -> None:
        """Always is."""

    def detect(self, pictures: Sequence[Image.Image]) -> list[tuple[Found, ...]]:
        self.looks += len(pictures)
        return [self.known.get(picture.convert("L").getpixel((0, 0)), ()) for picture in pictures]


class Missing(Told):
    asked = 0

    def ready(self) -> None:
        self.asked += 1
        raise Unavailable("told: not to be had")


class Plain:
    """A classifier with two classes."""

    name, kind, labels, glosses = "plain@1", "picture", ("cat", "tree"), ("an animal", "")

    def classify(self, clips: Sequence[object]) -> Floats:
        return np.tile(np.array([0.75, 0.25], dtype=np.float32), (len(clips), 1))


def clip(folder: Path, grey: int) -> Clip:
    path = folder / f"{grey}.png"
    Image.new("RGB", (64, 48), (grey, grey, grey)).save(path)
    return Clip(f"hash-{grey}", path)


TELLING = {
    10: (Found("person", 0.9, WHOLE), Found("person", 0.52, WHOLE), Found("car", 0.55, WHOLE)),
    20: (Found("car", 0.8, WHOLE), Found("car", 0.7, WHOLE)),
    30: (),
    40: (Found("person", 0.52, WHOLE), Found("dog", 0.52, WHOLE)),
}


def scenes(folder: Path) -> ItemSource:
    spans = tuple(
        Span(10.0 * n, 10.0 * n + 10.0, clip(folder, grey)) for n, grey in enumerate((10, 20, 30))
    )
    return ItemSource(1, "", (), (), scenes=spans)


def test_an_item_and_its_scenes_get_the_things_seen_in_them(tmp_path: Path) -> None:
    (found,) = Objects(Told(TELLING)).run([scenes(tmp_path)])
    said = [(x.kind, x.label, x.score, x.start_s, x.end_s) for x in found.labels]
    assert said == [
        ("object", "person", 0.9, None, None),
        ("object", "car", 0.8, None, None),  # the surest of three, one of which is not sure enough
        ("object", "person", 0.9, 0.0, 10.0),
        ("object", "car", 0.8, 10.0, 20.0),
    ]
    counted = [(m.name, m.value, m.start_s) for m in found.measures]
    assert counted == [
        ("people", 2.0, None),
        ("people_share", pytest.approx(1 / 3), None),
        ("people", 2.0, 0.0),
        ("people", 0.0, 10.0),
        ("people", 0.0, 20.0),
    ]


def test_pictures_without_times_are_told_of_as_a_whole(tmp_path: Path) -> None:
    item = ItemSource(1, "", (clip(tmp_path, 20), clip(tmp_path, 10)), ())
    (found,) = Objects(Told(TELLING)).run([item])
    assert [(x.label, x.start_s) for x in found.labels] == [("person", None), ("car", None)]
    assert [(m.name, m.start_s) for m in found.measures] == [
        ("people", None),
        ("people_share", None),
    ]


def test_the_surest_labels_are_kept_and_no_more_frames_than_wanted(tmp_path: Path) -> None:
    told = Told(TELLING)
    item = ItemSource(1, "", tuple(clip(tmp_path, grey) for grey in (10, 20, 30)), ())
    (found,) = Objects(told, most_frames=2, most_labels=1).run([item])
    assert told.looks == 2
    assert [x.label for x in found.labels] == ["person"]
    with pytest.raises(BadSettings, match="must be >= 1, got 0"):
        Objects(told, most_frames=0)


def test_people_are_named_before_other_things_are(tmp_path: Path) -> None:
    item = ItemSource(1, "", (clip(tmp_path, 40),), ())
    (found,) = Objects(Told(TELLING)).run([item])
    assert [(x.label, x.score) for x in found.labels] == [("person", 0.52)]


def test_what_is_read_has_a_hash_and_what_is_not_there_has_none(tmp_path: Path) -> None:
    step = Objects(Told(TELLING))
    item = scenes(tmp_path)
    assert step.source(ItemSource(1, "", (), ())) == ""
    assert step.run([ItemSource(1, "", (), ())])[0].labels == ()
    later = replace(item, scenes=(*item.scenes[:2], replace(item.scenes[2], end_s=31.0)))
    assert step.source(item) != step.source(later) != ""
    assert step.model == "told@1:objects-1"


def test_unreadable_pictures_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 nothing")
    with pytest.raises(UnreadableMedia, match=r"broken\.jpg: not a readable picture"):
        Objects(Told({})).run([ItemSource(1, "", (Clip("a", broken),), ())])
    with pytest.raises(UnreadableMedia, match=r"broken\.jpg: not a readable picture"):
        WithObjects(Plain(), Told({})).classify([broken])
    item = ItemSource(1, "", (Clip("a", broken), clip(tmp_path, 10)), ())
    (found,) = Objects(Told(TELLING)).run([item])
    assert [x.label for x in found.labels] == ["person"]
    assert "broken.jpg" in found.said


def test_a_picture_is_looked_at_once_and_the_oldest_is_forgotten() -> None:
    told = Told(TELLING)
    looked = Remembering(told, most=2)
    grey = {n: Image.new("L", (8, 8), n) for n in (10, 20, 30)}
    assert looked.detect([grey[10], grey[20], grey[10].copy()]) == [
        TELLING[10], TELLING[20], TELLING[10],
    ]  # fmt: skip
    assert told.looks == 2
    assert looked.detect([grey[30], grey[10]]) == [(), TELLING[10]]
    assert told.looks == 3
    assert looked.detect([grey[20]]) == [TELLING[20]]  # had gone
    assert told.looks == 4
    assert looked.detect([grey[20].convert("RGB")]) == [TELLING[20]]  # another picture
    assert told.looks == 5


def test_the_step_and_the_words_open_a_picture_alike(
    photos: dict[str, Image.Image], tmp_path: Path
) -> None:
    path = tmp_path / "large.jpg"
    photos["astronaut"].resize((1800, 1800)).save(path)
    told = Told({})
    looked = Remembering(told)
    Objects(looked).run([ItemSource(1, "", (Clip("a", path),), ())])
    WithObjects(Plain(), looked).classify([path])
    assert told.looks == 1


def test_of_boxes_of_one_thing_the_surest_stands() -> None:
    boxes = np.array(
        [[0.0, 0.0, 0.4, 0.4], [0.02, 0.0, 0.42, 0.4], [0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]],
        dtype=np.float32,
    )
    scores = np.array([0.6, 0.9, 0.7, 0.8], dtype=np.float32)
    classes = np.array([0, 0, 1, 0])
    # .38 / .42 = .90 of the first two is shared
    assert suppressed(boxes, scores, classes, 0.6).tolist() == [1, 3, 2]
    assert suppressed(boxes, scores, classes, 0.92).tolist() == [1, 3, 2, 0]
    assert suppressed(boxes[:0], scores[:0], classes[:0], 0.6).tolist() == []


def test_what_is_seen_stands_beside_the_classes_as_probable_as_it_is_sure() -> None:
    seen = WithObjects(Plain(), Told(TELLING))
    assert seen.labels == ("cat", "tree", "person", "car", "dog")
    assert seen.glosses == ("an animal", "", "man, woman, boy, girl, face, people", "", "")
    assert (seen.kind, seen.name) == ("picture", "plain@1+told@1")
    rows = seen.classify([Image.new("L", (8, 8), grey) for grey in (10, 30)])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.75, 0.25, 0.9, 0.55, 0], [0.75, 0.25, 0, 0, 0]])
    far = Told(TELLING)
    far.name = "detect-somebody/a-very-long-name-of-a-net@0123456789ab"
    assert len(WithObjects(Plain(), far).name) == len("plain@1+") + 12


class BagOfWords:
    """Adds up a fixed random direction a word."""

    name, dim = "words@1", 256

    def encode(self, clips: Sequence[str]) -> Floats:
        return unit(np.stack([sum(map(self._word, tokens(clip))) for clip in clips]))

    def _word(self, word: str) -> Floats:
        return np.random.default_rng(list(word.encode())).normal(size=256).astype(np.float32)


def test_words_find_an_item_by_what_is_seen_in_its_picture(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    names = {"first": 20, "second": 30, "third": 40}
    put_items(workspace.engine, [Item(id=n, kind="image", title=n) for n in names])
    for num, grey in enumerate(names.values(), 1):
        posted = clip(workspace.derived, grey)
        with workspace.engine.begin() as connection:
            connection.execute(
                sa.insert(schema.assets).values(
                    item_num=num, kind="poster", position=0, path=posted.path.name,
                    content_hash=posted.content_hash,
                )
            )  # fmt: skip

    def run(picture: Classifier, *steps: Objects) -> list[str]:
        """Items by how well "car" fits them; the labels that they have."""
        used = Encoders(text=BagOfWords(), picture=picture, sound=None)
        understand(workspace, encoders=used, steps=StepPlan(cheap=steps))
        stored = load_vectors(workspace.engine, load_catalogue(workspace.engine).nums)
        cosines = stored.values @ BagOfWords().encode(["car"])[0]
        return [list(names)[row] for row in np.argsort(-cosines) if cosines[row] > 0.15]

    assert run(Plain()) == []
    looked = Remembering(Told(TELLING))
    assert run(WithObjects(Plain(), looked), Objects(looked)) == ["first"]
    labels = load_insights(workspace.engine, "first").labels
    assert {(x.kind, x.label, x.model) for x in labels} == {
        ("picture-label", "cat", "plain@1"),
        ("picture-label", "tree", "plain@1"),
        ("object", "car", "told@1:objects-1"),
    }


def test_vectors_made_with_a_detector_have_a_name_of_their_own_however_long() -> None:
    far, text = Told({}), BagOfWords()
    text.name = "hf-" + "x" * 64  # type: ignore[misc]
    far.name = "detect-" + "y" * 60
    plain = Plain()
    plain.name = "plain@" + "z" * 30  # type: ignore[misc]
    names = set()
    for picture in (plain, WithObjects(plain, far), WithObjects(plain, Told({}))):
        scenes = SceneEncoder(text, None, FuseWeights(), picture)  # type: ignore[arg-type]
        made = {Encoders(text=text, picture=picture, sound=None).names()["picture"], scenes.name}
        assert max(map(len, made)) <= 100
        names |= made
    assert len(names) == 6


def test_without_weights_pictures_are_placed_as_before() -> None:
    plain = Plain()
    assert with_objects(plain, Missing({})) is plain
    assert isinstance(with_objects(plain, Told({})), WithObjects)
    missing = Missing({})
    looked = Remembering(missing)
    assert with_objects(plain, looked) is with_objects(plain, looked) is plain
    assert missing.asked == 1


def test_every_detector_of_the_settings_resolves() -> None:
    for name in DETECTORS:
        assert detector(name).name == f"{name}@{packages()[name].version}"
        assert detector(name) is detector(name)
    with pytest.raises(BadSettings, match="did you mean nanodet-"):
        detector("nanodet")
    with pytest.raises(BadSettings, match="known: none, nanodet-g, nanodet-m, hf:ID-OR-FOLDER"):
        detector("hf:")
    with pytest.raises(BadSettings, match="must be one of nanodet-g, nanodet-m, got 'yolo'"):
        NanoDet("yolo")


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "missing", lambda name: "pip install 'segue[deep]'")
    with pytest.raises(MissingExtra, match=r"objects = 'hf:a/b' needs .*pip install 'segue\[deep"):
        detector("hf:a/b")


def test_settings_switch_objects_on() -> None:
    told = Understanding(sound="none", speech="none", objects="nanodet-m")
    off = plan_of(Chosen(replace(told, objects="none")))
    on = plan_of(Chosen(told))
    assert "objects" not in [step.name for step in off.cheap]
    assert [step.name for step in on.cheap].count("objects") == 1
    assert "objects" not in [s.name for s in plan_of(Chosen(replace(told, pictures="none"))).cheap]
    with pytest.raises(BadSettings, match="did you mean nanodet-m"):
        plan_of(Chosen(replace(told, objects="nanodet-n")))
    fetched("nanodet-m")
    (step,) = (s for s in on.cheap if s.name == "attributes")
    picture = encoders_of(told).picture
    assert isinstance(picture, WithObjects)
    assert picture.looked is detector("nanodet-m")
    assert step.model_of.pictures.name == picture.name  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", DETECTORS)
def test_people_and_things_are_found_where_they_are(
    name: str, photos: dict[str, Image.Image]
) -> None:
    fetched(name)
    looked = detector(name)
    seen = dict(zip(photos, looked.detect(list(photos.values())), strict=True))
    people = {n: [x for x in found if x.label == "person"] for n, found in seen.items()}
    assert {n for n, found in people.items() if found} == {"astronaut", "camera"}
    (man,) = people["camera"]
    left, top, right, bottom = man.box  # he stands on the left, from below the upper edge down
    assert left < 0.05
    assert 0.05 < top < 0.3
    assert 0.3 < right < 0.7
    assert bottom > 0.9
    (wide,) = looked.detect([photos["camera"].crop((0, 100, 512, 400))])
    assert max(x.box[3] for x in wide if x.label == "person") > 0.9
    (bike,) = (x for x in seen["motorcycle_left"] if x.label == "motorcycle")
    assert bike.box[2] - bike.box[0] > 0.6
    assert all(
        x.score >= looked.least and x.label in COCO for found in seen.values() for x in found
    )


def test_a_batch_and_its_shape_change_nothing(photos: dict[str, Image.Image]) -> None:
    fetched("nanodet-m")
    looked = NanoDet("nanodet-m")
    wide = photos["camera"].crop((0, 100, 512, 400))
    together = looked.detect([*photos.values(), wide])
    alone = [looked.detect([picture])[0] for picture in (*photos.values(), wide)]
    assert [[x.label for x in found] for found in together] == [
        [x.label for x in found] for found in alone
    ]
    for one, other in zip(together, alone, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a.box, b.box, atol=1e-4)
            assert a.score == pytest.approx(b.score, abs=1e-4)
    assert looked.detect([]) == []
    assert looked.detect([Image.new("RGB", (2000, 3))])  # nothing there, but it is looked at


def test_packages_in_scopes_have_one_archive_file(tmp_path: Path) -> None:
    package = packages()["nanodet-m"]
    assert package.package.startswith("@")
    assert "/" not in fetch._archive_name(package)


def test_the_example_of_settings_is_one(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "settings" / "objects.toml"
    (tmp_path / "segue.toml").write_bytes(example.read_bytes())
    assert read_settings(tmp_path).understand == Understanding(objects="nanodet-g")


def test_who_has_pictures_and_no_detector_is_told_how_to_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = '[understand]\nskip = ["look"]\nobjects = "{}"\n'
    workspace = Workspace.create(tmp_path)
    for pictures, objects, told in ((3, "none", True), (0, "none", False), (3, "hf:a/b", False)):
        (tmp_path / "segue.toml").write_text(settings.format(objects), encoding="utf-8")
        report = UnderstandReport(pictures=pictures)
        monkeypatch.setattr(understanding, "understand", lambda *a, r=report, **b: r)
        monkeypatch.setattr(understanding, "plan_of", lambda *a: None)
        monkeypatch.setattr(understanding, "encoders_of", lambda *a: None)
        said = str(understanding.understand_workspace(workspace))
        assert ('objects = "nanodet-g"' in said) == told
