"""Draws of features, rewards and base logits for the constructors of :class:`curvature.LogLinearBandit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

RewardKind = Literal["one_correct", "binary", "gaussian"]


def require_count(name: str, value: int, least: int = 1) -> int:
    """Return the whole number, or raise a ValueError that names it."""
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ValueError(f"{name} is {value}; a whole number of at least {least} is needed.")
    return int(value)


def require_positive(name: str, value: float) -> float:
    """Return the positive finite number, or raise a ValueError that names it."""
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}; a positive finite number is needed.")
    return float(value)


def read_success(success: ArrayLike) -> NDArray[np.float64]:
    """Return success probabilities as a non-empty vector in [0, 1], or raise a ValueError."""
    p = np.atleast_1d(np.asarray(success, dtype=np.float64))
    if p.ndim != 1 or p.size == 0:
        raise ValueError(f"success has shape {p.shape}; one probability a prompt, shape (n,), is needed.")
    bad = ~((p >= 0) & (p <= 1))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise ValueError(f"success[{i}] is {p[i]}; a probability in [0, 1] is needed.")
    return p


def log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log x, −inf at 0 without a warning."""
    with np.errstate(divide="ignore"):
        return np.log(x)


def overlapping_bases(num_prompts: int, rank: int, overlap: float) -> NDArray[np.float64]:
    """Orthonormal bases U_x (rows), shape (n, m, d), with U_xU_x'ᵀ = overlap · I for x ≠ x'."""
    if not 0 <= overlap <= 1:
        raise ValueError(f"overlap is {overlap}; a number in [0, 1] is needed.")
    n, m = num_prompts, rank
    own = np.eye(n * m).reshape(n, m, n * m)
    if overlap == 0:
        return own
    shared = np.broadcast_to(np.eye(m), (n, m, m))
    return np.concatenate([np.sqrt(overlap) * shared, np.sqrt(1 - overlap) * own], axis=2)


def overlapping_features(
    rng: np.random.Generator,
    num_prompts: int,
    num_responses: int,
    overlap: float,
    rank: int | None,
    diameter: float,
) -> NDArray[np.float64]:
    """Gaussian features in overlapping spans, rescaled to one diameter, shape (n, K, d)."""
    n = require_count("num_prompts", num_prompts)
    K = require_count("num_responses", num_responses, least=2)
    m = K - 1 if rank is None else require_count("rank", rank)
    if m > K - 1:
        raise ValueError(f"rank is {m}; {K} responses span at most {K - 1} dimensions.")
    require_positive("diameter", diameter)
    bases = overlapping_bases(n, m, overlap)
    z = rng.standard_normal((n, K, m))
    spread = np.sqrt(((z[:, :, None, :] - z[:, None, :, :]) ** 2).sum(-1).max(axis=(1, 2)))
    return np.matmul(z * (diameter / spread)[:, None, None], bases)


def gaussian_features(
    rng: np.random.Generator,
    num_prompts: int,
    num_responses: int,
    dimension: int,
    spectral_norm: float | None,
) -> NDArray[np.float64]:
    """N(0, I/d) features, rescaled to one spectral norm a prompt if it is given, shape (n, K, d)."""
    n = require_count("num_prompts", num_prompts)
    K = require_count("num_responses", num_responses)
    d = require_count("dimension", dimension)
    features = rng.standard_normal((n, K, d)) / np.sqrt(d)
    if spectral_norm is None:
        return features
    norms = np.linalg.norm(features, ord=2, axis=(1, 2))
    return features * (require_positive("spectral_norm", spectral_norm) / norms)[:, None, None]


def draw_rewards(
    rng: np.random.Generator, num_prompts: int, num_responses: int, kind: RewardKind
) -> NDArray[np.float64]:
    """Rewards of the kind named, shape (n, K)."""
    n, K = num_prompts, num_responses
    if kind == "one_correct":
        return np.eye(K)[rng.integers(K, size=n)]
    if kind == "binary":
        rewards = rng.integers(2, size=(n, K)).astype(np.float64)
        if K >= 2:
            # Two distinct responses are forced apart, so that no prompt is all right or all wrong.
            first, second = rng.permuted(np.tile(np.arange(K), (n, 1)), axis=1)[:, :2].T
            rewards[np.arange(n), first], rewards[np.arange(n), second] = 1.0, 0.0
        return rewards
    if kind == "gaussian":
        return rng.standard_normal((n, K))
    raise ValueError(f"rewards is {kind!r}; choose one of {', '.join(get_args(RewardKind))}.")


def success_logits(
    rng: np.random.Generator, success: NDArray[np.float64], rewards: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log-probabilities with mass p_x on the correct response and a flat Dirichlet share on the others."""
    n, K = rewards.shape
    if K < 2:
        raise ValueError(f"num_responses is {K}; at least 2 are needed for a success probability.")
    shares = rng.dirichlet(np.ones(K - 1), size=n)
    probabilities = np.empty((n, K))
    correct = rewards == 1
    probabilities[correct] = success
    probabilities[~correct] = ((1 - success)[:, None] * shares).ravel()
    return log(probabilities)
