"""The whole record: its keys, its nulls, its memory, and its doors."""

import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from latentshape.errors import InputError
from latentshape.shape import GaussianControl, Moments, measure
from latentshape.shape.battery import TESTS


def cloud(n=3000, d=8, seed=0, offset=3.0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + offset).astype(np.float32)


def keys(record):
    return set(record) if isinstance(record, dict) else set()


def test_the_record_has_the_promised_keys():
    record = measure(cloud(), held_out=cloud(500, seed=1))
    assert keys(record) >= {"n", "d", "centre", "components", "correlation", "pca", "ellipses"}
    assert keys(record["centre"]) >= {"offset_sigma", "origin_quantile", "sqrt_d"}
    assert keys(record["components"][0]) >= {
        *("mean", "std", "half_width", "skewness", "excess_kurtosis", "fit_r2", "dominant")
    }
    assert list(record["correlation"]["counts"]) == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]
    assert keys(record["correlation"]["pairs"][0]) == {"i", "j", "r"}
    assert keys(record["pca"]) >= {"eigenvalues", "explained", "effective_dimension"}
    assert keys(record["ellipses"]["coverage"][0]) >= {"sigma", "expected", "observed", "control"}
    assert keys(record["radius"]) >= {"mean", "std", "best_cube_b", "cube", "control"}
    for part in (record["mahalanobis"], record["mahalanobis"]["held_out"]):
        assert keys(part) >= {"mean", "variance", "variance_ratio", "expected", "control"}
        assert keys(part["control"]) >= {"mean", "variance", "variance_ratio"}
    assert keys(record) >= {"planes", "origin", "voids", "joint_law", "normality", "regions"}
    assert list(record["normality"]) == [*TESTS, "family"]
    for name in TESTS:
        entry = record["normality"][name]
        assert keys(entry) >= {"statistic", "pvalue", "effect", "control", "n_used"}
    for name in ("pairs_normal", "elliptical", "multivariate_normal", "regions", "sampler"):
        assert keys(record["verdict"][name]) == {"value", "why"}
    assert isinstance(record["verdict"]["regions"]["value"], int)


@pytest.mark.parametrize(
    "z",
    [
        cloud(),
        cloud(d=1),
        cloud(d=2),
        cloud(n=5),
        cloud(n=2),
        cloud(n=9),
        cloud(n=10),
        np.ones((20, 3)),
        np.zeros((20, 3), dtype=int),
        np.repeat(cloud(d=2), 2, axis=1),
    ],
    ids=["usual", "d1", "d2", "n<d", "n2", "n=d+1", "n=d+2", "equal", "zeros", "doubled"],
)
def test_json_can_hold_every_record(z):
    record = measure(z, held_out=z)
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_what_needs_an_inverse_is_null_and_says_why():
    record = measure(cloud(n=6), held_out=cloud(n=5))
    for part in (record["mahalanobis"], record["mahalanobis"]["held_out"]):
        assert part["variance_ratio"] is None
        assert "6 codes of dimension 8" in part["why"]
    assert record["centre"]["offset_sigma"] is None
    assert "6 codes of dimension 8" in record["centre"]["why"]
    assert record["radius"]["mean"] > 0
    assert record["ellipses"]["n_pairs"] > 0


def test_offset_is_measured_in_sigma():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((20_000, 16)) * np.arange(1, 17) + np.array([3.0] + [0.0] * 15)
    centre = measure(z, deep=False)["centre"]
    assert centre["offset_sigma"] == pytest.approx(3.0, rel=0.03)
    assert centre["sqrt_d"] == 4.0
    assert centre["origin_quantile"] == pytest.approx(centre["origin_quantile_expected"], abs=0.02)
    assert centre["origin_quantile"] < 0.2


def test_the_same_seed_gives_the_same_record():
    z = cloud()
    assert measure(z[:600], seed=1) == measure(z[:600], seed=1)
    a, b = (measure(z, seed=seed, deep=False) for seed in (1, 2))
    assert a["components"] == b["components"]
    assert a["mahalanobis"]["control"] != b["mahalanobis"]["control"]


def test_progress_tells_of_every_row():
    rows = []
    measure(cloud(5000), held_out=cloud(700), progress=rows.append, deep=False)
    assert sum(rows) == 4 * 5000 + 2 * 700


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="held_out must have 8 components"):
        measure(cloud(), held_out=cloud(d=7))
    with pytest.raises(InputError, match="seed must be"):
        measure(cloud(), seed=-1)
    bad = cloud()
    bad[5] = np.nan
    with pytest.raises(InputError, match=r"1 of 3000 rows \(5\)"):
        measure(bad)


def test_control_is_drawn_from_the_fitted_law_and_repeats():
    moments = Moments.of(cloud(offset=50.0))
    for n in (9000, 9_000_000 // 8):  # kept after the first read, and drawn anew
        control = GaussianControl(moments, n, seed=4)
        first = next(control.blocks())
        drawn = control.moments()
        assert np.array_equal(first, next(control.blocks()))
        white = np.linalg.inv(np.linalg.cholesky(moments.cov))
        assert drawn.n == n
        assert np.abs(white @ (drawn.mean - moments.mean)).max() < 5 / np.sqrt(n)
        spread = white @ drawn.cov @ white.T - np.eye(8)
        assert np.abs(spread).max() < 5 * np.sqrt(2 / n)


def test_memory_does_not_grow_with_the_codes(tmp_path):
    n = 150_000
    z = np.lib.format.open_memmap(tmp_path / "z.npy", "w+", np.float32, (n, 64))
    for start in range(0, n, 10_000):
        z[start : start + 10_000] = np.random.default_rng(start).standard_normal((10_000, 64))
    tracemalloc.start()
    record = measure(z, deep=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert record["n"] == n
    assert peak < 0.6 * z.nbytes
    assert record["mahalanobis"]["variance_ratio"] == pytest.approx(1.0, abs=0.05)


def test_shape_is_light_to_import():
    code = (
        "import sys, latentshape.shape, latentshape.samplers;"
        "bad = {'sklearn', 'matplotlib', 'torch', 'scipy.stats'} & set(sys.modules);"
        "sys.exit(f'imports {bad}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
