"""B1 and B2: what one step gains in total when the spans of the prompts overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.bounds._inputs import quiet, read_arguments
from curvature.bounds._sharp_lemmas import ascent_remainder

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["CertifiedStep", "SeparableGain", "theorem_b1", "theorem_b1_step", "theorem_b2"]


@dataclass(frozen=True)
class CertifiedStep:
    """The step with the largest certified gain.

    Attributes
    ----------
    step : ndarray, shape (...)
        α; 0 where the certificate allows no ascent.
    gain : ndarray, shape (...)
        What Σ_x J_x gains at least, never negative.
    """

    step: NDArray[np.float64]
    gain: NDArray[np.float64]


@dataclass(frozen=True)
class SeparableGain:
    """What B2 says of a step.

    Attributes
    ----------
    gain : ndarray, shape (...)
        Lower bound of the gain of Σ_x J_x; −inf where the weights give no bound.
    alignment : ndarray, shape (...)
        1 − δχ: where it is positive, a small enough step ascends.
    largest_shift : ndarray, shape (...)
        s_max, the bound of D‖P_xΔ‖/2 that was used.
    """

    gain: NDArray[np.float64]
    alignment: NDArray[np.float64]
    largest_shift: NDArray[np.float64]


def theorem_b1(slope: ArrayLike, reward_std: ArrayLike, spread: ArrayLike, step: ArrayLike) -> Any:
    """Certify the gain of a step Δ = αv: Σ_x[J_x(θ+Δ) − J_x(θ)] ≥ α·slope − Σ_xσ_xψ(α·spread_x/2).

    Ours, theory B1: the sum over prompts of L4. Kind: lower bound, sharp as the step tends to 0.
    Holds when: the policy is log-linear; any real rewards, any overlap, any sign of the inner products.

    Parameters
    ----------
    slope : array_like, shape (...)
        1ᵀGa = ⟨Σ_x g_x, v⟩ with v = Σ_x a_xg_x, the direction of the step.
    reward_std : array_like, shape (..., n)
        σ_x.
    spread : array_like, shape (..., n)
        D_x‖P_xv‖, or any larger number; or the width max_y⟨φ_xy, v⟩ − min_y⟨φ_xy, v⟩, which is never larger.
    step : array_like, shape (...)
        α ≥ 0.

    Returns
    -------
    ndarray, shape (...)
        The certified gain; negative or −inf where the step is too long.

    Raises
    ------
    ValueError
        If ``slope`` is not finite, or another argument is negative or not finite.

    Notes
    -----
    Symbols: step = α, reward_std = σ, ψ(s) = e^s − 1 − s. The width may take the place of the diameter
    because along one direction L2 and L3 see only w = ⟨v, φ⟩: its range bounds both sd(w²) and |∇_v log σ|.

    Examples
    --------
    >>> float(theorem_b1(0.25, [0.5], [0.5], 0.0))
    0.0
    >>> round(float(theorem_b1(0.0625, [0.5], [0.25], 4 * np.log(2) / 0.5)), 4)
    0.1931
    """
    b, σ, u, α = _read_certificate(slope, reward_std, spread, step)
    with quiet():
        return α * b - ascent_remainder(σ, u, α[..., None]).sum(axis=-1)


def theorem_b1_step(slope: ArrayLike, reward_std: ArrayLike, spread: ArrayLike) -> CertifiedStep:
    """Find the step of the largest certified gain: argmax_α α·slope − Σ_xσ_xψ(α·spread_x/2).

    Ours, theory B1. Kind: identity (the maximum of a concave function).
    Holds when: as for :func:`theorem_b1`.

    Parameters
    ----------
    slope : array_like, shape (...)
        1ᵀGa.
    reward_std : array_like, shape (..., n)
        σ_x.
    spread : array_like, shape (..., n)
        D_x‖P_xv‖ or the width.

    Returns
    -------
    CertifiedStep
        Both fields of shape (...); step 0 and gain 0 where the slope is not positive.

    Raises
    ------
    ValueError
        If ``slope`` is not finite, or another argument is negative or not finite.

    Notes
    -----
    The maximum is where Σ w_x(e^{αu_x} − 1) = slope, u_x = spread_x/2 and w_x = σ_xu_x. Each term alone must
    stay below the slope, which gives the upper end min_x log(1 + slope/w_x)/u_x; the left side is convex and
    increasing, so Newton's method descends from there to the root without ever crossing it, and no exponential
    overflows. One prompt gives α = log(1 + slope/w)/u at once.

    Examples
    --------
    >>> best = theorem_b1_step(0.0625, [0.5], [0.25])
    >>> round(float(best.step), 6), round(float(best.gain), 6)
    (5.545177, 0.193147)
    """
    b, σ, u, _ = _read_certificate(slope, reward_std, spread, 0.0)
    u = np.broadcast_to(u / 2, np.broadcast_shapes(u.shape, σ.shape, (*b.shape, 1)))
    # In units of the largest u neither tiny nor huge weights under- or overflow a product.
    unit = u.max(axis=-1)
    unit = np.where(unit > 0, unit, 1.0)
    with quiet():
        b, u = b / unit, u / unit[..., None]
        scaled = _root(b, σ, u)
        gain = np.maximum(theorem_b1(b, σ, 2 * u, scaled), 0.0)
        return CertifiedStep(np.minimum(scaled / unit, np.finfo(float).max)[()], gain)


def _root(b: NDArray[np.float64], σ: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve Σ σu(e^{αu} − 1) = b for α by Newton's method from above; 0 where b ≤ 0."""
    w = σ * u
    counts = w > 0
    live = (b > 0) & counts.any(axis=-1)
    target = np.where(live, b, 1.0)
    single = np.log1p(target[..., None] / np.where(counts, w, 1.0)) / np.where(counts, u, 1.0)
    α = np.where(live, np.where(counts, single, np.inf).min(axis=-1), 0.0)
    for _ in range(200):
        powers = α[..., None] * u
        excess = (w * np.expm1(powers)).sum(axis=-1) - target
        steepness = (w * u * np.exp(powers)).sum(axis=-1)
        move = np.where(live, excess / np.where(steepness > 0, steepness, np.inf), 0.0)
        settled = ~(move > 1e-15 * α)
        α = np.where(settled, α, α - move)
        if settled.all():
            break
    return α


