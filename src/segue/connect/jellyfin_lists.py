"""Lists go back to Jellyfin: one playlist a person and medium, made once and then replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from segue.connect import shapes
from segue.connect.http import BadAnswer, Denied
from segue.connect.jellyfin import Jellyfin
from segue.store.workspace import Workspace

MEDIA = {"Video": ("movie", "series", "video"), "Audio": ("track",)}  # media: kinds of items
NAMES = {"Video": "{}", "Audio": "{} (music)"}
REFUSALS = (400, 404)
Row = Mapping[str, Any]


def put_list(
    server: Jellyfin, workspace: Workspace, user: str, media: str, name: str, keys: Sequence[str]
) -> str:
    """Make a user's list hold these works in this order.

    "created", "replaced", or "nothing to write" where the user may see none of them. Only a list
    that this workspace made is replaced; another of the same name is left alone.
    """
    ids = _playable(server, user, keys)
    if not ids:
        return "nothing to write"
    mark = f"connect:{server.platform}:list:{user}:{media}"
    known = workspace.get_meta(mark)
    there = isinstance(known, str) and _is_list(server, user, known)
    if there and _replace(server, known, ids):
        return "replaced"
    told = server.caller.call(
        "POST",
        "Playlists",
        body={
            "Name": NAMES[media].format(name), "Ids": ids, "UserId": user, "MediaType": media,
            "IsPublic": False,
        },
        again=False,
    )  # fmt: skip
    made = shapes.text(told if isinstance(told, Mapping) else {}, "Id", shapes.MAX_ID_CHARS)
    if not made:
        raise BadAnswer(f"{server.caller.place.address}: the playlist was not made")
    workspace.set_meta(mark, made)
    if there:
        server.caller.call("DELETE", f"Items/{quote(known, safe='')}")
        return "replaced"
    return "created"


def _replace(server: Jellyfin, playlist: str, ids: Sequence[str]) -> bool:
    """True where the server took the new content.

    It refuses this to API keys, which belong to no user (jellyfin/jellyfin#12999), and before
    10.9; then a new list takes the old one's place.
    """
    try:
        server.caller.call("POST", f"Playlists/{quote(playlist, safe='')}", body={"Ids": list(ids)})
    except Denied:
        return False
    except BadAnswer as error:
        if error.status not in REFUSALS:
            raise
        return False
    return True


def _is_list(server: Jellyfin, user: str, playlist: str) -> bool:
    """Whether this is a playlist still: what was deleted there must not be asked for again."""
    found = [row for page in server.pages({"ids": playlist}, user) for row in page]
    return any(shapes.text(row, "Type") == "Playlist" for row in found)


def _playable(server: Jellyfin, user: str, keys: Sequence[str]) -> list[str]:
    """What the user may see of these works, in order; a series is its next episode.

    A whole series in a list would be hundreds of episodes.
    """
    if not keys:
        return []
    found = {
        shapes.text(row, "Id", shapes.MAX_ID_CHARS): shapes.text(row, "Type")
        for page in server.pages({"ids": ",".join(keys)}, user)
        for row in page
    }
    ids = [
        _next_episode(server, user, key) if found[key] == "Series" else key
        for key in keys
        if key in found
    ]
    return list(dict.fromkeys(key for key in ids if key))


def _next_episode(server: Jellyfin, user: str, series: str) -> str:
    """The episode that the user would see next; "" where there is none."""
    asked = {"userId": user, "limit": "1"}
    for path, query in (
        ("Shows/NextUp", {**asked, "seriesId": series}),
        (f"Shows/{quote(series, safe='')}/Episodes", asked),
    ):
        told = server.caller.call("GET", path, query=query)
        for row in shapes.rows(told, "Items"):
            return shapes.text(row, "Id", shapes.MAX_ID_CHARS)
    return ""
