"""Appendix B of the paper: the explicit updates of REINFORCE and GRPO."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.bandit import LogLinearBandit
from curvature.ledger.identities import (
    TOLERANCE,
    complex_step_scores,
    log_policy,
    moderate_instances,
    relative_error,
)
from curvature.ledger.registry import CLAIMS
from curvature.ledger.verdicts import Outcome, judge_identity, judge_repair
from curvature.moments import moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.ledger.budget import Budget

SECTION = "Appendix B — the updates written out"
TESTS = "tests/theory/test_section_b.py"


@CLAIMS.claim(
    id="eq-10",
    statement="REINFORCE moves θ along ∇J_i = X_iᵀ(diag π − ππᵀ)r_i, for any rewards.",
    source="Eq. (10), arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_reinforce_update_is_the_covariance_of_features_and_rewards",
    proofs=["eq-5"],
)
def eq_10(budget: Budget) -> Outcome:
    """Compare the matrix form, the policy gradient by complex steps, and the exact gradient."""
    errors, count = [], 0
    for bandit, theta in moderate_instances("real", budget):
        π = np.exp(log_policy(bandit, theta))
        covariance = π[:, :, None] * np.eye(bandit.num_responses) - π[:, :, None] * π[:, None, :]
        printed = np.einsum("nkd,nkl,nl->nd", bandit.features, covariance, bandit.rewards)
        derivative = np.einsum("nk,nkd->nd", π * bandit.rewards, complex_step_scores(bandit, theta))
        exact = moments(bandit, theta).gradient
        errors += [relative_error(printed, derivative), relative_error(printed, exact)]
        count += bandit.num_prompts
    return judge_identity(
        float(np.max(errors)), TOLERANCE, count, "agrees with complex steps and with Cov(r, φ)."
    )


def reinforce_direction(bandit: LogLinearBandit, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute p(1 − p)x_a − p Σ_{j≠a} π_j x_j: eq. (11) with its parenthesis closed after 1 − p.

    Implements eq. (11) as repaired, arXiv:2601.23135v1. Kind: identity.

    Parameters
    ----------
    bandit : LogLinearBandit
        One correct response a prompt.
    theta : ndarray, shape (d,)
        Parameters.

    Returns
    -------
    ndarray, shape (n, d)
        The direction of the update of each prompt.
    """
    p, x, others = _success_and_parts(bandit, theta)
    return p * (1 - p) * x - p * others


def printed_reinforce_direction(bandit: LogLinearBandit, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute p(1 − p x_a − p Σ_{j≠a} π_j x_j): eq. (11) with its parenthesis closed at the end of the line.

    Implements eq. (11) as printed, arXiv:2601.23135v1. Kind: identity.

    Parameters
    ----------
    bandit : LogLinearBandit
        One correct response a prompt, dimension 1: the 1 is a number and x_a a vector.
    theta : ndarray, shape (1,)
        Parameter.

    Returns
    -------
    ndarray, shape (n, 1)
        The direction of the update of each prompt.
    """
    p, x, others = _success_and_parts(bandit, theta)
    return p * (1 - p * x - p * others)


def _success_and_parts(
    bandit: LogLinearBandit, theta: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Return p, (n, 1); x_a, (n, d); and Σ_{j≠a} π_j x_j, (n, d)."""
    π = np.exp(log_policy(bandit, theta))
    p = (π * bandit.rewards).sum(axis=1, keepdims=True)
    x = np.einsum("nk,nkd->nd", bandit.rewards, bandit.features)
    others = np.einsum("nk,nkd->nd", π * (1 - bandit.rewards), bandit.features)
    return p, x, others


@CLAIMS.claim(
    id="eq-11",
    statement="""Under A1 REINFORCE moves θ along (p(1 − p x_a − p Σ_{j≠a} π_j x_j), one parenthesis of which is never
    closed (in the converted text that was read here).""",
    source="Eq. (11), arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_printed_reinforce_update_lacks_a_parenthesis",
    proofs=["eq-5"],
)
def eq_11(budget: Budget) -> Outcome:
    """Compare both readings to the exact gradient; the printed one has a meaning at d = 1 only."""
    repaired, count = [], 0
    for bandit, theta in moderate_instances("one_correct", budget):
        repaired.append(relative_error(reinforce_direction(bandit, theta), moments(bandit, theta).gradient))
        count += bandit.num_prompts
    line = LogLinearBandit.two_arm([0.2], diameter=2.0)
    at_zero = np.zeros(1)
    exact, printed = moments(line, at_zero).gradient, printed_reinforce_direction(line, at_zero)
    return judge_repair(
        relative_error(printed, exact),
        float(np.max(repaired)),
        TOLERANCE,
        count + 1,
        f"closed at the end it subtracts a vector from the number 1 (and at d = 1 gives {printed[0, 0]:.2f} for "
        f"{exact[0, 0]:.2f}); closed after 1 − p it is ∇J.",
        {"bandit": line.to_dict(), "theta": [0.0], "printed": float(printed[0, 0]), "∇J": float(exact[0, 0])},
    )


@CLAIMS.claim(
    id="eq-12",
    statement="Under A1 GRPO moves θ along √(p(1 − p)) x_a − √(p/(1 − p)) Σ_{j≠a} π_j x_j, for 0 < p < 1.",
    source="Eq. (12), arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_grpo_update_is_the_gradient_over_the_std",
    proofs=["eq-5"],
)
def eq_12(budget: Budget) -> Outcome:
    """Compare the printed update to the exact gradient divided by the exact std."""
    errors, count = [], 0
    for bandit, theta in moderate_instances("one_correct", budget):
        p, x, others = _success_and_parts(bandit, theta)
        printed = np.sqrt(p * (1 - p)) * x - np.sqrt(p / (1 - p)) * others
        at = moments(bandit, theta)
        errors.append(relative_error(printed, at.gradient / at.reward_std[:, None]))
        count += bandit.num_prompts
    return judge_identity(float(np.max(errors)), TOLERANCE, count, "equals ∇J divided by σ.")
