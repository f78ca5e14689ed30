"""Our rates for orthogonal prompts: T1–T5, and the step and rate of C1's smoothness."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np

from curvature.bandit import LogLinearBandit
from curvature.bounds import expected_run, sharp
from curvature.geometry import feature_diameter
from curvature.interference import certified_speedup
from curvature.ledger.evidence import worst
from curvature.ledger.registry import CLAIMS
from curvature.ledger.step_evidence import attack_step
from curvature.ledger.theorem_runs import SUCCESSES, compare
from curvature.ledger.verdicts import Outcome, judge_identity, judge_needed, judge_upper
from curvature.moments import moments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from curvature.ledger.budget import Budget
    from curvature.ledger.evidence import Evidence

    Array = NDArray[np.float64]
    Arm = Literal["grpo", "reinforce", "smooth"]

SECTION = "Ours — rates"
TESTS = "tests/theory/test_section_ours_rates.py"
VISIBLE = 1e-8
STEPS = 100
# Where T1 is least loose on two arms, by a grid of a thousand success rates: see t1.
GRID = np.linspace(0.001, 0.999, 999)
LIKE_CURVED = (0.5, 0.0812172823583385)
# Two orthogonal prompts of D = 1. The second has the larger std, and wrong responses on both sides of the right one,
# so that its gradient is short: its steps are the shorter ones, where ψ(s) is closer to s²/2.
UNLIKE_LENGTHS = LogLinearBandit(
    [[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.9], [0.0, -0.1]]],
    [[1, 0, 0], [1, 0, 0]],
    [[np.log(0.24), np.log(0.76), -np.inf], [np.log(0.5), np.log(0.25), np.log(0.25)]],
)
PROFILES = ((0.02, 0.05, 0.1), (0.3, 0.5, 0.7), (0.02, 0.1, 0.5, 0.9), (0.001, 0.001, 0.9))


@CLAIMS.claim(
    id="T1",
    statement="""Orthogonal prompts, any rewards: GRPO's step α = 4 ln 2/D² for all prompts at once gains
    J_x(θ⁺) − J_x(θ) ≥ (4k₀/D²)‖g_x‖²/σ_x for every prompt, k₀ = 2 ln 2 − 1.""",
    source="Ours, theory T1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_certified_step_of_grpo_gains_what_t1_says",
    proofs=["T1", "psi", "L1", "L4"],
)
def t1(budget: Budget) -> Outcome:
    """Take the step on random bandits, and on two arms at a thousand success rates."""
    random, grid, place = _step_evidence("grpo", budget)
    return judge_upper(
        worst([grid, random, attack_step("T1", budget)]),
        f"closest for two arms at p = {place:.3f}; {_random_part(random)}.",
    )


@CLAIMS.claim(
    id="T2",
    statement="""Orthogonal prompts, any rewards: REINFORCE's step α = 4 ln 2/(D²σ_max) gains
    J_x(θ⁺) − J_x(θ) ≥ (4k₀/D²)‖g_x‖²/σ_max for every prompt.""",
    source="Ours, theory T2",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_certified_step_of_reinforce_gains_what_t2_says",
    proofs=["T2", "psi", "L1", "L4"],
)
def t2(budget: Budget) -> Outcome:
    """Take the step with the largest std at θ, and with 1/2 for two arms at a thousand success rates."""
    random, grid, place = _step_evidence("reinforce", budget)
    own = LogLinearBandit.two_arm([_step_evidence("grpo", budget)[2]])
    alone = _promise("reinforce", own, np.zeros(1))
    return judge_upper(
        worst([alone, grid, random, attack_step("T2", budget)]),
        f"closest where one prompt has σ_x = σ_max and is T1's closest ({alone.ratio:.3f}); with σ_max = 1/2 two arms "
        f"are closest at p = {place:.3f} ({grid.ratio:.3f}).",
    )


@CLAIMS.claim(
    id="C1-step",
    statement="""Orthogonal prompts, rewards in {0, 1}: REINFORCE's step 1/L, L = D²/(6√3), gains
    J_x(θ⁺) − J_x(θ) ≥ ‖g_x‖²/(2L) for every prompt.""",
    source="Ours, theory C1, as a step",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_step_of_the_sharpest_smoothness_gains_what_it_says",
    proofs=["C1-step", "C1-maximum"],
)
def c1_step(budget: Budget) -> Outcome:
    """Take the step on random bandits, and on two arms at a thousand success rates."""
    random, grid, place = _step_evidence("smooth", budget)
    return judge_upper(
        worst([grid, random, attack_step("C1-step", budget)]),
        f"closest for two arms at p = {place:.3f}; {_random_part(random)}.",
    )


@CLAIMS.claim(
    id="T3-reinforce",
    statement="""Orthogonal prompts: REINFORCE at the step of T2 has ⟨‖g‖⟩² ≤ ⟨‖g‖²⟩ ≤ Γσ_maxΔ̄n/T, Γ =
    D²/(4k₀), one of n prompts sampled a step (n = 1: full batches).""",
    source="Ours, theory T3",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_mean_gradients_stay_below_t3_and_the_rate_of_c1",
    figure="rate_bounds",
    proofs=["T3", "T2"],
)
def t3_reinforce(budget: Budget) -> Outcome:
    """Run two arms and random bandits for 1 to 100 steps, full batch and in exact expectation over prompts."""
    return judge_upper(
        _rate_evidence("reinforce", budget),
        "rewards in {0, 1}, σ_max = 1/2, T from 1 to 100, Δ̄ = 1 − mean p₀.",
    )


@CLAIMS.claim(
    id="T3-grpo",
    statement="""Orthogonal prompts: GRPO at the step of T1 has ⟨‖g‖⟩² ≤ Γσ̄Δ̄n/T, σ̄ the mean reward std over
    prompts and iterations of its own run.""",
    source="Ours, theory T3",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_mean_gradients_stay_below_t3_and_the_rate_of_c1",
    figure="rate_bounds",
    proofs=["T3", "T1"],
)
def t3_grpo(budget: Budget) -> Outcome:
    """Run two arms and random bandits for 1 to 100 steps, full batch and in exact expectation over prompts."""
    return judge_upper(_rate_evidence("grpo", budget), "rewards in {0, 1}, T from 1 to 100, Δ̄ = 1 − mean p₀.")


@CLAIMS.claim(
    id="C1-rate",
    statement="""Orthogonal prompts, rewards in {0, 1}: REINFORCE at α = 6√3/D² has ⟨‖g‖²⟩ ≤ (D²/(3√3))Δ̄n/T.""",
    source="Ours, theory C1, as a rate",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_mean_gradients_stay_below_t3_and_the_rate_of_c1",
    figure="rate_bounds",
    proofs=["C1-step", "C1-maximum"],
)
def c1_rate(budget: Budget) -> Outcome:
    """Run two arms and random bandits for 1 to 100 steps, full batch and in exact expectation over prompts."""
    constant = 8 * (2 * np.log(2) - 1) / (3 * np.sqrt(3))
    return judge_upper(
        _rate_evidence("smooth", budget), f"{constant:.3f} of T3's bound for REINFORCE at σ_max = 1/2."
    )


@CLAIMS.claim(
    id="T4",
    statement="""σ̄/σ_max = (⟨m_t⟩/σ_max)(σ̄/⟨m_t⟩), m_t = max_x σ_x(θ_t): across iterations × across prompts,
    each factor at most 1.""",
    source="Ours, theory T4",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_t4_splits_the_ratio_into_two_factors_of_at_most_one",
    figure="speedup_decomposition",
    proofs=["T4"],
)
def t4(budget: Budget) -> Outcome:
    """Split σ̄/σ_max along GRPO's runs, and compute each factor a second time."""
    errors, told = [], ""
    for profile in PROFILES:
        run = expected_run(LogLinearBandit.two_arm(profile), "grpo", STEPS, step=4 * np.log(2))
        path = run.own_reward_std
        split = sharp.theorem_t4(path, 0.5)
        total, largest = path.mean() / 0.5, np.array([row.max() for row in path])
        above = max(0.0, float(split.across_iterations) - 1, float(split.across_prompts) - 1)
        errors += [
            above,
            abs(float(split.total) / total - 1),
            abs(float(split.across_prompts) * largest.mean() / path.mean() - 1),
        ]
        if len(profile) == 4:
            told = f"{float(split.across_iterations):.3f} × {float(split.across_prompts):.3f}"
    return judge_identity(
        max(errors), 1e-12, len(errors), f"{told} for success rates .02, .1, .5, .9 and T = 100."
    )


