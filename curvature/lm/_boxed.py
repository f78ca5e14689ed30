r"""What a text puts in its last ``\boxed{}``."""

from __future__ import annotations

import re

__all__ = ["last_boxed"]

_START = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_TOKEN = re.compile(r"\\[A-Za-z]+|[^\s{}$\\]")


def last_boxed(text: str, *, bare: bool = False) -> str | None:
    r"""Return the content of the last ``\boxed{…}`` of a text, braces balanced; None where it is not closed.

    Ours. Kind: identity. An escaped brace (``\{``) opens and closes nothing. Only the last box counts: a text whose
    last box is cut off has no answer, whatever it boxed before. One pass over the text, however deep it nests.

    Parameters
    ----------
    text : str
        Such as a completion or a solution; ``\fbox`` is the same as ``\boxed``.
    bare : bool
        Also read ``\boxed 9``, which boxes one character or one command, as a few of MATH's solutions do.

    Returns
    -------
    str or None
        The content without blanks at its ends, "" for an empty box; None if there is no box or it is not closed.

    Examples
    --------
    >>> last_boxed(r"so \boxed{3}, no: \boxed{\frac{1}{2}}.")
    '\\frac{1}{2}'
    >>> last_boxed(r"first \boxed{3}, then \boxed{\frac{1}{") is None
    True
    """
    start = None
    for start in _START.finditer(text):  # noqa: B007  the last one is wanted
        pass
    if start is None:
        return None
    if not text.startswith("{", start.end()):
        token = _TOKEN.match(text, start.end()) if bare else None
        return token.group() if token else None
    depth = 0
    for brace in _BRACE.finditer(text, start.end()):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return text[start.end() + 1 : brace.start()].strip()
    return None
