"""The loop steps along the gradient it says, arms differ by their advantages alone, a bad run ends with a reason."""

import argparse
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("transformers")
pytest.importorskip("pyarrow")

import pyarrow.parquet as pq
import torch

from curvature import _lm_command, _workers
from curvature.lm import _loop
from curvature.lm._order import questions_of_step
from curvature.lm.arms import ARMS
from curvature.lm.config import TrainConfig
from curvature.lm.grid import best_learning_rates, expand, run_grid, run_name
from curvature.lm.policy import load_policy
from curvature.lm.sampling import sample_groups
from curvature.lm.tasks import arithmetic
from curvature.lm.train import policy_at, train
from curvature.rollouts import diagnose, read_rollouts
from tests.lm.training_kit import contents, numbers, processes, results, with_policy


@pytest.fixture(autouse=True)
def one_thread():
    """Sums are added up in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _command(*arguments):
    """What `curvature lm` would do."""
    parser = argparse.ArgumentParser()
    _lm_command.add_arguments(parser)
    return _lm_command.run(parser.parse_args(list(map(str, arguments))))


def _gradient_by_hand(folder, config):
    """mean_i w_i·A_i·∇ log π(y_i) by whole logits, one answer at a time, rewards and advantages of our own."""
    policy = load_policy(str(folder))
    task = arithmetic(**{**config.task_options, "digits": (1, 1)})
    questions = [
        task.questions[i]
        for i in questions_of_step(len(task), config.prompts_per_step, seed=config.seed, step=0)
    ]
    samples = sample_groups(
        policy,
        questions,
        group_size=config.group_size,
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        seed=config.seed,
        step=0,
    )
    rewards = np.array([
        float(done and text.strip() == questions[q].answer)
        for q, text, done in zip(samples.question, samples.texts, samples.finished, strict=True)
    ])
    total = torch.zeros(())
    tokens = sum(len(ids) for ids in samples.completion_ids)
    for row, ids in enumerate(samples.completion_ids):
        group = rewards[samples.question == samples.question[row]]
        if group.std() == 0:
            continue
        advantage = (rewards[row] - group.mean()) / group.std()
        prompt = policy.encode(questions[samples.question[row]].prompt)
        whole = torch.tensor([[*prompt, *map(int, ids)]])
        logits = policy.model(whole).logits[0, len(prompt) - 1 : -1] / config.temperature
        log_prob = torch.log_softmax(logits, -1)[torch.arange(len(ids)), whole[0, len(prompt) :]].sum()
        weight = {
            "sequence": 1 / len(rewards),
            "length": 1 / len(rewards) / len(ids),
            "token": 1 / tokens,
            "dr_grpo": 1 / len(rewards) / config.max_new_tokens,
        }[config.loss]
        total = total + weight * advantage * log_prob
    total.backward()
    return {name: value.grad for name, value in policy.trainable()}


@pytest.mark.parametrize(
    ("loss", "temperature"),
    [("sequence", 1.0), ("sequence", 0.8), ("length", 1.0), ("token", 1.0), ("dr_grpo", 1.0)],
)
def test_a_step_of_sgd_goes_along_the_gradient_computed_by_hand(taught, tmp_path, loss, temperature):
    config = with_policy(
        taught,
        steps=1,
        optimizer="sgd",
        learning_rate=1.0,
        loss=loss,
        temperature=temperature,
        micro_batch_tokens=50,
    )
    expected = _gradient_by_hand(taught, config)
    before = load_policy(str(taught)).state()
    train(config, tmp_path / "run", progress=False)
    after = policy_at(tmp_path / "run").state()
    norm = math.sqrt(sum(float((grad**2).sum()) for grad in expected.values()))
    assert norm > 1e-3
    for name, grad in expected.items():
        torch.testing.assert_close(after[name] - before[name], grad, rtol=1e-4, atol=2e-6 * max(norm, 1))
    assert numbers(tmp_path / "run")[0]["grad_norm"] == pytest.approx(norm, rel=1e-4)


def test_clipping_shortens_the_step_and_not_the_norm_that_is_reported(taught, tmp_path):
    config = with_policy(taught, steps=1, optimizer="sgd", learning_rate=1.0)
    moved = {}
    for limit in (None, 1e-3):
        place = tmp_path / str(limit)
        train(replace(config, max_grad_norm=limit), place, progress=False)
        before, after = load_policy(str(taught)).state(), policy_at(place).state()
        moved[limit] = math.sqrt(sum(float(((after[n] - before[n]) ** 2).sum()) for n in before))
    norms = [numbers(tmp_path / str(limit))[0]["grad_norm"] for limit in moved]
    assert norms[0] == norms[1] == pytest.approx(moved[None], rel=1e-3)
    assert moved[1e-3] == pytest.approx(1e-3, rel=1e-2)


def test_arms_of_one_seed_share_questions_and_first_batch_and_differ_by_the_advantage(taught, tmp_path):
    tables, gradients = {}, {}
    for arm in ARMS:
        config = with_policy(taught, steps=1, arm=arm, optimizer="sgd", learning_rate=1.0)
        train(config, tmp_path / arm, progress=False)
        tables[arm] = pq.read_table(tmp_path / arm / "rollouts" / "step_00000.parquet")
        before, after = load_policy(str(taught)).state(), policy_at(tmp_path / arm).state()
        gradients[arm] = torch.cat([(after[name] - before[name]).flatten() for name in before])
    none = tables["none"]
    assert set(none.column_names) == {
        "step",
        "group",
        "reward",
        "advantage",
        "length",
        "truncated",
        "logprob",
    }
    for arm in ARMS[1:]:
        assert tables[arm].drop("advantage") == none.drop("advantage")
        assert not np.allclose(tables[arm]["advantage"], none["advantage"])
    # One divisor for the batch changes the length of the gradient and nothing else.
    ratio = gradients["batch"].norm() / gradients["none"].norm()
    torch.testing.assert_close(gradients["batch"], ratio * gradients["none"], rtol=1e-3, atol=1e-5)
    cosine = torch.nn.functional.cosine_similarity(gradients["group"], gradients["none"], dim=0)
    assert cosine < 0.9999
    matched = torch.nn.functional.cosine_similarity(gradients["group"], gradients["group_matched"], dim=0)
    assert matched == pytest.approx(1, abs=1e-5)


def test_the_order_of_questions_does_not_depend_on_the_arm_and_covers_them_evenly(taught, tmp_path):
    order = {}
    for arm in ("none", "variance"):
        train(with_policy(taught, arm=arm, learning_rate=1e-2), tmp_path / arm, progress=False)
        files = sorted((tmp_path / arm / "rollouts").iterdir())
        order[arm] = [list(dict.fromkeys(pq.read_table(path)["group"].to_pylist())) for path in files]
    assert order["none"] == order["variance"]
    first_epoch = [key for step in order["none"][:5] for key in step]
    assert len(set(first_epoch)) == len(first_epoch) == 40
    assert order["none"][5] != order["none"][0]
    other = questions_of_step(40, 8, seed=1, step=0)
    assert list(other) != list(questions_of_step(40, 8, seed=0, step=0))


def test_training_raises_the_reward(taught, tmp_path):
    """Not by chance: means over five steps, which ask every question once, are four standard errors apart."""
    train(with_policy(taught, steps=100, checkpoint_every=100, learning_rate=1e-3), tmp_path, progress=False)
    epochs = np.array([row["reward_mean"] for row in numbers(tmp_path)]).reshape(20, 5).mean(axis=1)
    first, last = epochs[:4], epochs[-4:]
    error = math.sqrt((first.var(ddof=1) + last.var(ddof=1)) / 4)
    assert last.mean() - first.mean() > 4 * error


def test_diagnose_reads_a_run_and_finds_the_convention_of_arm_group(taught, tmp_path):
    train(with_policy(taught, arm="group", steps=10), tmp_path, progress=False)
    log = read_rollouts(tmp_path / "rollouts")
    assert log.num_rollouts == 10 * 48
    assert log.bad_rows == 0
    found = diagnose(log).convention
    assert found.status == "identified"
    assert "grpo" in found.presets
    convention = found.normalization
    assert (convention.spread, convention.baseline, convention.ddof, convention.eps) == (
        "group",
        "mean",
        0,
        0.0,
    )


def test_evaluations_use_held_out_questions_and_the_same_numbers_each_time(taught, tmp_path):
    config = with_policy(
        taught, eval_every=2, eval_questions=10, eval_group_size=3, steps=4, learning_rate=1e-12
    )
    summary = train(config, tmp_path, progress=False)
    rows = numbers(tmp_path)
    assert ["eval_success" in row for row in rows] == [True, False, True, False]
    successes = {rows[0]["eval_success"], rows[2]["eval_success"], summary.evaluation["eval_success"]}
    assert len(successes) == 1  # the policy did not move, and the numbers are the same
    held = {q.key for q in arithmetic(40, digits=(1, 1)).take(10, 0).questions}
    asked = {key for p in (tmp_path / "rollouts").iterdir() for key in pq.read_table(p)["group"].to_pylist()}
    assert not held & asked


def test_a_run_whose_parameters_blow_up_ends_with_a_reason(taught, tmp_path, capsys):
    config = with_policy(taught, optimizer="sgd", learning_rate=1e38, stop_grad_norm=None)
    summary = train(config, tmp_path / "run", progress=False)
    assert summary.reason.startswith("diverged: ")
    assert summary.steps < config.steps
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["reason"] == summary.reason
    assert all(torch.isfinite(value).all() for value in policy_at(tmp_path / "run").state().values())
    (tmp_path / "config.json").write_text(config.to_json())
    assert _command("train", tmp_path / "run", "--config", tmp_path / "config.json") == 3
    assert summary.reason in capsys.readouterr().out


def test_a_gradient_that_is_no_number_ends_the_run_before_the_update(taught, tmp_path, monkeypatch):
    def poisoned(*args):
        found = original(*args)
        if len(calls) == 2:
            return replace(found, norm=math.nan)
        calls.append(None)
        return found

    calls, original = [], _loop.compute_gradient
    monkeypatch.setattr(_loop, "compute_gradient", poisoned)
    summary = train(with_policy(taught), tmp_path, progress=False)
    assert summary.reason == "diverged: the gradient is not finite at step 2"
    assert numbers(tmp_path)[2]["grad_norm"] is None
    assert train(with_policy(taught), tmp_path, progress=False) == summary


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stop_grad_norm": 1e-9}, "diverged: the gradient's norm is .* at step 0, above 1e-09"),
        (
            {"stop_log_prob_gap": 1e-12},
            "diverged: log-probabilities differ by .* at step 0, by more than 1e-12",
        ),
        (
            {"stop_silent_steps": 2, "max_new_tokens": 1},
            "collapsed: no right answer in 2 steps running, at step 1",
        ),
    ],
)
def test_limits_end_a_run_with_what_they_saw(taught, tmp_path, changes, reason):
    summary = train(with_policy(taught, **changes), tmp_path, progress=False)
    assert re.fullmatch(reason, summary.reason)


def test_sampling_and_update_agree_on_log_probabilities(taught, tmp_path):
    train(with_policy(taught), tmp_path, progress=False)
    assert max(row["log_prob_gap"] for row in numbers(tmp_path)) < 1e-4


def test_weights_of_16_bits_learn_by_copies_of_32_and_resume_to_the_same_bits(taught, tmp_path):
    config = with_policy(taught, dtype="bfloat16", learning_rate=1e-5, steps=4, checkpoint_every=2)
    train(config, tmp_path / "whole", progress=False)
    train(config, tmp_path / "parts", progress=False, max_seconds=1e-9)
    while not train(config, tmp_path / "parts", progress=False, max_seconds=1e-9).is_finished:
        pass
    # Paused after every step, the parts have a checkpoint of step 4 alone as the whole has.
    assert results(tmp_path / "parts") == results(tmp_path / "whole")
    from safetensors.torch import load_file

    state = load_file(tmp_path / "whole" / "checkpoints" / "step_00004" / "optimizer.safetensors")
    masters = {name: value for name, value in state.items() if name.endswith("/master")}
    start = load_policy(str(taught), dtype="bfloat16").state()
    assert masters
    assert any(
        (value != start[name.removesuffix("/master")].float()).any() for name, value in masters.items()
    )


def test_adapters_with_dropout_are_all_that_is_trained_and_resume_to_the_same_bits(taught, tmp_path):
    pytest.importorskip("peft")
    config = with_policy(taught, lora_rank=4, lora_alpha=8, lora_dropout=0.2, learning_rate=1e-2, steps=4)
    train(config, tmp_path / "whole", progress=False)
    while not train(config, tmp_path / "parts", progress=False, max_seconds=1e-9).is_finished:
        pass
    assert results(tmp_path / "parts") == results(tmp_path / "whole")
    assert all("lora_" in name for name in policy_at(tmp_path / "whole").state())
    assert (
        numbers(tmp_path / "whole")[2]["log_prob_gap"] > 1e-3
    )  # dropout acts in updates, and not in sampling


def test_schedules_are_in_the_rows(taught, tmp_path):
    config = with_policy(taught, steps=5, warmup_steps=2, schedule="linear", learning_rate=3e-3)
    train(config, tmp_path, progress=False)
    rates = [row["learning_rate"] for row in numbers(tmp_path)]
    assert rates == pytest.approx([1.5e-3, 3e-3, 3e-3, 2e-3, 1e-3])


def test_a_folder_of_another_run_is_refused(taught, tmp_path):
    config = with_policy(taught, steps=1)
    train(config, tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"arm is 'none', but the run in .* has 'group'"):
        train(replace(config, arm="none"), tmp_path, progress=False)
    with pytest.raises(ValueError, match="holds a run already"):
        train(config, tmp_path, progress=False, resume=False)
    with pytest.raises(ValueError, match="has no checkpoint of step 7; there are: 1"):
        policy_at(tmp_path, 7)


def test_too_few_questions_are_refused_before_anything_runs(taught, tmp_path):
    with pytest.raises(ValueError, match="prompts_per_step is 50, but only 40 questions"):
        train(with_policy(taught, prompts_per_step=50), tmp_path / "a", progress=False)
    with pytest.raises(ValueError, match="eval_questions is 41, but the task"):
        train(with_policy(taught, eval_every=1, eval_questions=41), tmp_path / "b", progress=False)
    with pytest.raises(ValueError, match="task is 'sums'; choose one of arithmetic"):
        train(with_policy(taught, task="sums"), tmp_path / "c", progress=False)
    with pytest.raises(ValueError, match=r"task_options is .* which arithmetic does not take"):
        train(with_policy(taught, task_options={"number": 3}), tmp_path / "d", progress=False)


def test_kept_checkpoints_are_those_asked_for(taught, tmp_path):
    config = with_policy(taught, steps=7, checkpoint_every=1, keep_checkpoints=2, keep_every=3)
    train(config, tmp_path, progress=False)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        f"step_{step:05d}" for step in (0, 3, 6, 7)
    ]
    assert sum(len(content) for content in contents(tmp_path, "*.*", "rollouts/*").values()) < 30_000


def test_a_grid_gives_the_same_runs_whatever_the_number_of_workers(taught, tmp_path, monkeypatch):
    # Workers that need not import everything once more.
    monkeypatch.setattr(_workers, "worker_pool", lambda workers: processes().Pool(workers))
    runs = expand(with_policy(taught, steps=2), arms=["none", "group"], learning_rates=[1e-3], seeds=[0])
    alone = run_grid(runs, tmp_path / "one", progress=False, policy=load_policy(str(taught)))
    several = run_grid(runs, tmp_path / "two", workers=2, progress=False)
    assert (
        [s.folder.name for s in alone] == [s.folder.name for s in several] == [run_name(run) for run in runs]
    )
    for one, two in zip(alone, several, strict=True):
        assert results(one.folder) == results(two.folder)
    again = run_grid(runs, tmp_path / "two", progress=False)
    assert again == several


def test_the_best_learning_rate_of_an_arm_is_that_of_the_highest_reward(tmp_path):
    rewards = {
        ("none", 0.1): [0.2, 0.5],
        ("none", 1.0): [0.9, 0.3],
        ("group", 0.1): [0.4, 0.4],
        ("group", 1.0): [0.9],
    }
    summaries = []
    for (arm, rate), values in rewards.items():
        config = TrainConfig(arm=arm, learning_rate=rate, steps=2)
        place = tmp_path / run_name(config)
        place.mkdir()
        (place / "config.json").write_text(config.to_json())
        lines = [json.dumps({"step": step, "reward_mean": value}) for step, value in enumerate(values)]
        (place / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        summaries.append(type("Summary", (), {"folder": place}))
    assert best_learning_rates(summaries, last=0.5) == {"none": 0.1, "group": 0.1}
    assert best_learning_rates(summaries, last=1) == {"none": 1.0, "group": 1.0}


def test_the_command_trains_a_run_and_a_grid(taught, tmp_path, capsys):
    options = ["--policy", taught, "--prompts-per-step", "4", "--max-new-tokens", "3", "--quiet"]
    settings = ["--set", "steps=1", 'task_options={"num_questions": 40, "digits": [1, 1]}']
    assert _command("train", tmp_path / "run", *options, *settings, "--arm", "batch") == 0
    assert "finished; 1 steps" in capsys.readouterr().out
    grid = ["grid", tmp_path / "grid", *options, *settings, "--arms", "none", "group", "--json"]
    assert _command(*grid) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["reason"] for line in lines] == ["finished"] * 2
    assert TrainConfig.from_json((tmp_path / "run" / "config.json").read_text()).arm == "batch"
    assert _command("train", tmp_path / "run", *options, *settings, "--arm", "none") == 2
    assert "arm is 'none', but the run" in capsys.readouterr().err
    assert _command("train", tmp_path / "x", "--set", "arm") == 2
    assert "--set got 'arm'" in capsys.readouterr().err
