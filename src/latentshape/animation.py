"""Moving pictures of a walk: GIF and animated WebP by Pillow, MP4 where ffmpeg is installed.

The suffix of the path says which. GIF opens everywhere and has 256 colours a frame; WebP has them all,
in a smaller file, and every browser shows it; MP4 is for films and slides. Frames are pixels, as
everywhere on disk: uint8 (n, h, w, c).
"""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np

from latentshape._checks import check_count, check_positive
from latentshape.errors import InputError, suggestion
from latentshape.files import atomic_path
from latentshape.images import grid, pillow

__all__ = [
    "FORMATS",
    "encode_animation",
    "need_ffmpeg",
    "save_animation",
    "there_and_back",
    "walk_frames",
]

FORMATS = (".gif", ".webp", ".mp4")
"""Suffixes of what can be written."""

#: Browsers show GIF frames of less than two hundredths of a second slowly, as if of ten.
_FASTEST_GIF = 50


def walk_frames(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Frames of a walk: step k of every row side by side, all rows moving together.

    Args:
        pixels: The walk's decoded codes, row by row, shape (rows * columns, h, w, c), uint8.
        rows: Paths of the walk.
        columns: Steps of each.

    Returns:
        Shape (columns, H, W, c), uint8; the rows in a sheet as near to a square as can be.

    Example:
        >>> walk_frames(np.zeros((12, 8, 8, 3), np.uint8), rows=4, columns=3).shape
        (3, 18, 18, 3)
    """
    if pixels.ndim != 4 or len(pixels) != rows * columns:
        raise InputError(
            f"A walk of {rows} rows and {columns} columns has {rows * columns} pictures, got pixels "
            f"{pixels.shape}; decode all of its codes, in order."
        )
    across = int(np.ceil(np.sqrt(rows)))
    steps = pixels.reshape(rows, columns, *pixels.shape[1:]).swapaxes(0, 1)
    return np.stack([grid(step, columns=across) for step in steps])


def there_and_back(frames: np.ndarray) -> np.ndarray:
    """The frames, and then those between the ends in reverse, so that a loop does not jump.

    Example:
        >>> there_and_back(np.arange(4)).tolist()
        [0, 1, 2, 3, 2, 1]
    """
    return np.concatenate([frames, frames[-2:0:-1]])


def save_animation(
    path: str | Path, frames: np.ndarray, *, fps: float = 10.0, loop: bool = True
) -> None:
    """Write frames as a moving picture, atomically.

    Args:
        path: Ends in ``.gif``, ``.webp`` or ``.mp4``. MP4 needs the program ffmpeg on the PATH.
        frames: Shape (n, h, w, 3) or (n, h, w, 1), uint8, at least two.
        fps: Frames per second. GIF counts in hundredths of a second and is read at 50 at most.
        loop: Begin again at the end, for ever; an MP4's player decides that itself.

    Raises:
        InputError: Another suffix; what are no frames; no ffmpeg, or one that failed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"No moving picture ends in {path.suffix!r}{suggestion(suffix, FORMATS)}")
    if suffix == ".mp4":
        _save_film(path, *_checked(frames, fps))
        return
    content = encode_animation(frames, suffix, fps=fps, loop=loop)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def encode_animation(
    frames: np.ndarray, suffix: str = ".gif", *, fps: float = 10.0, loop: bool = True
) -> bytes:
    """Frames as the content of a ``.gif`` or ``.webp`` file; all else as of `save_animation`."""
    frames, fps = _checked(frames, fps)
    if suffix == ".gif" and fps > _FASTEST_GIF:
        raise InputError(
            f"A GIF shows {_FASTEST_GIF} frames per second at most, got fps={fps:g}; use fewer, or "
            "a .webp."
        )
    # GIF counts hundredths; rounding there and not in the file keeps both alike.
    duration = 10 * round(100 / fps) if suffix == ".gif" else max(1, round(1000 / fps))
    options = {"loop": 0} if loop else {} if suffix == ".gif" else {"loop": 1}
    if suffix == ".webp":
        options["quality"] = 90
    first, *others = map(pillow, frames)
    held = io.BytesIO()
    first.save(
        held,
        format=suffix[1:].upper(),
        save_all=True,
        append_images=others,
        duration=duration,
        **options,
    )
    return held.getvalue()


def _checked(frames: np.ndarray, fps: float) -> tuple[np.ndarray, float]:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] not in (1, 3):
        raise InputError(
            f"Frames must be uint8 pixels (n, h, w, 3) or (n, h, w, 1), got {frames.dtype} "
            f"{frames.shape}; to_pixels makes them from images."
        )
    check_count(len(frames), name="the number of frames", minimum=2)
    return frames, check_positive(fps, name="fps")


def need_ffmpeg() -> str:
    """Where ffmpeg is, which MP4 needs.

    Raises:
        InputError: It is not on the PATH.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise InputError(
            "Writing an .mp4 needs the program ffmpeg, and there is none on the PATH; install it, or "
            "write a .gif or a .webp, which need nothing."
        )
    return ffmpeg


def _save_film(path: Path, frames: np.ndarray, fps: float) -> None:
    """Hand the frames to ffmpeg, one by one, and let it write an MP4 that every player reads."""
    ffmpeg = need_ffmpeg()
    height, width, channels = frames.shape[1:]
    kind = "gray" if channels == 1 else "rgb24"
    with atomic_path(path) as temporary:
        # The usual colour format halves both sides, so that odd ones get a row or a column more.
        command = [
            ffmpeg, "-y", "-loglevel", "error",
            "-f", "rawvideo", "-pix_fmt", kind, "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-",
            "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p",
            "-movflags", "+faststart", "-f", "mp4", str(temporary),
        ]  # fmt: skip
        done = subprocess.run(
            command, input=np.ascontiguousarray(frames).data, capture_output=True, check=False
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise InputError(
                f"ffmpeg could not write '{path.name}' ({said[-1]}); write a .gif or a .webp, or "
                "try another ffmpeg."
            )
