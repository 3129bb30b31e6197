"""The only decoding loop: codes in, images out, in batches of one fixed size.

The last batch is padded, so that every image is computed by the same kernels whatever the number of
codes: picture i of a sampler does not depend on how many were asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from latentshape._checks import check_codes
from latentshape.errors import InputError
from latentshape.images import to_pixels
from latentshape.models.base import Autoencoder, device_of
from latentshape.training import autocast

__all__ = ["decode", "decode_pixels"]

BATCH = 128


def decode(
    model: Autoencoder, z: np.ndarray, precision: str = "fp32", batch: int = BATCH
) -> Iterator[Tensor]:
    """Images of codes, batch by batch.

    Args:
        model: Any autoencoder.
        z: Codes (n, d).
        precision: ``fp32``, or ``bf16`` where speed matters more than the last grey level of 256.
        batch: Codes decoded together. 1 where a single one is waited for.

    Yields:
        Images (at most ``batch``, c, h, w) in [0, 1], float32, in order.

    Raises:
        InputError: The codes have another dimension than the model.
    """
    z = check_codes(z, min_samples=1)
    if z.shape[1] != model.latent_dim:
        raise InputError(
            f"The decoder takes codes of {model.latent_dim} components, got {z.shape[1]}: these "
            "codes (or this sampler) belong to another model."
        )
    device = device_of(model)
    model.eval()
    for start in range(0, len(z), batch):
        block = np.zeros((batch, z.shape[1]), np.float32)
        rows = z[start : start + batch]
        block[: len(rows)] = rows
        # Left before each yield: what the caller does between two batches is not to run in it.
        with torch.inference_mode(), autocast(device, precision):
            images = model.decode(torch.from_numpy(block).to(device))[: len(rows)].float()
        yield images


def decode_pixels(
    model: Autoencoder, z: np.ndarray, precision: str = "fp32", batch: int = BATCH
) -> np.ndarray:
    """Pixels of codes as `decode` gives them, all of them in memory.

    Args:
        model: Any autoencoder.
        z: Codes (n, d).
        precision: ``fp32`` or ``bf16``.
        batch: Codes decoded together.

    Returns:
        Pixels (n, h, w, c), uint8.

    Raises:
        InputError: The codes have another dimension than the model.
    """
    return np.concatenate([to_pixels(images) for images in decode(model, z, precision, batch)])
