"""What a step is sure to gain when prompts overlap: B1 and B2 of the theory."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from curvature.proofs._claims import SUMS, claim_cauchy_schwarz, psi, times
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import LOG_LINEAR, claim_instance

__all__ = ["gain_of_a_step", "separable_gain", "slope_under_overlap"]

_PROJECTOR = (
    "P_x is the orthogonal projector on span{φ(x,y) − φ(x,y')}; g_x = Cov(r, φ) is in that span, "
    "so g_x = P_xg_x"
)
_OVERLAP = (
    "c_xx' = ‖P_xP_x'‖ = c_x'x, c_xx = 1, δ = max_x Σ_{x'≠x}c_xx'; α ≥ 0 and weights a_x ≥ 0 (χ is "
    "infinite where just one weight of an overlapping pair is 0; pairs of zeros do not count)"
)


def gain_of_a_step(remainder: Any = "1") -> Proof:
    """Prove B1: Σ_x[J_x(θ + Δ) − J_x(θ)] ≥ α1ᵀGa − Σ_xσ_xψ(D_x‖P_xΔ‖/2) for Δ = αΣ_x a_xg_x.

    Ours, theory B1.

    Parameters
    ----------
    remainder : str, number or sympy expression
        The constant claimed in front of Σσψ.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the constant is too small, or larger than short steps approach.

    Examples
    --------
    >>> gain_of_a_step().derived["limit"]
    1
    """
    import sympy as sp

    k = exact(remainder)
    proof = Derivation(
        "B1",
        f"Σ_x[J_x(θ + Δ) − J_x(θ)] ≥ α1ᵀGa − {times(k)}Σ_xσ_xψ(D_x‖P_xΔ‖/2), Δ = αΣ_x a_xg_x with any weights a; "
        "approached by short steps where all prompts share L2's instance",
        LOG_LINEAR,
        "L4: J_x(θ + Δ) − J_x(θ) ≥ ⟨g_x, Δ⟩ − σ_xψ(D_x‖Δ‖/2)",
        _PROJECTOR,
        SUMS,
    )
    z, u, shift, weight = sp.symbols("z z' m π₀'", real=True)
    proof.identity(
        "Δ − P_xΔ moves all logits of the prompt by one number m, which cancels in π: J_x(θ + Δ) = J_x(θ + P_xΔ)",
        sp.exp(z + shift) / (sp.exp(z + shift) + weight * sp.exp(u + shift)),
        sp.exp(z) / (sp.exp(z) + weight * sp.exp(u)),
    )
    inside, along, across = sp.symbols("g Δ_1 Δ_2", real=True)
    P = sp.diag(1, 0)
    proof.identity(
        "⟨g_x, P_xΔ⟩ = ⟨g_x, Δ⟩, in coordinates where P_x = diag(1, 0) and g_x = P_xg_x = (g, 0): L4 holds with "
        "P_xΔ in ψ",
        sp.Matrix([inside, 0]).dot(P * sp.Matrix([along, across])),
        sp.Matrix([inside, 0]).dot(sp.Matrix([along, across])),
    )
    α, a, b, first, second = sp.symbols("α a a' G_xx G_xx'", real=True)
    proof.identity(
        "⟨g_x, Δ⟩ = αΣ_x' a_x'G_xx', linear in a: summed over x it is α1ᵀGa",
        α * a * first + α * b * second,
        α * (a * first + b * second),
    )
    proof.at_least("and L4's remainders add up: the constant is at least 1", k, 1)
    s = sp.Symbol("s", positive=True)
    q = (1 + sp.sqrt(sp.Rational(1, 2))) / 2
    sharpest = claim_instance(proof, [(q, 1, 1 - q), (1 - q, 0, -q)])
    # n such prompts in one direction lose −(1/2)Cov(r, w²)(2s)² each, D = 1 and ‖Δ‖ = 2s, to second order.
    lost = -sharpest["hessian"] * (2 * s) ** 2 / 2
    ratio = sp.radsimp(sp.limit(lost / (sp.sqrt(sharpest["variance"]) * psi(s)), s, 0, "+"))
    proof.identity(
        "n prompts of two responses, p > 1/2, p(1 − p) = 1/8, in one direction lose the constant as s → 0, to "
        "second order",
        proof.derive("limit", ratio),
        k,
    )
    return proof.done()


def slope_under_overlap(damping: Any = "1") -> Proof:
    """Prove the first half of B2: 1ᵀGa ≥ (1 − δχ)Σ_x a_x‖g_x‖², so that δχ < 1 suffices for ascent.

    Ours, theory B2. A Gershgorin argument: each pair's share is charged to its two diagonal entries.

    Parameters
    ----------
    damping : str, number or sympy expression
        The constant claimed in front of δχ.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the constant is too small, or larger than is reached.

    Examples
    --------
    >>> print(slope_under_overlap().statement)
    1ᵀGa ≥ (1 − δχ)·Σa_x‖g_x‖², χ = max (a_x + a_x')/(2√(a_xa_x')); reached by two opposed prompts of one direction
    """
    import sympy as sp

    k = exact(damping)
    χ, δ = sp.symbols("χ δ", positive=True)
    n = 3
    g = sp.symbols(" ".join(f"‖g_{x}‖" for x in range(1, n + 1)), positive=True)
    root = sp.symbols(" ".join(f"√a_{x}" for x in range(1, n + 1)), positive=True)
    pairs = list(combinations(range(n), 2))
    G = {pair: sp.Symbol(f"G_{pair[0] + 1}{pair[1] + 1}", real=True) for pair in pairs}
    c = {pair: sp.Symbol(f"c_{pair[0] + 1}{pair[1] + 1}", nonnegative=True) for pair in pairs}
    proof = Derivation(
        "B2-slope",
        f"1ᵀGa ≥ (1 − {times(k)}δχ)·Σa_x‖g_x‖², χ = max (a_x + a_x')/(2√(a_xa_x')); reached by two opposed prompts of "
        "one direction",
        _PROJECTOR,
        _OVERLAP,
        "χ is the maximum over pairs with c_xx' > 0 (and at least 1)",
        "‖Mv‖ ≤ ‖M‖‖v‖ and |⟨u, v⟩| ≤ ‖u‖‖v‖",
        SUMS,
    )
    u, v, size = sp.symbols("‖g‖ ‖g'‖ c", positive=True)
    proof.identity("|G_xx'| = |⟨g_x, P_xP_x'g_x'⟩| ≤ c_xx'‖g_x‖‖g_x'‖", u * (size * v), size * u * v)
    a = [r**2 for r in root]
    slope = sp.Add(*(a[x] * g[x] ** 2 for x in range(n)), *((a[x] + a[y]) * G[x, y] for x, y in pairs))
    claimed = (1 - k * δ * χ) * sp.Add(*(a[x] * g[x] ** 2 for x in range(n)))
    rows = [sp.Add(*(c[pair] for pair in pairs if x in pair)) for x in range(n)]
    certificate = sp.Add(
        *((a[x] + a[y]) * (G[x, y] + c[x, y] * g[x] * g[y]) for x, y in pairs),
        *(c[x, y] * g[x] * g[y] * (2 * χ * root[x] * root[y] - a[x] - a[y]) for x, y in pairs),
        *(χ * c[x, y] * (root[x] * g[x] - root[y] * g[y]) ** 2 for x, y in pairs),
        *(χ * a[x] * g[x] ** 2 * (δ - rows[x]) for x in range(n)),
    )
    proof.identity(
        "1ᵀGa − (1 − δχ)Σa‖g‖² is a sum of terms ≥ 0: of pairs (a + a')(G + c‖g‖‖g'‖), "
        "c‖g‖‖g'‖(2χ√(aa') − a − a'), χc(√a‖g‖ − √a'‖g'‖)², and of prompts χa‖g‖²(δ − Σ_{x'≠x}c_xx') (three prompts, "
        "all symbols free; for n prompts there are more such pairs)",
        sp.expand(slope - claimed),
        sp.expand(certificate),
    )
    _claim_pair(proof, χ)
    half = sp.Rational(1, 2)
    ahead = claim_instance(proof, [(half, 1, half), (half, 0, -half)])["gradient"]
    back = claim_instance(proof, [(half, 0, half), (half, 1, -half)])["gradient"]
    proof.identity(
        "two prompts of one direction and opposite right responses, a = 1, c = δ = χ = 1, have the slope "
        "‖g + g'‖² = (1 − constant)(‖g‖² + ‖g'‖²)",
        (ahead + back) ** 2,
        (1 - k) * (ahead**2 + back**2),
    )
    return proof.done()


def _claim_pair(proof: Derivation, χ: Any) -> None:
    """Claim for any pair, in any number of prompts, that its share of the slope is covered by the two diagonals."""
    import sympy as sp

    r, t, u, v, c, G = sp.symbols("√a √a' ‖g‖ ‖g'‖ c G", real=True)
    left = (r**2 + t**2) * G + χ * c * (r**2 * u**2 + t**2 * v**2)
    parts = (
        (r**2 + t**2) * (G + c * u * v)
        + c * u * v * (2 * χ * r * t - r**2 - t**2)
        + χ * c * (r * u - t * v) ** 2
    )
    proof.identity(
        "one pair of n: (a + a')G + χc(a‖g‖² + a'‖g'‖²) is its three terms; over all pairs the second adds up to "
        "χΣ_x a_x‖g_x‖²Σ_{x'≠x}c_xx' ≤ δχΣa‖g‖²",
        sp.expand(left),
        sp.expand(parts),
    )
    proof.identity(
        "χ ≥ 1: (a + a')/(2√(aa')) = 1 + (√a − √a')²/(2√(aa'))",
        (r**2 + t**2) / (2 * r * t),
        1 + (r - t) ** 2 / (2 * r * t),
    )


def separable_gain(quarter: Any = "1/4", spread: Any = "1") -> Proof:
    """Prove B2: the gain is ≥ α(1 − δχ)Σa‖g‖² − (D²/4)α²(ψ(s)/s²)(1 + δ)Σa²‖g‖²σ̃, s ≥ max_x D‖P_xΔ‖/2.

    Ours, theory B2.

    Parameters
    ----------
    quarter, spread : str, number or sympy expression
        The constants claimed: 1/4, and that of δ in 1 + δ.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not what the argument gives.

    Examples
    --------
    >>> separable_gain().derived["limit"]
    1/4
    """
    import sympy as sp

    k, spread = exact(quarter), exact(spread)
    D, s, own, largest = sp.symbols("D s s_x ψ(s)", positive=True)
    proof = Derivation(
        "B2",
        f"Σ_x[J_x(θ + Δ) − J_x(θ)] ≥ α(1 − δχ)Σa‖g‖² − {times(k)}D²α²(ψ(s)/s²)(1 + {times(spread)}δ)Σa²‖g‖²σ̃, σ̃_x = "
        "Σ_x'c_xx'σ_x', s ≥ max_x D‖P_xΔ‖/2; approached by short steps of orthogonal prompts at L2's instance",
        LOG_LINEAR,
        "B1: Σ_x[J_x(θ + Δ) − J_x(θ)] ≥ α1ᵀGa − Σ_xσ_xψ(s_x), s_x = D‖P_xΔ‖/2, D ≥ D_x",
        "B2-slope: 1ᵀGa ≥ (1 − δχ)Σa‖g‖²",
        "psi: ψ(s)/s² does not decrease, so ψ(s_x) ≤ s_x²ψ(s)/s² for s_x ≤ s",
        _PROJECTOR,
        _OVERLAP,
        SUMS,
    )
    length = sp.Symbol("‖P_xΔ‖", positive=True)
    proof.at_least("the constant is at least 0", k, 0)
    proof.identity(
        "s_x² = (D²/4)‖P_xΔ‖², so σ_xψ(s_x) ≤ (D²/4)(ψ(s)/s²)σ_x‖P_xΔ‖²",
        (own**2 * largest / s**2).subs(own, D * length / 2),
        k * D**2 * largest / s**2 * length**2,
    )
    claim_cauchy_schwarz(proof)
    _claim_lengths(proof, spread)
    _claim_exchange(proof)
    q = (1 + sp.sqrt(sp.Rational(1, 2))) / 2
    sharpest = claim_instance(proof, [(q, 1, 1 - q), (1 - q, 0, -q)])
    # One of n orthogonal prompts, D = 1: it loses −(1/2)Cov(r, w²)‖P_xΔ‖², and σ̃ = σ, δ = 0.
    reached = sp.radsimp(
        -sharpest["hessian"] / 2 / sp.sqrt(sharpest["variance"]) / sp.limit(psi(s) / s**2, s, 0, "+")
    )
    proof.identity(
        "orthogonal prompts at p(1 − p) = 1/8, p > 1/2 lose the constant as s → 0",
        proof.derive("limit", reached),
        k,
    )
    return proof.done()


def _claim_lengths(proof: Derivation, spread: Any) -> None:
    """Claim ‖P_xΔ‖² ≤ α²(1 + δ)Σ_x'c_xx'a_x'²‖g_x'‖²."""
    import sympy as sp

    α, c, a, v, row, δ, slack = sp.symbols("α c a' ‖g'‖ Σ_x'c_xx' δ slack", positive=True)
    proof.identity(
        "‖P_xΔ‖ ≤ αΣ_x' a_x'‖P_xP_x'g_x'‖ ≤ αΣ_x' c_xx'a_x'‖g_x'‖, term by term",
        α * a * (c * v),
        α * c * a * v,
    )
    proof.identity(
        "each term is the product of √c_xx' and √c_xx'·a_x'‖g_x'‖",
        sp.sqrt(c) * (sp.sqrt(c) * a * v),
        c * a * v,
    )
    proof.identity(
        "whose squares are c_xx' and c_xx'a_x'²‖g_x'‖²", (sp.sqrt(c) * a * v) ** 2, c * a**2 * v**2
    )
    proof.identity(
        "Σ_x'c_xx' = 1 + Σ_{x'≠x}c_xx' ≤ 1 + δ: Cauchy–Schwarz gives ‖P_xΔ‖² ≤ α²(1 + δ)Σ_x'c_xx'a_x'²‖g_x'‖²",
        (1 + spread * δ) - row.subs(row, 1 + δ - slack),
        slack,
    )


def _claim_exchange(proof: Derivation) -> None:
    """Claim Σ_xσ_xΣ_x'c_xx'u_x' = Σ_x'u_x'σ̃_x', by the symmetry of c."""
    import sympy as sp

    σ, τ, u, v, c = sp.symbols("σ_x σ_x' u_x u_x' c_xx'", positive=True)
    left = σ * (u + c * v) + τ * (c * u + v)
    proof.identity(
        "Σ_xσ_xΣ_x'c_xx'u_x' = Σ_x u_xσ̃_x with u = a²‖g‖², as c_xx' = c_x'x (a pair)",
        left,
        u * (σ + c * τ) + v * (τ + c * σ),
    )
