r"""Codes of many components: their covariance is applied, and never formed.

A covariance of d = 4,096 components has 134 MB, one of 16,384 has 2.1 GB, and most that is asked of it
takes d³ operations. What can be had of n codes without it costs O(n d) a question:

.. math::
    \Sigma v = \tfrac{1}{n - 1} X^T (X v), \qquad X = Z - 1 \mu^T, \qquad
    \tfrac{1}{n - 1} X X^T = U \Lambda U^T, \quad V = X^T U ((n - 1) \Lambda)^{-1/2}

The n x n matrix of products has the covariance's own eigenvalues, and gives its axes V exactly. Of more
than 5,000 codes the axes are those of 5,000, spread evenly, led to those of all by a few rounds of subspace
iteration (each reads all codes once), with a Rayleigh-Ritz step at the end.

**What is chosen from the codes themselves does not bend the tests.** With normal codes of *any* covariance
the coordinates along their own leading axes, whitened, are k orthonormal columns spread uniformly
(Haar's measure), as the whitened coordinates of any normal codes of dimension k are: to turn the n codes
among themselves leaves their law as it is. So the exact law of Mahalanobis radii, and every test that
goes by whitened codes, hold in k leading coordinates of n codes as for codes of dimension k, however many
components there are.

References:
    Halko, Martinsson & Tropp, 2011, https://doi.org/10.1137/090771806 (subspace iteration);
    Dawid, 1977, https://doi.org/10.1111/j.2517-6161.1977.tb01623.x (laws that a rotation of rows leaves)
"""

__all__ = ["WHOLE", "AnyMoments", "WideMoments", "moments_of", "participation", "principal_axes"]

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import linalg

from latentshape._checks import check_codes, row_blocks
from latentshape.shape.moments import ComponentMoments, Moments
from latentshape.shape.pca import PCA
from latentshape.shape.streaming import Progress

WHOLE = 1024
"""Components up to which a covariance is formed and every pair is looked at."""

_GRAM_CODES = 5000  # whose products with one another are formed: 200 MB
_ROUNDS = 4
_BLOCK = 2**22  # numbers of codes centred at a time: 16 MiB in float32


