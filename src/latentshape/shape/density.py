r"""How densely codes lie in a plane, and how far its contours are from ellipses.

The estimate is the kernel density of `scipy.stats.gaussian_kde`: every code spread by a normal
kernel that has the covariance of the plane itself, S, scaled by Scott's rule for two dimensions,

.. math:: \hat f(x) = \frac 1n \sum_i N(x;\, x_i,\, h^2 S), \qquad h = n^{-1/6}.

Summed code by code that takes n evaluations at each place. Instead each code is shared out among the
four nodes of its grid cell (*linear binning*), and the table of counts H is convolved by FFT.
Linear binning is itself a convolution with a triangle, whose transform is :math:`\mathrm{sinc}^2`,
and that is divided out again (k angular frequency, ν cycles per cell):

.. math::
    \hat f = \mathcal F^{-1} \left[ \mathcal F[H]\;
    \frac{\exp(-\tfrac{h^2}{2} k^T S k)}{\mathrm{sinc}^2 \nu_x\, \mathrm{sinc}^2 \nu_y} \right]
    \Big/ (n\, \Delta x\, \Delta y).

*Highest-density contours.* The kσ contour is the level above which the mass :math:`1 - e^{-k^2/2}`
lies, the mass of the kσ ellipse of a normal law. In coordinates that turn the ellipse into a circle
its radius in direction φ, over k, minus 1, is the deviation from the ellipse. Smoothing widens
every contour, of a normal law by the factor :math:`\sqrt{1 + h^2}` (0.9 % at n = 170,000), and
chance roughens it; so the same number of an equal-size Gaussian draw belongs beside it.

References:
    Scott, 1992, Multivariate Density Estimation, https://doi.org/10.1002/9780470316849;
    Wand, 1994, Fast computation of multivariate kernel estimators,
    https://doi.org/10.1080/10618600.1994.10474656; Hyndman, 1996, Computing and graphing highest
    density regions, https://doi.org/10.1080/00031305.1996.10474359
"""

__all__ = ["ContourDeviation", "Density2D", "PlaneDensity", "density"]

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import fft, linalg, ndimage

from latentshape._checks import check_codes, check_count, check_positive
from latentshape.errors import InputError
from latentshape.shape.compiled import compiled_loops
from latentshape.shape.ellipses import SIGMAS, expected_coverage
from latentshape.shape.moments import Moments, MomentSums
from latentshape.shape.screening import check_pairs
from latentshape.shape.wide import AnyMoments

_SPAN = 5.0
_MAX_BINS = 2048
_ROWS_AT_ONCE = 32_768
_KERNEL_REACH = 5.0
# Fewer codes NumPy has binned before Numba is ready.
_COMPILE_FROM = 2**16
# Linear binning is off by about 0.06 c^-2 n^-1/3 of the peak, c the kernel's shorter half-axis in
# cells. That is 2e-4 where a cell measures 0.058 of the plane's own shorter axis, whatever n.
_CELL_PER_SHORT_AXIS = 0.058
_DIRECTIONS = 360
_STEPS_PER_SIGMA = 40


class ContourDeviation(NamedTuple):
    """How far one highest-density contour is from its ellipse, over all directions.

    Attributes:
        sigma: The level k.
        mean: Mean of radius / k - 1.
        rms: Root mean square of radius / k - 1.
        smoothing: sqrt(1 + h²) - 1, the mean that smoothing alone gives a normal law.
    """

    sigma: float
    mean: float
    rms: float
    smoothing: float


