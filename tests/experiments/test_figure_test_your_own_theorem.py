"""The conjecture is false as drawn: the counterexample is real, small and kept; predictions are measurements."""

import numpy as np
import pytest

from curvature import LogLinearBandit, moments
from curvature.testing import replay
from experiments import test_your_own_theorem as session


@pytest.fixture(scope="module")
def table():
    return session.run(examples=100, points=29, seed=0)


@pytest.fixture(scope="module")
def numbers(table):
    return session.headline(table)


def test_the_kit_finds_shrinks_and_keeps_a_counterexample(tmp_path):
    kept = session.counterexample(tmp_path, examples=100, seed=0)
    (path,) = tmp_path.iterdir()
    again = replay(path)
    assert again.bandit.to_dict() == kept.bandit.to_dict()
    # Two prompts of two responses are the least that has two directions.
    assert (kept.bandit.num_prompts, kept.bandit.num_responses) == (2, 2)
    u = session.directions(again.bandit, again.theta)
    step = float(again.values["step"])
    gains = [session.gain(again.bandit, again.theta, step * u[name]) for name in session.METHODS]
    assert gains == [again.facts["bound"], again.facts["measured"]]
    assert gains[1] < (1 - session.MARGIN) * gains[0]


def test_a_conjecture_that_holds_is_not_refuted(monkeypatch, tmp_path):
    # With one direction for both methods the two gains are the same number.
    monkeypatch.setattr(
        session, "directions", lambda bandit, theta: dict.fromkeys(session.METHODS, np.ones_like(theta))
    )
    with pytest.raises(RuntimeError, match="20 bandits obey the conjecture"):
        session.counterexample(tmp_path, examples=20, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_short_steps_gain_the_cosine_of_the_directions(table, numbers):
    assert numbers["orthogonal, largest error of the cosine"] < 1e-3
    assert numbers["overlap ½, agreeing, largest error of the cosine"] < 1e-3
    assert numbers["overlap 0.9, opposing, largest error of the cosine"] < 5e-3
    short = table[(table["panel"] == "short") & (table["kind"] == "measured")]
    same = np.isclose(short["x"], 0.5)
    # Up to curvature: the conjecture fails wherever the stds differ, and is an equality where they do not.
    assert (short["y"][~same] < 1).all()
    np.testing.assert_allclose(short["y"][same], 1, rtol=1e-9)


def test_cosine_of_the_pairs_is_that_of_the_bandit():
    for overlap, sign in session.PAIRS.values():
        bandit = session.pair(np.array([0.5, 0.07]), overlap, sign)
        u = session.directions(bandit, np.zeros(bandit.dimension))
        expected = float(u["REINFORCE"] @ u["GRPO"])
        assert session.predicted_ratio(np.array([0.5, 0.07]), overlap, sign) == pytest.approx(expected)


def test_orthogonal_pairs_lose_at_most_two_and_a_half_per_cent():
    # The cosine of (V₁, V₂) and (σ₁, σ₂) over all ratios σ₂/σ₁ = t: (1 + t³)/√((1 + t⁴)(1 + t²)).
    t = np.linspace(0, 1, 10_001)
    cosine = (1 + t**3) / np.sqrt((1 + t**4) * (1 + t**2))
    σ = t / 2
    p = (1 - np.sqrt(1 - 4 * σ**2)) / 2
    ours = session.predicted_ratio(np.stack([np.full(p.size - 1, 0.5), p[1:]], axis=-1), 0.0, 1)
    np.testing.assert_allclose(ours, cosine[1:], rtol=1e-9)
    assert cosine.min() == pytest.approx(0.97517, abs=1e-5)


def test_cumulants_are_the_derivatives_along_the_direction():
    bandit = LogLinearBandit.gaussian(3, 4, 3, rewards="gaussian", seed=5)
    theta, u = np.array([0.3, -0.2, 0.1]), np.array([2.0, -1.0, 2.0]) / 3
    h = 1e-2
    at = np.array([
        float(bandit.prompt_weights @ moments(bandit, theta + k * h * u).expected_reward)
        for k in range(-3, 4)
    ])
    # Central differences of order 4 to 6.
    first = at @ [-1, 9, -45, 0, 45, -9, 1] / (60 * h)
    second = at @ [2, -27, 270, -490, 270, -27, 2] / (180 * h**2)
    third = at @ [1, -8, 13, 0, -13, 8, -1] / (8 * h**3)
    np.testing.assert_allclose(session.cumulants(bandit, theta, u), [first, second, third], rtol=1e-5)


def test_gains_along_the_step_follow_the_prediction_while_it_is_short(table):
    along = table[(table["panel"] == "along") & (table["x"] < 0.5)].set_index(["kind", "series", "x"])["y"]
    measured, predicted = along["measured"].align(along["predicted"], join="inner")
    assert len(measured) >= 10
    np.testing.assert_allclose(predicted, measured, rtol=1e-3)


def test_the_step_from_which_grpo_gains_as_much_is_found_by_both_routes(table, numbers):
    assert numbers["reach, largest relative error"] < 1e-8
    bandit, theta = session.pair(np.array([0.5, 0.1])), np.zeros(2)
    reach = session.measured_reach(bandit, theta)
    u = session.directions(bandit, theta)
    leads = [
        session.gain(bandit, theta, s * reach * u["GRPO"])
        - session.gain(bandit, theta, s * reach * u["REINFORCE"])
        for s in (0.5, 2.0)
    ]
    assert leads[0] < 0 < leads[1]
    assert np.isnan(session.measured_reach(session.pair(np.array([0.3, 0.3])), theta))


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="points is 3; a whole number of at least 5 is needed"):
        session.run(points=3)
