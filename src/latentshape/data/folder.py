"""Any folder of images, nested or flat: what is there, before anything is decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from latentshape.errors import InputError
from latentshape.images import IMAGE_SUFFIXES

__all__ = ["Listing", "image_files", "image_id", "read_folder", "what_is_at"]


@dataclass(frozen=True)
class Listing:
    """What a dataset consists of, before any image is opened.

    Attributes:
        kind: The layout that was recognised.
        root: The folder.
        ids: One name per image, stable across machines.
        paths: Where each image lies.
        split: Codes (n,) int8, -1 where unknown; None without a partition.
        attributes: (n, k) int8 of -1 and 1, 0 where unknown; None without any.
        attribute_names: The k names.
        notices: What a user should know about how this was read.
    """

    kind: str
    root: Path
    ids: list[str]
    paths: list[Path]
    split: np.ndarray | None = None
    attributes: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()
    notices: list[str] = field(default_factory=list)


def image_files(root: Path) -> list[Path]:
    """Every image file below ``root`` by suffix, in a stable order, hidden folders left out.

    Raises:
        InputError: ``root`` is missing, no folder, unreadable, or holds no image.
    """
    if not os.path.isdir(root):
        raise InputError(
            f"Expected a folder of images at {str(root)!r}, found {what_is_at(root)}. Check --data: "
            "the path of a folder (unzip an archive first), or faces to try without any images."
        )
    found: list[Path] = []
    for folder, subfolders, names in os.walk(root, onerror=_refuse):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
        found += [
            Path(folder, n)
            for n in sorted(names)
            if not n.startswith(".") and os.path.splitext(n)[1].lower() in IMAGE_SUFFIXES
        ]
    if not found:
        raise InputError(
            f"No images (.jpg, .png, ...) in {str(root)!r}; found: {what_is_at(root)}. "
            "Point --data at the folder that holds them, or use --data faces to try without any."
        )
    return found


def _refuse(error: OSError) -> None:
    raise InputError(
        f"Cannot read the folder {str(error.filename)!r}: {error.strerror}. Make it readable, or "
        "move it out of the dataset."
    ) from error


def what_is_at(root: Path) -> str:
    """What a message can say about a path that is not what was hoped for."""
    if not os.path.lexists(root):
        return "nothing"
    if not os.path.exists(root):
        return "a link that leads nowhere"
    if not os.path.isdir(root):
        return "a file"
    try:
        names = sorted(os.listdir(root))
    except OSError as error:
        return f"a folder that cannot be read ({error.strerror})"
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "") or "an empty folder"


def image_id(path: Path, root: Path) -> str:
    """The path relative to ``root``; bytes that are no text are spelt out, as every id is stored."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def read_folder(root: Path) -> Listing:
    """A folder of images as it is; ids are paths relative to ``root``."""
    paths = image_files(root)
    return Listing("folder", root, [image_id(p, root) for p in paths], paths)
