"""The cells on which "L4-exact" is certified: where two end atoms are optimal, and what bounds the rest.

In the notation of :mod:`curvature.proofs.remainder`: L = 2s, V = e^L − 1, g(λ) = log(1 + λV) − λL on [0, 1], and the
variance of g'(p)λ − g(λ) is to be bounded over laws of λ with mean p. Everything here is evaluated at the ends of
cells, where monotonicity makes it a bound for the whole cell, and every comparison keeps a relative ``GUARD``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, log, log1p, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["GUARD", "SMALLEST", "Box", "box_at", "box_near_zero", "boxes", "certify", "mirrored_maximum"]

GUARD = 1e-6
"""Relative room of every comparison; double precision leaves less than 1e-11 of error in any side of one."""
SMALLEST = 0.02
"""L up to which the expansion at L = 0 is used."""
_GROWTH = 1.03
_SUCCESSES = 60
_POSITIONS = 240


@dataclass(frozen=True)
class Box:
    """Bounds that hold for all L of an interval, in units common to all of them.

    Attributes
    ----------
    slope_low, slope_high : callable
        Of p: g'(p) lies between them.
    shares : tuple of ndarray
        Cells of λ ∈ [0, 1] by their ends, and of 1 − λ.
    chords : tuple of ndarray
        Upper bounds of g(λ)/λ at the lower ends of the cells of λ, and of g/(1 − λ) likewise.
    peak : float
        Upper bound of max g.
    target : float
        Lower bound of Ψ.
    start : float
        p at which the search for the last certified success begins.
    zero : tuple of float
        g'(p) > 0 below the first and < 0 above the second, for all L.
    """

    slope_low: Callable[[Array], Array]
    slope_high: Callable[[Array], Array]
    shares: tuple[Array, Array]
    chords: tuple[Array, Array]
    peak: float
    target: float
    start: float
    zero: tuple[float, float]


def boxes(largest: float) -> list[tuple[float, float]]:
    """Cover [SMALLEST, largest] by intervals of L.

    Parameters
    ----------
    largest : float
        The largest L.

    Returns
    -------
    list of tuple of float
        Neighbours share an end.
    """
    count = int(np.ceil(np.log(largest / SMALLEST) / np.log(_GROWTH)))
    edges = np.geomspace(SMALLEST, largest, count + 1)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def box_at(low: float, high: float) -> Box:
    """Bound everything for L ∈ [low, high]: g increases with L, and g'(p) first rises and then falls with it.

    Parameters
    ----------
    low, high : float
        The interval.

    Returns
    -------
    Box
        In units of 1.
    """
    V, top = expm1(low), expm1(high)

    def slope(p: Array, L: float) -> Array:
        return expm1(L) / (1 + p * expm1(L)) - L

    def slope_low(p: Array) -> Array:
        return np.minimum(slope(p, low), slope(p, high))

    def slope_high(p: Array) -> Array:
        # ∂g'/∂L = 0 where 1 + pV = √(1 + V), which is L = 2 log(1/p − 1).
        turn = 2 * np.log(1 / p - 1, out=np.full_like(p, -np.inf), where=p < 1)
        at_turn = np.where(
            (turn > low) & (turn < high), (1 - 2 * p) / np.maximum(p * (1 - p), 1e-300) - turn, -np.inf
        )
        return np.maximum(np.maximum(slope(p, low), slope(p, high)), at_turn)

    # Even in log(1 + λV): as fine near 0 as the curve is there.
    share = np.expm1(np.linspace(0, high, _POSITIONS + 1)) / top
    share[-1] = 1.0
    mirrored = 1 - share[::-1]
    chord = _over(np.log1p(share * top) - share * high, share, top - high)
    other = _over(np.log1p(-mirrored * (top / (1 + top))) + mirrored * high, mirrored, high - top / (1 + top))
    start = _maximiser(low)
    return Box(
        slope_low,
        slope_high,
        (share, mirrored),
        (chord, other),
        log(top / high) - 1 + high / top,
        float(np.sqrt(start * (1 - start)) * slope_low(np.array(start))),
        start,
        (1 / high - 1 / top, 1 / low - 1 / V),
    )


def box_near_zero() -> Box:
    """Bound everything for 0 < L ≤ SMALLEST in units of V², by the alternating series of 1/(1 + pV) and log(1 + V).

    Returns
    -------
    Box
        g ≤ λ(1 − λ)/2, and g'(p) lies between 1/2 − p − V/3 and 1/2 − p + p²V.
    """
    V = expm1(SMALLEST)
    share = np.linspace(0, 1, _POSITIONS + 1)
    start = (1 - sqrt(0.5)) / 2
    return Box(
        lambda p: 0.5 - p - V / 3,
        lambda p: 0.5 - p + p * p * V,
        (share, share),
        ((1 - share) / 2, (1 - share) / 2),
        0.125,
        sqrt(start * (1 - start)) * (0.5 - start - V / 3),
        start,
        (0.5 - V / 3, 0.5 + V),
    )


def certify(box: Box) -> float:
    """Bound sd(g'(p)λ − g(λ)) for every p, relative to Ψ.

    Parameters
    ----------
    box : Box
        For an interval of L.

    Returns
    -------
    float
        The largest bound over Ψ among those p at which two end atoms are not certified; below 1 − GUARD it is
        proved that Ψ is the supremum. Infinite where no p is certified to begin with.
    """
    low_zero, high_zero = box.zero
    rising = np.geomspace(box.start, high_zero, _SUCCESSES)
    falling = 1 - np.geomspace(1e-3 * (1 - low_zero), 1 - low_zero, 2 * _SUCCESSES)
    left = _side(
        rising,
        box.slope_low(rising),
        box.slope_high(rising),
        needed(rising, box.shares[0], box.chords[0]),
        box.peak,
    )
    right = _side(
        1 - falling,
        -box.slope_high(falling),
        -box.slope_low(falling),
        needed(1 - falling, box.shares[1], box.chords[1]),
        box.peak,
    )
    return max(left, right) / box.target


def mirrored_maximum(box: Box) -> float:
    """Bound √(p(1 − p))|g'(p)| where g' < 0, relative to its maximum Ψ where g' > 0.

    Parameters
    ----------
    box : Box
        For an interval of L.

    Returns
    -------
    float
        Below 1 where the maximum over all p is Ψ.
    """
    p = np.linspace(box.zero[0], 1, 4 * _SUCCESSES + 1)
    steepest = np.maximum(-box.slope_low(p[1:]), 0)
    return float((_spread(p[:-1], p[1:]) * steepest).max()) / box.target


def needed(p: Array, share: Array, chord: Array) -> Array:
    """Bound from above the least Δ with g(λ) ≤ Δ(λ − p + √(p² + (1 − 2p)λ)) for all λ.

    Parameters
    ----------
    p : ndarray, shape (m,)
        Mean success.
    share, chord : ndarray, shape (n + 1,)
        Ends of the cells of λ, and g/λ there; both sides divided by λ fall with λ.

    Returns
    -------
    ndarray, shape (m,)
        Δ.
    """
    root = np.sqrt(np.maximum(p[:, None] ** 2 + (1 - 2 * p[:, None]) * share[1:], 0))
    gain = 1 + (1 - 2 * p[:, None]) / (root + p[:, None])
    return (chord[:-1] / gain).max(axis=1)


def _side(p: Array, slope_low: Array, slope_high: Array, need: Array, peak: float) -> float:
    """Bound the deviation on the cells of p beyond the last certified one; p runs away from its certified end.

    There it is convex in Δ, at most p(1 − p)Δ² squared at Δ = ``need`` and peak/2 at Δ = 0.

    Returns
    -------
    float
        The largest bound.
    """
    certified = np.flatnonzero(slope_low >= need * (1 + GUARD))
    if not certified.size:
        return float("inf")
    last = int(certified.max())
    ends = np.stack([np.maximum(slope_low[last + 1 :], 0), np.maximum(slope_high[last:-1], 0)])
    share = ends / need[last + 1 :]
    bound = _spread(p[last:-1], p[last + 1 :]) * ends + np.maximum(1 - share, 0) * peak / 2
    return float(bound.max(initial=0.0))


def _spread(low: Array, high: Array) -> Array:
    """Maximise √(p(1 − p)) over low ≤ p ≤ high.

    Returns
    -------
    ndarray
        The maxima.
    """
    spread = np.sqrt(np.maximum(low * (1 - low), high * (1 - high)))
    return np.where((low < 0.5) & (high > 0.5), 0.5, spread)


def _over(value: Array, share: Array, limit: float) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(share > 0, value / share, limit)


def _maximiser(L: float) -> float:
    """Find p near the maximum of √(p(1 − p))g'(p); any p will do for a lower bound.

    Returns
    -------
    float
        On a fine grid of log(1 + pV).
    """
    V = expm1(L)
    p = np.expm1(np.linspace(0, log1p(V * (1 / L - 1 / V)), 2001)[1:-1]) / V
    return float(p[np.argmax(np.sqrt(p * (1 - p)) * (V / (1 + p * V) - L))])
