"""Tables about images: attributes, partitions, identities, landmarks, however they were saved.

The same CelebA annotation circulates as the original text (a count, a header with a trailing space,
columns aligned by blanks), as CSV, as text renamed to ``.csv``, with CRLF or a byte order mark, with
attributes of -1/1, 0/1 or true/false. :func:`read_table` reads all of these by looking at the
content, never at the suffix, and :func:`sort_facts` decides what a column is.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentshape.data.splits import UNKNOWN
from latentshape.data.trees import Tree
from latentshape.errors import InputError
from latentshape.images import IMAGE_SUFFIXES

__all__ = ["Facts", "Table", "as_attributes", "name_classes", "read_table", "sort_facts"]

#: What a split is called in file and folder names and in partition columns.
SPLIT_NAMES = {
    "train": 0, "training": 0, "validation": 1, "valid": 1, "val": 1, "dev": 1,
    "test": 2, "testing": 2, "0": 0, "1": 1, "2": 2,
}  # fmt: skip
#: An attribute's answers. Which of them 0 is depends on the company: see `as_attributes`.
YES = frozenset({"1", "1.0", "true", "yes"})
NO = frozenset({"-1", "-1.0", "false", "no"})
ZERO = frozenset({"0", "0.0"})
EMPTY = frozenset({"", "nan", "none", "null", "na"})
#: Classes become one attribute each up to this many; beyond, the number of the class must do.
MOST_CLASSES = 100
IDENTITY_NAMES = frozenset(
    {"identity", "celeb_id", "identity_id", "person", "person_id", "subject"}
)


@dataclass(frozen=True)
class Table:
    """Rows by image name, cells still text.

    Attributes:
        where: The file, for messages.
        header: Names of the columns after the image's; empty where the file has none.
        rows: The rest of each row by image name.
        cut: Splits the rest of a row into cells.
        repeated: How many names had more than one row; the last row counts.
    """

    where: str
    header: tuple[str, ...]
    rows: dict[str, str]
    cut: Callable[[str], list[str]]
    repeated: int = 0

    def match(self, names: Sequence[str]) -> list[str | None]:
        """The table's own name of each image: the same, or the same but for the suffix.

        Raises:
            InputError: Not one image has a row.
        """
        found: list[str | None] = [name if name in self.rows else None for name in names]
        if None in found:
            stems = {_stem(key): key for key in self.rows}
            found = [f or stems.get(_stem(name)) for f, name in zip(found, names)]
        if names and not any(found):
            raise InputError(
                f"{self.where}: none of its {len(self.rows):,} rows names one of the images: they "
                f"are called {names[0]!r} ..., the rows {next(iter(self.rows))!r} .... Put the table "
                "that belongs to these images there, or remove it to go on without."
            )
        return found

    def columns(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Cells of each column for these images; an empty text where there is no row.

        Raises:
            InputError: A row has more or fewer cells than the header, or no image has a row.
        """
        blank = [""] * len(self.header)
        rows = [blank if key is None else self.cells(key) for key in self.match(names)]
        return dict(zip(self.header, map(list, zip(*rows))))

    def values(self, key: str, count: int) -> list[str]:
        """The cells of one row; beyond ``count``, empty ones at the end are but separators."""
        cells = self.cut(self.rows[key])
        while len(cells) > count and not cells[-1]:
            cells.pop()
        return cells

    def cells(self, key: str) -> list[str]:
        """The cells of one row, as many as the header has names."""
        cells = self.values(key, len(self.header))
        if self.header and len(cells) != len(self.header):
            raise InputError(
                f"{self.where}: expected {len(self.header)} values for {key}, found {len(cells)}: "
                f"{' '.join(cells[:6])[:60]} .... Restore the file, or remove it to go on without."
            )
        return cells


def _stem(name: str) -> str:
    """A name without an image's suffix.

    >>> _stem("000001.jpg"), _stem("v1.2")
    ('000001', 'v1.2')
    """
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and "." + suffix.lower() in IMAGE_SUFFIXES else name


