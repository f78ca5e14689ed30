"""The flow of one prompt in log-odds, where it is one integral: z = log(p/(1 − p)).

With p(1 − p) = 1/(2 cosh(z/2))², the flow dp/dt = αD²·a·(p(1 − p))² of weight a reads dz/dt = αD²·a·p(1 − p).
For a = σ^(−e) and the clock τ = αD²·t, the time between two log-odds is

    τ = ∫ (2 cosh(z/2))^m dz,   m = 2 − e,

of which e = 0, 1, 2 are elementary: 2z + 2 sinh z, 4 sinh(z/2), z. A stretch of the axis is held as its start
and its *gap* (the difference of log-odds), so that short times keep their relative accuracy.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    # The integrand dτ/dz at log-odds z.
    Slowness = Callable[[Array], Array]

__all__ = [
    "advance",
    "advance_weighted",
    "elapsed",
    "elapsed_weighted",
    "failure_of",
    "gap_between",
    "log_odds_of",
    "log_variance",
    "success_of",
]

# Lobatto's rule of eleven nodes. It asks at both ends of a panel, so that no jump inside escapes: Gauss's nodes keep
# 1.3 per cent of a panel away from each end, where a jump would change neither the panel's value nor its halves'.
_LAST = np.polynomial.legendre.Legendre.basis(10)
_NODES = np.concatenate([[-1.0], np.sort(_LAST.deriv().roots().real), [1.0]])
_WEIGHTS = 2 / (110 * _LAST(_NODES) ** 2)
# Quadrature: relative error of each accepted panel; a discontinuity is followed down to 2^−50 of a panel.
_QUADRATURE_RTOL, _MOST_HALVINGS = 1e-13, 50
# From here on V = p(1 − p) underflows, or its inverse overflows.
_END_OF_AXIS = 745.0


def log_odds_of(success: Array) -> Array:
    """log(p/(1 − p)); near 1/2 from 2p − 1, which is exact there."""
    with np.errstate(divide="ignore"):
        apart = np.log(success) - np.log1p(-success)
    near = np.abs(success - 0.5) <= 0.25
    return np.where(near, 2 * np.arctanh(np.where(near, 2 * success - 1, 0.0)), apart)


def success_of(log_odds: Array) -> Array:
    """1/(1 + e^(−z)), to full relative accuracy for z < 0."""
    tail = np.exp(-np.abs(log_odds))
    return np.where(log_odds < 0, tail, 1.0) / (1 + tail)


def failure_of(log_odds: Array) -> Array:
    """1 − p, to full relative accuracy for z > 0."""
    return success_of(-log_odds)


def log_variance(log_odds: Array) -> Array:
    """log(p(1 − p)), finite wherever z is."""
    size = np.abs(log_odds)
    return -size - 2 * np.log1p(np.exp(-size))


def gap_between(start: Array, target: Array) -> Array:
    """Difference of the log-odds of two success probabilities; exact to rounding when they are close."""
    with np.errstate(all="ignore"):
        ratio = (target - start) / (start * (1 - target) + target * (1 - start))
        close = np.abs(ratio) < 0.4
        far = log_odds_of(target) - log_odds_of(start)
        return np.where(close, 2 * np.arctanh(np.where(close, ratio, 0.0)), far)


def elapsed(start: Array, gap: Array, exponent: float) -> Array:
    """Clock τ that weight σ^(−exponent) needs from log-odds `start` (finite) up by `gap` (may be infinite)."""
    with np.errstate(over="ignore", invalid="ignore"):
        if exponent == 2:
            return gap + 0.0
        if exponent == 0:
            result = 2 * gap + 4 * np.cosh(start + gap / 2) * np.sinh(gap / 2)
        elif exponent == 1:
            result = 8 * np.cosh(start / 2 + gap / 4) * np.sinh(gap / 4)
        else:
            return _elapsed_by_quadrature(start, gap, 2 - exponent)
    return np.where(np.isinf(gap), np.inf, result)


def _elapsed_by_quadrature(start: Array, gap: Array, m: float) -> Array:
    # Where |m|·e^(−|z|) is below rounding, the integrand is e^(m|z|/2) and its integral elementary.
    far = 40.0 + log(max(abs(m), 1.0))
    low, width = _clip(start, gap, -far, far)
    total = _integrate(lambda z: np.exp(m * (np.abs(z) / 2 + np.log1p(np.exp(-np.abs(z))))), low, width)
    with np.errstate(over="ignore", invalid="ignore"):
        for begin, end in ((-np.inf, -far), (far, np.inf)):
            low, width = _clip(start, gap, begin, end)
            nearest = np.where(low < 0, -(low + width), low)
            part = np.exp(m * nearest / 2) * np.expm1(m * width / 2) / (m / 2)
            total = total + np.where(width > 0, part, 0.0)
    return total


def _clip(start: Array, gap: Array, begin: float, end: float) -> tuple[Array, Array]:
    """Cut [start, start + gap] to [begin, end]: its lower end and its width (0 if nothing is left)."""
    stop = start + gap
    low = np.maximum(start, begin)
    # A start on a border is of one stretch alone: a gap that rounding swallows would else count in both.
    inside = (begin <= start) & (start < end) & (stop <= end)
    width = np.where(inside, gap, np.maximum(np.minimum(stop, end) - low, 0.0))
    return low, width


def elapsed_weighted(start: Array, gap: Array, slowness: Slowness) -> Array:
    """Clock τ from log-odds `start` (finite) up by `gap` (may be infinite) for any integrand dτ/dz."""
    finite = np.isfinite(gap)
    # The weight is bounded, so dτ/dz grows as fast as 1/(1 − p) at least, and p = 1 is never reached.
    result = _integrate(slowness, start, np.where(finite, gap, 0.0), resolution=np.finfo(float).epsneg)
    return np.where(finite, result, np.inf)


def _integrate(integrand: Slowness, lower: Array, width: Array, resolution: float = 0.0) -> Array:
    """∫ of a non-negative function over [lower, lower + width], panels halved where eleven Lobatto nodes do not do."""
    total = np.zeros(lower.shape)
    panels = np.ceil(width).astype(np.int64)
    owner = np.repeat(np.arange(lower.size), panels)
    place = np.arange(owner.size) - np.repeat(np.cumsum(panels) - panels, panels)
    size = width[owner] / panels[owner]
    begin = lower[owner] + place * size
    whole = _lobatto(integrand, begin, size)
    for halving in range(_MOST_HALVINGS + 1):
        endless = ~np.isfinite(whole)
        total[owner[endless]] = np.inf
        keep = np.isfinite(total[owner])
        owner, begin, size, whole = owner[keep], begin[keep], size[keep] / 2, whole[keep]
        left, right = _lobatto(integrand, begin, size), _lobatto(integrand, begin + size, size)
        both = left + right
        estimate = total + np.bincount(owner, both, minlength=total.size)
        # An error may be large for its panel if it is small for the integral, as beside a jump of the weight.
        room = _QUADRATURE_RTOL * (both + 1e-2 * estimate[owner])
        # A function of p is a staircase as p → 1, where p is rounded: its steps are taken as they come.
        with np.errstate(over="ignore"):
            room += both * (resolution * np.exp(np.clip(begin + 2 * size, 0.0, 300.0)))
        done = np.abs(both - whole) <= room
        if halving == _MOST_HALVINGS:
            done = np.ones_like(done)
        np.add.at(total, owner[done], both[done])
        if done.all():
            break
        rest = ~done
        owner = np.concatenate([owner[rest], owner[rest]])
        begin = np.concatenate([begin[rest], begin[rest] + size[rest]])
        size = np.concatenate([size[rest], size[rest]])
        whole = np.concatenate([left[rest], right[rest]])
    return total


def _lobatto(integrand: Slowness, begin: Array, size: Array) -> Array:
    nodes = begin[:, None] + size[:, None] * (0.5 * (1 + _NODES))
    with np.errstate(over="ignore", invalid="ignore"):
        return (integrand(nodes) @ _WEIGHTS) * (size / 2)


def advance(start: Array, clock: Array, exponent: float) -> Array:
    """Gap that weight σ^(−exponent) gains from log-odds `start` (finite) in clock τ ≥ 0 (finite)."""
    if exponent == 2:
        return clock + 0.0
    if exponent == 1:
        return _advance_by_std(start, clock)
    m = 2 - exponent
    unfinished = np.ones(start.shape, dtype=bool)
    if m > 0:
        highest = _faster_flow(start, clock, m)
    else:
        # Success 1 is reached in finite time; until then 1 − p is at least of the order of rounding.
        highest = np.maximum(-start, 0.0) + 100.0 / -m + 100.0
        unfinished = elapsed(start, np.full(start.shape, np.inf), exponent) > clock
    gap = np.full(start.shape, np.inf)
    gap[unfinished] = _solve(
        lambda z, step: elapsed(z, step, exponent),
        lambda z: np.exp(-0.5 * m * log_variance(z)),
        start[unfinished],
        clock[unfinished],
        highest[unfinished],
    )
    return gap


def _advance_by_std(start: Array, clock: Array) -> Array:
    """4 sinh(z/2) grows by τ: z' = 2 asinh(sinh(z/2) + τ/4), as a difference that does not cancel."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        s = np.sinh(start / 2)
        moved = s + clock / 4
        direct = 2 * np.arcsinh(moved) - start
        # asinh b − asinh a = asinh(b·cosh(asinh a) − a·cosh(asinh b)), and the argument is
        # (b² − a²)/(b·√(1 + a²) + a·√(1 + b²)) when a and b have one sign.
        ratio = moved / s
        short = 2 * np.arcsinh(
            (clock / 4) * ((ratio + 1) / (ratio * np.cosh(start / 2) + np.hypot(1.0, moved)))
        )
        close = (np.abs(direct) < 1.0) & (ratio > 0) & np.isfinite(short)
        gap = np.where(close, short, np.maximum(direct, 0.0))
        # Where the sinh overflows no clock that fits a float registers.
        return np.where(np.isfinite(s), gap, 0.0)


