"""Oracles of the lemmas: bounds.paper and bounds.sharp, one prompt."""

from __future__ import annotations

import mpmath as mp
from oracle_kit import Oracle, grid

from curvature.bounds import paper, sharp

SUCCESS = [0.0, 5e-324, 1e-300, 1e-16, 0.1, 0.25, 0.3, 0.5, 0.6, 0.75, 0.9, 1 - 1e-10, 1 - 2.0**-53, 1.0]
# For what has half an exponential on either side of σ: beside a subnormal σ the half overflows before the whole.
NORMAL_STDS = [0.0, 2.3e-308, 2.0, 1e-300, 1e-150, 1e-12, 0.5, 1e150, 1e300]
STDS = [0.0, 5e-324, 1e-300, 1e-150, 1e-12, 0.5, 1e150, 1e300, 1.5e308]
SIZES = [0.0, 5e-324, 1e-300, 1e-150, 1e-12, 0.7, 1.9, 3.0, 1e150, 1.2e154, 1e300]
# D·step/2 = s of 1e-12 and of 700, of either size of D; and lengths beyond which e^s overflows.
LENGTHS = [0.0, 1e-300, 2e-150, 2e-12, 1.0, 1.9999999, 2.0, 3.0, 1400.0, 1419.0, 2800.0]


def psi(s):
    """ψ(s) = e^s − 1 − s with as many digits more as the difference loses."""
    if s == 0:
        return mp.mpf(0)
    if s > 1e6:
        return mp.inf
    with mp.extradps(max(0, int(-2 * mp.log10(s))) + 5):
        return mp.expm1(s) - s


def profile(p):
    q = min(p, 1 - p)
    return q * (1 - q) * (1 - 2 * q) if q <= mp.mpf(1) / 4 else (1 - q) / 8


def one_correct(p):
    return p * (1 - p) * max(1 - 2 * p, mp.mpf(1) / 4) if p <= mp.mpf(1) / 2 else profile(p)


def std(p):
    return mp.sqrt(p * (1 - p))


def ball(σ, D, radius):
    if σ == 0 or D == 0:
        return mp.mpf(0)
    return mp.inf if D * radius > 1e6 else D**2 / 4 * σ * mp.exp(D * radius / 2)


def profile_of_odds(z):
    return profile(1 / (1 + mp.exp(abs(z))))


def nearby_binary(p, D, radius):
    q = min(p, 1 - p)
    if q == 0:
        return mp.mpf(0)
    z = mp.log(1 - q) - mp.log(q)
    low, high, peak = z - D * radius, z + D * radius, mp.acosh(2)
    inside = [peak] if low <= peak <= high else []
    # ℓ rises up to |z| = peak and falls beyond: over the window it is largest at the peak or at an end.
    ends = [end for end in (low, high) if abs(end) < 1e6]
    return D**2 * max(profile_of_odds(end) for end in [*inside, *ends])


def nearby(radius, unit="spectral_norm"):
    """Maximise over z by a root of the derivative of the logarithm, taken by mpmath."""
    r = mp.sqrt(2) * radius if unit == "spectral_norm" else radius
    scale = 2 if unit == "spectral_norm" else 1

    def log_ratio(z):
        a = z - r / (2 * mp.cosh(z / 2))
        return mp.log(profile_of_odds(a)) + mp.log(2 * mp.cosh(z / 2))

    def reaches(z):
        return z - r / (2 * mp.cosh(z / 2)) - mp.acosh(2)

    low = mp.findroot(reaches, [mp.acosh(2), mp.acosh(2) + 2 * mp.log(1 + r) + 1], solver="anderson")
    high = mp.acosh((8 + mp.sqrt(13)) / 3) + 2 * mp.log1p(r) + 1
    for _ in range(mp.mp.prec):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (left, high) if log_ratio(left) < log_ratio(right) else (low, right)
    return scale * mp.exp(log_ratio((low + high) / 2))


def exact_remainder(σ, D, step):
    """Maximise √(p(1 − p))·(V/(1 + pV) − L) by the root of its cubic, L = D·step."""
    L = D * step
    if σ == 0 or L == 0:
        return mp.mpf(0)
    if L > 1e6:
        return mp.inf
    with mp.extradps(int(L) + 2 * max(0, int(-2 * mp.log10(L))) + 20):
        V = mp.expm1(L)
        cubic = _cubic(V, L)
        p = mp.findroot(
            lambda p: mp.polyval(cubic, p), [mp.mpf(0), 1 / L - 1 / V], solver="anderson", verify=False
        )
        return σ * mp.sqrt(p * (1 - p)) * (V / (1 + p * V) - L)


