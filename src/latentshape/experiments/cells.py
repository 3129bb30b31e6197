"""The cells of a sweep: which configs a grid or a list of options makes, and what each is called.

A grid is written in words, ``latent_dim=16,64,256 batch_norm=no,yes``, and means every combination. Values
are separated by commas, or by semicolons where a value has commas of its own: always for fields that are
lists (``filters=32,64;32,64,128``), and for others wherever a semicolon stands
(``data=faces:law=uniform,n=4000;faces:n=4000``). A file (TOML or JSON) can hold more:

    preset = "faces-64"
    [options]                     # for every cell
    epochs = 8
    [grid]                        # every combination of these
    latent_dim = [16, 64, 256]
    [[list]]                      # or: each of these, with every combination of the grid
    model = "vae"
    beta = 0.1

All configs are made, and checked, before the first is trained.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentshape.config import Config, field_sections, make_config
from latentshape.errors import InputError, suggestion

__all__ = ["Cell", "Grid", "grid_of", "make_cells", "read_grid", "said"]

#: Longest name of a cell; longer ones end in a digest.
LONGEST = 80
#: Most cells of one sweep: more is a mistake in the grid, seen before a disk is full.
MOST = 10_000
#: Of files that hold a grid.
SUFFIXES = (".toml", ".json")
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        name: Of its folder.
        varied: The options that set it apart from the others.
        config: The whole of them.
    """

    name: str
    varied: dict[str, Any]
    config: Config


@dataclass(frozen=True)
class Grid:
    """What a sweep varies, and what it keeps.

    Attributes:
        grid: Values by field; every combination is a cell.
        each: Options of cells beside the grid's; every one goes with every combination.
        preset: Of all cells.
        options: Of all cells.
    """

    grid: Mapping[str, Sequence[Any]]
    each: Sequence[Mapping[str, Any]] = ()
    preset: str | None = None
    options: Mapping[str, Any] | None = None


