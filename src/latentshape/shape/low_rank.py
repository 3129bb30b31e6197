r"""A Gaussian for more components than codes: a few factors, and a variance of each component's own.

.. math::
    x = \mu + W e_1 + \Psi^{1/2} e_2, \quad W \in R^{d \times k}, \; \Psi = \mathrm{diag}(\psi), \qquad
    x \sim N(\mu,\, W W^T + \Psi)

It has d (k + 2) numbers where a covariance has d (d + 1) / 2, it has an inverse however few codes there
are, and nothing of the size d x d is ever formed: with :math:`M = I + W^T \Psi^{-1} W` (k x k),

.. math::
    \Sigma^{-1} = \Psi^{-1} - \Psi^{-1} W M^{-1} W^T \Psi^{-1}, \qquad
    \log |\Sigma| = \log |M| + \textstyle\sum_j \log \psi_j

(Woodbury; the determinant lemma).

**Start**: probabilistic principal components in closed form,
:math:`W = V_k (\Lambda_k - \sigma^2)^{1/2}` with :math:`\sigma^2` the mean of the other eigenvalues, and
:math:`\psi_j = S_{jj} - |W_j|^2`, so that every component has its own variance. **Then** EM of factor
analysis, which needs the codes' covariance S only where it is multiplied by k vectors: with
:math:`B = \Psi^{-1} W`, :math:`A = S B`, :math:`G = B^T A`,

.. math::
    W \leftarrow A (M + G)^{-1} M, \qquad \psi_j \leftarrow S_{jj} - (A (M + G)^{-1} A^T)_{jj},

and its log-likelihood comes with it,
:math:`-\tfrac12 (d \log 2 \pi + \log |\Sigma| + \sum_j S_{jj} / \psi_j - \mathrm{tr}\, M^{-1} G)`. An
iteration costs O(n d k), or O(d² k) where there are more codes than components and these are few enough
for a covariance.

**How many factors** is asked of a fifth of the codes, which takes no part: 0, 1, 2, 4, 8, ... until two
numbers in a row do no better, then between those beside the best.

References:
    Tipping & Bishop, 1999, https://doi.org/10.1111/1467-9868.00196;
    Rubin & Thayer, 1982, https://doi.org/10.1007/BF02293851;
    Woodbury, 1950, Inverting modified matrices, Princeton
"""

__all__ = ["MOST_RANK", "LowRankGaussian"]

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import linalg

from latentshape._checks import check_codes, check_count, check_seed, row_blocks
from latentshape.errors import InputError
from latentshape.shape.moments import Moments
from latentshape.shape.pca import PCA
from latentshape.shape.wide import WHOLE, WideMoments, principal_axes

MOST_RANK = 512
"""Factors that are tried at most."""

_HELD_OUT = 0.2
_FEWEST = 10  # codes from which on a number of factors is chosen
_CHOICE_ITERATIONS = 2
#: Numbers in the codes by which factors are counted: 512 MB in float32; all codes, but for huge sets.
_CHOICE_NUMBERS = 2**27
#: Of a component's variance that stays its own: below, a density would be without bound.
_LEAST_SHARE = 1e-4


