"""People as a list to choose from, with what they saw last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from segue.core.types import Profile
from segue.store import schema
from segue.store.catalogue import load_user

_WOMEN = ("f", "female", "woman", "women", "女")
_MEN = ("m", "male", "man", "men", "男")
LAST_SHOWN = 3


@dataclass(frozen=True)
class Person:
    """One row of the list."""

    user_id: str
    profile: Profile
    events: int
    last: tuple[tuple[str, str], ...]  # (item id, title), newest first
    known: bool = True

    @property
    def gender_word(self) -> str:
        gender = (self.profile.gender or "").lower()
        return "woman" if gender in _WOMEN else "man" if gender in _MEN else gender

    @property
    def facts(self) -> str:
        """``woman · 31 · artist``, as far as known."""
        age = "" if self.profile.age is None else str(self.profile.age)
        return " · ".join(p for p in (self.gender_word, age, self.profile.occupation or "") if p)


def _likely(text: str) -> str:
    return "".join("\\" + c if c in "%_\\" else c for c in text)


def _word_condition(word: str) -> sa.ColumnElement[bool]:
    """What one word of a search says about a person."""
    u = schema.users.c
    if word in _WOMEN or word in _MEN:
        spellings = _WOMEN if word in _WOMEN else _MEN
        return sa.or_(sa.func.lower(u.gender).in_(spellings), u.id == word)
    pattern = _likely(word)
    options: list[sa.ColumnElement[bool]] = [
        sa.func.lower(u.occupation).like(f"%{pattern}%", escape="\\"),
        sa.func.lower(u.id).like(f"{pattern}%", escape="\\"),
    ]
    if word.isdecimal() and len(word) <= 3:
        options.append(u.age == int(word))
    return sa.or_(*options)


def _last(connection: sa.Connection, user_num: int) -> tuple[tuple[str, str], ...]:
    e, i = schema.events.c, schema.items.c
    query = (
        sa.select(i.id, i.title)
        .join_from(schema.events, schema.items, e.item_num == i.num)
        .where(e.user_num == user_num)
        .order_by(e.time.desc(), e.num.desc())
        .limit(LAST_SHOWN)
    )
    return tuple((row[0], row[1]) for row in connection.execute(query))


def _person(connection: sa.Connection, row: Any) -> Person:
    count = sa.select(sa.func.count()).where(schema.events.c.user_num == row["num"])
    profile = Profile(gender=row["gender"], age=row["age"], occupation=row["occupation"])
    return Person(
        row["id"], profile, int(connection.scalar(count) or 0), _last(connection, row["num"])
    )


def people(engine: sa.Engine, *, words: str = "", limit: int, offset: int = 0) -> list[Person]:
    """People in order of arrival; ``words`` narrow by id, occupation, age or gender."""
    u = schema.users.c
    query = sa.select(u.num, u.id, u.gender, u.age, u.occupation).order_by(u.num)
    for word in words.lower().split()[:8]:
        query = query.where(_word_condition(word))
    with engine.connect() as connection:
        rows = connection.execute(query.limit(limit).offset(offset)).mappings().all()
        return [_person(connection, row) for row in rows]


def person(engine: sa.Engine, user_id: str) -> Person:
    """One person; somebody unknown is a new visitor with nothing told."""
    user = load_user(engine, user_id)
    if user is None:
        return Person(user_id, Profile(), 0, (), known=False)
    u = schema.users.c
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(u.num, u.id, u.gender, u.age, u.occupation).where(u.id == user_id)
        ).mappings()
        return _person(connection, row.one())
