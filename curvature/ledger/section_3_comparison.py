"""What follows from Theorems 3.1–3.4 about which method is faster, and what the paper says follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.bandit import LogLinearBandit
from curvature.bounds import expected_run, improvement_factor, improvement_threshold, paper, sharp
from curvature.ledger.registry import CLAIMS
from curvature.ledger.theorem_runs import SUCCESSES, compare, paper_runs
from curvature.ledger.verdicts import Outcome, judge_identity, judge_mended, judge_upper

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from curvature.bounds._comparison import Constants
    from curvature.ledger.budget import Budget

    Array = NDArray[np.float64]

SECTION = "Section 3.3 — when is GRPO's bound the smaller one"
TESTS = "tests/theory/test_section_theorems.py"
ROUNDING = 1e-12
UNEQUAL = LogLinearBandit.two_arm([0.3, 0.999])


@CLAIMS.claim(
    id="threshold-paper",
    statement="""Constants of Theorems 3.1 (Lemma 3.1, η = 1/X²) and 3.2 (Lemma 3.3, η = 1/(2X²)): the bound of
    min_t E‖∇J_i‖² is (8/3)·mean C times REINFORCE's, so GRPO's is the smaller one iff mean C < 3/8.""",
    source="Section 3.3, after Theorem 3.2, arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_thresholds_belong_to_their_pairs_of_constants",
    proofs=["threshold", "Theorem 3.1", "Theorem 3.2"],
)
def threshold_paper(budget: Budget) -> Outcome:
    """Divide the two theorems' bounds on random paths of C."""

    def ratio(path: Array) -> float:
        grpo = paper.theorem_3_2(5, 0.2, 1.5, path).gradient_min
        return float(grpo / paper.theorem_3_1(5, 0.2, 1.5, len(path)).gradient_min)

    p = np.roots([1, -1, 9 / 64]).real
    return _judge_threshold(
        ratio, "paper", 3 / 8, budget, f"σ < 3/8 is p < {p.min():.3f} or p > {p.max():.3f}."
    )


@CLAIMS.claim(
    id="threshold-best-step",
    statement="""The same lemmas with GRPO at η = 2/(5X²), inside the ball of Lemma 3.3: GRPO's bound is the
    smaller one iff mean σ < 2/5.""",
    source="Ours, on Theorem 3.2, arXiv:2601.23135v1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_thresholds_belong_to_their_pairs_of_constants",
    proofs=["threshold-step"],
)
def threshold_best_step(budget: Budget) -> Outcome:
    """Maximise the certified gain η − (5/4)η² over η, in units of 1/X², on a grid."""
    η = np.linspace(0, 0.8, 80_001)
    certified = η - 5 / 4 * η**2
    best = float(certified.max())

    def ratio(path: Array) -> float:
        return float(path.mean() / best / 2)

    return _judge_threshold(
        ratio,
        "paper_best_step",
        2 / 5,
        budget,
        f"the maximum of η − (5/4)η² is {best:.4g}, at η = {η[certified.argmax()]:.3g}.",
    )


@CLAIMS.claim(
    id="threshold-sharp",
    statement="""Constants of T2 (σ_max = 1/2) and T1, for binary rewards: GRPO's bound is 2σ̄ times
    REINFORCE's, never the larger one, and the smaller one iff σ̄ < 1/2.""",
    source="Ours, theory T3 and I.3.5",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_thresholds_belong_to_their_pairs_of_constants",
    proofs=["threshold-sharp", "T3"],
)
def threshold_sharp(budget: Budget) -> Outcome:
    """Divide T3's two bounds on random paths of σ."""

    def ratio(path: Array) -> float:
        rates = sharp.theorem_t3(len(path), 0.8, 1.5, path.mean(), 0.5)
        return float(rates.grpo / rates.reinforce)

    return _judge_threshold(ratio, "sharp", 1 / 2, budget, "σ ≤ 1/2 for binary rewards, so 2σ̄ ≤ 1 always.")


