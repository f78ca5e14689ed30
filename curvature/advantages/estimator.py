"""`group_advantages`: what comes in, what it must satisfy, and the way back to the caller's type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from array_api_compat import is_torch_array
from numpy.typing import NDArray

from curvature.advantages._grouping import Grouping, group_by
from curvature.advantages._kernels import advantages
from curvature.advantages.normalization import Normalization
from curvature.advantages.presets import resolve

# Squares of larger float64 rewards leave float64.
_LARGEST = 1e150


def group_advantages(rewards: Any, groups: Any = None, preset: str | Normalization = "grpo") -> Any:
    """Return the advantages A_i = (r_i − baseline)/(spread + eps)^exponent of grouped rewards.

    Implements the normalisation of eqs (4)-(5), arXiv:2601.23135v1, and the conventions of public trainers.
    Kind: identity (what is computed, not a bound).

    One code path serves numpy and torch: the numbers are made in float64 on the CPU and go back to the dtype and
    device they came from. Gradients never flow.

    Holds when: each reward is 0 or between 1e-120 and 1e150 in size, so that squares stay in float64 (larger ones
    are refused, smaller ones lose digits). A group whose rewards are all equal (max == min, to the last digit)
    has spread 0 and advantage exactly 0.

    Parameters
    ----------
    rewards : array or tensor, (N,) with `groups` or (n, G) without
        Finite rewards. NaN is treated as the convention says. Integers and booleans count as float64.
    groups : array, tensor or list, (N,), optional
        The group of each reward, as integers or strings in any order: groups may differ in size and their members
        need not be neighbours. Without it every row of `rewards` is a group.
    preset : str or Normalization, default "grpo"
        A key of `PRESETS`, or a convention of your own. "grpo" is the theory's: the population standard
        deviation of the group and no eps. Trainers differ: most use the sample one and an eps.

    Returns
    -------
    array or tensor
        The advantages, of the type, shape, dtype (float64 for integers and booleans) and device of `rewards`.
        Anything but a torch tensor gives a numpy array. A torch result is detached.

    Raises
    ------
    ValueError
        If shapes do not match, groups are ragged rows, a reward is infinite or beyond 1e150, a NaN reward or a
        group of one is refused by the convention, an id is missing, or no preset has that name.
    TypeError
        If rewards or ids are of a type that is neither numbers nor names, or `preset` is neither a name nor a
        Normalization.

    Notes
    -----
    Symbols: σ = spread, G = group size, N = number of rewards.

    Examples
    --------
    One success in eight, as the theory has it, and as a trainer with the sample standard deviation has it:

    >>> group_advantages([[1, 0, 0, 0, 0, 0, 0, 0]]).round(3)
    array([[ 2.646, -0.378, -0.378, -0.378, -0.378, -0.378, -0.378, -0.378]])
    >>> group_advantages([[1, 0, 0, 0, 0, 0, 0, 0]], preset="trl").round(3)
    array([[ 2.474, -0.353, -0.353, -0.353, -0.353, -0.353, -0.353, -0.353]])

    Flat rewards with ids, groups of unlike size in any order; a group that agrees says nothing:

    >>> group_advantages([1.0, 0.7, 0.0, 0.7, 0.0], ["a", "b", "a", "b", "a"]).round(3)
    array([ 1.414,  0.   , -0.707,  0.   , -0.707])
    """
    convention = resolve(preset)
    if is_torch_array(rewards):
        return _torch_advantages(rewards, groups, convention)
    return _numpy_advantages(_as_floats(rewards), groups, convention)


def _torch_advantages(rewards: Any, groups: Any, convention: Normalization) -> Any:
    """Take a tensor to numpy and back. torch is loaded already: it made the tensor."""
    import torch

    if rewards.is_complex():
        raise TypeError(f"rewards have dtype {rewards.dtype}: pass real numbers.")
    dtype = rewards.dtype if rewards.is_floating_point() else torch.float64
    # numpy has no bfloat16; float32 holds every half-precision number.
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    values = rewards.detach().to(device="cpu", dtype=exact)
    result = _numpy_advantages(values.numpy(), groups, convention)
    return torch.from_numpy(result).to(device=rewards.device, dtype=dtype)


def _numpy_advantages(
    rewards: NDArray[np.floating[Any]], groups: Any, convention: Normalization
) -> NDArray[np.floating[Any]]:
    """Check what the grouping and the NaN policy ask for, then compute."""
    ids = _checked_ids(rewards, groups)
    if rewards.size == 0:
        return np.empty_like(rewards)
    flat = np.ascontiguousarray(rewards).reshape(-1)
    missing = _missing(flat, convention)
    grouping = Grouping.of_runs(*rewards.shape) if ids is None else group_by(ids)
    if missing is None:
        _check_singletons(grouping, ids, convention)
        result = _computed(flat, grouping, convention)
    else:
        kept = np.flatnonzero(~missing)
        result = np.zeros_like(flat)
        if kept.size:
            rest = grouping.restrict(kept)
            _check_singletons(rest, kept if ids is None else ids[kept], convention)
            result[kept] = _computed(flat[kept], rest, convention)
    return result.reshape(rewards.shape)


def _computed(
    flat: NDArray[np.floating[Any]], grouping: Grouping, convention: Normalization
) -> NDArray[np.floating[Any]]:
    """NaN rewards pass through comparisons and square roots on purpose, so numpy's warnings about them are off."""
    with np.errstate(all="ignore"):
        return advantages(flat, grouping, convention).astype(flat.dtype, copy=False)


