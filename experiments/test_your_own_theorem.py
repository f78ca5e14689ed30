"""A theorist's session: state a conjecture, let the testing kit find a counterexample, shrink it, keep it, draw it.

The conjecture: at equal step norm, one step of GRPO gains at least as much mean reward as one step of REINFORCE, for
every bandit. It is false, and the counterexample says why: REINFORCE's direction Σ g_x is the steepest, so for short
steps GRPO's gain is cos∠(Σ g_x, Σ g_x/σ_x) times REINFORCE's, below 1 unless the two directions are one. What GRPO has
to offer at equal norm begins at a certain length of the step, which the third panel measures.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import LogLinearBandit, moments, plotting
from experiments._experiment import Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from pandas import DataFrame

    from curvature.testing import StoredInstance

    Array = NDArray[np.float64]

METHODS = ("REINFORCE", "GRPO")
MARGIN = 0.01
"""By what share of REINFORCE's gain GRPO's must fall short to count."""
STEPS = (0.1, 1.0, 3.0)
SHORT = 0.02
FIRST = 0.5
PAIRS = {"orthogonal": (0.0, 1), "overlap ½, agreeing": (0.5, 1), "overlap 0.9, opposing": (0.9, -1)}
ROLES = dict(zip(PAIRS, ("sharp", "exact", "paper"), strict=True))
STARTS = {"p₁ = 0.5": 0.5, "p₁ = 0.2": 0.2, "p₁ = 0.8": 0.8}
START_ROLES = dict(zip(STARTS, ("sharp", "exact", "paper"), strict=True))

CAPTION = (
    "Conjecture: at equal step norm GRPO's step gains at least as much mean reward as REINFORCE's, for every bandit. "
    "a: the counterexample that the testing kit found and shrunk (two orthogonal prompts of two responses). What a "
    "step gains, over what REINFORCE's slope promises; markers are exact gains, lines the prediction to third order "
    "in the step. GRPO starts lower, at the cosine of the two directions. b: the ratio of the gains at a short step "
    "(norm 0.02) for two prompts, p₁ = 1/2 and p₂ on the axis: markers measured, lines the predicted cosine. The "
    "conjecture fails wherever the two stds differ, by most where the prompts oppose each other. "
    "c: the step norm up to which it fails, orthogonal prompts of diameter 1: markers measured, lines from the closed "
    "form of two responses."
)


def run(examples: int = 300, points: int = 41, seed: int = 0) -> DataFrame:
    """Find the counterexample, and measure and predict where else the conjecture fails.

    Parameters
    ----------
    examples : int
        Bandits that the test may try before one fails.
    points : int
        Predicted points of a line; a quarter as many are measured.
    seed : int
        Of the test's examples.

    Returns
    -------
    DataFrame
        Columns panel ("along", "short", "reach", "instance"), series, kind ("predicted", "measured"), x and y.
    """
    import pandas as pd

    require_count("examples", examples)
    require_count("points", points, least=5)
    with tempfile.TemporaryDirectory() as folder:
        kept = counterexample(folder, examples=examples, seed=seed)
    rows = [*_instance(kept), *_along(kept, points), *_short(points), *_reach(points)]
    return pd.DataFrame(rows, columns=["panel", "series", "kind", "x", "y"])


def directions(bandit: LogLinearBandit, theta: Array) -> dict[str, Array]:
    """Return the unit vectors along Σ_x ρ_xg_x and Σ_x ρ_xg_x/σ_x, zero where there is no direction."""
    at = moments(bandit, theta)
    found = {}
    for name, power in zip(METHODS, (0.0, 1.0), strict=True):
        weights = np.where(at.reward_std > 0, np.where(at.reward_std > 0, at.reward_std, 1.0) ** -power, 0.0)
        v = (bandit.prompt_weights * weights) @ at.gradient
        norm = float(np.linalg.norm(v))
        found[name] = v / norm if norm > 0 else v
    return found


def gain(bandit: LogLinearBandit, theta: Array, displacement: Array) -> float:
    """Return what the mean reward gains by a displacement."""
    before, after = moments(bandit, np.stack([theta, theta + displacement])).expected_reward
    return float(bandit.prompt_weights @ (after - before))


def counterexample(folder: str | Path, *, examples: int, seed: int) -> StoredInstance:
    """State the conjecture as a test, run it on bandits of every kind, and shrink what it finds to round numbers.

    Hypothesis shrinks the first counterexample too, but which numbers it ends with depends on where it began. The
    second test draws from few round numbers, of which the simplest that fail are always the same.

    Raises
    ------
    RuntimeError
        If the conjecture survives.
    """
    from hypothesis import strategies as st

    from curvature.testing import multi_prompt_bandits

    every = multi_prompt_bandits(max_responses=3, rewards="one_correct", difficulty="mixed", degenerate=False)
    rates = st.lists(st.sampled_from([0.5, 0.1, 0.01, 0.9, 0.99]), min_size=2, max_size=3)
    simple = st.builds(LogLinearBandit.two_arm, rates, overlap=st.sampled_from([0.0, 0.5, 0.9]))
    if _refute(every, folder, examples=examples, seed=seed, shrink=False) is None:
        raise RuntimeError(f"{examples} bandits obey the conjecture; raise --examples.")
    kept = _refute(simple, folder, examples=max(examples, 100), seed=seed, shrink=True)
    assert kept is not None
    return kept


def _refute(
    bandits: Any, folder: str | Path, *, examples: int, seed: int, shrink: bool
) -> StoredInstance | None:
    """Test the conjecture on drawn bandits and steps; return the instance that fails, None if none does."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    from curvature.testing import assert_lower, replay

    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(bandits, st.sampled_from(STEPS))
    def grpo_gains_at_least_as_much(bandit: LogLinearBandit, step: float) -> None:
        theta = np.zeros(bandit.dimension)
        grpo, reinforce = (
            gain(bandit, theta, step * directions(bandit, theta)[name]) for name in METHODS[::-1]
        )
        instance = {"bandit": bandit, "theta": theta, "step": step}
        told = {"name": "REINFORCE's gain", "instance": instance, "instance_dir": folder}
        assert_lower(grpo, reinforce, rtol=MARGIN, atol=1e-9, **told)

    try:
        grpo_gains_at_least_as_much()
    except AssertionError as failure:
        return replay(str(failure).rpartition("Instance: ")[2])
    return None


