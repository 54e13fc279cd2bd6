"""The real encoders on real texts, pictures and sounds."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.signal import resample_poly

from segue.core.errors import UnreadableMedia
from segue.core.types import Floats
from segue.datasets.fetch import Unavailable, get
from segue.understand.align import LabelSpace, best_labels, unit
from segue.understand.audio import PATCH, RATE_HZ, YamNet, log_mel, patch_starts, read_wav
from segue.understand.image import EfficientNetLite2, pixels
from segue.understand.text import UseMultilingual, item_text, words


def fetched(name: str) -> Path:
    try:
        return get(name)
    except Unavailable as error:
        pytest.skip(f"cannot be had here: {error}")


@pytest.fixture(scope="module")
def texts() -> UseMultilingual:
    return UseMultilingual()


@pytest.fixture(scope="module")
def pictures() -> EfficientNetLite2:
    for name in ("efficientnet-lite2", "imagenet-labels"):
        fetched(name)
    return EfficientNetLite2()


@pytest.fixture(scope="module")
def sounds() -> YamNet:
    fetched("yamnet")
    return YamNet()


@pytest.fixture(scope="module")
def photos() -> dict[str, Path]:
    folder = fetched("media-scikit-image")
    names = ("chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg", "camera.png")
    return {name.partition(".")[0]: folder / name for name in names}


@pytest.fixture(scope="module")
def clips() -> dict[str, Floats]:
    """A drum kit, white noise and silence, 16 kHz mono."""
    with wave.open(str(fetched("media-pyo") / "drumloop.wav")) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        mono = data.reshape(-1, file.getnchannels()).mean(axis=1) / 32768
        drums = resample_poly(mono, RATE_HZ, file.getframerate())
    noise = np.random.default_rng(0).normal(size=2 * RATE_HZ) * 0.2
    quiet = np.zeros(RATE_HZ)
    made = {"drums": drums, "noise": noise, "silence": quiet}
    return {name: np.asarray(clip, dtype=np.float32) for name, clip in made.items()}


def test_one_thought_in_three_languages_is_near_and_another_is_far(texts: UseMultilingual) -> None:
    said = ["a cat sits on the sofa", "一只猫坐在沙发上", "un gato está en el sofá", "股市今天下跌"]
    vectors = texts.encode(said)
    cosines = vectors @ vectors.T
    assert vectors.shape == (4, 512)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert cosines[0, 1] > 0.7
    assert cosines[0, 2] > 0.7
    assert np.abs(cosines[:3, 3]).max() < 0.3
    assert texts.encode([]).shape == (0, 512)


def test_a_text_alone_and_in_a_batch_give_the_same_vector(texts: UseMultilingual) -> None:
    said = ["Alien", "a long sentence about the sea " * 30, "外星人"]
    together = texts.encode(said)
    alone = np.concatenate([texts.encode([text]) for text in said])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_item_text_is_short_and_leaves_out_what_is_missing() -> None:
    text = item_text("Alien (1979)", ["space", "horror"], "A crew. " * 100, ["Ridley Scott"])
    assert text.startswith("Alien. space, horror. A crew.")
    assert text.endswith("Ridley Scott")
    assert "1979" not in text
    assert len(text.split()) < 80
    assert item_text("Alien") == "Alien"
    assert item_text("", ["a"], "", ()) == "a"
    assert len(words("字" * 5000, 60)) == 480


def test_pictures_are_recognised(pictures: EfficientNetLite2, photos: dict[str, Path]) -> None:
    probabilities = pictures.classify(list(photos.values()))
    assert probabilities.shape == (5, 1000)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    top = {
        name: best_labels(pictures.labels, row, 5, 0.0)
        for name, row in zip(photos, probabilities, strict=True)
    }
    assert top["coffee"][0] == ("espresso", pytest.approx(0.88, abs=0.1))
    assert "Egyptian Mau" in [label for label, _ in top["chelsea"]]
    assert top["camera"][0][0] == "tripod"
    assert {"moped", "motor scooter"} & {label for label, _ in top["motorcycle_left"]}


def test_features_are_unit_rows_that_do_not_depend_on_the_batch(
    pictures: EfficientNetLite2, photos: dict[str, Path]
) -> None:
    paths = list(photos.values())
    together = pictures.encode(paths)
    assert together.shape == (5, 1280)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together[3:4], pictures.encode([paths[3]]), atol=1e-5)
    assert pictures.encode([]).shape == (0, 1280)
    assert pictures.classify([]).shape == (0, 1000)


def test_pixels_are_the_middle_square_scaled_as_in_training() -> None:
    wide = Image.new("RGB", (900, 300), (255, 255, 255))
    wide.paste((127, 127, 127), (300, 0, 600, 300))
    seen = pixels(wide)
    assert seen.shape == (3, 260, 260)
    assert np.abs(seen).max() == 0.0  # the white sides are outside the square


def test_unreadable_pictures_and_sounds_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff not a picture")
    with pytest.raises(UnreadableMedia, match=r"bad\.jpg: not a readable picture"):
        pixels(bad)
    bad_wav = tmp_path / "bad.wav"
    bad_wav.write_bytes(b"RIFF")
    with pytest.raises(UnreadableMedia, match=r"bad\.wav: not a readable wav"):
        read_wav(bad_wav)
    with wave.open(str(tmp_path / "fast.wav"), "wb") as file:
        file.setparams((2, 2, 44_100, 0, "NONE", ""))
        file.writeframes(b"\0" * 400)
    with pytest.raises(UnreadableMedia, match="expected 16 kHz mono 16 bit"):
        read_wav(tmp_path / "fast.wav")


def test_sounds_are_recognised(sounds: YamNet, clips: dict[str, Floats]) -> None:
    probabilities = sounds.classify(list(clips.values()))
    assert probabilities.shape == (3, 521)
    top = {
        name: [label for label, _ in best_labels(sounds.labels, row, 5, 0.1)]
        for name, row in zip(clips, probabilities, strict=True)
    }
    assert top["drums"][0] == "Music"
    assert "Drum kit" in top["drums"]
    assert {"Noise", "White noise", "Static", "Pink noise"} & set(top["noise"])
    assert top["silence"][0] == "Silence"
    embeddings = sounds.encode(list(clips.values()))
    assert embeddings.shape == (3, 1024)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert sounds.encode([]).shape == (0, 1024)


def test_patches_cover_short_and_long_clips() -> None:
    assert patch_starts(100, 40) == [0]
    assert patch_starts(PATCH + 7680, 40) == [0, 7680]
    hour = patch_starts(3600 * RATE_HZ, 40)
    assert len(hour) == 40
    assert hour[0] == 0
    assert 3600 * RATE_HZ - PATCH - 7680 < hour[-1] <= 3600 * RATE_HZ - PATCH
    assert log_mel(np.zeros(10, np.float32), [0]).shape == (1, 96, 64)


def test_a_tone_lights_the_mel_bands_at_its_pitch() -> None:
    t = np.arange(RATE_HZ) / RATE_HZ
    low, high = (np.sin(2 * np.pi * f * t).astype(np.float32) for f in (300.0, 4000.0))
    peaks = [int(log_mel(tone, [0])[0].mean(axis=0).argmax()) for tone in (low, high)]
    assert peaks[0] < 12
    assert peaks[1] > 40


def test_words_of_two_languages_find_pictures_and_sounds(
    texts: UseMultilingual,
    pictures: EfficientNetLite2,
    sounds: YamNet,
    photos: dict[str, Path],
    clips: dict[str, Floats],
) -> None:
    seen = LabelSpace(pictures.labels, texts, pictures.glosses)
    heard = LabelSpace(sounds.labels, texts, sounds.glosses)
    shown = unit(seen.place(pictures.classify(list(photos.values()))))
    played = unit(heard.place(sounds.classify(list(clips.values()))))
    queries = {
        "chelsea": ("a cat", "一只猫"),
        "coffee": ("a cup of coffee", "一杯咖啡"),
        "motorcycle_left": ("motorcycle", "摩托车"),
        "rocket": ("rocket launch", "火箭发射"),
        "camera": ("photographer", "摄影师"),
    }
    for name, asked in queries.items():
        for vector in texts.encode(asked):
            assert list(photos)[int(np.argmax(shown @ vector))] == name
    for vector in texts.encode(["someone plays the drums", "打鼓"]):
        assert list(clips)[int(np.argmax(played @ vector))] == "drums"


@pytest.mark.slow
def test_the_onnx_picture_model_equals_torch(pictures: EfficientNetLite2) -> None:
    """Needs torch and efficientnet_lite_pytorch, which segue itself does not."""
    torch = pytest.importorskip("torch")
    lite = pytest.importorskip("efficientnet_lite_pytorch")
    (checkpoint,) = get("efficientnet-lite2").glob("*.pth")
    model = lite.EfficientNet.from_name("efficientnet-lite2")
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    model.eval()
    batch = np.random.default_rng(0).normal(size=(2, 3, 260, 260)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(batch)).numpy()
    (logits,) = pictures._session.run(["logits"], {"pixels": batch})
    np.testing.assert_allclose(logits, expected, atol=1e-4)
