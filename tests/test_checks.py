"""What comes in at the door, and what is said when it does not fit."""

import re

import numpy as np
import pytest

from latentshape._checks import (
    check_codes,
    check_count,
    check_fitted,
    check_fraction,
    check_positive,
    check_seed,
    check_seeds,
    row_blocks,
    thinned,
)
from latentshape.errors import InputError


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.longdouble, np.float64),
        (np.float16, np.float32),
        (np.int64, np.float32),
        (np.uint8, np.float32),
        (bool, np.float32),
    ],
)
def test_codes_become_float32_or_float64(dtype, wanted):
    z = np.ones((3, 2), dtype=dtype)
    assert check_codes(z).dtype == wanted
    assert next(row_blocks(z)).dtype == wanted


def test_good_codes_are_not_copied():
    for dtype in (np.float32, np.float64):
        z = np.zeros((5, 2), dtype=dtype)
        assert check_codes(z) is z
    fortran = np.asfortranarray(np.zeros((5, 2), dtype=np.float32))
    assert np.shares_memory(check_codes(fortran), fortran)


def test_a_memory_map_stays_on_disk(tmp_path):
    for dtype in (np.float16, np.float32):
        z = np.lib.format.open_memmap(tmp_path / "z.npy", "w+", dtype=dtype, shape=(9, 2))
        assert isinstance(check_codes(z), np.memmap)
        assert [block.shape for block in row_blocks(z, rows=4)] == [(4, 2), (4, 2), (1, 2)]


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (np.zeros((64, 8, 4, 4)), r"got (64, 8, 4, 4); flatten codes with z.reshape(len(z), -1)"),
        (np.zeros(7), r"got (7,); one code is z.reshape(1, -1)"),
        (3.0, "got ()"),
        (np.zeros((3, 0)), "at least one component"),
        (np.zeros((1, 4)), "at least 2 codes (rows), got 1 of dimension 4"),
        (np.zeros((3, 4), dtype=complex), "must hold real numbers, got dtype complex128"),
        (np.array([["a", "b"]]), "must hold real numbers"),
        ([[1.0, 2.0], [3.0]], "pass rows of equal length"),
        (None, "must hold real numbers, got dtype object from NoneType"),
    ],
)
def test_wrong_codes_are_told_what_to_do(z, message):
    with pytest.raises(InputError, match=re.escape(message)):
        check_codes(z)


def test_rows_that_are_not_finite_are_counted_and_named():
    z = np.zeros((10_000, 3), dtype=np.float32)
    z[[2, 5000, 9999], 1] = np.nan
    z[7] = np.inf
    message = re.escape("in 4 of 10000 rows (2, 7, 5000, 9999); drop them with z[np.isfinite(z)")
    with pytest.raises(InputError, match=message):
        check_codes(z)
    z[:50] = np.nan
    with pytest.raises(InputError, match=re.escape("rows (0, 1, 2, 3, 4, ...)")):
        check_codes(z)
    assert check_codes(z, finite=False) is z


def test_another_dimension_is_named():
    with pytest.raises(InputError, match="new must have 4 components as in fit, got 3"):
        check_codes(np.zeros((5, 3)), name="new", latent_dim=4)


def test_counts_numbers_and_seeds():
    assert check_count(np.int32(4)) == 4
    assert check_positive(np.float32(0.5), name="b") == 0.5
    assert check_fraction(1, name="a") == 1.0
    assert check_seed(2**64 - 1) == 2**64 - 1
    assert check_seeds(iter([1, 2])).tolist() == [1, 2]
    for call in (
        lambda: check_count(2.0),
        lambda: check_count(True),
        lambda: check_count(5, maximum=4),
        lambda: check_positive(np.nan, name="b"),
        lambda: check_fraction(1.1, name="a"),
        lambda: check_seed(2**64),
        lambda: check_seed(1.0),
        lambda: check_seeds([1, "2"]),
    ):
        with pytest.raises(InputError, match="must be"):
            call()


def test_an_unfitted_estimator_is_named():
    class Law:
        pass

    with pytest.raises(InputError, match="This Law is not fitted yet"):
        check_fitted(Law())


@pytest.mark.parametrize("n", [1, 7, 10, 11, 1000, 12345])
def test_thinned_rows_are_the_codes_own_and_reach_from_the_first_to_the_last(n):
    z = np.arange(n)[:, None]
    few = thinned(z, 10).ravel()
    assert len(few) == min(n, 10)
    assert len(set(few)) == len(few)
    assert (few[0], few[-1]) == (0, n - 1)
    assert np.ptp(np.diff(few)) <= 1 if n > 1 else True
