"""The arms of the comparison: one way each to turn a batch of rewards into advantages, nothing else differing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.advantages import Normalization, group_advantages

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["ARMS", "arm_advantages"]

ARMS = ("none", "group", "batch", "group_matched", "variance", "smoothed")
"""Names of the arms: see :func:`arm_advantages`."""

_CONVENTIONS: dict[str, str | Normalization] = {
    "none": "none",
    "group": "grpo",
    "batch": "batch",
    "variance": Normalization(exponent=2.0),
}


def arm_advantages(
    arm: str, rewards: ArrayLike, groups: ArrayLike, *, overlap: float = 0.5
) -> NDArray[np.float64]:
    """Return the advantages A_i = a_x·(r_i − r̄_x) that an arm gives to a batch of rewards.

    arXiv:2601.23135v1, eqs (4)-(5), for "none" and "group"; ours for the others. Kind: identity.

    Every number comes from :func:`curvature.group_advantages`. With σ_x the population standard deviation of the group
    of prompt x, 0 for a silent group, and s the mean of σ_x over *all* groups of the batch, silent ones included:

    ================= ================================ =====================================================
    arm               a_x                              what it is
    ================= ================================ =====================================================
    "none"            1                                the group mean alone
    "group"           1/σ_x                            GRPO
    "batch"           1/std of all rewards             one divisor for the batch
    "group_matched"   s/σ_x                            GRPO's weights between prompts at the scale of "none"
    "variance"        1/σ_x²                           exponent 2 of the family σ^(−e)
    "smoothed"        1/((1 − c)·σ_x + c·s)            σ̃ of theory II.4 when every two prompts overlap alike
    ================= ================================ =====================================================

    A silent group gets exactly 0 in every arm. "batch" gives 0 if all rewards of the batch are equal.

    Parameters
    ----------
    arm : str
        A name of :data:`ARMS`.
    rewards : array_like of float, shape (N,)
        Finite rewards.
    groups : array_like of int or str, shape (N,)
        The prompt of each reward, in any order.
    overlap : float, default 0.5
        c in [0, 1], for "smoothed" alone: 0 is "group", 1 divides every group by s.

    Returns
    -------
    ndarray of float64, shape (N,)
        The advantages.

    Raises
    ------
    ValueError
        If there is no such arm, `overlap` is outside [0, 1], or the rewards do not suit `group_advantages`.

    Examples
    --------
    Two prompts of four answers, s = (√3/4 + 1/2)/2:

    >>> rewards, groups = [1, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]
    >>> arm_advantages("group", rewards, groups).round(3)
    array([ 1.732, -0.577, -0.577, -0.577,  1.   ,  1.   , -1.   , -1.   ])
    >>> arm_advantages("group_matched", rewards, groups).round(3)
    array([ 0.808, -0.269, -0.269, -0.269,  0.467,  0.467, -0.467, -0.467])
    """
    if arm not in ARMS:
        raise ValueError(f"arm is {arm!r}; choose one of {', '.join(ARMS)}.")
    if not 0 <= overlap <= 1:
        raise ValueError(f"overlap is {overlap!r}; a number between 0 and 1 is needed.")
    values, ids = np.asarray(rewards, dtype=np.float64), np.asarray(groups)
    if arm in _CONVENTIONS:
        return group_advantages(values, ids, _CONVENTIONS[arm])
    centred = group_advantages(values, ids, "none")
    normalised = group_advantages(values, ids, "grpo")
    codes = np.unique(ids, return_inverse=True)[1]
    stds = _group_stds(centred, normalised, codes)
    mean_std = float(stds.mean()) if stds.size else 0.0
    if arm == "group_matched":
        return normalised * mean_std
    divisors = ((1 - overlap) * stds + overlap * mean_std)[codes]
    # A divisor is 0 only where the group is silent, and there the centred reward is 0 already.
    return np.divide(centred, divisors, out=np.zeros_like(centred), where=divisors > 0)


def _group_stds(
    centred: NDArray[np.float64], normalised: NDArray[np.float64], codes: NDArray[Any]
) -> NDArray[np.float64]:
    """Read σ_x off as the ratio (r − r̄)/A of a group, weighted by A² as no single A need be other than 0."""
    # np.bincount of nothing is of whole numbers, so the result's type is set here.
    products = np.bincount(codes, weights=centred * normalised)
    squares = np.bincount(codes, weights=normalised**2)
    return np.divide(products, squares, out=np.zeros(products.shape), where=squares > 0)
