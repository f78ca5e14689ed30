"""Answers in one sequence: each token sees its prompt and its own answer alone, and nothing else changes."""

import types

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers

from curvature.lm._architecture import Network
from curvature.lm._packing import (
    FAMILIES,
    Packing,
    lay_out,
    packing_of,
    padded_size,
    sequences_of,
)
from curvature.lm.likelihood import batches_by_length, sequence_log_probabilities
from curvature.lm.policy import load_policy
from curvature.lm.sampling import sample_groups
from curvature.lm.tasks import arithmetic

CPU = torch.device("cpu")
SIZES = {
    "vocab_size": 53,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_local_experts": 2,
    "num_experts": 2,
    "moe_intermediate_size": 8,
    "num_experts_per_tok": 1,
    "word_embed_proj_dim": 16,
    "ffn_dim": 32,
    "pad_token_id": 0,
}
# Attention costs next to nothing: as many answers share a sequence as the limit lets.
WIDE = 10**6


def model_of(family, **more):
    """Return a model of random weights, large enough that attention has something to do."""
    config = transformers.AutoConfig.for_model(family, **SIZES, **more)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim > 1:
                value.mul_(5)
    return model


def network_of(family, **more):
    return Network.of(model_of(family, **more), CPU)


class Drawn(types.SimpleNamespace):
    """What the layout needs of samples."""

    def __len__(self):
        return len(self.question)


@st.composite
def drawn_samples(draw):
    """Draw prompts and answers of several lengths, empty answers among them, every token its own number."""
    prompts = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    question = draw(st.lists(st.integers(0, len(prompts) - 1), min_size=1, max_size=9))
    length = np.array([draw(st.integers(0, 6)) for _ in question])
    tokens = iter(range(1, 10_000))
    return Drawn(
        prompt_ids=[np.array([next(tokens) for _ in range(n)]) for n in prompts],
        question=np.array(question),
        length=length,
        completion_ids=[np.array([next(tokens) for _ in range(n)], dtype=np.int64) for n in length],
    )


def seen_before(layout, number, place):
    """Tokens that a place sees, by position, as the model is told."""
    ids, arguments = layout.inputs(CPU, torch.float64)
    if arguments:
        visible = (arguments["attention_mask"][number, 0, place] == 0).numpy()
        position = arguments["position_ids"][number].numpy()
    else:
        visible, position = np.arange(ids.shape[1]) <= place, np.arange(ids.shape[1])
    order = np.argsort(position[visible])
    assert position[visible][order].tolist() == list(range(int(visible.sum())))
    return ids[number].numpy()[visible][order].tolist()


packings = st.none() | st.builds(Packing, st.sampled_from([6, 12, 40, 2048]), st.sampled_from([1, 16, WIDE]))


@given(drawn_samples(), packings, st.data())
def test_each_token_is_predicted_from_its_prompt_and_the_answer_before_it(samples, packing, data):
    rows = np.array(data.draw(st.lists(st.integers(0, len(samples.question) - 1), min_size=1, max_size=9)))
    layout = lay_out(samples, rows, packing)
    assert layout.ids.shape == padded_size(samples, rows, sequences_of(samples, rows, packing))
    token = 0
    for number, row in enumerate(rows):
        answer = samples.completion_ids[row].tolist()
        for length, target in enumerate(answer):
            assert layout.owner[token] == number
            assert layout.target[token] == target
            seen = seen_before(layout, layout.sequence[token], layout.before[token])
            assert seen == [*samples.prompt_ids[samples.question[row]].tolist(), *answer[:length]]
            token += 1
    assert token == len(layout.target)


@given(drawn_samples(), packings)
def test_sequences_hold_each_row_once_of_one_question_within_the_limit(samples, packing):
    rows = np.arange(len(samples.question))
    sequences = sequences_of(samples, rows, packing)
    assert sorted(np.concatenate(sequences).tolist()) == rows.tolist()
    for places in sequences:
        question = set(samples.question[places].tolist())
        assert len(question) == 1
        tokens = len(samples.prompt_ids[question.pop()]) + np.maximum(samples.length[places] - 1, 0).sum()
        assert len(places) == 1 or tokens <= packing.limit


