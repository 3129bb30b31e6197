r"""Painting a row of factors: layers from back to front, in linear light.

Skin is shaded as an ellipsoid with relief: Gaussian bumps and dips for nose, sockets, cheeks, lips
and chin tilt its normal n, and Lambert's law lights it with

.. math:: \text{ambient} + \text{key} \cdot \max(0, (n \cdot l + b_c) / (1 + b_c))

where b_c wraps the light further round in red than in blue, as skin does. Turning the head (yaw)
slides the features across the skin by an amount that fades towards the outline.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latentshape.data.adornments import (
    back_hair,
    beard,
    earrings,
    front_hair,
    glasses,
    hat,
    head_of_hair,
)
from latentshape.data.factors import Field, check_factors, check_integer
from latentshape.data.scene import (
    PUPIL,
    Number,
    Scene,
    bell,
    coverage,
    darken,
    mixed,
    paint,
    present,
    ramp,
    squircle,
    stops,
    tint,
    wheel,
)

__all__ = ["render"]

_IRIS = stops("3a2113", "5b3a1d", "6d6232", "5d7a55", "5f87a6", "8fa9b8")
_LIPSTICK = stops("7c1f3f", "a81832", "c62a2f", "d2544c")
_BROWN = stops("57361f")[0, :, None, None, None]


# --------------------------------------------------------------------------------------------------
# Behind and below the head
# --------------------------------------------------------------------------------------------------


def _background(s: Scene, canvas: Field) -> None:
    """A wall out of focus: a tilted gradient, lighter in a soft pool behind the head."""
    f, (x, y) = s.f, s.body
    light = 0.03 + 0.75 * f.back_light * f.back_light
    near = wheel(f.back_hue, 0.75 * f.back_vivid + 0.12, light)
    far = wheel(f.back_hue + 0.2, 0.6 * f.back_vivid + 0.1, 0.55 * light + 0.12)
    across = x * np.clip(4 * f.back_tilt, -1, 1) + 0.4 * y
    colour = mixed(near, far, coverage(across + 1.2 * f.back_fall, 1.1))
    slope = 1 + 0.35 * f.back_tilt * x + 0.35 * f.back_fall * y
    pool = 0.8 + 0.35 * bell(0.7 * x - 0.5 * f.back_tilt, 0.7 * y + 0.3)
    canvas[...] = f.exposure * colour * (slope * pool)


def _body(s: Scene, canvas: Field) -> None:
    """Neck and shoulders in skin, in the chin's shadow, then clothes with their neckline."""
    f, (x, y) = s.f, s.body
    across = np.abs(x)
    shoulder = 0.95 + 0.38 * np.maximum(across - f.neck_width, 0) - y
    neck = across - f.neck_width - 0.25 * np.square(np.maximum(y - 0.75, 0))
    skin = np.minimum(neck, 0.9 * shoulder)
    facing = s.facing(np.clip(x / f.neck_width, -1.2, 1.2) * 0.75, 0.15)
    lx, ly, _ = s.light
    shadow = coverage(y - 1.07 + 0.25 * np.square(x - 0.3 * lx) + 0.1 * ly, 0.34)
    colour = s.lit(s.skin * tint(0.93, 0.88, 0.85), facing * (1 - 0.8 * shadow))
    paint(canvas, coverage(skin, s.pixel), colour * (1 - 0.45 * shadow))

    depth = 0.05 + 0.28 * f.neckline
    wide = f.neck_width + 0.06
    opening = squircle(x / wide, (y - 0.93) / depth, wide, depth, 0)
    cloth = np.maximum(shoulder * 0.9, -opening)
    fabric = wheel(f.clothes_hue, 0.8 * f.clothes_vivid, 0.02 + 0.75 * np.square(f.clothes_light))
    folds = 0.85 + 0.15 * np.sin(7 * x + 9 * y + 6 * f.clothes_hue)
    seam = 1 - 0.35 * coverage(np.abs(opening - 0.03) - 0.006, 0.02 + s.pixel)
    facing = s.facing(0.6 * x, -0.35) * folds * seam
    paint(canvas, coverage(cloth, s.pixel), s.lit(fabric, facing))


