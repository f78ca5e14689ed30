"""Worst cases: the curvature a step can reach, the exact remainder, and the least gain of one step."""

import numpy as np
import pytest
from hypothesis import given
from scipy.optimize import linprog, minimize

from curvature import LogLinearBandit, feature_diameter, hessian_extremes, moments
from curvature.adversary import worst_case
from curvature.bounds import sharp
from curvature.ledger import CLAIMS, Budget, Verdict
from curvature.ledger import ours_worst_cases as cases
from curvature.proofs import PROOFS
from tests.theory.support import (
    assert_broken_when_cut,
    assert_constant,
    assert_holds,
    assert_sharp,
    instances_of,
)

SMALL = Budget(instances=300, starts=80, restarts=1)


@given(instances_of(cases.WINDOW, "binary"))
def test_curvature_within_reach_is_the_profile_over_the_window_of_log_odds(instance):
    assert_holds(cases.WINDOW, instance)


@pytest.mark.parametrize(("q", "radius"), [(0.01, 0.7), (0.2, 0.05), (0.06, 2.5), (0.18, 0.2)])
def test_two_responses_reach_the_window(q, radius):
    """Their log-odds move by all of D‖Δ‖: one of the ends, or the peak where the window holds it."""
    here = LogLinearBandit([[[1.0], [0.0]]], [[1.0, 0.0]], np.log([[q, 1 - q]]))
    found = max(np.abs(hessian_extremes(here, [t])).max() for t in np.linspace(-radius, radius, 4001))
    assert found == pytest.approx(float(sharp.hessian_norm_nearby_binary(q, 1.0, radius)), rel=1e-6)


def test_window_beyond_a_quarter_is_reached_by_nobody():
    """At p = 1/2 and D‖Δ‖ = 1/2 the maximum of ℓ is at q' = .378: no instance has more than 0.98 of it."""

    def reach(bandit, theta):
        return 0.5 / feature_diameter(bandit), 0.5 / feature_diameter(bandit)

    fixed = cases.Inequality("C1 at radius 1/2", cases.WINDOW.sides, reach)
    found = worst_case(fixed, num_responses=4, dimension=2, rewards="binary", success=0.5, starts=200, seed=0)
    assert 0.9 < found.ratio < 0.98


def test_sharp_constant_of_lemma_3_3_is_reached_by_two_responses():
    assert_sharp(cases.NEARBY_SPECTRAL, rewards="binary", shapes=((2, 1),))
    for radius in cases.RADII:
        assert_sharp(cases.nearby(radius), rewards="binary", shapes=((2, 1),))


@given(instances_of(cases.NEARBY_SPECTRAL, "binary"))
def test_sharp_constant_of_lemma_3_3_holds(instance):
    assert_holds(cases.NEARBY_SPECTRAL, instance)


@given(instances_of(cases.REMAINDER, "any"))
def test_exact_remainder_holds(instance):
    bandit, theta, displacement = instance
    length = np.linalg.norm(displacement, axis=1)
    scale = moments(bandit, theta).reward_std * feature_diameter(bandit) * length
    assert_holds(cases.REMAINDER, instance, rounding=1e-13 * scale[feature_diameter(bandit) > 0])


@pytest.mark.parametrize("length", cases.LENGTHS)
def test_exact_remainder_is_reached_at_every_length_of_step(length):
    for rewards in ("binary", "real"):
        assert_sharp(cases.remainder(length), rewards=rewards, shapes=((2, 1),))


def _largest_deviation(length, mean, count=101):
    """Maximise the variance of e^w/M − w over laws on a grid of [0, 2s] with E e^w = M: a linear program a centre."""
    w = np.linspace(0, 2 * length, count)
    M = 1 + mean * np.expm1(2 * length)
    h = np.exp(w) / M - w
    rows = np.array([np.ones(count), (np.exp(w) - 1) / np.expm1(2 * length)])

    def over(centre):
        found = linprog(-((h - centre) ** 2), A_eq=rows, b_eq=[1, mean], bounds=(0, 1))
        return -found.fun

    # min over the centre of a maximum of convex functions of it: the variance of the best law.
    low, high = h.min(), h.max()
    for _ in range(25):
        third = (high - low) / 3
        if over(low + third) < over(high - third):
            high -= third
        else:
            low += third
    return np.sqrt(over((low + high) / 2))


@pytest.mark.parametrize("length", [0.05, np.log(2), 3.0])
def test_no_law_on_a_grid_has_a_larger_remainder(length):
    """Independent of the formula and of its certificate; the true law is on the grid, so the maximum is met."""
    Ψ = float(sharp.ascent_remainder_exact(1.0, 2.0, length))
    V = np.expm1(2 * length)
    # Even in log(1 + pV), where the maximiser lies between 0 and log 2.
    means = np.expm1(np.linspace(0.04, 0.98, 15) * 2 * length) / V
    found = [_largest_deviation(length, p) for p in means]
    assert max(found) <= Ψ * (1 + 1e-6)
    assert max(found) > 0.97 * Ψ


def test_remainder_s_proof_would_notice_a_smaller_constant():
    derived = PROOFS["L4-exact"]().derived
    assert 0.9 < float(derived["largest deviation over Ψ where two atoms are not certified"]) < 1


@given(instances_of(cases.certified(4.0), "binary"))
def test_certificate_of_an_ascending_step_holds_and_beats_t1(instance):
    assert_holds(cases.certified(4.0), instance)
    assert sharp.one_step_certificate(4.0) == 2 > 4 * sharp.GAIN_CONSTANT