def _faster_flow(start: Array, clock: Array, m: float) -> Array:
    """Gap of the flow dz/dτ = e^(−m|z|/2), which is ahead of (2 cosh(z/2))^(−m), and never by much."""
    h, rounding = m / 2, 8 * np.finfo(float).eps
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.expm1(h * np.abs(start)) / h
        position = np.sign(start) * size + clock + rounding * (size + clock)
        ahead = np.sign(position) * np.log1p(h * np.abs(position)) / h
        gap = np.maximum(ahead - start, 0.0) * (1 + rounding) + rounding * np.abs(start)
    return np.where(np.isfinite(position), gap, np.abs(start) + 1500 / m)


def advance_weighted(start: Array, clock: Array, slowness: Slowness) -> Array:
    """Gap gained from log-odds `start` (finite) in clock τ ≥ 0 (finite) for any integrand dτ/dz."""
    return _solve(
        lambda z, step: elapsed_weighted(z, step, slowness),
        lambda z: slowness(z[:, None])[:, 0],
        start,
        clock,
        np.maximum(_END_OF_AXIS - start, 0.0),
    )


def _solve(
    time: Callable[[Array, Array], Array], slowness: Slowness, start: Array, clock: Array, high: Array
) -> Array:
    """Solve time(start, gap) = clock for the gap in [0, high]: Newton, or bisection where Newton is slow."""
    high, low, last = high.copy(), np.zeros(start.shape), high.copy()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # Exact for short times. A weight of zero makes 0/∞ or ∞/∞ here, and the gap 0.
        gap = np.nan_to_num(np.clip(clock / slowness(start), 0.0, high))
    active = np.flatnonzero(clock > 0)
    tiny = 2 * np.finfo(float).eps
    for _ in range(200):
        if active.size == 0:
            break
        z, x = start[active], gap[active]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            excess = time(z, x) - clock[active]
            low[active] = below = np.where(excess < 0, x, low[active])
            high[active] = above = np.where(excess >= 0, x, high[active])
            step = -excess / slowness(z + x)
            moved = x + step
            newton = (moved >= below) & (moved <= above) & (np.abs(step) <= 0.5 * last[active])
        gap[active] = np.where(newton, moved, 0.5 * (below + above))
        last[active] = np.abs(gap[active] - x)
        settled = newton & (last[active] <= tiny * gap[active])
        active = active[~(settled | (above - below <= tiny * above) | (excess == 0))]
    return gap
