"""Exact expectations of the paper's algorithms under assumption A2, without sampling.

With orthogonal prompts an update of one prompt leaves the others where they are, so what a prompt's objective
is at time t depends on one number only: how many of the t sampled prompts were this one, and that is
Binomial(t, 1/n). A prompt's state after k updates of its own is deterministic. Every expectation of Theorems
3.1 and 3.2 is therefore a finite sum with positive terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from curvature.assumptions import check_orthogonal
from curvature.bounds._theorem_inputs import read_count
from curvature.geometry import spectral_norm
from curvature.moments import moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from curvature.bandit import LogLinearBandit

__all__ = ["ExpectedRun", "binomial_expectation", "expected_run", "smallest_variance_bound"]

Method = Literal["reinforce", "grpo"]


@dataclass(frozen=True)
class ExpectedRun:
    """Exact expectations along a run of Algorithm 1 or 2, one prompt sampled a step; all of shape (T + 1, n).

    Row t of an expectation is time t = 0 … T; row k of an ``own_`` array is the prompt after k updates of its
    own, which is also a run of T full-batch steps.

    Attributes
    ----------
    method : str
        "reinforce" or "grpo".
    step : float
        η.
    expected_reward : ndarray
        E J_i(θ_t).
    reward_std : ndarray
        E σ_i(θ_t).
    gradient_norm : ndarray
        E‖∇J_i(θ_t)‖.
    squared_gradient : ndarray
        E‖∇J_i(θ_t)‖².
    weighted_gradient : ndarray
        E[‖∇J_i(θ_t)‖²/σ_i(θ_t)].
    own_expected_reward, own_reward_std, own_gradient_norm : ndarray
        J_i, σ_i and ‖∇J_i‖ after k updates.
    """

    method: str
    step: float
    expected_reward: NDArray[np.float64]
    reward_std: NDArray[np.float64]
    gradient_norm: NDArray[np.float64]
    squared_gradient: NDArray[np.float64]
    weighted_gradient: NDArray[np.float64]
    own_expected_reward: NDArray[np.float64]
    own_reward_std: NDArray[np.float64]
    own_gradient_norm: NDArray[np.float64]


def binomial_expectation(sequence: ArrayLike, num_prompts: int) -> NDArray[np.float64]:
    """Compute E f(N_t) = Σ_k Bin(k; t, 1/n) f(k) for t = 0 … T: f after k own updates, seen at time t.

    Ours; assumption A2 of arXiv:2601.23135v1 makes it the expectation over the sampled prompts. Kind: identity.
    Holds when: prompts are orthogonal and one of n is drawn uniformly a step.

    Parameters
    ----------
    sequence : array_like, shape (T + 1, ...)
        f(0) … f(T).
    num_prompts : int
        n.

    Returns
    -------
    ndarray, shape (T + 1, ...)
        E f(N_t).

    Raises
    ------
    ValueError
        If the sequence is empty or ``num_prompts`` is not a whole number of at least 1.

    Notes
    -----
    Costs T²/2 products. The probabilities come from Bin(t + 1) = (1 − 1/n)Bin(t) + (1/n)Bin(t) shifted: sums
    of positive terms, so each keeps its relative accuracy.

    Examples
    --------
    >>> binomial_expectation([0.0, 1.0, 2.0], num_prompts=4).tolist()  # E N_t = t/n
    [0.0, 0.25, 0.5]
    """
    values = np.asarray(sequence, dtype=np.float64)
    n = read_count("num_prompts", num_prompts)
    if values.ndim == 0 or len(values) == 0:
        raise ValueError(
            f"sequence has shape {values.shape}; (T + 1, ...) with at least one entry is needed."
        )
    if n == 1:
        return values.copy()
    flat = values.reshape(len(values), -1)
    out = np.empty_like(flat)
    probabilities = np.zeros(len(values))
    probabilities[0] = 1.0
    for t in range(len(values)):
        out[t] = probabilities[: t + 1] @ flat[: t + 1]
        moved = probabilities[:-1] / n
        probabilities *= 1 - 1 / n
        probabilities[1:] += moved
    return out.reshape(values.shape)


def smallest_variance_bound(own_reward_std: ArrayLike, num_prompts: int) -> NDArray[np.float64]:
    """Find the smallest C_{i,t} of assumption A3: the supremum of σ_i(θ_t) over all sampled sequences.

    Any number k ≤ t of own updates has positive probability when n ≥ 2, so C_{i,t} = max_{k≤t} σ_i(k), which
    never falls below σ_i(θ₀): the bounds of Theorems 3.2 and 3.4 then lose the gain they promise as σ → 0.
    For n = 1 the run is deterministic and C_{1,t} = σ_1(θ_t).

    Ours, on assumption A3 of arXiv:2601.23135v1. Kind: identity.
    Holds when: prompts are orthogonal and one of n is drawn uniformly a step.

    Parameters
    ----------
    own_reward_std : array_like, shape (T + 1, ...)
        σ_i after k own updates.
    num_prompts : int
        n.

    Returns
    -------
    ndarray, shape (T + 1, ...)
        C_{i,t} for t = 0 … T.

    Raises
    ------
    ValueError
        If ``num_prompts`` is not a whole number of at least 1.

    Notes
    -----
    Symbols: own_reward_std = σ, C.

    Examples
    --------
    >>> smallest_variance_bound([0.5, 0.4, 0.1], num_prompts=2).tolist()
    [0.5, 0.5, 0.5]
    >>> smallest_variance_bound([0.5, 0.4, 0.1], num_prompts=1).tolist()
    [0.5, 0.4, 0.1]
    """
    σ = np.asarray(own_reward_std, dtype=np.float64)
    return σ.copy() if read_count("num_prompts", num_prompts) == 1 else np.maximum.accumulate(σ, axis=0)


def expected_run(
    bandit: LogLinearBandit,
    method: Method,
    num_steps: int,
    *,
    step: float | None = None,
    theta0: ArrayLike | None = None,
) -> ExpectedRun:
    """Compute E J_i, E σ_i, E‖∇J_i‖, E‖∇J_i‖² and E‖∇J_i‖²/σ_i at t = 0 … T exactly.

    Implements Algorithms 1 and 2, arXiv:2601.23135v1, under assumption A2. Kind: identity.
    Holds when: the spans of the prompts' feature differences are orthogonal (checked).

    Parameters
    ----------
    bandit : LogLinearBandit
        n orthogonal prompts.
    method : {"reinforce", "grpo"}
        θ ← θ + η∇J_i, or θ ← θ + η∇J_i/σ_i, for the sampled prompt i.
    num_steps : int
        T.
    step : float, optional
        η; that of Theorem 3.1 (1/X²) or 3.2 (1/(2X²)) when left out, X = max ‖X_i‖.
    theta0 : array_like, shape (d,), optional
        θ₀; zero when left out.

    Returns
    -------
    ExpectedRun
        For every prompt.

    Raises
    ------
    ValueError
        If the prompts are not orthogonal, the method is unknown, or a number is out of range.

    Notes
    -----
    T + 1 evaluations of the moments, and T² products for each expectation. A prompt of zero std stays where it
    is under both methods.

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> run = expected_run(LogLinearBandit([np.eye(2)], [[1, 0]]), "grpo", num_steps=100)
    >>> round(float(run.squared_gradient[:-1].sum()), 4)
    0.4404
    """
    if method not in get_args(Method):
        raise ValueError(f"method is {method!r}; choose one of {', '.join(get_args(Method))}.")
    T = read_count("num_steps", num_steps)
    orthogonal = check_orthogonal(bandit, centered=True)
    if not orthogonal.holds:
        raise ValueError(
            f"prompts {orthogonal.where} overlap by {orthogonal.values[orthogonal.where]:.3g}; exact expectations "
            "need orthogonal prompts (assumption A2)."
        )
    X = float(spectral_norm(bandit).max())
    if step is None:
        if X == 0:
            raise ValueError("all features are 0, so the paper's step 1/X² is infinite; pass a step.")
        step = (1.0 if method == "reinforce" else 0.5) / X / X
    if not (np.isfinite(step) and step > 0):
        raise ValueError(f"step is {step}; a positive finite number is needed.")
    J, σ, g = _own_path(bandit, method, T, float(step), theta0)
    ratio = np.where(σ > 0, g / np.where(σ > 0, σ, 1.0), 0.0)
    quantities = np.stack([J, σ, g, g * g, ratio * g], axis=-1)
    EJ, Eσ, Eg, Eg2, weighted = np.moveaxis(binomial_expectation(quantities, bandit.num_prompts), -1, 0)
    return ExpectedRun(method, float(step), EJ, Eσ, Eg, Eg2, weighted, J, σ, g)


def _own_path(
    bandit: LogLinearBandit, method: str, num_steps: int, step: float, theta0: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Follow every prompt through T updates of its own: with orthogonal prompts, T steps of all at once.

    Returns
    -------
    expected_reward, reward_std, gradient_norm : ndarrays, shape (T + 1, n)
        Along the path.

    Raises
    ------
    ValueError
        If theta0 has the wrong shape.
    """
    theta = np.zeros(bandit.dimension) if theta0 is None else np.array(theta0, dtype=np.float64)
    if theta.shape != (bandit.dimension,):
        raise ValueError(f"theta0 has shape {theta.shape}; ({bandit.dimension},) is needed.")
    J, σ, norms = (np.empty((num_steps + 1, bandit.num_prompts)) for _ in range(3))
    for k in range(num_steps + 1):
        at = moments(bandit, theta)
        J[k], σ[k], norms[k] = at.expected_reward, at.reward_std, np.linalg.norm(at.gradient, axis=-1)
        weight = np.ones_like(σ[k]) if method == "reinforce" else 1 / np.where(σ[k] > 0, σ[k], np.inf)
        theta = theta + step * (weight[:, None] * at.gradient).sum(axis=0)
    return J, σ, norms
