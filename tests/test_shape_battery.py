"""The battery: Gaussian clouds pass, and each planted departure is named by the test meant for it."""

import json
import re

import numpy as np
import pytest
from scipy import special, stats

from latentshape.errors import InputError
from latentshape.shape import Moments
from latentshape.shape.battery import LEVEL, TESTS, TOLERANCES, false_alarms, normality

N, D = 700, 4


def planted(name, n=N, d=D):
    rng = np.random.default_rng(7)
    z = rng.standard_normal((n, d))
    mixing = rng.standard_normal((d, d))
    if name == "t5":
        return z @ mixing / np.sqrt(rng.chisquare(5, (n, 1)))
    if name == "scale mixture":
        return z @ mixing * np.where(rng.random((n, 1)) < 0.8, 1.0, 2.5)
    if name == "exponential margins":  # of a Gaussian copula
        mixing /= np.linalg.norm(mixing, axis=0)
        return -np.log(special.ndtr(-(z @ mixing)))
    if name == "t copula":  # with Gaussian margins
        t = z @ mixing / np.linalg.norm(mixing, axis=0) / np.sqrt(rng.chisquare(3, (n, 1)) / 3)
        return special.ndtri(stats.t.cdf(t, 3))
    if name == "clayton copula":  # with Gaussian margins
        gamma = rng.gamma(0.5, size=(n, 1))
        return special.ndtri((1 + rng.exponential(size=(n, d)) / gamma) ** -0.5)
    if name == "clusters":
        z[:, 0] += np.where(rng.random(n) < 0.5, 3, -3)
        return z @ np.linalg.qr(mixing)[0]
    if name == "hidden skewness":
        z[:, 0] = rng.exponential(size=n)
        return z @ mixing
    return z @ mixing + 20


MEANT = {
    "t5": ("mardia-kurtosis", "energy", "sliced-ad", "classifier"),
    "scale mixture": ("mardia-kurtosis", "energy", "bhep", "classifier"),
    "exponential margins": ("doornik-hansen", "mardia-skewness", "sliced-ks", "sliced-cvm"),
    "t copula": ("mardia-kurtosis", "energy", "classifier"),
    "clayton copula": ("mardia-skewness", "energy", "bhep"),
    "clusters": ("least-gaussian",),
    "hidden skewness": ("least-gaussian", "mardia-skewness"),
}


@pytest.mark.parametrize("name", MEANT)
def test_a_planted_departure_is_named(name):
    result = normality(planted(name))
    assert set(MEANT[name]) <= set(result["family"]["rejected"])
    for test in MEANT[name]:
        record = result[test]
        assert record["pvalue"] <= LEVEL / 2
        assert record["z"] > 3
        assert record["effect"] > 2 * abs(record["control"]["effect"])


@pytest.mark.parametrize("d", [2, 16])
def test_gaussian_clouds_raise_hardly_any_alarm(d):
    """20 sets at a level below 1 %: one alarm is luck, two are not."""
    assert sum(map(bool, false_alarms(20, 200, d))) <= 1


def test_the_record_is_whole_and_plain():
    z = planted("none")
    result = normality(z, Moments.of(z))
    assert result == normality(z)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert tuple(result) == (*TESTS, "family")
    for name in TESTS:
        record = result[name]
        assert {"statistic", "pvalue", "effect", "control", "n_used", "z"} <= set(record)
        assert 0 < record["pvalue"] <= 1
        assert abs(record["z"]) < 4
    assert result["family"] == {
        "level": 0.01,
        "alarm": False,
        "rejected": [],
        "adjusted": result["family"]["adjusted"],
    }
    assert np.shape(result["least-gaussian"]["directions"]) == (D, D)


def test_enough_codes_are_judged_by_limit_laws_and_few_of_them_drawn():
    z = planted("t5", n=2000)
    result = normality(z, n_used=200)
    assert result["mardia-kurtosis"]["n_used"] == 2000
    assert result["mardia-kurtosis"]["pvalue"] < 1e-20  # no simulation says that
    assert result["energy"]["n_used"] == 200
    assert result["least-gaussian"]["n_used"] == 1000


def test_effects_do_not_grow_with_n():
    few, many = (normality(planted("t5", n=n)) for n in (300, N))
    for name in ("bhep", "energy", "sliced-cvm", "sliced-ad", "sliced-ep", "classifier"):
        assert many[name]["effect"] == pytest.approx(few[name]["effect"], rel=0.6)
        assert many[name]["z"] > few[name]["z"]
    assert set(TOLERANCES) == set(TESTS)


def test_nulls_are_kept_in_the_folder(tmp_path):
    ticks = []
    z = planted("none", n=60, d=1)
    first = normality(z, folder=tmp_path, progress=ticks.append)
    assert sum(ticks) == 199
    assert len(list(tmp_path.iterdir())) == 2
    assert normality(z, folder=tmp_path, progress=ticks.append) == first
    assert sum(ticks) == 199


@pytest.mark.parametrize("shape", [(50, 1), (16, 2)])
def test_few_codes_and_dimensions(shape):
    result = normality(np.random.default_rng(0).standard_normal(shape))
    assert not result["family"]["alarm"]
    assert all(result[name]["pvalue"] is not None for name in TESTS)


@pytest.mark.parametrize(
    ("z", "why"),
    [
        (np.random.default_rng(0).standard_normal((10, 10)), "more codes than dimensions"),
        (np.random.default_rng(0).standard_normal((11, 10)), r"n > d \+ 1"),
        (np.random.default_rng(0).standard_normal((5, 2)), "at least 8 codes"),
        (np.repeat(np.arange(40.0)[:, None], 2, axis=1), "linearly dependent"),
        (np.ones((40, 2)), "constant"),
    ],
)
def test_what_cannot_be_tested_is_said(z, why):
    result = normality(z)
    for name in TESTS:
        assert result[name]["statistic"] is None
        assert result[name]["pvalue"] is None
    assert re.search(why, result["energy"]["why"])
    assert result["family"]["alarm"] is False
    json.dumps(result, allow_nan=False)


def test_some_tests_can_do_without_others():
    """35 codes of 20 dimensions: too few for pursuit and classifier, enough for the rest."""
    result = normality(np.random.default_rng(0).standard_normal((35, 20)))
    assert "n > 2 (d + 1)" in result["least-gaussian"]["why"]
    assert "more than 2 d" in result["classifier"]["why"]
    assert result["energy"]["pvalue"] is not None
    assert not result["family"]["alarm"]


def test_bad_input_is_refused():
    z = planted("none", n=50, d=2)
    with pytest.raises(InputError, match="replicates must be an integer of at least 199"):
        normality(z, replicates=99)
    with pytest.raises(InputError, match="finite"):
        normality(np.where(np.arange(100).reshape(50, 2) == 7, np.nan, z))
