r"""Tasks: questions with known answers, put into a prompt template.

:func:`gsm8k` and :func:`math` read GSM8K and MATH from files or from the hub; :func:`arithmetic` makes sums that a
small model trained from scratch can learn. Answers are graded by :class:`curvature.lm.grading.Grader`.

Templates
---------
"two_shot"
    "Question: … Answer: …" with two worked questions of our own that end in ``\boxed{}``; for base models.
"chat"
    The tokenizer's chat template with a request for ``\boxed{}``. The prompt then holds its special tokens already:
    encode it with ``add_special_tokens=False``.
"plain"
    The question and the request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.lm._boxed import last_boxed
from curvature.lm._sources import read_records
from curvature.lm._sums import draw_sums
from curvature.lm._templates import render_with, stop_words
from curvature.lm.grading import GRADINGS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from curvature.lm._sources import Record

__all__ = ["Question", "Task", "arithmetic", "gsm8k", "math"]


@dataclass(frozen=True)
class Question:
    """One question as the model gets it.

    Attributes
    ----------
    key : str
        A name that stays the same from run to run, such as "gsm8k/train/17".
    prompt : str
        The whole text that the model continues, template applied.
    answer : str
        The right answer alone.
    level : str
        Its difficulty by the data's own label, "" where there is none.
    source : str
        Where it was read from.
    """

    key: str
    prompt: str
    answer: str
    level: str = ""
    source: str = ""


@dataclass(frozen=True)
class Task:
    """Questions, how they are asked and how their answers are graded.

    Attributes
    ----------
    name : str
        Such as "gsm8k/train".
    questions : tuple of Question
        Their keys differ.
    grading : str
        "math" or "exact", see :class:`curvature.lm.grading.Grader`.
    template : str
        How the prompts were made.
    stop : tuple of str
        Words at which an answer ends, besides the model's own end token.

    Examples
    --------
    >>> task = arithmetic(100, digits=1, seed=0)
    >>> len(task), len(task.take(8, seed=1))
    (100, 8)
    """

    name: str
    questions: tuple[Question, ...]
    grading: str
    template: str
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an unknown grading and keys that are not unique."""
        if self.grading not in GRADINGS:
            raise ValueError(f"grading is {self.grading!r}; it must be one of {', '.join(GRADINGS)}.")
        if len(self._by_key()) < len(self.questions):
            seen: set[str] = set()
            twice = next(q.key for q in self.questions if q.key in seen or seen.add(q.key))
            raise ValueError(
                f"task {self.name!r} has two questions with the key {twice!r}; keys must differ."
            )

    def __len__(self) -> int:
        return len(self.questions)

    def __iter__(self) -> Iterator[Question]:
        return iter(self.questions)

    def _by_key(self) -> dict[str, Question]:
        return {question.key: question for question in self.questions}

    def subset(self, keys: Iterable[str]) -> Task:
        """Return the task of these questions alone, in the order of the keys.

        Parameters
        ----------
        keys : iterable of str
            Keys of questions of this task.

        Returns
        -------
        Task
            Otherwise the same.

        Raises
        ------
        ValueError
            If a key belongs to no question.
        """
        known = self._by_key()
        keys = list(keys)
        missing = [key for key in keys if key not in known]
        if missing:
            raise ValueError(f"task {self.name!r} has no question {missing[0]!r} ({len(missing)} such keys).")
        return replace(self, questions=tuple(known[key] for key in keys))

    def take(self, n: int, seed: int) -> Task:
        """Return the task of n questions drawn at random, none twice, in the order drawn.

        Parameters
        ----------
        n : int
            How many, at most the task's own number.
        seed : int
            Of the draw; a smaller n with the same seed takes the first of the same questions.

        Returns
        -------
        Task
            Otherwise the same.

        Raises
        ------
        ValueError
            If there are fewer than n questions, or n is negative.
        """
        if not 0 <= n <= len(self):
            raise ValueError(f"n is {n}; task {self.name!r} has {len(self)} questions to take from.")
        order = np.random.default_rng(seed).permutation(len(self))[:n]
        return replace(self, questions=tuple(self.questions[i] for i in order))


def gsm8k(
    source: str | os.PathLike[str],
    *,
    split: str = "train",
    template: str = "two_shot",
    tokenizer: Any = None,
    limit: int | None = None,
) -> Task:
    r"""Read GSM8K: word problems whose answer is the number after ``####``, its thousands separators dropped.

    Ours. Kind: identity.

    Parameters
    ----------
    source : str or path
        A hub id such as "openai/gsm8k", a folder that holds SPLIT.jsonl, or a JSONL file, whose stem is then the
        split. Fields: question, answer.
    split : str
        "train" or "test".
    template : str
        "two_shot", "chat" or "plain".
    tokenizer : optional
        For "chat".
    limit : int, optional
        Keep the first so many questions; all by default.

    Returns
    -------
    Task
        With keys "gsm8k/SPLIT/ROW", rows counted from 0.

    Raises
    ------
    ValueError
        If a row lacks a field or its answer has no ``####``.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "train.jsonl")
    >>> _ = path.write_text(json.dumps({"question": "What is 600 + 600?", "answer": "They add up. #### 1,200"}))
    >>> [(question.key, question.answer) for question in gsm8k(path)]
    [('gsm8k/train/0', '1200')]
    """
    render = render_with(template, "gsm8k", tokenizer)

    def question(record: Record) -> Question:
        _, mark, gold = record.text("answer").rpartition("####")
        if not mark or not gold.strip():
            raise ValueError(f"{record.place} has no answer after '####'.")
        return Question(
            key=f"gsm8k/{record.split}/{record.row}",
            prompt=render(record.text("question").strip()),
            answer=re.sub(r"(?<=\d),(?=\d)", "", gold.strip()),
            source=str(source),
        )

    return _task("gsm8k", map(question, read_records(source, split)), split, template, source, limit)


