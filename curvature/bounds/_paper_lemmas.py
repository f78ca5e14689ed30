"""The curvature lemmas of `bounds.paper`: Lemmas 3.1–3.3, for one prompt."""

from __future__ import annotations

from typing import Any

from curvature.bounds._inputs import quiet, read_arguments

__all__ = [
    "gradient_norm",
    "hessian_norm",
    "hessian_norm_global",
    "hessian_norm_nearby",
    "nearby_radius",
]


def gradient_norm(spectral_norm: Any) -> Any:
    """Bound the gradient of one prompt's expected reward: ‖∇J(θ)‖ ≤ X/2 for every θ.

    Implements Lemma 3.2, arXiv:2601.23135v1. Kind: upper bound.
    Holds when: the policy is log-linear and rewards are 0 or 1.

    Parameters
    ----------
    spectral_norm : float or array
        X, the spectral norm of the prompt's feature matrix.

    Returns
    -------
    float64 or array
        The bound, in the shape of the argument.

    Raises
    ------
    ValueError
        If ``spectral_norm`` is negative, infinite or NaN.

    Notes
    -----
    Symbols: spectral_norm = X.

    Examples
    --------
    >>> float(gradient_norm(3.0))
    1.5
    """
    _, (X,) = read_arguments(spectral_norm=spectral_norm)
    with quiet():
        return X / 2


def hessian_norm(success: Any, spectral_norm: Any) -> Any:
    """Bound the local curvature of one prompt by its reward variance: ‖∇²J(θ)‖ ≤ 4X²p(1 − p).

    Implements Lemma 3.1, eq. (7), arXiv:2601.23135v1. Kind: upper bound.
    Holds when: the policy is log-linear and rewards are 0 or 1.

    Parameters
    ----------
    success : float or array
        p, the success probability at θ.
    spectral_norm : float or array
        X, the spectral norm of the prompt's feature matrix.

    Returns
    -------
    float64 or array
        The bound, in the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If ``success`` is outside [0, 1] or ``spectral_norm`` is negative, infinite or NaN.

    Notes
    -----
    Symbols: success = p, spectral_norm = X.

    Examples
    --------
    >>> float(hessian_norm(0.5, 3.0))
    9.0
    >>> float(hessian_norm(1e-300, 1e150))
    4.0
    """
    _, (p, X) = read_arguments(success=success, spectral_norm=spectral_norm)
    with quiet():
        # Multiplying by X on either side keeps every partial product between the smallest factor and the result.
        return X * (4 * p * (1 - p)) * X


def hessian_norm_global(spectral_norm: Any) -> Any:
    """Bound the curvature of one prompt everywhere: ‖∇²J(θ)‖ ≤ X² for every θ.

    Implements Lemma 3.1, eq. (8), arXiv:2601.23135v1. Kind: upper bound.
    Holds when: the policy is log-linear and rewards are 0 or 1.

    Parameters
    ----------
    spectral_norm : float or array
        X, the spectral norm of the prompt's feature matrix.

    Returns
    -------
    float64 or array
        The bound (the smoothness of J), in the shape of the argument.

    Raises
    ------
    ValueError
        If ``spectral_norm`` is negative, infinite or NaN.

    Notes
    -----
    Symbols: spectral_norm = X.

    Examples
    --------
    >>> float(hessian_norm_global(3.0))
    9.0
    """
    _, (X,) = read_arguments(spectral_norm=spectral_norm)
    with quiet():
        return X * X


def hessian_norm_nearby(success: Any, spectral_norm: Any) -> Any:
    """Bound the curvature in a ball by the reward std at its centre: ‖∇²J(θ')‖ ≤ (5/2)X²√(p(1 − p)).

    Implements Lemma 3.3, arXiv:2601.23135v1. Kind: upper bound.
    Holds when: the policy is log-linear, rewards are 0 or 1, and ‖θ' − θ‖ ≤ :func:`nearby_radius`.

    Parameters
    ----------
    success : float or array
        p, the success probability at the centre θ.
    spectral_norm : float or array
        X, the spectral norm of the prompt's feature matrix.

    Returns
    -------
    float64 or array
        The bound on the whole ball, in the broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If ``success`` is outside [0, 1] or ``spectral_norm`` is negative, infinite or NaN.

    Notes
    -----
    Symbols: success = p, spectral_norm = X.

    Examples
    --------
    >>> float(hessian_norm_nearby(0.5, 2.0))
    5.0
    """
    xp, (p, X) = read_arguments(success=success, spectral_norm=spectral_norm)
    with quiet():
        return X * (2.5 * _reward_std(xp, p)) * X


def nearby_radius(success: Any, spectral_norm: Any) -> Any:
    """Give the radius of the ball of Lemma 3.3 around θ: √(p(1 − p))/X.

    Implements Lemma 3.3, arXiv:2601.23135v1. Kind: identity (the lemma's own definition).
    Holds when: the policy is log-linear and rewards are 0 or 1.

    Parameters
    ----------
    success : float or array
        p, the success probability at the centre θ.
    spectral_norm : float or array
        X, the spectral norm of the prompt's feature matrix.

    Returns
    -------
    float64 or array
        The radius, in the broadcast shape of the arguments: inf where X = 0 (J is then constant, and its
        Hessian zero, everywhere) and where the radius is beyond the largest float.

    Raises
    ------
    ValueError
        If ``success`` is outside [0, 1] or ``spectral_norm`` is negative, infinite or NaN.

    Notes
    -----
    Symbols: success = p, spectral_norm = X.

    Examples
    --------
    >>> float(nearby_radius(0.5, 2.0))
    0.25
    """
    xp, (p, X) = read_arguments(success=success, spectral_norm=spectral_norm)
    with quiet():
        # A standing-in X = 1 keeps 0/0, and the NaN gradient behind it, out of the division.
        radius = _reward_std(xp, p) / xp.where(X == 0, xp.ones_like(X), X)
        return (radius + xp.where(X == 0, xp.full_like(X, float("inf")), xp.zeros_like(X)))[()]


def _reward_std(xp: Any, p: Any) -> Any:
    return xp.sqrt(p * (1 - p))