def _cubic(V, L):
    """Coefficients of (1 − 2p)M(V − LM) − 2p(1 − p)V², M = 1 + pV, highest first."""

    def times(a, b):
        out = [mp.mpf(0)] * (len(a) + len(b) - 1)
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                out[i + j] += x * y
        return out

    first = times(times([-2, 1], [V, 1]), [-L * V, V - L])
    second = [2 * V**2, -2 * V**2, 0]
    return [first[0], *(a + b for a, b in zip(first[1:], second, strict=True))]


LEMMAS = {
    "curvature.bounds.paper.gradient_norm": Oracle(paper.gradient_norm, lambda X: X / 2, grid(SIZES), 1),
    "curvature.bounds.paper.hessian_norm": Oracle(
        paper.hessian_norm, lambda p, X: 4 * X**2 * p * (1 - p), grid(SUCCESS, SIZES), 4
    ),
    "curvature.bounds.paper.hessian_norm_global": Oracle(
        paper.hessian_norm_global, lambda X: X**2, grid(SIZES), 1
    ),
    "curvature.bounds.paper.hessian_norm_nearby": Oracle(
        paper.hessian_norm_nearby, lambda p, X: mp.mpf(5) / 2 * X**2 * std(p), grid(SUCCESS, SIZES), 4
    ),
    "curvature.bounds.paper.nearby_radius": Oracle(
        paper.nearby_radius, lambda p, X: std(p) / X if X else mp.inf, grid(SUCCESS, SIZES), 3
    ),
    "curvature.bounds.sharp.gradient_norm": Oracle(
        sharp.gradient_norm, lambda σ, D: D * σ / 2, grid(STDS, SIZES), 1
    ),
    "curvature.bounds.sharp.hessian_norm": Oracle(
        sharp.hessian_norm, lambda σ, D: D**2 * σ / 4, grid(STDS, SIZES), 3
    ),
    "curvature.bounds.sharp.curvature_profile": Oracle(sharp.curvature_profile, profile, grid(SUCCESS), 3),
    "curvature.bounds.sharp.one_correct_profile": Oracle(
        sharp.one_correct_profile, one_correct, grid(SUCCESS), 3
    ),
    "curvature.bounds.sharp.hessian_norm_binary": Oracle(
        sharp.hessian_norm_binary, lambda p, D: D**2 * profile(p), grid(SUCCESS, SIZES), 4
    ),
    "curvature.bounds.sharp.hessian_norm_one_correct": Oracle(
        sharp.hessian_norm_one_correct, lambda p, D: D**2 * one_correct(p), grid(SUCCESS, SIZES), 4
    ),
    "curvature.bounds.sharp.hessian_norm_global": Oracle(
        sharp.hessian_norm_global, lambda D, spread: D**2 * spread / (6 * mp.sqrt(3)), grid(SIZES, STDS), 4
    ),
    "curvature.bounds.sharp.hessian_norm_nearby": Oracle(
        sharp.hessian_norm_nearby, ball, grid(NORMAL_STDS, [1e-150, 1.0, 2.0], LENGTHS), 8
    ),
    "curvature.bounds.sharp.hessian_norm_nearby_binary": Oracle(
        sharp.hessian_norm_nearby_binary,
        nearby_binary,
        grid(SUCCESS, [1e-150, 1.0, 1e150], [0.0, 1e-12, 0.4, 2.0, 30.0, 1e150]),
        8,
    ),
    "curvature.bounds.sharp.nearby_constant": Oracle(
        sharp.nearby_constant,
        nearby,
        grid([0.0, 1e-12, 0.5, 1.0, 10.0, 1e6], ["spectral_norm", "diameter"]),
        64,
    ),
    "curvature.bounds.sharp.log_std_lipschitz": Oracle(
        sharp.log_std_lipschitz, lambda D: D / 2, grid(SIZES), 1
    ),
    "curvature.bounds.sharp.ascent_remainder": Oracle(
        sharp.ascent_remainder,
        lambda σ, D, step: σ * psi(D * step / 2) if σ else mp.mpf(0),
        [*grid(STDS, [1.0], LENGTHS), *grid(STDS, [1e-150], [1e150, 2e138]), *grid([0.5], SIZES, [1e-150])],
        8,
    ),
    "curvature.bounds.sharp.ascent_remainder_exact": Oracle(
        sharp.ascent_remainder_exact,
        exact_remainder,
        [*grid(STDS, [1.0], LENGTHS), *grid([0.5], [1e-150, 1e150], [2e150, 1e-150, 1e-162])],
        16,
    ),
}
