"""Theorems 3.1 and 3.2 of the paper, in every form, on exact expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.bandit import LogLinearBandit
from curvature.bounds import expected_run, paper, smallest_variance_bound
from curvature.ledger.evidence import Evidence, worst
from curvature.ledger.registry import CLAIMS
from curvature.ledger.step_evidence import attack_step
from curvature.ledger.theorem_runs import TWO_RESPONSES, compare, paper_runs
from curvature.ledger.verdicts import Outcome, judge_mended, judge_upper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from curvature.ledger.budget import Budget
    from curvature.ledger.theorem_runs import PaperRun

    Array = NDArray[np.float64]

SECTION = "Section 3.3 — Theorems 3.1 and 3.2"
TESTS = "tests/theory/test_section_theorems.py"
SUM_UNIT = "n(1 − p₀)X²"
TWO_PROMPTS = LogLinearBandit.two_arm([0.5, 0.5])

# A smaller promise is of the size at which the gain, a difference of probabilities, is rounded.
VISIBLE = 1e-9


@CLAIMS.claim(
    id="thm-3.1-gain",
    statement="""Under A1 and A2, Algorithm 1 at η = 1/X²: E J_i(θ_t) − E J_i(θ_{t−1}) ≤
    −(1/(2nX²)) E‖∇J_i(θ_{t−1})‖².""",
    source="Theorem 3.1, first display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_ascent_of_theorem_3_1_is_printed_with_the_sign_of_a_descent",
    proofs=["Theorem 3.1", "Lemma 3.1"],
)
def thm_3_1_gain(budget: Budget) -> Outcome:
    """Compare every step's exact expected gain with what is printed, and with its negative."""
    runs = paper_runs("reinforce", budget)
    gains, units = [], []
    for run in runs:
        gains.append(np.diff(run.run.expected_reward, axis=0))
        units.append(run.run.squared_gradient[:-1] / (run.bandit.num_prompts * run.spectral_norm**2))
    found = attack_step("thm-3.1-gain", budget)
    return judge_gains(gains, units, 1 / 2, "E‖∇J‖²/(nX²)", TWO_RESPONSES, found)


@CLAIMS.claim(
    id="thm-3.1-sum",
    statement="Under A1 and A2, Algorithm 1 at η = 1/X²: Σ_{t<T} E‖∇J_i(θ_t)‖² ≤ 2n(1 − p₀)X².",
    source="Theorem 3.1, second display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_sum_and_minimum_of_theorem_3_1_hold",
    proofs=["Theorem 3.1", "Lemma 3.1"],
)
def thm_3_1_sum(budget: Budget) -> Outcome:
    """Add up the exact expectations of 40 steps."""
    parts = [
        compare(run.run.squared_gradient[:-1].sum(axis=0) / unit_of(run), 2.0, unit=SUM_UNIT)
        for run in paper_runs("reinforce", budget)
    ]
    return judge_upper(worst(parts), "T = 40; the gains of 40 steps, exact, add up to at most 1 − p₀.")


@CLAIMS.claim(
    id="thm-3.1-min",
    statement="Under A1 and A2, Algorithm 1 at η = 1/X²: min_{t<T} E‖∇J_i(θ_t)‖² ≤ 2n(1 − p₀)X²/T.",
    source="Appendix D.2, last display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_sum_and_minimum_of_theorem_3_1_hold",
    figure="rate_bounds",
    proofs=["Theorem 3.1", "Lemma 3.1"],
)
def thm_3_1_min(budget: Budget) -> Outcome:
    """Take the smallest of the first T expectations, for every T up to 40."""
    parts = [
        compare(smallest_so_far(run) / unit_of(run), 2 / times(run), unit=SUM_UNIT)
        for run in paper_runs("reinforce", budget)
    ]
    return judge_upper(worst(parts), "every T from 1 to 40.")