def _ears(s: Scene, canvas: Field) -> None:
    """Ears behind the cheeks; the one on the far side goes out of sight with yaw."""
    f = s.f
    side = np.sign(s.u)
    centre = s.width * 0.985 - 0.06 * f.yaw * side - 0.13 * s.long_hair  # long hair lies over them
    half_x, half_y = 0.085 * f.ear_size, 0.155 * f.ear_size
    ex = (np.abs(s.u) - centre - 0.10 * (0.08 - s.v)) / half_x
    ey = (s.v - 0.08) / half_y
    facing = s.facing(side * (0.35 + 0.4 * ex), 0.5 * ey)
    hollow = 0.5 * bell(1.7 * (ex - 0.15), 1.5 * (ey + 0.1))
    colour = s.lit(s.skin * tint(1.0, 0.86, 0.83), facing * 0.85) * (1 - hollow)
    paint(canvas, coverage(squircle(ex, ey, half_x, half_y, 0), s.pixel), colour)


# --------------------------------------------------------------------------------------------------
# Skin: relief and light
# --------------------------------------------------------------------------------------------------


def _relief(s: Scene) -> tuple[Field, Field]:
    """Slope of the face's relief along p and q: a sum of Gaussian bumps (height > 0) and dips.

    A bump h exp(-(x² + y²)) with x = (p - cp)/wp and y = (q - cq)/wq has the slopes
    -2 h x exp(…)/wp and -2 h y exp(…)/wq.
    """
    f = s.f
    tip, mouth = s.nose_tip, s.mouth
    nose = s.p - s.nose_ridge
    smile = np.maximum(f.smile, 0)
    eye, bridge = f.eye_distance, f.nose_width
    bumps: tuple[tuple[Field, Number, Number, Number, Number, Number], ...] = (
        # across, its centre, level, half-width, half-height, height
        (nose, 0, tip * 0.42, 0.062 + 0.012 * bridge, 0.6 * tip, 0.034),
        (nose, 0, tip - 0.005, 0.036 + 0.036 * bridge, 0.062, 0.05),
        (s.a, 0.085 * bridge, tip + 0.012, 0.04, 0.04, 0.018),  # wings of the nose
        (s.a, eye - 0.01, -0.005, 0.135, 0.075, -0.052),  # sockets
        (s.a, eye, 0.0, 0.085, 0.05, 0.022),  # eyeballs
        (s.a, eye - 0.02, -0.155, 0.17, 0.055, 0.016 + 0.012 * f.male),  # brow ridge
        (s.p, 0, -0.32, 0.40, 0.16, 0.03),  # forehead
        (s.a, 0.31, 0.26 - 0.05 * smile, 0.13, 0.11, 0.016 + 0.03 * smile + 0.02 * f.cheeks),
        (s.a, 0.36, 0.47, 0.09, 0.12, 0.02 * f.cheeks - 0.018),  # hollow under the cheekbone
        (s.a, 0.27, 0.66, 0.08, 0.08, 0.025 * f.age * f.age),  # jowl
        (s.p, 0, mouth, 0.27, 0.13, 0.035),
        (s.p, 0, mouth + 0.5 * (s.chin - mouth) - 0.06, 0.13, 0.035, -0.012),  # under the lip
        (s.p, 0, s.chin - 0.13, 0.14, 0.09, 0.035),
    )
    side = np.sign(s.p)
    slope_p, slope_q = np.zeros_like(s.p), np.zeros_like(s.p)
    for across, centre, level, wide, high, height in bumps:
        x, y = (across - centre) / wide, (s.q - level) / high
        bump = -2 * height * bell(x, y)
        slope_p += bump * x * ((1 / wide) * side if across is s.a else 1 / wide)
        slope_q += bump * y * (1 / high)
    return slope_p, slope_q


