"""What mutants of the flow of one prompt showed to be unwatched: far ends of the axis, short gaps, hard weights."""

import math
import re

import numpy as np
import pytest

from curvature.flow import _odds, failure_asymptote, success_at_time, time_to_success
from curvature.flow._inputs import weights_at

FLAT = np.ones_like


def test_log_odds_beside_one_half_keep_their_digits():
    away = np.array([2.0**-30, -(2.0**-40), 2.0**-50])
    # 2·artanh(2d) = 4d·(1 + (2d)²/3 + …), and d is exact in p = 1/2 + d.
    np.testing.assert_allclose(_odds.log_odds_of(0.5 + away), 4 * away, rtol=1e-15)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5])
def test_across_the_whole_axis_the_time_is_infinite_and_nothing_warns(exponent):
    found = time_to_success([-6000.0, 6000.0], [6000.0, 6001.0], exponent=exponent, log_odds=True)
    assert found.tolist() == [math.inf, math.inf]


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5])
def test_from_far_out_no_step_moves_a_prompt(exponent):
    starts = np.array([-6000.0, 6000.0, 800.0])
    np.testing.assert_array_equal(
        success_at_time(starts, [1.0, 1.0, 0.0], exponent=exponent, log_odds=True), starts
    )
    np.testing.assert_array_equal(_odds.advance(np.array([800.0]), np.zeros(1), exponent), [0.0])


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_certain_prompts_and_prompts_at_their_target_take_no_time(start):
    assert time_to_success(start, start, exponent=1.0) == 0
    assert time_to_success(800.0, 800.0, exponent=0.0, log_odds=True) == 0
    assert time_to_success(math.inf, math.inf, exponent=1.0, log_odds=True) == 0


@pytest.mark.parametrize("border", [-40.0, 40.0])
def test_a_gap_too_short_for_its_start_is_counted_once_where_the_quadrature_changes_form(border):
    start, gap = np.array([border]), np.array([1e-20])
    assert start + gap == start
    expected = 1e-20 * (2 * math.cosh(border / 2)) ** 0.5
    np.testing.assert_allclose(_odds.elapsed(start, gap, 1.5), [expected], rtol=1e-12)


def test_a_success_rate_whose_log_odds_are_the_border_takes_no_longer_than_the_next():
    p = math.exp(-40)
    q = math.nextafter(p, 1)
    # p^(−e')/e' with e' = 1 − e/2 = 1/4: the derivative is p^(−5/4).
    assert time_to_success(p, q, exponent=1.5) == pytest.approx((q - p) * p**-1.25, rel=1e-9)


def test_times_too_short_to_be_told_from_zero_are_zero():
    assert time_to_success(-43.0, -42.0, exponent=80.0, log_odds=True) == 0


@pytest.mark.parametrize("start", [-5.0, 5.0, -0.5])
def test_a_short_time_moves_a_prompt_of_grpo_by_its_speed_times_the_time(start):
    clock = 1e-13
    moved = _odds.advance(np.array([start]), np.array([clock]), 1.0)
    np.testing.assert_allclose(moved, [clock / (2 * math.cosh(start / 2))], rtol=1e-12)


def test_success_is_certain_at_the_very_instant_at_which_the_flow_ends():
    end = time_to_success(0.0, math.inf, exponent=3.0, log_odds=True)
    assert success_at_time(0.0, end, exponent=3.0, log_odds=True) == math.inf
    assert success_at_time(0.0, math.nextafter(end, 0), exponent=3.0, log_odds=True) < math.inf


def test_just_above_exponent_two_log_odds_of_thousands_are_reached_before_the_end():
    time = time_to_success(0.0, 4000.0, exponent=2.01, log_odds=True)
    assert success_at_time(0.0, time, exponent=2.01, log_odds=True) == pytest.approx(4000, rel=1e-6)


def test_a_time_that_overflows_ends_at_certain_success():
    assert success_at_time(0.5, 1e308, exponent=1.0, rate=1e10) == 1.0


