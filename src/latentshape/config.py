"""What a run was told to do: one frozen dataclass per stage, one line per preset.

The same fields are the command line's flags (``latent_dim`` is ``--latent-dim``), the keys of
``config.json`` in the run folder, and the arguments in Python. Order of authority: the defaults
below < the preset < what was given explicitly. Everything here is plain Python, so that ``--help``
needs neither torch nor NumPy.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from latentshape.errors import InputError, suggestion

__all__ = [
    "ACTIVATIONS",
    "MODELS",
    "PRESETS",
    "Config",
    "DataConfig",
    "EvaluationConfig",
    "ModelConfig",
    "TrainingConfig",
    "make_config",
]

ACTIVATIONS = ("leaky-relu", "relu", "elu", "selu", "gelu", "silu", "tanh")
SCHEDULES = ("one-cycle", "cosine", "constant")
PRECISIONS = ("auto", "fp32", "bf16")
#: Each kind of autoencoder and where its class lives; all share their networks and differ in the loss.
MODELS: dict[str, str] = {
    "cae": "latentshape.models.cae:CAE",
    "vae": "latentshape.models.vae:VAE",
    "gae": "latentshape.models.gae:GAE",
    "wae": "latentshape.models.wae:WAE",
    "rae": "latentshape.models.rae:RAE",
}


#: A model of somebody else's, which has no networks and no training here.
ADOPTED = "adopted"


def _option(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how they become squares of ``size`` pixels."""

    data: str = _option(
        "faces",
        "faces, faces:n=20000,seed=0,law=gaussian, a path, KIND:PATH (celeba mnist parquet arrays "
        "folder), or several: '2*PATH + PATH'",
    )
    size: int = _option(64, "side of the square images in pixels, 28 to 256")
    channels: int = _option(3, "3 for colour, 1 for grey")
    crop: str = _option("auto", "auto, square, box, or a CelebA preset such as centre-140")


@dataclass(frozen=True)
class ModelConfig:
    """The convolutional autoencoder: encoder and decoder share these numbers, mirrored.

    The last four weigh the losses, beside a squared error summed over pixels and channels; each
    model's module says where its default was published.
    """

    model: str = _option("cae", "kind of autoencoder: " + ", ".join(MODELS))
    latent_dim: int = _option(256, "number of components of a code")
    filters: tuple[int, ...] = _option((32, 64, 128, 256), "maps of each encoder layer")
    strides: tuple[int, ...] = _option((2,), "stride of each layer; one number stands for all")
    kernel_size: int = _option(3, "side of every convolution kernel")
    decoder_filters: tuple[int, ...] = _option(
        (),
        "maps of each decoder layer, then followed by a stride-1 convolution to the image; "
        "default: the encoder's, mirrored",
    )
    activation: str = _option("leaky-relu", "one of " + ", ".join(ACTIVATIONS))
    negative_slope: float = _option(0.2, "slope of leaky-relu below zero")
    batch_norm: bool = _option(False, "normalise each layer's maps over the batch")
    beta: float = _option(1.0, "vae: weight of the divergence; twice the variance of a pixel")
    prior_weight: float = _option(10.0, "wae, gae: how much the codes are to resemble N(0, I)")
    code_penalty: float = _option(0.0384, "rae: weight of half the squared length of a code")
    decoder_decay: float = _option(0.0012288, "rae: weight of the decoder's squared weights")

    def layer_strides(self) -> tuple[int, ...]:
        """One stride per encoder layer."""
        return self.strides * len(self.filters) if len(self.strides) == 1 else self.strides


@dataclass(frozen=True)
class TrainingConfig:
    """How the weights are found."""

    epochs: int = _option(20, "passes over the training images")
    batch_size: int = _option(128, "images per step")
    learning_rate: float = _option(2e-3, "peak rate of Adam")
    schedule: str = _option("one-cycle", "one of " + ", ".join(SCHEDULES))
    weight_decay: float = _option(0.0, "decoupled weight decay (AdamW); 0 is Adam")
    flip: bool = _option(True, "mirror half of the training images (never the held-out ones)")
    precision: str = _option("auto", "auto (bf16 where it is faster), fp32 or bf16")
    seed: int = _option(0, "of the weights and of the order of the images")
    snapshots: tuple[int, ...] = _option((), "epochs after which the weights are kept too")


@dataclass(frozen=True)
class EvaluationConfig:
    """How many pictures the scorecard judges."""

    n: int = _option(1000, "pictures per row and draw")
    draws: int = _option(5, "independent draws behind each interval")
    samplers: str = _option("all", "samplers to judge, such as gaussian,mixture; all of them")
    features: str = _option(
        "pixel-pca,codes,random-conv,attributes,inception,dinov2",
        "feature spaces to judge in; those that do not apply are left out and named",
    )
    inception_weights: str = _option(
        "", "file of Inception-v3 weights, for feature space inception"
    )
    dinov2_weights: str = _option("", "file of DINOv2 weights, for feature space dinov2")

    def feature_names(self) -> list[str]:
        """The feature spaces, one by one."""
        return _words(self.features)

    def sampler_names(self) -> list[str] | None:
        """The samplers to judge, one by one; None for all there are."""
        return None if self.samplers.strip() == "all" else _words(self.samplers)


