"""How the gradients of different prompts lie to each other, as estimated and with the noise taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curvature.lm._intervals import interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GradientCosines", "gradient_cosines"]

RELIABLE = 0.5


@dataclass(frozen=True)
class GradientCosines:
    """Cosines between gradients of prompts; what has "raw" in its name is of the noisy estimates as they are.

    Attributes
    ----------
    num_prompts, num_live : int
        Prompts, and those whose rewards were not all equal: the others' estimates are zero and have no cosine.
    num_pairs : int
        Pairs of live prompts.
    raw_mean, raw_std, raw_negative_share, raw_small_share : float
        Of the raw cosines: mean, standard deviation (ddof 1), share < 0, share of |cos| < 0.1.
    raw_quantiles : tuple of float
        At 0, .05, .25, .5, .75, .95, 1.
    raw_omega : float
        Σ‖ĝ‖²/‖Σĝ‖².
    a4_raw : float
        Least M with M⟨ĝ_i, ĝ_j⟩ ≥ ‖ĝ_j‖² for all ordered pairs; inf if an inner product is ≤ 0.
    a4_positive : float
        The same over pairs with a positive inner product alone, which A4 does not allow; NaN if there is none.
    reliability : float
        Σ‖g‖²/Σ‖ĝ‖² with an unbiased numerator: raw cosines are about this factor too near to zero.
    pooled : float
        Mean of ⟨g_i, g_j⟩ over pairs, over the mean of ‖g_i‖², both unbiased: the mean cosine weighted by length.
    pooled_interval : tuple of float
        95 %, percentile bootstrap over prompts.
    root_mean_square : float
        √(mean ⟨g_i, g_j⟩²/mean ‖g_i‖²‖g_j‖²), both unbiased: the size of a cosine; NaN if noise makes a mean ≤ 0.
    raw_root_mean_square : float
        The same of the estimates, noise and all.
    omega : float
        Σ‖g‖²/‖Σg‖² with both unbiased; inf if the unbiased denominator alone is ≤ 0, NaN if the numerator is.
    sign_agreement : float
        Share of pairs whose inner product has one sign in both halves of the groups: 1/2 if signs are noise alone.
    sign_pairs : int
        Pairs of which that is a share: those live in both halves.
    corrected : tuple of float
        ⟨ĝ_i, ĝ_j⟩/√(‖g_i‖²‖g_j‖²) of pairs of prompts whose own reliability is at least 1/2; may exceed 1.
    """

    num_prompts: int
    num_live: int
    num_pairs: int
    raw_mean: float
    raw_std: float
    raw_negative_share: float
    raw_small_share: float
    raw_quantiles: tuple[float, ...]
    raw_omega: float
    a4_raw: float
    a4_positive: float
    reliability: float
    pooled: float
    pooled_interval: tuple[float, float]
    root_mean_square: float
    raw_root_mean_square: float
    omega: float
    sign_agreement: float
    sign_pairs: int
    corrected: tuple[float, ...]


def gradient_cosines(
    inner: NDArray[np.float64],
    inner_halves: NDArray[np.float64],
    squared_norm: NDArray[np.float64],
    *,
    seed: int = 0,
) -> GradientCosines:
    """Describe the angles between gradients: E cos(ĝ_i, ĝ_j) is near √(ρ_iρ_j)·cos(g_i, g_j), ρ = ‖g‖²/E‖ĝ‖².

    Ours. Kind: estimate. Inner products of different prompts are unbiased as they are, since their completions are
    independent; lengths are not, so raw cosines of noisy gradients are near zero whatever the angles are.

    Parameters
    ----------
    inner : ndarray
        ⟨ĝ_i, ĝ_j⟩, (n, n).
    inner_halves : ndarray
        The same from two independent halves of each group, (2, n, n).
    squared_norm : ndarray
        Unbiased estimates of ‖g_i‖², (n,).
    seed : int
        Of the bootstrap.

    Returns
    -------
    GradientCosines
        NaN wherever nothing can be said.
    """
    length = np.sqrt(np.diag(inner))
    live = length > 0
    above = np.triu_indices(int(live.sum()), 1)
    product = inner[np.ix_(live, live)]
    raw = product[above] / np.outer(length[live], length[live])[above]
    n = len(inner)
    off = ~np.eye(n, dtype=bool)
    squares = (inner_halves[0] * inner_halves[1])[off].mean() if n > 1 else np.nan
    norms = np.outer(squared_norm, squared_norm)[off].mean() if n > 1 else np.nan
    raw_norms = np.outer(length**2, length**2)[off].mean() if n > 1 else np.nan
    agreeing = (np.sign(inner_halves[0]) == np.sign(inner_halves[1]))[off & _both_halves(inner_halves)]
    return GradientCosines(
        num_prompts=n,
        num_live=int(live.sum()),
        num_pairs=raw.size,
        raw_mean=_mean(raw),
        raw_std=float(raw.std(ddof=1)) if raw.size > 1 else np.nan,
        raw_negative_share=_mean(raw < 0),
        raw_small_share=_mean(abs(raw) < 0.1),
        raw_quantiles=tuple(np.quantile(raw, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]).tolist())
        if raw.size
        else (),
        raw_omega=_ratio(np.trace(inner), inner.sum()),
        a4_raw=_least_factor(product, positive_only=False),
        a4_positive=_least_factor(product, positive_only=True),
        reliability=_quotient(squared_norm.sum(), np.trace(inner)),
        pooled=_pooled(inner, squared_norm, np.ones(n)),
        pooled_interval=_pooled_interval(inner, squared_norm, seed),
        root_mean_square=_root(squares, norms),
        raw_root_mean_square=_root((inner**2)[off].mean() if n > 1 else np.nan, raw_norms),
        omega=_ratio(squared_norm.sum(), squared_norm.sum() + inner[off].sum()),
        sign_agreement=_mean(agreeing),
        sign_pairs=agreeing.size // 2,
        corrected=_corrected(inner, squared_norm),
    )


def _mean(values: NDArray) -> float:
    return float(values.mean()) if values.size else np.nan


def _quotient(above: float, below: float) -> float:
    return float(above / below) if below > 0 else np.nan


def _ratio(above: float, below: float) -> float:
    """Return Ω of its two sums: infinite where the gradients cancel, NaN where even the lengths are not seen."""
    if above <= 0:
        return np.nan
    return float(above / below) if below > 0 else np.inf


def _root(above: float, below: float) -> float:
    return float(np.sqrt(above / below)) if above > 0 and below > 0 else np.nan


def _both_halves(inner_halves: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pairs of prompts that are live in either half; elsewhere there is no sign."""
    return (inner_halves != 0).all(axis=0)


