"""Why an item stands where it stands: TreeSHAP parts, and history named only when it is proven.

A history item is named only if the item's score, computed anew without it, is really lower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segue.core.protocols import Additive
from segue.core.types import Catalogue, Doubles, Floats, Histories, Profile, Query, Reason, Rows
from segue.recommend.content import Content
from segue.recommend.features import Base, Side
from segue.recommend.groups import age_group
from segue.recommend.matrix import powers
from segue.recommend.plan import Plan
from segue.recommend.social import liked_by

if TYPE_CHECKING:
    from segue.recommend.pipeline import Pipeline

STRONGEST = 8  # history items tried for each recommended item
NAMED = 3  # of them are named at most
TAG_MEMORY = 50  # newest history items whose tags are looked at
LEAST_SHARE = 0.02  # smaller parts are folded into the rest
FRESH_DAYS = 180
LEAST_FALL = 1e-4  # of a promise: a smaller fall may be rounding
NEW = Reason("freshness", "new here: nobody has met it yet", 1.0)


@dataclass(frozen=True)
class Proof:
    """For each recommended item: history positions tried, and how far the score fell without."""

    tried: Rows  # (n_items, n_tried) positions in the history, -1 for none
    drops: Doubles  # (n_items, n_tried) score minus score without; 0 where none


def reasons(
    pipeline: Pipeline, query: Query, items: Rows, scores: Doubles, features: Floats
) -> list[tuple[Reason, ...]]:
    """One tuple of reasons an item; shares of each sum to one.

    ``features`` (len(items), n_features) are the rows that gave ``scores``.
    """
    warm = pipeline.warm[items]
    out: list[tuple[Reason, ...]] = [()] * len(items)
    if warm.any():
        which = np.flatnonzero(warm)
        told = _warm(pipeline, query, items[warm], scores[warm], features[warm])
        for place, found in zip(which, told, strict=True):
            out[place] = found
    if not warm.all():
        which = np.flatnonzero(~warm)
        for place, found in zip(which, cold(pipeline, query, items[~warm]), strict=True):
            out[place] = found
    return out


def _warm(
    pipeline: Pipeline, query: Query, items: Rows, scores: Doubles, rows: Floats
) -> list[tuple[Reason, ...]]:
    parts = pipeline.blend.parts(rows)
    proof = prove(pipeline, query, items, scores, parts)
    counts = _wanted_tags(pipeline.catalogue, query.history)
    return [
        _compose(
            pipeline,
            query,
            proven(proof.tried[n], proof.drops[n]),
            parts[n],
            rows[n],
            int(item),
            _shared_tags(pipeline.catalogue, counts, int(item)),
        )
        for n, item in enumerate(items)
    ]


def proven(tried: Rows, drops: Doubles) -> list[tuple[int, float]]:
    """(history position, fall of the score) of the entries to name, largest fall first."""
    pairs = [(int(t), float(d)) for t, d in zip(tried, drops, strict=True) if t >= 0 and d > 1e-9]
    return sorted(pairs, key=lambda pair: -pair[1])[:NAMED]


def prove(pipeline: Pipeline, query: Query, items: Rows, scores: Doubles, parts: Doubles) -> Proof:
    """Compute the scores of warm ``items`` anew without each of their strongest history items."""
    history = query.history
    at = pipeline.clock(history, query.at)
    blocks = blocks_of(pipeline.side, history, items)
    credit = _credit(pipeline.side, history, blocks, parts)
    for name, fitted in pipeline.side.parts.items():
        if name in blocks or isinstance(fitted, Content):
            continue
        if isinstance(fitted, Additive):
            view = pipeline.side.plan.parts[name].views[0].name
            adds = fitted.contributions(history, at, items)
            credit += _dealt(adds, parts[:, pipeline.side.plan.names.index(view)])
    k = min(STRONGEST, len(history.items))
    tried = np.argsort(-credit, axis=0, kind="stable")[:k].T  # (n_items, k)
    useful = np.take_along_axis(credit.T, tried, axis=1) > 0
    tried = np.where(useful, tried, -1).astype(np.intp)
    left_out = np.unique(tried[tried >= 0])
    drops = np.zeros(tried.shape)
    if len(left_out) == 0:
        return Proof(tried, drops)
    variants = history.without_each(0, history.items[left_out])
    base = variant_base(pipeline, query, variants, left_out, blocks, items)
    what, nth = np.nonzero(tried >= 0)
    who = np.searchsorted(left_out, tried[what, nth])
    profiles = [query.profile] * len(left_out)
    views = {view: found[who, what] for view, found in base.items()}
    rows = pipeline.side.rows(views, variants, profiles, at, who, items[what])
    drops[what, nth] = scores[what] - pipeline.blend.score(rows)
    return Proof(tried, drops)


def blocks_of(side: Side, history: Histories, items: Rows) -> dict[str, Floats]:
    """part -> (n_entries, n_items) cells of its matrix, for parts that have one."""
    matrices = {name: side.matrix(name) for name in side.parts}
    return {n: m.block(history.items, items) for n, m in matrices.items() if m is not None}


def _credit(
    side: Side, history: Histories, blocks: Mapping[str, Floats], parts: Doubles
) -> Doubles:
    """(n_entries, n_items): each view's TreeSHAP part, dealt out by what each entry adds to it."""
    total = np.zeros((len(history.items), len(parts)))
    for column, (part, view) in enumerate(side.plan.views.values()):
        if part not in blocks:
            continue
        half_life = view.half_life
        decay = (
            1.0
            if half_life is None
            else powers(half_life, len(history.items))[history.age_rank, None]
        )
        adds = blocks[part] * (decay * history.weights[:, None])
        total += _dealt(adds, parts[:, column])
    return total


