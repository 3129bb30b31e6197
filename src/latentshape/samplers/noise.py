r"""Where samplers get their random numbers: one fast stream, or one small stream per seed.

A sampler's law is written once, as a function of standard noise, and drawn in two ways.

`StreamNoise` fills a whole block of rows in float32 from one generator (SFC64) of its own: fast,
reproducible for a given number of codes, whoever draws which block.

`SeededNoise` gives row i numbers that depend on seeds[i] only. Philox is a counter-based generator:
its k-th output is a function of (key, k), so that the seed is the key and no state has to be run
up. The raw 64-bit words, whose sequence NumPy guarantees, become uniform numbers
:math:`(w + \tfrac12) 2^{-53}` from their upper 53 bits, and normal numbers
:math:`\Phi^{-1}(u)`; the same seed thus gives related codes under related laws, and the same codes
with every version of NumPy.
"""

__all__ = ["Noise", "SeededNoise", "StreamNoise"]

from abc import ABC, abstractmethod
from typing import final

import numpy as np
from scipy.special import ndtri


class Noise(ABC):
    """Standard random numbers for a block of rows; each call gives new ones."""

    rows: int

    @abstractmethod
    def uniform(self, columns: int) -> np.ndarray:
        """Numbers uniform on the unit interval, shape (rows, columns)."""

    @abstractmethod
    def normal(self, columns: int) -> np.ndarray:
        """Numbers from N(0, 1), shape (rows, columns)."""

    @abstractmethod
    def fine_uniform(self, columns: int) -> np.ndarray:
        """As `uniform`, in float64 and never 0 or 1: for quantile functions and indices."""


@final
class StreamNoise(Noise):
    """One block from a generator of its own, float32.

    Args:
        seed: Of the whole draw.
        block: Which block of it.
        rows: Rows to give.
    """

    def __init__(self, seed: int, block: int = 0, rows: int = 0) -> None:
        stream = np.random.SeedSequence(seed, spawn_key=(block,))
        self._rng = np.random.Generator(np.random.SFC64(stream))
        self.rows = rows

    def uniform(self, columns: int) -> np.ndarray:
        """Numbers uniform on [0, 1), float32."""
        return self._rng.random((self.rows, columns), dtype=np.float32)

    def normal(self, columns: int) -> np.ndarray:
        """Numbers from N(0, 1), float32."""
        return self._rng.standard_normal((self.rows, columns), dtype=np.float32)

    def fine_uniform(self, columns: int) -> np.ndarray:
        """Numbers uniform on (0, 1), float64."""
        return (self._rng.random((self.rows, columns)) * (1 - 2**-53)) + 2**-54


@final
class SeededNoise(Noise):
    """Rows that depend on their own seed only, float64.

    Args:
        seeds: One per row, uint64, at least one and at most `rows`.
        rows: Rows to give; those beyond the seeds repeat the last one (padding).
    """

    def __init__(self, seeds: np.ndarray, rows: int) -> None:
        self.rows = rows
        self._seeds = seeds
        self._bits = np.random.Philox(key=0)
        self._state = self._bits.state
        self._used = 0

    def uniform(self, columns: int) -> np.ndarray:
        """Numbers uniform on (0, 1), float64."""
        return ((self._words(columns) >> np.uint64(11)) + 0.5) * 2.0**-53

    fine_uniform = uniform

    def normal(self, columns: int) -> np.ndarray:
        """Numbers from N(0, 1), float64."""
        return ndtri(self.uniform(columns))

    def _words(self, columns: int) -> np.ndarray:
        """The next `columns` raw words of every row's stream."""
        words = np.empty((self.rows, columns), dtype=np.uint64)
        for row, seed in enumerate(self._seeds):
            self._state["state"]["key"][:] = (seed, 0)
            self._state["state"]["counter"][:] = (self._used, 0, 0, 0)
            self._bits.state = self._state
            words[row] = self._bits.random_raw(columns)
        words[len(self._seeds) :] = words[len(self._seeds) - 1]
        self._used += -(-columns // 4)  # Philox counts in blocks of four words
        return words
