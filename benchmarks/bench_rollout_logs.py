"""Reading and folding rollout logs, beside pyarrow merely reading the columns that are needed.

10⁷ rollouts in groups of 8 as parquet, with whole-number and with text keys, and 10⁶ as lines of JSON, made on the fly.
Each contender runs in a process of its own, whose peak memory is shown with it. The text column that no one asked for
is in the files, so that not loading it counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import print_table

GROUP_SIZE, STEP = 8, 1024
OURS = "read_rollouts"
COLUMNS = ["step", "group", "reward"]
BATCH = 1 << 17


def write_parquet(path: Path | str, number: int, *, text_keys: bool, seed: int = 0) -> None:
    """Write rollouts in groups of 8, a step every 1024.

    Parameters
    ----------
    path : Path or str
        The file.
    number : int
        Rollouts.
    text_keys : bool
        Whether a group is named by the text of its prompt, of some 200 letters.
    seed : int, default 0
        Seed of the rewards.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    kind = pa.string() if text_keys else pa.int64()
    schema = pa.schema([
        ("step", pa.int64()),
        ("group", kind),
        ("reward", pa.float64()),
        ("text", pa.string()),
    ])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, number, 1 << 20):
            rows = np.arange(start, min(start + (1 << 20), number))
            group = rows // GROUP_SIZE
            keys = (
                pa.array([f"{'What is the answer? ' * 10}{g}" for g in group])
                if text_keys
                else pa.array(group)
            )
            rewards = (rng.random(rows.size) < 0.3).astype(float)
            text = pa.array(["some words"] * rows.size)
            writer.write_table(
                pa.table([pa.array(rows // STEP), keys, pa.array(rewards), text], schema=schema)
            )


def write_jsonl(path: Path | str, number: int, seed: int = 0) -> None:
    """Write rollouts as lines of JSON.

    Parameters
    ----------
    path : Path or str
        The file.
    number : int
        Rollouts.
    seed : int, default 0
        Seed of the rewards.
    """
    rewards = (np.random.default_rng(seed).random(number) < 0.3).astype(float).tolist()
    with open(path, "w") as file:
        for row, reward in enumerate(rewards):
            record = {"step": row // STEP, "group": row // GROUP_SIZE, "reward": reward, "text": "some words"}
            file.write(json.dumps(record) + "\n")


def read_with_pyarrow(path: Path) -> None:
    """Read the columns that are needed and forget them.

    Parameters
    ----------
    path : Path
        A parquet or JSON file.
    """
    import pyarrow as pa
    import pyarrow.json
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        with pq.ParquetFile(path, read_dictionary=["group"]) as file:
            for _ in file.iter_batches(batch_size=BATCH, columns=COLUMNS):
                pass
        return
    schema = pa.schema([("step", pa.int64()), ("group", pa.int64()), ("reward", pa.float64())])
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    pa.json.read_json(path, parse_options=options)


def _ours(path: Path) -> None:
    from curvature.rollouts.readers import read_rollouts

    read_rollouts(path)


CONTENDERS: dict[str, Callable[[Path], None]] = {OURS: _ours, "pyarrow, columns only": read_with_pyarrow}


def _child(contender: str, path: Path, rounds: int) -> None:
    """Print the seconds of each round and the peak memory in MiB."""
    import resource

    call = CONTENDERS[contender]
    small = path.with_name(f"small{path.suffix}")
    call(small)  # pays for the imports
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        call(path)
        seconds.append(time.perf_counter() - start)
    unit = 1024 if sys.platform == "darwin" else 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit / 1024
    print(json.dumps([seconds, peak]))


def run(rounds: int = 3, number: int = 10_000_000) -> list[dict[str, Any]]:
    """Return one row a work and contender, with the median time, its ratio to ours and the peak memory.

    Parameters
    ----------
    rounds : int, default 3
        How often each contender is timed.
    number : int, default 10_000_000
        Rollouts in the parquet files; a tenth of it as lines of JSON.
    """
    works = {
        "parquet, whole-number keys": (
            "log.parquet",
            number,
            "write_parquet({path!r}, {size}, text_keys=False)",
        ),
        "parquet, text keys": ("log.parquet", number, "write_parquet({path!r}, {size}, text_keys=True)"),
        "lines of JSON": ("log.jsonl", number // 10, "write_jsonl({path!r}, {size})"),
    }
    rows = []
    for work, (name, size, write) in works.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            _in_child(write.format(path=str(path), size=size))
            _in_child(write.format(path=str(path.with_name(f"small{path.suffix}")), size=STEP))
            rows += _race(f"{size:,} rollouts, {work}", path, rounds)
    return rows


def _race(work: str, path: Path, rounds: int) -> list[dict[str, Any]]:
    rows = []
    for contender in CONTENDERS:
        seconds, peak = json.loads(_in_child(f"_child({contender!r}, Path({str(path)!r}), {rounds})"))
        median = statistics.median(seconds)
        ours = rows[0]["seconds"] if rows else median
        rows.append({
            "work": work,
            "contender": f"{contender} (peak {peak:,.0f} MiB)",
            "seconds": median,
            "ratio_to_ours": median / ours,
            "rounds": rounds,
        })
    return rows


def _in_child(call: str) -> str:
    """Run a call in a fresh process, whose peak memory is then its own; return what it prints."""
    names = "_child, write_jsonl, write_parquet"
    code = f"from pathlib import Path\nfrom benchmarks.bench_rollout_logs import {names}\n{call}"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    print_table(run())
