"""Section 3 of the paper: Lemmas 3.1 to 3.3, and the assumption of orthogonal representations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.bandit import LogLinearBandit
from curvature.ledger import inequalities
from curvature.ledger.evidence import Evidence, gather, rarer_success
from curvature.ledger.identities import TOLERANCE
from curvature.ledger.registry import CLAIMS
from curvature.ledger.verdicts import Outcome, judge_identity, judge_needed, judge_upper
from curvature.moments import moments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from curvature.ledger.budget import Budget

SECTION = "Section 3 — local smoothness and orthogonality"
TESTS = "tests/theory/test_section_3.py"


@CLAIMS.claim(
    id="lemma-3.1-variance",
    statement="Under A1, for every θ: ‖∇²J_i(θ)‖ ≤ 4 X² p(1 − p).",
    source="Lemma 3.1 (7), arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_curvature_is_at_most_four_times_the_variance",
    figure="curvature_vs_std",
    proofs=["Lemma 3.1"],
)
def lemma_3_1_variance(budget: Budget) -> Outcome:
    """Attack (7) with one correct response."""
    evidence = gather(inequalities.CURVATURE_BY_VARIANCE, "one_correct", budget, uniform_base=True)
    return judge_upper(evidence, f"worst {where_q(evidence)}.")


@CLAIMS.claim(
    id="lemma-3.1-smooth",
    statement="Under A1, for every θ: ‖∇²J_i(θ)‖ ≤ X², so J_i is X²-smooth.",
    source="Lemma 3.1 (8), arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_smoothness_is_at_most_the_squared_spectral_norm",
    figure="curvature_vs_std",
    proofs=["Lemma 3.1"],
)
def lemma_3_1_smooth(budget: Budget) -> Outcome:
    """Attack (8) with one correct response."""
    evidence = gather(inequalities.CURVATURE_EVERYWHERE, "one_correct", budget, uniform_base=True)
    return judge_upper(evidence, f"worst {where_q(evidence)}.")


@CLAIMS.claim(
    id="A2",
    statement="""A2 (X_iX_jᵀ = 0 for i ≠ j) is met exactly by LogLinearBandit.orthogonal, for every number of
    prompts, responses and ranks.""",
    source="Assumption 2, arXiv:2601.23135v1",
    section=SECTION,
    kind="assumption",
    test=f"{TESTS}::test_orthogonal_bandits_satisfy_a2",
)
def a2(budget: Budget) -> Outcome:
    """Form X_iX_jᵀ for all pairs of prompts of many orthogonal bandits."""
    errors = [
        largest_cross_product(bandit.features) for bandit, _ in orthogonal_instances(budget, rotated=False)
    ]
    return judge_identity(
        float(np.max(errors)), 0.0, len(errors), "each prompt has coordinates of its own: the products are 0."
    )


# Two prompts with the same two features, and the same response right: they pull θ the same way.
SHARED = LogLinearBandit([[[1.0], [0.0]], [[1.0], [0.0]]], [[1, 0], [1, 0]])


@CLAIMS.claim(
    id="A2-needed",
    statement="""Orthogonality is needed: ⟨∇J_i, ∇J_j⟩ = 0 (Lemma D.1) holds under A2 and fails for prompts that
    share features.""",
    source="Assumption 2, arXiv:2601.23135v1",
    section=SECTION,
    kind="assumption",
    test=f"{TESTS}::test_gradients_of_prompts_that_share_features_are_not_orthogonal",
)
def a2_needed(budget: Budget) -> Outcome:
    """Compare inner products of gradients under A2, and for two prompts with equal features, to rounding."""
    gram = [gradient_gram(bandit, theta) for bandit, theta in orthogonal_instances(budget, rotated=True)]
    kept = max(largest_off_diagonal(matrix) for matrix in gram)
    shared = largest_off_diagonal(gradient_gram(SHARED, np.zeros(1)))
    witness = {"bandit": SHARED.to_dict(), "theta": [0.0], "inner product of gradients": shared}
    return judge_needed(
        Evidence(kept, TOLERANCE, kept / TOLERANCE, len(gram)),
        Evidence(shared, TOLERANCE, shared / TOLERANCE, 1, "largest ‖∇J‖²", witness),
        f"two prompts with the features 1 and 0 each: the inner product is {shared:g}; the bound is rounding.",
    )


@CLAIMS.claim(
    id="A2-shift",
    statement="""A2 depends on where features have their origin although the policy does not: adding a vector to
    all features of a prompt leaves π and ∇J unchanged and breaks A2. P_iP_j = 0 (orthogonal spans of feature
    differences) is unchanged by shifts, and is all that Lemma D.1 needs.""",
    source="Ours, on Assumption 2, arXiv:2601.23135v1",
    section=SECTION,
    kind="assumption",
    test=f"{TESTS}::test_shifting_features_breaks_a2_and_not_its_conclusion",
)
def a2_shift(budget: Budget) -> Outcome:
    """Shift the features of orthogonal bandits; compare A2, the policy and Lemma D.1 before and after."""
    rng = budget.generator("A2-shift")
    same, broken = [], []
    for bandit, theta in orthogonal_instances(budget, rotated=True):
        shift = rng.standard_normal((bandit.num_prompts, 1, bandit.dimension))
        moved = LogLinearBandit(bandit.features + shift, bandit.rewards, bandit.base_logits)
        change = np.abs(moments(moved, theta).probabilities - moments(bandit, theta).probabilities).max()
        same.append(max(float(change), largest_off_diagonal(gradient_gram(moved, theta))))
        broken.append(largest_cross_product(moved.features))
    kept, cross = max(same), min(broken)
    return judge_needed(
        Evidence(kept, TOLERANCE, kept / TOLERANCE, len(same)),
        Evidence(cross, TOLERANCE, cross / TOLERANCE, len(broken), "largest ‖x‖²"),
        f"after a random shift the largest entry of X_iX_jᵀ is at least {cross:.3g} in every instance; changes of π "
        "and inner products of gradients are rounding.",
    )


@CLAIMS.claim(
    id="lemma-3.2",
    statement="Under A1, for every θ: ‖∇J_i(θ)‖ ≤ X/2, so J_i is (X/2)-Lipschitz.",
    source="Lemma 3.2, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_gradient_is_at_most_half_the_spectral_norm",
    proofs=["Lemma 3.2"],
)
def lemma_3_2(budget: Budget) -> Outcome:
    """Attack the Lipschitz constant with one correct response."""
    evidence = gather(inequalities.GRADIENT_EVERYWHERE, "one_correct", budget, uniform_base=True)
    return judge_upper(evidence, f"worst {where_q(evidence)}.")


@CLAIMS.claim(
    id="lemma-3.3",
    statement="Under A1: ‖∇²J_i(θ')‖ ≤ (5/2) X² √(p(1 − p)) at θ, whenever ‖θ' − θ‖ ≤ √(p(1 − p))/X.",
    source="Lemma 3.3, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_curvature_in_the_ball_is_at_most_five_halves_of_the_std",
    figure="std_ball",
    proofs=["Lemma 3.3"],
)
def lemma_3_3(budget: Budget) -> Outcome:
    """Attack with one correct response and a displacement anywhere in the ball."""
    evidence = gather(inequalities.CURVATURE_IN_BALL, "one_correct", budget, uniform_base=True)
    return judge_upper(evidence, f"worst {where_q(evidence)} at the centre of the ball.")


def where_q(evidence: Evidence) -> str:
    """Return "at q = …" or "as q → 0" for the worst instance."""
    place = rarer_success(evidence)
    return f"{'as' if '→' in place else 'at'} {place}"


def orthogonal_instances(
    budget: Budget, *, rotated: bool
) -> Iterator[tuple[LogLinearBandit, NDArray[np.float64]]]:
    """Draw bandits that satisfy A2, with a θ.

    Ours. Kind: evidence.

    Parameters
    ----------
    budget : Budget
        A hundredth of its instances are drawn, at least 6.
    rotated : bool
        Whether to rotate the space, so that the prompts do not have coordinates of their own.

    Yields
    ------
    tuple of (LogLinearBandit, ndarray of shape (d,))
        Two to five prompts, two to six responses, any rank, one correct response a prompt.
    """
    rng = budget.generator(f"orthogonal instances, rotated {rotated}")
    for _ in range(max(6, budget.instances // 100)):
        n, K = int(rng.integers(2, 6)), int(rng.integers(2, 7))
        options: dict[str, Any] = {"rank": int(rng.integers(1, K)), "seed": int(rng.integers(2**32))}
        bandit = LogLinearBandit.orthogonal(n, K, diameter=10 ** rng.uniform(-1, 1), **options)
        if rotated:
            rotation = np.linalg.qr(rng.standard_normal((bandit.dimension, bandit.dimension)))[0]
            bandit = LogLinearBandit(bandit.features @ rotation, bandit.rewards, rng.standard_normal((n, K)))
        yield bandit, rng.standard_normal(bandit.dimension)


def largest_cross_product(features: NDArray[np.float64]) -> float:
    """Return the largest entry of X_iX_jᵀ over i ≠ j, in units of the largest feature norms squared."""
    n = len(features)
    products = np.abs(np.einsum("ikd,jld->ijkl", features, features)).max(axis=(2, 3))
    products[np.arange(n), np.arange(n)] = 0.0
    return float(products.max() / np.linalg.norm(features, axis=-1).max() ** 2)


def gradient_gram(bandit: LogLinearBandit, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [⟨∇J_i, ∇J_j⟩] in units of the largest squared gradient norm, shape (n, n)."""
    gradient = moments(bandit, theta).gradient
    gram = gradient @ gradient.T
    return gram / np.max(np.diag(gram))


def largest_off_diagonal(matrix: NDArray[np.float64]) -> float:
    """Return the largest absolute entry off the diagonal."""
    return float(np.abs(matrix - np.diag(np.diag(matrix))).max())
