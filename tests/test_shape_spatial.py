"""Codes with a shape, position by position: planted maps, brute force, what is ignored, the command line."""

import numpy as np
import pytest

from latentshape import shape, shape_plots
from latentshape.cli import main
from latentshape.errors import InputError
from latentshape.shape.spatial import as_codes, measure_positions, one_position, positions_of
from tiny_run import read, said

SHAPE = (3, 6, 8)


def smooth(n, seed=0):
    """Maps whose neighbours are alike, channel 1 twice as wide, mean rising to the right."""
    rng = np.random.default_rng(seed)
    c, h, w = SHAPE
    x = rng.standard_normal((n, c, h + 1, w + 1))
    x = (x[:, :, 1:, 1:] + x[:, :, :-1, 1:] + x[:, :, 1:, :-1] + x[:, :, :-1, :-1]) / 2
    x[:, 1] *= 2
    return (x + np.linspace(0, 3, w)).astype(np.float32)


@pytest.fixture(scope="module")
def found():
    return measure_positions(smooth(600))


def test_codes_go_to_rows_and_back():
    z = smooth(5)
    flat, shape = as_codes(z)
    assert shape == SHAPE
    assert np.shares_memory(flat, z)
    assert np.array_equal(flat.reshape(5, *shape), z)
    assert np.array_equal(positions_of(flat, SHAPE)[2, 8 * 4 + 5], z[2, :, 4, 5])
    assert as_codes(flat) == (flat, None) or as_codes(flat)[1] is None
    rows = one_position(z, SHAPE, seed=1)
    assert all((positions_of(z, SHAPE)[i] == rows[i]).all(axis=1).any() for i in range(5))


def test_planted_maps_are_found(found):
    assert np.allclose(np.mean(found["mean_map"], axis=(0, 1)), np.linspace(0, 3, 8), atol=0.1)
    assert np.mean(found["std_map"], axis=(1, 2)) == pytest.approx([1, 2, 1], abs=0.05)
    # The variance of 8 even steps from 0 to 3 over itself plus that within, 1 or 4.
    ramp = np.linspace(0, 3, 8).var()
    shares = [channel["between_positions"] for channel in found["channels"]]
    assert shares == pytest.approx(
        [ramp / (ramp + 1), ramp / (ramp + 4), ramp / (ramp + 1)], abs=0.03
    )
    control = found["control"]
    assert control["between_positions"] < 0.01
    assert control["ignored"]["mean_squared_correlation"] == pytest.approx(1 / 599, rel=0.05)


def test_what_is_ignored_is_what_brute_force_finds(found):
    z = smooth(600).reshape(600, -1)
    r = np.corrcoef(z.T.astype(np.float64))
    place = np.tile(np.arange(48), 3)
    other = place[:, None] != place
    assert found["ignored"]["mean_squared_correlation"] == pytest.approx(
        (r[other] ** 2).mean(), rel=1e-4
    )
    y, x = np.divmod(np.arange(48), 8)
    distance = np.rint(np.hypot(y[:, None] - y, x[:, None] - x)).astype(int)
    own = np.mean([r.reshape(3, 48, 3, 48)[k, :, k] for k in range(3)], axis=0)
    for row in found["correlation_by_distance"]:
        at = distance == row["distance"]
        assert row["pairs"] == at.sum()
        assert row["r"] == pytest.approx(own[at].mean(), abs=1e-5)
    assert "98.0%" in found["sees"] or "97.9%" in found["sees"]


def test_laws_that_see_more_are_likelier(found):
    nats = found["likelihood"]
    assert nats["pooled"] < nats["diagonal"] < nats["low-rank"]
    assert abs(nats["per-position"] - nats["diagonal"]) < 5  # channels are independent here


def test_codes_without_positions_are_refused():
    with pytest.raises(InputError, match=r"positions need|Positions need"):
        measure_positions(np.zeros((20, 12)))
    for wrong in ((12,), (4, 3), (2, 2, 3, 1)):
        with pytest.raises(InputError, match=r"maps \(c, h, w\)"):
            measure_positions(np.zeros((20, 12)), wrong)
    with pytest.raises(InputError, match="have 8 components, got 12"):
        measure_positions(np.zeros((20, 12)), (2, 2, 2))


def test_the_command_line_takes_codes_with_a_shape(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LATENTSHAPE_CACHE", str(tmp_path / "cache"))
    # What positions add is looked at here; the rest of a record and its figures have tests of their own.
    measure = shape.measure
    monkeypatch.setattr(
        shape, "measure", lambda *z, **named: measure(*z, **named | {"deep": False})
    )
    for name in set(shape_plots.SHEETS) - {"positions"}:
        monkeypatch.setitem(shape_plots.SHEETS, name, lambda record, z, moments: None)
    np.save(tmp_path / "z.npy", smooth(60))
    words = ["analyze", str(tmp_path / "z.npy"), "--out", str(tmp_path / "out")]
    assert main([*words, "--treatment", "positions"]) == 0
    record = read(tmp_path / "out" / "shape.json")
    assert (record["n"], record["d"]) == (60, 3)
    assert record["treatment"]["kind"] == "positions"
    assert np.shape(record["positions"]["mean_map"]) == SHAPE
    assert (tmp_path / "out" / "figures" / "positions.png").stat().st_size > 10_000
    capsys.readouterr()
    np.save(tmp_path / "flat.npy", smooth(60).reshape(60, -1))
    assert main(["analyze", str(tmp_path / "flat.npy"), "--treatment", "positions"]) == 2
    assert "needs codes with a shape" in said(capsys)
