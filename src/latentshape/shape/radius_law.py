r"""The law of the Mahalanobis radius, and what it foretells of the planes.

An elliptical cloud is a uniform direction times a radius, y = R u, and whitening leaves nothing but
the law of R to be found. It is given here in three ways.

*Quantiles* of R beside those of the exact law of normal codes and of the control (a Q-Q plot).

*One number*: the degrees of freedom :math:`\nu` of a multivariate t (a normal law whose scale is
drawn anew for each code) that fits the radii best by maximum likelihood,

.. math::
    \frac{R^2}{\nu s^2} \sim \mathrm{BetaPrime}\left(a, b\right), \quad a = \tfrac d2, b = \tfrac \nu2,
    \qquad
    I = n \begin{pmatrix} \psi_1(b) - \psi_1(a + b) & -a / (a + b) \\
                          -a / (a + b) & a b / (a + b + 1) \end{pmatrix}

the Fisher information of :math:`(b, \log \nu s^2)`, of which the standard error is read.

*A smooth law* that follows the codes' own quantiles and goes on beyond the outermost ones as that t
does (a power, or chi): a monotone map of log radius onto log radius, of slope one at both ends. A t is
refuted where this law foretells held-out radii better.

**Planes.** The squared length of two coordinates of a uniform direction is Beta(1, (d - 2)/2), and the
kσ ellipse of *any* pair of components holds, in whitened coordinates, the same ball of a plane, so that
an elliptical cloud has exactly

.. math::
    P_k = \mathrm{E}\left[ 1 - (1 - \min(1, k^2 / R^2))^{(d - 2)/2} \right]

inside each of them. Whitening fixes :math:`\mathrm{E} R^2`, and for a scale w that varies a little
about 1 the share :math:`1 - e^{-k^2 / 2w}` changes by :math:`e^{-q} (2q - q^2) \mathrm{var}(w) / 2` with
:math:`q = k^2/2`: more than a normal law inside k < 2, less beyond, *nothing at k = 2*. Two sigma is
the blind spot of planes.

References:
    Fang, Kotz & Ng, 1990, Symmetric Multivariate and Related Distributions, ch. 2;
    Lange, Little & Taylor, 1989, https://doi.org/10.2307/2290063
"""

__all__ = [
    "QQ_LEVELS",
    "Radii",
    "RadiusLaw",
    "TFit",
    "fit_t",
    "predicted_coverage",
    "radius_law",
]

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import interpolate, optimize, special

from latentshape._checks import check_codes, check_count, check_seed, row_blocks
from latentshape.errors import InputError
from latentshape.shape.control import GaussianControl
from latentshape.shape.ellipses import SIGMAS, PairCoverage, expected_coverage
from latentshape.shape.moments import Moments
from latentshape.shape.radius import MahalanobisLaw, MahalanobisRadii
from latentshape.shape.streaming import Progress, stream

MAX_RADII = 4_000_000
"""Radii kept (32 MB); of more codes a uniform subsample is, and the record says so."""

QQ_LEVELS = (
    0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, *(k / 20 for k in range(2, 19)),
    0.95, 0.975, 0.99, 0.995, 0.999, 0.9999,
)  # fmt: skip
"""Shares of the codes at which radii are compared with those of other laws."""

_BINS = 2**17
_LEAST_NU, _MOST_NU = 0.1, 1e5
_TABLE = 4097


class Radii:
    """Accumulate the Mahalanobis radii of codes, of more than `limit` a uniform subsample.

    Args:
        moments: Mean and covariance of the codes, invertible.
        limit: The greatest number of radii to keep, 8 bytes each.
        seed: Which subsample.
    """

    def __init__(self, moments: Moments, *, limit: int = MAX_RADII, seed: int = 0) -> None:
        self._squared = MahalanobisRadii(moments)
        self._kept = np.empty(min(moments.n, limit))
        # A little under the limit, so that a lucky draw does not overflow it.
        self._share = 1.0 if moments.n <= limit else (limit - 5 * math.sqrt(limit)) / moments.n
        self._rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, 2))))
        self.n_total = self.n_used = 0

    def update(self, block: np.ndarray) -> None:
        """Add a block of codes, shape (rows, d)."""
        self.n_total += len(block)
        radii = np.sqrt(self._squared.of(block))
        if self._share < 1.0:
            radii = radii[self._rng.random(len(radii)) < self._share]
        radii = radii[: len(self._kept) - self.n_used]
        self._kept[self.n_used : self.n_used + len(radii)] = radii
        self.n_used += len(radii)

    def result(self) -> np.ndarray:
        """Return the radii in ascending order, shape (n_used,), float64."""
        radii = self._kept[: self.n_used]
        radii.sort()
        return radii


