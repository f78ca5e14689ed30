"""The probe as a whole, on random models that cost nothing."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from curvature.lm.probe import ProbeResult, fisher_correlations, probe
from curvature.lm.tasks import arithmetic
from curvature.lm.tiny import tiny_policy

N, G = 4, 6


def drawn(policy, questions, seed=0):
    """Random completions in the shape of Samples: derivatives do not ask where they come from."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(3, 60, size=rng.integers(1, 6)) for _ in range(len(questions) * G)]
    return SimpleNamespace(
        question=np.repeat(np.arange(len(questions)), G),
        prompt_ids=[np.array(policy.encode(question.prompt)) for question in questions],
        completion_ids=rows,
        texts=["" for _ in rows],
        finished=np.arange(len(rows)) % 3 > 0,
    )


@pytest.fixture(scope="module")
def policy():
    return tiny_policy(width=16, layers=2, seed=1)


@pytest.fixture(scope="module")
def questions():
    return arithmetic(N, seed=0).questions


@pytest.fixture(scope="module")
def rewards():
    fixed = np.random.default_rng(1).integers(2, size=(N, G)).astype(float)
    fixed[1] = 1  # a silent group
    return fixed


def run(policy, questions, graded, **changes):
    settings = {"group_size": G, "samples": drawn(policy, questions), "rewards": graded, "temperature": 0.9}
    return probe(policy, questions, **(settings | changes))


@pytest.fixture(scope="module")
def found(policy, questions, rewards):
    return run(policy, questions, rewards)


def test_probe_measures_everything_and_leaves_the_policy_as_it_was(policy, questions, rewards):
    before = {name: value.clone() for name, value in policy.model.state_dict().items()}
    asked = [value.requires_grad for value in policy.model.parameters()]
    found = run(policy, questions, rewards)
    assert found.inner.shape == (N, N)
    assert found.q.shape == found.slopes.shape == (3, N, G)
    assert found.directions == ("random_0", "random_1", "mean_gradient")
    assert found.config["parameters"] == "last_layer"
    assert all(torch.equal(value, before[name]) for name, value in policy.model.state_dict().items())
    assert [value.requires_grad for value in policy.model.parameters()] == asked
    assert all(value.grad is None for value in policy.model.parameters())


def test_silent_group_has_no_gradient_and_no_curvature_but_a_coefficient(found):
    assert found.inner[1].tolist() == [0] * N
    at = found.prompt_curvature("random_0")
    assert at.curvature[1] == pytest.approx(0, abs=1e-9)
    assert at.coefficient[1] > 0
    assert np.isnan(at.curvature_interval[1]).all()
    assert found.gradients().num_live == N - 1


