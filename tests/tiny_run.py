"""One tiny run, trained once for all tests that only read it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from latentshape import flows, plots
from latentshape.cli import main
from latentshape.config import make_config
from latentshape.data import Dataset
from latentshape.data.splits import complete_split
from latentshape.runs import RunFolder

#: Options under which everything takes seconds.
TINY = dict(data="faces:n=200", size=32, filters=(3, 4), latent_dim=5, epochs=2, batch_size=32,
            precision="fp32", n=8, draws=2, features="pixel-pca,random-conv")  # fmt: skip
FLAGS = {"n": "--judged", "draws": "--judged-draws"}


def shared(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made once, for all tests and all processes that run tests.

    Args:
        tmp_path_factory: The fixture.
        name: The folder's.
        make: Told where it is to be; what it leaves there is to be read, never written.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / "shared" / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_name(f"{name}.lock")):
        made = folder.with_name(f"{name}.made")
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def tiny_config(**options):
    """The tiny config, changed by options."""
    return make_config(**(TINY | options))


def words(**options):
    """The same options as the command line wants them."""
    found = []
    for name, value in (TINY | options).items():
        flag = FLAGS.get(name, "--" + name.replace("_", "-"))
        if isinstance(value, bool):
            found.append(flag if value else flag.replace("--", "--no-"))
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        found += [flag, text]
    return found


def plain_dataset(n=150, size=32, seed=0, channels=3):
    """Smooth random pictures with ids, split and attributes, without any cache on disk."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (n, 4, 4, channels))
    pixels = np.repeat(np.repeat(coarse, size // 4, 1), size // 4, 2).astype(np.uint8)
    ids = np.array([f"picture-{i:04d}" for i in range(n)])
    return Dataset(
        spec="plain", kind="folder", pixels=pixels, ids=ids,
        split=complete_split(ids.tolist(), None)[0],
        attributes=np.where(rng.random((n, 2)) < 0.5, -1, 1).astype(np.int8),
        attribute_names=("Odd", "Even"), fingerprint=f"plain-{n}-{size}-{seed}-{channels}",
    )  # fmt: skip


def hurry(patch: pytest.MonkeyPatch, *, drawn: bool = False) -> None:
    """Flows that soon give up, figures that nobody lays out: else these are three quarters of a tiny run.

    Args:
        patch: Takes it back.
        drawn: Whether figures are drawn all the same; else they are made, and saved as empty pictures.
    """
    from matplotlib.figure import Figure

    patch.setattr(flows, "_PATIENCE", 1)
    patch.setitem(plots.STYLE, "figure.dpi", 40)
    patch.setattr(Figure, "set_layout_engine", lambda self, layout=None, **options: None)
    if not drawn:
        patch.setattr(Figure, "savefig", _save_undrawn)


def _save_undrawn(self, target, **options) -> None:
    sides = (self.get_size_inches() * self.dpi).round().astype(int).tolist()
    Image.new("L", sides, 255).save(target, format="png")


#: The same for a process of its own.
HURRY = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    "import pytest, tiny_run; tiny_run.hurry(pytest.MonkeyPatch(), drawn=True)\n"
)


def made_once(tmp_path_factory) -> Path:
    """The folder of the finished run and of its cache."""

    def make(base: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            hurry(patch, drawn=True)
            patch.setenv("LATENTSHAPE_CACHE", str(base / "cache"))
            assert main(["run", "--out", str(base / "run"), *words()]) == 0

    return shared(tmp_path_factory, "tiny", make)


@pytest.fixture
def finished(tmp_path_factory, monkeypatch) -> RunFolder:
    """The finished run: to be read, never written. What a test makes beside it is made in the same hurry."""
    base = made_once(tmp_path_factory)
    hurry(monkeypatch)
    monkeypatch.setenv("LATENTSHAPE_CACHE", str(base / "cache"))
    return RunFolder(base / "run")


@pytest.fixture
def copy(finished, tmp_path) -> RunFolder:
    """A copy of the finished run, to be damaged."""
    shutil.copytree(finished.path, tmp_path / "copy")
    return RunFolder(tmp_path / "copy")


def said(capsys) -> str:
    """What went to standard error, which must be one sentence and no traceback."""
    text = capsys.readouterr().err
    assert "Traceback" not in text
    last = text.strip().splitlines()[-1]
    assert last.startswith("latentshape: ")
    return last


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def read(path: Path):
    """JSON, strictly: NaN and infinities are no numbers."""

    def refuse(word):
        raise AssertionError(f"{word} in {path}")

    return json.loads(path.read_text(), parse_constant=refuse)
