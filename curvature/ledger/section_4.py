"""Section 4 and appendix F of the paper: numbers measured on language models, beside ours on those we could run.

The paper trained Qwen2.5-Math-1.5B for 500 iterations without stating learning rate, group size, batch size, optimiser
or seeds. What we measured is stored in ``lm_results.json``, which ``python -m experiments._lm_ledger`` makes from the
committed runs; every entry names its model and setting. A row counts as replicated only where the whole interval of
our number lies in the range that the paper's sentence gives, and only for statements that do not depend on its model.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature.ledger.empirical import Interval
from curvature.ledger.registry import CLAIMS
from curvature.ledger.verdicts import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from curvature.ledger.budget import Budget

__all__ = ["REPORTED", "RESULTS_FILE", "Reported", "judge_replication"]

SECTION = "Section 4 and appendix F — language models"
TEST = "tests/unit/test_ledger_language_models.py::test_each_reported_number_is_judged_by_its_range"
RESULTS_FILE = Path(__file__).parent / "lm_results.json"


@dataclass(frozen=True)
class Reported:
    """A number of the paper, and the measurement of ours that stands beside it.

    Attributes
    ----------
    id, statement, source : str
        As in the ledger.
    value : float
        What the paper reports.
    key : str
        Entry of ``lm_results.json``.
    low, high : float
        The range in which the statement is true.
    differs : str
        Why the numbers cannot be compared at all; empty where they can.
    figure : str or None
        Stem of the experiment that draws it.
    """

    id: str
    statement: str
    source: str
    value: float
    key: str
    low: float = -math.inf
    high: float = math.inf
    differs: str = ""
    figure: str | None = None


_RUN = "no run of 500 iterations on a model of its size; the setting of the paper's own is not stated"
_COSINES = "lm_gradient_cosines"
_CURVES = "lm_learning_curves"

REPORTED = (
    Reported(
        "4.1-below",
        "Over 90 % of pairs of questions have representations (penultimate hidden states, pooled) with ∣cos∣ < .15.",
        "§4.1, Fig. 1, arXiv:2601.23135v1",
        0.9,
        "representation_share_below_15",
        low=0.9,
        figure=_COSINES,
    ),
    Reported(
        "4.1-mean",
        "The mean ∣cos∣ of representations is about .088 (read: below .15).",
        "§4.1, Fig. 1, arXiv:2601.23135v1",
        0.088,
        "representation_abs_cos",
        high=0.15,
        figure=_COSINES,
    ),
    Reported(
        "4.2-near",
        "At the start over 80 % of pairs of sampled policy gradients have ∣cos∣ < .1.",
        "§4.2, Fig. 2; Table 3 has .977; arXiv:2601.23135v1",
        0.977,
        "gradient_share_near_zero",
        low=0.8,
        figure=_COSINES,
    ),
    Reported(
        "4.2-noise",
        "The small cosines are the prompts' geometry, not sampling noise: with the noise of the groups removed (split "
        "halves), the root mean square cosine stays below .1.",
        "§4.2 as it is read; arXiv:2601.23135v1",
        0.045,
        "gradient_cos_rms_corrected",
        high=0.1,
        figure=_COSINES,
    ),
    Reported(
        "4.2-sign",
        "A4 holds throughout, so no two gradients have a negative inner product (the paper's own table: 27 to 50 %).",
        "§4.2, Table 3, arXiv:2601.23135v1",
        0.0,
        "gradient_share_negative",
        high=0.0,
        figure=_COSINES,
    ),
    Reported(
        "F-spread",
        "In training the cosines of gradients spread: their sd grows from .045 to .130 (read: more at the end).",
        "F.1, Table 3, arXiv:2601.23135v1",
        0.13 / 0.045,
        "gradient_sd_end_over_start",
        low=1.0,
        figure=_COSINES,
    ),
    Reported(
        "4.3-same",
        "Within an iteration a prompt's Fisher proxy and its reward variance correlate: Pearson .342 (read: positive).",
        "§4.3, Table 1, arXiv:2601.23135v1",
        0.342,
        "fisher_same",
        low=0.0,
        figure="lm_curvature_vs_std",
    ),
    Reported(
        "4.3-other",
        "Across iterations they do not: Pearson −.028 (read: within .1 of 0).",
        "§4.3, Table 1, arXiv:2601.23135v1",
        -0.028,
        "fisher_other",
        low=-0.1,
        high=0.1,
        figure="lm_curvature_vs_std",
    ),
    Reported(
        "4.4-easy",
        "GSM8K Easy: dividing by the std leads by 3 points at iteration 300 and by 2 at the end.",
        "§4.4, Fig. 3a, arXiv:2601.23135v1",
        0.03,
        "lead_gsm8k_easy",
        low=0.0,
        differs=_RUN,
        figure=_CURVES,
    ),
    Reported(
        "4.4-hard",
        "GSM8K Hard: it leads by 7 points at iteration 300 and by 3 at the end.",
        "§4.4, Fig. 3b, arXiv:2601.23135v1",
        0.07,
        "lead_gsm8k_hard",
        low=0.0,
        differs=_RUN,
        figure=_CURVES,
    ),
    Reported(
        "F-math",
        "MATH Level 2: it leads by 3 to 5 points in iterations 150 to 400.",
        "F.3, Fig. 5, arXiv:2601.23135v1",
        0.04,
        "lead_math",
        low=0.0,
        differs=_RUN,
        figure=_CURVES,
    ),
    Reported(
        "4.4-lead",
        "Dividing by the std reaches a given accuracy in fewer steps (both arms tuned, one optimiser): steps without "
        "over steps with, above 1.",
        "§4.4, arXiv:2601.23135v1",
        1.0,
        "speedup_adamw",
        low=1.0,
        figure="lm_predicted_vs_measured",
    ),
    Reported(
        "4.4-lead-sgd",
        "As 4.4-lead, with SGD, where the theory's whole factor applies.",
        "§4.4, arXiv:2601.23135v1",
        1.0,
        "speedup_sgd",
        low=1.0,
        figure="lm_predicted_vs_measured",
    ),
    Reported(
        "4.4-lead-small-steps",
        "As 4.4-lead-sgd, in small steps: the smallest rates of the grids, a factor of 2 apart as the advantages' "
        "scales are, untuned.",
        "§4.4, arXiv:2601.23135v1",
        1.0,
        "speedup_sgd_small",
        low=1.0,
        figure="lm_predicted_vs_measured",
    ),
)


@cache
def _stored() -> Mapping[str, Mapping[str, Any]]:
    return json.loads(RESULTS_FILE.read_text(encoding="utf-8")) if RESULTS_FILE.exists() else {}


def judge_replication(claim: Reported, entry: Mapping[str, Any] | None) -> Outcome:
    """Judge a reported number by the interval of ours: inside the statement's range, outside it, or across its end.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    claim : Reported
        The paper's number and the range in which its statement is true.
    entry : mapping or None
        Ours: "value", "low", "high", "count", "model" and "setting"; None where nothing was measured.

    Returns
    -------
    Outcome
        Measured is our number, bound the paper's, instances the count.

    Examples
    --------
    >>> claim = Reported("x", "at least .8", "§4", 0.97, "x", low=0.8)
    >>> entry = {"value": 0.9, "low": 0.85, "high": 0.95, "count": 28, "model": "tiny", "setting": "sums"}
    >>> judge_replication(claim, entry).label, judge_replication(claim, None).label
    ('replicated', 'not comparable')
    >>> judge_replication(claim, entry | {"low": 0.7}).label
    'not checkable here'
    """
    if entry is None:
        reason = claim.differs or "no run of ours has measured it yet"
        return Outcome(math.nan, claim.value, math.nan, 0, Verdict.NOT_COMPARABLE, reason)
    ours = Interval(float(entry["value"]), float(entry["low"]), float(entry["high"]), int(entry["count"]))
    reason = f"{ours} on {entry['model']}, {entry['setting']}"
    if claim.differs:
        verdict, reason = Verdict.NOT_COMPARABLE, f"{claim.differs}; ours: {reason}"
    elif claim.low <= ours.low and ours.high <= claim.high:
        verdict = Verdict.REPLICATED
    elif ours.high < claim.low or ours.low > claim.high:
        verdict = Verdict.NOT_REPLICATED
    else:
        verdict, reason = Verdict.NOT_CHECKABLE, f"the interval holds both answers: {reason}"
    return Outcome(ours.estimate, claim.value, math.nan, ours.count, verdict, reason)


def _register(claim: Reported) -> None:
    @CLAIMS.claim(
        id=claim.id,
        statement=claim.statement,
        source=claim.source,
        section=SECTION,
        kind="empirical",
        test=TEST,
        figure=claim.figure,
    )
    def _(budget: Budget) -> Outcome:
        return judge_replication(claim, _stored().get(claim.key))


for _claim in REPORTED:
    _register(_claim)
