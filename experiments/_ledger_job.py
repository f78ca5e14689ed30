"""The ledger as a part of the main job: ``paper_checks.md``, made again when something it depends on changed."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from curvature._files import write_atomically
from experiments._experiment import (
    FIGURES,
    ROOT,
    Outcome,
    digest_of_files,
    is_made_here,
    mark_made_here,
    source_files,
    versions,
)

NAME = "paper_checks"
WORKERS = 2
# Enough to see every verdict's kind, not to reach every constant.
QUICK = {"instances": 300, "starts": 60, "restarts": 1}


def target(directory: Path) -> Path:
    """Return where the ledger goes: beside the README, or into any other directory than figures/."""
    return (ROOT if directory.resolve() == FIGURES else directory) / f"{NAME}.md"


def reuse(directory: Path, *, quick: bool) -> Outcome | None:
    """Return the ledger as it stands if this checkout made it from the same code, else None."""
    path = target(directory)
    if not is_made_here(directory, NAME, _inputs(quick), [path]):
        return None
    return Outcome(NAME, "reused", 0.0, (path,), verdicts_by_kind(path.read_text(encoding="utf-8")))


def produce(directory: Path, *, quick: bool) -> Outcome:
    """Check every claim and write the ledger, unless the file there already says the same.

    Parameters
    ----------
    directory : Path
        Where figures go, see :func:`target`.
    quick : bool
        Try less hard.

    Returns
    -------
    Outcome
        "unchanged" if the file there agrees within the ledger's tolerance for other machines' last digits.
    """
    from tqdm import tqdm

    from curvature.ledger import CLAIMS, Budget
    from curvature.ledger.render import render
    from curvature.ledger.runner import check
    from curvature.ledger.staleness import stale_rows

    inputs, path = _inputs(quick), target(directory)
    budget = Budget(**QUICK) if quick else Budget()
    claims = CLAIMS.select()
    start = time.perf_counter()
    with tqdm(desc="[reproduce] claims", total=len(claims), leave=False, disable=None) as progress:
        outcomes = check(claims, budget, jobs=WORKERS, done=lambda *_: progress.update())
    text = render(claims, outcomes, budget)
    seconds = time.perf_counter() - start
    same = path.is_file() and not stale_rows(path.read_text(encoding="utf-8"), text)
    if not same:
        write_atomically(path, text.encode())
    mark_made_here(directory, NAME, inputs, [path])
    return Outcome(NAME, "unchanged" if same else "written", seconds, (path,), verdicts_by_kind(text))


def verdicts_by_kind(text: str) -> dict[str, Any]:
    """Count the verdicts of a printed ledger by the kind of claim."""
    from curvature.ledger.render import COLUMNS, read

    kind, verdict = COLUMNS.index("Kind"), COLUMNS.index("Verdict")
    counts: dict[str, Counter[str]] = {}
    for cells in read(text).rows.values():
        # "holds, loose by ×2.00" counts as "holds, loose": the factor differs from row to row.
        counts.setdefault(cells[kind], Counter())[cells[verdict].partition(" by ×")[0].strip("* ")] += 1
    return {
        name: ", ".join(f"{n} {label}" for label, n in found.most_common()) for name, found in counts.items()
    }


def _inputs(quick: bool) -> str:
    return digest_of_files(
        [*source_files(), Path(__file__)], repr(sorted(versions().items())), f"quick={quick}"
    )