def predicted_gain(bandit: LogLinearBandit, theta: Array, u: Array, steps: Array) -> Array:
    """Return the gain along the unit vector u to third order in the step."""
    first, second, third = cumulants(bandit, theta, u)
    return steps * (first + steps * (second / 2 + steps * third / 6))


def cumulants(bandit: LogLinearBandit, theta: Array, u: Array) -> tuple[float, float, float]:
    """Return the first three derivatives of the mean reward along u: κ(r, w), κ(r, w, w), κ(r, w, w, w), w = ⟨u, φ⟩."""
    at = moments(bandit, theta)
    π, A = at.probabilities, bandit.rewards - at.expected_reward[:, None]
    w = bandit.features @ u
    w = w - (π * w).sum(axis=1, keepdims=True)
    slope, bend, cubic = ((π * A * w**power).sum(axis=1) for power in (1, 2, 3))
    third = cubic - 3 * slope * (π * w**2).sum(axis=1)
    ρ = bandit.prompt_weights
    return float(ρ @ slope), float(ρ @ bend), float(ρ @ third)


def predicted_ratio(success: Array, overlap: float, sign: int) -> Array:
    """Return cos∠(Σg, Σg/σ) of pairs of two-response prompts, success (…, 2): the ratio of gains of short steps."""
    V = success * (1 - success)
    a, b = V, np.sqrt(V)  # lengths of g and of g/σ, in units of D

    def inner(first: Array, second: Array) -> Array:
        crossed = first[..., 0] * second[..., 1] + first[..., 1] * second[..., 0]
        return (first * second).sum(axis=-1) + sign * overlap * crossed

    return inner(a, b) / np.sqrt(inner(a, a) * inner(b, b))


def pair(success: Array, overlap: float = 0.0, sign: int = 1) -> LogLinearBandit:
    """Build two prompts of two responses; with sign −1 the second one's right answer points the other way."""
    built = LogLinearBandit.two_arm(success, overlap=overlap)
    if sign == 1:
        return built
    features = built.features.copy()
    features[1] *= -1
    return LogLinearBandit(features, built.rewards, built.base_logits)


