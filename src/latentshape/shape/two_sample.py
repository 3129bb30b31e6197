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

from collections.abc import Iterator

import numpy as np
from scipy import linalg

from latentshape._checks import check_count, check_seed
from latentshape.errors import InputError
from latentshape.shape.moments import Moments
from latentshape.shape.whitening import Whitening

Sums = tuple[int, np.ndarray, np.ndarray]
"""Rows, sums of features and sums of their products."""

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
        axes = np.eye(d)[np.linspace(0, d - 1, min(d, _AXES)).astype(int)]
        drawn = rng.standard_normal((_DIRECTIONS, d))
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        self._directions = np.concatenate([axes, drawn]).T.astype(np.float32)
        # A typical pair of codes then lies 1.4 radians apart, as in BHEP with its beta.
        self._waves = (rng.standard_normal((d, _WAVES)) / np.sqrt(d)).astype(np.float32)
        self._phases = rng.uniform(0, 2 * np.pi, _WAVES).astype(np.float32)
        draw = rng.standard_normal((n, d), dtype=np.float32)
        train, judging = _halves(draw)
        self._mean, self._std = np.zeros(1, np.float32), np.ones(1, np.float32)
        raw = np.concatenate(list(self._features(train, limit=np.inf)))
        self._mean, self._std = raw.mean(axis=0), raw.std(axis=0) + np.float32(1e-6)
        self._known = self._sums(train)
        self._judging = judging

    def __call__(self, y: np.ndarray) -> float:
        """Return the held-out AUC of codes of shape (n, d), whitened or not, in [0, 1]."""
        if y.shape != (self.n, self.d):
            raise InputError(
                f"y must have shape {(self.n, self.d)} as the test was made for, got {y.shape}; "
                "make a ClassifierTest of that shape."
            )
        train, judging = _halves(y)
        weights = self._train(self._sums(train), self._known)
        return _auc(self._scores(judging, weights), self._scores(self._judging, weights))

    def _scores(self, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.concatenate([block @ weights for block in self._features(y)])

    def _sums(self, y: np.ndarray) -> Sums:
        first, second = 0.0, 0.0
        for block in self._features(y):
            first = first + block.sum(axis=0, dtype=np.float64)
            second = second + (block.T @ block).astype(np.float64)
        return len(y), np.asarray(first), np.asarray(second)

    def _features(self, y: np.ndarray, limit: float = 10.0) -> Iterator[np.ndarray]:
        """Yield standardised features of blocks of whitened codes."""
        for start in range(0, len(y), _ROWS):
            block = y[start : start + _ROWS].astype(np.float32, copy=False)
            squared = np.square(block)
            radius = squared.sum(axis=1)
            along = block @ self._directions
            size = np.abs(along)
            globally = (
                radius,
                np.sqrt(radius),
                np.log(np.maximum(radius, np.float32(1e-30))),
                np.einsum("ij,ij->i", squared, block),
                np.einsum("ij,ij->i", squared, squared),
            )
            waves = np.cos(block @ self._waves + self._phases)
            features = np.concatenate([np.stack(globally, 1), size, along * size, waves], axis=1)
            features -= self._mean
            features /= self._std
            # The scale is the Gaussian's: what lies 10 of its deviations out needs no more weight.
            yield np.clip(features, -limit, limit, out=features)

    def _train(self, ours: Sums, theirs: Sums) -> np.ndarray:
        """Weights of the ridge discriminant from the sums of two classes, float32."""
        (n_a, sum_a, square_a), (n_b, sum_b, square_b) = ours, theirs
        within = square_a - np.outer(sum_a, sum_a) / n_a + square_b - np.outer(sum_b, sum_b) / n_b
        ridge = np.full(len(within), _RIDGE * (n_a + n_b))
        ridge[:_GLOBAL] = 1e-3 * (n_a + n_b)  # few, and the likeliest to tell
        within[np.diag_indices_from(within)] += ridge
        weights = linalg.solve(within, sum_a / n_a - sum_b / n_b, assume_a="pos")
        return weights.astype(np.float32)


def _halves(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Training and judging rows, both whitened by the moments of the former."""
    train, judging = np.ascontiguousarray(y[::2]), np.ascontiguousarray(y[1::2])
    whitening = Whitening(Moments.of(train))
    return whitening(train), whitening(judging)


def _auc(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Probability that one of ours ranks above one of theirs (ties count half)."""
    both = np.concatenate([ours, theirs])
    ascending = np.sort(both)
    # Mean of the first and the last place: ties share their ranks.
    first = np.searchsorted(ascending, ours, side="left")
    ranks = (first + np.searchsorted(ascending, ours, side="right") + 1) / 2
    return float((ranks.mean() - (len(ours) + 1) / 2) / len(theirs))
