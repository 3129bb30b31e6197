r"""What varies from face to face: the factor table, its draws, and CelebA's questions answered.

Factor j of face i has a base variable :math:`u_{ij} \in (0, 1)`, a hash of (seed, i, j), hence
independent of every other draw, and a score of unit variance

.. math:: s_{ij} = \sqrt{1 - \sum_k w_{jk}^2} \; \Phi^{-1}(u_{ij}) + \sum_k w_{jk} s_{ik}

whose few independent parents k (`male`, `age`, `skin_tone`, ...) make the correlations seen in
people. The factor's law turns the score into its value. How a row of values is painted is the
matter of `portrait`.

That population is the `natural` one. Under the other `LAWS` the factors that vary all have one law
instead: mean and standard deviation are the same under each, and only the shape differs, so that
one can ask of any code of the pictures whether it inherits the shape of what varies.

References:
    Fast Splittable Pseudorandom Number Generators (Steele, Lea & Flood, 2014),
        https://doi.org/10.1145/2660193.2660195 (the hash)
    An algorithm for computing the inverse normal cumulative distribution function (Acklam, 2003)
    Deep Learning Face Attributes in the Wild (Liu et al., 2015),
        https://arxiv.org/abs/1411.7766 (CelebA)
    Multivariate t Distributions and Their Applications (Kotz & Nadarajah, 2004),
        https://doi.org/10.1017/CBO9780511550683 (the law `heavy`)
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latentshape.errors import InputError, suggestion

__all__ = [
    "ATTRIBUTES",
    "FACTORS",
    "LAWS",
    "Columns",
    "Factor",
    "Field",
    "attributes_of",
    "check_factors",
    "check_integer",
    "draw_factors",
    "sweep_factor",
]

Field = NDArray[Any]  # float32 inside; broadcasts over (n, rows, size)
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


def _uniforms(indices: NDArray[np.uint64], seed: int, columns: int) -> NDArray[np.float64]:
    """Base variables u in (0, 1), shape (n, columns).

    Row i hashes (seed, indices[i]), nothing else; more columns leave the first ones as they are.
    """
    key = _mix(np.array([seed], dtype=np.uint64) + _GOLDEN)
    start = _mix(key + _GOLDEN * (indices + np.uint64(1)))
    steps = _GOLDEN * np.arange(1, columns + 1, dtype=np.uint64)
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


# The chosen laws: deviations from the mean, in standard deviations, shape (n, k), from one column of
# base variables per factor and some more. `draw_factors` has the formulas.

_STDS = 7.0  # standard deviations in a factor's range: beyond 3.5 of them, values are clipped
_APART = 0.91**0.5  # half the distance of the two clusters of `bimodal`, whose own std is then 0.3
_NU = 5  # degrees of freedom of `heavy`
_UNCLIPPED = 1.0356025781360418  # std of `heavy` before clipping, which makes it 1 afterwards


def _gaussian(own: NDArray[np.float64], _: NDArray[np.float64]) -> NDArray[np.float64]:
    return _normal_quantile(own)


def _uniform(own: NDArray[np.float64], _: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(3.0) * (2.0 * own - 1.0)


def _bimodal(own: NDArray[np.float64], coins: NDArray[np.float64]) -> NDArray[np.float64]:
    sign = np.where(coins < 0.5, -1.0, 1.0)
    return _APART * sign + np.sqrt(1.0 - _APART**2) * _normal_quantile(own)


def _heavy(own: NDArray[np.float64], shared: NDArray[np.float64]) -> NDArray[np.float64]:
    chi_square = np.square(_normal_quantile(shared)).sum(axis=1, keepdims=True)
    return _UNCLIPPED * np.sqrt((_NU - 2) / chi_square) * _normal_quantile(own)


_Shape = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
_SHAPES: dict[str, tuple[int, _Shape]] = {  # columns beyond one per factor, deviations
    "gaussian": (0, _gaussian),
    "uniform": (0, _uniform),
    "bimodal": (len(FACTORS), _bimodal),
    "heavy": (_NU, _heavy),
}

LAWS: tuple[str, ...] = ("natural", *_SHAPES)

_LOW = np.array([factor.low for factor in FACTORS], dtype=np.float64)
_HIGH = np.array([factor.high for factor in FACTORS], dtype=np.float64)
_AVERAGE = np.array([_value(factor, np.zeros(1))[0] for factor in FACTORS])


def _values(law: str, numbers: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """Every factor of some faces under a law, shape (n, k)."""
    k = len(FACTORS)
    if law == "natural":
        scores = _scores(_normal_quantile(_uniforms(numbers, seed, k)))
        return np.stack([_value(factor, scores[:, j]) for j, factor in enumerate(FACTORS)], axis=1)
    more, shape = _SHAPES[law]
    uniforms = _uniforms(numbers, seed, k + more)
    unit = 0.5 + shape(uniforms[:, :k], uniforms[:, k:]) / _STDS
    return _LOW + (_HIGH - _LOW) * np.clip(unit, 0.0, 1.0)


def draw_factors(
    indices: ArrayLike | Iterable[int],
    seed: int = 0,
    law: str = "natural",
    vary: Iterable[str] | None = None,
) -> NDArray[np.float32]:
    r"""Draws the factors of faces by number: row i depends on `seed` and `indices[i]` alone.

    The `natural` law is the module's: a law per factor, correlated as in people. Under the others,
    factor j of face i is

    .. math:: \text{middle}_j + t_{ij} \, \text{range}_j / 7

    clipped to its range, with :math:`t_{ij}` of mean 0 and variance 1, whatever the factor. With
    :math:`z_{ij} = \Phi^{-1}(u_{ij})` and independent signs :math:`b_{ij} = \pm 1`:

    ========  ===========================================================  =============
    law       :math:`t_{ij}`                                               share clipped
    ========  ===========================================================  =============
    gaussian  :math:`z_{ij}`                                               0.047 %
    uniform   :math:`\sqrt 3 \, (2 u_{ij} - 1)`                            none
    bimodal   :math:`\sqrt{0.91} \, b_{ij} + 0.3 \, z_{ij}`                none
    heavy     :math:`c \sqrt{(\nu - 2) / \chi^2_i} \, z_{ij}, \; \nu = 5`  0.73 %
    ========  ===========================================================  =============

    Factors are independent, except under `heavy`, a multivariate Student t: all of a face share one
    :math:`\chi^2_i` with :math:`\nu` degrees of freedom, so that they are uncorrelated yet
    dependent, contours are ellipses and the radius has a heavy tail. Clipping takes 6 % of the
    variance of a t; c = 1.0356 restores it. It takes 0.09 % of a Gaussian's, which is left so.
    Face i has the same u under every law: from `gaussian` to `uniform` only the scale is bent.

    Args:
        indices: Face numbers, non-negative integers, shape (n,); a range is welcome.
        seed: Non-negative integer naming the population.
        law: One of `LAWS`.
        vary: Names of the factors that vary, the others being held at the value of score 0, an
            average face with nothing worn or grown. None: all factors under `natural`, the
            continuous ones under a chosen law, where a binary one that is named takes values
            between 0 and 1 and acts above 1/2. A factor's values are the same whichever others
            vary; `hat_brim` and its like vary unseen while nobody wears the hat.

    Returns:
        Factors, shape (n, len(FACTORS)), float32, columns as in `FACTORS`.

    Raises:
        InputError: For indices or a seed that are no such numbers, an unknown law or factor, or an
            empty `vary`.

    Example:
        >>> bool((draw_factors([7]) == draw_factors(range(10))[7]).all())
        True
        >>> several = draw_factors(range(9), law="uniform", vary=["smile", "yaw"])
        >>> np.ptp(several, axis=0).nonzero()[0]
        array([ 8, 36])
    """
    numbers = _check_indices(indices)
    seed = _check_seed(seed)
    if law not in LAWS:
        raise InputError(f"No law is called {law!r}{suggestion(law, LAWS)}")
    varying = _check_vary(vary, law)
    factors = np.empty((len(numbers), len(FACTORS)), dtype=np.float32)
    for start in range(0, len(numbers), _DRAW_CHUNK):
        rows = slice(start, start + _DRAW_CHUNK)
        factors[rows] = np.where(varying, _values(law, numbers[rows], seed), _AVERAGE)
    return factors


def sweep_factor(
    name: str,
    n: int,
    face: int = 0,
    seed: int = 0,
    law: str = "natural",
    vary: Iterable[str] | None = None,
) -> NDArray[np.float32]:
    """Moves one factor of one face from the bottom to the top of its range, in n even steps.

    Args:
        name: The factor that moves.
        n: Number of rows, 2 to 100000.
        face: Number of the face, non-negative.
        seed: Non-negative integer naming the population that the face is from.
        law: The law of that population, as in `draw_factors`.
        vary: What varies in it, as in `draw_factors`.

    Returns:
        Factors, shape (n, len(FACTORS)), float32, equal in every column but one.

    Raises:
        InputError: For an unknown factor, an n out of range, and as `draw_factors`.

    Example:
        >>> smile = [factor.name for factor in FACTORS].index("smile")
        >>> sweep_factor("smile", 3)[:, smile]
        array([-0.12,  0.44,  1.  ], dtype=float32)
    """
    n = check_integer(
        n, "n", 2, 100_000, "the first row is the bottom of the range, the last its top"
    )
    face = check_integer(face, "face", 0, 2**64 - 1, "faces are numbered from 0")
    column = _check_name(name)
    rows = np.repeat(draw_factors(np.array([face], np.uint64), seed, law, vary), n, axis=0)
    rows[:, column] = np.linspace(_LOW[column], _HIGH[column], n)
    return rows


# --------------------------------------------------------------------------------------------------
# Attributes: CelebA's questions, answered from the factors
# --------------------------------------------------------------------------------------------------


class Columns:
    """Factor columns by name, each shaped (n, 1, 1) to broadcast over pixels."""

    def __init__(self, factors: Field) -> None:
        self._columns = np.ascontiguousarray(factors.T, dtype=np.float32)[:, :, None, None]

    def __getattr__(self, name: str) -> Field:
        return self._columns[_INDEX[name]]


def _bald(f: Columns) -> NDArray[np.bool_]:
    return f.hairline > 0.71


def _hair_shows(f: Columns) -> NDArray[np.bool_]:
    return ~_bald(f) & ((f.hat < 0.5) | (f.hair_length > 0.3))


_RULES: dict[str, Callable[[Columns], NDArray[np.bool_]]] = {
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
    columns = Columns(check_factors(factors))
    answers = [rule(columns)[:, 0, 0] for rule in _RULES.values()]
    return np.where(np.stack(answers, axis=1), 1, -1).astype(np.int8)


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


def check_integer(value: Any, name: str, low: int, high: int, cure: str) -> int:
    """Return `value` as an int in [low, high], or say what it should be and why."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, (bool, np.bool_)) or not low <= number <= high:
        raise InputError(f"{name} must be an integer from {low} to {high}, got {value!r}; {cure}.")
    return number


def _check_seed(seed: Any) -> int:
    return check_integer(
        seed, "seed", 0, 2**64 - 1, "any such number names a population, 0 is the usual one"
    )


def _check_name(name: Any) -> int:
    """The column of a factor."""
    if not isinstance(name, str) or name not in _INDEX:
        raise InputError(f"No factor is called {name!r}{suggestion(name, _INDEX)}")
    return _INDEX[name]


def _check_vary(vary: Any, law: str) -> NDArray[np.bool_]:
    """Which factors vary, shape (k,)."""
    if vary is None:
        return np.array([law == "natural" or factor.kind == "continuous" for factor in FACTORS])
    if isinstance(vary, str) or not isinstance(vary, Iterable):
        raise InputError(
            f"vary must be several names of factors, got {vary!r}; for one pass [name]."
        )
    columns = [_check_name(name) for name in vary]
    if not columns:
        raise InputError("vary must name a factor or more, got none; to vary all pass None.")
    return np.isin(np.arange(len(FACTORS)), columns)


def check_factors(factors: Any) -> Field:
    """Return factors as float32 (n, len(FACTORS)), or say which number is at fault."""
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
