"""T1–T5, the rate from C1, and the comparison of bounds: constants by sympy, values by mpmath, runs of bandits."""

from math import inf, sqrt

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from curvature import LogLinearBandit, feature_diameter, moments
from curvature.bounds._comparison import improvement_factor, improvement_threshold
from curvature.bounds._expectations import expected_run
from curvature.bounds._one_step import one_step_threshold
from curvature.bounds._sharp_speedups import theorem_t4, theorem_t5
from curvature.bounds._sharp_theorems import (
    GAIN_CONSTANT,
    STEP_CONSTANT,
    theorem_c1,
    theorem_t1,
    theorem_t2,
    theorem_t3,
)
from curvature.testing import assert_upper

POSITIVE = st.floats(1e-3, 1e3)


# ---- constants, symbolically


def test_log_two_maximises_the_certified_gain():
    c = sympy.Symbol("c", positive=True)
    certified = c - (sympy.exp(c) - 1 - c)
    assert sympy.solve(sympy.diff(certified, c), c) == [sympy.log(2)]
    assert sympy.diff(certified, c, 2).subs(c, sympy.log(2)) < 0
    assert sympy.simplify(certified.subs(c, sympy.log(2)) - (2 * sympy.log(2) - 1)) == 0
    assert float(sympy.log(2)) == STEP_CONSTANT
    assert float(2 * sympy.log(2) - 1) == pytest.approx(GAIN_CONSTANT, rel=1e-15)


def test_t1_and_t2_follow_from_l4_symbolically():
    """With ‖g‖ = yDσ/2 and α = 4c/D² the first-order gain is cσy² and the argument of ψ is cy; T2 has σ/σ_max = τ."""
    c, y, D, σ, top = sympy.symbols("c y D σ σ_max", positive=True)
    g = y * D * σ / 2
    for weight, share in ((1 / σ, sympy.Integer(1)), (1 / top, σ / top)):
        α = 4 * c / D**2 * weight
        assert sympy.simplify(α * g**2 - c * σ * share * y**2) == 0
        assert sympy.simplify(D * α * g / 2 - c * share * y) == 0
        assert sympy.simplify(4 * c / D**2 * g**2 * weight - c * σ * share * y**2) == 0
    # ψ(s)/s² is a power series with positive coefficients, so ψ(ty) ≤ t²y²ψ(c)/c² for ty ≤ c.
    s = sympy.Symbol("s")
    series = sympy.series((sympy.exp(s) - 1 - s) / s**2, s, 0, 8).removeO()
    assert all(coefficient > 0 for coefficient in sympy.Poly(series, s).all_coeffs())


def test_best_step_of_an_adaptive_method_is_the_inverse_curvature():
    η, β = sympy.symbols("η β", positive=True)
    gain = η - β * η**2 / 2
    best = sympy.solve(sympy.diff(gain, η), η)
    assert best == [1 / β]
    assert sympy.simplify(gain.subs(η, best[0]) - 1 / (2 * β)) == 0
    lemma = sympy.Rational(5, 2)
    assert gain.subs({η: sympy.Rational(1, 2), β: lemma}) == sympy.Rational(3, 16)
    assert gain.subs({η: sympy.Rational(2, 5), β: lemma}) == sympy.Rational(1, 5)


def test_thresholds_are_the_ratios_of_their_exact_constants():
    k0 = 2 * sympy.log(2) - 1
    exact = {
        "paper": sympy.Integer(2) / sympy.Rational(16, 3),
        "paper_best_step": sympy.Integer(2) / 5,
        "sharp": (1 / (8 * k0)) / (1 / (4 * k0)),
        "sharp_smoothness": (1 / (3 * sympy.sqrt(3))) / (1 / (4 * k0)),
        "sharp_binary": (1 / (3 * sympy.sqrt(3))) / sympy.Rational(1, 2),
    }
    decimal = {
        "paper": 3 / 8,
        "paper_best_step": 2 / 5,
        "sharp": 1 / 2,
        "sharp_smoothness": 0.29737,
        "sharp_binary": 0.38490,
    }
    for constants, value in exact.items():
        found = improvement_threshold(constants)
        assert found.threshold == pytest.approx(float(value), rel=1e-14)
        assert found.threshold == pytest.approx(decimal[constants], abs=5e-6)
        assert found.threshold * found.ratio_per_std == pytest.approx(1.0, rel=1e-14)
        assert found.always == (constants == "sharp")
    assert improvement_threshold("sharp_smoothness").ratio_per_std == pytest.approx(3.3628, abs=5e-5)


