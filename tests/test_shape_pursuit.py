"""Projection pursuit: hidden directions are found, noise is not taken for one."""

import numpy as np
import pytest
from scipy import integrate, stats

from latentshape.errors import InputError
from latentshape.shape.pursuit import (
    least_gaussian_directions,
    least_gaussian_stream,
    negentropy,
    null_index,
)


def hidden(law, n, d, seed=0):
    """Gaussian codes with one peculiar direction, turned, stretched and shifted; its direction.

    The shadow z @ direction is the peculiar component itself (up to a constant).
    """
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, d))
    z[:, 0] = {
        "exponential": lambda: rng.exponential(size=n),
        "t3": lambda: rng.standard_t(3, n),
        "uniform": lambda: rng.uniform(-1, 1, n),
        "clusters": lambda: rng.standard_normal(n) + np.where(rng.random(n) < 0.5, 3, -3),
        "normal": lambda: rng.standard_normal(n),
    }[law]()
    mixing = rng.standard_normal((d, d)) @ np.diag(np.exp(rng.standard_normal(d)))
    direction = np.linalg.inv(mixing)[:, 0]
    return (z @ mixing + 10).astype(np.float32), direction / np.linalg.norm(direction)


def correlation(z, a, b):
    return abs(np.corrcoef(z @ a, z @ b)[0, 1])


@pytest.mark.parametrize("law", ["exponential", "t3", "uniform", "clusters"])
def test_one_hidden_direction_is_found(law):
    z, direction = hidden(law, 6000, 16)
    found = least_gaussian_directions(z, count=2)
    assert correlation(z, found.directions[0], direction) > 0.98
    assert found.index[0] > 10 * found.index[1]
    assert np.sign(found.kurtosis[0]) == {"exponential": 1, "t3": 1}.get(law, -1)
    assert (abs(found.skewness[0]) > 1) == (law == "exponential") or law == "t3"


def test_a_skewed_direction_is_found_among_many():
    z, direction = hidden("exponential", 8000, 64)
    found = least_gaussian_directions(z)
    assert correlation(z, found.directions[0], direction) > 0.97
    null = [null_index(found.n_held_out, found.n_candidates, i) for i in range(50)]
    assert found.index[0] > 20 * max(null)
    assert found.index[1] < 1.5 * max(null)


def test_groups_far_apart_are_found_by_the_principal_components():
    """In so many dimensions fourth moments hide them; the spread of the codes as given does not."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((3000, 128))
    z[:, 0] += np.where(rng.random(3000) < 0.5, 3, -3)
    turn = np.linalg.qr(rng.standard_normal((128, 128)))[0]
    found = least_gaussian_directions(z @ turn, count=1)
    assert correlation(z @ turn, found.directions[0], turn[0]) > 0.9
    assert found.kurtosis[0] < -1


def test_several_directions_are_found_and_their_shadows_are_uncorrelated():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((8000, 12))
    z[:, 0] = rng.exponential(size=8000)
    z[:, 1] = rng.uniform(size=8000)
    z[:, 2] = rng.standard_t(4, 8000)
    found = least_gaussian_directions(z @ rng.standard_normal((12, 12)), count=12)
    assert found.directions.shape == (12, 12)
    assert np.allclose(np.linalg.norm(found.directions, axis=1), 1)
    assert (np.diff(found.index) <= 0).all()
    assert found.index[2] > 10 * found.index[3]


def test_noise_is_not_rewarded():
    """Held out, the index of Gaussian codes follows its null however hard was sought."""
    z, _ = hidden("normal", 400, 60)
    found = [least_gaussian_directions(z, count=1, seed=seed) for seed in range(8)]
    null = [null_index(found[0].n_held_out, found[0].n_candidates, i) for i in range(200)]
    assert stats.kstest([each.index[0] for each in found], null).pvalue > 1e-3


def test_the_null_is_the_law_of_held_out_indices():
    drawn = []
    for i in range(60):
        z = np.random.default_rng(i).standard_normal((120, 3))
        found = least_gaussian_directions(z, count=1)
        drawn.append(found.index[0])
    null = [null_index(60, found.n_candidates, i) for i in range(300)]
    assert stats.kstest(drawn, null).pvalue > 1e-3


@pytest.mark.parametrize("law", [stats.uniform(-(3**0.5), 12**0.5), stats.norm(), stats.expon(-1)])
def test_the_index_is_the_integral(law):
    odd = integrate.quad(lambda x: x * np.exp(-(x**2) / 2) * law.pdf(x), *law.support())[0]
    even = integrate.quad(lambda x: np.exp(-(x**2) / 2) * law.pdf(x), *law.support())[0]
    wanted = 36 / (8 * 3**0.5 - 9) * odd**2 + 24 / (16 * 3**0.5 - 27) * (even - 0.5**0.5) ** 2
    x = law.ppf((np.arange(20_000) + 0.5) / 20_000)
    assert negentropy(x) == pytest.approx(wanted, rel=2e-3, abs=1e-9)


def test_the_same_again_and_whatever_the_blocks():
    z, _ = hidden("exponential", 2000, 5)
    blocks = [z[:700], z[700:701], z[701:]]
    one, other = (
        least_gaussian_directions(z, seed=3),
        least_gaussian_stream(lambda: iter(blocks), 2000, seed=3),
    )
    assert np.array_equal(one.directions, least_gaussian_directions(z, seed=3).directions)
    assert np.allclose(np.abs(one.index), other.index, rtol=1e-3, atol=1e-4)


def test_one_dimension_and_given_starts():
    z = np.random.default_rng(0).exponential(size=(500, 1))
    found = least_gaussian_directions(z, starts=[[2.0]])
    assert found.directions.shape == (1, 1)
    assert found.index[0] > 0.1


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (np.zeros((8, 1)), "at least 16"),
        (np.random.default_rng(0).standard_normal((40, 30)), r"n > 2 \(d \+ 1\)"),
        (np.repeat(np.arange(40.0)[:, None], 2, axis=1), "linearly dependent"),
    ],
)
def test_what_cannot_be_pursued_is_said(z, message):
    with pytest.raises(InputError, match=message):
        least_gaussian_directions(z)
