"""The SPEC of a dataset: what ``--data`` says, taken apart.

::

    SPEC    a source, or several joined by " + ", each with its weight in front: "2*celeba + 0.5*PATH"
    source  faces | faces:OPTIONS     procedural faces (see `procedural`)
            PATH                      a folder, archive, array or table whose layout is recognised
            KIND:PATH                 one whose layout is stated: celeba mnist parquet arrays folder
            WORD                      what is called so below $LATENTSHAPE_DATA: celeba, mnist, ...
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from latentshape.errors import InputError

__all__ = ["KINDS", "Source", "absolute_spec", "parse_spec", "without_paths"]

#: Layouts in the order in which they are tried.
KINDS = ("celeba", "mnist", "parquet", "arrays", "folder")
#: Words that are looked up below $LATENTSHAPE_DATA where no such path exists.
WORDS = ("celeba", "mnist", "fashion-mnist")
WEIGHT = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*\*\s*(?=\S)")


@dataclass(frozen=True)
class Source:
    """One source of a SPEC.

    Attributes:
        kind: ``faces``, one of `KINDS`, or empty: to be recognised.
        rest: The options of ``faces``; else the path.
        weight: How often an epoch of training shows each picture.
        word: The word that stood for the path; empty if none did.
    """

    kind: str
    rest: str
    weight: float = 1.0
    word: str = ""

    def __str__(self) -> str:
        if self.kind == "faces":
            text = "faces" + (f":{self.rest}" if self.rest else "")
        else:
            text = self.word or (f"{self.kind}:{self.rest}" if self.kind else self.rest)
        weight = f"{Decimal(repr(self.weight)):f}".removesuffix(".0")  # exact, and no exponent
        return text if self.weight == 1 else f"{weight}*{text}"


def parse_spec(spec: str) -> list[Source]:
    """The sources of a SPEC, paths with ``~`` and words resolved.

    Raises:
        InputError: Nothing is given, or a word that stands for nothing here.

    Example:
        >>> [str(source) for source in parse_spec("faces:n=500 + 0.5*folder:/photos")]
        ['faces:n=500', '0.5*folder:/photos']
    """
    if not spec.strip():
        raise InputError("Expected --data faces, or the path of your images; got nothing.")
    sources = [_source(part) for part in _parts(spec)]
    if not any(source.weight for source in sources):
        raise InputError(f"Every source of {spec!r} has weight 0: nothing is left to train on.")
    return sources


def absolute_spec(spec: str) -> str:
    """The same SPEC with its paths made absolute, so that a run folder works from anywhere."""
    if not spec.strip():
        return spec
    return " + ".join(
        str(
            s
            if s.kind == "faces" or s.word
            else dataclasses.replace(s, rest=os.path.abspath(s.rest))
        )
        for s in parse_spec(spec)
    )


def without_paths(spec: str, kind: str) -> str:
    """The same SPEC as others may read it: what was read, and not where it lay.

    Args:
        spec: Of the data of a run.
        kind: The layout that was recognised, which stands for the path of a single source.

    Example:
        >>> without_paths("/home/me/photos/celeba.zip", "celeba"), without_paths("faces:n=300", "faces")
        ('celeba', 'faces:n=300')
    """
    sources = parse_spec(spec)
    told = []
    for source in sources:
        name = source.kind or (kind if len(sources) == 1 else "images")
        alike = source.kind == "faces" or source.word
        told.append(source if alike else dataclasses.replace(source, kind="", rest=name))
    return " + ".join(map(str, told))


def _parts(spec: str) -> list[str]:
    """The sources as they are written; a path that exists is one, whatever is in its name."""
    pieces = [spec] if os.path.exists(spec) else re.split(r"(\s+\+\s+)", spec.strip())
    parts = []
    while pieces:
        joined = range(len(pieces), 1, -2)  # the longest first; in between lie the " + "
        n = next((n for n in joined if _is_path("".join(pieces[:n]))), 1)
        parts.append("".join(pieces[:n]))
        del pieces[: n + 1]
    return parts


def _is_path(text: str) -> bool:
    _, text = _weighed(text)
    kind, colon, rest = text.partition(":")
    return os.path.exists(os.path.expanduser(rest if kind in KINDS and colon else text))


def _weighed(text: str) -> tuple[float, str]:
    """The weight in front of a source, and the source."""
    found = None if os.path.exists(text) else WEIGHT.match(text)
    return (float(found.group(1)), text[found.end() :]) if found else (1.0, text)


def _source(text: str) -> Source:
    weight, text = _weighed(text)
    if not math.isfinite(weight):
        raise InputError("Expected a finite weight before '*', got one of too many digits.")
    kind, colon, rest = text.partition(":")
    if kind == "faces":
        return Source("faces", rest, weight)
    if kind in KINDS and colon and rest:
        return Source(kind, os.path.expanduser(rest), weight)
    if not text.strip():
        raise InputError("Expected a source on both sides of ' + ', got nothing.")
    path = os.path.expanduser(text)
    if text in WORDS and not os.path.exists(path):
        return Source("", _home(text), weight, word=text)
    return Source("", path, weight)


def _home(word: str) -> str:
    """Where a word leads: what is called so below $LATENTSHAPE_DATA, in any spelling."""
    base = os.environ.get("LATENTSHAPE_DATA")
    if not base:
        raise InputError(
            f"Where is {word}? Give --data PATH (the folder or file that holds it), or set "
            f"LATENTSHAPE_DATA to the folder in which {word} lies. Without it, try --data faces."
        )
    for name in sorted(_listdir(base)):
        if _plain(Path(name).stem) == _plain(word):
            return os.path.join(base, name)
    raise InputError(
        f"LATENTSHAPE_DATA is {base!r}, in which nothing is called {word}. Give --data PATH, or put it "
        "there."
    )


def _listdir(path: str) -> Iterable[str]:
    try:
        return os.listdir(path)
    except OSError as error:
        raise InputError(
            f"LATENTSHAPE_DATA is {path!r}, which cannot be read ({error.strerror}). Set it to the "
            "folder that holds your datasets."
        ) from error


def _plain(word: str) -> str:
    return re.sub(r"[-_ ]", "", word.lower())
