"""What each modality adds to the one space, on the media of a demo workspace.

    .venv/bin/segue demo --workspace demo --no-serve
    .venv/bin/python benchmarks/understand/bench_fusion.py --workspace demo

The query is the description that a person wrote of an item; the items are encoded without it, from
title and tags, pictures and sound, and with each of them left out. Rank of the right item among all
media of the workspace that have any of the modalities that are left.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from segue.core.types import Bools, Floats
from segue.evaluate.compare import bootstrap
from segue.store.catalogue import load_catalogue
from segue.store.vectors import load_vectors
from segue.store.workspace import Workspace
from segue.understand.fuse import FuseWeights, fuse
from segue.understand.text import UseMultilingual, item_text

MODALITIES = ("text", "picture", "sound")
SEED = 0


def parts(workspace: Workspace) -> tuple[list[dict[str, Floats]], list[str], list[str]]:
    """Vectors by modality, descriptions and kinds of all media that have a description."""
    stored = load_catalogue(workspace.engine)
    texts = UseMultilingual()
    media = [
        row
        for row, item in enumerate(stored.catalogue.items)
        if item.content_hash is not None and item.description.strip()
    ]
    items = [stored.catalogue.items[row] for row in media]
    written = texts.encode([item_text(i.title, i.tags, "", i.creators) for i in items])
    seen = {m: load_vectors(workspace.engine, stored.nums, m) for m in ("picture", "sound")}
    out = []
    for place, row in enumerate(media):
        found = {"text": written[place]}
        found |= {m: v.values[row] for m, v in seen.items() if v.present[row]}
        out.append(found)
    return out, [i.description for i in items], [i.kind for i in items]


def ranks(items: list[dict[str, Floats]], queries: Floats, kept: tuple[str, ...]) -> Floats:
    """(n,) rank of each query's item, 1 the best; nan for an item that nothing is left of."""
    left = [fuse({m: v for m, v in item.items() if m in kept}, FuseWeights()) for item in items]
    there: Bools = np.array([vector is not None for vector in left])
    vectors = np.stack([v if v is not None else np.zeros(queries.shape[1]) for v in left])
    # What all items share says nothing of any.
    centred = vectors - vectors[there].mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    scores = queries @ centred.T
    scores[:, ~there] = -np.inf
    own = np.diag(scores)
    found = 1.0 + (scores > own[:, None]).sum(axis=1)
    found[~there] = np.nan
    return np.asarray(found)


def line(name: str, found: Floats, chosen: Bools) -> str:
    here = found[chosen & np.isfinite(found)]
    if not len(here):
        return f"{name:24} {'':>5}"
    mrr = bootstrap(1 / here, np.random.default_rng(SEED))
    top = np.mean(here <= 5)
    return f"{name:24} {len(here):5}  {mrr.mean:.3f} [{mrr.low:.3f}, {mrr.high:.3f}]  {top:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("demo"))
    items, described, kinds = parts(Workspace.open(parser.parse_args().workspace))
    queries = UseMultilingual().encode(described)
    settings = {
        "all": MODALITIES,
        **{f"without {m}": tuple(x for x in MODALITIES if x != m) for m in MODALITIES},
        **{f"{m} alone": (m,) for m in MODALITIES},
    }
    several = {
        "every item": np.ones(len(items), np.bool_),
        "with pictures": np.array(["picture" in item for item in items]),
        "with sound": np.array(["sound" in item for item in items]),
    }
    print(f"{len(items)} items: " + ", ".join(f"{k} {kinds.count(k)}" for k in sorted(set(kinds))))
    for group, chosen in several.items():
        print(f"\n{group:24} items  MRR                     top 5")
        for name, kept in settings.items():
            print(line(name, ranks(items, queries, kept), chosen))


if __name__ == "__main__":
    main()