@dataclass(frozen=True)
class Config:
    """Everything a run needs to be repeated: ``config.json``, word for word."""

    preset: str = "faces-64"
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dictionaries, tuples as lists, ready for JSON."""
        return _plain(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """The inverse of :meth:`to_dict`.

        Raises:
            InputError: A section or field is unknown or of the wrong type.
        """
        for name in values:
            if name not in ("preset", *_SECTIONS):
                raise InputError(f"The config has no section {name!r}{suggestion(name, _SECTIONS)}")
        sections: dict[str, Any] = {}
        for name, section in _SECTIONS.items():
            given = values.get(name, {})
            if not isinstance(given, Mapping):
                raise InputError(f"Expected an object under {name!r} in the config, got {given!r}.")
            known = {f.name: f for f in dataclasses.fields(section)}
            for key in given:
                if key not in known:
                    raise InputError(
                        f"The config has {name}.{key}, which this version lacks"
                        f"{suggestion(key, known)}"
                    )
            sections[name] = section(
                **{k: _coerce(f"{name}.{k}", v, getattr(section(), k)) for k, v in given.items()}
            )
        config = cls(preset=str(values.get("preset", "")), **sections)
        check_config(config)
        return config

    def differences(self, other: Config) -> list[str]:
        """Fields that differ, as ``training.epochs: 20 here, 30 there`` sentences."""
        mine, theirs = self.to_dict(), other.to_dict()
        return [
            f"{section}.{key}: {theirs[section][key]!r} there, {value!r} now"
            for section in _SECTIONS
            for key, value in mine[section].items()
            if theirs[section][key] != value
        ]


_SECTIONS: dict[str, Any] = {
    "data": DataConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
    "evaluation": EvaluationConfig,
}

#: Each preset is one line; docs/results.md holds what it measured.
PRESETS: dict[str, dict[str, Any]] = {
    "faces-64": dict(data="faces", size=64, latent_dim=128, filters=(32, 64, 128, 256),
                     batch_size=64, epochs=16, n=500),
    "celeba-64": dict(data="celeba", size=64, latent_dim=256, filters=(32, 64, 128, 256), epochs=24),
    # Digits have a left and a right: they are never mirrored.
    "mnist": dict(data="mnist", size=28, channels=1, latent_dim=16, filters=(32, 64), flip=False,
                  epochs=10),
    # The network of the experiments: 96 px, 12x12x128 bottleneck, just over 10 million parameters.
    "series-96": dict(data="celeba", size=96, latent_dim=256, filters=(64, 64, 128, 128),
                      strides=(2, 2, 2, 1), decoder_filters=(128, 128, 64, 64), epochs=24),
    # Ghosh et al. 2020 (RAE), CelebA. What it does and we do not: the decoder's linear map leads
    # straight to 8 x 8 x 1024 (here to 4 x 4 x 1024 and one layer more); the rate is halved when the
    # validation loss stops falling (here a cosine); the best epoch's weights are kept (here the
    # last's). Its FID is 10,000 pictures against the 19,962 test images, in Inception's features.
    "rae-celeba": dict(model="rae", data="celeba", crop="centre-140", size=64, latent_dim=64,
                       filters=(128, 256, 512, 1024), decoder_filters=(1024, 512, 256, 128),
                       kernel_size=5, activation="relu", batch_norm=True, batch_size=100, epochs=70,
                       learning_rate=1e-3, schedule="cosine", flip=False, n=10_000),
}  # fmt: skip


def field_sections() -> dict[str, tuple[str, dataclasses.Field[Any]]]:
    """Every option by name: the section it belongs to and its dataclass field."""
    return {f.name: (name, f) for name, cls in _SECTIONS.items() for f in dataclasses.fields(cls)}


def make_config(preset: str = "faces-64", **options: Any) -> Config:
    """Defaults < preset < options, checked.

    Args:
        preset: A name in :data:`PRESETS`.
        options: Any field of any section by its plain name, such as ``latent_dim=64``; an option
            that is None counts as not given.

    Returns:
        The frozen config, as it goes into ``config.json``.

    Raises:
        InputError: Unknown preset or option, or values that do not fit together.

    Example:
        >>> make_config("faces-64", latent_dim=64).model.latent_dim
        64
    """
    if preset not in PRESETS:
        raise InputError(f"Unknown preset {preset!r}{suggestion(preset, PRESETS)}")
    sections = field_sections()
    given = {k: v for k, v in options.items() if v is not None}
    for key in given:
        if key not in sections:
            raise InputError(f"Unknown option {key!r}{suggestion(key, sections)}")
    merged = {**PRESETS[preset], **given}
    nested: dict[str, Any] = {"preset": preset}
    for key, value in merged.items():
        nested.setdefault(sections[key][0], {})[key] = value
    return Config.from_dict(nested)


def check_config(config: Config) -> None:
    """Refuse what cannot work, before anything is read or written.

    Raises:
        InputError: Naming the field, its value, and a value that would do.
    """
    data, model, training = config.data, config.model, config.training
    adopted = model.model == ADOPTED
    _between("size", data.size, *((4, 1024) if adopted else (28, 256)))
    if data.channels not in (1, 3):
        raise InputError(f"channels must be 1 (grey) or 3 (colour), got {data.channels}.")
    for name, value in (
        ("latent_dim", model.latent_dim),
        ("kernel_size", model.kernel_size),
        ("epochs", training.epochs),
        ("batch_size", training.batch_size),
        ("draws", config.evaluation.draws),
    ):
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}.")
    if config.evaluation.n < 2:
        raise InputError(
            f"n must be at least 2 pictures, to have a spread to judge; got {config.evaluation.n}."
        )
    if not adopted:
        _one_of("model", model.model, tuple(MODELS))
    _one_of("activation", model.activation, ACTIVATIONS)
    _one_of("schedule", training.schedule, SCHEDULES)
    _one_of("precision", training.precision, PRECISIONS)
    if not adopted:
        _check_networks(data, model)
    if training.learning_rate <= 0:
        raise InputError(f"learning_rate must be positive, got {training.learning_rate}.")
    for name in ("negative_slope", "beta", "prior_weight", "code_penalty", "decoder_decay"):
        if getattr(model, name) < 0:
            raise InputError(f"{name} must not be negative, got {getattr(model, name)}.")
    if training.seed >= 2**63:
        raise InputError(f"seed must be below 2^63, got {training.seed}.")
    for epoch in training.snapshots:
        _between("snapshots", epoch, 1, training.epochs)
    if training.weight_decay < 0 or training.seed < 0:
        raise InputError("weight_decay and seed must not be negative.")


def _check_networks(data: DataConfig, model: ModelConfig) -> None:
    """See that filters, strides, kernel and size make networks."""
    if not model.filters or min(model.filters) < 1:
        raise InputError(f"filters must be positive numbers, one per layer, got {model.filters}.")
    strides = model.layer_strides()
    if len(strides) != len(model.filters) or min(strides) < 1:
        raise InputError(
            f"strides must be one positive number, or one for each of the {len(model.filters)} "
            f"filters, got {model.strides}."
        )
    if model.decoder_filters and len(model.decoder_filters) != len(strides):
        raise InputError(
            f"decoder_filters must be one number for each of the {len(strides)} layers, got "
            f"{model.decoder_filters}."
        )
    if model.kernel_size < max(strides) or (model.kernel_size % 2 == 0 and min(strides) == 1):
        raise InputError(
            f"kernel_size {model.kernel_size} does not fit strides {strides}: it must be at least "
            "the largest stride, and odd where a stride is 1. Try --kernel-size 3."
        )
    step = math.prod(strides)
    if data.size % step:
        below, above = data.size // step * step, -(-data.size // step) * step
        sizes = " or ".join(str(s) for s in (below, above) if 28 <= s <= 256)
        raise InputError(
            f"size {data.size} is not divisible by {step}, the product of the strides {strides}. "
            f"Use {f'--size {sizes}, or ' if sizes else ''}fewer or smaller --strides."
        )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _between(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} must be from {low} to {high}, got {value}.")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}; got {value!r}.")


def _coerce(name: str, value: Any, like: Any) -> Any:
    """``value`` in the type of the field's default, or a sentence about it."""
    if isinstance(like, tuple):
        parts = value if isinstance(value, (list, tuple)) else [value]
        if all(_is_whole(part) for part in parts):
            return tuple(int(part) for part in parts)
        kind = "a list of whole numbers"
    elif isinstance(like, bool):
        if isinstance(value, bool):
            return value
        kind = "true or false"
    elif isinstance(like, int):
        if _is_whole(value):
            return int(value)
        kind = "a whole number"
    elif isinstance(like, float):
        if _is_finite(value):
            return float(value)
        kind = "a finite number"
    else:
        if isinstance(value, str):
            return value
        kind = "a text"
    raise InputError(f"Expected {kind} for {name}, got {value!r}.")


def _is_whole(value: Any) -> bool:
    """Whether a value is a number without a fraction: 3 and 3.0, but neither True nor "3"."""
    return _is_finite(value) and value == int(value)


def _is_finite(value: Any) -> bool:
    """Whether a value is a number that a float can hold."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # of whole numbers beyond 1.8e308
        return False


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (tuple, list)) else value
