"""CSV to rows: pyarrow with typed columns, and with texts for a file in which a cell does not fit its type."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curvature.rollouts._faults import Faults, LogError
from curvature.rollouts._plan import Plan, Rows, without
from curvature.rollouts._streams import blocks

__all__ = ["csv_head", "read_csv"]

_BLOCK = 16 << 20
_NULLS = ["", "NaN", "nan", "null", "NULL", "None", "none", "NA", "N/A"]


def csv_head(path: Path, faults: Faults) -> tuple[list[str], list[str]]:
    """Return the names of the columns and the cells of the first row."""
    first = next(blocks(path, faults), None)
    if first is None:
        return [], []
    text = first.data[:_BLOCK].decode("utf-8", "replace")
    try:
        rows = csv.reader(io.StringIO(text, newline=""))
        return next(rows, []), next(rows, [])
    except csv.Error as error:
        raise LogError(f"{path} is no CSV file: {error}.") from None


class _Lines(io.RawIOBase):
    """The blocks of a file as a file, so that overlong lines never reach the parser."""

    def __init__(self, path: Path, faults: Faults) -> None:
        self._blocks = blocks(path, faults)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = _as_utf8(block.data)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def _as_utf8(data: bytes) -> bytes:
    """Write bytes that are no UTF-8 as text, for pyarrow cannot hand a row with such bytes to Python."""
    if data.isascii():
        return data
    return data.decode("utf-8", "backslashreplace").encode()


def read_csv(path: Path, plan: Plan, file_step: int, faults: Faults) -> Iterator[Rows]:
    """Yield the rows of a file."""
    state, done = faults.state(), 0
    try:
        for rows in _read(path, plan, file_step, faults, typed=True):
            yield rows
            done += rows.step.size
        return
    except _UntypedError:
        faults.rewind(state)
    # Both readings keep the same rows, so those that were handed on are skipped by their number.
    for rows in _read(path, plan, file_step, faults, typed=False):
        size = rows.step.size
        if done < size:
            yield _behind(rows, done) if done else rows
        done = max(done - size, 0)


class _UntypedError(Exception):
    """A cell does not fit the type of its column."""


def _behind(rows: Rows, skip: int) -> Rows:
    cut = slice(skip, None)
    return Rows(
        rows.step[cut],
        None if rows.group is None else rows.group[cut],
        rows.reward[cut],
        None if rows.advantage is None else rows.advantage[cut],
    )


def _types(plan: Plan, *, typed: bool) -> dict[str, Any]:
    import pyarrow as pa

    if not typed:
        return dict.fromkeys(plan.columns, pa.binary())
    types: dict[str, Any] = {name: pa.float64() for name in plan.columns}
    kinds = {"int": pa.int64(), "float": pa.float64()}
    if plan.step is not None:
        types[plan.step] = kinds.get(plan.kinds.get(plan.step, ""), pa.int64())
    if plan.group is not None:
        types[plan.group] = pa.int64() if plan.kinds.get(plan.group) == "int" else pa.binary()
    return types


def _read(path: Path, plan: Plan, file_step: int, faults: Faults, *, typed: bool) -> Iterator[Rows]:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    keys = plan.keys(numeric=not typed and plan.kinds.get(plan.group or "") == "int")
    odd: list[tuple[int, str]] = []
    row = 2  # the first row after the names

    def skip(invalid: Any) -> str:
        found = f"the row has {invalid.actual_columns} cells where {invalid.expected_columns} were expected"
        odd.append((invalid.number or 0, found))
        return "skip"

    try:
        reader = arrow_csv.open_csv(
            io.BufferedReader(_Lines(path, faults), buffer_size=1 << 20),
            arrow_csv.ReadOptions(block_size=_BLOCK, use_threads=False),
            arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            arrow_csv.ConvertOptions(
                column_types=_types(plan, typed=typed),
                include_columns=plan.columns,
                null_values=_NULLS,
                check_utf8=False,
            ),
        )
        with reader:
            for batch in reader:
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                bad: dict[int, str] = {}
                rows = plan.rows_of_table(columns, file_step, keys, bad) if batch.num_rows else None
                row = _count_bad(path, row, batch.num_rows, bad, odd, faults)
                if rows is not None:
                    yield without(rows, bad) if bad else rows
        _count_bad(path, row, 0, {}, odd, faults)
    except pa.ArrowInvalid as error:
        if typed and "conversion error" in str(error).lower():
            raise _UntypedError from None
        faults.break_off(path, row, f"the rest is no CSV: {str(error).splitlines()[0][:120]}")
    except (pa.ArrowException, UnicodeDecodeError) as error:
        faults.break_off(path, row, f"the rest is no CSV: {str(error).splitlines()[0][:120]}")


def _count_bad(
    path: Path, row: int, size: int, bad: dict[int, str], odd: list[tuple[int, str]], faults: Faults
) -> int:
    """Count the bad rows of a batch in the order of the file; return the number of the row after it."""
    found = [(number or row, reason) for number, reason in odd]
    skipped = sorted(number for number, _ in found)
    for index, reason in bad.items():
        number = row + index
        for other in skipped:
            number += other <= number
        found.append((number, reason))
    for number, reason in sorted(found):
        faults.bad(path, number, reason)
    odd.clear()
    return row + size + len(skipped)
