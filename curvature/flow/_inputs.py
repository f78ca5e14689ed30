"""What the functions of the flow accept, checked before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.flow._odds import log_odds_of, log_variance, success_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["read_array", "read_law", "read_odds", "read_weights", "slowness_of", "weights_at"]

# Where a weight is asked for: p itself resolves 1 − p no finer than this.
_LOWEST, _HIGHEST = np.finfo(float).tiny, 1 - np.finfo(float).epsneg


def read_array(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> Array:
    """Read real numbers in [low, high], or (low, high] if `open_low`; NaN is refused."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number or an array of them, got {value!r}.") from None
    good = ((array > low) if open_low else (array >= low)) & (array <= high)
    if not good.all():
        bad = float(array[~good].flat[0])
        interval = f"{'(' if open_low else '['}{low:g}, {high:g}]"
        raise ValueError(f"{name} must lie in {interval}, got {bad}.")
    return array


def read_odds(name: str, value: Any, log_odds: bool) -> Array:
    """Read success probabilities, or log-odds, as log-odds."""
    if log_odds:
        return read_array(name, value, -np.inf, np.inf)
    return log_odds_of(read_array(name, value, 0.0, 1.0))


def read_law(exponent: Any, weight: Any) -> float | Callable[[Array], Any]:
    """Read the weight of the flow: an exponent e ≥ 0 for σ^(−e), or a callable weight(p)."""
    if (exponent is None) == (weight is None):
        raise TypeError(f"give one of exponent and weight, got exponent={exponent!r} and weight={weight!r}.")
    if weight is not None:
        if not callable(weight):
            raise TypeError(f"weight must be a callable weight(p), got {weight!r}.")
        return weight
    e = read_array("exponent", exponent, 0.0, np.finfo(float).max)
    if e.ndim:
        raise TypeError(f"exponent must be one number, got an array of shape {e.shape}.")
    return float(e)


def read_weights(prompt_weights: Any, size: int) -> Array:
    """Read the weights of the prompts of a profile and scale them to sum 1; equal ones if none are given."""
    if prompt_weights is None:
        return np.full(size, 1.0 / size)
    weights = read_array("prompt_weights", prompt_weights, 0.0, np.finfo(float).max, open_low=True)
    if weights.shape != (size,):
        raise ValueError(
            f"prompt_weights has shape {weights.shape}; one weight for each of {size} prompts is needed."
        )
    return weights / weights.sum()


def weights_at(weight: Callable[[Array], Any], log_odds: Array) -> Array:
    """Ask a user's weight for its values, in the shape of `log_odds`, after a check that each is finite and ≥ 0."""
    p = np.clip(success_of(log_odds).ravel(), _LOWEST, _HIGHEST)
    values = np.asarray(weight(p), dtype=np.float64)
    if values.ndim == 0:
        values = np.full(p.shape, values)
    if values.shape != p.shape:
        raise ValueError(
            f"weight(p) has shape {values.shape} for p of shape {p.shape}; return one weight for each p."
        )
    bad = ~((values >= 0) & np.isfinite(values))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise ValueError(f"weight(p) is {values[i]} at p = {p[i]}; a weight must be finite and at least 0.")
    return values.reshape(log_odds.shape)


def slowness_of(weight: Callable[[Array], Any]) -> Callable[[Array], Array]:
    """dτ/dz = 1/(p(1 − p)·weight(p)) as a function of log-odds z."""

    def slowness(log_odds: Array) -> Array:
        with np.errstate(over="ignore", divide="ignore"):
            return np.exp(-log_variance(log_odds)) / weights_at(weight, log_odds)

    return slowness
