"""Section 2 of the paper: the advantage, its gradient, and the assumption of one correct answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from curvature.adversary import Inequality, WorstCase
from curvature.bandit import LogLinearBandit
from curvature.geometry import spectral_norm
from curvature.ledger import inequalities
from curvature.ledger.evidence import evidence_of, gather, worst
from curvature.ledger.identities import (
    TOLERANCE,
    complex_step_scores,
    log_policy,
    moderate_instances,
    relative_error,
)
from curvature.ledger.registry import CLAIMS
from curvature.ledger.verdicts import Outcome, judge_needed, judge_repair, judge_upper
from curvature.moments import moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.ledger.budget import Budget

SECTION = "Section 2 — setting"
TESTS = "tests/theory/test_section_2.py"

# Success probabilities 0 and 1: a policy that never, or always, answers right.
CERTAIN = LogLinearBandit.two_arm([0.0, 1.0])

LEMMAS = (
    inequalities.CURVATURE_BY_VARIANCE,
    inequalities.CURVATURE_EVERYWHERE,
    inequalities.GRADIENT_EVERYWHERE,
    inequalities.CURVATURE_IN_BALL,
)


def printed_advantages(
    bandit: LogLinearBandit, theta: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute π and A = (r − p)/√(p(1 − p)) as eq. (4) is printed.

    Implements eq. (4), arXiv:2601.23135v1. Kind: identity.

    Parameters
    ----------
    bandit : LogLinearBandit
        Binary rewards.
    theta : ndarray, shape (d,)
        Parameters.

    Returns
    -------
    tuple of two ndarray of shape (n, K)
        Probabilities and advantages; the latter NaN where p is 0 or 1.
    """
    probabilities = np.exp(log_policy(bandit, theta))
    p = (probabilities * bandit.rewards).sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return probabilities, np.where(bandit.mask, (bandit.rewards - p) / np.sqrt(p * (1 - p)), 0.0)


def standardisation_error(
    probabilities: NDArray[np.float64], A: NDArray[np.float64], *, variance: float
) -> float:
    """Return the larger of |E A| and |E A² − variance|, over all prompts; NaN if any A is."""
    mean = np.abs((probabilities * A).sum(axis=-1))
    square = np.abs((probabilities * A**2).sum(axis=-1) - variance)
    return float(np.max(np.maximum(mean, square)))


@CLAIMS.claim(
    id="eq-4",
    statement="""For every policy the advantage A = (r − p)/√(p(1 − p)) is defined and has mean 0 and variance 1
    under π_θ.""",
    source="Eq. (4), arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_advantage_is_standardised_where_it_is_defined",
    figure="advantage_presets",
    proofs=["eq-5"],
)
def eq_4(budget: Budget) -> Outcome:
    """Compute mean and variance of the printed advantage, also for policies that are certain."""
    errors, count = [], 0
    for bandit, theta in moderate_instances("one_correct", budget):
        errors.append(standardisation_error(*printed_advantages(bandit, theta), variance=1.0))
        count += bandit.num_prompts
    regular = _worst_error(*errors)
    probabilities, A = printed_advantages(CERTAIN, np.zeros(2))
    certain = standardisation_error(probabilities, A, variance=1.0)
    repaired = standardisation_error(probabilities, np.zeros_like(A), variance=0.0)
    return judge_repair(
        _worst_error(regular, certain),
        _worst_error(regular, repaired),
        TOLERANCE,
        count + CERTAIN.num_prompts,
        "A is 0/0 at p ∈ {0, 1}, which π of eq. (6) with K ≥ 2 avoids but a general π does not; with A = 0 "
        "there the advantage has mean 0, and variance 1 wherever p(1 − p) > 0.",
        {"bandit": CERTAIN.to_dict(), "theta": [0.0, 0.0], "reads": "A = 0/0 for both prompts"},
    )


