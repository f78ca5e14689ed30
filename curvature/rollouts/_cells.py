"""Cells to numbers: what counts as a step, a group key, a reward; one by one for odd rows, by columns for the rest."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curvature.rollouts._keys import hash_buffer, hash_texts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BadCell", "KeyColumn", "key_of", "keys_of", "number_of", "numbers", "step_of", "steps"]

LARGEST = 1e150
"""Beyond this the squares of rewards leave float64."""
_MISSING = {"", "nan", "none", "null", "na", "n/a"}
_INT64 = 1 << 63


class BadCell(ValueError):
    """A cell that cannot be what its column says; the message is the reason shown with the row."""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _decoded(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def step_of(value: Any) -> int:
    """Return a step, from a whole number or its text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise BadCell("the step is missing")
    value = _decoded(value)
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            raise BadCell(f"the step is {_shown(value)}, not a whole number") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise BadCell(f"the step is {_shown(value)}, not a whole number")
    if not -_INT64 <= value < _INT64:
        raise BadCell(f"the step {_shown(value)} is beyond 64 bits")
    return int(value)


def number_of(value: Any, name: str = "reward") -> float:
    """Return a number, NaN for a missing one."""
    if value is None:
        return math.nan
    value = _decoded(value)
    if isinstance(value, str):
        if value.strip().lower() in _MISSING:
            return math.nan
        try:
            value = float(value)
        except ValueError:
            raise BadCell(f"the {name} is {_shown(value)}, not a number") from None
    if not isinstance(value, int | float):
        raise BadCell(f"the {name} is {_shown(value)}, not a number")
    if not math.isnan(value) and abs(value) > LARGEST:
        infinite = isinstance(value, float) and math.isinf(value)
        raise BadCell(f"the {name} is {'infinite' if infinite else 'beyond 1e150'}")
    return float(value)


def key_of(value: Any, *, numeric: bool = False) -> int | bytes:
    """Return a group key: a whole number, or a text to be hashed; `numeric` reads texts as numbers where they are."""
    if numeric and isinstance(value, str | bytes):
        try:
            value = int(value)
        except ValueError:
            value = value.strip()
    if value is None or value in ("", b"") or (isinstance(value, float) and not math.isfinite(value)):
        raise BadCell("the group is missing")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        if not -_INT64 <= value < 2 * _INT64:
            raise BadCell(f"the group {_shown(value)} is beyond 64 bits")
        return value - 2 * _INT64 if value >= _INT64 else int(value)
    if isinstance(value, bytes):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "surrogatepass")


def keys_of(keys: list[int | bytes]) -> NDArray[np.int64]:
    """Return keys as integers, hashing each distinct text once."""
    texts = list({key for key in keys if isinstance(key, bytes)})
    hashes = dict(zip(texts, hash_texts(texts).tolist(), strict=True)) if texts else {}
    return np.array([hashes[key] if isinstance(key, bytes) else key for key in keys], dtype=np.int64)


def _one_by_one(column: pa.Array, cell: Any, bad: dict[int, str]) -> list[Any]:
    out = []
    for row, value in enumerate(column.to_pylist()):
        try:
            out.append(cell(value))
        except BadCell as error:
            bad.setdefault(row, str(error))
            out.append(0)
    return out


def _plain(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type) and not _is_text(column.type.value_type):
        return column.dictionary_decode()
    return column


def _kernels() -> Any:
    """Return pyarrow's functions on arrays: made at run time, so no type checker knows them."""
    import pyarrow.compute

    return pyarrow.compute


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return any(
        test(kind)
        for test in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    )


def steps(column: pa.Array, bad: dict[int, str]) -> NDArray[np.int64]:
    """Return a column of steps; `bad` gains the rows that have none, with the reason."""
    import pyarrow as pa

    column = _plain(column)
    if pa.types.is_signed_integer(column.type) and not column.null_count:
        return column.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    if pa.types.is_floating(column.type) and not column.null_count:
        values = column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
        # Infinity and NaN fail both.
        if (np.abs(values) < 2**53).all() and (values == np.floor(values)).all():
            return values.astype(np.int64)
    return np.array(_one_by_one(column, step_of, bad), dtype=np.int64)