def _dealt(adds: Floats, part: Doubles) -> Doubles:
    """(n_entries, n_items): a view's part, in the proportions of what the entries add.

    Even where a view's part is negative its strongest entries hold the score up.
    """
    size = np.abs(adds).sum(axis=0) + 1e-12
    return np.asarray(adds / size * (np.abs(part) + 1e-6))


def variant_base(
    pipeline: Pipeline,
    query: Query,
    variants: Histories,
    left_out: Rows,
    blocks: Mapping[str, Floats],
    items: Rows,
) -> Base:
    """What :meth:`Side.base` gives for ``variants`` (the history less one entry each), faster."""
    side, history = pipeline.side, query.history
    n, at = len(history.items), pipeline.clock(history, query.at)
    rank = history.age_rank
    # Without a newer entry, every older one moves up by one.
    ranks = rank[None, :] - (rank[None, :] > rank[left_out][:, None])
    keep = np.ones((len(left_out), n), dtype=np.float32)
    keep[np.arange(len(left_out)), left_out] = 0
    weights: dict[float | None, Floats] = {}
    out: Base = {}
    for name, (part, view) in side.plan.views.items():
        half_life, fitted = view.half_life, side.parts[part]
        if part in blocks:
            if half_life not in weights:
                own = keep * history.weights
                # Few distinct ranks, many cells: look the powers up.
                weights[half_life] = own if half_life is None else own * powers(half_life, n)[ranks]
            out[name] = weights[half_life] @ blocks[part]
        elif isinstance(fitted, Content):
            memory = fitted.half_life
            shares = keep * history.weights * (1 if memory is None else powers(memory, n)[ranks])
            out[name] = fitted.weighted_likeness(history.items, shares, items)
        elif side.plan.parts[part].group == "social":  # whom one follows, not what one did
            alike = side.told(part, history, [query.profile], at, items)
            out.update({v: np.repeat(s, len(left_out), axis=0) for v, s in alike.items()})
        elif name not in out:  # a part with several heads tells them all at once
            profiles = [query.profile] * variants.n_users
            out.update(side.told(part, variants, profiles, at, items))
    return out


def _compose(
    pipeline: Pipeline,
    query: Query,
    proven: Sequence[tuple[int, float]],
    parts: Doubles,
    row: Floats,
    item: int,
    shared: Sequence[str],
) -> tuple[Reason, ...]:
    plan = pipeline.side.plan
    size = {g: max(0.0, float(parts[columns].sum())) for g, columns in plan.columns_of.items()}
    # What one entry carries is part of the history's size, even where the rest pulls down.
    size["history"] = max(size["history"], proven[0][1] if proven else 0.0)
    found = history_reasons(pipeline.catalogue, query.history, proven, size["history"])
    texts = {
        "content": f"shares the tags {', '.join(shared)}" if shared else "is like what you chose",
        "popularity": _popular_text(plan, row),
        "freshness": _age_text(plan, row),
        "profile": profile_text(query.profile),
        "activity": "fits how much and how lately you watch",
        "social": social_text(query, item),
    }
    found += [Reason(g, text, size[g]) for g, text in texts.items() if size[g] > 0]
    return normalised(found, Reason("popularity", texts["popularity"], 1.0))


