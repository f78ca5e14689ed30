"""Every trainer's convention against its formula in exact rational arithmetic, and the seven traps of the trade.

The oracles below are loops over groups, one per preset, written from what each trainer does. They share nothing
with the implementation: means and variances are fractions, and only the last square root and division are floats.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvature.advantages import PRESETS, Normalization, group_advantages

NAN = math.nan
ONE_IN_EIGHT = [1, 0, 0, 0, 0, 0, 0, 0]


def _mean(values):
    return sum(map(Fraction, values)) / len(values)


def _std(values, ddof):
    mean = _mean(values)
    return math.sqrt(sum((Fraction(v) - mean) ** 2 for v in values) / (len(values) - ddof))


def _over(std, eps=0.0):
    """(r − mean)/(std + eps) over the members of one group."""

    def formula(group):
        return [float(Fraction(r) - _mean(group)) / (std(group) + eps) for r in group]

    return formula


def _sample(group):
    return _std(group, 1)


def _population(group):
    return _std(group, 0)


def _mean_only(group):
    return [float(Fraction(r) - _mean(group)) for r in group]


def _leave_one_out(group):
    return [
        float(Fraction(r) - _mean(group[:i] + group[i + 1 :])) if len(group) > 1 else NAN
        for i, r in enumerate(group)
    ]


def _nemo(group):
    out = []
    for i, r in enumerate(group):
        others = group[:i] + group[i + 1 :]
        spread = _std(others, 1) if len(others) > 1 else 0.0
        out.append(float(Fraction(r) - _mean(others)) / (spread + 1e-6 if spread > 0 else 1.0))
    return out


def _by_group(formula, *, one, nan):
    """Apply a formula to each group, with the trainer's answers for a group of one and for a NaN reward."""

    def oracle(groups):
        out = []
        for group in groups:
            scored = [r for r in group if not math.isnan(r)]
            if len(scored) < len(group) and nan == "group":
                out.append([NAN] * len(group))
                continue
            if len(scored) == 1:
                values = [{"zero": 0.0, "raw": scored[0], "nan": NAN}[one]]
            elif len(set(scored)) < 2:
                values = [0.0] * len(scored)
            else:
                values = formula(scored)
            values = iter(values)
            out.append([0.0 if math.isnan(r) else next(values) for r in group])
        return out

    return oracle


def _by_batch(formula, *, nan):
    """Apply a formula of (group, all rewards of the batch)."""

    def oracle(groups):
        batch = [r for group in groups for r in group]
        scored = [r for r in batch if not math.isnan(r)]
        if len(scored) < len(batch) and nan == "batch":
            return [[NAN] * len(group) for group in groups]
        out = []
        for group in groups:
            members = [r for r in group if not math.isnan(r)]
            agree = len(set(scored)) < 2
            values = iter([0.0] * len(members) if agree else formula(members, scored, groups))
            out.append([0.0 if math.isnan(r) else next(values) for r in group])
        return out

    return oracle


def _group_mean_batch_std(ddof, eps):
    def formula(group, batch, groups):
        return [float(Fraction(r) - _mean(group)) / (_std(batch, ddof) + eps) for r in group]

    return formula


def _batch_mean_batch_std(group, batch, groups):
    return [float(Fraction(r) - _mean(batch)) / (_std(batch, 1) + 1e-5) for r in group]


def _swift_reinforce_plus_plus(group, batch, groups):
    """The std is that of the centred rewards of the whole batch."""
    centred = [Fraction(r) - _mean(g) for g in groups for r in g]
    spread = _std(centred, 1)
    if spread == 0:
        return [0.0] * len(group)
    return [float(Fraction(r) - _mean(group)) / (spread + 1e-4) for r in group]


def _verl_vectorized_std(group):
    return math.sqrt(max(_sample(group) ** 2, 1e-6))


_trl = {"one": "zero", "nan": "exclude"}
_verl = {"one": "raw", "nan": "group"}
_plain = {"one": "zero", "nan": "group"}
_bare = {"one": "nan", "nan": "group"}
_ours = {"one": "zero", "nan": "group"}

