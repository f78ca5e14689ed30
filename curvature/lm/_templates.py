r"""Prompt templates: how a question is put to a model, and which words end its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TEMPLATES", "render_with", "stop_words"]

TEMPLATES = ("two_shot", "chat", "plain")
ASK = "Please reason step by step, and put your final answer within \\boxed{}."


class Shot(NamedTuple):
    """A worked question that shows the form of an answer."""

    question: str
    answer: str


SHOTS = {
    "gsm8k": (
        Shot(
            "Nora fills 6 baskets with 8 plums each and gives 13 plums to her aunt. How many plums does she keep?",
            "The baskets hold 6 * 8 = 48 plums. Nora keeps 48 - 13 = 35 plums. The answer is \\boxed{35}.",
        ),
        Shot(
            "A ferry ticket costs $12 and a child pays half. How much do 2 adults and 3 children pay together?",
            "A child pays 12 / 2 = 6 dollars. The adults pay 2 * 12 = 24 dollars and the children 3 * 6 = 18 dollars. "
            "Together they pay 24 + 18 = 42 dollars. The answer is \\boxed{42}.",
        ),
    ),
    "math": (
        Shot(
            "Solve $5x - 7 = 2x + 8$ for $x$.",
            "Subtract $2x$ from both sides and add $7$: $3x = 15$. So $x = 15/3 = 5$. The answer is \\boxed{5}.",
        ),
        Shot(
            "A bag holds 3 red and 5 blue marbles. What is the probability that a marble drawn at random is red?",
            "There are $3 + 5 = 8$ marbles, and $3$ of them are red. The probability is $3/8$. "
            "The answer is \\boxed{\\frac{3}{8}}.",
        ),
    ),
}
"""Two for each data set, written for this project."""


def render_with(template: str, shots: str, tokenizer: Any = None) -> Callable[[str], str]:
    """Return the function that puts a question into a template.

    Parameters
    ----------
    template : str
        One of ``TEMPLATES``.
    shots : str
        Whose worked questions "two_shot" shows: "gsm8k" or "math".
    tokenizer : optional
        With a chat template; "chat" needs it, the others do not look at it.

    Returns
    -------
    callable
        str -> str.

    Raises
    ------
    ValueError
        If the template is unknown, or "chat" is asked for without a tokenizer that has a chat template.
    """
    if template not in TEMPLATES:
        raise ValueError(f"template is {template!r}; it must be one of {', '.join(TEMPLATES)}.")
    if template == "two_shot":
        head = "".join(f"Question: {shot.question}\nAnswer: {shot.answer}\n\n" for shot in SHOTS[shots])
        return lambda question: f"{head}Question: {question}\nAnswer:"
    if template == "plain":
        return lambda question: f"{question}\n{ASK}\n"
    if getattr(tokenizer, "chat_template", None) is None:
        raise ValueError(
            'template="chat" needs tokenizer=, and one that has a chat template; "two_shot" and "plain" need none.'
        )

    def chat(question: str) -> str:
        messages = [{"role": "user", "content": f"{question}\n{ASK}"}]
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    return chat


def stop_words(template: str) -> tuple[str, ...]:
    """Return the words that end an answer: a base model goes on to the next question by itself."""
    return ("\nQuestion:",) if template == "two_shot" else ()
