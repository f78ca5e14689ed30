"""Tasks: what is read from files and from the hub, and sums."""

import json
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvature.lm._boxed import last_boxed
from curvature.lm._templates import SHOTS
from curvature.lm.tasks import Question, Task, arithmetic, gsm8k, math

GSM8K = [
    {"question": "Ida has 3 pens and buys 4. How many has she?", "answer": "3+4=<<3+4=7>>7 pens.\n#### 7"},
    {"question": "What do 20 bikes at $54 cost?", "answer": "20*54=1080\n#### 1,080"},
    {"question": "How far below zero is it after a fall of 5 from 2?", "answer": "2-5=-3\n#### -3"},
]
MATH = [
    {
        "problem": "What is $1/2$ of $3$?",
        "level": "Level 2",
        "solution": r"$\boxed{1}$, no: $\boxed{\frac{3}{2}}$.",
    },
    {
        "problem": "Add.",
        "level": "Level 5",
        "solution": r"It is $\boxed{4}$.",
        "unique_id": "train/algebra/7.json",
    },
    {"problem": "Square 3.", "level": "Level 1", "solution": r"It is $\boxed 9$."},
    {"problem": "Which sets?", "level": "Level 2", "solution": r"$\boxed{\left\{1, \{2\}\right\}}$"},
    {"problem": "No answer.", "level": "Level 2", "solution": r"There are $\boxed{}$ of them.", "answer": ""},
    {"problem": "Elsewhere.", "level": "Level 2", "solution": "Two.", "answer": "2"},
    {"problem": "Unrated.", "level": "Level ?", "solution": r"\boxed{0}"},
]


@pytest.fixture
def folder(tmp_path):
    for name, rows in {"train": GSM8K, "math": MATH}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def _write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (r"\boxed{1} and \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{\left\{1\right\}}", r"\left\{1\right\}"),
        (r"\boxed{\}}", r"\}"),
        (r"\boxed {3}", "3"),
        (r"\fbox{3}", "3"),
        (r"\boxed{\boxed{3}}", "3"),
        (r"\boxed{ }", ""),
        (r"\boxed{3", None),
        (r"\boxed{1}, so \boxed{\frac{1}", None),
        (r"\boxedly{3}", None),
        (r"\boxed 9", None),
        ("3", None),
    ],
)
def test_the_last_box_with_balanced_braces_is_read(text, held):
    assert last_boxed(text) == held


@given(
    st.recursive(st.text("ab1,\\ ", max_size=3), lambda inner: inner.map(lambda s: f"{{{s}}}"), max_leaves=20)
)
def test_a_box_gives_back_whatever_balanced_text_it_holds(content):
    if content.endswith("\\") or "\\{" in content or "\\}" in content:
        content = content.replace("\\", "")
    assert last_boxed(f"x \\boxed{{{content}}} y") == content.strip()


def test_a_box_of_a_million_braces_takes_one_pass():
    assert last_boxed("\\boxed{" + "{" * 500_000 + "}" * 500_000 + "}") == "{" * 500_000 + "}" * 500_000


def test_gsm8k_reads_the_number_after_the_mark(folder):
    task = gsm8k(folder)
    assert [q.answer for q in task] == ["7", "1080", "-3"]
    assert [q.key for q in task] == ["gsm8k/train/0", "gsm8k/train/1", "gsm8k/train/2"]
    assert (task.name, task.grading, task.stop) == ("gsm8k/train", "math", ("\nQuestion:",))


def test_math_keeps_the_levels_asked_for_and_reads_the_last_box(folder):
    task = math(folder / "math.jsonl", template="two_shot")
    assert {q.key: q.answer for q in task} == {
        "math/math/0": r"\frac{3}{2}",
        "math/math/3": r"\left\{1, \{2\}\right\}",
        "math/math/5": "2",
    }
    every = math(folder / "math.jsonl", levels=None, template="plain")
    assert [q.level for q in every] == ["2", "5", "1", "2", "2", "?"]
    assert every.questions[1].key == "math/train/algebra/7"
    assert every.questions[2].answer == "9"


