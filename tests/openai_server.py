"""A small server that speaks OpenAI's protocol over HTTP on the loopback, also badly.

It is a real server on a real socket; what it answers is chosen by ``mode``, and what it was asked
is kept in ``asked``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[dict[str, Any]], str]
DIM = 24
BOMB = gzip.compress(bytes(50_000_000), 1)


def bag_of_words(text: str) -> list[float]:
    """A direction a word, added up: like texts are near each other."""
    vector = [0.01] * DIM
    for word in text.lower().split():
        digest = hashlib.sha256(word.encode()).digest()
        for place in range(DIM):
            vector[place] += digest[place] / 128 - 1
    return vector


class Handler(BaseHTTPRequestHandler):
    """One request; ``server`` holds mode and answers."""

    server: OpenAiServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.asked.append(body)
            server.headers_seen.append(dict(self.headers))
            server.now += 1
            server.most_at_once = max(server.most_at_once, server.now)
        try:
            getattr(self, f"as_{server.mode}")(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with server.lock:
                server.now -= 1

    def give(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def say(self, content: Any) -> None:
        message = {"role": "assistant", "content": content}
        self.give(200, json.dumps({"choices": [{"message": message}]}).encode())

    def as_good(self, body: dict[str, Any]) -> None:
        if self.path.endswith("/embeddings"):
            texts = body["input"]
            rows = [{"index": n, "embedding": bag_of_words(text)} for n, text in enumerate(texts)]
            self.give(200, json.dumps({"data": rows[::-1]}).encode())
        elif self.path.endswith("/chat/completions"):
            self.say(self.server.answer(body))
        else:
            self.give(404, b"{}")

    def as_plain_only(self, body: dict[str, Any]) -> None:
        """A server that knows no response formats."""
        if "response_format" in body:
            self.give(400, b'{"error": {"message": "response_format is not supported"}}')
        else:
            self.as_good(body)

    def as_object_only(self, body: dict[str, Any]) -> None:
        """A server that knows json_object, not json_schema."""
        if body.get("response_format", {}).get("type") == "json_schema":
            self.give(400, b'{"error": {"message": "unknown response_format json_schema"}}')
        else:
            self.as_good(body)

    def as_busy_twice(self, body: dict[str, Any]) -> None:
        if len(self.server.asked) <= 2:
            self.give(429 if len(self.server.asked) == 1 else 503, b"{}", {"Retry-After": "0"})
        else:
            self.as_good(body)

    def as_busy(self, _body: dict[str, Any]) -> None:
        self.give(429, b"{}", {"Retry-After": "86400"})

    def as_broken(self, _body: dict[str, Any]) -> None:
        self.give(500, b"<html>oops</html>")

    def as_refuses(self, _body: dict[str, Any]) -> None:
        self.give(401, b'{"error": {"message": "wrong key"}}')

    def as_slow(self, body: dict[str, Any]) -> None:
        self.server.stopping.wait(20)
        self.as_good(body)

    def as_huge(self, _body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(50_000_000))
        self.end_headers()
        for _ in range(50):
            self.wfile.write(b"x" * 1_000_000)
            self.server.bytes_written += 1_000_000

    def as_bomb(self, _body: dict[str, Any]) -> None:
        self.give(200, BOMB, {"Content-Encoding": "gzip"})

    def as_endless(self, _body: dict[str, Any]) -> None:
        """A stream that trickles for ever: each read brings something, the end never comes."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not self.server.stopping.is_set():
            self.wfile.write(b"1\r\n \r\n")
            time.sleep(0.02)

    def as_endless_headers(self, _body: dict[str, Any]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for n in range(1_000):
            if self.server.stopping.is_set():
                return
            self.wfile.write(f"X-{n}: y\r\n".encode())
            time.sleep(0.02)

    def as_cut(self, _body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"choices": [')
        self.close_connection = True

    def as_hangs_up(self, _body: dict[str, Any]) -> None:
        self.close_connection = True

    def as_html(self, _body: dict[str, Any]) -> None:
        self.give(200, b"<!doctype html><title>Sign in</title>")

    def as_nested(self, _body: dict[str, Any]) -> None:
        self.give(200, b'{"choices": ' + b"[" * 100_000)

    def as_list(self, _body: dict[str, Any]) -> None:
        self.give(200, b"[1, 2]")

    def as_no_choices(self, _body: dict[str, Any]) -> None:
        self.give(200, b'{"choices": []}')

    def as_no_content(self, _body: dict[str, Any]) -> None:
        self.say(None)

    def as_redirects(self, _body: dict[str, Any]) -> None:
        self.give(307, b"", {"Location": self.server.other})

    def as_too_few(self, _body: dict[str, Any]) -> None:
        self.give(200, json.dumps({"data": []}).encode())

    def as_not_finite(self, body: dict[str, Any]) -> None:
        rows = [{"index": n, "embedding": [float("nan")] * DIM} for n in range(len(body["input"]))]
        self.give(200, json.dumps({"data": rows}).encode())

    def as_ragged(self, body: dict[str, Any]) -> None:
        rows = [{"index": n, "embedding": [1.0] * (n + 2)} for n in range(len(body["input"]))]
        self.give(200, json.dumps({"data": rows}).encode())


class OpenAiServer(ThreadingHTTPServer):
    """Listens on a free port of the loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode = "good"
        self.answer: Answer = lambda _body: "{}"
        self.other = ""
        self.asked: list[dict[str, Any]] = []
        self.headers_seen: list[dict[str, str]] = []
        self.now = self.most_at_once = self.bytes_written = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def openai_server():
    """A server that runs until the block ends."""
    server = OpenAiServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
