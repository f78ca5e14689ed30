"""What the functions of the phases accept, checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["read_count", "read_series", "read_steps", "require"]


def read_series(series: Any) -> tuple[tuple[str, ...], Array]:
    """Read one series, several as columns, or a mapping: names and finite values (T, s)."""
    if isinstance(series, Mapping) or hasattr(series, "columns"):
        names = tuple(str(name) for name in series.keys())  # noqa: SIM118 - a data frame iterates otherwise
        columns = [as_floats(name, series[key]) for name, key in zip(names, series.keys(), strict=True)]
        shapes = {column.shape for column in columns}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            told = ", ".join(f"{name} {column.shape}" for name, column in zip(names, columns, strict=True))
            raise ValueError(f"series must all be of one shape (T,), got {told or 'none'}.")
        values = np.stack(columns, axis=1)
    else:
        values = as_floats("series", series)
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or values.shape[1] == 0:
            raise ValueError(f"series has shape {values.shape}; (T,) or (T, s) is needed.")
        names = tuple(f"series_{j}" for j in range(values.shape[1]))
    bad = ~np.isfinite(values)
    if bad.any():
        t, j = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{names[j]} is {values[t, j]} at point {t}; every value must be finite: leave the point out."
        )
    return names, values


def as_floats(name: str, value: Any) -> Array:
    """Read real numbers into an array of their own."""
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must hold real numbers, got {type(value).__name__}.") from None


def read_steps(steps: Any, T: int) -> Array:
    """Read the increasing steps of T points; 0, 1, … if none are given."""
    if steps is None:
        return np.arange(float(T))
    at = as_floats("steps", steps)
    if at.shape != (T,):
        raise ValueError(f"steps has shape {at.shape}; one step for each of {T} points is needed.")
    if not (np.diff(at) > 0).all() or not np.isfinite(at).all():
        i = int(np.flatnonzero(~(np.diff(at, prepend=-np.inf) > 0) | ~np.isfinite(at))[0])
        raise ValueError(
            f"steps must increase and be finite, got {at[i]} at point {i}; sort the series by step."
        )
    return at


def read_count(name: str, value: Any, least: int) -> int:
    """Read an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
    return int(value)


def require(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Refuse a name that is not allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}.")
