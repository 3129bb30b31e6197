r"""Precision, recall, density and coverage: fidelity and diversity told apart.

A ball about each feature vector, as large as the distance to its k-th nearest neighbour in its own set,
stands for the region where that set lies. With R real (or reference) vectors :math:`x_i` of ball radius
:math:`\rho_i`, and F generated ones :math:`y_j` with :math:`\sigma_j`:

.. math::
    \text{precision} &= \frac1F \sum_j 1[\exists i: |y_j - x_i| \le \rho_i] &
    \text{recall} &= \frac1R \sum_i 1[\exists j: |x_i - y_j| \le \sigma_j] \\
    \text{density} &= \frac1{kF} \sum_j \sum_i 1[|y_j - x_i| \le \rho_i] &
    \text{coverage} &= \frac1R \sum_i 1[\exists j: |x_i - y_j| \le \rho_i]

Precision and density ask whether what is drawn looks like the reference, recall and coverage whether
everything of the reference is drawn. Equal laws give precision and recall near one another, density near
1 and coverage near :math:`1 - 2^{-k}` at equal n: values depend on n and k and compare at equal ones only.

*Precision.* Squared distances are single-precision matrix products, block by block, which only propose:
whatever comes within their rounding error of a ball's surface is measured again in float64, so that the
result is that of float64 arithmetic, in half the time.

References:
    Kynkäänniemi et al. 2019, *Improved precision and recall metric for assessing generative models*,
    https://arxiv.org/abs/1904.06991; Naeem et al. 2020, *Reliable fidelity and diversity metrics for
    generative models*, https://arxiv.org/abs/2002.09797
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from latentshape.errors import InputError
from latentshape.shape.voids import nearest_neighbours

__all__ = ["NEIGHBOURS", "Manifold", "prdc"]

#: k of the published comparisons.
NEIGHBOURS = 5
#: Rows of one block of distances: 10 MB at 10,000 columns.
BLOCK = 256
#: Pairs times dimensions that are measured again at once: 16 MB.
REFINED = 2**21


class Manifold:
    """A set of feature vectors and the ball about each of them.

    Args:
        features: Shape (n, d), finite.
        k: The ball of a vector reaches to its k-th nearest other vector.

    Attributes:
        points: The vectors, float64, shape (n, d).
        squared_radii: Squared radii of their balls, shape (n,).

    Raises:
        InputError: There are not more than k vectors, or one is not finite.
    """

    def __init__(self, features: np.ndarray, k: int = NEIGHBOURS) -> None:
        if features.ndim != 2 or len(features) <= k:
            raise InputError(
                f"Precision and recall need more than k = {k} feature vectors in rows, got an array of "
                f"shape {features.shape}; judge more pictures."
            )
        self.k = k
        self.points = np.asarray(features, np.float64)
        distances, _ = nearest_neighbours(self.points, self.points, k, own=np.arange(len(features)))
        self.squared_radii = np.square(distances[:, -1])


def prdc(reference: Manifold, drawn: Manifold | np.ndarray) -> dict[str, float]:
    """Compare drawn features with a reference.

    Args:
        reference: Of real pictures, or of reconstructions.
        drawn: Features (m, d) of pictures to judge, or their manifold.

    Returns:
        ``precision``, ``recall``, ``coverage``, each from 0 to 1, and ``density`` from 0 up.

    Raises:
        InputError: Other dimensions than the reference's, or too few vectors.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((200, 3))
        >>> timid = prdc(Manifold(x), 0.3 * x)
        >>> timid["precision"] > 0.99, timid["recall"] < 0.5
        (True, True)
    """
    other = drawn if isinstance(drawn, Manifold) else Manifold(drawn, reference.k)
    if other.points.shape[1] != reference.points.shape[1]:
        raise InputError(
            f"Expected features of {reference.points.shape[1]} dimensions as the reference's, got "
            f"{other.points.shape[1]}; take both from one feature space."
        )
    n, m = len(reference.points), len(other.points)
    hits, precise, recalled, covered = 0, 0, np.zeros(n, bool), np.zeros(n, bool)
    for block in _blocks(other.points, reference.points):
        inside = block.within(reference.squared_radii)
        hits += int(np.count_nonzero(inside))
        precise += int(inside.any(axis=1).sum())
        covered |= inside.any(axis=0)
        recalled |= block.within(other.squared_radii[block.rows, None]).any(axis=0)
    return {
        "precision": precise / m,
        "recall": float(recalled.mean()),
        "density": hits / (reference.k * m),
        "coverage": float(covered.mean()),
    }


class _Block(NamedTuple):
    """Squared distances of some rows of a from all of b, as exact as single precision has them.

    Attributes:
        rows: Which rows of a.
        squared: Shape (rows, n), float32.
        error: No entry is farther than this from the truth.
        a, b: The vectors, float64.
    """

    rows: slice
    squared: np.ndarray
    error: float
    a: np.ndarray
    b: np.ndarray

    def within(self, limits: np.ndarray) -> np.ndarray:
        """Which pairs are at most as far apart as limits (squared, broadcast), bool (rows, n)."""
        # Outwards to the next single-precision number: the limits' own rounding may decide nothing.
        low = np.nextafter((limits - self.error).astype(np.float32), np.float32(-np.inf))
        high = np.nextafter((limits + self.error).astype(np.float32), np.float32(np.inf))
        inside = self.squared <= low
        # What overflowed compares false, and is far away indeed.
        unsure = np.flatnonzero((self.squared <= high) ^ inside)
        whole = np.broadcast_to(limits, inside.shape)
        step = max(1, REFINED // self.a.shape[1])
        for start in range(0, len(unsure), step):
            i, j = np.divmod(unsure[start : start + step], inside.shape[1])
            apart = self.a[self.rows][i] - self.b[j]
            inside[i, j] = np.einsum("ij,ij->i", apart, apart) <= whole[i, j]
        return inside


def _blocks(a: np.ndarray, b: np.ndarray) -> Iterator[_Block]:
    """All a (m, d) against all b (n, d), one matrix product for each block of rows of a."""
    d = b.shape[1]
    centre = b.mean(axis=0)  # little cancels near the origin
    a_, b_ = a - centre, b - centre
    lengths_a, lengths_b = np.square(a_).sum(axis=1), np.square(b_).sum(axis=1)
    # |a|² - 2 a.b + |b|² as one product: two more components carry the lengths.
    right = np.empty((len(b), d + 2), np.float32)
    right[:, :d], right[:, d], right[:, d + 1] = b_, 1, lengths_b
    for start in range(0, len(a), BLOCK):
        rows = slice(start, start + BLOCK)
        left = np.empty((len(a_[rows]), d + 2), np.float32)
        left[:, :d], left[:, d], left[:, d + 1] = -2 * a_[rows], lengths_a[rows], 1
        # Every sum of d + 2 products, in whatever order, and the rounding of what is multiplied.
        largest = float(lengths_a[rows].max() + lengths_b.max())
        yield _Block(rows, left @ right.T, (d + 8) * 2.0**-22 * largest, a, b)