def test_a_key_names_the_same_question_whatever_else_is_kept(folder):
    every = {q.key: q.prompt for q in math(folder / "math.jsonl", levels=None, template="plain")}
    some = {q.key: q.prompt for q in math(folder / "math.jsonl", levels=(1, 5), template="plain", limit=2)}
    assert len(some) == 2
    assert some.items() <= every.items()


def test_templates_put_the_question_where_the_model_answers(folder):
    shots = gsm8k(folder).questions[0].prompt
    assert shots.endswith("\n\nQuestion: Ida has 3 pens and buys 4. How many has she?\nAnswer:")
    assert shots.count("\\boxed{") == 2
    assert "put your final answer within \\boxed{}" in gsm8k(folder, template="plain").questions[0].prompt


def test_the_chat_template_is_the_tokenizers(folder):
    def apply(messages, *, tokenize, add_generation_prompt):
        assert (tokenize, add_generation_prompt) == (False, True)
        return f"<user>{messages[0]['content']}<assistant>"

    tokenizer = SimpleNamespace(chat_template="…", apply_chat_template=apply)
    prompt = gsm8k(folder, template="chat", tokenizer=tokenizer).questions[0].prompt
    assert prompt.startswith("<user>Ida has 3 pens")
    assert prompt.endswith("\\boxed{}.<assistant>")


@pytest.mark.parametrize("tokenizer", [None, SimpleNamespace(chat_template=None)])
def test_chat_without_a_chat_template_is_refused(folder, tokenizer):
    with pytest.raises(ValueError, match="needs tokenizer="):
        gsm8k(folder, template="chat", tokenizer=tokenizer)


@pytest.mark.parametrize("kind", ["gsm8k", "math"])
def test_every_shot_boxes_its_answer_last(kind):
    assert all(shot.answer.endswith(f"\\boxed{{{last_boxed(shot.answer)}}}.") for shot in SHOTS[kind])


def _fake_hub(monkeypatch, configs):
    def load(name, config, *, split):
        assert (name, split) == ("someone/set", "test")
        return configs[config]

    fake = SimpleNamespace(get_dataset_config_names=lambda name: list(configs), load_dataset=load)
    monkeypatch.setitem(sys.modules, "datasets", fake)


def test_the_hub_gives_what_the_file_gives(monkeypatch, folder):
    _fake_hub(monkeypatch, {"socratic": [], "main": GSM8K})
    task = gsm8k("someone/set", split="test")
    assert [q.answer for q in task] == [q.answer for q in gsm8k(folder)]
    assert (task.questions[2].key, task.questions[2].source) == ("gsm8k/test/2", "someone/set")


