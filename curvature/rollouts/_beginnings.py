"""The group size of a log that names no groups, by the beginnings that its texts share."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from curvature.rollouts._faults import Faults, LogError
from curvature.rollouts._jsonl import parse_line
from curvature.rollouts._streams import blocks

__all__ = ["common_beginnings"]


def common_beginnings(path: Path) -> int:
    """Return the group size at which texts share longer beginnings inside groups than across; ask if none does."""
    texts = _texts(path)
    shared = [_shared(first, second) for first, second in pairwise(texts)]
    for size in range(2, len(texts) // 2 + 1):
        inside = [length for index, length in enumerate(shared) if (index + 1) % size]
        across = shared[size - 1 :: size]
        if len(texts) % size == 0 and min(inside) > max(across):
            return size
    raise LogError(
        f"{path} names no groups: say how many rollouts a prompt has with group_size (--group-size)."
    )


def _texts(path: Path) -> list[str]:
    """Return the conversations of a NeMo RL file, without its rows of tokens."""
    texts = []
    for block in blocks(path, Faults()):
        for line in block.data.split(b"\n"):
            try:
                record = parse_line(line) if line.strip() else None
            except ValueError:
                return []
            if isinstance(record, dict) and record.get("content") is not None:
                texts.append(json.dumps(record["content"], ensure_ascii=False))
    return texts


def _shared(first: str, second: str) -> int:
    """Return how many letters two texts have in common at their beginnings."""
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
        min(len(first), len(second)),
    )
