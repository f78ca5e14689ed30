"""``curvature diagnose``: read a log of rollouts, say what it holds, and write the report if asked to."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from curvature._diagnose_arguments import Request, add_arguments, read_request
from curvature._files import write_atomically

if TYPE_CHECKING:
    import argparse

    from curvature.rollouts.findings import Diagnosis

__all__ = ["add_arguments", "run"]


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : Namespace
        As :func:`add_arguments` declares them.

    Returns
    -------
    int
        0 done, 2 a bad argument or a log that cannot be read.
    """
    from curvature import _diagnose_follow

    try:
        request = read_request(arguments)
        if arguments.follow:
            return _diagnose_follow.follow(request, every=arguments.every, timeout=arguments.timeout)
        diagnosis = diagnose_paths(request)
        page = render_page(request, diagnosis)
        shown = render_shown(request, diagnosis)
        if page is not None and request.html is not None:
            write_atomically(request.html, page)
        return _print(shown)
    except (ValueError, ImportError, OSError) as error:
        clear_progress()
        print(f"curvature diagnose: {sentence(error)}", file=sys.stderr)
        return 2


def diagnose_paths(request: Request) -> Diagnosis:
    """Read the log and diagnose it, with a word on standard error where that is a terminal.

    Parameters
    ----------
    request : Request
        What to read.

    Returns
    -------
    Diagnosis
        Of the log.
    """
    from curvature.rollouts.diagnosis import diagnose
    from curvature.rollouts.readers import read_rollouts

    _progress(f"reading {request.paths[0]} …")
    log = read_rollouts(request.paths[0], **request.reading)
    _progress(f"diagnosing {log.num_rollouts:,} rollouts …")
    found = diagnose(log, seed=request.seed, num_windows=request.num_windows)
    clear_progress()
    return found


def render_page(request: Request, diagnosis: Diagnosis, *, refresh: float | None = None) -> bytes | None:
    """Render the report if one is asked for.

    Parameters
    ----------
    request : Request
        Says whether.
    diagnosis : Diagnosis
        What it shows.
    refresh : float, optional
        Seconds after which a browser loads it again.

    Returns
    -------
    bytes or None
        The page.
    """
    if request.html is None:
        return None
    from curvature.rollouts.html import render_html

    return render_html(diagnosis, command=request.command, seed=request.seed, refresh=refresh).encode()


def render_shown(request: Request, diagnosis: Diagnosis, *, indent: int | None = 1) -> str:
    """Render what goes to standard output: the summary or JSON.

    Parameters
    ----------
    request : Request
        Says which.
    diagnosis : Diagnosis
        What it shows.
    indent : int, optional
        Of JSON; None for one line.

    Returns
    -------
    str
        Ending in a newline.
    """
    if request.as_json:
        from curvature.rollouts.jsonable import to_json

        return to_json(diagnosis, indent=indent) + "\n"
    from curvature.rollouts.terminal import render_terminal

    return render_terminal(diagnosis, color=request.color)


def sentence(error: Exception) -> str:
    """Say what went wrong in one line that is safe to print.

    Parameters
    ----------
    error : Exception
        What was raised.

    Returns
    -------
    str
        The sentence.
    """
    from curvature.rollouts._format import clean

    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return clean(f"{os.fspath(error.filename)}: {error.strerror.lower()}.")
    return clean(error) or type(error).__name__


def clear_progress() -> None:
    """Take the word on progress away again."""
    _progress("")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        from curvature.rollouts._format import clean

        print(f"\r\x1b[2K{clean(text)}", end="", file=sys.stderr, flush=True)


def _print(text: str) -> int:
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
