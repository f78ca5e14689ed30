"""Advantages of grouped rewards: one function for numpy and torch, and the conventions of trainers by name.

A package rather than one module because it answers four questions that a reader asks one at a time: what a
convention is (`normalization`), which convention a trainer uses (`presets`), which rewards belong together
(`_grouping`) and how the numbers are made quickly (`_kernels`). `group_advantages` in `estimator` joins them.
"""

from curvature.advantages.estimator import group_advantages
from curvature.advantages.normalization import Normalization
from curvature.advantages.presets import PRESETS

__all__ = ["PRESETS", "Normalization", "group_advantages"]
