"""Two arms under small steps, exactly solved: theory II.6."""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import INTERVALS, claim_rounds_to, ends, intervals, show, times
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import LOG_LINEAR

__all__ = [
    "asymptotics_of_the_flow",
    "escape_of_finite_groups",
    "fastest_certified_weighting",
    "race_of_certified_steps",
    "solution_of_the_flow",
]

_TWO_ARMS = (
    "two responses, rewards 1 and 0, features D apart; p the success probability, V = p(1 − p), σ² = V"
)


def _closed_form(p: Any, e: int) -> Any:
    """Give F of theory II.6 with F' = (p(1 − p))^(e/2 − 2) and F(1/2) = 0."""
    import sympy as sp

    V, odds = p * (1 - p), sp.log(p) - sp.log(1 - p)
    return {0: (2 * p - 1) / V + 2 * odds, 1: 2 * (2 * p - 1) / sp.sqrt(V), 2: odds}[e]


def solution_of_the_flow(logarithm: Any = "2", root: Any = "2", odds: Any = "1") -> Proof:
    """Prove αD²t = F(p) − F(p₀) with the three closed forms F, for the weights σ^(−e), e = 0, 1, 2.

    Ours, theory II.6.

    Parameters
    ----------
    logarithm, root, odds : str, number or sympy expression
        The constants claimed: in (2p − 1)/V + logarithm·ln(p/(1 − p)), in root·(2p − 1)/√V, and in
        odds·ln(p/(1 − p)).

    Returns
    -------
    Proof
        Raised instead: ProofError, when a form is not the antiderivative.

    Examples
    --------
    >>> print(solution_of_the_flow().derived["e = 2"])
    log(p) - log(1 - p)
    """
    import sympy as sp

    logarithm, root, odds = exact(logarithm), exact(root), exact(odds)
    p = sp.Symbol("p", positive=True)
    α, D, σ, e = sp.symbols("α D σ e", positive=True)
    proof = Derivation(
        "II.6-flow",
        f"dp/dt = αD²V^(2 − e/2) has αD²t = F(p) − F(p₀) with F = (2p − 1)/V + {show(logarithm)} ln(p/(1 − p)) "
        "for e = 0, "
        f"{times(root)}(2p − 1)/√V for e = 1, {times(odds)}ln(p/(1 − p)) for e = 2; F(1/2) = 0",
        LOG_LINEAR,
        _TWO_ARMS,
        "small steps: dθ/dt = ασ^(−e)∇J",
    )
    z = sp.Symbol("z", real=True)
    logistic = 1 / (1 + sp.exp(-z))
    proof.identity(
        "along its one direction p = 1/(1 + e^(−z)) has dp/dz = V, z moving by D per unit: ‖∇J‖ = DV",
        sp.diff(logistic, z),
        logistic * (1 - logistic),
    )
    V = σ**2
    proof.identity(
        "so dp/dt = ασ^(−e)‖∇J‖² = αD²V^(2 − e/2)", α * σ**-e * (D * V) ** 2, α * D**2 * σ ** (4 - e)
    )
    V, log_odds = p * (1 - p), sp.log(p) - sp.log(1 - p)
    forms = [(2 * p - 1) / V + logarithm * log_odds, root * (2 * p - 1) / sp.sqrt(V), odds * log_odds]
    for number, form in enumerate(forms):
        power = sp.Rational(number, 2) - 2
        proof.identity(f"e = {number}: F' = V^({power}), as dt/dp asks", sp.diff(form, p), V**power)
        proof.identity(f"e = {number}: F(1/2) = 0", form.subs(p, sp.Rational(1, 2)), 0)
        proof.derive(f"e = {number}", _closed_form(p, number))
        proof.identity(
            f"e = {number}: it is the form that the other proofs use", form, _closed_form(p, number)
        )
    return proof.done()


