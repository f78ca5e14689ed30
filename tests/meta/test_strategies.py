"""The strategies draw what they promise: overlap, difficulty, rewards, degenerate cases often enough, nothing invalid.

Shares are of 250 draws with a fixed seed. Hypothesis mixes constants of the modules that are loaded into what it draws,
so shares differ a little with what else is run; the smallest share asked for is a half of what is seen, or less.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from curvature import LogLinearBandit, feature_diameter, moments
from curvature.advantages import group_advantages
from curvature.assumptions import check_orthogonal, check_unique_answer
from curvature.bounds import expected_run, sharp
from curvature.interference import overlap_matrix
from curvature.rollouts import RolloutLog
from curvature.testing import (
    bandits,
    bandits_with_theta,
    displacements,
    multi_prompt_bandits,
    reward_groups,
    rollout_logs,
    std_paths,
)
from curvature.testing.multi_prompt import DIFFICULTY

DRAWS = 250
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def sample(strategy, count=DRAWS):
    """Draw as a test would, without shrinking."""
    drawn = []

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=QUIET,
        deadline=None,
    )
    @given(strategy)
    def collect(value):
        drawn.append(value)

    collect()
    return drawn


def share(drawn, condition):
    return sum(bool(condition(one)) for one in drawn) / len(drawn)


def smallest(strategy, condition):
    return find(
        strategy,
        condition,
        settings=settings(max_examples=2_000, database=None, derandomize=True, deadline=None),
    )


def at_start(bandit):
    return moments(bandit, np.zeros(bandit.dimension))


def log_odds(bandit):
    """Log-odds of a prompt's largest reward at θ = 0; inf where no other reward exists."""
    found = []
    for rewards, base, exists in zip(bandit.rewards, bandit.base_logits, bandit.mask, strict=True):
        right = exists & (rewards == rewards[exists].max())
        wrong = exists & ~right
        ends = [np.logaddexp.reduce(base[chosen]) if chosen.any() else -np.inf for chosen in (right, wrong)]
        found.append(ends[0] - ends[1])
    return np.array(found)


@pytest.fixture(scope="module")
def pairs():
    return sample(multi_prompt_bandits())


def is_repeated(bandit):
    return bool((bandit.features[:, -1] == bandit.features[:, 0]).all(axis=1).any())


CASES = {
    "a repeated response": (is_repeated, 0.04),
    "a missing response": (lambda b: not b.mask.all(), 0.03),
    "a silent prompt": (lambda b: (at_start(b).reward_std == 0).any(), 0.075),
    "all prompts silent": (lambda b: (at_start(b).reward_std == 0).all(), 0.04),
    "equal non-dyadic rewards": (
        lambda b: ((np.ptp(b.rewards, axis=1) == 0) & ~np.isin(b.rewards[:, 0] * 4 % 1, 0)).any(),
        0.05,
    ),
    "unlike lengths": (
        lambda b: (
            feature_diameter(b).min() > 0 and feature_diameter(b).max() > 10 * feature_diameter(b).min()
        ),
        0.08,
    ),
    "a success rarer than e^-30": (lambda b: (log_odds(b) < -29.9).any(), 0.1),
    "a success rarer than e^-700": (lambda b: (log_odds(b) < -700).any(), 0.05),
    "a failure rarer than e^-30": (lambda b: (log_odds(b)[np.isfinite(log_odds(b))] > 29.9).any(), 0.1),
    "opposing gradients": (lambda b: (at_start(b).gradient @ at_start(b).gradient.T).min() < 0, 0.04),
    "orthogonal": (lambda b: check_orthogonal(b, centered=True).holds, 0.1),
    "sharing one span": (lambda b: overlap_matrix(b).min() > 1 - 1e-9, 0.075),
    "overlapping in part": (lambda b: 0.009 < overlap_matrix(b).min() < 1 - 1e-9, 0.05),
    "one correct": (lambda b: check_unique_answer(b).holds, 0.075),
    "real rewards": (lambda b: not b.is_binary, 0.15),
}


@pytest.mark.parametrize("case", CASES)
def test_every_case_promised_is_met_often_enough(pairs, case):
    condition, least = CASES[case]
    assert share(pairs, condition) >= least


