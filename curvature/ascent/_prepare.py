"""From a bandit and seeds to the arrays that the compiled engine reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.ascent._layout import INTERFERENCE, Plan, Problem
from curvature.geometry import feature_diameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.bandit import LogLinearBandit


def aligned_zeros(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Make an array of zeros that starts at a multiple of 64 bytes: vectors across cache lines cost double.

    Parameters
    ----------
    shape : tuple of int
        Its shape.

    Returns
    -------
    ndarray
        The array.
    """
    size = int(np.prod(shape))
    raw = np.zeros(size + 8)
    skipped = -raw.ctypes.data % 64 // 8
    return raw[skipped : skipped + size].reshape(shape)


def lay_out(bandit: LogLinearBandit, plan: Plan, *, panels: bool = True, singles: bool = True) -> Problem:
    """Lay a bandit out for the engine, with those derived arrays that the runs will read.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts, K responses, dimension d.
    plan : Plan
        Decides which derived arrays are needed.
    panels, singles : bool
        Whether panels of runs and single runs will read it: each has its own transpose of the features.

    Returns
    -------
    Problem
        All arrays contiguous float64.
    """
    from curvature.interference import overlap_matrix, span_bases

    features = bandit.centered_features
    n, K, d = features.shape
    span = bandit.span_coordinates if plan.norms else np.zeros((n, K, 0))
    basis = span_bases(bandit) if plan.lengths else np.zeros((0, 0, d))
    return Problem(
        features=_own(features),
        columns=_own(features.reshape(n * K, d).T if panels else np.zeros((0, 0))),
        lane_columns=_own(features.transpose(2, 1, 0).reshape(d, K * n) if singles else np.zeros((0, 0))),
        rewards=_own(bandit.rewards.T),
        base=_own(bandit.base_logits.T),
        own_rewards=_own(bandit.rewards),
        own_base=_own(bandit.base_logits),
        weights=_own(bandit.prompt_weights),
        cumulative_weights=_own(np.cumsum(bandit.prompt_weights)),
        diameters=_own(feature_diameter(bandit) if plan.lengths else np.zeros(0)),
        span=_own(span.transpose(0, 2, 1)),
        lane_span=_own(span.transpose(2, 1, 0)),
        basis=_own(basis.reshape(basis.shape[0] * basis.shape[1], d)),
        overlap=_own(overlap_matrix(bandit) if plan.weighting == INTERFERENCE else np.zeros((0, 0))),
        limit=1e300 / max(1.0, float(np.abs(features).max())),
    )


def _own(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Copy into an aligned, writable, row-major array: the engine is compiled for no other."""
    copy = aligned_zeros(array.shape)
    copy[...] = array
    return copy


def run_keys(seeds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Give each seed two 64-bit keys, hashed apart by numpy's SeedSequence.

    Parameters
    ----------
    seeds : ndarray of uint64, shape (R,)
        Seeds of the runs.

    Returns
    -------
    ndarray of uint64, shape (2, R)
        The keys; equal for equal seeds.
    """
    unique, inverse = np.unique(seeds, return_inverse=True)
    words = np.array([np.random.SeedSequence(int(seed)).generate_state(2, np.uint64) for seed in unique])
    return np.ascontiguousarray(words[inverse].T, dtype=np.uint64)
