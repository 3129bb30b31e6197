"""What a dataset consists of, before any picture is opened.

A reader of a layout (`celeba`, `mnist`, `parquet`, `arrays`, `folder`, `faces`) turns a path into a
:class:`Listing`: names, splits, attributes, and :class:`Pictures`, which knows how to fetch the
pictures from wherever they lie. Nothing after that knows which layout it was.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from latentshape.data.trees import Tree

__all__ = [
    "DIGEST_BYTES",
    "Content",
    "FilePictures",
    "Listing",
    "Pictures",
    "rows_by_part",
    "spelt",
]

DIGEST_BYTES = 16

#: An image file's bytes, or pixels (h, w, c) uint8, or why there are neither.
Content = bytes | np.ndarray | Exception


class Pictures(ABC):
    """Where the pictures of a listing lie: an ordered collection that is read, never held.

    Instances are small and can be sent to worker processes.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, rows: np.ndarray) -> Pictures:
        """The pictures of these rows (ascending int64), as a collection of its own."""

    @abstractmethod
    def contents(self, size: int) -> Iterator[Content]:
        """Every picture in order; an exception in the place of one that cannot be fetched.

        Args:
            size: The side at which they will be used: pictures that are drawn are drawn so large,
                all others come as they are.
        """

    def stamps(self) -> Iterator[bytes] | None:
        """A mark of each picture that changes whenever its content may have; None: always ask.

        Digests of contents are remembered under these marks, so that unchanged files are read once.
        """
        return None

    def digests(self) -> np.ndarray:
        """Hash of each picture's content, (n, 16) uint8; zeros where it cannot be fetched."""
        hashes = np.zeros((len(self), DIGEST_BYTES), dtype=np.uint8)
        for i, content in enumerate(self.contents(0)):
            if isinstance(content, Exception):
                continue
            digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
            if isinstance(content, np.ndarray):
                digest.update(repr(content.shape).encode() + content.tobytes())
            else:
                digest.update(content)
            hashes[i] = np.frombuffer(digest.digest(), dtype=np.uint8)
        return hashes


def rows_by_part(rows: np.ndarray, counts: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Which part each row lies in, where parts of these sizes follow one another.

    Args:
        rows: Ascending row numbers of the whole.
        counts: Rows of each part.

    Yields:
        The number of a part and its own row numbers, for parts that have any.

    Example:
        >>> [(part, own.tolist()) for part, own in rows_by_part(np.array([1, 2, 5]), [2, 2, 3])]
        [(0, [1]), (1, [0]), (2, [1])]
    """
    start = 0
    for part, count in enumerate(counts):
        low, high = np.searchsorted(rows, [start, start + count])
        if high > low:
            yield part, rows[low:high] - start
        start += count


class FilePictures(Pictures):
    """Image files of a folder or an archive."""

    def __init__(self, tree: Tree, names: Sequence[str]) -> None:
        self.tree, self.names = tree, list(names)

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: np.ndarray) -> FilePictures:
        return FilePictures(self.tree, [self.names[i] for i in rows])

    def contents(self, size: int) -> Iterator[Content]:
        for name in self.names:
            try:
                yield self.tree.read(name)
            except OSError as error:
                yield error

    def stamps(self) -> Iterator[bytes]:
        return self.tree.stamps(self.names)


@dataclass(frozen=True)
class Listing:
    """Everything known about a dataset before its pictures are opened.

    Attributes:
        kind: Which reader made it.
        where: The path, as a message names it.
        why: By what it was recognised, as the end of the sentence "read as KIND, because ...".
        ids: One name per picture, stable across machines.
        pictures: The pictures themselves.
        split: Codes (n,) int8 into ``SPLITS``, -1 where unknown; None without a partition.
        attributes: (n, k) int8 of -1 and 1, 0 where unknown; None without any.
        attribute_names: The k names.
        columns: Further facts, each (n, ...): ``identity`` and ``label`` int64 (-1 unknown),
            ``landmarks`` (n, 5, 2) float32 in pixels of the original (NaN unknown), ``factors``, ...
        sources: Names of the datasets that were mixed; ``columns["source"]`` counts into them.
        boxes: (n, 4) float64 of x, y, width, height: what of each picture crop ``box`` cuts out,
            NaN where unknown; None without any.
        crop: The crop that ``auto`` means here; or, where pictures differ, (n,) positions in
            ``crops.NAMES``.
        weights: (n,) how often a training epoch shows each picture; None: once.
        notices: What a user should know about how this was read.
    """

    kind: str
    where: str
    why: str
    ids: list[str]
    pictures: Pictures
    split: np.ndarray | None = None
    attributes: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    boxes: np.ndarray | None = None
    crop: str | np.ndarray = "square"
    weights: np.ndarray | None = None
    sources: tuple[str, ...] = ()
    notices: list[str] = field(default_factory=list)


def spelt(name: str) -> str:
    r"""A file's name as an id: bytes that are no text are spelt out, since every id is stored.

    Example:
        >>> spelt("caf\udce9.jpg")
        'caf\\xe9.jpg'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
