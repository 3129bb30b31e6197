"""Attributes in the cloud: directions find what is planted, arithmetic holds, laws are theirs."""

import numpy as np
import pytest
from scipy import stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from latentshape.attributes import (
    METHODS,
    along_axes,
    auc,
    fit_directions,
    separability,
    within_class,
)
from latentshape.conditional import (
    CONDITIONAL,
    ConditionalGaussian,
    choose_law,
    fit_where,
)
from latentshape.errors import InputError
from latentshape.facts import Facts
from latentshape.samplers import make_sampler
from latentshape.shape import Moments

D = 12


def planted(n, seed=0):
    """Codes that are a random linear map of 9 factors and noise, off-centre, with facts about them."""
    fixed = np.random.default_rng(99)
    mixing, centre = fixed.standard_normal((D, D)), fixed.uniform(-20, 20, D)
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, D))
    hidden[:, :3] = rng.uniform(-1.7, 1.7, (n, 3))
    z = (hidden @ mixing + centre).astype(np.float32)
    noise = 0.2 * rng.standard_normal((n, 9))
    smiling = hidden[:, 0] + 0.3 * rng.standard_normal(n) > 0.8
    male = hidden[:, 1] + 0.5 * hidden[:, 0] + 0.3 * rng.standard_normal(n) > 0
    numbers = hidden[:, :9] + noise
    names = ("Smiling", "Male", *(f"factor{j}" for j in range(9)))
    values = np.concatenate([smiling[:, None], male[:, None], numbers], 1).astype(float)
    return z, Facts(names, values, np.array([True, True] + 9 * [False]))


@pytest.fixture(scope="module")
def train():
    return planted(4000)


@pytest.fixture(scope="module")
def held_out():
    return planted(1500, seed=1)


@pytest.fixture(scope="module")
def directions(train):
    return fit_directions(*train)


# --- directions -------------------------------------------------------------------------------------


def test_planted_factors_are_recovered_on_held_out_codes(directions, held_out):
    found = separability(directions, *held_out)
    numbers = [s for s in found if s.measure == "correlation"]
    assert len(numbers) == 9
    assert all(s.value > 0.9 for s in numbers)
    # The best that a linear read-out could do: the factor without its noise.
    best = 1 / np.sqrt(1 + 0.04 / (np.array([1.7**2 / 3] * 3 + [1.0] * 6)))
    np.testing.assert_allclose([s.value for s in numbers], best, atol=0.01)


def test_means_alone_do_worse_where_the_cloud_is_no_ball(train, held_out, directions):
    means = separability(fit_directions(*train, "means"), *held_out)
    whitened = separability(directions, *held_out)
    gains = [w.value - m.value for w, m in zip(whitened, means)]
    assert min(gains) > -0.01
    assert np.mean(gains) > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_shuffled_facts_separate_nothing(train, held_out, method):
    (z, facts), (other, theirs) = train, held_out
    control = fit_directions(z, facts.shuffled(0), method, names=["Smiling", "Male"])
    for found in separability(control, other, theirs.shuffled(1)):
        assert abs(found.value - 0.5) < 5 * found.error
    real = fit_directions(z, facts, method, names=["Smiling", "Male"])
    for found in separability(real, other, theirs):
        assert found.value > 0.5 + 10 * found.error


def test_the_discriminant_is_fishers(train, directions):
    """Though its covariance is that of all codes, and not that within the classes."""
    z, facts = train
    model = LinearDiscriminantAnalysis(solver="lsqr")
    fisher = model.fit(z.astype(np.float64), facts["Male"] > 0.5).coef_[0]
    ours = directions.readouts[directions.index("Male")]
    assert fisher @ ours / np.linalg.norm(fisher) / np.linalg.norm(ours) == pytest.approx(
        1, abs=1e-9
    )


def test_for_numbers_the_discriminant_is_least_squares(train, directions):
    z, facts = train
    x = np.c_[np.ones(len(z)), z.astype(np.float64)]
    slope = np.linalg.lstsq(x, facts["factor4"], rcond=None)[0][1:]
    ours = directions.readouts[directions.index("factor4")]
    np.testing.assert_allclose(
        ours / np.linalg.norm(ours), slope / np.linalg.norm(slope), atol=1e-6
    )


