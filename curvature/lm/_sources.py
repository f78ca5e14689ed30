"""Where questions come from: a JSONL file, a folder of them, or a data set of the Hugging Face hub."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Record", "read_records"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?::[\w.-]+)?")


class Record(NamedTuple):
    """One row and where it stands."""

    split: str
    row: int
    place: str
    fields: dict[str, Any]

    def text(self, field: str) -> str:
        """Return a field that must be there and be text."""
        value = self.fields.get(field)
        if not isinstance(value, str):
            found = ", ".join(self.fields) or "none"
            raise ValueError(f"{self.place} has no text in field {field!r} (its fields: {found}).")
        return value


def read_records(source: str | os.PathLike[str], split: str) -> Iterator[Record]:
    """Read the rows of a source in its own order.

    Parameters
    ----------
    source : str or path
        A JSONL file (whose stem is then the split), a folder that holds SPLIT.jsonl, or a hub id "owner/name", with
        ":config" if its configurations are not all wanted. A path that exists comes before a hub id of that name.
    split : str
        Such as "train".

    Yields
    ------
    Record
        One for each row.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the folder lacks the split.
    ValueError
        If a line is not a JSON object.
    """
    path = Path(source)
    if path.is_dir():
        if not (path / f"{split}.jsonl").is_file():
            found = ", ".join(sorted(p.stem for p in path.glob("*.jsonl"))) or "none"
            raise FileNotFoundError(f"{path} holds no {split}.jsonl; splits found: {found}.")
        yield from _read_lines(path / f"{split}.jsonl")
    elif path.is_file():
        yield from _read_lines(path)
    elif isinstance(source, str) and _HUB_ID.fullmatch(source) and not source.endswith((".jsonl", ".json")):
        yield from _read_hub(source, split)
    else:
        raise FileNotFoundError(
            f"{source} is no file, no folder, and no hub id (owner/name or owner/name:config)."
        )


def _read_lines(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8") as file:
        for row, line in enumerate(file):
            if not line.strip():
                continue
            place = f"{path}, line {row + 1},"
            try:
                fields = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{place} is not JSON: {error}.") from None
            if not isinstance(fields, dict):
                raise ValueError(f"{place} holds {type(fields).__name__}, not a JSON object.")
            yield Record(path.stem, row, place, fields)


def _read_hub(source: str, split: str) -> Iterator[Record]:
    """Read the configuration named, or "main" where there is one, or all of them one after another."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            f"reading {source} from the hub needs datasets: pip install 'curvature[lm]'."
        ) from error
    name, _, config = source.partition(":")
    names = [config] if config else sorted(datasets.get_dataset_config_names(name))
    row = 0
    for config in ["main"] if "main" in names else names:
        for fields in datasets.load_dataset(name, config, split=split):
            yield Record(split, row, f"{name}, configuration {config}, row {row},", dict(fields))
            row += 1