def asymptotics_of_the_flow(
    tail_none: Any = "1",
    tail_std: Any = "4",
    tail_variance: Any = "1",
    escape_none: Any = "1",
    escape_std: Any = "2",
    escape_variance: Any = "1",
) -> Proof:
    """Prove how the flow ends and escapes: 1 − p ~ 1/t, 4/t², e^(−t), and times 1/p₀, 2/√p₀, ln(1/p₀).

    Ours, theory II.6.

    Parameters
    ----------
    tail_none, tail_std, tail_variance : str, number or sympy expression
        The constants claimed at the end, τ = αD²t: 1 − p ~ tail_none/τ for e = 0, tail_std/τ² for e = 1, and for
        e = 2 log(1 − p) ~ −tail_variance·τ.
    escape_none, escape_std, escape_variance : str, number or sympy expression
        The constants claimed at the start: αD² times the time from p₀ to 1/2 ~ escape_none/p₀, escape_std/√p₀ and
        escape_variance·ln(1/p₀).

    Returns
    -------
    Proof
        Raised instead: ProofError, when a limit is another.

    Examples
    --------
    >>> print(asymptotics_of_the_flow().derived["e = 1, end"])
    4
    """
    import sympy as sp

    p, q = sp.symbols("p q", positive=True)
    tails = [exact(tail_none), exact(tail_std), exact(tail_variance)]
    escapes = [exact(escape_none), exact(escape_std), exact(escape_variance)]
    proof = Derivation(
        "II.6-limits",
        f"with τ = αD²t: as t → ∞ 1 − p ~ {show(tails[0])}/τ (e = 0), {show(tails[1])}/τ² (e = 1), ln(1 − p) ~ "
        f"−{times(tails[2])}τ (e = 2); as p₀ → 0 the time τ to 1/2 is ~ {show(escapes[0])}/p₀, "
        f"{show(escapes[1])}/√p₀, {times(escapes[2])}ln(1/p₀)",
        _TWO_ARMS,
        "II.6-flow: τ = F(p) − F(p₀), F(1/2) = 0",
        "F(p) → ∞ as p → 1, so the limits of F at p → 1 are those of τ at t → ∞",
    )
    for e in (0, 1, 2):
        proof.identity(f"e = {e}: F(1 − q) = −F(q)", _closed_form(1 - q, e), -_closed_form(q, e))
    shapes = [
        ("q·F(1 − q)", q * _closed_form(1 - q, 0), tails[0]),
        ("q·F(1 − q)²", q * _closed_form(1 - q, 1) ** 2, tails[1]),
        ("−ln q/F(1 − q)", -sp.log(q) / _closed_form(1 - q, 2), tails[2]),
    ]
    for e, (name, shape, claimed) in enumerate(shapes):
        found = proof.derive(f"e = {e}, end", sp.limit(shape, q, 0, "+"))
        proof.identity(f"e = {e}, the end: {name} tends to the constant as q = 1 − p → 0", found, claimed)
    starts = [
        ("−p₀F(p₀)", -p * _closed_form(p, 0)),
        ("−√p₀F(p₀)", -sp.sqrt(p) * _closed_form(p, 1)),
        ("−F(p₀)/ln(1/p₀)", _closed_form(p, 2) / sp.log(p)),
    ]
    for e, ((name, shape), claimed) in enumerate(zip(starts, escapes, strict=True)):
        found = proof.derive(f"e = {e}, start", sp.limit(shape, p, 0, "+"))
        proof.identity(f"e = {e}, the start: {name} tends to the constant as p₀ → 0", found, claimed)
    return proof.done()


