"""Related results that a bandit can check, each stated with its source (theory II.10)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from curvature.bandit import LogLinearBandit
from curvature.bounds import expected_run, sharp
from curvature.geometry import feature_diameter
from curvature.ledger.budget import random_instances
from curvature.ledger.evidence import Evidence, worst
from curvature.ledger.identities import moderate_instances
from curvature.ledger.registry import CLAIMS
from curvature.ledger.theorem_runs import compare
from curvature.ledger.verdicts import Outcome, judge_identity, judge_upper
from curvature.moments import hessian_extremes, moments

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from curvature.ledger.budget import Budget

    Array = NDArray[np.float64]
    # Two sides of an inequality for prompts with tabular features: logits and rewards (m, K) → (m,), (m,).
    Sides = Callable[[Array, Array], tuple[Array, Array]]

SECTION = "Related results on the same bandits"
TESTS = "tests/theory/test_related.py"

RESPONSES = (2, 3, 4, 6)
# Steps of a run, and the gain that is more than rounding.
RUN, VISIBLE = 40, 1e-9
FIDELITY = {(8, 0.5): 0.9278, (8, 0.05): 0.5390}


def tabular(logits: Array, rewards: Array) -> tuple[LogLinearBandit, Array]:
    """Softmax over K responses, X = I, one prompt a row, with its θ = 0: the logits are the base policy's."""
    m, K = logits.shape
    features = np.broadcast_to(np.eye(K), (m, K, K))
    return LogLinearBandit(features, rewards, logits), np.zeros(K)


def smoothness_sides(logits: Array, rewards: Array) -> tuple[Array, Array]:
    """‖∇²J‖ and ‖∇J‖ of tabular prompts."""
    bandit, theta = tabular(logits, rewards)
    curvature = np.abs(hessian_extremes(bandit, theta)).max(axis=-1)
    return curvature, np.linalg.norm(moments(bandit, theta).gradient, axis=-1)


def std_sides(logits: Array, rewards: Array) -> tuple[Array, Array]:
    """‖∇V‖ and 6·‖J_f‖·std^(2/3) for one output token: the Jacobian of the K logits is X = I, of norm 1."""
    bandit, theta = tabular(logits, rewards)
    at = moments(bandit, theta)
    return np.linalg.norm(at.gradient, axis=-1), 6 * at.reward_std ** (2 / 3)


