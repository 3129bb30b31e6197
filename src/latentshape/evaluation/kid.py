r"""The kernel distance: how far two laws of features are apart, without a bias of the sample's size.

With the kernel :math:`k(x, y) = (x \cdot y / d + 1)^3` the squared maximum mean discrepancy of two laws,

.. math:: \mathrm{MMD}^2 = \mathrm{E}\, k(x, x') + \mathrm{E}\, k(y, y') - 2\, \mathrm{E}\, k(x, y),

compares all moments up to the third (in one dimension it is
:math:`3 \Delta_1^2 + 3 \Delta_2^2 + \Delta_3^2` for differences :math:`\Delta_j` of raw moments). Means over
pairs of *different* pictures estimate it without bias: between equal laws it is 0 on average whatever n,
where the Fréchet distance is not, and single estimates are below 0 as often as above. It does not change
when both sets are rotated together, and it does when they are shifted. With Inception-v3 features it is
called KID; with any other features it compares within those features alone.

Of more than 2,000 pictures it is the mean over blocks of them, each against a block of the reference of its
own, as many as there are: still unbiased, and linear in n instead of quadratic.

References:
    Bińkowski et al. 2018, *Demystifying MMD GANs*, https://arxiv.org/abs/1801.01401; Gretton et al. 2012,
    *A kernel two-sample test*, https://jmlr.org/papers/v13/gretton12a.html; blocks: Zaremba, Gretton &
    Blaschko 2013, *B-tests*, https://arxiv.org/abs/1307.1954
"""

from __future__ import annotations

import numpy as np

from latentshape.errors import InputError

__all__ = ["KernelSide", "kernel_distance"]

#: Pictures of one block, at most.
BLOCK = 2000
#: Rows of one product: 4 MB at 2,000 columns.
ROWS = 512


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared kernel distance of features a (n, d) and b (m, d); symmetric in the two.

    Products are single precision and their sums double: the rounding of single pairs, one in ten
    million, averages out.

    Raises:
        InputError: Fewer than two rows, other dimensions, or numbers that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal((2, 1500, 4))
        >>> abs(kernel_distance(x, y)) < 0.05 < kernel_distance(x, 1.5 * y)
        True
    """
    return KernelSide(a).distance(KernelSide(b))


class KernelSide:
    """One side of kernel distances: features in blocks, with each block's mean kernel of different rows.

    Args:
        features: Shape (n, d), n at least 2, finite.

    Attributes:
        n, d: Rows and dimension.
        within: Mean kernel between different rows of each block, shape (blocks,).
    """

    def __init__(self, features: np.ndarray) -> None:
        features = np.asarray(features)
        if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
            raise InputError(
                "The kernel distance needs at least 2 finite feature vectors in rows, got an array of "
                f"shape {features.shape}; judge more pictures, or leave out those without features."
            )
        self.n, self.d = features.shape
        self._x = np.asarray(features, np.float32)
        self.within = np.array([_mean_of_pairs(block) for block in self.blocks()])

    def blocks(self) -> list[np.ndarray]:
        """Consecutive blocks of nearly equal length, none longer than 2,000."""
        return np.array_split(self._x, -(-self.n // BLOCK))

    def distance(self, other: KernelSide) -> float:
        """Unbiased squared kernel distance from another set of features.

        Raises:
            InputError: Other dimensions.
        """
        if other.d != self.d:
            raise InputError(
                f"Expected features of {self.d} dimensions, as the other side has, got {other.d}; "
                "take both from one feature space."
            )
        # The shorter list decides how many blocks meet: each block is used once.
        between = [
            _kernel_sum(a, b) / (len(a) * len(b)) for a, b in zip(self.blocks(), other.blocks())
        ]
        return float(self.within.mean() + other.within.mean() - 2 * np.mean(between))


def _kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
    """Sum of the kernel over all pairs of rows of a and b."""
    total = 0.0
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # then the distance is not finite, which is seen
        for start in range(0, len(a), ROWS):
            t = a[start : start + ROWS] @ b.T
            t /= np.float32(a.shape[1])
            t += 1
            total += float(np.sum(t * t * t, dtype=np.float64))
    return total


def _mean_of_pairs(x: np.ndarray) -> float:
    squares = np.einsum("ij,ij->i", x, x, dtype=np.float64)
    own = float(((squares / x.shape[1] + 1) ** 3).sum())
    return (_kernel_sum(x, x) - own) / (len(x) * (len(x) - 1))
