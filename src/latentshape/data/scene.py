r"""The canvas and the scene: what every part of a portrait is painted with, and where.

A canvas holds linear light and does not know its resolution: every edge is a signed distance d
turned into coverage :math:`S(1/2 - d / b)`, with the smoothstep :math:`S(t) = t^2 (3 - 2t)` and b
the width of one pixel, so that edges are anti-aliased without supersampling and a face is the same
at any size.

A `Scene` holds the geometry and the light that the parts share. Coordinates: (u, v) are in the
head's frame, v downwards, origin between the eyes, half a picture near 1; (p, q) are the same on
the turned face's surface; in a = \|p\| paired features are one. `Scene.place` goes the way back,
from a feature to where it lies in the picture, which is what `landmarks_of` tells.

References:
    Study of squares: squircle (Fernández-Guasti, 1992), the outlines of head, lenses and hair
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latentshape.data.factors import Columns, Field, check_factors

__all__ = [
    "LANDMARKS",
    "PUPIL",
    "SKULL",
    "Lips",
    "Number",
    "Scene",
    "bell",
    "coverage",
    "darken",
    "landmarks_of",
    "mixed",
    "paint",
    "present",
    "ramp",
    "squircle",
    "stops",
    "tint",
    "wheel",
]

Number = Field | float


# --------------------------------------------------------------------------------------------------
# Colour: linear light, (3, n, 1, 1); a picture value is its square root
# --------------------------------------------------------------------------------------------------


def stops(*codes: str) -> Field:
    """Hexadecimal picture colours as linear light, shape (stops, 3)."""
    values = np.array(
        [[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in codes], dtype=np.float32
    )
    return (values / 255) ** 2


_SKIN = stops("fae0d0", "f3cdb2", "e8b893", "d29d75", "a8704c", "6e4732")
_HAIR = stops("e3c78f", "bf9153", "8a6038", "57361f", "33201a", "17120f")
_AUBURN, _GREY = stops("9a4019", "c2bfba")[..., None, None, None]


def ramp(stops: Field, t: Field) -> Field:
    """Colour at t in [0, 1] along evenly spaced stops, (3, n, 1, 1)."""
    last = len(stops) - 1
    x = t * last
    floor = np.clip(np.floor(x), 0, last - 1)
    low, fraction = floor.astype(np.intp), x - floor
    colour = stops[low] + fraction[..., None] * (stops[low + 1] - stops[low])
    return np.moveaxis(colour, -1, 0)


def wheel(hue: Field, vivid: Number, light: Number) -> Field:
    """A colour of given hue, periodic with 1: one cosine per channel, (3, n, 1, 1)."""
    turn = 2 * np.pi * (hue + np.array([0, -1 / 3, 1 / 3], dtype=np.float32)[:, None, None, None])
    return light * (1 - 0.5 * vivid * (1 - np.cos(turn)))


def mixed(a: Field, b: Field, t: Number) -> Field:
    """From a at t = 0 to b at t = 1."""
    return a + t * (b - a)


def tint(red: float, green: float, blue: float) -> Field:
    """One colour, in the shape that broadcasts over a canvas: (3, 1, 1, 1)."""
    return np.array([red, green, blue], dtype=np.float32)[:, None, None, None]


# --------------------------------------------------------------------------------------------------
# Coverage and paint
# --------------------------------------------------------------------------------------------------


def coverage(distance: Field, width: Number) -> Field:
    r"""Share of a pixel inside the shape: :math:`S(1/2 - d / b)`, smoothstep over the width b."""
    t = 0.5 - distance / width
    np.clip(t, 0, 1, out=t)
    return t * t * (3 - 2 * t)


def bell(x: Field, y: Field) -> Field:
    """A soft round spot: 1 in the middle, 1/e where x² + y² = 1."""
    return np.exp(-(x * x + y * y))


def squircle(x: Field, y: Field, half_x: Number, half_y: Number, square: Number) -> Field:
    r"""Distance, to first order, to :math:`F = x^2 + y^2 - k x^2 y^2 = 1`, here (F - 1) / \|∇F\|.

    k = 0 is the ellipse, k near 1 a rectangle, k < 0 a lozenge. x, y are in units of the half-axes.
    """
    xx, yy = x * x, y * y
    kx, ky = square * np.minimum(xx, 1), np.minimum(yy, 1)  # outside, the product would turn F over
    slope_x = x * (1 - square * ky) / half_x
    slope_y = y * (1 - kx) / half_y
    slope = 2 * np.sqrt(slope_x * slope_x + slope_y * slope_y) + 0.3
    return (xx + yy - kx * ky - 1) / slope


def present(presence: Field) -> Field:
    """0 or 1: binary factors act by a threshold."""
    return (presence > 0.5).astype(np.float32)


def paint(canvas: Field, cover: Field, colour: Field) -> None:
    """Lays colour over the canvas (3, n, rows, size), in place, where covered."""
    for channel, laid in zip(canvas, colour, strict=True):
        channel += cover * (laid - channel)


def darken(
    canvas: Field, amount: Field, strengths: tuple[float, float, float] = (0.8, 0.92, 1.0)
) -> None:
    """Multiplies light away, most of all blue: shadows on skin are warm."""
    for channel, strength in zip(canvas, strengths, strict=True):
        channel *= 1 - strength * amount


# --------------------------------------------------------------------------------------------------
# The scene: coordinates, outline and light of a chunk of faces
# --------------------------------------------------------------------------------------------------

_EYE_LINE = -0.06  # height of the eyes in the picture, from -1 (top) to 1
_CHEEK = 0.06  # level of the widest part of the head, below the eyes
SKULL = -0.75  # top of the skull
PUPIL = -0.07  # level of the pupils, in units of half an eye


@dataclass(frozen=True)
class Lips:
    """The mouth: x along it, distances to lips and to the gap, way below the lips' line."""

    x: Field
    outline: Field
    gap: Field
    below: Field