def hardest(
    sides: Sides, factor: float, rewards: tuple[float, float] | None, budget: Budget, name: str
) -> Evidence:
    """Search logits and rewards (in a range, or one correct response) for the largest measured/(factor·bound)."""
    # Random draws, then rounds of perturbing the best of them at shrinking scales.
    rng = budget.generator(name)
    best, instances = (-math.inf, math.nan, math.nan, {}), 0
    for K in RESPONSES:
        m = max(200, budget.instances // 10)
        logits = rng.standard_normal((m, K)) * 10 ** rng.uniform(-1, 1, (m, 1))
        values = _rewards(rng, m, K, rewards)
        for scale in np.geomspace(1.0, 1e-4, 25):
            measured, bound = sides(logits, values)
            # A gradient that is rounding says nothing.
            ratio = np.where(bound > 1e-6, measured / np.maximum(factor * bound, 1e-300), 0.0)
            instances += len(ratio)
            order = np.argsort(-ratio)[:20]
            top = order[0]
            if ratio[top] > best[0]:
                found = {"base_logits": logits[top].tolist(), "rewards": values[top].tolist()}
                best = (ratio[top], measured[top], factor * bound[top], found)
            parents = np.repeat(order, 10)
            logits = logits[parents] + scale * rng.standard_normal((len(parents), K))
            values = values[parents]
            if rewards is not None:
                values = np.clip(values + scale * rng.standard_normal(values.shape), *rewards)
            logits[: len(order)] -= logits[: len(order)].max(axis=1, keepdims=True)
    ratio, measured, bound, witness = best
    return Evidence(float(measured), float(bound), float(ratio), instances, witness=witness)


def _rewards(rng: np.random.Generator, m: int, K: int, span: tuple[float, float] | None) -> Array:
    if span is None:
        return np.eye(K)[rng.integers(K, size=m)]
    ends = rng.integers(2, size=(m, K)) * (span[1] - span[0]) + span[0]
    return np.where(rng.random((m, 1)) < 0.5, ends, rng.uniform(*span, (m, K)))


@CLAIMS.claim(
    id="mei-smooth",
    statement="""For the softmax policy of one state (X = I) and rewards in [0, 1], at every θ: ‖∇²J‖ ≤ 3‖∇J‖
    (non-uniform smoothness).""",
    source="Mei et al., arXiv:2105.06072 and arXiv:2110.15572, as quoted in theory II.10",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_non_uniform_smoothness_holds_with_3",
)
def mei_smooth(budget: Budget) -> Outcome:
    """Search logits and rewards for K = 2, 3, 4, 6."""
    evidence = hardest(smoothness_sides, 3.0, (0.0, 1.0), budget, "mei-smooth")
    return judge_upper(evidence, f"the largest ‖∇²J‖/‖∇J‖ found is {3 * evidence.ratio:.4f}.")


@CLAIMS.claim(
    id="smooth-rate",
    statement=(
        "T ascent steps of 1/L on an L-smooth J: min_(t<T) ‖∇J(θ_t)‖² ≤ 4LΔ/(3T − 1), Δ = J(θ_T) − J(θ_0): for "
        "T ≥ 2 less than the 2LΔ/T of Theorem 3.1 and of C1's rate; checked for rewards in {0, 1}, L = D²/(6√3)."
    ),
    source=(
        "Abbaszadehpeivasti, de Klerk and Zamani, arXiv:2104.05468, as PEPit quotes it: 4LΔ/(3T) with θ_T among the "
        "gradients; derived here without"
    ),
    section=SECTION,
    kind="upper bound",
    test="tests/theory/test_pepit.py::test_rate_of_theorem_3_1_is_tight_for_one_step_and_half_as_large_again_for_many",
    proofs=["smooth-rate", "C1-maximum"],
)
def smooth_rate(budget: Budget) -> Outcome:
    """Climb each of many prompts alone for 1 to 40 steps: two responses, and random ones."""
    parts = [smooth_run(LogLinearBandit.two_arm([p]), np.zeros(1)) for p in np.linspace(0.01, 0.99, 99)]
    for bandit, theta in random_instances("binary", budget):
        parts += [smooth_run(bandit.select([x]), theta) for x in range(min(bandit.num_prompts, 4))]
    return judge_upper(
        worst(parts),
        "PEPit finds the same worst case for T ≤ 4, and a J' that is piecewise linear has it for every T.",
    )


def smooth_run(bandit: LogLinearBandit, theta: Array, num_steps: int = RUN) -> Evidence:
    """Compare min_(t<T) ‖∇J‖² of one prompt with 4LΔ/(3T − 1), T from 1 on, where Δ is more than rounding."""
    D = float(feature_diameter(bandit)[0])
    L = float(sharp.hessian_norm_global(D))
    if L == 0:
        return compare([], [])
    run = expected_run(bandit, "reinforce", num_steps, step=1 / L, theta0=theta)
    J, T = run.expected_reward[:, 0], np.arange(1, num_steps + 1)
    smallest = np.minimum.accumulate(run.squared_gradient[:-1, 0])
    seen = J[1:] - J[0] > VISIBLE
    bound = 4 * L * (J[1:] - J[0]) / (3 * T - 1)
    return compare(smallest[seen] / L, bound[seen] / L, unit="L")


@CLAIMS.claim(
    id="mei-smooth-one-correct",
    statement="With one correct response (A1) and X = I, √2 suffices in place of 3: ‖∇²J‖ ≤ √2‖∇J‖.",
    source="Ours, theory II.10",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_root_2_suffices_for_one_correct_response",
    proofs=["Mei-A1"],
)
def mei_smooth_one_correct(budget: Budget) -> Outcome:
    """Search logits for K = 2, 3, 4, 6."""
    evidence = hardest(smoothness_sides, math.sqrt(2), None, budget, "mei-smooth-one-correct")
    return judge_upper(evidence, "two responses approach it as p → 0 and as p → 1.")


@CLAIMS.claim(
    id="razin-std",
    statement="""For rewards in [−1, 1], a softmax policy and outputs of L tokens: ‖∇V(x; θ)‖ ≤ 6Lγ(x; θ)·std^(2/3), γ
    the largest spectral norm of the Jacobian of the logits; checked for L = 1 and γ = 1 (X = I).""",
    source="Razin et al., Theorem 1, arXiv:2310.20703",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_gradient_is_bounded_by_reward_std_to_the_two_thirds",
)
def razin_std(budget: Budget) -> Outcome:
    """Search logits and rewards for K = 2, 3, 4, 6."""
    evidence = hardest(std_sides, 1.0, (-1.0, 1.0), budget, "razin-std")
    told = "L1 has γσ/√2 there: the first power of the std, which is below std^(2/3) for rewards in [−1, 1]"
    return judge_upper(evidence, f"{told}.")


@CLAIMS.claim(
    id="arcsine",
    statement="For rewards in {0, 1} GRPO's population gradient is that of a transform: ∇J_x/σ_x = ∇(2 arcsin √J_x).",
    source="Davis and Recht, arXiv:2510.13651; Thrampoulidis et al., arXiv:2510.23049",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_grpo_ascends_the_arcsine_of_the_root",
    proofs=["arcsine"],
)
def arcsine(budget: Budget) -> Outcome:
    """Compare the weights of the method with central differences of the transform in a random direction."""
    rng = budget.generator("arcsine")
    errors, instances = [], 0
    for bandit, theta in moderate_instances("binary", budget):
        error = arcsine_error(bandit, theta, rng.standard_normal(bandit.dimension))
        errors.append(float(error.max()))
        instances += error.size
    return judge_identity(
        max(errors), 1e-6, instances, "against central differences; for groups of G see fidelity and D1."
    )


def arcsine_error(bandit: LogLinearBandit, theta: Array, direction: Array) -> Array:
    """Relative error of a·⟨∇J, u⟩, a the weights of GRPO, against a difference quotient of 2 arcsin √J."""
    from curvature.ascent import prompt_weights

    u = direction / np.linalg.norm(direction)
    gradient = moments(bandit, theta).gradient * prompt_weights(bandit, theta, "grpo")[:, None]
    scale = np.abs(np.einsum("xkd,d->xk", bandit.features, u)).max(axis=1)

    def transform(shift: Array) -> Array:
        success = np.array([moments(bandit, theta + h * u).expected_reward[x] for x, h in enumerate(shift)])
        return 2 * np.arcsin(np.sqrt(np.clip(success, 0, 1)))

    h = 1e-4 / scale
    # Richardson's two quotients leave an error of h⁴.
    quotients = [(transform(k * h) - transform(-k * h)) / (2 * k * h) for k in (1, 2)]
    slope = (4 * quotients[0] - quotients[1]) / 3
    return np.abs(gradient @ u - slope) / scale


@CLAIMS.claim(
    id="fidelity",
    statement="""The share of the population std that a group of G keeps on average, E[σ̂_G]/σ = σ·a_G(p), is .9278 for
    (G, p) = (8, .5) and .5390 for (8, .05).""",
    source="Bay and Yearick, arXiv:2607.00152: values as quoted in theory II.10, definition inferred from them",
    section=SECTION,
    kind="identity",
    test=f"{TESTS}::test_fidelity_of_eight_samples",
    proofs=["fidelity", "D1"],
)
def fidelity_values(budget: Budget) -> Outcome:
    """Sum over the count of the other correct responses; errors in units of half of the last printed digit."""
    from curvature.groups import fidelity

    found = {at: float(fidelity(p, G)) for at in FIDELITY for G, p in [at]}
    errors = [abs(value - FIDELITY[at]) / 5e-5 for at, value in found.items()]
    told = ", ".join(f"{value:.6f} at {at}" for at, value in found.items())
    return judge_identity(max(errors), 1.0, len(errors), f"{told}.")


@CLAIMS.claim(
    id="razin-L1",
    statement="For rewards in [−1, 1], L1 implies the bound of Razin et al. with L = 1: (D/2)σ ≤ 6γσ^(2/3), γ = ‖X‖.",
    source="Ours, theory L1, against Theorem 1, arXiv:2310.20703",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_bound_in_the_diameter_implies_the_one_in_the_jacobian",
    proofs=["Razin-L1", "L1"],
)
def l1_and_razin(budget: Budget) -> Outcome:
    """Compare both bounds on random instances with their rewards scaled into [−1, 1]."""
    best, instances = Evidence(0.0, 1.0, 0.0, 0), 0
    for bandit, theta in random_instances("real", budget):
        ours, theirs = gradient_bounds(bandit, theta)
        ratio = np.where(theirs > 0, ours / np.where(theirs > 0, theirs, 1.0), 0.0)
        top = int(np.argmax(ratio))
        instances += ratio.size
        if ratio[top] > best.ratio:
            best = Evidence(float(ours[top]), float(theirs[top]), float(ratio[top]), 0)
    return judge_upper(best.counting(instances), "(D/2)/γ ≤ 1/√2, and σ^(1/3) ≤ 1: at most 1/(6√2) = 0.118.")


def gradient_bounds(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    """(D/2)σ and 6‖X‖σ^(2/3), σ of the rewards divided by their largest size."""
    from curvature.geometry import spectral_norm

    std = moments(bandit, theta).reward_std / np.abs(bandit.rewards).max(axis=1)
    return feature_diameter(bandit) / 2 * std, 6 * spectral_norm(bandit) * std ** (2 / 3)
