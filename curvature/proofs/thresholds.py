"""Which bound is the smaller one, GRPO's or REINFORCE's, for each pair of constants (section 3.3 and theory I.3.5)."""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import SUMS, claim_rounds_to, show, times
from curvature.proofs._derivation import Derivation, Proof, exact

__all__ = [
    "best_step_threshold",
    "binary_threshold",
    "paper_threshold",
    "sharp_threshold",
    "smoothness_threshold",
    "weighted_improvement",
]

_BOUNDS = "REINFORCE's bound is r·Δ̄n/T, GRPO's g·σ̄Δ̄n/T with σ̄ the mean std (or C), of the same quantity"


def _claim_ratio(proof: Derivation, r: Any, g: Any, threshold: Any) -> Any:
    """Claim that GRPO's bound is the smaller one iff σ̄ < threshold, from the two constants r and g."""
    import sympy as sp

    mean, unit = sp.symbols("σ̄ unit", positive=True)
    ratio = proof.derive("ratio over σ̄", sp.radsimp(sp.cancel(g / r)))
    proof.identity("the ratio of the bounds is (g/r)σ̄", g * mean * unit / (r * unit), ratio * mean)
    proof.identity("it is 1 at the threshold, and grows with σ̄", sp.radsimp(ratio * threshold), 1)
    return ratio


def paper_threshold(
    threshold: Any = "3/8", low: Any = "(1 - sqrt(7)/4)/2", high: Any = "(1 + sqrt(7)/4)/2"
) -> Proof:
    """Prove the paper's threshold: GRPO's bound is the smaller one iff mean σ < 3/8, which is p(1 − p) < 9/64.

    Section 3.3, arXiv:2601.23135v1.

    Parameters
    ----------
    threshold, low, high : str, number or sympy expression
        The constants claimed: 3/8, and the two success probabilities of that std.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> print(paper_threshold().derived["ratio over σ̄"])
    8/3
    """
    import sympy as sp

    threshold, low, high = exact(threshold), exact(low), exact(high)
    p = sp.Symbol("p", real=True)
    proof = Derivation(
        "threshold",
        f"Theorems 3.1 and 3.2: the ratio of the bounds is (8/3)·mean C, and GRPO's is the smaller iff mean C < "
        f"{show(threshold)}; one σ is below that iff p < {show(low)} (.169) or p > {show(high)} (.831)",
        "Theorem 3.1: r = 2 (in X²), min_t E‖∇J_i‖² ≤ 2n(1 − p₀)X²/T",
        "Theorem 3.2: g = 16/3 (in X²), min_t E‖∇J_i‖² ≤ (16/3)n(1 − p₀)X²·mean C/T",
        _BOUNDS,
    )
    _claim_ratio(proof, sp.Integer(2), sp.Rational(16, 3), threshold)
    slack = threshold**2 - p * (1 - p)
    proof.identity(
        "σ < threshold is p² − p + threshold² > 0: (p − low)(p − high) > 0", slack, (p - low) * (p - high)
    )
    proof.at_least("low < high, so outside of the two", high - low, sp.Rational(1, 2))
    claim_rounds_to(proof, "low is .169", low, sp.Rational("0.169"), "5/10000")
    claim_rounds_to(proof, "high is .831", high, sp.Rational("0.831"), "5/10000")
    return proof.done()


def best_step_threshold(
    step: Any = "2/5", gain: Any = "1/5", threshold: Any = "2/5", ball: Any = "4/5"
) -> Proof:
    """Prove that η = 2/(5X²) is GRPO's best step by Lemma 3.3, with the threshold 2/5 in the place of 3/8.

    Ours, on Theorem 3.2, arXiv:2601.23135v1.

    Parameters
    ----------
    step, gain, threshold, ball : str, number or sympy expression
        The constants claimed: ηX², the gain over ‖∇J‖²/(σX²), the threshold, and the step over the ball's radius.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> print(best_step_threshold().derived["ratio over σ̄"])
    5/2
    """
    import sympy as sp

    step, gain, threshold, ball = exact(step), exact(gain), exact(threshold), exact(ball)
    η = sp.Symbol("ηX²", positive=True)
    proof = Derivation(
        "threshold-step",
        f"by Lemma 3.3 GRPO's best step has ηX² = {show(step)}, with gains of {times(gain)}‖∇J_i‖²/(σ_iX²); "
        "GRPO's bound is then "
        f"the smaller iff mean σ < {show(threshold)}",
        "Theorem 3.2: a step of η gains ≥ (η − (5/4)X²η²)‖∇J_i‖²/σ_i, of length ≤ 2ηXσ_i, if that is ≤ σ_i/X",
        "Theorem 3.1: r = 2 (in X²)",
        _BOUNDS,
    )
    certified = η - sp.Rational(5, 4) * η**2
    proof.identity(
        "η − (5/4)η² is gain − (5/4)(η − step)², in units of 1/X²",
        certified,
        gain - sp.Rational(5, 4) * (η - step) ** 2,
    )
    proof.identity("the step is ball times the radius σ_i/X", 2 * step, ball)
    proof.at_least("and inside it", 1, ball)
    _claim_ratio(proof, sp.Integer(2), 1 / gain, threshold)
    return proof.done()


