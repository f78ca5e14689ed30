"""Assumptions 3 to 5 of the paper: what they admit along a run, and the paper's own table beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.assumptions import check_cross_prompt
from curvature.bandit import LogLinearBandit
from curvature.bounds import expected_run, paper, smallest_variance_bound
from curvature.geometry import spectral_norm
from curvature.ledger.evidence import Evidence, worst
from curvature.ledger.registry import CLAIMS
from curvature.ledger.theorem_runs import compare, orthogonal_bandits
from curvature.ledger.verdicts import Outcome, judge_identity, judge_upper
from curvature.moments import moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.ledger.budget import Budget

    Array = NDArray[np.float64]

SECTION = "Sections 3.2–4.2 — Assumptions 3 to 5"
TESTS = "tests/theory/test_section_theorems.py"

# Table 3 of arXiv:2601.23135v1: step, share of pairs with cos > 0, share with |cos| < .1, M.
TABLE_3 = ((0, 0.505, 0.977, 89.0), (260, 0.727, 0.803, 250.0), (500, 0.664, 0.524, 418.0))
# The two prompts' gradients have an inner product of −1/16 at θ = 0, a cosine of −1/4.
APART = LogLinearBandit(LogLinearBandit.two_arm([0.5, 0.5], overlap=0.25).features, [[1, 0], [0, 1]])
_SEQUENCE = 5


@CLAIMS.claim(
    id="A3",
    statement="""For n ≥ 2 prompts a deterministic C_{i,t} as A3 has it, and as the proof takes expectations with,
    can be below σ_i(θ₀) for some i and t: without that C(i,T) does not fall as a prompt is learned.""",
    source="Assumption 3, arXiv:2601.23135v1",
    section=SECTION,
    kind="assumption",
    test=f"{TESTS}::test_assumption_3_admits_no_bound_below_the_first_std",
)
def a3(budget: Budget) -> Outcome:
    """Follow every sequence of sampled prompts and count the prompts and times with a smaller C."""
    tried, met, lowest = 0, 0, np.inf
    for bandit, theta in orthogonal_bandits(budget):
        if bandit.num_prompts < 2 or bandit.num_prompts > 3:
            continue
        std = std_of_all_sequences(bandit, theta, _SEQUENCE)
        smallest = np.array([level.max(axis=0) for level in std])
        tried += smallest[1:].size
        met += int((smallest[1:] < std[0][0] * (1 - 1e-12)).sum())
        lowest = min(lowest, *(float((level.min(axis=0) / std[0][0]).min()) for level in std))
    return judge_upper(
        Evidence(np.nan, np.nan, 0.0, met),
        f"none of {tried} cases, all sequences of {_SEQUENCE} steps: a prompt is left out with probability (1 "
        f"− 1/n)^t > 0, and then σ_i(θ_t) = σ_i(θ₀), though σ falls to {lowest:.2g} of it where it is sampled. "
        "C(i,T) ≥ (8/3)σ_i(θ₀).",
        report_looseness=False,
    )


@CLAIMS.claim(
    id="A3-smallest",
    statement="""Under A2 the smallest C_{i,t} that A3 admits is max_{k≤t} σ_i after k updates of the prompt's own if
    n ≥ 2, and σ_i(θ_t) if n = 1.""",
    source="Ours, theory I.3.3, on Assumption 3",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_smallest_bound_of_assumption_3_is_the_largest_std_of_all_sequences",
)
def a3_smallest(budget: Budget) -> Outcome:
    """Compare with the largest std over all sequences of sampled prompts, followed one by one."""
    errors = []
    for bandit, theta in orthogonal_bandits(budget):
        if bandit.num_prompts > 3:
            continue
        run = expected_run(bandit, "grpo", _SEQUENCE, theta0=theta)
        smallest = smallest_variance_bound(run.own_reward_std, bandit.num_prompts)
        followed = [level.max(axis=0) for level in std_of_all_sequences(bandit, theta, _SEQUENCE)]
        errors.append(float(np.abs(smallest - followed).max()))
    factor = float(paper.theorem_3_2(2, 0.5, 1.0, [0.5]).std_factor)
    return judge_identity(
        max(errors),
        1e-9,
        len(errors),
        f"a prompt that starts at σ = 1/2 keeps C(i,T) = {factor:.4g} > 1 for every T; one of p₀ < 1/2 may "
        "come to 1/2.",
    )


@CLAIMS.claim(
    id="A4",
    statement="""A4 holds throughout training (Table 3): no pair of prompts has ⟨∇J_i, ∇J_j⟩ ≤ 0, unless X_i∇J_j
    = 0.""",
    source="Assumption 4, section 4.2 and Table 3, arXiv:2601.23135v1",
    section=SECTION,
    kind="assumption",
    test=f"{TESTS}::test_one_opposing_pair_refutes_assumption_4",
)
def a4(budget: Budget) -> Outcome:
    """Check on random bandits that an opposing pair makes M infinite, and count such pairs in the paper's table."""
    opposing, finite = 0, 0
    rng = budget.generator("A4")
    for _ in range(max(20, budget.instances // 20)):
        n, K, d = int(rng.integers(2, 5)), int(rng.integers(2, 5)), int(rng.integers(1, 6))
        bandit = LogLinearBandit.gaussian(n, K, d, rewards="one_correct", seed=int(rng.integers(2**32)))
        theta = rng.standard_normal(d)
        gradient = moments(bandit, theta).gradient
        if (gradient @ gradient.T).min() < 0:
            opposing += 1
            finite += int(np.isfinite(check_cross_prompt(bandit, theta).constant))
    shares = [1 - positive for _, positive, _, _ in TABLE_3]
    witness = {
        "bandit": APART.to_dict(),
        "theta": [0.0] * APART.dimension,
        "M": str(check_cross_prompt(APART, np.zeros(APART.dimension)).constant),
        "Table 3, share of pairs with cos ≤ 0 at steps 0, 260, 500": [round(share, 3) for share in shares],
    }
    table = compare(shares, 0.0, unit="of the pairs", witness=lambda at: witness)
    return judge_upper(
        worst([table, compare([finite] * opposing, 0.0)]),
        f"{min(shares):.1%} to {max(shares):.1%} of the pairs in the paper's table have a cosine ≤ 0; of {opposing} "
        f"random bandits with an opposing pair {finite} have a finite M. That some X_i∇J_j are 0 the paper "
        "does not say.",
    )


@CLAIMS.claim(
    id="A4-table",
    statement="Throughout training M < 10.",
    source="Section 4.2 against Table 3 and appendix F.1, arXiv:2601.23135v1",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_text_of_section_4_2_is_not_what_table_3_says",
)
def a4_table(budget: Budget) -> Outcome:
    """Set the text beside the table."""
    evidence = compare(
        [M for *_, M in TABLE_3],
        10.0,
        witness=lambda at: {"step": TABLE_3[at[0]][0], "M in Table 3": TABLE_3[at[0]][3]},
    )
    told = ", ".join(f"{M:g}" for *_, M in TABLE_3)
    return judge_upper(evidence, f"Table 3 has {told}; appendix F.1 has M ≈ 418 < 500.")


@CLAIMS.claim(
    id="A4-cosines",
    statement="""At step 0 over 80 % of the pairs have |cos| < .1 (section 4.2), and over 90 % in phase I
    (section 4.4).""",
    source="Sections 4.2 and 4.4 against Table 3, arXiv:2601.23135v1",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_text_of_section_4_2_is_not_what_table_3_says",
)
def a4_cosines(budget: Budget) -> Outcome:
    """Set the text beside the table."""
    evidence = compare([0.8, 0.9], TABLE_3[0][2], unit="of the pairs")
    later = [share for _, _, share, _ in TABLE_3[1:]]
    return judge_upper(
        evidence,
        f"Table 3 has {TABLE_3[0][2]:.1%} at step 0, and {later[0]:.1%} and {later[1]:.1%} at steps 260 and 500.",
        report_looseness=False,
    )


@CLAIMS.claim(
    id="A5",
    statement="""One R₂ (and R₁) of A5 serves a run of any length: the constants of its first 100 updates hold for
    the next 900.""",
    source="Assumption 5, arXiv:2601.23135v1",
    section=SECTION,
    kind="assumption",
    test=f"{TESTS}::test_constants_of_assumption_5_grow_with_the_run",
)
def a5(budget: Budget) -> Outcome:
    """Update one prompt of two again and again, as a run does with positive probability, and take both ratios."""
    bandit = LogLinearBandit.two_arm([0.5, 0.5])
    X = float(spectral_norm(bandit).max())
    run = expected_run(bandit, "grpo", 1000, step=1 / (2 * X**2))
    parts = []
    for name, path in (("R₂", run.own_reward_std[:, 0]), ("R₁", run.own_gradient_norm[:, 0])):
        ratios = np.maximum.accumulate(np.maximum(path[0] / path, path / path[0]))
        witness = {
            "bandit": bandit.to_dict(),
            "theta": [0.0, 0.0],
            "sampled": "prompt 0 always",
            "constant": name,
        }
        parts.append(compare(ratios[-1:], ratios[100], witness=lambda _, told=witness: told))
    return judge_upper(
        worst(parts),
        f"R₂ is {parts[0].bound:.3g} and R₁ {parts[1].bound:.3g} after 100 updates of the one prompt, "
        f"{parts[0].measured:.3g} and {parts[1].measured:.3g} after 1,000: both grow without bound as a prompt "
        "is learned. (A sequence of positive probability.) Along a given finite run both exist.",
    )


def std_of_all_sequences(bandit: LogLinearBandit, theta: Array, num_steps: int) -> list[Array]:
    """Follow Algorithm 2 at η = 1/(2X²) through every sequence of sampled prompts.

    Ours. Kind: simulation.

    Parameters
    ----------
    bandit : LogLinearBandit
        Of n prompts.
    theta : ndarray, shape (d,)
        θ₀.
    num_steps : int
        T.

    Returns
    -------
    list of ndarray
        σ_i(θ_t) for t = 0 … T, each of shape (n^t, n).
    """
    step = 0.5 / float(spectral_norm(bandit).max()) ** 2
    thetas, levels = theta[None], []
    for _ in range(num_steps + 1):
        at = moments(bandit, thetas)
        levels.append(at.reward_std)
        moves = step * at.gradient / at.reward_std[..., None]
        thetas = (thetas[:, None, :] + moves).reshape(-1, bandit.dimension)
    return levels
