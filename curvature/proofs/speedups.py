"""Where GRPO's advantage comes from: T4 and T5 of the theory, and how far T5 depends on short steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curvature.proofs._claims import INTERVALS, SUMS, claim_rounds_to, ends, intervals, psi, show
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import LOG_LINEAR, claim_instance
from curvature.proofs.rates import ORTHOGONAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "ratio_at_exact_steps",
    "ratio_of_short_steps",
    "ratio_with_the_sharpest_curvature",
    "two_factors_of_the_std",
]


def two_factors_of_the_std(most: Any = "1") -> Proof:
    """Prove T4: σ̄/σ_max = (⟨m_t⟩/σ_max)(σ̄/⟨m_t⟩), m_t = max_x σ_x(θ_t), each factor at most 1.

    Ours, theory T4.

    Parameters
    ----------
    most : str, number or sympy expression
        The largest value claimed of each factor.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a factor can be larger, or never is that large.

    Examples
    --------
    >>> len(two_factors_of_the_std().steps)
    4
    """
    import sympy as sp

    most = exact(most)
    mean, peak = sp.symbols("σ̄ ⟨m⟩", positive=True)
    below, short = sp.symbols("u v", nonnegative=True)
    proof = Derivation(
        "T4",
        f"σ̄/σ_max = (⟨m_t⟩/σ_max)·(σ̄/⟨m_t⟩), m_t = max_x σ_x(θ_t): each factor is ≤ {show(most)}, and the product is "
        f"{show(most)} iff σ is constant",
        "u = mean_{x,t}(m_t − σ_x(θ_t)) and v = mean_t(σ_max − m_t) are means of numbers ≥ 0; u = 0 iff every "
        "prompt has "
        "the largest std, v = 0 iff the largest is σ_max at every t",
        "not all σ are 0",
        SUMS,
    )
    top = peak + short
    proof.identity("σ̄/σ_max = (⟨m⟩/σ_max)(σ̄/⟨m⟩), σ_max = ⟨m⟩ + v", mean / top, (peak / top) * (mean / peak))
    prompts = (peak - below) / peak
    proof.identity("across prompts: σ̄ = ⟨m⟩ − u, so σ̄/⟨m⟩ = 1 − u/⟨m⟩ ≤ most", prompts, most - below / peak)
    proof.identity(
        "across iterations: ⟨m⟩/σ_max = 1 − v/σ_max ≤ most", peak / top, sp.together(most - short / top)
    )
    both = sp.together((peak - below) / top)
    proof.identity(
        "the product is 1 − (u + v)/σ_max, which is 1 iff u = v = 0", both, 1 - (below + short) / top
    )
    return proof.done()


def ratio_of_short_steps(least: Any = "1", best: Any = "2") -> Proof:
    """Prove T5: κ = [Σ‖g‖²/σ][Σσ‖g‖²]/[Σ‖g‖²]² ≥ 1, the ratio of the best certified gains with ψ(s) = s²/2.

    Ours, theory T5. The ratio of the gains with the exact ψ is another: see :func:`ratio_at_exact_steps`.

    Parameters
    ----------
    least, best : str, number or sympy expression
        The constants claimed: in κ ≥ least, and in the best gain best·(Σa‖g‖²)²/(D²Σσa²‖g‖²) of weights a.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not the one that the certificate gives.

    Examples
    --------
    >>> print(ratio_of_short_steps().derived["best gain"])
    2*S**2/(D**2*Q)
    """
    import sympy as sp

    least, best = exact(least), exact(best)
    α, D, S, Q = sp.symbols("α D S Q", positive=True)
    a, σ, τ, g, h = sp.symbols("a σ σ' g g'", positive=True)
    proof = Derivation(
        "T5",
        f"κ = [Σ‖g‖²/σ][Σσ‖g‖²]/[Σ‖g‖²]² ≥ {show(least)}, the ratio GRPO over REINFORCE of the largest certified "
        "gains where "
        "ψ(s) is s²/2; equal iff σ is the same wherever g ≠ 0",
        ORTHOGONAL,
        "the certificate Σ_x[⟨g_x, Δ⟩ − σ_xψ(D‖P_xΔ‖/2)] of L4, one D for all, with s²/2 in the place of ψ(s)",
        "σ_x > 0 and a_x > 0; sums over the prompts with g_x ≠ 0, and there is one",
        SUMS,
    )
    term = α * a * g**2 - σ * (D / 2 * α * a * g) ** 2 / 2
    proof.identity(
        "P_xΔ = αa_xg_x: prompt x has αa‖g‖² − (D²/8)α²σa²‖g‖²",
        term,
        α * (a * g**2) - D**2 / 8 * α**2 * (σ * a**2 * g**2),
    )
    certificate = α * S - D**2 / 8 * α**2 * Q
    peak = best * S**2 / (D**2 * Q)
    proof.identity(
        "with S = Σa‖g‖², Q = Σσa²‖g‖² the sum is its maximum over α less a square",
        certificate,
        peak - D**2 / 8 * Q * (α - 4 * S / (D**2 * Q)) ** 2,
    )
    proof.derive("best gain", peak)
    proof.identity("a = 1/σ: a‖g‖² is ‖g‖²/σ", (a * g**2).subs(a, 1 / σ), g**2 / σ)
    proof.identity("and σa²‖g‖² is ‖g‖²/σ too", (σ * a**2 * g**2).subs(a, 1 / σ), g**2 / σ)
    first, second, third = sp.symbols("A B C", positive=True)
    grpo, reinforce = peak.subs({S: first, Q: first}), peak.subs({S: second, Q: third})
    proof.identity(
        "with A = Σ‖g‖²/σ, B = Σ‖g‖², C = Σσ‖g‖² the ratio is AC/B² = κ",
        grpo / reinforce,
        first * third / second**2,
    )
    # AC − B² is a sum over unordered pairs; the pair (x, x') has these terms, and the diagonal cancels.
    pair = g**2 / σ * τ * h**2 + h**2 / τ * σ * g**2 - 2 * g**2 * h**2
    proof.identity(
        "a pair of prompts has ‖g‖²‖g'‖²(σ − σ')²/(σσ') ≥ 0 in AC − B²",
        pair,
        g**2 * h**2 * (σ - τ) ** 2 / (σ * τ),
    )
    proof.identity(
        "and a single prompt has 0: so κ ≥ least, and AC = B² iff all σ are the same",
        (g**2 / σ) * (σ * g**2),
        least * (g**2) ** 2,
    )
    return proof.done()


def ratio_with_the_sharpest_curvature(worst: Any = "1/16", kappa: Any = "0.9566") -> Proof:
    """Prove that T5 needs L2's curvature: with C1's ℓ for σ/4 two prompts of one ℓ and two stds have a ratio below 1.

    Ours, theory T5.

    Parameters
    ----------
    worst, kappa : str, number or sympy expression
        The constants claimed: ℓ of both prompts, and their ratio, to four decimals.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a number is another.

    Examples
    --------
    >>> print(ratio_with_the_sharpest_curvature().derived["ℓ(1/2)"])
    1/16
    """
    import sympy as sp

    worst, kappa = exact(worst), exact(kappa)
    D, S, Q, α = sp.symbols("D S Q α", positive=True)
    proof = Derivation(
        "T5-curvature",
        f"with ℓ for σ/4 the ratio of T5 is κ_ℓ = [Σ‖g‖²/σ]²Σℓ‖g‖²/(Σ(ℓ/σ²)‖g‖²[Σ‖g‖²]²); two-arm prompts of one ℓ = "
        f"{show(worst)} at p = 1/2 and p = .0812… have κ_ℓ = {_decimal(kappa)}",
        ORTHOGONAL,
        "C1: ‖∇²J‖ ≤ D²ℓ(q), and the certificate Σ_x[⟨g_x, Δ⟩ − (D²/2)ℓ_x‖P_xΔ‖²], one D for all",
        "two arms: ‖g‖ = Dσ²",
        SUMS,
        INTERVALS,
    )
    peak = S**2 / (2 * D**2 * Q)
    proof.identity(
        "αS − (D²/2)α²Q with S = Σa‖g‖², Q = Σℓa²‖g‖² is at most S²/(2D²Q): a = 1/σ over a = 1 is κ_ℓ",
        α * S - D**2 / 2 * α**2 * Q,
        peak - D**2 / 2 * Q * (α - S / (D**2 * Q)) ** 2,
    )
    g, h, σ, τ = sp.symbols("g g' σ σ'", positive=True)
    proof.identity(
        "of one ℓ: Σ‖g‖²·Σ‖g‖²/σ² − [Σ‖g‖²/σ]² = ‖g‖²‖g'‖²(1/σ − 1/σ')², so κ_ℓ < 1 where the stds differ",
        (g**2 + h**2) * (g**2 / σ**2 + h**2 / τ**2) - (g**2 / σ + h**2 / τ) ** 2,
        g**2 * h**2 * (1 / σ - 1 / τ) ** 2,
    )
    q = sp.Symbol("q", real=True)
    low_branch = q * (1 - q) * (1 - 2 * q)
    half = sp.Rational(1, 2)
    proof.identity("ℓ(1/2) = (1 − 1/2)/8 is the one claimed", proof.derive("ℓ(1/2)", (1 - half) / 8), worst)
    left, right = sp.Rational("0.08121728235"), sp.Rational("0.08121728236")
    proof.at_least(
        "ℓ(q) is below it at the lower end of [.08121728235, .08121728236] ⊂ [0, 1/4]",
        worst,
        low_branch.subs(q, left),
    )
    proof.at_least("and above it at the upper end: it is reached between", low_branch.subs(q, right), worst)
    proof.derive("p", left)
    ends_of_ratio = _ratio_of_one_curvature(left, right)
    claim_rounds_to(proof, "κ_ℓ is as claimed", ends_of_ratio, kappa, "5/100000")
    return proof.done()


def _ratio_of_one_curvature(left: Any, right: Any) -> tuple[Any, Any]:
    """Enclose [Σ‖g‖²/σ]²/(Σ‖g‖²·Σ‖g‖²/σ²), ‖g‖ = σ², for p = 1/2 and a p in [left, right]."""
    iv = intervals()
    p = iv.mpf([(_interval(iv, left)).a, (_interval(iv, right)).b])
    variances = [iv.mpf(1) / 4, p * (1 - p)]
    first = sum((v * iv.sqrt(v) for v in variances), iv.mpf(0))
    return ends(first**2 / (sum((v**2 for v in variances), iv.mpf(0)) * sum(variances, iv.mpf(0))))


def ratio_at_exact_steps(kappa: Any = "1.0044", ratio: Any = "0.9959") -> Proof:
    """Prove that T5 needs short steps: two prompts have κ > 1 and yet a ratio of exact certified gains below 1.

    Ours, theory T5 corrected. Each largest gain over the step is enclosed: the gain is concave, so between two
    points where its slope changes sign it is below its tangent.

    Parameters
    ----------
    kappa, ratio : str, number or sympy expression
        κ and the ratio of the largest certified gains with the exact ψ, each claimed to four decimals.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a number is another.

    Examples
    --------
    >>> print(ratio_at_exact_steps().derived["ratio at most"])
    0.995935528
    """
    import sympy as sp

    kappa, ratio = exact(kappa), exact(ratio)
    proof = Derivation(
        "T5-short",
        f"two orthogonal prompts of D = 1 have κ = {_decimal(kappa)} and a ratio of the largest certified gains, GRPO "
        f"over REINFORCE, of {_decimal(ratio)} with the exact ψ: T5 needs short steps",
        LOG_LINEAR,
        ORTHOGONAL,
        "the certificate Σ_x[⟨g_x, Δ⟩ − σ_xψ(D‖P_xΔ‖/2)] of L4",
        INTERVALS,
    )
    quarter, half = sp.Rational(1, 4), sp.Rational(1, 2)
    p = sp.Rational(24, 100)
    one = claim_instance(proof, [(p, 1, 1 - p), (1 - p, 0, -p)])
    other = claim_instance(
        proof,
        [(quarter, 0, sp.Rational(7, 10)), (half, 1, -sp.Rational(1, 5)), (quarter, 0, -sp.Rational(3, 10))],
    )
    for name, prompt in (("two responses", one), ("three responses", other)):
        proof.identity(f"{name} have diameter 1", prompt["width"], 1)
    prompts = [(sp.sqrt(prompt["variance"]), abs(prompt["gradient"])) for prompt in (one, other)]
    short = sum(g**2 / σ for σ, g in prompts) * sum(σ * g**2 for σ, g in prompts)
    claim_rounds_to(proof, "κ is as claimed", short / sum(g**2 for _, g in prompts) ** 2, kappa, "5/100000")
    α, y, σ, a = sp.symbols("α y σ a", positive=True)
    gain = α * a * (y * σ / 2) ** 2 - σ * psi(α * a * y * σ / 4)
    proof.identity(
        "with ‖g‖ = yσ/2 and s = αayσ/4 the certificate is σ(sy − ψ(s))",
        gain,
        (σ * (y * a - psi(a))).subs(a, α * a * y * σ / 4),
    )
    proof.identity(
        "its second derivative in s is −σe^s < 0: it is concave in α",
        sp.diff(σ * (y * a - psi(a)), a, 2),
        -σ * sp.exp(a),
    )
    # GRPO: s = cy with α = 4c. REINFORCE: s = cyσ with α = 4c.
    best = [
        _claim_largest_gain(proof, name, prompts, power) for power, name in enumerate(("GRPO", "REINFORCE"))
    ]
    enclosed = best[0][0] / best[1][1], best[0][1] / best[1][0]
    claim_rounds_to(proof, "the ratio of the two is as claimed", enclosed, ratio, "5/100000")
    proof.derive("ratio at most", sp.N(enclosed[1], 9))
    proof.at_least("which is below 1", 1 - sp.Rational(1, 1000), enclosed[1])
    return proof.done()


def _decimal(number: Any) -> str:
    return f"{float(number):.4f}"


def _claim_largest_gain(
    proof: Derivation, name: str, prompts: Sequence[tuple[Any, Any]], power: int
) -> tuple[Any, Any]:
    """Claim an enclosure of max over c > 0 of Σσ(sy − ψ(s)), s = cyσ^power, y = 2‖g‖/σ.

    Returns
    -------
    tuple of sympy Rational
        Low and high.
    """
    import sympy as sp

    iv = intervals()
    stds = [iv.sqrt(_interval(iv, σ**2)) for σ, _ in prompts]
    slopes = [2 * _interval(iv, g) / σ for (_, g), σ in zip(prompts, stds, strict=True)]

    def total(term: Callable[[Any, Any, Any], Any], c: Any) -> Any:
        parts = (term(σ, y, c * y * σ**power) for σ, y in zip(stds, slopes, strict=True))
        return sum(parts, iv.mpf(0))

    def gain(c: Any) -> Any:
        return total(lambda σ, y, s: σ * (s * y - (iv.exp(s) - 1 - s)), c)

    def slope(c: Any) -> Any:
        return total(lambda σ, y, s: σ * (y + 1 - iv.exp(s)) * y * σ**power, c)

    low, high = iv.mpf(0), iv.mpf(8)
    for _ in range(50):
        middle = (low + high) / 2  # a point, not an interval: the ends are binary fractions of few bits
        low, high = (middle, high) if slope(middle).a > 0 else (low, middle)
    proof.at_least(
        f"{name}: the slope of the certificate in the step is ≥ 0 at a point", ends(slope(low))[0], 0
    )
    proof.at_least(f"{name}: and ≤ 0 at a later one, so the maximum is between them", 0, ends(slope(high))[1])
    # Concave: below its tangent at low on [low, high], and no larger outside.
    least, most = ends(gain(low))[0], ends(gain(low) + slope(low) * (high - low))[1]
    proof.at_least(
        f"{name}: it is ≥ the value at the one and ≤ the tangent there: enclosed to 10⁻⁹",
        sp.Rational(1, 10**9),
        most - least,
    )
    proof.derive(f"largest gain of {name}", sp.N(least, 9))
    return least, most


def _interval(iv: Any, number: Any) -> Any:
    return iv.mpf(int(number.p)) / int(number.q)