def test_threshold_constants_are_those_of_the_theorems():
    """Each threshold again, from the calculators: the bound of REINFORCE over that of GRPO per unit of mean std."""
    rates = theorem_t3(7, 0.3, 1.7, 0.2, 0.5)
    smooth = theorem_c1(7, 0.3, 1.7)
    assert float(rates.reinforce / rates.grpo) * 0.2 == pytest.approx(
        improvement_threshold("sharp").threshold
    )
    assert float(smooth.mean_squared / rates.grpo) * 0.2 == pytest.approx(
        improvement_threshold("sharp_smoothness").threshold, rel=1e-13
    )
    assert one_step_threshold("certificate").threshold == pytest.approx(
        improvement_threshold("sharp_binary").threshold, rel=1e-14
    )
    assert smooth.mean_squared / rates.reinforce == pytest.approx(
        8 * GAIN_CONSTANT / (3 * sqrt(3)), rel=1e-13
    )


def test_success_rates_at_the_papers_threshold():
    """Mean std below 3/8 is success below .169 or above .831, if all prompts are alike."""
    p = (1 - sqrt(1 - 4 * 0.375**2)) / 2
    assert p == pytest.approx(0.1693, abs=5e-5)
    path = np.sqrt(np.full((3, 2), p) * (1 - p))
    assert float(improvement_factor(path)) == pytest.approx(1.0, rel=1e-12)


def test_improvement_factor_checks_its_arguments():
    with pytest.raises(ValueError, match="constants is 'ours'"):
        improvement_threshold("ours")
    with pytest.raises(ValueError, match=r"reward_std has shape \(2,\)"):
        improvement_factor([0.1, 0.2])
    with pytest.raises(ValueError, match=r"success has shape \(3,\)"):
        improvement_factor([[0.1, 0.2]], [0.1, 0.2, 0.3])
    assert np.isnan(improvement_factor([[0.1, 0.2]], [1.0, 1.0]))


# ---- T1, T2, C1


@pytest.mark.parametrize(
    ("g", "σ", "D"),
    [(0.25, 0.5, 1.0), (1e-300, 1e-150, 1.0), (1e-200, 1e-200, 3.0), (1e150, 1e160, 1e-3), (0.1, 0.4, 1e120)],
)
def test_t1_and_t2_match_mpmath(g, σ, D):
    with mpmath.workdps(40):
        k0 = 2 * mpmath.log(2) - 1
        step = 4 * mpmath.log(2) / mpmath.mpf(D) ** 2
        gain = float(4 * k0 / mpmath.mpf(D) ** 2 * mpmath.mpf(g) ** 2 / mpmath.mpf(σ))
        steps = float(step), float(step / mpmath.mpf(σ))
    grpo, reinforce = theorem_t1(g, σ, D), theorem_t2(g, σ, D)
    np.testing.assert_allclose([float(grpo.gain), float(reinforce.gain)], gain, rtol=1e-13, atol=1e-320)
    np.testing.assert_allclose([float(grpo.step), float(reinforce.step)], steps, rtol=1e-13)


def test_steps_at_the_boundaries():
    still = theorem_t1(0.0, 0.0, 0.0)
    assert (float(still.step), float(still.gain)) == (inf, 0.0)
    assert float(theorem_t1(0.0, 0.0, 1.0).gain) == 0.0
    assert float(theorem_c1(10, 0.5, 0.0).step) == inf
    assert float(theorem_c1(10, 0.5, 0.0).mean_squared) == 0.0


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
def test_t2_with_the_prompts_own_std_is_t1(g, σ, D, factor):
    own, wider = theorem_t2(g, σ, D), theorem_t2(g, σ * (1 + factor), D)
    grpo = theorem_t1(g, σ, D)
    assert float(own.gain) == pytest.approx(float(grpo.gain), rel=1e-12)
    assert float(own.step) == pytest.approx(float(grpo.step) / σ, rel=1e-12)
    assert float(wider.gain) < float(own.gain)


