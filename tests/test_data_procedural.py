"""Procedural faces as a dataset: laws, factors, sweeps, and what is no such thing."""

import shutil

import numpy as np
import pytest

from latentshape.data import list_dataset, open_dataset
from latentshape.data.cache import cache_entries
from latentshape.data.faces import (
    ATTRIBUTES,
    FACTORS,
    LAWS,
    attributes_of,
    draw_factors,
    faces,
    render,
)
from latentshape.data.procedural import FacePictures, FaceRecipe, parse_recipe
from latentshape.data.splits import hash_split
from latentshape.errors import InputError

NAMES = [factor.name for factor in FACTORS]


def opened(spec, size=16, **options):
    return open_dataset(spec, size=size, **options)


def test_faces_are_the_faces_with_their_attributes_and_factors():
    dataset = opened("faces:n=300,seed=5", size=32)
    assert dataset.kind == "faces"
    assert np.array_equal(dataset.pixels, faces(range(300), seed=5, size=32))
    assert dataset.ids[7] == "face-5-0000007"
    assert dataset.attribute_names == ATTRIBUTES
    draws = draw_factors(range(300), seed=5)
    assert np.array_equal(dataset.columns["factors"], draws)
    assert np.array_equal(dataset.attributes, attributes_of(draws))
    assert np.array_equal(dataset.split, hash_split(dataset.ids.tolist()))
    assert dataset.notices == ()


def test_faces_are_the_same_each_time_and_others_for_another_seed(own_cache):
    first = opened("faces:n=60")
    shutil.rmtree(own_cache)
    again = opened("faces: seed=0 , n=60,")
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.pixels, faces(range(60), size=16))
    others = [
        opened(spec, size=size).fingerprint
        for spec, size in (("faces:n=60,seed=1", 16), ("faces:n=61", 16), ("faces:n=60", 17))
    ]
    assert len({first.fingerprint, *others}) == 4


def test_bare_faces_are_twelve_thousand():
    for spec in ("faces", "faces:"):
        assert len(list_dataset(spec).ids) == 12_000


def test_every_law_is_a_population_of_its_own():
    datasets = {law: opened(f"faces:n=60,law={law}") for law in LAWS}
    assert len({dataset.fingerprint for dataset in datasets.values()}) == len(LAWS) >= 5
    for law, dataset in datasets.items():
        draws = draw_factors(range(60), law=law)
        assert np.array_equal(dataset.columns["factors"], draws)
        assert np.array_equal(dataset.pixels, render(draws, 16))
    assert datasets["natural"].fingerprint == opened("faces:n=60").fingerprint


def test_only_the_named_factors_vary():
    dataset = opened("faces:n=60,law=uniform,factors=yaw+smile")
    spread = np.ptp(dataset.columns["factors"], axis=0)
    assert {name for name, width in zip(NAMES, spread) if width > 0} == {"yaw", "smile"}
    expected = draw_factors(range(60), law="uniform", vary=("yaw", "smile"))
    assert np.array_equal(dataset.columns["factors"], expected)


def test_a_sweep_varies_one_factor_of_one_face():
    dataset = opened("faces:n=50,sweep=yaw,face=7,seed=2")
    factors = dataset.columns["factors"]
    yaw = NAMES.index("yaw")
    face = draw_factors([7], seed=2)[0]
    assert np.array_equal(
        np.delete(factors, yaw, axis=1), np.delete(np.tile(face, (50, 1)), yaw, 1)
    )
    steps = np.diff(factors[:, yaw])
    assert (steps > 0).all()
    assert np.allclose(steps, steps[0], rtol=1e-3)
    assert dataset.ids[0] == "sweep-yaw-7-2-0000000"
    assert np.array_equal(dataset.pixels, render(factors, 16))


def test_rows_of_faces_are_painted_alike_in_any_company():
    pictures = FacePictures(FaceRecipe(n=200, seed=3), np.arange(200))
    whole = list(pictures.contents(16))
    rows = np.array([0, 63, 64, 150, 199])
    taken = pictures.take(rows)
    assert len(taken) == 5
    for i, content in zip(rows, taken.contents(16)):
        assert np.array_equal(content, whole[i])
    assert np.array_equal(taken.digests(), pictures.digests()[rows])
    assert len(np.unique(pictures.digests(), axis=0)) == 200


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("n=-5", "Expected faces:n=NUMBER, got '-5'"),
        ("n=many", "Expected faces:n=NUMBER, got 'many'"),
        ("n", "Expected faces:n=NUMBER, got ''"),
        ("n=5;seed=1", "Expected faces:n=NUMBER, got '5;seed=1'"),
        ("seed=1.5", r"Expected faces:seed=NUMBER, got '1\.5'"),
        ("n=0", "Expected faces:n=COUNT, 1 or more .* got n=0"),
        ("n=1,sweep=yaw", "a sweep: 2"),
        ("m=3", "Unknown option 'm'.*There are: n, seed, law, factors, sweep, face"),
        ("sede=3", "Unknown option 'sede'.*did you mean 'seed'"),
        ("7", "Unknown option '7'"),
        ("n=5,n=6", "'n' is given twice"),
        ("law=gausian", "Unknown law 'gausian'; did you mean 'gaussian'"),
        ("law=", "Unknown law ''.*There are: natural"),
        ("factors=yaw+smlie", "Unknown factor 'smlie'; did you mean 'smile'"),
        ("factors=", r"Expected faces:factors=NAME\+NAME, got nothing"),
        ("sweep=yawn", "Unknown factor 'yawn'; did you mean 'yaw'"),
        ("face=3", "face= says whose factor a sweep varies: add sweep="),
        ("sweep=", "Expected faces:sweep=NAME, got nothing"),
    ],
)
def test_bad_options_are_named_with_what_would_do(options, words):
    with pytest.raises(InputError, match=words):
        open_dataset(f"faces:{options}")


@pytest.mark.parametrize("digits", ["²", "٣", "①"])
def test_digits_of_any_alphabet_are_no_traceback(digits):
    try:
        recipe = parse_recipe(f"n={digits}")
    except InputError:
        return
    assert recipe.n == int(digits)


def test_a_seed_or_size_beyond_the_faces_is_named():
    with pytest.raises(InputError, match="seed must be an integer"):
        open_dataset(f"faces:n=60,seed={2**64}")
    with pytest.raises(InputError, match=r"at most 10,000,000, got n=9{12}"):
        open_dataset(f"faces:n={'9' * 12}")
    with pytest.raises(InputError, match="size must be an integer from 16 to 512"):
        open_dataset("faces:n=60", size=8)
    assert cache_entries() == []