@dataclass(frozen=True)
class TFit:
    r"""The multivariate t that fits Mahalanobis radii best.

    Attributes:
        nu: Degrees of freedom; infinite where no tail is heavier than a normal law's.
        nu_error: Its standard error (infinite with it).
        inverse_nu, inverse_nu_error: 1/ν, 0 for a normal law, and its standard error: the scale on
            which a normal law lies at a finite distance.
        scale: s; the covariance of whitened codes under this law is :math:`s^2 \nu / (\nu - 2)` I.
        d: Dimension.
    """

    nu: float
    nu_error: float
    inverse_nu: float
    inverse_nu_error: float
    scale: float
    d: int

    def log_density(self, radii: Any) -> np.ndarray:
        """Log-density of the radius, in nats."""
        return _log_density(np.asarray(radii, dtype=np.float64), self.d, self.nu, self.scale)

    def cdf(self, radii: Any) -> np.ndarray:
        """Share of radii below the given ones."""
        squared = np.square(np.asarray(radii, dtype=np.float64) / self.scale)
        if math.isinf(self.nu):
            return special.gammainc(self.d / 2, squared / 2)
        return special.betainc(self.d / 2, self.nu / 2, squared / (self.nu + squared))

    def quantile(self, shares: Any) -> np.ndarray:
        """The radii below which the given shares lie."""
        shares = np.asarray(shares, dtype=np.float64)
        a = self.d / 2
        if math.isinf(self.nu):
            return self.scale * np.sqrt(2 * special.gammaincinv(a, shares))
        # From the nearer end, so that a small remainder keeps its digits.
        near = special.betaincinv(a, self.nu / 2, shares)
        rest = special.betaincinv(self.nu / 2, a, 1.0 - shares)
        odds = np.where(shares < 0.5, near / (1.0 - near), (1.0 - rest) / rest)
        return self.scale * np.sqrt(self.nu * odds)


def fit_t(radii: Any, d: int) -> TFit:
    """Fit a multivariate t to Mahalanobis radii by maximum likelihood.

    Of more than 131,072 radii as many bins of equal ratio are made first; their width is far below
    any width of the law.

    Args:
        radii: Shape (n,), n >= 2, not negative, not all equal.
        d: Dimension of the codes.

    Raises:
        InputError: The radii are not such numbers.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.standard_normal((20_000, 8)) * np.sqrt(6 / rng.chisquare(6, (20_000, 1)))
        >>> fit = fit_t(np.linalg.norm(z, axis=1), 8)
        >>> abs(fit.nu - 6) < 3 * fit.nu_error, round(fit.nu_error, 2)
        (True, 0.09)
    """
    radii, d = _check_radii(radii), check_count(d, name="d")
    values, weights = _binned(radii)
    squares = np.square(values)

    def scale_at(nu: float) -> float:
        return _scale(squares, weights, d, nu)

    def loss(log_nu: float) -> float:
        nu = math.exp(log_nu)
        return -float(weights @ _log_density(values, d, nu, scale_at(nu)))

    found = optimize.minimize_scalar(
        loss, bounds=(math.log(_LEAST_NU), math.log(_MOST_NU)), method="bounded",
        options={"xatol": 1e-6},
    )  # fmt: skip
    nu = math.exp(found.x)
    normal_scale = math.sqrt(float(weights @ squares) / d)
    normal = -float(weights @ _log_density(values, d, math.inf, normal_scale))
    if normal <= found.fun or nu > 0.9 * _MOST_NU:
        error = _inverse_nu_error(len(radii), d, 1e4)
        return TFit(math.inf, math.inf, 0.0, error, normal_scale, d)
    error = _inverse_nu_error(len(radii), d, min(nu, 1e4))
    return TFit(nu, nu**2 * error, 1 / nu, error, scale_at(nu), d)


