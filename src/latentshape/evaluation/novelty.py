"""Is what a sampler draws new? Distances of its codes to the training codes, beside held-out codes'.

Judged on codes, where "nearest" is exact and cheap: codes of images that were never trained on are the
yardstick (`latentshape.neighbourhood`). Draws near the centre look close whatever they are, so each
sampler's middle Mahalanobis radius stands beside, and its draws are compared at equal radius too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latentshape.errors import InputError
from latentshape.neighbourhood import Yardstick, is_new, nearest_codes, novelty_yardstick
from latentshape.samplers import Sampler

__all__ = ["code_novelty", "nearest_images"]

#: Codes drawn from each sampler.
DRAWN = 500


def code_novelty(
    samplers: dict[str, Sampler], z: np.ndarray, held_out: np.ndarray, seed: int = 0
) -> dict[str, Any]:
    """How near draws lie to training codes, in units of the cloud's own widths.

    Args:
        samplers: Fitted to z.
        z: Training codes (n, d).
        held_out: Codes of images that were not trained on, (m, d).
        seed: Of the draws.

    Returns:
        ``held_out`` with the middle ``distance`` and ``radius`` of these codes, and ``rows`` by sampler
        with the same of its draws and: ``nearer``, the share of draws that are nearer to a training
        code than the middle held-out code is (0.5 for as-new); ``nearer_at_radius``, the same where
        both are at the draw's radius; ``copies``, the share nearer than 99 % of held-out codes at equal
        radius. Or ``why`` there is none.
    """
    try:
        yardstick = novelty_yardstick(held_out, z, metric="mahalanobis")
    except InputError as refusal:
        return {"why": str(refusal), "rows": {}}
    rows = {
        name: _row(sampler.sample(DRAWN, seed=seed), z, yardstick)
        for name, sampler in samplers.items()
    }
    return {
        "metric": yardstick.metric,
        "n": DRAWN,
        "held_out": {
            "distance": float(np.median(yardstick.distances)),
            "radius": float(np.median(yardstick.radii)),
            "n": len(yardstick.distances),
        },
        "rows": rows,
    }


def _row(drawn: np.ndarray, z: np.ndarray, yardstick: Yardstick) -> dict[str, Any]:
    found = is_new(drawn, z, yardstick)
    return {
        "distance": float(np.median(found.distances)),
        "radius": float(np.median(found.radii)),
        "nearer": float((found.share < 0.5).mean()),
        "nearer_at_radius": float((found.share_at_radius < 0.5).mean()),
        "copies": float((~found.new).mean()),
    }


def nearest_images(drawn: np.ndarray, z: np.ndarray, k: int = 7) -> np.ndarray:
    """Rows of the k training codes nearest to each drawn code, the nearest first, shape (m, k).

    Nearest in units of the cloud's own widths where the covariance allows it.
    """
    k = min(k, len(z))
    try:
        return nearest_codes(drawn, z, k, metric="mahalanobis").rows
    except InputError:
        return nearest_codes(drawn, z, k).rows
