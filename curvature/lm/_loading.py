"""Models from folders and hub ids, without pickles and without code of their own."""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from curvature.lm.policy import LoraSettings

_NO_PICKLES = (
    "{source}: no safetensors weights there, and pickled ones are never opened because opening one runs its code; "
    "convert it with model.save_pretrained(folder)"
)
_NO_CODE = (
    "{source}: this model needs Python code of its own, which is never run; "
    "choose a model whose type ({kind}) transformers knows"
)
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def name_of(source: Any) -> str:
    """Return the name of what was given: a text or path as it is, a pair's by its model."""
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, tuple) and len(source) == 2:
        return str(getattr(source[0].config, "_name_or_path", "") or type(source[0]).__name__)
    raise ValueError(f"source is {source!r}; give a folder, a hub id, 'tiny:…' or a pair (model, tokenizer)")


def read_dtype(dtype: str | torch.dtype | None, place: torch.device, *, of_pair: bool) -> torch.dtype | None:
    """Return the type of the weights; None leaves those of a pair alone."""
    if dtype is None:
        return None if of_pair else torch.bfloat16 if place.type == "cuda" else torch.float32
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ValueError(f"dtype is {dtype!r}; name a floating type of torch such as 'float32' or 'bfloat16'")
    return found


def read(source: str | Path, dtype: torch.dtype | None, revision: str | None) -> tuple[Any, Any]:
    """Return the model and the tokenizer of a folder or hub id, with the adapters that a folder holds."""
    folder = Path(source)
    if (folder / "adapter_config.json").is_file():
        return _read_adapters(folder, dtype, revision)
    _refuse_pickles(folder)
    return _read_whole(str(source), dtype, revision)


def _refuse_pickles(folder: Path) -> None:
    """Refuse a folder whose weights are not safetensors; what is on a hub, transformers itself refuses."""
    if not folder.is_dir():
        return
    names = [path.name for path in folder.iterdir()]
    if any(name.endswith(_PICKLED) for name in names) and not any(n.endswith(".safetensors") for n in names):
        raise ValueError(_NO_PICKLES.format(source=folder))


def _read_whole(source: str, dtype: torch.dtype | None, revision: str | None) -> tuple[Any, Any]:
    """Read a model with all its weights."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, PretrainedConfig

    settings: dict[str, Any] = {"revision": revision} if revision else {}
    stated, _ = PretrainedConfig.get_config_dict(source, **settings)
    settings["trust_remote_code"] = False
    try:
        model = AutoModelForCausalLM.from_pretrained(source, use_safetensors=True, dtype=dtype, **settings)
        tokenizer = AutoTokenizer.from_pretrained(source, **settings)
    except ValueError as error:
        if "auto_map" in stated or "trust_remote_code" in str(error):
            raise ValueError(_NO_CODE.format(source=source, kind=stated.get("model_type"))) from error
        raise
    except OSError as error:
        if "safetensors" in str(error):
            raise ValueError(_NO_PICKLES.format(source=source)) from error
        raise
    return model, tokenizer


def _read_adapters(folder: Path, dtype: torch.dtype | None, revision: str | None) -> tuple[Any, Any]:
    """Read a base model by the name that the adapters' settings give, and the adapters on it, to be trained on."""
    from peft import PeftModel
    from transformers import AutoTokenizer

    if not (folder / "adapter_model.safetensors").is_file():
        raise ValueError(_NO_PICKLES.format(source=folder))
    base_name = json.loads((folder / "adapter_config.json").read_text()).get("base_model_name_or_path")
    if not base_name:
        raise ValueError(f"{folder}: the adapters do not say which model they belong to")
    base, _ = read_base(base_name, dtype, revision)
    with _without_pefts_own_warning():
        model = PeftModel.from_pretrained(base, folder, is_trainable=True)
    return model, AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def read_base(name: str, dtype: torch.dtype | None, revision: str | None) -> tuple[Any, Any]:
    """Read the model under adapters, which may be a "tiny:" one."""
    if name.startswith("tiny:"):
        from curvature.lm.tiny import parse_tiny, tiny_policy

        built = tiny_policy(**parse_tiny(name))
        return built.model, built.tokenizer
    return read(name, dtype, revision)


def with_adapters(model: Any, lora: LoraSettings, seed: int) -> Any:
    """Return the model with fresh adapters (B = 0, so the same policy), everything else frozen."""
    from peft import LoraConfig, get_peft_model

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # any real scale will do
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), _without_pefts_own_warning():
        torch.manual_seed(seed)
        return get_peft_model(model, config)


@contextmanager
def _without_pefts_own_warning() -> Iterator[None]:
    """Keep quiet that peft (0.21) asks models for a property under a name that transformers (5.24) has given up."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        yield
