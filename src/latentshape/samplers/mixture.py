r"""A mixture of Gaussians with full covariances, by an EM that reads the codes once an iteration.

.. math::
    p(x) = \sum_k \pi_k N(x; m_k, \Sigma_k), \qquad
    r_k(x) = \frac{\pi_k N(x; m_k, \Sigma_k)}{p(x)}, \qquad
    N_k = \sum_x r_k, \quad \pi_k = N_k / n, \\
    m_k \leftarrow m_k + \delta_k, \quad \delta_k = \tfrac{1}{N_k} \sum_x r_k (x - m_k), \qquad
    \Sigma_k \leftarrow \tfrac{1}{N_k} \sum_x r_k (x - m_k)(x - m_k)^T
        - \delta_k \delta_k^T + \epsilon I

A block of codes is whitened by every component in turn (a triangular product), the responsibilities
:math:`r_k` follow by log-sum-exp, and the same block, still in cache, goes into the sums of the next
parameters: products in the codes' precision, sums over blocks in float64. Each component's sums are
taken about its own last mean, so that a narrow component far from the others loses no digits; rows
with :math:`r_k < 10^{-8}` are left out of them. Nothing of the size of the codes is held.

**Start.** k-means++ and mini-batch k-means on at most 20,000 codes give the means, and the covariance
within the clusters, one for all, the start of each covariance. EM runs on those codes first, where an
iteration costs little, and then on all. A component that is left with no more codes than it has
dimensions has no covariance of its own any more and is dropped.

**How many components** is asked of codes that took no part: 1, 2, 5, 10 and 20 are tried on four
fifths and judged on the rest, until two numbers in a row do no better; what was found is then
fitted on to all codes. Each component of a covariance costs about d²/4n nats of held-out
log-likelihood, so that few codes ask for few components.

References:
    Dempster, Laird & Rubin, 1977, https://doi.org/10.1111/j.2517-6161.1977.tb01600.x;
    Sculley, 2010, https://doi.org/10.1145/1772690.1772862
"""

__all__ = ["Mixture", "Parts", "em_pass", "mean_log_likelihood"]

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from scipy import linalg, special
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning

from latentshape._checks import (
    check_count,
    check_fraction,
    check_positive,
    check_seed,
    row_blocks,
)
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.colouring import colour, need_spread
from latentshape.samplers.gaussian import log_normal
from latentshape.samplers.noise import Noise
from latentshape.shape.moments import Moments, singular_why
from latentshape.shape.whitening import Whitening

_CANDIDATES = (1, 2, 5, 10, 20)
_START_CODES = 20_000
_HELD_OUT = 0.2
_CHOICE_TOLERANCE = 0.01
_LEAST_SHARE = 1e-8
_PIECE = 64

Blocks = Callable[[], Iterable[np.ndarray]]
"""Reads the codes anew, block by block."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The parameters of a mixture.

    Attributes:
        weights: Shares, shape (k,), their sum 1.
        means: Shape (k, d).
        covs: Covariances, each invertible, shape (k, d, d).
    """

    weights: np.ndarray
    means: np.ndarray
    covs: np.ndarray


