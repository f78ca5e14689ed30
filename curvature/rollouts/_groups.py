"""The groups of a log in one scale, and their cells: groups alike in step, size and rewards, counted once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.rollouts.log import RolloutLog

__all__ = ["Cells", "Groups"]


@dataclass(frozen=True)
class Cells:
    """Groups that no formula tells apart, one entry each, (C,); of general rewards every group is its own cell.

    Rewards are in units of the range of rewards. `deviation_sum` is NaN where the rows of a group were not kept.
    """

    step: NDArray[np.int64]
    """Index into the log's steps."""
    size: NDArray[np.int64]
    score: NDArray[np.float64]
    variance: NDArray[np.float64]
    deviation_sum: NDArray[np.float64]
    """Σ|r − mean| of one group."""
    deviation_max: NDArray[np.float64]
    number: NDArray[np.int64]
    """How many groups."""
    of_group: NDArray[np.int64]
    """The cell of each group of the log, (M,)."""
    two_valued: bool

    @property
    def std(self) -> NDArray[np.float64]:
        """Population std σ̂ of a group."""
        return np.sqrt(self.variance)


@dataclass(frozen=True)
class Groups:
    """A log's groups with rewards scaled to [0, 1], (M,)."""

    log: RolloutLog
    low: float
    span: float
    counts: NDArray[np.int64] | None
    """Successes of two-valued rewards, else None."""
    clusters: NDArray[np.int64] | None
    """What is resampled together: the prompt, where a group id names one."""

    @classmethod
    def of(cls, log: RolloutLog) -> Groups:
        """Read the scale of a log's rewards."""
        if not len(log.groups):
            raise ValueError("the log holds no group with a reward: there is nothing to diagnose.")
        low, high, counts = _scale_of(log)
        clusters = log.groups.group if log.groups_are_prompts else None
        return cls(log, low, high - low, counts, clusters)

    @property
    def size(self) -> NDArray[np.int64]:
        """Rewards of a group."""
        return self.log.groups.size

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """Mean reward in units of the range: the success rate k/G of two-valued rewards."""
        if self.counts is not None:
            return self.counts / self.size
        return (self.log.groups.mean - self.low) / self.span

    @cached_property
    def variance(self) -> NDArray[np.float64]:
        """Population variance; of two-valued rewards exactly that of k successes in G."""
        if self.counts is not None:
            return self.score * (1 - self.score)
        return self.log.groups.variance / self.span**2

    @cached_property
    def step_index(self) -> NDArray[np.int64]:
        """Index into the log's steps."""
        return np.unique(self.log.groups.step, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The group sizes of the log and how many groups have each."""
        return np.unique(self.size, return_counts=True)

    @property
    def common_size(self) -> int:
        """The most frequent size of a group."""
        sizes, numbers = self.sizes
        return int(sizes[numbers.argmax()])

    @cached_property
    def cells(self) -> Cells:
        """Groups alike, counted."""
        return self._counted_cells() if self.counts is not None else self._single_cells()

    def _counted_cells(self) -> Cells:
        assert self.counts is not None
        most = int(self.size.max()) + 1
        # Two keys, lest their product leave 64 bits.
        kinds, kind = np.unique(self.size * most + self.counts, return_inverse=True)
        keys, first, of_group, number = np.unique(
            self.step_index * kinds.size + kind, return_index=True, return_inverse=True, return_counts=True
        )
        del keys
        size, score, variance = self.size[first], self.score[first], self.variance[first]
        largest = np.where(variance > 0, np.maximum(score, 1 - score), 0.0)
        return Cells(
            self.step_index[first],
            size,
            score,
            variance,
            2 * size * variance,
            largest,
            number,
            of_group,
            True,
        )

    def _single_cells(self) -> Cells:
        table = self.log.groups
        largest = np.maximum(table.high - table.mean, table.mean - table.low) / self.span
        return Cells(
            self.step_index,
            self.size,
            self.score,
            self.variance,
            _deviation_sums(self),
            np.where(table.is_silent, 0.0, largest),
            np.ones(len(table), dtype=np.int64),
            np.arange(len(table)),
            False,
        )

    @cached_property
    def of_row(self) -> NDArray[np.int64]:
        """The group of each row of the sample, (N,); −1 where a group has no reward that is a number."""
        import pandas as pd

        table, rows = self.log.groups, self.log.sample
        known = pd.MultiIndex.from_arrays([table.step, table.group])
        return known.get_indexer(pd.MultiIndex.from_arrays([rows.step, rows.group]))


def _scale_of(log: RolloutLog) -> tuple[float, float, NDArray[np.int64] | None]:
    """Lowest and highest reward and the successes; a constant 0 or 1 is read as a rate of 0 or 1."""
    values = log.reward_values
    if values is None:
        return float(log.groups.low.min()), float(log.groups.high.max()), None
    low, high = values
    if low < high:
        return low, high, log.success_counts
    if low in (0.0, 1.0):
        return 0.0, 1.0, log.groups.size * int(low)
    return low, low + 1.0, None


def _deviation_sums(groups: Groups) -> NDArray[np.float64]:
    """Σ|r − mean| of each group whose rows were kept, NaN of the others, 0 of silent ones."""
    table, rows = groups.log.groups, groups.log.sample
    row = np.flatnonzero((groups.of_row >= 0) & ~np.isnan(rows.reward))
    group = groups.of_row[row]
    deviation = np.abs(rows.reward[row] - table.mean[group]) / groups.span
    kept = np.bincount(group, minlength=len(table))
    sums = np.bincount(group, weights=deviation, minlength=len(table))
    return np.where(table.is_silent, 0.0, np.where(kept == table.size, sums, np.nan))
