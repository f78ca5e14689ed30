"""Identities that the moments satisfy on every instance the strategies can draw."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curvature import LogLinearBandit, hessian, hessian_extremes, hessian_vector_product, moments
from curvature.testing import bandits_with_theta


@given(bandits_with_theta())
def test_moments_are_those_of_the_definition(drawn):
    bandit, theta = drawn
    at = moments(bandit, theta)
    np.testing.assert_allclose(at.probabilities.sum(-1), 1.0, rtol=1e-14)
    for x in range(bandit.num_prompts):
        p, r, phi = at.probabilities[x], bandit.rewards[x], bandit.features[x]
        mean = p @ r
        np.testing.assert_allclose(at.expected_reward[x], mean, atol=1e-13)
        np.testing.assert_allclose(at.reward_std[x] ** 2, p @ (r - mean) ** 2, atol=1e-12)
        np.testing.assert_allclose(at.gradient[x], (p * (r - mean)) @ phi, atol=1e-12)


@given(bandits_with_theta())
def test_hessian_routes_agree(drawn):
    bandit, theta = drawn
    full = hessian(bandit, theta)
    scale = 1e-12 * (1 + abs(full).max())
    np.testing.assert_allclose(full, full.swapaxes(-1, -2), atol=scale)
    eigenvalues = np.linalg.eigvalsh(full)
    np.testing.assert_allclose(hessian_extremes(bandit, theta), eigenvalues[..., [0, -1]], atol=scale)
    vector = np.linspace(-1, 1, bandit.dimension)
    np.testing.assert_allclose(hessian_vector_product(bandit, theta, vector), full @ vector, atol=4 * scale)


@given(bandits_with_theta(), st.floats(-3, 3), st.floats(0.1, 10))
def test_shifted_features_and_affine_rewards_change_what_they_should(drawn, shift, scale):
    bandit, theta = drawn
    moved = LogLinearBandit(
        bandit.features + shift, shift + scale * bandit.rewards, bandit.base_logits, bandit.prompt_weights
    )
    before, after = moments(bandit, theta), moments(moved, theta)
    np.testing.assert_allclose(after.probabilities, before.probabilities, rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(after.expected_reward, shift + scale * before.expected_reward, atol=1e-10)
    np.testing.assert_allclose(after.reward_std, scale * before.reward_std, rtol=1e-6, atol=1e-13)
    np.testing.assert_allclose(after.gradient, scale * before.gradient, atol=1e-10 * scale)


@given(bandits_with_theta(orthogonal=True))
def test_orthogonal_prompts_have_orthogonal_gradients(drawn):
    bandit, theta = drawn
    gradient = moments(bandit, theta).gradient
    gram = gradient @ gradient.T
    assert np.array_equal(gram, np.diag(np.diag(gram)))
