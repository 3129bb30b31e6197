# ruff: noqa: F401, F811 - fixtures are imported
"""Layers: departures from a Gaussian that are planted are found, and each layer is what it is called."""

import numpy as np
import pytest
import torch

from latentshape.errors import InputError
from latentshape.experiments import layers as module
from latentshape.experiments.bench import Bench
from latentshape.experiments.layers import (
    MEASURES,
    departures,
    layer_outputs,
    layers,
    principal_scores,
)
from latentshape.experiments.study_plots import PANELS, departure_lines
from latentshape.images import to_images
from latentshape.models import build_model, load_model
from latentshape.pipeline import open_data
from latentshape.plots import figure
from tiny_run import copy, finished, tiny_config

N, K = 2000, 8


@pytest.fixture(scope="module")
def control():
    """Departures of draws from a Gaussian, as the experiment makes them."""
    return [module._control(N, K, seed) for seed in range(6)]


def gaussian(seed, n=N, k=K):
    """Gaussian points with a mean and a covariance of their own."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, k)) @ rng.standard_normal((k, k)) + 5


def test_gaussian_points_depart_no_more_than_the_control(control):
    found = [departures(gaussian(seed)) for seed in range(6)]
    for name in MEASURES:
        ours, theirs = ([entry[name] for entry in entries] for entries in (found, control))
        spread = max(np.std(theirs, ddof=1), np.std(ours, ddof=1))
        assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=4 * spread * np.sqrt(2 / 6)), (
            name
        )
    # The exact law's variance: no bias for the moments being the points' own.
    assert np.mean([entry["variance_ratio"] for entry in found]) == pytest.approx(1, abs=0.06)


def test_departures_are_blind_to_mean_and_covariance():
    z = np.random.default_rng(0).standard_t(5, (N, K))
    plain = departures(z)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        moved = departures(z @ np.diag(rng.uniform(0.1, 9, K)) + rng.normal(0, 50, K))
        for name in ("variance_ratio", "axes_kurtosis"):
            assert moved[name] == pytest.approx(plain[name], rel=1e-6)


def test_heavy_tails_are_heavy(control):
    rng = np.random.default_rng(1)
    z = rng.standard_normal((N, K)) * np.sqrt(8 / rng.chisquare(8, (N, 1)))
    found = departures(z)
    # The squared radius is (nu - 2) / nu k F(k, nu): its variance over a Gaussian's 2 k is this.
    law = (K + 8 - 2) / (8 - 4)
    assert found["variance_ratio"] == pytest.approx(law, rel=0.5)
    assert found["variance_ratio"] > 2
    assert found["axes_kurtosis"] == pytest.approx(6 / (8 - 4), rel=0.6)
    assert found["axes_kurtosis"] > 5 * max(entry["axes_kurtosis"] for entry in control)


def test_one_skew_direction_is_found_by_search_and_not_by_chance(control):
    """Fifty dimensions, one of them exponential: what random shadows cannot show."""
    n, k = 4000, 50
    rng = np.random.default_rng(2)
    z = rng.standard_normal((n, k))
    z[:, 0] = rng.exponential(size=n)
    z = z @ np.linalg.qr(rng.standard_normal((k, k)))[0]
    found, null = departures(z), module._control(n, k, 0)
    assert found["least_gaussian"] > 20 * abs(null["least_gaussian"])
    assert found["random_direction"] < 2 * null["random_direction"]


# --- principal components -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(60, 200), (201, 12)])
def test_scores_are_those_of_a_singular_value_decomposition(shape):
    """More columns than rows, and fewer; an odd number of rows leaves one more to be judged."""
    rng = np.random.default_rng(3)
    x = (rng.standard_normal(shape) * np.geomspace(10, 0.1, shape[1]) + 3).astype(np.float32)
    half, count = shape[0] // 2, 6
    mean = x[:half].mean(0, dtype=np.float64)
    _, _, axes = np.linalg.svd(x[:half] - mean, full_matrices=False)
    expected = (x[half:] - mean) @ axes[:count].T
    found = principal_scores(x, count)
    assert found.shape == (shape[0] - half, count)
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found * signs, expected, atol=2e-3)


def test_the_judged_half_does_not_choose_the_axes():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((100, 30)).astype(np.float32)
    other = x.copy()
    other[50:] = rng.standard_normal((50, 30)) * 100
    other[50] = x[50]
    np.testing.assert_allclose(principal_scores(other, 5)[0], principal_scores(x, 5)[0], rtol=1e-5)


def test_a_cloud_of_fewer_directions_than_components_is_refused():
    """In single precision rounding fills every direction a little: that is no cloud."""
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((80, 3)) @ rng.standard_normal((3, 500))).astype(np.float32)
    assert principal_scores(x, 3).shape == (40, 3)
    with pytest.raises(InputError, match="fewer than 4 directions"):
        principal_scores(x, 4)
    with pytest.raises(InputError, match="fewer than 1 directions"):
        principal_scores(np.full((80, 5), 0.25, np.float32), 1)


# --- layers of a network --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    return build_model(tiny_config()).eval()


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(6).integers(0, 256, (300, 32, 32, 3), np.uint8)


def test_each_layer_is_what_it_is_called(network, pixels):
    found = dict(layer_outputs(network, pixels[:4]))
    assert list(found) == ["pixels", "block 1", "block 2", "code"]
    x = to_images(pixels[:4], torch.device("cpu"))
    np.testing.assert_allclose(found["pixels"], x.flatten(1).numpy())
    np.testing.assert_allclose(
        found["pixels"].reshape(4, 3, 32, 32), pixels[:4].transpose(0, 3, 1, 2) / 255, rtol=1e-6
    )
    with torch.inference_mode():
        first = network.encoder.layers[0](x)
        np.testing.assert_allclose(found["block 1"], first.flatten(1).numpy(), atol=1e-6)
        np.testing.assert_allclose(found["code"], network.encode(x).numpy(), atol=1e-6)
    assert found["block 1"].shape == (4, 3 * 16 * 16)


def test_layers_do_not_depend_on_how_images_are_batched(network, pixels):
    whole = dict(layer_outputs(network, pixels))
    parts = [dict(layer_outputs(network, pixels[rows])) for rows in (slice(0, 77), slice(77, 300))]
    for name, x in whole.items():
        np.testing.assert_allclose(np.concatenate([p[name] for p in parts]), x, atol=1e-6)


def test_pixels_can_be_left_out(network, pixels):
    assert [name for name, _ in layer_outputs(network, pixels[:2], first=1)] == [
        "block 1", "block 2", "code"
    ]  # fmt: skip


# --- the experiment -------------------------------------------------------------------------------------


def test_every_state_of_the_network_has_every_layer_and_pixels_stand_once(copy, monkeypatch):
    config = copy.config()
    from latentshape.files import write_json

    plain = config.to_dict()
    plain["training"]["snapshots"] = [1]
    write_json(copy.config_path, plain)
    kept = copy.snapshot_path(1)
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(copy.model_path.read_bytes())
    record = layers(Bench(copy))
    rows = record["rows"]
    names = ["block 1", "block 2", "code"]
    states = {"untrained": 0, "after 1 epoch": 1, "trained": config.training.epochs}
    assert [(row["network"], row["layer"]) for row in rows] == [
        ("–", "pixels"), *((state, name) for state in states for name in names)
    ]  # fmt: skip
    for row in rows[1:]:
        assert row["epoch"] == states[row["network"]]
    assert [row["depth"] for row in rows[:4]] == [0, 1, 2, 3]
    assert [row["numbers"] for row in rows[:4]] == [32 * 32 * 3, 3 * 16 * 16, 4 * 8 * 8, 5]
    for row in rows:
        assert set(MEASURES) <= set(row)
    # The snapshot holds the final weights here: its numbers are those of the trained network.
    of = {state: [row for row in rows if row["network"] == state] for state in states}
    for one, other in zip(of["after 1 epoch"], of["trained"]):
        assert [one[name] for name in MEASURES] == [other[name] for name in MEASURES]
    # And the untrained network is that of the run's own seed before the first step.
    chosen = open_data(config, copy)
    n = len(chosen.indices("train"))
    x = dict(layer_outputs(build_model(config).eval(), chosen.pixels[chosen.indices("train")]))
    expected = departures(principal_scores(x["code"], 5))
    assert n // 20 >= 5
    assert of["untrained"][-1]["variance_ratio"] == pytest.approx(expected["variance_ratio"])
    assert of["untrained"][-1]["variance_ratio"] != of["trained"][-1]["variance_ratio"]
    for name in MEASURES:
        entry = record["control"][name]
        assert entry["low"] <= entry["value"] <= entry["high"]
    assert (copy.series_path / "layers.png").stat().st_size > 0


def test_too_few_images_are_a_sentence(finished, monkeypatch):
    monkeypatch.setattr(module, "IMAGES", 15)
    with pytest.raises(InputError, match="needs 20 training images and the run has 15"):
        layers(Bench(finished))


def test_a_line_goes_through_every_layer_at_the_very_values():
    rows = [{"network": "–", "epoch": 0, "layer": "pixels", "depth": 0, "variance_ratio": 3.0}]
    rows += [
        {"network": state, "epoch": e, "layer": name, "depth": depth, "variance_ratio": e + depth + 1.0}
        for state, e in (("untrained", 0), ("after 1 epoch", 1), ("trained", 2))
        for depth, name in ((1, "block 1"), (2, "code"))
    ]  # fmt: skip
    rows.append(
        {"network": "trained", "epoch": 2, "layer": "block 9", "depth": 9, "why": "no cloud"}
    )
    record = {"rows": rows, "control": {"variance_ratio": {"value": 1.0, "low": 0.9, "high": 1.1}}}
    _, axes = figure()
    ax = departure_lines(axes[0, 0], record, "variance_ratio")
    lines = {line.get_label(): line for line in ax.lines}
    for state, e in (("untrained", 0), ("after 1 epoch", 1), ("trained", 2)):
        assert lines[state].get_xydata().tolist() == [[0, 3.0], [1, e + 2.0], [2, e + 3.0]]
    assert len({lines[s].get_color() for s in ("untrained", "after 1 epoch", "trained")}) == 3
    assert set(lines["Gaussian control"].get_ydata()) == {1.0}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["pixels", "1", "code"]
    assert set(PANELS) == set(MEASURES)
