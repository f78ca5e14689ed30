"""Which of the paper's two accounts of its three training phases a run's series match, by stated rules.

arXiv:2601.23135v1 tells its three phases in two ways that exclude each other.

"early"
    Abstract, Appendix F.1 (and F.3 for MATH): normalisation accelerates most in phase I, where prompts are orthogonal
    and reward variance is high; its advantage is maintained in II; in III loss of orthogonality stops further gains.
"middle"
    Section 4.4 (and the third contribution of the introduction): in phase I both methods are comparable; in II
    normalisation opens a clear and widening gap; in III the gap no longer widens.

Both say that phase I has the highest reward variance and the most orthogonal gradients, and that in phase III the
cosines between prompts' gradients spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.phases._dynamic import stretch_fit
from curvature.phases.segmentation import Segmentation, change_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Condition", "PhaseReport", "phase_report"]

_NAMES = ("mean_std", "spread_std", "omega", "cosine_spread", "kappa", "accuracy_gap")
# Standard errors by which an estimate must clear a bound: one-sided 2.3 %.
_ERRORS = 2.0


@dataclass(frozen=True)
class Condition:
    """One thing that an account of the phases says, as an inequality of estimates.

    Attributes
    ----------
    account : str
        "both", "early" or "middle".
    statement : str
        What is said.
    holds : bool
        Whether it holds.
    margin : float
        How far the estimate is on the right side, in units of its standard error (negative: on the wrong side).
    """

    account: str
    statement: str
    holds: bool
    margin: float


@dataclass(frozen=True)
class PhaseReport:
    """What :func:`phase_report` finds.

    Attributes
    ----------
    segmentation : Segmentation
        Of all series together.
    votes : dict
        Number of segments preferred for each (series or "all", model, noise).
    conditions : tuple of Condition
        What the accounts say and whether it holds; empty unless three phases are supported.
    telling : str
        "early", "middle", "neither", or "undetermined" when three phases are supported but no accuracy gap was given.
    """

    segmentation: Segmentation
    votes: dict[tuple[str, str, str], int]
    conditions: tuple[Condition, ...]
    telling: str

    @property
    def three_phases(self) -> bool:
        """Whether the criterion prefers three segments of all series together."""
        return self.segmentation.num_segments == 3

    @property
    def agreement(self) -> float:
        """Share of the votes, over series, models and noises, that are for three segments."""
        return float(np.mean([vote == 3 for vote in self.votes.values()]))

    @property
    def sentence(self) -> str:
        """The finding in words."""
        found = self.segmentation
        where = ", ".join(f"{found.steps[i]:g}" for i in found.breakpoints)
        phases = f"{found.num_segments} segment{'s' if found.num_segments > 1 else ''}"
        text = f"BIC prefers {phases}" + (f", changing at step {where}" if where else "") + ": "
        text += "three phases are " + ("" if self.three_phases else "not ") + "supported"
        if found.at_maximum:
            text += " (as many segments as were allowed: a curve rather than phases)"
        if not self.three_phases:
            return f"{text}."
        text += f" ({self.agreement:.0%} of single fits agree)"
        if self.telling == "undetermined":
            return f"{text}; without an accuracy gap their telling cannot be told."
        if self.telling == "neither":
            failed = [c.statement for c in self.conditions if not c.holds]
            return f"{text}; the order matches neither telling: not found: {'; '.join(failed)}."
        return f"{text}; the order matches the telling '{self.telling}'."

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each condition.

        Returns
        -------
        pandas.DataFrame
            account, statement, holds and margin.
        """
        import pandas as pd

        columns = ["account", "statement", "holds", "margin"]
        return pd.DataFrame(
            [[getattr(c, name) for name in columns] for c in self.conditions], columns=columns
        )


