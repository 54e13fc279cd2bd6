"""Where a model answers, and how calls to it go out: bounded in time, size and number.

A server is not trusted: an answer is read up to a size, a call ends at its time whatever trickles
in, nothing is unpacked, and no redirect is followed, so a key goes to one host only.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import httpx

from segue.core.checks import above, at_least
from segue.core.errors import BadSettings
from segue.datasets.fetch import Unavailable

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
MOST_WAIT_S = 10.0  # between two tries, whatever the server asks for
REASON_CHARS = 200
Json = dict[str, Any]
T = TypeVar("T")


class NoAnswer(Unavailable):
    """A model that gave no usable answer, with the reason.

    ``absent``: nobody answered, which may be otherwise tomorrow; else the answer was no good.
    """

    def __init__(self, reason: str, status: int = 0, *, absent: bool = False) -> None:
        super().__init__(reason)
        self.status = status  # of HTTP, 0 where there was none
        self.absent = absent


class Server(Protocol):
    """Something that answers requests in the form of OpenAI's API, in order."""

    @property
    def name(self) -> str:
        """Of the model."""

    def post(self, path: str, bodies: Sequence[Json]) -> list[Json | NoAnswer]:
        """One answer for each body; raises nothing."""


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server: ``{url}/chat/completions`` and ``{url}/embeddings``."""

    url: str  # "http://127.0.0.1:8080/v1"
    model: str
    key_variable: str = ""  # the environment variable that holds the key; "": no key is sent
    timeout_s: float = 60.0  # of one try, from connecting to the last byte
    tries: int = 3
    max_concurrent: int = 4
    max_bytes: int = 1_000_000  # of an answer
    backoff_s: float = 0.5  # before the second try; doubles with each
    give_up_after: int = 3  # tries in a row that found no server, then none is made …
    rest_s: float = 60.0  # … for so long

    def __post_init__(self) -> None:
        at_least(self, 1, "tries", "max_concurrent", "max_bytes", "give_up_after")
        at_least(self, 0, "backoff_s", "rest_s")
        above(self, 0, "timeout_s")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadSettings(f"url must begin with http:// or https://, got {self.url!r}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise BadSettings(
                "url must hold no key, query or fragment; name the environment variable with the "
                "key as key_variable"
            )
        if not self.model:
            raise BadSettings("model must name the model that the server shall use, got ''")

    def key(self) -> str:
        """The key, read from the environment; "" where none is wanted."""
        if not self.key_variable:
            return ""
        key = os.environ.get(self.key_variable, "").strip()
        if not key:
            raise BadSettings(
                f"{self.url}: the environment variable {self.key_variable} is not set; "
                f"put the key of the server there"
            )
        return key


class Remote:
    """Posts to an endpoint; several at a time, with retries."""

    def __init__(self, endpoint: Endpoint, clock: Callable[[], float] = time.monotonic) -> None:
        self.endpoint = endpoint
        self.name = endpoint.model
        self._clock = clock
        self._failed = 0  # tries in a row that found no server
        self._rests_until = 0.0

    def post(self, path: str, bodies: Sequence[Json]) -> list[Json | NoAnswer]:
        """The answers to ``bodies``, in order; blocks until the last is there."""
        if not bodies:
            return []
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            key = self.endpoint.key()
        except BadSettings as error:
            return [NoAnswer(str(error), absent=True) for _ in bodies]
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return _finished(self._post_all(path, bodies, headers))

    async def _post_all(
        self, path: str, bodies: Sequence[Json], headers: dict[str, str]
    ) -> list[Json | NoAnswer]:
        gate = asyncio.Semaphore(self.endpoint.max_concurrent)
        # trust_env=False: a proxy or a .netrc of the shell must not see items or the key.
        async with httpx.AsyncClient(
            headers=headers,
            follow_redirects=False,
            timeout=None,
            trust_env=False,
            verify=_tls(),
        ) as client:

            async def one(body: Json) -> Json | NoAnswer:
                async with gate:
                    return await self._post(client, path, {"model": self.endpoint.model, **body})

            return list(await asyncio.gather(*(one(body) for body in bodies)))

    async def _post(self, client: httpx.AsyncClient, path: str, body: Json) -> Json | NoAnswer:
        answer: Json | NoAnswer = NoAnswer(
            f"{self.endpoint.url} was not there; asked again later", absent=True
        )
        for attempt in range(self.endpoint.tries):
            if self._clock() < self._rests_until:
                return answer
            answer, wait_s = await self._try(client, path, body)
            self._note(answer)
            if wait_s is None or attempt + 1 == self.endpoint.tries:
                return answer
            await asyncio.sleep(min(MOST_WAIT_S, wait_s + self.endpoint.backoff_s * 2**attempt))
        return answer

    def _note(self, answer: Json | NoAnswer) -> None:
        """Count the tries that found no server: asking it for each item would take for ever."""
        if not isinstance(answer, NoAnswer) or answer.status:
            self._failed = 0
            return
        self._failed += 1
        if self._failed >= self.endpoint.give_up_after:
            self._rests_until = self._clock() + self.endpoint.rest_s
            self._failed = 0

    async def _try(
        self, client: httpx.AsyncClient, path: str, body: Json
    ) -> tuple[Json | NoAnswer, float | None]:
        """The answer, and seconds to wait before another try; None where none would help."""
        url = f"{self.endpoint.url.rstrip('/')}/{path}"
        try:
            async with (
                asyncio.timeout(self.endpoint.timeout_s),
                client.stream("POST", url, json=body) as response,
            ):
                data = await self._read(response)
        except TimeoutError:
            late = f"{url}: no answer within {self.endpoint.timeout_s:g} s"
            return NoAnswer(late, absent=True), 0.0
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            lost = f"{url}: {type(error).__name__}: {error}"[:REASON_CHARS]
            return NoAnswer(lost, absent=True), 0.0
        if data is None:
            return NoAnswer(f"{url}: more than {self.endpoint.max_bytes} bytes", 200), None
        return _judged(url, response, data)

    async def _read(self, response: httpx.Response) -> bytes | None:
        """The body; None where it is longer than allowed."""
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > self.endpoint.max_bytes:
                return None
        return bytes(data)


@cache
def _tls() -> ssl.SSLContext:
    """Certificates are read once, not for each call."""
    return httpx.create_ssl_context()


def _judged(
    url: str, response: httpx.Response, data: bytes
) -> tuple[Json | NoAnswer, float | None]:
    status = response.status_code
    if status in RETRIED:
        busy = NoAnswer(f"{url}: status {status}", status, absent=True)
        return busy, _retry_after(response)
    if status != httpx.codes.OK:
        what = (
            "a redirect, which is not followed; give the new address" if 300 <= status < 400 else ""
        )
        words = what or " ".join(data[:REASON_CHARS].decode("utf-8", "replace").split())
        return NoAnswer(f"{url}: status {status}: {words}", status), None
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError) as error:
        return NoAnswer(f"{url}: not JSON: {error}"[:REASON_CHARS], status), None
    if not isinstance(answer, dict):
        return NoAnswer(f"{url}: not a JSON object", status), None
    return answer, None


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(MOST_WAIT_S, max(0.0, float(response.headers.get("Retry-After", 0))))
    except ValueError:  # a date: the back-off alone will do
        return 0.0


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop of its own, also where this thread has a loop that runs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
