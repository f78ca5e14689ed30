"""One prompt of two arms under small steps: time to a success rate, success rate at a time, and both asymptotes.

Two responses at distance D, one right: the exact gradient has norm D·p(1 − p), so steps α·σ^(−e)·∇J in the limit
of small α give

    dp/dt = αD²·(p(1 − p))^(2 − e/2).

Every function takes `rate` = αD² and gives times in steps. With `log_odds=True` success rates go in and come out
as z = log(p/(1 − p)), which holds 1e-300 and 1 − 1e-300 alike.
"""

from __future__ import annotations

from math import exp, inf, lgamma
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.flow import _odds
from curvature.flow._inputs import read_array, read_law, read_odds, slowness_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

__all__ = ["escape_time_asymptote", "failure_asymptote", "success_at_time", "time_to_success"]


def time_to_success(
    start: ArrayLike,
    target: ArrayLike,
    *,
    exponent: float | None = None,
    weight: Callable[[NDArray[np.float64]], Any] | None = None,
    rate: ArrayLike = 1.0,
    log_odds: bool = False,
) -> Any:
    """Time of the flow from success p₀ to p: αD²t = F_e(p) − F_e(p₀).

    F₀ = (2p − 1)/(p(1 − p)) + 2 log(p/(1 − p)), F₁ = 2(2p − 1)/√(p(1 − p)), F₂ = log(p/(1 − p)); any other
    weight by quadrature in log-odds, F = ∫ dp/(a(p)·(p(1 − p))²).

    Ours, theory II.6. Kind: identity.
    Holds when: two arms, one right; steps small (a discrete run is one Euler discretisation of the flow).

    Parameters
    ----------
    start, target : float or array
        p₀ and p in [0, 1], or their log-odds if `log_odds`.
    exponent : float, optional
        e ≥ 0 of the weight σ^(−e): 0 REINFORCE, 1 GRPO, 2 division by the variance.
    weight : callable, optional
        In place of `exponent`: a(p) for an array of p, finite and at least 0, such as the effective weight of a
        finite group. It is asked only at 2e-308 ≤ p ≤ 1 − 1.1e-16, and kept constant beyond: a weight that is
        singular at p = 1 is resolved no finer than p is.
    rate : float or array
        αD² > 0, the step times the squared feature diameter.
    log_odds : bool
        Whether `start` and `target` are log-odds.

    Returns
    -------
    float64 or array
        Steps, in the broadcast shape; 0 where start ≥ target; inf where the target is never reached: from
        start = 0, whose gradient is zero, and target = 1 for e ≤ 2. For e > 2 success 1 is reached in finite time.

    Raises
    ------
    TypeError
        If neither or both of exponent and weight are given, or an argument is not a number.
    ValueError
        If a value is outside its domain; the message names it.

    Notes
    -----
    Symbols: start = p₀, target = p, exponent = e, weight = a, rate = αD². Relative accuracy 1e-12 for an exponent,
    also for close start and target; 1e-10 for a weight with jumps.

    Examples
    --------
    >>> from math import log
    >>> round(float(time_to_success(0.01, 0.99, exponent=0, rate=8 * log(2))), 1)  # REINFORCE, certified step
    39.0
    >>> round(float(time_to_success(0.01, 0.99, exponent=1, rate=4 * log(2))), 1)  # GRPO, certified step
    14.2
    """
    law = read_law(exponent, weight)
    z0, z1 = read_odds("start", start, log_odds), read_odds("target", target, log_odds)
    speed = read_array("rate", rate, 0.0, np.finfo(float).max, open_low=True)
    with np.errstate(invalid="ignore"):
        gap = z1 - z0 if log_odds else _odds.gap_between(np.asarray(start, float), np.asarray(target, float))
    arrays = np.broadcast_arrays(z0, z1, gap, speed)
    z0, z1, gap, speed = (array.ravel() for array in arrays)
    # By the gap, which tells two success rates apart where the rounded log-odds do not.
    ahead = gap > 0
    clock = np.where(ahead, inf, 0.0)
    moving = ahead & np.isfinite(z0)
    if callable(law):
        clock[moving] = _odds.elapsed_weighted(z0[moving], gap[moving], slowness_of(law))
    else:
        clock[moving] = _odds.elapsed(z0[moving], gap[moving], law)
    return (clock / speed).reshape(arrays[0].shape)[()]


