"""Lines of JSON to rows: pyarrow for whole blocks, Python line by line where a block holds a bad row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature.rollouts._faults import Faults
from curvature.rollouts._plan import Plan, RowList, Rows, without
from curvature.rollouts._streams import Block, blocks

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["kind_of", "parse_line", "read_jsonl"]

_PARALLEL = 1 << 20


def kind_of(value: Any) -> str | None:
    """Name the arrow type of a JSON value; None if it tells nothing."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "text"
    return None if value is None else "other"


def parse_line(data: bytes) -> Any:
    """Return the value of one line; raise ValueError if it is not JSON in UTF-8."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_jsonl(path: Path, plan: Plan, file_step: int, faults: Faults) -> Iterator[Rows]:
    """Yield the rows of a file."""
    keys = plan.keys()
    schema = _schema(plan)
    slow = RowList(plan, keys, path, faults)
    for block in blocks(path, faults):
        rows = None if schema is None else _fast(block, schema, plan, file_step, keys, path, faults)
        if rows is None:
            _slow(block, slow, file_step, path, faults)
            rows = slow.take()
        if rows is not None and rows.step.size:
            yield rows


def _schema(plan: Plan) -> pa.Schema | None:
    """Return the arrow schema of the columns, or None where cells are no plain values."""
    import pyarrow as pa

    types = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string()}
    if plan.records is not None or plan.unwrap:
        return None
    kinds = {name: plan.kinds.get(name) for name in plan.columns}
    numeric = {*plan.rewards, plan.advantage}
    fields = []
    for name, kind in kinds.items():
        if kind == "other":
            return None
        if name in numeric and kind in {"int", None}:
            kind = "float"
        fields.append((name, types[kind or "text"]))
    return pa.schema(fields)


def _fast(
    block: Block, schema: pa.Schema, plan: Plan, file_step: int, keys: Any, path: Path, faults: Faults
) -> Rows | None:
    """Read a block with pyarrow; None if it holds anything out of the ordinary."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    number = block.data.count(b"\n")
    # pyarrow crashes on a line that is null, so each must begin like an object.
    objects = block.data.count(b"\n{") + block.data.startswith(b"{")
    if block.unfinished or objects != number or not _is_utf8(block.data):
        return None
    options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    for size in (_PARALLEL, len(block.data) + 1):  # a line longer than the first needs the second
        try:
            table = arrow_json.read_json(
                pa.BufferReader(block.data), arrow_json.ReadOptions(block_size=size), options
            )
            break
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error):
                return None
    else:
        return None
    if table.num_rows != number:
        return None
    columns = {name: _single(table.column(name)) for name in schema.names}
    bad: dict[int, str] = {}
    rows = plan.rows_of_table(columns, file_step, keys, bad)
    for row in sorted(bad):
        faults.bad(path, block.first_line + row, bad[row])
    return without(rows, bad) if bad else rows


def _single(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    chunk = column.combine_chunks()
    return pa.concat_arrays(chunk.chunks) if isinstance(chunk, pa.ChunkedArray) else chunk


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _slow(block: Block, rows: RowList, file_step: int, path: Path, faults: Faults) -> None:
    lines = block.data.split(b"\n")
    if not block.unfinished:
        lines.pop()
    for number, line in enumerate(lines, block.first_line):
        if not line.strip():
            continue
        try:
            record = parse_line(line)
        except ValueError as error:
            if block.unfinished and number == block.first_line + len(lines) - 1:
                faults.unfinished.append(path)
            else:
                reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"not JSON ({error})"
                faults.bad(path, number, f"the line is {reason}")
            continue
        rows.add(record, number, file_step)
