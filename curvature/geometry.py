"""The shape of each prompt's features: diameter, enclosing radius, spectral norm, centring.

The bounds of :mod:`curvature.bounds` see a prompt's features φ_1 … φ_K through one number. Ours use the
*diameter* D = max ‖φ_i − φ_j‖ and the paper's the *spectral norm* X = ‖(φ_1 … φ_K)ᵀ‖. The diameter, like the
policy itself, does not change when all features of a prompt are shifted by a vector; the spectral norm does.
Subtracting the mean is the shift that makes it smallest (I − 11ᵀ/K is the orthogonal projection that removes
every shift), so :func:`center` tightens every bound of the paper at no cost: the policy stays the same.

D ≤ √2·X, and the *enclosing radius* R of the smallest ball that holds the features obeys D/2 ≤ R ≤
D·√(m/(2(m + 1))) < D/√2 in m dimensions (Jung's theorem; the regular simplex reaches it).
"""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature._enclosing import ball_radius

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["center", "enclosing_radius", "feature_diameter", "spectral_norm"]

# Pairwise distances are formed in blocks of at most this many (32 MiB of float64).
_BLOCK = 2**22


def feature_diameter(bandit_or_features: Any) -> NDArray[np.float64]:
    """Give the largest distance between two responses of each prompt: D = max ‖φ_i − φ_j‖.

    Ours, theory II.0. Kind: identity.
    Holds when: always.

    Parameters
    ----------
    bandit_or_features : LogLinearBandit or array_like
        A bandit, of which only the existing responses count, or features of shape (..., K, d).

    Returns
    -------
    ndarray, shape (n,) or (...)
        D of each prompt; 0 for a prompt with one response.

    Raises
    ------
    ValueError
        If the features are not of shape (..., K, d) or not finite.

    Notes
    -----
    Symbols: D. The farthest pair is found from inner products relative to one of the responses, where they
    cancel no worse than about 1e-13·D², and its distance is computed from the features themselves.

    Examples
    --------
    >>> float(feature_diameter([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]]))
    5.0
    """
    features, mask = _features_and_mask(bandit_or_features)
    filled = _fill_missing(features, mask)
    exponent, points = _scaled_differences(filled)
    first, second = _farthest_pairs(points)
    prompts = np.arange(len(filled))
    with np.errstate(under="ignore"):
        gap = np.ldexp(filled[prompts, first] - filled[prompts, second], -exponent[:, None])
        diameter = np.ldexp(np.sqrt(np.sum(gap * gap, axis=-1)), exponent)
    return _like_input(diameter, bandit_or_features)


def enclosing_radius(bandit_or_features: Any) -> NDArray[np.float64]:
    """Give the radius of the smallest ball that holds each prompt's features: R = min_c max_i ‖φ_i − c‖.

    Ours, theory II.0. Kind: identity.
    Holds when: always.

    Parameters
    ----------
    bandit_or_features : LogLinearBandit or array_like
        A bandit, of which only the existing responses count, or features of shape (..., K, d).

    Returns
    -------
    ndarray, shape (n,) or (...)
        R of each prompt, never below the true value by more than rounding and never above it by more than
        1e-10 relative; 0 for a prompt with one response.

    Raises
    ------
    ValueError
        If the features are not of shape (..., K, d) or not finite.
    RuntimeError
        If the certified relative error stays above 1e-10; the message gives it and the prompt.

    Notes
    -----
    Symbols: R. The centre is Σλ_iφ_i with λ in the simplex maximising the concave Σλ_i‖φ_i − c‖², found by
    adding the farthest point to the support and dropping those whose weight would turn negative. Any such λ
    bounds R² from below and the farthest point bounds R from above: the gap between them is the certificate.

    Examples
    --------
    >>> round(float(enclosing_radius([[0.0, 0.0], [2.0, 0.0], [1.0, 0.5]])), 12)
    1.0
    """
    features, mask = _features_and_mask(bandit_or_features)
    exponent, points = _scaled_differences(_fill_missing(features, mask))
    radius = np.array([ball_radius(prompt, i) for i, prompt in enumerate(points)])
    return _like_input(np.ldexp(radius, exponent), bandit_or_features)


def spectral_norm(bandit_or_features: Any) -> NDArray[np.float64]:
    """Give the spectral norm of each prompt's feature matrix: X = ‖X_x‖₂, its largest singular value.

    The paper's X_max is the largest of these, arXiv:2601.23135v1, section 3.1. Kind: identity.
    Holds when: always. Not unchanged by a shift of the features: see :func:`center`.

    Parameters
    ----------
    bandit_or_features : LogLinearBandit or array_like
        A bandit, of which only the existing responses count, or features of shape (..., K, d).

    Returns
    -------
    ndarray, shape (n,) or (...)
        X of each prompt.

    Raises
    ------
    ValueError
        If the features are not of shape (..., K, d) or not finite.

    Notes
    -----
    Symbols: X.

    Examples
    --------
    >>> round(float(spectral_norm([[1.0, 1.0], [1.0, -1.0]])), 12)
    1.414213562373
    """
    features, mask = _features_and_mask(bandit_or_features)
    exponent = _exponent(features)
    with np.errstate(under="ignore"):
        rows = np.ldexp(np.where(mask[..., None], features, 0.0), -exponent[:, None, None])
        flat = rows if rows.shape[1] <= rows.shape[2] else rows.swapaxes(1, 2)
        # The largest eigenvalue of a Gram matrix is as accurate as a singular value: only the small ones suffer.
        largest = np.linalg.eigvalsh(flat @ flat.swapaxes(1, 2))[:, -1]
        norm = np.ldexp(np.sqrt(np.maximum(largest, 0.0)), exponent)
    return _like_input(norm, bandit_or_features)


