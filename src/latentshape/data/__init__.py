"""Datasets: from a short SPEC to pixels, ids, splits and attributes.

A SPEC is ``faces`` or ``faces:n=20000,seed=0`` (procedural faces, no download), or a path whose
layout is recognised, or ``kind:path`` to force one (``celeba:``, ``folder:``). The bare word
``celeba`` means the folder of that name below ``$LATENTSHAPE_DATA``.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentshape._checks import check_count
from latentshape.data.cache import CacheEntry, build_entry, decoded
from latentshape.data.celeba import CROPS, find_celeba, read_celeba
from latentshape.data.folder import read_folder
from latentshape.data.splits import SPLITS, complete_split
from latentshape.errors import InputError
from latentshape.progress import bar

__all__ = ["SPLITS", "Dataset", "absolute_spec", "open_dataset"]

READERS = {"celeba": read_celeba, "folder": read_folder}
DEFAULT_FACES = 12_000


@dataclass(frozen=True)
class Dataset:
    """Images at one size, with all that is known about each.

    Attributes:
        spec: What was asked for.
        kind: ``faces``, ``celeba`` or ``folder``.
        pixels: (n, size, size, c) uint8, a memory map.
        ids: (n,) names.
        split: (n,) int8 codes into :data:`SPLITS`.
        attributes: (n, k) int8 of -1 and 1 (0 unknown), or None.
        attribute_names: The k names.
        fingerprint: Hash of content, options, ids and split: equal fingerprints are equal pixels with
            the same images held out.
        notices: Sentences about how the data were read.
        converted: How many images needed which conversion.
        unreadable: Reason by id of the images left out.
    """

    spec: str
    kind: str
    pixels: np.ndarray
    ids: np.ndarray
    split: np.ndarray
    attributes: np.ndarray | None
    attribute_names: tuple[str, ...]
    fingerprint: str
    notices: tuple[str, ...] = ()
    converted: dict[str, int] | None = None
    unreadable: dict[str, str] | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def indices(self, split: str) -> np.ndarray:
        """Rows of one split, ascending."""
        return np.flatnonzero(self.split == SPLITS.index(split))

    def summary(self) -> dict[str, Any]:
        """The facts a run keeps about its data: ``dataset.json``."""
        counts = np.bincount(self.split, minlength=len(SPLITS))
        return {
            "spec": self.spec,
            "kind": self.kind,
            "fingerprint": self.fingerprint,
            "images": len(self),
            "splits": {name: int(count) for name, count in zip(SPLITS, counts)},
            "attribute_names": list(self.attribute_names),
            "notices": list(self.notices),
            "converted": self.converted or {},
            "unreadable": self.unreadable or {},
        }


def open_dataset(spec: str, *, size: int = 64, channels: int = 3, crop: str = "auto") -> Dataset:
    """Read, decode (once) and split a dataset.

    Args:
        spec: See the module's first lines.
        size: Side of the square images in pixels.
        channels: 3 or 1.
        crop: ``auto``, ``square`` or a key of ``celeba.CROPS``.

    Raises:
        InputError: Nothing there, not enough readable images, an unknown kind, option or crop.
    """
    if crop not in ("auto", "square", *CROPS):
        raise InputError(f"crop must be auto, square, {', '.join(CROPS)}; got {crop!r}.")
    check_count(size, name="size")
    if channels not in (1, 3):
        raise InputError(f"channels must be 3 (colour) or 1 (grey), got {channels!r}.")
    if not spec.strip():
        raise InputError("Expected --data faces, or the path of a folder of images; got nothing.")
    kind, _, rest = spec.partition(":")
    if kind == "faces":
        return _procedural(spec, rest, size, channels)
    if spec == "celeba" and not Path(spec).exists():
        kind, rest = "celeba", _celeba_home()
    if kind not in READERS or not rest:
        kind, rest = "", spec
    root = Path(os.path.expanduser(rest))
    if not kind:
        kind = "celeba" if find_celeba(root) else "folder"
    listing = READERS[kind](root)
    entry = decoded(listing, size, channels, crop)
    kept = np.array(entry.facts["kept"], dtype=np.int64)
    ids = np.array(listing.ids)[kept]
    split, notices = complete_split(
        ids.tolist(), None if listing.split is None else listing.split[kept]
    )
    fingerprint = hashlib.blake2b(entry.key.encode(), digest_size=12)
    # Which images are held out is part of what a run was trained on, as much as their pixels.
    fingerprint.update(split.tobytes() + "\n".join(ids.tolist()).encode("utf-8", "surrogateescape"))
    if listing.notices:
        notices = listing.notices + [n for n in notices if not n.startswith("no official")]
    return Dataset(
        spec=spec,
        kind=kind,
        pixels=entry.pixels,
        ids=ids,
        split=split,
        attributes=None if listing.attributes is None else listing.attributes[kept],
        attribute_names=listing.attribute_names,
        fingerprint=fingerprint.hexdigest(),
        notices=tuple(notices),
        converted=entry.facts["converted"],
        unreadable=entry.facts["unreadable"],
    )


def absolute_spec(spec: str) -> str:
    """The same SPEC with its path made absolute, so that a run folder works from anywhere."""
    kind, colon, rest = spec.partition(":")
    if kind == "faces" or not spec.strip() or (spec == "celeba" and not Path(spec).exists()):
        return spec
    if kind in READERS and rest:
        return kind + colon + os.path.abspath(os.path.expanduser(rest))
    return os.path.abspath(os.path.expanduser(spec))


def _celeba_home() -> str:
    base = os.environ.get("LATENTSHAPE_DATA")
    if not base:
        raise InputError(
            "Where is CelebA? Give --data PATH (the folder with img_align_celeba/), or set "
            "LATENTSHAPE_DATA to the folder that holds celeba/. Without it, try --data faces."
        )
    return str(Path(base) / "celeba")


def _procedural(spec: str, options: str, size: int, channels: int) -> Dataset:
    from latentshape.data import faces

    given = _face_options(options)
    n, seed = given["n"], given["seed"]
    # A few rendered faces are part of the key: a changed renderer never meets its old pixels.
    probe = faces.faces(np.arange(32), seed=seed, size=size).tobytes()
    key = hashlib.blake2b(repr((n, seed, size, channels)).encode() + probe, digest_size=12)

    def render(start: int) -> tuple[int, np.ndarray]:
        indices = np.arange(start, min(start + 256, n))
        return start, faces.faces(indices, seed=seed, size=size)

    def fill(pixels: np.ndarray) -> dict[str, Any]:
        with bar(n, "drawing faces") as progress, ThreadPoolExecutor(os.cpu_count()) as pool:
            for start, block in pool.map(render, range(0, n, 256)):
                pixels[start : start + len(block)] = block if channels == 3 else _grey(block)
                progress.update(len(block))
        return {"spec": spec}

    entry: CacheEntry = build_entry(key.hexdigest(), (n, size, size, channels), fill)
    ids = np.array([f"face-{seed}-{i:07d}" for i in range(n)])
    split, _ = complete_split(ids.tolist(), None)
    return Dataset(
        spec=spec,
        kind="faces",
        pixels=entry.pixels,
        ids=ids,
        split=split,
        attributes=faces.attributes_of(faces.draw_factors(np.arange(n), seed=seed)),
        attribute_names=tuple(faces.ATTRIBUTES),
        fingerprint=entry.key,
    )


def _face_options(text: str) -> dict[str, int]:
    options = {"n": DEFAULT_FACES, "seed": 0}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in options or not value.isdecimal() or (name == "n" and int(value) < 1):
            raise InputError(
                f"Expected faces:n=COUNT,seed=NUMBER, got {part!r} in 'faces:{text}'. "
                "Example: --data faces:n=20000,seed=1"
            )
        options[name] = int(value)
    return options


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Luma by the weights of ITU-R BT.601, as Pillow's mode L: (n, h, w, 3) to (n, h, w, 1)."""
    return (pixels @ np.array([0.299, 0.587, 0.114]) + 0.5).astype(np.uint8)[..., None]
