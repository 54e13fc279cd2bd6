"""Pictures against hand-labelled truth: attributes by prompts, words to pictures, 8 bit, speed.

.venv/bin/python benchmarks/understand/bench_pictures.py [--int8] [--ocr]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from _pictures import Truth, truths
from PIL import Image

from segue.core.types import Floats
from segue.understand.align import LabelSpace, unit
from segue.understand.image import EfficientNetLite2
from segue.understand.sight.attributes import ATTRIBUTES, Attributes, ConseZeroShot, answers
from segue.understand.sight.look import appearance
from segue.understand.sight.phash import picture_hash
from segue.understand.text import UseMultilingual

SEED = 0
ROUNDS = 2_000
# Names of the truth table for the classes of segue.
COLUMNS = {"place": "place", "setting": "setting", "subject": "subject", "medium": "medium"}
CLASSES = {"in": "indoors", "out": "outdoors", "photo": "live action", "drawn": "animation"}
LEAST = Attributes().least


class Known(EfficientNetLite2):
    """The classifier with its answers for these pictures, each worked out once."""

    def __init__(self, probabilities: Floats) -> None:
        super().__init__()
        self._known = probabilities

    def classify(self, clips: Sequence[Path | Image.Image]) -> Floats:
        return self._known


def interval(values: Floats) -> str:
    """Mean with the 95 % interval of the bootstrap over pictures."""
    rng = np.random.default_rng(SEED)
    means = values[rng.integers(0, len(values), (ROUNDS, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def attributes(table: Sequence[Truth], probabilities: Floats) -> None:
    """Accuracy beside always saying the commonest class, and of the answers that are sure."""
    print("\nattributes by prompts, offline model (accuracy, 95 % interval)")
    model = ConseZeroShot(Known(probabilities))
    for attribute, rows in answers(model, [None] * len(table), ATTRIBUTES).items():
        classes = list(attribute.prompts)
        column = COLUMNS.get(attribute.name, "light" if attribute.name == "time-of-day" else "")
        if not column:
            print(f"  {attribute.name:14} not measured: nobody can state its truth from a frame")
            continue
        said = [CLASSES.get(getattr(t, column), getattr(t, column)) for t in table]
        known = np.array([label in classes for label in said])
        truth = np.array([classes.index(s) for s in said if s in classes])
        right = (rows[known].argmax(axis=1) == truth).astype(float)
        common = Counter(truth.tolist()).most_common(1)[0][0]
        gain = right - (truth == common)
        sure = rows[known].max(axis=1) >= LEAST
        each = [right[truth == c].mean() for c in sorted(set(truth.tolist()))]
        print(
            f"  {attribute.name:14} n={len(truth):3} accuracy {interval(right)} commonest class "
            f"{(truth == common).mean():.3f} gain {interval(gain)} mean over classes "
            f"{np.mean(each):.3f}; sure {sure.mean():.2f} of them: {right[sure].mean():.3f}"
            f"{'' if attribute.offline else '   (left out offline)'}"
        )
        for c, label in enumerate(classes):
            mine = (rows[known].argmax(axis=1) == c) & sure
            if mine.any() and attribute.offline:
                print(
                    f"      {label:12} {'' if label in attribute.offline else '(left out) '}"
                    f"sure {mine.sum()} times, right {right[mine].mean():.2f}, "
                    f"of all {(truth == c).mean():.2f}"
                )


def ranks(queries: Floats, placed: Floats) -> np.ndarray:
    cosines = unit(queries) @ unit(placed).T
    return (cosines > np.diag(cosines)[:, None]).sum(axis=1)


def retrieval(table: Sequence[Truth], probabilities: Floats, features: Floats) -> None:
    """A caption as query: where stands its picture among all?"""
    texts, labels = UseMultilingual(), EfficientNetLite2()
    asked = {
        "en": texts.encode([t.caption_en for t in table]),
        "zh": texts.encode([t.caption_zh for t in table]),
    }
    glosses = labels.glosses

    def conse(top: int, temperature: float, said: Sequence[str] = glosses) -> Floats:
        space = LabelSpace(labels.labels, texts, tuple(said), top, temperature)
        return space.place(probabilities)

    ways = {
        "ConSE, names alone": conse(10, 1.0, ()),
        "ConSE, top 10 (as before)": conse(10, 1.0),
        "ConSE, tempered 2.5, top 20": conse(20, 2.5),
        "ridge from class weights": features @ ridge(texts, labels, 10.0),
    }
    ways["tempered + ridge"] = unit(ways["ConSE, tempered 2.5, top 20"]) + 0.6 * unit(
        ways["ridge from class weights"]
    )
    print(
        f"\nwords to pictures: {len(table)} captions in two languages, chance R@5 "
        f"{5 / len(table):.3f}"
    )
    for name, placed in ways.items():
        for language, queries in asked.items():
            r = ranks(queries, placed)
            print(
                f"  {name:28} {language}  R@1 {interval((r < 1) * 1.0)}  "
                f"R@5 {interval((r < 5) * 1.0)}  MRR {np.mean(1 / (1 + r)):.3f}"
            )
    held_out(table, asked, conse)


def held_out(table: Sequence[Truth], asked: dict[str, Floats], conse: object) -> None:
    """Temperature and top chosen on one half of the pictures, measured on the other."""
    half = np.random.default_rng(SEED).permutation(len(table)) % 2 == 0
    settings = [(top, t) for top in (10, 20, 30, 50) for t in (1.0, 1.5, 2.0, 2.5, 3.0)]
    placed = {s: conse(*s) for s in settings}  # type: ignore[operator]

    def worth(setting: tuple[int, float], rows: np.ndarray) -> float:
        return float(
            np.mean(
                [np.mean(1 / (1 + ranks(q[rows], placed[setting][rows]))) for q in asked.values()]
            )
        )

    for name, choose, test in (("a", half, ~half), ("b", ~half, half)):
        best = max(settings, key=lambda s: worth(s, choose))
        print(
            f"  chosen on half {name}: top {best[0]}, temperature {best[1]}; on the other half MRR "
            f"{worth(best, test):.3f}, as before {worth((10, 1.0), test):.3f}"
        )


def ridge(texts: UseMultilingual, labels: EfficientNetLite2, weight: float) -> Floats:
    """(1280, 512): from the classifier's weight of each class to where its name stands."""
    import onnx  # noqa: PLC0415 - reads the classifier's last layer

    from segue.understand.image import convert  # noqa: PLC0415
    from segue.understand.runtime import converted  # noqa: PLC0415

    model = onnx.load(converted("efficientnet-lite2", convert, version=1))
    (last,) = (c for c in model.graph.initializer if c.name == "_fc.weight")
    rows = onnx.numpy_helper.to_array(last)
    rows = rows - rows.mean(axis=0)
    space = LabelSpace(labels.labels, texts, labels.glosses)
    return np.linalg.solve(rows.T @ rows + weight * np.eye(rows.shape[1]), rows.T @ space.vectors)


