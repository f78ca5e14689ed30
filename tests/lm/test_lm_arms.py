"""The arms are what their formulas say, and every number of them is made by `group_advantages`."""

import numpy as np
import pytest

from curvature.lm import arms
from curvature.lm.arms import ARMS, arm_advantages

REWARDS = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0], dtype=float)
GROUPS = np.repeat(["hard", "mid", "right", "wrong"], 4)


def _by_hand(arm, rewards, groups, overlap=0.5):
    names = list(dict.fromkeys(groups))
    std = {
        name: np.sqrt(np.mean((rewards[groups == name] - rewards[groups == name].mean()) ** 2))
        for name in names
    }
    mean_std = sum(std.values()) / len(names)
    advantages = []
    for reward, name in zip(rewards, groups, strict=True):
        centred = reward - rewards[groups == name].mean()
        weight = {
            "none": lambda s: 1.0,
            "group": lambda s: 1 / s,
            "batch": lambda s: 1 / np.sqrt(np.mean((rewards - rewards.mean()) ** 2)),
            "group_matched": lambda s: mean_std / s,
            "variance": lambda s: 1 / s**2,
            "smoothed": lambda s: 1 / ((1 - overlap) * s + overlap * mean_std),
        }[arm]
        advantages.append(centred * weight(std[name]) if std[name] else 0.0)
    return np.array(advantages)


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_is_its_formula(arm):
    np.testing.assert_allclose(
        arm_advantages(arm, REWARDS, GROUPS), _by_hand(arm, REWARDS, GROUPS), rtol=1e-14
    )


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_does_not_depend_on_the_order_of_rewards_nor_on_group_sizes(arm):
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 9, 200)
    rewards = rng.normal(size=200) * groups
    np.testing.assert_allclose(
        arm_advantages(arm, rewards, groups), _by_hand(arm, rewards, groups), rtol=1e-11
    )


@pytest.mark.parametrize("arm", ARMS)
def test_silent_groups_get_exactly_zero(arm):
    advantages = arm_advantages(arm, REWARDS, GROUPS)
    assert (advantages[8:] == 0).all()
    assert (advantages[:8] != 0).all()
    assert (arm_advantages(arm, [0.1] * 6, [0, 0, 0, 1, 1, 1]) == 0).all()


@pytest.mark.parametrize("overlap", [0.0, 0.3, 1.0])
def test_smoothed_lies_between_group_and_one_divisor_for_all(overlap):
    smoothed = arm_advantages("smoothed", REWARDS, GROUPS, overlap=overlap)
    np.testing.assert_allclose(smoothed, _by_hand("smoothed", REWARDS, GROUPS, overlap), rtol=1e-14)
    if overlap == 0:
        np.testing.assert_allclose(smoothed, arm_advantages("group", REWARDS, GROUPS), rtol=1e-14)
    if overlap == 1:
        np.testing.assert_allclose(
            smoothed * np.mean([3**0.5 / 4, 0.5, 0, 0]), arm_advantages("none", REWARDS, GROUPS)
        )


def test_matched_has_the_mean_weight_of_none_where_no_group_is_silent():
    rewards, groups = REWARDS[:8], GROUPS[:8]
    matched, none = (arm_advantages(arm, rewards, groups) for arm in ("group_matched", "none"))
    weights = (matched / none)[[0, 4]]
    stds = np.array([3**0.5 / 4, 0.5])
    np.testing.assert_allclose(np.sum(weights * stds) / stds.sum(), 1)


@pytest.mark.parametrize("arm", ARMS)
def test_every_number_comes_from_group_advantages(arm, monkeypatch):
    original, calls = arms.group_advantages, []

    def doubled(rewards, groups, preset):
        calls.append(preset)
        return 2 * original(rewards, groups, preset)

    whole = arm_advantages(arm, REWARDS, GROUPS)
    monkeypatch.setattr(arms, "group_advantages", doubled)  # a std, the ratio of two results, stays as it is
    np.testing.assert_allclose(arm_advantages(arm, REWARDS, GROUPS), 2 * whole, rtol=1e-14)
    assert calls
    monkeypatch.setattr(arms, "group_advantages", lambda rewards, groups, preset: np.zeros(len(rewards)))
    assert (arm_advantages(arm, REWARDS, GROUPS) == 0).all()


@pytest.mark.parametrize("arm", ARMS)
def test_no_rewards_give_no_advantages(arm):
    advantages = arm_advantages(arm, [], [])
    assert advantages.shape == (0,)
    assert advantages.dtype == np.float64


def test_complaints_name_the_value():
    with pytest.raises(ValueError, match=r"arm is 'grpo'; choose one of none, group"):
        arm_advantages("grpo", REWARDS, GROUPS)
    with pytest.raises(ValueError, match=r"overlap is 1\.5; a number between 0 and 1"):
        arm_advantages("smoothed", REWARDS, GROUPS, overlap=1.5)