def sharp_threshold(threshold: Any = "1/2", ratio: Any = "2") -> Proof:
    """Prove that with T1 and T2 at σ_max = 1/2 GRPO's bound is 2σ̄ times REINFORCE's, never the larger one.

    Ours, theory T3 and I.3.5.

    Parameters
    ----------
    threshold, ratio : str, number or sympy expression
        The constants claimed.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> print(sharp_threshold().derived["ratio over σ̄"])
    2
    """
    import sympy as sp

    threshold, ratio = exact(threshold), exact(ratio)
    proof = Derivation(
        "threshold-sharp",
        f"T1 and T2, binary rewards, σ_max = 1/2: the ratio of the bounds is {times(ratio)}σ̄ ≤ 1, and GRPO's is "
        "the smaller iff "
        f"σ̄ < {show(threshold)}",
        "T3: r = Γσ_max, g = Γ = D²/(4k₀), k₀ = 2 ln 2 − 1",
        _BOUNDS,
    )
    k0, p = 2 * sp.log(2) - 1, sp.Symbol("p", real=True)
    half = sp.Rational(1, 2)
    proof.identity(
        "σ² = 1/4 − (p − 1/2)²: σ ≤ 1/2, reached at p = 1/2", p * (1 - p), half**2 - (p - half) ** 2
    )
    found = _claim_ratio(proof, half / (4 * k0), 1 / (4 * k0), threshold)
    proof.identity("the ratio is the one claimed", found, ratio)
    proof.at_least("and at most 1, as σ̄ ≤ 1/2", 1, ratio * half)
    return proof.done()


def smoothness_threshold(
    threshold: Any = "4*(2*log(2) - 1)/(3*sqrt(3))", ratio: Any = "3*sqrt(3)/(4*(2*log(2) - 1))"
) -> Proof:
    """Prove the numbers 3.36 and .297: REINFORCE by C1's smoothness against GRPO by T1, for binary rewards.

    Ours, theory I.3.5.

    Parameters
    ----------
    threshold, ratio : str, number or sympy expression
        The constants claimed: 4k₀/(3√3) = .2974 and its inverse 3.363.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> round(float(smoothness_threshold().derived["threshold"]), 4)
    0.2974
    """
    import sympy as sp

    threshold, ratio = exact(threshold), exact(ratio)
    proof = Derivation(
        "threshold-smoothness",
        f"C1's smoothness and T1, binary rewards: the ratio of the bounds is {times(ratio)}σ̄ = 3.363·σ̄, and "
        "GRPO's is the smaller "
        f"iff σ̄ < {show(threshold)} = .2974",
        "C1-step: r = 1/(3√3) (in D²)",
        "T3: g = 1/(4k₀) (in D²), k₀ = 2 ln 2 − 1",
        _BOUNDS,
    )
    k0 = 2 * sp.log(2) - 1
    r, g = 1 / (3 * sp.sqrt(3)), 1 / (4 * k0)
    found = _claim_ratio(proof, r, g, threshold)
    proof.identity("the ratio is the one claimed", found, ratio)
    proof.derive("threshold", threshold)
    claim_rounds_to(proof, "the ratio is 3.363", ratio, sp.Rational("3.363"), "5/10000")
    claim_rounds_to(proof, "the threshold is .2974", threshold, sp.Rational("0.2974"), "5/100000")
    proof.at_least(
        "it is below the 1/2 of T2: the sharper REINFORCE's analysis, the fewer the cases",
        sp.Rational(1, 2),
        threshold,
    )
    return proof.done()


