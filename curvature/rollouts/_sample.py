"""A bounded sample of a log: the rows of whole steps, chosen so that neither order nor splitting of the log matters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curvature.rollouts._keys import mixed
from curvature.rollouts.log import GroupTable, RowSample

__all__ = ["StepSample"]

Rows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64] | None]


class StepSample:
    """Keeps the rows of the steps with the lowest rank, as many whole steps as the budget holds.

    A step's rank is a scrambled form of its number, so the kept steps lie evenly over the run; the first step that is
    seen ranks lowest. The bar only falls: a step that was once above it never returns, hence no kept step has gaps.
    """

    def __init__(self, budget: int = 200_000) -> None:
        self._budget = budget
        self._bar = np.iinfo(np.int64).max
        self._first: int | None = None
        self._parts: list[Rows] = []
        self._rows = 0
        self._cut = False

    def add(
        self,
        step: NDArray[np.int64],
        group: NDArray[np.int64],
        reward: NDArray[np.float64],
        advantage: NDArray[np.float64] | None,
        starts: NDArray[np.intp] | None = None,
    ) -> None:
        """Take the rows of one batch whose steps are kept; `starts` are its run_starts, if known."""
        if self._first is None:
            self._first = int(step[0])
        if starts is None:
            starts = np.arange(step.size)
        # A step begins where a run does.
        firsts = step[starts]
        starts = starts[np.concatenate(([True], firsts[1:] != firsts[:-1]))]
        keep = self._rank(step[starts]) < self._bar
        if not keep.any() or (self._cut and self._rows >= self._budget):
            return
        if not keep.all():
            rows = np.flatnonzero(np.repeat(keep, np.diff(starts, append=step.size)))
            step, group, reward = step[rows], group[rows], reward[rows]
            advantage = None if advantage is None else advantage[rows]
        self._parts.append((step, group, reward, advantage))
        self._rows += self._parts[-1][0].size
        if self._rows > 2 * self._budget:
            self._lower_the_bar(self._budget // 2)

    def rows(self, table: GroupTable) -> tuple[RowSample, int | None]:
        """Return the sample, and the step of which only whole groups are kept because it exceeds the budget alone."""
        if not self._parts:
            empty = np.empty(0, dtype=np.int64)
            return RowSample(empty, empty, np.empty(0)), None
        if self._rows > self._budget:
            self._lower_the_bar(self._budget)
        step, group, reward, advantage = self._join()
        if advantage is not None and np.isnan(advantage).all():
            advantage = None
        if not self._cut:
            return RowSample(step, group, reward, advantage), None
        whole = _in_whole_groups(step, group, table)
        kept = RowSample(
            step[whole], group[whole], reward[whole], None if advantage is None else advantage[whole]
        )
        return kept, int(step[0])

    def _rank(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        rank = mixed(steps) & np.int64(np.iinfo(np.int64).max >> 1)
        rank[steps == self._first] = -1
        return rank

    def _join(self) -> Rows:
        if len(self._parts) > 1:
            step, group, reward, _ = zip(*self._parts, strict=True)
            joined = np.concatenate(step), np.concatenate(group), np.concatenate(reward)
            self._parts = [(*joined, self._join_advantages())]
        return self._parts[0]

    def _join_advantages(self) -> NDArray[np.float64] | None:
        """One column; NaN for the parts that have none."""
        if all(part[3] is None for part in self._parts):
            return None
        columns = [np.full(part[0].size, np.nan) if part[3] is None else part[3] for part in self._parts]
        return np.concatenate(columns)

    def _lower_the_bar(self, target: int) -> None:
        """Drop the steps of highest rank until `target` holds the rest; one step beyond the budget is cut."""
        step, group, reward, advantage = self._join()
        starts = np.concatenate(([0], np.flatnonzero(step[1:] != step[:-1]) + 1))
        lengths = np.diff(starts, append=step.size)
        names, index = np.unique(step[starts], return_inverse=True)
        counts = np.bincount(index, weights=lengths).astype(np.int64)
        order = np.argsort(self._rank(names))
        total = np.cumsum(counts[order])
        fits = max(int(np.searchsorted(total, target, side="right")), 1)
        keep = np.zeros(names.size, dtype=bool)
        keep[order[:fits]] = True
        if fits < names.size:
            self._bar = int(self._rank(names[order[fits : fits + 1]])[0])
        rows = np.flatnonzero(np.repeat(keep[index], lengths))
        if rows.size > self._budget:
            rows, self._cut = rows[: self._budget], True
            self._bar = int(self._rank(names[order[:1]])[0]) + 1
        self._parts = [
            (step[rows], group[rows], reward[rows], None if advantage is None else advantage[rows])
        ]
        self._rows = rows.size


def _in_whole_groups(
    step: NDArray[np.int64], group: NDArray[np.int64], table: GroupTable
) -> NDArray[np.bool_]:
    """Whether each row of one step belongs to a group all of whose rows are here."""
    here = table.step == step[0]
    names, total = table.group[here], (table.size + table.missing)[here]
    order = np.argsort(names)
    found, index, counts = np.unique(group, return_inverse=True, return_counts=True)
    place = np.minimum(np.searchsorted(names[order], found), max(names.size - 1, 0))
    if not names.size:
        return np.zeros(step.size, dtype=bool)
    matches = (names[order][place] == found) & (total[order][place] == counts)
    return matches[index]
