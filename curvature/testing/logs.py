"""What a run leaves behind: paths of reward stds that a run can have, and logs of rollouts as trainers write them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from curvature.advantages import group_advantages
from curvature.testing._draws import REWARD, one_in, st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn
    from numpy.typing import NDArray

__all__ = ["RolloutArrays", "StdPath", "rollout_logs", "std_paths"]

_PRESETS = ("grpo", "trl", "dr_grpo", "rloo", "reinforce", "batch")


class StdPath(NamedTuple):
    """Reward stds of n prompts along T updates, with what each update may change.

    Attributes
    ----------
    reward_std : ndarray, shape (T + 1, n)
        σ_x(θ_t).
    shift : ndarray, shape (T, n)
        s_{x,t} = D_x‖P_xΔ_t‖/2, by which log σ_x changes at most.
    """

    reward_std: NDArray[np.float64]
    shift: NDArray[np.float64]


class RolloutArrays(NamedTuple):
    """A log of N rollouts; ``RolloutLog.from_arrays(*log)`` reads it.

    Attributes
    ----------
    step : ndarray of int64, shape (N,)
        Training step, ascending but not always by one.
    group : ndarray, shape (N,)
        Ids, whole numbers or text; the same one at two steps may be the same prompt.
    reward : ndarray, shape (N,)
        NaN where it is missing.
    advantage : ndarray of shape (N,), or None
        As a trainer of the preset would log it; 0 where the reward is missing.
    """

    step: NDArray[np.int64]
    group: NDArray[Any]
    reward: NDArray[np.float64]
    advantage: NDArray[np.float64] | None


@st.composite
def std_paths(
    draw: DrawFn,
    *,
    max_steps: int = 8,
    max_prompts: int = 4,
    max_shift: float = math.log(2),
    largest_std: float = 0.5,
    one_prompt_a_step: bool | None = None,
) -> StdPath:
    """Draw stds that obey what a run obeys: |log σ_x(θ_{t+1}) − log σ_x(θ_t)| ≤ s_{x,t} and σ ≤ σ_max.

    Ours, theory L3 along the steps of a run; GRPO's certified step has s ≤ log 2 (theory T1 with L1).

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    max_steps, max_prompts : int
        T from 1 and n from 1.
    max_shift : float
        The largest s.
    largest_std : float
        σ_max, half the range of the rewards.
    one_prompt_a_step : bool, optional
        Whether, as in the paper's sampling of orthogonal prompts, one prompt a step moves and the others keep their
        std to the last bit; drawn when left out.

    Returns
    -------
    StdPath
        Constant paths, prompts that are silent throughout (once σ_x = 0 it stays 0), stds at σ_max, and stds that
        fall by e^−s at every step are weighted in. Shrinks towards one prompt at σ_max that does not move.

    Examples
    --------
    >>> from hypothesis import find
    >>> path = find(std_paths(), lambda path: True)
    >>> path.reward_std.shape[0] == path.shift.shape[0] + 1
    True
    """
    T, n = draw(st.integers(1, max_steps)), draw(st.integers(1, max_prompts))
    alone = draw(st.booleans()) if one_prompt_a_step is None else one_prompt_a_step
    falling = one_in(draw, 4)
    moved = draw(st.lists(st.integers(0, n - 1), min_size=T, max_size=T)) if alone else None
    length = st.one_of(st.sampled_from([0.0, max_shift]), st.floats(0, max_shift))
    part = st.just(-1.0) if falling else st.one_of(st.sampled_from([0.0, -1.0, 1.0]), st.floats(-1, 1))
    first = st.one_of(st.just(1.0), st.floats(1e-6, 1.0), st.sampled_from([0.0, 1e-150, 1e-300]))
    # One prompt's path is drawn together, so that it can be taken away whole.
    one = st.tuples(first, st.lists(st.tuples(length, part), min_size=T, max_size=T))
    drawn = [draw(one) for _ in range(n)]
    shift, parts = np.array([changes for _, changes in drawn]).transpose(2, 1, 0)
    if moved is not None:
        shift = np.where(np.arange(n) == np.array(moved)[:, None], shift, 0.0)
    σ = np.empty((T + 1, n))
    σ[0] = largest_std * np.array([start for start, _ in drawn])
    for t in range(T):
        # A hair inside, so that rounding of exp does not leave the bound.
        σ[t + 1] = np.where(
            shift[t] == 0, σ[t], np.minimum(σ[t] * np.exp((1 - 1e-12) * parts[t] * shift[t]), largest_std)
        )
    return StdPath(σ, shift)


@st.composite
def rollout_logs(
    draw: DrawFn,
    *,
    max_steps: int = 3,
    max_groups: int = 4,
    max_size: int = 6,
    binary: bool = False,
    advantages: bool | None = None,
    missing: bool = True,
) -> RolloutArrays:
    """Draw a log: several steps, groups that lost members, groups of one, silent groups, missing rewards.

    Ours.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    max_steps, max_groups, max_size : int
        Sizes, each drawn from 1.
    binary : bool
        Rewards in {0, 1} only.
    advantages : bool, optional
        Whether advantages are logged, by one preset for the whole log; drawn when left out.
    missing : bool
        Whether rewards may be NaN. One reward at least is a number.

    Returns
    -------
    RolloutArrays
        Rows of a step together; within it, members of a group not necessarily beside each other. Shrinks towards one
        group of one.

    Examples
    --------
    >>> from hypothesis import find
    >>> from curvature.rollouts import RolloutLog
    >>> log = find(rollout_logs(), lambda log: np.isnan(log.reward).any())
    >>> len(RolloutLog.from_arrays(*log).sample) == log.reward.size
    True
    """
    logged = draw(st.booleans()) if advantages is None else advantages
    preset = draw(st.sampled_from(_PRESETS))
    # The rollouts that a trainer plans for a group; some are lost on the way.
    planned = draw(st.integers(1, max_size))
    number = draw(st.integers(0, 2))
    parts = []
    for _ in range(draw(st.integers(1, max_steps))):
        group, reward = _one_step(draw, max_groups, planned, binary, missing)
        parts.append((np.full(group.size, number), group, reward))
        number += draw(st.sampled_from([1, 1, 10]))
    step, group, reward = (np.concatenate(column) for column in zip(*parts, strict=True))
    if np.isnan(reward).all():
        reward[0] = 1.0
    advantage = _advantages(step, group, reward, preset) if logged else None
    names = draw(st.booleans())
    return RolloutArrays(step, np.char.add("q", group.astype(np.str_)) if names else group, reward, advantage)


def _one_step(
    draw: DrawFn, max_groups: int, planned: int, binary: bool, missing: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw the rows of one step: ids and rewards."""
    value = REWARD["binary"] if binary else st.one_of(REWARD["binary"], REWARD["non_dyadic"], REWARD["real"])
    ids = draw(st.lists(st.integers(0, 9), min_size=1, max_size=max_groups, unique=True))
    groups: list[int] = []
    rewards: list[float] = []
    for name in ids:
        size = draw(st.integers(1, planned)) if one_in(draw, 3) else planned
        members = (
            [draw(value)] * size if one_in(draw, 4) else draw(st.lists(value, min_size=size, max_size=size))
        )
        if missing and one_in(draw, 5):
            members[draw(st.integers(0, size - 1))] = math.nan
        groups += [name] * size
        rewards += members
    order = np.array(draw(st.permutations(range(len(groups)))) if one_in(draw, 3) else range(len(groups)))
    return np.array(groups, dtype=np.int64)[order], np.array(rewards)[order]


def _advantages(
    step: NDArray[np.int64], group: NDArray[np.int64], reward: NDArray[np.float64], preset: str
) -> NDArray[np.float64]:
    """Compute what a trainer would log: step by step, over the rewards that are numbers."""
    out = np.zeros(reward.size)
    for number in np.unique(step):
        rows = np.flatnonzero((step == number) & ~np.isnan(reward))
        alone = _sizes(group[rows]) == 1
        if preset == "rloo":
            # Without another member there is no baseline, and trainers log nothing.
            rows = rows[~alone]
        if rows.size:
            out[rows] = group_advantages(reward[rows], groups=group[rows], preset=preset)
    return out


def _sizes(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the size of each row's group."""
    _, inverse, counts = np.unique(group, return_inverse=True, return_counts=True)
    return counts[inverse]
