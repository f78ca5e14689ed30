"""Learning curves and times to target in the limit of small steps, where two arms are exactly solvable."""

from curvature.flow.profile import LearningCurve, Speedup, learning_curve, predicted_speedup, time_to_target
from curvature.flow.trajectory import (
    escape_time_asymptote,
    failure_asymptote,
    success_at_time,
    time_to_success,
)

__all__ = [
    "LearningCurve",
    "Speedup",
    "escape_time_asymptote",
    "failure_asymptote",
    "learning_curve",
    "predicted_speedup",
    "success_at_time",
    "time_to_success",
    "time_to_target",
]
