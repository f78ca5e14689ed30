"""Our exactly solvable case: two arms under small steps, and what discrete runs make of it (theory II.6)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.ledger.empirical import Interval, Measured, judge_interval, slope_interval
from curvature.ledger.evidence import Evidence
from curvature.ledger.registry import CLAIMS
from curvature.ledger.verdicts import Outcome, judge_identity, judge_upper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from curvature.ledger.budget import Budget

SECTION = "Ours — two arms, exactly solvable"
TESTS = "tests/theory/test_section_flow.py"

CERTIFIED = {0: 8 * math.log(2), 1: 4 * math.log(2), 2: 2 * math.log(2)}
"""αD² by exponent e: theory T2 with σ_max = 1/2, and T1. For e = 2 no constant step is certified: the value is the
one that αD²σ^(1−e) = 4 log 2 gives at σ = 1/2, and only sets the clock."""
TAIL = {0: -1.0, 1: -2.0}
ESCAPE = {0: -1.0, 1: -0.5}
GROUPS = (2, 4, 8, 16)


@CLAIMS.claim(
    id="II.6-flow",
    statement="""For two arms dp/dt = αD²(p(1 − p))^(2 − e/2) gives αD²t = F(p) − F(p₀) with F = (2p − 1)/(p(1 − p)) +
    2 log(p/(1 − p)) for e = 0, 2(2p − 1)/√(p(1 − p)) for e = 1, log(p/(1 − p)) for e = 2.""",
    source="Ours, theory II.6",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_closed_forms_are_the_integral_and_solve_the_equation",
    figure="exact_rates",
    proofs=["II.6-flow"],
)
def flow(budget: Budget) -> Outcome:
    """Compare with adaptive quadrature of dp/(p(1 − p))^(2 − e/2), and with an integrator of the equation."""
    rng = budget.generator("II.6-flow")
    errors = []
    pairs = np.sort(1 / (1 + np.exp(-rng.uniform(-7, 7, (min(200, budget.instances), 2)))), axis=1)
    for e in (0, 1, 2):
        errors += [quadrature_error(p0, p, e) for p0, p in pairs]
        errors += [integration_error(p0, p, e) for p0, p in pairs[:10]]
    return judge_identity(
        max(errors), 1e-7, len(errors), "against quadrature in p and an integrator of order 8."
    )


def closed_form(p: float, exponent: int) -> float:
    """F of the statement, as it is written."""
    V, odds = p * (1 - p), math.log(p / (1 - p))
    return {0: (2 * p - 1) / V + 2 * odds, 1: 2 * (2 * p - 1) / math.sqrt(V), 2: odds}[exponent]


def quadrature_error(p0: float, p: float, exponent: int) -> float:
    """Relative error of F(p) − F(p₀), and of the library's time, against quadrature."""
    from scipy.integrate import quad

    from curvature.flow import time_to_success

    def slowness(q: float) -> float:
        return (q * (1 - q)) ** (exponent / 2 - 2)

    exact: Any = quad(slowness, p0, p, epsabs=0, epsrel=1e-11, limit=400)
    time = exact[0]
    stated = closed_form(p, exponent) - closed_form(p0, exponent)
    computed = float(time_to_success(p0, p, exponent=exponent))
    # The stated difference cancels where p is close to p₀.
    size = abs(closed_form(p, exponent)) + abs(closed_form(p0, exponent))
    return max(abs(stated - time) / max(time, 1e-6 * size), abs(computed - time) / time)


def integration_error(p0: float, p: float, exponent: int) -> float:
    """Error of the success rate that an integrator reaches at the stated time, as a share of p(1 − p)."""
    from scipy.integrate import solve_ivp

    def velocity(time: float, q: Any) -> Any:
        return (q * (1 - q)) ** (2 - exponent / 2)

    time = closed_form(p, exponent) - closed_form(p0, exponent)
    run: Any = solve_ivp(velocity, (0, time), [p0], method="DOP853", rtol=1e-12, atol=1e-16)
    # Near the start of a long escape p is ill-conditioned in t, by the ratio of the velocities.
    gain = max(1.0, float(velocity(0, p) / velocity(0, p0)))
    return abs(float(run.y[0, -1]) - p) / (p * (1 - p) * gain)


