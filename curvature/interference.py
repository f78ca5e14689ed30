"""How much prompts share: overlap of their spans, inner products of their gradients, and what a step may gain.

The *overlap* c_xx' = ‖P_xP_x'‖ is the largest cosine between a direction in which prompt x can move and one in
which x' can: 0 under the paper's assumption A2, 1 if the two spans share a direction. It is a property of the
features alone. The Gram matrix and the cosines are those of the gradients at one θ, and |G_xx'| ≤ c_xx'‖g_x‖‖g_x'‖
ties them together. :func:`certified_gain` says what a step of any weighting is sure to gain in spite of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature._certificates import (
    certified_gain,
    certified_speedup,
    certified_step,
    span_bases,
)
from curvature.bounds._interference_bounds import CertifiedStep, largest_disparity

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from curvature.bandit import LogLinearBandit

__all__ = [
    "CertifiedStep",
    "CosineDistribution",
    "certified_gain",
    "certified_speedup",
    "certified_step",
    "cosine_distribution",
    "gradient_diversity",
    "gram",
    "interference_std",
    "overlap_matrix",
    "span_bases",
    "total_overlap",
    "weight_disparity",
]


@dataclass(frozen=True)
class CosineDistribution:
    """The cosines between the gradients of pairs of prompts, at one θ.

    Attributes
    ----------
    cosines : ndarray, shape (pairs,)
        One a pair x < x' of non-zero gradients, by rows of the upper triangle.
    mean, std : float
        Of the cosines; NaN where there are none.
    share_positive, share_negative : float
        Shares of pairs with cosine > 0 and < 0.
    share_small : float
        Share of pairs with |cosine| < 0.1.
    num_silent : int
        Prompts of zero gradient, which are in no pair.
    """

    cosines: NDArray[np.float64]
    mean: float
    std: float
    share_positive: float
    share_negative: float
    share_small: float
    num_silent: int


def overlap_matrix(bandit: LogLinearBandit, *, tolerance: float = 1e-12) -> NDArray[np.float64]:
    """Compute c_xx' = ‖P_xP_x'‖₂, the cosine of the smallest principal angle between two prompts' spans.

    Ours, theory II.4. Kind: identity.
    Holds when: always; the ranks of the spans are numerical.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts.
    tolerance : float
        Of the rank of a span: see :func:`span_bases`. c does not depend continuously on features of nearly
        lower rank: a direction that hardly matters overlaps as much as any other. An overlap of at most this
        counts as 0.

    Returns
    -------
    ndarray, shape (n, n)
        Symmetric, in [0, 1], ones on the diagonal (by convention also for a prompt that cannot move).

    Raises
    ------
    ValueError
        If ``tolerance`` is not in [0, 1).

    Notes
    -----
    Symbols: overlap = c, P_x projector on span{φ(x,y) − φ(x,y')}. Costs n²/2 singular values of m×m matrices,
    m = min(K, d).

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> overlap_matrix(LogLinearBandit.overlapping(2, 4, overlap=0.3)).round(12).tolist()
    [[1.0, 0.3], [0.3, 1.0]]
    """
    bases = span_bases(bandit, tolerance=tolerance)
    overlap = np.eye(len(bases))
    for x in range(len(bases) - 1):
        cosines = np.matmul(bases[x + 1 :], bases[x].T)
        largest = np.linalg.norm(cosines, ord=2, axis=(-2, -1))
        # Rounding leaves 1e-15 between orthogonal spans; a true 0 says that nothing interferes.
        largest = np.where(largest > tolerance, np.minimum(largest, 1.0), 0.0)
        overlap[x, x + 1 :] = overlap[x + 1 :, x] = largest
    return overlap


def total_overlap(overlap: ArrayLike) -> float:
    """Compute δ = max_x Σ_{x'≠x} c_xx', the overlap of the prompt that overlaps most.

    Ours, theory II.4. Kind: identity.
    Holds when: always.

    Parameters
    ----------
    overlap : array_like, shape (n, n)
        c, with ones on the diagonal.

    Returns
    -------
    float
        δ in [0, n − 1].

    Raises
    ------
    ValueError
        If ``overlap`` is not square.

    Notes
    -----
    Symbols: δ.

    Examples
    --------
    >>> total_overlap([[1.0, 0.25, 0.5], [0.25, 1.0, 0.0], [0.5, 0.0, 1.0]])
    0.75
    """
    c = _read_overlap(overlap)
    # The diagonal is left out and not subtracted: 1 + c − 1 would lose the digits of a small c.
    return float(np.where(np.eye(len(c), dtype=bool), 0.0, c).sum(axis=1).max())


def interference_std(reward_std: ArrayLike, overlap: ArrayLike) -> NDArray[np.float64]:
    """Compute σ̃_x = Σ_x' c_xx'σ_x', the reward std that a step of prompt x disturbs.

    Ours, theory II.4. Kind: identity.
    Holds when: always. σ̃ = σ for orthogonal prompts; the same sum for all when every span is one span.

    Parameters
    ----------
    reward_std : array_like, shape (..., n)
        σ_x.
    overlap : array_like, shape (n, n)
        c.

    Returns
    -------
    ndarray, shape (..., n)
        σ̃, never below σ.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    Symbols: reward_std = σ, overlap = c.

    Examples
    --------
    >>> interference_std([0.5, 0.25], [[1.0, 0.5], [0.5, 1.0]]).tolist()
    [0.625, 0.5]
    """
    c = _read_overlap(overlap)
    σ = np.asarray(reward_std, dtype=np.float64)
    if σ.ndim == 0 or σ.shape[-1] != len(c):
        raise ValueError(
            f"reward_std has shape {σ.shape}; its last axis must have the {len(c)} prompts of overlap."
        )
    return σ @ c


def weight_disparity(weights: ArrayLike, overlap: ArrayLike | None = None) -> Any:
    """Compute χ = max (a_x + a_x')/(2√(a_xa_x')) over pairs of prompts that overlap.

    Ours, theory II.4. Kind: identity.
    Holds when: weights are not negative.

    Parameters
    ----------
    weights : array_like, shape (..., n)
        a_x.
    overlap : array_like, shape (n, n), optional
        c: pairs with c_xx' = 0 are left out, which B2 allows; all pairs when left out.

    Returns
    -------
    ndarray, shape (...)
        χ ≥ 1; 1 iff all weights (of overlapping prompts) are equal, infinite where one of a pair is 0.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or the shapes do not fit.

    Notes
    -----
    Symbols: weights = a, χ.

    Examples
    --------
    >>> float(weight_disparity([1.0, 4.0]))
    1.25
    >>> float(weight_disparity([1.0, 4.0], overlap=[[1.0, 0.0], [0.0, 1.0]]))
    1.0
    """
    a = np.asarray(weights, dtype=np.float64)
    if a.ndim == 0 or not (np.isfinite(a) & (a >= 0)).all():
        told = a[~(np.isfinite(a) & (a >= 0))][0] if a.ndim else f"of shape {a.shape}"
        raise ValueError(
            f"weights is {told}; an array of finite numbers of at least 0, shape (..., n), is needed."
        )
    n = a.shape[-1]
    c = np.ones((n, n)) if overlap is None else _read_overlap(overlap)
    if len(c) != n:
        raise ValueError(
            f"weights has shape {a.shape}; its last axis must have the {len(c)} prompts of overlap."
        )
    return largest_disparity(a, (c > 0) & ~np.eye(n, dtype=bool))[()]


def gram(gradients: ArrayLike) -> NDArray[np.float64]:
    """Compute G_xx' = ⟨g_x, g_x'⟩.

    Ours, theory II.4. Kind: identity.
    Holds when: always.

    Parameters
    ----------
    gradients : array_like, shape (..., n, d)
        g_x.

    Returns
    -------
    ndarray, shape (..., n, n)
        G.

    Raises
    ------
    ValueError
        If the shape is wrong or a value is not finite.

    Notes
    -----
    Symbols: G.

    Examples
    --------
    >>> gram([[1.0, 0.0], [1.0, 2.0]]).tolist()
    [[1.0, 1.0], [1.0, 5.0]]
    """
    g = _read_vectors(gradients)
    return g @ np.swapaxes(g, -1, -2)


def gradient_diversity(gradients: ArrayLike) -> Any:
    """Compute Ω = Σ‖g_x‖²/‖Σg_x‖²: 1 for orthogonal gradients, 1/n for equal ones, above 1 for opposed ones.

    Ours, theory II.8. Kind: identity.
    Holds when: always.

    Parameters
    ----------
    gradients : array_like, shape (..., n, d)
        g_x.

    Returns
    -------
    ndarray, shape (...)
        Ω ≥ 1/n; infinite where the gradients cancel, NaN where all are zero.

    Raises
    ------
    ValueError
        If the shape is wrong or a value is not finite.

    Notes
    -----
    Symbols: Ω.

    Examples
    --------
    >>> float(gradient_diversity([[3.0, 0.0], [0.0, 4.0]])), float(gradient_diversity([[1.0], [1.0]]))
    (1.0, 0.5)
    """
    g = _read_vectors(gradients)
    largest = np.abs(g).max(axis=(-1, -2), keepdims=True)
    # Relative to the largest entry: squares of the gradients of rare successes would underflow.
    scaled = g / np.where(largest > 0, largest, 1.0)
    total = scaled.sum(axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (scaled * scaled).sum(axis=(-1, -2)) / (total * total).sum(axis=-1)


def cosine_distribution(gradients: ArrayLike) -> CosineDistribution:
    """Summarise cos(g_x, g_x') over pairs x < x': the table of appendix F.2, arXiv:2601.23135v1.

    Ours, theory II.8. Kind: identity.
    Holds when: always. One negative cosine refutes the paper's assumption A4 (a non-zero inner product
    ⟨g_x, g_x'⟩ needs X_xg_x' ≠ 0, and A4 then needs it positive).

    Parameters
    ----------
    gradients : array_like, shape (n, d)
        g_x at one θ.

    Returns
    -------
    CosineDistribution
        Each pair counted once; prompts of zero gradient are left out and counted.

    Raises
    ------
    ValueError
        If the shape is wrong or a value is not finite.

    Examples
    --------
    >>> found = cosine_distribution([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.0]])
    >>> found.cosines.tolist(), found.num_silent
    ([0.0, -1.0, 0.0], 1)
    """
    g = _read_vectors(gradients)
    if g.ndim != 2:
        raise ValueError(f"gradients has shape {g.shape}; (n, d) is needed: the gradients at one θ.")
    largest = np.abs(g).max(axis=-1, keepdims=True)
    live = largest[:, 0] > 0
    unit = g[live] / largest[live]
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    cosines = np.clip((unit @ unit.T)[np.triu_indices(len(unit), 1)], -1.0, 1.0)
    silent = int((~live).sum())
    if not cosines.size:
        return CosineDistribution(cosines, *[float("nan")] * 5, num_silent=silent)
    shares = [float(np.mean(part)) for part in (cosines > 0, cosines < 0, np.abs(cosines) < 0.1)]
    return CosineDistribution(
        cosines, float(cosines.mean()), float(cosines.std()), *shares, num_silent=silent
    )


def _read_overlap(overlap: ArrayLike) -> NDArray[np.float64]:
    c = np.asarray(overlap, dtype=np.float64)
    if c.ndim != 2 or c.shape[0] != c.shape[1] or not (c >= 0).all():
        raise ValueError(f"overlap has shape {c.shape}; a square matrix of numbers of at least 0 is needed.")
    return c


def _read_vectors(gradients: ArrayLike) -> NDArray[np.float64]:
    g = np.asarray(gradients, dtype=np.float64)
    if g.ndim < 2 or 0 in g.shape[-2:]:
        raise ValueError(f"gradients has shape {g.shape}; (..., n, d) is needed.")
    if not np.isfinite(g).all():
        raise ValueError(f"gradients holds {g[~np.isfinite(g)][0]}; every value must be finite.")
    return g
