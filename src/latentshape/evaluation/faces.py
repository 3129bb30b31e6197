"""Face rate: the share of pictures in which a frontal-face detector finds a face.

The detector is OpenCV's Haar cascade (Viola & Jones 2001), which knows nothing of autoencoders. It
answers one question, whether the layout of a face is there; it cannot see blur, so the rate is never
used alone. It is always shown between its ceiling (real images) and its floor: the same images with
scrambled Fourier phases, which keep every frequency's strength and lose the face.

Its one free setting, how many overlapping hits count as a face, is chosen once on real training
images and their scrambled twins, never on anything generated, and stored in the scorecard. Hits are
counted over a pyramid of scales, so a clear face collects a dozen of them and a chance pattern one.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from latentshape.errors import InputError

__all__ = [
    "DetectorSettings",
    "calibrate",
    "detector_missing",
    "face_box",
    "finds_face",
    "no_faces",
    "scramble_phases",
]

CASCADE = "haarcascade_frontalface_default.xml"
#: Every picture is brought to this side length first, so that runs of all sizes are judged alike.
SIDE = 96
#: A face fills most of the picture: hits smaller than this are not counted.
SMALLEST = SIDE // 2
#: So much more often must it find a face in real images than in scrambled ones to be asked at all.
SMALLEST_MARGIN = 0.5
#: Pictures that one thread searches with one cascade.
CHUNK = 128


@dataclass(frozen=True)
class DetectorSettings:
    """How pictures are searched, and what the choice of ``min_neighbours`` was made on.

    ``real_rate`` and ``scrambled_rate`` are the shares of those images in which it finds a face.
    """

    cascade: str = CASCADE
    side: int = SIDE
    scale_factor: float = 1.1
    min_neighbours: int = 3
    min_size: int = SMALLEST
    calibrated_on: int = 0
    real_rate: float = 1.0
    scrambled_rate: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def detector_missing() -> str | None:
    """Why there is no face detector, in a sentence; None when there is one."""
    if find_spec("cv2") is None:
        return "no face detector: pip install 'latentshape[faces]'"
    import cv2

    if not hasattr(cv2, "CascadeClassifier"):
        return "OpenCV 5 has no Haar cascades: pip install 'opencv-python-headless<5'"
    return None


def support(pixels: np.ndarray, settings: DetectorSettings) -> np.ndarray:
    """Overlapping hits behind the best candidate in each picture: (n,) int, 0 where there is none.

    Args:
        pixels: (n, h, w, c) uint8.
        settings: Everything but ``min_neighbours`` is used.

    Raises:
        InputError: No detector is installed.
    """
    why = detector_missing()
    if why:
        raise InputError(why)
    starts = range(0, len(pixels), CHUNK)
    # OpenCV releases the interpreter lock while it searches; a cascade belongs to one thread.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda i: _support(pixels[i : i + CHUNK], settings), starts)
        return np.array([hits for chunk in found for hits in chunk], dtype=int)


def _support(pixels: np.ndarray, settings: DetectorSettings) -> list[int]:
    import cv2

    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + settings.cascade)  # type: ignore[attr-defined]
    side, smallest = (settings.side,) * 2, (settings.min_size,) * 2
    found = []
    for picture in pixels:
        scaled = cv2.resize(_grey(picture), side, interpolation=cv2.INTER_LINEAR)
        _, hits = cascade.detectMultiScale2(scaled, settings.scale_factor, 1, minSize=smallest)
        found.append(max(hits, default=0))
    return found


def face_box(picture: np.ndarray, min_neighbours: int = 4) -> tuple[int, int, int, int] | None:
    """Left, top, width, height of the largest face in a picture (h, w, c) uint8; None where none is found.

    Raises:
        InputError: No detector is installed.
    """
    why = detector_missing()
    if why:
        raise InputError(why)
    import cv2

    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + CASCADE)  # type: ignore[attr-defined]
    grey = _grey(picture)
    # Small pictures are enlarged: the cascade's window is 24 pixels wide.
    scale = max(1.0, 2 * SIDE / max(grey.shape))
    if scale > 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    smallest = (max(24, min(grey.shape) // 6),) * 2
    boxes = cascade.detectMultiScale(grey, 1.1, min_neighbours, minSize=smallest)
    if len(boxes) == 0:
        return None
    x, y, w, h = (round(v / scale) for v in max(boxes, key=lambda box: box[2] * box[3]))
    return x, y, w, h


def _grey(picture: np.ndarray) -> np.ndarray:
    import cv2

    if picture.shape[-1] == 1:
        return picture[..., 0]
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def finds_face(pixels: np.ndarray, settings: DetectorSettings) -> np.ndarray:
    """Whether each picture shows a face: (n,) bool for pixels (n, h, w, c) uint8."""
    return support(pixels, settings) >= settings.min_neighbours


def calibrate(real: np.ndarray, seed: int = 0) -> DetectorSettings:
    """The number of overlapping hits that best tells real images from their scrambled twins.

    Args:
        real: Pixels (n, h, w, c) of real *training* images; a few hundred are enough.
        seed: Of the scrambled phases.
    """
    settings = DetectorSettings(calibrated_on=len(real))
    of_real = support(real, settings)
    of_scrambled = support(scramble_phases(real, seed), settings)
    candidates = range(2, 13)
    rates = [(float((of_real >= k).mean()), float((of_scrambled >= k).mean())) for k in candidates]
    best = int(np.argmax([real - scrambled for real, scrambled in rates]))
    return replace(
        settings,
        min_neighbours=candidates[best],
        real_rate=rates[best][0],
        scrambled_rate=rates[best][1],
    )


def no_faces(settings: DetectorSettings) -> str | None:
    """Why a face rate would mean nothing for these images, in a sentence; None when it means something.

    Digits, cats and faces in profile are no failures of a sampler: where the detector can hardly tell
    real images from noise, its answer about drawn ones is left out.
    """
    if settings.real_rate - settings.scrambled_rate >= SMALLEST_MARGIN:
        return None
    return (
        f"no faces to count: the detector finds one in {settings.real_rate:.0%} of real images and in "
        f"{settings.scrambled_rate:.0%} of scrambled ones"
    )


def scramble_phases(pixels: np.ndarray, seed: int = 0) -> np.ndarray:
    """The same pictures with random Fourier phases, equal over the channels: (n, h, w, c) uint8."""
    rng = np.random.default_rng(seed)
    out = np.empty_like(pixels)
    for i, picture in enumerate(pixels):
        spectrum = np.fft.rfft2(picture.astype(np.float64), axes=(0, 1))
        # The phases of a real noise image have the symmetry that keeps the result real.
        noise = np.fft.rfft2(rng.standard_normal(picture.shape[:2]))
        phases = noise / np.maximum(np.abs(noise), 1e-12)
        phases[0, 0] = 1.0
        mixed = np.fft.irfft2(spectrum * phases[..., None], s=picture.shape[:2], axes=(0, 1))
        out[i] = np.clip(mixed.round(), 0, 255)
    return out
