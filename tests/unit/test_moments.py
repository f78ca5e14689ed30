"""Moments and Hessians against autodiff, finite differences in 60 digits, and each other."""

import mpmath
import numpy as np
import pytest

from curvature import (
    LogLinearBandit,
    hessian,
    hessian_extremes,
    hessian_vector_product,
    moments,
)

KINDS = ["one_correct", "binary", "gaussian"]


def _ragged(seed=0, n=3, K=5, d=4, rewards="gaussian"):
    rng = np.random.default_rng(seed)
    drawn = LogLinearBandit.gaussian(n, K, d, rewards=rewards, seed=seed)
    base = rng.standard_normal((n, K))
    base[1, 2] = -np.inf
    return LogLinearBandit(3.0 + drawn.features, drawn.rewards, base, [0.5, 0.25, 0.25])


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_and_hessian_agree_with_float64_autodiff(kind):
    torch = pytest.importorskip("torch")
    bandit = _ragged(rewards=kind)
    features, rewards, base = (
        torch.tensor(np.array(a)) for a in (bandit.features, bandit.rewards, bandit.base_logits)
    )

    def objective(theta, phi, r, b):
        return (torch.softmax(phi @ theta + b, dim=-1) * r).sum()

    over_prompts = {"in_dims": (None, 0, 0, 0)}
    gradient = torch.func.vmap(torch.func.grad(objective), **over_prompts)
    curvature = torch.func.vmap(torch.func.hessian(objective), **over_prompts)
    theta = np.random.default_rng(1).standard_normal(4)
    at = torch.tensor(theta)
    np.testing.assert_allclose(
        moments(bandit, theta).gradient, gradient(at, features, rewards, base).numpy(), atol=1e-14
    )
    np.testing.assert_allclose(
        hessian(bandit, theta), curvature(at, features, rewards, base).numpy(), atol=1e-13
    )


def _mp_objective(bandit, prompt, theta):
    logits = [
        mpmath.mpf(float(b)) + sum(mpmath.mpf(float(f)) * t for f, t in zip(phi, theta, strict=True))
        for phi, b in zip(bandit.features[prompt], bandit.base_logits[prompt], strict=True)
    ]
    weights = [mpmath.exp(logit) for logit in logits]
    total = mpmath.fsum(weights)
    mean = mpmath.fsum(w * mpmath.mpf(float(r)) for w, r in zip(weights, bandit.rewards[prompt], strict=True))
    mean /= total
    square = mpmath.fsum(
        w * (mpmath.mpf(float(r)) - mean) ** 2 for w, r in zip(weights, bandit.rewards[prompt], strict=True)
    )
    return mean, mpmath.sqrt(square / total)


# θ along the first axis makes the correct response as rare, or the wrong ones as rare, as the number says.
@pytest.mark.parametrize("log_odds", [-1400.0, -690.0, -40.0, -1.0, 0.0, 2.0, 40.0, 690.0, 1400.0])
@pytest.mark.parametrize("kind", ["one", "several", "three_values"])
def test_moments_keep_their_relative_accuracy_at_extreme_probabilities(log_odds, kind):
    rewards = {"one": [[1, 0, 0, 0]], "several": [[1, 1, 0, 0]], "three_values": [[1, 0.5, 0, 0]]}[kind]
    features = np.array([[[1.0, 0.0], [1.0, 0.5], [0.0, 1.0], [0.0, -1.0]]])
    bandit = LogLinearBandit(features, rewards)
    theta = np.array([log_odds, 0.3])
    at = moments(bandit, theta)
    curvature = hessian(bandit, theta)[0]
    product = hessian_vector_product(bandit, theta, [0.7, -0.4])[0]
    with mpmath.workdps(1300):
        exact = [mpmath.mpf(float(t)) for t in theta]
        mean, std = _mp_objective(bandit, 0, exact)
        step = mpmath.mpf(10) ** -400

        def j(a, b):
            return _mp_objective(bandit, 0, [exact[0] + a * step, exact[1] + b * step])[0]

        slope = [(j(1, 0) - j(-1, 0)) / (2 * step), (j(0, 1) - j(0, -1)) / (2 * step)]
        xx = (j(1, 0) - 2 * mean + j(-1, 0)) / step**2
        yy = (j(0, 1) - 2 * mean + j(0, -1)) / step**2
        xy = (j(1, 1) - j(1, -1) - j(-1, 1) + j(-1, -1)) / (4 * step**2)
        expected = np.array([[float(xx), float(xy)], [float(xy), float(yy)]])
        gradient = np.array([float(s) for s in slope])
        assert at.expected_reward[0] == pytest.approx(float(mean), rel=1e-13, abs=1e-307)
        assert at.reward_std[0] == pytest.approx(float(std), rel=1e-12, abs=0)
    # Entries may cancel against each other, so the error is set against the largest of them; denormals aside.
    np.testing.assert_allclose(at.gradient[0], gradient, atol=1e-12 * abs(gradient).max() + 1e-307, rtol=0)
    room = 1e-11 * abs(expected).max() + 1e-307
    np.testing.assert_allclose(curvature, expected, atol=room, rtol=0)
    np.testing.assert_allclose(product, expected @ [0.7, -0.4], atol=room, rtol=0)


