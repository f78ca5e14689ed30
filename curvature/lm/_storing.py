"""Folders of weights that appear whole or not at all; an old one is kept aside till the new one is in its place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from curvature._files import sync


def save(model: Any, tokenizer: Any, name: str, folder: str | Path) -> None:
    """Write model and tokenizer beside the folder, then rename; adapters alone if the model has them."""
    folder = Path(folder).absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        if hasattr(model, "peft_config"):
            for config in model.peft_config.values():
                # Adapters read from a folder name their base already, and the folder itself is not it.
                config.base_model_name_or_path = config.base_model_name_or_path or name
            # Left to itself peft asks the hub whether the vocabulary grew; it never does here.
            model.save_pretrained(fresh, save_embedding_layers=False)
        else:
            model.save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)
        for path in fresh.iterdir():
            sync(path)
        replace_folder(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def replace_folder(fresh: Path, folder: Path) -> None:
    """Rename a folder over another; the old one is moved aside first, as folders cannot be replaced in one go."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)
    sync(folder.parent)
