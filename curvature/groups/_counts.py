"""Advantages of a right and of a wrong response in a group with k right ones: closed forms of every convention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.advantages._kernels import _divisor

if TYPE_CHECKING:
    from curvature.advantages import Normalization

Array = Any


def advantages_of_counts(
    k: Array,
    group_size: int,
    convention: Normalization,
    *,
    batch_std: float | None = None,
    batch_mean: float = 0.0,
) -> tuple[Array, Array]:
    """Return A of a right response (valid for k ≥ 1) and of a wrong one (k ≤ G − 1); rewards are 0 and 1."""
    G = group_size
    k = np.asarray(k, dtype=np.float64)
    if convention.baseline == "batch":
        right, wrong = np.full(k.shape, 1.0 - batch_mean), np.full(k.shape, -batch_mean)
    else:
        gain = G / (G - 1) if convention.baseline == "leave-one-out" else 1.0
        right, wrong = gain * (G - k) / G, -gain * k / G
    if convention.spread == "none":
        return right, wrong
    if convention.spread == "leave-one-out":
        others = G - 1
        return (
            right / _others_divisor(k - 1, others, convention),
            wrong / _others_divisor(k, others, convention),
        )
    if convention.spread == "group":
        variance = np.maximum(k * (G - k), 0.0) / (G * max(G - convention.ddof, 1))
    else:
        if batch_std is None:
            raise ValueError(
                f"spread={convention.spread!r} is a spread of the batch: pass batch_std, the std of a large batch."
            )
        if not batch_std > 0:
            raise ValueError(
                f"batch_std={batch_std} must be positive: a batch of equal rewards has no update."
            )
        variance = np.float64(batch_std) ** 2
    divisor = _divisor(variance, convention)
    return right / divisor, wrong / divisor


def _others_divisor(right: Array, others: int, convention: Normalization) -> Array:
    """Return what one reward is divided by when `right` of the `others` are right: 1 where they do not differ."""
    squares = np.maximum(right * (others - right), 0.0) / others
    differ = (squares > 0) & (others > convention.ddof)
    divisor = _divisor(squares / max(others - convention.ddof, 1), convention)
    return np.where(differ, divisor, 1.0)


def benefit(j: Array, group_size: int, convention: Normalization, *, batch_std: float | None = None) -> Array:
    """Return R_(j+1) − W_j: what being right instead of wrong is worth when j of the others are right."""
    right, _ = advantages_of_counts(np.asarray(j) + 1, group_size, convention, batch_std=batch_std)
    _, wrong = advantages_of_counts(j, group_size, convention, batch_std=batch_std)
    return right - wrong
