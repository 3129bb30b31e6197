r"""Every pair of components on all codes: which planes are least elliptical?

With 256 components there are 32,640 planes, too many to look at. Mardia's two numbers say of each how
far it is from a bivariate normal law, and they are made of the mixed moments
:math:`m_{ab} = n^{-1} \sum u_i^a u_j^b` of standardised components, which for *all* pairs at once are
three matrix products per block: :math:`U^{2T} U`, :math:`U^{2T} U^2` and :math:`U^{3T} U`. With r the
correlation and :math:`q = (u_i^2 - 2 r u_i u_j + u_j^2) / (1 - r^2)` the squared Mahalanobis radius,

.. math::
    b_2 = \mathrm{mean}\, q^2 = \frac{m_{40} + m_{04} + (2 + 4 r^2)\, m_{22}
          - 4 r\, (m_{31} + m_{13})}{(1 - r^2)^2}, \qquad
    b_1 = T_{111}^2 + 3 T_{112}^2 + 3 T_{122}^2 + T_{222}^2,

T the third moments of the whitened pair :math:`u_i,\ (u_j - r u_i)/\sqrt{1 - r^2}`. Under normality
:math:`b_2` has mean :math:`8 (n-1)/(n+1)` and variance about 64 / n, and :math:`n b_1 / 6` follows
:math:`\chi^2_4`. Among many pairs the largest z-score is large by chance: 4.3 of 32,640.

A pair can have the kurtosis of a normal law and not its shape, so the codes inside each kσ ellipse
are counted too, for chosen pairs or all of them. The share inside an ellipse that was itself fitted
to the codes varies less than a binomial share P does,

.. math:: n\, \mathrm{var} = P (1 - P) - \tfrac14 k^4 e^{-k^2},

because the fitted covariance follows the codes.

References:
    Mardia, 1970, https://doi.org/10.1093/biomet/57.3.519; Mardia, 1974, Applications of some
    measures of multivariate skewness and kurtosis, Sankhya B 36, 115-128
"""

__all__ = [
    "ChosenCoverage",
    "CoverageFinding",
    "PairFinding",
    "PairScreening",
    "check_pairs",
    "coverage_error",
    "pair_kurtosis_errors",
    "screen_pairs",
    "varying_pairs",
]

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from latentshape._checks import check_codes, check_count, row_blocks
from latentshape.errors import InputError
from latentshape.shape.compiled import compiled_loops
from latentshape.shape.ellipses import SIGMAS, expected_coverage
from latentshape.shape.moments import Moments
from latentshape.shape.streaming import Progress, stream

# float32 products are off by 1e-6, which 1 / (1 - r^2)^2 multiplies.
_FLOAT32_BELOW = 0.9
# Beyond this correlation even float64 products do not tell a pair from a line.
_COLLINEAR = 1e-5
# Starting Numba takes a while; below so many pairs NumPy is done before.
_COMPILE_FROM = 1000


class PairFinding(NamedTuple):
    """What the screening found of one pair of components, i < j.

    Attributes:
        i, j: The components.
        r: Their correlation.
        kurtosis: Mardia's b2 - 8: 0 for a normal law.
        kurtosis_z: b2 less its mean under normality, in standard errors.
        skewness: Mardia's b1: 0 for a symmetric law.
        skewness_p: Its p-value for this pair alone (not for the worst of many).
    """

    i: int
    j: int
    r: float
    kurtosis: float
    kurtosis_z: float
    skewness: float
    skewness_p: float


class CoverageFinding(NamedTuple):
    """The level at which the coverage of a pair deviates most.

    Attributes:
        i, j: The components.
        sigma: The level k.
        observed: Share of codes inside the kσ ellipse.
        z: Observed less expected share, in standard errors under normality.
    """

    i: int
    j: int
    sigma: float
    observed: float
    z: float


