"""The stages of the main job, each a function of the run folder.

``train -> encode -> analyze -> evaluate -> report``. Each stage reads what earlier ones wrote, writes
its own artefacts whole, notes its wall time in ``stages.json``, and is skipped by :func:`run_all` when
it has been done. So the same command after an interruption goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentshape.config import Config
from latentshape.errors import InputError, suggestion
from latentshape.files import write_json
from latentshape.progress import say
from latentshape.runs import RunFolder, read_record

if TYPE_CHECKING:
    from latentshape.data import Dataset

__all__ = ["STAGES", "analyze_run", "check_judging", "code_shape_of", "encode_run", "evaluate_run",
           "finish_run", "open_data", "precision_of", "report_run", "run_all", "train_run"]  # fmt: skip

#: The stages of the main job, in order.
STAGES = ("train", "encode", "analyze", "evaluate", "report")
#: Pictures of each sampler that ``samples/`` and the report show.
SHOWN = 32
#: Drawn pictures that are shown beside the training images nearest to them.
NEIGHBOURED = 6


def open_data(config: Config, run: RunFolder | None = None, spec: str | None = None) -> Dataset:
    """The dataset of a config; with a run, the very images that it was trained on.

    Raises:
        InputError: The images at that place are not those of the run any more.
    """
    from latentshape.data import open_dataset

    data = config.data
    dataset = open_dataset(
        spec or data.data, size=data.size, channels=data.channels, crop=data.crop
    )
    if run is not None and spec is None and run.dataset_path.exists():
        known = read_record(run.dataset_path, "fingerprint")["fingerprint"]
        if known != dataset.fingerprint:
            raise InputError(
                f"The images of {data.data!r} have changed since {run.path} was trained on them. "
                "Restore them, or start a new run in another --out."
            )
    return dataset


def train_run(config: Config, out: Path, tensorboard: bool = False) -> RunFolder:
    """Train into a new folder, or go on in the same one.

    Args:
        config: What to train.
        out: The run folder.
        tensorboard: Also write the metrics to ``out/tensorboard``.
    """
    from latentshape.data import absolute_spec
    from latentshape.training import train

    check_judging(config)
    listener = _tensorboard(out / "tensorboard") if tensorboard else None
    spec = absolute_spec(config.data.data)
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, data=spec))
    # The data are opened before the folder is made: a wrong path leaves nothing behind.
    existing = RunFolder.create(out, config) if (out / "config.json").exists() else None
    began = time.perf_counter()
    dataset = open_data(config, existing)
    took = time.perf_counter() - began
    run = RunFolder.create(out, config)
    if run.done("train", run.model_path):
        say(f"{run.path} is trained already.")
        if listener:
            for line in run.metrics():
                listener(line)
        return run
    if "data" not in run.stages():  # a resumed run finds the decoded images in the cache
        run.record_stage("data", took, {"images": len(dataset)})
    summary = dataset.summary()
    write_json(run.dataset_path, summary)
    for notice in _notices(summary):
        say(f"  note: {notice}")
    counts = ", ".join(f"{n:,} {name}" for name, n in summary["splits"].items())
    say(f"Training on {summary['images']:,} images ({counts}).")
    with run.stage("train") as facts:
        facts.update(train(config, dataset, run, listener).facts)
    return run


def check_judging(config: Config) -> None:
    """See that the scorecard's samplers and feature spaces exist, before hours are spent on training.

    Raises:
        InputError: One has no such name.
    """
    from latentshape.evaluation.features import FEATURES
    from latentshape.samplers import SAMPLERS

    for kind, names, known in (
        ("sampler", config.evaluation.sampler_names() or [], SAMPLERS),
        ("feature space", config.evaluation.feature_names(), FEATURES),
    ):
        for name in names:
            if name not in known:
                raise InputError(f"No {kind} is called {name!r}{suggestion(name, known)}")


def _tensorboard(folder: Path) -> Callable[[dict[str, Any]], None]:
    """A listener that writes each number of an epoch's line as a scalar over the steps."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "--tensorboard needs the tensorboard package: pip install 'latentshape[tensorboard]'"
        ) from None
    writer: Any = None

    def write(line: dict[str, Any]) -> None:
        nonlocal writer
        if writer is None:
            # What an interrupted attempt wrote beyond its checkpoint is hidden by starting over.
            writer = SummaryWriter(str(folder), purge_step=0)
        for name in ("train_mse", "heldout_mse", "images_per_second", "learning_rate"):
            writer.add_scalar(name, line[name], line["step"])
        for name, value in line.get("terms", {}).items():  # of a loss that has more than the error
            writer.add_scalar(f"terms/{name}", value, line["step"])
        writer.flush()

    return write


