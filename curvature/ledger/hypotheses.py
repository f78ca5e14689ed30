"""Hypotheses of theory II.9 that a bandit can settle: a rule for each, and intervals over seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.bandit import LogLinearBandit
from curvature.ledger.empirical import Measured, exactly, judge_difference, judge_interval, mean_interval
from curvature.ledger.group_ratio import PROFILES, committed_share, exponents_by_spread
from curvature.ledger.registry import CLAIMS
from curvature.ledger.tuned_runs import (
    MULTIPLES,
    Arm,
    certified_arm,
    certified_unit,
    constant_arm,
    number_of_seeds,
    overlapping,
    ratio_of,
    seeds_of,
    told_of,
    tuned_arm,
    unequal_arms,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from curvature.ascent import Method
    from curvature.ledger.budget import Budget
    from curvature.ledger.verdicts import Outcome

SECTION = "Ours — hypotheses, measured"
TESTS = "tests/theory/test_hypotheses.py"

LEARNING_RATES = 2.0 ** np.arange(-7, 3, 0.5)
SMALL_RATE = 2.0**-6
# Ratios closer to 1 than this are no difference worth naming.
ALIKE = 0.05
# "Fewer steps": by 1/1000 at least, so that equal ones are not fewer.
FEWER = 0.999


def _overlap_arms(budget: Budget, overlap: float, count: int, *, tuned: bool) -> dict[str, Arm]:
    """Every method at one overlap, for H1."""
    measuring = overlapping(seeds_of(budget, "H1", count), overlap)
    tuning = overlapping(seeds_of(budget, "H1, tuning", 12), overlap)
    return {
        method: tuned_arm(tuning, measuring, method, MULTIPLES, 100, unit=certified_unit)
        if tuned
        else certified_arm(measuring, method, 400)
        for method in ("reinforce", "batch", "grpo", "interference")
    }


def _beats(budget: Budget, overlaps: Sequence[float], *, tuned: bool) -> Outcome:
    """Compare 1/σ̃ with 1/σ and with the batch's std; both ratios of steps must be below 1 at every overlap."""
    count, measured = number_of_seeds(budget) * (2 if tuned else 1), []
    arms = {overlap: _overlap_arms(budget, overlap, count, tuned=tuned) for overlap in overlaps}
    for overlap, by_method in arms.items():
        for other, symbol in (("grpo", "1/σ"), ("batch", "1/σ_batch")):
            name = f"steps of 1/σ̃ over {symbol} at overlap {overlap:g}"
            measured.append(
                ratio_of(name, by_method["interference"], by_method[other], 2 * len(arms), 0.0, FEWER)
            )
    every = [arm for by_method in arms.values() for arm in by_method.values()]
    medians = ", ".join(
        "/".join(f"{np.median(arm.steps):.1f}" for arm in by_method.values()) for by_method in arms.values()
    )
    told = f"Median steps of none/batch/σ/σ̃ by overlap: {medians}; {told_of(every, count)}"
    return judge_interval(measured, len(every) * count, told)


@CLAIMS.claim(
    id="H1-certified",
    statement="""At certified steps a ∝ 1/σ̃ reaches mean J = .6 in fewer steps than 1/σ and than the batch's std, at
    overlaps .2, .4 and .6 (n = 16, K = 6).""",
    source="Ours, theory H1",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_interference_std_does_not_beat_the_reward_std",
    figure="normaliser_shootout",
)
def h1_certified(budget: Budget) -> Outcome:
    """Certify every step anew (theory B1); Student intervals of the mean log ratio, paired by seed."""
    return _beats(budget, (0.2, 0.4, 0.6), tuned=False)


@CLAIMS.claim(
    id="H1-tuned",
    statement="""At best-tuned constant steps a ∝ 1/σ̃ reaches mean J = .6 in fewer steps than 1/σ and than the batch's
    std, at overlaps .4 and .6 (n = 16, K = 6; at .2 a tuned first step, alike for all, is enough).""",
    source="Ours, theory H1",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_interference_std_does_not_beat_the_reward_std",
    figure="normaliser_shootout",
)
def h1_tuned(budget: Budget) -> Outcome:
    """Tune every method on one grid and other seeds."""
    return _beats(budget, (0.4, 0.6), tuned=True)


