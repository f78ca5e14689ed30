"""The paper's assumptions A1–A5 as measurements: does it hold, by what margin, where is it worst.

Each check takes a problem (and, where the assumption speaks of a run, the parameters of that run) and returns
what it measured beside the verdict, so that a theorem that needs a constant, A4's M or A5's R₁ and R₂, can be
given the smallest one for which it applies. A constant of infinity means that no constant will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curvature.geometry import spectral_norm
from curvature.moments import moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from curvature.bandit import LogLinearBandit

__all__ = [
    "AssumptionCheck",
    "ScaleRegularity",
    "check_bounded_variance",
    "check_cross_prompt",
    "check_orthogonal",
    "check_unique_answer",
    "scale_regularity",
]


@dataclass(frozen=True)
class AssumptionCheck:
    """What a check found.

    Attributes
    ----------
    assumption : str
        "A1" … "A4" of arXiv:2601.23135v1.
    holds : bool
        Whether the assumption holds on everything that was given.
    margin : float
        How far the worst place is from failing, in the units that the check states; negative (A4: not
        positive) where it fails.
    where : tuple of int
        Index of the worst place in ``values``.
    values : ndarray
        What was measured at every place.
    constant : float
        The smallest constant with which the assumption holds (A4's M); NaN where it has none.
    """

    assumption: str
    holds: bool
    margin: float
    where: tuple[int, ...]
    values: NDArray[np.float64]
    constant: float = float("nan")


@dataclass(frozen=True)
class ScaleRegularity:
    """The constants of assumption A5 for the parameters given.

    Attributes
    ----------
    holds : bool
        Whether both constants are finite.
    gradient_ratio : float
        R₁, the largest ‖∇J_i‖/‖∇J_j‖ at one θ.
    std_ratio : float
        R₂, the largest σ_i/σ_j at one θ.
    margin : float
        min(1/R₁, 1/R₂): 0 where A5 fails.
    where : tuple of int
        Index, among the leading axes of theta, of the θ of the margin.
    values : ndarray, shape (..., 2)
        R₁ and R₂ at each θ.
    """

    holds: bool
    gradient_ratio: float
    std_ratio: float
    margin: float
    where: tuple[int, ...]
    values: NDArray[np.float64]


def check_unique_answer(bandit: LogLinearBandit) -> AssumptionCheck:
    """Check that each prompt has exactly one correct response: r_i is one-hot for every i.

    Implements assumption A1, arXiv:2601.23135v1. Kind: assumption.
    Holds when: one existing response of each prompt has reward 1 and the others reward 0.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts.

    Returns
    -------
    AssumptionCheck
        ``values`` (n,): the number of rewards that a prompt must change for the assumption to hold;
        ``margin``: minus the largest of them, 0 if it holds.

    Notes
    -----
    Symbols: r rewards.

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> check_unique_answer(LogLinearBandit.two_arm([0.2, 0.5])).holds
    True
    >>> check_unique_answer(LogLinearBandit([[[0.0], [1.0], [2.0]]], [[1, 1, 0.5]])).values.tolist()
    [2.0]
    """
    correct = ((bandit.rewards == 1) & bandit.mask).sum(axis=1)
    neither = ((bandit.rewards != 1) & (bandit.rewards != 0) & bandit.mask).sum(axis=1)
    # With no correct response one of the others becomes it: a reward that is neither 0 nor 1 if there is one.
    changes = np.where(correct >= 1, correct - 1 + neither, np.maximum(neither, 1)).astype(np.float64)
    worst = int(changes.argmax())
    return AssumptionCheck("A1", bool(changes[worst] == 0), 0.0 - float(changes[worst]), (worst,), changes)


def check_orthogonal(
    bandit: LogLinearBandit, *, tolerance: float = 1e-12, centered: bool = False
) -> AssumptionCheck:
    """Check that the features of different prompts are orthogonal: X_iX_jᵀ = 0 for i ≠ j.

    Implements assumption A2, arXiv:2601.23135v1. Kind: assumption.
    Holds when: ‖X_iX_jᵀ‖_F ≤ tolerance · ‖X_i‖_F‖X_j‖_F for every pair; both sides are 0 where X_i = 0.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts.
    tolerance : float
        What still counts as 0; the default is a thousand times the rounding of the products.
    centered : bool
        Subtract each prompt's mean feature first. The policy sees differences of features only, so the
        theorems that assume A2 need no more than this; it does not change when features are shifted.

    Returns
    -------
    AssumptionCheck
        ``values`` (n, n): ‖X_iX_jᵀ‖_F/(‖X_i‖_F‖X_j‖_F) in [0, 1], 0 on the diagonal;
        ``margin``: the tolerance less the largest.

    Raises
    ------
    ValueError
        If ``tolerance`` is negative or NaN.

    Notes
    -----
    Symbols: X_i features of a prompt.

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> check_orthogonal(LogLinearBandit.two_arm([0.2, 0.5])).holds
    True
    >>> check_orthogonal(LogLinearBandit.two_arm([0.2, 0.5], overlap=0.3)).values.round(12).tolist()
    [[0.0, 0.3], [0.3, 0.0]]
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}; a number of at least 0 is needed.")
    features = bandit.centered_features if centered else bandit.features
    n, K, d = features.shape
    scale = np.abs(features).max(axis=(1, 2), keepdims=True)
    scaled = features / np.where(scale > 0, scale, 1.0)
    norm = np.linalg.norm(scaled, axis=(1, 2), keepdims=True)
    scaled = scaled / np.where(norm > 0, norm, 1.0)
    flat = scaled.reshape(n * K, d)
    values = np.empty((n, n))
    for i in range(n):
        values[i] = np.linalg.norm((flat @ scaled[i].T).reshape(n, K * K), axis=1)
    np.fill_diagonal(values, 0.0)
    margin, where = _worst(tolerance - values)
    return AssumptionCheck("A2", margin >= 0, margin, where, values)


