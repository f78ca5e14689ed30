"""Exact moments of a bandit at θ: expected reward, reward std, gradient and Hessian of every prompt's objective.

With p = π_θ(·|x), A = r − J, w = p∘A, φ̄ = φ − E φ, the identities used are (theory II.1)

    J = Σ p r,   σ² = Σ p A²,   ∇J = Cov(r, φ) = Σ w φ,   ∇²J = E[A φ̄φ̄ᵀ] = Σ w φ̄φ̄ᵀ.

Nothing is computed as a difference of two nearly equal numbers: features are centred per prompt, rewards are
taken relative to the reward of the likeliest response (so that A of that response is a small sum, not 1 − J),
the variance is a centred sum, and σ is formed from square roots of probabilities where its square underflows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from curvature.bandit import LogLinearBandit

__all__ = ["Moments", "hessian", "hessian_extremes", "hessian_vector_product", "moments"]

# Bytes of weighted features handled at a time: two such blocks and one Hessian stay in a core's L2 cache.
_BLOCK_BYTES = 1 << 19
# Below this the squares that make up σ² may have underflowed, and σ is formed without squaring.
_SMALL_VARIANCE = 1e-200


class Moments(NamedTuple):
    """What :func:`moments` returns; leading axes are those of theta.

    Attributes
    ----------
    expected_reward : ndarray, shape (..., n)
        J_x = E r; the success probability where rewards are binary.
    reward_std : ndarray, shape (..., n)
        σ_x = √Var r, the population standard deviation.
    gradient : ndarray, shape (..., n, d)
        ∇J_x.
    probabilities : ndarray, shape (..., n, K)
        π_θ(y|x), 0 for a response that does not exist.
    log_probabilities : ndarray, shape (..., n, K)
        log π_θ(y|x), exact where the probability underflows.
    """

    expected_reward: NDArray[np.float64]
    reward_std: NDArray[np.float64]
    gradient: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    log_probabilities: NDArray[np.float64]


class _State(NamedTuple):
    """Quantities of the policy at B parameters, runs last: shapes (n, K, B) and (n, B)."""

    log_probabilities: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    advantages: NDArray[np.float64]
    weighted: NDArray[np.float64]
    expected_reward: NDArray[np.float64]


def moments(bandit: LogLinearBandit, theta: ArrayLike) -> Moments:
    """Compute J = E r, σ = √Var r, ∇J = Cov(r, φ) and π of every prompt at θ.

    Ours, theory II.1; in the paper's case eqs (10)–(11) of arXiv:2601.23135v1 give the same gradient. Kind: identity.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, K responses, dimension d.
    theta : array_like, shape (..., d)
        Parameters; any leading axes are a batch.

    Returns
    -------
    Moments
        `.expected_reward` (..., n), `.reward_std` (..., n), `.gradient` (..., n, d),
        `.probabilities` (..., n, K), `.log_probabilities` (..., n, K).

    Raises
    ------
    ValueError
        If the last axis of theta is not d long or a value is not finite.

    Notes
    -----
    Symbols: J expected reward, σ reward std, π probabilities. The reward std keeps its relative accuracy for
    success probabilities down to e^−1400, and at 1 minus that.

    Examples
    --------
    >>> import numpy as np
    >>> from curvature import LogLinearBandit, moments
    >>> bandit = LogLinearBandit.two_arm([0.2, 0.5])
    >>> at_start = moments(bandit, np.zeros(2))
    >>> at_start.expected_reward.round(12).tolist(), at_start.reward_std.round(12).tolist()
    ([0.2, 0.5], [0.4, 0.5])
    >>> np.linalg.norm(at_start.gradient, axis=-1).round(12).tolist()
    [0.16, 0.25]
    """
    thetas, batch = _read_theta(bandit, theta)
    state = _state(bandit, thetas)
    gradient = np.matmul(np.swapaxes(bandit.centered_features, 1, 2), state.weighted)
    return Moments(
        _restore(state.expected_reward, batch),
        _restore(_reward_std(state), batch),
        _restore(gradient, batch),
        _restore(state.probabilities, batch),
        _restore(state.log_probabilities, batch),
    )


def hessian(bandit: LogLinearBandit, theta: ArrayLike) -> NDArray[np.float64]:
    """Compute ∇²J = E[(r − J) φ̄φ̄ᵀ] of every prompt at θ.

    Ours, theory II.1. Kind: identity.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, dimension d.
    theta : array_like, shape (..., d)
        Parameters; any leading axes are a batch.

    Returns
    -------
    ndarray, shape (..., n, d, d)
        Symmetric to rounding. For its extreme eigenvalues alone :func:`hessian_extremes` costs less when d > K.

    Raises
    ------
    ValueError
        If the last axis of theta is not d long or a value is not finite.

    Notes
    -----
    Symbols: J expected reward, r reward, φ̄ = φ − E φ.

    Examples
    --------
    >>> import numpy as np
    >>> from curvature import LogLinearBandit, hessian
    >>> hessian(LogLinearBandit.two_arm([0.2]), np.zeros(1)).round(12).tolist()  # p(1−p)(1−2p)D²
    [[[0.096]]]
    """
    thetas, batch = _read_theta(bandit, theta)
    return _hessians(bandit.centered_features, _state(bandit, thetas)).reshape(
        *batch, bandit.num_prompts, bandit.dimension, bandit.dimension
    )


def hessian_vector_product(
    bandit: LogLinearBandit, theta: ArrayLike, vector: ArrayLike
) -> NDArray[np.float64]:
    """Compute ∇²J v = Φᵀ[w∘(u − ū) − p (w·u)], u = Φv, of every prompt without forming a Hessian.

    Ours, theory II.1. Kind: identity.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, dimension d.
    theta : array_like, shape (..., d)
        Parameters.
    vector : array_like, shape (..., d)
        v, the same for all prompts; its leading axes broadcast with those of theta.

    Returns
    -------
    ndarray, shape (..., n, d)
        Memory and time of order n K d a product.

    Raises
    ------
    ValueError
        If the last axis of theta or vector is not d long, or a value is not finite.

    Notes
    -----
    Symbols: w = p∘(r − J), ū = p·u.

    Examples
    --------
    >>> import numpy as np
    >>> from curvature import LogLinearBandit, hessian_vector_product
    >>> hessian_vector_product(LogLinearBandit.two_arm([0.2]), [0.0], [2.0]).round(12).tolist()
    [[0.192]]
    """
    theta = np.asarray(theta, dtype=np.float64)
    vector = np.asarray(vector, dtype=np.float64)
    _check_last_axis(bandit, "theta", theta)
    _check_last_axis(bandit, "vector", vector)
    theta, vector = np.broadcast_arrays(theta, vector)
    thetas, batch = _read_theta(bandit, theta)
    state = _state(bandit, thetas)
    features = bandit.centered_features
    u = np.matmul(features, vector.reshape(-1, bandit.dimension).T)
    spread = u - (state.probabilities * u).sum(axis=1, keepdims=True)
    slope = (state.weighted * spread).sum(axis=1, keepdims=True)
    return _restore(
        np.matmul(np.swapaxes(features, 1, 2), state.weighted * spread - state.probabilities * slope), batch
    )


def hessian_extremes(bandit: LogLinearBandit, theta: ArrayLike) -> NDArray[np.float64]:
    """Compute [λ_min(∇²J), λ_max(∇²J)] of every prompt's full d×d Hessian, its zero eigenvalues included.

    Ours, theory II.1. Kind: identity. The largest of the two absolute values is the local curvature ‖∇²J_x‖₂.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, K responses, dimension d.
    theta : array_like, shape (..., d)
        Parameters; any leading axes are a batch.

    Returns
    -------
    ndarray, shape (..., n, 2)
        Smallest and largest eigenvalue. The smallest is ≤ 0 ≤ the largest whenever d ≥ K.

    Raises
    ------
    ValueError
        If the last axis of theta is not d long or a value is not finite.

    Notes
    -----
    A prompt's Hessian acts in the span of its centred features, of dimension at most K − 1. In an orthonormal
    basis of that span (one QR a bandit, kept) it is an m×m matrix, m = min(d, K − 1), with the same non-zero
    spectrum: the cost per θ does not depend on d when d ≥ K.

    Examples
    --------
    >>> import numpy as np
    >>> from curvature import LogLinearBandit, hessian_extremes
    >>> hessian_extremes(LogLinearBandit.two_arm([0.2, 0.9]), np.zeros(2)).round(12).tolist()
    [[0.0, 0.096], [-0.072, 0.0]]
    """
    thetas, batch = _read_theta(bandit, theta)
    coordinates = bandit.span_coordinates
    eigenvalues = np.linalg.eigvalsh(_hessians(coordinates, _state(bandit, thetas)))
    extremes = np.asarray(eigenvalues[..., [0, -1]], dtype=np.float64)
    if coordinates.shape[2] < bandit.dimension:
        extremes[..., 0] = np.minimum(extremes[..., 0], 0.0)
        extremes[..., 1] = np.maximum(extremes[..., 1], 0.0)
    return extremes.reshape(*batch, bandit.num_prompts, 2)


def _check_last_axis(bandit: LogLinearBandit, name: str, array: NDArray[np.float64]) -> None:
    if array.ndim == 0 or array.shape[-1] != bandit.dimension:
        raise ValueError(
            f"{name} has shape {array.shape}; its last axis must have the bandit's dimension, {bandit.dimension}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {array[~np.isfinite(array)][0]}; every value must be finite.")


def _read_theta(bandit: LogLinearBandit, theta: ArrayLike) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    array = np.asarray(theta, dtype=np.float64)
    _check_last_axis(bandit, "theta", array)
    return array.reshape(-1, bandit.dimension), array.shape[:-1]


def _restore(array: NDArray[np.float64], batch: tuple[int, ...]) -> NDArray[np.float64]:
    """Move the runs from the last axis to the batch axes in front, in memory of the caller's own."""
    runs_first = np.array(np.moveaxis(array, -1, 0), order="C")
    return runs_first.reshape(batch + runs_first.shape[1:])


