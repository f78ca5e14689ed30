"""What theory predicts from the log: gain per step, and times to target of the flow, each with its assumptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.rollouts._estimates import exponential
from curvature.rollouts._finite_flow import Paths
from curvature.rollouts.findings import Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from curvature.rollouts.findings import Estimate

    Array = NDArray[np.float64]

__all__ = [
    "Target",
    "flow_functionals",
    "flow_predictions",
    "kappa_prediction",
    "matched_rate",
    "solver",
    "targets_of",
]

# Prompts that stand for the fitted distribution, as 64 quantiles do in the project's figures.
_NUM_PROMPTS = 64
_TWO_ARMS = (
    "each prompt has two classes of responses, right and wrong, of one feature distance",
    "prompts are orthogonal: the gradient of one moves no other",
)
_FLOW = (
    *_TWO_ARMS,
    f"small steps; every prompt in every update; {_NUM_PROMPTS} prompts at quantiles of the fit",
    "plain gradient ascent at the constant step certified for each side; tuned steps are not covered",
    "prompts that no response of the fit ever solves are left out, since no convention moves them",
    "on-policy, no clipping, no KL term, rewards without noise",
)
_MATCHED = (
    *_TWO_ARMS,
    "small steps; every prompt in every update; plain gradient ascent at one learning rate for both sides",
    "the advantages of both sides have one RMS at the start; no step is certified or tuned",
    *_FLOW[-2:],
)
_SPLIT = (
    "a scale-invariant optimiser such as Adam can take the factor across iterations by itself and leaves the one "
    "across prompts",
)
_PARTS = (
    "speedup",
    "iterations",
    "prompts",
    "speedup_finite",
    "iterations_finite",
    "prompts_finite",
    "matched_finite",
)
_NOISE = ("only the mean of a sampled gradient is followed, not its noise",)


@dataclass(frozen=True)
class Target:
    """A mean success rate to be reached.

    `share` is how much of the way it is: from the start's accuracy to that of solving whatever the start solves at all.
    """

    label: str
    success: float
    share: float


def targets_of(start: Any, first: Estimate, last: Estimate) -> tuple[Target, ...]:
    """Choose targets that learning from the first window can reach: where the log went, or halfway to 1; and .9."""
    J = start.mean(lambda p: p)
    ceiling = start.mean(lambda p: p > 0)
    if last.low > first.high:
        asked = [(f"accuracy {last.value:.3g}, the last window's", last.value)]
    else:
        asked = [(f"accuracy {(1 + J) / 2:.3g}, halfway to 1", (1 + J) / 2)]
    if asked[0][1] < 0.89:
        asked.append(("accuracy 0.9", 0.9))
    return tuple(
        Target(label, goal, (goal - J) / (ceiling - J))
        for label, goal in asked
        if ceiling - J > 1e-6 and 0 < (goal - J) / (ceiling - J) < 0.995
    )


def flow_functionals(
    targets: tuple[Target, ...], group_size: int
) -> dict[tuple[str, int], Callable[[Any], float]]:
    """Logarithms of speed-ups of 1/σ over none, as functions of the distribution at the start."""
    solve = solver(targets, group_size)

    def reader(part: str, i: int) -> Callable[[Any], float]:
        return lambda at: float(np.log(solve(at)[part][i]))

    parts = _PARTS if group_size > 1 else _PARTS[:3]
    return {(part, i): reader(part, i) for part in parts for i in range(len(targets))}


def solver(targets: tuple[Target, ...], group_size: int) -> Callable[[Any], dict[str, Array]]:
    """Solve each distribution once for all functionals, with the paths of its support made once for all."""
    shares = np.array([target.share for target in targets])
    paths: dict[bytes, dict[str, Paths]] = {}
    solved: dict[tuple[bytes, bytes], dict[str, Array]] = {}

    def solve(at: Any) -> dict[str, Array]:
        live = at.support > 0
        success, rho = at.support[live], _prompts(at.weights[live])
        key = success.tobytes(), rho.tobytes()
        if key not in solved:
            if key[0] not in paths:
                paths[key[0]] = _paths_of(success, group_size)
            solved[key] = _solve(success, rho, shares, paths[key[0]], group_size)
        return solved[key]

    return solve


def _prompts(weights: Array) -> Array:
    """Let prompts at evenly spaced quantiles stand for a distribution: the share of them at each point."""
    # A density has some prompt at every rate, however small its share, and that one would hold every step back.
    if not weights.sum() > 0:
        return np.zeros(weights.size)
    reached = np.cumsum(weights)
    at = np.searchsorted(reached, (np.arange(_NUM_PROMPTS) + 0.5) / _NUM_PROMPTS * reached[-1])
    return np.bincount(at, minlength=weights.size) / _NUM_PROMPTS


def _paths_of(success: Array, group_size: int) -> dict[str, Paths]:
    """Follow the flows of no std, of the true std, and of the std of groups of G (for G = 2 no std at all)."""
    from curvature.groups import effective_weight

    weights: dict[str, Callable[[Array], Array]] = {
        "none": np.ones_like,
        "": lambda p: 1 / np.sqrt(p * (1 - p)),
    }
    if group_size > 1:
        weights["_finite"] = lambda p: effective_weight(p, group_size, "grpo")
    return {name: Paths.of(weight, success) for name, weight in weights.items()}


def _solve(
    success: Array, rho: Array, shares: Array, paths: dict[str, Paths], group_size: int
) -> dict[str, Array]:
    """Solve the flow of one profile for all targets; a profile that has nothing to learn gains nothing."""
    if not rho.any() or rho @ (1 - success) < 1e-6:
        return dict.fromkeys(_PARTS, np.ones(shares.size))
    goals = rho @ success + shares * (rho @ (1 - success))
    steps = {name: path.steps(rho, goals) for name, path in paths.items()}
    plain = steps.pop("none")
    result = {}
    for name, own in steps.items():
        result[f"speedup{name}"] = plain.constant / own.constant
        result[f"prompts{name}"] = plain.running / own.running
        result[f"iterations{name}"] = result[f"speedup{name}"] / result[f"prompts{name}"]
    if "_finite" in steps:
        rate = matched_rate(success, rho, group_size)
        result["matched_finite"] = plain.clock / steps["_finite"].clock * rate
    return result


def matched_rate(success: Array, rho: Array, group_size: int) -> float:
    """Divide the step of the group std by that of none, both of one RMS advantage at the start."""
    from curvature.groups import silent_probability

    # Without a std E A² = (1 − 1/G)p(1 − p) and the weight is 1 − 1/G; with it E A² is the chance of a live group.
    kept = 1 - 1 / group_size
    plain = kept * (rho @ (success * (1 - success)))
    live = rho @ (1 - np.asarray(silent_probability(success, group_size).total))
    return float(np.sqrt(plain / live) / kept)


def flow_predictions(
    targets: tuple[Target, ...], intervals: Mapping[Any, Any], group_size: int, where: str
) -> dict[tuple[str, int], Prediction]:
    """Put formula, source and assumptions to the numbers."""
    G = group_size
    exact = "groups so large that σ̂ = σ"
    sampled = f"groups of {G}"
    said = {
        "speedup": (
            f"speed-up of the group std over none, {exact}",
            "steps of a = 1 over steps of a = 1/σ, αD²·a·(p(1 − p))² = dp/dt",
            _FLOW,
        ),
        "iterations": (
            f"… its factor across iterations, {exact}",
            "steps of a = 1 at α = 8c₀/D² over steps of a = 1 at α_t = 4c₀/(D² max σ)",
            _FLOW + _SPLIT,
        ),
        "prompts": (
            f"… its factor across prompts, {exact}",
            "steps of a = 1 at α_t = 4c₀/(D² max σ) over steps of a = 1/σ",
            _FLOW + _SPLIT,
        ),
        "speedup_finite": (
            f"speed-up of the group std over none, {sampled}",
            "as above with the expected weight a_G(p) in place of 1/σ, α = 4c₀/(D² sup a_Gσ)",
            _FLOW + _NOISE,
        ),
        "iterations_finite": (
            f"… its factor across iterations, {sampled}",
            "what is left of the speed-up without the factor across prompts",
            _FLOW + _NOISE + _SPLIT,
        ),
        "matched_finite": (
            f"speed-up of the group std over none at one RMS advantage, {sampled}",
            "steps of a = (1 − 1/G)/√(E A²) over steps of a = a_G(p)/√(E A²), E A² at the start",
            _MATCHED + _NOISE,
        ),
        "prompts_finite": (
            f"… its factor across prompts, {sampled}",
            "steps of a = 1 over steps of a = a_G(p), both at α_t = 4c₀/(D² max aσ), the best global schedule",
            _FLOW + _NOISE + _SPLIT,
        ),
    }
    return {
        (part, i): Prediction(
            f"{said[part][0]}, to {targets[i].label}",
            exponential(interval, f"flow from the success rates of {where}"),
            said[part][1],
            _source_of(part),
            said[part][2],
        )
        for (part, i), interval in intervals.items()
    }


def _source_of(part: str) -> str:
    sources = [
        "theory II.6",
        *(["T4"] if "matched" not in part else []),
        *(["D1"] if "finite" in part else []),
    ]
    return ", ".join(sources)


def kappa_prediction(kappa: Estimate, sizes: NDArray[np.int64]) -> Prediction:
    """Put formula, source and assumptions to κ_G."""
    label = (
        f"groups of {int(sizes[0])}" if sizes.size == 1 else f"groups of {int(sizes[0])} to {int(sizes[-1])}"
    )
    return Prediction(
        f"gain per step of the group std over none, κ_G, {label}",
        kappa,
        "κ_G = ratio, with the std over without, of (Σ E⟨g,ĝ⟩)²/(Σ σ E‖ĝ‖²)",
        "theory D4, D3 for two arms",
        (
            *_TWO_ARMS,
            "each convention at its own best certified step, which is no tuned step",
            "the average prompt, one step",
        ),
    )
