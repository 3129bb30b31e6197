r"""Inception-v3 as the Fréchet Inception Distance uses it: 2,048 averages of its last maps.

FID (Heusel et al. 2017) is the Fréchet distance between these features of *one* set of weights: the
network trained in TensorFlow in 2015, which differs from the published architecture in three places.
Average pooling in the branches leaves the padding out of its mean; the last block has max pooling in
the place of average pooling; and there are 1,008 classes. Pictures are scaled to 299 pixels bilinearly,
without antialiasing, and to [-1, 1].

The file is pytorch-fid's ``pt_inception-2015-12-05-6726825d.pth`` (Apache-2.0; torch-fidelity has the
same under another name), whose names of tensors are read here. Its authors measured differences of
some 0.1 between FIDs by that port and by TensorFlow's own graph, which scales pictures a little
differently; here pictures are scaled as pytorch-fid does.

The network below is a table. Batch norm with its stored statistics is an affine map per channel,

.. math:: \gamma \frac{W x - m}{\sqrt{v + \varepsilon}} + \beta
          = \Bigl(\frac{\gamma}{\sqrt{v + \varepsilon}} W\Bigr) x
          + \Bigl(\beta - \frac{\gamma m}{\sqrt{v + \varepsilon}}\Bigr), \qquad \varepsilon = 10^{-3},

and is multiplied into the convolution before it once.

References:
    Szegedy et al. 2015, https://arxiv.org/abs/1512.00567; Heusel et al. 2017,
    https://arxiv.org/abs/1706.08500; Seitzer, pytorch-fid, https://github.com/mseitzer/pytorch-fid
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, max_pool2d

from latentshape.evaluation.features import FeatureContext, FeatureSpace
from latentshape.evaluation.weights import check_tensors, read_weights, rgb, sha256_of

__all__ = ["FID_SHA256", "Inception", "tensor_shapes"]

#: Of pt_inception-2015-12-05-6726825d.pth, whose name gives the first digits. In full it stands beside
#: the file's address in https://github.com/snap-research/discoscene (models/inception_model.py).
FID_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
#: Pictures at a time: the largest maps are 147 x 147 x 64 each, 5.5 MB.
BATCH = 16
SIDE, FEATURES, CLASSES = 299, 2048, 1008
EPSILON = 1e-3


class Unit(NamedTuple):
    """A convolution without bias, batch norm, and a rectifier.

    Attributes:
        name: In the file, below the block's.
        maps: That come out.
        kernel: Height and width.
        stride: 2 goes without padding.
        padded: Whether stride 1 keeps the side.
    """

    name: str
    maps: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros on each side."""
        if self.stride > 1 or not self.padded:
            return 0, 0
        return self.kernel[0] // 2, self.kernel[1] // 2


class Fork(NamedTuple):
    """Two units on the same maps, side by side."""

    left: Unit
    right: Unit


Step = Unit | Fork | str
Chain = tuple[Step, ...]

#: What happens between units: half the side, or the same side.
POOLS = {
    "shrink": lambda x: max_pool2d(x, 3, 2),
    "average": lambda x: avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "max": lambda x: max_pool2d(x, 3, 1, 1),
}


def _narrow(pooled: int) -> tuple[Chain, ...]:
    return (
        (Unit("branch1x1", 64),),
        (Unit("branch5x5_1", 48), Unit("branch5x5_2", 64, (5, 5))),
        (
            Unit("branch3x3dbl_1", 64),
            Unit("branch3x3dbl_2", 96, (3, 3)),
            Unit("branch3x3dbl_3", 96, (3, 3)),
        ),
        ("average", Unit("branch_pool", pooled)),
    )


def _long(maps: int) -> tuple[Chain, ...]:
    return (
        (Unit("branch1x1", 192),),
        (
            Unit("branch7x7_1", maps),
            Unit("branch7x7_2", maps, (1, 7)),
            Unit("branch7x7_3", 192, (7, 1)),
        ),
        (
            Unit("branch7x7dbl_1", maps),
            Unit("branch7x7dbl_2", maps, (7, 1)),
            Unit("branch7x7dbl_3", maps, (1, 7)),
            Unit("branch7x7dbl_4", maps, (7, 1)),
            Unit("branch7x7dbl_5", 192, (1, 7)),
        ),
        ("average", Unit("branch_pool", 192)),
    )


def _wide(pool: str) -> tuple[Chain, ...]:
    def fork(name: str) -> Fork:
        return Fork(Unit(f"{name}a", 384, (1, 3)), Unit(f"{name}b", 384, (3, 1)))

    return (
        (Unit("branch1x1", 320),),
        (Unit("branch3x3_1", 384), fork("branch3x3_2")),
        (
            Unit("branch3x3dbl_1", 448),
            Unit("branch3x3dbl_2", 384, (3, 3)),
            fork("branch3x3dbl_3"),
        ),
        (pool, Unit("branch_pool", 192)),
    )


