"""Shots and scenes of made films whose boundaries are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

import media_makers
from segue.core.errors import BadSettings
from segue.ingest.examine import examine
from segue.ingest.keyframes import targets
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Budget, Examined, Found, Scene, Shot
from segue.ingest.run import ingest
from segue.ingest.scan import scan
from segue.ingest.scenes import scenes
from segue.ingest.shots import SMALL_DIM, ShotSettings, Stretch, boundaries
from segue.ingest.sizes import empties, level, spikes
from segue.store import schema
from segue.store.workspace import Workspace

TWO_FRAMES = 2.1 / 25
CUTS = [("a", 3.0, 0.0), ("b", 2.6, 0.0), ("c", 2.2, 0.0), ("d", 3.4, 0.0)]
FIXED = {"sc_threshold": "0", "preset": "ultrafast"}


def look(path: Path, limits: MediaLimits | None = None) -> Examined:
    (found,) = (f for f in scan([path.parent]) if f.path == str(path))
    assert isinstance(found, Found)
    return examine(found, MediaLimits() if limits is None else limits)


def starts(seen: Examined) -> list[float]:
    return [shot.start_s for shot in seen.shots][1:]


@pytest.mark.parametrize(
    ("name", "codec", "gop", "options"),
    [
        ("scenecut.mp4", "libx264", 250, {"preset": "veryfast"}),
        ("fixed.mp4", "libx264", 50, FIXED),
        ("one-group.mkv", "libx264", 1000, FIXED),
        ("short-groups.avi", "mpeg4", 12, {}),
        ("all-keyframes.mkv", "ffv1", 1, {}),
        ("program-stream.mpg", "mpeg2video", 15, {}),
    ],
)
def test_cuts_are_found_in_every_encoding(tmp_path, name, codec, gop, options):
    if codec not in __import__("av").codecs_available:
        pytest.skip(f"FFmpeg without {codec}")
    seen = look(media_makers.shots(tmp_path / name, CUTS, codec, gop, options=options))
    assert starts(seen) == pytest.approx([3.0, 5.6, 7.8], abs=TWO_FRAMES)
    assert seen.shots[-1].end_s == pytest.approx(11.2, abs=0.2)
    assert [s.start_s for s in seen.scenes] == [s.start_s for s in seen.shots]
    frames = [asset for asset in seen.assets if asset.kind == "keyframe"]
    for scene in seen.scenes:
        assert scene.keyframe is not None
        assert scene.start_s <= frames[scene.keyframe].time_s < scene.end_s


@pytest.mark.parametrize("blend_s", [0.5, 0.8, 1.4])
def test_a_dissolve_is_one_boundary_within_its_time(tmp_path, blend_s):
    parts = [("a", 4.0, blend_s), ("b", 3.0, 0.0)]
    seen = look(media_makers.shots(tmp_path / "a.mp4", parts, "libx264", 50, options=FIXED))
    (start_s,) = starts(seen)
    assert 4.0 - blend_s - TWO_FRAMES <= start_s <= 4.0 + TWO_FRAMES


def test_a_fade_through_black_is_one_boundary(tmp_path):
    parts = [("a", 3.0, 0.6), ("black", 0.8, 0.5), ("b", 3.0, 0.0)]
    seen = look(media_makers.shots(tmp_path / "a.mp4", parts, "libx264", 250))
    assert starts(seen) == pytest.approx([3.2], abs=0.3)


def test_a_cut_there_and_back_between_two_like_keyframes(tmp_path):
    """The keyframes at 0 s and 4 s show the same: only the size of packets tells of the visit."""
    parts = [("a", 1.5, 0.0), ("b", 1.0, 0.0), ("a", 3.5, 0.0)]
    seen = look(media_makers.shots(tmp_path / "a.mp4", parts, "libx264", 100, options=FIXED))
    assert starts(seen) == pytest.approx([1.5, 2.5], abs=TWO_FRAMES)
    assert len(seen.scenes) == 1, "what returns to its first picture is one scene"


def test_dissolves_there_and_back_within_one_long_group(tmp_path):
    """The keyframes at 0 s and 7.68 s show the same, and no packet is as large as a picture."""
    parts = [("a", 3.0, 1.2), ("b", 2.6, 1.2), ("a", 4.0, 0.0)]
    seen = look(media_makers.shots(tmp_path / "a.mp4", parts, "libx264", 192, options=FIXED))
    assert starts(seen) == pytest.approx([2.4, 5.0], abs=0.8)


def test_a_still_film_is_one_shot(tmp_path):
    seen = look(media_makers.shots(tmp_path / "a.mp4", [("a", 6.0, 0.0)], "libx264", 50))
    (shot,), (scene,) = seen.shots, seen.scenes
    assert (shot.start_s, scene.start_s) == (0.0, 0.0)
    frames = [asset for asset in seen.assets if asset.kind == "keyframe"]
    assert abs(frames[scene.keyframe].time_s - 3.0) <= 2.0
    assert scene.end_s == pytest.approx(6.0, abs=0.1)
    assert 0.2 < shot.brightness < 0.8
    assert 0.0 <= shot.motion < 5.0
    assert sum(share for _, share in shot.colours) <= 1.001
    assert all(len(colour) == 7 and colour[0] == "#" for colour, _ in shot.colours)


def test_the_longest_scenes_get_the_keyframes_there_are(tmp_path):
    path = media_makers.shots(tmp_path / "a.avi", CUTS)
    seen = look(path, MediaLimits(max_keyframes=2))
    assert [scene.keyframe for scene in seen.scenes] == [0, None, None, 1]
    assert [asset.kind for asset in seen.assets] == ["poster", "keyframe", "keyframe"]


def test_short_of_time_it_keeps_what_the_keyframes_show(tmp_path, monkeypatch):
    monkeypatch.setattr(Budget, "share", lambda _: 2.0)
    path = media_makers.shots(tmp_path / "a.mp4", CUTS, "libx264", 25, options=FIXED)
    seen = look(path)
    assert starts(seen) == pytest.approx([3.0, 5.6, 7.8], abs=1.05)


def test_a_damaged_file_keeps_its_other_shots(tmp_path):
    path = media_makers.shots(tmp_path / "a.avi", CUTS)
    data = bytearray(path.read_bytes())
    middle = len(data) * 2 // 5
    data[middle : middle + 2000] = b"\xff" * 2000
    path.write_bytes(bytes(data))
    found = starts(look(path))
    assert found[0] == pytest.approx(3.0, abs=TWO_FRAMES)
    assert found[2] - found[1] == pytest.approx(2.2, abs=TWO_FRAMES), "an AVI counts chunks as time"


def test_shots_and_scenes_are_stored_with_their_item(tmp_path):
    folder = tmp_path / "media"
    folder.mkdir()
    media_makers.shots(folder / "a.mp4", CUTS, "libx264")
    workspace = Workspace.create(tmp_path / "workspace")
    assert ingest(workspace, [folder]).added == 1
    with workspace.engine.connect() as tx:
        rows = tx.execute(sa.select(schema.scenes)).mappings().all()
        (extra,) = tx.execute(sa.select(schema.items.c.extra)).scalars()
    shots = [row for row in rows if row["level"] == "shot"]
    assert [row["position"] for row in shots] == [0, 1, 2, 3]
    of_scenes = [row["keyframe"] for row in rows if row["level"] == "scene"]
    assert len(set(of_scenes)) == 4
    assert sorted(of_scenes) == of_scenes
    assert [part["start_s"] for part in extra["look"]] == [row["start_s"] for row in shots]


def test_flashes_and_changes_of_light_are_no_boundaries():
    picture = np.random.default_rng(5).integers(30, 200, SMALL_DIM).astype(np.uint8)
    frames = np.repeat(picture[None], 80, axis=0)
    frames[20] = 255 - picture  # one odd frame
    ramp = np.linspace(1.0, 0.6, 30)[:, None]
    frames[40:70] = (frames[40:70] * ramp).astype(np.uint8)  # the light goes down
    frames[70:] = frames[69]
    assert boundaries(Stretch(np.arange(80) / 25, frames)) == []


def film_of(*pictures: int) -> tuple[list[Shot], list[str], np.ndarray, np.ndarray]:
    """A shot of 4 s for each number: blocks of one shade of grey and one tint, by the number."""
    rng = np.random.default_rng(3)
    parts = []
    for number in pictures:
        tint = 70 + 9 * abs(number)
        luma = rng.permutation(np.linspace(60, 180, 576))[None].repeat(100, axis=0)
        chroma = np.full((100, SMALL_DIM - 576), tint)
        parts.append(np.concatenate([luma, chroma], axis=1))
    shots = [Shot(4.0 * n, 4.0 * n + 4.0) for n in range(len(pictures))]
    times = np.arange(100 * len(pictures)) / 25
    return (
        shots,
        ["start"] + ["cut"] * (len(pictures) - 1),
        times,
        np.concatenate(parts).astype(np.uint8),
    )


def test_a_scene_holds_what_one_place_shows_and_what_is_cut_in_between():
    """Blocks of each shot lie elsewhere: the colours tell the place, and a talk comes back."""
    found = scenes(*film_of(1, 1, 5, 5, 9, 1, 9, 1))
    assert [scene.start_s for scene in found] == [0.0, 8.0, 16.0]


def test_a_place_that_comes_back_much_later_is_another_scene():
    shots, kinds, times, frames = film_of(1, 5, 9, 1)
    assert len(scenes(shots, kinds, times, frames)) == 1
    far = [replace(shot, start_s=5 * shot.start_s, end_s=5 * shot.end_s) for shot in shots]
    assert len(scenes(far, kinds, 5 * times, frames)) == 4


def test_nothing_joins_across_a_fade():
    shots, _, times, frames = film_of(1, 1)
    assert len(scenes(shots, ["start", "cut"], times, frames)) == 1
    assert len(scenes(shots, ["start", "fade"], times, frames)) == 2


def test_keyframes_go_to_each_scene_first_and_then_to_other_shots_and_long_ones():
    found = [Scene(0.0, 30.0), Scene(30.0, 34.0)]
    parts = [Shot(0.0, 5.0), Shot(5.0, 28.0), Shot(28.0, 30.0), Shot(30.0, 34.0)]
    few = targets(found, parts, MediaLimits(max_keyframes=2))
    assert [(t.scene, t.start_s, t.end_s) for t in few] == [(0, 5.0, 28.0), (1, 30.0, 34.0)]
    many = targets(found, parts, MediaLimits())
    assert all(t.end_s - t.start_s >= 2.0 for t in many)
    assert {(t.start_s, t.end_s) for t in many} >= {(28.0, 30.0), (30.0, 32.0), (2.5, 5.0)}
    assert [t.start_s for t in many] == sorted(t.start_s for t in many)
    assert [t.scene for t in many if t.main] == [0, 1]
    short = targets([Scene(0.0, 3.0)], [Shot(0.0, 3.0)], MediaLimits())
    assert len(short) == 7, "a short film is known by more than its middle"


def test_scenes_of_nothing_are_none():
    assert scenes([], [], np.zeros(0), np.zeros((0, SMALL_DIM), np.uint8)) == []


def test_shot_settings_refuse_nonsense():
    with pytest.raises(BadSettings, match="min_cut must be > 0, got 0"):
        ShotSettings(min_cut=0)


def test_sizes_of_packets_tell_a_lasting_change_from_level_ones():
    calm = np.full(60, 1000.0)
    dissolve = calm.copy()
    dissolve[20:40] = 3000.0
    assert level(calm, 20_000)
    assert not level(dissolve, 20_000)
    assert level(np.where(dissolve > 1000, 30.0, 10.0), 20_000), "all of it is next to nothing"
    fade = calm.copy()
    fade[30:34] = 0.0
    assert empties(fade, 20_000)
    assert not empties(calm, 20_000)
    cut = calm.copy()
    cut[25] = 12_000.0
    assert spikes(cut, 20_000).tolist() == [25]
    assert spikes(dissolve, 20_000).tolist() == []
    assert spikes(cut, 60_000).tolist() == [], "small beside the keyframe of what follows"


def gaze(wide: np.ndarray, left: float) -> np.ndarray:
    """What 32 columns of a wide picture (18, n) show from ``left`` on, as a small frame."""
    at = int(left)
    part = left - at
    luma = (1 - part) * wide[:, at : at + 32] + part * wide[:, at + 1 : at + 33]
    return np.concatenate([luma.ravel(), np.full(SMALL_DIM - luma.size, 128)]).astype(np.uint8)


def panorama(seed: int) -> np.ndarray:
    """(18, 200) of smooth things of all sizes."""
    rng = np.random.default_rng(seed)
    wide = rng.normal(0, 1, (18, 232))
    smooth = np.stack([np.convolve(row, np.ones(12) / 12, "valid") for row in wide])
    return np.asarray(128 + 45 * smooth[:, :200] / smooth.std())


def test_a_pan_is_no_dissolve_and_a_dissolve_between_pans_is_one():
    times = np.arange(100) / 25
    pans = [np.stack([gaze(panorama(n), i / 3) for i in range(100)]) for n in range(12)]
    anyway = ShotSettings(blend_contrast=9.0)
    misled = [boundaries(Stretch(times, pan), anyway) for pan in pans]
    assert any(misled)  # the course of some is as even as that of a dissolve
    assert not any(boundaries(Stretch(times, pan)) for pan in pans)
    share = np.clip((np.arange(100) - 40) / 20, 0, 1)[:, None]
    for one, other in zip(pans[::2], pans[1::2], strict=True):
        mixed = ((1 - share) * one + share * other).astype(np.uint8)
        (found,) = boundaries(Stretch(times, mixed))
        assert 1.6 <= found.time_s <= 2.4