def predicted_reach(success: Array) -> float:
    """Return the step norm at which two orthogonal prompts of two responses gain alike by both methods, D = 1.

    In closed form J_x(θ + su) = 1/(1 + exp(−z_x − su_x)), z_x the log-odds of p_x, with u along (V_1, V_2) for
    REINFORCE and along (σ_1, σ_2) for GRPO.
    """
    from scipy.special import expit, logit

    V = success * (1 - success)
    steepest, normalised = V / np.linalg.norm(V), np.sqrt(V / V.sum())

    def lead(step: float) -> float:
        z = logit(success)
        return float((expit(z + step * normalised) - expit(z + step * steepest)).sum())

    return _crossing(lead)


def measured_reach(bandit: LogLinearBandit, theta: Array) -> float:
    """Return the smallest step norm from which on GRPO gains as much; NaN if it does not up to 100, or always does."""
    u = directions(bandit, theta)
    return _crossing(
        lambda step: gain(bandit, theta, step * u["GRPO"]) - gain(bandit, theta, step * u["REINFORCE"])
    )


def _crossing(lead: Callable[[float], float]) -> float:
    """Return where a lead that is negative for short steps becomes positive, NaN if nowhere up to 100."""
    from scipy.optimize import brentq

    grid = np.geomspace(1e-3, 100, 90)
    leads = np.array([lead(step) for step in grid])
    first = int(np.argmax(leads > 0))
    if leads[0] >= -1e-12 or leads[first] <= 0:
        return float("nan")
    return float(brentq(lead, grid[first - 1], grid[first], xtol=1e-9))


def _instance(kept: StoredInstance) -> list[tuple[Any, ...]]:
    """Tabulate what the counterexample is: success rates, step norm and the ratio of the gains."""
    at = moments(kept.bandit, kept.theta)
    rows = [
        ("instance", f"success of prompt {x + 1}", "measured", np.nan, float(p))
        for x, p in enumerate(at.expected_reward)
    ]
    facts = {
        "responses": kept.bandit.num_responses,
        "step norm": float(kept.values["step"]),
        "GRPO's gain": kept.facts["measured"],
        "REINFORCE's gain": kept.facts["bound"],
    }
    return rows + [("instance", name, "measured", np.nan, value) for name, value in facts.items()]