ORACLES = {
    "grpo": _by_group(_over(_population), **_ours),
    "none": _by_group(_mean_only, **_ours),
    "reinforce": _by_group(_mean_only, **_ours),
    "batch": _by_batch(_group_mean_batch_std(0, 0.0), nan="batch"),
    "rloo": _by_group(_leave_one_out, **_ours),
    "trl": _by_group(_over(_sample, 1e-4), **_trl),
    "trl_batch": _by_batch(_group_mean_batch_std(1, 1e-4), nan="exclude"),
    "trl_none": _by_group(_mean_only, **_trl),
    "trl_rloo": _by_group(_leave_one_out, **_trl),
    "verl": _by_group(_over(_sample, 1e-6), **_verl),
    "verl_mean": _by_group(_mean_only, **_verl),
    "verl_vectorized": _by_group(_over(_verl_vectorized_std, 1e-6), **_verl),
    "openrlhf": _by_group(_over(_sample, 1e-9), **_bare),
    "openrlhf_dr_grpo": _by_group(_mean_only, **_plain),
    "openrlhf_rloo": _by_group(_leave_one_out, **_bare),
    "dr_grpo": _by_group(_mean_only, **_plain),
    "dr_grpo_std": _by_group(_over(_sample, 1e-8), **_bare),
    "nemo_rl": _by_group(_nemo, **_plain),
    "skyrl": _by_group(_over(_sample, 1e-6), **_verl),
    "skyrl_mean": _by_group(_mean_only, **_verl),
    "slime": _by_group(_over(_sample, 1e-6), **_bare),
    "slime_mean": _by_group(_mean_only, **_plain),
    "open_instruct": _by_group(_mean_only, **_plain),
    "open_instruct_standard": _by_group(_over(_population, 1e-8), **_plain),
    "areal": _by_batch(_batch_mean_batch_std, nan="batch"),
    "areal_group": _by_group(_over(_sample, 1e-5), **_plain),
    "prime_rl": _by_group(_mean_only, **_plain),
    "tinker_cookbook": _by_group(_mean_only, **_plain),
    "ms_swift": _by_group(_over(_sample, 1e-4), **_plain),
    "ms_swift_rloo": _by_group(_leave_one_out, **_plain),
    "ms_swift_reinforce_plus_plus": _by_batch(_swift_reinforce_plus_plus, nan="batch"),
    "lite_ppo": _by_batch(_group_mean_batch_std(1, 1e-6), nan="batch"),
}
REFUSES_NAN = {"grpo", "none", "reinforce", "batch", "rloo"}
# The group of these is the whole batch: a group that agrees is still above or below it.
OF_THE_BATCH = {"areal"}

every_preset = pytest.mark.parametrize("name", PRESETS)


def _flatten(groups):
    flat = [float(r) for group in groups for r in group]
    return flat, [i for i, group in enumerate(groups) for _ in group]


def _agree(groups, name):
    flat, ids = _flatten(groups)
    ours = group_advantages(flat, ids, name)
    theirs = np.array(_flatten(ORACLES[name](groups))[0])
    # Rounding is relative to the largest advantage of a group, not to each one of them.
    scale = np.nanmax(np.abs(theirs), initial=0.0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12 * scale, err_msg=name)


def test_every_preset_has_an_oracle_and_says_where_it_was_read():
    assert set(ORACLES) == set(PRESETS)
    assert all(convention.source for convention in PRESETS.values())
    trainers = [name for name in PRESETS if name not in REFUSES_NAN | {"lite_ppo"}]
    for name in trainers:
        project, commit, file = PRESETS[name].source.replace(":", " ").replace(",", " ").split()[:3]
        assert "/" in project
        assert len(commit) == 7
        assert int(commit, 16) > 0
        assert file.endswith(".py")


def test_presets_cannot_be_changed_under_a_users_feet():
    with pytest.raises(TypeError, match="does not support item assignment"):
        PRESETS["grpo"] = Normalization(eps=1.0)
    with pytest.raises(AttributeError, match="cannot assign"):
        PRESETS["grpo"].eps = 1.0


_REWARDS = {
    "binary": st.sampled_from([0.0, 1.0]),
    "non-dyadic": st.sampled_from([0.1, 0.2, 0.3, 0.7, 1.1]),
    "far from zero": st.floats(99.99, 100.01),
    # Smaller rewards are outside the domain: the squares of their differences leave float64.
    "any": st.floats(-1e3, 1e3).filter(lambda r: r == 0 or abs(r) > 1e-100),
}


@st.composite
def ragged_groups(draw, *, with_nan=False):
    """Groups of one to six rewards: binary, non-dyadic, agreeing to the last digit, or with a NaN among them."""
    rewards = _REWARDS[draw(st.sampled_from(sorted(_REWARDS)))]
    agreeing = st.builds(lambda r, size: [r] * size, rewards, st.integers(1, 6))
    groups = draw(
        st.lists(st.one_of(st.lists(rewards, min_size=1, max_size=6), agreeing), min_size=1, max_size=5)
    )
    if with_nan:
        group = draw(st.sampled_from(groups))
        group[draw(st.integers(0, len(group) - 1))] = NAN
    return groups