#: Blocks in order; the paths of a block start from the same maps, and their maps are put together.
NETWORK: dict[str, tuple[Chain, ...]] = {
    "": (
        (
            Unit("Conv2d_1a_3x3", 32, (3, 3), 2),
            Unit("Conv2d_2a_3x3", 32, (3, 3), padded=False),
            Unit("Conv2d_2b_3x3", 64, (3, 3)),
            "shrink",
            Unit("Conv2d_3b_1x1", 80),
            Unit("Conv2d_4a_3x3", 192, (3, 3), padded=False),
            "shrink",
        ),
    ),
    "Mixed_5b.": _narrow(32),
    "Mixed_5c.": _narrow(64),
    "Mixed_5d.": _narrow(64),
    "Mixed_6a.": (
        (Unit("branch3x3", 384, (3, 3), 2),),
        (
            Unit("branch3x3dbl_1", 64),
            Unit("branch3x3dbl_2", 96, (3, 3)),
            Unit("branch3x3dbl_3", 96, (3, 3), 2),
        ),
        ("shrink",),
    ),
    "Mixed_6b.": _long(128),
    "Mixed_6c.": _long(160),
    "Mixed_6d.": _long(160),
    "Mixed_6e.": _long(192),
    "Mixed_7a.": (
        (Unit("branch3x3_1", 192), Unit("branch3x3_2", 320, (3, 3), 2)),
        (
            Unit("branch7x7x3_1", 192),
            Unit("branch7x7x3_2", 192, (1, 7)),
            Unit("branch7x7x3_3", 192, (7, 1)),
            Unit("branch7x7x3_4", 192, (3, 3), 2),
        ),
        ("shrink",),
    ),
    "Mixed_7b.": _wide("average"),
    "Mixed_7c.": _wide("max"),
}


def _units() -> Iterator[tuple[str, int, Unit]]:
    """Every unit's full name, the maps that go in, and the unit."""
    inputs = 3
    for block, paths in NETWORK.items():
        together = 0
        for path in paths:
            maps = inputs
            for step in path:
                if isinstance(step, str):
                    continue
                units = step if isinstance(step, Fork) else (step,)
                for unit in units:
                    yield block + unit.name, maps, unit
                maps = sum(unit.maps for unit in units)
            together += maps
        inputs = together


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of the network by its name in the file, the classifier's included.

    The classifier is not used, but it tells this network (1,008 classes) from others (1,000) that
    have the same convolutions and were trained with other pooling.

    Example:
        >>> shapes = tensor_shapes()
        >>> shapes["Conv2d_1a_3x3.conv.weight"], shapes["fc.weight"]
        ((32, 3, 3, 3), (1008, 2048))
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name, inputs, unit in _units():
        shapes[f"{name}.conv.weight"] = (unit.maps, inputs, *unit.kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{part}"] = (unit.maps,)
    shapes["fc.weight"], shapes["fc.bias"] = (CLASSES, FEATURES), (CLASSES,)
    return shapes


def _folded(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Weight and bias of every unit, its batch norm multiplied in (in float64, kept in float32)."""
    found = {}
    for name, _, _ in _units():
        weight = tensors[f"{name}.conv.weight"].double()
        gain, shift, mean, var = (
            tensors[f"{name}.bn.{part}"].double()
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / (var + EPSILON).sqrt()
        folded = weight * scale[:, None, None, None]
        found[name] = folded.float(), (shift - scale * mean).float()
    return found


@final
class Inception(FeatureSpace):
    """Averages of Inception-v3's last maps (``pool3``, 2,048), from a user's file of weights.

    Args:
        path: A state dict with pytorch-fid's names.
        device: Where the network is.

    Attributes:
        is_fid: Whether the file is FID's own, to the last bit; only then is the Fréchet distance in
            this space called FID.

    Raises:
        InputError: There is no such file, or it holds another network.
    """

    name = "inception"
    description = "Averages of the last maps of Inception-v3, trained on ImageNet's classes."

    def __init__(self, path: str | Path, device: torch.device | str = "cpu") -> None:
        network = "FID's Inception-v3 (TensorFlow, 2015, 1,008 classes)"
        tensors = check_tensors(
            read_weights(path), tensor_shapes(), path, network, ("num_batches_tracked",)
        )
        self._weights = {
            name: (weight.to(device), bias.to(device))
            for name, (weight, bias) in _folded(tensors).items()
        }
        self.device = torch.device(device)
        digest = sha256_of(path)
        self.is_fid = digest == FID_SHA256
        self.details = {"weights": digest}
        self.comparable_with = f"results with the same weights (SHA-256 {digest[:8]}...)"
        if self.is_fid:
            self.distance = "FID"
            self.comparable_with = (
                "FIDs by pytorch-fid with the same images, size and number of pictures"
            )

    @classmethod
    def fit(cls, context: FeatureContext) -> Self:
        """The network of the context's file; nothing is fitted."""
        usual = "pt_inception-2015-12-05-6726825d.pth"
        return cls(context.weights_of(cls.name, usual), context.device)

    def _unit(self, x: Tensor, block: str, unit: Unit) -> Tensor:
        weight, bias = self._weights[block + unit.name]
        return conv2d(x, weight, bias, unit.stride, unit.padding).relu_()

    def _block(self, x: Tensor, block: str) -> Tensor:
        """What a block of the network makes of maps (n, m, h, w)."""
        found = []
        for path in NETWORK[block]:
            y = x
            for step in path:
                if isinstance(step, str):
                    y = POOLS[step](y)
                elif isinstance(step, Fork):
                    y = torch.cat([self._unit(y, block, unit) for unit in step], 1)
                else:
                    y = self._unit(y, block, step)
            found.append(y)
        return torch.cat(found, 1)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> np.ndarray:
        """Features (n, 2048)."""
        features = np.empty((len(images), FEATURES))
        for start in range(0, len(images), BATCH):
            x = rgb(images[start : start + BATCH].to(self.device))
            x = interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False) * 2 - 1
            for block in NETWORK:
                x = self._block(x, block)
            features[start : start + BATCH] = x.mean((2, 3)).double().cpu().numpy()
        return features
