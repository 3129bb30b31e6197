r"""Each component on its own: its number distribution, width, skewness and Gaussian fit.

The *number distribution* of a component is the histogram of its values over intervals of equal
width. The experiments used 0.25; this is the width here too wherever it resolves the component:
it is doubled while below :math:`2 \sigma n^{-1/3}` (the counts would be mostly noise) and halved
while above :math:`\sigma / 2` (the shape would be lost). Intervals begin at multiples of their
width and span the mean ± 8 standard deviations; numbers beyond are not counted.

The *half-width* is half the distance between the two outermost places where the distribution
reaches half its maximum, interpolated between interval centres: 1.1774 σ for a Gaussian. The
*fit* is :math:`A \exp(-(x - m)^2 / 2 s^2)` by least squares, for all components at once.

A component is *dominant* when it sets itself apart from the others either by its mean or by its
half-width: |mean| above the median of all |mean| by 3.5 robust standard deviations (1.4826 times
the median absolute deviation) and above half the median half-width; or half-width above its median
by 3.5 robust standard deviations and by a factor 1.5.
"""

__all__ = [
    "DOMINANT_RULE",
    "GaussianFits",
    "NumberDistributions",
    "dominant",
    "fit_gaussians",
    "number_distributions",
]

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentshape._checks import check_codes, row_blocks
from latentshape.shape.compiled import compiled_loops
from latentshape.shape.moments import Moments
from latentshape.shape.streaming import stream
from latentshape.shape.wide import WideMoments

DOMINANT_RULE = (
    "|mean| above median + 3.5 robust standard deviations of all |mean| and above half the median "
    "half-width; or half-width above median + 3.5 robust standard deviations and above 1.5 times "
    "the median half-width"
)

_WIDTH = 0.25
_SPAN = 8.0
_STEPS = 200
# Below so many numbers NumPy has counted them before Numba is ready.
_COMPILE_FROM = 2**24


class NumberDistributions:
    """Accumulate the histograms of all components in one read.

    Attributes:
        widths: Interval width of each component, shape (d,): 0.25 times a power of two.
        starts: Lower edge of the first interval of each component, shape (d,).
        counts: Numbers in each interval, shape (d, bins), integers.

    Args:
        moments: Moments of the codes.
        compiled: Count by a compiled loop: yes, no, or (None) where Numba is installed and it is worth
            the while. The counts are the same.
    """

    def __init__(self, moments: Moments | WideMoments, *, compiled: bool | None = None) -> None:
        std = np.where(moments.constant, 0.0, moments.std)
        self.widths = _interval_widths(std, moments.n)
        self.starts = np.floor((moments.mean - _SPAN * std) / self.widths) * self.widths
        self.bins = int(np.ceil(2 * _SPAN * (std / self.widths).max())) + 2
        # For each component, with a cell for what lies below and one for above.
        self._counts = np.zeros((len(std), self.bins + 2), dtype=np.int64)
        self._loops = compiled_loops(compiled, worth=moments.n * moments.d >= _COMPILE_FROM)

    def update(self, block: np.ndarray) -> None:
        """Count a block of codes, shape (rows, d)."""
        starts, scales = self.starts.astype(block.dtype), (1.0 / self.widths).astype(block.dtype)
        count = _count if self._loops is None else self._loops.count_intervals
        if count(block, starts, scales, self.bins, self._counts):
            check_codes(block, min_samples=1)

    @property
    def counts(self) -> np.ndarray:
        """Numbers in each interval, shape (d, bins)."""
        return self._counts[:, 1:-1]

    @property
    def centres(self) -> np.ndarray:
        """Interval centres, shape (d, bins)."""
        return self.starts[:, None] + self.widths[:, None] * (np.arange(self.bins) + 0.5)

    def edges(self, j: int) -> np.ndarray:
        """Interval edges of component j, shape (bins + 1,), as `numpy.histogram` returns them."""
        return self.starts[j] + self.widths[j] * np.arange(self.bins + 1)

    def half_widths(self) -> np.ndarray:
        """Half-width at half maximum of each component, shape (d,); 0 where it is constant."""
        counts = self.counts.astype(np.float64)
        half = counts.max(axis=1) / 2
        above = counts >= half[:, None]
        first = above.argmax(axis=1)
        last = self.bins - 1 - above[:, ::-1].argmax(axis=1)
        left = first - _crossing(counts, first, -1, half)
        right = last + _crossing(counts, last, +1, half)
        width = (right - left) * self.widths / 2
        return np.where((counts > 0).sum(axis=1) > 1, width, 0.0)


