r"""Mardia's tests: the skewness and kurtosis of a whole cloud, exact on every row.

With codes whitened by their own mean and their covariance of divisor n,

.. math::
    b_1 = n^{-2} \sum_{ij} (y_i \cdot y_j)^3 = \sum_{abc} T_{abc}^2, \qquad
    T_{abc} = n^{-1} \sum_i y_{ia} y_{ib} y_{ic}, \qquad b_2 = n^{-1} \sum_i |y_i|^4 .

The double sum costs n² d, the third-moment tensor T n d³ / 3: linear in n. They are the same number
and the cheaper one is taken. Of the symmetric T only the tiles A >= B >= C (of 16 components each)
are kept, and the square of a tile is counted as often as its three names can be ordered: 6, 3 or 1
times. The tiles are dealt out to workers, each of which reads all rows: so a worker shares nothing,
needs no more memory when n grows, and the sums are the same to the last bit for any number of
workers. Where T is larger than 32 MiB (d > 272) it is done in parts, one read for each.

Products are formed in the codes' own precision and summed in float64. A cubic statistic is thrown
off by a mean or a covariance that is only nearly right, so the whitened codes are measured once more
and whitened again with what was left over.

Under normality n b₁ / 6 is nearly :math:`\chi^2` and b₂ nearly normal. Both are used with the exact
mean they have at finite n (and b₂ with its exact variance): where d is large, the limits are
far off even at n = 10,000.

References:
    Mardia, 1970, https://doi.org/10.1093/biomet/57.3.519
    Mardia, Applications of some measures of multivariate skewness and kurtosis in testing normality
    and robustness studies, Sankhya B 36, 1974, 115-128
"""

__all__ = [
    "Mardia",
    "MardiaKurtosis",
    "MardiaSkewness",
    "ThirdMoments",
    "mardia",
    "mardia_stream",
    "skewness_by_pairs",
    "skewness_by_tensor",
]

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from math import ceil, fsum
from typing import Any, TypeVar

import numpy as np
from scipy import special

from latentshape._checks import check_codes, check_count, row_blocks
from latentshape.errors import InputError
from latentshape.shape.moments import Moments, MomentSums
from latentshape.shape.streaming import stream
from latentshape.shape.whitening import Whitening

T = TypeVar("T")

_TILE = 16
_TENSOR_ROWS = 1024
_PAIR_ROWS = 1024
_PART_BYTES = 32 * 2**20
_KEPT_BYTES = 64 * 2**20


@dataclass(frozen=True)
class MardiaSkewness:
    r"""Mardia's multivariate skewness b₁ of n codes, and its law under normality.

    Attributes:
        n: Codes.
        d: Dimension.
        b1: :math:`b_1 \ge 0`.

    Example:
        >>> skewness = MardiaSkewness(n=50, d=4, b1=3.079721)  # Iris setosa
        >>> skewness.dof, round(skewness.statistic, 3), round(skewness.pvalue, 4)
        (20, 27.86, 0.1128)
    """

    n: int
    d: int
    b1: float

    @property
    def expected(self) -> float:
        """The exact mean of b₁ under normality (Mardia, 1974); d (d+1) (d+2) / n for large n."""
        n, d = self.n, self.d
        return d * (d + 2) * ((n + 1) * (d + 1) - 6) / ((n + 1) * (n + 3))

    @property
    def dof(self) -> int:
        """Degrees of freedom, d (d+1) (d+2) / 6."""
        return self.d * (self.d + 1) * (self.d + 2) // 6

    @property
    def statistic(self) -> float:
        """The skewness as n b₁ / 6, with the factor that makes its mean under normality exactly `dof`."""
        return self.dof * self.b1 / self.expected

    @property
    def pvalue(self) -> float:
        r"""Share of :math:`\chi^2_{dof}` above the statistic.

        Its mean is exact and its variance a little small: the simulated variance was 1.09 times as
        large at n = 60, d = 20, and 1.15 times at n = 400, d = 16.
        """
        return float(special.chdtrc(self.dof, self.statistic))

    @property
    def effect(self) -> float:
        r"""Excess skewness :math:`b_1 - E_0 b_1`: free of n, and of d.

        It estimates :math:`|E\, yyy|^2`, the squared skewness summed over independent directions:
        one direction of skewness g adds g² whatever the dimension around it.
        """
        return self.b1 - self.expected

    @property
    def effect_error(self) -> float:
        """Standard deviation of the effect under normality."""
        return float(np.sqrt(2.0 / self.dof)) * self.expected


