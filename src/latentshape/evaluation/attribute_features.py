r"""Features from what a dataset knows about its pictures: a small network that tells it apart.

A network trained on ImageNet sees what tells dogs from cars. One that was trained to say whether *these*
faces smile, or which digit this is, sees what matters here, needs no download, and is trained once: it
lies in the cache folder afterwards.

Four convolutions at most (stride 2, batch norm) down to a side of 4 or less, a layer of 128 units, and
one output for each attribute. Answers of yes and no (:math:`a = \pm 1`) cost
:math:`\log(1 + e^{-a f})`, numbers, standardised, half their squared error; what is unknown costs
nothing. The 128 units are the features, divided by one number that makes their mean variance over
training images 1.

Trained on training images only. How well it does is measured on validation images, and stands in
`AttributeFeatures.details`, attribute by attribute, beside what always giving the more frequent answer
would achieve: a network that has learnt nothing gives features that say nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from scipy.special import expit
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from latentshape._checks import thinned
from latentshape.config import TrainingConfig
from latentshape.data import Dataset
from latentshape.data.cache import NETWORKS, cache_folder
from latentshape.errors import InputError
from latentshape.evaluation.features import BLOCK, FeatureContext, FeatureSpace
from latentshape.facts import Facts, annotations_of, short_names
from latentshape.files import atomic_path
from latentshape.images import resize, to_images
from latentshape.progress import bar
from latentshape.training import autocast, epoch_order, learning_rate

__all__ = ["AttributeFeatures", "AttributeSettings", "Targets"]

#: Part of every key; raise it when the same settings begin to mean another network.
FORMAT = 1
#: The folder of the cache in which networks are kept.
#: Validation images that it is measured on at most.
MEASURED = 4000


@dataclass(frozen=True)
class AttributeSettings:
    """How the network is made and trained; all of it is part of the cache's key.

    Attributes:
        units: Of the layer that gives the features.
        widths: Maps of the convolutions; of small pictures fewer are used.
        side: Larger pictures are scaled down to it.
        most: Training images used at most, evenly spaced.
        shown: Images shown in training, repetitions counted, at most.
        epochs: How often each is shown at most.
        batch_size: Images per step.
        rate: Peak rate of Adam.
        seed: Of the first weights and of the order.
    """

    units: int = 128
    widths: tuple[int, ...] = (32, 64, 128, 128)
    side: int = 64
    most: int = 20_000
    shown: int = 24_000
    epochs: int = 20
    batch_size: int = 64
    rate: float = 2e-3
    seed: int = 0


#: Of every run: networks are compared with one another only if they were made alike.
SETTINGS = AttributeSettings()


@dataclass(frozen=True)
class Targets:
    """What a dataset knows about its pictures that a network can be trained to say.

    Attributes:
        names: Of the k targets; the first ``binary`` ones are answers, the others numbers.
        binary: How many are answers of yes and no.
        values: (n, k) float32 for every image of the dataset: -1 and 1, or numbers standardised by
            the training images; NaN unknown.
        left_out: Why others are not among them, by name.
        units: What numbers were standardised by, mean and standard deviation, shape (2, k).
    """

    names: tuple[str, ...]
    binary: int
    values: np.ndarray
    left_out: dict[str, str]
    units: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset, rows: np.ndarray) -> Targets:
        """Attributes, factors and other numbers that vary among the training images ``rows``."""
        names: list[str] = []
        columns: list[np.ndarray] = []
        units: list[tuple[float, float]] = []
        left_out: dict[str, str] = {}
        binary = 0
        for name, values, is_answer in annotations_of(dataset):
            known = values[rows][np.isfinite(values[rows])]
            if not len(known):
                left_out[name] = "unknown for all training images"
            elif known.min() == known.max():
                said = {-1.0: "no", 1.0: "yes"}.get(float(known[0])) if is_answer else None
                left_out[name] = f"{said or format(known[0], 'g')} for all training images"
            else:
                names.append(name)
                binary += is_answer
                mean, std = (0.0, 1.0) if is_answer else (known.mean(), known.std())
                units.append((float(mean), float(std)))
                columns.append(((values - mean) / std).astype(np.float32))
        values = np.stack(columns, 1) if columns else np.empty((len(dataset), 0), np.float32)
        return cls(tuple(names), binary, values, left_out, np.array(units).reshape(-1, 2).T)


class _Network(nn.Module):
    """Images to the units (n, units) and, from these, the outputs."""

    def __init__(self, settings: AttributeSettings, channels: int, side: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in settings.widths:
            if side <= 4:
                break
            layers += [
                nn.Conv2d(channels, width, 3, 2, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            channels, side = width, -(-side // 2)
        self.maps = nn.Sequential(*layers)
        self.units = nn.Linear(channels * side * side, settings.units)
        self.outputs = nn.Linear(settings.units, outputs)
        self.side = settings.side

    def features(self, images: Tensor) -> Tensor:
        """The units, before they are scaled."""
        if images.shape[-1] > self.side:
            images = functional.interpolate(
                images, (self.side, self.side), mode="bilinear", antialias=True
            )
        x = self.maps(images - 0.5)
        return functional.leaky_relu(self.units(x.flatten(1)), 0.2)

    def forward(self, images: Tensor) -> Tensor:
        """Outputs (n, k): the logits of answers, then numbers."""
        return self.outputs(self.features(images))


# Weights made in inference mode never learn, and a caller may be in it.
@torch.inference_mode(False)
def _empty_network(
    settings: AttributeSettings, channels: int, side: int, outputs: int, device: torch.device
) -> _Network:
    # Built on no device, a layer draws nothing from the generator that all share.
    with torch.device("meta"):
        network = _Network(settings, channels, min(side, settings.side), outputs)
    network = network.to_empty(device=device)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@final
class AttributeFeatures(FeatureSpace):
    """The last layer but one of a network trained here on the dataset's own attributes.

    The same images, annotations, settings, machine and number of threads give the same network.

    Args:
        dataset: Attributes of yes and no, ``factors`` and other numbers are what is learnt.
        device: Where it is trained and used.
        settings: How it is made.
        precision: At which pictures go through it, ``fp32`` or ``bf16``; it is trained in fp32.

    Attributes:
        details: ``attributes`` with the held-out ``accuracy``, that of the ``majority``'s answer, and
            ``auc``; ``numbers`` with the held-out ``r2``; their ``mean``; ``class_accuracy`` where every
            picture has just one of the attributes, as digits have; what was ``left_out``; and how many
            images were ``trained_on`` and ``held_out``.

    Raises:
        InputError: The dataset has no attributes, or none that varies among its training images.
    """

    name = "attributes"

    def __init__(
        self,
        dataset: Dataset,
        device: torch.device | str = "cpu",
        settings: AttributeSettings | None = None,
        precision: str = "fp32",
    ) -> None:
        settings = settings or SETTINGS
        rows = thinned(dataset.indices("train"), settings.most)
        targets = Targets.of(dataset, rows)
        if not targets.names:
            why = "; ".join(f"{name}: {said}" for name, said in targets.left_out.items())
            raise InputError(
                "attributes needs annotations that vary among the training images, and this dataset "
                f"has {'none that do' if why else 'no annotations'}{f' ({why[:300]})' if why else ''}."
            )
        self.device = torch.device(device)
        height, channels = dataset.pixels.shape[1], dataset.pixels.shape[3]
        self._network = _empty_network(settings, channels, height, len(targets.names), self.device)
        path = cache_folder() / NETWORKS / f"attributes-{_key(dataset, rows, targets, settings)}"
        path = path.with_suffix(".safetensors")
        kept = _read(path, self._network)
        if kept is None:
            kept = _train(self._network, dataset, rows, targets, settings)
            with contextlib.suppress(OSError):  # what cannot be kept is trained anew next time
                _write(path, self._network, kept)
        self._scale: float = kept["scale"]
        self._precision = precision
        self._targets = targets
        _fuse(self._network)
        self.details = {name: value for name, value in kept.items() if name != "scale"}
        self.description = _described(self.details)
        self.comparable_with = (
            f"runs on the same dataset at the same size (network {path.stem[-8:]})"
        )

    @classmethod
    def fit(cls, context: FeatureContext) -> Self:
        """The network of the context's dataset, from the cache or trained now."""
        return cls(context.dataset, context.device, precision=context.precision)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> np.ndarray:
        """Features (n, units)."""
        with autocast(self.device, self._precision):
            found = self._network.features(images.to(self.device))
        return found.double().cpu().numpy() / self._scale

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Facts:
        """What the network says of images, as facts about them.

        Args:
            images: (n, c, h, w) in [0, 1].

        Returns:
            For each target a probability of yes, or a number in the annotations' own unit.
        """
        with autocast(self.device, self._precision):
            units = self._network.features(images.to(self.device))
            outputs = self._network.outputs(units).double().cpu().numpy()
        mean, std = self._targets.units
        said = outputs * std + mean
        answers = np.arange(said.shape[1]) < self._targets.binary
        said[:, answers] = expit(outputs[:, answers])
        return Facts(short_names(self._targets.names), said, answers)

    def skill(self, name: str) -> dict[str, Any]:
        """How well the network knows a target that `predict` names, on held-out images: as in `details`."""
        full = dict(zip(short_names(self._targets.names), self._targets.names, strict=True))[name]
        return dict({**self.details["attributes"], **self.details["numbers"]}[full])


