"""Every setting of a training run, in one frozen record that is written beside its results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeGuard

from curvature.lm.arms import ARMS

__all__ = ["TrainConfig"]

_CHOICES = {
    "arm": ARMS,
    "optimizer": ("adamw", "sgd"),
    "schedule": ("constant", "linear", "cosine"),
    "loss": ("sequence", "length", "token", "dr_grpo"),
    "dtype": (None, "float32", "bfloat16", "float16"),
}
_LEAST_WHOLE = {
    "seed": 0,
    "policy_seed": 0,
    "eval_seed": 0,
    "steps": 1,
    "prompts_per_step": 1,
    "group_size": 2,
    "max_new_tokens": 1,
    "sample_batch": 1,
    "micro_batch_tokens": 1,
    "lora_rank": 0,
    "warm_start_steps": 0,
    "warm_start_batch": 1,
    "warmup_steps": 0,
    "eval_every": 0,
    "eval_questions": 0,
    "eval_group_size": 1,
    "grading_workers": 1,
    "checkpoint_every": 1,
    "keep_checkpoints": 1,
    "keep_every": 0,
    "stop_silent_steps": 1,
}
_POSITIVE = (
    "temperature",
    "eval_temperature",
    "learning_rate",
    "eps",
    "lora_alpha",
    "warm_start_learning_rate",
    "max_grad_norm",
    "grading_seconds",
    "stop_grad_norm",
    "stop_log_prob_gap",
)
_SHARES = ("overlap", "weight_decay", "momentum", "lora_dropout")
_OPTIONAL = ("max_grad_norm", "stop_grad_norm", "stop_log_prob_gap", "stop_silent_steps")
_TEXTS = ("task", "policy", "lora_targets")


@dataclass(frozen=True)
class TrainConfig:
    """All that decides a run's numbers, every setting with its unit and default.

    Ours: what arXiv:2601.23135v1 leaves out is a field here. A run is on-policy: each batch of samples makes one
    update, by the plain gradient of A·log π. There is no ratio, no clipping of ratios and no KL term to set.

    Parameters
    ----------
    task : str, default "arithmetic"
        "arithmetic", "gsm8k" or "math": a function of `curvature.lm.tasks`.
    task_options : mapping, default {"num_questions": 200}
        Its keywords, as JSON holds them; "source" for gsm8k and math.
    keys : tuple of str, default ()
        Questions to train on, by key; empty for all of them.
    policy : str, default "tiny:"
        "tiny:width=64,layers=2,seed=0", a folder or a hub id, as `curvature.lm.policy.load_policy` takes it.
    revision : str or None, default None
        Branch, tag or commit of a hub id.
    policy_seed : int, default 0
        Of the adapters' first values and of the warm start; the same for runs of every seed.
    warm_start_steps : int, default 0
        Supervised steps on the task's answers before the run.
    warm_start_learning_rate : float, default 3e-3
        Of these steps.
    warm_start_batch : int, default 32
        Questions a supervised step.
    lora_rank : int, default 0
        r of LoRA adapters; 0 trains all parameters. The paper: 64.
    lora_alpha : float, default 128
        α of LoRA.
    lora_dropout : float, default 0.0
        Share of the adapters' inputs that is dropped during updates.
    lora_targets : str, default "all-linear"
        Layers that get adapters.
    dtype : str or None, default None
        "float32", "bfloat16" or "float16" of the weights; None: bfloat16 on a GPU, float32 on a CPU.
    device : str or None, default None
        As torch names it; None for a GPU if there is one.
    arm : str, default "group"
        How rewards become advantages: see :func:`curvature.lm.arms.arm_advantages`.
    overlap : float, default 0.5
        Of arm "smoothed".
    seed : int, default 0
        Of the order of the questions and of the samples.
    steps : int, default 100
        Updates.
    prompts_per_step : int, default 16
        Groups a step.
    group_size : int, default 8
        Answers a group.
    max_new_tokens : int, default 256
        Tokens at which an answer is cut off.
    temperature : float, default 1.0
        Of sampling; the gradient is that of the policy at this temperature.
    sample_batch : int, default 64
        Answers that are sampled at once.
    optimizer : str, default "adamw"
        "adamw" or "sgd". Weights of less than 32 bits are stepped in 32 bits.
    learning_rate : float, default 1e-6
        Per update, on the loss as `loss` scales it.
    betas : pair of float, default (0.9, 0.999)
        Of AdamW.
    eps : float, default 1e-8
        Of AdamW.
    weight_decay : float, default 0.0
        Decoupled for AdamW, an ℓ² term for SGD.
    momentum : float, default 0.0
        Of SGD.
    warmup_steps : int, default 0
        Updates in which the learning rate rises linearly to its value.
    schedule : str, default "constant"
        "constant", or "linear" or "cosine" to 0 at the end of the run.
    max_grad_norm : float or None, default None
        Norm to which gradients are scaled down; None never does. A norm below the usual one hides the scale of
        the advantages from the optimiser.
    loss : str, default "sequence"
        What multiplies A_i·Σ log π: "sequence" 1/N for N answers; "length" 1/(N·own length); "token"
        1/(tokens of the batch); "dr_grpo" 1/(N·max_new_tokens).
    micro_batch_tokens : int, default 16384
        Padded tokens, prompts included, of a forward and backward pass.
    grading_seconds : float, default 2.0
        After which an answer that is still being graded counts as wrong.
    grading_workers : int, default 1
        Processes that grade, for tasks that need them.
    eval_every : int, default 0
        Steps between evaluations on held-out questions; 0 for none. The last is after the last update.
    eval_questions : int, default 64
        Questions held out: drawn from the task by `eval_seed`, and not trained on.
    eval_task_options : mapping or None, default None
        Options that differ for a task of its own to draw them from, such as {"split": "test"}.
    eval_group_size : int, default 4
        Answers a held-out question.
    eval_temperature : float, default 1.0
        Of sampling in evaluations.
    eval_seed : int, default 0
        Of evaluations: all of them, in every run, draw by the same random numbers.
    record_rollouts : bool, default True
        Write rollouts/, which `curvature diagnose` reads.
    checkpoint_every : int, default 25
        Steps between checkpoints.
    keep_checkpoints : int, default 1
        How many of the last are kept.
    keep_every : int, default 0
        Checkpoints at multiples of it are kept for ever, step 0 among them; 0 for none.
    stop_grad_norm : float or None, default 1e6
        A gradient norm above it ends the run as diverged; one that is not finite always does.
    stop_log_prob_gap : float or None, default None
        Mean |log π at the update − log π at sampling| of an answer above which the run ends: the two disagree.
    stop_silent_steps : int or None, default None
        So many steps running without one right answer end the run.

    Raises
    ------
    ValueError
        If a field is outside its domain; the sentence holds the field and the value.

    Examples
    --------
    >>> config = TrainConfig(arm="none", learning_rate=1e-3)
    >>> TrainConfig.from_json(config.to_json()) == config
    True
    >>> TrainConfig(arm="grpo")
    Traceback (most recent call last):
    ...
    ValueError: arm is 'grpo'; choose one of 'none', 'group', 'batch', 'group_matched', 'variance', 'smoothed'.
    """

    task: str = "arithmetic"
    task_options: Mapping[str, Any] = field(default_factory=lambda: {"num_questions": 200})
    keys: tuple[str, ...] = ()
    policy: str = "tiny:"
    revision: str | None = None
    policy_seed: int = 0
    warm_start_steps: int = 0
    warm_start_learning_rate: float = 3e-3
    warm_start_batch: int = 32
    lora_rank: int = 0
    lora_alpha: float = 128.0
    lora_dropout: float = 0.0
    lora_targets: str = "all-linear"
    dtype: str | None = None
    device: str | None = None
    arm: str = "group"
    overlap: float = 0.5
    seed: int = 0
    steps: int = 100
    prompts_per_step: int = 16
    group_size: int = 8
    max_new_tokens: int = 256
    temperature: float = 1.0
    sample_batch: int = 64
    optimizer: str = "adamw"
    learning_rate: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    warmup_steps: int = 0
    schedule: str = "constant"
    max_grad_norm: float | None = None
    loss: str = "sequence"
    micro_batch_tokens: int = 16384
    grading_seconds: float = 2.0
    grading_workers: int = 1
    eval_every: int = 0
    eval_questions: int = 64
    eval_task_options: Mapping[str, Any] | None = None
    eval_group_size: int = 4
    eval_temperature: float = 1.0
    eval_seed: int = 0
    record_rollouts: bool = True
    checkpoint_every: int = 25
    keep_checkpoints: int = 1
    keep_every: int = 0
    stop_grad_norm: float | None = 1e6
    stop_log_prob_gap: float | None = None
    stop_silent_steps: int | None = None

    def __post_init__(self) -> None:
        # JSON has no tuples: what is equal must be equal after a round trip.
        for name in ("keys", "betas"):
            value = getattr(self, name)
            if isinstance(value, str) or not hasattr(value, "__iter__"):
                raise ValueError(f"{name} is {value!r}; a list is needed.")
            object.__setattr__(self, name, tuple(value))
        for name in ("task_options", "eval_task_options"):
            object.__setattr__(self, name, _as_json_has_it(name, getattr(self, name)))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                listed = ", ".join(map(repr, choices))
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {listed}.")
        _check_texts(self)
        _check_numbers(self)
        if self.eval_every and not self.eval_questions:
            raise ValueError(f"eval_every is {self.eval_every}, but eval_questions is 0; hold some out.")

    def to_json(self) -> str:
        """Write the settings as JSON.

        Returns
        -------
        str
            One object, ending in a newline.
        """
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """Read settings that :meth:`to_json` wrote, or a part of them; the rest take their defaults.

        Parameters
        ----------
        text : str
            A JSON object.

        Returns
        -------
        TrainConfig
            The settings.

        Raises
        ------
        ValueError
            If the text is no JSON object, or a field is unknown or outside its domain.
        """
        try:
            given = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"the settings are no JSON: {error}.") from None
        if not isinstance(given, dict):
            raise ValueError(f"the settings are {given!r:.60}; a JSON object is needed.")
        unknown = sorted(set(given) - {entry.name for entry in fields(cls)})
        if unknown:
            raise ValueError(f"there is no setting {unknown[0]!r}; see curvature.lm.TrainConfig.")
        return cls(**given)


def _as_json_has_it(name: str, options: Any) -> dict[str, Any] | None:
    """Return keywords as they come back from a file, lists for tuples."""
    if options is None and name == "eval_task_options":
        return None
    if not isinstance(options, Mapping):
        raise ValueError(f"{name} is {options!r}; a mapping of keywords is needed.")
    try:
        return json.loads(json.dumps(dict(options), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {options!r}, which JSON cannot hold: {error}.") from None


def _check_texts(config: TrainConfig) -> None:
    for name in _TEXTS:
        if not isinstance(getattr(config, name), str) or not getattr(config, name):
            raise ValueError(f"{name} is {getattr(config, name)!r}; a name is needed.")
    for name in ("device", "revision"):
        if not isinstance(getattr(config, name), str | None):
            raise ValueError(f"{name} is {getattr(config, name)!r}; a name or None is needed.")
    bad = [key for key in config.keys if not isinstance(key, str)]
    if bad:
        raise ValueError(f"keys holds {bad[0]!r}; the keys of questions are texts.")
    if not isinstance(config.record_rollouts, bool):
        raise ValueError(f"record_rollouts is {config.record_rollouts!r}; true or false is needed.")


def _check_numbers(config: TrainConfig) -> None:
    for name, least in _LEAST_WHOLE.items():
        value = getattr(config, name)
        if value is None and name in _OPTIONAL:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} is {value!r}; a whole number of at least {least} is needed.")
    for name in _POSITIVE:
        number = getattr(config, name)
        if number is None and name in _OPTIONAL:
            continue
        if not _is_number(number) or not number > 0:
            raise ValueError(f"{name} is {number!r}; a finite number above 0 is needed.")
    for name in _SHARES:
        share = getattr(config, name)
        if not _is_number(share) or not 0 <= share <= 1:
            raise ValueError(f"{name} is {share!r}; a number between 0 and 1 is needed.")
    if len(config.betas) != 2 or not all(_is_number(beta) and 0 <= beta < 1 for beta in config.betas):
        raise ValueError(f"betas is {config.betas!r}; two numbers of at least 0 and below 1 are needed.")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