class PairScreening:
    """Accumulate the mixed moments of all pairs; kurtosis and skewness of each come out.

    Pairs with a constant component, and pairs that are multiples of one another, are left out.

    Args:
        moments: Moments of the codes.

    Attributes:
        pairs: The pairs i < j, shape (p, 2), in the order of `numpy.triu_indices`.
        r: Their correlations, shape (p,).
        n: Codes seen.
    """

    def __init__(self, moments: Moments) -> None:
        pair_kurtosis_errors(moments.n)  # refuses fewer than four codes
        self._units = _Standardise(moments)
        self.pairs, self.r = _usable_pairs(moments)
        self._exact = bool((np.abs(self.r) > _FLOAT32_BELOW).any())
        d = moments.d
        self._m21, self._m22, self._m31 = (np.zeros((d, d)) for _ in range(3))
        self.n = 0

    def update(self, block: np.ndarray) -> None:
        """Add a block of codes, shape (rows, d)."""
        u = self._units(block, exact=self._exact)
        u2 = u * u
        self._m21 += u2.T @ u
        self._m22 += u2.T @ u2
        u2 *= u
        self._m31 += u2.T @ u
        self.n += len(u)

    @property
    def kurtosis(self) -> np.ndarray:
        """Excess kurtosis b2 - 8 of each pair, shape (p,)."""
        i, j = self.pairs.T
        m22, m31 = self._m22 / self.n, self._m31 / self.n
        r = self.r
        fourth = np.diag(m22)[i] + np.diag(m22)[j] + (2 + 4 * r**2) * m22[i, j]
        fourth = fourth - 4 * r * (m31[i, j] + m31[j, i])
        return fourth / (1 - r**2) ** 2 * self._divisor**2 - 8.0

    @property
    def skewness(self) -> np.ndarray:
        """Skewness b1 of each pair, shape (p,), none below 0."""
        i, j = self.pairs.T
        m21 = self._m21 / self.n
        r, s = self.r, np.sqrt(1 - self.r**2)
        m30, m03, m12, m21 = np.diag(m21)[i], np.diag(m21)[j], m21[j, i], m21[i, j]
        t112 = (m21 - r * m30) / s
        t122 = (m12 - 2 * r * m21 + r**2 * m30) / s**2
        t222 = (m03 - 3 * r * m12 + 3 * r**2 * m21 - r**3 * m30) / s**3
        return (m30**2 + 3 * t112**2 + 3 * t122**2 + t222**2) * self._divisor**3

    @property
    def kurtosis_z(self) -> np.ndarray:
        """Kurtosis less its mean under normality, in standard errors, shape (p,)."""
        mean, error = pair_kurtosis_errors(self.n)
        return (self.kurtosis - mean) / error

    @property
    def skewness_p(self) -> np.ndarray:
        """p-value of each pair's skewness (chi-squared, 4 degrees of freedom), shape (p,)."""
        return special.chdtrc(4, self.n * self.skewness / 6.0)

    def worst(self, limit: int = 20, *, by: str = "kurtosis") -> list[PairFinding]:
        """Return the pairs of largest |z| of the kurtosis, or of largest skewness, worst first."""
        if by not in ("kurtosis", "skewness"):
            raise InputError(f"by must be 'kurtosis' or 'skewness', got {by!r}; choose one.")
        limit = check_count(limit, name="limit", minimum=0)
        kurtosis, z, skewness, p = self.kurtosis, self.kurtosis_z, self.skewness, self.skewness_p
        order = np.argsort(-(np.abs(z) if by == "kurtosis" else skewness), kind="stable")[:limit]
        return [
            PairFinding(
                int(self.pairs[k, 0]),
                int(self.pairs[k, 1]),
                *(float(values[k]) for values in (self.r, kurtosis, z, skewness, p)),
            )
            for k in order
        ]

    @property
    def _divisor(self) -> float:
        # Mardia's covariance has the divisor n, ours n - 1.
        return self.n / (self.n - 1.0)


