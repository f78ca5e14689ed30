"""Proofs of the paper's theorems, its false statements and the thresholds: against the library, and ±1 %."""

import inspect

import numpy as np
import pytest
import sympy as sp

from curvature import LogLinearBandit
from curvature.bounds import expected_run, improvement_threshold, paper, theorem_3_2_repaired
from curvature.ledger.appendix_d_e import one_step, tilted_prompts
from curvature.ledger.section_3_theorems import sum_form
from curvature.ledger.theorem_runs import TWO_RESPONSES
from curvature.proofs import PROOFS, ProofError
from curvature.proofs._derivation import exact

TOO_MUCH = [
    ("eq-5", "variance", 1.01, "E A²"),
    ("Lemma 3.3-ball", "share", 0.99, "share·σ"),
    ("Theorem 3.1", "step", 1.01, "is at the step"),
    ("Theorem 3.1", "gain", 1.01, "‖∇J_i‖²/X² there"),
    ("Theorem 3.1", "rate", 0.99, "add up to ≤ 1 − p₀"),
    ("Theorem 3.2", "gain", 1.01, "the step gains"),
    ("Theorem 3.2", "weighted", 0.99, "(a) so"),
    ("Theorem 3.2", "factor", 0.99, "(b) min"),
    ("Theorem 3.3", "interference", 0.99, "interference ≥ 1/2"),
    ("Theorem 3.3", "gain", 1.01, "gain at F = 1"),
    ("Theorem 3.3", "rate", 0.99, "add up to ≤ 1 − p₀"),
    ("Theorem 3.4", "interference", 0.99, "interference ≥ 5/8"),
    ("Theorem 3.4", "gain", 1.01, "gain at F = 1"),
    ("Theorem 3.4", "weighted", 0.99, "(a) so"),
    ("Theorem 3.1-sharper", "smoothness", 0.99, "smoothness·X²"),
    ("Theorem 3.1-sharper", "gain", 1.01, "gains at least gain"),
    ("Theorem 3.1-sharper", "rate", 0.99, "add up to ≤ 1 − p₀"),
    ("Theorem 3.2-sharper", "gain", 1.01, "gain at D = √2X"),
    ("Theorem 3.2-sharper", "any_rewards", 1.01, "is the constant claimed"),
    ("Theorem 3.2-sharper", "weighted", 0.99, "(a) so"),
    ("Theorem 3.2-sharper", "factor", 0.99, "(b) has"),
    ("Theorem 3.3-sharper", "interference", 0.99, "interference ≥ 1/(6√3)"),
    ("Theorem 3.3-sharper", "gain", 1.01, "gain at F = 1"),
    ("Theorem 3.3-sharper", "rate", 0.99, "add up to ≤ 1 − p₀"),
    ("Theorem 3.4-sharper", "interference", 0.99, "interference ≥ 4ψ(1/4)"),
    ("Theorem 3.4-sharper", "gain", 1.01, "F = 1"),
    ("Theorem 3.4-sharper", "weighted", 0.99, "(a) so"),
    ("smooth-rate", "rate", 0.99, "the bound"),
    ("smooth-rate", "slope", 1.01, "the bound"),
    ("threshold-binary", "threshold", 1.01, "1 at the threshold"),
    ("threshold-binary", "ratio", 0.99, "the one claimed"),
    ("Theorem 3.2-sum", "left", 1.01, "the left side"),
    ("Theorem 3.2-sum", "right", 0.99, "the right side"),
    ("eq-32", "excess", 1.01, "the promise over the gain"),
    ("threshold", "threshold", 1.01, "1 at the threshold"),
    ("threshold", "low", 1.01, "(p − low)(p − high)"),
    ("threshold", "high", 0.99, "(p − low)(p − high)"),
    ("threshold-step", "step", 1.01, "(η − step)²"),
    ("threshold-step", "gain", 1.01, "(η − step)²"),
    ("threshold-step", "threshold", 1.01, "1 at the threshold"),
    ("threshold-sharp", "threshold", 1.01, "1 at the threshold"),
    ("threshold-smoothness", "threshold", 1.01, "1 at the threshold"),
    ("threshold-smoothness", "ratio", 0.99, "the one claimed"),
    ("improvement", "factor", 0.99, "Σ(1 − p₀)"),
    ("Mei-A1", "constant", 0.99, "upwards"),
    ("Razin-L1", "share", 0.99, "σ^(1/3)·share"),
]


@pytest.mark.parametrize(("name", "constant", "factor", "step"), TOO_MUCH)
def test_a_constant_of_the_paper_moved_by_one_per_cent_is_refused_by_its_own_step(
    name, constant, factor, step
):
    claimed = exact(inspect.signature(PROOFS[name]).parameters[constant].default)
    with pytest.raises(ProofError) as refusal:
        PROOFS[name](**{constant: exact(factor) * claimed})
    assert step in str(refusal.value)


