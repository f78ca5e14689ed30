"""Folding rows into groups as they stream past: one line for each group of each step, whatever the order of the rows.

A run is a stretch of neighbouring rows of one step and group. Each batch of rows becomes one partial line a run, which
is all the work there is when a log holds its groups together. Lines of one group that lie apart are merged later, by
the pairwise update of Chan, Golub and LeVeque (1979), which subtracts nothing large from anything large. Folding two
halves of a log and merging gives what folding the whole gives.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvature.rollouts._keys import as_keys, mixed
from curvature.rollouts.log import GroupTable, RolloutLog, RowSample

__all__ = ["Folder", "fold", "from_arrays"]

# Lines that may wait before those of one group are merged: 9 columns of 2²¹ lines are 150 MiB.
_WAITING = 1 << 21
# Equal runs up to this long are folded as columns, where sums over a group add whole rows.
_SHORT = 64


@dataclass(frozen=True)
class _Lines:
    """Partial lines of groups; `first` is the row of the log at which each was first seen, `squares` is Σ(r − m)²."""

    step: NDArray[np.int64]
    group: NDArray[np.int64]
    first: NDArray[np.int64]
    size: NDArray[np.int64]
    missing: NDArray[np.int64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def __len__(self) -> int:
        return self.step.size

    def take(self, index: Any) -> _Lines:
        """Return the lines at an index."""
        return _Lines(*(getattr(self, field.name)[index] for field in fields(self)))


def _joined(parts: list[_Lines]) -> _Lines:
    if len(parts) == 1:
        return parts[0]
    return _Lines(
        *(np.concatenate(column) for column in zip(*(vars(p).values() for p in parts), strict=True))
    )


class Folder:
    """Folds batches of rows into groups; :meth:`table` gives the groups.

    Memory grows with the number of groups, not of rows.
    """

    def __init__(self) -> None:
        self._parts: list[_Lines] = []
        self._waiting = 0
        self._limit = _WAITING
        self.rows = 0

    def add(
        self,
        step: NDArray[np.int64],
        group: NDArray[np.int64],
        reward: NDArray[np.float64],
        starts: NDArray[np.intp] | None = None,
    ) -> None:
        """Fold one batch of rows, (n,) each; a missing reward is NaN. `starts` are its run_starts, if known."""
        if not step.size:
            return
        starts = run_starts(step, group) if starts is None else starts
        lines = _fold_runs(step, group, reward, starts, self.rows)
        self.rows += step.size
        if self._parts:
            last = self._parts[-1]
            if last.step[-1] == lines.step[0] and last.group[-1] == lines.group[0]:
                # The batch ended inside a group: join its two parts, and order is kept without a sort.
                seam = _merged(_joined([last.take(slice(-1, None)), lines.take(slice(0, 1))]))
                self._parts[-1] = last.take(slice(0, -1))
                lines = _joined([seam, lines.take(slice(1, None))])
        self._append(lines)

    def merge(self, other: Folder) -> None:
        """Take over what another folder has folded, as if its rows came after these."""
        for lines in other._parts:
            self._append(replace(lines, first=lines.first + self.rows))
        self.rows += other.rows

    def table(self) -> tuple[GroupTable, int]:
        """Return the groups with at least one number, and how many groups have none."""
        self._parts = [_merged(_joined(self._parts))] if self._parts else []
        if not self._parts:
            empty = np.empty(0, dtype=np.int64)
            return GroupTable(empty, empty, empty, empty, *(np.empty(0) for _ in range(4))), 0
        lines = self._parts[0]
        known = lines.size > 0
        lost = int(known.size - np.count_nonzero(known))
        if lost:
            lines = lines.take(known)
        if (lines.step[1:] < lines.step[:-1]).any() or (lines.first[1:] < lines.first[:-1]).any():
            lines = lines.take(np.lexsort((lines.first, lines.step)))
        equal = lines.low == lines.high
        variance = np.where(equal, 0.0, lines.squares / lines.size)
        mean = np.where(equal, lines.low, lines.mean)
        columns = (lines.step, lines.group, lines.size, lines.missing, mean, variance, lines.low, lines.high)
        return GroupTable(*columns), lost

    def _append(self, lines: _Lines) -> None:
        if not len(lines):
            return
        self._parts.append(lines)
        self._waiting += len(lines)
        if self._waiting > self._limit:
            merged = _merged(_joined(self._parts))
            self._parts, self._waiting = [merged], len(merged)
            self._limit = max(_WAITING, 2 * len(merged))


def _fold_runs(
    step: NDArray[np.int64],
    group: NDArray[np.int64],
    reward: NDArray[np.float64],
    starts: NDArray[np.intp],
    offset: int,
) -> _Lines:
    """Return one line a run of neighbouring rows with one step and group; one a group where rows are shuffled."""
    if 2 * starts.size > step.size > 1:
        return _fold_shuffled(step, group, reward, offset)
    return _fold_lines(step, group, reward, starts, starts + offset)


def _fold_shuffled(
    step: NDArray[np.int64], group: NDArray[np.int64], reward: NDArray[np.float64], offset: int
) -> _Lines:
    """Sort the rows of a batch, so that its groups become runs; the sort is stable, so the first row stays first."""
    order = np.lexsort((group, step))
    step, group, reward = step[order], group[order], reward[order]
    starts = run_starts(step, group)
    lines = _fold_lines(step, group, reward, starts, order[starts] + offset)
    return lines.take(np.argsort(lines.first))


def _fold_lines(
    step: NDArray[np.int64],
    group: NDArray[np.int64],
    reward: NDArray[np.float64],
    starts: NDArray[np.intp],
    first: NDArray[np.int64],
) -> _Lines:
    """Return the lines of runs."""
    lengths = np.diff(starts, append=step.size)
    where = step[starts], group[starts], first
    size = int(lengths[0])
    if size <= _SHORT and size * starts.size == step.size and (lengths == size).all():
        return _Lines(*where, *_fold_columns(np.ascontiguousarray(reward.reshape(-1, size).T)))
    known = ~np.isnan(reward)
    if known.all():
        return _Lines(
            *where, lengths, np.zeros_like(lengths), *_fold_ragged(reward, starts, lengths, lengths)
        )
    count = np.add.reduceat(known.astype(np.int64), starts)
    return _Lines(*where, count, lengths - count, *_fold_ragged(reward, starts, lengths, count))


def run_starts(step: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return where runs of neighbouring rows with one step and group begin."""
    new = np.empty(step.size, dtype=bool)
    new[0] = True
    np.not_equal(step[1:], step[:-1], out=new[1:])
    new[1:] |= group[1:] != group[:-1]
    return np.flatnonzero(new)


