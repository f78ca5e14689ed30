"""Laws of the convention detective: it names what made a column, and nothing that does not make it."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from curvature import PRESETS, Normalization, group_advantages
from curvature.rollouts import RolloutLog
from curvature.rollouts.convention import identify_convention

_BLURS = {
    "float64": lambda a: a,
    "float32": lambda a: a.astype(np.float32).astype(np.float64),
    "decimals": lambda a: a.round(6),
    "digits": lambda a: np.array([float(f"{v:.6g}") for v in a]),
}
_GROUP = sorted(name for name, c in PRESETS.items() if c.spread == "group")


@st.composite
def logs(draw, *, kinds=("normal", "binary", "quarters", "shifted", "tiny"), extras=True):
    """(step, group, reward): some silent groups; with `extras`, perhaps NaN rewards and groups of one."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(kinds))
    steps, groups = draw(st.integers(3, 6)), draw(st.integers(4, 7))
    size = rng.integers(2, 9, steps * groups)
    cell = np.repeat(np.arange(size.size), size)
    reward = {
        "normal": lambda n: rng.normal(size=n),
        "binary": lambda n: rng.integers(0, 2, n).astype(float),
        "quarters": lambda n: rng.integers(-4, 5, n) / 4,
        "shifted": lambda n: 10 + rng.random(n),
        "tiny": lambda n: 1e-3 * rng.normal(size=n),
    }[kind](cell.size)
    first = np.searchsorted(cell, np.arange(size.size))
    silent = (np.arange(size.size) % groups == 0)[cell]
    reward[silent] = reward[first[cell[silent]]]
    group = cell % groups
    if extras and draw(st.booleans()):
        reward[rng.integers(cell.size)] = np.nan
    if extras and draw(st.booleans()):
        group[rng.integers(cell.size)] = 99
    return cell // groups, group, reward


def _advantages(step, group, reward, convention):
    out = np.empty(reward.size)
    for s in np.unique(step):
        here = step == s
        out[here] = group_advantages(reward[here], group[here], convention)
    return out


def _find(log, column):
    return identify_convention(RolloutLog.from_arrays(*log, column))


def _allowed(name, reward):
    """Whether the preset takes these rewards."""
    return PRESETS[name].nan != "raise" or not np.isnan(reward).any()


def _assert_reproduced(finding, log, column):
    """Every preset named makes the column to the stated tolerance, the noise of silent groups apart."""
    for convention in [finding.normalization, *(PRESETS[name] for name in finding.presets)]:
        if not _allowed_convention(convention, log[2]):
            raise AssertionError(f"{convention} refuses these rewards")
        computed = _advantages(*log, convention)
        if convention == finding.normalization:
            computed = computed * finding.factor
        elif finding.factor != 1 or finding.second_pass:
            continue
        known = ~np.isnan(column)
        scale = np.abs(column[known]).max() or 1.0
        assert np.abs(column - computed)[known].max() <= finding.tolerance * scale * (1 + 1e-9), convention
    assert finding.largest_error <= finding.tolerance


def _allowed_convention(convention, reward):
    return convention.nan != "raise" or not np.isnan(reward).any()


@given(log=logs(), name=st.sampled_from(sorted(PRESETS)), blur=st.sampled_from(sorted(_BLURS)))
def test_the_preset_that_made_a_column_is_named_and_all_named_make_it(log, name, blur):
    assume(_allowed(name, log[2]))
    column = _BLURS[blur](_advantages(*log, name))
    numbers = column[np.isfinite(column)]
    assume(numbers.size)
    # Text of few different values cannot be told from numbers that are round.
    assume(blur in {"float64", "float32"} or np.unique(np.abs(numbers)).size >= 8)
    finding = _find(log, column)
    assert finding.status in {"identified", "ambiguous"}
    assert name in finding.presets
    _assert_reproduced(finding, log, column)


@given(
    log=logs(extras=False),
    spread=st.sampled_from(["group", "batch", "pooled", "leave-one-out"]),
    baseline=st.sampled_from(["mean", "leave-one-out"]),
    ddof=st.sampled_from([0, 1]),
    eps=st.floats(0, 0.1),
    factor=st.sampled_from([1.0, 0.5]),
)
@settings(max_examples=6)
def test_whatever_made_a_column_a_convention_that_is_named_makes_it(log, spread, baseline, ddof, eps, factor):
    column = factor * _advantages(*log, Normalization(spread, baseline, ddof, eps))
    finding = _find(log, column)
    if finding.status in {"identified", "ambiguous"} and finding.second_pass is None:
        _assert_reproduced(finding, log, column)