def _notices(summary: dict[str, Any]) -> list[str]:
    """What a user should know about the data, in sentences."""
    notices = list(summary["notices"])
    notices += [f"{count:,} images converted: {k}" for k, count in summary["converted"].items()]
    broken = summary["unreadable"]
    if broken:
        first = ", ".join(list(broken)[:5]) + (" ..." if len(broken) > 5 else "")
        notices.append(
            f"{len(broken)} unreadable images left out ({first}), listed in dataset.json"
        )
    return notices


def encode_run(run: RunFolder, spec: str | None = None) -> Path:
    """Codes of every split of the run's data, or of other images, by ``spec``, into a folder beside.

    Returns:
        ``codes/``, or ``codes-<fingerprint>/`` for other images: a run's own codes stay its own.
    """
    from latentshape.codes import encode_dataset, weights_digest
    from latentshape.models import load_model

    model = load_model(run)
    dataset = open_data(run.config(), run, spec)
    precision = precision_of(run)
    weights = weights_digest(run)
    if spec is not None:
        folder = run.path / f"codes-{dataset.fingerprint[:8]}"
        encode_dataset(model, dataset, folder, precision, weights)
        return folder
    with run.stage("encode") as facts:
        encode_dataset(model, dataset, run.codes_path, precision, weights)
        facts["precision"] = precision
        facts["images"] = len(dataset)
    return run.codes_path


def precision_of(run: RunFolder) -> str:
    """At which the model was trained, and encodes."""
    return str(run.stages().get("train", {}).get("precision", "fp32"))


def analyze_run(run: RunFolder, treatment: str = "auto") -> dict[str, Any]:
    """Measure the training codes, beside a control; held-out codes against their own law.

    Args:
        run: With codes.
        treatment: Of codes with a shape or many components: see `latentshape.analysis.analyze`.
    """
    from latentshape.analysis import analyze
    from latentshape.codes import load_codes

    train, held_out = load_codes(run, "train"), load_codes(run, "validation")
    with run.stage("analyze"):
        found = analyze(
            train.z, held_out=held_out.z, treatment=treatment, code_shape=code_shape_of(run)
        )
        found.save(run.path)
        _picture_ends(run, train.z, found.record)
        return found.record


def code_shape_of(run: RunFolder) -> tuple[int, ...] | None:
    """The shape of one code of an adopted run before it was flattened; None where that is not known."""
    if not run.adapter_path.exists():
        return None
    shape = read_record(run.adapter_path).get("code_shape")
    return tuple(map(int, shape)) if shape else None


def _picture_ends(run: RunFolder, z: np.ndarray, record: dict[str, Any], each: int = 8) -> None:
    """Decode the codes at both ends of the two least Gaussian directions: what deviates there?"""
    from latentshape.decoding import decode_pixels
    from latentshape.images import grid, save_png
    from latentshape.models import load_model

    directions = record["normality"]["least-gaussian"].get("directions")
    if (
        not directions
        or len(directions[0]) != z.shape[1]
        or len(z) < 4 * each
        or not run.model_path.exists()
    ):
        return
    rows = []
    for direction in directions[:2]:
        order = np.argsort(np.asarray(z) @ np.asarray(direction, np.float32), kind="stable")
        rows += [*order[:each], *order[-each:]]
    sheet = grid(decode_pixels(load_model(run), np.asarray(z[np.array(rows)])), columns=each)
    save_png(run.figures_path / "least-gaussian-ends.png", sheet)


