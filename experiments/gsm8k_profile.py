"""Real questions through this lens: success rates, reward std and curvature bounds of 1,319 GSM8K questions.

Input: the graded answers of four systems to every question of GSM8K's test split (``experiments/data``). Each
question's success rate is that of the pool of four. What this cannot show: σ of a policy in training (the answers
are one each of four different systems, two of which choose among many solutions; a policy is sampled at a
temperature), anything over iterations (the paper's criterion averages over them), orthogonality, or the curvature
itself, which needs features: what is shown is the bound that a success rate implies, and the exact curvature of
the smallest bandit with that success rate.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import plotting
from curvature.bounds import sharp
from experiments._experiment import Dial, Experiment, main_of, require_count
from experiments._gsm8k_questions import BOUNDS, CONFIDENCE, question_table

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

DATA = Path(__file__).resolve().parent / "data" / "gsm8k_graded_answers.csv"
RATES = np.linspace(0, 1, 51)
# GRPO's certified rate beats REINFORCE's, in bounds, iff the mean σ is below …
THRESHOLDS = {
    "ours, binary smoothness": 4 * (2 * np.log(2) - 1) * 2 * float(sharp.hessian_norm_global(1.0)),
    "paper": 3 / 8,
    "ours, L2 for both": 1 / 2,
}

CAPTION = (
    "1,319 real GSM8K questions, each answered once by four systems and graded. a: questions by number of right "
    "answers (95% Wilson intervals) and two fitted models. b: distribution of the questions' success rates (95% "
    "bootstrap bands over questions). c: bounds on curvature that the answers to one question imply, and the exact "
    "curvature of two responses: posterior mean and 95% interval under the beta-binomial. d: mean reward std over "
    "questions (95% bootstrap intervals) against the values below which a bound favours dividing by the std: with the "
    "sharpest smoothness for rewards 0 and 1 on REINFORCE's side, in the paper, and (always) with L2 on both "
    "sides. 'Any success rates': the range (thick) that no model of the success rates can leave, with its interval. "
    "These data cannot show a policy in training, change over iterations, orthogonality, or features."
)


def read_answers(path: Path = DATA) -> DataFrame:
    """Read the flags: index question, one column of 0 and 1 a system.

    Parameters
    ----------
    path : Path
        The CSV file.

    Returns
    -------
    DataFrame
        One row a question.
    """
    import pandas as pd

    answers = pd.read_csv(path, index_col="question")
    if not answers.isin([0, 1]).to_numpy().all():
        raise ValueError(f"{path} holds a value other than 0 and 1; every answer is right or wrong.")
    return answers


def run(questions: int = 1319, resamples: int = 1999, seed: int = 0) -> DataFrame:
    """Estimate the profile of success rates, σ and curvature bounds, with intervals.

    Parameters
    ----------
    questions : int
        How many of the questions to use, from the first.
    resamples : int
        Of the bootstrap over questions.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        Rows by ``view``. "question": question, right (of four), success (their share) with Jeffreys interval, and
        reward_std and the four bounds of :data:`BOUNDS`, in units of D², as posterior mean with interval. "count":
        number right (x), questions (value, low, high) by name. "profile": share of questions (value, low, high)
        whose success rate is at most x, by name. "mean_std": mean σ (value, low, high) by name. Missing elsewhere.
    """
    import pandas as pd

    require_count("questions", questions, least=2)
    require_count("resamples", resamples, least=2)
    answers = read_answers()
    if questions > len(answers):
        raise ValueError(f"questions is {questions}; there are {len(answers)}.")
    flags = answers.iloc[:questions].to_numpy()
    codes = flags @ (1 << np.arange(flags.shape[1]))
    estimates, low, high = _bootstrap(codes, flags.shape[1], resamples, seed)
    frames = [
        question_table(answers.index[:questions], flags.sum(axis=1), flags.shape[1], estimates["beta"]),
        _count_table(flags.sum(axis=1), flags.shape[1], estimates),
        *_interval_tables(estimates, low, high),
    ]
    return pd.concat(frames, ignore_index=True)


def estimate(
    codes: NDArray[np.integer], systems: int, start: Any, scores: NDArray[np.float64]
) -> dict[str, Any]:
    """Compute every estimate from the questions' patterns of answers.

    Parameters
    ----------
    codes : ndarray, shape (n,)
        Pattern of each question, system m as bit m.
    systems : int
        G.
    start : ItemResponse or None
        Where the item-response fit begins.
    scores : ndarray, shape (2, G + 1)
        See ``reward_std_scores``.

    Returns
    -------
    dict
        "mean_std": the estimates of :data:`ESTIMATES` in order; "profile": the two distribution functions at
        :data:`RATES`; "beta", "item", "counts": the fits and the counts.
    """
    from scipy.special import betainc, ndtr

    from experiments import _gsm8k_models as models

    right = _right_of_codes(systems)
    counts = np.bincount(right[codes], minlength=systems + 1)
    share = np.arange(systems + 1) / systems
    variance = share * (1 - share)
    beta = models.fit_beta_binomial(counts)
    item = models.fit_item_response(np.bincount(codes, minlength=2**systems), start)
    by_item = item.mean_reward_std()
    mean = counts / counts.sum()
    # The pool's rate rises with z: the z of each rate gives the distribution function.
    z = np.linspace(-8, 8, 801)
    ease = np.interp(RATES, item.success(z).mean(axis=1), z)
    return {
        "mean_std": np.array([
            mean @ np.sqrt(variance),
            mean @ np.sqrt(variance * systems / (systems - 1)),
            *(scores @ mean),
            models.mean_reward_std_of_beta(*beta),
            by_item[-1],
            *by_item[:-1],
        ]),
        "profile": np.array([betainc(*beta, RATES), ndtr(ease)]),
        "beta": beta,
        "item": item,
        "counts": counts,
    }


ESTIMATES = (
    "plug-in (biased low)",
    "from unbiased variance (biased low)",
    "least, any success rates",
    "largest, any success rates",
    "beta-binomial, pool",
    "item response, pool",
)


def estimate_names() -> tuple[str, ...]:
    """Return the names of the estimates of the mean σ, the systems' last."""
    systems = [column.replace("_", " ") for column in read_answers().columns]
    return (*ESTIMATES, *(f"item response, {name}" for name in systems))