def test_means_are_the_difference_of_the_class_means(train):
    z, facts = train
    yes = facts["Smiling"] > 0.5
    wanted = z[yes].mean(0, dtype=np.float64) - z[~yes].mean(0, dtype=np.float64)
    ours = fit_directions(z, facts, "means", names=["Smiling"]).readouts[0]
    np.testing.assert_allclose(
        ours / np.linalg.norm(ours), wanted / np.linalg.norm(wanted), atol=1e-6
    )


def test_directions_do_not_depend_on_the_units_of_codes(train, held_out):
    """Whitened ones, that is: any invertible affine map of all codes leaves their scores."""
    (z, facts), (other, _) = train, held_out
    a = np.random.default_rng(3).standard_normal((D, D))
    for method in ("logistic", "discriminant"):
        plain = fit_directions(z, facts, method).scores(other)
        mapped = fit_directions(z.astype(float) @ a + 7, facts, method).scores(
            other.astype(float) @ a + 7
        )
        np.testing.assert_allclose(mapped, plain, atol=5e-3)


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_in_sigmas_of_the_training_codes(train, method):
    scores = fit_directions(*train, method).scores(train[0])
    np.testing.assert_allclose(scores.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(scores.std(0, ddof=1), 1, atol=1e-4)


def test_unknown_answers_are_left_out_of_their_own_attribute_alone(train):
    z, facts = train
    values = facts.values.copy()
    unknown = np.random.default_rng(4).random(len(values)) < 0.3
    values[unknown, 0] = np.nan
    found = fit_directions(z, Facts(facts.names, values, facts.answers), "means")
    known = ~unknown
    yes = known & (facts["Smiling"] > 0.5)
    a = facts["Smiling"] - facts["Smiling"][known].mean()
    wanted = (a[known, None] * (z[known] - Moments.of(z).mean)).mean(0)
    ours = found.readouts[0]
    assert yes.sum() < (facts["Smiling"] > 0.5).sum()
    np.testing.assert_allclose(
        ours / np.linalg.norm(ours), wanted / np.linalg.norm(wanted), atol=1e-6
    )
    np.testing.assert_allclose(
        found.readouts[1:], fit_directions(z, facts, "means").readouts[1:], atol=1e-9
    )


def test_angles_to_the_principal_axes_are_those_of_a_planted_direction():
    rng = np.random.default_rng(5)
    z = rng.standard_normal((4000, 4)) * [8.0, 4.0, 2.0, 1.0]
    facts = Facts(("second",), z[:, [1]], np.array([False]))
    (found,) = along_axes(fit_directions(z, facts), leading=2)
    assert found["axis"] == 2
    assert found["angle"] < 5
    assert found["leading"] > 0.99
    (alone,) = along_axes(fit_directions(z, facts), leading=1)
    assert alone["leading"] < 0.01


def test_steps_prefer_wide_axes_and_readouts_narrow_ones():
    """An attribute that two axes carry alike, in their own sigmas."""
    rng = np.random.default_rng(13)
    y = rng.standard_normal((4000, 3))
    facts = Facts(("both",), y[:, [0]] + y[:, [2]], np.array([False]))
    directions = fit_directions(y * [10.0, 3.0, 1.0], facts)
    (step,), (readout,) = along_axes(directions), along_axes(directions, steps=False)
    assert (step["axis"], readout["axis"]) == (1, 3)
    # Both have the slope 1 : 10 to the axis that they prefer.
    for found in (step, readout):
        assert found["angle"] == pytest.approx(np.degrees(np.arctan(0.1)), abs=1)


def test_the_area_under_the_curve_agrees_with_scikit_learn_and_its_error_with_chance():
    rng = np.random.default_rng(6)
    values, errors = [], []
    for _ in range(300):
        yes = np.arange(120) < 40
        scores = np.round(rng.normal(yes * 0.8, 1), 1)  # with ties
        value, error = auc(scores, yes)
        assert value == pytest.approx(roc_auc_score(yes, scores))
        values.append(value)
        errors.append(error)
    # The standard deviation of 300 numbers is known to 4 %; within five of that.
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


# --- arithmetic -------------------------------------------------------------------------------------


def test_what_is_held_stays_and_what_is_moved_moves(directions, held_out):
    z = held_out[0].astype(np.float64)
    hold = ["Male", "factor1", "factor5"]
    moved = directions.move(z, {"Smiling": 1.5, "factor7": -0.5}, hold=hold)
    change = (directions.scores(moved) - directions.scores(z))[
        :, [directions.index(n) for n in ("Smiling", "factor7", *hold)]
    ]
    np.testing.assert_allclose(change, np.tile([1.5, -0.5, 0, 0, 0], (len(z), 1)), atol=1e-9)
    free = directions.scores(directions.move(z, {"Smiling": 1.5})) - directions.scores(z)
    assert np.abs(free[:, directions.index("Male")]).min() > 0.1  # what holding is good for
    assert directions.move(held_out[0], {"Smiling": 1.0}).dtype == np.float32


def test_the_step_is_the_shortest_that_does_it(directions):
    """Every other step with the same effect is longer, in the sense of Mahalanobis."""
    step = directions.displacement({"Smiling": 1.0}, hold=["Male"])
    inverse = np.linalg.inv(directions.moments.cov)
    w = directions.readouts[:2]
    blind = np.linalg.svd(w)[2][2:]
    for other in blind:
        assert step @ inverse @ other == pytest.approx(0, abs=1e-8)
    alone = directions.displacement({"Smiling": 1.0})
    assert np.sqrt(alone @ inverse @ alone) == pytest.approx(1)
    assert step @ inverse @ step > 1


def test_the_step_of_the_discriminant_is_the_difference_of_the_means(train, directions):
    z, facts = train
    step = directions.displacement({"Smiling": 1.0})
    means = fit_directions(z, facts, "means", names=["Smiling"]).readouts[0]
    assert step @ means / np.linalg.norm(step) / np.linalg.norm(means) == pytest.approx(1)


def test_sliders_end_where_the_codes_do(directions, train):
    sliders = directions.sliders(train[0], shares=(0.0, 1.0))
    scores = directions.scores(train[0])
    assert [s["name"] for s in sliders] == list(directions.names)
    np.testing.assert_allclose([s["low"] for s in sliders], scores.min(0))
    np.testing.assert_allclose([s["high"] for s in sliders], scores.max(0))


@pytest.mark.parametrize(
    ("steps", "hold", "said"),
    [
        ({}, [], "Nothing is to be moved"),
        ({"Smilling": 1.0}, [], "did you mean 'Smiling'"),
        ({"Smiling": np.inf}, [], "finite number"),
        ({"Smiling": 1.0}, ["Mael"], "did you mean 'Male'"),
        ({"Smiling": 1.0}, ["twin"], "Smiling, twin say the same of every code"),
    ],
)
def test_arithmetic_that_cannot_be_done_is_refused(train, steps, hold, said):
    z, facts = train
    twin = Facts(
        (*facts.names, "twin"),
        np.c_[facts.values, 1 - facts["Smiling"]],
        np.r_[facts.answers, True],
    )
    with pytest.raises(InputError) as refusal:
        fit_directions(z, twin).displacement(steps, hold)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "fisher"}, "'means' or 'logistic' or 'discriminant'"),
        ({"names": ["Smilling"]}, "did you mean 'Smiling'"),
        ({"names": ["constant"]}, "the same for all training images"),
        ({"names": ["factor1"], "method": "logistic"}, "logistic regression is about yes and no"),
    ],
)
def test_directions_that_are_not_there_are_refused(train, options, said):
    z, facts = train
    more = Facts(
        (*facts.names, "constant"),
        np.c_[facts.values, np.ones(len(z))],
        np.r_[facts.answers, True],
    )
    with pytest.raises(InputError) as refusal:
        fit_directions(z, more, **options)
    assert said in str(refusal.value)