def _fuse(network: _Network) -> None:
    """Batch norm has become a factor and a shift for each map: the convolution takes them over."""
    layers: list[Any] = list(network.maps)
    fused: list[nn.Module] = []
    for convolution, norm, activation in zip(layers[::3], layers[1::3], layers[2::3]):
        fused += [fuse_conv_bn_eval(convolution, norm), activation]
    network.maps = nn.Sequential(*fused)


def _described(details: dict[str, Any]) -> str:
    """What the network is, and how well it does."""
    mean, parts = details["mean"], []
    if details["class_accuracy"] is not None:
        parts.append(f"{details['class_accuracy']:.1%} of held-out pictures in the right class")
    if mean["accuracy"] is not None:
        parts.append(
            f"right in {mean['accuracy']:.1%} of {len(details['attributes'])} attributes' held-out "
            f"answers (the more frequent answer: {mean['majority']:.1%})"
        )
    if mean["r2"] is not None:
        parts.append(f"R² {mean['r2']:.2f} over {len(details['numbers'])} numbers")
    return "Units of a network trained on the dataset's own attributes: " + (
        "; ".join(parts) or "no validation image to measure it on"
    )


def _key(dataset: Dataset, rows: np.ndarray, targets: Targets, settings: AttributeSettings) -> str:
    """Hash of everything the network depends on.

    The fingerprint covers pixels and splits, not the annotations: these are hashed beside it.
    """
    held_out = dataset.indices("validation")
    record = {
        "format": FORMAT, "dataset": dataset.fingerprint, "split": "train",
        "settings": asdict(settings), "names": targets.names, "binary": targets.binary,
        "shape": dataset.pixels.shape[1:], "left_out": targets.left_out,
    }  # fmt: skip
    digest = hashlib.blake2b(json.dumps(record).encode(), digest_size=12)
    for part in (rows, held_out):
        digest.update(np.ascontiguousarray(part, np.int64).tobytes())
        digest.update(np.ascontiguousarray(targets.values[part]).tobytes())
    return digest.hexdigest()


