"""Feature spaces: where pictures become vectors that distances can be taken between.

| name | sees | comparable with |
|---|---|---|
| `pixel-pca` | layout and colour | runs on the same training images and size |
| `codes` | what one autoencoder codes | the same model only |
| `random-conv` | texture and sharpness | runs on the same training images and size |
| `attributes` | what the dataset's annotations tell apart | runs on the same dataset |
| `inception` | ImageNet's classes | published FIDs, with the reference weights |
| `dinov2` | objects and their parts | results with the same weights file |

None needs a download: the last two are there when a file of weights is. All are fitted on *training*
images and used on held-out and generated ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from scipy import linalg
from torch import Tensor

from latentshape._checks import thinned
from latentshape.codes import encode_pixels
from latentshape.data import Dataset
from latentshape.errors import InputError, suggestion
from latentshape.images import to_images, to_pixels
from latentshape.models.base import Autoencoder
from latentshape.shape.moments import MomentSums

__all__ = [
    "FEATURES",
    "CodeFeatures",
    "FeatureContext",
    "FeatureSpace",
    "PixelPCA",
    "RandomConv",
    "fit_spaces",
]

FEATURES: dict[str, str] = {
    "pixel-pca": "latentshape.evaluation.features:PixelPCA",
    "codes": "latentshape.evaluation.features:CodeFeatures",
    "random-conv": "latentshape.evaluation.features:RandomConv",
    "attributes": "latentshape.evaluation.attribute_features:AttributeFeatures",
    "inception": "latentshape.evaluation.inception:Inception",
    "dinov2": "latentshape.evaluation.dinov2:DINOv2",
}
"""Name of each feature space and where its class lives."""

#: Components of a code beyond which a covariance of all, and its root for every distance, take minutes.
MOST_COMPONENTS = 1024
#: Images of one block while a space is fitted.
BLOCK = 256


@dataclass(frozen=True)
class FeatureContext:
    """What feature spaces are fitted with.

    Args:
        dataset: Images, splits and annotations.
        rows: Training images to fit on, as rows of the dataset, shape (n,); some 2,000 are enough.
        model: The autoencoder whose codes are a space of their own; None: no such space.
        precision: At which it encodes, ``fp32`` or ``bf16``.
        device: Where features are computed.
        weights: Files of weights by space (``inception``, ``dinov2``); empty or missing: none.

    Raises:
        InputError: A row is not of a training image.
    """

    dataset: Dataset
    rows: np.ndarray
    model: Autoencoder | None = None
    precision: str = "fp32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    weights: Mapping[str, str | Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        others = ~np.isin(self.rows, self.dataset.indices("train"))
        if others.any():
            raise InputError(
                f"Feature spaces are fitted on training images, got {others.sum()} of {len(self.rows)} "
                "rows from other splits or beyond the dataset; take them from dataset.indices('train')."
            )

    def weights_of(self, name: str, usual: str) -> str | Path:
        """The file of a space's weights.

        Raises:
            InputError: None was given; ``usual`` is what such a file is called.
        """
        path = self.weights.get(name)
        if not path:
            raise InputError(f"{name} needs a file of weights ({usual}), and none was given.")
        return path

    def blocks(self) -> Iterator[Tensor]:
        """The images of the rows, at most 256 at a time."""
        for start in range(0, len(self.rows), BLOCK):
            yield to_images(self.dataset.pixels[self.rows[start : start + BLOCK]], self.device)


class FeatureSpace(ABC):
    """Abstract: images (n, c, h, w) in [0, 1] to features (n, d).

    Attributes:
        name: As in `FEATURES`.
        description: What it sees, in a sentence.
        comparable_with: The other numbers that numbers in this space may be compared with.
        distance: What the Fréchet distance in this space is called.
        details: Further facts, ready for JSON.
    """

    name: str
    description: str
    comparable_with: str
    distance: str = "Fréchet distance"
    details: Mapping[str, Any] = {}

    @classmethod
    @abstractmethod
    def fit(cls, context: FeatureContext) -> Self:
        """The space of a run.

        Raises:
            InputError: It does not apply to this run; the message says why.
        """

    @abstractmethod
    def __call__(self, images: Tensor) -> np.ndarray:
        """Features (n, d), float64."""

    def facts(self) -> dict[str, Any]:
        """What a scorecard says about the space, ready for JSON."""
        return {
            "description": self.description,
            "comparable_with": self.comparable_with,
            "distance": self.distance,
            **self.details,
        }


def fit_spaces(
    context: FeatureContext, names: Sequence[str] | None = None
) -> tuple[list[FeatureSpace], dict[str, str]]:
    """Every feature space that applies to a run, fitted on training images.

    Args:
        context: The run's images, model and weights.
        names: Which spaces to try; None: all in `FEATURES`.

    Returns:
        The spaces in the order of the names, and why the others do not apply, by name.

    Raises:
        InputError: A name is unknown, or a file of weights that was asked for cannot be used: what
            was asked for is refused at once, before anything is trained.
    """
    names = list(FEATURES) if names is None else list(names)
    for name in names:
        if name not in FEATURES:
            raise InputError(f"No feature space is called {name!r}{suggestion(name, FEATURES)}")
    fitted: dict[str, FeatureSpace] = {}
    missing: dict[str, str] = {}
    # Files that may be wrong come first, the network that takes a minute to train comes last.
    for name in sorted(names, key=lambda n: (not context.weights.get(n), n == "attributes")):
        module, _, cls = FEATURES[name].partition(":")
        space: type[FeatureSpace] = getattr(import_module(module), cls)
        try:
            with torch.inference_mode():
                fitted[name] = space.fit(context)
        except InputError as error:
            if context.weights.get(name):
                raise
            missing[name] = str(error)
    in_order = dict.fromkeys(names)
    return [fitted[n] for n in in_order if n in fitted], {
        n: missing[n] for n in in_order if n in missing
    }


@final
class PixelPCA(FeatureSpace):
    r"""The leading principal components of the training pixels: layout and colour, not detail.

    With the centred pixels X (n, p) and n below p, the axes follow from the small Gram matrix:

    .. math:: X X^T v_j = \lambda_j v_j, \qquad a_j = X^T v_j / \sqrt{\lambda_j}

    Both products are summed over bands of the pictures, so that beside the axes (p, components) only
    the Gram matrix (n, n) and one band are held.

    Args:
        images: Training images (n, c, h, w); of more than 3,000 evenly spaced ones are used.
        components: How many axes; fewer where the images span fewer.

    Attributes:
        mean: Mean pixels (p,), in the order h, w, c.
        axes: Orthonormal columns (p, components), the largest variance last.

    Raises:
        InputError: There are fewer than two images, or all are alike.
    """

    name = "pixel-pca"
    description = "Leading principal components of the training pixels: layout and colour."
    comparable_with = "runs on the same training images at the same size"
    #: Images behind the axes at most (a Gram matrix of 72 MB).
    MOST = 3000
    #: Numbers in a band of all images, or in a block of images, at most (32 MB as float64).
    HELD = 2**22
    #: One grey level in one pixel of one image makes an eigenvalue of 1.5e-5; less is rounding.
    ALIKE = 1e-9

    def __init__(self, images: Tensor, components: int = 64) -> None:
        chosen = torch.from_numpy(thinned(np.arange(len(images)), self.MOST))
        some = images[chosen] if len(chosen) < len(images) else images
        self._fit(tuple(some.shape), lambda top, bottom: some[:, :, top:bottom], components)

    @classmethod
    def fit(cls, context: FeatureContext) -> Self:
        """The components of the context's images, read in bands."""
        rows, pixels = thinned(context.rows, cls.MOST), context.dataset.pixels
        height, width, channels = pixels.shape[1:]
        space = cls.__new__(cls)
        space._fit(
            (len(rows), channels, height, width),
            lambda top, bottom: to_images(np.array(pixels[rows, top:bottom])),
        )
        return space

    def _fit(
        self,
        shape: tuple[int, ...],
        band: Callable[[int, int], Tensor],
        components: int = 64,
    ) -> None:
        n, channels, height, width = shape
        if n < 2:
            raise InputError(f"pixel-pca needs at least 2 training images, got {n}.")
        step = max(1, self.HELD // (n * width * channels))
        tops = range(0, height, step)
        gram, means = np.zeros((n, n)), []
        for top in tops:
            x = _flat(band(top, min(top + step, height)))
            means.append(x.mean(0))
            x -= means[-1]
            gram += x @ x.T
        self.mean = np.concatenate(means)
        most = min(components, n - 1, len(self.mean))
        values, vectors = linalg.eigh(gram, subset_by_index=(n - most, n - 1))
        # Less than such a share of the largest is the rounding of the sums.
        kept = values > max(values[-1] * 1e-12, self.ALIKE)
        if not kept.any():
            raise InputError(
                f"pixel-pca needs training images that differ, got {n} that are all alike."
            )
        vectors = vectors[:, kept] / np.sqrt(values[kept])
        self.axes = np.concatenate(
            [
                (_flat(band(top, min(top + step, height))) - mean).T @ vectors
                for top, mean in zip(tops, means)
            ]
        )

    def __call__(self, images: Tensor) -> np.ndarray:
        """Scores on the axes, in units of [0, 1] pixels."""
        # By torch, on its own threads: NumPy's spin on for a while after each product, and the networks
        # that look at the same pictures next would run at half their speed.
        mean, axes = (torch.from_numpy(a).to(images.device) for a in (self.mean, self.axes))
        step = max(1, self.HELD // len(self.mean))
        scores = [(_rows(some) - mean) @ axes for some in images.split(step)]
        return torch.cat(scores).cpu().numpy()


def _rows(images: Tensor) -> Tensor:
    """Images as rows (n, h w c) of float64; bands of pictures then follow one another."""
    return images.permute(0, 2, 3, 1).flatten(1).double()


def _flat(images: Tensor) -> np.ndarray:
    return _rows(images).cpu().numpy()


@final
class CodeFeatures(FeatureSpace):
    """The autoencoder's own codes of the pictures, encoded anew.

    A picture that the decoder draws comes back near the code it was drawn from: distances here
    compare laws of codes, with nothing said about how the pictures look.

    Args:
        model: A trained autoencoder; it stays on its device.
        precision: At which it encodes.
    """

    name = "codes"
    description = "The autoencoder's own codes of the pictures."
    comparable_with = "this very model only: every autoencoder has codes, and a scale, of its own"

    def __init__(self, model: Autoencoder, precision: str = "fp32") -> None:
        self.model, self.precision = model, precision

    @classmethod
    def fit(cls, context: FeatureContext) -> Self:
        """The space of the context's model."""
        if context.model is None:
            raise InputError("codes needs the autoencoder that made the pictures, got none.")
        if context.model.latent_dim > MOST_COMPONENTS:
            raise InputError(
                f"codes of {context.model.latent_dim:,} components: a Fréchet distance needs a covariance of "
                f"all, which is feasible up to {MOST_COMPONENTS:,}."
            )
        return cls(context.model, context.precision)

    def __call__(self, images: Tensor) -> np.ndarray:
        """Codes (n, d)."""
        pixels = to_pixels(images)
        blocks = encode_pixels(self.model, pixels, np.arange(len(pixels)), self.precision)
        return np.concatenate([np.empty((0, self.model.latent_dim)), *blocks])


@final
class RandomConv(FeatureSpace):
    """Standardised responses of fixed random convolutions: texture and sharpness at three scales.

    Three stride-2 convolutions with random weights (seed fixed, so the same everywhere), rectified;
    the means of each map over the four quadrants are the features, divided by their standard
    deviation on training images. Random filters are edge and texture detectors enough to see blur
    and noise, to which a detector or pixel components are blind (Saxe et al. 2011, *On Random
    Weights and Unsupervised Feature Learning*).

    Args:
        images: Training images (n, c, h, w), or blocks of such.

    Raises:
        InputError: There are fewer than two images, or all are alike.
    """

    name = "random-conv"
    description = "Responses of fixed random convolutions: texture and sharpness at three scales."
    comparable_with = "runs at the same size, number of channels and training images"
    MAPS = 16
    #: Less than one grey level in one pixel makes of these responses: the rounding of float32.
    ALIKE = 1e-7

    def __init__(self, images: Tensor | Iterable[Tensor]) -> None:
        sums: MomentSums | None = None
        for block in images.split(BLOCK) if isinstance(images, Tensor) else images:
            if sums is None:
                self.kernels = self._draw(block.shape[1])
                sums = MomentSums(self._responses(block).mean(0), exact=True)
            sums.update(self._responses(block))
        if sums is None or sums.n < 2:
            raise InputError(
                f"random-conv needs at least 2 training images, got {0 if sums is None else 1}."
            )
        moments = sums.result()
        self.mean = moments.mean
        self.std = np.sqrt(np.diag(moments.cov) * (1 - 1 / moments.n)) + 1e-12
        if self.std.max() < self.ALIKE:
            raise InputError(
                f"random-conv needs training images that differ, got {moments.n} that are all alike."
            )

    @classmethod
    def fit(cls, context: FeatureContext) -> Self:
        """Standardised on the context's images."""
        return cls(context.blocks())

    def _draw(self, channels: int) -> list[Tensor]:
        generator, kernels = torch.Generator().manual_seed(20_231), []
        for _ in range(3):
            kernel = torch.randn((self.MAPS, channels, 3, 3), generator=generator)
            # Most of the mean per input map removed: contrast counts more than brightness.
            kernel -= kernel.mean((2, 3), keepdim=True) * 0.75
            kernels.append(kernel / kernel.flatten(1).norm(dim=1)[:, None, None, None])
            channels = self.MAPS
        return kernels

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
