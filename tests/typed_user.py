"""A small program of a user's, which mypy reads as strictly as --strict: every public name is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import latentshape as ls


def faces_of(config_name: str, out: Path) -> npt.NDArray[np.uint8]:
    """New faces of a run that is made where there is none."""
    run: ls.RunFolder = ls.run_all(ls.make_config(config_name, latent_dim=64, epochs=2), out)
    codes = ls.load_codes(run, "train")
    shape: dict[str, Any] = ls.measure(codes.z, deep=False)
    names: list[str] = sorted(ls.SAMPLERS)
    sampler = ls.make_sampler(names[0] if shape["n"] < 100 else "gaussian").fit(codes.z)
    z: npt.NDArray[np.float32] = sampler.sample(32, seed=1)
    pixels: npt.NDArray[np.uint8] = ls.decode_pixels(ls.load_model(run), z)
    ls.save_png(out / "faces.png", ls.grid(pixels, columns=8))
    return pixels


def size_of(spec: str) -> int:
    """How many images a dataset has; none where it cannot be read."""
    try:
        return len(ls.open_dataset(spec, size=32))
    except ls.InputError:
        return 0


def adopted(model: object, images: npt.NDArray[np.uint8]) -> Path:
    """The report on somebody else's model."""
    dimension: int = ls.adapt(model, size=32).latent_dim
    run = ls.adopt(model, images, f"runs/{dimension}", size=32)
    return run.report_path
