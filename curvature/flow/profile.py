"""Learning curves and times to target of a profile of success rates, for each method and step rule.

A profile is what a log or an evaluation gives: the success rate of every prompt (or of every class of prompts, with
weights). Prompts are taken as orthogonal two-arm problems of one diameter, every prompt updated at every step,
θ ← θ + α Σ_x a_x ∇J_x, in the limit of small steps. Where one prompt of n is sampled a step, a step here is n steps.

Step rules
----------
"certified"
    A constant α = 4c₀/(D²·sup aσ), c₀ = ln 2, which is safe whatever the run does: 8c₀/D² for REINFORCE (σ ≤ 1/2),
    4c₀/D² for GRPO (aσ = 1), 4c₀√ρ/D² for the batch's std with smallest prompt weight ρ. For a callable weight
    the supremum is that of a grid of 0.005 in the log-odds ahead of the profile. There is none for e > 1.
"certified_running"
    α_t = 4c₀/(D²·max_x a_xσ_x) at every instant: REINFORCE with the running σ_max, for instance. Named methods only.
"matched"
    A constant α whose first update is as long as REINFORCE's at its certified step.
a number
    That α.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.flow import _odds
from curvature.flow._inputs import read_array
from curvature.flow._paths import chunks_of, positions, times_to
from curvature.flow._runs import CERTIFIED, make_run, means, step_sizes

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Method = str | Callable[[NDArray[np.float64]], Any]

__all__ = ["LearningCurve", "Speedup", "learning_curve", "predicted_speedup", "time_to_target"]


class _Table:
    """Fields of one length as the columns of a data frame."""

    def to_frame(self) -> pd.DataFrame:
        """Return the fields as columns of a data frame.

        Returns
        -------
        pandas.DataFrame
            One row for each time or target.
        """
        import pandas as pd

        return pd.DataFrame({field.name: getattr(self, field.name) for field in fields(self)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class LearningCurve(_Table):
    """What :func:`learning_curve` predicts, one entry for each time, (T,).

    Attributes
    ----------
    time : ndarray
        Steps.
    mean_success : ndarray
        Σ ρ_x p_x, the expected accuracy.
    mean_std, max_std : ndarray
        Σ ρ_x σ_x and max σ_x, the reward std within prompts.
    batch_std : ndarray
        The std of all rewards of a batch, √(J(1 − J)) with J the mean success.
    step_size : ndarray
        α.
    """

    time: NDArray[np.float64]
    mean_success: NDArray[np.float64]
    mean_std: NDArray[np.float64]
    max_std: NDArray[np.float64]
    batch_std: NDArray[np.float64]
    step_size: NDArray[np.float64]


@dataclass(frozen=True)
class Speedup(_Table):
    """What :func:`predicted_speedup` predicts, one entry for each target, (k,).

    Attributes
    ----------
    target : ndarray
        Mean success rate.
    reinforce_steps, scheduled_steps, method_steps : ndarray
        Steps of REINFORCE at its constant certified step, of REINFORCE certified at every instant (the best global
        schedule), and of the method certified at every instant (a callable weight: at its constant certified step).
    speedup, across_iterations, across_prompts : ndarray
        reinforce/method = (reinforce/scheduled)·(scheduled/method).
    mean_std, mean_max_std : ndarray
        ⟨σ⟩ over prompts and iterations and ⟨max_x σ_x⟩ over iterations, on GRPO's own run to the target (theory T4).
    bound_ratio : ndarray
        ⟨σ⟩/(1/2), the ratio of the two bounds of theory T3; its factors are 2⟨max σ⟩ and ⟨σ⟩/⟨max σ⟩.
    """

    target: NDArray[np.float64]
    reinforce_steps: NDArray[np.float64]
    scheduled_steps: NDArray[np.float64]
    method_steps: NDArray[np.float64]
    speedup: NDArray[np.float64]
    across_iterations: NDArray[np.float64]
    across_prompts: NDArray[np.float64]
    mean_std: NDArray[np.float64]
    mean_max_std: NDArray[np.float64]
    bound_ratio: NDArray[np.float64]


def learning_curve(
    profile: ArrayLike,
    times: ArrayLike,
    *,
    method: Method = "grpo",
    exponent: float | None = None,
    step_rule: str | float = "certified",
    diameter: float = 1.0,
    prompt_weights: ArrayLike | None = None,
) -> LearningCurve:
    """Predict the mean success rate of a profile at each time: J(t) = Σ_x ρ_x p_x(t), dp_x/dt = αD²a_x(p_x(1 − p_x))².

    Ours, theory II.6. Kind: identity of the flow, prediction of a discrete run.
    Holds when: prompts are orthogonal two-arm problems of one diameter; full batch; steps small.

    Parameters
    ----------
    profile : array_like, shape (n,)
        Success rate of each prompt at step 0, in [0, 1]; rates of 0 and 1 never move.
    times : array_like, shape (T,)
        Steps ≥ 0, in any order; fractions are allowed.
    method : str or callable
        "reinforce" (also "none"), "grpo" (also "interference", the same for orthogonal prompts), "variance",
        "power" with `exponent`, "batch" (1/std of all rewards of the batch), or a callable weight(p) as in
        :func:`time_to_success`.
    exponent : float, optional
        e ≥ 0 of method "power", weight σ^(−e).
    step_rule : str or float
        "certified", "certified_running", "matched" or a constant α; see :mod:`curvature.flow.profile`.
    diameter : float
        D. Certified and matched runs do not depend on it.
    prompt_weights : array_like, shape (n,), optional
        ρ > 0, scaled to sum 1; equal when left out. They weigh the means, not the updates.

    Returns
    -------
    LearningCurve
        Of arrays in the order of `times`.

    Raises
    ------
    TypeError
        If an argument is not a number, or `exponent` is given without "power" or the other way round.
    ValueError
        If a value or a name is outside its domain; the message has it.
    ArithmeticError
        If a system of equations could not be integrated.

    Notes
    -----
    Symbols: profile = p₀, exponent = e, diameter = D, step_size = α, mean_success = J. Exact for the weights
    σ^(−e); an ODE system in the log-odds, solved to 1e-9 a solver step, for a callable weight and for the batch's
    std at a constant step.

    Examples
    --------
    >>> curve = learning_curve([0.01, 0.3, 0.7], [0, 10, 20])
    >>> curve.mean_success.round(3).tolist()
    [0.337, 0.979, 0.998]
    """
    run = make_run(profile, method, exponent, step_rule, diameter, prompt_weights)
    asked = np.atleast_1d(read_array("times", times, 0.0, np.finfo(float).max))
    if asked.ndim != 1:
        raise ValueError(f"times has shape {asked.shape}; (T,) is needed.")
    order = np.argsort(asked, kind="stable")
    rows = []
    for part in chunks_of(run, asked[order]):
        odds = positions(run, part)
        success, failure = means(run, odds)
        std = np.exp(0.5 * _odds.log_variance(odds))
        highest = std.max(axis=1, initial=0.0)
        rows.append([success, std @ run.weights, highest, np.sqrt(success * failure), step_sizes(run, odds)])
    columns = np.concatenate(rows, axis=1)[:, np.argsort(order)] if rows else np.empty((5, 0))
    return LearningCurve(asked, *columns)


def time_to_target(
    profile: ArrayLike,
    target: ArrayLike,
    *,
    method: Method = "grpo",
    exponent: float | None = None,
    step_rule: str | float = "certified",
    diameter: float = 1.0,
    prompt_weights: ArrayLike | None = None,
) -> Any:
    """Predict the steps until the mean success rate of a profile reaches a target: min{t : J(t) ≥ target}.

    Ours, theory II.6. Kind: identity of the flow, prediction of a discrete run.
    Holds when: prompts are orthogonal two-arm problems of one diameter; full batch; steps small.

    Parameters
    ----------
    profile : array_like, shape (n,)
        Success rate of each prompt at step 0, in [0, 1].
    target : float or array, shape (k,)
        Mean success rate in [0, 1].
    method, exponent, step_rule, diameter, prompt_weights
        As in :func:`learning_curve`.

    Returns
    -------
    float64 or array
        Steps, in the shape of `target`; 0 where the start is there already; inf where it is never reached, or
        by a system of equations not before step 1e60.

    Raises
    ------
    TypeError
        If an argument is not a number, or `exponent` is given without "power" or the other way round.
    ValueError
        If a value or a name is outside its domain; the message has it.
    ArithmeticError
        If a system of equations could not be integrated.

    Notes
    -----
    Symbols: profile = p₀, target = J, exponent = e, diameter = D.

    Examples
    --------
    >>> for method in ("reinforce", "grpo"):
    ...     print(method, time_to_target([0.01, 0.3, 0.7], [0.6, 0.9, 0.99], method=method).round(1))
    reinforce [ 2.4 20.2 31. ]
    grpo [ 2.   7.8 11.8]
    """
    run = make_run(profile, method, exponent, step_rule, diameter, prompt_weights)
    wanted = read_array("target", target, 0.0, 1.0)
    return times_to(run, wanted.ravel()).reshape(wanted.shape)[()]


def predicted_speedup(
    profile: ArrayLike,
    target: ArrayLike,
    *,
    method: Method = "grpo",
    exponent: float | None = None,
    prompt_weights: ArrayLike | None = None,
) -> Speedup:
    """Predict how many times fewer certified steps a method takes than REINFORCE, split into the factors of theory T4.

    speedup = across iterations × across prompts. The first is what REINFORCE gains by following its own σ_max
    along the run, as a global schedule or a batch-wide std can; the second is what is left, and only a weight of
    each prompt's own has it: it is 1 for the batch's std. For GRPO neither is below 1, prompt by prompt: at a
    certified step dz_x/dt = 4c₀σ_x·(a_xσ_x/max aσ) ≤ 4c₀σ_x, which is GRPO's, so that no certified weighting of
    orthogonal prompts is ahead of it on any prompt at any time.

    Ours, theory II.6 and T4. Kind: identity of the flow, prediction of a discrete run.
    Holds when: prompts are orthogonal two-arm problems of one diameter; full batch; steps small.

    Parameters
    ----------
    profile : array_like, shape (n,)
        Success rate of each prompt at step 0, in [0, 1].
    target : float or array, shape (k,)
        Mean success rates between that of the profile and the share of prompts with success > 0.
    method, exponent, prompt_weights
        As in :func:`learning_curve`.

    Returns
    -------
    Speedup
        Of arrays of shape (k,).

    Raises
    ------
    TypeError
        If an argument is not a number, or `exponent` is given without "power" or the other way round.
    ValueError
        If a value or a name is outside its domain, or a target is reached at once or never; the message has it.
    ArithmeticError
        If a system of equations could not be integrated.

    Notes
    -----
    Symbols: profile = p₀, target = J. The diameter cancels.

    Examples
    --------
    >>> at = predicted_speedup([0.01], 0.99)
    >>> [round(float(x[0]), 2) for x in (at.speedup, at.across_iterations, at.across_prompts)]
    [2.75, 2.75, 1.0]
    """
    wanted = np.atleast_1d(read_array("target", target, 0.0, 1.0))
    if wanted.ndim != 1:
        raise ValueError(f"target has shape {wanted.shape}; a number or (k,) is needed.")

    def run_of(name: Method, power: float | None, rule: str) -> Any:
        return make_run(profile, name, power, rule, 1.0, prompt_weights)

    steps = times_to(run_of("reinforce", None, "certified"), wanted)
    for time, goal in zip(steps, wanted, strict=True):
        if not 0 < time < np.inf:
            when = "at the start" if time == 0 else "never"
            raise ValueError(
                f"target {goal} is reached {when}; a speed-up needs a target that learning reaches."
            )
    scheduled = times_to(run_of("reinforce", None, "certified_running"), wanted)
    rule = "certified" if callable(method) else "certified_running"
    own = times_to(run_of(method, exponent, rule), wanted)
    mean_std, mean_max_std = _stds_along_grpo(run_of("grpo", None, "certified"), wanted)
    return Speedup(
        target=wanted,
        reinforce_steps=steps,
        scheduled_steps=scheduled,
        method_steps=own,
        speedup=steps / own,
        across_iterations=steps / scheduled,
        across_prompts=scheduled / own,
        mean_std=mean_std,
        mean_max_std=mean_max_std,
        bound_ratio=2 * mean_std,
    )


def _stds_along_grpo(
    run: Any, targets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """⟨σ⟩ and ⟨max σ⟩ up to each target. On GRPO's path dz/dτ = σ, so each is a gain of log-odds over a clock."""
    clocks = CERTIFIED * times_to(run, targets)
    s = np.sort(np.sinh(run.odds / 2))
    mean, highest = np.empty(targets.size), np.empty(targets.size)
    for i, clock in enumerate(clocks):
        gain = _odds.advance(run.odds, np.full(run.odds.shape, clock), 1.0)
        mean[i] = run.weights @ gain / clock
        # sinh(z/2) moves by τ/4 for every prompt alike, and the prompt nearest to 0 has the largest σ: each is
        # nearest between two instants, and gains 2 asinh(s + τ/4) meanwhile.
        switches = np.clip(-2 * (s[1:] + s[:-1]), 0.0, clock)
        edges = np.concatenate([[clock], switches, [0.0]])
        part = np.arcsinh(s + edges[:-1] / 4) - np.arcsinh(s + edges[1:] / 4)
        highest[i] = 2 * part.sum() / clock
    return mean, highest
