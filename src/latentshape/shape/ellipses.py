r"""Confidence ellipses of pairs of components, and how many codes they really hold.

The kσ ellipse of a pair is the set of Mahalanobis distance k about its mean. From the Pearson
coefficient r alone (Schelp): in standardised coordinates its half-axes are
:math:`k \sqrt{1 + r}` along (1, 1) and :math:`k \sqrt{1 - r}` along (-1, 1). Under a bivariate
normal law it holds

.. math:: P_k = 1 - e^{-k^2 / 2} \qquad (1σ: 39.35 \%, 2σ: 86.47 \%, 3σ: 98.89 \%)

whatever r is, so that a deviation speaks against normality. One pair alone hides much: a heavy
radius in 256 dimensions moves the 1σ and 3σ shares by a few per cent and the 2σ share hardly at
all.

Coverage is counted on all codes. With d (d - 1) / 2 pairs above a limit a subset is taken in which
every component occurs equally often: component i with component i + s (modulo d), for a few evenly
spaced distances s.
"""

__all__ = [
    "SIGMAS",
    "PairCoverage",
    "confidence_ellipse",
    "coverage",
    "expected_coverage",
]

from typing import Any

import numpy as np

from latentshape._checks import check_codes, row_blocks
from latentshape.errors import InputError
from latentshape.shape.moments import Moments
from latentshape.shape.streaming import stream

SIGMAS = (1.0, 1.5, 2.0, 2.5, 3.0)
"""Levels at which coverage is reported."""

MAX_PAIRS = 2000


def expected_coverage(sigma: float | np.ndarray) -> float | np.ndarray:
    """Mass of a bivariate normal law inside its kσ ellipse.

    Example:
        >>> [round(float(expected_coverage(k)), 4) for k in (1, 2, 3)]
        [0.3935, 0.8647, 0.9889]
    """
    return -np.expm1(-np.square(sigma) / 2.0)


def confidence_ellipse(
    moments: Moments, i: int, j: int, sigma: float = 2.0, points: int = 200
) -> np.ndarray:
    """Return a closed curve of the kσ ellipse of components (i, j), shape (points, 2).

    Example:
        >>> m = Moments(9, np.zeros(2), np.diag([4.0, 1.0]))
        >>> np.abs(confidence_ellipse(m, 0, 1, sigma=1.0)).max(axis=0).round(2).tolist()
        [2.0, 1.0]
    """
    if not 0 <= i < moments.d or not 0 <= j < moments.d or i == j:
        raise InputError(
            f"a pair must be two different components from 0 to {moments.d - 1}, got ({i}, {j})."
        )
    r = moments.correlation()[i, j]
    t = np.linspace(0.0, 2 * np.pi, points)
    along = np.sqrt((1 + r) / 2) * np.cos(t)
    across = np.sqrt((1 - r) / 2) * np.sin(t)
    curve = np.stack([along - across, along + across], axis=1)
    return moments.mean[[i, j]] + sigma * moments.std[[i, j]] * curve


class PairCoverage:
    """Accumulate the share of codes inside the kσ ellipses of many pairs at once.

    Attributes:
        pairs: The pairs counted, shape (p, 2), each with i < j.
        total: Number of all pairs, d (d - 1) / 2.
        sigmas: The levels, shape (k,).
    """

    def __init__(
        self,
        moments: Moments,
        sigmas: tuple[float, ...] = SIGMAS,
        max_pairs: int = MAX_PAIRS,
    ) -> None:
        self.sigmas = np.asarray(sigmas, dtype=np.float64)
        self.total = moments.d * (moments.d - 1) // 2
        self._mean, self._constant = moments.mean, moments.constant
        self._inverse_std = 1.0 / np.where(self._constant, 1.0, moments.std)
        self._designs = _designs(moments.correlation(), self._constant, max_pairs)
        self.n = 0

    @property
    def pairs(self) -> np.ndarray:
        """The pairs counted, shape (p, 2), i < j in each."""
        listed = [np.stack([d.first, d.second], axis=1) for d in self._designs]
        return np.sort(np.concatenate(listed), axis=1) if listed else np.empty((0, 2), dtype=int)

    def update(self, block: np.ndarray) -> None:
        """Count a block of codes, shape (rows, d)."""
        dtype = block.dtype
        u = block - self._mean.astype(dtype)
        u *= self._inverse_std.astype(dtype)
        twice = np.concatenate([u, u], axis=1)
        ones = np.ones(len(u), dtype=dtype)
        self.n += len(u)
        for design in self._designs:
            design.count(u, twice, ones, self.sigmas)

    def observed(self) -> np.ndarray:
        """Share of codes inside, for each pair and level, shape (p, k)."""
        counts = [d.counts.T for d in self._designs]
        return np.concatenate(counts) / self.n if counts else np.empty((0, len(self.sigmas)))


class _Design:
    """The pairs (i, i + s modulo d) for one distance s, as columns of one array operation."""

    def __init__(self, r: np.ndarray, usable: np.ndarray, distance: int) -> None:
        d = len(r)
        # At half way round the circle every pair would come twice.
        self.columns = d // 2 if 2 * distance == d else d
        first = np.arange(self.columns)
        second = (first + distance) % d
        self.distance = distance
        self.keep = usable[first, second]
        self.first, self.second = first[self.keep], second[self.keep]
        self.r = np.where(self.keep, r[first, second], 0.0)
        self._counts: np.ndarray | None = None

    @property
    def counts(self) -> np.ndarray:
        """Codes inside, shape (levels, pairs)."""
        return self._counts[:, self.keep] if self._counts is not None else np.zeros((0, 0))

    def count(self, u: np.ndarray, twice: np.ndarray, ones: np.ndarray, sigmas: np.ndarray) -> None:
        """Compare u_i² + (u_j - r u_i)² / (1 - r²) with each level."""
        first = u[:, : self.columns]
        q = twice[:, self.distance : self.distance + self.columns] - first * self.r.astype(u.dtype)
        q *= (1.0 / np.sqrt(1.0 - self.r**2)).astype(u.dtype)
        q *= q
        q += first * first
        inside = np.stack([ones @ (q <= level).astype(u.dtype) for level in sigmas**2])
        self._counts = inside.astype(np.float64) + (0 if self._counts is None else self._counts)


def coverage(
    z: Any,
    moments: Moments | None = None,
    *,
    sigmas: tuple[float, ...] = SIGMAS,
    max_pairs: int = MAX_PAIRS,
) -> PairCoverage:
    """Count the coverage of confidence ellipses over pairs of components of codes (n, d).

    Example:
        >>> z = np.random.default_rng(0).standard_normal((4000, 3))
        >>> coverage(z, sigmas=(2.0,)).observed().round(2).ravel().tolist()
        [0.87, 0.87, 0.86]
    """
    z = check_codes(z, finite=False)
    result = PairCoverage(moments or Moments.of(z), sigmas, max_pairs)
    stream(row_blocks(z), result)
    return result


def _designs(r: np.ndarray, constant: np.ndarray, max_pairs: int) -> list[_Design]:
    d = len(r)
    every = d // 2  # distances 1 .. d // 2 make up all pairs
    some = max(1, max_pairs // d)
    if d * (d - 1) // 2 <= max_pairs or some >= every:
        distances = np.arange(1, every + 1)
    else:
        distances = np.unique(np.linspace(1, (d - 1) // 2, some).round().astype(int))
    usable = (1.0 - r**2 > 1e-10) & ~constant[:, None] & ~constant[None, :]
    return [_Design(r, usable, int(s)) for s in distances]
