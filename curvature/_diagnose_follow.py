"""``curvature diagnose --follow``: look at the files of a run now and then, and diagnose again what has changed."""

from __future__ import annotations

import shutil
import stat
import sys
import time
from typing import TYPE_CHECKING

from curvature import _diagnose_command as command
from curvature._files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from curvature._diagnose_command import Request
    from curvature.rollouts.findings import Diagnosis

__all__ = ["follow"]

CLEAR_SCREEN = "\x1b[H\x1b[2J\x1b[3J"
LEAST_REFRESH = 5.0
"""Seconds between loads of the page in a browser: below, it could not be read."""

Fingerprint = tuple[tuple[str, int, int], ...]


def follow(request: Request, *, every: float, timeout: float | None) -> int:
    """Diagnose whenever the files change, until Ctrl-C or until nothing new came for so long.

    Files that are not there yet, or cannot be read yet, are waited for. The page is only ever replaced as a whole.

    Parameters
    ----------
    request : Request
        What to read and show.
    every : float
        Seconds between looks.
    timeout : float, optional
        Seconds without a change after which to end; never when left out.

    Returns
    -------
    int
        130 after Ctrl-C; at the time-out 0, or 2 if nothing could be read.
    """
    watch = _Follower(request, every)
    try:
        watch.until_quiet(timeout)
    except KeyboardInterrupt:
        watch.finish("stopped")
        return 130
    watch.finish("nothing new")
    return 0 if watch.found is not None else 2


class _Follower:
    """What was last seen of the files, and the last diagnosis."""

    def __init__(self, request: Request, every: float) -> None:
        self.request = request
        self.every = every
        self.seen: Fingerprint | None = None
        self.found: Diagnosis | None = None
        self.said = ""

    def until_quiet(self, timeout: float | None) -> None:
        changed = time.monotonic()
        while timeout is None or time.monotonic() - changed < timeout:
            # Taken before the files are read: what is appended meanwhile is a change the next time.
            now = fingerprint(self.request.paths, self.request.html)
            if now != self.seen:
                self.seen = now
                self.look()
                changed = time.monotonic()
            time.sleep(self.every)

    def look(self) -> None:
        """Diagnose and show; say what is missing if that cannot be done yet."""
        try:
            found = command.diagnose_paths(self.request)
            page = command.render_page(self.request, found, refresh=max(self.every, LEAST_REFRESH))
        except (ValueError, OSError) as error:
            command.clear_progress()
            self.say(f"waiting: {command.sentence(error)}")
            return
        self.found = found
        self.write(page)
        self.show(command.render_shown(self.request, found, indent=None))

    def show(self, text: str) -> None:
        """Redraw the screen of a terminal from its top; elsewhere, print one diagnosis after the other."""
        if not sys.stdout.isatty() or self.request.as_json:
            print(text, end="" if self.request.as_json else "\n", flush=True)
            return
        rows = shutil.get_terminal_size((80, 24)).lines
        lines = text.splitlines()
        if len(lines) > rows - 2:
            lines = [*lines[: rows - 3], "…"]
        at = time.strftime("%H:%M:%S")
        print(CLEAR_SCREEN + "\n".join(lines), f"\nfollowing, read at {at}; Ctrl-C ends", sep="", flush=True)

    def finish(self, why: str) -> None:
        """Write the page once more, as one that no longer loads itself again."""
        command.clear_progress()
        if self.found is None:
            print(f"curvature diagnose: {why}; nothing was read and nothing written.", file=sys.stderr)
            return
        self.write(command.render_page(self.request, self.found))
        kept = f"; {self.request.html} holds the last diagnosis" if self.request.html else ""
        print(f"curvature diagnose: {why}{kept}.", file=sys.stderr)

    def write(self, page: bytes | None) -> None:
        if page is not None and self.request.html is not None:
            write_atomically(self.request.html, page)

    def say(self, text: str) -> None:
        """Tell a sentence once, not at every look."""
        if text != self.said:
            self.said = text
            print(f"curvature diagnose: {text}", file=sys.stderr, flush=True)


def fingerprint(paths: tuple[Path, ...], html: Path | None) -> Fingerprint:
    """Return name, time and size of every file of the log; the report, should it lie among them, is left out."""
    own = None if html is None else html.resolve()
    found = []
    for file in sorted({file for path in paths for file in _files(path)}):
        try:
            seen = file.stat()
        except OSError:  # removed meanwhile, or not there yet
            continue
        if stat.S_ISREG(seen.st_mode) and not _is_report(file, own):
            found.append((str(file), seen.st_mtime_ns, seen.st_size))
    return tuple(found)


def _files(path: Path) -> list[Path]:
    try:
        return list(path.rglob("*")) if path.is_dir() else [path]
    except OSError:  # a folder removed while it is listed
        return []


def _is_report(file: Path, own: Path | None) -> bool:
    """Tell whether the file is the report or the temporary file it is renamed from."""
    if own is None or file.name.lstrip(".") == "" or own.name not in file.name:
        return False
    whole = file.resolve()
    return whole == own or (whole.parent == own.parent and whole.name.startswith(f".{own.name}."))
