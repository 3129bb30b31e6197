"""Is what a sampler draws new? Distances to the training images and their codes, beside held-out ones'.

*Pictures* (`PictureNovelty`): the median distance, in features, from a picture to its nearest training image
as it is, over the same median for reconstructions of held-out images. About 1 is as new as those, 0 is a
copy. A decoder that blurs much keeps even reconstructions of training images away from their originals, so
that a copied *code* may show little here.

*Codes* (`code_novelty`): "nearest" is exact and cheap, and no decoder stands between; codes of images that
were never trained on are the yardstick (`latentshape.neighbourhood`).

Draws near the centre look close whatever they are, so each sampler's Mahalanobis radius stands beside, and
its codes are compared at equal radius too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from latentshape.errors import InputError
from latentshape.neighbourhood import Yardstick, is_new, nearest_codes, novelty_yardstick
from latentshape.samplers import Sampler
from latentshape.shape.voids import nearest_neighbours

__all__ = ["PictureNovelty", "code_novelty", "nearest_images"]

#: Codes drawn from each sampler.
DRAWN = 500
#: Pictures of each draw that are looked for among the training images.
PICTURES = 1000
#: Training images they are looked for among, at most: evenly spaced ones of more (154 MB).
TRAINING_IMAGES = 200_000


class PictureNovelty:
    """Distances from pictures to their nearest training image, in units of held-out reconstructions'.

    Args:
        training: Features of training images as they are, in blocks (n, d).
        yardstick: Features (m, d) of reconstructions of images that were not trained on.

    Attributes:
        n: Training images.
        median: Median distance of the yardstick to them.

    Raises:
        InputError: There are no training images, or half of the yardstick lies among them: then the
            images are held out in name only.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> training, held_out, drawn = rng.standard_normal((3, 500, 8))
        >>> novelty = PictureNovelty([training], held_out)
        >>> novelty.ratio(training[:100]), round(novelty.ratio(drawn))
        (0.0, 1)
    """

    def __init__(self, training: Iterable[np.ndarray], yardstick: np.ndarray) -> None:
        blocks = [np.asarray(block, np.float32) for block in training]
        if not blocks:
            raise InputError("Novelty is measured against training images, got none.")
        self._training = np.concatenate(blocks)
        self.n = len(self._training)
        self.median = self._median(yardstick)
        if not self.median > 0:
            raise InputError(
                "Novelty needs held-out images that differ from the training images; half of these "
                "have a training image at distance 0. Check the dataset for duplicates."
            )

    def ratio(self, features: np.ndarray) -> float:
        """Median distance of pictures' features (m, d) to the training images over the yardstick's."""
        return self._median(features) / self.median

    def _median(self, features: np.ndarray) -> float:
        some = np.asarray(features[:PICTURES], np.float32)
        return float(np.median(nearest_neighbours(some, self._training)[0]))


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
