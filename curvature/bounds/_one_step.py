"""One step of one prompt: what it gains at worst, as a function of the step a = αD², and the best uniform step.

GRPO moves by Δ = αg/σ and gains at least (k/D²)‖g‖²/σ; REINFORCE moves by Δ = αg and gains at least
(k/D²)‖g‖²/range, where its a is αD²·range. T1 and T2 give a k each. Here are larger ones that are proved, and the
smallest gains of known instances, which no k can exceed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from curvature.bounds._inputs import quiet, read_arguments
from curvature.bounds._solve import bisect

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BestStep",
    "OneStepGain",
    "StepThreshold",
    "best_one_step",
    "one_step_certificate",
    "one_step_gain",
    "one_step_threshold",
]

Method = Literal["grpo", "reinforce"]
Rewards = Literal["binary", "real"]
Basis = Literal["certificate", "known_instances"]

# Log-odds between which the worst of two arms lies: they fall from log(3 + 2√2) at a → 0 to log 2 as a → ∞.
_LOG_ODDS = np.linspace(0.0, 3.0, 193)
_GOLDEN = (sqrt(5) - 1) / 2
_NARROWINGS = 60
# Of σ in the displacement of the log-odds: aσ for GRPO, aσ² for REINFORCE.
_POWER = {"grpo": 1, "reinforce": 2}
# Gain of a step with g → 0 on three arms: a − a²/16 and a − a²/32.
_SHORT = {"grpo": 1 / 16, "reinforce": 1 / 32}
# Half the curvature that the certificate allows: σ/4 and 1/(6√3), per D².
_CERTIFIED = {"grpo": 1 / 8, "reinforce": 1 / (12 * sqrt(3))}
# Up to here GRPO's certified slope stays positive along the whole step.
_ASCENDING = 4.0


@dataclass(frozen=True)
class OneStepGain:
    """The smallest gains of two families of instances, in units of ‖g‖²/(σD²) or ‖g‖²/(range·D²).

    Attributes
    ----------
    two_arms : ndarray, shape (...)
        The exact infimum over two responses, rewards 0 and 1.
    short_gradient : ndarray, shape (...)
        The exact infimum in the limit g → 0, over any number of responses: a − a²/16 or a − a²/32, of
        three responses (1/4, 1/2, 1/4) equally spaced, of which the middle one is right.
    """

    two_arms: NDArray[np.float64]
    short_gradient: NDArray[np.float64]

    @property
    def lowest(self) -> NDArray[np.float64]:
        """The smaller of the two: no larger gain holds for every prompt; that this one does is conjectured."""
        return np.minimum(self.two_arms, self.short_gradient)[()]


@dataclass(frozen=True)
class BestStep:
    """The step with the largest uniform gain.

    Attributes
    ----------
    step : float
        a = αD², or αD²·range for REINFORCE.
    gain : float
        k.
    status : {"proved", "conjectured"}
        Whether every prompt gains as much; a conjectured gain is one that no larger can replace.
    """

    step: float
    gain: float
    status: Literal["proved", "conjectured"]


@dataclass(frozen=True)
class StepThreshold:
    """Below which mean reward std GRPO's rate, at its best step, is better than REINFORCE's at its own.

    Attributes
    ----------
    threshold : float
        σ̄ < threshold, in units of the reward range.
    grpo, reinforce : BestStep
        What it is the ratio of.
    status : {"proved", "conjectured"}
        "proved" compares two bounds that hold, "conjectured" the two that would be best possible.
    """

    threshold: float
    grpo: BestStep
    reinforce: BestStep
    status: Literal["proved", "conjectured"]


def one_step_gain(step: ArrayLike, method: Method = "grpo") -> OneStepGain:
    """Compute the smallest gain of one step among known worst instances: inf_p (p⁺ − p)/σ³, and a − a²/16.

    For two responses log-odds move by aσ (GRPO) or aσ² (REINFORCE), and the gain is (p⁺ − p)/σ³ or (p⁺ − p)/σ⁴ units.
    Up to a = 11.89 (GRPO) and 22.50 (REINFORCE) two responses are the worse of the two families.

    Ours. Kind: identity (each is the exact infimum of its family), so an upper bound of what any k can be. That the
    smaller one is the infimum over all prompts is conjectured: no search has gone below it.
    Holds when: the policy is log-linear and the prompt is moved by its own gradient alone.

    Parameters
    ----------
    step : array_like, shape (...)
        a = αD² for GRPO, αD²·range for REINFORCE.
    method : {"grpo", "reinforce"}
        Which step is taken.

    Returns
    -------
    OneStepGain
        Both infima.

    Raises
    ------
    ValueError
        If the step is negative or not finite, or the method is neither of the two.

    Notes
    -----
    The limit g → 0: the gain is a + (a²/2)uᵀ∇²J u/σ units, uᵀ∇²J u = Cov(r, w²) with Cov(r, w) = 0, and w² differs
    from an affine function of w on an interval of length 1 by at most 1/8 (Chebyshev).

    Examples
    --------
    >>> found = one_step_gain([4.0, 12.0])
    >>> found.two_arms.round(4), found.short_gradient.round(4)
    (array([2.3742, 3.0562]), array([3., 3.]))
    """
    _check("method", method, get_args(Method))
    _, (a,) = read_arguments(step=step)
    return OneStepGain(_two_arms(a, _POWER[method])[()], (a - a * _SHORT[method] * a)[()])


def one_step_certificate(step: ArrayLike, method: Method = "grpo", *, rewards: Rewards = "binary") -> Any:
    """Certify the gain of one step for every prompt: a − a²/8 for GRPO up to a = 4, a − a²/(12√3) for REINFORCE.

    For rewards 0 and 1 GRPO's guarantee is that of a smooth function of constant curvature σ/4: along an
    ascending path the curvature never exceeds its bound at the start. So α = 4/D² gains (2/D²)‖g‖²/σ, against T1's
    1.545. For real rewards, and beyond a = 4, it is T1's a − 4ψ(a/4).

    Ours (T1 and T2 under C1). Kind: lower bound; the best that C1 alone can give, as C1 allows curvature σ/4 at
    a gradient as small as one likes.
    Holds when: as for :func:`one_step_gain`; for prompts together, when they are orthogonal.

    Parameters
    ----------
    step : array_like, shape (...)
        a = αD² for GRPO, αD²·range for REINFORCE.
    method : {"grpo", "reinforce"}
        Which step is taken.
    rewards : {"binary", "real"}
        Rewards 0 and 1 only, or any; REINFORCE's guarantee is the same for both.

    Returns
    -------
    ndarray, shape (...)
        k: the gain is at least (k/D²)‖g‖²/σ, or (k/D²)‖g‖²/range. Negative where nothing is promised.

    Raises
    ------
    ValueError
        If the step is negative or not finite, or another argument is not one of those named.

    Examples
    --------
    >>> float(one_step_certificate(4.0)), round(float(one_step_certificate(4.0, rewards="real")), 4)
    (2.0, 1.1269)
    """
    _check("method", method, get_args(Method))
    _check("rewards", rewards, get_args(Rewards))
    _, (a,) = read_arguments(step=step)
    with quiet():
        smooth = a - a * _CERTIFIED[method] * a
        if method == "reinforce":
            return smooth[()]
        any_rewards = 2 * a - 4 * np.expm1(a / 4)
        return np.where((a <= _ASCENDING) & (rewards == "binary"), smooth, any_rewards)[()]


@cache
def best_one_step(method: Method = "grpo", basis: Basis = "certificate") -> BestStep:
    """Find the step whose uniform gain is largest, among proved gains or up to what known instances allow.

    Ours. Kind: lower bound ("certificate": 4 and 2 for GRPO, 6√3 and 3√3 for REINFORCE, binary rewards); upper bound
    on every possible constant, conjectured to be the best one ("known_instances": 3.0551 and 6.6810).
    Holds when: as for :func:`one_step_certificate` and :func:`one_step_gain`.

    Parameters
    ----------
    method : {"grpo", "reinforce"}
        Which step is taken.
    basis : {"certificate", "known_instances"}
        Which gain is maximised.

    Returns
    -------
    BestStep
        With its status.

    Raises
    ------
    ValueError
        If an argument is not one of those named.

    Notes
    -----
    The gain of two arms increases with the step and a − a²/16 falls from a = 8 on: the best step is where they cross.

    Examples
    --------
    >>> best_one_step("grpo")
    BestStep(step=4.0, gain=2.0, status='proved')
    >>> round(best_one_step("grpo", "known_instances").gain, 4)
    3.0551
    """
    _check("method", method, get_args(Method))
    _check("basis", basis, get_args(Basis))
    if basis == "certificate":
        step = 1 / (2 * _CERTIFIED[method])
        return BestStep(step, step / 2, "proved")

    def over(a: NDArray[np.float64]) -> NDArray[np.float64]:
        found = one_step_gain(a, method)
        return found.two_arms - found.short_gradient

    crest = 1 / (2 * _SHORT[method])
    step = float(bisect(np, over, np.float64(crest), np.float64(2 * crest)))
    return BestStep(step, float(one_step_gain(step, method).lowest), "conjectured")


def one_step_threshold(basis: Basis = "certificate") -> StepThreshold:
    """Say below which mean reward std GRPO's best rate beats REINFORCE's: σ̄ < k_GRPO/k_REINFORCE.

    A gain of k‖g‖²/(σD²) at every step makes GRPO's rate D²σ̄Δ̄/(kT); one of k‖g‖²/(range·D²) makes REINFORCE's
    D²·range·Δ̄/(kT).
    Proved constants give 2/(3√3) = 0.385, those conjectured to be the best 0.457.

    Ours. Kind: identity of the two bounds; which of them is smaller says nothing about the runs themselves.
    Holds when: prompts are orthogonal; rewards are 0 and 1 for the certificate.

    Parameters
    ----------
    basis : {"certificate", "known_instances"}
        Which constants are compared.

    Returns
    -------
    StepThreshold
        With the constants it came from.

    Raises
    ------
    ValueError
        If ``basis`` is neither of the two.

    Examples
    --------
    >>> [round(one_step_threshold(basis).threshold, 3) for basis in ("certificate", "known_instances")]
    [0.385, 0.457]
    """
    grpo, reinforce = best_one_step("grpo", basis), best_one_step("reinforce", basis)
    return StepThreshold(grpo.gain / reinforce.gain, grpo, reinforce, grpo.status)


def _two_arms(a: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    """Minimise the gain of two arms over p ≥ 1/2 (at equal σ the likelier success gains less).

    Returns
    -------
    ndarray
        In the shape of a.
    """
    values = _gain(a[..., None], _LOG_ODDS, power)
    best = np.argmin(values, axis=-1)
    low = _LOG_ODDS[np.maximum(best - 1, 0)]
    high = _LOG_ODDS[np.minimum(best + 1, len(_LOG_ODDS) - 1)]
    for _ in range(_NARROWINGS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        falls = _gain(a, left, power) > _gain(a, right, power)
        low, high = np.where(falls, left, low), np.where(falls, high, right)
    return _gain(a, (low + high) / 2, power)


def _gain(a: NDArray[np.float64], z: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    """Return (p⁺ − p)/σ^(power + 2) with p⁺ the success at log-odds z + aσ^power.

    Returns
    -------
    ndarray
        p⁺ − p = σ²(1 − e^(−δ))/(p + (1 − p)e^(−δ)), which does not cancel.
    """
    p = 1 / (1 + np.exp(-z))
    scale = (0.5 / np.cosh(z / 2)) ** power
    kept = np.exp(-a * scale)
    return -np.expm1(-a * scale) / (scale * (p * (1 - kept) + kept))


def _check(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
