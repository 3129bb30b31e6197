"""Regions are modes of the density: groups with a dip between them, and nothing else."""

import numpy as np
import pytest
from scipy.optimize import linprog

from latentshape.errors import InputError
from latentshape.shape.regions import (
    MAX_REGIONS,
    _known_null_dips,
    count_regions,
    dip,
    dip_pvalue,
    null_dips,
)
from latentshape.shape.verdict import _regions


def dip_by_definition(x):
    """The dip as a linear programme for every place of the mode: an independent reference.

    Unknown are a convex function at the points up to the mode, a concave one from the mode on (an
    atom may lie there), and the distance δ, which is minimised.
    """
    u, counts = np.unique(x, return_counts=True)
    after = np.cumsum(counts) / counts.sum()
    before = np.append(0.0, after[:-1])
    m, best = len(u), 1.0
    for k in range(m):
        places = [(i, i, i < k, True) for i in range(k + 1)]
        places += [(k + 1 + j, k + j, True, j > 0) for j in range(m - k)]
        size = m + 2
        rows, bounds = [], []

        def at_most(bound, rows=rows, bounds=bounds, size=size, **terms):
            row = np.zeros(size)
            for key, value in terms.items():
                row[int(key[1:])] += value
            rows.append(row)
            bounds.append(bound)

        delta = f"v{size - 1}"
        for v, i, whole_left, whole_right in places:
            at_most(-(after if whole_left else before)[i], **{f"v{v}": -1, delta: -1})
            at_most((before if whole_right else after)[i], **{f"v{v}": 1, delta: -1})
        for v in range(m):
            at_most(0.0, **{f"v{v}": 1, f"v{v + 1}": -1})
        for first, last, sign, shift in ((0, k, 1, 0), (k + 1, m, -1, 1)):
            for v in range(first + 1, last):
                a, b = u[v - shift] - u[v - shift - 1], u[v - shift + 1] - u[v - shift]
                at_most(
                    0.0,
                    **{
                        f"v{v - 1}": -sign / a,
                        f"v{v}": sign / a + sign / b,
                        f"v{v + 1}": -sign / b,
                    },
                )
        cost = np.zeros(size)
        cost[-1] = 1
        free = [(None, None)] * (size - 1) + [(0, None)]
        best = min(best, linprog(cost, A_ub=np.array(rows), b_ub=bounds, bounds=free).fun)
    return best


def test_the_dip_is_its_definition():
    rng = np.random.default_rng(0)
    for trial in range(24):
        n = int(rng.integers(2, 13))
        x = (
            rng.random(n),
            rng.standard_normal(n) + 5 * rng.integers(0, 2, n),
            rng.integers(0, 5, n).astype(float),  # ties
            rng.exponential(size=n),
        )[trial % 4]
        if np.ptp(x) > 0:
            assert dip(x) == pytest.approx(dip_by_definition(x), abs=1e-7)


@pytest.mark.parametrize("n", [2, 5, 100, 1001])
def test_known_dips(n):
    assert dip(np.arange(n)) == pytest.approx(1 / (2 * n))
    assert dip(np.ones(n)) == 0
    # Two atoms of shares p and 1 - p: half the smaller.
    assert dip([0.0] * n + [1.0] * n) == pytest.approx(0.25)
    assert dip([0.0] * n + [1.0] * 3 * n) == pytest.approx(0.125)
    # An exponential quantile grid is unimodal: nothing but the steps.
    assert dip(-np.log((np.arange(n) + 0.5) / n)) == pytest.approx(1 / (2 * n))


def test_the_dip_knows_no_scale_no_order_no_sign():
    x = np.random.default_rng(0).standard_normal(500) + 4 * np.repeat([0, 1], 250)
    assert dip(x) == pytest.approx(dip(-3 * x[::-1] + 7))
    assert dip(x) == pytest.approx(dip(np.repeat(x, 3)), abs=1 / 500)


