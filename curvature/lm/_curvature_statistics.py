"""Is the curvature of a prompt's expected reward proportional to its reward std? Estimates, intervals and a null."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.lm._intervals import RESAMPLES, interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DirectionalCurvature", "PromptCurvature", "curvature_statistics", "prompt_curvatures"]


@dataclass(frozen=True)
class PromptCurvature:
    """Estimates for each of n prompts along one direction u.

    Attributes
    ----------
    curvature : ndarray
        ∂²_uJ_x = Cov(r, q_u), unbiased, (n,).
    coefficient : ndarray
        C_x(u) = sd(q_u), (n,).
    reward_std : ndarray
        σ_x, (n,). All three with ddof 1, so that |curvature| ≤ reward_std·coefficient exactly.
    curvature_interval, coefficient_interval : ndarray
        95 %, percentile bootstrap over completions, (n, 2); NaN for the curvature of a group of equal rewards, which
        says nothing of it. With few completions they are too narrow.
    """

    curvature: NDArray[np.float64]
    coefficient: NDArray[np.float64]
    reward_std: NDArray[np.float64]
    curvature_interval: NDArray[np.float64]
    coefficient_interval: NDArray[np.float64]


@dataclass(frozen=True)
class DirectionalCurvature:
    """What prompts have in common along one direction u; intervals are 95 %, percentile bootstrap over prompts.

    Attributes
    ----------
    direction : str
        Its name.
    coefficient_cv, reward_std_cv : float
        Coefficients of variation over prompts of C_x(u) and of σ_x, as estimated (H5).
    coefficient_cv_interval, reward_std_cv_interval : tuple of float
        Intervals.
    coefficient_cv_corrected, reward_std_cv_corrected : float
        The same with the noise of few completions taken out: √Cov of the estimates from the two halves of each
        group, over their mean; 0 where that covariance is negative.
    r2_std, r2_variance : float
        1 − Σ(|∂²_uJ| − bσ)²/Σ(∂²_uJ)² of the best b, through the origin, and the same with V = σ² for σ.
    r2_std_interval, r2_variance_interval : tuple of float
        Intervals.
    r2_std_centred, r2_variance_centred : float
        Of the fit with an intercept, which is the squared correlation.
    null_r2_std, null_r2_variance : float
        Mean of the same R² through the origin with rewards shuffled within each prompt, where no curvature is left.
    p_r2_std, p_r2_variance : float
        Share of shuffles with an R² as high.
    share_of_ceiling : float
        √(Σ(∂²_uJ)²/Σ(σC)²), how much of the ceiling σ·C is attained, noise and all.
    null_share_of_ceiling, p_share_of_ceiling : float
        Its mean over shuffles, and the share of shuffles with one as high: large if no curvature is seen at all.
    """

    direction: str
    coefficient_cv: float
    coefficient_cv_interval: tuple[float, float]
    coefficient_cv_corrected: float
    reward_std_cv: float
    reward_std_cv_interval: tuple[float, float]
    reward_std_cv_corrected: float
    r2_std: float
    r2_std_interval: tuple[float, float]
    r2_std_centred: float
    null_r2_std: float
    p_r2_std: float
    r2_variance: float
    r2_variance_interval: tuple[float, float]
    r2_variance_centred: float
    null_r2_variance: float
    p_r2_variance: float
    share_of_ceiling: float
    null_share_of_ceiling: float
    p_share_of_ceiling: float


def prompt_curvatures(
    rewards: NDArray[np.float64], q: NDArray[np.float64], *, seed: int = 0
) -> PromptCurvature:
    """Estimate ∂²_uJ_x = Cov(r, q_u) and C_x(u) = sd(q_u) of each prompt from its completions.

    Parameters
    ----------
    rewards, q : ndarray
        r and q_u = ⟨u, s⟩² + uᵀ(∇² log π)u of each completion, (n, G).
    seed : int
        Of the bootstrap.

    Returns
    -------
    PromptCurvature
        Arrays over prompts.
    """
    rng = np.random.default_rng(seed)
    curvature_interval = np.array([
        interval(_covariance, (r, x), rng) for r, x in zip(rewards, q, strict=True)
    ])
    coefficient_interval = np.array([interval(_spread, (x,), rng) for x in q])
    curvature_interval[np.ptp(rewards, axis=1) == 0] = np.nan
    return PromptCurvature(
        curvature=_covariance(rewards, q),
        coefficient=_spread(q),
        reward_std=_spread(rewards),
        curvature_interval=curvature_interval,
        coefficient_interval=coefficient_interval,
    )


def curvature_statistics(
    direction: str, rewards: NDArray[np.float64], q: NDArray[np.float64], *, seed: int = 0
) -> DirectionalCurvature:
    """Measure how alike C_x(u) is over prompts and how well σ or V explain |∂²_uJ|, beside what noise alone gives.

    Ours, theory II.7 and H5. Kind: estimate. An estimated covariance of nothing has standard deviation about σC/√G,
    which is proportional to σ: the R² of "|curvature| ∝ σ" is high in pure noise too, and only its excess over the
    shuffled one speaks.

    Parameters
    ----------
    direction : str
        Name of u.
    rewards, q : ndarray
        r and q_u of each completion, (n, G).
    seed : int
        Of bootstrap and shuffles.

    Returns
    -------
    DirectionalCurvature
        NaN wherever nothing can be said.
    """
    rng = np.random.default_rng(seed)
    σ, C, curvature = _spread(rewards), _spread(q), _covariance(rewards, q)
    size = abs(curvature)
    shuffled = abs(
        _covariance(rng.permuted(np.broadcast_to(rewards, (RESAMPLES, *rewards.shape)), axis=-1), q)
    )
    half = rewards.shape[1] // 2
    halves = (slice(None, half), slice(half, None))
    found: dict[str, Any] = {}
    for name, x in (("std", σ), ("variance", σ**2)):
        found[f"r2_{name}"], null = _r2(x, size), _r2(x, shuffled)
        found[f"r2_{name}_interval"] = interval(_r2, (x, size), rng)
        found[f"r2_{name}_centred"] = float(_r2(x - x.mean(), size - size.mean()))
        found[f"null_r2_{name}"], found[f"p_r2_{name}"] = _against(found[f"r2_{name}"], null)
    share, null_share = _share(size, σ * C), _share(shuffled, σ * C)
    mean, p = _against(share, null_share)
    for name, values, estimates in (("coefficient", q, C), ("reward_std", rewards, σ)):
        found[f"{name}_cv"] = float(_variation(estimates))
        found[f"{name}_cv_interval"] = interval(_variation, (estimates,), rng)
        found[f"{name}_cv_corrected"] = _variation_of_signal(*(_spread(values[:, part]) for part in halves))
    return DirectionalCurvature(
        direction=direction,
        share_of_ceiling=float(share),
        null_share_of_ceiling=mean,
        p_share_of_ceiling=p,
        **found,
    )


def _covariance(left: NDArray, right: NDArray, axis: int = -1) -> NDArray:
    return ((left - left.mean(axis, keepdims=True)) * right).sum(axis) / (left.shape[axis] - 1)


def _spread(values: NDArray, axis: int = -1) -> NDArray:
    return values.std(axis, ddof=1)


def _divide(above: Any, below: Any) -> Any:
    above, below = np.asarray(above, float), np.asarray(below, float)
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=below > 0)[()]


def _r2(x: NDArray, y: NDArray, axis: int = -1) -> NDArray:
    """R² of y ≈ bx through the origin: (Σxy)²/(Σx²Σy²)."""
    return _divide((x * y).sum(axis) ** 2, (x**2).sum(axis) * (y**2).sum(axis))


def _share(size: NDArray, ceiling: NDArray) -> NDArray:
    return np.sqrt(_divide((size**2).sum(-1), (ceiling**2).sum(-1)))


def _variation(values: NDArray, axis: int = -1) -> Any:
    return (
        _divide(values.std(axis, ddof=1), values.mean(axis)) if values.shape[axis] > 1 else np.float64(np.nan)
    )


def _variation_of_signal(first: NDArray, second: NDArray) -> float:
    """Coefficient of variation of what two independent estimates have in common."""
    if len(first) < 2:
        return np.nan
    common = max(float(_covariance(first, second)), 0.0)
    return float(_divide(np.sqrt(common), (first.mean() + second.mean()) / 2))


def _against(value: Any, null: NDArray) -> tuple[float, float]:
    """Mean of a null distribution, and the share of it that is as high, the value itself counted."""
    known = null[np.isfinite(null)]
    if not np.isfinite(value) or not known.size:
        return np.nan, np.nan
    return float(known.mean()), float((1 + (known >= value * (1 - 1e-12)).sum()) / (1 + known.size))
