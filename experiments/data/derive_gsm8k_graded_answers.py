"""Derive ``gsm8k_graded_answers.csv`` from the published model solutions of GSM8K.

    python experiments/data/derive_gsm8k_graded_answers.py PATH/example_model_solutions.jsonl

The source is ``grade_school_math/data/example_model_solutions.jsonl`` of github.com/openai/grade-school-math at
commit 3101c7d. Only the question's index and the four correct/incorrect flags are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
DEFAULT_OUTPUT = Path(__file__).with_name("gsm8k_graded_answers.csv")


def read_flags(source: Path) -> list[list[int]]:
    """Read one row a question: its 0-based line number, then 1 or 0 for each of :data:`MODELS`.

    Parameters
    ----------
    source : Path
        The published file, one JSON object a line.

    Returns
    -------
    list of list of int
        In the order of the file, which is that of GSM8K's test split.
    """
    rows = []
    with source.open(encoding="utf-8") as lines:
        for index, line in enumerate(lines):
            try:
                solutions: dict[str, Any] = json.loads(line)
                flags = [solutions[model]["is_correct"] for model in MODELS]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(
                    f"line {index + 1} of {source} is not a graded question ({error!r}); "
                    "give example_model_solutions.jsonl of openai/grade-school-math."
                ) from error
            if not all(isinstance(flag, bool) for flag in flags):
                raise ValueError(
                    f"line {index + 1} of {source} has the grades {flags}; true or false is needed."
                )
            rows.append([index, *map(int, flags)])
    return rows


def main(argv: list[str] | None = None) -> int:
    """Write the CSV file; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path, help="example_model_solutions.jsonl")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="the CSV file to write")
    arguments = parser.parse_args(argv)
    try:
        rows = read_flags(arguments.source)
    except (OSError, ValueError) as error:
        print(f"derive_gsm8k_graded_answers: {error}", file=sys.stderr)
        return 2
    temporary = arguments.output.with_suffix(".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["question", *MODELS])
        writer.writerows(rows)
    os.replace(temporary, arguments.output)
    print(f"{arguments.output}: {len(rows)} questions")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