def phase_report(
    series: Mapping[str, Any],
    *,
    steps: Any = None,
    max_segments: int = 6,
    min_length: int | None = None,
    model: str = "linear",
    noise: str = "ar1",
    gap_margin: float = 0.01,
) -> PhaseReport:
    """Cut a run's series into phases and tell which of the paper's two accounts their order matches, if any.

    Three phases are *supported* only if the criterion of :func:`change_points` prefers three segments of all series
    together. An account then *matches* if every condition of "both" whose series is given, and every one of its own,
    holds; estimates must clear their bounds by two standard errors. The conditions, with g the accuracy gap fitted
    by a line in each phase:

    both    mean_std highest in I; |log Ω| smallest in I; cosine_spread largest in III; g grows by at most
            `gap_margin` in III
    early   g grows fastest in I; at the end of I it is above `gap_margin`
    middle  g grows fastest in II; at the end of I it is not above `gap_margin`; at the end of II it is

    Ours, theory II.8; the accounts are those of the abstract and F.1, and of section 4.4, of arXiv:2601.23135v1.
    Kind: test of a description.
    Holds when: the noise is as :func:`change_points` assumes it.

    Parameters
    ----------
    series : mapping of name to array_like, shape (T,)
        Any of mean_std (mean of the prompts' reward std), spread_std (its spread over prompts), omega
        (Ω = Σ‖g_x‖²/‖Σg_x‖² > 0, 1 if gradients are orthogonal; its logarithm is what is cut), cosine_spread (std of
        the cosines between prompts' gradients), kappa (κ of theory T5) and accuracy_gap (accuracy with less accuracy
        without normalisation). A data frame counts. As measured: a moving average turns a jump into a curve, which
        takes more segments. No account speaks of spread_std and kappa; they help to place the cuts.
    steps : array_like, shape (T,), optional
        Increasing steps of the points.
    max_segments, min_length, model, noise
        As in :func:`change_points`.
    gap_margin : float
        Accuracies closer than this are comparable.

    Returns
    -------
    PhaseReport
        Segments, votes of the single series and other models, conditions, and the telling.

    Raises
    ------
    TypeError
        If a number or an array of numbers is not one.
    ValueError
        If a series has another name, or a shape, name or value is not as above; the message has it.

    Notes
    -----
    Symbols: omega = Ω.

    Examples
    --------
    >>> t, rng = np.arange(150.0), np.random.default_rng(0)
    >>> gap = np.interp(t, [0, 50, 100, 150], [0, 0, 0.07, 0.07]) + 0.004 * rng.standard_normal(150)
    >>> cosines = np.repeat([0.05, 0.06, 0.13], 50) + 0.003 * rng.standard_normal(150)
    >>> phase_report({"accuracy_gap": gap, "cosine_spread": cosines}, noise="iid").telling
    'middle'
    """
    keys = [str(key) for key in series]
    unknown = [key for key in keys if key not in _NAMES]
    if unknown or not keys:
        raise ValueError(
            f"series must be named among {', '.join(_NAMES)}, got {', '.join(unknown) or 'none'}."
        )
    if not gap_margin >= 0:
        raise ValueError(f"gap_margin must be at least 0, got {gap_margin}.")
    values = {key: series[key] for key in keys}
    if "omega" in values:
        values["omega"] = _log_omega(values["omega"])
    options: dict[str, Any] = {"steps": steps, "max_segments": max_segments, "min_length": min_length}
    found = change_points(values, model=model, noise=noise, **options)
    votes = {}
    for name, part in [("all", values), *((key, {key: values[key]}) for key in keys)]:
        for each_model in ("constant", "linear"):
            for each_noise in ("iid", "ar1"):
                same = (name, each_model, each_noise) == ("all", model, noise)
                fit = found if same else change_points(part, model=each_model, noise=each_noise, **options)
                votes[name, each_model, each_noise] = fit.num_segments
    if found.num_segments != 3:
        return PhaseReport(found, votes, (), "neither")
    conditions = tuple(_conditions(found, gap_margin))
    return PhaseReport(found, votes, conditions, _telling(conditions, "accuracy_gap" in values))


def _log_omega(omega: Any) -> Array:
    values = np.asarray(omega, dtype=np.float64)
    bad = ~((values > 0) & np.isfinite(values))
    if bad.any():
        raise ValueError(
            f"omega must be positive and finite, got {values[bad].flat[0]}; leave such points out."
        )
    return np.log(values)


def _telling(conditions: tuple[Condition, ...], has_gap: bool) -> str:
    shared = all(condition.holds for condition in conditions if condition.account == "both")
    if not shared:
        return "neither"
    if not has_gap:
        return "undetermined"
    for account in ("early", "middle"):
        if all(condition.holds for condition in conditions if condition.account == account):
            return account
    return "neither"


