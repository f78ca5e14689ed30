"""What a reader gives and a diagnosis takes: group summaries of a whole log, a sample of its rows, and what was wrong.

A log of 10⁷ rollouts does not fit where 10⁶ groups do. So the rows are folded into one line for each group of each step
(:class:`GroupTable`), and only a bounded sample of complete steps is kept row by row (:class:`RowSample`), for what
needs rows: which convention made the logged advantages.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["BadRow", "GroupTable", "Note", "RolloutLog", "RowSample"]


class _Columns:
    """Fields of one length as the columns of a data frame."""

    def __len__(self) -> int:
        return len(self.step)  # type: ignore[attr-defined]

    def to_frame(self) -> pd.DataFrame:
        """Return the fields as columns of a data frame.

        Returns
        -------
        pandas.DataFrame
            One row for each entry.
        """
        import pandas as pd

        columns = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return pd.DataFrame({name: column for name, column in columns.items() if column is not None})


@dataclass(frozen=True)
class GroupTable(_Columns):
    """One line for each group of each step, (M,), sorted by step and, within a step, by first appearance.

    Attributes
    ----------
    step : ndarray of int64
        Training step.
    group : ndarray of int64
        The group's id, or a 64-bit hash of its text key. Unique within a step.
    size : ndarray of int64
        Rewards that are numbers; at least 1.
    missing : ndarray of int64
        Rewards that were NaN or null.
    mean, variance : ndarray of float64
        Of the rewards that are numbers; the variance is the population's, and exactly 0 where low == high.
    low, high : ndarray of float64
        Least and largest reward.
    """

    step: NDArray[np.int64]
    group: NDArray[np.int64]
    size: NDArray[np.int64]
    missing: NDArray[np.int64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def is_silent(self) -> NDArray[np.bool_]:
        """Whether all rewards of the group are equal, so that it teaches nothing."""
        return self.low == self.high


@dataclass(frozen=True)
class RowSample(_Columns):
    """Rows of complete steps, (N,), in the order of the log.

    Attributes
    ----------
    step, group : ndarray of int64
        As in :class:`GroupTable`.
    reward : ndarray of float64
        NaN where missing.
    advantage : ndarray of float64, or None
        As logged; None if the log has none.
    """

    step: NDArray[np.int64]
    group: NDArray[np.int64]
    reward: NDArray[np.float64]
    advantage: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class BadRow:
    """A row that could not be read: its file, its line (or row) number from 1, and why."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class Note:
    """Something a user should know about the log: a code for programs, a sentence for people, how often.

    Codes: "mixed_sizes", "lost_members", "merged_prompts", "missing_rewards", "singletons", "no_groups",
    "last_batch_only", "unfinished_line", "split_step", "skipped_files".
    """

    code: str
    text: str
    count: int = 1


@dataclass(frozen=True)
class RolloutLog:
    """A log that has been read.

    Attributes
    ----------
    format : str
        Name of the layout, "arrays" for one made from arrays.
    why : str
        One sentence: what it was recognised by.
    files : tuple of Path
        In the order they were read.
    columns : dict of str to str
        From the role ("step", "group", "reward", "advantage") to where it was found.
    groups : GroupTable
        Every group of every step.
    sample : RowSample
        Complete steps.
    bad_rows : int
        Rows that could not be read; they are in nothing else here.
    first_bad_rows : tuple of BadRow
        The first of them.
    notes : tuple of Note
        What else a user should know.
    groups_are_prompts : bool
        Whether an equal group id at two steps means the same prompt.
    preset : str or None
        The preset of :data:`curvature.PRESETS` that the trainer of this layout uses by default.
    """

    format: str
    why: str
    files: tuple[Path, ...]
    columns: dict[str, str]
    groups: GroupTable
    sample: RowSample
    bad_rows: int = 0
    first_bad_rows: tuple[BadRow, ...] = ()
    notes: tuple[Note, ...] = ()
    groups_are_prompts: bool = False
    preset: str | None = None

    @property
    def num_rollouts(self) -> int:
        """Rewards that are numbers."""
        return int(self.groups.size.sum())

    @property
    def steps(self) -> NDArray[np.int64]:
        """The steps of the log, ascending."""
        return np.unique(self.groups.step)

    @property
    def reward_values(self) -> tuple[float, float] | None:
        """The two values that all rewards take, (low, high), or None if there are more; equal if there is one.

        Two-valued rewards make a success rate of a mean: (mean − low)/(high − low).
        """
        table = self.groups
        if not len(table):
            return None
        low, high = float(table.low.min()), float(table.high.max())
        if low == high:
            return low, high
        # k of a group's rewards at `high` and the others at `low` have variance (high − low)²·(k/n)(1 − k/n) exactly;
        # any value strictly between makes it smaller.
        share = (table.mean - low) / (high - low)
        largest = (high - low) ** 2 * share * (1 - share)
        gap = np.abs(table.variance - largest) <= 1e-9 * (high - low) ** 2
        return (low, high) if bool(gap.all()) else None

    @property
    def success_counts(self) -> NDArray[np.int64] | None:
        """Rewards at the higher of two values, a group; None if rewards take more than two values or only one."""
        values = self.reward_values
        if values is None or values[0] == values[1]:
            return None
        low, high = values
        return np.rint(self.groups.size * (self.groups.mean - low) / (high - low)).astype(np.int64)

    @classmethod
    def from_arrays(cls, step: Any, group: Any, reward: Any, advantage: Any = None) -> RolloutLog:
        """Make a log of arrays in memory, one entry a rollout.

        Ours.

        Parameters
        ----------
        step : array_like of int, shape (N,)
            Training step.
        group : array_like of int or str, shape (N,)
            Which rollouts of a step belong together.
        reward : array_like of float, shape (N,)
            NaN where missing; never infinite.
        advantage : array_like of float, shape (N,), optional
            As the trainer computed it.

        Returns
        -------
        RolloutLog
            With all rows in its sample.

        Raises
        ------
        ValueError
            If shapes differ, there are no rows, a step is no whole number or a reward is infinite.

        Examples
        --------
        >>> log = RolloutLog.from_arrays([0, 0, 0, 0], ["a", "a", "b", "b"], [1, 0, 1, 1])
        >>> log.groups.mean.tolist(), log.success_counts.tolist()
        ([0.5, 1.0], [1, 2])
        """
        from curvature.rollouts.aggregate import from_arrays

        return from_arrays(step, group, reward, advantage)