def test_two_far_groups_have_the_dip_of_two_atoms():
    """Uniform groups of share p and 1 - p, infinitely far apart: the definition gives min(p, 1-p)/2."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.random(3000), 1e6 + rng.random(7000)])
    assert dip(x) == pytest.approx(0.15, abs=0.01)


def test_the_dips_that_are_kept_are_those_that_are_simulated():
    table = _known_null_dips()
    assert table.shape == (3, 2000)
    assert (np.diff(table, axis=1) >= 0).all()
    np.testing.assert_allclose(table[0], null_dips(64), rtol=1e-6)
    for row, n in zip(table, (64, 256, 2048)):  # of the larger ones the first that were drawn
        few = null_dips(n, 40)
        nearest = np.abs(row[:, None] - few).min(axis=0)
        assert (nearest < 1e-6 * few).all()


def test_pvalues_are_uniform_under_the_uniform_and_small_under_two_groups():
    rng = np.random.default_rng(1)
    for n in (60, 700):
        pvalues = np.array([dip_pvalue(dip(rng.random(n)), n) for _ in range(200)])
        assert np.mean(pvalues <= 0.1) == pytest.approx(0.1, abs=0.06)
        assert np.mean(pvalues <= 0.5) == pytest.approx(0.5, abs=0.12)
    assert dip_pvalue(dip(rng.standard_normal(700)), 700) > 0.3
    two = np.concatenate([rng.standard_normal(350), 5 + rng.standard_normal(350)])
    assert dip_pvalue(dip(two), 700) < 1e-6
    tail = [dip_pvalue(d, 700) for d in np.linspace(0.015, 0.05, 50)]
    assert (np.diff(tail) <= 0).all()


def turned(x, seed):
    d = x.shape[1]
    return (x @ np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0] + 2).astype(
        np.float32
    )


def whitened(x):
    centred = x - x.mean(axis=0)
    return np.linalg.solve(np.linalg.cholesky(np.cov(x.T)), centred.T).T


def one_region(kind, n, d, rng):
    g = rng.standard_normal((n, d))
    if kind == "t":
        g *= np.sqrt(3 / rng.chisquare(3, (n, 1)))
    elif kind == "skewed":
        g = rng.gamma(1.5, size=(n, d))
    elif kind == "concentric":
        g *= rng.choice([0.3, 1.0, 3.0], (n, 1))
    elif kind == "overlapping":  # two components less than two deviations apart have one mode
        g[:, 0] += rng.choice([-0.9, 0.9], n)
    elif kind == "shell":
        g = g / np.linalg.norm(g, axis=1)[:, None] + 0.05 * g
    elif kind == "elongated":
        g[:, 0] *= 30
    elif kind == "ring":
        angle = 2 * np.pi * rng.random(n)
        g *= 0.15
        g[:, :2] += np.stack([np.cos(angle), np.sin(angle)], axis=1)
    elif kind == "horseshoe":
        angle = 1.4 * np.pi * rng.random(n)
        g *= 0.15
        g[:, :2] += np.stack([np.cos(angle), np.sin(angle)], axis=1)
    elif kind == "cube":
        g = rng.random((n, d))
    return g


ONE = ["normal", "t", "skewed", "concentric", "overlapping", "shell", "elongated", "cube"]


@pytest.mark.parametrize(
    ("kind", "d"),
    [
        *((kind, d) for kind in ONE for d in (2, 16)),
        ("ring", 2),
        ("horseshoe", 2),
        ("normal", 64),
        ("t", 64),
    ],
)
def test_one_region_is_one(kind, d):
    rng = np.random.default_rng((1, d))
    y = whitened(turned(one_region(kind, 2000, d, rng), d))
    found = count_regions(y, seed=1)
    assert found.count == 1
    assert found.sizes.tolist() == [2000]
    assert np.allclose(found.centres, y.mean(axis=0, dtype=np.float64), atol=1e-9)


def test_a_ring_hidden_in_many_dimensions_is_one_region():
    """The way round is seen only in its own plane, which takes codes enough to be found."""
    y = whitened(turned(one_region("ring", 12_000, 16, np.random.default_rng(2)), 2))
    found = count_regions(y)
    assert found.count == 1
    assert found.evidence[0].pvalue < 1e-6  # across it, the density dips


def clusters(shares, centres, n, d, rng):
    member = rng.choice(len(shares), n, p=shares)
    g = rng.standard_normal((n, d))
    g[:, : centres.shape[1]] += centres[member]
    return g, member


def ten(d, rng):
    if d == 2:
        angle = 2 * np.pi * np.arange(10) / 10
        return 12 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    centres = rng.standard_normal((10, d))
    return 10 * centres / np.linalg.norm(centres, axis=1)[:, None]


PLANTED = {
    "two": ([0.5, 0.5], np.array([[-2.5], [2.5]])),
    "three": ([0.3, 0.3, 0.4], 6 * np.array([[0, 0], [1, 0], [0.5, 0.9]])),
    "unequal": ([0.95, 0.05], np.array([[0.0], [7.0]])),
}


@pytest.mark.parametrize(
    ("kind", "d", "white"),
    [
        *((kind, d, d == 2) for kind in PLANTED for d in (2, 16)),
        ("unequal", 16, True),
        ("ten", 2, True),
    ],
)
def test_planted_regions_are_counted(kind, d, white):
    rng = np.random.default_rng((4, d))
    shares, centres = PLANTED.get(kind, ([0.1] * 10, None))
    centres = ten(d, rng) if centres is None else centres
    x, member = clusters(shares, centres, 4000, d, rng)
    y = turned(x, d)
    found = count_regions(whitened(y) if white else y, seed=2)
    assert found.count == len(shares)
    assert (np.diff(found.sizes) <= 0).all()
    assert found.sizes.sum() == 4000
    # Each region is one planted group, but for the codes at its border.
    pure = sum(np.bincount(member[found.labels == k]).max() for k in range(found.count))
    assert pure > 0.97 * 4000
    pairs = [s for s in found.evidence if s.regions is not None]
    assert len(pairs) == found.count * (found.count - 1) // 2
    assert all(s.separate and s.pvalue < 0.01 and s.valley < 1 for s in pairs)


@pytest.mark.parametrize("kind", ["two", "ten"])
def test_many_dimensions(kind):
    rng = np.random.default_rng(0)
    d = 64
    shares, centres = PLANTED.get(kind, ([0.1] * 10, None))
    x, _ = clusters(shares, ten(d, rng) if centres is None else centres, 4000, d, rng)
    assert count_regions(turned(x, 1)).count == len(shares)


def test_a_given_direction_shows_what_a_search_would_miss():
    """Two whitened groups in 64 dimensions, from fewer codes than pursuit needs."""
    rng = np.random.default_rng(0)
    x, _ = clusters(*PLANTED["two"], 3000, 64, rng)
    y = whitened(x)
    axis = np.linalg.lstsq(y, x[:, 0] - x[:, 0].mean(), rcond=None)[0]
    assert count_regions(y, axis[None]).count == 2


def test_false_alarms_are_rare():
    counts = []
    for seed in range(16):
        y = np.random.default_rng(seed).random((400, 2))  # the least favourable law
        counts.append(count_regions(y, seed=seed).count)
    assert counts.count(1) >= 15


def test_the_same_seed_gives_the_same_regions():
    x, _ = clusters(*PLANTED["two"], 600, 2, np.random.default_rng(0))
    one, two = count_regions(x, seed=3), count_regions(x, seed=3)
    assert np.array_equal(one.labels, two.labels)
    assert one.evidence[0].dip == two.evidence[0].dip


def test_a_search_that_stopped_says_so():
    x, _ = clusters(
        [0.2] * 5, ten(2, np.random.default_rng(1))[:5], 1500, 2, np.random.default_rng(0)
    )
    stopped, free = count_regions(x, max_regions=3), count_regions(x)
    assert (stopped.count, stopped.limited) == (3, True)
    assert (free.count, free.limited) == (5, False)
    with pytest.raises(InputError, match="max_regions must be an integer of at least 2"):
        count_regions(x, max_regions=1)


def test_the_verdict_tells_a_stopped_search_from_one_that_ended():
    def said(count, merged):
        pairs = [{"regions": None}] * merged + [{"regions": (0, 1)}] * (count * (count - 1) // 2)
        return _regions({"count": count, "why": "why", "evidence": [{"regions": None}, *pairs]})

    for count, merged in ((MAX_REGIONS, 0), (MAX_REGIONS - 3, 3)):
        assert said(count, merged)["value"] == count
        assert f"stopped at {MAX_REGIONS} groups" in said(count, merged)["why"]
    for count, merged in ((MAX_REGIONS - 1, 0), (1, 0), (2, 5)):
        assert said(count, merged) == {"value": count, "why": "why"}
    assert _regions({"why": "too few"}) == {"value": None, "why": "too few"}


def test_bad_input():
    with pytest.raises(InputError, match="at least 60 codes"):
        count_regions(np.zeros((10, 2)))
    with pytest.raises(InputError, match="directions must have 3 components"):
        count_regions(np.random.default_rng(0).random((100, 3)), np.ones((1, 2)))
    with pytest.raises(InputError, match="finite numbers in one dimension"):
        dip(np.ones((2, 2)))
    with pytest.raises(InputError, match="finite numbers in one dimension"):
        dip([0.0, np.nan])
    flat = np.zeros((200, 3))
    assert count_regions(flat).count == 1
    flat[:100, 1] = 5.0
    assert count_regions(flat).count == 2
