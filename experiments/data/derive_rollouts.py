"""Derive ``rollouts_qwen2.5_coder.csv`` from recorded groups of eight completions: the grades, without the texts.

    python experiments/data/derive_rollouts.py FOLDER

FOLDER holds files named ``<model>_<dataset>_<prompt>_T<temperature>_<n>x<G>.jsonl``, one completion a line with the
fields step, group, question, reward, boxed, length and truncated.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

from curvature._files import write_atomically

DEFAULT_OUTPUT = Path(__file__).with_name("rollouts_qwen2.5_coder.csv")
NAME = re.compile(
    r"(?P<model>.+)_(?P<dataset>gsm|math)_(?P<prompt>[a-z0-9]+)_T(?P<temperature>[\d.]+)_\d+x\d+"
)
DATASETS = {"gsm": "GSM8K", "math": "MATH levels 1-2"}
COLUMNS = (
    "run",
    "model",
    "dataset",
    "prompt",
    "temperature",
    "step",
    "group",
    "question",
    "reward",
    "strict",
    "length",
    "truncated",
)


def read_run(path: Path, questions: dict[tuple[str, str], int]) -> list[list[Any]]:
    """Read one file: a row a completion. `questions` numbers the distinct texts of all files, and grows."""
    named = NAME.fullmatch(path.stem)
    if named is None:
        raise ValueError(f"{path.name} does not say its model, data set, prompt and temperature in its name.")
    told = [named["model"], DATASETS[named["dataset"]], named["prompt"], named["temperature"]]
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            one: dict[str, Any] = json.loads(line)
            grade = [int(one["reward"]), int(bool(one["reward"]) and one["boxed"])]
            question = questions.setdefault((told[1], one["question"]), len(questions))
            row = [one["step"], one["group"], question, *grade, one["length"], int(one["truncated"])]
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"line {number} of {path} is not a graded completion ({error!r}).") from error
        rows.append([path.stem, *told, *row])
    return rows


def main(argv: list[str] | None = None) -> int:
    """Write the CSV file; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the recorded completions are")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="the CSV file to write")
    arguments = parser.parse_args(argv)
    try:
        files = sorted(arguments.folder.glob("*.jsonl"))
        if not files:
            raise ValueError(f"{arguments.folder} holds no .jsonl file.")
        questions: dict[tuple[str, str], int] = {}
        rows = [row for path in files for row in read_run(path, questions)]
    except (OSError, ValueError) as error:
        print(f"derive_rollouts: {error}", file=sys.stderr)
        return 2
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    write_atomically(arguments.output, text.getvalue().encode())
    print(f"wrote {arguments.output}: {len(rows)} completions of {len(files)} runs.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
