"""Theorems 3.3 and 3.4 of the paper and the constant that appendix E.2 ends with, on prompts that interfere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from curvature.assumptions import check_cross_prompt, scale_regularity
from curvature.bandit import LogLinearBandit
from curvature.bounds import paper, theorem_3_4_repaired
from curvature.geometry import spectral_norm
from curvature.ledger.evidence import Evidence, worst
from curvature.ledger.registry import CLAIMS
from curvature.ledger.section_3_theorems import VISIBLE, judge_gains
from curvature.ledger.step_evidence import attack_step
from curvature.ledger.theorem_runs import SampledRun, compare, coupled_bandits, sampled_run
from curvature.ledger.verdicts import Outcome, judge_mended, judge_upper
from curvature.moments import moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.bounds.paper import PaperRate
    from curvature.ledger.budget import Budget

    Array = NDArray[np.float64]
    Method = Literal["reinforce", "grpo"]

SECTION = "Section 3.4 and appendix E — Theorems 3.3 and 3.4"
TESTS = "tests/theory/test_section_e.py"
PREMISES = "M, R₁ and R₂ are the smallest that hold at every θ that the run can reach"


def tilted_prompts() -> LogLinearBandit:
    """Build two prompts with a large M and a short reach: X₁∇J₂ is long, ⟨∇J₁, ∇J₂⟩ small.

    Ours. Kind: counterexample.

    The first prompt's gradient is along e₁ and two of its wrong responses lie along e₂, the direction in which
    the second prompt moves but for a tilt of 1/1000.

    Returns
    -------
    LogLinearBandit
        One correct response each; M ≈ 98 at θ = 0.
    """
    features = np.zeros((2, 4, 2))
    features[0] = [[1, 0], [-1, 0], [0, 1], [0, -1]]
    features[1, :2] = [[1e-3, 1], [-1e-3, -1]]
    base = np.log([[0.5, 0.3, 0.1, 0.1], [0.02, 0.98, 1.0, 1.0]])
    base[1, 2:] = -np.inf
    return LogLinearBandit(features, [[1, 0, 0, 0], [1, 0, 0, 0]], base)


@CLAIMS.claim(
    id="thm-3.3-gain",
    statement="""Under A1 and A4, Algorithm 1 at η = 1/(max(1, M/2)X²): E J_i(θ_t) − E J_i(θ_{t−1}) ≤
    −E‖∇J_i(θ_{t−1})‖²/(2n max(1, M/2)X²).""",
    source="Theorem 3.3, first display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_ascent_of_theorem_3_3_is_printed_with_the_sign_of_a_descent",
    proofs=["Theorem 3.3", "Lemma 3.1"],
)
def thm_3_3_gain(budget: Budget) -> Outcome:
    """Compare every step's exact expected gain with what is printed, and with its negative."""
    gains, units = [], []
    for bandit, run, X in interfering_runs("reinforce", budget):
        scale = bandit.num_prompts * max(1.0, run.cross_prompt / 2) * X**2
        gains.append(np.diff(_means(run, "expected_reward"), axis=0))
        units.append(_squared_gradients(run)[:-1] / scale)
    first = interfering_runs("reinforce", budget)[0][0]
    found = attack_step("thm-3.3-gain", budget)
    return judge_gains(gains, units, 1 / 2, "E‖∇J‖²/(n max(1, M/2)X²)", first, found)


@CLAIMS.claim(
    id="thm-3.3-sum",
    statement="""Under A1 and A4, Algorithm 1 at η = 1/(max(1, M/2)X²): Σ_{t<T} E‖∇J_i(θ_t)‖² ≤
    2n max(1, M/2)(1 − p₀)X²; with it the minimum form of appendix E.1.""",
    source="Theorem 3.3, second display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_rates_of_theorems_3_3_and_3_4_hold_over_all_sequences",
    proofs=["Theorem 3.3", "Lemma 3.1"],
)
def thm_3_3_sum(budget: Budget) -> Outcome:
    """Add up the exact expectations over all sequences of sampled prompts."""
    parts = []
    for bandit, run, X in interfering_runs("reinforce", budget):
        squares = _squared_gradients(run)[:-1]
        success = run.levels[0].expected_reward[0]
        rate = paper.theorem_3_3(bandit.num_prompts, success, X, len(squares), run.cross_prompt)
        parts.append(compare(squares.sum(axis=0) / rate.gradient_sum, 1.0, unit="of its bound"))
    return judge_upper(worst(parts), f"{len(parts)} runs, all sequences of 4 or 6 steps; {PREMISES}.")


