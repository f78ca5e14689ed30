"""The box of numbers in which a claim about several prompts is attacked, and the bandit each point stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from curvature._instances import overlapping_bases
from curvature._search_space import LARGEST_LOGIT, LARGEST_THETA
from curvature._step_claim import Prompts, StepClaim
from curvature.bandit import LogLinearBandit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Shape(NamedTuple):
    """Sizes of an instance: n, K, d, and the overlap of its prompts, None where features may lie anywhere."""

    num_prompts: int
    num_responses: int
    dimension: int
    overlap: float | None


class PromptSpace:
    """Points of a box, as instances of n prompts of K responses.

    A point holds, in this order: feature coordinates, base logits (or θ), rewards if they are real, and the step's
    place between the least and the largest, in logarithms. A reward pattern (n·K zeros and ones) goes beside it.

    Parameters
    ----------
    claim : StepClaim
        Its scale and steps are used.
    shape : Shape
        With an overlap c, d is the dimension of each prompt's own span, and all pairs of spans have
        U_xU_x'ᵀ = c I; without one it is that of θ.
    rewards, base : str
        As in :func:`curvature.adversary.worst_case`.
    """

    def __init__(self, claim: StepClaim, shape: Shape, *, rewards: str, base: str) -> None:
        n, K, d, overlap = shape
        self.claim, self.shape, self.rewards, self.base = claim, shape, rewards, base
        self.free_responses = K - 1 if claim.scale == "diameter" else K
        self.bases = None if overlap is None else overlapping_bases(n, d, overlap)
        self.dimension = d if self.bases is None else self.bases.shape[-1]
        sizes = [
            (n * self.free_responses * d, 1.0),
            (self.dimension, LARGEST_THETA) if base == "uniform" else (n * K, LARGEST_LOGIT),
            (n * K if rewards == "real" else 0, 1.0),
            (1 if claim.steps else 0, 1.0),
        ]
        self.cuts = np.cumsum([size for size, _ in sizes])[:-1]
        self.upper = np.concatenate([np.full(size, edge) for size, edge in sizes])
        self.lower = -self.upper

    def sample(self, rng: np.random.Generator, count: int) -> tuple[Array, Array]:
        """Draw points over several scales, some features and all steps on a grid of extremes, and patterns."""
        parts = np.split(rng.uniform(self.lower, self.upper, (count, len(self.lower))), self.cuts, axis=1)
        features, logits, rewards, step = parts
        for value in (-1.0, 0.0, 1.0):
            features = np.where(rng.random(features.shape) < 0.1, value, features)
        edge = LARGEST_THETA if self.base == "uniform" else LARGEST_LOGIT
        scale = edge * rng.choice([0.03, 0.1, 0.3], (count, 1))
        logits = np.clip(scale * rng.standard_normal(logits.shape), -edge, edge)
        rewards = np.where(rng.random(rewards.shape) < 0.5, np.sign(rewards), rewards)
        return np.hstack([features, logits, rewards, step]), self._patterns(rng, count)

    def _patterns(self, rng: np.random.Generator, count: int) -> Array:
        n, K = self.shape.num_prompts, self.shape.num_responses
        if self.rewards == "real":
            return np.zeros((count, n * K))
        correct = 1 if self.rewards == "one_correct" else 1 + rng.integers(K - 1, size=(count, n, 1))
        ranks = rng.permuted(np.tile(np.arange(K), (count, n, 1)), axis=2)
        return (ranks < correct).astype(np.float64).reshape(count, n * K)

    def ratios(self, points: Array, patterns: Array) -> Array:
        """Return the ratio of every point, in one call of the claim."""
        features, logits, rewards, step = self._decode(points, patterns)
        if self.base == "uniform":
            logits = np.einsum("mnkd,md->mnk", features, logits)
        n, K = self.shape[:2]
        bandit = LogLinearBandit(
            features.reshape(-1, K, self.dimension), rewards.reshape(-1, K), logits.reshape(-1, K)
        )
        return self.claim.ratios(Prompts(bandit, n), step)

    def instance(self, point: Array, pattern: Array) -> tuple[LogLinearBandit, Array, float | None]:
        """Return the bandit of a point, its θ and its step."""
        features, logits, rewards, step = self._decode(point[None], pattern[None])
        length = None if step is None else float(step[0, 0])
        if self.base == "uniform":
            return LogLinearBandit(features[0], rewards[0]), logits[0], length
        return LogLinearBandit(features[0], rewards[0], logits[0]), np.zeros(self.dimension), length

    def encode(self, bandit: LogLinearBandit, theta: Array, step: float | None) -> tuple[Array, Array] | None:
        """Return the point and pattern of an instance of this space, or None if it is not one."""
        n, K = self.shape[:2]
        if (bandit.num_prompts, bandit.num_responses, bandit.dimension) != (n, K, self.dimension):
            return None
        if not bandit.mask.all() or (self.rewards != "real" and not bandit.is_binary):
            return None
        features = (
            bandit.features
            if self.claim.scale == "spectral_norm"
            else bandit.features[:, 1:] - bandit.features[:, :1]
        )
        own = features if self.bases is None else np.einsum("nkD,ndD->nkd", features, self.bases)
        if self.base == "uniform":
            logits = theta
        else:
            logits = bandit.base_logits + bandit.features @ theta
            logits = logits - (logits.max(axis=1, keepdims=True) + logits.min(axis=1, keepdims=True)) / 2
        rewards = bandit.rewards.ravel()
        place: list[float] = []
        if self.claim.steps is not None and step is not None:
            least, largest = self.claim.steps
            width = np.log(largest / least)
            place = [2 * np.log(step / least) / width - 1 if width > 0 else 0.0]
        point = np.concatenate([
            own.ravel(),
            logits.ravel(),
            rewards if self.rewards == "real" else rewards[:0],
            place,
        ])
        if len(point) != len(self.lower):
            return None
        pattern = np.zeros(n * K) if self.rewards == "real" else rewards
        return np.clip(point, self.lower, self.upper), pattern

    def _decode(self, points: Array, patterns: Array) -> tuple[Array, Array, Array, Array | None]:
        n, K, d, _ = self.shape
        own, logits, rewards, place = np.split(points, self.cuts, axis=1)
        count = len(points)
        coordinates = np.zeros((count, n, K, d))
        coordinates[:, :, K - self.free_responses :] = own.reshape(count, n, self.free_responses, d)
        features = coordinates if self.bases is None else np.einsum("mnkd,ndD->mnkD", coordinates, self.bases)
        if self.base == "free":
            logits = logits.reshape(count, n, K)
        rewards = (rewards if self.rewards == "real" else patterns).reshape(count, n, K)
        if self.claim.steps is None:
            return features, logits, rewards, None
        least, largest = self.claim.steps
        return features, logits, rewards, least * (largest / least) ** ((place + 1) / 2)
