"""The scorecard: one row per way of making pictures, one column per question.

Rows. ``real`` (validation images) and ``phase-scrambled`` frame every number from above and below;
``reconstruction`` (of the validation images, so that it shares no image with the references) is what the
decoder can do at best and the floor of every gap; ``training-codes`` decodes codes that training images
really had, the floor for anything fitted on them; then each sampler.

Columns. ``face_rate`` (layout), ``frechet`` (distance to real test images: sampler and decoder
together), ``gap`` (distance to the test images' *reconstructions* on the same decoder: what the sampler
alone does wrong), ``log_likelihood`` (nats per held-out code under the sampler's law, where it has a
density).

Protocol. References are test images, or their reconstructions; nothing is judged on what it was fitted
on. Every row is judged on the same number of pictures n, in several independent draws: a fresh draw of
codes for samplers, a subsample without replacement for images (such subsamples overlap, so the spread of
an image row is that of the subsampling alone); value, low and high are the mean, least and greatest over
the draws. The face rate is of the first draw, with Wilson's 95 % interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats

from latentshape.codes import Codes
from latentshape.config import EvaluationConfig
from latentshape.data import Dataset
from latentshape.decoding import decode, decode_pixels
from latentshape.errors import InputError
from latentshape.evaluation.faces import (
    DetectorSettings,
    calibrate,
    detector_missing,
    finds_face,
    no_faces,
    scramble_phases,
)
from latentshape.evaluation.features import FeatureSpace, fit_features
from latentshape.evaluation.frechet import FrechetReference
from latentshape.evaluation.prdc import NEIGHBOURS, Manifold, prdc
from latentshape.evaluation.recommendation import recommend
from latentshape.images import to_images
from latentshape.models.base import Autoencoder
from latentshape.progress import bar
from latentshape.samplers import SAMPLERS, Sampler, make_sampler

__all__ = ["Judge", "check_pairing", "fit_samplers", "score", "wilson"]

#: Training images behind the feature spaces and the detector's calibration.
FEATURE_IMAGES, CALIBRATION_IMAGES = 2000, 400


def wilson(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Example:
        >>> [round(v, 3) for v in wilson(0, 100)]
        [0.0, 0.037]
    """
    q = float(stats.norm.ppf(0.5 + confidence / 2))
    centre = (hits + q * q / 2) / (n + q * q)
    spread = q / (n + q * q) * math.sqrt(hits * (n - hits) / n + q * q / 4)
    return max(0.0, centre - spread), min(1.0, centre + spread)


def fit_samplers(z: np.ndarray) -> tuple[dict[str, Sampler], dict[str, str]]:
    """Every registered sampler with its defaults, fitted to training codes.

    Returns:
        The fitted samplers, and why the others cannot be fitted to these codes.
    """
    fitted, refused = {}, {}
    for name in SAMPLERS:
        try:
            fitted[name] = make_sampler(name).fit(z)
        except InputError as error:
            refused[name] = str(error)
    return fitted, refused


