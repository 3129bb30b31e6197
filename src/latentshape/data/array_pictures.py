"""Pictures that are rows of an array: their values become 8-bit pixels when they are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from latentshape.data.listing import Content, Pictures, rows_by_part
from latentshape.data.stored_arrays import BLOCK, Mapped
from latentshape.data.trees import Tree

__all__ = ["ArrayPictures", "ImageArray"]


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
        for rows in blocks_of(len(self.rows), each):
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
        found = rows_by_part(np.asarray(rows, np.int64), (len(part.rows) for part in self.parts))
        return ArrayPictures([self.parts[part].take(own) for part, own in found])

    def contents(self, size: int) -> Iterator[Content]:
        """Every picture in order, (h, w, 1 or 3) uint8 at its own size."""
        for part in self.parts:
            yield from part.pixels()

    def stamps(self) -> Iterator[bytes]:
        """The stamp of each picture's file, with the picture's place in it."""
        return itertools.chain.from_iterable(part.stamps() for part in self.parts)


def blocks_of(n: int, each: int) -> Iterator[slice]:
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
