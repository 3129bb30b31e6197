r"""All pairwise ellipses at once: the sampler of the experiments, exactly and in O(d) per code.

In principal coordinates of unit variance the codes are kept inside the ellipse of *every* pair,

.. math:: A_f = \{u \in R^K : u_i^2 + u_j^2 \le f^2 \text{ for all } i \ne j\}, \qquad
    x = \mu + \sum_i \sqrt{\lambda_i}\, u_i v_i, \qquad f = \mathrm{fact} \cdot \mathrm{sigma},

uniformly. Let M = max |u_i| and m = min(M, sqrt(f² - M²)). Given M, which coordinate is largest is
a fair draw, so is its sign, and the others are independent and uniform on [-m, m]; M itself has
density proportional to m^(K-1), on two branches:

.. math::
    M \le f/\sqrt2: \quad w_1 = (f/\sqrt2)^K / K, \quad M = (f/\sqrt2)\, U^{1/K};

.. math::
    M > f/\sqrt2: \quad w_2 = \tfrac{f^K}2 \int_0^{1/2} v^{(K-1)/2} (1 - v)^{-1/2} dv, \quad
    M = f \sqrt{1 - v}.

With :math:`v = \tfrac12 y^{2/(K+1)}` the last density becomes :math:`(1 - v)^{-1/2}` on [0, 1],
which lies between 1 and sqrt(2) for every K: no underflow, and a table inverts it to single
precision. All coordinates but the largest have standard deviation near f / sqrt(6): this is a
truncation, more faithful and less diverse than the cloud.

**The published procedure** draws all :math:`u_i \sim U(-f, f)` and visits the pairs once, in random
order; where a pair lies outside its ellipse, one of the two, by a fair draw, is drawn anew from
:math:`\pm \sqrt{f^2 - u_i^2}`. A component is only ever shrunk, so one pass suffices. Its law is not
uniform: every redraw pulls toward the centre (standard deviation 0.342 f instead of 0.408 f at
K = 256). Order, roles and signs are exchangeable, so the covariance in these coordinates is a number
times the identity; the number has no closed form.

**In the original coordinates** the ellipse of a pair is tilted by its Pearson coefficient r,

.. math:: u_i^2 + (u_j - r u_i)^2 / (1 - r^2) \le f^2, \qquad
    u_j \in r u_i \pm \sqrt{(1 - r^2)(f^2 - u_i^2)},

and shrinking one component may break the ellipse of another pair: one pass over the pairs does not
end inside them all. What can be drawn exactly is one component given all others, uniformly from
where its d - 1 intervals overlap. Sweeps of such draws, begun at a code-like point inside (a direction
from N(0, R) at a radius right for it), never leave the region, and have the uniform law as their limit
(Gibbs sampling).
"""

__all__ = ["PairwiseEllipse"]

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import ClassVar, final

import numpy as np

from latentshape._checks import check_choice, check_count, check_positive, row_blocks
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.noise import Noise, StreamNoise
from latentshape.shape.components import NumberDistributions
from latentshape.shape.moments import Moments, MomentSums
from latentshape.shape.pca import PCA
from latentshape.shape.streaming import stream

_KNOTS = 4097
_INTERVAL = 0.25  # of the published number distributions
_ROUNDS = 8
_STEPS = 256  # pairs whose random numbers are drawn at once
_LAW_SEED = 2**64 - 59  # of the draws that a law without closed form is measured by


