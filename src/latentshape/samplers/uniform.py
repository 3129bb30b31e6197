r"""Uniform laws in boxes: the cube about the origin, and an interval per component.

.. math::
    x_j \sim U(l_j, h_j) \text{ independently}, \qquad
    \mathrm{var}\, x_j = (h_j - l_j)^2 / 12, \qquad p(x) = \prod_j (h_j - l_j)^{-1}

In many dimensions a cube fills a thin shell of radii, about b sqrt(d/3), and no direction in
particular: it misses an off-centre, elongated cloud almost surely.
"""

__all__ = ["Cube", "Intervals"]

from abc import abstractmethod
from typing import ClassVar, final

import numpy as np

from latentshape._checks import LARGEST, check_positive, row_blocks
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.noise import Noise
from latentshape.shape.components import number_distributions
from latentshape.shape.radius import EuclideanRadii, best_cube
from latentshape.shape.streaming import stream
from latentshape.shape.wide import moments_of


class _Box(Sampler):
    """Uniform between `low_` and `high_`, each (d,)."""

    has_density: ClassVar[bool] = True
    low_: np.ndarray
    high_: np.ndarray
    half_: np.ndarray

    @abstractmethod
    def _bounds(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Choose the centre and the half-length of each side, both (d,)."""

    def _fit(self, z: np.ndarray) -> None:
        centre, half = self._bounds(z)
        reach = (np.abs(centre) + half).max()
        if not reach < LARGEST:
            raise InputError(
                f"Sampler {self.name!r} draws in single precision, up to {LARGEST:g}, but its sides "
                f"would reach {reach:g}; choose smaller ones."
            )
        self.low_, self.high_ = centre - half, centre + half
        self.mean_, self.half_ = centre, half

    def _covariance(self) -> np.ndarray:
        return np.diag(self.half_**2 / 3)

    def _draw(self, noise: Noise) -> np.ndarray:
        u = noise.uniform(len(self.low_))
        u *= (self.high_ - self.low_).astype(u.dtype)
        u += self.low_.astype(u.dtype)
        return u

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        sides = self.high_ - self.low_
        if not (sides > 0).all():
            raise InputError(
                f"This {self.name!r} law has sides of length 0 (constant components) and so no "
                "density; leave those components out."
            )
        inside = ((block >= self.low_) & (block <= self.high_)).all(axis=1)
        return np.where(inside, -np.log(sides).sum(), -np.inf)


@final
class Cube(_Box):
    """Draw uniformly from the cube [-b, b]^d about the origin.

    Args:
        b: Half the side; None for the cube whose mean radius is that of the codes.

    Example:
        >>> sampler = Cube(b=1.5).fit(np.eye(4))
        >>> float(np.abs(sampler.sample(1000)).max()) <= 1.5
        True
    """

    name = "cube"
    description = "Every component uniform between -b and b, whatever the codes look like."

    def __init__(self, b: float | None = None) -> None:
        self.b = b

    def _bounds(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.b is None:
            lengths = EuclideanRadii()
            stream(row_blocks(z), lengths)
            b = best_cube(z.shape[1], lengths.radii.mean)
        else:
            b = check_positive(self.b, name="b")
        return np.zeros(z.shape[1]), np.full(z.shape[1], b)


@final
class Intervals(_Box):
    """Draw every component uniformly from mean_j ± fact · half-width_j.

    The half-width is that of the component's number distribution at half its maximum.

    Args:
        fact: Factor on the half-widths.
    """

    name = "intervals"
    description = (
        "Every component uniform in its own interval about its mean, as wide as its number "
        "distribution at half maximum; correlations are ignored."
    )

    def __init__(self, fact: float = 1.0) -> None:
        self.fact = fact

    def _bounds(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fact = check_positive(self.fact, name="fact")
        moments = moments_of(z)
        return moments.mean, fact * number_distributions(z, moments).half_widths()