def _head(s: Scene, canvas: Field) -> None:
    """The lit skin of the head, with a hint of shine."""
    slope_p, slope_q = _relief(s)
    nx = s.x * (0.5 + 0.6 * s.x * s.x) - 1.15 * slope_p
    ny = s.y * (0.16 + 0.5 * s.y * s.y) - 1.15 * slope_q
    nz = np.sqrt(np.maximum(1 - np.square(s.x) * 0.6 - np.square(s.y) * 0.35, 0.12))
    norm = 1 / np.sqrt(nx * nx + ny * ny + nz * nz)
    nx, ny, nz = nx * norm, ny * norm, nz * norm
    lx, ly, lz = s.light
    toward = nx * lx + ny * ly + nz * lz
    hz = np.sqrt(0.5 * (1 + lz))
    shine = np.maximum(0, (nx * lx + ny * ly + nz * (1 + lz)) / (2 * hz))
    for _ in range(4):
        shine = shine * shine
    shine *= 0.02 + 0.09 * s.f.skin_shine
    rim = 1 - 0.35 * coverage(-s.head - 0.02, 0.12)
    cover = coverage(s.head, s.pixel)
    for c, wrap in enumerate((0.32, 0.2, 0.14)):
        facing = np.maximum(0, (toward + wrap) * (1 / (1 + wrap)))
        light = s.ambient[c] * rim + s.key[c] * facing
        canvas[c] += cover * (s.skin[c] * light + s.key[c] * shine - canvas[c])


def _complexion(s: Scene, canvas: Field) -> None:
    """Blush, freckles, shaved skin and the lines of age."""
    f = s.f
    smile = np.maximum(f.smile, 0)
    cheek = bell((s.a - 0.32) / 0.15, (s.q - 0.24 + 0.04 * smile) / 0.11)
    darken(canvas, cheek * (0.06 + 0.42 * f.blush), (0.1, 0.75, 0.6))
    down, up = 37 * s.p + 15 * s.q + np.sin(9 * s.q), 41 * s.q - 13 * s.p + np.sin(8 * s.p)
    dots = np.sin(down) * np.sin(up)
    area = bell(s.a / 0.42, (s.q - 0.2) / 0.13)
    darken(canvas, 0.36 * f.freckles * area * coverage(0.5 - dots, 0.6), (0.5, 0.8, 0.9))
    jaw = coverage(0.60 - 0.9 * s.a - s.q, 0.2) * coverage(s.head, s.pixel)
    upper = bell(s.p / 0.17, (s.q - s.mouth + 0.1) / 0.05)
    darken(canvas, f.stubble * np.maximum(jaw, upper) * 0.34, (1.0, 0.9, 0.75))
    lines = _age_lines(s)
    darken(canvas, lines * coverage(s.head, 0.05))


def _age_lines(s: Scene) -> Field:
    """Darkness of forehead lines, bags under the eyes and the folds from nose to mouth."""
    f = s.f
    smile = np.maximum(f.smile, 0)
    waves = np.sin(46 * (s.q + 0.1 * s.a * s.a))
    forehead = coverage(0.62 - waves, 0.7) * bell(s.p / 0.3, (s.q + 0.33) / 0.09)
    bags = bell((s.a - f.eye_distance) / 0.1, (s.q - 0.095) / 0.025)
    start = s.q - s.nose_tip
    fold = s.a - (0.105 * f.nose_width + 0.55 * np.maximum(start, 0) + 0.02 * smile)
    along = bell((start - 0.11) / 0.11, fold / 0.028)
    feet = coverage(0.4 - np.sin(90 * s.q), 1.0)
    crow = bell((s.a - f.eye_distance - 0.17) / 0.05, s.q / 0.05) * feet
    return (
        0.22 * f.wrinkles * forehead
        + (0.05 + 0.08 * f.age + 0.26 * f.wrinkles) * bags
        + (0.03 + 0.2 * smile + 0.08 * f.age + 0.22 * f.wrinkles) * along
        + 0.25 * f.wrinkles * crow
    )


