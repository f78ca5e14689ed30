"""Section 3.3 of the paper: Theorems 3.1 and 3.2 in every form, Assumptions 3 to 5, and which bound is the smaller."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from curvature import LogLinearBandit, moments
from curvature.assumptions import check_bounded_variance, check_cross_prompt, scale_regularity
from curvature.bounds import (
    expected_run,
    improvement_factor,
    improvement_threshold,
    paper,
    sharp,
    smallest_variance_bound,
    theorem_3_2_repaired,
)
from curvature.ledger import CLAIMS, Budget, Verdict
from curvature.ledger.section_3_assumptions import APART, TABLE_3, std_of_all_sequences
from curvature.ledger.section_3_comparison import UNEQUAL
from curvature.ledger.section_3_theorems import TWO_PROMPTS, first_failure, sum_form
from curvature.ledger.theorem_runs import TWO_RESPONSES, compare, paper_runs
from curvature.ledger.verdicts import judge_mended, judge_upper
from curvature.testing import assert_upper

SMALL = Budget(instances=600, starts=50, restarts=1)
SUCCESS = st.floats(0.01, 0.99)


def outcome_of(id):
    return CLAIMS[id].check(SMALL)


def test_a_mended_inequality_is_judged_by_both_sides():
    holds, breaks = compare([0.5], 1.0), compare([2.0], 1.0)
    assert judge_mended(breaks, holds).verdict is Verdict.REPAIRED
    assert judge_mended(breaks, breaks).verdict is Verdict.FAILS
    assert judge_mended(breaks, compare([], 1.0)).verdict is Verdict.FAILS
    assert judge_mended(holds, breaks).verdict is Verdict.LOOSE
    assert judge_mended(breaks, holds).ratio == 2.0


def test_comparison_finds_the_worst_place_and_hides_nothing():
    assert compare([0.0, 0.2], [0.0, -1.0]).ratio == np.inf
    assert compare([np.nan, 0.2], 1.0).ratio == np.inf
    assert compare([0.0, -0.5], 0.0).ratio == 0.0
    assert judge_upper(compare([], 1.0)).verdict is Verdict.VACUOUS


# ---- Theorem 3.1


@pytest.mark.parametrize("success", [0.05, 0.5, 0.9])
def test_ascent_of_theorem_3_1_is_printed_with_the_sign_of_a_descent(success):
    run = expected_run(LogLinearBandit.two_arm([success] * 2), "reinforce", 10)
    rate = paper.theorem_3_1(2, success, sqrt(0.5), 10)
    gains, promised = np.diff(run.expected_reward, axis=0), rate.gain_factor * run.squared_gradient[:-1]
    assert (gains >= promised).all()
    assert (gains > 0).all()
    assert (-promised < 0).all()  # printed: gains ≤ −promised
    found = outcome_of("thm-3.1-gain")
    assert found.verdict is Verdict.REPAIRED
    assert found.measured > 0 > found.bound


@given(st.lists(SUCCESS, min_size=1, max_size=4))
def test_sum_and_minimum_of_theorem_3_1_hold(success):
    n, T = len(success), 30
    run = expected_run(LogLinearBandit.two_arm(success), "reinforce", T)
    rate = paper.theorem_3_1(n, success, sqrt(0.5), T)
    assert_upper(run.squared_gradient[:-1].sum(axis=0), rate.gradient_sum, name="sum form")
    assert_upper(run.squared_gradient[:-1].min(axis=0), rate.gradient_min, name="minimum form")


def test_sum_of_theorem_3_1_is_loose_by_less_than_two():
    assert 0.5 < outcome_of("thm-3.1-sum").ratio < 0.6
    assert outcome_of("thm-3.1-min").verdict is Verdict.LOOSE


# ---- Theorem 3.2


@pytest.mark.parametrize("success", [0.05, 0.5, 0.9])
def test_ascent_of_theorem_3_2_is_printed_with_the_sign_of_a_descent(success):
    run = expected_run(LogLinearBandit.two_arm([success] * 2), "grpo", 10)
    C = smallest_variance_bound(run.own_reward_std, 2)[:-1]
    factor = paper.theorem_3_2(2, success, sqrt(0.5), C.T).gain_factor.T
    gains = np.diff(run.expected_reward, axis=0)
    assert (gains >= factor * run.squared_gradient[:-1]).all()
    assert (gains > 0).all()  # printed: gains ≤ −factor · E‖∇J‖²
    found = outcome_of("thm-3.2-gain")
    assert found.verdict is Verdict.REPAIRED
    assert found.measured > 0 > found.bound


def test_sum_form_of_theorem_3_2_is_false_for_one_prompt():
    """n = 1, K = 2, X = I, θ₀ = 0, with the smallest C that A3 admits, C_{1,t} = σ_1(θ_t)."""
    run = expected_run(TWO_RESPONSES, "grpo", 100)
    C = run.own_reward_std[:-1, 0]
    assert check_bounded_variance(run.own_reward_std[:-1, 0], C).holds
    left, right = sum_form(run.squared_gradient[:-1, 0], C, num_prompts=1, success=0.5, spectral_norm=1.0)
    assert left[-1] == pytest.approx(0.44037, abs=5e-6)
    assert right[-1] == pytest.approx(0.20953, abs=5e-6)
    assert first_failure(left, right) == 36
    found = outcome_of("thm-3.2-sum")
    assert found.verdict is Verdict.REPAIRED
    assert (found.measured, found.bound) == pytest.approx((0.44037, 0.20953), abs=5e-6)
    assert found.witness["T"] == 100


def test_sum_form_with_the_estimate_of_c_is_false_for_two_prompts():
    """C_{i,t} estimated by E σ_i(θ_t), as the paper does: no bound of A3 for two prompts, and the form fails."""
    run = expected_run(TWO_PROMPTS, "grpo", 400)
    left, right = sum_form(
        run.squared_gradient[:-1, 0],
        run.reward_std[:-1, 0],
        num_prompts=2,
        success=0.5,
        spectral_norm=sqrt(0.5),
    )
    assert left[-1] == pytest.approx(0.4404, abs=5e-5)
    assert right[-1] == pytest.approx(0.1230, abs=5e-5)
    assert first_failure(left, right) == 71
    assert outcome_of("thm-3.2-sum-estimate").verdict is Verdict.REPAIRED


@given(st.lists(SUCCESS, min_size=1, max_size=4))
def test_minimum_and_repaired_forms_of_theorem_3_2_hold(success):
    n, T = len(success), 30
    run = expected_run(LogLinearBandit.two_arm(success), "grpo", T)
    C = np.minimum(smallest_variance_bound(run.own_reward_std, n)[:-1].T, 0.5)
    rate, repaired = (f(n, success, sqrt(0.5), C) for f in (paper.theorem_3_2, theorem_3_2_repaired))
    squares = run.squared_gradient[:-1]
    assert_upper(squares.min(axis=0), rate.gradient_min, name="minimum form, as printed")
    assert_upper(run.weighted_gradient[:-1].sum(axis=0), repaired.weighted_sum, name="weighted")
    assert_upper(squares.sum(axis=0), repaired.gradient_sum, name="constant C")
    std = np.minimum(run.reward_std[:-1].T, 0.5)
    by_mean = theorem_3_2_repaired(n, success, sqrt(0.5), std).squared_mean
    assert_upper(run.gradient_norm[:-1].mean(axis=0) ** 2, by_mean, name="squared mean")


@pytest.mark.parametrize("id", ["min", "weighted", "constant", "squared-mean"])
def test_true_forms_of_theorem_3_2_are_loose_on_every_run(id):
    found = outcome_of(f"thm-3.2-{id}")
    assert found.verdict is Verdict.LOOSE
    assert found.looseness > 2


def test_runs_of_the_ledger_meet_the_premises():
    for run in paper_runs("grpo", SMALL):
        assert (run.bandit.rewards.sum(axis=1) == 1).all()
        assert run.run.step == pytest.approx(0.5 / run.spectral_norm**2)


# ---- Assumptions 3 to 5


@pytest.mark.parametrize("n", [2, 3])
def test_assumption_3_admits_no_bound_below_the_first_std(n):
    bandit = LogLinearBandit.two_arm([0.5] * n)
    for level in std_of_all_sequences(bandit, np.zeros(n), 5)[1:]:
        assert_allclose(level.max(axis=0), 0.5)
        assert level.min() < 0.485
    found = outcome_of("A3")
    assert found.verdict is Verdict.VACUOUS
    assert found.instances == 0


@given(st.lists(SUCCESS, min_size=1, max_size=2))
def test_smallest_bound_of_assumption_3_is_the_largest_std_of_all_sequences(success):
    bandit = LogLinearBandit.two_arm(success)
    run = expected_run(bandit, "grpo", 4)
    followed = [level.max(axis=0) for level in std_of_all_sequences(bandit, np.zeros(len(success)), 4)]
    assert_allclose(smallest_variance_bound(run.own_reward_std, len(success)), followed, atol=1e-12)


def test_smallest_bound_of_assumption_3_holds_in_the_ledger():
    assert outcome_of("A3-smallest").verdict is Verdict.HOLDS


def test_one_opposing_pair_refutes_assumption_4():
    gradient = moments(APART, np.zeros(APART.dimension)).gradient
    assert gradient[0] @ gradient[1] == pytest.approx(-1 / 64)
    assert check_cross_prompt(APART, np.zeros(APART.dimension)).constant == np.inf
    found = outcome_of("A4")
    assert found.verdict is Verdict.FAILS
    assert (found.measured, found.bound) == (pytest.approx(0.495), 0.0)


def test_text_of_section_4_2_is_not_what_table_3_says():
    assert min(M for *_, M in TABLE_3) > 10
    found = outcome_of("A4-table")
    assert (found.verdict, found.measured) == (Verdict.FAILS, 418)
    assert outcome_of("A4-cosines").verdict is Verdict.HOLDS


def test_constants_of_assumption_5_grow_with_the_run():
    bandit = LogLinearBandit.two_arm([0.5, 0.5])
    theta, ratios = np.zeros(2), []
    for _ in range(300):
        ratios.append(scale_regularity(bandit, theta).std_ratio)
        at = moments(bandit, theta)
        theta = theta + at.gradient[0] / at.reward_std[0]
    assert ratios[0] == pytest.approx(1)
    assert ratios[-1] > 2.5 * ratios[100] > 5
    assert outcome_of("A5").verdict is Verdict.FAILS


# ---- which bound is the smaller one


@pytest.mark.parametrize(
    ("constants", "id", "threshold"),
    [
        ("paper", "paper", 3 / 8),
        ("paper_best_step", "best-step", 2 / 5),
        ("sharp", "sharp", 1 / 2),
        ("sharp_smoothness", "smoothness", 0.29737),
        ("sharp_binary", "binary", 0.38490),
    ],
)
def test_thresholds_belong_to_their_pairs_of_constants(constants, id, threshold):
    assert improvement_threshold(constants).threshold == pytest.approx(threshold, abs=5e-6)
    assert outcome_of(f"threshold-{id}").verdict is Verdict.HOLDS


def test_the_same_run_is_an_improvement_by_one_pair_and_none_by_another():
    std = 0.33
    by_paper = (
        paper.theorem_3_2(1, 0.2, 1.0, [std]).gradient_min / paper.theorem_3_1(1, 0.2, 1.0, 1).gradient_min
    )
    by_ours = sharp.theorem_t3(1, 0.8, 1.0, std, 0.5).grpo / sharp.theorem_c1(1, 0.8, 1.0).mean_squared
    assert by_paper == pytest.approx(8 / 3 * std)
    assert by_ours == pytest.approx(3 * sqrt(3) / (4 * (2 * log(2) - 1)) * std)
    assert by_paper < 1 < by_ours


def test_a_factor_below_one_does_not_make_the_average_bound_smaller():
    run = expected_run(UNEQUAL, "grpo", 3)
    success, path = run.own_expected_reward[0], run.reward_std[:-1]
    grpo = paper.theorem_3_2(2, success, 1.0, path.T).gradient_min.mean()
    reinforce = paper.theorem_3_1(2, success, 1.0, 3).gradient_min.mean()
    assert float(improvement_factor(path)) == pytest.approx(0.672, abs=1e-3)
    assert grpo / reinforce == pytest.approx(1.258, abs=1e-3)
    assert float(improvement_factor(path, [0.3, 0.999])) == pytest.approx(grpo / reinforce, rel=1e-9)
    assert outcome_of("improvement-average").verdict is Verdict.REPAIRED


@given(st.lists(st.floats(1e-3, 0.5), min_size=1, max_size=6))
def test_heterogeneous_stds_never_help_theorem_3_4(std):
    R2 = max(std) / min(std)
    unlike = paper.theorem_3_4(1, 0.5, 1.0, np.array(std)[:, None], 1.0, 1.0, R2).gradient_sum.mean()
    alike = paper.theorem_3_4(1, 0.5, 1.0, [max(std)], 1.0, 1.0, 1.0).gradient_sum
    assert unlike >= alike * (1 - 1e-12)


def test_one_prompt_of_larger_std_makes_theorem_3_4_worse_by_a_quarter():
    found = outcome_of("heterogeneity")
    assert found.verdict is Verdict.FAILS
    assert (found.measured, found.bound) == (0.625, 0.5)


def test_theorem_favours_low_variance_where_the_abstract_says_high():
    hard, middling = (paper.theorem_3_2(1, p, 1.0, [sqrt(p * (1 - p))]).std_factor for p in (0.01, 0.5))
    assert hard < 0.3 < 1.3 < middling
    assert outcome_of("abstract-variance").verdict is Verdict.FAILS
