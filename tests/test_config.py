"""The config: presets that work, a round trip through JSON, and mistakes met with a way out."""

import dataclasses
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentshape.config import (
    ACTIVATIONS,
    MODELS,
    PRECISIONS,
    PRESETS,
    SCHEDULES,
    Config,
    field_sections,
    make_config,
)
from latentshape.errors import InputError
from latentshape.models.networks import ConvDecoder, ConvEncoder

POSITIVE = st.floats(1e-6, 1e3)
LAYERS = st.lists(
    st.tuples(st.integers(1, 512), st.sampled_from([1, 2, 2, 2, 3])), min_size=1, max_size=4
)


@st.composite
def options(draw):
    """Options that fit together: the size is a multiple of the strides' product."""
    layers = draw(LAYERS)
    strides = tuple(stride for _, stride in layers)
    step = math.prod(strides)
    size = step * draw(st.integers(-(-28 // step), 256 // step))
    always = dict(size=size, filters=tuple(maps for maps, _ in layers), strides=strides)
    maybe = dict(
        data=st.text(min_size=1),
        channels=st.sampled_from([1, 3]),
        crop=st.sampled_from(["auto", "square", "centre-140"]),
        latent_dim=st.integers(1, 1024),
        kernel_size=st.sampled_from([3, 5]),
        decoder_filters=st.lists(
            st.integers(1, 64), min_size=len(layers), max_size=len(layers)
        ).map(tuple),
        activation=st.sampled_from(ACTIVATIONS),
        negative_slope=st.floats(0, 1),
        batch_norm=st.booleans(),
        model=st.sampled_from(list(MODELS)),
        beta=st.floats(0, 1e3),
        prior_weight=st.floats(0, 1e3),
        code_penalty=st.floats(0, 1e3),
        decoder_decay=st.floats(0, 1e3),
        epochs=st.integers(1, 1000),
        batch_size=st.integers(1, 4096),
        learning_rate=POSITIVE,
        schedule=st.sampled_from(SCHEDULES),
        weight_decay=st.floats(0, 1),
        flip=st.booleans(),
        precision=st.sampled_from(PRECISIONS),
        seed=st.integers(0, 2**63 - 1),
        n=st.integers(2, 10_000),
        draws=st.integers(1, 20),
    )
    return always | draw(st.fixed_dictionaries({}, optional=maybe))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid_and_its_numbers_arrive(preset):
    config = make_config(preset)
    assert config.preset == preset
    for name, value in PRESETS[preset].items():
        section = field_sections()[name][0]
        assert getattr(getattr(config, section), name) == value


@given(options())
def test_a_config_survives_json_and_holds_what_was_given(given_options):
    config = make_config(**given_options)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    for name, value in given_options.items():
        assert getattr(getattr(config, field_sections()[name][0]), name) == value


@pytest.mark.parametrize("preset", PRESETS)
def test_options_win_over_the_preset_and_the_preset_over_the_defaults(preset):
    plain, changed = make_config(preset), make_config(preset, epochs=3, latent_dim=None)
    assert changed.training.epochs == 3
    assert changed.model == plain.model
    assert changed.differences(plain) == [f"training.epochs: {plain.training.epochs} there, 3 now"]
    assert plain.differences(make_config(preset)) == []


def test_no_two_sections_share_a_field_name():
    sections = [f.name for f in dataclasses.fields(Config) if f.name != "preset"]
    every = [f.name for section in sections for f in dataclasses.fields(getattr(Config(), section))]
    assert sorted(every) == sorted(field_sections())


def test_every_option_says_what_it_is():
    for _, field in field_sections().values():
        assert field.metadata["help"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: make_config("face-64"), "did you mean 'faces-64'"),
        (lambda: make_config("zzz"), "There are: faces-64"),
        (lambda: make_config(latent_dims=3), "did you mean 'latent_dim'"),
        (lambda: Config.from_dict({"modle": {}}), "did you mean 'model'"),
        (lambda: Config.from_dict({"model": {"filter": [3]}}), "did you mean 'filters'"),
        (lambda: Config.from_dict({"model": [3]}), "Expected an object under 'model'"),
        (lambda: make_config(activation="swish"), "activation must be one of leaky-relu"),
        (lambda: make_config(schedule="linear"), "schedule must be one of one-cycle"),
        (lambda: make_config(precision="fp16"), "precision must be one of auto"),
        (lambda: make_config(model="gan"), "model must be one of cae, vae, gae, wae, rae; got 'gan'"),
        (lambda: make_config(beta=-1.0), "beta must not be negative, got -1.0"),
        (lambda: make_config(prior_weight=-1.0), "prior_weight must not be negative"),
        (lambda: make_config(code_penalty=-1.0), "code_penalty must not be negative"),
        (lambda: make_config(decoder_decay=-1.0), "decoder_decay must not be negative"),
        (lambda: make_config(size=27), "size must be from 28 to 256, got 27"),
        (lambda: make_config(size=257), "size must be from 28 to 256, got 257"),
        (lambda: make_config(channels=2), "channels must be 1"),
        (lambda: make_config(filters=()), "filters must be positive"),
        (lambda: make_config(filters=(8, 0)), "filters must be positive"),
        (lambda: make_config(strides=(2, 2)), "one for each of the 4 filters"),
        (lambda: make_config(strides=(0,)), "strides must be one positive number"),
        (lambda: make_config(decoder_filters=(3,)), "one number for each of the 4 layers"),
        (lambda: make_config(kernel_size=1), "Try --kernel-size 3"),
        (lambda: make_config(kernel_size=4, strides=(2, 2, 2, 1)), "odd where a stride is 1"),
        (lambda: make_config(strides=(2, 2, 2, 64), kernel_size=64, filters=(1, 1, 1, 1)),
         "fewer or smaller --strides"),
        (lambda: make_config(n=1), "n must be at least 2"),
        (lambda: make_config(draws=0), "draws must be at least 1"),
        (lambda: make_config(epochs=0), "epochs must be at least 1"),
        (lambda: make_config(batch_size=-1), "batch_size must be at least 1"),
        (lambda: make_config(learning_rate=0.0), "learning_rate must be positive"),
        (lambda: make_config(weight_decay=-1.0), "must not be negative"),
        (lambda: make_config(seed=-1), "must not be negative"),
    ],
)  # fmt: skip
def test_a_mistake_is_met_with_a_way_out(call, expected):
    with pytest.raises(InputError, match=re.escape(expected)):
        call()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("latent_dim", "64"),
        ("latent_dim", 3.5),
        ("latent_dim", True),
        ("latent_dim", math.inf),
        ("latent_dim", math.nan),
        ("learning_rate", "fast"),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("negative_slope", math.nan),
        ("weight_decay", False),
        ("beta", "high"),
        ("beta", math.nan),
        ("filters", "64"),
        ("filters", [32.5]),
        ("filters", [True]),
        ("filters", {"a": 1}),
        ("batch_norm", 1),
        ("flip", "yes"),
        ("data", 5),
        ("activation", ["relu"]),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(option, value):
    with pytest.raises(InputError, match=f"for .*{option}, got"):
        make_config(**{option: value})


def test_whole_floats_and_single_numbers_mean_what_they_say():
    config = make_config(latent_dim=64.0, filters=8, learning_rate=1)
    assert config.model.latent_dim == 64
    assert config.model.filters == (8,)
    assert isinstance(config.training.learning_rate, float)


@given(
    st.integers(28, 256),
    st.lists(st.sampled_from([1, 2, 3, 4, 5]), min_size=1, max_size=4),
)
def test_a_size_that_the_strides_do_not_divide_is_answered_with_sizes_that_do(size, strides):
    given_options = dict(filters=(4,) * len(strides), strides=tuple(strides), kernel_size=5)
    step = math.prod(strides)
    if size % step == 0:
        assert make_config(size=size, **given_options).data.size == size
        return
    with pytest.raises(InputError, match="not divisible") as caught:
        make_config(size=size, **given_options)
    named = re.search(r"--size (\d+)(?: or (\d+))?", str(caught.value))
    possible = [s for s in range(28, 257) if s % step == 0]
    assert (named is None) == (not possible)
    for other in filter(None, named.groups() if named else ()):
        assert make_config(size=int(other), **given_options).data.size == int(other)
        assert abs(int(other) - size) < step


@given(
    st.integers(1, 3),
    st.integers(1, 6),
    st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=3),
    st.booleans(),
)
def test_whatever_the_config_accepts_the_networks_map_back_to_the_same_side(
    multiple, kernel, strides, decoder
):
    import torch

    step = math.prod(strides)
    size = step * (-(-28 // step) + multiple - 1)
    layers = len(strides)
    try:
        config = make_config(
            size=size, filters=(2,) * layers, strides=tuple(strides), kernel_size=kernel,
            latent_dim=3, decoder_filters=(2,) * layers if decoder else (),
        )  # fmt: skip
    except InputError:
        assert kernel < max(strides) or kernel % 2 == 0
        return
    x = torch.zeros(2, 3, size, size)
    z = ConvEncoder(config.model, size, 3)(x)
    assert z.shape == (2, 3)
    assert ConvDecoder(config.model, size, 3)(z).shape == x.shape