@dataclass(frozen=True, eq=False)
class Density2D:
    """A density on the nodes of a grid.

    Attributes:
        x, y: Places of the nodes along both axes, each (bins,).
        values: Density, shape (bins, bins), first index along x, as `numpy.histogram2d` has it;
            Matplotlib's `contour(x, y, values.T)` draws it.
        n: Number of codes, those beyond the grid included.
        dropped: Codes beyond the grid. Their mass is missing in `values`.
        mean, cov: Moments of the plane, (2,) and (2, 2).
        bandwidth: h, the kernel's size in units of the plane's standard deviations.
    """

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    n: int
    dropped: int
    mean: np.ndarray
    cov: np.ndarray
    bandwidth: float

    def levels(self, sigmas: tuple[float, ...] = SIGMAS) -> np.ndarray:
        """Densities above which the mass of the kσ ellipses lies, shape (len(sigmas),).

        Falling with k. NaN where the grid does not hold that much mass (see `dropped`).
        """
        falling, mass = self._mass
        wanted = np.asarray(expected_coverage(np.asarray(sigmas, dtype=np.float64)))
        return np.where(wanted <= mass[-1], np.interp(wanted, mass, falling), np.nan)

    def contour_radii(self, sigma: float) -> np.ndarray:
        r"""Mahalanobis radius of the highest-density contour in 360 evenly spaced directions.

        Directions are angles from 0 (along x) in the plane that :math:`x = m + L u`,
        :math:`L L^T = S`, makes round.

        Where a ray meets the contour more than once, the radius of equal area counts,
        :math:`\rho^2 = \int 2 r\, 1[f(r) \ge c]\, dr`, so that a hole or an island far out changes
        the radius by as much as it holds.

        Args:
            sigma: The level k.

        Returns:
            Shape (360,); NaN where the grid does not hold that much mass.
        """
        level = self.levels((check_positive(sigma, name="sigma"),))[0]
        if not np.isfinite(level):
            return np.full(_DIRECTIONS, np.nan)
        r, along_rays = self._rays
        return _equal_area_radius(r, along_rays - level)

    def deviation(self, sigmas: tuple[float, ...] = SIGMAS) -> list[ContourDeviation]:
        """Return the deviation of the contours from ellipses, one record per level."""
        smoothing = float(np.sqrt(1.0 + self.bandwidth**2) - 1.0)
        found = []
        for sigma in sigmas:
            off = self.contour_radii(sigma) / sigma - 1.0
            rms = float(np.sqrt(np.square(off).mean()))
            found.append(ContourDeviation(float(sigma), float(off.mean()), rms, smoothing))
        return found

    @cached_property
    def _mass(self) -> tuple[np.ndarray, np.ndarray]:
        falling = np.sort(self.values, axis=None)[::-1]
        cell = (self.x[1] - self.x[0]) * (self.y[1] - self.y[0])
        return falling, np.cumsum(falling) * cell

    @cached_property
    def _rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps r along rays from the centre, and the density there, (directions, steps)."""
        std = np.sqrt(np.diag(self.cov))
        reach = (self.x[-1] - self.mean[0]) / std[0]  # the largest ellipse touches the grid's sides
        angle = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
        ray = linalg.cholesky(self.cov, lower=True) @ np.stack([np.cos(angle), np.sin(angle)])
        r = np.linspace(0.0, reach, int(np.ceil(reach * _STEPS_PER_SIGMA)) + 1)
        corner = np.array([self.x[0], self.y[0]])
        step = np.array([self.x[1] - self.x[0], self.y[1] - self.y[0]])
        places = (self.mean - corner)[:, None, None] + ray[:, :, None] * r
        places /= step[:, None, None]
        return r, ndimage.map_coordinates(self.values, places, order=3, mode="nearest")


class PlaneDensity:
    """Accumulate the density of codes in one plane; `result()` gives the `Density2D`.

    The plane is a pair of components, or any two directions: principal axes, for instance, with
    `plane=pca.axes[[i, j]].T`.

    Args:
        moments: Moments of the codes, of which the grid and the kernel are made.
        plane: A pair (i, j) of components, or a matrix (d, 2) that projects codes onto the plane.
        bins: Nodes along each side, at least 16; doubled, up to 2,048, until a strongly correlated
            pair is as well resolved across its ellipse (256 nodes serve up to |r| = 0.53).
        span: The grid covers the mean ± `span` standard deviations.
        compiled: Bin by a compiled loop: yes, no, or (None) where Numba is installed and it is worth
            the while.

    Raises:
        InputError: No such pair, a plane in which the codes do not vary in two directions, or a
            pair so nearly collinear that 2,048 nodes do not resolve its kernel.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((5000, 3))
        >>> found = PlaneDensity(Moments.of(z), (0, 2))
        >>> found.update(z)
        >>> grid = found.result()
        >>> cell = (grid.x[1] - grid.x[0]) * (grid.y[1] - grid.y[0])
        >>> grid.values.shape, round(float(grid.values.sum() * cell), 4)
        ((256, 256), 1.0)
    """

    def __init__(
        self,
        moments: Moments,
        plane: Any,
        *,
        bins: int = 256,
        span: float = _SPAN,
        compiled: bool | None = None,
    ) -> None:
        bins = check_count(bins, name="bins", minimum=16, maximum=_MAX_BINS)
        self.span = check_positive(span, name="span")
        self._pair: list[int] | None = None
        if np.shape(plane) == (2,):
            self._pair = check_pairs([plane], moments.d)[0].tolist()
            self.mean = moments.mean[self._pair]
            self.cov = moments.cov[np.ix_(self._pair, self._pair)]
        else:
            self._matrix = _projection(plane, moments.d)
            self.mean = moments.mean @ self._matrix
            self.cov = self._matrix.T @ moments.cov @ self._matrix
        self.bins = _enough_bins(bins, self.span, self.cov, moments.n)
        std = np.sqrt(np.diag(self.cov))
        self._corner = self.mean - self.span * std
        self._step = 2 * self.span * std / (self.bins - 1)
        self._table = np.zeros((self.bins, self.bins))
        self._waiting: list[np.ndarray] = []
        self._n_waiting = 0
        self._loops = compiled_loops(compiled, worth=moments.n >= _COMPILE_FROM)
        self.n = 0
        self.dropped = 0

    def update(self, block: np.ndarray) -> None:
        """Add a block of codes, shape (rows, d)."""
        if self._loops is not None and block.dtype in (np.float32, np.float64):
            self._bin_at_once(np.asarray(block))
            return
        if self._pair is not None:
            places = _columns(block, self._pair)
        else:
            places = np.ascontiguousarray((block @ self._matrix).T)
        places -= self._corner[:, None]
        places /= self._step[:, None]
        if not np.isfinite(places.sum()):
            check_codes(block, min_samples=1)
        self.n += len(block)
        self._waiting.append(places)
        self._n_waiting += len(block)
        # A table is large against a block of rows: several blocks are binned together.
        if self._n_waiting >= _ROWS_AT_ONCE:
            self._bin()

    def result(self) -> Density2D:
        """Return the density of all codes seen so far (at least one)."""
        self._bin()
        h = self.n ** (-1.0 / 6.0)
        pad = int(np.ceil(_KERNEL_REACH * h * (self.bins - 1) / (2 * self.span)))
        size = fft.next_fast_len(self.bins + pad, real=True)  # what leaves by one side stays out
        dx, dy = self._step
        kx = (2 * np.pi * np.fft.fftfreq(size, dx))[:, None]
        ky = 2 * np.pi * np.fft.rfftfreq(size, dy)
        (sxx, sxy), (_, syy) = h**2 * self.cov
        kernel = np.exp(-0.5 * (sxx * kx**2 + 2 * sxy * kx * ky + syy * ky**2))
        kernel /= np.sinc(np.fft.fftfreq(size))[:, None] ** 2 * np.sinc(np.fft.rfftfreq(size)) ** 2
        kernel *= 1.0 / (self.n * dx * dy)
        spectrum = fft.rfft2(self._table, s=(size, size))
        spectrum *= kernel
        values = fft.irfft2(spectrum, s=(size, size))[: self.bins, : self.bins]
        x, y = self._corner[:, None] + self._step[:, None] * np.arange(self.bins)
        return Density2D(x, y, values.copy(), self.n, self.dropped, self.mean, self.cov, h)

    def _bin_at_once(self, block: np.ndarray) -> None:
        flat, (i, j) = block, self._pair or (0, 1)
        if self._pair is None:
            flat = block @ self._matrix
        dropped, finite = self._loops.bin_linearly(
            flat, i, j, self._corner, self._step, self._table
        )
        if not finite:
            check_codes(block, min_samples=1)
        self.n += len(block)
        self.dropped += dropped

    def _bin(self) -> None:
        if not self._waiting:
            return
        u, v = np.concatenate(self._waiting, axis=1)
        self._waiting, self._n_waiting = [], 0
        side = self.bins - 1
        inside = (u >= 0) & (u < side) & (v >= 0) & (v < side)
        if not inside.all():
            self.dropped += len(u) - int(np.count_nonzero(inside))
            u, v = u[inside], v[inside]
        a, b = u.astype(np.intp), v.astype(np.intp)
        f, g = u - a, v - b
        a *= self.bins
        a += b
        # (1-f)(1-g), f(1-g), (1-f)g and fg, summed over cells, are all made of four sums.
        shape = (self.bins, self.bins)
        count, sum_f, sum_g, sum_fg = (
            np.bincount(a, weights, minlength=self.bins**2).reshape(shape)
            for weights in (None, f, g, f * g)
        )
        sum_f -= sum_fg
        self._table[:, 1:] += (sum_g - sum_fg)[:, :-1]
        self._table[1:, 1:] += sum_fg[:-1, :-1]
        self._table[1:] += sum_f[:-1]
        self._table += count
        self._table -= sum_f
        self._table -= sum_g


def density(
    z: Any, i: int, j: int, bins: int = 256, moments: AnyMoments | None = None
) -> Density2D:
    """Estimate the density of codes (n, d) in the plane of components i and j.

    Agrees with `scipy.stats.gaussian_kde(z[:, [i, j]].T)` to 2e-4 of the peak, on a grid of `bins`
    nodes over the mean ± 5 standard deviations along each axis.

    Args:
        z: Codes, shape (n, d), n >= 2; an array or memory map.
        i: A component.
        j: Another one.
        bins: Nodes along each side, 16 to 2,048.
        moments: Moments of z, if they are known already.

    Raises:
        InputError: See `PlaneDensity`; or numbers that are not finite.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((20_000, 2))
        >>> [round(row.mean, 2) for row in density(z, 0, 1).deviation((1.0, 2.0))]
        [0.02, 0.02]
    """
    z = check_codes(z, latent_dim=moments.d if moments else None, finite=False)
    pair = check_pairs([(i, j)], z.shape[1])[0].tolist()
    own = _column_moments(z, pair) if moments is None else moments.part(pair)
    accumulator = PlaneDensity(own, (0, 1), bins=bins)
    # The two columns, as a view.
    i, j = pair
    columns = z[:, i :: j - i][:, :2]
    for start in range(0, len(z), _ROWS_AT_ONCE):
        accumulator.update(columns[start : start + _ROWS_AT_ONCE])
    return accumulator.result()


def _equal_area_radius(r: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Root of the integral of 2 r where `above` (rays, steps), linear between steps, is >= 0."""
    left, right = above[:, :-1], above[:, 1:]
    crossing = (left >= 0) != (right >= 0)
    share = np.divide(left, left - right, out=np.zeros_like(left), where=crossing)
    inner, outer = np.square(r[:-1]), np.square(r[1:])
    at = np.square(r[:-1] + share * (r[1:] - r[:-1]))
    begin = np.where(left >= 0, inner, at)
    end = np.where(right >= 0, outer, at)
    part = np.where(crossing | (left >= 0), end - begin, 0.0)
    return np.sqrt(part.sum(axis=1))


