"""Our curvature bounds: sharp constants, in the reward std and the feature diameter.

All are statements about one prompt of a log-linear policy with *any* real rewards unless binary rewards are
named. D is the largest distance between two feature vectors of the prompt
(:func:`curvature.geometry.feature_diameter`); it does not change when the features are shifted, and D ≤ √2·X
turns every bound into one in the paper's spectral norm X, so each can be set beside its namesake in
:mod:`curvature.bounds.paper`. *Sharp* means that no smaller constant would do: :mod:`curvature.proofs` derives
each one and names an instance that reaches it.
"""

from curvature.bounds._interference_bounds import (
    CertifiedStep,
    SeparableGain,
    theorem_b1,
    theorem_b1_step,
    theorem_b2,
)
from curvature.bounds._nearby import hessian_norm_nearby_binary, nearby_constant
from curvature.bounds._one_step import (
    BestStep,
    OneStepGain,
    StepThreshold,
    best_one_step,
    one_step_certificate,
    one_step_gain,
    one_step_threshold,
)
from curvature.bounds._remainder import ascent_remainder_exact
from curvature.bounds._sharp_lemmas import (
    ascent_remainder,
    curvature_profile,
    gradient_norm,
    hessian_norm,
    hessian_norm_binary,
    hessian_norm_global,
    hessian_norm_nearby,
    hessian_norm_one_correct,
    log_std_lipschitz,
    one_correct_profile,
)
from curvature.bounds._sharp_speedups import PointwiseSpeedup, StdDecomposition, theorem_t4, theorem_t5
from curvature.bounds._sharp_theorems import (
    GAIN_CONSTANT,
    STEP_CONSTANT,
    OrthogonalRates,
    SmoothnessRate,
    StepGain,
    theorem_c1,
    theorem_t1,
    theorem_t2,
    theorem_t3,
)

__all__ = [
    "GAIN_CONSTANT",
    "STEP_CONSTANT",
    "BestStep",
    "CertifiedStep",
    "OneStepGain",
    "OrthogonalRates",
    "PointwiseSpeedup",
    "SeparableGain",
    "SmoothnessRate",
    "StdDecomposition",
    "StepGain",
    "StepThreshold",
    "ascent_remainder",
    "ascent_remainder_exact",
    "best_one_step",
    "curvature_profile",
    "gradient_norm",
    "hessian_norm",
    "hessian_norm_binary",
    "hessian_norm_global",
    "hessian_norm_nearby",
    "hessian_norm_nearby_binary",
    "hessian_norm_one_correct",
    "log_std_lipschitz",
    "nearby_constant",
    "one_correct_profile",
    "one_step_certificate",
    "one_step_gain",
    "one_step_threshold",
    "theorem_b1",
    "theorem_b1_step",
    "theorem_b2",
    "theorem_c1",
    "theorem_t1",
    "theorem_t2",
    "theorem_t3",
    "theorem_t4",
    "theorem_t5",
]
