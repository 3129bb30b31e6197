r"""The border between our pictures and codes and a foreign model's.

Ours: images (n, c, h, w), float32 in [0, 1]; codes (n, d), float32. A foreign model states what it takes:

- *range* (a, b) of its pixels: :math:`x' = a + (b - a)\, x`;
- *channels last*: (n, h, w, c), as Keras has it;
- codes of any shape (n, ...): flattened row by row, and brought back before they are decoded; times a *scale*
  where the framework has one.

What a model returns is looked at before it is believed: a range, an order of channels or a number of
components other than stated is refused with what came and what to state instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from latentshape.errors import InputError

__all__ = ["Layout", "as_array", "central_code", "check_pictures"]

#: A picture may leave its range by this share of it: decoders without a final nonlinearity do.
SLACK = 0.25


@dataclass(frozen=True)
class Layout:
    """How a foreign model wants its pictures.

    Attributes:
        channels: 1 or 3.
        size: Side in pixels.
        low, high: Range of its pixels.
        channels_last: (n, h, w, c) instead of (n, c, h, w).

    Example:
        >>> import torch
        >>> layout = Layout(1, 2, low=-1.0, high=1.0, channels_last=True)
        >>> there = layout.theirs(torch.full((1, 1, 2, 2), 0.75))
        >>> tuple(there.shape), there[0, 0, 0, 0].item(), layout.ours(there)[0, 0, 0, 0].item()
        ((1, 2, 2, 1), 0.5, 0.75)
    """

    channels: int
    size: int
    low: float = 0.0
    high: float = 1.0
    channels_last: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise InputError(
                f"pixel_range must be two rising numbers, such as (0, 1) or (-1, 1), got ({self.low}, "
                f"{self.high})."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one of its pictures."""
        if self.channels_last:
            return self.size, self.size, self.channels
        return self.channels, self.size, self.size

    def theirs(self, images: Tensor) -> Tensor:
        """Their pictures of our images."""
        x = images.float() * (self.high - self.low) + self.low
        return x.permute(0, 2, 3, 1).contiguous() if self.channels_last else x.contiguous()

    def ours(self, pictures: Tensor) -> Tensor:
        """Our images of their pictures, clipped to [0, 1]."""
        x = pictures.permute(0, 3, 1, 2) if self.channels_last else pictures
        return ((x.float() - self.low) / (self.high - self.low)).clamp(0, 1).contiguous()


def as_array(found: Any) -> np.ndarray:
    """What a model returned as a NumPy array: of NumPy, torch, JAX, TensorFlow or ONNX Runtime."""
    if isinstance(found, Tensor):
        return found.detach().float().cpu().numpy()
    if hasattr(found, "numpy") and not isinstance(found, np.ndarray):
        found = found.numpy()
    return np.asarray(found)


def central_code(found: Any) -> tuple[Any, str | None]:
    """The one code among what an encoder returned, and what is to be said of that.

    Variational encoders return several things: (mean, log-variance), with or without a draw; or a
    distribution. Their mean is what stands for the image.

    Raises:
        InputError: Nothing in it is a code.
    """
    for name in ("latent_dist", "latents", "last_hidden_state"):
        if hasattr(found, name):
            found = getattr(found, name)
            break
    if isinstance(found, dict):
        found = list(found.values())
    for name in ("mean", "mode"):
        if hasattr(found, name) and not hasattr(found, "shape"):
            value = getattr(found, name)
            return value() if callable(
                value
            ) else value, "it returns a distribution; its mean is the code"
    if isinstance(found, Sequence) and not isinstance(found, (str, bytes)):
        shaped = [part for part in found if hasattr(part, "shape")]
        if not shaped:
            raise InputError(
                f"The encoder returned {type(found).__name__} without any array in it; it must return codes "
                "(n, ...), or (mean, log-variance)."
            )
        if len(shaped) == 1:
            return shaped[0], None
        return shaped[
            0
        ], f"it returns {len(shaped)} arrays; the first, taken as the mean, is the code"
    if not hasattr(found, "shape"):
        raise InputError(
            f"The encoder returned {type(found).__name__}; it must return an array of codes (n, ...)."
        )
    return found, None


def check_pictures(pictures: np.ndarray, n: int, layout: Layout) -> None:
    """See that a decoder returned what was stated.

    Raises:
        InputError: Another shape, order of channels, or range.
    """
    wanted = (n, *layout.shape)
    if pictures.shape != wanted:
        other = (
            n,
            *Layout(layout.channels, layout.size, channels_last=not layout.channels_last).shape,
        )
        cure = ""
        if pictures.shape == other:
            cure = f" Those channels are {'first' if layout.channels_last else 'last'}: pass channels_last="
            cure += f"{not layout.channels_last}."
        elif pictures.ndim == 4:
            cure = " Pass the size and channels of the images that it was trained on."
        raise InputError(
            f"The decoder returned {pictures.shape} for {n} codes, expected {wanted}.{cure}"
        )
    if not np.isfinite(pictures).all():
        raise InputError("The decoder returned pixels that are not finite numbers.")
    slack = SLACK * (layout.high - layout.low)
    least, most = float(pictures.min()), float(pictures.max())
    if least < layout.low - slack or most > layout.high + slack:
        raise InputError(
            f"The decoder returned pixels from {least:.3g} to {most:.3g}, stated was the range "
            f"({layout.low:g}, {layout.high:g}); pass pixel_range=(low, high) as it was trained."
        )