@given(groups=ragged_groups())
def test_every_preset_is_its_trainers_formula(groups):
    for name in PRESETS:
        _agree(groups, name)


@given(groups=ragged_groups(with_nan=True))
def test_every_preset_is_its_trainers_formula_with_a_nan_reward(groups):
    for name in set(PRESETS) - REFUSES_NAN:
        _agree(groups, name)


@every_preset
@pytest.mark.parametrize(
    "groups",
    [
        [ONE_IN_EIGHT],
        [ONE_IN_EIGHT, [1, 1, 0, 0], [1, 0]],
        [[1.0], [0.5, 0.25], [3.0]],
        [[1.0]],
        [[2.0, 2.0], [0.0, 0.0, 0.0]],
        [[0.7] * 3 + [0.1], [0.1] * 7 + [1.1], [0.3, 0.1 + 0.2]],
        [[1e8, 0.1, 0.1 + 1e-9, 0.1 - 1e-9]],
    ],
    ids=["one in eight", "ragged", "singletons", "one reward", "all equal", "one stands out", "far out"],
)
def test_preset_is_its_formula_on_degenerate_groups(name, groups):
    _agree(groups, name)


@every_preset
def test_group_of_one_gets_what_the_trainer_gives_it(name):
    given_it = group_advantages([0.3, 1.0, 0.0], ["alone", "pair", "pair"], name)[0]
    expected = ORACLES[name]([[0.3], [1.0, 0.0]])[0][0]
    np.testing.assert_allclose(given_it, expected, rtol=1e-12)
    if name not in OF_THE_BATCH:
        assert given_it in {0.0, 0.3} or math.isnan(given_it)


@every_preset
def test_nan_reward_gets_what_the_trainer_gives_it(name):
    groups = [[1.0, 0.0, NAN, 0.0], [1.0, 0.0]]
    if name in REFUSES_NAN:
        flat, ids = _flatten(groups)
        with pytest.raises(ValueError, match=r"reward 2 is nan \(1 in all\)"):
            group_advantages(flat, ids, name)
    else:
        _agree(groups, name)


@every_preset
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_trap_1_equal_rewards_give_exactly_zero(name, dtype):
    for reward, size in itertools.product([0.7, 0.1, 1 / 3, 100.01, -2.3, 0.0], [2, 3, 8, 100]):
        rewards = np.full((3, size), reward, dtype)
        assert not group_advantages(rewards, preset=name).any()
        if name in OF_THE_BATCH:
            continue
        # Beside a group that differs, as rows and shuffled.
        rewards[1, 0] = 0.25
        ids = np.repeat([0, 1, 2], size)
        order = np.random.default_rng(0).permutation(ids.size)
        assert not group_advantages(rewards, preset=name)[[0, 2]].any()
        shuffled = group_advantages(rewards.ravel()[order], ids[order], name)
        assert not shuffled[ids[order] != 1].any()
        assert shuffled[ids[order] == 1].any()


def test_trap_1_a_trainer_divides_the_noise_of_equal_rewards_by_its_eps():
    rewards = np.full((1, 8), 0.7, np.float32)
    # Summed one by one in float32, eight times 0.7 has a mean that is not 0.7.
    mean = np.cumsum(rewards, axis=1, dtype=np.float32)[:, -1:] / np.float32(8)
    noise = rewards - mean
    assert np.abs(noise / 1e-9).max() > 50
    assert not group_advantages(rewards, preset="openrlhf").any()


@pytest.mark.parametrize(
    ("name", "success", "failure"),
    [
        ("openrlhf", 2.475, -0.354),
        ("verl", 2.475, -0.354),
        ("grpo", 2.646, -0.378),
        ("open_instruct_standard", 2.646, -0.378),
        ("none", 0.875, -0.125),
        ("dr_grpo", 0.875, -0.125),
        ("trl_rloo", 1.000, -0.143),
        ("rloo", 1.000, -0.143),
        ("nemo_rl", 1.000, -0.378),
    ],
)
def test_trap_2_one_success_in_eight(name, success, failure):
    np.testing.assert_allclose(
        group_advantages([ONE_IN_EIGHT], preset=name), [[success] + [failure] * 7], atol=6e-4
    )


@every_preset
def test_trap_2_only_nemo_rl_gives_advantages_that_do_not_sum_to_zero(name):
    total = group_advantages([ONE_IN_EIGHT], preset=name).sum()
    if name == "nemo_rl":
        assert total == pytest.approx(1 - 7 / math.sqrt(7), abs=1e-5)
    else:
        assert total == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize(("size", "ratio"), [(2, 1.41), (8, 1.07)])
