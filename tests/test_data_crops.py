"""Which square of a picture is kept, how it is scaled, and who is held out."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latentshape.data import SPLITS, open_dataset
from latentshape.data.crops import CROPS, NAMES, crop_box
from latentshape.data.pixels import as_square
from latentshape.data.splits import check_split, complete_split, hash_split
from latentshape.errors import InputError
from test_data_layouts import written


def opened(root, **options):
    return open_dataset(str(root), **{"size": 16, **options})


def assert_same_scaling(pixels, expected):
    """torch's bilinear kernel is Pillow's to within one level, and to far less on the mean."""
    difference = np.abs(pixels.astype(int) - np.asarray(expected).astype(int))
    assert difference.max() <= 1
    assert difference.mean() < 0.05


# --- crops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("crop", CROPS)
def test_a_crop_is_the_hand_made_pillow_call(crop):
    root, _ = written("celeba")
    dataset = opened(root, size=64, crop=crop)
    for row in (0, 17):
        with Image.open(root / "img_align_celeba" / dataset.ids[row]) as image:
            expected = image.crop(CROPS[crop]).resize((64, 64), Image.Resampling.BILINEAR)
        assert_same_scaling(dataset.pixels[row], expected)


def test_auto_is_the_centre_of_celeba_and_the_square_of_a_folder():
    root, _ = written("celeba")
    auto, centre = opened(root), opened(root, crop="centre-140")
    assert auto.fingerprint == centre.fingerprint
    auto, square = (opened(f"folder:{root}", crop=crop) for crop in ("auto", "square"))
    assert auto.fingerprint == square.fingerprint != centre.fingerprint
    with Image.open(root / "img_align_celeba" / "000001.jpg") as image:
        expected = image.crop((0, 20, 178, 198)).resize((16, 16), Image.Resampling.BILINEAR)
    assert_same_scaling(square.pixels[0], expected)


sides = st.integers(1, 4_000)
numbers = st.one_of(st.floats(-1e4, 1e4), st.floats())


@given(sides, sides, st.sampled_from(NAMES[1:]), st.lists(numbers, min_size=4, max_size=4))
@settings(max_examples=400, deadline=None)
def test_a_crop_is_a_square_of_whole_pixels_inside_any_image(width, height, crop, box):
    left, top, right, bottom = edges = crop_box(crop, width, height, box)
    assert all(type(edge) is int for edge in edges)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert right - left == bottom - top


@given(sides, sides, st.sampled_from(list(CROPS)))
@settings(max_examples=200, deadline=None)
def test_a_crop_keeps_its_proportions_on_other_sizes(width, height, crop):
    left, top, right, _ = crop_box(crop, width, height)
    x0, y0, x1, _ = CROPS[crop]
    scale = min(width / 178, height / 218)
    assert abs(right - left - scale * (x1 - x0)) <= 1
    assert abs(left - ((width - 178 * scale) / 2 + scale * x0)) <= 1
    assert abs(top - ((height - 218 * scale) / 2 + scale * y0)) <= 1
    assert crop_box(crop, 178, 218) == CROPS[crop]
    assert crop_box(crop, 356, 436) == tuple(2 * edge for edge in CROPS[crop])


@given(sides, sides)
def test_the_square_is_the_largest_in_the_middle(width, height):
    left, top, right, bottom = crop_box("square", width, height)
    assert right - left == min(width, height)
    assert abs(left - (width - right)) <= 1
    assert abs(top - (height - bottom)) <= 1


@given(
    st.integers(40, 500), st.integers(40, 500), st.integers(0, 400), st.integers(0, 400),
    st.integers(1, 400), st.integers(1, 400),
)  # fmt: skip
def test_a_box_shows_what_it_holds_if_there_is_room(width, height, x, y, w, h):
    left, top, right, bottom = crop_box("box", width, height, (x, y, w, h))
    assert right - left == min(max(w, h), width, height)
    if max(w, h) <= min(width, height) and x + w <= width and y + h <= height:
        assert left <= x
        assert top <= y
        assert right >= x + w
        assert bottom >= y + h


def test_no_box_is_the_square():
    for box in (None, [np.nan] * 4, [0, 0, np.nan, 5], [np.inf, 0, 1, 1]):
        assert crop_box("box", 100, 61, box) == crop_box("square", 100, 61)


@pytest.mark.parametrize("shape", [(783, 1852), (1, 1), (3, 500), (178, 218), (17, 16)])
@pytest.mark.parametrize("crop", NAMES[1:])
def test_any_image_size_can_be_cut(shape, crop):
    picture = np.full((shape[1], shape[0], 3), (10, 20, 30), np.uint8)
    small, decoded = as_square(picture, 8, 3, crop)
    assert small.shape == (8, 8, 3)
    assert (small == (10, 20, 30)).all()  # no black from beyond the border
    assert decoded.pixels is picture


@pytest.mark.parametrize("crop", ["centre", "140", "", "Square"])
def test_an_unknown_crop_is_named(crop):
    with pytest.raises(InputError, match="crop must be one of auto, square, box, centre-140"):
        opened(written("celeba")[0], crop=crop)


def test_arrays_become_squares_of_either_depth():
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    grey = colour[:, :, :1]
    assert np.array_equal(as_square(colour, 20, 3, "square")[0], colour[:, 5:25])
    expected = np.asarray(Image.fromarray(colour).convert("L"))[:, 5:25]
    assert np.array_equal(as_square(colour, 20, 1, "square")[0][..., 0], expected)
    wide, decoded = as_square(grey, 20, 3, "square")
    assert np.array_equal(wide, grey[:, 5:25].repeat(3, axis=2))
    assert (decoded.mode, decoded.notes) == ("L", ("grey",))
    with pytest.raises(OSError, match="gone"):
        as_square(OSError("gone"), 20, 3, "square")


# --- splits ---------------------------------------------------------------------------------------


def test_a_hash_splits_eighty_ten_ten():
    counts = np.bincount(hash_split([f"{i:06d}.jpg" for i in range(20_000)])) / 20_000
    assert np.abs(counts - [0.8, 0.1, 0.1]).max() < 5 * np.sqrt(0.8 * 0.2 / 20_000)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=40, unique=True), st.randoms())
@settings(max_examples=50, deadline=None)
def test_an_image_keeps_its_split_in_any_company(ids, random):
    alone = {i: int(hash_split([i])[0]) for i in ids}
    shuffled = random.sample(ids, len(ids))
    assert hash_split(shuffled).tolist() == [alone[i] for i in shuffled]


def test_the_splits_are_a_partition():
    dataset = open_dataset("faces:n=200", size=16)
    rows = np.concatenate([dataset.indices(name) for name in SPLITS])
    assert sorted(rows) == list(range(200))
    summary = dataset.summary()
    assert summary["images"] == 200
    assert sum(summary["splits"].values()) == 200
    assert json.loads(json.dumps(summary)) == summary


def test_gaps_in_a_partition_are_filled_and_announced():
    ids = [f"{i}.jpg" for i in range(100)]
    official = np.array([i % 3 for i in range(99)] + [-1], dtype=np.int8)
    split, notices = complete_split(ids, official)
    assert split[:99].tolist() == official[:99].tolist()
    assert split[99] == hash_split(ids)[99]
    assert notices == ["1 images are not in the partition: split by a hash"]
    assert complete_split(ids[:99], official[:99])[1] == []
    assert np.array_equal(complete_split(ids, None)[0], hash_split(ids))


@given(st.lists(st.integers(-1, 2), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_completing_moves_nobody_into_training(codes):
    """Whatever was held out officially stays held out; train alone gives, and only to who has none."""
    ids = [f"{i}.jpg" for i in range(len(codes))]
    official = np.array(codes, dtype=np.int8)
    split, _ = complete_split(ids, official)
    assert set(split.tolist()) <= {0, 1, 2}
    hashed = hash_split(ids)
    filled = np.where(official == -1, hashed, official)
    if (filled == 0).any():
        assert np.array_equal(split[filled > 0], filled[filled > 0])
        moved = split != filled
        assert (filled[moved] == 0).all()
        assert np.array_equal(split[moved], hashed[moved])
        for code in (1, 2):
            if (filled == code).any():
                assert not (split[moved] == code).any()
    else:
        assert np.array_equal(split, hashed)


@pytest.mark.parametrize("counts", [(5, 1, 2), (0, 5, 5), (1, 1, 1), (9, 2, 0)])
def test_splits_too_small_to_measure_are_refused(counts):
    split = np.repeat(np.arange(3), counts)
    with pytest.raises(
        InputError, match=rf"{sum(counts)} usable images are too few .*test {counts[2]}"
    ):
        check_split(split)
    check_split(np.repeat(np.arange(3), [2, 2, 2]))