def check_bounded_variance(reward_std: ArrayLike, bound: ArrayLike) -> AssumptionCheck:
    """Check a bound on the reward std along runs: σ_i(θ_t) ≤ C_{i,t} ≤ 1/2.

    Implements assumption A3, arXiv:2601.23135v1. Kind: assumption.
    Holds when: 0 < C and σ ≤ C ≤ 1/2 at every place given. The bound must not depend on the run: pass the
    std of all runs that may happen. :func:`curvature.bounds.smallest_variance_bound` gives the smallest bound
    that holds for every sequence of sampled prompts.

    Parameters
    ----------
    reward_std : array_like
        σ, any shape, for instance (runs, T, n).
    bound : array_like
        C, of a shape that broadcasts to that of ``reward_std``.

    Returns
    -------
    AssumptionCheck
        ``values``: min(C − σ, 1/2 − C) at each place, the shape of ``reward_std``; ``margin``: its smallest.

    Raises
    ------
    ValueError
        If a std is negative or not finite, a bound is not positive, or the shapes do not fit.

    Notes
    -----
    Symbols: reward_std = σ, bound = C.

    Examples
    --------
    >>> check_bounded_variance([0.2, 0.3], 0.4).holds
    True
    >>> check_bounded_variance([0.2, 0.45], 0.4).where
    (1,)
    """
    σ = np.asarray(reward_std, dtype=np.float64)
    C = np.asarray(bound, dtype=np.float64)
    bad = ~(np.isfinite(σ) & (σ >= 0))
    if σ.size == 0 or bad.any():
        told = σ[bad][0] if σ.size else "empty"
        raise ValueError(f"reward_std is {told}; a finite number of at least 0 is needed at every place.")
    if not (C > 0).all():
        raise ValueError(f"bound is {C[~(C > 0)][0]}; assumption A3 needs a positive number at every place.")
    try:
        C = np.broadcast_to(C, σ.shape)
    except ValueError:
        raise ValueError(
            f"bound has shape {C.shape}, which does not broadcast to that of reward_std, {σ.shape}."
        ) from None
    values = np.minimum(C - σ, 0.5 - C)
    margin, where = _worst(values)
    return AssumptionCheck("A3", margin >= 0, margin, where, values)


