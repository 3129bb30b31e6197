"""Keras 3 models under any backend: an encoder and a decoder, or one model that is split at a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentshape.adapters.adapted import Adapted
from latentshape.adapters.borders import Layout, as_array
from latentshape.errors import InputError, first_line, suggestion

__all__ = ["from_keras", "split_at"]

MISSING = "Keras models need Keras 3: pip install 'latentshape[keras]'"


def from_keras(
    model: Any, layout: Layout, *, decoder: Any = None, split: str | None = None
) -> Adapted:
    """An autoencoder of Keras models.

    Args:
        model: The encoder, where there is a ``decoder``; else a model with attributes ``encoder`` and
            ``decoder``; else a functional model to be split.
        layout: What their pictures are; Keras' convolutions have channels last unless told otherwise.
        decoder: Codes to pictures.
        split: Name of the layer of ``model`` whose output is the code.

    Raises:
        InputError: Keras is not installed, or there is nothing to split at.
    """
    if decoder is None and split is not None:
        encoder, decoder = split_at(model, split)
    elif decoder is None:
        encoder, decoder = (getattr(model, name, None) for name in ("encoder", "decoder"))
        if encoder is None or decoder is None:
            raise InputError(
                f"The Keras model {model.name!r} has no attributes encoder and decoder; pass decoder=..., or "
                f"split='LAYER', the layer whose output is the code (its layers: {_layers(model)})."
            )
    else:
        encoder = model
    name = f"the Keras model {getattr(model, 'name', type(model).__name__)!r}"
    return Adapted(_asked(encoder), _asked(decoder), layout, name=name)


def split_at(model: Any, layer: str) -> tuple[Any, Any]:
    """Encoder and decoder of one functional model: what leads to a layer, and what follows it.

    Raises:
        InputError: No such layer, or the model cannot be cut there: something leads round it.
    """
    try:
        import keras
    except ImportError:
        raise InputError(f"{MISSING}.") from None
    names = [one.name for one in model.layers]
    if layer not in names:
        raise InputError(f"{model.name!r} has no layer {layer!r}{suggestion(layer, names)}")
    code = model.get_layer(layer).output
    taken = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    encoder = keras.Model(taken, code, name=f"{model.name}-encoder")
    try:
        # Keras follows the graph from the code on to the output.
        decoder = keras.Model(code, model.outputs[0], name=f"{model.name}-decoder")
    except Exception as error:  # a graph that is not connected; Keras' errors differ by version
        raise InputError(
            f"{model.name!r} cannot be split at {layer!r}: {first_line(error)}. Choose a "
            "layer that all "
            "that follows goes through."
        ) from None
    return encoder, decoder


def _asked(model: Any) -> Any:
    """A model as a function of NumPy arrays, in inference mode."""

    def run(x: Any) -> Any:
        given = x.numpy() if isinstance(x, Tensor) else x
        with torch.no_grad():
            found = model(given, training=False)
        if isinstance(found, (list, tuple)):
            return [as_array(part) for part in found]
        if isinstance(found, dict):
            return {key: as_array(part) for key, part in found.items()}
        return as_array(found)

    return run


def _layers(model: Any) -> str:
    names = [layer.name for layer in getattr(model, "layers", [])]
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