@CLAIMS.claim(
    id="threshold-smoothness",
    statement="""Constants of C1's maximum (smoothness D²/(6√3)) for REINFORCE and T1 for GRPO, for binary
    rewards: GRPO's bound is 3.363σ̄ times REINFORCE's, the smaller one iff σ̄ < 0.2974.""",
    source="Ours, theory I.3.5",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_thresholds_belong_to_their_pairs_of_constants",
    proofs=["threshold-smoothness", "C1-step", "T3"],
)
def threshold_smoothness(budget: Budget) -> Outcome:
    """Divide T3's bound of GRPO by the rate of C1's smoothness on random paths of σ."""

    def ratio(path: Array) -> float:
        grpo = sharp.theorem_t3(len(path), 0.8, 1.5, path.mean(), 0.5).grpo
        return float(grpo / sharp.theorem_c1(len(path), 0.8, 1.5).mean_squared)

    threshold = 4 * (2 * np.log(2) - 1) / (3 * np.sqrt(3))
    return _judge_threshold(
        ratio,
        "sharp_smoothness",
        threshold,
        budget,
        "which bound wins depends on how sharp each side's analysis is; it is no statement about the runs.",
    )


@CLAIMS.claim(
    id="threshold-binary",
    statement="""Constants of C1 for both methods, binary rewards (REINFORCE at 6√3/D², GRPO at 4/D²): GRPO's bound is
    2.598σ̄ times REINFORCE's, the smaller one iff σ̄ < 2/(3√3) = 0.3849.""",
    source="Ours, theory C1 and I.3.5",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_thresholds_belong_to_their_pairs_of_constants",
    proofs=["threshold-binary", "C1-step", "one-step-C1"],
)
def threshold_binary(budget: Budget) -> Outcome:
    """Divide the rate of GRPO's certificate, by T3's argument, by that of C1's smoothness on random paths of σ."""
    best = sharp.best_one_step("grpo", "certificate").gain

    def ratio(path: Array) -> float:
        grpo = 1.5**2 * path.mean() * 0.8 / (best * len(path))
        return float(grpo / sharp.theorem_c1(len(path), 0.8, 1.5).mean_squared)

    return _judge_threshold(
        ratio,
        "sharp_binary",
        2 / (3 * np.sqrt(3)),
        budget,
        "the best constants proved so far of either method; those conjectured to be the best have 0.457.",
    )


@CLAIMS.claim(
    id="improvement-average",
    statement="""C(T) = (8/(3nT)) Σ_iΣ_t σ_i(θ_t) < 1 implies that GRPO's bound (Theorem 3.2, C_{i,t} estimated
    by σ_i), averaged over prompts, is strictly the smaller one.""",
    source="Section 3.3, C(T), arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_a_factor_below_one_does_not_make_the_average_bound_smaller",
    proofs=["improvement"],
)
def improvement_average(budget: Budget) -> Outcome:
    """Average both bounds for two prompts of unequal p₀; then with C(T) weighed by 1 − p₀, on all runs."""
    grpo, reinforce, factor, _ = _averages(UNEQUAL, np.zeros(2), 3)
    witness = {"bandit": UNEQUAL.to_dict(), "theta": [0.0, 0.0], "T": 3, "C(T)": factor}
    printed = compare([grpo], reinforce, unit="X²", witness=lambda _: witness)
    # A premise that is not met says nothing.
    printed = printed if factor < 1 else printed.counting(0)
    parts = [
        _averages(run.bandit, run.theta, len(run.run.reward_std) - 1) for run in paper_runs("grpo", budget)
    ]
    parts.append((grpo, reinforce, factor, float(_averages(UNEQUAL, np.zeros(2), 3)[3])))
    met = [(left, right) for left, right, _, weighted in parts if weighted < 1]
    mended = compare([left for left, _ in met], [right for _, right in met])
    return judge_mended(
        printed,
        mended,
        f"p₀ = .3 and .999, T = 3: C(T) = {factor:.3f}, yet the average bound is {printed.ratio:.3f} times "
        "REINFORCE's. The bounds weigh prompts by 1 − p₀; with those weights in C(T), or equal p₀, the "
        "implication holds.",
    )