@dataclass(frozen=True, eq=False)
class LowRankGaussian:
    """N(mean, W W' + diag(noise)).

    Attributes:
        mean: Shape (d,).
        loadings: W, shape (d, k), float64.
        noise: psi, each component's own variance, shape (d,); 0 where a component is constant.
        log_likelihood: Mean log-likelihood of the codes it was fitted to, in nats.
        iterations: Of EM.
        candidates, held_out: Numbers of factors that were tried, rising, and the mean log-likelihood of
            held-out codes under each; empty where the number was given.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> w = rng.standard_normal((300, 3))
        >>> z = rng.standard_normal((200, 3)) @ w.T + rng.standard_normal((200, 300))
        >>> law = LowRankGaussian.of(z)  # 200 codes of 300 components
        >>> law.rank, law.log_density(z[:5]).shape
        (3, (5,))
    """

    mean: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray
    log_likelihood: float = float("nan")
    iterations: int = 0
    candidates: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    held_out: np.ndarray = field(default_factory=lambda: np.empty(0))

    @classmethod
    def of(
        cls,
        z: Any,
        rank: int | None = None,
        *,
        max_iterations: int = 200,
        tolerance: float = 1e-6,
        seed: int = 0,
        start: "LowRankGaussian | None" = None,
    ) -> "LowRankGaussian":
        """Fit codes (n, d), n >= 2.

        Args:
            z: Codes, finite.
            rank: k, from 0 to the lesser of d - 1 and n - 1 (512 at most); None chooses it by the
                likelihood of held-out codes.
            max_iterations: Of EM; 0 leaves it at the closed form.
            tolerance: EM ends when an iteration gains less, in nats per code and component.
            seed: Which codes are held out for the choice.
            start: A law from which EM sets out, with its rank, instead.

        Raises:
            InputError: The rank is out of range, or all codes are equal.
        """
        z = check_codes(z)
        most_iterations = check_count(max_iterations, name="max_iterations", minimum=0)
        n, d = z.shape
        most = min(d - 1, n - 1, MOST_RANK)
        if rank is not None:
            rank = check_count(rank, name="rank", minimum=0, maximum=most)
        tried: dict[int, float] = {}
        first: Parameters | None = (start.loadings, start.noise) if start is not None else None
        if rank is None and first is None:
            first, tried = _choose(z, most, check_seed(seed))
        spread = _spread(z)
        if not spread.variances.any():
            raise InputError(
                f"A Gaussian needs codes that vary, got {n} equal codes; check the encoder."
            )
        if first is None:
            first = _closed_form(spread, _axes(spread, rank or 0), rank or 0)
        # What four fifths of the codes had constant may vary in all: its own variance is taken anew.
        first = first[0], _own(spread, np.square(first[0]).sum(axis=1))
        found, score, iterations = _climb(spread, first, most_iterations, tolerance)
        return cls(
            spread.mean, *found, score, iterations,
            np.array(sorted(tried), dtype=np.int64), np.array([tried[k] for k in sorted(tried)]),
        )  # fmt: skip

    @property
    def d(self) -> int:
        """Dimension of the codes."""
        return len(self.mean)

    @property
    def rank(self) -> int:
        """Number of factors k."""
        return self.loadings.shape[1]

    @property
    def variances(self) -> np.ndarray:
        """Of each component under the law, shape (d,)."""
        return np.square(self.loadings).sum(axis=1) + self.noise

    @property
    def share(self) -> float:
        """Share of all variance that the factors carry, from 0 to 1."""
        return float(np.square(self.loadings).sum() / self.variances.sum())

    def covariance(self) -> np.ndarray:
        """W W' + diag(noise), shape (d, d): only for d that allow it."""
        cov = self.loadings @ self.loadings.T
        cov[np.diag_indices(self.d)] += self.noise
        return cov

    def mahalanobis_squared(self, z: Any) -> np.ndarray:
        """Squared Mahalanobis radii of codes (n, d) under the law, shape (n,), float64."""
        z = check_codes(z, min_samples=1, latent_dim=self.d, finite=False)
        whiten = self._whitener()
        return np.concatenate([whiten(block) for block in row_blocks(z)])

    def log_density(self, z: Any) -> np.ndarray:
        """Log-density of codes (n, d) in nats, shape (n,).

        Raises:
            InputError: A component is constant, so that the law has no density.
        """
        squared = self.mahalanobis_squared(z)
        return -0.5 * (squared + self.log_det() + self.d * np.log(2 * np.pi))

    def log_det(self) -> float:
        """Logarithm of the determinant of the covariance, by the determinant lemma."""
        self._need_volume()
        return float(
            np.linalg.slogdet(_inner(self.loadings, self.noise))[1] + np.log(self.noise).sum()
        )

    def sample(self, n: int, seed: Any = 0) -> np.ndarray:
        """Draw n codes, float32, shape (n, d); for controls (the sampler `low-rank` draws by streams)."""
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed)))
        weights, own = self.loadings.T.astype(np.float32), np.sqrt(self.noise).astype(np.float32)
        drawn = np.empty((n, self.d), dtype=np.float32)
        for start in range(0, n, 512):
            part = drawn[start : start + 512]
            rng.standard_normal(out=part, dtype=np.float32)
            part *= own
            part += rng.standard_normal((len(part), self.rank), dtype=np.float32) @ weights
            part += self.mean.astype(np.float32)
        return drawn

    def _whitener(self) -> Callable[[np.ndarray], np.ndarray]:
        """Squared radius of each code of a block."""
        self._need_volume()
        inverse = 1.0 / self.noise
        b = self.loadings * inverse[:, None]
        factor = linalg.cholesky(_inner(self.loadings, self.noise), lower=True)
        # |L⁻¹ B' x|² is what the factors explain of |Ψ^-1/2 x|².
        explains = linalg.solve_triangular(factor, b.T, lower=True).T

        def squared(block: np.ndarray) -> np.ndarray:
            x = block - self.mean
            along = x @ explains
            return np.square(x) @ inverse - np.einsum("ij,ij->i", along, along)

        return squared

    def _need_volume(self) -> None:
        if not (self.noise > 0).all():
            raise InputError(
                f"This low-rank law lies in fewer than {self.d} dimensions and has no density there "
                f"({int((self.noise <= 0).sum())} components are constant); leave those out."
            )


