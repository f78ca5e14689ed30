"""What a finite group makes of a prompt's gradient: its expected weight, how often it is silent, its spread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.advantages.presets import resolve
from curvature.groups._binomial import checked_size, checked_success, expectation
from curvature.groups._counts import benefit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from curvature.advantages import Normalization

__all__ = [
    "SilentProbability",
    "effective_weight",
    "fidelity",
    "plug_in_std",
    "silent_probability",
    "unbiased_variance",
]


@dataclass(frozen=True)
class SilentProbability:
    """P(all rewards of a group are equal), in its two parts.

    Parameters
    ----------
    all_right, all_wrong : ndarray
        p^G and (1 − p)^G.
    """

    all_right: NDArray[np.float64]
    all_wrong: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        """p^G + (1 − p)^G."""
        return self.all_right + self.all_wrong


def effective_weight(
    success: ArrayLike,
    group_size: int,
    normalization: str | Normalization = "grpo",
    *,
    batch_std: float | None = None,
) -> NDArray[np.float64]:
    """Compute a_G(p) = E[A(right) − A(wrong) | j of the other G − 1 are right], j ~ Bin(G − 1, p).

    Ours, theory D1. Kind: identity.

    E ĝ = a_G(p)·g, g the gradient of the success rate. Dividing p(1 − p) out of every term of the sum over k
    leaves this form. It has no 0/0, so p = 0 and p = 1 give the limits: √(G − 1) for GRPO.

    Holds when: rewards are 0 and 1; the G responses are independent; a spread or a baseline of the batch is that
    of a batch so large that this group does not move it.

    Parameters
    ----------
    success : array_like, shape (...)
        p in [0, 1].
    group_size : int
        G ≥ 2.
    normalization : str or Normalization, default "grpo"
        A name in `PRESETS`, or a convention of your own.
    batch_std : float, optional
        The std of a large batch; needed by the spreads "batch" and "pooled".

    Returns
    -------
    ndarray, shape (...)
        a_G(p), to about 1e−12 for groups of up to a thousand and 1e−9 for a million.

    Raises
    ------
    ValueError
        If p, G or batch_std is outside its domain, or batch_std is missing; the sentence holds the value.

    Examples
    --------
    >>> effective_weight([0.0, 0.1, 0.5], 8).round(3)
    array([2.646, 2.328, 1.856])
    >>> effective_weight(0.1, 2).round(12)  # G = 2 is REINFORCE up to scale
    np.float64(1.0)
    """
    p, G, convention = checked_success(success), checked_size(group_size), resolve(normalization)
    return expectation(lambda j: benefit(j, G, convention, batch_std=batch_std), G - 1, p)[()]


def silent_probability(success: ArrayLike, group_size: int) -> SilentProbability:
    """Compute P(zero std) = p^G + (1 − p)^G.

    Ours, theory D2. Kind: identity.
    Holds when: rewards are 0 and 1; the G responses are independent.

    Parameters
    ----------
    success : array_like, shape (...)
        p in [0, 1].
    group_size : int
        G ≥ 2.

    Returns
    -------
    SilentProbability
        Both parts, each of shape (...), and their total.

    Raises
    ------
    ValueError
        If p or G is outside its domain.

    Examples
    --------
    >>> float(silent_probability(0.5, 4).total)
    0.125
    """
    p, G = checked_success(success), checked_size(group_size)
    with np.errstate(divide="ignore", under="ignore"):
        # log1p keeps the digits of a small p that 1 − p would lose.
        return SilentProbability(np.power(p, G), np.exp(G * np.log1p(-p)))


def fidelity(success: ArrayLike, group_size: int) -> NDArray[np.float64]:
    """Compute E σ̂/σ = σ·a_G(p), the share of the std that the plug-in std of a group keeps on average.

    Bay and Yearick, arXiv:2607.00152, as quoted in theory II.10. Kind: identity.
    Holds when: rewards are 0 and 1; the G responses are independent; σ̂ is the population std.

    Parameters
    ----------
    success : array_like, shape (...)
        p in [0, 1].
    group_size : int
        G ≥ 2.

    Returns
    -------
    ndarray, shape (...)
        In [0, 1]; 0 at p = 0 and p = 1, the limit.

    Examples
    --------
    >>> fidelity([0.5, 0.05], 8).round(4)
    array([0.9278, 0.539 ])
    """
    p = checked_success(success)
    return np.sqrt(p * (1 - p)) * effective_weight(p, group_size)


def plug_in_std(success: ArrayLike, group_size: int, *, ddof: int = 0) -> NDArray[np.float64]:
    """Compute E σ̂ = √(G/(G − ddof))·p(1 − p)·a_G(p).

    Ours, theory D1. Kind: identity.
    Holds when: rewards are 0 and 1; the G responses are independent.

    Parameters
    ----------
    success : array_like, shape (...)
        p in [0, 1].
    group_size : int
        G ≥ 2.
    ddof : {0, 1}, default 0
        0 for the population std, 1 for the sample std. Neither is unbiased.

    Returns
    -------
    ndarray, shape (...)
        The mean of the group's std.

    Raises
    ------
    ValueError
        If ddof is neither 0 nor 1.

    Examples
    --------
    >>> plug_in_std(0.5, 2).round(6), plug_in_std(0.5, 2, ddof=1).round(6)
    (np.float64(0.25), np.float64(0.353553))
    """
    if ddof not in {0, 1}:
        raise ValueError(f"ddof={ddof!r} is unknown: 0 is the population std, 1 the sample std.")
    p, G = checked_success(success), checked_size(group_size)
    return math.sqrt(G / (G - ddof)) * p * (1 - p) * effective_weight(p, G)


def unbiased_variance(count: ArrayLike, group_size: ArrayLike) -> NDArray[np.float64]:
    """Compute k(G − k)/(G(G − 1)), whose mean is p(1 − p).

    Ours, theory II.5. Kind: identity.
    Holds when: rewards are 0 and 1; the G responses are independent.

    Parameters
    ----------
    count : array_like, shape (...)
        k, how many of a group are right.
    group_size : array_like, shape (...)
        G ≥ 2, one for all groups or one each.

    Returns
    -------
    ndarray, shape (...)
        The sample variance of each group.

    Raises
    ------
    ValueError
        If a size is below 2 or a count is not in [0, G].

    Examples
    --------
    >>> unbiased_variance([0, 1, 2], 4).round(6)
    array([0.      , 0.25    , 0.333333])
    """
    k, G = np.broadcast_arrays(np.asarray(count, dtype=np.float64), np.asarray(group_size, dtype=np.float64))
    if not (G >= 2).all():
        raise ValueError(
            f"group_size={G[~(G >= 2)].flat[0]:g} must be at least 2: one response has no variance."
        )
    wrong = ~((k >= 0) & (k <= G))
    if wrong.any():
        raise ValueError(f"count={k[wrong].flat[0]:g} must be from 0 to the group size {G[wrong].flat[0]:g}.")
    result: Any = k * (G - k) / (G * (G - 1))
    return result
