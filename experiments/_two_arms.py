"""What the figures about two-response prompts share: the effective weight of a finite group, and fractional times."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

__all__ = ["crossing_time", "group_weight", "plain_group_weight"]


def group_weight(group_size: int) -> Callable[[Any], Any]:
    """Return a_G(p) = Σ_k Bin(k; G, p)√(k/G(1 − k/G))/(p(1 − p)), GRPO's expected weight with G responses.

    E ĝ = a_G(p)g for rewards 0 and 1 (theory D1); it tends to √(G − 1), not to infinity, as p → 0 or p → 1.

    Parameters
    ----------
    group_size : int
        G, at least 2.

    Returns
    -------
    callable
        a_G of an array of success rates in (0, 1).
    """
    from curvature.groups import effective_weight

    return partial(effective_weight, group_size=group_size)


def plain_group_weight(group_size: int) -> Callable[[Any], Any]:
    """Return the constant 1 − 1/G: subtracting the mean of G responses shortens the expected gradient by it.

    Parameters
    ----------
    group_size : int
        G, at least 2.

    Returns
    -------
    callable
        Of an array of success rates.
    """
    from curvature.groups import effective_weight

    return partial(effective_weight, group_size=group_size, normalization="none")


def crossing_time(values: ArrayLike, level: float) -> NDArray[np.float64]:
    """Find when rows of values first reach a level, linear between two updates.

    Parameters
    ----------
    values : array_like, shape (..., T + 1)
        Entry t is before update t.
    level : float
        The level.

    Returns
    -------
    ndarray, shape (...)
        Times in updates; inf where the level is not reached.
    """
    array = np.asarray(values, dtype=np.float64)
    reached = array >= level
    after = reached.argmax(axis=-1)
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(array, at[..., None], -1)[..., 0] for at in (before, after))
    part = np.where(high > low, (level - low) / np.where(high > low, high - low, 1.0), 0.0)
    return np.where(reached.any(axis=-1), np.where(after == 0, 0.0, before + part), np.inf)
