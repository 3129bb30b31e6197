"""Procedural faces as a dataset: ``faces:n=20000,seed=0,law=gaussian,factors=yaw+smile``.

Options, in any order:

* ``n`` and ``seed``: how many faces of which population;
* ``law``: ``natural`` (as people vary, the default), or one law for all continuous factors alike
  (``gaussian``, ``uniform``, ``bimodal``, ``heavy``), with the same mean and variance under each, to ask
  whether the codes of an autoencoder inherit the law of what varies;
* ``factors``: the only factors that vary, joined by ``+``;
* ``sweep``: one factor goes from the bottom to the top of its range, and all else stays that of face
  number ``face`` of the population that the other options name.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latentshape.data.listing import DIGEST_BYTES, Content, Listing, Pictures
from latentshape.data.splits import hash_split
from latentshape.errors import InputError, suggestion

__all__ = ["FacePictures", "FaceRecipe", "parse_recipe", "read_faces"]

#: Faces painted at a time.
BLOCK = 64
#: What the seven digits of an id, and a computer's memory for their factors, can tell apart.
MOST_FACES = 10_000_000


@dataclass(frozen=True)
class FaceRecipe:
    """Which faces: everything that a SPEC can say about them."""

    n: int = 12_000
    seed: int = 0
    law: str = "natural"
    factors: tuple[str, ...] = ()
    sweep: str = ""
    face: int = 0

    def draw(self, rows: np.ndarray) -> np.ndarray:
        """The factors (len(rows), k) of these faces."""
        from latentshape.data import faces

        vary = self.factors or None
        if self.sweep:
            swept = faces.sweep_factor(
                self.sweep, self.n, face=self.face, seed=self.seed, law=self.law, vary=vary
            )
            return swept[rows]
        return faces.draw_factors(rows, seed=self.seed, law=self.law, vary=vary)


class FacePictures(Pictures):
    """Faces that are painted when they are asked for, at the size that is asked for."""

    def __init__(self, recipe: FaceRecipe, rows: np.ndarray) -> None:
        self.recipe, self.rows = recipe, rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: np.ndarray) -> FacePictures:
        return FacePictures(self.recipe, self.rows[rows])

    def contents(self, size: int) -> Iterator[Content]:
        from latentshape.data import faces

        for start in range(0, len(self.rows), BLOCK):
            yield from faces.render(self.recipe.draw(self.rows[start : start + BLOCK]), size)

    def digests(self) -> np.ndarray:
        """Hash of what is painted and of how: nothing has to be painted for it."""
        factors = self.recipe.draw(self.rows)
        digests = np.empty((len(factors), DIGEST_BYTES), dtype=np.uint8)
        for i, row in enumerate(factors):
            digest = hashlib.blake2b(_painter() + row.tobytes(), digest_size=DIGEST_BYTES)
            digests[i] = np.frombuffer(digest.digest(), dtype=np.uint8)
        return digests


@functools.cache
def _painter() -> bytes:
    """Hash of a few painted faces: a changed renderer never meets its old pixels in the cache."""
    from latentshape.data import faces

    return hashlib.blake2b(faces.faces(range(32), size=64).tobytes(), digest_size=16).digest()


def parse_recipe(text: str, **instead: int) -> FaceRecipe:
    """The recipe behind ``n=20000,seed=1,...``; empty text is the default.

    Args:
        text: Options, joined by commas.
        instead: ``n`` or ``seed`` to take in place of what the text says.

    Raises:
        InputError: An option or a value is none, or options contradict each other.

    Example:
        >>> parse_recipe("n=500,factors=yaw+smile").factors
        ('yaw', 'smile')
    """
    from latentshape.data import faces

    given: dict[str, str] = {}
    known = list(FaceRecipe.__dataclass_fields__)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in known:
            raise InputError(f"Unknown option {name!r} in 'faces:{text}'{suggestion(name, known)}")
        if name in given:
            raise InputError(f"The option {name!r} is given twice in 'faces:{text}'.")
        given[name] = value
    given |= {name: str(value) for name, value in instead.items()}
    for name in ("n", "seed", "face"):
        if name in given and not (value := given[name]).isdecimal():
            raise InputError(
                f"Expected faces:{name}=NUMBER, got {value!r} in 'faces:{text}'. Example: --data "
                "faces:n=20000,seed=1"
            )
    numbers = {name: int(given[name]) for name in ("n", "seed", "face") if name in given}
    words = {name: given[name] for name in ("law", "sweep") if name in given}
    factors = tuple(filter(None, given.get("factors", "").split("+")))
    recipe = FaceRecipe(**numbers, **words, factors=factors)  # type: ignore[arg-type]
    if "factors" in given and not factors:
        raise InputError(f"Expected faces:factors=NAME+NAME, got nothing in 'faces:{text}'.")
    if "sweep" in given and not recipe.sweep:
        raise InputError(f"Expected faces:sweep=NAME, got nothing in 'faces:{text}'.")
    if recipe.n < 1 or (recipe.sweep and recipe.n < 2):
        raise InputError(f"Expected faces:n=COUNT, 1 or more (a sweep: 2), got n={recipe.n}.")
    if recipe.n > MOST_FACES:
        raise InputError(f"Expected faces:n=COUNT of at most {MOST_FACES:,}, got n={recipe.n}.")
    if "face" in given and not recipe.sweep:
        raise InputError(f"face= says whose factor a sweep varies: add sweep= to 'faces:{text}'.")
    if recipe.law not in faces.LAWS:
        raise InputError(f"Unknown law {recipe.law!r}{suggestion(recipe.law, faces.LAWS)}")
    names = [factor.name for factor in faces.FACTORS]
    for name in (*recipe.factors, *filter(None, [recipe.sweep])):
        if name not in names:
            raise InputError(f"Unknown factor {name!r}{suggestion(name, names)}")
    return recipe


def read_faces(options: str) -> Listing:
    """The listing of ``faces:OPTIONS``; nothing is painted yet.

    Its columns hold ``factors`` (n, k) float32, in the order of ``faces.FACTORS``.

    Raises:
        InputError: See :func:`parse_recipe`.
    """
    from latentshape.data import faces

    recipe = parse_recipe(options)
    rows = np.arange(recipe.n)
    factors = recipe.draw(rows)
    name = f"sweep-{recipe.sweep}-{recipe.face}" if recipe.sweep else "face"
    ids = [f"{name}-{recipe.seed}-{i:07d}" for i in rows]
    return Listing(
        kind="faces",
        where="faces" + (f":{options}" if options else ""),
        why="procedural faces were asked for",
        ids=ids,
        pictures=FacePictures(recipe, rows),
        split=hash_split(ids),
        attributes=faces.attributes_of(factors),
        attribute_names=tuple(faces.ATTRIBUTES),
        columns={"factors": factors},
    )
