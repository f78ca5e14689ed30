"""Exact segmentation by dynamic programming: the residual sum of squares of every stretch, and the best cuts.

Within a stretch each series is a level, or a level and a slope, plus noise: white, or autoregressive of first order
and started afresh at each cut. With y' = y − y_a for a stretch that starts at a, the whitened rows are

    u_t = y'_t − φ y'_(t−1),   c_t = 1 − φ,   l_t = (t − a) − φ(t − 1 − a),    t > a,

and (0, √(1 − φ²), 0) for t = a; the residual sum of squares follows from running sums of their products, for all
ends of the stretch at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = [
    "Stretches",
    "autocorrelation_of",
    "best_cuts",
    "noise_scale",
    "stretch_fit",
    "stretch_residuals",
]

# The median of |x| of a standard normal.
_MEDIAN_SIZE = 0.6744897501960817
# A series is taken to have noise of at least this share of its range, or one without noise would drown the others.
LEAST_NOISE = 1e-6
LARGEST_AUTOCORRELATION = 0.95


def autocorrelation_of(series: Array) -> Array:
    """Estimate φ of each column from differences, which a few cuts and slopes hardly change; in [0, 0.95]."""
    # Var(y_(t+2) − y_t)/Var(y_(t+1) − y_t) = 1 + φ, with medians for variances.
    if len(series) < 4:
        return np.zeros(series.shape[1])
    one, two = _spread(series[1:] - series[:-1]), _spread(series[2:] - series[:-2])
    ratio = np.divide(two, one, out=np.ones_like(one), where=one > 0)
    return np.clip(ratio**2 - 1, 0.0, LARGEST_AUTOCORRELATION)


def noise_scale(series: Array, autocorrelation: Array) -> Array:
    """Estimate the std of each column's innovations from differences; 0 for a constant column."""
    innovations = series[1:] - autocorrelation * series[:-1]
    jumps = innovations[1:] - innovations[:-1]
    scale = _spread(jumps)
    scale = np.where(scale > 0, scale, jumps.std(axis=0)) / np.sqrt(2)
    return np.maximum(scale, LEAST_NOISE * np.ptp(series, axis=0))


def _spread(values: Array) -> Array:
    return np.median(np.abs(values - np.median(values, axis=0)), axis=0) / _MEDIAN_SIZE


class Stretches:
    """The stretches of some series under a given φ and model; what does not depend on their start is held."""

    def __init__(self, series: Array, autocorrelation: Array, linear: bool) -> None:
        φ = autocorrelation
        t = np.arange(1, len(series))[:, None]
        self.series, self.φ, self.linear = series, φ, linear
        self.cc = (1 - φ**2) + t * (1 - φ) ** 2
        self.slope = t - φ * (t - 1)
        self.cl = (1 - φ) * np.cumsum(self.slope, axis=0)
        self.ll = np.cumsum(self.slope**2, axis=0) - self.cl**2 / self.cc

    def residuals(self, start: int) -> Array:
        """Residual sums of squares, by column, of the stretches [start, start + 1), …, [start, T): (T − start, s)."""
        y = self.series[start:] - self.series[start]
        rows = len(y) - 1
        u = y[1:] - self.φ * y[:-1]
        cu = (1 - self.φ) * np.cumsum(u, axis=0)
        total = np.cumsum(u * u, axis=0) - cu * cu / self.cc[:rows]
        if self.linear:
            lu = np.cumsum(self.slope[:rows] * u, axis=0) - self.cl[:rows] * cu / self.cc[:rows]
            total -= lu * lu / self.ll[:rows]
        return np.concatenate([np.zeros((1, y.shape[1])), np.maximum(total, 0.0)])


def best_cuts(
    series: Array, autocorrelation: Array, linear: bool, max_segments: int, min_length: int
) -> list[tuple[int, ...]]:
    """First indices of segments 2, …, k at the least residual sum of squares, for each k = 1, 2, … that fits."""
    T = len(series)
    stretches = Stretches(series, autocorrelation, linear)
    least = np.full((max_segments, T + 1), np.inf)
    previous = np.zeros((max_segments, T + 1), dtype=np.int64)
    least[0, min_length:] = stretches.residuals(0).sum(axis=1)[min_length - 1 :]
    for start in range(min_length, T - min_length + 1):
        residual = stretches.residuals(start).sum(axis=1)[min_length - 1 :]
        candidate = least[:-1, start, None] + residual
        tail = least[1:, start + min_length :]
        better = candidate < tail
        np.copyto(tail, candidate, where=better)
        np.copyto(previous[1:, start + min_length :], start, where=better)
    cuts = []
    for k in range(max_segments):
        if np.isfinite(least[k, T]):
            found, end = [], T
            for j in range(k, 0, -1):
                end = int(previous[j, end])
                found.append(end)
            cuts.append(tuple(found[::-1]))
    return cuts


def stretch_residuals(stretches: list[Array], autocorrelations: Array, linear: bool) -> Array:
    """Residual sums of squares of k stretches under g rows of φ, (g, s) → (g, k, s), by their expansion in φ."""
    sums = []
    for stretch in stretches:
        y = stretch - stretch[0]
        a, b, t = y[1:], y[:-1], np.arange(1, len(y))[:, None]
        products = (a * a, a * b, b * b, a, b, t * a, t * b + (t - 1) * a, (t - 1) * b)
        sums.append([product.sum(axis=0) for product in products])
    aa, ab, bb, a, b, ta, mixed, tb = np.moveaxis(np.array(sums), 1, 0)
    n = np.array([len(stretch) - 1 for stretch in stretches], dtype=float)[:, None]
    φ = autocorrelations[:, None, :]
    cc = (1 - φ**2) + n * (1 - φ) ** 2
    cu = (1 - φ) * (a - φ * b)
    total = aa - 2 * φ * ab + φ**2 * bb - cu**2 / cc
    if linear:
        # Σt, Σ(t − 1), Σt², Σt(t − 1), Σ(t − 1)² for t = 1, …, n.
        first, second, third = (
            n * (n + 1) * (2 * n + 1) / 6,
            (n - 1) * n * (n + 1) / 3,
            (n - 1) * n * (2 * n - 1) / 6,
        )
        cl = (1 - φ) * (n * (n + 1) / 2 - φ * n * (n - 1) / 2)
        ll = first - 2 * φ * second + φ**2 * third - cl**2 / cc
        total = total - (ta - φ * mixed + φ**2 * tb - cl * cu / cc) ** 2 / ll
    return np.maximum(total, 0.0)


def stretch_fit(values: Array, autocorrelation: float, linear: bool) -> tuple[Array, Array]:
    """Fit one stretch of one series: (level at its first point, slope an index), and their covariance at variance 1."""
    φ, n = autocorrelation, len(values)
    design = np.column_stack([np.ones(n), np.arange(n)])[:, : 1 + linear]
    shift = values[0]
    rows = np.column_stack([design, values - shift])
    rows = np.concatenate([np.sqrt(1 - φ**2) * rows[:1], rows[1:] - φ * rows[:-1]])
    design, target = rows[:, :-1], rows[:, -1]
    found, *_ = np.linalg.lstsq(design, target, rcond=None)
    covariance = np.zeros((2, 2))
    covariance[: 1 + linear, : 1 + linear] = np.linalg.inv(design.T @ design)
    level_and_slope = np.zeros(2)
    level_and_slope[: 1 + linear] = found
    level_and_slope[0] += shift
    return level_and_slope, covariance
