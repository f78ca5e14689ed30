"""Bound calculators: :mod:`~curvature.bounds.paper` with the paper's constants, :mod:`~curvature.bounds.sharp` ours.

Both modules give the same name to the same quantity, so that ``paper.hessian_norm`` stands beside
``sharp.hessian_norm``. They differ in what they are functions of: the paper's use the spectral norm X of the
feature matrix and a success probability, ours the feature diameter D and the reward std, and D ≤ √2·X carries
one over to the other (see :mod:`curvature.geometry`).

Every calculator takes numbers, numpy arrays or torch tensors, broadcasts, and raises a ``ValueError`` that
names a value outside its domain. Tensors keep dtype and device, and gradients flow through them. Results are
correct to a few units in the last place for any arguments: an upper bound too large for a float is ``inf``,
which is true and useless, and never NaN; one too small for a float is 0.
"""

from curvature.bounds import paper, sharp
from curvature.bounds._comparison import ImprovementThreshold, improvement_factor, improvement_threshold
from curvature.bounds._expectations import (
    ExpectedRun,
    binomial_expectation,
    expected_run,
    smallest_variance_bound,
)
from curvature.bounds._repaired_theorems import RepairedRate, theorem_3_2_repaired, theorem_3_4_repaired

__all__ = [
    "ExpectedRun",
    "ImprovementThreshold",
    "RepairedRate",
    "binomial_expectation",
    "expected_run",
    "improvement_factor",
    "improvement_threshold",
    "paper",
    "sharp",
    "smallest_variance_bound",
    "theorem_3_2_repaired",
    "theorem_3_4_repaired",
]
