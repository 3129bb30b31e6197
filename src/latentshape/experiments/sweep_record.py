"""What a sweep found: ``sweep.json``, the same as CSV, and a page with one table and one figure.

Rows that differ in their seed alone are one line of the table: the mean over the seeds, with the least and
the greatest. JSON and CSV hold every digit; the page shows three figures.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentshape.experiments.cells import Cell, Grid, make_cells, said
from latentshape.experiments.measures import MEASURES, measured, words
from latentshape.experiments.sweep import check_stages, run_cells
from latentshape.files import atomic_path, write_json
from latentshape.runs import RunFolder

__all__ = ["SHOWN", "grouped", "run_sweep", "sweep_csv", "varied_fields"]

#: The page's tables: of each its title, and by group of columns the measures with their short headings.
TABLES: tuple[tuple[str, dict[str, dict[str, str]]], ...] = (
    ("Training, and the cloud of codes", {
        "training": {"heldout_mse": "held-out error per pixel"},
        "centre": {"offset_sigma": "distance of the origin, in σ"},
        "squared radius": {"variance_ratio": "variance, in a Gaussian's"},
        "pairs inside their ellipse": {"coverage_1": "1σ", "coverage_2": "2σ", "coverage_3": "3σ"},
        "distance to normality": {
            "kurtosis_rms": "excess kurtosis, rms", "least_gaussian": "least Gaussian direction",
        },
        "extent": {"effective_dimension": "effective dimension", "regions": "regions"},
    }),
    ("Pictures decoded from codes that were drawn", {
        "gap to reconstructions, random-conv": {
            f"gap:{row}": row for row in (
                "reconstruction", "training-codes", "gaussian", "elliptical", "mixture", "zero-mean",
                "standard-normal",
            )
        },
        "share with a face": {
            f"face_rate:{row}": row for row in ("reconstruction", "gaussian", "mixture", "zero-mean")
        },
    }),
)  # fmt: skip
SHOWN = tuple(name for _, groups in TABLES for columns in groups.values() for name in columns)
"""Measures of the page's tables, in order; the JSON and the CSV hold all."""

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
        Of each group ``varied`` (without the seed), ``seeds``, ``done`` (how many of its runs were finished),
        ``values`` (by measure ``value``, and ``low``, ``high``: over seeds where there are several, over
        draws where there is one; ``control`` likewise a mean), ``why`` of its failures.
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
        mean = numbers[0] if len(set(numbers)) == 1 else float(np.mean(numbers))
        entry = {"value": mean, "low": min(numbers), "high": max(numbers)}
        if len(entries) == 1:
            entry |= {k: v for k, v in entries[0].items() if k in ("low", "high")}
        controls = [entry["control"] for entry in entries if "control" in entry]
        if controls:
            entry["control"] = float(np.mean(controls))
        values[name] = entry
    return {
        "varied": {k: v for k, v in group[0]["varied"].items() if k != "seed"},
        "seeds": [row["varied"]["seed"] for row in group if "seed" in row["varied"]],
        "done": len(done),
        "values": values,
        "why": [row["why"] for row in group if "why" in row],
    }


def sweep_csv(record: Row) -> str:
    """The record as CSV: a line a cell, the varied fields first, then every measure and its control.

    A measure's own column has its name, the others ``name.control``, ``name.low``, ``name.high``.
    """
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
    return _encodable(text.getvalue())


def _encodable(text: str) -> str:
    """A text that UTF-8 can hold: a path that the command line could not decode has lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def figures(value: float) -> str:
    """A number with three figures; whole numbers whole.

    Example:
        >>> [figures(v) for v in (2.0, 0.00064812, 99.99, 12345.6, 3, 7e-18)]
        ['2.00', '0.000648', '100', '12,346', '3', '0']
    """
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return "0" if abs(value) < 1e-9 else f"{value:#.3g}".rstrip(".")


def _table(title: str, groups: dict[str, dict[str, str]], lines: Sequence[Row]) -> Row | None:
    """A table of text, without the columns that no line has; None where nothing is left."""
    spans: list[tuple[str, int]] = []
    columns: list[Row] = []
    for group, members in groups.items():
        own = [name for name in members if any(name in line["values"] for line in lines)]
        columns += [
            {"name": name, "head": members[name], "words": words(name), "first": name == own[0]}
            for name in own
        ]
        spans += [(group, len(own))] if own else []
    if not columns:
        return None
    rows = [
        [_shown(c["name"], line["values"].get(c["name"])) | {"first": c["first"]} for c in columns]
        for line in lines
    ]
    return {"title": title, "groups": spans, "columns": columns, "rows": rows}


def _shown(name: str, entry: Row | None) -> Row:
    """An entry as text: ``value``, ``range`` and ``beside``, empty where there is none."""
    if entry is None:
        return {"value": "–", "range": "", "beside": ""}
    low, high = (figures(entry[end] if end in entry else entry["value"]) for end in ("low", "high"))
    beside = MEASURES[name].beside if name in MEASURES else ""
    return {
        "value": figures(entry["value"]),
        "range": f"{low} – {high}" if low != high else "",
        "beside": f"{beside} {figures(entry['control'])}" if "control" in entry else "",
    }


def write_sweep(record: Row, out: Path) -> None:
    """``sweep.json``, ``sweep.csv``, ``sweep.png``, ``sweep.html``."""
    from latentshape.experiments.sweep_plots import save_sweep
    from latentshape.report import embed, write_page

    write_json(out / "sweep.json", record)
    with atomic_path(out / "sweep.csv") as temporary:
        temporary.write_text(sweep_csv(record), encoding="utf-8")
    picture = save_sweep(record, out / "sweep.png")
    lines = grouped(record["rows"])
    fields = [field for field in record["fields"] if field != "seed"]
    tables = [table for title, groups in TABLES if (table := _table(title, groups, lines))]
    write_page(
        "sweep.html",
        out / "sweep.html",
        {
            "title": ", ".join(f.replace("_", " ") for f in fields) or "seed",
            "fields": [field.replace("_", " ") for field in fields],
            "runs": len(record["rows"]),
            "failed": sum("why" in row for row in record["rows"]),
            "several_seeds": "seed" in record["fields"],
            "lines": [
                {
                    "varied": [_encodable(said(line["varied"].get(field, ""))) for field in fields],
                    "seeds": str(line["done"])
                    if not line["why"]
                    else f"{line['done']} of {line['done'] + len(line['why'])}",
                    "why": [_encodable(why) for why in dict.fromkeys(line["why"])],
                }
                for line in lines
            ],
            "tables": tables,
            "controls": any(
                cell["beside"] for table in tables for row in table["rows"] for cell in row
            ),
            "common": [
                (f"{section}.{key}", _encodable(said(value)))
                for section, values in record["common"].items()
                for key, value in values.items()
            ],
            "picture": embed(picture) if picture else None,
        },
    )
