"""What mutants of `moments` showed to be unwatched: types, names, the kept state, blocks and tiny variances."""

import numpy as np
import pytest

from curvature import LogLinearBandit, hessian, hessian_extremes, moments
from curvature.moments import hessian_vector_product

BANDIT = LogLinearBandit.gaussian(5, 4, 3, seed=7)


def test_numbers_given_as_text_are_read_as_numpy_reads_them():
    theta = np.array([0.5, -1.0, 0.25])
    text = ["0.5", "-1.0", "0.25"]
    np.testing.assert_array_equal(moments(BANDIT, text).gradient, moments(BANDIT, theta).gradient)
    np.testing.assert_array_equal(
        hessian_vector_product(BANDIT, text, text), hessian_vector_product(BANDIT, theta, theta)
    )
    assert hessian_extremes(BANDIT, text).dtype == np.float64


@pytest.mark.parametrize(
    ("theta", "vector", "name"), [([0.0], [0.0] * 3, "theta"), ([0.0] * 3, [0.0], "vector")]
)
def test_the_message_names_which_of_the_two_has_the_wrong_length(theta, vector, name):
    with pytest.raises(ValueError, match=f"^{name} has shape"):
        hessian_vector_product(BANDIT, theta, vector)


def test_the_state_at_one_theta_is_computed_once_and_anew_at_another(monkeypatch):
    import sys

    module = sys.modules["curvature.moments"]
    bandit, calls, new_state = LogLinearBandit.gaussian(3, 3, 2, seed=1), [], module._new_state

    def counted(*arguments):
        calls.append(arguments)
        return new_state(*arguments)

    monkeypatch.setattr(module, "_new_state", counted)
    theta = np.array([0.3, -0.2])
    moments(bandit, theta), hessian(bandit, theta), hessian_extremes(bandit, theta)
    assert len(calls) == 1
    first = moments(bandit, -theta).expected_reward
    assert len(calls) == 2
    moments(bandit, [theta, -theta])
    moments(bandit, [theta, -theta])
    assert len(calls) == 4
    np.testing.assert_array_equal(first, moments(bandit, -theta).expected_reward)


@pytest.mark.parametrize("block_bytes", [1, 8 * 4 * 3 * 2, 1 << 19])
def test_hessians_do_not_depend_on_how_many_prompts_fit_into_a_block(monkeypatch, block_bytes):
    import sys

    theta = np.array([0.3, -0.2, 0.9])
    expected = hessian(BANDIT, theta)
    monkeypatch.setattr(sys.modules["curvature.moments"], "_BLOCK_BYTES", block_bytes)
    np.testing.assert_allclose(hessian(BANDIT, theta), expected, rtol=1e-13, atol=1e-15)


def test_tiny_variances_of_several_prompts_keep_their_own_scale():
    # Two answers at log-odds L: σ = √(p(1 − p)) ≈ e^(−L/2), squares of which are lost beyond L = 745.
    L = np.array([500.0, 800.0, 1100.0, 1390.0])
    bandit = LogLinearBandit(
        np.zeros((4, 2, 1)), np.tile([1.0, 0.0], (4, 1)), base_logits=np.stack([0 * L, L], axis=1)
    )
    np.testing.assert_allclose(moments(bandit, [0.0]).reward_std, np.exp(-L / 2), rtol=1e-12)
