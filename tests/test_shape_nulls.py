"""Simulated null laws: exact ranks, kept and mended files."""

import json

import numpy as np
import pytest
from scipy import stats

from latentshape.errors import InputError
from latentshape.shape.nulls import Null, adjusted_pvalues, simulated_null, whitened_draw


def counted(calls):
    def replicate(i):
        calls.append(i)
        return [float(i), float(i) ** 2]

    return replicate


def simulate(calls, key="k", **options):
    return simulated_null(("a", "b"), counted(calls), replicates=20, key=key, **options)


def test_whitened_draws_are_white_and_reproducible():
    y = whitened_draw(50, 4, 1, 2)
    assert np.allclose(y.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(np.cov(y.T), np.eye(4), atol=1e-4)
    assert np.array_equal(y, whitened_draw(50, 4, 1, 2))
    assert not np.array_equal(y, whitened_draw(50, 4, 1, 3))


@pytest.mark.parametrize("workers", [1, 3])
def test_replicates_are_in_their_order_whatever_the_workers(workers):
    ticks = []
    null = simulate([], key=f"order-{workers}", workers=workers, progress=ticks.append)
    assert null.of("b").tolist() == [i**2 for i in range(20)]
    assert ticks == [1] * 20


def test_what_is_known_is_not_simulated_again(tmp_path):
    for options in ({"key": "memory"}, {"key": "disk", "folder": tmp_path}):
        calls = []
        first = simulate(calls, **options)
        again = simulate(calls, **options)
        assert len(calls) == 20
        assert np.array_equal(first.values, again.values)
    assert [path.name for path in tmp_path.iterdir()] == ["null-disk-20.json"]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff\xfe",
        b"[1, 2]",
        b'{"names": ["a", "b"]}',
        b'{"names": ["a", "c"], "values": [[1, 2]]}',
        b'{"names": ["a", "b"], "values": [[1, 2], [3]]}',
        b'{"names": ["a", "b"], "values": [[1, 2]]}',
        json.dumps({"names": ["a", "b"], "values": [[1.0, None]] * 20}).encode(),
    ],
)
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    path = tmp_path / "null-k-20.json"
    path.write_bytes(damage)
    calls = []
    null = simulate(calls, folder=tmp_path)
    assert len(calls) == 20
    assert np.array_equal(null.values, simulate(calls, folder=tmp_path).values)
    assert len(calls) == 20


def test_a_replicate_that_fails_is_heard_of(tmp_path):
    def fails(i):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        simulated_null(("a",), fails, replicates=9, key="fails", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_no_name_is_refused():
    with pytest.raises(InputError, match="letters, digits"):
        simulate([], key="../up")


def test_pvalues_are_ranks():
    null = Null(("a",), np.arange(199.0)[:, None])
    assert null.pvalue("a", 500.0) == 1 / 200
    assert null.pvalue("a", -1.0) == 1.0
    assert null.pvalue("a", 198.0) == 2 / 200


@pytest.mark.parametrize("copies", [1, 6])
def test_the_family_keeps_its_level_whatever_the_dependence(copies):
    """Dependent and very skewed statistics, 19 replicates: alarm at the 5 % level in 5 % of sets."""
    rng = np.random.default_rng(0)
    alarms, sets = 0, 1000
    names = tuple(f"s{j}" for j in range(2 * copies))
    for _ in range(sets):
        base = rng.standard_normal((20, 2))
        table = np.exp(np.tile(base, copies) + 0.3 * rng.standard_normal((20, 2 * copies)))
        null = Null(names, table[1:])
        _, adjusted = adjusted_pvalues(null, dict(zip(names, table[0])), {"s0": np.log})
        alarms += min(adjusted.values()) <= 0.05 + 1e-9
    assert stats.binomtest(alarms, sets, 0.05).pvalue > 1e-3


def test_one_enormous_value_is_seen_and_not_blurred():
    rng = np.random.default_rng(0)
    null = Null(("a", "b"), rng.standard_normal((199, 2)))
    scores, adjusted = adjusted_pvalues(null, {"a": 1e12, "b": 0.5})
    expected = (0.5 - null.of("b").mean()) / null.of("b").std(ddof=1)
    assert scores["b"] == pytest.approx(expected)
    assert adjusted["a"] == 1 / 200
    assert adjusted["b"] > 0.3


def test_a_folder_that_cannot_be_written_costs_no_result(tmp_path):
    (tmp_path / "file").write_text("in the way")
    null = simulated_null(
        ("a",), lambda i: [float(i)], replicates=5, key="k", folder=tmp_path / "file" / "nulls"
    )
    assert null.mean("a") == 2.0
