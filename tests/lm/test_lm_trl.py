"""TRL's trainer with our advantages: nothing but the advantages changes, and the log says which they were.

Most tests run the class on a stand-in for the trainer, so they need torch alone; the last ones train with the real one.
"""

import importlib.util
import subprocess
import sys
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from curvature.advantages import PRESETS, Normalization, group_advantages
from curvature.lm.arms import ARMS, arm_advantages
from curvature.lm.trl import CurvatureAdvantages
from curvature.rollouts.convention import identify_convention
from curvature.rollouts.readers import read_rollouts

torch = pytest.importorskip("torch")

NAN, INF = float("nan"), float("inf")
G, LOCAL = 4, 8


class FakeGRPOTrainer:
    """What CurvatureAdvantages reads of a GRPOTrainer: scores, then makes advantages that are to be replaced."""

    def __init__(
        self,
        scores,
        *,
        weights=(1.0,),
        processes=1,
        index=0,
        aggregation="sum_then_normalize",
        scaling="group",
        table=None,
    ):
        self.scores = torch.tensor(scores, dtype=torch.float32).reshape(-1, len(weights))
        self.reward_weights = torch.tensor(weights, dtype=torch.float32)
        self.accelerator = SimpleNamespace(num_processes=processes, process_index=index)
        self.multi_objective_aggregation = aggregation
        self.scale_rewards = scaling
        self.num_generations, self.num_generations_eval = G, 2
        self.model = SimpleNamespace(training=True)
        self._logs = {"advantages": deque([7.0] * 3, maxlen=table or 3 + len(self.scores))}

    def _calculate_rewards(self, inputs, prompts):
        return self.scores

    def _generate_and_score_completions(self, inputs):
        self._calculate_rewards(inputs, prompts=[])
        self._logs["advantages"].extend([-1.0] * len(self.scores))
        return {"advantages": torch.full((len(inputs),), -1.0), "prompt_ids": "theirs"}


class FakeTrainer(CurvatureAdvantages, FakeGRPOTrainer):
    pass


def _batch(trainer, size=LOCAL):
    output = trainer._generate_and_score_completions([{}] * size)
    return output["advantages"].double().numpy(), list(trainer._logs["advantages"])


REWARDS = np.array([1, 0, 0, 0, 1, 1, 0, 0], dtype=float)
GROUPS = np.repeat([0, 1], G)


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_gives_its_own_advantages_to_the_batch_and_to_the_table(arm):
    expected = arm_advantages(arm, REWARDS, GROUPS)
    advantages, table = _batch(FakeTrainer(REWARDS, arm=arm))
    np.testing.assert_allclose(advantages, expected, rtol=1e-7)
    assert table == [7.0] * 3 + expected.tolist()


def test_without_a_choice_the_arm_is_group():
    np.testing.assert_allclose(
        _batch(FakeTrainer(REWARDS))[0], arm_advantages("group", REWARDS, GROUPS), rtol=1e-7
    )


def test_the_overlap_reaches_the_smoothed_arm():
    expected = arm_advantages("smoothed", REWARDS, GROUPS, overlap=0.9)
    assert np.abs(expected - arm_advantages("smoothed", REWARDS, GROUPS)).max() > 0.01
    np.testing.assert_allclose(
        _batch(FakeTrainer(REWARDS, arm="smoothed", overlap=0.9))[0], expected, rtol=1e-7
    )


@pytest.mark.parametrize("preset", [*PRESETS, Normalization(exponent=0.5)], ids=str)
def test_every_preset_can_take_the_place_of_an_arm(preset):
    expected = group_advantages(REWARDS, GROUPS, preset)
    np.testing.assert_allclose(_batch(FakeTrainer(REWARDS, preset=preset))[0], expected, rtol=1e-6)


def test_nothing_else_of_the_batch_is_touched():
    trainer = FakeTrainer(REWARDS)
    output = trainer._generate_and_score_completions([{}] * LOCAL)
    assert output.keys() == {"advantages", "prompt_ids"}
    assert output["prompt_ids"] == "theirs"
    assert output["advantages"].dtype == torch.float32