def evaluate_run(run: RunFolder) -> dict[str, Any]:
    """Fit every sampler, draw, decode and judge: ``samplers/``, ``samples/``, ``scorecard.json``."""
    from latentshape.codes import load_codes
    from latentshape.data import SPLITS
    from latentshape.decoding import decode_pixels
    from latentshape.evaluation.novelty import code_novelty, nearest_images
    from latentshape.evaluation.scorecard import fit_samplers, score
    from latentshape.images import grid, save_png
    from latentshape.models import load_model

    config, model = run.config(), load_model(run)
    train, held_out, test = (load_codes(run, split) for split in SPLITS)
    dataset = open_data(config, run)
    with run.stage("evaluate"):
        samplers, refused = fit_samplers(train.z, config.evaluation.sampler_names())
        for name, why in refused.items():
            say(f"  note: {name} is left out: {why}")
        for name, sampler in samplers.items():
            sampler.save(run.samplers_path / name)
            pictures = decode_pixels(model, sampler.sample_at(range(SHOWN)))
            save_png(run.samples_path / f"{name}.png", grid(pictures))
        shown = np.array(dataset.pixels[dataset.indices("validation")[:SHOWN]])
        save_png(run.samples_path / "real.png", grid(shown))
        rebuilt = decode_pixels(model, held_out.z[:SHOWN])
        save_png(run.samples_path / "reconstruction.png", grid(rebuilt))
        card = score(model, dataset, samplers, held_out, test, config.evaluation, refused=refused,
                     train=train.z, precision=precision_of(run))  # fmt: skip
        card["novelty"] = code_novelty(samplers, train.z, held_out.z)
        write_json(run.scorecard_path, card)
        name = card["recommendation"]["value"]
        if name is not None:
            drawn = samplers[name].sample_at(range(NEIGHBOURED))
            nearest = dataset.indices("train")[nearest_images(drawn, train.z)]
            own = decode_pixels(model, drawn)
            rows = [[own[i], *dataset.pixels[nearest[i]]] for i in range(len(own))]
            sheet = grid(np.concatenate(rows), columns=len(rows[0]))
            save_png(run.samples_path / "nearest.png", sheet)
    return card


def report_run(run: RunFolder) -> Path:
    """``report.html`` from what lies in the folder; what is missing is named, not invented."""
    from latentshape.report import write_report

    run.need(run.shape_path, "analyze")
    with run.stage("report"):
        write_report(run)
    # Once more, so that the page holds its own time too.
    write_report(run)
    return run.report_path


def run_all(
    config: Config, out: str | Path, tensorboard: bool = False, stages: Collection[str] = STAGES
) -> RunFolder:
    """The main job: train, encode, analyze, evaluate, report; what is done already is skipped.

    Args:
        config: What to train, as `latentshape.make_config` makes it.
        out: The run folder.
        tensorboard: Also write the metrics to ``out/tensorboard``.
        stages: Which of `STAGES`; ``train`` is always among them.

    Returns:
        The run folder, for `latentshape.load_codes`, `latentshape.load_model` and all others.

    Raises:
        InputError: The folder holds another run, the images cannot be read, or training diverged.
        Interrupted: Ctrl-C came; the same call goes on from there.
    """
    return finish_run(train_run(config, Path(out), tensorboard), stages)


def finish_run(run: RunFolder, stages: Collection[str] = STAGES) -> RunFolder:
    """What follows the training: encode, analyze, evaluate, report; what is done already is skipped.

    Args:
        run: With a model.
        stages: Which of `STAGES`.
    """
    from latentshape.evaluation.faces import detector_missing

    codes = [run.codes_path / f"{s}.npy" for s in ("train", "validation", "test")]

    def due(stage: str, *artefacts: Path) -> bool:
        return stage in stages and not run.done(stage, *artefacts)

    if due("encode", *codes):
        say("Encoding every image once.")
        encode_run(run)
    if due("analyze", run.shape_path):
        say("Measuring the shape of the codes.")
        analyze_run(run)
    if due("evaluate", run.scorecard_path):
        say("Drawing new codes in every way, decoding and judging them.")
        why = detector_missing()
        if why:
            say(f"  note: face rates are left out: {why}")
        evaluate_run(run)
    if due("report", run.report_path):
        report_run(run)
    return run