@given(
    log=logs(kinds=("normal",), extras=False),
    name=st.sampled_from(["trl", "grpo"]),
    eps=st.integers(1, 999).map(lambda k: k / 1e4),
    blur=st.sampled_from(["float64", "float32"]),
)
@settings(max_examples=6)
def test_any_eps_is_read_off_the_slopes(log, name, eps, blur):
    convention = replace(PRESETS[name], eps=eps)
    assume(convention not in PRESETS.values())
    finding = _find(log, _BLURS[blur](_advantages(*log, convention)))
    assert finding.status == "identified"
    assert finding.normalization.spread == "group"
    assert finding.normalization.ddof == convention.ddof
    assert finding.normalization.eps == eps


@given(
    log=logs(kinds=("normal", "quarters")),
    name=st.sampled_from(sorted(PRESETS)),
    blur=st.sampled_from(sorted(_BLURS)),
    data=st.data(),
)
@settings(max_examples=5)
def test_one_row_off_by_a_tenth_is_named(log, name, blur, data):
    assume(_allowed(name, log[2]))
    column = _BLURS[blur](_advantages(*log, name))
    large = np.flatnonzero(np.nan_to_num(np.abs(column)) >= np.nanmedian(np.abs(column)))
    assume(large.size and np.unique(column[np.isfinite(column)]).size >= 8)
    odd = int(data.draw(st.sampled_from(large.tolist())))
    assume(column[odd] != 0)
    column[odd] *= 1.1
    finding = _find(log, column)
    assert finding.status == "closest"
    assert len(finding.presets) == 1
    if finding.worst["computed"] != 0 and finding.candidates.share_matched[0] > 0.9:
        assert finding.worst["logged"] == column[odd]


@given(log=logs(kinds=("normal",)), name=st.sampled_from(sorted(PRESETS)), seed=st.integers(0, 999))
@settings(max_examples=5)
def test_a_percent_of_noise_is_no_convention(log, name, seed):
    assume(_allowed(name, log[2]))
    column = _advantages(*log, name)
    assume(np.isfinite(column).any())
    finding = _find(log, column * (1 + 0.01 * np.random.default_rng(seed).normal(size=column.size)))
    assert finding.status == "closest"
    assert finding.largest_error > finding.tolerance


_WILD_REWARD = st.sampled_from([0.0, 1.0, 0.7, np.nan, 1e100, -1e149, 1e-300])
_WILD_ADVANTAGE = st.sampled_from([0.0, 1.0, -1.0, 0.3, np.nan, np.inf, -np.inf, 1e300, 1e-310])


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), _WILD_REWARD, _WILD_ADVANTAGE),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=6)
def test_wild_numbers_get_an_answer(rows):
    *log, column = (np.array(values) for values in zip(*rows, strict=True))
    finding = _find(log, column)
    assert finding.status in {"identified", "ambiguous", "closest", "absent"}
    assert finding.sentence


@given(
    log=logs(kinds=("normal",), extras=False),
    name=st.sampled_from(_GROUP),
    ddof=st.sampled_from([0, 1]),
    eps=st.sampled_from([0.0, 1e-8, 1e-6, 1e-5, 1e-4]),
    blur=st.sampled_from(["float64", "float32"]),
)
@settings(max_examples=5)
def test_double_normalisation_is_found(log, name, ddof, eps, blur):
    step, _, _ = log
    twice = _advantages(step, step, _advantages(*log, name), Normalization("batch", "batch", ddof, eps))
    finding = _find(log, _BLURS[blur](twice))
    assert finding.second_pass == "batch"
    assert name in finding.presets


@given(
    log=logs(kinds=("normal", "quarters")),
    name=st.sampled_from(sorted(PRESETS)),
    factor=st.sampled_from([0.1, 0.5, 2.0, 3.3, -1.0]),
    blur=st.sampled_from(["float64", "float32"]),
)
@settings(max_examples=5)
def test_a_constant_factor_is_found(log, name, factor, blur):
    assume(_allowed(name, log[2]))
    column = _BLURS[blur](factor * _advantages(*log, name))
    assume(np.unique(np.abs(column[np.isfinite(column)])).size >= 8)
    finding = _find(log, column)
    assert name in finding.presets
    _assert_reproduced(finding, log, column)
