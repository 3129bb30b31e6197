"""The border between pixels and images, decoding of any file, and files that are whole or absent."""

import io
import os
import stat
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latentshape.errors import InputError
from latentshape.files import atomic_path, read_json, write_json
from latentshape.images import decode_image, grid, save_png, to_images, to_pixels

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (5, 8, 3)).astype(np.uint8)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(content, channels=3):
    decoded = decode_image(content, channels)
    assert decoded.pixels.shape[2] == channels
    return decoded.pixels if channels == 3 else decoded.pixels[:, :, 0], list(decoded.notes)


# --- pixels and images ----------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_every_value_survives_the_round_trip(channels):
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8, 1).repeat(channels, axis=3)
    images = to_images(pixels)
    assert images.shape == (4, channels, 8, 8)
    assert images.dtype == torch.float32
    assert images.min() == 0
    assert images.max() == 1
    assert np.array_equal(to_pixels(images), pixels)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_pixels_come_from_any_float_type_rounded_and_clipped(dtype):
    values = torch.tensor([-1.0, 0.0, 0.5, 1.0, 7.0]).reshape(1, 1, 1, 5)
    assert to_pixels(values.to(dtype)).ravel().tolist() == [0, 0, 128, 255, 255]


def test_half_precision_keeps_every_value():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    assert np.array_equal(to_pixels(to_images(pixels).half()), pixels)


def test_images_are_channels_last_in_memory():
    pixels = RNG.integers(0, 256, (2, 6, 4, 3)).astype(np.uint8)
    images = to_images(pixels)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images[1, 2, 3], torch.from_numpy(pixels[1, 3, :, 2] / np.float32(255)))
    assert torch.equal(to_images(torch.from_numpy(pixels)), images)
    assert to_pixels(images).flags["C_CONTIGUOUS"]