class ChosenCoverage:
    """Accumulate the share of codes inside the kσ ellipses of chosen pairs, or of all pairs.

    Exact to the rounding of the codes' own precision. With Numba installed, many pairs are counted
    by a compiled loop; the arithmetic and the counts are the same.

    Args:
        moments: Moments of the codes.
        pairs: Pairs of components, shape (p, 2); all that are not degenerate if None.
        sigmas: The levels k.
        workers: Threads that share the pairs.
        compiled: Use Numba: yes, no, or (None) where it is installed and worth the compiling.

    Attributes:
        pairs: The pairs counted, shape (p, 2).
        sigmas: The levels, shape (k,).
        n: Codes seen.
    """

    def __init__(
        self,
        moments: Moments,
        pairs: Any = None,
        *,
        sigmas: tuple[float, ...] = SIGMAS,
        workers: int = 1,
        compiled: bool | None = None,
    ) -> None:
        self._units = _Standardise(moments)
        self.pairs, r = _usable_pairs(moments) if pairs is None else varying_pairs(pairs, moments)
        self.sigmas = np.asarray(sigmas, dtype=np.float64)
        self._r, self._inverse = r, 1.0 / np.sqrt(1.0 - r**2)
        self.counts = np.zeros((len(self.pairs), len(self.sigmas)), dtype=np.int64)
        self.n = 0
        self._workers = check_count(workers, name="workers")
        loops = compiled_loops(compiled, worth=len(self.pairs) >= _COMPILE_FROM)
        self._count: Callable[..., None] = _count if loops is None else loops.count_inside

    def update(self, block: np.ndarray) -> None:
        """Count a block of codes, shape (rows, d)."""
        columns = np.ascontiguousarray(self._units(block).T)
        kind = columns.dtype
        r, inverse = self._r.astype(kind), self._inverse.astype(kind)
        limits = np.square(self.sigmas).astype(kind)
        ends = np.linspace(0, len(r), self._workers + 1).astype(int)
        jobs = [
            (columns, self.pairs[a:b], r[a:b], inverse[a:b], limits, self.counts[a:b])
            for a, b in itertools.pairwise(ends)
        ]
        if len(jobs) == 1:
            self._count(*jobs[0])
        else:
            with ThreadPoolExecutor(len(jobs)) as pool:
                list(pool.map(self._count, *zip(*jobs, strict=True)))
        self.n += len(block)

    def observed(self) -> np.ndarray:
        """Share of codes inside, for each pair and level, shape (p, k)."""
        return self.counts / self.n

    def deviation(self) -> np.ndarray:
        """Observed less expected share, in standard errors under normality, shape (p, k)."""
        expected = expected_coverage(self.sigmas)
        return (self.observed() - expected) / coverage_error(self.sigmas, self.n)

    def worst(self, limit: int = 20) -> list[CoverageFinding]:
        """Return the pairs of largest |deviation| at any level, worst first."""
        limit = check_count(limit, name="limit", minimum=0)
        deviation, observed = self.deviation(), self.observed()
        level = np.abs(deviation).argmax(axis=1)
        rows = np.arange(len(level))
        order = np.argsort(-np.abs(deviation[rows, level]), kind="stable")[:limit]
        return [
            CoverageFinding(
                int(self.pairs[p, 0]),
                int(self.pairs[p, 1]),
                float(self.sigmas[k]),
                float(observed[p, k]),
                float(deviation[p, k]),
            )
            for p, k in zip(order, level[order], strict=True)
        ]


def screen_pairs(
    z: Any, moments: Moments | None = None, *, progress: Progress | None = None
) -> PairScreening:
    """Screen all pairs of components of codes (n, d), n >= 4, in one read.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((4000, 4))
        >>> z[:, 3] = np.where(abs(z[:, 1]) < 1.538, z[:, 1], -z[:, 1])  # normal, but not with 1
        >>> worst = screen_pairs(z).worst(1)[0]
        >>> worst.i, worst.j, round(worst.kurtosis)  # 2 u^2 squared has mean 12
        (1, 3, 4)
    """
    z = check_codes(z, latent_dim=moments.d if moments else None, finite=False)
    result = PairScreening(moments or Moments.of(z))
    stream(row_blocks(z), result, progress=progress)
    return result


def pair_kurtosis_errors(n: int) -> tuple[float, float]:
    """Mean and standard deviation of a pair's b2 - 8 for n bivariate normal codes, n >= 4.

    Example:
        >>> [round(e, 4) for e in pair_kurtosis_errors(10_000)]  # about 0 and 8 / sqrt(n)
        [-0.0016, 0.0799]
    """
    n = check_count(n, minimum=4)
    variance = 64.0 * (n - 3.0) ** 2 * (n - 1) / ((n + 1.0) ** 2 * (n + 3.0) * (n + 5.0))
    return -16.0 / (n + 1), float(np.sqrt(variance))


