"""Counterfactual advantages from group summaries, against `group_advantages` on the rows."""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest

from curvature import PRESETS, Normalization, group_advantages
from curvature.groups import SuccessDistribution, effective_weight, gain_ratio
from curvature.rollouts import RolloutLog
from curvature.rollouts._difficulty import decile_table, difficulty_table
from curvature.rollouts._groups import Groups
from curvature.rollouts._schemes import kappa_functionals, scheme_table
from curvature.rollouts._weights import StepSpreads, Weights
from curvature.rollouts.findings import SCHEMES

CONVENTIONS = {
    "none": Normalization(spread="none"),
    "group": Normalization(),
    "batch": Normalization(spread="batch"),
    "variance": Normalization(exponent=2.0),
}


def _rows(kind, seed=0):
    """Steps of groups of unlike size, some silent; (step, group, reward)."""
    rng = np.random.default_rng(seed)
    step, group, reward = [], [], []
    for i in range(60):
        size = int(rng.integers(1, 9)) if kind != "one size" else 6
        success = rng.choice([0.0, 0.1, 0.5, 0.8, 1.0])
        values = (rng.random(size) < success).astype(float)
        if kind == "general":
            values = values * rng.choice([1.0, 2.5], size) + 0.1 * rng.integers(0, 3, size) * (success == 0.5)
        step += [i // 9] * size
        group += [i] * size
        reward += values.tolist()
    return np.array(step), np.array(group), np.array(reward)


def _shrunk(reward, group):
    centred = group_advantages(reward, group, "none")
    ids, index = np.unique(group, return_inverse=True)
    std = np.array([reward[group == i].std() for i in ids])
    return centred / (0.5 * std[index] + 0.5 * std.mean() + 1e-300)


def _advantages(scheme, step, group, reward):
    """Row by row, step by step, at the RMS of the group std."""

    def all_steps(one):
        result = np.empty(reward.size)
        for t in np.unique(step):
            here = step == t
            result[here] = one(reward[here], group[here])
        return result

    if scheme == "shrunk":
        raw = all_steps(_shrunk)
    else:
        raw = all_steps(lambda r, g: group_advantages(r, g, CONVENTIONS[scheme]))
    goal = all_steps(lambda r, g: group_advantages(r, g, Normalization()))
    return raw * np.sqrt((goal**2).mean() / (raw**2).mean())


@cache
def _case(kind):
    step, group, reward = _rows(kind)
    groups = Groups.of(RolloutLog.from_arrays(step, group, reward))
    return groups, Weights.of(groups.cells), (step, group, reward)


@pytest.mark.parametrize("kind", ["one size", "two values", "general"])
def test_group_summaries_give_the_advantages_of_the_rows(kind):
    groups, weights, rows = _case(kind)
    table = scheme_table(groups, weights, {}).set_index("scheme")
    assert list(table.index) == list(SCHEMES)
    for scheme in SCHEMES:
        wanted = _advantages(scheme, *rows)
        size = np.abs(wanted)
        assert table.rms[scheme] == pytest.approx(np.sqrt((wanted**2).mean()), rel=1e-12)
        assert table.largest[scheme] == pytest.approx(size.max(), rel=1e-12)
        p99 = np.quantile(size, 0.99, method="inverted_cdf")
        assert table.p99[scheme] == pytest.approx(p99, rel=1e-12)
        assert table.share_zero[scheme] == pytest.approx((wanted == 0).mean(), abs=1e-12)
    assert table.rms.nunique() == 1


@pytest.mark.parametrize("kind", ["one size", "two values", "general"])
def test_shares_of_the_update_are_those_of_the_rows(kind):
    groups, weights, rows = _case(kind)
    step, group, reward = rows
    table = difficulty_table(groups, weights)
    low, high = reward.min(), reward.max()
    mean = np.array([reward[(group == g) & (step == t)].mean() for t, g in zip(step, group, strict=True)])
    score = (mean - low) / (high - low)
    tenth = np.clip((score * 10 + 1e-9).astype(int), 0, 9)
    place = np.rint(score * 6).astype(int) if kind == "one size" else tenth
    assert table.groups.sum() == np.unique(group).size
    for scheme in SCHEMES:
        size = np.abs(_advantages(scheme, *rows))
        wanted = np.bincount(place, weights=size, minlength=len(table)) / size.sum()
        assert table[f"update_{scheme}"].to_numpy() == pytest.approx(wanted, abs=1e-12)


def test_spreads_of_a_step_are_those_of_its_rewards():
    groups, _, (step, group, reward) = _case("two values")
    spreads = StepSpreads.of(groups.cells)
    for t in range(step.max() + 1):
        rewards = reward[step == t]
        assert spreads.batch_std[t] == pytest.approx(rewards.std(), rel=1e-12)
        stds = [reward[group == g].std() for g in np.unique(group[step == t])]
        assert spreads.mean_std[t] == pytest.approx(np.mean(stds), rel=1e-12)


def test_deciles_share_ties_evenly_and_add_up():
    groups, weights, _ = _case("one size")
    table = decile_table(groups, weights)
    bins = difficulty_table(groups, weights)
    for scheme in SCHEMES:
        assert table[f"update_{scheme}"].sum() == pytest.approx(1)
    assert table.low.is_monotonic_increasing
    assert (table.low <= table.high).all()
    # The hardest tenths up to a whole bin carry what the bins up to there carry.
    silent = bins.share_of_groups[0]
    whole = int(silent * 10)
    assert table.update_group[:whole].sum() == 0
    same = RolloutLog.from_arrays(np.zeros(80, int), np.repeat(np.arange(20), 4), np.tile([0, 0, 0, 1], 20))
    alike = Groups.of(same)
    assert decile_table(alike, Weights.of(alike.cells)).update_variance.to_numpy() == pytest.approx(0.1)


def test_effective_weights_are_those_of_the_theory_scaled_to_mean_one():
    groups, weights, _ = _case("one size")
    table = difficulty_table(groups, weights)
    points = np.arange(7) / 6
    for scheme in ("none", "group", "variance"):
        a = effective_weight(points, 6, CONVENTIONS[scheme])
        wanted = a / (a @ table.share_of_groups.to_numpy())
        known = table.groups.to_numpy() > 0
        assert table[f"weight_{scheme}"].to_numpy()[known] == pytest.approx(wanted[known], rel=1e-9)
    # Halfway between no std and the group's: its weight varies less than the group's and more than none's.
    spread = {scheme: np.ptp(table[f"weight_{scheme}"].dropna()) for scheme in ("none", "shrunk", "group")}
    assert spread["none"] < 1e-9 < spread["shrunk"] < spread["group"]


def _brute_kappa(success, rho, G, mean_std):
    """D4 with two arms by going through all 2^G groups, one reward at a time."""

    def gain(weight_of):
        inner, square = np.zeros(success.size), np.zeros(success.size)
        for group in product((0, 1), repeat=G):
            r = np.array(group)
            chance = np.prod(np.where(r[:, None], success, 1 - success), axis=0)
            A = weight_of(r) * (r - r.mean())
            # ∇log π is (1 − p) for the right arm and −p for the wrong one, in units of the features' gap.
            estimate = (A[:, None] * (r[:, None] - success)).mean(axis=0)
            inner += chance * estimate * success * (1 - success)
            square += chance * estimate**2
        return (rho @ inner) ** 2 / (rho @ (np.sqrt(success * (1 - success)) * square))

    def of(divide):
        return lambda r: 1 / divide(r.std()) if r.std() else 0.0

    plain = gain(of(lambda s: 1.0))
    return {
        "group": gain(of(lambda s: s)) / plain,
        "shrunk": gain(of(lambda s: (s + mean_std) / 2)) / plain,
        "variance": gain(of(lambda s: s**2)) / plain,
    }


def test_kappa_of_each_scheme_agrees_with_going_through_all_groups():
    success, rho = np.array([0.03, 0.3, 0.9]), np.array([0.5, 0.3, 0.2])
    step, group = np.zeros(20, int), np.repeat(np.arange(4), 5)
    groups = Groups.of(RolloutLog.from_arrays(step, group, [1, 0, 0, 0, 0] * 2 + [1, 1, 0, 0, 0] * 2))
    mean_std = float(np.mean([0.4, 0.4, np.sqrt(0.24), np.sqrt(0.24)]))
    at = SuccessDistribution(success, rho)
    wanted = _brute_kappa(success, rho, 5, mean_std)
    for scheme, functional in kappa_functionals(groups).items():
        assert functional(at) == pytest.approx(wanted[scheme], rel=1e-9), scheme
    assert wanted["group"] == pytest.approx(gain_ratio(success, 5, "grpo", "none", weights=rho), rel=1e-9)


def test_kappa_of_mixed_sizes_weighs_sizes_by_how_often_they_occur():
    step, group = np.zeros(11, int), np.repeat([0, 1, 2], [4, 4, 3])
    groups = Groups.of(RolloutLog.from_arrays(step, group, [1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0]))
    at = SuccessDistribution(np.array([0.1, 0.6]), np.array([0.5, 0.5]))
    found = kappa_functionals(groups)["group"](at)
    one = [gain_ratio(at.support, G, "grpo", "none", weights=at.weights) for G in (3, 4)]
    assert min(one) < found < max(one)


def test_logged_advantages_of_a_scheme_have_cosine_one_with_it():
    step, group, reward = _rows("one size", seed=3)
    logged = group_advantages(reward, group, replace(PRESETS["grpo"], ddof=1))
    log = RolloutLog.from_arrays(step, group, reward, 3.7 * logged)
    groups = Groups.of(log)
    cosine = scheme_table(groups, Weights.of(groups.cells), {}).set_index("scheme").cosine_to_logged
    assert cosine["group"] == pytest.approx(1, abs=1e-12)
    assert (cosine.drop("group") < 1 - 1e-4).all()
    wanted = _advantages("shrunk", step, group, reward)
    direct = wanted @ logged / np.sqrt((wanted @ wanted) * (logged @ logged))
    assert cosine["shrunk"] == pytest.approx(direct, abs=1e-12)


def test_missing_rewards_take_no_part():
    step, group, reward = _rows("one size", seed=4)
    logged = group_advantages(reward, group)
    log = RolloutLog.from_arrays(
        np.append(step, [0] * 12),
        np.append(group, [0] * 12),
        np.append(reward, [np.nan] * 12),
        np.append(logged, [1.0] * 12),
    )
    groups = Groups.of(log)
    table = scheme_table(groups, Weights.of(groups.cells), {}).set_index("scheme")
    assert table.cosine_to_logged["group"] == pytest.approx(1, abs=1e-12)
