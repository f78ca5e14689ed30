"""Appendix C of the paper: the steps and constants in the proofs of Lemmas 3.1 and 3.3."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from curvature.ledger import inequalities
from curvature.ledger.evidence import Evidence, gather, rarer_success
from curvature.ledger.identities import TOLERANCE, log_policy, moderate_instances, relative_error
from curvature.ledger.registry import CLAIMS
from curvature.ledger.verdicts import Outcome, judge_identity, judge_profile, judge_upper
from curvature.moments import hessian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.bandit import LogLinearBandit
    from curvature.ledger.budget import Budget

SECTION = "Appendix C — proofs of Lemmas 3.1 and 3.3"
TESTS = "tests/theory/test_section_c.py"

# Where the second case of the proof of Lemma 3.3 begins: the interval around a reaches 1/2.
CASE_BOUNDARY = 0.5 - sqrt(5) / 10


@CLAIMS.claim(
    id="eq-13",
    statement="yᵀ∇²J y = (Hr)ᵀ(Xy ⊙ Xy) − 2 (Hr)ᵀ(Xy) · πᵀXy with H = diag π − ππᵀ, for any rewards.",
    source="Appendix C.1, before eq. (13), arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_hessian_form_of_the_proof_is_the_hessian",
    proofs=["Lemma 3.1"],
)
def eq_13(budget: Budget) -> Outcome:
    """Compare the quadratic form to the exact Hessian along a random direction a prompt."""
    rng = budget.generator("eq-13")
    errors, count = [], 0
    for bandit, theta in moderate_instances("real", budget):
        y = rng.standard_normal((bandit.num_prompts, bandit.dimension))
        exact = np.einsum("nd,nde,ne->n", y, hessian(bandit, theta), y)
        Xy = np.einsum("nkd,nd->nk", bandit.features, y)
        π, Hr = _policy_and_logit_gradient(bandit, theta)
        terms = np.stack(
            [(Hr * Xy**2).sum(axis=1), -2 * (Hr * Xy).sum(axis=1) * (π * Xy).sum(axis=1)], axis=1
        )
        # In units of the two terms, which may nearly cancel.
        errors.append(np.max(np.abs(terms.sum(axis=1) - exact) / np.abs(terms).max(axis=1)))
        count += bandit.num_prompts
    return judge_identity(float(np.max(errors)), TOLERANCE, count, "agrees with E[(r − J) φ̄φ̄ᵀ].")


@CLAIMS.claim(
    id="eq-14",
    statement="Under A1: ‖(diag π − ππᵀ) r‖_∞ = p(1 − p).",
    source="Eq. (14), arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_largest_logit_gradient_is_the_variance",
    proofs=["Lemma 3.1"],
)
def eq_14(budget: Budget) -> Outcome:
    """Compare the largest entry to the variance."""
    errors, count = [], 0
    for bandit, theta in moderate_instances("one_correct", budget):
        π, Hr = _policy_and_logit_gradient(bandit, theta)
        p = (π * bandit.rewards).sum(axis=1)
        errors.append(relative_error(np.abs(Hr).max(axis=1)[:, None], (p * (1 - p))[:, None]))
        count += bandit.num_prompts
    return judge_identity(
        float(np.max(errors)), TOLERANCE, count, "the correct response has the largest entry."
    )


@CLAIMS.claim(
    id="eq-15",
    statement="Under A1: ‖(diag π − ππᵀ) r‖₂ ≤ √2 p(1 − p).",
    source="Eq. (15), arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_logit_gradient_is_at_most_root_two_variances",
    proofs=["Lemma 3.1"],
)
def eq_15(budget: Budget) -> Outcome:
    """Attack √2."""
    evidence = gather(inequalities.LOGIT_GRADIENT_NORM, "one_correct", budget, uniform_base=True)
    return judge_upper(evidence, "equality wherever one wrong response has all of 1 − p.")


@CLAIMS.claim(
    id="eq-16",
    statement="Under A1, for every y: |yᵀ∇²J y| ≤ (2√2 + 1) p(1 − p) ‖Xy‖².",
    source="Eq. (16), arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_proof_constant_of_lemma_3_1_is_an_upper_bound",
    proofs=["Lemma 3.1"],
)
def eq_16(budget: Budget) -> Outcome:
    """Attack 2√2 + 1, with the worst y."""
    evidence = gather(inequalities.CURVATURE_PROOF_CONSTANT, "one_correct", budget, uniform_base=True)
    return judge_upper(
        evidence, "the two terms that the triangle inequality separates are not at their largest together."
    )


@CLAIMS.claim(
    id="c3-success",
    statement="Under A1: |p(θ') − p(θ)| ≤ √(p(1 − p))/2 whenever ‖θ' − θ‖ ≤ √(p(1 − p))/X, p being p(θ).",
    source="Appendix C.3, first display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_success_moves_by_at_most_half_a_std_in_the_ball",
    figure="std_ball",
    proofs=["Lemma 3.3-ball", "Lemma 3.2"],
)
def c3_success(budget: Budget) -> Outcome:
    """Attack with a displacement anywhere in the ball."""
    evidence = gather(inequalities.SUCCESS_IN_BALL, "one_correct", budget, uniform_base=True)
    return judge_upper(evidence, f"worst at {rarer_success(evidence)} at the centre of the ball.")


def largest_nearby_variance(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute f(a) = max of 4l(1 − l)/√(a(1 − a)) over |l − a| ≤ √(a(1 − a))/2, without the proof's case split.

    Implements Appendix C.3, arXiv:2601.23135v1. Kind: identity.

    Parameters
    ----------
    a : ndarray
        Success probabilities in (0, 1).

    Returns
    -------
    ndarray
        f, in the shape of a.

    Examples
    --------
    >>> largest_nearby_variance(np.array([0.1, 0.5])).round(12).tolist()
    [2.5, 2.0]
    """
    reach = np.sqrt(a * (1 - a)) / 2
    # 4l(1 − l) rises up to 1/2 and falls after it, so the best l is the point of the interval nearest to 1/2.
    nearest = np.clip(0.5, a - reach, a + reach)
    return 4 * nearest * (1 - nearest) / np.sqrt(a * (1 - a))


