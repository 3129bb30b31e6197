r"""Where the origin lies in the cloud, and how little of the cloud uniform cubes hit.

Vectors drawn about the origin decode to no faces, because the cloud is elsewhere. Four ways of
saying so, each on all codes:

*Border position.* The share of codes that are nearer to the mean, in Mahalanobis distance, than the
origin is. The same in the plane of two components, where a normal law has the share
:math:`1 - e^{-D^2/2}` nearer than a point at distance D.

*Slabs.* Codes with :math:`|z_k| \le b` for all components but two: what a scatter plot of those two
shows of the origin's surroundings. Of a uniform cube :math:`[-B, B]^d` the share
:math:`\min(1, b/B)^{d-2}` lies there.

*Cubes.* Codes with :math:`|z_k| \le b` for all components: the part of the cloud that a uniform
cube can hit at all.

*Hits.* Draws from such a cube that are no farther from the mean than nearly all codes are, say 99 %:
the part of the draws that hits the cloud.

Where the Gaussian of the same mean and covariance stands is read off an equal-size draw from it.
"""

__all__ = [
    "CubeShare",
    "OriginPosition",
    "PlanePositions",
    "RadiusQuantiles",
    "SlabCounts",
    "cube_hits",
    "origin_position",
    "uniform_slab_share",
]

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentshape._checks import (
    BLOCK_ROWS,
    check_codes,
    check_count,
    check_fraction,
    check_positive,
    check_seed,
    row_blocks,
)
from latentshape.errors import InputError
from latentshape.shape.control import GaussianControl
from latentshape.shape.moments import Moments
from latentshape.shape.radius import EuclideanRadii, MahalanobisRadii, best_cube
from latentshape.shape.screening import check_pairs, varying_pairs
from latentshape.shape.streaming import Progress, stream
from latentshape.shape.whitening import Whitening

SLAB_BOUNDS = (1.5, 2.0)
"""The half-widths of the slabs of the experiments."""

CUBE_BOUNDS = (1.0, 1.5, 2.0, 5.0)
"""The half-widths of the cubes of the experiments."""

_DRAWS = 10_000
_QUANTILE_BINS = 16_384
_QUANTILE_REACH = 8.0


class SlabCounts:
    r"""Accumulate the codes with :math:`|z_k| \le b` for all components but a chosen two.

    Args:
        d: Dimension of the codes.
        pairs: The pairs (i, j) that are free, shape (p, 2).
        bounds: The half-widths b.

    Attributes:
        pairs: Shape (p, 2).
        bounds: Shape (b,).
        counts: Codes in each slab, shape (b, p).
        n: Codes seen.

    Example:
        >>> slabs = SlabCounts(4, [(0, 1), (2, 3)], bounds=(1.0,))
        >>> slabs.update(np.array([[9.0, 9, 0, 0], [0, 9, 0, 0], [0, 9, 9, 0]]))
        >>> slabs.counts.tolist()
        [[2, 0]]
    """

    def __init__(self, d: int, pairs: Any, bounds: Iterable[float] = SLAB_BOUNDS) -> None:
        self.pairs = check_pairs(pairs, check_count(d, name="d", minimum=2))
        self.bounds = _bounds(bounds)
        self.counts = np.zeros((len(self.bounds), len(self.pairs)), dtype=np.int64)
        self.n = 0

    def update(self, block: np.ndarray) -> None:
        """Count a block of codes, shape (rows, d)."""
        size = np.abs(block)
        i, j = self.pairs.T
        for bound, counts in zip(self.bounds, self.counts, strict=True):
            # `<=` rather than its opposite, so that a NaN is outside.
            outside = ~(size <= bound)
            violations = np.count_nonzero(outside, axis=1)
            few = violations <= 2
            outside, violations = outside[few].astype(np.int8), violations[few, None]
            for part in _slices(len(counts)):
                free = outside[:, i[part]] + outside[:, j[part]]
                counts[part] += np.count_nonzero(violations == free, axis=0)
        self.n += len(block)

    def shares(self) -> np.ndarray:
        """Share of the codes in each slab, shape (b, p)."""
        return self.counts / self.n


