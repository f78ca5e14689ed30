"""How long a step is: given, certified at every step, found by a line search, or constant by a theorem."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from curvature.ascent._layout import CERTIFIED, CERTIFIED_WIDTH, GIVEN, LINE_SEARCH
from curvature.ascent.methods import Method, resolve_method

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.bandit import LogLinearBandit

__all__ = ["LineSearch", "certified_constant_step"]

_RULES = {"certified": CERTIFIED, "certified_width": CERTIFIED_WIDTH}


@dataclass(frozen=True)
class LineSearch:
    """Backtracking on the exact expected reward: the first α with J(θ + αv) ≥ J(θ) + slope·α⟨∇J(θ), v⟩.

    The first trial is `initial` at the first iteration and `grow` times the last accepted step after it; each
    further trial is `shrink` times the one before. If none is accepted, or v points downhill, the step is 0.

    Parameters
    ----------
    initial : float, default 1.0
        First trial of a run, positive.
    shrink : float, default 0.5
        In (0, 1).
    grow : float, default 2.0
        At least 1.
    slope : float, default 1e-4
        Share of the linear promise that must be kept, in [0, 1).
    max_trials : int, default 60
        At least 1.

    Raises
    ------
    ValueError
        If a field is outside its domain; the sentence holds the field and the value.

    Examples
    --------
    >>> LineSearch(shrink=1.5)
    Traceback (most recent call last):
    ...
    ValueError: shrink is 1.5; a number between 0 and 1 is needed.
    """

    initial: float = 1.0
    shrink: float = 0.5
    grow: float = 2.0
    slope: float = 1e-4
    max_trials: int = 60

    def __post_init__(self) -> None:
        if not (math.isfinite(self.initial) and self.initial > 0):
            raise ValueError(f"initial is {self.initial}; a positive finite number is needed.")
        if not 0 < self.shrink < 1:
            raise ValueError(f"shrink is {self.shrink}; a number between 0 and 1 is needed.")
        if not (math.isfinite(self.grow) and self.grow >= 1):
            raise ValueError(f"grow is {self.grow}; a finite number of at least 1 is needed.")
        if not 0 <= self.slope < 1:
            raise ValueError(f"slope is {self.slope}; a number in [0, 1) is needed.")
        if (
            isinstance(self.max_trials, bool)
            or int(self.max_trials) != self.max_trials
            or self.max_trials < 1
        ):
            raise ValueError(f"max_trials is {self.max_trials}; a whole number of at least 1 is needed.")


class StepRule(NamedTuple):
    """A step rule as the engine takes it.

    Attributes
    ----------
    name : str
        "fixed", "schedule", "certified", "certified_width" or "line_search".
    code : int
        The engine's number for it.
    given : ndarray, shape (1 or T, 1 or R)
        The given steps.
    search : LineSearch
        Its parameters, or the defaults.
    """

    name: str
    code: int
    given: NDArray[np.float64]
    search: LineSearch


def read_step(step: Any, num_steps: int) -> StepRule:
    """Read what the caller gave as a step.

    Parameters
    ----------
    step : float, array_like, callable, str or LineSearch
        As :func:`curvature.ascent.ascend` says.
    num_steps : int
        T, the length of a schedule.

    Returns
    -------
    StepRule
        With steps not yet spread over runs.

    Raises
    ------
    ValueError
        If a name is unknown, a shape does not fit or a step is negative or not finite.
    TypeError
        If the step is of a type that none of these is.
    """
    none = np.zeros((1, 1))
    if isinstance(step, LineSearch):
        return StepRule("line_search", LINE_SEARCH, none, step)
    if isinstance(step, str):
        if step not in _RULES:
            known = ", ".join(map(repr, _RULES))
            raise ValueError(
                f"step is {step!r}; give a number, an array, a callable, a LineSearch, or one of {known}."
            )
        return StepRule(step, _RULES[step], none, LineSearch())
    if callable(step):
        return StepRule("schedule", GIVEN, _from_callable(step, num_steps), LineSearch())
    try:
        given = np.array(step, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"step is {step!r}; a number, an array, a callable of the iteration, the name of a rule or a LineSearch "
            "is needed."
        ) from None
    name = "schedule" if given.ndim == 2 else "fixed"
    if given.ndim > 2 or given.size == 0 or (given.ndim == 2 and given.shape[1] != num_steps):
        raise ValueError(
            f"step has shape {given.shape}; a number, (num_runs,) for a step a run, or (1 or num_runs, "
            f"num_steps = {num_steps}) for a schedule is needed."
        )
    return StepRule(name, GIVEN, _checked(given.T if given.ndim == 2 else given.reshape(1, -1)), LineSearch())


def _from_callable(step: Callable[[int], Any], num_steps: int) -> NDArray[np.float64]:
    values = np.array([float(step(t)) for t in range(num_steps)], dtype=np.float64).reshape(num_steps, 1)
    return _checked(values if num_steps else np.zeros((1, 1)))


def _checked(given: NDArray[np.float64]) -> NDArray[np.float64]:
    bad = ~(np.isfinite(given) & (given >= 0))
    if bad.any():
        raise ValueError(f"step holds {given[bad][0]}; every step must be a finite number of at least 0.")
    return np.ascontiguousarray(given)


def certified_constant_step(
    bandit: LogLinearBandit,
    method: str | Method = "grpo",
    *,
    exponent: float | None = None,
    largest_reward_std: float | None = None,
) -> float:
    """Compute the constant step that theory certifies for orthogonal prompts: α = 4 log 2/(D²σ_max^(1−e)).

    Ours, theory T1 (e = 1, GRPO) and T2 (e = 0, REINFORCE); 0 < e < 1 by the same proof. Kind: sufficient step.
    Holds when: prompts are orthogonal (assumption A2) and the optimiser is "plain". Every step of a full-batch
    run then gains at least (4k₀/D²)‖g_x‖²/(σ_x^e σ_max^(1−e)) on every prompt, k₀ = 2 log 2 − 1.

    Parameters
    ----------
    bandit : LogLinearBandit
        n orthogonal prompts.
    method : str or Method
        "reinforce", "grpo", or "power" with an exponent of at most 1.
    exponent : float, optional
        e of "power".
    largest_reward_std : float, optional
        σ_max, an upper bound of every σ_x on the run; half of the largest reward range, which always is one
        (1/2 for binary rewards), when left out.

    Returns
    -------
    float
        α; the smallest over prompts where diameters or weights differ.

    Raises
    ------
    ValueError
        If prompts overlap, no prompt can move, or no constant is certified for the method.

    Notes
    -----
    Symbols: D diameter, e exponent, σ reward std. With prompt weights ρ a prompt's own step is αnρ_x.

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> bandit = LogLinearBandit.two_arm([0.01, 0.3], diameter=2.0)
    >>> round(certified_constant_step(bandit, "grpo"), 6), round(certified_constant_step(bandit, "reinforce"), 6)
    (0.693147, 1.386294)
    """
    from curvature.geometry import feature_diameter
    from curvature.interference import overlap_matrix, total_overlap

    name, chosen = resolve_method(method, exponent)
    e = {"none": 0.0, "power": chosen.exponent}.get(chosen.weighting, math.inf)
    if e > 1 or chosen.optimizer != "plain":
        raise ValueError(
            f"no constant step is certified for method {name!r}: σ^(1−e) must stay bounded, so take reinforce, grpo "
            "or power with an exponent of at most 1, or step='certified'."
        )
    diameter = feature_diameter(bandit)
    overlap = total_overlap(overlap_matrix(bandit))
    if overlap > 1e-9:
        raise ValueError(
            f"prompts overlap (total overlap {overlap:.3g}), and T1 and T2 do not: use step='certified'."
        )
    high = np.where(bandit.mask, bandit.rewards, -np.inf).max(axis=1)
    low = np.where(bandit.mask, bandit.rewards, np.inf).min(axis=1)
    bound = (high - low) / 2 if largest_reward_std is None else np.full(len(high), float(largest_reward_std))
    scale = bandit.num_prompts * bandit.prompt_weights * diameter**2 * bound ** (1 - e)
    moving = (diameter > 0) & (high > low)
    if not moving.any() or not (scale[moving] > 0).all():
        raise ValueError(
            f"largest_reward_std is {largest_reward_std} and the largest diameter {diameter.max()}; both must be "
            "positive for a step to be certified."
        )
    return float(4 * math.log(2) / scale[moving].max())