# --- classes within the cloud -----------------------------------------------------------------------


def test_a_class_of_a_gaussian_shows_its_planted_offset_and_covariance():
    rng = np.random.default_rng(7)
    n, d = 20_000, 5
    member = rng.random(n) < 0.4
    z = rng.standard_normal((n, d))
    z[member] *= 0.5
    z[member, 0] += 3.0
    found = within_class(z, member)
    all_moments = Moments.of(z)
    cov = np.diag([0.25] * d)
    inverse = np.linalg.inv(all_moments.cov)
    shift = np.eye(d)[0] * 3 - all_moments.mean
    assert found["n"] == member.sum()
    assert found["offset_sigma"] == pytest.approx(np.sqrt(shift @ inverse @ shift), rel=0.02)
    between = z[member].mean(0) - z[~member].mean(0)
    assert found["apart_sigma"] == pytest.approx(np.sqrt(between @ inverse @ between))
    assert found["covariance_ratio"] == pytest.approx(np.trace(inverse @ cov) / d, rel=0.02)
    # Normal within, not normal as a whole.
    assert found["variance_ratio"] == pytest.approx(1, abs=5 * np.sqrt(8 / member.sum()))
    assert found["variance_ratio_all"] > found["variance_ratio"] + 0.1


def test_a_class_with_a_heavy_radius_is_told_from_one_without():
    rng = np.random.default_rng(8)
    z = rng.standard_normal((12_000, 6))
    heavy = np.arange(len(z)) < 6000
    z[heavy] *= np.sqrt(5 / rng.chisquare(5, 6000))[:, None]
    assert within_class(z, heavy)["variance_ratio"] > 2
    assert within_class(z, ~heavy)["variance_ratio"] < 1.2


