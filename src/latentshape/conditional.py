r"""Laws of codes under a condition: ``Smiling & ~Male`` as a sampler.

**In closed form.** Let z be codes and a the attributes that the condition names (yes 1, no 0). If both
together were normal,

.. math::
    z \mid a \;\sim\; N\!\left(\mu + G\,(a - \mu_a),\; \Sigma - G\, \Sigma_{az}\right),
    \qquad G = \Sigma_{za} \Sigma_{aa}^{-1},

and a condition is a law of a: draws take the attributes of a training image that satisfies it, one
after the other at random, and then a code given these. Nothing is rejected, every training image takes
part in :math:`\mu, \Sigma, G`, and a condition that few images satisfy, or none, has a law all the same:
where none does, every attribute is taken from the images that satisfy its own part.

An attribute of yes and no is not normal, so this is an approximation. What it says is known exactly: with
one attribute of share p and class means :math:`m_1, m_0`,

.. math::
    \mu + G\,(1 - p) = m_1, \qquad
    \Sigma - G\, \Sigma_{az} = p\, \Sigma_1 + (1 - p)\, \Sigma_0 ,

the class has its own mean and the covariance that *both* classes have in the mean. What a class has for
itself (people with glasses vary in other ways), and what attributes do together beyond the sum of what
each does, is lost.

**By classes.** Any sampler fitted to the codes of the training images that satisfy the condition. It
keeps what the closed form loses, and needs enough such images: a covariance of its own costs about d/2
parameters for each of the d components.

References:
    Anderson, 2003, An Introduction to Multivariate Statistical Analysis, 2.5 (the conditional normal law)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self, final

import numpy as np
from scipy import linalg

from latentshape._checks import BLOCK_ROWS, check_codes, thinned
from latentshape.conditions import Condition, parse_condition
from latentshape.errors import InputError, suggestion
from latentshape.facts import Facts
from latentshape.samplers import SAMPLERS, make_sampler
from latentshape.samplers.base import Sampler
from latentshape.samplers.colouring import colour, is_triangular
from latentshape.samplers.noise import Noise
from latentshape.shape.moments import Moments, MomentSums
from latentshape.shape.streaming import stream

__all__ = ["CONDITIONAL", "ENOUGH", "ConditionalGaussian", "choose_law", "fit_where"]

CONDITIONAL = "conditional"
"""Name of the closed form, beside those of the samplers that are fitted to a class."""

ENOUGH = 1.15
"""Training images for each component of a code from which on a class has a law of its own by default."""

#: Attributes of training images that draws go back to, at most.
_KEPT = 4096
#: Below this share of the greatest eigenvalue of their correlations, attributes determine each other.
_DEPENDENT = 1e-6


@final
class ConditionalGaussian(Sampler):
    """The Gaussian of codes and attributes together, given a condition on the attributes.

    Args:
        where: The condition, as `latentshape.conditions` has it.

    Attributes:
        base_: The codes' mean, shape (d,).
        gain_: G, shape (d, k).
        centre_: The attributes' mean, shape (k,).
        factor_: Of the covariance that is left, shape (d, r).
        asked_: Attributes that draws take, one row after the other at random, shape (m, k).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> old = rng.random(4000) < 0.3
        >>> z = rng.normal(0, 1, (4000, 2)) + np.where(old, 3.0, 0.0)[:, None] * [1, 0]
        >>> facts = Facts(("old",), old[:, None].astype(float), np.array([True]))
        >>> law = ConditionalGaussian("old").fit_with(z, facts)
        >>> bool(np.allclose(law.mean_, z[old].mean(0)))  # its own mean, exactly
        True
    """

    name: ClassVar[str] = CONDITIONAL
    description: ClassVar[str] = (
        "The Gaussian fitted to codes and attributes together, given the attributes asked for."
    )
    has_density: ClassVar[bool] = False

    base_: np.ndarray
    gain_: np.ndarray
    centre_: np.ndarray
    factor_: np.ndarray
    asked_: np.ndarray
    triangular_: bool

    def __init__(self, where: str) -> None:
        self.where = where

    def fit_with(self, z: Any, facts: Facts) -> Self:
        """Learn from training codes (n, d) and what is known of their images.

        Raises:
            InputError: The condition cannot be asked of these images, or the attributes that it names
                determine one another.
        """
        self._facts = facts
        try:
            return self.fit(z)
        finally:
            del self._facts

    def save(self, path: Any) -> Any:
        """Refused: what is loaded is a sampler of the registry, and this law is not one."""
        raise InputError(
            "A law under a condition is not saved; fit it again with fit_with(z, facts), which takes one "
            "read of the codes."
        )

    def _fit(self, z: np.ndarray) -> None:
        facts = getattr(self, "_facts", None)
        if facts is None:
            raise InputError(
                f"Sampler {self.name!r} learns from codes and attributes: call fit_with(z, facts)."
            )
        condition = _asked(self.where, facts, len(z))
        a = facts.columns(condition.names)
        joint = _joint_moments(z, a)
        d = z.shape[1]
        of_a = Moments(joint.n, joint.mean[d:], joint.cov[d:, d:])
        _need_independent(of_a, condition)
        cross = joint.cov[:d, d:]
        self.base_, self.centre_ = joint.mean[:d], of_a.mean
        self.gain_ = linalg.solve(of_a.cov, cross.T, assume_a="pos").T
        left = joint.cov[:d, :d] - self.gain_ @ cross.T
        left = (left + left.T) / 2
        self.factor_ = Moments(joint.n, self.base_, left).factor()
        self.triangular_ = is_triangular(self.factor_)
        self.asked_ = _attributes_to_take(condition, facts, a)
        shift = self.gain_ @ (self.asked_ - self.centre_).T
        self.mean_ = self.base_ + shift.mean(1)
        spread = shift - shift.mean(1, keepdims=True)
        self.cov_ = self.factor_ @ self.factor_.T + spread @ spread.T / len(self.asked_)

    def _draw(self, noise: Noise) -> np.ndarray:
        m = len(self.asked_)
        rows = np.minimum((noise.fine_uniform(1)[:, 0] * m).astype(np.intp), m - 1)
        g = noise.normal(self.factor_.shape[1])
        codes = colour(g, self.factor_, triangular=self.triangular_)
        means = self.base_ + (self.asked_ - self.centre_) @ self.gain_.T
        codes += means.astype(codes.dtype)[rows]
        return codes


def _asked(where: str, facts: Facts, n: int) -> Condition:
    """The condition, once it is seen that it can be asked of the images of n codes."""
    condition = parse_condition(where)
    for name in condition.names:
        facts.index(name)  # a dataset without attributes has no rows of them either
    if len(facts) != n:
        raise InputError(
            f"Codes and facts must be of the same images, got {n} codes and facts of {len(facts)}."
        )
    facts.check(condition)
    return condition


def _joint_moments(z: np.ndarray, a: np.ndarray) -> Moments:
    """Moments of codes and attributes together, (d + k), over the images of which all is known."""
    known = np.isfinite(a).all(1)
    if known.sum() < 2:
        raise InputError(
            "Hardly any training image is known to have or not to have all of the attributes asked for; "
            "ask for fewer."
        )

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(z), BLOCK_ROWS):
            rows = np.flatnonzero(known[start : start + BLOCK_ROWS]) + start
            if len(rows):
                yield np.concatenate([np.asarray(z[rows], np.float64), a[rows]], 1)

    first = np.flatnonzero(known)[:1024]
    sums = MomentSums(np.concatenate([z[first], a[first]], 1).mean(0))
    stream(blocks(), sums)
    return sums.result()


def _need_independent(of_a: Moments, condition: Condition) -> None:
    values, vectors = linalg.eigh(of_a.correlation())
    if values[0] < _DEPENDENT * values[-1]:
        involved = [n for n, v in zip(condition.names, np.abs(vectors[:, 0])) if v > 0.1]
        raise InputError(
            f"Among the training images {', '.join(involved)} determine one another, so that one of them "
            "says what the others do; leave one out of the condition."
        )


def _attributes_to_take(condition: Condition, facts: Facts, a: np.ndarray) -> np.ndarray:
    """The attributes (m, k) of images that satisfy the condition; where there is none, made up."""
    rows = np.flatnonzero(facts.satisfying(condition) & np.isfinite(a).all(1))
    if len(rows):
        return a[thinned(rows, _KEPT)]
    # Nobody satisfies all parts. As if they were independent, each is taken from those who satisfy it,
    # as often under each way to satisfy the whole.
    cells = condition.cells()
    rng = np.random.default_rng(0)
    per_cell = max(1, _KEPT // 4 // len(cells))
    tables = [
        np.stack([_part(name, cell, facts, per_cell, rng) for name in condition.names], 1)
        for cell in cells
    ]
    return np.concatenate(tables)


def _part(
    name: str, cell: dict[Any, bool], facts: Facts, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Values (n,) of one attribute, drawn from the images that answer its questions as the cell has it."""
    column = facts[name]
    fits = np.isfinite(column)
    low, high = -np.inf, np.inf
    for question, wanted in cell.items():
        if question.name != name:
            continue
        yes, no = question.truth(column)
        fits &= yes if wanted else no
        if question.comparison and wanted:
            high = min(high, question.value)
        elif question.comparison:
            low = max(low, question.value)
    if fits.any():
        return rng.choice(column[fits], n)
    return np.full(n, (low + high) / 2)  # between two thresholds so close that no image lies there