def alike(prompt, length, groups, size):
    return Drawn(
        prompt_ids=[np.arange(prompt)] * groups,
        question=np.repeat(np.arange(groups), size),
        length=np.full(groups * size, length),
        completion_ids=[np.arange(length)] * (groups * size),
    )


@given(drawn_samples(), st.integers(1, 60), packings)
@example(alike(30, 200, 1, 8), 1700, Packing(2048, WIDE))
@example(alike(2, 6, 2, 4), 12, Packing(2048, WIDE))
@example(alike(30, 20, 3, 8), 300, Packing(60, WIDE))
def test_batches_stay_within_the_limit_as_they_will_be_laid_out(samples, most, packing):
    batches = list(batches_by_length(samples, most, packing=packing))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(samples.question)))
    for batch in batches:
        assert lay_out(samples, batch, packing).ids.size <= most or len(batch) == 1


def test_batches_begin_with_the_longest_and_are_full():
    samples = alike(10, 20, 6, 4)
    samples.length[:8], samples.length[16:] = 10, 5
    samples.completion_ids = [np.arange(length) for length in samples.length]
    batches = list(batches_by_length(samples, 180, packing=Packing(2048, WIDE)))
    # 10 + 4·19 = 86 tokens, 10 + 4·9 = 46 and 10 + 4·4 = 26 of the three pairs of questions.
    assert [set(samples.question[batch].tolist()) for batch in batches] == [{2, 3}, {0, 1, 4}, {5}]


def test_many_rows_are_put_in_batches_in_time_in_proportion():
    samples = alike(5, 7, 2000, 4)
    batches = list(batches_by_length(samples, 1 << 16, packing=Packing(2048, WIDE)))
    assert sum(map(len, batches)) == 8000


@pytest.mark.parametrize(
    ("packing", "shape"),
    [
        (None, (8, 250 + 109)),
        (Packing(2048, 896), (1, 250 + 8 * 109)),
        (Packing(1000, 896), (2, 250 + 4 * 109)),  # even, not seven and one
        (Packing(600, 896), (3, 250 + 3 * 109)),
        (Packing(250, 896), (8, 250 + 109)),
        (Packing(2048, 300), (2, 250 + 4 * 109)),  # attention to 1,122 tokens would cost more than the prompt
        (Packing(2048, 8), (8, 250 + 109)),  # a narrow model, whose attention is all its work
    ],
)
def test_how_many_answers_share_a_sequence(packing, shape):
    samples = alike(250, 110, 1, 8)
    assert padded_size(samples, np.arange(8), sequences_of(samples, np.arange(8), packing)) == shape


def test_what_saves_little_is_left_alone():
    samples = alike(20, 200, 1, 8)
    assert len(sequences_of(samples, np.arange(8), Packing(2048, WIDE))) == 8


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_families_give_the_states_of_separate_rows_at_any_length(family):
    network = network_of(family)
    packing = packing_of(network, CPU, torch.float32)
    assert packing is not None, "every family that is named takes packs"
    rng = np.random.default_rng(0)
    samples = alike(200, 0, 1, 6)
    samples.prompt_ids = [rng.integers(1, 53, 200)]
    samples.length = np.array([90, 120, 1, 60, 0, 100])
    samples.completion_ids = [rng.integers(1, 53, length) for length in samples.length]
    rows = np.arange(6)
    found = []
    for chosen in (Packing(packing.limit, WIDE), None):
        layout = lay_out(samples, rows, chosen)
        ids, arguments = layout.inputs(CPU, torch.float32)
        with torch.no_grad():
            found.append(network.states(ids, **arguments)[layout.sequence, layout.before])
    torch.testing.assert_close(*found, rtol=2e-3, atol=2e-4)
    assert lay_out(samples, rows, Packing(packing.limit, WIDE)).part is not None


def test_half_precision_is_told_from_a_mask_that_is_not_used():
    network = Network.of(model_of("qwen2").bfloat16(), CPU)
    assert packing_of(network, CPU, torch.bfloat16) is not None
    assert packing_of(deaf(network, "attention_mask"), CPU, torch.bfloat16) is None


