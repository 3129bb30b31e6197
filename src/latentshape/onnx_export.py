"""Decoder and encoder of a run as ONNX: for a browser, another language, or a phone.

====================  ==================================  ====================================================
file                  takes                               gives
====================  ==================================  ====================================================
``decoder.onnx``      ``codes`` (n, d), float32           ``images`` (n, c, h, w), float32 in [0, 1]
``encoder.onnx``      ``images`` (n, c, h, w) in [0, 1]   ``codes`` (n, d), the mean where codes are drawn
====================  ==================================  ====================================================

Any number n at once; batch norm rests. Weights lie inside the file. What was written is run by ONNX Runtime
on codes of the run before it is believed, and refused where it is not what the model itself gives.

An adopted model is written too, with its border inside the file (range, order of channels, shape of a code),
so that every file has the two sides above: one of torch is exported as ours are, a pair of ONNX files is
continued by the nodes of its border. Keras models and functions cannot be: their own framework has to.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from latentshape.adapters.adapted import Adapted
from latentshape.adapters.onnx_models import MISSING, session_of
from latentshape.codes import load_codes
from latentshape.errors import InputError, first_line
from latentshape.files import atomic_path
from latentshape.models import load_model
from latentshape.models.base import Autoencoder
from latentshape.progress import say

if TYPE_CHECKING:
    from latentshape.runs import RunFolder

__all__ = ["PARTS", "WORST", "Exported", "export_model", "export_onnx"]

#: Parts of an autoencoder: file name, input and output.
PARTS = {"decoder": ("codes", "images"), "encoder": ("images", "codes")}
#: Difference from the model itself that is still the same: of pixels in [0, 1]; of codes, in units of the
#: largest component (at least 1).
WORST = 1e-4
#: Codes on which what was written is tried.
TRIED = 5


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: Where.
        size: Bytes.
        difference: Largest difference from the model itself on codes of the run; see `WORST`.
    """

    path: Path
    size: int
    difference: float


class _Part(nn.Module):
    """One side of an autoencoder as a module of its own, with whatever holds its weights."""

    def __init__(self, holders: Iterable[nn.Module], way: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.holders = nn.ModuleList(holders)
        self._way = way
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        """Codes of images, or images of codes."""
        return self._way(x)


def export_onnx(
    run: RunFolder, folder: str | Path, parts: tuple[str, ...] = tuple(PARTS)
) -> dict[str, Exported]:
    """Write the decoder and the encoder of a run as ONNX.

    Args:
        run: With weights and codes.
        folder: Where; made if it is not there. Files of the same names are replaced.
        parts: Of `PARTS`, which.

    Returns:
        What was written, by part.

    Raises:
        InputError: The extra ``onnx`` is missing, the model cannot be written as ONNX, or what was
            written is not what the model gives.
    """
    return export_model(load_model(run), load_codes(run, "train").z, folder, parts)


def export_model(
    model: Autoencoder, z: np.ndarray, folder: str | Path, parts: tuple[str, ...] = tuple(PARTS)
) -> dict[str, Exported]:
    """Write the decoder and the encoder of a model as ONNX; see `export_onnx`.

    Args:
        model: Ours, or an adopted one of torch or ONNX.
        z: Codes (n, d) of its own, some of which what was written is tried on.
        folder: Where.
        parts: Of `PARTS`, which.
    """
    _need_extra()
    z = np.array(z[:TRIED], np.float32)
    inner = _inner(model)
    found = {}
    for part in parts:
        if part == "encoder" and isinstance(model, Adapted) and model.stochastic:
            say(
                f"The encoder of {model.name} draws: it is not written, as one picture has many codes."
            )
            continue
        with atomic_path(Path(folder) / f"{part}.onnx") as temporary:
            inner(part, z, temporary)
            difference = _difference(model, part, z, temporary)
        path = Path(folder) / f"{part}.onnx"
        found[part] = Exported(path, path.stat().st_size, difference)
    return found


def _need_extra() -> None:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"{MISSING}; {error.name} is missing.") from None
    del onnx, onnxruntime


def _inner(model: Autoencoder) -> Callable[[str, np.ndarray, Path], None]:
    """What writes one part of a model into a file."""
    if not isinstance(model, Adapted):
        ours = copy.deepcopy(model).cpu().eval()
        ways = {"decoder": ours.decode, "encoder": ours.encode}
        return lambda part, z, path: _traced(ours, ways[part], _example(model, part, z), path)
    if model.files:
        return lambda part, z, path: _continued(model, part, path)
    if model.modules_behind:
        theirs = {"decoder": model.traceable_decode, "encoder": model.traceable_encode}
        return lambda part, z, path: _traced(model, theirs[part], _example(model, part, z), path)
    raise InputError(
        f"{model.name} is neither torch nor ONNX: it cannot be written as ONNX from here. Let its own "
        "framework write it (Keras: model.export(path, format='onnx'), encoder and decoder apart), and "
        "adopt the two files: latentshape adopt encoder.onnx,decoder.onnx --data SPEC"
    )


def _example(model: Autoencoder, part: str, z: np.ndarray) -> Tensor:
    """What a part takes: codes of the run, or the pictures of them."""
    codes = torch.from_numpy(z)
    if part == "decoder":
        return codes
    with torch.inference_mode():
        return model.eval().decode(codes.to(model.device)).float().cpu().clone()