@CLAIMS.claim(
    id="H2-exponent",
    statement="""The exponent e that maximises D4's ratio (ΣE⟨g,ĝ⟩)²/(ΣσE‖ĝ‖²) over two-arm prompts depends on G, for
    every profile of success rates, and for every G on the profile: on how unlike prompts are (H2-near-one).""",
    source="Ours, theory H2",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_best_exponent_depends_on_group_size_and_profile",
)
def h2_exponent(budget: Budget) -> Outcome:
    """Maximise exact sums over e in [0, 4]; a spread of more than 1/20 counts."""
    from curvature.groups import best_exponent

    sizes = (4, 8, 16, 64)
    best = {name: [best_exponent(success, G) for G in sizes] for name, success in PROFILES.items()}
    table = np.array(list(best.values()))
    measured = [
        Measured(f"spread of e over G, {name}", exactly(np.ptp(row)), 0.05) for name, row in best.items()
    ]
    measured += [
        Measured(f"over profiles, G = {G}", exactly(np.ptp(table[:, k])), 0.05) for k, G in enumerate(sizes)
    ]
    told = "; ".join(f"{name} {'/'.join(f'{e:.2f}' for e in row)}" for name, row in best.items())
    return judge_interval(measured, table.size, f"Best e for G = 4/8/16/64: {told}")


@CLAIMS.claim(
    id="H2-near-one",
    statement="""As first conjectured: where p(1 − p) is within a factor 2 of 1/G, e = 1 is near-optimal for D4's ratio,
    with at least 99 % of the best, for G = 8, 16, 64. (What decides is not 1/G but how unlike prompts are.)""",
    source="Ours, theory H2",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_exponent_one_is_near_optimal_around_one_success_a_group",
)
def h2_near_one(budget: Budget) -> Outcome:
    """Compare e = 1 with the best e on 64 prompts of p(1 − p) log-uniform in [1/(2G), 2/G], p < 1/2."""
    from curvature.advantages import Normalization
    from curvature.groups import best_exponent, gain_ratio

    measured, told = [], []
    for G in (8, 16, 64):
        variance = np.minimum(np.geomspace(0.5 / G, 2 / G, 64), 0.25)
        success = 0.5 - np.sqrt(0.25 - variance)
        e = best_exponent(success, G)
        share = gain_ratio(success, G, "grpo", Normalization(exponent=e))
        measured.append(Measured(f"share at G = {G}", exactly(share, 64), 0.99))
        told.append(f"{e:.2f}")
    spread = "; ".join(
        f"{'/'.join(f'{e:.2f}' for e in best)} at {sd:g}" for sd, best in exponents_by_spread().items()
    )
    return judge_interval(
        measured,
        3 * 64,
        f"Best e {', '.join(told)}. With log-odds normal about p(1 − p) = 1/G it is {spread}, "
        "their sd over prompts: near 2 where prompts are alike, and less the more they differ",
    )


@CLAIMS.claim(
    id="H2-commit",
    statement="""With sampled gradients e = 2 may commit to a wrong response: with rewards 1, .9 and 0, p = .02, .18 and
    .8 at the start, G = 2 and a long step, more than 1 % of runs end with > .99 on the second-best response.""",
    source="Ours, theory H2",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_sampled_runs_may_commit_to_a_wrong_response_at_any_exponent",
)
def h2_commit(budget: Budget) -> Outcome:
    """Count runs with less than a tenth of the start left on the best response, for e = 0 and 1 as well."""
    runs = 400 if budget.instances >= 4000 else 150
    seeds = seeds_of(budget, "H2-commit", runs)
    shares = [committed_share(e, seeds) for e in (0.0, 1.0, 2.0)]
    told = "; ".join(f"e = {e} {shares[e]}" for e in (0, 1))
    most = "more" if shares[0].low > shares[2].high else "not clearly more"
    told += f" at steps that are equal at the start: REINFORCE commits {most} often; {runs} seeds"
    return judge_interval([Measured("share at e = 2", shares[2], 0.01)], 3 * runs, f"Others: {told}")


