r"""The Doornik-Hansen test: skewness and kurtosis of decorrelated components, each made normal.

The standardised components u = D^{-1} (x - μ) with correlation matrix :math:`R = V \Lambda V^T`
are decorrelated by the symmetric root, :math:`y = u\, V \Lambda^{-1/2} V^T`, which leaves each as
close to its component as can be. The skewness g and kurtosis k of each column of y (for which the
divisor of the covariance does not matter) are then transformed to :math:`z_1, z_2`, nearly N(0, 1)
even in small samples, and

.. math:: E = \sum_{j=1}^{d} (z_{1j}^2 + z_{2j}^2) \sim \chi^2(2 d) \quad \text{under normality.}

E does not change with the units of the components, but does with a rotation: unlike Mardia's tests
it looks along the components themselves.

References:
    Doornik & Hansen, 2008, https://doi.org/10.1111/j.1468-0084.2008.00537.x
    Bowman & Shenton, 1975, https://doi.org/10.1093/biomet/62.2.243
"""

__all__ = ["DoornikHansen", "DoornikHansenSums", "doornik_hansen"]

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, special

from latentshape._checks import check_codes, row_blocks
from latentshape.errors import InputError
from latentshape.shape.moments import POWER_ROWS, Moments, adder_of_powers, singular_why
from latentshape.shape.streaming import stream

_MIN_CODES = 8
_FLOAT32_LEAST_EIGENVALUE = 1e-5


@dataclass(frozen=True, eq=False)
class DoornikHansen:
    r"""The Doornik-Hansen test of n codes.

    Attributes:
        n: Codes.
        d: Dimension.
        skewness: Skewness g of each decorrelated component, shape (d,).
        kurtosis: Kurtosis k of each, shape (d,); 3 for a normal law.
        z_skewness: g transformed to nearly N(0, 1), shape (d,).
        z_kurtosis: k transformed to nearly N(0, 1), shape (d,).
    """

    n: int
    d: int
    skewness: np.ndarray
    kurtosis: np.ndarray
    z_skewness: np.ndarray
    z_kurtosis: np.ndarray

    @property
    def statistic(self) -> float:
        """E, the sum of all squared z."""
        return float(np.square(self.z_skewness).sum() + np.square(self.z_kurtosis).sum())

    @property
    def pvalue(self) -> float:
        r"""Share of :math:`\chi^2(2 d)` above the statistic."""
        return float(special.chdtrc(2 * self.d, self.statistic))

    @property
    def effect(self) -> float:
        r"""Departure per code, (E - 2 d) / n: its mean is 0 under normality, for any n.

        Near normality it estimates :math:`\sum_j g_j^2 / 6 + (k_j - 3)^2 / 24`, and for any law it
        settles to a number as n grows.
        """
        return (self.statistic - 2 * self.d) / self.n

    @property
    def effect_error(self) -> float:
        """Standard deviation of the effect under normality."""
        return float(2 * np.sqrt(self.d)) / self.n


class DoornikHansenSums:
    """Accumulate the power sums of decorrelated components; `result()` gives the test.

    Args:
        moments: Mean and covariance of the codes; n >= 8.
        compiled: Add powers by a compiled loop: yes, no, or (None) where Numba is installed and it is
            worth the while.

    Raises:
        InputError: There are fewer than 8 codes, or the covariance has no inverse.
    """

    def __init__(self, moments: Moments, *, compiled: bool | None = None) -> None:
        if moments.n < _MIN_CODES:
            raise InputError(
                f"the Doornik-Hansen test needs at least {_MIN_CODES} codes, got {moments.n}; "
                "encode more images."
            )
        why = singular_why(moments)
        if why is not None:
            raise InputError(
                f"the Doornik-Hansen test needs an invertible covariance, but z {why}."
            )
        values, vectors = linalg.eigh(moments.correlation())
        self._mean = moments.mean
        self._root = (vectors / np.sqrt(values)) @ vectors.T / moments.std[:, None]
        self._add = adder_of_powers(moments, compiled)
        # float32 components lose half their digits where the root enlarges differences so much.
        self._wide = values[0] < _FLOAT32_LEAST_EIGENVALUE
        self.n = 0
        self.sums = np.zeros((4, moments.d))

    def update(self, block: np.ndarray) -> None:
        """Add a block of codes, shape (rows, d)."""
        dtype = np.dtype(np.float64) if self._wide else block.dtype
        near = self._mean.astype(block.dtype)
        root = self._root.astype(dtype)
        rest = ((self._mean - near) @ self._root).astype(dtype)
        ones = np.ones(len(rest), dtype=dtype)
        for start in range(0, len(block), POWER_ROWS):
            u = np.subtract(block[start : start + POWER_ROWS], near, dtype=dtype)
            self._add(u @ root, rest, ones, self.sums)
        self.n += len(block)

    def result(self) -> DoornikHansen:
        """Return the test of all codes seen so far."""
        m1, m2, m3, m4 = self.sums / self.n
        variance = m2 - m1**2
        skewness = (m3 - 3 * m1 * m2 + 2 * m1**3) / variance**1.5
        kurtosis = (m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4) / variance**2
        z1 = _normal_skewness(skewness, self.n)
        z2 = _normal_kurtosis(kurtosis, skewness, self.n)
        return DoornikHansen(self.n, len(m1), skewness, kurtosis, z1, z2)


def doornik_hansen(z: Any, moments: Moments | None = None) -> DoornikHansen:
    """Test codes (n, d), n > d and n >= 8, in one read (two without their moments).

    Raises:
        InputError: There are too few codes, or their covariance has no inverse.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((2000, 3))
        >>> doornik_hansen(z).pvalue > 0.01, doornik_hansen(np.exp(z)).pvalue < 1e-99
        (True, True)
    """
    z = check_codes(z, latent_dim=moments.d if moments else None, finite=moments is not None)
    sums = DoornikHansenSums(moments or Moments.of(z))
    stream(row_blocks(z), sums)
    return sums.result()


def _normal_skewness(g: np.ndarray, n: float) -> np.ndarray:
    """D'Agostino's transformation of the skewness of n normal numbers to nearly N(0, 1)."""
    n = float(n)  # the products below outgrow 64-bit integers
    beta = 3 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3)
    beta /= (n - 2) * (n + 5) * (n + 7) * (n + 9)
    omega2 = -1 + np.sqrt(2 * (beta - 1))
    u = g * np.sqrt((omega2 - 1) * (n + 1) * (n + 3) / (12 * (n - 2)))
    return np.arcsinh(u) / np.sqrt(np.log(omega2) / 2)


def _normal_kurtosis(k: np.ndarray, g: np.ndarray, n: float) -> np.ndarray:
    """Kurtosis given the skewness: a gamma law by its moments, then Wilson and Hilferty's root."""
    n = float(n)
    delta = 6 * (n - 3) * (n + 1) * (n**2 + 15 * n - 4)
    a = (n - 2) * (n + 5) * (n + 7) * (n**2 + 27 * n - 70) / delta
    c = (n - 7) * (n + 5) * (n + 7) * (n**2 + 2 * n - 5) / delta
    slope = (n + 5) * (n + 7) * (n**3 + 37 * n**2 + 11 * n - 313) / (2 * delta)
    alpha = a + c * g**2
    chi = np.maximum(2 * slope * (k - 1 - g**2), 0.0)  # k >= 1 + g^2, but for rounding
    return np.sqrt(9 * alpha) * (np.cbrt(chi / (2 * alpha)) - 1 + 1 / (9 * alpha))
