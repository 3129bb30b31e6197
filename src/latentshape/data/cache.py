"""Decode once: pictures become a uint8 memory map, keyed by their content and the options.

Decoding JPEGs costs more than reading pixels, and training reads every image dozens of times. So the
first use of a dataset decodes it into ``pixels.npy`` (n, size, size, c) in the cache folder
(``$LATENTSHAPE_CACHE``, else ``~/.cache/latentshape``); every later use maps that file. The key is a
hash of all pictures' contents and of crop, size and channels: the same images in another folder, or
zipped, share an entry, and a changed image never meets stale pixels. An entry is built under a
temporary name and renamed when it is whole, so a killed build leaves nothing that could be mistaken for
data; of several processes that want the same entry one builds and the others wait.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentshape.data.listing import DIGEST_BYTES, Listing
from latentshape.data.pixels import MOST_LISTED, decode_into, digests_of
from latentshape.errors import InputError
from latentshape.files import alone, atomic_path, read_json, write_json

__all__ = [
    "BROWSER",
    "NETWORKS",
    "NULLS",
    "CacheEntry",
    "build_entry",
    "cache_entries",
    "cache_folder",
    "clear_cache",
    "content_digests",
    "decoded",
    "refuse_if_unreadable",
]

#: Part of every key; raise it when the same options begin to mean other pixels.
FORMAT = 3
#: More unreadable files than this share of a dataset, and it is refused rather than thinned out.
MAX_UNREADABLE = 0.05
#: What an entry is called, finished or being built: nothing else in the folder is ever touched.
ENTRY_NAME = re.compile(r"[0-9a-f]{24}|\.[0-9a-f]{24}-[0-9a-f]{16}")
#: Folders beside the entries: digests of contents, locks, simulated laws of test statistics, networks,
#: and what browsers need to decode.
DIGESTS, LOCKS, NULLS, NETWORKS = "digests", "locks", "nulls", "networks"
BROWSER = "onnxruntime-web"


@dataclass(frozen=True)
class CacheEntry:
    """Pixels on disk and the facts about how they came there.

    Attributes:
        key: Hash of content and options.
        pixels: Memory map (n, size, size, c), uint8.
        facts: ``options``, ``source``, ``rows`` (n), ``dropped`` (rows of the listing left out),
            ``unreadable`` (reason by id), ``converted``, ``sizes`` and ``modes`` (counts).
    """

    key: str
    pixels: np.ndarray
    facts: dict[str, Any]

    def kept(self, n: int) -> np.ndarray:
        """Rows of the listing of n pictures that the pixels are of."""
        return np.delete(np.arange(n), self.facts["dropped"])


def cache_folder() -> Path:
    """Where decoded images are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LATENTSHAPE_CACHE") or Path(base) / "latentshape")


def build_entry(
    key: str,
    shape: tuple[int, ...],
    fill: Callable[[np.memmap], dict[str, Any]],
) -> CacheEntry:
    """The entry of this key, made by ``fill`` if it is not there yet.

    Args:
        key: Names the folder.
        shape: (n, size, size, c) of the pixels; ``fill`` may use fewer rows.
        fill: Writes into the array it is given and returns the facts to keep, ``rows`` among them.

    Raises:
        InputError: The disk has no room; nothing is left behind.
    """
    folder = cache_folder() / key
    entry = _stored(folder)
    if entry is not None:
        with contextlib.suppress(OSError):
            os.utime(folder)  # when it was last used
        return entry
    try:
        with _alone(key):
            entry = _stored(folder) or _build(folder, shape, fill)
    except OSError as error:
        raise InputError(
            f"Cannot keep decoded images in {folder.parent}: {error.strerror or error}. Mend that, "
            "or set LATENTSHAPE_CACHE to a folder with room in which you may write."
        ) from error
    if entry is None:
        raise InputError(
            f"The cache entry {folder} is damaged and cannot be replaced. Remove that folder, or "
            "set LATENTSHAPE_CACHE to another one."
        )
    return entry


