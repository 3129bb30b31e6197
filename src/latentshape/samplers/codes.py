"""The training codes themselves, drawn with replacement: the floor of every comparison.

Nothing new can come of it, so what its decoded codes lack against real images is owed to the
decoder and not to any sampler.
"""

__all__ = ["TrainingCodes"]

from typing import ClassVar, final

import numpy as np

from latentshape._checks import check_count
from latentshape.samplers.base import Sampler
from latentshape.samplers.noise import Noise
from latentshape.shape.moments import Moments
from latentshape.shape.wide import moments_of


@final
class TrainingCodes(Sampler):
    """Draw training codes with replacement.

    Of more than `max_codes` codes a random subset (always the same one) is kept, so that a saved
    sampler stays small.

    Args:
        max_codes: How many codes are kept at most: 20 MB at 256 dimensions by default.

    Example:
        >>> z = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> x = TrainingCodes().fit(z).sample(10)
        >>> {tuple(row) for row in x.tolist()} <= {(1.0, 2.0), (3.0, 4.0)}
        True
    """

    name = "training-codes"
    description = "Codes of training images, unchanged: the best that any sampler could do."
    has_density: ClassVar[bool] = False
    baseline: ClassVar[bool] = True

    codes_: np.ndarray

    def __init__(self, max_codes: int = 20_000) -> None:
        self.max_codes = max_codes

    def _fit(self, z: np.ndarray) -> None:
        self.codes_ = kept_codes(z, self.max_codes)
        self.mean_ = moments_of(self.codes_).mean

    def _covariance(self) -> np.ndarray:
        moments = Moments.of(self.codes_)
        # With replacement, the kept codes are the whole population: divisor n.
        return moments.cov * ((moments.n - 1) / moments.n)

    def _draw(self, noise: Noise) -> np.ndarray:
        n = len(self.codes_)
        index = (noise.fine_uniform(1)[:, 0] * n).astype(np.intp)
        return self.codes_[np.minimum(index, n - 1)]


def kept_codes(z: np.ndarray, max_codes: int) -> np.ndarray:
    """At most so many codes (m, d), float32, in order: of more, a random subset, always the same."""
    most = check_count(max_codes, name="max_codes", minimum=2)
    rows = np.arange(len(z))
    if len(z) > most:
        rng = np.random.Generator(np.random.PCG64(0))
        rows = np.sort(rng.choice(len(z), most, replace=False))
    return np.array(z[rows], dtype=np.float32)
