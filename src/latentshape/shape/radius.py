r"""Lengths of codes: from the origin, in uniform cubes, and from the mean after whitening.

*Euclidean radius* |z|. A uniform cube [-b, b]^d fills only a thin shell of radii, of mean
:math:`b\, c_d` and standard deviation :math:`b \sqrt{d/3 - c_d^2}` (about b sqrt(d/3) and
b / sqrt(15)), where exactly

.. math::
    c_d = \mathrm{E} \sqrt{\textstyle\sum x_j^2}
        = \frac{1}{2 \sqrt{\pi}} \int_0^\infty (1 - \psi(s)^d)\, s^{-3/2}\, ds, \qquad
    \psi(s) = \mathrm{E}\, e^{-s x^2} = \frac{\sqrt{\pi}\, \mathrm{erf} \sqrt{s}}{2 \sqrt{s}}.

The cube that matches a cloud *best* is the one of equal mean radius.

*Squared Mahalanobis radius* :math:`D^2 = (z - m)^T S^{-1} (z - m)`. With m and S estimated from n
normal codes of dimension d it does not follow :math:`\chi^2_d` exactly, but for the very codes of
the estimate, and for new ones,

.. math::
    \frac{n}{(n-1)^2} D^2 \sim \mathrm{Beta}\left(\tfrac d2, \tfrac{n-d-1}2\right), \qquad
    \frac{n (n-d)}{(n+1)(n-1) d} D^2_{\mathrm{new}} \sim F(d, n-d).

Its mean over the codes of the estimate is d (n-1) / n for *any* data, so only its spread speaks:
the *variance ratio* of observed to exact variance, 1 for a normal law, tells of the radius what
all the pairwise ellipses together hardly show.

References:
    Wilks, 1962, Mathematical Statistics, 18.4; Gnanadesikan & Kettenring, 1972,
    https://doi.org/10.2307/2528963
"""

__all__ = [
    "EuclideanRadii",
    "MahalanobisLaw",
    "MahalanobisRadii",
    "Running",
    "best_cube",
    "cube_radius",
    "mahalanobis_squared",
]

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from latentshape._checks import check_codes, check_count, check_positive, row_blocks
from latentshape.errors import InputError
from latentshape.shape.moments import Moments
from latentshape.shape.whitening import Whitening
from latentshape.shape.wide import WideMoments


def cube_radius(d: int, b: float = 1.0) -> tuple[float, float]:
    """Mean and standard deviation of the radius in the uniform cube [-b, b]^d.

    By quadrature over s = e^t; relative error of the mean below 1e-9.

    Example:
        >>> [round(v, 4) for v in cube_radius(1)]  # |x| is uniform on [0, 1]
        [0.5, 0.2887]
        >>> [round(v, 3) for v in cube_radius(256, b=1.5)]
        [13.851, 0.388]
    """
    mean = _unit_cube_mean(check_count(d, name="d"))
    variance = max(d / 3.0 - mean**2, 0.0)
    b = check_positive(b, name="b")
    return b * mean, b * float(np.sqrt(variance))


def best_cube(d: int, mean_radius: float) -> float:
    """The b of the uniform cube [-b, b]^d whose mean radius is `mean_radius`.

    Example:
        >>> round(best_cube(256, 13.851), 3)
        1.5
    """
    return float(mean_radius) / _unit_cube_mean(check_count(d, name="d"))


@lru_cache(maxsize=64)
def _unit_cube_mean(d: int) -> float:
    t = np.linspace(-60.0, 40.0, 8001)
    s = np.exp(t)
    root = np.sqrt(s)
    log_psi = np.log(np.sqrt(np.pi) / 2 * special.erf(root) / root)
    small = s < 1e-4  # there the quotient has lost its digits and the series has not
    log_psi[small] = -s[small] / 3 + 2 * s[small] ** 2 / 45
    integrand = -np.expm1(d * log_psi) * np.exp(-t / 2)
    body = integrand.sum() * (t[1] - t[0]) - (integrand[0] + integrand[-1]) * (t[1] - t[0]) / 2
    ends = 2 * np.exp(t[0] / 2) * d / 3 + 2 * np.exp(-t[-1] / 2)
    return float((body + ends) / (2 * np.sqrt(np.pi)))


