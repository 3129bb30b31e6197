"""The verdict names what was planted, and judges by effects, not by p-values alone."""

import copy

import numpy as np
import pytest
from scipy import special

from latentshape.samplers import SAMPLERS
from latentshape.shape import measure
from latentshape.shape.verdict import verdict

N, D = 3000, 6


def turned(y, seed=0, offset=3.0):
    """Another centre, other scales, another rotation: nothing that the verdict may depend on."""
    rng = np.random.default_rng((seed, 9))
    return (y @ rng.standard_normal((y.shape[1], y.shape[1])) + offset).astype(np.float32)


def gaussian(rng):
    return turned(rng.standard_normal((N, D)))


def student(rng):
    return turned(rng.standard_normal((N, D)) * np.sqrt(5 / rng.chisquare(5, (N, 1))))


def scale_mixture(rng):
    return turned(rng.standard_normal((N, D)) * rng.choice([0.6, 1.6], (N, 1)))


def copula(rng):
    """A Gaussian's dependence under exponential margins."""
    g = rng.standard_normal((N, D)) @ np.linalg.cholesky(0.5 * np.eye(D) + 0.5).T
    return -np.log(special.ndtr(-g)).astype(np.float32)


def margins(rng):
    """Correlated Gaussian margins under another dependence: t's copula of 3 degrees of freedom."""
    g = rng.standard_normal((N, D)) @ np.linalg.cholesky(0.5 * np.eye(D) + 0.5).T
    t = g * np.sqrt(3 / rng.chisquare(3, (N, 1)))
    return special.ndtri(np.clip(special.stdtr(3, t), 1e-9, 1 - 1e-9)).astype(np.float32)


