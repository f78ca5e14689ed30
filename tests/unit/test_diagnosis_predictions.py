"""Predicted times against `curvature.flow`, the rule of the verdict, and the table of flags."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

from curvature import PRESETS
from curvature.flow import predicted_speedup, time_to_target
from curvature.groups import SuccessDistribution, effective_weight
from curvature.rollouts import RolloutLog, diagnosis
from curvature.rollouts._finite_flow import Paths
from curvature.rollouts._flags import FLAGS, flags_for
from curvature.rollouts._predictions import flow_functionals, targets_of
from curvature.rollouts._verdict import leaning_of
from curvature.rollouts.diagnosis import diagnose
from curvature.rollouts.findings import Estimate

SUCCESS, RHO = np.array([0.001, 0.03, 0.4, 0.8]), np.array([0.125, 0.25, 0.375, 0.25])
TARGETS = np.array([0.5, 0.7, 0.9, 0.99])


def _at(success, weights):
    return SuccessDistribution(np.asarray(success, float), np.asarray(weights, float))


def _estimate(low, high):
    return Estimate((low + high) / 2, low, high, "")


@pytest.mark.parametrize(
    ("weight", "named"),
    [
        (np.ones_like, {"method": "reinforce"}),
        (lambda p: 1 / np.sqrt(p * (1 - p)), {"method": "grpo"}),
        (lambda p: (p * (1 - p)) ** -0.25, {"method": "power", "exponent": 0.5}),
    ],
    ids=["none", "group", "half"],
)
def test_the_paths_give_the_times_of_the_closed_forms(weight, named):
    _, constant, running = Paths.of(weight, SUCCESS).steps(RHO, TARGETS)
    exact = {
        rule: time_to_target(SUCCESS, TARGETS, prompt_weights=RHO, step_rule=rule, **named)
        for rule in ("certified", "certified_running")
    }
    assert constant == pytest.approx(exact["certified"], rel=2e-3)
    assert running == pytest.approx(exact["certified_running"], rel=5e-3)


def test_the_paths_give_the_times_of_the_system_of_equations_for_finite_groups():
    def weight(p):
        return effective_weight(p, 8, "grpo")

    _, constant, running = Paths.of(weight, SUCCESS).steps(RHO, TARGETS)
    exact = time_to_target(SUCCESS, TARGETS, prompt_weights=RHO, method=weight)
    assert constant == pytest.approx(exact, rel=2e-3)
    assert (running <= constant * (1 + 1e-9)).all()


def _targets(at, *goals):
    J, ceiling = at.mean(lambda p: p), at.mean(lambda p: p > 0)
    return tuple(SimpleNamespace(share=(goal - J) / (ceiling - J)) for goal in goals)


def test_speedups_are_those_of_the_flow_and_the_product_of_their_factors():
    at = _at(SUCCESS, RHO)
    functionals = flow_functionals(_targets(at, *TARGETS), 8)  # type: ignore[arg-type]
    found = {key: math.exp(functional(at)) for key, functional in functionals.items()}
    exact = predicted_speedup(SUCCESS, TARGETS, prompt_weights=RHO)
    for i in range(TARGETS.size):
        assert found["speedup", i] == pytest.approx(exact.speedup[i], rel=5e-3)
        assert found["iterations", i] == pytest.approx(exact.across_iterations[i], rel=5e-3)
        assert found["prompts", i] == pytest.approx(exact.across_prompts[i], rel=5e-3)
        for end in ("", "_finite"):
            product = found[f"iterations{end}", i] * found[f"prompts{end}", i]
            assert found[f"speedup{end}", i] == pytest.approx(product, rel=1e-12)
        # A group of 8 sees less of a hard prompt's σ than there is.
        assert found["speedup_finite", i] < found["speedup", i]


def test_at_one_rms_advantage_the_speedup_is_that_of_two_flows_at_such_steps():
    at = _at(SUCCESS, RHO)
    found = math.exp(flow_functionals(_targets(at, 0.9), 8)["matched_finite", 0](at))  # type: ignore[arg-type]
    # RMS advantages by going through k ~ Bin(8, p).
    k = np.arange(9)
    chance = RHO @ np.array([[math.comb(8, j) * p**j * (1 - p) ** (8 - j) for j in k] for p in SUCCESS])
    V = k / 8 * (1 - k / 8)
    step = {"none": 1 / np.sqrt(chance @ V), "group": 1 / np.sqrt(chance @ (V > 0))}
    times = [
        time_to_target(SUCCESS, 0.9, prompt_weights=RHO, step_rule=float(step[name]), method=weight)
        for name, weight in (
            ("none", lambda p: np.full_like(p, 7 / 8)),
            ("group", lambda p: effective_weight(p, 8, "grpo")),
        )
    ]
    assert found == pytest.approx(times[0] / times[1], rel=5e-3)


def test_groups_of_two_are_no_normalisation_at_all():
    at = _at(SUCCESS, RHO)
    functionals = flow_functionals(_targets(at, 0.9), 2)  # type: ignore[arg-type]
    for part in ("speedup_finite", "iterations_finite", "prompts_finite", "matched_finite"):
        assert functionals[part, 0](at) == pytest.approx(0, abs=1e-9)


def test_large_groups_come_to_the_true_std():
    at = _at([0.05, 0.5, 0.7], [0.25, 0.25, 0.5])
    gaps = []
    for size in (8, 64, 512):
        functionals = flow_functionals(_targets(at, 0.9), size)  # type: ignore[arg-type]
        gaps.append(abs(functionals["prompts_finite", 0](at) - functionals["prompts", 0](at)))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.01


@pytest.mark.parametrize(("success", "weights"), [([0.0, 1.0], [0.5, 0.5]), ([0.0], [1.0]), ([1.0], [1.0])])
def test_a_profile_with_nothing_to_learn_gains_nothing(success, weights):
    functionals = flow_functionals((SimpleNamespace(share=0.5),), 8)  # type: ignore[arg-type]
    assert all(functional(_at(success, weights)) == 0.0 for functional in functionals.values())


def test_prompts_that_never_succeed_change_no_speedup():
    targets = (SimpleNamespace(share=0.7),)
    with_them = _at([0.0, *SUCCESS], [0.5, *(RHO / 2)])
    for functional in flow_functionals(targets, 8).values():  # type: ignore[arg-type]
        assert functional(with_them) == pytest.approx(functional(_at(SUCCESS, RHO)), abs=1e-9)


def test_targets_are_where_the_log_went_or_halfway_to_one():
    at = _at([0.2, 0.6], [0.5, 0.5])
    flat, risen = _estimate(0.35, 0.45), _estimate(0.6, 0.64)
    first, second = targets_of(at, flat, flat)
    assert (first.success, second.success) == (0.7, 0.9)
    assert first.share == pytest.approx(0.5)
    assert "halfway" in first.label
    first, second = targets_of(at, flat, risen)
    assert first.success == 0.62
    assert "last window" in first.label
    # Half of the prompts never succeed: .9 is out of reach, and halfway to 1 is .625.
    assert [target.success for target in targets_of(_at([0.0, 0.5], [0.5, 0.5]), flat, flat)] == []
    assert targets_of(_at([1.0], [1.0]), flat, flat) == ()


@pytest.mark.parametrize(
    ("factor", "kappa", "matched", "leaning"),
    [
        ((1.06, 1.4), (0.97, 1.02), (0.97, 1.2), "keep"),
        ((1.06, 1.4), (0.9, 0.96), (1.0, 1.2), "keep"),
        ((1.06, 1.4), (0.9, 0.94), (1.0, 1.2), "undecided"),
        ((1.06, 1.4), (0.97, 1.02), (0.94, 1.2), "undecided"),
        ((1.04, 1.4), (1.0, 1.1), (1.0, 1.2), "undecided"),
        ((0.8, 0.94), (0.9, 1.0), (0.8, 1.0), "drop"),
        ((0.9, 1.0), (0.8, 0.94), (0.8, 1.0), "drop"),
        ((0.8, 0.94), (0.9, 1.0), (0.8, 1.06), "undecided"),
        ((0.8, 0.94), (1.06, 1.2), (0.8, 1.0), "undecided"),
        ((0.96, 1.04), (0.97, 1.03), (0.96, 1.04), "either"),
        ((0.96, 1.04), (0.97, 1.03), (0.9, 1.04), "undecided"),
        ((0.94, 1.04), (0.97, 1.03), (0.96, 1.04), "undecided"),
        ((np.nan, np.nan), (1.1, 1.2), (1.1, 1.2), "undecided"),
    ],
)
def test_leaning_follows_the_stated_rule(factor, kappa, matched, leaning):
    assert leaning_of(_estimate(*factor), _estimate(*kappa), _estimate(*matched)) == leaning


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_without_a_prediction_it_is_undecided(missing):
    three = [_estimate(1.1, 1.2)] * 3
    assert leaning_of(*three) == "keep"
    assert leaning_of(*(None if i == missing else at for i, at in enumerate(three))) == "undecided"


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    success = np.repeat(rng.beta(0.5, 2, 300), 8)
    step, group = np.repeat(np.arange(6), 400), np.repeat(np.arange(300), 8)
    reward = (rng.random(2400) < success).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnosis, "_RESAMPLES", 40)
        patch.setattr(diagnosis, "_WINDOW_RESAMPLES", 40)
        return diagnose(RolloutLog.from_arrays(step, group, reward))


def test_every_prediction_states_formula_source_and_assumptions(found):
    names = [prediction.name for prediction in found.predictions]
    assert len(names) == len(set(names)) == 15
    for prediction in found.predictions:
        assert prediction.formula
        assert prediction.source.startswith("theory ")
        assert any("orthogonal" in assumption for assumption in prediction.assumptions)
        assert prediction.estimate.low <= prediction.estimate.value <= prediction.estimate.high


def test_verdict_speaks_of_predicted_effects_with_intervals(found):
    verdict = found.verdict
    said = " ".join([verdict.headline, *verdict.reasons])
    assert verdict.headline.startswith("Effect predicted by ")
    assert "will help" not in said
    assert len(re.findall(r"\d \[\d", verdict.headline)) == 2
    by_name = {prediction.name: prediction.estimate for prediction in found.predictions}
    matched = next(at for name, at in by_name.items() if "at one RMS advantage, groups of 8" in name)
    assert f"{matched.value:.3g} [{matched.low:.3g}, {matched.high:.3g}]" in verdict.headline
    # The hard profile carries more of the update once it is divided by its std.
    table = found.deciles.set_index("decile")
    hard = f"{table.update_none[:3].sum():.0%} of the update without a std, {table.update_group[:3].sum():.0%} with"
    assert hard in said


def test_kappa_of_the_table_is_that_of_the_predictions(found):
    row = found.schemes.set_index("scheme").loc["group"]
    kappa = found.predictions[0].estimate
    assert (row.kappa, row.kappa_low, row.kappa_high) == (kappa.value, kappa.low, kappa.high)
    assert "κ_G" in found.predictions[0].name


def test_the_trainer_of_the_log_is_named_first():
    for names, first in (
        (("verl_v1", None), "verl"),
        (("generic", "trl_batch"), "TRL"),
        (("tinker_cookbook",), "tinker-cookbook"),
        (("arrays", None), "TRL"),
    ):
        listed = flags_for(names, "keep")
        assert listed[0][0] == first
        assert sorted(trainer for trainer, _ in listed) == sorted(flag.trainer for flag in FLAGS)


def test_flags_put_what_the_prediction_leans_to_first():
    kept, dropped = dict(flags_for((), "keep")), dict(flags_for((), "drop"))
    assert kept["TRL"].startswith('keep: scale_rewards="group"')
    assert dropped["TRL"].startswith('drop: scale_rewards="none"')


def test_every_trainer_with_a_preset_has_a_flag():
    starts = tuple(start for flag in FLAGS for start in flag.formats)
    # Conventions of papers and of this package, which are no trainer's.
    others = {"grpo", "none", "reinforce", "batch", "rloo", "dr_grpo", "dr_grpo_std", "lite_ppo"}
    assert {name for name in PRESETS if not name.startswith(starts)} == others


def test_defaults_of_the_flags_are_those_of_the_presets():
    spreads = {"group": "keep", "leave-one-out": "keep", "batch": "batch", "none": "drop"}
    for flag in FLAGS:
        name = {"tinker": "tinker_cookbook"}.get(flag.formats[0], flag.formats[0])
        if flag.trainer != "OpenRLHF":  # whose default is no group method
            assert spreads[PRESETS[name].spread] == flag.default, flag.trainer