@final
class PairwiseEllipse(Sampler):
    """Draw from the region inside the ellipses of all pairs of components.

    Args:
        components: K, how many principal axes vary (the others stay at the mean). None for all:
            eigenvalues give the widths of narrow components that counting intervals could not
            resolve. The experiments used 50 to 120 of 256.
        fact: Factor on the half-axes; the experiments used 0.6 to 0.8.
        sigma: Half-axes for fact = 1, in standard deviations; 2.35 is the full width at half
            maximum of a Gaussian.
        fit_within: Learn mean, axes and widths from the codes of which *every* component lies within
            so many of its standard deviations of its mean, as published; None for all codes. Of
            normal codes 0.9973^d are kept at 3, half of them at d = 256 (100,000 of 170,000 were
            published); all pairwise 3σ ellipses would keep 0.03 %, a Mahalanobis radius of 3 none.
            It takes 1.3 % off the standard deviations of normal codes.
        width: Standard deviation of each component: `"std"` from the covariance, or `"interval"`
            from its number distribution over intervals of 0.25 (half-width at half maximum over
            1.1774; the intervals are wider where so narrow ones would count mostly noise).
        method: `"exact"`, uniform in O(K) numbers per code; or `"sequential"`, the published
            procedure, K (K - 1) / 2 steps per code, kept as the reference.
        coordinates: `"pca"`; or `"original"`, the ellipses of all pairs of the codes' own components,
            by sweeps: `method` must be `"sequential"` and `components` None.

    Attributes:
        n_used_: Codes that the law was learnt from.
        axes_, std_: Unit vectors in rows, (K, d), and standard deviations along them, (K,).
        limit_: f.

    There is a density with `method="exact"` only. Without it `mean_` is exact by symmetry, and `cov_`
    is measured on draws of a fixed seed: to 0.4 % (standard error) for the published procedure in
    `"pca"`, and in `"original"` on 512 draws at d = 256 and more where d is less.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((1000, 3))
        >>> x = PairwiseEllipse().fit(z).sample(5)
        >>> x.shape
        (5, 3)
    """

    name = "pairwise-ellipse"
    description = (
        "Uniform in the region inside the confidence ellipses of all pairs of principal "
        "components: close to the centre, less diverse than the codes."
    )
    has_density: ClassVar[bool] = True

    n_used_: int
    axes_: np.ndarray
    std_: np.ndarray
    limit_: float
    cdf_: np.ndarray
    low_share_: float
    log_volume_: float
    correlation_: np.ndarray
    start_: np.ndarray

    def __init__(
        self,
        components: int | None = None,
        fact: float = 0.7,
        sigma: float = 2.35,
        *,
        fit_within: float | None = 3.0,
        width: str = "std",
        method: str = "exact",
        coordinates: str = "pca",
    ) -> None:
        self.components = components
        self.fact = fact
        self.sigma = sigma
        self.fit_within = fit_within
        self.width = width
        self.method = method
        self.coordinates = coordinates

    def _fit(self, z: np.ndarray) -> None:
        self._check_choices()
        f = check_positive(self.fact, name="fact") * check_positive(self.sigma, name="sigma")
        self._need_size(z.shape[1])
        if self.components is None and self.coordinates == "pca":
            self._need_covariance(
                len(z), z.shape[1], f"use components={min(z.shape[1], len(z) - 1)} or fewer"
            )
        everything = Moments.of(z)
        within = np.inf
        if self.fit_within is not None:
            within = check_positive(self.fit_within, name="fit_within")
        moments = everything if np.isinf(within) else _core_moments(z, everything, within)
        frame = self._frame(moments)
        k = self._count(moments, given=len(z))
        self.n_used_, self.limit_, self.mean_ = moments.n, f, moments.mean
        self.axes_, self.std_ = frame.axes[:k], frame.std[:k]
        if self.width == "interval":
            self.std_ = self._interval_std(_core(z, everything, within), frame, moments.n)
        if self.coordinates == "original":
            self.correlation_, self.start_ = _tilts(moments)
            parts = [(len(u), u.T @ u) for u in _fixed_draws(self._inner, max(2 * k, 2**17 // k))]
            inner = sum(squares for _, squares in parts) / sum(rows for rows, _ in parts)
        elif self.method == "sequential":
            inner = np.eye(k) * (f * f * _pair_by_pair_variance(k))
        else:
            self.cdf_, self.low_share_, self.log_volume_, variance = _maximum_law(k, f)
            inner = np.eye(k) * variance
        spread = self.axes_.T * self.std_
        self.cov_ = spread @ inner @ spread.T

    def _check_choices(self) -> None:
        check_choice(self.width, name="width", choices=("std", "interval"))
        check_choice(self.method, name="method", choices=("exact", "sequential"))
        check_choice(self.coordinates, name="coordinates", choices=("pca", "original"))
        if self.coordinates == "original" and self.method == "exact":
            raise InputError(
                "coordinates='original' needs method='sequential', got 'exact': no exact way is "
                "known to draw inside tilted ellipses; pass method='sequential'."
            )
        if self.coordinates == "original" and self.components is not None:
            raise InputError(
                "components counts principal components and must be None with "
                f"coordinates='original', got {self.components!r}; leave one of the two out."
            )

    def _frame(self, moments: Moments) -> PCA:
        """The axes whose pairs have ellipses."""
        if self.coordinates == "pca":
            return PCA.of(moments)
        return PCA(moments.mean, np.eye(moments.d), np.diag(moments.cov))

    def _count(self, moments: Moments, given: int) -> int:
        """K, as many as there are codes for."""
        if self.coordinates == "original":
            return moments.d
        most = min(moments.d, moments.n - 1)
        wanted = moments.d if self.components is None else self.components
        if self.components is None and most < moments.d:
            lost = f" ({given} without fit_within={self.fit_within})" * (given > moments.n)
            raise InputError(
                f"Sampler {self.name!r} needs more codes than dimensions, got {moments.n} codes of "
                f"dimension {moments.d}{lost}; use components={most} or fewer, or the sampler "
                "'low-rank'."
            )
        return check_count(wanted, name="components", maximum=most)

    def _interval_std(self, blocks: Iterator[np.ndarray], frame: PCA, n: int) -> np.ndarray:
        """Standard deviations as number distributions show them, shape (K,)."""
        k = len(self.std_)
        counted = NumberDistributions(Moments(n, np.zeros(k), np.diag(np.square(self.std_))))
        if not (counted.widths >= _INTERVAL).all():
            # Narrower intervals than the published ones are taken where those do not resolve.
            many = int((frame.std >= 2 * _INTERVAL).sum())
            cure = "use"
            if self.coordinates == "pca" and many:
                cure = f"use components={many} or fewer, or"
            raise InputError(
                f"width='interval' counts over intervals of {_INTERVAL}, which resolve {many} of "
                f"{len(frame.std)} components (those with a standard deviation of at least "
                f"{2 * _INTERVAL}), got {k} components to draw; {cure} width='std'."
            )
        stream((frame.transform(block, k) for block in blocks), counted)
        return counted.half_widths() / np.sqrt(2 * np.log(2))

    def _draw(self, noise: Noise) -> np.ndarray:
        u = self._inner(noise)
        x = u @ (self.std_[:, None] * self.axes_).astype(u.dtype)
        x += self.mean_.astype(u.dtype)
        return x

    def _inner(self, noise: Noise) -> np.ndarray:
        """Points of the region in coordinates of unit variance, shape (rows, K)."""
        if self.coordinates == "original":
            return _by_sweeps(noise, self.correlation_, self.start_, self.limit_)
        if self.method == "sequential":
            return _pair_by_pair(noise, len(self.std_), self.limit_)
        return _uniform(noise, len(self.std_), self.limit_, self.cdf_, self.low_share_)

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        if self.method != "exact":
            raise InputError(
                f"Sampler {self.name!r} has no density with method={self.method!r}; compare it by "
                "its draws, or use method='exact'."
            )
        k, d = len(self.std_), len(self.mean_)
        if k < d or not (self.std_ > 1e-7 * self.std_[0]).all():
            raise InputError(
                f"This {self.name!r} law varies in fewer than {d} dimensions and has no density "
                "there; use components=None and codes without constant or dependent components."
            )
        u = np.abs((block - self.mean_) @ (self.axes_.T / self.std_))
        if k == 1:
            inside = u[:, 0] <= self.limit_
        else:
            inside = np.square(np.partition(u, k - 2, axis=1)[:, -2:]).sum(axis=1) <= self.limit_**2
        return np.where(inside, -self.log_volume_ - np.log(self.std_).sum(), -np.inf)


def _core(z: np.ndarray, moments: Moments, within: float) -> Iterator[np.ndarray]:
    """The codes of which every component lies within so many standard deviations, by blocks."""
    limit = np.where(moments.constant, 1.0, moments.std) * within
    for block in row_blocks(z):
        yield block[(np.abs(block - moments.mean) <= limit).all(axis=1)]


def _core_moments(z: np.ndarray, moments: Moments, within: float) -> Moments:
    # In float64, as `Moments.of` would for dependent components, which the core may have too.
    sums = MomentSums(moments.mean, exact=True)
    stream(_core(z, moments, within), sums)
    if sums.n < 2:
        raise InputError(
            f"fit_within must leave at least 2 codes, got {sums.n} of {moments.n} codes within "
            f"{within:g} standard deviations in all {moments.d} components; use a larger one, or None."
        )
    return sums.result()


def _tilts(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Pearson coefficients with 0 on the diagonal, and a factor A of R = A A', shape (d, rank)."""
    r = moments.correlation()
    np.fill_diagonal(r, 0.0)
    if np.abs(r).max() > 1 - 1e-6:
        i, j = np.unravel_index(np.abs(r).argmax(), r.shape)
        raise InputError(
            f"Components {i} and {j} are the same but for scale, and their ellipse is a line; leave "
            "one of them out, or use coordinates='pca'."
        )
    scale = np.where(moments.constant, 1.0, moments.std)
    return r, moments.factor() / scale[:, None]


@lru_cache(maxsize=64)
def _pair_by_pair_variance(k: int) -> float:
    """Variance of a coordinate of `_pair_by_pair` with f = 1, standard error 0.4 %."""
    u = np.concatenate(list(_fixed_draws(lambda noise: _pair_by_pair(noise, k, 1.0), 2**16 // k)))
    return float(np.square(u).mean())


def _fixed_draws(draw: Callable[[Noise], np.ndarray], wanted: int) -> Iterator[np.ndarray]:
    """Draws of a fixed seed, at least `wanted` and at least 256, by blocks."""
    for block in range(max(-(-wanted // 256), 1)):
        yield draw(StreamNoise(_LAW_SEED, block, 256))


def _uniform(noise: Noise, k: int, f: float, cdf: np.ndarray, low_share: float) -> np.ndarray:
    """Exactly uniform points of A_f, by their largest coordinate."""
    branch, place, which, sign = noise.fine_uniform(4).T
    low = branch < low_share
    y = np.interp(place, cdf, np.linspace(0.0, 1.0, _KNOTS))
    v = 0.5 * y ** (2 / (k + 1))
    largest = np.where(low, f / np.sqrt(2) * place ** (1 / k), f * np.sqrt(1 - v))
    others = np.where(low, largest, f * np.sqrt(v))
    u = noise.uniform(k)
    half = others[:, None].astype(u.dtype)
    u *= 2 * half
    u -= half
    index = np.minimum((which * k).astype(np.intp), k - 1)
    u[np.arange(len(u)), index] = np.where(sign < 0.5, -largest, largest)
    return u


def _pair_by_pair(noise: Noise, k: int, f: float) -> np.ndarray:
    """The published procedure for all rows at once, each in its own random order of the pairs."""
    u = f * (2 * noise.fine_uniform(k) - 1)
    first, second = np.triu_indices(k, 1)
    pairs = len(first)
    rows = np.arange(noise.rows)
    order = np.tile(np.arange(pairs, dtype=np.min_scalar_type(pairs)), (noise.rows, 1))
    for start in range(0, pairs, _STEPS):
        steps = min(_STEPS, pairs - start)
        numbers = noise.fine_uniform(3 * steps).T.reshape(steps, 3, noise.rows)
        for at, (which, role, fresh) in enumerate(numbers, start):
            # The next card of a shuffled pack (Fisher and Yates), a pack per row.
            found = at + np.minimum((which * (pairs - at)).astype(np.intp), pairs - at - 1)
            pair = order[rows, found]
            order[rows, found] = order[:, at]
            kept = np.where(role < 0.5, first[pair], second[pair])
            drawn = first[pair] + second[pair] - kept
            room = f * f - np.square(u[rows, kept])
            outside = np.flatnonzero(np.square(u[rows, drawn]) > room)
            u[outside, drawn[outside]] = (2 * fresh[outside] - 1) * np.sqrt(room[outside])
    return u


def _by_sweeps(noise: Noise, r: np.ndarray, factor: np.ndarray, f: float) -> np.ndarray:
    """Rounds of one line through each point, and one sweep over its components."""
    d = len(r)
    across = np.sqrt(1 - r * r)

    def cloud() -> np.ndarray:
        # Coordinates in rows: extremes over the partners are then formed for all draws at once.
        return np.ascontiguousarray((noise.normal(factor.shape[1]).astype(np.float64) @ factor.T).T)

    u = cloud()
    u *= _chord(np.zeros_like(u), u, r, across, f)[1] * noise.fine_uniform(1).T ** (1 / d)
    for _ in range(_ROUNDS):
        direction = cloud()
        low, high = _chord(u, direction, r, across, f)
        u += (low + (high - low) * noise.fine_uniform(1)[:, 0]) * direction
        room = np.sqrt(np.maximum(f * f - u * u, 0.0))
        places = noise.fine_uniform(d).T
        for j in range(d):
            middle = u * r[:, j, None]
            half = room * across[:, j, None]
            half[j] = f  # r is 0 there: its own place does not bind it
            low, high = (middle - half).max(axis=0), (middle + half).min(axis=0)
            u[j] = low + np.maximum(high - low, 0.0) * places[j]
            room[j] = np.sqrt(np.maximum(f * f - u[j] * u[j], 0.0))
    return np.ascontiguousarray(u.T)


def _chord(
    u: np.ndarray, v: np.ndarray, r: np.ndarray, across: np.ndarray, f: float
) -> tuple[np.ndarray, np.ndarray]:
    """The least and largest t for which u + t v lies in all ellipses; points in columns."""
    low, high = np.full(u.shape[1], -np.inf), np.full(u.shape[1], np.inf)
    scale = 1 / across
    for j in range(len(u)):
        tilt, narrow = r[:, j, None], scale[:, j, None]
        along, aside = (v - tilt * v[j]) * narrow, (u - tilt * u[j]) * narrow
        along[j] = aside[j] = 0.0
        # Of a t² + 2 b t <= c; a is 0 where two components are constant.
        a = np.maximum(along * along + v[j] * v[j], np.finfo(np.float64).tiny)
        b = along * aside + v[j] * u[j]
        c = np.maximum(f * f - aside * aside - u[j] * u[j], 0.0)
        root, a = np.sqrt(b * b + a * c), 1 / a
        np.maximum(low, ((-b - root) * a).max(axis=0), out=low)
        np.minimum(high, ((root - b) * a).min(axis=0), out=high)
    return np.minimum(low, 0.0), np.maximum(high, 0.0)


def _maximum_law(k: int, f: float) -> tuple[np.ndarray, float, float, float]:
    """Tabulate the law of the largest coordinate.

    Returns:
        The distribution function of y on the upper branch at evenly spaced y, shape (knots,); the
        probability of the lower branch; log of the volume of A_f; the variance of a coordinate.
    """
    y = np.linspace(0.0, 1.0, _KNOTS)
    v = 0.5 * y ** (2 / (k + 1))
    density = (1 - v) ** -0.5
    cumulated = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)]) / (_KNOTS - 1)
    # Logarithms of both weights without their common factor f^k.
    log_low = -k / 2 * np.log(2) - np.log(k)
    log_high = -(k + 1) / 2 * np.log(2) - np.log(k + 1) + np.log(cumulated[-1])
    log_sum = np.logaddexp(log_low, log_high)
    low = float(np.exp(log_low - log_sum))
    log_volume = float(np.log(k) + k * np.log(2) + k * np.log(f) + log_sum)
    weights = density * np.r_[0.5, np.ones(_KNOTS - 2), 0.5]
    v_mean = (v * weights).sum() / weights.sum()
    high_variance = f**2 * ((1 - v_mean) + (k - 1) * v_mean / 3) / k
    variance = float(low * f**2 / 6 + (1 - low) * high_variance)
    return cumulated / cumulated[-1], low, log_volume, variance
