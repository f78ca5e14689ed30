"""Arithmetic of the run engine: sums in the order written, multiply-adds with one rounding, numbers from counters.

No reduction crosses a run and nothing is left to a library that chooses its own order of additions, so what one
run computes cannot depend on which runs stand beside it. The compiler may still handle many runs in one
instruction: IEEE operations give each the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

# Below this exp(x) is taken as 0: every probability is then a normal float or 0.
LOWEST_LOGIT = -708.0
# 1.5·2^52: adding it rounds to a whole number and leaves that number in the low bits.
_ROUND = 6755399441055744.0
_LOG2_E = 1.4426950408889634
# log 2 in two parts, the first with zeros enough that n times it is exact.
_LOG2_HIGH = 6.93147180369123816490e-01
_LOG2_LOW = 1.90821492927058770002e-10
_EXPONENT_SHIFT = 52
# The odd increment of SplitMix64, the golden ratio in 64 bits, and the constants of its finaliser.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(12))
_ONE_BITS = np.uint64(0x3FF0000000000000)


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that only compiled code calls: no interpreter lock, no division checks, strict IEEE."""
    decorate: Any = njit  # its annotations leave out some of its options
    return decorate(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def _emit_fma(typingctx, a, b, c):
    """Compute a·b + c with one rounding."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


def _emit_bits(typingctx, a):
    """Read the 64 bits of a float as an integer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


def _emit_float(typingctx, a):
    """Read 64 bits as a float."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


# Typed Any: what is called with a, b, c is made from a function of the typing context as well.
fma: Any = intrinsic(_emit_fma)
_bits: Any = intrinsic(_emit_bits)
_float: Any = intrinsic(_emit_float)


def entry(values, lane):
    """Give the value of a lane: values[lane], or values itself where all lanes share one number."""
    raise NotImplementedError("entry is for compiled code")


@overload(entry, inline="always")
def _compiled_entry(values, lane):
    if isinstance(values, types.Float):
        return lambda values, lane: values
    return lambda values, lane: values[lane]


@compiled
def aligned(size):
    """Make an uninitialised vector that starts at a multiple of 64 bytes: vectors across cache lines cost double."""
    raw = np.empty(size + 8)
    skipped = (-raw.ctypes.data) % 64 // 8
    return raw[skipped : skipped + size]


@compiled
def exp(x):
    """Compute e^x for x ≤ 700, to one unit in the last place; 0 below −708."""
    # x = n log 2 + r with |r| ≤ (log 2)/2; the Taylor series of e^r to r^13 is off by less than 4e-18 there.
    y = x if x > LOWEST_LOGIT else LOWEST_LOGIT
    shifted = fma(y, _LOG2_E, _ROUND)
    n = shifted - _ROUND
    r = fma(-n, _LOG2_LOW, fma(-n, _LOG2_HIGH, y))
    s = 1 / 6227020800.0
    s = fma(s, r, 1 / 479001600.0)
    s = fma(s, r, 1 / 39916800.0)
    s = fma(s, r, 1 / 3628800.0)
    s = fma(s, r, 1 / 362880.0)
    s = fma(s, r, 1 / 40320.0)
    s = fma(s, r, 1 / 5040.0)
    s = fma(s, r, 1 / 720.0)
    s = fma(s, r, 1 / 120.0)
    s = fma(s, r, 1 / 24.0)
    s = fma(s, r, 1 / 6.0)
    s = fma(s, r, 0.5)
    s = fma(s, r, 1.0)
    s = fma(s, r, 1.0)
    scaled = _float(_bits(s) + (_bits(shifted) << _EXPONENT_SHIFT))
    return scaled if x > LOWEST_LOGIT else 0.0


@compiled
def psi(s):
    """Compute ψ(s) = e^s − 1 − s for 0 ≤ s ≤ 700, by its series where the difference would cancel."""
    if s > 0.5:
        return exp(s) - 1.0 - s
    series = 1.0
    for n in range(14, 2, -1):
        series = fma(series, s / n, 1.0)
    return 0.5 * s * s * series


@compiled
def mix(z):
    """Finalise as SplitMix64 does: a bijection of 64-bit numbers in which any change flips about half the bits."""
    z = (z ^ (z >> _SHIFTS[0])) * _MIX_1
    z = (z ^ (z >> _SHIFTS[1])) * _MIX_2
    return z ^ (z >> _SHIFTS[2])


@compiled
def stream(key_1, key_2, counter):
    """Give the start of the stream that belongs to a run's two keys and a counter."""
    return mix(key_1 + GOLDEN * counter) ^ key_2


@compiled
def uniform(start, index):
    """Give number `index` of a stream, uniform on the multiples of 2^−52 in [0, 1)."""
    bits = mix(start + GOLDEN * (index + np.uint64(1)))
    return _float(np.int64((bits >> _SHIFTS[3]) | _ONE_BITS)) - 1.0


@compiled
def matmul(A, B, C):
    """Compute C = A B, each entry summed over the inner index in increasing order; fast where B has many columns.

    Four rows and four inner indices at a time: sixteen multiply-adds for eight loads and four stores.
    """
    M, inner = A.shape
    N = B.shape[1]
    paired = M - M % 4
    quads = inner - inner % 4
    for i in range(0, paired, 4):
        c0, c1, c2, c3 = C[i], C[i + 1], C[i + 2], C[i + 3]
        for j in range(N):
            c0[j] = 0.0
            c1[j] = 0.0
            c2[j] = 0.0
            c3[j] = 0.0
        for k in range(0, quads, 4):
            b0, b1, b2, b3 = B[k], B[k + 1], B[k + 2], B[k + 3]
            a00, a01, a02, a03 = A[i, k], A[i, k + 1], A[i, k + 2], A[i, k + 3]
            a10, a11, a12, a13 = A[i + 1, k], A[i + 1, k + 1], A[i + 1, k + 2], A[i + 1, k + 3]
            a20, a21, a22, a23 = A[i + 2, k], A[i + 2, k + 1], A[i + 2, k + 2], A[i + 2, k + 3]
            a30, a31, a32, a33 = A[i + 3, k], A[i + 3, k + 1], A[i + 3, k + 2], A[i + 3, k + 3]
            for j in range(N):
                x0, x1, x2, x3 = b0[j], b1[j], b2[j], b3[j]
                c0[j] = fma(a03, x3, fma(a02, x2, fma(a01, x1, fma(a00, x0, c0[j]))))
                c1[j] = fma(a13, x3, fma(a12, x2, fma(a11, x1, fma(a10, x0, c1[j]))))
                c2[j] = fma(a23, x3, fma(a22, x2, fma(a21, x1, fma(a20, x0, c2[j]))))
                c3[j] = fma(a33, x3, fma(a32, x2, fma(a31, x1, fma(a30, x0, c3[j]))))
        for k in range(quads, inner):
            b0 = B[k]
            a00, a10, a20, a30 = A[i, k], A[i + 1, k], A[i + 2, k], A[i + 3, k]
            for j in range(N):
                c0[j] = fma(a00, b0[j], c0[j])
                c1[j] = fma(a10, b0[j], c1[j])
                c2[j] = fma(a20, b0[j], c2[j])
                c3[j] = fma(a30, b0[j], c3[j])
    for i in range(paired, M):
        _row_times_matrix(A[i], B, C[i])


@compiled
def _row_times_matrix(a, B, c):
    """Compute c = a B in the same order, eight inner indices at a time."""
    inner, N = B.shape
    eights = inner - inner % 8
    for j in range(N):
        c[j] = 0.0
    for k in range(0, eights, 8):
        b0, b1, b2, b3 = B[k], B[k + 1], B[k + 2], B[k + 3]
        b4, b5, b6, b7 = B[k + 4], B[k + 5], B[k + 6], B[k + 7]
        a0, a1, a2, a3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        a4, a5, a6, a7 = a[k + 4], a[k + 5], a[k + 6], a[k + 7]
        for j in range(N):
            low = fma(a3, b3[j], fma(a2, b2[j], fma(a1, b1[j], fma(a0, b0[j], c[j]))))
            c[j] = fma(a7, b7[j], fma(a6, b6[j], fma(a5, b5[j], fma(a4, b4[j], low))))
    for k in range(eights, inner):
        b0 = B[k]
        a0 = a[k]
        for j in range(N):
            c[j] = fma(a0, b0[j], c[j])
