"""The inequalities of the ledger, each written once: the random draws and the worst-case search both use it.

A left side is computed by :mod:`curvature.moments`, a right side by :mod:`curvature.bounds`. All are statements
about each prompt by itself, so one bandit of a thousand prompts is a thousand instances. Success enters a bound
as q = min(p, 1 − p), in which every bound is symmetric: it keeps full precision as p → 1.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from curvature.adversary import Inequality
from curvature.bandit import LogLinearBandit
from curvature.bounds import paper, sharp
from curvature.geometry import feature_diameter as _feature_diameter
from curvature.geometry import spectral_norm as _spectral_norm
from curvature.moments import Moments, hessian, hessian_extremes
from curvature.moments import moments as _moments

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from curvature._inequality import Reach

    Array = NDArray[np.float64]
    OnePoint = Callable[[LogLinearBandit, Array], tuple[Array, Array]]
    Scale = Literal["diameter", "spectral_norm"]
    TwoPoints = Callable[[LogLinearBandit, Array, Array], tuple[Array, Array]]

__all__ = [
    "CURVATURE_BY_STD",
    "CURVATURE_BY_SUCCESS",
    "CURVATURE_BY_SUCCESS_OF_ONE",
    "CURVATURE_BY_VARIANCE",
    "CURVATURE_EVERYWHERE",
    "CURVATURE_EVERYWHERE_BY_DIAMETER",
    "CURVATURE_IN_BALL",
    "CURVATURE_IN_BALL_BY_STD",
    "CURVATURE_IN_BALL_BY_STD_AT_LN2",
    "CURVATURE_PROOF_CONSTANT",
    "GRADIENT_BY_STD",
    "GRADIENT_EVERYWHERE",
    "GRPO_STEP_LENGTH",
    "LOGIT_GRADIENT_NORM",
    "LOG_STD_SLOPE",
    "REMAINDER",
    "REMAINDER_AT_LN2",
    "STD_ALONG_STEP",
    "SUCCESS_IN_BALL",
]


# A side and its reach ask for the same quantities of the same bandit, which never changes: the last few are kept.
feature_diameter = lru_cache(maxsize=4)(_feature_diameter)
spectral_norm = lru_cache(maxsize=4)(_spectral_norm)


def moments(bandit: LogLinearBandit, theta: Array) -> Moments:
    """Return :func:`curvature.moments.moments`, remembering the last few."""
    return _moments_at(bandit, theta.tobytes())


@lru_cache(maxsize=4)
def _moments_at(bandit: LogLinearBandit, theta: bytes) -> Moments:
    return _moments(bandit, np.frombuffer(theta))


@lru_cache(maxsize=4)
def _relative(bandit: LogLinearBandit, theta: bytes) -> LogLinearBandit:
    mode = _moments_at(bandit, theta).probabilities.argmax(axis=-1)
    likeliest = bandit.rewards[np.arange(bandit.num_prompts), mode]
    return LogLinearBandit(
        bandit.features, bandit.rewards - likeliest[:, None], bandit.base_logits, bandit.prompt_weights
    )


def rarer_probability(bandit: LogLinearBandit, at: Moments) -> Array:
    """Return q = min(p, 1 − p) for rewards of 0 and 1, each side summed by itself, shape (n,)."""
    right = (at.probabilities * bandit.rewards).sum(axis=-1)
    wrong = (at.probabilities * (bandit.mask - bandit.rewards)).sum(axis=-1)
    return np.minimum(right, wrong)


def displaced(bandit: LogLinearBandit, displacement: Array) -> LogLinearBandit:
    """Return the bandit whose policy at θ is the given one's at θ + Δ, with a Δ of each prompt's own, (n, d)."""
    # Centred features give the same policy, and their products with Δ are no larger than they need be.
    shift = np.einsum("nkd,nd->nk", bandit.centered_features, displacement)
    return LogLinearBandit(bandit.features, bandit.rewards, bandit.base_logits + shift, bandit.prompt_weights)


def curvature(bandit: LogLinearBandit, theta: Array) -> Array:
    """Return ‖∇²J‖₂ of each prompt, shape (n,)."""
    return np.abs(hessian_extremes(bandit, theta)).max(axis=-1)


def reward_gain(bandit: LogLinearBandit, theta: Array, displacement: Array) -> Array:
    """Return J(θ + Δ) − J(θ) of each prompt, shape (n,), with J taken relative to the likeliest reward."""
    # Adding a constant to a prompt's rewards changes no difference of J, and so J(θ) does not round at 1.
    relative = _relative(bandit, theta.tobytes())
    after = moments(displaced(relative, displacement), theta).expected_reward
    return after - moments(relative, theta).expected_reward


def span_part(bandit: LogLinearBandit, displacement: Array) -> Array:
    """Return ‖P_xΔ_x‖: the length of each displacement within its prompt's feature differences, shape (n,)."""
    _, singular, right = np.linalg.svd(bandit.centered_features, full_matrices=False)
    kept = singular > 1e-12 * np.maximum(singular[:, :1], 1e-300)
    along = np.einsum("nmd,nd->nm", right, displacement)
    return np.sqrt((np.where(kept, along, 0.0) ** 2).sum(axis=-1))