@CLAIMS.claim(
    id="heterogeneity",
    statement="""Heterogeneous prompts make GRPO's gain larger (section 3.3, introduction) also in Theorem 3.4: its
    R₂·mean_{i,t} σ_i(θ_t) is less than mean_t max_j σ_j(θ_t), what all prompts at the largest std give.""",
    source="Theorem 3.4 and section 1, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_heterogeneous_stds_never_help_theorem_3_4",
)
def heterogeneity(budget: Budget) -> Outcome:
    """Compute both on random std paths of unlike prompts."""
    rng = budget.generator("heterogeneity")
    paths = rng.uniform(1e-3, 0.5, (max(100, budget.instances // 10), 8, 4))
    paths[0] = [0.5, 0.25, 0.25, 0.25]
    R2 = (paths.max(axis=-1) / paths.min(axis=-1)).max(axis=-1)
    hetero, alike = R2 * paths.mean(axis=(1, 2)), paths.max(axis=-1).mean(axis=-1)
    helped = int((hetero < alike * (1 - ROUNDING)).sum())
    first = compare(hetero[:1], alike[:1], witness=lambda _: {"σ_1 … σ_4 at every t": paths[0, 0].tolist()})
    return judge_upper(
        first.counting(len(paths)),
        f"in {helped} of {len(paths)} std paths it is: R₂ = max σ_i/min σ_j gives R₂·mean σ_i ≥ max σ_j at "
        "every t. Under orthogonality (Theorem 3.2) unlike prompts do help.",
    )


@CLAIMS.claim(
    id="abstract-variance",
    statement="""High reward variance favours adaptive scaling (abstract, phase I): the factor C(T) by which
    Theorem 3.2's rate differs from Theorem 3.1's is no larger at higher reward variance.""",
    source="Abstract and Theorem 3.2, arXiv:2601.23135v1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_theorem_favours_low_variance_where_the_abstract_says_high",
)
def abstract_variance(budget: Budget) -> Outcome:
    """Run GRPO from p₀ = .5 down to .01 and compare the factors of neighbours, the higher variance first."""
    factors = {}
    for p in [value for value in sorted(SUCCESSES, reverse=True) if value <= 0.5]:
        run = expected_run(LogLinearBandit.two_arm([p]), "grpo", 2)
        factors[p] = float(improvement_factor(run.own_reward_std[:-1]))
    values = list(factors.values())
    evidence = compare(
        values[:1], values[-1:], witness=lambda _: {f"C(2) at p₀ = {p:g}": c for p, c in factors.items()}
    )
    return judge_upper(
        evidence.counting(len(values)),
        f"C(T) is proportional to the mean std: {values[0]:.3f} for two steps from p₀ = 1/2, {values[-1]:.3f} "
        "from p₀ = .01; the theorem wants a low mean std. The figures compare measured runs.",
    )


def _judge_threshold(
    ratio: Callable[[Array], float], constants: Constants, threshold: float, budget: Budget, reason: str
) -> Outcome:
    """Compare a ratio of bounds with mean σ over the threshold, and the library's threshold with the claimed one."""
    rng = budget.generator(f"threshold, {constants}")
    paths = rng.uniform(1e-3, 0.5, (max(20, budget.instances // 50), 12))
    errors = [abs(ratio(path) * threshold / path.mean() - 1) for path in paths]
    errors.append(abs(improvement_threshold(constants).threshold / threshold - 1))
    return judge_identity(max(errors), 1e-9, len(errors), reason)


def _averages(bandit: LogLinearBandit, theta: Array, T: int) -> tuple[float, float, float, float]:
    """Return both bounds averaged over prompts, in X², with C(T) as printed and weighed by 1 − p₀."""
    run = expected_run(bandit, "grpo", T, theta0=theta)
    success, path = run.own_expected_reward[0], run.reward_std[:-1]
    n = bandit.num_prompts
    grpo = paper.theorem_3_2(n, success, 1.0, np.clip(path.T, 1e-300, 0.5)).gradient_min.mean()
    reinforce = paper.theorem_3_1(n, success, 1.0, T).gradient_min.mean()
    weighted = improvement_factor(path, np.minimum(success, 1.0))
    return float(grpo), float(reinforce), float(improvement_factor(path)), float(weighted)
