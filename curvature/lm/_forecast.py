"""The flow of small steps as a forecast: mean success against Σ learning rate, for every arm that the flow covers.

Each prompt moves by dz/ds = a(p)·p(1 − p), z its log-odds, from its own start, and a batch-wide factor only sets how
fast the clock s runs: ds/dt = c·(learning rate)·f(batch). So the paths of :mod:`curvature.rollouts._finite_flow` are
made once for each weight a, and a batch std, a mean std or a scale-invariant optimiser is a change of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from curvature.advantages import PRESETS, Normalization
from curvature.rollouts._finite_flow import Paths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["FORECAST_ARMS", "OPTIMIZERS", "Curve", "Forecast"]


class _Law(NamedTuple):
    """The convention whose expected weight a prompt has, and the std that the batch adds as a common factor."""

    convention: Normalization
    factor: str | None = None


_LAWS = {
    "none": _Law(PRESETS["none"]),
    "group": _Law(PRESETS["grpo"]),
    "batch": _Law(PRESETS["none"], "batch"),
    "group_matched": _Law(PRESETS["grpo"], "mean"),
    "variance": _Law(Normalization(exponent=2.0)),
}
FORECAST_ARMS = tuple(_LAWS)
OPTIMIZERS = ("sgd", "adamw")


class Curve(NamedTuple):
    """Mean success J, (K,), when Σ learning rate times the time scale has come to `clock`, (K,)."""

    clock: Array
    success: Array

    def at(self, clock: Any) -> Any:
        """Return J at a clock."""
        return np.interp(clock, self.clock, self.success)

    def when(self, success: Any) -> Any:
        """Return the clock at which J is reached; inf beyond what the curve comes to."""
        return np.interp(success, self.success, self.clock, right=np.inf)


@dataclass(frozen=True)
class Forecast:
    """Learning curves of arms from a distribution of success rates on a fixed support.

    Attributes
    ----------
    support : ndarray, shape (m,)
        Success rates in [0, 1].
    group_size : int
        G.
    optimizer : str
        "sgd": an update is the learning rate times the gradient, and the scale of the advantages counts. "adamw": it is
        divided by the root mean square of the gradient, which is that of the advantages as long as sampling noise
        makes up most of it; so only how weights differ across prompts counts.
    """

    support: Array
    group_size: int
    optimizer: str

    def curve(self, arm: str, weights: Array) -> Curve:
        """Forecast one arm.

        Parameters
        ----------
        arm : str
            One of FORECAST_ARMS.
        weights : ndarray, shape (m,)
            Shares of the support's points.

        Returns
        -------
        Curve
            From the start to where nothing is left to learn.
        """
        law = _LAWS[arm]
        paths = self._paths[law.convention]
        success = np.asarray(paths.success @ weights)
        slowness = self._slowness(law, paths.success, success, weights)
        steps = np.diff(paths.clock) * (slowness[1:] + slowness[:-1]) / 2
        # A curve that is flat to the last digit has no inverse there.
        return Curve(np.append(0.0, np.cumsum(steps)), np.maximum.accumulate(success))

    @cached_property
    def _paths(self) -> dict[Normalization, Paths]:
        from curvature.groups import effective_weight

        G = self.group_size
        conventions = {law.convention for law in _LAWS.values()}
        return {
            one: Paths.of(lambda p, one=one: effective_weight(p, G, one), self.support) for one in conventions
        }

    def _slowness(self, law: _Law, success: Array, mean: Array, weights: Array) -> Array:
        """1/f along the paths: what the batch divides by."""
        if self.optimizer == "adamw":
            # A factor of the batch cancels.
            squares = _advantage_square(law.convention, self.group_size)
            return np.sqrt(_along(squares, success) @ weights)
        if law.factor == "batch":
            return np.sqrt(np.maximum(mean * (1 - mean), 1e-300))
        if law.factor == "mean":
            return 1 / np.maximum(_along(_mean_std(self.group_size), success) @ weights, 1e-300)
        return np.ones(len(success))


# Where functions of p are tabulated: fine near 0 and 1, where they vary like √p.
_TABLE = np.sin(np.linspace(0, np.pi / 2, 2001)) ** 2


def _along(table: Array, success: Array) -> Array:
    return np.interp(success, _TABLE, table)


def _mean_std(group_size: int) -> Array:
    """E σ̂ of the plug-in std, silent groups counted as 0."""
    from curvature.groups import plug_in_std

    return np.asarray(plug_in_std(_TABLE, group_size))


def _advantage_square(convention: Normalization, group_size: int) -> Array:
    """E A² of a group, Σ_k Bin(k; G, p)·(mean of A²), with the advantages of the groups that can occur."""
    from scipy.stats import binom

    from curvature.advantages import group_advantages

    G = group_size
    right = np.arange(G + 1)
    rewards = (np.arange(G) < right[:, None]).astype(np.float64)
    squares = np.mean(np.asarray(group_advantages(rewards, preset=convention)) ** 2, axis=1)
    return binom.pmf(right, G, _TABLE[:, None]) @ squares
