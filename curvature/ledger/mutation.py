"""Which claims' constants a mutation run has shown to be watched by a test, if such a run has been stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MUTATION_FILE", "stored_mutation"]

MUTATION_FILE = Path(__file__).parent / "mutation.json"
"""What the mutation run writes: an object from claim ids to "killed" or "survived"."""


def stored_mutation(path: Path = MUTATION_FILE) -> Mapping[str, str] | None:
    """Read what a mutation run found for each claim.

    Ours. Kind: reader of the ledger.

    Parameters
    ----------
    path : Path
        A JSON object from claim ids to a word.

    Returns
    -------
    mapping of str to str, or None
        None where no run has been stored: then the ledger has no such column.

    Raises
    ------
    ValueError
        If the file holds anything else.

    Examples
    --------
    >>> stored_mutation(Path("no such file")) is None
    True
    """
    if not path.exists():
        return None
    stored = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(stored, dict) or not all(isinstance(word, str) for word in stored.values()):
        raise ValueError(f"{path} holds {str(stored)[:60]!r}; an object from claim ids to words is needed.")
    return stored
