"""Certified maxima of functions of one variable, by branch and bound in interval arithmetic.

What is returned is an enclosure: the maximum lies in it whatever the rounding, provided the function encloses its
values, which it does when it computes with the interval that it is given and with exact constants.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from curvature.proofs._claims import ends, intervals

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UndecidedError", "certified_maximum", "enclose"]


class UndecidedError(ArithmeticError):
    """The maximum was not enclosed as tightly as asked within the number of intervals allowed."""


def enclose(value: Any, context: Any = None) -> Any:
    """Enclose a number that may have no finite binary expansion.

    Parameters
    ----------
    value : int, float, str, Fraction, sympy Rational, or mpmath interval
        The number; a string is read as the decimal or fraction it spells, as "0.1" or "1/10".
    context : mpmath interval context, optional
        Of the result; a new one of 100 bits when left out.

    Returns
    -------
    mpmath interval
        Holds the number.

    Examples
    --------
    >>> tenth = enclose("1/10")
    >>> bool(tenth.a < tenth.b), 1 in 10 * tenth
    (True, True)
    """
    import sympy as sp

    context = intervals() if context is None else context
    if hasattr(value, "_mpi_"):
        return context.make_mpf(value._mpi_)
    number = sp.Rational(value)
    top, bottom = number.as_numer_denom()
    return context.mpf(int(top)) / int(bottom)


def certified_maximum(
    f: Callable[[Any], Any],
    low: Any,
    high: Any,
    tolerance: Any,
    *,
    derivative: Callable[[Any], Any] | None = None,
    max_intervals: int = 20_000,
) -> tuple[Any, Any]:
    """Enclose max f on [low, high]: lower ≤ max f ≤ upper, and upper − lower ≤ tolerance.

    Ours. Kind: identity.
    Holds when: ``f`` (and ``derivative``) map an interval to one that holds every value taken on it. Operations and
    the functions of the interval's own context do (``x.ctx.exp``, ``x.ctx.log``, ``x.ctx.sqrt``); a float constant
    that is not exact does not: use :func:`enclose`.

    Parameters
    ----------
    f : callable
        Of an mpmath interval.
    low, high : int, float, str, Fraction, sympy Rational, or mpmath interval
        The ends, low ≤ high; where an end is itself an interval the search covers all of it, and the point at which
        the lower bound is taken may lie outside the true domain by that interval's width.
    tolerance : int, float, str, Fraction or sympy Rational
        Above 0.
    derivative : callable, optional
        f', for the mean-value form f(m) + f'(x)(x − m): the error of an enclosure then falls with the square of its
        width, so that a tight tolerance costs hundreds of intervals instead of tens of thousands.
    max_intervals : int
        The most that are looked at.

    Returns
    -------
    tuple of sympy Rational
        Lower and upper, exact.

    Raises
    ------
    ValueError
        If the interval is empty or the tolerance is not above 0.
    UndecidedError
        If ``max_intervals`` do not suffice.

    Notes
    -----
    Best first: the interval of the largest upper bound is halved, until that bound is within the tolerance of the
    best value found at a midpoint or an end.

    Examples
    --------
    >>> low, high = certified_maximum(lambda x: x * (1 - x) * (1 - 2 * x), 0, "1/4", "1/10000")
    >>> bool(low <= 3 ** 0.5 / 18 <= high)
    True
    """
    import sympy as sp

    context = intervals()
    left, right = enclose(low, context), enclose(high, context)
    if not left.a <= right.b:
        raise ValueError(f"the interval from {low} to {high} is empty; low ≤ high is needed.")
    room = sp.Rational(tolerance)
    if not room > 0:
        raise ValueError(f"tolerance is {tolerance}; a number above 0 is needed.")

    whole = context.mpf([left.a, right.b])
    best = max((_ends(f(end))[0] for end in (whole.a, whole.b)), default=-sp.oo)
    best, bound = _bounds(f, derivative, whole, best)
    queue: list[tuple[Any, int, Any]] = []
    heappush(queue, (-bound, 0, whole))
    for count in range(1, max_intervals // 2 + 1):
        negative, _, box = queue[0]
        if -negative - best <= room:
            return best, max(best, -negative)
        heappop(queue)
        middle = box.mid
        for half, piece in enumerate((context.mpf([box.a, middle]), context.mpf([middle, box.b]))):
            best, bound = _bounds(f, derivative, piece, best)
            heappush(queue, (-min(bound, -negative), 2 * count + half, piece))
    raise UndecidedError(
        f"after {max_intervals} intervals the maximum is only known to lie between {float(best)} and "
        f"{float(-queue[0][0])}; allow more intervals, give the derivative, or ask for less."
    )


def _bounds(
    f: Callable[[Any], Any], derivative: Callable[[Any], Any] | None, box: Any, best: Any
) -> tuple[Any, Any]:
    """Give the best value known with the middle of the box looked at, and an upper bound on the box."""
    middle = box.mid
    at_middle = f(middle)
    best = max(best, _ends(at_middle)[0])
    bound = _ends(f(box))[1]
    if derivative is not None:
        bound = min(bound, _ends(at_middle + derivative(box) * (box - middle))[1])
    return best, bound


def _ends(value: Any) -> tuple[Any, Any]:
    """Give the ends as exact numbers; one that is infinite or undefined bounds nothing."""
    import sympy as sp
    from mpmath.libmp import finf, fnan, fninf

    def exact_or(end: Any, nothing: Any) -> Any:
        return nothing if end in {finf, fninf, fnan} else ends(value.ctx.make_mpf((end, end)))[0]

    low, high = value._mpi_
    return exact_or(low, -sp.oo), exact_or(high, sp.oo)
