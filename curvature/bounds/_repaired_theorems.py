"""What the proofs of Theorems 3.2 and 3.4 of arXiv:2601.23135v1 do give, with the paper's constants.

The sum form that the two theorems print does not follow from their ascent inequality: from Σ f_t/C_t ≤ B one
cannot conclude Σ f_t ≤ B·mean(C), unless C is constant. These are four statements that do follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curvature.bounds._inputs import quiet
from curvature.bounds._theorem_inputs import (
    interference_factor,
    or_infinite,
    read_count,
    read_prompt,
    read_std_bounds,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["RepairedRate", "theorem_3_2_repaired", "theorem_3_4_repaired"]


@dataclass(frozen=True)
class RepairedRate:
    """What the ascent inequality of Theorem 3.2 or 3.4 does imply, B = weighted_sum.

    Attributes
    ----------
    weighted_sum : ndarray, shape (...)
        Σ_{t<T} E[‖∇J_i(θ_t)‖²/σ_i(θ_t)] ≤ B. Needs no assumption A3.
    gradient_sum : ndarray, shape (...)
        Σ_{t<T} E‖∇J_i(θ_t)‖² ≤ B max_t C_{i,t}.
    gradient_min : ndarray, shape (...)
        min_{t<T} E‖∇J_i(θ_t)‖² ≤ B/Σ_t C_{i,t}^(−1), the harmonic mean where the paper has the arithmetic one.
    squared_mean : ndarray, shape (...)
        ((1/T)Σ_{t<T} E‖∇J_i(θ_t)‖)² ≤ (B/T)·(1/T)Σ_t C_{i,t}. Holds with E σ_i(θ_t) in place of C_{i,t}, so it
        needs no assumption A3 either.
    """

    weighted_sum: NDArray[np.float64]
    gradient_sum: NDArray[np.float64]
    gradient_min: NDArray[np.float64]
    squared_mean: NDArray[np.float64]


def theorem_3_2_repaired(
    num_prompts: int, success: ArrayLike, spectral_norm: ArrayLike, std_bounds: ArrayLike
) -> RepairedRate:
    """State what Theorem 3.2's ascent inequality implies: Σ_{t<T} E[‖∇J_i‖²/σ_i] ≤ (16/3)nX²(1 − p₀).

    Ours, theory I.3.1, with the paper's constants. Kind: upper bound.
    Holds when: A1, A2, Algorithm 2 at η = 1/(2X²); A3 for gradient_sum and gradient_min alone.

    Parameters
    ----------
    num_prompts : int
        n.
    success : array_like, shape (...)
        p₀.
    spectral_norm : array_like, shape (...)
        X.
    std_bounds : array_like, shape (..., T)
        C_{i,t} in [0, 1/2]; for squared_mean E σ_i(θ_t) serves as well.

    Returns
    -------
    RepairedRate
        Its four forms.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Notes
    -----
    Symbols: as for :func:`~curvature.bounds.theorem_3_2`. squared_mean is Cauchy–Schwarz on E[(‖∇J_i‖/√σ_i)·√σ_i].

    Examples
    --------
    >>> rate = theorem_3_2_repaired(num_prompts=1, success=0.5, spectral_norm=1.0, std_bounds=[0.5, 0.25])
    >>> [round(float(form), 4) for form in (rate.weighted_sum, rate.gradient_sum, rate.gradient_min)]
    [2.6667, 1.3333, 0.4444]
    """
    return _repaired(num_prompts, success, spectral_norm, std_bounds, np.asarray(1.0))


def theorem_3_4_repaired(
    num_prompts: int,
    success: ArrayLike,
    spectral_norm: ArrayLike,
    std_bounds: ArrayLike,
    cross_prompt: ArrayLike,
    gradient_ratio: ArrayLike,
    std_ratio: ArrayLike,
) -> RepairedRate:
    """State what Theorem 3.4's ascent inequality implies: :func:`theorem_3_2_repaired` times max(R₁, 5M/8)R₂.

    Ours, theory I.3.1, with the paper's constants. Kind: upper bound.
    Holds when: A1, A4 and A5 along the run; A3 for gradient_sum and gradient_min alone.

    Parameters
    ----------
    num_prompts : int
        n.
    success : array_like, shape (...)
        p₀.
    spectral_norm : array_like, shape (...)
        X.
    std_bounds : array_like, shape (..., T)
        C_{i,t} in [0, 1/2]; for squared_mean E σ_i(θ_t) serves as well.
    cross_prompt : array_like, shape (...)
        M ≥ 0, may be infinite.
    gradient_ratio, std_ratio : array_like, shape (...)
        R₁, R₂ ≥ 1, may be infinite.

    Returns
    -------
    RepairedRate
        Its four forms.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Notes
    -----
    Symbols: as for :func:`~curvature.bounds.theorem_3_4`.

    Examples
    --------
    >>> round(float(theorem_3_4_repaired(1, 0.5, 1.0, [0.5, 0.25], 1.6, 2.0, 3.0).weighted_sum), 6)
    16.0
    """
    factor = interference_factor(cross_prompt, gradient_ratio, std_ratio)
    return _repaired(num_prompts, success, spectral_norm, std_bounds, factor)


def _repaired(
    num_prompts: int,
    success: ArrayLike,
    spectral_norm: ArrayLike,
    std_bounds: ArrayLike,
    factor: NDArray[np.float64],
) -> RepairedRate:
    n = read_count("num_prompts", num_prompts)
    p, X = read_prompt(success, spectral_norm)
    C = read_std_bounds(std_bounds, zero=True)
    with quiet():
        B = or_infinite(factor, X * (16 / 3 * n * (1 - p) * factor) * X)
        return RepairedRate(
            B, B * C.max(axis=-1), B / (1 / C).sum(axis=-1), B / C.shape[-1] * C.mean(axis=-1)
        )
