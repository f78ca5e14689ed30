"""The function of the success rate that each normalisation ascends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.advantages.presets import resolve
from curvature.groups._binomial import checked_size, checked_success, expectation
from curvature.groups._counts import benefit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from curvature.advantages import Normalization

__all__ = ["implicit_objective"]


def implicit_objective(
    success: ArrayLike,
    group_size: float,
    normalization: str | Normalization = "grpo",
    *,
    batch_std: float | None = None,
) -> NDArray[np.float64]:
    """Compute h(p) = E[H(k)], k ~ Bin(G, p), H(k) = (1/G)Σ_{j<k}(A(right) − A(wrong) | j others right).

    Ours, theory D1; the limit 2 arcsin√p of GRPO is in arXiv:2510.13651 and arXiv:2510.23049. Kind: identity.

    h' = a_G and h(0) = 0: the expected update ascends h(p). Each term integrates to a regularised incomplete beta
    function, ∫₀^p Bin(j; G−1, t)dt = P(k > j)/G, and summing by parts gives the expectation, for every convention.

    Holds when: rewards are 0 and 1; the G responses are independent; a spread or a baseline of the batch stays
    as it is while p moves.

    Parameters
    ----------
    success : array_like, shape (...)
        p in [0, 1].
    group_size : float
        G ≥ 2, or `math.inf` for the limit.
    normalization : str or Normalization, default "grpo"
        A name in `PRESETS`, or a convention of your own.
    batch_std : float, optional
        The std of a large batch; needed by the spreads "batch" and "pooled".

    Returns
    -------
    ndarray, shape (...)
        h(p). In the limit with e = 2 it is log(p/(1 − p)), with h(1/2) = 0 since h(0) is −∞.

    Raises
    ------
    ValueError
        If p, G or batch_std is outside its domain, or the limit has no closed form.

    Examples
    --------
    >>> implicit_objective([0.0, 0.5, 1.0], 8).round(3)
    array([0.  , 1.05, 2.1 ])
    >>> implicit_objective(1.0, math.inf).round(6)  # π
    np.float64(3.141593)
    """
    p, convention = checked_success(success), resolve(normalization)
    if group_size == math.inf:
        return _limit(p, convention, batch_std)
    G = checked_size(group_size)
    worth = np.broadcast_to(benefit(np.arange(G), G, convention, batch_std=batch_std), G)
    H = np.concatenate([[0.0], np.cumsum(worth)]) / G
    return expectation(lambda k: H[k], G, p)[()]


def _limit(p: NDArray[np.float64], convention: Normalization, batch_std: float | None) -> Any:
    """∫₀^p a_∞, a_∞ = 1, 1/(batch std) or (p(1−p))^(−e/2)."""
    from scipy.special import beta, betainc, logit

    if convention.spread not in {"group", "leave-one-out"}:
        # No group size enters these: their weight is a constant, that of a large group.
        return p * benefit(np.zeros(()), 2, _without_group_bias(convention), batch_std=batch_std)
    e = convention.exponent
    if convention.eps or convention.floor:
        raise ValueError(
            f"eps={convention.eps} and floor={convention.floor} leave the limit without a closed form: "
            "set both to 0, or pass a large group_size."
        )
    if e == 1:
        return 2 * np.arcsin(np.sqrt(p))
    if e == 2:
        return logit(p)
    if e > 2:
        raise ValueError(
            f"exponent={e} has no objective in the limit: the integral diverges; choose at most 2."
        )
    a = 1 - e / 2
    return beta(a, a) * betainc(a, a, p)


def _without_group_bias(convention: Normalization) -> Normalization:
    """Return the convention with the baseline of the others, whose weight is that of an infinite group."""
    from dataclasses import replace

    return convention if convention.baseline == "batch" else replace(convention, baseline="leave-one-out")
