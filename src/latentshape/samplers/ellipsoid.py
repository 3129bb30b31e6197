r"""Inside one ellipsoid: the Gaussian cut off at a Mahalanobis radius R, or the uniform law.

.. math:: x = \mu + \rho\, A\, g / |g|, \qquad g \sim N(0, I_r), \quad A A^T = \Sigma, \quad \rho \le R

    gaussian:  P(ρ ≤ t) = P(r/2, t²/2) / P(r/2, R²/2)      cov = Σ P(r/2 + 1, R²/2) / P(r/2, R²/2)
    uniform:   P(ρ ≤ t) = (t/R)^r                          cov = Σ R² / (r + 2)

with the regularised incomplete gamma function P. Drawing normal codes until one lies inside is
hopeless where the ellipsoid is small (in 256 dimensions one in 10^20 at R = 10); the radius can be had
directly, at one cost for every R. P(128, R²/2) itself is below the least float under R = 0.6, so all
of this is done with logarithms,

.. math:: \log P(a, x) = a \log x - x - \log \Gamma(a + 1) + \log \sum_{m \ge 0}
    \frac{x^m}{(a + 1) \cdots (a + m)},

and what is inverted is a table of log ρ against log P(ρ ≤ t). Its error in log ρ is below 3e-7.
"""

__all__ = ["Ellipsoid"]

from typing import Any, ClassVar, final

import numpy as np
from scipy import linalg, special

from latentshape._checks import LARGEST, check_choice, check_fraction, check_positive
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.colouring import (
    in_all_directions,
    is_triangular,
    need_spread,
    need_volume,
)
from latentshape.samplers.noise import Noise
from latentshape.shape.moments import Moments

_KNOTS = 8192
_LEAST_LOG_SHARE = -38.0  # below the logarithm of the least uniform number, 2^-54
_BEYOND = 1e-17  # a chance that no uniform number tells from none


@final
class Ellipsoid(Sampler):
    """Draw from the ellipsoid of Mahalanobis radius R about the codes' mean.

    Args:
        law: `"gaussian"`, N(mean, cov) of the codes given that a code lies inside; or `"uniform"`.
        radius: R in standard deviations (Mahalanobis), above 0; None for that of `level`.
        level: Share of N(mean, cov) inside, above 0 and below 1; counts if `radius` is None.

    Attributes:
        radius_: R.
        factor_: A, shape (d, r), r the rank of the covariance.
        log_mass_: Logarithm of the share of N(mean, cov) inside.

    Raises:
        InputError: In `fit`, for options out of range, as many dimensions as codes, or equal codes.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((5000, 256))
        >>> x = Ellipsoid(radius=2.0).fit(z).sample(100)  # no code of z is as near
        >>> bool(np.linalg.norm(x, axis=1).max() < 2.1 < np.linalg.norm(z, axis=1).min())
        True
    """

    name = "ellipsoid"
    description = (
        "The multivariate normal fitted to the codes without its outskirts: no draw lies beyond a "
        "chosen Mahalanobis radius."
    )
    has_density: ClassVar[bool] = True

    radius_: float
    factor_: np.ndarray
    triangular_: bool
    log_mass_: float
    log_shares_: np.ndarray
    log_radii_: np.ndarray

    def __init__(
        self, law: str = "gaussian", radius: float | None = None, level: float = 0.95
    ) -> None:
        self.law = law
        self.radius = radius
        self.level = level

    def _fit(self, z: np.ndarray) -> None:
        uniform = check_choice(self.law, name="law", choices=("gaussian", "uniform")) == "uniform"
        radius = None if self.radius is None else check_positive(self.radius, name="radius")
        level = _check_level(self.level)
        self._need_covariance(
            len(z), z.shape[1], "use the sampler 'gaussian' with shrinkage or fewer components"
        )
        moments = Moments.of(z)
        self.factor_ = self._factor(moments)
        self.triangular_ = is_triangular(self.factor_)
        rank = self.factor_.shape[1]
        if radius is None:
            radius = float(np.sqrt(2 * special.gammaincinv(rank / 2, level)))
        self.radius_ = radius
        if uniform and radius * moments.std.max() > LARGEST:
            raise InputError(
                f"radius must keep uniform draws within single precision, got {radius:g} with standard "
                f"deviations up to {moments.std.max():g}; choose a smaller one."
            )
        log_radius = np.log(radius)
        self.log_mass_ = float(_log_chi(rank, log_radius))
        if uniform:
            # Straight lines: two knots are the whole law.
            self.log_shares_ = np.array([_LEAST_LOG_SHARE, 0.0])
            self.log_radii_ = log_radius + self.log_shares_ / rank
            log_variance = 2 * log_radius - np.log(rank + 2)
        else:
            self.log_shares_, self.log_radii_ = _tabulate(rank, log_radius)
            log_variance = float(_log_chi(rank + 2, log_radius)) - self.log_mass_
        self.mean_ = moments.mean
        self.cov_ = np.exp(log_variance) * (self.factor_ @ self.factor_.T)

    def _factor(self, moments: Moments) -> np.ndarray:
        factor = moments.factor()
        need_spread(self.name, moments.n, varied=factor.shape[1])
        return factor

    def _draw(self, noise: Noise) -> np.ndarray:
        log_share = np.log(noise.fine_uniform(1)[:, 0])
        rho = np.exp(np.interp(log_share, self.log_shares_, self.log_radii_))
        g = noise.normal(self.factor_.shape[1])
        return in_all_directions(g, rho, self.mean_, self.factor_, triangular=self.triangular_)

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        d = len(self.mean_)
        need_volume(self.name, d, triangular=self.triangular_)
        g = linalg.solve_triangular(self.factor_, (block - self.mean_).T, lower=True)
        squared = np.einsum("ij,ij->j", g, g)
        log_det = np.log(np.diag(self.factor_)).sum()
        if self.law == "uniform":
            log_ball = d / 2 * np.log(np.pi) - special.gammaln(d / 2 + 1)
            inside = np.full(len(block), -log_ball - d * np.log(self.radius_) - log_det)
        else:
            inside = -0.5 * squared - d / 2 * np.log(2 * np.pi) - log_det - self.log_mass_
        return np.where(np.sqrt(squared) <= self.radius_, inside, -np.inf)


