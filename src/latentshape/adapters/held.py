"""Models of adopted runs: in memory for as long as the process lives, or loaded again from their files.

A run folder never holds a foreign model itself: classes cannot be rebuilt from weights, and a pickle of them
would be code. It holds ``adapter.json``: which adapter, which files (where it came from files), how its
pictures are, and a digest that tells whether a model that is handed over again is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentshape.errors import InputError
from latentshape.runs import RunFolder, read_record

if TYPE_CHECKING:
    from latentshape.adapters.adapted import Adapted

__all__ = ["held_model", "hold"]

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
    from latentshape.adapters.choosing import adapt, digest_of

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
