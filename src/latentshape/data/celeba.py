"""CelebA in its original layout, and the crops the literature uses.

Liu, Luo, Wang & Tang, *Deep Learning Face Attributes in the Wild* (ICCV 2015),
https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html: 202,599 aligned faces of 178x218 pixels
(``img_align_celeba/000001.jpg`` ...), 40 attributes of -1 and 1 (``list_attr_celeba.txt``) and an
official partition (``list_eval_partition.txt``: 0 train, 1 validation, 2 test). Non-commercial
research only, no redistribution: latentshape ships none of it. A partial copy is welcome; a text
file that is absent is a notice, not an error.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentshape.data.folder import Listing, image_files
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
    return left + scale * x0, top + scale * y0, left + scale * x1, top + scale * y1


def find_celeba(root: Path) -> tuple[Path, Path] | None:
    """(folder of images, folder of text files) when ``root`` looks like CelebA, else None."""
    for base in (root, root / "celeba", root.parent):
        images = base / IMAGE_FOLDER
        if images.is_dir() and (base != root.parent or root.name == IMAGE_FOLDER):
            nested = images / IMAGE_FOLDER
            return (nested if nested.is_dir() else images), base
    return None


def read_celeba(root: Path) -> Listing:
    """The images of a CelebA folder with whatever annotation lies beside them.

    Raises:
        InputError: No image folder, no images, or an annotation file that cannot be understood.
    """
    found = find_celeba(root)
    if found is None:
        there = sorted(p.name for p in root.iterdir())[:5] if root.is_dir() else []
        raise InputError(
            f"CelebA folder {str(root)!r} has no '{IMAGE_FOLDER}/'; found: "
            f"{', '.join(there) or 'nothing'}. Unzip img_align_celeba.zip there, or use "
            "--data faces to try without it."
        )
    images, base = found
    paths = image_files(images)
    ids = [p.name for p in paths]
    notices: list[str] = []
    split = _read_partition(base / "list_eval_partition.txt", ids, notices)
    names, attributes = _read_attributes(base / "list_attr_celeba.txt", ids, notices)
    return Listing("celeba", base, ids, paths, split, attributes, names, notices)


def _rows(
    path: Path, notices: list[str], what: str
) -> tuple[list[str], dict[str, list[str]]] | None:
    """Header words and rows by image name: whitespace-split, count line skipped, header if any."""
    if not path.is_file():
        notices.append(f"no {path.name}: {what}")
        return None
    header: list[str] = []
    rows: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        words = line.split()
        if not words or (not rows and len(words) == 1 and words[0].isdigit()):
            continue
        if "." + words[0].rpartition(".")[2].lower() in IMAGE_SUFFIXES:
            rows[words[0]] = words[1:]
        elif not header and not rows:
            header = words
        else:
            raise InputError(
                f"{path}: expected an image name at the start of each row, found {words[0]!r} after "
                f"{len(rows)} rows. Restore the file, or remove it to go on without."
            )
    return header, rows


def _read_partition(path: Path, ids: list[str], notices: list[str]) -> np.ndarray | None:
    read = _rows(path, notices, "split by a stable hash of the image names instead")
    if read is None:
        return None
    _, rows = read
    codes = {"0": 0, "1": 1, "2": 2}
    bad = next((r for r in rows.items() if len(r[1]) != 1 or r[1][0] not in codes), None)
    if bad:
        raise InputError(
            f"{path}: expected '<image> 0|1|2' (train, validation, test), found "
            f"{' '.join([bad[0], *bad[1]])!r}. Restore the file, or remove it to split by a hash."
        )
    return np.array([codes[rows[i][0]] if i in rows else UNKNOWN for i in ids], dtype=np.int8)


def _read_attributes(
    path: Path, ids: list[str], notices: list[str]
) -> tuple[tuple[str, ...], np.ndarray | None]:
    read = _rows(path, notices, "going on without attributes")
    if read is None:
        return (), None
    header, rows = read
    names = tuple(header)
    for image, values in rows.items():
        if len(values) != len(names) or not set(values) <= {"-1", "0", "1"}:
            raise InputError(
                f"{path}: expected {len(names)} values of -1 and 1 for {image}, found "
                f"{len(values)}: {' '.join(values[:6])} ... Restore the file, or remove it."
            )
    missing = sum(i not in rows for i in ids)
    if missing:
        notices.append(f"{missing} images have no row in {path.name}: their attributes are unknown")
    unknown = [0] * len(names)
    table = [[int(v) for v in rows[i]] if i in rows else unknown for i in ids]
    return names, np.array(table, dtype=np.int8).reshape(len(ids), len(names))
