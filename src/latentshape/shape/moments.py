r"""Mean, covariance and higher moments of codes, in one or two reads of the data.

The second moment of an off-centre cloud hides in the difference of two large numbers, and float32
has seven digits: X'X - n m m' in float32 is wrong by a third at 16 standard deviations off centre.
So every block is shifted by a rough mean s before it is multiplied,

.. math::
    B = X - s, \quad a = \sum B, \quad C = \sum B^T B, \qquad
    \mu = s + a/N, \quad \Sigma = (C - a a^T / N) / (N - 1),

with float32 products inside a block and float64 sums over blocks. Where the components are almost
linearly dependent (smallest eigenvalue of the correlation matrix below 1e-4) that is still too
coarse for the smallest eigenvalues, and the products are formed again in float64.

Two sets of moments merge by Chan's formula, so that parts of a data set can be measured apart:

.. math::
    \delta = m_b - m_a, \quad m = m_a + \delta\, n_b / n, \quad
    S = S_a + S_b + \delta \delta^T n_a n_b / n, \qquad S = (n - 1)\, \Sigma.

References:
    Chan, Golub & LeVeque, 1983, https://doi.org/10.1080/00031305.1983.10483115
"""

__all__ = ["MomentSums", "Moments", "PowerSums", "adder_of_powers", "normal_errors", "singular_why"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg

from latentshape._checks import check_codes, row_blocks
from latentshape.errors import InputError
from latentshape.shape.compiled import compiled_loops
from latentshape.shape.streaming import Progress, stream

if TYPE_CHECKING:
    from latentshape.shape.wide import WideMoments

POWER_ROWS = 512
"""Rows whose powers are added in their own precision: they stay in cache."""

_PILOT_ROWS = 2048
_ADDED_ROWS = 1024
# Below so many numbers NumPy has added them before Numba is ready.
_COMPILE_FROM = 2**24
_EXACT_BELOW = 1e-4
_SINGULAR_BELOW = 1e-12


class ComponentMoments:
    """What follows from mean and variances alone, whether a covariance is formed or not."""

    mean: np.ndarray

    if TYPE_CHECKING:  # a dataclass would take it for the default of its field

        @property
        def variances(self) -> np.ndarray: ...

    @property
    def d(self) -> int:
        """Dimension of the codes."""
        return len(self.mean)

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of each component, shape (d,)."""
        return np.sqrt(self.variances)

    @property
    def constant(self) -> np.ndarray:
        """Which components do not vary (beyond float64 rounding), shape (d,), bool."""
        return self.std <= 1e-13 * np.abs(self.mean)


@dataclass(frozen=True, eq=False)
class Moments(ComponentMoments):
    """Number, mean and covariance of a set of codes.

    Attributes:
        n: Number of codes.
        mean: Mean, shape (d,), float64.
        cov: Covariance with divisor n - 1, shape (d, d), float64.

    Example:
        >>> m = Moments.of(np.array([[0.0, 0.0], [2.0, 4.0]]))
        >>> m.n, m.mean.tolist(), m.cov.tolist()
        (2, [1.0, 2.0], [[2.0, 4.0], [4.0, 8.0]])
    """

    n: int
    mean: np.ndarray
    cov: np.ndarray

    @classmethod
    def of(cls, z: Any, *, progress: Progress | None = None) -> "Moments":
        """Measure codes (n, d), n >= 2, in one read (two where components almost coincide)."""
        z = check_codes(z, finite=False)
        with np.errstate(invalid="ignore", over="ignore"):
            shift = _rough_mean(z)
            sums = MomentSums(shift)
            stream(row_blocks(z), sums, progress=progress)
            moments = sums.result()
        if not np.isfinite(moments.cov).all():
            check_codes(z)  # names the rows that are not finite, if that is the reason
            raise InputError(
                f"z must be small enough to square, got values up to {np.abs(moments.mean).max():g}"
                f" as {z.dtype}; divide the codes by a constant."
            )
        if z.dtype != np.float64 and moments._least_eigenvalue() < _EXACT_BELOW:
            sums = MomentSums(shift, exact=True)
            stream(row_blocks(z), sums)
            return sums.result()
        return moments

    @property
    def variances(self) -> np.ndarray:
        """Variance of each component, shape (d,)."""
        return np.diag(self.cov)

    def correlation(self) -> np.ndarray:
        """Pearson coefficients, shape (d, d); those of a constant component with others are 0.

        Example:
            >>> Moments.of(np.array([[0.0, 0.0], [2.0, 4.0]])).correlation().round(6).tolist()
            [[1.0, 1.0], [1.0, 1.0]]
        """
        scale = np.where(self.constant, np.inf, self.std)
        r = np.clip(self.cov / np.outer(scale, scale), -1.0, 1.0)
        np.fill_diagonal(r, 1.0)
        return r

    def times(self, v: np.ndarray) -> np.ndarray:
        """The covariance times vectors (d, m), shape (d, m)."""
        return self.cov @ v

    def part(self, components: Sequence[int]) -> "Moments":
        """Return the moments of some components alone.

        Example:
            >>> Moments(9, np.array([1.0, 2.0]), np.diag([4.0, 9.0])).part([1]).std.tolist()
            [3.0]
        """
        chosen = list(components)
        return Moments(self.n, self.mean[chosen], self.cov[np.ix_(chosen, chosen)])

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of codes together (Chan's formula)."""
        n = self.n + other.n
        delta = other.mean - self.mean
        squares = (self.n - 1) * self.cov + (other.n - 1) * other.cov
        squares += np.outer(delta, delta) * (self.n * other.n / n)
        return Moments(n, self.mean + delta * (other.n / n), squares / (n - 1))

    def factor(self) -> np.ndarray:
        r"""Return A with :math:`A A^T = \Sigma`, shape (d, r), r the rank.

        The lower Cholesky factor where there is one (r = d), else the eigenvectors times the roots
        of the eigenvalues that are not zero.
        """
        if singular_why(self) is None:
            return linalg.cholesky(self.cov, lower=True)
        values, vectors = linalg.eigh(self.cov)
        keep = values > max(values[-1], 0.0) * _SINGULAR_BELOW
        return vectors[:, keep] * np.sqrt(values[keep])

    def _least_eigenvalue(self) -> float:
        return float(linalg.eigvalsh(self.correlation(), subset_by_index=(0, 0))[0])


def singular_why(moments: "Moments | WideMoments") -> str | None:
    """Say in words why the covariance has no inverse, or None where it has one."""
    n, d = moments.n, moments.d
    if not isinstance(moments, Moments):
        return f"has {d:,} components, too many for a covariance of all; the sampler 'low-rank' does without"
    if n <= d:
        return f"needs more codes than dimensions, got {n} codes of dimension {d}"
    if moments.constant.any():
        listed = ", ".join(map(str, np.flatnonzero(moments.constant)[:5]))
        return f"{int(moments.constant.sum())} components are constant ({listed})"
    if moments._least_eigenvalue() < _SINGULAR_BELOW:
        return "components are linearly dependent (duplicated, or sums of others)"
    return None


class MomentSums:
    """Accumulate the shifted sums of blocks of codes; `result()` gives their `Moments`.

    Args:
        shift: A rough mean, shape (d,); any value is right, one near the mean is accurate.
        exact: Form the products in float64 even for float32 blocks.
    """

    def __init__(self, shift: np.ndarray, *, exact: bool = False) -> None:
        d = len(shift)
        self.shift = np.asarray(shift, dtype=np.float32).astype(np.float64)
        self.exact = exact
        self.n = 0
        self.first = np.zeros(d)
        self.second = np.zeros((d, d))

    def update(self, block: np.ndarray) -> None:
        """Add a block of codes, shape (rows, d)."""
        dtype = np.float64 if self.exact else block.dtype
        b = np.subtract(block, self.shift.astype(dtype), dtype=dtype)
        self.n += len(b)
        # Added up in the block's own precision, in which the products below are, for a thousand rows.
        for start in range(0, len(b), _ADDED_ROWS):
            part = b[start : start + _ADDED_ROWS]
            self.first += np.ones(len(part), dtype=dtype) @ part
        self.second += b.T @ b

    def result(self) -> Moments:
        """Return the moments of all codes seen so far (at least two)."""
        centre = self.first / self.n
        cov = (self.second - np.outer(self.first, centre)) / (self.n - 1)
        cov = (cov + cov.T) / 2
        np.fill_diagonal(cov, np.maximum(np.diag(cov), 0.0))  # a constant may round to below 0
        return Moments(self.n, self.shift + centre, cov)


class PowerSums:
    r"""Accumulate third and fourth moments of each component, standardised by known moments.

    .. math::
        g = m_3 / m_2^{3/2}, \qquad k = m_4 / m_2^2 - 3, \qquad m_p = n^{-1} \sum (x - \bar x)^p

    Two sets that were standardised alike merge by adding their sums.

    Args:
        moments: Moments of the codes.
        compiled: Add by a compiled loop: yes, no, or (None) where Numba is installed and it is worth
            the while.
    """

    def __init__(self, moments: "Moments | WideMoments", *, compiled: bool | None = None) -> None:
        self._location = moments.mean
        self._scale = np.where(moments.constant, 1.0, moments.std)
        self._constant = moments.constant
        self._add = adder_of_powers(moments, compiled)
        self.n = 0
        self.sums = np.zeros((4, moments.d))

    def update(self, block: np.ndarray) -> None:
        """Add a block of codes, shape (rows, d)."""
        location = self._location.astype(block.dtype)
        scale = (1.0 / self._scale).astype(block.dtype)
        for start in range(0, len(block), POWER_ROWS):
            self._add(block[start : start + POWER_ROWS], location, scale, self.sums)
        self.n += len(block)

    def central_moments(self) -> np.ndarray:
        """Second, third and fourth central moments of the standardised components, (3, d)."""
        m1, m2, m3, m4 = self.sums / self.n
        return np.stack(
            [
                m2 - m1**2,
                m3 - 3 * m1 * m2 + 2 * m1**3,
                m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4,
            ]
        )

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return skewness g and excess kurtosis k, each (d,); NaN for constant components."""
        m2, m3, m4 = self.central_moments()
        m2 = np.where(self._constant, np.nan, m2)
        return m3 / m2**1.5, m4 / m2**2 - 3.0


def normal_errors(n: int) -> tuple[float, float]:
    """Return the exact standard errors of skewness and excess kurtosis of n normal numbers.

    References:
        Fisher, 1930, https://doi.org/10.1098/rspa.1930.0185

    Example:
        >>> [round(e, 4) for e in normal_errors(10_000)]  # about sqrt(6 / n) and sqrt(24 / n)
        [0.0245, 0.049]
    """
    skewness = 6.0 * (n - 2) / ((n + 1.0) * (n + 3.0))
    kurtosis = 24.0 * n * (n - 2) * (n - 3) / ((n + 1.0) ** 2 * (n + 3.0) * (n + 5.0))
    return float(np.sqrt(max(skewness, 0.0))), float(np.sqrt(max(kurtosis, 0.0)))


def adder_of_powers(
    moments: "Moments | WideMoments", compiled: bool | None = None
) -> Callable[..., None]:
    """What adds the first four powers of (x - location) scale to sums (4, d): see `loops.sum_powers`."""
    loops = compiled_loops(compiled, worth=moments.n * moments.d >= _COMPILE_FROM)
    return _sum_powers if loops is None else loops.sum_powers


def _sum_powers(
    block: np.ndarray, location: np.ndarray, scale: np.ndarray, sums: np.ndarray
) -> None:
    u = block - location
    u *= scale
    squared = np.square(u)
    ones = np.ones(len(u), dtype=u.dtype)
    sums[0] += ones @ u
    sums[1] += ones @ squared
    sums[2] += np.einsum("ij,ij->j", squared, u)
    sums[3] += np.einsum("ij,ij->j", squared, squared)


def _rough_mean(z: np.ndarray) -> np.ndarray:
    """Mean of up to 2,048 rows spread evenly, so that sorted codes are shifted well too."""
    step = max(1, len(z) // _PILOT_ROWS)
    return np.asarray(z[::step][:_PILOT_ROWS], dtype=np.float64).mean(axis=0)
