"""Reading the rollout logs of public trainers, and any table with a step, a group and a reward.

A log streams through: its rows are folded into groups as they are read, so memory grows with the groups and not with
the rollouts. pyarrow reads the columns that are needed and no other; a row that is not what its column says is counted
and shown, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from curvature.rollouts._faults import Faults, LogError
from curvature.rollouts._keys import mixed
from curvature.rollouts._layouts import FORMATS
from curvature.rollouts._sample import StepSample
from curvature.rollouts.aggregate import Folder, run_starts
from curvature.rollouts.log import RolloutLog

if TYPE_CHECKING:
    from curvature.rollouts._plan import Rows
    from curvature.rollouts._recognise import Choice

__all__ = ["FORMATS", "LogError", "read_rollouts"]


_Item = TypeVar("_Item")


def read_rollouts(
    path: str | Path,
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    strict: bool = False,
    reward_weights: Mapping[str, float] | Sequence[float] | None = None,
    group_size: int | None = None,
) -> RolloutLog:
    r"""Read a rollout log: fold the rows (step, group, r[, A]) of a file or directory into groups.

    Ours. Kind: procedure, exact up to rounding.

    Logs of TRL, verl, NeMo RL, Open Instruct, Tinker cookbook, prime-rl, ms-swift and slime are recognised by the names
    and columns of their files; otherwise any JSON lines, CSV or parquet will do. Files may be gzipped. The files of a
    directory are read in the order of the numbers in their names. Nothing is written.

    Holds when: two texts that are different group keys have different 64-bit hashes, which fails with probability
    n²/2⁶⁵ among n texts.

    Parameters
    ----------
    path : str or Path
        A file, or a directory with the files of one run.
    format : str, default "auto"
        A key of FORMATS, or "auto" to recognise it.
    columns : mapping of str to str, optional
        Where the roles "step", "group", "reward" and "advantage" are, for tables with other names.
    strict : bool, default False
        Whether to stop at the first bad row instead of counting it.
    reward_weights : mapping of str to float, or sequence of float, optional
        Weights of reward columns, by name or in their order: r = Σ w_i r_i over those that are numbers, as TRL sums
        them. Default 1 each.
    group_size : int, optional
        Cut this many consecutive rows into groups: for logs that name no group, and where equal prompts were taken for
        one.

    Returns
    -------
    RolloutLog
        Groups, a sample of whole steps, what was wrong, and why this layout was chosen.

    Raises
    ------
    LogError
        If there is nothing to read, the layout is not recognised or ambiguous, a column that is needed is not there,
        every row is bad, a file is a pickle, or a row is bad and `strict` is set. The message is one sentence or two.
    ImportError
        If pyarrow, or torch for a log of slime, is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "log.csv")
    ...     _ = path.write_text("step,prompt,reward\n0,a,1\n0,a,0\n0,b,1\n0,b,oops\n")
    ...     log = read_rollouts(path)
    >>> log.format, log.groups.mean.tolist(), log.first_bad_rows[0].reason
    ('csv', [0.5, 1.0], "the reward is 'oops', not a number")
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ImportError("reading logs needs pyarrow: pip install 'curvature[logs]'.") from None
    from curvature.rollouts._recognise import choose

    if group_size is not None and (
        isinstance(group_size, bool) or not isinstance(group_size, int) or group_size < 1
    ):
        raise LogError(f"group_size={group_size!r} must be a whole number of at least 1.")
    faults = Faults(strict=strict)
    choice = choose(Path(path), format, columns, reward_weights, group_size)
    return _read(choice, faults)


def _read(choice: Choice, faults: Faults) -> RolloutLog:
    from curvature.rollouts._notes import notes_of

    folder, sample, seen = Folder(), StepSample(), _StepsByFile(len(choice.files))
    cutter, apart = _Cutter(choice.group_size), _Apart()
    keep_apart = _ids_belong_to_files(choice)
    for index, rows in _ahead(_rows_of_files(choice, faults)):
        group = cutter.cut(rows.step, rows.group)
        if keep_apart:
            group = apart.keys(index, rows.step, group)
        starts = run_starts(rows.step, group)
        folder.add(rows.step, group, rows.reward, starts)
        sample.add(rows.step, group, rows.reward, rows.advantage, starts)
        seen.add(index, rows.step[starts])
    table, lost = folder.table()
    if not len(table):
        raise LogError(_nothing(choice, faults, lost))
    rows, cut_step = sample.rows(table)
    columns = dict(choice.columns)
    if rows.advantage is None:
        columns.pop("advantage", None)
    return RolloutLog(
        format=choice.layout.name,
        why=choice.why,
        files=choice.files,
        columns=columns,
        groups=table,
        sample=rows,
        bad_rows=faults.bad_rows,
        first_bad_rows=tuple(faults.first),
        notes=notes_of(
            choice, table, faults, lost=lost, split=seen.split(), apart=keep_apart, cut_step=cut_step
        ),
        groups_are_prompts=choice.groups_are_prompts and choice.group_size is None,
        preset=choice.layout.preset,
    )


