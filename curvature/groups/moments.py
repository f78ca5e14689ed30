"""Second moments of a group's estimate, the certified gain they allow, and the exponent that gains most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.advantages import Normalization
from curvature.advantages.presets import resolve
from curvature.groups._binomial import checked_size, checked_success, expectation
from curvature.groups._counts import advantages_of_counts
from curvature.groups.weights import effective_weight

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "GradientMoments",
    "best_exponent",
    "certified_gain",
    "gain_ratio",
    "gradient_moments",
    "total_variance",
]

_LARGEST_EXPONENT = 4.0


@dataclass(frozen=True)
class GradientMoments:
    """E⟨g, ĝ⟩ and E‖ĝ‖² of each prompt.

    Parameters
    ----------
    inner, square : ndarray
        Both moments.
    """

    inner: NDArray[np.float64]
    square: NDArray[np.float64]


def gradient_moments(
    success: ArrayLike,
    group_size: int,
    normalization: str | Normalization = "grpo",
    *,
    gap: ArrayLike = 1.0,
    spread_right: ArrayLike = 0.0,
    spread_wrong: ArrayLike = 0.0,
    batch_std: float | None = None,
    batch_mean: float | None = None,
) -> GradientMoments:
    """Compute E⟨g,ĝ⟩ = a_G(p)(p(1−p)‖m₁−m₀‖)² and E‖ĝ‖² = E[c_k²‖m₁−m₀‖² + (k R_k²V₁ + (G−k)W_k²V₀)/G²].

    Ours, theory D3. Kind: identity.

    R_k and W_k are the advantages of a right and of a wrong response among k right ones, and
    c_k = (k R_k(1−p) − (G−k)W_k p)/G. For the power family c_k = q̂^(1−e/2), q̂ = k/G(1−k/G).

    Holds when: rewards are 0 and 1; the G responses are independent; scores are features less their mean.

    Parameters
    ----------
    success : array_like, shape (...)
        p in [0, 1].
    group_size : int
        G ≥ 2.
    normalization : str or Normalization, default "grpo"
        A name in `PRESETS`, or a convention of your own.
    gap : array_like, default 1.0
        ‖m₁ − m₀‖, the distance of the mean features of right and of wrong responses.
    spread_right, spread_wrong : array_like, default 0.0
        V₁ and V₀, the traces of the covariances of the features of right and of wrong responses; 0 for two arms.
    batch_std : float, optional
        The std of a large batch; needed by the spreads "batch" and "pooled".
    batch_mean : float, optional
        The mean of a large batch; needed by the baseline "batch".

    Returns
    -------
    GradientMoments
        Both moments, each of shape (...).

    Raises
    ------
    ValueError
        If p or G is outside its domain, or a moment of the batch is missing.

    Examples
    --------
    >>> moments = gradient_moments([0.5], 2)
    >>> moments.inner.round(6), moments.square.round(6)
    (array([0.0625]), array([0.125]))
    """
    p, G, convention = checked_success(success), checked_size(group_size), resolve(normalization)
    if convention.baseline == "batch" and batch_mean is None:
        raise ValueError(
            "baseline='batch' takes the mean of the batch: pass batch_mean, that of a large batch."
        )
    mean = 0.0 if batch_mean is None else batch_mean

    def squares(k: Any) -> Any:
        R, W = advantages_of_counts(k, G, convention, batch_std=batch_std, batch_mean=mean)
        # The advantage of a response that is not there is no number to use.
        R, W = np.where(k > 0, R, 0.0), np.where(k < G, W, 0.0)
        # c_k = u_k(1 − p) + v_k p with u and v free of p.
        u, v = k / G * R, (k / G - 1) * W
        return np.stack([u * u, 2 * u * v, v * v, k * (R / G) ** 2, (G - k) * (W / G) ** 2])

    uu, uv, vv, right, wrong = expectation(squares, G, p)
    square = (uu * (1 - p) ** 2 + uv * p * (1 - p) + vv * p**2) * np.square(gap)
    square = square + right * spread_right + wrong * spread_wrong
    weight = effective_weight(p, G, convention, batch_std=batch_std)
    return GradientMoments(weight * (p * (1 - p) * np.asarray(gap)) ** 2, np.asarray(square))


def total_variance(
    group_size: int,
    *,
    advantage_norm: ArrayLike,
    gradient_norm: ArrayLike,
    reward_std: ArrayLike,
    feature_spread: ArrayLike,
) -> NDArray[np.float64]:
    """Compute tr Cov ĝ = (E[A²‖φ̄‖²] − (G−2)/(G−1)‖g‖² + σ² tr Cov φ/(G−1))/G.

    Ours, theory D3. Kind: identity.
    Holds when: any rewards; no std; the leave-one-out baseline, so that ĝ is unbiased; A = r − J and φ̄ = φ − Eφ.

    Parameters
    ----------
    group_size : int
        G ≥ 2.
    advantage_norm : array_like
        E[A²‖φ̄‖²].
    gradient_norm : array_like
        ‖g‖, g = Cov(r, φ).
    reward_std : array_like
        σ.
    feature_spread : array_like
        tr Cov φ.

    Returns
    -------
    ndarray
        The total variance of the estimate.

    Examples
    --------
    >>> float(total_variance(2, advantage_norm=0.0625, gradient_norm=0.25, reward_std=0.5, feature_spread=0.25))
    0.0625
    """
    G = checked_size(group_size)
    noise = np.square(reward_std) * np.asarray(feature_spread) / (G - 1)
    return (np.asarray(advantage_norm) - (G - 2) / (G - 1) * np.square(gradient_norm) + noise) / G


def certified_gain(
    success: ArrayLike,
    group_size: int,
    normalization: str | Normalization = "grpo",
    *,
    weights: ArrayLike | None = None,
    batch_std: float | None = None,
) -> float:
    """Compute (E E⟨g,ĝ⟩)²/E[σ E‖ĝ‖²] over prompts, the gain certified at the best step up to a constant.

    Ours, theory D4. Kind: identity.
    Holds when: two arms a prompt, prompts orthogonal and of one diameter; rewards are 0 and 1. The constant is the
    same for all conventions. A factor common to all prompts drops out, so a spread of the batch does too.

    Parameters
    ----------
    success : array_like, shape (n,)
        p in [0, 1].
    group_size : int
        G ≥ 2.
    normalization : str or Normalization, default "grpo"
        A name in `PRESETS`, or a convention of your own.
    weights : array_like, shape (n,), optional
        Shares of the prompts, scaled to sum 1; equal when left out.
    batch_std : float, optional
        The std of a large batch; it does not change the gain, and may be left out.

    Returns
    -------
    float
        To be compared between conventions; 0 where every prompt is solved or hopeless.

    Raises
    ------
    ValueError
        If p, G or a weight is outside its domain.

    Examples
    --------
    >>> round(certified_gain([0.1, 0.5], 8, "none"), 3)
    0.067
    """
    p = np.atleast_1d(checked_success(success)).ravel()
    w = _shares(weights, p)
    moments = gradient_moments(
        p,
        group_size,
        normalization,
        batch_std=1.0 if batch_std is None else batch_std,
        batch_mean=float(w @ p),
    )
    cost = float(w @ (np.sqrt(p * (1 - p)) * moments.square))
    inner = float(w @ moments.inner)
    # Not inner²/cost: of success rates below 1e-92 the square underflows where the gain does not.
    return inner * (inner / cost) if cost > 0 else 0.0


def _shares(weights: ArrayLike | None, p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights of sum 1."""
    if weights is None:
        return np.full(p.size, 1.0 / p.size)
    w = np.asarray(weights, dtype=np.float64).ravel()
    if w.shape != p.shape:
        raise ValueError(
            f"weights of shape {w.shape} must have one entry for each of the {p.size} success rates."
        )
    if not ((w >= 0).all() and 0 < w.sum() < np.inf):
        raise ValueError(f"weights with minimum {w.min()} and sum {w.sum()} must be 0 or more and not all 0.")
    return w / w.sum()


