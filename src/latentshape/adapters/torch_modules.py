"""A `torch.nn.Module` with an encoder and a decoder in it, by the names that people give them."""

from __future__ import annotations

from typing import Any

from torch import nn

from latentshape.adapters.adapted import Adapted
from latentshape.adapters.borders import Layout
from latentshape.errors import InputError, suggestion

__all__ = ["ENCODERS", "from_module"]

ENCODERS = ("encode", "encoder", "enc", "encoder_net", "encoder_network", "q", "inference_net")
"""Names under which an encoder is looked for, in this order; a decoder under the same with "de" for "en"."""
DECODERS = ("decode", "decoder", "dec", "decoder_net", "decoder_network", "p", "generative_net")


def from_module(
    module: nn.Module,
    layout: Layout,
    *,
    encoder: str | None = None,
    decoder: str | None = None,
) -> Adapted:
    """An autoencoder of a torch module.

    It stays on its device and keeps its dtype: pictures and codes are brought there and back. While it is
    asked it rests in evaluation mode, and is left as it was.

    Args:
        module: With a method or part that encodes, and one that decodes.
        layout: What its pictures are.
        encoder: Name of what encodes, dotted for parts of parts; None: found among the usual ones.
        decoder: The same of what decodes.

    Raises:
        InputError: There are none of those names, or they do not fit together.
    """
    name = type(module).__name__
    encode = _part(module, encoder, ENCODERS, "encoder", name)
    decode = _part(module, decoder, DECODERS, "decoder", name)
    return Adapted(encode, decode, layout, modules=(module,), name=name)


def _part(
    module: nn.Module, wanted: str | None, usual: tuple[str, ...], role: str, name: str
) -> Any:
    if wanted is not None:
        found: Any = module
        for step in wanted.split("."):
            if not hasattr(found, step):
                known = [part for part, _ in module.named_modules() if part]
                raise InputError(f"{name} has no part {wanted!r}{suggestion(wanted, known)}")
            found = getattr(found, step)
        return _callable(found, wanted, name)
    for candidate in usual:
        if callable(getattr(module, candidate, None)):
            return getattr(module, candidate)
    parts = ", ".join(part for part, _ in module.named_children()) or "none"
    raise InputError(
        f"No {role} was found in {name}: it has no {', '.join(usual[:3])}, ... Name it: "
        f"{role}='...' (its parts: "
        f"{parts})."
    )


def _callable(found: Any, wanted: str, name: str) -> Any:
    if not callable(found):
        raise InputError(f"{wanted!r} of {name} is a {type(found).__name__} and cannot be called.")
    return found
