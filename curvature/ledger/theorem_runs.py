"""Runs for the rows about the theorems: exact expectations, random bandits that meet the premises, worst ratios."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from curvature.assumptions import check_cross_prompt, scale_regularity
from curvature.bandit import LogLinearBandit
from curvature.bounds import expected_run
from curvature.geometry import spectral_norm
from curvature.ledger.evidence import Evidence
from curvature.moments import Moments, moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import ArrayLike, NDArray

    from curvature.bounds import ExpectedRun
    from curvature.ledger.budget import Budget

    Array = NDArray[np.float64]

__all__ = [
    "STEPS",
    "TWO_RESPONSES",
    "PaperRun",
    "SampledRun",
    "compare",
    "coupled_bandits",
    "orthogonal_bandits",
    "paper_runs",
    "sampled_run",
]

STEPS = 40
"""T of the exact runs."""
TWO_RESPONSES = LogLinearBandit([np.eye(2)], [[1, 0]])
"""n = 1, K = 2, X = I."""
SUCCESSES = (0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95)
_LEVELS = 6
_LARGEST_M = 1e4


@dataclass(frozen=True)
class PaperRun:
    """An orthogonal bandit with the exact expectations of one of the paper's algorithms on it.

    Attributes
    ----------
    bandit : LogLinearBandit
        n prompts.
    theta : ndarray, shape (d,)
        θ₀.
    spectral_norm : float
        X, the largest of all prompts.
    success : ndarray, shape (n,)
        p₀.
    run : ExpectedRun
        At the paper's step.
    """

    bandit: LogLinearBandit
    theta: NDArray[np.float64]
    spectral_norm: float
    success: NDArray[np.float64]
    run: ExpectedRun


@dataclass(frozen=True)
class SampledRun:
    """A run of Algorithm 1 or 2 followed through every sequence of sampled prompts.

    Attributes
    ----------
    levels : tuple of Moments
        At t = 0 … T, all n^t parameters that the run may have reached, equally likely.
    cross_prompt : float
        M of assumption A4, the smallest for all of them.
    gradient_ratio, std_ratio : float
        R₁ and R₂ of assumption A5, the same.
    """

    levels: tuple[Moments, ...]
    cross_prompt: float
    gradient_ratio: float
    std_ratio: float


def compare(
    measured: ArrayLike,
    bound: ArrayLike,
    *,
    unit: str = "",
    witness: Callable[[tuple[int, ...]], Mapping[str, Any]] | None = None,
) -> Evidence:
    """Find the place where measured/bound is largest; every entry is an instance.

    Ours. Kind: evidence.

    Parameters
    ----------
    measured, bound : array_like
        The sides of measured ≤ bound, which broadcast. A bound of at most 0 that is exceeded has the ratio ∞.
    unit : str
        What both are multiples of.
    witness : callable, optional
        Describes the instance of an index.

    Returns
    -------
    Evidence
        Of no instances, ratio 0, where the arrays are empty.

    Examples
    --------
    >>> compare([1.0, 3.0], 4.0)
    Evidence(measured=3.0, bound=4.0, ratio=0.75, instances=2, unit='')
    """
    left, right = np.broadcast_arrays(np.asarray(measured, float), np.asarray(bound, float))
    if left.size == 0:
        return Evidence(np.nan, np.nan, 0.0, 0, unit)
    positive = right > 0
    ratio = np.where(positive, left / np.where(positive, right, 1.0), np.where(left > right, np.inf, 0.0))
    ratio = np.where(np.isnan(left) | np.isnan(right), np.inf, ratio)
    at = tuple(int(i) for i in np.unravel_index(int(ratio.argmax()), ratio.shape))
    told = None if witness is None else witness(at)
    return Evidence(float(left[at]), float(right[at]), float(ratio[at]), left.size, unit, told)


def orthogonal_bandits(budget: Budget) -> Iterator[tuple[LogLinearBandit, Array]]:
    """Draw bandits that satisfy A1 and A2, with a θ₀: random ones, then two arms at fixed success rates.

    Ours. Kind: evidence.

    Parameters
    ----------
    budget : Budget
        A hundredth of its instances are drawn, at least 6.

    Yields
    ------
    tuple of (LogLinearBandit, ndarray of shape (d,))
        One to four prompts, two to six responses, any rank, logits of order 1 at θ₀.
    """
    yield TWO_RESPONSES, np.zeros(2)
    rng = budget.generator("orthogonal bandits of the theorems")
    for _ in range(max(6, budget.instances // 100)):
        n, K = int(rng.integers(1, 5)), int(rng.integers(2, 7))
        diameter = 10 ** rng.uniform(-1, 1)
        options: dict[str, Any] = {"rank": int(rng.integers(1, K)), "seed": int(rng.integers(2**32))}
        bandit = LogLinearBandit.orthogonal(n, K, diameter=diameter, **options)
        yield bandit, rng.standard_normal(bandit.dimension) * 3 / diameter
    for p in SUCCESSES:
        for n in (1, 3):
            yield LogLinearBandit.two_arm([p] * n), np.zeros(n)


@lru_cache(maxsize=2)
def paper_runs(method: Literal["reinforce", "grpo"], budget: Budget) -> tuple[PaperRun, ...]:
    """Run the paper's algorithm on :func:`orthogonal_bandits`, in exact expectation, at the paper's step.

    Ours. Kind: evidence.

    Parameters
    ----------
    method : {"reinforce", "grpo"}
        Algorithm 1 with η = 1/X², or Algorithm 2 with η = 1/(2X²).
    budget : Budget
        Which bandits.

    Returns
    -------
    tuple of PaperRun
        Of 40 steps each.
    """
    runs = []
    for bandit, theta in orthogonal_bandits(budget):
        run = expected_run(bandit, method, STEPS, theta0=theta)
        X = float(spectral_norm(bandit).max())
        runs.append(PaperRun(bandit, theta, X, run.own_expected_reward[0], run))
    return tuple(runs)


def coupled_bandits(budget: Budget) -> Iterator[LogLinearBandit]:
    """Draw two or three prompts that satisfy A1 and, at θ = 0, A4: gradients that pull the same way.

    Ours. Kind: evidence.

    Parameters
    ----------
    budget : Budget
        A hundredth of its instances are drawn, at least 6.

    Yields
    ------
    LogLinearBandit
        Two arms of any overlap, or prompts of the same features and answer under different base policies.
    """
    rng = budget.generator("coupled bandits")
    for index in range(max(6, budget.instances // 100)):
        n = int(rng.integers(2, 4))
        if index % 2:
            yield LogLinearBandit.two_arm(rng.uniform(0.03, 0.97, n), overlap=float(rng.uniform(0, 1)))
            continue
        K, d = int(rng.integers(2, 5)), int(rng.integers(1, 4))
        one = LogLinearBandit.gaussian(1, K, d, rewards="one_correct", seed=int(rng.integers(2**32)))
        base = rng.standard_normal((n, K))
        yield LogLinearBandit(np.repeat(one.features, n, axis=0), np.repeat(one.rewards, n, axis=0), base)


def sampled_run(
    bandit: LogLinearBandit,
    method: Literal["reinforce", "grpo"],
    step_of: Callable[[float, float, float], float],
) -> SampledRun | None:
    """Follow every sequence of sampled prompts for 6 steps (4 for three prompts), at a step made of M, R₁ and R₂.

    The step depends on constants of the run and the run on the step: the constants are raised until they hold
    everywhere on the run that they give.

    Ours. Kind: evidence.

    Parameters
    ----------
    bandit : LogLinearBandit
        Of two or three prompts; the run starts at θ = 0.
    method : {"reinforce", "grpo"}
        Algorithm 1 or 2.
    step_of : callable
        η from M, R₁ and R₂.

    Returns
    -------
    SampledRun or None
        With the constants that the step was made of; None where A4 or A5 fails on the run.
    """
    X = float(spectral_norm(bandit).max())
    assert X > 0
    used = np.array([1e-3, 1.0, 1.0])
    for _ in range(20):
        thetas = np.zeros((1, bandit.dimension))
        levels, needed = [], used
        for _ in range(_LEVELS + 1 if bandit.num_prompts == 2 else _LEVELS - 1):
            at = moments(bandit, thetas)
            levels.append(at)
            M = check_cross_prompt(bandit, thetas).constant
            scales = scale_regularity(bandit, thetas)
            needed = np.maximum(needed, [M, scales.gradient_ratio, scales.std_ratio])
            if not needed.max() < _LARGEST_M:
                return None
            weights = 1.0 if method == "reinforce" else 1 / at.reward_std[..., None]
            moves = float(step_of(*used)) * weights * at.gradient
            thetas = (thetas[:, None, :] + moves).reshape(-1, bandit.dimension)
        if (needed <= used).all():
            return SampledRun(tuple(levels), *(float(value) for value in used))
        used = np.maximum(used, needed * 1.001)
    return None
