"""The parts of a search that may run side by side, and how their results are put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from curvature._prompt_space import PromptSpace, Shape
from curvature._search import Search, Stage, diverse_order
from curvature._search_space import SearchSpace
from curvature._step_claim import StepClaim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from curvature._inequality import Inequality
    from curvature.bandit import LogLinearBandit

    Array = NDArray[np.float64]

_ALIKE = 1e-9

__all__ = ["Found", "Shape", "Task", "run_tasks"]


class Found(NamedTuple):
    """What a search returns, in the order of the fields of :class:`curvature.adversary.WorstCase`."""

    ratio: float
    bandit: LogLinearBandit
    theta: Array
    displacement: Array | None
    trace: tuple[float, ...]
    evaluations: int
    step: float | None
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Task:
    """A search in one box from one seed; see :func:`curvature.adversary.worst_case` for the fields."""

    claim: Inequality | StepClaim
    shape: Shape
    rewards: str
    base: str
    starts: int
    restarts: int
    seed: tuple[int, ...]
    generations: int = 0
    success: float | None = None
    polish: bool = False
    begin: tuple[tuple[Any, Any, float | None], ...] = ()


@dataclass
class _Result:
    """Where a task ended: its best point, and whether it was stopped."""

    stages: list[Stage]
    best: tuple[Array, Array] | None
    first: tuple[Array, Array] | None
    interrupted: bool = field(default=False)


class _OnePrompt:
    """The box and the ratios of a claim about each prompt by itself."""

    def __init__(self, task: Task) -> None:
        assert not isinstance(task.claim, StepClaim)
        self.claim = task.claim
        self.space = SearchSpace(
            task.shape.num_responses,
            task.shape.dimension,
            pinned=task.claim.scale == "diameter",
            rewards=task.rewards,
            base=task.base,
            success=task.success,
            displaced=task.claim.reach is not None,
        )
        self.lower, self.upper, self.sample = self.space.lower, self.space.upper, self.space.sample

    def ratios(self, points: Array, patterns: Array) -> Array:
        bandit = self.space.bandit(points, patterns)
        theta = np.zeros(self.space.dimension)
        return self.claim.ratio(bandit, theta, self._displacements(bandit, theta, points))

    def found(self, point: Array, pattern: Array, stages: Sequence[Stage]) -> Found:
        bandit, theta = self.space.instance(point, pattern)
        moved = self._displacements(bandit, theta, point[None])
        ratio = float(self.claim.ratio(bandit, theta, moved)[0])
        return _found(ratio, bandit, theta, None if moved is None else moved[0], None, stages)

    def _displacements(self, bandit: LogLinearBandit, theta: Array, points: Array) -> Array | None:
        if self.claim.reach is None:
            return None
        least, largest = self.claim.reach(bandit, theta)
        return self.space.displacements(points, least, largest)


class _ManyPrompts:
    """The box and the ratios of a claim about several prompts."""

    def __init__(self, task: Task) -> None:
        assert isinstance(task.claim, StepClaim)
        self.claim = task.claim
        self.space = PromptSpace(task.claim, task.shape, rewards=task.rewards, base=task.base)
        self.lower, self.upper, self.sample = self.space.lower, self.space.upper, self.space.sample
        self.ratios = self.space.ratios

    def found(self, point: Array, pattern: Array, stages: Sequence[Stage]) -> Found:
        bandit, theta, step = self.space.instance(point, pattern)
        return _found(self.claim.ratio(bandit, theta, step), bandit, theta, None, step, stages)


def run_tasks(tasks: Sequence[Task], workers: int, polish: bool, progress: bool) -> Found:
    """Run the tasks, in order or side by side, and return the best instance with the stages of all in order."""
    from tqdm import tqdm

    best: tuple[int, Array, Array] | None = None
    first: tuple[int, Array, Array] | None = None
    stages: list[Stage] = []
    top, interrupted = -np.inf, False
    bar = tqdm(total=len(tasks), disable=not progress, desc=tasks[0].claim.name)
    try:
        for index, result in _results(tasks, workers):
            first = first or (None if result.first is None else (index, *result.first))
            # Of instances equally bad to 1e−9 the first is kept, which is the smallest.
            if result.best is not None and result.stages[-1].ratio > top * (1 + _ALIKE):
                top, best = result.stages[-1].ratio, (index, *result.best)
            stages += _appended(stages, result.stages, _label(tasks, index))
            interrupted = result.interrupted
            bar.update()
            bar.set_postfix(ratio=f"{top:.6g}")
    except KeyboardInterrupt:
        interrupted = True
    finally:
        bar.close()
    chosen = best or first
    if chosen is None:
        raise KeyboardInterrupt
    index, point, pattern = chosen
    box = _box(tasks[index])
    if polish and not interrupted:
        search = Search(box.ratios, box.lower, box.upper)
        search.best, search.best_ratio = (point, pattern), top
        try:
            search.polish()
        except KeyboardInterrupt:
            interrupted = True
        search.close_stage("polish")
        stages += _appended(stages, search.stages, "")
        point, pattern = search.best
    if interrupted:
        stages.append(stages[-1]._replace(name="interrupted"))
    return box.found(point, pattern, stages)


def _results(tasks: Sequence[Task], workers: int) -> Iterator[tuple[int, _Result]]:
    if workers == 1 or len(tasks) == 1:
        for index, task in enumerate(tasks):
            result = _run(task)
            yield index, result
            if result.interrupted:
                return
        return
    from curvature._workers import worker_pool

    with worker_pool(min(workers, len(tasks))) as pool:
        yield from enumerate(pool.imap(_run, tasks))


def _run(task: Task) -> _Result:
    """Search in one box; Ctrl-C ends it with what it has."""
    box, rng = _box(task), np.random.default_rng(task.seed)
    search = Search(box.ratios, box.lower, box.upper)
    result = _Result(search.stages, None, None)
    try:
        points, patterns = box.sample(rng, task.starts)
        if isinstance(box, _ManyPrompts) and task.begin:
            known = [box.space.encode(*instance) for instance in task.begin]
            points = np.vstack([*(one[0] for one in known if one), points])
            patterns = np.vstack([*(one[1] for one in known if one), patterns])
        result.first = (points[0], patterns[0])
        ratios = search.ratios(points, patterns)
        search.close_stage("sample")
        order = diverse_order(ratios, patterns)
        for start in order[: task.restarts]:
            search.climb(points[start], patterns[start])
            search.close_stage("climb")
        if task.generations and search.best is not None:
            pattern = search.best[1]
            alike = [index for index in order if (patterns[index] == pattern).all()]
            search.evolve(points[alike], pattern, task.generations, rng)
            search.close_stage("evolution")
            search.climb(*search.best)
            search.close_stage("climb")
        if task.polish:
            search.polish()
            search.close_stage("polish")
    except KeyboardInterrupt:
        result.interrupted = True
        search.close_stage("climb")
    result.best = search.best
    return result


def _box(task: Task) -> _OnePrompt | _ManyPrompts:
    return _ManyPrompts(task) if isinstance(task.claim, StepClaim) else _OnePrompt(task)


def _label(tasks: Sequence[Task], index: int) -> str:
    """Say which sizes a stage belongs to, where there are several."""
    n, K, d, c = tasks[index].shape
    if len({task.shape for task in tasks}) == 1:
        return ""
    return f"n={n}, K={K}, d={d}" + ("" if c is None else f", overlap {c:g}") + ": "


def _appended(before: Sequence[Stage], new: Sequence[Stage], label: str) -> list[Stage]:
    """Return the new stages as they stand after those before: ratios never fall, evaluations add up."""
    ratio, count = (before[-1].ratio, before[-1].evaluations) if before else (-np.inf, 0)
    return [Stage(label + one.name, max(ratio, one.ratio), count + one.evaluations) for one in new]


def _found(
    ratio: float,
    bandit: LogLinearBandit,
    theta: Array,
    displacement: Array | None,
    step: float | None,
    stages: Sequence[Stage],
) -> Found:
    trace = tuple(stage.ratio for stage in stages)
    return Found(ratio, bandit, theta, displacement, trace, stages[-1].evaluations, step, tuple(stages))