@CLAIMS.claim(
    id="H3",
    statement="""GRPO's measured speed-up over REINFORCE differs between best-tuned constant steps and certified steps
    by more than 5 % in one of four settings: overlap .3 and .6, equal and unequal difficulty at the start.""",
    source="Ours, theory H3",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_tuned_speedup_differs_from_the_certified_one",
    figure="race",
)
def h3(budget: Budget) -> Outcome:
    """Pair the two speed-ups by seed."""
    count, measured, told, arms = 3 * number_of_seeds(budget), [], [], []
    for overlap in (0.3, 0.6):
        for spread in (0.0, 1.5):
            measuring = overlapping(seeds_of(budget, "H3", count), overlap, spread=spread)
            tuning = overlapping(seeds_of(budget, "H3, tuning", 12), overlap, spread=spread)
            certified = [certified_arm(measuring, method, 400) for method in ("reinforce", "grpo")]
            tuned = [
                tuned_arm(tuning, measuring, method, MULTIPLES, 100, unit=certified_unit)
                for method in ("reinforce", "grpo")
            ]
            gains = [np.log(a.steps / b.steps) for a, b in (certified, tuned)]
            name = f"overlap {overlap:g}, {'unequal' if spread else 'equal'}"
            change = mean_interval(gains[1] - gains[0], together=4).exp()
            measured.append(Measured(f"tuned over certified speed-up, {name}", change, 1 - ALIKE, 1 + ALIKE))
            told.append(" → ".join(f"{mean_interval(gain).exp()}" for gain in gains))
            arms += [*certified, *tuned]
    return judge_difference(
        measured,
        len(arms) * count,
        f"Speed-ups, certified → tuned: {'; '.join(told)}; {told_of(arms, count)}",
    )


def adam(weighting: Any, memory: float = 0.999) -> Method:
    """Adam on a weighted gradient, with its second decay rate."""
    from curvature.ascent import METHODS

    return replace(METHODS["adam"], weighting=weighting, beta2=memory)


def adam_arms(
    measuring: Sequence[LogLinearBandit],
    tuning: Sequence[LogLinearBandit] | None = None,
    memory: float = 0.999,
) -> dict[str, Arm]:
    """Measure steps to mean J = .9 without weights, with the batch's std and with 1/σ: at one small rate, or tuned."""
    arms = {}
    for weighting in ("none", "batch", "power"):
        method = adam(weighting, memory)
        if tuning is None:
            arms[weighting] = constant_arm(measuring, method, SMALL_RATE, 1000, 0.9)
        else:
            arms[weighting] = tuned_arm(tuning, measuring, method, LEARNING_RATES, 200, target=0.9)
    return arms


def _under_adam(budget: Budget, *, rotate: bool) -> Outcome:
    """Judge both factors at the small learning rate and at tuned ones."""
    count, measured, told = number_of_seeds(budget), [], []
    measuring = unequal_arms(seeds_of(budget, "H4", count), rotate=rotate)
    tuning = unequal_arms(seeds_of(budget, "H4, tuning", 6), rotate=rotate)
    for name, tuned_on in (("small rate", None), ("tuned rate", tuning)):
        arms = adam_arms(measuring, tuned_on)
        measured += [
            ratio_of(f"batch over none, {name}", arms["batch"], arms["none"], 4, 1 - ALIKE, 1 + ALIKE),
            ratio_of(f"1/σ over none, {name}", arms["power"], arms["none"], 4, 0.0, 1 - ALIKE),
        ]
        medians = "/".join(f"{np.median(arm.steps):.1f}" for arm in arms.values())
        short = sum(arm.censored for arm in arms.values())
        told.append(f"{name}: median steps none/batch/σ {medians}, {short} short")
    return judge_interval(measured, 6 * count, f"{'; '.join(told)}; {count} seeds, 95 % together")


@CLAIMS.claim(
    id="H4",
    statement="""Under Adam (β₂ = .999) only the across-prompts factor survives: the batch's std changes the steps by
    less than 5 % and 1/σ saves more than 5 %, at one small learning rate and at tuned ones (orthogonal two-arm prompts
    of unequal difficulty, in rotated coordinates).""",
    source="Ours, theory H4",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_adam_keeps_a_part_of_the_factor_across_iterations",
)
def h4(budget: Budget) -> Outcome:
    """Compare steps to mean J = .9, paired by seed."""
    return _under_adam(budget, rotate=True)


@CLAIMS.claim(
    id="H4-axes",
    statement="H4 in coordinates of which each prompt has its own, where Adam normalises every prompt by itself.",
    source="Ours, theory H4",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_adam_takes_the_factor_across_prompts_where_prompts_have_their_own_coordinates",
)
def h4_axes(budget: Budget) -> Outcome:
    """Repeat the runs, not rotated."""
    return _under_adam(budget, rotate=False)