def _write(path: Path, network: nn.Module, record: dict[str, Any]) -> None:
    """Weights and record in one file, so that neither is there without the other."""
    tensors = {name: t.contiguous().cpu() for name, t in network.state_dict().items()}
    content = save(tensors, metadata={"record": json.dumps(record, allow_nan=False)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _read(path: Path, network: nn.Module) -> dict[str, Any] | None:
    """Load what was kept into the network and return its record; None where there is none."""
    try:
        with safe_open(path, "pt") as file:
            record = json.loads(file.metadata()["record"])
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            float(record["scale"]), _described(record)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    network.eval().requires_grad_(False)
    return record


# --------------------------------------------------------------------------------------------------
# Training
# --------------------------------------------------------------------------------------------------


@torch.inference_mode(False)
@torch.enable_grad()
def _train(
    network: _Network,
    dataset: Dataset,
    rows: np.ndarray,
    targets: Targets,
    settings: AttributeSettings,
) -> dict[str, Any]:
    """Train the network and return its record, ``scale`` among it."""
    _draw_weights(network, settings.seed)
    device = network.units.weight.device
    pixels, places = _small(dataset, rows, settings.side)
    values = targets.values[rows]
    optimizer = torch.optim.Adam(network.parameters(), settings.rate)
    schedule = TrainingConfig(learning_rate=settings.rate)
    # Batch norm needs more than one image: the last, short batch of an epoch is left out.
    size = min(settings.batch_size, len(rows))
    per_epoch = len(rows) // size
    steps = max(1, min(settings.shown // size, settings.epochs * per_epoch))
    network.train()
    with bar(steps * size, "training on attributes") as progress:
        for step in range(steps):
            if step % per_epoch == 0:
                order = epoch_order(settings.seed, step // per_epoch, len(rows))
            chosen = order[step % per_epoch * size :][:size]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(schedule, step, steps)
            x = to_images(np.array(pixels[places[chosen]]), device)
            wanted = torch.from_numpy(values[chosen]).to(device)
            loss = _loss(network(x), wanted, targets.binary)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            progress.update(size)
    network.eval().requires_grad_(False)
    shown = [units for units, _ in _outputs(network, pixels, thinned(places, MEASURED))]
    scale = float(np.sqrt(np.concatenate(shown).astype(np.float64).var(0).mean()))
    measured = thinned(dataset.indices("validation"), MEASURED)
    return {
        "scale": scale if scale > 0 else 1.0,
        "trained_on": len(rows),
        "held_out": len(measured),
        **_measure(network, dataset, measured, targets, settings),
        "left_out": targets.left_out,
    }


def _draw_weights(network: nn.Module, seed: int) -> None:
    """First weights: He's normal law, from a generator of their own."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            std = math.sqrt(2 / layer.weight[0].numel())
            drawn = torch.randn(layer.weight.shape, generator=generator) * std
            with torch.no_grad():
                layer.weight.copy_(drawn)
                if layer.bias is not None:
                    layer.bias.zero_()


def _loss(outputs: Tensor, wanted: Tensor, binary: int) -> Tensor:
    """Cost per image: the sum over its known targets, averaged over the images."""
    known = torch.isfinite(wanted)
    wanted = torch.where(known, wanted, 0.0)
    answers = functional.softplus(-wanted[:, :binary] * outputs[:, :binary])
    numbers = (wanted[:, binary:] - outputs[:, binary:]).square() / 2
    return (torch.cat([answers, numbers], 1) * known).sum() / len(outputs)


def _small(dataset: Dataset, rows: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, and where in them these rows are.

    Large pictures are scaled down once (250 MB at most), since they are shown several times; small
    ones stay where they are.
    """
    height, _, channels = dataset.pixels.shape[1:]
    if height <= side:
        return dataset.pixels, rows
    small = np.empty((len(rows), side, side, channels), np.uint8)
    for i, row in enumerate(rows):
        small[i] = resize(np.array(dataset.pixels[row]), side)
    return small, np.arange(len(rows))


@torch.no_grad()
def _outputs(
    network: _Network, pixels: np.ndarray, places: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Units and outputs of ``pixels[places]``, block by block."""
    device = network.units.weight.device
    for start in range(0, len(places), BLOCK):
        images = to_images(np.array(pixels[places[start : start + BLOCK]]), device)
        units = network.features(images)
        yield units.cpu().numpy(), network.outputs(units).cpu().numpy()


def _measure(
    network: _Network,
    dataset: Dataset,
    rows: np.ndarray,
    targets: Targets,
    settings: AttributeSettings,
) -> dict[str, Any]:
    """How well the network does on held-out images, target by target and in the mean."""
    places = _small(dataset, rows, settings.side)
    blocks = [outputs for _, outputs in _outputs(network, *places)]
    found = np.concatenate([np.empty((0, len(targets.names))), *blocks])
    wanted = targets.values[rows]
    attributes, numbers = {}, {}
    for j, name in enumerate(targets.names):
        known = np.isfinite(wanted[:, j])
        pair = found[known, j], wanted[known, j].astype(np.float64)
        if j < targets.binary:
            attributes[name] = _answered(*pair)
        else:
            numbers[name] = {"r2": _explained(*pair)}
    mean = {
        key: _mean(facts[key] for facts in among.values())
        for among, keys in ((attributes, ("accuracy", "majority", "auc")), (numbers, ("r2",)))
        for key in keys
    }
    return {
        "attributes": attributes,
        "numbers": numbers,
        "mean": mean,
        "class_accuracy": _classified(found[:, : targets.binary], wanted[:, : targets.binary]),
    }


def _answered(logits: np.ndarray, answers: np.ndarray) -> dict[str, float | None]:
    """Accuracy, the more frequent answer's, and the area under the ROC curve (Mann & Whitney)."""
    if not len(answers):
        return {"accuracy": None, "majority": None, "auc": None}
    yes = answers > 0
    n_yes, n_no = int(yes.sum()), int((~yes).sum())
    auc = None
    if n_yes and n_no:
        ranks = rankdata(logits)[yes].sum()
        auc = float((ranks - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))
    accuracy = float(((logits > 0) == yes).mean())
    return {"accuracy": accuracy, "majority": max(n_yes, n_no) / len(answers), "auc": auc}


def _classified(logits: np.ndarray, answers: np.ndarray) -> float | None:
    """Share of pictures whose class gets the largest logit, where every picture has one class."""
    yes = answers > 0
    if yes.shape[1] < 2 or not len(yes) or not (yes.sum(1) == 1).all():
        return None
    return float((logits.argmax(1) == yes.argmax(1)).mean())


def _explained(found: np.ndarray, wanted: np.ndarray) -> float | None:
    """Share of the variance that is explained; None where nothing varies."""
    total = np.square(wanted - wanted.mean()).sum() if len(wanted) else 0.0
    return float(1 - np.square(wanted - found).sum() / total) if total > 0 else None


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