@CLAIMS.claim(
    id="eq-5",
    statement="""For every policy the gradient that GRPO follows is E[A ∇ln π_θ] = ∇J_i/√(p(1 − p)).""",
    source="Eq. (5), arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_grpo_gradient_is_the_gradient_divided_by_the_std",
    proofs=["eq-5"],
)
def eq_5(budget: Budget) -> Outcome:
    """Compare E[A ∇ln π], with ∇ln π by complex steps, to the exact gradient divided by the exact std."""
    errors, count = [], 0
    for bandit, theta in moderate_instances("one_correct", budget):
        probabilities, A = printed_advantages(bandit, theta)
        left = np.einsum("nk,nkd->nd", probabilities * A, complex_step_scores(bandit, theta))
        at = moments(bandit, theta)
        errors.append(relative_error(left, at.gradient / at.reward_std[:, None]))
        count += bandit.num_prompts
    at = moments(CERTAIN, np.zeros(2))
    with np.errstate(invalid="ignore"):
        certain = at.gradient / at.reward_std[:, None]
    convention = np.where(at.reward_std[:, None] > 0, certain, 0.0)
    return judge_repair(
        _worst_error(*errors, relative_error(certain, convention)),
        _worst_error(*errors, relative_error(at.gradient, convention)),
        TOLERANCE,
        count + CERTAIN.num_prompts,
        "Both sides are 0/0 at p ∈ {0, 1}; there ∇J = 0, and with A = 0 both sides are 0.",
        {
            "bandit": CERTAIN.to_dict(),
            "theta": [0.0, 0.0],
            "reads": "∇J = 0 and p(1 − p) = 0 for both prompts",
        },
    )


@CLAIMS.claim(
    id="A1",
    statement="""A1 (one correct answer) can be weakened: Lemmas 3.1, 3.2 and 3.3 hold for any rewards in {0, 1}.""",
    source="Assumption 1, arXiv:2601.23135v1",
    section=SECTION,
    kind="assumption",
    test=f"{TESTS}::test_lemmas_hold_for_any_binary_rewards",
)
def a1(budget: Budget) -> Outcome:
    """Attack the four statements with every number of correct answers."""
    parts = {lemma.name: gather(lemma, "binary", budget) for lemma in LEMMAS}
    ratios = ", ".join(f"{name}: {part.ratio:.3f}" for name, part in parts.items())
    reason = f"worst ratio to each bound with several correct answers — {ratios}."
    top = worst(parts.values())
    return judge_upper(
        replace(top, measured=top.ratio, bound=1.0, unit="of its bound"), reason, report_looseness=False
    )


def scaled_reward_instance(scale: float = 0.01, success: float = 0.25) -> WorstCase:
    """Give two responses of rewards 0 and ``scale``: curvature falls with the scale, the variance with its square.

    Ours. Kind: counterexample.

    Parameters
    ----------
    scale : float
        The larger reward.
    success : float
        Its probability at θ = 0.

    Returns
    -------
    WorstCase
        With the ratio ‖∇²J‖/(4X² Var r), which is (1 − 2 success)/(2 scale).
    """
    arms = LogLinearBandit.two_arm([success])
    bandit = LogLinearBandit(arms.features, scale * arms.rewards, arms.base_logits)
    ratio = float(CURVATURE_BY_REWARD_VARIANCE.ratio(bandit, np.zeros(1))[0])
    return WorstCase(CURVATURE_BY_REWARD_VARIANCE.name, ratio, bandit, np.zeros(1), None, (), 1)


def _by_reward_variance(
    bandit: LogLinearBandit, theta: NDArray[np.float64], _: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    variance = moments(bandit, theta).reward_std ** 2  # p(1 − p) for rewards of 0 and 1
    return inequalities.curvature(bandit, theta), 4 * spectral_norm(bandit) ** 2 * variance


CURVATURE_BY_REWARD_VARIANCE = Inequality(
    "Lemma 3.1 (7) with Var r for p(1 − p)", _by_reward_variance, None, "spectral_norm", 4, "X² Var r"
)


@CLAIMS.claim(
    id="A1-needed",
    statement="""That rewards are 0 or 1 is needed: ‖∇²J‖ ≤ 4X² Var r holds for rewards in {0, 1} and fails for
    real ones.""",
    source="Assumption 1, arXiv:2601.23135v1",
    section=SECTION,
    kind="assumption",
    test=f"{TESTS}::test_variance_bound_fails_for_small_real_rewards",
)
def a1_needed(budget: Budget) -> Outcome:
    """Scale the rewards of two arms down until the bound breaks."""
    kept = gather(CURVATURE_BY_REWARD_VARIANCE, "binary", budget)
    found = scaled_reward_instance()
    dropped = evidence_of(CURVATURE_BY_REWARD_VARIANCE, found)
    scale = float(found.bandit.rewards.max())
    reason = (
        f"two responses of rewards 0 and {scale:g}: ‖∇²J‖ scales with the rewards, Var r with their square. "
        "Bounds in σ (L1–L4) scale as ‖∇²J‖ does and need no such assumption."
    )
    return judge_needed(kept, dropped, reason)


def _worst_error(*errors: float) -> float:
    return float(np.max(errors))  # unlike max, it passes a NaN on