def clusters(rng):
    y = rng.standard_normal((N, D))
    y[: N // 3, 2] += 7
    return turned(y)


def hidden_skew(rng):
    y = rng.standard_normal((N, D))
    y[:, 0] = rng.exponential(size=N) - 1
    return turned(y)


#: What was planted; then pairs normal, elliptical, jointly normal, regions, a test meant for it.
PLANTED = {
    "gaussian": (gaussian, True, True, True, 1, None),
    "student": (student, False, True, False, 1, "mardia-kurtosis"),
    "scale mixture": (scale_mixture, False, True, False, 1, "mardia-kurtosis"),
    "copula": (copula, False, False, False, 1, "mardia-skewness"),
    "margins": (margins, False, None, False, 1, "mardia-kurtosis"),
    "clusters": (clusters, None, False, False, 2, "least-gaussian"),
    "hidden skew": (hidden_skew, None, False, False, 1, "least-gaussian"),
}


@pytest.fixture(scope="module")
def records():
    found = {}

    def record(name):
        if name not in found:
            found[name] = measure(PLANTED[name][0](np.random.default_rng(4)))
        return found[name]

    return record


@pytest.mark.parametrize("name", PLANTED)
def test_the_verdict_names_what_was_planted(records, name):
    _, pairs, elliptical, normal, regions, test = PLANTED[name]
    record = records(name)
    said = record["verdict"]
    assert said["multivariate_normal"]["value"] is normal
    assert said["regions"]["value"] == regions
    if elliptical is not None:
        assert said["elliptical"]["value"] is elliptical
    if pairs is False:
        assert said["pairs_normal"]["value"] is False
    elif pairs is True:
        assert said["pairs_normal"]["value"] is not False
    if test is not None:
        assert test in record["normality"]["family"]["rejected"]
    assert all(entry["why"] for key, entry in said.items() if key != "summary")


def test_the_sampler_follows_from_the_verdict(records):
    assert records("gaussian")["verdict"]["sampler"]["value"] == "gaussian"
    assert records("student")["verdict"]["sampler"]["value"] == "elliptical"
    clusters = records("clusters")["verdict"]["sampler"]
    assert clusters["value"] == "elliptical"
    assert "several centres" in clusters["why"]
    for name in PLANTED:
        assert records(name)["verdict"]["sampler"]["value"] in SAMPLERS


def test_a_heavy_radius_hides_at_two_sigma_and_is_not_called_normal(records):
    record = records("student")
    off = {r["sigma"]: abs(r["observed"] - r["expected"]) for r in record["ellipses"]["coverage"]}
    assert off[2.0] < off[1.0] / 3
    assert record["verdict"]["pairs_normal"]["value"] is False


def test_significance_without_effect_is_no_departure(records):
    record = copy.deepcopy(records("gaussian"))
    entry = record["normality"]["mardia-skewness"]
    record["normality"]["family"] |= {"alarm": True, "rejected": ["mardia-skewness"]}
    entry["effect"] = 0.01
    said = verdict(record)["multivariate_normal"]
    assert said["value"] is True
    assert "within its tolerance" in said["why"]
    entry["effect"] = 0.9
    assert verdict(record)["multivariate_normal"]["value"] is False


def test_too_few_codes_are_undecided_not_normal():
    record = measure(np.random.default_rng(0).standard_normal((40, 4)))
    assert record["verdict"]["pairs_normal"]["value"] is None
    assert "too few" in record["verdict"]["pairs_normal"]["why"]
    record = measure(np.random.default_rng(0).standard_normal((5, 8)))
    assert record["verdict"]["multivariate_normal"]["value"] is None
    assert record["verdict"]["elliptical"]["value"] is None


ODD = {
    "one bimodal component": lambda y: np.column_stack(
        [np.sign(y[:, 0]) + 0.3 * y[:, 0], y[:, 1:]]
    ),
    "one uniform component": lambda y: np.column_stack([special.ndtr(y[:, 0]), y[:, 1:]]),
    "one skewed component": lambda y: np.column_stack([np.exp(0.3 * y[:, 0]), y[:, 1:]]),
    "two quadrants": lambda y: np.column_stack([y[:, 0], np.abs(y[:, 1]) * np.sign(y[:, 0]), y[:, 2:]]),
}  # fmt: skip


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_one_odd_pair_among_many_is_seen(change):
    y = np.random.default_rng(0).standard_normal((9000, 12))
    pairs = measure(change(y))["verdict"]["pairs_normal"]
    assert pairs["value"] is False
    assert "(0" in pairs["why"] or "sigma" in pairs["why"]


def test_many_gaussian_codes_have_normal_pairs():
    y = np.random.default_rng(0).standard_normal((20_000, 12))
    said = measure(y)["verdict"]
    assert said["pairs_normal"]["value"] is True
    assert said["multivariate_normal"]["value"] is True


@pytest.mark.parametrize("n", [5, 12, 30, 66, 100])
def test_codes_barely_more_than_their_dimensions_are_measured(n):
    record = measure(np.random.default_rng(0).standard_normal((n, 16)))
    assert record["verdict"]["multivariate_normal"]["value"] is None
    assert record["verdict"]["elliptical"]["value"] is None


def test_a_component_that_hardly_ever_varies_stops_nothing():
    z = np.random.default_rng(0).standard_normal((1000, 3))
    z[:, 2] = 0
    z[[3, 500], 2] = 1.0
    record = measure(z)
    assert record["verdict"]["pairs_normal"]["value"] is False
    z = np.concatenate([z, z[:, :1], np.full((1000, 1), 4.0)], axis=1)
    record = measure(z)  # a duplicate and a constant: the planes of the others are looked at
    assert "kurtosis" in record["planes"]
    assert record["verdict"]["multivariate_normal"]["value"] is None


def test_an_offset_beyond_float32_and_an_outlier_stop_nothing():
    y = np.random.default_rng(0).standard_normal((301, 3))
    assert measure(y + 1e8)["verdict"]["regions"]["why"]
    y[7] = 1e6
    assert measure(y)["verdict"]["pairs_normal"]["why"]