# --------------------------------------------------------------------------------------------------
# Eyes, brows, nose, mouth
# --------------------------------------------------------------------------------------------------


def _eyes(s: Scene, canvas: Field) -> None:
    """Sockets, whites, irises, lids and lashes; x runs outwards in units of half an eye."""
    f = s.f
    half = s.half_eye
    x = (s.a - f.eye_distance) / half
    y = s.q / half + f.eye_slant * x
    arch = np.maximum(0, 1 - x * x)
    squint = f.eye_open * (1 - 0.28 * np.maximum(f.smile, 0))
    top = -0.60 * squint * arch * (1 - 0.12 * x)
    bottom = 0.34 * (0.5 + 0.5 * squint) * arch * (1 + 0.15 * x)
    ends = np.abs(x) - 1
    slit = np.maximum(np.maximum(top - y, y - bottom) * 0.85, ends) * half
    white = coverage(slit, s.pixel)

    # the hollow between lid and brow, the eye-shadow on it, the lid's crease
    darken(canvas, 0.30 * bell(x / 1.45, (y + 0.35) / 0.85))
    lid = bell(x / 1.1, (y + 0.7) / 0.42) * (1 - white)
    darken(canvas, (0.08 + 0.42 * np.square(f.eye_makeup)) * lid, (0.75, 0.95, 0.85))
    crease = np.abs(y - 1.3 * top + 0.2) * half - 0.003
    darken(canvas, 0.4 * coverage(np.maximum(crease, ends * half), 0.018 + s.pixel))

    shade = 1 - 0.55 * coverage(y - top - 0.18, 0.5)
    paint(canvas, white, s.lit(tint(0.80, 0.76, 0.73), 0.55 * shade) * shade)
    look = np.sign(s.p) * x - f.gaze_x - s.turned_gaze
    radius = np.sqrt(look * look + np.square(y - PUPIL))
    ring = (1.25 - 0.9 * coverage(0.42 - radius, 0.22)) * (0.7 + 0.9 * bell(radius, y - 0.3))
    iris = ramp(_IRIS, f.eye_colour) * ring
    paint(canvas, white * coverage((radius - 0.52) * half, s.pixel), s.lit(iris, 0.7 * shade))
    paint(canvas, white * coverage((radius - 0.23) * half, s.pixel), tint(0.004, 0.004, 0.005))
    lx, ly, _ = s.light
    glint = np.sqrt(np.square(look - 0.28 * lx - 0.05) + np.square(y + 0.22 + 0.1 * ly))
    paint(canvas, 0.9 * white * coverage((glint - 0.12) * half, s.pixel + 0.01), s.key)

    thick = 0.007 + 0.014 * f.eye_makeup
    lash = np.maximum(np.abs(y - top) * half - thick, (np.abs(x - 0.06) - 1.1) * half)
    darken(canvas, (0.72 + 0.2 * f.eye_makeup) * coverage(lash, 0.010 + s.pixel), (0.9, 0.97, 1.0))
    rim = np.maximum(np.abs(y - bottom) * half - 0.003, ends * half)
    darken(canvas, (0.22 + 0.3 * np.square(f.eye_makeup)) * coverage(rim, 0.014 + s.pixel))