def test_a_class_too_small_for_a_shape_says_so():
    z = np.random.default_rng(9).standard_normal((50, 8))
    found = within_class(z, np.arange(50) < 5)
    assert found["variance_ratio"] is None
    assert "n > d + 1" in found["why"]
    assert found["offset_sigma"] > 0
    assert "fewer than 2" in within_class(z, np.arange(50) < 1)["why"]


# --- laws under a condition -------------------------------------------------------------------------


def test_given_one_attribute_the_closed_form_is_the_class_mean_and_the_pooled_covariance(train):
    z, facts = train
    law = ConditionalGaussian("Smiling").fit_with(z, facts)
    yes = facts["Smiling"] > 0.5
    z = z.astype(np.float64)
    pooled = yes.mean() * np.cov(z[yes].T, ddof=0) + (~yes).mean() * np.cov(z[~yes].T, ddof=0)
    np.testing.assert_allclose(law.mean_, z[yes].mean(0), rtol=1e-6)
    np.testing.assert_allclose(law.cov_, pooled * len(z) / (len(z) - 1), rtol=1e-5, atol=1e-6)


def test_of_a_joint_gaussian_the_closed_form_is_the_textbooks():
    """Against the conditional moments of the planted covariance, by rows that satisfy the condition."""
    rng = np.random.default_rng(10)
    mixing = rng.standard_normal((5, 5))
    both = rng.standard_normal((200_000, 5)) @ mixing + 3
    z, a = both[:, :4], both[:, 4:]
    facts = Facts(("a",), a, np.array([False]))
    limit = float(np.quantile(a, 0.8))
    law = ConditionalGaussian(f"a > {limit}").fit_with(z, facts)
    chosen = z[a[:, 0] > limit]
    error = chosen.std(0) / np.sqrt(len(chosen))
    assert np.abs((law.mean_ - chosen.mean(0)) / error).max() < 5
    np.testing.assert_allclose(law.cov_, np.cov(chosen.T), atol=0.03 * np.abs(law.cov_).max())


@pytest.mark.parametrize(
    "where", ["Smiling", "Smiling & ~Male | factor3 > 1", "factor0 > 1 & factor1 < 0"]
)
def test_draws_have_the_laws_own_moments_and_rows_of_their_own(train, where):
    law = ConditionalGaussian(where).fit_with(*train)
    draws = law.sample(40_000, seed=1).astype(np.float64)
    whitening = np.linalg.inv(np.linalg.cholesky(law.cov_))
    white = (draws - law.mean_) @ whitening.T
    assert np.abs(white.mean(0)).max() < 5 / np.sqrt(len(draws))
    assert np.abs(np.cov(white.T) - np.eye(D)).max() < 5 * np.sqrt(2 / len(draws))
    seeds = range(3, 90)
    assert np.array_equal(law.sample_at(seeds)[7:9], law.sample_at([10, 11]))


def test_wishes_come_true_in_draws_of_both_laws(train):
    """The planted answer of each draw: read from the factors that a linear map gives back."""
    z, facts = train
    x = np.c_[np.ones(len(z)), z]
    back = np.linalg.lstsq(x, facts.columns(["factor0", "factor1"]), rcond=None)[0]

    def share(law):
        smile, male = (np.c_[np.ones(4000), law.sample(4000)] @ back).T
        return ((smile > 0.8) & (male + 0.5 * smile < 0)).mean()

    where = "Smiling & ~Male"
    base = share(make_sampler("gaussian").fit(z))
    closed, own = (share(fit_where(name, where, z, facts)) for name in (CONDITIONAL, "gaussian"))
    assert base < 0.2
    assert closed > base + 0.3
    assert own > base + 0.3


