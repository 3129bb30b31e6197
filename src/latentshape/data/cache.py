"""Decode once: images become a uint8 memory map, keyed by their content and the options.

Decoding JPEGs costs more than reading pixels, and training reads every image dozens of times. So the
first use of a dataset decodes it into ``pixels.npy`` (n, size, size, c) in the cache folder
(``$LATENTSHAPE_CACHE``, else ``~/.cache/latentshape``); every later use maps that file. The key is a
hash of all files' bytes and of crop, size and channels: the same images in another folder share an
entry, and a changed image never meets stale pixels. An entry is built under a temporary name and
renamed when it is whole, so a killed build leaves nothing that could be mistaken for data.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from latentshape.data.celeba import crop_box
from latentshape.data.folder import Listing
from latentshape.errors import InputError
from latentshape.files import atomic_path, read_json, write_json
from latentshape.images import open_image
from latentshape.progress import bar

__all__ = ["CacheEntry", "build_entry", "cache_folder", "decoded"]

#: Part of every key; raise it when the same options begin to mean other pixels.
FORMAT = 2
#: More unreadable files than this share of a dataset, and it is refused rather than thinned out.
MAX_UNREADABLE = 0.05

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class CacheEntry:
    """Pixels on disk and the facts about how they came there.

    Attributes:
        key: Hash of content and options.
        pixels: Memory map (n, size, size, c), uint8.
        facts: ``kept`` (rows of the listing), ``converted`` (counts), ``unreadable`` (id: reason).
    """

    key: str
    pixels: np.ndarray
    facts: dict[str, Any]


def cache_folder() -> Path:
    """Where decoded images are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LATENTSHAPE_CACHE") or Path(base) / "latentshape")


