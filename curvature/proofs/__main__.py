"""Print the proofs as a document: ``python -m curvature.proofs``.

Exit codes: 0 done, 1 the file is stale or missing (``--check``) or a proof fails, 2 bad argument.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from curvature._files import write_atomically
from curvature.proofs._derivation import ProofError
from curvature.proofs._document import render

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run every proof and print, write or compare the document.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process when left out.

    Returns
    -------
    int
        The exit code: 0 done, 1 stale or missing file or a failed proof, 2 bad argument.

    Examples
    --------
    >>> main(["--check", "no/such/file.md"])  # the sentence goes to standard error
    1
    """
    parser = argparse.ArgumentParser(
        prog="python -m curvature.proofs",
        description="Run every proof and print them as Markdown.",
        epilog="exit codes: 0 done, 1 stale or missing file (--check) or a failed proof, 2 bad argument",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--output", type=Path, metavar="PATH", help="write the file, all or nothing")
    where.add_argument("--check", type=Path, metavar="PATH", help="compare with the file and write nothing")
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as leaving:  # argparse has printed help or the error
        return int(leaving.code or 0)
    if arguments.check and not arguments.check.is_file():
        return _report(f"there is no {arguments.check}; write it by --output {arguments.check}.")
    try:
        text = render()
    except ProofError as error:
        return _report(f"a proof fails: {error}")
    if arguments.check:
        if arguments.check.read_text(encoding="utf-8") != text:
            return _report(f"{arguments.check} is not what the proofs say now; write it anew by --output.")
        print(f"{arguments.check} is up to date.", file=sys.stderr)
    elif arguments.output:
        write_atomically(arguments.output, text.encode())
        print(f"wrote {arguments.output}.", file=sys.stderr)
    else:
        print(text, end="")
    return 0


def _report(sentence: str) -> int:
    print(f"python -m curvature.proofs: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