class RadiusLaw:
    """A smooth law of the radius: the codes' own quantiles, continued as the t fitted to them.

    Args:
        radii: Shape (n,), not negative.
        d: Dimension of the codes.

    Attributes:
        t: The `TFit` that it bends and continues.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> law = RadiusLaw(np.sqrt(rng.chisquare(16, 10_000)), 16)
        >>> [round(float(r), 1) for r in law.quantile([0.05, 0.5, 0.95])]
        [2.8, 3.9, 5.1]
    """

    def __init__(self, radii: Any, d: int) -> None:
        radii = np.sort(_check_radii(radii))
        self.t = fit_t(radii, d)
        n = len(radii)
        # Ten codes beyond the outermost knots; few enough knots that a gap holds hundreds of codes.
        end = special.ndtri(min(10 / n, 0.25))
        knots = 2 * round(n**0.3) + 3
        shares = special.ndtr(np.linspace(end, -end, knots))
        own = np.log(_quantiles(radii, shares))
        wanted = np.log(self.t.quantile(shares))
        keep = np.concatenate([[True], np.diff(own) > 1e-9])
        if keep.sum() < 2:
            own, wanted = np.array([own[0] - 1e-6, own[0] + 1e-6]), wanted[[0, -1]]
        else:
            own, wanted = own[keep], wanted[keep]
        self._own = np.linspace(own[0], own[-1], _TABLE)
        bend = interpolate.PchipInterpolator(own, wanted)
        self._wanted = bend(self._own)
        self._slope = np.maximum(bend.derivative()(self._own), 1e-9)

    def cdf(self, radii: Any) -> np.ndarray:
        """Share of radii below the given ones."""
        return self.t.cdf(np.exp(self._straighten(_log(radii))))

    def quantile(self, shares: Any) -> np.ndarray:
        """The radii below which the given shares (0 to 1) lie."""
        return np.exp(_continued(np.log(self.t.quantile(shares)), self._wanted, self._own))

    def log_density(self, radii: Any) -> np.ndarray:
        """Log-density of the radius, in nats."""
        y = _log(radii)
        x = self._straighten(y)
        slope = np.interp(y, self._own, self._slope, left=1.0, right=1.0)
        return self.t.log_density(np.exp(x)) + x - y + np.log(slope)

    def density(self, radii: Any) -> np.ndarray:
        """Density of the radius."""
        return np.exp(self.log_density(radii))

    def _straighten(self, y: np.ndarray) -> np.ndarray:
        return _continued(y, self._own, self._wanted)


def predicted_coverage(radii: Any, d: int, sigmas: Any = SIGMAS) -> np.ndarray:
    """Share inside the kσ ellipse of any pair, were the cloud elliptical with these radii.

    Args:
        radii: Mahalanobis radii of all d components, shape (n,).
        d: Dimension of the codes, at least 2.
        sigmas: The levels k, shape (m,).

    Returns:
        Shape (m,), each from 0 to 1.

    Example:
        >>> radii = np.sqrt(np.random.default_rng(0).chisquare(64, 100_000))
        >>> predicted_coverage(radii, 64, (1, 2, 3)).round(3).tolist()  # a normal law's
        [0.393, 0.865, 0.989]
    """
    radii, d = _check_radii(radii), check_count(d, name="d", minimum=2)
    levels = np.atleast_1d(np.square(np.asarray(sigmas, dtype=np.float64)))
    outside = np.zeros(len(levels))
    for start in range(0, len(radii), 2**16):
        squares = np.square(radii[start : start + 2**16])
        for k, level in enumerate(levels):
            # 1 - k²/R², and nothing outside where the whole radius is inside.
            beyond = squares > level
            rest = 1.0 - level / squares[beyond]
            outside[k] += (rest ** (d / 2 - 1)).sum()
    return 1.0 - outside / len(radii)