def _state(bandit: LogLinearBandit, thetas: NDArray[np.float64]) -> _State:
    """Return the policy's state, and keep the last one: moments and Hessians are often asked for at one θ."""
    if len(thetas) != 1:
        return _new_state(bandit, thetas)
    key = thetas.tobytes()
    kept = bandit.__dict__.get("_last_state")
    if kept is None or kept[0] != key:
        kept = key, _new_state(bandit, thetas)
        bandit.__dict__["_last_state"] = kept
    return kept[1]


def _new_state(bandit: LogLinearBandit, thetas: NDArray[np.float64]) -> _State:
    logits = np.matmul(bandit.centered_features, thetas.T)
    logits += bandit.base_logits[..., None]
    mode = logits.argmax(axis=1)[:, None, :]
    logits -= np.take_along_axis(logits, mode, axis=1)
    probabilities = np.exp(logits)
    total = probabilities.sum(axis=1, keepdims=True)
    logits -= np.log(total)
    probabilities /= total
    rewards = np.broadcast_to(bandit.rewards[..., None], logits.shape)
    mode_reward = np.take_along_axis(rewards, mode, axis=1)
    advantages = rewards - mode_reward
    # Σ p (r − r_mode) has no term for the likeliest response: as that response takes over, this sum, and with it
    # its advantage, goes to zero with full relative accuracy.
    excess = (probabilities * advantages).sum(axis=1, keepdims=True)
    advantages -= excess
    return _State(
        logits, probabilities, advantages, probabilities * advantages, (mode_reward + excess)[:, 0, :]
    )


