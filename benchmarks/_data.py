"""The two MovieLens sets as Training values, for benchmarks and tests."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from segue import datasets
from segue.core.behaviour import BehaviourWeights
from segue.core.types import Catalogue, Interactions, Item, Profile, Training, Vectors


def _interactions(
    users: np.ndarray, items: np.ndarray, ratings: np.ndarray, times: np.ndarray
) -> Interactions:
    order = np.argsort(times, kind="stable")
    ratings = ratings[order]
    weight = BehaviourWeights().weigh(np.full(len(ratings), "rating"), ratings)
    return Interactions(
        users=users[order].astype(np.intp),
        items=items[order].astype(np.intp),
        weight=weight,
        time=times[order].astype(np.float64),
        n_users=int(users.max()) + 1,
        n_items=int(items.max()) + 1,
        value=ratings.astype(np.float32),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [{k.split(":")[0]: v for k, v in row.items()} for row in reader]


def genre_vectors(items: tuple[Item, ...]) -> Vectors:
    """A small content space of genres and decade: enough to test with, no encoder needed."""
    names = sorted({t for i in items for t in i.tags})
    column = {name: c for c, name in enumerate(names)}
    values = np.zeros((len(items), len(names) + 10), dtype=np.float32)
    for row, item in enumerate(items):
        for tag in item.tags:
            values[row, column[tag]] = 1
        if item.year is not None:
            values[row, len(names) + min(9, max(0, (item.year - 1920) // 8))] = 0.7
    length = np.linalg.norm(values, axis=1)
    present = length > 0
    values[present] /= length[present, None]
    return Vectors(values, present, "genres")


def ml100k(folder: Path | None = None) -> Training:
    """MovieLens-100K: titles, years, genres as tags; age, gender and occupation of people."""
    folder = datasets.get("movielens-100k") if folder is None else folder
    items = []
    for row in _rows(folder / "ml-100k.item"):
        year = row["release_year"]
        items.append(
            Item(
                id=row["item_id"],
                kind="movie",
                title=row["movie_title"],
                tags=tuple(t.lower() for t in row["class"].split()),
                year=int(year) if year.isdigit() else None,
            )
        )
    catalogue = Catalogue(tuple(items))
    people = _rows(folder / "ml-100k.user")
    number = {row["user_id"]: n for n, row in enumerate(people)}
    profiles = tuple(
        Profile(gender=r["gender"], age=int(r["age"]), occupation=r["occupation"]) for r in people
    )
    events = _rows(folder / "ml-100k.inter")
    interactions = _interactions(
        np.array([number[r["user_id"]] for r in events]),
        catalogue.rows(r["item_id"] for r in events),
        np.array([float(r["rating"]) for r in events]),
        np.array([float(r["timestamp"]) for r in events]),
    )
    end = float(interactions.time[-1]) + 1
    return Training(catalogue, interactions, profiles, genre_vectors(catalogue.items), end)


def ml1m(folder: Path | None = None) -> Training:
    """MovieLens-1M: behaviour alone (its ids cannot be joined with titles)."""
    folder = datasets.get("movielens-1m") if folder is None else folder
    parts = [np.loadtxt(folder / f"ml-1m.{p}.rating", dtype=np.int64) for p in ("train", "test")]
    data = np.concatenate(parts)
    interactions = _interactions(data[:, 0], data[:, 1], data[:, 2].astype(float), data[:, 3])
    catalogue = Catalogue(
        tuple(Item(id=str(i), kind="movie", title=f"film {i}") for i in range(interactions.n_items))
    )
    end = float(interactions.time[-1]) + 1
    return Training(catalogue, interactions, (Profile(),) * interactions.n_users, None, end)
