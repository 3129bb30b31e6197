"""Precision, recall, density, coverage: against their definitions, and against planted defects."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from latentshape.errors import InputError
from latentshape.evaluation import prdc as module
from latentshape.evaluation.prdc import Manifold, prdc


def gaussian(n, d=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def by_definition(real, fake, k):
    """Written from the four formulas, with whole distance matrices."""
    real_radii = np.sort(cdist(real, real), axis=1)[:, k]
    fake_radii = np.sort(cdist(fake, fake), axis=1)[:, k]
    apart = cdist(real, fake)
    return {
        "precision": (apart <= real_radii[:, None]).any(axis=0).mean(),
        "recall": (apart <= fake_radii).any(axis=1).mean(),
        "density": (apart <= real_radii[:, None]).sum(axis=0).mean() / k,
        "coverage": (apart.min(axis=1) <= real_radii).mean(),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m"), [(50, 50), (60, 35), (35, 60)])
@pytest.mark.parametrize("block", [7, 400])
def test_agrees_with_the_definitions(k, n, m, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    real, fake = gaussian(n) + 100, 1.3 * gaussian(m, seed=1) + 100.3
    assert prdc(Manifold(real, k), fake) == pytest.approx(by_definition(real, fake, k))


def test_does_not_change_under_rotation_scale_and_shift():
    real, fake = gaussian(80), 0.8 * gaussian(70, seed=1)
    turn, _ = np.linalg.qr(gaussian(6, seed=2))
    moved = [7 * x @ turn - 40 for x in (real, fake)]
    assert prdc(Manifold(moved[0]), moved[1]) == pytest.approx(prdc(Manifold(real), fake))


def test_equal_laws_are_neither_unfaithful_nor_poor():
    found = prdc(Manifold(gaussian(2000, 3)), gaussian(2000, 3, seed=1))
    assert min(found["precision"], found["recall"]) > 0.97
    assert found["density"] == pytest.approx(1, abs=0.05)
    assert found["coverage"] == pytest.approx(1 - 2**-5, abs=0.02)


def test_planted_collapse_costs_recall_and_coverage_only():
    real = gaussian(500)
    found = prdc(Manifold(real), np.repeat(real[:3], 100, axis=0))
    assert found["precision"] == 1
    assert max(found["recall"], found["coverage"]) < 0.1


def test_planted_truncation_trades_recall_for_precision():
    real, fake = Manifold(gaussian(1000)), gaussian(1000, seed=1)
    cold, whole, hot = (prdc(real, t * fake) for t in (0.5, 1, 2))
    assert cold["precision"] > whole["precision"] > hot["precision"]
    assert cold["recall"] < whole["recall"] - 0.2
    assert hot["density"] < 0.6 < whole["density"]


def test_pictures_from_elsewhere_are_neither_precise_nor_cover_anything():
    found = prdc(Manifold(gaussian(100)), gaussian(100, seed=1) + 50)
    assert found == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_a_manifold_once_made_serves_both_sides():
    real, fake = gaussian(60), gaussian(50, seed=1)
    assert prdc(Manifold(real), Manifold(fake)) == prdc(Manifold(real), fake)


def test_what_lies_on_a_balls_surface_is_inside_as_in_double_precision():
    """A grid far from the origin: thousands of distances equal a radius, which no float32 could tell."""
    real = np.stack(np.meshgrid(*[np.arange(12.0)] * 2), -1).reshape(-1, 2) + 1000
    fake = real[::3] + np.array([1, 0])
    assert prdc(Manifold(real, 3), fake) == pytest.approx(by_definition(real, fake, 3), abs=1e-12)


def test_pictures_that_are_all_alike_lie_in_their_own_balls():
    same = np.full((30, 4), 0.1)
    assert prdc(Manifold(same), same) == {"precision": 1, "recall": 1, "density": 6, "coverage": 1}


def test_agrees_with_the_authors_package(capsys):
    peer = pytest.importorskip("prdc")
    real, fake = gaussian(300, 8), 0.9 * gaussian(250, 8, seed=1) + 0.2
    found = peer.compute_prdc(real_features=real, fake_features=fake, nearest_k=5)
    assert prdc(Manifold(real), fake) == pytest.approx(found, abs=1e-3)


def test_too_few_vectors_and_other_spaces_are_refused():
    with pytest.raises(InputError, match=r"more than k = 5 feature vectors.*shape \(5, 6\)"):
        Manifold(gaussian(5))
    with pytest.raises(InputError, match="features of 6 dimensions as the reference's, got 2"):
        prdc(Manifold(gaussian(50)), gaussian(50, 2))
