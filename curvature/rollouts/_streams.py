"""Bytes of a log, plain or gzipped, in blocks that end at line ends; no line longer than a limit is ever held."""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from curvature.rollouts._blocks import recorded_end
from curvature.rollouts._faults import Faults, LogError

__all__ = ["LINE_LIMIT", "Block", "blocks", "is_pickle", "natural_order", "open_bytes", "stem"]

LINE_LIMIT = 64 << 20
_CHUNK = 4 << 20
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Block:
    """Whole lines, the number of the first from 1, and whether the last one lacks its line end."""

    data: bytes
    first_line: int
    unfinished: bool = False


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sort key under which step_2 comes before step_10."""
    parts = re.split(r"(\d+)", str(path))
    return [(1, int(part[:4000]), part) if part.isdecimal() else (0, 0, part) for part in parts]


def stem(path: Path) -> str:
    """Return the name without .gz."""
    return path.name.removesuffix(".gz")


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, unzipping it if its first bytes say so."""
    try:
        raw = open(path, "rb")  # noqa: SIM115  (an error in the body is not an error of opening)
    except OSError as error:
        raise LogError(f"{path} cannot be opened: {error.strerror or error}.") from None
    with raw:
        if raw.peek(2)[:2] != _GZIP:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw, mode="rb") as unzipped:
            yield unzipped  # type: ignore[misc]


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, by its first bytes: protocol 2 or later."""
    try:
        with open(path, "rb") as file:
            head = file.read(2)
    except OSError:
        return False
    return len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def blocks(path: Path, faults: Faults) -> Iterator[Block]:
    """Yield the lines of a file in blocks of a few megabytes; overlong lines are skipped and counted."""
    pending: list[bytes] = []
    held, line, skipping = 0, 1, False
    with open_bytes(path) as file:
        # A step that a Recorder has begun and not ended is not in the log yet.
        end = recorded_end(path)
        if end is not None and end < path.stat().st_size:
            faults.unfinished.append(path)
        for chunk in _chunks(file, path, end):
            if isinstance(chunk, str):
                faults.break_off(path, line, chunk)
                break
            head, newline, tail = chunk.rpartition(b"\n")
            if not newline:
                held += len(chunk)
                pending.append(chunk)
                if held > LINE_LIMIT:
                    pending, skipping = [], True
                continue
            if skipping:
                faults.bad(path, line, f"the line is longer than {LINE_LIMIT >> 20} MiB")
                head, skipping, line = head.partition(b"\n")[2] if b"\n" in head else b"", False, line + 1
                data = head + newline if head else b""
            else:
                data = b"".join([*pending, head, newline])
            pending, held = [tail], len(tail)
            if data:
                yield Block(data, line)
                line += data.count(b"\n")
        if skipping:
            faults.bad(path, line, f"the line is longer than {LINE_LIMIT >> 20} MiB")
            return
        rest = b"".join(pending)
        if rest.strip():
            yield Block(rest, line, unfinished=True)


def _chunks(file: IO[bytes], path: Path, end: int | None) -> Iterator[bytes | str]:
    """Yield the bytes of a file up to `end`, if one is given; at last, where it breaks off, the reason as a text."""
    first, reason, more = True, "", True
    left = sys.maxsize if end is None else end
    while more:
        pieces: list[bytes] = []
        size = 0
        try:
            # read would lose what it has unzipped before the break, so the chunk is put together of pieces.
            while size < _CHUNK and left and (piece := file.read1(min(_CHUNK, left))):  # type: ignore[attr-defined]
                pieces.append(piece)
                size += len(piece)
                left -= len(piece)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            reason = f"the gzip stream breaks off here ({error})"
        except OSError as error:
            raise LogError(f"{path} cannot be read: {error.strerror or error}.") from None
        more = size >= _CHUNK and not reason
        if pieces:
            chunk = b"".join(pieces)
            yield chunk.removeprefix(_BOM) if first else chunk
        first = False
    if reason:
        yield reason
