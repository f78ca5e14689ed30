"""From a run's settings to its policy and its questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curvature.lm.config import TrainConfig
    from curvature.lm.policy import Policy
    from curvature.lm.tasks import Task

__all__ = ["build_policy", "build_task", "hold_out"]

_TASKS = ("arithmetic", "gsm8k", "math")


def build_policy(config: TrainConfig, device: str | None = None) -> Policy:
    """Load the policy of a run, as it is before any update and before its warm start.

    Parameters
    ----------
    config : TrainConfig
        Of the run.
    device : str, optional
        Of this process, if it was given one.

    Returns
    -------
    Policy
        The policy.
    """
    from curvature.lm.policy import LoraSettings, load_policy

    lora = None
    if config.lora_rank:
        lora = LoraSettings(config.lora_rank, config.lora_alpha, config.lora_dropout, config.lora_targets)
    return load_policy(
        config.policy,
        lora=lora,
        dtype=config.dtype,
        device=device or config.device,
        seed=config.policy_seed,
        revision=config.revision,
    )


def build_task(config: TrainConfig, tokenizer: Any, **changes: Any) -> Task:
    """Make the task of a run.

    Parameters
    ----------
    config : TrainConfig
        Of the run.
    tokenizer : object
        The policy's, for chat templates.
    **changes : object
        Options that differ.

    Returns
    -------
    Task
        With all its questions.

    Raises
    ------
    ValueError
        If there is no such task, or it does not take these options.
    """
    from curvature.lm import tasks

    if config.task not in _TASKS:
        raise ValueError(
            f"task is {config.task!r}; choose one of {', '.join(_TASKS)}, or pass a Task to train()."
        )
    options = {**config.task_options, **changes}
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    if config.task != "arithmetic":
        options.setdefault("tokenizer", tokenizer)
    try:
        return getattr(tasks, config.task)(**options)
    except TypeError as error:
        raise ValueError(
            f"task_options is {dict(config.task_options)!r}, which {config.task} does not take: {error}."
        ) from error


def hold_out(config: TrainConfig, task: Task, eval_task: Task | None) -> tuple[Task, Task | None]:
    """Part the questions to train on from those to evaluate on.

    Parameters
    ----------
    config : TrainConfig
        Of the run.
    task : Task
        Questions to train on.
    eval_task : Task or None
        Where held-out ones come from, if not from the same.

    Returns
    -------
    tuple of Task and (Task or None)
        What is trained on, and what is held out, None without evaluations.

    Raises
    ------
    ValueError
        If too few are left to train on, or there are too few to hold out.
    """
    if config.keys:
        task = task.subset(config.keys)
    held = None
    if config.eval_every:
        source = task if eval_task is None else eval_task
        if len(source) < config.eval_questions:
            raise ValueError(
                f"eval_questions is {config.eval_questions}, but the task {source.name} has {len(source)} questions."
            )
        held = source.take(config.eval_questions, config.eval_seed)
        known = {question.key for question in held.questions}
        task = task.subset(question.key for question in task.questions if question.key not in known)
    if len(task) < config.prompts_per_step:
        raise ValueError(
            f"prompts_per_step is {config.prompts_per_step}, but only {len(task)} questions are there to train on."
        )
    return task, held
