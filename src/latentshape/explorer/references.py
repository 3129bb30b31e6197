"""Names of codes, so that a URL can say which one is meant.

| name | code |
|---|---|
| ``mean``, ``origin`` | the mean of the training codes; zero |
| ``train:12`` | that of image 12 of a split (``codes:12`` where there are only codes) |
| ``elliptical:7`` | what a sampler draws from seed 7 |
| ``z:...`` | any: its components as little-endian float32, in URL-safe base64 without padding |
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import numpy as np

from latentshape.errors import InputError

__all__ = ["Reference", "parse_reference", "written_out"]

PLACES = ("mean", "origin")
#: Digits of a row or a seed.
DIGITS = 15


@dataclass(frozen=True)
class Reference:
    """What a name means.

    Attributes:
        kind: ``mean``, ``origin``, ``z``, or the name of a split or sampler.
        number: Row or seed, where there is one.
        z: The code itself (d,), float32, where it is written out.
    """

    kind: str
    number: int = 0
    z: np.ndarray | None = None


def parse_reference(text: str, d: int) -> Reference:
    """Read a name.

    Args:
        text: As in the table above.
        d: Components of a code.

    Raises:
        InputError: It is none, or a code of another dimension.

    Example:
        >>> parse_reference("test:3", 2)
        Reference(kind='test', number=3, z=None)
        >>> parse_reference(written_out(np.array([1.0, -2.0])), 2).z.tolist()
        [1.0, -2.0]
    """
    if text in PLACES:
        return Reference(text)
    kind, colon, rest = text.partition(":")
    if kind == "z" and colon:
        return Reference("z", z=_code(rest, d))
    if not colon or not kind or not (rest.isascii() and rest.isdigit() and len(rest) <= DIGITS):
        raise InputError(
            "A code is named 'mean', 'origin', SPLIT:ROW, SAMPLER:SEED or 'z:' and its components in "
            f"base64, got {text[:60]!r}."
        )
    return Reference(kind, int(rest))


def written_out(z: np.ndarray) -> str:
    """The name that holds the code (d,) itself, exactly."""
    content = np.ascontiguousarray(z, "<f4").tobytes()
    return "z:" + base64.urlsafe_b64encode(content).decode("ascii").rstrip("=")


def _code(text: str, d: int) -> np.ndarray:
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InputError("What follows 'z:' is no URL-safe base64 of a code.") from None
    if len(content) != 4 * d:
        raise InputError(
            f"A code here has {d} components, that is {4 * d} bytes; got {len(content)} bytes after "
            "'z:'."
        )
    z = np.frombuffer(content, "<f4").astype(np.float32)
    if not np.isfinite(z).all():
        raise InputError("The code after 'z:' holds NaN or infinite components.")
    return z