@dataclass(frozen=True)
class MahalanobisLaw:
    """The exact law of squared Mahalanobis radii of normal codes about an estimated mean.

    Attributes:
        n: Codes that mean and covariance were estimated from, n > d + 1.
        d: Dimension.
        held_out: Whether the law is that of new codes (scaled F) or of the n themselves
            (scaled beta).

    Example:
        >>> law = MahalanobisLaw(n=100, d=4)
        >>> round(law.mean, 6), round(law.variance, 3)
        (3.96, 7.375)
        >>> round(float(law.cdf(law.quantile(0.95))), 6)
        0.95
    """

    n: int
    d: int
    held_out: bool = False

    def __post_init__(self) -> None:
        if self.n <= self.d + 1:
            raise InputError(
                f"the law of Mahalanobis radii needs n > d + 1, got n = {self.n}, d = {self.d}; "
                "use more codes or fewer components."
            )

    @property
    def name(self) -> str:
        """The law in words."""
        n, d = self.n, self.d
        if self.held_out:
            return f"{d}({n}+1)({n}-1)/({n}({n}-{d})) F({d}, {n - d})"
        return f"({n}-1)^2/{n} Beta({d}/2, {n - d - 1}/2)"

    @property
    def mean(self) -> float:
        """Expected squared radius; infinite for new codes when n = d + 2."""
        n, d = self.n, self.d
        if not self.held_out:
            return d * (n - 1) / n
        return d * (n - 1) * (n + 1) / (n * (n - d - 2)) if n > d + 2 else float("inf")

    @property
    def variance(self) -> float:
        """Variance of the squared radius; infinite for new codes when n <= d + 4."""
        a, b = self.d / 2, (self.n - self.d - 1) / 2
        if not self.held_out:
            return self._scale**2 * a * b / ((a + b) ** 2 * (a + b + 1))
        d, m = self.d, self.n - self.d
        if m <= 4:
            return float("inf")
        return self._scale**2 * 2 * m**2 * (d + m - 2) / (d * (m - 2) ** 2 * (m - 4))

    def cdf(self, squared: Any) -> Any:
        """Share of squared radii below `squared`."""
        d, m = self.d, self.n - self.d
        x = np.asarray(squared, dtype=np.float64) / self._scale
        if self.held_out:
            return special.fdtr(d, m, x)[()]
        return special.betainc(d / 2, (m - 1) / 2, np.clip(x, 0.0, 1.0))[()]

    def quantile(self, share: Any) -> Any:
        """The squared radius below which the given share lies."""
        d, m = self.d, self.n - self.d
        share = np.asarray(share, dtype=np.float64)
        if self.held_out:
            return (self._scale * special.fdtri(d, m, share))[()]
        return (self._scale * special.betaincinv(d / 2, (m - 1) / 2, share))[()]

    @property
    def _scale(self) -> float:
        n, d = self.n, self.d
        return d * (n + 1) * (n - 1) / (n * (n - d)) if self.held_out else (n - 1) ** 2 / n


class Running:
    """Count, mean and squared deviations of numbers seen block by block."""

    def __init__(self) -> None:
        self.n, self.mean, self.squares = 0, 0.0, 0.0

    def update(self, values: np.ndarray) -> None:
        """Add numbers, shape (m,)."""
        n = self.n + len(values)
        mean = float(values.mean(dtype=np.float64))
        delta = mean - self.mean
        deviations = values.astype(np.float64) - mean
        self.squares += float(deviations @ deviations) + delta**2 * self.n * len(values) / n
        self.mean += delta * len(values) / n
        self.n = n

    def variance(self, ddof: int = 1) -> float:
        """Variance with divisor n - ddof."""
        return self.squares / max(self.n - ddof, 1)


class EuclideanRadii:
    """Accumulate mean and spread of the lengths |z|; `radii` is a `Running`."""

    def __init__(self) -> None:
        self.radii = Running()

    def update(self, block: np.ndarray) -> None:
        """Add a block of codes, shape (rows, d)."""
        self.radii.update(np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64)))


class MahalanobisRadii:
    r"""Accumulate squared Mahalanobis radii :math:`D^2 = |y|^2` of whitened codes y.

    Attributes:
        squared: `Running` of D², and `radii` of D.
        origin: Squared Mahalanobis radius of the origin.
        inside: Codes whose radius is smaller than the origin's.
    """

    def __init__(self, moments: Moments | WideMoments) -> None:
        self.whiten = Whitening(moments)
        self.origin = float(np.square(moments.mean @ self.whiten.matrix).sum())
        self.squared, self.radii, self.inside = Running(), Running(), 0

    def of(self, block: np.ndarray) -> np.ndarray:
        """Return the squared radii of a block of codes, shape (rows,), float64."""
        y = self.whiten(block)
        return np.einsum("ij,ij->i", y, y).astype(np.float64)

    def update(self, block: np.ndarray) -> None:
        """Add a block of codes, shape (rows, d)."""
        squared = self.of(block)
        self.squared.update(squared)
        self.radii.update(np.sqrt(squared))
        self.inside += int((squared < self.origin).sum())


def mahalanobis_squared(z: Any, moments: Moments | WideMoments | None = None) -> np.ndarray:
    """Return the squared Mahalanobis radius of each code (n, d), shape (n,), float64.

    Example:
        >>> z = np.array([[1.0, 0], [-1, 0], [0, 2], [0, -2]])
        >>> mahalanobis_squared(z).round(6).tolist()
        [1.5, 1.5, 1.5, 1.5]
    """
    z = check_codes(z, min_samples=1, latent_dim=moments.d if moments else None, finite=False)
    radii = MahalanobisRadii(moments or Moments.of(z))
    return np.concatenate([radii.of(block) for block in row_blocks(z)])