def _along(kept: StoredInstance, points: int) -> list[tuple[Any, ...]]:
    """Tabulate gains along both directions, over the slope of REINFORCE's."""
    bandit, theta = kept.bandit, kept.theta
    u = directions(bandit, theta)
    slope = cumulants(bandit, theta, u["REINFORCE"])[0]
    rows: list[tuple[Any, ...]] = []
    for name in METHODS:
        steps = np.geomspace(0.05, 2.0, points)
        share = predicted_gain(bandit, theta, u[name], steps) / (slope * steps)
        rows += [("along", name, "predicted", s, y) for s, y in zip(steps, share, strict=True)]
        for s in steps[:: max(1, points // 14)]:
            rows.append(("along", name, "measured", s, gain(bandit, theta, s * u[name]) / (slope * s)))
    return rows


def _rates(points: int) -> Array:
    from scipy.special import expit

    return expit(np.linspace(-5.3, 5.3, points))


def _short(points: int) -> list[tuple[Any, ...]]:
    """Tabulate the ratio of the gains of short steps against the success rate of the second prompt."""
    rows: list[tuple[Any, ...]] = []
    rates = _rates(points)
    for name, (overlap, sign) in PAIRS.items():
        line = predicted_ratio(np.stack([np.full(points, FIRST), rates], axis=-1), overlap, sign)
        rows += [("short", name, "predicted", p, y) for p, y in zip(rates, line, strict=True)]
        for p in rates[:: max(1, points // 14)]:
            bandit = pair(np.array([FIRST, p]), overlap, sign)
            theta = np.zeros(bandit.dimension)
            by = [gain(bandit, theta, SHORT * u) for u in directions(bandit, theta).values()]
            # Opposed prompts of one std cancel: neither method moves.
            if abs(by[0]) > 1e-9:
                rows.append(("short", name, "measured", p, by[1] / by[0]))
    return rows


def _reach(points: int) -> list[tuple[Any, ...]]:
    """Tabulate the step norm up to which the conjecture fails."""
    rows: list[tuple[Any, ...]] = []
    rates = _rates(points)
    for name, first in STARTS.items():
        before = np.nan
        for index, p in enumerate(rates):
            bandit, theta = pair(np.array([first, p])), np.zeros(2)
            if abs(p * (1 - p) - first * (1 - first)) < 1e-6:
                continue  # one std, one direction
            predicted = predicted_reach(np.array([first, p]))
            if not 0.1 < predicted / before < 10:
                rows.append(("reach", name, "predicted", p, np.nan))  # the line is broken where it jumps
            rows.append(("reach", name, "predicted", p, predicted))
            before = predicted
            if index % max(1, points // 14) == 0:
                rows.append(("reach", name, "measured", p, measured_reach(bandit, theta)))
    return rows


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the three panels.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of three Axes, optional
        A new figure when left out.

    Returns
    -------
    array of three Axes
        Gains along the step, ratio for short steps, reach of the failure.
    """
    axes = plotting.figure("abc", size=(11.4, 4.6))[1] if ax is None else ax
    looks = [("along", {"REINFORCE": "paper", "GRPO": "sharp"}), ("short", ROLES), ("reach", START_ROLES)]
    for panel, (name, roles) in zip(axes, looks, strict=True):
        rows = df[df["panel"] == name]
        predicted = rows[rows["kind"] == "predicted"]
        plotting.plot_lines(predicted.assign(series=predicted["series"] + ", predicted"), panel, x="x", y="y",
                            roles={f"{series}, predicted": role for series, role in roles.items()})  # fmt: skip
        measured = rows[rows["kind"] == "measured"]
        plotting.plot_points(measured, panel, x="x", y="y", roles=roles)
    axes[0].set(
        xscale="log", xlabel="step norm s", ylabel="gain / (s · slope of REINFORCE)", ylim=(0.7, 1.02)
    )
    axes[0].set_xticks([0.1, 0.3, 1, 2], labels=[".1", ".3", "1", "2"])
    axes[0].set_title("a   the counterexample")
    axes[1].set(ylabel="gain of GRPO / gain of REINFORCE", ylim=(None, 1.02))
    axes[1].axhline(1.0, color="#6E6E6E", linewidth=0.8, zorder=1, label="_the conjecture")
    axes[1].set_title("b   short steps: where it fails")
    axes[2].set(yscale="log", ylabel="step norm up to which it fails")
    axes[2].set_yticks([0.01, 0.1, 1, 10], labels=[".01", ".1", "1", "10"])
    axes[2].set_title("c   how long a step it takes")
    for panel in axes[1:]:
        panel.set(xscale="logit", xlim=(0.004, 0.996), xlabel="success rate p₂ of the second prompt")
        panel.set_xticks([0.01, 0.1, 0.5, 0.9, 0.99], labels=[".01", ".1", ".5", ".9", ".99"])
    for panel in axes:
        panel.set_xticks([], minor=True)
        panel.set_yticks([], minor=True)
        plotting.legend_below(panel, columns=2)
    return axes


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the counterexample in numbers, and how far the predictions are off."""
    instance = df[df["panel"] == "instance"].set_index("series")["y"]
    numbers: dict[str, Any] = {f"counterexample, {name}": float(value) for name, value in instance.items()}
    numbers["counterexample, ratio of gains"] = float(instance["GRPO's gain"] / instance["REINFORCE's gain"])
    short = df[df["panel"] == "short"]
    for name, (overlap, sign) in PAIRS.items():
        measured = short[(short["series"] == name) & (short["kind"] == "measured")]
        at = np.stack([np.full(len(measured), FIRST), measured["x"]], axis=-1)
        off = np.abs(measured["y"].to_numpy() - predicted_ratio(at, overlap, sign))
        numbers[f"{name}, smallest measured ratio"] = float(measured["y"].min())
        numbers[f"{name}, largest error of the cosine"] = float(off.max())
    reach = df[(df["panel"] == "reach") & df["y"].notna()].set_index(["kind", "series", "x"])["y"]
    measured, predicted = reach["measured"].align(reach["predicted"], join="inner")
    numbers["reach, shortest and longest measured"] = [float(measured.min()), float(measured.max())]
    numbers["reach, largest relative error"] = float(np.abs(predicted / measured - 1).max())
    return numbers


EXPERIMENT = Experiment(
    stem="test_your_own_theorem",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "examples": Dial(300, 100, "bandits that the test may try"),
        "points": Dial(113, 29, "predicted points of a line"),
    },
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
