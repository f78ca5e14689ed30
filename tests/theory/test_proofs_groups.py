"""Proofs for finite groups and for the flow of two arms: the derived formulas against the library, and ±1 %."""

import inspect
import math

import numpy as np
import pytest
import sympy as sp

from curvature.advantages import group_advantages
from curvature.flow import time_to_success
from curvature.proofs import PROOFS, ProofError
from curvature.proofs._derivation import exact
from curvature.proofs.group_moments import _enumerate
from curvature.proofs.groups import weight_of_groups

TOO_MUCH = [
    ("D1", "pair", 1.01, "a_2 is the constant"),
    ("D1", "triple", 0.99, "a_3 is the constant"),
    ("D1", "rare", 1.01, "at p = 0"),
    ("D1-mean", "mean", 0.99, "(1 − 1/G)g"),
    ("D1-mean", "left_out", 1.01, "leaving one out"),
    ("D1-variance", "factor", 1.01, "unbiased"),
    ("D1-objective", "factor", 1.01, "C(G − 1, j)"),
    ("D2", "share", 0.99, "P(0) + P(G)"),
    ("fidelity", "half", 1.01, "p = 1/2"),
    ("fidelity", "rare", 0.99, "p = 1/20"),
    ("D3", "inner", 1.01, "⟨g, E[ĝ|k]⟩"),
    ("D3", "spread", 0.99, "tr Cov(ĝ|k)"),
    ("D3-any", "drop", 1.01, "is what is claimed"),
    ("D3-any", "noise", 0.99, "is what is claimed"),
    ("II.6-flow", "logarithm", 1.01, "e = 0: F'"),
    ("II.6-flow", "root", 0.99, "e = 1: F'"),
    ("II.6-flow", "odds", 1.01, "e = 2: F'"),
    ("II.6-limits", "tail_std", 0.99, "e = 1, the end"),
    ("II.6-limits", "escape_std", 0.99, "e = 1, the start"),
    ("II.6-groups", "rare", 0.99, "rare/a_G(0)"),
    ("II.6-groups", "exponent", 0.99, "rare/a_G(0)"),
    ("II.6-race", "reinforce", 1.01, "REINFORCE's time"),
    ("II.6-race", "grpo", 0.99, "GRPO's time"),
    ("II.6-race", "ratio", 1.01, "their ratio"),
    ("II.6-fastest", "step", 1.01, "the step is T1's"),
    ("II.6-fastest", "margin", 1.01, "1 − step/8 = margin"),
    ("arcsine", "factor", 1.01, "1/σ"),
]


@pytest.mark.parametrize(("name", "constant", "factor", "step"), TOO_MUCH)
def test_a_constant_of_groups_or_flow_moved_by_one_per_cent_is_refused_by_its_own_step(
    name, constant, factor, step
):
    claimed = exact(inspect.signature(PROOFS[name]).parameters[constant].default)
    with pytest.raises(ProofError) as refusal:
        PROOFS[name](**{constant: exact(factor) * claimed})
    assert step in str(refusal.value)


@pytest.mark.parametrize("G", [2, 3, 5, 8])
@pytest.mark.parametrize("p", [0.03, 0.5, 0.8])
def test_proved_weight_is_the_mean_of_the_group_advantages(G, p):
    rewards = np.tril(np.ones((G + 1, G)), -1)
    right = group_advantages(rewards)[1:G, 0]  # k = 1 … G − 1 right, the first of them among these
    k = np.arange(1, G)
    chance = np.array([math.comb(G, int(one)) for one in k]) * p**k * (1 - p) ** (G - k)
    mean = (chance * k / G * right).sum() / (p * (1 - p))
    assert float(weight_of_groups(G, sp.Rational(str(p)))) == pytest.approx(mean, rel=1e-12)


def test_proved_objective_of_two_samples_is_p_and_of_three_is_root_2_p():
    derived = PROOFS["D1-objective"]().derived
    p = sp.Symbol("p", positive=True)
    assert derived["h for G = 2"] == p
    assert sp.simplify(derived["h for G = 3"] - sp.sqrt(2) * p) == 0


def test_enumeration_agrees_with_a_numpy_loop_over_groups():
    from fractions import Fraction
    from itertools import product

    responses = ((Fraction(1, 3), 1, Fraction(1)), (Fraction(2, 3), 0, Fraction(-1, 2)))
    G = 3
    inner, square = _enumerate(responses, G, lambda k, G: Fraction(1))
    chances = np.array([float(c) for c, _, _ in responses])
    rewards, features = np.array([1.0, 0.0]), np.array([1.0, -0.5])
    g = (chances * (rewards - chances @ rewards) * features).sum()
    first = second = 0.0
    for group in product(range(2), repeat=G):
        one = list(group)
        estimate = ((rewards[one] - rewards[one].mean()) * features[one]).mean()
        first += chances[one].prod() * g * estimate
        second += chances[one].prod() * estimate**2
    assert float(inner) == pytest.approx(first, rel=1e-13)
    assert float(square) == pytest.approx(second, rel=1e-13)


def test_variance_without_std_falls_to_that_of_single_samples():
    """G·Var ĝ tends to E[A²w²] − g² as G grows: the baseline costs nothing in the limit."""
    derived = PROOFS["D3-any"]().derived
    one, both = derived["ζ₁"], derived["ζ₂"]
    G = sp.Symbol("G", positive=True)
    variance = (2 * (G - 2) * one + both) / (G * (G - 1) / 2)
    fourth, g = sp.Symbol("E[A²w²]", positive=True), sp.Symbol("g", positive=True)
    assert sp.simplify(sp.limit(G * variance, G, sp.oo) - (fourth - g**2)) == 0


@pytest.mark.parametrize("e", [0, 1, 2])
def test_proved_antiderivative_gives_the_library_times(e):
    p = sp.Symbol("p", positive=True)
    F = sp.lambdify(p, PROOFS["II.6-flow"]().derived[f"e = {e}"])
    assert F(0.9) - F(0.1) == pytest.approx(float(time_to_success(0.1, 0.9, exponent=e)), rel=1e-12)


def test_proved_race_and_limits_are_the_printed_ones():
    derived = PROOFS["II.6-race"]().derived
    assert (derived["steps of REINFORCE"], derived["steps of GRPO"]) == (39, 15)
    limits = PROOFS["II.6-limits"]().derived
    assert [limits[f"e = {e}, end"] for e in (0, 1, 2)] == [1, 4, 1]
    assert [limits[f"e = {e}, start"] for e in (0, 1, 2)] == [1, 2, 1]


def test_least_slope_of_the_map_of_log_odds_is_reached():
    z = np.linspace(-6, 6, 200_001)
    std = 0.5 / np.cosh(z / 2)
    slope = np.gradient(z + 4 * math.log(2) * std, z)
    assert slope.min() == pytest.approx(float(PROOFS["II.6-fastest"]().derived["least slope"]), abs=1e-7)
