"""The arguments of every bound calculator: one array library, one check of the domain.

A calculator is written once, against the array library of what it is given: numpy (and plain numbers, which
become float64), or torch or another library that :mod:`array_api_compat` knows, whose dtype, device and
gradients are kept. Numbers may be mixed with either; arrays of two libraries may not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, is_numpy_array

__all__ = ["quiet", "read_arguments"]


def quiet() -> np.errstate:
    """Silence numpy's floating-point warnings: an overflow is answered by inf, the useless side of a bound.

    Returns
    -------
    numpy.errstate
        The context manager to compute in, once the arguments have been read.
    """
    return np.errstate(all="ignore")


def read_arguments(**arguments: Any) -> tuple[Any, list[Any]]:
    """Bring the named arguments into one array library and check each against its domain.

    Parameters
    ----------
    **arguments : number or array
        ``success`` must lie in [0, 1]; every other name must be finite and at least 0.

    Returns
    -------
    xp : namespace
        The array library of the arguments.
    arrays : list of arrays
        The arguments, in the order given and of one dtype: float64 for numpy; for other libraries their
        own floating dtype, raised to float32 where it is shorter.

    Raises
    ------
    TypeError
        If an argument is not a real number or array, or if arrays of two libraries are mixed.
    ValueError
        If a value is outside its domain or the shapes do not broadcast; the message names it.
    """
    foreign = [v for v in arguments.values() if is_array_api_obj(v) and not is_numpy_array(v)]
    if foreign:
        xp, arrays = _read_foreign(foreign, arguments)
    else:
        xp, arrays = np, [_as_float64(name, value) for name, value in arguments.items()]
    for name, array in zip(arguments, arrays, strict=True):
        _check_domain(xp, name, array)
    _check_shapes(arguments, arrays)
    return xp, arrays


def _as_float64(name: str, value: Any) -> Any:
    try:
        array = np.asarray(value)
        if array.dtype == object:
            # One by one, as numpy would read None as NaN.
            array = np.array([float(v) for v in array.flat]).reshape(array.shape)
        elif array.dtype.kind not in "buif":
            array = None
    except (TypeError, ValueError):
        array = None
    if array is None:
        raise TypeError(f"{name} must be a real number or an array of them, got {value!r}.")
    return array.astype(np.float64, copy=False)


def _read_foreign(foreign: list[Any], arguments: dict[str, Any]) -> tuple[Any, list[Any]]:
    mixed = [name for name, value in arguments.items() if is_numpy_array(value) and np.ndim(value) > 0]
    libraries = sorted({type(value).__module__.partition(".")[0] for value in foreign})
    if mixed or len(libraries) > 1:
        libraries += ["numpy"] * bool(mixed)
        raise TypeError(f"arrays of {' and '.join(libraries)} are mixed; convert them to one library first.")
    xp = array_namespace(*foreign)
    dtype = xp.result_type(*foreign)
    if xp.isdtype(dtype, "complex floating"):
        raise TypeError(f"real arrays are needed, got dtype {dtype}.")
    if not xp.isdtype(dtype, "real floating"):
        dtype = xp.float64
    elif xp.finfo(dtype).bits < 32:
        dtype = xp.float32
    device = foreign[0].device
    arrays = []
    for name, value in arguments.items():
        if is_array_api_obj(value) and not is_numpy_array(value):
            arrays.append(xp.astype(value, dtype, copy=False))
        else:
            arrays.append(xp.asarray(float(_as_float64(name, value)), dtype=dtype, device=device))
    return xp, arrays


def _check_domain(xp: Any, name: str, array: Any) -> None:
    if name == "success":
        valid, domain = (array >= 0) & (array <= 1), "lie in [0, 1]"
    else:
        valid, domain = (array >= 0) & xp.isfinite(array), "be finite and at least 0"
    if bool(xp.all(valid)):
        return
    flat = xp.reshape(valid, (-1,))
    position = int(xp.argmin(xp.astype(flat, xp.int8)))
    value = float(xp.reshape(array, (-1,))[position])
    where = ""
    if array.ndim:
        index = np.unravel_index(position, tuple(array.shape))
        where = f" at index {tuple(int(i) for i in index)}"
    raise ValueError(f"{name} must {domain}, got {value}{where}.")


def _check_shapes(arguments: dict[str, Any], arrays: list[Any]) -> None:
    shapes = [tuple(array.shape) for array in arrays]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        told = ", ".join(f"{name} has shape {shape}" for name, shape in zip(arguments, shapes, strict=True))
        raise ValueError(f"the arguments do not broadcast together: {told}.") from None