def theorem_b2(
    gradient_norm: ArrayLike,
    reward_std: ArrayLike,
    overlap: ArrayLike,
    diameter: float,
    weights: ArrayLike,
    step: float,
    *,
    largest_shift: float | None = None,
) -> SeparableGain:
    """Bound the gain below by norms alone: α(1−δχ)Σa‖g‖² − (D²/4)α²(ψ(s)/s²)(1+δ)Σa²‖g‖²σ̃, s = s_max.

    Ours, theory B2. Kind: lower bound.
    Holds when: the policy is log-linear, weights are not negative, and s_max ≥ D‖P_xΔ‖/2 for every prompt; any
    real rewards, any sign of the inner products. Never above B1 with spreads D‖P_xv‖.

    Parameters
    ----------
    gradient_norm : array_like, shape (..., n)
        ‖g_x‖.
    reward_std : array_like, shape (..., n)
        σ_x.
    overlap : array_like, shape (n, n)
        c_xx' = ‖P_xP_x'‖, symmetric with ones on the diagonal.
    diameter : float
        D, the largest diameter of a prompt.
    weights : array_like, shape (..., n)
        a_x ≥ 0.
    step : float
        α ≥ 0.
    largest_shift : float, optional
        s_max; (D/2)α max_x Σ_x' c_xx'a_x'‖g_x'‖, which always serves, when left out.

    Returns
    -------
    SeparableGain
        The bound, 1 − δχ and s_max.

    Raises
    ------
    ValueError
        If an argument is negative or not finite, or overlap is not a symmetric matrix with entries in [0, 1]
        and ones on its diagonal.

    Notes
    -----
    Symbols: δ = max_x Σ_{x'≠x}c_xx', χ = max (a_x+a_x')/(2√(a_xa_x')) over overlapping pairs of
    non-zero gradients, σ̃ = cσ.

    Proof. First order: 1ᵀGa = ½Σ_xx'(a_x+a_x')G_xx', and |G_xx'| ≤ c_xx'‖g_x‖‖g_x'‖ with a_x+a_x' ≤
    2χ√(a_xa_x') leaves at least Σa‖g‖² − χ vᵀ(c − I)v, v_x = √a_x‖g_x‖; the largest eigenvalue of a matrix
    c − I ≥ 0 is at most its largest row sum δ. Second order: ψ(s)/s² increases, so Σσψ(s_x) ≤ (ψ(s_max)/s_max²)
    Σσs_x², s_x = D‖P_xΔ‖/2; by Cauchy–Schwarz ‖P_xΔ‖² ≤ α²(Σ_x'c_xx'a_x'‖g_x'‖)² ≤ α²(1+δ)Σ_x'c_xx'a_x'²‖g_x'‖²,
    and exchanging the sums over x and x' turns Σ_xσ_xc_xx' into σ̃_x'.

    Examples
    --------
    >>> alone = theorem_b2([0.25], [0.5], [[1.0]], 1.0, [2.0], 4 * np.log(2))
    >>> round(float(alone.gain), 6)
    0.193147
    """
    xp, (g, σ, c, D, a, α) = read_arguments(
        gradient_norm=gradient_norm,
        reward_std=reward_std,
        overlap=overlap,
        diameter=diameter,
        weights=weights,
        step=step,
    )
    if xp is not np:
        raise ValueError("theorem_b2 takes numpy arrays; convert the tensors first.")
    _check_overlap(c, g.shape[-1] if g.ndim else 0)
    off = c - np.eye(len(c))
    δ = off.sum(axis=1).max()
    with quiet():
        # α with a from the start: neither alone need be of ordinary size.
        moves = α * a * g
        live = (g > 0)[..., :, None] & (g > 0)[..., None, :]
        alignment = 1 - largest_disparity(a, (off > 0) & live) * δ if δ > 0 else np.ones(np.shape(moves)[:-1])
        if largest_shift is None:
            s = D / 2 * (moves @ c).max(axis=-1)
        else:
            (s,) = read_arguments(largest_shift=largest_shift)[1]
        # ψ(s)/s² = ½ + s/6 + … at 0; ascent_remainder keeps its precision for every s.
        curvature = np.where(s > 0, ascent_remainder(1.0, 2.0, s) / np.where(s > 0, s, 1.0) ** 2, 0.5)
        linear = (moves * g).sum(axis=-1)
        # With D/2 in it from the start: without, it may underflow, and the bound would promise too much.
        reach = D / 2 * moves
        square = (reach * reach * (σ @ c)).sum(axis=-1)
        first = np.where(linear > 0, alignment * linear, 0.0)
        second = np.where(square > 0, curvature * square, 0.0)
        gain = first - (1 + δ) * second
    # Where both parts overflow the bound says nothing.
    return SeparableGain(np.where(np.isnan(gain), -np.inf, gain)[()], alignment[()], np.asarray(s)[()])


