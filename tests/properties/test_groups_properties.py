"""Finite groups on drawn success rates: monotone in G, symmetric, bounded by the limit, consistent with each other."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from curvature import PRESETS, Normalization
from curvature.groups import (
    best_exponent,
    certified_gain,
    effective_weight,
    fidelity,
    gradient_moments,
    implicit_objective,
    silent_probability,
)

rates = st.floats(1e-6, 1 - 1e-6)
sizes = st.integers(2, 300)
exponents = st.floats(0, 2)


@given(rates, sizes)
def test_weight_grows_with_the_group_and_stays_below_one_over_the_std(p, G):
    small, large = float(effective_weight(p, G)), float(effective_weight(p, G + 1))
    assert small <= large * (1 + 1e-12)
    assert large <= min(1 / math.sqrt(p * (1 - p)), math.sqrt(G)) * (1 + 1e-12)


@given(st.floats(0.01, 0.99), sizes, exponents)
def test_weight_of_a_power_of_the_std_is_symmetric(p, G, e):
    convention = Normalization(exponent=e)
    assert_allclose(effective_weight(p, G, convention), effective_weight(1 - p, G, convention), rtol=1e-9)


@given(rates, sizes)
def test_fidelity_and_silent_share_are_shares(p, G):
    assert 0 < float(fidelity(p, G)) <= 1 + 1e-12
    silent, longer = (float(silent_probability(p, size).total) for size in (G, G + 1))
    assert 0 <= longer <= silent <= 1


@given(st.lists(rates, min_size=2, max_size=6), sizes, st.sampled_from(sorted(PRESETS)))
def test_objective_rises_by_the_weight_between_two_rates(success, G, name):
    p = np.sort(success)
    weight = effective_weight(np.linspace(p[0], p[-1], 201), G, name, batch_std=0.4)
    rise = float(np.ptp(implicit_objective(p[[0, -1]], G, name, batch_std=0.4)))
    # The mean of a function lies between its extremes; a fine grid misses them by little.
    slack = 0.05 * np.abs(weight).max() * (p[-1] - p[0]) + 1e-10
    assert weight.min() * (p[-1] - p[0]) - slack <= rise <= weight.max() * (p[-1] - p[0]) + slack


@given(rates, st.integers(2, 64), exponents)
def test_second_moment_is_at_least_the_square_of_the_first(p, G, e):
    moments = gradient_moments(p, G, Normalization(exponent=e))
    gradient = p * (1 - p)
    assert float(moments.square) >= (float(moments.inner) / gradient) ** 2 * (1 - 1e-9)


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=5), st.sampled_from([4, 8, 16]), exponents)
def test_no_exponent_gains_more_than_the_best(success, G, e):
    best = Normalization(exponent=best_exponent(success, G))
    assert certified_gain(success, G, Normalization(exponent=e)) <= certified_gain(success, G, best) * (
        1 + 1e-6
    )