@dataclass(frozen=True)
class MardiaKurtosis:
    r"""Mardia's multivariate kurtosis b₂ of n codes, and its law under normality.

    Attributes:
        n: Codes, n > d + 1.
        d: Dimension.
        b2: Mean fourth power of the whitened length.

    Example:
        >>> kurtosis = MardiaKurtosis(n=10_000, d=4, b2=30.0)
        >>> round(kurtosis.effect, 3), round(kurtosis.statistic, 1)
        (0.25, 43.4)
    """

    n: int
    d: int
    b2: float

    @property
    def expected(self) -> float:
        """The exact mean of b₂ under normality, d (d+2) (n-1) / (n+1)."""
        return self.d * (self.d + 2) * (self.n - 1) / (self.n + 1)

    @property
    def variance(self) -> float:
        """The exact variance of b₂ under normality (Mardia, 1974); 8 d (d+2) / n for large n."""
        n, d = self.n, self.d
        ratio = (n - 3) * (n - d - 1) * (n - d + 1) / ((n + 1) ** 2 * (n + 3) * (n + 5))
        return 8 * d * (d + 2) * ratio

    @property
    def statistic(self) -> float:
        """b₂ standardised by its exact mean and variance: nearly N(0, 1) under normality."""
        return float((self.b2 - self.expected) / np.sqrt(self.variance))

    @property
    def pvalue(self) -> float:
        """Share of N(0, 1) further from 0 than the statistic, on both sides."""
        return float(2 * special.ndtr(-abs(self.statistic)))

    @property
    def effect(self) -> float:
        r"""Relative excess kurtosis :math:`b_2 / E_0 b_2 - 1`: free of n, and of d.

        For an elliptical law it estimates the kurtosis parameter: 0 for the normal law,
        :math:`2 / (\nu - 4)` for Student's t with :math:`\nu` degrees of freedom.
        """
        return self.b2 / self.expected - 1

    @property
    def effect_error(self) -> float:
        """Standard deviation of the effect under normality."""
        return float(np.sqrt(self.variance)) / self.expected


@dataclass(frozen=True)
class Mardia:
    """Mardia's two tests of the same codes: `skewness` and `kurtosis`."""

    skewness: MardiaSkewness
    kurtosis: MardiaKurtosis


def mardia(z: Any, moments: Moments | None = None, *, workers: int = 1) -> Mardia:
    """Return Mardia's skewness and kurtosis of codes, exact on all rows.

    Args:
        z: Codes, shape (n, d), n > d + 1; an array or memory map. The result is the same for any
            invertible linear map of them.
        moments: Their mean and covariance, where these are known already.
        workers: Threads; keep BLAS at one thread each.

    Raises:
        InputError: The codes are too few or their covariance has no inverse.

    Example:
        >>> z = np.random.default_rng(0).exponential(size=(5000, 3))  # skewness 2, three times
        >>> test = mardia(z)
        >>> round(test.skewness.effect), test.skewness.pvalue < 1e-99
        (12, True)
    """
    z = check_codes(z, latent_dim=moments.d if moments else None, finite=moments is not None)
    return mardia_stream(lambda: row_blocks(z), moments or Moments.of(z), workers=workers)


