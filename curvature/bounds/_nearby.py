"""Curvature near θ for binary rewards: C1 over the log-odds that a step can reach, the sharp form of Lemma 3.3."""

from __future__ import annotations

from math import acosh, sqrt
from typing import TYPE_CHECKING, Any, Literal, get_args

from curvature.bounds._inputs import quiet, read_arguments
from curvature.bounds._solve import bisect

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["hessian_norm_nearby_binary", "nearby_constant"]

Unit = Literal["spectral_norm", "diameter"]

# |z| at which ℓ is largest, arcosh 2 = log(2 + √3), and |z| at q = 1/4, where its two branches meet.
_PEAK = acosh(2)
_PEAK_ODDS = 2 - sqrt(3)
_HIGHEST = 1 / (6 * sqrt(3))
# At the stationary point cosh a ≤ (8 + √13)/3, a the near end of the window (the proof "nearby-unique").
_FURTHEST = acosh((8 + sqrt(13)) / 3)


def hessian_norm_nearby_binary(success: Any, diameter: Any, radius: Any) -> Any:
    """Bound the curvature in a ball around θ by the success at θ: ‖∇²J(θ')‖ ≤ D²·max ℓ over |z' − z| ≤ D·radius.

    z = log(p/(1 − p)) is the log-odds of success and ℓ that of :func:`curvature_profile`, largest at |z| =
    arcosh 2. The maximum over the window is 1/(6√3) if the window holds such a point, and else ℓ at the end
    of the window that is nearer to one.

    Ours, theory C1 with |z(θ') − z(θ)| ≤ D‖θ' − θ‖. Kind: sharp upper bound wherever the maximum is at q' ≤ 1/4 or
    the radius is 0 (two responses reach it); at q' > 1/4 the exact maximum of ℓ over the window, which no
    instance reaches: to move z by all of D·radius takes two features, and those reach ℓ at q ≤ 1/4 only.
    Holds when: the policy is log-linear, rewards are 0 or 1, and ‖θ' − θ‖ ≤ ``radius``.

    Parameters
    ----------
    success : float or array
        p, the success probability at the centre θ.
    diameter : float or array
        D, the feature diameter of the prompt.
    radius : float or array
        The radius of the ball.

    Returns
    -------
    float64 or array
        The bound on the whole ball, in the broadcast shape of the arguments; 0 where p is 0 or 1.

    Raises
    ------
    ValueError
        If ``success`` is outside [0, 1], or another argument is negative, infinite or NaN.

    Notes
    -----
    Symbols: success = p, diameter = D. As p → 1 pass the failure probability, the bound is symmetric.

    Examples
    --------
    >>> round(float(hessian_norm_nearby_binary(0.02, 1.0, 1.0)), 6)
    0.044562
    >>> float(hessian_norm_nearby_binary(0.5, 2.0, 0.0))
    0.25
    """
    xp, (p, D, radius) = read_arguments(success=success, diameter=diameter, radius=radius)
    with quiet():
        q = xp.minimum(p, 1 - p)
        sure = q == 0
        odds = xp.where(sure, 0.5 * xp.ones_like(q), q)
        value = _highest_in_window(xp, odds / (1 - odds), D * radius)
        value = xp.where(sure, 0 * value, value)
        return D * value * D


