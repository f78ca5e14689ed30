"""What is read out of a log and how: which column plays which role, found once before the rows stream past."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curvature.rollouts._cells import BadCell, KeyColumn, keys_of, number_of, numbers, step_of, steps
from curvature.rollouts._faults import Faults

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Plan", "RawRow", "RowList", "Rows", "weighted"]


class RawRow(NamedTuple):
    """One rollout as the log has it; `reward` is one value or a mapping from reward functions to values."""

    step: Any
    group: Any
    reward: Any
    advantage: Any = None


@dataclass(frozen=True)
class Rows:
    """Rollouts as numbers, (n,) each; `group` is None where the log names no group."""

    step: NDArray[np.int64]
    group: NDArray[np.int64] | None
    reward: NDArray[np.float64]
    advantage: NDArray[np.float64] | None


Weights = Mapping[str, float]


def weighted(values: Mapping[str, float], weights: Weights) -> float:
    """Return Σ w r over the numbers; NaN if none is a number, as TRL has it."""
    known = [weight * values[name] for name, weight in weights.items() if not math.isnan(values[name])]
    return math.fsum(known) if known else math.nan


@dataclass(frozen=True)
class Plan:
    """How rows are read.

    Parameters
    ----------
    step, group, advantage : str or None
        Columns; without a step column the step comes from the file.
    rewards : mapping of str to float
        Reward columns and their weights.
    pattern, divisor : optional
        What is cut off text keys, what integer keys are divided by.
    unwrap : bool
        Whether cells are lists of one value, or of one value a token.
    records : callable, optional
        Makes rows of a record, for layouts that are no tables.
    """

    rewards: Weights
    step: str | None = None
    group: str | None = None
    advantage: str | None = None
    pattern: str | None = None
    divisor: int | None = None
    unwrap: bool = False
    records: Callable[[Any, int, Weights], Iterable[RawRow]] | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    """The kind of value that the first records hold in each column: a name of `_jsonl.ARROW`."""

    @property
    def columns(self) -> list[str]:
        """The columns that are read, each once."""
        named = [self.step, self.group, *self.rewards, self.advantage]
        return list(dict.fromkeys(name for name in named if name is not None))

    def keys(self, *, numeric: bool = False) -> KeyColumn:
        """Return the reader of this plan's group keys."""
        return KeyColumn(self.pattern, self.divisor, numeric=numeric)

    def rows_of(self, record: Any, step: int) -> Iterable[RawRow]:
        """Return the rows of one record."""
        if self.records is not None:
            return self.records(record, step, self.rewards)
        if not isinstance(record, dict):
            raise BadCell("the line holds no JSON object")
        rewards = {name: _unwrapped(record.get(name), self.unwrap) for name in self.rewards}
        return (
            RawRow(
                step if self.step is None else record.get(self.step),
                None if self.group is None else record.get(self.group),
                rewards,
                None if self.advantage is None else _unwrapped(record.get(self.advantage), self.unwrap),
            ),
        )

    def rows_of_table(
        self,
        table: Mapping[str, pa.Array],
        file_step: int,
        keys: KeyColumn,
        bad: dict[int, str],
    ) -> Rows:
        """Return the rows of a table; `bad` gains those that must be left out."""
        size = len(next(iter(table.values())))
        step = np.full(size, file_step) if self.step is None else steps(table[self.step], bad)
        group = None if self.group is None else keys.many(table[self.group], bad)
        rewards = [numbers(table[name], name, bad) for name in self.rewards]
        advantage = None if self.advantage is None else numbers(table[self.advantage], "advantage", bad)
        return Rows(step, group, _combined(rewards, list(self.rewards.values())), advantage)


def _combined(columns: list[NDArray[np.float64]], weights: list[float]) -> NDArray[np.float64]:
    if len(columns) == 1 and weights == [1.0]:
        return columns[0]
    stacked = np.column_stack(columns) * np.asarray(weights)
    total = np.nansum(stacked, axis=1)
    total[np.isnan(stacked).all(axis=1)] = np.nan
    return total


def _unwrapped(value: Any, nested: bool) -> Any:
    """Take the value out of lists of one; of one value a token the largest in size, for masked tokens hold 0."""
    while nested and isinstance(value, list):
        if len(value) > 1 and all(isinstance(item, int | float) for item in value):
            return max(value, key=abs)
        if len(value) != 1:
            raise BadCell(f"a cell holds {len(value)} values where one was expected")
        value = value[0]
    return value


class RowList:
    """Gathers rows one by one, checking each."""

    def __init__(self, plan: Plan, keys: KeyColumn, path: Path, faults: Faults) -> None:
        self._plan, self._keys, self._path, self._faults = plan, keys, path, faults
        self._rows: list[tuple[int, int | bytes, float, float]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, record: Any, line: int, file_step: int) -> None:
        """Take the rows of one record, or count it as bad."""
        try:
            for raw in self._plan.rows_of(record, file_step):
                self._rows.append(self._checked(raw))
        except BadCell as error:
            self._faults.bad(self._path, line, str(error))

    def _checked(self, raw: RawRow) -> tuple[int, int | bytes, float, float]:
        plan = self._plan
        step = step_of(raw.step)
        group = 0 if plan.group is None else self._keys.one(raw.group)
        if isinstance(raw.reward, dict):
            values = {name: number_of(value, name) for name, value in raw.reward.items()}
            reward = weighted(values, plan.rewards) if plan.rewards.keys() <= values.keys() else math.nan
        else:
            reward = number_of(raw.reward)
        return step, group, reward, number_of(raw.advantage, "advantage")

    def take(self) -> Rows | None:
        """Return the rows gathered so far and start anew."""
        if not self._rows:
            return None
        step, group, reward, advantage = zip(*self._rows, strict=True)
        self._rows = []
        return Rows(
            np.array(step, dtype=np.int64),
            None if self._plan.group is None else keys_of(list(group)),
            np.array(reward, dtype=np.float64),
            None if self._plan.advantage is None else np.array(advantage, dtype=np.float64),
        )


def without(rows: Rows, bad: dict[int, str]) -> Rows:
    """Leave out the bad rows."""
    keep = np.ones(rows.step.size, dtype=bool)
    keep[list(bad)] = False
    return Rows(
        rows.step[keep],
        None if rows.group is None else rows.group[keep],
        rows.reward[keep],
        None if rows.advantage is None else rows.advantage[keep],
    )
