"""Appendix D of the paper: what orthogonality gives, and the length of a GRPO step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.ledger import inequalities
from curvature.ledger.evidence import gather
from curvature.ledger.identities import TOLERANCE
from curvature.ledger.registry import CLAIMS
from curvature.ledger.section_3 import gradient_gram, largest_off_diagonal, orthogonal_instances
from curvature.ledger.verdicts import Outcome, judge_identity, judge_upper
from curvature.moments import moments

if TYPE_CHECKING:
    from curvature.ledger.budget import Budget

SECTION = "Appendix D — convergence under orthogonality, first steps"
TESTS = "tests/theory/test_section_d.py"


@CLAIMS.claim(
    id="lemma-D.1",
    statement="Under A1 and A2, for i ≠ j and every θ: ⟨∇J_i(θ), ∇J_j(θ)⟩ = 0.",
    source="Lemma D.1 (17), arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_gradients_of_orthogonal_prompts_are_orthogonal",
    proofs=["Lemma D.1", "eq-5"],
)
def lemma_d_1(budget: Budget) -> Outcome:
    """Form the Gram matrix of gradients of rotated orthogonal bandits."""
    errors = [
        largest_off_diagonal(gradient_gram(bandit, theta))
        for bandit, theta in orthogonal_instances(budget, rotated=True)
    ]
    return judge_identity(float(np.max(errors)), TOLERANCE, len(errors), "in units of the largest ‖∇J_i‖².")


@CLAIMS.claim(
    id="eq-18",
    statement="""Under A1 and A2 an update along ∇J_i, of any length, leaves J_l unchanged for every l ≠ i.""",
    source="Eqs (18) and (21), arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_update_of_one_prompt_leaves_orthogonal_prompts_unchanged",
    proofs=["Lemma D.1", "eq-5"],
)
def eq_18(budget: Budget) -> Outcome:
    """Take a step of length 1/10 to 10 along each prompt's gradient and compare all the other prompts' J."""
    rng = budget.generator("eq-18")
    errors, moved = [], []
    for bandit, theta in orthogonal_instances(budget, rotated=True):
        at = moments(bandit, theta)
        length = np.linalg.norm(at.gradient, axis=-1, keepdims=True)
        steps = theta + at.gradient / length * 10 ** rng.uniform(-1, 1, length.shape)
        after = moments(bandit, steps).expected_reward
        change = np.abs(after - at.expected_reward)
        errors.append(largest_off_diagonal(change))
        moved.append(float(np.diag(change).min()))
    return judge_identity(
        float(np.max(errors)),
        TOLERANCE,
        len(errors),
        f"the prompt updated gains at least {min(moved):.1g}, the others change by rounding.",
    )


@CLAIMS.claim(
    id="d3-step",
    statement="Under A1 a GRPO step with η = 1/(2X²) stays in the ball of Lemma 3.3: ‖η∇J/σ‖ ≤ σ/X.",
    source="Appendix D.3, second display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_grpo_step_stays_in_the_ball",
    proofs=["Theorem 3.2", "Lemma 3.2"],
)
def d3_step(budget: Budget) -> Outcome:
    """Attack the length of the step."""
    evidence = gather(inequalities.GRPO_STEP_LENGTH, "one_correct", budget, uniform_base=True)
    return judge_upper(evidence, f"no step found is longer than {evidence.ratio:.4f} of the radius.")
