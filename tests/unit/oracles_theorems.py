"""Oracles of the theorems: the paper's four, their repaired forms, ours, and the comparisons between them."""

from __future__ import annotations

from functools import cache

import mpmath as mp
from oracle_kit import Oracle, grid
from oracles_lemmas import profile, psi

from curvature import bounds
from curvature.bounds import paper, sharp

SUCCESS = [0.0, 1e-300, 0.3, 1 - 2.0**-53, 1.0]
NORMS = [1e-150, 0.7, 1e150]
STD_PATHS = [[0.5], [0.5, 1e-300], [1e-12, 0.3, 5e-324 * 2**60], [0.1] * 7]
CONSTANTS = [0.0, 1e-300, 1.0, 3.0, 1e150]
RATE = ("step", "gain_factor", "gradient_sum", "gradient_min", "std_factor")
REPAIRED = ("weighted_sum", "gradient_sum", "gradient_min", "squared_mean")


def over(a, b):
    return a / b if b else mp.inf


def reinforce(n, p, X, T, factor=1):
    L = factor * X**2
    return [1 / L, 1 / (2 * n * L), 2 * n * (1 - p) * L, 2 * n * (1 - p) * L / T, mp.mpf(1)]


def grpo(n, p, X, C, factor=1):
    L, share = factor * X**2, 8 * mp.fsum(C) / (3 * len(C))
    total = 2 * n * (1 - p) * L * share
    return [1 / (2 * L), [3 / (16 * n * L * c) for c in C], total, total / len(C), share]


def factor(M, R1, R2):
    return max(R1, 5 * M / 8) * R2


def repaired(n, p, X, C, factor=1):
    B = 16 * n * factor * X**2 * (1 - p) / 3
    inverse = mp.fsum(over(1, c) for c in C)
    return [B, B * max(C), B / inverse, B * mp.fsum(C) / len(C) ** 2]


def k0():
    return 2 * mp.log(2) - 1


def t1(g, σ, D):
    return [4 * mp.log(2) / D**2, 4 * k0() * g**2 / (σ * D**2) if σ else mp.mpf(0)]


def t2(g, σ, D):
    step, gain = t1(g, σ, D)
    return [over(step, σ), gain]


def t3(T, gap, D, mean, top):
    scale = D**2 * gap / (4 * k0() * T)
    return [scale * top, scale * mean, mean / top if top else mp.mpf(1)]


def c1(T, gap, D, spread):
    L = D**2 * spread / (6 * mp.sqrt(3))
    return [1 / L, 1 / (2 * L), 2 * L * gap / T]


def t4(σ, top):
    peaks = mp.fsum(max(row) for row in σ) / len(σ)
    mean = mp.fsum(mp.fsum(row) for row in σ) / (len(σ) * len(σ[0]))
    return [peaks / top, mean / peaks, mean / top]


def t5(g, σ, p):
    def total(f):
        return mp.fsum(f(gx**2, sx, profile(px)) for gx, sx, px in zip(g, σ, p, strict=True) if gx)

    square, over_std = total(lambda s, σ, _: s), total(lambda s, σ, _: s / σ)
    by_std = over_std * total(lambda s, σ, _: s * σ) / square**2
    ratio = total(lambda s, _, h: s * h) / total(lambda s, σ, h: s * h / σ**2)
    return [by_std, (over_std / square) ** 2 * ratio]


def b1(slope, σ, u, α):
    return α * slope - mp.fsum(s * psi(α * w / 2) for s, w in zip(σ, u, strict=True) if s)


def b1_step(slope, σ, u):
    """The root by bisection of the logarithm of the step, and the value there."""
    pairs = [(s, w / 2) for s, w in zip(σ, u, strict=True) if s and w]
    high = min(mp.log1p(slope / (s * w)) / w for s, w in pairs)
    low = high * mp.mpf(10) ** -20 / len(pairs)
    while low < high * (1 - mp.mpf(10) ** -50):
        middle = mp.sqrt(low * high)
        short = mp.fsum(s * w * mp.expm1(middle * w) for s, w in pairs) < slope
        low, high = (middle, high) if short else (low, middle)
    return [high, b1(slope, σ, u, high)]


