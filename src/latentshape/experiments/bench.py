"""What experiments on one run share: model, codes, judge; opened when first needed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from latentshape.codes import Codes
    from latentshape.evaluation.scorecard import Judge
    from latentshape.models.base import Autoencoder
    from latentshape.runs import RunFolder
    from latentshape.samplers import Sampler

__all__ = ["Bench"]

#: Pictures of a quick look.
QUICK = 200


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