def test_certified_two_arm_runs_take_the_steps_that_the_flow_predicts():
    """From .01 to .99 at certified steps, D = 1, σ_max = 1/2: 39 steps of REINFORCE, 15 of GRPO."""
    taken = {}
    for method in ("reinforce", "grpo"):
        bandit, theta = LogLinearBandit.two_arm([0.01]), np.zeros(1)
        for step in range(1, 100):
            at = moments(bandit, theta)
            norm, σ = abs(at.gradient[0]), at.reward_std
            rule = theorem_t1(norm, σ, 1.0) if method == "grpo" else theorem_t2(norm, 0.5, 1.0)
            weight = 1 / σ[0] if method == "grpo" else 1.0
            theta = theta + float(rule.step) * weight * at.gradient[0]
            if moments(bandit, theta).expected_reward[0] >= 0.99:
                taken[method] = step
                break
    assert taken == {"reinforce": 39, "grpo": 15}


# ---- T3, T4


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(
    "profile", [[0.02, 0.05, 0.1], [0.3, 0.5, 0.7], [0.05, 0.5, 0.95], [0.001, 0.001, 0.9]]
)
def test_measured_mean_gradients_stay_below_t3_and_c1(profile, n):
    """Full batch (n = 1) and one sampled prompt a step (n = 3), whose expectations are exact."""
    bandit, T = LogLinearBandit.two_arm(profile), 120
    gap = 1 - np.mean(profile)
    D = float(feature_diameter(bandit).max())
    steps = {
        "grpo": float(theorem_t1(0.1, 0.5, D).step),
        "reinforce": float(theorem_t2(0.1, 0.5, D).step),
        "smooth": float(theorem_c1(T, gap, D).step),
    }
    runs = {
        name: expected_run(bandit, "grpo" if name == "grpo" else "reinforce", T, step=step)
        for name, step in steps.items()
    }
    norms = {k: (r.own_gradient_norm if n == 1 else r.gradient_norm)[:-1] for k, r in runs.items()}
    squares = {k: (r.own_gradient_norm**2 if n == 1 else r.squared_gradient)[:-1] for k, r in runs.items()}
    σ = (runs["grpo"].own_reward_std if n == 1 else runs["grpo"].reward_std)[:-1]
    rates = theorem_t3(T, gap, D, σ.mean(), 0.5, num_prompts=n)
    assert_upper(norms["grpo"].mean() ** 2, rates.grpo, name="T3 for GRPO")
    assert_upper(squares["reinforce"].mean(), rates.reinforce, name="T3 for REINFORCE")
    assert_upper(
        squares["smooth"].mean(), theorem_c1(T, gap, D, num_prompts=n).mean_squared, name="C1's rate"
    )
    # Not vacuous: the bounds are within an order of magnitude or two of what is measured.
    assert norms["grpo"].mean() ** 2 > 0.01 * float(rates.grpo)


def test_t3_falls_as_one_over_t_and_rises_with_n():
    one, many = theorem_t3(10, 0.5, 1.0, 0.2, 0.5), theorem_t3(40, 0.5, 1.0, 0.2, 0.5, num_prompts=8)
    assert float(many.grpo) == pytest.approx(2 * float(one.grpo), rel=1e-14)
    assert float(one.ratio) == 0.4
    with pytest.raises(ValueError, match=r"mean_reward_std reaches 0\.6, above max_reward_std = 0\.5"):
        theorem_t3(10, 0.5, 1.0, 0.6, 0.5)


@given(st.lists(st.lists(st.floats(0, 0.5), min_size=3, max_size=3), min_size=1, max_size=6))
def test_t4_splits_the_ratio_into_two_factors_of_at_most_one(path):
    split = theorem_t4(path, 0.5)
    assert 0 <= float(split.across_iterations) <= 1 + 1e-12
    assert 0 <= float(split.across_prompts) <= 1 + 1e-12
    if np.max(path) > 0:
        assert float(split.total) == pytest.approx(np.mean(path) / 0.5, rel=1e-12, abs=1e-300)


