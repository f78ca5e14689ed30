"""Write ``curvature/ledger/mutation.json``: how many changed constants of each claim's calculators turn a test red.

``python -m tests.mutation.ledger_column``, after ``python -m tests.mutation.constants``. A claim is checked with a
small budget, and the functions of ``curvature/bounds`` that run meanwhile are noted. Their constants, and those of the
module that they read, each moved up and down by one per cent, are the claim's; changes that cannot matter (see
``equivalent.toml``) are left out. A claim whose check calls no function with such a constant has no entry.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature._files import write_atomically
from tests.mutation import swap
from tests.mutation.constants import Constant, constants_of, readers_of
from tests.mutation.equivalent import reason_of_constant
from tests.mutation.store import Store
from tests.mutation.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from curvature.ledger.registry import Claim

__all__ = ["calculators_of", "column", "main"]


def calculators_of(claim: Claim, modules: Iterable[str]) -> set[tuple[str, str]]:
    """Check a claim with a small budget and note which functions of some modules run.

    Parameters
    ----------
    claim : Claim
        Of the ledger.
    modules : iterable of str
        Files, from the root of the repository.

    Returns
    -------
    set of (path, qualified name)
        Nested functions count as the one around them.
    """
    from curvature.ledger.budget import Budget

    files = {str(Path(path).resolve()): path for path in modules}
    codes: set[Any] = set()

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename in files:
            codes.add(frame.f_code)

    # What an earlier claim has left in a cache would not be called again.
    swap.clear_caches([m for name, m in list(sys.modules.items()) if name.startswith("curvature") and m])
    sys.setprofile(note)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            claim.check(Budget(instances=90, starts=40, restarts=1))
    finally:
        sys.setprofile(None)
    return {(files[c.co_filename], c.co_qualname.partition(".<locals>")[0]) for c in codes}


def column(claims: Iterable[Claim], store: Store) -> dict[str, str]:
    """Count for each claim the changes of its constants that were tried, and those that turned a test red.

    Parameters
    ----------
    claims : iterable of Claim
        In the order of the ledger.
    store : Store
        Of the run over the constants.

    Returns
    -------
    dict of str to str
        From ids to "12/12 killed".
    """
    modules = TARGETS["bounds"].modules()
    changes = [
        (constant, factor)
        for path in modules
        for constant in constants_of(path)
        if not constant.excluded
        for factor in (1.01, 0.99)
        if constant.key(factor) in store.outcomes
        and (store.dead(constant.key(factor)) or not _is_excused(constant, factor))
    ]
    owners = {constant: _functions_with(constant) for constant, _ in changes}
    counted = {}
    for claim in claims:
        called = calculators_of(claim, modules)
        own = [(constant, factor) for constant, factor in changes if owners[constant] & called]
        if own:
            killed = sum(store.dead(constant.key(factor)) for constant, factor in own)
            counted[claim.id] = f"{killed}/{len(own)} killed"
    return counted


def main(arguments: list[str] | None = None) -> int:
    """Write the file.

    Parameters
    ----------
    arguments : list of str, optional
        The command line.

    Returns
    -------
    int
        0.
    """
    from curvature.ledger import CLAIMS
    from curvature.ledger.mutation import MUTATION_FILE

    parser = argparse.ArgumentParser(prog="python -m tests.mutation.ledger_column")
    parser.add_argument("--store", default=".cache/mutants", help="folder of the outcomes")
    options = parser.parse_args(arguments)
    counted = column(CLAIMS, Store(f"{options.store}/constants.jsonl"))
    text = json.dumps(counted, indent=1, ensure_ascii=False) + "\n"
    write_atomically(MUTATION_FILE, text.encode())
    print(f"[mutants] {MUTATION_FILE.name}: {len(counted)} of {len(CLAIMS)} claims", file=sys.stderr)
    return 0


def _is_excused(constant: Constant, factor: float) -> bool:
    return bool(reason_of_constant(constant.path, constant.text, constant.value, factor))


def _functions_with(constant: Constant) -> set[tuple[str, str]]:
    names = [constant.function] if constant.function else readers_of(constant)
    return {(constant.path, name) for name in names}


if __name__ == "__main__":
    sys.exit(main())