def uniform_slab_share(d: int, bound: float, cube: float) -> float:
    r"""Share of a uniform cube [-cube, cube]^d with |x_k| <= bound for all k but two.

    Example:
        >>> uniform_slab_share(4, 1.0, 2.0)
        0.25
    """
    d = check_count(d, name="d", minimum=2)
    ratio = check_positive(bound, name="bound") / check_positive(cube, name="cube")
    return min(1.0, ratio) ** (d - 2)


class CubeShare:
    r"""Accumulate the codes inside cubes, :math:`\max_k |z_k| \le b`.

    Args:
        bounds: The half-widths b.

    Attributes:
        bounds: Shape (b,).
        counts: Codes inside each cube, shape (b,).
        least: The smallest cube that holds any code.
        n: Codes seen.
    """

    def __init__(self, bounds: Iterable[float] = CUBE_BOUNDS) -> None:
        self.bounds = _bounds(bounds)
        self.counts = np.zeros(len(self.bounds), dtype=np.int64)
        self.least = math.inf
        self.n = 0

    def update(self, block: np.ndarray) -> None:
        """Count a block of codes, shape (rows, d)."""
        # Two passes that copy nothing, where |block| would copy all.
        largest = np.maximum(block.max(axis=1), -block.min(axis=1))
        self.counts += np.count_nonzero(largest[:, None] <= self.bounds, axis=0)
        self.least = min(self.least, float(largest.min()))
        self.n += len(block)

    def shares(self) -> np.ndarray:
        """Share of the codes inside each cube, shape (b,)."""
        return self.counts / self.n


class PlanePositions:
    r"""Accumulate how many codes lie beyond a point, in the planes of pairs of components.

    Args:
        moments: Moments of the codes.
        pairs: Pairs (i, j) of components, shape (p, 2).
        point: The point, shape (d,); the origin if None.

    Attributes:
        pairs: Shape (p, 2).
        distances: Mahalanobis distance of the point from the mean in each plane, shape (p,).
        expected: Share of a bivariate normal law beyond, :math:`e^{-D^2/2}`, shape (p,).
        n: Codes seen.

    Raises:
        InputError: A pair with no area: a constant component, or multiples of one another.
    """

    def __init__(self, moments: Moments, pairs: Any, point: Any = None) -> None:
        self.pairs, self._r = varying_pairs(pairs, moments)
        point = np.zeros(moments.d) if point is None else np.asarray(point, dtype=np.float64)
        if point.shape != (moments.d,) or not np.isfinite(point).all():
            raise InputError(
                f"point must be finite and of shape ({moments.d},), got shape {point.shape}; pass "
                "one code."
            )
        self._mean = moments.mean
        self._scale = 1.0 / np.where(moments.constant, 1.0, moments.std)
        self._inverse = 1.0 / np.sqrt(1.0 - self._r**2)
        every = slice(None)
        self._squared = self._radii(point[None], every)[0]
        self.distances = np.sqrt(self._squared)
        self.expected = np.exp(-self._squared / 2.0)
        self._beyond = np.zeros(len(self.pairs), dtype=np.int64)
        self.n = 0

    def update(self, block: np.ndarray) -> None:
        """Count a block of codes, shape (rows, d)."""
        for part in _slices(len(self.pairs)):
            squared = self._radii(block, part)
            self._beyond[part] += np.count_nonzero(squared > self._squared[part], axis=0)
        self.n += len(block)

    @property
    def beyond(self) -> np.ndarray:
        """Share of the codes farther from the mean than the point, in each plane, shape (p,)."""
        return self._beyond / self.n

    def _radii(self, block: np.ndarray, part: slice) -> np.ndarray:
        i, j = self.pairs[part].T
        first = (block[:, i] - self._mean[i]) * self._scale[i]
        second = (block[:, j] - self._mean[j]) * self._scale[j]
        second -= self._r[part] * first
        second *= self._inverse[part]
        return np.square(first) + np.square(second)


