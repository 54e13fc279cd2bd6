"""A workspace of 40 films and 10 media items, and a small recommender whose arithmetic is known."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import sqlalchemy as sa

from segue.core.behaviour import BehaviourWeights
from segue.core.types import Event, Item, Profile, Query, Ranking, Reason, Scored, User
from segue.serve.server import make_server
from segue.serve.service import Service
from segue.store import events, schema
from segue.store.catalogue import load_catalogue, put_items, put_users
from segue.store.workspace import Workspace

GENRES = ("Drama", "Comedy", "Sci-Fi", "Horror")
PEOPLE = (1, 90, 160, 300, 450, 600, 720, 900)  # rows of people with long histories
VIDEO_BYTES = bytes(range(256)) * 16
WEIGHTS = {"rating": 1.0, "like": 1.0, "complete": 0.8, "dislike": -1.0, "hide": -1.0}


class Weigher(BehaviourWeights):
    def weigh(self, kinds, values):
        known = np.array([WEIGHTS.get(str(kind), np.nan) for kind in kinds], dtype=np.float32)
        rated = kinds == "rating"
        return np.where(rated, (values - 3) / 2, known).astype(np.float32)

    def running(self, pairs, kinds, weights):
        return weights


class GenreRecommender:
    """Score = popularity (falls with the row) + liked items of the same genre - disliked ones."""

    version = "toy-1"
    strategy = "toy"

    def __init__(self, catalogue):
        self.catalogue = catalogue
        self.genre = np.array([item.tags[0] for item in catalogue.items])
        self.base = np.linspace(1, 0.1, len(catalogue))

    def _parts(self, query):
        rows, weights = query.history.items, query.history.weights
        return (self.genre[rows][:, None] == self.genre[None, :]) * weights[:, None]

    def recommend(self, query: Query) -> Ranking:
        scores = self.base + self._parts(query).sum(axis=0)
        fits = np.ones(len(scores), dtype=bool)
        fits[query.history.items] = False
        if query.kinds is not None:
            fits &= np.isin(self.catalogue.kinds, sorted(query.kinds))
        if query.added_after is not None:
            fits &= self.catalogue.added_at > query.added_after
        if query.within is not None:
            fits &= query.within
        fits &= ~np.isin(np.array(self.catalogue.ids), sorted(query.exclude))
        order = [row for row in np.argsort(-scores, kind="stable") if fits[row]][: query.k]
        return Ranking(
            tuple(
                Scored(self.catalogue.ids[r], float(scores[r]), self._why(query, r)) for r in order
            )
        )

    def _why(self, query, row):
        parts = np.abs(self._parts(query)[:, row])
        total = float(self.base[row] + parts.sum())
        out = [Reason("popularity", "popular this week", float(self.base[row]) / total)]
        for entry in np.flatnonzero(parts):
            item = self.catalogue.items[query.history.items[entry]]
            text = f"because you liked {item.title}"
            out.append(Reason("history", text, float(parts[entry]) / total, (item.id,)))
        return tuple(sorted(out, key=lambda reason: -reason.share))

    def reasons(self, query, item_id):
        return self._why(query, self.catalogue.row(item_id))

    def similar(self, item_id, k):
        row = self.catalogue.row(item_id)
        order = np.argsort(self.genre != self.genre[row], kind="stable")
        near = [r for r in order if r != row][:k]
        why = (Reason("content", "same genre", 1.0),)
        return Ranking(tuple(Scored(self.catalogue.ids[r], 1.0, why) for r in near))


class AskingRecommender(GenreRecommender):
    """Asks a newcomer in catalogue order."""

    def ask(self, query, answers, k):
        told = {item for item, _ in answers}
        return tuple(i for i in self.catalogue.ids if i not in told)[:k]


def _items() -> list[Item]:
    films = [
        Item(
            id=f"film/{n}", kind="movie", title=f"Film {n} ({1960 + n})", year=1960 + n,
            tags=(GENRES[n % 4], "Thriller"), description="A <b>film</b>.",
            added_at=1000.0 if n < 34 else 3000.0 + n,
        )
        for n in range(40)
    ]  # fmt: skip
    media = [
        Item(
            id=f"media-{n}", kind=("video", "track", "speech", "book", "image")[n % 5],
            title=f"Clip {n} 海边" if n else "<script>alert(1)</script>", tags=(GENRES[n % 4],),
            duration_s=61.0 + n, added_at=2000.0 + n, source="archive", licence="CC-BY-4.0",
        )
        for n in range(10)
    ]  # fmt: skip
    return films + media


def _add_files(workspace: Workspace) -> None:
    media = workspace.root / "media"
    media.mkdir()
    (media / "clip.mp4").write_bytes(VIDEO_BYTES)
    (media / "book.txt").write_text("Once", encoding="utf-8")
    (workspace.root / "secret.txt").write_text("secret", encoding="utf-8")
    (media / "link.mp3").symlink_to(workspace.root / "secret.txt")
    (workspace.derived / "p.png").write_bytes(
        bytes.fromhex(
            "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
            "0000000c49444154789c636860f80f0002840180e1a8dd0b0000000049454e44ae426082"
        )
    )
    with workspace.engine.begin() as connection:
        nums = dict(connection.execute(sa.select(schema.items.c.id, schema.items.c.num)).all())
        named = (("clip.mp4", "media-0"), ("link.mp3", "media-1"), ("book.txt", "media-3"))
        for name, item in (*named, ("gone.mp4", "media-5")):
            connection.execute(
                sa.insert(schema.files).values(
                    path=str(media / name), size=1, mtime_ns=1, content_hash=name,
                    item_num=nums[item], status="done", checked_at=1.0,
                )
            )  # fmt: skip
        for position, path in enumerate(("p.png", "../secret.txt")):
            connection.execute(
                sa.insert(schema.assets).values(
                    item_num=nums["media-0"], kind="poster", position=position, path=path,
                    content_hash="h",
                )
            )  # fmt: skip


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """Made once; every test gets a copy."""
    workspace = Workspace.create(tmp_path_factory.mktemp("serve") / "ws")
    put_items(workspace.engine, _items())
    put_users(
        workspace.engine,
        [
            User("1", Profile(gender="M", age=24, occupation="technician")),
            User("2", Profile(gender="F", age=53, occupation="writer")),
            User("3", Profile(gender="F", age=31, occupation="artist")),
        ],
    )
    _add_files(workspace)
    events.write(
        workspace.engine,
        [
            Event("e1", "1", "film/1", "rating", 100.0, value=5),
            Event("e2", "1", "film/5", "rating", 200.0, value=4),
            Event("e3", "2", "film/2", "rating", 300.0, value=5),
        ],
    )
    workspace.engine.dispose()
    return workspace.root


@pytest.fixture
def service(template, tmp_path) -> Iterator[Service]:
    shutil.copytree(template, tmp_path / "ws", symlinks=True)
    workspace = Workspace(tmp_path / "ws")
    stored = load_catalogue(workspace.engine)
    yield Service(
        workspace,
        stored,
        GenreRecommender(stored.catalogue),
        Weigher(),
        search=lambda words, k: (
            [(7, 0.9), (41, 0.5)][:k] if "海" in words or "sea" in words else []
        ),
    )
    workspace.engine.dispose()


@pytest.fixture
def asking(service) -> Service:
    """The same, with questions for newcomers."""
    service.recommender = AskingRecommender(service.catalogue.catalogue)
    return service


@pytest.fixture(scope="module")
def films(tmp_path_factory, before_test, pipeline):
    """Some people of MovieLens-100K in a workspace, behind the real recommender."""
    workspace = Workspace.create(tmp_path_factory.mktemp("taste") / "ws")
    put_items(workspace.engine, before_test.catalogue.items)
    seen, ids = before_test.interactions, before_test.catalogue.ids
    assert seen.value is not None
    batch = [
        Event(f"e{n}", f"p{u}", ids[i], "rating", float(t), float(v))
        for n, (u, i, t, v) in enumerate(
            zip(seen.users, seen.items, seen.time, seen.value, strict=True)
        )
        if u in PEOPLE
    ]
    events.write(workspace.engine, batch)
    stored_items = load_catalogue(workspace.engine)
    assert stored_items.catalogue.ids == ids
    at = before_test.at
    yield Service(workspace, stored_items, pipeline, BehaviourWeights(), clock=lambda: at)
    workspace.engine.dispose()


@contextmanager
def running(service: Service) -> Iterator[str]:
    """The application behind a real server on a free port."""
    server = make_server(service, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def address(service) -> Iterator[str]:
    with running(service) as url:
        yield url


@pytest.fixture
def serve() -> Iterator[Callable[[Service], httpx.Client]]:
    """Serves another service for the length of the test."""
    with ExitStack() as stack:
        yield lambda service: stack.enter_context(
            httpx.Client(base_url=stack.enter_context(running(service)))
        )