Parameters = tuple[np.ndarray, np.ndarray]
"""Loadings (d, k) and noise (d,)."""


@dataclass(frozen=True, eq=False)
class _Spread:
    """Variances of codes about a mean, and their covariance (divisor n) times vectors."""

    n: int
    mean: np.ndarray
    variances: np.ndarray
    times: Callable[[np.ndarray], np.ndarray]
    moments: Moments | WideMoments


def _spread(z: np.ndarray) -> _Spread:
    n, d = z.shape
    share = (n - 1) / n
    if d <= WHOLE and d <= n:
        moments = Moments.of(z)
        cov = share * moments.cov
        return _Spread(n, moments.mean, np.diag(cov).copy(), lambda v: cov @ v, moments)
    wide = WideMoments.of(z)
    return _Spread(n, wide.mean, share * wide.variances, lambda v: share * wide.times(v), wide)


def _about(spread: _Spread, mean: np.ndarray) -> _Spread:
    """The same about another mean: Σ + δ δ'."""
    delta = spread.mean - mean
    return _Spread(
        spread.n, mean, spread.variances + delta**2,
        lambda v: spread.times(v) + np.outer(delta, delta @ v), spread.moments,
    )  # fmt: skip


def _axes(spread: _Spread, most: int) -> PCA:
    """At least `most` leading axes, where there are so many."""
    if isinstance(spread.moments, Moments):
        return PCA.of(spread.moments)
    return principal_axes(spread.moments, max(most, 1))


def _closed_form(spread: _Spread, pca: PCA, rank: int) -> Parameters:
    """Probabilistic principal components of rank k, with each component's own rest."""
    d, rank = len(spread.mean), min(rank, len(pca.eigenvalues))
    values = pca.eigenvalues[:rank] * ((spread.n - 1) / spread.n)
    rest = max(float(spread.variances.sum() - values.sum()), 0.0) / max(d - rank, 1)
    loadings = pca.axes[:rank].T * np.sqrt(np.maximum(values - rest, 0.0))
    return loadings, _own(spread, np.square(loadings).sum(axis=1))


def _own(spread: _Spread, common: np.ndarray) -> np.ndarray:
    """What is left of each component's variance."""
    return np.maximum(spread.variances - common, _LEAST_SHARE * spread.variances)


