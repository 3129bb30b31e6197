"""Models of adopted runs: in memory for as long as the process lives, or loaded again from their files.

A run folder never holds a foreign model itself: classes cannot be rebuilt from weights, and a pickle of them
would be code. It holds ``adapter.json``: which adapter, which files (where it came from files), how its
pictures are, and a digest that tells whether a model that is handed over again is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from latentshape.errors import InputError
from latentshape.runs import RunFolder, read_record

if TYPE_CHECKING:
    from latentshape.adapters.adapted import Adapted

__all__ = ["digest_of", "files_of", "held_model", "hold"]

_HELD: dict[Path, Adapted] = {}


def hold(run: RunFolder, model: Adapted) -> None:
    """Keep a model for its run folder."""
    _HELD[run.path.resolve()] = model


def held_model(run: RunFolder) -> Adapted:
    """The model of an adopted run.

    Raises:
        InputError: It was handed over in memory by another process, or its files are gone or others.
    """
    found = _HELD.get(run.path.resolve())
    if found is not None:
        return found
    record = read_record(run.adapter_path, "digest", "files", "options")
    if not record["files"]:
        raise InputError(
            f"The model of {run.path} was handed over in memory ({record.get('name', 'no name')}); "
            "hand it over again: "
            f"latentshape.adopt(model, out={str(run.path)!r})."
        )
    from latentshape.adapters.choosing import adapt

    files = [Path(name) for name in record["files"]]
    for path in files:
        if not path.exists():
            raise InputError(f"The model of {run.path} lay in {path}, where nothing is now.")
    if digest_of(files, None) != record["digest"]:
        raise InputError(
            f"The model in {', '.join(map(str, files))} is another than the one that {run.path} was "
            "made with. Adopt it into another folder."
        )
    given: Any = tuple(files) if len(files) == 2 else files[0]
    model = adapt(given, **record["options"])
    hold(run, model)
    return model


def files_of(model: Any) -> list[Path]:
    """The files a model was given as; none for a model in memory."""
    if isinstance(model, str) and model.count(",") == 1:
        model = tuple(model.split(","))
    if isinstance(model, (str, Path)):
        return [Path(model).resolve()]
    if isinstance(model, (tuple, list)) and all(isinstance(one, (str, Path)) for one in model):
        return [Path(one).resolve() for one in model]
    return []


def digest_of(files: Sequence[Path], model: Adapted | None) -> str:
    """What tells one model from another: its files' content, else its weights, else its answer to a ramp."""
    found = hashlib.blake2b(digest_size=12)
    for path in files:
        # Beside an ONNX file its weights may lie in one of their own.
        beside = sorted(path.parent.glob(f"{path.name}.data*"))
        for part in sorted(path.rglob("*")) if path.is_dir() else [path, *beside]:
            if part.is_file():
                found.update(part.name.encode())
                with part.open("rb") as content:
                    while block := content.read(2**24):
                        found.update(block)
    if files or model is None:
        return found.hexdigest()
    weights = [value for module in model.modules_behind for value in module.state_dict().values()]
    for value in weights:
        found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    if not weights:
        side, channels = model.layout.size, model.layout.channels
        ramp = torch.linspace(0, 1, side).expand(1, channels, side, side).contiguous()
        half = torch.full((1, model.latent_dim), 0.5)
        answers = [] if model.stochastic else [model.encode(ramp).numpy()]
        for answer in (*answers, model.decode(half).numpy()):
            # Rounded: the last digits are the machine's.
            scale = max(float(np.abs(answer).max()), 1e-30)
            found.update(np.round(answer / scale, 3).astype(np.float32).tobytes())
    return found.hexdigest()
