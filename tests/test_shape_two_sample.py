"""The classifier two-sample test."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from latentshape.errors import InputError
from latentshape.shape.two_sample import ClassifierTest, _auc


def test_auc_is_scikit_learns():
    rng = np.random.default_rng(0)
    ours, theirs = rng.integers(0, 9, 40) + 1.0, rng.integers(0, 9, 60) * 1.0
    wanted = roc_auc_score(np.repeat([1, 0], [40, 60]), np.concatenate([ours, theirs]))
    assert _auc(ours, theirs) == pytest.approx(wanted)


@pytest.mark.parametrize(("n", "d"), [(200, 1), (400, 40)])
def test_gaussian_codes_are_told_apart_by_chance_alone(n, d):
    """Also at n = 10 d, where whitening by all rows makes the AUC fall below one half."""
    test = ClassifierTest(n, d)
    rng = np.random.default_rng(1)
    aucs = [test(rng.standard_normal((n, d), dtype=np.float32)) for _ in range(60)]
    # One reference draw is compared with all: its own error does not average out.
    assert np.mean(aucs) == pytest.approx(0.5, abs=3 / np.sqrt(n))


def planted(name, n, d):
    rng = np.random.default_rng(2)
    z = rng.standard_normal((n, d))
    if name == "t":
        z /= np.sqrt(rng.chisquare(5, (n, 1)))
    if name == "exponential margins":
        z = rng.exponential(size=(n, d))
    if name == "clusters":
        z[:, 0] += np.where(rng.random(n) < 0.5, 3, -3)
    return z


@pytest.mark.parametrize("name", ["t", "exponential margins", "clusters"])
def test_planted_departures_are_told_apart(name):
    test = ClassifierTest(2000, 4)
    assert test(planted(name, 2000, 4)) > 0.56
    assert test(planted("none", 2000, 4)) < 0.54


def test_means_scales_and_mixing_do_not_matter_to_the_radius():
    """Whitening by Cholesky undoes any lower triangular map exactly."""
    z = planted("t", 500, 3)
    mixing = np.tril(np.random.default_rng(0).standard_normal((3, 3))) + 3 * np.eye(3)
    test = ClassifierTest(500, 3)
    assert test(z @ mixing.T + 7) == pytest.approx(test(z), abs=1e-3)


def test_what_does_not_fit_is_said():
    with pytest.raises(InputError, match="more than 2 d"):
        ClassifierTest(20, 10)
    with pytest.raises(InputError, match=r"must have shape \(20, 2\)"):
        ClassifierTest(20, 2)(np.zeros((20, 3)))
