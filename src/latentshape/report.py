"""One self-contained page from what lies in the run folder.

Every number on it is read from the run's JSON files and every picture from its folders; the page
computes nothing. Pictures are embedded, so the file can be mailed.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from latentshape.evaluation.reading import reading
from latentshape.evaluation.recommendation import SPACE
from latentshape.files import atomic_path
from latentshape.images import palette_png
from latentshape.runs import RunFolder, read_record

__all__ = ["card_table", "render", "scorecard_text", "write_page", "write_report"]

#: Rows of the scorecard in reading order.
ORDER = (
    "real", "reconstruction", "training-codes", "neighbours", "gaussian", "low-rank", "elliptical", "mixture",
    "flow", "copula", "ellipsoid", "pairwise-ellipse", "diagonal", "intervals", "centred", "zero-mean",
    "standard-normal", "cube", "phase-scrambled",
)  # fmt: skip
#: Plain words for the rows that are no samplers; samplers describe themselves.
IMAGE_ROWS = {
    "real": "Held-out images as they are: the ceiling.",
    "reconstruction": "Held-out images, encoded and decoded: this decoder's best, the floor of every gap.",
    "phase-scrambled": "Real images with their layout destroyed: the detector's floor.",
}
#: Columns of the scorecard by table and group: what it is called, its key in a row, decimals (None: three
#: figures, for numbers of any size). A group of columns "per space" has one for each feature space.
TABLES = (
    (
        "The sampler alone: against reconstructions of test images by the same decoder",
        (
            ("", (("face rate", "face_rate", 3),)),
            ("gap (Fréchet)", (("per space", "gap", 2),)),
            (
                f"in {SPACE} features",
                (
                    ("precision", "sampler_precision", 2),
                    ("recall", "sampler_recall", 2),
                    ("density", "sampler_density", 2),
                    ("coverage", "sampler_coverage", 2),
                    ("diversity", "diversity", 2),
                ),
            ),
            ("kernel distance", (("per space", "kid_gap", None),)),
        ),
    ),
    (
        "Sampler and decoder together: against real test images",
        (
            ("Fréchet", (("per space", "frechet", 2),)),
            (
                f"in {SPACE} features",
                (
                    ("precision", "precision", 2),
                    ("recall", "recall", 2),
                    ("density", "density", 2),
                    ("coverage", "coverage", 2),
                ),
            ),
            ("kernel distance", (("per space", "kid", None),)),
        ),
    ),
    (
        "The law: is it new, and how likely are held-out codes?",
        (
            ("pictures", (("novelty", "novelty", 2),)),
            (
                "codes",
                (
                    ("Mahalanobis radius", "radius", 1),
                    ("log-likelihood, nats per code", "log_likelihood", 1),
                ),
            ),
        ),
    ),
)
#: Bytes from which on a picture is embedded in 256 colours.
LARGE = 400_000
#: Most rows of an experiment that a page shows; its JSON holds all.
SHOWN_ROWS = 40
#: The four corners of right and wrong centre and covariance.
CORNERS = (
    ("standard-normal", "wrong centre, wrong covariance", "N(0, I)"),
    ("zero-mean", "wrong centre, right covariance", "N(0, Σ)"),
    ("centred", "right centre, wrong covariance", "N(μ, s²I)"),
    ("gaussian", "right centre, right covariance", "N(μ, Σ)"),
)


def write_report(run: RunFolder) -> Path:
    """Write ``report.html``; parts whose artefacts are missing are left out and named."""
    return write_page("report.html", run.report_path, gather(run))


def write_page(template: str, path: Path, content: dict[str, Any]) -> Path:
    """Fill a template of this package and write it whole.

    Args:
        template: A file of ``latentshape/templates``.
        path: Where to.
        content: Every name that the template uses; one that is missing is a defect, not a blank.
    """
    page = render(template, content)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def render(template: str, content: dict[str, Any]) -> str:
    """A template of this package, filled: see `write_page`."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("latentshape"), autoescape=template.endswith(".html"),
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["cell"] = cell
    environment.filters["seconds"] = seconds
    return environment.get_template(template).render(**content)


