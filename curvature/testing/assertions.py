"""Assertions that print by how much a bound is missed, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["assert_tight", "assert_upper"]


def assert_upper(
    measured: ArrayLike, bound: ArrayLike, *, rtol: float = 1e-9, atol: float = 1e-300, name: str = "bound"
) -> None:
    """Assert measured ≤ bound (1 + rtol) + atol everywhere.

    Ours. Kind: test of an upper bound.

    Parameters
    ----------
    measured, bound : array_like
        Broadcast against each other.
    rtol, atol : float
        Room for rounding. The absolute one is tiny by default, so that a bound that goes to zero stays a test.
    name : str
        Named in the message.

    Raises
    ------
    AssertionError
        With the worst ratio, its place and both numbers, if any entry is above its bound or is not a number.

    Examples
    --------
    >>> assert_upper([0.5, 1.0], 1.0)
    >>> assert_upper([0.5, 1.2], [1.0, 1.0], name="L2")
    Traceback (most recent call last):
        ...
    AssertionError: L2 is exceeded by ×1.2 at (1,): measured 1.2, bound 1.0 (1 of 2 entries).
    """
    left, right = np.broadcast_arrays(np.asarray(measured, dtype=float), np.asarray(bound, dtype=float))
    broken = ~(left <= right * (1 + rtol) + atol)
    if broken.any():
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(broken, left / right, -np.inf)
        ratio = np.where(broken & np.isnan(ratio), np.inf, ratio)
        where = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
        raise AssertionError(
            f"{name} is exceeded by ×{ratio[where]:.9g} at {where}: measured {left[where]}, "
            f"bound {right[where]} ({int(broken.sum())} of {broken.size} entries)."
        )


def assert_tight(
    measured: ArrayLike, bound: ArrayLike, *, at_least: float = 0.999, rtol: float = 1e-9, name: str = "bound"
) -> None:
    """Assert that a bound holds everywhere and is reached somewhere: at_least ≤ max measured/bound ≤ 1 + rtol.

    Ours. Kind: test of a sharp upper bound.

    Parameters
    ----------
    measured, bound : array_like
        Broadcast against each other.
    at_least : float
        The ratio that must be reached.
    rtol : float
        Room for rounding above 1.
    name : str
        Named in the message.

    Raises
    ------
    AssertionError
        If the bound is exceeded, or if the best ratio falls short; the message has the best ratio.

    Examples
    --------
    >>> assert_tight([0.2, 0.9995], 1.0)
    >>> assert_tight([0.2, 0.5], 1.0)
    Traceback (most recent call last):
        ...
    AssertionError: bound is reached to ×0.5 only, ×0.999 was claimed.
    """
    assert_upper(measured, bound, rtol=rtol, name=name)
    left, right = np.broadcast_arrays(np.asarray(measured, dtype=float), np.asarray(bound, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        best = float(np.nanmax(np.where(right > 0, left / right, np.nan)))
    if not best >= at_least:
        raise AssertionError(f"{name} is reached to ×{best:.9g} only, ×{at_least:.9g} was claimed.")
