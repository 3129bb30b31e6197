"""Networks' weights from a user's file: read without trust, compared tensor by tensor.

The only place where anything of torch's own file format is opened, and then for tensors alone
(``weights_only``): a ``.pth`` file is a pickle, and a pickle can run anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from latentshape.errors import InputError

__all__ = ["check_tensors", "read_weights", "rgb", "sha256_of"]


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a state dict: ``.safetensors``, or any other suffix as torch saves it.

    Raises:
        InputError: There is no such file, or something else than named tensors in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"Expected a file of weights, got {str(path)!r}: there is no such file.")
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the damage leads to: torch names no type of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{str(path)!r} cannot be read as weights ({reason[:200]}). Expected a state dict of "
            "tensors, as torch.save or safetensors write it; fetch the file again."
        ) from None
    if not isinstance(found, Mapping) or not all(isinstance(t, Tensor) for t in found.values()):
        inside = type(found).__name__
        if isinstance(found, Mapping):
            inside = f"a dictionary of {', '.join(map(repr, list(found)[:3]))}"
        raise InputError(
            f"{str(path)!r} holds {inside}; expected a state dict of tensors. Save "
            "network.state_dict() alone."
        )
    return dict(found)


def check_tensors(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    path: str | Path,
    network: str,
    unused: Iterable[str] = (),
) -> dict[str, Tensor]:
    """The tensors of a network, in float32, if they are just those of its architecture.

    Args:
        tensors: From the file.
        shapes: Of every tensor the network has, in its own order.
        path: The file, for messages.
        network: What it should hold, for messages.
        unused: Ends of the names of further tensors that may be there, and change nothing.

    Raises:
        InputError: A tensor is missing, misshapen, one too many, or not finite; the first is named.
    """
    for name, shape in shapes.items():
        if name not in tensors:
            raise InputError(
                f"{str(path)!r} is not {network}: it has no tensor {name!r}. Give the weights of that "
                "architecture."
            )
        if tuple(tensors[name].shape) != shape:
            raise InputError(
                f"{str(path)!r} is not {network}: {name!r} has shape {tuple(tensors[name].shape)}, "
                f"expected {shape}. Give the weights of that architecture."
            )
        if not torch.isfinite(tensors[name]).all():
            raise InputError(
                f"{str(path)!r} is damaged: {name!r} holds numbers that are not finite. Fetch the "
                "file again."
            )
    for name in tensors:
        if name not in shapes and not name.endswith(tuple(unused)):
            raise InputError(
                f"{str(path)!r} is not {network}, which has no tensor {name!r}. Give the weights of "
                "that architecture."
            )
    return {name: tensors[name].float() for name in shapes}


def rgb(images: Tensor) -> Tensor:
    """Images of three channels, which these networks were trained on; grey ones thrice."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