def success_at_time(
    start: ArrayLike,
    time: ArrayLike,
    *,
    exponent: float | None = None,
    weight: Callable[[NDArray[np.float64]], Any] | None = None,
    rate: ArrayLike = 1.0,
    log_odds: bool = False,
) -> Any:
    """Success rate of the flow after a time: the inverse of :func:`time_to_success` in its target.

    Closed for e = 1, z = 2 asinh(sinh(z₀/2) + αD²t/4), and e = 2, z = z₀ + αD²t; else by Newton steps inside a
    bracket.

    Ours, theory II.6. Kind: identity.
    Holds when: two arms, one right; steps small.

    Parameters
    ----------
    start : float or array
        p₀ in [0, 1], or its log-odds if `log_odds`.
    time : float or array
        Steps, at least 0 (may be inf).
    exponent, weight, rate
        As in :func:`time_to_success`.
    log_odds : bool
        Whether `start` and the result are log-odds.

    Returns
    -------
    float64 or array
        p, or its log-odds, in the broadcast shape. Success 0 and 1 stay as they are.

    Raises
    ------
    TypeError
        If neither or both of exponent and weight are given, or an argument is not a number.
    ValueError
        If a value is outside its domain; the message names it.

    Notes
    -----
    Symbols: start = p₀, time = t, exponent = e, weight = a, rate = αD². After a long escape from a small p₀ the
    success rate is as ill-conditioned in t as the flow itself: it is the time that is accurate.

    Examples
    --------
    >>> t = time_to_success(0.01, 0.99, exponent=0.5)
    >>> round(float(success_at_time(0.01, t, exponent=0.5)), 12)
    0.99
    """
    law = read_law(exponent, weight)
    z0 = read_odds("start", start, log_odds)
    t = read_array("time", time, 0.0, inf)
    speed = read_array("rate", rate, 0.0, np.finfo(float).max, open_low=True)
    arrays = np.broadcast_arrays(z0, t, speed)
    z0, t, speed = (array.ravel() for array in arrays)
    with np.errstate(over="ignore"):
        clock = t * speed
    z1 = np.where((clock > 0) & (z0 > -inf), inf, z0)
    moving = np.isfinite(z0) & np.isfinite(clock)
    if callable(law):
        gap = _odds.advance_weighted(z0[moving], clock[moving], slowness_of(law))
    else:
        gap = _odds.advance(z0[moving], clock[moving], law)
    z1[moving] = z0[moving] + gap
    return (z1 if log_odds else _odds.success_of(z1)).reshape(arrays[0].shape)[()]


def escape_time_asymptote(start: ArrayLike, *, exponent: float, rate: ArrayLike = 1.0) -> Any:
    """Leading term of the time from p₀ to 1/2 as p₀ → 0: p₀^(−(1 − e/2))/((1 − e/2)·αD²) for e < 2.

    1/p₀ for e = 0, 2/√p₀ for e = 1, log(1/p₀) for e = 2, each over αD². For e > 2 the escape takes a finite
    time however small p₀ is, Γ(e/2 − 1)²/(2Γ(e − 2)).

    Ours, theory II.6. Kind: asymptotic equality (ratio → 1 as p₀ → 0).
    Holds when: two arms, one right; steps small.

    Parameters
    ----------
    start : float or array
        p₀ in (0, 1].
    exponent : float
        e ≥ 0 of the weight σ^(−e).
    rate : float or array
        αD² > 0.

    Returns
    -------
    float64 or array
        Steps, in the broadcast shape.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a value is outside its domain; the message names it.

    Notes
    -----
    Symbols: start = p₀, exponent = e, rate = αD².

    Examples
    --------
    >>> exact = time_to_success(1e-8, 0.5, exponent=1)
    >>> round(float(exact / escape_time_asymptote(1e-8, exponent=1)), 6)
    1.0
    """
    e = read_law(exponent, None)
    p = read_array("start", start, 0.0, 1.0, open_low=True)
    speed = read_array("rate", rate, 0.0, np.finfo(float).max, open_low=True)
    assert isinstance(e, float)
    if e > 2:
        return (0.5 * exp(2 * lgamma(e / 2 - 1) - lgamma(e - 2)) + 0 * p) / speed
    power = 1 - e / 2
    return (-np.log(p) if power == 0 else p**-power / power) / speed


def failure_asymptote(
    time: ArrayLike, *, exponent: float, start: ArrayLike = 0.5, rate: ArrayLike = 1.0
) -> Any:
    """Leading term of 1 − p as t → ∞: ((1 − e/2)·αD²t)^(−2/(2 − e)) for e < 2, (1/p₀ − 1)·e^(−αD²t) for e = 2.

    1/(αD²t) for e = 0 and 4/(αD²t)² for e = 1, whatever the start. For e > 2 there is none: 1 − p is 0 from a
    finite time on.

    Ours, theory II.6. Kind: asymptotic equality (ratio → 1 as t → ∞; for e = 2 the odds (1 − p)/p equal it always).
    Holds when: two arms, one right; steps small; 0 < p₀ < 1.

    Parameters
    ----------
    time : float or array
        Steps t > 0.
    exponent : float
        e in [0, 2] of the weight σ^(−e).
    start : float or array
        p₀ in (0, 1]; matters for e = 2 only.
    rate : float or array
        αD² > 0.

    Returns
    -------
    float64 or array
        The leading term, in the broadcast shape.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a value is outside its domain, or the exponent is above 2; the message names it.

    Notes
    -----
    Symbols: time = t, exponent = e, start = p₀, rate = αD².

    Examples
    --------
    >>> exact = 1 - success_at_time(0.2, 1e4, exponent=1)
    >>> round(float(exact / failure_asymptote(1e4, exponent=1)), 3)
    1.001
    """
    e = float(read_array("exponent", exponent, 0.0, 2.0))
    t = read_array("time", time, 0.0, inf, open_low=True)
    p = read_array("start", start, 0.0, 1.0, open_low=True)
    speed = read_array("rate", rate, 0.0, np.finfo(float).max, open_low=True)
    if e == 2:
        return (1 - p) / p * np.exp(-speed * t)
    power = 1 - e / 2
    return (power * speed * t) ** (-1 / power) + 0 * p
