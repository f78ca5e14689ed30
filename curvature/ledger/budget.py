"""How hard to try, and the random instances that come of it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from curvature.bandit import LogLinearBandit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.adversary import RewardChoice

__all__ = ["Budget", "random_instances"]

_SPREAD = 30.0

# (K, d) of the random instances, in equal shares.
_RANDOM_SHAPES = ((2, 1), (2, 3), (3, 1), (3, 2), (4, 3), (5, 8), (8, 2), (16, 4), (32, 8))


@dataclass(frozen=True)
class Budget:
    """How hard to try.

    Attributes
    ----------
    instances : int
        Random instances a claim, at least.
    seed : int
        Of all draws. Every claim and every search has a generator of its own, so the order of claims and the
        number of processes change nothing.
    starts, restarts : int
        As in :func:`curvature.adversary.worst_case`, for each (K, d).

    Raises
    ------
    ValueError
        If a count is below 1 or the seed below 0.

    Examples
    --------
    >>> Budget(instances=100).seed
    0
    """

    instances: int = 10_000
    seed: int = 0
    starts: int = 400
    restarts: int = 3

    def __post_init__(self) -> None:
        for name, least in [("instances", 1), ("starts", 1), ("restarts", 1), ("seed", 0)]:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; a whole number of at least {least} is needed.")

    def generator(self, name: str) -> np.random.Generator:
        """Return the generator that belongs to a name.

        Parameters
        ----------
        name : str
            Of a claim, an inequality or a set of instances.

        Returns
        -------
        numpy.random.Generator
            The same for the same seed and name.
        """
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])


@lru_cache(maxsize=4)
def random_instances(
    rewards: RewardChoice, budget: Budget
) -> tuple[tuple[LogLinearBandit, NDArray[np.float64]], ...]:
    """Draw bandits whose prompts are instances, one bandit a shape (K, d), each with a θ.

    Ours. Features are normal, of two clusters, or heavy-tailed, with a shift; θ is normal; base logits are zero
    for a third of the prompts and normal of scale .1 to 30, cut off at ±30, for the rest; θ·φ differs by at most
    30 within a prompt. So success probabilities run from e^−90 to 1 − e^−90.

    Parameters
    ----------
    rewards : {"one_correct", "binary", "real"}
        As in :func:`curvature.adversary.worst_case`; one in four real reward vectors is heavy-tailed.
    budget : Budget
        Its instances are shared out among the shapes.

    Returns
    -------
    tuple of (LogLinearBandit, ndarray of shape (d,))
        Prompt by prompt independent.

    Examples
    --------
    >>> instances = random_instances("binary", Budget(instances=90))
    >>> sum(bandit.num_prompts for bandit, _ in instances)
    90
    """
    rng = budget.generator(f"instances, {rewards} rewards")
    n = -(-budget.instances // len(_RANDOM_SHAPES))
    drawn = []
    for K, d in _RANDOM_SHAPES:
        base = rng.standard_normal((n, K)) * 10 ** rng.uniform(-1, 1.5, (n, 1))
        base = np.where(rng.random((n, 1)) < 1 / 3, 0.0, base)
        theta = rng.standard_normal(d)
        features = _features(rng, n, K, d)
        # Heavy-tailed features would make θ·φ so large that probabilities, or their squares, underflow.
        spread = np.ptp(features @ theta, axis=1)[:, None, None]
        features = features * np.minimum(1.0, _SPREAD / spread)
        base = np.clip(base, -_SPREAD, _SPREAD)
        drawn.append((LogLinearBandit(features, _rewards(rng, n, K, rewards), base), theta))
    return tuple(drawn)


def _features(rng: np.random.Generator, n: int, K: int, d: int) -> NDArray[np.float64]:
    normal = rng.standard_normal((n, K, d))
    clusters = np.where(rng.random((n, K, 1)) < 0.5, -1.0, 1.0) + 0.05 * normal
    heavy = normal * rng.pareto(1.5, (n, K, 1))
    kind = rng.integers(3, size=(n, 1, 1))
    features = np.choose(kind, [normal, clusters, heavy])
    shift = rng.standard_normal((n, 1, d)) * (rng.random((n, 1, 1)) < 0.5)
    return (features + shift) * 10 ** rng.uniform(-1, 1, (n, 1, 1))


def _rewards(rng: np.random.Generator, n: int, K: int, kind: RewardChoice) -> NDArray[np.float64]:
    if kind == "real":
        normal = rng.standard_normal((n, K))
        return np.where(rng.random((n, 1)) < 0.25, normal * rng.pareto(1.0, (n, K)), normal)
    correct = np.ones((n, 1)) if kind == "one_correct" else rng.integers(1, K, size=(n, 1))
    ranks = rng.permuted(np.tile(np.arange(K), (n, 1)), axis=1)
    return (ranks < correct).astype(np.float64)
