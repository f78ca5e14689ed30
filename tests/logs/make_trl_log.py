"""Train a tiny random model on a CPU with the real GRPOTrainer, and keep the logs it writes.

    python -m tests.logs.make_trl_log          # needs the extra `trl`; a minute on one core, no network

writes tests/logs/trl_real/<setting>/: `completions/` as TRL writes it with log_completions=True, and `rollouts.jsonl`
by our RolloutCallback, for the three values of `scale_rewards`; and the README.md beside them, with the versions.
Model and tokenizer are made here, so nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import string
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("trl_real")
PROMPTS = [f"{a}+{b}=" for a in range(1, 9) for b in range(1, 9)]


def digits(completions: list[str], **_: Any) -> list[float]:
    """Reward 1 if the answer holds at least two digits: about half of what a random model says."""
    return [float(sum(c.isdigit() for c in text) >= 2) for text in completions]


def brevity(completions: list[str], **_: Any) -> list[float | None]:
    """Reward short answers by degrees; an answer that starts with a vowel is not scored."""
    return [None if text[:1] in "aeiou" else round(1 - len(text) / 16, 2) for text in completions]


def vowels(completions: list[str], **_: Any) -> list[float | None]:
    """Reward the share of vowels; not scored where brevity is not and the answer holds a `z`."""
    return [
        None if text[:1] in "aeiou" and "z" in text else sum(c in "aeiou" for c in text) / max(len(text), 1)
        for text in completions
    ]


@dataclass(frozen=True)
class Setting:
    """One run: its folder, the reward functions with their weights, and what the trainer is told."""

    name: str
    functions: tuple[Any, ...]
    weights: tuple[float, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)


_OPTIONS = {
    "gradient_accumulation_steps": 1,
    "num_generations": 8,
    "max_completion_length": 12,
    "loss_type": "dapo",
    "learning_rate": 1e-2,
    "log_completions": True,
    "num_completions_to_print": 1,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
    "use_cpu": True,
    "bf16": False,
    "seed": 0,
}
SETTINGS = (
    Setting("group", (digits,), None, {"scale_rewards": "group", "gradient_accumulation_steps": 2}),
    Setting("batch", (digits, brevity), (1.0, 0.25), {"scale_rewards": "batch"}),
    # Two generation batches between two of TRL's own files: it keeps the later one, the callback both.
    Setting("none", (vowels, brevity), (0.75, 0.5), {"scale_rewards": "none", "logging_steps": 2}),
)


def make_tokenizer() -> Any:
    """Make a tokenizer of single characters.

    Returns
    -------
    transformers.PreTrainedTokenizerFast
        With padding and an end of text.
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from tokenizers.decoders import Fuse
    from transformers import PreTrainedTokenizerFast

    letters = string.ascii_lowercase + string.digits + "+="
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<eos>", "<unk>", *letters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")  # type: ignore[assignment]
    tokenizer.decoder = Fuse()  # type: ignore[assignment]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
    )


def make_model(tokenizer: Any) -> Any:
    """Make a Llama of two layers with random weights.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
        For the number of tokens and the ids of the special ones.

    Returns
    -------
    transformers.LlamaForCausalLM
        About 10⁴ parameters, the same every time.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=64,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def make_trainer(setting: Setting, folder: Path, *, steps: int = 4) -> Any:
    """Make a GRPOTrainer of a tiny model: four groups of eight a generation batch.

    Parameters
    ----------
    setting : Setting
        What is rewarded, and how advantages are scaled.
    folder : Path
        Where TRL writes.
    steps : int, default 4
        Optimiser steps.

    Returns
    -------
    trl.GRPOTrainer
        Not trained yet.
    """
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    options = _OPTIONS | setting.options
    config = GRPOConfig(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=32 // options["gradient_accumulation_steps"],
        reward_weights=list(setting.weights) if setting.weights else None,
        **options,
    )
    tokenizer = make_tokenizer()
    return GRPOTrainer(
        model=make_model(tokenizer),
        reward_funcs=list(setting.functions),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": PROMPTS}),
        processing_class=tokenizer,
    )


def make_log(setting: Setting, target: Path) -> None:
    """Train one setting and keep its completions and our recording.

    Parameters
    ----------
    setting : Setting
        Which.
    target : Path
        The folder that is to hold them; replaced.
    """
    from curvature.rollouts.trl import RolloutCallback

    with tempfile.TemporaryDirectory() as scratch:
        trainer = make_trainer(setting, Path(scratch))
        trainer.add_callback(RolloutCallback(trainer, Path(scratch, "rollouts.jsonl")))
        trainer.train()
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        shutil.copytree(Path(scratch, "completions"), target / "completions")
        shutil.copy(Path(scratch, "rollouts.jsonl"), target)


def readme() -> str:
    """Say what the logs are and what made them.

    Returns
    -------
    str
        Markdown.
    """
    rows = "\n".join(
        f"| `{s.name}/` | {', '.join(f.__name__ for f in s.functions)} "
        f"| {', '.join(map(str, s.weights)) if s.weights else '1'} "
        f"| {', '.join(f'{key}={value!r}' for key, value in s.options.items())} |"
        for s in SETTINGS
    )
    versions = ", ".join(f"{name} {version(name)}" for name in ("trl", "transformers", "torch"))
    return f"""# Logs of the real GRPOTrainer

Written by {versions} on a CPU, by

    python -m tests.logs.make_trl_log

A random Llama of two layers spells single characters: four groups of eight a generation batch, four steps, loss_type
"dapo". `completions/` is TRL's own log, one file a logging step; `rollouts.jsonl` is what
`curvature.rollouts.trl.RolloutCallback` recorded beside it.

| folder | reward functions | weights | options |
|---|---|---|---|
{rows}

`none/` logs every second step: TRL's files hold steps 2 and 4, ours all four. `brevity` and `vowels` leave some
completions unscored (null); where both do, TRL gives the completion advantage 0 and leaves it out of its group's mean.
"""


def main(names: list[str]) -> None:
    """Make the logs of the settings named, or of all.

    Parameters
    ----------
    names : list of str
        Folder names; empty for all.
    """
    for setting in SETTINGS:
        if not names or setting.name in names:
            make_log(setting, FOLDER / setting.name)
    (FOLDER / "README.md").write_text(readme())


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main(sys.argv[1:])
