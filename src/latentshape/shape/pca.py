r"""Principal axes: the directions in which the cloud's components vary independently.

.. math:: \Sigma = V \Lambda V^T, \qquad y = V^T (z - \mu), \qquad \mathrm{cov}(y) = \Lambda

The axes come from the shifted, float64-accumulated covariance: exact for off-centre float32 codes,
where forming X'X first is not. The *effective dimension* is the participation ratio
:math:`(\sum \lambda)^2 / \sum \lambda^2`: d for a round cloud, 1 for a needle.
"""

__all__ = ["PCA"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg

from latentshape._checks import check_codes, check_count, row_blocks
from latentshape.shape.moments import Moments

if TYPE_CHECKING:
    from latentshape.shape.wide import WideMoments

_LEADING = 64


@dataclass(frozen=True, eq=False)
class PCA:
    """Principal axes of a covariance.

    Attributes:
        mean: Mean, shape (d,).
        axes: Unit vectors in rows, by falling eigenvalue, shape (d, d), or (k, d) of leading ones; the entry
            of each that is largest in size is positive, so that the same codes give the same signs.
        eigenvalues: Variances along the axes, shape (d,) or (k,), none below 0.
        total: Variance of all components, where these are not all axes.

    Example:
        >>> pca = PCA.of(Moments(10, np.zeros(2), np.array([[2.0, 1.0], [1.0, 2.0]])))
        >>> pca.eigenvalues.round(6).tolist(), round(pca.effective_dimension, 3)
        ([3.0, 1.0], 1.6)
    """

    mean: np.ndarray
    axes: np.ndarray
    eigenvalues: np.ndarray

    total: float | None = None

    @classmethod
    def of(cls, moments: "Moments | WideMoments") -> "PCA":
        """Diagonalise the covariance of `moments`; of wide ones, its 64 leading axes."""
        if not isinstance(moments, Moments):
            return moments.leading_axes(_LEADING)
        values, vectors = linalg.eigh(moments.cov)
        axes = vectors[:, ::-1].T
        largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
        return cls(moments.mean, axes * np.sign(largest), np.maximum(values[::-1], 0.0))

    @property
    def std(self) -> np.ndarray:
        """Standard deviation along each axis, shape (d,)."""
        return np.sqrt(self.eigenvalues)

    @property
    def explained(self) -> np.ndarray:
        """Share of the total variance along each axis, shape (d,); zeros if nothing varies."""
        total = self.eigenvalues.sum() if self.total is None else self.total
        return self.eigenvalues / (total if total > 0 else 1.0)

    @property
    def effective_dimension(self) -> float:
        """Participation ratio of the eigenvalues, from 1 to d (0 if nothing varies)."""
        squares = np.square(self.eigenvalues).sum()
        return float(self.eigenvalues.sum() ** 2 / squares) if squares > 0 else 0.0

    def transform(self, z: Any, components: int | None = None) -> np.ndarray:
        """Return the coordinates of codes (n, d) along the first axes, shape (n, components)."""
        k = self._count(components)
        return self._map(z, self.axes[:k].T)

    def whiten(self, z: Any, components: int | None = None) -> np.ndarray:
        """Return coordinates of unit variance, shape (n, components)."""
        k = self._count(components)
        scale = np.where(self.std[:k] > 0, self.std[:k], np.inf)
        return self._map(z, self.axes[:k].T / scale)

    def inverse_transform(self, y: Any) -> np.ndarray:
        """Return the codes (n, d) at coordinates y (n, k); the other coordinates are 0."""
        y = check_codes(y, name="y", min_samples=1, finite=False)
        k = self._count(y.shape[1])
        return (y @ self.axes[:k].astype(y.dtype) + self.mean).astype(y.dtype)

    def _map(self, z: Any, matrix: np.ndarray) -> np.ndarray:
        z = check_codes(z, min_samples=1, latent_dim=len(self.mean), finite=False)
        blocks = [
            (block - self.mean).astype(block.dtype) @ matrix.astype(block.dtype)
            for block in row_blocks(z)
        ]
        return np.concatenate(blocks)

    def _count(self, components: int | None) -> int:
        d = len(self.axes)
        return d if components is None else check_count(components, name="components", maximum=d)