def _inner(loadings: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """M = I + W' Ψ⁻¹ W, shape (k, k); constant components take no part."""
    weighed = loadings / np.where(noise > 0, noise, np.inf)[:, None]
    return np.eye(loadings.shape[1]) + loadings.T @ weighed


def _step(spread: _Spread, now: Parameters) -> tuple[float, Parameters]:
    """Mean log-likelihood under the parameters, and those after an iteration of EM."""
    loadings, noise = now
    usable = noise > 0
    inverse = np.where(usable, 1.0 / np.where(usable, noise, 1.0), 0.0)
    b = loadings * inverse[:, None]
    m = np.eye(loadings.shape[1]) + loadings.T @ b
    a = spread.times(b)
    g = b.T @ a
    g = (g + g.T) / 2
    inner = linalg.cho_factor(m, lower=True)
    log_det = 2 * np.log(np.diag(inner[0])).sum() + np.log(noise[usable]).sum()
    fit = spread.variances @ inverse - np.trace(linalg.cho_solve(inner, g))
    score = -0.5 * (usable.sum() * np.log(2 * np.pi) + log_det + fit)
    factor = linalg.cholesky(m + g, lower=True)
    explained = linalg.solve_triangular(factor, a.T, lower=True)
    new = explained.T @ linalg.solve_triangular(factor, m, lower=True)
    return float(score), (new, _own(spread, np.einsum("ij,ij->j", explained, explained)))


def _climb(
    spread: _Spread, now: Parameters, most: int, tolerance: float
) -> tuple[Parameters, float, int]:
    """Iterate until an iteration gains too little; parameters, their log-likelihood, iterations."""
    score, after = _step(spread, now)
    iterations = 0
    if now[0].shape[1] == 0:
        return now, score, 0
    while iterations < most:
        gained, beyond = _step(spread, after)
        if (
            not gained > score
        ):  # rounding, or a component at its least share: no further up from here
            break
        iterations += 1
        now, after, before, score = after, beyond, score, gained
        if score - before < tolerance * len(spread.mean):
            break
    return now, score, iterations


def _choose(z: np.ndarray, most: int, seed: int) -> tuple[Parameters | None, dict[int, float]]:
    """The fit under which held-out codes are likeliest, and the likelihood under each number of factors.

    What was found on four fifths of the codes is near what EM finds on all, and a better start than the
    closed form.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 13))))
    order = rng.permutation(len(z))[: max(_FEWEST, _CHOICE_NUMBERS // z.shape[1])]
    cut = max(2, round(_HELD_OUT * len(order)))
    if len(z) < _FEWEST or most < 1:
        return None, {}
    spread = _spread(np.asarray(z[np.sort(order[cut:])]))
    if not spread.variances.any():
        return None, {}
    judge = _about(_spread(np.asarray(z[np.sort(order[:cut])])), spread.mean)
    most = min(most, spread.n - 1)
    pca = _axes(spread, most)
    most = min(most, len(pca.eigenvalues))
    tried: dict[int, float] = {}
    best, kept = 0, _closed_form(spread, pca, 0)

    def score(rank: int) -> None:
        nonlocal best, kept
        if rank in tried:
            return
        found = _closed_form(spread, pca, rank)
        for _ in range(_CHOICE_ITERATIONS if rank else 0):
            found = _step(spread, found)[1]
        tried[rank] = _step(judge, found)[0]
        if tried[rank] > tried.get(best, -np.inf):
            best, kept = rank, found

    grid = [0, *(2**i for i in range(most.bit_length()))]
    grid += [most] if most > grid[-1] else []
    worse = 0
    for rank in grid:
        score(rank)
        worse = 0 if best == rank else worse + 1
        if worse == 2:
            break
    # Halve the way to the neighbours until they are next to it, or within a tenth of it.
    while True:
        low = max((k for k in tried if k < best), default=best)
        high = min((k for k in tried if k > best), default=best)
        if max(best - low, high - best) <= max(1, best // 10):
            return kept, tried
        for rank in ((low + best) // 2, (best + high + 1) // 2):
            score(rank)
