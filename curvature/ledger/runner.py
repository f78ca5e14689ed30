"""Running claims: one after another here, or in worker processes, with the same result."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from curvature.ledger.budget import Budget
    from curvature.ledger.registry import Claim
    from curvature.ledger.verdicts import Outcome

__all__ = ["check"]

# A claim is thousands of small linear-algebra calls, which threads of a BLAS only slow down.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def check(
    claims: Sequence[Claim],
    budget: Budget,
    *,
    jobs: int = 0,
    done: Callable[[Claim, Outcome], None] | None = None,
) -> dict[str, Outcome]:
    """Check claims and return their outcomes by id, in the order of the claims.

    Ours. Kind: runner of the ledger.

    Parameters
    ----------
    claims : sequence of Claim
        What to check. With jobs, claims of :data:`curvature.ledger.CLAIMS`.
    budget : Budget
        How hard to try; every claim has generators of its own, so jobs and order change no number.
    jobs : int
        Worker processes, each with one BLAS thread; 0 runs everything in this process.
    done : callable, optional
        Called with each claim and outcome as it comes, for progress.

    Returns
    -------
    dict of str to Outcome
        One a claim.

    Raises
    ------
    ValueError
        If jobs is negative.

    Examples
    --------
    >>> from curvature.ledger import CLAIMS, Budget
    >>> outcomes = check(CLAIMS.select(["eq-12"]), Budget(instances=50))
    >>> outcomes["eq-12"].label
    'holds'
    """
    if jobs < 0:
        raise ValueError(f"jobs is {jobs}; a whole number of at least 0 is needed.")
    outcomes: dict[str, Outcome] = {}
    for claim, outcome in _outcomes(claims, budget, jobs):
        outcomes[claim.id] = outcome
        if done is not None:
            done(claim, outcome)
    return {claim.id: outcomes[claim.id] for claim in claims}


def _outcomes(claims: Sequence[Claim], budget: Budget, jobs: int) -> Iterator[tuple[Claim, Outcome]]:
    if jobs == 0:
        for claim in claims:
            yield claim, claim.check(budget)
        return
    from curvature._workers import worker_pool

    by_id = {claim.id: claim for claim in claims}
    with _one_blas_thread(), worker_pool(min(jobs, max(len(claims), 1))) as pool:
        for id, outcome in pool.imap_unordered(_check_by_id, [(claim.id, budget) for claim in claims]):
            yield by_id[id], outcome


def _check_by_id(task: tuple[str, Budget]) -> tuple[str, Outcome]:
    """Check one claim of the registry, in a worker process."""
    from curvature.ledger import CLAIMS

    id, budget = task
    return id, CLAIMS[id].check(budget)


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    unset = [name for name in _ONE_THREAD if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, "1"))
    try:
        yield
    finally:
        for name in unset:
            del os.environ[name]
