# ruff: noqa: F401, F811 - fixtures are imported
"""The cloud's place and size: codes lie exactly where a row says, and the mask splits what it should."""

import math

import numpy as np
import pytest

from latentshape.experiments import bench as bench_module
from latentshape.experiments import cloud
from latentshape.experiments.bench import Bench
from latentshape.experiments.cloud import MASK, centring, face_mask, outside_share, radius
from latentshape.shape import Moments, mahalanobis_squared
from tiny_run import copy, finished


@pytest.mark.parametrize("side", [28, 64, 97])
def test_the_mask_is_the_ellipse_about_the_middle(side):
    mask = face_mask(side)
    assert mask.mean() == pytest.approx(math.pi * MASK[0] * MASK[1], abs=2 / side)
    assert np.array_equal(mask, mask[::-1])
    assert np.array_equal(mask, mask[:, ::-1])
    assert mask[side // 2].sum() == pytest.approx(2 * MASK[0] * side, abs=2)
    assert mask[:, side // 2].sum() == pytest.approx(2 * MASK[1] * side, abs=2)  # taller than wide


def test_the_share_outside_is_what_was_planted():
    rng = np.random.default_rng(0)
    mask = face_mask(32)
    flat = np.full((400, 32, 32, 3), 100, np.uint8)
    assert outside_share(flat, mask) == 0  # nothing varies
    noise = rng.integers(0, 2, (400, 32, 32, 3), np.uint8) * 20
    # Standard deviation 30 outside and 10 inside: shares by area and variance.
    varied = np.where(mask[:, :, None], 100 + noise, 100 + 3 * noise).astype(np.uint8)
    out = 9 * (1 - mask.mean())
    assert outside_share(varied, mask) == pytest.approx(out / (out + mask.mean()), abs=0.005)
    only = np.where(mask[:, :, None], 100 + noise, 100).astype(np.uint8)
    assert outside_share(only, mask) == 0
    assert outside_share(255 - only, ~mask) == pytest.approx(1)


@pytest.fixture
def drawn(copy, monkeypatch):
    """The bench of a tiny run and a list that every judged array of codes is added to."""
    seen = []
    bench = Bench(copy)
    judge = bench.judge_codes
    monkeypatch.setattr(bench, "judge_codes", lambda z: seen.append(z) or judge(z))
    monkeypatch.setattr(bench_module, "DRAWS", 2)
    return bench, seen


def test_the_whole_cloud_is_moved_and_nothing_else(drawn, monkeypatch):
    bench, seen = drawn
    monkeypatch.setattr(cloud, "CENTRES", (0.0, 1.0, 1.5))
    record = centring(bench)
    assert [row["centre"] for row in record["rows"]] == [0.0, 1.0, 1.5]
    mean = Moments.of(bench.z).mean
    held_out = np.asarray(bench.codes("validation").z)
    for k in (0, 1):
        at_zero, there, beyond = seen[k], seen[2 + k], seen[4 + k]
        # Centre 1 is the very codes of held-out images, each once.
        rows = [np.flatnonzero((held_out == z).all(1)) for z in there]
        assert all(len(found) == 1 for found in rows)
        assert len({int(found[0]) for found in rows}) == len(there)
        np.testing.assert_allclose(there - at_zero, np.tile(mean, (len(there), 1)), atol=1e-4)
        np.testing.assert_allclose(beyond - there, np.tile(mean / 2, (len(there), 1)), atol=1e-4)
    assert not np.array_equal(seen[2], seen[3])  # draws differ
    assert (bench.folder / "centring.png").stat().st_size > 0


def test_every_code_lies_at_its_radius(drawn, monkeypatch):
    bench, seen = drawn
    monkeypatch.setattr(cloud, "RADII", (0.0, 0.5, 2.0))
    record = radius(bench)
    moments = Moments.of(bench.z)
    root = math.sqrt(moments.d)
    assert [row["at"] for row in record["rows"]] == [0.5, 2.0]  # one picture has no variety
    for z, at in zip(seen, (0.5, 0.5, 2.0, 2.0)):
        np.testing.assert_allclose(np.sqrt(mahalanobis_squared(z, moments)), at * root, rtol=1e-3)
    for row in record["rows"]:
        assert row["radius"]["value"] == pytest.approx(row["at"] * root, rel=1e-3)
        assert 0 <= row["outside"] <= 1
    # The same directions at every radius.
    mean = moments.mean.astype(np.float32)
    np.testing.assert_allclose((seen[2] - mean) / 4, seen[0] - mean, rtol=1e-2, atol=1e-3)
    assert 0 < record["real_outside"] < 1
    assert record["mean_image"]  # what is seen in it, or why nobody can say
    if "why" not in record["mean_image"]:
        assert all(math.isfinite(value) for value in record["mean_image"].values())
