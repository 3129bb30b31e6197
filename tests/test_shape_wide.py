"""Codes of many components: axes without a covariance, tests that keep their level, the whole record."""

import numpy as np
import pytest
from scipy import stats

from latentshape.errors import InputError
from latentshape.explorer.session import Session
from latentshape.plots import STYLE
from latentshape.samplers import make_sampler
from latentshape.shape import PCA, MahalanobisLaw, Moments, mahalanobis_squared, measure, verdict
from latentshape.shape import wide as wide_module
from latentshape.shape.correlation import TiledCorrelation, correlation_counts, strongest_pairs
from latentshape.shape.wide import WideMoments, participation, principal_axes
from latentshape.shape_plots import shape_figures
from latentshape.walks import make_walk


def stretched(n, d, seed=0):
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n, 6)) * [9, 7, 5, 4, 3, 2]
    z = factors @ rng.standard_normal((6, d)) / 3 + rng.standard_normal((n, d)) + 1.5
    return z.astype(np.float32)


ALL = stretched(300, 1100)


@pytest.fixture(scope="module")
def codes():
    return ALL[:260]


@pytest.fixture(scope="module")
def record(codes):
    return measure(codes, held_out=ALL[260:], deep=True)


def test_moments_and_axes_are_those_of_the_covariance():
    z = stretched(300, 40)
    mine, whole = WideMoments.of(z), Moments.of(z.astype(np.float64))
    v = np.random.default_rng(0).standard_normal((40, 3))
    assert np.allclose(mine.variances, whole.variances, rtol=1e-6)
    assert np.allclose(mine.times(v), whole.times(v), rtol=1e-4, atol=1e-3)
    assert np.allclose(mine.part([3, 7]).cov, whole.part([3, 7]).cov, rtol=1e-5)
    axes, all_axes = principal_axes(mine, 6), PCA.of(whole)
    assert np.allclose(axes.eigenvalues, all_axes.eigenvalues[:6], rtol=1e-4)
    assert np.allclose(np.abs(np.sum(axes.axes * all_axes.axes[:6], axis=1)), 1, atol=1e-4)
    assert np.allclose(axes.explained, all_axes.explained[:6], rtol=1e-4)
    assert participation(mine) == pytest.approx(all_axes.effective_dimension, rel=1e-4)


def test_axes_of_more_codes_than_have_products_are_led_to_those_of_all(monkeypatch):
    z = stretched(900, 40)
    exact = principal_axes(WideMoments.of(z), 6)
    monkeypatch.setattr(wide_module, "_GRAM_CODES", 100)
    found = principal_axes(WideMoments.of(z), 6)
    assert np.allclose(found.eigenvalues, exact.eigenvalues, rtol=5e-3)
    assert np.abs(np.sum(found.axes * exact.axes, axis=1)).min() > 0.97


def test_tiled_correlations_are_those_of_the_matrix(monkeypatch):
    monkeypatch.setattr("latentshape.shape.correlation._TILE", 16)
    z = stretched(200, 50)
    r = Moments.of(z).correlation()
    found = TiledCorrelation.of(WideMoments.of(z), strong=0.5)
    assert found.counts == correlation_counts(r)
    assert [p[:2] for p in found.pairs[:10]] == [p[:2] for p in strongest_pairs(r)[:10]]
    assert found.rms == pytest.approx(np.sqrt(np.mean(r[np.triu_indices(50, 1)] ** 2)), rel=1e-5)
    strong = (np.abs(r) > 0.5) & ~np.eye(50, dtype=bool)
    assert np.array_equal(found.partners, strong.any(axis=1))


def test_radii_in_leading_coordinates_of_few_codes_have_the_exact_law():
    """However many components there are, and however the axes were chosen from these very codes."""
    squared = []
    for seed in range(40):
        z = stretched(60, 300, seed)
        y = WideMoments.of(z).leading_axes(8).transform(z)
        squared.append(mahalanobis_squared(y))
    law = MahalanobisLaw(60, 8)
    observed = np.concatenate(squared)
    assert stats.kstest(observed, law.cdf).statistic < 1.3 / np.sqrt(len(observed))


