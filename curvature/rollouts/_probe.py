"""A first look at files: which there are, and what columns each has, without reading more than its beginning."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from curvature.rollouts._csv import csv_head
from curvature.rollouts._faults import Faults, LogError
from curvature.rollouts._jsonl import kind_of, parse_line
from curvature.rollouts._parquet import parquet_schema
from curvature.rollouts._streams import blocks, is_pickle, natural_order, stem

__all__ = ["Probe", "container_of", "data_files", "probe"]

_CONTAINERS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet", ".pt": "torch",
}  # fmt: skip
_PICKLES = (".pkl", ".pickle")
_LOOK = 20
_EXPORT = (
    "{} is a pickle, and loading a pickle runs code: write its rows as lines of JSON instead, "
    "json.dumps({{'step': ..., 'group': ..., 'reward': ...}}) a rollout, and give that file"
)


@dataclass(frozen=True)
class Probe:
    """What the beginning of a file shows: its columns in order, the kind of their values, and its first records."""

    path: Path
    container: str
    kinds: Mapping[str, str]
    records: tuple[Any, ...] = ()
    floats: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.kinds)


def container_of(path: Path) -> str | None:
    """Return what kind of file a name promises; None for files that hold no rollouts."""
    return _CONTAINERS.get(Path(stem(path)).suffix.lower())


def data_files(path: Path) -> list[Path]:
    """Return the files of a directory that may hold rollouts, in natural order, or the file itself."""
    if not path.exists():
        raise LogError(f"{path} does not exist.")
    if path.is_file():
        _refuse_pickle(path)
        return [path]
    if not path.is_dir():
        raise LogError(f"{path} is neither a file nor a directory.")
    found, pickles = [], []
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            if file.suffix.lower() in _PICKLES:
                pickles.append(file)
            elif not name.startswith(".") and container_of(file):
                found.append(file)
    if not found and pickles:
        raise LogError(_EXPORT.format(min(pickles)) + ".")
    if not found:
        raise LogError(f"{path} holds no file of a kind that is known: jsonl, csv, parquet or pt.")
    return sorted(found, key=natural_order)


def _refuse_pickle(path: Path) -> None:
    if path.suffix.lower() in _PICKLES or is_pickle(path):
        raise LogError(_EXPORT.format(path) + ".")


def probe(path: Path) -> Probe:
    """Look at the beginning of a file."""
    _refuse_pickle(path)
    container = container_of(path)
    if container is None:
        container = "parquet" if _starts_with(path, b"PAR1") else "jsonl"
    try:
        size = path.stat().st_size
    except OSError as error:
        raise LogError(f"{path} cannot be opened: {error.strerror or error}.") from None
    if not size:
        raise LogError(f"{path} is empty.")
    look = {"jsonl": _probe_jsonl, "csv": _probe_csv, "parquet": _probe_parquet, "torch": _probe_torch}
    return look[container](path)


def _starts_with(path: Path, magic: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise LogError(f"{path} cannot be opened: {error.strerror or error}.") from None


def _probe_jsonl(path: Path) -> Probe:
    records = []
    for block in islice(blocks(path, Faults()), 2):
        for line in block.data.split(b"\n"):
            if len(records) == _LOOK:
                break
            try:
                if line.strip():
                    records.append(parse_line(line))
            except ValueError:
                continue
    rows = [record for record in records if isinstance(record, dict)]
    kinds: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            kind = kind_of(value)
            # Whole numbers among fractions are fractions; other mixtures are read one by one.
            if kind is not None and kinds.get(name, kind) != kind:
                kind = "float" if {kind, kinds[name]} == {"int", "float"} else "other"
            kinds[name] = kind or kinds.get(name, "")
    return Probe(path, "jsonl", kinds, tuple(rows))


def _probe_csv(path: Path) -> Probe:
    names, cells = csv_head(path, Faults())
    if len(set(names)) < len(names):
        raise LogError(f"{path} has two columns of one name: {', '.join(names)[:200]}.")
    cells += [""] * (len(names) - len(cells))
    return Probe(path, "csv", {name: _csv_kind(cell) for name, cell in zip(names, cells, strict=False)})


def _csv_kind(cell: str) -> str:
    for kind, cast in (("int", int), ("float", float)):
        try:
            cast(cell)
        except ValueError:
            continue
        return kind
    return "text"


def _probe_parquet(path: Path) -> Probe:
    import pyarrow as pa

    schema = parquet_schema(path)
    floats = tuple(field.name for field in schema if pa.types.is_floating(field.type))
    return Probe(path, "parquet", {field.name: str(field.type) for field in schema}, floats=floats)


def _probe_torch(path: Path) -> Probe:
    """Look for names in a torch file without unpickling it: it is a zip archive that holds the names as they are."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            if member is None:
                raise LogError(f"{path} is a zip archive without rollouts of slime.")
            with archive.open(member) as file:
                head = file.read(1 << 20)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise LogError(f"{path} is no torch file: {error}.") from None
    names = [name for name in ("rollout_id", "samples", "group_index", "reward") if name.encode() in head]
    return Probe(path, "torch", dict.fromkeys(names, "other"))
