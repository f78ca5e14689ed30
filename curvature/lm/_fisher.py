"""The paper's Fisher proxy of curvature, and what it correlates with.

h = B·ĝ⊙ĝ, ĝ = (1/B) Σ_i ∇log π(ô_i | q_i), one completion a prompt. As E∇log π = 0 and completions are independent,
E h = (1/B) Σ_i diag F_i: the mean diagonal of the prompts' Fisher matrices. What it is not:

- a curvature of the expected reward: ∇²J = E[(r − J)(ssᵀ + ∇² log π)], and no reward enters h;
- precise: one batch gives one draw of a square of a nearly normal vector (:attr:`FisherProxy.batch_relative_std`);
- free of the parametrisation, nor of the length of completions, which moves ‖∇log π‖² and the reward both.

The paper correlates it with the reward variance "in the same iteration" and "across iterations"; it does not say
whether the vector h is summed, nor what one data point is. Here h is summed over parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Correlation", "FisherCorrelations", "FisherProxy", "fisher_correlations", "fisher_proxy"]


@dataclass(frozen=True)
class Correlation:
    """A Pearson correlation.

    Attributes
    ----------
    value : float
        r; NaN if either side is constant or there are fewer than three points.
    p_value : float
        Two-sided, as if points were independent and normal.
    low, high : float
        95 % by Fisher's transformation, under the same assumption.
    num_points : int
        Points.
    """

    value: float
    p_value: float
    low: float
    high: float
    num_points: int


@dataclass(frozen=True)
class FisherProxy:
    """The proxy of one probe.

    Attributes
    ----------
    batch : float
        Σ h of the batch of first completions: the paper's quantity.
    batch_mean : float
        Its mean over the G batches of k-th completions.
    batch_relative_std : float
        Its standard deviation over them, over the mean.
    single_against_variance : Correlation
        ‖∇log π‖² of one completion a prompt against the prompt's reward variance, over prompts.
    mean_against_variance : Correlation
        The mean of ‖∇log π‖² over the prompt's completions, tr F_i, against the same.
    mean_against_length : Correlation
        tr F_i against the mean length.
    """

    batch: float
    batch_mean: float
    batch_relative_std: float
    single_against_variance: Correlation
    mean_against_variance: Correlation
    mean_against_length: Correlation


@dataclass(frozen=True)
class FisherCorrelations:
    """The proxy against reward variance over several checkpoints of one run.

    Attributes
    ----------
    prompts_same, prompts_different : Correlation
        tr F_i(t) against V_i(t), all prompts i and iterations t; against V_i(t'), all ordered pairs t ≠ t'.
    batches_same, batches_different : Correlation
        Σ h(t) of the first completions against the mean reward variance at t; at t' ≠ t.
    """

    prompts_same: Correlation
    prompts_different: Correlation
    batches_same: Correlation
    batches_different: Correlation


def fisher_proxy(
    rewards: NDArray[np.float64],
    lengths: NDArray[np.int64],
    score_squared_norm: NDArray[np.float64],
    batch_fisher: NDArray[np.float64],
) -> FisherProxy:
    """Return the proxy B·ĝ⊙ĝ summed over parameters, and its correlation with reward variance over prompts.

    Parameters
    ----------
    rewards, lengths, score_squared_norm : ndarray
        Of each completion, (n, G).
    batch_fisher : ndarray
        Σ h of each batch of k-th completions, (G,).

    Returns
    -------
    FisherProxy
        The numbers.
    """
    variance, trace = rewards.var(axis=1, ddof=1), score_squared_norm.mean(axis=1)
    mean = float(batch_fisher.mean())
    return FisherProxy(
        batch=float(batch_fisher[0]),
        batch_mean=mean,
        batch_relative_std=float(batch_fisher.std(ddof=1) / mean) if mean > 0 else np.nan,
        single_against_variance=pearson(score_squared_norm[:, 0], variance),
        mean_against_variance=pearson(trace, variance),
        mean_against_length=pearson(trace, lengths.mean(axis=1)),
    )


def fisher_correlations(results: Sequence[Any]) -> FisherCorrelations:
    """Correlate the Fisher proxy with reward variance in the same iteration and in different ones.

    The paper's Table 1 (arXiv:2601.23135v1) with a data point for each prompt or for each batch. Kind: estimate.
    Points at different iterations share prompts and iterations, so that their p-values are too small.

    Parameters
    ----------
    results : sequence of ProbeResult
        Probes of the same questions at T ≥ 2 checkpoints of one run.

    Returns
    -------
    FisherCorrelations
        NaN where there are too few points.

    Raises
    ------
    ValueError
        If there are fewer than two probes or their questions differ.
    """
    if len(results) < 2:
        raise ValueError(f"there are {len(results)} probes; different iterations need at least two.")
    if any(result.keys != results[0].keys for result in results):
        raise ValueError("the probes are of different questions; probe the same ones at each checkpoint.")
    trace = np.array([result.score_squared_norm.mean(axis=1) for result in results])
    variance = np.array([result.rewards.var(axis=1, ddof=1) for result in results])
    batch, spread = np.array([result.batch_fisher[0] for result in results]), variance.mean(axis=1)
    this, other = np.nonzero(~np.eye(len(results), dtype=bool))
    return FisherCorrelations(
        prompts_same=pearson(trace.ravel(), variance.ravel()),
        prompts_different=pearson(trace[this].ravel(), variance[other].ravel()),
        batches_same=pearson(batch, spread),
        batches_different=pearson(batch[this], spread[other]),
    )


def pearson(left: NDArray, right: NDArray) -> Correlation:
    """Return the correlation of two series with its interval.

    Parameters
    ----------
    left, right : ndarray
        Of one length.

    Returns
    -------
    Correlation
        NaN where there is none.
    """
    if left.size < 3 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return Correlation(np.nan, np.nan, np.nan, np.nan, left.size)
    from scipy.stats import pearsonr

    found: Any = pearsonr(left, right)
    interval = found.confidence_interval() if left.size > 3 else (-1.0, 1.0)
    return Correlation(
        float(found.statistic), float(found.pvalue), float(interval[0]), float(interval[1]), left.size
    )
