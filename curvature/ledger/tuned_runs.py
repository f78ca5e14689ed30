"""Arms of a race between methods: certified or tuned alike on other seeds, with steps to a target, one number a seed.

Both arms of a comparison are tuned on the same grid of multiples of each method's own certified step at the start (so
that a constant factor of the weights cancels), by the mean logarithm of steps on tuning seeds, and measured on
other seeds. Steps to a target are interpolated; a run that does not get there counts as one that got there at its
end, which makes a ratio of two methods understate their difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from curvature.bandit import LogLinearBandit
from curvature.ledger.empirical import Measured, mean_interval
from curvature.ledger.ours_flow import crossing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from curvature.ascent import Method
    from curvature.ledger.budget import Budget

PROMPTS, RESPONSES, TARGET = 16, 6, 0.6
MULTIPLES = 2.0 ** np.arange(-1, 10, 0.5)


class Arm(NamedTuple):
    """Steps of one method, one number a seed.

    Attributes
    ----------
    steps : ndarray, shape (seeds,)
        To the target.
    choice : float
        The tuned multiple of the certified step, or learning rate; NaN where nothing was tuned.
    censored : int
        Runs that did not reach the target.
    """

    steps: NDArray[np.float64]
    choice: float
    censored: int


def number_of_seeds(budget: Budget) -> int:
    """Seeds that measure: 12, or 8 for a budget of fewer than 4,000 instances."""
    return 12 if budget.instances >= 4000 else 8


def seeds_of(budget: Budget, name: str, count: int) -> list[int]:
    """Seeds that belong to the budget's seed and a name."""
    return budget.generator(name).integers(2**31, size=count).tolist()


def run_steps(
    bandits: Sequence[LogLinearBandit], method: str | Method, step: Any, num_steps: int, target: float
) -> tuple[NDArray[np.float64], int]:
    """Count steps to the target, censored at the end of the run, and how many were."""
    from curvature.ascent import ascend

    trace = ascend(
        bandits, method, step=step, num_steps=num_steps, record=["expected_reward"], progress=False
    )
    steps = crossing(np.nan_to_num(trace["expected_reward"]), target)
    return np.minimum(steps, num_steps), int(np.isinf(steps).sum())


def certified_arm(
    bandits: Sequence[LogLinearBandit], method: str | Method, num_steps: int, target: float = TARGET
) -> Arm:
    """Run a method at the step of the largest certified gain (theory B1) of every iteration."""
    steps, censored = run_steps(bandits, method, "certified", num_steps, target)
    return Arm(steps, float("nan"), censored)


def constant_arm(
    bandits: Sequence[LogLinearBandit], method: str | Method, step: Any, num_steps: int, target: float
) -> Arm:
    """Run a method at given constant steps."""
    steps, censored = run_steps(bandits, method, step, num_steps, target)
    return Arm(steps, float("nan"), censored)


def tuned_arm(
    tuning: Sequence[LogLinearBandit],
    measuring: Sequence[LogLinearBandit],
    method: str | Method,
    grid: NDArray[np.float64],
    num_steps: int,
    *,
    unit: Callable[[LogLinearBandit, Any], float] | None = None,
    target: float = TARGET,
) -> Arm:
    """Choose the constant step of least mean log steps on some bandits, and measure it on others."""

    def units(bandits: Sequence[LogLinearBandit]) -> NDArray[np.float64]:
        return np.array([1.0 if unit is None else unit(bandit, method) for bandit in bandits])

    every = [bandit for bandit in tuning for _ in grid]
    tried, _ = run_steps(every, method, np.outer(units(tuning), grid).ravel(), num_steps, target)
    choice = float(grid[np.argmin(np.log(tried.reshape(-1, len(grid))).mean(axis=0))])
    steps, censored = run_steps(measuring, method, choice * units(measuring), num_steps, target)
    return Arm(steps, choice, censored)


def certified_unit(bandit: LogLinearBandit, method: Any) -> float:
    """Compute the certified step of a method at θ = 0."""
    from curvature.ascent import prompt_weights
    from curvature.interference import certified_step

    theta = np.zeros(bandit.dimension)
    return float(certified_step(bandit, theta, prompt_weights(bandit, theta, method)).step)


def ratio_of(name: str, arm: Arm, other: Arm, together: int, low: float, high: float) -> Measured:
    """Ratio of two arms' steps, paired by seed, with the range that a claim gives it."""
    interval = mean_interval(np.log(arm.steps / other.steps), together=together).exp()
    return Measured(name, interval, low, high)


def overlapping(seeds: Sequence[int], overlap: float, *, spread: float = 0.0) -> list[LogLinearBandit]:
    """Bandits of 16 prompts and 6 responses, one correct; with a spread, of unequal difficulty at θ = 0."""
    bandits = []
    for seed in seeds:
        drawn = LogLinearBandit.overlapping(PROMPTS, RESPONSES, overlap, seed=seed)
        tilt = spread * np.random.default_rng([seed, 1]).standard_normal((PROMPTS, 1))
        bandits.append(LogLinearBandit(drawn.features, drawn.rewards, tilt * drawn.rewards))
    return bandits


def unequal_arms(seeds: Sequence[int], *, rotate: bool) -> list[LogLinearBandit]:
    """Orthogonal two-arm prompts of log-odds uniform in [−4, 2], in their own coordinates or in rotated ones."""
    bandits = []
    for seed in seeds:
        odds = np.random.default_rng([seed, 2]).uniform(-4, 2, PROMPTS)
        plain = LogLinearBandit.from_success_rates(1 / (1 + np.exp(-odds)))
        bandits.append(rotated(plain, seed) if rotate else plain)
    return bandits


def rotated(bandit: LogLinearBandit, seed: int) -> LogLinearBandit:
    """Return the same bandit in rotated coordinates: nothing changes but for a coordinatewise optimiser."""
    from scipy.stats import ortho_group

    basis = ortho_group.rvs(bandit.dimension, random_state=seed)
    return LogLinearBandit(bandit.features @ basis, bandit.rewards, bandit.base_logits)


def told_of(arms: Sequence[Arm], seeds: int) -> str:
    """Say how many seeds there were, how many runs fell short, and how many arms were tuned to an end of the grid."""
    censored = sum(arm.censored for arm in arms)
    at_end = [arm.choice for arm in arms if arm.choice in {MULTIPLES[0], MULTIPLES[-1]}]
    ends = f", {len(at_end)} tuned to an end of the grid" if at_end else ""
    return f"{seeds} seeds, {censored} runs short of the target{ends}; 95 % together"