def test_each_process_gets_its_share_of_the_advantages_of_all():
    rewards = np.random.default_rng(0).random(3 * LOCAL).astype(np.float32)
    expected = arm_advantages("group_matched", rewards, np.arange(3 * LOCAL) // G)
    for index in range(3):
        trainer = FakeTrainer(rewards, arm="group_matched", processes=3, index=index)
        share, table = _batch(trainer)
        np.testing.assert_allclose(share, expected[LOCAL * index : LOCAL * (index + 1)], rtol=1e-6, atol=1e-7)
        assert table[3:] == expected.tolist()


def test_rewards_are_weighted_and_added_up_over_the_functions_that_scored():
    scores = np.random.default_rng(1).random((LOCAL, 2))
    scores[0, 0] = scores[3, 1] = NAN
    total = np.nansum(scores.astype(np.float32) * np.float32([2.0, -0.5]), axis=1)
    expected = group_advantages(total.astype(float), GROUPS, "none")
    advantages, _ = _batch(FakeTrainer(scores, weights=(2.0, -0.5), arm="none"))
    np.testing.assert_allclose(advantages, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("choice", [{"arm": "group"}, {"preset": "verl"}], ids=str)
def test_what_no_function_scored_takes_no_part_and_gets_zero(choice):
    scores = REWARDS.copy()
    scores[5] = NAN
    kept = np.arange(LOCAL) != 5
    advantages, _ = _batch(FakeTrainer(scores, **choice))
    assert advantages[5] == 0
    expected = group_advantages(REWARDS[kept], GROUPS[kept], choice.get("preset", "grpo"))
    np.testing.assert_allclose(advantages[kept], expected, rtol=1e-6)


def test_a_batch_without_any_score_gives_zeros():
    assert _batch(FakeTrainer([NAN] * LOCAL))[0].tolist() == [0.0] * LOCAL


def test_evaluation_has_groups_of_its_own_size():
    trainer = FakeTrainer(REWARDS, arm="none")
    trainer.model.training = False
    expected = group_advantages(REWARDS.reshape(-1, 2), preset="none").ravel()
    np.testing.assert_allclose(_batch(trainer)[0], expected, rtol=1e-7)


def test_a_table_shorter_than_the_batch_keeps_its_end():
    expected = arm_advantages("group", REWARDS, GROUPS)
    assert _batch(FakeTrainer(REWARDS, table=5))[1] == expected[-5:].tolist()


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"arm": "grp"}, r"arm is 'grp'; choose one of none, group"),
        ({"preset": "grp"}, r"preset='grp' is unknown"),
        ({"arm": "group", "preset": "trl"}, r"arm='group' and preset='trl' are two conventions"),
        ({"arm": "smoothed", "overlap": 2}, r"overlap is 2"),
        (
            {"aggregation": "normalize_then_sum"},
            r"multi_objective_aggregation='normalize_then_sum' normalises each",
        ),
        (
            {"arm": "none", "scaling": "batch"},
            r"scale_rewards='batch' would be overruled by arm='none'.*'trl_batch'",
        ),
        ({"scaling": "none"}, r"scale_rewards='none' would be overruled by arm='group'"),
        ({"preset": "rloo", "scaling": "none"}, r"overruled by preset='rloo'"),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused_when_the_trainer_is_made(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        FakeTrainer(REWARDS, **options)


@pytest.mark.parametrize("name", ["_calculate_rewards", "_generate_and_score_completions"])
def test_a_trainer_without_the_methods_is_refused(name, monkeypatch):
    monkeypatch.delattr(FakeGRPOTrainer, name)
    with pytest.raises(AttributeError, match=f"the trainer has no {name}"):
        FakeTrainer(REWARDS)


@pytest.mark.parametrize("size", [LOCAL - 1, LOCAL + G])
def test_a_batch_of_another_layout_is_an_error_and_not_a_wrong_step(size):
    with pytest.raises(RuntimeError, match=rf"a batch of {size} completions in each of 1 processes"):
        _batch(FakeTrainer(REWARDS), size)


def test_a_trainer_that_does_not_ask_for_rewards_as_known_is_an_error(monkeypatch):
    trainer = FakeTrainer(REWARDS)
    _batch(trainer)
    monkeypatch.setattr(trainer, "_calculate_rewards", lambda *args, **kwargs: None)
    with pytest.raises(RuntimeError, match="has rewards of shape None"):
        _batch(trainer)


def test_an_advantage_that_is_no_number_is_refused_before_the_step():
    scores = [1.0, NAN, NAN, NAN, 1.0, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match=r"advantage 0 of the batch is nan under preset='openrlhf'"):
        _batch(FakeTrainer(scores, preset="openrlhf"))


def test_an_infinite_reward_is_refused_before_the_step():
    with pytest.raises(ValueError, match="reward 0 is inf"):
        _batch(FakeTrainer([INF, *REWARDS[1:]]))


def test_importing_the_module_loads_neither_torch_nor_trl_and_without_trl_the_extra_is_named():
    code = (
        "import sys, curvature.lm.trl as m\n"
        "print([n for n in ('torch', 'transformers', 'trl') if n in sys.modules])\n"
        "sys.modules['trl'] = None\n"
        "from curvature.lm.trl import CurvatureGRPOTrainer"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout == "[]\n"
    assert "ImportError: CurvatureGRPOTrainer needs trl" in result.stderr
    assert "pip install 'curvature[trl]'" in result.stderr


# ── the real trainer ──────────────────────────────────────────────────────────────────────────────────────────────────

needs_trl = pytest.mark.skipif(
    importlib.util.find_spec("trl") is None, reason="trl (extra `trl`) is not installed"
)


def _real_trainer(folder, *, steps=2, **options):
    """A trainer of the tiny random model of tests/logs/make_trl_log.py, with ours as its class."""
    from datasets import Dataset
    from trl import GRPOConfig

    from curvature.lm.trl import CurvatureGRPOTrainer
    from tests.logs import make_trl_log as kit

    settings = kit._OPTIONS | {"log_completions": False}
    config = GRPOConfig(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=32,
        reward_weights=[1.0, 0.25],
        **settings,
    )
    tokenizer = kit.make_tokenizer()
    return CurvatureGRPOTrainer(
        model=kit.make_model(tokenizer),
        reward_funcs=[kit.digits, kit.brevity],
        args=config,
        train_dataset=Dataset.from_dict({"prompt": kit.PROMPTS}),
        processing_class=tokenizer,
        record=folder / "rollouts.jsonl",
        **options,
    )


def _first_batches(trainer):
    """Train and return what TRL itself made of each batch, and what came out, before it is shuffled."""
    import trl

    theirs, ours = [], []
    make = trl.GRPOTrainer._generate_and_score_completions
    replace = trainer._generate_and_score_completions

    def keep_theirs(self, inputs):
        output = make(self, inputs)
        theirs.append({key: value.clone() for key, value in output.items()})
        return output

    def keep_ours(inputs):
        ours.append({key: value.clone() for key, value in replace(inputs).items()})
        return ours[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trl.GRPOTrainer, "_generate_and_score_completions", keep_theirs)
        patch.setattr(trainer, "_generate_and_score_completions", keep_ours)
        patch.setenv("HF_HUB_OFFLINE", "1")
        trainer.train()
    return theirs, ours


@needs_trl
@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_trls_convention_reproduces_trls_own_advantages_and_the_log_names_it(tmp_path):
    theirs, ours = _first_batches(_real_trainer(tmp_path, preset="trl"))
    assert len(theirs) == len(ours) == 2
    for before, after in zip(theirs, ours, strict=True):
        assert before["advantages"].abs().max() > 0.5
        torch.testing.assert_close(after["advantages"], before["advantages"], rtol=0, atol=4e-6)
    log = read_rollouts(tmp_path / "rollouts.jsonl")
    assert log.groups.size.size == 8
    finding = identify_convention(log)
    assert "trl" in finding.presets
    assert finding.factor == 1


@needs_trl
@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_two_arms_of_one_seed_differ_by_the_advantages_alone_and_each_log_names_its_arm(tmp_path):
    batches, weights = {}, {}
    for arm in ("none", "group"):
        trainer = _real_trainer(tmp_path / arm, arm=arm)
        batches[arm] = _first_batches(trainer)[1]
        weights[arm] = trainer.model.lm_head.weight.detach().clone()
    none, group = (batches[arm][0] for arm in ("none", "group"))
    assert none.keys() == group.keys()
    for key in none.keys() - {"advantages"}:
        assert torch.equal(none[key], group[key]), f"{key} differs"
    assert (none["advantages"] - group["advantages"]).abs().max() > 0.5
    assert not torch.equal(weights["none"], weights["group"]), "the advantages reach the update"
    for arm, preset in (("none", "none"), ("group", "grpo")):
        sample = (log := read_rollouts(tmp_path / arm / "rollouts.jsonl")).sample
        assert preset in identify_convention(log).presets
        first = sample.step == 1
        expected = arm_advantages(arm, sample.reward[first], sample.group[first])
        np.testing.assert_allclose(sample.advantage[first], expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(batches[arm][0]["advantages"].double(), expected, rtol=0, atol=1e-6)


@needs_trl
@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_the_gradient_of_our_loop_is_that_of_trls_loss(tmp_path):
    from benchmarks import bench_lm_throughput as bench

    setting = bench.Setting("tiny:width=16,layers=1", prompts=2, group_size=4, tokens=12, micro_batch=4)
    policy = bench._policy(setting)
    ours = bench._Ours(setting, policy)
    theirs = bench._Theirs(setting, bench._trainer(setting, policy, str(tmp_path)))
    samples = ours.sample(0)
    advantages = np.random.default_rng(0).standard_normal(len(samples))
    assert bench.gradient_gap(policy, (ours, theirs), samples, advantages) < 1e-5
    ours.gradient(samples, advantages)
    assert max(float(value.grad.abs().max()) for _, value in policy.trainable()) > 1e-4
