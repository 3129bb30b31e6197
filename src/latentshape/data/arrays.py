"""Pictures that are the rows of NumPy arrays: ``.npy`` and ``.npz``.

An array of images is (n, h, w), (n, h, w, c) or (n, c, h, w) with c of 1, 3 or 4, and its values have
no unit: bool, uint8 and uint16 say what white is, for all others the range they span decides (0 to 1
or 0 to 255). A ``.npy`` on disk is mapped, never read as a whole; what is packed is unpacked into
memory, once its header, its size and the memory of this machine agree that it can be.

In a ``.npz`` and beside a ``.npy`` names say what an array is: ``x_train y_train x_test y_test`` as
Keras writes them, ``train_images train_labels val_images ...`` as MedMNIST does, ``images labels
attributes attribute_names ids``, or ``train.npy val.npy test.npy`` for a file per split. Pickled
objects are never opened: they would execute whatever they say.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from PIL import Image

from latentshape.data.annotations import SPLIT_NAMES, Facts, as_attributes, sort_facts
from latentshape.data.listing import Content, Listing, Pictures, spelt
from latentshape.data.splits import SPLITS, UNKNOWN
from latentshape.data.trees import FolderTree, Tree
from latentshape.errors import InputError
from latentshape.images import IMAGE_SUFFIXES

__all__ = ["ArrayPictures", "ImageArray", "Mapped", "find_arrays", "read_arrays"]

CHANNELS = (1, 3, 4)
#: Narrower "pictures" (n, h, w) are something else: landmarks, or a single picture (h, w, 3).
NARROWEST = 5
#: Values converted at once, and decompressed at once, in bytes.
BLOCK = 8 << 20
#: Of the memory of this machine, what unpacked arrays may take.
MEMORY_SHARE = 0.5
#: Arrays above this size that pack better than any picture does look like a decompression bomb.
SMALL, LARGEST_EXPANSION = 64 << 20, 200
#: More arrays in one file are single pictures, not arrays of pictures.
MOST_ARRAYS = 1000
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
# Rows that become pixels
# --------------------------------------------------------------------------------------------------


class Mapped(NamedTuple):
    """Where an array's values lie in a file that is mapped when they are needed."""

    path: str
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    order: Any = "C"

    def open(self) -> np.ndarray:
        """The values (n, ...), read only.

        Raises:
            OSError, ValueError: The file is gone or has become shorter.
        """
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)


@dataclass(frozen=True)
class ImageArray:
    """Rows of one array of images as it was stored, and how they become pixels.

    Attributes:
        values: The rows (m, ...), or the file that has them among others.
        rows: (m,) int64, their numbers in the stored array.
        tree: Where the file lies, which tells whether it has changed.
        name: Its name there.
        key: Which of the file's arrays this is.
        factor: Takes stored values to 0..255; bool and uint8 need none.
        channels_first: Stored as (n, c, h, w).
        transposed: Stored with rows and columns of each picture exchanged.
    """

    values: np.ndarray | Mapped
    rows: np.ndarray
    tree: Tree
    name: str
    key: str = ""
    factor: float = 1.0
    channels_first: bool = False
    transposed: bool = False

    def take(self, rows: np.ndarray) -> ImageArray:
        """The rows at these ascending positions; of a mapped file only their numbers are kept."""
        if isinstance(self.values, Mapped):
            return replace(self, rows=self.rows[rows])
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:  # without copying them
            return replace(self, rows=self.rows[rows], values=self.values[rows[0] : rows[-1] + 1])
        return replace(self, rows=self.rows[rows], values=self.values[rows])

    def pixels(self) -> Iterator[Content]:
        """Each row as (h, w, 1 or 3) uint8, or the reason why the file no longer has it."""
        values = self.values
        if isinstance(values, Mapped):
            try:
                stored = values.open()
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                reason = OSError(f"{values.path} has changed since it was listed: {why}")
                yield from itertools.repeat(reason, len(self.rows))
                return
        else:
            stored = values
        each = max(1, stored[:1].nbytes)
        for rows in _blocks(len(self.rows), each):
            yield from self._as_pixels(
                stored[self.rows[rows]] if stored is not values else stored[rows]
            )

    def _as_pixels(self, block: np.ndarray) -> np.ndarray:
        if self.channels_first:
            block = np.moveaxis(block, 1, -1)
        if self.transposed:
            block = block.swapaxes(1, 2)
        if block.ndim == 3:
            block = block[..., None]
        block = _eight_bits(block, self.factor)
        return block if block.shape[-1] != 4 else np.stack([_over_white(p) for p in block])

    def stamps(self) -> Iterator[bytes]:
        """The file's own stamp, which array and row of it, and how it becomes pixels."""
        stamp = next(iter(self.tree.stamps([self.name])))
        how = f"\0{self.key}\0{self.factor!r}{self.channels_first}{self.transposed}\0"
        base = stamp + how.encode("utf-8", "backslashreplace")
        return (base + str(row).encode() if stamp else b"" for row in self.rows.tolist())


