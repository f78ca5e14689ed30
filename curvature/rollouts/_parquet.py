"""Parquet to rows: only the needed columns, batch by batch, texts as dictionaries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curvature.rollouts._faults import Faults, LogError
from curvature.rollouts._plan import Plan, Rows, without

__all__ = ["parquet_schema", "read_parquet"]

_BATCH = 1 << 17


def _errors() -> tuple[type[BaseException], ...]:
    import pyarrow as pa

    # A damaged footer shows as any of these, depending on the byte.
    return (
        pa.ArrowException,
        OSError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        MemoryError,
        OverflowError,
    )


def parquet_schema(path: Path) -> Any:
    """Return the schema of a file; raise LogError if it has none."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow
    except _errors() as error:
        raise LogError(f"{path} is no complete parquet file: {_first_sentence(error)}.") from None


def _first_sentence(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text[:120].rstrip(".")


def read_parquet(path: Path, plan: Plan, file_step: int, faults: Faults) -> Iterator[Rows]:
    """Yield the rows of a file; one that breaks off gives the rows before the damage."""
    import pyarrow.parquet as pq

    keys = plan.keys()
    line = 1
    try:
        schema = parquet_schema(path)
        lacking = [name for name in plan.columns if name not in schema.names]
        if lacking:
            faults.break_off(path, 0, f"the file has no column {lacking[0]!r}")
            return
        with pq.ParquetFile(path, read_dictionary=_texts(schema, plan)) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=plan.columns):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                bad: dict[int, str] = {}
                rows = plan.rows_of_table(columns, file_step, keys, bad)
                for row in sorted(bad):
                    faults.bad(path, line + row, bad[row])
                line += batch.num_rows
                if batch.num_rows:
                    yield without(rows, bad) if bad else rows
    except LogError as error:
        if faults.strict:
            raise
        faults.break_off(path, 0, str(error).removeprefix(f"{path} ").rstrip("."))
    except _errors() as error:
        faults.break_off(
            path, line if line > 1 else 0, f"the parquet data cannot be read: {_first_sentence(error)}"
        )


def _texts(schema: Any, plan: Plan) -> list[str]:
    """Name the group column if it holds texts: nested ones have no dictionary."""
    import pyarrow as pa

    if plan.group is None:
        return []
    kind = schema.field(plan.group).type
    return [plan.group] if pa.types.is_string(kind) or pa.types.is_large_string(kind) else []
