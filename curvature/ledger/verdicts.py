"""What checking a claim comes to: an :class:`Outcome` whose verdict is derived from its numbers.

The functions named ``judge_*`` are the only places where a verdict is chosen, and each chooses by comparing
numbers: no claim states its own verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from curvature.ledger.evidence import Evidence

__all__ = [
    "NotCheckableError",
    "Outcome",
    "Verdict",
    "judge_identity",
    "judge_mended",
    "judge_needed",
    "judge_profile",
    "judge_repair",
    "judge_upper",
]

ROUNDING = 1e-9
"""By how much a ratio may exceed 1 before an upper bound counts as broken."""
SHARP = 1.001
"""A bound whose best ratio is at least 1/1.001 is reported as holding, without a looseness."""


class NotCheckableError(Exception):
    """Raised by a claim that cannot be checked on this machine; the message says why."""


class Verdict(StrEnum):
    """The vocabulary of the ledger."""

    HOLDS = "holds"
    LOOSE = "holds, loose by"
    FAILS = "fails as printed, counterexample"
    REPAIRED = "holds as repaired"
    VACUOUS = "vacuous"
    NOT_CHECKABLE = "not checkable here"
    REPLICATED = "replicated"
    NOT_REPLICATED = "not replicated"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Outcome:
    """Result of checking one claim.

    Attributes
    ----------
    measured, bound : float
        The two sides where their ratio is largest; for an identity, the largest error and the tolerance. NaN
        where there is nothing to show.
    ratio : float
        measured/bound; NaN for an identity.
    instances : int
        Instances on which the claim was tried, random ones and those the search looked at.
    verdict : Verdict
        Chosen by one of the ``judge_*`` functions.
    reason : str
        One line.
    looseness : float, optional
        c in "holds, loose by ×c": the bound divided by the largest value found.
    unit : str
        What measured and bound are multiples of.
    witness : mapping, optional
        A counterexample, or the worst instance found, as JSON can hold it.
    shows_witness : bool
        Whether the printed ledger stores the witness although the claim holds: it is what the claim is about.
    repaired_ratio : float, optional
        The best known ratio of the repair, for a claim that holds as repaired.

    Examples
    --------
    >>> Outcome(0.5, 1.0, 0.5, 10, Verdict.LOOSE, "two arms", looseness=2.0).label
    'holds, loose by ×2.00'
    """

    measured: float
    bound: float
    ratio: float
    instances: int
    verdict: Verdict
    reason: str
    looseness: float | None = None
    unit: str = ""
    witness: Mapping[str, Any] | None = field(default=None, compare=False)
    shows_witness: bool = False
    repaired_ratio: float | None = None

    @property
    def tightest(self) -> float:
        """The best known ratio of the bound that holds, as printed or as repaired; NaN if there is none."""
        if self.verdict is Verdict.REPAIRED and self.repaired_ratio is not None:
            return self.repaired_ratio
        return self.ratio if self.holds else math.nan

    @property
    def label(self) -> str:
        """The verdict in the words of the ledger."""
        if self.verdict is Verdict.LOOSE:
            return f"{self.verdict} ×{self.looseness:.2f}"
        return str(self.verdict)

    @property
    def holds(self) -> bool:
        """Whether the claim is true as it is printed, loose or not."""
        return self.verdict in {Verdict.HOLDS, Verdict.LOOSE}

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON can hold it, NaN as None.

        Returns
        -------
        dict
            One key a field; the verdict in words.
        """
        numbers = {name: getattr(self, name) for name in ("measured", "bound", "ratio", "looseness")}
        return {
            **{
                name: None if value is None or math.isnan(value) else value for name, value in numbers.items()
            },
            "unit": self.unit,
            "instances": self.instances,
            "verdict": self.label,
            "reason": self.reason,
            "witness": None if self.witness is None else dict(self.witness),
        }


def judge_upper(evidence: Evidence, reason: str = "", *, report_looseness: bool = True) -> Outcome:
    """Judge measured ≤ bound by its largest ratio: broken above 1, sharp close to 1, loose by its inverse below.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    evidence : Evidence
        The worst instance found and the number of instances tried.
    reason : str
        One line.
    report_looseness : bool
        False for a claim of which only the truth is of interest.

    Returns
    -------
    Outcome
        Vacuous if the claim was tried on no instance.

    Examples
    --------
    >>> from curvature.ledger.evidence import Evidence
    >>> judge_upper(Evidence(1.0, 4.0, 0.25, 100)).label
    'holds, loose by ×4.00'
    >>> judge_upper(Evidence(1.1, 1.0, 1.1, 100)).label
    'fails as printed, counterexample'
    """
    looseness = None
    if evidence.instances == 0:
        verdict, reason = Verdict.VACUOUS, reason or "no instance meets the premises"
    elif not evidence.ratio <= 1 + ROUNDING:
        verdict = Verdict.FAILS
    elif not report_looseness or evidence.ratio * SHARP >= 1:
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.LOOSE
        looseness = 1 / evidence.ratio if evidence.ratio > 0 else math.inf
    return Outcome(
        evidence.measured,
        evidence.bound,
        evidence.ratio,
        evidence.instances,
        verdict,
        reason,
        looseness,
        evidence.unit,
        evidence.witness,
    )


