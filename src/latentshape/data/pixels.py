"""From pictures of any size and mode to an array of squares, on every core.

Each picture is decoded, cropped and scaled (:func:`as_square`); blocks of them go to threads, or to
processes when there are enough to pay for their start, and are written straight into one array on
disk. What cannot be read is left out, counted and named.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentshape.data.crops import NAMES, crop_box
from latentshape.data.listing import DIGEST_BYTES, Content, Pictures
from latentshape.images import Decoded, decode_image, resize, to_grey
from latentshape.processes import side_by_side
from latentshape.progress import bar

__all__ = ["DecodeReport", "as_square", "decode_into", "digests_of", "in_blocks"]

BLOCK = 256
#: From so many pictures on, worker processes are worth the seconds that starting them takes: they
#: scale with the cores where threads wait for one interpreter.
PROCESSES_FROM = 20_000
#: Sizes and modes that are listed one by one.
MOST_LISTED = 20


@dataclass
class DecodeReport:
    """What happened while pictures became pixels.

    Attributes:
        unreadable: Reason by row.
        converted: How many pictures needed which conversion.
        sizes: How many pictures by ``width x height``.
        modes: How many pictures by mode of their file.
    """

    unreadable: dict[int, str] = field(default_factory=dict)
    converted: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)

    def add(self, other: DecodeReport) -> None:
        """Add what another block of rows reports."""
        self.unreadable |= other.unreadable
        for mine, theirs in (
            (self.converted, other.converted),
            (self.sizes, other.sizes),
            (self.modes, other.modes),
        ):
            mine.update(theirs)


def as_square(
    content: Content, size: int, channels: int, crop: str, box: np.ndarray | None = None
) -> tuple[np.ndarray, Decoded]:
    """One picture as (size, size, channels) uint8, and the decoded whole it was cut from.

    Crop first, then scale, as published pipelines do: no pixel outside the box has a say.

    Args:
        content: A file's bytes, or pixels (h, w, 1 or 3).
        size: Side of the square.
        channels: 3 or 1.
        crop: A name in ``crops.NAMES`` but ``auto``.
        box: Of this picture, for crop ``box``.

    Raises:
        Exception: The content is one itself, or cannot be decoded; Pillow's errors have no common
            base below this.
    """
    if isinstance(content, Exception):
        raise content
    if isinstance(content, bytes):
        picture = decode_image(content, channels)
    else:
        picture = Decoded(content, "RGB" if content.shape[2] == 3 else "L", ())
        if content.shape[2] != channels:
            pixels = to_grey(content) if channels == 1 else content.repeat(3, axis=2)
            picture = Decoded(pixels, picture.mode, ("grey",) if channels == 3 else ())
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = crop_box(crop, width, height, box)
    return resize(picture.pixels[top:bottom, left:right], size), picture


def decode_into(
    pixels: np.memmap, pictures: Pictures, crop: str | np.ndarray, boxes: np.ndarray | None
) -> DecodeReport:
    """Fill row i of an array on disk with picture i; rows of what cannot be read stay as they are.

    Args:
        pixels: (n, size, size, c) uint8, mapped from a file.
        pictures: n of them.
        crop: A name in ``crops.NAMES`` but ``auto``, or (n,) positions there.
        boxes: (n, 4) for crop ``box``, or None.
    """
    path = str(pixels.filename)

    def task(rows: np.ndarray) -> tuple[Any, ...]:
        own = crop if isinstance(crop, str) else crop[rows]
        return pictures.take(rows), own, None if boxes is None else boxes[rows], path, int(rows[0])

    report = DecodeReport()
    with bar(len(pictures), "decoding") as progress:
        for done, part in in_blocks(_decode_block, task, len(pictures)):
            report.add(part)
            progress.update(done)
    return report


def _decode_block(
    pictures: Pictures, crop: str | np.ndarray, boxes: np.ndarray | None, path: str, start: int
) -> tuple[int, DecodeReport]:
    """Decode some pictures into rows ``start`` and on of the array at ``path``."""
    pixels = np.load(path, mmap_mode="r+")
    size, channels = pixels.shape[1], pixels.shape[3]
    report = DecodeReport()
    for i, content in enumerate(pictures.contents(size)):
        try:
            name = crop if isinstance(crop, str) else NAMES[crop[i]]
            box = None if boxes is None else boxes[i]
            square, picture = as_square(content, size, channels, name, box)
        except MemoryError:  # says something of this machine, nothing of the file
            raise
        # Damaged files make Pillow raise nearly anything; every one is counted and named.
        except Exception as error:
            words = str(error) if not isinstance(error, OSError) else error.strerror or str(error)
            report.unreadable[start + i] = f"{type(error).__name__}: {words}"[:200]
            continue
        pixels[start + i] = square
        height, width = picture.pixels.shape[:2]
        report.sizes[f"{width}x{height}"] += 1
        report.modes[picture.mode] += 1
        report.converted.update(picture.notes)
    return len(pictures), report


def digests_of(pictures: Pictures) -> np.ndarray:
    """Hash of each picture's content, (n, 16) uint8; zeros where it cannot be read."""
    hashes = np.zeros((len(pictures), DIGEST_BYTES), dtype=np.uint8)
    with bar(len(pictures), "hashing") as progress:
        start = 0
        for done, part in in_blocks(
            _digest_block, lambda rows: (pictures.take(rows),), len(hashes)
        ):
            hashes[start : start + done] = part
            start += done
            progress.update(done)
    return hashes


def _digest_block(pictures: Pictures) -> tuple[int, np.ndarray]:
    return len(pictures), pictures.digests()


def in_blocks(
    work: Callable[..., tuple[int, Any]], task: Callable[[np.ndarray], tuple[Any, ...]], n: int
) -> Iterator[tuple[int, Any]]:
    """``work(*task(rows))`` over blocks of all ``n`` rows, on every core.

    Args:
        work: A function of a module; returns how many rows it did, and what came of them.
        task: Makes its arguments, small enough to be sent to another process.
        n: Rows in all.

    Yields:
        What ``work`` returned, in the order of the rows, memory bounded by a few blocks.
    """
    from joblib import delayed

    backend = "loky" if n >= PROCESSES_FROM and (os.cpu_count() or 1) > 1 else "threading"
    blocks = (np.arange(i, min(i + BLOCK, n)) for i in range(0, n, BLOCK))
    calls = (delayed(work)(*task(rows)) for rows in blocks)
    return side_by_side(calls, n_jobs=os.cpu_count(), backend=backend, return_as="generator")
