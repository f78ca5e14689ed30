"""Which rewards belong together: equal consecutive runs, which are a reshape, or a group code for every reward."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# How far integer ids may run beyond the number of rewards before a table indexed by the id costs more than sorting.
_SPARSEST = 4
# How many ids are looked at before the rest is searched for runs: shuffled ids show at once.
_HEAD = 4096


@dataclass(frozen=True)
class Grouping:
    """A partition of N rewards.

    Parameters
    ----------
    counts : array (num_groups,)
        The size of each group; 0 for an id that no reward has.
    size : int or None
        The common size where the groups are equal consecutive runs, else None.
    codes : array (N,) of intp, or None
        The group of each reward where they are not.
    """

    counts: NDArray[np.intp]
    size: int | None = None
    codes: NDArray[np.intp] | None = None

    @classmethod
    def of_runs(cls, number: int, size: int) -> Grouping:
        """Return `number` consecutive groups of `size` rewards each.

        Parameters
        ----------
        number, size : int
            How many groups, and how many rewards in each.

        Returns
        -------
        Grouping
            The grouping.
        """
        return cls(counts=np.full(number, size, dtype=np.intp), size=size)

    @classmethod
    def of_codes(cls, codes: NDArray[np.intp], number: int) -> Grouping:
        """Return the grouping in which reward i belongs to group `codes[i]`.

        Parameters
        ----------
        codes : array (N,)
            Group of each reward, in 0..number−1.
        number : int
            Number of groups, empty ones included.

        Returns
        -------
        Grouping
            The grouping.
        """
        return cls(counts=np.bincount(codes, minlength=number), codes=codes)

    def restrict(self, keep: NDArray[np.intp]) -> Grouping:
        """Return the grouping of the kept rewards alone.

        Parameters
        ----------
        keep : array (kept,) of intp
            The positions of the rewards that stay.

        Returns
        -------
        Grouping
            A grouping by codes; groups that lost every member have count 0.
        """
        codes = self.codes
        if codes is None:
            codes = np.repeat(np.arange(self.counts.size), self.counts)
        return Grouping.of_codes(codes[keep], self.counts.size)

    def total(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of `values` over each group.

        Parameters
        ----------
        values : array (N,)
            One value a reward.

        Returns
        -------
        array (num_groups,)
            One sum a group.
        """
        if self.codes is None:
            return self._columns(values).sum(axis=0)
        return np.bincount(self.codes, weights=values, minlength=self.counts.size)

    def extremes(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the smallest and the largest of `values` in each group.

        Parameters
        ----------
        values : array (N,)
            One value a reward.

        Returns
        -------
        tuple of two arrays (num_groups,)
            The minima and the maxima; inf and −inf for a group without members.
        """
        if self.codes is None:
            columns = self._columns(values)
            return columns.min(axis=0), columns.max(axis=0)
        low, high = np.full(self.counts.size, np.inf), np.full(self.counts.size, -np.inf)
        np.minimum.at(low, self.codes, values)
        np.maximum.at(high, self.codes, values)
        return low, high

    def expand(self, per_group: NDArray[Any]) -> NDArray[Any]:
        """Return, for each reward, the value of its group.

        Parameters
        ----------
        per_group : array (num_groups,)
            One value a group.

        Returns
        -------
        array (N,)
            One value a reward.
        """
        if self.codes is None:
            return np.repeat(per_group, self.size or 0)
        return per_group.take(self.codes, mode="clip")

    def _columns(self, values: NDArray[Any]) -> NDArray[Any]:
        """One column a group: numpy adds long rows faster than it sums short ones."""
        return np.ascontiguousarray(values.reshape(self.counts.size, -1).T)


def group_by(ids: NDArray[Any]) -> Grouping:
    """Return the grouping of rewards by their ids.

    Parameters
    ----------
    ids : array (N,), N > 0
        Integers, strings, or objects that hash; the order of the ids is free.

    Returns
    -------
    Grouping
        Equal runs where the ids allow, else codes.
    """
    head = ids[:_HEAD]
    if 2 * np.count_nonzero(head[1:] != head[:-1]) > head.size:
        return Grouping.of_codes(*_factorise(ids))
    changes = ids[1:] != ids[:-1]
    num_runs = int(np.count_nonzero(changes)) + 1
    size = ids.size // num_runs
    # Equal runs: the only changes are those at the multiples of the size.
    if num_runs * size == ids.size and changes[size - 1 :: size].all() and _are_distinct(ids[::size]):
        return Grouping.of_runs(num_runs, size)
    if 2 * num_runs > ids.size:
        return Grouping.of_codes(*_factorise(ids))
    # Naming the runs rather than the rewards pays where ids are strings.
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    codes, number = _factorise(ids[starts])
    return Grouping.of_codes(np.repeat(codes, np.diff(starts, append=ids.size)), number)


def _are_distinct(ids: NDArray[Any]) -> bool:
    """Whether no id occurs twice; ids in increasing order, as a loop over prompts makes them, cost one pass."""
    if ids.dtype.kind in "iuUS" and (ids[1:] > ids[:-1]).all():
        return True
    codes, number = _factorise(ids)
    return bool(np.bincount(codes, minlength=number).max() == 1)


def _factorise(ids: NDArray[Any]) -> tuple[NDArray[np.intp], int]:
    """Return codes in 0..number−1 that are equal where the ids are, and the number."""
    if ids.dtype.kind in "iu":
        codes = ids.astype(np.intp, copy=False)
        largest = int(codes.view(np.uintp).max())  # a negative id is a huge one
        if largest < _SPARSEST * ids.size:
            return codes, largest + 1
        labels, codes = np.unique(ids, return_inverse=True)
        return codes.astype(np.intp, copy=False), labels.size
    # A dictionary beats sorting strings fivefold, and takes ids of mixed types.
    table: dict[Hashable, int] = {}
    codes = np.fromiter((table.setdefault(label, len(table)) for label in ids.tolist()), np.intp, ids.size)
    return codes, len(table)