@CLAIMS.claim(
    id="thm-3.2-gain",
    statement="""Under A1–A3, Algorithm 2 at η = 1/(2X²): E J_i(θ_t) − E J_i(θ_{t−1}) ≤
    −3 E‖∇J_i(θ_{t−1})‖²/(16nX²C_{i,t}).""",
    source="Theorem 3.2, first display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_ascent_of_theorem_3_2_is_printed_with_the_sign_of_a_descent",
    proofs=["Theorem 3.2", "Lemma 3.2", "Lemma 3.3"],
)
def thm_3_2_gain(budget: Budget) -> Outcome:
    """Compare every step's exact expected gain with what is printed, at the smallest C that A3 admits."""
    gains, units = [], []
    for run in paper_runs("grpo", budget):
        gains.append(np.diff(run.run.expected_reward, axis=0))
        scale = run.bandit.num_prompts * run.spectral_norm**2 * std_bounds(run)
        units.append(run.run.squared_gradient[:-1] / scale)
    found = attack_step("thm-3.2-gain", budget)
    return judge_gains(gains, units, 3 / 16, "E‖∇J‖²/(nX²C)", TWO_RESPONSES, found)


@CLAIMS.claim(
    id="thm-3.2-sum",
    statement="""Under A1–A3, Algorithm 2 at η = 1/(2X²): Σ_{t<T} E‖∇J_i(θ_t)‖² ≤ 2n(1 − p₀)X² C(i,T),
    C(i,T) = (8/(3T)) Σ_t C_{i,t}.""",
    source="Theorem 3.2, second display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_sum_form_of_theorem_3_2_is_false_for_one_prompt",
    figure="rate_bounds",
    proofs=["Theorem 3.2-sum", "Theorem 3.2"],
)
def thm_3_2_sum(budget: Budget) -> Outcome:
    """Take one prompt, X = I, θ₀ = 0, T = 100 and C = σ(θ_t), the smallest that A3 admits; then the three repairs."""
    run = expected_run(TWO_RESPONSES, "grpo", 100)
    C = run.own_reward_std[:-1, 0]
    sides = sum_form(run.squared_gradient[:-1, 0], C, num_prompts=1, success=0.5, spectral_norm=1.0)
    first = first_failure(*sides)
    witness = {"bandit": TWO_RESPONSES.to_dict(), "theta": [0.0, 0.0], "T": 100, "first T that fails": first}
    mended = worst([_weighted(budget), _constant_sum(budget), _squared_mean(budget)])
    return judge_mended(
        Evidence(sides[0][-1], sides[1][-1], sides[0][-1] / sides[1][-1], 1, "", witness),
        mended,
        f"n = 1, K = 2, X = I, θ₀ = 0, T = 100; fails from T = {first} on: the left side grows with T, the "
        "right one is a mean. Repaired as thm-3.2-weighted, thm-3.2-constant and thm-3.2-squared-mean.",
    )


@CLAIMS.claim(
    id="thm-3.2-sum-estimate",
    statement="""Theorem 3.2's sum form with the estimate that the paper puts for C_{i,t}, the reward std itself (in
    expectation, E σ_i(θ_t)).""",
    source="Section 3.3, after Theorem 3.2, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_sum_form_with_the_estimate_of_c_is_false_for_two_prompts",
    proofs=["Theorem 3.2"],
)
def thm_3_2_sum_estimate(budget: Budget) -> Outcome:
    """Take two prompts of two arms at p = 1/2 for 400 steps; then the repair by Cauchy–Schwarz, which needs no A3."""
    run = expected_run(TWO_PROMPTS, "grpo", 400)
    sides = sum_form(
        run.squared_gradient[:-1, 0],
        run.reward_std[:-1, 0],
        num_prompts=2,
        success=0.5,
        spectral_norm=np.sqrt(0.5),
    )
    first = first_failure(*sides)
    witness = {"bandit": TWO_PROMPTS.to_dict(), "theta": [0.0, 0.0], "T": 400, "first T that fails": first}
    return judge_mended(
        Evidence(sides[0][-1], sides[1][-1], sides[0][-1] / sides[1][-1], 1, "", witness),
        _squared_mean(budget),
        f"n = 2, two arms, p₀ = 1/2, T = 400; fails from T = {first} on. Repaired as thm-3.2-squared-mean.",
    )


