"""Finite groups: first and second moments of the sampled gradient, D3 of the theory."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from itertools import product
from math import comb
from typing import TYPE_CHECKING, Any

from curvature.proofs._claims import SUMS, show, times
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs.groups import BINARY, GROUP, WEIGHT, claim_conditional_mean, covariance_of_binary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["moments_of_binary_groups", "variance_of_unnormalised_groups"]


def moments_of_binary_groups(inner: Any = "1", spread: Any = "1") -> Proof:
    """Prove D3: E⟨g,ĝ⟩ = Σ_k P(k)q̂^(1−e/2)p(1−p)‖m₁−m₀‖², E‖ĝ‖² = Σ_k P(k)q̂^(2−e)(‖m₁−m₀‖² + V₁/k + V₀/(G−k)).

    Ours, theory D3. Given k by conditioning, for all G and K; then both sums against an enumeration of every group
    in rational arithmetic.

    Parameters
    ----------
    inner, spread : str, number or sympy expression
        The constants claimed: of the first sum, and of V₁/k + V₀/(G − k) in the second.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> print(moments_of_binary_groups().derived["E‖ĝ‖² for G = 2, e = 0"])
    63/800
    """
    import sympy as sp

    inner, spread = exact(inner), exact(spread)
    G, k, weight, right, wrong, gap = sp.symbols("G k q̂^(−e) V₁ V₀ ‖m₁−m₀‖²", positive=True)
    proof = Derivation(
        "D3",
        f"E⟨g, ĝ⟩ = {times(inner)}Σ_k P(k)q̂^(1−e/2)p(1 − p)‖m₁ − m₀‖² and E‖ĝ‖² = Σ_k P(k)q̂^(2−e)(‖m₁ − m₀‖² + "
        f"{times(spread)}(V₁/k + "
        "V₀/(G − k)))",
        GROUP,
        BINARY,
        WEIGHT,
        "E‖ĝ‖² = E(‖E[ĝ|k]‖² + tr Cov(ĝ|k))",
    )
    claim_conditional_mean(proof)
    p, difference = sp.symbols("p m₁−m₀", real=True)
    proof.identity("g = Cov(r, φ) = p(1 − p)(m₁ − m₀)", *covariance_of_binary(difference))
    proof.identity(
        "so ⟨g, E[ĝ|k]⟩ = q̂^(1−e/2)p(1 − p)‖m₁ − m₀‖²",
        (p * (1 - p) * difference) * difference,
        inner * p * (1 - p) * difference**2,
    )
    q = k * (G - k) / G**2
    conditional = weight / G**2 * (k * (1 - k / G) ** 2 * right + (G - k) * (k / G) ** 2 * wrong)
    proof.identity(
        "tr Cov(ĝ|k) = (q̂^(−e)/G²)(k(1 − k/G)²V₁ + (G − k)(k/G)²V₀) = q̂^(2−e)(V₁/k + V₀/(G − k))",
        conditional,
        spread * weight * q**2 * (right / k + wrong / (G - k)),
    )
    proof.identity("‖E[ĝ|k]‖² = q̂^(2−e)‖m₁ − m₀‖²", q**2 * weight * gap, weight * q**2 * gap)
    _claim_enumeration(proof, inner, spread)
    return proof.done()


def _claim_enumeration(proof: Derivation, inner: Any, spread: Any) -> None:
    """Claim both sums, on two prompts, against an average over all K^G groups; even exponents keep it rational."""
    prompt = (
        (Fraction(1, 5), 1, Fraction(2)),
        (Fraction(1, 10), 1, Fraction(-1)),
        (Fraction(7, 10), 0, Fraction(0)),
    )
    wide = (*prompt[:2], (Fraction(2, 5), 0, Fraction(1, 3)), (Fraction(3, 10), 0, Fraction(-2)))

    def scale(e: int) -> Callable[[int, int], Fraction]:
        return lambda k, G: Fraction(G * G, k * (G - k)) ** (e // 2) if 0 < k < G else Fraction(0)

    for responses, sizes in ((prompt, (2, 3, 4)), (wide, (2, 3))):
        for size, e in product(sizes, (0, 2)):
            found, stated = _enumerate(responses, size, scale(e)), _sums(responses, size, e, inner, spread)
            name = f"K = {len(responses)}, G = {size}, e = {e}"
            proof.identity(f"{name}: E⟨g, ĝ⟩ over all K^G groups is the sum", found[0], stated[0])
            proof.identity(f"{name}: and E‖ĝ‖²", found[1], stated[1])
            if len(responses) == 3:
                proof.derive(f"E‖ĝ‖² for G = {size}, e = {e}", found[1])


_Response = tuple[Fraction, int, Fraction]


def _enumerate(
    responses: Sequence[tuple[Fraction, Any, Fraction]], G: int, scale: Callable[[int, int], Fraction]
) -> tuple[Any, Any]:
    """Average ⟨g, ĝ⟩ and ĝ² over all groups, ĝ = (1/G)Σ(r_i − r̄)φ_i·scale(number right, G), one feature.

    Returns
    -------
    tuple of sympy Rational
        Both moments.
    """
    import sympy as sp

    mean = sum((c * r for c, r, _ in responses), Fraction(0))
    g = sum((c * (r - mean) * f for c, r, f in responses), Fraction(0))
    inner, square = Fraction(0), Fraction(0)
    for group in product(responses, repeat=G):
        chance = reduce(lambda left, one: left * one[0], group, Fraction(1))
        total = sum((Fraction(r) for _, r, _ in group), Fraction(0))
        estimate = sum(((r - total / G) * f for _, r, f in group), Fraction(0)) / G
        estimate *= scale(sum(1 for _, r, _ in group if r == 1), G)
        inner, square = inner + chance * g * estimate, square + chance * estimate**2
    return sp.Rational(inner.numerator, inner.denominator), sp.Rational(square.numerator, square.denominator)


def _sums(responses: Sequence[_Response], G: int, e: int, inner: Any, spread: Any) -> tuple[Any, Any]:
    """Evaluate the two sums of D3 for one feature and an even exponent."""
    import sympy as sp

    kinds = {b: [(c, f) for c, r, f in responses if r == b] for b in (0, 1)}
    share = {b: sum((c for c, _ in kind), Fraction(0)) for b, kind in kinds.items()}
    mean = {b: sum((c * f for c, f in kind), Fraction(0)) / share[b] for b, kind in kinds.items()}
    var = {
        b: sum((c * (f - mean[b]) ** 2 for c, f in kind), Fraction(0)) / share[b] for b, kind in kinds.items()
    }
    p, gap = share[1], (mean[1] - mean[0]) ** 2
    first, plain, varying = Fraction(0), Fraction(0), Fraction(0)
    for k in range(1, G):
        chance, q = comb(G, k) * p**k * (1 - p) ** (G - k), Fraction(k * (G - k), G * G)
        first += chance * q / q ** (e // 2) * p * (1 - p) * gap
        plain += chance * q**2 / q**e * gap
        varying += chance * q**2 / q**e * (var[1] / k + var[0] / (G - k))
    as_number = [sp.Rational(x.numerator, x.denominator) for x in (first, plain, varying)]
    return inner * as_number[0], as_number[1] + spread * as_number[2]


def variance_of_unnormalised_groups(drop: Any = "2", noise: Any = "1") -> Proof:
    """Prove D3 for any rewards, e = 0, leave one out: the total variance of ĝ.

    tr Cov ĝ = (1/G)(E[A²‖φ̄‖²] − (G − 2)/(G − 1)‖g‖² + σ²·tr Cov φ/(G − 1)).

    Ours, theory D3. ĝ is a U-statistic of two samples; its variance by counting the pairs of pairs that share one.

    Parameters
    ----------
    drop, noise : str, number or sympy expression
        The constants claimed: in (G − drop)/(G − 1), and of σ²tr Cov φ/(G − 1).

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> print(variance_of_unnormalised_groups().derived["G = 2"])
    1121/1280
    """
    import sympy as sp

    drop, noise = exact(drop), exact(noise)
    G, fourth, g, σ2, τ2 = sp.symbols("G E[A²w²] g σ² Var(w)", positive=True)
    proof = Derivation(
        "D3-any",
        f"any rewards, e = 0, leave one out: tr Cov ĝ = (1/G)(E[A²‖φ̄‖²] − ((G − {show(drop)})/(G − 1))‖g‖² + "
        f"{times(noise)}σ²tr Cov "
        "φ/(G − 1))",
        "G ≥ 2 independent samples of one prompt, ĝ = (1/(G − 1))Σ_i(r_i − r̄)φ_i; A = r − E r, φ̄ = φ − Eφ",
        "independent samples: h of two pairs without a common sample has covariance 0, with one of them Var E[h|first]",
        "the trace adds up over coordinates: one coordinate w of φ̄ suffices, with g = E[Aw]",
        SUMS,
    )
    _claim_kernel(proof)
    pairs, touching = G * (G - 1) / 2, 2 * (G - 2)
    one, both = _kernel_moments(fourth, g, σ2, τ2)
    proof.identity("ζ₁ = Var E[h|first] = (E[A²w²] − g²)/4", proof.derive("ζ₁", one), (fourth - g**2) / 4)
    proof.identity("ζ₂ = Var h = (E[A²w²] + σ²Var w)/2", proof.derive("ζ₂", both), (fourth + σ2 * τ2) / 2)
    proof.identity(
        "of the C(G,2)² pairs of pairs C(G,2)·2(G − 2) share one sample, C(G,2) both, the rest none",
        pairs * touching + pairs + pairs * (G - 2) * (G - 3) / 2,
        pairs**2,
    )
    claimed = (fourth - (G - drop) / (G - 1) * g**2 + noise * σ2 * τ2 / (G - 1)) / G
    proof.identity(
        "so Var ĝ = (2(G − 2)ζ₁ + ζ₂)/C(G,2) is what is claimed",
        (pairs * touching * one + pairs * both) / pairs**2,
        claimed,
    )
    responses = (
        (Fraction(1, 2), Fraction(3, 2), Fraction(1)),
        (Fraction(1, 5), Fraction(-1), Fraction(2)),
        (Fraction(3, 10), Fraction(0), Fraction(-1, 2)),
    )
    for size in (2, 3, 4):
        inner, square = _enumerate(responses, size, lambda k, G: Fraction(G, G - 1))
        values = _central_moments(responses)
        proof.identity(f"G = {size}, three responses: E ĝ = g over all groups", inner, values[g] ** 2)
        found = proof.derive(f"G = {size}", square - values[g] ** 2)
        proof.identity(f"G = {size}: and the variance", found, claimed.subs(G, size).subs(values))
    return proof.done()


def _claim_kernel(proof: Derivation) -> None:
    """Claim that ĝ is the mean of h = (r_i − r_j)(φ_i − φ_j)/2 over pairs, for every G."""
    import sympy as sp

    G, own, cross = sp.symbols("G Σr_iφ_i Σrₛ·Σφₛ", real=True)
    proof.identity(
        "Σ_{i≠j}(r_i − r_j)(φ_i − φ_j) = 2(G − 1)Σr_iφ_i − 2((Σr)(Σφ) − Σr_iφ_i) = 2GΣr_iφ_i − 2(Σr)(Σφ)",
        2 * (G - 1) * own - 2 * (cross - own),
        2 * G * own - 2 * cross,
    )
    proof.identity(
        "ĝ = (Σr_iφ_i − (Σr)(Σφ)/G)/(G − 1) is the mean of h = (r_i − r_j)(φ_i − φ_j)/2 over pairs i < j",
        (own - cross / G) / (G - 1),
        (2 * G * own - 2 * cross) / 2 / (G * (G - 1)),
    )
    r, s, f, h = sp.symbols("r_i r_j φ_i φ_j", real=True)
    proof.identity(
        "as (r_i − r_j)(φ_i − φ_j) = r_iφ_i + r_jφ_j − r_iφ_j − r_jφ_i, in which a shift of r or φ cancels",
        (r - s) * (f - h),
        r * f + s * h - r * h - s * f,
    )


def _kernel_moments(fourth: Any, g: Any, σ2: Any, τ2: Any) -> tuple[Any, Any]:
    """Compute Var E[h|first] and Var h of h = (A − A')(w − w')/2 for independent copies, from the moments E A^i w^j."""
    import sympy as sp

    A, w, B, v = sp.symbols("A w A' w'", real=True)
    known = {(0, 0): 1, (1, 0): 0, (0, 1): 0, (1, 1): g, (2, 0): σ2, (0, 2): τ2, (2, 2): fourth}

    def moment(i: int, j: int) -> Any:
        return known.get((i, j), sp.Symbol(f"E[A^{i}w^{j}]", real=True))

    def mean(polynomial: Any) -> Any:
        terms = sp.Poly(polynomial, A, w, B, v).terms()
        return sp.expand(sp.Add(*(c * moment(i, j) * moment(k, n) for (i, j, k, n), c in terms)))

    h = (A - B) * (w - v) / 2
    first = sp.Add(*(c * A**i * w**j * moment(k, n) for (i, j, k, n), c in sp.Poly(h, A, w, B, v).terms()))
    return mean(sp.expand(first**2)) - mean(first) ** 2, mean(sp.expand(h**2)) - mean(h) ** 2


def _central_moments(responses: Sequence[tuple[Fraction, Fraction, Fraction]]) -> dict[Any, Any]:
    """Compute the values of the symbols of :func:`variance_of_unnormalised_groups` for one prompt."""
    import sympy as sp

    mean_r = sum(c * r for c, r, _ in responses)
    mean_f = sum(c * f for c, _, f in responses)

    def central(i: int, j: int) -> Any:
        value = sum((c * (r - mean_r) ** i * (f - mean_f) ** j for c, r, f in responses), Fraction(0))
        return sp.Rational(value.numerator, value.denominator)

    names = ("E[A²w²]", "g", "σ²", "Var(w)")
    powers = ((2, 2), (1, 1), (2, 0), (0, 2))
    return {
        sp.Symbol(name, positive=True): central(*power) for name, power in zip(names, powers, strict=True)
    }