def test_a_step_that_leaves_the_ball_of_lemma_3_3_is_refused():
    with pytest.raises(ProofError, match="at most the radius"):
        PROOFS["Theorem 3.2"](step="0.51", ball="1.02")


def test_rates_of_the_theorems_are_the_calculators():
    n, p0, X = 7, 0.3, 1.7
    unit = n * (1 - p0) * X**2
    rate = paper.theorem_3_1(n, p0, X, 10)
    assert float(rate.gradient_sum) == pytest.approx(float(PROOFS["Theorem 3.1"]().derived["rate"]) * unit)
    weighted = float(PROOFS["Theorem 3.2"]().derived["weighted sum"])
    repaired = theorem_3_2_repaired(n, p0, X, [0.5, 0.2])
    assert float(repaired.weighted_sum) == pytest.approx(weighted * unit, rel=1e-14)
    assert float(repaired.squared_mean) == pytest.approx(weighted * unit / 2 * 0.35, rel=1e-14)
    with_interference = paper.theorem_3_4(n, p0, X, [0.5, 0.2], 8.0, 2.0, 3.0)
    M, R2 = sp.symbols("M R₂", positive=True)
    least = float(PROOFS["Theorem 3.4"]().derived["least F"].subs({M: 8, R2: 3}))
    assert float(with_interference.step) == pytest.approx(1 / (2 * least * X**2), rel=1e-14)


@pytest.mark.parametrize("p", [0.003, 0.05, 0.2, 0.5, 0.7, 0.9, 0.99])
def test_sharper_gains_are_gained_at_the_papers_steps_and_nearly_reached(p):
    """Two responses with X = I, whose diameter is the largest that X allows, √2X."""
    bandit = LogLinearBandit([np.eye(2)], [[1, 0]], [[np.log(p), np.log1p(-p)]])
    for method, name, power in (("reinforce", "3.1", 0), ("grpo", "3.2", 1)):
        run = expected_run(bandit, method, 1)
        σ = run.own_reward_std[0, 0]
        share = np.diff(run.expected_reward[:, 0])[0] / run.squared_gradient[0, 0] * σ**power
        promised = float(
            exact(inspect.signature(PROOFS[f"Theorem {name}-sharper"]).parameters["gain"].default)
        )
        assert promised <= share < 1.3 * promised


def test_factors_of_the_paper_cover_the_least_ones_that_suffice():
    M = sp.Symbol("M", positive=True)
    assert float(PROOFS["Theorem 3.3-sharper"]().derived["least F"] / M) == pytest.approx(0.09623, abs=5e-6)
    assert float(PROOFS["Theorem 3.4-sharper"]().derived["least F over MR₂"]) == pytest.approx(
        0.13610, abs=5e-6
    )


def test_sides_of_the_sum_form_are_those_of_a_run():
    run = expected_run(TWO_RESPONSES, "grpo", 100)
    left, right = sum_form(
        run.squared_gradient[:-1, 0],
        run.own_reward_std[:-1, 0],
        num_prompts=1,
        success=0.5,
        spectral_norm=1.0,
    )
    derived = PROOFS["Theorem 3.2-sum"]().derived
    assert float(derived["left side"]) == pytest.approx(left[-1], rel=1e-7)
    assert float(derived["right side"]) == pytest.approx(right[-1], rel=1e-7)


def test_counterexample_of_appendix_e_is_the_ledgers():
    gain, unit, constants = one_step(tilted_prompts())
    derived = PROOFS["eq-32"]().derived
    assert float(derived["M"]) == pytest.approx(constants["M"], rel=1e-9)
    assert float(sp.sqrt(derived["R₁²"])) == pytest.approx(constants["R₁"], rel=1e-12)
    assert float(derived["R₂"]) == pytest.approx(constants["R₂"], rel=1e-12)
    assert float(derived["gain"]) == pytest.approx(gain[0], rel=1e-6)
    assert float(derived["promise"]) == pytest.approx(unit[0] / (constants["M"] / 2), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        ("threshold", "paper"),
        ("threshold-step", "paper_best_step"),
        ("threshold-sharp", "sharp"),
        ("threshold-smoothness", "sharp_smoothness"),
        ("threshold-binary", "sharp_binary"),
    ],
)
def test_proved_ratio_is_that_of_the_calculator(name, constants):
    ratio = float(PROOFS[name]().derived["ratio over σ̄"])
    assert ratio == pytest.approx(improvement_threshold(constants).ratio_per_std, rel=1e-14)


def test_roots_of_the_papers_threshold_have_a_std_of_three_eighths():
    parameters = inspect.signature(PROOFS["threshold"]).parameters
    roots = [float(exact(parameters[name].default)) for name in ("low", "high")]
    assert np.sqrt(np.array(roots) * (1 - np.array(roots))) == pytest.approx([0.375, 0.375], rel=1e-14)
