"""Identities: second routes to policy gradients, which do not use :mod:`curvature.moments`, and their instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.bandit import LogLinearBandit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from curvature.adversary import RewardChoice
    from curvature.ledger.budget import Budget

__all__ = ["TOLERANCE", "complex_step_scores", "log_policy", "moderate_instances", "relative_error"]

TOLERANCE = 1e-9
"""Rounding allowed between two routes on :func:`moderate_instances`; they agree to about 1e−13."""

_TINY = (
    1e-30  # of a complex-step derivative: no difference is formed, so the step may be as small as one likes
)
_SHAPES = ((2, 1), (3, 2), (4, 5), (7, 3), (12, 6))


def moderate_instances(
    rewards: RewardChoice, budget: Budget
) -> Iterator[tuple[LogLinearBandit, NDArray[np.float64]]]:
    """Draw bandits with a θ whose probabilities are moderate, so that a plain second route keeps its digits.

    Ours. Kind: evidence.

    Parameters
    ----------
    rewards : {"one_correct", "binary", "real"}
        Kind of rewards.
    budget : Budget
        Its seed; a tenth of its instances are drawn.

    Yields
    ------
    tuple of (LogLinearBandit, ndarray of shape (d,))
        Normal features, base logits and θ; a bandit has two prompts or more.
    """
    rng = budget.generator(f"moderate instances, {rewards} rewards")
    kind = "gaussian" if rewards == "real" else rewards
    n = max(2, budget.instances // (10 * len(_SHAPES)))
    for K, d in _SHAPES:
        drawn = LogLinearBandit.gaussian(n, K, d, rewards=kind, seed=int(rng.integers(2**32)))
        bandit = LogLinearBandit(drawn.features, drawn.rewards, rng.standard_normal((n, K)))
        yield bandit, rng.standard_normal(d)


def log_policy(bandit: LogLinearBandit, theta: NDArray[Any]) -> NDArray[Any]:
    """Compute log π_θ(j|i) of eq. (6) as it is written, for real or complex θ.

    Implements eq. (6), arXiv:2601.23135v1. Kind: identity.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts.
    theta : ndarray, shape (d,)
        Real or complex.

    Returns
    -------
    ndarray, shape (n, K)
        −inf for a response that does not exist.
    """
    logits = bandit.features @ theta + bandit.base_logits
    logits = logits - np.real(logits).max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def complex_step_scores(bandit: LogLinearBandit, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differentiate log π_θ(j|i) in θ by complex steps, Im log π(θ + ih e_k)/h.

    Ours. Kind: identity.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, all responses existing.
    theta : ndarray, shape (d,)
        Parameters.

    Returns
    -------
    ndarray, shape (n, K, d)
        Exact to rounding.
    """
    scores = np.empty(bandit.features.shape)
    for k in range(bandit.dimension):
        stepped = theta.astype(complex)
        stepped[k] += 1j * _TINY
        scores[:, :, k] = np.imag(log_policy(bandit, stepped)) / _TINY
    return scores


def relative_error(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Compute the largest ‖left − right‖/max(‖left‖, ‖right‖), vectors along the last axis.

    Ours. Kind: identity.

    Parameters
    ----------
    left, right : ndarray, shape (..., m)
        The two sides.

    Returns
    -------
    float
        NaN if any entry is; 0 where both sides vanish.
    """
    gap = np.linalg.norm(left - right, axis=-1)
    size = np.maximum(np.linalg.norm(left, axis=-1), np.linalg.norm(right, axis=-1))
    return float(np.max(np.where(gap == 0, 0.0, gap / np.where(size == 0, 1.0, size))))
