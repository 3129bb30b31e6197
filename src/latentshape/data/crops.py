"""Which square of a picture becomes the image: the crops of the literature.

The crop changes every number that is measured on faces, so each run records it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["ALIGNED_SIZE", "CROPS", "NAMES", "crop_box"]

#: Boxes (left, top, right, bottom) on CelebA's aligned 178x218 image. 140 is the RAE/WAE line, 148
#: PyTorch-VAE, nvae-148 NVAE, 128 PGGAN and DDIM, 178 StarGAN, 108 DCGAN.
CROPS = {
    "centre-140": (19, 39, 159, 179),
    "centre-148": (15, 35, 163, 183),
    "nvae-148": (15, 40, 163, 188),
    "pggan-128": (25, 57, 153, 185),
    "centre-178": (0, 20, 178, 198),
    "centre-108": (35, 55, 143, 163),
}
#: Width and height of an aligned CelebA image.
ALIGNED_SIZE = (178, 218)
#: All that ``--crop`` may be.
NAMES = ("auto", "square", "box", *CROPS)


def crop_box(
    crop: str, width: int, height: int, box: Sequence[float] | np.ndarray | None = None
) -> tuple[int, int, int, int]:
    """The square to cut from a picture: left, top, right, bottom in whole pixels, inside it.

    Args:
        crop: ``square``: the largest centred square. ``box``: the square of the same centre and of
            the longer side of ``box``, moved, and if need be made smaller, to lie inside; without a
            box, ``square``. A key of :data:`CROPS`: that box on 178x218; on a picture of another
            size it is scaled to the largest centred rectangle of those proportions.
        width: Of the picture.
        height: Of the picture.
        box: x, y, width, height of what crop ``box`` is to show; NaN where unknown.

    Example:
        >>> crop_box("centre-140", 178, 218)
        (19, 39, 159, 179)
        >>> crop_box("square", 100, 61), crop_box("box", 100, 60, (50, 5, 20, 30))
        ((19, 0, 80, 61), (45, 5, 75, 35))
    """
    if crop == "box" and box is not None and np.isfinite(box).all():
        x, y, w, h = (float(number) for number in box)
        side = min(max(w, h, 1.0), width, height)
        left, top = x + w / 2 - side / 2, y + h / 2 - side / 2
    elif crop in CROPS:
        scale = min(width / ALIGNED_SIZE[0], height / ALIGNED_SIZE[1])
        x0, y0, x1, _ = CROPS[crop]
        side = scale * (x1 - x0)
        left = (width - scale * ALIGNED_SIZE[0]) / 2 + scale * x0
        top = (height - scale * ALIGNED_SIZE[1]) / 2 + scale * y0
    else:
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
    # Whole pixels, the same number both ways, never past an edge.
    whole = max(1, min(round(side), width, height))
    x = math.floor(min(max(left, 0.0), width - whole))
    y = math.floor(min(max(top, 0.0), height - whole))
    return x, y, x + whole, y + whole