def math(
    source: str | os.PathLike[str],
    *,
    split: str = "train",
    levels: Iterable[int] | None = (2,),
    template: str = "chat",
    tokenizer: Any = None,
    limit: int | None = None,
) -> Task:
    r"""Read MATH: competition problems whose answer is what the solution's last ``\boxed{}`` holds.

    Ours. Kind: identity.

    Parameters
    ----------
    source : str or path
        A hub id such as "EleutherAI/hendrycks_math" (all its configurations, or one: "owner/name:algebra"), a folder
        that holds SPLIT.jsonl, or a JSONL file, whose stem is then the split. Fields: problem, level ("Level 2"),
        solution; a field answer is used where the solution boxes nothing, and a row with neither is left out (two
        of MATH's 12,500); unique_id names the question if present.
    split : str
        "train" or "test".
    levels : iterable of int or None
        Which of the levels 1 to 5 to keep; None keeps all, those without a level too.
    template : str
        "chat", "two_shot" or "plain".
    tokenizer : optional
        For "chat".
    limit : int, optional
        Keep the first so many questions of those levels; all by default.

    Returns
    -------
    Task
        With keys "math/UNIQUE_ID" or "math/SPLIT/ROW", rows counted from 0 over all levels.

    Raises
    ------
    ValueError
        If a level is not 1 to 5, or a row lacks a field.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "train.jsonl")
    >>> row = {"problem": "Compute $1/4+1/4$.", "level": "Level 2", "solution": r"It is $\boxed{\frac{1}{2}}$."}
    >>> _ = path.write_text(json.dumps(row))
    >>> [question.answer for question in math(path, levels=(2,), template="plain")]
    ['\\frac{1}{2}']
    """
    wanted = None if levels is None else {str(level) for level in levels}
    if wanted is not None and (not wanted or not wanted <= set("12345")):
        raise ValueError(f"levels is {levels!r}; it must name levels from 1 to 5, or be None for all.")
    render = render_with(template, "math", tokenizer)

    def question(record: Record) -> Question | None:
        answer = _math_answer(record)
        if not answer:
            return None
        identity = str(record.fields.get("unique_id") or f"{record.split}/{record.row}")
        return Question(
            key=f"math/{identity.removesuffix('.json')}",
            prompt=render(record.text("problem").strip()),
            answer=answer,
            level=_level(record),
            source=str(source),
        )

    records = (r for r in read_records(source, split) if wanted is None or _level(r) in wanted)
    return _task("math", map(question, records), split, template, source, limit)


def arithmetic(num_questions: int, *, digits: tuple[int, int] | float = (1, 2), seed: int = 0) -> Task:
    """Make sums of two numbers, such as "12+7=", all different; the number of digits is the dial of difficulty.

    Ours. Kind: identity. The digits of each addend are drawn by themselves, then the addend among all numbers of so
    many digits (0 has one). When all sums of one kind are in use the other kinds take its place.

    Parameters
    ----------
    num_questions : int
        At most the number of different sums.
    digits : (int, int) or float
        A pair: each addend has from the first to the second number of digits, all equally likely. A number: each has
        that many on average, 1.25 meaning one digit with probability 3/4 and two with probability 1/4. At most 9.
    seed : int
        Of the draw.

    Returns
    -------
    Task
        Graded "exact"; the keys are the sums, "arithmetic/12+7", and the levels the digits, "2+1".

    Raises
    ------
    ValueError
        If there are fewer different sums, or digits is out of range.

    Examples
    --------
    >>> question = arithmetic(3, digits=2, seed=0).questions[0]
    >>> question.prompt, question.answer, question.level
    ('67+38=', '105', '2+2')
    """
    pairs = draw_sums(num_questions, digits, np.random.default_rng(seed))
    questions = tuple(
        Question(
            key=f"arithmetic/{a}+{b}",
            prompt=f"{a}+{b}=",
            answer=str(a + b),
            level=f"{len(str(a))}+{len(str(b))}",
            source="arithmetic",
        )
        for a, b in pairs
    )
    return Task("arithmetic", questions, "exact", "sum")


def _task(
    name: str,
    questions: Iterator[Question | None],
    split: str,
    template: str,
    source: object,
    limit: int | None,
) -> Task:
    """Collect the first questions that have an answer, and refuse an empty task."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; it must be at least 1, or None for all.")
    kept: list[Question] = []
    for question in filter(None, questions):
        kept.append(question)
        if len(kept) == limit:
            break
    if not kept:
        raise ValueError(f"{source} has no questions of the kind asked for (split {split!r}).")
    return Task(f"{name}/{split}", tuple(kept), "math", template, stop_words(template))


def _level(record: Record) -> str:
    """Return "2" for "Level 2"."""
    return str(record.fields.get("level", "")).removeprefix("Level").strip()


def _math_answer(record: Record) -> str:
    """Return what the solution boxes last, else the row's own answer, else ""."""
    boxed = last_boxed(record.text("solution"), bare=True) if "solution" in record.fields else None
    return boxed or str(record.fields.get("answer") or "").strip()