def _bootstrap(codes: NDArray[np.integer], systems: int, resamples: int, seed: int) -> tuple[Any, Any, Any]:
    """Return the estimates and the ends of their intervals, as arrays in one row."""
    from scipy.stats import bootstrap

    from experiments import _gsm8k_models as models

    counts = np.bincount(_right_of_codes(systems)[codes], minlength=systems + 1)
    scores = models.reward_std_scores(counts)
    whole = estimate(codes, systems, None, scores)

    def statistic(sample: NDArray[np.integer]) -> NDArray[np.float64]:
        drawn = estimate(sample, systems, whole["item"], scores)
        return np.concatenate([drawn["mean_std"], drawn["profile"].ravel()])

    found = bootstrap(
        (codes,),
        statistic,
        n_resamples=resamples,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(seed),
    )
    return whole, found.confidence_interval.low, found.confidence_interval.high


def _right_of_codes(systems: int) -> NDArray[np.integer]:
    """Return the number of right answers in each pattern, (2^G,)."""
    return ((np.arange(2**systems)[:, None] >> np.arange(systems)) & 1).sum(axis=1)


def _count_table(right: NDArray[np.integer], systems: int, estimates: Any) -> DataFrame:
    import pandas as pd
    from scipy.stats import betabinom, binomtest

    k, size = np.arange(systems + 1), len(right)
    observed = np.bincount(right, minlength=systems + 1)
    wilson = [binomtest(int(c), size).proportion_ci(CONFIDENCE, method="wilson") for c in observed]
    patterns = estimates["item"].pattern_probabilities()
    item = np.bincount(_right_of_codes(systems), weights=patterns, minlength=systems + 1)
    columns = {"view": "count", "x": k}
    return pd.concat([
        pd.DataFrame(
            columns
            | {
                "name": "questions",
                "value": observed,
                "low": [size * interval.low for interval in wilson],
                "high": [size * interval.high for interval in wilson],
            }
        ),
        pd.DataFrame(
            columns | {"name": "beta-binomial", "value": size * betabinom.pmf(k, systems, *estimates["beta"])}
        ),
        pd.DataFrame(columns | {"name": "item response", "value": size * item}),
    ])


