"""How far "local" reaches: curvature in a ball around θ and the error of the linear model, in units of σ(θ).

Left: the paper's Lemma 3.3 bounds ‖∇²J(θ')‖ by (5/2)X²σ(θ) for ‖θ'−θ‖ ≤ σ(θ)/X. Ours (L2 with L3) holds at any
distance. For rewards 0 and 1 a sharper one follows from C1, because the log-odds of success have a gradient of norm
at most D: within distance δ they move by at most Dδ, so ‖∇²J(θ')‖ ≤ D² max ℓ(q') over log-odds within Dδ.
Right: the error of J(θ+Δ) ≈ J(θ) + ⟨∇J(θ), Δ⟩ in units of our bound L4, σ(θ)ψ(s) with s = D‖Δ‖/2.
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
    from numpy.typing import NDArray
    from pandas import DataFrame

LEAST_SPECTRAL_NORM = np.sqrt(0.5)  # of features of diameter 1, see curvature_vs_std
RADII = (0.0, 4.0)
STEPS = (0.02, 4.0)
# c₀ = ln 2 is the s of GRPO's certified step (theory T1) at ‖∇J‖ = (D/2)σ, the largest gradient that L1 allows.
CERTIFIED_STEP = np.log(2)
SHAPES = ((2, 1), (3, 1), (3, 2), (4, 3), (8, 4))
# K and d of the searches: a second point adds a second direction, see curvature.adversary.
SEARCHED = ((2, 1), (3, 2))

CAPTION = (
    "How far a reward std speaks for its surroundings. a: curvature at distance rσ/X from θ, in units of X²σ(θ); "
    "the paper's 5/2 is claimed up to r = 1, ours (L2 with L3, drawn for σ = 1/2, where it is largest) at any r. "
    "The dotted line is the largest value that C1 allows when the log-odds of success move by D times the distance; "
    "search reaches it, so its value at r = 1 is the best constant for the paper's ball if rewards are 0 and 1. "
    "b: error of the linear model of J, in units of the bound L4, against the size of the step; Lemma 3.3 bounds it "
    "only up to s = σ/√2 and is drawn, as is the global X², at X = D/√2, the smallest possible, and at σ = 1/2, "
    "where it is smallest in these units. Grey: random instances and directions. Circles: the worst that search finds."
)


def run(instances: int = 2500, searches: int = 9, seed: int = 0) -> DataFrame:
    """Measure curvature at a distance and the error of the linear model, on random and on worst instances.

    Parameters
    ----------
    instances : int
        Random instances for each panel.
    searches : int
        Distances, and step sizes, at which the worst instance is searched for.
    seed : int
        Of all draws.

    Returns
    -------
    DataFrame
        One row an instance: quantity ("curvature" or "remainder"), source ("random" or "search"), reward_std σ(θ),
        distance (r = ‖θ'−θ‖X/σ(θ), or s = D‖Δ‖/2) and ratio (‖∇²J(θ')‖/(X²σ(θ)), or the error over σ(θ)ψ(s)).
    """
    import pandas as pd

    require_count("instances", instances)
    require_count("searches", searches)
    rng = np.random.default_rng(seed)
    parts = [frame for name in ("curvature", "remainder") for frame in _random(name, instances, rng)]
    parts += [_worst("curvature", float(radius), seed) for radius in np.linspace(*RADII, searches)]
    parts += [_worst("remainder", float(step), seed) for step in np.linspace(0.1, STEPS[1], searches)]
    return pd.concat(parts, ignore_index=True)


def curvature_at_distance(
    bandit: LogLinearBandit, displacement: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ‖∇²J_x(Δ_x)‖ and X_x²σ_x(0), each (n,), for one displacement Δ_x a prompt, (n, d)."""
    start = np.zeros(bandit.dimension)
    norm = np.abs(hessian_extremes(_moved(bandit, displacement), start)).max(axis=-1)
    return norm, spectral_norm(center(bandit)) ** 2 * moments(bandit, start).reward_std