def _build(
    folder: Path, shape: tuple[int, ...], fill: Callable[[np.memmap], dict[str, Any]]
) -> CacheEntry | None:
    if os.path.lexists(folder):  # damaged: half deleted, or on a disk that lost a part of it
        shutil.rmtree(folder, ignore_errors=True)
    building = folder.with_name(f".{folder.name}-{secrets.token_hex(8)}")
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
        # Where processes cannot lock each other out, another may have finished it: its bytes are ours.
        with contextlib.suppress(OSError):
            building.rename(folder)
        return _stored(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextlib.contextmanager
def _alone(key: str) -> Iterator[None]:
    """While no other process builds this entry; what a killed build left of it is swept away.

    On a file system without locks everybody builds for himself, and the first to finish wins.
    """
    lock = cache_folder() / LOCKS / f"{key}.lock"
    waiting = "Another process is decoding these images: waiting for it."
    with alone(lock, waiting) as locked:
        if locked:
            for left in cache_folder().glob(f".{key}-*"):
                shutil.rmtree(left, ignore_errors=True)
        yield


def _stored(folder: Path) -> CacheEntry | None:
    """The entry in this folder; None when there is none, or none that is whole."""
    try:
        facts = read_json(folder / "facts.json")
        stored = np.load(folder / "pixels.npy", mmap_mode="r")
        whole = stored.dtype == np.uint8 and stored.ndim == 4 and len(stored) >= facts["rows"]
        return CacheEntry(folder.name, stored[: facts["rows"]], facts) if whole else None
    except (OSError, ValueError, EOFError, KeyError, TypeError):
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
    """Pixels of every readable picture of a listing, from the cache or decoded now.

    Args:
        listing: What to decode.
        size: Side of the squares in pixels.
        channels: 3 or 1.
        crop: A name in ``crops.NAMES``; ``auto`` is the listing's own.
    """
    cut = listing.crop if crop == "auto" else crop
    mixed = not isinstance(cut, str)
    boxes = listing.boxes if mixed or cut == "box" else None
    named = "each source's own" if mixed else cut
    options = {"format": FORMAT, "size": size, "channels": channels, "crop": named}
    content = hashlib.blake2b(json.dumps(options).encode(), digest_size=12)
    for name, digest in zip(listing.ids, content_digests(listing)):
        content.update(name.encode() + b"\0" + digest.tobytes())
    if mixed:
        content.update(np.asarray(cut, np.uint8).tobytes())
    if boxes is not None:
        content.update(np.asarray(boxes, np.float64).tobytes())

    def fill(pixels: np.memmap) -> dict[str, Any]:
        report = decode_into(pixels, listing.pictures, cut, boxes)
        dropped = sorted(report.unreadable)
        _close_up(pixels, dropped)
        return {
            "options": options,
            "source": listing.where,
            "rows": len(pixels) - len(dropped),
            "dropped": dropped,
            "unreadable": {listing.ids[row]: report.unreadable[row] for row in dropped},
            "converted": dict(report.converted),
            "sizes": dict(report.sizes.most_common(MOST_LISTED)),
            "modes": dict(report.modes.most_common(MOST_LISTED)),
        }

    return build_entry(content.hexdigest(), (len(listing.ids), size, size, channels), fill)


def refuse_if_unreadable(listing: Listing, unreadable: dict[str, str]) -> None:
    """Refuse a dataset rather than thin it out.

    Raises:
        InputError: More than 5 % of the files are unreadable (the first are named), or all.
    """
    total = len(listing.ids)
    if len(unreadable) > MAX_UNREADABLE * total or len(unreadable) == total:
        examples = "; ".join(f"{i}: {why}" for i, why in list(unreadable.items())[:3])
        raise InputError(
            f"{len(unreadable)} of {total} images in {listing.where} cannot be read ({examples}). "
            f"At most {MAX_UNREADABLE:.0%} may be broken: the copy looks damaged, fetch it again. "
            "latentshape data inspect lists them."
        )


def _close_up(pixels: np.ndarray, dropped: Sequence[int], block: int = 4096) -> None:
    """Move rows up into the gaps; a row never moves down, so none is overwritten before it moved."""
    if not dropped:
        return
    kept = np.delete(np.arange(len(pixels)), dropped)
    for start in range(dropped[0], len(kept), block):
        rows = kept[start : start + block]
        pixels[start : start + len(rows)] = pixels[rows]


def content_digests(listing: Listing) -> np.ndarray:
    """Hash of each picture's content, (n, 16) uint8, zeros where unreadable; remembered.

    Reading all bytes of a large dataset takes a while, so the digests are kept under a signature of
    what the disk says about the files (path, size, times of modification and change) and found again
    by it. The path is in it because archives give equal times to unequal files; the time of change,
    because nobody can set it back.
    """
    stamps = listing.pictures.stamps()
    if stamps is None:
        return digests_of(listing.pictures)
    signature = hashlib.blake2b(digest_size=16)
    for name, stamp in zip(listing.ids, stamps):
        signature.update(f"{len(stamp)}\0{name}\0".encode() + stamp)
    remembered = cache_folder() / DIGESTS / f"{signature.hexdigest()}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):
        digests = np.load(remembered, allow_pickle=False)
        if digests.shape == (len(listing.ids), DIGEST_BYTES) and digests.dtype == np.uint8:
            return digests
    digests = digests_of(listing.pictures)
    if digests.any(axis=1).all():  # what cannot be read now may be readable tomorrow
        with contextlib.suppress(OSError), atomic_path(remembered) as temporary:
            np.save(temporary, digests)
    return digests


# --------------------------------------------------------------------------------------------------
# The cache as a whole
# --------------------------------------------------------------------------------------------------


def cache_entries() -> list[dict[str, Any]]:
    """What is in the cache, last used first.

    Returns:
        For each entry ``key``, ``bytes``, ``used`` (seconds since 1970), and, unless it is ``damaged``,
        ``images``, ``source`` and ``options``. What a killed build left behind has ``damaged`` set.
    """
    folder = cache_folder()
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if not ENTRY_NAME.fullmatch(path.name) or not path.is_dir():
            continue  # whatever else lies there is not ours
        entry = _stored(path)
        facts: dict[str, Any] = {
            "key": path.name,
            "bytes": _size_of(path),
            "used": path.stat().st_mtime,
            "damaged": entry is None,
        }
        if entry is not None:
            facts |= {"images": len(entry.pixels), "source": entry.facts.get("source", "")}
            facts["options"] = entry.facts.get("options", {})
        found.append(facts)
    return sorted(found, key=lambda facts: -facts["used"])


def clear_cache(keys: Sequence[str] = ()) -> int:
    """Remove entries, and with all of them what is remembered beside; return the bytes now free.

    Args:
        keys: Which entries, by the beginning of their key; none: everything.

    Raises:
        InputError: A key fits no entry, or an entry cannot be removed.
    """
    folder, there = cache_folder(), [facts["key"] for facts in cache_entries()]
    chosen = there if not keys else []
    for key in keys:
        fitting = [name for name in there if name.startswith(key) and key]
        if not fitting:
            raise InputError(
                f"The cache has no entry {key!r}. latentshape data cache lists what is in {folder}."
            )
        chosen += fitting
    if not keys:
        chosen += [DIGESTS, LOCKS, NULLS, NETWORKS, BROWSER]
    freed = 0
    for name in dict.fromkeys(chosen):
        freed += _size_of(folder / name)
        try:
            if (folder / name).exists():
                shutil.rmtree(folder / name)
        except OSError as error:
            raise InputError(
                f"Cannot remove {folder / name}: {error.strerror}. Make it writable, or remove it "
                "by hand."
            ) from error
    return freed


def _size_of(folder: Path) -> int:
    """Bytes below a folder; what vanishes meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