def _traced(
    model: Autoencoder, way: Callable[[Tensor], Tensor], example: Tensor, path: Path
) -> None:
    """Write a way through torch modules."""
    part = _Part(model.modules_behind if isinstance(model, Adapted) else [model], way)
    taken, given = ("codes", "images") if example.ndim == 2 else ("images", "codes")
    resting = model.resting() if isinstance(model, Adapted) else contextlib.nullcontext()
    with _quiet(), resting:
        try:
            torch.onnx.export(
                part, (example,), str(path), dynamo=True, verbose=False, external_data=False,
                input_names=[taken], output_names=[given],
                dynamic_shapes=({0: torch.export.Dim("n")},),
            )  # fmt: skip
        except Exception as error:  # whatever torch's exporter may raise
            # What it says itself is where it was; the cause says why.
            why = re.sub(r"\x1b\[\d*m", "", first_line(error.__cause__ or error))
            name = model.name if isinstance(model, Adapted) else f"the {type(model).__name__}"
            raise InputError(
                f"torch cannot write this part of {name} as ONNX: {why}. If it is a model of "
                "your own, write it as ONNX yourself and adopt the two files: latentshape adopt "
                "encoder.onnx,decoder.onnx --data SPEC"
            ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence of the exporter, which warns about its own future and prints its steps."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _difference(model: Autoencoder, part: str, z: np.ndarray, path: Path) -> float:
    """Largest difference of a file's answers from the model's, all at once and one alone.

    Raises:
        InputError: It is more than `WORST`.
    """
    x = _example(model, part, z)
    way = model.decode if part == "decoder" else model.encode
    with torch.inference_mode():
        wanted = way(x.to(model.device)).float().cpu().numpy()
    run = session_of(path)
    try:
        given = [run(x.numpy()), np.concatenate([run(x[:1].numpy()), run(x[1:].numpy())])]
    except Exception as error:  # ONNX Runtime's own have no common base
        raise InputError(
            f"{path.name} cannot be run with any number of inputs at once ({first_line(error)}). Write "
            "the adopted model with a dynamic first axis."
        ) from None
    scale = 1.0 if part == "decoder" else max(1.0, float(np.abs(wanted).max()))
    worst = max(float(np.abs(one - wanted).max()) for one in given) / scale
    if not worst <= WORST:
        raise InputError(
            f"The {part} as ONNX gives other {PARTS[part][1]} than the model itself (largest difference "
            f"{worst:.2g}, allowed {WORST:g}), and is not kept. Report the versions of torch, onnx and "
            "onnxruntime."
        )
    return worst


def _continued(model: Adapted, part: str, path: Path) -> None:
    """Write an adopted file of ONNX with the nodes of its border before and behind.

    Before a decoder: codes by their scale, in the shape of their own, in half precision where wanted. Behind
    it: channels first, to [0, 1], clipped. An encoder has the same in reverse.
    """
    import onnx
    from onnx import TensorProto, compose, helper, numpy_helper

    # Weights beside it are read along; its names are its own, and "codes" may be one of them.
    theirs = compose.add_prefix(onnx.load(str(model.files[part])), "theirs/")
    graph, layout = theirs.graph, model.layout
    weights = {one.name for one in graph.initializer}
    (source,) = [one for one in graph.input if one.name not in weights]
    opset = next((o.version for o in theirs.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset < 13:
        raise InputError(
            f"{model.files[part]} is of ONNX opset {opset}; 13 or later is needed to continue it. Write it "
            "again with a newer exporter."
        )
    before: list[Any] = []
    behind: list[Any] = []
    count = 0

    def constant(value: Any, kind: Any = np.float32) -> str:
        name = f"latentshape/constant/{len(graph.initializer)}"
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def node(
        nodes: list[Any], kind: str, taken: str, *more: str, given: str = "", **facts: Any
    ) -> str:
        nonlocal count
        count += 1
        given = given or f"latentshape/{kind}/{count}"
        nodes.append(helper.make_node(kind, [taken, *more], [given], **facts))
        return given

    low, span = layout.low, layout.high - layout.low
    taken, given = PARTS[part]
    half = source.type.tensor_type.elem_type == TensorProto.FLOAT16
    now = taken
    if part == "decoder":
        now = node(before, "Div", now, constant(model.scale))
        now = node(before, "Reshape", now, constant([-1, *model.code_shape], np.int64))
    else:
        now = node(before, "Mul", now, constant(span))
        now = node(before, "Add", now, constant(low))
        if layout.channels_last:
            now = node(before, "Transpose", now, perm=[0, 2, 3, 1])
    if half:
        now = node(before, "Cast", now, to=TensorProto.FLOAT16)
    node(before, "Identity", now, given=source.name)
    now = node(behind, "Cast", graph.output[0].name, to=TensorProto.FLOAT)
    if part == "decoder":
        if layout.channels_last:
            now = node(behind, "Transpose", now, perm=[0, 3, 1, 2])
        now = node(behind, "Sub", now, constant(low))
        now = node(behind, "Div", now, constant(span))
        node(behind, "Clip", now, constant(0.0), constant(1.0), given=given)
    else:
        now = node(behind, "Reshape", now, constant([-1, model.latent_dim], np.int64))
        node(behind, "Mul", now, constant(model.scale), given=given)
    nodes = [*before, *graph.node, *behind]
    shapes: dict[str, list[str | int | None]] = {
        "codes": ["n", model.latent_dim],
        "images": ["n", layout.channels, layout.size, layout.size],
    }
    made = helper.make_graph(
        nodes, graph.name or part,
        [helper.make_tensor_value_info(taken, TensorProto.FLOAT, shapes[taken])],
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, shapes[given])],
        list(graph.initializer), sparse_initializer=list(graph.sparse_initializer),
    )  # fmt: skip
    whole = helper.make_model(
        made, opset_imports=theirs.opset_import, functions=list(theirs.functions),
        ir_version=theirs.ir_version,
    )  # fmt: skip
    onnx.save(whole, str(path))