def read_table(tree: Tree, name: str, *, headed: bool | None = None) -> Table:
    """Read rows that each begin with an image's name.

    The separator is the first comma, semicolon or tab of the first line with several words, else
    blanks. A leading line that is one number alone is a count. A line before any row whose first
    word has no image suffix is the header.

    Args:
        tree: Where the file lies.
        name: Its name there.
        headed: Whether a header is there; None: look whether the first line names an image.

    Raises:
        InputError: The file cannot be read, has no rows, or is no such table.
    """
    where = str(tree.path(name))
    try:
        content = tree.read(name)
    except OSError as error:
        raise InputError(
            f"{where} cannot be read: {error.strerror or error}. Make it readable, or move it away "
            "to go on without."
        ) from error
    code = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    lines = re.split("\r\n|\r|\n", content.decode(code, errors="replace"))
    separator = _separator(lines)
    rows: dict[str, str] = {}
    heading: str | None = None
    repeated = 0
    for line in lines:
        first, rest = _first_cell(line, separator)
        begun = bool(rows) or heading is not None
        # The column of names is often the one without a name.
        blank = not first and (begun or not rest.strip(f" {separator}"))
        if blank or (not begun and not rest and first.isdigit()):
            continue
        named = "." + first.rpartition(".")[2].lower() in IMAGE_SUFFIXES
        if not begun and (headed or (headed is None and not named)):
            heading = line
        elif named or headed:
            repeated += first in rows
            rows[first] = rest
        else:
            raise InputError(
                f"{where}: expected an image name at the start of each row, found {first[:40]!r} "
                f"after {len(rows)} rows. Restore the file, or remove it to go on without."
            )
    if not rows:
        raise InputError(
            f"{where}: expected one row per image, found none. Restore the file, or remove it to go "
            "on without."
        )
    cut = _cutter(separator)
    header = () if heading is None else _header(cut(heading), cut(next(iter(rows.values()))))
    if repeats := [name for name in header if header.count(name) > 1]:
        raise InputError(
            f"{where}: the column {repeats[0][:40]!r} is given twice. Rename one of them."
        )
    return Table(where, header, rows, cut, repeated)


def _separator(lines: Sequence[str]) -> str | None:
    for line in lines:
        bare = re.sub('"[^"]*"', '""', line)
        if len(bare.split()) > 1 or any(s in bare for s in ",;\t"):
            return next((letter for letter in bare if letter in ",;\t"), None)
    return None


def _first_cell(line: str, separator: str | None) -> tuple[str, str]:
    if separator is None:
        first, rest = [*line.split(maxsplit=1), "", ""][:2]
        return first, rest
    if quoted := re.match('"((?:[^"]|"")*)"', line):
        name = quoted.group(1).replace('""', '"')
        return name.strip(), line[quoted.end() :].partition(separator)[2]
    first, _, rest = line.partition(separator)
    return first.strip(), rest


def _cutter(separator: str | None) -> Callable[[str], list[str]]:
    if separator is None:
        return str.split

    def cut(text: str) -> list[str]:
        if '"' not in text:
            return [cell.strip() for cell in text.split(separator)]
        return [cell.strip() for cell in next(csv.reader([text], delimiter=separator), [""])]

    return cut


def _header(names: list[str], values: list[str]) -> tuple[str, ...]:
    """Names of the columns, by the values of a row.

    In the original text files the image's own column has no name: as many names as values.
    """
    while len(names) > 1 and not names[-1]:
        names.pop()  # a trailing comma, which the rows may have as well
        if values and not values[-1]:
            values.pop()
    if names[0].lower() in ("", "image_id", "image", "filename") or len(names) > len(values):
        return tuple(names[1:])
    return tuple(names)


