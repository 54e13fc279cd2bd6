"""Things and people in pictures against labels by eye: precision, recall, cost, and what they do
for words that look for pictures.

.venv/bin/python benchmarks/understand/bench_objects.py

``objects.tsv`` says of the pictures of ``pictures.tsv`` whether people are in them ("small": they
are, but not what the picture is about; "-": not to be decided, such as an arm or a silhouette), how
many where they can be counted, and which of COCO's other classes. Drawn things count.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _pictures import Truth, truths
from bench_pictures import CLASSES, COLUMNS, Known, interval, ranks
from PIL import Image
from scipy.stats import binomtest

from segue.core.types import Bools, Floats
from segue.understand.align import unit
from segue.understand.annotate import space_of
from segue.understand.image import EfficientNetLite2
from segue.understand.sight.attributes import ATTRIBUTES, Attributes, ConseZeroShot, answers
from segue.understand.sight.objects import COCO, PERSON, Detector, WithObjects, detector
from segue.understand.text import UseMultilingual

TABLE = Path(__file__).with_name("objects.tsv")
DETECTORS = ("nanodet-g", "nanodet-m")
STEPS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
SEED = 0


def seen_by_eye() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def of(part: int, whole: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    if not whole:
        return "none"
    low, high = binomtest(part, whole).proportion_ci(method="wilson")
    return f"{part / whole:.2f} [{low:.2f}, {high:.2f}] of {whole}"


def found_scores(looked: Detector, pictures: Sequence[Image.Image]) -> Floats:
    """(n, 80) best score of each class; 0 where the detector tells nothing."""
    scores = np.zeros((len(pictures), len(COCO)), dtype=np.float32)
    for row, found in enumerate(looked.detect(pictures)):
        for each in found:
            at = COCO.index(each.label)
            scores[row, at] = max(scores[row, at], each.score)
    return scores


def balance(said: Bools, true: Bools) -> tuple[int, int, int]:
    """Right, said, true."""
    return int((said & true).sum()), int(said.sum()), int(true.sum())


def f1(said: Bools, true: Bools) -> float:
    right, told, there = balance(said, true)
    return 2 * right / max(told + there, 1)


def people(name: str, said: Floats, least: float, rows: Sequence[dict[str, str]]) -> None:
    """Whether anybody is there; "small" ones count in the first line only."""
    kinds = np.array([row["people"] for row in rows])
    for about, known, true in (
        ("anybody", kinds != "-", np.isin(kinds, ("yes", "small"))),
        ("not small", (kinds == "yes") | (kinds == "no"), kinds == "yes"),
    ):
        right, told, there = balance(said[known] >= least, true[known])
        print(f"  {name:22} {about:10} precision {of(right, told)}   recall {of(right, there)}")


def chosen(said: Floats, known: Bools, true: Bools) -> None:
    """The threshold that is best on one half of the pictures, measured on the other."""
    half = np.random.default_rng(SEED).permutation(len(said)) % 2 == 0
    for about, choose, test in (("a", half, ~half), ("b", ~half, half)):
        best = max(STEPS, key=lambda s: f1(said[choose & known] >= s, true[choose & known]))
        right, told, there = balance(said[test & known] >= best, true[test & known])
        print(
            f"    chosen on half {about}: {best:g}; on the other half precision "
            f"{of(right, told)}, recall {of(right, there)}"
        )


def counts(
    looked: Detector, pictures: Sequence[Image.Image], rows: Sequence[dict[str, str]]
) -> None:
    """How many people, in pictures with some that could be counted."""
    told = [sum(x.label == PERSON for x in found) for found in looked.detect(pictures)]
    pairs = [(t, int(r["count"])) for t, r in zip(told, rows, strict=True) if int(r["count"] or 0)]
    exact = sum(t == n for t, n in pairs)
    off = sum(abs(t - n) for t, n in pairs) / len(pairs)
    print(f"    how many people: exact {of(exact, len(pairs))}, off by {off:.2f} in the mean")


def things(scores: Floats, sure: float, rows: Sequence[dict[str, str]]) -> None:
    true = np.array([[c in row["things"].split(", ") for c in COCO] for row in rows])
    known = ~np.array([[c in row["unsure"].split(", ") for c in COCO] for row in rows])
    known[:, COCO.index(PERSON)] = False
    for least in sorted({sure, 0.5, 0.6, 0.7}):
        right, told, there = balance((scores >= least)[known], true[known])
        mark = " (in use)" if least == sure else ""
        print(f"    things from {least:g}{mark}: precision {of(right, told)}, recall "
              f"{of(right, there)}")  # fmt: skip


def captions(
    table: Sequence[Truth],
    pictures: Sequence[Image.Image],
    plain: Known,
    looked: Sequence[Detector],
) -> None:
    """A caption as query, with and without what was detected."""
    texts = UseMultilingual()
    asked = {
        "en": texts.encode([t.caption_en for t in table]),
        "zh": texts.encode([t.caption_zh for t in table]),
    }
    print("\nwords to pictures, captions in two languages (95 % interval over pictures)")
    before: dict[str, np.ndarray] = {}
    for each in (None, *looked):
        classifier = plain if each is None else WithObjects(plain, each)
        placed = space_of(classifier, texts).place(classifier.classify(pictures))
        for language, queries in asked.items():
            r = ranks(queries, unit(placed))
            said = f"R@5 {interval((r < 5) * 1.0)}  MRR {np.mean(1 / (1 + r)):.3f}"
            if each is None:
                before[language] = r
            else:
                gain = 1 / (1 + r) - 1 / (1 + before[language])
                said += f"  MRR gained {interval(gain)}"
            print(f"  {'without' if each is None else each.name:18} {language}  {said}")


def attributes(
    table: Sequence[Truth],
    pictures: Sequence[Image.Image],
    plain: Known,
    looked: Sequence[Detector],
) -> None:
    """Zero-shot names with and without what was detected: accuracy, and of the sure ones."""
    print("\nattributes by prompts")
    wanted = [a for a in ATTRIBUTES if a.offline]
    least = Attributes().least
    for each in (None, *looked):
        model = ConseZeroShot(plain if each is None else WithObjects(plain, each))
        for attribute, rows in answers(model, pictures, wanted).items():
            classes = list(attribute.prompts)
            column = COLUMNS[attribute.name]
            said = [CLASSES.get(getattr(t, column), getattr(t, column)) for t in table]
            known = np.array([label in classes for label in said])
            truth = np.array([classes.index(s) for s in said if s in classes])
            right = (rows[known].argmax(axis=1) == truth).astype(float)
            sure = rows[known].max(axis=1) >= least
            print(
                f"  {'without' if each is None else each.name:18} {attribute.name:8} n={len(truth)}"
                f" accuracy {interval(right)}; sure {sure.mean():.2f} of them: "
                f"{right[sure].mean():.3f}"
            )


def speed(pictures: Sequence[Image.Image]) -> None:
    """Of pictures of 640 px that are decoded already; one thread."""
    print("\nCPU-s a picture of at most 640 px, one thread, best of three")
    model = EfficientNetLite2()
    works = {"EfficientNet-lite2": lambda: model.classify(pictures[:40])}
    for name in DETECTORS:
        looked = detector(name).asked  # type: ignore[attr-defined]  # not what it remembers
        works[name] = lambda looked=looked: looked.detect(pictures[:40])
    for name, work in works.items():
        work()
        best = min(timed(work) for _ in range(3))
        print(f"  {name:20} {best / 40:.4f}")


def timed(work: object) -> float:
    start = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - start


def main() -> None:
    table, rows = truths(), seen_by_eye()
    assert [(t.package, t.file) for t in table] == [(r["package"], r["file"]) for r in rows]
    pictures = [truth.picture() for truth in table]
    plain = Known(EfficientNetLite2().classify(pictures))
    kinds = np.array([row["people"] for row in rows])
    known, true = kinds != "-", np.isin(kinds, ("yes", "small"))
    print(f"{len(table)} pictures, {int(true.sum())} with people, of which "
          f"{int((kinds == 'small').sum())} small; {int((~known).sum())} left out")  # fmt: skip
    print("\nis anybody there?")
    (subject,) = (a for a in ATTRIBUTES if a.name == "subject")
    named = answers(ConseZeroShot(plain), pictures, [subject])[subject]
    at = list(subject.prompts).index(PERSON)
    least = Attributes().least
    told = np.where(named.argmax(axis=1) == at, named[:, at], 0.0)
    people("ImageNet and prompts", told, least, rows)
    looked = [detector(name) for name in DETECTORS]
    for each in looked:
        each.asked.least = min(STEPS)  # type: ignore[attr-defined]
        scores = found_scores(each.asked, pictures)  # type: ignore[attr-defined]
        each.asked.least = each.least  # type: ignore[attr-defined]
        people(each.name, scores[:, COCO.index(PERSON)], each.least, rows)
        chosen(scores[:, COCO.index(PERSON)], known, true)
        counts(each, pictures, rows)
        things(scores, each.sure, rows)
    captions(table, pictures, plain, looked)
    attributes(table, pictures, plain, looked)
    speed(pictures)


if __name__ == "__main__":
    main()
