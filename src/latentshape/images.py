"""Border 1: pixels outside, floats inside.

Outside (disk, web, figures) an image is *pixels*: uint8, (n, h, w, c), 0 to 255. Inside (models,
features) it is *images*: a float tensor, (n, c, h, w), 0 to 1, channels-last in memory. Only this
module converts between the two, and only this module opens image files.

torch is imported where it is needed, so that processes that only decode files stay light.
"""

from __future__ import annotations

import contextlib
import io
import math
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from latentshape.errors import InputError
from latentshape.files import atomic_path

try:
    import simplejpeg
except ImportError:  # an extra: Pillow alone gives the same pixels, more slowly
    simplejpeg = None

if TYPE_CHECKING:
    import torch

__all__ = [
    "decode_image",
    "encode_image",
    "grid",
    "resize",
    "save_png",
    "to_grey",
    "to_images",
    "to_pixels",
]

#: Suffixes that count as image files when a folder is read.
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
)
#: Decoders that may be asked. Pillow looks at the content, not at the name, and would otherwise hand
#: an EPS that is called .jpg to a PostScript interpreter.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
#: What EXIF's orientation asks for; 1 is upright, anything else is no orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_images(pixels: np.ndarray | torch.Tensor, device: Any = None) -> torch.Tensor:
    """Pixels to images: uint8 (n, h, w, c) in 0..255 to float32 (n, c, h, w) in [0, 1].

    Example:
        >>> to_images(np.full((1, 2, 2, 3), 255, np.uint8)).max().item()
        1.0
    """
    import torch

    if pixels.dtype not in (np.uint8, torch.uint8) or pixels.ndim != 4:
        raise InputError(
            f"Expected uint8 pixels (n, h, w, c), got {pixels.dtype} {tuple(pixels.shape)}; "
            "scale to 0..255 and put the channels last."
        )
    if isinstance(
        pixels, np.ndarray
    ):  # torch wants it contiguous, and warns unless it is writeable
        pixels = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
    # A permuted view of (n, h, w, c) already is channels-last; the conversion keeps that order.
    return pixels.to(device).permute(0, 3, 1, 2).to(torch.float32).div_(255)


def to_pixels(images: torch.Tensor) -> np.ndarray:
    """Images to pixels: float (n, c, h, w), clipped to [0, 1], to uint8 (n, h, w, c), rounded."""
    if not images.is_floating_point() or images.ndim != 4:
        raise InputError(
            f"Expected float images (n, c, h, w) in [0, 1], got {images.dtype} "
            f"{tuple(images.shape)}; to_images makes them from pixels."
        )
    scaled = images.detach().float().clamp(0, 1).mul(255).round_()
    return scaled.byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()


def grid(pixels: np.ndarray, columns: int = 8, gap: int = 2, fill: int = 255) -> np.ndarray:
    """Images side by side, as one picture.

    Args:
        pixels: Images (n, h, w, c), uint8.
        columns: How many stand in a row.
        gap: Pixels between two of them.
        fill: The grey level of gaps and of what is left over in the last row, 0 to 255.

    Returns:
        One picture (H, W, c), uint8.

    Raises:
        InputError: Not uint8, not four axes, no image or no column.

    Example:
        >>> grid(np.zeros((5, 8, 8, 3), np.uint8), columns=3, gap=2).shape
        (18, 28, 3)
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or not len(pixels) or columns < 1:
        raise InputError(
            "A grid needs uint8 pixels (n, h, w, c) of at least one image and one column, got "
            f"{pixels.dtype} {pixels.shape} and columns={columns}."
        )
    n, height, width, channels = pixels.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, channels)
    sheet = np.full(shape, fill, np.uint8)
    for i, picture in enumerate(pixels):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def pillow(pixels: np.ndarray) -> Image.Image:
    """One (h, w, c) array as a Pillow image; grey where c is 1."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def save_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write one picture as PNG, atomically.

    Args:
        path: The file; ``.png`` is added where it is missing.
        pixels: One picture (h, w, 3) or (h, w, 1), uint8.

    Raises:
        InputError: It is of another shape or type.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise InputError(
            f"Expected uint8 pixels (h, w, 3) or (h, w, 1), got {pixels.dtype} {pixels.shape}."
        )
    path = Path(path)
    if path.suffix.lower() != ".png":
        path = path.with_name(path.name + ".png")
    with atomic_path(path) as temporary:
        pillow(pixels).save(temporary, format="PNG")


