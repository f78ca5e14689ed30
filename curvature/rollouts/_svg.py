"""A figure as SVG inside a page: colours follow the page's theme, letters are the page's, ids are its own."""

from __future__ import annotations

import io
import re
from html import escape
from typing import TYPE_CHECKING

from curvature._plot_style import ROLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PAGE_RC", "THEMED", "inline_svg"]

# Stand-ins that matplotlib draws with; no role has these colours.
_INK, _GRID, _PAPER = "#010203", "#fdfcfb", "#fafbfc"

PAGE_RC = {
    "svg.fonttype": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _GRID,
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "legend.fontsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}
"""Set over the project's style when a figure is drawn for a page."""

THEMED = {_INK: "var(--ink)", _GRID: "var(--rule)", _PAPER: "var(--page)"} | {
    role.colour.lower(): f"var(--plot-{name})" for name, role in ROLES.items() if name != "adversary"
}
"""From a drawn colour to the page's variable; "adversary" shares the black of "binary"."""


def inline_svg(drawing: Figure, *, prefix: str, label: str) -> str:
    """Render a figure as one ``<svg>`` element to be put into a page."""
    buffer = io.StringIO()
    drawing.savefig(
        buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(
        "|".join(map(re.escape, THEMED)), lambda found: THEMED[found.group().lower()], text, flags=re.I
    )
    return _named(_own_ids(text, prefix), label)


def _own_ids(text: str, prefix: str) -> str:
    """Drop ids that nothing refers to and put the prefix before the others: a page holds several figures."""
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))

    def renamed(found: re.Match[str]) -> str:
        return f' id="{prefix}-{found[1]}"' if found[1] in used else ""

    text = re.sub(r' id="([^"]+)"', renamed, text)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", text)


def _named(text: str, label: str) -> str:
    box = re.search(r'viewBox="[^"]+"', text)
    if box is None:
        raise ValueError("matplotlib wrote an SVG file without a viewBox.")
    opening = (
        f'<svg role="img" aria-label="{escape(label)}" {box[0]} xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return opening + text[text.index(">") + 1 :]
