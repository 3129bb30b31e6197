r"""Null laws by simulation: what statistics are when the codes are Gaussian.

Mean and covariance are estimated from the codes, so that the laws in tables do not hold. But every
statistic of the *whitened* codes has, for Gaussian codes, a law that depends on n and d alone: so it
is enough to draw n standard normal codes, fit, whiten and compute, B times. With r of B replicates at
or above the observed value,

.. math:: p = \frac{r + 1}{B + 1}

is an exact p-value (Monte Carlo test; Dwass, 1957).

All statistics are computed on the same replicates, so that several can be judged together: each is
put on a scale on which its null law is nearly normal (its logarithm, say), then standardised by the
mean and spread of the *other* members of the set {observed, replicates}, and the largest score of
the observed codes is ranked among the largest scores of the replicates. All members are treated
alike, so the rank is exact, whatever the dependence between the statistics.

References:
    Dwass, 1957, https://doi.org/10.1214/aoms/1177707045; Westfall & Young, Resampling-based
    multiple testing, 1993, 2.3
"""

__all__ = ["Null", "adjusted_pvalues", "simulated_null", "whitened_draw", "whitened_in_place"]

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

# scikit-learn brings it: every worker is a thread that calls BLAS, and BLAS' own threads on top of
# those would make all of them several times slower.
from threadpoolctl import threadpool_limits

from latentshape._checks import BLOCK_ROWS, check_count
from latentshape.errors import InputError
from latentshape.files import read_json, write_json
from latentshape.shape.moments import Moments
from latentshape.shape.streaming import Progress
from latentshape.shape.whitening import Whitening

_MOST_WORKERS = 4
_REMEMBERED = 16
_memory: dict[str, "Null"] = {}
_lock = Lock()


@dataclass(frozen=True, eq=False)
class Null:
    """Replicates of some statistics under the null hypothesis.

    Attributes:
        names: The statistics.
        values: One row per replicate, shape (replicates, len(names)).

    Example:
        >>> null = Null(("energy",), np.arange(1.0, 200.0)[:, None])
        >>> null.pvalue("energy", 150.0), null.mean("energy")
        (0.255, 100.0)
    """

    names: tuple[str, ...]
    values: np.ndarray

    def of(self, name: str) -> np.ndarray:
        """Return the replicates of one statistic, shape (replicates,)."""
        return self.values[:, self.names.index(name)]

    def mean(self, name: str) -> float:
        """Mean of one statistic."""
        return float(self.of(name).mean())

    def pvalue(self, name: str, observed: float) -> float:
        """Share of {observed, replicates} at or above the observed value."""
        return float((1 + (self.of(name) >= observed).sum()) / (1 + len(self.values)))

    def beside(self, other: "Null") -> "Null":
        """Return both sets of statistics side by side."""
        return Null(self.names + other.names, np.concatenate([self.values, other.values], axis=1))