def _least_factor(product: NDArray[np.float64], *, positive_only: bool) -> float:
    """Least M with M⟨g_i, g_j⟩ ≥ ‖g_j‖² over ordered pairs."""
    n = len(product)
    off = ~np.eye(n, dtype=bool)
    values, squared = product[off], np.broadcast_to(np.diag(product), (n, n))[off]
    if positive_only:
        squared, values = squared[values > 0], values[values > 0]
    if not values.size:
        return np.nan
    return float(np.max(squared / values)) if (values > 0).all() else np.inf


def _pooled(
    inner: NDArray[np.float64], squared_norm: NDArray[np.float64], count: NDArray[np.float64]
) -> float:
    """Mean inner product of different prompts over mean squared length, prompts counted so many times."""
    off = inner - np.diag(np.diag(inner))
    pairs = count.sum() ** 2 - (count**2).sum()
    lengths = count @ squared_norm / count.sum()
    return float(count @ off @ count / pairs / lengths) if pairs > 0 and lengths > 0 else np.nan


def _pooled_interval(
    inner: NDArray[np.float64], squared_norm: NDArray[np.float64], seed: int
) -> tuple[float, float]:
    """Bootstrap over prompts; two copies of one prompt make no pair, as their noise is not independent."""
    n = len(inner)

    def statistic(chosen: NDArray[np.int64]) -> float:
        return _pooled(inner, squared_norm, np.bincount(chosen, minlength=n).astype(float))

    return interval(statistic, (np.arange(n),), np.random.default_rng(seed), vectorized=False)


def _corrected(inner: NDArray[np.float64], squared_norm: NDArray[np.float64]) -> tuple[float, ...]:
    """Cosines with unbiased lengths, where the lengths are signal for the greater part."""
    reliable = squared_norm >= RELIABLE * np.diag(inner)
    reliable &= squared_norm > 0
    kept = inner[np.ix_(reliable, reliable)] / np.sqrt(
        np.outer(squared_norm[reliable], squared_norm[reliable])
    )
    return tuple(kept[np.triu_indices(len(kept), 1)].tolist())
