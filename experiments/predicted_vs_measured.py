"""What the flow of small steps predicts for a real profile of success rates, against runs that sample.

Prompts: quantiles of the beta-binomial fitted to GSM8K's graded answers (gsm8k_profile), each a prompt of two
responses, all orthogonal. Three ways to train: REINFORCE and GRPO at their constant certified steps, and GRPO at the
step whose first update is as long as REINFORCE's. Exact gradients (a), where GRPO's weight is 1/σ, and groups of 8
responses (b), where the flow uses the expected weight of such a group. Times to a mean success rate (c). Nothing is
fitted to the runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import LogLinearBandit, plotting
from curvature.ascent import ascend, certified_constant_step
from curvature.flow import learning_curve, time_to_target
from experiments import gsm8k_profile
from experiments._experiment import Dial, Experiment, main_of, require_count
from experiments._two_arms import crossing_time, group_weight, plain_group_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

GROUP_SIZE = 8
CONFIDENCE = 0.95
TARGETS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
# Least failure rate that is drawn.
LOWEST = 1e-4
ARMS = {"REINFORCE, certified step": "paper", "GRPO, certified step": "sharp", "GRPO, matched step": "exact"}

CAPTION = (
    "The flow of small steps against runs, for a profile of success rates like that of 1,319 GSM8K questions "
    "(quantiles of the fitted beta-binomial, one prompt of two responses each, orthogonal, every prompt in every "
    "update). Steps: certified for REINFORCE (8 ln 2/D²) and for GRPO (4 ln 2/D²); matched, GRPO at the step whose "
    "first update is as long as REINFORCE's. Lines: predicted mean failure 1 − J, with no constant fitted. a: runs "
    "with exact gradients. b: runs with groups of 8 sampled responses, mean over seeds with its 95% interval, and the "
    "flow with the expected weight of such a group (for REINFORCE, whose advantages lose the group's mean, 1 − 1/8; "
    "for GRPO at most √7, not 1/σ). The waves are the hardest quantiles, one by one. The flow leaves out the noise of "
    "sampling, and is early by as much as b and c show. c: updates until the mean success rate is .5, .6, .7, .8, .9 "
    "and .95, where every run reaches it, predicted and measured: open markers exact, filled ones sampled with the "
    "95% interval of the mean."
)


def run(prompts: int = 64, seeds: int = 40, steps: int = 400, seed: int = 0) -> DataFrame:
    """Predict and measure learning curves and times.

    Parameters
    ----------
    prompts : int
        Quantiles of the profile.
    seeds : int
        Sampled runs, at least 2.
    steps : int
        Updates.
    seed : int
        Of the first sampled run.

    Returns
    -------
    DataFrame
        Columns view ("curve" or "time"), gradients ("exact" or "sampled"), series, x (updates, or the target), and
        predicted, measured, low, high (of the mean success rate, or of the updates).
    """
    import pandas as pd

    require_count("prompts", prompts, least=2)
    require_count("seeds", seeds, least=2)
    require_count("steps", steps, least=10)
    profile = profile_of(prompts)
    frames = [
        frame
        for name in ARMS
        for sampled in (False, True)
        for frame in _compare(name, profile, steps, np.arange(seed, seed + seeds) if sampled else None)
    ]
    return pd.concat(frames, ignore_index=True)


def profile_of(prompts: int) -> NDArray[np.float64]:
    """Return quantiles of the beta distribution fitted to the graded answers, (n,).

    Parameters
    ----------
    prompts : int
        n.

    Returns
    -------
    ndarray, shape (n,)
        Success rates, rising, each of weight 1/n.
    """
    from scipy.stats import beta

    from experiments._gsm8k_models import fit_beta_binomial

    answers = gsm8k_profile.read_answers().to_numpy()
    counts = np.bincount(answers.sum(axis=1), minlength=answers.shape[1] + 1)
    return beta.ppf((np.arange(prompts) + 0.5) / prompts, *fit_beta_binomial(counts))


def step_of(name: str, profile: NDArray[np.float64]) -> float:
    """Return the constant step of a way to train, D = 1.

    Parameters
    ----------
    name : str
        A key of :data:`ARMS`.
    profile : ndarray, shape (n,)
        Success rates at the start.

    Returns
    -------
    float
        α.
    """
    if name.endswith("matched step"):
        return float(learning_curve(profile, [0.0], method="grpo", step_rule="matched").step_size[0])
    return certified_constant_step(LogLinearBandit.two_arm(profile), method_of(name))


def method_of(name: str) -> str:
    """Return the method of a way to train."""
    return name.split(",")[0].lower()


def _compare(
    name: str, profile: NDArray[np.float64], steps: int, seeds: NDArray[np.intp] | None
) -> list[DataFrame]:
    import pandas as pd

    α, method, sampled = step_of(name, profile), method_of(name), seeds is not None
    weights = {"reinforce": plain_group_weight(GROUP_SIZE), "grpo": group_weight(GROUP_SIZE)}
    law: Any = weights[method] if sampled else method
    trace = ascend(
        LogLinearBandit.two_arm(profile),
        method,
        step=α,
        num_steps=steps,
        group_size=GROUP_SIZE if sampled else None,
        seeds=0 if seeds is None else seeds,
        record=("expected_reward",),
        progress=False,
    )
    success = trace["expected_reward"]
    shown = np.unique(np.concatenate([[0], np.round(np.geomspace(1, steps, 60)).astype(int)]))
    curve = learning_curve(profile, shown, method=law, step_rule=α)
    targets = np.array([target for target in TARGETS if success[:, -1].min() >= target])
    times = np.array([crossing_time(success, target) for target in targets]).T.reshape(len(success), -1)
    tables = []
    for view, x, predicted, measured in (
        ("curve", shown, curve.mean_success, success[:, shown]),
        ("time", targets, time_to_target(profile, targets, method=law, step_rule=α), times),
    ):
        mean, half = measured.mean(axis=0), _half_width(measured)
        tables.append(
            pd.DataFrame({
                "view": view,
                "gradients": "sampled" if sampled else "exact",
                "series": name,
                "x": x,
                "predicted": predicted,
                "measured": mean,
                "low": mean - half,
                "high": mean + half,
            })
        )
    return tables


def _half_width(runs: NDArray[np.float64]) -> Any:
    """Half of the width of Student's interval of the mean over runs; 0 where there is one run."""
    from scipy.stats import t

    if len(runs) == 1:
        return 0.0
    return t.ppf((1 + CONFIDENCE) / 2, len(runs) - 1) * runs.std(axis=0, ddof=1) / np.sqrt(len(runs))


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the three panels: predictions as lines, runs as markers.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of three Axes, optional
        A new figure when left out.

    Returns
    -------
    array of three Axes
        Exact gradients, sampled ones, times to target.
    """
    axes = plotting.figure("abc", size=(11.2, 4.6))[1] if ax is None else ax
    curves = df[(df["view"] == "curve") & (df["x"] > 0)]
    titles = ("a   exact gradients", f"b   groups of {GROUP_SIZE} responses")
    for panel, gradients, title in zip(axes, ("exact", "sampled"), titles, strict=False):
        rows = curves[curves["gradients"] == gradients]
        failure = rows.assign(
            predicted=1 - rows["predicted"],
            measured=1 - rows["measured"],
            low=np.maximum(1 - rows["high"], LOWEST / 10),
            high=1 - rows["low"],
        )
        plotting.plot_lines(failure, panel, x="x", y="predicted", roles=ARMS)
        thinned = failure[failure.groupby("series").cumcount() % 2 == 0]
        plotting.plot_points(
            thinned.assign(series="runs: " + thinned["series"]),
            panel,
            x="x",
            y="measured",
            roles={f"runs: {name}": role for name, role in ARMS.items()},
            interval=("low", "high") if gradients == "sampled" else None,
        )
        panel.set(xscale="log", yscale="log", ylim=(LOWEST, 0.7), title=title)
        panel.set(xlabel="updates", ylabel="mean failure rate 1 − J")
        plotting.legend_below(panel, columns=1)
    _plot_times(df[df["view"] == "time"], axes[2])
    plotting.legend_below(axes[2], columns=1)
    return axes


def _plot_times(times: DataFrame, ax: Any) -> None:
    ends = [0.6 * times["predicted"].min(), 1.6 * times["predicted"].max()]
    ax.plot(ends, ends, color="#6E6E6E", linewidth=0.9, linestyle=(0, (2, 2)), label="equal", zorder=1)
    for gradients in ("exact", "sampled"):
        for name, role in ARMS.items():
            rows = times[(times["series"] == name) & (times["gradients"] == gradients)]
            look = plotting.ROLES[role]
            ax.errorbar(
                rows["predicted"],
                rows["measured"],
                yerr=[rows["measured"] - rows["low"], rows["high"] - rows["measured"]],
                linestyle="none",
                marker=look.marker,
                color=look.colour,
                markerfacecolor="white" if gradients == "exact" else look.colour,
                markersize=6.5 if gradients == "exact" else 4.5,
                elinewidth=1.1,
                zorder=3 if gradients == "exact" else 4,
                label=f"{gradients}: {name}",
            )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="updates to target, predicted",
        ylabel="updates to target, measured",
        title="c   time to target",
    )


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the largest error of each learning curve, and times to .9 predicted and measured."""
    numbers: dict[str, Any] = {
        "mean success at the start": float(
            df.loc[(df["view"] == "curve") & (df["x"] == 0), "measured"].mean()
        )
    }
    for gradients in ("exact", "sampled"):
        for name in ARMS:
            rows = df[(df["gradients"] == gradients) & (df["series"] == name)]
            curve, times = rows[rows["view"] == "curve"], rows[rows["view"] == "time"]
            error = (curve["measured"] - curve["predicted"]).abs().max()
            numbers[f"{gradients}, {name}: largest error of the curve"] = float(error)
            for row in times[times["x"].isin([0.7, 0.9])].itertuples():
                stem = f"{gradients}, {name}: updates to {row.x:g}"
                numbers[f"{stem}, predicted"] = float(row.predicted)
                interval = [round(float(v), 3) for v in (row.measured, row.low, row.high)]
                numbers[f"{stem}, measured"] = interval if gradients == "sampled" else float(row.measured)
    times = df[df["view"] == "time"]
    for gradients, rows in times.groupby("gradients"):
        ratio = rows["measured"] / rows["predicted"]
        numbers[f"{gradients}, measured over predicted times: geometric mean, least, largest"] = [
            round(float(value), 4) for value in (np.exp(np.log(ratio).mean()), ratio.min(), ratio.max())
        ]
    return numbers


EXPERIMENT = Experiment(
    stem="predicted_vs_measured",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "prompts": Dial(64, 16, "quantiles of the profile"),
        "seeds": Dial(40, 8, "sampled runs"),
        "steps": Dial(400, 100, "updates"),
    },
    inputs=(
        gsm8k_profile.DATA,
        *(Path(__file__).parent / f"{name}.py" for name in ("gsm8k_profile", "_gsm8k_models", "_two_arms")),
    ),
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
