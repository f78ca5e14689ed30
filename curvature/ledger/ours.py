"""Our statements: sharp bounds in the reward std and the feature diameter, for any rewards."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from curvature.ledger import inequalities
from curvature.ledger.evidence import attack, gather, rarer_success, reward_std, try_random, worst
from curvature.ledger.registry import CLAIMS
from curvature.ledger.verdicts import Outcome, judge_profile, judge_upper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curvature.adversary import Inequality, RewardChoice
    from curvature.ledger.budget import Budget
    from curvature.ledger.evidence import Evidence

SECTION = "Ours — sharp constants"
TESTS = "tests/theory/test_section_ours.py"

# q = min(p, 1 − p) on both branches of ℓ, at their border (1/4) and at both ends.
BINARY_PROFILE = (0.001, 0.02, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5)
# p, not q: with one correct response the two sides of 1/2 differ.
ONE_CORRECT_PROFILE = (0.001, 0.1, 0.25, 0.3, 0.35, 0.375, 0.4, 0.45, 0.5, 0.6, 0.75, 0.9)
TWO_ARMS = ((2, 1),)
PROFILE_SHAPES = ((3, 1), (4, 1))
# Two points give two directions.
BOTH_POINTS = ((2, 1), (3, 2))


@CLAIMS.claim(
    id="L1",
    statement="For any rewards and every θ: ‖∇J_x‖ ≤ (D/2) σ.",
    source="Ours, theory L1",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_gradient_is_bounded_by_reward_std",
    proofs=["L1"],
)
def l1(budget: Budget) -> Outcome:
    """Attack with real rewards."""
    evidence = gather(inequalities.GRADIENT_BY_STD, "real", budget)
    binary = attack(inequalities.GRADIENT_BY_STD, "binary", budget, shapes=TWO_ARMS)
    return judge_upper(
        worst([evidence, binary]), f"two responses reach {binary.ratio:.4f} of it {_at_std(binary)}."
    )


@CLAIMS.claim(
    id="L2",
    statement="For any rewards and every θ: ‖∇²J_x‖ ≤ (D²/4) σ.",
    source="Ours, theory L2",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_hessian_is_bounded_by_reward_std",
    figure="curvature_vs_std",
    proofs=["L2"],
)
def l2(budget: Budget) -> Outcome:
    """Attack with real rewards, and say where binary ones reach it."""
    evidence = gather(inequalities.CURVATURE_BY_STD, "real", budget)
    binary = attack(inequalities.CURVATURE_BY_STD, "binary", budget, shapes=TWO_ARMS)
    return judge_upper(
        worst([evidence, binary]), f"two responses reach {binary.ratio:.4f} of it {_at_std(binary)}."
    )


@CLAIMS.claim(
    id="L3",
    statement="For any rewards and every θ with σ > 0: ‖∇log σ‖ ≤ D/2.",
    source="Ours, theory L3",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_log_std_is_lipschitz_in_half_the_diameter",
    figure="std_ball",
    proofs=["L3"],
)
def l3(budget: Budget) -> Outcome:
    """Attack with real rewards, and with binary ones for the place of the supremum."""
    evidence = gather(inequalities.LOG_STD_SLOPE, "real", budget)
    binary = attack(inequalities.LOG_STD_SLOPE, "binary", budget, shapes=TWO_ARMS)
    return judge_upper(
        worst([evidence, binary]), f"two responses reach {binary.ratio:.4f} of it {_at_q(binary)}."
    )


@CLAIMS.claim(
    id="L3-step",
    statement="For any rewards: σ(θ + Δ) ≤ σ(θ) eˢ, s = D‖PΔ‖/2, P projecting on the span of feature differences.",
    source="Ours, theory L3, integrated",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_std_grows_at_most_exponentially_along_a_step",
    figure="std_ball",
    proofs=["L3"],
)
def l3_step(budget: Budget) -> Outcome:
    """Attack with real rewards and steps of D‖Δ‖/2 from 1/1000 to 4."""
    evidence = gather(inequalities.STD_ALONG_STEP, "real", budget)
    binary = attack(inequalities.STD_ALONG_STEP, "binary", budget, shapes=TWO_ARMS)
    return judge_upper(
        worst([evidence, binary]), f"two responses reach {binary.ratio:.4f} of it {_at_q(binary)}."
    )


@CLAIMS.claim(
    id="L2-ball",
    statement="For any rewards, at any distance: ‖∇²J_x(θ + Δ)‖ ≤ (D²/4) σ(θ) eˢ, s = D‖PΔ‖/2.",
    source="Ours, theory L2 with L3",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_curvature_nearby_is_bounded_by_reward_std",
    figure="std_ball",
    proofs=["L2", "L3"],
)
def l2_ball(budget: Budget) -> Outcome:
    """Attack with real rewards and steps of D‖Δ‖/2 from 1/1000 to 4."""
    evidence = gather(inequalities.CURVATURE_IN_BALL_BY_STD, "real", budget)
    longer = attack(inequalities.CURVATURE_IN_BALL_BY_STD_AT_LN2, "real", budget, shapes=BOTH_POINTS)
    return judge_upper(evidence, f"reached for short steps; at s = ln 2 {longer.ratio:.3f} of it is.")


@CLAIMS.claim(
    id="L4",
    statement="""For any rewards: |J_x(θ + Δ) − J_x(θ) − ⟨∇J_x(θ), Δ⟩| ≤ σ(θ) ψ(s), s = D‖PΔ‖/2,
    ψ(s) = eˢ − 1 − s.""",
    source="Ours, theory L4",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_linear_model_errs_by_at_most_psi_of_the_step",
    figure="std_ball",
    proofs=["L4"],
)
def l4(budget: Budget) -> Outcome:
    """Attack with real rewards and s from 1/1000 to 4."""
    evidence = gather(inequalities.REMAINDER, "real", budget)
    return judge_upper(
        evidence, "reached for short steps, where it is L2; L4-ln2 has the gap at a longer one."
    )


@CLAIMS.claim(
    id="L4-ln2",
    statement="L4 at s = ln 2, the longest step that GRPO's certificate (theory T1) allows.",
    source="Ours, theory L4",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_nine_tenths_of_the_remainder_are_reached_at_ln_2",
    figure="std_ball",
    proofs=["L4"],
)
def l4_ln2(budget: Budget) -> Outcome:
    """Attack with real rewards and s = ln 2 exactly."""
    evidence = gather(inequalities.REMAINDER_AT_LN2, "real", budget)
    return judge_upper(evidence, f"{evidence.ratio:.3f} of it is reached.")


@CLAIMS.claim(
    id="C1",
    statement="""For rewards in {0, 1} and every θ: ‖∇²J_x‖ ≤ D² ℓ(q), q = min(p, 1 − p), with ℓ = q(1 − q)(1 − 2q) for
    q ≤ 1/4 and (1 − q)/8 for q ≥ 1/4, reached at every q.""",
    source="Ours, theory C1",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_binary_curvature_is_bounded_by_the_profile_and_reaches_it",
    figure="curvature_vs_std",
    proofs=["C1", "C1-order"],
)
def c1(budget: Budget) -> Outcome:
    """Attack at fixed success probabilities on both branches, and freely."""
    return _profile(inequalities.CURVATURE_BY_SUCCESS, "binary", BINARY_PROFILE, "q", budget)


@CLAIMS.claim(
    id="C1-one-correct",
    statement="""With one correct response (A1) and every θ: ‖∇²J_x‖ ≤ D² ℓ₁(p), with ℓ₁ = p(1 − p) max(1 − 2p, 1/4) for
    p ≤ 1/2 and ℓ(1 − p) for p ≥ 1/2, reached at every p. It is below C1 where 1/4 < p < 1/2.""",
    source="Ours, C1 under A1",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_one_correct_response_leaves_a_gap_below_one_half",
    figure="curvature_vs_std",
    proofs=["C1-A1"],
)
def c1_one_correct(budget: Budget) -> Outcome:
    """Attack at fixed success probabilities on both sides of 1/2, and say how far C1 itself is from reached."""
    outcome = _profile(
        inequalities.CURVATURE_BY_SUCCESS_OF_ONE, "one_correct", ONE_CORRECT_PROFILE, "p", budget
    )
    gap = [
        attack(
            inequalities.CURVATURE_BY_SUCCESS, "one_correct", budget, shapes=PROFILE_SHAPES, success=p
        ).ratio
        for p in ONE_CORRECT_PROFILE
    ]
    at = int(np.argmin(gap))
    told = f"of C1 itself {gap[at]:.3f} at p = {ONE_CORRECT_PROFILE[at]:g}, the least"
    return replace(outcome, reason=f"{outcome.reason.rstrip('.')}; {told}.")


@CLAIMS.claim(
    id="C1-max",
    statement="For rewards in {0, 1} and every θ: ‖∇²J_x‖ ≤ D²/(6√3) (≤ X²/(3√3)), so J_x is that smooth.",
    source="Ours, theory C1, its maximum",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_smoothness_is_the_maximum_of_the_profile",
    figure="curvature_vs_std",
    proofs=["C1-maximum"],
)
def c1_max(budget: Budget) -> Outcome:
    """Attack with binary rewards."""
    evidence = gather(inequalities.CURVATURE_EVERYWHERE_BY_DIAMETER, "binary", budget)
    return judge_upper(evidence, f"worst {_at_q(evidence)}.")


def _profile(
    inequality: Inequality, rewards: RewardChoice, dial: Sequence[float], symbol: str, budget: Budget
) -> Outcome:
    parts = [attack(inequality, rewards, budget, shapes=PROFILE_SHAPES, success=value) for value in dial]
    free = [try_random(inequality, rewards, budget), attack(inequality, rewards, budget)]
    least = min(part.ratio for part in parts)
    tried = ", ".join(f"{value:g}" for value in dial)
    return judge_profile(
        parts, worst(free), f"of the bound, {least:.4f} at least is reached at each {symbol} = {tried}."
    )


def _at_q(evidence: Evidence) -> str:
    place = rarer_success(evidence)
    return f"{'as' if '→' in place else 'at'} {place}"


def _at_std(evidence: Evidence) -> str:
    return f"at {reward_std(evidence)}"
