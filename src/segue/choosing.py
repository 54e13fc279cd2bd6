"""Which parts, which blend: chosen on validation, never on test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from segue.core.errors import BadInput
from segue.core.types import Interactions, Training
from segue.evaluate.metrics import PerUser, measure
from segue.folds import Fold, Folds
from segue.recommend.blend import Blend, Blending, BlendSettings
from segue.recommend.features import Side
from segue.recommend.fitting import Fitting
from segue.recommend.goals import Mix
from segue.recommend.plain_blend import LinearBlend, LinearSettings, Single, SingleSettings
from segue.recommend.plan import Part, Plan
from segue.recommend.windows import Window, collect

Progress = Callable[[str], None]
Look = Callable[[Training, Side], None]  # at what was fitted as of each fold, before it goes

TREES = (
    BlendSettings(),
    BlendSettings(leaves=10, rate=0.06),
    BlendSettings(trees=90, rate=0.06),
)
LINEAR = (LinearSettings(), LinearSettings(l2=0.1), LinearSettings(l2=0.003))
LEAST_PEOPLE = 10  # of the lessons; with fewer, trees cannot be grown


@dataclass(frozen=True)
class Windows:
    """The folds with features and labels."""

    lessons: tuple[Window, ...]
    valid: Window
    test: Window
    held: tuple[Interactions, ...] = ()  # what followed, of each lesson, validation and test

    def standing(self, plan: Plan) -> Windows:
        """The same with what strategies say told as standings; see :meth:`Window.standing`."""
        names = tuple(plan.views)
        return Windows(
            tuple(window.standing(names) for window in self.lessons),
            self.valid.standing(names),
            self.test.standing(names),
            self.held,
        )

    def graded(self, mix: Mix) -> Windows:
        """The same with the gains of a mix of goals instead of "consumed or not"."""
        every = (*self.lessons, self.valid, self.test)
        *lessons, valid, test = (
            mix.graded(window, held) for window, held in zip(every, self.held, strict=True)
        )
        return Windows(tuple(lessons), valid, test, self.held)

    def plain(self) -> Windows:
        """The same taught by "consumed or not"; what goals were achieved is kept."""
        every = (*self.lessons, self.valid, self.test)
        *lessons, valid, test = (replace(window, gain=None) for window in every)
        return Windows(tuple(lessons), valid, test, self.held)

    @property
    def people(self) -> int:
        """People who teach the blend, counted once a lesson."""
        return sum(len(w.users) for w in self.lessons)


@dataclass(frozen=True)
class Choice:
    """What was chosen on validation. ``tried`` is (what, validation NDCG@10), best first."""

    blend: Blending
    valid: PerUser
    tried: tuple[tuple[str, float], ...]

    def fresh(self) -> Blending:
        """The chosen kind, plan and settings, not fitted yet."""
        return _make(self.blend.kind, self.blend.described(), self.blend.plan)


def windows(
    folds: Folds,
    plan: Plan,
    *,
    seed: int,
    fitting: Fitting,
    progress: Progress,
    look: Look | None = None,
) -> Windows:
    """Fit a plan as of each fold; nothing of a fold is known to what is fitted for it."""
    look = _nothing if look is None else look
    lessons: list[Window] = []
    held: list[Interactions] = []
    side: Side | None = None
    for number, fold in enumerate(folds.lessons):
        progress(f"fitting as of {fold.name}")
        side, window = _window(fold, plan, side, seed + number, fitting)
        look(fold.past, side)
        if len(window.users):
            lessons.append(window)
            held.append(fold.held)
    progress("fitting as of validation")
    side, valid = _window(folds.valid, plan, side, seed, fitting)
    look(folds.valid.past, side)
    progress("fitting as of test")
    side, test = _window(folds.test, plan, side, seed, fitting)
    look(folds.test.past, side)
    for name, window in (("validation", valid), ("test", test)):
        if not len(window.users):
            raise BadInput(
                f"nobody with a past consumed anything new in the {name} window; "
                "import events that span a longer time"
            )
    held += [folds.valid.held, folds.test.held]
    return Windows(tuple(lessons), valid, test, tuple(held))


def _nothing(_past: Training, _side: Side) -> None:
    """Nobody looks."""


def _window(
    fold: Fold, plan: Plan, earlier: Side | None, seed: int, fitting: Fitting
) -> tuple[Side, Window]:
    side = Side(plan)
    side.fit(fold.past, earlier, fitting)
    return side, collect(side, fold.past, fold.held, max_users=fold.max_users, seed=seed)


def measured(window: Window, blend: Blending) -> PerUser:
    """Metrics of a fitted blend's ranking of one window."""
    scores = blend.score(window.columns(blend.plan.names))
    return measure(window.ranking(scores), window.relevant)


