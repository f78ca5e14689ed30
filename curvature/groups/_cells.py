"""A log as a histogram: how often k of G rollouts of a group were right, for each k and G that occur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Cells:
    """The cells (k, G) that occur, (K,), how many groups are in each, and each group's cell, (N,)."""

    count: NDArray[np.int64]
    size: NDArray[np.int64]
    number: NDArray[np.int64]
    cell_of: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Groups."""
        return int(self.number.sum())

    @property
    def are_alike(self) -> bool:
        """Whether drawing groups again shows no spread within prompts: all are silent, or have one share right."""
        share = self.count / self.size
        return bool(np.ptp(share) == 0 or np.isin(share, (0.0, 1.0)).all())


def whole_numbers(name: str, values: ArrayLike, least: int) -> NDArray[np.int64]:
    """Return the values as int64, or raise an error that names the first one that is no whole number ≥ least."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be whole numbers, got {array.dtype}: pass an array of integers.")
    bad = ~(np.isfinite(array) & (array == np.floor(array)) & (array >= least))
    if bad.any():
        raise ValueError(
            f"{name} must be whole numbers of at least {least}, got {array[bad].ravel()[0]}: mend or drop them."
        )
    return array.astype(np.int64)


def make_cells(counts: ArrayLike, sizes: ArrayLike) -> Cells:
    """Fold groups into cells; counts and sizes are broadcast against each other."""
    size = whole_numbers("sizes", sizes, 1)
    count = whole_numbers("counts", counts, 0)
    try:
        count, size = (array.ravel() for array in np.broadcast_arrays(count, size))
    except ValueError:
        raise ValueError(
            f"counts has shape {count.shape} and sizes {size.shape}: give one size for each group, or one for all."
        ) from None
    if not count.size:
        raise ValueError("counts is empty: at least one group is needed.")
    if (count > size).any():
        at = int(np.argmax(count > size))
        raise ValueError(
            f"counts[{at}] is {count[at]}, but the group has {size[at]}: counts must be at most sizes."
        )
    base = int(size.max()) + 1
    found, cell_of, number = np.unique(size * base + count, return_inverse=True, return_counts=True)
    return Cells(found % base, found // base, number, cell_of.ravel())


def likelihood(cells: Cells, support: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Bin(k; G, p_j) for each cell and support point, (K, m)."""
    from scipy.stats import binom

    return binom.pmf(cells.count[:, None], cells.size[:, None], support)


def every_outcome(cells: Cells) -> Cells:
    """Return the cells 0, …, G of every size that occurs, with the groups that are in them."""
    sizes = np.unique(cells.size)
    count = np.concatenate([np.arange(size + 1) for size in sizes])
    size = np.repeat(sizes, sizes + 1)
    number = np.zeros(count.size, dtype=np.int64)
    first = np.cumsum(sizes + 1) - (sizes + 1)
    number[first[np.searchsorted(sizes, cells.size)] + cells.count] = cells.number
    return Cells(count, size, number, np.empty(0, dtype=np.int64))


def resampled(
    cells: Cells, clusters: ArrayLike | None, num_resamples: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw groups, or whole clusters of them, with replacement and count the cells again, (num_resamples, K)."""
    if clusters is None:
        # Drawing N groups with replacement is one multinomial draw of the histogram, whatever N is.
        return rng.multinomial(cells.total, cells.number / cells.total, size=num_resamples)
    _, cluster = np.unique(_flat_clusters(clusters, cells.cell_of.size), return_inverse=True)
    from scipy.sparse import csr_array

    num_clusters = int(cluster.max()) + 1
    table = csr_array(
        (np.ones(cluster.size, dtype=np.int64), (cells.cell_of, cluster)),
        shape=(cells.number.size, num_clusters),
    )
    table.sum_duplicates()
    drawn = np.empty((num_resamples, cells.number.size), dtype=np.int64)
    for row in drawn:
        times = np.bincount(rng.integers(num_clusters, size=num_clusters), minlength=num_clusters)
        row[:] = table @ times
    return drawn


def _flat_clusters(clusters: ArrayLike, expected: int) -> NDArray[Any]:
    """Return the cluster of each group, or raise if there is not one for each."""
    labels = np.asarray(clusters).ravel()
    if labels.size != expected:
        raise ValueError(
            f"clusters has {labels.size} entries, but there are {expected} groups: give one for each."
        )
    return labels
