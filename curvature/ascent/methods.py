"""What an update does with the prompts' gradients: the weight of each prompt, and the optimiser behind it.

An update is Δ = α · optimiser(Σ_x ω_x a_x g_x). The weights a_x are functions of the reward stds alone, so a
method is a name for a function and not a piece of the run engine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from curvature.bandit import LogLinearBandit

__all__ = ["METHODS", "Method", "prompt_weights"]

Weighting = Literal["none", "power", "batch", "interference"]
Optimizer = Literal["plain", "normalized", "adagrad_norm", "adam"]


@dataclass(frozen=True)
class Method:
    """How prompts are weighted and what the optimiser does with their sum.

    Ours. The fields are the choices of theory II.0 and II.4. Start from a named one with
    `dataclasses.replace(METHODS["adam"], weighting="power")` (Adam on GRPO's gradient).

    Parameters
    ----------
    weighting : {"none", "power", "batch", "interference"}, default "none"
        a_x = 1; σ_x^(−e); σ_b^(−e) with σ_b the std of all rewards of the step's batch, between prompts and
        within them, as a trainer that pools the batch computes it; or σ̃_x^(−e), σ̃_x = Σ_x' c_xx'σ_x'. A std of
        0 gives weight 0: the gradient is 0 there.
    exponent : float, default 1.0
        e ≥ 0; 0 is REINFORCE.
    optimizer : {"plain", "normalized", "adagrad_norm", "adam"}, default "plain"
        With v = Σ ω_x a_x g_x: v itself; v/(‖v‖ + ε); v/(√(Σ_s ‖v_s‖²) + ε), the sum over this and all earlier
        steps; or Adam's m̂/(√v̂ + ε) with bias correction. 0/0 is 0.
    beta1, beta2 : float, default 0.9 and 0.999
        Adam's decay rates, in [0, 1).
    epsilon : float, default 0.0
        ε ≥ 0.

    Raises
    ------
    ValueError
        If a field is outside its domain; the sentence holds the field and the value.

    Examples
    --------
    >>> METHODS["grpo"]
    Method(weighting='power', exponent=1.0, optimizer='plain', beta1=0.9, beta2=0.999, epsilon=0.0)
    >>> Method(weighting="std")
    Traceback (most recent call last):
    ...
    ValueError: weighting is 'std'; choose one of none, power, batch, interference.
    """

    weighting: Weighting = "none"
    exponent: float = 1.0
    optimizer: Optimizer = "plain"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        for name, choices in (("weighting", get_args(Weighting)), ("optimizer", get_args(Optimizer))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}.")
        for name in ("exponent", "epsilon"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} is {getattr(self, name)}; a finite number of at least 0 is needed.")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a number in [0, 1) is needed.")


METHODS: Mapping[str, Method] = MappingProxyType({
    "reinforce": Method("none"),  # algorithm 1 of the paper
    "grpo": Method("power", 1.0),  # algorithm 2
    "batch": Method("batch", 1.0),
    "power": Method("power", 1.0),  # give the exponent
    "interference": Method("interference", 1.0),
    "variance": Method("power", 2.0),
    "normalized": Method(optimizer="normalized"),
    "adagrad_norm": Method(optimizer="adagrad_norm"),
    "adam": Method(optimizer="adam", epsilon=1e-8),
})
"""Methods by name. "power" is the family σ^(−e), whose exponent :func:`ascend` takes (1 when left out)."""


def resolve_method(method: str | Method, exponent: float | None = None) -> tuple[str, Method]:
    """Find the method that a name stands for, with its exponent.

    Parameters
    ----------
    method : str or Method
        A key of METHODS, or a method of one's own.
    exponent : float, optional
        Replaces the exponent of a method that has one to choose.

    Returns
    -------
    tuple of str and Method
        The name for tables ("power" is named with its exponent) and the method.

    Raises
    ------
    ValueError
        If the name is unknown, or an exponent is given to a method that has none.
    TypeError
        If the method is neither a name nor a Method.

    Examples
    --------
    >>> resolve_method("power", 0.5)[0]
    'power 0.5'
    """
    if isinstance(method, Method):
        name, chosen = _described(method), method
    elif isinstance(method, str):
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}, or give a Method.")
        name, chosen = method, METHODS[method]
    else:
        raise TypeError(f"method is {method!r}; the name of a method or a Method is needed.")
    if exponent is None:
        return name, chosen
    if chosen.weighting == "none" or method in {"grpo", "variance"}:
        raise ValueError(
            f"exponent is {exponent}, but method={name!r} has none to choose: use method='power'."
        )
    return f"{name} {exponent:g}", replace(chosen, exponent=float(exponent))


def _described(method: Method) -> str:
    """Name a method of one's own by its choices: "power 0.5", "adam on batch 1"."""
    weighting = method.weighting if method.weighting == "none" else f"{method.weighting} {method.exponent:g}"
    return weighting if method.optimizer == "plain" else f"{method.optimizer} on {weighting}"


def prompt_weights(
    bandit: LogLinearBandit, theta: ArrayLike, method: str | Method = "grpo", *, exponent: float | None = None
) -> NDArray[np.float64]:
    """Compute the weights a_x of a method at θ, before any optimiser: a = 1, σ^(−e), σ_b^(−e) or σ̃^(−e).

    Ours, theory II.0 and II.4; a = 1 and a = 1/σ are algorithms 1 and 2 of arXiv:2601.23135v1. Kind: identity.
    Holds when: always.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, dimension d.
    theta : array_like, shape (..., d)
        Parameters.
    method : str or Method
        A key of METHODS, or a method of one's own.
    exponent : float, optional
        e of the methods that have one to choose.

    Returns
    -------
    ndarray, shape (..., n)
        a_x ≥ 0, what :func:`curvature.interference.certified_gain` takes; 0 where the std is 0.

    Raises
    ------
    ValueError
        If the method is unknown or theta has the wrong shape.
    TypeError
        If the method is neither a name nor a Method.

    Notes
    -----
    Symbols: σ reward std, e exponent, ρ prompt weights; σ_b² = Σρ(σ² + J²) − (ΣρJ)².

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> prompt_weights(LogLinearBandit.two_arm([0.2, 0.5]), [0.0, 0.0]).round(12).tolist()
    [2.5, 2.0]
    """
    from curvature.interference import interference_std, overlap_matrix
    from curvature.moments import moments

    _, chosen = resolve_method(method, exponent)
    at = moments(bandit, theta)
    std, mean, rho = at.reward_std, at.expected_reward, bandit.prompt_weights
    spread: Any = std
    if chosen.weighting == "none":
        return np.ones_like(std)
    if chosen.weighting == "batch":
        between = mean - (rho * mean).sum(axis=-1, keepdims=True)
        variance = (rho * (std**2 + between**2)).sum(axis=-1, keepdims=True)
        spread = np.broadcast_to(np.sqrt(variance), std.shape)
    elif chosen.weighting == "interference":
        spread = interference_std(std, overlap_matrix(bandit))
    positive = spread > 0
    return np.where(positive, np.where(positive, spread, 1.0) ** -chosen.exponent, 0.0)