@CLAIMS.claim(
    id="thm-3.4-gain",
    statement="""Under A1 and A3–A5, Algorithm 2 at η = 1/(2 max(R₁, 5M/8)R₂X²): E J_i(θ_t) − E J_i(θ_{t−1}) ≤
    −3 E‖∇J_i(θ_{t−1})‖²/(16n max(R₁, 5M/8)R₂X²C_{i,t}).""",
    source="Theorem 3.4, first display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_ascent_of_theorem_3_4_is_printed_with_the_sign_of_a_descent",
    proofs=["Theorem 3.4", "Lemma 3.3"],
)
def thm_3_4_gain(budget: Budget) -> Outcome:
    """Compare every step's exact expected gain with what is printed, at the smallest C that A3 admits."""
    gains, units = [], []
    for bandit, run, X in interfering_runs("grpo", budget):
        scale = bandit.num_prompts * _factor(run) * X**2 * _std_bounds(run)[:-1]
        gains.append(np.diff(_means(run, "expected_reward"), axis=0))
        units.append(_squared_gradients(run)[:-1] / scale)
    first = interfering_runs("grpo", budget)[0][0]
    found = attack_step("thm-3.4-gain", budget)
    return judge_gains(gains, units, 3 / 16, "E‖∇J‖²/(n max(R₁, 5M/8)R₂X²C)", first, found)


@CLAIMS.claim(
    id="thm-3.4-sum",
    statement="""Under A1 and A3–A5, Algorithm 2 at η = 1/(2 max(R₁, 5M/8)R₂X²): Σ_{t<T} E‖∇J_i(θ_t)‖² ≤
    2n max(R₁, 5M/8)R₂(1 − p₀)X² C(i,T).""",
    source="Theorem 3.4, second display, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_sum_form_of_theorem_3_4_is_false",
    proofs=["Theorem 3.4", "Lemma 3.3"],
)
def thm_3_4_sum(budget: Budget) -> Outcome:
    """Take two twins, which move as one prompt does, for 400 steps; then the repairs over all sequences."""
    left, right, witness = twins_sum_form(400)
    mended = worst(part for _, repaired in _interfering_rates(budget) for part in repaired)
    return judge_mended(
        Evidence(left, right, left / right, 1, "", witness),
        mended,
        "two prompts of equal features, whose runs are the same for every sequence, so that A3 admits C = "
        "σ(θ_t): M = 1, R₁ = R₂ = 1, T = 400. Repaired as Theorem 3.2: ‖∇J‖²/σ in the sum, the largest C, or "
        "the squared mean.",
    )


@CLAIMS.claim(
    id="thm-3.4-min",
    statement="""Under A1 and A3–A5, Algorithm 2 at η = 1/(2 max(R₁, 5M/8)R₂X²): min_{t<T} E‖∇J_i(θ_t)‖² ≤
    (2n max(R₁, 5M/8)R₂(1 − p₀)X²/T) C(i,T).""",
    source="Theorem 3.4 with the last display of appendix E.2, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_rates_of_theorems_3_3_and_3_4_hold_over_all_sequences",
    proofs=["Theorem 3.4", "Lemma 3.3"],
)
def thm_3_4_min(budget: Budget) -> Outcome:
    """Take the smallest of the exact expectations over all sequences of sampled prompts."""
    parts = [smallest for smallest, _ in _interfering_rates(budget)]
    return judge_upper(worst(parts), f"{len(parts)} runs, all sequences of 4 or 6 steps; {PREMISES}.")


