"""Assertions that print by how much a claim is missed, and where, and keep the instance that missed it.

Every assertion takes ``instance``: what the numbers were computed from. When it fails, that instance is written to a
JSON file in ``instance_dir``, or in the folder that the environment variable ``CURVATURE_INSTANCE_DIR`` names, and the
message ends with the path; :func:`curvature.testing.replay` reads it. Nothing is written when it passes. One test has
one file, so after hypothesis has shrunk a failure the file holds the shrunk instance.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature._inequality import Inequality
from curvature.testing.instances import INSTANCE_DIR, instance_path, store_instance

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["assert_identity", "assert_lower", "assert_sharp", "assert_tight", "assert_upper"]


@dataclass(frozen=True)
class _Miss:
    """The place where a claim is missed by most."""

    ratio: float
    where: tuple[int, ...]
    left: float
    right: float
    count: int
    size: int


def assert_upper(
    measured: ArrayLike,
    bound: ArrayLike,
    *,
    rtol: float = 1e-9,
    atol: float = 1e-300,
    name: str = "bound",
    instance: Any = None,
    instance_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Assert measured ≤ bound + rtol |bound| + atol everywhere.

    Ours. Kind: test of an upper bound.

    Parameters
    ----------
    measured, bound : array_like
        Broadcast against each other.
    rtol, atol : float
        Room for rounding. The absolute one is tiny by default, so that a bound that goes to zero stays a test.
    name : str
        Named in the message.
    instance : LogLinearBandit, tuple or mapping, optional
        What to keep if it fails; see :func:`curvature.testing.store_instance`.
    instance_dir : path, optional
        Where to keep it.

    Raises
    ------
    AssertionError
        With the worst ratio, its place and both numbers, if any entry is above its bound or is not a number. A bound
        of at most 0 that is exceeded has the ratio ∞.

    Examples
    --------
    >>> assert_upper([0.5, 1.0], 1.0)
    >>> assert_upper([0.5, 1.2], [1.0, 1.0], name="L2")
    Traceback (most recent call last):
        ...
    AssertionError: L2 is exceeded by ×1.2 at (1,): measured 1.2, bound 1.0 (1 of 2 entries).
    """
    left, right = _both(measured, bound)
    miss = _worst(left, right, ~(left <= right + _room(right, rtol, atol)), sign=1.0)
    if miss is not None:
        text = f"{name} is exceeded by ×{miss.ratio:.9g} at {miss.where}: measured {miss.left}, bound {miss.right}"
        _fail("assert_upper", name, text, miss, instance, instance_dir)


