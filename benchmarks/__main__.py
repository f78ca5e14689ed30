"""Run every benchmark, or those named: `python -m benchmarks [moments] [advantages]`."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from pathlib import Path

from benchmarks.timing import print_table


def main(argv: list[str]) -> int:
    """Print one table a benchmark.

    Parameters
    ----------
    argv : list of str
        Names of benchmarks; all of them when empty.

    Returns
    -------
    int
        Exit status: 2 if a name is unknown.
    """
    known = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    unknown = [name for name in argv if name not in known]
    if unknown:
        print(f"no benchmark is named {unknown[0]!r}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, BLAS threads {threads}"
    )
    for name in argv or known:
        print_table(importlib.import_module(f"benchmarks.bench_{name}").run())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
