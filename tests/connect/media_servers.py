"""Small servers that speak the documented APIs of Jellyfin and Subsonic over HTTP, also badly.

Real servers on real sockets. Names and shapes of rows are those of Jellyfin's OpenAPI document
(as typed by @jellyfin/sdk 1.0) and of Navidrome's answers; what they refuse to API keys is what
Jellyfin 10.11 refuses. ``mode`` chooses how badly the next answers come.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

API_KEY = "0123456789abcdef0123456789abcdef"
ANNAS_TOKEN = "feedfacefeedfacefeedfacefeedface"
PASSWORD = 'pass "word"'
TICKS = 10_000_000


class Handler(BaseHTTPRequestHandler):
    """One request; what it means is the server's to know."""

    server: MediaServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Quiet."""

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        server = self.server
        with server.lock:
            server.asked.append((self.command, self.path, body))
            mode = server.mode
            if server.bad_for:
                server.bad_for -= 1
                if not server.bad_for:
                    server.mode = "good"
        try:
            getattr(self, f"as_{mode}")(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_DELETE = _any

    def give(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def as_good(self, body: bytes) -> None:
        status, answer = self.server.answer(self.command, self.path, dict(self.headers), body)
        self.give(status, b"" if answer is None else json.dumps(answer).encode())

    def as_broken(self, _body: bytes) -> None:
        self.give(500, b"<html>oops</html>")

    def as_busy(self, _body: bytes) -> None:
        self.give(429, b"", {"Retry-After": "0"})

    def as_html(self, _body: bytes) -> None:
        self.give(200, b"<!doctype html><title>Sign in</title>")

    def as_cut(self, _body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"Items": [')
        self.close_connection = True

    def as_hangs_up(self, _body: bytes) -> None:
        self.close_connection = True

    def as_slow(self, _body: bytes) -> None:
        self.server.stopping.wait(20)

    def as_endless(self, _body: bytes) -> None:
        """Each read brings something, the end never comes."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not self.server.stopping.is_set():
            self.wfile.write(b"1\r\n \r\n")
            time.sleep(0.01)

    def as_huge(self, _body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(1_000_000_000))
        self.end_headers()
        for _ in range(1_000):
            self.wfile.write(b"x" * 1_000_000)
            self.server.bytes_written += 1_000_000

    def as_nested(self, _body: bytes) -> None:
        self.give(200, b'{"Items": ' + b"[" * 100_000)

    def as_redirects(self, _body: bytes) -> None:
        self.give(302, b"", {"Location": self.server.other})

    def as_wrong_types(self, _body: bytes) -> None:
        """Whatever was asked: valid JSON that is nothing of what is documented."""
        self.give(200, json.dumps(self.server.nonsense).encode())


