"""The flow of two arms against sympy, mpmath and brute-force ascent."""

from math import comb, inf, log, sqrt

import mpmath
import numpy as np
import pytest
import sympy

from curvature import LogLinearBandit, moments
from curvature.flow import (
    escape_time_asymptote,
    failure_asymptote,
    learning_curve,
    success_at_time,
    time_to_success,
    time_to_target,
)

C0 = log(2)
EXPONENTS = [0, 0.3, 0.5, 1, 1.5, 1.999, 2, 2.5, 3, 7, 30]


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_antiderivatives_of_the_theory_are_those_of_the_flow(exponent):
    p, z = sympy.symbols("p z", positive=True)
    odds = sympy.log(p / (1 - p))
    stated = {
        0: (2 * p - 1) / (p * (1 - p)) + 2 * odds,
        1: 2 * (2 * p - 1) / sympy.sqrt(p * (1 - p)),
        2: odds,
    }[exponent]
    speed = (p * (1 - p)) ** (2 - sympy.Rational(exponent, 2))
    assert sympy.simplify(sympy.diff(stated, p) * speed) == 1
    in_odds = {0: 2 * z + 2 * sympy.sinh(z), 1: 4 * sympy.sinh(z / 2), 2: z}[exponent]
    integrand = (2 * sympy.cosh(z / 2)) ** (2 - exponent)
    assert sympy.simplify((sympy.diff(in_odds, z) - integrand).rewrite(sympy.exp)) == 0
    values = [time_to_success(a, b, exponent=exponent) for a, b in ((0.03, 0.4), (0.2, 0.97))]
    expected = [
        float(stated.subs(p, sympy.Float(str(b), 40)) - stated.subs(p, sympy.Float(str(a), 40)))
        for a, b in ((0.03, 0.4), (0.2, 0.97))
    ]
    assert values == pytest.approx(expected, rel=1e-14)


def _mp_time(z0, z1, exponent):
    """∫ (p(1 − p))^(e/2 − 2) dp by the incomplete beta function, each side of p = 1/2 from its own end."""
    a = mpmath.mpf(exponent) / 2 - 1
    if a == -1:
        return 2 * (z1 - z0) + 2 * (mpmath.sinh(z1) - mpmath.sinh(z0))
    if a == 0:
        return z1 - z0

    def from_the_end(size):
        if a == -0.5:  # a pole of the hypergeometric series
            return -4 * mpmath.sinh(size / 2)
        p = 1 / (1 + mpmath.exp(size))
        return p**a / a * mpmath.hyp2f1(a, 1 - a, a + 1, p)

    if z0 < 0 < z1:
        return 2 * from_the_end(0) - from_the_end(-z0) - from_the_end(z1)
    return from_the_end(z0) - from_the_end(z1) if z0 >= 0 else from_the_end(-z1) - from_the_end(-z0)


