"""The numbers that `curvature diagnose` decides by, at profiles instead of a log."""

import numpy as np
import pytest
from scipy.stats import beta

from curvature.flow import predicted_speedup, time_to_target
from curvature.groups import effective_weight
from experiments import should_i_divide as experiment


@pytest.mark.parametrize("name", experiment.PROFILES)
def test_profiles_have_the_mean_of_their_beta_distribution(name):
    assert experiment.profile_of(name, 64).mean() == pytest.approx(
        beta.mean(*experiment.PROFILES[name][0]), abs=0.01
    )


def test_groups_of_two_and_three_are_no_normalisation():
    p = experiment.profile_of("mixed: Beta(.5, .5)", 16)
    for G in (2, 3):
        assert list(experiment.predictions(p, G).values()) == pytest.approx([1.0] * 3, abs=5e-3)


def test_very_large_groups_have_the_factor_of_the_exact_std():
    p = experiment.profile_of("hard, spread: Beta(.4, 3.6)", 16).clip(0.01, 0.99)
    exact = predicted_speedup(p, (1 + p.mean()) / 2).across_prompts[0]
    assert experiment.predictions(p, 4000)["prompts"] == pytest.approx(exact, rel=0.03)


def test_one_rms_advantage_is_the_ratio_of_two_flows_at_steps_of_equal_rms():
    p, G = np.array([0.05, 0.1, 0.4]), 8
    goal = (1 + p.mean()) / 2
    rms = [np.sqrt((1 - 1 / G) * np.mean(p * (1 - p))), np.sqrt(np.mean(1 - p**G - (1 - p) ** G))]
    steps = [
        time_to_target(p, goal, method=lambda q: np.full(np.shape(q), 1 - 1 / G), step_rule=1 / rms[0]),
        time_to_target(p, goal, method=lambda q: effective_weight(q, G), step_rule=1 / rms[1]),
    ]
    assert experiment.predictions(p, G)["matched"] == pytest.approx(steps[0] / steps[1], rel=5e-3)


def test_sampled_runs_confirm_the_prediction_at_one_rms_advantage():
    p = experiment.profile_of("hard and alike: Beta(4, 36)", 32)
    predicted = experiment.predictions(p, 16)["matched"]
    mean, low, high = experiment.measure(p, 16, np.arange(8))
    assert low < mean < high < 0.9
    assert mean == pytest.approx(predicted, rel=0.03)  # the flow is the limit of short steps
