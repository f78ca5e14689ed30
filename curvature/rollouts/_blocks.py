"""The bytes of a recorded file: one step as a block of rows, and where the finished blocks of a file end."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["End", "before_step", "encode", "finished", "recorded_end"]

_START = b'{"step": '
_OWN = ("step", "group", "reward", "advantage", "rows_left")
_CHUNK = 1 << 16
_LONGEST = 1 << 28
"""No row is longer; a file with such a line is no log."""


@dataclass(frozen=True)
class End:
    """Where the finished steps of a file end: bytes, the last step, and whether its rows have advantages."""

    length: int = 0
    step: int | None = None
    has_advantages: bool = False


# ── from a step to bytes ──────────────────────────────────────────────────────────────────────────────────────────────


def encode(
    step: int,
    groups: Any,
    rewards: Any,
    advantages: Any,
    columns: Mapping[str, Sequence[Any]],
    allow_missing: bool,
) -> bytes:
    """Check one step and turn it into its rows; :meth:`Recorder.record` documents what is refused."""
    values = _numbers("reward", step, rewards, allow_missing)
    fields: dict[str, list[Any]] = {"group": _ids(step, groups, values.shape), "reward": _json(values)}
    if advantages is not None:
        weights = _numbers("advantage", step, advantages, allow_missing)
        if weights.shape != values.shape:
            raise ValueError(
                f"the advantages of step {step} have shape {weights.shape} and the rewards {values.shape}: "
                "one advantage a rollout."
            )
        fields["advantage"] = _json(weights)
    for name, column in columns.items():
        if name in _OWN:
            raise ValueError(f"column {name!r} is one of the recorder's own: give it another name.")
        if len(column) != values.size:
            raise ValueError(
                f"column {name!r} of step {step} has {len(column)} entries for {values.size} rollouts: one each."
            )
        fields[name] = list(column)
    return _rows(step, fields, values.size)


def _rows(step: int, fields: dict[str, list[Any]], size: int) -> bytes:
    """One line a rollout; `rows_left` comes last, so that a torn line never has it."""
    lines = []
    for index, row in enumerate(zip(*fields.values(), strict=True)):
        entry = {"step": step, **dict(zip(fields, row, strict=True)), "rows_left": size - 1 - index}
        try:
            lines.append(json.dumps(entry, allow_nan=False) + "\n")
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"rollout {index} of step {step} has a column that JSON cannot hold: {error}."
            ) from None
    return "".join(lines).encode()


def _numbers(name: str, step: int, values: Any, allow_missing: bool) -> NDArray[np.float64]:
    """Rewards or advantages as float64, one entry or one row a group, none of them infinite."""
    if hasattr(values, "detach"):  # a torch tensor, on whatever device; numpy has no bfloat16
        values = values.detach().cpu().double().numpy()
    try:
        raw = np.asarray(values)
        if raw.dtype.kind not in "biufO":
            raise TypeError
        numbers = raw.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"the {name}s of step {step} are no array of numbers: give one each, in rows of one length if nested."
        ) from None
    if numbers.ndim not in (1, 2) or not numbers.size:
        raise ValueError(
            f"the {name}s of step {step} have shape {numbers.shape}: give (N,) or (M, G), with at least one."
        )
    flat = numbers.ravel()
    bad = np.flatnonzero(np.isinf(flat) if allow_missing else ~np.isfinite(flat))
    if bad.size:
        value = flat[bad[0]]
        mend = "clip it" if np.isinf(value) else "mend it, or pass allow_missing=True to record it as missing"
        raise ValueError(f"{name} {bad[0]} of step {step} is {value}: {mend}.")
    return numbers


def _json(values: NDArray[np.float64]) -> list[float | None]:
    """As floats in the order of rollouts; JSON has no NaN, so missing numbers are null."""
    return [None if math.isnan(value) else value for value in values.ravel().tolist()]


def _ids(step: int, groups: Any, shape: tuple[int, ...]) -> list[int | str]:
    """One group id for each rollout: all whole numbers, or all text."""
    ids = groups.tolist() if hasattr(groups, "tolist") else list(groups)
    if len(ids) != shape[0]:
        what = "rewards" if len(shape) == 1 else "rows of rewards"
        raise ValueError(f"step {step} has {len(ids)} groups for {shape[0]} {what}: one each.")
    named = all(isinstance(group, str) for group in ids)
    if not named and any(isinstance(group, bool) or not hasattr(group, "__index__") for group in ids):
        wrong = next(g for g in ids if isinstance(g, bool) or not hasattr(g, "__index__"))
        raise TypeError(f"step {step} has the group {wrong!r}: give whole numbers, or all text.")
    if named and "" in ids:
        raise ValueError(f"group {ids.index('')} of step {step} is empty text: give it a name.")
    plain: list[int | str] = ids if named else [int(group) for group in ids]
    if len(shape) == 1:
        return plain
    if len(set(plain)) != len(plain):
        raise ValueError(
            f"step {step} has rows of rewards with one group id: a row is a group, give each its own."
        )
    return [group for group in plain for _ in range(shape[1])]


# ── from bytes to the end of the finished steps ───────────────────────────────────────────────────────────────────────


def finished(file: int, path: Path, size: int | None = None) -> End:
    """Find the last row with `rows_left` 0, from the back; what follows it must be the start of one step."""
    size = os.fstat(file).st_size if size is None else size
    later: tuple[int, int] | None = None
    for start, line in _lines_backward(file, path, size):
        row = _parse(path, start, line)
        if row["rows_left"] == 0:
            return End(start + len(line), row["step"], "advantage" in row)
        if later is not None and (row["step"], row["rows_left"] - 1) != later:
            raise _foreign(path, start)
        later = row["step"], row["rows_left"]
    return End()


def recorded_end(path: Path) -> int | None:
    """Return where a reader of `path` must stop: after its last finished step; None if no Recorder wrote it."""
    with open(path, "rb") as file:
        if file.read(len(_START)) != _START:
            return None
        try:
            return finished(file.fileno(), path).length
        except ValueError:  # the reader says what is wrong with which line
            return None


def before_step(file: int, end: End, step: int, path: Path) -> End:
    """Find where the steps before `step` end, by bisection: steps only ever grow along a file."""
    if end.step is None or step > end.step:
        return end
    low, high = 0, end.length
    while low < high:
        start, line = _line_at(file, (low + high) // 2, low, high)
        if _parse(path, start, line)["step"] >= step:
            high = start
        else:
            low = start + len(line)
    return finished(file, path, low)


def _parse(path: Path, start: int, line: bytes) -> dict[str, Any]:
    """Read a row of ours, or say that it is none."""
    try:
        row = json.loads(line)
        is_ours = type(row["step"]) is int and type(row["rows_left"]) is int and row["rows_left"] >= 0
    except (ValueError, TypeError, KeyError, RecursionError):
        is_ours, row = False, {}
    if not is_ours:
        raise _foreign(path, start)
    return row


def _foreign(path: Path, start: int) -> ValueError:
    return ValueError(
        f"{path} was not written by a Recorder, or is damaged, at byte {start}: give the recorder a new path."
    )


def _lines_backward(file: int, path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Give (start, line) of the complete lines, the last one first; a torn line at the end is passed over."""
    start, held, is_torn = size, b"", True
    while start > 0:
        # As much again as is held, so that a line of any length takes linear time.
        length = min(start, max(_CHUNK, len(held)))
        start -= length
        chunk = os.pread(file, length, start)
        held = chunk if is_torn else chunk + held
        if len(held) > _LONGEST:
            raise _foreign(path, start)
        stop = len(held)
        if is_torn:
            stop = held.rfind(b"\n") + 1
            is_torn = stop == 0
        if not is_torn:
            while (begin := held.rfind(b"\n", 0, stop - 1) + 1) > 0:
                yield start + begin, held[begin:stop]
                stop = begin
            held = held[:stop]
    if is_torn:
        if not held.startswith(_START[: len(held)]) and held.strip(b"\0"):
            raise _foreign(path, 0)
    elif held:
        yield 0, held


def _line_at(file: int, offset: int, low: int, high: int) -> tuple[int, bytes]:
    """Return the line that holds the byte at `offset`; `low` and `high` are the starts of lines around it."""
    reach = _CHUNK
    while True:
        first, last = max(low, offset - reach), min(high, offset + reach)
        window = os.pread(file, last - first, first)
        begin = window.rfind(b"\n", 0, offset - first) + 1
        stop = window.find(b"\n", offset - first) + 1
        if (begin or first == low) and (stop or last == high):
            return first + begin, window[begin:stop] if stop else window[begin:]
        reach *= 2
