"""Procedural faces: unlimited small portraits from declared factors, with CelebA's attributes.

Each face is a smooth function of one row of numbers, its **factors** (`FACTORS`): pose, light,
bones, skin, eyes, mouth, hair, clothes, surroundings. Drawing the numbers and painting the picture
are separate, so that a row can be edited in between:

    faces ── draw_factors ─▶ factors (n, k) ─── render ─▶ pixels (n, size, size, 3)
                                 └─ attributes_of ─▶ -1 and 1 (n, m)

`factors` holds the table, its draws and the attributes; `portrait` paints, with the canvas and the
light of `scene` and the hair, beards, glasses and hats of `adornments`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latentshape.data.factors import ATTRIBUTES, FACTORS, Factor, attributes_of, draw_factors
from latentshape.data.portrait import render

__all__ = ["ATTRIBUTES", "FACTORS", "Factor", "attributes_of", "draw_factors", "faces", "render"]


def faces(indices: ArrayLike | Iterable[int], seed: int = 0, size: int = 64) -> NDArray[np.uint8]:
    """Paints faces by number: `render(draw_factors(indices, seed), size)`.

    Args:
        indices: Face numbers, non-negative integers, shape (n,).
        seed: Non-negative integer naming the population.
        size: Height and width in pixels, 16 to 512.

    Returns:
        Pixels, shape (n, size, size, 3), uint8.

    Example:
        >>> faces(range(3), size=32).shape
        (3, 32, 32, 3)
    """
    return render(draw_factors(indices, seed), size)