@CLAIMS.claim(
    id="T5",
    statement="""Orthogonal prompts of one diameter, short steps (ψ(s) ≈ s²/2), each method at its best
    certified step: the ratio of certified gains κ = [Σ‖g‖²/σ][Σσ‖g‖²]/[Σ‖g‖²]² is at least 1.""",
    source="Ours, theory T5",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_kappa_is_at_least_one_and_only_for_short_steps",
    proofs=["T5"],
)
def t5(budget: Budget) -> Outcome:
    """Compute κ on random bandits, and on two arms with equal stds."""
    found = worst([_kappa_evidence(budget), attack_step("T5", budget)])
    return judge_upper(found, "1/κ is measured; κ = 1 where all stds are the same.")


@CLAIMS.claim(
    id="T5-short",
    statement="""T5 needs short steps: with the exact ψ, the ratio of the largest certified gains of GRPO and
    REINFORCE on orthogonal prompts can be below 1.""",
    source="Ours, theory T5 corrected",
    section=SECTION,
    kind="assumption",
    test=f"{TESTS}::test_kappa_is_at_least_one_and_only_for_short_steps",
    proofs=["T5-short"],
)
def t5_short(budget: Budget) -> Outcome:
    """Compare κ and the exact ratio on two prompts with p = .24 and .5, the second with the shorter gradient."""
    theta = np.zeros(2)
    at = moments(UNLIKE_LENGTHS, theta)
    exact = float(certified_speedup(UNLIKE_LENGTHS, theta, 1 / at.reward_std))
    kappa = float(sharp.theorem_t5(np.linalg.norm(at.gradient, axis=-1), at.reward_std).by_std)
    witness = {"bandit": UNLIKE_LENGTHS.to_dict(), "theta": [0.0, 0.0], "ratio": exact, "κ": kappa}
    return judge_needed(
        _kappa_evidence(budget),
        compare(1 / exact, [1.0], witness=lambda _: witness),
        f"p = .24, and p = .5 with the shorter gradient: κ = {kappa:.4f}, the exact ratio {exact:.4f} (its "
        "inverse is measured).",
    )


