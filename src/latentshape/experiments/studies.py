"""The open questions, each a sweep with a question, a protocol, a table, a figure and an answer.

A study varies one thing and keeps the rest; where a number is to be more than chance, several seeds are
trained. Its answer is read from the numbers: two settings are told apart only where their ranges, over seeds
(over draws where there is one seed), do not meet.

Datasets that are not there are named as not measured, and never replaced by others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentshape.config import make_config
from latentshape.errors import InputError, suggestion
from latentshape.experiments.bench import question_of
from latentshape.experiments.cells import Cell, Grid, make_cells
from latentshape.experiments.measures import words
from latentshape.experiments.subjects import (
    QUICK,
    SUBJECTS,
    absent,
    check_subjects,
    quick_options,
)
from latentshape.experiments.sweep import run_cells
from latentshape.experiments.sweep_record import grouped, said, sweep_record, write_sweep
from latentshape.files import write_json
from latentshape.progress import say

__all__ = ["STUDIES", "Study", "answer", "datasets", "study"]

Record = dict[str, Any]
Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Study:
    """One question.

    Attributes:
        question: In a sentence.
        grid: What varies, by field; by subject where subjects differ.
        asks: Measures that the answer compares.
        subjects: Datasets that it is asked on.
        quick: Values of a quick look, in place of the grid's.
        options: Of every cell, beside the subject's.
    """

    question: str
    grid: Values
    asks: Sequence[str]
    subjects: Sequence[str] = ("faces", "mnist", "celeba")
    quick: Values = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


#: What is judged in each run of a study: the laws whose gaps the table shows.
JUDGED = {"samplers": "gaussian,elliptical,mixture,zero-mean,standard-normal,training-codes",
          "features": "random-conv", "n": 500, "draws": 3}  # fmt: skip
STAGES = ("analyze", "evaluate")
CLOUD = ("heldout_mse", "offset_sigma", "variance_ratio", "coverage_1", "kurtosis_rms",
         "least_gaussian", "effective_dimension", "gap:gaussian", "gap:mixture")  # fmt: skip

STUDIES: dict[str, Study] = {
    "batch-norm": Study(
        "Does batch normalisation change the cloud: its place, its shape, and what is drawn from it?",
        {"batch_norm": [False, True], "seed": [0, 1]}, CLOUD, quick={"batch_norm": [False, True]},
    ),
    "latent-dimension": Study(
        "How does the cloud change with the dimension of the codes, and when do the ellipses break?",
        {"latent_dim": [16, 32, 64, 128, 256, 512]}, CLOUD, subjects=("faces", "mnist"),
        quick={"latent_dim": [16, 64, 256]},
    ),
    "maps": Study(
        "Do more maps at the same dimension make the cloud more Gaussian?",
        {"filters": [(8, 16, 32, 64), (16, 32, 64, 128), (32, 64, 128, 256)]}, CLOUD,
        subjects=("faces",), quick={"filters": [(8, 16, 32, 64), (32, 64, 128, 256)]},
    ),
    "activation": Study(
        "Does the cloud depend on the activation?",
        {"activation": ["leaky-relu", "relu", "elu", "selu", "tanh"]}, CLOUD, subjects=("faces",),
        quick={"activation": ["leaky-relu", "elu"]},
    ),
    "resolution": Study(
        "Does the cloud depend on the resolution of the pictures?",
        {"size": [64, 96, 128]}, CLOUD, subjects=("faces",), quick={"size": [64, 96]},
        options={"epochs": 4},
    ),
    "factor-law": Study(
        "Do the codes inherit the law of what varies in the pictures, or does the network make it Gaussian?",
        {"data": [f"faces:law={law}" for law in ("gaussian", "uniform", "bimodal", "heavy", "natural")]},
        (*CLOUD, "student_nu", "regions"), subjects=("faces",),
        quick={"data": [f"faces:n=3000,law={law}" for law in ("gaussian", "bimodal", "heavy")]},
    ),
}  # fmt: skip
"""Each study of one variable; `datasets` and `comparators`, which compare more, live beside."""


def study(
    name: str, out: Path, subjects: Sequence[str] = (), *, quick: bool = False, jobs: int = 1
) -> Record:
    """Train what a study needs and write ``out/<name>.json`` with a figure and a page for each subject.

    Args:
        name: From `STUDIES`.
        out: Where to.
        subjects: Of the study's; none for all of them.
        quick: Fewer values, fewer images, fewer epochs.
        jobs: Trainings side by side.

    Raises:
        InputError: The study does not know the subject, or no subject's images are there.
    """
    chosen = STUDIES[name]
    asked = f"{name} is a study of {', '.join(chosen.subjects)}"
    named = check_subjects(subjects)
    wanted = [subject for subject in named if subject in chosen.subjects]
    if not wanted:
        raise InputError(f"{asked}; name one of them.")
    folder = out / "quick" if quick else out
    record: Record = {
        "question": chosen.question,
        "protocol": _protocol(chosen.options, quick),
        "subjects": {}, "not_measured": {}, "answer": {},
    }  # fmt: skip
    if subjects:
        record["not_measured"] = {s: f"{asked}." for s in named if s not in wanted}
    # All that is missing is known before the first training, and stands in the record from then on.
    for subject in wanted:
        why = absent(SUBJECTS[subject].get("data", "faces"))
        if why:
            say(f"{subject} is not measured: {why}")
            record["not_measured"][subject] = why
    for subject in wanted:
        if subject in record["not_measured"]:
            continue
        options = _options(subject, quick, chosen.options)
        preset = options.pop("preset")
        grid = chosen.quick if quick else chosen.grid
        fixed = {key: value for key, value in options.items() if key not in grid}
        cells = make_cells(Grid(grid), preset, fixed)
        place = folder / name / subject
        say(f"{name}: {len(cells)} runs of {subject}")
        rows = run_cells(cells, place, STAGES, jobs=jobs)
        found = sweep_record(cells, rows, place, STAGES)
        write_sweep(found, place)
        record["subjects"][subject] = found
        record["answer"][subject] = answer(found, chosen.asks)
        write_json(folder / f"{name}.json", record)
    if not record["subjects"]:
        raise InputError(
            "None of the subjects could be measured: " + " ".join(record["not_measured"].values())
        )
    return record


def datasets(
    out: Path,
    subjects: Sequence[str] = (),
    *,
    quick: bool = False,
    jobs: int = 1,
    others: str | None = None,
) -> Record:
    """Does the cloud depend on what the pictures show: celebrities, other people, both, drawn faces, digits?

    Each dataset is trained by its own preset. Mixtures take as many images of either side.

    Args:
        out: ``out/datasets.json`` and the runs.
        subjects: Datasets by name; none for all. ``mixed`` is CelebA with the others, or with procedural
            faces where no others are given.
        quick: Fewer images, fewer epochs.
        jobs: Trainings side by side.
        others: SPEC of photographs of people who are no celebrities; without it they are not measured, and
            nothing stands in for them.
    """
    known = [*SUBJECTS, "others", "mixed"]
    for subject in subjects:
        if subject not in known:
            raise InputError(f"No subject is called {subject!r}{suggestion(subject, known)}")
    record: Record = {
        "question": question_of(datasets), "protocol": _protocol({}, quick), "subjects": {},
        "not_measured": {}, "answer": {},
    }  # fmt: skip
    cells = []
    for subject in subjects or known:
        base = subject if subject in SUBJECTS else "celeba"
        options = _options(base, quick)
        if subject == "others":
            options["data"] = others
        elif subject == "mixed":
            options["data"] = f"celeba + {others or 'faces:n=20000'}"
        why = "no other photographs were given (--others SPEC)"
        if options.get("data", "faces") is not None:
            why = absent(options.get("data", "faces")) or ""
        if why:
            say(f"{subject} is not measured: {why}")
            record["not_measured"][subject] = why
            continue
        config = make_config(**options)
        cells.append(Cell(f"dataset={subject}", {"dataset": subject}, config))
    if not cells:
        raise InputError(
            "None of the datasets is there: " + " ".join(record["not_measured"].values())
        )
    folder = out / "quick" if quick else out
    place = folder / "datasets"
    rows = run_cells(cells, place, STAGES, jobs=jobs)
    found = sweep_record(cells, rows, place, STAGES)
    write_sweep(found, place)
    record["subjects"]["all"] = found
    record["answer"]["all"] = answer(found, (*CLOUD, "student_nu", "regions"))
    write_json(folder / "datasets.json", record)
    return record


def _options(subject: str, quick: bool, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Of every cell: the subject's, the study's own, and of a quick look what makes it one."""
    least = quick_options(subject) if quick else {}
    return {**SUBJECTS[subject], **JUDGED, **(options or {}), **least}


