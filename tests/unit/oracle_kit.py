"""What a table of oracles is made of: a calculator, its formula in mpmath, and the points at which they must agree.

A result is right if it is within a stated number of units in the last place of the true value of the formula at the
floats given. Where that value is beyond the largest float the result is inf, and where it is below the smallest it
may be off by as many of those. NaN is right nowhere.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import inf, isnan
from typing import Any

import mpmath
import numpy as np

LARGEST, SMALLEST = mpmath.mpf(np.finfo(float).max), mpmath.mpf(5e-324)
EPS = mpmath.mpf(2) ** -52


@dataclass(frozen=True)
class Oracle:
    """`function` and `true` take the same arguments; `fields` names what of a result is compared, in order."""

    function: Any
    true: Any
    points: list[tuple]
    ulps: float
    fields: tuple[str, ...] = ()
    digits: int = 60


def grid(*axes):
    return list(itertools.product(*axes))


def exact(value):
    """The same value as mpmath numbers: what the floats are, not what they were meant to be."""
    if isinstance(value, list | tuple):
        return type(value)(exact(v) for v in value)
    return mpmath.mpf(value) if isinstance(value, float) else value


def flat(value):
    """Numbers of an answer one by one, whatever it is made of."""
    if isinstance(value, dict):
        return flat(list(value.values()))
    if isinstance(value, list | tuple):
        return [number for part in value for number in flat(part)]
    if isinstance(value, np.ndarray):
        return [float(v) for v in value.ravel()]
    return [value]


def answers(oracle, point):
    """(computed, true) number by number."""
    with np.errstate(all="raise", under="ignore"):
        found = oracle.function(*point)
    computed = flat([getattr(found, name) for name in oracle.fields] if oracle.fields else found)
    with mpmath.workdps(oracle.digits):
        true = [+mpmath.mpf(v) for v in flat(oracle.true(*exact(point)))]
    return computed, true


def ulps_off(computed, true):
    """How far a float is from the true value, in units in its last place; inf for NaN or a missed overflow."""
    value = float(computed)
    if isnan(value):
        return inf
    if mpmath.isinf(true) or abs(true) > LARGEST * (1 + EPS):
        return 0.0 if value == (inf if true > 0 else -inf) else inf
    if value in {inf, -inf}:
        # Within a rounding of the largest float either answer is right.
        return 0.0 if abs(true) > LARGEST * (1 - 64 * EPS) else inf
    return float(abs(mpmath.mpf(value) - true) / max(SMALLEST, abs(true) * EPS))


def worst(oracle):
    """The largest error over the table and where it is."""
    found = (0.0, None, None, None)
    for point in oracle.points:
        computed, true = answers(oracle, point)
        assert len(computed) == len(true), (
            f"{len(computed)} numbers computed, {len(true)} in the oracle at {point}"
        )
        for value, expected in zip(computed, true, strict=True):
            found = max(found, (ulps_off(value, expected), point, value, expected), key=lambda f: f[0])
    return found
