"""Is a plain autoencoder with the right law worse than models that were trained to have a simple law?

The table that published comparisons leave out. A plain autoencoder is drawn from by N(0, I), N(0, Sigma),
N(mean, Sigma), its elliptical law, a mixture of ten Gaussians and a flow; a variational, a Gaussian, a
Wasserstein and a regularised autoencoder with the same encoder and decoder, from the same first weights,
on the same images in the same order, for the same number of steps, are drawn from by their own prior *and*
by these same laws, fitted to their codes after training. Everything is judged by one scorecard.

What is compared with what:

* ``fréchet`` is the distance to real test images: decoder and sampler together. A model may win it by a
  sharper decoder with a poor law, or by a good law with a blurred decoder.
* ``gap`` is the distance to the same decoder's reconstructions: the law alone.
* Both are read beside the rows ``reconstruction`` (no law could do better with this decoder) and ``real``.

A code of a variational autoencoder is the mean that its encoder gives; laws fitted after training are fitted
to these means, as Ghosh et al. do (2020, https://arxiv.org/abs/1903.12436, section 4). N(0, I) is the law
that their noisy codes were pulled to. A regularised autoencoder has no prior: its published law is the one
fitted after training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentshape.config import make_config
from latentshape.errors import InputError
from latentshape.experiments.cells import Cell
from latentshape.experiments.subjects import SUBJECTS, absent, check_subjects, quick_options
from latentshape.files import write_json
from latentshape.progress import say
from latentshape.runs import RunFolder, read_record

__all__ = ["KINDS", "Kind", "comparator_cells", "comparators", "summarise"]

#: Laws that every model is drawn from; standard-normal is the prior of those that have one.
LAWS = ("standard-normal", "zero-mean", "gaussian", "elliptical", "mixture", "flow")
#: Rows that frame them.
YARDSTICKS = ("real", "reconstruction", "training-codes")
#: Columns of the table: key in a scorecard's row, feature space or none.
COLUMNS = (
    ("face_rate", ""), ("frechet", "random-conv"), ("gap", "random-conv"), ("frechet", "attributes"),
    ("gap", "attributes"), ("precision", ""), ("recall", ""), ("sampler_precision", ""),
    ("sampler_recall", ""),
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A model to compare.

    Attributes:
        name: In the table.
        options: Of the config.
        repeated: Whether several seeds are trained on every subject, or one on the chief subject alone.
    """

    name: str
    options: dict[str, Any]
    repeated: bool = False


KINDS = (
    Kind("CAE", {"model": "cae"}, repeated=True),
    Kind("VAE", {"model": "vae"}, repeated=True),
    Kind("VAE, beta 0.1", {"model": "vae", "beta": 0.1}),
    Kind("GAE", {"model": "gae"}),
    Kind("WAE-MMD", {"model": "wae"}),
    Kind("RAE-L2", {"model": "rae"}),
)
SEEDS = (0, 1, 2)
#: Laws that are fitted after training, and whether N(0, I) is what a model was trained toward.
FITTED = LAWS[2:]
PRIORS = {kind.name: kind.options["model"] in ("vae", "gae", "wae") for kind in KINDS}

#: Of every run: what is judged, and how often.
JUDGED: dict[str, Any] = {
    "samplers": ",".join((*LAWS, "training-codes")), "features": "random-conv,attributes",
    "n": 1000, "draws": 3,
}  # fmt: skip
#: Of a quick look, which trains six models: less than other studies.
QUICK: dict[str, Any] = {"epochs": 1, "n": 100, "draws": 2}


def comparator_cells(subject: str, quick: bool = False, chief: bool = True) -> list[Cell]:
    """The trainings of one subject, those that are repeated first.

    Args:
        subject: From `SUBJECTS`.
        chief: Whether all kinds are trained on it, or those that are repeated alone.
        quick: One epoch, one seed, few pictures: to see that it works.
    """
    options = {**SUBJECTS[subject], **JUDGED, **(quick_options(subject) | QUICK if quick else {})}
    made = []
    for kind in sorted(KINDS, key=lambda kind: not kind.repeated):
        if not kind.repeated and not chief:
            continue
        for seed in SEEDS if kind.repeated and not quick else SEEDS[:1]:
            config = make_config(**options, **kind.options, seed=seed)
            name = f"{subject}_{kind.name}_seed={seed}".lower().replace(", ", "-").replace(" ", "-")
            made.append(Cell(name, {"subject": subject, "model": kind.name, "seed": seed}, config))
    return made


def comparators(
    out: Path, subjects: Sequence[str] = (), *, quick: bool = False, jobs: int = 1
) -> dict[str, Any]:
    """Is a plain autoencoder with the right law worse than models trained to have a simple law?

    Args:
        out: Runs go to ``out/comparators/runs``, the record to ``out/comparators.json``; it is written anew
            after each subject.
        subjects: From `SUBJECTS`; none for all. Those whose images are not there are left out and named.
            The first of those that are there is the chief one: on it every kind of model is trained.
        quick: One epoch, one seed, few pictures.
        jobs: Trainings side by side.

    Raises:
        InputError: There is no such subject, or the images of none are there.
    """
    from latentshape.experiments.sweep import run_cells

    wanted = dict.fromkeys(check_subjects(subjects))
    folder = out / ("quick" if quick else "") / "comparators"
    rows: list[dict[str, Any]] = []
    record: dict[str, Any] = {}
    # All that is missing is known before anything is trained, and stands in every record.
    reasons = {s: absent(SUBJECTS[s].get("data", "faces")) for s in wanted}
    missing = {subject: why for subject, why in reasons.items() if why}
    for subject, why in missing.items():
        say(f"{subject} is not measured: {why}")
    for subject in wanted:
        if subject in missing:
            continue
        cells = comparator_cells(subject, quick, chief=not rows)
        done = run_cells(cells, folder, ("evaluate",), jobs=jobs)
        rows += summarise(
            subject, [(cell, row, folder / row["run"]) for cell, row in zip(cells, done)]
        )
        record = _record(rows, missing, quick)
        write_json(folder.with_suffix(".json"), record)
    if not record:
        raise InputError("None of the subjects could be measured: " + " ".join(missing.values()))
    return record


