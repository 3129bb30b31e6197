r"""A few common factors and a variance of each component's own: a Gaussian for more components than codes.

.. math::
    x = \mu + W e_1 + \Psi^{1/2} e_2, \qquad W \in R^{d \times k}, \; \Psi = \mathrm{diag}(\psi), \qquad
    x \sim N(\mu, W W^T + \Psi)

What `latentshape.shape.low_rank` fits. A draw costs d (k + 1) operations, a density O(d k), and no matrix
d x d is held: 4,096 components and 100 factors are 3 MB, where a covariance has 134.
"""

__all__ = ["LowRank"]

from typing import ClassVar, final

import numpy as np

from latentshape._checks import check_count, check_positive, check_seed
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.noise import Noise
from latentshape.shape.low_rank import LowRankGaussian


@final
class LowRank(Sampler):
    """Draw from a Gaussian of k factors and a diagonal rest; more components than codes are welcome.

    Args:
        rank: k; None chooses it by the likelihood of held-out codes.
        max_iterations: Of EM; 0 leaves the law at probabilistic principal components.
        tolerance: EM ends when an iteration gains less, in nats per code and component.
        temperature: T > 0: factor on all standard deviations.
        seed: Which codes judge the number of factors.

    Attributes:
        loadings_: W, shape (d, k).
        noise_: psi, shape (d,).
        candidates_, heldout_: With rank=None, the numbers tried and the mean log-likelihood of held-out
            codes under each.
        log_likelihood_: Mean log-likelihood of the codes, in nats (at temperature 1).
        iterations_: Of EM on all codes.
        cov_: Shape (d, d), made when it is asked for and not kept.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.standard_normal((100, 2)) @ rng.standard_normal((2, 500))
        >>> z += rng.standard_normal((100, 500))
        >>> sampler = LowRank().fit(z)  # 100 codes of 500 components
        >>> sampler.loadings_.shape, sampler.sample(3).shape
        ((500, 2), (3, 500))
    """

    name = "low-rank"
    description = (
        "A Gaussian of a few common factors with a variance of its own for each component: fits codes of "
        "more components than there are images."
    )
    has_density: ClassVar[bool] = True

    loadings_: np.ndarray
    noise_: np.ndarray
    candidates_: np.ndarray
    heldout_: np.ndarray
    log_likelihood_: float
    iterations_: int

    def __init__(
        self,
        rank: int | None = None,
        max_iterations: int = 200,
        tolerance: float = 1e-6,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.rank = rank
        self.max_iterations = max_iterations
        self.tolerance = tolerance
        self.temperature = temperature
        self.seed = seed

    def _fit(self, z: np.ndarray) -> None:
        iterations = check_count(self.max_iterations, name="max_iterations", minimum=0)
        tolerance = check_positive(self.tolerance, name="tolerance")
        temperature = check_positive(self.temperature, name="temperature")
        law = LowRankGaussian.of(
            z, self.rank, max_iterations=iterations, tolerance=tolerance, seed=check_seed(self.seed)
        )
        self.mean_ = law.mean
        self.loadings_, self.noise_ = temperature * law.loadings, temperature**2 * law.noise
        self.candidates_, self.heldout_ = law.candidates, law.held_out
        self.log_likelihood_, self.iterations_ = law.log_likelihood, law.iterations

    def _covariance(self) -> np.ndarray:
        return self._law().covariance()

    def _law(self) -> LowRankGaussian:
        return LowRankGaussian(self.mean_, self.loadings_, self.noise_)

    def _draw(self, noise: Noise) -> np.ndarray:
        d, k = self.loadings_.shape
        common, x = noise.normal(k), noise.normal(d)
        x *= np.sqrt(self.noise_).astype(x.dtype)
        x += common @ self.loadings_.T.astype(x.dtype)
        x += self.mean_.astype(x.dtype)
        return x

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        if not (self.noise_ > 0).all():
            raise InputError(
                f"This {self.name!r} law lies in fewer than {len(self.mean_)} dimensions and has no "
                "density there; fit codes without constant components."
            )
        return self._law().log_density(block)