# --------------------------------------------------------------------------------------------------
# What a column is
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """Columns of a table, sorted by what they are.

    Attributes:
        attribute_names: Names of the k attributes.
        attributes: (n, k) int8 of -1 and 1, 0 where unknown; None without any.
        columns: Other facts (n,) by name: ``label`` and ``identity`` int64 (-1 unknown), numbers
            float32 (NaN unknown).
        split: Codes (n,) int8, -1 unknown; None without a column of them.
        notices: Columns that could not be used, and why.
    """

    attribute_names: tuple[str, ...] = ()
    attributes: np.ndarray | None = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    split: np.ndarray | None = None
    notices: list[str] = field(default_factory=list)


def sort_facts(columns: Mapping[str, Sequence[Any] | np.ndarray], where: str) -> Facts:
    """Decide what each column is, by its name and its values.

    * ``split``, ``partition``, ``set``: 0 1 2, or train, valid(ation), test.
    * ``identity``, ``celeb_id`` and their like: who is in the picture.
    * ``label``, ``class``, ``digit``, or few different words: one attribute per class and the column
      ``label``, or the column's own name for further ones.
    * only true/false, yes/no, -1/1 or 0/1: an attribute. 0 means no, unless a -1 occurs in any
      attribute of the table: then it means unknown.
    * other numbers: a column of numbers.

    Args:
        columns: Values (n,) by name: text, bool or numbers; empty, None and NaN are unknown.
        where: The file, for messages.

    Raises:
        InputError: A partition column holds something else than splits.
    """
    names: list[str] = []
    answers: list[np.ndarray] = []
    facts: dict[str, np.ndarray] = {}
    split, notices = None, []
    known = {name: _distinct(values) for name, values in columns.items()}
    binary = [n for n, d in known.items() if set(d) <= YES | NO | ZERO | EMPTY]
    zero = 0 if any(NO & {"-1", "-1.0"} & set(known[n]) for n in binary) else -1
    for name, values in columns.items():
        words, word = known[name], name.strip().lower()
        if word in ("split", "partition", "set", "subset"):
            split = _as_split(values, name, where)
        elif word in IDENTITY_NAMES:
            facts["identity"] = _numbered(values, words)
        elif word in ("label", "labels", "class", "digit"):
            classes, hot, label = name_classes(values)
            names += classes
            answers += list(hot.T)
            facts["label"] = label
        elif not set(words) - EMPTY:
            notices.append(f"column {name!r} of {where} is empty and left out")
        elif name in binary:
            names.append(name)
            answers.append(as_attributes(values, zero))
        elif (numbers := _as_numbers(values)) is not None:
            facts[name] = numbers
        elif len(set(words) - EMPTY) <= MOST_CLASSES and len(words) < len(values):
            classes, hot, facts[name] = name_classes(values, name)
            names += classes
            answers += list(hot.T)
        else:
            notices.append(f"column {name!r} of {where} holds text and is left out")
    table = np.stack(answers, axis=1).astype(np.int8) if answers else None
    return Facts(tuple(names), table, facts, split, notices)


def as_attributes(values: Sequence[Any] | np.ndarray, zero: int = -1) -> np.ndarray:
    """Answers (n,) int8: 1 yes, -1 no, 0 unknown.

    Args:
        values: true/false, yes/no, -1/1, 0/1 or empty, in any spelling.
        zero: What a 0 means: -1 no, 0 unknown.

    Raises:
        ValueError: A value is none of these; the message is that value.

    Example:
        >>> as_attributes(["0", "1", ""]).tolist(), as_attributes([-1, 0, 1], zero=0).tolist()
        ([-1, 1, 0], [-1, 0, 1])
    """
    meaning = {}
    for word, spelling in _distinct(values).items():
        if word not in YES | NO | ZERO | EMPTY:
            raise ValueError(word)
        answer = 1 if word in YES else -1 if word in NO else zero if word in ZERO else 0
        meaning.update(dict.fromkeys(spelling, answer))
    return _mapped(values, meaning, np.int8)


