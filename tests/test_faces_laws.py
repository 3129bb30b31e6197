"""Faces with a chosen law: the shape is the law's, the spread is not; landmarks are where they are."""

import hashlib

import numpy as np
import pytest
from scipy import optimize, stats

from latentshape.data.faces import (
    FACTORS,
    LANDMARKS,
    LAWS,
    draw_factors,
    faces,
    landmarks_of,
    render,
    sweep_factor,
)
from latentshape.data.scene import Scene
from latentshape.errors import InputError

COLUMN = {factor.name: j for j, factor in enumerate(FACTORS)}
CONTINUOUS = np.array([factor.kind == "continuous" for factor in FACTORS])
LOW = np.array([factor.low for factor in FACTORS])
HIGH = np.array([factor.high for factor in FACTORS])
CHOSEN = [law for law in LAWS if law != "natural"]
POSE = ["shift_x", "shift_y", "scale", "roll", "yaw", "pitch", "gaze_x", "eye_slant"]
N = 20_000
CLIP = 3.5  # standard deviations


def deviations(factors, columns=CONTINUOUS):
    """Values in the standard deviations promised, range / 7, from the middle of the range."""
    return ((factors - (LOW + HIGH) / 2) / (HIGH - LOW) * 7)[:, columns]


@pytest.fixture(scope="module")
def drawn():
    return {law: deviations(draw_factors(range(N), seed=8, law=law)) for law in CHOSEN}


# The laws anew, from SciPy, as points of equal probability; `heavy` is scaled until the clipped
# variance is 1.

P = (np.arange(200_000) + 0.5) / 200_000


def clipped_t(std):
    return np.clip(std * np.sqrt(3 / 5) * stats.t(5).ppf(P), -CLIP, CLIP)


HEAVY_STD = optimize.brentq(lambda std: clipped_t(std).var() - 1, 1, 1.1)
LAW = {
    "gaussian": np.clip(stats.norm.ppf(P), -CLIP, CLIP),
    "uniform": stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)).ppf(P),
    "bimodal": np.sort([s * np.sqrt(0.91) + 0.3 * stats.norm.ppf(P[::2]) for s in (-1, 1)], None),
    "heavy": clipped_t(HEAVY_STD),
}


# --- one factor -----------------------------------------------------------------------------------


@pytest.mark.parametrize("law", CHOSEN)
def test_each_factor_has_the_law(drawn, law):
    at = np.linspace(-3.4, 3.4, 69)
    expected = np.searchsorted(LAW[law], at) / len(P)
    for j, values in enumerate(drawn[law].T):
        share = np.searchsorted(np.sort(values), at) / N
        assert np.abs(share - expected).max() < 2.5 / np.sqrt(N), FACTORS[j].name  # Kolmogorov


@pytest.mark.parametrize(
    ("law", "excess"), [("gaussian", 0), ("uniform", -1.2), ("bimodal", -1.656), ("heavy", 1.234)]
)
def test_mean_and_spread_are_common_and_kurtosis_the_laws_own(drawn, law, excess):
    assert abs(LAW[law].var() - 1) < 0.001
    assert abs(stats.kurtosis(LAW[law]) - excess) < 0.02
    for power in (1, 2, 3, 4):
        moment = (LAW[law] ** power).mean()
        values = drawn[law] ** power
        error = values.std(axis=0) / np.sqrt(N)
        assert (np.abs(values.mean(axis=0) - moment) < 5 * error).all()
        per_face = values.mean(axis=1)  # faces are independent, factors of one face may not be
        assert abs(per_face.mean() - moment) < 5 * per_face.std() / np.sqrt(N)


@pytest.mark.parametrize(
    ("law", "share"), [("gaussian", 0.00047), ("uniform", 0), ("bimodal", 0), ("heavy", 0.0073)]
)
def test_as_much_is_clipped_as_is_said(drawn, law, share):
    per_face = (np.abs(drawn[law]) > CLIP - 1e-5).mean(axis=1)
    assert abs(per_face.mean() - share) <= 5 * per_face.std() / np.sqrt(N)
    assert np.abs(drawn[law]).max() < CLIP + 1e-5
    if law == "uniform":
        assert np.abs(drawn[law]).max() < np.sqrt(3) + 1e-5


