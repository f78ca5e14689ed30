"""Group keys as 64-bit integers: whole numbers as they are, texts by a hash, so that no text is kept.

Two of n texts share a hash with probability about n²/2⁶⁵: 3e-8 for a million prompts. The hash works on the buffers of
arrow arrays, eight bytes of all texts at a time: making Python objects of the texts costs more than reading them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_keys", "hash_buffer", "hash_texts", "mixed"]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
# Texts hashed together: enough to spread the cost of a call, few enough for the cache.
_TEXTS = 8192


def hash_buffer(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a 64-bit hash of each text; text i is data[offsets[i] : offsets[i + 1]]."""
    if offsets.size <= 1:
        return np.empty(0, dtype=np.int64)
    parts = []
    for first in range(0, offsets.size - 1, _TEXTS):
        bounds = offsets[first : first + _TEXTS + 1]
        parts.append(_hash_block(data[bounds[0] : bounds[-1]], bounds - bounds[0]))
    return np.concatenate(parts)


def _hash_block(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    length = np.diff(offsets)
    order = np.argsort(-length, kind="stable")  # those with bytes left are always the first
    start, left = offsets[:-1][order], -length[order]
    words = np.zeros(data.size // 8 + 2, dtype="<u8")
    words.view(np.uint8)[: data.size] = data
    # A text begins inside an aligned word, so each word of it is put together of two neighbours.
    base, low = start >> 3, (8 * (start & 7)).astype(np.uint64)
    high = np.uint64(63) - low
    state = (-left).astype(np.uint64) * _ODD
    near = words[base]
    for place in range(0, int(length.max(initial=0)), 8):
        alive = int(np.searchsorted(left, -place, side="left"))
        far = words[base[:alive] + (place // 8 + 1)]
        word = (near[:alive] >> low[:alive]) | ((far << np.uint64(1)) << high[:alive])
        full = int(np.searchsorted(left, -(place + 8), side="right"))
        cut = (8 * (-left[full:alive] - place)).astype(np.uint64)
        word[full:] &= (np.uint64(1) << cut) - np.uint64(1)
        mix = state[:alive]
        mix ^= word
        mix *= _ODD
        mix ^= mix >> _HALF
        near = far
    out = np.empty_like(state)
    out[order] = state
    return mixed(out.view(np.int64))


def hash_texts(texts: Sequence[bytes]) -> NDArray[np.int64]:
    """Return the hash of each text."""
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return hash_buffer(np.frombuffer(b"".join(texts), dtype=np.uint8), offsets)


def as_keys(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return keys of integers, or of anything that has a text."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    names, codes = np.unique(values.astype(str), return_inverse=True)
    return hash_texts([name.encode("utf-8", "surrogatepass") for name in names.tolist()])[codes.ravel()]


def mixed(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Scramble integers one to one (the finaliser of SplitMix64)."""
    x = values.view(np.uint64) + _ODD
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).view(np.int64)
