"""Calls to a media server by address: bounded in time, size and rate, and nothing leaks.

A server is not trusted: an answer is read up to a size, a call ends at its time whatever trickles
in, nothing is unpacked, and no redirect is followed, so a secret goes to one host only. It goes in
a header or in the body of a form, never in an address that a log would keep.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from segue.core.checks import above, at_least
from segue.core.errors import BadInput, BadSettings, SegueError

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
DENIED = frozenset({401, 403})
MOST_WAIT_S = 10.0  # between two tries, whatever the server asks for
REASON_CHARS = 200
Json = dict[str, Any]


class Unreachable(SegueError):
    """Nobody answered at the address, or not in time."""


class Denied(SegueError):
    """The server does not accept the token or password, or forbids what was asked."""


class BadAnswer(BadInput):
    """The server answered, but not what its documentation says."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status  # of HTTP


@dataclass(frozen=True)
class Place:
    """Where a server is and how patiently it is asked."""

    address: str  # "http://127.0.0.1:8096", a path before the API's own is kept
    timeout_s: float = 60.0  # of one try, from connecting to the last byte
    tries: int = 4
    backoff_s: float = 0.5  # before the second try; doubles with each
    pause_s: float = 0.05  # at least so long from one call to the next
    max_bytes: int = 32_000_000  # of an answer
    plain_http: bool = False  # allow http:// to an address outside the local network

    def __post_init__(self) -> None:
        at_least(self, 1, "tries", "max_bytes")
        at_least(self, 0, "backoff_s", "pause_s")
        above(self, 0, "timeout_s")
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadSettings(
                f"address must begin with http:// or https://, got {self.address!r}; "
                "example: http://192.168.1.10:8096"
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise BadSettings(
                "address must hold no name, password, query or fragment; the secret belongs in an "
                "environment variable or a file"
            )

    def url(self, path: str) -> str:
        return f"{self.address.rstrip('/')}/{path.lstrip('/')}"


def refuse_public_http(place: Place) -> None:
    """A secret in clear text may cross the home network, not the world's."""
    parts = urlsplit(place.address)
    if parts.scheme == "https" or place.plain_http or parts.hostname is None:
        return
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unreachable(
            f"{place.address}: the name {parts.hostname!r} is not known ({error}); "
            "is it spelled right?"
        ) from error
    for *_, where in found:
        if ipaddress.ip_address(str(where[0]).split("%")[0]).is_global:
            raise BadSettings(
                f"{place.address} is outside your network and http:// sends the secret in clear "
                "text; use https://, or set plain_http = true if you mean it"
            )


@dataclass
class Caller:
    """Calls to one server, one at a time. Use it as a context manager, outside any event loop."""

    place: Place
    headers: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._runner = asyncio.Runner()
        self._client: httpx.AsyncClient | None = None
        self._next_at = 0.0
        self.calls = 0

    def __enter__(self) -> Caller:
        refuse_public_http(self.place)
        self._client = httpx.AsyncClient(
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # nothing is unpacked, so nothing can explode
                "User-Agent": "segue",
                **self.headers,
            },
            follow_redirects=False,
            timeout=None,
            trust_env=False,  # a proxy of the shell must not see the secret
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        form: list[tuple[str, str]] | None = None,
        again: bool = True,
    ) -> Any:
        """The parsed answer, None where it is empty.

        ``again``: whether a try that may have reached the server is repeated; not for what makes
        something new.
        """
        return self._runner.run(self._call(method, path, query, body, form, again))

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Json | None,
        form: list[tuple[str, str]] | None,
        again: bool,
    ) -> Any:
        assert self._client is not None, "use the caller as a context manager"
        content, headers = _content(body, form)
        request = self._client.build_request(
            method, self.place.url(path), params=query, content=content, headers=headers
        )
        told: SegueError = Unreachable(f"{self.place.address}: no try was made")
        for attempt in range(self.place.tries):
            await self._wait_for_turn()
            try:
                status, wait_s, data = await self._once(request)
            except httpx.ConnectError as error:
                told = Unreachable(_lost(self.place, error))
                wait_s = 0.0
            except (TimeoutError, httpx.HTTPError, OSError) as error:
                told = Unreachable(_lost(self.place, error))
                if not again:
                    raise told from error
                wait_s = 0.0
            else:
                if status not in RETRIED:
                    return _judged(self.place.url(path), status, data)
                told = BadAnswer(
                    f"{self.place.url(path)}: status {status}; look into the server's log, "
                    "then run the same command again: it goes on",
                    status,
                )
                if not again:
                    raise told
            if attempt + 1 < self.place.tries:
                wait_s += self.place.backoff_s * 2**attempt
                await asyncio.sleep(min(MOST_WAIT_S, wait_s))
        raise told

    async def _wait_for_turn(self) -> None:
        wait_s = self._next_at - self.clock()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._next_at = self.clock() + self.place.pause_s
        self.calls += 1

    async def _once(self, request: httpx.Request) -> tuple[int, float, bytes]:
        """(status, seconds that the server asks to wait, body)."""
        assert self._client is not None
        async with asyncio.timeout(self.place.timeout_s):
            response = await self._client.send(request, stream=True)
            try:
                data = bytearray()
                async for chunk in response.aiter_raw():
                    data += chunk
                    if len(data) > self.place.max_bytes:
                        raise BadAnswer(
                            f"{self.place.address}: an answer of more than "
                            f"{self.place.max_bytes:,} bytes; it was left unread"
                        )
            finally:
                await response.aclose()
        return response.status_code, _retry_after(response), bytes(data)


def _content(
    body: Json | None, form: list[tuple[str, str]] | None
) -> tuple[bytes | None, dict[str, str]]:
    if body is not None:
        return json.dumps(body).encode(), {"Content-Type": "application/json"}
    if form is not None:
        coded = urlencode(form).encode()  # a list, so that keys may repeat
        return coded, {"Content-Type": "application/x-www-form-urlencoded"}
    return None, {}


def _lost(place: Place, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return (
            f"{place.address}: no whole answer within {place.timeout_s:g} s; "
            "is the server busy? timeout_s in the settings is the limit"
        )
    reason = f"{type(error).__name__}: {error}"[:REASON_CHARS]
    return f"{place.address}: not reachable ({reason}); does the server run, is the port right?"


def _judged(url: str, status: int, data: bytes) -> Any:
    if status in DENIED:
        raise Denied(f"{url}: status {status}, the server does not accept the token for this")
    if 300 <= status < 400:
        raise BadAnswer(f"{url}: a redirect, which is not followed; give the new address", status)
    if not 200 <= status < 300:
        words = " ".join(data[:REASON_CHARS].decode("utf-8", "replace").split())
        raise BadAnswer(f"{url}: status {status}: {words}", status)
    if not data.strip():
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        page = data.lstrip()[:1] == b"<"
        hint = "a web page; is this the address of the server itself?" if page else str(error)
        raise BadAnswer(f"{url}: not JSON: {hint}"[:REASON_CHARS], status) from error


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(MOST_WAIT_S, max(0.0, float(response.headers.get("Retry-After", 0))))
    except ValueError:  # a date: the back-off alone will do
        return 0.0