@CLAIMS.claim(
    id="II.6-discrete",
    statement="""Runs of REINFORCE and GRPO at 1/100 of the certified step reach .01 → .5, .9, .99 at the times of the
    flow: steps × 1/100 is within 1 % of it.""",
    source="Ours, theory II.6",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_small_steps_follow_the_flow",
    figure="exact_rates",
)
def discrete(budget: Budget) -> Outcome:
    """Run the engine on the bandit, not the recursion of p, and interpolate the crossing."""
    from curvature.flow import time_to_success

    share, errors = 0.01, []
    for e in (0, 1):
        for target in (0.5, 0.9, 0.99):
            flow_time = float(time_to_success(0.01, target, exponent=e, rate=CERTIFIED[e]))
            steps = steps_of_runs([0.01], target, e, share, math.ceil(1.1 * flow_time / share))[0]
            errors.append(abs(steps * share / flow_time - 1))
    worst = max(errors)
    return judge_upper(
        Evidence(worst, 0.01, worst / 0.01, len(errors)),
        f"largest relative difference {worst:.1e}.",
        report_looseness=False,
    )


def steps_of_runs(
    starts: Sequence[float], target: float, exponent: int, share: float, num_steps: int
) -> NDArray[np.float64]:
    """Run single prompts with exact gradients: steps to a target, with the fraction of the last."""
    from curvature.ascent import ascend
    from curvature.bandit import LogLinearBandit

    bandits = [LogLinearBandit.two_arm([p]) for p in starts]
    method = ("reinforce", "grpo", "variance")[exponent]
    trace = ascend(
        bandits,
        method,
        step=share * CERTIFIED[exponent],
        num_steps=num_steps,
        record=["expected_reward"],
        progress=False,
    )
    return crossing(trace["expected_reward"], target)