def speed(pictures: Sequence[Image.Image], folder: Path) -> None:
    """Milliseconds a keyframe of 640 px, JPEG decoding included where the step decodes."""
    paths = []
    for number, picture in enumerate(pictures[:40]):
        paths.append(folder / f"{number}.jpg")
        picture.save(paths[-1], quality=85)
    model = EfficientNetLite2()
    model.encode(paths[:1])

    def opened(path: Path, side: int) -> Image.Image:
        picture = Image.open(path)
        picture.draft("RGB", (side, side))
        return picture.convert("RGB")

    print("\nspeed, one thread, best of three")
    for name, work in {
        "look": lambda: [appearance(opened(p, 256)) for p in paths],
        "perceptual hash": lambda: [picture_hash(opened(p, 256)) for p in paths],
        "EfficientNet-lite2": lambda: model.encode(paths),
    }.items():
        best = min(timed(work) for _ in range(3))
        print(f"  {name:20} {1000 * best / len(paths):6.1f} ms a keyframe")


def timed(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


def main(arguments: Iterable[str] | None = None) -> None:
    import tempfile  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args(None if arguments is None else list(arguments))
    table = truths()
    pictures = [truth.picture() for truth in table]
    model = EfficientNetLite2()
    probabilities, features = model.classify(pictures), model.encode(pictures)
    print(f"{len(table)} hand-labelled pictures")
    attributes(table, probabilities)
    retrieval(table, probabilities, features)
    with tempfile.TemporaryDirectory() as folder:
        speed(pictures, Path(folder))


if __name__ == "__main__":
    main()
