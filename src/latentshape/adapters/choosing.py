"""Which adapter a model needs: told by what it is, and nothing imported that is not there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from latentshape.adapters.adapted import Adapted
from latentshape.adapters.borders import Layout
from latentshape.errors import InputError, first_line

__all__ = ["adapt"]


def adapt(
    model: Any,
    size: int | None = None,
    channels: int | None = None,
    *,
    encoder: str | None = None,
    decoder: Any = None,
    split: str | None = None,
    pixel_range: tuple[float, float] | None = None,
    channels_last: bool | None = None,
) -> Adapted:
    """Anyone's trained autoencoder as one of ours.

    Args:
        model: One of: a `torch.nn.Module` with an encoder and a decoder in it; a Keras 3 model; diffusers'
            ``AutoencoderKL`` or its folder; a pair (encode, decode) of functions, torch modules, Keras models
            or ONNX files; a ``.keras`` file; ``"encoder.onnx,decoder.onnx"``.
        size: Side of its pictures; None where the model itself says so (Keras).
        channels: Of its pictures; None: as the model says, else 3.
        encoder: Name of the part of a torch module that encodes; None: found by its usual names.
        decoder: Name of the part that decodes; or a Keras decoder beside a Keras encoder.
        split: Of one Keras model: the layer whose output is the code.
        pixel_range: (low, high) of its pixels; None: (0, 1), and (-1, 1) for ``AutoencoderKL``.
        channels_last: Whether its pictures are (n, h, w, c); None: Keras' are, all others' are not.

    Returns:
        An autoencoder with ``encode(x)`` and ``decode(z)`` in latentshape's terms: images (n, c, h, w) in
        [0, 1], codes (n, d), tensors both.

    Raises:
        InputError: It is none of these, an extra is missing, or what it returns is not what was stated.

    Example:
        >>> import numpy as np
        >>> pair = adapt((lambda x: x.mean((2, 3)), lambda z: z[:, :, None, None] * np.ones((32, 32))), 32, 1)
        >>> pair.latent_dim
        1
    """
    if isinstance(model, str) and model.count(",") == 1:
        model = tuple(model.split(","))
    if isinstance(model, (str, Path)):
        model = _from_file(Path(model))
    pair = model if isinstance(model, (tuple, list)) else None
    if pair is not None and len(pair) != 2:
        raise InputError(f"A pair is (encode, decode), got {len(pair)} things.")
    if _of("diffusers", model) or (isinstance(model, Path) and model.is_dir()):
        from latentshape.adapters.diffusers_models import from_diffusers

        return from_diffusers(model, _needed(size, "size"))
    keras = (pair is None and _of("keras", model)) or (pair is not None and _of("keras", pair[0]))
    if channels_last is None:
        channels_last = keras
    first = pair[0] if pair is not None else model
    size, channels = _stated(first, size, channels, channels_last)
    layout = Layout(channels, size, *(pixel_range or (0.0, 1.0)), channels_last=channels_last)
    if keras:
        from latentshape.adapters.keras_models import from_keras

        return from_keras(first, layout, decoder=pair[1] if pair else decoder, split=split)
    if pair is not None:
        return _from_pair(pair[0], pair[1], layout)
    if isinstance(model, nn.Module):
        from latentshape.adapters.torch_modules import from_module

        return from_module(model, layout, encoder=encoder, decoder=decoder)
    raise InputError(
        f"A {type(model).__name__} is no autoencoder that is known here; pass a torch module, a "
        "Keras model, an AutoencoderKL, ONNX files, or a pair of functions (encode, decode)."
    )


def _from_pair(encode: Any, decode: Any, layout: Layout) -> Adapted:
    if all(isinstance(one, (str, Path)) for one in (encode, decode)):
        from latentshape.adapters.onnx_models import from_onnx

        return from_onnx(encode, decode, layout)
    for role, one in (("encode", encode), ("decode", decode)):
        if not callable(one):
            raise InputError(
                f"{role} must be a function, a model or an ONNX file, got a {type(one).__name__}."
            )
    modules = tuple(one for one in (encode, decode) if isinstance(one, nn.Module))
    name = "the pair of modules" if modules else "the pair of functions"
    return Adapted(encode, decode, layout, modules=modules, name=name)


def _from_file(path: Path) -> Any:
    if path.suffix != ".keras":
        if path.is_dir():
            return path
        raise InputError(
            f"{str(path)!r} is no model that can be read: expected a .keras file, the folder of an "
            "AutoencoderKL, or 'encoder.onnx,decoder.onnx'."
        )
    try:
        import keras
    except ImportError:
        from latentshape.adapters.keras_models import MISSING

        raise InputError(f"{MISSING}.") from None
    try:
        # safe_mode: a file may not bring code of its own.
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras' errors have no common base
        raise InputError(f"{path} is no Keras model: {first_line(error)}.") from None


def _of(package: str, model: Any) -> bool:
    """Whether a class of the model comes from a package; nothing is imported to find out."""
    return any(kind.__module__.split(".")[0] == package for kind in type(model).__mro__)


def _stated(
    first: Any, size: int | None, channels: int | None, channels_last: bool
) -> tuple[int, int]:
    """Size and channels as given, or as the model's input says."""
    shape = getattr(first, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == 4:
        height, said = (shape[1], shape[3]) if channels_last else (shape[2], shape[1])
        size, channels = size or height, channels or said
    return int(_needed(size, "size")), int(channels or 3)


def _needed(value: int | None, name: str) -> int:
    if value is None:
        raise InputError(
            f"The {name} of the model's pictures is not known; pass {name}=..., in pixels."
        )
    return value
