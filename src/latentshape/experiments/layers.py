r"""Where does the cloud become Gaussian: in the pixels already, in which layer, and only by learning?

The same images go through every layer: the raw pixels (layer 0), each encoder block, the code. What a layer
gives is projected on its first K principal components, fitted on one half of the images and judged on the
other: the same n and the same K everywhere, so that layers of 12,000 and of 128 numbers can be compared. Of
the projected points:

* ``variance_ratio``: variance of the squared Mahalanobis radius over the exact law's; 1 for a Gaussian.
* ``least_gaussian``: negentropy, in nats, of the direction in which they look least Gaussian, judged on
  points that did not choose it; about 0 for a Gaussian.
* ``axes_kurtosis``: root mean square of the principal components' excess kurtosis.
* ``random_direction``: mean negentropy along random directions, for contrast only: in many dimensions almost
  every shadow of almost every cloud looks normal (Diaconis & Freedman 1984,
  https://doi.org/10.1214/aos/1176346703), so that this number proves nothing.

Each stands beside its control, the mean over draws of as many points from the fitted Gaussian. Every network
is asked: the trained one; the same before its first step, from the same seed (is the cloud Gaussian before
anything is learnt?); and those that training kept on its way (``--snapshots``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from latentshape.codes import encode_pixels
from latentshape.errors import InputError
from latentshape.experiments.bench import Bench, question_of, with_settings
from latentshape.models.base import ConvAutoencoder
from latentshape.shape import (
    MahalanobisLaw,
    Moments,
    Whitening,
    least_gaussian_directions,
    mahalanobis_squared,
)
from latentshape.shape.control import GaussianControl
from latentshape.shape.pursuit import negentropy

__all__ = ["departures", "layers", "principal_scores"]

#: Images, half of them for the principal components; components; draws of the control; random directions.
IMAGES, COMPONENTS, CONTROLS, DIRECTIONS = 4000, 16, 3, 64
#: Numbers of one layer held at once: what bounds the images where a layer is very large.
NUMBERS = 2**27
#: Images on either side of the split for each principal component.
PER_COMPONENT = 10
#: Variances below this share of the greatest are rounding in single precision.
FLAT = 1e-6
MEASURES = ("variance_ratio", "least_gaussian", "axes_kurtosis", "random_direction")


def departures(y: np.ndarray, seed: int = 0) -> dict[str, float]:
    """How far points (n, k) are from a Gaussian, as the module says; k principal components."""
    moments = Moments.of(y)
    squared = mahalanobis_squared(y, moments)
    w = np.random.default_rng(seed).standard_normal((y.shape[1], DIRECTIONS))
    shadows = Whitening(moments)(y) @ (w / np.linalg.norm(w, axis=0))
    return {
        "variance_ratio": float(squared.var() / MahalanobisLaw(*y.shape).variance),
        "least_gaussian": float(least_gaussian_directions(y, count=1, seed=seed).index[0]),
        "axes_kurtosis": float(np.sqrt(np.mean(_kurtosis(y) ** 2))),
        "random_direction": float(negentropy(shadows).mean()),
    }


def _kurtosis(y: np.ndarray) -> np.ndarray:
    centred = y - y.mean(0)
    return (centred**4).mean(0) / (centred**2).mean(0) ** 2 - 3


def principal_scores(x: np.ndarray, count: int) -> np.ndarray:
    """Scores of the second half of rows on the principal components of the first half.

    By the Gram matrix of the rows, (n / 2, n / 2), since most layers have more columns than rows.

    Args:
        x: Shape (n, d), any d; float32.
        count: Components, below n / 2.

    Returns:
        Shape (n - n // 2, count), float64; the component of greatest variance first.

    Raises:
        InputError: The first half varies in fewer directions.
    """
    half = len(x) // 2
    mean = x[:half].mean(0, dtype=np.float64).astype(np.float32)
    a = x[:half] - mean
    values, vectors = np.linalg.eigh((a @ a.T).astype(np.float64))
    if values[-count] <= FLAT * values[-1]:
        raise InputError(
            f"These images fill fewer than {count} directions; there is no cloud to compare."
        )
    axes = a.T @ (vectors[:, -count:] / np.sqrt(values[-count:])).astype(np.float32)
    return ((x[half:] - mean) @ axes).astype(np.float64)[:, ::-1]


def layer_outputs(
    model: ConvAutoencoder, pixels: np.ndarray, first: int = 0
) -> Iterator[tuple[str, np.ndarray]]:
    """Of each layer its name and what it gives, flattened, (n, d) float32; one layer at a time.

    Args:
        model: Whose encoder.
        pixels: Pictures (n, size, size, c) uint8.
        first: Where to begin: 0 with the pixels, 1 with the first block.
    """
    names = ["pixels", *(f"block {i + 1}" for i in range(len(model.encoder.layers))), "code"]
    for depth, name in enumerate(names[first:], first):

        def read(x: Tensor, depth: int = depth) -> Tensor:
            return _up_to(model, x, depth).flatten(1)

        parts = encode_pixels(model, pixels, np.arange(len(pixels)), "fp32", read)
        yield name, np.concatenate(list(parts))


def _up_to(model: ConvAutoencoder, x: Tensor, depth: int) -> Tensor:
    blocks = list(model.encoder.layers)
    if depth > len(blocks):
        return model.encode(x)
    for block in blocks[:depth]:
        x = block(x)
    return x


def _networks(bench: Bench) -> Iterator[tuple[str, int, ConvAutoencoder]]:
    """Every state of the network: its name, the epochs it has learnt, and itself."""
    from latentshape.models import build_model, load_model

    config = bench.run.config()
    untrained = build_model(config)
    if not isinstance(untrained, ConvAutoencoder):
        raise InputError(
            f"A model {config.model.model!r} has no convolutional layers to look into."
        )
    device = bench.model.device
    yield "untrained", 0, untrained.to(device).eval()
    for epoch, path in bench.run.snapshots().items():
        yield f"after {epoch} epoch{'s' * (epoch > 1)}", epoch, load_model(bench.run, path)  # type: ignore[misc]
    yield "trained", config.training.epochs, bench.model  # type: ignore[misc]


@with_settings(lambda: {"images": IMAGES, "components": COMPONENTS, "controls": CONTROLS})
def layers(bench: Bench) -> dict[str, Any]:
    """Where does the cloud become Gaussian: in the pixels, in which layer, and only by learning?"""
    from latentshape.experiments.study_plots import save_layers
    from latentshape.pipeline import open_data

    dataset = open_data(bench.run.config(), bench.run)
    rows_of = dataset.indices("train")
    states = list(_networks(bench))
    widest = max(x.shape[1] for _, x in layer_outputs(states[0][2], dataset.pixels[rows_of[:1]]))
    images = IMAGES // 4 if bench.quick else IMAGES
    n = min(len(rows_of), images, NUMBERS // widest)
    chosen = np.sort(np.random.default_rng(bench.seed).choice(rows_of, n, replace=False))
    pixels = dataset.pixels[chosen]
    k = min(COMPONENTS, bench.model.latent_dim, n // (2 * PER_COMPONENT))
    if not k:
        raise InputError(
            f"This experiment needs {2 * PER_COMPONENT} training images and the run has {n}; train on more."
        )
    rows: list[dict[str, Any]] = []
    for state, epoch, network in states:
        first = 1 if rows else 0  # the pixels are the same for every network
        for depth, (name, x) in enumerate(layer_outputs(network, pixels, first), first):
            try:
                found: dict[str, Any] = departures(principal_scores(x, k), bench.seed)
            except InputError as refusal:
                found = {"why": str(refusal)}
            rows.append({"network": state if depth else "–", "epoch": epoch, "layer": name,
                         "depth": depth, "numbers": x.shape[1], **found})  # fmt: skip
    drawn = [_control(n - n // 2, k, seed) for seed in range(CONTROLS)]
    controls = {
        name: {
            "value": float(np.mean([c[name] for c in drawn])),
            "low": min(c[name] for c in drawn), "high": max(c[name] for c in drawn),
        }
        for name in MEASURES
    }  # fmt: skip
    record = {
        "question": question_of(layers),
        "note": f"{n - n // 2:,} images on {k} principal components, fitted on as many others. Control, a "
        "Gaussian: " + ", ".join(
            f"{name.replace('_', ' ')} {controls[name]['value']:.3g} ({controls[name]['low']:.3g}–"
            f"{controls[name]['high']:.3g})" for name in MEASURES
        ) + ".",
        "control": controls,
        "rows": rows,
    }  # fmt: skip
    save_layers(record, bench.folder / "layers.png")
    return record


def _control(n: int, k: int, seed: int) -> dict[str, float]:
    """The same numbers of a Gaussian; all of them are blind to its mean and covariance."""
    drawn = GaussianControl(Moments(n, np.zeros(k), np.eye(k)), n, seed=seed, stream_id=3)
    return departures(np.concatenate(list(drawn.blocks())).astype(np.float64), seed)
