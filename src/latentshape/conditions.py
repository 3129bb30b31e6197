r"""What a picture shall show, in words: ``"Smiling & ~Male & Eyeglasses"``.

    condition   = alternative { "|" alternative }
    alternative = part { "&" part }
    part        = "~" part | "(" condition ")" | name | name (">" | ">=" | "<" | "<=") number

``&`` binds closer than ``|``. A name alone is an attribute of yes and no; a number has to be compared
(``hair_length > 0.5``). Names with spaces or signs of the grammar are put in quotes.

A condition is kept as its distinct *questions*, such as ``Smiling`` or ``hair_length <= 0.5``, and an
expression over them in which only questions are negated. With m questions there are at most
:math:`2^m` ways to answer them; those that no picture could give (below 0.2 and above 0.8) left out, the
others are *cells*, which exclude one another. A condition that holds in no cell contradicts itself, one
that holds in every cell asks for nothing: both are refused, before anything is drawn.

What is known of an image may be unknown in part. So truth has three values, held as two arrays: surely
yes, surely no. An image satisfies a condition if it surely does, whatever the unknown is.

References:
    Kleene, 1938, On notation for ordinal numbers, https://doi.org/10.2307/2267778 (three values)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from latentshape.errors import InputError

__all__ = ["Condition", "Question", "parse_condition"]

#: Questions in one condition at most: there are 2^m ways to answer m of them.
MOST_QUESTIONS = 12
#: Parentheses inside one another at most, and signs in the text.
DEEPEST, LONGEST = 40, 2000

Truth = tuple[np.ndarray, np.ndarray]
"""Surely yes and surely no, two bool arrays of one shape; neither is unknown."""

_TOKEN = re.compile(r"""\s*(?:("[^"]*"|'[^']*')|(>=|<=|[&|~()<>])|([^\s&|~()<>'"]+))""")
_PLAIN_NAME = re.compile(r"""[^\s&|~()<>'"]+""")
#: What an answer of no to a comparison is, as a comparison.
_OPPOSITE = {"<": ">=", "<=": ">"}


@dataclass(frozen=True)
class Question:
    """Something that is true or untrue of an image.

    Attributes:
        name: Of the attribute or number.
        comparison: ``<`` or ``<=``, of the number with `value`; empty for an attribute of yes and no.
        value: What the number is compared with.
    """

    name: str
    comparison: str = ""
    value: float = 0.0

    def truth(self, values: np.ndarray) -> Truth:
        """What is so of values, 1 and 0 for yes and no, NaN where unknown."""
        known = np.isfinite(values)
        if not self.comparison:
            yes = values > 0.5
        else:
            yes = values < self.value if self.comparison == "<" else values <= self.value
        return yes & known, ~yes & known

    def words(self, wanted: bool = True) -> str:
        """The question, or its negation, as a condition has it."""
        quote = '"' if "'" in self.name else "'"
        name = self.name if _PLAIN_NAME.fullmatch(self.name) else f"{quote}{self.name}{quote}"
        if not self.comparison:
            return name if wanted else f"~{name}"
        comparison = self.comparison if wanted else _OPPOSITE[self.comparison]
        return f"{name} {comparison} {self.value!r}"


@dataclass(frozen=True)
class _Asked:
    """A question, or its negation."""

    question: Question
    wanted: bool = True

    def negated(self) -> _Asked:
        return _Asked(self.question, not self.wanted)

    def truth(self, of: Callable[[Question], Truth]) -> Truth:
        yes, no = of(self.question)
        return (yes, no) if self.wanted else (no, yes)

    def questions(self) -> Iterator[Question]:
        yield self.question

    def words(self, _: bool = False) -> str:
        return self.question.words(self.wanted)


@dataclass(frozen=True)
class _Joined:
    """Several expressions of which all, or any, shall hold."""

    all: bool
    parts: tuple[_Expression, ...]

    def negated(self) -> _Joined:
        return _Joined(not self.all, tuple(part.negated() for part in self.parts))

    def truth(self, of: Callable[[Question], Truth]) -> Truth:
        yes, no = self.parts[0].truth(of)
        for part in self.parts[1:]:
            more_yes, more_no = part.truth(of)
            yes, no = (yes & more_yes, no | more_no) if self.all else (yes | more_yes, no & more_no)
        return yes, no

    def questions(self) -> Iterator[Question]:
        for part in self.parts:
            yield from part.questions()

    def words(self, inside: bool = False) -> str:
        text = (" & " if self.all else " | ").join(part.words(True) for part in self.parts)
        return f"({text})" if inside else text


_Expression = _Asked | _Joined


@final
@dataclass(frozen=True)
class Condition:
    """A condition on what is known of images; `parse_condition` makes it.

    Attributes:
        expression: What shall hold.
        questions: The distinct questions in it, in the order in which they are first asked.

    Example:
        >>> condition = parse_condition("Smiling & ~(Male | age > 0.5)")
        >>> str(condition), condition.names
        ('Smiling & (~Male & age <= 0.5)', ('Smiling', 'Male', 'age'))
        >>> known = {"Smiling": [1, 1, 1], "Male": [0, 1, np.nan], "age": [0.2, 0.2, 0.2]}
        >>> [array.tolist() for array in condition.truth(known)]  # of the last one nobody knows
        [[True, False, False], [False, True, False]]
    """

    expression: _Expression
    questions: tuple[Question, ...]

    def __str__(self) -> str:
        return self.expression.words()

    @property
    def names(self) -> tuple[str, ...]:
        """What is asked about, each once."""
        return tuple(dict.fromkeys(question.name for question in self.questions))

    def truth(self, values: Mapping[str, object]) -> Truth:
        """Of which images the condition surely holds, and of which it surely does not.

        Args:
            values: For each name (n,) numbers: 1 and 0 for yes and no; NaN unknown.

        Returns:
            Two arrays (n,) of bool.
        """
        return self.expression.truth(
            lambda question: question.truth(np.asarray(values[question.name], np.float64))
        )

    def cells(self) -> list[dict[Question, bool]]:
        """The ways to answer all questions under which the condition holds; they exclude one another."""
        answers = self._possible()
        holds, _ = _under(self.expression, self.questions, answers)
        return [dict(zip(self.questions, map(bool, row), strict=True)) for row in answers[holds]]

    def _possible(self) -> np.ndarray:
        """Answers (cells, m) that something could give: of thresholds passed, lower ones are too."""
        m = len(self.questions)
        answers = (np.arange(2**m)[:, None] >> np.arange(m) & 1).astype(bool)
        possible = np.ones(len(answers), bool)
        for name in self.names:
            mine = [
                (q.value, q.comparison, j)
                for j, q in enumerate(self.questions)
                if q.comparison and q.name == name
            ]
            # x < 1 entails x <= 1, and that x < 2: so the answers go from no to yes once, at most.
            ordered = answers[:, [j for _, _, j in sorted(mine)]]
            possible &= (ordered[:, :-1] <= ordered[:, 1:]).all(1)
        return answers[possible]


def _under(expression: _Expression, questions: tuple[Question, ...], answers: np.ndarray) -> Truth:
    """The truth of an expression under rows of answers (cells, m)."""
    place = {question: j for j, question in enumerate(questions)}
    return expression.truth(lambda q: (answers[:, place[q]], ~answers[:, place[q]]))


def parse_condition(text: str) -> Condition:
    """The condition that a text states.

    Args:
        text: As the module says.

    Raises:
        InputError: The text does not follow the grammar, contradicts itself, or asks for nothing.

    Example:
        >>> parse_condition("Smiling & ~Smiling")
        Traceback (most recent call last):
            ...
        latentshape.errors.InputError: The condition 'Smiling & ~Smiling' contradicts itself: nothing can
        satisfy it.
    """
    if len(text) > LONGEST:
        raise InputError(
            f"A condition may have {LONGEST} signs at most, got {len(text)}; make it shorter."
        )
    if not text.strip():
        raise InputError(
            "The condition is empty; name what the pictures shall show, such as 'Smiling & ~Male'."
        )
    expression = _Reader(text).whole()
    questions = tuple(dict.fromkeys(expression.questions()))
    if len(questions) > MOST_QUESTIONS:
        raise InputError(
            f"A condition may ask {MOST_QUESTIONS} different questions at most, got {len(questions)}; leave "
            "some out."
        )
    condition = Condition(expression, questions)
    holds, _ = _under(expression, questions, condition._possible())
    if not holds.any():
        raise InputError(f"The condition {text!r} contradicts itself: nothing can satisfy it.")
    if holds.all():
        raise InputError(
            f"The condition {text!r} asks for nothing: everything satisfies it; leave it out."
        )
    return condition


class _Reader:
    """Reads a condition from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0

    def whole(self) -> _Expression:
        expression = self.joined(0)
        if self.at < len(self.tokens):
            raise self.unexpected("'&', '|' or the end")
        return expression

    def joined(self, depth: int, sign: str = "|") -> _Expression:
        """Parts joined by ``|``, each of parts joined by ``&``."""
        parts = []
        while True:
            parts.append(self.joined(depth, "&") if sign == "|" else self.part(depth))
            if self.next() != sign:
                break
            self.at += 1
        return parts[0] if len(parts) == 1 else _Joined(sign == "&", tuple(parts))

    def part(self, depth: int) -> _Expression:
        negative = False
        while self.next() == "~":
            negative, self.at = not negative, self.at + 1
        if self.next() == "(":
            if depth == DEEPEST:
                raise InputError(
                    f"The condition has more than {DEEPEST} parentheses inside one another; write it flatter."
                )
            self.at += 1
            found = self.joined(depth + 1)
            if self.next() != ")":
                raise self.unexpected("')'")
            self.at += 1
        else:
            found = self.question()
        return found.negated() if negative else found

    def question(self) -> _Asked:
        if self.at == len(self.tokens) or not self.tokens[self.at][1]:
            raise self.unexpected("the name of an attribute, '~' or '('")
        name, self.at = self.tokens[self.at][0], self.at + 1
        comparison = self.next()
        if comparison not in ("<", "<=", ">", ">="):
            return _Asked(Question(name))
        self.at += 1
        try:
            value = float(self.tokens[self.at][0])
        except (IndexError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise self.unexpected(f"a number to compare {name!r} with")
        self.at += 1
        # Minus zero is zero: two questions that are the same shall look the same.
        if comparison in _OPPOSITE:
            return _Asked(Question(name, comparison, value + 0.0))
        return _Asked(Question(name, "<=" if comparison == ">" else "<", value + 0.0), False)

    def next(self) -> str:
        """The sign that comes next; empty for a name or the end."""
        if self.at == len(self.tokens) or self.tokens[self.at][1]:
            return ""
        return self.tokens[self.at][0]

    def unexpected(self, wanted: str) -> InputError:
        before = f" after {self.tokens[self.at - 1][0]!r}" if self.at else ""
        found = "it ends" if self.at == len(self.tokens) else f"got {self.tokens[self.at][0]!r}"
        return InputError(
            f"In the condition {self.text!r}, expected {wanted}{before}, but {found}; write it like "
            "'Smiling & ~(Male | Eyeglasses)', numbers like 'age > 0.5'."
        )


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Each token, and whether it is a name or number."""
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise InputError(
                f"In the condition {text!r} a quotation mark is not closed; put names with spaces between "
                "two of them."
            )
        quoted, sign, word = found.groups()
        if quoted is not None and not quoted[1:-1].strip():
            raise InputError(f"In the condition {text!r} there is an empty name; leave it out.")
        yield (sign, False) if sign else (quoted[1:-1] if quoted else word, True)
        at = found.end()
