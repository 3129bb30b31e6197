r"""A classifier two-sample test: can one tell the codes from a draw of the fitted Gaussian?

If a classifier tells which of two samples a code comes from better than by tossing a coin, the two
laws differ; how well it does on codes that it was not trained on is the size of the difference, in a
unit that everybody knows: AUC, the probability that a code looks more like a code than a Gaussian
draw does. 0.5 is no difference, 1 two clouds apart.

The classifier is linear discriminant analysis with a ridge on bounded-growth features of the
whitened codes, solved in closed form: the radius (|y|, |y|², log |y|), sums of cubes and fourth
powers of components, then for the axes and for random directions u the features :math:`|u^T y|`
(tails, humps) and :math:`u^T y\, |u^T y|` (skewness), and random waves :math:`\cos(w^T y + b)`.

Every other row trains, the rest judge. Either sample is whitened by the moments of its *training*
rows: whitened by those of all rows, what is high in one half is low in the other, and the classifier
learns the opposite of what it is judged by (AUC 0.4 for two Gaussian samples at n = 16 d). The
Gaussian sample is the same whatever it is compared with, so that observed and simulated values differ
in nothing but the codes.

References:
    Lopez-Paz & Oquab, 2017, https://arxiv.org/abs/1610.06545
"""

__all__ = ["ClassifierTest"]

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy import linalg

from latentshape._checks import check_count, check_seed, row_blocks, thinned
from latentshape.errors import InputError
from latentshape.shape.moments import Moments
from latentshape.shape.whitening import Whitening

Sums = tuple[int, np.ndarray, np.ndarray]
"""Rows, sums of features and sums of their products."""

Blocks = Callable[[], Iterator[np.ndarray]]
"""A read of some codes, block by block: nothing is copied whole, for a dozen threads may test at once."""

_AXES = 192
_DIRECTIONS = 64
_WAVES = 128
_GLOBAL = 5
_RIDGE = 0.3  # of the number of rows, in units of each feature's variance
_ROWS = 1024


