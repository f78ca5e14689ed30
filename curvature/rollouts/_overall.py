"""The numbers of a whole log, or of one window of it, as estimates with intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.rollouts._estimates import LEVEL, from_interval, mean_of, scaled, share_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from curvature.rollouts._groups import Groups
    from curvature.rollouts.findings import Estimate

    Array = NDArray[np.float64]
    Functionals = dict[Any, Callable[[Any], float]]

__all__ = ["Part", "direct_numbers", "fitted_functionals", "fitted_numbers"]

_FIT = "fitted distribution of success rates"
# Of two-valued rewards, in units of their range.
_LARGEST_STD = 0.5
# A resampling of fewer groups (or prompts) knows too few values to make an interval of.
_LEAST_UNITS = 8


@dataclass(frozen=True)
class Part:
    """Some of a log's groups: all, or those of a window."""

    groups: Groups
    index: slice

    def take(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of this part."""
        return values[self.index]

    @property
    def clusters(self) -> NDArray[np.int64] | None:
        """Prompts of this part, or None where groups are independent."""
        clusters = self.groups.clusters
        return None if clusters is None else clusters[self.index]

    @property
    def size(self) -> NDArray[np.int64]:
        """Group sizes."""
        return self.groups.size[self.index]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Successes."""
        assert self.groups.counts is not None
        return self.groups.counts[self.index]

    def estimate(self, functionals: Functionals, seed: int, resamples: int) -> dict[Any, Any]:
        """Estimate functionals of the distribution of success rates: one fit and one resampling for all."""
        from curvature.groups import estimate

        if not functionals:
            return {}
        by_name = {str(key): functional for key, functional in functionals.items()}
        found = estimate(
            self.counts,
            self.size,
            by_name,
            clusters=self.clusters,
            level=LEVEL,
            num_resamples=resamples,
            seed=seed,
        )
        found = {key: found[str(key)] for key in functionals}
        units = self._units(np.ones(self.size.size, dtype=bool))
        return found if units >= _LEAST_UNITS else _without_intervals(found, f"{units} groups or prompts")

    def predict(self, functionals: Functionals, seed: int, resamples: int) -> dict[Any, Any]:
        """Estimate what hangs on prompts that can learn: nothing where no group shows one, no interval where few do."""
        live = ~self.take(self.groups.log.groups.is_silent)
        if not live.any():
            return {}
        found, units = self.estimate(functionals, seed, resamples), self._units(live)
        return (
            found
            if units >= _LEAST_UNITS
            else _without_intervals(found, f"{units} groups that are not silent")
        )

    def _units(self, chosen: NDArray[np.bool_]) -> int:
        """Independent units among some of the groups."""
        return int(chosen.sum()) if self.clusters is None else np.unique(self.clusters[chosen]).size


def _without_intervals(found: dict[Any, Any], few: str) -> dict[Any, Any]:
    why = f"no interval: {few} are too few to resample"
    return {key: replace(at, low=np.nan, high=np.nan, method=why) for key, at in found.items()}


def direct_numbers(part: Part) -> dict[str, Estimate]:
    """Average over groups what needs no fit."""
    groups, clusters = part.groups, part.clusters
    score, variance = part.take(groups.score), part.take(groups.variance)
    silent = part.take(groups.log.groups.is_silent)
    result = {
        "accuracy": mean_of(score, clusters, "mean over groups of the mean reward"),
        "plugin_std": mean_of(
            np.sqrt(variance), clusters, "mean over groups of σ̂ (ddof 0), which is biased low", most=0.5
        ),
        "silent": share_of(silent, clusters),
    }
    if groups.counts is not None:
        result["all_right"] = share_of(part.counts == part.size, clusters)
        result["all_wrong"] = share_of(part.counts == 0, clusters)
    several = part.size > 1
    if several.any():
        size = part.size[several]
        unbiased = variance[several] * size / (size - 1)
        clusters = None if clusters is None else clusters[several]
        result["mean_variance"] = mean_of(
            unbiased, clusters, "mean over groups of the unbiased variance (ddof 1)", most=0.5
        )
        if groups.counts is None:
            what = (
                "mean over groups of the sample std (ddof 1), which is still low: by 1 − c₄(G) for normal rewards "
                f"({_normal_bias(int(size.min())):.1%} at G = {size.min()}), more for rare ones; √(mean variance) "
                f"= {np.sqrt(unbiased.mean()):.4g} bounds the truth from above"
            )
            result["mean_std"] = mean_of(np.sqrt(unbiased), clusters, what, most=1.0)
    return result


def _normal_bias(size: int) -> float:
    """1 − c₄(G): how much the sample std of G normal rewards is low."""
    from scipy.special import gammaln

    return float(1 - np.sqrt(2 / (size - 1)) * np.exp(gammaln(size / 2) - gammaln((size - 1) / 2)))


def fitted_functionals(part: Part) -> Functionals:
    """Write what depends on each prompt's own success rate as functions of the fitted distribution."""
    sizes, numbers = np.unique(part.size, return_counts=True)
    made: dict[bytes, Array] = {}

    def silent(success: Array) -> Array:
        # All resamples share one support.
        key = success.tobytes()
        if key not in made:
            made[key] = np.average([_silent(success, int(G)) for G in sizes], axis=0, weights=numbers)
        return made[key]

    return {
        "mean_std": lambda at: at.mean(lambda p: np.sqrt(p * (1 - p))),
        "silent_expected": lambda at: at.mean(silent),
        "silent_if_alike": lambda at: _at_the_mean(silent, at),
    }


def _silent(success: Array, group_size: int) -> Array:
    """p^G + (1 − p)^G; a group of one is silent."""
    from curvature.groups import silent_probability

    if group_size == 1:
        return np.ones(success.shape)
    return np.asarray(silent_probability(success, group_size).total)


def _at_the_mean(f: Callable[[Array], Array], at: Any) -> float:
    return float(f(np.clip([at.mean(lambda p: p)], 0.0, 1.0))[0])


def fitted_numbers(intervals: dict[Any, Any]) -> dict[str, Estimate]:
    """Turn the intervals of :func:`fitted_functionals` into the numbers that follow from them."""
    std = from_interval(intervals["mean_std"], f"mean of √(p(1 − p)) under the {_FIT}")
    ours = _sharp_ratio()
    return {
        "mean_std": std,
        "silent_expected": from_interval(
            intervals["silent_expected"], f"mean of p^G + (1 − p)^G under the {_FIT}"
        ),
        "silent_if_alike": from_interval(
            intervals["silent_if_alike"], "p^G + (1 − p)^G at the mean success rate"
        ),
        "paper_statistic": scaled(
            std, 8 / 3, f"(8/3)·mean σ (Theorem 3.2: improvement if < 1); {std.method}"
        ),
        "sharp_statistic": scaled(
            std,
            ours,
            f"{ours:.3f}·mean σ (C1 on both sides, binary rewards: improvement if < 1); {std.method}",
        ),
        "std_over_max": scaled(
            std,
            1 / _LARGEST_STD,
            f"mean σ over σ_max = 1/2, the most of two values (theory T3); {std.method}",
        ),
    }


def _sharp_ratio() -> float:
    from curvature.bounds import improvement_threshold

    return improvement_threshold("sharp_binary").ratio_per_std
