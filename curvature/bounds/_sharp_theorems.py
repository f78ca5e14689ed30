"""Our rates for orthogonal prompts: T1–T3 of the theory, and the rate that C1's smoothness gives REINFORCE.

c₀ = log 2 maximises c − ψ(c), ψ(s) = e^s − 1 − s, and k₀ = 2 log 2 − 1 is the maximum. D is the diameter of the
features of a prompt, or the largest of all prompts where one number serves them all. Steps are those of
θ ← θ + α Σ_x a_xg_x (a sum, not a mean, over prompts); where one of n prompts is drawn a step instead, gains
hold in expectation with a factor 1/n and rates with n.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from curvature.bounds._inputs import quiet, read_arguments
from curvature.bounds._theorem_inputs import check_at_most, read_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "GAIN_CONSTANT",
    "STEP_CONSTANT",
    "OrthogonalRates",
    "SmoothnessRate",
    "StepGain",
    "theorem_c1",
    "theorem_t1",
    "theorem_t2",
    "theorem_t3",
]

STEP_CONSTANT = log(2)
"""c₀, the maximiser of c − ψ(c)."""
GAIN_CONSTANT = 2 * log(2) - 1
"""k₀ = c₀ − ψ(c₀)."""


@dataclass(frozen=True)
class StepGain:
    """A step and what it gains at least.

    Attributes
    ----------
    step : ndarray, shape (...)
        α.
    gain : ndarray, shape (...)
        J_x(θ⁺) − J_x(θ) ≥ gain.
    """

    step: NDArray[np.float64]
    gain: NDArray[np.float64]


@dataclass(frozen=True)
class OrthogonalRates:
    """Bounds of ⟨‖g‖⟩², the squared mean gradient norm over prompts and iterations.

    Attributes
    ----------
    reinforce : ndarray, shape (...)
        Γσ_maxΔ̄/T; also bounds ⟨‖g‖²⟩.
    grpo : ndarray, shape (...)
        Γσ̄Δ̄/T.
    ratio : ndarray, shape (...)
        σ̄/σ_max.
    """

    reinforce: NDArray[np.float64]
    grpo: NDArray[np.float64]
    ratio: NDArray[np.float64]


@dataclass(frozen=True)
class SmoothnessRate:
    """REINFORCE at the step 1/L of its global smoothness L.

    Attributes
    ----------
    step : ndarray, shape (...)
        1/L.
    gain_factor : ndarray, shape (...)
        J_x(θ⁺) − J_x(θ) ≥ gain_factor · ‖g_x‖², 1/(2L).
    mean_squared : ndarray, shape (...)
        ⟨‖g‖²⟩ ≤ 2LΔ̄/T, and ⟨‖g‖⟩² with it.
    """

    step: NDArray[np.float64]
    gain_factor: NDArray[np.float64]
    mean_squared: NDArray[np.float64]


def theorem_t1(gradient_norm: ArrayLike, reward_std: ArrayLike, diameter: ArrayLike) -> StepGain:
    """Certify GRPO's step for every prompt at once: J_x(θ⁺) − J_x(θ) ≥ (4k₀/D²)‖g_x‖²/σ_x at α = 4c₀/D².

    Ours, theory T1. Kind: lower bound.
    Holds when: prompts are orthogonal (P_xP_x' = 0), θ⁺ = θ + α Σ g_x/σ_x; any real rewards.

    Parameters
    ----------
    gradient_norm : array_like, shape (...)
        ‖g_x‖; at most Dσ_x/2 by L1.
    reward_std : array_like, shape (...)
        σ_x; the gain is 0 where it is 0.
    diameter : array_like, shape (...)
        D, of the prompt or the largest of all.

    Returns
    -------
    StepGain
        Infinite step where D = 0: the prompt does not move.

    Raises
    ------
    ValueError
        If an argument is negative or not finite.

    Notes
    -----
    Symbols: gradient_norm = ‖g_x‖, reward_std = σ_x, diameter = D. With y = 2‖g_x‖/(Dσ_x) ≤ 1 and α = 4c/D²,
    L4 leaves σ_x(cy² − ψ(cy)) ≥ σ_xy²(c − ψ(c)), since ψ(s)/s² increases; c − ψ(c) = 2c + 1 − e^c is largest
    at c₀ = log 2.

    Examples
    --------
    >>> found = theorem_t1(gradient_norm=0.25, reward_std=0.5, diameter=1.0)
    >>> round(float(found.step), 6), round(float(found.gain), 6)
    (2.772589, 0.193147)
    """
    _, (g, σ, D) = read_arguments(gradient_norm=gradient_norm, reward_std=reward_std, diameter=diameter)
    with quiet():
        share = np.where(g > 0, g / np.where(D > 0, D, np.inf), 0.0)
        gain = np.where(σ > 0, 4 * GAIN_CONSTANT * share * (share / np.where(σ > 0, σ, 1.0)), 0.0)
        return StepGain(4 * STEP_CONSTANT / D / D, gain[()])


def theorem_t2(gradient_norm: ArrayLike, max_reward_std: ArrayLike, diameter: ArrayLike) -> StepGain:
    """Certify REINFORCE's step: J_x(θ⁺) − J_x(θ) ≥ (4k₀/D²)‖g_x‖²/σ_max at α = 4c₀/(D²σ_max).

    Ours, theory T2. Kind: lower bound.
    Holds when: prompts are orthogonal, θ⁺ = θ + α Σ g_x, and σ_max ≥ σ_x for every prompt; any real rewards.

    Parameters
    ----------
    gradient_norm : array_like, shape (...)
        ‖g_x‖.
    max_reward_std : array_like, shape (...)
        σ_max; at most half the reward range.
    diameter : array_like, shape (...)
        D, the largest of all prompts.

    Returns
    -------
    StepGain
        The one step serves every prompt and, with σ_max the supremum over the run, every iteration.

    Raises
    ------
    ValueError
        If an argument is negative or not finite.

    Notes
    -----
    Symbols: max_reward_std = σ_max, diameter = D. With τ = σ_x/σ_max ≤ 1 and y as in T1, L4 leaves
    σ_x(τc₀y² − ψ(τc₀y)) ≥ σ_xτy²(c₀ − τψ(c₀)) ≥ σ_xτy²k₀.

    Examples
    --------
    >>> found = theorem_t2(gradient_norm=0.25, max_reward_std=0.5, diameter=1.0)
    >>> round(float(found.step), 6), round(float(found.gain), 6)
    (5.545177, 0.193147)
    """
    _, (top, D) = read_arguments(max_reward_std=max_reward_std, diameter=diameter)
    at_top = theorem_t1(gradient_norm, top, D)
    with quiet():
        return StepGain(at_top.step / top, at_top.gain)


def theorem_t3(
    num_steps: int,
    initial_gap: ArrayLike,
    diameter: ArrayLike,
    mean_reward_std: ArrayLike,
    max_reward_std: ArrayLike,
    *,
    num_prompts: int = 1,
) -> OrthogonalRates:
    """Bound mean gradients: ⟨‖g‖⟩² ≤ Γσ_maxΔ̄/T for REINFORCE, Γσ̄Δ̄/T for GRPO, Γ = D²/(4k₀).

    Ours, theory T3. Kind: upper bound.
    Holds when: prompts are orthogonal, each method runs at the step of T2 or T1, and σ̄ is the mean over
    prompts and iterations of GRPO's own run; any real rewards.

    Parameters
    ----------
    num_steps : int
        T.
    initial_gap : array_like, shape (...)
        Δ̄ = mean_x(sup J_x − J_x(θ₀)); at most 1 − mean success for binary rewards.
    diameter : array_like, shape (...)
        D, the largest of all prompts.
    mean_reward_std : array_like, shape (...)
        σ̄.
    max_reward_std : array_like, shape (...)
        σ_max ≥ sup σ.
    num_prompts : int
        n where one prompt is sampled a step (the means are then expectations); 1 for full batches.

    Returns
    -------
    OrthogonalRates
        Both bounds and their ratio.

    Raises
    ------
    ValueError
        If an argument is negative or not finite, a count is below 1, or σ̄ exceeds σ_max.

    Notes
    -----
    Symbols: initial_gap = Δ̄, mean_reward_std = σ̄, max_reward_std = σ_max. T1 telescopes to ⟨‖g‖²/σ⟩ ≤ ΓΔ̄/T,
    and ⟨‖g‖⟩² ≤ ⟨‖g‖²/σ⟩⟨σ⟩ by Cauchy–Schwarz.

    Examples
    --------
    >>> rates = theorem_t3(100, initial_gap=0.8, diameter=1.0, mean_reward_std=0.2, max_reward_std=0.5)
    >>> float(rates.ratio), round(float(rates.grpo), 6)
    (0.4, 0.001035)
    """
    T, n = read_count("num_steps", num_steps), read_count("num_prompts", num_prompts)
    _, (gap, D, mean, top) = read_arguments(
        initial_gap=initial_gap,
        diameter=diameter,
        mean_reward_std=mean_reward_std,
        max_reward_std=max_reward_std,
    )
    check_at_most(mean, top, "mean_reward_std", "max_reward_std")
    with quiet():
        Γ = D / (4 * GAIN_CONSTANT) * D
        ratio = np.where(top > 0, mean / np.where(top > 0, top, 1.0), 1.0)
        return OrthogonalRates(Γ * top * gap * n / T, Γ * mean * gap * n / T, ratio[()])


def theorem_c1(
    num_steps: int,
    initial_gap: ArrayLike,
    diameter: ArrayLike,
    reward_range: ArrayLike = 1.0,
    *,
    num_prompts: int = 1,
) -> SmoothnessRate:
    """Bound REINFORCE by its sharpest global smoothness: ⟨‖g‖²⟩ ≤ 2LΔ̄/T at α = 1/L, L = D²·range/(6√3).

    Ours, theory C1. Kind: upper bound.
    Holds when: prompts are orthogonal, and all rewards of a prompt lie within ``reward_range``.

    Parameters
    ----------
    num_steps : int
        T.
    initial_gap : array_like, shape (...)
        Δ̄.
    diameter : array_like, shape (...)
        D, the largest of all prompts.
    reward_range : array_like, shape (...)
        Largest reward less the smallest; 1 for binary rewards.
    num_prompts : int
        n where one prompt is sampled a step; 1 for full batches.

    Returns
    -------
    SmoothnessRate
        The gain factor is that of a step in which the prompt takes part.

    Raises
    ------
    ValueError
        If an argument is negative or not finite, or a count is below 1.

    Notes
    -----
    Symbols: initial_gap = Δ̄, diameter = D. For binary rewards better than T2 by the factor 8k₀/(3√3) = 0.595:
    see :func:`curvature.bounds.improvement_threshold`.

    Examples
    --------
    >>> rate = theorem_c1(100, initial_gap=0.8, diameter=1.0)
    >>> round(float(rate.step), 4), round(float(rate.mean_squared), 6)
    (10.3923, 0.00154)
    """
    T, n = read_count("num_steps", num_steps), read_count("num_prompts", num_prompts)
    _, (gap, D, spread) = read_arguments(
        initial_gap=initial_gap, diameter=diameter, reward_range=reward_range
    )
    with quiet():
        L = D * spread * D / (6 * sqrt(3))
        return SmoothnessRate(1 / L, 1 / (2 * L), 2 * L * gap * n / T)