def grid_of(words: Sequence[str]) -> Grid:
    """A grid from words, or from one file that ends in .toml or .json.

    Raises:
        InputError: A word is no NAME=VALUES, its field is unknown, a value is not of its type, or the
            file cannot be read.

    Example:
        >>> grid_of(["latent-dim=16,64", "filters=8,16;8,16,32"]).grid
        {'latent_dim': [16, 64], 'filters': [(8, 16), (8, 16, 32)]}
    """
    if len(words) == 1 and Path(words[0]).suffix in SUFFIXES and not _assigns(words[0]):
        return read_grid(Path(words[0]))
    if not words:
        raise InputError(
            "A sweep needs something to vary, such as latent_dim=16,64,256, or a file of it (.toml, .json)."
        )
    grid: dict[str, list[Any]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not text.strip():
            raise InputError(
                f"Expected FIELD=VALUE,VALUE,... or one .toml or .json file, got {word!r}."
            )
        name = _known(name)
        if name in grid:
            raise InputError(f"{name} is given twice: put all its values into one word.")
        grid[name] = _values(name, text)
    return Grid(grid)


def _assigns(word: str) -> bool:
    """Whether a word gives values to a field, rather than naming a file with an = in its path."""
    name, equals, _ = word.partition("=")
    return bool(equals) and name.strip().replace("-", "_") in field_sections()


def read_grid(path: Path) -> Grid:
    """A grid from a file.

    Raises:
        InputError: There is none, it is damaged, or has other parts than preset, options, grid, list.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise InputError(f"The grid {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # of both decoders, and of UTF-8
        raise InputError(
            f"The grid {path} is not valid {path.suffix[1:].upper()}: {error}."
        ) from None
    kinds = {"preset": str, "options": dict, "grid": dict, "list": list}
    if not isinstance(content, dict):
        raise InputError(f"The grid {path} must hold the parts {', '.join(kinds)}.")
    for part, value in content.items():
        if part not in kinds:
            raise InputError(f"The grid {path} has a part {part!r}{suggestion(part, kinds)}")
        if not isinstance(value, kinds[part]):
            raise InputError(f"{part!r} in {path} must be a {kinds[part].__name__}, got {value!r}.")
    grid = content.get("grid", {})
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{name!r} in {path} must be a list of values to try, got {values!r}.")
    each = content.get("list", [])
    if not all(isinstance(options, dict) and options for options in each):
        raise InputError(f"'list' in {path} must hold tables of options, and none may be empty.")
    if not grid and not each:
        raise InputError(f"The grid {path} varies nothing: give it a 'grid' or a 'list'.")
    return Grid(
        _fields(grid), [_fields(options) for options in each],
        content.get("preset"), _fields(content.get("options", {})),
    )  # fmt: skip


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same by the names that the config has: latent-dim and latent_dim are one field."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        known = _known(name)
        if known in found:
            raise InputError(f"{known} is given twice: put all its values in one place.")
        found[known] = value
    return found


def make_cells(
    grid: Grid, preset: str | None = None, options: Mapping[str, Any] | None = None
) -> list[Cell]:
    """The cells of a grid, in its order, each with a checked config.

    Args:
        grid: What varies.
        preset: Of all cells, before the grid's own.
        options: Of all cells, before the grid's own; None counts as not given.

    Raises:
        InputError: Nothing varies, a config cannot work, a field is varied and fixed at once, a value is
            missing, or two cells are equal.

    Example:
        >>> [cell.name for cell in make_cells(Grid({"latent_dim": [16, 64], "batch_norm": [True]}))]
        ['latent-dim=16_batch-norm=yes', 'latent-dim=64_batch-norm=yes']
    """
    fixed = {k: v for k, v in {**(grid.options or {}), **(options or {})}.items() if v is not None}
    for name in {*grid.grid, *(name for each in grid.each for name in each)}:
        if name in fixed:
            raise InputError(f"{name} is both varied and fixed (to {fixed[name]!r}): give it once.")
        if any(name in each for each in grid.each) and name in grid.grid:
            raise InputError(f"{name} stands both in the grid and in the list: give it once.")
    if not grid.grid and not any(grid.each):
        raise InputError(
            "This grid varies nothing: give a field some values, such as latent_dim=16,64."
        )
    axes = [[(name, value) for value in values] for name, values in grid.grid.items()]
    count = len(grid.each or [{}])
    for axis in axes:
        count *= len(axis)
    if count > MOST:
        raise InputError(
            f"This grid has {count:,} cells, and {MOST:,} is the most. Vary less at once."
        )
    if not count:
        empty = next(name for name, values in grid.grid.items() if not values)
        raise InputError(f"{empty} has no values to try: give it some, or leave it out.")
    made: list[Cell] = []
    for each in grid.each or [{}]:
        for choice in itertools.product(*axes):
            varied = {**each, **dict(choice)}
            for name in (name for name, value in varied.items() if value is None):
                raise InputError(f"{name} has an empty value: give it one, or leave it out.")
            config = make_config(preset or grid.preset or "faces-64", **fixed, **varied)
            made.append(Cell(cell_name(varied), _of_config(varied, config), config))
    _no_twins(made)
    return made


def cell_name(varied: Mapping[str, Any]) -> str:
    """A folder's name from options: readable, safe on every file system, no two alike.

    Whatever cannot stand in a name as it is (a path's slashes, a capital letter, which some file systems
    do not tell from a small one, the end of a long list) is told apart by a digest at the end.

    Example:
        >>> cell_name({"filters": (32, 64), "batch_norm": False})
        'filters=32-64_batch-norm=no'
    """
    full = "_".join(
        f"{name.replace('_', '-')}={said(value, '-')}" for name, value in varied.items()
    )
    name = re.sub(r"[^A-Za-z0-9=.+_-]+", "-", full)
    if name == full.lower() and len(name) <= LONGEST:
        return name
    # What the command line could not decode stands in a text as lone surrogates.
    digest = hashlib.sha256(full.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: LONGEST - 9]}-{digest}"


def said(value: Any, between: str = ", ") -> str:
    """A config's value in a name or a table, with all the digits that tell it from others.

    Example:
        >>> said([32, 64]), said(True), said(0.5), said(0.1234567891)
        ('32, 64', 'yes', '0.5', '0.1234567891')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return between.join(said(part) for part in value)
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


def _no_twins(cells: Sequence[Cell]) -> None:
    seen: dict[str, str] = {}
    for cell in cells:
        key = json.dumps(cell.config.to_dict(), sort_keys=True)
        if key in seen:
            raise InputError(
                f"Two cells of the grid are the same run, {seen[key]} and {cell.name}: give each value once."
            )
        seen[key] = cell.name
    twice = [name for name, count in Counter(cell.name for cell in cells).items() if count > 1]
    if twice:  # a text may hold what looks like the next field
        raise InputError(f"Two cells of the grid would be called {twice[0]}: rename one's data.")


def _of_config(varied: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The varied values as the config has them, after conversion to the fields' types."""
    sections, plain = field_sections(), config.to_dict()
    return {name: plain[sections[name][0]][name] for name in varied}


def _known(name: str) -> str:
    sections = field_sections()
    plain = name.strip().replace("-", "_")
    if plain not in sections:
        raise InputError(f"The config has no field {name!r}{suggestion(plain, sections)}")
    return plain


def _values(name: str, text: str) -> list[Any]:
    like = field_sections()[name][1].default
    parts = [
        part.strip() for part in text.split(";" if ";" in text or isinstance(like, tuple) else ",")
    ]
    if not all(parts):
        raise InputError(f"{name} has an empty value in {text!r}; give values like {name}=A,B.")
    return [_value(name, part, like) for part in parts]


def _value(name: str, text: str, like: Any) -> Any:
    try:
        if isinstance(like, bool):
            if text.lower() not in YES + NO:
                raise ValueError("yes or no")
            return text.lower() in YES
        if isinstance(like, tuple):
            return tuple(int(part) for part in text.split(","))
        return type(like)(text)
    except ValueError:
        kind = {bool: "yes or no", tuple: "whole numbers, such as 32,64", int: "a whole number"}
        wanted = kind.get(type(like), "a number")
        raise InputError(f"{name} takes {wanted}, got {text!r}.") from None
