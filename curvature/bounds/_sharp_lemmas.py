"""The curvature lemmas of `bounds.sharp`: L1–L4 and C1, for one prompt."""

from __future__ import annotations

from math import sqrt
from typing import Any

from curvature.bounds._inputs import quiet, read_arguments
from curvature.bounds._one_correct import hessian_norm_one_correct, one_correct_profile

__all__ = [
    "ascent_remainder",
    "curvature_profile",
    "gradient_norm",
    "hessian_norm",
    "hessian_norm_binary",
    "hessian_norm_global",
    "hessian_norm_nearby",
    "hessian_norm_one_correct",
    "log_std_lipschitz",
    "one_correct_profile",
]

# ψ(s) = (s²/2)(1 + s/3(1 + s/4(1 + …))), down to s/19: what is cut off is below 1e-17 of the sum for s ≤ 1.
_PSI_TERMS = 18


def gradient_norm(reward_std: Any, diameter: Any) -> Any:
    """Bound the gradient of one prompt's expected reward by its reward std: ‖∇J(θ)‖ ≤ Dσ/2.

    Ours, theory L1. Kind: sharp upper bound (two responses, p = 1/2).
    Holds when: the policy is log-linear; any real rewards.

    Parameters
    ----------
    reward_std : float or array
        σ, the reward std at θ.
    diameter : float or array
        D, the feature diameter of the prompt.

    Returns
    -------
    float64 or array
        The bound, in the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is negative, infinite or NaN.

    Notes
    -----
    Symbols: reward_std = σ, diameter = D.

    Examples
    --------
    >>> float(gradient_norm(0.5, 2.0))
    0.5
    """
    xp, (σ, D) = read_arguments(reward_std=reward_std, diameter=diameter)
    with quiet():
        # The larger is halved: the product must not overflow before, and half of a tiny factor may be 0.
        return xp.maximum(D, σ) / 2 * xp.minimum(D, σ)


def hessian_norm(reward_std: Any, diameter: Any) -> Any:
    """Bound the local curvature of one prompt by its reward std: ‖∇²J(θ)‖ ≤ D²σ/4.

    Ours, theory L2. Kind: sharp upper bound (two responses, p(1 − p) = 1/8).
    Holds when: the policy is log-linear; any real rewards.

    Parameters
    ----------
    reward_std : float or array
        σ, the reward std at θ.
    diameter : float or array
        D, the feature diameter of the prompt.

    Returns
    -------
    float64 or array
        The bound, in the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is negative, infinite or NaN.

    Notes
    -----
    Symbols: reward_std = σ, diameter = D.

    Examples
    --------
    >>> float(hessian_norm(0.5, 2.0))
    0.5
    """
    _, (σ, D) = read_arguments(reward_std=reward_std, diameter=diameter)
    with quiet():
        # D·σ·D and not D²·σ: every partial product then lies between the smallest factor and the result.
        return D / 2 * σ * (D / 2)


def curvature_profile(success: Any) -> Any:
    """Give the largest curvature of a binary prompt of diameter 1: ℓ(q) with q = min(p, 1 − p).

    ℓ(q) = q(1 − q)(1 − 2q) for q ≤ 1/4 and (1 − q)/8 for q ≥ 1/4: at most 1/(6√3), at q = (3 − √3)/6; at
    most p(1 − p); and at most √(p(1 − p))/4, which it touches at p(1 − p) = 1/8.

    Ours, theory C1. Kind: identity (the exact supremum over all binary prompts).
    Holds when: the policy is log-linear and rewards are 0 or 1.

    Parameters
    ----------
    success : float or array
        p, the success probability at θ.

    Returns
    -------
    float64 or array
        ℓ, in the shape of the argument.

    Raises
    ------
    ValueError
        If ``success`` is outside [0, 1].

    Notes
    -----
    Symbols: success = p.

    Examples
    --------
    >>> [float(curvature_profile(p)) for p in (0.0, 0.25, 0.5, 1.0)]
    [0.0, 0.09375, 0.0625, 0.0]
    """
    xp, (p,) = read_arguments(success=success)
    with quiet():
        return _profile(xp, p)[()]