def check_cross_prompt(
    bandit: LogLinearBandit,
    theta: ArrayLike | None = None,
    *,
    gradients: ArrayLike | None = None,
    tolerance: float = 1e-12,
) -> AssumptionCheck:
    """Find the smallest M with M⟨∇J_i, ∇J_j⟩ ≥ ‖X_i∇J_j‖²/‖X_i‖² for all i ≠ j.

    Implements assumption A4, arXiv:2601.23135v1. Kind: assumption.
    Holds when: M is finite, that is when no pair with X_i∇J_j ≠ 0 has an inner product ≤ 0. One negative
    cosine between two prompts' gradients therefore refutes it, whatever the features.

    Parameters
    ----------
    bandit : LogLinearBandit
        Its features X_i, as they stand: A4 is not unchanged by a shift of the features.
    theta : array_like, shape (..., d), optional
        Where to take the gradients; leading axes may be the steps of a run.
    gradients : array_like, shape (..., n, d), optional
        The gradients themselves, in place of theta.
    tolerance : float
        ‖X_i∇J_j‖ ≤ tolerance · ‖X_i‖‖∇J_j‖ counts as 0 (the pair is orthogonal and needs no M).

    Returns
    -------
    AssumptionCheck
        ``constant``: M, infinite where A4 fails, 0 where any positive M will do;
        ``values`` (..., n, n): the smallest M of each pair (i, j), 0 on the diagonal;
        ``margin``: the smallest cosine of a pair with X_i∇J_j ≠ 0, positive where A4 holds, infinite where
        all pairs are orthogonal; ``where``: the index of M.

    Raises
    ------
    ValueError
        If not exactly one of theta and gradients is given, a shape is wrong or a gradient is not finite.

    Notes
    -----
    Symbols: constant = M, X_i features.

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> pulling_together = LogLinearBandit.two_arm([0.5, 0.5], overlap=0.25)
    >>> check_cross_prompt(pulling_together, [0.0, 0.0, 0.0]).constant
    0.25
    >>> apart = LogLinearBandit(pulling_together.features, [[0, 1], [1, 0]])
    >>> check_cross_prompt(apart, [0.0, 0.0, 0.0]).constant
    inf
    """
    g = _read_gradients(bandit, theta, gradients)
    length, unit = _length_and_direction(g)
    # The prompt's own norm, as the assumption has it; a prompt without features has X_i∇J_j = 0 for every j.
    norms = spectral_norm(bandit)
    scaled = bandit.features / np.where(norms > 0, norms, 1.0)[:, None, None]
    images = np.einsum("ikd,...jd->...ijk", scaled, unit, optimize=True)
    pull = np.linalg.norm(images, axis=-1)
    cosine = unit @ np.swapaxes(unit, -1, -2)
    off_diagonal = ~np.eye(bandit.num_prompts, dtype=bool)
    coupled = (pull > tolerance) & off_diagonal
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        # In this order no square of a gradient is formed: it would underflow for rare successes.
        needed = pull * (pull / cosine) * (length[..., None, :] / length[..., :, None])
    values = np.where(coupled, np.where((cosine > 0) & ~np.isnan(needed), needed, np.inf), 0.0)
    margin, _ = _worst(np.where(coupled, cosine, np.inf))
    smallest, where = _worst(-values)
    return AssumptionCheck("A4", bool(np.isfinite(smallest)), margin, where, values, 0.0 - smallest)


