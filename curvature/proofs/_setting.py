"""What the proofs share: moments of one prompt along a direction, and finite instances.

Along a unit vector u the policy is π_t ∝ π e^(tz), z = ⟨u, φ⟩, so every derivative of a moment at t = 0 is a
polynomial in the moments E[r^i z^j] of the prompt, whatever the number of responses. Claims about derivatives
are therefore polynomial identities between moments, valid for every K at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curvature.proofs._derivation import Derivation

__all__ = [
    "AVERAGE",
    "CAUCHY_SCHWARZ",
    "LOG_LINEAR",
    "claim_gradient_is_covariance",
    "claim_hessian_is_covariance",
    "claim_instance",
    "claim_variance_slope",
    "covariance",
    "expectation",
    "reward_and_feature",
]

LOG_LINEAR = "a log-linear policy over finitely many responses, π_θ(y) ∝ π₀(y)exp⟨θ, φ(y)⟩"
CAUCHY_SCHWARZ = "Cauchy–Schwarz: |Cov(f, g)| ≤ sd(f)·sd(g)"
AVERAGE = "what holds for every value of a random variable holds for its expectation"


def reward_and_feature() -> tuple[Any, Any]:
    """Give the symbols of the random variables r (reward) and z = ⟨u, φ⟩ (feature along u).

    Returns
    -------
    tuple of sympy symbols
        r and z.
    """
    import sympy as sp

    return sp.symbols("r z", real=True)


def expectation(polynomial: Any) -> Any:
    """Take the expectation of a polynomial in r and z: each monomial r^i z^j becomes the symbol E_ij.

    Parameters
    ----------
    polynomial : sympy expression
        Its other symbols count as constants.

    Returns
    -------
    sympy expression
        Linear in the symbols E_ij, with E_00 = 1.
    """
    import sympy as sp

    terms = sp.Poly(polynomial, *reward_and_feature()).terms()
    return sp.Add(*(coefficient * _moment(i, j) for (i, j), coefficient in terms))


def covariance(first: Any, second: Any) -> Any:
    """Take the covariance of two polynomials in r and z.

    Parameters
    ----------
    first, second : sympy expressions
        The polynomials.

    Returns
    -------
    sympy expression
        E[first·second] − E[first]·E[second] in the symbols E_ij.
    """
    import sympy as sp

    return sp.expand(expectation(first * second) - expectation(first) * expectation(second))


def claim_gradient_is_covariance(proof: Derivation) -> None:
    """Claim uᵀ∇J = Cov(r, w) with w = z − E z.

    Parameters
    ----------
    proof : Derivation
        Where the step is claimed.
    """
    r, z = reward_and_feature()
    proof.identity(
        "⟨u, ∇J⟩ = Cov(r, w), w = ⟨u, φ − Eφ⟩", _derivative(r, 1), covariance(r, z - expectation(z))
    )


def claim_hessian_is_covariance(proof: Derivation) -> None:
    """Claim uᵀ∇²J u = Cov(r, w²) with w = z − E z.

    Parameters
    ----------
    proof : Derivation
        Where the step is claimed.
    """
    r, z = reward_and_feature()
    proof.identity(
        "uᵀ∇²J u = Cov(r, w²), w = ⟨u, φ − Eφ⟩", _derivative(r, 2), covariance(r, (z - expectation(z)) ** 2)
    )


def claim_variance_slope(proof: Derivation) -> None:
    """Claim ⟨u, ∇σ²⟩ = E[A²w] with A = r − E r.

    Parameters
    ----------
    proof : Derivation
        Where the step is claimed.
    """
    r, z = reward_and_feature()
    slope = _derivative(r**2, 1) - 2 * expectation(r) * _derivative(r, 1)
    weighted = expectation((r - expectation(r)) ** 2 * (z - expectation(z)))
    proof.identity("⟨u, ∇σ²⟩ = E[A²w], A = r − J", slope, weighted)


def claim_instance(proof: Derivation, responses: Sequence[tuple[Any, Any, Any]]) -> dict[str, Any]:
    """Claim that a finite instance is one, and compute its moments exactly.

    Parameters
    ----------
    proof : Derivation
        Where the steps are claimed.
    responses : sequence of (probability, reward, w)
        The responses; probabilities must sum to 1 and w must have mean 0.

    Returns
    -------
    dict
        ``variance`` of the reward, ``gradient`` Cov(r, w), ``hessian`` Cov(r, w²), and ``width``, the first w
        less the last: the diameter, when the largest w is listed first and the smallest last.
    """
    import sympy as sp

    def mean(f: Any) -> Any:
        return sp.expand(sp.Add(*(probability * f(reward, w) for probability, reward, w in responses)))

    proof.identity("the instance's probabilities sum to 1", mean(lambda r, w: 1), 1)
    proof.identity("the instance's w has mean 0", mean(lambda r, w: w), 0)
    success = mean(lambda r, w: r)
    return {
        "variance": sp.factor(mean(lambda r, w: r**2) - success**2),
        "gradient": sp.factor(mean(lambda r, w: r * w)),
        "hessian": sp.factor(mean(lambda r, w: r * w**2) - success * mean(lambda r, w: w**2)),
        "width": sp.expand(responses[0][2] - responses[-1][2]),
    }


def _moment(i: int, j: int) -> Any:
    import sympy as sp

    return sp.Integer(1) if i == j == 0 else sp.Symbol(f"E_{i}{j}", real=True)


def _derivative(reward: Any, order: int) -> Any:
    """Differentiate E_t[reward] = E[reward·e^(tz)]/E[e^(tz)] at t = 0; terms of e^(tz) above t^order do not count.

    Returns
    -------
    sympy expression
        The derivative, in the symbols E_ij.
    """
    import sympy as sp

    t = sp.Symbol("t")
    _, z = reward_and_feature()
    growth = sum((t * z) ** k / sp.factorial(k) for k in range(order + 1))
    return sp.expand(sp.diff(expectation(reward * growth) / expectation(growth), t, order).subs(t, 0))