@CLAIMS.claim(
    id="eq-32",
    statement="""Under A1 and A3–A5, Algorithm 2 at the η of Theorem 3.4: E J_i(θ_t) ≥ E J_i(θ_{t−1}) +
    3 E‖∇J_i(θ_{t−1})‖²/(16n max(R₁R₂, M/2)X²C_{i,t−1}).""",
    source="Eqs (32) and (33), appendix E.2, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_factor_that_appendix_e2_ends_with_is_false",
    proofs=["eq-32", "Theorem 3.4"],
)
def eq_32(budget: Budget) -> Outcome:
    """Take one step of two tilted prompts with the printed factor, then all runs with the theorem's."""
    bandit = tilted_prompts()
    gain, unit, constants = one_step(bandit)
    M, R1, R2 = constants["M"], constants["R₁"], constants["R₂"]
    witness = {"bandit": bandit.to_dict(), "theta": [0.0, 0.0], **constants}
    told = "3E‖∇J‖²/(16nX²C)"
    printed = compare(1 / max(R1 * R2, M / 2), gain / unit, unit=told, witness=lambda _: witness)
    factor = max(R1, 5 * M / 8) * R2
    parts = [compare(1 / factor, gain / unit, unit=told)]
    for other, run, X in interfering_runs("grpo", budget):
        size = 3 / 16 * _squared_gradients(run)[:-1] / (other.num_prompts * X**2 * _std_bounds(run)[:-1])
        gains = np.diff(_means(run, "expected_reward"), axis=0)
        seen = size / _factor(run) > VISIBLE
        parts.append(compare(1 / _factor(run), gains[seen] / size[seen], unit=told))
    return judge_mended(
        printed,
        worst(parts),
        f"M = {M:.1f}, R₁ = {R1:.1f}, R₂ = {R2:.2f}: max(R₁R₂, M/2) = {max(R1 * R2, M / 2):.1f}, the theorem's "
        f"max(R₁, 5M/8)R₂ = {factor:.0f}, and with the latter it holds.",
    )


@lru_cache(maxsize=2)
def interfering_runs(method: Method, budget: Budget) -> tuple[tuple[LogLinearBandit, SampledRun, float], ...]:
    """Follow all sequences of sampled prompts on the coupled bandits on which A4 and A5 hold all along the run.

    Ours. Kind: simulation.

    Parameters
    ----------
    method : {"reinforce", "grpo"}
        At the step of Theorem 3.3 or 3.4.
    budget : Budget
        Which bandits.

    Returns
    -------
    tuple of (LogLinearBandit, SampledRun, float)
        Bandit, run and X. The first bandit is that of two arms at p = 1/2 with an overlap of 1/2.
    """
    first = LogLinearBandit.two_arm([0.5, 0.5], overlap=0.5)
    found = []
    for bandit in (first, *coupled_bandits(budget)):
        X = float(spectral_norm(bandit).max())

        def step(M: float, R1: float, R2: float, X: float = X) -> float:
            if method == "reinforce":
                return 1 / (max(1.0, M / 2) * X**2)
            return 1 / (2 * max(R1, 5 * M / 8) * R2 * X**2)

        run = sampled_run(bandit, method, step)
        if run is not None:
            found.append((bandit, run, X))
    return tuple(found)


def one_step(bandit: LogLinearBandit) -> tuple[Array, Array, dict[str, float]]:
    """Take Theorem 3.4's step at θ = 0 with the smallest constants there.

    Ours. Kind: simulation.

    Parameters
    ----------
    bandit : LogLinearBandit
        On which A4 and A5 hold at θ = 0.

    Returns
    -------
    gain, unit : ndarray, shape (n,)
        E J_i(θ₁) − J_i(0), and 3‖∇J_i‖²/(16nX²σ_i).
    constants : dict
        M, R₁ and R₂.
    """
    at, X = moments(bandit, np.zeros(bandit.dimension)), float(spectral_norm(bandit).max())
    M = check_cross_prompt(bandit, np.zeros(bandit.dimension)).constant
    scales = scale_regularity(bandit, np.zeros(bandit.dimension))
    R1, R2 = scales.gradient_ratio, scales.std_ratio
    step = 1 / (2 * max(R1, 5 * M / 8) * R2 * X**2)
    after = moments(bandit, step * at.gradient / at.reward_std[:, None]).expected_reward
    unit = 3 * (at.gradient**2).sum(axis=-1) / (16 * bandit.num_prompts * X**2 * at.reward_std)
    return after.mean(axis=0) - at.expected_reward, unit, {"M": M, "R₁": R1, "R₂": R2}


