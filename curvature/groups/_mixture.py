"""Maximum likelihood over all distributions of success rates on a grid, and over beta distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.groups._cells import Cells

# Where the gradient condition counts as met: the log-likelihood a group can rise by at most this much.
GRADIENT_TOLERANCE = 1e-7
_MAX_STEPS = 200
# Weight of the row Σw = 1 in the least squares, beside rows of order 1.
_SUM_ROW = 1e3


def arcsine_grid(num: int) -> NDArray[np.float64]:
    """Return sin²θ for θ evenly spaced in [0, π/2]: the binomial's std is about the same number of points anywhere."""
    theta = np.linspace(0.0, np.pi / 2, num)
    # Mirrored, so that the grid is exactly symmetric and its last point exactly 1.
    low = np.sin(theta) ** 2
    return np.where(theta <= np.pi / 4, low, 1.0 - low[::-1])


def gradient_gap(
    number: NDArray[np.int64], table: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """Return max_j Σ_k (n_k/n) L_kj/f_k − 1: no weights on the grid have a log-likelihood a group larger by more."""
    return float((number / number.sum() / (table @ weights) @ table).max() - 1.0)


def maximise(number: NDArray[np.int64], table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights w ≥ 0, Σw = 1, that maximise Σ_k n_k log Σ_j L_kj w_j.

    The constrained Newton method (Wang 2007): each step is a non-negative least-squares problem, solved by
    scipy.optimize.nnls, and a line search; it ends when the gradient condition of the maximum holds.

    Returns
    -------
    ndarray, shape (m,)
        w.
    """
    from scipy.optimize import nnls

    share = number / number.sum()
    # A cell's likelihood can be scaled at will; this keeps large groups from underflowing.
    table = table / table.max(axis=1, keepdims=True)
    root = np.sqrt(share)
    weights = np.full(table.shape[1], 1.0 / table.shape[1])
    for _ in range(_MAX_STEPS):
        fitted = table @ weights
        if ((share / fitted) @ table).max() - 1.0 <= GRADIENT_TOLERANCE:
            break
        rows = np.vstack([(root / fitted)[:, None] * table, np.full(table.shape[1], _SUM_ROW)])
        aim = nnls(rows, np.append(2.0 * root, _SUM_ROW))[0]
        aim /= aim.sum()
        before, step = share @ np.log(fitted), 1.0
        while step > 1e-9:
            tried = (1.0 - step) * weights + step * aim
            after = table @ tried
            if (after > 0).all() and share @ np.log(after) > before:
                weights = tried
                break
            step *= 0.5
        else:
            break
    return weights


def fit_beta(cells: Cells) -> tuple[float, float]:
    """Return the a and b of the beta-binomial of largest likelihood, by scipy.optimize.minimize."""
    from scipy.optimize import minimize
    from scipy.special import betaln, expit, logit

    count, size, share = cells.count, cells.size, cells.number / cells.total

    def loss(at: NDArray[np.float64]) -> float:
        mean, total = expit(at[0]), np.exp(at[1])
        a, b = mean * total, (1.0 - mean) * total
        return -float(share @ (betaln(count + a, size - count + b) - betaln(a, b)))

    mean = (share @ count + 0.01) / (share @ size + 0.02)
    starts = [np.array([logit(mean), np.log(total)]) for total in (0.5, 3.0, 30.0)]
    # The ends of a flat direction: all groups alike (large), or all silent (small).
    limits = [(-14.0, 14.0), (-6.0, 11.0)]
    found = min(
        (minimize(loss, start, method="L-BFGS-B", bounds=limits) for start in starts), key=lambda one: one.fun
    )
    mean, total = float(expit(found.x[0])), float(np.exp(found.x[1]))
    return mean * total, (1.0 - mean) * total


def beta_on_cells(a: float, b: float, num: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the beta distribution as points and weights: the mass of each piece at its own mean."""
    from scipy.stats import beta

    edges = arcsine_grid(num + 1)
    weights = np.diff(beta.cdf(edges, a, b))
    moment = a / (a + b) * np.diff(beta.cdf(edges, a + 1.0, b))
    middle = 0.5 * (edges[1:] + edges[:-1])
    inside = np.divide(moment, weights, out=middle.copy(), where=weights > 1e-12)
    return np.clip(inside, edges[:-1], edges[1:]), weights / weights.sum()
