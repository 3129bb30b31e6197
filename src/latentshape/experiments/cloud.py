r"""Experiments with the cloud's place and size: what if it were centred elsewhere, or drawn farther out?

``centring`` moves the codes of held-out images as a whole, :math:`z_i + (t - 1) \mu`: t = 1 is the cloud as
it is, t = 0 the same cloud around the origin. Nothing else changes, not the covariance, not the radii, not
one distance between two codes. It is the control for every table in which a plain autoencoder looks bad
because it was drawn from around the origin.

``radius`` puts directions of the fitted Gaussian at one Mahalanobis radius after the other, in units of
:math:`\sqrt d`, and asks what the pictures there show: a face, and how much of their variety lies outside it.
The *face mask* is an ellipse about the picture's middle, 0.66 by 0.86 of its side, which holds the face in
aligned crops; real pictures are the yardstick.
"""

from __future__ import annotations

import numpy as np

from latentshape.errors import InputError
from latentshape.experiments.bench import (
    STRIP,
    Bench,
    Record,
    judged,
    question_of,
    strips,
    with_settings,
)
from latentshape.images import to_images
from latentshape.shape import Moments, mahalanobis_squared

__all__ = ["centring", "face_mask", "outside_share", "radius"]

CENTRES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5)
RADII = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
#: Half axes of the face mask, across and down, in sides of the picture.
MASK = (0.33, 0.43)


@with_settings(lambda: {"centre": CENTRES})
def centring(bench: Bench) -> Record:
    """Is it the centre alone: does the same cloud of codes give faces where it is, and none elsewhere?"""
    moments = Moments.of(bench.z)
    held_out = np.asarray(bench.codes("validation").z)
    rows, shown = [], []
    for t in CENTRES:
        shift = ((t - 1) * moments.mean).astype(np.float32)

        def draw(seed: int, shift: np.ndarray = shift) -> np.ndarray:
            n = min(bench.judge.n, len(held_out))
            chosen = np.random.default_rng(seed).choice(len(held_out), n, replace=False)
            return held_out[chosen] + shift

        rows.append(judged(bench, moments, draw, centre=t))
        shown.append((f"{t:g} μ", held_out[:STRIP] + shift))
    strips(bench, "centring", shown)
    note = (
        "Codes of held-out images, moved together; centre 1 is where they are, centre 0 the origin."
    )
    return {"question": question_of(centring), "note": note, "rows": rows}


@with_settings(lambda: {"radius": RADII, "mask": MASK})
def radius(bench: Bench) -> Record:
    """What do pictures show as codes lie farther out: faces still, or mostly background?"""
    moments = Moments.of(bench.z)
    mean, root = moments.mean.astype(np.float32), float(np.sqrt(moments.d))
    gaussian = bench.fitted("gaussian")
    rows, shown = [], []
    mask = face_mask(bench.run.config().data.size)
    for r in RADII:

        def draw(seed: int, r: float = r) -> np.ndarray:
            z = gaussian.sample(bench.judge.n, seed=seed)
            away = z - mean
            lengths = np.sqrt(mahalanobis_squared(z, moments))[:, None].astype(np.float32)
            return mean + away * (r * root / lengths)

        if r:
            row = judged(bench, moments, draw, at=r)
            row["outside"] = outside_share(bench.pictures(draw(bench.seed)), mask)
            rows.append(row)
        shown.append((f"{r:g} √d\n= {r * root:.1f}", draw(bench.seed)[:STRIP]))
    strips(bench, "radius", shown)
    real = outside_share(_real(bench), mask)
    note = (
        f"At: in units of √d = {root:.1f}, the radius of a Gaussian cloud. Outside: share of the pictures' "
        f"variance outside the face mask ({1 - mask.mean():.0%} of the area); of real pictures {real:.2f}."
    )
    return {"question": question_of(radius), "note": note, "rows": rows, "real_outside": real,
            "mean_image": _mean_image(bench, mean)}  # fmt: skip


def face_mask(side: int) -> np.ndarray:
    """Pixels of the ellipse in which an aligned face lies, (side, side) bool.

    Example:
        >>> round(float(face_mask(64).mean()), 2)  # pi * 0.33 * 0.43
        0.45
    """
    at = (np.arange(side) + 0.5) / side - 0.5
    return (at[None, :] / MASK[0]) ** 2 + (at[:, None] / MASK[1]) ** 2 <= 1


def outside_share(pixels: np.ndarray, mask: np.ndarray) -> float:
    """Share of the variance over pictures (n, h, w, c) that lies outside the mask; 0 where none varies."""
    variance = pixels.astype(np.float32).var(axis=0, dtype=np.float64).sum(-1)
    total = float(variance.sum())
    return float(variance[~mask].sum()) / total if total else 0.0


def _real(bench: Bench) -> np.ndarray:
    dataset = bench.judge.dataset
    return np.asarray(dataset.pixels[dataset.indices("test")[: bench.judge.n]])


def _mean_image(bench: Bench, mean: np.ndarray) -> Record:
    """What the attribute network sees in the decoded mean code; or why nobody can say."""
    from latentshape.evaluation.attribute_features import AttributeFeatures

    try:
        network = AttributeFeatures(bench.judge.dataset)
        said = network.predict(to_images(bench.pictures(mean[None])))
        return dict(zip(said.names, said.values[0].tolist()))
    except InputError as refusal:
        return {"why": str(refusal)}
