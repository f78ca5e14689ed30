"""Policies: what trains, what a folder gives back bit for bit, and what is never opened."""

import json
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from curvature.lm.likelihood import sequence_log_probabilities  # noqa: E402
from curvature.lm.policy import LoraSettings, load_policy  # noqa: E402
from curvature.lm.sampling import sample_groups  # noqa: E402
from curvature.lm.tasks import arithmetic  # noqa: E402

TINY = "tiny:width=16,layers=2,heads=2,seed=3"
LORA = LoraSettings(rank=2, alpha=4)
TASK = arithmetic(4, digits=(1, 3), seed=1)


def make(lora=None, **settings):
    return load_policy(TINY, lora=lora, device="cpu", **settings)


def samples_of(policy):
    return sample_groups(policy, TASK.questions, group_size=2, max_new_tokens=5)


def log_probabilities(policy, samples):
    with torch.no_grad():
        return sequence_log_probabilities(policy, samples)


def change(policy):
    """Move every trainable number, as a step would; fresh adapters change nothing until then."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, value in policy.trainable():
            value.add_(torch.randn(value.shape, generator=generator), alpha=0.1)


def test_without_adapters_every_parameter_trains():
    policy = make()
    assert len(policy.trainable()) == len(list(policy.model.parameters()))
    assert sum(value.numel() for _, value in policy.trainable()) == policy.num_parameters
    assert not policy.has_adapters
    assert not policy.model.training


def test_with_adapters_they_alone_train_and_at_first_change_nothing():
    whole, policy = make(), make(LORA)
    names = [name for name, _ in policy.trainable()]
    assert names
    assert all("lora_" in name for name in names)
    assert len(names) == 2 * 2 * 7  # A and B of seven linear layers in each of two blocks, not of the head
    assert policy.has_adapters
    assert policy.num_parameters == whole.num_parameters + sum(v.numel() for _, v in policy.trainable())
    samples = samples_of(whole)
    before = log_probabilities(whole, samples)
    assert torch.equal(log_probabilities(policy, samples), before)
    change(policy)
    assert (log_probabilities(policy, samples) - before).abs().min() > 1e-4

    sequence_log_probabilities(policy, samples).sum().backward()
    assert {name for name, value in policy.model.named_parameters() if value.grad is not None} == set(names)


def test_targets_and_the_seed_of_adapters():
    one = LoraSettings(rank=2, targets=("q_proj",))
    assert len(make(one).trainable()) == 2 * 2
    first, again, other = (make(LORA, seed=seed).state() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("lora", [None, LORA])
def test_a_folder_gives_back_the_same_log_probabilities_bit_for_bit(tmp_path, lora):
    policy = make(lora)
    change(policy)
    samples = samples_of(policy)
    policy.save(tmp_path / "made" / "here")
    again = load_policy(tmp_path / "made" / "here", device="cpu")
    assert again.has_adapters is (lora is not None)
    assert [name for name, _ in again.trainable()] == [name for name, _ in policy.trainable()]
    assert torch.equal(log_probabilities(again, samples), log_probabilities(policy, samples))
    assert again.encode("12+7=") == policy.encode("12+7=")
    assert again.end_ids == policy.end_ids
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["here"]
    names = {path.name for path in (tmp_path / "made" / "here").iterdir()}
    assert ("adapter_model.safetensors" if lora else "model.safetensors") in names
    assert not {name for name in names if name.endswith((".bin", ".pt"))}
    assert ("model.safetensors" in names) is (lora is None)


def test_adapters_are_saved_over_adapters_and_asked_for_once(tmp_path):
    make(LORA).save(tmp_path / "policy")
    policy = load_policy(tmp_path / "policy", device="cpu")
    change(policy)
    policy.save(tmp_path / "policy")
    samples = samples_of(policy)
    again = load_policy(tmp_path / "policy", device="cpu")
    assert torch.equal(log_probabilities(again, samples), log_probabilities(policy, samples))
    with pytest.raises(ValueError, match="has adapters already; load it without `lora`"):
        load_policy(tmp_path / "policy", lora=LORA)


@pytest.mark.parametrize("lora", [None, LORA])
def test_a_state_is_a_copy_and_goes_back_whole(lora):
    policy = make(lora)
    state = policy.state()
    samples = samples_of(policy)
    before = log_probabilities(policy, samples)
    change(policy)
    assert not torch.equal(log_probabilities(policy, samples), before)
    policy.load_state(state)
    assert torch.equal(log_probabilities(policy, samples), before)
    assert all(value.requires_grad for _, value in policy.trainable())


def test_a_state_of_another_policy_is_refused_before_anything_changes():
    policy = make()
    state, kept = policy.state(), policy.state()
    for value in state.values():
        value.zero_()
    name = sorted(state)[0]
    with pytest.raises(ValueError, match=f"differ in parameter {name!r}"):
        policy.load_state({key: value for key, value in state.items() if key != name})
    with pytest.raises(ValueError, match="differ in parameter 'extra'"):
        policy.load_state({**state, "extra": torch.zeros(1)})
    last = list(state)[-1]
    with pytest.raises(ValueError, match=rf"parameter {last!r} is \(3,\), wanted \("):
        policy.load_state({**state, last: torch.zeros(3)})
    assert all(torch.equal(value, kept[name]) for name, value in policy.state().items())


def test_a_failed_save_leaves_the_old_folder_and_nothing_half_written(tmp_path, monkeypatch):
    policy = make()
    samples = samples_of(policy)
    policy.save(tmp_path / "policy")
    before = log_probabilities(policy, samples)
    change(policy)

    def fail(folder):
        (folder / "half").write_text("written")
        raise OSError("no space left")

    monkeypatch.setattr(policy.tokenizer, "save_pretrained", fail)
    with pytest.raises(OSError, match="no space left"):
        policy.save(tmp_path / "policy")
    with pytest.raises(OSError, match="no space left"):
        policy.save(tmp_path / "fresh")
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
    again = load_policy(tmp_path / "policy", device="cpu")
    assert torch.equal(log_probabilities(again, samples), before)


def test_a_save_replaces_the_older_folder_whole(tmp_path):
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "stale").write_text("old")
    make().save(tmp_path / "policy")
    assert not (tmp_path / "policy" / "stale").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]


class Trap:
    """Tells if it is ever unpickled."""

    def __reduce__(self):
        return (warnings.warn, ("a pickle was opened",))


def test_pickled_weights_are_refused_in_one_sentence_and_never_opened(tmp_path):
    make().save(tmp_path / "policy")
    (tmp_path / "policy" / "model.safetensors").unlink()
    torch.save({"trap": Trap()}, tmp_path / "policy" / "pytorch_model.bin")
    with pytest.raises(
        ValueError, match=r"no safetensors weights there, and pickled ones are never opened"
    ) as caught:
        load_policy(tmp_path / "policy")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "policy") in str(caught.value)


def test_pickled_adapters_are_refused(tmp_path):
    make(LORA).save(tmp_path / "policy")
    (tmp_path / "policy" / "adapter_model.safetensors").unlink()
    torch.save({"trap": Trap()}, tmp_path / "policy" / "adapter_model.bin")
    with pytest.raises(ValueError, match=r"pickled ones are never opened"):
        load_policy(tmp_path / "policy")


def test_a_model_with_code_of_its_own_is_refused_and_its_code_not_run(tmp_path):
    folder = tmp_path / "policy"
    make().save(folder)
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "homemade"
    config["auto_map"] = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ValueError, match=r"needs Python code of its own, which is never run.*\(homemade\)"):
        load_policy(folder)
    assert not (tmp_path / "ran").exists()


def test_the_type_of_the_weights_is_the_one_asked_for():
    assert make().dtype == torch.float32
    for dtype in ("float64", torch.bfloat16):
        policy = make(dtype=dtype)
        assert policy.dtype == getattr(torch, str(dtype).removeprefix("torch."))
        assert {value.dtype for _, value in policy.trainable()} == {policy.dtype}
    adapters = make(LORA, dtype="bfloat16")
    assert adapters.dtype == torch.bfloat16
    assert {value.dtype for _, value in adapters.trainable()} == {torch.float32}
    double = make(dtype="float64")
    pair = load_policy((double.model, double.tokenizer), device="cpu")
    assert pair.model is double.model
    assert pair.dtype == torch.float64


@pytest.mark.parametrize("dtype", ["float31", "int64", torch.int8, "nn"])
def test_a_type_that_is_not_floating_is_refused(dtype):
    with pytest.raises(ValueError, match=f"dtype is {dtype!r}; name a floating type"):
        make(dtype=dtype)


def test_a_source_of_no_known_kind_is_refused():
    with pytest.raises(ValueError, match=r"source is 3; give a folder, a hub id, 'tiny:…' or a pair"):
        load_policy(3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank is 0"),
        ({"dropout": 1.0}, r"dropout is 1\.0"),
        ({"dropout": -0.1}, "dropout is -0"),
    ],
)
def test_adapters_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LoraSettings(**settings)


def test_dropout_acts_in_training_mode_alone():
    policy = make(LoraSettings(rank=2, dropout=0.5))
    change(policy)
    samples = samples_of(policy)
    first, second = (log_probabilities(policy, samples) for _ in range(2))
    assert torch.equal(first, second)
    policy.model.train()
    torch.manual_seed(0)
    assert not torch.equal(log_probabilities(policy, samples), first)


def test_ends_are_those_of_generation_model_and_tokenizer():
    policy = make()
    assert policy.end_ids == (policy.tokenizer.eos_token_id,)
    other = make()
    other.model.generation_config.eos_token_id = [7, 5]
    other.model.config.eos_token_id = 9
    assert other.end_ids == (1, 5, 7, 9)


def test_encode_brings_the_opening_token_once():
    policy = make()
    assert policy.tokenizer.decode(policy.encode("12+7=")) == "12+7="
    with pytest.raises(ValueError, match="the prompt '' has no tokens"):
        policy.encode("")

    class Opening:
        """A tokenizer whose opening token is <s>, number 0."""

        bos_token = "<s>"

        def __call__(self, text, *, add_special_tokens):
            own = [0] if text.startswith("<s>") else []
            letters = [ord(letter) for letter in text.removeprefix("<s>")]
            return {"input_ids": np.array([0] * add_special_tokens + own + letters).tolist()}

    opening = load_policy((policy.model, Opening()), device="cpu")
    assert opening.encode("ab") == opening.encode("<s>ab") == [0, 97, 98]