def _assert_close(measured, expected):
    if 1e-290 < expected < 1e300:
        assert float(mpmath.mpf(float(measured)) / expected) == pytest.approx(1, rel=1e-12)
    else:  # next to the ends of the range of a float, or beyond
        assert measured > 1e299 if expected > 1 else 0 <= measured < 1e-289


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize(
    ("start", "gap"),
    [
        (-4.6, 9.2),
        (-690.8, 691.0),
        (-30.0, 1e-7),
        (0.3, 1e-9),
        (-1.0, 2.5),
        (35.0, 12.0),
        (500.0, 190.0),
        (-45.0, 90.0),
    ],
)
def test_times_agree_with_mpmath_between_1e_minus_300_and_1_minus_1e_minus_300(start, gap, exponent):
    target = start + gap
    with mpmath.workdps(60):
        expected = _mp_time(mpmath.mpf(start), mpmath.mpf(target), exponent)
        measured = time_to_success(start, target, exponent=exponent, log_odds=True)
        _assert_close(measured, expected)


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize(
    ("start", "target"), [(0.1, 0.1 + 1e-12), (0.5, 0.5 + 1e-10), (1e-300, 2e-300), (0.9, 0.95)]
)
def test_close_success_rates_keep_the_relative_accuracy_of_their_time(start, target, exponent):
    with mpmath.workdps(60):
        z0, z1 = (mpmath.log(p / (1 - p)) for p in (mpmath.mpf(start), mpmath.mpf(target)))
        expected = _mp_time(z0, z1, exponent)
        measured = time_to_success(start, target, exponent=exponent)
        _assert_close(measured, expected)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_inverse_undoes_the_time_at_extreme_log_odds(exponent):
    starts = np.array([-700.0, -400.0, -60.0, -3.0, 0.0, 1e-9, 2.0, 50.0])[:, None]
    gaps = np.array([1e-9, 0.1, 3.0, 60.0, 300.0])[None, :]
    time = time_to_success(starts, starts + gaps, exponent=exponent, log_odds=True)
    fits = (time > 1e-290) & (time < 1e300)
    reached = success_at_time(starts, time, exponent=exponent, log_odds=True)
    again = time_to_success(starts, reached, exponent=exponent, log_odds=True)
    # In time, not in success: after an escape the success rate is ill-conditioned in time, whoever computes it. The
    # log-odds themselves are rounded to 1e-13.
    z = np.where(np.isfinite(reached), np.maximum(abs(starts), abs(reached)), 0.0)
    step = np.where(np.isfinite(reached), reached - starts, 1.0)
    room = 1e-12 + 1e-15 * z * (1 + 1 / np.maximum(step, 1e-300))
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_less(np.where(fits, abs(again / time - 1), 0.0), room + 1e-12)
    assert fits.sum() >= 10


def test_stated_leading_constants_of_the_escape_are_exact():
    for exponent, stated in {0: 1 / 1e-10, 1: 2 / sqrt(1e-10), 2: log(1e10)}.items():
        assert escape_time_asymptote(1e-10, exponent=exponent) == pytest.approx(stated, rel=1e-14)


@pytest.mark.parametrize("exponent", [0, 0.5, 1, 1.7, 2, 2.6, 3, 4])
def test_escape_times_approach_their_asymptote(exponent):
    starts = np.array([1e-6, 1e-12, 1e-200])
    exact = time_to_success(starts, 0.5, exponent=exponent, rate=3.0)
    ratio = exact / escape_time_asymptote(starts, exponent=exponent, rate=3.0)
    assert abs(ratio[2] - 1) < 1e-9
    assert (np.diff(abs(ratio - 1)) <= 1e-13).all()


@pytest.mark.parametrize("exponent", [0, 0.5, 1, 1.5])
def test_failure_rates_approach_their_asymptote(exponent):
    times = np.array([1e3, 1e6, 1e9])
    odds = success_at_time(log(0.2 / 0.8), times, exponent=exponent, rate=0.5, log_odds=True)
    failure = 1 / (1 + np.exp(odds))
    ratio = failure / failure_asymptote(times, exponent=exponent, rate=0.5)
    assert abs(ratio[2] - 1) < 1e-6
    assert (np.diff(abs(ratio - 1)) < 0).all()


def test_failure_constants_are_those_of_the_theory():
    assert failure_asymptote(50.0, exponent=0) == pytest.approx(1 / 50)
    assert failure_asymptote(50.0, exponent=1) == pytest.approx(4 / 50**2)
    odds = success_at_time(log(0.2 / 0.8), 50.0, exponent=2, log_odds=True)
    assert np.exp(-odds) == pytest.approx(failure_asymptote(50.0, exponent=2, start=0.2), rel=1e-12)


def test_certified_steps_from_one_to_99_percent_are_39_against_14():
    reinforce = time_to_success(0.01, 0.99, exponent=0, rate=8 * C0)
    grpo = time_to_success(0.01, 0.99, exponent=1, rate=4 * C0)
    assert (round(float(reinforce), 1), round(float(grpo), 1)) == (39.0, 14.2)
    assert round(float(reinforce / grpo), 2) == 2.75
    measured = [_discrete_steps(0.01, 0.99, step, power) for step, power in ((8 * C0, 0), (4 * C0, 1))]
    assert measured == [39, 15]


