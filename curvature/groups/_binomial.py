"""Expectations over binomial counts, for groups of two to millions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

Array = Any

# Counts beyond 12 standard deviations and 60 have less than 1e-30 of the mass (Bernstein's inequality).
_DEVIATIONS, _MARGIN = 12.0, 60
# Up to here every binomial coefficient is exact in float64.
_EXACT = 56
# 2^18 float64 are 2 MiB: the table of one block stays in a cache.
_BLOCK = 1 << 18


def checked_success(success: ArrayLike) -> NDArray[np.float64]:
    """Return success rates as float64, or say which one is not in [0, 1]."""
    p = np.asarray(success, dtype=np.float64)
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        raise ValueError(f"success={p[wrong].flat[0]} must be in [0, 1]: pass a probability.")
    return p


def checked_size(group_size: float) -> int:
    """Return G as an int, or say why it is none."""
    if not (math.isfinite(group_size) and group_size == int(group_size) and group_size >= 2):
        raise ValueError(f"group_size={group_size!r} must be a whole number, at least 2.")
    return int(group_size)


def expectation(
    function: Callable[[NDArray[np.int64]], Array], number: int, success: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return E f(K), K ~ Bin(number, p), for each p; f maps counts to values of their shape, or to a stack of such."""
    flat = success.ravel()
    parts = []
    half = np.ceil(_DEVIATIONS * np.sqrt(number * flat * (1 - flat))).astype(np.int64) + _MARGIN
    centre = np.rint(number * flat).astype(np.int64)
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half, number)
    width = int((high - low).max(initial=0)) + 1
    rows = max(_BLOCK // width, 1)
    for start in range(0, max(flat.size, 1), rows):
        here = slice(start, start + rows)
        k = np.minimum(low[here], number - width + 1)[:, None] + np.arange(width)
        chance = _probability(k, number, flat[here, None])
        # Dividing by the sum takes out the truncation and the common part of the rounding.
        parts.append((chance * function(k)).sum(axis=-1) / chance.sum(axis=-1))
    out = np.concatenate(parts, axis=-1)
    return out.reshape(out.shape[:-1] + success.shape)


def _probability(k: NDArray[np.int64], number: int, p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(K = k); by powers where they are exact enough, which is ten times as fast inside an integrator."""
    if number > _EXACT:
        from scipy.stats import binom

        return binom.pmf(k, number, p)
    # The window spans all counts, so each row of k is 0, …, number.
    ways = np.array([math.comb(number, j) for j in range(number + 1)], dtype=np.float64)
    powers = np.arange(number + 1)
    return ways * p**powers * (1 - p) ** powers[::-1]
