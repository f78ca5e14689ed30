"""The look of the project's figures: what each role in a plot looks like, and matplotlib's defaults.

The colours are those of Okabe and Ito, told apart by colour-blind readers; each role also has a line style, a marker
and a lightness of its own, so that a figure survives printing in grey.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["DPI", "RC", "ROLES", "Role"]


class Role(NamedTuple):
    """How a series with one part to play is drawn, wherever it appears.

    Attributes
    ----------
    colour : str
        From the palette of Okabe and Ito, or a grey.
    line : str or tuple
        matplotlib's line style.
    marker : str
        matplotlib's marker.
    filled : bool
        Whether the marker is filled.
    """

    colour: str
    line: Any
    marker: str
    filled: bool = True


ROLES: Mapping[str, Role] = {
    "paper": Role("#D55E00", (0, (5, 1.6)), "s"),
    "sharp": Role("#0072B2", "-", "o"),
    "binary": Role("#000000", (0, (4, 1.2, 1, 1.2)), "^"),
    "exact": Role("#009E73", (0, (1, 1)), "D"),
    "other": Role("#CC79A7", (0, (7, 1.5, 1, 1.5, 1, 1.5)), "v"),
    "random": Role("#A6A6A6", "-", "."),
    "adversary": Role("#000000", "-", "o", filled=False),
    "reference": Role("#6E6E6E", (0, (2, 2)), "P"),
}

RC: Mapping[str, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same letters on every machine
    "font.size": 8.5,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    # The ids inside an SVG file are hashes with this salt, so that a redrawn figure is the same file.
    "svg.hashsalt": "curvature",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
DPI = 160
