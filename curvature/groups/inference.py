"""How prompts differ in success, from finite groups: a distribution fitted to counts, and intervals for what follows.

A log shows k of G rollouts right for each prompt, never the success rate p. Averages of √(p(1 − p)), of p^G + (1 − p)^G
at another G, or a predicted speed-up are functionals of the distribution F of p over prompts. Plugging k/G in for p is
biased: at G = 8 and p = 0.05 the mean of σ̂ is 0.54 σ. Here F is fitted to the counts k ~ Bin(G, p), p ~ F, and the
functional is taken of the fit.

What counts can tell has a limit. Groups of G tell the first G moments of F and no more, so that the mean of p or of
p(1 − p) is identified and the mean of √(p(1 − p)) is not quite: prompts at p = 0 and prompts at p = 0.02 look alike.
:func:`estimate` fills the gap by assuming that F is smooth but for atoms at 0 and 1, and its intervals are calibrated
for such F. :func:`std_mean_bounds` assumes nothing of F, and is wider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from curvature.groups import _mixture, _smooth
from curvature.groups._cells import Cells, every_outcome, likelihood, make_cells, resampled, whole_numbers
from curvature.groups._distribution import Interval, SuccessDistribution
from curvature.groups._intervals import require_level, std_mean_bounds, success_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Interval",
    "SuccessDistribution",
    "estimate",
    "fit_success_distribution",
    "std_mean_bounds",
    "success_interval",
]

# Shares of draws without a value that are left out, and beyond which there is no interval.
_MOST_MISSING = 0.1


def fit_success_distribution(
    counts: ArrayLike, sizes: ArrayLike, *, method: str = "nonparametric"
) -> SuccessDistribution:
    """Fit the distribution of success rates: max_F Σ_i log ∫ Bin(k_i; G_i, p) dF(p).

    Ours; Kiefer and Wolfowitz 1956, Wang 2007 (the algorithm of "nonparametric"), Efron 2016 (the model of "smooth").
    Kind: maximum likelihood.
    Holds when: rollouts of a group are independent given its prompt, and prompts come from one F whatever their G.

    Parameters
    ----------
    counts : array_like of int, shape (N,)
        k, successes of each group.
    sizes : array_like of int, shape (N,) or ()
        G ≥ 1, rollouts of each group; they may differ.
    method : {"nonparametric", "smooth", "beta"}
        "nonparametric": over all distributions on 201 points evenly spaced in arcsin √p, with 0 and 1, by a
        constrained Newton method whose steps are least squares of scipy.optimize.nnls. It is certified: its
        `gradient_gap` bounds what any other distribution on these points could gain. "smooth": a smooth density with
        atoms at 0 and 1, penalised towards a beta distribution; :func:`estimate` uses it. "beta": the beta-binomial,
        by scipy.optimize.minimize.

    Returns
    -------
    SuccessDistribution
        The fit. It is not unique where the counts leave a choice; functionals of the first G moments do not depend
        on that choice.

    Raises
    ------
    TypeError
        If counts or sizes are not numbers.
    ValueError
        If there are no groups, or a value is outside its domain; the message has it.

    Examples
    --------
    >>> fit = fit_success_distribution([0, 0, 1, 4, 8, 8], 8)
    >>> round(fit.success_mean, 2), fit.gradient_gap < 1e-6
    (0.44, True)
    """
    cells = make_cells(counts, sizes)
    if method == "nonparametric":
        support = _mixture.arcsine_grid(201)
        table = likelihood(cells, support)
        weights = _mixture.maximise(cells.number, table)
        return SuccessDistribution(
            support, weights, method, _mixture.gradient_gap(cells.number, table, weights)
        )
    if method == "smooth":
        family = _smooth.make_family()
        at = _smooth.fit(family, likelihood(cells, family.support), cells.number)
        return SuccessDistribution(family.support, _smooth.weights_of(family, at[None])[0], method)
    if method == "beta":
        return SuccessDistribution(*_mixture.beta_on_cells(*_mixture.fit_beta(cells), 200), method)
    raise ValueError(f"method is {method!r}; choose 'nonparametric', 'smooth' or 'beta'.")


def estimate(
    counts: ArrayLike,
    sizes: ArrayLike,
    functionals: Mapping[str, Callable[[SuccessDistribution], float]],
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    num_resamples: int = 200,
    seed: int = 0,
) -> dict[str, Interval]:
    """Estimate functionals ψ(F) of the distribution of success rates, each with an interval from shared resamples.

    ψ is taken of the smooth fit. Groups, or clusters of them, are drawn again with replacement; each time the centre
    of the penalty is drawn again, too, and the fit repeated. So the draws spread with the sampling and with what the
    counts leave open. (Where all are silent or all alike, drawing them again tells nothing: counts are simulated.) The
    interval runs from the lower to the higher end of two: the percentiles of the draws, and value ± z times their std.
    The two differ where smoothing shifts the fit, in either direction. It leaves neither [0, ∞) nor [0, 1] where no
    draw does.

    Ours. Kind: approximate confidence interval; its measured coverage is in docs of the project.
    Holds when: rollouts of a group are independent given its prompt; clusters are independent; F is smooth but for
    atoms at 0 and 1; there are hundreds of groups.

    Parameters
    ----------
    counts : array_like of int, shape (N,)
        k, successes of each group.
    sizes : array_like of int, shape (N,) or ()
        G ≥ 1, rollouts of each group.
    functionals : mapping of str to callable
        Each takes a :class:`SuccessDistribution` and returns a number; it may return NaN where it has none. All
        distributions of one call have the same `support` array.
    clusters : array_like, shape (N,), optional
        Label of the prompt, where prompts are visited more than once; groups are clusters of their own when left out.
    level : float
        Nominal coverage, in (0, 1).
    num_resamples : int
        At least 40. Time grows with it.
    seed : int
        Of all draws.

    Returns
    -------
    dict of str to Interval
        In the order of `functionals`.

    Raises
    ------
    TypeError
        If counts or sizes are not numbers.
    ValueError
        If there are no groups, shapes differ or a value is outside its domain; the message has it.

    Notes
    -----
    Symbols: counts = k, sizes = G. Where all prompts have one and the same p, F is not smooth, and the mean std comes
    out low by some per cent, more than the interval of a large log admits. The data are reduced to the histogram of
    (k, G), so the time hardly depends on N.

    Examples
    --------
    >>> found = estimate([0, 0, 1, 4, 8, 8] * 40, 8, {"std": lambda f: f.std_mean}, num_resamples=60)["std"]
    >>> found.low < found.value < found.high
    True
    """
    require_level(level)
    num_resamples = int(whole_numbers("num_resamples", num_resamples, 40))
    cells = make_cells(counts, sizes)
    fit, draws = _fit_and_draws(cells, clusters, num_resamples, np.random.default_rng(seed))
    what = "groups" if clusters is None else "clusters"
    found = {}
    for name, functional in functionals.items():
        values = np.array([float(functional(one)) for one in draws])
        found[name] = _interval(float(functional(fit)), values, level, what)
    return found


def _fit_and_draws(
    cells: Cells, clusters: ArrayLike | None, num_resamples: int, rng: np.random.Generator
) -> tuple[SuccessDistribution, list[SuccessDistribution]]:
    """Return the smooth fit and its draws."""
    family = _smooth.make_family()
    table = likelihood(cells, family.support)
    at = _smooth.fit(family, table, cells.number)
    fit = SuccessDistribution(family.support, _smooth.weights_of(family, at[None])[0], "smooth")
    numbers = resampled(cells, clusters, num_resamples, rng)
    if cells.are_alike:
        cells = every_outcome(cells)
        table = likelihood(cells, family.support)
        numbers = _simulated(cells, family, table, num_resamples, rng)
        occurs = numbers.any(axis=0)
        table, numbers = table[occurs], numbers[:, occurs]
    weights = _smooth.draws(family, table, numbers, at, rng)
    return fit, [SuccessDistribution(family.support, one, "draw") for one in weights]


def _simulated(
    cells: Cells,
    family: _smooth.Family,
    table: NDArray[np.float64],
    num_resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw counts from a fit to the log and one group more of each size, every outcome of which is as likely."""
    at = _smooth.fit(family, table, cells.number + 1.0 / (cells.size + 1.0))
    fitted = table @ _smooth.weights_of(family, at[None])[0]
    numbers = np.empty((num_resamples, cells.number.size), dtype=np.int64)
    for size in np.unique(cells.size):
        here = cells.size == size
        chances = fitted[here] / fitted[here].sum()
        numbers[:, here] = rng.multinomial(cells.number[here].sum(), chances, size=num_resamples)
    return numbers


def _interval(value: float, draws: NDArray[np.float64], level: float, what: str) -> Interval:
    """Return the wider end, on each side, of the percentile and of the normal interval."""
    from scipy.special import ndtri

    kept = draws[np.isfinite(draws)]
    missing = draws.size - kept.size
    if not np.isfinite(value) or missing > _MOST_MISSING * draws.size:
        why = f"no interval: the functional has no value at {missing} of {draws.size} resamples"
        return Interval(value, np.nan, np.nan, why, level)
    tail = 0.5 * (1.0 - level)
    reach = -float(ndtri(tail)) * float(kept.std(ddof=1))
    low, high = np.quantile(kept, [tail, 1.0 - tail])
    low, high = min(float(low), value - reach), max(float(high), value + reach)
    within = np.append(kept, value)
    if (within >= 0.0).all():
        low = max(low, 0.0)
        high = min(high, 1.0) if (within <= 1.0).all() else high
    left_out = f"; {missing} without a value left out" if missing else ""
    method = f"smooth mixture fit; percentile or normal, the wider, over {draws.size} resamples of {what}{left_out}"
    return Interval(value, low, high, method, level)