def scale_regularity(
    bandit: LogLinearBandit,
    theta: ArrayLike | None = None,
    *,
    gradients: ArrayLike | None = None,
    reward_std: ArrayLike | None = None,
) -> ScaleRegularity:
    """Find the smallest R₁, R₂ with ‖∇J_i‖/‖∇J_j‖ ≤ R₁ and σ_i/σ_j ≤ R₂ for all i, j.

    Implements assumption A5, arXiv:2601.23135v1. Kind: assumption.
    Holds when: both are finite: no prompt's gradient or reward std vanishes.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts.
    theta : array_like, shape (..., d), optional
        Parameters; leading axes may be the steps of a run, of which the worst counts.
    gradients : array_like, shape (..., n, d), optional
        Gradients in place of theta; needs ``reward_std``.
    reward_std : array_like, shape (..., n), optional
        σ, when gradients are given.

    Returns
    -------
    ScaleRegularity
        R₁ and R₂, infinite where a gradient or a std is zero.

    Raises
    ------
    ValueError
        If not exactly one of theta and gradients (with its stds) is given, or a shape or value is wrong.

    Notes
    -----
    Symbols: gradient_ratio = R₁, std_ratio = R₂, reward_std = σ.

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> found = scale_regularity(LogLinearBandit.two_arm([0.2, 0.5]), [0.0, 0.0])
    >>> round(found.gradient_ratio, 6), round(found.std_ratio, 6)
    (1.5625, 1.25)
    """
    if (reward_std is None) != (gradients is None):
        raise ValueError("reward_std and gradients belong together; give both, or theta alone.")
    g = _read_gradients(bandit, theta, gradients)
    if reward_std is None:
        assert theta is not None
        σ = moments(bandit, theta).reward_std
    else:
        σ = np.asarray(reward_std, dtype=np.float64)
    if σ.shape != g.shape[:-1] or not (np.isfinite(σ) & (σ >= 0)).all():
        raise ValueError(
            f"reward_std has shape {σ.shape}; finite numbers of at least 0 of shape {g.shape[:-1]} are needed."
        )
    length, _ = _length_and_direction(g)
    values = np.stack([_largest_ratio(length), _largest_ratio(σ)], axis=-1)
    R1, R2 = values.reshape(-1, 2).max(axis=0)
    margin, where = _worst(1 / values.max(axis=-1))
    return ScaleRegularity(bool(np.isfinite(max(R1, R2))), float(R1), float(R2), margin, where, values)


def _largest_ratio(positive: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = positive.min(axis=-1), positive.max(axis=-1)
    with np.errstate(over="ignore"):
        return np.where(low > 0, high / np.where(low > 0, low, 1.0), np.inf)


def _worst(margins: NDArray[np.float64]) -> tuple[float, tuple[int, ...]]:
    where = np.unravel_index(int(np.argmin(margins)), margins.shape)
    return float(margins[where]), tuple(int(i) for i in where)


def _length_and_direction(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give norms, and vectors of norm 1 (zero for a zero vector), without squaring what would underflow.

    Returns
    -------
    length : ndarray, shape (...)
        The norms.
    unit : ndarray, shape (..., d)
        The directions.
    """
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    scaled = vectors / np.where(largest > 0, largest, 1.0)
    norm = np.linalg.norm(scaled, axis=-1, keepdims=True)
    return (norm * largest)[..., 0], scaled / np.where(norm > 0, norm, 1.0)


def _read_gradients(
    bandit: LogLinearBandit, theta: ArrayLike | None, gradients: ArrayLike | None
) -> NDArray[np.float64]:
    if (theta is None) == (gradients is None):
        raise ValueError("exactly one of theta and gradients is needed.")
    if theta is not None:
        return moments(bandit, theta).gradient
    g = np.asarray(gradients, dtype=np.float64)
    if g.ndim < 2 or g.shape[-2:] != (bandit.num_prompts, bandit.dimension):
        needed = f"(..., {bandit.num_prompts}, {bandit.dimension})"
        raise ValueError(f"gradients has shape {g.shape}; {needed} is needed to match the bandit.")
    if not np.isfinite(g).all():
        raise ValueError(f"gradients holds {g[~np.isfinite(g)][0]}; every value must be finite.")
    return g
