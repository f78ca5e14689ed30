"""Answers in one sequence: each token sees its prompt and its own answer alone, and nothing else changes."""

import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from curvature.lm import _packing  # noqa: E402
from curvature.lm._architecture import Network  # noqa: E402
from curvature.lm._packing import lay_out, padded_tokens, rows_of_sequences, takes_packs  # noqa: E402
from curvature.lm.likelihood import batches_by_length, sequence_log_probabilities  # noqa: E402
from curvature.lm.policy import load_policy  # noqa: E402
from curvature.lm.sampling import sample_groups  # noqa: E402
from curvature.lm.tasks import arithmetic  # noqa: E402

CPU = torch.device("cpu")
SIZES = {"vocab_size": 53, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
GATED = {"intermediate_size": 32, "num_key_value_heads": 1}


def qwen(**more):
    return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**SIZES, **GATED, **more))


MODELS = {
    "qwen2": qwen,
    "qwen2, eager": lambda: qwen(attn_implementation="eager"),
    "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES, **GATED)),
    "gpt2, learned positions": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=53, n_embd=16, n_layer=2, n_head=2)
    ),
}


def network_of(make):
    torch.manual_seed(0)
    return Network.of(make().eval(), CPU)


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


@given(drawn_samples(), st.booleans(), st.sampled_from([6, 12, 2048]), st.data())
def test_each_token_is_predicted_from_its_prompt_and_the_answer_before_it(samples, packed, limit, data):
    rows = np.array(data.draw(st.lists(st.integers(0, len(samples.question) - 1), min_size=1, max_size=9)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_packing, "PACKED_TOKENS", limit)
        layout = lay_out(samples, rows, packed=packed)
        assert layout.ids.size == padded_tokens(samples, rows, packed=packed)
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


@given(drawn_samples(), st.integers(0, 40))
def test_sequences_hold_each_row_once_of_one_question_within_the_limit(samples, limit):
    rows = np.arange(len(samples.question))
    sequences = rows_of_sequences(samples, rows, limit)
    assert sorted(np.concatenate(sequences).tolist()) == rows.tolist()
    for places in sequences:
        question = set(samples.question[places].tolist())
        assert len(question) == 1
        tokens = len(samples.prompt_ids[question.pop()]) + np.maximum(samples.length[places] - 1, 0).sum()
        assert len(places) == 1 or tokens <= limit


@given(drawn_samples(), st.integers(1, 60), st.booleans())
def test_batches_stay_within_the_limit_as_they_will_be_laid_out(samples, most, packed):
    batches = list(batches_by_length(samples, most, packed=packed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(samples.question)))
    for batch in batches:
        assert padded_tokens(samples, batch, packed=packed) <= most or len(batch) == 1


def test_a_group_of_eight_needs_its_prompt_once():
    samples = Drawn(
        prompt_ids=[np.arange(250)],
        question=np.zeros(8, int),
        length=np.full(8, 110),
        completion_ids=[np.arange(110)] * 8,
    )
    rows = np.arange(8)
    assert padded_tokens(samples, rows, packed=True) == 250 + 8 * 109
    assert padded_tokens(samples, rows, packed=False) == 8 * (250 + 109)


@pytest.mark.parametrize("name", MODELS)
def test_models_whose_states_are_the_same_are_found(name):
    assert takes_packs(network_of(MODELS[name]), CPU, torch.float32)


@pytest.mark.parametrize("name", ["qwen2", "qwen2, eager"])
def test_half_precision_is_told_from_a_mask_that_is_not_used(name):
    def widened():
        model = MODELS[name]()
        with torch.no_grad():  # weights of .02 alone leave attention next to nothing to do
            for value in model.parameters():
                if value.ndim > 1:
                    value.mul_(10)
        return model.bfloat16()

    network = network_of(widened)
    assert takes_packs(network, CPU, torch.bfloat16)
    assert not takes_packs(deaf(network, "attention_mask"), CPU, torch.bfloat16)


def deaf(network, argument):
    """Return the network with a trunk that does not listen to one of its arguments."""
    trunk = network.trunk

    class Deaf(torch.nn.Module):
        def forward(self, **given):
            return trunk(**{name: value for name, value in given.items() if name != argument})

    return Network(network.model, network.arguments, Deaf())


@pytest.mark.parametrize("argument", ["attention_mask", "position_ids"])
def test_a_model_that_does_not_listen_takes_no_packs(argument):
    network = network_of(qwen)
    assert not takes_packs(deaf(network, argument), CPU, torch.float32)
    assert not takes_packs(
        Network(network.model, network.arguments - {argument}, network.trunk), CPU, torch.float32
    )


def test_a_model_with_a_window_takes_no_packs():
    windowed = qwen(use_sliding_window=True, sliding_window=4, max_window_layers=0)
    assert not takes_packs(Network.of(windowed.eval(), CPU), CPU, torch.float32)


def test_answers_and_gradients_are_those_of_separate_rows():
    policy = load_policy("tiny:width=16,layers=2")
    samples = sample_groups(policy, arithmetic(3, seed=2).questions, group_size=4, max_new_tokens=5)
    found = []
    for packed in (True, False):
        policy.__dict__["takes_packs"] = packed
        policy.model.zero_grad()
        value = sequence_log_probabilities(policy, samples)
        (value * torch.linspace(-1, 1, len(value))).sum().backward()
        found.append([value.detach(), *(parameter.grad.clone() for _, parameter in policy.trainable())])
    assert padded_tokens(samples, np.arange(12), packed=True) < padded_tokens(
        samples, np.arange(12), packed=False
    )
    for together, apart in zip(*found, strict=True):
        torch.testing.assert_close(together, apart, rtol=1e-4, atol=2e-6)