def binary_threshold(threshold: Any = "2/(3*sqrt(3))", ratio: Any = "3*sqrt(3)/2") -> Proof:
    """Prove the numbers 2.598 and .385: both methods by C1, the sharpest proved analysis of each for binary rewards.

    Ours, theory C1.

    Parameters
    ----------
    threshold, ratio : str, number or sympy expression
        The constants claimed: 2/(3√3) = .3849 and its inverse 2.598.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> round(float(binary_threshold().derived["threshold"]), 4)
    0.3849
    """
    import sympy as sp

    threshold, ratio = exact(threshold), exact(ratio)
    proof = Derivation(
        "threshold-binary",
        f"C1 for both, binary rewards: the ratio of the bounds is {times(ratio)}σ̄ = 2.598·σ̄, and GRPO's is the "
        f"smaller iff σ̄ < {show(threshold)} = .3849",
        "C1-step: r = 1/(3√3) (in D²)",
        "one-step-C1: GRPO at 4/D² gains ≥ 2‖∇J_i‖²/(σ_iD²) a step, so g = 1/2 (in D²), as in T3",
        _BOUNDS,
    )
    r, g = 1 / (3 * sp.sqrt(3)), sp.Rational(1, 2)
    found = _claim_ratio(proof, r, g, threshold)
    proof.identity("the ratio is the one claimed", found, ratio)
    proof.derive("threshold", threshold)
    claim_rounds_to(proof, "the ratio is 2.598", ratio, sp.Rational("2.598"), "5/10000")
    claim_rounds_to(proof, "the threshold is .3849", threshold, sp.Rational("0.3849"), "5/100000")
    proof.at_least("it is above the .2974 of T1", threshold, 4 * (2 * sp.log(2) - 1) / (3 * sp.sqrt(3)))
    proof.at_least("and above the paper's 3/8", threshold, sp.Rational(3, 8))
    return proof.done()


def weighted_improvement(factor: Any = "8/3", printed: Any = "0.6533", true: Any = "1.2197") -> Proof:
    """Prove that prompts must be weighed by 1 − p₀ in C(T): with equal weights C(T) < 1 does not say what it should.

    On section 3.3, arXiv:2601.23135v1.

    Parameters
    ----------
    factor, printed, true : str, number or sympy expression
        The constants claimed: 8/3, and for σ̄ = .458, .032 and p₀ = .3, .999 C(T) and the true ratio of averages.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> round(float(weighted_improvement().derived["true ratio"]), 4)
    1.2197
    """
    import sympy as sp

    factor, printed, true = exact(factor), exact(printed), exact(true)
    n, X, T, mean = sp.symbols("n X T mean_C", positive=True)
    u, v, c, d = sp.symbols("1−p₀ 1−p₀' C̄ C̄'", positive=True)
    proof = Derivation(
        "improvement",
        f"averaged over prompts the ratio of the bounds is {times(factor)}Σ(1 − p₀_i)C̄_i/Σ(1 − p₀_i), the "
        "paper's C(T) only if all "
        f"p₀_i are one: σ̄ = .458, .032 with p₀ = .3, .999 has C(T) = {float(printed):.4f} and the ratio "
        f"{float(true):.4f}",
        "Theorem 3.1: 2n(1 − p₀)X²/T",
        "Theorem 3.2: (16/3)n(1 − p₀)X²·C̄_i/T, C̄_i the mean of C_(i,t) over t",
        SUMS,
    )
    ours, theirs = sp.Rational(16, 3) * n * X**2 / T, 2 * n * X**2 / T
    ratio = (ours * u * c + ours * v * d) / (theirs * u + theirs * v)
    proof.identity(
        "two prompts (more alike): the averages have the ratio factor·Σ(1 − p₀)C̄/Σ(1 − p₀)",
        ratio,
        factor * (u * c + v * d) / (u + v),
    )
    proof.identity("for one p₀ it is factor·mean C̄ = C(T)", ratio.subs(v, u), factor * (c + d) / 2)
    proof.identity("and for one C̄ too", ratio.subs({c: mean, d: mean}), factor * mean)
    values = {
        u: sp.Rational("0.7"),
        v: sp.Rational("0.001"),
        c: sp.Rational("0.458"),
        d: sp.Rational("0.032"),
    }
    claimed = proof.derive("C(T)", ratio.subs(v, u).subs(values))
    proof.derive("true ratio", ratio.subs(values))
    claim_rounds_to(proof, "the example's C(T) is as claimed", claimed, printed, "5/100000")
    claim_rounds_to(proof, "and the true ratio is as claimed", ratio.subs(values), true, "5/100000")
    proof.at_least("C(T) ≤ 1", 1, claimed)
    proof.at_least("though GRPO's average bound is the larger", ratio.subs(values), 1)
    return proof.done()
