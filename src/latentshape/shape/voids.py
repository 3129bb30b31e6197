r"""Nearest neighbours, exactly, and the voids they show.

A scatter plot of two components is dense at its centre, and yet a close-up shows gaps: in many
dimensions the nearest code is nearly as far away as any. How far, is the mean distance from a code
to its nearest neighbour, near the centre, near the origin, and anywhere. Gaps that a Gaussian cloud
of as many codes has as well belong to the dimension, so what counts is the ratio to the control's:
above 1 the cloud has *voids* there, below 1 it is clotted.

*Search.* Squared distances are :math:`|x|^2 - 2 q \cdot x + |q|^2`, one matrix product per block,
in float32 on centred and scaled codes. Rounding may change the order, so the product only proposes:
its error is below

.. math:: \varepsilon = (2 d + 8)\, 2^{-24}\, (|q| + |x|)^2,

whatever comes within that of the k-th nearest so far is measured again in float64, and the nearest
by (distance, row number) are kept. The result is that of float64 arithmetic throughout.
"""

__all__ = ["NearestNeighbours", "VoidGap", "nearest_neighbours", "voids"]

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from latentshape._checks import check_codes, check_count, check_seed, row_blocks
from latentshape.errors import InputError
from latentshape.shape.control import GaussianControl
from latentshape.shape.moments import Moments
from latentshape.shape.streaming import Progress, stream
from latentshape.shape.whitening import Whitening

_QUERIES_AT_ONCE = 1024
_ROWS_AT_ONCE = 4096
# Distances are refined for so many (query, code) pairs times dimensions at once: 16 MiB in float64.
_REFINED_AT_ONCE = 2**21
_FLOAT32_UNIT = 2.0**-24
_PILOT_ROWS = 512


