r"""The BHEP test: the cloud's characteristic function against the normal one.

.. math::
    T = n \int \left| \frac1n \sum_i e^{i w \cdot y_i} - e^{-|w|^2/2} \right|^2 dN(w; 0, \beta^2 I)

for codes y whitened with divisor n (Baringhaus, Henze, Epps, Pulley). The integral has a closed form,

.. math::
    T = n \Big[ n^{-2} \sum_{ij} e^{-\beta^2 |y_i - y_j|^2 / 2}
        - 2 (1 + \beta^2)^{-d/2}\, n^{-1} \sum_i e^{-\beta^2 |y_i|^2 / (2 (1 + \beta^2))}
        + (1 + 2 \beta^2)^{-d/2} \Big],

exact in time n² d, and as a mean over k random frequencies :math:`w \sim N(0, \beta^2 I)` it takes
time n k d in one read.

The statistic looks at all directions at once, so that one skewed direction among d is lost in it
when d is large: that is for tests of single directions.

It sees departures of the size of 1 / β. The bandwidth of Henze and Zirkler, meant for few
dimensions, tends to 0.7: at d = 256 a pair of codes then counts :math:`e^{-146}`, and nothing is
ever seen. With :math:`\beta = d^{-1/2}`, the default, a pair counts about :math:`e^{-1}` in any
dimension.

References:
    Baringhaus & Henze, 1988, https://doi.org/10.1007/BF02613322
    Henze & Zirkler, 1990, https://doi.org/10.1080/03610929008830400
    Henze & Wagner, 1997, https://doi.org/10.1006/jmva.1997.1684
"""

__all__ = ["BHEP", "BHEPFeatures", "bhep", "bhep_features", "henze_zirkler_beta"]

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from latentshape._checks import check_codes, check_count, check_positive, check_seed, row_blocks
from latentshape.shape.streaming import stream

_PAIR_ROWS = 1024
_MAX_SHIFT = 20.0


@dataclass(frozen=True)
class BHEP:
    """The BHEP statistic of n whitened codes.

    Its limit law for large n has a known mean and variance, given here; for d not far below n the
    true ones are smaller, and are to be simulated with as many codes of the same dimension.

    Attributes:
        n: Codes.
        d: Dimension.
        beta: Bandwidth, above 0.
        statistic: T, from 0 to 4 n.
        features: Random frequencies it was averaged over; None where it is exact.
    """

    n: int
    d: int
    beta: float
    statistic: float
    features: int | None = None

    @property
    def expected(self) -> float:
        """Mean of the limit law of T under normality (also of its average over frequencies)."""
        d, b2 = self.d, self.beta**2
        a = 1 + 2 * b2
        bracket = 1 + d * b2 / a + d * (d + 2) * b2**2 / (2 * a**2)
        return float(1 - a ** (-d / 2) * bracket)

    @property
    def variance(self) -> float:
        """Variance of the limit law of the exact T; random frequencies vary more."""
        d, b2 = self.d, self.beta**2
        b4, b8 = b2**2, b2**4
        a, w = 1 + 2 * b2, (1 + b2) * (1 + 3 * b2)
        both = 1 + 2 * d * b4 / a**2 + 3 * d * (d + 2) * b8 / (4 * a**4)
        cross = 1 + 3 * d * b4 / (2 * w) + d * (d + 2) * b8 / (2 * w**2)
        return float(
            2 * (1 + 4 * b2) ** (-d / 2) + 2 * a ** (-d) * both - 4 * w ** (-d / 2) * cross
        )

    @property
    def pvalue(self) -> float | None:
        """Share of a lognormal law, of that mean and variance, above T (Henze & Zirkler, 1990).

        None for random frequencies, whose law is another.
        """
        if self.features is not None:
            return None
        spread = np.log1p(self.variance / self.expected**2)
        z = (np.log(self.statistic / self.expected) + spread / 2) / np.sqrt(spread)
        return float(special.ndtr(-z))

    @property
    def effect(self) -> float:
        """Squared distance of characteristic functions, (T - E T) / n: about 0 under normality."""
        return (self.statistic - self.expected) / self.n


def henze_zirkler_beta(n: int, d: int) -> float:
    """The bandwidth of Henze and Zirkler, ((2 d + 1) n / 4)^(1 / (d + 4)) / sqrt(2).

    Example:
        >>> round(henze_zirkler_beta(50, 4), 4), round(henze_zirkler_beta(170_000, 256), 3)
        (1.2761, 0.755)
    """
    n, d = check_count(n, name="n"), check_count(d, name="d")
    return float(((2 * d + 1) * n / 4) ** (1 / (d + 4)) / np.sqrt(2))


