"""Bisection of many equations at once, in any array library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bisect"]

# Halvings until the interval is as short as the spacing of double precision.
_HALVINGS = 80


def bisect(xp: Any, function: Callable[[Any], Any], low: Any, high: Any) -> Any:
    """Find where a function that crosses 0 once, upwards, does so.

    Parameters
    ----------
    xp : namespace
        The array library.
    function : callable
        Elementwise; only its sign is used.
    low, high : array
        The function is negative at ``low`` and not at ``high``.

    Returns
    -------
    array
        The crossing, to the spacing of the floats around it.
    """
    for _ in range(_HALVINGS):
        middle = low + (high - low) / 2
        below = function(middle) < 0
        low, high = xp.where(below, middle, low), xp.where(below, high, middle)
    return low + (high - low) / 2
