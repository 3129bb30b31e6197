"""What is known about images beside their pixels: answers of yes and no, and numbers.

A dataset and the codes of a split know the same about an image: ``attributes`` (-1 and 1; 0 unknown)
and ``columns`` from anybody's tables. `annotations_of` reads them as they are; `Facts` is the table that
directions, conditions and laws of attributes are made from.

Numbers are named as their column is, and procedural faces' factors as `latentshape.data.faces` names
them. A number that is 0 or 1 throughout is an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from latentshape.conditions import Condition, Question
from latentshape.errors import InputError, suggestion

__all__ = ["Annotated", "Facts", "annotations_of", "short_names"]


class Annotated(Protocol):
    """A dataset, or the codes of a split."""

    @property
    def attributes(self) -> np.ndarray | None:
        """(n, k) of -1 and 1, 0 unknown."""

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The k names."""

    @property
    def columns(self) -> Mapping[str, np.ndarray]:
        """Further facts by name, each (n, ...)."""


def annotations_of(source: Annotated) -> Iterator[tuple[str, np.ndarray, bool]]:
    """Each annotation's name, values (n,) float64 with NaN unknown, and whether it is an answer (-1, 1)."""
    for j, name in enumerate(source.attribute_names):
        assert source.attributes is not None
        answers = source.attributes[:, j].astype(np.float64)
        yield name, np.where(answers == 0, np.nan, answers), True
    for name, column in sorted(source.columns.items()):
        # Identities, classes and sources are integers: their order means nothing.
        if column.dtype.kind != "f":
            continue
        if column.ndim == 1:
            yield name, column.astype(np.float64), False
        elif name == "factors" and column.ndim == 2:
            for inner, values in zip(_factor_names(column.shape[1]), column.T):
                yield inner, values.astype(np.float64), False


def _factor_names(count: int) -> list[str]:
    from latentshape.data.faces import FACTORS

    if count == len(FACTORS):
        return [f"factor:{factor.name}" for factor in FACTORS]
    return [f"factor:{j}" for j in range(count)]


def short_names(names: Sequence[str]) -> tuple[str, ...]:
    """Factors without the word before them, where that leaves names distinct.

    Example:
        >>> short_names(["Male", "factor:yaw", "factor:Male"])
        ('Male', 'yaw', 'factor:Male')
    """
    short = [name.removeprefix("factor:") for name in names]
    return tuple(
        s if short.count(s) == 1 and not s.isdigit() else n
        for s, n in zip(short, names, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of n images.

    Attributes:
        names: Of the k facts.
        values: (n, k) float64: 1 and 0 for yes and no, or numbers; NaN unknown.
        answers: Which are of yes and no, (k,) bool.
    """

    names: tuple[str, ...]
    values: np.ndarray
    answers: np.ndarray

    @classmethod
    def of(cls, source: Annotated) -> Self:
        """All that a dataset, or the codes of a split, know."""
        names: list[str] = []
        columns: list[np.ndarray] = []
        answers: list[bool] = []
        for name, values, is_answer in annotations_of(source):
            values = (values + 1) / 2 if is_answer else values
            known = values[np.isfinite(values)]
            names.append(name)
            columns.append(np.where(np.isfinite(values), values, np.nan))
            answers.append(is_answer or bool(np.isin(known, (0.0, 1.0)).all()))
        table = np.stack(columns, 1) if columns else np.empty((0, 0))
        return cls(short_names(names), table, np.array(answers, bool))

    def __len__(self) -> int:
        return len(self.values)

    def index(self, name: str) -> int:
        """The place of a fact among the names.

        Raises:
            InputError: There is none of that name.
        """
        if name in self.names:
            return self.names.index(name)
        if not self.names:
            raise InputError(
                f"Nothing is known about these images, got {name!r}: the dataset has no attributes and no "
                "numbers beside its pictures; use one that has, such as CelebA or procedural faces."
            )
        raise InputError(f"No attribute is called {name!r}{suggestion(name, self.names)}")

    def __getitem__(self, name: str) -> np.ndarray:
        """The values (n,) of one fact."""
        return self.values[:, self.index(name)]

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """The values (n, m) of several facts."""
        return self.values[:, [self.index(name) for name in names]]

    def varying(self) -> tuple[str, ...]:
        """The facts that differ between images: what a direction or a condition can be about."""
        return tuple(
            name
            for name, column in zip(self.names, self.values.T)
            if np.isfinite(column).any() and np.nanmin(column) < np.nanmax(column)
        )

    def shuffled(self, seed: int) -> Self:
        """The same facts, dealt out to the images anew: a control that knows nothing."""
        order = np.random.default_rng(seed).permutation(len(self))
        return type(self)(self.names, self.values[order], self.answers)

    def joined(self, other: Self) -> Self:
        """The facts of these images and then of others."""
        if self.names != other.names:
            raise InputError(
                f"Facts of two sets of images must be the same, got {len(self.names)} and "
                f"{len(other.names)} of them; encode both from one dataset."
            )
        values = np.concatenate([self.values, other.values])
        return type(self)(self.names, values, self.answers & other.answers)

    def satisfying(self, condition: Condition) -> np.ndarray:
        """Which images surely satisfy a condition, (n,) bool."""
        return condition.truth({name: self[name] for name in condition.names})[0]

    def check(self, condition: Condition) -> None:
        """See that a condition can be asked of these images: names, kinds, and images on both sides.

        Raises:
            InputError: It cannot; the message says why.
        """
        for question in condition.questions:
            column, name = self[question.name], question.name
            is_answer = bool(self.answers[self.index(name)])
            if is_answer and question.comparison:
                raise InputError(
                    f"{name!r} is yes or no and cannot be compared; write '{name}' or '~{name}'."
                )
            if not is_answer and not question.comparison:
                low, middle, high = _spread(column)
                raise InputError(
                    f"{name!r} is a number from {low:.3g} to {high:.3g}; compare it, such as "
                    f"'{name} > {middle:.3g}'."
                )
            yes, no = (int(part.sum()) for part in question.truth(column))
            if not yes or not no:
                raise InputError(_one_sided(question, column, yes, no))


def _spread(column: np.ndarray) -> tuple[Any, ...]:
    """Least, middle and greatest value known; zeros where nothing is."""
    known = column[np.isfinite(column)]
    return tuple(np.quantile(known, (0.0, 0.5, 1.0))) if len(known) else (0.0, 0.0, 0.0)


def _one_sided(question: Question, column: np.ndarray, yes: int, no: int) -> str:
    """Why a question tells no images apart."""
    if not yes and not no:
        return f"{question.name!r} is unknown for all training images; choose another attribute."
    if question.comparison:
        low, _, high = _spread(column)
        return (
            f"'{question.words(bool(yes))}' holds for all {yes + no:,} training images, where "
            f"{question.name!r} goes from {low:.3g} to {high:.3g}; compare it with a number in between."
        )
    return (
        f"{question.name!r} is {'yes' if yes else 'no'} for all {yes + no:,} training images: of the other "
        "answer nothing is known; choose another attribute."
    )
