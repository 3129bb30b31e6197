"""Border 1: pixels outside, floats inside.

Outside (disk, web, figures) an image is *pixels*: uint8, (n, h, w, c), 0 to 255. Inside (models,
features) it is *images*: a float tensor, (n, c, h, w), 0 to 1, channels-last in memory. Only this
module converts between the two, and only this module opens image files.

torch is imported where it is needed, so that processes that only decode files stay light.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from latentshape.errors import InputError
from latentshape.files import atomic_path

if TYPE_CHECKING:
    import torch

__all__ = ["grid", "open_image", "save_png", "to_images", "to_pixels"]

#: Suffixes that count as image files when a folder is read.
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
)


def to_images(pixels: np.ndarray | torch.Tensor, device: Any = None) -> torch.Tensor:
    """Pixels to images: uint8 (n, h, w, c) in 0..255 to float32 (n, c, h, w) in [0, 1].

    Example:
        >>> to_images(np.full((1, 2, 2, 3), 255, np.uint8)).max().item()
        1.0
    """
    import torch

    tensor = torch.from_numpy(pixels) if isinstance(pixels, np.ndarray) else pixels
    if tensor.dtype != torch.uint8 or tensor.ndim != 4:
        raise InputError(
            f"Expected uint8 pixels (n, h, w, c), got {tensor.dtype} {tuple(tensor.shape)}."
        )
    # A permuted view of (n, h, w, c) already is channels-last; the conversion keeps that order.
    return tensor.to(device).permute(0, 3, 1, 2).to(torch.float32).div_(255)


def to_pixels(images: torch.Tensor) -> np.ndarray:
    """Images to pixels: float (n, c, h, w), clipped to [0, 1], to uint8 (n, h, w, c), rounded."""
    scaled = images.detach().float().clamp(0, 1).mul(255).round_()
    return scaled.byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()


def grid(pixels: np.ndarray, columns: int = 8, gap: int = 2, fill: int = 255) -> np.ndarray:
    """Images side by side in rows of ``columns``: (n, h, w, c) to one (H, W, c), uint8."""
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
    """Write one (h, w, c) array as PNG, atomically."""
    with atomic_path(Path(path).with_suffix(".png")) as temporary:
        pillow(pixels).save(temporary)


def open_image(source: Path | bytes, channels: int = 3) -> tuple[Image.Image, list[str]]:
    """Decode a file to RGB (or grey) Pillow image, upright, and say what had to be converted.

    Every mode arrives as 8-bit RGB or grey: transparency is laid over white, 16-bit and float
    samples are scaled by their own format's range, CMYK and palettes are converted, EXIF
    orientation is applied. The notes are words to count: ``grey``, ``rgba``, ``cmyk``, ``16-bit``,
    ``palette``, ``exif-rotated``.

    Raises:
        OSError, ValueError, SyntaxError, Image.DecompressionBombError: The file cannot be read as
            an image (Pillow's own errors; the caller counts them).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning)  # damaged EXIF, odd palettes
        image: Image.Image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        image.load()
        notes = []
        if image.getexif().get(0x0112, 1) not in (0, 1):
            image = ImageOps.exif_transpose(image)
            notes.append("exif-rotated")
    target = "L" if channels == 1 else "RGB"
    if image.mode == target:
        return image, notes
    if image.mode.startswith("I") or image.mode == "F":
        notes.append("16-bit")
        image = _eight_bit(image)
    elif image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        notes.append("rgba")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode != "RGB":
        names = {"L": "grey", "1": "grey", "CMYK": "cmyk", "P": "palette"}
        notes.append(names.get(image.mode, image.mode.lower()))
    return image.convert(target), notes


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey to 8 bits: by the format's range, or the image's own maximum."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    top = 65535.0 if values.max(initial=0) > 255 else 255.0
    if image.mode == "F" and values.max(initial=0) <= 1:
        top = 1.0
    scaled = np.clip(values / max(top, values.max(initial=0)), 0, 1) * 255
    return Image.fromarray(scaled.round().astype(np.uint8))
