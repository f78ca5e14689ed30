"""Oracles of finite groups, of the flow of two arms, and of interference."""

from __future__ import annotations

import mpmath as mp
from oracle_kit import Oracle, grid

from curvature import LogLinearBandit, flow, groups, interference

SUCCESS = [1e-300, 1e-12, 0.05, 0.5, 0.9, 1 - 2.0**-53]
SIZES = [2, 8, 64]
HUGE = 10**6


def mean_over_counts(p, n, f):
    return mp.fsum(mp.binomial(n, k) * p**k * (1 - p) ** (n - k) * f(k) for k in range(n + 1))


def share_std(k, G):
    return mp.sqrt(mp.mpf(k) / G * (1 - mp.mpf(k) / G))


def weight(p, G):
    """Σ Bin(k; G, p)√(k/G(1 − k/G))/(p(1 − p)), with p(1 − p) divided out of every term.

    Counts farther than 14 standard deviations and 80 from the mean have less than 1e-36 of the mass.
    """
    far = int(14 * mp.sqrt(G * p * (1 - p))) + 80
    first, last = max(int(G * p) - far, 1), min(int(G * p) + far, G - 1)
    term = mp.binomial(G, first) * p ** (first - 1) * (1 - p) ** (G - first - 1)
    total = mp.mpf(0)
    for k in range(first, last + 1):
        total += term * share_std(k, G)
        term *= mp.mpf(G - k) / (k + 1) * p / (1 - p)
    return total


def grpo_moments(p, G, gap, right, wrong):
    """E⟨g,ĝ⟩ and E‖ĝ‖² at e = 1: q̂^(1/2) and q̂."""
    first = weight(p, G) * (p * (1 - p) * gap) ** 2
    chance = [mp.binomial(G, k) * p**k * (1 - p) ** (G - k) for k in range(G + 1)]
    q = [mp.mpf(k * (G - k)) / G**2 for k in range(G + 1)]
    return [first, mp.fsum(chance[k] * q[k] * (gap**2 + right / k + wrong / (G - k)) for k in range(1, G))]


def certified(p, G, moments_of):
    found = [moments_of(x, G) for x in p]
    cost = mp.fsum(mp.sqrt(x * (1 - x)) * m[1] for x, m in zip(p, found, strict=True)) / len(p)
    return (mp.fsum(m[0] for m in found) / len(p)) ** 2 / cost


def by_grpo(p, G):
    return grpo_moments(p, G, 1, 0, 0)


def by_mean(p, G):
    """e = 0, the group's own mean: q̂ and q̂²."""
    V = p * (1 - p)
    square = mean_over_counts(p, G, lambda k: (mp.mpf(k * (G - k)) / G**2) ** 2)
    return [(1 - mp.mpf(1) / G) * V**2, square]


def objective(p, G):
    """h(p) = ∫₀^p a_G, term by term: ∫₀^p Bin(j; G − 1, t)dt = P(k > j)/G."""
    terms = [mp.binomial(G, k) * share_std(k, G) for k in range(1, G)]
    # ∫₀^p t^(k−1)(1 − t)^(G−k−1) dt, an incomplete beta function.
    return mp.fsum(c * mp.betainc(k, G - k, 0, p) for k, c in zip(range(1, G), terms, strict=True))


def wilson(k, G):
    z = mp.sqrt(2) * mp.erfinv(mp.mpf(0.95))
    centre, half = k + z**2 / 2, z * mp.sqrt(mp.mpf(k) * (G - k) / G + z**2 / 4)
    return [max((centre - half) / (G + z**2), mp.mpf(0)), min((centre + half) / (G + z**2), mp.mpf(1))]


def antiderivative(p, e):
    q = 1 - p
    return {
        0: lambda: (2 * p - 1) / (p * q) + 2 * mp.log(p / q),
        1: lambda: 2 * (2 * p - 1) / mp.sqrt(p * q),
        2: lambda: mp.log(p / q),
    }[e]()


def success_after(p, t, e):
    z = mp.log(p / (1 - p))
    moved = z + t if e == 2 else 2 * mp.asinh(mp.sinh(z / 2) + t / 4)
    return 1 / (1 + mp.exp(-moved))


def escape(p, e):
    return -mp.log(p) if e == 2 else p ** -(1 - mp.mpf(e) / 2) / (1 - mp.mpf(e) / 2)


def failure(t, e):
    return mp.exp(-t) if e == 2 else ((1 - mp.mpf(e) / 2) * t) ** (-1 / (1 - mp.mpf(e) / 2))


def certified_time(p, target, e):
    return (antiderivative(target, e) - antiderivative(p, e)) / (4 * mp.log(2) * (1 if e else 2))


