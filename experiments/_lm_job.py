"""What the jobs that train language models share: how they end, and how their results are put in place."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from curvature._files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pandas import DataFrame

_DIGITS = 6
_COLUMNS = (
    "step",
    "reward_mean",
    "reward_std_mean",
    "silent_right",
    "silent_wrong",
)


class Clock:
    """Wall time of each part, summed over interruptions.

    Parameters
    ----------
    path : Path
        JSON of the seconds so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
        self._name, self._start = "", 0.0

    def part(self, name: str) -> Clock:
        """Name what the next with-block is."""
        self._name = name
        return self

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        spent = time.perf_counter() - self._start
        self.seconds[self._name] = round(self.seconds.get(self._name, 0.0) + spent, 2)
        write_atomically(self.path, json.dumps(self.seconds).encode())


def attempt(program: str, job: Callable[[], Any]) -> int:
    """Run a job that goes on where it was broken off; return the exit status, with a sentence for what went wrong.

    Parameters
    ----------
    program : str
        What was called, for the sentence.
    job : callable
        Takes nothing.

    Returns
    -------
    int
        0, 2 for a bad argument or a missing package, 130 after Ctrl-C.
    """
    try:
        job()
    except ImportError as error:
        print(f"{program}: {error}: pip install 'curvature[lm,logs]'", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\ninterrupted: what is finished is kept, and the same command goes on from here.",
            file=sys.stderr,
        )
        return 130
    return 0


def curves_of(folders: Sequence[Path]) -> DataFrame:
    """Return one row a step of every run, with what tells the run from others."""
    import pandas as pd

    return pd.concat([_curve_of(folder) for folder in folders], ignore_index=True)


def _curve_of(folder: Path) -> DataFrame:
    import pandas as pd

    from curvature.lm._metrics import read_metrics

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rows = read_metrics(folder / "metrics.jsonl")
    table = pd.DataFrame([{name: row.get(name) for name in _COLUMNS} for row in rows])
    labels = {name: config[name] for name in ("optimizer", "arm", "seed")}
    return pd.DataFrame(labels, index=table.index).join(table)


def measured_of(probe: Any, model: str) -> dict[str, Any]:
    """Return a probe as it is kept: what was measured, since every statistic follows from it, and what of.

    Parameters
    ----------
    probe : ProbeResult
        With the place of the policy's folder as its model, which is nobody's business.
    model : str
        What the model is.

    Returns
    -------
    dict
        As :meth:`curvature.lm.probe.ProbeResult.from_json` reads it.
    """
    kept = json.loads(probe.to_json())
    del kept["summary"]
    kept["config"]["model"] = model
    return kept


def write_results(
    output: Path, tables: Mapping[str, DataFrame], entries: Mapping[str, Any], config: Mapping[str, Any]
) -> None:
    """Put the results of a job in place, the settings last: if they are there, so is the rest.

    Parameters
    ----------
    output : Path
        Folder.
    tables : mapping of str to DataFrame
        Written as CSV, by stem.
    entries : mapping of str to object
        Plain data, written as JSON of six digits, by stem.
    config : mapping
        Settings.
    """
    for name, table in tables.items():
        text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        write_atomically(output / f"{name}.csv", text.encode())
    for name, data in entries.items():
        write_atomically(output / f"{name}.json", _compact(data).encode())
    text = json.dumps(config, indent=1, ensure_ascii=False) + "\n"
    write_atomically(output / "config.json", text.encode())


def _compact(data: Any) -> str:
    """Write plain data as JSON of six digits, one line for each entry of its first level."""
    entries = [
        f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for key, value in _rounded(data).items()
    ]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
