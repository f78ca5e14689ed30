"""Group advantages of 10⁶ rewards in groups of 8, beside the copy of the array and what a user would write.

Binary rewards, and standard normal scores where the digits of the rewards matter. Every contender of a work is
timed in turn, round after round in one process, so that a busy machine slows all of them alike; medians over the
rounds. One thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.timing import print_table, race
from curvature.advantages import Normalization, group_advantages

NUM_REWARDS, GROUP_SIZE, EPS = 1_000_000, 8, 1e-6
OURS = "group_advantages"


def _numpy_rows(rewards: np.ndarray) -> np.ndarray:
    return (rewards - rewards.mean(1, keepdims=True)) / (rewards.std(1, keepdims=True) + EPS)


def _numpy_bincount(rewards: np.ndarray, ids: np.ndarray) -> np.ndarray:
    counts = np.bincount(ids)
    centred = rewards - (np.bincount(ids, weights=rewards) / counts)[ids]
    std = np.sqrt(np.bincount(ids, weights=centred * centred) / counts)
    return centred / (std[ids] + EPS)


def _pandas(rewards: np.ndarray, ids: np.ndarray) -> np.ndarray:
    import pandas as pd

    series = pd.Series(rewards)
    groups = series.groupby(ids)
    return ((series - groups.transform("mean")) / (groups.transform("std") + EPS)).to_numpy()


def _torch_rows(rewards: np.ndarray) -> Callable[[], Any]:
    import torch

    tensor = torch.from_numpy(rewards)

    def rows() -> Any:
        table = tensor.reshape(-1, GROUP_SIZE)
        return (table - table.mean(1, keepdim=True)) / (table.std(1, keepdim=True) + EPS)

    return rows


def _contenders(dtype: type, rng: np.random.Generator) -> dict[str, dict[str, Callable[[], Any]]]:
    number = NUM_REWARDS // GROUP_SIZE
    flat = (rng.random(number * GROUP_SIZE) < 0.3).astype(dtype)
    scores = rng.standard_normal(flat.size).astype(dtype)
    rows = flat.reshape(number, GROUP_SIZE)
    runs = np.repeat(np.arange(number), GROUP_SIZE)
    shuffled = rng.permutation(runs)
    ragged = np.sort(rng.integers(number, size=flat.size))
    preset = Normalization(ddof=1, eps=EPS)
    torch_rows, name = _torch_rows(flat), np.dtype(dtype).name
    return {
        f"(n, G) array, {name}": {
            OURS: lambda: group_advantages(rows, preset=preset),
            "np.copy": lambda: np.copy(rows),
            "torch reshape, mean, std": torch_rows,
            "numpy mean, std": lambda: _numpy_rows(rows),
        },
        f"flat, contiguous ids, {name}": {
            OURS: lambda: group_advantages(flat, runs, preset),
            "np.copy": lambda: np.copy(flat),
            "torch reshape, mean, std": torch_rows,
            "numpy bincount": lambda: _numpy_bincount(flat, runs),
            "pandas groupby": lambda: _pandas(flat, runs),
        },
        f"flat, ragged contiguous ids, {name}": {
            OURS: lambda: group_advantages(flat, ragged, preset),
            "np.copy": lambda: np.copy(flat),
            "numpy unique, bincount": lambda: _numpy_bincount(
                flat, np.unique(ragged, return_inverse=True)[1]
            ),
            "pandas groupby": lambda: _pandas(flat, ragged),
        },
        f"flat, shuffled ids, {name}": {
            OURS: lambda: group_advantages(flat, shuffled, preset),
            "np.copy": lambda: np.copy(flat),
            "numpy bincount": lambda: _numpy_bincount(flat, shuffled),
            "pandas groupby": lambda: _pandas(flat, shuffled),
        },
        f"scores, shuffled ids, {name}": {
            OURS: lambda: group_advantages(scores, shuffled, preset),
            "np.copy": lambda: np.copy(scores),
            "numpy bincount": lambda: _numpy_bincount(scores, shuffled),
            "pandas groupby": lambda: _pandas(scores, shuffled),
        },
    }


def run(rounds: int = 9, seed: int = 0) -> list[dict[str, Any]]:
    """Return one row a work and contender, with the median time and its ratio to ours.

    Parameters
    ----------
    rounds : int, default 9
        How often each contender is timed.
    seed : int, default 0
        Seed of the rewards and of the shuffled ids.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    try:
        for dtype in (np.float64, np.float32):
            for work, contenders in _contenders(dtype, np.random.default_rng(seed)).items():
                title = f"advantages of {NUM_REWARDS:,} rewards, G = {GROUP_SIZE}: {work}"
                rows += race(title, contenders, rounds, warm=True)
    finally:
        torch.set_num_threads(threads)
    return rows


if __name__ == "__main__":
    print_table(run())
