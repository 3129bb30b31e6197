r"""DINOv2: a vision transformer trained without labels, read out at its class token.

A picture of 224 pixels becomes 16 x 16 patches of 14 pixels, each one token by a linear map, behind a
class token; to each is added what is stored for its position. Every block then adds to the tokens x

.. math::
    x &\leftarrow x + \gamma_1 \odot W_o\, \mathrm{attention}(\mathrm{norm}(x)), &
    x &\leftarrow x + \gamma_2 \odot W_2\, \mathrm{gelu}(W_1\, \mathrm{norm}(x)),

    \mathrm{attention} &: \mathrm{softmax}(q k^T / \sqrt{64})\, v \text{ in heads of 64.}

The class token, normalised, is the feature. Distances in it follow people's judgement of generated
pictures better than those in Inception's (Stein et al. 2023, who use the ViT-L/14).

The file is ``dinov2_vits14_pretrain.pth`` (384 features) or its larger sisters up to ViT-L/14, by the
shapes that are found in it; positions are stored for pictures of 518 pixels and interpolated as the
authors do.

References:
    Oquab et al. 2023, https://arxiv.org/abs/2304.07193, https://github.com/facebookresearch/dinov2;
    Stein et al. 2023, https://arxiv.org/abs/2306.04675
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Self, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import (
    conv2d,
    gelu,
    interpolate,
    layer_norm,
    linear,
    scaled_dot_product_attention,
)

from latentshape.errors import InputError
from latentshape.evaluation.features import FeatureContext, FeatureSpace
from latentshape.evaluation.weights import check_tensors, read_weights, rgb, sha256_of

__all__ = ["DINOv2", "tensor_shapes"]

SIDE, PATCH, HEAD = 224, 14, 64
#: Side of the pictures whose positions are stored, in patches: 518 / 14.
STORED = 37
#: Pictures at a time.
BATCH = 16
EPSILON = 1e-6
#: Mean and standard deviation of ImageNet's red, green and blue.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Added by the authors to the side before the ratio of sides is taken; it is part of the coordinates.
OFFSET = 0.1


def tensor_shapes(dim: int = 384, depth: int = 12) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of a transformer by its name in the file.

    Args:
        dim: Width of a token: 384 (ViT-S), 768 (B), 1,024 (L).
        depth: Blocks: 12, 12, 24.

    Example:
        >>> tensor_shapes()["blocks.11.attn.qkv.weight"]
        (1152, 384)
    """
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, dim),
        "pos_embed": (1, 1 + STORED**2, dim),
        "patch_embed.proj.weight": (dim, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (dim,),
    }
    for i in range(depth):
        for name, shape in {
            "norm1": (dim,), "attn.qkv": (3 * dim, dim), "attn.proj": (dim, dim), "ls1": None,
            "norm2": (dim,), "mlp.fc1": (4 * dim, dim), "mlp.fc2": (dim, 4 * dim), "ls2": None,
        }.items():  # fmt: skip
            if shape is None:
                shapes[f"blocks.{i}.{name}.gamma"] = (dim,)
                continue
            shapes[f"blocks.{i}.{name}.weight"] = shape
            shapes[f"blocks.{i}.{name}.bias"] = shape[:1]
    return shapes | {"norm.weight": (dim,), "norm.bias": (dim,)}


