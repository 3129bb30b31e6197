"""A photo that comes in: the square of it that a run's own images would have shown.

An autoencoder knows pictures as it was trained on them. Of a photograph of a person it should see the face
where its training images have theirs. So faces are found in some of these first, and their usual place is the
*frame*; then the photo's face is found, and the square is cut whose frame it fills. No landmark, no constant
of any dataset. Without a detector, without faces in the training images or in the photo, it is the largest
centred square.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from latentshape.errors import InputError, first_line
from latentshape.images import decode_image, picture_size, resize, shrink

if TYPE_CHECKING:
    from latentshape.runs import RunFolder

__all__ = ["CROPS", "MOST_PIXELS", "square_of", "usual_frame"]

CROPS = ("auto", "face", "square")
"""What a crop may be called; or ``box:LEFT,TOP,SIDE`` in pixels of the photo."""
#: A photo has so many pixels at most; more is refused before it is decoded.
MOST_PIXELS = 50_000_000
#: Faces are looked for in a copy whose longer side is this at most.
SEARCHED = 640
#: A frame is known where the detector finds a face in this share of the training images.
LEAST_SHARE = 0.5


def square_of(
    run: RunFolder,
    content: bytes,
    crop: str = "auto",
    frame: Callable[[], np.ndarray | None] | None = None,
) -> np.ndarray:
    """Pixels (size, size, channels) uint8 of a photo, as the run's images are.

    Args:
        run: Whose size, channels and crop count.
        content: The file: JPEG, PNG, or whatever Pillow reads safely.
        crop: ``auto``: an aligned CelebA picture as the run's own, else ``face`` where one is found, else
            ``square``; ``face``; ``square``; ``box:LEFT,TOP,SIDE``.
        frame: Gives the usual place of faces (`usual_frame`), where it is wanted and known.

    Raises:
        InputError: No picture, too large a one, no such crop, or no face where one is asked for.
    """
    from latentshape.data.crops import ALIGNED_SIZE, crop_box
    from latentshape.runs import read_record

    data = run.config().data
    box = _box(crop)
    if box is None and crop not in CROPS:
        raise InputError(f"A crop is {', '.join(CROPS)} or box:LEFT,TOP,SIDE, got {crop[:60]!r}.")
    picture = _decoded(content, data.channels)
    height, width = picture.shape[:2]
    name = data.crop if data.crop not in ("auto", "box") else "square"
    if crop == "auto":
        aligned = (width, height) == ALIGNED_SIZE
        if aligned and data.crop == "auto" and run.dataset_path.exists():
            if read_record(run.dataset_path).get("kind") == "celeba":
                name = "centre-140"  # what auto means for aligned pictures
        elif frame is not None and not aligned:
            box = _face_square(picture, frame)
    elif crop == "face":
        box = _face_square(picture, frame) if frame is not None else None
        if box is None:
            raise InputError(
                "No face was found in this photo, or the run's images show none, or no detector is installed "
                "(pip install 'latentshape[faces]'); use the crop 'square'."
            )
    elif crop == "square":
        name = "square"
    if box is not None:
        left, top, right, bottom = crop_box("box", width, height, box)
    else:
        left, top, right, bottom = crop_box(name, width, height)
    return resize(picture[top:bottom, left:right], data.size)


def usual_frame(pixels: np.ndarray) -> np.ndarray | None:
    """Where faces lie in images: centre x, centre y and width of the detector's box, in shares of the side.

    Args:
        pixels: Some training images (n, h, w, c) uint8.

    Returns:
        Shape (3,); None where no detector is installed or most of the images have no face.
    """
    from latentshape.evaluation.faces import detector_missing, face_box

    if detector_missing() is not None:
        return None
    boxes = [face_box(picture) for picture in pixels]
    found = [box for box in boxes if box is not None]
    if len(found) < LEAST_SHARE * len(boxes) or not found:
        return None
    side = pixels.shape[1]
    x, y, w, h = np.array(found, float).T / side
    return np.array([np.median(x + w / 2), np.median(y + h / 2), np.median(w)])


def _face_square(
    picture: np.ndarray, frame: Callable[[], np.ndarray | None]
) -> tuple[float, float, float, float] | None:
    """x, y, width, height of the square whose frame the photo's largest face fills."""
    from latentshape.evaluation.faces import detector_missing, face_box

    if detector_missing() is not None:
        return None
    usual = frame()
    if usual is None:
        return None
    small = shrink(picture, SEARCHED)
    scale = max(picture.shape[:2]) / max(small.shape[:2])
    found = face_box(small)
    if found is None:
        return None
    x, y, w, h = (np.array(found, float) * scale).tolist()
    side = w / usual[2]
    return x + w / 2 - usual[0] * side, y + h / 2 - usual[1] * side, side, side


def _box(crop: str) -> tuple[float, float, float, float] | None:
    if not crop.startswith("box:"):
        return None
    try:
        left, top, side = map(float, crop[4:].split(","))
    except ValueError:
        raise InputError(f"A box is box:LEFT,TOP,SIDE in pixels, got {crop[:60]!r}.") from None
    if not np.isfinite([left, top, side]).all() or side < 1 or max(abs(left), abs(top), side) > 1e6:
        raise InputError(f"A box has a side of at least 1 pixel, got {crop[:60]!r}.")
    return left, top, side, side


def _decoded(content: bytes, channels: int) -> np.ndarray:
    most = f"at most {MOST_PIXELS:,} pixels are taken. Make the picture smaller first."
    try:
        width, height = picture_size(content)
    except Exception as error:  # Pillow's errors have no common base
        bomb = "bomb" in type(error).__name__.lower()
        end = most if bomb else "send a JPEG, PNG or another common format."
        raise InputError(f"This cannot be read as a picture: {first_line(error)}; {end}") from None
    if width * height > MOST_PIXELS:
        raise InputError(f"The picture has {width:,} x {height:,} pixels; {most}")
    try:
        return decode_image(content, channels).pixels
    except Exception as error:
        raise InputError(f"This cannot be read as a picture: {first_line(error)}.") from None
