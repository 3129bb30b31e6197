"""Data sets that look like CelebA, from procedural faces: 178x218 JPEGs in the original layout."""

from functools import cache

import numpy as np
from PIL import Image

from latentshape.data.faces import ATTRIBUTES, attributes_of, draw_factors, faces

IMAGES = "img_align_celeba"
PARTITION = "list_eval_partition.txt"
LISTED = "list_attr_celeba.txt"


@cache
def _pictures(n, seed):
    return faces(range(n), seed=seed, size=64)


def names(n):
    return [f"{i + 1:06d}.jpg" for i in range(n)]


def aligned(pixels):
    """A square face as CelebA's aligned images are: 178x218, the face in the middle."""
    return Image.fromarray(pixels).resize((218, 218)).crop((20, 0, 198, 218))


def write_images(folder, n, seed=0, quality=85):
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in zip(names(n), _pictures(n, seed)):
        aligned(pixels).save(folder / name, quality=quality)


def split_of(i):
    """Rows 0-7 of each ten are train, 8 is validation, 9 is test."""
    return max(0, i % 10 - 7)


def partition_text(n):
    return "".join(f"{name} {split_of(i)}\n" for i, name in enumerate(names(n)))


def attribute_text(n, seed=0, count=True, trailing=" "):
    rows = attributes_of(draw_factors(range(n), seed=seed))
    lines = [str(n)] if count else []
    lines.append(" ".join(ATTRIBUTES) + trailing)
    for name, row in zip(names(n), rows):
        lines.append(
            name + " " + " ".join(f"{value:2d}" for value in row)
        )  # as the original aligns
    return "\n".join(lines) + "\n"


def write_celeba(root, n=30, seed=0, attributes=True, partition=True):
    """The original layout below `root`; returns the attributes (n, k) that were written."""
    write_images(root / IMAGES, n, seed)
    if attributes:
        (root / LISTED).write_text(attribute_text(n, seed))
    if partition:
        (root / PARTITION).write_text(partition_text(n))
    return np.asarray(attributes_of(draw_factors(range(n), seed=seed)))
