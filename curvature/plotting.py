"""Plots of bounds and measurements: every function takes a DataFrame and ``ax=``, and returns the Axes.

One style throughout: a series is drawn in a role (:data:`ROLES`), whose colour, line and marker are the same in every
figure and can be told apart by colour-blind readers and in grey. matplotlib is imported when a plot is made.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature._plot_style import DPI, RC, ROLES, Role

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame

__all__ = [
    "ROLES",
    "Role",
    "figure",
    "legend_below",
    "plot_dumbbells",
    "plot_intervals",
    "plot_lines",
    "plot_points",
    "render",
    "style",
]


def style() -> AbstractContextManager[None]:
    """Give the context in which the project's figures are drawn and rendered.

    Ours.

    Returns
    -------
    context manager
        Sets matplotlib's defaults and restores them at the end.

    Examples
    --------
    >>> import matplotlib
    >>> with style():
    ...     matplotlib.rcParams["svg.hashsalt"]
    'curvature'
    """
    import matplotlib as mpl

    return mpl.rc_context(dict(RC))  # type: ignore[arg-type]


def figure(layout: str = "a", *, size: tuple[float, float] | None = None) -> tuple[Figure, NDArray[Any]]:
    """Make a figure whose panels are the letters of the layout, each titled by its letter if there are several.

    Ours. The figure is not registered with pyplot: it needs no display and no closing.

    Parameters
    ----------
    layout : str
        Rows of letters, separated by ";": "ab" is two panels side by side, "ab;cc" has a wide one below them.
    size : tuple of float, optional
        Width and height in inches; 3.7 × 3.3 a letter when left out.

    Returns
    -------
    Figure
        With labels and legends kept apart.
    ndarray of Axes
        In the order of the letters.

    Examples
    --------
    >>> with style():
    ...     drawing, axes = figure("ab;cc")
    >>> len(axes)
    3
    """
    from matplotlib.figure import Figure

    rows = layout.split(";")
    drawing = Figure(figsize=size or (3.7 * len(rows[0]), 3.3 * len(rows)), layout="constrained")
    drawing.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.04)  # type: ignore[union-attr]
    panels = drawing.subplot_mosaic(layout)
    axes = np.array([panels[letter] for letter in sorted(panels)])
    if axes.size > 1:
        for letter in panels:
            panels[letter].set_title(letter, loc="left")
    return drawing, axes


def render(drawing: Figure) -> dict[str, bytes]:
    """Render a figure as SVG and PNG files that do not change from run to run.

    Ours. No date and no version is written into the files.

    Parameters
    ----------
    drawing : Figure
        What :func:`figure` returns.

    Returns
    -------
    dict of str to bytes
        The contents of the "svg" and the "png" file.

    Examples
    --------
    >>> with style():
    ...     drawing, _ = figure()
    ...     render(drawing)["png"][1:4]
    b'PNG'
    """
    files = {}
    for kind, metadata in {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}.items():
        buffer = io.BytesIO()
        drawing.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
        files[kind] = buffer.getvalue()
    return files


def legend_below(ax: Axes, *, columns: int = 2) -> Axes:
    """Put the legend under the axes, where it covers no data.

    Ours.

    Parameters
    ----------
    ax : Axes
        With labelled artists.
    columns : int
        Of the legend.

    Returns
    -------
    Axes
        The same.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> frame = DataFrame({"x": [0, 1], "y": [0, 1], "series": "a"})
    >>> ax = legend_below(plot_lines(frame, x="x", y="y", roles={"a": "sharp"}))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['a']
    """
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    below = ax.transAxes + ScaledTranslation(0, -0.42, ax.figure.dpi_scale_trans)
    legend = ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, ncols=columns, handlelength=2.6
    )
    for handle in legend.legend_handles:
        # The dots of a dense cloud are too small to be recognised alone.
        if isinstance(handle, Line2D) and handle.get_marker() == ".":
            handle.set_markersize(7)
    return ax


def plot_lines(
    df: DataFrame,
    ax: Axes | None = None,
    *,
    x: str,
    y: str,
    roles: Mapping[str, str],
    series: str = "series",
    band: tuple[str, str] | None = None,
) -> Axes:
    """Draw one line a series, in the order of ``roles``; rows of other series are left out.

    Ours.

    Parameters
    ----------
    df : DataFrame
        Long form: one row a point.
    ax : Axes, optional
        Where to draw; a new figure when left out.
    x, y, series : str
        Columns.
    roles : mapping of str to str
        From the name of a series, which is its label, to a key of :data:`ROLES`.
    band : tuple of str, optional
        Columns of the lower and upper end of a shaded band.

    Returns
    -------
    Axes
        With the lines.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> frame = DataFrame({"x": [0, 1, 0, 1], "y": [0, 1, 0, 2], "series": ["a", "a", "b", "b"]})
    >>> len(plot_lines(frame, x="x", y="y", roles={"a": "sharp", "b": "paper"}).lines)
    2
    """
    ax = _axes(ax)
    for name, rows, role in _each(df, series, roles):
        ax.plot(rows[x], rows[y], color=role.colour, linestyle=role.line, label=name, zorder=3)
        if band is not None:
            ax.fill_between(rows[x], rows[band[0]], rows[band[1]], color=role.colour, alpha=0.2, linewidth=0)
    return ax


def plot_points(
    df: DataFrame,
    ax: Axes | None = None,
    *,
    x: str,
    y: str,
    roles: Mapping[str, str],
    series: str = "series",
    interval: tuple[str, str] | None = None,
) -> Axes:
    """Draw one cloud of points a series; clouds in the role "random" become a picture inside an SVG file.

    Ours.

    Parameters
    ----------
    df : DataFrame
        Long form: one row a point.
    ax : Axes, optional
        Where to draw; a new figure when left out.
    x, y, series : str
        Columns.
    roles : mapping of str to str
        From the name of a series, which is its label, to a key of :data:`ROLES`.
    interval : tuple of str, optional
        Columns of the lower and upper end of a vertical interval.

    Returns
    -------
    Axes
        With the points.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> frame = DataFrame({"x": [0, 1], "y": [0, 1], "series": "measured"})
    >>> len(plot_points(frame, x="x", y="y", roles={"measured": "random"}).lines)
    1
    """
    ax = _axes(ax)
    for name, rows, role in _each(df, series, roles):
        dense = role is ROLES["random"]
        look: dict[str, Any] = {
            "linestyle": "none",
            "marker": role.marker,
            "color": role.colour,
            "markerfacecolor": role.colour if role.filled else "white",
            "label": name,
        }
        if dense:
            look |= {"markersize": 2.6, "markeredgewidth": 0, "rasterized": True}
        if interval is None:
            ax.plot(rows[x], rows[y], zorder=2 if dense else 4, **look)
        else:
            reach = [rows[y] - rows[interval[0]], rows[interval[1]] - rows[y]]
            ax.errorbar(rows[x], rows[y], yerr=reach, elinewidth=1.1, capsize=2, zorder=4, **look)
    return ax


def plot_intervals(
    df: DataFrame,
    ax: Axes | None = None,
    *,
    name: str,
    value: str,
    low: str,
    high: str,
    role: str = "sharp",
    names_at: float | None = None,
) -> Axes:
    """Draw estimates with named horizontal intervals, one a row, the first on top.

    Ours.

    Parameters
    ----------
    df : DataFrame
        One row an estimate; a missing ``value`` leaves the interval alone.
    ax : Axes, optional
        Where to draw; a new figure when left out.
    name, value, low, high : str
        Columns.
    role : str
        A key of :data:`ROLES`.
    names_at : float, optional
        Where on the x-axis the names begin; left of the axes when left out.

    Returns
    -------
    Axes
        With the estimates.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> frame = DataFrame({"name": ["plug-in"], "value": [0.25], "low": [0.24], "high": [0.26]})
    >>> ax = plot_intervals(frame, name="name", value="value", low="low", high="high")
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['plug-in']
    """
    ax = _axes(ax)
    look = ROLES[role]
    places = [float(row) for row in range(len(df))]
    ax.hlines(places, df[low], df[high], color=look.colour, linewidth=2.2, zorder=3)
    ax.plot(df[value], places, linestyle="none", marker=look.marker, color=look.colour, zorder=4)
    if names_at is None:
        return _named_rows(ax, df[name])
    for text, place in zip(df[name], places, strict=True):
        ax.text(names_at, place, text, va="center", fontsize=8, backgroundcolor="white")
    return _named_rows(ax, [""] * len(df))


def plot_dumbbells(
    df: DataFrame,
    ax: Axes | None = None,
    *,
    name: str,
    ends: Mapping[str, tuple[str, str]],
    spacing: float = 3.0,
) -> Axes:
    """Draw the values of each row on one horizontal line and write each beside its marker.

    Ours.

    Parameters
    ----------
    df : DataFrame
        One row a line, the first on top.
    ax : Axes, optional
        Where to draw; a new figure when left out.
    name : str
        Column of the name, written at the left.
    ends : mapping of str to (str, str)
        From a column to its label in the legend and its key of :data:`ROLES`; the first is written at the
        left of its marker, the others at the right.
    spacing : float
        Points between a marker and its number.

    Returns
    -------
    Axes
        With the lines.

    Examples
    --------
    >>> from pandas import DataFrame
    >>> frame = DataFrame({"preset": ["grpo"], "failure": [-0.378], "success": [2.646]})
    >>> ends = {"failure": ("a failure", "paper"), "success": ("the success", "sharp")}
    >>> [text.get_text() for text in plot_dumbbells(frame, name="preset", ends=ends).texts]
    ['−0.378', '+2.646']
    """
    ax = _axes(ax)
    places = np.arange(len(df))
    columns = list(ends)
    ax.hlines(
        places, df[columns].min(axis=1), df[columns].max(axis=1), color="#BDBDBD", linewidth=1.2, zorder=2
    )
    for index, (column, (label, key)) in enumerate(ends.items()):
        role = ROLES[key]
        ax.plot(df[column], places, linestyle="none", marker=role.marker, color=role.colour, label=label)
        for value, place in zip(df[column], places, strict=True):
            ax.annotate(
                f"{value:+.3f}".replace("-", "−"),
                (value, place),
                xytext=(-spacing if index == 0 else spacing, 0),
                textcoords="offset points",
                ha="right" if index == 0 else "left",
                va="center",
                fontsize=7,
            )
    return _named_rows(ax, df[name])


def _axes(ax: Axes | None) -> Axes:
    return figure()[1][0] if ax is None else ax


def _each(df: DataFrame, series: str, roles: Mapping[str, str]) -> list[tuple[str, DataFrame, Role]]:
    unknown = sorted(set(roles.values()) - set(ROLES))
    if unknown:
        raise ValueError(f"roles names {unknown[0]!r}; choose one of {', '.join(ROLES)}.")
    return [(name, df[df[series] == name], ROLES[role]) for name, role in roles.items()]  # type: ignore[misc]


def _named_rows(ax: Axes, names: Any) -> Axes:
    ax.set_yticks(np.arange(len(names)), labels=list(names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    return ax