def _protocol(options: Mapping[str, Any], quick: bool) -> Record:
    from latentshape import __version__

    least = QUICK if quick else {}
    return {**JUDGED, **options, **least, "quick": quick, "latentshape": __version__}


#: What the ranges of a study with one seed do not hold.
ONE_TRAINING = (
    "One training of each setting: by how much two seeds differ is not part of these ranges (batch-norm, "
    "with two seeds, shows it)."
)


def answer(record: Record, asks: Sequence[str]) -> list[str]:
    """What a sweep says, in sentences: one for each measure that tells settings apart, one for the rest.

    Args:
        record: As ``sweep.json`` holds it.
        asks: Measures, in order.

    Example:
        >>> rows = [{"varied": {"batch_norm": b, "seed": s}, "values": {"offset_sigma": {"value": v + s}}}
        ...         for b, v in ((False, 20.0), (True, 5.0)) for s in (0, 1)]
        >>> answer({"fields": ["batch_norm", "seed"], "rows": rows}, ["offset_sigma"])
        ["origin's distance from the centre, in σ: least with batch norm yes, 5.5 (5–6); greatest with
        batch norm no, 20.5 (20–21)."]
    """
    groups = [group for group in grouped(record["rows"]) if group["values"]]
    fields = [name for name in record["fields"] if name != "seed"]
    told, level = [], []
    for name in asks:
        entries = [(group, group["values"][name]) for group in groups if name in group["values"]]
        if len(entries) < 2:
            continue
        least = min(entries, key=lambda pair: pair[1]["value"])
        most = max(entries, key=lambda pair: pair[1]["value"])
        heading = words(name)
        controls = [entry["control"] for _, entry in entries if "control" in entry]
        least_of, most_of = (_figure(end(controls, default=0.0)) for end in (min, max))
        between = least_of if least_of == most_of else f"{least_of}–{most_of}"
        beside = f" (control {between})" if controls else ""
        if least[1]["high"] < most[1]["low"]:
            told.append(
                f"{heading}: least with {_setting(least[0], fields)}, {_range(least[1])}; greatest with "
                f"{_setting(most[0], fields)}, {_range(most[1])}{beside}."
            )
        else:
            level.append(f"{heading}{beside}")
    if level:
        told.append(f"Not told apart by their ranges: {'; '.join(level)}.")
    if told and "seed" not in record["fields"]:
        told.append(ONE_TRAINING)
    return told


def _setting(group: Record, fields: Sequence[str]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {said(group['varied'].get(name, ''))}" for name in fields
    )


def _range(entry: Record) -> str:
    value = _figure(entry["value"])
    if entry["low"] == entry["high"]:
        return value
    return f"{value} ({_figure(entry['low'])}–{_figure(entry['high'])})"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