class ArrayPictures(Pictures):
    """The rows of one array of images, or of several one after the other.

    What lies in a mapped file is sent to workers as its path; what is in memory, as values.
    """

    def __init__(self, parts: Sequence[ImageArray]) -> None:
        self.parts = list(parts)

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self.parts)

    def take(self, rows: np.ndarray) -> ArrayPictures:
        """The pictures of these rows (ascending int64), of a mapped file by their numbers."""
        rows = np.asarray(rows, dtype=np.int64)
        taken, start = [], 0
        for part in self.parts:
            end = start + len(part.rows)
            low, high = np.searchsorted(rows, [start, end])
            if high > low:
                taken.append(part.take(rows[low:high] - start))
            start = end
        return ArrayPictures(taken)

    def contents(self, size: int) -> Iterator[Content]:
        """Every picture in order, (h, w, 1 or 3) uint8 at its own size."""
        for part in self.parts:
            yield from part.pixels()

    def stamps(self) -> Iterator[bytes]:
        """The stamp of each picture's file, with the picture's place in it."""
        return itertools.chain.from_iterable(part.stamps() for part in self.parts)


def _blocks(n: int, each: int) -> Iterator[slice]:
    step = max(1, BLOCK // each)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _eight_bits(values: np.ndarray, factor: float) -> np.ndarray:
    """Stored values as uint8.

    Example:
        >>> _eight_bits(np.array([0.0, 0.5, 1.0]), 255).tolist()
        [0, 128, 255]
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:  # whatever the byte that means true
        return np.where(values.view(np.uint8) != 0, np.uint8(255), np.uint8(0))
    with np.errstate(all="ignore"):  # the range was checked; a file may have changed since
        scaled = np.nan_to_num(values.astype(np.float64)) * factor
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _over_white(pixels: np.ndarray) -> np.ndarray:
    """RGBA (h, w, 4) as RGB, as `images.open_image` lays it over white."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


# --------------------------------------------------------------------------------------------------
# Arrays in files
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredArray:
    """An array in a file of which only the header was read.

    Attributes:
        name: The file.
        key: Its name in a ``.npz``; empty for a ``.npy``.
        where: Both, as a message names them.
        dtype: Of the values.
        shape: Of the array.
        order: ``C`` or ``F``.
        offset: Bytes before the values.
        packed: Bytes it takes in the archive.
        open: Opens the file or the member at its beginning.
        path: The file on disk in which the values lie as they are; None if they must be unpacked.
    """

    name: str
    key: str
    where: str
    dtype: np.dtype
    shape: tuple[int, ...]
    order: Any
    offset: int
    packed: int
    open: Callable[[], BinaryIO]
    path: str | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the values, by the header."""
        return math.prod(self.shape) * self.dtype.itemsize

    def values(self) -> np.ndarray | Mapped:
        """The values, mapped where that is possible.

        Raises:
            InputError: See `load`.
        """
        self._refuse_odd()
        if self.path is None:
            return self.load()
        return Mapped(self.path, self.dtype, self.offset, self.shape, self.order)

    def load(self) -> np.ndarray:
        """The values in memory.

        Raises:
            InputError: Pickled objects, other values than numbers and text, more than memory holds,
                or damage.
        """
        self._refuse_odd()
        refuse_too_large(self.nbytes, self.where)
        if self.nbytes > SMALL and self.nbytes > LARGEST_EXPANSION * self.packed:
            raise InputError(
                f"{self.where} claims {self.nbytes / 1e9:,.1f} GB in {self.packed / 1e6:,.1f} MB: no "
                "pictures pack so small, it looks like a decompression bomb and is not read. If you "
                "trust it, save the array as .npy and give that."
            )
        try:
            with self.open() as file:
                fill(file, np.empty(self.offset, np.uint8))
                content = np.empty(self.nbytes, np.uint8)
                fill(file, content)
                if file.read(1):  # reading on to the end also compares the checksum
                    raise ValueError("longer than its header says")
        # A damaged member can fail in any of zipfile's decompressors.
        except Exception as error:
            raise damaged(self.where, error) from error
        return content.view(self.dtype).reshape(self.shape, order=self.order)

    def _refuse_odd(self) -> None:
        if self.dtype.hasobject:
            raise InputError(
                f"{self.where} holds pickled Python objects, which are not opened since they can "
                "execute anything. Save plain arrays: np.save of numbers of one shape, or of text "
                "made by np.array(names, dtype=str)."
            )
        if self.dtype.kind not in "biufSU" or not self.dtype.itemsize:
            raise InputError(
                f"{self.where}: expected numbers or text, found values of type {self.dtype}. Save "
                "plain arrays of one number or text per element."
            )


def stored_arrays(tree: Tree, name: str) -> list[StoredArray]:
    """The arrays of one ``.npy`` or ``.npz``, their headers checked against their sizes.

    Raises:
        InputError: The file cannot be read, is damaged, or its headers lie.
    """
    where = str(tree.path(name))
    try:
        content = None if isinstance(tree, FolderTree) else tree.read(name)
        with open_file(tree, name, content) as file:
            size = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise damaged(where, error) from error
    if name.lower().endswith(".npy"):
        path = None if content is not None else os.path.abspath(tree.path(name))
        opener = lambda: open_file(tree, name, content)  # noqa: E731
        return [_stored(name, "", where, size, size, opener, path)]
    return list(_members(tree, name, where, content))


def _members(tree: Tree, name: str, where: str, content: bytes | None) -> Iterator[StoredArray]:
    try:
        with open_file(tree, name, content) as file, zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
    # Broken directories end in nearly anything.
    except Exception as error:
        raise damaged(where, error) from error
    if not members or len(members) > MOST_ARRAYS:
        raise InputError(
            f"{where}: expected an array of images, found {len(members):,} arrays. Stack the pictures "
            "into one of shape (n, h, w, c): np.savez(path, images=np.stack(pictures))."
        )
    for member in members:
        key = member.filename.removesuffix(".npy")
        packed = member.compress_size

        def opener(member: zipfile.ZipInfo = member) -> BinaryIO:
            return cast(BinaryIO, _Member(open_file(tree, name, content), member))

        yield _stored(name, key, f"{where} ({spelt(key)})", member.file_size, packed, opener)


class _Member(io.RawIOBase):
    """One member of an archive, which closes the archive with it."""

    def __init__(self, file: BinaryIO, member: zipfile.ZipInfo) -> None:
        self._file = file
        try:
            self._archive = zipfile.ZipFile(file)
            self._stream = self._archive.open(member)
        except BaseException:
            file.close()
            raise

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._archive.close()
            self._file.close()
        super().close()


def _stored(
    name: str,
    key: str,
    where: str,
    size: int,
    packed: int,
    opener: Callable[[], Any],
    path: str | None = None,
) -> StoredArray:
    """Read the header. numpy looks at its length only after reading it; here it gets no more."""
    try:
        with opener() as file:
            head = io.BytesIO(_read(file, 16 << 10))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that Python 2 wrote
            version = np.lib.format.read_magic(head)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(head)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(head)
    # A damaged header is parsed as Python source, and fails in as many ways.
    except Exception as error:
        raise damaged(where, error) from error
    offset, order = head.tell(), "F" if fortran else "C"
    stored = StoredArray(name, key, where, dtype, shape, order, offset, packed, opener, path)
    if any(side < 0 for side in shape):
        raise damaged(where, f"shape {shape}")
    if not dtype.hasobject and stored.nbytes != size - offset:
        raise InputError(
            f"{where}: its header says {shape} {dtype}, that is {stored.nbytes:,} bytes, but "
            f"{size - offset:,} follow. The copy is not whole: fetch or save it again."
        )
    return stored


def open_file(tree: Tree, name: str, content: bytes | None = None) -> BinaryIO:
    """A file of a folder as it lies there, else its content."""
    if content is None and isinstance(tree, FolderTree):
        return open(tree.path(name), "rb")
    return io.BytesIO(tree.read(name) if content is None else content)


def _read(file: Any, size: int) -> bytes:
    parts = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def fill(file: Any, into: np.ndarray) -> None:
    """Read bytes into a flat uint8 array until it is full.

    Raises:
        EOFError: The file ends before.
    """
    position = 0
    while position < len(into):
        part = file.read(min(BLOCK, len(into) - position))
        if not part:
            raise EOFError(f"expected {len(into):,} bytes, found {position:,}")
        into[position : position + len(part)] = np.frombuffer(part, np.uint8)
        position += len(part)


def damaged(where: str, why: Any) -> InputError:
    """The sentence about a file that cannot be what its name says."""
    if isinstance(why, Exception):
        why = getattr(why, "strerror", None) or str(why).partition("\n")[0] or type(why).__name__
    return InputError(
        f"{where} cannot be read: it is damaged or no such file ({str(why)[:200]}). Fetch or save it "
        "again."
    )


def refuse_too_large(nbytes: int, where: str) -> None:
    """Nothing is unpacked that memory cannot hold.

    Raises:
        InputError: It is more than half of this machine's memory.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return
    if nbytes > MEMORY_SHARE * memory:
        raise InputError(
            f"{where} would take {nbytes / 1e9:,.1f} GB unpacked, this machine has "
            f"{memory / 1e9:,.1f} GB of memory. Save the array as a .npy file of its own, which is "
            "read piece by piece."
        )


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
    return name_files(array_names(tree), tree, "arrays")


def array_names(tree: Tree, suffixes: tuple[str, ...] = (".npy", ".npz")) -> list[str]:
    """The files of ``tree`` that are arrays, by their suffix."""
    return [name for name in tree.names if name.lower().endswith(suffixes)]


def name_files(names: Sequence[str], tree: Tree, what: str) -> str | None:
    """``a.npy and 2 more arrays``; None without any, or where image files outnumber them."""
    images = sum(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for name in tree.names)
    if not names or images > len(names):
        return None
    more = f" and {len(names) - 1} more {what}" if len(names) > 1 else ""
    return spelt(names[0]) + more


def where_is(tree: Tree) -> str:
    """The path as a message names it: of the folder, the archive or the single file."""
    only = getattr(tree, "only", None)
    return str(tree.root if only is None else tree.path(only))


def read_arrays(tree: Tree) -> Listing:
    """Arrays of images with whatever labels, attributes and ids lie beside them.

    Raises:
        InputError: No array of images, several without names that say which is which, values outside
            of 0 to 1 and 0 to 255, pickled objects, arrays that do not belong together, or damage.
    """
    where = where_is(tree)
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
    where = where_is(tree)
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
        for rows in _blocks(len(array), max(1, array[:1].nbytes)):
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
        try:
            return sort_facts({"label": [text for part in texts for text in part]}, where)
        except OverflowError as error:
            raise _no_classes(where, "too large ones") from error
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
