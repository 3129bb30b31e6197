"""Procedural faces: unlimited small portraits from declared factors, with CelebA's attributes.

Each face is a smooth function of one row of numbers, its **factors** (`FACTORS`): pose, light,
bones, skin, eyes, mouth, hair, clothes, surroundings. Drawing the numbers and painting the picture
are separate, so that a row can be edited in between:

    faces ── draw_factors ─▶ factors (n, k) ─── render ─▶ pixels (n, size, size, 3)
                                 ├─ attributes_of ─▶ -1 and 1 (n, m)
                                 └─ landmarks_of ──▶ eyes, nose and mouth (n, 5, 2)

The draws follow a law: `natural`, correlated as in people, or one of the other `LAWS`, the same for
all factors that vary, for asking what a code makes of the law of what it codes.

`factors` holds the table, its draws and the attributes; `portrait` paints, with the canvas, the
light and the geometry of `scene`, landmarks included, and the hair, beards, glasses and hats of
`adornments`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latentshape.data.factors import (
    ATTRIBUTES,
    FACTORS,
    LAWS,
    Factor,
    attributes_of,
    draw_factors,
    sweep_factor,
)
from latentshape.data.portrait import render
from latentshape.data.scene import LANDMARKS, landmarks_of

__all__ = [
    "ATTRIBUTES",
    "FACTORS",
    "LANDMARKS",
    "LAWS",
    "Factor",
    "attributes_of",
    "draw_factors",
    "faces",
    "landmarks_of",
    "render",
    "sweep_factor",
]


def faces(
    indices: ArrayLike | Iterable[int],
    seed: int = 0,
    size: int = 64,
    law: str = "natural",
    vary: Iterable[str] | None = None,
) -> NDArray[np.uint8]:
    """Paints faces by number: `render(draw_factors(indices, seed, law, vary), size)`.

    Args:
        indices: Face numbers, non-negative integers, shape (n,).
        seed: Non-negative integer naming the population.
        size: Height and width in pixels, 16 to 512.
        law: One of `LAWS`, what the factors are drawn from.
        vary: Names of the factors that vary, None for the usual ones; see `draw_factors`.

    Returns:
        Pixels, shape (n, size, size, 3), uint8.

    Raises:
        InputError: For a size out of range, and as `draw_factors`.

    Example:
        >>> faces(range(3), size=32).shape
        (3, 32, 32, 3)
        >>> faces([0], law="uniform", vary=["yaw"]).shape
        (1, 64, 64, 3)
    """
    return render(draw_factors(indices, seed, law, vary), size)