def escape_of_finite_groups(rare: Any = "1", exponent: Any = "1") -> Proof:
    """Prove that with G samples the escape takes 1/(√(G − 1)p₀): like REINFORCE's, and faster by √(G − 1).

    Ours, theory II.6 with D1.

    Parameters
    ----------
    rare, exponent : str, number or sympy expression
        The constants claimed: αD² times the time from p₀ to 1/2 ~ rare/(√(G − 1)p₀^exponent).

    Returns
    -------
    Proof
        Raised instead: ProofError, when the limit is another.

    Examples
    --------
    >>> print(escape_of_finite_groups().derived["faster by"])
    sqrt(G - 1)
    """
    import sympy as sp

    rare, exponent = exact(rare), exact(exponent)
    power = "" if exponent == 1 else f"^({show(exponent)})"
    p, G = sp.symbols("p₀ G", positive=True)
    proof = Derivation(
        "II.6-groups",
        f"with GRPO's expected weight a_G for groups of G ≥ 2, αD² times the time from p₀ to 1/2 is ~ "
        f"{show(rare)}/(√(G − 1)p₀{power}) as p₀ → 0: like REINFORCE's, and √(G − 1) times sooner",
        _TWO_ARMS,
        "D1: a_G(p) is a polynomial with a_G(p) > 0 on [0, 1), a_G(0) = √(G − 1)",
        "II.6-limits: REINFORCE takes ~ 1/p₀",
        "l'Hôpital's rule, for a quotient whose denominator tends to ∞",
    )
    weight = sp.Symbol("a_G", positive=True)
    V = p * (1 - p)
    proof.identity(
        "dp/dt = αa_G‖∇J‖² = αD²a_GV²: the time T(p₀) has αD²dT/dp₀ = −1/(a_GV²)",
        -1 / (weight * V**2),
        -1 / (weight * p**2 * (1 - p) ** 2),
    )
    quotient = sp.limit((-1 / (weight * V**2)) / sp.diff(p**-exponent, p), p, 0, "+")
    found = proof.derive("limit", quotient.subs(weight, sp.sqrt(G - 1)))
    proof.identity(
        "over the derivative of 1/p₀^exponent it tends to rare/a_G(0)", found, rare / sp.sqrt(G - 1)
    )
    proof.identity(
        "REINFORCE's 1/p₀ over it is √(G − 1)", proof.derive("faster by", 1 / found), sp.sqrt(G - 1) / rare
    )
    return proof.done()


def race_of_certified_steps(reinforce: Any = "39.0", grpo: Any = "14.2", ratio: Any = "2.75") -> Proof:
    """Prove the race from .01 to .99 at certified steps: 39.0 against 14.2 by the flow, 39 against 15 steps.

    Ours, theory II.6.

    Parameters
    ----------
    reinforce, grpo, ratio : str, number or sympy expression
        The flow's times and their ratio as claimed, each to its last digit.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a number is another.

    Examples
    --------
    >>> print(race_of_certified_steps().derived["steps of GRPO"])
    15
    """
    import sympy as sp

    reinforce, grpo, ratio = exact(reinforce), exact(grpo), exact(ratio)
    proof = Derivation(
        "II.6-race",
        f"from p = .01 to .99 at the certified steps with σ_max = 1/2 the flow takes {float(reinforce):g} steps of "
        f"REINFORCE and {float(grpo):g} of GRPO, {float(ratio):g} times fewer; discrete runs take 39 and 15",
        _TWO_ARMS,
        "T1: α = 4 ln 2/D² for GRPO (e = 1); T2: α = 8 ln 2/D² for REINFORCE (e = 0)",
        "II.6-flow: αD²t = F(p) − F(p₀)",
        INTERVALS,
    )
    start, end = sp.Rational(1, 100), sp.Rational(99, 100)
    log = sp.log(2)
    times = [
        (sp.expand_log(_closed_form(end, e) - _closed_form(start, e), force=True)) / pace
        for e, pace in ((0, 8 * log), (1, 4 * log))
    ]
    claim_rounds_to(proof, "REINFORCE's time is as claimed", times[0], reinforce, "1/20")
    claim_rounds_to(proof, "GRPO's time is as claimed", times[1], grpo, "1/20")
    claim_rounds_to(proof, "their ratio is as claimed", times[0] / times[1], ratio, "1/200")
    V, D, α, e = sp.symbols("V D α e", positive=True)
    proof.identity(
        "a step ασ^(−e)∇J, ‖∇J‖ = DV, moves the log-odds by αD²V^(1 − e/2)",
        D * α * V ** (-e / 2) * (D * V),
        α * D**2 * V ** (1 - e / 2),
    )
    for name, e, steps in (("REINFORCE", 0, 39), ("GRPO", 1, 15)):
        before, after = _log_odds_after(e, steps - 1), _log_odds_after(e, steps)
        target = ends(intervals().log(99))
        proof.at_least(f"{name}: the log-odds are below ln 99 after {steps - 1} steps", target[0], before[1])
        proof.at_least(f"{name}: and above it after {steps}; they grow at every step", after[0], target[1])
        proof.derive(f"steps of {name}", steps)
    return proof.done()


