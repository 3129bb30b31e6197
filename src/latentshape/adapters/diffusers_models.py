"""`AutoencoderKL` of diffusers: spatial codes (n, c, h, w), the mean of its distribution, its scaling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from latentshape.adapters.adapted import Adapted
from latentshape.adapters.borders import Layout
from latentshape.errors import InputError, first_line

__all__ = ["from_diffusers"]

MISSING = "these models need diffusers: pip install 'latentshape[diffusers]'"


def from_diffusers(model: Any, size: int) -> Adapted:
    """An autoencoder of an `AutoencoderKL`, or of the folder one was saved in.

    Its pictures are RGB in [-1, 1]. The mean of its distribution is the code, times its scaling factor, as
    diffusion models see it; decoding divides by it again.

    Args:
        model: The model, or its folder.
        size: Side of the pictures.

    Raises:
        InputError: diffusers is not installed, or there is no such model.
    """
    if isinstance(model, (str, Path)):
        model = _from_folder(Path(model))
    config = getattr(model, "config", None)
    if config is None or not hasattr(model, "encode") or not hasattr(model, "decode"):
        raise InputError(f"Expected an AutoencoderKL, got {type(model).__name__}.")
    scale = float(getattr(config, "scaling_factor", None) or 1.0)
    shift = float(getattr(config, "shift_factor", None) or 0.0)
    channels = int(getattr(config, "in_channels", 3))

    def encode(x: Tensor) -> Tensor:
        return model.encode(x).latent_dist.mode() - shift

    def decode(z: Tensor) -> Tensor:
        return model.decode(z + shift).sample

    return Adapted(
        encode,
        decode,
        Layout(channels, size, low=-1.0, high=1.0),
        scale=scale,
        modules=(model,),
        name=type(model).__name__,
    )


def _from_folder(folder: Path) -> Any:
    try:
        from diffusers import AutoencoderKL
    except ImportError:
        raise InputError(f"{MISSING}.") from None
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no config.json; expected the folder of an AutoencoderKL.")
    try:
        return AutoencoderKL.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    except Exception as error:  # diffusers' own have no common base
        raise InputError(f"{folder} holds no AutoencoderKL: {first_line(error)}.") from None