def center(bandit_or_features: Any) -> Any:
    """Subtract from each prompt's features their mean over the existing responses: φ_i − (1/K)Σ_jφ_j.

    The policy, and with it every moment and every Hessian, is unchanged at every θ; the diameter too. The
    spectral norm falls to the smallest that any shift gives, and every bound of the paper with it.

    Ours, theory II.0. Kind: identity.
    Holds when: always.

    Parameters
    ----------
    bandit_or_features : LogLinearBandit or array_like
        A bandit, or features of shape (..., K, d).

    Returns
    -------
    LogLinearBandit or ndarray
        A new bandit with centred features, zero where a response does not exist; an array when given one.

    Raises
    ------
    ValueError
        If the features are not of shape (..., K, d) or not finite.
    TypeError
        If given an object with features that is not a dataclass, so that no changed copy can be made of it.

    Examples
    --------
    >>> center([[1.0, 5.0], [3.0, 5.0]])
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    features, mask = _features_and_mask(bandit_or_features)
    count = mask.sum(axis=1)[:, None, None]
    kept = np.where(mask[..., None], features, 0.0)
    # Dividing before adding keeps features near the largest float from overflowing.
    mean = np.sum(kept / count, axis=1, keepdims=True)
    centred = np.where(mask[..., None], features - mean, 0.0)
    if not hasattr(bandit_or_features, "features"):
        return centred.reshape(np.shape(bandit_or_features))
    if not is_dataclass(bandit_or_features) or isinstance(bandit_or_features, type):
        name = type(bandit_or_features).__name__
        raise TypeError(
            f"center needs a LogLinearBandit or an array, got {name}; give it the array of features."
        )
    return replace(bandit_or_features, features=centred)


def _features_and_mask(source: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read features as (n, K, d), and the mask of existing responses as (n, K).

    Returns
    -------
    features, mask : ndarrays
        Both in float64 and bool; a single (K, d) array becomes one prompt.

    Raises
    ------
    ValueError
        If the shape is wrong, a value is not finite or a prompt has no response.
    """
    features = np.asarray(getattr(source, "features", source), dtype=np.float64)
    if features.ndim < 2 or 0 in features.shape[-2:]:
        raise ValueError(
            f"features must have shape (..., K, d) with K and d at least 1, got shape {features.shape}."
        )
    features = features.reshape(-1, *features.shape[-2:])
    mask = getattr(source, "mask", None) if hasattr(source, "features") else None
    mask = np.ones(features.shape[:2], dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if mask.shape != features.shape[:2]:
        raise ValueError(
            f"mask must have shape {features.shape[:2]}, one entry a response, got {mask.shape}."
        )
    empty = ~mask.any(axis=1)
    if empty.any():
        raise ValueError(f"prompt {int(np.argmax(empty))} has no response; give every prompt at least one.")
    bad = ~np.isfinite(features) & mask[..., None]
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"features must be finite, got {features[where]} at index {where}.")
    return features, mask


def _like_input(values: NDArray[np.float64], source: Any) -> NDArray[np.float64]:
    shape = (-1,) if hasattr(source, "features") else np.shape(source)[:-2]
    return values.reshape(shape)[()]


def _fill_missing(features: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    # A copy of an existing response changes neither the diameter nor the ball.
    first = features[np.arange(len(features)), mask.argmax(axis=1)]
    return np.where(mask[..., None], features, first[:, None, :])


def _exponent(features: NDArray[np.float64]) -> NDArray[np.int32]:
    """Give, per prompt, the power of two that scales the largest entry into [1/2, 1): scaling is then exact.

    Returns
    -------
    ndarray of int, shape (n,)
        The exponents.
    """
    return np.frexp(np.abs(features).max(axis=(1, 2)))[1]


def _scaled_differences(filled: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Give each prompt's features relative to its first, scaled to largest entry in [1/2, 1).

    Returns
    -------
    exponent : ndarray of int, shape (n,)
        The powers of two taken out.
    points : ndarray, shape (n, K, d)
        The scaled differences; equal responses stay exactly equal.

    Raises
    ------
    ValueError
        If a difference of two features overflows.
    """
    with np.errstate(over="ignore"):
        points = filled - filled[:, :1]
    if not np.isfinite(points).all():
        raise ValueError(
            "features must differ by less than 1.8e308, the largest float; got a larger difference."
        )
    exponent = _exponent(points)
    with np.errstate(under="ignore"):
        return exponent, np.ldexp(points, -exponent[:, None, None])


def _farthest_pairs(points: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    n, K, _ = points.shape
    rows = min(K, max(1, _BLOCK // K))
    prompts = max(1, _BLOCK // (K * rows))
    squares = np.sum(points * points, axis=-1)
    first, second = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.intp)
    for start in range(0, n, prompts):
        chunk = slice(start, start + prompts)
        best = np.full(len(points[chunk]), -np.inf)
        for row in range(0, K, rows):
            block = slice(row, row + rows)
            gram = points[chunk, block] @ points[chunk].swapaxes(1, 2)
            distances = squares[chunk, block, None] + squares[chunk, None, :] - 2 * gram
            flat = distances.reshape(len(best), -1)
            index = flat.argmax(axis=1)
            value = flat[np.arange(len(best)), index]
            better = value > best
            best = np.where(better, value, best)
            first[chunk] = np.where(better, row + index // K, first[chunk])
            second[chunk] = np.where(better, index % K, second[chunk])
    return first, second