@dataclass(frozen=True, eq=False)
class WideMoments(ComponentMoments):
    """Number, mean and variances of codes whose covariance is not formed.

    What takes a `Moments` for its means and deviations alone takes this too.

    Attributes:
        n: Number of codes.
        mean: Mean, shape (d,), float64.
        variances: Of each component, with divisor n - 1, shape (d,), float64.
        z: The codes, shape (n, d); read again whenever the covariance is applied.

    Example:
        >>> z = np.array([[0.0, 0.0], [2.0, 4.0]])
        >>> m = WideMoments.of(z)
        >>> m.variances.tolist(), m.times(np.eye(2)).tolist(), m.part([1]).cov.tolist()
        ([2.0, 8.0], [[2.0, 4.0], [4.0, 8.0]], [[8.0]])
    """

    n: int
    mean: np.ndarray
    variances: np.ndarray
    z: np.ndarray
    _found: list[PCA] = field(default_factory=list, repr=False)
    _asked: list[int] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, z: Any, *, progress: Progress | None = None) -> "WideMoments":
        """Measure codes (n, d), n >= 2, finite, in one read."""
        z = check_codes(z, finite=False)
        shift = np.asarray(z[:: max(1, len(z) // 2048)][:2048], dtype=np.float64).mean(axis=0)
        near = shift.astype(np.float32).astype(np.float64)
        first, second = np.zeros(z.shape[1]), np.zeros(z.shape[1])
        with np.errstate(invalid="ignore", over="ignore"):
            for block in _pieces(z):
                b = block - near  # in float64
                first += b.sum(axis=0)
                second += np.einsum("ij,ij->j", b, b)
                if progress is not None:
                    progress(len(block))
        if not np.isfinite(second).all():
            check_codes(z)  # names the rows that are not finite
        variances = (second - first**2 / len(z)) / (len(z) - 1)
        return cls(len(z), near + first / len(z), np.maximum(variances, 0.0), z)

    @property
    def total(self) -> float:
        """Sum of all variances: the trace of the covariance."""
        return float(self.variances.sum())

    def times(self, v: np.ndarray) -> np.ndarray:
        """The covariance times vectors (d, m), shape (d, m), float64; one read of the codes."""
        found = np.zeros(v.shape)
        for x in self.centred():
            found += x.T @ (x @ v.astype(x.dtype))
        return found / (self.n - 1)

    def part(self, components: Any) -> Moments:
        """Moments of some components alone, with their covariance.

        Args:
            components: Their numbers, shape (m,).
        """
        return Moments.of(np.asarray(self.z[:, list(components)]))

    def leading_axes(self, most: int) -> PCA:
        """`principal_axes` of these codes; found once for the most that were asked for."""
        if not self._found or (self._asked[0] < most):
            self._found[:] = [principal_axes(self, most)]
            self._asked[:] = [most]
        pca = self._found[0]
        return PCA(pca.mean, pca.axes[:most], pca.eigenvalues[:most], pca.total)

    def centred(self) -> Any:
        """The codes about their mean, in blocks of rows, in their own precision."""
        for block in _pieces(self.z):
            yield (block - self.mean.astype(block.dtype)).astype(block.dtype, copy=False)


AnyMoments = Moments | WideMoments
"""Mean and variances at least."""


def moments_of(z: Any, *, whole: int = WHOLE) -> AnyMoments:
    """`Moments` of codes of at most `whole` components, `WideMoments` of more."""
    z = check_codes(z, finite=False)
    return Moments.of(z) if z.shape[1] <= whole else WideMoments.of(z)


def principal_axes(moments: WideMoments, most: int) -> PCA:
    """The leading principal axes of codes.

    Args:
        moments: Of the codes, which they hold.
        most: How many axes; fewer where the codes span fewer.

    Returns:
        A `PCA` of k <= `most` axes, shape (k, d).

    Example:
        >>> z = np.random.default_rng(0).standard_normal((50, 3)) @ np.diag([5.0, 2.0, 1.0])
        >>> mine, all_ = principal_axes(WideMoments.of(z), 2), PCA.of(Moments.of(z))
        >>> bool(np.allclose(mine.axes, all_.axes[:2])), bool(np.allclose(mine.std, all_.std[:2]))
        (True, True)
    """
    if moments.n <= _GRAM_CODES:
        values, axes = _by_products(moments, most)
        return _signed(moments, values, axes)
    rows = np.linspace(0, moments.n - 1, _GRAM_CODES).round().astype(np.intp)
    _, axes = _by_products(WideMoments.of(np.asarray(moments.z[rows])), most)
    for _ in range(_ROUNDS - 1):
        axes = linalg.qr(moments.times(axes.T), mode="economic")[0].T
    spread = moments.times(axes.T)
    values, turn = linalg.eigh(axes @ spread)
    return _signed(moments, values[::-1], turn[:, ::-1].T @ axes)


def participation(moments: WideMoments) -> float:
    r"""Effective dimension :math:`(\sum \lambda)^2 / \sum \lambda^2` over all eigenvalues.

    Of more than 5,000 codes that of 5,000. With n codes it cannot exceed n - 1: to be read beside a
    control of as many.
    """
    if moments.n > _GRAM_CODES:
        rows = np.linspace(0, moments.n - 1, _GRAM_CODES).round().astype(np.intp)
        moments = WideMoments.of(np.asarray(moments.z[rows]))
    squares = float(np.square(_products(moments), dtype=np.float64).sum())
    return moments.total**2 / squares if squares > 0 else 0.0


def _pieces(z: np.ndarray) -> Any:
    return row_blocks(z, rows=max(64, min(4096, _BLOCK // z.shape[1])))


def _products(moments: WideMoments) -> np.ndarray:
    """X X' / (n - 1), shape (n, n), in the codes' precision: components are taken in groups."""
    n, d = moments.n, moments.d
    found = np.zeros((n, n), dtype=np.result_type(moments.z.dtype, np.float32))
    step = max(1, 2 * _BLOCK // n)
    for start in range(0, d, step):
        some = slice(start, start + step)
        mean = moments.mean[some]
        x = np.asarray(moments.z[:, some])
        x = np.subtract(x, mean.astype(x.dtype), dtype=found.dtype)
        found += x @ x.T
    found /= n - 1
    return found


def _by_products(moments: WideMoments, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (k,), falling, and axes (k, d)."""
    n = moments.n
    most = min(most, n - 1, moments.d)
    values, vectors = linalg.eigh(
        _products(moments), subset_by_index=(n - most, n - 1), overwrite_a=True, check_finite=False
    )
    values, vectors = values[::-1].astype(np.float64), vectors[:, ::-1]
    keep = values > 10 * np.finfo(vectors.dtype).eps * n**0.5 * max(values[0], 0.0)
    values, vectors = values[keep], vectors[:, keep]
    axes = np.zeros((len(values), moments.d))
    start = 0
    for x in moments.centred():
        axes += vectors[start : start + len(x)].T @ x
        start += len(x)
    # Orthonormal but for rounding: mended, and turned as little as can be.
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    axes /= np.where(lengths > 0, lengths, 1.0)
    q, r = linalg.qr(axes.T, mode="economic")
    return values, (q * np.sign(np.diag(r))).T


def _signed(moments: WideMoments, values: np.ndarray, axes: np.ndarray) -> PCA:
    """The sign of each axis as `PCA` has it."""
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes = axes * np.sign(largest)
    return PCA(moments.mean, axes, np.maximum(values, 0.0), moments.total)
