"""Hypothesis strategies for problems of this field, with the cases that break claims weighted in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.bandit import LogLinearBandit
from curvature.testing._draws import LOGIT, RewardType, check_choice, draw_prompts, matrix, one_in, st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy
    from numpy.typing import NDArray

__all__ = ["bandits", "bandits_with_theta", "reward_groups", "success_rates"]

_ANY: tuple[RewardType, ...] = ("one_correct", "binary", "real")


@st.composite
def bandits(
    draw: DrawFn,
    *,
    max_prompts: int = 3,
    max_responses: int = 5,
    max_dimension: int = 4,
    min_responses: int = 2,
    rewards: RewardType = "any",
    ragged: bool = True,
    orthogonal: bool = False,
) -> LogLinearBandit:
    """Draw a small bandit; features, base logits and rewards include ties, zeros and very rare responses.

    Ours. About one instance in four each has a repeated response, a prompt with equal rewards, a base logit
    far from the others, or a response that does not exist.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    max_prompts, max_responses, max_dimension, min_responses : int
        Sizes; every size from the least up is drawn.
    rewards : {"any", "one_correct", "binary", "real", "non_dyadic", "constant"}
        Assumption A1; zeros and ones; reals in [−3, 3]; numbers whose sums round, such as .1 and .7; one value a
        prompt; "any" is one of the first three.
    ragged : bool
        Whether responses may be missing.
    orthogonal : bool
        Give each prompt coordinates of its own, so that X_xX_x'ᵀ = 0 (assumption A2). The dimension is then n
        times the one drawn.

    Returns
    -------
    LogLinearBandit
        Shrinks towards one prompt of two responses with integer features.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(bandits(rewards="one_correct"), lambda b: b.num_prompts == 2).is_binary
    True
    """
    check_choice("rewards", rewards, RewardType)
    n = draw(st.integers(1, max_prompts))
    K = draw(st.integers(min_responses, max_responses))
    d = draw(st.integers(1, max_dimension))
    kind: RewardType = rewards
    if rewards == "any":
        kind = draw(st.sampled_from(_ANY))
    repeated, equal, lost = (one_in(draw, 4) for _ in range(3))
    drawn = draw_prompts(draw, (n, K, d), kind, logit=LOGIT, candidates=K)
    features, base, values = drawn.features, drawn.logits, drawn.rewards
    if repeated:
        features[:, -1] = features[:, 0]
    if orthogonal:
        own = np.zeros((n, K, n, d))
        own[np.arange(n), :, np.arange(n)] = features
        features = own.reshape(n, K, n * d)
    if ragged and K > 2 and lost:
        # The correct response stays; the next one goes.
        base[0, (drawn.correct[0] + 1) % K] = -np.inf
    if equal and kind in ("real", "non_dyadic"):
        values[0] = values[0, 0]
    return LogLinearBandit(features, values, base)


@st.composite
def bandits_with_theta(draw: DrawFn, **options: Any) -> tuple[LogLinearBandit, NDArray[np.float64]]:
    """Draw a bandit and a parameter θ of its dimension.

    Ours.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    **options
        Passed to :func:`bandits`.

    Returns
    -------
    tuple of LogLinearBandit and ndarray of shape (d,)
        θ is zero, of order one, or (one in four) large enough to leave one response only.

    Examples
    --------
    >>> from hypothesis import find
    >>> bandit, theta = find(bandits_with_theta(), lambda drawn: True)
    >>> theta.shape == (bandit.dimension,)
    True
    """
    bandit = draw(bandits(**options))
    theta = matrix(draw, (bandit.dimension,), st.one_of(st.just(0.0), st.floats(-3, 3)))
    if one_in(draw, 4):
        theta = 10.0 * theta
    return bandit, theta


def success_rates(*, degenerate: bool = True) -> SearchStrategy[float]:
    """Draw success probabilities: the middle, both ends, and the values where the bounds change branch.

    Ours.

    Parameters
    ----------
    degenerate : bool
        Whether 0, 1 and probabilities below 1e−12 may be drawn.

    Returns
    -------
    hypothesis strategy of float
        In [0, 1]; in [1e−12, 1 − 1e−12] if not degenerate.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(success_rates(), lambda p: p > 0.7)
    0.75
    """
    special = [0.25, 0.5, 0.75, 0.1, (1 - np.sqrt(0.5)) / 2]
    ordinary = st.one_of(
        st.sampled_from(special),
        st.floats(1e-12, 1 - 1e-12),
        st.floats(-12, -1).map(lambda exponent: float(10.0**exponent)),
    )
    if not degenerate:
        return ordinary
    return st.one_of(ordinary, st.sampled_from([0.0, 1.0, 1e-300, 1e-16, 1 - 2.0**-53]))


@st.composite
def reward_groups(
    draw: DrawFn, *, max_groups: int = 6, max_size: int = 9, binary: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw rewards with group ids: groups of unequal size, some of one member or of equal rewards.

    Ours.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    max_groups, max_size : int
        Sizes.
    binary : bool
        Rewards in {0, 1} only.

    Returns
    -------
    tuple of two ndarray of shape (N,)
        Rewards and ids, members of a group not necessarily beside each other.

    Examples
    --------
    >>> from hypothesis import find
    >>> rewards, groups = find(reward_groups(), lambda drawn: True)
    >>> rewards.shape == groups.shape
    True
    """
    value = (
        st.sampled_from([0.0, 1.0])
        if binary
        else st.one_of(st.sampled_from([0.0, 1.0, 0.7, 0.1]), st.floats(-100, 100))
    )
    sizes = draw(st.lists(st.integers(1, max_size), min_size=1, max_size=max_groups))
    rewards: list[float] = []
    groups: list[int] = []
    for group, size in enumerate(sizes):
        equal = one_in(draw, 4)
        members = [draw(value)] * size if equal else draw(st.lists(value, min_size=size, max_size=size))
        rewards += members
        groups += [group] * size
    order = draw(st.permutations(range(len(rewards)))) if draw(st.booleans()) else range(len(rewards))
    index = np.array(list(order))
    return np.array(rewards)[index], np.array(groups)[index]
