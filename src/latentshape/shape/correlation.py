r"""How the components hang together, pair by pair: Pearson coefficients on all codes.

.. math:: r_{jk} = \Sigma_{jk} / \sqrt{\Sigma_{jj} \Sigma_{kk}} \in [-1, 1]

The covariance is streamed, so there is no need for a subsample. What a subsample of n would cost is
the sampling error of r, :math:`(1 - r^2) / \sqrt{n - 1}` for Gaussian pairs: 0.014 at n = 5,000,
which over 32,640 pairs makes errors of 0.06 certain somewhere. :func:`subsample_error` shows it on the codes
themselves. Of n codes with *independent* components r would not be zero either:

.. math:: r^2 \sim \mathrm{Beta}(1/2, (n - 2)/2)
"""

__all__ = [
    "THRESHOLDS",
    "Pair",
    "clustered_order",
    "correlation_counts",
    "independent_counts",
    "sampling_error",
    "strongest_pairs",
    "subsample_error",
    "upper",
]

from typing import Any, NamedTuple

import numpy as np
from scipy import special

from latentshape.shape.moments import Moments

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""The levels of |r| at which the experiments counted pairs."""


class Pair(NamedTuple):
    """Two components, i < j, and their Pearson coefficient."""

    i: int
    j: int
    r: float


def correlation_counts(r: np.ndarray, thresholds: tuple[float, ...] = THRESHOLDS) -> dict[str, int]:
    """Count the pairs i < j with ``|r|`` above each threshold; r has shape (d, d).

    Example:
        >>> correlation_counts(np.array([[1.0, -0.35], [-0.35, 1.0]]))
        {'0.1': 1, '0.2': 1, '0.3': 1, '0.4': 0, '0.5': 0, '0.6': 0}
    """
    size = np.abs(upper(r))
    return {f"{level:g}": int((size > level).sum()) for level in thresholds}


def strongest_pairs(r: np.ndarray, limit: int = 50) -> list[Pair]:
    """Return the `limit` pairs of largest ``|r|``, strongest first.

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


def independent_counts(
    d: int, n: int, thresholds: tuple[float, ...] = THRESHOLDS
) -> dict[str, float]:
    """Expected pairs with ``|r|`` above each threshold if all d components were independent and normal.

    Example:
        >>> counts = independent_counts(256, 1_000)
        >>> round(counts["0.1"], 1), counts["0.3"] < 1e-15
        (50.4, True)
    """
    pairs = d * (d - 1) / 2
    if n < 3:
        return {f"{level:g}": pairs for level in thresholds}
    return {
        f"{level:g}": float(pairs * special.betaincc(0.5, (n - 2) / 2, level**2))
        for level in thresholds
    }


def subsample_error(z: Any, r: np.ndarray, n: int = 5_000, seed: int = 0) -> dict[str, Any] | None:
    """What correlating a random subsample instead of all codes would have cost.

    The experiments correlated 5,000 of 170,000 codes.

    Args:
        z: Codes (N, d).
        r: Pearson coefficients of all of them, shape (d, d).
        n: Size of the subsample.
        seed: Which one.

    Returns:
        ``n``, ``counts`` above the thresholds, ``max_error`` and ``rms_error`` of r over all pairs, and
        the ``expected_error`` of an uncorrelated pair; None where the subsample would be all codes.
    """
    if n >= len(z) or len(r) < 2:
        return None
    rows = np.sort(np.random.default_rng(seed).choice(len(z), n, replace=False))
    found = Moments.of(np.asarray(z[rows])).correlation()
    error = upper(found) - upper(r)
    return {
        "n": n,
        "counts": correlation_counts(found),
        "max_error": float(np.abs(error).max()),
        "rms_error": float(np.sqrt(np.square(error).mean())),
        "expected_error": float(sampling_error(0.0, n)),
    }


def clustered_order(r: np.ndarray) -> np.ndarray:
    """Components reordered so that strongly correlated ones are neighbours, shape (d,).

    Average linkage of the distances 1 - ``|r|``.

    Example:
        >>> r = np.array([[1.0, 0.0, 0.9], [0.0, 1.0, 0.1], [0.9, 0.1, 1.0]])
        >>> clustered_order(r).tolist() in ([1, 0, 2], [0, 2, 1], [1, 2, 0], [2, 0, 1])
        True
    """
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    if len(r) < 3:
        return np.arange(len(r))
    distance = squareform(1 - np.abs(r), checks=False).clip(min=0)
    linkage = hierarchy.linkage(distance, "average", optimal_ordering=len(r) <= 300)
    return hierarchy.leaves_list(linkage)


def upper(r: np.ndarray) -> np.ndarray:
    """The entries of a symmetric matrix above its diagonal, shape (d (d - 1) / 2,)."""
    return r[np.triu_indices(len(r), 1)]
