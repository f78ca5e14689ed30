"""Two models of graded answers, and bounds that need no model: what four answers a question say about its σ.

A question's right answers are counted as k of G = 4. *Beta-binomial*: the success rate of a question is drawn from
a beta distribution and its four answers are alike. *Item response*: system m answers question i correctly with
log-odds β_m + s z_i, z_i standard normal, so systems differ and questions do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special
from scipy.optimize import linprog, minimize
from scipy.stats import binom

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Gauss–Hermite nodes for a standard normal: enough for five digits at the spreads met here.
_Z, _W = np.polynomial.hermite_e.hermegauss(41)
_W = _W / _W.sum()


class ItemResponse(NamedTuple):
    """A fitted item-response model.

    Attributes
    ----------
    offsets : ndarray, shape (M,)
        β_m, the log-odds of system m on a question of middle difficulty.
    spread : float
        s, the standard deviation of the questions' log-odds.
    log_likelihood : float
        At the maximum.
    """

    offsets: NDArray[np.float64]
    spread: float
    log_likelihood: float

    def success(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the success rate of each system on questions of ease z, shape (len(z), M)."""
        return special.expit(self.offsets + self.spread * z[:, None])

    def mean_reward_std(self) -> NDArray[np.float64]:
        """Return the mean over questions of √(p(1−p)) of each system, then of the pool of all, (M + 1,)."""
        p = self.success(_Z)
        p = np.column_stack([p, p.mean(axis=1)])
        return _W @ np.sqrt(p * (1 - p))

    def pattern_probabilities(self) -> NDArray[np.float64]:
        """Return the probability of every pattern of right and wrong answers, (2^M,), system 0 the last bit."""
        return _W @ _pattern_likelihood(self.offsets, self.spread)


def fit_beta_binomial(
    counts: NDArray[np.integer], start: tuple[float, float] = (0.7, 1.2)
) -> NDArray[np.float64]:
    """Fit a beta-binomial by maximum likelihood.

    Parameters
    ----------
    counts : ndarray, shape (G + 1,)
        Number of questions with k = 0..G right answers.
    start : tuple of float
        Where the search begins.

    Returns
    -------
    ndarray, shape (2,)
        The two parameters of the beta distribution.
    """
    k = np.arange(len(counts))

    def loss(log_ab: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        a, b = np.exp(log_ab)
        total = counts @ (special.betaln(k + a, k[::-1] + b) - special.betaln(a, b))
        both = special.digamma(len(k) - 1 + a + b) - special.digamma(a + b)
        slope_a = counts @ (special.digamma(k + a) - special.digamma(a) - both)
        slope_b = counts @ (special.digamma(k[::-1] + b) - special.digamma(b) - both)
        size = counts.sum()
        return -total / size, np.array([-a * slope_a, -b * slope_b]) / size

    # A box keeps a sample without spread from running off to infinity.
    fitted = minimize(
        loss, np.log(start), jac=True, method="L-BFGS-B", bounds=[(-7, 7)] * 2, options={"gtol": 1e-8}
    )
    return np.exp(fitted.x)


def mean_reward_std_of_beta(a: float, b: float) -> float:
    """Compute E √(p(1−p)) = B(a + 1/2, b + 1/2)/B(a, b) for p drawn from a beta distribution."""
    return float(np.exp(special.betaln(a + 0.5, b + 0.5) - special.betaln(a, b)))


def fit_item_response(counts: NDArray[np.integer], start: ItemResponse | None = None) -> ItemResponse:
    """Fit the item-response model by maximum likelihood.

    Parameters
    ----------
    counts : ndarray, shape (2^M,)
        Number of questions with each pattern of right and wrong answers, system 0 the last bit.
    start : ItemResponse, optional
        Where the search begins.

    Returns
    -------
    ItemResponse
        The fit.
    """
    systems = int(np.log2(len(counts)))
    size = counts.sum()
    right = _patterns(systems)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        spread = np.exp(parameters[-1])
        weighted = _W[:, None] * _pattern_likelihood(parameters[:-1], spread)
        total = weighted.sum(axis=0)
        # E-step weights give the slope: ∂ log L/∂(log-odds) = right − p, averaged over the posterior of z.
        posterior = weighted * (counts / np.where(total > 0, total, 1.0))
        rate = special.expit(parameters[:-1] + spread * _Z[:, None])
        residual = posterior @ right - posterior.sum(axis=1)[:, None] * rate
        slope = np.append(residual.sum(axis=0), spread * (_Z[:, None] * residual).sum())
        return -(special.xlogy(counts, total)).sum() / size, -slope / size

    begin = np.zeros(systems + 1) if start is None else np.append(start.offsets, np.log(start.spread))
    fitted = minimize(
        loss,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-8, 8)] * systems + [(-6, 3)],
        options={"gtol": 1e-7},
    )
    return ItemResponse(fitted.x[:-1], float(np.exp(fitted.x[-1])), float(-fitted.fun * size))


def reward_std_scores(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Give each number of right answers a score whose mean bounds the mean σ, whatever the success rates are.

    For any distribution of success rates, E c_k = E Σ_k c_k Bin(k; G, p): if the polynomial Σ_k c_k Bin(k; G, p) is
    nowhere below (above) √(p(1−p)), then the mean of c_k over questions bounds the mean σ from above (below). The
    tightest polynomial for the observed counts is the dual of a linear programme; whatever the counts, each is
    valid, so the mean score can be bootstrapped like any mean.

    Parameters
    ----------
    counts : ndarray, shape (G + 1,)
        Number of questions with k = 0..G right answers.

    Returns
    -------
    ndarray, shape (2, G + 1)
        Scores of the lower and of the upper bound.
    """
    G = len(counts) - 1
    p = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 801))  # dense near 0 and 1, where √(p(1−p)) is steep
    basis = binom.pmf(np.arange(G + 1), G, p[:, None])
    std = np.sqrt(p * (1 - p))
    frequency = counts / counts.sum()
    scores = []
    for sign in (-1.0, 1.0):
        # Minimise Σ sign·c_k f_k subject to sign·(basis c) ≥ sign·σ at every p of the grid.
        solved = linprog(sign * frequency, A_ub=-sign * basis, b_ub=-sign * std, bounds=(None, None))
        scores.append(solved.x + sign * _largest_gap(sign, solved.x))
    return np.array(scores)


def _largest_gap(sign: float, scores: NDArray[np.float64]) -> float:
    """By how much the polynomial is on the wrong side of √(p(1−p)) between the points of the grid."""
    G = len(scores) - 1
    p = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 160_001))
    gap = np.sqrt(p * (1 - p)) - binom.pmf(np.arange(G + 1), G, p[:, None]) @ scores
    return max(0.0, float((sign * gap).max()))


def _patterns(systems: int) -> NDArray[np.float64]:
    """Right (1) and wrong (0) of every pattern, shape (2^M, M); the pattern's number has system 0 as last bit."""
    return ((np.arange(2**systems)[:, None] >> np.arange(systems)) & 1).astype(np.float64)


def _pattern_likelihood(offsets: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
    """P(pattern | z) at every node, shape (nodes, 2^M)."""
    log_odds = offsets + spread * _Z[:, None]
    right = _patterns(len(offsets))
    return np.exp(special.log_expit(log_odds) @ right.T + special.log_expit(-log_odds) @ (1 - right).T)