def test_no_drawn_bandit_is_invalid(pairs):
    for bandit in pairs:
        at = at_start(bandit)
        np.testing.assert_allclose(at.probabilities.sum(axis=-1), 1.0, rtol=1e-12)
        assert np.isfinite(at.gradient).all()
        assert bandit.mask.sum(axis=1).min() >= 2
        assert 2 <= bandit.num_prompts <= 4


@pytest.mark.parametrize("overlap", [0.0, 0.03, 0.5, 0.97, 1.0])
def test_overlap_is_the_number_asked_for(overlap):
    for bandit in sample(multi_prompt_bandits(overlap=overlap), 80):
        off = overlap_matrix(bandit)[~np.eye(bandit.num_prompts, dtype=bool)]
        np.testing.assert_allclose(off, overlap, atol=1e-9)


def test_partial_overlaps_spread_over_the_range():
    overlaps = [overlap_matrix(b)[0, 1] for b in sample(multi_prompt_bandits(overlap="partial"), 200)]
    assert min(overlaps) < 0.25
    assert max(overlaps) > 0.7


@pytest.mark.parametrize("difficulty", [*DIFFICULTY, "mixed"])
def test_difficulty_is_the_band_asked_for(difficulty):
    drawn = sample(multi_prompt_bandits(difficulty=difficulty, rewards="binary", degenerate=False), 100)
    bands = [
        DIFFICULTY[name] for name in (("mid", "hard", "easy") if difficulty == "mixed" else [difficulty])
    ]
    z = np.concatenate([log_odds(bandit) for bandit in drawn])
    inside = np.array([(low - 1e-6 <= z) & (z <= high + 1e-6) for low, high in bands])
    assert inside.any(axis=0).all()
    # Every band is met, and so are both of its halves.
    for low, high in bands:
        assert ((low - 1e-6 <= z) & (z < (low + high) / 2)).mean() > 0.01
        assert (((low + high) / 2 < z) & (z <= high + 1e-6)).mean() > 0.01


def test_success_rates_are_exact_where_doubles_end():
    bandit = smallest(
        multi_prompt_bandits(difficulty="rare", rewards="one_correct"), lambda b: log_odds(b).min() < -1300
    )
    z = log_odds(bandit)
    # p = e^−1400 is no double, and σ = √p is one.
    np.testing.assert_allclose(np.log(at_start(bandit).reward_std), z / 2, rtol=1e-9)


@pytest.mark.parametrize(
    ("rewards", "holds"),
    [
        ("one_correct", lambda b: check_unique_answer(b).holds),
        ("binary", lambda b: b.is_binary),
        ("non_dyadic", lambda b: np.isin(b.rewards[b.mask], [0.1, 0.7, 0.3, 1 / 3, 0.9]).all()),
        ("constant", lambda b: (at_start(b).reward_std == 0).all()),
        ("real", lambda b: np.abs(b.rewards).max() <= 3),
    ],
)
@pytest.mark.parametrize("strategy", [bandits, multi_prompt_bandits])
def test_rewards_are_of_the_type_asked_for(strategy, rewards, holds):
    assert share(sample(strategy(rewards=rewards), 100), holds) == 1


@pytest.mark.parametrize("rewards", ["one_correct", "binary", "real", "non_dyadic"])
def test_without_degenerate_cases_every_prompt_can_learn(rewards):
    drawn = sample(multi_prompt_bandits(rewards=rewards, difficulty="mixed", degenerate=False), 100)
    assert share(drawn, lambda b: b.mask.all() and (at_start(b).reward_std > 0).all()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 1.5}, "overlap is 1.5"),
        ({"overlap": "some"}, "overlap is 'some'; choose one of any, orthogonal"),
        ({"difficulty": "brutal"}, "difficulty is 'brutal'; choose one of any, hard"),
        ({"rewards": "gaussian"}, "rewards is 'gaussian'; choose one of any, one_correct"),
    ],
)
def test_an_unknown_choice_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        sample(multi_prompt_bandits(**options), 1)


def test_a_failure_of_many_prompts_shrinks_to_the_few_that_it_needs():
    bandit = smallest(
        multi_prompt_bandits(max_prompts=3, max_responses=4),
        lambda b: (at_start(b).reward_std > 0.1).all() and (overlap_matrix(b) > 0.3).all(),
    )
    assert (bandit.num_prompts, bandit.num_responses) == (2, 2)
    assert np.isin(bandit.rewards, [0.0, 1.0]).all()
    np.testing.assert_allclose(at_start(bandit).expected_reward, 0.5)
    one, _ = smallest(bandits_with_theta(), lambda drawn: (moments(*drawn).reward_std > 0.1).any())
    assert (one.num_prompts, one.dimension) == (1, 1)