def name_classes(
    values: Sequence[Any] | np.ndarray, column: str = "label"
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """A column of classes as one attribute per class, and as numbers.

    Args:
        values: Class numbers or names (n,); negative numbers and empty text are unknown.
        column: Goes before numbers, which are no good names: ``label_7``.

    Returns:
        The k names, answers (n, k) int8 (none at all, k = 0, beyond `MOST_CLASSES`), and the
        classes as int64 (n,): the numbers themselves, or positions among the sorted names, -1
        unknown.

    Example:
        >>> name_classes(["cat", "dog", "cat"])[0], name_classes([7, 1])[0]
        (['cat', 'dog'], ['label_1', 'label_7'])
    """
    words = _distinct(values)
    number = _numbered(values, words)
    found = np.unique(number[number >= 0])
    texts = sorted(set(words) - EMPTY)
    if all(_whole(text) is not None for text in texts):
        names = [f"{column}_{i}" for i in found]
    else:
        names = [str(min(words[text])).strip() for text in texts]  # as it is written there
        if column != "label":
            names = [f"{column}_{name}" for name in names]
    if len(names) > MOST_CLASSES:
        return [], np.zeros((len(number), 0), np.int8), number
    hot = np.where(number[:, None] == found, 1, -1).astype(np.int8)
    hot[number < 0] = 0
    return names, hot, number


def _distinct(values: Sequence[Any] | np.ndarray) -> dict[str, list[Any]]:
    """The different values as lower-case words, each with the values spelt so."""
    found = np.unique(values).tolist() if _is_numeric(values) else set(values)
    words: dict[str, list[Any]] = {}
    for value in found:
        words.setdefault("" if value is None else str(value).strip().lower(), []).append(value)
    return words


def _mapped(values: Any, meaning: Mapping[Any, Any], dtype: Any) -> np.ndarray:
    if _is_numeric(values):
        different, inverse = np.unique(values, return_inverse=True)
        unknown = next((code for value, code in meaning.items() if value != value), 0)
        table = [meaning[v] if v == v else unknown for v in different.tolist()]
        return np.array(table, dtype=dtype)[inverse]
    return np.array([meaning[value] for value in values], dtype=dtype)


def _is_numeric(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "biuf"


def _whole(text: str) -> int | None:
    """The whole number that a text is, if int64 can hold it."""
    try:
        number = int(text.removesuffix(".0"))
    except ValueError:
        try:
            number = int(float(text)) if float(text).is_integer() else 1 << 63
        except ValueError:
            return None
    return number if abs(number) < 1 << 63 else None


def _as_split(values: Any, name: str, where: str) -> np.ndarray:
    meaning = {}
    for word, spelling in _distinct(values).items():
        code = SPLIT_NAMES.get(word.removesuffix(".0"), UNKNOWN)
        if code == UNKNOWN and word not in EMPTY:
            raise InputError(
                f"{where}: expected 0, 1, 2 or train, validation, test in column {name!r}, found "
                f"{word[:40]!r}. Restore the file, or rename the column if it means something else."
            )
        meaning.update(dict.fromkeys(spelling, code))
    return _mapped(values, meaning, np.int8)


def _numbered(values: Any, words: Mapping[str, list[Any]]) -> np.ndarray:
    """Whole numbers as they are, words by their position among the sorted words; -1 unknown."""
    texts = sorted(set(words) - EMPTY)
    numbers = [_whole(text) for text in texts]
    if None not in numbers:
        code = {text: max(-1, number or 0) for text, number in zip(texts, numbers)}
    else:
        code = {text: i for i, text in enumerate(texts)}
    meaning = {v: code.get(word, -1) for word, spelling in words.items() for v in spelling}
    return _mapped(values, meaning, np.int64)


def _as_numbers(values: Any) -> np.ndarray | None:
    """Float32 (n,) with NaN where unknown; None if a value is no number."""
    if _is_numeric(values):
        return _float32(values)
    meaning = {}
    for word, spelling in _distinct(values).items():
        try:
            number = math.nan if word in EMPTY else float(word)
        except ValueError:
            return None
        meaning.update(dict.fromkeys(spelling, number))
    return _float32(np.array([meaning[value] for value in values]))


def _float32(numbers: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what is beyond is infinite
        return numbers.astype(np.float32)