def crossing(series: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """First time at which each row reaches a level, linear in between; infinite where it does not."""
    reached = series >= level
    at = np.where(reached.any(axis=1), reached.argmax(axis=1), -1)
    rows = np.arange(len(series))
    before, after = series[rows, np.maximum(at - 1, 0)], series[rows, at]
    part = np.where(at > 0, (level - before) / np.where(after > before, after - before, 1.0), 0.0)
    return np.where(at < 0, np.inf, np.maximum(at - 1, 0) + part)


@CLAIMS.claim(
    id="II.6-tail",
    statement="""Discrete runs end like the flow: at certified steps 1 − p ~ 1/t for e = 0 and 1/t² for e = 1, and for
    e = 2, at αD² = 2 log 2, log(1 − p) falls by αD² a step (fitted exponents within 1 %).""",
    source="Ours, theory II.6",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_tail_exponents_are_fitted_within_one_per_cent",
    figure="exact_rates",
)
def tail(budget: Budget) -> Outcome:
    """Fit log(1 − p) on log t over the last decade of 20,000 steps; for e = 2 on t, between 1e−2 and 1e−12."""
    measured = [
        Measured(f"e = {e}, exponent", tail_exponent(e), 1.01 * value, 0.99 * value)
        for e, value in TAIL.items()
    ]
    measured.append(Measured("e = 2, rate/(αD²)", exponential_rate(), -1.01, -0.99))
    return judge_interval(measured, 3, "Intervals are of the fit, 95 % together")


def tail_exponent(exponent: int, num_steps: int = 20_000) -> Interval:
    """Slope of log(1 − p) against log t on 30 points of the last decade of a run from p₀ = 1/2."""
    failure = 1 - _success(0.5, exponent, num_steps)
    times = np.unique(np.geomspace(num_steps / 10, num_steps, 30).astype(int))
    return slope_interval(np.log(times), np.log(failure[times]), together=3)


def exponential_rate() -> Interval:
    """Slope of log(1 − p) against αD²t for e = 2."""
    failure = 1 - _success(0.5, 2, 40)
    times = np.flatnonzero((failure < 1e-2) & (failure > 1e-12))
    return slope_interval(CERTIFIED[2] * times, np.log(failure[times]), together=3)


def _success(start: float, exponent: int, num_steps: int) -> NDArray[np.float64]:
    from curvature.ascent import ascend
    from curvature.bandit import LogLinearBandit

    trace = ascend(
        LogLinearBandit.two_arm([start]),
        ("reinforce", "grpo", "variance")[exponent],
        step=CERTIFIED[exponent],
        num_steps=num_steps,
        record=["expected_reward"],
        progress=False,
    )
    return trace["expected_reward"][0]


@CLAIMS.claim(
    id="II.6-escape",
    statement="""Discrete runs need ~ 1/p₀ steps to reach 1/2 for e = 0 and ~ 1/√p₀ for e = 1, at certified steps, and
    log(1/p₀)/(αD²) for e = 2 (fitted exponents within 1 %).""",
    source="Ours, theory II.6",
    section=SECTION,
    kind="empirical",
    test=f"{TESTS}::test_escape_exponents_are_fitted_within_one_per_cent",
    figure="exact_rates",
)
def escape(budget: Budget) -> Outcome:
    """Fit log steps on log p₀ over 8 starts from 1e−4 to 1e−5 (e = 0), or from 1e−6 to 1e−9 (e = 1)."""
    measured = [
        Measured(f"e = {e}, exponent", escape_exponent(e), 1.01 * value, 0.99 * value)
        for e, value in ESCAPE.items()
    ]
    measured.append(Measured("e = 2, αD²·steps per log(1/p₀)", logarithmic_escape(), 0.99, 1.01))
    return judge_interval(measured, 32, "Intervals are of the fit, 95 % together")


def escape_exponent(exponent: int, num_starts: int = 8) -> Interval:
    """Slope of log steps against log p₀."""
    highest, lowest = ((1e-4, 1e-5), (1e-6, 1e-9))[exponent]
    starts = np.geomspace(highest, lowest, num_starts)
    steps = steps_of_runs(starts.tolist(), 0.5, exponent, 1.0, 25_000)
    return slope_interval(np.log(starts), np.log(steps), together=3)


def logarithmic_escape(num_starts: int = 16) -> Interval:
    """Slope of αD²·steps against log(1/p₀) for e = 2, at a tenth of the step, so that a step is a small part."""
    starts = np.geomspace(1e-3, 1e-7, num_starts)
    steps = steps_of_runs(starts.tolist(), 0.5, 2, 0.1, 300)
    return slope_interval(-np.log(starts), 0.1 * CERTIFIED[2] * steps, together=3)


@CLAIMS.claim(
    id="II.6-race",
    statement="""From p = .01 to .99 at certified steps (σ_max = 1/2) the flow predicts 39.0 steps for REINFORCE and
    14.2 for GRPO, 2.75 times fewer, and discrete runs take 39 and 15.""",
    source="Ours, theory II.6",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_race_takes_39_and_15_steps",
    figure="exact_rates",
    proofs=["II.6-race", "II.6-flow"],
)
def race(budget: Budget) -> Outcome:
    """Compute the five numbers; errors are in units of half of the last printed digit."""
    flow_times, steps = race_numbers()
    ratio = flow_times[0] / flow_times[1]
    stated, half_digit = np.array([39.0, 14.2, 2.75, 39, 15]), np.array([0.05, 0.05, 0.005, 0.5, 0.5])
    error = np.abs(np.array([*flow_times, ratio, *steps]) - stated) / half_digit
    between = [steps_of_runs([0.01], 0.99, e, 1.0, 60)[0] for e in (0, 1)]
    told = (
        f"flow {flow_times[0]:.3f} and {flow_times[1]:.3f} ({ratio:.3f} times), discrete {steps[0]:.0f} and "
        f"{steps[1]:.0f}, interpolated {between[0]:.2f} and {between[1]:.2f} ({between[0] / between[1]:.2f} times)."
    )
    return judge_identity(float(error.max()), 1.0, 5, told)


def race_numbers() -> tuple[list[float], list[float]]:
    """Compute times of the flow and whole steps of discrete runs, REINFORCE and GRPO, from .01 to .99."""
    from curvature.flow import time_to_success

    flow_times = [float(time_to_success(0.01, 0.99, exponent=e, rate=CERTIFIED[e])) for e in (0, 1)]
    steps = [float(np.argmax(_success(0.01, e, 60) >= 0.99)) for e in (0, 1)]
    return flow_times, steps


@CLAIMS.claim(
    id="II.6-fastest",
    statement="""For orthogonal two-arm prompts, if every step is certified for every prompt (αD²a_xσ_x ≤ 4 log 2), no
    weighting a ≥ 0, even one that changes with time, is ever ahead of GRPO on any prompt: discrete or in the flow.""",
    source="Ours, theory II.6 with T1",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_no_certified_weighting_is_ahead_of_grpo_on_any_prompt",
    proofs=["II.6-fastest"],
)
def fastest(budget: Budget) -> Outcome:
    """Race powers of σ, random weights and weights that favour one prompt, at whole and at small steps."""
    rng = budget.generator("II.6-fastest")
    starts = rng.uniform(-5, 3, (max(20, budget.instances // 50), 8))
    parts = []
    for share, num_steps in ((1.0, 60), (0.1, 300)):
        parts.extend(largest_lead(starts, weighting, share, num_steps) for weighting in weightings(rng))
    top = max(parts)
    return judge_upper(
        Evidence(top, 1.0, top, starts.size * len(parts)),
        "p of the weighting over p of GRPO, largest of all prompts and steps; z + 4 log 2·σ(z) increases in the "
        "log-odds z, so an order of log-odds is kept.",
        report_looseness=False,
    )


def weightings(rng: np.random.Generator) -> list[Callable[[NDArray[np.float64]], NDArray[np.float64]]]:
    """Weights as functions of the reward stds, (m, n) → (m, n)."""

    def power(e: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        return lambda std: std**-e

    def draw(std: NDArray[np.float64]) -> NDArray[np.float64]:
        return rng.exponential(size=std.shape) / std

    def favour(std: NDArray[np.float64]) -> NDArray[np.float64]:
        one = rng.integers(std.shape[1], size=len(std))
        return np.where(np.arange(std.shape[1]) == one[:, None], 1.0, 1e-3) / std

    return [power(0.0), power(0.5), power(1.5), power(2.0), draw, favour]


def largest_lead(
    starts: NDArray[np.float64],
    weighting: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    share: float,
    num_steps: int,
) -> float:
    """Run log-odds z ← z + αD²a_xσ_x² at shares of the running certified step: the largest p/p_GRPO."""
    own, grpo, lead = starts.copy(), starts.copy(), 0.0
    for _ in range(num_steps):
        std = 0.5 / np.cosh(own / 2)
        pull = weighting(std) * std
        own = own + share * CERTIFIED[1] * std * pull / pull.max(axis=1, keepdims=True)
        grpo = grpo + share * CERTIFIED[1] * 0.5 / np.cosh(grpo / 2)
        lead = max(lead, float(np.exp(np.logaddexp(0, -grpo) - np.logaddexp(0, -own)).max()))
    return lead


@CLAIMS.claim(
    id="II.6-finite-groups",
    statement="""With G samples a prompt, GRPO's expected weight a_G(p) tends to √(G − 1) as p → 0: the escape takes
    ~ 1/p₀ again, and is faster than REINFORCE's by √(G − 1), however small p₀ is.""",
    source="Ours, theory II.6 with D1",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_finite_groups_escape_like_reinforce_and_faster_by_a_constant",
    figure="exact_rates",
    proofs=["II.6-groups", "D1"],
)
def finite_groups(budget: Budget) -> Outcome:
    """Put a_G, exact for groups of G, in the flow from p₀ = 1e−8 and 1e−9."""
    errors, told = [], []
    for G in GROUPS:
        factor, exponent = finite_group_escape(G)
        errors += [abs(factor / math.sqrt(G - 1) - 1), abs(exponent + 1)]
        told.append(f"G = {G}: ×{factor:.4f}")
    return judge_identity(max(errors), 1e-3, len(errors), "; ".join(told) + ", exponent −1 to 1/1000.")


def finite_group_escape(group_size: int) -> tuple[float, float]:
    """How many times sooner than REINFORCE a_G escapes from p₀ = 1e−9, and the exponent of p₀ there."""
    from curvature.flow import time_to_success
    from curvature.groups import effective_weight

    def weight(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return effective_weight(p, group_size)

    early, late = (float(time_to_success(p0, 0.5, weight=weight)) for p0 in (1e-8, 1e-9))
    plain = float(time_to_success(1e-9, 0.5, exponent=0))
    return plain / late, math.log(late / early) / math.log(0.1)