def deaf(network, argument):
    """Return the network with a trunk that does not listen to one of its arguments."""
    trunk = network.trunk

    class Deaf(torch.nn.Module):
        def forward(self, **given):
            return trunk(**{name: value for name, value in given.items() if name != argument})

    return Network(network.model, network.arguments, Deaf())


@pytest.mark.parametrize("argument", ["attention_mask", "position_ids"])
def test_a_model_that_does_not_listen_takes_no_packs(argument):
    network = network_of("qwen2")
    assert packing_of(deaf(network, argument), CPU, torch.float32) is None
    without = Network(network.model, network.arguments - {argument}, network.trunk)
    assert packing_of(without, CPU, torch.float32) is None


def test_a_first_answer_that_sees_too_much_is_noticed():
    network = network_of("qwen2")
    plain = network.trunk

    class Swapped(torch.nn.Module):
        def forward(self, **given):
            found = plain(**given)[0].clone()
            if given["input_ids"].shape[1] == 24:
                found[:, 8:16] += 1.0
            return (found,)

    assert packing_of(Network(network.model, network.arguments, Swapped()), CPU, torch.float32) is None


@pytest.mark.parametrize(
    "model",
    [
        lambda: model_of("qwen2", attn_implementation="eager"),  # holds heads × L² in memory
        lambda: model_of("gpt_neo", num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]]),
        lambda: model_of("gemma2", head_dim=8),
        lambda: model_of("gemma", head_dim=8),  # it may well be the same, but was not tried at length
    ],
)
def test_others_are_left_alone(model):
    assert packing_of(Network.of(model(), CPU), CPU, torch.float32) is None


def test_sequences_stay_within_windows_and_positions():
    limits = {
        None: packing_of(network_of("qwen2", max_position_embeddings=4096), CPU, torch.float32),
        "window": packing_of(network_of("mistral", sliding_window=100), CPU, torch.float32),
        "unused": packing_of(
            network_of("qwen2", sliding_window=100, use_sliding_window=False), CPU, torch.float32
        ),
        "positions": packing_of(network_of("llama", max_position_embeddings=64), CPU, torch.float32),
        "tiny": packing_of(network_of("mistral", sliding_window=4), CPU, torch.float32),
    }
    assert {name: found and found.limit for name, found in limits.items()} == {
        None: 2048,
        "window": 100,
        "unused": 2048,
        "positions": 64,
        "tiny": None,
    }
    assert limits[None].width == 16


def test_the_try_leaves_each_module_in_its_mode():
    network = network_of("llama")
    network.model.model.layers[0].train()
    before = [module.training for module in network.model.modules()]
    packing_of(network, CPU, torch.float32)
    assert [module.training for module in network.model.modules()] == before


def test_answers_and_gradients_are_those_of_separate_rows():
    policy = load_policy("tiny:width=16,layers=2")
    assert policy.packing.width == 16
    samples = sample_groups(policy, arithmetic(3, seed=2).questions, group_size=4, max_new_tokens=5)
    assert lay_out(samples, np.arange(12), policy.packing).part is not None
    found = []
    for packing in (policy.packing, None):
        policy.__dict__["packing"] = packing
        policy.model.zero_grad()
        value = sequence_log_probabilities(policy, samples)
        (value * torch.linspace(-1, 1, len(value))).sum().backward()
        found.append([value.detach(), *(parameter.grad.clone() for _, parameter in policy.trainable())])
    for together, apart in zip(*found, strict=True):
        torch.testing.assert_close(together, apart, rtol=1e-4, atol=2e-6)


def test_the_likelihood_computes_what_the_layout_says(monkeypatch):
    policy = load_policy("tiny:width=16,layers=2")
    samples = sample_groups(policy, arithmetic(3, seed=2).questions, group_size=4, max_new_tokens=5)
    shapes = []
    states = Network.states
    monkeypatch.setattr(
        Network, "states", lambda self, ids, **rest: shapes.append(ids.shape) or states(self, ids, **rest)
    )
    sequence_log_probabilities(policy, samples)
    assert shapes[-1] == lay_out(samples, np.arange(12), policy.packing).ids.shape