def history_reasons(
    catalogue: Catalogue, history: Histories, proven: Sequence[tuple[int, float]], size: float
) -> list[Reason]:
    if size <= 0:
        return []
    if not proven:
        return [Reason("history", "fits what you chose as a whole", size)]
    total = sum(drop for _, drop in proven)
    out = []
    for position, drop in proven:
        item = catalogue.items[history.items[position]]
        text = f"because you {_verb(float(history.weights[position]))} {item.title}"
        out.append(Reason("history", text, size * drop / total, (item.id,)))
    return out


def normalised(found: Sequence[Reason], otherwise: Reason) -> tuple[Reason, ...]:
    """Shares that sum to one, largest first; tiny parts are folded into the rest.

    The first named history item stays however small: it is what a person can act on.
    """
    total = sum(r.share for r in found)
    named = next((r for r in found if r.item_ids), None)
    kept = [r for r in found if r.share > 0 and (r is named or r.share >= LEAST_SHARE * total)]
    if not kept:
        return (otherwise,)
    total = sum(r.share for r in kept)
    out = [Reason(r.kind, r.text, r.share / total, r.item_ids) for r in kept]
    return tuple(sorted(out, key=lambda r: -r.share))


def _verb(weight: float) -> str:
    if weight >= 0.95:
        return "loved"
    if weight >= 0.8:
        return "liked"
    return "watched" if weight >= 0 else "turned down"


def _popular_text(plan: Plan, row: Floats) -> str:
    if row[plan.names.index("trend 3d")] > 0.3:
        return "popular this week"
    if row[plan.names.index("trend")] > 0.2:
        return "popular this month"
    return "popular with many people"


def _age_text(plan: Plan, row: Floats) -> str:
    new = row[plan.names.index("item age")] < FRESH_DAYS
    return "new here" if new else "of an age that you choose"


def profile_text(profile: Profile) -> str:
    group = age_group(profile.age)
    words = [
        f"aged {group}" if group is not None else "",
        f"who are {profile.occupation}s" if profile.occupation else "",
        f"in {profile.country}" if profile.country else "",
        f"on {profile.device}" if profile.device else "",
    ]
    known = " ".join(w for w in words if w)
    return f"chosen by people {known}" if known else "chosen by people like you"


def social_text(query: Query, item: int) -> str:
    circle = query.history.circle
    return "" if circle is None else liked_by(circle, query.friends, item)


def _wanted_tags(catalogue: Catalogue, history: Histories) -> Counter[str]:
    """How often each tag occurs among the last things that the person wanted."""
    wanted = history.items[-TAG_MEMORY:][history.weights[-TAG_MEMORY:] > 0].tolist()
    return Counter(tag for row in wanted for tag in catalogue.items[row].tags)


def _shared_tags(catalogue: Catalogue, wanted: Counter[str], item: int) -> list[str]:
    """Up to three tags of the item, those most frequent among what the person wanted."""
    shared = [tag for tag in dict.fromkeys(catalogue.items[item].tags) if wanted[tag]]
    return sorted(shared, key=lambda tag: -wanted[tag])[:3]


def cold(pipeline: Pipeline, query: Query, items: Rows) -> list[tuple[Reason, ...]]:
    """Items without history: content alone, with the entries that carry what it says."""
    told = pipeline.foretold(items)
    out: list[tuple[Reason, ...]] = [(NEW,)] * len(items)
    for which, reasons_of in ((told, _foretold), (~told, _alike)):
        if which.any():
            found = reasons_of(pipeline, query, items[which])
            for place, reason in zip(np.flatnonzero(which), found, strict=True):
                out[place] = reason
    return out