def _rows_of_files(choice: Choice, faults: Faults) -> Iterator[tuple[int, Rows]]:
    """Yield the rows of all files, with the place of the file."""
    from curvature.rollouts._csv import read_csv
    from curvature.rollouts._jsonl import read_jsonl
    from curvature.rollouts._parquet import read_parquet
    from curvature.rollouts._recognise import file_step
    from curvature.rollouts._torch import read_torch

    read = {"csv": read_csv, "jsonl": read_jsonl, "parquet": read_parquet, "torch": read_torch}
    for index, file in enumerate(choice.files):
        step = file_step(file, choice.layout, index, len(choice.files) == 1)
        for rows in read[choice.layout.container](file, choice.plan, step, faults):
            if rows.step.size:
                yield index, rows


def _ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Make each item in a thread while the one before is in use: pyarrow reads without holding Python up."""
    end: Any = object()
    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(next, items, end)
        while (item := future.result()) is not end:
            future = pool.submit(next, items, end)
            yield item


def _nothing(choice: Choice, faults: Faults, lost: int) -> str:
    """Say why no group is left."""
    where = (
        choice.files[0]
        if len(choice.files) == 1
        else f"{choice.files[0]} and {len(choice.files) - 1} more files"
    )
    if faults.bad_rows:
        first = faults.first[0]
        place = f"line {first.line}" if first.line else "the file"
        return (
            f"{where}: not one row can be read ({faults.bad_rows} bad; the first, {place}: {first.reason})."
        )
    if lost:
        return f"{where}: no rollout has a reward that is a number."
    if faults.unfinished:
        return f"{where}: the only line is unfinished."
    return f"{where}: there are no rows."


class _Cutter:
    """Cuts runs of rows of one step and key into groups of a given size, across the bounds of batches."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._last: tuple[int, int] | None = None
        self._count = 0

    def cut(self, step: NDArray[np.int64], group: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return the group of each row."""
        if self._size is None:
            assert group is not None
            return group
        key = np.zeros_like(step) if group is None else group
        starts = run_starts(step, key)
        place = np.arange(step.size) - np.repeat(starts, np.diff(starts, append=step.size))
        if self._last == (step[0], key[0]):
            place[: starts[1] if starts.size > 1 else None] += self._count
        self._last, self._count = (int(step[-1]), int(key[-1])), int(place[-1]) + 1
        part = place // self._size
        # The first part keeps its key; the others get new ones that no key has by chance.
        return part if group is None else np.where(part == 0, group, mixed(group ^ mixed(part)))


def _ids_belong_to_files(choice: Choice) -> bool:
    """Whether group 7 of one file is another group than group 7 of the next."""
    # So in tables that no trainer's layout explains, which several processes or runs may have written; not where the
    # group is the prompt itself.
    return (
        len(choice.files) > 1
        and choice.layout.name in {"jsonl", "csv", "parquet"}
        and not choice.groups_are_prompts
        and choice.group_size is None
    )


class _Apart:
    """Tells equal group ids of different files apart, but for a group that one file breaks off and the next goes on."""

    def __init__(self) -> None:
        self._file = 0
        self._last: tuple[int, int, int] | None = None
        self._seam: tuple[int, int, int] | None = None

    def keys(self, index: int, step: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return keys that are unique over files; those of the first file are its ids."""
        if index != self._file:
            self._file, self._seam = index, self._last
        key = group if index == 0 else mixed(group ^ mixed(np.full_like(group, index)))
        if self._seam is not None:
            same = (step == self._seam[0]) & (group == self._seam[1])
            run = same.size if same.all() else int(same.argmin())
            key = np.where(np.arange(key.size) < run, self._seam[2], key)
            if run < same.size:
                self._seam = None
        self._last = int(step[-1]), int(group[-1]), int(key[-1])
        return key


class _StepsByFile:
    """Finds steps that several files have."""

    def __init__(self, number: int) -> None:
        self._steps: list[list[NDArray[np.int64]]] = [[] for _ in range(number)]

    def add(self, index: int, step: NDArray[np.int64]) -> None:
        """Take the steps of one batch of a file."""
        if len(self._steps) > 1:
            self._steps[index].append(np.unique(step))

    def split(self) -> int:
        """Return how many steps are in several files, save those at which one file ends and the next goes on."""
        files = [np.unique(np.concatenate(parts)) for parts in self._steps if parts]
        if len(files) < 2:
            return 0
        counts = np.unique(np.concatenate(files), return_counts=True)[1]
        seams = sum(int(a[-1] == b[0] and a.size + b.size > 2) for a, b in pairwise(files))
        return max(int((counts - 1).sum()) - seams, 0) and int((counts > 1).sum())
