"""CelebA in its original layout, and the crops the literature uses.

Liu, Luo, Wang & Tang, *Deep Learning Face Attributes in the Wild* (ICCV 2015),
https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html: 202,599 aligned faces of 178x218 pixels
(``img_align_celeba/000001.jpg`` ...), 40 attributes of -1 and 1 (``list_attr_celeba.txt``) and an
official partition (``list_eval_partition.txt``: 0 train, 1 validation, 2 test). Non-commercial
research only, no redistribution: latentshape ships none of it. A partial copy is welcome; a text
file that is absent is a notice, not an error.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from latentshape.data.folder import Listing, image_files, image_id, what_is_at
from latentshape.data.splits import UNKNOWN
from latentshape.errors import InputError
from latentshape.images import IMAGE_SUFFIXES

__all__ = ["CROPS", "crop_box", "find_celeba", "read_celeba"]

#: Boxes (left, top, right, bottom) on the aligned 178x218 image. The crop changes every number, so
#: each run records it. 140 is the RAE/WAE line, 148 PyTorch-VAE, nvae-148 NVAE, 128 PGGAN and DDIM,
#: 178 StarGAN, 108 DCGAN.
CROPS = {
    "centre-140": (19, 39, 159, 179),
    "centre-148": (15, 35, 163, 183),
    "nvae-148": (15, 40, 163, 188),
    "pggan-128": (25, 57, 153, 185),
    "centre-178": (0, 20, 178, 198),
    "centre-108": (35, 55, 143, 163),
}
ALIGNED_SIZE = (178, 218)
IMAGE_FOLDER = "img_align_celeba"
ATTRIBUTE_FILE = "list_attr_celeba.txt"
PARTITION_FILE = "list_eval_partition.txt"


def crop_box(crop: str, width: int, height: int) -> tuple[float, float, float, float]:
    """The square to cut from an image of this size.

    ``square`` is the largest centred square. A CelebA preset is its box on 178x218; on an image of
    another size it is scaled to the largest centred rectangle of the same proportions.

    Example:
        >>> crop_box("centre-140", 178, 218)
        (19.0, 39.0, 159.0, 179.0)
        >>> crop_box("square", 100, 60)
        (20.0, 0.0, 80.0, 60.0)
    """
    if crop == "square":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side
    scale = min(width / ALIGNED_SIZE[0], height / ALIGNED_SIZE[1])
    left = (width - scale * ALIGNED_SIZE[0]) / 2
    top = (height - scale * ALIGNED_SIZE[1]) / 2
    x0, y0, x1, y1 = CROPS[crop]
    # Rounding must not push the box over the edge, where Pillow refuses it.
    return (
        max(0.0, left + scale * x0),
        max(0.0, top + scale * y0),
        min(float(width), left + scale * x1),
        min(float(height), top + scale * y1),
    )


def find_celeba(root: Path) -> tuple[Path, Path] | None:
    """(folder of images, folder of text files) when ``root`` looks like CelebA, else None.

    ``root`` may be the folder above ``img_align_celeba/``, one above that, or the image folder
    itself, and the archive may have been unzipped into a folder of its own name.
    """
    root = Path(os.path.abspath(root))
    candidates = [root / IMAGE_FOLDER, root / "celeba" / IMAGE_FOLDER]
    candidates += [root] if root.name == IMAGE_FOLDER else []
    images = next((folder for folder in candidates if os.path.isdir(folder)), None)
    if images is None:
        return None
    while os.path.isdir(images / IMAGE_FOLDER):
        images = images / IMAGE_FOLDER
    above = list(images.parents)[: 2 if images.parent.name == IMAGE_FOLDER else 1]
    texts = (ATTRIBUTE_FILE, PARTITION_FILE)
    annotated = [base for base in above if any(os.path.isfile(base / text) for text in texts)]
    return images, (annotated or above)[0]


def read_celeba(root: Path) -> Listing:
    """The images of a CelebA folder with whatever annotation lies beside them.

    Raises:
        InputError: No image folder, no images, or an annotation file that cannot be understood.
    """
    found = find_celeba(root)
    if found is None:
        raise InputError(
            f"Expected CelebA, a folder with '{IMAGE_FOLDER}/' in it, at {str(root)!r}; found: "
            f"{what_is_at(root)}. Unzip img_align_celeba.zip there, or use --data faces to try "
            "without it."
        )
    images, base = found
    paths = image_files(images)
    ids = [image_id(p, images) for p in paths]
    names = [p.name for p in paths]  # the annotation's word for an image, wherever it lies
    notices: list[str] = []
    split = _read_partition(base / PARTITION_FILE, names, notices)
    header, attributes = _read_attributes(base / ATTRIBUTE_FILE, names, notices)
    return Listing("celeba", base, ids, paths, split, attributes, header, notices)


def _rows(path: Path, notices: list[str], what: str) -> tuple[list[str], dict[str, str]] | None:
    """Header words, and the rest of each row by image name; a count line is skipped."""
    if not os.path.isfile(path):
        notices.append(f"no {path.name}: {what}")
        return None
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Make it readable, or move it away to go on "
            "without."
        ) from error
    header: list[str] = []
    rows: dict[str, str] = {}
    for line in text.splitlines():
        first, rest = [*line.split(maxsplit=1), "", ""][:2]
        if not first or (not rows and not rest and first.isdigit()):
            continue
        if "." + first.rpartition(".")[2].lower() in IMAGE_SUFFIXES:
            rows[first] = rest
        elif not header and not rows:
            header = line.split()
        else:
            raise InputError(
                f"{path}: expected an image name at the start of each row, found {first[:40]!r} "
                f"after {len(rows)} rows. Restore the file, or remove it to go on without."
            )
    if not rows:
        raise InputError(
            f"{path}: expected one row per image, found none. Restore the file, or remove it to go "
            "on without."
        )
    return header, rows


def _read_partition(path: Path, names: list[str], notices: list[str]) -> np.ndarray | None:
    read = _rows(path, notices, "split by a stable hash of the image names instead")
    if read is None:
        return None
    codes = {"0": 0, "1": 1, "2": 2}
    split: dict[str, int] = {}
    for image, value in read[1].items():
        if value.strip() not in codes:
            raise InputError(
                f"{path}: expected '<image> 0|1|2' (train, validation, test), found "
                f"{f'{image} {value}'[:60]!r}. Restore the file, or remove it to split by a hash."
            )
        split[image] = codes[value.strip()]
    return np.array([split.get(name, UNKNOWN) for name in names], dtype=np.int8)


def _read_attributes(
    path: Path, names: list[str], notices: list[str]
) -> tuple[tuple[str, ...], np.ndarray | None]:
    read = _rows(path, notices, "going on without attributes")
    if read is None:
        return (), None
    header, rows = read
    if not header:
        raise InputError(
            f"{path}: expected a line with the attributes' names above the rows, found none. "
            "Restore the file, or remove it to go on without attributes."
        )
    position = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(names), len(header)), dtype=np.int8)
    for image, rest in rows.items():
        values = rest.split()
        if len(values) != len(header) or not set(values) <= {"-1", "0", "1"}:
            raise InputError(
                f"{path}: expected {len(header)} values of -1 and 1 for {image}, found "
                f"{len(values)}: {' '.join(values[:6])[:60]} ... Restore the file, or remove it to "
                "go on without attributes."
            )
        if image in position:
            table[position[image]] = [int(v) for v in values]
    missing = sum(name not in rows for name in names)
    if missing:
        notices.append(f"{missing} images have no row in {path.name}: their attributes are unknown")
    return tuple(header), table
