"""Any folder or archive of images: flat or nested, by class, by split, or with a table beside it.

* ``train/ val/ test/`` (or some of them) as the only folders are the splits.
* Two or more folders side by side with images in each, and no images beside them, are classes, as in
  ``cats/1.jpg dogs/1.jpg``: each becomes an attribute.
* A ``.csv`` or ``.tsv`` at the top whose rows name images holds attributes, numbers, a partition.

A folder around all of it, as archives have it, changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np

from latentshape.data.annotations import SPLIT_NAMES, Table, name_classes, read_table, sort_facts
from latentshape.data.listing import FilePictures, Listing, spelt
from latentshape.data.trees import Tree, what_is_at
from latentshape.errors import InputError
from latentshape.images import IMAGE_SUFFIXES

__all__ = ["find_folder", "image_names", "read_folder", "unless_outnumbered"]

TABLE_SUFFIXES = (".csv", ".tsv")


def image_names(tree: Tree) -> list[str]:
    """The names that end as image files do."""
    return [name for name in tree.names if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES]


def unless_outnumbered(names: Sequence[str], tree: Tree, what: str) -> str | None:
    """``a.npy and 2 more arrays``; None without any, or where image files outnumber them.

    Arrays and tables beside many image files are notes about a dataset, not the dataset.
    """
    if not names or len(image_names(tree)) > len(names):
        return None
    more = f" and {len(names) - 1} more {what}" if len(names) > 1 else ""
    return spelt(names[0]) + more


def find_folder(tree: Tree) -> str | None:
    """``"12 image files"``, or None."""
    found = len(image_names(tree))
    return f"{found:,} image files" if found else None


def read_folder(tree: Tree) -> Listing:
    """Every image file, with splits, classes and tables where they can be told.

    Raises:
        InputError: No images, or a table that does not belong to them.
    """
    names = image_names(tree)
    if not names:
        raise InputError(
            f"No images (.jpg, .png, ...) in {tree.where!r}; found: {what_is_at(Path(tree.where))}. "
            "Point --data at the folder that holds them, or use --data faces to try without any."
        )
    notices: list[str] = []
    home = _home(tree)
    inside = [name[len(home) :] for name in names]
    split, below = _split_folders(inside)
    classes = _class_folders(below)
    attribute_names: list[str] = []
    tables: list[np.ndarray] = []
    columns: dict[str, np.ndarray] = {}
    if classes:
        attribute_names, answers, columns["label"] = name_classes(classes)
        tables.append(answers)
        if not attribute_names:
            found = len(set(classes))
            notices.append(
                f"{found:,} class folders: kept as numbers in 'label', not as attributes"
            )
    for table_name in _tables(tree, home):
        table = read_table(tree, table_name, headed=True)
        facts = sort_facts(_matched(table, inside), table.where)
        if table.repeated:
            notices.append(
                f"{table.repeated} images have several rows in {table_name}: the last counts"
            )
        notices += facts.notices
        split = facts.split if facts.split is not None else split
        twice = [name for name in facts.columns if name in columns]
        twice += [name for name in facts.attribute_names if name in attribute_names]
        if twice:
            raise InputError(
                f"{tree.where}: {twice[0]!r} is given twice, by class folders or tables. Rename one of "
                "them."
            )
        columns |= facts.columns
        if facts.attributes is not None:
            attribute_names += facts.attribute_names
            tables.append(facts.attributes)
    return Listing(
        kind="folder",
        where=tree.where,
        why=f"it holds {find_folder(tree)}",
        ids=[spelt(name) for name in inside],
        pictures=FilePictures(tree, names),
        split=split,
        attributes=np.concatenate(tables, axis=1) if attribute_names else None,
        attribute_names=tuple(attribute_names),
        columns=columns,
        notices=notices,
    )


def _home(tree: Tree) -> str:
    """The folder around everything, as ``zip -r faces.zip faces`` packs it: no part of any id."""
    first, last = (tree.names[i].split("/")[:-1] for i in (0, -1))  # they are sorted
    shared = takewhile(lambda pair: pair[0] == pair[1] and not _is_split(pair[0]), zip(first, last))
    return "".join(f"{folder}/" for folder, _ in shared)


def _is_split(folder: str) -> bool:
    return folder.lower() in SPLIT_NAMES and not folder.isdigit()


def _split_folders(names: Sequence[str]) -> tuple[np.ndarray | None, list[str]]:
    """Splits by the first folder if all first folders name one; and the names below them."""
    heads = [name.split("/", 1)[0] if "/" in name else "" for name in names]
    if not all(map(_is_split, set(heads))):
        return None, list(names)
    codes = np.array([SPLIT_NAMES[head.lower()] for head in heads], dtype=np.int8)
    return codes, [name.split("/", 1)[1] for name in names]


def _class_folders(names: Sequence[str]) -> list[str] | None:
    """The class of each image by its first folder; None where folders are no classes."""
    heads = [name.split("/", 1)[0] if "/" in name else "" for name in names]
    if len(set(heads)) < 2 or "" in heads:
        return None
    return [spelt(head) for head in heads]


def _tables(tree: Tree, home: str) -> list[str]:
    return [
        name
        for name in tree.names
        if "/" not in name[len(home) :] and name.lower().endswith(TABLE_SUFFIXES)
    ]


def _matched(table: Table, names: Sequence[str]) -> dict[str, list[str]]:
    """Columns by the images' paths, or by their last parts if the table names no folders."""
    if any("/" in key for key in table.rows):
        return table.columns(names)
    return table.columns([name.rpartition("/")[2] for name in names])
