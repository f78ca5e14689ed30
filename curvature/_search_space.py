"""The box of numbers in which :mod:`curvature.adversary` searches, and the prompt that each point stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.bandit import LogLinearBandit

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_LOGIT = 15.0  # responses as rare as e^−30: rare enough for every limit, and nothing underflows
LARGEST_THETA = 30.0


class SearchSpace:
    """Points of a box, as prompts of K responses in dimension d.

    A point holds, in this order: free feature coordinates, base logits (or θ), rewards if they are real, and a
    displacement in the unit ball if there is one. A reward pattern (K zeros and ones) goes beside each point and
    is ignored for real rewards.

    Parameters
    ----------
    num_responses, dimension : int
        K and d.
    pinned : bool
        Hold response 0 at the origin and response 1 at the first unit vector: the two ends of the diameter. At
        d = 1 the others then lie between them and the diameter is 1 all through the search, which leaves no kink.
    rewards, base : str
        As in :func:`curvature.adversary.worst_case`.
    success : float or None
        The success probability to hold, if any.
    displaced : bool
        Whether a point has a displacement.
    """

    def __init__(
        self,
        num_responses: int,
        dimension: int,
        *,
        pinned: bool,
        rewards: str,
        base: str,
        success: float | None,
        displaced: bool,
    ) -> None:
        K, d = num_responses, dimension
        self.num_responses, self.dimension = K, d
        self.pinned, self.rewards, self.base, self.success = pinned, rewards, base, success
        blocks = [np.tile([-1.0, 1.0], ((K - 2 if pinned else K) * d, 1))]
        if pinned:
            blocks[0][::d, 0] = 0.0
        blocks.append(
            np.tile([-LARGEST_THETA, LARGEST_THETA], (d, 1))
            if base == "uniform"
            else np.tile([-LARGEST_LOGIT, LARGEST_LOGIT], (K, 1))
        )
        blocks.append(np.tile([-1.0, 1.0], (K if rewards == "real" else 0, 1)))
        blocks.append(np.tile([-1.0, 1.0], (d if displaced else 0, 1)))
        self.cuts = np.cumsum([len(block) for block in blocks])[:-1]
        self.lower, self.upper = np.concatenate(blocks).T

    def sample(self, rng: np.random.Generator, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Draw points over several scales, many of them with coordinates on the box, and reward patterns."""
        features, logits, rewards, moved = np.split(
            rng.uniform(self.lower, self.upper, (count, len(self.lower))), self.cuts, axis=1
        )
        low, high = np.split(self.lower, self.cuts)[0], np.split(self.upper, self.cuts)[0]
        features = np.where(rng.random(features.shape) < 0.15, low, features)
        features = np.where(rng.random(features.shape) < 0.15, high, features)
        scale = rng.choice([0.03, 0.1, 0.3], (count, 1)) * (
            LARGEST_THETA if self.base == "uniform" else LARGEST_LOGIT
        )
        logits = np.clip(
            scale * rng.standard_normal(logits.shape),
            *(np.split(edge, self.cuts)[1] for edge in (self.lower, self.upper)),
        )
        rewards = np.where(rng.random(rewards.shape) < 0.5, np.sign(rewards), rewards)
        far = rng.random((count, 1)) < 0.5
        moved = np.where(far & (moved != 0), np.sign(moved), moved)
        return np.hstack([features, logits, rewards, moved]), self._patterns(rng, count)

    def _patterns(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        K = self.num_responses
        if self.rewards == "real":
            return np.zeros((count, K))
        correct = (
            np.ones(count, dtype=int)
            if self.rewards == "one_correct"
            else 1 + rng.integers(K - 1, size=count)
        )
        ranks = rng.permuted(np.tile(np.arange(K), (count, 1)), axis=1)
        return (ranks < correct[:, None]).astype(np.float64)

    def bandit(self, points: NDArray[np.float64], patterns: NDArray[np.float64]) -> LogLinearBandit:
        """Return one bandit whose prompts are the points, θ being folded into the base logits."""
        features, logits, rewards, _ = self._decode(points, patterns)
        if self.base == "uniform":
            logits = np.einsum("nkd,nd->nk", features, logits)
        return LogLinearBandit(features, rewards, logits)

    def instance(
        self, point: NDArray[np.float64], pattern: NDArray[np.float64]
    ) -> tuple[LogLinearBandit, NDArray[np.float64]]:
        """Return the one-prompt bandit of a point, and its θ."""
        features, logits, rewards, _ = self._decode(point[None], pattern[None])
        if self.base == "uniform":
            return LogLinearBandit(features, rewards), logits[0]
        return LogLinearBandit(features, rewards, logits), np.zeros(self.dimension)

    def displacements(
        self, points: NDArray[np.float64], least: NDArray[np.float64], largest: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the displacements of the points, of lengths between least and largest."""
        raw = np.split(points, self.cuts, axis=1)[3]
        length = np.linalg.norm(raw, axis=1)
        direction = raw / np.where(length > 0, length, 1.0)[:, None]
        return lengths(least, largest, np.minimum(length, 1.0))[:, None] * direction

    def _decode(
        self, points: NDArray[np.float64], patterns: NDArray[np.float64]
    ) -> list[NDArray[np.float64]]:
        free, logits, rewards, moved = np.split(points, self.cuts, axis=1)
        count, K, d = len(points), self.num_responses, self.dimension
        features = np.zeros((count, K, d))
        if self.pinned:
            features[:, 1, 0] = 1.0
            features[:, 2:] = free.reshape(count, K - 2, d)
        else:
            features[:] = free.reshape(count, K, d)
        if self.rewards != "real":
            rewards = patterns
        if self.success is not None:
            logits = _hold_success(logits, patterns == 1, self.success)
        return [features, logits, rewards, moved]


def lengths(
    least: NDArray[np.float64], largest: NDArray[np.float64], part: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the length a part of the way from the least to the largest: in logarithms, unless the least is 0."""
    ratio = largest / np.where(least > 0, least, 1.0)
    return np.where(least > 0, least * ratio**part, part * largest)


def _hold_success(
    logits: NDArray[np.float64], correct: NDArray[np.bool_], success: float
) -> NDArray[np.float64]:
    """Shift the logits of right and of wrong responses so that the right ones have the given probability."""
    for chosen, mass in [(correct, success), (~correct, 1 - success)]:
        total = np.log(np.where(chosen, np.exp(logits), 0.0).sum(axis=1, keepdims=True))
        logits = np.where(chosen, logits - total + np.log(mass), logits)
    return logits
