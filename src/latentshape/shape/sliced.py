r"""Sliced tests: is every one-dimensional shadow of the whitened cloud standard normal?

A law is normal if and only if all its projections are. Along each of K unit directions a histogram
of 4096 intervals over ±6 is filled, with relative counts :math:`p_b`, their sums :math:`c_b` up to an
edge, and the normal distribution function :math:`F_b = \Phi(e_b)` there:

.. math::
    \mathrm{KS} &= \max_b |c_b - F_b| \\
    \mathrm{CvM} &= n \int (c - F)^2\, dF \\
    \mathrm{AD} &= n \int \frac{(c - F)^2}{F (1 - F)}\, dF \\
    \mathrm{EP} &= n \int \Big|\sum_b p_b e^{i t x_b} - e^{-t^2/2}\Big|^2 \varphi(t)\, dt

(Kolmogorov-Smirnov, Cramér-von Mises, Anderson-Darling, Epps-Pulley with the weight
:math:`\varphi(t)`, which is the statistic BHEP with d = 1, β = 1.) The integrals over F are trapezoid
sums over the edges, the one over t a sum over 17 knots 0.25, ..., 4.25 on either side.

Over directions *the supremum takes its supremum and the integrals their mean*: KS becomes the
largest discrepancy over half-spaces that face one of the directions, and finds a single
peculiar axis; CvM, AD and EP become integrals over directions too, with so little noise that a slight
peculiarity of all axes (heavy tails of the radius) is seen. Mean and maximum of all four are kept.

The directions are the axes of the whitened codes (the first component, then what is new in each
further one), where peculiar components show, and random ones, where a peculiar radius shows. The
mean and covariance were estimated, and projections of one cloud hang together: tables of these
statistics do not hold, their null law is simulated (`latentshape.shape.nulls`).

References:
    Cuesta-Albertos, Fraiman & Ransford, 2007, https://doi.org/10.1007/s10959-006-0072-9;
    Epps & Pulley, 1983, https://doi.org/10.1093/biomet/70.3.723
"""

__all__ = ["SLICED_TESTS", "SlicedHistograms", "SlicedTests", "directions", "sliced_tests"]

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from latentshape._checks import check_codes, check_count, check_seed, row_blocks, thinned
from latentshape.errors import InputError

SLICED_TESTS = ("ks", "cvm", "ad", "ep")

_BINS = 4096
_SPAN = 6.0
_KNOTS = np.arange(1, 18) / 4
_TABLE_ROWS = 64  # directions taken together, so that their tables stay in cache


@dataclass(frozen=True, eq=False)
class SlicedTests:
    """Four statistics along each direction, shape (K,) each, and their aggregates.

    Attributes:
        n: Codes seen.
        ks: Kolmogorov-Smirnov distances, in [0, 1].
        cvm, ad, ep: Cramér-von Mises, Anderson-Darling and Epps-Pulley, above 0.
    """

    n: int
    ks: np.ndarray
    cvm: np.ndarray
    ad: np.ndarray
    ep: np.ndarray

    @property
    def mean(self) -> dict[str, float]:
        """Mean over directions of each statistic."""
        return {name: float(getattr(self, name).mean()) for name in SLICED_TESTS}

    @property
    def max(self) -> dict[str, float]:
        """Largest value over directions of each statistic."""
        return {name: float(getattr(self, name).max()) for name in SLICED_TESTS}

    @property
    def statistics(self) -> dict[str, float]:
        """The sliced statistics: the maximum of KS, the mean of the others."""
        return self.mean | {"ks": self.max["ks"]}


class SlicedHistograms:
    """Accumulate the histograms of whitened codes along directions, in memory for K x 4098 counts.

    Args:
        directions: Unit directions as rows, shape (K, d).
    """

    def __init__(self, directions: np.ndarray) -> None:
        self.directions = np.asarray(directions, dtype=np.float32)
        self.n = 0
        self._counts = np.zeros((len(self.directions), _BINS + 2), dtype=np.int32)

    def update(self, block: np.ndarray) -> None:
        """Count a block of whitened codes, shape (rows, d)."""
        self.n += len(block)
        columns = block.T.astype(np.float32, copy=False)
        for start in range(0, len(self.directions), _TABLE_ROWS):
            place = self.directions[start : start + _TABLE_ROWS] @ columns
            place += np.float32(_SPAN)
            place *= np.float32(_BINS / (2 * _SPAN))
            np.floor(place, out=place)
            np.clip(place, -1, _BINS, out=place)
            # One flat table for these directions, with a cell for what lies below and one above.
            flat = place.astype(np.intp)
            flat += np.arange(len(flat))[:, None] * (_BINS + 2) + 1
            table = self._counts[start : start + _TABLE_ROWS]
            added = np.bincount(flat.ravel(), minlength=table.size)
            table += added.reshape(table.shape).astype(np.int32)

    def result(self) -> SlicedTests:
        """Return the statistics of all codes seen so far."""
        parts = [
            _from_counts(self._counts[start : start + _TABLE_ROWS], self.n)
            for start in range(0, len(self._counts), _TABLE_ROWS)
        ]
        return SlicedTests(self.n, *np.concatenate(parts, axis=1))