def coverage_error(sigma: Any, n: int) -> Any:
    """Standard error of the share of n bivariate normal codes inside their own kσ ellipse.

    Example:
        >>> round(float(coverage_error(2.0, 10_000)), 5)  # a binomial share has 0.00342
        0.00209
    """
    squared = np.square(np.asarray(sigma, dtype=np.float64))
    inside = np.asarray(expected_coverage(sigma))
    variance = inside * (1 - inside) - 0.25 * squared**2 * np.exp(-squared)
    return np.sqrt(variance / check_count(n))[()]


def check_pairs(pairs: Any, d: int) -> np.ndarray:
    """Return pairs of different components of d as integers (p, 2), or say what is wrong.

    Example:
        >>> check_pairs([(0, 2), (2, 1)], d=3).tolist()
        [[0, 2], [2, 1]]
    """
    listed = np.asarray(pairs)
    if listed.size == 0:
        return np.empty((0, 2), dtype=np.intp)
    if listed.ndim != 2 or listed.shape[1] != 2 or listed.dtype.kind not in "iu":
        raise InputError(
            f"pairs must be integers of shape (p, 2), got {listed.dtype} of shape {listed.shape}; "
            "pass a list like [(0, 1), (0, 2)]."
        )
    wrong = (listed[:, 0] == listed[:, 1]) | (listed < 0).any(axis=1) | (listed >= d).any(axis=1)
    if wrong.any():
        raise InputError(
            f"a pair must be two different components from 0 to {d - 1}, got "
            f"{tuple(listed[wrong][0].tolist())}; choose others."
        )
    return listed.astype(np.intp)


def varying_pairs(pairs: Any, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs (p, 2) and their correlations (p,), all of which have an ellipse.

    Raises:
        InputError: No such components; or a constant one; or two that are multiples.
    """
    listed = check_pairs(pairs, moments.d)
    i, j = listed.T
    r = moments.correlation()[i, j]
    flat = (1.0 - r**2 <= _COLLINEAR) | moments.constant[i] | moments.constant[j]
    if flat.any():
        raise InputError(
            "a pair must vary in two directions, got a constant component or multiples of one "
            f"another in {tuple(listed[flat][0].tolist())}; leave that pair out."
        )
    return listed, r


class _Standardise:
    """Components with mean 0 and variance 1; the mean's part below float32 is taken off after."""

    def __init__(self, moments: Moments) -> None:
        self._mean = moments.mean
        self._inverse = 1.0 / np.where(moments.constant, 1.0, moments.std)

    def __call__(self, block: np.ndarray, *, exact: bool = False) -> np.ndarray:
        dtype = np.dtype(np.float64) if exact else block.dtype
        near = self._mean.astype(dtype)
        u = np.subtract(block, near, dtype=dtype)
        u *= self._inverse.astype(dtype)
        u -= ((self._mean - near) * self._inverse).astype(dtype)
        return u


def _usable_pairs(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    i, j = np.triu_indices(moments.d, 1)
    r = moments.correlation()[i, j]
    usable = (1.0 - r**2 > _COLLINEAR) & ~moments.constant[i] & ~moments.constant[j]
    return np.stack([i[usable], j[usable]], axis=1), r[usable]


def _count(
    columns: np.ndarray,
    pairs: np.ndarray,
    r: np.ndarray,
    inverse: np.ndarray,
    limits: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Add the codes (columns of `columns`) within each limit of u_i² + (u_j - r u_i)² / (1 - r²)."""
    q, squares = np.empty_like(columns[0]), np.square(columns)
    inside = np.empty(len(q), dtype=bool)
    for p, (i, j) in enumerate(pairs.tolist()):
        np.multiply(columns[i], r[p], out=q)
        np.subtract(columns[j], q, out=q)
        q *= inverse[p]
        q *= q
        q += squares[i]
        for k, limit in enumerate(limits):
            np.less_equal(q, limit, out=inside)
            counts[p, k] += np.count_nonzero(inside)
