"""The process in which math-verify runs: it may be killed at any answer, by its parent or by its own timer.

It is started as a script, with nothing of this package imported, and speaks JSON lines: it says {"ready": true} once
math-verify has compiled its expressions, then answers each {"text", "answer", "limit"} by {"right": bool}. It ends
when its input does, so when its parent ends, however that ends.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from typing import Any

MEMORY = 4 << 30  # bytes of address space: 9^{9^{9}} is an error within the worker, not a full machine


def main() -> None:
    """Answer requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes our input
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no reply
    try:
        is_right = _load(lenient="--lenient" in sys.argv)
    except ImportError as error:
        print(json.dumps({"error": str(error)}), file=replies, flush=True)
        return
    _limit_memory()
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        _start_timer(request["limit"])
        right = is_right(request["text"], request["answer"])
        _start_timer(0.0)
        print(json.dumps({"right": right}), file=replies, flush=True)


def _load(*, lenient: bool) -> Any:
    """Import math-verify, and run it once, which compiles its expressions before any clock runs."""
    import sympy.core.random
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    logging.disable(logging.ERROR)
    boxed = [LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)]
    anywhere = [LatexExtractionConfig(), ExprExtractionConfig()]

    def read(text: str, where: Any) -> Any:
        return parse(text, where, parsing_timeout=None)  # type: ignore[arg-type]  the timer below is ours

    def is_right(text: str, answer: str) -> bool:
        sympy.core.random.seed(0)  # sympy tries some identities at random points
        try:
            return bool(
                verify(read(answer, boxed), read(text, anywhere if lenient else boxed), timeout_seconds=None)
            )
        except Exception:  # a text that breaks the parser is a wrong answer
            return False

    is_right("\\boxed{1/2}", "\\boxed{\\frac{1}{2}}")
    return is_right


def _limit_memory() -> None:
    """Bound the address space, where the system can."""
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (ImportError, ValueError, OSError):
        return


def _start_timer(seconds: float) -> None:
    """Have the system end this process after so much CPU time, even inside one long operation; 0 stops the timer."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