def _foretold(pipeline: Pipeline, query: Query, items: Rows) -> list[tuple[Reason, ...]]:
    """Reasons of items of which :class:`~segue.recommend.cold.Cold` foretells who takes them."""
    model, history = pipeline.cold, query.history
    assert model is not None
    adds = model.contributions(history, query.at, items).astype(np.float64)
    tried = np.argsort(-adds, axis=0, kind="stable")[:STRONGEST].T  # (n_items, k)
    whole, drops = _deleted(model.promise, history, items, tried)
    nobody = Histories.of_one([], [], [], history.n_items)
    wanted = _wanted_tags(pipeline.catalogue, history)
    usual = model.promise(nobody, items)[0]
    holding = np.maximum(adds, 0).sum(axis=0)
    out: list[tuple[Reason, ...]] = []
    for n, item in enumerate(items.tolist()):
        if whole[n] <= 0:
            out.append((NEW,))
            continue
        falls = proven(tried[n], np.where(drops[n] > LEAST_FALL * whole[n], drops[n], 0))
        named = [(t, float(adds[t, n] / holding[n])) for t, _ in falls if adds[t, n] > 0]
        found = _named(pipeline, history, named, "because you {verb} {title}")
        rest = 1.0 - sum(r.share for r in found)
        # What the mean person is promised as well says nothing of this one's taste.
        common = float(np.clip(usual[n] / whole[n], 0, 1))
        found += [
            Reason("content", _content_text(pipeline.catalogue, wanted, item), rest * (1 - common)),
            Reason("popularity", "many people choose what is like it", rest * common),
        ]
        out.append(normalised(found, NEW))
    return out


def _alike(pipeline: Pipeline, query: Query, items: Rows) -> list[tuple[Reason, ...]]:
    """Reasons of items that have nothing but their likeness to the history."""
    history, bridge = query.history, pipeline.bridge
    adds = bridge.content.contributions(history, query.at, items)
    tried = np.argsort(-adds, axis=0, kind="stable")[:STRONGEST].T  # (n_items, k)
    whole, drops = _deleted(bridge.likeness, history, items, tried)
    wanted = _wanted_tags(pipeline.catalogue, history)
    out: list[tuple[Reason, ...]] = []
    for n, item in enumerate(items.tolist()):
        if whole[n] <= 0:
            out.append((NEW,))
            continue
        falls = proven(tried[n], np.where(drops[n] > 1e-6, drops[n], 0))
        total = sum(d for _, d in falls)
        carried = min(total / float(whole[n]), 0.7)
        found = _named(
            pipeline,
            history,
            [(t, carried * d / total) for t, d in falls],
            "like {title}, which you {verb}",
        )
        rest = 1.0 - sum(r.share for r in found)
        found.append(Reason("content", _content_text(pipeline.catalogue, wanted, item), rest))
        out.append(normalised(found, NEW))
    return out


def _deleted(
    score: Callable[[Histories, Rows], Floats], history: Histories, items: Rows, tried: Rows
) -> tuple[Floats, Floats]:
    """(n_items,) what ``items`` score, and (n_items, n_tried) how far that falls without each."""
    whole = score(history, items)[0]
    left_out = np.unique(tried)
    less = score(history.without_each(0, history.items[left_out]), items)  # (n_left_out, n_items)
    which = np.searchsorted(left_out, tried)
    return whole, whole[:, None] - np.take_along_axis(less.T, which, axis=1)


def _named(
    pipeline: Pipeline, history: Histories, shares: Sequence[tuple[int, float]], words: str
) -> list[Reason]:
    """A reason for each (history position, share); ``words`` hold {verb} and {title}."""
    out = []
    for position, share in shares:
        liked = pipeline.catalogue.items[history.items[position]]
        verb = _verb(float(history.weights[position]))
        text = words.format(verb=verb, title=liked.title)
        out.append(Reason("history", text, share, (liked.id,)))
    return out


def _content_text(catalogue: Catalogue, wanted: Counter[str], item: int) -> str:
    shared = _shared_tags(catalogue, wanted, item)
    return (
        f"shares the tags {', '.join(shared)}" if shared else "its content is like what you chose"
    )


def first_reasons(part: Floats, query: Query, item: int) -> tuple[Reason, ...]:
    """Reasons of a cold-start list: popularity, the person's groups, and whom they follow."""
    popular = Reason("popularity", "popular with many people", max(float(part[0]), 0.0))
    of_group = Reason("profile", profile_text(query.profile), max(float(part[1]), 0.0))
    friends = Reason("social", social_text(query, item), max(float(part[2]), 0.0))
    return normalised([popular, of_group, friends], Reason("freshness", "new here", 1.0))


def likeness_reason(catalogue: Catalogue, row: int, other: int) -> Reason:
    """Why ``other`` is listed as similar to ``row``."""
    mine = set(catalogue.items[row].tags)
    shared = [t for t in catalogue.items[other].tags if t in mine][:3]
    title = catalogue.items[row].title
    text = f"shares the tags {', '.join(shared)}" if shared else f"goes with {title}"
    return Reason("content", text, 1.0, (catalogue.ids[row],))