@dataclass(frozen=True, eq=False)
class GaussianFits:
    """Least-squares Gaussians through number distributions.

    Attributes:
        amplitude, mean, std: Parameters, each (d,).
        r2: Share of the counts' variance over the intervals that the curve explains, (d,); NaN
            where there is nothing to fit.
    """

    amplitude: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    r2: np.ndarray

    def curve(self, j: int, x: np.ndarray) -> np.ndarray:
        """The fitted curve of component j at the places `x`, in counts per interval."""
        return self.amplitude[j] * np.exp(-0.5 * ((x - self.mean[j]) / self.std[j]) ** 2)


def number_distributions(
    z: Any, moments: Moments | WideMoments | None = None
) -> NumberDistributions:
    """Count the number distribution of every component of codes (n, d).

    Example:
        >>> z = np.array([[0.0], [1.0], [1.0], [2.0]])
        >>> d = number_distributions(z)
        >>> int(d.counts.sum()), d.widths.tolist(), d.edges(0)[:2].tolist()
        (4, [0.25], [-5.75, -5.5])
    """
    z = check_codes(z, finite=False)
    distributions = NumberDistributions(moments or Moments.of(z))
    stream(row_blocks(z), distributions)
    return distributions


def fit_gaussians(
    distributions: NumberDistributions, moments: Moments | WideMoments
) -> GaussianFits:
    """Fit all distributions at once by batched Levenberg-Marquardt.

    Starts at (highest count, mean, standard deviation); damping 1e-3, times 0.2 after a step that
    helps and times 5 after one that does not; ends at a relative change of 1e-12.
    """
    counts = distributions.counts.astype(np.float64)
    std = np.where(moments.constant, 1.0, moments.std)
    # In units of each component's own standard deviation, so that one tolerance serves all.
    x = (distributions.centres - moments.mean[:, None]) / std[:, None]
    top = counts.max(axis=1)
    y = counts / np.maximum(top, 1.0)[:, None]
    total = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    # A spike in a single interval has no width to fit.
    defined = ~moments.constant & (total > 0)
    p = np.tile([1.0, 0.0, 1.0], (len(x), 1))
    p[defined] = _levenberg_marquardt(x[defined], y[defined])
    a, m, s = p[:, 0], p[:, 1], np.abs(p[:, 2])
    residual = ((_gaussian(x, a, m, s) - y) ** 2).sum(axis=1)
    r2 = np.where(defined, 1.0 - residual / np.where(defined, total, 1.0), np.nan)
    return GaussianFits(a * top, moments.mean + std * m, std * s, r2)


def dominant(mean: np.ndarray, half_width: np.ndarray) -> np.ndarray:
    """Return which components set themselves apart (the rule above), shape (d,), bool.

    Example:
        >>> mean, half_width = np.zeros(8), np.ones(8)
        >>> mean[2], half_width[5] = -2.0, 4.0
        >>> np.flatnonzero(dominant(mean, half_width)).tolist()
        [2, 5]
    """
    typical = np.median(half_width)
    far = np.abs(mean) > np.maximum(_outlier_limit(np.abs(mean)), 0.5 * typical)
    wide = half_width > np.maximum(_outlier_limit(half_width), 1.5 * typical)
    return far | wide


