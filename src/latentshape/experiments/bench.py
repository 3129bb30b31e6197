"""What experiments on one run share: model, codes, judge, opened when first needed; and how they judge."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentshape.errors import InputError
from latentshape.shape import Moments, mahalanobis_squared

if TYPE_CHECKING:
    from latentshape.codes import Codes
    from latentshape.evaluation.scorecard import Judge
    from latentshape.models.base import Autoencoder
    from latentshape.runs import RunFolder
    from latentshape.samplers import Sampler

__all__ = ["DRAWS", "STRIP", "Bench", "Record", "judged", "question_of", "strips", "with_settings"]

#: Pictures of a quick look.
QUICK = 200
#: Pictures in a strip, and draws behind each range.
STRIP, DRAWS = 12, 3

Record = dict[str, Any]


class Bench:
    """A trained run, ready to draw from and to judge.

    Args:
        run: With a model and codes.
        quick: Judge `QUICK` pictures instead of the config's number.
        seed: Of all draws.
    """

    def __init__(self, run: RunFolder, quick: bool = False, seed: int = 0) -> None:
        self.run, self.quick, self.seed = run, quick, seed
        for path, verb in ((run.model_path, "train"), (run.codes_path, "encode")):
            run.need(path, verb)

    @property
    def folder(self) -> Path:
        """Where records and pictures go."""
        return self.run.series_path / "quick" if self.quick else self.run.series_path

    def protocol(self, experiment: Callable[[Bench], Any]) -> dict[str, Any]:
        """What a record must have been made with to count as this experiment, done."""
        from latentshape import __version__
        from latentshape.codes import weights_digest

        settings = getattr(experiment, "settings", None)
        return {
            "n": self.config_n(),
            "seed": self.seed,
            "settings": json.loads(json.dumps(settings() if settings else {})),
            "latentshape": __version__,
            "weights": weights_digest(self.run),
            "reference": "reconstructions of test images on the same decoder, features random-conv",
        }

    def config_n(self) -> int:
        """Pictures per row: as the config says, and no more than there are test images."""
        n = min(self.run.config().evaluation.n, len(self.codes("test").z))
        return min(n, QUICK) if self.quick else n

    @functools.cached_property
    def model(self) -> Autoencoder:
        """The trained autoencoder."""
        from latentshape.models import load_model

        return load_model(self.run)

    def codes(self, split: str) -> Codes:
        """Codes of one split."""
        from latentshape.codes import load_codes

        return load_codes(self.run, split)

    @functools.cached_property
    def z(self) -> np.ndarray:
        """Training codes (n, d): what samplers are fitted on."""
        return self.codes("train").z

    @functools.cached_property
    def judge(self) -> Judge:
        """Feature spaces, detector and references."""
        from latentshape.evaluation.scorecard import Judge
        from latentshape.pipeline import open_data

        rng = np.random.default_rng(self.seed)
        dataset = open_data(self.run.config(), self.run)
        return Judge.of(self.model, dataset, self.codes("test"), self.config_n(), rng)

    def fitted(self, name: str, **options: Any) -> Sampler:
        """A sampler fitted to the training codes."""
        from latentshape.samplers import make_sampler

        return make_sampler(name, **options).fit(self.z)

    def judge_codes(self, z: np.ndarray) -> dict[str, Any]:
        """Decode codes (n, d) and judge the pictures.

        Returns:
            ``face_rate``, ``gap`` (Fréchet distance to reconstructions of test images), ``precision``,
            ``recall``, ``density``, ``coverage`` (against the same); None where there is no number.
        """
        judge, rebuilt = self.judge, self.judge.reconstructions
        seen = judge.look([self.pictures(z)], faces=True)
        moments = seen.moments["random-conv"]
        return {
            "face_rate": judge.face_rate(seen)["value"],
            "gap": rebuilt.frechet["random-conv"].distance(moments.mean, moments.cov),
            **{k: None if isinstance(v, str) else v for k, v in rebuilt.fidelity(seen).items()},
        }

    def pictures(self, z: np.ndarray) -> np.ndarray:
        """Decoded pixels (n, h, w, c) uint8."""
        from latentshape.decoding import decode_pixels

        return decode_pixels(self.model, z)


def with_settings(
    settings: Callable[[], Record],
) -> Callable[[Callable[[Bench], Record]], Callable[[Bench], Record]]:
    """Give an experiment its ``settings()``, which its protocol holds."""

    def give(experiment: Callable[[Bench], Record]) -> Callable[[Bench], Record]:
        experiment.settings = settings  # type: ignore[attr-defined]
        return experiment

    return give


def judged(
    bench: Bench, moments: Moments, draw: Callable[[int], np.ndarray], **options: Any
) -> Record:
    """One setting, judged in several draws; a law that cannot be fitted says why.

    Args:
        bench: The run and its judge.
        moments: Of the training codes, for Mahalanobis radii.
        draw: Codes (n, d) of a seed.
        options: What is varied.
    """
    found: dict[str, list[float]] = {}
    try:
        for k in range(DRAWS):
            z = draw(bench.seed + k)
            radius = float(np.sqrt(mahalanobis_squared(z, moments)).mean())
            for name, value in {**bench.judge_codes(z), "radius": radius}.items():
                if value is not None:
                    found.setdefault(name, []).append(value)
    except InputError as refusal:
        return {**options, "why": str(refusal)}
    entries = {
        name: {"value": float(np.mean(values)), "low": min(values), "high": max(values)}
        for name, values in found.items()
    }
    return {**options, **entries}


def strips(bench: Bench, name: str, codes: Iterable[tuple[str, np.ndarray]]) -> None:
    """One line of pictures per setting, under its name, in the order of the rows."""
    from latentshape import sampling_plots as plots

    rows = [(label, bench.pictures(z)) for label, z in codes]
    plots.save_strips(rows, bench.folder / f"{name}.png")


def question_of(experiment: Any) -> str:
    """The question of an experiment: the first line of its docstring."""
    return experiment.__doc__.strip().splitlines()[0]