@final
class Mixture(Sampler):
    """Draw from a mixture of full-covariance Gaussians.

    Args:
        components: How many Gaussians; None chooses 1, 2, 5, 10 or 20 by the likelihood of
            held-out codes.
        max_iterations: The greatest number of EM iterations on all codes.
        tolerance: EM ends when an iteration gains less than this, in nats per code.
        regularisation: Added to the diagonal of every covariance, in units of the codes' mean
            variance, from 0 to 1.
        seed: Which codes start and judge the fit.

    Attributes:
        weights_: Shares of the components, shape (k,), falling.
        means_: Their means, shape (k, d).
        factors_: Lower triangular factors of their covariances, shape (k, d, d).
        candidates_, held_out_: With components=None, the numbers tried and the mean
            log-likelihood of held-out codes under each.
        log_likelihood_: Mean log-likelihood of the codes before the last iteration, in nats.
        iterations_: EM iterations on all codes; fewer than `max_iterations` where it converged.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.standard_normal((3000, 2)) + 10 * rng.integers(0, 2, (3000, 1))
        >>> sampler = Mixture().fit(z)
        >>> np.sort(sampler.means_[:, 0]).round().astype(int).tolist()
        [0, 10]
    """

    name = "mixture"
    description = (
        "Several multivariate normals, each with its own share, mean and covariance; how many is "
        "chosen on codes held out."
    )
    has_density: ClassVar[bool] = True

    weights_: np.ndarray
    means_: np.ndarray
    factors_: np.ndarray
    _narrow: np.ndarray | None = None

    def __init__(
        self,
        components: int | None = None,
        max_iterations: int = 100,
        tolerance: float = 1e-3,
        regularisation: float = 1e-6,
        seed: int = 0,
    ) -> None:
        self.components = components
        self.max_iterations = max_iterations
        self.tolerance = tolerance
        self.regularisation = regularisation
        self.seed = seed

    def _fit(self, z: np.ndarray) -> None:
        most = check_count(self.max_iterations, name="max_iterations")
        tolerance = check_positive(self.tolerance, name="tolerance")
        share = check_fraction(self.regularisation, name="regularisation")
        seed = check_seed(self.seed)
        wanted = self.components
        if wanted is not None:
            wanted = check_count(wanted, name="components")
        self._need_covariance(
            len(z), z.shape[1], "use the sampler 'gaussian' with shrinkage or fewer components"
        )
        moments = Moments.of(z)
        ridge = share * float(np.diag(moments.cov).mean())
        self._check_enough(moments, wanted or 1, ridge)

        def everything() -> Iterator[np.ndarray]:
            return row_blocks(z)

        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 11))))
        if wanted is None:
            held = rng.random(len(z)) < _HELD_OUT
            parts = self._choose(z, held, ridge, most, rng)
        else:
            parts = _rough(z, np.arange(len(z)), wanted, ridge, most, tolerance, rng)
        parts, self.log_likelihood_, self.iterations_ = _climb(
            everything, parts, ridge, most, tolerance
        )
        order = np.argsort(-parts.weights, kind="stable")
        self.weights_, self.means_ = parts.weights[order], parts.means[order]
        self.factors_ = np.stack([linalg.cholesky(parts.covs[k], lower=True) for k in order])
        self._narrow = None
        self.mean_ = self.weights_ @ self.means_
        apart = (self.means_ - self.mean_) * np.sqrt(self.weights_)[:, None]
        self.cov_ = np.tensordot(parts.weights, parts.covs, 1) + apart.T @ apart

    def _check_enough(self, moments: Moments, components: int, ridge: float) -> None:
        n, d = moments.n, moments.d
        if components * (d + 1) > n:
            raise InputError(
                f"Sampler {self.name!r} needs at least {d + 1} codes for each component of "
                f"dimension {d}, got {n} codes for {components}; choose at most {n // (d + 1)} "
                "components, or encode more images."
            )
        need_spread(self.name, n, varied=np.diag(moments.cov).any())
        why = singular_why(_ridged(moments, ridge))
        if why is not None:
            raise InputError(
                f"Sampler {self.name!r} needs covariances with an inverse, but z {why}; set "
                "regularisation to 1e-6 or more."
            )

    def _choose(
        self, z: np.ndarray, held: np.ndarray, ridge: float, most: int, rng: np.random.Generator
    ) -> Parts:
        """Try each number of components on the codes not held out; return the likeliest fit."""
        tolerance = max(self.tolerance, _CHOICE_TOLERANCE)
        rows = np.flatnonzero(~held)
        tried: list[tuple[float, int, Parts]] = []
        for k in _CANDIDATES:
            if tried and (k * (z.shape[1] + 1) > len(rows) or _two_no_better(tried)):
                break
            parts = _rough(z, rows, k, ridge, most, tolerance, rng)
            if len(rows) > _START_CODES:
                parts = _climb(lambda: _some(z, ~held), parts, ridge, most, tolerance)[0]
            if not held.any():
                return parts
            tried.append((mean_log_likelihood(_some(z, held), parts), k, parts))
        self.candidates_ = np.array([k for _, k, _ in tried])
        self.held_out_ = np.array([score for score, _, _ in tried])
        return tried[int(self.held_out_.argmax())][2]

    def _draw(self, noise: Noise) -> np.ndarray:
        d = self.means_.shape[1]
        edges = np.cumsum(self.weights_)[:-1]
        component = np.searchsorted(edges, noise.fine_uniform(1)[:, 0], side="right")
        g = noise.normal(d)
        x = np.empty_like(g)
        factors = self._factors(g.dtype)
        # Products of a fixed number of rows: a row's bits must not depend on how many rows beside
        # it chose the same component.
        piece = np.empty((_PIECE, d), dtype=g.dtype)
        for k in np.unique(component):
            factor, mean = factors[k], self.means_[k].astype(g.dtype)
            rows = np.flatnonzero(component == k)
            for start in range(0, len(rows), _PIECE):
                some = rows[start : start + _PIECE]
                piece[: len(some)], piece[len(some) :] = g[some], 0
                made = colour(piece, factor, triangular=True)[: len(some)]
                made += mean
                x[some] = made
        return x

    def _factors(self, dtype: np.dtype) -> np.ndarray:
        if dtype == self.factors_.dtype:
            return self.factors_
        if self._narrow is None:
            # To round every factor for every block would cost a third of the draw.
            self._narrow = self.factors_.astype(dtype)
        return self._narrow

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        joint = [
            np.log(weight) + log_normal(block - mean, factor)
            for weight, mean, factor in zip(self.weights_, self.means_, self.factors_)
        ]
        return special.logsumexp(joint, axis=0)


