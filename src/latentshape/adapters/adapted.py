"""An autoencoder of ours made of a foreign pair: encode pictures, decode codes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from latentshape.adapters.borders import Layout, as_array, central_code, check_pictures
from latentshape.errors import InputError, first_line
from latentshape.models.base import Autoencoder
from latentshape.progress import say

__all__ = ["Adapted"]

#: Pictures with which a pair is tried before it is believed.
TRIED = 4
#: Draws of a stochastic encoder whose mean is the code.
DRAWS = 8


@final
class Adapted(Autoencoder):
    """A foreign encoder and decoder in the place of one of our models.

    Their borders are tried once, when it is made: four grey ramps are encoded and decoded. An encoder that
    gives two codes for one picture is stochastic; that is said, and the mean of eight draws is the code.

    Args:
        encode: Their pictures (n, ...) to codes (n, ...), as their framework has them.
        decode: Codes to pictures.
        layout: What their pictures are.
        scale: Their decoder takes codes divided by this, their encoder's are multiplied by it.
        modules: torch modules behind it, which rest in evaluation mode while they are asked. Where there
            are any the pair takes tensors, on the device and in the dtype of their weights; else float32
            NumPy arrays.
        name: For messages.
        files: Of ONNX, behind ``encoder`` and ``decoder``; none for others.

    Attributes:
        scale: As given.
        files: As given; empty where there are none.
        latent_dim: Components of a flattened code.
        code_shape: Of one code before it is flattened.
        stochastic: Whether the encoder draws.

    Raises:
        InputError: What the pair returns is not what was stated.
    """

    def __init__(
        self,
        encode: Callable[[Any], Any],
        decode: Callable[[Any], Any],
        layout: Layout,
        *,
        scale: float = 1.0,
        modules: tuple[nn.Module, ...] = (),
        name: str = "the model",
        files: dict[str, Path] | None = None,
    ) -> None:
        super().__init__()
        self._encode, self._decode, self.layout = encode, decode, layout
        self._to_theirs = _to(modules) if modules else Tensor.numpy
        self.scale, self.name, self.files = scale, name, files or {}
        # Not registered as parts: whether they learn and where they live is their owner's business.
        self._behind = [modules]
        self.stochastic = False
        self.code_shape: tuple[int, ...] = ()
        self.latent_dim = 0
        with torch.inference_mode(), self.resting():
            self._try_out()

    @property
    def modules_behind(self) -> tuple[nn.Module, ...]:
        """Torch modules it is made of; none for other frameworks."""
        return self._behind[0]

    @property
    def device(self) -> torch.device:
        """Where images and codes are handed over: the processor; the pair takes them from there."""
        return torch.device("cpu")

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, d) of images (n, c, h, w)."""
        with torch.no_grad(), self.resting():
            found = self._codes(x)
            for _ in range(DRAWS - 1 if self.stochastic else 0):
                found = found + self._codes(x)
        return torch.from_numpy(found / DRAWS if self.stochastic else found).to(x.device)

    def decode(self, z: Tensor) -> Tensor:
        """Images (n, c, h, w) of codes (n, d)."""
        with torch.no_grad(), self.resting():
            return self.layout.ours(torch.from_numpy(self._pictures(z))).to(z.device)

    def traceable_encode(self, x: Tensor) -> Tensor:
        """`encode` in torch from end to end, for exporters; where the pair is torch and draws nothing."""
        found = central_code(self._encode(self._to_theirs(self.layout.theirs(x))))[0]
        return found.flatten(1).float() * self.scale

    def traceable_decode(self, z: Tensor) -> Tensor:
        """`decode` in torch from end to end, for exporters; where the pair is torch."""
        codes = self._to_theirs((z / self.scale).reshape(-1, *self.code_shape))
        return self.layout.ours(central_code(self._decode(codes))[0])

    def loss(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Refused: it was trained elsewhere."""
        raise InputError(f"{self.name} was trained elsewhere; it is measured here, not trained.")

    def _codes(self, x: Tensor) -> np.ndarray:
        theirs = self._to_theirs(self.layout.theirs(x.detach().cpu()))
        z = as_array(central_code(self._encode(theirs))[0])
        if z.ndim < 2 or len(z) != len(x):
            raise InputError(
                f"The encoder of {self.name} returned {z.shape} for {len(x)} pictures; it must "
                "return one code each, (n, d) or (n, c, h, w)."
            )
        if self.code_shape and z.shape[1:] != self.code_shape:
            raise InputError(
                f"The encoder of {self.name} returned codes {z.shape[1:]}, before they were "
                f"{self.code_shape}."
            )
        self.code_shape = self.code_shape or z.shape[1:]
        return np.ascontiguousarray(z.reshape(len(z), -1), np.float32) * np.float32(self.scale)

    def _pictures(self, z: Tensor) -> np.ndarray:
        codes = (z.detach().float().cpu() / self.scale).reshape(-1, *self.code_shape).contiguous()
        pictures = as_array(central_code(self._decode(self._to_theirs(codes)))[0])
        return np.ascontiguousarray(pictures, np.float32)

    def _try_out(self) -> None:
        ramp = torch.linspace(0, 1, self.layout.size)
        levels = torch.linspace(0.2, 1, TRIED)[:, None, None, None]
        shape = (TRIED, self.layout.channels, self.layout.size, self.layout.size)
        x = (levels * ramp).expand(shape).contiguous()
        try:
            z = self._codes(x)
            again = self._codes(x)
        except InputError:
            raise
        except Exception as error:  # whatever a foreign model may raise
            raise InputError(
                f"The encoder of {self.name} does not take pictures {(TRIED, *self.layout.shape)} in "
                f"[{self.layout.low:g}, {self.layout.high:g}]: {first_line(error)}. Pass size, channels, "
                "channels_last and pixel_range as it was trained."
            ) from None
        if not np.isfinite(z).all():
            raise InputError(
                f"The encoder of {self.name} returned codes that are not finite numbers."
            )
        self.latent_dim = z.shape[1]
        if not np.allclose(z, again, rtol=1e-3, atol=1e-4 * (1 + np.abs(z).max())):
            self.stochastic = True
            say(
                f"The encoder of {self.name} is stochastic: one picture has many codes. The mean of "
                f"{DRAWS} draws is taken; better hand over the network's mean."
            )
        note = central_code(self._encode(self._to_theirs(self.layout.theirs(x))))[1]
        if note:
            say(f"About the encoder of {self.name}: {note}.")
        try:
            pictures = self._pictures(torch.from_numpy(z))
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"The decoder of {self.name} does not take the encoder's codes {(TRIED, *self.code_shape)}: "
                f"{first_line(error)}. Encoder and decoder must have the same latent dimension."
            ) from None
        check_pictures(pictures, TRIED, self.layout)

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """Modules in evaluation mode for the time being: dropout and batch norm would draw and learn."""
        awake = [m for module in self.modules_behind for m in module.modules() if m.training]
        for module in awake:
            module.training = False
        try:
            yield
        finally:
            for module in awake:
                module.training = True


def _to(modules: tuple[nn.Module, ...]) -> Callable[[Tensor], Tensor]:
    """What brings a tensor to where the modules' weights are, in their dtype."""
    weights = (p for module in modules for p in module.parameters() if p.is_floating_point())
    like = next(weights, torch.zeros(()))

    def there(x: Tensor) -> Tensor:
        return x.to(like.device, like.dtype)

    return there
