"""A diagnosis as a summary for the terminal: the verdict first, 80 columns, plain where colour is not wanted."""

from __future__ import annotations

import io
import math
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.rollouts import _format
from curvature.rollouts._format import (
    QUANTITIES,
    clean,
    counted,
    in_order,
    interval,
    listed,
    number,
    numbered_assumptions,
    share,
    sizes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pandas import DataFrame
    from rich.console import Console
    from rich.text import Text

    from curvature.rollouts.findings import Diagnosis

__all__ = ["render_terminal"]

DEFAULT_WIDTH, LEAST_WIDTH, LARGEST_WIDTH = 80, 40, 110
EXTREMES_SHOWN, BAD_ROWS_SHOWN, FLAGS_SHOWN, TREND_BARS = 3, 3, 3, 16
LEANINGS = {
    "keep": ("leaning: keep the std", "green"),
    "drop": ("leaning: leave the std out", "yellow"),
    "either": ("leaning: either will do", "cyan"),
}
_BARS = "▁▂▃▄▅▆▇█"


def render_terminal(diagnosis: Diagnosis, *, color: bool | None = None, width: int | None = None) -> str:
    """Write the summary of a diagnosis as lines of text, with or without colours.

    Ours. Control characters and escape sequences in text that comes from the log are taken out.

    Parameters
    ----------
    diagnosis : Diagnosis
        What :func:`curvature.rollouts.diagnose` returned.
    color : bool, optional
        When left out: whether standard output is a terminal and NO_COLOR is not set.
    width : int, optional
        Columns, at least 40; when left out, those of the terminal up to 110, or 80 where there is none.

    Returns
    -------
    str
        Lines, each ending in a newline.

    Raises
    ------
    ImportError
        If rich is not installed.
    ValueError
        If `width` is below 40.

    Examples
    --------
    >>> from curvature.rollouts import RolloutLog
    >>> from curvature.rollouts.diagnosis import diagnose
    >>> log = RolloutLog.from_arrays([0] * 8, [0] * 4 + [1] * 4, [1, 0, 0, 0, 1, 1, 1, 0])
    >>> text = render_terminal(diagnose(log), color=False, width=80)
    >>> max(map(len, text.splitlines())) <= 80
    True
    """
    console = _console(_wants_color() if color is None else color, _columns() if width is None else width)
    for part in (
        _verdict,
        _source,
        _convention,
        _measured,
        _update,
        _extremes,
        _predictions,
        _limits,
        _flags,
    ):
        part(console, diagnosis)
    written = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in written.splitlines()) + "\n"


def _wants_color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _columns() -> int:
    if not sys.stdout.isatty():
        return DEFAULT_WIDTH
    return max(LEAST_WIDTH, min(LARGEST_WIDTH, shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns))


def _console(color: bool, width: int) -> Console:
    if width < LEAST_WIDTH:
        raise ValueError(f"width is {width}; at least {LEAST_WIDTH} columns are needed.")
    try:
        from rich.console import Console
    except ImportError as error:
        raise ImportError(
            "the terminal summary needs rich: install it by `pip install 'curvature[logs]'`."
        ) from error
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


# --- parts, in the order of the report ---


def _verdict(console: Console, diagnosis: Diagnosis) -> None:
    verdict = diagnosis.verdict
    leaning, color = LEANINGS.get(verdict.leaning, ("undecided", "magenta"))
    _say(console, verdict.headline, "bold", indent=0)
    _say(console, leaning, f"bold {color}", indent=0)
    for reason in verdict.reasons:
        _hang(console, "•", reason)


def _source(console: Console, diagnosis: Diagnosis) -> None:
    source = diagnosis.source
    _heading(console, "What was read")
    if source.paths:
        _say(console, ", ".join(listed(source.paths)), "cyan")
    steps = f"{source.first_step} to {source.last_step}" if source.steps > 1 else str(source.first_step)
    prompts = "" if source.prompts is None else f" of {counted(source.prompts, 'prompt')}"
    _say(
        console,
        f"{source.format}: {counted(source.rollouts, 'rollout')}, {counted(source.groups, 'group')}{prompts}, "
        f"{counted(source.steps, 'step')} ({steps})",
    )
    joined = (" and " if source.two_valued else " to ").join(map(number, source.reward_values))
    _say(console, f"group sizes {sizes(source.group_sizes)}; rewards {joined}")
    for _, text, _ in source.notes:
        _hang(console, "!", text, style="yellow")
    if source.bad_rows:
        verb = "is" if source.bad_rows == 1 else "are"
        _hang(
            console,
            "!",
            f"{counted(source.bad_rows, 'row')} could not be read and {verb} left out",
            style="yellow",
        )
        for file, line, reason in source.first_bad_rows[:BAD_ROWS_SHOWN]:
            _say(console, f"{file}, line {line}: {reason}", "dim", indent=4)


def _convention(console: Console, diagnosis: Diagnosis) -> None:
    convention = diagnosis.convention
    _heading(console, "Convention", convention.status)
    _say(console, convention.sentence)
    for difference in convention.differences:
        _hang(console, "•", difference)


def _measured(console: Console, diagnosis: Diagnosis) -> None:
    _heading(
        console, "Measured", "95 % intervals; over steps at the right" if len(diagnosis.windows) > 1 else ""
    )
    rows = []
    for key in in_order(diagnosis.overall):
        estimate = diagnosis.overall[key]
        label, is_share, _ = QUANTITIES.get(key, (key, False, ""))
        value = share(estimate.value) if is_share else number(estimate.value)
        trend, ends = _trend(diagnosis.windows, key, is_share)
        rows.append((label, value, interval(estimate, is_share=is_share), (trend, "cyan"), (ends, "dim")))
    _table(console, rows, ("left", "right", "left", "left", "left"))


