"""Compiled loops give what NumPy gives; where Numba is not installed they are tested as plain Python."""

import ctypes

import numpy as np
import pytest

from latentshape._checks import row_blocks
from latentshape.errors import InputError
from latentshape.shape import Moments, compiled, loops, memory
from latentshape.shape.components import NumberDistributions
from latentshape.shape.density import PlaneDensity
from latentshape.shape.doornik_hansen import DoornikHansenSums
from latentshape.shape.moments import PowerSums
from latentshape.shape.streaming import stream

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(autouse=True)
def _loops_are_there(monkeypatch):
    monkeypatch.setattr(compiled, "_loops", lambda: loops)


def cloud(dtype, n=1100, d=4):
    rng = np.random.default_rng(0)
    z = rng.standard_t(4, (n, d)) * [0.01, 1.0, 3.0, 500.0] + [0.0, 64.0, -5.0, 1e4]
    z[:, 1] += 0.3 * z[:, 2]
    return z.astype(dtype)


def both(make, z):
    """The same statistic by NumPy, in one go, and by the loops, in parts."""
    by_numpy, by_loop = make(False), make(True)
    stream(row_blocks(z), by_numpy)
    stream(row_blocks(z, 700), by_loop)
    return by_numpy, by_loop


@DTYPES
def test_number_distributions_are_equal_to_the_last_count(dtype):
    z = cloud(dtype)
    moments = Moments.of(z)
    z[:2] = [[9, 1e9, -1e9, np.inf], [-9, -np.inf, 0, 0]]  # beyond the intervals at either end
    by_numpy, by_loop = both(lambda c: NumberDistributions(moments, compiled=c), z)
    assert by_numpy.counts.sum() > 4000
    assert np.array_equal(by_numpy._counts, by_loop._counts)


@DTYPES
def test_numbers_on_an_edge_are_counted_alike(dtype):
    moments = Moments(2**30, np.zeros(2), np.eye(2))
    edges = NumberDistributions(moments).edges(0)
    near = np.concatenate([np.nextafter(edges, -99), edges, np.nextafter(edges, 99)]).astype(dtype)
    by_numpy, by_loop = both(
        lambda c: NumberDistributions(moments, compiled=c), np.stack([near, near], axis=1)
    )
    assert np.array_equal(by_numpy._counts, by_loop._counts)


@pytest.mark.parametrize("by_loop", [False, True])
def test_a_number_that_is_none_is_refused(by_loop):
    z = cloud(np.float32)
    moments = Moments.of(z)
    z[5, 1] = np.nan
    for sums in (
        NumberDistributions(moments, compiled=by_loop),
        PlaneDensity(moments, (0, 1), compiled=by_loop),
    ):
        with pytest.raises(InputError, match="NaN"):
            sums.update(z)


@DTYPES
@pytest.mark.parametrize("plane", [(2, 0), np.eye(4)[:, [1, 3]]], ids=["pair", "directions"])
def test_densities_are_equal_but_for_the_order_of_addition(dtype, plane):
    z = cloud(dtype)
    moments = Moments.of(z)
    # A grid of 2 sigma, so that many codes lie beyond it.
    by_numpy, by_loop = both(
        lambda c: PlaneDensity(moments, plane, bins=32, span=2.0, compiled=c), z
    )
    one, other = by_numpy.result(), by_loop.result()
    assert one.dropped == other.dropped > 20
    assert np.abs(one.values - other.values).max() < 1e-12 * one.values.max()


def test_columns_that_lie_apart_in_memory_are_binned():
    z = np.asfortranarray(cloud(np.float32))[::2, ::-1]
    moments = Moments.of(z)
    by_numpy, by_loop = (PlaneDensity(moments, (0, 3), compiled=c) for c in (False, True))
    for sums in (by_numpy, by_loop):
        sums.update(z)
    assert np.abs(by_numpy.result().values - by_loop.result().values).max() < 1e-12


@DTYPES
def test_power_sums_are_equal_but_for_the_order_of_addition(dtype):
    z = cloud(dtype)
    moments = Moments.of(z)
    tolerance = 3e-5 if dtype == np.float32 else 1e-12
    by_numpy, by_loop = both(lambda c: PowerSums(moments, compiled=c), z)
    assert by_loop.sums == pytest.approx(by_numpy.sums, rel=tolerance, abs=tolerance * len(z))
    by_numpy, by_loop = both(lambda c: DoornikHansenSums(moments, compiled=c), z)
    assert by_loop.sums == pytest.approx(by_numpy.sums, rel=tolerance, abs=tolerance * len(z))


def test_loops_are_taken_where_they_are_worth_it_or_asked_for(monkeypatch):
    assert compiled.compiled_loops(None, worth=False) is None
    assert compiled.compiled_loops(None, worth=True) is loops
    assert compiled.compiled_loops(False, worth=True) is None
    assert compiled.compiled_loops(True, worth=False) is loops
    monkeypatch.setattr(compiled, "_loops", lambda: None)
    assert compiled.compiled_loops(None, worth=True) is None
    with pytest.raises(InputError, match="need Numba, which is not installed"):
        compiled.compiled_loops(True, worth=False)


class Asked:
    """A function of the C library that notes what it is called with."""

    def __init__(self):
        self.calls = []

    def __call__(self, *words):
        self.calls.append(words)


@pytest.fixture
def library(monkeypatch):
    class Library:
        malloc_trim, mallopt = Asked(), Asked()

    memory._glibc.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library)
    yield Library
    memory._glibc.cache_clear()


def test_memory_is_given_back(library):
    memory.give_back()
    assert library.malloc_trim.calls == [(0,)]


def test_limits_are_put_back_also_after_an_error(library):
    within = {}

    def fail():
        within.update(library.mallopt.calls)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), memory.little_kept():
        fail()
    assert within
    after = dict(library.mallopt.calls)  # the last word on each
    assert after.keys() == within.keys()
    assert all(after[name] > within[name] for name in within)


def test_another_c_library_is_left_alone(monkeypatch, library):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    memory.give_back()
    with memory.little_kept():
        pass
    assert library.malloc_trim.calls == library.mallopt.calls == []