@CLAIMS.claim(
    id="T5-curvature",
    statement="""T5 needs L2's curvature D²σ/4: with C1's sharper D²ℓ(q) for binary rewards in its place, the
    same ratio can be below 1.""",
    source="Ours, theory T5",
    section=SECTION,
    kind="assumption",
    test=f"{TESTS}::test_kappa_with_the_sharpest_curvature_can_be_below_one",
    proofs=["T5-curvature"],
)
def t5_curvature(budget: Budget) -> Outcome:
    """Compare both ratios for two prompts of the same worst curvature and unlike stds."""
    p = np.array(LIKE_CURVED)
    σ = np.sqrt(p * (1 - p))
    bandit = LogLinearBandit.two_arm(p)
    norms = np.linalg.norm(moments(bandit, np.zeros(2)).gradient, axis=-1)
    found = sharp.theorem_t5(norms, σ, success=p)
    assert found.by_profile is not None
    profile, by_std = float(found.by_profile), float(found.by_std)
    witness = {"bandit": bandit.to_dict(), "theta": [0.0, 0.0], "κ by C1": profile, "κ by L2": by_std}
    return judge_needed(
        _kappa_evidence(budget),
        compare(1 / profile, [1.0], witness=lambda _: witness),
        f"p = .5 and .0812, both of worst curvature D²/16: κ is {by_std:.4f} by L2 and {profile:.4f} by C1.",
    )


def _step_evidence(arm: Arm, budget: Budget) -> tuple[Evidence, Evidence, float]:
    """Compare promised with measured gains of a step on random bandits and the grid; say where that is closest."""
    random = [_promise(arm, bandit, theta) for bandit, theta in _orthogonal_bandits(arm, budget)]
    # Two arms in one bandit of many prompts: each is an instance of its own, and all have D = 1.
    grid = LogLinearBandit.from_success_rates(GRID)
    found = _promise(arm, grid, np.zeros(grid.dimension), largest_std=0.5)
    return worst(random), found, _closest(arm, grid)


def _promise(arm: Arm, bandit: LogLinearBandit, theta: Array, largest_std: float | None = None) -> Evidence:
    promised, gain = _promised_and_gained(arm, bandit, theta, largest_std)
    seen = promised > VISIBLE
    return compare(promised[seen], gain[seen])


def _closest(arm: Arm, grid: LogLinearBandit) -> float:
    promised, gain = _promised_and_gained(arm, grid, np.zeros(grid.dimension), 0.5)
    return float(GRID[int((promised / gain).argmax())])