def best_view(window: Window, names: Sequence[str] | None = None) -> str:
    """The column of ``names`` (all strategies by default) that ranks a window best alone."""
    ndcg = {
        name: float(measure(top, window.relevant).ndcg.mean())
        for name, top in window.tops.items()
        if names is None or name in names
    }
    return max(ndcg, key=lambda name: ndcg[name])


def choose(
    found: Windows, plan: Plan, extra: Mapping[str, Part], *, seed: int, progress: Progress
) -> Choice:
    """Pick parts, kind and settings of the blend by NDCG@10 on validation.

    Parts of ``extra`` stay only where they help. What beats no single strategy is not served:
    then the best single one is the choice.
    """
    tried: dict[str, tuple[Blending, PerUser]] = {}

    def attempt(what: str, blend: Blending) -> float:
        blend.fit(found.lessons, seed)
        tried[what] = (blend, measured(found.valid, blend))
        progress(f"tried {what}: NDCG@10 {tried[what][1].ndcg.mean():.4f} on validation")
        return float(tried[what][1].ndcg.mean())

    single = Single(SingleSettings(best_view(found.valid)), plan)
    attempt(f"{single.settings.column} alone", single)
    if found.people:
        kept, kind = _grow(found, plan, extra, attempt)
        for linear in LINEAR:
            attempt(f"linear, penalty {linear.l2:g}", LinearBlend(linear, kept))
        if found.people >= LEAST_PEOPLE:
            # The first of the trees has been tried already if the parts were chosen with it.
            for trees in TREES[kind == Blend.kind :]:
                attempt(_told(trees), Blend(trees, kept))
    ndcg = {what: float(per_user.ndcg.mean()) for what, (_, per_user) in tried.items()}
    # Stable: the single strategy comes first, so a blend must beat it, not equal it.
    order = sorted(ndcg, key=lambda what: -ndcg[what])
    blend, per_user = tried[order[0]]
    if isinstance(blend, Single):
        blend = replace(blend, plan=_owner(plan, blend.settings.column))
    return Choice(blend, per_user, tuple((what, ndcg[what]) for what in order))


def _told(settings: BlendSettings) -> str:
    return f"{settings.trees} trees of {settings.leaves} leaves at rate {settings.rate:g}"


def _grow(
    found: Windows, plan: Plan, extra: Mapping[str, Part], attempt: Callable[[str, Blending], float]
) -> tuple[Plan, str]:
    """The default parts with those of ``extra`` that help, the best alone tried first.

    Helping is judged by the kind of blend that does best over the default parts; it is told too.
    """
    kept = plan.only(name for name in plan.parts if name not in extra)
    if found.people < LEAST_PEOPLE:
        return kept, LinearBlend.kind
    firsts = {
        Blend.kind: attempt("trees over the default parts", Blend(TREES[0], kept)),
        LinearBlend.kind: attempt("linear over the default parts", LinearBlend(LINEAR[0], kept)),
    }
    kind = max(firsts, key=lambda kind: firsts[kind])

    def offer(what: str, parts: Plan) -> float:
        blend = Blend(TREES[0], parts) if kind == Blend.kind else LinearBlend(LINEAR[0], parts)
        return attempt(f"{kind} {what}", blend)

    best = firsts[kind]
    for name in sorted(extra, key=lambda name: -_merit(found.valid, plan, name)):
        more = plan.only([*kept.parts, name])
        value = offer(f"with {name} too", more)
        if value > best:
            kept, best = more, value
    if len(extra) > 1 and offer("over all parts", plan) > best:
        kept = plan
    return kept, kind


def _merit(window: Window, plan: Plan, part: str) -> float:
    views = [view.name for view in plan.parts[part].views]
    return max(float(measure(window.tops[v], window.relevant).ndcg.mean()) for v in views)


def _owner(plan: Plan, column: str) -> Plan:
    """The smallest plan that has a column, which proposes what it ranks."""
    if column not in plan.views:
        return plan.only([])
    name, view = plan.views[column]
    part = replace(plan.parts[name], views=(replace(view, proposes=True),))
    return Plan({**plan.only([]).parts, name: part})


def _make(kind: str, settings: Mapping[str, object], plan: Plan) -> Blending:
    kinds: Mapping[str, Callable[[], Blending]] = {
        Blend.kind: lambda: Blend(BlendSettings(**settings), plan),  # type: ignore[arg-type]
        LinearBlend.kind: lambda: LinearBlend(LinearSettings(**settings), plan),  # type: ignore[arg-type]
        Single.kind: lambda: Single(SingleSettings(**settings), plan),  # type: ignore[arg-type]
    }
    return kinds[kind]()
