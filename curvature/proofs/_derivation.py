"""The bookkeeping of a symbolic proof: steps that hold, or an error.

A proof is written as a :class:`Derivation` on which each step is *claimed*. A claim is decided exactly, by
polynomial identity or by counting real roots, never by sampling, and one that fails raises
:class:`ProofError`. What is left over is a :class:`Proof`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Derivation", "Proof", "ProofError", "exact"]


class ProofError(ValueError):
    """A step of a proof does not hold; the message says which, and what is left of it."""


@dataclass(frozen=True)
class Proof:
    """A statement, proved.

    Attributes
    ----------
    name : str
        The key in :data:`curvature.proofs.PROOFS`.
    statement : str
        What is proved, with its constant.
    assumptions : tuple of str
        What it rests on: the setting, and textbook theorems used without proof.
    derived : mapping of str to sympy expression
        What the proof computed on the way: constants, extremal points.
    steps : tuple of str
        The claims, in order, each of which was decided.
    """

    name: str
    statement: str
    assumptions: tuple[str, ...]
    derived: Mapping[str, Any] = field(repr=False)
    steps: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        lines = [f"{self.name}. {self.statement}"]
        lines += [f"  assuming {assumption}" for assumption in self.assumptions]
        lines += [f"  {number}. {step}" for number, step in enumerate(self.steps, start=1)]
        lines += [f"  {key} = {value}" for key, value in self.derived.items()]
        return "\n".join(lines)


def exact(value: Any) -> Any:
    """Read a constant as an exact sympy number.

    Parameters
    ----------
    value : str, number or sympy expression
        Such as ``"1/4"`` or ``"1/(6*sqrt(3))"``; a float is taken for the shortest decimal that prints it.

    Returns
    -------
    sympy expression
        The number.

    Raises
    ------
    TypeError
        If the value is not a real number.
    """
    import sympy as sp

    number: Any = sp.sympify(str(value) if isinstance(value, float) else value)
    if isinstance(number, sp.Expr):
        number = sp.nsimplify(number, rational=True)
    if not (isinstance(number, sp.Expr) and number.is_number and number.is_real):
        raise TypeError(f"a proof's constant must be a real number, got {value!r}.")
    return number


class Derivation:
    """A proof in the making.

    Parameters
    ----------
    name, statement : str
        As in :class:`Proof`.
    *assumptions : str
        As in :class:`Proof`.
    """

    def __init__(self, name: str, statement: str, *assumptions: str) -> None:
        self._name, self._statement, self._assumptions = name, statement, assumptions
        self._derived: dict[str, Any] = {}
        self._steps: list[str] = []

    def derive(self, name: str, value: Any) -> Any:
        """Keep a quantity the proof has computed.

        Parameters
        ----------
        name : str
            What it is.
        value : sympy expression
            What it is worth.

        Returns
        -------
        sympy expression
            The value.
        """
        self._derived[name] = value
        return value

    def identity(self, claim: str, left: Any, right: Any) -> None:
        """Claim left = right, as expressions.

        Parameters
        ----------
        claim : str
            The step in words.
        left, right : sympy expressions
            Equal for all values of their symbols.

        Raises
        ------
        ProofError
            If the difference does not simplify to 0.
        """
        import sympy as sp

        difference = sp.radsimp(sp.factor(sp.sympify(left) - sp.sympify(right)))
        if difference != 0:
            difference = sp.simplify(difference)
        self._keep(claim, difference == 0, f"{left} − ({right}) leaves {difference}")

    def at_least(self, claim: str, left: Any, right: Any) -> None:
        """Claim left ≥ right, as numbers.

        Parameters
        ----------
        claim : str
            The step in words.
        left, right : sympy numbers
            Algebraic numbers, compared exactly.

        Raises
        ------
        ProofError
            If left < right.
        """
        import sympy as sp

        difference = sp.radsimp(sp.expand(sp.sympify(left) - sp.sympify(right)))
        self._keep(claim, difference.is_nonnegative is True, f"{left} − ({right}) = {difference}")

    def affine(self, claim: str, expression: Any, variable: Any) -> None:
        """Claim that an expression is affine in a variable, so that its least value is at an end of an interval.

        Parameters
        ----------
        claim : str
            The step in words.
        expression : sympy expression
            Polynomial in the variable.
        variable : sympy symbol
            The variable.

        Raises
        ------
        ProofError
            If the degree is above 1.
        """
        import sympy as sp

        degree = sp.Poly(expression, variable).degree()
        self._keep(claim, degree <= 1, f"{expression} has degree {degree} in {variable}")

    def nonnegative(self, claim: str, polynomial: Any, variable: Any, low: Any, high: Any) -> None:
        """Claim that a polynomial in one variable is ≥ 0 on all of [low, high].

        Decided by isolating its real roots: between two neighbours the sign is constant, and is read off at a
        rational point.

        Parameters
        ----------
        claim : str
            The step in words.
        polynomial : sympy expression
            With rational coefficients.
        variable : sympy symbol
            The only symbol in it.
        low, high : number
            The rational ends, low < high.

        Raises
        ------
        ProofError
            If it is negative anywhere on the interval; the message names a point.
        """
        import sympy as sp

        low, high = sp.Rational(low), sp.Rational(high)
        poly = sp.Poly(polynomial, variable, domain="QQ")
        point = None if poly.is_zero else _negative_point(poly, low, high)
        self._keep(claim, point is None, f"{poly.as_expr()} is negative at {variable} = {point}")

    def done(self) -> Proof:
        """Close the proof.

        Returns
        -------
        Proof
            The statement with everything that was derived.
        """
        return Proof(
            self._name,
            self._statement,
            tuple(self._assumptions),
            MappingProxyType(dict(self._derived)),
            tuple(self._steps),
        )

    def _keep(self, claim: str, holds: bool, found: str) -> None:
        if not holds:
            raise ProofError(f"{self._name}: the step “{claim}” does not hold: {found}.")
        self._steps.append(claim)


def _negative_point(poly: Any, low: Any, high: Any) -> Any:
    """Find a rational point of [low, high] where the polynomial is negative.

    Between neighbouring roots the sign is constant, so one point in each gap decides it.

    Returns
    -------
    sympy Rational or None
        The point, or None when there is none.
    """
    import sympy as sp

    roots = [interval for interval, _ in poly.intervals(inf=low, sup=high)]
    # Refine until the isolating intervals of neighbouring roots are apart, so that every gap holds a point.
    eps = (high - low) / 2**10
    while any(left[1] >= right[0] for left, right in pairwise(roots)):
        eps /= 2**10
        roots = [interval for interval, _ in poly.intervals(inf=low, sup=high, eps=eps)]
    edges = [low, *(end for interval in roots for end in interval), high]
    gaps = [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2)]
    for left, right in gaps:
        point = (sp.Rational(left) + sp.Rational(right)) / 2
        if poly.eval(point) < 0:
            return point
    return None