def test_micro_batches_change_nothing_but_rounding(policy, questions, rewards, found):
    small = run(policy, questions, rewards, micro_batch_tokens=1)
    np.testing.assert_allclose(small.q, found.q, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(small.inner, found.inner, rtol=1e-5)


def test_slope_along_the_mean_gradient_is_the_inner_product_with_the_other_fold(found):
    # Σ_k w_k⟨u, s_k⟩ = ⟨u, ĝ_i⟩ and u ∝ Σ ĝ_j over the fold that i is not in
    from curvature.lm._gradients import leave_one_out_weights

    for i in range(N):
        other = np.arange(N) % 2 != i % 2
        length = np.sqrt(found.inner[np.ix_(other, other)].sum())
        w = leave_one_out_weights(found.rewards[i])
        assert w @ found.slopes[2, i] == pytest.approx(
            found.inner[i, other].sum() / length, rel=1e-3, abs=1e-5
        )


def test_sketch_leaves_curvature_alone_and_inner_products_close(policy, questions, rewards, found):
    sketched = run(policy, questions, rewards, sketch=1 << 15)
    np.testing.assert_allclose(sketched.q, found.q, rtol=1e-6)
    scale = np.sqrt(np.outer(np.diag(found.inner), np.diag(found.inner)))[[0, 2, 3]][:, [0, 2, 3]]
    difference = (sketched.inner - found.inner)[[0, 2, 3]][:, [0, 2, 3]]
    assert (abs(difference) < 0.05 * scale).all()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft, of transformers
def test_adapters_are_probed_by_themselves(questions, rewards):
    pytest.importorskip("peft")
    from curvature.lm.policy import LoraSettings, load_policy

    base = tiny_policy(width=16, layers=2, seed=1)
    adapted = load_policy((base.model, base.tokenizer), lora=LoraSettings(rank=2, alpha=4))
    found = run(adapted, questions, rewards, directions=1)
    assert found.config["parameters"] == "lora"
    assert found.config["num_probed"] == sum(value.numel() for _, value in adapted.trainable())
    assert np.isfinite(found.q).all()
    assert (found.score_squared_norm > 0).all()


def test_json_brings_back_the_measurements_and_holds_no_bare_nan(found):
    text = found.to_json()
    assert "NaN" not in text
    again = ProbeResult.from_json(text)
    assert again.keys == found.keys
    assert again.directions == found.directions
    for name in ("rewards", "inner", "inner_halves", "squared_norm", "q", "slopes", "batch_fisher"):
        np.testing.assert_allclose(getattr(again, name), getattr(found, name), rtol=1e-7)
    assert again.finished.dtype == bool
    assert json.loads(text)["summary"]["gradients"]["num_live"] == N - 1
    with pytest.raises(ValueError, match="no probe"):
        ProbeResult.from_json('{"format": "something"}')


def test_probe_without_directions_survives_json(policy, questions, rewards):
    found = run(policy, questions[:1], rewards[:1], directions=0, samples=drawn(policy, questions[:1]))
    assert found.directions == ()
    assert ProbeResult.from_json(found.to_json()).q.shape == (0, 1, G)
    assert np.isnan(found.gradients().raw_mean)


def test_fisher_batch_is_what_the_scores_make_of_it(found):
    # E over independent signs aside, B‖(1/B)Σs‖² lies between 0 and the mean of B‖s‖²
    assert (found.batch_fisher >= 0).all()
    assert (found.batch_fisher <= N * found.score_squared_norm.mean(axis=0) + 1e-9).all()


def test_fisher_correlations_tell_same_iterations_from_different_ones(found):
    # traces that follow the variance of their own iteration and nothing else
    rng = np.random.default_rng(0)
    checkpoints = []
    for step in range(6):
        rewards = (rng.random((N, G)) < rng.random((N, 1))).astype(float)
        trace = np.repeat(rewards.var(axis=1, ddof=1, keepdims=True), G, axis=1) + 1
        config = found.config | {"step": step}
        checkpoints.append(
            replace(
                found, config=config, rewards=rewards, score_squared_norm=trace, batch_fisher=trace.mean(0)
            )
        )
    of = fisher_correlations(checkpoints)
    assert of.prompts_same.value == pytest.approx(1)
    assert of.prompts_same.num_points == 6 * N
    assert of.prompts_different.num_points == 30 * N
    assert abs(of.prompts_different.value) < 0.6
    assert of.batches_same.value == pytest.approx(1)
    with pytest.raises(ValueError, match="there are 1 probes"):
        fisher_correlations(checkpoints[:1])
    with pytest.raises(ValueError, match="different questions"):
        fisher_correlations([found, replace(found, keys=("a", "b", "c", "d"))])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"group_size": 3}, "group_size is 3"),
        ({"rewards": np.ones(5)}, r"rewards have shape \(5,\)"),
        ({"group_size": 5}, "samples hold 24 completions"),
        ({"parameters": "nonesuch"}, "nonesuch"),
        ({"directions": -1}, "-1 directions"),
    ],
)
def test_bad_arguments_are_named_before_any_work(policy, questions, rewards, changes, match):
    with pytest.raises(ValueError, match=match):
        run(policy, questions, rewards, **changes)


def test_without_a_task_nothing_says_what_is_right(policy, questions):
    with pytest.raises(ValueError, match="no task, grader or rewards"):
        run(policy, questions, None)
