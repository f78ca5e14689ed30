"""A diagnosis as one HTML page that opens from disk: plots inside, no script, nothing fetched."""

from __future__ import annotations

import shlex
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

from curvature import plotting
from curvature.rollouts import _format, _plots, _svg
from curvature.rollouts.findings import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandas import DataFrame

    from curvature.rollouts.findings import Diagnosis

__all__ = ["render_html"]

PACKAGES = ("curvature", "numpy", "scipy", "pandas", "pyarrow", "matplotlib", "jinja2")


class _Plot(NamedTuple):
    """A plot of the report: the table it draws, the columns it needs, and what to say instead of it."""

    draw: Callable[..., Any]
    table: str
    needs: str
    label: str


PLOTS = {
    "accuracy": _Plot(
        _plots.plot_accuracy, "windows", "accuracy", "Line plot: accuracy over steps with 95 % intervals"
    ),
    "std": _Plot(
        _plots.plot_std,
        "windows",
        "mean_std",
        "Line plot: mean reward std of a prompt over steps with 95 % intervals",
    ),
    "silent": _Plot(
        _plots.plot_silent,
        "windows",
        "silent",
        "Line plot: shares of groups that are silent, all right and all wrong over steps, and the expected share",
    ),
    "weights": _Plot(
        _plots.plot_weights,
        "difficulty",
        "weight_none",
        "Line plot, log scale: effective weight of a group by its mean reward under each scheme",
    ),
    "deciles": _Plot(
        _plots.plot_shares_by_decile,
        "deciles",
        "update_none",
        "Line plot: share of the update carried by each tenth of the groups under each scheme, hardest first",
    ),
    "gains": _Plot(
        _plots.plot_gains,
        "schemes",
        "kappa",
        "Interval plot: certified gain per step of each scheme, none set to 1",
    ),
    "thresholds": _Plot(
        _plots.plot_thresholds,
        "windows",
        "paper_statistic",
        "Line plot: the paper's and the sharp statistic over steps with 95 % intervals, against the threshold 1",
    ),
}


def render_html(
    diagnosis: Diagnosis, *, command: str | None = None, seed: int | None = None, refresh: float | None = None
) -> str:
    """Write the report: one self-contained HTML page, the same bytes for the same diagnosis.

    Ours. The page holds its plots and its style, runs no script and asks no network for anything; its content
    security policy forbids both. Text that comes from the log is escaped. It reads at the width of a phone, in light
    and dark, and on paper.

    Parameters
    ----------
    diagnosis : Diagnosis
        What :func:`curvature.rollouts.diagnose` returned.
    command : str, optional
        How the report was made, shown at its end; made up from the paths when left out.
    seed : int, optional
        Of the resampling, shown at the end.
    refresh : float, optional
        Seconds after which a browser loads the page again, for a run that is being followed.

    Returns
    -------
    str
        The page. It can be encoded as UTF-8.

    Raises
    ------
    ImportError
        If jinja2 is not installed.

    Examples
    --------
    >>> from curvature.rollouts import RolloutLog
    >>> from curvature.rollouts.diagnosis import diagnose
    >>> log = RolloutLog.from_arrays([0] * 8, [0] * 4 + [1] * 4, [1, 0, 0, 0, 1, 1, 1, 0])
    >>> page = render_html(diagnose(log), seed=0)
    >>> page.startswith("<!doctype html>"), "<script" in page
    (True, False)
    """
    template = _environment().get_template("report.html.jinja")
    paths = diagnosis.source.paths
    made = command or shlex.join(["curvature", "diagnose", *_format.listed(paths)])
    assumptions, references = _format.numbered_assumptions(diagnosis.predictions)
    schemes = [name for name in SCHEMES if f"weight_{name}" in diagnosis.difficulty]
    return template.render(
        d=diagnosis,
        overall=diagnosis.overall,
        overall_keys=_format.in_order(diagnosis.overall),
        predictions=list(zip(diagnosis.predictions, references, strict=True)),
        assumptions=assumptions,
        experiments=_format.by_experiment(diagnosis.limits),
        plots=_draw_all(diagnosis),
        schemes=schemes,
        weight_columns=[(f"weight, {scheme}", "n") for scheme in schemes],
        update_columns=[(f"share, {scheme}", "n") for scheme in schemes],
        command=made,
        seed=seed,
        refresh=refresh,
        versions=_versions(),
    )


@cache
def _environment() -> Any:
    """Compile the templates once a process."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise ImportError(
            "the HTML report needs jinja2: install it by `pip install 'curvature[logs]'`."
        ) from error
    environment = Environment(
        loader=PackageLoader("curvature.rollouts", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: _format.clean(value) if type(value) is str else value,
    )
    environment.filters |= {
        "number": _format.number,
        "share": _format.share,
        "interval": _format.interval,
        "records": lambda frame: frame.to_dict("records"),
        "counted": _format.counted,
        "listed": _format.listed,
        "sizes": _format.sizes,
    }
    environment.globals |= {"quantities": _format.QUANTITIES}
    return environment


def _draw_all(diagnosis: Diagnosis) -> dict[str, Any]:
    """Every plot whose numbers are there, as SVG elements by name."""
    from markupsafe import Markup

    drawn = {}
    for name, plot in PLOTS.items():
        table: DataFrame = getattr(diagnosis, plot.table)
        if plot.needs in table and not table.dropna(subset=[plot.needs]).empty:
            drawn[name] = Markup(_draw(plot, table, name))  # matplotlib's own output, escaped by it
    return drawn


def _draw(plot: _Plot, table: DataFrame, name: str) -> str:
    import matplotlib as mpl

    with plotting.style(), mpl.rc_context(dict(_svg.PAGE_RC)):  # type: ignore[arg-type]
        drawing, axes = plotting.figure(size=_plots.SIZE)
        plot.draw(table, axes[0])
        return _svg.inline_svg(drawing, prefix=name, label=plot.label)


def _versions() -> dict[str, str]:
    """Versions of Python and of the packages that made the numbers and the page."""
    found = {"Python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