def mardia_stream(
    read: Callable[[], Iterable[np.ndarray]], moments: Moments, *, workers: int = 1
) -> Mardia:
    """Return Mardia's skewness and kurtosis of codes that are read in blocks.

    Args:
        read: Starts a read: returns the blocks of codes, shapes (rows, d). It is called once to
            whiten exactly and once by every worker, each time giving the same codes (as
            `GaussianControl.blocks` does).
        moments: Mean and covariance of these very codes.
        workers: Threads; keep BLAS at one thread each.

    Raises:
        InputError: The codes are too few or their covariance has no inverse.
    """
    workers = check_count(workers, name="workers")
    n, d = moments.n, moments.d
    if n == d + 1:
        raise InputError(
            f"Mardia's tests need n > d + 1, got n = {n}, d = {d} (where all radii are the same); "
            "use more codes or fewer components."
        )
    whiten = _ExactWhitening(read, moments)

    def read_whitened() -> Iterable[np.ndarray]:
        # In the pieces in which they are used: every worker has its own.
        return (whiten(part) for block in read() for part in row_blocks(block, _TENSOR_ROWS))

    radii = _FourthPowers()
    if _pairs_are_cheaper(n, d) and 4 * n * d <= _KEPT_BYTES:
        y = np.concatenate(list(read_whitened()))
        radii.update(y)
        b1 = skewness_by_pairs(y, workers=workers)
    else:
        b1 = _tensor_norm(read_whitened, d, workers, radii)
    return Mardia(MardiaSkewness(n, d, b1), MardiaKurtosis(n, d, radii.sum / n))


def skewness_by_tensor(y: Any, *, workers: int = 1) -> float:
    r"""Return :math:`\sum_{abc} T_{abc}^2` of whitened codes as they are, by the tensor T.

    Args:
        y: Codes, shape (n, d), whitened with divisor n; nothing is subtracted or scaled.
        workers: Threads; keep BLAS at one thread each.

    Example:
        >>> y = np.array([[2.0], [-1.0], [-1.0]])
        >>> skewness_by_tensor(y), skewness_by_pairs(y)  # the third moment is 2
        (4.0, 4.0)
    """
    y = check_codes(y, name="y", min_samples=1)
    workers = check_count(workers, name="workers")
    return _tensor_norm(lambda: row_blocks(y), y.shape[1], workers)


def skewness_by_pairs(y: Any, *, workers: int = 1) -> float:
    r"""Return :math:`n^{-2} \sum_{ij} (y_i \cdot y_j)^3` of whitened codes as they are.

    The same number as `skewness_by_tensor`, in time n² d.

    Args:
        y: Codes, shape (n, d), whitened with divisor n; nothing is subtracted or scaled.
        workers: Threads; keep BLAS at one thread each.
    """
    y = check_codes(y, name="y", min_samples=1)
    workers = check_count(workers, name="workers")
    tiles = list(row_blocks(y, _PAIR_ROWS))

    def one_row_of_tiles(i: int) -> float:
        total = 0.0
        for j in range(i, len(tiles)):
            product = tiles[i] @ tiles[j].T
            rows = np.einsum("ij,ij->i", product * product, product)
            total += (1 if i == j else 2) * float(rows.sum(dtype=np.float64))
        return total

    return fsum(_mapped(one_row_of_tiles, range(len(tiles)), workers)) / len(y) ** 2


class ThirdMoments:
    """Accumulate the tensor of third moments of whitened codes, or a part of it.

    Args:
        d: Dimension.
        part: Which part, from 0.
        parts: How many parts the tensor is cut into, of about equal cost.

    Attributes:
        n: Codes seen so far.

    Example:
        >>> sums = ThirdMoments(2)
        >>> sums.update(np.array([[1.0, 0.0], [1.0, 2.0]]))
        >>> sums.squared_norm()  # T_000 = 1, T_001 = 1 (3 times), T_011 = 2 (3 times), T_111 = 4
        32.0
    """

    def __init__(self, d: int, *, part: int = 0, parts: int = 1) -> None:
        self.n = 0
        tiles = [slice(start, min(start + _TILE, d)) for start in range(0, d, _TILE)]
        self._tiles = tiles
        self._sums = {
            (a, b): np.zeros((_width(tiles[a]), _width(tiles[b]), tiles[b].stop))
            for a, b in _dealt(len(tiles), part, parts)
        }

    def update(self, block: np.ndarray) -> None:
        """Add a block of whitened codes, shape (rows, d)."""
        for start in range(0, len(block), _TENSOR_ROWS):
            # Components in rows, so that products of two of them run along memory.
            self._add(np.ascontiguousarray(block[start : start + _TENSOR_ROWS].T))
        self.n += len(block)

    def _add(self, columns: np.ndarray) -> None:
        rows = columns.shape[1]
        scratch = np.empty((_TILE, _TILE, rows), dtype=columns.dtype)
        for (a, b), total in self._sums.items():
            left, right = columns[self._tiles[a]], columns[self._tiles[b]]
            products = scratch[: len(left), : len(right)]
            np.multiply(left[:, None], right[None], out=products)
            flat = products.reshape(-1, rows)
            total += (flat @ columns[: total.shape[2]].T).reshape(total.shape)

    def squared_norm(self) -> float:
        """Sum of squares of the tensor's entries, or of those in this part."""
        return fsum(self.tile_norms())

    def tile_norms(self) -> Iterator[float]:
        """Yield the sum of squares of each tile, times the number of orders of its three names."""
        for (a, b), total in self._sums.items():
            squares = np.einsum("abc,abc->c", total, total) / self.n**2
            for c in range(b + 1):
                orders = {1: 1, 2: 3, 3: 6}[len({a, b, c})]
                yield orders * float(squares[self._tiles[c]].sum())


