"""What a convention for group advantages is: the eight choices that tell one trainer from another."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

Spread = Literal["group", "batch", "pooled", "leave-one-out", "none"]
Baseline = Literal["mean", "leave-one-out", "batch"]
Placement = Literal["outside", "inside"]
NanPolicy = Literal["raise", "exclude", "propagate"]
SingletonPolicy = Literal["zero", "raw", "nan", "raise"]

_CHOICES = {
    "spread": get_args(Spread),
    "baseline": get_args(Baseline),
    "placement": get_args(Placement),
    "nan": get_args(NanPolicy),
    "singleton": get_args(SingletonPolicy),
}


@dataclass(frozen=True)
class Normalization:
    """How rewards become advantages: A_i = (r_i − baseline) / (spread + eps)^exponent.

    The defaults are the theory's GRPO: the group mean, the group's population standard deviation, no eps.
    Start from a trainer's convention with `dataclasses.replace(PRESETS["trl"], eps=0.0)`.

    Parameters
    ----------
    spread : {"group", "batch", "pooled", "leave-one-out", "none"}, default "group"
        What the centred reward is divided by: the standard deviation of its group; of all rewards of the batch;
        of all centred rewards of the batch ("pooled": the spread within groups, without that between them);
        of the *other* rewards of its group; or nothing. Where the others do not differ (or are too few for
        `ddof`) a leave-one-out spread leaves the centred reward as it is.
    baseline : {"mean", "leave-one-out", "batch"}, default "mean"
        What is subtracted: the group mean, the mean of the other rewards of the group, or the mean of the batch.
        "batch" makes one group of the whole batch, so it goes with the spreads "batch" and "none" only.
    ddof : {0, 1}, default 0
        0 for the population standard deviation (numpy's default), 1 for the sample one (torch's default).
        "pooled" divides the sum of squares by N − ddof, N the number of rewards in the batch.
    eps : float, default 0.0
        Added to the spread or to the variance. It is the smallest spread that is normalised: far below it
        A ≈ (r − baseline)/eps.
    placement : {"outside", "inside"}, default "outside"
        "outside" divides by sqrt(variance) + eps, "inside" by sqrt(variance + eps).
    floor : float, default 0.0
        The least standard deviation: a smaller one is raised to it before eps is added.
    exponent : float, default 1.0
        The family A = (r − baseline)/σ^e: 0 is REINFORCE, 1 is GRPO.
    nan : {"raise", "exclude", "propagate"}, default "raise"
        A NaN reward is refused; or takes no part and gets advantage 0; or makes its whole group NaN, and with a
        spread of the batch the whole batch, as arithmetic does.
    singleton : {"zero", "raw", "nan", "raise"}, default "zero"
        The advantage of a group of one (after NaN rewards are excluded): 0, the reward itself, NaN, or refused.
    source : str, default ""
        Where the convention was read. Takes no part in comparisons.

    Raises
    ------
    ValueError
        If a field is outside its domain; the sentence holds the field and the value.

    Examples
    --------
    >>> Normalization()
    Normalization(spread='group', baseline='mean', ddof=0, eps=0.0, ...)
    >>> Normalization(spread="std")
    Traceback (most recent call last):
    ...
    ValueError: spread='std' is unknown: choose one of 'group', 'batch', 'pooled', 'leave-one-out', 'none'.
    """

    spread: Spread = "group"
    baseline: Baseline = "mean"
    ddof: int = 0
    eps: float = 0.0
    placement: Placement = "outside"
    floor: float = 0.0
    exponent: float = 1.0
    nan: NanPolicy = "raise"
    singleton: SingletonPolicy = "zero"
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(
                    f"{name}={value!r} is unknown: choose one of {', '.join(map(repr, choices))}."
                )
        if self.ddof not in {0, 1}:
            raise ValueError(f"ddof={self.ddof!r} is unknown: 0 is the population std, 1 the sample std.")
        for name in ("eps", "floor", "exponent"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise ValueError(f"{name}={value!r} must be a finite number, 0 or more.")
        if self.baseline == "batch" and self.spread not in {"batch", "none"}:
            raise ValueError(
                f"baseline='batch' knows no groups, so spread={self.spread!r} cannot go with it: "
                "use spread='batch' or spread='none'."
            )
