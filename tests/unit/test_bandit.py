"""LogLinearBandit: what it accepts, what it refuses and with which words, and what its constructors promise."""

import dataclasses
import json

import numpy as np
import pytest

from curvature import LogLinearBandit, center, feature_diameter, moments, spectral_norm


def _bandit(n=2, K=3, d=2, **changes):
    given = {"features": np.arange(n * K * d, dtype=float).reshape(n, K, d), "rewards": np.eye(K)[[0] * n]}
    return LogLinearBandit(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.zeros((3, 2))}, r"features has shape \(3, 2\); \(n, K, d\) is needed"),
        ({"features": np.zeros((2, 0, 2))}, r"features has shape \(2, 0, 2\)"),
        ({"rewards": np.zeros((2, 4))}, r"rewards has shape \(2, 4\); \(n, K\) = \(2, 3\) is needed"),
        ({"rewards": [[1, 0, np.nan], [1, 0, 0]]}, r"rewards\[0, 2\] is nan; every reward"),
        ({"rewards": [[1, 0, 0], [np.inf, 0, 0]]}, r"rewards\[1, 0\] is inf"),
        ({"rewards": [[1, 0], [1, 0, 0]]}, "pad ragged prompts"),
        ({"rewards": [["a", "b", "c"], ["a", "b", "c"]]}, "cannot be read as a"),
        ({"features": np.full((2, 3, 2), np.nan)}, r"features\[0, 0, 0\] is nan; every feature"),
        ({"base_logits": [[0, 0, np.nan], [0, 0, 0]]}, r"base_logits\[0, 2\] is nan"),
        ({"base_logits": [[0, 0, np.inf], [0, 0, 0]]}, r"base_logits\[0, 2\] is inf"),
        ({"base_logits": [[-np.inf] * 3, [0, 0, 0]]}, "prompt 0 has no response"),
        ({"mask": [[True] * 3, [False] * 3]}, "prompt 1 has no response"),
        ({"mask": np.ones((2, 3))}, "mask has dtype float64"),
        ({"prompt_weights": [1.0, 0.0]}, r"prompt_weights\[1\] is 0.0; weights must be positive"),
        ({"prompt_weights": [1.5, -0.5]}, r"prompt_weights\[1\] is -0.5"),
        ({"prompt_weights": [np.nan, 1.0]}, r"prompt_weights\[0\] is nan"),
        ({"prompt_weights": [0.5, 0.6]}, r"prompt_weights sum to 1\.1"),
        ({"prompt_weights": [1.0]}, r"prompt_weights has shape \(1,\)"),
    ],
)
def test_bad_problem_is_refused_in_one_sentence_that_names_the_value(changes, message):
    with pytest.raises(ValueError, match=message):
        _bandit(**changes)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LogLinearBandit.from_success_rates([0.5, 1.5]), r"success\[1\] is 1.5; a probability"),
        (lambda: LogLinearBandit.from_success_rates([0.5, np.nan]), r"success\[1\] is nan"),
        (lambda: LogLinearBandit.from_success_rates([]), r"success has shape \(0,\)"),
        (lambda: LogLinearBandit.two_arm([[0.5]]), r"success has shape \(1, 1\)"),
        (lambda: LogLinearBandit.two_arm([0.5], diameter=0.0), "diameter is 0.0; a positive"),
        (lambda: LogLinearBandit.overlapping(2, 3, overlap=1.5), "overlap is 1.5"),
        (lambda: LogLinearBandit.orthogonal(2, 3, rank=3), "rank is 3; 3 responses span at most 2"),
        (lambda: LogLinearBandit.orthogonal(0, 3), "num_prompts is 0"),
        (lambda: LogLinearBandit.orthogonal(2, 1), "num_responses is 1"),
        (lambda: LogLinearBandit.orthogonal(2.5, 2), "num_prompts is 2.5"),
        (lambda: LogLinearBandit.gaussian(2, 3, 2, rewards="dense"), "rewards is 'dense'; choose one of"),
        (lambda: LogLinearBandit.gaussian(2, 3, 2, spectral_norm=-1.0), "spectral_norm is -1.0"),
        (lambda: LogLinearBandit.with_success([0.5], 1, 2), "num_responses is 1; at least 2"),
    ],
)
def test_bad_constructor_argument_is_refused_in_one_sentence(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_instance_is_frozen_and_does_not_share_memory_with_its_input():
    features = np.zeros((1, 2, 1))
    bandit = LogLinearBandit(features, [[1, 0]])
    features[:] = 7.0
    assert bandit.features.max() == 0.0
    with pytest.raises(ValueError, match="read-only"):
        bandit.features[0, 0, 0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        bandit.rewards = np.zeros((1, 2))


def test_mask_and_infinite_base_logit_say_the_same():
    mask = np.array([[True, True, False], [True, True, True]])
    features = np.where(mask[..., None], np.arange(12.0).reshape(2, 3, 2), np.nan)
    masked = _bandit(features=features, mask=mask)
    infinite = _bandit(features=features, base_logits=np.where(mask, 0.0, -np.inf))
    theta = np.array([0.3, -0.2])
    for one, other in zip(moments(masked, theta), moments(infinite, theta), strict=True):
        np.testing.assert_array_equal(one, other)
    assert moments(masked, theta).probabilities[0, 2] == 0.0


def test_missing_response_changes_nothing_of_the_others():
    full = _bandit(K=2)
    features = np.concatenate([full.features, np.full((2, 1, 2), 9.0)], axis=1)
    padded = LogLinearBandit(
        features, np.pad(full.rewards, ((0, 0), (0, 1))), [[0, 0, -np.inf], [0, 0, -np.inf]]
    )
    theta = np.array([0.3, -0.2])
    np.testing.assert_allclose(moments(padded, theta).gradient, moments(full, theta).gradient, rtol=1e-14)
    np.testing.assert_allclose(feature_diameter(padded), feature_diameter(full))


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.9, 1.0])
def test_overlap_dial_is_the_norm_of_the_product_of_projectors(overlap):
    bandit = LogLinearBandit.overlapping(4, 4, overlap, seed=3)
    projectors = []
    for phi in bandit.features:
        basis = np.linalg.svd(phi - phi.mean(0), full_matrices=False)[2][:3]
        projectors.append(basis.T @ basis)
    for x in range(4):
        for other in range(x):
            assert np.linalg.norm(projectors[x] @ projectors[other], 2) == pytest.approx(overlap, abs=1e-12)