def test_a_condition_that_no_image_satisfies_has_a_law_all_the_same():
    rng = np.random.default_rng(11)
    kind = rng.integers(0, 3, 3000)  # both a and b: never
    a, b, c = kind == 1, kind == 2, rng.random(3000)
    z = rng.standard_normal((3000, 4)) + np.stack([4 * a, 4 * b, 2 * c, np.zeros(3000)], 1)
    values = np.stack([a, b, c], 1).astype(float)
    facts = Facts(("a", "b", "c"), values, np.array([True, True, False]))
    law = fit_where(CONDITIONAL, "a & b & c > 0.5", z, facts)
    # What each does, added up.
    np.testing.assert_allclose(law.mean_, [4, 4, 1.5, 0], atol=0.2)
    assert set(map(tuple, law.asked_[:, :2])) == {(1.0, 1.0)}
    assert law.asked_[:, 2].min() > 0.5
    with pytest.raises(InputError) as refusal:
        fit_where("gaussian", "a & b", z, facts)
    assert "0 of 3,000 training images satisfy 'a & b'" in str(refusal.value)
    assert "--sampler conditional" in str(refusal.value)


def test_a_class_law_is_the_samplers_own_fit_of_the_class(train):
    z, facts = train
    law = fit_where("elliptical", "Male & ~Smiling", z, facts)
    member = (facts["Male"] > 0.5) & (facts["Smiling"] < 0.5)
    np.testing.assert_allclose(law.mean_, Moments.of(z[member]).mean)


@pytest.mark.parametrize(
    ("name", "where", "options", "said"),
    [
        (CONDITIONAL, "Smilling", {}, "did you mean 'Smiling'"),
        (CONDITIONAL, "Smiling & ~Smiling", {}, "contradicts itself"),
        (CONDITIONAL, "Smiling", {"temperature": 0.5}, "takes no options"),
        (CONDITIONAL, "Smiling & twin", {}, "Smiling, twin determine one another"),
        (CONDITIONAL, "constant", {}, "is yes for all 4,000 training images"),
        ("gausian", "Smiling", {}, "did you mean 'gaussian'"),
        ("gaussian", "Smiling", {"b": 1}, "has no option 'b'"),
        ("gaussian", "factor3 > 3.2", {}, "needs more codes than dimensions"),
    ],
)
def test_laws_that_cannot_be_had_are_refused(train, name, where, options, said):
    z, facts = train
    more = np.c_[facts.values, 1 - facts["Smiling"], np.ones(len(z))]
    facts = Facts((*facts.names, "twin", "constant"), more, np.r_[facts.answers, True, True])
    with pytest.raises(InputError) as refusal:
        fit_where(name, where, z, facts, **options)
    assert said in str(refusal.value)


def test_facts_of_other_images_are_refused(train):
    z, facts = train
    with pytest.raises(InputError, match="of the same images"):
        fit_where(CONDITIONAL, "Male", z[:-1], facts)
    with pytest.raises(InputError, match="of the same images"):
        fit_directions(z[:-1], facts)
    with pytest.raises(InputError, match="fit_with"):
        ConditionalGaussian("Male").fit(z)


def test_what_could_not_be_loaded_is_not_saved(train, tmp_path):
    with pytest.raises(InputError, match="is not saved"):
        ConditionalGaussian("Male").fit_with(*train).save(tmp_path / "law")


def test_small_classes_get_the_closed_form_and_large_ones_their_own():
    assert choose_law(9, 8, "copula") == CONDITIONAL
    assert choose_law(10_000, 8, "copula") == "copula"


def test_scores_of_normal_codes_are_normal(directions):
    """What moves along a read-out by so many sigmas is said in a unit that means what it says."""
    rng = np.random.default_rng(12)
    codes = rng.multivariate_normal(directions.moments.mean, directions.moments.cov, 4000)
    scores = directions.scores(codes, names=["Male", "factor8"])
    assert all(stats.kstest(column, "norm").pvalue > 1e-4 for column in scores.T)
