"""History that other services hand out as files, for the person who asked for theirs."""

from __future__ import annotations

from collections.abc import Mapping

from segue.connect.exports import goodreads, lastfm, letterboxd, spotify, trakt
from segue.connect.exports.files import Service

SERVICES: Mapping[str, Service] = {
    service.name: service
    for service in (
        letterboxd.SERVICE,
        trakt.SERVICE,
        lastfm.SERVICE,
        spotify.SERVICE,
        goodreads.SERVICE,
    )
}
