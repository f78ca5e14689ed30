"""What a question's own answers and the profile of all questions imply for its σ and its curvature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import LogLinearBandit, hessian_extremes, moments
from curvature.bounds import paper, sharp

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

LEAST_SPECTRAL_NORM = np.sqrt(0.5)  # of features of diameter 1, see curvature_vs_std
CONFIDENCE = 0.95
# Equally likely success rates that stand for a question's posterior.
POSTERIOR_POINTS = 250
BOUNDS = {
    "paper_bound": "paper, Lemma 3.1: 4X²V at X = D/√2",
    "std_bound": "ours, L2: D²σ/4",
    "binary_bound": "ours, C1: D²ℓ(q)",
    "two_arm_curvature": "exact, two responses",
}


def question_table(index: Any, right: NDArray[np.integer], systems: int, beta: Any) -> DataFrame:
    """Tabulate what its own answers and the profile say of each question.

    Parameters
    ----------
    index : array_like, shape (n,)
        Numbers of the questions.
    right : ndarray, shape (n,)
        Right answers of each.
    systems : int
        G.
    beta : array_like, shape (2,)
        Parameters of the profile, the prior of each question.

    Returns
    -------
    DataFrame
        The rows of view "question", see :func:`run`.
    """
    import pandas as pd
    from scipy.stats import beta as beta_distribution

    k = np.arange(systems + 1)
    tail = (1 - CONFIDENCE) / 2
    # Jeffreys: at 0 and G the outer end is 0 and 1.
    jeffreys = beta_distribution.ppf([[tail], [1 - tail]], k + 0.5, systems - k + 0.5)
    by_count: dict[str, Any] = {
        "success": k / systems,
        "success_low": np.where(k == 0, 0.0, jeffreys[0]),
        "success_high": np.where(k == systems, 1.0, jeffreys[1]),
    }
    middle = (np.arange(POSTERIOR_POINTS) + 0.5) / POSTERIOR_POINTS
    rates = beta_distribution.ppf(middle, (beta[0] + k)[:, None], (beta[1] + systems - k)[:, None])
    for name, values in _implied(rates).items():
        by_count[name] = values.mean(axis=1)
        by_count[f"{name}_low"], by_count[f"{name}_high"] = np.quantile(values, [tail, 1 - tail], axis=1)
    table = pd.DataFrame({"question": index, "right": right}).astype("Int64")
    columns = pd.DataFrame({name: values[right] for name, values in by_count.items()})
    return pd.concat([pd.Series("question", index=columns.index, name="view"), table, columns], axis=1)


def _implied(rates: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return σ and the bounds of :data:`BOUNDS` at success rates, in their shape, for diameter 1."""
    bandit = LogLinearBandit.from_success_rates(rates.ravel())
    start = np.zeros(bandit.dimension)
    std = moments(bandit, start).reward_std.reshape(rates.shape)
    exact = np.abs(hessian_extremes(bandit, start)).max(axis=-1).reshape(rates.shape)
    return {
        "reward_std": std,
        "paper_bound": paper.hessian_norm(rates, LEAST_SPECTRAL_NORM),
        "std_bound": sharp.hessian_norm(std, 1.0),
        "binary_bound": sharp.hessian_norm_binary(rates, 1.0),
        "two_arm_curvature": exact,
    }