class _FourthPowers:
    """Accumulate the fourth powers of the lengths of whitened codes."""

    def __init__(self) -> None:
        self.sum = 0.0

    def update(self, block: np.ndarray) -> None:
        squared = np.einsum("ij,ij->i", block, block).astype(np.float64)
        self.sum += float(squared @ squared)


class _ExactWhitening:
    """Whitens so that mean 0 and covariance I (divisor n) hold for what comes out.

    What goes in is whitened by its moments; what then is left of a mean and of a covariance, by
    rounding or because the moments are float32 sums, is measured and taken off as well.
    """

    def __init__(self, read: Callable[[], Iterable[np.ndarray]], moments: Moments) -> None:
        n = moments.n
        self._first = Whitening(moments)
        left = MomentSums(np.zeros(moments.d))
        stream(self._first.blocks(read()), left)
        if left.n != n:
            raise InputError(
                f"the moments must be those of the codes, got moments of {n} codes and {left.n} codes; "
                "pass Moments.of(z) of the same z."
            )
        rest = left.result()
        if np.abs(rest.mean).max() > 0.1 or np.abs(rest.cov - np.eye(moments.d)).max() > 0.1:
            raise InputError(
                "the moments must be those of the codes, got codes that they do not whiten; pass "
                "Moments.of(z) of the same z (in float64 where components almost coincide)."
            )
        self._second = Whitening(Moments(n, rest.mean, rest.cov * ((n - 1) / n)))

    def __call__(self, block: np.ndarray) -> np.ndarray:
        return self._second(self._first(block))


def _tensor_norm(
    read: Callable[[], Iterable[np.ndarray]],
    d: int,
    workers: int,
    also: _FourthPowers | None = None,
) -> float:
    """Squared norm of the third-moment tensor; the first part's read feeds `also` too."""
    tiles = ceil(d / _TILE)
    size = 8 * _TILE**3 * tiles * (tiles + 1) * (tiles + 2) // 6
    parts = workers * ceil(size / (workers * _PART_BYTES))
    parts = min(parts, tiles * (tiles + 1) // 2)

    def one_part(part: int) -> list[float]:
        sums = ThirdMoments(d, part=part, parts=parts)
        extra = [also] if also is not None and part == 0 else []
        stream(read(), sums, *extra)
        return list(sums.tile_norms())

    # Rounded once, so that the number of parts does not show in the last digit.
    return fsum(chain.from_iterable(_mapped(one_part, range(parts), workers)))


def _dealt(tiles: int, part: int, parts: int) -> list[tuple[int, int]]:
    """The pairs of tiles (a, b), a >= b, of one part; pair (a, b) costs b + 1."""
    pairs = [(a, b) for a in range(tiles) for b in range(a + 1)]
    cost = np.cumsum([b + 1 for _, b in pairs])
    owner = (cost - 1) * parts // cost[-1]
    return [pair for pair, whose in zip(pairs, owner, strict=True) if whose == part]


def _width(tile: slice) -> int:
    return int(tile.stop - tile.start)


def _pairs_are_cheaper(n: int, d: int) -> bool:
    return 3 * n < d**2  # where the two were found to cost the same, at d = 256


def _mapped(job: Callable[[int], T], items: range, workers: int) -> list[T]:
    """The results of a job for each item, by so many threads."""
    if workers == 1:
        return [job(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(job, items))