class Scene:
    """Geometry and light shared by the parts of n faces, over a band of picture rows.

    Fields have shape (n, rows, size) and are made when first asked for: a part that lives in a
    narrow band (eyes, mouth) asks a scene of that band and pays for its pixels only.
    """

    def __init__(self, factors: Field, size: int, band: tuple[float, float] = (-1.0, 1.0)) -> None:
        self.factors, self.size = factors, size
        self.f = Columns(factors)
        first = max(0, int(np.floor((band[0] + 1) / 2 * size)))
        self.rows = slice(first, min(size, int(np.ceil((band[1] + 1) / 2 * size))))
        self.pixel = 2 / size / self.f.scale

    def band(self, low: float, high: float) -> Scene:
        """The same faces between two heights of the picture."""
        return Scene(self.factors, self.size, (low, high))

    @cached_property
    def _frame(self) -> tuple[Field, Field]:
        centres = ((np.arange(self.size) + 0.5) * (2 / self.size) - 1).astype(np.float32)
        dx = (centres[None, None, :] - self.f.shift_x) / self.f.scale
        dy = (centres[None, self.rows, None] - _EYE_LINE - self.f.shift_y) / self.f.scale
        return dx, dy

    @cached_property
    def body(self) -> tuple[Field, Field]:
        """Upright coordinates, centred under the chin whatever the roll."""
        dx, dy = self._frame
        return dx + 0.75 * np.sin(self.f.roll), dy

    @cached_property
    def u(self) -> Field:
        """Across the head, to the right of the picture when it is upright."""
        dx, dy = self._frame
        return np.cos(self.f.roll) * dx + np.sin(self.f.roll) * dy

    @cached_property
    def v(self) -> Field:
        """Down the head, 0 between the eyes."""
        dx, dy = self._frame
        return np.cos(self.f.roll) * dy - np.sin(self.f.roll) * dx

    @cached_property
    def width(self) -> Field:
        """Half the width of the head at the cheekbones."""
        return 0.56 * self.f.face_width

    @cached_property
    def chin(self) -> Field:
        """Level of the chin, which an open mouth lowers."""
        return 0.88 * self.f.face_height + 0.05 * self.f.mouth_open

    @cached_property
    def x(self) -> Field:
        """The coordinate u in units of the head's half-width."""
        return self.u / self.width

    def _half_height(self, below: Field) -> Field:
        """From the cheekbones to the chin, or to the top of the skull."""
        return np.where(below, self.chin - _CHEEK, _CHEEK - SKULL)

    @cached_property
    def y(self) -> Field:
        """Height from the cheekbones, in units of the way to the chin or the skull's top."""
        return (self.v - _CHEEK) / self._half_height(self.v > _CHEEK)

    @cached_property
    def head(self) -> Field:
        """Distance to the outline of the head."""
        below = self.v > _CHEEK
        square = np.where(below, self.f.jaw + 0.15 * self.f.cheeks - 0.05, 0.3)
        return squircle(self.x, self.y, self.width, self._half_height(below), square)

    @cached_property
    def _turn(self) -> Field:
        """How far turning slides the middle of the face."""
        return 0.17 * self.f.yaw

    @cached_property
    def _bow(self) -> Field:
        """How far bowing lowers the level of the cheekbones."""
        return 0.06 * self.f.pitch

    @cached_property
    def p(self) -> Field:
        """The coordinate u on the face's surface: turning slides the features, not the outline."""
        return self.u - self._turn * np.maximum(0, 1 - self.x * self.x)

    @cached_property
    def q(self) -> Field:
        """The coordinate v on the face's surface: a bowed head's features lie lower."""
        return self.v - self._bow * np.maximum(0, 1 - self.y * self.y)

    def place(self, p: Field, q: Field) -> tuple[Field, Field]:
        """Where in the picture, from (0, 0) at the top left to (1, 1), p and q have given values."""
        f = self.f
        u = _unslid(p, self._turn, self.width)
        height = self._half_height(q - _CHEEK > -self._bow)
        v = _CHEEK + _unslid(q - _CHEEK, self._bow, height)
        dx = np.cos(f.roll) * u - np.sin(f.roll) * v
        dy = np.cos(f.roll) * v + np.sin(f.roll) * u
        x = dx * f.scale + f.shift_x
        y = dy * f.scale + f.shift_y + _EYE_LINE
        return (1 + x) / 2, (1 + y) / 2

    @cached_property
    def a(self) -> Field:
        """Distance from the middle of the face: both of a pair lie at the same a."""
        return np.abs(self.p)

    @cached_property
    def light(self) -> tuple[Field, Field, Field]:
        """Unit vector towards the light."""
        x, y = self.f.light_x, self.f.light_y
        norm = np.sqrt(x * x + y * y + 0.64)
        return x / norm, y / norm, 0.8 / norm

    @cached_property
    def ambient(self) -> Field:
        """Light that falls everywhere, (3, n, 1, 1)."""
        f = self.f
        strength = f.exposure * (0.40 - 0.27 * f.light_contrast)
        return strength * (1 - f.light_warmth * tint(0.06, 0, -0.1))

    @cached_property
    def key(self) -> Field:
        """Light from one side, (3, n, 1, 1), before it meets a surface at its angle."""
        f = self.f
        strength = f.exposure * (0.78 + 0.46 * f.light_contrast)
        return strength * (1 + f.light_warmth * tint(0.06, 0, -0.12))

    @cached_property
    def skin(self) -> Field:
        """Skin's colour under full light."""
        base = ramp(_SKIN, self.f.skin_tone)
        return base * (1 + self.f.skin_warmth * tint(-0.03, 0.03, -0.1))

    @cached_property
    def hair(self) -> Field:
        """Hair's colour under full light: dark, then red, then grey."""
        f = self.f
        red = f.hair_red * (1 - 0.6 * f.hair_dark)
        young = mixed(ramp(_HAIR, f.hair_dark), _AUBURN, red)
        return mixed(young, _GREY, f.hair_grey)

    @cached_property
    def hair_length(self) -> Field:
        """Length of the hair, which who goes bald wears short."""
        return self.f.hair_length * (1 - 0.9 * np.minimum(1, 1.6 * self.f.hairline))

    @cached_property
    def long_hair(self) -> Field:
        """From 0, hair that ends above the ears, to 1, hair that covers them."""
        return np.clip(3 * self.hair_length - 0.6, 0, 1)

    @cached_property
    def half_eye(self) -> Field:
        """Half the width of an eye."""
        return 0.116 * self.f.eye_size

    @cached_property
    def turned_gaze(self) -> Field:
        """How far turning moves the irises along the eyes, on top of the gaze."""
        return 0.12 * self.f.yaw

    @cached_property
    def nose_ridge(self) -> Field:
        """Where along p the nose lies: it stands out, so that turning moves it further."""
        return 0.045 * self.f.yaw

    @cached_property
    def nose_tip(self) -> Field:
        """Level of the tip of the nose."""
        return 0.30 * self.f.nose_length

    @cached_property
    def mouth(self) -> Field:
        """Level of the line between the lips of a straight face."""
        return 0.53 + 0.35 * (self.chin - 0.88) + self.f.mouth_height + 0.4 * (self.nose_tip - 0.3)

    @cached_property
    def mouth_middle(self) -> Field:
        """Where along p the middle of the mouth lies."""
        return 0.02 * self.f.yaw

    @cached_property
    def half_mouth(self) -> Field:
        """Half the width of the mouth, which a smile widens."""
        return self.f.mouth_width * (1 + 0.2 * np.maximum(self.f.smile, 0))

    def lip_line(self, xx: Number) -> Field:
        """Level of the line between the lips at x² along the mouth; a smile lifts its corners."""
        return self.mouth + 0.03 * self.f.smile - 0.085 * self.f.smile * xx

    @cached_property
    def lips(self) -> Lips:
        """Along the mouth x runs in [-1, 1]."""
        f = self.f
        smile = np.maximum(f.smile, 0)
        half = self.half_mouth
        x = (self.p - self.mouth_middle) / half
        xx = np.minimum(x * x, 1.2)
        middle = self.lip_line(xx)
        arch = np.maximum(0, 1 - xx)
        bow = 1 - 0.22 * np.exp(-30 * xx) - 0.1 * xx
        open_ = f.mouth_open * 0.085
        plump = f.lip_thickness * (1 - 0.25 * smile) * (1.1 - 0.25 * f.age)
        top = middle - open_ * 0.4 * arch - 0.042 * plump * arch * bow
        bottom = middle + open_ * arch + 0.058 * plump * arch * (0.75 + 0.25 * arch)
        ends = (np.abs(x) - 1) * half
        outline = np.maximum(np.maximum(top - self.q, self.q - bottom) * 0.9, ends)
        inner = np.maximum(middle - open_ * 0.4 * arch - self.q, self.q - middle - open_ * arch)
        return Lips(x, outline, np.maximum(inner * 0.9, ends + 0.02), self.q - middle)

    def lit(self, albedo: Field, facing: Number) -> Field:
        """Colour (3, n, rows, size) of a matt surface, `facing` being its clipped n·l."""
        return albedo * (self.ambient + self.key * facing)

    def facing(self, nx: Field, ny: Number) -> Field:
        """n·l of the normal (nx, ny, 1 - (nx² + ny²)/2, normalised), clipped at 0."""
        lx, ly, lz = self.light
        nz = np.maximum(1 - 0.5 * (nx * nx + ny * ny), 0.1)
        return np.maximum(0, (nx * lx + ny * ly + nz * lz) / np.sqrt(nx * nx + ny * ny + nz * nz))


