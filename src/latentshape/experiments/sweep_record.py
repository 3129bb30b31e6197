"""What a sweep found: ``sweep.json``, the same as CSV, and a page with one table and one figure.

Rows that differ in their seed alone are one line of the table: the mean over the seeds, with the least and
the greatest.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentshape.experiments.cells import Cell, Grid, make_cells
from latentshape.experiments.measures import measured, words
from latentshape.experiments.sweep import check_stages, run_cells
from latentshape.files import atomic_path, write_json
from latentshape.runs import RunFolder

__all__ = ["SHOWN", "grouped", "run_sweep", "sweep_csv", "varied_fields"]

#: Measures of the page's table, in order; the JSON and the CSV hold all.
SHOWN = (
    "heldout_mse", "offset_sigma", "variance_ratio", "coverage_1", "coverage_2", "coverage_3",
    "kurtosis_rms", "least_gaussian", "effective_dimension", "regions", "gap:reconstruction",
    "gap:gaussian", "gap:mixture", "gap:zero-mean", "face_rate:gaussian",
)  # fmt: skip

Row = dict[str, Any]


def run_sweep(
    grid: Grid,
    out: Path,
    *,
    preset: str | None = None,
    options: dict[str, Any] | None = None,
    stages: Sequence[str] = ("train", "encode", "analyze", "evaluate"),
    jobs: int = 1,
    engine: str = "processes",
) -> Row:
    """Finish every cell of a grid and write what they found.

    Args:
        grid: What varies.
        out: Of ``runs/``, ``sweep.json``, ``sweep.csv``, ``sweep.png``, ``sweep.html``.
        preset: Of all cells.
        options: Of all cells.
        stages: Of each run, from `latentshape.pipeline.STAGES`.
        jobs: Runs side by side.
        engine: From `latentshape.experiments.sweep.ENGINES`.

    Returns:
        The record as ``sweep.json`` holds it: ``fields`` (what varies), ``rows`` (of each cell ``name``,
        ``run``, ``varied``, and ``values`` by measure, or ``why`` there are none).

    Raises:
        InputError: The grid cannot work; or a record of a finished run is damaged.
    """
    cells = make_cells(grid, preset, options)
    stages = check_stages(stages)
    rows = run_cells(cells, out, stages, jobs=jobs, engine=engine)
    record = sweep_record(cells, rows, out, stages)
    write_sweep(record, out)
    return record


def sweep_record(
    cells: Sequence[Cell], rows: Iterable[Row], out: Path, stages: Sequence[str]
) -> Row:
    """The record of finished cells."""
    from latentshape import __version__

    full = [
        row if "why" in row else row | {"values": measured(RunFolder(out / row["run"]))}
        for row in rows
    ]
    return {
        "fields": varied_fields(cells),
        "common": _common(cells),
        "stages": list(stages),
        "latentshape": __version__,
        "rows": full,
    }


def varied_fields(cells: Sequence[Cell]) -> list[str]:
    """Fields in which the cells differ, in the order of the grid."""
    names = dict.fromkeys(name for cell in cells for name in cell.varied)
    return list(names)


def _common(cells: Sequence[Cell]) -> dict[str, Any]:
    """What all cells share, section by section: the rest of their configs."""
    plain = [cell.config.to_dict() for cell in cells]
    first = plain[0]
    return {
        section: {
            key: value for key, value in values.items() if all(p[section][key] == value for p in plain)
        }
        for section, values in first.items() if isinstance(values, dict)
    }  # fmt: skip


def grouped(rows: Iterable[Row]) -> list[Row]:
    """Rows that differ in their seed alone as one.

    Returns:
        Of each group ``varied`` (without the seed), ``seeds``, ``values`` (by measure ``value``, and ``low``,
        ``high`` over seeds where there are several; ``control`` likewise a mean), ``why`` of its failures.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        key = repr({k: v for k, v in row["varied"].items() if k != "seed"})
        groups.setdefault(key, []).append(row)
    return [_mean(group) for group in groups.values()]


def _mean(group: Sequence[Row]) -> Row:
    done = [row["values"] for row in group if "values" in row]
    values: dict[str, Any] = {}
    for name in dict.fromkeys(name for found in done for name in found):
        entries = [found[name] for found in done if name in found]
        numbers = [entry["value"] for entry in entries]
        entry = {"value": float(np.mean(numbers)), "low": min(numbers), "high": max(numbers)}
        if len(entries) == 1:
            entry |= {k: v for k, v in entries[0].items() if k in ("low", "high")}
        controls = [entry["control"] for entry in entries if "control" in entry]
        if controls:
            entry["control"] = float(np.mean(controls))
        values[name] = entry
    return {
        "varied": {k: v for k, v in group[0]["varied"].items() if k != "seed"},
        "seeds": [row["varied"]["seed"] for row in group if "seed" in row["varied"]],
        "values": values,
        "why": [row["why"] for row in group if "why" in row],
    }


def sweep_csv(record: Row) -> str:
    """The record as CSV: a line a cell, the varied fields first, then every measure and its control."""
    rows = record["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row.get("values", {})))
    columns = [
        (name, part)
        for name in names
        for part in ("value", "control", "low", "high")
        if any(part in row.get("values", {}).get(name, {}) for row in rows)
    ]
    heads = [name if part == "value" else f"{name}.{part}" for name, part in columns]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *record["fields"], *heads, "why"])
    for row in rows:
        entries = [row.get("values", {}).get(name, {}).get(part, "") for name, part in columns]
        own = [said(row["varied"].get(field, "")) for field in record["fields"]]
        writer.writerow([row["name"], *own, *entries, row.get("why", "")])
    return text.getvalue()


def said(value: Any) -> str:
    """A config's value in a table.

    Example:
        >>> said([32, 64]), said(True), said(0.5)
        ('32, 64', 'yes', '0.5')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def write_sweep(record: Row, out: Path) -> None:
    """``sweep.json``, ``sweep.csv``, ``sweep.png``, ``sweep.html``."""
    from latentshape.experiments.sweep_plots import save_sweep
    from latentshape.report import embed, write_page

    write_json(out / "sweep.json", record)
    with atomic_path(out / "sweep.csv") as temporary:
        temporary.write_text(sweep_csv(record), encoding="utf-8")
    picture = save_sweep(record, out / "sweep.png")
    groups = grouped(record["rows"])
    shown = [name for name in SHOWN if any(name in group["values"] for group in groups)]
    fields = [field for field in record["fields"] if field != "seed"]
    write_page(
        "sweep.html",
        out / "sweep.html",
        {
            "title": ", ".join(f.replace("_", " ") for f in fields) or "seed",
            "fields": fields,
            "columns": [words(name) for name in shown],
            "groups": [
                {
                    "varied": [said(group["varied"].get(field, "")) for field in fields],
                    "seeds": len(group["seeds"]) or 1,
                    "entries": [group["values"].get(name) for name in shown],
                    "why": group["why"],
                }
                for group in groups
            ],
            "common": record["common"],
            "picture": embed(picture) if picture else None,
        },
    )