def test_std_is_right_where_its_square_underflows():
    bandit = LogLinearBandit([[[1.0], [0.0]]], [[1, 0]])
    assert moments(bandit, [-1400.0]).reward_std[0] == pytest.approx(np.exp(-700.0), rel=1e-12)
    assert moments(bandit, [1400.0]).reward_std[0] == pytest.approx(np.exp(-700.0), rel=1e-12)


def test_equal_rewards_have_exactly_zero_std_gradient_and_curvature():
    features = np.random.default_rng(0).standard_normal((1, 8, 3))
    bandit = LogLinearBandit(features, np.full((1, 8), 0.7))
    at = moments(bandit, [0.3, 0.1, -2.0])
    assert at.reward_std[0] == 0.0
    assert not at.gradient.any()
    assert not hessian(bandit, [0.3, 0.1, -2.0]).any()


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,)])
def test_leading_axes_of_theta_are_a_batch(shape):
    bandit = _ragged()
    thetas = np.random.default_rng(2).standard_normal((*shape, 4))
    vector = np.array([1.0, 0.0, -1.0, 2.0])
    at = moments(bandit, thetas)
    assert at.gradient.shape == (*shape, 3, 4)
    assert at.probabilities.shape == at.log_probabilities.shape == (*shape, 3, 5)
    assert hessian(bandit, thetas).shape == (*shape, 3, 4, 4)
    assert hessian_extremes(bandit, thetas).shape == (*shape, 3, 2)
    assert hessian_vector_product(bandit, thetas, vector).shape == (*shape, 3, 4)
    for index in np.ndindex(shape):
        alone = moments(bandit, thetas[index])
        np.testing.assert_allclose(at.gradient[index], alone.gradient, atol=1e-15)
        np.testing.assert_allclose(at.reward_std[index], alone.reward_std, rtol=1e-14)
        np.testing.assert_allclose(hessian(bandit, thetas)[index], hessian(bandit, thetas[index]), atol=1e-15)


def test_vectors_broadcast_with_theta():
    bandit = _ragged()
    vectors = np.eye(4)
    columns = hessian_vector_product(bandit, np.zeros(4), vectors)
    np.testing.assert_allclose(np.moveaxis(columns, 0, -1), hessian(bandit, np.zeros(4)), atol=1e-14)


@pytest.mark.parametrize(("K", "d"), [(3, 7), (5, 4), (4, 3), (2, 1), (1, 3), (6, 20)])
def test_extremes_are_those_of_the_full_matrix(K, d):
    bandit = LogLinearBandit.gaussian(4, K, d, rewards="gaussian", seed=K * d)
    theta = np.random.default_rng(3).standard_normal((2, d))
    full = np.linalg.eigvalsh(hessian(bandit, theta))
    np.testing.assert_allclose(hessian_extremes(bandit, theta), full[..., [0, -1]], atol=1e-14)


def test_extremes_hold_for_repeated_and_missing_responses():
    features = np.random.default_rng(4).standard_normal((1, 5, 9))
    features[0, 4] = features[0, 1]
    bandit = LogLinearBandit(features, [[1, 0, 0, 1, 0]], [[0, 0, -np.inf, 0, 1]])
    full = np.linalg.eigvalsh(hessian(bandit, np.ones(9)))
    np.testing.assert_allclose(hessian_extremes(bandit, np.ones(9)), full[..., [0, -1]], atol=1e-14)


def test_many_prompts_in_blocks_equal_one_prompt_at_a_time():
    bandit = LogLinearBandit.gaussian(150, 16, 32, seed=5)
    theta = np.random.default_rng(6).standard_normal(32)
    together = hessian(bandit, theta)
    for prompt in (0, 63, 64, 149):
        np.testing.assert_allclose(together[prompt], hessian(bandit.select([prompt]), theta)[0], atol=1e-15)


@pytest.mark.parametrize("function", [moments, hessian, hessian_extremes])
@pytest.mark.parametrize(
    ("theta", "message"),
    [
        (np.zeros(3), r"theta has shape \(3,\); its last axis must have the bandit's dimension, 4"),
        (0.0, r"theta has shape \(\)"),
        ([0, np.nan, 0, 0], "theta holds nan; every value must be finite"),
        ([0, np.inf, 0, 0], "theta holds inf"),
    ],
)
def test_bad_theta_is_refused_in_one_sentence(function, theta, message):
    with pytest.raises(ValueError, match=message):
        function(_ragged(), theta)


def test_bad_vector_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"vector has shape \(2,\)"):
        hessian_vector_product(_ragged(), np.zeros(4), np.zeros(2))


def test_what_is_returned_belongs_to_the_caller():
    bandit, theta = _ragged(), np.ones(4)
    first = moments(bandit, theta)
    kept = [np.array(value) for value in first]
    for value in first:
        value[...] = 7.0
    for again, before in zip(moments(bandit, theta), kept, strict=True):
        np.testing.assert_array_equal(again, before)


def test_a_theta_changed_in_place_is_another_theta():
    bandit, theta = _ragged(), np.zeros(4)
    before = hessian(bandit, theta)
    theta += 1.0
    np.testing.assert_array_equal(hessian(bandit, theta), hessian(_ragged(), np.ones(4)))
    assert not np.array_equal(hessian(bandit, theta), before)
