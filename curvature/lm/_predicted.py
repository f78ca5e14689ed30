"""Forecasts for the runs at hand: the time scale fitted to the reference, and steps to targets of every arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.lm._forecast import FORECAST_ARMS, Curve, Forecast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from curvature.lm._runs import Run

    Array = NDArray[np.float64]

__all__ = ["Model", "Solution", "certified"]


@dataclass(frozen=True)
class Solution:
    """One distribution solved: curves of arms, the fitted log time scale, log ratios to each target by arm.

    The ratios are at the learning rates that the runs used, and as if every arm had used the reference's.
    """

    curves: dict[str, Curve]
    log_scale: float
    log_ratio: dict[str, Array]
    log_ratio_at_one_rate: dict[str, Array]


class Model:
    """Forecasts for the runs at hand; each distribution is solved once for all functionals."""

    def __init__(self, of: Mapping[str, Mapping[int, Run]], reference: str, targets: Array, G: int) -> None:
        if reference not in FORECAST_ARMS:
            raise ValueError(f"the reference is {reference!r}; forecasts are for {', '.join(FORECAST_ARMS)}.")
        self.reference, self.targets, self.G = reference, targets, G
        self.arms = [arm for arm in of if arm in FORECAST_ARMS]
        self.others = [arm for arm in self.arms if arm != reference]
        first = {arm: next(iter(each.values())) for arm, each in of.items()}
        self.optimizer = first[reference].optimizer
        # Learning rate spent before each step.
        self.spent = {arm: np.append(0.0, np.cumsum(run.learning_rate)) for arm, run in first.items()}
        self.measured = np.mean([run.success for run in of[reference].values()], axis=0)
        self._forecasts: dict[bytes, Forecast] = {}
        self._solved: dict[tuple[bytes, bytes], Solution] = {}

    def solve(self, at: Any) -> Solution:
        """Solve a distribution."""
        key = at.support.tobytes(), at.weights.tobytes()
        if key not in self._solved:
            if key[0] not in self._forecasts:
                self._forecasts[key[0]] = Forecast(at.support, self.G, self.optimizer)
            forecast = self._forecasts[key[0]]
            curves = {arm: forecast.curve(arm, at.weights) for arm in self.arms}
            log_scale = self._fitted(curves[self.reference])
            own = {arm: self._steps(arm, curve, log_scale) for arm, curve in curves.items()}
            alike = {arm: self._steps(self.reference, curve, log_scale) for arm, curve in curves.items()}
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio, at_one = (
                    {arm: np.log(steps[self.reference] / steps[arm]) for arm in self.others}
                    for steps in (own, alike)
                )
            self._solved[key] = Solution(curves, log_scale, ratio, at_one)
        return self._solved[key]

    def last_fit(self, counts: Any, sizes: Any) -> tuple[Any, Solution]:
        """Return the central fit and its solution."""
        from curvature.groups import fit_success_distribution

        fit = fit_success_distribution(counts, sizes, method="smooth")
        return fit, self.solve(fit)

    def predicted(self, arm: str, solution: Solution) -> Array:
        """Forecast mean success at each step, (T,)."""
        return solution.curves[arm].at(np.exp(solution.log_scale) * self.spent[arm][:-1])

    def _fitted(self, curve: Curve) -> float:
        """Log of the time scale by least squares: a coarse search, then a fine one."""
        from scipy.optimize import minimize_scalar

        spent = self.spent[self.reference][:-1]

        def error(log_scale: float) -> float:
            return float(np.sum((curve.at(np.exp(log_scale) * spent) - self.measured) ** 2))

        middle = np.log(curve.clock[len(curve.clock) // 2] / max(spent[-1], 1e-300))
        grid = middle + np.linspace(-12, 12, 97)
        best = grid[np.argmin([error(at) for at in grid])]
        found: Any = minimize_scalar(error, bounds=(best - 0.25, best + 0.25), method="bounded")
        return float(found.x)

    def _steps(self, arm: str, curve: Curve, log_scale: float) -> Array:
        """Count steps to each target; beyond the run's end at its last learning rate."""
        spent = self.spent[arm]
        needed = curve.when(self.targets) / np.exp(log_scale)
        last = spent[-1] - spent[-2]
        beyond = (
            np.maximum(needed - spent[-1], 0) / last
            if last > 0
            else np.where(needed > spent[-1], np.inf, 0.0)
        )
        return np.interp(needed, spent, np.arange(spent.size)) + beyond


def certified(fit: Any, targets: Array, group_size: int) -> dict[str, list[float]]:
    """Theory T4 at the start: the speed-up at certified steps and its two factors, for the targets it covers."""
    from curvature.rollouts._predictions import Target, solver

    J, ceiling = fit.success_mean, fit.mean(lambda p: p > 0)
    covered = [
        Target("", float(goal), (goal - J) / (ceiling - J))
        for goal in targets
        if 0 < (goal - J) / (ceiling - J) < 0.995
    ]
    if not covered:
        return {"target": [], "speedup": [], "iterations": [], "prompts": []}
    found = solver(tuple(covered), group_size)(fit)
    parts = {
        part: [float(x) for x in found[f"{part}_finite"]] for part in ("speedup", "iterations", "prompts")
    }
    return {"target": [one.success for one in covered], **parts}