def _discrete_steps(start, target, step, exponent):
    bandit, theta, count = LogLinearBandit.two_arm([start]), np.zeros(1), 0
    while (at := moments(bandit, theta)).expected_reward[0] < target:
        theta = theta + step * at.gradient[0] * at.reward_std[0] ** -exponent
        count += 1
    return count


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0, 3.0])
def test_tiny_step_ascent_of_a_bandit_converges_to_the_flow_at_first_order(exponent):
    diameter, start = 1.7, [0.02, 0.3, 0.8]
    bandit = LogLinearBandit.two_arm(start, diameter=diameter)
    time = 0.4 * time_to_success(0.8, 0.95, exponent=exponent, rate=diameter**2)
    exact = success_at_time(start, time, exponent=exponent, rate=diameter**2)
    errors = []
    for count in (200, 400):
        theta = np.zeros(bandit.dimension)
        for _ in range(count):
            at = moments(bandit, theta)
            theta = theta + time / count * (at.reward_std**-exponent @ at.gradient)
        errors.append(moments(bandit, theta).expected_reward - exact)
    np.testing.assert_allclose(errors[1], 0, atol=3e-4)
    # Half the step, half the error; for e = 2 the log-odds move evenly and there is none.
    np.testing.assert_allclose(errors[0], 2 * errors[1], atol=0.02 * abs(errors[0]).max() + 1e-13)


def test_a_weight_and_the_exponent_it_stands_for_agree():
    starts, targets = np.array([1e-3, 0.2, 0.6]), np.array([0.3, 0.7, 0.999])
    for exponent in (0.0, 1.0, 1.4):

        def weight(p, e=exponent):
            return (p * (1 - p)) ** (-e / 2)

        time = time_to_success(starts, targets, exponent=exponent, rate=2.0)
        np.testing.assert_allclose(
            time_to_success(starts, targets, weight=weight, rate=2.0), time, rtol=1e-12
        )
        np.testing.assert_allclose(
            success_at_time(starts, time, weight=weight, rate=2.0), targets, rtol=1e-11
        )
        np.testing.assert_allclose(
            learning_curve(starts, [0.0, 4.0], method=weight, step_rule=2.0).mean_success,
            learning_curve(starts, [0.0, 4.0], method="power", exponent=exponent, step_rule=2.0).mean_success,
            rtol=1e-7,
        )


def test_a_weight_with_a_jump_is_integrated_across_it():
    def capped(p):
        return np.where(p < 0.1234567, 1.0, 3.0)

    whole = time_to_success(0.01, 0.9, weight=capped)
    pieces = time_to_success(0.01, 0.1234567, exponent=0) + time_to_success(0.1234567, 0.9, exponent=0) / 3
    assert whole == pytest.approx(pieces, rel=1e-10)
    assert success_at_time(0.01, whole, weight=capped) == pytest.approx(0.9, rel=1e-9)


def test_a_silenced_region_is_never_crossed():
    def silent_when_hard(p):
        return np.where(p < 0.3, 0.0, 1.0)

    assert time_to_success(0.2, 0.5, weight=silent_when_hard) == inf
    assert time_to_target([0.2], 0.5, method=silent_when_hard, step_rule=1.0) == inf
    assert success_at_time(0.2, 1e6, weight=silent_when_hard) == pytest.approx(0.2)
    assert time_to_success(0.31, 0.5, weight=silent_when_hard) == pytest.approx(
        time_to_success(0.31, 0.5, exponent=0)
    )


@pytest.mark.parametrize("group_size", [2, 8, 64])
def test_a_finite_group_escapes_like_reinforce_and_ends_like_reinforce(group_size):
    k = np.arange(1, group_size)

    def effective_weight(p):
        p = np.asarray(p)[:, None]
        count = np.array([comb(group_size, int(j)) for j in k])
        binomial = count * p ** (k - 1) * (1 - p) ** (group_size - k - 1)
        return (binomial * np.sqrt(k / group_size * (1 - k / group_size))).sum(axis=1)

    gain = sqrt(group_size - 1) / group_size * group_size  # a_G → √(G − 1) at p → 0 and p → 1
    escape = time_to_success(1e-9, 0.5, weight=effective_weight)
    assert escape == pytest.approx(escape_time_asymptote(1e-9, exponent=0) / gain, rel=1e-5)
    odds = success_at_time(0.0, 1e9, weight=effective_weight, log_odds=True)
    assert np.exp(-odds) == pytest.approx(failure_asymptote(1e9 * gain, exponent=0), rel=1e-5)


