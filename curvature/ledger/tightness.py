"""How tight each upper bound of the ledger is: what is reached, and whether a sharper constant is known.

The best known ratio comes from the outcome. Whether a sharper constant is proved, conjectured or open is a fact about
mathematics, kept here: a row that is reached must not stand in this table, and one that is not must.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from curvature.ledger.verdicts import SHARP

if TYPE_CHECKING:
    from curvature.ledger.registry import Claim
    from curvature.ledger.verdicts import Outcome

__all__ = ["SHARPER", "has_tightness", "tightness"]

# "proved" names the row or the calculator with the proof, "follows" what it takes one line from, "conjectured" what
# searches have not broken; "open" says that no better constant is known to us.
SHARPER: dict[str, str] = {
    "lemma-3.1-variance": "proved: 2 for 4 (C1, ℓ(q) ≤ p(1 − p))",
    "lemma-3.1-smooth": "proved: 1/(3√3) for 1 (C1-max)",
    "lemma-3.2": "proved: 1/(2√2) for 1/2 (L1)",
    "lemma-3.3": "proved: 0.5873 for 5/2 (Lemma-3.3-sharp)",
    "thm-3.1-gain": "proved: 1 − 1/(6√3) = 0.9038 for 1/2 (Theorem 3.1-sharper)",
    "thm-3.1-sum": "proved: 1.107 for 2 (Theorem 3.1-sharper)",
    "thm-3.1-min": "proved: 1.107 for 2 (Theorem 3.1-sharper)",
    "thm-3.2-gain": "proved: 7/16 for 3/16, and 3 − 2e^(1/4) = 0.4319 for any rewards (Theorem 3.2-sharper)",
    "thm-3.2-min": "proved: 16/7 for 16/3 (Theorem 3.2-sharper)",
    "thm-3.2-weighted": "proved: 16/7 for 16/3 (Theorem 3.2-sharper)",
    "thm-3.2-constant": "proved: 16/7 for 16/3 (Theorem 3.2-sharper)",
    "thm-3.2-squared-mean": "proved: 16/7 for 16/3 (Theorem 3.2-sharper)",
    "thm-3.2-sum": "proved: 16/7 for 16/3 in the repairs (Theorem 3.2-sharper)",
    "thm-3.2-sum-estimate": "proved: 16/7 for 16/3 in the repair (Theorem 3.2-sharper)",
    "thm-3.3-gain": "proved: 0.9038 for 1/2, and max(1, M/(6√3)) would do for max(1, M/2) (Theorem 3.3-sharper)",
    "thm-3.3-sum": "proved: 1.107 for 2 (Theorem 3.3-sharper)",
    "thm-3.4-gain": "proved: 7/16 for 3/16, and max(1, 0.1361MR₂) would do for the factor (Theorem 3.4-sharper)",
    "thm-3.4-sum": "proved: 16/7 for 16/3 in the repairs (Theorem 3.4-sharper)",
    "thm-3.4-min": "proved: 16/7 for 16/3 (Theorem 3.4-sharper)",
    "eq-32": "open",
    "improvement-average": "open",
    "eq-16": "follows from C1: 2 for 2√2 + 1",
    "c3-success": "follows from |z′ − z| ≤ D‖Δ‖ for the log-odds z: 0.3500 for 1/2",
    "d3-step": "follows from ∇J = p(1 − p)(m₁ − m₀): 1/√2 for 1",
    "L4-ln2": "proved: 0.9134 of it (L4-exact)",
    "one-step-C1": "conjectured: 2.374 for 2 at a = 4 (one-step-grpo)",
    "T1": "proved for rewards 0, 1: 1.812 for 4k₀ = 1.545 at T1's own step a = 4 ln 2 (2 at a = 4: one-step-C1); "
    "conjectured for all: 1.934",
    "T2": "conjectured: 1.934 for 4k₀ = 1.545 where σ = σ_max",
    "C1-step": "conjectured: 5.757 for 3√3 = 5.196, per D² (one_step_gain at 6√3)",
    "T3-reinforce": "open over a run; each step as T2",
    "T3-grpo": "open over a run; each step as T1",
    "C1-rate": "open over a run; each step as C1-step; the smallest gradient: 2T/(3T − 1) of it (smooth-rate)",
    "smooth-rate": "open for policies; exact over all L-smooth functions",
    "mei-smooth": "open; 1.5522 for 3 is the largest found",
    "razin-std": "proved: σ for σ^(2/3) (L1)",
    "razin-L1": "proved: 1/(6√2) at most",
}
"""Rows that are not reached, by id, and what is known of a sharper constant."""


def has_tightness(claim: Claim) -> bool:
    """Say whether a row is an upper bound, of which tightness can be asked.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    claim : Claim
        The row.

    Returns
    -------
    bool
        By its kind.
    """
    return claim.kind.endswith("upper bound")


def tightness(claim: Claim, outcome: Outcome) -> str:
    """Say how close to a bound the best known instance comes, and what is known of a sharper constant.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    claim : Claim
        The row.
    outcome : Outcome
        Its result; of a statement that holds as repaired, the tightness is that of the repair.

    Returns
    -------
    str
        "sharp" from 0.999 on, else the ratio and the entry of :data:`SHARPER`; "—" where there is no true bound.

    Examples
    --------
    >>> from curvature.ledger import CLAIMS
    >>> from curvature.ledger.evidence import Evidence
    >>> from curvature.ledger.verdicts import judge_upper
    >>> tightness(CLAIMS["lemma-3.2"], judge_upper(Evidence(0.35355, 0.5, 0.7071, 100)))
    '0.7071; proved: 1/(2√2) for 1/2 (L1)'
    >>> tightness(CLAIMS["L1"], judge_upper(Evidence(0.5, 0.5, 1.0, 100)))
    'sharp'
    """
    best = outcome.tightest
    if not has_tightness(claim) or math.isnan(best):
        return "—"
    if best * SHARP >= 1:
        return "sharp"
    return f"{best:.4g}; {SHARPER.get(claim.id, 'open')}"
