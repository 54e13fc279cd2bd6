"""A language model on films of TMDB: seconds a prompt, summaries that pass, tags against genres.

.venv/bin/python benchmarks/understand/bench_llm.py [--films 25] [--model FILE.gguf]
.venv/bin/python benchmarks/understand/bench_llm.py --url http://127.0.0.1:8080/v1 --name qwen

Without --url the small model runs in this process (segue[llm]). Peers in the same run: the three
commonest genres for each film, and the genres whose names are nearest to the plot by the text
encoder.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from segue.datasets.fetch import get
from segue.understand.findings import Findings
from segue.understand.remote.chat import Chat
from segue.understand.remote.endpoint import Endpoint, Remote, Server
from segue.understand.remote.local import QWEN, LocalModel
from segue.understand.remote.prompts import Reading, matter
from segue.understand.remote.steps import LargeSummary, LargeTags, Vocabulary
from segue.understand.sources import ItemSource
from segue.understand.text import UseMultilingual

SEED = 7
LEAST_CHARS = 200  # of a plot


class Nothing:
    """A local step that finds nothing, so that fall-backs are seen as what they are."""

    name = model = "nothing"

    def source(self, _item: ItemSource) -> str:
        return "nothing"

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [Findings() for _ in items]


def films(count: int) -> tuple[list[ItemSource], list[set[str]], list[str]]:
    """Films with a plot, their genres in lower case, and all genres by how common they are."""
    with (get("tmdb-5000") / "movies.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if len(row["overview"]) >= LEAST_CHARS]
    genres = [{genre["name"].lower() for genre in json.loads(row["genres"])} for row in rows]
    common = [name for name, _ in Counter(name for own in genres for name in own).most_common()]
    able = [n for n, own in enumerate(genres) if own]
    chosen = np.random.default_rng(SEED).choice(able, count, replace=False)
    items = [
        ItemSource(int(n), "", (), (), kind="film", title=rows[n]["title"],
                   description=rows[n]["overview"])
        for n in chosen
    ]  # fmt: skip
    return items, [genres[n] for n in chosen], common


def agreement(named: list[list[str]], right: list[set[str]]) -> str:
    hits = sum(len(set(n) & r) for n, r in zip(named, right, strict=True))
    given, wanted = sum(map(len, named)), sum(map(len, right))
    first = np.mean([bool(n) and n[0] in r for n, r in zip(named, right, strict=True)])
    return (
        f"precision {hits / max(1, given):.2f}, recall {hits / wanted:.2f}, "
        f"the first one right {first:.2f} ({given} named for {len(right)} films)"
    )


def nearest(items: list[ItemSource], names: list[str]) -> list[list[str]]:
    """The three genres whose names are nearest to the plot, less what all plots share."""
    encoder = UseMultilingual()
    plots = encoder.encode([f"{item.title}. {item.description}" for item in items])
    labels = encoder.encode([f"a {name} film" for name in names])
    cosines = (plots - plots.mean(axis=0)) @ (labels - labels.mean(axis=0)).T
    return [[names[n] for n in np.argsort(-row)[:3]] for row in cosines]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--films", type=int, default=25)
    parser.add_argument("--model", default=QWEN)
    parser.add_argument("--url")
    parser.add_argument("--name", default="model")
    given = parser.parse_args()
    server: Server = (
        Remote(Endpoint(given.url, given.name)) if given.url else LocalModel(given.model)
    )
    items, right, common = films(given.films)
    reading = Reading(max_chars=3_000)
    chat = Chat(server)
    genres = Vocabulary(genre=tuple(common), mood=(), setting=(), topic=())
    tags = LargeTags(chat, vocabulary=genres, reading=reading)
    print(f"{server.name}, {len(items)} films, {np.mean([len(i.description) for i in items]):.0f} "
          f"characters of plot on average")  # fmt: skip
    named, said = [], Counter()
    began, cpu = time.perf_counter(), time.process_time()
    for item in items:
        (found,) = tags.run([item])
        named.append([x.label for x in found.labels if x.kind == "genre"])
        said[found.said.partition("model: ")[2][:60]] += 1
    print(f"tags: {(time.perf_counter() - began) / len(items):.1f} s a prompt, "
          f"{(time.process_time() - cpu) / len(items):.1f} s of CPU; "
          f"{said['']} of {len(items)} usable", flush=True)  # fmt: skip
    print(f"  genres by the model: {agreement(named, right)}")
    print(f"  the three commonest: {agreement([common[:3]] * len(items), right)}")
    print(f"  nearest by USE:      {agreement(nearest(items, common), right)}", flush=True)
    print(f"  not usable: {dict(said)}")
    summaries = LargeSummary(chat, Nothing(), reading=reading)
    passed, why = [], Counter()
    began, cpu = time.perf_counter(), time.process_time()
    for item in items:
        (found,) = summaries.run([item])
        why[found.said.partition("model: ")[2][:60] or "passed"] += 1
        passed += [(item, note.text) for note in found.notes]
    print(f"summaries: {(time.perf_counter() - began) / len(items):.1f} s a prompt, "
          f"{(time.process_time() - cpu) / len(items):.1f} s of CPU; "
          f"{len(passed)} of {len(items)} pass the check")  # fmt: skip
    print(f"  {dict(why)}")
    for item, text in passed[:3]:
        print(f"  {item.title}: {text}\n    from: {matter(item).source[:300]}")


if __name__ == "__main__":
    main()