class RadiusQuantiles:
    """Accumulate Mahalanobis radii so that any quantile can be read, in memory of one size.

    Counted in 16,384 intervals up to 8 sqrt(d) and interpolated between: exact to 5e-4 sqrt(d).
    Beyond lies nothing that a quantile below 1 asks for (a share of 1/64 at most).

    Args:
        moments: Moments of the codes, of an invertible covariance.

    Attributes:
        largest: The largest radius.
        origin: Mahalanobis radius of the origin.
        nearer: Codes nearer to the mean than the origin is.
        n: Codes seen.
    """

    def __init__(self, moments: Moments) -> None:
        self._radii = MahalanobisRadii(moments)
        self.origin = math.sqrt(self._radii.origin)
        self.nearer = 0
        self._width = _QUANTILE_REACH * math.sqrt(moments.d) / _QUANTILE_BINS
        self._counts = np.zeros(_QUANTILE_BINS + 1, dtype=np.int64)
        self.largest = 0.0
        self.n = 0

    def update(self, block: np.ndarray) -> None:
        """Add a block of codes, shape (rows, d)."""
        radii = np.sqrt(self._radii.of(block))
        place = np.minimum(radii / self._width, _QUANTILE_BINS).astype(np.intp)
        self._counts += np.bincount(place, minlength=len(self._counts))
        self.nearer += int(np.count_nonzero(radii < self.origin))
        self.largest = max(self.largest, float(radii.max()))
        self.n += len(radii)

    def quantile(self, share: float) -> float:
        """The radius below which the given share of the codes lies."""
        share = check_fraction(share, name="share")
        below = np.concatenate([[0], np.cumsum(self._counts)]) / self.n
        edges = self._width * np.arange(len(below))
        edges[-1] = max(self.largest, edges[-2])
        return float(min(np.interp(share, below, edges), self.largest))


def cube_hits(
    moments: Moments, cube: float, radius: float, n: int = _DRAWS, *, seed: int = 0
) -> float:
    """Share of draws from the uniform cube [-cube, cube]^d within a Mahalanobis radius.

    Args:
        moments: Moments of the codes, of an invertible covariance.
        cube: Half-width of the cube.
        radius: The Mahalanobis radius, such as the 99 % quantile of the codes'.
        n: Number of draws.
        seed: Which draws.

    Example:
        >>> round(cube_hits(Moments(9, np.zeros(2), np.eye(2)), 1.0, 1.0), 2), round(np.pi / 4, 2)
        (0.79, 0.79)
    """
    whitening = Whitening(moments)
    cube, radius = check_positive(cube, name="cube"), check_positive(radius, name="radius")
    left = n = check_count(n)
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(check_seed(seed))))
    inside = 0
    while left:
        rows = min(left, BLOCK_ROWS)
        draws = rng.random((rows, moments.d), dtype=np.float32)
        draws *= 2 * cube
        draws -= cube
        y = whitening(draws)
        inside += int(np.count_nonzero(np.einsum("ij,ij->i", y, y) <= radius**2))
        left -= rows
    return inside / n


@dataclass(frozen=True, eq=False)
class OriginPosition:
    """Where the origin lies in a cloud; each number of the codes beside the control's.

    Attributes:
        n: Number of codes (and of the control's draws).
        distance: Mahalanobis distance of the origin from the mean.
        nearer, control_nearer: Share of the codes, and of the control, nearer to the mean.
        pairs: The planes looked at, shape (p, 2).
        plane_distances: The origin's Mahalanobis distance in each plane, shape (p,).
        plane_beyond, control_plane_beyond: Shares farther from the mean than it, each (p,).
        plane_expected: The same share of a bivariate normal law, shape (p,).
        slab_bounds: Half-widths b of the slabs, shape (b,).
        slab_counts, control_slab_counts: Numbers of n in each slab, each (b, p).
        slab_uniform: n times the share of the best cube in each slab, shape (b,).
        best_cube: The cube whose mean radius is the codes'.
        cube_bounds: Half-widths of the cubes, the best one last, shape (c,).
        cube_shares, control_cube_shares: Shares of the codes that the cubes hold, each (c,).
        radius_limit: The 99 % quantile of the codes' Mahalanobis radii.
        cube_hits: Share of draws from each cube within that radius, shape (c,).
    """

    n: int
    distance: float
    nearer: float
    control_nearer: float
    pairs: np.ndarray
    plane_distances: np.ndarray
    plane_beyond: np.ndarray
    control_plane_beyond: np.ndarray
    plane_expected: np.ndarray
    slab_bounds: np.ndarray
    slab_counts: np.ndarray
    control_slab_counts: np.ndarray
    slab_uniform: np.ndarray
    best_cube: float
    cube_bounds: np.ndarray
    cube_shares: np.ndarray
    control_cube_shares: np.ndarray
    radius_limit: float
    cube_hits: np.ndarray