def bhep(y: Any, beta: float | None = None) -> BHEP:
    """Return the exact BHEP statistic of whitened codes, in time n² d and blocks of rows.

    Args:
        y: Codes whitened by their own mean and covariance, shape (n, d), n >= 2. The covariance is
            that of divisor n - 1, as everywhere in this package; the codes are scaled from there to
            divisor n, which the definition wants.
        beta: Bandwidth; d^(-1/2) if None.

    Example:
        >>> from latentshape.shape.whitening import Whitening
        >>> from latentshape.shape.moments import Moments
        >>> z = np.random.default_rng(0).exponential(size=(1000, 5))
        >>> test = bhep(Whitening(Moments.of(z))(z))
        >>> test.pvalue < 1e-9
        True
    """
    y = check_codes(y, name="y")
    n, d = y.shape
    beta = _bandwidth(beta, d)
    scale = np.sqrt(n / (n - 1)) * beta
    # Exponents of pairs lie around - beta² d. Single-precision exponentials err by 1e-8 there, all in
    # the same direction, but by a tenth of that around 0.
    shift = min(beta**2 * d, _MAX_SHIFT) / 2
    pairs, singles = 0.0, 0.0
    for start in range(0, n, _PAIR_ROWS):
        left, _ = _with_exponents(next(row_blocks(y[start:], _PAIR_ROWS)), scale, shift)
        halves = left[:, d].astype(np.float64) - shift
        singles += float(np.exp(halves / (1 + beta**2)).sum())
        weight = 1
        for block in row_blocks(y[start:], _PAIR_ROWS):
            _, right = _with_exponents(block, scale, shift)
            kernel = left @ right.T
            np.exp(kernel, out=kernel)
            pairs += weight * float(kernel.sum(axis=1).sum(dtype=np.float64))
            weight = 2  # the pairs of two different tiles stand for their mirrored ones too
    pairs *= float(np.exp(-2 * shift)) / n**2
    single = (1 + beta**2) ** (-d / 2) * singles / n
    total = pairs - 2 * single + (1 + 2 * beta**2) ** (-d / 2)
    return BHEP(n, d, beta, max(n * total, 0.0))


def bhep_features(y: Any, *, k: int = 1024, seed: int = 0, beta: float | None = None) -> BHEP:
    """Return the BHEP statistic of whitened codes as an average over random frequencies.

    Linear in n, in one read. Its relative error against `bhep` is about k^(-1/2), 3 % for 1,024
    frequencies, and about half of that where all directions depart alike and strongly.

    Args:
        y: Codes whitened by their own mean and covariance (divisor n - 1), shape (n, d), n >= 2.
        k: Frequencies.
        seed: Which frequencies; the same ones make clouds comparable.
        beta: Bandwidth; d^(-1/2) if None.
    """
    y = check_codes(y, name="y")
    features = BHEPFeatures(y.shape[1], k=k, seed=seed, beta=beta)
    stream(row_blocks(y), features)
    return features.result()


class BHEPFeatures:
    r"""Accumulate cosines and sines of whitened codes at random frequencies.

    .. math:: T \approx \frac nk \sum_w
        \Big( \frac1n \sum_i \cos w \cdot y_i - e^{-|w|^2 (n-1) / 2n} \Big)^2
        + \Big( \frac1n \sum_i \sin w \cdot y_i \Big)^2

    Codes whitened with divisor n - 1 have variance (n - 1) / n, hence the exponent: so the codes
    need not be scaled before all are counted. What changes is the bandwidth, by one part in 2 n.

    Args:
        d: Dimension.
        k: Frequencies.
        seed: Which frequencies.
        beta: Bandwidth; d^(-1/2) if None.
    """

    def __init__(self, d: int, *, k: int = 1024, seed: int = 0, beta: float | None = None) -> None:
        k = check_count(k, name="k")
        self.beta = _bandwidth(beta, d)
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(check_seed(seed))))
        self.frequencies = self.beta * rng.standard_normal((d, k))
        self.n = 0
        self._cos, self._sin = np.zeros(k), np.zeros(k)

    def update(self, block: np.ndarray) -> None:
        """Add a block of whitened codes, shape (rows, d)."""
        frequencies = self.frequencies.astype(block.dtype)
        ones = np.ones(_PAIR_ROWS, dtype=block.dtype)
        for start in range(0, len(block), _PAIR_ROWS):
            phase = block[start : start + _PAIR_ROWS] @ frequencies
            rows = ones[: len(phase)]
            self._cos += rows @ np.cos(phase)
            self._sin += rows @ np.sin(phase, out=phase)
        self.n += len(block)

    def result(self) -> BHEP:
        """Return the statistic of all codes seen so far (at least two)."""
        n, (d, k) = self.n, self.frequencies.shape
        normal = np.exp(np.square(self.frequencies).sum(axis=0) * (-(n - 1) / (2 * n)))
        squares = np.square(self._cos / n - normal) + np.square(self._sin / n)
        return BHEP(n, d, self.beta, float(n * squares.mean()), features=k)


def _bandwidth(beta: float | None, d: int) -> float:
    return d**-0.5 if beta is None else check_positive(beta, name="beta")


def _with_exponents(block: np.ndarray, scale: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Two matrices whose product is 2 shift - |x - x'|² / 2 for the scaled rows x, x'.

    The rows of the one are (x, shift - |x|²/2, 1), of the other (x, 1, shift - |x|²/2): so the
    exponent of every pair comes out of the matrix product itself.
    """
    rows, d = block.shape
    left = np.ones((rows, d + 2), dtype=block.dtype)
    np.multiply(block, block.dtype.type(scale), out=left[:, :d])
    x = left[:, :d]
    left[:, d] = shift - np.einsum("ij,ij->i", x, x, dtype=np.float64, casting="same_kind") / 2
    right = left.copy()
    right[:, d], right[:, d + 1] = left[:, d + 1], left[:, d]
    return left, right
