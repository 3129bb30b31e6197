"""Pictures that are the rows of NumPy arrays: ``.npy`` and ``.npz``.

An array of images is (n, h, w), (n, h, w, c) or (n, c, h, w) with c of 1, 3 or 4, and its values have
no unit: bool, uint8 and uint16 say what white is, for all others the range they span decides (0 to 1
or 0 to 255).

In a ``.npz`` and beside a ``.npy`` names say what an array is: ``x_train y_train x_test y_test`` as
Keras writes them, ``train_images train_labels val_images ...`` as MedMNIST does, ``images labels
attributes attribute_names ids``, or ``train.npy val.npy test.npy`` for a file per split.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from latentshape.data.annotations import SPLIT_NAMES, Facts, as_attributes, sort_facts
from latentshape.data.array_pictures import ArrayPictures, ImageArray, blocks_of
from latentshape.data.folder import unless_outnumbered
from latentshape.data.listing import Listing, spelt
from latentshape.data.splits import SPLITS, UNKNOWN
from latentshape.data.stored_arrays import (
    MOST_ARRAYS,
    Mapped,
    StoredArray,
    damaged,
    refuse_too_large,
    stored_arrays,
)
from latentshape.data.trees import Tree
from latentshape.errors import InputError

__all__ = ["find_arrays", "read_arrays"]

CHANNELS = (1, 3, 4)
#: Narrower "pictures" (n, h, w) are something else: landmarks, or a single picture (h, w, 3).
NARROWEST = 5
#: Beyond this, whole numbers are no classes (and floats no longer tell them apart).
LARGEST_CLASS = 2**53
#: What an array is, by the part of its name that names no split; images in the order of preference.
ROLES = {
    "images": "images", "x": "images", "data": "images", "arr_0": "images", "image": "images",
    "imgs": "images", "pictures": "images", "": "images",
    "labels": "labels", "y": "labels", "label": "labels", "targets": "labels", "target": "labels",
    "attributes": "attributes", "attribute_names": "attribute_names",
    "ids": "ids", "id": "ids", "names": "ids", "filenames": "ids",
}  # fmt: skip
PREFERENCE = [name for name, role in ROLES.items() if role == "images"]


# --------------------------------------------------------------------------------------------------
# What the arrays are
# --------------------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    stored: StoredArray
    role: str | None
    word: str  # by which the role was recognised
    split: int


def find_arrays(tree: Tree) -> str | None:
    """By what ``tree`` is recognised as arrays, such as ``images.npz``; None if it is not.

    Arrays among more image files than there are arrays are no dataset, but notes about one.
    """
    return unless_outnumbered(array_names(tree), tree, "arrays")


def array_names(tree: Tree, suffixes: tuple[str, ...] = (".npy", ".npz")) -> list[str]:
    """The files of ``tree`` that are arrays, by their suffix."""
    return [name for name in tree.names if name.lower().endswith(suffixes)]


def read_arrays(tree: Tree) -> Listing:
    """Arrays of images with whatever labels, attributes and ids lie beside them.

    Raises:
        InputError: No array of images, several without names that say which is which, values outside
            of 0 to 1 and 0 to 255, pickled objects, arrays that do not belong together, or damage.
    """
    where = tree.where
    names = array_names(tree)
    if not names:
        raise InputError(f"Expected an array of images (.npy or .npz) at {where!r}, found none.")
    entries = [entry for name in names[:MOST_ARRAYS] for entry in array_entries(tree, name)]
    listing = list_entries(tree, entries, "arrays", find_arrays(tree) or "it was asked for")
    if len(names) > MOST_ARRAYS:
        listing.notices.append(f"only the first {MOST_ARRAYS} array files were looked at")
    return listing


def array_entries(tree: Tree, name: str) -> Iterator[_Entry]:
    """The arrays of one file, and what their names say about each.

    Raises:
        InputError: See `stored_arrays`.
    """
    folder, _, base = name.rpartition("/")
    stem = base[:-4]
    of_file, of_folder = _meaning(stem)[2], _meaning(folder.rpartition("/")[2])[2]
    for stored in stored_arrays(tree, name):
        role, word, split = _meaning(stored.key or stem)
        split = next((s for s in (split, of_file, of_folder) if s != UNKNOWN), UNKNOWN)
        yield _Entry(stored, role, word, split)


def _meaning(name: str) -> tuple[str | None, str, int]:
    """Role, the word for it, and split of an array by its name.

    Example:
        >>> _meaning("x_train"), _meaning("val_labels"), _meaning("faces")
        (('images', 'x', 0), ('labels', 'labels', 1), (None, 'faces', -1))
    """
    words = re.split(r"[^a-z0-9]+", name.lower())
    splits = [SPLIT_NAMES[w] for w in words if w.isalpha() and w in SPLIT_NAMES]
    rest = "_".join(w for w in words if not (w.isalpha() and w in SPLIT_NAMES))
    return ROLES.get(rest), rest, splits[0] if len(splits) == 1 else UNKNOWN


def _choose(entries: Sequence[_Entry], where: str) -> list[_Entry]:
    """The arrays of images: one per split, or the one there is."""
    fitting = [
        e for e in entries if e.role in ("images", None) and _sides(e.stored.shape) is not None
    ]
    parts = [e for e in fitting if e.role == "images" and e.split != UNKNOWN]
    if parts:
        twice = [e for e in parts if sum(e.split == other.split for other in parts) > 1]
        if twice:
            raise InputError(
                f"{where}: expected one array of images per split, found "
                f"{_named(twice)}. Keep one of each split there."
            )
        return sorted(parts, key=lambda e: e.split)
    named = [e for e in fitting if e.role == "images"]
    if len({e.stored.name for e in fitting}) == 1 and named:
        return [min(named, key=lambda e: PREFERENCE.index(e.word))]
    if not fitting:
        found = ", ".join(f"{spelt(e.stored.key or e.stored.name)} {e.stored.shape}"
                          for e in entries[:8])  # fmt: skip
        raise InputError(
            f"{where}: expected an array of images (n, h, w), (n, h, w, c) or (n, c, h, w) with c of "
            f"1, 3 or 4, found {found}. Reshape it so, a single picture as array[None]."
        )
    if len(fitting) > 1:
        files = len({e.stored.name for e in fitting}) > 1
        cure = (
            f"Give one of them (--data {fitting[0].stored.where.partition(' (')[0]}), or call them "
            "train.npy, val.npy and test.npy"
            if files
            else "Save the one that is meant as 'images', or as x_train and x_test"
        )
        raise InputError(
            f"{where} holds {len(fitting)} arrays of images: {_named(fitting)}. {cure}."
        )
    return fitting


def _named(entries: Sequence[_Entry]) -> str:
    names = [spelt(f"{e.stored.name} {e.stored.key}".strip()) for e in entries]
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")


def _sides(shape: tuple[int, ...]) -> tuple[bool, bool] | None:
    """Whether channels come first, and whether that is a guess; None: no array of images.

    Example:
        >>> _sides((9, 3, 64, 64)), _sides((9, 64, 64, 3)), _sides((9, 5, 2))
        ((True, False), (False, False), None)
    """
    if len(shape) not in (3, 4) or 0 in shape:
        return None
    if len(shape) == 3:
        return (False, False) if shape[-1] >= NARROWEST else None
    if shape[-1] in CHANNELS:
        return False, shape[1] in CHANNELS
    return (True, False) if shape[1] in CHANNELS else None


def list_entries(tree: Tree, entries: Sequence[_Entry], kind: str, why: str) -> Listing:
    """The listing of the images among some arrays, and of what belongs to them.

    Raises:
        InputError: See `read_arrays`.
    """
    where = tree.where
    chosen = _choose(entries, where)
    arrays = [e.stored for e in chosen]
    refuse_too_large(sum(a.nbytes for a in arrays if a.path is None), where)
    values = [a.values() for a in arrays]
    factors, notices = _factors(arrays, values)
    parts = []
    for array, part, factor in zip(arrays, values, factors):
        first, guessed = _sides(array.shape) or (False, False)
        rows = np.arange(array.shape[0])
        parts.append(ImageArray(part, rows, tree, array.name, array.key, factor, first))
        if guessed:
            notices.append(
                f"{array.where} {array.shape} could have its channels first or last: read as last"
            )
    counts = [a.shape[0] for a in arrays]
    split = np.repeat(np.array([e.split for e in chosen], np.int8), counts)
    files = {e.stored.name for e in entries}
    facts, ids, used = _facts_beside(
        entries, chosen, counts, str(tree.path(files.pop())) if len(files) == 1 else where
    )
    left = [e.stored.key or e.stored.name for e in entries if e not in used]
    if left:
        some = ", ".join(map(spelt, left[:5])) + (" ..." if len(left) > 5 else "")
        notices.append(f"other arrays are left out: {some}")
    return Listing(
        kind=kind,
        where=where,
        why=why,
        ids=ids or number_rows([e.split for e in chosen], counts, 7),
        pictures=ArrayPictures(parts),
        split=None if (split == UNKNOWN).all() else split,
        attributes=facts.attributes,
        attribute_names=facts.attribute_names,
        columns=facts.columns,
        notices=[*notices, *facts.notices],
    )


def number_rows(splits: Sequence[int], counts: Sequence[int], digits: int) -> list[str]:
    """Ids of pictures that have none of their own: their split and their place in it.

    Example:
        >>> number_rows([0, 2], [1, 2], 5), number_rows([UNKNOWN], [1], 7)
        (['train-00000', 'test-00000', 'test-00001'], ['0000000'])
    """
    prefixes = ["" if split == UNKNOWN else SPLITS[split] + "-" for split in splits]
    return [f"{p}{row:0{digits}d}" for p, n in zip(prefixes, counts) for row in range(n)]


# --------------------------------------------------------------------------------------------------
# What the values mean
# --------------------------------------------------------------------------------------------------


def _factors(
    stored: Sequence[StoredArray], values: Sequence[np.ndarray | Mapped]
) -> tuple[list[float], list[str]]:
    """What takes each array to 0..255: one range for all splits, so that they stay comparable."""
    ranges: dict[str, tuple[float, float]] = {}
    group: str
    for array, part in zip(stored, values):
        kind = array.dtype.kind
        if kind not in "biuf":
            raise InputError(
                f"{array.where}: expected numbers as pixels, found values of type {array.dtype}."
            )
        if array.dtype == np.uint8 or kind == "b":
            continue
        low, high = _range(part)
        _refuse_range(low, high, array)
        group = "uint16" if _is_16_bit(array.dtype) else str(kind)
        old = ranges.get(group, (low, high))
        ranges[group] = (min(low, old[0]), max(high, old[1]))
    notices = []
    if (top := ranges.get("uint16", (0, 65535))[1]) <= 255:
        notices.append(
            f"16-bit values of at most {top:g}: nearly black, since 65535 is white; save them as "
            "uint8 if 255 is"
        )
    for group in "iu":
        if (top := ranges.get(group, (0, 255))[1]) <= 1:
            notices.append(
                f"whole numbers of at most {top:g}: nearly black, since 255 is white; save them as "
                "bool if 1 is"
            )

    def factor(dtype: np.dtype) -> float:
        if _is_16_bit(dtype):
            return 1 / 257
        return 255.0 if dtype.kind == "f" and ranges["f"][1] <= 1 else 1.0

    return [factor(array.dtype) for array in stored], notices


def _is_16_bit(dtype: np.dtype) -> bool:
    return dtype.kind == "u" and dtype.itemsize == 2  # in either byte order


def _range(values: np.ndarray | Mapped) -> tuple[float, float]:
    """Smallest and largest value, block by block; NaN if any is."""
    array = values.open() if isinstance(values, Mapped) else values
    if not array.flags.c_contiguous:
        array = array.T  # in the order in which they lie
    low, high = math.inf, -math.inf
    with np.errstate(all="ignore"):
        for rows in blocks_of(len(array), max(1, array[:1].nbytes)):
            smallest, largest = float(array[rows].min()), float(array[rows].max())
            if math.isnan(smallest):
                return smallest, smallest
            low, high = min(low, smallest), max(high, largest)
    return low, high


def _refuse_range(low: float, high: float, array: StoredArray) -> None:
    if _is_16_bit(array.dtype) or (low >= 0 and high <= 255):
        return
    if not math.isfinite(low + high):
        found, cure = "NaN or infinity among them", "Replace those values"
    elif low >= -1 and high <= 1:
        found, cure = f"{low:g} to {high:g}", "Save (images + 1) / 2"
    elif low >= 0:
        found, cure = f"{low:g} to {high:g}", f"Save images / WHITE, which is {high:g} or more"
    else:
        found = f"{low:g} to {high:g}"
        cure = "Save (images - images.min()) / (images.max() - images.min())"
    raise InputError(
        f"{array.where}: expected values from 0 to 1 or from 0 to 255, found {found}. {cure}."
    )


# --------------------------------------------------------------------------------------------------
# Labels, attributes, ids
# --------------------------------------------------------------------------------------------------


def _facts_beside(
    entries: Sequence[_Entry], chosen: Sequence[_Entry], counts: Sequence[int], where: str
) -> tuple[Facts, list[str], list[_Entry]]:
    """What lies beside the images: facts, ids (none if they are no ids), and the arrays in use."""
    used = list(chosen)

    def beside(role: str) -> list[np.ndarray | None]:
        found: list[np.ndarray | None] = []
        for image in chosen:
            match = [e for e in entries if e.role == role and e.split == image.split]
            if len(match) > 1:
                raise InputError(
                    f"{where} holds {len(match)} arrays that could be the {role} of "
                    f"{_named([image])}: {_named(match)}. Keep one of them there."
                )
            found.append(_beside(match[0], image) if match else None)
            used.extend(match)
        return found

    sorted_facts = []
    labels, tables, ids = beside("labels"), beside("attributes"), beside("ids")
    if any(part is not None for part in labels):
        sorted_facts.append(label_facts(labels, counts, where))
    if any(part is not None for part in tables):
        names = [e for e in entries if e.role == "attribute_names"][:1]
        used.extend(names)
        sorted_facts.append(_attributes(tables, counts, names, where))
    answers = [f.attributes for f in sorted_facts if f.attributes is not None]
    notices = [notice for f in sorted_facts for notice in f.notices]
    texts: list[str] = []
    if all(part is not None for part in ids):
        texts = [text for part in ids for text in as_texts(part, where)]
        if len(set(texts)) < sum(counts) or len(texts) > sum(counts):
            notices.append(f"the ids of {where} are not one per image: rows are numbered instead")
            texts = []
    facts = Facts(
        tuple(name for f in sorted_facts for name in f.attribute_names),
        np.concatenate(answers, axis=1) if answers else None,
        {name: column for f in sorted_facts for name, column in f.columns.items()},
        notices=notices,
    )
    return facts, texts, used


def _beside(entry: _Entry, image: _Entry) -> np.ndarray:
    values = entry.stored.load()
    n = image.stored.shape[0]
    if values.ndim == 0 or len(values) != n:
        raise InputError(
            f"{entry.stored.where} has the shape {values.shape}, but there are {n:,} images in "
            f"{image.stored.where}. Expected one row per image: save both again, or remove it."
        )
    return values


def label_facts(parts: Sequence[np.ndarray | None], counts: Sequence[int], where: str) -> Facts:
    """Labels of all splits together, so that a class has one name: attributes and ``label``.

    Args:
        parts: Labels of each split, (n,) or (n, 1) classes or (n, k) answers, or None.
        counts: Images of each split.
        where: The file, for messages.

    Raises:
        InputError: The numbers are too large for classes.
    """
    known = [p for p in parts if p is not None]
    width = {math.prod(p.shape[1:]) for p in known}
    if len(width) > 1 or any(p.ndim > 2 for p in known):
        shapes = ", ".join(str(p.shape) for p in known)
        return Facts(notices=[f"labels of {where} with shape {shapes} are left out"])
    if width != {1}:
        table = _joined(parts, counts, where)
        if not (np.isnan(table) | np.isin(table, (-1, 0, 1))).all():
            return Facts(notices=[f"labels of {where}, several numbers each, are left out"])
        names = tuple(f"label_{j}" for j in range(table.shape[1]))
        return Facts(names, _answers(table)) if names else Facts()
    if any(p.dtype.kind in "SU" for p in known):
        texts = [[""] * n if p is None else as_texts(p, where) for p, n in zip(parts, counts)]
        return sort_facts({"label": [text for part in texts for text in part]}, where)
    values = _joined(parts, counts, where)[:, 0]
    finite = values[~np.isnan(values)]
    if (np.abs(finite) > LARGEST_CLASS).any():
        raise _no_classes(where, f"{finite.min():g} to {finite.max():g}")
    if (finite != np.rint(finite)).any():
        return sort_facts({"target": values}, where)
    return sort_facts({"label": np.nan_to_num(values, nan=-1).astype(np.int64)}, where)


def _no_classes(where: str, found: str) -> InputError:
    return InputError(
        f"{where}: expected classes as labels, found numbers: {found}. Save them again, or remove "
        "them to go on without."
    )


def _joined(parts: Sequence[np.ndarray | None], counts: Sequence[int], where: str) -> np.ndarray:
    """Numbers (n, k) float64 of all splits; NaN where a split has none."""
    k = next(math.prod(p.shape[1:]) for p in parts if p is not None)
    rows = []
    for part, n in zip(parts, counts):
        if part is None:
            rows.append(np.full((n, k), np.nan))
            continue
        if part.dtype.kind not in "biuf":
            raise InputError(
                f"{where}: expected numbers as attributes, found {part.dtype}. Save -1 and 1, or "
                "remove the array."
            )
        with np.errstate(all="ignore"):
            rows.append((part.view(np.uint8) != 0 if part.dtype.kind == "b" else part)
                        .reshape(n, k).astype(np.float64))  # fmt: skip
    return np.concatenate(rows)


def _attributes(
    parts: Sequence[np.ndarray | None],
    counts: Sequence[int],
    names: Sequence[_Entry],
    where: str,
) -> Facts:
    """The array ``attributes`` of each split, (n, k), named by the first of ``names``."""
    shapes = {p.shape[1:] for p in parts if p is not None}
    shape = shapes.pop()
    if shapes or len(shape) != 1 or not shape[0]:
        raise InputError(
            f"{where}: expected attributes (n, k), one row per image, found "
            f"{', '.join(str(p.shape) for p in parts if p is not None)}."
        )
    table = _joined(parts, counts, where)
    if not (np.isnan(table) | np.isin(table, (-1, 0, 1))).all():
        raise InputError(
            f"{where}: expected -1 and 1, or 0 and 1, as attributes, found {np.nanmin(table):g} to "
            f"{np.nanmax(table):g}. Save them so, or remove the array."
        )
    texts = [f"attribute_{j}" for j in range(shape[0])]
    if names:
        texts = as_texts(names[0].stored.load(), where)
        if len(texts) != shape[0] or len(set(texts)) != shape[0]:
            raise InputError(
                f"{names[0].stored.where}: expected {shape[0]} different names, one per attribute, "
                f"found {len(texts)}. Save them so, or remove the array."
            )
    return Facts(tuple(texts), _answers(table))


def _answers(table: np.ndarray) -> np.ndarray:
    """Numbers (n, k) as answers (n, k) int8; 0 means no, unless a -1 does."""
    zero = 0 if (table == -1).any() else -1
    return np.stack([as_attributes(column, zero) for column in table.T], axis=1)


def as_texts(values: np.ndarray | None, where: str) -> list[str]:
    """The elements as text: bytes decoded, numbers written out.

    Raises:
        InputError: They are no characters.
    """
    try:
        found = [] if values is None else values.reshape(-1).tolist()
        return [
            spelt(v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else str(v))
            for v in found
        ]
    except ValueError as error:  # beyond the last character there is
        raise damaged(where, error) from error