@final
class DINOv2(FeatureSpace):
    """The class token of DINOv2's vision transformer, from a user's file of weights.

    Args:
        path: A state dict with the authors' names.
        device: Where the network is.

    Attributes:
        dim: Features.
        depth: Blocks.

    Raises:
        InputError: There is no such file, or it holds another network.
    """

    name = "dinov2"
    description = "The class token of DINOv2, a vision transformer trained without labels."

    def __init__(self, path: str | Path, device: torch.device | str = "cpu") -> None:
        found = read_weights(path)
        self.dim, self.depth = _size_of(found, path)
        tensors = check_tensors(
            found,
            tensor_shapes(self.dim, self.depth),
            path,
            f"a DINOv2 transformer of {self.dim} features and {self.depth} blocks",
            ("mask_token",),
        )
        self.device = torch.device(device)
        self._weights = {name: tensor.to(device) for name, tensor in tensors.items()}
        self._positions = _positions(self._weights["pos_embed"])
        digest = sha256_of(path)
        self.details = {"weights": digest, "features": self.dim}
        self.comparable_with = f"results with the same weights (SHA-256 {digest[:8]}...)"

    @classmethod
    def fit(cls, context: FeatureContext) -> Self:
        """The network of the context's file; nothing is fitted."""
        return cls(context.weights_of(cls.name, "dinov2_vits14_pretrain.pth"), context.device)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return layer_norm(x, (self.dim,), weight, bias, EPSILON)

    def _attention(self, x: Tensor, name: str) -> Tensor:
        """Tokens (n, t, d) looked up in one another."""
        n, tokens, _ = x.shape
        # The file's rows are in the order query, key, value; head; coordinate.
        joint = self._linear(x, f"{name}.qkv").view(n, tokens, 3, -1, HEAD)
        q, k, v = joint.permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, self.dim)
        return self._linear(seen, f"{name}.proj")

    def _block(self, x: Tensor, i: int) -> Tensor:
        """What block i makes of tokens (n, t, d)."""
        at = f"blocks.{i}"
        seen = self._attention(self._norm(x, f"{at}.norm1"), f"{at}.attn")
        x = x + self._weights[f"{at}.ls1.gamma"] * seen
        hidden = gelu(self._linear(self._norm(x, f"{at}.norm2"), f"{at}.mlp.fc1"))
        return x + self._weights[f"{at}.ls2.gamma"] * self._linear(hidden, f"{at}.mlp.fc2")

    def _tokens(self, images: Tensor) -> Tensor:
        """The first tokens (n, 257, d) of images."""
        mean, std = (images.new_tensor(v)[:, None, None] for v in (MEAN, STD))
        x = interpolate(rgb(images), (SIDE, SIDE), mode="bicubic", antialias=True).clamp_(0, 1)
        weight, bias = (self._weights[f"patch_embed.proj.{p}"] for p in ("weight", "bias"))
        patches = conv2d((x - mean) / std, weight, bias, PATCH).flatten(2).transpose(1, 2)
        first = self._weights["cls_token"].expand(len(x), -1, -1)
        return torch.cat([first, patches], 1) + self._positions

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> np.ndarray:
        """Features (n, dim)."""
        features = np.empty((len(images), self.dim))
        for start in range(0, len(images), BATCH):
            x = self._tokens(images[start : start + BATCH].to(self.device))
            for i in range(self.depth):
                x = self._block(x, i)
            token = self._norm(x[:, 0], "norm")
            features[start : start + BATCH] = token.double().cpu().numpy()
        return features


def _size_of(tensors: Mapping[str, Tensor], path: str | Path) -> tuple[int, int]:
    """Width and depth by what is in the file.

    Raises:
        InputError: It holds nothing of the kind.
    """
    token = tensors.get("cls_token")
    depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    if token is None or token.ndim != 3 or token.shape[2] % HEAD or not token.numel() or not depth:
        what = "no tensor 'cls_token'" if token is None else "no blocks of attention"
        if token is not None and depth:
            what = f"'cls_token' of shape {tuple(token.shape)}, expected (1, 1, {HEAD} x heads)"
        raise InputError(
            f"{str(path)!r} is not a DINOv2 transformer: it has {what}. Give the weights of that "
            "architecture."
        )
    return token.shape[2], depth


def _positions(stored: Tensor) -> Tensor:
    """Positions (1, 257, d) of a picture of 224 pixels from those stored (1, 1370, d) of 518."""
    side = SIDE // PATCH
    grid = stored[:, 1:].unflatten(1, (STORED, STORED)).permute(0, 3, 1, 2)
    ratio = (side + OFFSET) / math.sqrt(STORED**2)
    grid = interpolate(grid, scale_factor=(ratio, ratio), mode="bicubic")
    return torch.cat([stored[:, :1], grid.flatten(2).transpose(1, 2)], 1)
