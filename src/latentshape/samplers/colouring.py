r"""From white noise to a covariance: :math:`x = A g` for many rows at once.

A covariance of full rank has a triangular factor, and a triangular product (BLAS trmm, in place)
costs half of a full one.
"""

__all__ = ["colour", "is_triangular"]

import numpy as np
from scipy.linalg import get_blas_funcs


def is_triangular(factor: np.ndarray) -> bool:
    """Whether a factor (d, r) is square and zero above its diagonal."""
    return factor.shape[0] == factor.shape[1] and np.array_equal(factor, np.tril(factor))


def colour(g: np.ndarray, factor: np.ndarray, *, triangular: bool) -> np.ndarray:
    """Return rows A g, shape (rows, d); `g` may be overwritten.

    Args:
        g: White noise in rows, shape (rows, r), C-contiguous.
        factor: A, shape (d, r).
        triangular: What `is_triangular` says of the factor.

    Example:
        >>> colour(np.ones((1, 2)), np.array([[1.0, 0.0], [2.0, 3.0]]), triangular=True).tolist()
        [[1.0, 5.0]]
    """
    factor = factor.astype(g.dtype, copy=False)
    if not triangular:
        return g @ factor.T
    trmm = get_blas_funcs("trmm", (factor, g))
    # Read as Fortran order, the upper factor.T stands for factor, and g.T for g: nothing is copied.
    return trmm(1.0, factor.T, g.T, lower=0, trans_a=1, overwrite_b=1).T
