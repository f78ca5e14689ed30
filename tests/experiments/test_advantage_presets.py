"""What the presets do to one success in eight, and the exact weight of a prompt."""

import numpy as np
import pytest

from curvature import PRESETS, LogLinearBandit, group_advantages, moments
from curvature.groups import effective_weight
from experiments import advantage_presets


@pytest.fixture(scope="module")
def table():
    return advantage_presets.run(points=21)


def test_every_preset_has_a_row(table):
    rows = table[table["quantity"] == "advantage"]
    assert rows["preset"].tolist() == list(PRESETS)
    assert list(table) == ["quantity", "group_size", "preset", "failure", "success", "success_rate", "weight"]


@pytest.mark.parametrize(
    ("preset", "success", "failure"),
    [
        ("grpo", 2.646, -0.378),
        ("verl", 2.475, -0.354),
        ("none", 0.875, -0.125),
        ("rloo", 1, -0.143),
        ("nemo_rl", 1, -0.378),
    ],
)
def test_one_success_in_eight_is_as_published(table, preset, success, failure):
    row = table[(table["quantity"] == "advantage") & (table["preset"] == preset)].iloc[0]
    assert (row["success"], row["failure"]) == pytest.approx((success, failure), abs=5e-4)


def test_leave_one_out_mean_is_unbiased_and_the_group_mean_shrinks_by_one_minus_one_over_g():
    p = np.array([0.001, 0.3, 0.5, 0.95])
    np.testing.assert_allclose(effective_weight(p, 8, "rloo"), 1.0, rtol=1e-12)
    np.testing.assert_allclose(effective_weight(p, 8, "none"), 7 / 8, rtol=1e-12)


def test_groups_of_two_make_grpo_reinforce_at_another_scale():
    np.testing.assert_allclose(effective_weight([0.01, 0.4, 0.9], 2, "grpo"), 1.0, rtol=1e-12)


def test_weight_of_grpo_saturates_at_root_g_minus_one_for_rare_successes():
    assert effective_weight([1e-7], 8, "grpo")[0] == pytest.approx(np.sqrt(7), rel=1e-5)


def test_weight_of_grpo_approaches_one_over_the_std_in_large_groups():
    assert effective_weight([0.3], 2000, "grpo")[0] == pytest.approx(1 / np.sqrt(0.21), rel=2e-3)


def test_weight_is_the_factor_between_sampled_updates_and_the_gradient():
    # Simulated groups of a two-armed prompt; the tolerance is five standard errors.
    p, G, groups = 0.2, 8, 40_000
    bandit = LogLinearBandit.two_arm([p])
    rng = np.random.default_rng(7)
    rewards = (rng.random((groups, G)) < p).astype(float)
    score = np.where(rewards == 1, 1 - p, -p)  # ∇log π of the two responses, D = 1
    for preset in advantage_presets.WEIGHTED:
        update = (group_advantages(rewards, preset=preset) * score).mean(axis=1)
        gradient = moments(bandit, np.zeros(1)).gradient[0, 0]
        expected = effective_weight([p], G, preset)[0] * gradient
        assert update.mean() == pytest.approx(expected, abs=5 * update.std() / np.sqrt(groups))


@pytest.mark.parametrize("preset", ["batch", "areal", "lite_ppo", "ms_swift_reinforce_plus_plus"])
def test_a_preset_of_the_whole_batch_has_no_weight_without_the_std_of_a_batch(preset):
    with pytest.raises(ValueError, match="pass batch_std"):
        effective_weight([0.5], 8, preset)


def test_presets_that_share_a_row_differ_by_less_than_the_figure_shows(table):
    merged = advantage_presets.merge_equal(table)
    names = [name for row in merged["preset"] for name in row.replace("\n", " ").split(", ")]
    assert sorted(names) == sorted(PRESETS)
    assert merged["success"].is_monotonic_decreasing
    assert len(merged) < len(PRESETS) / 2


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="group_size is 1; a whole number of at least 2 is needed"):
        advantage_presets.run(group_size=1)
