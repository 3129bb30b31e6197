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

References:
    Kynkäänniemi et al. 2019, *Improved precision and recall metric for assessing generative models*,
    https://arxiv.org/abs/1904.06991; Naeem et al. 2020, *Reliable fidelity and diversity metrics for
    generative models*, https://arxiv.org/abs/2002.09797
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latentshape.errors import InputError

__all__ = ["NEIGHBOURS", "Manifold", "prdc"]

#: k of the published comparisons.
NEIGHBOURS = 5
#: Rows of one block of distances: 16 MB at 10,000 columns.
BLOCK = 400


class Manifold:
    """A set of feature vectors and the ball about each of them.

    Args:
        features: Shape (n, d), finite.
        k: The ball of a vector reaches to its k-th nearest other vector.

    Attributes:
        points: The vectors, float64, shape (n, d).
        squared_radii: Squared radii of their balls, shape (n,).

    Raises:
        InputError: There are not more than k vectors.
    """

    def __init__(self, features: np.ndarray, k: int = NEIGHBOURS) -> None:
        if features.ndim != 2 or len(features) <= k:
            raise InputError(
                f"Precision and recall need more than k = {k} feature vectors in rows, got an array of "
                f"shape {features.shape}; judge more pictures."
            )
        self.k = k
        self.points = np.asarray(features, np.float64)
        self.squared_radii = np.concatenate(
            # Position k, not k - 1: the nearest vector to each is itself.
            [
                np.partition(block, k, axis=1)[:, k]
                for _, block in _squared(self.points, self.points)
            ]
        )


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
    hits, precise, recalled = 0, 0, np.zeros(len(reference.points), bool)
    nearest = np.full(len(reference.points), np.inf)
    for rows, squared in _squared(other.points, reference.points):
        inside = squared <= reference.squared_radii
        hits += int(inside.sum())
        precise += int(inside.any(axis=1).sum())
        recalled |= (squared <= other.squared_radii[rows, None]).any(axis=0)
        np.minimum(nearest, squared.min(axis=0), out=nearest)
    covered = int((nearest <= reference.squared_radii).sum())
    n, m = len(reference.points), len(other.points)
    return {
        "precision": precise / m,
        "recall": float(recalled.mean()),
        "density": hits / (reference.k * m),
        "coverage": covered / n,
    }


def _squared(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances of all a (m, d) from all b (n, d), block by block of rows of a.

    One matrix product a block; about a common centre, so that little cancels, and float64, so that
    equal vectors lie 1e-13 apart at most.
    """
    centre = b.mean(axis=0)
    a, b = a - centre, b - centre
    lengths_a, lengths_b = np.square(a).sum(axis=1), np.square(b).sum(axis=1)
    for start in range(0, len(a), BLOCK):
        rows = slice(start, start + BLOCK)
        squared = a[rows] @ b.T
        squared *= -2
        squared += lengths_a[rows, None]
        squared += lengths_b
        np.maximum(squared, 0, out=squared)
        yield rows, squared