def test_the_record_says_what_was_measured_on_what(record, codes):
    treatment = record["treatment"]
    assert (record["n"], record["d"], treatment["kind"], treatment["d"]) == (
        260,
        1100,
        "low-rank",
        1100,
    )
    assert record["low_rank"]["rank"] == 6
    assert len(record["components"]) == 1100
    assert len(record["pca"]["eigenvalues"]) == treatment["rank"] == len(record["pca"]["axes"]) == 8
    assert (
        record["correlation"]["n_pairs"] == record["ellipses"]["n_pairs_total"] == 1100 * 1099 // 2
    )
    assert len(treatment["pairs_among"]) == 256
    worst = record["planes"]["worst"][0]
    own = np.corrcoef(codes[:, worst["i"]], codes[:, worst["j"]])[0, 1]
    assert worst["r"] == pytest.approx(own, abs=1e-4)  # named by the codes' own numbers
    directions = np.array(record["normality"]["least-gaussian"]["directions"])
    assert directions.shape[1] == 1100
    assert np.allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-3)
    # New codes lie farther out under a law fitted to few; a control fitted and drawn alike does too.
    held_out = record["mahalanobis"]["held_out"]
    assert held_out["mean"] > 1120
    assert held_out["mean"] == pytest.approx(held_out["control"]["mean"], rel=0.03)


def test_the_verdict_claims_no_more_than_was_seen(record):
    found = record["verdict"]
    assert found["multivariate_normal"]["value"] is None
    assert (
        "no test sees the joint law of the other 1,092 directions"
        in found["multivariate_normal"]["why"]
    )
    assert found["sampler"]["value"] == "low-rank"
    assert "of the pairs among 256 of 1,100" in found["pairs_normal"]["why"]


def test_a_departure_in_leading_coordinates_is_one_of_the_whole(record):
    normality = {name: dict(entry) for name, entry in record["normality"].items()}
    normality["mardia-kurtosis"]["effect"] = 1.0
    normality["family"]["rejected"] = ["mardia-kurtosis"]
    found = verdict(record | {"normality": normality})["multivariate_normal"]
    assert found["value"] is False
    assert found["why"].startswith(
        "in the 8 leading principal coordinates of 1,100 components: 1 of"
    )


def test_figures_of_wide_codes_are_drawn(record, codes, tmp_path, monkeypatch):
    monkeypatch.setitem(STYLE, "figure.dpi", 30)  # whether they are drawn, not how finely
    names = {path.stem for path in shape_figures(record, codes, tmp_path)}
    assert {
        "spectrum",
        "radius",
        "planes",
        "contours",
        "correlation-map",
        "least-gaussian",
    } <= names


def test_a_treatment_that_is_none_is_named(codes):
    with pytest.raises(InputError, match="treatment must be 'auto' or 'flat' or 'low-rank'"):
        measure(codes, treatment="lowrank")


def test_the_explorer_opens_wide_codes_and_answers_planes(codes):
    session = Session({"codes": codes}, "wide")
    assert session.about()["default"]["sampler"] == "low-rank"
    facts = session.plane("pca:0", "component:7")
    cov = np.cov(codes[:, 7].astype(float), session.points("pca:0", "component:7")[0])
    assert facts["correlation"] == pytest.approx(
        cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]), abs=1e-3
    )
    assert session.lift("pca:0", "pca:1").shape == (7, 1100)
    assert session.drawn("low-rank", 0, 5, "pca:0", "pca:1").shape == (2, 5)
    assert session.component(3)["std"] == pytest.approx(codes[:, 3].std(ddof=1), rel=1e-4)
    assert session.describe(codes[0])["radius"] is None
    assert session.path(codes[:2], "linear", 4).shape == (4, 1100)
    with pytest.raises(InputError, match="no map of all pairs of 1,100 components"):
        session.correlation()


@pytest.mark.parametrize("kind", ["origin", "component", "pca", "morph"])
def test_walks_go_through_wide_codes(codes, kind):
    walk = make_walk(kind, codes, **({"method": "linear"} if kind == "morph" else {}))
    assert walk.codes.shape[-1] == 1100
    assert np.isfinite(walk.codes).all()
    assert walk.radii is None


def test_a_wide_law_can_be_saved_without_a_covariance(codes, tmp_path):
    stem = make_sampler("low-rank", rank=6).fit(codes).save(tmp_path)
    assert stem.with_name("low-rank.safetensors").stat().st_size < 8 * 1100 * 10
