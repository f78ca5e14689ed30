"""Curvature of a language model along a direction, against enumeration of all its completions."""

from itertools import product
from types import MethodType

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from curvature.lm._directional import derivatives, random_directions, score, unit
from curvature.lm._gradients import GradientCollector, leave_one_out_weights
from curvature.lm._sketch import CountSketch
from curvature.lm._tail import Scorer, made_ready, select_parameters
from curvature.lm.policy import Policy

END, PROMPT, TEMPERATURE = 0, [1, 2], 0.8


def small_policy(kind="llama", seed=0, dtype=torch.float64, vocabulary=4):
    """A random model that can say so little that all of it can be written down."""
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": 8,
        "intermediate_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "initializer_range": 0.6,
        "tie_word_embeddings": kind == "qwen2",
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": END,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = (
            LlamaForCausalLM(LlamaConfig(**sizes))
            if kind == "llama"
            else Qwen2ForCausalLM(Qwen2Config(**sizes))
        )
    model = model.to(dtype).eval().requires_grad_(False)
    if dtype == torch.float64:
        for module in model.modules():
            if type(module).__name__.endswith("RMSNorm"):
                module.forward = MethodType(double_norm, module)
    return Policy(model, None, torch.device("cpu"), dtype, kind)


def double_norm(module, x):
    """RMSNorm in double precision; that of transformers works in float32 whatever it is given."""
    return module.weight * x * torch.rsqrt((x**2).mean(-1, keepdim=True) + module.variance_epsilon)


def all_completions(most=3, vocabulary=4):
    """Every completion of at most so many tokens: it ends with the end token or at the limit."""
    words = range(1, vocabulary)
    ended = [[*start, END] for length in range(most) for start in product(words, repeat=length)]
    return ended + [list(row) for row in product(words, repeat=most)]


def reward_of(completion):
    return float(sum(completion) % 3 == 1) + 0.25 * (len(completion) == 2)


COMPLETIONS = all_completions()
REWARDS = np.array([reward_of(row) for row in COMPLETIONS])


def scorer_of(policy, parameters):
    return Scorer(policy, select_parameters(policy, parameters), TEMPERATURE)


def probabilities(scorer, batch, values=None):
    return scorer.log_probability(values or scorer.values, batch).exp().numpy()


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize("parameters", ["last_layer", "all", r"layers\.0\.self_attn"])
def test_curvature_is_the_covariance_of_reward_and_q(kind, parameters):
    scorer = scorer_of(small_policy(kind), parameters)
    batch = scorer.batch(PROMPT, COMPLETIONS)
    u = random_directions(scorer, 1, seed=3)[0]
    π = probabilities(scorer, batch)
    assert π.sum() == pytest.approx(1, abs=1e-12)
    slope, second = (part.numpy() for part in derivatives(scorer, batch, u, mode="forward"))
    q = slope**2 + second
    assert π @ slope == pytest.approx(0, abs=1e-12)  # E s = 0
    assert π @ q == pytest.approx(0, abs=1e-12)  # E q_u = ∂²_u 1 = 0

    def expected_reward(t):
        moved = {name: value + t * u[name] for name, value in scorer.values.items()}
        return probabilities(scorer, batch, moved) @ REWARDS

    h = 1e-3
    four = [expected_reward(k * h) for k in (-2, -1, 0, 1, 2)]
    exact = np.dot(four, [-1, 16, -30, 16, -1]) / (12 * h**2)
    covariance = π @ ((REWARDS - π @ REWARDS) * q)
    assert covariance == pytest.approx(exact, rel=1e-6, abs=1e-9)
    σ, C = np.sqrt(π @ (REWARDS - π @ REWARDS) ** 2), np.sqrt(π @ q**2)
    assert abs(covariance) <= σ * C


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_forward_over_forward_equals_double_backward(kind):
    scorer = scorer_of(small_policy(kind), "all")
    batch = scorer.batch(PROMPT, COMPLETIONS[::7])
    u = random_directions(scorer, 1, seed=1)[0]
    forward, backward = (derivatives(scorer, batch, u, mode=mode) for mode in ("forward", "backward"))
    for left, right in zip(forward, backward, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-11)


def test_auto_mode_falls_back_where_forward_mode_is_missing(monkeypatch):
    scorer = scorer_of(small_policy(), "last_layer")
    batch = scorer.batch(PROMPT, COMPLETIONS[:3])
    u = random_directions(scorer, 1, seed=1)[0]
    wanted = derivatives(scorer, batch, u)

    def missing(*_):
        raise NotImplementedError

    monkeypatch.setattr("torch.func.jvp", missing)
    for left, right in zip(derivatives(scorer, batch, u), wanted, strict=True):
        torch.testing.assert_close(left, right)
    with pytest.raises(NotImplementedError):
        derivatives(scorer, batch, u, mode="forward")
    with pytest.raises(ValueError, match="mode is 'sideways'"):
        derivatives(scorer, batch, u, mode="sideways")