@CLAIMS.claim(
    id="thm-3.2-min",
    statement="""Under A1–A3, Algorithm 2 at η = 1/(2X²): min_{t<T} E‖∇J_i(θ_t)‖² ≤ (2n(1 − p₀)X²/T) C(i,T).""",
    source="Appendix D.3, last display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_minimum_and_repaired_forms_of_theorem_3_2_hold",
    figure="rate_bounds",
    proofs=["Theorem 3.2", "Lemma 3.3"],
)
def thm_3_2_min(budget: Budget) -> Outcome:
    """Take the smallest of the first T expectations, for every T up to 40, with the smallest C."""
    parts = []
    for run in paper_runs("grpo", budget):
        mean = np.cumsum(std_bounds(run), axis=0) / times(run)
        bound = 16 / 3 * mean / times(run)
        parts.append(compare(smallest_so_far(run) / unit_of(run), bound, unit=SUM_UNIT))
    return judge_upper(worst(parts), "every T from 1 to 40, with the smallest C that A3 admits.")


@CLAIMS.claim(
    id="thm-3.2-weighted",
    statement="Under A1 and A2, Algorithm 2 at η = 1/(2X²): Σ_{t<T} E[‖∇J_i(θ_t)‖²/σ_i(θ_t)] ≤ (16/3)n(1 − p₀)X².",
    source="Ours, theory I.3.1 (a), repairing Theorem 3.2",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_minimum_and_repaired_forms_of_theorem_3_2_hold",
    proofs=["Theorem 3.2", "Lemma 3.3"],
)
def thm_3_2_weighted(budget: Budget) -> Outcome:
    """Add up the exact expectations of 40 steps."""
    return judge_upper(_weighted(budget), "what the ascent inequality gives at once; needs no A3.")


@CLAIMS.claim(
    id="thm-3.2-constant",
    statement="""Under A1, A2 and A3 with C_{i,t} = C_i for all t, Algorithm 2 at η = 1/(2X²): Theorem 3.2's sum form,
    Σ_{t<T} E‖∇J_i(θ_t)‖² ≤ (16/3)n(1 − p₀)X²C_i.""",
    source="Ours, theory I.3.1, repairing Theorem 3.2",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_minimum_and_repaired_forms_of_theorem_3_2_hold",
    proofs=["Theorem 3.2", "Lemma 3.3"],
)
def thm_3_2_constant(budget: Budget) -> Outcome:
    """Add up the exact expectations of 40 steps, with the largest std of all sequences as C."""
    return judge_upper(_constant_sum(budget), "for a C that does not change with t the printed sum is right.")


@CLAIMS.claim(
    id="thm-3.2-squared-mean",
    statement="""Under A1 and A2, Algorithm 2 at η = 1/(2X²): ((1/T) Σ_{t<T} E‖∇J_i(θ_t)‖)² ≤
    ((16/3)n(1 − p₀)X²/T) (1/T) Σ_t E σ_i(θ_t).""",
    source="Ours, theory I.3.1 (c), repairing Theorem 3.2",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_minimum_and_repaired_forms_of_theorem_3_2_hold",
    figure="rate_bounds",
    proofs=["Theorem 3.2", "Lemma 3.3"],
)
def thm_3_2_squared_mean(budget: Budget) -> Outcome:
    """Average the exact expectations of the first T steps, for every T up to 40."""
    return judge_upper(_squared_mean(budget), "the paper's rate for the mean gradient norm, without A3.")


def _weighted(budget: Budget) -> Evidence:
    return worst(
        compare(run.run.weighted_gradient[:-1].sum(axis=0) / unit_of(run), 16 / 3, unit=SUM_UNIT)
        for run in paper_runs("grpo", budget)
    )


