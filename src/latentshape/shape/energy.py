r"""The energy test of normality: mean distances within the cloud and to the normal law.

With Z, Z' independent N(0, I) and codes y whitened by their own moments (divisor n - 1),

.. math::
    \mathcal E = \frac2n \sum_i E|y_i - Z| - E|Z - Z'| - \frac1{n (n-1)} \sum_{i \ne j} |y_i - y_j|

estimates the energy distance between the two laws: 0 only if they are the same. Whitening by the
codes' own moments makes them a little more normal than normal codes are, so that under normality
the estimate is below 0 (-0.0071 at n = 2000, d = 256, ± 6e-7): its law is to be simulated. The
expectations are

.. math::
    E|a - Z| = \frac1{2 \sqrt\pi} \int_0^\infty \frac{1 - \varphi(s)}{s^{3/2}}\, ds, \quad
    \varphi(s) = (1 + 2 s)^{-d/2} e^{-|a|^2 s / (1 + 2 s)}, \qquad
    E|Z - Z'| = \frac{2\, \Gamma((d+1)/2)}{\Gamma(d/2)} .

The integral is done once for a dimension, by the trapezoidal rule in log s, and kept as a spline. Its
argument is v = |a|² / (|a|² + d) from 0 to 1 and its value E|a - Z| / sqrt(|a|² + d), which is
smooth up to the ends and 1 at v = 1: one table serves the nearest code and the farthest outlier.

The test looks at all directions at once, and loses sight of one skewed direction among many.

All pairs cost n² d. Over disjoint blocks of rows the same estimate is unbiased too, costs n times
the rows of a block, and its mean comes with a standard error.

References:
    Szekely & Rizzo, A new test for multivariate normality, 2005,
    https://doi.org/10.1016/j.jmva.2003.12.002
"""

__all__ = [
    "BlockEnergy",
    "Energy",
    "EnergyBlocks",
    "distance_to_normal",
    "energy_blocks",
    "energy_statistic",
    "normal_distance",
]

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special
from scipy.interpolate import CubicSpline

from latentshape._checks import check_codes, check_count, row_blocks
from latentshape.errors import InputError

_PAIR_ROWS = 1024
_KNOTS = 600


@dataclass(frozen=True)
class Energy:
    """The energy test of n whitened codes; its law under normality is to be simulated.

    Attributes:
        n: Codes.
        d: Dimension.
        to_normal: Mean of E|y - Z| over the codes.
        within: Mean distance of two different codes.
    """

    n: int
    d: int
    to_normal: float
    within: float

    @property
    def effect(self) -> float:
        """The energy distance, estimated without the bias of pairing codes with themselves."""
        return 2 * self.to_normal - normal_distance(self.d) - self.within

    @property
    def statistic(self) -> float:
        """The statistic of Szekely and Rizzo: n times the distance, a code's own 0 included."""
        own = self.within * (self.n - 1) / self.n
        return self.n * (2 * self.to_normal - normal_distance(self.d) - own)


@dataclass(frozen=True)
class BlockEnergy:
    """Energy distances of disjoint blocks of codes.

    Attributes:
        effect: Mean of the blocks' energy distances.
        standard_error: Of that mean, from the spread of the blocks.
        blocks: How many there were.
        n: Codes in them.
        d: Dimension.
    """

    effect: float
    standard_error: float
    blocks: int
    n: int
    d: int

    @property
    def statistic(self) -> float:
        """The effect in standard errors."""
        return self.effect / self.standard_error


def normal_distance(d: int) -> float:
    """Mean distance of two independent standard normal points, E|Z - Z'|.

    Example:
        >>> round(normal_distance(256), 3)
        22.605
    """
    return float(2 * special.poch(check_count(d, name="d") / 2, 0.5))


def distance_to_normal(squared: Any, d: int) -> np.ndarray:
    """Return E|a - Z| for points a of given squared length, to a relative error below 1e-10.

    Args:
        squared: Squared lengths |a|², any shape, 0 or more.
        d: Dimension.

    Returns:
        Mean distances to N(0, I), shape of `squared`, float64.

    Example:
        >>> distance_to_normal([0.0, 1e6], 1).round(4).tolist()  # sqrt(2 / pi), and far away |a|
        [0.7979, 1000.0]
    """
    squared = np.asarray(squared, dtype=np.float64)
    table = _table(check_count(d, name="d"))
    return table(squared / (squared + d)) * np.sqrt(squared + d)


