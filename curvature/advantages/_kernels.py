"""From clean rewards and a grouping to advantages, in float64 and in blocks that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvature.advantages._grouping import Grouping
from curvature.advantages.normalization import Normalization

Floats = NDArray[np.floating[Any]]
# Maps the groups' sums of squares and sizes to the factors of their centred rewards.
Factor = Callable[[Floats, Any], Floats | float]

# 2^16 float64 are 512 KiB: two such blocks fit the second-level cache of a current core.
_BLOCK = 1 << 16
# Groups smaller than this lie along the first axis of a block, so that sums over a group add whole rows.
_SHORT = 64
# Squares below this have lost digits to underflow; the variance of a group without spread is raised to it, so
# that its exact zeros are divided by something positive.
_TINY = 1e-290
# A standard deviation below this share of the mean is computed with more care.
_CLOSE = 1e-6


def advantages(rewards: Floats, grouping: Grouping, convention: Normalization) -> Floats:
    """Return the advantages of finite or NaN rewards, NaN spreading as arithmetic does.

    Parameters
    ----------
    rewards : array (N,), N > 0
        Floats of any width.
    grouping : Grouping
        Which of them belong together.
    convention : Normalization
        How they become advantages; its NaN policy has been applied by the caller.

    Returns
    -------
    array (N,)
        The advantages, in the dtype of the rewards where one pass suffices and in float64 otherwise.
    """
    if convention.baseline == "batch":
        grouping = Grouping.of_runs(1, rewards.size)
    own_group = convention.spread == "group" or (
        convention.spread == "batch" and convention.baseline == "batch"
    )
    if own_group:
        out = np.empty_like(rewards)
        _centre(rewards, grouping, out, lambda squares, counts: _factor(squares, counts, convention))
    elif convention.spread in {"none", "batch"}:
        scale = 1.0 if convention.spread == "none" else _batch_scale(rewards, convention)
        out = np.empty_like(rewards)
        _centre(rewards, grouping, out, lambda _, counts: scale * _baseline_gain(counts, convention))
    elif convention.spread == "pooled":
        out = np.empty(rewards.size)
        _centre(rewards, grouping, out, lambda _, counts: _baseline_gain(counts, convention))
        out *= 1.0 / _divisor(np.dot(out, out) / max(out.size - convention.ddof, 1), convention)
    else:
        out = np.empty(rewards.size)
        squares = _centre(rewards, grouping, out, None)
        out *= _leave_one_out_factor(rewards, out, squares, grouping, convention)
    single = grouping.counts == 1
    if convention.singleton != "zero" and single.any():
        lonely = grouping.expand(single)
        out[lonely] = rewards[lonely] if convention.singleton == "raw" else np.nan
    return out


def _baseline_gain(counts: Any, convention: Normalization) -> Any:
    """n/(n−1) where the baseline is the mean of the others: r − mean of the others = n/(n−1) (r − mean)."""
    return counts / np.maximum(counts - 1, 1) if convention.baseline == "leave-one-out" else 1.0


def _divisor(variance: Any, convention: Normalization) -> Any:
    """(spread + eps)^exponent."""
    variance = np.maximum(variance, max(convention.floor**2, _TINY))
    if convention.placement == "inside":
        spread = np.sqrt(variance + convention.eps)
    else:
        spread = np.sqrt(variance)
        spread += convention.eps
    # The bound keeps the exact zeros of a group without spread from meeting an infinite factor.
    return spread if convention.exponent == 1 else np.maximum(spread**convention.exponent, 1e-300)


def _factor(squares: Floats, counts: Any, convention: Normalization) -> Floats:
    """Return what centred rewards are multiplied by, from the sum of their squares over the group."""
    divisor = _divisor(squares / np.maximum(counts - convention.ddof, 1), convention)
    return np.divide(_baseline_gain(counts, convention), divisor)


def _batch_scale(rewards: Floats, convention: Normalization) -> float:
    """1/(spread + eps) of all rewards of the batch."""
    centred = np.empty(rewards.size)
    squares = _centre(rewards, Grouping.of_runs(1, rewards.size), centred, None)
    return float(1.0 / _divisor(squares[0] / max(rewards.size - convention.ddof, 1), convention))


def _centre(rewards: Floats, grouping: Grouping, out: Floats, factor: Factor | None) -> Floats:
    """Write (rewards − group mean) × factor to `out`; return the groups' sums of squared centred rewards."""
    # A sum of squares of exactly zero means max == min: see how each of the two guards it.
    if grouping.size is not None:
        return _centre_runs(rewards, grouping.size, out, factor)
    return _centre_codes(rewards, grouping, out, factor)