def twins_sum_form(num_steps: int) -> tuple[float, float, dict[str, object]]:
    """Give both sides of Theorem 3.4's sum form for two prompts with the same features and answer, X = I.

    Ours. Kind: counterexample.

    Parameters
    ----------
    num_steps : int
        T.

    Returns
    -------
    left, right : float
        For either prompt: whichever is sampled, both move alike, so expectations are over one sequence.
    witness : dict
        The instance.
    """
    bandit = LogLinearBandit([np.eye(2), np.eye(2)], [[1, 0], [1, 0]])
    theta, squares, stds, M = np.zeros(2), [], [], 0.0
    for _ in range(num_steps):
        at = moments(bandit, theta)
        M = max(M, check_cross_prompt(bandit, theta).constant)
        squares.append(float((at.gradient[0] ** 2).sum()))
        stds.append(float(at.reward_std[0]))
        # max(R₁, 5M/8)R₂ = 1, for R₁ = R₂ = 1 and M = 1 as long as the twins are twins.
        theta = theta + 0.5 * at.gradient[0] / at.reward_std[0]
    rate = paper.theorem_3_4(2, 0.5, 1.0, stds, M, 1.0, 1.0)
    witness = {"bandit": bandit.to_dict(), "theta": [0.0, 0.0], "T": num_steps, "M": M, "R₁": 1.0, "R₂": 1.0}
    return sum(squares), float(rate.gradient_sum), witness


def _interfering_rates(budget: Budget) -> list[tuple[Evidence, list[Evidence]]]:
    """Compare the minimum form as printed, and three repaired forms, with the expectations of every run."""
    found = []
    for bandit, run, X in interfering_runs("grpo", budget):
        squares, bounds = _squared_gradients(run)[:-1], _std_bounds(run)[:-1]
        success = run.levels[0].expected_reward[0]
        constants = (run.cross_prompt, run.gradient_ratio, run.std_ratio)
        rate: PaperRate = paper.theorem_3_4(bandit.num_prompts, success, X, bounds.T, *constants)
        std = np.minimum(_means(run, "reward_std")[:-1].T, 0.5)
        repaired = theorem_3_4_repaired(bandit.num_prompts, success, X, bounds.T, *constants)
        estimated = theorem_3_4_repaired(bandit.num_prompts, success, X, std, *constants)
        norms = [np.linalg.norm(at.gradient, axis=-1) for at in run.levels[:-1]]
        weighted = sum(
            (norm**2 / at.reward_std).mean(axis=0) for norm, at in zip(norms, run.levels[:-1], strict=True)
        )
        mean = np.mean([norm.mean(axis=0) for norm in norms], axis=0)
        sides = [
            (weighted, repaired.weighted_sum),
            (squares.sum(axis=0), repaired.gradient_sum),
            (mean**2, estimated.squared_mean),
        ]
        found.append((
            compare(squares.min(axis=0) / rate.gradient_min, 1.0, unit="of its bound"),
            [compare(left / right, 1.0, unit="of its bound") for left, right in sides],
        ))
    return found


def _factor(run: SampledRun) -> float:
    return max(run.gradient_ratio, 5 * run.cross_prompt / 8) * run.std_ratio


def _means(run: SampledRun, quantity: Literal["expected_reward", "reward_std"]) -> Array:
    return np.array([getattr(at, quantity).mean(axis=0) for at in run.levels])


def _squared_gradients(run: SampledRun) -> Array:
    return np.array([(at.gradient**2).sum(axis=-1).mean(axis=0) for at in run.levels])


def _std_bounds(run: SampledRun) -> Array:
    return np.minimum([at.reward_std.max(axis=0) for at in run.levels], 0.5)