@given(st.data())
def test_displacements_stay_within_the_length_and_often_reach_it(data):
    bandit = data.draw(multi_prompt_bandits(degenerate=False))
    moved = data.draw(displacements(bandit, max_norm=0.3))
    assert moved.shape == (bandit.num_prompts, bandit.dimension)
    assert np.linalg.norm(moved, axis=1).max() <= 0.3


def test_displacements_meet_none_the_edge_and_between():
    bandit = LogLinearBandit.two_arm([0.5, 0.5], overlap=0.5)
    moved = sample(displacements(bandit, max_norm=2.0), 150)
    lengths = np.linalg.norm(moved, axis=-1).ravel()
    assert (lengths == 0).mean() > 0.1
    assert (np.abs(lengths - 2) < 1e-9).mean() > 0.2
    assert ((lengths > 0) & (lengths < 1.9)).mean() > 0.1
    with pytest.raises(ValueError, match="max_norm is 0"):
        displacements(LogLinearBandit.two_arm([0.5]), max_norm=0)


def obeys(reward_std, shift, largest_std):
    """Whether stds are those of a run: L3 along every update, and at most half the range of the rewards."""
    before, after = reward_std[:-1], reward_std[1:]
    factor = np.exp(shift) * (1 + 1e-9)
    return bool(
        (after <= before * factor).all()
        and (before <= after * factor).all()
        and (reward_std <= largest_std * (1 + 1e-9)).all()
    )


@given(std_paths(max_shift=1.5, largest_std=0.8))
def test_paths_obey_the_inequalities_of_a_run(path):
    assert (path.shift >= 0).all()
    assert (path.shift <= 1.5).all()
    assert obeys(path.reward_std, path.shift, 0.8)


@pytest.mark.parametrize("method", ["grpo", "reinforce"])
@pytest.mark.parametrize("success", [0.003, 0.3, 0.8])
def test_runs_obey_the_inequalities_of_the_paths(method, success):
    # The promise of the strategy is one about runs: at the certified step no update shifts log σ by more than log 2.
    bandit = LogLinearBandit.two_arm([success, 0.5])
    step = float((sharp.theorem_t1 if method == "grpo" else sharp.theorem_t2)(0.1, 0.5, 1.0).step)
    run = expected_run(bandit, method, 30, step=step)
    weight = 1 / run.own_reward_std if method == "grpo" else np.ones_like(run.own_reward_std)
    shift = 0.5 * step * (weight * run.own_gradient_norm)[:-1]
    assert shift.max() <= math.log(2) * (1 + 1e-9)
    assert obeys(run.own_reward_std, shift, 0.5)


PATHS = {
    "constant": (lambda path: np.ptp(path.reward_std, axis=0).max() == 0, 0.015),
    "a silent prompt": (lambda path: (path.reward_std == 0).all(axis=0).any(), 0.075),
    "at the largest std": (lambda path: (path.reward_std[0] == 0.5).any(), 0.15),
    "falling all the time": (lambda path: (np.diff(path.reward_std, axis=0) < 0).all(axis=0).any(), 0.02),
    "too small to square": (lambda path: ((path.reward_std > 0) & (path.reward_std < 1e-200)).any(), 0.04),
    "one prompt a step": (
        lambda path: path.shift.shape[1] > 1 and ((path.shift > 0).sum(axis=1) <= 1).all(),
        0.2,
    ),
    "all prompts at once": (lambda path: ((path.shift > 0).sum(axis=1) > 1).any(), 0.1),
}


@pytest.fixture(scope="module")
def paths():
    return sample(std_paths())


@pytest.mark.parametrize("case", PATHS)
def test_every_kind_of_path_is_met_often_enough(paths, case):
    condition, least = PATHS[case]
    assert share(paths, condition) >= least


def test_a_prompt_that_is_not_sampled_keeps_its_std():
    for path in sample(std_paths(one_prompt_a_step=True), 100):
        still = path.shift == 0
        assert (path.reward_std[1:][still] == path.reward_std[:-1][still]).all()
        assert ((path.shift > 0).sum(axis=1) <= 1).all()