def numbers(column: pa.Array, name: str, bad: dict[int, str]) -> NDArray[np.float64]:
    """Return a column of numbers, NaN where missing; `bad` gains the rows that hold none, with the reason."""
    import pyarrow as pa

    column = _plain(column)
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if not (pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        cells = _one_by_one(column, lambda value: number_of(_decimal(value), name), bad)
        return np.array(cells, dtype=np.float64)
    if not pa.types.is_floating(kind):
        column = column.cast(pa.float64(), safe=False)
    values = column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    # NaN is neither within nor beyond, so it must not decide.
    if values.size and not max(values.max(), -values.min()) <= LARGEST:
        beyond = np.abs(values) > LARGEST
        for row in np.flatnonzero(beyond).tolist():
            infinite = np.isinf(values[row])
            bad.setdefault(row, f"the {name} is {'infinite' if infinite else 'beyond 1e150'}")
        values = np.where(beyond, np.nan, values)
    return values


def _decimal(value: Any) -> Any:
    """Turn a decimal into a float; leave anything else."""
    from decimal import Decimal

    return float(value) if isinstance(value, Decimal) else value


class KeyColumn:
    """Turns columns of group keys into integers; hashes each text once a batch.

    Parameters
    ----------
    pattern : str, optional
        What is cut off each text, as a regular expression of RE2.
    divisor : int, optional
        Whole numbers are divided by it.
    numeric : bool
        Whether texts that are whole numbers stand for them, as in a CSV file.
    """

    def __init__(
        self, pattern: str | None = None, divisor: int | None = None, *, numeric: bool = False
    ) -> None:
        self._pattern, self._divisor, self._numeric = pattern, divisor, numeric

    def one(self, value: Any) -> int | bytes:
        """Return the key of one cell, for :func:`keys_of`."""
        import re

        if self._pattern is not None and isinstance(value, str):
            value = re.sub(self._pattern, "", value)
        key = key_of(value, numeric=self._numeric)
        return key // self._divisor if self._divisor and isinstance(key, int) else key

    def many(self, column: pa.Array, bad: dict[int, str]) -> NDArray[np.int64]:
        """Return the keys of a column; `bad` gains the rows without one."""
        import pyarrow as pa

        kind = column.type
        if pa.types.is_integer(kind) and not column.null_count:
            keys = column.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
            return keys // self._divisor if self._divisor else keys
        is_dictionary = pa.types.is_dictionary(kind)
        if not _is_text(kind.value_type if is_dictionary else kind) or self._numeric:
            return keys_of(_one_by_one(_plain(column), self.one, bad))
        if self._pattern is not None:
            flat = column.dictionary_decode() if is_dictionary else column
            column = _kernels().replace_substring_regex(flat, pattern=self._pattern, replacement="")
            is_dictionary = False
        if not is_dictionary:
            column = column.dictionary_encode()
        for row in _empty(column):
            bad.setdefault(row, "the group is missing")
        indices = column.indices.fill_null(0) if column.indices.null_count else column.indices
        index = indices.to_numpy(zero_copy_only=False)
        if not index.size or not len(column.dictionary):
            return np.zeros(index.size, dtype=np.int64)
        # The dictionary of a row group grows from batch to batch: only the part that this batch uses is hashed.
        low, high = int(index.min()), int(index.max())
        return _hashes_of(column.dictionary[low : high + 1])[index - low]


def _empty(column: pa.DictionaryArray) -> list[int]:
    """Return the rows whose text is null or empty."""
    kernels = _kernels()
    rows = np.flatnonzero(column.indices.is_null().to_numpy(zero_copy_only=False)).tolist()
    blank = kernels.equal(kernels.binary_length(column.dictionary), 0)
    for code in np.flatnonzero(blank.fill_null(True).to_numpy(zero_copy_only=False)).tolist():
        rows += np.flatnonzero(column.indices.fill_null(-1).to_numpy(zero_copy_only=False) == code).tolist()
    return rows


def _hashes_of(texts: pa.Array) -> NDArray[np.int64]:
    """Return the hashes of an arrow array of texts, in its own buffers."""
    import pyarrow as pa

    if not len(texts):
        return np.empty(0, dtype=np.int64)
    wide = pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type)
    _, where, data = texts.buffers()
    offsets = np.frombuffer(where, dtype=np.int64 if wide else np.int32, count=texts.offset + len(texts) + 1)
    offsets = offsets[texts.offset :].astype(np.int64)
    bounds = slice(int(offsets[0]), int(offsets[-1]))
    content = np.empty(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)[bounds]
    return hash_buffer(content, offsets - offsets[0])
