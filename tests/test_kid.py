"""The kernel distance: its definition, its closed form, no bias, and an independent implementation."""

import numpy as np
import pytest

from latentshape.errors import InputError
from latentshape.evaluation import kid as module
from latentshape.evaluation.kid import KernelSide, kernel_distance


def gaussian(n, d=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def by_definition(a, b):
    """Two loops over all pairs, none of a vector with itself."""

    def k(x, y):
        return (sum(u * v for u, v in zip(x, y)) / len(x) + 1) ** 3

    def within(x):
        pairs = [k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]
        return sum(pairs) / len(pairs)

    between = [k(x, y) for x in a for y in b]
    return within(a) + within(b) - 2 * sum(between) / len(between)


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (20, 20, 3), (17, 31, 6)])
def test_agrees_with_two_loops_over_all_pairs(n, m, d, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 7)
    a, b = gaussian(n, d), 1.5 * gaussian(m, d, seed=1) + 0.5
    assert kernel_distance(a, b) == pytest.approx(by_definition(a.tolist(), b.tolist()), rel=1e-4)


def test_is_symmetric_and_does_not_see_a_common_rotation():
    a, b = gaussian(300), 1.3 * gaussian(250, seed=1) + 1
    turn, _ = np.linalg.qr(gaussian(5, seed=2))
    there = kernel_distance(a, b)
    assert kernel_distance(b, a) == pytest.approx(there, rel=1e-6)
    assert kernel_distance(a @ turn, b @ turn) == pytest.approx(there, rel=1e-4)
    assert kernel_distance(a + 1, b + 1) != pytest.approx(there, rel=0.1)  # as its docstring says


def moments(mean, std):
    """First three raw moments of a normal variable."""
    return np.array([mean, mean**2 + std**2, mean**3 + 3 * mean * std**2])


def repeated(n, repeats, mean, std):
    rng = np.random.default_rng(0)
    found = [
        kernel_distance(rng.standard_normal((n, 1)), mean + std * rng.standard_normal((n, 1)))
        for _ in range(repeats)
    ]
    return np.mean(found), np.std(found) / np.sqrt(repeats)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.5, 1.0), (0.0, 1.4), (-0.3, 0.6)])
@pytest.mark.parametrize(("n", "block"), [(12, 2000), (60, 2000), (60, 13)])
def test_between_normal_laws_it_is_the_closed_form_on_average_whatever_n(
    mean, std, n, block, monkeypatch
):
    """In one dimension 3 Δ1² + 3 Δ2² + Δ3², with Δ the differences of raw moments: no bias."""
    monkeypatch.setattr(module, "BLOCK", block)
    expected = np.array([3, 3, 1]) @ (moments(mean, std) - moments(0, 1)) ** 2
    found, error = repeated(n, 600, mean, std)
    assert found == pytest.approx(expected, abs=4 * error)
    assert error < 0.4 * max(expected, 1)


def test_blocks_are_nearly_equal_and_lose_nothing(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 10)
    side = KernelSide(gaussian(47))
    lengths = [len(block) for block in side.blocks()]
    assert sum(lengths) == 47
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= 10
    assert len(side.within) == len(lengths)


def test_planted_differences_in_each_of_the_first_three_moments_are_seen():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 1500, 4))
    skewed = (rng.exponential(size=(1500, 4)) - 1) * [1, 1, 1, 1]
    none = abs(kernel_distance(x, y))
    for other in (y + 0.3, 1.3 * y, skewed):
        assert kernel_distance(x, other) > 10 * none


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`:UserWarning")
def test_agrees_with_torchmetrics_on_the_same_features():
    pytest.importorskip("torchmetrics")
    import torch
    from torchmetrics.image.kid import KernelInceptionDistance

    a, b = gaussian(400, 16), 1.2 * gaussian(400, 16, seed=1) + 0.1
    peer = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=1, subset_size=400)
    peer.update(torch.from_numpy(a), real=True)
    peer.update(torch.from_numpy(b), real=False)
    assert kernel_distance(b, a) == pytest.approx(peer.compute()[0].item(), rel=1e-3)


@pytest.mark.parametrize(
    "bad", [np.zeros((1, 3)), np.zeros(5), np.full((4, 3), np.nan), np.zeros((0, 3))]
)
def test_features_without_a_distance_are_refused(bad):
    with pytest.raises(InputError, match="at least 2 finite feature vectors"):
        kernel_distance(bad, gaussian(5, 3))


def test_other_spaces_are_refused():
    with pytest.raises(InputError, match=r"features of 3 dimensions.*got 5"):
        kernel_distance(gaussian(9, 3), gaussian(9, 5))