def _columns(block: np.ndarray, pair: list[int]) -> np.ndarray:
    """Two columns as rows of float64: they are worked on one after the other."""
    columns = np.empty((2, len(block)))
    columns[0], columns[1] = block[:, pair[0]], block[:, pair[1]]
    return columns


def _column_moments(z: np.ndarray, pair: list[int]) -> Moments:
    step = max(1, len(z) // 2048)
    with np.errstate(invalid="ignore", over="ignore"):
        sums = MomentSums(_columns(z[::step][:2048], pair).mean(axis=1), exact=True)
        for start in range(0, len(z), _ROWS_AT_ONCE):
            sums.update(_columns(z[start : start + _ROWS_AT_ONCE], pair).T)
        moments = sums.result()
    if not np.isfinite(moments.cov).all():
        check_codes(z)
        raise InputError(
            f"components {pair[0]} and {pair[1]} must be small enough to square, got values up to "
            f"{np.abs(moments.mean).max():g}; divide the codes by a constant."
        )
    return moments


def _projection(plane: Any, d: int) -> np.ndarray:
    matrix = np.asarray(plane, dtype=np.float64)
    if matrix.shape != (d, 2) or not np.isfinite(matrix).all():
        raise InputError(
            f"a plane must be a pair of components or a finite matrix of shape ({d}, 2), got shape "
            f"{matrix.shape}; pass (i, j), or two directions as columns."
        )
    return matrix


def _enough_bins(bins: int, span: float, cov: np.ndarray, n: int) -> int:
    std = np.sqrt(np.diag(cov))
    if not (std > 0).all():
        raise InputError(
            "a density needs a plane in which codes vary, got a constant component; choose another."
        )
    r = abs(cov[0, 1]) / (std[0] * std[1])
    wanted = 1 + 2 * span / (_CELL_PER_SHORT_AXIS * np.sqrt(max(1.0 - r, 1e-12)))
    while bins < min(wanted, _MAX_BINS):
        bins = min(2 * bins, _MAX_BINS)
    kernel = n ** (-1.0 / 6.0) * np.sqrt(max(1.0 - r, 0.0))
    if kernel * (bins - 1) < 2 * span:
        raise InputError(
            f"a density needs a plane in which codes vary in two directions, got n = {n} and "
            f"components correlated by {r:.6f}, for which a grid of {bins} nodes a side cannot "
            "resolve the kernel; pass two principal axes as `plane`."
        )
    return bins
