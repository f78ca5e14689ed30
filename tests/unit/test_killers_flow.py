"""What mutants of `flow` showed to be unwatched: constants of the asymptotes, names in messages, ends of domains."""

import math

import numpy as np
import pytest

from curvature.flow import (
    escape_time_asymptote,
    failure_asymptote,
    predicted_speedup,
    success_at_time,
    time_to_success,
    time_to_target,
)
from curvature.flow._inputs import read_odds, weights_at


@pytest.mark.parametrize("start", [0.1, 0.3, 0.8])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.5, 2.0])
def test_late_failure_is_its_asymptote_from_every_start_and_at_every_rate(start, exponent):
    time = 12.0 if exponent == 2 else 1e6
    exact = success_at_time(start, time, exponent=exponent, rate=2.5)
    # Beyond its leading term the failure is off by a power of the time that these times make small.
    assert 1 - exact == pytest.approx(
        failure_asymptote(time, exponent=exponent, start=start, rate=2.5), rel=0.02
    )


def test_the_asymptote_at_exponent_two_has_the_odds_of_failing_in_front():
    found = failure_asymptote(3.0, exponent=2.0, start=0.2, rate=0.5)
    assert found == pytest.approx(4 * math.exp(-1.5), rel=1e-14)
    assert failure_asymptote(0.5, exponent=0.0, start=1.0, rate=2.0) == pytest.approx(1.0, rel=1e-14)


def test_the_escape_above_exponent_two_takes_a_time_of_its_own_and_one_more_certain_start_as_long():
    e = 3.0
    expected = 0.5 * math.gamma(e / 2 - 1) ** 2 / math.gamma(e - 2) / 4.0
    np.testing.assert_allclose(
        escape_time_asymptote([1e-9, 1e-3], exponent=e, rate=4.0), [expected] * 2, rtol=1e-13
    )


@pytest.mark.parametrize("name", ["time", "start", "rate"])
def test_what_must_be_positive_is_refused_at_zero_by_its_name(name):
    given = {"time": 1.0, "start": 0.5, "rate": 1.0, name: 0.0}
    with pytest.raises(ValueError, match=rf"^{name} must lie in \(0, "):
        failure_asymptote(given["time"], exponent=1.0, start=given["start"], rate=given["rate"])
    if name != "time":
        with pytest.raises(ValueError, match=rf"^{name} must lie in \(0, "):
            escape_time_asymptote(given["start"], exponent=1.0, rate=given["rate"])
    if name == "rate":
        with pytest.raises(ValueError, match=r"^rate must lie in \(0, "):
            success_at_time(0.5, 1.0, exponent=1.0, rate=0.0)


def test_starts_and_targets_are_read_from_text_and_log_odds_named():
    assert time_to_success("0.25", "0.5", exponent=2.0) == pytest.approx(math.log(3), rel=1e-14)
    with pytest.raises(TypeError, match=r"^start must be a real number"):
        read_odds("start", "one half", log_odds=True)


def test_a_weight_may_be_one_number_for_all_or_text_and_must_be_one_for_each():
    z = np.array([[0.0, 1.0], [2.0, -1.0]])
    np.testing.assert_array_equal(weights_at(lambda p: 2.5, z), np.full((2, 2), 2.5))
    np.testing.assert_array_equal(weights_at(lambda p: ["1"] * 4, z), np.ones((2, 2)))
    np.testing.assert_allclose(weights_at(lambda p: p, z), 1 / (1 + np.exp(-z)), rtol=1e-14)


def test_a_speedup_is_made_of_the_steps_that_time_to_target_gives():
    profile, target = [0.05, 0.3, 0.6], 0.9
    found = predicted_speedup(profile, target)
    steps = time_to_target(profile, target, method="reinforce")
    scheduled = time_to_target(profile, target, method="reinforce", step_rule="certified_running")
    own = time_to_target(profile, target, method="grpo", step_rule="certified_running")
    np.testing.assert_allclose(found.reinforce_steps, [steps], rtol=1e-9)
    np.testing.assert_allclose(found.scheduled_steps, [scheduled], rtol=1e-9)
    np.testing.assert_allclose(found.method_steps, [own], rtol=1e-9)
    with pytest.raises(ValueError, match=r"^target must lie in \[0, 1\], got 1\.5"):
        time_to_target(profile, 1.5)


def test_a_speedup_of_a_run_of_less_than_one_step_has_a_value():
    found = predicted_speedup([0.5], 0.51)
    assert 0 < found.reinforce_steps[0] < 1
    assert found.speedup[0] >= 1 - 1e-12