def test_read_only_reversed_and_strided_arrays_are_welcome(tmp_path):
    pixels = RNG.integers(0, 256, (6, 4, 4, 3)).astype(np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    stored = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    for rows in (slice(0, 2), slice(None, None, -1), slice(None, None, 3)):
        assert np.array_equal(to_pixels(to_images(stored[rows])), pixels[rows])
    assert np.array_equal(np.load(tmp_path / "pixels.npy"), pixels)


@pytest.mark.parametrize("bad", [np.zeros((1, 2, 2, 3)), np.zeros((2, 2, 3), np.uint8)])
def test_only_a_batch_of_uint8_counts_as_pixels(bad):
    for given_ in (bad, torch.from_numpy(bad)):
        with pytest.raises(InputError, match=r"Expected uint8 pixels \(n, h, w, c\), got"):
            to_images(given_)


@pytest.mark.parametrize("bad", [torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.zeros(3, 2, 2)])
def test_only_a_batch_of_floats_counts_as_images(bad):
    with pytest.raises(InputError, match=r"Expected float images \(n, c, h, w\)"):
        to_pixels(bad)


# --- grids and PNGs -------------------------------------------------------------------------------


@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 3), st.sampled_from([1, 3]))
@settings(max_examples=40, deadline=None)
def test_a_grid_holds_every_picture_in_reading_order(n, columns, gap, channels):
    height, width = 3, 4
    pixels = np.arange(1, n + 1, dtype=np.uint8)[:, None, None, None]
    pixels = np.broadcast_to(pixels, (n, height, width, channels))
    sheet = grid(pixels, columns=columns, gap=gap, fill=0)
    columns = min(columns, n)
    rows = -(-n // columns)
    assert sheet.shape == (rows * (height + gap) - gap, columns * (width + gap) - gap, channels)
    corners = sheet[:: height + gap, :: width + gap, 0].ravel()
    assert corners[:n].tolist() == list(range(1, n + 1))
    assert (sheet > 0).sum() == n * height * width * channels  # nothing overlaps, nothing is cut


@pytest.mark.parametrize(
    ("pixels", "columns"),
    [
        (np.zeros((0, 2, 2, 3), np.uint8), 8),
        (np.zeros((1, 2, 2, 3)), 8),
        (np.zeros((2, 2, 3), np.uint8), 8),
        (np.zeros((1, 2, 2, 3), np.uint8), 0),
    ],
)
def test_a_grid_of_nothing_or_of_no_pixels_is_named(pixels, columns):
    with pytest.raises(InputError, match="at least one image"):
        grid(pixels, columns=columns)


@pytest.mark.parametrize(
    ("name", "file"), [("a.png", "a.png"), ("a", "a.png"), ("b0.5", "b0.5.png")]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_pixels(tmp_path, name, file, channels):
    pixels = PHOTO[:, :, :channels]
    save_png(tmp_path / "new" / name, pixels)
    with Image.open(tmp_path / "new" / file) as image:
        assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)
    assert os.listdir(tmp_path / "new") == [file]


def test_a_png_of_no_picture_is_named(tmp_path):
    for bad in (PHOTO.astype(float), PHOTO[None], PHOTO[:, :, :2]):
        with pytest.raises(InputError, match="Expected uint8 pixels"):
            save_png(tmp_path / "a.png", bad)
    assert not list(tmp_path.iterdir())


# --- decoding -------------------------------------------------------------------------------------

GREY = Image.fromarray(PHOTO[:, :, 0])
COLOUR = Image.fromarray(PHOTO)


def test_colour_passes_untouched():
    pixels, notes = opened(encoded(COLOUR))
    assert np.array_equal(pixels, PHOTO)
    assert notes == []


def test_grey_is_repeated_or_kept():
    pixels, notes = opened(encoded(GREY))
    assert np.array_equal(pixels, PHOTO[:, :, :1].repeat(3, axis=2))
    assert notes == ["grey"]
    pixels, notes = opened(encoded(GREY), channels=1)
    assert np.array_equal(pixels, PHOTO[:, :, 0])
    assert notes == []


def test_colour_becomes_grey_by_luma_when_one_channel_is_asked_for():
    pixels, notes = opened(encoded(COLOUR), channels=1)
    assert np.array_equal(pixels, np.asarray(COLOUR.convert("L")))
    assert notes == []


def test_one_bit_is_black_and_white():
    pixels, notes = opened(encoded(GREY.convert("1")))
    assert set(np.unique(pixels)) == {0, 255}
    assert notes == ["grey"]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(mode):
    image = COLOUR.convert(mode)
    alpha = np.zeros((5, 8), np.uint8)
    alpha[:, 4:] = 255
    image.putalpha(Image.fromarray(alpha))
    pixels, notes = opened(encoded(image))
    opaque = np.asarray(COLOUR if mode == "RGBA" else COLOUR.convert("L").convert("RGB"))
    assert (pixels[:, :4] == 255).all()
    assert np.array_equal(pixels[:, 4:], opaque[:, 4:])
    assert notes == ["rgba"]


def test_half_transparency_is_half_white():
    image = Image.new("RGBA", (2, 2), (0, 100, 200, 128))
    pixels, _ = opened(encoded(image))
    assert np.abs(pixels[0, 0].astype(int) - [127, 177, 227]).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_transparent_colour_is_laid_over_white(mode):
    image = Image.new(mode, (4, 4), 0)
    if mode == "P":
        image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste({"RGB": (200, 100, 50), "L": 77, "P": 1}[mode], (0, 0, 2, 4))
    transparency = {"RGB": (0, 0, 0), "L": 0, "P": 0}[mode]
    pixels, notes = opened(encoded(image, transparency=transparency))
    assert notes == ["rgba"]
    assert (pixels[:, 2:] == 255).all()
    assert (pixels[:, :2] == ([77] * 3 if mode == "L" else [200, 100, 50])).all()


def test_palettes_give_their_colours():
    image = COLOUR.convert("P", palette=Image.Palette.ADAPTIVE)
    pixels, notes = opened(encoded(image))
    assert np.array_equal(pixels, np.asarray(image.convert("RGB")))
    assert notes == ["palette"]


def test_cmyk_gives_its_colours():
    flat = Image.new("RGB", (16, 16), (200, 60, 20))
    pixels, notes = opened(encoded(flat.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(pixels.astype(int) - [200, 60, 20]).max() < 6
    assert notes == ["cmyk"]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_by_their_range_however_dark_the_picture(kind):
    for values in ([0, 257, 32896, 65535], [0, 100, 200, 255]):
        image = Image.fromarray(np.array([values], dtype=np.uint16))
        assert image.mode == "I;16"
        pixels, notes = opened(encoded(image, kind))
        assert pixels[0, :, 0].tolist() == [round(v / 257) for v in values]
        assert pixels.shape == (1, 4, 3)
        assert notes == ["16-bit"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 100, 255], [0, 100, 255]),  # 8 bits in a wider type
        ([0, 32896, 65535], [0, 128, 255]),
        ([-5, 500_000, 1_000_000], [0, 128, 255]),  # beyond any range: its own maximum
    ],
)
def test_32_bits_are_scaled_by_the_smallest_range_that_holds_them(values, expected):
    image = Image.fromarray(np.array([values], dtype=np.int32))
    assert image.mode == "I"
    pixels, notes = opened(encoded(image, "TIFF"))
    assert pixels[0, :, 0].tolist() == expected
    assert notes == ["16-bit"]


