r"""The control: an equal-size draw from the Gaussian that was fitted, measured the same way.

At 170,000 codes every test of normality rejects, and every estimate has its finite-sample quirks.
What a statistic would be *if the cloud were Gaussian* is seen on a draw of as many codes from
N(m, S): the same number beside each number, whatever its law.

Each read draws the same blocks anew from the same seed; only a small draw is kept in memory for the next.
"""

__all__ = ["GaussianControl"]

from collections.abc import Iterator

import numpy as np

from latentshape._checks import BLOCK_ROWS
from latentshape.shape.moments import Moments, MomentSums
from latentshape.shape.streaming import Progress, stream

_KEPT_BYTES = 32 * 2**20


class GaussianControl:
    """As many codes as wanted from N(mean, cov), drawn block by block, the same on each read.

    Draws of up to 32 MiB are kept after the first read, because that is cheap.

    Args:
        moments: Mean and covariance to draw from (a singular covariance is drawn from as well).
        n: Number of codes.
        seed: Which draw.
        stream_id: Distinguishes several draws of one seed.

    Example:
        >>> m = Moments(9, np.zeros(2), np.eye(2))
        >>> control = GaussianControl(m, n=5000)
        >>> [block.shape for block in control.blocks()]
        [(4096, 2), (904, 2)]
    """

    def __init__(self, moments: Moments, n: int, *, seed: int = 0, stream_id: int = 0) -> None:
        self.n = n
        self._source = moments
        self._factor = moments.factor().astype(np.float32)
        self._mean = moments.mean.astype(np.float32)
        self._seed = (seed, stream_id)
        self._kept: list[np.ndarray] | None = None

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the codes, float32, in blocks of rows."""
        if self._kept is not None:
            yield from self._kept
            return
        keep = 4 * self.n * len(self._mean) <= _KEPT_BYTES
        drawn = []
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(self._seed)))
        for start in range(0, self.n, BLOCK_ROWS):
            rows = min(BLOCK_ROWS, self.n - start)
            noise = rng.standard_normal((rows, self._factor.shape[1]), dtype=np.float32)
            block = noise @ self._factor.T
            del noise  # while others work on the block
            block += self._mean
            if keep:
                drawn.append(block)
            yield block
        self._kept = drawn if keep else None

    def moments(self, *, progress: Progress | None = None) -> Moments:
        """Return the moments of the drawn codes (not those they are drawn from)."""
        r = self._source.correlation()
        exact = bool(np.linalg.eigvalsh(r)[0] < 1e-4)
        sums = MomentSums(self._source.mean, exact=exact)
        stream(self.blocks(), sums, progress=progress)
        return sums.result()