def test_a_face_keeps_its_ranks_from_gaussian_to_uniform(drawn):
    unit = drawn["uniform"] / np.sqrt(12) + 0.5
    middle = np.abs(drawn["gaussian"]) < CLIP - 1e-5
    assert np.abs(stats.norm.cdf(drawn["gaussian"]) - unit)[middle].max() < 1e-5


# --- factors together -----------------------------------------------------------------------------


def strongest_correlation(values):
    return np.abs(np.corrcoef(values.T) - np.eye(values.shape[1])).max()


@pytest.mark.parametrize("law", ["gaussian", "uniform", "bimodal"])
def test_factors_are_independent(drawn, law):
    for of in (np.asarray, np.sign, np.abs, np.square):
        assert strongest_correlation(of(drawn[law])) < 5.5 / np.sqrt(N)


def test_bimodal_factors_have_their_own_cluster_each(drawn):
    a, b = drawn["bimodal"][:, :2].T > 0
    for share in ((a & b).mean(), (a & ~b).mean(), (~a & b).mean(), (~a & ~b).mean()):
        assert abs(share - 1 / 4) < 5 * np.sqrt(3 / 16 / N)
    assert (np.abs(drawn["bimodal"]) < 0.3).mean() < 0.02  # and hardly anything is in between


def test_heavy_factors_are_uncorrelated_but_share_a_radius(drawn):
    heavy = drawn["heavy"]
    squares = np.corrcoef(np.square(heavy).T)[np.triu_indices(heavy.shape[1], 1)]
    assert squares.min() > 0.1
    together = np.square(heavy[:, 0] * heavy[:, 1]).mean()
    assert strongest_correlation(heavy) < 5.5 * np.sqrt(together / N)


SOME = ["smile", "yaw", "hair_dark", "face_width", "age", "glasses"]  # one of them binary


def squared_distances(law):
    factors = draw_factors(range(5_000), seed=2, law=law, vary=SOME)
    return np.square(deviations(factors, [COLUMN[name] for name in SOME])).sum(axis=1)


def test_the_radius_is_chi_square_under_gaussian():
    assert stats.kstest(squared_distances("gaussian"), stats.chi2(len(SOME)).cdf).pvalue > 0.01


@pytest.mark.parametrize("law", ["uniform", "bimodal", "heavy"])
def test_the_radius_is_not_chi_square_otherwise(law):
    assert stats.kstest(squared_distances(law), stats.chi2(len(SOME)).cdf).pvalue < 1e-9


def test_the_radius_is_f_under_heavy():
    squared = np.sort(squared_distances("heavy"))
    unclipped = squared < CLIP**2
    law = stats.f(len(SOME), 5).cdf(squared / len(SOME) / (HEAVY_STD**2 * 3 / 5))
    seen = (np.arange(len(squared)) + 0.5) / len(squared)
    assert np.abs(law - seen)[unclipped].max() < 1.6 / np.sqrt(len(squared))
    assert unclipped.mean() > 0.8


# --- one face, one number -------------------------------------------------------------------------


def test_the_natural_faces_are_those_of_old():
    factors = draw_factors(range(2_000), seed=3)
    assert hashlib.sha256(factors.tobytes()).hexdigest().startswith("a1c6868505e0c4f470803ba9")
    assert np.array_equal(factors, draw_factors(range(2_000), 3, "natural", list(COLUMN)))
    colours = render(factors[:3], 64).mean(axis=(1, 2))  # up to rounding, which is the processor's
    known = [[109.21, 86.81, 86.45], [139.37, 118.72, 117.62], [173.67, 152.24, 137.27]]
    assert np.abs(colours - known).max() < 0.05


