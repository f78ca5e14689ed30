"""What mutants of the flow of a profile showed to be unwatched: frozen prompts, far targets, systems of equations."""

import math

import numpy as np
import pytest

from curvature.flow import learning_curve, predicted_speedup, success_at_time, time_to_success, time_to_target
from curvature.flow._runs import CERTIFIED


@pytest.mark.parametrize("method", ["grpo", "reinforce", "batch"])
def test_a_profile_of_certain_prompts_stays_where_it_is_and_has_no_step(method):
    curve = learning_curve([0.0, 1.0, 1.0], [0.0, 7.0], method=method, prompt_weights=[1, 2, 1])
    np.testing.assert_array_equal(curve.time, [0, 7])
    np.testing.assert_allclose(curve.mean_success, 0.75)
    np.testing.assert_allclose(curve.batch_std, math.sqrt(3) / 4)
    assert curve.mean_std.tolist() == curve.max_std.tolist() == [0, 0]
    assert np.isnan(curve.step_size).all()
    assert curve.step_size.dtype == float


def test_no_times_give_a_curve_without_points():
    curve = learning_curve([0.5], [])
    assert [field.shape for field in (curve.time, curve.mean_success, curve.step_size)] == [(0,)] * 3


def test_one_prompt_has_the_step_of_its_rule():
    curve = learning_curve([0.3], [0.0, 3.0], step_rule=0.7)
    np.testing.assert_array_equal(curve.step_size, [0.7, 0.7])


def test_a_curve_cut_into_pieces_of_time_is_the_curve_of_each_prompt():
    profile, times = np.linspace(0.02, 0.9, 100), np.linspace(0, 3, 90)
    curve = learning_curve(profile, times, method="power", exponent=0.5, step_rule=1.0)
    expected = success_at_time(profile[:, None], times[None, 1::44], exponent=0.5).mean(axis=0)
    assert profile.size * times.size > 1 << 13
    np.testing.assert_allclose(curve.mean_success[1::44], expected, rtol=1e-12)


def test_a_system_of_equations_has_the_same_state_whichever_times_are_asked_before():
    # The batch's std of one prompt is its own, so that its path is GRPO's.
    times = [0.5, 1.5, 3.0, 7.0]
    curve = learning_curve([0.2], times, method="batch", step_rule=1.0)
    np.testing.assert_allclose(
        curve.mean_success, success_at_time(0.2, times, exponent=1.0, rate=1.0), rtol=1e-7
    )


def test_a_system_of_equations_reaches_each_of_several_targets_when_its_prompt_does():
    targets = np.array([0.2, 0.2 + 1e-9, 0.5, 0.9])
    found = time_to_target([0.2], targets, method="batch", step_rule=1.0)
    assert found[0] == 0
    gap = targets[1] - 0.2
    assert found[1] == pytest.approx(gap / 0.16**1.5, rel=1e-6)
    np.testing.assert_allclose(found[2:], time_to_success(0.2, targets[2:], exponent=1.0), rtol=1e-9)


def test_a_jumping_weight_is_certified_by_its_largest_product_with_the_std_and_reaches_its_targets():
    curve = learning_curve([0.1], [0.0], method=lambda p: np.full(p.shape, 4.0))
    # max 4σ = 2.
    np.testing.assert_allclose(curve.step_size, CERTIFIED / 2, rtol=1e-5)


def test_above_exponent_two_all_success_is_reached_in_finite_time():
    end = time_to_success(0.5, 1.0, exponent=3.0)
    assert end == pytest.approx(math.pi / 2, rel=1e-12)
    run = {"method": "power", "exponent": 3.0, "step_rule": 1.0}
    assert time_to_target([0.5], 1.0, **run) == pytest.approx(end, rel=1e-12)
    # A prompt of success 0 keeps half of the mean back; 1/2 itself is reached when the other one is certain.
    found = time_to_target([0.5, 0.0], [0.9, 0.5], **run)
    assert found[0] == math.inf
    assert found[1] == pytest.approx(end, rel=1e-12)


@pytest.mark.parametrize("step_rule", [1.0, "certified_running"])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_up_to_exponent_two_all_success_is_never_reached(exponent, step_rule):
    run = {"method": "power", "exponent": exponent, "step_rule": step_rule}
    assert time_to_target([0.5], 1.0, **run) == math.inf
    assert time_to_target([0.5, 0.5, 0.0], 2 / 3, **run) == math.inf


def test_a_start_that_takes_longer_than_any_float_is_never_left():
    assert time_to_target([1e-320], 0.5, method="reinforce") == math.inf