def curve(p, t):
    x = success_after(p, 4 * mp.log(2) * t, 1)
    σ = mp.sqrt(x * (1 - x))
    return [x, σ, σ, σ, 4 * mp.log(2)]


def speedup(p, target):
    slow, fast = certified_time(p, target, 0), certified_time(p, target, 1)
    mean = (mp.log(target / (1 - target)) - mp.log(p / (1 - p))) / (4 * mp.log(2) * fast)
    return [slow, fast, slow / fast, mp.mpf(1), mean]


def cosine_of(a, b):
    inner = mp.fsum(x * y for x, y in zip(a, b, strict=True))
    return inner / mp.sqrt(mp.fsum(x * x for x in a) * mp.fsum(y * y for y in b))


def pair(overlap):
    return LogLinearBandit(
        [[[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [overlap, (1 - overlap**2) ** 0.5]]], [[0, 1]] * 2
    )


GRADIENTS = [
    [[3.0, 4.0], [1.0, -1e-12]],
    [[1e-150, 0.0], [1e-150, 2e-150]],
    [[1e150, 1e150], [3e149, -1e150]],
]
# Groups of a million, whose weights the calculators promise to 1e-9.
MILLION = grid([1e-300, 1e-12, 1e-6, 0.3], [HUGE])
PROMISED = 2**22
GROUPS_AND_FLOW = {
    "curvature.groups.effective_weight of a million": Oracle(
        groups.effective_weight, weight, MILLION, PROMISED
    ),
    "curvature.groups.plug_in_std of a million": Oracle(
        groups.plug_in_std, lambda p, G: p * (1 - p) * weight(p, G), MILLION, PROMISED
    ),
    "curvature.groups.fidelity of a million": Oracle(
        groups.fidelity, lambda p, G: mp.sqrt(p * (1 - p)) * weight(p, G), MILLION, PROMISED
    ),
    "curvature.groups.effective_weight": Oracle(groups.effective_weight, weight, grid(SUCCESS, SIZES), 16),
    "curvature.groups.plug_in_std": Oracle(
        groups.plug_in_std, lambda p, G: p * (1 - p) * weight(p, G), grid(SUCCESS, SIZES), 16
    ),
    "curvature.groups.fidelity": Oracle(
        groups.fidelity, lambda p, G: mp.sqrt(p * (1 - p)) * weight(p, G), grid(SUCCESS, SIZES), 16
    ),
    "curvature.groups.silent_probability": Oracle(
        groups.silent_probability,
        lambda p, G: [p**G, (1 - p) ** G, p**G + (1 - p) ** G],
        grid([*SUCCESS, 1e-6, 1 - 1e-6], [*SIZES, HUGE]),
        64,
        ("all_right", "all_wrong", "total"),
    ),
    "curvature.groups.unbiased_variance": Oracle(
        groups.unbiased_variance,
        lambda k, G: mp.mpf(k * (G - k)) / (G * (G - 1)),
        [(0, 2), (1, 2), (3, 8), (1, HUGE), (500_001, HUGE), (HUGE, HUGE)],
        4,
    ),
    "curvature.groups.gradient_moments": Oracle(
        lambda p, G, gap, right, wrong: groups.gradient_moments(
            p, G, gap=gap, spread_right=right, spread_wrong=wrong
        ),
        grpo_moments,
        grid([1e-12, 0.05, 0.5, 0.9], SIZES, [1e-100, 1.0], [0.0, 0.3], [0.0, 0.7]),
        64,
        ("inner", "square"),
    ),
    "curvature.groups.certified_gain": Oracle(
        groups.certified_gain,
        lambda p, G: certified(p, G, by_grpo),
        grid([[1e-115], [1e-12, 0.05], [0.5, 0.9], [0.3]], SIZES),
        32,
    ),
    "curvature.groups.gain_ratio": Oracle(
        groups.gain_ratio,
        lambda p, G: certified(p, G, by_grpo) / certified(p, G, by_mean),
        grid([[1e-115], [1e-12, 0.05], [0.5, 0.9], [0.3]], SIZES),
        32,
    ),
    "curvature.groups.implicit_objective": Oracle(
        groups.implicit_objective, objective, grid(SUCCESS, SIZES), 1024
    ),
    "curvature.groups.total_variance": Oracle(
        lambda G, a, g, σ, s: groups.total_variance(
            G, advantage_norm=a, gradient_norm=g, reward_std=σ, feature_spread=s
        ),
        lambda G, a, g, σ, s: (a - mp.mpf(G - 2) / (G - 1) * g**2 + σ**2 * s / (G - 1)) / G,
        grid([2, 8, HUGE], [0.3, 1e150], [1e-150, 0.25], [1e-150, 0.5], [1e-12, 1.0]),
        8,
    ),
    "curvature.groups.success_interval": Oracle(
        groups.success_interval, wilson, [(0, 8), (3, 8), (1, 2), (8, 8), (1, HUGE), (500_000, HUGE)], 64
    ),
    "curvature.flow.time_to_success": Oracle(
        lambda p, q, e: flow.time_to_success(p, q, exponent=e),
        lambda p, q, e: antiderivative(q, e) - antiderivative(p, e) if q > p else mp.mpf(0),
        grid([1e-300, 1e-12, 0.3, 0.5], [0.5, 0.99, 1 - 2.0**-53], [0, 1, 2]),
        512,
        digits=360,
    ),
    "curvature.flow.success_at_time": Oracle(
        lambda p, t, e: flow.success_at_time(p, t, exponent=e),
        success_after,
        grid([1e-12, 0.3, 0.5], [0.0, 1e-12, 3.0, 30.0], [1, 2]),
        64,
    ),
    "curvature.flow.escape_time_asymptote": Oracle(
        lambda p, e: flow.escape_time_asymptote(p, exponent=e),
        escape,
        grid([1e-300, 1e-12, 0.3], [0, 1, 2]),
        8,
    ),
    "curvature.flow.failure_asymptote": Oracle(
        lambda t, e: flow.failure_asymptote(t, exponent=e), failure, grid([1e-12, 3.0, 700.0], [0, 1, 2]), 8
    ),
    "curvature.flow.time_to_target": Oracle(
        lambda p, q, e: flow.time_to_target([p], q, method=["reinforce", "grpo"][e]),
        certified_time,
        grid([1e-12, 0.3], [0.5, 0.99], [0, 1]),
        64,
    ),
    "curvature.flow.learning_curve": Oracle(
        lambda p, t: [
            getattr(flow.learning_curve([p], [t]), name)
            for name in ("mean_success", "mean_std", "max_std", "batch_std", "step_size")
        ],
        curve,
        grid([1e-12, 0.3], [0.0, 1.0, 30.0]),
        64,
    ),
    # 2e-9: REINFORCE's own clock is found from a success rate, which amplifies rounding by 1/p₀ along the escape.
    "curvature.flow.predicted_speedup": Oracle(
        lambda p, q: flow.predicted_speedup([p], q),
        speedup,
        grid([1e-12, 0.3], [0.5, 0.99]),
        2**23,
        ("reinforce_steps", "method_steps", "speedup", "across_prompts", "mean_std"),
    ),
    "curvature.interference.gram": Oracle(
        interference.gram,
        lambda g: [[mp.fsum(x * y for x, y in zip(a, b, strict=True)) for b in g] for a in g],
        grid(GRADIENTS),
        4,
    ),
    "curvature.interference.gradient_diversity": Oracle(
        interference.gradient_diversity,
        lambda g: (
            mp.fsum(x * x for a in g for x in a)
            / mp.fsum(mp.fsum(column) ** 2 for column in zip(*g, strict=True))
        ),
        grid(GRADIENTS),
        8,
    ),
    "curvature.interference.cosine_distribution": Oracle(
        interference.cosine_distribution,
        lambda g: [cosine_of(*g), cosine_of(*g)],
        grid(GRADIENTS),
        8,
        ("cosines", "mean"),
    ),
    "curvature.interference.total_overlap": Oracle(
        interference.total_overlap,
        lambda c: max(c[0][1], c[1][0]),
        grid([[[1.0, c], [c, 1.0]] for c in (0.0, 1e-12, 1 - 1e-12)]),
        1,
    ),
    "curvature.interference.interference_std": Oracle(
        interference.interference_std,
        lambda σ, c: [mp.fsum(c[x][y] * σ[y] for y in (0, 1)) for x in (0, 1)],
        grid([[0.5, 1e-300], [1e-12, 0.3]], [[[1.0, c], [c, 1.0]] for c in (0.0, 1e-12, 1 - 1e-12)]),
        2,
    ),
    "curvature.interference.weight_disparity": Oracle(
        interference.weight_disparity,
        lambda a: (a[0] + a[1]) / (2 * mp.sqrt(a[0] * a[1])),
        grid([[1.0, 4.0], [1e-150, 1e150], [1e300, 3e300], [1e-300, 3e-300]]),
        4,
    ),
    "curvature.interference.overlap_matrix": Oracle(
        lambda c: interference.overlap_matrix(pair(c)),
        lambda c: [1, c, c, 1],
        grid([0.0, 1e-6, 0.3, 1 - 1e-12]),
        16,
    ),
}