def build_entry(
    key: str,
    shape: tuple[int, ...],
    fill: Callable[[np.ndarray], dict[str, Any]],
) -> CacheEntry:
    """The entry of this key, made by ``fill`` if it is not there yet.

    Args:
        key: Names the folder.
        shape: (n, size, size, c) of the pixels at most; ``fill`` returns ``rows`` when it used fewer.
        fill: Writes into the array it is given and returns the facts to keep.

    Raises:
        InputError: The disk has no room; nothing is left behind.
    """
    folder = cache_folder() / key
    there = os.path.lexists(folder)  # asked first: another process may bring it at any moment
    entry = _stored(folder)
    if entry is not None:
        return entry
    if there:  # damaged: half deleted, or on a disk that lost a part of it
        shutil.rmtree(folder, ignore_errors=True)
    building = folder.with_name(f".{key}-{secrets.token_hex(8)}")
    try:
        _make_room(building, int(np.prod(shape, dtype=np.int64)))
        pixels = np.lib.format.open_memmap(
            building / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape
        )
        _reserve(building / "pixels.npy")
        facts = fill(pixels)
        pixels.flush()
        del pixels
        write_json(building / "facts.json", facts)
        # When another process finished the same entry first, the folder is there: its bytes are ours.
        with contextlib.suppress(OSError):
            building.rename(folder)
        entry = _stored(folder)
    except OSError as error:
        raise InputError(
            f"Cannot keep decoded images in {folder.parent}: {error.strerror or error}. Mend that, "
            "or set LATENTSHAPE_CACHE to a folder with room in which you may write."
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    if entry is None:
        raise InputError(
            f"The cache entry {folder} is damaged and cannot be replaced. Remove that folder, or "
            "set LATENTSHAPE_CACHE to another one."
        )
    return entry


def _stored(folder: Path) -> CacheEntry | None:
    """The entry in this folder; None when there is none, or none that is whole."""
    try:
        facts = read_json(folder / "facts.json")
        stored = np.load(folder / "pixels.npy", mmap_mode="r")
        return CacheEntry(folder.name, stored[: facts.get("rows", len(stored))], facts)
    except (OSError, ValueError, EOFError, AttributeError):
        return None


def _make_room(building: Path, need: int) -> None:
    """Make the folder to build in, if the disk can hold what comes."""
    building.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(building.parent).free
    if need * 1.05 > free:
        raise InputError(
            f"Decoded images need {need / 1e9:.2f} GB in {building.parent}, which has "
            f"{free / 1e9:.2f} GB free. Make room, or set LATENTSHAPE_CACHE to another disk."
        )
    building.mkdir()


def _reserve(path: Path) -> None:
    """Take the disk space now: a full disk is an error here, but kills a process that writes a map."""
    if not hasattr(os, "posix_fallocate"):
        return
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise


def decoded(listing: Listing, size: int, channels: int, crop: str) -> CacheEntry:
    """Pixels of every readable image of a listing, from the cache or decoded now.

    Raises:
        InputError: More than 5 % of the files are unreadable (the first are named), or none is left.
    """
    if crop == "auto":
        crop = "centre-140" if listing.kind == "celeba" else "square"
    options = {"format": FORMAT, "size": size, "channels": channels, "crop": crop}
    content = _content_digest(listing)
    key = hashlib.blake2b(json.dumps([options, content]).encode(), digest_size=12).hexdigest()

    def fill(pixels: np.ndarray) -> dict[str, Any]:
        facts = _decode_into(pixels, listing, size, channels, crop)
        return {"options": options, "source": str(listing.root), **facts}

    entry = build_entry(key, (len(listing.paths), size, size, channels), fill)
    _refuse_if_unreadable(listing, entry.facts["unreadable"])
    return entry


def _refuse_if_unreadable(listing: Listing, unreadable: dict[str, str]) -> None:
    total = len(listing.paths)
    if len(unreadable) > MAX_UNREADABLE * total or len(unreadable) == total:
        examples = "; ".join(f"{i}: {why}" for i, why in list(unreadable.items())[:3])
        raise InputError(
            f"{len(unreadable)} of {total} images in {listing.root} cannot be read ({examples}). "
            f"At most {MAX_UNREADABLE:.0%} may be broken: the copy looks damaged, fetch it again."
        )


def _decode_into(
    pixels: np.ndarray, listing: Listing, size: int, channels: int, crop: str
) -> dict[str, Any]:
    """Fill rows in the listing's order, leaving out what cannot be read."""

    def decode(path: Path) -> tuple[np.ndarray | None, list[str]]:
        try:
            image, notes = open_image(path, channels)
            small = cut_square(image, crop_box(crop, *image.size), size)
        # Damaged files make Pillow raise nearly anything; every one is counted and named below.
        except Exception as error:
            words = str(error) if not isinstance(error, OSError) else error.strerror or str(error)
            return None, [f"{type(error).__name__}: {words}"[:200]]
        return np.asarray(small).reshape(size, size, channels), notes

    kept: list[int] = []
    unreadable: dict[str, str] = {}
    converted = Counter[str]()
    with bar(len(listing.paths), "decoding") as progress:
        for i, (picture, notes) in enumerate(_in_order(decode, listing.paths)):
            progress.update()
            if picture is None:
                unreadable[listing.ids[i]] = notes[0]
                continue
            pixels[len(kept)] = picture
            kept.append(i)
            converted.update(notes)
    return {
        "rows": len(kept),
        "kept": kept,
        "converted": dict(converted),
        "unreadable": unreadable,
    }


def cut_square(
    image: Image.Image, box: tuple[float, float, float, float], size: int
) -> Image.Image:
    """Crop, then resize, as published pipelines do: no pixel outside the box has a say.

    ``resize(box=...)`` alone would let the filter reach over the edge of the box.
    """
    left, top = math.floor(box[0]), math.floor(box[1])
    cut = image.crop((left, top, math.ceil(box[2]), math.ceil(box[3])))
    inside = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    return cut.resize((size, size), Image.Resampling.BILINEAR, box=inside)


def _in_order(work: Callable[[T], R], items: Sequence[T], block: int = 512) -> Iterator[R]:
    """``work`` over all items on every core, results in order, memory bounded by a block.

    Threads, not processes: Pillow and hashlib release the interpreter lock, so threads scale, and
    they need no guarded main module and no copies between processes.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), block):
            yield from pool.map(work, items[start : start + block], chunksize=16)


def _content_digest(listing: Listing) -> str:
    """Hash of every file's name and bytes; remembered under paths, sizes and times.

    Reading all bytes of a large dataset takes a while, so the digest is stored under a signature of
    what ``stat`` says (path, size, times of modification and change) and found again by it. The path
    is in it because archives give equal times to unequal files; the time of change, because nobody
    can set it back.
    """
    signature = hashlib.blake2b(digest_size=16)
    for name, path in zip(listing.ids, listing.paths):
        with contextlib.suppress(OSError):  # a dangling link is found, and counted, when decoded
            stat = path.stat()
            facts = f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0"
            signature.update(facts.encode() + os.fsencode(os.path.abspath(path)) + b"\n")
    remembered = cache_folder() / "listings" / signature.hexdigest()
    with contextlib.suppress(OSError):
        return remembered.read_text().strip()

    def digest(path: Path) -> bytes:
        try:
            return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
        except OSError:
            return b""

    total, readable = hashlib.blake2b(digest_size=16), True
    with bar(len(listing.paths), "hashing") as progress:
        for name, part in zip(listing.ids, _in_order(digest, listing.paths)):
            total.update(name.encode() + b"\0" + part)
            readable = readable and bool(part)
            progress.update()
    if readable:  # what cannot be read now may be readable tomorrow
        with contextlib.suppress(OSError), atomic_path(remembered) as temporary:
            temporary.write_text(total.hexdigest())
    return total.hexdigest()
