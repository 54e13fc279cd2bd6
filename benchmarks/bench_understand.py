"""Speed of the encoders, one thread: texts/s, pictures/s, sound against real time, one query.

.venv/bin/python benchmarks/bench_understand.py
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from segue.datasets.demo import demo_media
from segue.datasets.fetch import get
from segue.understand.audio import RATE_HZ, YamNet
from segue.understand.image import EfficientNetLite2
from segue.understand.text import UseMultilingual, item_text

TEXTS = 400
SOUND_S = 300
ROUNDS = 3


def film_texts() -> list[str]:
    """Texts as understanding reads them: title, genres and keywords, start of the plot."""
    with (get("tmdb-5000") / "movies.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row, _ in zip(csv.DictReader(file), range(TEXTS), strict=False)]
    return [
        item_text(
            row["title"],
            [tag["name"] for key in ("genres", "keywords") for tag in json.loads(row[key])],
            row["overview"],
        )
        for row in rows
    ]


def best_s(work: Callable[[], object]) -> float:
    """Seconds of the fastest round: the others waited for something else."""
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> None:
    texts, text_model = film_texts(), UseMultilingual()
    pictures: list[Path] = sorted((demo_media().folder / "images").iterdir()) * 3
    picture_model, sound_model = EfficientNetLite2(), YamNet()
    noise = np.random.default_rng(0).normal(0, 0.1, SOUND_S * RATE_HZ).astype(np.float32)
    every = YamNet(max_patches=10**6)
    with threadpool_limits(limits=1, user_api="blas"):
        for warm in (
            lambda: text_model.encode(["a"]),
            lambda: picture_model.classify(pictures[:1]),
            lambda: sound_model.classify([noise[:RATE_HZ]]),
            lambda: every.classify([noise[:RATE_HZ]]),
        ):
            warm()
        words = np.mean([len(text.split()) for text in texts])
        text_s = best_s(lambda: text_model.encode(texts))
        query_s = best_s(lambda: text_model.encode(["space films with robots"]))
        picture_s = best_s(lambda: picture_model.classify(pictures))
        sound_s = best_s(lambda: sound_model.classify([noise]))
        all_s = best_s(lambda: every.classify([noise]))
    print(f"texts ({words:.0f} words on average): {len(texts) / text_s:.0f}/s")
    print(f"one search query: {1000 * query_s:.1f} ms")
    print(f"pictures, decoding included: {len(pictures) / picture_s:.0f}/s")
    print(f"a sound of {SOUND_S} s, 40 patches of it: {SOUND_S / sound_s:.0f}x real time")
    print(f"a sound of {SOUND_S} s, all of it: {SOUND_S / all_s:.0f}x real time")


if __name__ == "__main__":
    main()
