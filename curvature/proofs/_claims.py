"""Arguments that several proofs make, each as claims on a derivation, and exact enclosures of numbers."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curvature.proofs._derivation import Derivation

__all__ = [
    "INTERVALS",
    "SUMS",
    "claim_cauchy_schwarz",
    "claim_coefficients",
    "claim_expectation",
    "claim_rate",
    "claim_rounds_to",
    "claim_telescoping",
    "ends",
    "intervals",
    "psi",
    "show",
    "times",
]

SUMS = "finite sums may be reordered, and means and expectations are linear and keep ≤"
INTERVALS = "interval arithmetic with outward rounding (mpmath.iv, 100 bits)"

_UNICODE = (
    (r"\bexp\((\w+)\)", r"e^\1"),
    (r"\blog\((\w+)\)", r"ln \1"),
    (r"\blog\(", "ln("),
    (r"\bsqrt\((\w+)\)", r"√\1"),
    (r"\bsqrt\(", "√("),
    (r"\bpi\b", "π"),
    (r"\*\*2\b", "²"),
    (r"\*\*3\b", "³"),
    (r"\*\*4\b", "⁴"),
    (r"\*\*", "^"),
    (r"(\d)\*ln", r"\1 ln"),
    (r"\*", "·"),
    (r" - ", " − "),
    (r"(?<![\w)])-", "−"),
)


def show(expression: Any) -> str:
    """Print a constant or an expression as mathematics.

    Parameters
    ----------
    expression : sympy expression
        Or anything else, which is printed as it is.

    Returns
    -------
    str
        With √, ln, ·, raised digits and true minus signs; a sum begins with a term that has none, if it can.

    Examples
    --------
    >>> import sympy as sp
    >>> show(2 * sp.log(2) - 1)
    '2 ln 2 − 1'
    """
    import sympy as sp

    if not isinstance(expression, sp.Basic):
        return str(expression)
    text = _positive_first().doprint(expression)
    for pattern, replacement in _UNICODE:
        text = re.sub(pattern, replacement, text)
    return text


@lru_cache(maxsize=1)
def _positive_first() -> Any:
    """Make a printer that begins a sum with a term of positive sign, if there is one."""
    from sympy.printing.str import StrPrinter

    class PositiveFirst(StrPrinter):
        def _print_Add(self, expr: Any, order: Any = None) -> str:
            terms = sorted(
                self._as_ordered_terms(expr, order=order), key=lambda t: t.could_extract_minus_sign()
            )
            text = self.parenthesize(terms[0], 0)
            for term in terms[1:]:
                minus = term.could_extract_minus_sign()
                text += (" - " if minus else " + ") + self.parenthesize(-term if minus else term, 30)
            return text

    return PositiveFirst()


def times(constant: Any) -> str:
    """Print a constant that something is multiplied by: nothing for 1, brackets around a fraction or a sum.

    Parameters
    ----------
    constant : sympy number
        The factor.

    Returns
    -------
    str
        To be put in front.

    Examples
    --------
    >>> import sympy as sp
    >>> times(sp.Rational(1, 2)) + "X", times(sp.Integer(1)) + "X", times(sp.Integer(2)) + "X"
    ('(1/2)X', 'X', '2X')
    """
    text = show(constant)
    if text == "1":
        return ""
    if text.isdigit():
        return text
    return f"({text})" if "/" in text or " " in text else f"{text}·"


def psi(s: Any) -> Any:
    """Give ψ(s) = e^s − 1 − s.

    Parameters
    ----------
    s : sympy expression
        The argument.

    Returns
    -------
    sympy expression
        ψ(s).
    """
    import sympy as sp

    return sp.exp(s) - 1 - s


def claim_cauchy_schwarz(proof: Derivation) -> None:
    """Claim (E ab)² ≤ E a²·E b² for means of any kind, from two independent copies (a, b), (a', b').

    Parameters
    ----------
    proof : Derivation
        Where the step is claimed.
    """
    import sympy as sp

    a, b, c, d = sp.symbols("a b a' b'", real=True)
    square = sp.Poly(sp.expand((a * d - c * b) ** 2), a, b, c, d)
    # Independent copies: a monomial's mean is the product of the mean of its plain and of its primed part.
    mean = sp.Add(*(factor * _mean(i, j) * _mean(k, n) for (i, j, k, n), factor in square.terms()))
    proof.identity(
        "Cauchy–Schwarz: E a²·E b² − (E ab)² = E(ab' − a'b)²/2 ≥ 0, (a', b') an independent copy of (a, b)",
        mean / 2,
        _mean(2, 0) * _mean(0, 2) - _mean(1, 1) ** 2,
    )


def _mean(i: int, j: int) -> Any:
    import sympy as sp

    return sp.Integer(1) if i == j == 0 else sp.Symbol(f"E a^{i} b^{j}", real=True)


def claim_telescoping(proof: Derivation) -> None:
    """Claim Σ_{t<T}(J_{t+1} − J_t) = J_T − J_0, by induction.

    Parameters
    ----------
    proof : Derivation
        Where the step is claimed.
    """
    import sympy as sp

    first, now, then = sp.symbols("J_0 J_T J_T+1", real=True)
    proof.identity(
        "the gains telescope, by induction on T: (J_T − J_0) + (J_{T+1} − J_T) = J_{T+1} − J_0",
        (now - first) + (then - now),
        then - first,
    )


def claim_rate(proof: Derivation, gain: Any, rate: Any) -> None:
    """Claim that gains of gain·f_t/(nX²) in expectation give Σf_t ≤ rate·n(1 − p₀)X², and the minimum form.

    Parameters
    ----------
    proof : Derivation
        Where the steps are claimed.
    gain, rate : sympy numbers
        The two constants; the rate is kept as derived.
    """
    import sympy as sp

    n, X, missing, T, f, excess = sp.symbols("n X 1−p₀ T min_f excess", positive=True)
    claim_telescoping(proof)
    proof.identity(
        "the expected gains, gain/(nX²) each in units of f_t, add up to ≤ 1 − p₀: Σf_t ≤ n(1 − p₀)X²/gain",
        missing / (gain / (n * X**2)),
        proof.derive("rate", rate) * n * missing * X**2,
    )
    proof.identity(
        "T·min f_t ≤ Σf_t, as each f_t exceeds the minimum by ≥ 0", T * (f + excess) - T * f, T * excess
    )


def claim_expectation(proof: Derivation) -> None:
    """Claim that the expected gain is at least the own step's over n, as the others' steps do not lose.

    Parameters
    ----------
    proof : Derivation
        Where the step is claimed.
    """
    import sympy as sp

    own, others = sp.symbols("own others", nonnegative=True)
    n = sp.Symbol("n", positive=True)
    proof.identity(
        "in expectation over the prompt sampled the gain is (own + others)/n ≥ own/n, others the n − 1 gains ≥ 0",
        (own + others) / n - own / n,
        others / n,
    )


def claim_coefficients(proof: Derivation, claim: str, polynomial: Any, *variables: Any) -> None:
    """Claim that a polynomial is ≥ 0 where its variables are, as none of its coefficients is negative.

    Parameters
    ----------
    proof : Derivation
        Where the step is claimed.
    claim : str
        The step in words.
    polynomial : sympy expression
        Its coefficients must be numbers.
    *variables : sympy symbols
        All ≥ 0.
    """
    import sympy as sp

    coefficients = sp.Poly(polynomial, *variables).coeffs()
    proof.at_least(claim, sp.Min(*coefficients), 0)


def claim_rounds_to(proof: Derivation, claim: str, value: Any, stated: Any, half_digit: str) -> None:
    """Claim that a number rounds to a stated decimal.

    Parameters
    ----------
    proof : Derivation
        Where the step is claimed.
    claim : str
        The step in words.
    value : sympy number, or pair of sympy numbers
        The number, or the ends of an interval that holds it.
    stated : sympy number
        The decimal.
    half_digit : str
        Half of its last digit, as a decimal.
    """
    import sympy as sp

    low, high = value if isinstance(value, tuple) else (value, value)
    room = sp.Rational(half_digit)
    proof.at_least(f"{claim}: not below", room, stated - low)
    proof.at_least(f"{claim}: not above", room, high - stated)


def intervals() -> Any:
    """Make a context of interval arithmetic of its own, 100 bits wide.

    Returns
    -------
    mpmath interval context
        With exp, log and sqrt rounded outward.
    """
    from mpmath.ctx_iv import MPIntervalContext

    context = MPIntervalContext()
    context.prec = 100
    return context


def ends(interval: Any) -> tuple[Any, Any]:
    """Give the two ends of an interval as exact rationals.

    Parameters
    ----------
    interval : mpmath interval
        Of a context by :func:`intervals`.

    Returns
    -------
    tuple of sympy Rational
        Low and high.
    """
    import sympy as sp
    from mpmath.libmp import to_rational

    low, high = (Fraction(*map(int, to_rational(end))) for end in interval._mpi_)
    return sp.Rational(low.numerator, low.denominator), sp.Rational(high.numerator, high.denominator)