def em_pass(blocks: Iterable[np.ndarray], parts: Parts, ridge: float) -> tuple[float, Parts]:
    """One iteration of EM, in one read of the codes.

    Args:
        blocks: All codes, block by block, each (rows, d), float32 or float64.
        parts: The parameters so far.
        ridge: Added to the diagonal of every new covariance.

    Returns:
        The mean log-likelihood of the codes under `parts`, in nats, and the new parameters, less
        the components that were left with no more than d codes.

    Example:
        >>> z = np.array([[0.0], [1.0], [5.0], [6.0]])
        >>> start = Parts(np.array([0.5, 0.5]), np.array([[0.0], [6.0]]), np.ones((2, 1, 1)))
        >>> _, parts = em_pass([z], start, 0.0)
        >>> parts.means.round(2).tolist(), parts.covs.round(2).ravel().tolist()
        ([[0.5], [5.5]], [0.25, 0.25])
    """
    k, d = parts.means.shape
    law = _Law(parts)
    mass, first, second = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d))
    total, n = 0.0, 0
    near = parts.means
    for block in blocks:
        near = parts.means.astype(block.dtype)
        shares, log_density = law.responsibilities(block)
        total += float(log_density.sum())
        n += len(block)
        for j, share in enumerate(shares):
            rows = np.flatnonzero(share > _LEAST_SHARE)
            root = np.sqrt(share[rows]).astype(block.dtype)
            x = (block if len(rows) == len(block) else block[rows]) - near[j]
            x *= root[:, None]
            mass[j] += share[rows].sum()
            first[j] += root @ x
            second[j] += x.T @ x
    keep = mass > d
    mass, first, second = mass[keep], first[keep], second[keep]
    shift = first / mass[:, None]
    covs = second / mass[:, None, None] - shift[:, :, None] * shift[:, None, :]
    covs = (covs + covs.transpose(0, 2, 1)) / 2
    covs[:, np.arange(d), np.arange(d)] += ridge
    return total / n, Parts(mass / mass.sum(), near[keep].astype(np.float64) + shift, covs)


def mean_log_likelihood(blocks: Iterable[np.ndarray], parts: Parts) -> float:
    """Return the mean log-likelihood of codes, read block by block, in nats."""
    law = _Law(parts)
    sums = [(law.responsibilities(block)[1].sum(), len(block)) for block in blocks]
    total, n = np.sum(sums, axis=0)
    return float(total / n)