@CLAIMS.claim(
    id="c3-five-halves",
    statement="f(a) = max of 4l(1 − l)/√(a(1 − a)) over |l − a| ≤ √(a(1 − a))/2 is at most 5/2, attained at a = 1/10.",
    source="Appendix C.3, case 2, arXiv:2601.23135v1",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_five_halves_is_the_maximum_and_lies_at_one_tenth",
    proofs=["Lemma 3.3"],
)
def c3_five_halves(budget: Budget) -> Outcome:
    """Evaluate f on a grid of both cases, and at 1/10."""
    return _judge_maximum(0.0, 1.0, 0.1, 2.5, budget)


@CLAIMS.claim(
    id="c3-root-five",
    statement="For 1/2 − √5/10 ≤ a ≤ 1/2 (1/2 is in the interval) f(a) ≤ √5, attained at a = 1/2 − √5/10.",
    source="Appendix C.3, case 1, arXiv:2601.23135v1",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_root_five_is_the_maximum_where_the_interval_holds_one_half",
    proofs=["Lemma 3.3"],
)
def c3_root_five(budget: Budget) -> Outcome:
    """Evaluate f on a grid of case 1, and at its left end."""
    return _judge_maximum(CASE_BOUNDARY, 0.5, CASE_BOUNDARY, sqrt(5), budget)


def _judge_maximum(low: float, high: float, at: float, maximum: float, budget: Budget) -> Outcome:
    # Midpoints of equal cells: neither end, where f may be 0/0, is a point of the grid.
    cells = (np.arange(budget.instances) + 0.5) / budget.instances
    values = largest_nearby_variance(low + (high - low) * cells)
    top = float(values.max())
    there = float(largest_nearby_variance(np.array(at)))
    return judge_profile(
        [Evidence(there, maximum, there / maximum, 1)],
        Evidence(top, maximum, top / maximum, len(values)),
        f"measured at a = {at:.4f}; the largest value on a grid is {top:.4f}.",
    )


def _policy_and_logit_gradient(
    bandit: LogLinearBandit, theta: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return π and (diag π − ππᵀ)r, each (n, K)."""
    π = np.exp(log_policy(bandit, theta))
    return π, π * bandit.rewards - π * (π * bandit.rewards).sum(axis=1, keepdims=True)