def _trend(windows: DataFrame, key: str, is_share: bool) -> tuple[str, str]:
    """Bars of a quantity over the windows of steps, and its first and last value."""
    if key not in windows or len(windows) < 2:
        return "", ""
    values = windows[key].to_numpy(dtype=float)
    means = [part.mean() for part in np.array_split(values, min(len(values), TREND_BARS))]
    show = _format.bare_share if is_share else number
    return sparkline(means), f"{show(values[0])} → {show(values[-1])}"


def _update(console: Console, diagnosis: Diagnosis) -> None:
    deciles = diagnosis.deciles
    _heading(console, "Who gets the update", "by tenth of the groups, hardest first")
    columns = [f"update_{scheme}" for scheme in diagnosis.schemes["scheme"]]
    top = float(np.nanmax(deciles.reindex(columns=columns).to_numpy(dtype=float), initial=0.0))
    rows: list[tuple[Any, ...]] = [
        tuple((name, "dim") for name in ("scheme", "share", "max |A|", "gain per step", ""))
    ]
    for row, column in zip(diagnosis.schemes.to_dict("records"), columns, strict=True):
        bars = sparkline(deciles[column], low=0.0, high=top) if column in deciles else ""
        gain = "" if math.isnan(row["kappa"]) else number(row["kappa"], 4)
        ends = (
            ""
            if math.isnan(row["kappa_low"])
            else f"[{number(row['kappa_low'])}, {number(row['kappa_high'])}]"
        )
        rows.append((
            row["scheme"],
            (bars, "cyan"),
            number(row["largest"]),
            gain,
            ends if row["scheme"] != "none" else "",
        ))
    _table(console, rows, ("left", "left", "right", "right", "left"))


def _extremes(console: Console, diagnosis: Diagnosis) -> None:
    if not len(diagnosis.extremes):
        return
    _heading(console, "Largest advantages")
    rows = [
        (number(row["advantage"]), f"step {row['step']}", row["cause"])
        for row in diagnosis.extremes.head(EXTREMES_SHOWN).to_dict("records")
    ]
    _table(console, rows, ("right", "left", "left"))


def _predictions(console: Console, diagnosis: Diagnosis) -> None:
    if not diagnosis.predictions:
        return
    _heading(console, "What theory predicts")
    assumptions, references = numbered_assumptions(diagnosis.predictions)
    rows = []
    for prediction, reference in zip(diagnosis.predictions, references, strict=True):
        estimate = prediction.estimate
        ends = interval(estimate) or f"no interval: {estimate.method}"
        rows.append((
            prediction.name,
            number(estimate.value),
            ends,
            (f"({reference})" if reference else "", "dim"),
        ))
    _table(console, rows, ("left", "right", "left", "left"))
    if assumptions:
        numbered = "; ".join(f"({place}) {text}" for place, text in enumerate(assumptions, 1))
        _say(console, f"assuming {numbered}", "dim")


def _limits(console: Console, diagnosis: Diagnosis) -> None:
    if not diagnosis.limits:
        return
    _heading(console, "What this log cannot say", "the experiments that would: --html or --json")
    for limit in diagnosis.limits:
        _hang(console, "?", limit.question)


def _flags(console: Console, diagnosis: Diagnosis) -> None:
    flags = diagnosis.verdict.flags
    if not flags:
        return
    left = len(flags) - FLAGS_SHOWN
    _heading(
        console, "How to set it", f"{counted(left, 'more trainer')}: --html or --json" if left > 0 else ""
    )
    _table(console, flags[:FLAGS_SHOWN], ("left", "left"))


# --- text ---


def sparkline(values: Iterable[float], *, low: float | None = None, high: float | None = None) -> str:
    """Bars of eight heights between the least and the largest value (or the given ends); a dot where there is none."""
    numbers = [float(value) for value in values]
    known = [value for value in numbers if math.isfinite(value)]
    if not known:
        return ""
    bottom = min(known) if low is None else low
    reach = (max(known) if high is None else high) - bottom
    return "".join(_bar((value - bottom) / reach if reach > 0 else 0.5) for value in numbers)


def _bar(height: float) -> str:
    if not math.isfinite(height):
        return "·"
    return _BARS[min(len(_BARS) - 1, max(0, int(height * len(_BARS))))]


def _text(content: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(clean(content), style)


def _say(console: Console, content: str, style: str = "", *, indent: int = 2) -> None:
    from rich.padding import Padding

    console.print(Padding(_text(content, style), (0, 0, 0, indent)))


def _heading(console: Console, content: str, note: str = "") -> None:
    console.print()
    console.print(_text("").append(clean(content), "bold").append(clean(f"  {note}" if note else ""), "dim"))


def _hang(console: Console, mark: str, content: str, *, style: str = "") -> None:
    """Print a marked paragraph whose later lines begin under its first word."""
    _table(console, [((mark, style), (content, style))], ("left", "left"), gap=1)


def _table(
    console: Console, rows: Iterable[Iterable[str | tuple[str, str]]], sides: tuple[Any, ...], *, gap: int = 2
) -> None:
    """Print rows of cells, each a text or a text and its style, indented by two."""
    from rich.padding import Padding
    from rich.table import Table

    grid = Table.grid(padding=(0, gap, 0, 0), pad_edge=False)
    for side in sides:
        grid.add_column(justify=side, overflow="fold")
    for row in rows:
        grid.add_row(*(_text(cell) if isinstance(cell, str) else _text(*cell) for cell in row))
    console.print(Padding(grid, (0, 0, 0, 2)))
