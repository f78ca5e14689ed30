"""The arguments that the theorem calculators share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.bounds._inputs import read_arguments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "check_at_most",
    "interference_factor",
    "or_infinite",
    "read_constant",
    "read_count",
    "read_prompt",
    "read_std_bounds",
]


def or_infinite(factor: NDArray[np.float64], value: Any) -> Any:
    """Answer ∞ where the theorem's constant is: A4 or A5 fails there, whatever the other factors are."""
    return np.where(np.isinf(factor), np.inf, value)[()]


def interference_factor(
    cross_prompt: ArrayLike, gradient_ratio: ArrayLike, std_ratio: ArrayLike
) -> NDArray[np.float64]:
    """Return max(R₁, 5M/8)R₂, by which Theorem 3.4 multiplies X²."""
    M = read_constant("cross_prompt", cross_prompt, 0.0)
    R1 = read_constant("gradient_ratio", gradient_ratio, 1.0)
    return np.maximum(R1, 5 * M / 8) * read_constant("std_ratio", std_ratio, 1.0)


def read_constant(name: str, value: ArrayLike, least: float) -> NDArray[np.float64]:
    """Return a constant of A4 or A5, which may be infinite, or raise a ValueError that names it."""
    array = np.asarray(value, dtype=np.float64)
    if not (array >= least).all():
        bad = array[~(array >= least)]
        raise ValueError(
            f"{name} is {bad.ravel()[0]}; a number of at least {least:g} is needed (inf is allowed)."
        )
    return array


def read_prompt(
    success: ArrayLike, spectral_norm: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return p₀ and X, checked."""
    _, (p, X) = read_arguments(success=success, spectral_norm=spectral_norm)
    return p, X


def read_std_bounds(std_bounds: ArrayLike, *, zero: bool = False) -> NDArray[np.float64]:
    """Return C_{i,t}, time last; a std of 0 is let through only where the caller can use it."""
    C = np.asarray(std_bounds, dtype=np.float64)
    if C.ndim == 0 or C.shape[-1] == 0:
        raise ValueError(f"std_bounds has shape {C.shape}; (..., T) with one bound a step is needed.")
    bad = ~(((C >= 0) if zero else (C > 0)) & (C <= 0.5))
    if bad.any():
        raise ValueError(
            f"std_bounds holds {C[bad][0]}; 0 {'≤' if zero else '<'} C ≤ 1/2 is needed at every step."
        )
    return C


def read_count(name: str, value: int) -> int:
    """Return the whole number, or raise a ValueError that names it."""
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValueError(f"{name} is {value}; a whole number of at least 1 is needed.")
    return int(value)


def check_at_most(low: Any, high: Any, low_name: str, high_name: str) -> None:
    """Raise a ValueError where a std exceeds what was given as its bound, beyond rounding."""
    bad = low > high * (1 + 1e-12)
    if np.any(bad):
        worst = float(np.broadcast_to(low, np.shape(bad))[bad].ravel()[0])
        raise ValueError(
            f"{low_name} reaches {worst}, above {high_name} = {np.max(high)}; give a larger bound."
        )
