"""Uniform numbers that are a function of what they are for, so that no order of drawing can change them."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seed: int, step: int, names: Sequence[tuple[str, int]], length: int) -> NDArray[np.float64]:
    """Return u[i, t] in (0, 1), a function of (seed, step, names[i], t) alone.

    A row is the SplitMix64 sequence that starts at the 64-bit BLAKE2b hash of (seed, step, key, sample).

    Parameters
    ----------
    seed, step : int
        The run's seed and the step of it.
    names : sequence of (str, int), (N,)
        Key of the question and number of the sample, row by row.
    length : int
        Numbers in a row.

    Returns
    -------
    ndarray, (N, length)
        Multiples of 2⁻⁵³ plus 2⁻⁵⁴, so neither 0 nor 1.
    """
    starts = np.array([_hash(f"{seed}|{step}|{sample}|{key}") for key, sample in names], dtype=np.uint64)
    states = starts[:, None] + _GOLDEN * np.arange(1, length + 1, dtype=np.uint64)
    return (_mixed(states) >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54


def _hash(text: str) -> int:
    """64 bits of a text, the same on every machine and in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def _mixed(states: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply the output function of SplitMix64 (Steele, Lea and Flood 2014)."""
    states = (states ^ (states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    states = (states ^ (states >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return states ^ (states >> np.uint64(31))
