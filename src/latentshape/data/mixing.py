"""Several datasets as one, with a column that says which image came from where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from latentshape.data.crops import NAMES
from latentshape.data.listing import Content, Listing, Pictures, rows_by_part
from latentshape.data.splits import UNKNOWN

__all__ = ["MixedPictures", "mix"]


class MixedPictures(Pictures):
    """The pictures of several collections, one after the other."""

    def __init__(self, parts: Sequence[Pictures]) -> None:
        self.parts = list(parts)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def take(self, rows: np.ndarray) -> MixedPictures:
        found = rows_by_part(rows, map(len, self.parts))
        return MixedPictures([self.parts[part].take(own) for part, own in found])

    def contents(self, size: int) -> Iterator[Content]:
        for part in self.parts:
            yield from part.contents(size)

    def stamps(self) -> Iterator[bytes] | None:
        stamps = [part.stamps() for part in self.parts]
        if any(of_part is None for of_part in stamps):
            return None
        return (stamp for of_part in stamps if of_part is not None for stamp in of_part)

    def digests(self) -> np.ndarray:
        return np.concatenate([part.digests() for part in self.parts])


def mix(listings: Sequence[Listing], weights: Sequence[float]) -> Listing:
    """One listing of all pictures, ids led by the name of their source.

    A source that lacks an attribute or a column has it unknown. ``columns["source"]`` counts into
    ``sources``.

    Args:
        listings: At least two, each with its split completed.
        weights: How often an epoch of training shows each picture of a source: 2 is twice, 0.5
            a random half of them each time, 0 never.
    """
    sources = _names([listing.kind for listing in listings])
    sizes = [len(listing.ids) for listing in listings]
    source = np.repeat(np.arange(len(listings)), sizes)
    names = list(dict.fromkeys(n for listing in listings for n in listing.attribute_names))
    attributes = np.zeros((len(source), len(names)), dtype=np.int8)
    for i, listing in enumerate(listings):
        if listing.attributes is not None:
            own = [names.index(name) for name in listing.attribute_names]
            attributes[np.ix_(source == i, own)] = listing.attributes
    notices = [f"{name}: {n}" for name, each in zip(sources, listings) for n in each.notices]
    columns: dict[str, np.ndarray] = {"source": source.astype(np.int64)}
    for name in dict.fromkeys(n for listing in listings for n in listing.columns):
        if name in columns:
            notices.append(f"a column {name!r} would hide which source is whose: left out")
            continue
        parts = [each.columns.get(name) for each in listings]
        if name in ("label", "identity") and sum(part is not None for part in parts) > 1:
            parts = _numbered_on(parts)
            notices.append(f"{name!r} is numbered on from source to source: 1 here is not 1 there")
        joined = _join(parts, sizes)
        if joined is None:
            notices.append(f"the column {name!r} differs in shape between the sources: left out")
        else:
            columns[name] = joined
    crops = {str(each.crop) for each in listings}
    each_crop = np.array([NAMES.index(str(each.crop)) for each in listings], dtype=np.uint8)
    splits = [
        np.full(n, UNKNOWN) if each.split is None else each.split
        for each, n in zip(listings, sizes)
    ]
    return Listing(
        kind="mixed",
        where=" + ".join(each.where for each in listings),
        why=" and ".join(f"{n} ({each.why})" for n, each in zip(sources, listings)),
        ids=[f"{name}/{i}" for name, each in zip(sources, listings) for i in each.ids],
        pictures=MixedPictures([each.pictures for each in listings]),
        split=np.concatenate(splits).astype(np.int8),
        attributes=attributes if names else None,
        attribute_names=tuple(names),
        columns=columns,
        boxes=_join([each.boxes for each in listings], sizes),
        crop=crops.pop() if len(crops) == 1 else each_crop[source],
        weights=np.repeat(np.asarray(weights, dtype=np.float64), sizes),
        sources=tuple(sources),
        notices=notices,
    )


def _numbered_on(parts: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
    """The same numbers, those of each source above those of the sources before; -1 stays unknown."""
    numbered: list[np.ndarray | None] = []
    start = 0
    for part in parts:
        numbered.append(None if part is None else np.where(part < 0, part, part + start))
        start += 0 if part is None else int(part.max(initial=-1)) + 1
    return numbered


def _names(kinds: Sequence[str]) -> list[str]:
    """A name for each source: its kind, with a number where it occurs again.

    >>> _names(["celeba", "folder", "folder"])
    ['celeba', 'folder', 'folder-2']
    """
    names: list[str] = []
    for kind in kinds:
        again = sum(name.split("-")[0] == kind for name in names)
        names.append(f"{kind}-{again + 1}" if again else kind)
    return names


def _join(parts: Sequence[np.ndarray | None], sizes: Sequence[int]) -> np.ndarray | None:
    """Columns one below the other, unknown where there is none; None if their shapes differ."""
    there = [part for part in parts if part is not None]
    if not there or len({part.shape[1:] for part in there}) > 1:
        return None
    dtype = np.result_type(*there)
    unknown = np.nan if dtype.kind == "f" else UNKNOWN
    return np.concatenate(
        [
            np.full((n, *there[0].shape[1:]), unknown, dtype)
            if part is None
            else part.astype(dtype)
            for part, n in zip(parts, sizes)
        ]
    )