def hessian_norm_binary(success: Any, diameter: Any) -> Any:
    """Bound the local curvature of a binary prompt by its success probability: ‖∇²J(θ)‖ ≤ D²ℓ(min(p, 1 − p)).

    ℓ is :func:`curvature_profile`. For very hard and very easy prompts it falls like the reward *variance*,
    faster than the std of :func:`hessian_norm`, and it is never above that bound.

    Ours, theory C1. Kind: sharp upper bound, at every p.
    Holds when: the policy is log-linear and rewards are 0 or 1. Also for any rewards in [0, 1] with
    ``success`` their expectation: splitting each response into a right and a wrong copy changes neither J nor
    its derivatives. Instances that reach ℓ for 1/4 < p < 1/2 have two correct responses: with one,
    :func:`hessian_norm_one_correct` is smaller there.

    Parameters
    ----------
    success : float or array
        p, the success probability at θ.
    diameter : float or array
        D, the feature diameter of the prompt.

    Returns
    -------
    float64 or array
        The bound, in the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If ``success`` is outside [0, 1] or ``diameter`` is negative, infinite or NaN.

    Notes
    -----
    Symbols: success = p, diameter = D. As p → 1 the bound is as precise as 1 − p is: pass the failure
    probability instead, the bound is symmetric.

    Examples
    --------
    >>> float(hessian_norm_binary(0.5, 2.0))
    0.25
    """
    xp, (p, D) = read_arguments(success=success, diameter=diameter)
    with quiet():
        return D * _profile(xp, p) * D


def hessian_norm_global(diameter: Any, reward_range: Any = 1.0) -> Any:
    """Bound the curvature of one prompt everywhere: ‖∇²J(θ)‖ ≤ D²·range/(6√3) for every θ.

    Ours, theory C1 (the maximum of ℓ). Kind: sharp upper bound (two responses, p = (3 − √3)/6).
    Holds when: the policy is log-linear and all rewards lie within ``reward_range`` of each other; binary
    rewards have range 1. That the binary constant serves every range: at fixed probabilities the Hessian is
    linear in the rewards and unchanged by adding a constant to them, so its norm is largest when each is at
    one end of the range. (L2 with σ ≤ range/2 would give only the weaker D²·range/8.)

    Parameters
    ----------
    diameter : float or array
        D, the feature diameter of the prompt.
    reward_range : float or array, default 1
        The largest reward of the prompt less the smallest.

    Returns
    -------
    float64 or array
        The bound (the smoothness of J), in the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is negative, infinite or NaN.

    Notes
    -----
    Symbols: diameter = D.

    Examples
    --------
    >>> round(float(hessian_norm_global(1.0)), 6)
    0.096225
    """
    _, (D, spread) = read_arguments(diameter=diameter, reward_range=reward_range)
    with quiet():
        return D / (6 * sqrt(3)) * spread * D


def hessian_norm_nearby(reward_std: Any, diameter: Any, radius: Any) -> Any:
    """Bound the curvature in a ball by the reward std at its centre: ‖∇²J(θ')‖ ≤ (D²/4)σe^(D·radius/2).

    Ours, theory L2 and L3. Kind: upper bound, sharp as the radius tends to 0.
    Holds when: the policy is log-linear and ‖θ' − θ‖ ≤ ``radius``; any real rewards. Only the part of θ' − θ
    in the span of the prompt's feature differences counts.

    Parameters
    ----------
    reward_std : float or array
        σ, the reward std at the centre θ.
    diameter : float or array
        D, the feature diameter of the prompt.
    radius : float or array
        The radius of the ball.

    Returns
    -------
    float64 or array
        The bound on the whole ball, in the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is negative, infinite or NaN.

    Notes
    -----
    Symbols: reward_std = σ, diameter = D.

    Examples
    --------
    >>> float(hessian_norm_nearby(0.5, 2.0, 0.0))
    0.5
    """
    xp, (σ, D, radius) = read_arguments(reward_std=reward_std, diameter=diameter, radius=radius)
    with quiet():
        # Half of the exponential on either side, so that neither under- nor overflows before the result does.
        side = D / 2 * xp.exp(D * radius / 4)
        side = _finite_beside_zero(xp, σ, side)
        return side * σ * side


