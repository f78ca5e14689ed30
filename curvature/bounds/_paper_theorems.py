"""Theorems 3.1–3.4 of arXiv:2601.23135v1 as calculators, with the paper's constants.

Each is a statement about one prompt i, in expectation over the prompts that the algorithm samples. All four are
printed with the sign of a descent ("E J_i(θ_t) − E J_i(θ_{t−1}) ≤ −…"); what their proofs show, and what
``gain_factor`` stands for, is E J_i(θ_t) − E J_i(θ_{t−1}) ≥ gain_factor · E‖∇J_i(θ_{t−1})‖².
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curvature.bounds._inputs import quiet
from curvature.bounds._theorem_inputs import (
    interference_factor,
    or_infinite,
    read_constant,
    read_count,
    read_prompt,
    read_std_bounds,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["PaperRate", "theorem_3_1", "theorem_3_2", "theorem_3_3", "theorem_3_4"]


@dataclass(frozen=True)
class PaperRate:
    """What one of Theorems 3.1–3.4 states.

    Attributes
    ----------
    step : ndarray, shape (...)
        η, the learning rate that the theorem prescribes.
    gain_factor : ndarray, shape (...) or (..., T)
        E J_i(θ_t) − E J_i(θ_{t−1}) ≥ gain_factor · E‖∇J_i(θ_{t−1})‖²; one a step for 3.2 and 3.4.
    gradient_sum : ndarray, shape (...)
        Σ_{t<T} E‖∇J_i(θ_t)‖² ≤ gradient_sum, as printed. For 3.2 and 3.4 this is proved for constant C_{i,t}
        only, and false in general: see :func:`theorem_3_2`.
    gradient_min : ndarray, shape (...)
        min_{t<T} E‖∇J_i(θ_t)‖² ≤ gradient_min, with which the proofs end.
    std_factor : ndarray, shape (...)
        C(i,T), by which the rate of 3.2 and 3.4 differs from that of REINFORCE; 1 for 3.1 and 3.3.
    """

    step: NDArray[np.float64]
    gain_factor: NDArray[np.float64]
    gradient_sum: NDArray[np.float64]
    gradient_min: NDArray[np.float64]
    std_factor: NDArray[np.float64]


def theorem_3_1(num_prompts: int, success: ArrayLike, spectral_norm: ArrayLike, num_steps: int) -> PaperRate:
    """State the rate of REINFORCE under orthogonality: Σ_{t<T} E‖∇J_i(θ_t)‖² ≤ 2n(1 − p₀)X² at η = 1/X².

    Implements Theorem 3.1, arXiv:2601.23135v1. Kind: upper bound.
    Holds when: A1 and A2 (:func:`curvature.assumptions.check_unique_answer`,
    :func:`~curvature.assumptions.check_orthogonal`), Algorithm 1.

    Parameters
    ----------
    num_prompts : int
        n.
    success : array_like, shape (...)
        p₀, the success probability of the prompt at the start.
    spectral_norm : array_like, shape (...)
        X, the largest spectral norm of a prompt's features.
    num_steps : int
        T.

    Returns
    -------
    PaperRate
        With gain_factor 1/(2nX²) and std_factor 1.

    Raises
    ------
    ValueError
        If a count is below 1, success is outside [0, 1] or the norm is negative or not finite.

    Notes
    -----
    Symbols: num_prompts = n, success = p₀, spectral_norm = X, num_steps = T. Each sampled step gains
    (η − X²η²/2)‖∇J_i‖² by the smoothness X² of Lemma 3.1; the gains add up to at most 1 − p₀.

    Examples
    --------
    >>> rate = theorem_3_1(num_prompts=10, success=0.2, spectral_norm=2.0, num_steps=100)
    >>> float(rate.step), float(rate.gradient_sum), float(rate.gradient_min)
    (0.25, 64.0, 0.64)
    """
    return _reinforce(num_prompts, success, spectral_norm, num_steps, np.asarray(1.0))


def theorem_3_2(
    num_prompts: int, success: ArrayLike, spectral_norm: ArrayLike, std_bounds: ArrayLike
) -> PaperRate:
    """State the rate of GRPO under orthogonality: Σ_{t<T} E‖∇J_i(θ_t)‖² ≤ 2n(1 − p₀)X²C(i,T) at η = 1/(2X²).

    C(i,T) = (8/(3T))Σ_t C_{i,t}, with σ_i(θ_t) ≤ C_{i,t}.

    Implements Theorem 3.2, arXiv:2601.23135v1. Kind: upper bound (gradient_min); gradient_sum is false as printed.
    Holds when: A1–A3, Algorithm 2. The sum form follows from the ascent inequality only when C_{i,t} does not
    change with t. Otherwise its left side grows with T while the right side follows the mean of C: one
    prompt, two responses, X = I, θ₀ = 0, C_{1,t} = σ(θ_t) gives 0.4404 > 0.2095 at T = 100, and it fails from
    T = 36 on. :func:`~curvature.bounds.theorem_3_2_repaired` has what does follow.

    Parameters
    ----------
    num_prompts : int
        n.
    success : array_like, shape (...)
        p₀.
    spectral_norm : array_like, shape (...)
        X.
    std_bounds : array_like, shape (..., T)
        C_{i,t}, t = 0 … T − 1, in (0, 1/2].

    Returns
    -------
    PaperRate
        With gain_factor 3/(16nX²C_{i,t}), one a step.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Notes
    -----
    Symbols: num_prompts = n, success = p₀, spectral_norm = X, std_bounds = C_{i,t}. A sampled step gains
    (‖∇J_i‖²/σ)(η − (5/4)X²η²) by Lemma 3.3, which is 3/(16X²) at the paper's η; η = 2/(5X²), also inside the
    lemma's ball, would give 1/(5X²). For n ≥ 2 no C_{i,t} that A3 admits is below σ_i(θ₀):
    :func:`~curvature.bounds.smallest_variance_bound`.

    Examples
    --------
    >>> rate = theorem_3_2(num_prompts=10, success=0.2, spectral_norm=2.0, std_bounds=np.full(100, 0.375))
    >>> float(rate.step), round(float(rate.gradient_min), 12), round(float(rate.std_factor), 12)
    (0.125, 0.64, 1.0)
    """
    return _grpo(num_prompts, success, spectral_norm, std_bounds, np.asarray(1.0))


def theorem_3_3(
    num_prompts: int, success: ArrayLike, spectral_norm: ArrayLike, num_steps: int, cross_prompt: ArrayLike
) -> PaperRate:
    """State the rate of REINFORCE with interference: Theorem 3.1 with X² replaced by max(1, M/2)X².

    Implements Theorem 3.3, arXiv:2601.23135v1. Kind: upper bound.
    Holds when: A1, and A4 with the same M at every θ of the run (:func:`curvature.assumptions.check_cross_prompt`).

    Parameters
    ----------
    num_prompts : int
        n.
    success : array_like, shape (...)
        p₀.
    spectral_norm : array_like, shape (...)
        X.
    num_steps : int
        T.
    cross_prompt : array_like, shape (...)
        M ≥ 0; infinite where A4 fails, and then every bound is infinite and every gain 0.

    Returns
    -------
    PaperRate
        As for Theorem 3.1.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Notes
    -----
    Symbols: cross_prompt = M, the rest as for :func:`theorem_3_1`.

    Examples
    --------
    >>> rate = theorem_3_3(10, success=0.2, spectral_norm=2.0, num_steps=100, cross_prompt=418)
    >>> float(rate.gradient_sum)
    13376.0
    """
    M = read_constant("cross_prompt", cross_prompt, 0.0)
    return _reinforce(num_prompts, success, spectral_norm, num_steps, np.maximum(1.0, M / 2))


def theorem_3_4(
    num_prompts: int,
    success: ArrayLike,
    spectral_norm: ArrayLike,
    std_bounds: ArrayLike,
    cross_prompt: ArrayLike,
    gradient_ratio: ArrayLike,
    std_ratio: ArrayLike,
) -> PaperRate:
    """State the rate of GRPO with interference: Theorem 3.2 with X² replaced by max(R₁, 5M/8)R₂X².

    Implements Theorem 3.4, arXiv:2601.23135v1. Kind: upper bound (gradient_min); gradient_sum as for 3.2.
    Holds when: A1, A3, and A4 and A5 with the same constants at every θ of the run. Appendix E.2 ends with
    max(R₁R₂, M/2) instead (eqs 32, 33), with which the gain is false in general: the factor in its place here is
    that of the theorem, which the steps of the proof do give.

    Parameters
    ----------
    num_prompts : int
        n.
    success : array_like, shape (...)
        p₀.
    spectral_norm : array_like, shape (...)
        X.
    std_bounds : array_like, shape (..., T)
        C_{i,t}, in (0, 1/2].
    cross_prompt : array_like, shape (...)
        M ≥ 0, may be infinite.
    gradient_ratio, std_ratio : array_like, shape (...)
        R₁, R₂ ≥ 1, may be infinite: see :func:`curvature.assumptions.scale_regularity`.

    Returns
    -------
    PaperRate
        As for Theorem 3.2.

    Raises
    ------
    ValueError
        If a value is out of its range.

    Notes
    -----
    Symbols: cross_prompt = M, gradient_ratio = R₁, std_ratio = R₂, the rest as for :func:`theorem_3_2`.
    R₂·mean_i σ_i ≥ max_j σ_j at every θ: prompts of unequal std never improve this bound over one with all
    stds at their largest.

    Examples
    --------
    >>> rate = theorem_3_4(10, 0.2, 2.0, np.full(100, 0.375), cross_prompt=8, gradient_ratio=2, std_ratio=3)
    >>> round(float(rate.step), 12), round(float(rate.gradient_min), 12)
    (0.008333333333, 9.6)
    """
    factor = interference_factor(cross_prompt, gradient_ratio, std_ratio)
    return _grpo(num_prompts, success, spectral_norm, std_bounds, factor)


def _reinforce(
    num_prompts: int,
    success: ArrayLike,
    spectral_norm: ArrayLike,
    num_steps: int,
    factor: NDArray[np.float64],
) -> PaperRate:
    n, T = read_count("num_prompts", num_prompts), read_count("num_steps", num_steps)
    p, X = read_prompt(success, spectral_norm)
    with quiet():
        smoothness = or_infinite(factor, X * factor * X)
        total = or_infinite(factor, X * (2 * n * (1 - p) * factor) * X)
        return PaperRate(1 / smoothness, 1 / (2 * n * smoothness), total, total / T, np.ones_like(total)[()])


def _grpo(
    num_prompts: int,
    success: ArrayLike,
    spectral_norm: ArrayLike,
    std_bounds: ArrayLike,
    factor: NDArray[np.float64],
) -> PaperRate:
    n = read_count("num_prompts", num_prompts)
    p, X = read_prompt(success, spectral_norm)
    C = read_std_bounds(std_bounds)
    with quiet():
        smoothness = or_infinite(factor, X * factor * X)
        std_factor = 8 / 3 * C.mean(axis=-1)
        total = or_infinite(factor, X * (2 * n * (1 - p) * factor * std_factor) * X)
        gain = 3 / (16 * n * smoothness[..., None] * C)
        return PaperRate(0.5 / smoothness, gain, total, total / C.shape[-1], std_factor)