class NearestNeighbours:
    """Accumulate the k nearest codes of each query, exactly, in one read of the codes.

    Equal distances are told apart by row number, the lower one first.

    Args:
        queries: Points, shape (m, d).
        k: Number of neighbours.
        own: Row of each query among the codes, shape (m,), that is not to be its own neighbour;
            None where queries are no codes.

    Attributes:
        n: Codes seen.

    Example:
        >>> near = NearestNeighbours(np.array([[0.0, 0.0]]), k=2)
        >>> near.update(np.array([[3.0, 4.0], [0.0, 1.0], [9.0, 9.0]]))
        >>> distances, rows = near.result()
        >>> distances.tolist(), rows.tolist()
        ([[1.0, 5.0]], [[1, 0]])
    """

    def __init__(self, queries: Any, k: int = 1, *, own: Any = None) -> None:
        queries = check_codes(queries, name="queries", min_samples=1)
        self.k = check_count(k, name="k")
        self._queries = np.asarray(queries, dtype=np.float64)
        self._own = _own_rows(own, len(queries))
        m = len(queries)
        self._squared = np.full((m, self.k), np.inf)
        self._rows = np.full((m, self.k), -1, dtype=np.int64)
        self._frame: _Frame | None = None
        self.n = 0

    def update(self, block: np.ndarray) -> None:
        """Search a block of codes, shape (rows, d)."""
        for start in range(0, len(block), _ROWS_AT_ONCE):
            part = block[start : start + _ROWS_AT_ONCE]
            if self._frame is None:
                self._frame = _Frame(part, self._queries)
            x = self._frame.of(part)
            for first in range(0, len(self._queries), _QUERIES_AT_ONCE):
                self._search(part, x, slice(first, first + _QUERIES_AT_ONCE))
            self.n += len(part)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return distances (m, k), float64, rising, and the rows of the neighbours (m, k).

        Raises:
            InputError: Fewer than k codes (k + 1 where a query is one of them) were seen.
        """
        if (self._rows < 0).any():
            others = "" if self._own is None else " besides the query itself"
            raise InputError(
                f"{self.k} neighbours need as many codes{others}, got {self.n}; ask for fewer, or "
                "pass more codes."
            )
        return np.sqrt(self._squared), self._rows

    def _search(self, part: np.ndarray, x: np.ndarray, which: slice) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            query, row = self._proposed(x, which)
        query += which.start
        if self._own is not None:
            others = self.n + row != self._own[query]
            query, row = query[others], row[others]
        if len(query):
            self._merge(query, row, self._refined(part, query, row))

    def _proposed(self, x: np.ndarray, which: slice) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (query, row) that may be among the nearest, for all that float32 can tell."""
        assert self._frame is not None
        q_squared, known = self._frame.squared[which], self._squared[which, -1]
        scores = self._frame.queries[which] @ x.T  # |x|^2 - 2 q.x
        bound = known / self._frame.scale**2
        if not np.isfinite(bound).all() and len(x) > self.k:
            # While fewer than k are known, the (k+1)-th of this block (one may be the query itself)
            # is a bound.
            kth = np.partition(scores, self.k, axis=1)[:, self.k] + q_squared
            kth = np.maximum(kth, 0.0)
            bound = np.fmin(bound, kth + 2 * self._frame.error(q_squared, kth))
        limit = bound - q_squared + self._frame.error(q_squared, bound)
        limit[known == 0.0] = -np.inf  # nothing is nearer, and a later row loses a tie
        limit = np.nextafter(limit.astype(np.float32), np.float32(np.inf))
        # What overflowed compares false, and is looked at too.
        far = scores > limit[:, None]
        near = np.flatnonzero(np.logical_not(far, out=far))  # a flat search is many times quicker
        query, row = np.divmod(near, scores.shape[1])
        return query, row

    def _refined(self, part: np.ndarray, query: np.ndarray, row: np.ndarray) -> np.ndarray:
        squared = np.empty(len(query))
        step = max(1, _REFINED_AT_ONCE // part.shape[1])
        for start in range(0, len(query), step):
            some = slice(start, start + step)
            apart = part[row[some]] - self._queries[query[some]]
            squared[some] = np.einsum("ij,ij->i", apart, apart)
        return squared

    def _merge(self, query: np.ndarray, row: np.ndarray, squared: np.ndarray) -> None:
        touched = np.unique(query)
        all_queries = np.concatenate([np.repeat(touched, self.k), query])
        all_squared = np.concatenate([self._squared[touched].ravel(), squared])
        all_rows = np.concatenate([self._rows[touched].ravel(), self.n + row])
        order = np.lexsort((all_rows, all_squared, all_queries))
        starts = np.searchsorted(all_queries[order], touched)
        best = order[starts[:, None] + np.arange(self.k)]
        self._squared[touched] = all_squared[best]
        self._rows[touched] = all_rows[best]


class _Frame:
    """Codes moved near the origin and scaled to about 1, so that float32 serves them best.

    |x|² is carried as one more component, against a 1 in the queries: one product gives the score.
    """

    def __init__(self, first: np.ndarray, queries: np.ndarray) -> None:
        # Medians: one wild code must not set the scale for all others.
        few = first[:: max(1, len(first) // _PILOT_ROWS)].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            self._centre = np.median(few, axis=0).astype(np.float32).astype(np.float64)
            size = float(np.sqrt(np.median(np.square(few - self._centre).mean(axis=1))))
        # A power of two changes no digit.
        exponent = np.clip(np.round(np.log2(size)), -120, 120) if 0 < size < np.inf else 0.0
        self.scale = float(2.0**exponent)
        self._d = first.shape[1]
        centred = (queries - self._centre) / self.scale
        self.squared = np.einsum("ij,ij->i", centred, centred)
        self.queries = np.ones((len(queries), self._d + 1), dtype=np.float32)
        with np.errstate(over="ignore"):
            self.queries[:, :-1] = -2.0 * centred

    def of(self, part: np.ndarray) -> np.ndarray:
        """Return codes in this frame and their squared lengths, shape (rows, d + 1), float32."""
        x = np.empty((len(part), self._d + 1), dtype=np.float32)
        inner = x[:, :-1]
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(part, self._centre.astype(part.dtype), out=inner, casting="same_kind")
            inner *= np.float32(1.0 / self.scale)
            x[:, -1] = np.einsum("ij,ij->i", inner, inner)
        if not np.isfinite(x[:, -1]).all():
            check_codes(part, min_samples=1)
        return x

    def error(self, q_squared: np.ndarray, squared: np.ndarray) -> np.ndarray:
        """Bound on the rounding of scores of codes within `squared` of the queries."""
        reach = 2 * np.sqrt(q_squared) + np.sqrt(squared)  # |q| + |x| at most
        return (2 * self._d + 8) * _FLOAT32_UNIT * np.square(reach)


def nearest_neighbours(
    queries: Any, z: Any, k: int = 1, *, own: Any = None, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest codes of each query, exactly.

    Args:
        queries: Points, shape (m, d).
        z: Codes, shape (n, d); an array or memory map, read once.
        k: Number of neighbours, at most n (n - 1 with `own`).
        own: Row of each query in z, shape (m,), where queries are codes: it is not its own
            neighbour. Pass `own=rows` with `queries=z[rows]`.
        progress: Called with the number of rows after each block.

    Returns:
        Euclidean distances, shape (m, k), float64, rising in each row; and rows of z, shape (m, k).
        Of equal distances the lower row comes first.

    Raises:
        InputError: Numbers that are not finite, differing dimensions, or too few codes.

    Example:
        >>> z = np.array([[0.0], [1.0], [3.0]])
        >>> distances, rows = nearest_neighbours(z, z, own=range(3))
        >>> distances.ravel().tolist(), rows.ravel().tolist()
        ([1.0, 1.0, 2.0], [1, 0, 1])
    """
    z = check_codes(z, min_samples=1, finite=False)
    queries = check_codes(queries, name="queries", min_samples=1, latent_dim=z.shape[1])
    search = NearestNeighbours(queries, k, own=own)
    stream(row_blocks(z), search, progress=progress)
    return search.result()


class VoidGap(NamedTuple):
    """Mean distance to the nearest code at one place, beside that of a Gaussian cloud.

    Attributes:
        place: "near centre" and "near origin" (codes of least Mahalanobis distance to them),
            "anywhere" (codes at random, hence of typical radius), "centre" and "origin" (the points
            themselves).
        whitened: Whether distances are those of whitened codes, rather than of the codes.
        queries: Number of points at that place.
        distance, control: Mean distance to the nearest code, and the control's.
        std, control_std: Standard deviation of those distances, 0 for one point.
        ratio: distance / control: above 1 the cloud has a void there.
    """

    place: str
    whitened: bool
    queries: int
    distance: float
    std: float
    control: float
    control_std: float
    ratio: float


def voids(
    z: Any,
    moments: Moments | None = None,
    *,
    queries: int = 256,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[VoidGap]:
    """Measure the gaps between codes (n, d) near the centre, near the origin and anywhere.

    Three reads of the codes and four of an equal-size draw of the fitted Gaussian, which has its
    own mean and whitening. The covariance must be invertible.

    Args:
        z: Codes, shape (n, d); an array or memory map.
        moments: Their moments, if they are known already.
        queries: Codes looked at in each place (at most n - 1).
        seed: Which control, and which codes stand for all.
        progress: Called with the number of rows after each block.

    Returns:
        Ten records: five places, in the codes' own and in whitened coordinates.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((4000, 3))
        >>> z = z[np.linalg.norm(z, axis=1) > 1.0]  # a hole in the middle
        >>> {gap.place: round(gap.ratio) for gap in voids(z) if gap.whitened}["centre"] > 2
        True
    """
    seed = check_seed(seed)
    z = check_codes(z, latent_dim=moments.d if moments else None, finite=False)
    moments = moments or Moments.of(z)
    m = min(check_count(queries, name="queries"), moments.n - 1)
    control = GaussianControl(moments, moments.n, seed=seed)
    cloud = _gaps(_Source(z), moments, m, seed, progress)
    drawn = _gaps(control, control.moments(progress=progress), m, seed, progress)
    found = []
    for key, distances in cloud.items():
        place, whitened = key
        here, there = float(distances.mean()), float(drawn[key].mean())
        found.append(
            VoidGap(
                place,
                whitened,
                len(distances),
                here,
                float(distances.std()),
                there,
                float(drawn[key].std()),
                here / there,
            )
        )
    return found


class _Source:
    """Codes that can be read again and again, as the control can."""

    def __init__(self, z: np.ndarray) -> None:
        self._z = z

    def blocks(self) -> Iterator[np.ndarray]:
        return row_blocks(self._z)


class _Whitened:
    """Leads whitened blocks to a search."""

    def __init__(self, whitening: Whitening, search: NearestNeighbours) -> None:
        self._whitening, self._search = whitening, search

    def update(self, block: np.ndarray) -> None:
        self._search.update(self._whitening(block))


class _Gather:
    """Keeps chosen rows of what is read."""

    def __init__(self, rows: np.ndarray, d: int) -> None:
        self._rows, self.codes = rows, np.empty((len(rows), d))
        self._n = 0

    def update(self, block: np.ndarray) -> None:
        here = (self._rows >= self._n) & (self._rows < self._n + len(block))
        self.codes[here] = block[self._rows[here] - self._n]
        self._n += len(block)


def _gaps(
    source: _Source | GaussianControl,
    moments: Moments,
    m: int,
    seed: int,
    progress: Progress | None,
) -> dict[tuple[str, bool], np.ndarray]:
    """Distances to the nearest code at each place, in both kinds of coordinates."""
    whitening = Whitening(moments)
    points = np.stack([moments.mean, np.zeros(moments.d)])
    plain = NearestNeighbours(points)
    white = NearestNeighbours(whitening(points), m)
    stream(source.blocks(), plain, _Whitened(whitening, white), progress=progress)
    (to_centre, to_origin), (near_centre, near_origin) = white.result()
    gaps = {
        ("centre", False): plain.result()[0][0],
        ("origin", False): plain.result()[0][1],
        ("centre", True): to_centre[:1],
        ("origin", True): to_origin[:1],
    }
    anywhere = np.random.default_rng(seed).choice(moments.n, m, replace=False)
    places = {"near centre": near_centre, "near origin": near_origin, "anywhere": anywhere}
    rows = np.concatenate(list(places.values()))
    chosen = _Gather(rows, moments.d)
    stream(source.blocks(), chosen, progress=progress)
    plain = NearestNeighbours(chosen.codes, own=rows)
    white = NearestNeighbours(whitening(chosen.codes), own=rows)
    stream(source.blocks(), plain, _Whitened(whitening, white), progress=progress)
    for k, place in enumerate(places):
        gaps[place, False] = plain.result()[0][k * m : (k + 1) * m, 0]
        gaps[place, True] = white.result()[0][k * m : (k + 1) * m, 0]
    return gaps


def _own_rows(own: Any, m: int) -> np.ndarray | None:
    if own is None:
        return None
    rows = np.asarray(own)
    if rows.shape != (m,) or rows.dtype.kind not in "iu":
        raise InputError(
            f"own must hold the row of each of the {m} queries among the codes, got {rows.dtype} of "
            f"shape {rows.shape}; pass the integers with which the queries were chosen."
        )
    return rows.astype(np.int64)