@pytest.mark.parametrize("exponent", [0, 1, 1.5, 2, 3])
def test_success_zero_never_moves_and_success_one_stays(exponent):
    assert time_to_success(0.0, 0.5, exponent=exponent) == inf
    assert time_to_success(0.0, 0.0, exponent=exponent) == 0
    assert time_to_success(1.0, 1.0, exponent=exponent) == 0
    assert time_to_success(0.7, 0.5, exponent=exponent) == 0
    assert success_at_time([0.0, 1.0], 1e9, exponent=exponent).tolist() == [0.0, 1.0]
    assert success_at_time(0.3, 0.0, exponent=exponent) == pytest.approx(0.3, rel=1e-15)
    assert success_at_time(0.3, inf, exponent=exponent) == 1.0
    reaches_one = time_to_success(0.3, 1.0, exponent=exponent)
    assert (reaches_one < inf) == (exponent > 2)
    assert time_to_target([0.0, 0.0], 0.1, method="power", exponent=exponent, step_rule=1.0) == inf


def test_above_exponent_two_success_one_comes_at_the_beta_function():
    # e = 4: dp/dt = 1. e = 3: dp/dt = √(p(1 − p)), so p = sin²: a half turn of it takes π.
    assert time_to_success(0.25, 1.0, exponent=4) == pytest.approx(0.75, rel=1e-14)
    assert time_to_success(1e-300, 1.0, exponent=3) == pytest.approx(np.pi, rel=1e-13)
    assert success_at_time(0.25, 0.6, exponent=4) == pytest.approx(0.85, rel=1e-13)
    assert success_at_time(0.25, 0.76, exponent=4) == 1.0


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: time_to_success(-0.1, 0.5, exponent=1), ValueError, r"start must lie in \[0, 1\], got -0.1"),
        (lambda: time_to_success(0.1, [0.5, 1.5], exponent=1), ValueError, "target .* got 1.5"),
        (lambda: time_to_success(0.1, float("nan"), exponent=1), ValueError, "target .* got nan"),
        (lambda: time_to_success("a", 0.5, exponent=1), TypeError, "start must be a real number .* got 'a'"),
        (lambda: time_to_success(0.1, 0.5), TypeError, "one of exponent and weight"),
        (
            lambda: time_to_success(0.1, 0.5, exponent=1, weight=np.sqrt),
            TypeError,
            "one of exponent and weight",
        ),
        (lambda: time_to_success(0.1, 0.5, exponent=-1), ValueError, "exponent .* got -1"),
        (
            lambda: time_to_success(0.1, 0.5, exponent=[1, 2]),
            TypeError,
            r"exponent must be one number.*\(2,\)",
        ),
        (lambda: time_to_success(0.1, 0.5, weight=3), TypeError, "weight must be a callable .* got 3"),
        (lambda: time_to_success(0.1, 0.5, weight=lambda p: -p), ValueError, r"weight\(p\) is -0"),
        (
            lambda: time_to_success(0.1, 0.5, weight=lambda p: p[:1]),
            ValueError,
            r"weight\(p\) has shape \(1,\)",
        ),
        (
            lambda: time_to_success(0.1, 0.5, exponent=1, rate=0),
            ValueError,
            r"rate must lie in \(0, .* got 0",
        ),
        (lambda: success_at_time(0.1, -1, exponent=1), ValueError, "time .* got -1"),
        (lambda: failure_asymptote(1.0, exponent=3), ValueError, "exponent .* got 3"),
        (lambda: escape_time_asymptote(0.0, exponent=1), ValueError, r"start must lie in \(0, 1\], got 0"),
    ],
)
def test_bad_input_is_answered_by_a_sentence_with_the_value(call, error, told):
    with pytest.raises(error, match=told):
        call()
