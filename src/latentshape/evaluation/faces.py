"""Face rate: the share of pictures in which a frontal-face detector finds a face.

The detector is OpenCV's Haar cascade (Viola & Jones 2001), which knows nothing of autoencoders. It
answers one question, whether the layout of a face is there; it cannot see blur, so the rate is never
used alone. It is always shown between its ceiling (real images) and its floor: the same images with
scrambled Fourier phases, which keep every frequency's strength and lose the face.

Its one free setting, how many overlapping hits count as a face, is chosen once on real training
images and their scrambled twins, never on anything generated, and stored in the scorecard.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from latentshape.errors import InputError

__all__ = ["DetectorSettings", "calibrate", "detector_missing", "finds_face", "scramble_phases"]

CASCADE = "haarcascade_frontalface_default.xml"
#: Faces are looked for at this side length; smaller pictures are enlarged first.
SIDE = 128
#: A face fills most of the picture: hits smaller than this share of its side are not counted.
SMALLEST = 0.375


@dataclass(frozen=True)
class DetectorSettings:
    """What ``detectMultiScale`` is called with, and what the choice was made on."""

    cascade: str = CASCADE
    side: int = SIDE
    scale_factor: float = 1.05
    min_neighbours: int = 3
    min_size: int = int(SMALLEST * SIDE)
    calibrated_on: int = 0

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


def finds_face(pixels: np.ndarray, settings: DetectorSettings) -> np.ndarray:
    """Whether each picture shows a face: (n,) bool for pixels (n, h, w, c) uint8.

    Raises:
        InputError: No detector is installed.
    """
    why = detector_missing()
    if why:
        raise InputError(why)
    import cv2

    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + settings.cascade)
    found = np.zeros(len(pixels), bool)
    size = (settings.min_size, settings.min_size)
    for i, picture in enumerate(pixels):
        grey = (
            picture[..., 0] if picture.shape[-1] == 1 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        )
        enlarged = cv2.resize(grey, (settings.side, settings.side), interpolation=cv2.INTER_LINEAR)
        hits = cascade.detectMultiScale(
            enlarged, settings.scale_factor, settings.min_neighbours, minSize=size
        )
        found[i] = len(hits) > 0
    return found


def calibrate(real: np.ndarray, seed: int = 0) -> DetectorSettings:
    """The number of overlapping hits that best tells real images from their scrambled twins.

    Args:
        real: Pixels (n, h, w, c) of real *training* images; a few hundred are enough.
        seed: Of the scrambled phases.
    """
    scrambled = scramble_phases(real, seed)
    best, best_margin = DetectorSettings(), -np.inf
    for neighbours in (2, 3, 4, 6, 8):
        settings = DetectorSettings(min_neighbours=neighbours, calibrated_on=len(real))
        margin = finds_face(real, settings).mean() - finds_face(scrambled, settings).mean()
        if margin > best_margin:
            best, best_margin = settings, margin
    return best


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