def origin_position(
    z: Any,
    moments: Moments | None = None,
    *,
    pairs: Any,
    slab_bounds: Iterable[float] = SLAB_BOUNDS,
    cube_bounds: Iterable[float] = CUBE_BOUNDS,
    seed: int = 0,
    progress: Progress | None = None,
) -> OriginPosition:
    """Place the origin in the cloud of codes (n, d), d >= 2, of an invertible covariance.

    Two reads of the codes (three without `moments`) and one of an equal-size control.

    Args:
        z: Codes, shape (n, d); an array or memory map.
        moments: Their moments, if they are known already.
        pairs: Pairs of components whose planes are looked at, shape (p, 2).
        slab_bounds: Half-widths of the slabs.
        cube_bounds: Half-widths of the cubes; the best cube is added to them.
        seed: Which control, and which draws from the cubes.
        progress: Called with the number of rows after each block.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((5000, 3)) + [3.0, 0.0, 0.0]
        >>> found = origin_position(z, pairs=[(0, 1)])
        >>> round(found.distance, 1), round(found.nearer, 2), found.plane_beyond.round(2).tolist()
        (3.0, 0.97, [0.01])
    """
    seed = check_seed(seed)
    z = check_codes(z, latent_dim=moments.d if moments else None, finite=False)
    moments = moments or Moments.of(z, progress=progress)
    lengths = EuclideanRadii()
    stream(row_blocks(z), lengths, progress=progress)
    best = best_cube(moments.d, lengths.radii.mean)
    cubes = (*_bounds(cube_bounds).tolist(), best)
    bounds = _bounds(slab_bounds)
    cloud = _Readings(moments, pairs, bounds, cubes)
    stream(row_blocks(z), *cloud.all, progress=progress)
    drawn = _Readings(moments, pairs, bounds, cubes)
    stream(GaussianControl(moments, moments.n, seed=seed).blocks(), *drawn.all, progress=progress)
    limit = cloud.radii.quantile(0.99)
    n, d = moments.n, moments.d
    return OriginPosition(
        n=n,
        distance=cloud.radii.origin,
        nearer=cloud.radii.nearer / n,
        control_nearer=drawn.radii.nearer / n,
        pairs=cloud.planes.pairs,
        plane_distances=cloud.planes.distances,
        plane_beyond=cloud.planes.beyond,
        control_plane_beyond=drawn.planes.beyond,
        plane_expected=cloud.planes.expected,
        slab_bounds=bounds,
        slab_counts=cloud.slabs.counts,
        control_slab_counts=drawn.slabs.counts,
        slab_uniform=n * np.array([uniform_slab_share(d, b, best) for b in bounds]),
        best_cube=best,
        cube_bounds=cloud.cubes.bounds,
        cube_shares=cloud.cubes.shares(),
        control_cube_shares=drawn.cubes.shares(),
        radius_limit=limit,
        cube_hits=np.array([cube_hits(moments, b, limit, seed=seed) for b in cubes]),
    )


class _Readings:
    """What one read of the codes, or of the control, tells of the origin.

    Both are placed by the moments of the codes: the question is where the same point lies.
    """

    def __init__(
        self, moments: Moments, pairs: Any, bounds: np.ndarray, cubes: tuple[float, ...]
    ) -> None:
        self.radii = RadiusQuantiles(moments)
        self.planes = PlanePositions(moments, pairs)
        self.slabs = SlabCounts(moments.d, pairs, bounds)
        self.cubes = CubeShare(cubes)
        self.all = (self.radii, self.planes, self.slabs, self.cubes)


def _slices(n: int, size: int = 256) -> Iterator[slice]:
    """Parts of a list of pairs, so that 32,640 of them need no table of all pairs by all rows."""
    for start in range(0, n, size):
        yield slice(start, start + size)


def _bounds(bounds: Iterable[float]) -> np.ndarray:
    return np.array([check_positive(b, name="each bound") for b in bounds])