def test_floats_are_scaled_and_holes_are_black():
    for values in ([0, 0.5, 1, np.nan], [0, 128, 255, np.nan]):
        image = Image.fromarray(np.array([values], dtype=np.float32))
        assert image.mode == "F"
        assert opened(encoded(image, "TIFF"))[0][0, :, 0].tolist() == [0, 128, 255, 0]


ORIENTED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_every_orientation_gives_the_upright_picture(orientation, mode):
    upright = PHOTO if mode == "RGB" else PHOTO[:, :, 0].astype(np.uint16) * 257
    stored = np.ascontiguousarray(ORIENTED[orientation](upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, notes = opened(encoded(Image.fromarray(stored), exif=exif))
    assert np.array_equal(pixels[:, :, 0], PHOTO[:, :, 0])
    assert ("exif-rotated" in notes) == (orientation != 1)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, notes = opened(encoded(COLOUR, exif=exif))
    assert np.array_equal(pixels, PHOTO)
    assert notes == []


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff"]
)
def test_a_damaged_exif_block_spoils_no_picture(exif):
    pixels, notes = opened(encoded(COLOUR, "JPEG", exif=exif))
    assert pixels.shape == PHOTO.shape
    assert notes == []


def test_what_is_no_image_says_so():
    for content, words in ((b"", "an empty file"), (b"hello", "no image in it")):
        with pytest.raises(OSError, match=words):
            decode_image(content)


def test_a_script_called_jpg_is_not_run():
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    with pytest.raises(OSError, match="no image in it"):
        decode_image(script)


@pytest.mark.parametrize("limit", [30, 10])
def test_a_decompression_bomb_is_refused_before_it_goes_off(monkeypatch, limit):
    content = encoded(COLOUR)  # 40 pixels: a warning below twice the limit, an error above
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises((Image.DecompressionBombError, Image.DecompressionBombWarning)):
        decode_image(content)


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_of_many_frames_the_first_counts_and_the_file_is_closed(tmp_path, kind):
    path = tmp_path / f"many.{kind.lower()}"
    GREY.save(path, kind, save_all=True, append_images=[GREY.transpose(0), GREY.transpose(1)])
    pixels = decode_image(path.read_bytes()).pixels
    assert np.array_equal(pixels[:, :, 0], PHOTO[:, :, 0])


def test_decoding_in_many_threads_leaves_the_warning_filters_alone():
    before = list(warnings.filters)
    contents = [encoded(COLOUR.resize((64, 64)))] * 200
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode_image, contents))
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="still heard"):
        warnings.warn("still heard", stacklevel=1)


# --- files ----------------------------------------------------------------------------------------


def test_a_file_appears_when_the_block_succeeds(tmp_path):
    target = tmp_path / "deep" / "down" / "a.txt"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002])
@pytest.mark.parametrize("replaced", [False, True])
def test_modes_respect_the_umask_even_when_the_writer_replaces_the_file(tmp_path, mask, replaced):
    before = os.umask(mask)
    try:
        with atomic_path(tmp_path / "a") as temporary:
            if replaced:
                temporary.unlink()
                temporary.touch(mode=0o600)
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask
    finally:
        assert os.umask(before) == mask


def test_a_long_name_is_no_obstacle(tmp_path):
    name = "x" * 240 + ".json"
    write_json(tmp_path / name, [1])
    assert read_json(tmp_path / name) == [1]


def test_json_has_no_infinity(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    for value in (np.inf, np.nan):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "a.json", {"a": float(value)})
    assert read_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"\xff\xfe\x00", b"{}{}"])
def test_damaged_json_is_a_sentence(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json is not valid JSON .* Restore it"):
        read_json(tmp_path / "a.json")
