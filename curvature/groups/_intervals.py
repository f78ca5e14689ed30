"""Intervals that assume nothing of how prompts differ: of one prompt's success rate, and of the mean reward std."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.groups._cells import make_cells
from curvature.groups._mixture import arcsine_grid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_METHODS = {"wilson": "wilson", "exact": "exact", "clopper-pearson": "exact", "wilson-corrected": "wilsoncc"}


def success_interval(
    count: ArrayLike, size: ArrayLike, *, level: float = 0.95, method: str = "wilson"
) -> tuple[Any, Any]:
    """Return an interval for each success rate p, from k ~ Bin(G, p): {p : k is no surprise under p}.

    Wilson 1927, Clopper and Pearson 1934, by :func:`scipy.stats.binomtest`. Ours: one call for each distinct (k, G).
    Holds when: the rollouts of a group are independent and share one success rate.

    Parameters
    ----------
    count : array_like of int
        k, successes.
    size : array_like of int
        G ≥ 1, rollouts; broadcast against `count`.
    level : float
        Coverage, in (0, 1).
    method : {"wilson", "wilson-corrected", "exact", "clopper-pearson"}
        "exact", the same as "clopper-pearson", covers at least `level` at every p; "wilson" covers about `level`
        averaged over p and is shorter.

    Returns
    -------
    low, high : float64 or array
        In the broadcast shape.

    Raises
    ------
    TypeError
        If counts or sizes are not numbers.
    ValueError
        If a value is outside its domain; the message has it.

    Examples
    --------
    >>> low, high = success_interval([0, 4, 8], 8)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.215, 0.676], [0.324, 0.785, 1.0])
    """
    from scipy.stats import binomtest

    if method not in _METHODS:
        raise ValueError(f"method is {method!r}; choose one of {', '.join(_METHODS)}.")
    require_level(level)
    cells = make_cells(count, size)
    found = [
        binomtest(int(k), int(g)).proportion_ci(level, method=_METHODS[method])
        for k, g in zip(cells.count, cells.size, strict=True)
    ]
    shape = np.broadcast_shapes(np.shape(count), np.shape(size))
    low, high = (
        np.array([getattr(one, end) for one in found], dtype=float)[cells.cell_of].reshape(shape)[()]
        for end in ("low", "high")
    )
    return low, high


def std_mean_bounds(counts: ArrayLike, sizes: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Bound the mean reward std whatever F is: min and max of E √(p(1 − p)) over all F that the counts do not refute.

    F is not refuted if for every G and k the share of groups with k right lies in its exact interval, each at level
    1 − (1 − level)/K for K shares (Bonferroni). Both ends are linear programmes, by scipy.optimize.linprog.

    Ours. Kind: confidence interval of coverage at least `level`, for every F, up to the grid of 401 points.
    Holds when: groups are independent, rollouts of a group are independent given its prompt, one F whatever the G.

    Parameters
    ----------
    counts : array_like of int, shape (N,)
        k, successes of each group.
    sizes : array_like of int, shape (N,) or ()
        G ≥ 1, rollouts of each group.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    low, high : float
        The bounds; wide for small groups, because the counts tell no more.

    Raises
    ------
    TypeError
        If counts or sizes are not numbers.
    ValueError
        If there are no groups, or a value is outside its domain; the message has it.
    ArithmeticError
        If no F passes, as where groups of different sizes come from different prompts.

    Examples
    --------
    >>> counts = np.repeat(range(9), [80, 30, 20, 15, 15, 15, 20, 25, 40])
    >>> low, high = std_mean_bounds(counts, 8)
    >>> round(low, 2), round(high, 2)
    (0.18, 0.36)
    """
    from scipy.optimize import linprog
    from scipy.stats import binom

    require_level(level)
    cells = make_cells(counts, sizes)
    support = arcsine_grid(401)
    std = np.sqrt(support * (1.0 - support))
    sizes_found = np.unique(cells.size)
    each = 1.0 - (1.0 - level) / float((sizes_found + 1).sum())
    rows, limits = [], []
    for size in sizes_found:
        here = cells.size == size
        number = np.zeros(size + 1, dtype=np.int64)
        number[cells.count[here]] = cells.number[here]
        low, high = success_interval(number, number.sum(), level=each, method="exact")
        table = binom.pmf(np.arange(size + 1)[:, None], size, support)
        rows += [table, -table]
        limits += [high, -low]
    ends = []
    for sign in (1.0, -1.0):
        found = linprog(
            sign * std,
            A_ub=np.concatenate(rows),
            b_ub=np.concatenate(limits),
            A_eq=np.ones((1, support.size)),
            b_eq=[1.0],
            method="highs",
        )
        if found.status == 2:
            raise ArithmeticError(
                "no distribution of success rates passes: counts spread less than those of independent rollouts do, or "
                "groups of different sizes have different prompts; treat sizes apart."
            )
        if found.status != 0:
            raise ArithmeticError(f"the linear programme was not solved: {found.message}")
        ends.append(sign * float(found.fun))
    return ends[0], ends[1]


def require_level(level: float) -> None:
    """Raise unless the level is a number between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, int | float | np.number) or not 0.0 < level < 1.0:
        raise ValueError(f"level is {level!r}; a number between 0 and 1 is needed, such as 0.95.")