def assert_lower(
    measured: ArrayLike,
    bound: ArrayLike,
    *,
    rtol: float = 1e-9,
    atol: float = 1e-300,
    name: str = "bound",
    instance: Any = None,
    instance_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Assert measured ≥ bound − rtol |bound| − atol everywhere.

    Ours. Kind: test of a lower bound, such as a certified gain.

    Parameters
    ----------
    measured, bound : array_like
        Broadcast against each other.
    rtol, atol : float
        Room for rounding.
    name : str
        Named in the message.
    instance : LogLinearBandit, tuple or mapping, optional
        What to keep if it fails; see :func:`curvature.testing.store_instance`.
    instance_dir : path, optional
        Where to keep it.

    Raises
    ------
    AssertionError
        With the share of the bound that is reached where it is missed by most, if any entry is below its bound or is
        not a number. Where the bound is at most 0 the share says nothing, and is −∞.

    Examples
    --------
    >>> assert_lower([0.5, 1.0], 0.5)
    >>> assert_lower([0.5, 0.9], [0.5, 1.0], name="T1")
    Traceback (most recent call last):
        ...
    AssertionError: T1 is missed, ×0.9 of it is reached at (1,): measured 0.9, bound 1.0 (1 of 2 entries).
    """
    left, right = _both(measured, bound)
    miss = _worst(left, right, ~(left >= right - _room(right, rtol, atol)), sign=-1.0)
    if miss is not None:
        text = f"{name} is missed, ×{miss.ratio:.9g} of it is reached at {miss.where}: "
        text += f"measured {miss.left}, bound {miss.right}"
        _fail("assert_lower", name, text, miss, instance, instance_dir)


def assert_identity(
    first: ArrayLike,
    second: ArrayLike,
    *,
    rtol: float = 1e-9,
    atol: float = 1e-300,
    scale: ArrayLike | None = None,
    name: str = "identity",
    instance: Any = None,
    instance_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Assert that two routes give one number: |first − second| ≤ rtol · scale + atol everywhere.

    Ours. Kind: test of an identity.

    Parameters
    ----------
    first, second : array_like
        What the two routes give; broadcast against each other. Equal infinities agree, NaN agrees with nothing.
    rtol, atol : float
        Relative and absolute tolerance.
    scale : array_like, optional
        What the relative tolerance is relative to, where the numbers themselves are small differences of large ones;
        max(|first|, |second|) when left out.
    name : str
        Named in the message.
    instance : LogLinearBandit, tuple or mapping, optional
        What to keep if it fails; see :func:`curvature.testing.store_instance`.
    instance_dir : path, optional
        Where to keep it.

    Raises
    ------
    AssertionError
        With the largest ratio of an error to its tolerance, its place and both numbers.

    Examples
    --------
    >>> assert_identity([0.1 + 0.2, np.inf], [0.3, np.inf])
    >>> assert_identity([1.0, 2.0], [1.0, 2.002], rtol=1e-4, name="D1")
    Traceback (most recent call last):
        ...
    AssertionError: D1 is missed by ×9.99... of its tolerance at (1,): 2.0 against 2.002 (1 of 2 entries).
    """
    left, right = _both(first, second)
    if scale is None:
        size = np.maximum(np.abs(left), np.abs(right))
    else:
        left, right, size = np.broadcast_arrays(left, right, np.abs(np.asarray(scale, dtype=float)))
    same = left == right
    with np.errstate(invalid="ignore"):
        error = np.where(same, 0.0, np.abs(left - right))
        allowed = np.where(np.isfinite(size), rtol * size, 0.0) + atol
    worst = _worst(error, allowed, ~(error <= allowed), sign=1.0)
    if worst is not None:
        miss = _Miss(
            worst.ratio,
            worst.where,
            float(left[worst.where]),
            float(right[worst.where]),
            worst.count,
            worst.size,
        )
        text = f"{name} is missed by ×{miss.ratio:.9g} of its tolerance at {miss.where}: "
        text += f"{miss.left} against {miss.right}"
        _fail("assert_identity", name, text, miss, instance, instance_dir)


def assert_tight(
    measured: ArrayLike,
    bound: ArrayLike,
    *,
    at_least: float = 0.999,
    rtol: float = 1e-9,
    name: str = "bound",
    instance: Any = None,
    instance_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Assert that a bound holds everywhere and is reached somewhere: at_least ≤ max measured/bound ≤ 1 + rtol.

    Ours. Kind: test of a sharp upper bound.

    Parameters
    ----------
    measured, bound : array_like
        Broadcast against each other.
    at_least : float
        The ratio that must be reached.
    rtol : float
        Room for rounding above 1.
    name : str
        Named in the message.
    instance : LogLinearBandit, tuple or mapping, optional
        What to keep if it fails; see :func:`curvature.testing.store_instance`.
    instance_dir : path, optional
        Where to keep it.

    Raises
    ------
    AssertionError
        If the bound is exceeded, or if the best ratio falls short; the message has the best ratio.

    Examples
    --------
    >>> assert_tight([0.2, 0.9995], 1.0)
    >>> assert_tight([0.2, 0.5], 1.0)
    Traceback (most recent call last):
        ...
    AssertionError: bound is reached to ×0.5 only, ×0.999 was claimed: measured 0.5, bound 1.0 at (1,).
    """
    assert_upper(measured, bound, rtol=rtol, name=name, instance=instance, instance_dir=instance_dir)
    left, right = _both(measured, bound)
    best = _best(left, right)
    if not best.ratio >= at_least:
        text = f"{name} is reached to ×{best.ratio:.9g} only, ×{at_least:.9g} was claimed"
        _fail("assert_tight", name, text, best, instance, instance_dir)


def assert_sharp(
    claim: Inequality | Callable[..., tuple[ArrayLike, ArrayLike]],
    instances: Iterable[Any],
    *,
    at_least: float = 0.999,
    cut: float = 0.01,
    rtol: float = 1e-9,
    atol: float = 1e-300,
    name: str | None = None,
    instance_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Assert that a bound holds on every instance, is reached on one, and is broken when its constant is cut.

    Ours. Kind: test of a sharp upper bound.

    Parameters
    ----------
    claim : Inequality or callable
        The sides: a callable is given the parts of an instance and returns (measured, bound).
    instances : iterable
        Bandits, tuples (bandit, θ[, displacement]), or results of :func:`curvature.adversary.worst_case`. Each is
        kept by itself if it breaks the bound; if none comes close enough, the closest is.
    at_least : float
        The share of the bound that some instance must reach.
    cut : float
        The bound times 1 − cut must be exceeded by some instance.
    rtol, atol : float
        Room for rounding above the bound.
    name : str, optional
        Named in the message; the inequality's own when left out.
    instance_dir : path, optional
        Where to keep the instance.

    Raises
    ------
    AssertionError
        If an instance breaks the bound; if none reaches the share; or if the bound would survive the cut.
    ValueError
        If there are no instances.

    Examples
    --------
    >>> from curvature import LogLinearBandit, feature_diameter, moments
    >>> def gradient_against_half_a_diameter_of_std(bandit, theta):
    ...     at = moments(bandit, theta)
    ...     return np.linalg.norm(at.gradient, axis=-1), feature_diameter(bandit) * at.reward_std / 2
    >>> two = LogLinearBandit.two_arm([0.5])
    >>> assert_sharp(gradient_against_half_a_diameter_of_std, [(two, [0.0]), (two, [1.0])], name="L1")
    >>> assert_sharp(gradient_against_half_a_diameter_of_std, [(two, [2.0])], name="L1")
    Traceback (most recent call last):
        ...
    AssertionError: L1 is reached to ×0.648054274 only, ×0.999 was claimed: ...
    """
    told = name or (claim.name if isinstance(claim, Inequality) else "bound")
    best: _Miss | None = None
    closest: Any = None
    for number, one in enumerate(instances):
        parts = _parts(one)
        left, right = _both(*_sides(claim, parts))
        label = f"{told}, instance {number},"
        assert_upper(left, right, rtol=rtol, atol=atol, name=label, instance=parts, instance_dir=instance_dir)
        reached = _best(left, right)
        if best is None or reached.ratio > best.ratio:
            best, closest = reached, parts
    if best is None:
        raise ValueError("instances is empty; a bound is sharp by at least one instance that reaches it.")
    if not best.ratio >= at_least:
        text = f"{told} is reached to ×{best.ratio:.9g} only, ×{at_least:.9g} was claimed"
        _fail("assert_sharp", told, text, best, closest, instance_dir)
    if not best.left > (1 - cut) * best.right:
        text = f"{told} survives a cut by {cut:.3g}: ×{best.ratio:.9g} is the most that is reached"
        _fail("assert_sharp", told, text, best, closest, instance_dir)


def _both(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, right = np.broadcast_arrays(np.asarray(first, dtype=float), np.asarray(second, dtype=float))
    return left, right


def _room(bound: NDArray[np.float64], rtol: float, atol: float) -> NDArray[np.float64]:
    return np.where(np.isfinite(bound), rtol * np.abs(bound), 0.0) + atol


def _worst(
    left: NDArray[np.float64], right: NDArray[np.float64], broken: NDArray[np.bool_], *, sign: float
) -> _Miss | None:
    """Find the broken place with the largest left/right (sign 1) or the smallest (sign −1)."""
    if not broken.any():
        return None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(right > 0, left / right, sign * np.inf)
        gap = sign * (left - right)
    ratio = np.where(np.isnan(ratio), sign * np.inf, ratio)
    gap = np.where(np.isnan(gap), np.inf, gap)
    # Among equal ratios, which are infinite ones as a rule, the larger difference is the worse.
    order = np.lexsort((gap.ravel(), np.where(broken, sign * ratio, -np.inf).ravel(), broken.ravel()))
    where = tuple(int(i) for i in np.unravel_index(int(order[-1]), ratio.shape))
    return _Miss(
        float(ratio[where]),
        where,
        float(left[where]),
        float(right[where]),
        int(broken.sum()),
        broken.size,
    )


def _best(left: NDArray[np.float64], right: NDArray[np.float64]) -> _Miss:
    """Find where a positive bound is reached to the largest share; a share of 0 if no bound is positive."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.where(right > 0, left / right, 0.0)
    if not share.size:
        return _Miss(0.0, (), 0.0, 0.0, 0, 0)
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(share)), share.shape))
    return _Miss(float(share[where]), where, float(left[where]), float(right[where]), 0, share.size)


def _parts(one: Any) -> tuple[Any, ...]:
    """Return bandit, θ and displacement of an instance in any of its forms."""
    if hasattr(one, "evaluations"):  # what a worst-case search gives: one prompt, and one displacement for it
        moved = None if one.displacement is None else one.displacement[None]
        return (one.bandit, one.theta) if moved is None else (one.bandit, one.theta, moved)
    return one if isinstance(one, tuple) else (one,)


def _sides(
    claim: Inequality | Callable[..., tuple[ArrayLike, ArrayLike]], parts: tuple[Any, ...]
) -> tuple[ArrayLike, ArrayLike]:
    if isinstance(claim, Inequality):
        return claim.sides(parts[0], parts[1], parts[2] if len(parts) > 2 else None)
    return claim(*parts)


def _fail(
    kind: str,
    name: str,
    text: str,
    miss: _Miss,
    instance: Any,
    instance_dir: str | os.PathLike[str] | None,
) -> None:
    """Keep the instance if there is one and a folder for it, and raise: the one place that does."""
    if miss.count:
        text += f" ({miss.count} of {miss.size} entries)."
    else:
        text += f": measured {miss.left}, bound {miss.right} at {miss.where}."
    if instance is not None:
        folder = instance_dir or os.environ.get(INSTANCE_DIR)
        if folder:
            facts = {
                "assertion": kind,
                "ratio": miss.ratio,
                "where": list(miss.where),
                "measured": miss.left,
                "bound": miss.right,
            }
            text += f" Instance: {store_instance(instance_path(name, folder), name, instance, facts)}"
        else:
            text += f" To keep the instance, set {INSTANCE_DIR} or pass instance_dir."
    raise AssertionError(text)