def _conditions(found: Segmentation, gap_margin: float) -> list[Condition]:
    """Every condition whose series is given, in the order of the docstring of :func:`phase_report`."""
    conditions = []
    if "mean_std" in found.names:
        level, error = _levels(found, found.series[:, found.names.index("mean_std")], "mean_std")
        conditions.append(_largest("both", "mean reward std is highest in phase I", level, error, 0))
    if "omega" in found.names:
        level, error = _levels(found, np.abs(found.series[:, found.names.index("omega")]), "omega")
        conditions.append(_largest("both", "|log Ω| is smallest in phase I", -level, error, 0))
    if "cosine_spread" in found.names:
        level, error = _levels(found, found.series[:, found.names.index("cosine_spread")], "cosine_spread")
        conditions.append(
            _largest("both", "the spread of the cosines is largest in phase III", level, error, 2)
        )
    if "accuracy_gap" in found.names:
        conditions += _gap_conditions(found, gap_margin)
    return conditions


def _gap_conditions(found: Segmentation, gap_margin: float) -> list[Condition]:
    slope, slope_error, last, last_error = _lines(found)
    length = np.array([end - begin - 1 for begin, end in found.bounds])
    lead = (last - gap_margin) / last_error
    widening = (slope[2] * length[2] - gap_margin) / (slope_error[2] * length[2])
    above = f"above {gap_margin:g}"
    return [
        Condition(
            "both",
            f"the gap does not widen by more than {gap_margin:g} in phase III",
            widening < _ERRORS,
            -widening,
        ),
        _largest("early", "the gap grows fastest in phase I", slope, slope_error, 0),
        Condition("early", f"the gap is {above} at the end of phase I", lead[0] >= _ERRORS, lead[0]),
        _largest("middle", "the gap grows fastest in phase II", slope, slope_error, 1),
        Condition("middle", f"the gap is not {above} at the end of phase I", lead[0] < _ERRORS, -lead[0]),
        Condition("middle", f"the gap is {above} at the end of phase II", lead[1] >= _ERRORS, lead[1]),
    ]


def _largest(account: str, statement: str, value: Array, error: Array, phase: int) -> Condition:
    others = [k for k in range(3) if k != phase]
    margin = min(float((value[phase] - value[k]) / np.hypot(error[phase], error[k])) for k in others)
    return Condition(account, statement, margin >= _ERRORS, margin)


def _levels(found: Segmentation, values: Array, name: str) -> tuple[Array, Array]:
    """Mean of the fit and its standard error in each phase, with the noise of the fit for all phases."""
    centre = [(end - begin - 1) / 2 for begin, end in found.bounds]
    return _fitted(found, values, name, [np.array([1.0, at]) for at in centre], found.model == "linear")


def _lines(found: Segmentation) -> tuple[Array, Array, Array, Array]:
    """Slope an index and last level of the accuracy gap, by a line in each phase whatever the model, with errors."""
    values = found.series[:, found.names.index("accuracy_gap")]
    slopes = _fitted(found, values, "accuracy_gap", [np.array([0.0, 1.0])] * 3, True)
    ends = [np.array([1.0, end - begin - 1.0]) for begin, end in found.bounds]
    return *slopes, *_fitted(found, values, "accuracy_gap", ends, True)


def _fitted(
    found: Segmentation, values: Array, name: str, functionals: list[Array], linear: bool
) -> tuple[Array, Array]:
    φ = float(found.autocorrelation[found.names.index(name)])
    estimate, spread, residual = [], [], 0.0
    for (begin, end), functional in zip(found.bounds, functionals, strict=True):
        parameters, covariance = stretch_fit(values[begin:end], φ, linear)
        estimate.append(functional @ parameters)
        spread.append(functional @ covariance @ functional)
        fit = parameters[0] + parameters[1] * np.arange(end - begin)
        error = values[begin:end] - fit
        residual += float((1 - φ**2) * error[0] ** 2 + ((error[1:] - φ * error[:-1]) ** 2).sum())
    freedom = len(values) - len(functionals) * (1 + linear)
    # Data without noise would give errors of 0; rounding is what is left then.
    variance = max(residual / freedom, (1e-12 * max(float(np.ptp(values)), 1e-12)) ** 2)
    return np.array(estimate), np.sqrt(variance * np.array(spread))