def _as_floats(rewards: Any) -> NDArray[np.floating[Any]]:
    """Read rewards as a numpy array of floats."""
    if isinstance(rewards, np.ma.MaskedArray):
        raise TypeError(
            "rewards are a masked array, whose mask would be lost: fill it with NaN and choose a NaN policy."
        )
    try:
        values = np.asarray(rewards)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        values = np.empty(len(rewards), dtype=object)
        values[:] = rewards
    if values.dtype == object and any(hasattr(row, "__len__") for row in values.flat):
        sizes = sorted({len(row) if hasattr(row, "__len__") else 1 for row in values.flat})
        raise ValueError(
            f"groups of sizes {', '.join(map(str, sizes))} do not make an (n, G) array: "
            "pass flat rewards of shape (N,) with one group id for each."
        )
    if values.dtype.kind in "biu":
        return values.astype(np.float64)
    if values.dtype not in {np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)}:
        raise TypeError(
            f"rewards have dtype {values.dtype}: pass float16, float32, float64, integers or booleans, "
            "with NaN for a missing reward."
        )
    return values


def _checked_ids(rewards: NDArray[Any], groups: Any) -> NDArray[Any] | None:
    """Check shapes against each other and read the ids; None for rows of an (n, G) array."""
    if groups is None:
        if rewards.ndim == 1 and rewards.size:
            raise ValueError(
                f"rewards of shape {rewards.shape} need group ids: pass groups, or rewards of shape (n, G)."
            )
        if rewards.ndim not in {1, 2}:
            raise ValueError(
                f"rewards of shape {rewards.shape} are neither (N,) nor (n, G): one reward a response, please."
            )
        return None
    if is_torch_array(groups):
        groups = groups.detach().cpu().numpy()
    ids = np.asarray(groups)
    if rewards.ndim != 1 or ids.shape != rewards.shape:
        raise ValueError(
            f"rewards of shape {rewards.shape} and groups of shape {ids.shape} must both be flat and of one length."
        )
    if ids.size == 0:
        return ids
    if ids.dtype.kind not in "iuUSTO":
        raise TypeError(
            f"group ids have dtype {ids.dtype} (the first is {ids[0]!r}): pass integers or strings."
        )
    if ids.dtype == object:
        _check_labels(ids)
    return ids


def _check_labels(ids: NDArray[Any]) -> None:
    """Refuse missing and unhashable ids."""
    for position, label in enumerate(ids.tolist()):
        if label is None or label != label:
            raise ValueError(f"group id {position} is {label!r}: every reward needs a group.")
        if not isinstance(label, str | bytes | int | tuple | np.integer):
            raise TypeError(f"group id {position} is {label!r}: pass integers or strings.")


def _missing(flat: NDArray[np.floating[Any]], convention: Normalization) -> NDArray[np.bool_] | None:
    """Refuse what cannot be computed; return where rewards are to be left out, None for nowhere."""
    # One pass that says whether any reward needs a second look. Half precision would overflow at once.
    wide = flat.astype(np.float32) if flat.dtype == np.float16 else flat
    with np.errstate(all="ignore"):
        total = float(np.dot(wide, wide))
    if math.isfinite(total) and total < _LARGEST**2:
        return None
    missing = np.isnan(flat)
    too_large = np.abs(np.where(missing, 0, flat).astype(np.float64)) > _LARGEST
    if too_large.any():
        position = int(too_large.argmax())
        raise ValueError(
            f"reward {position} is {flat[position]}: rewards must be finite and at most {_LARGEST:g} in size; "
            "clip it, or make it NaN and choose a NaN policy."
        )
    if not missing.any() or convention.nan == "propagate":
        return None
    if convention.nan == "raise":
        position = int(missing.argmax())
        raise ValueError(
            f"reward {position} is nan ({int(missing.sum())} in all): score it, or choose a preset or "
            "Normalization with nan='exclude' or nan='propagate'."
        )
    return missing


def _check_singletons(grouping: Grouping, ids: NDArray[Any] | None, convention: Normalization) -> None:
    """Refuse a group of one where the convention does."""
    if convention.singleton != "raise" or not (grouping.counts == 1).any():
        return
    position = int(grouping.expand(grouping.counts == 1).argmax())
    label = position if ids is None else ids[position]
    raise ValueError(
        f"group {label!s} has one reward, and singleton='raise' refuses it: sample more, drop it, or choose "
        "singleton='zero', 'raw' or 'nan'."
    )