def simulated_null(
    names: Sequence[str],
    replicate: Callable[[int], Sequence[float]],
    *,
    replicates: int,
    key: str,
    folder: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Null:
    """Simulate a null law, or take it from memory or from the folder where it was kept.

    Args:
        names: The statistics.
        replicate: Computes them for replicate i = 0, 1, ...; called from several threads at once.
            It must depend on i alone, so that neither order nor workers matter.
        replicates: How many.
        key: Says in letters, digits, points and hyphens all that the values depend on (n, d, seed,
            version of the statistics); the file's name.
        folder: Where nulls are kept; None keeps them in memory only. A file that is damaged, or of
            other statistics, is made anew.
        workers: Threads, each with BLAS at one thread; as many as there are processors, at most 4,
            if None.
        progress: Called with 1 after each replicate (not if the null is known).

    Raises:
        InputError: The key has other characters.
    """
    if not re.fullmatch(r"[A-Za-z0-9.-]+", key):
        raise InputError(
            f"key must be letters, digits, points and hyphens, got {key!r}; replace the others."
        )
    key = f"{key}-{check_count(replicates, name='replicates')}"
    names = tuple(names)
    path = None if folder is None else Path(folder) / f"null-{key}.json"
    null = _remembered(key, names) if path is None else _read(path, names, replicates)
    if null is not None:
        return null
    null = _simulate(names, replicate, replicates, workers, progress)
    if path is None:
        _remember(key, null)
    else:
        with contextlib.suppress(OSError):  # what cannot be kept is made anew next time
            write_json(path, {"names": list(names), "values": null.values.tolist()})
    return null


def whitened_draw(n: int, d: int, seed: int, replicate: int) -> np.ndarray:
    """Return n Gaussian codes whitened by their own moments, shape (n, d), float32."""
    sequence = np.random.SeedSequence((seed, replicate))
    rng = np.random.Generator(np.random.SFC64(sequence))
    return whitened_in_place(rng.standard_normal((n, d), dtype=np.float32))


def whitened_in_place(z: np.ndarray) -> np.ndarray:
    """Whiten codes (n, d) by their own moments, in their own memory: several workers hold some."""
    whitening = Whitening(Moments.of(z))
    for start in range(0, len(z), BLOCK_ROWS):
        z[start : start + BLOCK_ROWS] = whitening(z[start : start + BLOCK_ROWS])
    return z


def adjusted_pvalues(
    null: Null,
    observed: Mapping[str, float],
    scales: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
) -> tuple[dict[str, float], dict[str, float]]:
    """Standardise statistics and judge each against the largest of all, as the module says.

    The level of "reject what has an adjusted p-value up to α" is α for the whole family, if α is a
    multiple of 1 / (replicates + 1).

    Args:
        null: Replicates of the statistics.
        observed: Their observed values.
        scales: Increasing maps that make null laws nearly normal; the identity if missing.

    Returns:
        Scores (observed value standardised by the replicates) and adjusted p-values, by name.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> null = Null(("a", "b"), rng.standard_normal((199, 2)))
        >>> scores, adjusted = adjusted_pvalues(null, {"a": 0.0, "b": 9.0})
        >>> adjusted["b"], adjusted["a"] > 0.5
        (0.005, True)
    """
    names = list(observed)
    table = np.stack([np.append(null.of(name), observed[name]) for name in names], axis=1)
    for j, name in enumerate(names):
        if scales is not None and name in scales:
            table[:, j] = scales[name](table[:, j])
    scores = _scores_among_others(table)
    largest = scores[:-1].max(axis=1)
    last = dict(zip(names, scores[-1].tolist()))
    adjusted = {
        name: float((1 + (largest >= score).sum()) / len(table)) for name, score in last.items()
    }
    return last, adjusted


def _scores_among_others(table: np.ndarray) -> np.ndarray:
    """Each value minus the mean of the others in its column, in their standard deviations."""
    n = len(table) - 1
    table = table - table[:-1].mean(axis=0)
    mean = (table.sum(axis=0) - table) / n
    square = (np.square(table).sum(axis=0) - np.square(table)) / n
    # The others of the last are computed apart: what is left of their squares beside the square of
    # an enormous value is rounding.
    square[-1] = np.square(table[:-1]).mean(axis=0)
    mean[-1] = 0.0
    variance = np.maximum(square - mean**2, 1e-300) * n / (n - 1)
    return (table - mean) / np.sqrt(variance)


def _simulate(
    names: tuple[str, ...],
    replicate: Callable[[int], Sequence[float]],
    replicates: int,
    workers: int | None,
    progress: Progress | None,
) -> Null:
    workers = workers or min(os.cpu_count() or 1, _MOST_WORKERS)
    rows = []
    with (
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(check_count(workers, name="workers")) as pool,
    ):
        futures = [pool.submit(replicate, i) for i in range(replicates)]
        try:
            for future in futures:
                rows.append(list(future.result()))
                if progress is not None:
                    progress(1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Null(names, np.array(rows, dtype=np.float64).reshape(replicates, len(names)))


def _remembered(key: str, names: tuple[str, ...]) -> Null | None:
    with _lock:
        null = _memory.get(key)
    return null if null is not None and null.names == names else None


def _remember(key: str, null: Null) -> None:
    with _lock:
        while len(_memory) >= _REMEMBERED:
            _memory.pop(next(iter(_memory)))
        _memory[key] = null


def _read(path: Path, names: tuple[str, ...], replicates: int) -> Null | None:
    """The null kept in a file, or None where there is none that fits."""
    try:
        record = read_json(path)
        values = np.array(record["values"], dtype=np.float64)
        fits = record["names"] == list(names) and values.shape == (replicates, len(names))
    except (OSError, InputError, KeyError, TypeError, ValueError):
        return None
    return Null(names, values) if fits and np.isfinite(values).all() else None