def test_instances_of_one_seed_differ_in_the_overlap_alone():
    low, high = (LogLinearBandit.overlapping(3, 4, c, seed=5) for c in (0.2, 0.7))
    np.testing.assert_array_equal(low.rewards, high.rewards)
    np.testing.assert_allclose(
        low.features @ low.features.swapaxes(1, 2), high.features @ high.features.swapaxes(1, 2), atol=1e-14
    )


@pytest.mark.parametrize("rewards", ["one_correct", "binary", "gaussian"])
def test_orthogonal_prompts_have_zero_products_and_the_diameter_asked_for(rewards):
    bandit = LogLinearBandit.orthogonal(3, 4, rank=2, diameter=2.5, rewards=rewards, seed=1)
    assert bandit.dimension == 6
    np.testing.assert_allclose(feature_diameter(bandit), 2.5)
    assert abs(bandit.features[0] @ bandit.features[1].T).max() == 0.0
    assert bandit.is_binary == (rewards != "gaussian")


def test_binary_rewards_have_a_right_and_a_wrong_response():
    rewards = LogLinearBandit.gaussian(200, 3, 1, rewards="binary", seed=0).rewards
    assert set(rewards.sum(axis=1)) == {1.0, 2.0}


def test_spectral_norm_is_as_prescribed():
    bandit = LogLinearBandit.gaussian(3, 5, 4, spectral_norm=2.0, seed=2)
    np.testing.assert_allclose(spectral_norm(bandit), 2.0)


def test_success_is_as_prescribed_also_at_its_ends():
    p = np.array([0.0, 1e-300, 0.25, 1.0])
    bandit = LogLinearBandit.with_success(p, 4, 3, seed=4)
    np.testing.assert_allclose(moments(bandit, np.zeros(3)).expected_reward, p, rtol=1e-13)
    two_arms = LogLinearBandit.two_arm(p, overlap=0.5)
    np.testing.assert_allclose(moments(two_arms, np.zeros(5)).expected_reward, p, rtol=1e-13)


def test_two_arm_directions_have_the_cosine_asked_for():
    bandit = LogLinearBandit.two_arm([0.1, 0.5, 0.9], diameter=2.0, overlap=0.4)
    directions = bandit.features[:, 1] - bandit.features[:, 0]
    np.testing.assert_allclose(directions @ directions.T / 4, 0.4 + 0.6 * np.eye(3), atol=1e-15)


@pytest.mark.parametrize(
    "build", [LogLinearBandit.orthogonal, lambda n, K, seed: LogLinearBandit.gaussian(n, K, 3, seed=seed)]
)
def test_same_seed_gives_the_same_instance_and_another_seed_another(build):
    first, again, other = (build(3, 4, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.features, again.features)
    assert not np.array_equal(first.features, other.features)


def test_stored_instance_comes_back_to_the_last_bit():
    bandit = LogLinearBandit.with_success([0.0, 1 / 3], 3, 2, seed=9)
    back = LogLinearBandit.from_dict(json.loads(json.dumps(bandit.to_dict())))
    for name in ("features", "rewards", "base_logits", "prompt_weights", "mask"):
        np.testing.assert_array_equal(getattr(back, name), getattr(bandit, name))


def test_selected_prompts_keep_their_relative_weights():
    bandit = _bandit(n=3, prompt_weights=[0.2, 0.3, 0.5])
    chosen = bandit.select([2, 0])
    np.testing.assert_allclose(chosen.prompt_weights, [5 / 7, 2 / 7])
    np.testing.assert_array_equal(chosen.features, bandit.features[[2, 0]])
    np.testing.assert_array_equal(bandit.select([True, False, False]).rewards, bandit.rewards[:1])


def test_centering_leaves_the_policy_as_it_is():
    bandit = LogLinearBandit.gaussian(3, 4, 2, seed=6)
    theta = np.array([1.3, -0.4])
    before, after = moments(bandit, theta), moments(center(bandit), theta)
    np.testing.assert_allclose(after.probabilities, before.probabilities, rtol=1e-13)
    np.testing.assert_allclose(after.gradient, before.gradient, rtol=1e-12, atol=1e-15)
