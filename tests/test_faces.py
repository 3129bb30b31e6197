"""The procedural faces: a face is a function of (seed, index), at any size, in any company."""

import numpy as np
import pytest

from latentshape.data.faces import (
    ATTRIBUTES,
    FACTORS,
    attributes_of,
    draw_factors,
    faces,
    render,
)
from latentshape.errors import InputError

NAMES = [factor.name for factor in FACTORS]
COLUMN = {name: j for j, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def factors():
    return draw_factors(range(4_000), seed=3)


@pytest.fixture(scope="module")
def answers(factors):
    return dict(zip(ATTRIBUTES, attributes_of(factors).T, strict=True))


def edited(row, **values):
    """One row of factors with some columns set."""
    row = np.array(row, dtype=np.float32).reshape(1, -1)
    for name, value in values.items():
        row[0, COLUMN[name]] = value
    return row


@pytest.fixture(scope="module")
def plain():
    """A middling face with nothing worn or grown, in which any one factor can be moved."""
    row = [(factor.low + factor.high) / 2 for factor in FACTORS]
    bare = {factor.name: 0 for factor in FACTORS if factor.kind == "binary"}
    return edited(row, **bare, hairline=0, fringe=0.1, hair_grey=0.1, smile=0.4, stubble=0)


# --- one face, one number -------------------------------------------------------------------------


def test_a_face_is_the_same_in_any_batch_and_order():
    indices = np.array([5, 2**40, 0, 17, 3, 5])
    together = faces(indices, seed=1, size=48)
    alone = np.concatenate([faces([i], seed=1, size=48) for i in indices])
    assert np.array_equal(together, alone)
    assert np.array_equal(together[::-1], faces(indices[::-1], seed=1, size=48))


@pytest.mark.parametrize("size", [16, 33, 64, 100])
def test_pixels_do_not_depend_on_the_chunk_they_are_painted_in(size):
    rows = draw_factors(range(70), seed=9)
    whole = render(rows, size)
    assert np.array_equal(whole[11:14], render(rows[11:14], size))
    assert np.array_equal(whole[-1:], render(rows[-1:], size))
    assert np.array_equal(whole[::7], render(rows[::7], size))


def test_seeds_and_indices_name_different_faces():
    a, b = draw_factors(range(500), seed=0), draw_factors(range(500), seed=1)
    assert len(np.unique(np.concatenate([a, b]), axis=0)) == 1_000
    common = abs(np.corrcoef(a[:, 1], b[:, 1])[0, 1]), abs(np.corrcoef(a[1:, 1], a[:-1, 1])[0, 1])
    assert max(common) < 5 / np.sqrt(500)  # neither seed nor neighbour tells anything


@pytest.mark.parametrize("size", [16, 64, 65, 512])
def test_pictures_are_uint8_and_square(size):
    pixels = faces(range(2), size=size)
    assert pixels.shape == (2, size, size, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 20


def test_no_faces_is_not_an_error():
    assert draw_factors([]).shape == (0, len(FACTORS))
    assert faces([], size=32).shape == (0, 32, 32, 3)
    assert attributes_of(draw_factors([])).shape == (0, len(ATTRIBUTES))


def test_a_face_is_the_same_at_every_size():
    rows = draw_factors(range(32), seed=4)
    fine = render(rows, 128).astype(float)
    halved = fine.reshape(32, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    error = np.abs(halved - render(rows, 64))
    assert error.mean() < 2.5
    assert np.quantile(error, 0.99) < 30


# --- the factors ----------------------------------------------------------------------------------


def test_factors_are_declared_once_and_parents_first():
    assert len(set(NAMES)) == len(NAMES)
    for j, factor in enumerate(FACTORS):
        assert factor.low < factor.high
        assert factor.meaning
        assert sum(weight**2 for _, weight in factor.given) < 1
        for parent, _ in factor.given:
            assert COLUMN[parent] < j
            assert not FACTORS[COLUMN[parent]].given  # or the scores would lose their unit variance


def test_factors_keep_to_their_declared_range(factors):
    assert factors.dtype == np.float32
    assert (factors >= [np.float32(f.low) for f in FACTORS]).all()
    assert (factors <= [np.float32(f.high) for f in FACTORS]).all()
    for factor in FACTORS:
        values = np.unique(factors[:, COLUMN[factor.name]])
        assert (len(values) == 2) == (factor.kind == "binary")


def test_factors_follow_their_law(factors):
    n = len(factors)
    for factor in FACTORS:
        if factor.given or factor.law not in ("uniform", "normal"):
            continue
        unit = (factors[:, COLUMN[factor.name]] - factor.low) / (factor.high - factor.low)
        std = {"uniform": 1 / np.sqrt(12), "normal": 1 / 6}[factor.law]
        assert abs(unit.mean() - 0.5) < 5 * std / np.sqrt(n), factor.name
        assert abs(unit.std() / std - 1) < 0.06, factor.name


def test_free_factors_are_independent(factors):
    free = [COLUMN[f.name] for f in FACTORS if not f.given]
    correlation = np.corrcoef(factors[:, free].T) - np.eye(len(free))
    assert np.abs(correlation).max() < 5 / np.sqrt(len(factors))


def test_people_are_correlated_as_people_are(answers):
    def rate(what, among):
        return (answers[what][answers[among] == 1] == 1).mean()

    assert rate("Male", "Mustache") > 0.99
    assert rate("Wearing_Lipstick", "Male") < 0.1
    assert rate("Young", "Gray_Hair") < 0.2
    assert rate("Bald", "Male") > 0.02
    assert rate("Mouth_Slightly_Open", "Smiling") > (answers["Mouth_Slightly_Open"] == 1).mean()


# Factors that refine something optional are tried on somebody who has it.
SETTING = {
    "lipstick_hue": {"lipstick": 1},
    "ear_size": {"hair_length": 0},
    "beard_length": {"beard": 1},
    "hat_brim": {"hat": 1},
    "hat_hue": {"hat": 1},
    "hat_light": {"hat": 1},
} | {f"glasses_{part}": {"glasses": 1} for part in ("tint", "frame", "round", "hue")}


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_each_factor_changes_the_picture_and_does_so_continuously(plain, factor):
    row = edited(plain, **SETTING.get(factor.name, {}))
    values = np.linspace(factor.low, factor.high, 65, dtype=np.float32)
    rows = np.repeat(row, len(values), axis=0)
    rows[:, COLUMN[factor.name]] = values
    pixels = render(rows, 32).astype(float)
    assert np.abs(pixels - pixels[0]).max() > 8
    if factor.kind == "binary":
        assert len(np.unique(pixels.reshape(len(values), -1), axis=0)) == 2
    else:
        steps = np.abs(np.diff(pixels, axis=0)).mean(axis=(1, 2, 3))
        assert steps.max() < 2.5


# --- attributes -----------------------------------------------------------------------------------


def test_attributes_are_neither_rare_nor_universal(factors, answers):
    assert attributes_of(factors).dtype == np.int8
    assert set(np.unique(attributes_of(factors))) == {-1, 1}
    rates = {name: (answer == 1).mean() for name, answer in answers.items()}
    assert not {name: rate for name, rate in rates.items() if not 0.02 <= rate <= 0.98}


def test_attributes_exclude_what_cannot_be_together(answers):
    both = lambda a, b: ((answers[a] == 1) & (answers[b] == 1)).any()  # noqa: E731
    colours = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bald")
    for i, a in enumerate(colours):
        assert not any(both(a, b) for b in colours[i + 1 :])
    assert not both("Goatee", "No_Beard")
    assert not both("Straight_Hair", "Wavy_Hair")


def attribute(row, name):
    return attributes_of(row)[0, ATTRIBUTES.index(name)]


def luminance(row):
    return render(row, 64)[0].mean(axis=2)


@pytest.mark.parametrize(
    ("name", "yes", "no", "region"),
    [
        ("Eyeglasses", {"glasses": 1, "glasses_frame": 1}, {"glasses": 0}, np.s_[24:38, 14:50]),
        ("Wearing_Hat", {"hat": 1}, {"hat": 0}, np.s_[0:18, 16:48]),
        ("Mustache", {"moustache": 1}, {"moustache": 0}, np.s_[42:48, 26:38]),
        ("Wearing_Lipstick", {"lipstick": 1}, {"lipstick": 0}, np.s_[44:54, 24:40]),
        ("Bald", {"hairline": 1}, {"hairline": 0}, np.s_[4:16, 20:44]),
        ("Smiling", {"smile": 1}, {"smile": 0}, np.s_[38:56, 18:46]),
        ("Goatee", {"goatee": 1}, {"goatee": 0}, np.s_[50:62, 26:38]),
    ],
)
def test_an_attribute_shows_where_it_belongs(plain, name, yes, no, region):
    with_it, without = edited(plain, **yes), edited(plain, **no)
    assert attribute(with_it, name) == 1
    assert attribute(without, name) == -1
    change = np.abs(luminance(with_it) - luminance(without))
    elsewhere = np.ones_like(change, dtype=bool)
    elsewhere[region] = False
    assert change[region].mean() > 4
    assert change[region].mean() > 2 * change[elsewhere].mean()


def test_hair_colours_look_as_they_are_called(factors, answers):
    few = factors[:300].copy()
    few[:, COLUMN["hat"]] = 0
    crown = render(few, 64)[:, 3:12, 26:38].mean(axis=(1, 2))
    answers = {name: answer[:300] == 1 for name, answer in answers.items()}
    light = {n: crown[answers[n]].mean() for n in ("Black_Hair", "Brown_Hair", "Blond_Hair")}
    assert light["Black_Hair"] < light["Brown_Hair"] < light["Blond_Hair"]
    colourful = np.ptp(crown, axis=1)
    assert colourful[answers["Gray_Hair"]].mean() < colourful[answers["Blond_Hair"]].mean() / 2


# --- are they faces? ------------------------------------------------------------------------------


def detector():
    cv2 = pytest.importorskip("cv2")
    path = cv2.data.haarcascades + "haarcascade_frontalface_default.xml"
    cascade = cv2.CascadeClassifier(path)

    def found(picture):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, (128, 128), interpolation=cv2.INTER_LINEAR)
        return len(cascade.detectMultiScale(grey, 1.05, 3, minSize=(48, 48))) > 0

    return found


def test_a_face_detector_finds_them_and_nothing_else():
    found = detector()
    pixels = faces(range(150), seed=11)
    assert np.mean([found(picture) for picture in pixels]) >= 0.85
    blocks = pixels.reshape(150, 4, 16, 4, 16, 3).swapaxes(2, 3).reshape(150, 16, 16, 16, 3)
    shuffled = np.random.default_rng(0).permuted(blocks, axis=1).reshape(150, 4, 4, 16, 16, 3)
    pieces = np.ascontiguousarray(shuffled.swapaxes(2, 3)).reshape(150, 64, 64, 3)
    assert np.mean([found(picture) for picture in pieces]) < 0.05


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [15, 513, 64.0, "64", True, None])
def test_a_bad_size_is_named(size):
    with pytest.raises(InputError, match="size must be an integer from 16 to 512"):
        faces([0], size=size)


@pytest.mark.parametrize("seed", [-1, 0.5, 2**64, None])
def test_a_bad_seed_is_named(seed):
    with pytest.raises(InputError, match="seed must be an integer"):
        draw_factors([0], seed=seed)


@pytest.mark.parametrize("indices", [[-1], [0.5], [[0, 1]], 3, ["a"], [True]])
def test_bad_indices_are_named(indices):
    with pytest.raises(InputError, match="indices must be"):
        draw_factors(indices)


@pytest.mark.parametrize("shape", [(len(FACTORS),), (2, len(FACTORS) - 1), (2, 3, 4)])
def test_factors_of_the_wrong_shape_are_named(shape):
    for use in (render, attributes_of):
        with pytest.raises(InputError, match="a column per entry of FACTORS"):
            use(np.zeros(shape))


def test_factors_that_are_not_numbers_are_named(plain):
    for bad in (np.nan, np.inf):
        with pytest.raises(InputError, match="'smile' in row 0"):
            render(edited(plain, smile=bad))
    with pytest.raises(InputError, match="factors must be numbers"):
        render([["a"]])
