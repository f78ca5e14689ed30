"""The exact supremum of L4's remainder at every length of step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curvature.bounds._inputs import quiet, read_arguments
from curvature.bounds._solve import bisect

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ascent_remainder_exact"]

# ψ(s)/s² = (1 + s/3(1 + s/4(1 + …)))/2, down to s/19: what is cut off is below 1e-17 of the sum for s ≤ 1.
_PSI_TERMS = 18


def ascent_remainder_exact(reward_std: Any, diameter: Any, displacement: Any) -> Any:
    """Give the largest |J(θ + Δ) − J(θ) − ⟨∇J(θ), Δ⟩| that any prompt can have: σΨ(D‖Δ‖/2).

    Ψ(s) = max over p of √(p(1 − p))·|(e^(2s) − 1)/(1 + p(e^(2s) − 1)) − 2s| is s²/2 to leading order as s → 0,
    as is the ψ of :func:`ascent_remainder`, and e^s/2 as s → ∞, half of it; at s = ln 2 it is 0.9134·ψ.

    Ours, theory L4 made exact. Kind: sharp upper bound at every s (two responses, rewards 0 and 1). That no other
    instance exceeds it is certified for s ≤ 8 (the proof "L4-exact") and beyond that supported by search.
    Holds when: the policy is log-linear; any real rewards. ``displacement`` may be the norm of the part of Δ
    in the span of the prompt's feature differences, or any larger number, such as ‖Δ‖.

    Parameters
    ----------
    reward_std : float or array
        σ, the reward std at θ.
    diameter : float or array
        D, the feature diameter of the prompt.
    displacement : float or array
        ‖Δ‖, the length of the step.

    Returns
    -------
    float64 or array
        The supremum, in the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is negative, infinite or NaN.

    Notes
    -----
    Symbols: reward_std = σ, diameter = D, displacement = ‖P_xΔ‖. With V = e^(2s) − 1 and M = 1 + pV the maximiser
    solves (1 − 2p)M(V − 2sM) = 2p(1 − p)V², a cubic in p with one root between 0 and the zero of V − 2sM.
    Ψ increases, so a larger ‖Δ‖ gives a weaker bound that still holds.

    Examples
    --------
    >>> from math import log
    >>> round(float(ascent_remainder_exact(1.0, 2.0, log(2))), 6)
    0.280265
    """
    xp, (σ, D, step) = read_arguments(reward_std=reward_std, diameter=diameter, displacement=displacement)
    with quiet():
        length = D * step
        still = length == 0
        # Beyond 4000 the value overflows whatever σ is, and L may be infinite.
        L = xp.where(
            still, xp.ones_like(length), xp.where(length < 4000, length, 4000 * xp.ones_like(length))
        )
        # Half of e^s on either side of σ, factor by factor: neither under- nor overflows before the result does.
        side, root, excess = _factors(xp, L)
        value = xp.where((σ == 0) | still, xp.zeros_like(σ * L), side * root * σ * excess * side)
        return value[()]


def _factors(xp: Any, L: Any) -> tuple[Any, Any, Any]:
    """Maximise √(p(1 − p))(V/M − L), V = e^L − 1 and M = 1 + pV, over x = log M.

    Returns
    -------
    tuple of array
        V^(1/4), √(p(1 − p)V)/M and 1 − LM/V, whose product with another V^(1/4) is Ψ.
    """
    low, high = xp.zeros_like(L), _log_ratio(xp, L)
    x = bisect(xp, _slope(xp, L), low, high)
    side = xp.exp(L / 4) * xp.sqrt(xp.sqrt(-xp.expm1(-L)))
    failure = 1 - _success(xp, L, x)
    return side, xp.sqrt(-xp.expm1(-x) * xp.exp(-x) * failure), _excess(xp, L, x)


def _slope(xp: Any, L: Any) -> Callable[[Any], Any]:
    """Return minus the derivative in p, times a positive factor: it crosses 0 once, upwards.

    Returns
    -------
    callable
        Of x.
    """

    def value(x: Any) -> Any:
        p = _success(xp, L, x)
        return -2 * xp.expm1(-x) * (1 - p) - (1 - 2 * p) * _excess(xp, L, x)

    return value


def _excess(xp: Any, L: Any, x: Any) -> Any:
    """Return 1 − LM/V, without cancellation where L is small.

    Returns
    -------
    array
        It falls from ψ(L)/V to 0.
    """
    small = L < 1
    near = xp.where(small, L, xp.ones_like(L))
    far = xp.where(small, xp.ones_like(L), L)
    below = xp.exp(x) * (near * (near * _psi_over_square(xp, near) / xp.expm1(near)) + xp.expm1(-x))
    above = 1 + far * xp.exp(x - far) / xp.expm1(-far)
    return xp.where(small, below, above)


def _success(xp: Any, L: Any, x: Any) -> Any:
    # p = (e^x − 1)/(e^L − 1), where e^L may overflow.
    return xp.exp(x - L) * xp.expm1(-x) / xp.expm1(-L)


def _log_ratio(xp: Any, L: Any) -> Any:
    """Return log(V/L), the x at which V/M = L.

    Returns
    -------
    array
        Positive.
    """
    small = L < 1
    near = xp.where(small, L, xp.ones_like(L))
    far = xp.where(small, xp.ones_like(L), L)
    above = far + xp.log1p(-xp.exp(-far)) - xp.log(far)
    return xp.where(small, xp.log1p(near * _psi_over_square(xp, near)), above)


def _psi_over_square(xp: Any, s: Any) -> Any:
    series = xp.ones_like(s)
    for n in range(_PSI_TERMS + 1, 2, -1):
        series = 1 + series * s / n
    return series / 2
