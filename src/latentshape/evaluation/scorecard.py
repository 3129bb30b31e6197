"""The scorecard: one row per way of making pictures, one column per question.

Rows. ``real`` (validation images) and ``phase-scrambled`` frame every number from above and below;
``reconstruction`` (of the validation images, so that it shares no image with the references) is what the
decoder can do at best and the floor of every gap; ``training-codes`` decodes codes that training images
really had, the floor for anything fitted on them; then each sampler.

| column | asks | compared with |
|---|---|---|
| ``face_rate`` | is the layout a face's? | – |
| ``frechet``, ``kid`` per feature space | sampler and decoder together: how far from real pictures? | real |
| ``gap``, ``kid_gap`` per feature space | the sampler alone: how far from the decoder's best? | rebuilt |
| ``precision density``, ``recall coverage`` | do pictures look real; is all that is real drawn? | real |
| ``sampler_precision``, ``sampler_recall``, ... | the same of the sampler alone | rebuilt |
| ``diversity`` | is there as much variety (total variance of the features)? 1 is as much | rebuilt |
| ``novelty`` | distance to the nearest training image, over held-out reconstructions' | training |
| ``radius`` | mean Mahalanobis radius of the codes: cold draws look close to everything | – |
| ``log_likelihood`` | nats per held-out code under the sampler's law, where it has a density | held-out |

*real*: n test images; *rebuilt*: the same decoder's reconstructions of these very images. Where
a decoder blurs, its pictures have no precision among real images, whoever draws: then the second tells
samplers apart. What is not per feature space is
measured in random-conv features.

Protocol. References are test images, or their reconstructions; nothing is judged on what it was fitted
on. Every row is judged on the same number of pictures n, in several independent draws: a fresh draw of
codes for samplers, a subsample without replacement for images (such subsamples overlap, so the spread of
an image row is that of the subsampling alone; where the split has no more than n there is one, and no
spread); value, low and high are the mean, least and greatest over the draws. No bootstrap: resampled
pictures are copies of one another, which neither a distance of neighbours nor a Fréchet distance survives.
The face rate is of the first draw (its first 2,000 pictures at most), with Wilson's 95 % interval. All
pictures are decoded at the precision of the run's codes: bf16 moves a pixel by 0.2 of 256 grey levels on
average, alike in all rows.

A draw is decoded once, in blocks, and every feature is taken of the same block; of a draw only its features
are held, (n, d) in single precision, and never a matrix (n, n).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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
from latentshape.evaluation.features import FeatureContext, FeatureSpace, fit_spaces
from latentshape.evaluation.frechet import FrechetReference, expected_between_equals
from latentshape.evaluation.kid import KernelSide
from latentshape.evaluation.novelty import TRAINING_IMAGES, PictureNovelty
from latentshape.evaluation.prdc import NEIGHBOURS, Manifold, prdc
from latentshape.evaluation.recommendation import SPACE, recommend
from latentshape.images import to_images
from latentshape.models.base import Autoencoder, device_of
from latentshape.progress import bar
from latentshape.samplers import SAMPLERS, Sampler, make_sampler, sampler_class
from latentshape.shape import Moments, mahalanobis_squared
from latentshape.shape.moments import MomentSums
from latentshape.shape.wide import WHOLE

__all__ = [
    "BY_SPACE",
    "PLAIN",
    "Draw",
    "Judge",
    "Reference",
    "Seen",
    "check_pairing",
    "fit_samplers",
    "score",
    "wilson",
]

#: Columns with one entry per feature space, and those with one entry.
BY_SPACE = ("frechet", "gap", "kid", "kid_gap")
PLAIN = (
    "face_rate", "precision", "recall", "density", "coverage", "sampler_precision", "sampler_recall",
    "sampler_density", "sampler_coverage", "diversity", "novelty", "radius", "log_likelihood",
)  # fmt: skip
#: Pictures decoded and looked at together: several of the decoder's batches.
BLOCK = 1024
#: Images a feature space sees at once.
BATCH = 256
#: Pictures of a draw in which faces are looked for, at most: a share is then known to 0.01, and the search
#: takes as long as all else together.
FACES = 2000
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


def fit_samplers(
    z: np.ndarray, names: Iterable[str] | None = None
) -> tuple[dict[str, Sampler], dict[str, str]]:
    """Samplers with their defaults, fitted to training codes.

    Args:
        z: Training codes (n, d).
        names: Which; None: all in the registry.

    Returns:
        The fitted samplers, and why the others cannot be fitted to these codes.

    Raises:
        InputError: No sampler has that name.
    """
    fitted, refused = {}, {}
    for name in SAMPLERS if names is None else names:
        sampler_class(name)
        try:
            fitted[name] = make_sampler(name).fit(z)
        except InputError as error:
            refused[name] = str(error)
    return fitted, refused


@dataclass(frozen=True)
class Draw:
    """Pictures to judge.

    Attributes:
        pixels: Blocks (b, h, w, c) uint8, read once.
        z: The codes they were decoded from (n, d), where there are any.
    """

    pixels: Iterable[np.ndarray]
    z: np.ndarray | None = None


@dataclass(frozen=True)
class Seen:
    """A set of pictures as the judge sees it.

    Attributes:
        moments: Mean and covariance of the features, by space.
        features: The features by space, (n, d) float32.
        faces: Whether each of the first `FACES` shows a face, bool, where that was asked.
    """

    moments: dict[str, Moments]
    features: dict[str, np.ndarray]
    faces: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of pictures."""
        return len(next(iter(self.features.values())))

    @functools.cached_property
    def kernel(self) -> dict[str, KernelSide]:
        """The pictures' own part of kernel distances, by space."""
        return {space: KernelSide(features) for space, features in self.features.items()}

    @functools.cached_property
    def manifold(self) -> Manifold:
        """The pictures in random-conv features, for precision and recall; refused for too few."""
        return Manifold(_in_space(self.features))


