"""Claims about several prompts and a step: the search finds what is known, and what it stores can be replayed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from curvature import LogLinearBandit, moments
from curvature._prompt_space import PromptSpace, Shape
from curvature._search import Search
from curvature.adversary import Inequality, Prompts, StepClaim, WorstCase, worst_case
from curvature.assumptions import check_cross_prompt, scale_regularity
from curvature.geometry import feature_diameter, spectral_norm
from curvature.interference import overlap_matrix
from curvature.ledger import inequalities
from curvature.ledger.step_claims import ATTACKS, needed_constants
from curvature.ledger.step_evidence import known_instances

SMALL = {"num_prompts": 2, "num_responses": 2, "dimension": 1, "starts": 60, "restarts": 1}


def never_harms(prompts, step):
    before, gain = prompts.expected_reward, prompts.gain(step * prompts.ascent(1.0))
    return before.mean(axis=1), (before + gain).mean(axis=1)


def never_harms_one(bandit, theta, step):
    at = moments(bandit, theta)
    return at.expected_reward.mean(), moments(
        bandit, theta + step * at.gradient.sum(0)
    ).expected_reward.mean()


HARMLESS = StepClaim("a step of REINFORCE never harms the mean", never_harms, steps=(0.1, 100.0))
HARMLESS_ONE = StepClaim.of_bandits(HARMLESS.name, never_harms_one, steps=(0.1, 100.0))


def search(claim=HARMLESS, **options):
    return worst_case(claim, **SMALL | options)


# The view of many instances


@pytest.fixture
def bandit():
    return LogLinearBandit.gaussian(6, 4, 3, rewards="gaussian", seed=3)


def test_view_of_instances_agrees_with_the_public_functions_one_by_one(bandit):
    theta = np.array([0.3, -0.2, 1.0])
    prompts = Prompts(bandit, 3, theta)
    step = prompts.ascent(1 / prompts.reward_std)
    gains, lengths = prompts.gain(step), prompts.shift_norm(step)
    assert prompts.num_instances == 2
    for index in range(2):
        one = bandit.select(range(3 * index, 3 * index + 3))
        at = moments(one, theta)
        assert_allclose(step[index], (at.gradient / at.reward_std[:, None]).sum(axis=0))
        after = moments(one, theta + step[index]).expected_reward
        assert_allclose(gains[index], after - at.expected_reward, atol=1e-13)
        assert_allclose(prompts.overlap[index], overlap_matrix(one), atol=1e-12)
        assert_allclose(prompts.diameter[index], feature_diameter(one))
        assert_allclose(prompts.spectral_norm[index], spectral_norm(one))
        assert_allclose(lengths[index], np.linalg.norm(step[index]))  # four responses span all of R³


def test_gain_of_several_steps_is_that_of_each(bandit):
    prompts = Prompts(bandit, 3)
    steps = np.random.default_rng(0).standard_normal((2, 5, 3))
    assert_allclose(prompts.gain(steps)[:, 2], prompts.gain(steps[:, 2]))
    with pytest.raises(ValueError, match=r"displacement has shape \(3,\)"):
        prompts.gain(np.zeros(3))


def test_gain_of_a_tiny_step_has_its_slope_to_full_precision(bandit):
    prompts = Prompts(bandit, 3)
    step = 1e-12 * prompts.ascent(1.0)
    assert_allclose(prompts.gain(step), np.einsum("mnd,md->mn", prompts.gradient, step), rtol=1e-9)


def test_constants_of_a4_and_a5_are_those_of_the_checks():
    one = LogLinearBandit.two_arm([0.5, 0.2, 0.9], overlap=0.4)
    M, R1, R2 = needed_constants(Prompts(one, 3))
    scales = scale_regularity(one, np.zeros(one.dimension))
    assert_allclose(M[0, 0], check_cross_prompt(one, np.zeros(one.dimension)).constant)
    assert_allclose([R1[0, 0], R2[0, 0]], [scales.gradient_ratio, scales.std_ratio])
    apart = LogLinearBandit(one.features, 1 - one.rewards * [[1], [0], [0]], one.base_logits)
    assert np.isinf(needed_constants(Prompts(apart, 3))[0]).all() == np.isinf(
        check_cross_prompt(apart, np.zeros(one.dimension)).constant
    )


# Claims


def test_claim_of_bandits_measures_what_the_claim_of_many_does():
    bandit = LogLinearBandit.gaussian(4, 3, 2, seed=1)
    steps = np.array([[0.5], [20.0]])
    assert_allclose(
        HARMLESS.ratios(Prompts(bandit, 2), steps), HARMLESS_ONE.ratios(Prompts(bandit, 2), steps), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("left", "right", "ratio"),
    [
        (1.0, 2.0, 0.5),
        (3.0, 2.0, 1.5),
        (1.0, 0.0, np.inf),
        (1.0, -1.0, np.inf),
        (1e-12, -1e-12, 0.0),
        (-1.0, -2.0, np.inf),
    ],
)
def test_ratio_of_two_sides(left, right, ratio):
    claim = StepClaim("by hand", lambda prompts, step: (left, right))
    assert claim.ratio(LogLinearBandit.two_arm([0.5, 0.5]), np.zeros(2)) == ratio


def test_instance_the_claim_is_not_made_for_is_no_evidence():
    bandit, theta = LogLinearBandit.two_arm([0.5, 0.5]), np.zeros(2)
    half = StepClaim("half", lambda prompts, step: (np.array([[np.nan, 1.0]]), np.array([[1.0, 4.0]])))
    assert half.ratio(bandit, theta) == 0.25
    assert np.isnan(StepClaim("none", lambda prompts, step: (np.nan, 1.0)).ratio(bandit, theta))


def test_wrong_steps_and_shapes_are_named():
    bandit = LogLinearBandit.two_arm([0.5, 0.5])
    with pytest.raises(ValueError, match="never harms the mean needs a step, got None"):
        HARMLESS.ratio(bandit, np.zeros(2))
    with pytest.raises(ValueError, match="T1 takes no step"):
        ATTACKS["T1"].claim.ratio(bandit, np.zeros(2), 1.0)
    with pytest.raises(ValueError, match=r"steps is \(0.0, 1.0\)"):
        replace(HARMLESS, steps=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"a side of odd has shape \(3,\)"):
        StepClaim("odd", lambda prompts, step: (np.zeros(3), 1.0)).ratio(bandit, np.zeros(2))
    with pytest.raises(ValueError, match="visible is -1"):
        replace(HARMLESS, visible=-1.0)


# The search


def test_false_claim_is_broken_and_stored_bit_for_bit():
    found = search()
    assert found.ratio > 1.5  # too long a step overshoots
    again = WorstCase.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert again.replay(HARMLESS) == found.ratio
    assert 0.1 <= found.step <= 100 * (1 + 1e-12)


def test_old_files_without_step_and_stages_are_read():
    stored = search(inequalities.CURVATURE_BY_STD, num_prompts=1).to_dict()
    del stored["stages"]
    old = WorstCase.from_dict(stored)
    assert (old.step, old.stages) == (None, ())
    assert old.replay(inequalities.CURVATURE_BY_STD) == old.ratio


def test_trace_says_after_each_stage_how_far_the_search_was():
    found = search(generations=3, restarts=2)
    names = [stage.name for stage in found.stages]
    assert names == ["sample", "climb", "evolution", "climb"] * 2 + ["polish"]
    assert found.trace == tuple(stage.ratio for stage in found.stages)
    assert all(np.diff(found.trace) >= 0)
    assert all(np.diff([stage.evaluations for stage in found.stages]) > 0)
    assert found.evaluations == found.stages[-1].evaluations
    assert_allclose(found.ratio, found.trace[-1], rtol=1e-9)


def test_workers_change_nothing_and_the_seed_does():
    claim = ATTACKS["C1-step"].claim  # of module-level functions, so that it can be sent
    options = {"num_responses": (2, 3), "overlap": 0.0, "rewards": "binary", "generations": 2, "starts": 20}
    assert search(claim, workers=2, **options) == search(claim, **options)
    assert search(claim, seed=1, **options).trace != search(claim, **options).trace


def test_search_begins_where_it_is_told():
    claim = ATTACKS["B1"].claim
    known = known_instances()["B1"]
    options = {"dimension": 2, "rewards": "real", "overlap": None, "starts": 1, "polish": False}
    assert search(claim, begin=[known], **options).ratio >= known.ratio * (1 - 1e-9)
    assert search(claim, **options).trace[0] < known.ratio


def test_held_overlap_is_the_overlap_of_what_is_found():
    for overlap in (0.0, 0.5):
        found = search(overlap=overlap, num_responses=3)
        assert_allclose(overlap_matrix(found.bandit)[0, 1], overlap, atol=1e-12)


def test_uniform_base_has_a_theta_and_no_base_logits():
    found = search(base="uniform")
    assert not found.bandit.base_logits.any()
    assert found.theta.any()
    assert found.replay(HARMLESS) == found.ratio


@pytest.mark.parametrize("base", ["free", "uniform"])
@pytest.mark.parametrize("overlap", [None, 0.3])
def test_point_encodes_the_instance_that_it_stands_for(base, overlap):
    space = PromptSpace(HARMLESS, Shape(2, 3, 2, overlap), rewards="binary", base=base)
    points, patterns = space.sample(np.random.default_rng(0), 5)
    for point, pattern in zip(points, patterns, strict=True):
        bandit, theta, step = space.instance(point, pattern)
        back = space.encode(bandit, theta, step)
        assert back is not None
        ratio = HARMLESS.ratio(bandit, theta, step)
        assert_allclose(space.ratios(back[0][None], back[1][None]), ratio, rtol=1e-9)
    assert space.encode(LogLinearBandit.two_arm([0.5]), np.zeros(1), 1.0) is None


@pytest.mark.parametrize("name", ["T1", "T2", "C1-step", "thm-3.1-gain", "thm-3.2-gain"])
def test_short_search_finds_the_worst_step_known_from_nothing(name):
    attack = ATTACKS[name]
    found = search(attack.claim, num_prompts=1, overlap=0.0, rewards=attack.rewards)
    assert_allclose(found.ratio, known_instances()[name].ratio, rtol=1e-6)


@pytest.mark.parametrize("name", ATTACKS)
def test_known_instance_replays_to_the_ratio_it_is_stored_with(name):
    known = known_instances()[name]
    assert_allclose(known.replay(ATTACKS[name].claim), known.ratio, rtol=1e-9)
    assert known.ratio <= 1 + 1e-9


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("thm-3.1-gain", 2 * (1 - 1 / (6 * np.sqrt(3)))),
        ("thm-3.3-gain", 2 * (1 - 1 / (6 * np.sqrt(3)))),
        ("thm-3.2-gain", 16 / 3 * (3 - 2 * np.exp(0.25))),
        ("thm-3.4-gain", 16 / 3 * (3 - 2 * np.exp(0.25))),
    ],
)
def test_gains_of_the_paper_hold_with_the_sharper_factors_that_the_ledger_names(name, factor):
    attack = ATTACKS[name]
    sharper = replace(
        attack.claim, sides=lambda prompts, step: scaled(attack.claim.sides(prompts, step), factor)
    )
    found = search(sharper, num_responses=3, dimension=2, overlap=attack.overlap, starts=200)
    assert 0.9 < found.ratio <= 1 + 1e-9


def scaled(sides, factor):
    return factor * np.asarray(sides[0]), sides[1]


def test_ctrl_c_returns_the_best_so_far():
    calls = []

    def sides(prompts, step):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return never_harms(prompts, step)

    found = search(replace(HARMLESS, sides=sides), num_responses=(2, 3))
    assert found.stages[-1].name == "interrupted"
    assert found.ratio == found.replay(HARMLESS)
    assert_allclose(found.ratio, found.trace[-1], rtol=1e-9)


def test_ctrl_c_before_anything_is_found_is_passed_on():
    def sides(prompts, step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(replace(HARMLESS, sides=sides))


def test_progress_is_shown_on_request(capsys):
    search(progress=True, starts=5, polish=False)
    assert "never harms the mean: 100%" in capsys.readouterr().err
    search(starts=5, polish=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_prompts": 0}, "num_prompts is 0"),
        ({"num_responses": ()}, "num_responses is empty"),
        ({"overlap": 1.5}, "overlap is 1.5"),
        ({"generations": -1}, "generations is -1"),
        ({"workers": 0}, "workers is 0"),
        ({"success": 0.5}, "success is 0.5; it can be held only for an Inequality"),
        (
            {"claim": Inequality("L1", lambda *_: (0, 1))},
            "num_prompts is 2; an Inequality is about one prompt",
        ),
    ],
)
def test_bad_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        search(**options)


# How the search climbs


def test_evolution_finds_a_hill_that_climbing_misses():
    def hills(points, patterns):
        distance = np.abs(points - 0.7).max(axis=1)
        return np.where(distance < 0.2, 2 - distance, 0.5 * np.exp(-np.abs(points + 0.7).max(axis=1)))

    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 0, (20, 2))
    climb = Search(hills, np.full(2, -1.0), np.ones(2))
    climb.climb(points[0], np.zeros(1))
    assert climb.best_ratio < 1
    climb.evolve(points, np.zeros(1), 40, rng)
    assert climb.best_ratio > 1.8


def test_central_differences_climb_as_far_as_autodiff():
    torch = pytest.importorskip("torch")
    from scipy.optimize import Bounds, minimize

    def ratio(x):  # L2 for K = 3 at d = 1: features 0, 1 and x₀, logits, rewards
        features = torch.stack([torch.zeros(()), torch.ones(()), x[0]]).double()
        π, r = torch.softmax(x[1:4], 0), x[4:]
        A, w = r - (π * r).sum(), features - (π * features).sum()
        return (π * A * w**2).sum().abs() / (0.25 * (π * A * A).sum().sqrt())

    def value_and_slope(x):
        point = torch.tensor(x, requires_grad=True)
        value = -ratio(point)
        value.backward()
        return value.item(), point.grad.numpy()

    lower, upper = np.array([0.0, *[-15.0] * 3, *[-1.0] * 3]), np.array([1.0, *[15.0] * 3, *[1.0] * 3])
    start = np.array([0.4, 0.5, -0.3, 0.2, 0.9, -0.5, 0.1])
    with_torch = minimize(value_and_slope, start, jac=True, method="TNC", bounds=Bounds(lower, upper))
    ours = Search(lambda points, _: np.array([ratio(torch.tensor(p)).item() for p in points]), lower, upper)
    ours.climb(start, np.zeros(1))
    assert min(ours.best_ratio, -with_torch.fun) > 0.9999
