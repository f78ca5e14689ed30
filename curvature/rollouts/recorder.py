"""Writing a rollout log while a run trains, so that a crash at any moment costs no finished step.

The file is plain JSON lines, one rollout a line, which :func:`curvature.rollouts.read_rollouts` reads::

    {"step": 7, "group": "17", "reward": 1.0, "advantage": 0.5, "rows_left": 1}
    {"step": 7, "group": "17", "reward": 0.0, "advantage": -0.5, "rows_left": 0}

`rows_left` counts the rows of the step that follow. A step is appended as one block, and it is finished when its row
with `rows_left` 0 is there with its line break. Whatever follows the last such row is an unfinished step: a reader
stops before it (:func:`finished_length`), the next `Recorder` cuts it off.

One process writes a file; a second one is refused. In a run of several processes, gather the rewards first, as trainers
do in order to normalise them, and record on rank 0.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature.rollouts import _blocks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from curvature.rollouts.log import RolloutLog

__all__ = ["Recorder", "finished_length"]


def finished_length(path: str | os.PathLike[str]) -> int:
    """Return how many bytes of a recorded file are finished steps; the rest is being written, or was when it crashed.

    Ours. Looks at the last rows alone, so it is fast on a file of any length.

    Parameters
    ----------
    path : path-like
        A file that :class:`Recorder` writes or wrote.

    Returns
    -------
    int
        0 if no step is finished.

    Raises
    ------
    ValueError
        If the file was not written by a Recorder, or is damaged.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "rollouts.jsonl")
    >>> with Recorder(path) as recorder:
    ...     recorder.record(1, ["a", "a"], [1, 0])
    >>> with path.open("a") as file:
    ...     _ = file.write('{"step": 2, "group": "a", "rew')
    >>> finished_length(path) == path.stat().st_size - 30
    True
    """
    with open(path, "rb") as file:
        return _blocks.finished(file.fileno(), Path(path)).length


class Recorder:
    """Append steps of rollouts to a JSON Lines file; a crash at any moment costs at most the step being written.

    Ours. `record` returns when the step is on the disk (one write, then fsync), and never leaves half a step behind: if
    the disk is full or Ctrl-C comes in between, the file is set back to its last finished step. After a crash or
    a power cut, opening the file again cuts off the unfinished step.

    Parameters
    ----------
    path : path-like
        The file, by custom `*.jsonl`. Made, with its folder, if there is none; continued if it is there.
    resume_from : int, optional
        The run has gone back, and will record this step next: recorded steps from this one on are superseded and cut
        off. Without it a step that does not come after the recorded ones is refused.

    Raises
    ------
    ValueError
        If the file was not written by a Recorder, is damaged, or another Recorder holds it.
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "rollouts.jsonl")
    >>> with Recorder(path) as recorder:
    ...     recorder.record(1, ["a", "a", "b", "b"], [1, 0, 1, 1])
    ...     recorder.record(2, ["a", "b"], [[0, 1], [0, 1]], advantages=[[-0.5, 0.5], [-0.5, 0.5]])
    Traceback (most recent call last):
    ...
    ValueError: step 2 has advantages and ...rollouts.jsonl has none: record them at every step or at none.
    >>> print(path.read_text().splitlines()[0])
    {"step": 1, "group": "a", "reward": 1.0, "rows_left": 3}

    The run goes back to its checkpoint of step 0:

    >>> with Recorder(path, resume_from=1) as recorder:
    ...     recorder.last_step is None
    True
    """

    def __init__(self, path: str | os.PathLike[str], *, resume_from: int | None = None) -> None:
        self.path = Path(path)
        self._file: int | None = _open(self.path)
        try:
            _lock(self._file, self.path)
            end = _blocks.finished(self._file, self.path)
            if resume_from is not None:
                end = _blocks.before_step(self._file, end, _whole(resume_from, "resume_from"), self.path)
            if os.fstat(self._file).st_size != end.length:
                os.ftruncate(self._file, end.length)
                os.fsync(self._file)
        except BaseException:
            self.close()
            raise
        self._end = end

    @property
    def last_step(self) -> int | None:
        """The last finished step, None if there is none."""
        return self._end.step

    def record(
        self,
        step: int,
        groups: Any,
        rewards: Any,
        advantages: Any = None,
        *,
        columns: Mapping[str, Sequence[Any]] | None = None,
        allow_missing: bool = False,
    ) -> None:
        """Append one step; when this returns, it is on the disk.

        Ours. Everything is checked before a byte is written.

        Parameters
        ----------
        step : int
            Training step, after all recorded ones.
        groups : array_like of int or str, shape (N,) or (M,)
            Which rollouts belong together: one entry a rollout, or one a row of `rewards`.
        rewards : array_like of float, shape (N,) or (M, G)
            Numbers, a numpy array or a torch tensor on any device.
        advantages : array_like of float, optional
            Of the shape of `rewards`, as the trainer computed them: at every step of a file or at none.
        columns : mapping of str to sequence, optional
            Further columns, such as the prompt: one JSON value a rollout, in the order of `rewards`.
        allow_missing : bool, default False
            Write NaN rewards and advantages as null, "missing", instead of refusing them.

        Raises
        ------
        ValueError
            If shapes differ, there are no rollouts, a number is NaN or infinite, the step does not come after
            the recorded ones, some steps have advantages and others not, or the recorder is closed.
        TypeError
            If step or groups are neither whole numbers nor text, or a column holds what JSON cannot.
        OSError
            If the disk refuses; the file then ends with the step before.

        Examples
        --------
        >>> import tempfile
        >>> with Recorder(Path(tempfile.mkdtemp(), "rollouts.jsonl")) as recorder:
        ...     recorder.record(1, [0, 0], [0.0, float("nan")])
        Traceback (most recent call last):
        ...
        ValueError: reward 1 of step 1 is nan: mend it, or pass allow_missing=True to record it as missing.
        """
        if self._file is None:
            raise ValueError(f"{self.path} is closed: open a new Recorder on it.")
        step = _whole(step, "step")
        if self._end.step is not None and step <= self._end.step:
            raise ValueError(
                f"step {step} does not come after step {self._end.step}, the last one in {self.path}: for a run that "
                f"went back, open it with Recorder(path, resume_from={step})."
            )
        block = _blocks.encode(step, groups, rewards, advantages, columns or {}, allow_missing)
        has_advantages = advantages is not None
        if self._end.step is not None and has_advantages != self._end.has_advantages:
            old, new = ("has none", "advantages") if has_advantages else ("has them", "no advantages")
            raise ValueError(
                f"step {step} has {new} and {self.path} {old}: record them at every step or at none."
            )
        self._append(block, _blocks.End(self._end.length + len(block), step, has_advantages))

    def _append(self, block: bytes, end: _blocks.End) -> None:
        """Write and sync a block; if that fails or is interrupted, take back what was written of it."""
        assert self._file is not None
        before = self._end
        state = os.fstat(self._file)
        if state.st_size != before.length or not state.st_nlink:
            raise OSError(
                f"{self.path} was changed or deleted while it was recorded to: open a new Recorder on it."
            )
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
            self._end = end
        except BaseException:
            self._end = before
            os.ftruncate(self._file, before.length)
            raise

    def log(self) -> RolloutLog:
        """Read what is recorded so far.

        Returns
        -------
        RolloutLog
            As :func:`curvature.rollouts.read_rollouts` gives it.

        Raises
        ------
        ValueError
            If nothing is recorded yet.
        """
        if self._end.step is None:
            raise ValueError(f"{self.path} holds no finished step yet: record one first.")
        from curvature.rollouts.readers import read_rollouts

        return read_rollouts(self.path, format="jsonl")

    def close(self) -> None:
        """Close the file; every recorded step is on the disk already."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.close()


def _open(path: Path) -> int:
    """Open for appending; a new file's name is on the disk before its first step is."""
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    if is_new and hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
                os.fsync(folder)
        finally:
            os.close(folder)
    return file


def _lock(file: int, path: Path) -> None:
    """Keep a second writer out; the lock goes with the process, however it ends."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(
            f"{path} is being written by another Recorder: close that one, or give this one its own file."
        ) from None
    except OSError:  # a file system without locks
        return


def _whole(value: Any, name: str) -> int:
    """Return a whole number as an int, whatever library it is from."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return int(value.__index__())
    except (AttributeError, TypeError):
        raise TypeError(f"{name} is {value!r}: pass a whole number.") from None
