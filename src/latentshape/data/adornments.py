"""What grows on a head or is put on it: hair, beard, glasses, hat, earrings.

Each part paints itself onto a canvas in place, from the scene alone. Hair comes in two: `back_hair`
behind neck and ears, `front_hair` over the skin, both from one `head_of_hair`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentshape.data.factors import Columns, Field
from latentshape.data.scene import (
    SKULL,
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

__all__ = ["Hair", "back_hair", "beard", "earrings", "front_hair", "glasses", "hat", "head_of_hair"]

_FRAME = stops("141416", "2a1a14", "6b3418", "20304f", "a98a4a", "c9ccd1")


# --------------------------------------------------------------------------------------------------
# Hair
# --------------------------------------------------------------------------------------------------


def _baldness(f: Columns) -> Field:
    """0 while receding hair still covers the top, 1 where only the sides are left."""
    t = np.clip((f.hairline - 0.6) / 0.2, 0, 1)
    return t * t * (3 - 2 * t)


def _hair_outline(s: Scene) -> tuple[Field, Field, Field]:
    """Distance to the whole head of hair, and its dome coordinates x and y in [-1, 1]."""
    f = s.f
    centre = -0.12
    curls = f.hair_waves * f.hair_waves
    bald = _baldness(f)
    full = f.hair_volume * (1 - 0.75 * present(f.hat)) * (1 - np.minimum(1, 1.4 * f.hairline))
    top = SKULL - 0.06 - 0.14 * full - 0.06 * curls * full + 0.42 * bald
    length, long = s.hair_length, s.long_hair
    end = 0.14 + 1.45 * length * length + 0.35 * length
    half = s.width + 0.035 - 0.015 * bald + 0.10 * full * (0.4 + 0.6 * long) + 0.05 * long
    swing = long * (0.04 * np.sin(5 * s.v + 6 * f.hair_phase) * f.hair_waves + 0.05 * s.v)
    x = (s.u - 0.03 * f.yaw) / (half + swing * np.clip(4 * (s.v - centre), 0, 1))
    above = (s.v - centre) / (centre - top)
    below = (s.v - centre) / (end - centre)
    hang = below * (1 - long + long * below)  # short hair tapers into sideburns, long hair hangs
    y = np.where(s.v < centre, above, hang)
    distance = squircle(x, y, half, np.where(s.v < centre, centre - top, end - centre), 0.25)
    ripple = np.sin(9 * x + 11 * s.v + 6 * f.hair_phase) * np.sin(8 * s.v - 7 * x + 3)
    return distance + 0.028 * curls * ripple, x, np.where(s.v < centre, above, 0.25 * below)


def _hair_opening(s: Scene) -> Field:
    """Distance to the part of the face left free: the hairline above, locks at the sides."""
    f = s.f
    level = 0.12
    part = 0.2 * f.parting * (1 - f.fringe)
    line = -0.47 + 0.27 * f.fringe - 0.25 * f.hairline - 0.5 * _baldness(f)
    half = s.width * (0.94 - 0.07 * f.fringe + 0.05 * f.hairline)
    x = (s.p - 0.35 * part) / half
    jag = 0.018 * f.fringe * np.sin(24 * s.p + 9 * f.hair_phase) - part * 0.8 * x
    y = np.minimum(0, (s.q + jag - level) / (level - line))
    curtain = np.clip(2.5 * f.hair_length - 0.8, 0, 1) * f.hair_volume
    corners = np.maximum(f.fringe, np.minimum(1, 1.5 * f.hairline))
    square = 0.3 + 0.45 * corners - 1.1 * curtain * (1 - f.fringe)
    return squircle(x, y, half, level - line, square)


@dataclass(frozen=True)
class Hair:
    """A whole head of hair: distance to its outline, lit colour, and locks in about [-1, 1]."""

    distance: Field
    colour: Field
    locks: Field


def head_of_hair(s: Scene) -> Hair:
    """Locks fan out from the parting and wave on the way down; a band of sheen crosses the dome."""
    f = s.f
    distance, x, y = _hair_outline(s)
    fan = (s.u - 0.22 * f.parting) / (0.62 + 0.75 * np.maximum(0, s.v - SKULL))
    wave = 0.55 * np.sin(7.5 * s.v + 5 * fan + 6 * f.hair_phase) + 0.25 * np.sin(15 * s.v - 6 * fan)
    turn = 13 * fan + 1.6 * f.hair_waves * wave + 20 * f.hair_phase
    locks = 0.5 * np.sin(turn) + 0.3 * np.sin(2.3 * turn + 1) + 0.2 * np.sin(4.1 * turn + 2)
    lx, ly, _ = s.light
    band = (y + 0.52 + 0.25 * ly + 0.3 * np.square(x - 0.5 * lx)) * 3.6 + 0.5 * locks
    sheen = np.exp(-band * band) * (0.75 + 0.25 * locks) * (0.04 + 0.22 * f.hair_gloss)
    facing = s.facing(0.95 * x, 0.85 * y) * (0.80 + 0.32 * locks)
    colour = s.lit(s.hair, facing)
    colour += s.key * (0.55 * s.hair + 0.12) * sheen
    return Hair(distance - 0.012 * locks, colour, locks)


def back_hair(s: Scene, hair: Hair, canvas: Field) -> None:
    """Hair behind neck and ears, dark where the head keeps the light away."""
    dim = 0.15 + 0.85 * coverage(0.95 - np.abs(s.x), 0.5)
    paint(canvas, coverage(hair.distance, s.pixel + 0.02), hair.colour * dim)


def front_hair(s: Scene, hair: Hair, canvas: Field) -> None:
    """Hair over the skin, ragged along the hairline, with its shadow on forehead and temples."""
    opening = _hair_opening(s) + 0.022 * hair.locks
    front = np.maximum(hair.distance, -opening)
    fall = coverage(-opening - 0.015, 0.13) * coverage(hair.distance, 0.1)
    darken(canvas, 0.5 * fall * coverage(s.head, s.pixel))
    roots = 1 - 0.35 * coverage(np.abs(opening) - 0.01, 0.12)
    paint(canvas, coverage(front, s.pixel + 0.03), hair.colour * roots)


# --------------------------------------------------------------------------------------------------
# Beard and things worn: painted for those who have them
# --------------------------------------------------------------------------------------------------


def beard(s: Scene, canvas: Field) -> None:
    """Full beard, chin beard and moustache: hair over the jaw that leaves the lips free."""
    f = s.f
    lips = s.lips
    longer = 0.015 + 0.10 * f.beard_length * coverage(0.62 - s.v, 0.4)
    jaw = np.maximum(0.60 - 0.2 * s.a - 1.25 * s.a * s.a - s.q, s.head - longer)
    full = coverage(jaw, 0.10) * (f.beard > 0.5)
    tuft = squircle(s.p / 0.17, (s.q - s.chin + 0.08) / 0.21, 0.17, 0.21, -0.3)
    chin = coverage(np.maximum(tuft, s.head - longer), 0.08) * (f.goatee > 0.5)
    wide = f.mouth_width * 1.22
    ring = squircle(s.p / wide, (s.q - s.mouth - 0.03) / 0.19, wide, 0.19, 0.2)
    circle = np.maximum(np.abs(ring) - 0.02, s.mouth - 0.07 - s.q)
    both = (f.goatee > 0.5) & (f.moustache > 0.5)
    chin = np.maximum(chin, 0.9 * coverage(circle, 0.06) * both)
    droop = lips.below + 0.062 + 0.5 * f.lip_thickness * 0.04 - 0.22 * s.a * s.a * 4
    lip = np.maximum(np.abs(droop) - 0.034, s.a - f.mouth_width * 1.12)
    lip_hair = coverage(lip, 0.045) * ((f.moustache > 0.5) | (f.beard > 0.5))
    cover = np.maximum(np.maximum(full, chin), lip_hair) * (
        1 - 0.97 * coverage(lips.outline - 0.004, 0.02 + s.pixel)
    )
    strands = 1 + 0.07 * np.sin(44 * s.p * (1.5 - s.q) + 2 * np.sin(9 * s.q)) * coverage(
        s.pixel - 0.03, 0.02
    )
    facing = s.facing(s.x * 0.8, s.y * 0.6) * strands
    paint(canvas, 0.94 * cover, s.lit(0.85 * s.hair, 0.85 * facing))


def glasses(s: Scene, canvas: Field) -> None:
    """Two lenses, bridge and arms; the lenses tint, reflect the sky and throw a faint shadow."""
    f = s.f
    half_x = 0.185 + 0.015 * f.glasses_tint
    half_y = 0.115 + 0.055 * f.glasses_round + 0.02 * f.glasses_tint
    centre = f.eye_distance * 0.5 + 0.1425
    x, y = (s.a - centre) / half_x, (s.q - 0.035) / half_y
    lens = squircle(x, y - 0.06 * x, half_x, half_y, 0.85 * (1 - f.glasses_round))
    thick = 0.009 + 0.017 * f.glasses_frame
    bridge = np.maximum(
        np.abs(s.q + 0.02 - 0.6 * s.a * s.a) - thick, s.a - (centre - half_x) - 0.01
    )
    arms = np.maximum(
        np.maximum(np.abs(s.q + 0.03) - thick, centre + half_x - 0.03 - s.a), s.head - 0.03
    )
    frame = np.minimum(np.abs(lens) - thick, np.minimum(bridge, arms))
    darken(canvas, 0.22 * coverage(np.abs(lens + 0.02) - 0.02, 0.08))
    dark = np.clip(3 * f.glasses_tint - 0.9, 0, 0.96) + 0.04
    glass = wheel(f.glasses_hue, 0.25, 0.035)
    sky = 0.10 * coverage(y + 0.2 + 0.5 * x * np.sign(s.p), 1.2)
    paint(canvas, coverage(lens, s.pixel) * dark, glass + s.key * sky)
    shine = 0.75 + 0.5 * coverage(y + 0.4, 0.8)
    paint(canvas, coverage(frame, s.pixel), s.lit(ramp(_FRAME, f.glasses_hue), 0.7 * shine))


def hat(s: Scene, canvas: Field) -> None:
    """A crown over the skull, its band, and a brim: from knitted cap to sun hat."""
    f = s.f
    half = s.width + 0.075
    edge = -0.37 + 0.05 * np.square(s.x) - 0.03 * f.hat_brim
    top = SKULL - 0.16
    x = s.u / half
    y = np.minimum(0, (s.v + 0.40) / (-0.40 - top))
    crown = np.maximum(squircle(x, y, half, -0.40 - top, 0.35), s.v - edge)
    cloth = wheel(f.hat_hue, 0.65, 0.03 + 0.6 * np.square(f.hat_light))
    knit = (1 - np.clip(3 * f.hat_brim - 0.4, 0, 1)) * coverage(s.pixel - 0.03, 0.03)
    ribs = 1 + 0.14 * knit * np.sin(38 * x)
    shadow = coverage(s.v - edge - 0.05 - 0.16 * f.hat_brim, 0.16) * coverage(s.head, 0.03)
    darken(canvas, (0.35 + 0.2 * f.hat_brim) * shadow)
    facing = s.facing(0.9 * x, 0.8 * y) * ribs
    paint(canvas, coverage(crown, s.pixel), s.lit(cloth, facing))
    band = np.maximum(crown, edge - 0.13 - s.v)
    paint(canvas, coverage(band, s.pixel), s.lit(0.55 * cloth, facing))
    wide = half * (1.02 + 0.5 * f.hat_brim)
    deep = 0.03 + 0.07 * f.hat_brim
    bx, by = s.u / wide, (s.v - edge + 0.05 * np.square(s.x) * f.hat_brim) / deep
    brim = squircle(bx, by, wide, deep, 0.1) + 0.2 * np.maximum(0, 0.25 - f.hat_brim)
    paint(canvas, coverage(brim, s.pixel), s.lit(cloth, s.facing(0.4 * bx, -0.5 + 0.6 * by)))


def earrings(s: Scene, canvas: Field) -> None:
    """A small gold or silver drop under each lobe."""
    f = s.f
    side = np.sign(s.u)
    centre = s.width * 0.99 - 0.05 * f.yaw * side
    x, y = (np.abs(s.u) - centre) / 0.028, (s.v - 0.275 * f.ear_size - 0.02) / 0.042
    metal = mixed(tint(0.95, 0.72, 0.30), tint(0.9, 0.9, 0.92), f.glasses_hue)
    facing = 0.35 + 0.9 * bell(1.5 * (x * side - 0.2), 1.5 * (y + 0.3))
    drop = squircle(x, y, 0.028, 0.042, 0)
    paint(canvas, coverage(drop, s.pixel), s.lit(metal, facing))