class MediaServer(ThreadingHTTPServer):
    """Listens on a free port of the loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode = "good"
        self.bad_for = 0  # so many answers, then good again; 0: for ever
        self.nonsense: Any = None
        self.other = ""
        self.asked: list[tuple[str, str, bytes]] = []
        self.bytes_written = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def asked_for(self, part: str) -> list[tuple[str, str, bytes]]:
        return [one for one in self.asked if part in one[1]]

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        raise NotImplementedError


class JellyfinServer(MediaServer):
    """Items, users with what they did, playlists of users."""

    def __init__(self) -> None:
        super().__init__()
        self.version = "10.11.3"
        self.users = {"anna": "a" * 32, "ben": "b" * 32}
        self.items: dict[str, dict[str, Any]] = {}
        self.data: dict[tuple[str, str], dict[str, Any]] = {}
        self.playlists: dict[str, dict[str, Any]] = {}
        self.made = 0

    def add(self, key: str, type_: str, name: str, **more: Any) -> str:
        item_id = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
        self.items[item_id] = {
            "Id": item_id, "Type": type_, "Name": name, "ServerId": "s" * 32,
            "DateCreated": "2024-01-01T00:00:00.0000000Z", "saved": "2024-01-01T00:00:00Z", **more,
        }  # fmt: skip
        return item_id

    def did(self, user: str, item_id: str, **state: Any) -> None:
        self.data.setdefault((self.users[user], item_id), {}).update(state)

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/System/Info/Public":
            return 200, {"Id": "s" * 32, "Version": self.version, "ProductName": "Jellyfin Server"}
        given = headers.get("Authorization", "")
        key, anna = f'Token="{API_KEY}"' in given, f'Token="{ANNAS_TOKEN}"' in given
        if not key and not anna:
            return 401, None
        if parts.path == "/Users":
            return (200, [self._user(name) for name in self.users]) if key else (403, None)
        if parts.path == "/Users/Me":
            return (200, self._user("anna")) if anna else (400, "Error processing request.")
        if parts.path == "/Items":
            return 200, self._query(query)
        if parts.path.startswith("/Shows/"):
            return 200, self._episodes(parts.path, query)
        return self._playlists(method, parts.path, body, key)

    def _user(self, name: str) -> dict[str, Any]:
        return {"Name": name, "Id": self.users[name], "ServerId": "s" * 32, "HasPassword": True}

    def _row(self, item: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
        row = {name: value for name, value in item.items() if name != "saved"}
        if query.get("userId") and query.get("enableUserData") == "true":
            state = {"PlaybackPositionTicks": 0, "PlayCount": 0, "IsFavorite": False,
                     "Played": False, "Key": item["Id"], "ItemId": item["Id"]}  # fmt: skip
            row["UserData"] = state | self.data.get((query["userId"], item["Id"]), {})
        return row

    def _query(self, query: dict[str, str]) -> dict[str, Any]:
        rows = [self._row(item, query) for item in self._chosen(query)]
        states = [row.get("UserData", {}) for row in rows]
        for mark in filter(None, query.get("filters", "").split(",")):
            fits = {
                "IsFavorite": lambda s: s.get("IsFavorite"),
                "Likes": lambda s: s.get("Likes") is True,
                "Dislikes": lambda s: s.get("Likes") is False,
                "IsPlayed": lambda s: s.get("Played"),
                "IsResumable": lambda s: s.get("PlaybackPositionTicks", 0) > 0,
            }[mark]
            rows = [row for row, state in zip(rows, states, strict=True) if fits(state)]
            states = [row["UserData"] for row in rows]
        if query.get("sortBy") == "DatePlayed":
            assert query["sortOrder"] == "Descending"
            rows.sort(key=lambda r: r["UserData"].get("LastPlayedDate") or "", reverse=True)
        start, limit = int(query.get("startIndex", 0)), int(query.get("limit", len(rows)))
        page = rows[start : start + limit]
        return {"Items": page, "TotalRecordCount": len(rows), "StartIndex": start}

    def _chosen(self, query: dict[str, str]) -> list[dict[str, Any]]:
        chosen = list(self.items.values())
        if "ids" in query:
            wanted = query["ids"].split(",")
            lists = [
                {"Id": key, "Type": "Playlist", "Name": one["Name"], "saved": ""}
                for key, one in self.playlists.items()
            ]
            return [row for row in (*chosen, *lists) if row["Id"] in wanted]
        kinds = query["includeItemTypes"].split(",")
        since = query.get("minDateLastSaved", "")
        return [row for row in chosen if row["Type"] in kinds and row["saved"] >= since]

    def _episodes(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        series = query.get("seriesId") or path.split("/")[2]
        user = query["userId"]
        found = [row for row in self.items.values() if row.get("SeriesId") == series]
        found.sort(key=lambda row: row["IndexNumber"])
        if path == "/Shows/NextUp":  # nothing for a series that was never begun
            seen = [self.data.get((user, row["Id"]), {}).get("Played", False) for row in found]
            found = [row for row, s in zip(found, seen, strict=True) if not s] if any(seen) else []
        return {"Items": found[: int(query["limit"])], "TotalRecordCount": len(found)}

    def _playlists(self, method: str, path: str, body: bytes, key: bool) -> tuple[int, Any]:
        told = json.loads(body) if body else {}
        if (method, path) == ("POST", "/Playlists"):
            self.made += 1
            made = hashlib.md5(f"list {self.made}".encode(), usedforsecurity=False).hexdigest()
            self.playlists[made] = told
            return 200, {"Id": made}
        name = path.rsplit("/", 1)[-1]
        if method == "DELETE" and name in self.playlists:
            del self.playlists[name]
            return 204, None
        if name not in self.playlists:
            return 404, "Playlist not found"
        if key:  # an API key belongs to no user
            return 400, "Error processing request."
        self.playlists[name].update(told)
        return 204, None


class SubsonicServer(MediaServer):
    """Albums with songs, one account, its playlists."""

    def __init__(self) -> None:
        super().__init__()
        self.albums: dict[str, dict[str, Any]] = {}
        self.playlists: dict[str, dict[str, Any]] = {}
        self.most_albums = 500  # in an answer
        self.tells_new_list = True
        self.forms: list[dict[str, Any]] = []

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        form = parse_qsl(body.decode())
        given = dict(form)
        self.forms.append(given)
        proof = hashlib.md5((PASSWORD + given.get("s", "")).encode(), usedforsecurity=False)
        if given.get("u") != "anna" or given.get("t") != proof.hexdigest():
            return 200, self._failed(40, "Wrong username or password")
        name = path.removeprefix("/rest/").removesuffix(".view")
        if not hasattr(self, f"_{name}"):
            return 404, None
        return 200, getattr(self, f"_{name}")(given, form)

    @staticmethod
    def _ok(**more: Any) -> dict[str, Any]:
        told = {"status": "ok", "version": "1.16.1", "type": "navidrome", "serverVersion": "0.58.0"}
        return {"subsonic-response": {**told, "openSubsonic": True, **more}}

    @staticmethod
    def _failed(code: int, message: str) -> dict[str, Any]:
        error = {"code": code, "message": message}
        return {"subsonic-response": {"status": "failed", "version": "1.16.1", "error": error}}

    def _ping(self, *_given: Any) -> dict[str, Any]:
        return self._ok()

    def _getAlbumList2(self, given: dict[str, str], _form: Any) -> dict[str, Any]:
        rows = list(self.albums.values())
        if given["type"] == "newest":
            rows.sort(key=lambda row: row["created"], reverse=True)
        if given["type"] == "recent":
            rows = [row for row in rows if row.get("played")]
            rows.sort(key=lambda row: row["played"], reverse=True)
        start = int(given["offset"])
        page = rows[start : start + min(int(given["size"]), self.most_albums)]
        plain = [{k: v for k, v in row.items() if k != "song"} for row in page]
        return self._ok(albumList2={"album": plain} if plain else {})

    def _getAlbum(self, given: dict[str, str], _form: Any) -> dict[str, Any]:
        if given["id"] not in self.albums:
            return self._failed(70, "Album not found")
        return self._ok(album=self.albums[given["id"]])

    def _getStarred2(self, *_given: Any) -> dict[str, Any]:
        songs = [s for a in self.albums.values() for s in a["song"] if s.get("starred")]
        albums = [a for a in self.albums.values() if a.get("starred")]
        return self._ok(starred2={"song": songs, "album": albums})

    def _getPlaylists(self, *_given: Any) -> dict[str, Any]:
        rows = [{"id": key, "name": one["name"]} for key, one in self.playlists.items()]
        return self._ok(playlists={"playlist": rows})

    def _createPlaylist(self, given: dict[str, str], form: list[tuple[str, str]]) -> dict[str, Any]:
        songs = [value for name, value in form if name == "songId"]
        key = given.get("playlistId") or f"list-{len(self.playlists) + 1}"
        row = self.playlists.setdefault(key, {"name": given.get("name", ""), "public": True})
        row["songs"] = songs
        return self._ok(**({"playlist": {"id": key}} if self.tells_new_list else {}))

    def _updatePlaylist(self, given: dict[str, str], _form: Any) -> dict[str, Any]:
        self.playlists[given["playlistId"]]["public"] = given["public"] == "true"
        return self._ok()


@contextmanager
def running(server: MediaServer):
    """The server runs until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