def largest_disparity(weights: NDArray[np.float64], pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """χ over the pairs named: infinite where one weight of a pair is 0 and the other is not."""
    root = np.sqrt(weights)
    first, second = root[..., :, None], root[..., None, :]
    with quiet():
        ratio = np.where(first + second > 0, (first / second + second / first) / 2, 1.0)
    return np.maximum(np.where(pairs, ratio, 1.0).max(axis=(-1, -2)), 1.0)


def _check_overlap(overlap: NDArray[np.float64], n: int) -> None:
    if overlap.shape != (n, n):
        raise ValueError(f"overlap has shape {overlap.shape}; ({n}, {n}) is needed, one row a prompt.")
    lawful = (
        (overlap <= 1 + 1e-9).all() and np.allclose(overlap, overlap.T) and np.allclose(np.diag(overlap), 1)
    )
    if not lawful:
        raise ValueError(
            f"overlap must be symmetric, in [0, 1], with ones on its diagonal, got entries from {overlap.min()} "
            f"to {overlap.max()} and diagonal {np.diag(overlap).tolist()}."
        )


def _read_certificate(
    slope: ArrayLike, reward_std: ArrayLike, spread: ArrayLike, step: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    b = np.asarray(slope, dtype=np.float64)
    if not np.isfinite(b).all():
        raise ValueError(f"slope holds {b[~np.isfinite(b)][0]}; every value must be finite.")
    xp, (σ, u) = read_arguments(reward_std=reward_std, spread=spread)
    (α,) = read_arguments(step=step)[1]
    if xp is not np or σ.ndim == 0 or u.ndim == 0:
        raise ValueError(
            f"reward_std and spread have shapes {σ.shape} and {u.shape}; numpy arrays of shape (..., n) are needed."
        )
    return b, σ, u, α
