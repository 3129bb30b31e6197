"""Many runs: each cell of a sweep trained, measured and judged in a folder of its own.

A cell is an ordinary run folder, ``OUT/runs/<name>``, which every other command takes. What is done is
skipped, down to the epoch; a sweep that was killed goes on where it stopped. Runs that cannot be finished
(a loss that left the finite numbers, data that are not there) keep their reason in the record, and the
others go on.

Several runs side by side are several processes, each with its share of the processor's threads, by joblib;
over several machines they are tasks of Ray, each with its share of the cluster's processors and graphics
processors. A run that another process works on is waited for, not trained twice.

How many threads add up a sum changes its last digits, and training carries them on. Runs side by side have
fewer threads than a run alone, so the same sweep with other ``jobs`` repeats to the last digit only where
the threads are held fixed (``OMP_NUM_THREADS=1``); each run's ``stages.json`` says how many it had.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

from latentshape.errors import InputError, suggestion
from latentshape.experiments.cells import Cell
from latentshape.files import alone
from latentshape.pipeline import STAGES, check_judging, run_all
from latentshape.processes import side_by_side
from latentshape.progress import say

__all__ = ["ENGINES", "check_stages", "finish_cell", "run_cells"]

Row = dict[str, Any]
#: A cell, its run folder, and the stages to do.
Call = tuple[Cell, Path, tuple[str, ...]]
#: Number of a call that has ended, and why it could not be finished, if so.
Ended = tuple[int, str | None]


def check_stages(stages: Sequence[str]) -> tuple[str, ...]:
    """The stages in their order, with what they build on.

    Raises:
        InputError: There is no such stage.

    Example:
        >>> check_stages(["evaluate"])
        ('train', 'encode', 'evaluate')
    """
    from latentshape.runs import BUILDS_ON

    for stage in stages:
        if stage not in STAGES:
            raise InputError(f"There is no stage {stage!r}{suggestion(stage, STAGES)}")
    wanted = {"train", *stages, *(base for stage in stages for base in BUILDS_ON[stage])}
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
        out: Runs go to ``out/runs``; with several machines a disk that all of them have.
        stages: Of each run.
        jobs: Runs side by side.
        engine: From `ENGINES`.

    Returns:
        Of each cell, in order, ``name``, ``run`` (its folder, below ``out``), ``varied``, and ``why`` where
        it could not be finished.

    Raises:
        InputError: ``jobs`` is not positive, the engine is unknown or not installed, a cell is to be judged
            by what does not exist, or a process was killed.
        Interrupted: Ctrl-C or SIGTERM; the same call goes on from there.
    """
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}.")
    if engine not in ENGINES:
        raise InputError(f"No engine is called {engine!r}{suggestion(engine, ENGINES)}")
    if out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file; --out must name a folder.")
    stages = check_stages(stages)
    for cell in cells:
        check_judging(cell.config)
    # Another machine, or a process that Ray keeps, may stand in another folder.
    runs = Path(os.path.abspath(out)) / "runs"
    calls = [(cell, runs / cell.name, stages) for cell in cells]
    one_by_one = jobs == 1 and engine == "processes"
    reasons: dict[int, str | None] = {}
    # Closed at once when it is interrupted, so that no process goes on unseen.
    with contextlib.closing((_one_by_one if one_by_one else ENGINES[engine])(calls, jobs)) as ended:
        for i, why in ended:
            reasons[i] = why
            if not one_by_one:
                say(f"[{len(reasons)}/{len(calls)}] {calls[i][0].name}: {why or 'done'}")
    return [
        {"name": cell.name, "run": f"runs/{cell.name}", "varied": cell.varied}
        | ({"why": why} if (why := reasons[i]) else {})
        for i, cell in enumerate(cells)
    ]


def finish_cell(cell: Cell, folder: Path, stages: Sequence[str]) -> str | None:
    """Do what is left of one run; the reason if it cannot be done."""
    try:
        lock = folder.parent / ".locks" / f"{folder.name}.lock"
        # Not a second sweep meanwhile, nor another machine with this disk.
        with alone(lock, f"  Another process works on {folder}: waiting for it."):
            run_all(cell.config, folder, stages=stages)
    except InputError as error:
        say(f"  {error}")
        return str(error)
    return None


def _one_by_one(calls: Sequence[Call], jobs: int) -> Generator[Ended, None, None]:
    """In this process."""
    for i, call in enumerate(calls):
        say(f"[{i + 1}/{len(calls)}] {call[0].name}")
        yield i, finish_cell(*call)


def _quietly(i: int, cell: Cell, folder: Path, stages: Sequence[str]) -> Ended:
    """One run in a process of its own, with its messages in a file beside its results."""
    log = folder.parent.parent / "logs" / f"{cell.name}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream, contextlib.redirect_stderr(stream):
        return i, finish_cell(cell, folder, stages)


def _processes(calls: Sequence[Call], jobs: int) -> Generator[Ended, None, None]:
    """In processes of this machine; joblib gives each its share of the threads."""
    from joblib import delayed

    try:
        yield from side_by_side(
            (delayed(_quietly)(i, *call) for i, call in enumerate(calls)), n_jobs=jobs, backend="loky",
            pre_dispatch="all", batch_size=1, return_as="generator_unordered",
        )  # fmt: skip
    except BrokenExecutor:
        raise _killed(jobs) from None


def _ray(calls: Sequence[Call], jobs: int) -> Generator[Ended, None, None]:
    """As tasks of a Ray cluster; of this machine alone where RAY_ADDRESS names none."""
    try:
        import ray
    except ImportError:
        raise InputError(
            "--engine ray needs Ray: pip install 'latentshape[ray]'; or use --engine processes."
        ) from None
    began = not ray.is_initialized()
    if began:
        # Workers on other machines look for data and cache where this process does.
        own = {name: text for name, text in os.environ.items() if name.startswith("LATENTSHAPE_")}
        ray.init(log_to_driver=False, include_dashboard=False, runtime_env={"env_vars": own})
    try:
        all_of_them = ray.cluster_resources()
        task = ray.remote(
            num_cpus=max(1, int(all_of_them.get("CPU", 1)) // jobs),
            num_gpus=min(1.0, all_of_them.get("GPU", 0) / jobs),
            max_retries=0,
        )(_quietly)
        waiting = iter(enumerate(calls))
        going = [task.remote(i, *call) for i, call in itertools.islice(waiting, jobs)]
        while going:
            [ended], going = ray.wait(going)
            yield ray.get(ended)
            going += [task.remote(i, *call) for i, call in itertools.islice(waiting, 1)]
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
        raise _killed(jobs) from None
    finally:
        if began:
            ray.shutdown()


def _killed(jobs: int) -> InputError:
    return InputError(
        "A process of the sweep was killed from outside, most likely for want of memory. What is done is "
        f"kept: give the same command again, with fewer --jobs than {jobs}."
    )


ENGINES: dict[str, Callable[[Sequence[Call], int], Generator[Ended, None, None]]] = {
    "processes": _processes,
    "ray": _ray,
}
"""What runs cells side by side: yields each as it ends."""