class ClassifierTest:
    """Held-out AUC of codes (n, d) against n Gaussian draws, whitened likewise.

    Args:
        n: Codes in either sample, at least 8 and above 2 d.
        d: Dimension.
        seed: Which Gaussian draw and which random features.

    Raises:
        InputError: n is too small.

    Example:
        >>> test = ClassifierTest(500, 2)
        >>> rng = np.random.default_rng(0)
        >>> z = rng.standard_t(3, (500, 2))
        >>> auc = test(z)
        >>> 0.55 < auc < 0.7
        True
    """

    def __init__(self, n: int, d: int, seed: int = 0) -> None:
        self.n, self.d = check_count(n, name="n"), check_count(d, name="d")
        if n < 8 or n <= 2 * d:
            raise InputError(
                f"the classifier test needs at least 8 codes and more than 2 d, got {n} of "
                f"dimension {d}; use more codes or fewer components."
            )
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence((check_seed(seed), 2))))
        axes = thinned(np.eye(d), _AXES)
        drawn = rng.standard_normal((_DIRECTIONS, d))
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        self._directions = np.concatenate([axes, drawn]).T.astype(np.float32)
        # A typical pair of codes then lies 1.4 radians apart, as in BHEP with its beta.
        self._waves = (rng.standard_normal((d, _WAVES)) / np.sqrt(d)).astype(np.float32)
        self._phases = rng.uniform(0, 2 * np.pi, _WAVES).astype(np.float32)
        draw = rng.standard_normal((n, d), dtype=np.float32)
        train, judging = _halves(draw)
        width = _GLOBAL + 2 * self._directions.shape[1] + _WAVES
        self._mean, self._std = np.zeros(width, np.float32), np.ones(width, np.float32)
        raw = list(self._features(train(), limit=np.inf))
        rows = (n + 1) // 2
        mean = sum(block.sum(axis=0, dtype=np.float64) for block in raw) / rows
        squares = sum(np.square(block - mean).sum(axis=0) for block in raw)
        self._mean = mean.astype(np.float32)
        self._std = np.sqrt(squares / rows).astype(np.float32) + np.float32(1e-6)
        del raw
        self._known = self._sums(train())
        self._judging = np.concatenate(list(judging()))

    def __call__(self, y: np.ndarray) -> float:
        """Return the held-out AUC of codes of shape (n, d), whitened or not, in [0, 1]."""
        if y.shape != (self.n, self.d):
            raise InputError(
                f"y must have shape {(self.n, self.d)} as the test was made for, got {y.shape}; "
                "make a ClassifierTest of that shape."
            )
        train, judging = _halves(y)
        weights = self._train(self._sums(train()), self._known)
        theirs = self._scores(row_blocks(self._judging, _ROWS), weights)
        return _auc(self._scores(judging(), weights), theirs)

    def _scores(self, blocks: Iterable[np.ndarray], weights: np.ndarray) -> np.ndarray:
        return np.concatenate([block @ weights for block in self._features(blocks)])

    def _sums(self, blocks: Iterable[np.ndarray]) -> Sums:
        n, width = 0, len(self._mean)
        first, second = np.zeros(width), np.zeros((width, width))
        for block in self._features(blocks):
            n += len(block)
            first += block.sum(axis=0, dtype=np.float64)
            second += block.T @ block
        return n, first, second

    def _features(self, blocks: Iterable[np.ndarray], limit: float = 10.0) -> Iterator[np.ndarray]:
        """Yield standardised features of blocks of whitened codes."""
        k = self._directions.shape[1]
        for block in blocks:
            block = block.astype(np.float32, copy=False)
            features = np.empty((len(block), len(self._mean)), dtype=np.float32)
            squared = np.square(block)
            radius = squared.sum(axis=1)
            features[:, 0] = radius
            features[:, 1] = np.sqrt(radius)
            features[:, 2] = np.log(np.maximum(radius, np.float32(1e-30)))
            features[:, 3] = np.einsum("ij,ij->i", squared, block)
            features[:, 4] = np.einsum("ij,ij->i", squared, squared)
            along = block @ self._directions
            size, signed, waves = np.split(features[:, _GLOBAL:], [k, 2 * k], axis=1)
            np.abs(along, out=size)
            np.multiply(along, size, out=signed)
            np.cos(block @ self._waves + self._phases, out=waves)
            features -= self._mean
            features /= self._std
            # The scale is the Gaussian's: what lies 10 of its deviations out needs no more weight.
            yield np.clip(features, -limit, limit, out=features)

    def _train(self, ours: Sums, theirs: Sums) -> np.ndarray:
        """Weights of the ridge discriminant from the sums of two classes, float32."""
        (n_a, sum_a, square_a), (n_b, sum_b, square_b) = ours, theirs
        within = square_a + square_b
        within -= np.outer(sum_a, sum_a / n_a)
        within -= np.outer(sum_b, sum_b / n_b)
        ridge = np.full(len(within), _RIDGE * (n_a + n_b))
        ridge[:_GLOBAL] = 1e-3 * (n_a + n_b)  # few, and the likeliest to tell
        within[np.diag_indices_from(within)] += ridge
        apart = sum_a / n_a - sum_b / n_b
        weights = linalg.solve(within, apart, assume_a="pos", overwrite_a=True)
        return weights.astype(np.float32)


def _halves(y: np.ndarray) -> tuple[Blocks, Blocks]:
    """Reads of the training and of the judging rows, both whitened by the moments of the former."""
    whitening = Whitening(Moments.of(y[::2]))
    train, judging = (
        lambda first=first: whitening.blocks(row_blocks(y[first::2], _ROWS)) for first in (0, 1)
    )
    return train, judging


def _auc(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Probability that one of ours ranks above one of theirs (ties count half)."""
    both = np.concatenate([ours, theirs])
    ascending = np.sort(both)
    # Mean of the first and the last place: ties share their ranks.
    first = np.searchsorted(ascending, ours, side="left")
    ranks = (first + np.searchsorted(ascending, ours, side="right") + 1) / 2
    return float((ranks.mean() - (len(ours) + 1) / 2) / len(theirs))
