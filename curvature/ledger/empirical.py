"""Verdicts of measured claims: an interval for each measured number, and one rule that compares it with the claim.

A claim about runs says in which range a number lies. It holds if every interval lies inside its range, fails if one
lies wholly outside, and is not checkable with this many seeds otherwise. Where several numbers decide together,
their intervals are widened (Bonferroni), so that the confidence is that of the verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.ledger.verdicts import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = [
    "Interval",
    "Measured",
    "exactly",
    "judge_difference",
    "judge_interval",
    "mean_interval",
    "share_interval",
    "slope_interval",
]


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, which may be NaN or infinite where the sample does not give one.

    Attributes
    ----------
    estimate, low, high : float
        The number and the ends of its interval.
    count : int
        Seeds, or points of a fit.
    """

    estimate: float
    low: float
    high: float
    count: int

    def exp(self) -> Interval:
        """Return the interval of exp of the number, as of a ratio whose logarithm was averaged."""
        return Interval(math.exp(self.estimate), math.exp(self.low), math.exp(self.high), self.count)

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.estimate:.4g}"
        return f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True)
class Measured:
    """A measured number beside the range that a claim gives it.

    Attributes
    ----------
    name : str
        What is measured, and where.
    interval : Interval
        The number.
    low, high : float
        The claimed range, ends included.
    """

    name: str
    interval: Interval
    low: float = -math.inf
    high: float = math.inf

    @property
    def inside(self) -> bool:
        """Whether the whole interval lies in the range."""
        return self.interval.low >= self.low and self.interval.high <= self.high

    @property
    def outside(self) -> bool:
        """Whether the whole interval lies outside the range."""
        return self.interval.low > self.high or self.interval.high < self.low

    @property
    def nearest(self) -> float:
        """The end of the range that decides: the one which the estimate misses, or is nearest to."""
        ends = [end for end in (self.low, self.high) if math.isfinite(end)]
        return min(ends, key=lambda end: abs(end - self.interval.estimate), default=math.nan)

    @property
    def miss(self) -> float:
        """How far the estimate is from the end of the range that decides."""
        return abs(self.interval.estimate - self.nearest)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them.

        Returns
        -------
        dict
            The name, the estimate, both ends and the number of seeds.
        """
        interval = self.interval
        numbers = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
        finite = {
            key: float(f"{value:.6g}") if math.isfinite(value) else None for key, value in numbers.items()
        }
        return {"measured": self.name, **finite, "seeds": interval.count}


def exactly(value: float, count: int = 1) -> Interval:
    """Return the interval of a number that no sampling enters: of no width.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    value : float
        The number.
    count : int
        Instances that it comes from.

    Returns
    -------
    Interval
        [value, value].

    Examples
    --------
    >>> str(exactly(0.25))
    '0.25'
    """
    return Interval(float(value), float(value), float(value), count)


def mean_interval(sample: ArrayLike, *, confidence: float = 0.95, together: int = 1) -> Interval:
    """Compute Student's interval for the mean of independent numbers: x̄ ± t·s/√N.

    Kind: confidence interval.
    Holds when: the sample is independent and its mean about normal.

    Parameters
    ----------
    sample : array_like, shape (N,)
        One number a seed, N ≥ 2.
    confidence : float
        Of all intervals of a verdict together.
    together : int
        How many intervals decide together; each gets a share of 1 − confidence.

    Returns
    -------
    Interval
        Of no width if all numbers are equal.

    Raises
    ------
    ValueError
        If there are fewer than two numbers, or one of them is not finite.

    Notes
    -----
    Symbols: sample = x.

    Examples
    --------
    >>> str(mean_interval([1.0, 2.0, 3.0, 4.0]))
    '2.5 [0.4457, 4.554]'
    """
    from scipy.stats import t

    x = np.asarray(sample, dtype=np.float64)
    if x.ndim != 1 or x.size < 2 or not np.isfinite(x).all():
        raise ValueError(f"sample is {x.tolist()}; at least two finite numbers are needed.")
    spread = float(x.std(ddof=1)) / math.sqrt(x.size)
    half = float(t.ppf(1 - (1 - confidence) / (2 * together), x.size - 1)) * spread
    mean = float(x.mean())
    return Interval(mean, mean - half, mean + half, x.size)


def slope_interval(x: ArrayLike, y: ArrayLike, *, confidence: float = 0.95, together: int = 1) -> Interval:
    """Fit y = a + bx by least squares and compute the interval of b.

    Kind: confidence interval.
    Holds when: residuals are independent; those of a deterministic curve are its curvature.

    Parameters
    ----------
    x, y : array_like, shape (N,)
        Points, N ≥ 3.
    confidence, together
        As in :func:`mean_interval`.

    Returns
    -------
    Interval
        Of b.

    Examples
    --------
    >>> str(slope_interval([0, 1, 2, 3], [0.0, 2.1, 3.9, 6.0]))
    '1.98 [1.797, 2.163]'
    """
    from scipy.stats import linregress, t

    fit: Any = linregress(x, y)
    count = np.size(x)
    half = float(t.ppf(1 - (1 - confidence) / (2 * together), count - 2)) * float(fit.stderr)
    return Interval(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half, count)


def share_interval(successes: int, trials: int, *, confidence: float = 0.95, together: int = 1) -> Interval:
    """Compute the exact (Clopper–Pearson) interval of a share.

    Kind: confidence interval.
    Holds when: trials are independent.

    Parameters
    ----------
    successes, trials : int
        0 ≤ successes ≤ trials.
    confidence, together
        As in :func:`mean_interval`.

    Returns
    -------
    Interval
        Within [0, 1].

    Examples
    --------
    >>> str(share_interval(3, 10))
    '0.3 [0.06674, 0.6525]'
    """
    from scipy.stats import binomtest

    level = 1 - (1 - confidence) / together
    ends = binomtest(successes, trials).proportion_ci(confidence_level=level)
    return Interval(successes / trials, float(ends.low), float(ends.high), trials)


def judge_interval(measured: Sequence[Measured], instances: int, reason: str = "") -> Outcome:
    """Judge a claim about measured numbers by their intervals.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    measured : sequence of Measured
        All that the claim says.
    instances : int
        Runs, or sums, that the numbers come from.
    reason : str
        Put after the numbers.

    Returns
    -------
    Outcome
        Holds if every interval lies in its range; fails if one lies wholly outside; not checkable otherwise.
        Its numbers are those of the one that misses its range by most, or of the first that decides.

    Examples
    --------
    >>> ratio = Interval(1.2, 1.1, 1.3, 8)
    >>> judge_interval([Measured("ratio", ratio, high=1.0)], 16).label
    'fails as printed, counterexample'
    >>> judge_interval([Measured("ratio", ratio, high=1.25)], 16).label
    'not checkable here'
    """
    wrong = sorted((part for part in measured if part.outside), key=lambda part: -part.miss)
    undecided = [part for part in measured if not part.inside]
    if not measured:
        verdict = Verdict.VACUOUS
    elif wrong:
        verdict = Verdict.FAILS
    else:
        verdict = Verdict.NOT_CHECKABLE if undecided else Verdict.HOLDS
    return _outcome([*wrong, *undecided, *measured], measured, verdict, instances, reason)


def judge_difference(measured: Sequence[Measured], instances: int, reason: str = "") -> Outcome:
    """Judge "these numbers leave their ranges somewhere", the ranges being those of no difference worth naming.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    measured : sequence of Measured
        With the range of no difference.
    instances : int
        Runs that the numbers come from.
    reason : str
        Put after the numbers.

    Returns
    -------
    Outcome
        Holds if an interval lies wholly outside its range; fails if all lie inside; not checkable otherwise.

    Examples
    --------
    >>> judge_difference([Measured("ratio", Interval(1.2, 1.1, 1.3, 8), 0.95, 1.05)], 16).label
    'holds'
    """
    outside = [part for part in measured if part.outside]
    if not measured:
        verdict = Verdict.VACUOUS
    elif outside:
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.FAILS if all(part.inside for part in measured) else Verdict.NOT_CHECKABLE
    return _outcome([*outside, *measured], measured, verdict, instances, reason)


def _outcome(
    order: Sequence[Measured], measured: Sequence[Measured], verdict: Verdict, instances: int, reason: str
) -> Outcome:
    told = "; ".join(f"{part.name}: {part.interval}" for part in measured)
    nan = math.nan
    shown = order[0] if order else None
    return Outcome(
        shown.interval.estimate if shown else nan,
        shown.nearest if shown else nan,
        nan,
        instances,
        verdict,
        f"{told}. {reason}".strip(". ") + ".",
        witness={"intervals": [part.to_dict() for part in measured]} if verdict is Verdict.FAILS else None,
    )
