"""Arrays in ``.npy`` and ``.npz`` files, opened without trust.

A ``.npy`` on disk is mapped, never read as a whole. What is packed is unpacked into memory, once its
header, its size and the memory of this machine agree that it can be. Pickled objects are never opened:
they would execute whatever they say.
"""

from __future__ import annotations

import io
import math
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from latentshape.data.listing import spelt
from latentshape.data.trees import FolderTree, Tree
from latentshape.errors import InputError

__all__ = ["Mapped", "StoredArray", "stored_arrays"]

#: Values converted at once, and decompressed at once, in bytes.
BLOCK = 8 << 20
#: Of the memory of this machine, what unpacked arrays may take.
MEMORY_SHARE = 0.5
#: Arrays above this size that pack better than any picture does look like a decompression bomb.
SMALL, LARGEST_EXPANSION = 64 << 20, 200
#: More arrays in one file are single pictures, not arrays of pictures.
MOST_ARRAYS = 1000


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
