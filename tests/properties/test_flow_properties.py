"""Laws of the flow on drawn success rates, exponents and profiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvature.flow import learning_curve, predicted_speedup, success_at_time, time_to_success, time_to_target

exponents = st.one_of(st.sampled_from([0.0, 1.0, 2.0]), st.floats(0, 4))
log_odds = st.floats(-80, 80)
gaps = st.floats(1e-6, 60)
profiles = st.lists(st.floats(1e-4, 0.9), min_size=1, max_size=5)


@given(log_odds, gaps, gaps, exponents)
def test_times_add_along_the_way(start, first, second, exponent):
    middle, end = start + first, start + first + second
    parts = time_to_success([start, middle], [middle, end], exponent=exponent, log_odds=True).sum()
    whole = time_to_success(start, end, exponent=exponent, log_odds=True)
    # The rounding of the log-odds themselves moves each part by 1e-14 of the integrand there.
    assert parts == pytest.approx(whole, rel=1e-7)


@given(log_odds, gaps, exponents)
def test_escaping_from_p_takes_as_long_as_the_last_stretch_to_one_minus_p(start, gap, exponent):
    there = time_to_success(start, start + gap, exponent=exponent, log_odds=True)
    mirrored = time_to_success(-start - gap, -start, exponent=exponent, log_odds=True)
    assert mirrored == pytest.approx(there, rel=1e-7)


@given(log_odds, gaps, exponents, st.floats(1e-3, 1e3))
def test_time_scales_as_one_over_the_rate_and_the_inverse_returns(start, gap, exponent, rate):
    unit = time_to_success(start, start + gap, exponent=exponent, log_odds=True)
    time = time_to_success(start, start + gap, exponent=exponent, rate=rate, log_odds=True)
    assert time * rate == pytest.approx(unit, rel=1e-13)
    reached = success_at_time(start, time, exponent=exponent, rate=rate, log_odds=True)
    if np.isfinite(reached):
        back = time_to_success(start, reached, exponent=exponent, rate=rate, log_odds=True)
        assert back == pytest.approx(time, rel=1e-7)


@given(st.floats(1e-9, 1 - 1e-9), st.floats(1e-9, 1 - 1e-9), st.floats(0, 4), st.floats(1e-3, 2))
def test_a_larger_exponent_is_never_slower_at_one_rate(a, b, exponent, more):
    start, target = min(a, b), max(a, b)
    slow = time_to_success(start, target, exponent=exponent)
    assert time_to_success(start, target, exponent=exponent + more) <= slow * (1 + 1e-9)


@given(log_odds, st.floats(0, 1e6), st.floats(0, 1e6), exponents)
def test_success_grows_with_time_and_with_the_start(start, t, more, exponent):
    early, late = success_at_time(start, [t, t + more], exponent=exponent, log_odds=True)
    # Success may be 1, and its log-odds infinite, from a finite time on.
    ahead = success_at_time(start + 0.5, t, exponent=exponent, log_odds=True)
    early, late, ahead = np.minimum([early, late, ahead], 1e9)
    # Next to log-odds 0 the inverse is good to 1e-30 in itself, not in proportion.
    assert start <= early <= late + 1e-9 * abs(late) + 1e-30
    assert ahead >= early - 1e-7 * (1 + abs(early))


@given(profiles, st.floats(0.3, 0.98), st.sampled_from(["reinforce", "grpo", "batch"]))
def test_the_mean_is_at_the_target_when_the_target_is_reached(profile, share, method):
    target = np.mean(profile) + share * (1 - np.mean(profile))
    time = time_to_target(profile, target, method=method)
    assert learning_curve(profile, time, method=method).mean_success[0] == pytest.approx(target, abs=1e-7)


@given(
    profiles,
    st.floats(0.3, 0.98),
    st.one_of(
        st.tuples(st.sampled_from(["reinforce", "batch", "variance"]), st.none()),
        st.tuples(st.just("power"), st.floats(0, 3)),
    ),
)
def test_no_certified_weighting_of_orthogonal_prompts_is_ahead_of_grpo(profile, share, weighting):
    target = np.mean(profile) + share * (1 - np.mean(profile))
    method, exponent = weighting
    grpo = time_to_target(profile, target)
    other = time_to_target(profile, target, method=method, exponent=exponent, step_rule="certified_running")
    assert grpo <= other * (1 + 1e-6)
    at = predicted_speedup(profile, target)
    assert at.across_iterations[0] >= 1 - 1e-6
    assert at.across_prompts[0] >= 1 - 1e-6
