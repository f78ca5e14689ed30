"""Texts that end a completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAIL = 8  # tokens looked back beyond one a character


class StopText:
    """Finds stop texts in rows of tokens, and decodes only where the last token can have completed one."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.stop = tuple(stop)
        self.reach = max((len(text.encode()) for text in self.stop), default=0) + _TAIL

    def found(self, tokens: torch.Tensor, rows: torch.Tensor, position: int) -> torch.Tensor:
        """Whether the text of each row holds a stop text that its last token completed, (len(rows),)."""
        if not self.stop:
            return torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        first = max(0, position + 1 - self.reach)
        tails = self.tokenizer.batch_decode(tokens[rows, first : position + 1], skip_special_tokens=True)
        hits = [any(text in tail for text in self.stop) for tail in tails]
        return torch.tensor(hits, device=rows.device)

    def cut(self, text: str) -> str:
        """The text up to the first stop text in it."""
        places = [text.find(end) for end in self.stop if end in text]
        return text[: min(places)] if places else text