def _brows(s: Scene, canvas: Field) -> None:
    """Two soft bands of hair, thinner outwards."""
    f = s.f
    half = 0.150
    x = (s.a - f.eye_distance - 0.012) / half
    arch = 0.6 - np.square(x - 0.25)
    middle = -0.150 - 0.022 * f.brow_height - 0.035 * f.brow_arch * arch + 0.01 * f.male
    thick = 0.021 * f.brow_thickness * np.clip(0.95 - 0.4 * x, 0.2, 1.15) + 0.004
    distance = np.maximum(np.abs(s.q - middle) - thick, (np.abs(x) - 1) * half * 0.7)
    colour = np.minimum(mixed(s.hair, _BROWN, 0.55), 0.7 * s.skin)
    dense = 0.55 + 0.22 * f.brow_thickness
    paint(canvas, dense * coverage(distance, 0.022 + s.pixel), s.lit(colour * 0.8, 0.5))


def _nose(s: Scene, canvas: Field) -> None:
    """Nostrils, wings and the nose's shadow; its body is relief."""
    f = s.f
    lx, _, _ = s.light
    p = s.p - s.nose_ridge
    a = np.abs(p)
    wing = 0.088 * (0.45 + 0.55 * f.nose_width)
    below = s.q - s.nose_tip
    shadow = bell((p + 0.10 * lx) / (1.25 * wing), (below - 0.075) / 0.03)
    side = bell((p + 0.085 * np.clip(6 * lx, -1, 1)) / 0.05, (below + 0.10) / 0.16)
    side *= np.minimum(1, 3 * np.abs(lx)) * (0.3 + 0.7 * f.light_contrast)
    darken(canvas, 0.32 * shadow + 0.2 * side)
    darken(canvas, 0.72 * bell((a - 0.6 * wing) / (0.36 * wing), (below - 0.038) / 0.016))
    around = np.square((a - 0.72 * wing) / (0.55 * wing)) + np.square((below - 0.01) / 0.05)
    crease = coverage(np.abs(np.sqrt(around) - 1) * 0.04 - 0.004, 0.03)
    darken(canvas, 0.28 * crease * coverage(0.5 * wing - a, 0.03))


def _mouth(s: Scene, canvas: Field) -> None:
    """Lips lit from above, teeth in the gap, the dark line between, shade below."""
    f = s.f
    lips = s.lips
    natural = s.skin * mixed(tint(0.86, 0.66, 0.66), tint(0.82, 0.42, 0.44), f.lip_redness)
    made_up = mixed(natural, ramp(_LIPSTICK, f.lipstick_hue), 0.82)
    colour = np.where(f.lipstick > 0.5, made_up, natural)
    roundness = lips.below / (0.06 * f.lip_thickness + 0.05 * f.mouth_open)
    fall = np.square(np.maximum(roundness - 0.35, 0))
    facing = np.clip(0.62 + 0.55 * roundness - 0.75 * fall, 0.25, 0.95)
    gloss = bell(1.6 * lips.x, (roundness - 0.55) / 0.28) * (0.05 + 0.07 * present(f.lipstick))
    darken(canvas, 0.22 * bell(lips.x / 0.75, (roundness - 1.35) / 0.35))
    shining = s.lit(colour, facing) + s.key * gloss
    paint(canvas, 0.95 * coverage(lips.outline, s.pixel + 0.012), shining)

    gap = coverage(lips.gap, s.pixel) * np.minimum(1, 12 * f.mouth_open)
    paint(canvas, gap, s.lit(tint(0.10, 0.025, 0.025), 0.3))
    bite = 0.048 * f.mouth_open + 0.02 * np.maximum(f.smile, 0) * np.minimum(1, 4 * f.mouth_open)
    teeth = np.maximum(lips.gap, lips.below - bite + 0.012)
    enamel = s.lit(tint(0.78, 0.74, 0.67), 0.62 - 0.35 * lips.x * lips.x)
    paint(canvas, gap * coverage(teeth + 0.004, s.pixel), enamel)
    closed = 1 - np.minimum(1, 6 * f.mouth_open)
    seam = np.maximum(np.abs(lips.below) - 0.004, (np.abs(lips.x) - 0.98) * 0.2)
    darken(canvas, (0.2 + 0.5 * closed) * coverage(seam, 0.014 + s.pixel) * (0.25 + 0.75 * closed))
    corner = bell((np.abs(lips.x) - 1.0) / 0.12, lips.below / 0.022)
    darken(canvas, 0.4 * corner)


