"""When does dividing the advantage by the group's reward std help, by how much, and why.

Importing this package loads numpy and no more; every other library is loaded by the part that needs it.
"""

from curvature.advantages import PRESETS, Normalization, group_advantages
from curvature.bandit import LogLinearBandit
from curvature.geometry import center, enclosing_radius, feature_diameter, spectral_norm
from curvature.moments import Moments, hessian, hessian_extremes, hessian_vector_product, moments

__all__ = [
    "PRESETS",
    "LogLinearBandit",
    "Moments",
    "Normalization",
    "center",
    "enclosing_radius",
    "feature_diameter",
    "group_advantages",
    "hessian",
    "hessian_extremes",
    "hessian_vector_product",
    "moments",
    "spectral_norm",
]
__version__ = "0.1.0"