def choose_law(satisfying: int, d: int, preferred: str) -> str:
    """The law for a condition that so many training images satisfy, where none was named.

    Args:
        satisfying: Training images that satisfy the condition.
        d: Dimension of the codes.
        preferred: The sampler for classes that are large enough.

    Returns:
        `preferred`, or the closed form's name for less than `ENOUGH` images a component.

    Example:
        >>> choose_law(5000, 256, "copula"), choose_law(280, 256, "copula")
        ('copula', 'conditional')
    """
    return preferred if satisfying >= ENOUGH * d else CONDITIONAL


def fit_where(name: str, where: str, z: Any, facts: Facts, /, **options: Any) -> Sampler:
    """The law of codes of images that satisfy a condition.

    Args:
        name: ``conditional`` for the closed form, or a sampler, fitted to the codes of these images.
        where: The condition.
        z: Training codes (n, d).
        facts: What is known of their images.
        **options: Of the sampler.

    Raises:
        InputError: No sampler has that name, the condition cannot be asked of these images, or too few of
            them satisfy it for this sampler.
    """
    if name == CONDITIONAL:
        if options:
            raise InputError(
                f"The closed form takes no options, got {next(iter(options))!r}; leave it out."
            )
        return ConditionalGaussian(where).fit_with(z, facts)
    if name not in SAMPLERS:
        raise InputError(
            f"No sampler is called {name!r}{suggestion(name, [CONDITIONAL, *SAMPLERS])}"
        )
    sampler = make_sampler(name, **options)
    z = check_codes(z, finite=False)
    rows = np.flatnonzero(facts.satisfying(_asked(where, facts, len(z))))
    why = "any law needs two"
    if len(rows) >= 2:
        try:
            return sampler.fit(np.asarray(z[rows]))
        except InputError as refusal:
            why = str(refusal).rstrip(".")
    raise InputError(
        f"{len(rows):,} of {len(z):,} training images satisfy {where!r}, and no law {name!r} can be fitted "
        f"to their codes ({why}). The closed form, which all images take part in, works: --sampler "
        f"{CONDITIONAL}."
    )
