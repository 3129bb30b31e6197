"""Autoencoders. All share one encoder and one decoder and differ in their loss alone."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from latentshape.config import ADOPTED, MODELS, Config
from latentshape.errors import InputError
from latentshape.runs import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from latentshape.models.base import Autoencoder

__all__ = ["build_model", "load_model", "pick_device"]


def build_model(config: Config) -> Autoencoder:
    """The model a config names, with fresh weights from the config's seed.

    Every random number comes from a generator seeded here; torch's global state is left as it was.
    """
    import torch

    if config.model.model == ADOPTED:
        raise InputError(
            "An adopted model was trained elsewhere and cannot be built here; hand it over with "
            "latentshape.adopt."
        )
    module, _, name = MODELS[config.model.model].partition(":")
    kind = getattr(import_module(module), name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        model = kind(config.model, config.data.size, config.data.channels)
    return model.to(memory_format=torch.channels_last)


def load_model(run: RunFolder, weights: Path | None = None) -> Autoencoder:
    """The trained model of a run, on the best device, ready to encode and decode.

    Args:
        run: Whose model.
        weights: Other weights of it, such as one of its snapshots.

    Returns:
        An autoencoder with ``encode(x)`` and ``decode(z)``, in evaluation mode: images (n, c, h, w) in
        [0, 1], codes (n, d), tensors both.

    Raises:
        InputError: The run is not trained yet, or its weights are damaged or of another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if run.config().model.model == ADOPTED:
        from latentshape.adapters.held import held_model

        return held_model(run)
    weights = weights or run.need(run.model_path, "train --out")
    model = build_model(run.config())
    try:
        model.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{weights} does not hold the weights of this run's model "
            f"({str(error).splitlines()[0]}). Train again, or restore the file."
        ) from None
    return model.eval().to(pick_device())


def pick_device() -> torch.device:
    """CUDA where there is one, else the processor."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