def gather(run: RunFolder) -> dict[str, Any]:
    """All that the page shows, from the folder's files."""
    from latentshape import plots

    card = (
        read_record(run.scorecard_path, "rows", "features") if run.scorecard_path.exists() else None
    )
    metrics = run.metrics()
    if metrics:
        made, axes = plots.figure(width=4.8, height=2.8)
        plots.loss_curve(axes[0, 0], metrics)
        plots.save(made, run.figures_path / "loss.png")
    rows = card["rows"] if card else {}
    return {
        "run": run.path.name,
        "config": run.config().to_dict(),
        "dataset": read_record(run.dataset_path) if run.dataset_path.exists() else {},
        "shape": read_record(run.shape_path, "n", "d"),
        "card": card,
        "reading": reading(card) if card else [],
        "tables": scorecard_tables(card) if card else [],
        "rows": {name: (words, rows[name]) for name, words in ordered(rows).items()},
        "corners": [(c, rows[c[0]]) for c in CORNERS if c[0] in rows],
        "metrics": metrics,
        "stages": run.stages(),
        "series": series(run),
        "series_pictures": {p.stem: embed(p) for p in sorted(run.series_path.glob("*.png"))},
        "pictures": {p.stem: embed(p) for p in sorted(run.samples_path.glob("*.png"))},
        "figures": {p.stem: embed(p) for p in sorted(run.figures_path.glob("*.png"))},
    }


def series(run: RunFolder) -> dict[str, Any]:
    """Records of the experiments that were run, each with its rows as a table of text."""
    found = {}
    for path in sorted(run.series_path.glob("*.json")):
        record = read_record(path, "protocol", "question", "rows")
        columns, cells = table(record["rows"][:SHOWN_ROWS])
        more = len(record["rows"]) - len(cells)
        found[path.stem] = {**record, "columns": columns, "cells": cells, "more": more}
    return found


def table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Rows of records as columns and cells; what a row lacks is left empty.

    Example:
        >>> table([{"fact": 0.7, "n": 3, "gap": 1.25}, {"n": 3, "gap": None}])
        (['fact', 'gap'], [['0.7', '1.25'], ['', '–']])
    """
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "n"))
    return [c.replace("_", " ") for c in columns], [
        [_text(row, c) for c in columns] for row in rows
    ]


def _text(row: dict[str, Any], column: str) -> str:
    if column not in row:
        return ""
    value = row[column]
    if isinstance(value, dict):  # a mean over draws, its least and greatest
        return f"{number(value['value'], 2)} ({number(value['low'], 2)}–{number(value['high'], 2)})"
    if value is None:
        return "–"
    if isinstance(value, float):
        return (
            f"{value:g}"
            if len(f"{value:g}") <= 4
            else f"{value:.3f}"
            if value < 100
            else f"{value:,.0f}"
        )
    return str(value)


def ordered(rows: dict[str, Any]) -> dict[str, str]:
    """Names of the rows in reading order, with their plain words; unknown ones at the end."""
    names = [n for n in ORDER if n in rows] + [n for n in rows if n not in ORDER]
    return {name: words(name) for name in names}


def words(name: str) -> str:
    """What a row of the scorecard shows, in one sentence."""
    from latentshape.samplers import SAMPLERS, sampler_class

    return sampler_class(name).description if name in SAMPLERS else IMAGE_ROWS.get(name, "")


def embed(path: Path) -> str:
    """A PNG file as a data URI; a large one in 256 colours, so that a page can be mailed."""
    large = path.stat().st_size > LARGE
    content = palette_png(path) if large else path.read_bytes()
    return "data:image/png;base64," + base64.b64encode(content).decode()


def scorecard_tables(card: dict[str, Any]) -> list[dict[str, Any]]:
    """The scorecard as tables of text; columns that no row has (of an earlier version) are left out.

    Returns:
        For each table its ``title``, ``groups`` (name and number of columns), ``columns``, and ``rows``:
        the name, and for each cell its text and its range.
    """
    names, made = list(ordered(card["rows"])), []
    for title, groups in TABLES:
        spans, columns = [], []
        for group, members in groups:
            own = [
                (label if label != "per space" else space, path, digits)
                for label, key, digits in members
                for space in (card["features"] if label == "per space" else [""])
                for path in [(key, space) if space else (key,)]
                if any(at(card["rows"][name], path) for name in names)
            ]
            columns += own
            spans += [(group, len(own))] if own else []
        rows = [
            (
                name,
                [
                    (cell(entry, digits), spread(entry, digits))
                    for _, path, digits in columns
                    for entry in [at(card["rows"][name], path)]
                ],
            )
            for name in names
        ]
        made.append(
            {
                "title": title,
                "groups": spans,
                "columns": [label for label, _, _ in columns],
                "rows": rows,
            }
        )
    return [table for table in made if table["columns"]]


def at(row: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """The entry of a row under its key, and feature space where it has one; None if it is not there."""
    found: Any = row
    for key in path:
        found = found.get(key) if found else None
    return found


def cell(entry: dict[str, Any] | None, digits: int | None = 3) -> str:
    """A scorecard entry as text: the value, or a dash where there is none."""
    return "–" if not entry or entry.get("value") is None else number(entry["value"], digits)


def spread(entry: dict[str, Any] | None, digits: int | None = 3) -> str:
    """The range of a scorecard entry as text; nothing where there is none."""
    if not entry or entry.get("value") is None or entry["low"] == entry["high"]:
        return ""
    return f"{number(entry['low'], digits)} – {number(entry['high'], digits)}"


def number(value: float, digits: int | None) -> str:
    """A number with so many decimals, or with three figures where any size is possible.

    Example:
        >>> number(0.12345, 2), number(12345.6, 2), number(0.00012345, None)
        ('0.12', '12,346', '0.000123')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if digits is None else f"{value:.{digits}f}"