def _interval_tables(estimates: Any, low: Any, high: Any) -> list[DataFrame]:
    import pandas as pd

    names = estimate_names()
    cut = len(names)
    tables = [
        pd.DataFrame({
            "view": "mean_std",
            "name": names,
            "value": estimates["mean_std"],
            "low": low[:cut],
            "high": high[:cut],
        })
    ]
    for index, name in enumerate(("beta-binomial", "item response, pool")):
        part = slice(cut + index * len(RATES), cut + (index + 1) * len(RATES))
        tables.append(
            pd.DataFrame({
                "view": "profile",
                "name": name,
                "x": RATES,
                "value": estimates["profile"][index],
                "low": low[part],
                "high": high[part],
            })
        )
    return tables


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the four panels.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of four Axes, optional
        A new figure when left out.

    Returns
    -------
    array of four Axes
        Right answers, success rates, curvature bounds, mean σ.
    """
    axes = plotting.figure("abc;ddd", size=(9.6, 7.6))[1] if ax is None else ax
    models = {"beta-binomial": "sharp", "item response": "paper"}
    counts = df[df["view"] == "count"]
    observed = counts[counts["name"] == "questions"]
    axes[0].bar(
        observed["x"], observed["value"], width=0.7, color="#C4C4C4", label="questions, with 95% interval"
    )
    axes[0].grid(visible=False, axis="x")
    reach = [observed["value"] - observed["low"], observed["high"] - observed["value"]]
    axes[0].errorbar(
        observed["x"], observed["value"], yerr=reach, fmt="none", color="#4D4D4D", capsize=3, zorder=3
    )
    for shift, (name, role) in zip((-0.16, 0.16), models.items(), strict=True):
        fitted = counts[counts["name"] == name]
        plotting.plot_points(
            fitted.assign(x=fitted["x"] + shift), axes[0], x="x", y="value", series="name", roles={name: role}
        )
    axes[0].set(xlabel="right answers of four", ylabel="questions", title="a   graded answers")
    plotting.plot_lines(
        df[df["view"] == "profile"],
        axes[1],
        x="x",
        y="value",
        series="name",
        roles={"beta-binomial": "sharp", "item response, pool": "paper"},
        band=("low", "high"),
    )
    axes[1].set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="success rate p",
        ylabel="share of questions at or below p",
        title="b   success rates",
    )
    _plot_curvature(df[df["view"] == "question"], axes[2])
    _plot_mean_std(df[df["view"] == "mean_std"], axes[3])
    for panel, columns in zip(axes, (1, 1, 1, 3), strict=True):
        plotting.legend_below(panel, columns=columns)
    return axes


def _plot_curvature(questions: DataFrame, ax: Any) -> Any:
    """Draw the bounds of one question with each number of right answers, side by side."""
    import pandas as pd

    one_each = questions.drop_duplicates("right").sort_values("right")
    tables = []
    for shift, (column, label) in zip((-0.24, -0.08, 0.08, 0.24), BOUNDS.items(), strict=True):
        table = one_each[["right", column, f"{column}_low", f"{column}_high"]].astype(float)
        table.columns = ["right", "value", "low", "high"]
        tables.append(table.assign(right=table["right"] + shift, series=label))
    roles = dict(zip(BOUNDS.values(), ("paper", "sharp", "binary", "exact"), strict=True))
    plotting.plot_points(pd.concat(tables), ax, x="right", y="value", roles=roles, interval=("low", "high"))
    ax.set_xticks(one_each["right"].astype(int))
    ax.set(ylim=(0, None), xlabel="right answers of four", title="c   curvature of one question")
    ax.set_ylabel("curvature / D²")
    return ax


def _plot_mean_std(estimates: DataFrame, ax: Any) -> Any:
    """Draw the estimates of the mean σ against the thresholds; both model-free ends share a row."""
    import pandas as pd

    by_name = estimates.set_index("name")
    least, largest = (by_name.loc[name] for name in ESTIMATES[2:4])
    free = pd.DataFrame([{"name": "any success rates", "low": least["low"], "high": largest["high"]}])
    others = estimates[~estimates["name"].isin(ESTIMATES[2:4])]
    rows = pd.concat([others.iloc[:2], free, others.iloc[2:]])
    plotting.plot_intervals(rows, ax, name="name", value="value", low="low", high="high", names_at=0.405)
    ax.hlines(2, least["value"], largest["value"], color=plotting.ROLES["sharp"].colour, linewidth=6)
    for (name, value), role in zip(THRESHOLDS.items(), ("binary", "paper", "other"), strict=True):
        look = plotting.ROLES[role]
        ax.axvline(
            value,
            color=look.colour,
            linestyle=look.line,
            linewidth=1.3,
            zorder=1,
            label=f"{value:.3f}: {name}",
        )
    ax.set(xlabel="mean reward std over questions", title="d   mean σ against thresholds")
    return ax


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the mean σ by every estimate with its interval, and where the pool's is by each threshold."""
    numbers: dict[str, Any] = {
        "questions": int((df["view"] == "question").sum()),
        "mean success rate": float(df.loc[df["view"] == "question", "success"].mean()),
    }
    for row in df[df["view"] == "mean_std"].itertuples():
        numbers[f"mean σ, {row.name}"] = [round(float(x), 4) for x in (row.value, row.low, row.high)]
    by_name = df[df["view"] == "mean_std"].set_index("name")
    low, high = by_name.loc[ESTIMATES[2], "low"], by_name.loc[ESTIMATES[3], "high"]
    for name, value in THRESHOLDS.items():
        side = "below" if high < value else "above" if low > value else "undecided"
        numbers[f"mean σ of the pool, any success rates, against {value:.4f} ({name})"] = side
    return numbers


EXPERIMENT = Experiment(
    stem="gsm8k_profile",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "questions": Dial(1319, 300, "questions used, from the first"),
        "resamples": Dial(1999, 99, "bootstrap resamples"),
    },
    inputs=(DATA, *(DATA.parents[1] / f"_gsm8k_{part}.py" for part in ("models", "questions"))),
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
