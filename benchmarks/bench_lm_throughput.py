"""Sampling and updating of `curvature.lm` beside TRL's GRPOTrainer: same model, batch, micro-batch and machine.

Both work on one and the same model object, in one process, in turn. Learning rates are 0, so that every turn meets the
same policy. Sampling is timed from texts to texts: ours `sample_groups`, theirs `_generate`. The update is timed from
a batch of completions with advantages, the same for both, to the end of the optimiser's step: ours what `train` does,
theirs `compute_loss` and backward over the micro-batches of `training_step`, then AdamW. Before any timing the two
gradients are compared: they are of one loss (TRL's "grpo", our "length"). TRL has no gradient checkpointing, no
completions table and no reports switched on. Needs the extras `lm` and `trl`; nothing is downloaded.

    python -m benchmarks.bench_lm_throughput                       # a small Llama with random weights
    python -m benchmarks.bench_lm_throughput --model FOLDER        # any causal language model in safetensors
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.timing import print_table

OURS, TRL = "curvature.lm", "TRL GRPOTrainer"


@dataclass(frozen=True)
class Setting:
    """One comparison: the model, the batch and its limits."""

    model: str = "tiny:width=256,layers=4,heads=4"
    prompts: int = 8
    group_size: int = 8
    tokens: int = 96
    micro_batch: int = 16
    lora_rank: int = 0
    examples: int = 0

    @property
    def title(self) -> str:
        """What is compared, for the table."""
        name = self.model if self.model.startswith("tiny:") else self.model.rstrip("/").rpartition("/")[2]
        adapters = f", LoRA of rank {self.lora_rank}" if self.lora_rank else ""
        return (
            f"{name}{adapters}, {self.prompts} prompts of {self.group_size} answers of at most {self.tokens} tokens, "
            f"micro-batches of {self.micro_batch}, {self.examples or 'no'} worked examples before each question"
        )


def _policy(setting: Setting) -> Any:
    from curvature.lm.policy import LoraSettings, load_policy

    lora = LoraSettings(rank=setting.lora_rank, alpha=2 * setting.lora_rank) if setting.lora_rank else None
    return load_policy(setting.model, lora=lora)


def _questions(setting: Setting) -> tuple[Any, ...]:
    """Ask for sums among words, so that prompts are of unlike length, after as many worked examples as asked."""
    from curvature.lm.tasks import Question

    before = "".join(
        f"Question: What is {i} + {i + 3}?\nAnswer: {i} and {i + 3} make {2 * i + 3}.\n\n"
        for i in range(setting.examples)
    )
    return tuple(
        Question(
            f"sum/{i}",
            f"{before}Question: What is {i} + {7 * i}{' and so on' * (i % 4)}?\nAnswer:",
            str(8 * i),
        )
        for i in range(setting.prompts)
    )


def _trainer(setting: Setting, policy: Any, folder: str) -> Any:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    size = setting.prompts * setting.group_size
    config = GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=setting.micro_batch,
        gradient_accumulation_steps=size // setting.micro_batch,
        num_generations=setting.group_size,
        max_completion_length=setting.tokens,
        temperature=1.0,
        loss_type="grpo",
        beta=0.0,
        learning_rate=0.0,
        weight_decay=0.0,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=policy.device.type == "cpu",
        dataloader_pin_memory=False,
        report_to=[],
        disable_tqdm=True,
    )
    trainer = GRPOTrainer(
        model=policy.model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": [question.prompt for question in _questions(setting)]}),
        processing_class=policy.tokenizer,
    )
    trainer.current_gradient_accumulation_steps = config.gradient_accumulation_steps
    trainer.create_optimizer()
    return trainer


class _Ours:
    """What a step of `curvature.lm.train` does, in two halves."""

    def __init__(self, setting: Setting, policy: Any) -> None:
        from curvature.lm._optimizer import Optimizer
        from curvature.lm.config import TrainConfig

        self.setting, self.policy, self.questions = setting, policy, _questions(setting)
        self.config = TrainConfig(
            prompts_per_step=setting.prompts,
            group_size=setting.group_size,
            max_new_tokens=setting.tokens,
            sample_batch=setting.prompts * setting.group_size,
            loss="length",
            lora_rank=setting.lora_rank,
        )
        self.optimizer = Optimizer(self.config, policy.trainable())

    def sample(self, turn: int) -> Any:
        from curvature.lm.sampling import sample_groups

        self.policy.model.eval()
        return sample_groups(
            self.policy,
            self.questions,
            group_size=self.setting.group_size,
            max_new_tokens=self.setting.tokens,
            temperature=1.0,
            seed=0,
            step=turn,
            batch_size=self.config.sample_batch,
        )

    def gradient(self, samples: Any, advantages: np.ndarray) -> None:
        """Take micro-batches of as many padded tokens as TRL's: `micro_batch` answers as long as the longest."""
        from dataclasses import replace

        from curvature.lm._processes import Processes
        from curvature.lm._rollouts import Rollouts
        from curvature.lm._update import compute_gradient

        prompt = np.array([len(ids) for ids in samples.prompt_ids])[samples.question]
        longest = int((prompt + samples.length).max())
        rollouts = Rollouts(
            samples=samples,
            own=slice(0, len(samples)),
            group=samples.question,
            reward=np.zeros(len(samples)),
            length=samples.length,
            truncated=~samples.finished,
            log_probability=samples.log_probability,
            seconds_sample=0.0,
            seconds_grade=0.0,
        )
        config = replace(self.config, micro_batch_tokens=self.setting.micro_batch * longest)
        self.policy.model.eval()
        compute_gradient(self.policy, self.optimizer, rollouts, advantages, Processes(), config)

    def step(self) -> None:
        self.optimizer.step(0.0)


