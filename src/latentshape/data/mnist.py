"""MNIST and its relatives, as their authors wrote them or as Keras packs them.

LeCun, Cortes & Burges, *The MNIST database of handwritten digits*; Fashion-MNIST (Xiao, Rasul &
Vollgraf, 2017), KMNIST (Clanuwat et al., 2018) and EMNIST (Cohen et al., 2017) come in the same two
formats:

* **idx**: a magic number ``0 0 TYPE NDIM``, each size as a big-endian 32-bit integer, then the bytes.
  ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-...``, with a dot instead of a
  dash, packed as ``.gz``, with a prefix (``emnist-letters-``), in any folder. EMNIST's pictures are
  stored with rows and columns exchanged, which is undone.
* **npz**: ``x_train y_train x_test y_test``. Recognised as MNIST when ``x_train`` is uint8 of shape
  (n, 28, 28); arrays of any other kind are what `arrays` is for, which reads these too.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

import numpy as np

from latentshape.data.array_pictures import ArrayPictures, ImageArray
from latentshape.data.arrays import (
    array_entries,
    array_names,
    label_facts,
    list_entries,
    number_rows,
)
from latentshape.data.folder import unless_outnumbered
from latentshape.data.listing import Listing, spelt
from latentshape.data.stored_arrays import (
    Mapped,
    damaged,
    fill,
    open_file,
    refuse_too_large,
    stored_arrays,
)
from latentshape.data.trees import FolderTree, Tree
from latentshape.errors import InputError

__all__ = ["find_mnist", "read_mnist"]

IDX = re.compile(
    r"(?P<prefix>.*?)(?P<part>train|t10k|test)[-_.](?P<what>images|labels)[-_.]idx[13][-_.]ubyte"
    r"(?P<packed>\.gz)?",
    re.IGNORECASE,
)
#: What the third byte of an idx file says the values are.
TYPES = {0x08: "ubyte", 0x09: "sbyte", 0x0B: "short", 0x0C: "int", 0x0D: "float", 0x0E: "double"}
DIMENSIONS = {"images": 3, "labels": 1}
LARGEST_SIDE = 4096
#: Deflate makes nothing smaller than by this factor, and a gzip file has a few bytes around it.
DEFLATE_LIMIT = 1032
KERAS = ("x_train", "y_train", "x_test", "y_test")
#: Of the files called .npz, so many are looked into.
MOST_LOOKS = 8
SPLIT_OF = {"train": 0, "t10k": 2, "test": 2}


@dataclass(frozen=True)
class _IdxFile:
    """What the name of an idx file says: of which set, of which part, images or labels."""

    name: str
    folder: str
    prefix: str
    part: int
    what: str
    packed: bool


def find_mnist(tree: Tree) -> str | None:
    """By what ``tree`` is recognised, such as ``train-images-idx3-ubyte.gz and 3 more idx files``.

    None if it is not: neither images in idx files nor a ``.npz`` of Keras' keys and MNIST's shape.
    """
    found = _idx_files(tree)
    if any(file.what == "images" for file in found):
        names = sorted((file.name for file in found), key=lambda n: "train-images" not in n.lower())
        more = f" and {len(names) - 1} more idx files" if len(names) > 1 else ""
        return spelt(names[0]) + more
    names = _keras_files(tree)
    return f"{spelt(names[0])} with 28x28 pictures" if names else None


def read_mnist(tree: Tree) -> Listing:
    """The pictures of one MNIST-like set, with its labels.

    Raises:
        InputError: None there, several sets at once, or a damaged file.
    """
    why = find_mnist(tree) or "it was asked for"
    found = _idx_files(tree)
    images = [file for file in found if file.what == "images"]
    if not images:
        return _read_keras(tree, why)
    _refuse_several(images, tree)
    labels = [f for f in found if f.what == "labels" and f.prefix == images[0].prefix]
    beside = [f for f in labels if f.folder == images[0].folder]
    parts, answers, splits, notices = [], [], [], []
    for part in sorted({file.part for file in images}):
        image = _preferred(images, part)
        label = _preferred(beside, part) or _preferred(labels, part)
        assert image is not None  # the part comes from one of them
        pictures, answer = _read_part(tree, image, label)
        parts.append(pictures)
        answers.append(answer)
        splits.append(part)
        if label is None:
            notices.append(f"no labels beside {spelt(image.name)}")
    if parts[0].transposed:
        notices.append("EMNIST stores its pictures with rows and columns exchanged: undone")
    counts = [len(part.rows) for part in parts]
    listing = Listing(
        kind="mnist",
        where=tree.where,
        why=why,
        ids=number_rows(splits, counts, 5),
        pictures=ArrayPictures(parts),
        split=np.repeat(np.array(splits, np.int8), counts),
        notices=notices,
    )
    if all(answer is None for answer in answers):
        return listing
    facts = label_facts(answers, counts, listing.where)
    return replace(
        listing,
        attributes=facts.attributes,
        attribute_names=facts.attribute_names,
        columns=facts.columns,
        notices=[*notices, *facts.notices],
    )


# --------------------------------------------------------------------------------------------------
# idx
# --------------------------------------------------------------------------------------------------


def _idx_files(tree: Tree) -> list[_IdxFile]:
    found = []
    for name in tree.names:
        if "ubyte" not in name[-12:].lower():
            continue
        folder, _, base = name.rpartition("/")
        match = IDX.fullmatch(base)
        if match is None:
            continue
        above, _, last = folder.rpartition("/")
        if IDX.fullmatch(last):  # a folder called as the file in it: so Kaggle's archive unpacks
            folder = above
        part = SPLIT_OF[match["part"].lower()]
        prefix, what = match["prefix"].lower(), match["what"].lower()
        found.append(_IdxFile(name, folder, prefix, part, what, match["packed"] is not None))
    return found


def _preferred(files: Sequence[_IdxFile], part: int) -> _IdxFile | None:
    """The file of this part that is not packed, or else the packed one."""
    return min((f for f in files if f.part == part), key=lambda f: (f.packed, f.name), default=None)


def _refuse_several(images: Sequence[_IdxFile], tree: Tree) -> None:
    sets = sorted({(file.folder, file.prefix) for file in images})
    if len(sets) == 1:
        return
    names = ", ".join(spelt(f"{folder}/{prefix}".strip("/-_") or ".") for folder, prefix in sets)
    folders = sorted({folder for folder, _ in sets})
    if len(folders) == 1:
        cure = f"Move the files of one of them, {spelt(sets[0][1])}*, into a folder of their own"
    elif isinstance(tree, FolderTree):
        cure = f"Give one of them: --data {tree.path(folders[-1])}"
    else:
        cure = "Unpack the archive and give the folder of one of them"
    raise InputError(f"{tree.where} holds {len(sets)} sets of images: {names}. {cure}.")


def _read_part(
    tree: Tree, image: _IdxFile, label: _IdxFile | None
) -> tuple[ImageArray, np.ndarray | None]:
    values = _read_idx(tree, image)
    n = values.shape[0]
    transposed = "emnist" in image.prefix
    pictures = ImageArray(values, np.arange(n), tree, image.name, transposed=transposed)
    if label is None:
        return pictures, None
    stored = _read_idx(tree, label)
    if stored.shape[0] != n:
        raise InputError(
            f"{tree.path(label.name)} holds {stored.shape[0]:,} labels, but {tree.path(image.name)} "
            f"holds {n:,} images. They belong to different sets: fetch both again, or remove the "
            "labels to go on without."
        )
    try:
        return pictures, np.array(stored.open() if isinstance(stored, Mapped) else stored)
    except (OSError, ValueError) as error:
        raise damaged(str(tree.path(label.name)), error) from error


def _read_idx(tree: Tree, file: _IdxFile) -> np.ndarray | Mapped:
    """The array of an idx file: mapped where it lies unpacked in a folder, else in memory."""
    where = str(tree.path(file.name))
    try:
        with open_file(tree, file.name) as raw:
            size = raw.seek(0, os.SEEK_END)
            raw.seek(0)
            packed = raw.read(2) == b"\x1f\x8b"  # by content: unpackers leave names as they were
            raw.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=raw) as stream:
                    return _unpack(cast(BinaryIO, stream), size, file.what, where)
            shape, offset = _idx_header(raw, file.what, where)
            need = math.prod(shape)
            if size - offset != need:
                raise _wrong_length(where, shape, need, f"{size - offset:,}")
            if isinstance(tree, FolderTree):
                path = os.path.abspath(tree.path(file.name))
                return Mapped(path, np.dtype(np.uint8), offset, shape)
            content = np.empty(need, np.uint8)
            fill(raw, content)
            return content.reshape(shape)
    except InputError:
        raise
    # A damaged stream fails in gzip, in zlib, or where the archive around it is read.
    except Exception as error:
        raise damaged(where, error) from error


def _unpack(stream: BinaryIO, size: int, what: str, where: str) -> np.ndarray:
    """What a gzip stream holds, no more of it than its header says."""
    shape, _ = _idx_header(stream, what, where)
    need = math.prod(shape)
    if need > DEFLATE_LIMIT * size:
        raise _wrong_length(where, shape, need, f"at most {DEFLATE_LIMIT * size:,}")
    refuse_too_large(need, where)
    content = np.empty(need, np.uint8)
    fill(stream, content)
    if stream.read(1):  # reading on to the end also compares the checksum
        raise _wrong_length(where, shape, need, "more")
    return content.reshape(shape)


def _wrong_length(where: str, shape: tuple[int, ...], need: int, found: str) -> InputError:
    return InputError(
        f"{where}: its header says {' x '.join(map(str, shape))}, so {need:,} bytes were expected, "
        f"but {found} follow. The copy is not whole: fetch it again."
    )


def _idx_header(file: BinaryIO, what: str, where: str) -> tuple[tuple[int, ...], int]:
    """Sizes and length of the header, which must be that of images or of labels."""
    ndim = DIMENSIONS[what]
    head = file.read(4 + 4 * ndim)
    expected = f"the idx header 00 00 08 {ndim:02x} of {what}"
    found = _not_so(head, ndim)
    if found:
        raise InputError(f"{where}: expected {expected}, found {found}. Fetch the file again.")
    shape = struct.unpack(f">{ndim}I", head[4:])
    if not shape[0] or any(not 1 <= side <= LARGEST_SIDE for side in shape[1:]):
        sides = f" of 1 to {LARGEST_SIDE} pixels a side" if ndim == 3 else ""
        raise InputError(
            f"{where}: expected at least one of the {what}{sides}, its header says "
            f"{' x '.join(map(str, shape))}. Fetch the file again."
        )
    return shape, len(head)


def _not_so(head: bytes, ndim: int) -> str:
    """What a header is instead of bytes in so many dimensions; nothing where it is that."""
    if len(head) < 4 + 4 * ndim:
        return f"only {len(head)} bytes"
    if head[:4] == bytes([ndim, 8, 0, 0]):
        return "it in little-endian order"
    if head[:2] != b"\0\0" or head[2] not in TYPES:
        return f"{head[:4].hex(' ')}, which is no idx file"
    if head[2] != 0x08:
        return f"values of type {TYPES[head[2]]}"
    if head[3] != ndim:
        other = next((what for what, n in DIMENSIONS.items() if n == head[3]), None)
        return f"{head[3]} dimensions" + (f": {other}" if other else "")
    return ""


# --------------------------------------------------------------------------------------------------
# npz
# --------------------------------------------------------------------------------------------------


def _keras_files(tree: Tree) -> list[str]:
    """The ``.npz`` that hold what Keras calls MNIST, or are called so and cannot be read."""
    names = array_names(tree, (".npz",))
    if unless_outnumbered(names, tree, "") is None:
        return []
    return [name for name in names[:MOST_LOOKS] if _is_keras(tree, name)]


def _is_keras(tree: Tree, name: str) -> bool:
    try:
        shapes: dict[str, Any] = {a.key: (a.shape, a.dtype) for a in stored_arrays(tree, name)}
    except InputError:
        return "mnist" in name.lower()
    shape, dtype = shapes.get("x_train", ((), None))
    return dtype == np.uint8 and shape[1:] in ((28, 28), (28, 28, 1))


def _read_keras(tree: Tree, why: str) -> Listing:
    where = tree.where
    names = array_names(tree, (".npz",))
    if len(names) > 1:
        names = _keras_files(tree) or names
    if not names:
        raise InputError(
            f"Expected MNIST (train-images-idx3-ubyte, packed or not, or mnist.npz) at {where!r}, "
            "found neither. Give the folder or the file that holds it."
        )
    if len(names) > 1:
        raise InputError(
            f"{where} holds {len(names)} files like MNIST's: {', '.join(map(spelt, names[:5]))}. "
            f"Give one of them: --data {tree.path(names[0])}"
        )
    entries = [e for e in array_entries(tree, names[0]) if e.stored.key in KERAS]
    images = [e.stored for e in entries if e.stored.key.startswith("x")]
    where = str(tree.path(names[0]))
    if not images:
        raise InputError(
            f"{where}: expected the arrays {', '.join(KERAS)}, found none of the images. Give it as "
            f"arrays:{where} to have other names understood."
        )
    for image in images:
        if image.dtype != np.uint8:
            raise InputError(
                f"{image.where}: expected uint8 pictures (n, h, w), found {image.dtype} "
                f"{image.shape}. Give it as arrays:{where}, which reads other values too."
            )
    listing = list_entries(tree, entries, "mnist", why)
    counts = {e.split: e.stored.shape[0] for e in entries if e.stored in images}
    notices = list(listing.notices)
    if not listing.columns and not listing.attribute_names:
        notices.append(f"no labels in {where}")
    ids = number_rows(sorted(counts), [counts[split] for split in sorted(counts)], 5)
    return replace(listing, ids=ids, notices=notices)