def _record(rows: list[dict[str, Any]], missing: dict[str, str], quick: bool) -> dict[str, Any]:
    from latentshape import __version__

    return {
        "question": (comparators.__doc__ or "").splitlines()[0],
        "protocol": {
            **JUDGED, **(QUICK if quick else {}),
            "reference": "test images; gap: their reconstructions by the same decoder",
            "ranges": "over seeds and draws: least and greatest of all; where seed is one, over its draws",
            "latentshape": __version__,
        },
        "subjects": {
            name: {k: v for k, v in SUBJECTS[name].items() if k != "data"}
            for name in SUBJECTS if any(row["subject"] == name for row in rows)
        },
        "not_measured": missing,
        "answer": {
            name: answer([row for row in rows if row["subject"] == name])
            for name in dict.fromkeys(row["subject"] for row in rows)
        },
        "rows": rows,
    }  # fmt: skip


def answer(rows: Sequence[dict[str, Any]], column: str = "frechet.random-conv") -> list[str]:
    """What the table of one subject says, in sentences; models are told apart where ranges do not meet.

    Args:
        rows: As `summarise` gives them.
        column: Which distance is compared.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        if row.get(column):
            found.setdefault(row["model"], {})[row["law"]] = row[column]
    said, best = [], {}
    for model, entries in found.items():
        laws = {law: entries[law] for law in FITTED if law in entries}
        if not laws or "standard-normal" not in entries:
            continue
        law = min(laws, key=lambda name: laws[name]["value"])
        best[model] = laws[law]
        prior = "its own prior" if PRIORS[model] else "a prior that it never had"
        said.append(
            f"{model}: {_told(entries['standard-normal'])} from N(0, I), {prior}; "
            f"{_told(entries['gaussian'])} from N(μ, Σ) of its codes; best {law}, {_told(laws[law])}; "
            f"reconstructions {_told(entries['reconstruction'])}."
        )
    if len(best) > 1:
        order = sorted(best, key=lambda name: best[name]["value"])
        first = order[0]
        level = [name for name in order[1:] if best[name]["low"] <= best[first]["high"]]
        said.append(
            f"With the best law of each, {first} is nearest to real images"
            + (f"; level with it: {', '.join(level)}" if level else ", below all others")
            + "."
        )
    return said


def _told(entry: dict[str, Any]) -> str:
    return f"{entry['value']:.1f} ({entry['low']:.1f}–{entry['high']:.1f})"


def summarise(
    subject: str, finished: Iterable[tuple[Cell, dict[str, Any], Path]]
) -> list[dict[str, Any]]:
    """Rows of the table: one for each model and law, over its seeds.

    Args:
        subject: Its name.
        finished: Of each training its cell, its row of `run_cells`, and its run folder.

    Returns:
        Rows with ``subject``, ``model``, ``law``, ``seeds``, ``train_seconds``, ``steps``, ``mse``, ``n`` and
        the columns, each ``{value, low, high}``, by key and feature space (``gap.random-conv``), or None
        where one of the seeds has no number. Where a law could not be fitted, the row has ``why`` as well;
        where a training failed, it has ``why`` alone.

    Raises:
        InputError: A scorecard is damaged.
    """
    by_kind: dict[str, list[tuple[Cell, RunFolder]]] = {}
    rows: list[dict[str, Any]] = []
    for cell, row, path in finished:
        if "why" in row:
            rows.append({"subject": subject, "model": cell.varied["model"],
                         "seeds": [cell.varied["seed"]], "why": row["why"]})  # fmt: skip
        else:
            by_kind.setdefault(cell.varied["model"], []).append((cell, RunFolder(path)))
    for model, runs in by_kind.items():
        cards = [read_record(run.scorecard_path, "n", "rows") for _, run in runs]
        training = [run.stages()["train"] for _, run in runs]
        for law in (*YARDSTICKS, *LAWS):
            entries = {
                f"{key}.{space}" if space else key: _over(
                    [_entry(c["rows"][law], key, space) for c in cards]
                )
                for key, space in COLUMNS
            }
            rows.append({
                "subject": subject, "model": model, "law": law,
                "seeds": [cell.varied["seed"] for cell, _ in runs],
                "n": min(card["n"] for card in cards),
                "train_seconds": round(float(np.mean([t["seconds"] for t in training])), 1),
                "steps": training[0]["steps"],
                "mse": _over([card["rows"]["reconstruction"].get("mse") for card in cards]),
                **entries,
                **_refusal([card["rows"][law] for card in cards]),
            })  # fmt: skip
    return rows


def _refusal(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Why a law has no pictures to judge, if one of its rows says so."""
    entries = [_entry(row, "gap", "random-conv") or {} for row in rows]
    return next(({"why": entry["why"]} for entry in entries if "why" in entry), {})


def _entry(row: dict[str, Any], key: str, space: str) -> dict[str, Any] | None:
    entry = row.get(key)
    return entry.get(space) if entry and space else entry


def _over(entries: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Mean of several entries, with the least and the greatest of all; None where one has no value."""
    known = [entry for entry in entries if entry and entry.get("value") is not None]
    if not known or len(known) < len(entries):
        return None
    return {
        "value": float(np.mean([entry["value"] for entry in known])),
        "low": min(entry["low"] for entry in known),
        "high": max(entry["high"] for entry in known),
    }