class _Theirs:
    """What GRPOTrainer does in one optimiser step, in two halves."""

    def __init__(self, setting: Setting, trainer: Any) -> None:
        self.setting, self.trainer = setting, trainer
        self.prompts = [q.prompt for q in _questions(setting) for _ in range(setting.group_size)]

    def sample(self, turn: int) -> int:
        """Return the number of tokens."""
        import torch

        torch.manual_seed(turn)
        self.trainer.model.train()
        return sum(map(len, self.trainer._generate(self.prompts)[1]))

    def batch(self, samples: Any, advantages: np.ndarray) -> dict[str, Any]:
        """Lay completions out as TRL does: prompts padded at the left, completions at the right."""
        import torch
        from trl.trainer.utils import pad

        device, padding = self.trainer.accelerator.device, self.trainer.processing_class.pad_token_id
        prompts = [torch.as_tensor(samples.prompt_ids[q]) for q in samples.question]
        answers = [torch.as_tensor(ids) for ids in samples.completion_ids]
        sides = {"prompt": (prompts, "left"), "completion": (answers, "right")}
        batch: dict[str, Any] = {
            "advantages": torch.as_tensor(advantages, dtype=torch.float32),
            "num_items_in_batch": torch.tensor(int(samples.length.sum())),
        }
        for name, (rows, side) in sides.items():
            batch[f"{name}_ids"] = pad(rows, padding_value=padding, padding_side=side)
            batch[f"{name}_mask"] = pad(
                [torch.ones_like(r) for r in rows], padding_value=0, padding_side=side
            )
        return {key: value.to(device) for key, value in batch.items()}

    def gradient(self, samples: Any, advantages: np.ndarray) -> None:
        from trl.trainer.utils import split_tensor_dict

        trainer = self.trainer
        trainer.model.train()
        trainer.optimizer.zero_grad()
        parts = self.setting.prompts * self.setting.group_size // self.setting.micro_batch
        for inputs in split_tensor_dict(self.batch(samples, advantages), parts):
            trainer.accelerator.backward(trainer.compute_loss(trainer.model, inputs))

    def step(self) -> None:
        self.trainer.optimizer.step()