def palette_png(path: str | Path | BinaryIO) -> bytes:
    """The picture of a PNG file (path, or opened) in at most 256 colours, as PNG: a third of the bytes."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    held = io.BytesIO()
    small.save(held, format="PNG", optimize=True)
    return held.getvalue()


class Decoded(NamedTuple):
    """A picture from a file: pixels (h, w, c), the file's own mode, and what was converted."""

    pixels: np.ndarray
    mode: str
    notes: tuple[str, ...]


def picture_size(content: bytes) -> tuple[int, int]:
    """Width and height of a picture file by its header; nothing is decoded.

    Raises:
        OSError, ValueError, SyntaxError, Image.DecompressionBombError: As `decode_image`.
    """
    with _pillow_warnings(), Image.open(io.BytesIO(content), formats=FORMATS) as picture:
        return picture.size


def shrink(pixels: np.ndarray, longest: int) -> np.ndarray:
    """Pixels (h, w, c) whose longer side is at most ``longest``, the proportions kept."""
    height, width = pixels.shape[:2]
    scale = max(height, width) / longest
    if scale <= 1:
        return pixels
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    small = pillow(pixels).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(small).reshape(size[1], size[0], -1)


def decode_image(content: bytes, channels: int = 3) -> Decoded:
    """Decode a file's bytes to RGB (or grey) pixels, upright, and say what had to be converted.

    Every mode arrives as 8-bit RGB or grey: transparency is laid over white, 16-bit and float
    samples are scaled by their own format's range, CMYK and palettes are converted, EXIF
    orientation is applied. The notes are words to count: ``grey``, ``rgba``, ``cmyk``, ``16-bit``,
    ``palette``, ``exif-rotated``. Plain JPEGs take a faster decoder where it is installed
    (``pip install 'latentshape[fast]'``), with the same pixels to the last bit.

    Args:
        content: A whole file.
        channels: 3 or 1.

    Raises:
        OSError, ValueError, SyntaxError, Image.DecompressionBombError: The bytes cannot be read as
            an image (Pillow's own errors, and some others where it is damaged badly; the caller
            counts them).
    """
    plain = _plain_jpeg(content)
    if plain is not None:
        pixels, mode = plain
        if channels == 1:
            pixels = to_grey(pixels)
        return Decoded(pixels, mode, ("grey",) if mode == "L" and channels == 3 else ())
    image, mode, notes = _open(content, channels)
    return Decoded(np.asarray(image).reshape(image.height, image.width, channels), mode, notes)


def encode_image(pixels: np.ndarray, suffix: str = ".png", quality: int = 92) -> bytes:
    """One (h, w, c) uint8 array as the content of a ``.png`` (exact) or ``.jpg`` file."""
    buffer = io.BytesIO()
    if suffix == ".png":
        pillow(pixels).save(buffer, format="PNG")
    else:
        pillow(pixels).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def _plain_jpeg(content: bytes) -> tuple[np.ndarray, str] | None:
    """Pixels and mode of a JPEG that needs no second thought; None where Pillow is to look at it."""
    if simplejpeg is None:
        return None
    mode = _plain_mode(content)
    if mode is None:
        return None
    try:
        return simplejpeg.decode_jpeg(content), mode
    except ValueError:  # damaged: Pillow has the better sentences, and saves what can be saved
        return None


