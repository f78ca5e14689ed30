"""A profile of success rates under one method and one step rule: what fixes its flow."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.flow import _odds
from curvature.flow._inputs import read_array, read_law, read_weights, weights_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["CERTIFIED", "Run", "make_run", "means", "step_sizes", "velocity"]

# 4c₀ with c₀ = ln 2: αD²·max aσ of the certified step (theory T1, T2).
CERTIFIED = 4 * log(2)
_EXPONENTS = {"reinforce": 0.0, "none": 0.0, "grpo": 1.0, "interference": 1.0, "variance": 2.0}
# Log-odds at which the supremum of aσ is looked for: 0.005 apart, the largest of a smooth aσ is missed by 1e-5 of it.
_GRID_STEP, _GRID_END = 0.005, 40.0


@dataclass(frozen=True)
class Run:
    """What fixes the flow of a profile; prompts of success 0 and 1 never move and count by their weight only."""

    odds: Array
    weights: Array
    ones: float
    zeros: float
    law: float | Callable[[Array], Any] | None
    """An exponent e, a callable weight, or None for the batch's std."""
    diameter: float
    rate: float | None
    """αD² of a constant step, or None where the step is certified anew at every instant."""


def make_run(
    profile: Any, method: Any, exponent: Any, step_rule: Any, diameter: Any, prompt_weights: Any
) -> Run:
    """Read the arguments that every function of a profile shares."""
    success = read_array("profile", profile, 0.0, 1.0)
    if success.ndim != 1 or success.size == 0:
        raise ValueError(
            f"profile has shape {success.shape}; one success rate for each prompt, (n,), is needed."
        )
    weights = read_weights(prompt_weights, success.size)
    D = read_array("diameter", diameter, 0.0, np.finfo(float).max, open_low=True)
    if D.ndim:
        raise ValueError(f"diameter has shape {D.shape}; the flow of a profile takes one number.")
    live = (success > 0) & (success < 1)
    run = Run(
        odds=_odds.log_odds_of(success[live]),
        weights=weights[live],
        ones=float(weights[success == 1].sum()),
        zeros=float(weights[success == 0].sum()),
        law=_read_method(method, exponent),
        diameter=float(D),
        rate=None,
    )
    return _with_step(run, step_rule)


def _read_method(method: Any, exponent: Any) -> float | Callable[[Array], Any] | None:
    if method == "power" and exponent is None:
        raise TypeError("method 'power' needs exponent, the e of its weight σ^(−e).")
    if method != "power" and exponent is not None:
        raise TypeError(f"exponent={exponent!r} belongs to method 'power' only, got method {method!r}.")
    if callable(method):
        return method
    if method == "power":
        return read_law(exponent, None)
    if method == "batch":
        return None
    if method in _EXPONENTS:
        return _EXPONENTS[method]
    names = ", ".join(sorted([*_EXPONENTS, "batch", "power"]))
    raise ValueError(f"method must be one of {names}, or a callable weight(p), got {method!r}.")


def _with_step(run: Run, step_rule: Any) -> Run:
    if isinstance(step_rule, str):
        if step_rule == "certified_running":
            if callable(run.law):
                raise ValueError(
                    "step_rule 'certified_running' needs a named method; use 'certified' for a callable weight."
                )
            return run
        rates = {"certified": _certified_rate, "matched": _matched_rate}
        if step_rule not in rates:
            raise ValueError(
                f"step_rule must be 'certified', 'certified_running', 'matched' or a step α > 0, got {step_rule!r}."
            )
        rate = rates[step_rule](run) if run.odds.size else 1.0
    else:
        α = read_array("step_rule", step_rule, 0.0, np.finfo(float).max, open_low=True)
        if α.ndim:
            raise TypeError(f"step_rule must be one number or a name, got an array of shape {α.shape}.")
        rate = float(α) * run.diameter**2
    return Run(run.odds, run.weights, run.ones, run.zeros, run.law, run.diameter, rate)


def _certified_rate(run: Run) -> float:
    """αD² = 4c₀/sup aσ over every σ in (0, 1/2]; what no knowledge of the run can improve."""
    if run.law is None:
        # The batch's variance is at least ρ_x·σ_x² for each prompt (and may be next to it), so aσ ≤ 1/√ρ_x.
        return CERTIFIED * float(np.sqrt(run.weights.min()))
    if callable(run.law):
        # Success only grows, so the weight is asked from the lowest start on.
        grid = np.arange(float(run.odds.min()), _GRID_END, _GRID_STEP)
        highest = float((weights_at(run.law, grid) * np.exp(0.5 * _odds.log_variance(grid))).max())
        if highest == 0:
            raise ValueError("weight(p) is 0 at every p ahead of the profile; no step moves it.")
        return CERTIFIED / highest
    if run.law > 1:
        raise ValueError(
            f"no constant step is certified for exponent {run.law:g} > 1, whose weight times σ has no bound; "
            "use step_rule='certified_running' or a number."
        )
    return CERTIFIED * 2 ** (1 - run.law)


def _matched_rate(run: Run) -> float:
    """αD² whose first update is as long as that of REINFORCE at its certified step, 8c₀/D²."""
    V = 2 * _odds.log_variance(run.odds)
    own = 2 * log_weights(run, run.odds) + V
    return 2 * CERTIFIED * float(np.sqrt(run.weights @ np.exp(V) / (run.weights @ np.exp(own))))


def means(run: Run, odds: Array) -> tuple[Array, Array]:
    """Mean success and mean failure of the profile; each is accurate where it is small."""
    return (
        run.ones + _odds.success_of(odds) @ run.weights,
        run.zeros + _odds.failure_of(odds) @ run.weights,
    )


def log_weights(run: Run, odds: Array) -> Array:
    """Logarithm of the weight a of each prompt at log-odds (..., live)."""
    with np.errstate(divide="ignore"):
        if run.law is None:
            success, failure = means(run, odds)
            return np.broadcast_to(-0.5 * np.log(success * failure)[..., None], odds.shape)
        if callable(run.law):
            return np.log(weights_at(run.law, odds))
    return -0.5 * run.law * _odds.log_variance(odds)


def _log_rates(run: Run, odds: Array, log_weight: Array) -> Array:
    """Logarithm of αD² at log-odds (..., live)."""
    if run.rate is not None:
        return np.full(odds.shape[:-1], log(run.rate))
    return log(CERTIFIED) - (log_weight + 0.5 * _odds.log_variance(odds)).max(axis=-1)


def step_sizes(run: Run, odds: Array) -> Array:
    """Give the step α at log-odds (..., live); NaN for a profile that has nothing to move."""
    if run.odds.size == 0:
        return np.full(odds.shape[:-1], np.nan)
    return np.exp(_log_rates(run, odds, log_weights(run, odds))) / run.diameter**2


def velocity(run: Run, odds: Array) -> Array:
    """Give dz/dt of each prompt at log-odds (..., live)."""
    log_weight = log_weights(run, odds)
    return np.exp(_log_rates(run, odds, log_weight)[..., None] + log_weight + _odds.log_variance(odds))