def gradient_gap(policy: Any, contenders: tuple[Any, Any], samples: Any, advantages: np.ndarray) -> float:
    """Return ‖ours − theirs‖/‖ours‖ of the two gradients, which must be rounding.

    Parameters
    ----------
    policy : Policy
        Whose gradient.
    contenders : pair
        Ours and theirs.
    samples : Samples
        The batch.
    advantages : ndarray
        One each.
    """
    import torch

    found = []
    for contender in contenders:
        contender.gradient(samples, advantages)
        found.append(torch.cat([value.grad.detach().float().ravel() for _, value in policy.trainable()]))
        for _, value in policy.trainable():
            value.grad = None
    return float((found[0] - found[1]).norm() / found[0].norm())


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    import torch

    start = time.perf_counter()
    result = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def measure(setting: Setting, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return tokens per second of each work, contender and turn.

    Parameters
    ----------
    setting : Setting
        What is compared.
    rounds : int
        Timed turns, after one that is not.
    """
    import torch

    policy = _policy(setting)
    speeds: dict[str, dict[str, list[float]]] = {work: {OURS: [], TRL: []} for work in ("sampling", "update")}
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = _Ours(setting, policy), _Theirs(setting, _trainer(setting, policy, folder))
        samples = ours.sample(0)
        advantages = np.random.default_rng(0).standard_normal(len(samples))
        gap = gradient_gap(policy, (ours, theirs), samples, advantages)
        # Half-precision sums differ in the third digit; two losses would differ in the first.
        if not gap < (1e-3 if policy.dtype == torch.float32 else 0.1):
            raise RuntimeError(f"the two gradients differ by {gap:.2g} of their size: not the same update.")
        for turn in range(rounds + 1):
            _turn(ours, theirs, speeds, turn, advantages)
            if turn == 0:  # pays for caches and page faults
                speeds = {work: {OURS: [], TRL: []} for work in speeds}
    return speeds


def _turn(ours: _Ours, theirs: _Theirs, speeds: Any, turn: int, advantages: np.ndarray) -> None:
    """Time both, the one that was second going first in the next turn."""

    def in_turn(*calls: Callable[[], None]) -> None:
        for call in calls if turn % 2 == 0 else reversed(calls):
            call()

    drawn: list[Any] = []

    def sample_ours() -> None:
        seconds, samples = _timed(lambda: ours.sample(turn))
        drawn.append(samples)
        speeds["sampling"][OURS].append(int(samples.length.sum()) / seconds)

    def sample_theirs() -> None:
        seconds, tokens = _timed(lambda: theirs.sample(turn))
        speeds["sampling"][TRL].append(tokens / seconds)

    def update(name: str, contender: Any) -> None:
        def call() -> None:
            contender.gradient(drawn[0], advantages)
            contender.step()

        seconds, _ = _timed(call)
        speeds["update"][name].append(int(drawn[0].length.sum()) / seconds)

    in_turn(sample_ours, sample_theirs)
    in_turn(lambda: update(OURS, ours), lambda: update(TRL, theirs))


def rows_of(setting: Setting, speeds: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """Return one row a work and contender: seconds for 1,000 tokens of answers, and the spread over turns.

    Parameters
    ----------
    setting : Setting
        For the title.
    speeds : dict
        As :func:`measure` returns them.
    """
    rows = []
    for work, contenders in speeds.items():
        ours = statistics.median(contenders[OURS])
        for name, values in contenders.items():
            median = statistics.median(values)
            spread = f"{min(values):,.0f} to {max(values):,.0f}"
            rows.append({
                "work": f"{work}, 1,000 tokens of answers: {setting.title}",
                "contender": f"{name}, {median:,.0f} tokens/s ({spread})",
                "seconds": 1000 / median,
                "ratio_to_ours": ours / median,
                "rounds": len(values),
            })
    return rows


def run(rounds: int = 5, *settings: Setting) -> list[dict[str, Any]]:
    """Return one row a setting, work and contender, with the median time and its ratio to ours.

    Parameters
    ----------
    rounds : int, default 5
        How often each contender is timed.
    *settings : Setting
        What is compared; a small Llama with random weights, asked with worked examples and without, if left out.

    Raises
    ------
    ImportError
        Without the extras `lm` and `trl`.
    """
    if importlib.util.find_spec("trl") is None:
        raise ImportError("this benchmark needs TRL: pip install 'curvature[lm,trl]'.")
    chosen = settings or (Setting(), Setting(examples=6))
    return [row for setting in chosen for row in rows_of(setting, measure(setting, rounds))]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    for name in ("model", "prompts", "group_size", "tokens", "micro_batch", "lora_rank", "examples"):
        default = getattr(Setting, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    options = vars(_arguments())
    print_table(run(options.pop("rounds"), Setting(**options)))