def b2(g, σ, c, D, a, α):
    n = range(len(g))
    δ = max(mp.fsum(c[x][y] for y in n if y != x) for x in n)
    pairs = [(x, y) for x in n for y in n if x != y and c[x][y] and g[x] and g[y]]
    χ = max([mp.mpf(1), *((a[x] + a[y]) / (2 * mp.sqrt(a[x] * a[y])) for x, y in pairs)])
    s = D * α / 2 * max(mp.fsum(c[x][y] * a[y] * g[y] for y in n) for x in n)
    disturbed = [mp.fsum(c[x][y] * σ[y] for y in n) for x in n]
    first = α * (1 - δ * χ) * mp.fsum(a[x] * g[x] ** 2 for x in n)
    square = mp.fsum(a[x] ** 2 * g[x] ** 2 * disturbed[x] for x in n)
    return [first - D**2 / 4 * α**2 * psi(s) / s**2 * (1 + δ) * square, 1 - δ * χ, s]


def two_arms(a, power):
    """Minimise the gain of two arms over log-odds by golden section in mpmath."""

    def gain(z):
        σ = 1 / (2 * mp.cosh(z / 2))
        return (1 / (1 + mp.exp(-z - a * σ**power)) - 1 / (1 + mp.exp(-z))) / σ ** (power + 2)

    if a == 0:
        return mp.mpf(0)
    with mp.extradps(max(0, int(-mp.log10(a))) + 5):
        low, high = mp.mpf(0), mp.mpf(3)
        # 4e-10 of the minimiser, and so 1e-19 of the minimum.
        for _ in range(45):
            left, right = low + (high - low) * mp.mpf("0.382"), low + (high - low) * mp.mpf("0.618")
            low, high = (left, high) if gain(left) > gain(right) else (low, right)
        return gain((low + high) / 2)


def one_step(a, method):
    power, share = {"grpo": (1, 16), "reinforce": (2, 32)}[method]
    return [two_arms(a, power), a - a**2 / share]


def certificate(a, method, rewards):
    if method == "reinforce":
        return a - a**2 / (12 * mp.sqrt(3))
    return a - a**2 / 8 if a <= 4 and rewards == "binary" else a - 4 * psi(a / 4)


@cache
def best_step(method, basis):
    if basis == "certificate":
        step = {"grpo": mp.mpf(4), "reinforce": 6 * mp.sqrt(3)}[method]
        return [step, step / 2]
    power, share = {"grpo": (1, 16), "reinforce": (2, 32)}[method]
    low, high = mp.mpf(share) / 2, mp.mpf(share)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_arms(middle, power) < middle - middle**2 / share else (low, middle)
    return [low, low - low**2 / share]


def threshold(constants):
    smooth = 1 / (6 * mp.sqrt(3))
    grpo = {"paper": mp.mpf(16) / 3, "paper_best_step": mp.mpf(5), "sharp_binary": mp.mpf(1) / 2}.get(
        constants, 1 / (4 * k0())
    )
    reinforce = {"sharp": 1 / (8 * k0()), "sharp_smoothness": 2 * smooth, "sharp_binary": 2 * smooth}.get(
        constants, mp.mpf(2)
    )
    return [reinforce / grpo, grpo / reinforce, reinforce, grpo]


def improvement(σ, p, constants):
    mean = [mp.fsum(row[i] for row in σ) / len(σ) for i in range(len(p))]
    weight = [1 - px for px in p]
    share = mp.fsum(m * w for m, w in zip(mean, weight, strict=True)) / mp.fsum(weight)
    return threshold(constants)[1] * share


def binomial(values, n):
    q = mp.mpf(1) / n
    return [
        mp.fsum(mp.binomial(t, k) * q**k * (1 - q) ** (t - k) * values[k] for k in range(t + 1))
        for t in range(len(values))
    ]


