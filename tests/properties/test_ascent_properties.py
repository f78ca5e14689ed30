"""What must hold on every run, on bandits that hypothesis draws."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curvature import moments
from curvature.ascent import METHODS, LineSearch, ascend
from curvature.testing import bandits, bandits_with_theta

METHOD = st.sampled_from(sorted(METHODS))
RULE = st.one_of(
    st.sampled_from(["certified", "certified_width"]),
    st.sampled_from([0.1, 1.0, 10.0]),
    st.just(LineSearch(initial=10.0)),
)
PROMISES = ("expected_reward", "certified_gain", "certified_gain_width")
ROUNDING = 1e-12


@given(
    drawn=bandits_with_theta(max_prompts=4),
    method=METHOD,
    rule=st.sampled_from(["certified", "certified_width"]),
)
def test_certified_steps_never_lower_the_expected_reward(drawn, method, rule):
    bandit, theta = drawn
    trace = ascend(bandit, method, step=rule, num_steps=15, theta0=theta, record=("expected_reward",))
    gain = np.diff(trace["expected_reward"][0])
    assert (gain[np.isfinite(gain)] >= -ROUNDING).all()
    assert len(gain) == np.isfinite(gain).sum() or trace.diverged[0]


@given(
    drawn=bandits_with_theta(max_prompts=4),
    method=METHOD,
    rule=RULE,
    prompts=st.sampled_from(["all", "one"]),
    group_size=st.sampled_from([None, 2, 5]),
    seed=st.integers(0, 2**64 - 1),
)
def test_every_update_gains_what_b1_promises_whatever_chose_it(
    drawn, method, rule, prompts, group_size, seed
):
    bandit, theta = drawn
    if method == "interference" and prompts == "one":
        group_size = None
    trace = ascend(
        bandit,
        method,
        step=rule,
        num_steps=8,
        theta0=theta,
        prompts=prompts,
        group_size=group_size,
        seeds=seed,
        record=PROMISES,
    )
    gain = np.diff(trace["expected_reward"][0])
    gain = gain[np.isfinite(gain)]
    for promise in PROMISES[1:]:
        assert (gain >= trace[promise][0, : len(gain)] - ROUNDING).all(), promise


@given(bandit=bandits(max_prompts=4), method=METHOD)
def test_the_width_certifies_at_least_what_the_diameter_does(bandit, method):
    trace = ascend(bandit, method, step=0.5, num_steps=5, record=PROMISES)
    diameter, width = (trace[name][0, :-1] for name in PROMISES[1:])
    finite = np.isfinite(diameter)  # −inf where a step is so long that its promise overflows
    assert (width[finite] - diameter[finite] >= -ROUNDING * (1 + np.abs(diameter[finite]))).all()


@given(drawn=bandits_with_theta(max_prompts=4))
def test_recorded_moments_keep_their_relative_accuracy(drawn):
    bandit, theta = drawn
    record = ("expected_reward_by_prompt", "reward_std_by_prompt", "gradient_norm_by_prompt")
    trace = ascend(bandit, step=1.0, num_steps=0, theta0=theta, record=record)
    at = moments(bandit, theta)
    reward, std, norm = (trace[name][0, 0] for name in record)
    np.testing.assert_allclose(reward, at.expected_reward, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(std, at.reward_std, rtol=1e-9, atol=1e-140)
    scale = at.reward_std * np.abs(bandit.features).max()
    assert (np.abs(norm - np.linalg.norm(at.gradient, axis=-1)) <= 1e-12 * scale + 1e-300).all()


@given(bandit=bandits(), method=METHOD, seed=st.integers(0, 99), group_size=st.sampled_from([None, 1, 3]))
def test_a_run_is_the_same_beside_others(bandit, method, seed, group_size):
    options = {"step": 0.7, "num_steps": 4, "group_size": group_size, "record": ("theta",)}
    alone = ascend(bandit, method, seeds=seed, **options)
    among = ascend(bandit, method, seeds=[*range(17), seed, *range(17)], **options)
    assert among["theta"][17].tobytes() == alone["theta"][0].tobytes()
