"""How much of GRPO's advantage comes from where: T4 and T5 of the theory, for orthogonal prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curvature.bounds._inputs import quiet, read_arguments
from curvature.bounds._sharp_lemmas import curvature_profile
from curvature.bounds._theorem_inputs import check_at_most

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["PointwiseSpeedup", "StdDecomposition", "theorem_t4", "theorem_t5"]


@dataclass(frozen=True)
class StdDecomposition:
    """The two factors of σ̄/σ_max, each in [0, 1].

    Attributes
    ----------
    across_iterations : ndarray, shape (...)
        ⟨m_t⟩/σ_max, m_t = max_x σ_x(θ_t): a schedule or a global normaliser can have it.
    across_prompts : ndarray, shape (...)
        σ̄/⟨m_t⟩: only per-prompt normalisation has it.
    total : ndarray, shape (...)
        Their product.
    """

    across_iterations: NDArray[np.float64]
    across_prompts: NDArray[np.float64]
    total: NDArray[np.float64]


@dataclass(frozen=True)
class PointwiseSpeedup:
    """The ratio, GRPO over REINFORCE, of the gains of one step, each at its own best step.

    Attributes
    ----------
    by_std : ndarray, shape (...)
        κ with curvature D²σ/4 (L2): never below 1.
    by_profile : ndarray, shape (...) or None
        The same with curvature D²ℓ(p) (C1), which can fall below 1; None where success was not given.
    """

    by_std: NDArray[np.float64]
    by_profile: NDArray[np.float64] | None


def theorem_t4(reward_std: ArrayLike, max_reward_std: ArrayLike | None = None) -> StdDecomposition:
    """Split σ̄/σ_max = (⟨m_t⟩/σ_max)·(σ̄/⟨m_t⟩), m_t = max_x σ_x(θ_t): across iterations × across prompts.

    Ours, theory T4. Kind: identity.
    Holds when: always.

    Parameters
    ----------
    reward_std : array_like, shape (..., T, n)
        σ_x(θ_t) along GRPO's run.
    max_reward_std : array_like, shape (...), optional
        σ_max; the largest of reward_std when left out.

    Returns
    -------
    StdDecomposition
        Factors of 1 where every std is 0.

    Raises
    ------
    ValueError
        If a std is negative or not finite, the shape is wrong, or a std exceeds σ_max.

    Notes
    -----
    Symbols: reward_std = σ.

    Examples
    --------
    >>> split = theorem_t4([[0.5, 0.25], [0.25, 0.125]])
    >>> float(split.across_iterations), float(split.across_prompts), float(split.total)
    (0.75, 0.75, 0.5625)
    """
    _, (σ,) = read_arguments(reward_std=reward_std)
    if σ.ndim < 2 or 0 in σ.shape[-2:]:
        raise ValueError(f"reward_std has shape {σ.shape}; (..., T, n) is needed.")
    largest = σ.max(axis=(-2, -1))
    top = largest if max_reward_std is None else read_arguments(max_reward_std=max_reward_std)[1][0]
    check_at_most(largest, top, "reward_std", "max_reward_std")
    peaks, mean = σ.max(axis=-1).mean(axis=-1), σ.mean(axis=(-2, -1))
    iterations = np.where(top > 0, peaks / np.where(top > 0, top, 1.0), 1.0)
    prompts = np.where(peaks > 0, mean / np.where(peaks > 0, peaks, 1.0), 1.0)
    return StdDecomposition(iterations[()], prompts[()], (iterations * prompts)[()])


def theorem_t5(
    gradient_norm: ArrayLike, reward_std: ArrayLike, success: ArrayLike | None = None
) -> PointwiseSpeedup:
    """Compare one step of each method at its best: κ = [Σ‖g‖²/σ][Σσ‖g‖²]/[Σ‖g‖²]² ≥ 1.

    With h in place of σ/4 for the curvature, κ_h = [Σ‖g‖²/σ]²[Σh‖g‖²]/([Σh‖g‖²/σ²][Σ‖g‖²]²).

    Ours, theory T5. Kind: identity; κ ≥ 1 with equality iff σ is the same wherever g ≠ 0 (Cauchy–Schwarz).
    Holds when: prompts are orthogonal, of one diameter, and steps are short (ψ(s) ≈ s²/2). For steps of any
    length and overlapping prompts see :func:`curvature.interference.certified_speedup`.

    Parameters
    ----------
    gradient_norm : array_like, shape (..., n)
        ‖g_x‖, zero where σ_x is.
    reward_std : array_like, shape (..., n)
        σ_x.
    success : array_like, shape (..., n), optional
        p_x, for the ratio with C1's curvature.

    Returns
    -------
    PointwiseSpeedup
        NaN where every gradient is 0; by_profile also where success is 0 or 1 wherever there is a gradient.

    Raises
    ------
    ValueError
        If an argument is out of its range, or a gradient is non-zero where the std is 0.

    Notes
    -----
    Symbols: gradient_norm = ‖g_x‖, reward_std = σ_x, success = p_x. Weights a gain at best
    (Σa‖g‖²)²/(2D²Σha²‖g‖²); κ_h is its ratio at a = 1/σ and a = 1.

    Examples
    --------
    >>> round(float(theorem_t5([0.16, 0.25], [0.4, 0.5]).by_std), 4)
    1.0103
    >>> twins = theorem_t5([0.25, 0.136584], [0.5, 0.273168], success=[0.5, 0.081217])  # of one curvature, D²/16
    >>> twins.by_std > 1 > twins.by_profile
    np.True_
    """
    _, (g, σ) = read_arguments(gradient_norm=gradient_norm, reward_std=reward_std)
    if g.ndim == 0:
        raise ValueError("gradient_norm is a single number; an array of shape (..., n) is needed.")
    if np.any((σ == 0) & (g > 0)):
        raise ValueError(
            "reward_std is 0 where gradient_norm is not; the gradient of a prompt of zero std is 0."
        )
    scale = g.max(axis=-1, keepdims=True)
    square = (g / np.where(scale > 0, scale, 1.0)) ** 2
    a = 1 / np.where(σ > 0, σ, np.inf)
    profile = None if success is None else curvature_profile(success)
    with quiet():
        first = (square * a).sum(axis=-1) / square.sum(axis=-1)
        by_std = first * ((σ * square).sum(axis=-1) / square.sum(axis=-1))
        if profile is None:
            return PointwiseSpeedup(by_std, None)
        ratio = (profile * square).sum(axis=-1) / (profile * square * a * a).sum(axis=-1)
        return PointwiseSpeedup(by_std, first * first * ratio)