def test_the_last_float_below_one_is_a_target_like_any_other():
    last = 1 - 2.0**-53
    found = time_to_target([0.5, 0.3], last, step_rule=1.0)
    # 1 − p = 4/(sinh-shifted time)²: both prompts fail equally in the end, 1 − p ≈ (2/t)² and t ≈ 2/√(1 − p).
    assert found == pytest.approx(2 * 2**26.5, rel=1e-7)


def test_a_far_target_is_measured_by_the_failures_that_are_left():
    # For e = 2 odds grow as e^t; the mean failure is e^(−t)·mean((1 − p)/p) but for its square.
    target = 1 - 1e-13
    left = (0.7 / 0.3 + 0.4 / 0.6) / 2 / (1 - target)
    found = time_to_target([0.3, 0.6], target, method="variance", step_rule=1.0)
    assert found == pytest.approx(math.log(left), rel=1e-10)


def test_a_target_that_the_fast_prompt_reaches_alone_does_not_wait_for_the_slow_one():
    found = time_to_target([1e-6, 0.5], 0.3, method="reinforce", step_rule=1.0)
    assert found == pytest.approx(time_to_success(0.5, 0.6 - 1e-6, exponent=0.0), rel=1e-6)
    found = time_to_target([1e-12, 1e-3, 0.5], 0.2, method="reinforce", step_rule=1.0)
    assert found == pytest.approx(time_to_success(0.5, 0.6 - 1e-3, exponent=0.0), rel=1e-4)


def test_the_next_float_above_the_start_is_reached_at_once():
    for p in np.linspace(0.01, 0.99, 99):
        assert 0 <= time_to_target([p], np.nextafter(p, 1), step_rule=1.0) < 1e-11


@pytest.mark.parametrize("bad", [1.5, -0.5])
def test_success_rates_outside_their_domain_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=rf"^profile must lie in \[0, 1\], got {bad}"):
        learning_curve([0.5, bad], [1.0])
    with pytest.raises(ValueError, match=rf"^target must lie in \[0, 1\], got {bad}"):
        predicted_speedup([0.5], bad)


def test_a_step_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"^step_rule must lie in \(0, "):
        learning_curve([0.5], [1.0], step_rule=0.0)


def test_shapes_that_are_not_understood_are_named():
    with pytest.raises(ValueError, match=r"^diameter has shape \(1,\); the flow"):
        learning_curve([0.5], [1.0], diameter=[1.0])
    with pytest.raises(
        TypeError, match=r"^step_rule must be one number or a name, got an array of shape \(1,\)"
    ):
        learning_curve([0.5], [1.0], step_rule=[1.0])
    with pytest.raises(ValueError, match=r"^times has shape \(1, 2\); \(T,\)"):
        learning_curve([0.5], [[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"^target has shape \(1, 1\); a number"):
        predicted_speedup([0.5], [[0.9]])


def test_an_unknown_method_is_told_the_names_of_all():
    names = "batch, grpo, interference, none, power, reinforce, variance"
    with pytest.raises(ValueError, match=rf"^method must be one of {names}, or a callable"):
        learning_curve([0.5], [1.0], method="ppo")


def test_the_power_of_a_speedup_is_handed_on():
    profile = [0.05, 0.4]
    power = predicted_speedup(profile, 0.9, method="power", exponent=1.0)
    own = predicted_speedup(profile, 0.9, method="grpo")
    np.testing.assert_allclose(power.speedup, own.speedup, rtol=1e-12)
    np.testing.assert_array_equal(power.target, [0.9])


def test_a_constant_weight_has_the_steps_of_reinforce_at_its_certified_step():
    found = predicted_speedup([0.05, 0.4], 0.9, method=lambda p: np.full(p.shape, 3.0))
    np.testing.assert_allclose(found.method_steps, found.reinforce_steps, rtol=1e-5)
    np.testing.assert_allclose(found.speedup, 1, rtol=1e-5)


@pytest.mark.parametrize("target", [0.45, 0.9])
def test_the_stds_of_a_speedup_are_means_along_the_run_of_grpo(target):
    profile = [0.02, 0.3, 0.9]
    found = predicted_speedup(profile, target)
    steps = time_to_target(profile, target, method="grpo")
    nodes, weights = np.polynomial.legendre.leggauss(200)
    curve = learning_curve(profile, steps * (nodes + 1) / 2, method="grpo")
    # The largest std has kinks where the lead passes on, which two hundred nodes meet to 1e-4.
    np.testing.assert_allclose(found.mean_max_std, [curve.max_std @ weights / 2], rtol=1e-4)
    np.testing.assert_allclose(found.mean_std, [curve.mean_std @ weights / 2], rtol=1e-9)
    np.testing.assert_allclose(found.bound_ratio, 2 * found.mean_std)
