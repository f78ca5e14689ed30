"""The registry: a claim is a function with a statement, a source and a kind, and checking it is calling it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from curvature.ledger.verdicts import NotCheckableError, Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from curvature.ledger.budget import Budget

__all__ = ["CLAIMS", "Claim", "Kind", "Registry", "UnknownClaimError"]

Kind = Literal["identity", "upper bound", "sharp upper bound", "assumption", "empirical"]


class UnknownClaimError(KeyError):
    """Raised for an id that no claim has; the message lists the nearest ids."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Claim:
    """One row of the ledger.

    Attributes
    ----------
    id : str
        Short and unique.
    statement : str
        The claim in words and formulas, with its premises.
    source : str
        Number in the paper and its version, or the section of our theory.
    section : str
        Heading of the ledger that it stands under.
    kind : str
        identity, upper bound, sharp upper bound, assumption or empirical.
    test : str
        ``path::name`` of the test that would fail with it.
    figure : str or None
        Stem of the experiment that draws it.
    proofs : tuple of str
        Keys of :data:`curvature.proofs.PROOFS`, run with the claim.
    body : callable
        ``body(budget) -> Outcome``.
    """

    id: str
    statement: str
    source: str
    section: str
    kind: Kind
    test: str
    figure: str | None
    proofs: tuple[str, ...]
    body: Callable[[Budget], Outcome] = field(repr=False)

    def check(self, budget: Budget) -> Outcome:
        """Run the claim's body, and its proofs if the body finds that it holds.

        Parameters
        ----------
        budget : Budget
            How hard to try.

        Returns
        -------
        Outcome
            Fails, with the failed step as the reason, if a proof does; not checkable where the body says so.
        """
        try:
            outcome = self.body(budget)
        except NotCheckableError as reason:
            nan = float("nan")
            return Outcome(nan, nan, nan, 0, Verdict.NOT_CHECKABLE, str(reason))
        if outcome.holds:
            for name in self.proofs:
                failure = _failure_of_proof(name)
                if failure:
                    return replace(
                        outcome, verdict=Verdict.FAILS, looseness=None, reason=f"proof fails: {failure}"
                    )
        return outcome


def _failure_of_proof(name: str) -> str | None:
    from curvature.proofs import PROOFS

    if name not in PROOFS:
        return f"there is no proof {name!r}"
    try:
        PROOFS[name]()
    except (ValueError, ArithmeticError, AssertionError) as error:
        return str(error)
    return None


class Registry:
    """Claims by id, in the order in which they were registered.

    Examples
    --------
    >>> from curvature.ledger.verdicts import judge_identity
    >>> registry = Registry()
    >>> @registry.claim(id="half", statement="1/2 = 0.5", source="Ours", section="S", kind="identity", test="t::t")
    ... def half(budget):
    ...     return judge_identity(abs(1 / 2 - 0.5), 0.0, instances=1)
    >>> registry["half"].kind, len(registry)
    ('identity', 1)
    >>> registry["halves"]
    Traceback (most recent call last):
        ...
    curvature.ledger.registry.UnknownClaimError: there is no claim 'halves'; the nearest: half.
    """

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}

    def claim(
        self,
        *,
        id: str,
        statement: str,
        source: str,
        section: str,
        kind: Kind,
        test: str,
        figure: str | None = None,
        proofs: Iterable[str] = (),
    ) -> Callable[[Callable[[Budget], Outcome]], Callable[[Budget], Outcome]]:
        """Register the decorated function as the check of a claim.

        Parameters
        ----------
        id, statement, source, section, kind, test, figure, proofs
            As in :class:`Claim`.

        Returns
        -------
        callable
            The decorator; it gives the function back as it is.

        Raises
        ------
        ValueError
            If the id is taken, the kind is none of the five, or the test is not ``path::name``.
        """
        if id in self._claims:
            raise ValueError(f"the claim {id!r} is registered twice.")
        if kind not in get_args(Kind):
            raise ValueError(f"kind is {kind!r}; choose one of {', '.join(get_args(Kind))}.")
        if test.count("::") != 1:
            raise ValueError(f"test is {test!r}; path::name is needed.")

        def register(body: Callable[[Budget], Outcome]) -> Callable[[Budget], Outcome]:
            self._claims[id] = Claim(
                id, " ".join(statement.split()), source, section, kind, test, figure, tuple(proofs), body
            )
            return body

        return register

    def select(self, ids: Iterable[str] | None = None) -> list[Claim]:
        """Return the claims with the given ids, in the ledger's order; all of them when left out.

        Parameters
        ----------
        ids : iterable of str, optional
            Each must be known.

        Returns
        -------
        list of Claim
            Without repetition.

        Raises
        ------
        UnknownClaimError
            If an id is unknown.
        """
        if ids is None:
            return list(self)
        wanted = {self[id].id for id in ids}
        return [claim for claim in self if claim.id in wanted]

    def __getitem__(self, id: str) -> Claim:
        if id not in self._claims:
            # Ids differ in case and by one character, so a loose comparison of lower case finds the intended one.
            by_lower = {known.lower(): known for known in self._claims}
            near = difflib.get_close_matches(id.lower(), by_lower, n=3, cutoff=0.4)
            hint = ", ".join(by_lower[name] for name in near) or ", ".join(self._claims)
            raise UnknownClaimError(f"there is no claim {id!r}; the nearest: {hint}.")
        return self._claims[id]

    def __contains__(self, id: object) -> bool:
        return id in self._claims

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims.values())

    def __len__(self) -> int:
        return len(self._claims)


CLAIMS = Registry()
"""The claims of the ledger; :mod:`curvature.ledger` fills it."""