# --------------------------------------------------------------------------------------------------
# Rendering
# --------------------------------------------------------------------------------------------------

_CHUNK_PIXELS = 16 * 64 * 64  # a field of float32 then takes 256 KiB: a few fit the L2 cache


def _worn(
    part: Callable[[Scene, Field], None],
    s: Scene,
    canvas: Field,
    has: Field,
    low: float,
    high: float,
) -> None:
    """Paints a part for the faces that have it only: nobody else's pixels are touched."""
    who = np.flatnonzero(has[:, 0, 0])
    if len(who):
        few = Scene(s.factors[who], s.size, (low, high))
        patch = canvas[:, who, few.rows]
        part(few, patch)
        canvas[:, who, few.rows] = patch


def _in_band(
    part: Callable[[Scene, Field], None], s: Scene, canvas: Field, low: float, high: float
) -> None:
    """Paints a part that never leaves a band of the picture."""
    narrow = s.band(low, high)
    part(narrow, canvas[:, :, narrow.rows])


def _picture(canvas: Field) -> NDArray[np.uint8]:
    """Linear light (3, n, s, s) to uint8 (n, s, s, 3): square root, then a shoulder at white."""
    value = np.sqrt(np.maximum(canvas, 0))
    value -= 0.22 * np.square(np.maximum(value - 0.62, 0))
    value = np.clip(value, 0, 1) * 255 + 0.5
    return np.ascontiguousarray(np.moveaxis(value.astype(np.uint8), 0, -1))


def _portraits(factors: Field, size: int) -> NDArray[np.uint8]:
    """Paints one chunk, from back to front."""
    s = Scene(factors, size)
    f = s.f
    canvas = np.empty((3, len(factors), size, size), dtype=np.float32)
    _background(s, canvas)
    hair = head_of_hair(s)
    back_hair(s, hair, canvas)
    _in_band(_body, s, canvas, 0.3, 1.0)
    _in_band(_ears, s, canvas, -0.5, 0.5)
    _head(s, canvas)
    _in_band(_complexion, s, canvas, -0.7, 1.0)
    _in_band(_brows, s, canvas, -0.55, 0.15)
    _in_band(_eyes, s, canvas, -0.5, 0.35)
    _in_band(_nose, s, canvas, -0.2, 0.6)
    _in_band(_mouth, s, canvas, 0.05, 0.85)
    hairy = (f.beard > 0.5) | (f.goatee > 0.5) | (f.moustache > 0.5)
    _worn(beard, s, canvas, hairy, -0.2, 1.0)
    _worn(glasses, s, canvas, f.glasses > 0.5, -0.6, 0.5)
    front_hair(s, hair, canvas)
    _worn(hat, s, canvas, f.hat > 0.5, -1.0, 0.3)
    _worn(earrings, s, canvas, f.earrings > 0.5, -0.2, 0.7)
    return _picture(canvas)


def render(factors: ArrayLike, size: int = 64) -> NDArray[np.uint8]:
    """Paints one portrait per row of factors.

    The picture of a row does not depend on the other rows, and changes continuously with every
    continuous factor. Memory beyond the result is bounded whatever n.

    Args:
        factors: Factors, shape (n, len(FACTORS)), from `draw_factors` or edited.
        size: Height and width in pixels, 16 to 512.

    Returns:
        Pixels, shape (n, size, size, 3), uint8.
    """
    rows = check_factors(factors)
    size = check_integer(
        size, "size", 16, 512, "64 is the usual size, resize the pictures for another"
    )
    pixels = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    chunk = max(1, _CHUNK_PIXELS // (size * size))
    for start in range(0, len(rows), chunk):
        pixels[start : start + chunk] = _portraits(rows[start : start + chunk], size)
    return pixels
