"""What the API and the page both ask for, without any web framework."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import sqlalchemy as sa

from segue.config import Contact
from segue.core.behaviour import BehaviourWeights
from segue.core.errors import NotFound, SegueError
from segue.core.protocols import Foreseeing, Naming, Recommender, Sociable
from segue.core.types import (
    PROFILE_FIELDS,
    Bools,
    Event,
    Histories,
    Item,
    Outlook,
    Query,
    Ranking,
    Reason,
    Scored,
    Vectors,
)
from segue.recommend.explore import Explore
from segue.serve import files
from segue.serve.exploring import Explorer
from segue.serve.tastes import steered, stretches
from segue.store import events, schema, social, tastes
from segue.store.catalogue import StoredCatalogue, load_user
from segue.store.insights import Insights, load_insights
from segue.store.scenes import SceneRow, load_scenes
from segue.store.works import Availability, load_availability
from segue.store.workspace import Workspace
from segue.understand.moments import Taste, best_moment

Search = Callable[[str, int], list[tuple[int, float]]]
"""(words, k) -> (row, cosine) pairs, best first."""

SceneSearch = Callable[[str, int], list[tuple[SceneRow, float]]]
"""(words, k) -> (scene, cosine) pairs, best first."""

Reword = Callable[[Sequence[str], str, Sequence[str]], list[str]]
"""(reasons, language, titles) -> the same in other words; what lost a title stays as it was."""

REFUSED = ("hide", "dislike")
COLD_START = "cold-start"
MEDIA_KINDS = frozenset({"video", "track", "speech", "book", "image"})
NEWEST_SHARE = 0.05  # of the catalogue counts as new …
NEWEST_LEAST = 24  # … but at least this many items
LIKED_WEIGHT = 0.75  # four stars of five weigh .85, three .7
SIMILAR_POOL = 5  # similar items asked for, per item shown: some were seen already


class NoModel(SegueError):
    """Nothing can be recommended yet."""


@dataclass(frozen=True)
class Answer:
    """A list for one person. ``strategy`` says what made it: ``cold-start`` without history,
    ``newcomers`` with little."""

    version: str
    strategy: str
    ranking: Ranking
    request_id: str = ""  # under which its propensities are logged; empty where nothing explores


@dataclass(frozen=True)
class Rail:
    """One row of the page."""

    id: str  # for-you | because | new | media
    title: str
    note: str
    ranking: Ranking
    wide: bool = False


@dataclass(frozen=True)
class Found:
    """A search hit; ``by`` says whether the title or the meaning matched."""

    item_id: str
    score: float
    by: Literal["title", "meaning"]


@dataclass(frozen=True)
class SceneFound:
    """A scene that words found."""

    item_id: str
    start_s: float
    end_s: float
    keyframe: int | None
    score: float


@dataclass(frozen=True)
class MomentFound:
    """Where to begin an item: seconds, the keyframe's position, and the item that says so."""

    start_s: float
    end_s: float
    keyframe: int | None
    because: Item | None


