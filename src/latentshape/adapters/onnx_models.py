"""An encoder and a decoder as ONNX files, run by ONNX Runtime: whatever framework they came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from latentshape.adapters.adapted import Adapted
from latentshape.adapters.borders import Layout
from latentshape.errors import InputError, first_line

__all__ = ["MISSING", "from_onnx", "session_of"]

MISSING = "ONNX models need ONNX Runtime: pip install 'latentshape[onnx]'"


def from_onnx(encoder: str | Path, decoder: str | Path, layout: Layout) -> Adapted:
    """An autoencoder of two files.

    Args:
        encoder: With one input of pictures, and codes as its first output (further ones, such as a
            log-variance, are left alone).
        decoder: With one input of codes.
        layout: What their pictures are.

    Raises:
        InputError: ONNX Runtime is not installed, a file is no model, or the two do not fit together.
    """
    return Adapted(
        session_of(encoder), session_of(decoder), layout,
        name=f"{Path(encoder).name} and {Path(decoder).name}",
        files={"encoder": Path(encoder), "decoder": Path(decoder)},
    )  # fmt: skip


def session_of(path: str | Path) -> Callable[[np.ndarray], np.ndarray]:
    """What runs a file: an array in, its first output out, float32.

    Raises:
        InputError: ONNX Runtime is not installed, or the file is no model with one input.
    """
    try:
        import onnxruntime
    except ImportError:
        raise InputError(f"{MISSING}.") from None
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r}; expected an ONNX model.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # ONNX Runtime's own have no common base
        raise InputError(f"{path} is no ONNX model: {first_line(error)}.") from None
    taken = session.get_inputs()
    if len(taken) != 1:
        names = ", ".join(one.name for one in taken)
        raise InputError(f"{path} takes {len(taken)} inputs ({names}); it must take one.")
    half = taken[0].type == "tensor(float16)"

    def run(x: np.ndarray) -> np.ndarray:
        given = x.astype(np.float16) if half else x
        return np.asarray(session.run(None, {taken[0].name: given})[0], np.float32)

    return run
