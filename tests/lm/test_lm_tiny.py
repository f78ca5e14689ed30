"""The tiny policy: the same for a seed, one token a character, and able to learn its sums."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from curvature.lm.policy import load_policy  # noqa: E402
from curvature.lm.sampling import sample_groups  # noqa: E402
from curvature.lm.tasks import arithmetic  # noqa: E402
from curvature.lm.tiny import parse_tiny, tiny_policy, warm_start  # noqa: E402

PRINTABLE = "".join(map(chr, range(32, 127)))


def same(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


def success(policy, task):
    samples = sample_groups(policy, task.questions, group_size=4, max_new_tokens=4, seed=9)
    right = [
        text == task.questions[q].answer for q, text in zip(samples.question, samples.texts, strict=True)
    ]
    return np.mean(right)


def test_the_weights_are_those_of_the_seed_and_leave_torchs_own_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again, other = (tiny_policy(width=16, layers=1, seed=seed).state() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert same(first, again)
    assert not same(first, other)


def test_its_name_makes_it_again():
    policy = tiny_policy(width=24, layers=1, heads=3, seed=2)
    assert policy.name == "tiny:width=24,layers=1,heads=3,seed=2"
    again = load_policy(policy.name, device="cpu")
    assert again.name == policy.name
    assert same(policy.state(), again.state())
    assert policy.model.config.num_attention_heads == 3
    assert policy.model.config.intermediate_size == 96


def test_every_printable_character_and_the_line_break_is_one_token():
    policy = tiny_policy(width=8, layers=1)
    ids = policy.encode(PRINTABLE + "\n")
    assert len(ids) == len(set(ids)) == 96
    assert policy.tokenizer.decode(ids) == PRINTABLE + "\n"
    assert policy.tokenizer.decode(policy.encode("  a , b .  n't")) == "  a , b .  n't"
    assert policy.model.config.vocab_size == len(policy.tokenizer) == 99
    assert policy.encode("é") == [policy.tokenizer.unk_token_id]


def test_texts_are_read_in_part_or_whole():
    assert parse_tiny("tiny:") == {}
    assert parse_tiny("tiny:seed=7,width=32") == {"seed": 7, "width": 32}


@pytest.mark.parametrize("text", ["depth=2", "width", "width=", "width=-8", "width=8.5", "width=8;layers=1"])
def test_a_text_that_is_not_read_is_named(text):
    with pytest.raises(ValueError, match=f"'tiny:{text}': cannot read '(depth|width)'"):
        parse_tiny(f"tiny:{text}")


def test_a_width_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="width is 20; with 4 heads it must be a multiple of 8"):
        tiny_policy(width=20)


def test_a_warm_start_lowers_the_loss_is_deterministic_and_teaches_sums():
    task = arithmetic(30, digits=1, seed=0)
    settings = {"steps": 100, "learning_rate": 5e-3, "batch_size": 30}
    policy, again, other = (tiny_policy(width=32, layers=1, seed=1) for _ in range(3))
    before = success(policy, task)
    losses = warm_start(policy, task, **settings)
    assert losses.shape == (100,)
    assert losses[0] > 4  # a policy that knows nothing is near log 99 = 4.6
    assert losses[-10:].max() < 1
    assert before < 0.05 < 0.3 < success(policy, task)
    assert not policy.model.training

    np.testing.assert_array_equal(warm_start(again, task, **settings), losses)
    assert same(policy.state(), again.state())
    warm_start(other, task, **{**settings, "steps": 20, "batch_size": 10}, seed=1)
    first = tiny_policy(width=32, layers=1, seed=1)
    warm_start(first, task, **{**settings, "steps": 20, "batch_size": 10}, seed=0)
    assert not same(first.state(), other.state())


def test_a_warm_start_changes_adapters_alone():
    pytest.importorskip("peft")
    from curvature.lm.policy import LoraSettings

    policy = load_policy("tiny:width=16,layers=1", lora=LoraSettings(rank=4), device="cpu")
    frozen = {n: v.detach().clone() for n, v in policy.model.named_parameters() if not v.requires_grad}
    before = policy.state()
    warm_start(policy, arithmetic(10, digits=1), steps=3)
    assert same(frozen, dict(policy.model.named_parameters()))
    assert not same(before, policy.state())
