"""A smooth distribution of success rates with atoms at 0 and 1, fitted to many histograms at once.

Between 0 and 1 the density on the grid is exp(Q α)/Z: a beta density (the columns log p and log(1 − p)) times a smooth
factor (Legendre polynomials in arcsin √p). The atoms' shares are the softmax of (0, α, α'), the 0 being the density's.
The fit maximises Σ_k n_k log f_k − ½ Σ_i ((α_i − c_i)/s_i)².
This is Efron's g-modelling with a penalty that tends to the beta-binomial. With c = 0 it is the fit. With histograms
drawn again and c drawn from N(0, s²) the maxima are draws that vary in both ways in which the fit is uncertain: by
sampling where the counts say something, by the penalty where they cannot (what a mean of √(p(1 − p)) needs beyond
the first G moments). For a Gaussian likelihood they would be draws of the posterior exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.groups._mixture import arcsine_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS = 101
# Chosen once, on profiles other than those of the coverage study.
DEGREE = 8
SMOOTH_STD, SMOOTH_POWER = 100.0, 1.5
BETA_STD, ATOM_STD = 100.0, 5.0
ATOM_SHARE = 0.01
_MAX_STEPS = 60
_MAX_HALVINGS = 30
# In units of log-likelihood: far below what an interval can show.
_DECREMENT = 2e-3
_CHUNK = 2_000_000
_TINY = 1e-290


@dataclass(frozen=True)
class Family:
    """The grid (m,), the columns of Q between its ends (m − 2, d − 2), and the centres and scales s of α (d,)."""

    support: NDArray[np.float64]
    columns: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]


def make_family(num: int = POINTS) -> Family:
    """Return the family; the last two entries of α are the atoms at 0 and at 1."""
    support = arcsine_grid(num)
    inner = support[1:-1]
    legendre = np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, num), DEGREE)[1:-1, 1:]
    columns = np.column_stack([np.log(inner), np.log1p(-inner), legendre]).astype(np.float64)
    smooth = SMOOTH_STD / np.arange(1, DEGREE + 1) ** SMOOTH_POWER
    scale = np.concatenate([[BETA_STD, BETA_STD], smooth, [ATOM_STD, ATOM_STD]])
    centre = np.zeros(scale.size)
    centre[-2:] = np.log(ATOM_SHARE)
    return Family(support, columns, centre, scale)


def fit(family: Family, table: NDArray[np.float64], number: NDArray[Any]) -> NDArray[np.float64]:
    """Return α of the fit, (d,)."""
    start = family.centre[None]
    return _maximise(family, table, number[None].astype(float), start, start)[0]


def draws(
    family: Family,
    table: NDArray[np.float64],
    numbers: NDArray[np.int64],
    start: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the weights of one draw for each histogram, (B, m)."""
    centres = family.centre + family.scale * rng.standard_normal((len(numbers), family.scale.size))
    size = max(1, _CHUNK // (table.shape[0] * family.scale.size))
    parts = []
    for first in range(0, len(numbers), size):
        part = slice(first, first + size)
        number = numbers[part].astype(float)
        begin = np.repeat(start[None], len(number), axis=0)
        parts.append(_maximise(family, table, number, begin, centres[part]))
    return weights_of(family, np.concatenate(parts))


def weights_of(family: Family, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of the grid's points, for each row of α: (B, d) in, (B, m) out."""
    log = at[:, :-2] @ family.columns.T
    inner = np.exp(log - log.max(axis=1, keepdims=True))
    share = np.exp(
        np.column_stack([np.zeros(len(at)), at[:, -2:]]) - np.maximum(at[:, -2:].max(axis=1), 0.0)[:, None]
    )
    share /= share.sum(axis=1, keepdims=True)
    inner *= (share[:, 0] / inner.sum(axis=1))[:, None]
    return np.column_stack([share[:, 1], inner, share[:, 2]])


def _maximise(
    family: Family,
    table: NDArray[np.float64],
    number: NDArray[np.float64],
    start: NDArray[np.float64],
    centres: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Climb by Fisher scoring with halved steps, every histogram at once; (B, d) in, (B, d) out."""
    precision = family.scale**-2.0
    found = start.copy()
    active = np.arange(len(start))
    at, centre, counts = start.copy(), centres, number
    weights, fitted, value = _objective(family, table, counts, at, centre, precision)
    for _ in range(_MAX_STEPS):
        gradient, information = _derivatives(family, table, counts, weights, fitted)
        gradient -= precision * (at - centre)
        information[:, range(precision.size), range(precision.size)] += precision
        step = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
        decrement = (step * gradient).sum(axis=1)
        at, worse = _halved(family, table, counts, at, step, centre, precision, value)
        found[active] = at
        moving = (decrement > _DECREMENT) & ~worse
        if not moving.any():
            break
        active, at, centre, counts = active[moving], at[moving], centre[moving], counts[moving]
        weights, fitted, value = _objective(family, table, counts, at, centre, precision)
    return found


def _halved(
    family: Family,
    table: NDArray[np.float64],
    number: NDArray[np.float64],
    at: NDArray[np.float64],
    step: NDArray[Any],
    centre: NDArray[np.float64],
    precision: NDArray[np.float64],
    value: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return α after each step, halved until it climbs, and which found no climb and stay."""
    tried = at + step
    worse = np.ones(len(at), dtype=bool)
    for _ in range(_MAX_HALVINGS):
        reached = _objective(family, table, number[worse], tried[worse], centre[worse], precision)[2]
        still = ~(reached >= value[worse] - 1e-9 * abs(value[worse]))
        worse[worse] = still
        if not still.any():
            break
        step = np.where(worse[:, None], 0.5 * step, step)
        tried = np.where(worse[:, None], at + step, tried)
    return np.where(worse[:, None], at, tried), worse


def _objective(
    family: Family,
    table: NDArray[np.float64],
    number: NDArray[np.float64],
    at: NDArray[np.float64],
    centre: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights (B, m), the probabilities of the cells (B, K) and the penalised log-likelihoods (B,)."""
    weights = weights_of(family, at)
    fitted = np.maximum(weights @ table.T, _TINY)
    value = (number * np.log(fitted)).sum(axis=1) - 0.5 * (at - centre) ** 2 @ precision
    return weights, fitted, value


def _derivatives(
    family: Family,
    table: NDArray[np.float64],
    number: NDArray[np.float64],
    weights: NDArray[np.float64],
    fitted: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the gradient (B, d) of the log-likelihood and its information (B, d, d)."""
    inner, ends = weights[:, 1:-1], weights[:, [0, -1]]
    weighted = inner[:, :, None] * family.columns
    total = inner.sum(axis=1)
    mean = weighted.sum(axis=1) / np.maximum(total, _TINY)[:, None]
    between = inner @ table[:, 1:-1].T / fitted
    # d log f_k/dα: the mean of a column given the cell, less its mean.
    shape = np.matmul(table[:, 1:-1], weighted) / fitted[:, :, None] - between[:, :, None] * mean[:, None]
    atoms = ends[:, None] * (table[:, [0, -1]] / fitted[:, :, None] - 1.0)
    slope = np.concatenate([shape, atoms], axis=2)
    gradient = (number[:, :, None] * slope).sum(axis=1)
    information = np.matmul((number[:, :, None] * slope).transpose(0, 2, 1), slope)
    return gradient, information