def radius_law(
    z: Any,
    moments: Moments | None = None,
    *,
    seed: int = 0,
    control: bool = True,
    coverage: tuple[np.ndarray, np.ndarray] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure the law of the Mahalanobis radius and compare the planes with what it foretells.

    Reads the codes once (twice without `moments`) and draws the control twice.

    Args:
        z: Codes, shape (n, d), n > d + 1; an array or memory map, finite.
        moments: Their mean and covariance, where known.
        seed: Which control draw, and which halves are held out.
        control: Whether to measure an equal-size Gaussian draw too.
        coverage: `PairCoverage.observed()` of the codes and of the control of this seed, where they
            were counted already: counting is most of the work.
        progress: Called with the number of rows after each block.

    Returns:
        A dictionary with plain numbers

        * n, d, n_used: codes, dimension, and radii that the figures rest on;
        * qq: for each level the radius of the codes, of the exact law, of the control;
        * t: nu (None for infinite), nu_error, inverse_nu, inverse_nu_error, scale;
        * held_out: mean log-likelihood per held-out radius, in nats, of the exact normal law, the
          t and the smooth law, each fitted on one half and judged on the other, and the advantage
          of the smooth law over the t with its standard error;
        * coverage: per sigma what a normal law has, what the radii foretell, what the pairs have
          (mean over pairs), its greatest standard error and the same of the control;
        * blind_sigma: where the radii foretell a normal law's coverage between 1 and 3 sigma.

    Raises:
        InputError: n <= d + 1, or the covariance has no inverse.
    """
    z, seed = check_codes(z, finite=False), check_seed(seed)
    moments = moments or Moments.of(z, progress=progress)
    n, d = moments.n, moments.d
    law = MahalanobisLaw(n, d)
    reading = Radii(moments, seed=seed)
    counted = [PairCoverage(moments)] if coverage is None else []
    stream(row_blocks(z), reading, *counted, progress=progress)
    observed = counted[0].observed() if coverage is None else coverage[0]
    radii = reading.result()
    levels = np.asarray(QQ_LEVELS)
    fit = fit_t(radii, d)
    record: dict[str, Any] = {
        "n": n,
        "d": d,
        "n_used": reading.n_used,
        "qq": {
            "levels": levels.tolist(),
            "codes": _quantiles(radii, levels).tolist(),
            "exact": np.sqrt(law.quantile(levels)).tolist(),
            "control": None,
        },
        "t": {
            "nu": _finite(fit.nu),
            "nu_error": _finite(fit.nu_error),
            "inverse_nu": fit.inverse_nu,
            "inverse_nu_error": fit.inverse_nu_error,
            "scale": fit.scale,
        },
        "held_out": _held_out(radii, law, seed),
        "coverage": _coverage_rows(radii, d, n, observed),
        "blind_sigma": _blind_sigma(radii, d),
    }
    del radii, reading
    if control:
        drawn = GaussianControl(moments, n, seed=seed)
        drawn_moments = drawn.moments(progress=progress)
        drawn_reading = Radii(drawn_moments, seed=seed)
        counted = [PairCoverage(drawn_moments)] if coverage is None else []
        stream(drawn.blocks(), drawn_reading, *counted, progress=progress)
        observed = counted[0].observed() if coverage is None else coverage[1]
        drawn_radii = drawn_reading.result()
        record["qq"]["control"] = _quantiles(drawn_radii, levels).tolist()
        for row, other in zip(record["coverage"], _coverage_rows(drawn_radii, d, n, observed)):
            row["control"] = {key: other[key] for key in ("predicted", "observed")}
    return record


def _coverage_rows(radii: np.ndarray, d: int, n: int, observed: np.ndarray) -> list[dict[str, Any]]:
    if len(observed) == 0:
        return []
    predicted = predicted_coverage(radii, d)
    return [
        {
            "sigma": sigma,
            "normal": float(expected_coverage(sigma)),
            "predicted": float(predicted[k]),
            "observed": float(observed[:, k].mean()),
            # That of a single pair; a mean over pairs can only be surer.
            "error_at_most": math.sqrt(predicted[k] * (1 - predicted[k]) / n),
        }
        for k, sigma in enumerate(SIGMAS)
    ]


def _blind_sigma(radii: np.ndarray, d: int) -> float | None:
    """The sigma between 1 and 3 where an elliptical cloud hides its radius; None without one."""
    if d < 3:
        return None
    thinned = _quantiles(radii, (np.arange(2**15) + 0.5) / 2**15)
    sigmas = np.linspace(1.0, 3.0, 201)
    gap = predicted_coverage(thinned, d, sigmas) - expected_coverage(sigmas)
    change = np.flatnonzero(gap[:-1] * gap[1:] < 0)
    if len(change) != 1:
        return None
    i = int(change[0])
    return float(sigmas[i] + (sigmas[i + 1] - sigmas[i]) * gap[i] / (gap[i] - gap[i + 1]))


def _held_out(radii: np.ndarray, law: MahalanobisLaw, seed: int) -> dict[str, Any]:
    """Judge each law on the half it was not fitted on, both ways round."""
    if len(radii) < 100:
        return {"why": f"needs at least 100 radii to hold half of them out, got {len(radii)}"}
    half = np.random.default_rng((seed, 3)).random(len(radii)) < 0.5
    sums = np.zeros(3)
    difference = np.zeros(2)
    for part in (half, ~half):
        smooth = RadiusLaw(radii[part], law.d)
        judged = radii[~part]
        for start in range(0, len(judged), 2**16):
            some = judged[start : start + 2**16]
            by_t, by_own = smooth.t.log_density(some), smooth.log_density(some)
            sums += [_exact_log_density(some, law).sum(), by_t.sum(), by_own.sum()]
            gain = by_own - by_t
            difference += [gain.sum(), gain @ gain]
    mean, square = difference / len(radii)
    normal, t, own = sums / len(radii)
    return {
        "normal": float(normal),
        "t": float(t),
        "smooth": float(own),
        "advantage_over_t": float(mean),
        "advantage_error": math.sqrt(max(square - mean**2, 0.0) / len(radii)),
    }


def _exact_log_density(radii: np.ndarray, law: MahalanobisLaw) -> np.ndarray:
    a, b = law.d / 2, (law.n - law.d - 1) / 2
    top = (law.n - 1) ** 2 / law.n
    x = np.clip(np.square(radii) / top, 1e-300, 1.0 - 1e-12)
    inside = (a - 0.5) * np.log(x) + (b - 1) * np.log1p(-x) - special.betaln(a, b)
    return inside + math.log(2 / math.sqrt(top))


def _log_density(radii: np.ndarray, d: int, nu: float, scale: float) -> np.ndarray:
    squared = np.square(radii / scale)
    a = d / 2
    front = math.log(2 / scale) + (d - 1) * _log(radii / scale)
    if math.isinf(nu):
        return front - a * math.log(2) - special.gammaln(a) - squared / 2
    b = nu / 2
    # Stirling's series would be needed only beyond nu = 1e6.
    beta = special.gammaln(a) + special.gammaln(b) - special.gammaln(a + b)
    return front - beta - a * math.log(nu) - (a + b) * np.log1p(squared / nu)


def _scale(squares: np.ndarray, weights: np.ndarray, d: int, nu: float) -> float:
    """The likeliest s for a given ν: Newton's root of a + b times the mean of R²/(c + R²) = a."""
    a, b = d / 2, nu / 2
    log_c = math.log(nu * float(weights @ squares) / d)
    for _ in range(100):
        c = math.exp(log_c)
        q = squares / (c + squares)
        slope = (a + b) * float(weights @ (q * (1 - q)))
        step = ((a + b) * float(weights @ q) - a) / slope
        log_c += min(max(step, -1.0), 1.0)
        if abs(step) < 1e-12:
            break
    return math.sqrt(math.exp(log_c) / nu)


def _inverse_nu_error(n: int, d: int, nu: float) -> float:
    a, b = d / 2, nu / 2
    information = special.polygamma(1, b) - special.polygamma(1, a + b)
    left = information - (a / (a + b)) ** 2 * (a + b + 1) / (a * b)
    return math.sqrt(1 / (n * float(left))) * 2 / nu**2


def _binned(radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radii and their shares: themselves where they are few, else bins of equal ratio."""
    if len(radii) <= _BINS:
        return radii, np.full(len(radii), 1 / len(radii))
    low, high = radii.min(), radii.max()
    edges = np.geomspace(max(low, high * 1e-6), high, _BINS + 1)
    counts = np.histogram(np.maximum(radii, edges[0]), edges)[0]
    keep = counts > 0
    return np.sqrt(edges[:-1] * edges[1:])[keep], counts[keep] / counts.sum()


def _quantiles(ascending: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles of sorted numbers, between the midpoints of their steps (no copy is made)."""
    place = np.clip(np.asarray(shares) * len(ascending) - 0.5, 0.0, len(ascending) - 1.0)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, len(ascending) - 1)
    part = place - below
    return (1 - part) * ascending[below] + part * ascending[above]


def _continued(x: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate, and go on with slope one beyond both ends."""
    return np.interp(x, knots, values) + np.minimum(x - knots[0], 0) + np.maximum(x - knots[-1], 0)


def _log(radii: Any) -> np.ndarray:
    return np.log(np.maximum(np.asarray(radii, dtype=np.float64), 1e-300))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _check_radii(radii: Any) -> np.ndarray:
    array = np.asarray(radii, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise InputError(
            f"radii must be at least two numbers in one dimension, got shape {array.shape}; pass "
            "np.sqrt(mahalanobis_squared(z))."
        )
    if not np.isfinite(array).all() or array.min() < 0 or array.max() <= 0:
        raise InputError(
            f"radii must be finite, not negative and not all 0, got values from {array.min()} to "
            f"{array.max()}; pass np.sqrt(mahalanobis_squared(z))."
        )
    return array