class _Law:
    """A mixture made ready to be evaluated: each component's whitening and constant."""

    def __init__(self, parts: Parts) -> None:
        d = parts.means.shape[1]
        self._white = [
            Whitening(Moments(d + 2, mean, cov)) for mean, cov in zip(parts.means, parts.covs)
        ]
        log_det = np.array([np.log(np.diag(white.factor)).sum() for white in self._white])
        self._constant = np.log(parts.weights) - log_det - d / 2 * np.log(2 * np.pi)

    def responsibilities(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of each component in each code, (k, rows), and log p(x), (rows,)."""
        joint = np.empty((len(self._white), len(block)))
        for row, white, constant in zip(joint, self._white, self._constant):
            y = white(block)
            row[:] = np.einsum("ij,ij->i", y, y)
            row *= -0.5
            row += constant
        top = joint.max(axis=0)
        joint -= top
        np.exp(joint, out=joint)
        total = joint.sum(axis=0)
        joint /= total
        return joint, top + np.log(total)


def _climb(
    blocks: Blocks, parts: Parts, ridge: float, most: int, tolerance: float
) -> tuple[Parts, float, int]:
    """Iterate until an iteration gains less than the tolerance; say how well and how often."""
    last, score, iterations, done = -np.inf, -np.inf, 0, False
    while not done and iterations < most:
        size = len(parts.weights)
        score, parts = em_pass(blocks(), parts, ridge)
        iterations += 1
        # A component that was dropped takes likelihood with it; the climb starts anew.
        whole = len(parts.weights) == size
        done = whole and score - last < tolerance
        last = score if whole else -np.inf
    return parts, score, iterations


def _rough(
    z: np.ndarray,
    rows: np.ndarray,
    components: int,
    ridge: float,
    most: int,
    tolerance: float,
    rng: np.random.Generator,
) -> Parts:
    """Start from k-means, and climb, on at most `_START_CODES` of the given rows."""
    if len(rows) > _START_CODES:
        # Never fewer than each component needs.
        few = max(_START_CODES, 4 * components * (z.shape[1] + 1))
        rows = np.sort(rng.choice(rows, min(few, len(rows)), replace=False))
    small = next(row_blocks(np.asarray(z[rows]), rows=len(rows)))
    parts = _start(small, components, ridge, int(rng.integers(2**31)))
    if len(parts.weights) == 1:
        return parts
    return _climb(lambda: row_blocks(small), parts, ridge, most, tolerance)[0]


def _start(z: np.ndarray, components: int, ridge: float, seed: int) -> Parts:
    """Means and shares of the clusters of k-means, and the covariance within them for all."""
    labels = np.zeros(len(z), dtype=np.intp)
    if components > 1:
        clusters = MiniBatchKMeans(components, random_state=seed, n_init=3)
        with warnings.catch_warnings():
            # Fewer distinct codes than components: the empty clusters are left out below.
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = clusters.fit_predict(z)
    kept, labels = np.unique(labels, return_inverse=True)
    counts = np.bincount(labels)
    means = np.stack([z[labels == k].mean(axis=0, dtype=np.float64) for k in range(len(kept))])
    within = np.zeros((z.shape[1], z.shape[1]))
    start = 0
    for block in row_blocks(z):
        x = block - means[labels[start : start + len(block)]].astype(block.dtype)
        within += x.T @ x
        start += len(block)
    within /= len(z)
    within[np.diag_indices_from(within)] += ridge
    return Parts(counts / counts.sum(), means, np.stack([within] * len(kept)))


def _ridged(moments: Moments, ridge: float) -> Moments:
    return Moments(moments.n, moments.mean, moments.cov + ridge * np.eye(moments.d))


def _some(z: np.ndarray, keep: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of the rows to keep."""
    start = 0
    for block in row_blocks(z):
        part = block[keep[start : start + len(block)]]
        start += len(block)
        if len(part):
            yield part


def _two_no_better(tried: list[tuple[float, int, Parts]]) -> bool:
    scores = [score for score, _, _ in tried]
    return len(scores) > 2 and max(scores[-2:]) < max(scores[:-2])