def _promised_and_gained(
    arm: Arm, bandit: LogLinearBandit, theta: Array, largest_std: float | None
) -> tuple[Array, Array]:
    at, D = moments(bandit, theta), float(feature_diameter(bandit).max())
    norms, σ = np.linalg.norm(at.gradient, axis=-1), at.reward_std
    weights = np.ones_like(σ)
    if arm == "smooth":
        rate = sharp.theorem_c1(1, 0.0, D)
        step, promised = float(rate.step), float(rate.gain_factor) * norms**2
    elif arm == "grpo":
        found = sharp.theorem_t1(norms, σ, D)
        step, promised, weights = float(found.step), found.gain, 1 / np.where(σ > 1e-12, σ, np.inf)
    else:
        found = sharp.theorem_t2(norms, σ.max() if largest_std is None else largest_std, D)
        step, promised = float(found.step), found.gain
    after = moments(bandit, theta + step * weights @ at.gradient)
    return np.asarray(promised), after.expected_reward - at.expected_reward


def _orthogonal_bandits(arm: Arm, budget: Budget) -> Iterator[tuple[LogLinearBandit, Array]]:
    """Draw orthogonal bandits of the rewards that the claim is about."""
    rng = budget.generator(f"orthogonal bandits, {arm}")
    kinds = ("one_correct", "binary") if arm == "smooth" else ("one_correct", "binary", "gaussian")
    for index in range(max(20, budget.instances // 20)):
        n, K = int(rng.integers(1, 5)), int(rng.integers(2, 7))
        rank, seed = int(rng.integers(1, K)), int(rng.integers(2**32))
        bandit = LogLinearBandit.orthogonal(
            n, K, rank=rank, rewards=kinds[index % len(kinds)], diameter=10 ** rng.uniform(-1, 1), seed=seed
        )
        yield bandit, rng.standard_normal(bandit.dimension) * 3 / float(feature_diameter(bandit).max())


def _random_part(random: Evidence) -> str:
    return f"on random orthogonal bandits {random.ratio:.3f} of a gain at most is promised"


def _rate_evidence(arm: Arm, budget: Budget) -> Evidence:
    """Compare measured with bounded mean gradients on every bandit, T, and both ways of sampling."""
    arms = [LogLinearBandit.two_arm(profile) for profile in (*PROFILES, *((p,) for p in SUCCESSES))]
    drawn = islice(_orthogonal_bandits("smooth", budget), max(10, budget.instances // 200))
    parts = []
    for bandit, theta in [*((bandit, np.zeros(bandit.dimension)) for bandit in arms), *drawn]:
        gap = 1 - float(moments(bandit, theta).expected_reward.mean())
        D = float(feature_diameter(bandit).max())
        step = {
            "grpo": sharp.theorem_t1(0.1, 0.5, D).step,
            "reinforce": sharp.theorem_t2(0.1, 0.5, D).step,
            "smooth": sharp.theorem_c1(1, gap, D).step,
        }[arm]
        method = "grpo" if arm == "grpo" else "reinforce"
        run = expected_run(bandit, method, STEPS, step=float(step), theta0=theta)
        for n, squares, norms, stds in (
            (1, run.own_gradient_norm**2, run.own_gradient_norm, run.own_reward_std),
            (bandit.num_prompts, run.squared_gradient, run.gradient_norm, run.reward_std),
        ):
            for T in (1, 3, 10, 30, STEPS):
                mean_std = float(stds[:T].mean())
                rates = sharp.theorem_t3(T, gap, D, mean_std, 0.5, num_prompts=n)
                bound = {
                    "grpo": rates.grpo,
                    "reinforce": rates.reinforce,
                    "smooth": sharp.theorem_c1(T, gap, D, num_prompts=n).mean_squared,
                }[arm]
                measured = norms[:T].mean() ** 2 if arm == "grpo" else squares[:T].mean()
                parts.append(compare([measured / (D**2 * gap)], bound / (D**2 * gap), unit="D²Δ̄"))
    return worst(parts)


def _kappa_evidence(budget: Budget) -> Evidence:
    """Compare 1/κ with 1 on random bandits, one prompt or more, and on prompts of equal stds."""
    inverse = []
    for bandit, theta in _orthogonal_bandits("grpo", budget):
        at = moments(bandit, theta)
        alive = at.reward_std > 1e-9
        if alive.any():
            norms = np.linalg.norm(at.gradient, axis=-1)[alive]
            inverse.append(1 / float(sharp.theorem_t5(norms, at.reward_std[alive]).by_std))
    return compare(inverse, 1.0)
