"""Log-probabilities: equal to those of whole logits, gradients too, in chunks or not, with head or without."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from curvature.lm.likelihood import (  # noqa: E402
    batches_by_length,
    sequence_log_probabilities,
    token_log_probabilities,
)
from curvature.lm.policy import load_policy  # noqa: E402
from curvature.lm.sampling import sample_groups  # noqa: E402
from curvature.lm.tasks import arithmetic  # noqa: E402

TASK = arithmetic(5, digits=(1, 3), seed=1)


@pytest.fixture
def drawn(monkeypatch):
    # transformers' own takes its sums in float32, whose rounding depends on what is summed first.
    monkeypatch.setattr(transformers.models.llama.modeling_llama.LlamaRMSNorm, "forward", _norm_in_full)
    policy = load_policy("tiny:width=16,layers=2", dtype="float64")
    return policy, sample_groups(policy, TASK.questions, group_size=3, max_new_tokens=7)


def _norm_in_full(self, states):
    squares = states.pow(2).mean(-1, keepdim=True)
    return self.weight * states * torch.rsqrt(squares + self.variance_epsilon)


def by_whole_logits(policy, samples, temperature):
    sums = []
    for q, ids in zip(samples.question, samples.completion_ids, strict=True):
        text = torch.from_numpy(np.concatenate([samples.prompt_ids[q], ids]))[None]
        log_p = torch.log_softmax(policy.model(text).logits / temperature, -1)[0, :-1]
        start = len(samples.prompt_ids[q]) - 1
        sums.append(log_p[start:].gather(1, text[0, start + 1 :, None]).sum())
    return torch.stack(sums)


def gradient_of(policy, value):
    names, parameters = zip(*policy.trainable(), strict=True)
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return {n: g for n, g in zip(names, found, strict=True) if g is not None}


@pytest.mark.parametrize("chunk", [None, 1, 4, 1000])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_values_and_gradients_are_those_of_whole_logits(drawn, chunk, temperature):
    policy, samples = drawn
    weights = torch.linspace(-1, 2, len(samples), dtype=torch.float64)
    ours = sequence_log_probabilities(policy, samples, temperature=temperature, chunk=chunk)
    plain = by_whole_logits(policy, samples, temperature)
    torch.testing.assert_close(ours, plain, rtol=1e-10, atol=1e-10)
    first, second = (gradient_of(policy, (weights * value).sum()) for value in (ours, plain))
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-9, atol=1e-10)


def test_a_model_that_caps_its_logits_is_computed_as_a_whole():
    config = transformers.Gemma2Config(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=0.5,
        sliding_window=4,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    model = transformers.Gemma2ForCausalLM(config).double()
    tiny = load_policy("tiny:width=16,layers=1")
    policy = load_policy((model, tiny.tokenizer))
    assert policy.network.trunk is None
    samples = sample_groups(policy, TASK.questions, group_size=2, max_new_tokens=6)
    ours = sequence_log_probabilities(policy, samples)
    torch.testing.assert_close(ours, by_whole_logits(policy, samples, 1.0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.detach().numpy(), samples.log_probability, atol=1e-4)


def test_rows_choose_and_order(drawn):
    policy, samples = drawn
    whole = sequence_log_probabilities(policy, samples)
    torch.testing.assert_close(sequence_log_probabilities(policy, samples, [7, 0, 7]), whole[[7, 0, 7]])


def test_tokens_add_up_to_the_sequence(drawn):
    policy, samples = drawn
    tokens = token_log_probabilities(policy, samples, [4, 1])
    assert [len(part) for part in tokens] == samples.length[[4, 1]].tolist()
    sums = torch.stack([part.sum() for part in tokens])
    torch.testing.assert_close(sums, sequence_log_probabilities(policy, samples, [4, 1]))


def test_batches_hold_each_row_once_and_stay_within_the_limit(drawn):
    _, samples = drawn
    batches = list(batches_by_length(samples, 40))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(samples)))
    total = np.array([len(ids) for ids in samples.prompt_ids])[samples.question] + samples.length
    assert all(len(batch) * total[batch].max() <= 40 for batch in batches)
    assert len(batches) > 1


def test_a_row_outside_is_named(drawn):
    with pytest.raises(ValueError, match="row 15 is outside the 15 samples"):
        sequence_log_probabilities(*drawn, [15])