def _check_level(level: Any) -> float:
    if check_fraction(level, name="level") in (0.0, 1.0):
        raise InputError(
            f"level must lie above 0 and below 1, got {level!r}; for an ellipsoid of a size of its "
            "own pass radius=..., for no limit use the sampler 'gaussian'."
        )
    return float(level)


def _log_chi(r: int, log_radius: np.ndarray | float) -> np.ndarray:
    """Log of the share of radii of N(0, I_r) up to the given ones: log P(r/2, radius²/2)."""
    a = r / 2
    log_x = 2 * np.minimum(np.asarray(log_radius, dtype=np.float64), 300.0) - np.log(2)
    x = np.exp(log_x)
    lower, upper = special.gammainc(a, x), special.gammaincc(a, x)
    # Each where it has its digits: the series where P or x is small, which is far below x = a.
    small = (lower < 1e-200) | (x < 1e-200)
    series = a * log_x - x - special.gammaln(a + 1) + _log_series(a, np.where(small, x, 0.0))
    near = np.where(
        lower > 0.5, np.log1p(-np.minimum(upper, 0.5)), np.log(np.maximum(lower, 1e-200))
    )
    return np.where(small, series, near)


def _log_series(a: float, x: np.ndarray) -> np.ndarray:
    """Log of 1 + x/(a + 1) + x²/((a + 1)(a + 2)) + ..., for x < a."""
    term, total, m = np.ones_like(x), np.ones_like(x), 0
    while (term > 1e-17 * total).any():
        m += 1
        term = term * (x / (a + m))
        total = total + term
    return np.log(total)


def _tabulate(r: int, log_radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-shares of the chi law cut off at a radius, ascending to 0, and the log-radii they end at."""
    top = min(log_radius, 0.5 * np.log(special.chdtri(r, _BEYOND)))
    # P(r/2, t²/2) <= (t²/2)^(r/2) / Γ(r/2 + 1): below this radius lies no share worth a knot.
    wanted = float(_log_chi(r, top)) + _LEAST_LOG_SHARE
    bottom = (wanted + special.gammaln(r / 2 + 1)) / r + 0.5 * np.log(2)
    # Even in log-radius for the power law near the centre, even in radius for the bell.
    even = top + np.log(np.linspace(np.exp(bottom - top), 1.0, _KNOTS))
    log_radii = np.unique(np.concatenate([np.linspace(bottom, top, _KNOTS), even]))
    log_shares = _log_chi(r, log_radii) - _log_chi(r, log_radius)
    log_shares[-1] = 0.0
    return log_shares, log_radii
