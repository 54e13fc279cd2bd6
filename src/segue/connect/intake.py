"""Works and acts go into a workspace: matched, added or brought up to date, each once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from segue.connect.works import Act, Work, plain
from segue.core.types import Event, Item
from segue.store import catalogue, events, schema
from segue.store.workspace import Workspace

BY_CREATORS = ("track", "album", "book", "podcast", "speech", "game")
BATCH = 500  # works a transaction
ACTS = 5_000  # events a transaction
_ID_LIMIT = 300
# What a source may change of the items that it brought; added_at and content_hash stay.
_FIELDS = (
    "kind", "title", "description", "tags", "creators", "year", "language", "duration_s",
    "released_at", "source", "extra",
)  # fmt: skip


@dataclass
class Taken:
    """What became of all that was read."""

    works_added: int = 0
    works_changed: int = 0
    works_unchanged: int = 0
    works_matched: int = 0  # were in the catalogue from elsewhere, and are the same work
    events_added: int = 0
    events_known: int = 0
    people: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)  # reason: how many

    def leave_out(self, reason: str, n: int = 1) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + n

    def meet(self, person: str) -> None:
        self.people = tuple(dict.fromkeys((*self.people, person)))


@dataclass(frozen=True, slots=True)
class _Known:
    """An item that a work may be the same as."""

    num: int
    year: int | None
    creators: frozenset[str]


class Intake:
    """Takes works and acts of one source. ``platform`` names the source and its ids."""

    def __init__(self, workspace: Workspace, platform: str, source: str) -> None:
        self.workspace = workspace
        self.platform = platform
        self.source = source
        self.taken = Taken()
        self._nums: dict[str, int] = self._identities()
        self._claimed = set(self._nums.values())  # two keys of one source are two works
        self._ids: dict[int, str] = {}  # item ids by number
        self._titles: dict[tuple[str, str], list[_Known]] = defaultdict(list)
        self._read_titles()

    @property
    def keys(self) -> Mapping[str, int]:
        """Keys of this source that are known, with the item's number."""
        return self._nums

    def item_id(self, key: str) -> str | None:
        """The id of the item that a work became."""
        num = self._nums.get(key)
        return None if num is None else self._ids.get(num)

    def own_id(self, key: str) -> str:
        """The id of an item that this source brings."""
        return _short(f"{self.platform}:{key}")

    def take_works(self, works: Iterable[Work]) -> None:
        """Match, add or update; works of one key count once."""
        unique = {work.key: work for work in works if work.key and work.title}
        batch = list(unique.values())
        for start in range(0, len(batch), BATCH):
            self._take(batch[start : start + BATCH])

    def _take(self, batch: Sequence[Work]) -> None:
        mine, matched = [], {}
        for work in batch:
            num = self._nums.get(work.key)
            if num is None:
                num = self._match(work)
                if num is not None:
                    matched[work.key] = self._nums[work.key] = num
                    self._claimed.add(num)
                    self.taken.works_matched += 1
                    continue
            elif self._ids.get(num) != self.own_id(work.key):
                self.taken.works_matched += 1
                continue  # it came from elsewhere: what that source says of it stands
            mine.append(work)
        items = [self._item(work) for work in mine]
        stored = catalogue.put_items(self.workspace.engine, items, fields=_FIELDS)
        self.taken.works_added += stored.added
        self.taken.works_changed += stored.changed
        self.taken.works_unchanged += stored.unchanged
        self._learn(mine, matched)

    def _item(self, work: Work) -> Item:
        return Item(
            id=self.own_id(work.key),
            kind=work.kind,
            title=work.title,
            description=work.description,
            tags=work.tags,
            creators=work.creators,
            year=work.year,
            language=work.language,
            duration_s=work.duration_s,
            released_at=work.released_at,
            source=self.source,
            extra=work.extra,
        )

    def _learn(self, mine: Sequence[Work], matched: Mapping[str, int]) -> None:
        """Remember which item each key is, in the store and here."""
        with self.workspace.engine.begin() as connection:
            ids = {self.own_id(work.key): work for work in mine}
            new = dict(matched)
            for item_id, num in events.numbers(connection, schema.items, ids).items():
                work = ids[item_id]
                self._ids[num] = item_id
                if work.key not in self._nums:
                    new[work.key] = self._nums[work.key] = num
                    self._claimed.add(num)
                    self._note(num, work.kind, work.title, work.year, work.creators)
            rows = [
                {"entity": "item", "platform": self.platform, "external_id": key, "num": num}
                for key, num in new.items()
            ]
            events.insert_ignore(connection, schema.identities, rows)

    def take_acts(self, person: str, acts: Iterable[Act]) -> None:
        """Store what a person did; acts on works that never came are left out and counted."""
        batch = []
        for act in acts:
            item_id = self.item_id(act.work)
            if item_id is None:
                self.taken.leave_out("acts on works that the source did not tell of")
                continue
            event = Event(
                event_id=_short(f"{self.platform}:{person}:{act.work}:{act.key}"),
                user_id=person,
                item_id=item_id,
                kind=act.kind,
                time=act.time,
                value=act.value,
                platform=self.platform[:60],
            )
            batch.append(event)
        for start in range(0, len(batch), ACTS):
            written = events.write(self.workspace.engine, batch[start : start + ACTS])
            self.taken.events_added += written.added
            self.taken.events_known += written.known
        if batch:
            self.taken.meet(person)

    def _identities(self) -> dict[str, int]:
        i = schema.identities.c
        query = sa.select(i.external_id, i.num).where(
            i.entity == "item", i.platform == self.platform
        )
        with self.workspace.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def _read_titles(self) -> None:
        """Items by kind and plain title."""
        i = schema.items.c
        query = sa.select(i.num, i.id, i.kind, i.title, i.year, i.creators)
        with self.workspace.engine.connect() as connection:
            for num, item_id, kind, title, year, creators in connection.execute(query):
                self._ids[num] = item_id
                self._note(num, kind, title, year, creators)

    def _note(
        self, num: int, kind: str, title: str, year: int | None, creators: Iterable[str]
    ) -> None:
        names = frozenset(filter(None, map(plain, creators)))
        words = plain(title)
        if words:
            self._titles[kind, words].append(_Known(num, year, names))

    def _match(self, work: Work) -> int | None:
        """The one item from elsewhere that this work certainly is.

        Exact title and kind; films and series: exact year too; music and books: the same creators
        (one side may name fewer) and no other year. Two candidates are none: which works are one
        in less plain cases is not for an import to guess.
        """
        names = frozenset(filter(None, map(plain, work.creators)))
        fits = [
            known.num
            for known in self._titles.get((work.kind, plain(work.title)), ())
            if known.num not in self._claimed and _same(work, names, known)
        ]
        return fits[0] if len(fits) == 1 else None


def _same(work: Work, names: frozenset[str], known: _Known) -> bool:
    if work.kind in BY_CREATORS:
        years = work.year is None or known.year is None or work.year == known.year
        few, many = sorted((names, known.creators), key=len)
        return years and bool(few) and few <= many
    # Creators of films are directors here and actors there, so they tell nothing.
    return work.year is not None and work.year == known.year


def _short(id_: str) -> str:
    """The id, or a digest of it where it is longer than the store keeps."""
    if len(id_) <= _ID_LIMIT:
        return id_
    return f"{id_[:200]}:{hashlib.sha256(id_.encode()).hexdigest()}"