def log_std_lipschitz(diameter: Any) -> Any:
    """Bound how fast the reward std can change: ‖∇log σ(θ)‖ ≤ D/2, so σ(θ + Δ) ≤ σ(θ)e^(D‖Δ‖/2).

    Ours, theory L3. Kind: sharp upper bound (two responses, p → 0).
    Holds when: the policy is log-linear and σ > 0; any real rewards.

    Parameters
    ----------
    diameter : float or array
        D, the feature diameter of the prompt.

    Returns
    -------
    float64 or array
        The Lipschitz constant of log σ, in the shape of the argument.

    Raises
    ------
    ValueError
        If ``diameter`` is negative, infinite or NaN.

    Notes
    -----
    Symbols: diameter = D.

    Examples
    --------
    >>> float(log_std_lipschitz(3.0))
    1.5
    """
    _, (D,) = read_arguments(diameter=diameter)
    with quiet():
        return D / 2


def ascent_remainder(reward_std: Any, diameter: Any, step_norm: Any) -> Any:
    """Bound what a step can lose on its linear promise: |J(θ + Δ) − J(θ) − ⟨∇J(θ), Δ⟩| ≤ σψ(D‖Δ‖/2).

    ψ(s) = e^s − 1 − s, computed without cancellation: to about 1e-15 relative at any s.

    Ours, theory L4 (L2 and L3 integrated along the step). Kind: upper bound, sharp as the step tends to 0.
    Holds when: the policy is log-linear; any real rewards. ``step_norm`` may be the norm of the part of Δ in
    the span of the prompt's feature differences, or any larger number, such as ‖Δ‖.

    Parameters
    ----------
    reward_std : float or array
        σ, the reward std at θ.
    diameter : float or array
        D, the feature diameter of the prompt.
    step_norm : float or array
        ‖Δ‖, the length of the step.

    Returns
    -------
    float64 or array
        The bound, in the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is negative, infinite or NaN.

    Notes
    -----
    Symbols: reward_std = σ, diameter = D, step_norm = ‖P_xΔ‖.

    Examples
    --------
    >>> round(float(ascent_remainder(0.5, 2.0, 1.0)), 6)
    0.359141
    """
    xp, (σ, D, step) = read_arguments(reward_std=reward_std, diameter=diameter, step_norm=step_norm)
    with quiet():
        s = D * step / 2
        small = s < 1
        one = xp.ones_like(s)
        # Each branch is fed a harmless value where the other is taken, lest its NaN reach a gradient.
        below = _psi_below_one(xp, σ, xp.where(small, s, 0 * one))
        above = _psi_above_one(xp, σ, xp.where(small, one, s))
        return xp.where(small, below, above)[()]


def _profile(xp: Any, p: Any) -> Any:
    # 1 − p is exact for p ≥ 1/2, so q has the full precision of p.
    q = xp.minimum(p, 1 - p)
    return xp.where(q <= 0.25, q * (1 - q) * (1 - 2 * q), (1 - q) / 8)


def _psi_below_one(xp: Any, σ: Any, s: Any) -> Any:
    """Return σψ(s) for s ≤ 1 by its series, all of whose terms are positive.

    Returns
    -------
    array
        σψ(s).
    """
    series = xp.ones_like(s)
    for n in range(_PSI_TERMS + 1, 2, -1):
        series = 1 + series * s / n
    return s * σ * s * (series / 2)


def _psi_above_one(xp: Any, σ: Any, s: Any) -> Any:
    """Return σψ(s) = σe^s(1 − (1 + s)e^(−s)) for s ≥ 1, with half of e^s on either side of σ.

    Returns
    -------
    array
        σψ(s), inf where it overflows.
    """
    # Beyond 4000 the root overflows whatever s is, and (1 + s)e^(−s) must not become inf·0.
    s = xp.where(s < 4000, s, 4000 * xp.ones_like(s))
    root = _finite_beside_zero(xp, σ, xp.exp(s / 2))
    return root * (1 - (1 + s) * xp.exp(-s)) * σ * root


def _finite_beside_zero(xp: Any, σ: Any, factor: Any) -> Any:
    """Replace an infinite factor by 1 where σ = 0: the bound there is 0, and 0·inf is NaN.

    Returns
    -------
    array
        The factor, in the broadcast shape of both.
    """
    return xp.where((σ == 0) & xp.isinf(factor), xp.ones_like(factor), factor)
