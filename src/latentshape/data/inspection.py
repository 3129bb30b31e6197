"""What lies at a path, before anything is trained on it: ``latentshape data inspect SPEC``.

Everything is counted, nothing is refused: also a dataset that training would not take is described,
with the reason. Pictures are decoded into the cache on the way, where training finds them again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latentshape._checks import thinned
from latentshape.data import SPLITS, Dataset, assemble, check_pixels, list_dataset
from latentshape.data.cache import content_digests, decoded, refuse_if_unreadable
from latentshape.data.listing import Listing
from latentshape.data.splits import check_split
from latentshape.errors import InputError
from latentshape.images import grid

__all__ = ["contact_sheet", "inspect_dataset", "inspection_text"]

#: Pictures on a contact sheet, and examples in a list.
SHEET, EXAMPLES = 64, 5


def inspect_dataset(
    spec: str, *, size: int = 64, channels: int = 3, crop: str = "auto"
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Describe a dataset.

    Args:
        spec: See `latentshape.data.spec`.
        size: Side of the images on the contact sheet, as they would be trained on.
        channels: 3 or 1.
        crop: A name in ``crops.NAMES``.

    Returns:
        The facts, ready for JSON, and a contact sheet (H, W, c) uint8, None without any picture.
        Facts are those of ``dataset.json`` (``kind``, ``why``, ``images``, ``splits``, ``sizes``,
        ``modes``, ``converted``, ``unreadable``, ``notices``, ...), and ``listed`` (pictures found),
        ``crop``, ``attributes`` (``rate`` of yes among the known, overall and per split, and how many
        are ``unknown``), ``facts`` (a summary of each further column), ``duplicates``, ``unusable``
        (why training would refuse it; None if it would not).

    Raises:
        InputError: Nothing there, or nothing that can be understood.
    """
    check_pixels(size, channels, crop)
    listing = list_dataset(spec)
    entry = decoded(listing, size, channels, crop)
    dataset = assemble(spec, listing, entry)
    facts = dataset.summary()
    facts |= {
        "listed": len(listing.ids),
        "crop": entry.facts["options"]["crop"],
        "attributes": _attribute_rates(dataset),
        "facts": {name: _described(name, c) for name, c in dataset.columns.items()},
        "duplicates": _duplicates(listing),
        "unusable": _unusable(listing, dataset),
    }
    return facts, contact_sheet(dataset.pixels) if len(dataset) else None


def contact_sheet(pixels: np.ndarray, n: int = SHEET) -> np.ndarray:
    """Up to ``n`` pictures, evenly spaced through the dataset, in order, as one picture."""
    return grid(thinned(pixels, n), columns=max(1, round(np.sqrt(n))))


def _attribute_rates(dataset: Dataset) -> dict[str, dict[str, Any]]:
    rates: dict[str, dict[str, Any]] = {}
    for j, name in enumerate(dataset.attribute_names):
        assert dataset.attributes is not None
        answers = dataset.attributes[:, j]
        parts = {"all": answers}
        parts |= {split: answers[dataset.split == code] for code, split in enumerate(SPLITS)}
        rates[name] = {part: _rate(values) for part, values in parts.items()}
        rates[name]["unknown"] = int((answers == 0).sum())
    return rates


def _rate(answers: np.ndarray) -> float | None:
    known = answers[answers != 0]
    return float((known > 0).mean()) if len(known) else None


def _described(name: str, column: np.ndarray) -> str:
    """A column in a few words."""
    if column.dtype.kind == "i" and column.ndim == 1:
        known = column[column >= 0]
        return f"{len(np.unique(known)):,} different, {len(column) - len(known):,} unknown"
    known = np.isfinite(column.reshape(len(column), -1)).all(axis=1)
    shape = "x".join(map(str, column.shape[1:])) or "1"
    if column.ndim == 1 and known.any():
        values = column[known]
        shape = f"from {values.min():.4g} to {values.max():.4g}"
    return f"{shape}, {int((~known).sum()):,} unknown"


def _duplicates(listing: Listing) -> dict[str, Any]:
    """Pictures of equal content: how many more there are than different ones, and where.

    ``across_splits`` counts those that lie in two splits, where a model is judged on what it was
    trained on.
    """
    digests = content_digests(listing)
    assert listing.split is not None
    whole = np.flatnonzero(digests.any(axis=1))
    _, group, counts = np.unique(
        np.ascontiguousarray(digests[whole]).view("V16").ravel(),
        return_inverse=True,
        return_counts=True,
    )
    split = listing.split[whole].astype(np.int64)
    first, last = np.full(len(counts), 9), np.full(len(counts), -1)
    np.minimum.at(first, group, split)
    np.maximum.at(last, group, split)
    repeated = np.flatnonzero(counts > 1)
    examples = [
        [listing.ids[whole[i]] for i in np.flatnonzero(group == g)[:EXAMPLES]]
        for g in repeated[:EXAMPLES]
    ]
    return {
        "copies": int((counts - 1).sum()),
        "groups": len(repeated),
        "across_splits": int((first != last).sum()),
        "examples": examples,
    }


def _unusable(listing: Listing, dataset: Dataset) -> str | None:
    try:
        refuse_if_unreadable(listing, dataset.facts["unreadable"])
        check_split(dataset.split)
    except InputError as error:
        return str(error)
    return None


def inspection_text(facts: dict[str, Any]) -> str:
    """The facts as lines for a person."""
    broken = facts["unreadable"]
    rows = [
        ("read as", f"{facts['kind']}, because {facts['why']}"),
        ("images", f"{facts['images']:,} of {facts['listed']:,} found"),
        ("splits", _counts(facts["splits"])),
        ("sizes", _counts(facts["sizes"])),
        ("modes", _counts(facts["modes"])),
        ("crop", facts["crop"]),
        ("converted", _counts(facts["converted"]) or "none"),
        ("unreadable", f"{len(broken):,}"),
        *(("", f"{name}: {why}") for name, why in list(broken.items())[:EXAMPLES]),
        ("duplicates", _duplicate_text(facts["duplicates"])),
        *(("", " = ".join(group)) for group in facts["duplicates"]["examples"]),
        *(
            ("source", f"{s['name']}: {s['images']:,} images, weight {s['weight']:g}")
            for s in facts["sources"]
        ),
        *((name, text) for name, text in facts["facts"].items()),
        ("fingerprint", facts["fingerprint"]),
        *(("note", notice) for notice in facts["notices"]),
    ]
    if facts["unusable"]:
        rows.append(("refused", facts["unusable"]))
    lines = [f"{name:<12} {text}" for name, text in rows]
    if facts["attributes"]:
        lines += ["", *_attribute_table(facts["attributes"])]
    return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _duplicate_text(duplicates: dict[str, Any]) -> str:
    if not duplicates["copies"]:
        return "none"
    copies, groups = duplicates["copies"], duplicates["groups"]
    across = duplicates["across_splits"]
    text = f"{copies:,} more than there are different pictures ({groups:,} of these occur again"
    return text + (f", {across:,} in more than one split)" if across else ")")


def _attribute_table(attributes: dict[str, dict[str, Any]]) -> list[str]:
    width = max(len("attribute"), *(len(name) for name in attributes))
    columns = ("all", *SPLITS)
    lines = [f"{'attribute':<{width}} " + " ".join(f"{c:>10}" for c in columns) + "    unknown"]
    for name, rates in attributes.items():
        shares = " ".join(
            f"{'-':>10}" if rates[c] is None else f"{rates[c]:>10.1%}" for c in columns
        )
        lines.append(f"{name:<{width}} {shares} {rates['unknown']:>10,}")
    return lines
