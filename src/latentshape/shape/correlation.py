r"""How the components hang together, pair by pair: Pearson coefficients on all codes.

.. math:: r_{jk} = \Sigma_{jk} / \sqrt{\Sigma_{jj} \Sigma_{kk}} \in [-1, 1]

The covariance is streamed, so there is no need for a subsample. What a subsample of n would cost is
the sampling error of r, :math:`(1 - r^2) / \sqrt{n - 1}` for Gaussian pairs: 0.014 at n = 5,000,
which over 32,640 pairs makes errors of 0.06 certain somewhere.
"""

__all__ = [
    "THRESHOLDS",
    "Pair",
    "correlation_counts",
    "sampling_error",
    "strongest_pairs",
    "upper",
]

from typing import NamedTuple

import numpy as np

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""The levels of |r| at which the experiments counted pairs."""


class Pair(NamedTuple):
    """Two components, i < j, and their Pearson coefficient."""

    i: int
    j: int
    r: float


def correlation_counts(r: np.ndarray, thresholds: tuple[float, ...] = THRESHOLDS) -> dict[str, int]:
    """Count the pairs i < j with |r| above each threshold; r has shape (d, d).

    Example:
        >>> correlation_counts(np.array([[1.0, -0.35], [-0.35, 1.0]]))
        {'0.1': 1, '0.2': 1, '0.3': 1, '0.4': 0, '0.5': 0, '0.6': 0}
    """
    size = np.abs(upper(r))
    return {f"{level:g}": int((size > level).sum()) for level in thresholds}


def strongest_pairs(r: np.ndarray, limit: int = 50) -> list[Pair]:
    """Return the `limit` pairs of largest |r|, strongest first.

    Example:
        >>> strongest_pairs(np.array([[1.0, -0.35], [-0.35, 1.0]]))
        [Pair(i=0, j=1, r=-0.35)]
    """
    i, j = np.triu_indices(len(r), 1)
    values = r[i, j]
    order = np.argsort(-np.abs(values), kind="stable")[:limit]
    return [Pair(int(i[k]), int(j[k]), float(values[k])) for k in order]


def sampling_error(r: float | np.ndarray, n: int) -> float | np.ndarray:
    """Standard error of a Pearson coefficient of n Gaussian pairs.

    Example:
        >>> round(float(sampling_error(0.0, 5_001)), 4)
        0.0141
    """
    return (1.0 - np.square(r)) / np.sqrt(n - 1.0)


def upper(r: np.ndarray) -> np.ndarray:
    """The entries of a symmetric matrix above its diagonal, shape (d (d - 1) / 2,)."""
    return r[np.triu_indices(len(r), 1)]