@pytest.mark.parametrize("vary", [None, ["smile"], SOME])
@pytest.mark.parametrize("law", LAWS)
def test_a_face_is_the_same_in_any_company(law, vary):
    indices = np.array([5, 2**40, 0, 1_500, 3, 5])
    together = draw_factors(indices, seed=1, law=law, vary=vary)
    alone = [draw_factors([i], seed=1, law=law, vary=vary)[0] for i in indices]
    assert np.array_equal(together, alone)
    assert np.array_equal(together[3], draw_factors(range(2_000), 1, law, vary)[1_500])
    assert np.array_equal(faces(indices, 1, 16, law, vary), render(together, 16))


@pytest.mark.parametrize("law", LAWS)
def test_what_is_not_to_vary_is_held_and_the_rest_is_as_ever(law):
    named = np.isin(list(COLUMN), SOME)
    every = draw_factors(range(300), law=law, vary=iter(COLUMN))
    some = draw_factors(range(300), law=law, vary=SOME)
    assert np.array_equal(some[:, named], every[:, named])
    assert (np.ptp(some[:, named], axis=0) > 0).all()
    held = some[0, ~named]
    assert (some[:, ~named] == held).all()
    assert np.allclose(held, draw_factors([7], law="uniform", vary=["smile"])[0, ~named])
    usual = draw_factors(range(300), law=law)
    assert np.array_equal(np.ptp(usual, axis=0) > 0, CONTINUOUS | (law == "natural"))


def test_held_factors_make_an_average_face():
    average = dict(zip(COLUMN, draw_factors([0], law="gaussian", vary=["roll"])[0], strict=True))
    for factor in FACTORS:
        if factor.kind == "binary":
            assert average[factor.name] == 0
        elif factor.law == "rare":
            assert average[factor.name] == pytest.approx(factor.low + 0.125 * factor.high)
        elif factor.name != "roll":
            assert average[factor.name] == pytest.approx((factor.low + factor.high) / 2, abs=1e-6)


def test_a_binary_factor_that_is_named_shows_above_one_half():
    factors = draw_factors(range(40), law="uniform", vary=["hat"])
    hat = factors[:, COLUMN["hat"]]
    assert len(np.unique(hat)) == 40
    assert len(np.unique(render(factors, 32).reshape(40, -1), axis=0)) == 2
    factors[:, COLUMN["hat"]] = hat > 0.5
    assert np.array_equal(render(factors, 32), faces(range(40), 0, 32, "uniform", ["hat"]))


@pytest.mark.parametrize("law", CHOSEN)
def test_faces_of_every_law_are_different_pictures(law):
    pixels = faces(range(12), size=32, law=law).reshape(12, -1).astype(float)
    assert len(np.unique(pixels, axis=0)) == 12
    assert pixels.std(axis=1).min() > 20


# --- sweeps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_a_sweep_moves_one_factor_evenly_over_its_range(factor):
    rows = sweep_factor(factor.name, 5, face=9, seed=2)
    column = COLUMN[factor.name]
    assert rows.dtype == np.float32
    assert rows[:, column] == pytest.approx(np.linspace(factor.low, factor.high, 5))
    rows[:, column] = draw_factors([9], seed=2)[0, column]
    assert np.array_equal(rows, np.repeat(draw_factors([9], seed=2), 5, axis=0))


def test_a_sweep_keeps_to_its_population():
    rows = sweep_factor("smile", 2, 4, 1, "uniform", ["yaw"])
    face = draw_factors([4], 1, "uniform", ["yaw"])
    face[0, COLUMN["smile"]] = rows[0, COLUMN["smile"]]
    assert np.array_equal(rows[:1], face)


# --- landmarks ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def posed():
    """An average face in all poses and mouths: nothing hides the landmarks."""
    middling = ["eye_distance", "nose_length", "mouth_width", "smile", "face_width"]
    factors = draw_factors(range(60), seed=6, law="uniform", vary=POSE + middling)
    turn = [COLUMN[name] for name in ("roll", "yaw", "pitch")]
    factors[:, turn] = (2 * factors - LOW - HIGH)[:, turn] + ((LOW + HIGH) / 2)[turn]  # further
    return factors


def of(points, name):
    return points[:, LANDMARKS.index(name)]


