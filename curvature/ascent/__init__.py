"""Runs of gradient ascent on a bandit: the paper's two algorithms, and every weighting and step rule beside them.

:func:`ascend` carries many runs at once and returns a :class:`Trace`. A package because it answers questions that
a reader asks one at a time: how prompts are weighted (`methods`), how long a step is (`steps`), what a run leaves
behind (`trace`), how runs are carried out (`runs`); the modules with an underscore are compiled by numba on first
use, and nothing of them is loaded before.
"""

from curvature.ascent.methods import METHODS, Method, prompt_weights
from curvature.ascent.runs import DEFAULT_RECORD, ascend, compile_engine
from curvature.ascent.steps import LineSearch, certified_constant_step
from curvature.ascent.trace import Trace

__all__ = [
    "DEFAULT_RECORD",
    "METHODS",
    "LineSearch",
    "Method",
    "Trace",
    "ascend",
    "certified_constant_step",
    "compile_engine",
    "prompt_weights",
]