def directions(d: int, count: int = 512, seed: int = 0) -> np.ndarray:
    """Return unit directions: axes (at most half of them, evenly chosen), then random ones.

    Returns:
        Shape (count, d), float32; d = 1 has one direction only.

    Example:
        >>> directions(2, count=4)[:2].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    d, count = check_count(d, name="d"), check_count(count, name="count")
    if d == 1:
        return np.ones((1, 1), dtype=np.float32)
    axes = min(d, max(count // 2, 1))
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(check_seed(seed))))
    drawn = rng.standard_normal((count - axes, d))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    chosen = thinned(np.eye(d), axes)
    return np.concatenate([chosen, drawn]).astype(np.float32)


def sliced_tests(y: Any, along: np.ndarray | None = None) -> SlicedTests:
    """Return the exact statistics of whitened codes (n, d) along directions (K, d), by sorting.

    Three times as slow as the histograms, which agree to about 3e-4 for KS and 1e-3 for the means
    of the others; memory for 8 projections at a time.

    Args:
        y: Whitened codes.
        along: Unit directions as rows; those of `directions(d)` if not given.

    Raises:
        InputError: The directions have another dimension than the codes.

    Example:
        >>> normal = special.ndtri((np.arange(1000) + 0.5) / 1000)[:, None]
        >>> tests = sliced_tests(normal, np.ones((1, 1)))
        >>> round(float(tests.ks[0]), 6), round(float(tests.cvm[0] * 12_000), 6)  # their minima
        (0.0005, 1.0)
    """
    y = check_codes(y, name="y", finite=False)
    along = directions(y.shape[1]) if along is None else np.asarray(along)
    if along.ndim != 2 or along.shape[1] != y.shape[1] or len(along) == 0:
        raise InputError(
            f"directions must have shape (K, {y.shape[1]}) like the codes, got {along.shape}; "
            f"pass directions({y.shape[1]})."
        )
    parts = []
    for start in range(0, len(along), 8):
        few = np.asarray(along[start : start + 8], dtype=np.float64)
        projected = np.concatenate([few @ block.T for block in row_blocks(y)], axis=1)
        parts.append(_from_sorted(np.sort(projected, axis=1)))
    return SlicedTests(len(y), *np.concatenate(parts, axis=1))


def _from_sorted(x: np.ndarray) -> np.ndarray:
    """The four statistics of sorted projections (k, n), as (4, k)."""
    n = x.shape[1]
    middle = (np.arange(n) + 0.5) / n
    gap = special.ndtr(x) - middle
    ks = np.abs(gap).max(axis=1) + 0.5 / n
    cvm = np.square(gap).sum(axis=1) + 1 / (12 * n)
    ad = -n - 2 * (special.log_ndtr(x) @ middle + special.log_ndtr(-x) @ middle[::-1])
    weight = _tables()[-1]
    # A loop over knots, since all waves at once would be 34 times the projections.
    waves = [
        (np.cos(t * x).mean(axis=1) - np.exp(-(t**2) / 2)) ** 2 + np.sin(t * x).mean(axis=1) ** 2
        for t in _KNOTS
    ]
    return np.stack([ks, cvm, ad, n * (weight @ np.stack(waves))])


@lru_cache(maxsize=1)
def _tables() -> tuple[np.ndarray, ...]:
    edges = np.linspace(-_SPAN, _SPAN, _BINS + 1)
    f = special.ndtr(edges)
    trapezoid = np.zeros(_BINS + 1)
    trapezoid[:-1] += np.diff(f) / 2
    trapezoid[1:] += np.diff(f) / 2
    # Those beyond the last edge are taken to lie on it: they are 2 in 10^9, or plainly not normal.
    width = 2 * _SPAN / _BINS
    x = np.concatenate([[-_SPAN], (edges[1:] + edges[:-1]) / 2, [_SPAN]])
    waves = np.concatenate([np.cos(np.outer(x, _KNOTS)), np.sin(np.outer(x, _KNOTS))], axis=1)
    # Sheppard: spread evenly over an interval, a wave loses the factor sinc(t width / 2).
    waves[1:-1] *= np.tile(np.sinc(_KNOTS * width / (2 * np.pi)), 2)
    wanted = np.concatenate([np.exp(-(_KNOTS**2) / 2), np.zeros(len(_KNOTS))])
    weight = 2 * 0.25 * np.exp(-(_KNOTS**2) / 2) / np.sqrt(2 * np.pi)
    return (
        f,
        np.stack([trapezoid, trapezoid / (f * special.ndtr(-edges))], 1),
        waves,
        wanted,
        weight,
    )


def _from_counts(counts: np.ndarray, n: int) -> np.ndarray:
    """The four statistics of histograms (k, bins + 2), as (4, k)."""
    f, weights, waves, wanted, weight = _tables()
    share = counts * (1.0 / n)
    gap = np.cumsum(share[:, :-1], axis=1)
    gap -= f
    ks = np.maximum(gap.max(axis=1), -gap.min(axis=1))
    np.square(gap, out=gap)
    cvm, ad = n * (gap @ weights).T
    difference = np.square(share @ waves - wanted).reshape(len(counts), 2, -1).sum(axis=1)
    return np.stack([ks, cvm, ad, n * (difference @ weight)])
