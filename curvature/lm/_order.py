"""Which questions a step asks: the same for every arm, known without having run the steps before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["questions_of_step"]

# Told apart from every other use that is made of the seed.
_PURPOSE = 0x6F72_6465_72


def questions_of_step(
    num_questions: int, prompts_per_step: int, *, seed: int, step: int
) -> NDArray[np.int64]:
    """Return the questions of a step: epochs of shuffled questions, cut into steps, an epoch's remainder left out.

    No question occurs twice in a step, so that a question is a group. Only the seed and the step decide.

    Parameters
    ----------
    num_questions : int
        How many there are, at least `prompts_per_step`.
    prompts_per_step : int
        How many are asked.
    seed : int
        Of the run.
    step : int
        From 0.

    Returns
    -------
    ndarray of int64, shape (prompts_per_step,)
        Indices of questions.
    """
    epoch, place = divmod(step, num_questions // prompts_per_step)
    shuffled = np.random.Generator(np.random.Philox([_PURPOSE, seed, epoch])).permutation(num_questions)
    return shuffled[place * prompts_per_step : (place + 1) * prompts_per_step].astype(np.int64)
