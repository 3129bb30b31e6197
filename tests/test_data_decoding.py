"""The fast way through a JPEG ends in the very pixels of the slow one."""

import io

import numpy as np
import pytest
from PIL import Image

from latentshape import images
from latentshape.data.faces import faces
from latentshape.images import decode_image
from test_data_damage import mutated

simplejpeg = pytest.importorskip("simplejpeg")

FACE = faces([3], size=128)[0]
NOISE = np.random.default_rng(0).integers(0, 256, FACE.shape).astype(np.uint8)


def jpeg(pixels=FACE, mode="RGB", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format="JPEG", **options)
    return buffer.getvalue()


def slowly(content, channels=3):
    """The same through Pillow alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "simplejpeg", None)
        return decode_image(content, channels)


def outcome(decode, content, channels=3):
    try:
        return decode(content, channels)
    except Exception as error:
        return type(error), str(error)


def assert_alike(content, fast=None):
    """Both ways agree in pixels, mode and notes, or in the error."""
    for channels in (3, 1):
        one, other = (outcome(way, content, channels) for way in (decode_image, slowly))
        assert type(one) is type(other)
        if not isinstance(one, images.Decoded):
            assert one == other
            continue
        assert np.array_equal(one.pixels, other.pixels)
        assert one.pixels.dtype == np.uint8
        assert one[1:] == other[1:]
    if fast is not None:
        assert (images._plain_jpeg(content) is not None) is fast


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [1, 30, 75, 92, 100])
@pytest.mark.parametrize("progressive", [False, True])
def test_plain_jpegs(quality, subsampling, progressive):
    for pixels in (FACE, NOISE):
        options = dict(quality=quality, subsampling=subsampling, progressive=progressive)
        assert_alike(jpeg(pixels, **options), fast=True)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 13), (17, 16), (33, 31), (127, 101)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_odd_sizes(shape, subsampling):
    pixels = np.ascontiguousarray(NOISE[: shape[0], : shape[1]])
    assert_alike(jpeg(pixels, subsampling=subsampling), fast=True)
    assert_alike(jpeg(pixels, "L"), fast=True)


@pytest.mark.parametrize("quality", [20, 90])
@pytest.mark.parametrize("progressive", [False, True])
def test_grey_jpegs(quality, progressive):
    content = jpeg(FACE, "L", quality=quality, progressive=progressive)
    assert_alike(content, fast=True)
    assert decode_image(content).notes == ("grey",)
    assert decode_image(content, 1).notes == ()


@pytest.mark.parametrize("options", [{"restart_marker_blocks": 1}, {"restart_marker_rows": 1}])
def test_restart_markers(options):
    content = jpeg(**options)
    assert b"\xff\xdd" in content
    assert_alike(content, fast=True)


@pytest.mark.parametrize(
    "options", [{"comment": b"hello"}, {"icc_profile": b"profile" * 20_000}, {"dpi": (72, 72)}]
)
def test_what_is_told_along_changes_nothing(options):
    assert_alike(jpeg(**options), fast=True)


def test_colours_of_print_and_adobe_go_the_slow_way():
    cmyk = jpeg(FACE, "CMYK")
    assert_alike(cmyk, fast=False)
    assert decode_image(cmyk).notes == ("cmyk",)
    rgb = jpeg(FACE, keep_rgb=True)
    assert_alike(rgb, fast=False)
    assert np.abs(decode_image(rgb).pixels.astype(int) - FACE).max() < 60


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pictures_go_the_slow_way(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = jpeg(np.ascontiguousarray(FACE[:, :90]), exif=exif)
    assert_alike(content, fast=False)
    assert ("exif-rotated" in decode_image(content).notes) == (orientation > 1)


def test_pictures_turned_by_xmp_alone():
    """Some programs write the orientation there and nowhere else."""
    xmp = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
        xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
        xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""
    assert_alike(jpeg(np.ascontiguousarray(FACE[:, :90]), xmp=xmp))


def test_an_orientation_behind_a_long_profile():
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = jpeg(np.ascontiguousarray(FACE[:, :90]), exif=exif)
    at = plain.index(b"\xff\xe1")
    filler = b"\xff\xec\xff\xff" + bytes(65533)
    assert_alike(plain[:at] + filler + filler + plain[at:])


@pytest.mark.parametrize("keep", [0.05, 0.3, 0.7, 0.95, 0.999])
@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpegs(keep, progressive):
    content = jpeg(progressive=progressive)
    assert_alike(content[: int(keep * len(content))], fast=False)


def test_what_follows_the_picture_is_ignored():
    assert_alike(jpeg() + b"trailing bytes" * 100)


def test_other_formats_and_nothing_go_the_slow_way():
    buffer = io.BytesIO()
    Image.fromarray(FACE).save(buffer, format="PNG")
    for content in (b"", b"\xff\xd8\xff", b"hello", buffer.getvalue()):
        assert_alike(content, fast=False)


def test_a_bomb_goes_the_slow_way_and_off(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    assert_alike(jpeg(), fast=False)
    with pytest.raises(Exception, match="bomb"):
        decode_image(jpeg())


def test_damaged_jpegs_have_one_outcome():
    """Whatever the fast decoder cannot make sense of, Pillow is asked about."""
    rng = np.random.default_rng(2)
    small = [jpeg(FACE[:64, :64], progressive=p, subsampling=s) for p in (0, 1) for s in (0, 2)]
    readable = 0
    for i in range(300):
        content = mutated(small[i % 4], rng)
        one, other = (outcome(way, content) for way in (decode_image, slowly))
        assert type(one) is type(other), i
        if isinstance(one, images.Decoded):
            readable += 1
            assert np.array_equal(one.pixels, other.pixels), i
            assert one[1:] == other[1:]
    assert readable > 30