def energy_statistic(y: Any) -> Energy:
    """Return the energy test of whitened codes from all pairs, in time n² d and blocks of rows.

    Args:
        y: Codes whitened by their own mean and covariance (divisor n - 1, as the definition has
            it), shape (n, d), n >= 2.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> near, far = rng.standard_normal((1000, 3)), rng.uniform(-3**0.5, 3**0.5, (1000, 3))
        >>> round(energy_statistic(near).effect, 2), round(energy_statistic(far).effect, 2)
        (0.0, 0.01)
    """
    y = check_codes(y, name="y")
    n, d = y.shape
    tiles = [(block, np.einsum("ij,ij->i", block, block)) for block in row_blocks(y, _PAIR_ROWS)]
    to_normal = sum(float(distance_to_normal(squared, d).sum()) for _, squared in tiles)
    within = 0.0
    for i, (left, left_squared) in enumerate(tiles):
        for j in range(i, len(tiles)):
            right, right_squared = tiles[j]
            distances = left @ right.T
            distances *= -2
            distances += left_squared[:, None]
            distances += right_squared
            if i == j:
                np.fill_diagonal(distances, 0.0)  # which it is only up to rounding
            np.sqrt(np.maximum(distances, 0.0, out=distances), out=distances)
            within += (1 if i == j else 2) * float(distances.sum(axis=1).sum(dtype=np.float64))
    return Energy(n, d, to_normal / n, within / (n * (n - 1)))


class EnergyBlocks:
    """Accumulate energy distances over disjoint blocks of whitened codes.

    The blocks are made of the codes in the order in which they come, which must not be a sorted
    one; codes too few for a last block are left out.

    Args:
        d: Dimension.
        rows: Codes in a block; fewer than 2,048 make the result noisier.
    """

    def __init__(self, d: int, *, rows: int = 2048) -> None:
        self.d = check_count(d, name="d")
        self.rows = check_count(rows, name="rows", minimum=2)
        self.distances: list[float] = []
        self._waiting: list[np.ndarray] = []

    def update(self, block: np.ndarray) -> None:
        """Add a block of whitened codes, shape (rows, d)."""
        block = np.concatenate([*self._waiting, block]) if self._waiting else block
        full = len(block) - len(block) % self.rows
        for start in range(0, full, self.rows):
            self.distances.append(energy_statistic(block[start : start + self.rows]).effect)
        self._waiting = [block[full:].copy()] if full < len(block) else []

    def result(self) -> BlockEnergy:
        """Return mean and standard error over the blocks seen so far.

        Raises:
            InputError: There were not two blocks.
        """
        count = len(self.distances)
        if count < 2:
            raise InputError(
                f"a standard error needs at least 2 blocks of {self.rows} codes, got {count}; "
                "use more codes, smaller blocks, or energy_statistic."
            )
        spread = float(np.std(self.distances, ddof=1))
        mean = float(np.mean(self.distances))
        return BlockEnergy(mean, spread / count**0.5, count, count * self.rows, self.d)


def energy_blocks(y: Any, *, rows: int = 2048) -> BlockEnergy:
    """Return the energy distance of whitened codes over disjoint blocks, with its standard error.

    Block b takes every m-th row from b on, of m blocks, so that sorted codes do no harm.

    Args:
        y: Whitened codes, shape (n, d), n >= 2 `rows`.
        rows: Codes in a block.

    Raises:
        InputError: There are not two blocks.
    """
    y = check_codes(y, name="y")
    sums = EnergyBlocks(y.shape[1], rows=rows)
    count = len(y) // sums.rows
    for first in range(count):
        part = np.asarray(y[first::count][: sums.rows])
        sums.update(part)
    return sums.result()


@lru_cache(maxsize=16)
def _table(d: int) -> CubicSpline:
    """E|a - Z| / sqrt(|a|² + d) over |a|² / (|a|² + d)."""
    v = np.linspace(0.0, 1.0, _KNOTS)
    ratio = np.ones(_KNOTS)
    ratio[:-1] = [_mean_distance(x, d) for x in d * v[:-1] / (1 - v[:-1])]
    ratio[:-1] /= np.sqrt(d / (1 - v[:-1]))
    return CubicSpline(v, ratio)


def _mean_distance(squared: float, d: int) -> float:
    """E|a - Z| by the trapezoidal rule over t = log s, and the two ends in closed form."""
    t = np.linspace(-60.0, 40.0, 2001)
    s = np.exp(t)
    log_phi = -d / 2 * np.log1p(2 * s) - squared * (s / (1 + 2 * s))
    integrand = -np.expm1(log_phi) * np.exp(-t / 2)
    body = (integrand.sum() - (integrand[0] + integrand[-1]) / 2) * (t[1] - t[0])
    ends = 2 * (d + squared) * np.exp(t[0] / 2) + 2 * np.exp(-t[-1] / 2)
    return float((body + ends) / (2 * np.sqrt(np.pi)))
