"""Samplers among scikit-learn's estimators: its own checks, pipelines, clones, data frames."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from latentshape.errors import InputError
from latentshape.samplers import SAMPLERS, make_sampler

#: What scikit-learn expects and samplers do otherwise, and why.
OTHERWISE = {
    "check_dtype_object": "an array of objects is refused in a sentence, and not by a TypeError",
    "check_n_features_in_after_fitting": "the refusal speaks of components, and not of X and features",
}
#: The same of samplers that have no density, and so no score.
WITHOUT_SCORE = dict.fromkeys(
    ("check_fit_score_takes_y", "check_pipeline_consistency"), "it has no density, and says so"
)
#: Those that need an extra, or more codes than the checks have.
PASSED_OVER = {"flow"}


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((400, 6)) @ rng.standard_normal((6, 6)) + 1).astype(np.float32)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in PASSED_OVER])
def test_samplers_are_estimators_by_scikit_learns_own_checks(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = make_sampler(name)
        otherwise = OTHERWISE | ({} if sampler.has_density else WITHOUT_SCORE)
        found = check_estimator(
            sampler, expected_failed_checks=otherwise, on_fail=None, on_skip=None
        )
    failed = {
        entry["check_name"]: str(entry["exception"])[:200]
        for entry in found
        if entry["status"] == "failed"
    }
    assert failed == {}
    assert sum(entry["status"] == "passed" for entry in found) >= 30


def test_a_sampler_is_the_last_step_of_a_pipeline(z):
    pipeline = make_pipeline(PCA(3), make_sampler("gaussian")).fit(z)
    drawn = pipeline[-1].sample(2000, seed=0)
    assert drawn.shape == (2000, 3)
    back = pipeline[0].inverse_transform(drawn)
    assert np.allclose(back.mean(0), z.mean(0), atol=0.6)
    assert pipeline.score(z) == pytest.approx(pipeline[-1].score(pipeline[0].transform(z)))


def test_samplers_can_be_cross_validated_and_cloned(z):
    scores = {
        name: cross_val_score(make_sampler(name), z, cv=3).mean()
        for name in ("gaussian", "diagonal", "standard-normal")
    }
    assert scores["gaussian"] > scores["diagonal"] > scores["standard-normal"]
    again = clone(make_sampler("mixture", components=2))
    assert again.get_params()["components"] == 2
    assert "components=2" in repr(again)
    assert not hasattr(again, "n_features_in_")
    assert again.fit(z).n_features_in_ == 6


def test_data_frames_and_memory_maps_are_codes(z, tmp_path):
    pandas = pytest.importorskip("pandas", reason="no pandas")
    frame = pandas.DataFrame(z, columns=[f"z{j}" for j in range(6)])
    exact = make_sampler("gaussian").fit(z)
    assert np.array_equal(make_sampler("gaussian").fit(frame).mean_, exact.mean_)
    np.save(tmp_path / "z.npy", z)
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    assert np.array_equal(make_sampler("gaussian").fit(mapped).cov_, exact.cov_)


def test_sparse_codes_are_refused_with_what_to_pass(z):
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(InputError, match=r"toarray\(\)"):
        make_sampler("gaussian").fit(sparse.csr_array(z))