class Reference:
    """Pictures that all others are compared with: what every distance needs of them, taken once.

    Attributes:
        seen: These pictures.
        frechet: One side of Fréchet distances, by space.
    """

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.frechet = {s: FrechetReference(m.mean, m.cov) for s, m in seen.moments.items()}

    def fidelity(self, seen: Seen) -> dict[str, float | str]:
        """Precision, recall, density and coverage of others; or the reason why there are none."""
        try:
            return dict(prdc(self.seen.manifold, seen.manifold))
        except InputError as refusal:
            return dict.fromkeys(("precision", "recall", "density", "coverage"), str(refusal))


@dataclass
class Judge:
    """What all pictures of a run are judged with.

    Attributes:
        spaces: Feature spaces, fitted on training images.
        detector: Of faces, or None.
        no_faces: Why there is no detector, or none to be asked about these images.
        device: Where features are computed.
        n: Pictures in each reference.
        chosen: Which test images these are, shape (n,).
        dataset: The run's images.
        moments: Of the training codes: their mean and covariance define the radius; or why there is
            none.
        real: The n test images.
        reconstructions: The same images, encoded and decoded.
    """

    spaces: list[FeatureSpace]
    detector: DetectorSettings | None
    no_faces: str | None
    device: torch.device
    n: int
    chosen: np.ndarray
    dataset: Dataset
    moments: Moments | str
    missing: dict[str, str]
    real: Reference = field(init=False)
    reconstructions: Reference = field(init=False)

    @classmethod
    def of(
        cls,
        model: Autoencoder,
        dataset: Dataset,
        test: Codes,
        n: int,
        rng: np.random.Generator,
        train: np.ndarray | None = None,
        config: EvaluationConfig | None = None,
        precision: str = "fp32",
    ) -> Judge:
        """Fit feature spaces and the detector on training images, and take n test images as references.

        Args:
            model: Trained autoencoder.
            dataset: Its images.
            test: Codes of the test split.
            n: Pictures in each reference; all test images where there are fewer.
            rng: Chooses them.
            train: Training codes (n, d), where radii are to be measured.
            config: Which feature spaces, with which files of weights; None: those that need only
                training images.
            precision: At which pictures are decoded and go through the networks that give features,
                ``fp32`` or ``bf16``.

        Raises:
            InputError: The codes are of other images than the dataset's, or a feature space or file
                of weights that was asked for cannot be used.
        """
        check_pairing(dataset, test)
        rows, reference = dataset.indices("train"), dataset.indices("test")
        sample = rng.choice(rows, min(FEATURE_IMAGES, len(rows)), replace=False)
        detector, why_none = None, detector_missing()
        if why_none is None:
            detector = calibrate(dataset.pixels[sample[:CALIBRATION_IMAGES]])
            why_none = no_faces(detector)
        device = device_of(model)
        if config is None:
            config = EvaluationConfig(features="pixel-pca,random-conv")
        weights = {"inception": config.inception_weights, "dinov2": config.dinov2_weights}
        context = FeatureContext(dataset, sample, model, precision, device, weights)
        spaces, missing = fit_spaces(context, config.feature_names())
        n = min(n, len(reference))
        chosen = rng.choice(len(reference), n, replace=False)
        judge = cls(
            spaces,
            detector,
            why_none,
            device,
            n,
            chosen,
            dataset,
            _moments_of_codes(train),
            missing,
        )
        judge.real = Reference(judge.look(_stored(dataset.pixels, reference[chosen])))
        judge.reconstructions = Reference(judge.look(_decoded(model, test.z[chosen], precision)))
        return judge

    def look(self, blocks: Iterable[np.ndarray], faces: bool = False) -> Seen:
        """See pictures in every feature space, in one pass over their blocks.

        Args:
            blocks: Pixels (b, h, w, c) uint8.
            faces: Whether to look for faces as well.
        """
        sums: dict[str, MomentSums] = {}
        parts: dict[str, list[np.ndarray]] = {space.name: [] for space in self.spaces}
        found: list[np.ndarray] = []
        for pixels in blocks:
            looked = sum(map(len, found))
            if faces and looked < FACES and self.detector is not None and self.no_faces is None:
                found.append(finds_face(pixels[: FACES - looked], self.detector))
            block: dict[str, list[np.ndarray]] = {space.name: [] for space in self.spaces}
            for name, batch in self._features(pixels):
                block[name].append(batch)
            # After all networks, and not in turn with them: their threads are not NumPy's.
            for name, batches in block.items():
                features = np.concatenate(batches)
                if not np.isfinite(features).all():
                    raise InputError(
                        f"The features {name!r} of these pictures are not all finite numbers: the "
                        "space does not suit them; leave out its file of weights, or the space."
                    )
                if name not in sums:
                    sums[name] = MomentSums(features.mean(axis=0))
                sums[name].update(features)
                parts[name].append(features.astype(np.float32))
        return Seen(
            {name: total.result() for name, total in sums.items()},
            {name: np.concatenate(some) for name, some in parts.items()},
            np.concatenate(found) if found else None,
        )

    def _features(
        self, pixels: np.ndarray, spaces: Iterable[FeatureSpace] | None = None
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Name of a space and features (at most 256, d) in it, float64, batch by batch."""
        for start in range(0, len(pixels), BATCH):
            images = to_images(np.array(pixels[start : start + BATCH]), self.device)
            for space in self.spaces if spaces is None else spaces:
                with torch.inference_mode():
                    yield space.name, space(images)

    @functools.cached_property
    def novelty(self) -> PictureNovelty | str:
        """Distances to training images, whose features are taken when first asked for; or why not."""
        spaces = [space for space in self.spaces if space.name == SPACE]
        if not spaces:
            return _no_space()
        rows = self.dataset.indices("train")
        rows = rows[:: -(-len(rows) // TRAINING_IMAGES)]

        def training() -> Iterator[np.ndarray]:
            with bar(len(rows), "looking at training images") as progress:
                for pixels in _stored(self.dataset.pixels, rows):
                    yield from (features for _, features in self._features(pixels, spaces))
                    progress.update(len(pixels))

        try:
            return PictureNovelty(training(), self.reconstructions.seen.features[SPACE])
        except InputError as refusal:
            return str(refusal)

    def face_rate(self, seen: Seen) -> dict[str, Any]:
        """Share of pictures in which the detector finds a face, with Wilson's 95 % interval."""
        return _proportion(seen.faces, self.no_faces)

    def measure(self, draw: Draw, seen: Seen) -> dict[tuple[str, ...], float | str]:
        """Every number of one draw, by column (and space); a reason in place of what there is not."""
        found: dict[tuple[str, ...], float | str] = {}
        for distance, kernel, prefix, reference in (
            ("frechet", "kid", "", self.real),
            ("gap", "kid_gap", "sampler_", self.reconstructions),
        ):
            for space, moments in seen.moments.items():
                found[distance, space] = reference.frechet[space].distance(
                    moments.mean, moments.cov
                )
                found[kernel, space] = reference.seen.kernel[space].distance(seen.kernel[space])
            for name, value in reference.fidelity(seen).items():
                found[prefix + name,] = value
        found["diversity",] = self._diversity(seen)
        found["novelty",] = (
            self.novelty
            if isinstance(self.novelty, str)
            else self.novelty.ratio(seen.features[SPACE])
        )
        found["radius",] = self._radius(draw.z)
        return found

    def _diversity(self, seen: Seen) -> float | str:
        if SPACE not in seen.moments:
            return _no_space()
        whole = float(np.trace(self.reconstructions.seen.moments[SPACE].cov))
        if not whole > 0:
            return "the reconstructions of the test images are all alike"
        return float(np.trace(seen.moments[SPACE].cov)) / whole

    def _radius(self, z: np.ndarray | None) -> float | str:
        if z is None:
            return "these pictures were not decoded from codes"
        if isinstance(self.moments, str):
            return self.moments
        try:
            return float(np.sqrt(mahalanobis_squared(z, self.moments)).mean())
        except InputError as refusal:
            return str(refusal)

    def row(self, draws: Iterable[Draw]) -> dict[str, Any]:
        """Judge independent draws of equal size: an entry for every column."""
        faces: dict[str, Any] = {}
        found: dict[tuple[str, ...], list[float | str]] = {}
        for draw in draws:
            seen = self.look(draw.pixels, faces=not faces)
            faces = faces or self.face_rate(seen)
            for column, value in self.measure(draw, seen).items():
                found.setdefault(column, []).append(value)
        row: dict[str, Any] = {"face_rate": faces}
        for (name, *space), values in found.items():
            entry = _spread(values, seen.n)
            if space:
                row.setdefault(name, {})[space[0]] = entry
            else:
                row[name] = entry
        row["log_likelihood"] = {"value": None, "why": "these pictures are not drawn from a law"}
        return row

    def facts(self) -> dict[str, Any]:
        """What is to be known of each feature space to read its numbers, ready for JSON."""
        return {space.name: self._facts(space) for space in self.spaces}

    def _facts(self, space: FeatureSpace) -> dict[str, Any]:
        real, rebuilt = (r.seen.moments[space.name] for r in (self.real, self.reconstructions))
        facts = {
            **space.facts(),
            "dimension": real.d,
            # What the distance is to be read against: pictures of the very same law would have it.
            "between_equals": {
                "frechet": expected_between_equals(real.cov, self.n),
                "gap": expected_between_equals(rebuilt.cov, self.n),
            },
        }
        if self.n <= real.d:
            facts["note"] = (
                f"{self.n} pictures for {real.d} dimensions: Fréchet distances are mostly chance; "
                "judge more pictures, or look at the kernel distance, which has no bias"
            )
        return facts


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


def _stored(pixels: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Chosen images in blocks."""
    for start in range(0, len(rows), BLOCK):
        yield pixels[rows[start : start + BLOCK]]


def _decoded(model: Autoencoder, z: np.ndarray, precision: str = "fp32") -> Iterator[np.ndarray]:
    """Decoded codes in blocks."""
    for start in range(0, len(z), BLOCK):
        yield decode_pixels(model, z[start : start + BLOCK], precision)


def _moments_of_codes(train: np.ndarray | None) -> Moments | str:
    if train is None:
        return "the training codes, about which radii are measured, were not given"
    if train.shape[1] > WHOLE:
        return (
            f"Mahalanobis radii of {train.shape[1]:,} components need a covariance of all; the "
            "log-likelihood of the sampler 'low-rank' does without"
        )
    return Moments.of(train)


def _in_space(features: dict[str, np.ndarray]) -> np.ndarray:
    if SPACE not in features:
        raise InputError(_no_space())
    return features[SPACE]


def _no_space() -> str:
    return f"this is measured in {SPACE} features, which these images have not"


def _proportion(found: np.ndarray | None, why: str | None) -> dict[str, Any]:
    if found is None:
        return {"value": None, "why": why}
    low, high = wilson(int(found.sum()), len(found))
    return {"value": float(found.mean()), "low": low, "high": high, "n": len(found)}


def _spread(values: list[float | str], n: int) -> dict[str, Any]:
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        return {"value": None, "why": next(value for value in values if isinstance(value, str))}
    if not np.isfinite(numbers).all():
        return {
            "value": None,
            "why": "not finite: the features of these pictures are out of bounds",
        }
    return {
        "value": float(np.mean(numbers)), "low": min(numbers), "high": max(numbers),
        "n": n, "draws": len(numbers),
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
    train: np.ndarray | None = None,
    precision: str = "fp32",
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
        train: Training codes (n, d), about whose centre radii are measured; without them there are
            no radii.
        precision: Of the decoder and of the networks that give features: that of the run's codes.

    Raises:
        InputError: The codes are of other images than the dataset's.
    """
    check_pairing(dataset, held_out, test)
    rng = np.random.default_rng(seed)
    real, reference = dataset.indices("validation"), dataset.indices("test")
    judge = Judge.of(model, dataset, test, min(config.n, len(real)), rng, train, config, precision)
    n = judge.n
    # Where n takes the whole split, a second subsample would be the same images in another order.
    different = config.draws if n < len(real) else 1
    subsamples = [rng.choice(len(real), n, replace=False) for _ in range(different)]

    def drawn(sampler: Sampler) -> Iterator[Draw]:
        for k in range(config.draws):
            z = sampler.sample(n, seed=seed + k)
            yield Draw(_decoded(model, z, precision), z)

    def scrambled(rows: np.ndarray) -> Iterator[np.ndarray]:
        for i, pixels in enumerate(_stored(dataset.pixels, rows)):
            yield scramble_phases(pixels, seed + i * BLOCK)

    rows: dict[str, Any] = {}
    with bar(len(samplers) + 3, "judging", unit="rows") as progress:
        rows["real"] = judge.row(Draw(_stored(dataset.pixels, real[s])) for s in subsamples)
        progress.update()
        held = (held_out.z[s] for s in subsamples)
        rows["reconstruction"] = judge.row(Draw(_decoded(model, z, precision), z) for z in held)
        rows["reconstruction"]["mse"] = _squared_error(model, test.z, dataset.pixels, reference)
        progress.update()
        rows["phase-scrambled"] = judge.row(Draw(scrambled(real[s])) for s in subsamples)
        progress.update()
        for name, sampler in samplers.items():
            rows[name] = judge.row(drawn(sampler))
            rows[name]["log_likelihood"] = _likelihood(sampler, held_out.z)
            progress.update()
    for name, why in (refused or {}).items():
        rows[name] = _nothing({column: rows["real"][column] for column in BY_SPACE + PLAIN}, why)
    return {
        "n": n,
        "draws": config.draws,
        "seed": seed,
        "precision": precision,
        "neighbours": NEIGHBOURS,
        "reference": f"{n} of {len(reference)} test images; real is the validation split",
        "held_out": {"validation": len(real), "test": len(reference)},
        "detector": judge.detector.to_dict() if judge.detector else None,
        "features": judge.facts(),
        "features_left_out": judge.missing,
        "recommendation": recommend(rows),
        "rows": rows,
    }


def _nothing(row: dict[str, Any], why: str) -> dict[str, Any]:
    """A row of the same columns, with a reason in place of every entry."""
    return {
        key: {"value": None, "why": why} if "value" in entry else _nothing(entry, why)
        for key, entry in row.items()
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
