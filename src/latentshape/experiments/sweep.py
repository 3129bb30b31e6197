"""Many runs: each cell of a sweep trained, measured and judged in a folder of its own.

A cell is an ordinary run folder, ``OUT/runs/<name>``, which every other command takes. What is done is
skipped, down to the epoch; a sweep that was killed goes on where it stopped. Runs that cannot be finished
(a loss that left the finite numbers, data that are not there) keep their reason in the record, and the
others go on.

Several runs side by side are several processes, each with its share of the processor's threads, by joblib;
over several machines by Ray, which joblib hands the same calls to. A run that another process works on is
waited for, not trained twice.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from latentshape.errors import InputError
from latentshape.experiments.cells import Cell
from latentshape.pipeline import STAGES, run_all
from latentshape.progress import say

__all__ = ["ENGINES", "check_stages", "finish_cell", "run_cells"]

ENGINES = ("processes", "ray")
Row = dict[str, Any]


def check_stages(stages: Sequence[str]) -> tuple[str, ...]:
    """The stages in their order, with what they build on.

    Raises:
        InputError: There is no such stage.

    Example:
        >>> check_stages(["evaluate"])
        ('train', 'encode', 'evaluate')
    """
    from latentshape.errors import suggestion
    from latentshape.runs import BUILDS_ON

    for stage in stages:
        if stage not in STAGES:
            raise InputError(f"There is no stage {stage!r}{suggestion(stage, STAGES)}")
    wanted = {*stages, *(base for stage in stages for base in BUILDS_ON[stage])}
    return tuple(stage for stage in STAGES if stage in wanted)


def run_cells(
    cells: Sequence[Cell],
    out: Path,
    stages: Sequence[str] = ("train", "encode", "analyze", "evaluate"),
    *,
    jobs: int = 1,
    engine: str = "processes",
) -> list[Row]:
    """Finish every cell.

    Args:
        cells: What to run.
        out: Runs go to ``out/runs``.
        stages: Of each run.
        jobs: Runs side by side.
        engine: From `ENGINES`.

    Returns:
        Of each cell, in order, ``name``, ``run`` (its folder, below ``out``), ``varied``, and ``why`` where
        it could not be finished.

    Raises:
        InputError: ``jobs`` is not positive, or the engine is unknown or not installed.
    """
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}.")
    stages = check_stages(stages)
    calls = [(cell, out / "runs" / cell.name, stages) for cell in cells]
    reasons: list[str | None]
    if jobs == 1 and engine == "processes":
        reasons = []
        for i, call in enumerate(calls):
            say(f"[{i + 1}/{len(calls)}] {call[0].name}")
            reasons.append(finish_cell(*call))
    else:
        from joblib import Parallel, delayed

        with _engine(engine, jobs) as options:
            found = Parallel(**options, return_as="generator")(
                delayed(_quietly)(*call, threads=_share(jobs)) for call in calls
            )
            reasons = []
            for i, (call, why) in enumerate(zip(calls, found)):
                reasons.append(why)
                say(f"[{i + 1}/{len(calls)}] {call[0].name}: {why or 'done'}")
    return [
        {"name": cell.name, "run": f"runs/{cell.name}", "varied": cell.varied}
        | ({"why": why} if why else {})
        for cell, why in zip(cells, reasons)
    ]


def finish_cell(cell: Cell, folder: Path, stages: Sequence[str]) -> str | None:
    """Do what is left of one run; the reason if it cannot be done."""
    try:
        with _alone(folder):
            run_all(cell.config, folder, stages=stages)
    except InputError as error:
        say(f"  {error}")
        return str(error)
    return None


def _quietly(cell: Cell, folder: Path, stages: Sequence[str], threads: int) -> str | None:
    """One run in a process of its own: with its threads, its messages in a file beside its results."""
    import torch

    torch.set_num_threads(threads)
    log = folder.parent.parent / "logs" / f"{cell.name}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream, contextlib.redirect_stderr(stream):
        return finish_cell(cell, folder, stages)


def _share(jobs: int) -> int:
    """Threads of one of so many runs on this machine."""
    return max(1, (os.cpu_count() or 1) // jobs)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else works on this run meanwhile: not a second sweep, not another machine with this disk."""
    from filelock import FileLock

    locks = folder.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{folder.name}.lock"):
        yield


@contextlib.contextmanager
def _engine(name: str, jobs: int) -> Iterator[dict[str, Any]]:
    """Options of joblib's ``Parallel`` for an engine that is ready."""
    start = {"processes": _processes, "ray": _ray}.get(name)
    if start is None:
        raise InputError(f"engine must be one of {', '.join(ENGINES)}; got {name!r}.")
    with start(jobs) as options:
        yield {"n_jobs": jobs, "pre_dispatch": "all", "batch_size": 1, **options}


@contextlib.contextmanager
def _processes(jobs: int) -> Iterator[dict[str, Any]]:
    from joblib import parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=_share(jobs)):
        yield {}


@contextlib.contextmanager
def _ray(jobs: int) -> Iterator[dict[str, Any]]:
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError:
        raise InputError(
            "--engine ray needs Ray: pip install 'latentshape[ray]'; or use --engine processes."
        ) from None
    from joblib import parallel_config

    register_ray()
    began = not ray.is_initialized()
    if (
        began
    ):  # a cluster's address is taken from RAY_ADDRESS; without one, this machine is the cluster
        ray.init(log_to_driver=False, include_dashboard=False)
    try:
        with parallel_config(backend="ray"):
            yield {}
    finally:
        if began:
            ray.shutdown()
