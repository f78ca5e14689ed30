"""Sampling: the distribution is the model's, and an answer depends on nothing but what it is."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from scipy.stats import chisquare  # noqa: E402

from curvature.lm.likelihood import sequence_log_probabilities  # noqa: E402
from curvature.lm.policy import load_policy  # noqa: E402
from curvature.lm.sampling import sample_groups  # noqa: E402
from curvature.lm.tasks import Question, arithmetic  # noqa: E402

TASK = arithmetic(7, digits=(1, 3), seed=3)


def a_policy(seed=0, sharpen=1.0):
    policy = load_policy(f"tiny:width=16,layers=2,seed={seed}")
    with torch.no_grad():
        policy.model.get_output_embeddings().weight.mul_(sharpen)
    return policy


def the_same(first, second):
    assert first.texts == second.texts
    assert all(np.array_equal(a, b) for a, b in zip(first.completion_ids, second.completion_ids, strict=True))
    np.testing.assert_array_equal(first.finished, second.finished)
    np.testing.assert_allclose(first.log_probability, second.log_probability, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 64])
def test_answers_do_not_depend_on_the_batch(batch_size):
    policy = a_policy(sharpen=4.0)
    draw = {"group_size": 5, "max_new_tokens": 9, "seed": 2, "step": 4}
    the_same(
        sample_groups(policy, TASK.questions, **draw),
        sample_groups(policy, TASK.questions, batch_size=batch_size, **draw),
    )


def test_answers_do_not_depend_on_the_order_or_on_the_other_questions():
    policy = a_policy(sharpen=4.0)
    draw = {"group_size": 3, "max_new_tokens": 9, "seed": 2}
    whole = sample_groups(policy, TASK.questions, **draw)
    chosen = [5, 0, 3]
    part = sample_groups(policy, [TASK.questions[i] for i in chosen], **draw)
    assert part.texts == tuple(whole.texts[3 * i + g] for i in chosen for g in range(3))


def test_seed_step_and_number_of_the_answer_all_change_the_draw():
    policy = a_policy()
    texts = {
        (seed, step): sample_groups(
            policy, TASK.questions, group_size=2, max_new_tokens=9, seed=seed, step=step
        ).texts
        for seed, step in itertools.product((0, 1), (0, 1))
    }
    assert len(set(texts.values())) == 4
    assert len({text for group in texts.values() for text in group[:2]}) == 8


def test_recorded_log_probability_is_that_of_a_new_evaluation():
    policy = a_policy(sharpen=3.0)
    samples = sample_groups(policy, TASK.questions, group_size=4, max_new_tokens=12, temperature=0.7)
    again = sequence_log_probabilities(policy, samples, temperature=0.7).detach().numpy()
    np.testing.assert_allclose(again, samples.log_probability, atol=1e-4)


def test_first_token_follows_the_models_distribution():
    """Chi-square over 20,000 draws; the seed is fixed, the false-alarm level was 0.1 %."""
    policy = a_policy(seed=1, sharpen=8.0)
    question = TASK.questions[0]
    samples = sample_groups(
        policy, [question], group_size=20_000, max_new_tokens=1, temperature=0.5, batch_size=5_000
    )
    with torch.no_grad():
        logits = policy.model(torch.tensor([policy.encode(question.prompt)])).logits[0, -1].double()
    p = torch.softmax(logits / 0.5, -1).numpy()
    drawn = np.bincount([ids[0] for ids in samples.completion_ids], minlength=len(p))
    often = p * 20_000 > 5
    expected = np.append(p[often], p[~often].sum()) * 20_000
    observed = np.append(drawn[often], drawn[~often].sum())
    if expected[-1] < 5:
        expected, observed = expected[:-1], observed[:-1]
    assert often.sum() > 3
    assert chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3


def test_two_tokens_follow_the_models_distribution():
    """The second token comes from the cache: all pairs by enumeration, chi-square over 8,000 draws, level 0.1 %."""
    policy = a_policy(seed=1, sharpen=12.0)
    question = TASK.questions[0]
    samples = sample_groups(policy, [question], group_size=8_000, max_new_tokens=2, batch_size=4_000)
    prompt = torch.tensor(policy.encode(question.prompt))
    size = policy.model.config.vocab_size
    with torch.no_grad():
        texts = torch.cat([prompt.expand(size, -1), torch.arange(size)[:, None]], dim=1)
        log_p = torch.log_softmax(policy.model(texts).logits[:, -2:].double(), -1)
    first = log_p[0, 0].exp().numpy()
    p = first[:, None] * log_p[:, 1].exp().numpy()
    ends = list(policy.end_ids)
    p[ends, :] = 0
    p[ends, 0] = first[ends]  # an answer that has ended has no second token
    drawn = np.zeros((size, size))
    for ids in samples.completion_ids:
        drawn[ids[0], ids[1] if len(ids) > 1 else 0] += 1
    often = 8_000 * p > 5
    observed = np.append(drawn[often], drawn[~often].sum())
    expected = 8_000 * np.append(p[often], p[~often].sum())
    assert often.sum() > 10
    assert chisquare(observed, expected).pvalue > 1e-3


def test_a_finished_answer_ends_with_its_end_token_and_others_are_cut_off():
    policy = a_policy(sharpen=3.0)
    samples = sample_groups(policy, TASK.questions, group_size=40, max_new_tokens=6)
    assert samples.finished.any()
    assert not samples.finished.all()
    for ids, done, length in zip(samples.completion_ids, samples.finished, samples.length, strict=True):
        assert len(ids) == length <= 6
        assert done == (ids[-1] in policy.end_ids)
        assert not set(ids[:-1].tolist()) & set(policy.end_ids)
        assert done or length == 6


def test_a_stop_text_ends_the_answer_and_is_not_part_of_the_text():
    policy = a_policy()
    free = sample_groups(policy, TASK.questions, group_size=8, max_new_tokens=10)
    stopped = sample_groups(policy, TASK.questions, group_size=8, max_new_tokens=10, stop=("7",))
    assert any("7" in text for text in free.texts)
    for before, after, done in zip(free.texts, stopped.texts, stopped.finished, strict=True):
        assert after == before.split("7")[0]
        assert done or "7" not in before


def test_one_prompt_or_many_of_unequal_length_give_the_same_logits():
    """Left padding and the shared prefill change nothing: each question alone gives the same answers."""
    policy = a_policy(sharpen=4.0)
    questions = [Question(f"q{i}", "1" * (i + 1) + "+2=", "3") for i in range(6)]
    together = sample_groups(policy, questions, group_size=2, max_new_tokens=8)
    for i, question in enumerate(questions):
        alone = sample_groups(policy, [question], group_size=2, max_new_tokens=8)
        assert alone.texts == together.texts[2 * i : 2 * i + 2]


@pytest.mark.parametrize(
    ("name", "value"), [("group_size", 0), ("max_new_tokens", -1), ("batch_size", 2.5), ("temperature", 0.0)]
)
def test_a_bad_size_is_named(name, value):
    settings = {"group_size": 2, "max_new_tokens": 2, name: value}
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        sample_groups(a_policy(), TASK.questions, **settings)


def test_equal_keys_are_refused():
    question = TASK.questions[0]
    with pytest.raises(ValueError, match="same random numbers"):
        sample_groups(a_policy(), [question, question], group_size=2, max_new_tokens=2)