def _plain_mode(content: bytes) -> str | None:
    """``RGB`` or ``L`` for an upright JPEG of moderate size in YCbCr or grey; None for all others.

    Read off the segments before the picture's data. APP1 is EXIF or XMP, where an orientation may
    stand; APP14 is Adobe's, which says that the colours are something else.
    """
    if content[:2] != b"\xff\xd8":
        return None
    place, mode = 2, None
    while place + 10 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xDA:  # the picture's data begin
            return mode
        if marker in (0xE1, 0xEE):
            return None
        if marker in (0xC0, 0xC1, 0xC2):  # baseline, extended, progressive
            height, width = content[place + 5 : place + 7], content[place + 7 : place + 9]
            size = int.from_bytes(height, "big") * int.from_bytes(width, "big")
            if not 0 < size <= (Image.MAX_IMAGE_PIXELS or math.inf):
                return None
            mode = {1: "L", 3: "RGB"}.get(content[place + 9])
            if mode == "RGB" and content[place + 10 : place + 17 : 3] == b"RGB":
                return None  # components called so are not YCbCr
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return None


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Luma by the weights of ITU-R BT.601, in Pillow's own rounding: (..., h, w, 3) to (..., 1).

    Example:
        >>> to_grey(np.array([[[255, 0, 0], [9, 9, 9]]], np.uint8)).ravel().tolist()
        [76, 9]
    """
    weights = np.array([19595, 38470, 7471], dtype=np.uint32)
    return ((pixels @ weights + np.uint32(0x8000)) >> 16).astype(np.uint8)[..., None]


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Scale pixels (h, w, c) to (size, size, c): bilinear, with antialiasing.

    torch's uint8 kernel: Pillow's bilinear filter to within one grey level, at twice its speed.
    """
    if pixels.shape[:2] == (size, size):
        return pixels
    import torch
    from torch.nn.functional import interpolate

    x = torch.from_numpy(np.require(pixels, requirements=["W"])).permute(2, 0, 1)[None]
    scaled = interpolate(x, (size, size), mode="bilinear", antialias=True)
    return scaled[0].permute(1, 2, 0).numpy()


def _open(content: bytes, channels: int) -> tuple[Image.Image, str, tuple[str, ...]]:
    """A file by Pillow: RGB or grey image, the file's own mode, notes."""
    notes = []
    with _pillow_warnings():
        try:
            image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError:
            what = "no image in it" if content else "an empty file"
            raise UnidentifiedImageError(f"{what} (known are {', '.join(FORMATS)})") from None
        image.load()
        mode, scale = image.mode, _sample_range(image)
        turn = UPRIGHT.get(_orientation(image))
        if turn is not None:
            image = image.transpose(turn)
            notes.append("exif-rotated")
    target = "L" if channels == 1 else "RGB"
    if scale is not None:
        notes.append("16-bit")
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        image = Image.fromarray((np.clip(values / scale, 0, 1) * 255).round().astype(np.uint8))
    elif image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        notes.append("rgba")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode not in (target, "RGB"):
        names = {"L": "grey", "1": "grey", "CMYK": "cmyk", "P": "palette"}
        notes.append(names.get(image.mode, image.mode.lower()))
    return (image if image.mode == target else image.convert(target)), mode, tuple(notes)


def _orientation(image: Image.Image) -> Any:
    """EXIF's orientation, 1 where there is none. A damaged EXIF block spoils no picture."""
    try:
        return image.getexif().get(0x0112, 1)
    except Exception:
        return 1


def _sample_range(image: Image.Image) -> float | None:
    """The value that means white in an image of more than 8 bits; None for 8-bit images.

    16-bit files say so, and Pillow stretches what PNG and PPM hold to 16 bits. A TIFF of 32-bit
    integers or floats does not: then it is the smallest usual range that holds the image.
    """
    if not image.mode.startswith(("I", "F")):
        return None
    usual: tuple[int, ...] = (65535,)
    if image.mode == "F":
        usual = (1, 255, 65535)
    elif image.mode == "I" and image.format == "TIFF":
        usual = (255, 65535)
    largest = float(np.nan_to_num(np.asarray(image, dtype=np.float64)).max(initial=0))
    return next((top for top in usual if largest <= top), largest)


_quiet = contextlib.ExitStack()
_quiet_lock = threading.Lock()
_quiet_users = 0


@contextlib.contextmanager
def _pillow_warnings() -> Iterator[None]:
    """Silence about odd metadata, and an error where Pillow only warns of a decompression bomb.

    Warning filters belong to the whole process, and pictures are decoded in many threads: the first
    to come sets the filters, and the last to leave restores what was there.
    """
    global _quiet_users
    with _quiet_lock:
        if _quiet_users == 0:
            _quiet.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", UserWarning)  # damaged EXIF, odd palettes
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        _quiet_users += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if _quiet_users == 0:
                _quiet.close()