def test_landmarks_are_named_in_celebas_order():
    assert LANDMARKS == ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
    points = landmarks_of(draw_factors(range(5_000), seed=1))
    assert points.shape == (5_000, 5, 2)
    assert points.dtype == np.float32
    assert landmarks_of(draw_factors([])).shape == (0, 5, 2)
    assert ((points > 0.1) & (points < 0.9)).all()
    assert (of(points, "lefteye")[:, 0] < of(points, "righteye")[:, 0] - 0.1).all()
    assert (of(points, "leftmouth")[:, 0] < of(points, "rightmouth")[:, 0] - 0.1).all()
    heights = points[..., 1]
    assert (heights[:, :2].max(axis=1) < heights[:, 2]).all()
    assert (heights[:, 2] < heights[:, 3:].max(axis=1)).all()


def test_the_way_back_from_face_to_picture_undoes_the_way_there(posed):
    extreme = posed.copy()
    for name in ("roll", "yaw", "pitch"):
        column = COLUMN[name]
        middle = (LOW + HIGH)[column] / 2
        extreme[:, column] = np.where(posed[:, column] < middle, LOW[column], HIGH[column])
    scene = Scene(extreme, 32)
    x, y = scene.place(scene.p, scene.q)
    centres = (np.arange(32) + 0.5) / 32
    assert np.abs(x - centres).max() < 1e-5
    assert np.abs(y - centres[:, None]).max() < 1e-5


def test_the_mirrored_face_has_mirrored_landmarks(posed):
    mirrored = posed.copy()
    mirrored[:, [COLUMN[name] for name in ("shift_x", "roll", "yaw", "gaze_x")]] *= -1
    swapped = landmarks_of(mirrored)[:, [1, 0, 2, 4, 3]]
    swapped[..., 0] = 1 - swapped[..., 0]
    assert np.allclose(swapped, landmarks_of(posed), atol=1e-6)


def test_roll_turns_shift_moves_and_scale_stretches_the_landmarks(posed):
    level = posed.copy()
    level[:, [COLUMN[name] for name in ("shift_x", "shift_y", "roll", "yaw", "gaze_x")]] = 0
    level[:, COLUMN["scale"]] = 1
    points = landmarks_of(level)
    assert np.allclose(of(points, "lefteye")[:, 1], of(points, "righteye")[:, 1], atol=1e-6)
    assert np.allclose(of(points, "nose")[:, 0], 0.5, atol=1e-6)

    angle = level.copy()
    angle[:, COLUMN["roll"]] = posed[:, COLUMN["roll"]]
    for left, right in (("lefteye", "righteye"), ("leftmouth", "rightmouth")):
        dx, dy = (of(landmarks_of(angle), right) - of(landmarks_of(angle), left)).T
        assert np.allclose(np.arctan2(dy, dx), posed[:, COLUMN["roll"]], atol=1e-5)

    moved = level.copy()
    moved[:, COLUMN["shift_x"]], moved[:, COLUMN["shift_y"]] = 0.08, -0.04  # half a side is 1
    assert np.allclose(landmarks_of(moved) - points, [0.04, -0.02], atol=1e-6)
    moved = level.copy()
    moved[:, COLUMN["scale"]] = 1.08
    centre = [0.5, 0.47]  # of the head's frame: between the eyes
    assert np.allclose(landmarks_of(moved) - centre, 1.08 * (points - centre), atol=1e-6)


SIZE = 128


def where_it_changes(factors, name, low, high):
    """How much each pixel changes with one factor, (n, size, size), and the pixels' positions."""
    pixels = []
    for value in (low, high):
        rows = factors.copy()
        rows[:, COLUMN[name]] = value
        pixels.append(render(rows, SIZE).astype(float).mean(axis=3))
    return np.abs(pixels[0] - pixels[1]), (np.arange(SIZE) + 0.5) / SIZE


def centre_of(change, at):
    """Centre of what changes, (n, 2)."""
    weight = change.sum(axis=(1, 2))
    x = (change.sum(axis=1) * at).sum(axis=1) / weight
    y = (change.sum(axis=2) * at).sum(axis=1) / weight
    return np.stack([x, y], axis=1)


