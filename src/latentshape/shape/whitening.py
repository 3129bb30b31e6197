r"""Whitening: the cloud with its mean at the origin and its covariance the identity.

.. math:: y = (z - \mu) W, \qquad W = L^{-T}, \qquad \Sigma = L L^T

Whatever is said of the joint law afterwards (radii, directions, normality) depends on no scale, no
correlation and no centre. Any other whitening differs by a rotation, which none of these statistics
sees. Products are formed in the codes' own precision, in float64 where the diagonal of L spans more
than three orders of magnitude; the part of the mean that float32 cannot hold is taken off afterwards.
"""

__all__ = ["Whitening"]

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from scipy import linalg

from latentshape._checks import check_codes, row_blocks
from latentshape.errors import InputError
from latentshape.shape.moments import Moments, singular_why
from latentshape.shape.wide import WideMoments

_FLOAT32_CONDITION = 1e3
_ROWS = 1024  # that stay in cache from one step to the next


class Whitening:
    """Maps codes to whitened codes, and back.

    Args:
        moments: Mean and covariance, which must be invertible.

    Attributes:
        mean: Shape (d,).
        matrix: W, shape (d, d), upper triangular, float64.
        factor: L, shape (d, d), lower triangular, float64.

    Raises:
        InputError: The covariance has no inverse.

    Example:
        >>> whitening = Whitening(Moments(9, np.ones(2), np.diag([4.0, 1.0])))
        >>> whitening(np.array([[3.0, 0.0]])).tolist()
        [[1.0, -1.0]]
    """

    def __init__(self, moments: Moments | WideMoments) -> None:
        why = singular_why(moments)
        if why is not None:
            raise InputError(
                f"Whitening, and with it every Mahalanobis radius, needs an invertible covariance, but "
                f"z {why}."
            )
        assert isinstance(moments, Moments)  # wide ones are refused above
        self.mean = moments.mean
        self.factor = linalg.cholesky(moments.cov, lower=True)
        self.matrix = linalg.solve_triangular(self.factor, np.eye(moments.d), lower=True).T
        self._matrices: dict[Any, np.ndarray] = {}
        diagonal = np.diag(self.factor)
        self._wide = diagonal.max() > _FLOAT32_CONDITION * diagonal.min()

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Whiten a block of codes (rows, d), in float32 or float64."""
        dtype = np.dtype(np.float64) if self._wide else block.dtype
        near = self.mean.astype(block.dtype)
        rest = ((self.mean - near) @ self.matrix).astype(dtype)
        # W is upper triangular, and half of a triangular product need not be formed.
        multiply = linalg.get_blas_funcs("trmm", dtype=dtype)
        y = np.empty(block.shape, dtype=dtype)
        for start in range(0, len(y), _ROWS):
            x = y[start : start + _ROWS]
            np.subtract(block[start : start + _ROWS], near, out=x, dtype=dtype)
            # BLAS counts in columns: y' = W' x', in the place of x'.
            multiply(1.0, self._in(dtype).T, x.T, lower=1, overwrite_b=1)
            if rest.any():
                x -= rest
        return y

    def _in(self, dtype: np.dtype) -> np.ndarray:
        """W in this precision; made once."""
        if dtype not in self._matrices:
            self._matrices[dtype] = self.matrix.astype(dtype)
        return self._matrices[dtype]

    def blocks(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Whiten block by block."""
        return map(self, blocks)

    def sample(self, z: Any, n: int, seed: int = 0) -> np.ndarray:
        """Whiten `n` codes drawn without replacement (all, in order, if there are no more).

        Returns:
            Shape (min(n, len(z)), d), float32 or float64.
        """
        z = check_codes(z, latent_dim=len(self.mean), finite=False)
        if n < len(z):
            rows = np.sort(np.random.default_rng(seed).choice(len(z), n, replace=False))
            z = np.asarray(z[rows])
        return np.concatenate([self(block) for block in row_blocks(z)])