def test_score_is_the_gradient_whatever_the_batch_and_its_padding():
    scorer = scorer_of(small_policy(), "last_layer")
    u = random_directions(scorer, 1, seed=1)[0]
    flat = torch.cat([part.reshape(-1) for part in u.values()])
    batch = scorer.batch(PROMPT, COMPLETIONS)
    together, _ = derivatives(scorer, batch, u)
    alone = [float(score(scorer, scorer.batch(PROMPT, [row])) @ flat) for row in COMPLETIONS]
    np.testing.assert_allclose(alone, together.numpy(), rtol=1e-9, atol=1e-12)


def test_tail_alone_gives_what_the_whole_model_gives():
    policy = small_policy()
    tail = scorer_of(policy, "last_layer")
    assert tail.first == 1
    whole = scorer_of(policy, "last_layer")
    whole.first = None
    from curvature.lm._tail import _Whole

    whole.module = _Whole(policy.network)
    names = {id(value): name for name, value in whole.module.named_parameters()}
    whole.names = {name: names[id(value)] for name, value in select_parameters(policy, "last_layer").items()}
    one, other = tail.batch(PROMPT, COMPLETIONS), whole.batch(PROMPT, COMPLETIONS)
    torch.testing.assert_close(
        tail.log_probability(tail.values, one),
        whole.log_probability(whole.values, other),
        rtol=1e-12,
        atol=1e-12,
    )


def test_tied_embedding_is_differentiated_at_both_of_its_places():
    policy = small_policy("qwen2")
    scorer = scorer_of(policy, "embed_tokens")
    assert scorer.first is None  # the embedding is below every block
    batch = scorer.batch(PROMPT, [[3, 1, END]])
    s = score(scorer, batch)
    h, place = 1e-5, 9
    moved = [{n: v.clone() for n, v in scorer.values.items()} for _ in range(2)]
    for values, sign in zip(moved, (1, -1), strict=True):
        next(iter(values.values())).view(-1)[place] += sign * h
    up, down = (float(scorer.log_probability(values, batch)) for values in moved)
    assert float(s[place]) == pytest.approx((up - down) / (2 * h), rel=1e-6)


def test_leave_one_out_gradient_is_unbiased_over_all_groups_of_two():
    scorer = scorer_of(small_policy(vocabulary=3), "last_layer")
    rows = all_completions(most=2, vocabulary=3)
    rewards = np.array([reward_of(row) for row in rows])
    batch = scorer.batch(PROMPT, rows)
    π = probabilities(scorer, batch)
    S = np.stack([score(scorer, scorer.batch(PROMPT, [row])).numpy() for row in rows])
    exact = (π * rewards) @ S
    mean = sum(
        π[a] * π[b] * leave_one_out_weights(rewards[[a, b]]) @ S[[a, b]]
        for a in range(len(rows))
        for b in range(len(rows))
    )
    np.testing.assert_allclose(mean, exact, rtol=1e-9, atol=1e-12)


def test_a_sketched_collector_keeps_norms_and_the_gram_of_an_unsketched_one():
    scorer = scorer_of(small_policy(), "all")
    rng = np.random.default_rng(0)
    groups = [
        (rng.integers(2, size=4).astype(float), rng.integers(len(COMPLETIONS), size=4)) for _ in range(3)
    ]
    size = sum(value.numel() for value in scorer.values.values())
    tables = []
    for keep in (lambda s: s, CountSketch(size, 1 << 16, 0, torch.device("cpu"))):
        collector = GradientCollector(scorer, keep)
        for rewards, rows in groups:
            collector.add(rewards, [scorer.batch(PROMPT, [COMPLETIONS[k]]) for k in rows])
        tables.append(collector.table())
    whole, sketched = tables
    np.testing.assert_allclose(whole.score_squared_norm, sketched.score_squared_norm)
    scale = np.abs(whole.inner).max()
    np.testing.assert_allclose(whole.inner, sketched.inner, atol=0.05 * scale)
    np.testing.assert_allclose(whole.batch_fisher, sketched.batch_fisher, rtol=0.1)


def test_half_precision_weights_come_back_bit_for_bit():
    policy = small_policy(dtype=torch.bfloat16)
    before = {name: value.clone() for name, value in policy.model.state_dict().items()}
    with made_ready(policy.model):
        assert {value.dtype for value in policy.model.parameters()} == {torch.float32}
    for name, value in policy.model.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def test_directions_have_length_one_and_do_not_depend_on_what_is_drawn_elsewhere():
    scorer = scorer_of(small_policy(), "last_layer")
    one = random_directions(scorer, 2, seed=5)
    torch.rand(3)
    two = random_directions(scorer, 2, seed=5)
    for a, b in zip(one, two, strict=True):
        assert sum(float((part**2).sum()) for part in a.values()) == pytest.approx(1, abs=1e-6)
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert unit(torch.zeros(sum(v.numel() for v in scorer.values.values())), scorer) is None


def test_parameters_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="'lora'"):
        select_parameters(small_policy(), "lora")
