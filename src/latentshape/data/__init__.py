"""Datasets: from a short SPEC to pixels, ids, splits and attributes.

A SPEC is ``faces`` (procedural, no download), a path whose layout is recognised, or several of them
joined; `spec` has the grammar. Reading takes two steps: a reader of the layout makes a
:class:`~latentshape.data.listing.Listing` (what there is), and the `cache` makes its pictures squares
of one size, once.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from latentshape._checks import check_count
from latentshape.data import arrays, celeba, folder, mnist, parquet
from latentshape.data.cache import CacheEntry, decoded, refuse_if_unreadable
from latentshape.data.crops import NAMES as CROP_NAMES
from latentshape.data.listing import Listing
from latentshape.data.mixing import mix
from latentshape.data.procedural import read_faces
from latentshape.data.spec import KINDS, Source, absolute_spec, parse_spec
from latentshape.data.splits import SPLITS, check_split, complete_split
from latentshape.data.trees import Tree, open_tree, what_is_at
from latentshape.errors import InputError

__all__ = ["SPLITS", "Dataset", "absolute_spec", "list_dataset", "open_dataset"]


class Reader(NamedTuple):
    """A layout: by what a tree of files is recognised, and what is then in it."""

    find: Callable[[Tree], str | None]
    read: Callable[[Tree], Listing]


READERS: dict[str, Reader] = {
    "celeba": Reader(celeba.find_celeba, celeba.read_celeba),
    "mnist": Reader(mnist.find_mnist, mnist.read_mnist),
    "parquet": Reader(parquet.find_parquet, parquet.read_parquet),
    "arrays": Reader(arrays.find_arrays, arrays.read_arrays),
    "folder": Reader(folder.find_folder, folder.read_folder),
}


@dataclass(frozen=True)
class Dataset:
    """Images at one size, with all that is known about each.

    Attributes:
        spec: What was asked for.
        kind: ``faces``, ``mixed``, or the layout: ``celeba mnist parquet arrays folder``.
        pixels: (n, size, size, c) uint8, a memory map.
        ids: (n,) names.
        split: (n,) int8 codes into :data:`SPLITS`.
        attributes: (n, k) int8 of -1 and 1 (0 unknown), or None.
        attribute_names: The k names.
        fingerprint: Hash of content, options, ids and split: equal fingerprints are equal pixels with
            the same images held out.
        why: By what the layout was recognised.
        columns: Further facts about each image, such as ``identity`` (n,) or ``landmarks``
            (n, 5, 2); see `listing.Listing`.
        weights: (n,) how often an epoch of training shows each image; None: once.
        sources: Names of the mixed datasets; ``columns["source"]`` counts into them.
        notices: Sentences about how the data were read.
        facts: What decoding found: ``converted``, ``unreadable``, ``sizes``, ``modes``.
    """

    spec: str
    kind: str
    pixels: np.ndarray
    ids: np.ndarray
    split: np.ndarray
    attributes: np.ndarray | None
    attribute_names: tuple[str, ...]
    fingerprint: str
    why: str = ""
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    weights: np.ndarray | None = None
    sources: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

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
            "why": self.why,
            "fingerprint": self.fingerprint,
            "images": len(self),
            "splits": {name: int(count) for name, count in zip(SPLITS, counts)},
            "attribute_names": list(self.attribute_names),
            "columns": sorted(self.columns),
            "sources": self._per_source(),
            "notices": list(self.notices),
            **{
                key: self.facts.get(key, {})
                for key in ("converted", "unreadable", "sizes", "modes")
            },
        }

    def _per_source(self) -> list[dict[str, Any]]:
        found = []
        for i, name in enumerate(self.sources):
            rows = self.columns["source"] == i
            weight = 1.0 if self.weights is None or not rows.any() else self.weights[rows][0]
            found.append({"name": name, "images": int(rows.sum()), "weight": float(weight)})
        return found


def open_dataset(spec: str, *, size: int = 64, channels: int = 3, crop: str = "auto") -> Dataset:
    """Read, decode (once) and split a dataset.

    Args:
        spec: See `latentshape.data.spec`.
        size: Side of the square images in pixels.
        channels: 3 or 1.
        crop: A name in ``crops.NAMES``.

    Returns:
        The dataset: ``pixels`` (n, size, size, channels) uint8, ids, splits, attributes.

    Raises:
        InputError: Nothing there, not enough readable images, an unknown kind, option or crop.
    """
    check_pixels(size, channels, crop)
    listing = list_dataset(spec)
    entry = decoded(listing, size, channels, crop)
    refuse_if_unreadable(listing, entry.facts["unreadable"])
    dataset = assemble(spec, listing, entry)
    check_split(dataset.split)
    return dataset


def check_pixels(size: int, channels: int, crop: str) -> None:
    """Refuse what no picture can become.

    Raises:
        InputError: Naming the option and what it may be.
    """
    if crop not in CROP_NAMES:
        raise InputError(f"crop must be one of {', '.join(CROP_NAMES)}; got {crop!r}.")
    check_count(size, name="size")
    if channels not in (1, 3):
        raise InputError(f"channels must be 3 (colour) or 1 (grey), got {channels!r}.")


def list_dataset(spec: str) -> Listing:
    """What a SPEC consists of, its split complete, before any picture is decoded.

    Raises:
        InputError: Nothing there, or nothing that can be understood.
    """
    sources = parse_spec(spec)
    listings = []
    for source in sources:
        listing = _read(source)
        split, notices = complete_split(listing.ids, listing.split)
        notices = [*listing.notices, *notices]
        listings.append(dataclasses.replace(listing, split=split, notices=notices))
    if len(listings) == 1 and sources[0].weight == 1:
        return listings[0]
    return mix(listings, [source.weight for source in sources])


def assemble(spec: str, listing: Listing, entry: CacheEntry) -> Dataset:
    """A listing and its pixels as a dataset, without the rows that could not be read."""
    kept = entry.kept(len(listing.ids))
    ids, split = np.array(listing.ids)[kept], _rows(listing.split, kept)
    assert split is not None  # list_dataset completes it
    fingerprint = hashlib.blake2b(entry.key.encode(), digest_size=12)
    # Which images are held out is part of what a run was trained on, as much as their pixels.
    fingerprint.update(split.tobytes() + "\n".join(ids.tolist()).encode("utf-8", "surrogateescape"))
    return Dataset(
        spec=spec,
        kind=listing.kind,
        pixels=entry.pixels,
        ids=ids,
        split=split,
        attributes=_rows(listing.attributes, kept),
        attribute_names=listing.attribute_names,
        fingerprint=fingerprint.hexdigest(),
        why=listing.why,
        columns={name: column[kept] for name, column in listing.columns.items()},
        weights=_rows(listing.weights, kept),
        sources=listing.sources,
        notices=tuple(listing.notices),
        facts=entry.facts,
    )


def _rows(array: np.ndarray | None, kept: np.ndarray) -> np.ndarray | None:
    return None if array is None else array[kept]


def _read(source: Source) -> Listing:
    """The listing of one source, by the stated kind or the first that recognises it."""
    if source.kind == "faces":
        return read_faces(source.rest)
    tree = open_tree(Path(source.rest))
    if source.kind:
        return READERS[source.kind].read(tree)
    found = {kind: why for kind in KINDS if (why := READERS[kind].find(tree))}
    if not found:
        raise InputError(
            f"No images at {source.rest!r}: neither image files (.jpg, .png, ...), nor CelebA, MNIST, "
            f"arrays (.npy, .npz) or Parquet; found: {what_is_at(Path(source.rest))}. Point --data at "
            "what holds them (unpack .7z and .tar first), or use --data faces to try without any."
        )
    kind, *others = found
    listing = READERS[kind].read(tree)
    # What is one and the same: CelebA's images are image files too, Keras' MNIST an archive of arrays.
    same = {"celeba": ("folder",), "mnist": ("arrays",) if ".npz" in found[kind] else ()}
    others = [other for other in others if other not in same.get(kind, ())]
    notices = [
        f"{found[other]} lies there too and is not used: --data '{other}:{source.rest}' reads that"
        for other in others
    ]
    return dataclasses.replace(listing, notices=[*listing.notices, *notices])