def _fold_columns(rewards: NDArray[np.float64]) -> tuple[NDArray[Any], ...]:
    """Fold groups of one size that lie as columns, (G, n): size, missing, mean, squares, low, high."""
    total = rewards.sum(axis=0)
    size = np.full(total.size, rewards.shape[0])
    if np.isnan(total).any() or not np.isfinite(total).all():
        known = ~np.isnan(rewards)
        size = known.sum(axis=0)
        low = np.where(known, rewards, np.inf).min(axis=0)
        high = np.where(known, rewards, -np.inf).max(axis=0)
        base = np.where(size > 0, low, 0.0)
        centred = np.where(known, rewards - base, 0.0)
        shift = centred.sum(axis=0) / np.maximum(size, 1)
        centred = np.where(known, centred - shift, 0.0)
        return size, rewards.shape[0] - size, base + shift, _sum_of_squares(centred), low, high
    low, high = rewards.min(axis=0), rewards.max(axis=0)
    mean = total / rewards.shape[0]
    return size, np.zeros_like(size), mean, _sum_of_squares(rewards - mean), low, high


def _sum_of_squares(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.einsum("ij,ij->j", centred, centred)


def _fold_ragged(
    reward: NDArray[np.float64],
    starts: NDArray[np.intp],
    lengths: NDArray[np.int64],
    count: NDArray[np.int64],
) -> tuple[NDArray[np.float64], ...]:
    """Fold runs of any size: mean, squares, low, high."""
    # fmin and fmax pass over NaN, and leave NaN only where there is nothing else.
    low, high = np.fmin.reduceat(reward, starts), np.fmax.reduceat(reward, starts)
    base = np.where(count > 0, low, 0.0)
    centred = np.nan_to_num(reward - np.repeat(base, lengths), nan=0.0, posinf=np.inf)
    shift = np.add.reduceat(centred, starts) / np.maximum(count, 1)
    centred -= np.repeat(shift, lengths)
    centred[np.isnan(reward)] = 0.0
    squares = np.add.reduceat(centred * centred, starts)
    empty = count == 0
    low[empty], high[empty] = np.inf, -np.inf
    return base + shift, squares, low, high


def _merged(lines: _Lines) -> _Lines:
    """Merge the lines of one step and group; those that stand alone keep their place."""
    if not _has_repeats(lines):
        return lines
    order = np.lexsort((lines.group, lines.step))
    lines = lines.take(order)
    starts = run_starts(lines.step, lines.group)
    index = np.repeat(np.arange(starts.size), np.diff(starts, append=len(lines)))
    size = np.add.reduceat(lines.size, starts)
    low, high = np.minimum.reduceat(lines.low, starts), np.maximum.reduceat(lines.high, starts)
    base = np.where(size > 0, low, 0.0)
    away = np.where(lines.size > 0, lines.mean - base[index], 0.0)
    shift = np.add.reduceat(lines.size * away, starts) / np.maximum(size, 1)
    away = np.where(lines.size > 0, away - shift[index], 0.0)
    squares = np.add.reduceat(lines.squares + lines.size * away * away, starts)
    merged = _Lines(
        lines.step[starts],
        lines.group[starts],
        np.minimum.reduceat(lines.first, starts),
        size,
        np.add.reduceat(lines.missing, starts),
        base + shift,
        squares,
        low,
        high,
    )
    return merged.take(np.argsort(merged.first, kind="stable"))


def _has_repeats(lines: _Lines) -> bool:
    """Whether a step and group may occur twice; never wrongly no."""
    step, group = lines.step, lines.group
    same = step[1:] == step[:-1]
    if not (step[1:] < step[:-1]).any() and not (same & (group[1:] <= group[:-1])).any():
        return False
    # Equal pairs have equal mixtures; unequal ones with equal mixtures only cost a sort.
    sorted_pairs = np.sort(mixed(mixed(step) ^ group))
    return bool((sorted_pairs[1:] == sorted_pairs[:-1]).any())


def fold(
    step: NDArray[np.int64], group: NDArray[np.int64], reward: NDArray[np.float64]
) -> tuple[GroupTable, int]:
    """Fold rows into groups; groups without a single number are left out and counted."""
    folder = Folder()
    folder.add(step, group, reward)
    return folder.table()


def from_arrays(step: Any, group: Any, reward: Any, advantage: Any = None) -> RolloutLog:
    """See :meth:`RolloutLog.from_arrays`."""
    steps, rewards = np.asarray(step), np.asarray(reward, dtype=np.float64)
    if steps.dtype.kind not in "iub":
        if not np.all(steps == np.floor(steps)):
            raise ValueError("step holds a value that is no whole number.")
        steps = steps.astype(np.int64)
    keys = as_keys(np.asarray(group))
    advantages = None if advantage is None else np.asarray(advantage, dtype=np.float64)
    for name, column in (("group", keys), ("reward", rewards), ("advantage", advantages)):
        if column is not None and column.shape != steps.shape:
            raise ValueError(f"{name} has shape {column.shape}, step has {steps.shape}: one entry a rollout.")
    if steps.ndim != 1 or not steps.size:
        raise ValueError(f"step has shape {steps.shape}: at least one rollout is needed.")
    if np.isinf(rewards).any():
        raise ValueError(f"reward {int(np.isinf(rewards).argmax())} is infinite: clip it or make it NaN.")
    steps = steps.astype(np.int64)
    table, _ = fold(steps, keys, rewards)
    columns = {"step": "step", "group": "group", "reward": "reward"}
    if advantages is not None:
        columns["advantage"] = "advantage"
    return RolloutLog(
        "arrays", "made from arrays", (), columns, table, RowSample(steps, keys, rewards, advantages)
    )