def test_a_path_shrinks_to_one_prompt():
    path = smallest(std_paths(max_steps=4), lambda path: (path.reward_std[-1] == 0.25).any())
    assert path.reward_std.shape[1] == 1


def table_of(log):
    return RolloutLog.from_arrays(*log).groups


def sizes(log):
    table = table_of(log)
    return table.size + table.missing


LOGS = {
    "several steps": (lambda log: np.unique(log.step).size > 1, 0.2),
    "steps left out": (lambda log: (np.diff(np.unique(log.step)) > 1).any(), 0.075),
    "a group of one": (lambda log: (sizes(log) == 1).any(), 0.075),
    "groups of unlike size": (lambda log: np.ptp(sizes(log)) > 0, 0.15),
    "a silent group": (lambda log: (table_of(log).is_silent & (table_of(log).size > 1)).any(), 0.125),
    "a missing reward": (lambda log: np.isnan(log.reward).any(), 0.125),
    "rows out of order": (lambda log: (np.diff(log.step) >= 0).all() and has_split_group(log), 0.05),
    "ids that are text": (lambda log: log.group.dtype.kind == "U", 0.15),
    "advantages": (lambda log: log.advantage is not None, 0.15),
    "no advantages": (lambda log: log.advantage is None, 0.15),
    "a group that comes back": (
        lambda log: len(set(zip(log.step, log.group, strict=True))) > np.unique(log.group).size,
        0.1,
    ),
}


def has_split_group(log):
    """Whether rows of one group lie apart."""
    pairs = list(zip(log.step.tolist(), log.group.tolist(), strict=True))
    changes = 1 + sum(one != other for one, other in pairwise(pairs))
    return changes > len(set(pairs))


@pytest.fixture(scope="module")
def logs():
    return sample(rollout_logs())


@pytest.mark.parametrize("case", LOGS)
def test_every_kind_of_log_is_met_often_enough(logs, case):
    condition, least = LOGS[case]
    assert share(logs, condition) >= least


def test_every_log_is_read_row_by_row(logs):
    for log in logs:
        read = RolloutLog.from_arrays(*log)
        assert len(read.sample) == log.reward.size
        assert read.groups.size.sum() == np.isfinite(log.reward).sum() >= 1
        assert (read.sample.advantage is None) == (log.advantage is None)


def test_logged_advantages_are_those_of_one_preset(logs):
    seen = set()
    for log in (log for log in logs if log.advantage is not None):
        known = ~np.isnan(log.reward)
        assert (log.advantage[~known] == 0).all()
        fits = {name for name in ("grpo", "trl", "dr_grpo", "reinforce", "batch") if agrees(log, known, name)}
        seen |= fits
    assert seen == {"grpo", "trl", "dr_grpo", "reinforce", "batch"}


def agrees(log, known, preset):
    for step in np.unique(log.step):
        rows = known & (log.step == step)
        if rows.any():
            expected = group_advantages(log.reward[rows], groups=log.group[rows], preset=preset)
            if not np.array_equal(expected, log.advantage[rows]):
                return False
    return True


@given(rollout_logs(binary=True, advantages=False, missing=False, max_steps=2, max_groups=2, max_size=3))
def test_options_of_a_log_are_kept(log):
    assert np.isin(log.reward, [0.0, 1.0]).all()
    assert log.advantage is None
    assert np.unique(log.step).size <= 2
    assert sizes(log).max() <= 3


def test_a_log_shrinks_to_the_rows_that_it_needs():
    log = smallest(rollout_logs(), lambda log: (table_of(log).is_silent & (table_of(log).size > 1)).any())
    assert log.reward.size <= 3
    assert np.unique(log.step).size == 1


def test_older_strategies_keep_their_degenerate_cases():
    drawn = sample(bandits_with_theta())
    assert share(drawn, lambda one: not one[0].mask.all()) >= 0.04
    assert share(drawn, lambda one: (feature_diameter(one[0]) == 0).any()) >= 0.02
    assert share(drawn, lambda one: (moments(*one).reward_std == 0).any()) >= 0.15
    assert share(drawn, lambda one: moments(*one).probabilities.max() > 1 - 1e-9) >= 0.2
    groups = sample(reward_groups())
    assert share(groups, lambda one: (np.bincount(one[1]) == 1).any()) >= 0.2
