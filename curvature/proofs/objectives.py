"""What the updates ascend: the implicit objective of GRPO, in the limit and for groups of G samples."""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import show, times
from curvature.proofs._derivation import Derivation, Proof, exact

__all__ = ["arcsine_of_the_root", "objective_of_groups"]


def arcsine_of_the_root(factor: Any = "2") -> Proof:
    """Prove that GRPO ascends 2 arcsin √J: for binary rewards ∇J/σ = ∇(2 arcsin √J).

    Davis and Recht, arXiv:2510.13651; Thrampoulidis et al., arXiv:2510.23049.

    Parameters
    ----------
    factor : str, number or sympy expression
        The constant claimed in front of arcsin √J.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the derivative is not 1/σ.

    Examples
    --------
    >>> print(arcsine_of_the_root().derived["at J = 1"])
    pi
    """
    import sympy as sp

    k = exact(factor)
    J = sp.Symbol("J", positive=True)
    proof = Derivation(
        "arcsine",
        f"∇J/σ = ∇({show(k)} arcsin √J) for rewards in {{0, 1}}, 0 < J < 1",
        "rewards 0 or 1, so that σ² = J(1 − J)",
        "the chain rule: ∇h(J) = h'(J)∇J",
    )
    h = k * sp.asin(sp.sqrt(J))
    r, mean = sp.symbols("r E[r]", real=True)
    proof.identity("r² = r for r = 0 or 1: r² − r = r(r − 1)", r**2 - r, r * (r - 1))
    proof.identity("so σ² = E r² − J² = J(1 − J)", mean - mean**2, mean * (1 - mean))
    proof.identity("h(J) has the derivative 1/√(J(1 − J)) = 1/σ", sp.diff(h, J), 1 / sp.sqrt(J * (1 - J)))
    proof.identity("h(0) = 0", h.subs(J, 0), 0)
    proof.derive("at J = 1", h.subs(J, 1))
    return proof.done()


def objective_of_groups(factor: Any = "1") -> Proof:
    """Prove that h(p) = (1/G)Σ_j (A(right) − A(wrong) | j others right)·I_p(j + 1, G − j) has h' = a_G.

    Ours, theory D1.

    Parameters
    ----------
    factor : str, number or sympy expression
        The constant claimed in front of 1/G.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the derivative is not a_G.

    Examples
    --------
    >>> print(objective_of_groups().derived["h for G = 2"])
    p
    """
    import sympy as sp

    k = exact(factor)
    p, t, G, j = sp.symbols("p t G j", positive=True)
    proof = Derivation(
        "D1-objective",
        f"h(p) = {times(k)}(1/G)Σ_j (A(right) − A(wrong) | j others right)·I_p(j + 1, G − j) has h(0) = 0 and "
        "h' = a_G, for "
        "every convention of a group",
        "D1: a_G(p) = Σ_j C(G − 1, j)p^j(1 − p)^(G−1−j)(A(right) − A(wrong) | j others right)",
        "the regularised beta function I_p(a, b) = ∫₀^p t^(a−1)(1 − t)^(b−1)dt/B(a, b), B(a, b) = (a − 1)!(b − "
        "1)!/(a + b − 1)!",
        "the fundamental theorem of calculus",
    )
    beta = sp.factorial(j) * sp.factorial(G - j - 1) / sp.factorial(G)
    proof.identity(
        "1/(G·B(j + 1, G − j)) = G!/(G·j!(G − 1 − j)!) = C(G − 1, j)",
        k
        * sp.gammasimp(
            sp.expand_func(
                1 / (G * beta) / (sp.factorial(G - 1) / (sp.factorial(j) * sp.factorial(G - 1 - j)))
            )
        ),
        1,
    )
    proof.identity(
        "so each term of h has the derivative C(G − 1, j)p^j(1 − p)^(G−1−j)·(A(right) − A(wrong) | j): h' = a_G",
        p ** (j + 1 - 1) * (1 - p) ** (G - j - 1),
        p**j * (1 - p) ** (G - 1 - j),
    )
    # Summed for GRPO: with j others right the right one's A is √((G−k)/k), k = j + 1; the wrong one's −√(j/(G−j)).
    for size in (2, 3, 5):
        total, weight = sp.Integer(0), sp.Integer(0)
        for others in range(size):
            right = sp.sqrt(sp.Rational(size - others - 1, others + 1))
            wrong = -sp.sqrt(sp.Rational(others, size - others))
            share = sp.integrate(sp.expand(t**others * (1 - t) ** (size - others - 1)), (t, 0, p))
            number = sp.factorial(size) / (sp.factorial(others) * sp.factorial(size - others - 1))
            total += k * (right - wrong) * number * share / size
            weight += (
                (right - wrong) * sp.binomial(size - 1, others) * p**others * (1 - p) ** (size - 1 - others)
            )
        proof.derive(f"h for G = {size}", sp.expand(total))
        proof.identity(f"GRPO, G = {size}: h' is a_G", sp.expand(sp.diff(total, p)), sp.expand(weight))
        proof.identity(f"GRPO, G = {size}: h(0) = 0", total.subs(p, 0), 0)
    return proof.done()
