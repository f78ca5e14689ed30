"""Change points of a run's series, and which telling of the three phases they match."""

from curvature.phases.report import Condition, PhaseReport, phase_report
from curvature.phases.segmentation import FalseAlarm, Segmentation, change_points, false_alarm_rate

__all__ = [
    "Condition",
    "FalseAlarm",
    "PhaseReport",
    "Segmentation",
    "change_points",
    "false_alarm_rate",
    "phase_report",
]
