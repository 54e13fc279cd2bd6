"""The CLAP adapter on a tiny model with random weights, made and saved here."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from segue.core.errors import BadInput, BadPackage
from segue.understand.sound.clap import Clap
from segue.understand.sound.recording import RATE_HZ

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WORDS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyz", "Ġ"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clap")
    (path / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(WORDS)}))
    (path / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.RobertaTokenizer.from_pretrained(path, model_max_length=24)
    hear = transformers.ClapFeatureExtractor(
        feature_size=32, sampling_rate=48_000, max_length_s=2, nb_max_samples=96_000,
        truncation="rand_trunc", padding="repeatpad",
    )  # fmt: skip
    transformers.ClapProcessor(hear, tokenizer).save_pretrained(path)
    torch.manual_seed(3)
    text = {"vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 40,
            "pad_token_id": 1, "projection_dim": 8}  # fmt: skip
    audio = {"patch_embeds_hidden_size": 16, "depths": [1, 1], "num_attention_heads": [2, 2],
             "hidden_size": 32, "spec_size": 128, "num_mel_bins": 32, "patch_size": 4,
             "patch_stride": [4, 4], "window_size": 4, "num_classes": 4,
             "projection_dim": 8}  # fmt: skip
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=8)
    transformers.ClapModel(config).save_pretrained(path)
    return path


def tone(hertz: float, seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def test_sounds_and_texts_become_unit_vectors_of_one_space(folder: Path) -> None:
    clap = Clap(str(folder))
    sounds = clap.encode([tone(220, 1.0), tone(2200, 5.0)])
    texts = clap.encode_texts(["a dog", "rain on a roof", ""])
    assert clap.dim == 8
    assert sounds.shape == (2, 8)
    assert texts.shape == (3, 8)
    for rows in (sounds, texts):
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert abs(sounds[0] @ sounds[1]) < 0.999999
    assert clap.encode([]).shape == (0, 8)
    assert clap.encode_texts([]).shape == (0, 8)


def test_a_file_and_its_samples_give_the_same_vector_every_time(
    folder: Path, tmp_path: Path
) -> None:
    samples = np.round(tone(440, 7.0) * 32768).astype("<i2")
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
    clap = Clap(str(folder))
    heard = clap.encode([path, samples.astype(np.float32) / 32768, path])
    np.testing.assert_allclose(heard[0], heard[1], atol=1e-6)
    np.testing.assert_array_equal(heard[0], heard[2])


def test_the_vector_of_a_text_is_what_the_model_itself_says(folder: Path) -> None:
    model = transformers.ClapModel.from_pretrained(folder).eval()
    processor = transformers.ClapProcessor.from_pretrained(folder)
    given = processor.tokenizer(["a bell"], return_tensors="pt")
    with torch.inference_mode():
        hidden = model.text_model(**given).pooler_output
        wanted = model.text_projection(hidden)[0].numpy()
    wanted /= np.linalg.norm(wanted)
    np.testing.assert_allclose(Clap(str(folder)).encode_texts(["a bell"])[0], wanted, atol=1e-5)


def test_what_cannot_be_loaded_is_refused_with_a_remedy(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no model named"):
        Clap("")
    with pytest.raises(BadPackage, match="safetensors"):
        Clap(str(tmp_path)).encode_texts(["a"])
