"""The ledger: every statement of the paper, and of ours, as a function that measures whether it holds.

:data:`CLAIMS` is the registry. :func:`check` runs claims and returns an :class:`Outcome` each,
:func:`render` prints them as the ``paper_checks.md`` of this repository, and :func:`stale_rows` says in which rows
a printed ledger differs from a fresh one. On the command line: ``curvature check``.
"""

from importlib import import_module

from curvature.ledger.budget import Budget
from curvature.ledger.evidence import Evidence
from curvature.ledger.registry import CLAIMS, Claim, Registry, UnknownClaimError
from curvature.ledger.render import render
from curvature.ledger.runner import check
from curvature.ledger.staleness import stale_rows
from curvature.ledger.verdicts import NotCheckableError, Outcome, Verdict

__all__ = [
    "CLAIMS",
    "Budget",
    "Claim",
    "Evidence",
    "NotCheckableError",
    "Outcome",
    "Registry",
    "UnknownClaimError",
    "Verdict",
    "check",
    "render",
    "stale_rows",
]

# In this order they appear in the ledger.
_SECTIONS = (
    "section_2",
    "section_3",
    "section_3_assumptions",
    "section_3_theorems",
    "section_3_comparison",
    "section_4",
    "appendix_b",
    "appendix_c",
    "appendix_d",
    "appendix_d_e",
    "ours",
    "ours_rates",
    "ours_overlap",
    "ours_flow",
    "ours_groups",
    "ours_worst_cases",
    "hypotheses",
    "related",
)
for _section in _SECTIONS:
    import_module(f"curvature.ledger.{_section}")
