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
    "TiledCorrelation",
    "clustered_order",
    "correlation_counts",
    "independent_counts",
    "sampling_error",
    "standardised",
    "strongest_pairs",
    "subsample_error",
    "upper",
]

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from latentshape.shape.moments import Moments
from latentshape.shape.wide import WideMoments

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


#: Codes that are correlated tile by tile, and components of a tile.
_TILED_CODES, _TILE = 5_000, 1024


@dataclass(frozen=True, eq=False)
class TiledCorrelation:
    """Pearson coefficients of all pairs of many components, looked at tile by tile and not kept.

    Attributes:
        n: Codes that were correlated: all, or 5,000 spread evenly.
        counts: Pairs above the thresholds.
        max_abs, rms: Over all pairs; None where there are none.
        pairs: The 50 strongest, strongest first.
        partners: Which components are in a strong pair, shape (d,), bool.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((200, 3)) @ [[1, 1, 0], [0, 0.1, 0], [0, 0, 1]]
        >>> found = TiledCorrelation.of(WideMoments.of(z), strong=0.5)
        >>> found.counts["0.6"], found.pairs[0][:2], found.partners.tolist()
        (1, (0, 1), [True, True, False])
    """

    n: int
    counts: dict[str, int]
    max_abs: float | None
    rms: float | None
    pairs: list[Pair]
    partners: np.ndarray

    @classmethod
    def of(cls, moments: WideMoments, *, strong: float, limit: int = 50) -> "TiledCorrelation":
        """Correlate the components of codes; pairs above `strong` are strong."""
        u = standardised(moments)
        n, d = u.shape
        counts, partners = dict.fromkeys(THRESHOLDS, 0), np.zeros(d, dtype=bool)
        squares, total, strongest = 0.0, 0, np.empty((0, 3))
        for a in range(0, d, _TILE):
            for b in range(a, d, _TILE):
                r = u[:, a : a + _TILE].T @ u[:, b : b + _TILE]
                r = np.triu(r, 1) if a == b else r
                size = np.abs(r)
                squares += float(np.einsum("ij,ij->", r, r, dtype=np.float64))
                total += len(r) * (len(r) - 1) // 2 if a == b else r.size
                for level in THRESHOLDS:
                    counts[level] += int(np.count_nonzero(size > level))
                many = size > strong
                partners[a : a + len(r)] |= many.any(axis=1)
                partners[b : b + r.shape[1]] |= many.any(axis=0)
                least = abs(strongest[-1, 2]) if len(strongest) == limit else 0.0
                if size.size and size.max() > least:
                    flat = size.ravel()
                    top = np.argpartition(-flat, min(limit, len(flat)) - 1)[:limit]
                    top = top[flat[top] > least]
                    i, j = np.unravel_index(top, r.shape)
                    found = np.column_stack([i + a, j + b, r[i, j]])
                    both = np.concatenate([strongest, found])
                    strongest = both[np.lexsort((both[:, 1], both[:, 0], -np.abs(both[:, 2])))][
                        :limit
                    ]
        return cls(
            n,
            {f"{level:g}": count for level, count in counts.items()},
            float(abs(strongest[0, 2])) if len(strongest) else None,
            float(np.sqrt(squares / total)) if total else None,
            [Pair(int(i), int(j), float(np.clip(r, -1, 1))) for i, j, r in strongest],
            partners,
        )

    def summary(self) -> dict[str, Any]:
        """Counts, greatest and mean size, as a record has them."""
        return {"counts": self.counts, "max_abs": self.max_abs, "rms": self.rms}


def standardised(moments: WideMoments, most: int = _TILED_CODES) -> np.ndarray:
    """Codes as columns of mean 0 and length 1, shape (min(n, most), d), float32; 0 where one is constant.

    Products of two columns are Pearson coefficients. Of more codes than `most` so many, spread evenly.
    """
    rows = np.arange(moments.n)
    if moments.n > most:
        rows = np.linspace(0, moments.n - 1, most).round().astype(np.intp)
    u = np.array(moments.z[rows], dtype=np.float32)
    u -= u.mean(axis=0, dtype=np.float64).astype(np.float32)
    length = np.sqrt(np.einsum("ij,ij->j", u, u, dtype=np.float64))
    varies = ~moments.constant & (length > 0)
    u *= np.where(varies, 1.0 / np.where(varies, length, 1.0), 0.0).astype(np.float32)
    return u


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
