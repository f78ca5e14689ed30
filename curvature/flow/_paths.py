"""The paths of a profile's prompts under one run, and when their mean reaches a target.

Orthogonal prompts of weight σ^(−e) share nothing but the step, so in the clock dτ = αD²dt each follows the closed
form of the single prompt. What is left is the clock. For a constant step it is τ = αD²t. For the step certified at
every instant, αD² = 4c₀/max_x σ_x^(1 − e), the prompt with the largest σ^(1 − e) *leads*, and

    4c₀·dt = σ^(1 − e)·dτ = σ^(1 − e)·σ^(e − 2)·dz = dz/σ = d(4 sinh(z/2))

along the leader: it moves as GRPO would, whatever e is. For e < 1 the prompt with z nearest to 0 leads, for e > 1
the one farthest from 0, and the lead passes from one to the next where their z are opposite.

A batch-wide or a user's weight takes one system of ordinary differential equations in the log-odds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.flow import _odds
from curvature.flow._runs import CERTIFIED, Run, means, velocity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["chunks_of", "positions", "times_to"]

_ODE = {"method": "DOP853", "rtol": 1e-9, "atol": 1e-9}
# Steps after which a system of equations is taken never to reach its target; the solver's steps grow tenfold.
_NEVER = 1e60
# Log-odds advanced at a time, by closed forms and by quadrature.
_CHUNK, _QUADRATURE_CHUNK = 1 << 20, 1 << 13


def _own_exponent(run: Run) -> float | None:
    """Exponent whose closed forms the prompts follow, or None where a system of equations is needed."""
    if run.law is None and run.rate is None:
        # 1/σ_batch is the same for all prompts, so its certified step undoes it: REINFORCE's.
        return 0.0
    return run.law if isinstance(run.law, float) else None


@dataclass(frozen=True)
class _Clock:
    """The clock τ of closed forms against steps t: pieces from `clock[j]` and `time[j]` on, led from `odds[j]`."""

    exponent: float
    rate: float | None
    clock: Array
    time: Array
    odds: Array

    def at(self, times: Array) -> Array:
        """τ at steps t."""
        if self.rate is not None:
            return self.rate * times
        piece = np.searchsorted(self.time, times, side="right") - 1
        start = self.odds[piece]
        gap = _odds.advance(start, CERTIFIED * (times - self.time[piece]), 1.0)
        return self.clock[piece] + _odds.elapsed(start, gap, self.exponent)

    def steps_to(self, clocks: Array) -> Array:
        """Give the steps t at which the clock shows τ; inf if it never does."""
        if self.rate is not None:
            return clocks / self.rate
        piece = np.searchsorted(self.clock, clocks, side="right") - 1
        start = self.odds[piece]
        gap = _odds.advance(start, clocks - self.clock[piece], self.exponent)
        return self.time[piece] + _odds.elapsed(start, gap, 1.0) / CERTIFIED


def _clock_of(run: Run, exponent: float) -> _Clock:
    rate = CERTIFIED if run.rate is None and exponent == 1 else run.rate
    if rate is not None:
        return _Clock(exponent, rate, np.empty(0), np.empty(0), np.empty(0))
    z = np.sort(run.odds)
    if exponent > 1:
        z = z[[0, -1]] if z.size > 1 else z
    # F(z) is odd: prompts i and i + 1 are at opposite log-odds when τ = −(F_i + F_(i+1))/2.
    F = np.sign(z) * _odds.elapsed(np.zeros(z.shape), np.abs(z), exponent)
    switch = -(F[1:] + F[:-1]) / 2
    # The lead passes down the order for e < 1 and up for e > 1; passed already means it was never held.
    order = np.arange(z.size) if exponent > 1 else np.arange(z.size)[::-1]
    begin = np.concatenate([[0.0], np.maximum(switch if exponent > 1 else switch[::-1], 0.0)])
    end = np.concatenate([begin[1:], [np.inf]])
    held = end > begin
    order, begin = order[held], begin[held]
    start = z[order] + _odds.advance(z[order], begin, exponent)
    stop = z[order[:-1]] + _odds.advance(z[order[:-1]], begin[1:], exponent)
    lasted = _odds.elapsed(start[:-1], stop - start[:-1], 1.0) / CERTIFIED
    return _Clock(exponent, None, begin, np.concatenate([[0.0], np.cumsum(lasted)]), start)


def chunks_of(run: Run, times: Array) -> list[Array]:
    """Split times so that their positions take little memory; a system of equations is solved in one go."""
    exponent = _own_exponent(run)
    if exponent is None:
        return [times]
    most = _CHUNK if exponent in (0, 1, 2) else _QUADRATURE_CHUNK
    size = max(1, most // max(run.odds.size, 1))
    return [times[i : i + size] for i in range(0, times.size, size)]


def positions(run: Run, times: Array) -> Array:
    """Log-odds of the prompts that move, (T, live), at non-decreasing times."""
    if run.odds.size == 0:
        return np.empty((times.size, 0))
    exponent = _own_exponent(run)
    if exponent is not None:
        return _at_clock(run, exponent, _clock_of(run, exponent).at(times))
    result, z, now = np.empty((times.size, run.odds.size)), run.odds, 0.0
    for i, time in enumerate(times):
        # Not by the solver's interpolation, which a weight with kinks deceives.
        z, now = _moved(run, z, float(time) - now), float(time)
        result[i] = z
    return result


def _at_clock(run: Run, exponent: float, clocks: Array) -> Array:
    z, τ = np.broadcast_arrays(run.odds[None, :], clocks[:, None])
    return z + _odds.advance(z.ravel(), τ.ravel(), exponent).reshape(z.shape)


def _moved(run: Run, odds: Array, time: float) -> Array:
    return odds if time <= 0 else _integrate(run, odds, time).y[:, -1]


def _integrate(run: Run, odds: Array, time: float, **options: Any) -> Any:
    from scipy.integrate import solve_ivp

    solution = solve_ivp(lambda _, z: velocity(run, z), (0.0, time), odds, **_ODE, **options)
    if solution.status < 0:
        raise ArithmeticError(f"the flow could not be integrated up to step {time:g}: {solution.message}")
    return solution


def times_to(run: Run, targets: Array) -> Array:
    """Find the steps until the mean success rate first reaches each target, (k,); inf where it never does."""
    result = np.where(_lead(run, run.odds, targets) >= 0, 0.0, np.inf)
    exponent = _own_exponent(run)
    odds = np.array([
        _common_odds(run, target) if now else -np.inf for target, now in zip(targets, result, strict=True)
    ])
    # In a finite clock all prompts reach success 1 if e > 2, and only then.
    ends = exponent is not None and exponent > 2
    ahead = np.flatnonzero((result > 0) & ((odds < np.inf) | (ends & (1 - targets >= run.zeros))))
    if ahead.size == 0 or run.odds.size == 0:
        return result
    if exponent is None:
        result[ahead] = _times_of_system(run, targets[ahead])
    else:
        clocks = np.array([_clock_to(run, exponent, float(targets[i]), float(odds[i])) for i in ahead])
        result[ahead] = _clock_of(run, exponent).steps_to(clocks)
    return result


def _lead(run: Run, odds: Array, target: Any) -> Any:
    """Mean success rate less target, from the failures where those are the smaller."""
    success, failure = means(run, odds)
    return np.where(np.asarray(target) > 0.5, (1 - target) - failure, success - target)


def _common_odds(run: Run, target: float) -> float:
    """Log-odds at which all prompts that move would give the target together; inf if no log-odds would."""
    success, failure = target - run.ones, (1 - target) - run.zeros
    if run.odds.size == 0 or failure <= (4 * np.finfo(float).eps if run.zeros else 0.0):
        return np.inf
    return log(success) - log(failure)


def _clock_to(run: Run, exponent: float, target: float, common: float) -> float:
    from scipy.optimize import brentq

    behind = run.odds[run.odds < common]
    if behind.size == 0:
        return 0.0
    # When the last of the prompts is at the common log-odds, the mean is at the target or past it.
    latest = float(_odds.elapsed(behind, common - behind, exponent).max())
    if not np.isfinite(latest) or common == np.inf:
        return latest

    def lead(log_clock: float) -> float:
        return float(_lead(run, _at_clock(run, exponent, np.exp([log_clock]))[0], target))

    high = log(latest) + 1e-12
    if lead(high) <= 0:
        return exp(high)
    low = high - 1.0
    while lead(low) >= 0:
        low, high = low - 2 * (high - low), low
    root: Any = brentq(lead, low, high, xtol=1e-14)
    return exp(root)


def _times_of_system(run: Run, targets: Array) -> Array:
    events = [lambda _, z, target=target: float(_lead(run, z, target)) for target in targets]
    for event, target in zip(events, targets, strict=True):
        event.terminal = bool(target == targets.max())  # type: ignore[attr-defined]  # scipy reads it off the function
    solution = _integrate(run, run.odds, _NEVER, events=events)
    found = [float(at[0]) if at.size else np.inf for at in solution.t_events]
    return np.array([_polished(run, solution, t, goal) for t, goal in zip(found, targets, strict=True)])


def _polished(run: Run, solution: Any, time: float, target: float) -> float:
    """Newton steps on the path itself, from the solver's step before, in place of its interpolation."""
    if not np.isfinite(time):
        return time
    last = int(np.searchsorted(solution.t, time, side="right")) - 1
    begin, odds = float(solution.t[last]), solution.y[:, last]
    for _ in range(3):
        z = _moved(run, odds, time - begin)
        speed = run.weights @ (np.exp(_odds.log_variance(z)) * velocity(run, z))
        time = max(time - float(_lead(run, z, target) / speed), begin)
    return time
