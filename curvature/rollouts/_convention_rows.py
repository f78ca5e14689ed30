"""The rows that a convention is checked against: sorted into batches and groups, with what tolerances need of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.advantages import Normalization, group_advantages

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.rollouts.log import RowSample

    Floats = NDArray[np.float64]

_CENTRED = Normalization(spread="none", nan="propagate")


@dataclass(frozen=True)
class Rows:
    """Rows sorted by step, then group; one batch is one step. All arrays (N,).

    Attributes
    ----------
    step, group : ndarray of int64
        As in the log.
    batch, cell : ndarray of intp
        Index of the step, and of the (step, group) pair, from 0 without gaps.
    reward, logged : ndarray of float64
        The reward, and the advantage as logged.
    """

    step: NDArray[np.int64]
    group: NDArray[np.int64]
    batch: NDArray[np.intp]
    cell: NDArray[np.intp]
    reward: Floats
    logged: Floats

    @classmethod
    def of_sample(cls, sample: RowSample) -> Rows:
        """Sort the rows of a sample that has advantages."""
        order = np.lexsort((sample.group, sample.step))
        step, group = sample.step[order], sample.group[order]
        new_batch = np.diff(step, prepend=step[:1]) != 0
        new_cell = new_batch | (group != np.concatenate((group[:1], group[:-1])))
        logged = np.asarray(sample.advantage, dtype=np.float64)[order]
        return cls(step, group, np.cumsum(new_batch), np.cumsum(new_cell), sample.reward[order], logged)

    def __len__(self) -> int:
        return self.reward.size

    def where(self, here: NDArray[np.bool_]) -> Rows:
        """Return some of the rows; groups are to be whole."""
        batch, cell = (np.unique(codes[here], return_inverse=True)[1] for codes in (self.batch, self.cell))
        columns = (self.step[here], self.group[here], batch, cell, self.reward[here], self.logged[here])
        return Rows(*columns)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Where each cell begins, (cells,)."""
        return np.flatnonzero(np.diff(self.cell, prepend=-1))

    @cached_property
    def batch_of_cell(self) -> NDArray[np.intp]:
        """The batch of each cell, (cells,)."""
        return self.batch[self.starts]

    @cached_property
    def is_missing(self) -> NDArray[np.bool_]:
        """Whether the reward is NaN."""
        return np.isnan(self.reward)

    @cached_property
    def size(self) -> NDArray[np.intp]:
        """Number of rewards of the cell that are numbers, (cells,)."""
        return np.bincount(self.cell, weights=~self.is_missing, minlength=self.starts.size).astype(np.intp)

    def cell_range(self, values: Floats) -> Floats:
        """Return the largest minus the smallest value of each cell, NaN left out, (cells,)."""
        return np.fmax.reduceat(values, self.starts) - np.fmin.reduceat(values, self.starts)

    @cached_property
    def reward_range(self) -> Floats:
        """The largest minus the smallest reward of each cell, NaN left out, (cells,)."""
        return self.cell_range(self.reward)

    @cached_property
    def is_silent(self) -> NDArray[np.bool_]:
        """Whether two or more rewards of the row's cell are numbers and all are equal."""
        return ((self.reward_range == 0) & (self.size > 1))[self.cell]

    @cached_property
    def is_live(self) -> NDArray[np.bool_]:
        """Whether the rewards of the row's cell differ."""
        return (self.reward_range > 0)[self.cell]

    @cached_property
    def is_single(self) -> NDArray[np.bool_]:
        """Whether the row's cell has one reward, or one that is a number."""
        members = np.bincount(self.cell)
        return ((self.size == 1) | (members == 1))[self.cell]

    @cached_property
    def is_unlogged(self) -> NDArray[np.bool_]:
        """Whether the advantage is NaN where no convention makes it so: no NaN reward in the batch, no group of one."""
        spoilt = np.bincount(self.batch, weights=self.is_missing)[self.batch] > 0
        return np.isnan(self.logged) & ~spoilt & ~self.is_single

    @cached_property
    def largest_reward(self) -> Floats:
        """The largest |r| of the row's batch."""
        largest = np.zeros(int(self.batch[-1]) + 1)
        np.maximum.at(largest, self.batch, np.nan_to_num(np.abs(self.reward)))
        return largest[self.batch]

    @cached_property
    def centred(self) -> Floats:
        """Rewards minus the mean of their group; NaN throughout a cell with a NaN reward."""
        return group_advantages(self.reward, self.cell, _CENTRED)

    @cached_property
    def scale(self) -> float:
        """The largest finite |advantage| logged; 1 if all are zero."""
        finite = np.abs(self.logged[np.isfinite(self.logged)])
        return float(finite.max()) if finite.size and finite.max() > 0 else 1.0

    def compute(self, convention: Normalization, values: Floats | None = None) -> Floats | None:
        """Return the advantages of a convention, each step a batch of its own; None if it refuses these rewards.

        Equal to one call of :func:`curvature.group_advantages` for each step, without a loop over steps.

        Parameters
        ----------
        convention : Normalization
            How rewards become advantages.
        values : ndarray of float64, (N,), optional
            What to normalise in place of the rewards.

        Returns
        -------
        ndarray of float64, or None
            The advantages, (N,).
        """
        if values is not None:
            return self._computed(values, convention)
        if convention not in self._known:
            self._known[convention] = self._computed(self.reward, convention)
        return self._known[convention]

    @cached_property
    def _known(self) -> dict[Normalization, Floats | None]:
        """What has been computed: the same conventions are compared at several precisions."""
        return {}

    def _computed(self, rewards: Floats, convention: Normalization) -> Floats | None:
        """See :meth:`compute`."""
        try:
            if convention.baseline == "batch":
                spread = "none" if convention.spread == "none" else "group"
                whole = replace(convention, baseline="mean", spread=spread)
                return group_advantages(rewards, self.batch, whole)
            if convention.spread == "batch":
                return self._by_batch_std(rewards, convention)
            if convention.spread == "pooled":
                return self._by_pooled_std(rewards, convention)
            return group_advantages(rewards, self.cell, convention)
        except ValueError:
            return None

    def _by_batch_std(self, rewards: Floats, convention: Normalization) -> Floats:
        """Centre by group, then divide by what the whole batch would be divided by."""
        centred = group_advantages(rewards, self.cell, replace(convention, spread="none"))
        whole = replace(convention, baseline="mean", singleton="zero")
        distance = group_advantages(rewards, self.batch, replace(whole, spread="none"))
        normalised = group_advantages(rewards, self.batch, replace(whole, spread="group"))
        factor = _ratio_at_largest(normalised, distance, self.batch)
        kept = self._lonely(rewards, convention) if convention.singleton != "zero" else False
        return np.where(kept, centred, centred * factor)

    def _by_pooled_std(self, rewards: Floats, convention: Normalization) -> Floats:
        """Centred rewards have mean 0 over the batch, so their std about 0 is their std."""
        centred = group_advantages(rewards, self.cell, replace(convention, spread="none", singleton="zero"))
        if convention.nan == "exclude":
            centred = np.where(np.isnan(rewards), np.nan, centred)
        pooled = group_advantages(
            centred, self.batch, replace(convention, baseline="mean", spread="group", singleton="zero")
        )
        if convention.singleton == "zero":
            return pooled
        lonely = self._lonely(rewards, convention)
        return np.where(lonely, rewards if convention.singleton == "raw" else np.nan, pooled)

    def _lonely(self, rewards: Floats, convention: Normalization) -> NDArray[np.bool_]:
        """Whether the convention sees a group of one."""
        counted = ~np.isnan(rewards) if convention.nan == "exclude" else np.ones(rewards.size, dtype=bool)
        return counted & (np.bincount(self.cell, weights=counted) == 1)[self.cell]


def _ratio_at_largest(above: Floats, below: Floats, batch: NDArray[np.intp]) -> Any:
    """above/below where |below| is largest in the batch, for each row; 1 where all of a batch is 0."""
    order = np.lexsort((np.nan_to_num(np.abs(below), nan=np.inf), batch))
    last = order[np.flatnonzero(np.diff(batch[order], append=batch.max() + 1))]
    ratio = np.divide(above[last], below[last], out=np.ones(last.size), where=below[last] != 0)
    return ratio[batch]
