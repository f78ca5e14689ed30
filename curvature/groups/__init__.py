"""Finite groups of 0/1 rewards: what G responses a prompt make of its gradient, exactly, and from counts.

`weights` has the first moment, `moments` the second and the gain they certify, `objective` what is ascended, and
`inference` estimates success rates and their distribution from the counts of a log.
"""

from curvature.groups.inference import (
    Interval,
    SuccessDistribution,
    estimate,
    fit_success_distribution,
    std_mean_bounds,
    success_interval,
)
from curvature.groups.moments import (
    GradientMoments,
    best_exponent,
    certified_gain,
    gain_ratio,
    gradient_moments,
    total_variance,
)
from curvature.groups.objective import implicit_objective
from curvature.groups.weights import (
    SilentProbability,
    effective_weight,
    fidelity,
    plug_in_std,
    silent_probability,
    unbiased_variance,
)

__all__ = [
    "GradientMoments",
    "Interval",
    "SilentProbability",
    "SuccessDistribution",
    "best_exponent",
    "certified_gain",
    "effective_weight",
    "estimate",
    "fidelity",
    "fit_success_distribution",
    "gain_ratio",
    "gradient_moments",
    "implicit_objective",
    "plug_in_std",
    "silent_probability",
    "std_mean_bounds",
    "success_interval",
    "total_variance",
    "unbiased_variance",
]
