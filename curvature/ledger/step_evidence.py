"""Evidence about a claim on a step: the worst instance known, replayed, and a search that starts from it and afresh."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from curvature.adversary import WorstCase, worst_case
from curvature.ledger.evidence import Evidence
from curvature.ledger.step_claims import ATTACKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from curvature.ledger.budget import Budget

__all__ = ["KNOWN_FILE", "attack_step", "known_instances"]

KNOWN_FILE = Path(__file__).parent / "worst_steps.json"
"""The worst instances that longer searches have found, by claim."""
# A search over one of the twelve or so sizes of a claim: a tenth of a second, and the stored instance to begin with.
_SHARE_OF_STARTS = 4


@cache
def known_instances() -> Mapping[str, WorstCase]:
    """Read the worst instances that longer searches have found.

    Ours. Kind: evidence.

    Returns
    -------
    mapping of str to WorstCase
        By the name of the claim.

    Examples
    --------
    >>> round(known_instances()["T1"].ratio, 4)
    0.7991
    """
    stored = json.loads(KNOWN_FILE.read_text(encoding="utf-8"))
    return {name: WorstCase.from_dict(one) for name, one in stored.items()}


def attack_step(row: str, budget: Budget) -> Evidence:
    """Search for the worst instance of a claim about a step, beginning with the worst one known.

    Ours. Kind: evidence.

    Parameters
    ----------
    row : str
        A key of :data:`curvature.ledger.step_claims.ATTACKS`.
    budget : Budget
        A quarter of its starts for each size; one restart.

    Returns
    -------
    Evidence
        Never less than the known instance gives.
    """
    attack = ATTACKS[row]
    claim, known = attack.claim, known_instances().get(row)
    found = worst_case(
        claim,
        num_prompts=attack.num_prompts,
        num_responses=attack.num_responses,
        dimension=attack.dimension,
        overlap=attack.overlap,
        rewards=attack.rewards,
        starts=-(-budget.starts // _SHARE_OF_STARTS),
        restarts=1,
        polish=False,
        begin=() if known is None else (known,),
        seed=int(budget.generator(f"attack, step, {row}").integers(2**32)),
    )
    evaluations = found.evaluations
    if known is not None and known.replay(claim) > found.ratio * (1 + 1e-9):
        found, evaluations = known, evaluations + 1
    measured = claim.constant * found.ratio
    return Evidence(measured, claim.constant, found.ratio, evaluations, claim.unit, found.to_dict())