def _log_odds_after(e: int, num_steps: int) -> tuple[Any, Any]:
    """Enclose the log-odds after steps z ← z + αD²V^(1 − e/2) from p = .01, at the certified α."""
    iv = intervals()
    z, pace = -iv.log(99), iv.log(2) * (8 if e == 0 else 4)
    for _ in range(num_steps):
        V = 1 / (2 + iv.exp(z) + iv.exp(-z))
        z = z + pace * (V if e == 0 else iv.sqrt(V))
    return ends(z)


def fastest_certified_weighting(step: Any = "4*log(2)", margin: Any = "1 - log(2)/2") -> Proof:
    """Prove that no certified weighting of orthogonal two-arm prompts is ever ahead of GRPO on any prompt.

    Ours, theory II.6 with T1.

    Parameters
    ----------
    step, margin : str, number or sympy expression
        The constants claimed: of the certified step αD²aσ ≤ step, and the least slope of GRPO's map of log-odds.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the map's least slope is another.

    Examples
    --------
    >>> print(fastest_certified_weighting().derived["least slope"])
    1 - log(2)/2
    """
    import sympy as sp

    c, m = exact(step), exact(margin)
    proof = Derivation(
        "II.6-fastest",
        f"if αD²a_xσ_x ≤ {show(c)} at every step, no weighting a ≥ 0, even one that changes with time, has a "
        "larger p on "
        "any prompt at any time than GRPO at αD²aσ = that, from the same start",
        _TWO_ARMS,
        "orthogonal prompts of one D: each moves by its own gradient alone",
        "the mean value theorem: a map of slope > 0 keeps order; for the flow, comparison of scalar equations: dz/dt = "
        "(αD²aσ)σ ≤ step·σ(z)",
        "T1: the certified step, αD²aσ ≤ 4 ln 2",
    )
    proof.identity("the step is T1's", c, 4 * sp.log(2))
    z = sp.Symbol("z", real=True)
    α, D, a, σ = sp.symbols("α D a σ", positive=True)
    proof.identity(
        "a step moves the log-odds by D·αa·Dσ² = (αD²aσ)σ", D * α * a * (D * σ**2), (α * D**2 * a * σ) * σ
    )
    p = 1 / (1 + sp.exp(-z))
    V = p * (1 - p)
    proof.identity("dV/dz = V(1 − 2p), so dσ/dz = σ(1 − 2p)/2", sp.diff(V, z), V * (1 - 2 * p))
    v = sp.Symbol("V", real=True)
    q = sp.Symbol("p", real=True)
    quarter = sp.Rational(1, 4)
    proof.identity(
        "(σ(1 − 2p))² = V(1 − 4V)", q * (1 - q) * (1 - 2 * q) ** 2, (v * (1 - 4 * v)).subs(v, q * (1 - q))
    )
    proof.nonnegative("which is at most 1/16", quarter**2 - v * (1 - 4 * v), v, 0, quarter)
    proof.identity("and is 1/16 at V = 1/8", (v * (1 - 4 * v)).subs(v, sp.Rational(1, 8)), quarter**2)
    least = proof.derive("least slope", sp.expand(1 - c * quarter / 2))
    proof.identity("so z + step·σ(z) has the slope 1 + step·σ(1 − 2p)/2 ≥ 1 − step/8 = margin", least, m)
    proof.at_least("margin > 0: z ≤ z' gives z + step·σ(z) ≤ z' + step·σ(z')", m, sp.Rational(1, 10))
    lead, share = sp.symbols("step share", nonnegative=True)
    proof.identity(
        "a certified weighting moves z by a share ≤ 1 of step·σ(z): never past GRPO's image of z, so by "
        "induction never ahead",
        lead - share * lead,
        (1 - share) * lead,
    )
    return proof.done()
