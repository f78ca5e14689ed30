"""The exact largest curvature under the paper's assumption A1, one correct response; part of `bounds.sharp`."""

from __future__ import annotations

from typing import Any

from curvature.bounds._inputs import quiet, read_arguments

__all__ = ["hessian_norm_one_correct", "one_correct_profile"]


def one_correct_profile(success: Any) -> Any:
    """Give the largest curvature of a prompt of diameter 1 with one correct response: ℓ₁(p).

    ℓ₁(p) = p(1 − p)·max(1 − 2p, 1/4) for p ≤ 1/2, and ℓ₁(p) = ℓ(1 − p) for p ≥ 1/2, with ℓ of
    :func:`curvature.bounds.sharp.curvature_profile`. It lies below ℓ only for 1/4 < p < 1/2, most at p = 3/8,
    where ℓ is 4/3 of it.

    Ours, theory C1 under assumption A1. Kind: identity (the exact supremum over prompts with one correct response).
    Holds when: the policy is log-linear, one response has reward 1 and the others 0.

    Parameters
    ----------
    success : float or array
        p, the success probability at θ.

    Returns
    -------
    float64 or array
        ℓ₁, in the shape of the argument.

    Raises
    ------
    ValueError
        If ``success`` is outside [0, 1].

    Notes
    -----
    Symbols: success = p.

    Examples
    --------
    >>> [float(one_correct_profile(p)) for p in (0.25, 0.375, 0.5, 0.75)]
    [0.09375, 0.05859375, 0.0625, 0.09375]
    """
    xp, (p,) = read_arguments(success=success)
    with quiet():
        return _profile(xp, p)[()]


def hessian_norm_one_correct(success: Any, diameter: Any) -> Any:
    """Bound the local curvature of a prompt with one correct response: ‖∇²J(θ)‖ ≤ D²ℓ₁(p).

    ℓ₁ is :func:`one_correct_profile`. For general binary rewards use
    :func:`curvature.bounds.sharp.hessian_norm_binary`.

    Ours, theory C1 under assumption A1. Kind: sharp upper bound, at every p.
    Holds when: the policy is log-linear, one response has reward 1 and the others 0.

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
    Symbols: success = p, diameter = D.

    Examples
    --------
    >>> float(hessian_norm_one_correct(0.5, 2.0))
    0.25
    """
    xp, (p, D) = read_arguments(success=success, diameter=diameter)
    with quiet():
        return D * _profile(xp, p) * D


def _profile(xp: Any, p: Any) -> Any:
    wrong = 1 - p
    hard = p * wrong * xp.maximum(1 - 2 * p, xp.full_like(p, 0.25))
    easy = xp.where(wrong <= 0.25, wrong * p * (2 * p - 1), p / 8)
    return xp.where(p <= 0.5, hard, easy)