def _centre_runs(rewards: Floats, size: int, out: Floats, factor: Factor | None) -> Floats:
    source, target = rewards.reshape(-1, size), out.reshape(-1, size)
    number = source.shape[0]
    rows = min(max(_BLOCK // size, 1), number)
    axis, subscripts = (0, "ij,ij->j") if size < _SHORT else (1, "ij,ij->i")
    if axis == 0:
        source, target = source.T, target.T
    work = np.empty((size, rows) if axis == 0 else (rows, size))
    squares = np.empty(number)
    for start in range(0, number, rows):
        here = slice(start, min(start + rows, number))
        block = (slice(None), here) if axis == 0 else (here,)
        centred = work[:, : here.stop - start] if axis == 0 else work[: here.stop - start]
        values = source[block]
        first = values[:1] if axis == 0 else values[:, :1]
        # A member of the group is subtracted before the mean is: it makes equal rewards exactly zero whatever
        # their digits, and keeps the digits of 100 ± 1e-9.
        np.subtract(values, first, out=centred, dtype=np.float64)
        mean = np.add.reduce(centred, axis=axis, keepdims=True)
        mean /= size
        centred -= mean
        np.einsum(subscripts, centred, centred, out=squares[here])
        if factor is None:
            target[block] = centred
        else:
            scale = np.asarray(factor(squares[here], size))
            np.multiply(
                centred,
                np.expand_dims(scale, axis) if scale.ndim else scale,
                out=target[block],
                casting="same_kind",
            )
    return squares


def _centre_codes(rewards: Floats, grouping: Grouping, out: Floats, factor: Factor | None) -> Floats:
    assert grouping.codes is not None
    codes, counts = grouping.codes, np.maximum(grouping.counts, 1.0)
    blocks = [slice(start, start + _BLOCK) for start in range(0, rewards.size, _BLOCK)]
    centred = out if out.dtype == np.float64 else np.empty(rewards.size)
    buffer = np.empty(min(_BLOCK, rewards.size))
    mean, squares = grouping.total(rewards), np.zeros(counts.size)
    mean /= counts
    for block in blocks:
        index, values = codes[block], centred[block]
        scratch = buffer[: index.size]
        mean.take(index, out=scratch, mode="clip")
        np.subtract(rewards[block], scratch, out=values)
        np.multiply(values, values, out=scratch)
        np.add.at(squares, index, scratch)
    _recentre_close(rewards, grouping, centred, mean, squares)
    scale = np.asarray(1.0 if factor is None else factor(squares, counts))
    for block in blocks:
        scratch = buffer[: codes[block].size]
        if scale.ndim:
            scale.take(codes[block], out=scratch, mode="clip")
        else:
            scratch[...] = scale
        np.multiply(centred[block], scratch, out=out[block], casting="same_kind")
    return squares


def _recentre_close(
    rewards: Floats, grouping: Grouping, centred: Floats, mean: Floats, squares: Floats
) -> None:
    """Centre anew, in place, the groups whose spread is so small beside their mean that rounding shows in it.

    A member is subtracted first, as in `_centre_runs`, where it costs nothing; here it would cost a fifth of the
    time. Groups with a sum of squares of 0 need no more: all their rewards are their mean.
    """
    close = (squares > 0) & (squares <= grouping.counts * (_CLOSE * mean) ** 2)
    if not close.any():
        return
    here = np.flatnonzero(grouping.expand(close))
    part = grouping.restrict(here)
    member = np.zeros(mean.size)
    member[part.codes] = rewards[here]  # the last one of each group stays
    values = rewards[here] - part.expand(member)
    values -= part.expand(part.total(values) / np.maximum(part.counts, 1))
    centred[here] = values
    np.copyto(squares, part.total(values**2), where=close)


def _leave_one_out_factor(
    rewards: Floats, centred: Floats, squares: Floats, grouping: Grouping, convention: Normalization
) -> Floats:
    """Return what centred rewards are multiplied by where each is divided by the spread of the others."""
    counts = grouping.expand(grouping.counts)
    # Over the others, Σ(r_j − their mean)² = Σ_all − n/(n−1) d_i². It cancels only where r_i stands alone at an
    # end of the group, and there the sum is taken anew, from rewards measured from the other end.
    others = grouping.expand(squares) - centred**2 * (counts / np.maximum(counts - 1, 1))
    low, high = (grouping.expand(bound) for bound in grouping.extremes(rewards))
    alike = low == high
    for end, other_end in ((low, high), (high, low)):
        alone = (rewards == end) & (grouping.expand(grouping.total(rewards == end)) == 1)
        rest = rewards != end
        distance = rewards.astype(np.float64) - other_end
        mean = grouping.total(distance * rest) / np.maximum(grouping.counts - 1, 1)
        deviation = (distance - grouping.expand(mean)) * rest
        others = np.where(alone, grouping.expand(grouping.total(deviation**2)), others)
        # r_i alone at one end and all others at the other end: the others do not differ.
        alike |= alone & (grouping.expand(grouping.total(rewards == other_end)) == counts - 1)
    freedom = counts - 1 - convention.ddof
    divisor = _divisor(np.maximum(others, 0.0) / np.maximum(freedom, 1), convention)
    return np.where(alike | (freedom < 1), 1.0, 1.0 / divisor) * _baseline_gain(counts, convention)