def seconds(value: float) -> str:
    """Wall time as people say it."""
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.1f} min"


#: Columns that tell samplers apart, each with its key in a row and decimals.
TELLING: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("precision", ("sampler_precision",), 2),
    ("recall", ("sampler_recall",), 2),
    ("novelty", ("novelty",), 2),
    (f"Fréchet {SPACE}", ("frechet", SPACE), 2),
)
#: Rows of a model card beside the law's own: yardsticks.
YARDSTICKS = (
    "real",
    "reconstruction",
    "training-codes",
    "gaussian",
    "zero-mean",
    "standard-normal",
)


def _columns(spaces: Iterable[str]) -> list[tuple[str, tuple[str, ...], int]]:
    """Face rate, gaps in some feature spaces, and what else tells samplers apart."""
    gaps = [(f"gap {space}", ("gap", space), 2) for space in spaces]
    return [("face rate", ("face_rate",), 3), *gaps, *TELLING]


def card_table(
    card: dict[str, Any], name: str
) -> tuple[list[str], list[tuple[str, list[str]]]] | tuple[()]:
    """The rows of a scorecard that a model card shows: the law's own between its yardsticks.

    Args:
        card: ``scorecard.json``.
        name: The law, first of its rows.

    Returns:
        Names of the columns, and for each row its name and cells; columns without any value are left out.
            Nothing where the law was not judged.
    """
    if name not in card["rows"]:
        return ()
    shown = [name, *(row for row in YARDSTICKS if row in card["rows"] and row != name)]
    columns = [
        column
        for column in _columns([SPACE])
        if any(cell(at(card["rows"][row], column[1])) != "–" for row in shown)
    ]
    rows = [
        (
            f"**{row}**" if row == name else row,
            [cell(at(card["rows"][row], path), digits) for _, path, digits in columns],
        )
        for row in shown
    ]
    return [label for label, _, _ in columns], rows


def scorecard_text(run: RunFolder) -> str:
    """The scorecard for a terminal: the columns that tell samplers apart, and what they say."""
    card = read_record(run.scorecard_path, "rows", "features", "draws")
    columns = _columns(card["features"])
    lines = [["", *(label for label, _, _ in columns)]]
    for name in ordered(card["rows"]):
        row = card["rows"][name]
        lines.append([name, *(cell(at(row, path), digits) for _, path, digits in columns)])
    widths = [max(map(len, column)) for column in zip(*lines)]
    rendered = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))])
        for line in lines
    ]
    note = (
        f"n = {card['n']} pictures a row, {card['draws']} draws; lower gap and Fréchet are better; "
        "precision and recall are among reconstructions"
    )
    said = [
        textwrap.fill(sentence, 100, initial_indent="- ", subsequent_indent="  ")
        for sentence in reading(card)
    ]
    return "\n".join([*rendered, note, "", *said])