def nearby_constant(radius: Any, unit: Unit = "spectral_norm") -> Any:
    """Give the sharp constant of Lemma 3.3 at radius r: ‖∇²J(θ')‖ ≤ c₃(r)X²σ(θ) for ‖θ' − θ‖ ≤ rσ(θ)/X.

    The paper proves 5/2 at r = 1; the least constant that holds for every prompt is c₃(1) = 0.587284. In the
    unit "diameter" X is replaced by D on both sides: ‖∇²J(θ')‖ ≤ c·D²σ(θ) for ‖θ' − θ‖ ≤ rσ(θ)/D; there c → 1/4
    as r → 0, which is L2, and c₃(r) is twice that constant at √2·r.

    Ours, theory C1 (:func:`hessian_norm_nearby_binary`, maximised over p). Kind: sharp upper bound (two responses).
    Holds when: the policy is log-linear and rewards are 0 or 1.

    Parameters
    ----------
    radius : float or array
        r, in units of σ/X or σ/D.
    unit : {"spectral_norm", "diameter"}
        What radius and constant are measured in.

    Returns
    -------
    float64 or array
        c₃(r), in the shape of the argument.

    Raises
    ------
    ValueError
        If ``radius`` is negative, infinite or NaN, or ``unit`` is neither of the two.

    Notes
    -----
    With a = z − rσ(z), the end of the window that is nearer to 0, the maximiser solves (cosh a − 2)/sinh a =
    t/(2 + rσt), t = tanh(z/2); it has one solution, found by bisection.

    Examples
    --------
    >>> round(float(nearby_constant(1.0)), 6)
    0.587284
    >>> round(float(nearby_constant(0.0, unit="diameter")), 12)
    0.25
    """
    if unit not in get_args(Unit):
        raise ValueError(f"unit is {unit!r}; choose one of {', '.join(get_args(Unit))}.")
    xp, (r,) = read_arguments(radius=radius)
    in_spectral_norm = unit == "spectral_norm"
    with quiet():
        scaled = sqrt(2) * r if in_spectral_norm else r
        z = bisect(xp, _slope(xp, scaled), _PEAK * xp.ones_like(r), _FURTHEST + 2 * xp.log1p(scaled))
        σ = _std(xp, z)
        # Both ends of the bisection stay in the domain; rounding may leave a below the peak by an ulp.
        a = xp.maximum(z - scaled * σ, _PEAK * xp.ones_like(z))
        found = _profile(xp, a) / σ
        return (2 * found if in_spectral_norm else found)[()]


def _slope(xp: Any, r: Any) -> Callable[[Any], Any]:
    """Return minus the sign of d/dz log(ℓ(z − rσ)/σ): it crosses 0 once, upwards.

    Returns
    -------
    callable
        Of z; −1 where the window reaches the peak.
    """

    def value(z: Any) -> Any:
        σ, t = _std(xp, z), xp.tanh(z / 2)
        a = z - r * σ
        inside = a <= _PEAK
        safe = xp.where(inside, _PEAK * xp.ones_like(a), a)
        # (cosh a − 2)/sinh a without overflow: divide by e^a/2.
        decay = xp.exp(-safe)
        steep = (1 + decay * decay - 4 * decay) / (1 - decay * decay)
        return xp.where(inside, -xp.ones_like(a), steep - t / (2 + r * σ * t))

    return value


def _highest_in_window(xp: Any, odds: Any, width: Any) -> Any:
    """Maximise ℓ over log-odds within ``width`` of log(odds) ≤ 0; odds keep the digits that log-odds would lose.

    Returns
    -------
    array
        The maximum.
    """
    shrink = xp.exp(-width)
    # The nearer end is below the peak where odds·e^width < _PEAK_ODDS; there the quotient is no overflow.
    below, above = odds < _PEAK_ODDS * shrink, odds * shrink > _PEAK_ODDS
    near = xp.where(below, odds, xp.zeros_like(odds)) / xp.where(below, shrink, xp.ones_like(shrink))
    value = xp.where(below, _profile_of_odds(xp, near), _profile_of_odds(xp, odds * shrink))
    return xp.where(below | above, value, _HIGHEST * xp.ones_like(value))


def _profile(xp: Any, z: Any) -> Any:
    # ℓ as a function of |log-odds|.
    return _profile_of_odds(xp, xp.exp(-xp.abs(z)))


def _profile_of_odds(xp: Any, decay: Any) -> Any:
    q, other = decay / (1 + decay), 1 / (1 + decay)
    return xp.where(q <= 0.25, q * other * (other - q), other / 8)


def _std(xp: Any, z: Any) -> Any:
    decay = xp.exp(-xp.abs(z) / 2)
    return decay / (1 + decay * decay)
