"""B1 on a bandit: the certified gain, the certified step and the certified speed-up of any weighting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args
from weakref import WeakKeyDictionary

import numpy as np

from curvature.bounds._interference_bounds import CertifiedStep, theorem_b1, theorem_b1_step
from curvature.geometry import feature_diameter
from curvature.moments import moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from curvature.bandit import LogLinearBandit

__all__ = ["Spread", "certified_gain", "certified_speedup", "certified_step", "span_bases"]

Spread = Literal["diameter", "width"]

# What a bandit's certificates need at every θ, kept for as long as the bandit is.
_BASES: WeakKeyDictionary[LogLinearBandit, NDArray[np.float64]] = WeakKeyDictionary()
_DIAMETERS: WeakKeyDictionary[LogLinearBandit, NDArray[np.float64]] = WeakKeyDictionary()
# A direction counts as spanned if its singular value exceeds this share of the prompt's largest.
_RANK_TOLERANCE = 1e-12


def span_bases(bandit: LogLinearBandit, *, tolerance: float = _RANK_TOLERANCE) -> NDArray[np.float64]:
    """Find orthonormal bases of span{φ(x,y) − φ(x,y')}: rows u with P_x = Σ uuᵀ.

    Ours, theory II.0. Kind: identity.
    Holds when: always; the rank is numerical.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, K responses, dimension d.
    tolerance : float
        Singular values of the centred features at most this share of the prompt's largest count as 0.

    Returns
    -------
    ndarray, shape (n, m, d)
        m = min(K, d); a prompt of lower rank has rows of zeros at the end, which change no projection.

    Raises
    ------
    ValueError
        If ``tolerance`` is not in [0, 1).

    Notes
    -----
    Symbols: P_x projector, φ features. Kept for as long as the bandit is, for the default tolerance.

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> abs(span_bases(LogLinearBandit.two_arm([0.5, 0.5]))[:, 0]).round(12).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance is {tolerance}; a number in [0, 1) is needed.")
    kept = _BASES.get(bandit) if tolerance == _RANK_TOLERANCE else None
    if kept is not None:
        return kept
    features = bandit.centered_features
    scale = np.abs(features).max(axis=(1, 2), keepdims=True)
    _, values, rows = np.linalg.svd(features / np.where(scale > 0, scale, 1.0), full_matrices=False)
    # Centring loses digits where the mean is large beside the differences; what it leaves behind is not a direction.
    noise = np.abs(bandit.features).max(axis=(1, 2)) * np.finfo(float).eps * max(features.shape[1:])
    floor = np.maximum(tolerance * values[:, 0], noise / np.where(scale > 0, scale, 1.0)[:, 0, 0])
    rows = np.where((values > floor[:, None])[..., None], rows, 0.0)
    rows.setflags(write=False)
    if tolerance == _RANK_TOLERANCE:
        _BASES[bandit] = rows
    return rows


def certified_gain(
    bandit: LogLinearBandit,
    theta: ArrayLike,
    weights: ArrayLike,
    step: ArrayLike,
    *,
    spread: Spread = "diameter",
) -> Any:
    """Certify the gain of Δ = αΣa_xg_x: Σ_x[J_x(θ+Δ) − J_x(θ)] ≥ α1ᵀGa − Σ_xσ_xψ(D_x‖P_xΔ‖/2).

    Ours, theory B1. Kind: lower bound, sharp as the step tends to 0.
    Holds when: always; any rewards, overlap and weights. Prompts count alike: prompt weights are not used.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, dimension d.
    theta : array_like, shape (..., d)
        Where the step starts.
    weights : array_like, shape (..., n)
        a_x, any sign: 1 for REINFORCE, 1/σ_x for GRPO (0, not infinity, where σ_x = 0: g_x is 0 there).
    step : array_like, shape (...)
        α ≥ 0.
    spread : {"diameter", "width"}
        D_x‖P_xΔ‖, as in B1; or the width max_y⟨φ_xy, Δ⟩ − min_y⟨φ_xy, Δ⟩, which is never larger, needs no
        basis of the span, and certifies at least as much.

    Returns
    -------
    ndarray, shape (...)
        The certified gain of the sum over prompts; negative or −inf where the step is too long.

    Raises
    ------
    ValueError
        If a shape or value is wrong or ``spread`` is neither of the two.

    Notes
    -----
    Symbols: weights = a, step = α, G Gram matrix of the gradients, ψ(s) = e^s − 1 − s.

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> bandit = LogLinearBandit.two_arm([0.5])
    >>> round(float(certified_gain(bandit, [0.0], [2.0], 4 * np.log(2))), 6)
    0.193147
    """
    slope, reward_std, lengths = _ingredients(bandit, theta, weights, spread)
    return theorem_b1(slope, reward_std, lengths, step)


def certified_step(
    bandit: LogLinearBandit, theta: ArrayLike, weights: ArrayLike, *, spread: Spread = "diameter"
) -> CertifiedStep:
    """Find the step α of the largest certified gain of Δ = αΣa_xg_x, and that gain.

    Ours, theory B1. Kind: identity (the maximum of a concave function).
    Holds when: always, as :func:`certified_gain`.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, dimension d.
    theta : array_like, shape (..., d)
        Where the step starts.
    weights : array_like, shape (..., n)
        a_x, any sign.
    spread : {"diameter", "width"}
        As for :func:`certified_gain`.

    Returns
    -------
    CertifiedStep
        ``step`` and ``gain`` of shape (...); both 0 where the weighted direction does not point uphill.

    Raises
    ------
    ValueError
        If a shape or value is wrong or ``spread`` is neither of the two.

    Notes
    -----
    Symbols: step = α, weights = a. Multiplying all weights by a number divides the step by it and leaves the
    gain as it is: the certified gain compares weightings at matched scale.

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> best = certified_step(LogLinearBandit.two_arm([0.5, 0.5]), [0.0, 0.0], [2.0, 2.0])
    >>> round(float(best.step), 6), round(float(best.gain), 6)  # 4 log 2 and 2·½(2 log 2 − 1)
    (2.772589, 0.386294)
    """
    return theorem_b1_step(*_ingredients(bandit, theta, weights, spread))


def certified_speedup(
    bandit: LogLinearBandit,
    theta: ArrayLike,
    weights: ArrayLike,
    reference: ArrayLike | None = None,
    *,
    spread: Spread = "diameter",
) -> Any:
    """Compare two weightings by their largest certified gains: max_α gain(a) / max_α gain(a_ref).

    Ours, theory B1; for orthogonal prompts and short steps this is κ of theory T5. Kind: identity.
    Holds when: always. It compares certificates: the measured gains of one step may compare otherwise. Unlike
    κ it can fall below 1 for 1/σ_x and orthogonal prompts, where the prompt of the larger std has the smaller
    ‖g_x‖/(D_xσ_x).

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, dimension d.
    theta : array_like, shape (..., d)
        Where the step starts.
    weights : array_like, shape (..., n)
        a_x of the method.
    reference : array_like, shape (..., n), optional
        a_x of the method compared with; all ones (REINFORCE) when left out.
    spread : {"diameter", "width"}
        As for :func:`certified_gain`.

    Returns
    -------
    ndarray, shape (...)
        The ratio; infinite where only the reference cannot be certified to ascend, NaN where neither can.

    Raises
    ------
    ValueError
        If a shape or value is wrong or ``spread`` is neither of the two.

    Notes
    -----
    Symbols: weights = a.

    Examples
    --------
    >>> from curvature import LogLinearBandit, moments
    >>> bandit = LogLinearBandit.two_arm([0.02, 0.5])
    >>> reward_std = moments(bandit, [0.0, 0.0]).reward_std
    >>> round(float(certified_speedup(bandit, [0.0, 0.0], 1 / reward_std)), 3)
    1.015
    """
    ones = np.ones(bandit.num_prompts)
    ours = certified_step(bandit, theta, weights, spread=spread).gain
    theirs = certified_step(bandit, theta, ones if reference is None else reference, spread=spread).gain
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(ours, theirs)


def _ingredients(
    bandit: LogLinearBandit, theta: ArrayLike, weights: ArrayLike, spread: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute 1ᵀGa, σ and the spread of each prompt's features along v = Σ a_xg_x.

    Returns
    -------
    slope : ndarray, shape (...)
        ⟨Σ g_x, v⟩.
    reward_std : ndarray, shape (..., n)
        σ_x.
    lengths : ndarray, shape (..., n)
        D_x‖P_xv‖ or the width.

    Raises
    ------
    ValueError
        If weights or spread are wrong.
    """
    if spread not in get_args(Spread):
        raise ValueError(f"spread is {spread!r}; choose one of {', '.join(get_args(Spread))}.")
    a = np.asarray(weights, dtype=np.float64)
    if a.ndim == 0 or a.shape[-1] != bandit.num_prompts:
        raise ValueError(
            f"weights has shape {a.shape}; its last axis must have {bandit.num_prompts} prompts."
        )
    if not np.isfinite(a).all():
        raise ValueError(
            f"weights holds {a[~np.isfinite(a)][0]}; every weight must be finite: give a prompt of zero std 0."
        )
    at = moments(bandit, theta)
    direction = (a[..., None] * at.gradient).sum(axis=-2)
    slope = (at.gradient.sum(axis=-2) * direction).sum(axis=-1)
    images = _apply(bandit.centered_features, direction)
    high = np.where(bandit.mask, images, -np.inf).max(axis=-1)
    lengths = high - np.where(bandit.mask, images, np.inf).min(axis=-1)
    if spread == "diameter":
        projected = np.linalg.norm(_apply(span_bases(bandit), direction), axis=-1)
        # The width never exceeds D‖Pv‖ unless a direction was dropped as below the rank tolerance: keep what is sure.
        lengths = np.maximum(_diameters(bandit) * projected, lengths)
    return slope, np.broadcast_to(at.reward_std, lengths.shape), lengths


def _apply(rows: NDArray[np.float64], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inner products of (n, m, d) rows with (..., d) vectors, shape (..., n, m), by one matrix product."""
    n, m, d = rows.shape
    return (vectors.reshape(-1, d) @ rows.reshape(n * m, d).T).reshape(*vectors.shape[:-1], n, m)


def _diameters(bandit: LogLinearBandit) -> NDArray[np.float64]:
    if bandit not in _DIAMETERS:
        _DIAMETERS[bandit] = feature_diameter(bandit)
    return _DIAMETERS[bandit]
