"""Detectors of Hugging Face. The net is tiny and random, made here with the library's classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segue.config import Understanding
from segue.core.errors import BadPackage, NotFound
from segue.understand.sight.objects import WithObjects, detector
from segue.understand.sources import Clip, ItemSource
from segue.understanding import Chosen, encoders_of, plan_of


@pytest.fixture(scope="module")
def hub_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from transformers.models.yolos.image_processing_pil_yolos import (  # noqa: PLC0415 - an extra
        YolosImageProcessorPil as Processor,
    )

    torch.manual_seed(9)
    folder = tmp_path_factory.mktemp("models") / "tiny-yolos"
    names = ("N/A", "person", "bird")
    config = transformers.YolosConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        image_size=[32, 48], patch_size=8, num_detection_tokens=12,
        id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)},
    )  # fmt: skip
    model = transformers.AutoModelForObjectDetection.from_config(config)
    with torch.no_grad():  # surer than chance, and not always of the same
        model.vit.embeddings.detection_tokens.normal_(std=2.0)
        for layer in (*model.class_labels_classifier.layers, *model.bbox_predictor.layers):
            layer.weight.normal_(std=1.5)
        model.class_labels_classifier.layers[-1].weight.div_(8)
        model.bbox_predictor.layers[-1].weight.div_(20)
    model.save_pretrained(folder)
    Processor(size={"height": 32, "width": 48}).save_pretrained(folder)
    return folder


def noise(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (60, 90, 3), dtype=np.uint8))


def _corners(box: list[float]) -> list[float]:
    """Left, top, right, bottom within the picture, of centre, width and height."""
    x, y, w, h = box
    return [min(max(at, 0.0), 1.0) for at in (x - w / 2, y - h / 2, x + w / 2, y + h / 2)]


def test_any_detector_of_transformers_finds_what_the_library_finds(hub_model: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    looked = detector(f"hf:{hub_model}")
    assert looked.name.startswith("detect-tiny-yolos@")
    assert looked.labels == ("person", "bird")  # "N/A" names nothing
    pictures = [noise(n) for n in range(6)]
    found = looked.detect(pictures)
    model = transformers.AutoModelForObjectDetection.from_pretrained(hub_model).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(hub_model)
    every = []
    for picture, told in zip(pictures, found, strict=True):
        with torch.no_grad():
            outputs = model(**processor(images=picture, return_tensors="pt"))
        shares = outputs.logits.softmax(-1)[0, :, :-1].max(-1)
        wanted = [
            (model.config.id2label[int(label)], float(score), _corners(box.tolist()))
            for score, label, box in zip(
                shares.values, shares.indices, outputs.pred_boxes[0], strict=True
            )
            if score > 0.5
        ]
        every += [label for label, _, _ in wanted]
        wanted = sorted((x for x in wanted if x[0] != "N/A"), key=lambda x: -x[1])
        assert [x.label for x in told] == [x[0] for x in wanted]
        for one, (_, score, box) in zip(told, wanted, strict=True):
            assert one.score == pytest.approx(score, abs=1e-4)
            np.testing.assert_allclose(one.box, box, atol=1e-4)
    assert set(every) == {"N/A", "person", "bird"}
    assert max(len(told) for told in found) > 1
    assert looked.detect([]) == []


def test_a_hub_detector_takes_part_as_any_other(hub_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    noise(1).save(path)
    told = Understanding(sound="none", speech="none", objects=f"hf:{hub_model}")
    (step,) = (s for s in plan_of(Chosen(told)).cheap if s.name == "objects")
    item = ItemSource(1, "", (Clip("a", path),), ())
    (found,) = step.run([item])
    assert {m.name for m in found.measures} == {"people", "people_share"}
    seen = encoders_of(told).picture
    assert isinstance(seen, WithObjects)
    assert seen.labels[len(seen.base.labels) :] == ("person", "bird")


def test_what_is_no_detector_is_refused(tmp_path: Path, hub_model: Path) -> None:
    transformers = pytest.importorskip("transformers")
    with pytest.raises(NotFound, match="no model folder"):
        detector(f"hf:{tmp_path}/nowhere").detect([noise(0)])
    folder = tmp_path / "vit"
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
    )
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    with pytest.raises(BadPackage, match="AutoModelForObjectDetection cannot load it"):
        detector(f"hf:{folder}").detect([noise(0)])
