"""What a person sees while waiting: one progress bar, silent where nobody looks."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["bar", "say"]


def bar(total: int, description: str, unit: str = "images", initial: int = 0) -> Any:
    """A tqdm bar on standard error with rate and time left; nothing when that is no terminal."""
    from tqdm import tqdm

    return tqdm(
        total=total, desc=description, unit=f" {unit}", initial=initial, disable=None, leave=False,
        dynamic_ncols=True, smoothing=0.1,
    )  # fmt: skip


def say(sentence: str) -> None:
    """One line for the person at the terminal, on standard error so that output stays clean."""
    print(sentence, file=sys.stderr, flush=True)