def _reward_std(state: _State) -> NDArray[np.float64]:
    variance = (state.weighted * state.advantages).sum(axis=1)
    std = np.sqrt(variance)
    small = variance < _SMALL_VARIANCE
    if small.any():
        prompt, run = np.nonzero(small)
        roots = np.exp(0.5 * state.log_probabilities[prompt, :, run]) * state.advantages[prompt, :, run]
        scale = np.abs(roots).max(axis=1, keepdims=True)
        safe = np.where(scale > 0, scale, 1.0)
        std[prompt, run] = scale[:, 0] * np.sqrt(((roots / safe) ** 2).sum(axis=1))
    return std


def _hessians(features: NDArray[np.float64], state: _State) -> NDArray[np.float64]:
    """Σ w φ̄φ̄ᵀ in the coordinates given: (B, n, m, m) from (n, K, m) features, in cache-sized blocks of prompts."""
    n, K, m = features.shape
    runs = state.weighted.shape[2]
    out = np.empty((runs, n, m, m))
    block = min(n, max(1, _BLOCK_BYTES // (8 * K * m)))
    centered = np.empty((block, K, m))
    scaled = np.empty((block, K, m))
    for run in range(runs):
        w = np.ascontiguousarray(state.weighted[:, :, run])[:, :, None]
        means = np.matmul(np.ascontiguousarray(state.probabilities[:, :, run])[:, None, :], features)
        for start in range(0, n, block):
            part = slice(start, min(start + block, n))
            size = part.stop - start
            np.subtract(features[part], means[part], out=centered[:size])
            np.multiply(centered[:size], w[part], out=scaled[:size])
            np.matmul(np.swapaxes(centered[:size], 1, 2), scaled[:size], out=out[run, part])
    return out
