"""Local curvature against reward std: random instances, the worst that search finds, and four bounds.

The curvature ‖∇²J‖ of a prompt is shown in units of D², D the diameter of its features. The paper's bounds are in
units of X², X the spectral norm of the feature matrix; since D ≤ √2·X, with equality for two responses at ±D/2,
X = D/√2 is the smallest spectral norm that a prompt of diameter D can have (once its features are centred), so
4X²V = 2D²V and X² = D²/2 are the smallest values that the paper's bounds of Lemma 3.1 can take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import LogLinearBandit, feature_diameter, hessian_extremes, moments, plotting, spectral_norm
from curvature.adversary import Inequality, worst_case
from curvature.bounds import paper, sharp
from curvature.geometry import center
from experiments._experiment import Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from pandas import DataFrame

# The smallest spectral norm of features of diameter 1.
LEAST_SPECTRAL_NORM = np.sqrt(0.5)
# (K, d) of the random instances: few responses come near the bounds, many are what a policy has.
SHAPES = ((2, 1), (3, 1), (3, 2), (4, 1), (4, 3), (8, 2), (16, 8), (32, 64))
# How near to the wanted σ the search for real rewards stays: narrower than a marker.
SEARCH_WIDTH = 0.004

CAPTION = (
    "Curvature of one prompt's expected reward against its reward std. Grey: random instances (2-32 responses, "
    "features in 1-64 dimensions, one or several correct responses, logits of all scales). Circles: the largest "
    "curvature that a search over features, logits and rewards finds at that std. a, b: rewards 0 and 1; C1 is reached "
    "everywhere, L2 where it touches C1, at p(1-p) = 1/8. The paper's bound is drawn at the smallest X that a diameter "
    "D allows, X = D/√2, so it is at least as loose for every instance; below σ = 1/8 it is nevertheless smaller than "
    "L2, because it falls like the variance. c: any real rewards, in units of their range; L2 is reached up to "
    "σ = 1/√8 of the range, beyond which the range limits the curvature: C1 is reached by rewards at both ends of it. "
    "No instance is above a line, but for C1 in c, which is a bound for two-valued rewards only."
)


def run(instances: int = 3600, searches: int = 14, seed: int = 0) -> DataFrame:
    """Measure reward std and curvature of random instances and of the worst that search finds.

    Parameters
    ----------
    instances : int
        Random instances with binary rewards; half as many with real rewards are added.
    searches : int
        Reward stds at which the worst instance is searched for, for either kind of rewards.
    seed : int
        Of all draws.

    Returns
    -------
    DataFrame
        One row an instance: rewards ("binary", "real"), source ("random", "search"), responses K, dimension d,
        rarer (q = min(p, 1−p); missing for real rewards), reward_std (σ over the range of the rewards), curvature
        (‖∇²J‖ over D² and the range), spectral_norm (X/D of the centred features).
    """
    import pandas as pd

    require_count("instances", instances)
    require_count("searches", searches)
    rng = np.random.default_rng(seed)
    parts = [*_random("binary", instances, rng), *_random("real", max(1, instances // 2), rng)]
    parts += [_worst_binary(p, seed) for p in _success_grid(searches)]
    parts += [_worst_real(std, seed) for std in np.linspace(0.02, 0.49, searches)]
    return pd.concat(parts, ignore_index=True)


def measure(bandit: LogLinearBandit, rewards: str, source: str) -> DataFrame:
    """Measure every prompt of a bandit at θ = 0; see :func:`run` for the columns."""
    import pandas as pd

    at = moments(bandit, np.zeros(bandit.dimension))
    norm = np.abs(hessian_extremes(bandit, np.zeros(bandit.dimension))).max(axis=-1)
    diameter = feature_diameter(bandit)
    extent = np.ptp(bandit.rewards, axis=1)
    return pd.DataFrame({
        "rewards": rewards,
        "source": source,
        "responses": bandit.num_responses,
        "dimension": bandit.dimension,
        "rarer": _rarer_probability(bandit, at.probabilities) if rewards == "binary" else np.nan,
        "reward_std": at.reward_std / extent,
        "curvature": norm / (diameter**2 * extent),
        "spectral_norm": spectral_norm(center(bandit)) / diameter,
    })


def _rarer_probability(bandit: LogLinearBandit, probabilities: Any) -> Any:
    """Return q = min(p, 1 − p), each side summed by itself: 1 − p has no digits left where p rounds to 1."""
    return np.minimum(
        (probabilities * bandit.rewards).sum(axis=-1), (probabilities * (1 - bandit.rewards)).sum(axis=-1)
    )


def _random(rewards: str, instances: int, rng: np.random.Generator) -> list[DataFrame]:
    kinds = ("one_correct", "binary") if rewards == "binary" else ("gaussian",)
    settings = [(shape, kind) for shape in SHAPES for kind in kinds]
    counts = [len(part) for part in np.array_split(np.arange(instances), len(settings))]
    frames = []
    for ((K, d), kind), count in zip(settings, counts, strict=True):
        if count:
            drawn = LogLinearBandit.gaussian(count, K, d, rewards=kind, seed=int(rng.integers(2**31)))
            # One scale a prompt, from a policy close to uniform to one response with nearly all the mass.
            scale = 10.0 ** rng.uniform(-1, 1, size=(count, 1))
            logits = scale * rng.standard_normal((count, K))
            frames.append(measure(LogLinearBandit(drawn.features, drawn.rewards, logits), rewards, "random"))
    return frames


def _success_grid(searches: int) -> Any:
    """Rare successes by decades, then evenly up to certainty less a rare failure."""
    rare = max(1, searches // 3)
    return np.concatenate([np.geomspace(1e-6, 3e-3, rare), np.linspace(0.01, 0.97, max(1, searches - rare))])


def _worst_binary(success: float, seed: int) -> DataFrame:
    def sides(bandit: LogLinearBandit, theta: Any, displacement: Any) -> tuple[Any, Any]:
        norm = np.abs(hessian_extremes(bandit, theta)).max(axis=-1)
        return norm, feature_diameter(bandit) ** 2

    found = worst_case(
        Inequality(f"curvature at success {success:g}", sides),
        num_responses=3,
        dimension=1,
        rewards="binary",
        success=float(success),
        starts=200,
        restarts=3,
        seed=seed,
    )
    return measure(found.bandit, "binary", "search")


def _worst_real(reward_std: float, seed: int) -> DataFrame:
    def sides(bandit: LogLinearBandit, theta: Any, displacement: Any) -> tuple[Any, Any]:
        extent = np.maximum(np.ptp(bandit.rewards, axis=1), np.finfo(float).tiny)
        std = moments(bandit, theta).reward_std / extent
        norm = np.abs(hessian_extremes(bandit, theta)).max(axis=-1) / extent
        # Away from the wanted σ an instance counts for less, so that the search stays there.
        return norm * np.exp(-(((std - reward_std) / SEARCH_WIDTH) ** 2)), feature_diameter(bandit) ** 2

    found = worst_case(
        Inequality(f"curvature at reward std {reward_std:g}", sides),
        num_responses=4,
        dimension=1,
        rewards="real",
        starts=600,
        restarts=4,
        seed=seed,
    )
    return measure(found.bandit, "real", "search")


def bounds(reward_std: Any) -> DataFrame:
    """Tabulate the bounds, in units of D² and the range of the rewards, at the given σ ≤ 1/2.

    Returns
    -------
    DataFrame
        Columns reward_std, curvature, series.
    """
    import pandas as pd

    std = np.asarray(reward_std)
    # The smaller of the two success probabilities with this std; σ²/(1/2 + …) keeps its digits as σ → 0.
    success = std**2 / (0.5 + np.sqrt(np.maximum(0.25 - std**2, 0.0)))
    lines = {
        "paper, Lemma 3.1: 4X²V at X = D/√2": paper.hessian_norm(success, LEAST_SPECTRAL_NORM),
        "paper, Lemma 3.1: X² at X = D/√2": paper.hessian_norm_global(LEAST_SPECTRAL_NORM) + 0 * std,
        "ours, L2: D²σ/4": sharp.hessian_norm(std, 1.0),
        "ours, C1: D²ℓ(q), sharp": sharp.hessian_norm_binary(success, 1.0),
        "ours: D²·range/(6√3)": sharp.hessian_norm_global(1.0) + 0 * std,
    }
    return pd.concat(
        [pd.DataFrame({"reward_std": std, "curvature": y, "series": name}) for name, y in lines.items()],
        ignore_index=True,
    )


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
        Binary rewards, the same in logarithms, real rewards.
    """
    axes = plotting.figure("abc", size=(10.6, 4.1))[1] if ax is None else ax
    measured = df.assign(series=df["source"].map({"random": "random instance", "search": "worst found"}))
    clouds = {"random instance": "random", "worst found": "adversary"}
    lines = {
        "paper, Lemma 3.1: 4X²V at X = D/√2": "paper",
        "ours, L2: D²σ/4": "sharp",
        "ours, C1: D²ℓ(q), sharp": "binary",
    }
    for panel, grid in ((axes[0], np.linspace(0, 0.5, 401)), (axes[1], np.geomspace(1e-4, 0.5, 401))):
        plotting.plot_points(
            measured[measured["rewards"] == "binary"], panel, x="reward_std", y="curvature", roles=clouds
        )
        plotting.plot_lines(bounds(grid), panel, x="reward_std", y="curvature", roles=lines)
        panel.set_xlabel("reward std σ")
        panel.set_ylabel("curvature ‖∇²J‖ / D²")
    axes[0].set(xlim=(0, 0.515), ylim=(0, 0.15), title="a   rewards 0 and 1")
    axes[1].set(
        xscale="log", yscale="log", xlim=(1e-4, 0.6), ylim=(1e-9, 1), title="b   the same, logarithmic"
    )
    plotting.plot_points(
        measured[measured["rewards"] == "real"], axes[2], x="reward_std", y="curvature", roles=clouds
    )
    lines = {
        "ours, L2: D²σ/4": "sharp",
        "ours: D²·range/(6√3)": "other",
        "ours, C1: D²ℓ(q), sharp": "binary",
    }
    plotting.plot_lines(bounds(np.linspace(0, 0.5, 401)), axes[2], x="reward_std", y="curvature", roles=lines)
    axes[2].set(xlim=(0, 0.515), ylim=(0, 0.15), title="c   any real rewards")
    axes[2].set_xlabel("reward std σ / range of the rewards")
    axes[2].set_ylabel("curvature ‖∇²J‖ / (D²·range)")
    for panel in axes:
        plotting.legend_below(panel, columns=1)
    return axes


def headline(df: DataFrame) -> dict[str, float]:
    """Return how close the instances come to the bounds: the largest ratios."""
    binary, real = (df[df["rewards"] == kind] for kind in ("binary", "real"))
    return {
        "instances": len(df),
        "largest ratio to paper's 4X²V": float(
            (binary["curvature"] / paper.hessian_norm(binary["rarer"], binary["spectral_norm"])).max()
        ),
        "largest ratio to L2, binary rewards": float(
            (binary["curvature"] / sharp.hessian_norm(binary["reward_std"], 1.0)).max()
        ),
        "largest ratio to L2, real rewards": float(
            (real["curvature"] / sharp.hessian_norm(real["reward_std"], 1.0)).max()
        ),
        "largest ratio to C1": float(
            (binary["curvature"] / sharp.hessian_norm_binary(binary["rarer"], 1.0)).max()
        ),
    }


EXPERIMENT = Experiment(
    stem="curvature_vs_std",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "instances": Dial(3600, 400, "random instances with binary rewards"),
        "searches": Dial(14, 4, "worst-case searches for each kind of rewards"),
    },
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