def test_trap_3_ddof_scales_the_step(size, ratio):
    rewards = np.random.default_rng(0).standard_normal((50, size))
    population = group_advantages(rewards, preset=Normalization(ddof=0))
    sample = group_advantages(rewards, preset=Normalization(ddof=1))
    np.testing.assert_allclose(population, sample * math.sqrt(size / (size - 1)))
    assert round(float((population / sample).flat[0]), 2) == ratio


@pytest.mark.parametrize("name", [name for name, c in PRESETS.items() if c.spread == "group" and c.eps > 0])
def test_trap_4_eps_is_the_smallest_spread_that_is_normalised(name):
    eps = max(PRESETS[name].eps, PRESETS[name].floor)
    unit = np.array([[1.0, -1.0]])
    above = np.abs(group_advantages(unit * eps * 1e3, preset=name)).max()
    below = np.abs(group_advantages(unit * eps * 1e-3, preset=name)).max()
    assert above > 0.7
    assert below < 0.0015
    # The theory has no eps: every spread is normalised.
    np.testing.assert_allclose(np.abs(group_advantages(unit * eps * 1e-3)), 1.0)


@every_preset
def test_trap_5_float32_rewards_near_100_keep_their_spread(name):
    rewards = (100 + 0.01 * np.random.default_rng(0).choice([-1, 1], (20, 8))).astype(np.float32)
    rewards[:, :2] = np.float32(99.99), np.float32(100.01)
    groups = rewards.astype(float).tolist()
    theirs = np.array(ORACLES[name](groups))
    np.testing.assert_allclose(
        group_advantages(rewards, preset=name), theirs, rtol=2e-7, atol=1e-6 * np.abs(theirs).max()
    )


def test_trap_5_a_one_pass_variance_in_float32_loses_that_spread():
    rewards = np.float32([99.99, 100.01] * 4)
    mean, square = rewards.mean(dtype=np.float32), np.square(rewards).mean(dtype=np.float32)
    one_pass = float(square - mean * mean)
    assert abs(one_pass / 1e-4 - 1) > 0.5
    # The float32 nearest to 99.99 and 100.01 put the advantages at ±1 to seven digits all the same.
    np.testing.assert_allclose(np.abs(group_advantages(rewards[None])), 1.0, rtol=1e-6)


@every_preset
@pytest.mark.parametrize("shape", [(4, 1000), (1000, 4)])
@pytest.mark.parametrize(("centre", "spread"), [(3.0, 1e-3), (0.0, 1.0)])
def test_trap_6_float32_rewards_are_accumulated_in_float64(name, shape, centre, spread):
    rewards = np.random.default_rng(0).normal(centre, spread, shape).astype(np.float32)
    ids = np.random.default_rng(1).permutation(np.arange(rewards.size) % shape[0])
    for short, long in (
        (group_advantages(rewards, preset=name), group_advantages(rewards.astype(np.float64), preset=name)),
        (
            group_advantages(rewards.ravel(), ids, name),
            group_advantages(rewards.ravel().astype(np.float64), ids, name),
        ),
    ):
        assert short.dtype == np.float32
        np.testing.assert_array_equal(short, long.astype(np.float32))


def test_trap_6_a_mean_accumulated_in_float32_is_off():
    rewards = np.full(1 << 16, 0.1, np.float32)
    rewards[0] = 0.2
    mean = np.cumsum(rewards, dtype=np.float32)[-1] / np.float32(rewards.size)
    spread = float(rewards.astype(float).std())
    assert abs(float(mean) - rewards.mean(dtype=np.float64)) > 0.1 * spread
    assert group_advantages(rewards[None]).mean(dtype=np.float64) == pytest.approx(0, abs=1e-6)


def test_trap_7_a_view_mixes_groups_once_one_lost_a_member_and_ids_do_not():
    ids = np.repeat(np.arange(4), 4)
    rewards = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1.0])
    lost = [0, 5, 9, 14]  # four rewards, so that what is left still divides by four
    rewards, ids = np.delete(rewards, lost), np.delete(ids, lost)
    viewed = group_advantages(rewards.reshape(-1, 4)).ravel()
    grouped = group_advantages(rewards, ids)
    expected = [group_advantages(rewards[ids == i][None])[0] for i in range(4)]
    np.testing.assert_allclose(grouped, np.concatenate(expected), atol=1e-15)
    assert not grouped[ids == 0].any()
    assert np.abs(viewed[ids == 0]).min() > 0.5
