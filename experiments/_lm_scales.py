"""How much of GSM8K and MATH is trained on, with what: a few minutes of a CPU, or a GPU's work."""

from __future__ import annotations

from dataclasses import dataclass

SETS = {
    "gsm8k_easy": ("gsm8k", "easy"),
    "gsm8k_hard": ("gsm8k", "hard"),
    "math": ("math", None),
    "math_easy": ("math", "easy"),
}


@dataclass(frozen=True)
class Sizes:
    """How much is done.

    Attributes
    ----------
    sets : tuple of str
        Of SETS.
    pool, pool_group_size : int
        Questions, and answers to each, by which easy and hard are told apart.
    threshold : float
        Measured success from which a question is easy.
    steps, tuning_steps : int
        Of a run, and of one that tunes a learning rate (0: the first rate is taken, untuned).
    arms, learning_rates, seeds : tuple
        The grid.
    probe_prompts : int
        0 for no probes.
    probe_at : tuple of float
        Shares of the steps at which policies of the first seed are probed; 0 is before any, once for all arms.
    probe_parameters : str
        As :func:`curvature.lm.probe.probe` names them; other than "lora", the policy before any step is probed without
        adapters.
    """

    sets: tuple[str, ...]
    pool: int
    pool_group_size: int
    threshold: float
    steps: int
    tuning_steps: int
    arms: tuple[str, ...]
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    prompts_per_step: int
    group_size: int
    max_new_tokens: int
    temperature: float
    lora_rank: int
    lora_alpha: float
    sample_batch: int
    micro_batch_tokens: int
    checkpoint_every: int
    probe_prompts: int
    probe_at: tuple[float, ...]
    probe_parameters: str


SCALES = {
    "tiny": Sizes(
        # Those that the policy sometimes gets right: of all, a few steps would see silent groups alone.
        sets=("gsm8k_easy", "math_easy"),
        pool=48,
        pool_group_size=4,
        threshold=0.25,
        steps=4,
        tuning_steps=0,
        arms=("none", "group_matched"),
        learning_rates=(1e-4,),
        seeds=(0,),
        prompts_per_step=4,
        group_size=8,
        max_new_tokens=200,
        temperature=0.7,
        lora_rank=8,
        lora_alpha=16,
        sample_batch=32,
        micro_batch_tokens=2048,
        checkpoint_every=1,
        probe_prompts=8,
        probe_at=(0.0,),
        probe_parameters="last_layer",
    ),
    "full": Sizes(
        sets=("gsm8k_easy", "gsm8k_hard", "math"),
        pool=1024,
        pool_group_size=8,
        threshold=0.5,
        steps=100,
        tuning_steps=30,
        arms=("none", "group_matched"),
        learning_rates=(1e-5, 3e-5, 1e-4),
        seeds=(0, 1, 2),
        prompts_per_step=32,
        group_size=8,
        max_new_tokens=200,
        temperature=1.0,
        lora_rank=64,
        lora_alpha=128,
        sample_batch=256,
        micro_batch_tokens=32768,
        checkpoint_every=25,
        probe_prompts=32,
        probe_at=(0.0, 0.5, 1.0),
        probe_parameters="lora",
    ),
}