def _one_point(
    name: str, sides: OnePoint, constant: float, unit: str, scale: Scale = "diameter"
) -> Inequality:
    def both(bandit: LogLinearBandit, theta: Array, displacement: Array | None) -> tuple[Array, Array]:
        return sides(bandit, theta)

    return Inequality(name, both, None, scale, constant, unit)


def _two_points(
    name: str, sides: TwoPoints, reach: Reach, constant: float, unit: str, scale: Scale = "diameter"
) -> Inequality:
    def both(bandit: LogLinearBandit, theta: Array, displacement: Array | None) -> tuple[Array, Array]:
        assert displacement is not None  # Inequality.ratio sees to it
        return sides(bandit, theta, displacement)

    return Inequality(name, both, reach, scale, constant, unit)


# The paper's, in the spectral norm X and a success probability.


def _curvature_by_variance(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    q = rarer_probability(bandit, moments(bandit, theta))
    return curvature(bandit, theta), paper.hessian_norm(q, spectral_norm(bandit))


def _curvature_everywhere(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    return curvature(bandit, theta), paper.hessian_norm_global(spectral_norm(bandit))


def _gradient_everywhere(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    g = np.linalg.norm(moments(bandit, theta).gradient, axis=-1)
    return g, paper.gradient_norm(spectral_norm(bandit))


def _ball(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    q = rarer_probability(bandit, moments(bandit, theta))
    radius = paper.nearby_radius(q, spectral_norm(bandit))
    radius = np.where(np.isfinite(radius), radius, 0.0)  # X = 0: nothing depends on θ
    return np.zeros_like(radius), radius


def _curvature_in_ball(bandit: LogLinearBandit, theta: Array, displacement: Array) -> tuple[Array, Array]:
    q = rarer_probability(bandit, moments(bandit, theta))
    nearby = curvature(displaced(bandit, displacement), theta)
    return nearby, paper.hessian_norm_nearby(q, spectral_norm(bandit))


def _success_in_ball(bandit: LogLinearBandit, theta: Array, displacement: Array) -> tuple[Array, Array]:
    return np.abs(reward_gain(bandit, theta, displacement)), 0.5 * moments(bandit, theta).reward_std


def _grpo_step_length(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    at = moments(bandit, theta)
    X = spectral_norm(bandit)
    learned = at.reward_std > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.linalg.norm(at.gradient, axis=-1) / (2 * X**2 * at.reward_std)
    return np.where(learned & (X > 0), step, 0.0), _ball(bandit, theta)[1]


def logit_gradient(bandit: LogLinearBandit, at: Moments) -> Array:
    """Return H(π)r = (diag π − ππᵀ)r, the gradient of J in the logits, for rewards of 0 and 1, shape (n, K)."""
    right = (at.probabilities * bandit.rewards).sum(axis=-1, keepdims=True)
    wrong = (at.probabilities * (bandit.mask - bandit.rewards)).sum(axis=-1, keepdims=True)
    return at.probabilities * np.where(bandit.rewards == 1, wrong, -right)


def _logit_gradient_norm(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    at = moments(bandit, theta)
    return np.linalg.norm(logit_gradient(bandit, at), axis=-1), sqrt(2) * at.reward_std**2


def _curvature_proof_constant(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    """Sides of |yᵀ∇²J y| ≤ (2√2 + 1) V ‖Xy‖², at the y with the largest ratio (a generalised eigenvector)."""
    values, vectors = np.linalg.eigh(np.swapaxes(bandit.features, 1, 2) @ bandit.features)
    kept = values > 1e-10 * values[:, -1:]
    # Where Xy = 0 the policy does not change along y and the left side is 0 too: those y are left out.
    scale = np.where(kept, 1.0, 0.0) / np.sqrt(np.where(kept, values, 1.0))
    whiten = vectors * scale[:, None, :]
    whitened = np.swapaxes(whiten, 1, 2) @ hessian(bandit, theta) @ whiten
    measured = np.abs(np.linalg.eigvalsh(whitened)).max(axis=-1)
    return measured, (2 * sqrt(2) + 1) * moments(bandit, theta).reward_std ** 2


CURVATURE_BY_VARIANCE = _one_point("Lemma 3.1 (7)", _curvature_by_variance, 4, "X² p(1 − p)", "spectral_norm")
CURVATURE_EVERYWHERE = _one_point("Lemma 3.1 (8)", _curvature_everywhere, 1, "X²", "spectral_norm")
GRADIENT_EVERYWHERE = _one_point("Lemma 3.2", _gradient_everywhere, 0.5, "X", "spectral_norm")
CURVATURE_IN_BALL = _two_points(
    "Lemma 3.3", _curvature_in_ball, _ball, 2.5, "X² √(p(1 − p))", "spectral_norm"
)
SUCCESS_IN_BALL = _two_points(
    "success in the ball of Lemma 3.3", _success_in_ball, _ball, 0.5, "√(p(1 − p))", "spectral_norm"
)
GRPO_STEP_LENGTH = _one_point("length of a GRPO step", _grpo_step_length, 1, "√(p(1 − p))/X", "spectral_norm")
LOGIT_GRADIENT_NORM = _one_point("eq. (15)", _logit_gradient_norm, sqrt(2), "p(1 − p)")
CURVATURE_PROOF_CONSTANT = _one_point(
    "eq. (16)", _curvature_proof_constant, 2 * sqrt(2) + 1, "p(1 − p) ‖Xy‖²", "spectral_norm"
)


# Ours, in the diameter D and the reward std σ.


def _gradient_by_std(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    at = moments(bandit, theta)
    bound = sharp.gradient_norm(at.reward_std, feature_diameter(bandit))
    return np.linalg.norm(at.gradient, axis=-1), bound


def _curvature_by_std(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    σ = moments(bandit, theta).reward_std
    return curvature(bandit, theta), sharp.hessian_norm(σ, feature_diameter(bandit))


def log_std_gradient(bandit: LogLinearBandit, theta: Array) -> Array:
    """Return ∇log σ = E[A²φ̄]/(2σ²) of each prompt, shape (n, d); NaN where σ = 0."""
    relative = _relative(bandit, theta.tobytes())
    at = moments(relative, theta)
    A = relative.rewards - at.expected_reward[:, None]
    mean = np.einsum("nk,nkd->nd", at.probabilities, relative.centered_features)
    centred = relative.centered_features - mean[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        # π A²/σ² in logarithms: for rare responses π and σ² underflow long before their ratio does.
        log_weights = at.log_probabilities + 2 * (np.log(np.abs(A)) - np.log(at.reward_std)[:, None])
        weights = np.where(relative.mask & (A != 0), np.exp(log_weights), 0.0)
    slope = 0.5 * np.einsum("nk,nkd->nd", weights, centred)
    return np.where(at.reward_std[:, None] > 0, slope, np.nan)


def _log_std_slope(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    slope = np.linalg.norm(log_std_gradient(bandit, theta), axis=-1)
    learned = moments(bandit, theta).reward_std > 0
    return np.where(learned, slope, 0.0), sharp.log_std_lipschitz(feature_diameter(bandit))


def _std_along_step(bandit: LogLinearBandit, theta: Array, displacement: Array) -> tuple[Array, Array]:
    after = moments(displaced(bandit, displacement), theta).reward_std
    slope = sharp.log_std_lipschitz(feature_diameter(bandit))
    return after, moments(bandit, theta).reward_std * np.exp(slope * span_part(bandit, displacement))


def _remainder_at(
    bandit: LogLinearBandit, theta: Array, displacement: Array, step: Array
) -> tuple[Array, Array]:
    at = moments(bandit, theta)
    linear = np.einsum("nd,nd->n", at.gradient, displacement)
    measured = np.abs(reward_gain(bandit, theta, displacement) - linear)
    return measured, sharp.ascent_remainder(at.reward_std, feature_diameter(bandit), step)


def _remainder(bandit: LogLinearBandit, theta: Array, displacement: Array) -> tuple[Array, Array]:
    return _remainder_at(bandit, theta, displacement, span_part(bandit, displacement))


def _remainder_of_length(bandit: LogLinearBandit, theta: Array, displacement: Array) -> tuple[Array, Array]:
    return _remainder_at(bandit, theta, displacement, np.linalg.norm(displacement, axis=-1))


def _nearby_at(
    bandit: LogLinearBandit, theta: Array, displacement: Array, step: Array
) -> tuple[Array, Array]:
    σ = moments(bandit, theta).reward_std
    bound = sharp.hessian_norm_nearby(σ, feature_diameter(bandit), step)
    return curvature(displaced(bandit, displacement), theta), bound


def _curvature_in_ball_by_std(
    bandit: LogLinearBandit, theta: Array, displacement: Array
) -> tuple[Array, Array]:
    return _nearby_at(bandit, theta, displacement, span_part(bandit, displacement))


def _curvature_in_ball_by_length(
    bandit: LogLinearBandit, theta: Array, displacement: Array
) -> tuple[Array, Array]:
    return _nearby_at(bandit, theta, displacement, np.linalg.norm(displacement, axis=-1))


def _curvature_by_success(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    q = rarer_probability(bandit, moments(bandit, theta))
    return curvature(bandit, theta), sharp.hessian_norm_binary(q, feature_diameter(bandit))


def _curvature_by_success_of_one(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    # For p ≥ 1/2 the profile is ℓ(1 − p), which is known from the failure probability to more digits.
    at = moments(bandit, theta)
    p = np.minimum((at.probabilities * bandit.rewards).sum(axis=-1), 1.0)
    f = np.minimum((at.probabilities * (bandit.mask - bandit.rewards)).sum(axis=-1), 1.0)
    D = feature_diameter(bandit)
    bound = np.where(p <= f, sharp.hessian_norm_one_correct(p, D), sharp.hessian_norm_binary(f, D))
    return curvature(bandit, theta), bound


def _curvature_everywhere_by_diameter(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    return curvature(bandit, theta), sharp.hessian_norm_global(feature_diameter(bandit))


def _steps(least: float, largest: float) -> Reach:
    """Give the lengths ‖Δ‖ with least ≤ D‖Δ‖/2 ≤ largest."""

    def reach(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
        D = feature_diameter(bandit)
        unit = np.where(D > 0, 2 / np.where(D > 0, D, 1.0), 0.0)
        return least * unit, largest * unit

    return reach


# A remainder is a difference of numbers of order σs, so at s it is known to about 1e-16/s of itself.
_SHORT, _LONG = 1e-3, 4.0
_AT_LN2 = _steps(np.log(2), np.log(2))

GRADIENT_BY_STD = _one_point("L1", _gradient_by_std, 1 / 2, "Dσ")
CURVATURE_BY_STD = _one_point("L2", _curvature_by_std, 1 / 4, "D²σ")
LOG_STD_SLOPE = _one_point("L3", _log_std_slope, 1 / 2, "D")
STD_ALONG_STEP = _two_points("L3 along a step", _std_along_step, _steps(_SHORT, _LONG), 1, "σeˢ")
REMAINDER = _two_points("L4", _remainder, _steps(_SHORT, _LONG), 1, "σψ(s)")
REMAINDER_AT_LN2 = _two_points("L4 at s = ln 2", _remainder_of_length, _AT_LN2, 1, "σψ(s)")
CURVATURE_IN_BALL_BY_STD = _two_points(
    "L2 with L3", _curvature_in_ball_by_std, _steps(_SHORT, _LONG), 1 / 4, "D²σeˢ"
)
CURVATURE_IN_BALL_BY_STD_AT_LN2 = _two_points(
    "L2 with L3 at s = ln 2", _curvature_in_ball_by_length, _AT_LN2, 1 / 4, "D²σeˢ"
)
CURVATURE_BY_SUCCESS = _one_point("C1", _curvature_by_success, 1, "D²ℓ(q)")
CURVATURE_BY_SUCCESS_OF_ONE = _one_point("C1, one correct", _curvature_by_success_of_one, 1, "D²ℓ₁(p)")
CURVATURE_EVERYWHERE_BY_DIAMETER = _one_point(
    "C1, maximum", _curvature_everywhere_by_diameter, 1 / (6 * sqrt(3)), "D²"
)