def gain_ratio(
    success: ArrayLike,
    group_size: int,
    normalization: str | Normalization = "grpo",
    reference: str | Normalization = "none",
    *,
    weights: ArrayLike | None = None,
    batch_std: float | None = None,
) -> float:
    """Compute κ_G, the certified gain under one convention over that under another.

    Ours, theory D4. Kind: identity.
    Holds when: as in :func:`certified_gain`.

    Parameters
    ----------
    success : array_like, shape (n,)
        p in [0, 1].
    group_size : int
        G ≥ 2.
    normalization, reference : str or Normalization
        Names in `PRESETS`, or conventions of your own.
    weights : array_like, shape (n,), optional
        Shares of the prompts; equal when left out.
    batch_std : float, optional
        As in :func:`certified_gain`.

    Returns
    -------
    float
        κ_G; NaN where no prompt has a gradient, or none whose gain is a float above 0 (every p below 1e-129).

    Examples
    --------
    >>> round(gain_ratio([0.1, 0.5], 8), 2)
    1.02
    """
    above, below = (
        certified_gain(success, group_size, one, weights=weights, batch_std=batch_std)
        for one in (normalization, reference)
    )
    return above / below if below > 0 else float("nan")


def best_exponent(success: ArrayLike, group_size: int, *, weights: ArrayLike | None = None) -> float:
    """Find the exponent e in [0, 4] of the group's std with the largest certified gain.

    Ours, theory H2. Kind: identity (a maximum found numerically).
    Holds when: as in :func:`certified_gain`, with G ≥ 4: all exponents are alike for G = 2 and 3.

    Parameters
    ----------
    success : array_like, shape (n,)
        p in [0, 1].
    group_size : int
        G ≥ 2.
    weights : array_like, shape (n,), optional
        Shares of the prompts; equal when left out.

    Returns
    -------
    float
        e, to 1e−4.

    Examples
    --------
    >>> round(best_exponent([0.02, 0.5], 8), 1) > 0
    True
    """
    from scipy.optimize import minimize_scalar

    p, G = np.atleast_1d(checked_success(success)).ravel(), checked_size(group_size)
    signal, cost = _pooled_counts(p, _shares(weights, p), G)
    log_variance = np.log(np.arange(1, G) / G * (1 - np.arange(1, G) / G))

    def loss(e: float) -> float:
        inner = signal @ np.exp((1 - e / 2) * log_variance)
        square = cost @ np.exp((2 - e) * log_variance)
        return -float(inner**2 / square) if square > 0 else 0.0

    coarse = np.linspace(0, _LARGEST_EXPONENT, 81)
    at = float(coarse[np.argmin([loss(e) for e in coarse])])
    found: Any = minimize_scalar(
        loss,
        bounds=(max(at - 0.05, 0), min(at + 0.05, _LARGEST_EXPONENT)),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(found.x)


def _pooled_counts(
    p: NDArray[np.float64], weights: NDArray[np.float64], group_size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Σ ρV·Bin(k) and Σ ρσ·Bin(k) for k = 1, …, G − 1: all that the gain of any exponent needs."""
    from scipy.stats import binom

    k, V = np.arange(1, group_size), p * (1 - p)
    factors = np.stack([weights * V, weights * np.sqrt(V)])
    pooled = np.zeros((2, k.size))
    rows = max((1 << 20) // max(k.size, 1), 1)
    for start in range(0, p.size, rows):
        here = slice(start, start + rows)
        pooled += factors[:, here] @ binom.pmf(k, group_size, p[here, None])
    return pooled[0], pooled[1]
