"""The callback records every generation batch of a GRPOTrainer and changes nothing of it.

Most tests run it on a stand-in with the attributes that it reads, so they need no trl; the last ones on the real one.
"""

import errno
import importlib.util
import json
import os
from collections import defaultdict, deque
from types import SimpleNamespace

import numpy as np
import pytest

from curvature.rollouts.recorder import Recorder
from curvature.rollouts.trl import RolloutCallback

NAN, INF = float("nan"), float("inf")
G = 4


class FakeTrainer:
    """What RolloutCallback reads of a GRPOTrainer: the loop, and the completions table of the last batch."""

    def __init__(
        self, *, steps_per_generation=1, accumulation=1, processes=1, functions=("f",), weights=None, start=0
    ):
        self.args = SimpleNamespace(
            steps_per_generation=steps_per_generation,
            num_iterations=1,
            gradient_accumulation_steps=accumulation,
        )
        self.accelerator = SimpleNamespace(num_processes=processes)
        self.model = SimpleNamespace(training=True)
        self.state = SimpleNamespace(global_step=start, is_world_process_zero=True)
        self.num_generations = G
        self.reward_func_names = list(functions)
        self.reward_weights = np.array(weights or [1.0] * len(functions), dtype=np.float32)
        self.rng = np.random.default_rng(start)
        self.rows = 2 * G
        table = 2 * G * processes
        self._logs = {
            "prompt": deque(maxlen=table),
            "completion": deque(maxlen=table),
            "rewards": defaultdict(lambda: deque(maxlen=table)),
            "advantages": deque(maxlen=table),
        }
        self.batches = []
        self.poison = {}
        self.prompts = lambda group: f"prompt {group}"

    def _generate_and_score_completions(self, inputs):
        size = len(inputs) * self.accelerator.num_processes
        rewards = self.rng.random((size, len(self.reward_func_names))).astype(np.float32)
        for place, value in self.poison.items():
            rewards[place] = value
        advantages = self.rng.standard_normal(size)
        prompts = [self.prompts(i // G) for i in range(size)]
        self._logs["prompt"].extend(prompts)
        for name, column in zip(self.reward_func_names, rewards.T, strict=True):
            self._logs["rewards"][name].extend(column.tolist())
        self._logs["advantages"].extend(advantages.tolist())
        if self.model.training:
            self.batches.append((prompts, rewards, advantages))
        return {"advantages": advantages}

    def train(self, callback, steps, *, evaluates=False):
        """Run `steps` optimiser steps as the Trainer does, with evaluations between them."""
        callback.on_train_begin(self.args, self.state, None)
        micro = 0
        for _ in range(steps):
            for _ in range(self.args.gradient_accumulation_steps):
                if micro % self.args.steps_per_generation == 0:
                    inputs = [{}] * self.rows
                    assert self._generate_and_score_completions(inputs)["advantages"] is self.batches[-1][2]
                micro += 1
            self.state.global_step += 1
            if evaluates:
                self.model.training = False
                self._generate_and_score_completions([{}] * (self.rows // 2))
                self.model.training = True
        callback.on_train_end(self.args, self.state, None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rollouts.jsonl"


def _steps(path):
    steps = defaultdict(list)
    for line in path.read_text().splitlines():
        row = json.loads(line)
        steps[row["step"]].append(row)
    return dict(steps)


def _column(rows, name):
    return [row[name] for row in rows]


# ── what is recorded ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("evaluates", [False, True])
def test_every_training_batch_is_recorded_and_no_evaluation(path, evaluates):
    trainer = FakeTrainer()
    trainer.train(RolloutCallback(trainer, path), 5, evaluates=evaluates)
    steps = _steps(path)
    assert list(steps) == [1, 2, 3, 4, 5]
    for rows, (_, rewards, advantages) in zip(steps.values(), trainer.batches, strict=True):
        assert _column(rows, "reward") == rewards[:, 0].tolist()
        assert _column(rows, "advantage") == advantages.tolist()
        assert _column(rows, "group") == [0] * G + [1] * G
        assert "prompt" not in rows[0]


@pytest.mark.parametrize(
    ("steps_per_generation", "accumulation", "expected"),
    [
        (4, 2, [1, 3, 5]),  # a batch serves two steps
        (3, 2, [1, 2, 4, 5]),  # one and a half
        (2, 2, [1, 2, 3, 4, 5, 6]),
        (1, 2, list(range(1, 13))),  # two batches a step: batches are counted
    ],
)
def test_step_is_the_trainers_or_counts_batches_where_a_step_has_several(
    path, steps_per_generation, accumulation, expected
):
    trainer = FakeTrainer(steps_per_generation=steps_per_generation, accumulation=accumulation)
    trainer.train(RolloutCallback(trainer, path), 6)
    assert list(_steps(path)) == expected
    assert len(trainer.batches) == len(expected)


def test_rewards_are_added_up_with_their_weights_leaving_out_what_was_not_scored(path):
    trainer = FakeTrainer(functions=("f", "g"), weights=[2.0, -0.5])
    trainer.poison = {(0, 0): NAN, (1, 1): NAN, (2, 0): NAN, (2, 1): NAN}
    trainer.train(RolloutCallback(trainer, path), 1)
    rewards = trainer.batches[0][1].astype(float)
    recorded = _column(_steps(path)[1], "reward")
    assert recorded[:3] == [-0.5 * rewards[0, 1], 2 * rewards[1, 0], None]
    np.testing.assert_allclose(recorded[3:], 2 * rewards[3:, 0] - 0.5 * rewards[3:, 1], rtol=3e-7)


def test_the_main_process_records_the_rollouts_of_all_and_the_others_nothing(path):
    for is_main in (False, True):
        trainer = FakeTrainer(processes=3)
        trainer.state.is_world_process_zero = is_main
        trainer.train(RolloutCallback(trainer, path), 2)
        assert path.exists() == is_main
    assert [len(rows) for rows in _steps(path).values()] == [6 * G] * 2
    assert _column(_steps(path)[2], "advantage") == trainer.batches[1][2].tolist()
    assert _column(_steps(path)[2], "group") == np.repeat(range(6), G).tolist()


def test_a_short_batch_is_not_mixed_with_the_one_before(path):
    trainer = FakeTrainer()
    callback = RolloutCallback(trainer, path)
    trainer.train(callback, 1)
    trainer.rows = G
    trainer.train(callback, 1)
    for rows, (_, rewards, advantages) in zip(_steps(path).values(), trainer.batches, strict=True):
        assert _column(rows, "reward") == rewards[:, 0].tolist()
        assert _column(rows, "advantage") == advantages.tolist()


def test_prompts_are_recorded_as_text_when_asked(path):
    trainer = FakeTrainer()
    callback = RolloutCallback(trainer, path, prompts=True)
    trainer.train(callback, 1)
    trainer.prompts = lambda group: [{"role": "user", "content": f"{group}+1="}]
    trainer.train(callback, 1)
    steps = _steps(path)
    assert _column(steps[1], "prompt") == ["prompt 0"] * G + ["prompt 1"] * G
    assert json.loads(steps[2][G]["prompt"]) == [{"role": "user", "content": "1+1="}]


# ── runs that stop and go on ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_resumed_from_a_checkpoint_replaces_what_came_after_it(path):
    first = FakeTrainer()
    first.train(RolloutCallback(first, path), 5)
    second = FakeTrainer(start=3)
    second.train(RolloutCallback(second, path), 4)
    steps = _steps(path)
    assert list(steps) == [1, 2, 3, 4, 5, 6, 7]
    assert _column(steps[3], "advantage") == first.batches[2][2].tolist()
    assert _column(steps[4], "advantage") == second.batches[0][2].tolist()


def test_another_runs_file_is_refused_before_training(path):
    trainer = FakeTrainer()
    trainer.train(RolloutCallback(trainer, path), 2)
    before = path.read_bytes()
    other = FakeTrainer()
    with pytest.raises(ValueError, match=r"holds 2 steps of another run, and this one starts at 0"):
        other.train(RolloutCallback(other, path), 2)
    assert path.read_bytes() == before
    assert not other.batches


def test_counted_batches_cannot_be_resumed_in_one_file(tmp_path):
    options = {"steps_per_generation": 1, "accumulation": 2}
    trainer = FakeTrainer(**options)
    trainer.train(RolloutCallback(trainer, tmp_path / "a"), 3)
    resumed = FakeTrainer(start=2, **options)
    with pytest.raises(ValueError, match="several a step"):
        resumed.train(RolloutCallback(resumed, tmp_path / "a"), 1)
    resumed.train(RolloutCallback(resumed, tmp_path / "b"), 1)
    assert list(_steps(tmp_path / "b")) == [3, 4]


def test_a_training_that_broke_off_can_be_taken_up_by_the_same_callback(path):
    trainer = FakeTrainer()
    callback = RolloutCallback(trainer, path)
    callback.on_train_begin(trainer.args, trainer.state, None)
    trainer._generate_and_score_completions([{}] * 2 * G)
    trainer.state.global_step = 1
    trainer.train(callback, 2)
    assert list(_steps(path)) == [1, 2, 3]
    trainer._generate_and_score_completions([{}] * 2 * G)
    assert list(_steps(path)) == [1, 2, 3], "after training nothing is recorded"


def test_two_callbacks_record_side_by_side(tmp_path):
    trainer = FakeTrainer()
    other = RolloutCallback(trainer, tmp_path / "a")
    other.on_train_begin(trainer.args, trainer.state, None)
    trainer.train(RolloutCallback(trainer, tmp_path / "b"), 3)
    other.on_train_end(trainer.args, trainer.state, None)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["_logs", "_generate_and_score_completions", "reward_weights", "num_generations"]
)
def test_a_trainer_that_lacks_what_is_read_is_refused_before_training(path, name, monkeypatch):
    trainer = FakeTrainer()
    state = trainer.state
    monkeypatch.delattr(trainer if name in vars(trainer) else FakeTrainer, name)
    with pytest.raises(AttributeError, match=rf"FakeTrainer \(trl .*\) has no {name}: .*use Recorder"):
        RolloutCallback(trainer, path).on_train_begin(trainer.args, state, None)
    assert not path.exists()


def test_a_completions_table_of_another_layout_is_refused_before_training(path):
    trainer = FakeTrainer()
    del trainer._logs["advantages"]
    with pytest.raises(AttributeError, match=r"no _logs\['advantages'\]"):
        trainer.train(RolloutCallback(trainer, path), 1)


def test_reward_functions_of_one_name_are_refused_since_trl_mixes_them_up(path):
    trainer = FakeTrainer(functions=("<lambda>", "<lambda>"))
    with pytest.raises(ValueError, match="two reward functions are named '<lambda>'"):
        trainer.train(RolloutCallback(trainer, path), 1)


def test_a_batch_that_is_not_in_the_table_is_an_error_and_not_a_wrong_log(path):
    trainer = FakeTrainer()
    trainer._logs["advantages"] = deque(maxlen=3)
    with pytest.raises(RuntimeError, match=r"left \[3, 8\] rows"):
        trainer.train(RolloutCallback(trainer, path), 1)
    assert path.read_bytes() == b""


def test_a_full_disk_ends_the_recording_and_not_the_training(path, monkeypatch):
    trainer = FakeTrainer()
    callback = RolloutCallback(trainer, path)
    real, calls = os.write, iter(range(10))

    def write(file, data):
        if next(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.warns(UserWarning, match=r"recorded no more, from step 3 on: .*No space left"):
        trainer.train(callback, 5)
    assert len(trainer.batches) == 5
    assert list(_steps(path)) == [1, 2]
    with Recorder(path) as recorder:
        assert recorder.last_step == 2


def test_an_infinite_reward_is_recorded_as_missing_and_said(path):
    trainer = FakeTrainer()
    trainer.poison = {(3, 0): INF}
    with pytest.warns(UserWarning, match="1 infinite rewards are recorded as missing"):
        trainer.train(RolloutCallback(trainer, path), 1)
    assert [index for index, value in enumerate(_column(_steps(path)[1], "reward")) if value is None] == [3]


# ── the real trainer ──────────────────────────────────────────────────────────────────────────────────────────────────

needs_trl = pytest.mark.skipif(
    importlib.util.find_spec("trl") is None, reason="trl (extra `trl`) is not installed"
)


def _real_trainer(folder, steps, **options):
    from tests.logs import make_trl_log

    functions = (make_trl_log.digits, make_trl_log.brevity)
    setting = make_trl_log.Setting("real", functions, (1.0, 0.25), {"num_completions_to_print": 0} | options)
    return make_trl_log.make_trainer(setting, folder, steps=steps)


def _completions(folder, step):
    """TRL's own file of a step: advantages, and rewards added up as it adds them."""
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(folder / "completions" / f"completions_{step:05d}.parquet")
    rewards = np.array([table["digits"], table["brevity"]], dtype=np.float32)
    return table["advantage"].to_pylist(), np.nansum(rewards * np.float32([[1.0], [0.25]]), axis=0)


@needs_trl
@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_the_real_trainers_batches_are_recorded_as_its_own_files_have_them(tmp_path, path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    trainer = _real_trainer(tmp_path, 2, save_strategy="steps", save_steps=1)
    trainer.add_callback(RolloutCallback(trainer, path, prompts=True))
    trainer.train()
    once = path.read_bytes()
    resumed = _real_trainer(tmp_path, 3, save_strategy="steps", save_steps=1)
    resumed.add_callback(RolloutCallback(resumed, path, prompts=True))
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    steps = _steps(path)
    assert list(steps) == [1, 2, 3]
    assert path.read_text().startswith(once.decode()[: once.index(b'{"step": 2')])
    for step, rows in steps.items():
        advantages, rewards = _completions(tmp_path, step)
        assert _column(rows, "advantage") == advantages
        np.testing.assert_allclose(_column(rows, "reward"), rewards, rtol=2e-7, atol=1e-9)
        prompts = np.reshape(_column(rows, "prompt"), (-1, 8))
        assert (prompts == prompts[:, :1]).all(), "the eight of a group share their prompt"


@needs_trl
@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_the_real_trainers_batches_within_one_step_are_all_recorded(tmp_path, path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    trainer = _real_trainer(tmp_path, 2, gradient_accumulation_steps=2, steps_per_generation=1)
    calls = []
    score = trainer.reward_funcs[0]
    trainer.reward_funcs[0] = lambda completions, **rest: (
        calls.append(score(completions, **rest)) or calls[-1]
    )
    trainer.add_callback(RolloutCallback(trainer, path))
    trainer.train()
    steps = _steps(path)
    assert len(calls) == len(steps) == 4
    for rows, scores in zip(steps.values(), calls, strict=True):
        remainder = np.array(_column(rows, "reward")) - scores
        assert (np.abs(remainder) <= 0.25).all(), "what is left is a quarter of brevity"