def near(points, at, radius):
    """The pixels that close to a point, (n, size, size)."""
    return np.hypot(at - points[:, :1, None], at[:, None] - points[:, 1:, None]) < radius


def test_pupils_are_where_the_irises_change_colour(posed):
    change, at = where_it_changes(posed, "eye_colour", 0, 1)
    points = landmarks_of(posed)
    for name in ("lefteye", "righteye"):
        eye = of(points, name)
        off = centre_of(change * near(eye, at, 0.06), at) - eye
        assert np.abs(off).max() < 2 / SIZE
        assert np.abs(off.mean(axis=0)).max() < 1 / SIZE


def test_corners_of_the_mouth_are_where_lipstick_ends(posed):
    change, at = where_it_changes(posed, "lipstick", 0, 1)
    points = landmarks_of(posed)
    for i, painted in enumerate(change > 8):
        columns = at[painted.any(axis=0)]
        assert abs(columns.min() - of(points, "leftmouth")[i, 0]) < 3 / SIZE
        assert abs(columns.max() - of(points, "rightmouth")[i, 0]) < 3 / SIZE


def test_the_tip_of_the_nose_is_just_above_where_a_wider_nose_shows(posed):
    change, at = where_it_changes(posed, "nose_width", 0.9, 1.1)
    tip = of(landmarks_of(posed), "nose")
    off = centre_of(change * near(tip, at, 0.06), at) - tip
    roll = posed[:, COLUMN["roll"]]
    across = np.cos(roll) * off[:, 0] + np.sin(roll) * off[:, 1]
    down = np.cos(roll) * off[:, 1] - np.sin(roll) * off[:, 0]
    assert np.abs(across).max() < 2 / SIZE
    assert down.min() > 0
    assert down.max() < 2 / SIZE


def test_pupils_are_darker_than_what_is_around_them():
    factors = draw_factors(range(150), seed=4)
    factors = factors[factors[:, COLUMN["glasses"]] < 0.5]
    light = render(factors, SIZE).mean(axis=3)
    points = landmarks_of(factors)
    rows = np.arange(len(factors))

    def at(shift):
        x, y = ((points[:, :2] + np.array(shift) / SIZE) * SIZE).astype(int).transpose(2, 1, 0)
        return light[rows, y, x].mean()

    angles = np.arange(8) * np.pi / 4
    around = [at((6 * np.cos(angle), 6 * np.sin(angle))) for angle in angles]
    assert at((0, 0)) < np.mean(around) - 20


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"law": "gausian"}, "No law is called 'gausian'; did you mean 'gaussian'"),
        ({"law": None}, "No law is called None. There are: natural, gaussian"),
        ({"vary": ["smlie"]}, "No factor is called 'smlie'; did you mean 'smile'"),
        ({"vary": [3]}, "No factor is called 3. There are: male, age"),
        ({"vary": []}, "vary must name a factor or more"),
        ({"vary": "smile"}, "vary must be several names of factors, got 'smile'; for one"),
        ({"vary": 3}, "vary must be several names of factors, got 3"),
    ],
)
def test_a_bad_law_or_factor_is_named(arguments, message):
    for use in (draw_factors, faces):
        with pytest.raises(InputError, match=message):
            use([0], **arguments)
    with pytest.raises(InputError, match=message):
        sweep_factor("yaw", 2, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("smlie", 3), "No factor is called 'smlie'; did you mean 'smile'"),
        (("smile", 1), "n must be an integer from 2 to 100000, got 1"),
        (("smile", 2.5), "n must be an integer"),
        (("smile", 3, -1), "face must be an integer"),
        (("smile", 3, [0]), "face must be an integer"),
        (("smile", 3, 0, -1), "seed must be an integer"),
    ],
)
def test_a_bad_sweep_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        sweep_factor(*arguments)


def test_landmarks_of_something_else_are_refused():
    with pytest.raises(InputError, match="a column per entry of FACTORS"):
        landmarks_of(np.zeros((2, 3)))
