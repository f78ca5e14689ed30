"""The counterfactual conventions as weights: A = scale·w·(r − mean), at one RMS advantage for all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.rollouts.findings import SCHEMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.rollouts._groups import Cells

    Array = NDArray[np.float64]

__all__ = ["StepSpreads", "Weights", "effective_weights", "shrunk_moments"]


@dataclass(frozen=True)
class StepSpreads:
    """What the conventions of a batch divide by, one entry a step."""

    batch_std: Array
    """Population std of all rewards of a step."""
    mean_std: Array
    """Mean σ̂ of a step's groups, silent ones among them."""

    @classmethod
    def of(cls, cells: Cells) -> StepSpreads:
        """Pool the cells of each step: variance within plus variance between."""

        def total(values: NDArray[Any]) -> Array:
            return np.asarray(np.bincount(cells.step, weights=values), dtype=np.float64)

        rewards, groups = total(cells.number * cells.size), total(cells.number.astype(float))
        mean = total(cells.number * cells.size * cells.score) / rewards
        between = (cells.score - mean[cells.step]) ** 2
        pooled = total(cells.number * cells.size * (cells.variance + between)) / rewards
        return cls(np.sqrt(pooled), total(cells.number * cells.std) / groups)


@dataclass(frozen=True)
class Weights:
    """The weight of each scheme in each cell, 0 in silent ones, scaled to one RMS advantage over the log."""

    cells: Cells
    spreads: StepSpreads

    @classmethod
    def of(cls, cells: Cells) -> Weights:
        """Weigh the cells of a log."""
        return cls(cells, StepSpreads.of(cells))

    @cached_property
    def rms(self) -> float:
        """The RMS advantage of all schemes: that of (r − mean)/σ̂, which leaves only silent groups at 0."""
        rewards = self.cells.number * self.cells.size
        return float(np.sqrt(rewards[self.cells.variance > 0].sum() / rewards.sum()))

    @cached_property
    def scale(self) -> dict[str, float]:
        """The factor that brings each scheme to that RMS; 1 where nothing is to be scaled."""
        return {name: self._scale_of(raw) for name, raw in self._raw.items()}

    def __getitem__(self, scheme: str) -> Array:
        return self.scale[scheme] * self._raw[scheme]

    @cached_property
    def _raw(self) -> dict[str, Array]:
        cells, live = self.cells, self.cells.variance > 0
        std = np.where(live, cells.std, 1.0)
        # A live group makes both spreads of its step positive.
        batch = np.where(live, self.spreads.batch_std[cells.step], 1.0)
        mean = self.spreads.mean_std[cells.step]
        divisors = {
            "none": np.ones(std.shape),
            "group": std,
            "batch": batch,
            "shrunk": np.where(live, (std + mean) / 2, 1.0),
            "variance": std**2,
        }
        return {name: np.where(live, 1 / divisors[name], 0.0) for name in SCHEMES}

    def _scale_of(self, raw: Array) -> float:
        cells = self.cells
        rewards = cells.number * cells.size
        squares = float((rewards * raw**2 * cells.variance).sum())
        return self.rms / np.sqrt(squares / rewards.sum()) if squares else 1.0


def shrunk_moments(success: Array, group_size: int, mean_std: float) -> tuple[Array, Array]:
    """E[wq̂] and E[(wq̂)²], w = 1/(½σ̂ + ½m) and q̂ = σ̂², of a group's k ~ Bin(G, p): D1 and D3 for two arms."""
    from scipy.stats import binom

    k = np.arange(1, group_size)
    q = k / group_size * (1 - k / group_size)
    pull = q / (0.5 * np.sqrt(q) + 0.5 * mean_std)
    chance = binom.pmf(k, group_size, np.asarray(success, dtype=np.float64)[..., None])
    return chance @ pull, chance @ pull**2


def effective_weights(success: Array, group_size: int, mean_std: float) -> dict[str, Array]:
    """a_G(p) of each scheme, but for the batch's std, which divides all prompts of a step alike."""
    from curvature.advantages import Normalization
    from curvature.groups import effective_weight

    plain = effective_weight(success, group_size, "none")
    # The shrunk weight has a limit at p ∈ {0, 1}, as all have; off the ends the sum reaches it.
    inside = np.clip(success, 1e-9, 1 - 1e-9)
    pulled = shrunk_moments(inside, group_size, mean_std)[0] / (inside * (1 - inside))
    return {
        "none": plain,
        "group": effective_weight(success, group_size, "grpo"),
        "batch": plain,
        "shrunk": pulled,
        "variance": effective_weight(success, group_size, Normalization(exponent=2.0)),
    }
