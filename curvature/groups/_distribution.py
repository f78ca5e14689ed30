"""A distribution of success rates over prompts, and a number with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Interval:
    """A number with an interval and how they were made.

    Attributes
    ----------
    value, low, high : float
        low ≤ value ≤ high; low and high are NaN where no interval can be given, and `method` says why.
    method : str
        One short sentence: estimator, interval, what is resampled.
    level : float
        Nominal coverage.
    """

    value: float
    low: float
    high: float
    method: str
    level: float = 0.95


@dataclass(frozen=True)
class SuccessDistribution:
    """A distribution F of success rates over prompts: weights on points.

    Attributes
    ----------
    support : ndarray, shape (m,)
        Success rates in [0, 1].
    weights : ndarray, shape (m,)
        Their shares of the prompts; they sum to 1.
    method : str
        How it was made.
    gradient_gap : float
        For method "nonparametric" the certificate of its maximum: no distribution on the same points has a
        log-likelihood a group that is larger by more than this. NaN otherwise.
    """

    support: NDArray[np.float64]
    weights: NDArray[np.float64]
    method: str = "given"
    gradient_gap: float = np.nan

    def __post_init__(self) -> None:
        support, weights = np.asarray(self.support, dtype=float), np.asarray(self.weights, dtype=float)
        if support.ndim != 1 or support.shape != weights.shape or not support.size:
            raise ValueError(
                f"support has shape {support.shape} and weights {weights.shape}; (m,) is needed of both."
            )
        if not ((support >= 0) & (support <= 1)).all():
            raise ValueError(
                f"support must lie in [0, 1], got {support[~((support >= 0) & (support <= 1))][0]}."
            )
        if not (weights >= 0).all() or not abs(weights.sum() - 1.0) < 1e-6:
            raise ValueError(
                f"weights must be at least 0 and sum to 1, got least {weights.min()}, sum {weights.sum()}."
            )
        object.__setattr__(self, "support", support)
        object.__setattr__(self, "weights", weights)

    def mean(self, f: Callable[[NDArray[np.float64]], Any]) -> float:
        """Return the mean over prompts, E f(p) = Σ_j w_j f(p_j).

        Ours. Kind: identity.

        Parameters
        ----------
        f : callable
            Takes success rates of shape (m,) and returns numbers of that shape.

        Returns
        -------
        float
            The mean.

        Examples
        --------
        >>> round(SuccessDistribution([0.2, 0.5], [0.5, 0.5]).mean(lambda p: p**2), 3)
        0.145
        """
        return float(self.weights @ np.asarray(f(self.support), dtype=float))

    @property
    def success_mean(self) -> float:
        """Mean success rate, E p."""
        return float(self.weights @ self.support)

    @property
    def variance_mean(self) -> float:
        """Mean reward variance within prompts, E p(1 − p)."""
        return float(self.weights @ (self.support * (1.0 - self.support)))

    @property
    def std_mean(self) -> float:
        """Mean reward std within prompts, E √(p(1 − p))."""
        return float(self.weights @ np.sqrt(self.support * (1.0 - self.support)))

    def sample(self, num: int, *, seed: int = 0) -> NDArray[np.float64]:
        """Draw the success rates of new prompts, p_i ~ F.

        Ours.

        Parameters
        ----------
        num : int
            How many.
        seed : int
            Of the draws.

        Returns
        -------
        ndarray, shape (num,)
            Success rates.

        Examples
        --------
        >>> SuccessDistribution([0.2, 0.5], [0.5, 0.5]).sample(4).tolist()
        [0.5, 0.2, 0.2, 0.2]
        """
        return np.random.default_rng(seed).choice(self.support, size=num, p=self.weights / self.weights.sum())
