"""Graded groups of real data as counts of right answers, and what they say about groups of other sizes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments._gsm8k_models import fit_beta_binomial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

DATA = Path(__file__).resolve().parent / "data"
ANSWERS = DATA / "gsm8k_graded_answers.csv"
ROLLOUTS = DATA / "rollouts_qwen2.5_coder.csv"
SYSTEMS = "four systems, GSM8K"
POOLED = "one policy, 40 questions"
# The beta-binomial is fitted to groups of this size and asked about all others.
FITTED_SIZE = 4
PREDICTIONS = {
    "mean p": "every prompt at the mean p",
    "beta": f"beta-binomial, fitted to groups of {FITTED_SIZE}",
}


class Groups(NamedTuple):
    """Graded groups of one size, each to a question of its own: how many have k = 0..G right answers."""

    histogram: NDArray[np.integer]
    dataset: str

    @property
    def group_size(self) -> int:
        """G."""
        return len(self.histogram) - 1

    @property
    def count(self) -> int:
        """Number of groups."""
        return int(self.histogram.sum())

    @property
    def success(self) -> float:
        """The mean success rate."""
        return float(self.histogram @ np.arange(len(self.histogram)) / (self.count * self.group_size))


def read_systems() -> Groups:
    """Read the four systems' answers, a group a question."""
    import pandas as pd

    answers = pd.read_csv(ANSWERS, index_col="question").to_numpy()
    return _groups(answers.sum(axis=1), answers.shape[1], "GSM8K")


def read_runs(grade: str = "reward") -> dict[str, Groups]:
    """Read the policies' answers.

    Parameters
    ----------
    grade : str
        "reward", the lenient one, or "strict".

    Returns
    -------
    dict of str to Groups
        By run, the longest first. Questions differ within a run; runs on the same data set share questions.
    """
    import pandas as pd

    rollouts = pd.read_csv(ROLLOUTS)
    keys = ["model", "dataset", "prompt", "temperature"]
    by_group = rollouts.groupby([*keys, "step", "group"])
    sizes = by_group.size().unique()
    if len(sizes) != 1:
        raise ValueError(f"{ROLLOUTS} holds groups of {sorted(sizes)} answers; one size is needed.")
    found = {}
    for (model, dataset, prompt, temperature), right in by_group[grade].sum().groupby(level=keys):
        billions = model.split("-")[2].upper()
        name = f"{billions} on {dataset}, {prompt}, T = {temperature:g}"
        found[name] = _groups(right.to_numpy().astype(int), int(sizes[0]), dataset)
    return dict(sorted(found.items(), key=lambda item: -item[1].count))


def largest_of_each_dataset(runs: Mapping[str, Groups]) -> Groups:
    """Join the longest run on each data set, so that no question is counted twice."""
    longest: dict[str, Groups] = {}
    for groups in runs.values():
        known = longest.setdefault(groups.dataset, groups)
        longest[groups.dataset] = max(known, groups, key=lambda one: one.count)
    return Groups(np.sum([groups.histogram for groups in longest.values()], axis=0), " and ".join(longest))


def _groups(right: NDArray[np.integer], group_size: int, dataset: str) -> Groups:
    return Groups(np.bincount(right, minlength=group_size + 1), dataset)


def thin(groups: Groups, size: int) -> NDArray[np.float64]:
    """Count, in expectation, groups with j = 0..n right among a random n of each group's answers.

    Parameters
    ----------
    groups : Groups
        The whole groups.
    size : int
        n ≤ G.

    Returns
    -------
    ndarray, shape (n + 1,)
        Their number by right answers.
    """
    from scipy.stats import hypergeom

    k = np.arange(len(groups.histogram))
    chances = hypergeom.pmf(np.arange(size + 1), groups.group_size, k[:, None], size)
    return groups.histogram @ chances


def silent_in_subsets(group_size: int, size: int) -> NDArray[np.float64]:
    """Return which part of the subsets of n answers is silent, (2, G + 1): all wrong, all right, by k right.

    Parameters
    ----------
    group_size : int
        G.
    size : int
        n ≤ G.

    Returns
    -------
    ndarray, shape (2, G + 1)
        C(G − k, n)/C(G, n) and C(k, n)/C(G, n).
    """
    from scipy.special import comb

    k = np.arange(group_size + 1)
    return np.array([comb(group_size - k, size), comb(k, size)]) / comb(group_size, size)


def predict(groups: Groups, sizes: Any) -> dict[str, NDArray[np.float64]]:
    """Predict the share of silent groups from the mean success rate, and from a fitted beta distribution of them.

    Parameters
    ----------
    groups : Groups
        The data; the fit sees no more than :data:`FITTED_SIZE` answers of each group at once.
    sizes : array_like
        Group sizes to predict.

    Returns
    -------
    dict of str to ndarray
        A key of :data:`PREDICTIONS` each.
    """
    from scipy.stats import betabinom

    from curvature.groups import silent_probability

    n = np.asarray(sizes)
    a, b = fit_beta_binomial(thin(groups, FITTED_SIZE))
    at_mean = [silent_probability(groups.success, int(size)).total for size in n]
    return {
        "mean p": np.array(at_mean, dtype=np.float64),
        "beta": betabinom.pmf(0, n, a, b) + betabinom.pmf(n, n, a, b),
    }
