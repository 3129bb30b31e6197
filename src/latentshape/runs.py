"""The run folder: the name, writer and reader of every artefact.

A run is a folder that explains itself; every later command takes the folder and nothing else. All
files are written to a temporary name beside the target and then renamed, so a file that is there is
whole: whoever is killed, or runs out of disk, loses at most what was being written.
"""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from latentshape.config import Config
from latentshape.errors import InputError
from latentshape.files import atomic_path, read_json, write_json

__all__ = ["RunFolder", "read_record", "versions"]


#: What each stage reads: when one of these was done again later, the stage counts as not done.
BUILDS_ON: dict[str, tuple[str, ...]] = {
    "train": (),
    "encode": ("train",),
    "analyze": ("train", "encode"),
    "evaluate": ("train", "encode"),
    "report": ("train", "encode", "analyze", "evaluate"),
}


class RunFolder:
    """One run on disk: ``config.json``, ``metrics.jsonl``, ``model.safetensors``, ``codes/`` ...

    Args:
        path: The folder. Nothing is created until something is written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_path = self.path / "config.json"
        self.dataset_path = self.path / "dataset.json"
        self.stages_path = self.path / "stages.json"
        self.metrics_path = self.path / "metrics.jsonl"
        self.checkpoint_path = self.path / "checkpoints" / "last.safetensors"
        self.adapter_path = self.path / "adapter.json"
        self.codes_path = self.path / "codes"
        self.shape_path = self.path / "shape.json"
        self.samplers_path = self.path / "samplers"
        self.samples_path = self.path / "samples"
        self.scorecard_path = self.path / "scorecard.json"
        self.figures_path = self.path / "figures"
        self.series_path = self.path / "series"
        self.walks_path = self.path / "walks"
        self.report_path = self.path / "report.html"

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run.

        Raises:
            InputError: No folder there, or one without ``config.json``.
        """
        run = cls(path)
        if not run.path.is_dir():
            raise InputError(
                f"There is no run folder {str(path)!r}. Make one with: latentshape run --out {path}"
            )
        run.config()
        return run

    @classmethod
    def create(cls, path: str | Path, config: Config) -> RunFolder:
        """A new run with this config, or the same run again.

        Raises:
            InputError: The folder holds another run, or files that are no run.
        """
        run = cls(path)
        if run.path.exists() and not run.path.is_dir():
            raise InputError(f"{str(path)!r} is a file; --out must name a folder.")
        if run.config_path.exists():
            differing = config.differences(run.config())
            if differing:
                raise InputError(
                    f"{run.path} holds a run of another config ({'; '.join(differing[:5])}). Choose "
                    f"another --out, give the same options, or delete the folder."
                )
            return run
        foreign = sorted(p.name for p in run.path.iterdir()) if run.path.exists() else []
        if foreign:
            raise InputError(
                f"{run.path} has no config.json but is not empty (found: {', '.join(foreign[:5])}). "
                "It is a half-written run or something else: choose another --out, or empty it."
            )
        write_json(run.config_path, config.to_dict())
        return run

    @property
    def model_path(self) -> Path:
        """What tells the model, its weights; of an adopted one, what is known of it."""
        if self.adapter_path.exists():
            return self.adapter_path
        return self.path / "model.safetensors"

    def config(self) -> Config:
        """The config as it was resolved when the run was made."""
        if not self.config_path.exists():
            raise InputError(
                f"{self.path} is no run folder: it has no config.json. A run is made by "
                "'latentshape run' or 'latentshape train'."
            )
        return Config.from_dict(read_record(self.config_path, *Config().to_dict()))

    def snapshot_path(self, epoch: int) -> Path:
        """The weights as they were after an epoch."""
        return self.checkpoint_path.with_name(f"epoch-{epoch:04d}.safetensors")

    def snapshots(self) -> dict[int, Path]:
        """Weights that training kept on its way, by epoch, the earliest first."""
        kept = {
            epoch: self.snapshot_path(epoch) for epoch in sorted(self.config().training.snapshots)
        }
        return {epoch: path for epoch, path in kept.items() if path.exists()}

    def need(self, path: Path, made_by: str) -> Path:
        """``path`` if it exists, else a sentence that names the command that writes it."""
        if not path.exists():
            raise InputError(
                f"{self.path} has no {path.relative_to(self.path)} yet. Make it with: latentshape "
                f"{made_by} {self.path}"
            )
        return path

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``, one dictionary per epoch."""
        if not self.metrics_path.exists():
            return []
        try:
            text = self.metrics_path.read_text(encoding="utf-8")
            lines = [dict(json.loads(line)) for line in text.splitlines() if line]
            if not all(line.keys() >= {"epoch", "train_mse", "heldout_mse"} for line in lines):
                raise ValueError("a line lacks epoch, train_mse or heldout_mse")
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{self.metrics_path} is damaged ({error}). Restore it, or delete it to go without "
                "the loss curve."
            ) from None
        return lines

    def write_metrics(self, lines: list[dict[str, Any]]) -> None:
        """Replace ``metrics.jsonl``: whole, so that a kill never leaves half a line."""
        with atomic_path(self.metrics_path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def stages(self) -> dict[str, Any]:
        """What was done, when, in how many seconds, with which versions: ``stages.json``."""
        return read_record(self.stages_path) if self.stages_path.exists() else {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Time a stage; the dictionary yielded takes further facts worth keeping.

        Wall time adds up over interruptions: what an earlier, unfinished attempt took counts too,
        unless it was killed outright and could not write it down.
        """
        before = self.stages().get(name, {})
        spent = before.get("seconds", 0.0) if not before.get("finished", True) else 0.0
        started, facts, finished = time.perf_counter(), {}, False  # type: ignore[var-annotated]
        try:
            yield facts
            finished = True
        finally:
            seconds = spent + time.perf_counter() - started
            # A full disk must not hide the error that ended the stage.
            with contextlib.suppress(OSError) if not finished else contextlib.nullcontext():
                self.record_stage(name, seconds, facts, finished)

    def record_stage(
        self, name: str, seconds: float, facts: dict[str, Any], finished: bool = True
    ) -> None:
        """Note what a stage took, when it ended (UTC) and what else is worth knowing of it."""
        entry = {
            "finished": finished,
            "seconds": round(seconds, 3),
            "ended": datetime.now(UTC).isoformat(),
            **facts,
            "versions": versions(),
        }
        write_json(self.stages_path, {**self.stages(), name: entry})

    def done(self, name: str, *artefacts: Path) -> bool:
        """Whether a stage ended well, after those it builds on, and all it wrote is still there."""
        stages = self.stages()
        if not stages.get(name, {}).get("finished"):
            return False
        stale = [
            s for s in BUILDS_ON[name] if stages.get(s, {}).get("ended", "") > stages[name]["ended"]
        ]
        return not stale and all(p.exists() for p in artefacts)


def read_record(path: Path, *keys: str) -> dict[str, Any]:
    """A JSON object with at least these keys.

    Raises:
        InputError: The file holds something else.
    """
    record = read_json(path)
    if not isinstance(record, dict) or not all(key in record for key in keys):
        wanted = f" with {', '.join(map(repr, keys))}" if keys else ""
        raise InputError(
            f"{path} must hold a JSON object{wanted}. Restore it, or delete it and run the stage that "
            "writes it again."
        )
    return record


def versions() -> dict[str, str]:
    """Versions of what can change a number."""
    found = {"python": platform.python_version()}
    for package in (
        "latentshape",
        "torch",
        "numpy",
        "scipy",
        "scikit-learn",
        "opencv-python-headless",
    ):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