def _constant_sum(budget: Budget) -> Evidence:
    return worst(
        compare(
            run.run.squared_gradient[:-1].sum(axis=0) / unit_of(run) / std_bounds(run).max(axis=0),
            16 / 3,
            unit=f"{SUM_UNIT}C",
        )
        for run in paper_runs("grpo", budget)
    )


def _squared_mean(budget: Budget) -> Evidence:
    parts = []
    for run in paper_runs("grpo", budget):
        mean = np.cumsum(run.run.gradient_norm[:-1], axis=0) / times(run)
        std = np.cumsum(run.run.reward_std[:-1], axis=0) / times(run)
        parts.append(compare(mean**2 / unit_of(run), 16 / 3 * std / times(run), unit=SUM_UNIT))
    return worst(parts)


def judge_gains(
    gains: Sequence[Array],
    units: Sequence[Array],
    factor: float,
    unit: str,
    example: LogLinearBandit,
    searched: Evidence,
) -> Outcome:
    """Judge gain ≤ −factor · unit, as the theorems print it, and the ascent gain ≥ factor · unit in its place.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    gains, units : sequence of ndarray
        Expected gains and what they are promised in multiples of, an array a run; the example's first.
    factor : float
        The theorem's.
    unit : str
        In words.
    example : LogLinearBandit
        The bandit of the first run, stored as the counterexample.
    searched : Evidence
        What the worst-case search finds for the ascent inequality, one step from any θ.

    Returns
    -------
    Outcome
        Of :func:`curvature.ledger.verdicts.judge_mended`.
    """
    parts, printed = [], []
    for gain, size in zip(gains, units, strict=True):
        seen = factor * size > VISIBLE
        share = gain[seen] / size[seen]
        parts.append(compare(np.full(share.shape, factor), share, unit=unit))
        told: dict[str, Any] = {"bandit": example.to_dict(), "theta": [0.0] * example.dimension}
        printed.append(compare(share[:1], -factor, unit=unit, witness=lambda _, told=told: told))
    mended = worst([*parts, searched])
    return judge_mended(
        printed[0],
        mended,
        f"printed with the sign of a descent (the first step of the stored run gains); with ≥ and + it holds, and "
        f"{1 / mended.ratio:.2f} times what it promises is gained at least.",
    )


def unit_of(run: PaperRun) -> Array:
    """Return n(1 − p₀)X² of each prompt, shape (n,)."""
    return run.bandit.num_prompts * (1 - run.success) * run.spectral_norm**2


def times(run: PaperRun) -> Array:
    """Return T = 1, 2, … of the run's steps, shape (T, 1)."""
    return np.arange(1.0, len(run.run.reward_std))[:, None]


def std_bounds(run: PaperRun) -> Array:
    """Return the smallest C_{i,t} that A3 admits, t = 0 … T − 1, shape (T, n)."""
    return smallest_variance_bound(run.run.own_reward_std, run.bandit.num_prompts)[:-1]


def smallest_so_far(run: PaperRun) -> Array:
    """Return min_{t<T} E‖∇J_i(θ_t)‖² for T = 1, 2, …, shape (T, n)."""
    return np.minimum.accumulate(run.run.squared_gradient[:-1], axis=0)


def sum_form(
    squared_gradient: Array, std_bounds: Array, *, num_prompts: int, success: float, spectral_norm: float
) -> tuple[Array, Array]:
    """Return both sides of Theorem 3.2's sum form for T = 1, 2, …, each of shape (T,)."""
    right = [
        float(paper.theorem_3_2(num_prompts, success, spectral_norm, std_bounds[:T]).gradient_sum)
        for T in range(1, len(std_bounds) + 1)
    ]
    return np.cumsum(squared_gradient), np.array(right)


def first_failure(left: Array, right: Array) -> int:
    """Return the smallest T with left > right from there on; T counts from 1."""
    holds = np.flatnonzero(left <= right)
    return 1 if holds.size == 0 else int(holds[-1]) + 2
