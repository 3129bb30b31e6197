r"""Procedural faces: unlimited small portraits from declared factors, with CelebA's attributes.

Each face is a smooth function of one row of numbers, its **factors** (`FACTORS`): pose, light,
bones, skin, eyes, mouth, hair, clothes, surroundings. Drawing and painting are separate.

*Drawing.* Factor j of face i has a base variable :math:`u_{ij} \in (0, 1)`, a hash of (seed, i, j),
hence independent of every other draw, and a score of unit variance

.. math:: s_{ij} = \sqrt{1 - \sum_k w_{jk}^2} \; \Phi^{-1}(u_{ij}) + \sum_k w_{jk} s_{ik}

whose few independent parents k (`male`, `age`, `skin_tone`, ...) make the correlations seen in
people. The factor's law turns the score into its value.

*Painting.* Layers from back to front, in linear light, on a canvas that does not know its
resolution: every edge is a signed distance d turned into coverage :math:`S(1/2 - d / b)`, with the
smoothstep :math:`S(t) = t^2 (3 - 2t)` and b the width of one pixel, so that edges are anti-aliased
without supersampling and a face is the same at any size. Skin is shaded as an ellipsoid with
relief: Gaussian bumps and dips for nose, sockets, cheeks, lips and chin tilt its normal n, and
Lambert's law lights it with

.. math:: \text{ambient} + \text{key} \cdot \max(0, (n \cdot l + b_c) / (1 + b_c))

where b_c wraps the light further round in red than in blue, as skin does. Turning the head (yaw)
slides the features across the skin by an amount that fades towards the outline.

Coordinates: (u, v) are in the head's frame, v downwards, origin between the eyes, half a picture
near 1; (p, q) are the same on the turned face's surface; in a = \|p\| paired features are one.

References:
    Fast Splittable Pseudorandom Number Generators (Steele, Lea & Flood, 2014),
        https://doi.org/10.1145/2660193.2660195 (the hash)
    An algorithm for computing the inverse normal cumulative distribution function (Acklam, 2003)
    Study of squares: squircle (Fernández-Guasti, 1992), the outlines of head, lenses and hair
    Deep Learning Face Attributes in the Wild (Liu et al., 2015),
        https://arxiv.org/abs/1411.7766 (CelebA)
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latentshape.errors import InputError

__all__ = ["ATTRIBUTES", "FACTORS", "Factor", "attributes_of", "draw_factors", "faces", "render"]

Field = NDArray[Any]  # float32 inside; broadcasts over (n, rows, size)
Number = Field | float
Law = Literal["normal", "uniform", "rare", "bimodal", "binary"]


# --------------------------------------------------------------------------------------------------
# The factors: what varies from face to face
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Factor:
    """One coordinate of a face: its name, law and range, and on whom it depends.

    Args:
        name: Column name in the factor array.
        law: How the score s, of unit variance, becomes the value: `normal` mid-range plus s/6 of
            the range, clipped; `uniform` Φ(s); `rare` Φ(s)³, mostly near `low`; `bimodal` two
            clusters; `binary` 1 where s is above `threshold`.
        low: Smallest value.
        high: Largest value.
        meaning: What a large value looks like.
        given: (parent, weight) pairs: the correlation of this score with the parent's.
        threshold: Of a binary factor, in units of the score.
    """

    name: str
    law: Law
    low: float
    high: float
    meaning: str
    given: tuple[tuple[str, float], ...] = ()
    threshold: float = 0.0

    @property
    def kind(self) -> Literal["continuous", "binary"]:
        """`binary` factors act by the threshold 1/2, the others continuously."""
        return "binary" if self.law == "binary" else "continuous"


FACTORS: tuple[Factor, ...] = (
    # who: the factors others depend on come first
    Factor("male", "bimodal", 0, 1, "masculine features"),
    Factor("age", "uniform", 0, 1, "older"),
    Factor("skin_tone", "uniform", 0, 1, "darker skin"),
    Factor("skin_warmth", "normal", -1, 1, "more golden, less pink skin"),
    # pose and light
    Factor("shift_x", "normal", -0.09, 0.09, "head further right"),
    Factor("shift_y", "normal", -0.08, 0.08, "head further down"),
    Factor("scale", "normal", 0.87, 1.09, "head larger in the picture"),
    Factor("roll", "normal", -0.26, 0.26, "head tilted, in radians"),
    Factor("yaw", "normal", -1, 1, "head turned to the right of the picture"),
    Factor("pitch", "normal", -1, 1, "head bowed"),
    Factor("light_x", "uniform", -0.95, 0.95, "light from the right of the picture"),
    Factor("light_y", "normal", -0.9, -0.1, "light from lower down"),
    Factor("light_contrast", "uniform", 0, 1, "harder light, darker shadows"),
    Factor("light_warmth", "normal", -1, 1, "warmer light"),
    Factor("exposure", "normal", 0.74, 1.26, "brighter picture"),
    # bones
    Factor("face_width", "normal", 0.88, 1.12, "broader head", (("male", 0.35),)),
    Factor("face_height", "normal", 0.89, 1.11, "longer face", (("male", 0.35),)),
    Factor("jaw", "normal", -0.9, 0.65, "squarer jaw; low: pointed chin", (("male", 0.65),)),
    Factor("cheeks", "normal", 0, 1, "fuller cheeks"),
    Factor("ear_size", "normal", 0.8, 1.2, "larger ears", (("age", 0.3),)),
    Factor("neck_width", "normal", 0.25, 0.45, "broader neck", (("male", 0.75),)),
    # eyes and brows
    Factor("eye_distance", "normal", 0.24, 0.30, "eyes further apart"),
    Factor("eye_size", "normal", 0.78, 1.22, "larger eyes", (("male", -0.4),)),
    Factor("eye_open", "normal", 0.45, 1.35, "eyes wider open", (("age", -0.25),)),
    Factor("eye_slant", "normal", -0.22, 0.30, "outer corners higher"),
    Factor("eye_colour", "uniform", 0, 1, "from brown over green to blue", (("skin_tone", -0.8),)),
    Factor("gaze_x", "normal", -0.45, 0.45, "looking to the right of the picture"),
    Factor("brow_thickness", "normal", 0.3, 1.7, "bushier brows", (("male", 0.6),)),
    Factor("brow_height", "normal", -1, 1, "higher brows", (("male", -0.45),)),
    Factor("brow_arch", "normal", -0.3, 1.5, "more arched brows", (("male", -0.45),)),
    # nose and mouth
    Factor("nose_length", "normal", 0.82, 1.18, "longer nose", (("male", 0.25),)),
    Factor("nose_width", "normal", 0.6, 1.45, "wider nose", (("male", 0.35), ("skin_tone", 0.3))),
    Factor("mouth_width", "normal", 0.165, 0.265, "wider mouth"),
    Factor("mouth_height", "normal", -0.03, 0.03, "mouth lower in the face"),
    Factor(
        "lip_thickness", "normal", 0.4, 1.6, "fuller lips", (("male", -0.3), ("skin_tone", 0.3))
    ),
    Factor("lip_redness", "uniform", 0, 1, "redder lips", (("male", -0.4),)),
    Factor("smile", "uniform", -0.12, 1, "corners of the mouth raised, cheeks lifted"),
    Factor("mouth_open", "rare", 0, 1, "mouth open", (("smile", 0.6),)),
    # skin and make-up
    Factor("blush", "rare", 0, 1, "rosier cheeks", (("male", -0.4), ("skin_tone", -0.3))),
    Factor("freckles", "rare", 0, 1, "more freckles", (("skin_tone", -0.4), ("age", -0.3))),
    Factor("wrinkles", "rare", 0, 1, "deeper lines and bags", (("age", 0.85),)),
    Factor("skin_shine", "uniform", 0, 1, "shinier skin"),
    Factor("lipstick", "binary", 0, 1, "wears lipstick", (("male", -0.8),), 0.25),
    Factor("lipstick_hue", "uniform", 0, 1, "from plum over red to coral"),
    Factor("eye_makeup", "uniform", 0, 1, "darker lashes and lids", (("male", -0.85),)),
    # hair
    Factor("hair_dark", "uniform", 0, 1, "from blond over brown to black", (("skin_tone", 0.72),)),
    Factor("hair_red", "rare", 0, 1, "redder hair", (("skin_tone", -0.3),)),
    Factor("hair_grey", "rare", 0, 1, "greyer hair", (("age", 0.85),)),
    Factor("hair_length", "uniform", 0, 1, "longer hair", (("male", -0.85),)),
    Factor("hair_volume", "uniform", 0, 1, "more hair around the head"),
    Factor("hair_waves", "uniform", 0, 1, "from straight to curly", (("skin_tone", 0.35),)),
    Factor("hair_gloss", "uniform", 0, 1, "stronger sheen"),
    Factor("hair_phase", "uniform", 0, 1, "strands lie elsewhere"),
    Factor("parting", "uniform", -1, 1, "parting further right"),
    Factor("hairline", "rare", 0, 1, "receding hair", (("male", 0.55), ("age", 0.35))),
    Factor("fringe", "rare", 0, 1, "longer fringe", (("male", -0.3),)),
    # beard
    Factor("beard", "binary", 0, 1, "full beard", (("male", 0.75),), 1.0),
    Factor("goatee", "binary", 0, 1, "chin beard", (("male", 0.75),), 1.15),
    Factor("moustache", "binary", 0, 1, "moustache", (("male", 0.8),), 1.0),
    Factor("beard_length", "uniform", 0, 1, "longer beard"),
    Factor("stubble", "rare", 0, 1, "darker shaved skin", (("male", 0.75),)),
    # worn
    Factor("glasses", "binary", 0, 1, "wears glasses", (("age", 0.25),), 0.85),
    Factor("glasses_tint", "rare", 0, 1, "darker lenses; high: sunglasses"),
    Factor("glasses_frame", "uniform", 0, 1, "thicker frame"),
    Factor("glasses_round", "uniform", 0, 1, "rounder lenses"),
    Factor("glasses_hue", "uniform", 0, 1, "another frame colour, from black to tortoise to gold"),
    Factor("hat", "binary", 0, 1, "wears a hat", (), 1.4),
    Factor("hat_brim", "uniform", 0, 1, "wider brim; low: knitted cap"),
    Factor("hat_hue", "uniform", 0, 1, "another hat colour"),
    Factor("hat_light", "uniform", 0, 1, "lighter hat"),
    Factor("earrings", "binary", 0, 1, "wears earrings", (("male", -0.7),), 0.6),
    Factor("neckline", "uniform", 0, 1, "lower neckline", (("male", -0.5),)),
    Factor("clothes_hue", "uniform", 0, 1, "another clothes colour"),
    Factor("clothes_vivid", "uniform", 0, 1, "more colourful clothes"),
    Factor("clothes_light", "uniform", 0, 1, "lighter clothes"),
    # behind
    Factor("back_hue", "uniform", 0, 1, "another background colour"),
    Factor("back_vivid", "rare", 0, 1, "more colourful background"),
    Factor("back_light", "uniform", 0, 1, "lighter background"),
    Factor("back_tilt", "normal", -1, 1, "background lighter on the right"),
    Factor("back_fall", "normal", -1, 1, "background lighter at the bottom"),
)

_INDEX = {factor.name: j for j, factor in enumerate(FACTORS)}


# --------------------------------------------------------------------------------------------------
# Drawing factors: (seed, index) -> base variables -> scores -> values
# --------------------------------------------------------------------------------------------------

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_DRAW_CHUNK = 1024


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer: every output bit depends on every input bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _uniforms(indices: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """Base variables u in (0, 1), shape (n, k): row i hashes (seed, indices[i]), nothing else."""
    key = _mix(np.array([seed], dtype=np.uint64) + _GOLDEN)
    start = _mix(key + _GOLDEN * (indices + np.uint64(1)))
    steps = _GOLDEN * np.arange(1, len(FACTORS) + 1, dtype=np.uint64)
    bits = _mix(start[:, None] + steps) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


# Coefficients, highest power first: numerator and denominator in the middle, then in the tails.
_ACKLAM = (
    "-39.69683028665376 220.9460984245205 -275.9285104469687 138.3577518672690 -30.66479806614716 "
    "2.506628277459239",
    "-54.47609879822406 161.5858368580409 -155.6989798598866 66.80131188771972 -13.28068155288572 "
    "1",
    "-0.007784894002430293 -0.3223964580411365 -2.400758277161838 -2.549732539343734 "
    "4.374664141464968 2.938163982698783",
    "0.007784695709041462 0.3224671290700398 2.445134137142996 3.754408661907416 1",
)


def _normal_quantile(u: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Inverse of :math:`\Phi`, relative error below 1.2e-9 (Acklam, 2003).

    >>> bool(abs(_normal_quantile(np.array([0.975]))[0] - 1.959963985) < 1e-8)
    True
    """
    a, b, c, d = ([float(number) for number in row.split()] for row in _ACKLAM)
    centred = u - 0.5
    r = centred * centred
    middle = centred * np.polyval(a, r) / np.polyval(b, r)
    t = np.sqrt(-2.0 * np.log(np.minimum(u, 1.0 - u)))
    tail = np.polyval(c, t) / np.polyval(d, t) * -np.sign(centred)
    return np.where(np.abs(centred) <= 0.47575, middle, tail)