def test_t4_puts_a_global_schedule_and_unlike_prompts_apart():
    schedule = theorem_t4(np.outer([0.5, 0.25, 0.125], np.ones(4)))
    assert (float(schedule.across_prompts), float(schedule.total)) == (1.0, pytest.approx(7 / 12))
    prompts = theorem_t4(np.tile([0.5, 0.25], (3, 1)))
    assert (float(prompts.across_iterations), float(prompts.across_prompts)) == (1.0, 0.75)
    assert float(theorem_t4(np.zeros((2, 2))).total) == 1.0
    with pytest.raises(ValueError, match=r"reward_std reaches 0\.5, above max_reward_std = 0\.4"):
        theorem_t4([[0.5, 0.1]], 0.4)
    with pytest.raises(ValueError, match=r"reward_std has shape \(2,\)"):
        theorem_t4([0.5, 0.1])


# ---- T5


@given(st.lists(st.tuples(st.floats(1e-3, 1.0), st.floats(1e-3, 0.5)), min_size=1, max_size=6))
def test_kappa_is_at_least_one_and_one_for_equal_stds(prompts):
    y, σ = np.array(prompts).T
    g = y * σ / 2
    assert float(theorem_t5(g, σ).by_std) >= 1 - 1e-12
    assert float(theorem_t5(g, np.full_like(σ, 0.3)).by_std) == pytest.approx(1.0, rel=1e-12)


def test_kappa_matches_mpmath_for_rare_prompts_and_ignores_silent_ones():
    g, σ = [1e-200, 0.25, 0.0], [1e-100, 0.5, 0.0]
    with mpmath.workdps(50):
        G, S = [mpmath.mpf(v) ** 2 for v in g[:2]], [mpmath.mpf(v) for v in σ[:2]]
        first = sum(a / b for a, b in zip(G, S, strict=True))
        expected = float(first * sum(a * b for a, b in zip(G, S, strict=True)) / sum(G) ** 2)
    assert float(theorem_t5(g, σ).by_std) == pytest.approx(expected, rel=1e-13)
    assert np.isnan(theorem_t5([0.0, 0.0], [0.1, 0.2]).by_std)
    with pytest.raises(ValueError, match="reward_std is 0 where gradient_norm is not"):
        theorem_t5([0.1, 0.1], [0.0, 0.5])


@given(st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 0.99)), min_size=2, max_size=6))
def test_kappa_is_the_ratio_of_best_quadratic_gains(prompts):
    y, p = np.array(prompts).T
    σ = np.sqrt(p * (1 - p))
    g2 = (y * σ / 2) ** 2
    found = theorem_t5(np.sqrt(g2), σ, success=p)
    for curvature, κ in ((σ / 4, found.by_std), (_profile(p), found.by_profile)):
        best = [(a * g2).sum() ** 2 / (2 * (curvature * a**2 * g2).sum()) for a in (1 / σ, np.ones_like(σ))]
        assert float(κ) == pytest.approx(best[0] / best[1], rel=1e-10)


def _profile(p):
    q = np.minimum(p, 1 - p)
    return np.where(q <= 0.25, q * (1 - q) * (1 - 2 * q), (1 - q) / 8)


def test_with_the_sharpest_curvature_the_same_comparison_can_favour_reinforce():
    """Success 1/2 and .0812 have the same worst curvature D²/16; dividing by σ then only unbalances the two."""
    p = np.array([0.5, 0.0812172823583385])
    σ = np.sqrt(p * (1 - p))
    np.testing.assert_allclose(_profile(p), 1 / 16, rtol=1e-4)
    found = theorem_t5(σ / 2, σ, success=p)
    assert float(found.by_std) > 1.05
    assert found.by_profile is not None
    assert float(found.by_profile) < 0.95
    # On the gradients that two arms do have, σ², the same holds with less force.
    arms = theorem_t5(σ**2, σ, success=p)
    assert arms.by_profile is not None
    assert float(arms.by_profile) < 0.99 < 1 < float(arms.by_std)


def test_kappa_by_profile_has_no_value_where_a_gradient_contradicts_the_success():
    found = theorem_t5([0.0, 0.1], [0.4, 0.4], success=[0.2, 1.0])
    assert float(found.by_std) == pytest.approx(1.0)
    assert np.isnan(found.by_profile)
