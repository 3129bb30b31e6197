"""One read of the data feeds every statistic that waits for it.

A statistic of a cloud is an accumulator: `update(block)` takes some rows, `result()` gives the
number. `stream` leads blocks past any number of accumulators, so that codes on disk, or codes that
are drawn anew for each read, are read as seldom as can be.
"""

__all__ = ["Accumulator", "Progress", "stream"]

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

Progress = Callable[[int], Any]
"""Called with the number of rows just read, as a progress bar's `update` wants it."""


class Accumulator(Protocol):
    """Takes blocks of codes; how its result is read is its own matter."""

    def update(self, block: np.ndarray) -> None:
        """Add a block of codes, shape (rows, d)."""


def stream(
    blocks: Iterable[np.ndarray], *accumulators: Accumulator, progress: Progress | None = None
) -> None:
    """Lead every block past every accumulator, in one read."""
    for block in blocks:
        for accumulator in accumulators:
            accumulator.update(block)
        if progress is not None:
            progress(len(block))