def _count(
    block: np.ndarray, starts: np.ndarray, scales: np.ndarray, bins: int, counts: np.ndarray
) -> int:
    """What `loops.count_intervals` does."""
    place = block - starts
    place *= scales
    nans = int(np.isnan(place).sum())
    if nans == 0:
        np.floor(place, out=place)
        np.clip(place, -1, bins, out=place)
        flat = place.astype(np.intp)
        flat += np.arange(len(counts)) * (bins + 2) + 1
        counts += np.bincount(flat.ravel(), minlength=counts.size).reshape(counts.shape)
    return nans


def _outlier_limit(values: np.ndarray) -> float:
    middle = np.median(values)
    return float(middle + 3.5 * 1.4826 * np.median(np.abs(values - middle)))


def _interval_widths(std: np.ndarray, n: int) -> np.ndarray:
    """0.25 · 2^k by the rule of the module; constant components keep 0.25."""
    scale = np.where(std > 0, std, _WIDTH * 4)
    doublings = np.ceil(np.maximum(np.log2(2 * scale * n ** (-1 / 3) / _WIDTH), 0.0))
    width = _WIDTH * 2.0**doublings
    halvings = np.ceil(np.maximum(np.log2(width / (scale / 2)), 0.0))
    return width * 2.0**-halvings


def _crossing(counts: np.ndarray, at: np.ndarray, step: int, half: np.ndarray) -> np.ndarray:
    """How far beyond interval `at` (0 to 1, in intervals) the line to the next meets `half`."""
    rows = np.arange(len(at))
    beyond = np.clip(at + step, 0, counts.shape[1] - 1)
    inside, outside = counts[rows, at], counts[rows, beyond]
    drop = np.where(inside > outside, inside - outside, 1.0)
    return np.where(inside > outside, (inside - half) / drop, 0.0)


def _gaussian(x: np.ndarray, a: np.ndarray, m: np.ndarray, s: np.ndarray) -> np.ndarray:
    return a[:, None] * np.exp(-0.5 * ((x - m[:, None]) / s[:, None]) ** 2)


def _levenberg_marquardt(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (amplitude, mean, std) of each row, shape (d, 3); x and y have shape (d, bins)."""
    p = np.tile([1.0, 0.0, 1.0], (len(x), 1))
    damping = np.full(len(x), 1e-3)
    active = np.arange(len(x))
    cost = ((_gaussian(x, *p.T) - y) ** 2).sum(axis=1)
    for _ in range(_STEPS):
        step = _damped_step(x[active], y[active], p[active], damping[active])
        trial = p[active] + step
        trial[:, 2] = np.maximum(np.abs(trial[:, 2]), 1e-3)
        trial_cost = ((_gaussian(x[active], *trial.T) - y[active]) ** 2).sum(axis=1)
        better = trial_cost <= cost[active]
        settled = better & (cost[active] - trial_cost <= 1e-12 * cost[active])
        p[active[better]] = trial[better]
        cost[active[better]] = trial_cost[better]
        damping[active] *= np.where(better, 0.2, 5.0)
        active = active[~settled & (damping[active] < 1e12)]
        if len(active) == 0:
            break
    return p


def _damped_step(x: np.ndarray, y: np.ndarray, p: np.ndarray, damping: np.ndarray) -> np.ndarray:
    a, m, s = (column[:, None] for column in p.T)
    u = (x - m) / s
    bell = np.exp(-0.5 * u**2)
    jacobian = np.stack([bell, a * bell * u / s, a * bell * u**2 / s], axis=1)
    normal = jacobian @ jacobian.transpose(0, 2, 1)
    diagonal = np.einsum("kii->ki", normal)
    diagonal *= 1.0 + damping[:, None]
    diagonal += 1e-12  # of a height of 1: keeps hopeless fits solvable
    gradient = jacobian @ (y - a * bell)[:, :, None]
    return np.linalg.solve(normal, gradient)[:, :, 0]
