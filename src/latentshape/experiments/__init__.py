"""The experiments of the series; ``latentshape series`` runs them.

Some ask a trained run (`EXPERIMENTS`): each is a function of a `Bench`, a run with a judge. It draws and
judges, writes pictures beside its record and returns the record, which ``run_series`` writes as
``RUN/series/<name>.json``. A quick look has a folder of its own, ``RUN/series/quick``, and replaces
nothing.

Others train runs of their own (`STUDIES`), below ``--out``: each is a function of that folder, of the
subjects (datasets) to study, of ``quick`` and of the number of trainings side by side, and writes
``OUT/<name>.json``.

What is done already is skipped, so an interrupted series goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentshape.errors import InputError, suggestion
from latentshape.progress import say

if TYPE_CHECKING:
    from latentshape.experiments.bench import Bench
    from latentshape.runs import RunFolder

__all__ = ["EXPERIMENTS", "STUDIES", "run_series", "run_study"]

EXPERIMENTS: dict[str, str] = {
    "cubes": "latentshape.experiments.sampling:cubes",
    "intervals": "latentshape.experiments.sampling:intervals",
    "pairwise": "latentshape.experiments.sampling:pairwise",
    "truncation": "latentshape.experiments.sampling:truncation",
    "correction": "latentshape.experiments.sampling:correction",
    "centring": "latentshape.experiments.cloud:centring",
    "radius": "latentshape.experiments.cloud:radius",
    "layers": "latentshape.experiments.layers:layers",
    "innermost": "latentshape.experiments.innermost:innermost",
    "attributes": "latentshape.experiments.attributes:attributes",
}
"""Name of each experiment and where its function lives; its docstring says what it asks."""

STUDIES: dict[str, str] = {
    "comparators": "latentshape.experiments.comparators:comparators",
    "datasets": "latentshape.experiments.studies:datasets",
    **dict.fromkeys(
        ("batch-norm", "latent-dimension", "maps", "activation", "resolution", "factor-law"),
        "latentshape.experiments.studies:study",
    ),
}
"""Name of each study and where its function lives; a test holds them to `studies.STUDIES`."""


def run_study(
    name: str,
    out: Path,
    subjects: Sequence[str] = (),
    *,
    quick: bool = False,
    jobs: int = 1,
    others: str | None = None,
) -> dict[str, Any]:
    """Train and judge what a study needs.

    Args:
        name: From `STUDIES`.
        out: Where its runs and its record go.
        subjects: Datasets by name; none for all that the study knows.
        quick: As little as shows that it works.
        jobs: Trainings side by side.
        others: SPEC of photographs of other people than celebrities, for ``datasets``.

    Returns:
        Its record, as ``<name>.json`` below ``out`` holds it.

    Raises:
        InputError: No study or subject has that name, or no subject's images are there.
    """
    if name not in STUDIES:
        raise InputError(f"No study is called {name!r}{suggestion(name, STUDIES)}")
    module, _, function = STUDIES[name].partition(":")
    work = getattr(import_module(module), function)
    options: dict[str, Any] = {"quick": quick, "jobs": jobs}
    if function == "study":
        return dict(work(name, out, subjects, **options))
    if function == "datasets":
        options["others"] = others
    return dict(work(out, subjects, **options))


def run_series(
    run: RunFolder, names: Sequence[str] = (), *, quick: bool = False, bench: Bench | None = None
) -> dict[str, dict[str, Any]]:
    """Run experiments on a trained run, all or the named ones.

    Args:
        run: With a model and codes.
        names: From `EXPERIMENTS`; none for all.
        quick: Fewer pictures, to see that it works.
        bench: Of this run, where one is at hand: its judge is then made once for several calls.

    Returns:
        The record of each, as ``<name>.json`` in `Bench.folder` holds it.

    Raises:
        InputError: No experiment has that name, or the run has no model or codes yet.
    """
    from latentshape.experiments.bench import Bench
    from latentshape.files import write_json
    from latentshape.runs import read_record

    for name in names:
        if name not in EXPERIMENTS:
            raise InputError(f"No experiment is called {name!r}{suggestion(name, EXPERIMENTS)}")
    bench, records = bench or Bench(run, quick), {}
    for name in names or EXPERIMENTS:
        path = bench.folder / f"{name}.json"
        module, _, function = EXPERIMENTS[name].partition(":")
        experiment = getattr(import_module(module), function)
        protocol = bench.protocol(experiment)
        if path.exists():
            record = read_record(path, "protocol", "rows")
            if record["protocol"] == protocol:
                say(f"{name} is done already.")
                records[name] = record
                continue
        say(f"{name} ...")
        record = {"protocol": protocol, **experiment(bench)}
        write_json(path, record)
        records[name] = record
    return records