def _normal_cdf(s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Φ to 1e-7 (Abramowitz & Stegun 26.2.17), NumPy having no erf."""
    t = 1.0 / (1.0 + 0.2316419 * np.abs(s))
    series = np.polyval((1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530, 0.0), t)
    upper = series * np.exp(-0.5 * s * s) * 0.3989422804014327
    return np.where(s >= 0, 1.0 - upper, upper)


def _scores(base: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of unit variance (n, k) from independent standard normals (n, k), parents first."""
    scores = base.copy()
    for j, factor in enumerate(FACTORS):
        if factor.law == "bimodal":
            scores[:, j] = 0.96 * np.sign(base[:, j]) + 0.28 * (np.abs(base[:, j]) - 0.8)
        elif factor.given:
            own = 1.0 - sum(weight * weight for _, weight in factor.given)
            scores[:, j] *= np.sqrt(own)
            for parent, weight in factor.given:
                scores[:, j] += weight * scores[:, _INDEX[parent]]
    return scores


def _value(factor: Factor, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """The factor's law applied to its score."""
    if factor.law == "binary":
        return (score > factor.threshold).astype(np.float64)
    if factor.law == "normal":
        unit = np.clip(0.5 + score / 6.0, 0.0, 1.0)
    elif factor.law == "bimodal":
        unit = np.clip(0.5 + 0.35 * score, 0.0, 1.0)
    else:
        unit = _normal_cdf(score)
        unit = unit * unit * unit if factor.law == "rare" else unit
    return factor.low + (factor.high - factor.low) * unit


def draw_factors(indices: ArrayLike | Iterable[int], seed: int = 0) -> NDArray[np.float32]:
    """Draws the factors of faces by number: row i depends on `seed` and `indices[i]` alone.

    Args:
        indices: Face numbers, non-negative integers, shape (n,); a range is welcome.
        seed: Non-negative integer naming the population.

    Returns:
        Factors, shape (n, len(FACTORS)), float32, columns as in `FACTORS`.

    Example:
        >>> bool((draw_factors([7]) == draw_factors(range(10))[7]).all())
        True
    """
    numbers = _check_indices(indices)
    seed = _check_seed(seed)
    factors = np.empty((len(numbers), len(FACTORS)), dtype=np.float32)
    for start in range(0, len(numbers), _DRAW_CHUNK):
        rows = slice(start, start + _DRAW_CHUNK)
        scores = _scores(_normal_quantile(_uniforms(numbers[rows], seed)))
        for j, factor in enumerate(FACTORS):
            factors[rows, j] = _value(factor, scores[:, j])
    return factors


# --------------------------------------------------------------------------------------------------
# Attributes: CelebA's questions, answered from the factors
# --------------------------------------------------------------------------------------------------


class _Columns:
    """Factor columns by name, each shaped (n, 1, 1) to broadcast over pixels."""

    def __init__(self, factors: Field) -> None:
        self._columns = np.ascontiguousarray(factors.T, dtype=np.float32)[:, :, None, None]

    def __getattr__(self, name: str) -> Field:
        return self._columns[_INDEX[name]]


def _bald(f: _Columns) -> NDArray[np.bool_]:
    return f.hairline > 0.71


def _hair_shows(f: _Columns) -> NDArray[np.bool_]:
    return ~_bald(f) & ((f.hat < 0.5) | (f.hair_length > 0.3))


_RULES: dict[str, Callable[[_Columns], NDArray[np.bool_]]] = {
    "5_o_Clock_Shadow": lambda f: (f.stubble > 0.55) & (f.beard < 0.5),
    "Arched_Eyebrows": lambda f: f.brow_arch > 0.85,
    "Bags_Under_Eyes": lambda f: f.wrinkles > 0.4,
    "Bald": lambda f: _bald(f) & (f.hat < 0.5),
    "Bangs": lambda f: (f.fringe > 0.45) & (f.hairline < 0.25) & (f.hat < 0.5),
    "Big_Lips": lambda f: f.lip_thickness > 1.2,
    "Big_Nose": lambda f: f.nose_width * f.nose_length > 1.18,
    "Black_Hair": lambda f: (f.hair_dark > 0.72) & (f.hair_grey < 0.4) & _hair_shows(f),
    "Blond_Hair": lambda f: (
        (f.hair_dark < 0.3) & (f.hair_grey < 0.4) & (f.hair_red < 0.5) & _hair_shows(f)
    ),
    "Brown_Hair": lambda f: (
        (f.hair_dark > 0.36) & (f.hair_dark < 0.68) & (f.hair_grey < 0.4) & _hair_shows(f)
    ),
    "Bushy_Eyebrows": lambda f: f.brow_thickness > 1.2,
    "Eyeglasses": lambda f: f.glasses > 0.5,
    "Goatee": lambda f: (f.goatee > 0.5) & (f.beard < 0.5),
    "Gray_Hair": lambda f: (f.hair_grey > 0.5) & _hair_shows(f),
    "Heavy_Makeup": lambda f: (f.lipstick > 0.5) & (f.eye_makeup > 0.6),
    "Male": lambda f: f.male > 0.5,
    "Mouth_Slightly_Open": lambda f: f.mouth_open > 0.2,
    "Mustache": lambda f: f.moustache > 0.5,
    "Narrow_Eyes": lambda f: f.eye_open < 0.75,
    "No_Beard": lambda f: (f.beard < 0.5) & (f.goatee < 0.5),
    "Oval_Face": lambda f: (f.jaw < 0.05) & (f.face_height > f.face_width),
    "Pale_Skin": lambda f: f.skin_tone < 0.12,
    "Receding_Hairline": lambda f: (f.hairline > 0.35) & (f.hat < 0.5),
    "Rosy_Cheeks": lambda f: f.blush > 0.45,
    "Smiling": lambda f: f.smile > 0.4,
    "Straight_Hair": lambda f: (f.hair_waves < 0.3) & _hair_shows(f),
    "Wavy_Hair": lambda f: (f.hair_waves > 0.6) & _hair_shows(f),
    "Wearing_Earrings": lambda f: f.earrings > 0.5,
    "Wearing_Hat": lambda f: f.hat > 0.5,
    "Wearing_Lipstick": lambda f: f.lipstick > 0.5,
    "Young": lambda f: f.age < 0.66,
}

ATTRIBUTES: tuple[str, ...] = tuple(_RULES)


def attributes_of(factors: ArrayLike) -> NDArray[np.int8]:
    """Answers CelebA's attributes for each row of factors.

    Args:
        factors: Factors, shape (n, len(FACTORS)), from `draw_factors` or edited.

    Returns:
        1 for yes and -1 for no, shape (n, len(ATTRIBUTES)), int8, columns as in `ATTRIBUTES`.
    """
    columns = _Columns(_check_factors(factors))
    answers = [rule(columns)[:, 0, 0] for rule in _RULES.values()]
    return np.where(np.stack(answers, axis=1), 1, -1).astype(np.int8)


# --------------------------------------------------------------------------------------------------
# Colour: linear light, (3, n, 1, 1); a picture value is its square root
# --------------------------------------------------------------------------------------------------


def _stops(*codes: str) -> Field:
    """Hexadecimal picture colours as linear light, shape (stops, 3)."""
    rgb = np.array(
        [[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in codes], dtype=np.float32
    )
    return (rgb / 255) ** 2


_SKIN = _stops("fae0d0", "f3cdb2", "e8b893", "d29d75", "a8704c", "6e4732")
_HAIR = _stops("e3c78f", "bf9153", "8a6038", "57361f", "33201a", "17120f")
_IRIS = _stops("3a2113", "5b3a1d", "6d6232", "5d7a55", "5f87a6", "8fa9b8")
_FRAME = _stops("141416", "2a1a14", "6b3418", "20304f", "a98a4a", "c9ccd1")
_LIPSTICK = _stops("7c1f3f", "a81832", "c62a2f", "d2544c")
_AUBURN, _GREY, _BROWN = _stops("9a4019", "c2bfba", "57361f")[..., None, None, None]


def _ramp(stops: Field, t: Field) -> Field:
    """Colour at t in [0, 1] along evenly spaced stops, (3, n, 1, 1)."""
    last = len(stops) - 1
    x = t * last
    floor = np.clip(np.floor(x), 0, last - 1)
    low, fraction = floor.astype(np.intp), x - floor
    colour = stops[low] + fraction[..., None] * (stops[low + 1] - stops[low])
    return np.moveaxis(colour, -1, 0)


def _wheel(hue: Field, vivid: Number, light: Number) -> Field:
    """A colour of given hue, periodic with 1: one cosine per channel, (3, n, 1, 1)."""
    turn = 2 * np.pi * (hue + np.array([0, -1 / 3, 1 / 3], dtype=np.float32)[:, None, None, None])
    return light * (1 - 0.5 * vivid * (1 - np.cos(turn)))


def _mixed(a: Field, b: Field, t: Number) -> Field:
    return a + t * (b - a)


def _tint(red: float, green: float, blue: float) -> Field:
    return np.array([red, green, blue], dtype=np.float32)[:, None, None, None]


# --------------------------------------------------------------------------------------------------
# Coverage and paint
# --------------------------------------------------------------------------------------------------


def _cover(distance: Field, width: Number) -> Field:
    r"""Share of a pixel inside the shape: :math:`S(1/2 - d / b)`, smoothstep over the width b."""
    t = 0.5 - distance / width
    np.clip(t, 0, 1, out=t)
    return t * t * (3 - 2 * t)


def _bell(x: Field, y: Field) -> Field:
    return np.exp(-(x * x + y * y))


def _squircle(x: Field, y: Field, half_x: Number, half_y: Number, square: Number) -> Field:
    r"""Distance, to first order, to :math:`F = x^2 + y^2 - k x^2 y^2 = 1`, here (F - 1) / \|∇F\|.

    k = 0 is the ellipse, k near 1 a rectangle, k < 0 a lozenge. x, y are in units of the half-axes.
    """
    xx, yy = x * x, y * y
    kx, ky = square * np.minimum(xx, 1), np.minimum(yy, 1)  # outside, the product would turn F over
    slope_x = x * (1 - square * ky) / half_x
    slope_y = y * (1 - kx) / half_y
    slope = 2 * np.sqrt(slope_x * slope_x + slope_y * slope_y) + 0.3
    return (xx + yy - kx * ky - 1) / slope


def _has(presence: Field) -> Field:
    """0 or 1: binary factors act by a threshold."""
    return (presence > 0.5).astype(np.float32)


def _paint(canvas: Field, cover: Field, colour: Field) -> None:
    """Lays colour over the canvas (3, n, rows, size), in place, where covered."""
    for channel, paint in zip(canvas, colour, strict=True):
        channel += cover * (paint - channel)


def _darken(
    canvas: Field, amount: Field, tint: tuple[float, float, float] = (0.8, 0.92, 1.0)
) -> None:
    """Multiplies light away, most of all blue: shadows on skin are warm."""
    for channel, strength in zip(canvas, tint, strict=True):
        channel *= 1 - strength * amount


# --------------------------------------------------------------------------------------------------
# The scene: coordinates, outline and light of a chunk of faces
# --------------------------------------------------------------------------------------------------

_EYE_LINE = -0.06  # height of the eyes in the picture, from -1 (top) to 1
_CHEEK = 0.06  # level of the widest part of the head, below the eyes
_SKULL = -0.75  # top of the skull


class _Scene:
    """Geometry and light shared by the parts of n faces, over a band of picture rows.

    Fields have shape (n, rows, size) and are made when first asked for: a part that lives in a
    narrow band (eyes, mouth) asks a scene of that band and pays for its pixels only.
    """

    def __init__(self, factors: Field, size: int, band: tuple[float, float] = (-1.0, 1.0)) -> None:
        self.factors, self.size = factors, size
        self.f = _Columns(factors)
        first = max(0, int(np.floor((band[0] + 1) / 2 * size)))
        self.rows = slice(first, min(size, int(np.ceil((band[1] + 1) / 2 * size))))
        self.pixel = 2 / size / self.f.scale

    def band(self, low: float, high: float) -> _Scene:
        """The same faces between two heights of the picture."""
        return _Scene(self.factors, self.size, (low, high))

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
        dx, dy = self._frame
        return np.cos(self.f.roll) * dx + np.sin(self.f.roll) * dy

    @cached_property
    def v(self) -> Field:
        dx, dy = self._frame
        return np.cos(self.f.roll) * dy - np.sin(self.f.roll) * dx

    @cached_property
    def width(self) -> Field:
        return 0.56 * self.f.face_width

    @cached_property
    def chin(self) -> Field:
        return 0.88 * self.f.face_height + 0.05 * self.f.mouth_open

    @cached_property
    def x(self) -> Field:
        """The coordinate u in units of the head's half-width."""
        return self.u / self.width

    @cached_property
    def y(self) -> Field:
        """Height from the cheekbones, in units of the way to the chin or the skull's top."""
        below = self.v > _CHEEK
        return (self.v - _CHEEK) / np.where(below, self.chin - _CHEEK, _CHEEK - _SKULL)

    @cached_property
    def head(self) -> Field:
        """Distance to the outline of the head."""
        below = self.v > _CHEEK
        square = np.where(below, self.f.jaw + 0.15 * self.f.cheeks - 0.05, 0.3)
        height = np.where(below, self.chin - _CHEEK, _CHEEK - _SKULL)
        return _squircle(self.x, self.y, self.width, height, square)

    @cached_property
    def p(self) -> Field:
        """The coordinate u on the face's surface: turning slides the features, not the outline."""
        return self.u - 0.17 * self.f.yaw * np.maximum(0, 1 - self.x * self.x)

    @cached_property
    def q(self) -> Field:
        return self.v - 0.06 * self.f.pitch * np.maximum(0, 1 - self.y * self.y)

    @cached_property
    def a(self) -> Field:
        return np.abs(self.p)

    @cached_property
    def light(self) -> tuple[Field, Field, Field]:
        """Unit vector towards the light."""
        x, y = self.f.light_x, self.f.light_y
        norm = np.sqrt(x * x + y * y + 0.64)
        return x / norm, y / norm, 0.8 / norm

    @cached_property
    def ambient(self) -> Field:
        f = self.f
        strength = f.exposure * (0.40 - 0.27 * f.light_contrast)
        return strength * (1 - f.light_warmth * _tint(0.06, 0, -0.1))

    @cached_property
    def key(self) -> Field:
        f = self.f
        strength = f.exposure * (0.78 + 0.46 * f.light_contrast)
        return strength * (1 + f.light_warmth * _tint(0.06, 0, -0.12))

    @cached_property
    def skin(self) -> Field:
        """Skin's colour under full light."""
        base = _ramp(_SKIN, self.f.skin_tone)
        return base * (1 + self.f.skin_warmth * _tint(-0.03, 0.03, -0.1))

    @cached_property
    def hair(self) -> Field:
        """Hair's colour under full light: dark, then red, then grey."""
        f = self.f
        red = f.hair_red * (1 - 0.6 * f.hair_dark)
        young = _mixed(_ramp(_HAIR, f.hair_dark), _AUBURN, red)
        return _mixed(young, _GREY, f.hair_grey)

    @cached_property
    def hair_length(self) -> Field:
        """Length of the hair, which who goes bald wears short."""
        return self.f.hair_length * (1 - 0.9 * np.minimum(1, 1.6 * self.f.hairline))

    @cached_property
    def long_hair(self) -> Field:
        """From 0, hair that ends above the ears, to 1, hair that covers them."""
        return np.clip(3 * self.hair_length - 0.6, 0, 1)

    @cached_property
    def nose_tip(self) -> Field:
        return 0.30 * self.f.nose_length

    @cached_property
    def mouth(self) -> Field:
        """Level of the line between the lips."""
        return 0.53 + 0.35 * (self.chin - 0.88) + self.f.mouth_height + 0.4 * (self.nose_tip - 0.3)

    def lit(self, albedo: Field, facing: Number) -> Field:
        """Colour (3, n, rows, size) of a matt surface, `facing` being its clipped n·l."""
        return albedo * (self.ambient + self.key * facing)

    def facing(self, nx: Field, ny: Number) -> Field:
        """n·l of the normal (nx, ny, 1 - (nx² + ny²)/2, normalised), clipped at 0."""
        lx, ly, lz = self.light
        nz = np.maximum(1 - 0.5 * (nx * nx + ny * ny), 0.1)
        return np.maximum(0, (nx * lx + ny * ly + nz * lz) / np.sqrt(nx * nx + ny * ny + nz * nz))


# --------------------------------------------------------------------------------------------------
# Behind and below the head
# --------------------------------------------------------------------------------------------------


def _background(s: _Scene, canvas: Field) -> None:
    """A wall out of focus: a tilted gradient, lighter in a soft pool behind the head."""
    f, (x, y) = s.f, s.body
    light = 0.03 + 0.75 * f.back_light * f.back_light
    near = _wheel(f.back_hue, 0.75 * f.back_vivid + 0.12, light)
    far = _wheel(f.back_hue + 0.2, 0.6 * f.back_vivid + 0.1, 0.55 * light + 0.12)
    across = x * np.clip(4 * f.back_tilt, -1, 1) + 0.4 * y
    colour = _mixed(near, far, _cover(across + 1.2 * f.back_fall, 1.1))
    slope = 1 + 0.35 * f.back_tilt * x + 0.35 * f.back_fall * y
    pool = 0.8 + 0.35 * _bell(0.7 * x - 0.5 * f.back_tilt, 0.7 * y + 0.3)
    canvas[...] = f.exposure * colour * (slope * pool)


def _body(s: _Scene, canvas: Field) -> None:
    """Neck and shoulders in skin, in the chin's shadow, then clothes with their neckline."""
    f, (x, y) = s.f, s.body
    across = np.abs(x)
    shoulder = 0.95 + 0.38 * np.maximum(across - f.neck_width, 0) - y
    neck = across - f.neck_width - 0.25 * np.square(np.maximum(y - 0.75, 0))
    skin = np.minimum(neck, 0.9 * shoulder)
    facing = s.facing(np.clip(x / f.neck_width, -1.2, 1.2) * 0.75, 0.15)
    lx, ly, _ = s.light
    shadow = _cover(y - 1.07 + 0.25 * np.square(x - 0.3 * lx) + 0.1 * ly, 0.34)
    colour = s.lit(s.skin * _tint(0.93, 0.88, 0.85), facing * (1 - 0.8 * shadow))
    _paint(canvas, _cover(skin, s.pixel), colour * (1 - 0.45 * shadow))

    depth = 0.05 + 0.28 * f.neckline
    wide = f.neck_width + 0.06
    opening = _squircle(x / wide, (y - 0.93) / depth, wide, depth, 0)
    cloth = np.maximum(shoulder * 0.9, -opening)
    fabric = _wheel(f.clothes_hue, 0.8 * f.clothes_vivid, 0.02 + 0.75 * np.square(f.clothes_light))
    folds = 0.85 + 0.15 * np.sin(7 * x + 9 * y + 6 * f.clothes_hue)
    seam = 1 - 0.35 * _cover(np.abs(opening - 0.03) - 0.006, 0.02 + s.pixel)
    facing = s.facing(0.6 * x, -0.35) * folds * seam
    _paint(canvas, _cover(cloth, s.pixel), s.lit(fabric, facing))


def _ears(s: _Scene, canvas: Field) -> None:
    """Ears behind the cheeks; the one on the far side goes out of sight with yaw."""
    f = s.f
    side = np.sign(s.u)
    centre = s.width * 0.985 - 0.06 * f.yaw * side - 0.13 * s.long_hair  # long hair lies over them
    half_x, half_y = 0.085 * f.ear_size, 0.155 * f.ear_size
    ex = (np.abs(s.u) - centre - 0.10 * (0.08 - s.v)) / half_x
    ey = (s.v - 0.08) / half_y
    facing = s.facing(side * (0.35 + 0.4 * ex), 0.5 * ey)
    hollow = 0.5 * _bell(1.7 * (ex - 0.15), 1.5 * (ey + 0.1))
    colour = s.lit(s.skin * _tint(1.0, 0.86, 0.83), facing * 0.85) * (1 - hollow)
    _paint(canvas, _cover(_squircle(ex, ey, half_x, half_y, 0), s.pixel), colour)


# --------------------------------------------------------------------------------------------------
# Hair
# --------------------------------------------------------------------------------------------------


def _baldness(f: _Columns) -> Field:
    """0 while receding hair still covers the top, 1 where only the sides are left."""
    t = np.clip((f.hairline - 0.6) / 0.2, 0, 1)
    return t * t * (3 - 2 * t)


def _hair_outline(s: _Scene) -> tuple[Field, Field, Field]:
    """Distance to the whole head of hair, and its dome coordinates x and y in [-1, 1]."""
    f = s.f
    centre = -0.12
    curls = f.hair_waves * f.hair_waves
    bald = _baldness(f)
    full = f.hair_volume * (1 - 0.75 * _has(f.hat)) * (1 - np.minimum(1, 1.4 * f.hairline))
    top = _SKULL - 0.06 - 0.14 * full - 0.06 * curls * full + 0.42 * bald
    length, long = s.hair_length, s.long_hair
    end = 0.14 + 1.45 * length * length + 0.35 * length
    half = s.width + 0.035 - 0.015 * bald + 0.10 * full * (0.4 + 0.6 * long) + 0.05 * long
    swing = long * (0.04 * np.sin(5 * s.v + 6 * f.hair_phase) * f.hair_waves + 0.05 * s.v)
    x = (s.u - 0.03 * f.yaw) / (half + swing * np.clip(4 * (s.v - centre), 0, 1))
    above = (s.v - centre) / (centre - top)
    below = (s.v - centre) / (end - centre)
    hang = below * (1 - long + long * below)  # short hair tapers into sideburns, long hair hangs
    y = np.where(s.v < centre, above, hang)
    distance = _squircle(x, y, half, np.where(s.v < centre, centre - top, end - centre), 0.25)
    ripple = np.sin(9 * x + 11 * s.v + 6 * f.hair_phase) * np.sin(8 * s.v - 7 * x + 3)
    return distance + 0.028 * curls * ripple, x, np.where(s.v < centre, above, 0.25 * below)


def _hair_opening(s: _Scene) -> Field:
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
    return _squircle(x, y, half, level - line, square)


@dataclass(frozen=True)
class _Hair:
    """A whole head of hair: distance to its outline, lit colour, and locks in about [-1, 1]."""

    distance: Field
    colour: Field
    locks: Field


def _hair(s: _Scene) -> _Hair:
    """Locks fan out from the parting and wave on the way down; a band of sheen crosses the dome."""
    f = s.f
    distance, x, y = _hair_outline(s)
    fan = (s.u - 0.22 * f.parting) / (0.62 + 0.75 * np.maximum(0, s.v - _SKULL))
    wave = 0.55 * np.sin(7.5 * s.v + 5 * fan + 6 * f.hair_phase) + 0.25 * np.sin(15 * s.v - 6 * fan)
    turn = 13 * fan + 1.6 * f.hair_waves * wave + 20 * f.hair_phase
    locks = 0.5 * np.sin(turn) + 0.3 * np.sin(2.3 * turn + 1) + 0.2 * np.sin(4.1 * turn + 2)
    lx, ly, _ = s.light
    band = (y + 0.52 + 0.25 * ly + 0.3 * np.square(x - 0.5 * lx)) * 3.6 + 0.5 * locks
    sheen = np.exp(-band * band) * (0.75 + 0.25 * locks) * (0.04 + 0.22 * f.hair_gloss)
    facing = s.facing(0.95 * x, 0.85 * y) * (0.80 + 0.32 * locks)
    colour = s.lit(s.hair, facing)
    colour += s.key * (0.55 * s.hair + 0.12) * sheen
    return _Hair(distance - 0.012 * locks, colour, locks)


def _back_hair(s: _Scene, hair: _Hair, canvas: Field) -> None:
    """Hair behind neck and ears, dark where the head keeps the light away."""
    dim = 0.15 + 0.85 * _cover(0.95 - np.abs(s.x), 0.5)
    _paint(canvas, _cover(hair.distance, s.pixel + 0.02), hair.colour * dim)


def _front_hair(s: _Scene, hair: _Hair, canvas: Field) -> None:
    """Hair over the skin, ragged along the hairline, with its shadow on forehead and temples."""
    opening = _hair_opening(s) + 0.022 * hair.locks
    front = np.maximum(hair.distance, -opening)
    fall = _cover(-opening - 0.015, 0.13) * _cover(hair.distance, 0.1)
    _darken(canvas, 0.5 * fall * _cover(s.head, s.pixel))
    roots = 1 - 0.35 * _cover(np.abs(opening) - 0.01, 0.12)
    _paint(canvas, _cover(front, s.pixel + 0.03), hair.colour * roots)


# --------------------------------------------------------------------------------------------------
# Skin: relief and light
# --------------------------------------------------------------------------------------------------


def _relief(s: _Scene) -> tuple[Field, Field]:
    """Slope of the face's relief along p and q: a sum of Gaussian bumps (height > 0) and dips.

    A bump h exp(-(x² + y²)) with x = (p - cp)/wp and y = (q - cq)/wq has the slopes
    -2 h x exp(…)/wp and -2 h y exp(…)/wq.
    """
    f = s.f
    tip, mouth = s.nose_tip, s.mouth
    nose = s.p - 0.045 * f.yaw
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
        bump = -2 * height * _bell(x, y)
        slope_p += bump * x * ((1 / wide) * side if across is s.a else 1 / wide)
        slope_q += bump * y * (1 / high)
    return slope_p, slope_q


def _head(s: _Scene, canvas: Field) -> None:
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
    rim = 1 - 0.35 * _cover(-s.head - 0.02, 0.12)
    cover = _cover(s.head, s.pixel)
    for c, wrap in enumerate((0.32, 0.2, 0.14)):
        facing = np.maximum(0, (toward + wrap) * (1 / (1 + wrap)))
        light = s.ambient[c] * rim + s.key[c] * facing
        canvas[c] += cover * (s.skin[c] * light + s.key[c] * shine - canvas[c])


def _complexion(s: _Scene, canvas: Field) -> None:
    """Blush, freckles, shaved skin and the lines of age."""
    f = s.f
    smile = np.maximum(f.smile, 0)
    cheek = _bell((s.a - 0.32) / 0.15, (s.q - 0.24 + 0.04 * smile) / 0.11)
    _darken(canvas, cheek * (0.06 + 0.42 * f.blush), (0.1, 0.75, 0.6))
    down, up = 37 * s.p + 15 * s.q + np.sin(9 * s.q), 41 * s.q - 13 * s.p + np.sin(8 * s.p)
    dots = np.sin(down) * np.sin(up)
    area = _bell(s.a / 0.42, (s.q - 0.2) / 0.13)
    _darken(canvas, 0.36 * f.freckles * area * _cover(0.5 - dots, 0.6), (0.5, 0.8, 0.9))
    jaw = _cover(0.60 - 0.9 * s.a - s.q, 0.2) * _cover(s.head, s.pixel)
    upper = _bell(s.p / 0.17, (s.q - s.mouth + 0.1) / 0.05)
    _darken(canvas, f.stubble * np.maximum(jaw, upper) * 0.34, (1.0, 0.9, 0.75))
    lines = _age_lines(s)
    _darken(canvas, lines * _cover(s.head, 0.05))


def _age_lines(s: _Scene) -> Field:
    """Darkness of forehead lines, bags under the eyes and the folds from nose to mouth."""
    f = s.f
    smile = np.maximum(f.smile, 0)
    waves = np.sin(46 * (s.q + 0.1 * s.a * s.a))
    forehead = _cover(0.62 - waves, 0.7) * _bell(s.p / 0.3, (s.q + 0.33) / 0.09)
    bags = _bell((s.a - f.eye_distance) / 0.1, (s.q - 0.095) / 0.025)
    start = s.q - s.nose_tip
    fold = s.a - (0.105 * f.nose_width + 0.55 * np.maximum(start, 0) + 0.02 * smile)
    along = _bell((start - 0.11) / 0.11, fold / 0.028)
    feet = _cover(0.4 - np.sin(90 * s.q), 1.0)
    crow = _bell((s.a - f.eye_distance - 0.17) / 0.05, s.q / 0.05) * feet
    return (
        0.22 * f.wrinkles * forehead
        + (0.05 + 0.08 * f.age + 0.26 * f.wrinkles) * bags
        + (0.03 + 0.2 * smile + 0.08 * f.age + 0.22 * f.wrinkles) * along
        + 0.25 * f.wrinkles * crow
    )


# --------------------------------------------------------------------------------------------------
# Eyes, brows, nose, mouth
# --------------------------------------------------------------------------------------------------


def _eyes(s: _Scene, canvas: Field) -> None:
    """Sockets, whites, irises, lids and lashes; x runs outwards in units of half an eye."""
    f = s.f
    half = 0.116 * f.eye_size
    x = (s.a - f.eye_distance) / half
    y = s.q / half + f.eye_slant * x
    arch = np.maximum(0, 1 - x * x)
    squint = f.eye_open * (1 - 0.28 * np.maximum(f.smile, 0))
    top = -0.60 * squint * arch * (1 - 0.12 * x)
    bottom = 0.34 * (0.5 + 0.5 * squint) * arch * (1 + 0.15 * x)
    ends = np.abs(x) - 1
    slit = np.maximum(np.maximum(top - y, y - bottom) * 0.85, ends) * half
    white = _cover(slit, s.pixel)

    # the hollow between lid and brow, the eye-shadow on it, the lid's crease
    _darken(canvas, 0.30 * _bell(x / 1.45, (y + 0.35) / 0.85))
    lid = _bell(x / 1.1, (y + 0.7) / 0.42) * (1 - white)
    _darken(canvas, (0.08 + 0.42 * np.square(f.eye_makeup)) * lid, (0.75, 0.95, 0.85))
    crease = np.abs(y - 1.3 * top + 0.2) * half - 0.003
    _darken(canvas, 0.4 * _cover(np.maximum(crease, ends * half), 0.018 + s.pixel))

    shade = 1 - 0.55 * _cover(y - top - 0.18, 0.5)
    _paint(canvas, white, s.lit(_tint(0.80, 0.76, 0.73), 0.55 * shade) * shade)
    look = np.sign(s.p) * x - f.gaze_x - 0.12 * f.yaw
    radius = np.sqrt(look * look + np.square(y + 0.07))
    ring = (1.25 - 0.9 * _cover(0.42 - radius, 0.22)) * (0.7 + 0.9 * _bell(radius, y - 0.3))
    iris = _ramp(_IRIS, f.eye_colour) * ring
    _paint(canvas, white * _cover((radius - 0.52) * half, s.pixel), s.lit(iris, 0.7 * shade))
    _paint(canvas, white * _cover((radius - 0.23) * half, s.pixel), _tint(0.004, 0.004, 0.005))
    lx, ly, _ = s.light
    glint = np.sqrt(np.square(look - 0.28 * lx - 0.05) + np.square(y + 0.22 + 0.1 * ly))
    _paint(canvas, 0.9 * white * _cover((glint - 0.12) * half, s.pixel + 0.01), s.key)

    thick = 0.007 + 0.014 * f.eye_makeup
    lash = np.maximum(np.abs(y - top) * half - thick, (np.abs(x - 0.06) - 1.1) * half)
    _darken(canvas, (0.72 + 0.2 * f.eye_makeup) * _cover(lash, 0.010 + s.pixel), (0.9, 0.97, 1.0))
    rim = np.maximum(np.abs(y - bottom) * half - 0.003, ends * half)
    _darken(canvas, (0.22 + 0.3 * np.square(f.eye_makeup)) * _cover(rim, 0.014 + s.pixel))


def _brows(s: _Scene, canvas: Field) -> None:
    """Two soft bands of hair, thinner outwards."""
    f = s.f
    half = 0.150
    x = (s.a - f.eye_distance - 0.012) / half
    arch = 0.6 - np.square(x - 0.25)
    middle = -0.150 - 0.022 * f.brow_height - 0.035 * f.brow_arch * arch + 0.01 * f.male
    thick = 0.021 * f.brow_thickness * np.clip(0.95 - 0.4 * x, 0.2, 1.15) + 0.004
    distance = np.maximum(np.abs(s.q - middle) - thick, (np.abs(x) - 1) * half * 0.7)
    colour = np.minimum(_mixed(s.hair, _BROWN, 0.55), 0.7 * s.skin)
    dense = 0.55 + 0.22 * f.brow_thickness
    _paint(canvas, dense * _cover(distance, 0.022 + s.pixel), s.lit(colour * 0.8, 0.5))


def _nose(s: _Scene, canvas: Field) -> None:
    """Nostrils, wings and the nose's shadow; its body is relief."""
    f = s.f
    lx, _, _ = s.light
    p = s.p - 0.045 * f.yaw
    a = np.abs(p)
    wing = 0.088 * (0.45 + 0.55 * f.nose_width)
    below = s.q - s.nose_tip
    shadow = _bell((p + 0.10 * lx) / (1.25 * wing), (below - 0.075) / 0.03)
    side = _bell((p + 0.085 * np.clip(6 * lx, -1, 1)) / 0.05, (below + 0.10) / 0.16)
    side *= np.minimum(1, 3 * np.abs(lx)) * (0.3 + 0.7 * f.light_contrast)
    _darken(canvas, 0.32 * shadow + 0.2 * side)
    _darken(canvas, 0.72 * _bell((a - 0.6 * wing) / (0.36 * wing), (below - 0.038) / 0.016))
    around = np.square((a - 0.72 * wing) / (0.55 * wing)) + np.square((below - 0.01) / 0.05)
    crease = _cover(np.abs(np.sqrt(around) - 1) * 0.04 - 0.004, 0.03)
    _darken(canvas, 0.28 * crease * _cover(0.5 * wing - a, 0.03))


@dataclass(frozen=True)
class _Lips:
    """The mouth: x along it, distances to lips and to the gap, way below the lips' line."""

    x: Field
    outline: Field
    gap: Field
    below: Field


def _lips(s: _Scene) -> _Lips:
    """Along the mouth x runs in [-1, 1]; a smile widens it and lifts its corners."""
    f = s.f
    smile = np.maximum(f.smile, 0)
    half = f.mouth_width * (1 + 0.2 * smile)
    x = (s.p - 0.02 * f.yaw) / half
    xx = np.minimum(x * x, 1.2)
    middle = s.mouth + 0.03 * f.smile - 0.085 * f.smile * xx
    arch = np.maximum(0, 1 - xx)
    bow = 1 - 0.22 * np.exp(-30 * xx) - 0.1 * xx
    open_ = f.mouth_open * 0.085
    plump = f.lip_thickness * (1 - 0.25 * smile) * (1.1 - 0.25 * f.age)
    top = middle - open_ * 0.4 * arch - 0.042 * plump * arch * bow
    bottom = middle + open_ * arch + 0.058 * plump * arch * (0.75 + 0.25 * arch)
    ends = (np.abs(x) - 1) * half
    outline = np.maximum(np.maximum(top - s.q, s.q - bottom) * 0.9, ends)
    inner = np.maximum(middle - open_ * 0.4 * arch - s.q, s.q - middle - open_ * arch)
    return _Lips(x, outline, np.maximum(inner * 0.9, ends + 0.02), s.q - middle)


def _mouth(s: _Scene, canvas: Field) -> None:
    """Lips lit from above, teeth in the gap, the dark line between, shade below."""
    f = s.f
    lips = _lips(s)
    natural = s.skin * _mixed(_tint(0.86, 0.66, 0.66), _tint(0.82, 0.42, 0.44), f.lip_redness)
    made_up = _mixed(natural, _ramp(_LIPSTICK, f.lipstick_hue), 0.82)
    colour = np.where(f.lipstick > 0.5, made_up, natural)
    roundness = lips.below / (0.06 * f.lip_thickness + 0.05 * f.mouth_open)
    fall = np.square(np.maximum(roundness - 0.35, 0))
    facing = np.clip(0.62 + 0.55 * roundness - 0.75 * fall, 0.25, 0.95)
    gloss = _bell(1.6 * lips.x, (roundness - 0.55) / 0.28) * (0.05 + 0.07 * _has(f.lipstick))
    _darken(canvas, 0.22 * _bell(lips.x / 0.75, (roundness - 1.35) / 0.35))
    shining = s.lit(colour, facing) + s.key * gloss
    _paint(canvas, 0.95 * _cover(lips.outline, s.pixel + 0.012), shining)

    gap = _cover(lips.gap, s.pixel) * np.minimum(1, 12 * f.mouth_open)
    _paint(canvas, gap, s.lit(_tint(0.10, 0.025, 0.025), 0.3))
    bite = 0.048 * f.mouth_open + 0.02 * np.maximum(f.smile, 0) * np.minimum(1, 4 * f.mouth_open)
    teeth = np.maximum(lips.gap, lips.below - bite + 0.012)
    enamel = s.lit(_tint(0.78, 0.74, 0.67), 0.62 - 0.35 * lips.x * lips.x)
    _paint(canvas, gap * _cover(teeth + 0.004, s.pixel), enamel)
    closed = 1 - np.minimum(1, 6 * f.mouth_open)
    seam = np.maximum(np.abs(lips.below) - 0.004, (np.abs(lips.x) - 0.98) * 0.2)
    _darken(canvas, (0.2 + 0.5 * closed) * _cover(seam, 0.014 + s.pixel) * (0.25 + 0.75 * closed))
    corner = _bell((np.abs(lips.x) - 1.0) / 0.12, lips.below / 0.022)
    _darken(canvas, 0.4 * corner)


# --------------------------------------------------------------------------------------------------
# Beard and things worn: painted for those who have them
# --------------------------------------------------------------------------------------------------


def _beard(s: _Scene, canvas: Field) -> None:
    """Full beard, chin beard and moustache: hair over the jaw that leaves the lips free."""
    f = s.f
    lips = _lips(s)
    longer = 0.015 + 0.10 * f.beard_length * _cover(0.62 - s.v, 0.4)
    jaw = np.maximum(0.60 - 0.2 * s.a - 1.25 * s.a * s.a - s.q, s.head - longer)
    full = _cover(jaw, 0.10) * (f.beard > 0.5)
    tuft = _squircle(s.p / 0.17, (s.q - s.chin + 0.08) / 0.21, 0.17, 0.21, -0.3)
    chin = _cover(np.maximum(tuft, s.head - longer), 0.08) * (f.goatee > 0.5)
    wide = f.mouth_width * 1.22
    ring = _squircle(s.p / wide, (s.q - s.mouth - 0.03) / 0.19, wide, 0.19, 0.2)
    circle = np.maximum(np.abs(ring) - 0.02, s.mouth - 0.07 - s.q)
    both = (f.goatee > 0.5) & (f.moustache > 0.5)
    chin = np.maximum(chin, 0.9 * _cover(circle, 0.06) * both)
    droop = lips.below + 0.062 + 0.5 * f.lip_thickness * 0.04 - 0.22 * s.a * s.a * 4
    lip = np.maximum(np.abs(droop) - 0.034, s.a - f.mouth_width * 1.12)
    lip_hair = _cover(lip, 0.045) * ((f.moustache > 0.5) | (f.beard > 0.5))
    cover = np.maximum(np.maximum(full, chin), lip_hair) * (
        1 - 0.97 * _cover(lips.outline - 0.004, 0.02 + s.pixel)
    )
    strands = 1 + 0.07 * np.sin(44 * s.p * (1.5 - s.q) + 2 * np.sin(9 * s.q)) * _cover(
        s.pixel - 0.03, 0.02
    )
    facing = s.facing(s.x * 0.8, s.y * 0.6) * strands
    _paint(canvas, 0.94 * cover, s.lit(0.85 * s.hair, 0.85 * facing))


def _glasses(s: _Scene, canvas: Field) -> None:
    """Two lenses, bridge and arms; the lenses tint, reflect the sky and throw a faint shadow."""
    f = s.f
    half_x = 0.185 + 0.015 * f.glasses_tint
    half_y = 0.115 + 0.055 * f.glasses_round + 0.02 * f.glasses_tint
    centre = f.eye_distance * 0.5 + 0.1425
    x, y = (s.a - centre) / half_x, (s.q - 0.035) / half_y
    lens = _squircle(x, y - 0.06 * x, half_x, half_y, 0.85 * (1 - f.glasses_round))
    thick = 0.009 + 0.017 * f.glasses_frame
    bridge = np.maximum(
        np.abs(s.q + 0.02 - 0.6 * s.a * s.a) - thick, s.a - (centre - half_x) - 0.01
    )
    arms = np.maximum(
        np.maximum(np.abs(s.q + 0.03) - thick, centre + half_x - 0.03 - s.a), s.head - 0.03
    )
    frame = np.minimum(np.abs(lens) - thick, np.minimum(bridge, arms))
    _darken(canvas, 0.22 * _cover(np.abs(lens + 0.02) - 0.02, 0.08))
    dark = np.clip(3 * f.glasses_tint - 0.9, 0, 0.96) + 0.04
    glass = _wheel(f.glasses_hue, 0.25, 0.035)
    sky = 0.10 * _cover(y + 0.2 + 0.5 * x * np.sign(s.p), 1.2)
    _paint(canvas, _cover(lens, s.pixel) * dark, glass + s.key * sky)
    shine = 0.75 + 0.5 * _cover(y + 0.4, 0.8)
    _paint(canvas, _cover(frame, s.pixel), s.lit(_ramp(_FRAME, f.glasses_hue), 0.7 * shine))


def _hat(s: _Scene, canvas: Field) -> None:
    """A crown over the skull, its band, and a brim: from knitted cap to sun hat."""
    f = s.f
    half = s.width + 0.075
    edge = -0.37 + 0.05 * np.square(s.x) - 0.03 * f.hat_brim
    top = _SKULL - 0.16
    x = s.u / half
    y = np.minimum(0, (s.v + 0.40) / (-0.40 - top))
    crown = np.maximum(_squircle(x, y, half, -0.40 - top, 0.35), s.v - edge)
    cloth = _wheel(f.hat_hue, 0.65, 0.03 + 0.6 * np.square(f.hat_light))
    knit = (1 - np.clip(3 * f.hat_brim - 0.4, 0, 1)) * _cover(s.pixel - 0.03, 0.03)
    ribs = 1 + 0.14 * knit * np.sin(38 * x)
    shadow = _cover(s.v - edge - 0.05 - 0.16 * f.hat_brim, 0.16) * _cover(s.head, 0.03)
    _darken(canvas, (0.35 + 0.2 * f.hat_brim) * shadow)
    facing = s.facing(0.9 * x, 0.8 * y) * ribs
    _paint(canvas, _cover(crown, s.pixel), s.lit(cloth, facing))
    band = np.maximum(crown, edge - 0.13 - s.v)
    _paint(canvas, _cover(band, s.pixel), s.lit(0.55 * cloth, facing))
    wide = half * (1.02 + 0.5 * f.hat_brim)
    deep = 0.03 + 0.07 * f.hat_brim
    bx, by = s.u / wide, (s.v - edge + 0.05 * np.square(s.x) * f.hat_brim) / deep
    brim = _squircle(bx, by, wide, deep, 0.1) + 0.2 * np.maximum(0, 0.25 - f.hat_brim)
    _paint(canvas, _cover(brim, s.pixel), s.lit(cloth, s.facing(0.4 * bx, -0.5 + 0.6 * by)))


def _earrings(s: _Scene, canvas: Field) -> None:
    """A small gold or silver drop under each lobe."""
    f = s.f
    side = np.sign(s.u)
    centre = s.width * 0.99 - 0.05 * f.yaw * side
    x, y = (np.abs(s.u) - centre) / 0.028, (s.v - 0.275 * f.ear_size - 0.02) / 0.042
    metal = _mixed(_tint(0.95, 0.72, 0.30), _tint(0.9, 0.9, 0.92), f.glasses_hue)
    facing = 0.35 + 0.9 * _bell(1.5 * (x * side - 0.2), 1.5 * (y + 0.3))
    drop = _squircle(x, y, 0.028, 0.042, 0)
    _paint(canvas, _cover(drop, s.pixel), s.lit(metal, facing))


# --------------------------------------------------------------------------------------------------
# Rendering
# --------------------------------------------------------------------------------------------------

_CHUNK_PIXELS = 16 * 64 * 64  # a field of float32 then takes 256 KiB: a few fit the L2 cache


def _worn(
    part: Callable[[_Scene, Field], None],
    s: _Scene,
    canvas: Field,
    has: Field,
    low: float,
    high: float,
) -> None:
    """Paints a part for the faces that have it only: nobody else's pixels are touched."""
    who = np.flatnonzero(has[:, 0, 0])
    if len(who):
        few = _Scene(s.factors[who], s.size, (low, high))
        patch = canvas[:, who, few.rows]
        part(few, patch)
        canvas[:, who, few.rows] = patch


def _in_band(
    part: Callable[[_Scene, Field], None], s: _Scene, canvas: Field, low: float, high: float
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
    s = _Scene(factors, size)
    f = s.f
    canvas = np.empty((3, len(factors), size, size), dtype=np.float32)
    _background(s, canvas)
    hair = _hair(s)
    _back_hair(s, hair, canvas)
    _in_band(_body, s, canvas, 0.3, 1.0)
    _in_band(_ears, s, canvas, -0.5, 0.5)
    _head(s, canvas)
    _in_band(_complexion, s, canvas, -0.7, 1.0)
    _in_band(_brows, s, canvas, -0.55, 0.15)
    _in_band(_eyes, s, canvas, -0.5, 0.35)
    _in_band(_nose, s, canvas, -0.2, 0.6)
    _in_band(_mouth, s, canvas, 0.05, 0.85)
    hairy = (f.beard > 0.5) | (f.goatee > 0.5) | (f.moustache > 0.5)
    _worn(_beard, s, canvas, hairy, -0.2, 1.0)
    _worn(_glasses, s, canvas, f.glasses > 0.5, -0.6, 0.5)
    _front_hair(s, hair, canvas)
    _worn(_hat, s, canvas, f.hat > 0.5, -1.0, 0.3)
    _worn(_earrings, s, canvas, f.earrings > 0.5, -0.2, 0.7)
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
    rows = _check_factors(factors)
    size = _check_size(size)
    pixels = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    chunk = max(1, _CHUNK_PIXELS // (size * size))
    for start in range(0, len(rows), chunk):
        pixels[start : start + chunk] = _portraits(rows[start : start + chunk], size)
    return pixels


def faces(indices: ArrayLike | Iterable[int], seed: int = 0, size: int = 64) -> NDArray[np.uint8]:
    """Paints faces by number: `render(draw_factors(indices, seed), size)`.

    Args:
        indices: Face numbers, non-negative integers, shape (n,).
        seed: Non-negative integer naming the population.
        size: Height and width in pixels, 16 to 512.

    Returns:
        Pixels, shape (n, size, size, 3), uint8.

    Example:
        >>> faces(range(3), size=32).shape
        (3, 32, 32, 3)
    """
    return render(draw_factors(indices, seed), size)


# --------------------------------------------------------------------------------------------------
# Checks
# --------------------------------------------------------------------------------------------------


def _check_indices(indices: Any) -> NDArray[np.uint64]:
    if not isinstance(indices, (np.ndarray, Sequence)):
        indices = list(indices) if isinstance(indices, Iterable) else indices
    numbers = np.asarray(indices)
    if numbers.ndim != 1:
        raise InputError(
            f"indices must be one-dimensional, got shape {numbers.shape}; for one face pass [i]."
        )
    if numbers.size == 0:
        return np.empty(0, dtype=np.uint64)
    if numbers.dtype.kind not in "iu":
        raise InputError(
            f"indices must be integers, got {numbers.dtype}; convert with .astype(int)."
        )
    if numbers.dtype.kind == "i" and numbers.min() < 0:
        raise InputError(
            f"indices must be 0 or more, got {numbers.min()}; faces are numbered from 0."
        )
    return numbers.astype(np.uint64)


def _integer(value: Any, name: str, low: int, high: int, cure: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, (bool, np.bool_)) or not low <= number <= high:
        raise InputError(f"{name} must be an integer from {low} to {high}, got {value!r}; {cure}.")
    return number


def _check_seed(seed: Any) -> int:
    return _integer(
        seed, "seed", 0, 2**64 - 1, "any such number names a population, 0 is the usual one"
    )


def _check_size(size: Any) -> int:
    return _integer(size, "size", 16, 512, "64 is the usual size, resize the pictures for another")


def _check_factors(factors: Any) -> Field:
    try:
        rows = np.asarray(factors, dtype=np.float32)
    except (TypeError, ValueError) as cause:
        raise InputError(
            f"factors must be numbers, got {type(factors).__name__} with something else ({cause}); "
            "start from draw_factors(indices) and edit its columns."
        ) from cause
    if rows.ndim != 2 or rows.shape[1] != len(FACTORS):
        raise InputError(
            f"factors must have shape (n, {len(FACTORS)}), a column per entry of FACTORS, "
            f"got {rows.shape}; start from draw_factors(indices) and edit its columns."
        )
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise InputError(
            f"factors must be finite, got {rows[row, column]} for {FACTORS[column].name!r} in row "
            f"{row}; choose a value from {FACTORS[column].low} to {FACTORS[column].high}."
        )
    return rows
