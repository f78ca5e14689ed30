"""PEPit's exact worst cases of smooth ascent against the rates of the theorems: which are tight, and which are not.

The gains of a prompt's expected reward are those of descent on f = 1 − J, so PEPit's L-smooth functions serve. It
solves for the worst function of the whole class; those that a policy makes are fewer, so that a rate that is tight
here can still be improved for policies, and one that is not can be improved for all.
"""

from functools import cache

import pytest
from PEPit import PEP
from PEPit.functions import SmoothFunction

from curvature.bounds import improvement_threshold, paper, sharp

TOLERANCE = 1e-4


def solved(problem):
    return problem.solve(wrapper="cvxpy", solver="CLARABEL", verbose=0)


@cache
def worst_gradient(L, step, num_steps, gap):
    """Max over L-smooth f with f(x_0) − f(x_T) ≤ gap of min_{t<T} ‖∇f(x_t)‖²: x_T counts for the gap alone."""
    problem = PEP()
    f = problem.declare_function(SmoothFunction, L=L)
    x = problem.set_initial_point()
    start = f(x)
    for _ in range(num_steps):
        problem.set_performance_metric(f.gradient(x) ** 2)
        x = x - step * f.gradient(x)
    problem.set_initial_condition(start - f(x) <= gap)
    return solved(problem)


@cache
def worst_gain(L, step):
    """Min over L-smooth f of the gain of one step at a gradient of length 1."""
    problem = PEP()
    f = problem.declare_function(SmoothFunction, L=L)
    x = problem.set_initial_point()
    g = f.gradient(x)
    problem.set_initial_condition(g**2 == 1)
    problem.set_performance_metric(f(x - step * g) - f(x))
    return -solved(problem)


@pytest.mark.parametrize("X", [0.5, 2.0])
def test_one_step_of_theorem_3_1_gains_exactly_what_it_says(X):
    rate = paper.theorem_3_1(1, 0.2, X, 1)
    assert worst_gain(X**2, float(rate.step)) == pytest.approx(float(rate.gain_factor), rel=TOLERANCE)


def test_one_step_of_c1_gains_exactly_what_it_says():
    rate = sharp.theorem_c1(1, 0.8, 2.0)
    L = float(sharp.hessian_norm_global(2.0))
    assert worst_gain(L, float(rate.step)) == pytest.approx(float(rate.gain_factor), rel=TOLERANCE)


def test_one_local_step_of_theorem_3_2_gains_exactly_three_sixteenths():
    """The curvature of Lemma 3.3, (5/2)X²σ on the ball that holds the step, in place of a global smoothness."""
    X, σ = 1.5, 0.3
    rate = paper.theorem_3_2(1, 0.1, X, [σ])
    gain = worst_gain(2.5 * X**2 * σ, float(rate.step) / σ)
    assert gain == pytest.approx(float(rate.gain_factor[0]), rel=TOLERANCE)
    assert gain == pytest.approx(3 / (16 * X**2 * σ), rel=TOLERANCE)


def test_the_step_two_fifths_is_better_than_the_papers_half_and_the_best():
    X, σ = 1.5, 0.3
    gains = {η: worst_gain(2.5 * X**2 * σ, η / X**2 / σ) for η in (0.36, 0.4, 0.44, 0.5)}
    assert max(gains, key=lambda η: gains[η]) == 0.4
    for η, constants in ((0.5, "paper"), (0.4, "paper_best_step")):
        assert 1 / (gains[η] * X**2 * σ) == pytest.approx(
            improvement_threshold(constants).grpo, rel=TOLERANCE
        )


def test_one_step_of_grpo_under_the_constant_curvature_of_l2_gains_the_certificate():
    """α = 4/D² on a function of curvature D²σ/4, which is what the certificate a − a²/8 is made of."""
    D, σ = 2.0, 0.4
    for a in (2.0, 4.0):
        gain = worst_gain(float(sharp.hessian_norm(σ, D)), a / D**2 / σ)
        certificate = float(sharp.one_step_certificate(a))
        assert gain * σ * D**2 == pytest.approx(certificate, rel=TOLERANCE)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 4])
def test_rate_of_theorem_3_1_is_tight_for_one_step_and_half_as_large_again_for_many(num_steps):
    """The worst case is 4LΔ/(3T − 1) where the theorem states 2LΔ/T: equal at T = 1, and 2/3 of it as T → ∞.

    The proof "smooth-rate" derives it for every T.
    """
    X, success, T = 1.5, 0.2, num_steps
    rate = paper.theorem_3_1(1, success, X, T)
    worst = worst_gradient(X**2, float(rate.step), T, 1 - success)
    assert worst <= float(rate.gradient_min) * (1 + TOLERANCE)
    assert worst == pytest.approx(4 * X**2 * (1 - success) / (3 * T - 1), rel=TOLERANCE)
    assert worst / float(rate.gradient_min) == pytest.approx(2 * T / (3 * T - 1), rel=TOLERANCE)


def test_rate_of_c1_has_the_same_slack():
    T, D = 2, 2.0
    rate = sharp.theorem_c1(T, 0.8, D)
    worst = worst_gradient(float(sharp.hessian_norm_global(D)), float(rate.step), T, 0.8)
    assert worst / float(rate.mean_squared) == pytest.approx(0.8, rel=TOLERANCE)


def test_a_gain_larger_by_one_percent_is_refuted():
    rate = paper.theorem_3_1(1, 0.2, 2.0, 1)
    assert worst_gain(4.0, float(rate.step)) < 1.01 * float(rate.gain_factor)