def test_all_configurations_of_the_hub_are_read_one_after_another_or_one_alone(monkeypatch):
    _fake_hub(monkeypatch, {"geometry": MATH[3:4], "algebra": MATH[0:1]})
    both = math("someone/set", split="test", template="plain")
    assert [(q.key, q.answer) for q in both] == [
        ("math/test/0", r"\frac{3}{2}"),
        ("math/test/1", r"\left\{1, \{2\}\right\}"),
    ]
    assert len(math("someone/set:geometry", split="test", template="plain")) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{"], "line 1, is not JSON"),
        (["[1]"], "line 1, holds list"),
        (['{"question": "1+1?"}'], r"no text in field 'answer' \(its fields: question\)"),
        (['{"question": "1+1?", "answer": "2"}'], "no answer after '####'"),
    ],
)
def test_a_bad_row_is_named(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        gsm8k(_write(tmp_path / "bad.jsonl", *lines))


def test_sources_that_are_not_there_are_named(folder):
    with pytest.raises(FileNotFoundError, match=r"no dev\.jsonl; splits found: math, train"):
        gsm8k(folder, split="dev")
    with pytest.raises(FileNotFoundError, match="no file, no folder, and no hub id"):
        gsm8k(folder / "none.jsonl")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": ()}, "levels is"),
        ({"levels": (6,)}, "levels is"),
        ({"levels": (4,)}, "has no questions of the kind"),
        ({"template": "three_shot"}, "template is 'three_shot'"),
        ({"limit": 0}, "limit is 0"),
    ],
)
def test_a_bad_setting_of_math_is_named(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        math(folder / "math.jsonl", **{"template": "plain", **settings})


@pytest.mark.parametrize(("num", "digits"), [(100, 1), (300, (1, 2)), (500, 1.5), (50, 9), (10_000, (1, 2))])
def test_sums_are_right_and_all_different(num, digits):
    task = arithmetic(num, digits=digits, seed=3)
    assert len({q.key for q in task}) == len(task) == num
    for q in task:
        a, b = map(int, q.prompt.removesuffix("=").split("+"))
        assert (int(q.answer), q.level) == (a + b, f"{len(str(a))}+{len(str(b))}")


def test_the_dial_sets_the_share_of_long_addends():
    lengths = Counter("+".join(q.level for q in arithmetic(4000, digits=3.25, seed=0)).split("+"))
    # 8,000 lengths: five standard deviations of the share are .024, a false alarm in 2 million.
    assert lengths["4"] / 8000 == pytest.approx(0.25, abs=0.025)
    assert set(lengths) == {"3", "4"}


def test_a_pair_that_went_through_json_is_the_same_pair():
    assert arithmetic(20, digits=json.loads("[1, 2]")) == arithmetic(20, digits=(1, 2))


def test_the_same_seed_makes_the_same_sums():
    assert arithmetic(20, seed=5) == arithmetic(20, seed=5) != arithmetic(20, seed=6)


@pytest.mark.parametrize(
    ("num", "digits", "message"),
    [
        (101, 1, "there are 100 different sums"),
        (0, 1, "num_questions is 0"),
        (1, 0.5, "digits is 0.5"),
        (1, (2, 1), "digits is"),
        (1, (1, 10), "from 1 to 9"),
        (1, (1, 2, 3), "pair of whole numbers"),
    ],
)
def test_sums_that_cannot_be_made_are_refused(num, digits, message):
    with pytest.raises(ValueError, match=message):
        arithmetic(num, digits=digits)


def test_subsets_and_draws_keep_the_task():
    task = arithmetic(50, seed=0)
    keys = [task.questions[i].key for i in (7, 3)]
    assert [q.key for q in task.subset(keys)] == keys
    drawn = task.take(20, seed=1)
    assert drawn.take(0, seed=0).questions == ()
    assert drawn.questions[:5] == task.take(5, seed=1).questions
    assert len({q.key for q in drawn}) == 20
    with pytest.raises(ValueError, match="no question 'x'"):
        task.subset(["x"])
    with pytest.raises(ValueError, match="n is 51"):
        task.take(51, seed=0)


def test_a_draw_favours_no_question():
    task = arithmetic(10, digits=1, seed=0)
    firsts = Counter(task.take(1, seed=seed).questions[0].key for seed in range(2000))
    expected = 200
    # χ² with 9 degrees of freedom exceeds 42.5 in one case of 370,000; the seeds are fixed.
    assert sum((firsts[q.key] - expected) ** 2 / expected for q in task) < 42.5


def test_a_task_refuses_keys_that_are_not_unique_and_unknown_gradings():
    twice = (Question("a", "1=", "1"), Question("a", "2=", "2"))
    with pytest.raises(ValueError, match="two questions with the key 'a'"):
        Task("t", twice, "exact", "sum")
    with pytest.raises(ValueError, match="grading is 'regex'"):
        Task("t", twice[:1], "regex", "sum")


def test_tasks_load_numpy_alone():
    import subprocess

    seen = subprocess.run(
        [sys.executable, "-c", "import sys, curvature.lm.tasks, curvature.lm.splits, curvature.lm.grading as g; "
         "g.Grader('exact').grade(['1'], ['1']); print(*sorted(sys.modules))"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert not {"torch", "transformers", "datasets", "math_verify", "sympy", "scipy", "pandas"} & set(seen)
    assert np.__name__ in seen