def _unslid(seen: Field, slide: Field, half: Field) -> Field:
    r"""The w that solves :math:`w - k \max(0, 1 - w^2 / h^2) = s`: the way back from p to u.

    Inside, :math:`w = 2 (s + k) / (1 + \sqrt{1 + 4 k (s + k) / h^2})`; outside, w = s.
    """
    moved = seen + slide
    root = np.sqrt(np.maximum(0, 1 + 4 * slide * moved / (half * half)))
    return np.where(np.abs(seen) < half, 2 * moved / (1 + root), seen)


# --------------------------------------------------------------------------------------------------
# Landmarks
# --------------------------------------------------------------------------------------------------

LANDMARKS: tuple[str, ...] = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")


def landmarks_of(factors: ArrayLike) -> NDArray[np.float32]:
    """Tells where pupils, tip of the nose and corners of the mouth lie in the picture of each row.

    Points, names and order are those of CelebA's ``list_landmarks_align_celeba.txt``; left and
    right are the picture's. What a hat or glasses hide is told like the rest.

    Args:
        factors: Factors, shape (n, len(FACTORS)), from `draw_factors` or edited.

    Returns:
        Positions (x, y) of the `LANDMARKS`, shape (n, 5, 2), float32, in sides of the picture from
        its top left corner: times `size` they are pixels, in which the centre of pixel (0, 0) lies
        at (0.5, 0.5).

    Raises:
        InputError: For factors of another shape, or not finite.

    Example:
        >>> from latentshape.data.factors import draw_factors
        >>> landmarks_of(draw_factors(range(4))).shape
        (4, 5, 2)
    """
    s = Scene(check_factors(factors), size=1)
    f = s.f
    points = []
    for side in (-1, 1):
        along = f.gaze_x + s.turned_gaze  # in half eyes, from the middle of the eye
        level = PUPIL - f.eye_slant * side * along
        points.append(s.place(side * f.eye_distance + along * s.half_eye, level * s.half_eye))
    points.append(s.place(s.nose_ridge, s.nose_tip))
    for side in (-1, 1):
        points.append(s.place(s.mouth_middle + side * s.half_mouth, s.lip_line(1)))
    return np.array(points, dtype=np.float32)[..., 0, 0].transpose(2, 0, 1).copy()