@CLAIMS.claim(
    id="H4-memory",
    statement="""What the batch's std still saves under Adam is Adam's memory: with β₂ = .9 it changes the steps by less
    than 5 %, with β₂ = .999 it saves more than 5 %, at one small learning rate (the prompts of H4, rotated).""",
    source="Ours, theory H4",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_adam_keeps_a_part_of_the_factor_across_iterations",
)
def h4_memory(budget: Budget) -> Outcome:
    """Compare two decay rates: a normaliser that averages over the whole run lags behind shrinking gradients."""
    count = number_of_seeds(budget)
    measuring = unequal_arms(seeds_of(budget, "H4", count), rotate=True)
    measured = []
    for memory, low, high in ((0.9, 1 - ALIKE, 1 + ALIKE), (0.999, 0.0, 1 - ALIKE)):
        arms = adam_arms(measuring, memory=memory)
        name = f"batch over none, β₂ = {memory:g}"
        measured.append(ratio_of(name, arms["batch"], arms["none"], 2, low, high))
    return judge_interval(measured, 4 * count, f"{count} seeds, 95 % together")


THRESHOLDS = {"H6": 3 / 8, "H6-ours": 0.29737}
"""Mean σ below which the paper's condition, and ours with binary smoothness, promise GRPO the better bound."""
STARTS = {"mid": (-0.5, 0.5), "hard": (-3.0, -2.0), "mixed": (-3.0, 1.0)}
GAP, SHARE = 0.02, 0.1


def gap_and_crossing(
    bandits: Sequence[LogLinearBandit], threshold: float, num_steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find when GRPO leads REINFORCE by 2 points, and when σ averaged over its run so far is below a threshold."""
    from curvature.ascent import ascend, certified_constant_step

    traces = {
        method: ascend(
            bandits,
            method,
            step=SHARE * certified_constant_step(bandits[0], method),
            num_steps=num_steps,
            record=["expected_reward", "reward_std"],
            progress=False,
        )
        for method in ("reinforce", "grpo")
    }
    lead = traces["grpo"]["expected_reward"] - traces["reinforce"]["expected_reward"]
    std = traces["grpo"]["reward_std"]
    so_far = np.cumsum(std, axis=1) / np.arange(1, std.shape[1] + 1)
    opens, crosses = (
        np.where(met.any(axis=1), met.argmax(axis=1), num_steps).astype(np.float64)
        for met in (lead > GAP, so_far < threshold)
    )
    return opens, crosses


def _gap_opens(budget: Budget, threshold: float) -> Outcome:
    """Compare both times, counted from 1, as a ratio: within a factor 1.25 on average is "when"."""
    count, measured, told = number_of_seeds(budget), [], []
    for name, (low, high) in STARTS.items():
        bandits = [
            LogLinearBandit.from_success_rates(
                1 / (1 + np.exp(-np.random.default_rng([seed, 3]).uniform(low, high, 32)))
            )
            for seed in seeds_of(budget, "H6", count)
        ]
        opens, crosses = gap_and_crossing(bandits, threshold, 600)
        ratio = mean_interval(np.log((opens + 1) / (crosses + 1)), together=len(STARTS)).exp()
        measured.append(Measured(f"(opening + 1)/(crossing + 1), {name}", ratio, 0.8, 1.25))
        told.append(f"{name}: gap at {opens.mean():.1f}, criterion at {crosses.mean():.1f}")
    return judge_interval(
        measured, 2 * count * len(STARTS), f"Mean steps, {'; '.join(told)}; {count} seeds, 95 % together"
    )


@CLAIMS.claim(
    id="H6",
    statement="""GRPO's lead in accuracy opens (exceeds 2 points) when (8/3)·mean σ, over prompts and iterations so far,
    falls below 1: orthogonal two-arm prompts, 1/10 of the certified constant steps, three starts;
    "when" is within a factor 1.25 in steps.""",
    source="Ours, theory H6; the condition is that of Thm 3.2, arXiv:2601.23135v1",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_gap_does_not_open_where_mean_std_crosses_a_threshold",
)
def h6(budget: Budget) -> Outcome:
    """Run at certified steps, whose ratio is that of the paper's, 1/X² and 1/(2X²)."""
    return _gap_opens(budget, THRESHOLDS["H6"])


@CLAIMS.claim(
    id="H6-ours",
    statement="GRPO's lead in accuracy opens (exceeds 2 points) when 3.3628·mean σ falls below 1, all else as in H6.",
    source="Ours, theory H6",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_gap_does_not_open_where_mean_std_crosses_a_threshold",
)
def h6_ours(budget: Budget) -> Outcome:
    """With C1's smoothness in place of the paper's."""
    return _gap_opens(budget, THRESHOLDS["H6-ours"])
