"""Feature spaces: where pictures become vectors that distances can be taken between.

None of these needs a download, and none is comparable with a published FID; each says what it can be
compared with. All are fitted on *training* images and used on held-out and generated ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import numpy as np
import torch
from torch import Tensor

from latentshape.errors import InputError

__all__ = ["FeatureSpace", "PixelPCA", "RandomConv", "fit_features"]


class FeatureSpace(ABC):
    """Abstract: images (n, c, h, w) in [0, 1] to features (n, d)."""

    name: str
    comparable_with: str

    @abstractmethod
    def __call__(self, images: Tensor) -> np.ndarray:
        """Features (n, d), float64."""


@final
class PixelPCA(FeatureSpace):
    """The leading principal components of the training pixels: layout and colour, not detail.

    Args:
        images: Training images (n, c, h, w), n of a few thousand at most.
        components: How many axes.
    """

    name = "pixel-pca"
    comparable_with = "runs on the same training images at the same size"

    def __init__(self, images: Tensor, components: int = 64) -> None:
        x = images.flatten(1).double().cpu().numpy()
        if len(x) < 2:
            raise InputError(f"pixel-pca needs at least 2 training images, got {len(x)}.")
        self.mean = x.mean(0)
        x -= self.mean
        # n < pixels: the axes follow from the small Gram matrix (n, n).
        values, vectors = np.linalg.eigh(x @ x.T)
        keep = slice(-min(components, len(x) - 1), None)
        scale = np.sqrt(np.maximum(values[keep], np.finfo(float).eps * values[-1]))
        self.axes = (x.T @ vectors[:, keep]) / scale

    def __call__(self, images: Tensor) -> np.ndarray:
        """Scores on the axes, in units of [0, 1] pixels."""
        return (images.flatten(1).double().cpu().numpy() - self.mean) @ self.axes


@final
class RandomConv(FeatureSpace):
    """Standardised responses of fixed random convolutions: texture and sharpness at three scales.

    Three stride-2 convolutions with random weights (seed fixed, so the same everywhere), rectified;
    the means of each map over the four quadrants are the features, divided by their standard
    deviation on training images. Random filters are edge and texture detectors enough to see blur
    and noise, to which a detector or pixel components are blind (Saxe et al. 2011, *On Random
    Weights and Unsupervised Feature Learning*).
    """

    name = "random-conv"
    comparable_with = "runs at the same size, number of channels and training images"
    MAPS = 16

    def __init__(self, images: Tensor) -> None:
        generator = torch.Generator().manual_seed(20_231)
        channels = images.shape[1]
        self.kernels = []
        for _ in range(3):
            kernel = torch.randn((self.MAPS, channels, 3, 3), generator=generator)
            # Most of the mean per input map removed: contrast counts more than brightness.
            kernel -= kernel.mean((2, 3), keepdim=True) * 0.75
            self.kernels.append(kernel / kernel.flatten(1).norm(dim=1)[:, None, None, None])
            channels = self.MAPS
        responses = self._responses(images)
        self.mean, self.std = responses.mean(0), responses.std(0) + 1e-12

    def _responses(self, images: Tensor) -> np.ndarray:
        x, found = images - 0.5, []
        for kernel in self.kernels:
            weight = kernel.to(x)
            x = torch.nn.functional.conv2d(x, weight, stride=2, padding=1)
            x = torch.nn.functional.leaky_relu(x, 0.2)
            found.append(torch.nn.functional.adaptive_avg_pool2d(x.abs(), 2).flatten(1))
        return torch.cat(found, 1).double().cpu().numpy()

    def __call__(self, images: Tensor) -> np.ndarray:
        """Standardised features (n, 192)."""
        return (self._responses(images) - self.mean) / self.std


def fit_features(images: Tensor) -> list[FeatureSpace]:
    """Every feature space, fitted on training images."""
    with torch.inference_mode():
        return [PixelPCA(images), RandomConv(images)]
