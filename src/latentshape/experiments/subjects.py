"""The datasets that studies train on, and how long: at most three minutes a training on two cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latentshape.errors import InputError, suggestion

__all__ = ["QUICK", "SUBJECTS", "absent", "check_subjects", "quick_options"]

SUBJECTS: dict[str, dict[str, Any]] = {
    "celeba": {"preset": "celeba-64", "data": "celeba", "epochs": 6},
    "faces": {"preset": "faces-64", "epochs": 8},
    "mnist": {"preset": "mnist", "data": "mnist", "epochs": 4},
    "fashion-mnist": {"preset": "mnist", "data": "fashion-mnist", "epochs": 4},
}
"""Options of each subject beside its preset's. All but faces lie below LATENTSHAPE_DATA."""

#: Of a quick look: as little as shows that it works.
QUICK: dict[str, Any] = {"epochs": 3, "n": 200, "draws": 2}
QUICK_FACES = "faces:n=3000"


def quick_options(name: str) -> dict[str, Any]:
    """What a quick look changes of a subject's options.

    Example:
        >>> quick_options("faces")["data"]
        'faces:n=3000'
    """
    return QUICK | ({"data": QUICK_FACES} if name == "faces" else {})


def check_subjects(names: Any) -> list[str]:
    """The subjects meant; all where none is named.

    Raises:
        InputError: There is none of that name.
    """
    for name in names:
        if name not in SUBJECTS:
            raise InputError(f"No subject is called {name!r}{suggestion(name, SUBJECTS)}")
    return list(names or SUBJECTS)


def absent(spec: str) -> str | None:
    """Why the images of a SPEC cannot be had here, if so."""
    from latentshape.data.spec import parse_spec

    try:
        sources = parse_spec(spec)
    except InputError as error:
        return str(error)
    for source in sources:
        if source.kind != "faces" and not Path(source.rest).exists():
            return f"There is nothing at {source.rest!r}."
    return None