def test_certificate_needs_binary_rewards_or_ours_could_be_better():
    """At a = 4 the worst gain of two arms is 2.374: the certificate is reached to 0.842, and never broken."""
    best = assert_constant(
        cases.certified(4.0), 0.84, 0.8425, rewards="binary", shapes=((2, 1), (3, 1), (4, 2))
    )
    assert_broken_when_cut(cases.certified(4.0), best, 0.84)


@pytest.mark.parametrize("p", [0.02, 0.2, 0.45, 0.6, 0.7, 0.9])
def test_curvature_against_the_step_is_what_the_certificate_rests_on(p):
    """−uᵀ∇²J u ≤ D²ν(p), reached at every p: ν = p(1 − p)/4 up to 1/2, and C1's ℓ beyond."""
    ν = p * (1 - p) / 4 if p <= 0.5 else float(sharp.curvature_profile(p))

    def sides(bandit, theta, displacement):
        return np.maximum(-hessian_extremes(bandit, theta)[:, 0], 0), ν * feature_diameter(bandit) ** 2

    downwards = cases.Inequality("C1, downwards", sides)
    assert_sharp(downwards, rewards="binary", success=p, shapes=((2, 1), (3, 1), (4, 1)))


@pytest.mark.parametrize(("method", "rewards"), [("grpo", "real"), ("reinforce", "binary")])
def test_no_search_goes_below_two_arms_and_the_limit_of_short_gradients(method, rewards):
    for a in cases.STEPS[method]:
        assert_sharp(cases.gain(a, method), rewards=rewards)
    for a in cases.BEYOND[method]:
        # Here the limit g → 0 is the lower one, and is approached.
        assert_constant(cases.gain(a, method), 0.9, 1 + 1e-9, rewards=rewards, shapes=((3, 1), (4, 1)))


def _gain_over_unit(x, a, K):
    """GRPO's gain over ‖g‖²/σ at d = 1 with the worst rewards of std 1 and Cov(r, w) = γ, eliminated in closed form."""
    logits = x[:K] - x[:K].max()
    π = np.exp(logits) / np.exp(logits).sum()
    w = np.concatenate([[0, 1], 1 / (1 + np.exp(-x[K : 2 * K - 2]))])
    w = w - π @ w
    spread = np.sqrt(π @ w**2)
    γ = spread / (1 + np.exp(-x[-1]))
    if γ < 1e-3:
        return np.inf
    grown = np.exp(a * γ * w)
    change = grown / (π @ grown) - 1
    slope = π @ (change * w) / spread**2
    rest = np.sqrt(max(π @ (change - slope * w) ** 2, 0))
    return (slope * γ - rest * np.sqrt(max(1 - γ**2 / spread**2, 0))) / γ**2


@pytest.mark.parametrize("a", [2.0, 8.0, 11.8])
def test_reduced_search_over_up_to_six_responses_stays_above_the_infimum(a):
    """Rewards are eliminated, so this search shares neither the formula nor the adversary of the ledger."""
    rng = np.random.default_rng(7)
    lowest = float(sharp.one_step_gain(a).lowest)
    best = np.inf
    for K in (2, 3, 4, 6):
        starts = rng.normal(0, 2, (300, 2 * K - 1))
        values = [_gain_over_unit(x, a, K) for x in starts]
        found = minimize(
            _gain_over_unit, starts[np.argmin(values)], (a, K), "Nelder-Mead", options={"maxfev": 1500}
        )
        assert min(*values, found.fun) > lowest * (1 - 1e-9)
        best = min(best, found.fun)
    assert best < 1.001 * lowest


def test_three_responses_approach_the_limit_of_short_gradients():
    """(1/4, 1/2, 1/4) at 0, 1/2, 1, the middle one right, and moved a little off balance."""
    for method, a in (("grpo", 12.5), ("reinforce", 24.0)):
        limit = float(sharp.one_step_gain(a, method).short_gradient)
        gaps = []
        for shift in (1e-2, 1e-3):
            probabilities = np.array([0.25 - shift, 0.5, 0.25 + shift])
            bandit = LogLinearBandit([[[0.0], [0.5], [1.0]]], [[0.0, 1.0, 0.0]], np.log([probabilities]))
            at = moments(bandit, np.zeros(1))
            unit = at.reward_std[0] if method == "grpo" else 1.0
            moved = cases.step_gain(bandit, np.zeros(1), a * at.gradient / unit)
            gaps.append(abs(moved[0] / (at.gradient[0, 0] ** 2 / unit) - limit))
        assert gaps[1] < 0.02 * limit
        assert gaps[1] < gaps[0]


def test_step_gain_is_the_difference_of_expected_rewards():
    bandit = LogLinearBandit.gaussian(20, 5, 3, rewards="gaussian", seed=2)
    θ, Δ = np.full(3, 0.3), np.random.default_rng(1).standard_normal((20, 3))
    plain = [
        (
            moments(bandit.select([i]), θ + Δ[i]).expected_reward
            - moments(bandit.select([i]), θ).expected_reward
        )[0]
        for i in range(20)
    ]
    np.testing.assert_allclose(
        cases.step_gain(
            LogLinearBandit(bandit.features, bandit.rewards, bandit.features @ θ), np.zeros(3), Δ
        ),
        plain,
        rtol=1e-9,
        atol=1e-13,
    )


@pytest.mark.parametrize("claim", [c.id for c in CLAIMS if c.section == cases.SECTION])
def test_rows_of_the_section_hold(claim):
    outcome = CLAIMS[claim].check(SMALL)
    assert outcome.verdict in {Verdict.HOLDS, Verdict.LOOSE}
    assert (outcome.verdict is Verdict.HOLDS) == (CLAIMS[claim].kind == "sharp upper bound")
