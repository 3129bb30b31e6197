r"""Where attributes live in the cloud of codes: directions, how well they separate, and arithmetic.

Let :math:`\mu, \Sigma` be the codes' mean and covariance, and :math:`c = \mathrm{Cov}(z, a)` their
covariance with an attribute a; for yes and no of share p it is :math:`c = p (1 - p) (m_1 - m_0)`, a
multiple of the difference of the class means. Three directions:

=================  ==================================================  ==================================
``means``          :math:`c`                                           difference of the class means
``discriminant``   :math:`\Sigma^{-1} c`                               Fisher's, Mahalanobis-whitened; for
                                                                       a number, least squares
``logistic``       :math:`\arg\min \sum \log(1 + e^{-a (b + w^T y)})   logistic regression on whitened
                   + \tfrac12 |w|^2`                                   codes y; yes and no alone
=================  ==================================================  ==================================

(Fisher's discriminant has the covariance within the classes; that of all codes differs from it by
:math:`p (1 - p) (m_1 - m_0)(m_1 - m_0)^T`, which by Sherman and Morrison leaves its direction as it is.)

Each can be used in two ways which must not be confounded. A *read-out* w turns a code into a number,
:math:`w^T (z - \mu)`. A *displacement* is a step through the space. The step that raises a read-out by a
given amount and is the shortest in the sense of Mahalanobis, and so the likeliest change of that size, is
not w but

.. math:: \Sigma w / \sqrt{w^T \Sigma w},

so that the discriminant as a read-out and the difference of the means as a step are one thing seen from
two sides: :math:`\Sigma\, \Sigma^{-1} c = c`.

**Arithmetic** follows. Let the rows of W be the read-outs that are to be moved, by t, or held. Among all
steps with :math:`W \Delta = t` (0 for those that are held) the shortest is

.. math:: \Delta = \Sigma W^T (W \Sigma W^T)^{-1}\, t ,

the mean of a Gaussian cloud given its scores. What is held stays exactly, not nearly: the displacement has
been orthogonalised against it. All read-outs are scaled to :math:`w^T \Sigma w = 1`, so that scores and
steps are in sigmas of the read-out over the training codes.

References:
    Fisher, 1936, https://doi.org/10.1111/j.1469-1809.1936.tb02137.x;
    DeLong, DeLong & Clarke-Pearson, 1988, https://doi.org/10.2307/2531595;
    Sun & Xu, 2014, https://doi.org/10.1109/LSP.2014.2337313 (the same by ranks);
    Radford, Metz & Chintala, 2016, https://arxiv.org/abs/1511.06434 (arithmetic with faces)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, stats

from latentshape._checks import BLOCK_ROWS, check_choice, check_codes, thinned
from latentshape.errors import InputError, suggestion
from latentshape.facts import Facts
from latentshape.shape.moments import Moments
from latentshape.shape.pca import PCA
from latentshape.shape.radius import MahalanobisLaw, MahalanobisRadii
from latentshape.shape.whitening import Whitening

__all__ = [
    "METHODS",
    "Directions",
    "Separability",
    "along_axes",
    "auc",
    "fit_directions",
    "separability",
    "within_class",
]

METHODS = ("means", "logistic", "discriminant")
"""The ways to a direction."""

#: Codes behind a logistic regression at most, evenly spaced.
LOGISTIC_CODES = 20_000
#: Read-outs whose correlations have a smaller eigenvalue than this cannot be moved apart.
_INSEPARABLE = 1e-9


@dataclass(frozen=True, eq=False)
class Directions:
    r"""Read-outs of attributes, and the steps that move them.

    Attributes:
        method: A name of `METHODS`.
        names: Of the k attributes.
        readouts: w in rows, shape (k, d), scaled to :math:`w^T \Sigma w = 1`.
        moments: Of the training codes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.standard_normal((5000, 3))
        >>> facts = Facts(("tall", "old"), z[:, :2] @ [[1.0, 1.0], [0.0, 1.0]], np.array([False, False]))
        >>> directions = fit_directions(z, facts)
        >>> moved = directions.move(z[:1], {"tall": 2.0}, hold=["old"])
        >>> np.allclose(directions.scores(moved) - directions.scores(z[:1]), [[2, 0]], atol=1e-4)
        True
    """

    method: str
    names: tuple[str, ...]
    readouts: np.ndarray
    moments: Moments

    def index(self, name: str) -> int:
        """The place of an attribute.

        Raises:
            InputError: There is none of that name, or it does not vary.
        """
        if name not in self.names:
            raise InputError(
                f"No direction belongs to {name!r}{suggestion(name, self.names)}"
                if self.names
                else f"There is no direction of {name!r}: no attribute of these images varies."
            )
        return self.names.index(name)

    def scores(self, z: Any, names: Sequence[str] | None = None) -> np.ndarray:
        """Where codes (n, d) lie along the read-outs, in sigmas from the mean, shape (n, k).

        Args:
            z: Codes.
            names: Which attributes; None: all.
        """
        z = check_codes(z, min_samples=1, latent_dim=self.moments.d, finite=False)
        rows = slice(None) if names is None else [self.index(name) for name in names]
        readouts = self.readouts[rows].T
        blocks = range(0, len(z), BLOCK_ROWS)
        return np.concatenate(
            [
                (np.asarray(z[s : s + BLOCK_ROWS], np.float64) - self.moments.mean) @ readouts
                for s in blocks
            ]
        )

    def displacement(self, steps: Mapping[str, float], hold: Iterable[str] = ()) -> np.ndarray:
        """The shortest step, in the sense of Mahalanobis, that moves some read-outs and holds others.

        Args:
            steps: By how many sigmas each is moved.
            hold: Those that stay as they are; one that is moved too is moved.

        Returns:
            Shape (d,), float64.

        Raises:
            InputError: No such attribute, nothing to move, or read-outs that cannot be moved apart.
        """
        if not steps:
            raise InputError("Nothing is to be moved; name an attribute, such as {'Smiling': 1.0}.")
        for name, step in steps.items():
            if not np.isfinite(step):
                raise InputError(f"{name!r} must be moved by a finite number, got {step!r}.")
        names = [*steps, *(name for name in dict.fromkeys(hold) if name not in steps)]
        w = self.readouts[[self.index(name) for name in names]]
        spread = self.moments.cov @ w.T
        together = w @ spread
        values, vectors = linalg.eigh(together)
        if values[0] < _INSEPARABLE * values[-1]:
            bound = [name for name, v in zip(names, np.abs(vectors[:, 0])) if v > 0.1]
            raise InputError(
                f"The read-outs of {', '.join(bound)} say the same of every code, so that one cannot be "
                "moved while another is held; leave one out."
            )
        wanted = np.zeros(len(names))
        wanted[: len(steps)] = list(steps.values())
        return spread @ linalg.solve(together, wanted, assume_a="pos")

    def move(self, z: Any, steps: Mapping[str, float], hold: Iterable[str] = ()) -> np.ndarray:
        """Codes (n, d) with attributes added or taken away, in their own precision.

        Args:
            z: Codes, moved alike.
            steps: By how many sigmas each read-out is moved; below 0 takes away.
            hold: Attributes whose read-outs stay.
        """
        z = check_codes(z, min_samples=1, latent_dim=self.moments.d)
        return (z + self.displacement(steps, hold)).astype(z.dtype)

    def sliders(self, z: Any, shares: tuple[float, float] = (0.01, 0.99)) -> list[dict[str, Any]]:
        """What a slider for each attribute has to know, ready for JSON.

        Args:
            z: Codes, over which its ends are taken.
            shares: Quantiles of the scores that are its ends.

        Returns:
            ``name``, ``low`` and ``high`` in sigmas.
        """
        ends = np.quantile(self.scores(z), shares, axis=0).T
        return [
            {"name": name, "low": float(low), "high": float(high)}
            for name, (low, high) in zip(self.names, ends, strict=True)
        ]


def fit_directions(
    z: Any,
    facts: Facts,
    method: str = "discriminant",
    names: Sequence[str] | None = None,
    moments: Moments | None = None,
) -> Directions:
    """Directions of attributes, learnt from training codes.

    Args:
        z: Training codes (n, d); their covariance must have an inverse.
        facts: What is known of their n images.
        method: From `METHODS`. ``logistic`` is of attributes of yes and no alone: others are left out.
        names: Which attributes; None: all that vary.
        moments: Of the codes, where known.

    Raises:
        InputError: An attribute does not exist or does not vary, or is no question of yes and no where
            ``logistic`` needs one.
    """
    check_choice(method, name="method", choices=METHODS)
    z = check_codes(z, finite=False, latent_dim=moments.d if moments else None)
    names = _fitting_names(facts, method, names, len(z))
    moments = moments or Moments.of(z)
    whitening = Whitening(moments)
    if method == "logistic":
        rows = thinned(np.arange(len(z)), LOGISTIC_CODES)
        y = whitening(np.asarray(z[rows])).astype(np.float64)
        found = np.array([_logistic(y, facts[name][rows], name) for name in names])
        readouts = found.reshape(len(names), moments.d) @ whitening.matrix.T
    else:
        readouts = _covariances(z, facts.columns(names), moments)
        if method == "discriminant":
            readouts = readouts @ whitening.matrix @ whitening.matrix.T
    lengths = np.sqrt(np.einsum("kd,de,ke->k", readouts, moments.cov, readouts))
    return Directions(method, tuple(names), readouts / lengths[:, None], moments)


def _fitting_names(
    facts: Facts, method: str, names: Sequence[str] | None, n: int
) -> tuple[str, ...]:
    """The attributes that have a direction by this method."""
    varying = facts.varying()
    if names is None:
        if len(facts) not in (0, n):
            raise InputError(
                f"Codes and facts must be of the same images, got {n} and {len(facts)}."
            )
        return tuple(m for m in varying if method != "logistic" or facts.answers[facts.index(m)])
    for name in names:
        if name not in varying:
            facts.index(name)
            raise InputError(
                f"{name!r} is the same for all training images, or unknown: it has no direction; choose "
                "another attribute."
            )
        if method == "logistic" and not facts.answers[facts.index(name)]:
            raise InputError(
                f"{name!r} is a number, and logistic regression is about yes and no; use the method "
                "'discriminant', which is least squares for numbers."
            )
    return tuple(names)


def _covariances(z: np.ndarray, a: np.ndarray, moments: Moments) -> np.ndarray:
    """Covariance of each attribute with the codes, over the images that it is known of, shape (k, d)."""
    known = np.isfinite(a)
    counts = known.sum(0)
    centred = np.where(known, a - np.nansum(a, 0) / counts, 0.0)
    total = np.zeros((a.shape[1], z.shape[1]))
    for start in range(0, len(z), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        total += centred[rows].T @ (np.asarray(z[rows], np.float64) - moments.mean)
    return total / counts[:, None]


def _logistic(y: np.ndarray, answers: np.ndarray, name: str) -> np.ndarray:
    """Weights (d,) of a logistic regression on whitened codes, with a standard normal prior on them."""
    from sklearn.linear_model import LogisticRegression

    known = np.isfinite(answers)
    if len(np.unique(answers[known])) < 2:
        raise InputError(
            f"Among the codes that logistic regression looks at {name!r} is the same for all; use the "
            "method 'discriminant'."
        )
    model = LogisticRegression(C=1.0, max_iter=1000)
    return model.fit(y[known], answers[known] > 0.5).coef_[0]


def along_axes(
    directions: Directions, leading: int = 10, *, steps: bool = True
) -> list[dict[str, Any]]:
    r"""Angles between directions and the principal axes of the cloud.

    The cosines with all d axes are the direction's coordinates, and their squares sum to 1. A direction
    without preference has the share ``leading / d`` in the leading axes. Steps prefer wide axes and
    whitened read-outs narrow ones, as every :math:`\Sigma w` and :math:`\Sigma^{-1} c` does: so one is
    to be compared with its like alone.

    Args:
        directions: Read-outs w.
        leading: How many axes count as leading.
        steps: Take the steps :math:`\Sigma w`, where pictures with the attribute lie, instead of w itself.

    Returns:
        For each: ``axis`` (from 1) that it is nearest to, ``angle`` to it in degrees, and ``leading``, the
        share of its square in the leading axes.
    """
    axes = PCA.of(directions.moments).axes
    vectors = directions.readouts @ directions.moments.cov if steps else directions.readouts
    cosines = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) @ axes.T
    found = []
    for row in cosines:
        nearest = int(np.abs(row).argmax())
        found.append(
            {
                "axis": nearest + 1,
                "angle": float(np.degrees(np.arccos(min(1.0, abs(row[nearest]))))),
                "leading": float(np.square(row[:leading]).sum()),
            }
        )
    return found


# --- how well a direction separates -----------------------------------------------------------------


@dataclass(frozen=True)
class Separability:
    """How well a read-out tells an attribute, on codes that it was not fitted to.

    Attributes:
        name: Of the attribute.
        measure: ``auc`` for yes and no, ``correlation`` for numbers.
        value: 0.5 to 1 for an AUC (less is worse than chance), -1 to 1 for a correlation.
        error: Its standard error.
        n: Codes, and of them `yes` with the attribute (None for numbers).
        yes: See `n`.
    """

    name: str
    measure: str
    value: float
    error: float
    n: int
    yes: int | None


def auc(scores: np.ndarray, yes: np.ndarray) -> tuple[float, float]:
    """Area under the ROC curve, and its standard error by DeLong's method.

    Args:
        scores: Shape (n,).
        yes: Shape (n,), bool; both answers must occur at least twice.

    Example:
        >>> value, error = auc(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True]))
        >>> value, round(error, 4)
        (0.75, 0.3536)
    """
    m, n = int(yes.sum()), int((~yes).sum())
    if m < 2 or n < 2:
        raise InputError(
            f"An area under the ROC curve needs both answers at least twice, got {m} of yes and {n} of no; "
            "use more held-out images."
        )
    all_ranks = stats.rankdata(scores)
    # The share of the other class that each score beats: DeLong's structural components.
    beaten = (all_ranks[yes] - stats.rankdata(scores[yes])) / n
    lost = 1.0 - (all_ranks[~yes] - stats.rankdata(scores[~yes])) / m
    variance = beaten.var(ddof=1) / m + lost.var(ddof=1) / n
    return float(beaten.mean()), float(np.sqrt(variance))


def separability(directions: Directions, z: Any, facts: Facts) -> list[Separability | None]:
    """How well each read-out tells its attribute on other codes.

    Args:
        directions: Learnt from training codes.
        z: Held-out codes (n, d).
        facts: What is known of their n images.

    Returns:
        One for each attribute; None where the held-out images do not have it both ways, or at least
        three values known.
    """
    scores = directions.scores(z)
    return [_separates(name, s, facts) for name, s in zip(directions.names, scores.T)]


def _separates(name: str, scores: np.ndarray, facts: Facts) -> Separability | None:
    values = facts[name]
    known = np.isfinite(values)
    values, scores = values[known], scores[known]
    if facts.answers[facts.index(name)]:
        yes = values > 0.5
        if min(yes.sum(), (~yes).sum()) < 2:
            return None
        return Separability(name, "auc", *auc(scores, yes), len(values), int(yes.sum()))
    if len(values) < 3 or values.std() == 0 or scores.std() == 0:
        return None
    r = float(np.corrcoef(scores, values)[0, 1])
    error = float((1 - r * r) / np.sqrt(len(values) - 1))
    return Separability(name, "correlation", r, error, len(values), None)


# --- what a class looks like within the cloud -------------------------------------------------------


def within_class(
    z: Any, member: np.ndarray, moments: Moments | None = None, seed: int = 0
) -> dict[str, Any]:
    r"""What the codes of a class look like beside all codes: does the cloud stay normal within it?

    Args:
        z: Codes (n, d).
        member: Which are of the class, (n,) bool.
        moments: Of all codes, where known.
        seed: Of the subset of all codes that is as large as the class.

    Returns:
        ``n`` of the class, and

        * ``offset_sigma``: Mahalanobis distance of its mean from that of all codes;
        * ``apart_sigma``: the same from the mean of the codes that are not of the class;
        * ``covariance_ratio``: mean variance in whitened coordinates,
          :math:`\mathrm{tr}(\Sigma^{-1} \Sigma_c) / d`; 1 where a class varies as all do;
        * ``variance_ratio``: variance of the squared Mahalanobis radius about the class's own mean and
          covariance, over that of a normal law (1 if normal); None for too small a class, with ``why``;
        * ``variance_ratio_all``: the same for as many codes out of all.
    """
    z = check_codes(z, finite=False)
    moments = moments or Moments.of(z)
    rows = np.flatnonzero(member)
    found: dict[str, Any] = {"n": len(rows)}
    if len(rows) < 2:
        return {**found, "offset_sigma": None, "apart_sigma": None, "covariance_ratio": None,
                "variance_ratio": None, "variance_ratio_all": None,
                "why": "a class of fewer than 2 codes has no shape"}  # fmt: skip
    whitening = Whitening(moments)
    own = Moments.of(np.asarray(z[rows]))
    shift = (own.mean - moments.mean) @ whitening.matrix
    offset = float(np.linalg.norm(shift))
    rest = len(z) - len(rows)
    # The mean of all lies between those of the class and of the rest.
    apart = offset * len(z) / rest if rest else None
    found |= {"offset_sigma": offset, "apart_sigma": apart}
    inside = whitening.matrix.T @ own.cov @ whitening.matrix
    found["covariance_ratio"] = float(np.trace(inside) / moments.d)
    others = np.random.default_rng(seed).choice(len(z), len(rows), replace=False)
    try:
        found["variance_ratio"] = _variance_ratio(np.asarray(z[rows]), own)
        found["variance_ratio_all"] = _variance_ratio(np.asarray(z[np.sort(others)]))
    except InputError as refusal:
        found |= {"variance_ratio": None, "variance_ratio_all": None, "why": str(refusal)}
    return found


def _variance_ratio(z: np.ndarray, moments: Moments | None = None) -> float:
    """Variance of squared Mahalanobis radii over that of normal codes, about the codes' own moments."""
    moments = moments or Moments.of(z)
    law = MahalanobisLaw(moments.n, moments.d)
    radii = MahalanobisRadii(moments)
    for start in range(0, len(z), BLOCK_ROWS):
        radii.update(z[start : start + BLOCK_ROWS])
    return radii.squared.variance() / law.variance
