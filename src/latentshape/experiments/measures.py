"""What a sweep reads from each finished run: one number a measure, beside its control where it has one.

Nothing is computed here: every number stands in a run's JSON files, under the keys that `MEASURES` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from latentshape.runs import RunFolder, read_record

__all__ = ["JUDGED", "MEASURES", "Measure", "measured", "words"]


@dataclass(frozen=True)
class Measure:
    """One number of a run.

    Attributes:
        words: What it is, for headings.
        file: Which record: metrics (its last line), stages, shape or scorecard.
        path: Keys, one below the other.
        control: Keys of the same number of the Gaussian control, where there is one; or of what it is to
            be read beside.
        beside: What ``control`` is called.
    """

    words: str
    file: str
    path: tuple[str, ...]
    control: tuple[str, ...] = ()
    beside: str = "control"


def _coverage(sigma: int) -> Measure:
    return Measure(
        f"pairs inside their {sigma}σ ellipse",
        "shape", ("ellipses", "coverage", f"sigma={sigma}", "observed"),
        ("ellipses", "coverage", f"sigma={sigma}", "control"),
    )  # fmt: skip


MEASURES: dict[str, Measure] = {
    "heldout_mse": Measure("held-out squared error per pixel", "metrics", ("heldout_mse",)),
    "train_seconds": Measure("seconds of training", "stages", ("train", "seconds")),
    "parameters": Measure("parameters", "stages", ("train", "parameters")),
    "offset_sigma": Measure(
        "origin's distance from the centre, in σ", "shape", ("centre", "offset_sigma"),
        ("centre", "sqrt_d"), beside="√d",
    ),
    "sqrt_d": Measure("√d, the radius of a Gaussian cloud", "shape", ("centre", "sqrt_d")),
    "variance_ratio": Measure(
        "variance of the squared radius, in a Gaussian's", "shape", ("mahalanobis", "variance_ratio"),
        ("mahalanobis", "control", "variance_ratio"),
    ),
    "student_nu": Measure("ν of the radius as of a Student t", "shape", ("joint_law", "radius", "t", "nu")),
    "coverage_1": _coverage(1),
    "coverage_2": _coverage(2),
    "coverage_3": _coverage(3),
    "fit_r2": Measure(
        "histograms explained by Gaussian curves, R²", "shape", ("component_summary", "fit_r2_mean"),
        ("component_summary", "control", "fit_r2_mean"),
    ),
    "kurtosis_rms": Measure(
        "excess kurtosis of the components, rms", "shape", ("component_summary", "excess_kurtosis_rms"),
        ("component_summary", "control", "excess_kurtosis_rms"),
    ),
    "dominant": Measure("dominant components", "shape", ("component_summary", "dominant")),
    "correlation_rms": Measure(
        "correlation of two components, rms", "shape", ("correlation", "rms"),
        ("correlation", "control", "rms"),
    ),
    "effective_dimension": Measure(
        "effective dimension", "shape", ("pca", "effective_dimension"),
        ("pca", "control", "effective_dimension"),
    ),
    "least_gaussian": Measure(
        "negentropy index of the least Gaussian direction", "shape",
        ("normality", "least-gaussian", "effect"), ("normality", "least-gaussian", "control", "effect"),
    ),
    "energy": Measure(
        "energy distance to the fitted Gaussian", "shape", ("normality", "energy", "effect"),
        ("normality", "energy", "control", "effect"),
    ),
    "regions": Measure("regions", "shape", ("verdict", "regions", "value")),
}  # fmt: skip
"""Each measure of a run's training and cloud, in the order of the table."""

#: Of the rows of a scorecard: words and key (with its feature space).
JUDGED: dict[str, tuple[str, tuple[str, ...]]] = {
    "gap": ("gap to reconstructions, random-conv", ("gap", "random-conv")),
    "frechet": ("Fréchet distance to real images, random-conv", ("frechet", "random-conv")),
    "face_rate": ("share of pictures with a face", ("face_rate",)),
    "precision": ("precision among reconstructions", ("sampler_precision",)),
    "recall": ("recall among reconstructions", ("sampler_recall",)),
}
#: Rows of a scorecard that a sweep's table shows.
ROWS = (
    "reconstruction", "training-codes", "gaussian", "elliptical", "mixture", "zero-mean",
    "standard-normal",
)  # fmt: skip


def measured(run: RunFolder) -> dict[str, dict[str, Any]]:
    """Every measure that a run has.

    Returns:
        By name (``variance_ratio``; of a sampler ``gap:gaussian``): ``value``, and ``control`` or ``low`` and
        ``high`` where they are known. What was not measured is left out.

    Raises:
        InputError: A record is damaged.
    """
    lines = run.metrics()
    records: dict[str, Any] = {
        "metrics": lines[-1] if lines else {},
        "stages": run.stages(),
        "shape": read_record(run.shape_path) if run.shape_path.exists() else {},
    }
    found: dict[str, dict[str, Any]] = {}
    for name, measure in MEASURES.items():
        value = _at(records[measure.file], measure.path)
        if value is None:
            continue
        found[name] = {"value": len(value) if isinstance(value, list) else value}
        control = _at(records[measure.file], measure.control) if measure.control else None
        if control is not None:
            found[name]["control"] = control
    rows = read_record(run.scorecard_path, "rows")["rows"] if run.scorecard_path.exists() else {}
    for key, (_, path) in JUDGED.items():
        for row in ROWS:
            entry = _at(rows.get(row, {}), path)
            if entry and entry.get("value") is not None:
                found[f"{key}:{row}"] = {k: entry[k] for k in ("value", "low", "high")}
    return found


def words(name: str) -> str:
    """A measure's heading.

    Example:
        >>> words("gap:gaussian")
        'gap to reconstructions, random-conv: gaussian'
    """
    key, _, row = name.partition(":")
    return f"{JUDGED[key][0]}: {row}" if row else MEASURES[key].words


def _at(record: Any, path: Iterable[str]) -> Any:
    """What stands under these keys; ``sigma=2`` is the entry of a list whose sigma is 2."""
    for key in path:
        if isinstance(record, list):
            name, _, value = key.partition("=")
            record = next((entry for entry in record if entry.get(name) == float(value)), None)
        elif isinstance(record, Mapping):
            record = record.get(key)
        else:
            return None
    return record