@dataclass
class Judge:
    """What all pictures of a run are judged with.

    Attributes:
        spaces: Feature spaces, fitted on training images.
        detector: Of faces, or None.
        no_faces: Why there is no detector, or none to be asked about these images.
        real: Of n test images, by space.
        reconstructions: Of the same images, encoded and decoded, by space.
        device: Where features are computed.
        n: Pictures in each reference.
        chosen: Which test images these are, shape (n,).
        manifold: The reconstructions in random-conv features, for precision and recall.
    """

    spaces: list[FeatureSpace]
    detector: DetectorSettings | None
    no_faces: str | None
    real: dict[str, FrechetReference]
    reconstructions: dict[str, FrechetReference]
    device: torch.device
    n: int
    chosen: np.ndarray
    manifold: Manifold | None

    @classmethod
    def of(
        cls,
        model: Autoencoder,
        dataset: Dataset,
        test: Codes,
        n: int,
        rng: np.random.Generator,
    ) -> Judge:
        """Fit feature spaces and the detector on training images, and take n test images as references.

        Raises:
            InputError: The codes are of other images than the dataset's.
        """
        check_pairing(dataset, test)
        train, reference = dataset.indices("train"), dataset.indices("test")
        sample = rng.choice(train, min(FEATURE_IMAGES, len(train)), replace=False)
        detector, why_none = None, detector_missing()
        if why_none is None:
            detector = calibrate(dataset.pixels[sample[:CALIBRATION_IMAGES]])
            why_none = no_faces(detector)
        device = next(model.parameters()).device
        spaces = fit_features(to_images(dataset.pixels[sample]))
        n = min(n, len(reference))
        chosen = rng.choice(len(reference), n, replace=False)
        judge = cls(spaces, detector, why_none, {}, {}, device, n, chosen, None)
        judge.real = _references(judge.features(dataset.pixels[reference[chosen]]))
        rebuilt = judge.features(decode_pixels(model, test.z[chosen]))
        judge.reconstructions = _references(rebuilt)
        judge.manifold = Manifold(rebuilt["random-conv"]) if n > NEIGHBOURS else None
        return judge

    def features(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Features of pixels by space, in blocks."""
        found: dict[str, list[np.ndarray]] = {space.name: [] for space in self.spaces}
        for start in range(0, len(pixels), 256):
            images = to_images(np.array(pixels[start : start + 256]), self.device)
            for space in self.spaces:
                found[space.name].append(space(images))
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def face_rate(self, pixels: np.ndarray) -> dict[str, Any]:
        """Share of pictures in which the detector finds a face, with Wilson's 95 % interval."""
        if self.detector is None or self.no_faces is not None:
            return _proportion(None, self.no_faces)
        return _proportion(finds_face(pixels, self.detector), None)

    def fidelity_and_diversity(self, features: dict[str, np.ndarray]) -> dict[str, float | None]:
        """Precision, recall, density and coverage against the decoder's own reconstructions.

        On the same decoder, so that they judge the sampler alone: its pictures are as blurred as the
        reference.
        """
        if self.manifold is None:
            return dict.fromkeys(("precision", "recall", "density", "coverage"))
        return dict(prdc(self.manifold, features["random-conv"]))

    def row(self, draws: Iterator[np.ndarray]) -> dict[str, Any]:
        """Judge independent sets of pixels of equal size."""
        faces: dict[str, Any] | None = None
        distances: dict[str, dict[str, list[float]]] = {
            kind: {s.name: [] for s in self.spaces} for kind in ("frechet", "gap")
        }
        for pixels in draws:
            faces = faces or self.face_rate(pixels)
            features = self.features(pixels)
            for name, values in features.items():
                distances["frechet"][name].append(self.real[name].distance_of(values))
                distances["gap"][name].append(self.reconstructions[name].distance_of(values))
        row: dict[str, Any] = {
            "face_rate": faces,
            "log_likelihood": {"value": None, "why": "these pictures are not drawn from a law"},
        }
        for kind, by_space in distances.items():
            row[kind] = {name: _spread(values, len(pixels)) for name, values in by_space.items()}
        return row


def check_pairing(dataset: Dataset, *codes: Codes) -> None:
    """See that codes are of the dataset's images, in its order.

    Raises:
        InputError: They are of others.
    """
    for split in codes:
        if not np.array_equal(split.ids, dataset.ids[dataset.indices(split.split)]):
            raise InputError(
                "The codes are of other images than the run's own, which reconstructions are compared "
                "with. Make them again with: latentshape encode RUN"
            )


def _references(features: dict[str, np.ndarray]) -> dict[str, FrechetReference]:
    return {name: FrechetReference.of(values) for name, values in features.items()}


def _proportion(found: np.ndarray | None, why: str | None) -> dict[str, Any]:
    if found is None:
        return {"value": None, "why": why}
    low, high = wilson(int(found.sum()), len(found))
    return {"value": float(found.mean()), "low": low, "high": high, "n": len(found)}


def _spread(values: list[float], n: int) -> dict[str, Any]:
    return {
        "value": float(np.mean(values)), "low": min(values), "high": max(values),
        "n": n, "draws": len(values),
    }  # fmt: skip


def score(
    model: Autoencoder,
    dataset: Dataset,
    samplers: dict[str, Sampler],
    held_out: Codes,
    test: Codes,
    config: EvaluationConfig,
    seed: int = 0,
    refused: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The scorecard of a run, as ``scorecard.json`` holds it.

    Args:
        model: Trained autoencoder.
        dataset: Its images; the test split is the reference, the validation split is ``real``.
        samplers: Fitted on training codes.
        held_out: Codes of the validation split, for its reconstructions and the likelihoods.
        test: Codes of the test split, whose reconstructions are the reference of the gap.
        config: Pictures per draw, and draws.
        seed: Of every draw.
        refused: Samplers that could not be fitted, and why; their rows say so.

    Raises:
        InputError: The codes are of other images than the dataset's.
    """
    check_pairing(dataset, held_out, test)
    rng = np.random.default_rng(seed)
    real, reference = dataset.indices("validation"), dataset.indices("test")
    judge = Judge.of(model, dataset, test, min(config.n, len(real)), rng)
    n = judge.n
    subsamples = [rng.choice(len(real), n, replace=False) for _ in range(config.draws)]

    def drawn(sampler: Sampler) -> Iterator[np.ndarray]:
        for k in range(config.draws):
            yield decode_pixels(model, sampler.sample(n, seed=seed + k))

    rows: dict[str, Any] = {}
    with bar(len(samplers) + 3, "judging", unit="rows") as progress:
        rows["real"] = judge.row(dataset.pixels[real[s]] for s in subsamples)
        progress.update()
        rows["reconstruction"] = judge.row(decode_pixels(model, held_out.z[s]) for s in subsamples)
        rows["reconstruction"]["mse"] = _squared_error(model, test.z, dataset.pixels, reference)
        progress.update()
        rows["phase-scrambled"] = judge.row(
            scramble_phases(dataset.pixels[real[s]], seed) for s in subsamples
        )
        progress.update()
        for name, sampler in samplers.items():
            rows[name] = judge.row(drawn(sampler))
            rows[name]["log_likelihood"] = _likelihood(sampler, held_out.z)
            progress.update()
    for name, why in (refused or {}).items():
        nothing = {"value": None, "why": why}
        each = {space.name: nothing for space in judge.spaces}
        rows[name] = {"face_rate": nothing, "log_likelihood": nothing, "frechet": each, "gap": each}
    return {
        "n": n,
        "draws": config.draws,
        "seed": seed,
        "reference": f"{n} of {len(reference)} test images; real is the validation split",
        "detector": judge.detector.to_dict() if judge.detector else None,
        "features": {s.name: {"comparable_with": s.comparable_with} for s in judge.spaces},
        "recommendation": recommend(rows),
        "rows": rows,
    }


def _likelihood(sampler: Sampler, z: np.ndarray) -> dict[str, Any]:
    if not sampler.has_density:
        return {"value": None, "why": "this sampler has no density"}
    try:
        values = sampler.log_prob(z)
    except InputError as refusal:
        return {"value": None, "why": str(refusal)}
    if not np.isfinite(values).all():
        outside = int((~np.isfinite(values)).sum())
        return {"value": None, "why": f"{outside} of {len(values)} held-out codes lie outside it"}
    error = float(values.std() / math.sqrt(len(values)))
    mean = float(values.mean())
    return {
        "value": mean,
        "low": mean - 1.96 * error,
        "high": mean + 1.96 * error,
        "n": len(values),
    }


def _squared_error(
    model: Autoencoder, z: np.ndarray, pixels: np.ndarray, rows: np.ndarray
) -> dict[str, Any]:
    """Error per pixel of each test image on [0, 1], its mean and 95 % interval of the mean."""
    errors, start = [], 0
    for images in decode(model, z):
        x = to_images(pixels[rows[start : start + len(images)]], images.device)
        errors.append((images - x).square().flatten(1).mean(1).cpu().numpy())
        start += len(images)
    each = np.concatenate(errors).astype(np.float64)
    mean, error = float(each.mean()), float(each.std() / math.sqrt(len(each)))
    return {"value": mean, "low": mean - 1.96 * error, "high": mean + 1.96 * error, "n": len(each)}