def test_a_weight_is_followed_from_log_odds_minus_100_up_to_700():
    time = time_to_success(-100.0, 700.0, weight=FLAT, log_odds=True)
    assert time == pytest.approx(time_to_success(-100.0, 700.0, exponent=0.0, log_odds=True), rel=1e-12)
    assert success_at_time(-100.0, time, weight=FLAT, log_odds=True) == pytest.approx(700, rel=1e-12)


def test_a_weight_far_up_the_axis_takes_the_time_of_its_exponent():
    assert time_to_success(690.0, 705.0, weight=FLAT, log_odds=True) == pytest.approx(
        time_to_success(690.0, 705.0, exponent=0.0, log_odds=True), rel=1e-12
    )


def test_beyond_the_last_float_a_bounded_weight_takes_for_ever():
    assert time_to_success([0.5, 0.1], [1.0, 1.0], weight=FLAT).tolist() == [math.inf, math.inf]
    assert time_to_success(720.0, 730.0, weight=FLAT, log_odds=True) == math.inf


@pytest.mark.parametrize("scale", [1e-18, 1.0, 1e18])
def test_a_weight_with_jumps_takes_as_long_in_every_unit_of_time(scale):
    def jumps(p):
        return np.where(p < 0.37, 1.0, np.where(p < 0.61, 5.0, 0.25))

    pieces = [(0.2, 0.37, 1.0), (0.37, 0.61, 5.0), (0.61, 0.8, 0.25)]
    expected = sum(time_to_success(a, b, exponent=0.0) / w for a, b, w in pieces)
    found = time_to_success(0.2, 0.8, weight=lambda p: scale * jumps(p))
    assert found * scale == pytest.approx(expected, rel=1e-10)


def test_a_jump_is_found_wherever_it_lies():
    draws = np.random.default_rng(0)
    for place, height in zip(draws.uniform(0.2, 0.8, 100), np.exp(2 * draws.normal(size=100)), strict=True):
        expected = (
            time_to_success(0.2, place, exponent=0.0) + time_to_success(place, 0.8, exponent=0.0) / height
        )
        found = time_to_success(0.2, 0.8, weight=lambda p, at=place, h=height: np.where(p < at, 1.0, h))
        assert found == pytest.approx(expected, rel=1e-10)


def test_a_weight_that_all_but_vanishes_at_a_point_takes_the_time_of_its_singular_integral():
    from scipy.integrate import quad

    # p = 1/2 ± u²: ∫ dp/(√|p − 1/2|·(p(1 − p))²) = 2∫ 2 du/(1/4 − u⁴)².
    half, _ = quad(lambda u: 2 / (0.25 - u**4) ** 2, 0, math.sqrt(0.1))
    found = time_to_success(0.4, 0.6, weight=lambda p: np.sqrt(np.abs(p - 0.5) + 1e-18))
    assert found == pytest.approx(2 * half, rel=1e-6)


def test_the_inverse_takes_few_evaluations_of_the_weight():
    calls = []

    def weight(p):
        calls.append(p.size)
        return 1 + p

    p = success_at_time(0.01, 60.0, weight=weight)
    taken = len(calls)
    assert time_to_success(0.01, p, weight=weight) == pytest.approx(60, rel=1e-9)
    # Newton's steps double the digits: about eight, of three evaluations each. Halving would take fifty.
    assert taken <= 45


def test_a_weight_is_asked_at_no_denormal_success():
    asked = []

    def weight(p):
        asked.append(p.min())
        return np.ones_like(p)

    weights_at(weight, np.array([-744.0, 0.0]))
    assert min(asked) == np.finfo(float).tiny


def test_the_one_bad_weight_is_named_with_its_place():
    with pytest.raises(ValueError, match=re.escape("weight(p) is -1.0 at p = 0.5; a weight")):
        weights_at(lambda p: np.where(p == 0.5, -1.0, 1.0), np.array([-1.0, 0.0, 1.0]))


def test_a_start_outside_its_domain_is_named():
    with pytest.raises(ValueError, match=r"^start must lie in \[0, 1\], got 1\.5"):
        success_at_time(1.5, 1.0, exponent=1.0)
    with pytest.raises(ValueError, match=r"^start must lie in \(0, 1\], got 1\.5"):
        failure_asymptote(1.0, exponent=1.0, start=1.5)
