"""Instances as files: what a failed assertion keeps, and how it comes back bit for bit.

A file holds one instance, a mapping from names to bandits, arrays and numbers, beside what was measured on it. Finite
floats are written as Python's shortest text that reads back to the same bits; the others as "nan", "inf" and "-inf", so
that the file is JSON that any program can read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from curvature._files import write_atomically
from curvature.bandit import LogLinearBandit

__all__ = ["INSTANCE_DIR", "StoredInstance", "replay", "store_instance"]

INSTANCE_DIR = "CURVATURE_INSTANCE_DIR"
"""The environment variable that names the folder of the files."""
_FORMAT = "curvature instance 1"
_POSITIONS = ("bandit", "theta", "displacement")


@dataclass(frozen=True, eq=False)
class StoredInstance:
    """An instance that broke an assertion, or was kept as a witness.

    Attributes
    ----------
    claim : str
        What was asserted of it.
    values : mapping of str to object
        Bandits, arrays, numbers and strings by name.
    facts : mapping of str to object
        What was found: from an assertion its kind, the ratio, both numbers and their index.

    Examples
    --------
    >>> kept = StoredInstance("L1", {"bandit": LogLinearBandit.two_arm([0.1]), "theta": np.zeros(1)})
    >>> kept.bandit.num_prompts, kept.theta.tolist()
    (1, [0.0])
    """

    claim: str
    values: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bandit(self) -> LogLinearBandit:
        """The value named "bandit"."""
        return self._named("bandit")

    @property
    def theta(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The value named "theta"."""
        return self._named("theta")

    @property
    def ratio(self) -> float:
        """The fact named "ratio": by how much the claim was missed."""
        return float(self.facts["ratio"])

    def _named(self, name: str) -> Any:
        if name not in self.values:
            raise AttributeError(
                f"this instance of {self.claim!r} holds no {name!r}, it holds {', '.join(self.values)}."
            )
        return self.values[name]


def store_instance(
    path: str | os.PathLike[str], claim: str, instance: Any, facts: Mapping[str, Any] | None = None
) -> Path:
    """Write an instance to a JSON file, whole or not at all.

    Ours.

    Parameters
    ----------
    path : str or path
        The file; its folder is made, and a file of that name is replaced.
    claim : str
        What the instance is about.
    instance : LogLinearBandit, tuple or mapping
        A bandit; a tuple (bandit, θ) or (bandit, θ, displacement); or bandits, arrays, numbers and strings by name.
    facts : mapping, optional
        What else to keep: numbers, strings, lists and mappings of them.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TypeError
        If a value is of a type that no file can bring back.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = store_instance(f"{folder}/rare.json", "L3", LogLinearBandit.two_arm([1e-300]))
    ...     replay(path).claim
    'L3'
    """
    content = {
        "format": _FORMAT,
        "claim": claim,
        "facts": {name: _plain(value) for name, value in (facts or {}).items()},
        "values": {name: _encoded(name, value) for name, value in named(instance).items()},
    }
    path = Path(path)
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
    write_atomically(path, (text + "\n").encode())
    return path


def replay(path: str | os.PathLike[str]) -> StoredInstance:
    """Read an instance back from its file, every float to the last bit.

    Ours.

    Parameters
    ----------
    path : str or path
        A file that an assertion of this package, or :func:`store_instance`, wrote.

    Returns
    -------
    StoredInstance
        Arrays have the dtype and shape they had.

    Raises
    ------
    ValueError
        If the file is not one of these.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> bandit = LogLinearBandit.two_arm([0.1, 0.7])
    >>> with TemporaryDirectory() as folder:
    ...     path = store_instance(f"{folder}/pair.json", "T1", (bandit, [0.1, -0.0]))
    ...     again = replay(path)
    >>> bool((again.bandit.base_logits == bandit.base_logits).all()), again.theta.tolist()
    (True, [0.1, -0.0])
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not JSON ({error}); it cannot be replayed.") from None
    found = content.get("format") if isinstance(content, dict) else None
    if found != _FORMAT:
        raise ValueError(f"{path} has the format {found!r}; {_FORMAT!r} is needed to replay it.")
    values = {name: _decoded(value) for name, value in content["values"].items()}
    facts = {name: _number(value) for name, value in content["facts"].items()}
    return StoredInstance(content["claim"], values, facts)


def named(instance: Any) -> dict[str, Any]:
    """Return the parts of an instance by name."""
    if isinstance(instance, Mapping):
        return dict(instance)
    parts = instance if isinstance(instance, tuple) else (instance,)
    if len(parts) > len(_POSITIONS):
        raise TypeError(
            f"the instance is a tuple of {len(parts)}; give more than a bandit, θ and a displacement by name."
        )
    return {name: part for name, part in zip(_POSITIONS, parts, strict=False) if part is not None}


def instance_path(claim: str, folder: str | os.PathLike[str]) -> Path:
    """Return the file of the test that is running, one for each test."""
    # Hypothesis takes all failures raised on one line for the same while it shrinks, and runs the smallest last: one
    # file a test is therefore left with the smallest.
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0] or _calling_function() or claim
    readable = re.sub(r"[^A-Za-z0-9]+", "-", test.rpartition("::")[2]).strip("-")[:60]
    return Path(folder) / f"{readable}-{hashlib.sha256(test.encode()).hexdigest()[:8]}.json"


def _calling_function() -> str:
    """Name the first function outside this package that called it; empty at a module's top level."""
    here = Path(__file__).parent
    frame = sys._getframe(1)
    while frame.f_back is not None and Path(frame.f_code.co_filename).parent == here:
        frame = frame.f_back
    name = frame.f_code.co_qualname.replace("<locals>.", "")
    return "" if name.startswith("<") else f"{frame.f_code.co_filename}::{name}"


def _encoded(name: str, value: Any) -> Any:
    if isinstance(value, LogLinearBandit):
        return {"bandit": value.to_dict()}
    if isinstance(value, str | bool):
        return value
    if value is None or isinstance(value, float | int | np.number | np.ndarray | list | tuple):
        array = np.asarray(value) if value is not None else None
        if array is None:
            return None
        if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
            return {"dtype": array.dtype.name, "shape": list(array.shape), "entries": _plain(array.ravel())}
        if array.dtype.kind == "U":
            return {"dtype": "str", "shape": list(array.shape), "entries": array.ravel().tolist()}
    raise TypeError(
        f"{name} is a {type(value).__name__}, which cannot be stored: bandits, arrays, numbers and strings can."
    )


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "bandit" in value:
        return LogLinearBandit.from_dict(value["bandit"])
    if value["dtype"] == "str":
        return np.array(value["entries"], dtype=np.str_).reshape(value["shape"])
    entries = [_number(entry) for entry in value["entries"]]
    array = np.array(entries, dtype=value["dtype"]).reshape(value["shape"])
    return array if array.ndim else array[()]


def _plain(value: Any) -> Any:
    """Return numbers as JSON has them, and as words where it has none."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and value in ("nan", "inf", "-inf") else value