THEOREMS = {
    "curvature.bounds.paper.theorem_3_1": Oracle(
        paper.theorem_3_1, reinforce, grid([1, 10**6], SUCCESS, NORMS, [1, 10**9]), 6, RATE
    ),
    "curvature.bounds.paper.theorem_3_2": Oracle(
        paper.theorem_3_2, grpo, grid([1, 10**6], SUCCESS, [1e-140, 0.7, 1e150], STD_PATHS), 8, RATE
    ),
    "curvature.bounds.paper.theorem_3_3": Oracle(
        paper.theorem_3_3,
        lambda n, p, X, T, M: reinforce(n, p, X, T, max(mp.mpf(1), M / 2)),
        grid([1, 10**6], SUCCESS, [1e-150, 0.7, 1e70], [1, 7], CONSTANTS),
        6,
        RATE,
    ),
    "curvature.bounds.paper.theorem_3_4": Oracle(
        paper.theorem_3_4,
        lambda n, p, X, C, *constants: grpo(n, p, X, C, factor(*constants)),
        grid([1, 10**6], SUCCESS, [1e-140, 0.7, 1e70], STD_PATHS, CONSTANTS, [1.0, 1e10], [1.0, 1.7]),
        8,
        RATE,
    ),
    "curvature.bounds.theorem_3_2_repaired": Oracle(
        bounds.theorem_3_2_repaired,
        repaired,
        grid([1, 10**6], SUCCESS, NORMS, [*STD_PATHS, [0.0, 0.5]]),
        8,
        REPAIRED,
    ),
    "curvature.bounds.theorem_3_4_repaired": Oracle(
        bounds.theorem_3_4_repaired,
        lambda n, p, X, C, *constants: repaired(n, p, X, C, factor(*constants)),
        grid([1, 10**6], SUCCESS, [1e-140, 0.7, 1e70], STD_PATHS, CONSTANTS, [1.0, 1e10], [1.0, 1.7]),
        8,
        REPAIRED,
    ),
    "curvature.bounds.sharp.theorem_c1": Oracle(
        sharp.theorem_c1,
        c1,
        grid([1, 10**9], [0.0, 1e-300, 0.8], [1e-150, 0.7, 1e150], [1e-12, 1.0, 7.0]),
        8,
        ("step", "gain_factor", "mean_squared"),
    ),
    "curvature.bounds.sharp.theorem_t1": Oracle(
        sharp.theorem_t1,
        t1,
        grid([0.0, 1e-150, 0.25, 1e100], [0.0, 1e-300, 1e-12, 0.5, 1e150], [1e-150, 0.7, 1e150]),
        8,
        ("step", "gain"),
    ),
    "curvature.bounds.sharp.theorem_t2": Oracle(
        sharp.theorem_t2,
        t2,
        grid([0.0, 1e-150, 0.25, 1e100], [0.0, 1e-300, 1e-12, 0.5, 1e150], [1e-150, 0.7, 1e150]),
        8,
        ("step", "gain"),
    ),
    "curvature.bounds.sharp.theorem_t3": Oracle(
        sharp.theorem_t3,
        t3,
        [
            (T, gap, D, share * top, top)
            for T, gap, D, share, top in grid(
                [1, 10**9], [0.0, 1e-300, 0.8], NORMS, [0.0, 1e-12, 1.0], [0.0, 1e-12, 0.5]
            )
        ],
        8,
        ("reinforce", "grpo", "ratio"),
    ),
    "curvature.bounds.sharp.theorem_t4": Oracle(
        sharp.theorem_t4,
        t4,
        grid([[[0.5, 1e-300], [1e-12, 0.3]], [[1e-300, 2e-300]], [[1e300, 3e299]]], [1e300]),
        8,
        ("across_iterations", "across_prompts", "total"),
    ),
    "curvature.bounds.sharp.theorem_t5": Oracle(
        sharp.theorem_t5,
        t5,
        [
            ([1e-300, 2e-300], [1e-150, 3e-150], [1e-300, 9e-300]),
            ([0.16, 0.25, 0.0], [0.4, 0.5, 0.0], [0.2, 0.5, 0.0]),
            ([1e100, 3e100], [0.4, 0.1], [0.2, 0.99]),
        ],
        16,
        ("by_std", "by_profile"),
    ),
    "curvature.bounds.sharp.theorem_b1": Oracle(
        sharp.theorem_b1,
        b1,
        [
            (0.0625, [0.5, 0.0], [1e-12, 3.0], 2.0),
            (1.0, [0.5, 1e-300], [0.25, 1400.0], 1.0),
            (-1.0, [0.5], [0.25], 1e-12),
            (1e150, [1e-150, 0.4], [1e150, 1e140], 1e-150),
            (0.25, [0.5], [0.5], 0.0),
        ],
        16,
    ),
    "curvature.bounds.sharp.theorem_b1_step": Oracle(
        sharp.theorem_b1_step,
        b1_step,
        [
            (0.0625, [0.5], [0.25]),
            (1.0, [0.5, 1e-300], [0.25, 1.0]),
            (3.0, [0.5, 0.3, 0.0], [0.25, 1.0, 9.0]),
            (1e-12, [0.5, 0.3], [1e-3, 2.0]),
            (1e150, [0.4, 0.1], [1e150, 1e149]),
            (1e-150, [0.4, 0.1], [1e-150, 1e-151]),
        ],
        64,
        ("step", "gain"),
    ),
    "curvature.bounds.sharp.theorem_b2": Oracle(
        sharp.theorem_b2,
        b2,
        [
            (g, [0.5, 0.1], [[1.0, c], [c, 1.0]], D, a, α)
            for g, c, (D, α), a in grid(
                [[0.1, 0.02], [1e-100, 1e-100]],
                [0.0, 0.3, 1 - 1e-12],
                [(1.0, 2.0), (1e-12, 1.0), (1e100, 1e-200)],
                [[1.0, 1.0], [2.0, 10.0]],
            )
        ],
        64,
        ("gain", "alignment", "largest_shift"),
    ),
    "curvature.bounds.sharp.one_step_gain": Oracle(
        sharp.one_step_gain,
        one_step,
        grid([0.0, 1e-150, 1e-12, 0.5, 4.0, 11.9, 30.0], ["grpo", "reinforce"]),
        64,
        ("two_arms", "short_gradient"),
    ),
    "curvature.bounds.sharp.one_step_certificate": Oracle(
        lambda a, method, rewards: sharp.one_step_certificate(a, method, rewards=rewards),
        certificate,
        grid([0.0, 1e-150, 1e-12, 4.0, 4.5, 30.0], ["grpo", "reinforce"], ["binary", "real"]),
        32,
    ),
    "curvature.bounds.sharp.best_one_step": Oracle(
        sharp.best_one_step,
        best_step,
        grid(["grpo", "reinforce"], ["certificate", "known_instances"]),
        256,
        ("step", "gain"),
    ),
    "curvature.bounds.sharp.one_step_threshold": Oracle(
        sharp.one_step_threshold,
        lambda basis: best_step("grpo", basis)[1] / best_step("reinforce", basis)[1],
        grid(["certificate", "known_instances"]),
        256,
        ("threshold",),
    ),
    "curvature.bounds.improvement_threshold": Oracle(
        bounds.improvement_threshold,
        threshold,
        grid(["paper", "paper_best_step", "sharp", "sharp_smoothness", "sharp_binary"]),
        8,
        ("threshold", "ratio_per_std", "reinforce", "grpo"),
    ),
    "curvature.bounds.improvement_factor": Oracle(
        lambda σ, p, constants: bounds.improvement_factor(σ, p, constants=constants),
        improvement,
        grid(
            [[[0.458, 0.032]], [[1e-300, 1e-12], [0.5, 1e-12]]],
            [[0.3, 0.999], [1e-300, 1 - 2.0**-53]],
            ["paper", "sharp"],
        ),
        16,
    ),
    "curvature.bounds.binomial_expectation": Oracle(
        bounds.binomial_expectation,
        binomial,
        grid([[1.0, 1e-300, 1e150, 0.5], [float(k) for k in range(30)]], [2, 3, 10**6]),
        64,
    ),
    "curvature.bounds.smallest_variance_bound": Oracle(
        bounds.smallest_variance_bound,
        lambda σ, n: σ if n == 1 else [max(σ[: k + 1]) for k in range(len(σ))],
        grid([[0.5, 1e-300, 0.2], [1e-300, 5e-324]], [1, 2, 10**6]),
        0,
    ),
}