def judge_profile(profile: Sequence[Evidence], everywhere: Evidence, reason: str = "") -> Outcome:
    """Judge a bound that claims to be reached along a whole dial: by its worst break and its worst gap.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    profile : sequence of Evidence
        The worst instance at each setting of the dial.
    everywhere : Evidence
        From instances at any setting.
    reason : str
        One line.

    Returns
    -------
    Outcome
        Fails if any ratio exceeds 1. Else its ratio is the smallest of the profile: a bound that is sharp in
        the middle and loose at an end is loose.

    Examples
    --------
    >>> from curvature.ledger.evidence import Evidence
    >>> sharp, gap = Evidence(1.0, 1.0, 1.0, 5), Evidence(0.8, 1.0, 0.8, 5)
    >>> judge_profile([sharp, gap], sharp).label
    'holds, loose by ×1.25'
    """
    total = everywhere.instances + sum(part.instances for part in profile)
    broken = max([*profile, everywhere], key=lambda part: part.ratio)
    shown = broken if not broken.ratio <= 1 + ROUNDING else min(profile, key=lambda part: part.ratio)
    return judge_upper(shown.counting(total), reason)


def judge_identity(error: float, tolerance: float, instances: int, reason: str = "") -> Outcome:
    """Judge an identity by the largest error of its two sides, computed by independent routes.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    error, tolerance : float
        The largest relative error, and what rounding may account for.
    instances : int
        Instances on which the sides were compared.
    reason : str
        One line.

    Returns
    -------
    Outcome
        Holds, fails (a NaN fails), or vacuous if there was no instance.

    Examples
    --------
    >>> judge_identity(3e-16, 1e-12, 50).label
    'holds'
    """
    verdict = Verdict.HOLDS if error <= tolerance else Verdict.FAILS
    if instances == 0:
        verdict = Verdict.VACUOUS
    return Outcome(error, tolerance, math.nan, instances, verdict, reason)


def judge_repair(
    printed_error: float,
    repaired_error: float,
    tolerance: float,
    instances: int,
    reason: str = "",
    witness: Mapping[str, Any] | None = None,
) -> Outcome:
    """Judge a formula by its error as printed and by its error as repaired.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    printed_error, repaired_error, tolerance : float
        NaN for a formula that has no value on some instance of its stated domain.
    instances : int
        Instances on which the formula was compared.
    reason : str
        One line: what is wrong and what the repair is.
    witness : mapping, optional
        An instance on which the printed formula is wrong.

    Returns
    -------
    Outcome
        Holds if it does as printed; else holds as repaired, or fails, by the repaired error.

    Examples
    --------
    >>> judge_repair(float("nan"), 1e-16, 1e-12, 50).label
    'holds as repaired'
    """
    printed = judge_identity(printed_error, tolerance, instances, reason)
    if printed.verdict is not Verdict.FAILS:
        return printed
    repaired = judge_identity(repaired_error, tolerance, instances, reason)
    verdict = Verdict.REPAIRED if repaired.holds else Verdict.FAILS
    return replace(repaired, verdict=verdict, witness=witness)


def judge_needed(kept: Evidence, dropped: Evidence, reason: str = "") -> Outcome:
    """Judge "this assumption is needed": the claim holds with it and a stored instance without it breaks it.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    kept, dropped : Evidence
        The worst instance with the assumption, and the one that lacks it.
    reason : str
        One line.

    Returns
    -------
    Outcome
        With the numbers of the instance that lacks the assumption. Fails if either side is not as claimed.

    Examples
    --------
    >>> from curvature.ledger.evidence import Evidence
    >>> judge_needed(Evidence(0.5, 1.0, 0.5, 10), Evidence(3.0, 1.0, 3.0, 1)).label
    'holds'
    """
    needed = kept.ratio <= 1 + ROUNDING and dropped.ratio > 1 + ROUNDING
    return Outcome(
        dropped.measured,
        dropped.bound,
        dropped.ratio,
        kept.instances + dropped.instances,
        Verdict.HOLDS if needed else Verdict.FAILS,
        reason,
        unit=dropped.unit,
        witness=dropped.witness,
        shows_witness=True,
    )


def judge_mended(printed: Evidence, mended: Evidence, reason: str = "") -> Outcome:
    """Judge an inequality by its worst ratio as printed, and, where that breaks it, by that of its repair.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    printed, mended : Evidence
        The worst instance for the inequality as it is printed and for the one that replaces it.
    reason : str
        One line: what is wrong and what the repair is.

    Returns
    -------
    Outcome
        With the numbers of the printed inequality. As :func:`judge_upper` if it holds; else holds as repaired if
        the repair was tried and holds, and fails if not.

    Examples
    --------
    >>> from curvature.ledger.evidence import Evidence
    >>> judge_mended(Evidence(2.0, 1.0, 2.0, 1), Evidence(0.5, 1.0, 0.5, 10)).label
    'holds as repaired'
    """
    outcome = judge_upper(printed.counting(printed.instances + mended.instances), reason)
    mends = mended.instances > 0 and mended.ratio <= 1 + ROUNDING
    if outcome.verdict is Verdict.FAILS and mends:
        return replace(outcome, verdict=Verdict.REPAIRED, repaired_ratio=mended.ratio)
    return outcome