@dataclass
class Service:
    """The parts of a running server and the questions it answers."""

    workspace: Workspace
    catalogue: StoredCatalogue
    recommender: Recommender | None
    behaviour: BehaviourWeights
    search: Search | None = None
    clock: Callable[[], float] = time.time
    content: Vectors | None = None
    scene_search: SceneSearch | None = None
    reword: Reword | None = None
    profile_use: tuple[str, ...] = PROFILE_FIELDS  # what of a profile may tell in a ranking
    history_limit: int = 1000  # newest events of a person that a question reads
    contact: Contact = field(default_factory=Contact)
    explore: Explore = field(default_factory=Explore)

    @property
    def engine(self) -> sa.Engine:
        return self.workspace.engine

    @cached_property
    def shelf(self) -> files.Shelf:
        """Which items have pictures and files; read once, as the catalogue is."""
        return files.Shelf.load(self.engine, self.workspace.derived)

    def model(self) -> Recommender:
        """The recommender, or :class:`NoModel` with the way to get one."""
        if self.recommender is None:
            raise NoModel(
                "no model is loaded; run: segue train --workspace "
                f"{self.workspace.root.name}, then start segue serve again"
            )
        return self.recommender

    def item(self, item_id: str) -> Item:
        """One item of the catalogue; :class:`NotFound` names an unknown one."""
        row = self.catalogue.catalogue.row(item_id)
        if row < 0:
            raise NotFound(f"item {item_id!r} is not in the catalogue")
        return self.catalogue.catalogue.items[row]

    def work_of(self, item_id: str) -> Item:
        """The item that stands for the work of one item: itself, unless it is linked."""
        self.item(item_id)
        items = self.catalogue.catalogue
        row = items.row(item_id)
        return items.items[row if items.stands_for is None else int(items.stands_for[row])]

    @cached_property
    def availability(self) -> Availability:
        """Where each work can be had; read once, as the catalogue is."""
        return load_availability(self.engine, self.catalogue)

    def platforms_of(self, item_id: str) -> tuple[str, ...]:
        """Names of the platforms that have an item's work."""
        places = self.availability.of(self.catalogue.catalogue.row(item_id))
        return tuple(dict.fromkeys(place.platform for place in places))

    def has(self, platform: str) -> Bools:
        """(n_items,) which works a platform has; :class:`NotFound` names an unknown one."""
        known = self.availability.platforms
        if platform not in known:
            told = ", ".join(known) or "none yet; items get theirs from import and connect"
            raise NotFound(f"platform {platform!r} is not known; known: {told}")
        return self.availability.mask(platform)

    def record(self, batch: Sequence[Event]) -> events.Written:
        """Store events; they act on the next question."""
        return events.write(self.engine, batch)

    def take_back(self, event_id: str) -> bool:
        """Delete one event (an undo). False when there was none."""
        gone = sa.delete(schema.events).where(schema.events.c.event_id == event_id)
        with self.engine.begin() as connection:
            return bool(connection.execute(gone).rowcount)

    def query(
        self,
        user_id: str,
        *,
        k: int = 10,
        kinds: Collection[str] | None = None,
        exclude: Collection[str] = (),
    ) -> Query:
        """The question about a person as they are now; an unknown one has an empty history."""
        user, at, use = load_user(self.engine, user_id), self.clock(), self.behaviour
        edits = tastes.edits(self.engine, user_id)
        lent = stretches(edits)
        read = events.history(
            self.engine, user_id, self.catalogue.nums, use, limit=self.history_limit, without=lent
        )
        history, friends = self._among_friends(user_id, read.history, at)
        query = Query(
            user=user_id,
            history=history,
            at=at,
            k=k,
            exclude=frozenset(exclude) | self._gone(user_id, read, lent),
            kinds=None if kinds is None else frozenset(kinds),
            again=frozenset(use.repeat),
            again_before=at - use.repeat_after_h * 3600,
            friends=friends,
        )
        query = steered(query, edits, self.catalogue.catalogue, self.recommender)
        return (
            query if user is None else replace(query, profile=user.profile.only(self.profile_use))
        )

    def _among_friends(
        self, user_id: str, history: Histories, at: float
    ) -> tuple[Histories, tuple[str | None, ...]]:
        """The history with what those whom the person follows did, where the model looks at it."""
        model: object = self.recommender
        if not isinstance(model, Sociable) or not model.asks_friends():
            return history, ()
        around = social.circle(
            self.engine, user_id, at, self.catalogue.nums, self.behaviour,
            without=tastes.lent(self.engine),
        )  # fmt: skip
        return replace(history, circle=around.circle), around.friends

    def _gone(
        self, user_id: str, read: events.Read, lent: Sequence[events.Stretch]
    ) -> frozenset[str]:
        """What was met outside the events that a question reads, and may not return.

        What others watched on a lent account may; what they hid may not.
        """
        if not read.cut and not lent:
            return frozenset()
        items = self.catalogue.catalogue
        inside = {items.ids[row] for row in read.history.items}
        return frozenset(
            item_id
            for item_id, kind in events.met_ever(self.engine, user_id, without=lent).items()
            if item_id not in inside
            and (kind in REFUSED or self.item(item_id).kind not in self.behaviour.repeat)
        )

    def _strategy(self, history: Histories) -> str:
        if len(history.items) == 0:
            return COLD_START
        model = self.model()
        return model.made_by(history) if isinstance(model, Naming) else model.strategy

    def _answer(self, query: Query, ranking: Ranking) -> Answer:
        return Answer(self.model().version, self._strategy(query.history), ranking)

    def recommend(
        self,
        user_id: str,
        k: int,
        *,
        kinds: Collection[str] | None = None,
        rail: str = "for-you",
        platform: str | None = None,
    ) -> Answer:
        """One list for one person, by the name of a rail; of what one platform has, if named."""
        model = self.model()
        query = self.query(user_id, k=k, kinds=kinds)
        if platform is not None:
            query = replace(query, within=self.has(platform))
        if rail == "because":
            because = self._because(query)
            return self._answer(query, Ranking(()) if because is None else because.ranking)
        if rail == "new":
            query = replace(query, added_after=self.new_after)
        if rail == "media":
            query = replace(query, kinds=(query.kinds or MEDIA_KINDS) & MEDIA_KINDS)
        if rail == "for-you" and self.explorer is not None:
            found = self.explorer.explored(model, query)
            return replace(self._answer(query, found.ranking), request_id=found.request_id)
        return self._answer(query, model.recommend(query))

    @cached_property
    def explorer(self) -> Explorer | None:
        """What explores; None where the settings leave it off."""
        if self.explore.policy == "none":
            return None
        return Explorer(self.engine, self.catalogue, self.explore)

    def reasons(self, user_id: str, item_id: str) -> tuple[Reason, ...]:
        """Why an item stands where it stands for a person."""
        self.item(item_id)
        return self.model().reasons(self.query(user_id), item_id)

    def reworded(self, reasons: Sequence[Reason], language: str) -> tuple[Reason, ...]:
        """The same reasons in the words of a language model, where one is configured; shares and
        items are untouched. Takes as long as the model does."""
        if self.reword is None or not reasons:
            return tuple(reasons)
        titles = [self.item(i).title for reason in reasons for i in reason.item_ids]
        texts = self.reword([reason.text for reason in reasons], language, titles)
        return tuple(replace(r, text=text) for r, text in zip(reasons, texts, strict=True))

    def outlook(self, user_id: str, item_ids: Sequence[str]) -> Outlook:
        """What a person is likely to do next."""
        model = self.model()
        if not isinstance(model, Foreseeing):
            raise NotFound("the model that serves makes no forecasts; train again")
        return model.outlook(self.query(user_id), item_ids)

    def moments(self, user_id: str, item_ids: Sequence[str]) -> dict[str, MomentFound]:
        """The scene to begin with, for those of some items that have scenes to choose from."""
        items = self.catalogue.catalogue
        rows = [row for row in items.rows(item_ids) if row >= 0]
        if self.content is None or not rows:
            return {}
        scenes = load_scenes(self.engine, [int(self.catalogue.nums[row]) for row in rows])
        if not any(len(some) > 1 for some in scenes.values()):
            return {}
        taste = Taste.of(self.query(user_id).history, self.content)
        found = {}
        for row in rows:
            own = np.asarray(self.content.values[row], dtype=np.float32)
            some = scenes.get(int(self.catalogue.nums[row]), [])
            moment = best_moment(some, own, taste)
            if moment is not None:
                because = items.items[moment.because] if moment.because >= 0 else None
                at = moment.scene
                found[items.ids[row]] = MomentFound(at.start_s, at.end_s, at.keyframe, because)
        return found

    def moment(self, user_id: str, item_id: str) -> MomentFound:
        """The scene of one item that fits a person best; the beginning where it has but one."""
        item = self.item(item_id)
        found = self.moments(user_id, [item_id]).get(item_id)
        if found is not None:
            return found
        if not self.shelf.pictures.get(item_id, Counter())["keyframe"]:
            raise NotFound(f"item {item_id!r} has no scenes; it is no video, or wasn't ingested")
        return MomentFound(0.0, item.duration_s or 0.0, 0, None)

    def insights(self, item_id: str) -> Insights:
        """All that understanding found in an item."""
        return load_insights(self.engine, item_id)

    def similar(self, item_id: str, k: int) -> Answer:
        """Items most like one item."""
        self.item(item_id)
        model = self.model()
        return Answer(model.version, "similar", model.similar(item_id, k))

    @cached_property
    def new_after(self) -> float:
        """Items added later than this are new: the newest few of the catalogue, ties left out.

        An import gives thousands of items one time; those are the stock, not the news.
        """
        added = self.catalogue.catalogue.added_at
        known = np.sort(added[np.isfinite(added)])
        wanted = max(NEWEST_LEAST, int(len(known) * NEWEST_SHARE))
        return float(known[-wanted - 1]) if len(known) > wanted else float("-inf")

    def liked_last(self, history: Histories) -> Item | None:
        """The item of the newest entry that was liked, not merely chosen."""
        wanted = np.flatnonzero(history.weights >= LIKED_WEIGHT)
        if not len(wanted):
            return None
        return self.catalogue.catalogue.items[int(history.items[wanted[-1]])]

    def _because(self, query: Query) -> Rail | None:
        liked = self.liked_last(query.history)
        if liked is None:
            return None
        items = self.catalogue.catalogue.items
        unwanted = {items[row].id for row in query.history.items} | query.exclude
        near = self.model().similar(liked.id, query.k * SIMILAR_POOL)
        kept: list[Scored] = []
        for entry in near:
            fits = query.kinds is None or self.item(entry.id).kind in query.kinds
            if query.within is not None:
                fits = fits and bool(query.within[self.catalogue.catalogue.row(entry.id)])
            if fits and entry.id not in unwanted:
                kept.append(entry)
        ranking = Ranking(tuple(kept[: query.k]))
        return Rail("because", f"Because you liked {liked.title}", "Closest in kind", ranking)

    def _for_you(self, query: Query) -> Rail:
        cold = len(query.history.items) == 0
        title = "Good places to start" if cold else "For you"
        note = "Cold start: nothing is known about you yet" if cold else "Ranked by what you did"
        explorer, model = self.explorer, self.model()
        if explorer is None:
            return Rail("for-you", title, note, model.recommend(query))
        found = explorer.explored(model, query, explorer.visit(query))
        return Rail("for-you", title, note, found.ranking)

    def first_rail(self, user_id: str, k: int) -> Rail:
        """The first row alone: what a press waits for."""
        return self._for_you(self.query(user_id, k=k))

    def rails(self, user_id: str, k: int, k_more: int) -> tuple[Rail, ...]:
        """The rows of the page: ``k`` items for the person, ``k_more`` in each further row.

        An item shows in the first row that wants it; empty rows drop.
        """
        model = self.model()
        query = self.query(user_id, k=k)
        out = [self._for_you(query)]

        def rest() -> Query:
            shown = {entry.id for rail in out for entry in rail.ranking}
            return replace(query, k=k_more, exclude=query.exclude | shown)

        because = self._because(rest())
        if because is not None:
            out.append(because)
        # The folder chooses first: fresh files are new too, and would leave it empty.
        media = model.recommend(replace(rest(), kinds=MEDIA_KINDS))
        out.append(Rail("media", "From your media folder", "Plays right here", media, wide=True))
        if np.isfinite(self.new_after):
            new = model.recommend(replace(rest(), added_after=self.new_after))
            out.insert(-1, Rail("new", "New here", "Added last", new))
        return tuple(rail for rail in out if len(rail.ranking))

    @cached_property
    def _titles(self) -> tuple[str, ...]:
        return tuple(item.title.casefold() for item in self.catalogue.catalogue.items)

    def find(self, words: str, k: int) -> tuple[Found, ...]:
        """Items by words: titles that hold every word first, then what means the same.

        A work is found by the title that any platform gives it, once.
        """
        parts = words.casefold().split()
        if not parts:
            return ()
        items = self.catalogue.catalogue
        named = [row for row, title in enumerate(self._titles) if all(p in title for p in parts)]
        named = [row for row in named if self._is_shown(row)]
        title_of = {row: items.items[row].title for row in named}
        named.sort(key=lambda row: (not self._titles[row].startswith(parts[0]), title_of[row]))
        hits: dict[str, Found] = {}
        for row in named:
            if len(hits) == k:
                break
            item_id = self.work_of(items.ids[row]).id
            hits.setdefault(item_id, Found(item_id, 1.0, "title"))
        if self.search is not None and len(hits) < k:
            more = k if items.stands_for is None else 2 * k  # rows of one work count once
            for row, cosine in self.search(words, more):
                if not self._is_shown(int(row)):
                    continue
                item_id = self.work_of(items.ids[int(row)]).id
                hits.setdefault(item_id, Found(item_id, float(cosine), "meaning"))
        return tuple(hits.values())[:k]

    def _is_shown(self, row: int) -> bool:
        """Whether the work of a row may be shown."""
        items = self.catalogue.catalogue
        return bool(items.shown[row if items.stands_for is None else int(items.stands_for[row])])

    @cached_property
    def _row_of(self) -> dict[int, int]:
        return {int(num): row for row, num in enumerate(self.catalogue.nums)}

    def find_scenes(self, words: str, k: int) -> tuple[SceneFound, ...]:
        """Scenes by what is seen, said or heard in them, best first."""
        if self.scene_search is None or not words.strip():
            return ()
        return tuple(
            SceneFound(
                self.catalogue.catalogue.ids[self._row_of[scene.item_num]],
                scene.start_s,
                scene.end_s,
                scene.keyframe,
                score,
            )
            for scene, score in self.scene_search(words, k)
            if scene.item_num in self._row_of and self._is_shown(self._row_of[scene.item_num])
        )
