"""Latency of serving, in process and through HTTP on loopback, against a real workspace.

    python benchmarks/bench_serve.py [--workspace demo] [--rounds 200] [--json]

Works on a copy of the workspace, so the events of the measurement never reach the original.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import sqlalchemy as sa

from segue.serve.opening import open_service
from segue.serve.service import Service
from segue.store import schema
from segue.store.workspace import Workspace
from serving import running

K = 10


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path("demo"))
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def users_near(service: Service, events: int, n: int) -> list[str]:
    """The ``n`` people whose number of events is closest to ``events``."""
    u, e = schema.users.c, schema.events.c
    count = sa.func.count()
    query = (
        sa.select(u.id)
        .join_from(schema.users, schema.events, e.user_num == u.num)
        .group_by(u.num)
        .order_by(sa.func.abs(count - events))
        .limit(n)
    )
    with service.engine.connect() as connection:
        return [row[0] for row in connection.execute(query)]


def timed(rounds: int, call: Callable[[int], None]) -> dict[str, float]:
    """Milliseconds of ``call(round)``: p50 and p99, after a warm-up."""
    for number in range(min(5, rounds)):
        call(-number - 1)
    spent = []
    for number in range(rounds):
        start = time.perf_counter()
        call(number)
        spent.append((time.perf_counter() - start) * 1000)
    p50, p99 = np.percentile(spent, [50, 99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def measure(service: Service, rounds: int) -> dict[str, dict[str, float]]:
    """Every figure by name."""
    users = users_near(service, 200, 20)
    out = {"in process: recommend": timed(
        rounds, lambda n: void(service.recommend(users[n % len(users)], K))
    )}  # fmt: skip
    with running(service) as address, httpx.Client(base_url=address) as client:

        def get(path: str) -> httpx.Response:
            return client.get(path).raise_for_status()

        def changed(number: int) -> None:
            user = users[number % len(users)]
            item = tops[user]
            event = {
                "event_id": f"bench-{number}", "user_id": user, "item_id": item, "kind": "like"
            }  # fmt: skip
            client.post("/v1/events", json={"events": [event]}).raise_for_status()
            items = get(f"/v1/users/{user}/recommendations?k={K}").json()["items"]
            if items[0]["item_id"] == item:
                raise SystemExit(f"{item!r} was liked and still leads the list of {user!r}")
            tops[user] = items[0]["item_id"]

        out["http: health"] = timed(rounds, lambda _n: void(get("/v1/health")))
        out["http: recommendations"] = timed(
            rounds,
            lambda n: void(get(f"/v1/users/{users[n % len(users)]}/recommendations?k={K}")),
        )
        tops = {
            user: get(f"/v1/users/{user}/recommendations?k=1").json()["items"][0]["item_id"]
            for user in users
        }
        out["http: event to changed list"] = timed(rounds, changed)
        out["http: all rails of the page"] = timed(
            max(20, rounds // 4), lambda n: void(get(f"/page/rails?user={users[n % len(users)]}"))
        )
        words = ("space war", "爱情 喜剧", "quiet piano", "a dog in the snow")
        out["http: search"] = timed(
            max(20, rounds // 4), lambda n: void(get(f"/v1/search?q={words[n % 4]} {n}"))
        )
    for figures in out.values():
        figures["ratio_to_health"] = round(figures["p50_ms"] / out["http: health"]["p50_ms"], 1)
    return out


def void(_value: object) -> None:
    """Drop a result."""


def main() -> None:
    asked = arguments()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "workspace"
        shutil.copytree(asked.workspace, copy)
        start = time.perf_counter()
        service = open_service(Workspace.open(copy))
        opened_s = time.perf_counter() - start
        figures = measure(service, asked.rounds)
        service.engine.dispose()
    if asked.json:
        print(json.dumps(figures))
        return
    print(f"opened in {opened_s:.2f} s; people with about 200 events, k = {K}, concurrency 1")
    for name, row in figures.items():
        print(
            f"{name:30} p50 {row['p50_ms']:8.2f} ms   p99 {row['p99_ms']:8.2f} ms   "
            f"{row['ratio_to_health']:6.1f} x health"
        )


if __name__ == "__main__":
    main()
