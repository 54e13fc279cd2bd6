"""A mix of goals: the blend that serves it, and what it changes against the default one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from segue.choosing import LEAST_PEOPLE, LINEAR, TREES, Choice, Windows, measured
from segue.core.goals import Goals
from segue.core.types import Doubles, Interactions, Rows
from segue.evaluate.compare import bootstrap, difference
from segue.evaluate.report import GoalLine, GoalReport
from segue.recommend.blend import Blend, Blending, BlendSettings
from segue.recommend.goals import Achieved, Mix, graded_ndcg, sums
from segue.recommend.plain_blend import LinearBlend, Single
from segue.recommend.plan import Plan

Progress = Callable[[str], None]
K = 10


def mix_of(goals: Goals, achieved: Achieved, taught: Interactions) -> Mix:
    """The mix in units of what ``taught`` (events that a model may learn from) achieves."""
    shares = goals.shares
    return Mix(shares, achieved.units(taught, shares), achieved)


def mixed(
    found: Windows, choice: Choice, mix: Mix, plan: Plan, *, seed: int, progress: Progress
) -> tuple[Windows, Choice]:
    """The blend that serves a mix best on validation, over the parts that were chosen.

    Trees and a linear blend are taught by the gains instead of "consumed or not" and judged by
    NDCG@10 with the gains of validation. One column alone knows of no goals, so where that was the
    choice, blends over ``plan`` are taught. Where the default blend serves the goals as well, it
    stays: rare goals teach noise.
    """
    graded = found.graded(mix)
    parts = plan if isinstance(choice.blend, Single) else choice.blend.plan
    candidates: list[Blending] = [LinearBlend(linear, parts) for linear in LINEAR]
    if isinstance(choice.blend, LinearBlend):
        candidates[0] = choice.fresh()
    if found.people >= LEAST_PEOPLE:
        same = isinstance(choice.blend, Blend)
        candidates.append(choice.fresh() if same else Blend(TREES[0], parts))
        candidates += [Blend(_slower(trees), parts) for trees in TREES[:1]]
    gains = mix.of(graded.valid.goals)

    def worth(blend: Blending) -> float:
        top = graded.valid.ranking(blend.score(graded.valid.columns(blend.plan.names)))
        return float(np.nanmean(graded_ndcg(top, gains, K)))

    tried = [(worth(choice.blend), choice.blend)]
    for blend in candidates:
        blend.fit(graded.lessons, seed)
        tried.append((worth(blend), blend))
        progress(f"tried {blend.kind} for the goals: {tried[-1][0]:.4f} of the gain on validation")
    # Stable: the default comes first, so a blend for the goals must beat it, not equal it.
    value, best = max(tried, key=lambda pair: pair[0])
    told = ", ".join(f"{share:.0%} {goal}" for goal, share in mix.shares.items())
    if best is choice.blend:
        progress(f"the default blend serves the goals best: {value:.4f}")
        line = (f"for {told}: the default", float(choice.valid.ndcg.mean()))
        return graded.plain(), replace(choice, tried=(line, *choice.tried))
    per_user = measured(graded.valid, best)
    line = (f"for {told}: {best.kind}", float(per_user.ndcg.mean()))
    return graded, Choice(best, per_user, (line, *choice.tried))


def _slower(settings: BlendSettings) -> BlendSettings:
    """Gains of many levels carry more noise than yes and no."""
    return replace(settings, trees=150, rate=settings.rate / 2)


def compared(
    plain: Blending, mixing: Blending, graded: Windows, mix: Mix, rng: np.random.Generator
) -> GoalReport:
    """What lists of ten achieve on test, by goal: the default blend against the one for the mix."""
    test = graded.test
    tops = [test.ranking(b.score(test.columns(b.plan.names))) for b in (plain, mixing)]
    goals = {**test.goals, "mix": mix.of(test.goals)}
    lines = []
    for goal, gains in goals.items():
        got = [sums(top, gains, K) for top in tops]
        ndcg = [graded_ndcg(top, gains, K) for top in tops]
        known = ~np.isnan(ndcg[0])
        lines.append(
            GoalLine(
                goal=goal,
                share=mix.shares.get(goal, 1.0),
                plain=bootstrap(got[0], rng),
                mixed=bootstrap(got[1], rng),
                gap=difference(got[1], got[0], rng),
                ndcg_plain=bootstrap(ndcg[0][known], rng),
                ndcg_mixed=bootstrap(ndcg[1][known], rng),
                ndcg_gap=difference(ndcg[1][known], ndcg[0][known], rng),
            )
        )
    return GoalReport(tuple(lines), bootstrap(_overlap(*tops), rng))


def _overlap(ours: Rows, theirs: Rows) -> Doubles:
    """(n_users,) share of the first ten that two lists have in common."""
    same = (ours[:, :K, None] == theirs[:, None, :K]) & (ours[:, :K, None] >= 0)
    return np.asarray(same.any(axis=2).sum(axis=1) / np.maximum((ours[:, :K] >= 0).sum(axis=1), 1))