def remainder_of_step(
    bandit: LogLinearBandit, displacement: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return |J_x(Δ_x) − J_x(0) − ⟨∇J_x(0), Δ_x⟩| and σ_x(0)ψ(s_x), each (n,), for one Δ_x a prompt, (n, d)."""
    start = np.zeros(bandit.dimension)
    likeliest = bandit.rewards[np.arange(bandit.num_prompts), bandit.base_logits.argmax(axis=1)]
    # A constant added to a prompt's rewards changes none of these, and J then does not round at 1.
    bandit = LogLinearBandit(bandit.features, bandit.rewards - likeliest[:, None], bandit.base_logits)
    at = moments(bandit, start)
    gain = moments(_moved(bandit, displacement), start).expected_reward - at.expected_reward
    error = np.abs(gain - (at.gradient * displacement).sum(axis=-1))
    bound = sharp.ascent_remainder(
        at.reward_std, feature_diameter(bandit), np.linalg.norm(displacement, axis=-1)
    )
    return error, bound


def _moved(bandit: LogLinearBandit, displacement: NDArray[np.float64]) -> LogLinearBandit:
    """Return the bandit whose policy at θ = 0 is that of each prompt at its own Δ."""
    shift = np.einsum("nkd,nd->nk", bandit.features, displacement)
    return LogLinearBandit(bandit.features, bandit.rewards, bandit.base_logits + shift)


def _unit_of_distance(quantity: str, bandit: LogLinearBandit) -> NDArray[np.float64]:
    """σ/X of the curvature's ball, or 2/D of a step, (n,)."""
    if quantity == "remainder":
        return 2 / feature_diameter(bandit)
    return moments(bandit, np.zeros(bandit.dimension)).reward_std / spectral_norm(center(bandit))


_SIDES = {"curvature": curvature_at_distance, "remainder": remainder_of_step}


def _table(
    quantity: str, source: str, bandit: LogLinearBandit, displacement: NDArray[np.float64]
) -> DataFrame:
    import pandas as pd

    measured, unit = _SIDES[quantity](bandit, displacement)
    distance = np.linalg.norm(displacement, axis=-1) / _unit_of_distance(quantity, bandit)
    return pd.DataFrame({
        "quantity": quantity,
        "source": source,
        "reward_std": moments(bandit, np.zeros(bandit.dimension)).reward_std,
        "distance": distance,
        "ratio": measured / unit,
    })


def _random(quantity: str, instances: int, rng: np.random.Generator) -> list[DataFrame]:
    frames = []
    for (K, d), part in zip(SHAPES, np.array_split(np.arange(instances), len(SHAPES)), strict=True):
        count = len(part)
        if not count:
            continue
        kind = "one_correct" if quantity == "curvature" or rng.random() < 0.5 else "gaussian"
        drawn = LogLinearBandit.gaussian(count, K, d, rewards=kind, seed=int(rng.integers(2**31)))
        logits = 10.0 ** rng.uniform(-1, 0.7, size=(count, 1)) * rng.standard_normal((count, K))
        bandit = LogLinearBandit(drawn.features, drawn.rewards, logits)
        direction = rng.standard_normal((count, d))
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        # Half of them along the gradient, as an update goes.
        gradient = moments(bandit, np.zeros(d)).gradient
        direction[::2] = gradient[::2] / np.linalg.norm(gradient[::2], axis=-1, keepdims=True)
        distance = rng.uniform(*RADII, size=count) if quantity == "curvature" else rng.uniform(*STEPS, count)
        length = distance * _unit_of_distance(quantity, bandit)
        frames.append(_table(quantity, "random", bandit, direction * length[:, None]))
    return frames


def _worst(quantity: str, distance: float, seed: int) -> DataFrame:
    def sides(bandit: LogLinearBandit, theta: Any, displacement: Any) -> tuple[Any, Any]:
        return _SIDES[quantity](bandit, displacement)

    def reach(bandit: LogLinearBandit, theta: Any) -> tuple[Any, Any]:
        length = distance * _unit_of_distance(quantity, bandit)
        return length, length

    claim = Inequality(f"{quantity} at distance {distance:g}", sides, reach, scale="diameter")
    found = max(
        (
            worst_case(
                claim,
                num_responses=K,
                dimension=d,
                rewards="one_correct" if quantity == "curvature" else "real",
                starts=200,
                restarts=2,
                seed=seed,
            )
            for K, d in SEARCHED
        ),
        key=lambda case: case.ratio,
    )
    assert found.displacement is not None
    return _table(quantity, "search", found.bandit, found.displacement[None])


def sharpest_nearby(radius: Any) -> NDArray[np.float64]:
    """Compute max ‖∇²J(θ')‖/(X²σ(θ)) over ‖θ'−θ‖ ≤ rσ(θ)/X for rewards 0 and 1, from C1 and the log-odds.

    The largest of (D²/X²) ℓ(q')/σ over p and over log-odds of p' within D·rσ/X of those of p, at X = D/√2.

    Parameters
    ----------
    radius : array_like, shape (m,)
        r.

    Returns
    -------
    ndarray, shape (m,)
        To about ten digits, from a grid of p and a finer one around its best.
    """
    return np.array([_largest_nearby(float(r)) for r in np.atleast_1d(radius)])


def _largest_nearby(radius: float) -> float:
    from scipy.special import expit, logit

    ratio = 1 / LEAST_SPECTRAL_NORM  # D/X
    shift = np.linspace(-1, 1, 21)[:, None]
    best, low, high = 0.0, 1e-3, 0.5
    for _ in range(3):
        p = np.linspace(low, high, 200)
        std = np.sqrt(p * (1 - p))
        nearby = expit(logit(p) + shift * ratio * radius * std)
        values = (ratio**2 * sharp.hessian_norm_binary(nearby, 1.0) / std).max(axis=0)
        best = max(best, float(values.max()))
        around = np.clip(values.argmax() + np.array([-1, 1]), 0, p.size - 1)
        low, high = p[around]
    return best


def bounds(quantity: str) -> DataFrame:
    """Tabulate the bounds of one panel; columns distance, ratio, series."""
    import pandas as pd

    X = LEAST_SPECTRAL_NORM
    lines: dict[str, tuple[Any, Any]] = {}
    if quantity == "curvature":
        r, short = np.linspace(*RADII, 81), np.linspace(0, 1, 2)
        lines["paper, Lemma 3.3: 5/2, up to r = 1"] = (
            short,
            paper.hessian_norm_nearby(0.5, X) / (X**2 * 0.5) + 0 * short,
        )
        lines["ours, L2 and L3 (at σ = 1/2)"] = (
            r,
            sharp.hessian_norm_nearby(0.5, 1.0, r * 0.5 / X) / (X**2 * 0.5),
        )
        lines["ours, C1 and log-odds: sharp"] = (r, sharpest_nearby(r))
    else:
        s = np.linspace(*STEPS, 200)
        near = np.linspace(STEPS[0], 0.5 / np.sqrt(2), 50)
        lines["paper, Lemma 3.3, up to s = σ/√2"] = (
            near,
            paper.hessian_norm_nearby(0.5, X)
            * (2 * near) ** 2
            / 2
            / sharp.ascent_remainder(0.5, 1.0, 2 * near),
        )
        lines["paper, Lemma 3.1: X² everywhere (at σ = 1/2)"] = (
            s,
            paper.hessian_norm_global(X) * (2 * s) ** 2 / 2 / sharp.ascent_remainder(0.5, 1.0, 2 * s),
        )
        lines["ours, L4: σψ(s)"] = (s, np.ones_like(s))
    return pd.concat(
        [pd.DataFrame({"distance": x, "ratio": y, "series": name}) for name, (x, y) in lines.items()],
        ignore_index=True,
    )


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the two panels.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of two Axes, optional
        A new figure when left out.

    Returns
    -------
    array of two Axes
        Curvature at a distance, error of the linear model.
    """
    axes = plotting.figure("ab", size=(8.4, 4.3))[1] if ax is None else ax
    measured = df.assign(series=df["source"].map({"random": "random instance", "search": "worst found"}))
    roles = {
        "curvature": {
            "paper, Lemma 3.3: 5/2, up to r = 1": "paper",
            "ours, L2 and L3 (at σ = 1/2)": "sharp",
            "ours, C1 and log-odds: sharp": "exact",
        },
        "remainder": {
            "paper, Lemma 3.3, up to s = σ/√2": "paper",
            "paper, Lemma 3.1: X² everywhere (at σ = 1/2)": "other",
            "ours, L4: σψ(s)": "sharp",
        },
    }
    for panel, quantity in zip(axes, roles, strict=True):
        rows = measured[measured["quantity"] == quantity]
        clouds = {"random instance": "random", "worst found": "adversary"}
        plotting.plot_points(rows, panel, x="distance", y="ratio", roles=clouds)
        plotting.plot_lines(bounds(quantity), panel, x="distance", y="ratio", roles=roles[quantity])
        plotting.legend_below(panel, columns=1)
    axes[0].set(
        xlim=(0, RADII[1] + 0.1),
        ylim=(0, 2.7),
        xlabel="distance r = ‖θ'−θ‖·X/σ(θ)",
        ylabel="curvature ‖∇²J(θ')‖ / (X²σ(θ))",
        title="a   curvature in a ball",
    )
    axes[1].set(
        xlim=(0, STEPS[1] + 0.1),
        ylim=(1e-3, 8),
        yscale="log",
        xlabel="step s = D‖Δ‖/2",
        ylabel="error of the linear model / (σ(θ)ψ(s))",
        title="b   error of a step",
    )
    axes[1].axvline(CERTIFIED_STEP, color="#6E6E6E", linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    axes[1].annotate(
        "s = ln 2, the longest certified step of GRPO",
        (CERTIFIED_STEP, 5.2),
        xytext=(3, 0),
        textcoords="offset points",
        fontsize=7.5,
    )
    return axes


def headline(df: DataFrame) -> dict[str, float]:
    """Return the best constant for the paper's ball and how nearly the bounds are reached."""
    worst = df[df["source"] == "search"]
    curvature = worst[worst["quantity"] == "curvature"]
    remainder = worst[worst["quantity"] == "remainder"]
    return {
        "instances": len(df),
        "paper's constant at r = 1": 2.5,
        "ours at r = 1 (L2 and L3)": float(sharp.hessian_norm_nearby(0.5, 1.0, np.sqrt(0.5)) / (0.5 * 0.5)),
        "sharp at r = 1 for rewards 0 and 1": float(sharpest_nearby(1.0)[0]),
        "least ratio of worst found to sharp": float(
            (curvature["ratio"].to_numpy() / sharpest_nearby(curvature["distance"])).min()
        ),
        "largest remainder over L4": float(remainder["ratio"].max()),
    }


EXPERIMENT = Experiment(
    stem="std_ball",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "instances": Dial(2500, 300, "random instances for each panel"),
        "searches": Dial(9, 3, "worst-case searches for each panel"),
    },
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
