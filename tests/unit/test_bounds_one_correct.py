"""The curvature profile under A1: valid, reached at every p, and equal to C1 outside (1/4, 1/2)."""

import numpy as np
import pytest
from hypothesis import given

from curvature import LogLinearBandit, feature_diameter, hessian_extremes, moments
from curvature.bounds import sharp
from curvature.testing import assert_tight, assert_upper, bandits_with_theta

P = np.array([1e-6, 0.05, 0.2, 0.3, 0.375, 0.4, 0.45, 0.5, 0.6, 0.7, 0.75, 0.8, 0.95])


def _worst(p):
    """The instance of one correct response that reaches the profile: (probabilities, rewards, positions)."""
    q = 1 - p
    if p <= 0.375 or q <= 0.25:
        return [p, q], [1.0, 0.0], [1.0, 0.0]
    if p <= 0.5:
        return [p, q / 2, q / 2], [1.0, 0.0, 0.0], [0.0, 0.5, -0.5]
    return [p, 0.25, q - 0.25], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]


def _curvature(p):
    probabilities, rewards, positions = _worst(p)
    bandit = LogLinearBandit(np.array(positions)[None, :, None], [rewards], np.log([probabilities]))
    return np.abs(hessian_extremes(bandit, [0.0])).max()


@given(bandits_with_theta(rewards="one_correct"))
def test_one_correct_response_keeps_the_curvature_below_its_profile(drawn):
    bandit, theta = drawn
    curvature = np.abs(hessian_extremes(bandit, theta)).max(-1)
    success = moments(bandit, theta).expected_reward
    bound = sharp.hessian_norm_one_correct(np.clip(success, 0, 1), feature_diameter(bandit))
    # 1 − p carries the rounding of p.
    assert_upper(curvature, bound + 1e-15 * feature_diameter(bandit) ** 2)


@pytest.mark.parametrize("p", P)
def test_one_correct_profile_is_reached_at_every_success_probability(p):
    assert_tight([_curvature(p)], sharp.one_correct_profile(p), at_least=1 - 1e-9)
    assert _curvature(p) > 0.99 * sharp.one_correct_profile(p)


def test_one_correct_profile_is_below_the_binary_one_between_a_quarter_and_a_half_only():
    p = np.linspace(0, 1, 2001)
    ours, binary = sharp.one_correct_profile(p), sharp.curvature_profile(p)
    inside = (p > 0.25 + 1e-9) & (p < 0.5 - 1e-9)
    assert (ours[inside] < binary[inside]).all()
    np.testing.assert_allclose(ours[~inside], binary[~inside], rtol=1e-12, atol=1e-300)
    gap = binary[inside] / ours[inside]
    assert gap.max() == pytest.approx(4 / 3)
    assert p[inside][gap.argmax()] == pytest.approx(0.375)


def test_torch_and_numpy_agree_and_bad_success_is_refused():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(
        sharp.hessian_norm_one_correct(torch.tensor(P), 2.0).numpy(), sharp.hessian_norm_one_correct(P, 2.0)
    )
    with pytest.raises(ValueError, match=r"success must lie in \[0, 1\], got 1.5"):
        sharp.one_correct_profile(1.5)
    with pytest.raises(ValueError, match="diameter must be finite"):
        sharp.hessian_norm_one_correct(0.5, np.inf)
