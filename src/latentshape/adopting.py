"""A run folder for somebody else's model, in which everything that a run of ours can do is done.

The folder has no weights: ``adapter.json`` says what the model is (see `latentshape.adapters.held`). A
model that came from files is found again by every later command; one that was handed over in memory is
there for as long as the process lives, and is handed over again in the next.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from latentshape.adapters.adapted import Adapted
from latentshape.adapters.choosing import adapt
from latentshape.adapters.held import digest_of, files_of, hold
from latentshape.config import ADOPTED, Config, DataConfig, EvaluationConfig, ModelConfig
from latentshape.data import absolute_spec
from latentshape.errors import InputError
from latentshape.files import write_json
from latentshape.pipeline import STAGES, check_judging, finish_run, open_data
from latentshape.progress import say
from latentshape.runs import RunFolder, read_record

__all__ = ["adopt"]


def adopt(
    model: Any,
    data: Any = None,
    out: str | Path = "runs/adopted",
    *,
    size: int | None = None,
    channels: int | None = None,
    stages: Collection[str] = STAGES,
    n: int = 1000,
    draws: int = 5,
    samplers: str = "all",
    crop: str = "auto",
    **options: Any,
) -> RunFolder:
    """Encode images by a model that was trained elsewhere, measure its codes, judge every sampler on it.

    The same call goes on where it was interrupted, and hands the model over again in a new process; with what
    the folder has already, ``data`` may then be left out.

    Args:
        model: As `latentshape.adapters.choosing.adapt` takes it: a torch module, a Keras model, an
            ``AutoencoderKL``, a pair of functions, ONNX files.
        data: The images: a SPEC as for ``--data``, or an array (n, h, w, c), uint8 or floats in [0, 1]. It
            should hold what the model was trained on; how it is split is told in ``dataset.json``.
        out: The run folder.
        size: Side of the pictures, where neither the model nor the images say so.
        channels: Of the pictures, likewise.
        stages: Of `latentshape.pipeline.STAGES`, what is to be done.
        n: Pictures a row of the scorecard.
        draws: Of each row.
        samplers: To judge, such as ``"gaussian,mixture"``; all of them.
        crop: Of the images, as ``--crop``.
        options: Of `adapt`: ``encoder decoder split pixel_range channels_last``.

    Returns:
        The run folder: `latentshape.load_model`, ``latentshape sample``, ``walk``, ``explore`` and all
            others take it.

    Raises:
        InputError: The model is not what was stated, the images do not fit it, or the folder is another
            model's.

    Example:
        >>> import tempfile
        >>> rng = np.random.default_rng(0)
        >>> images = rng.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
        >>> basis = np.linalg.qr(rng.standard_normal((64, 3)))[0].astype(np.float32)
        >>> def encode(x): return x.reshape(-1, 64) @ basis
        >>> def decode(z): return (z @ basis.T).reshape(-1, 1, 8, 8)
        >>> folder = tempfile.mkdtemp() + "/mine"
        >>> run = adopt((encode, decode), images, folder, pixel_range=(0, 1), stages=["encode"])
        >>> run.config().model.latent_dim, sorted(p.name for p in run.path.iterdir())[0]
        (3, 'adapter.json')
    """
    run = RunFolder(out)
    if data is None:
        return _again(model, run, options, stages)
    files = files_of(model)
    spec, known = _images(data, run)
    size, channels = size or known[0], channels or known[1]
    adapted = adapt(model, size, channels, **options)
    digest = digest_of(files, adapted)
    record: dict[str, Any] = {
        "name": adapted.name,
        "files": [str(path) for path in files],
        "digest": digest,
        "options": {"size": adapted.layout.size, "channels": adapted.layout.channels, **_plain(options)},
        "code_shape": list(adapted.code_shape),
        "stochastic": adapted.stochastic,
    }  # fmt: skip
    config = Config(
        ADOPTED,
        DataConfig(spec, adapted.layout.size, adapted.layout.channels, crop),
        ModelConfig(model=ADOPTED, latent_dim=adapted.latent_dim, filters=()),
        evaluation=EvaluationConfig(n=n, draws=draws, samplers=samplers),
    )
    check_judging(config)
    if run.adapter_path.exists():
        _same(run, digest, record["options"])
        run = RunFolder.create(run.path, config)
    else:  # the images are opened before the folder is made: a wrong path leaves nothing behind
        dataset = open_data(config)
        run = RunFolder.create(run.path, config)
        write_json(run.adapter_path, record)
        write_json(run.dataset_path, dataset.summary())
    if not run.done("train"):
        run.record_stage("train", 0.0, {"device": "elsewhere", "precision": "fp32"})
    hold(run, adapted)
    say(f"{adapted.name}: codes of {adapted.latent_dim} components{_spatial(adapted)}.")
    return _finish(run, stages)


def _again(
    model: Any, run: RunFolder, options: dict[str, Any], stages: Collection[str]
) -> RunFolder:
    """Hand over the model of a run that is there, and go on with it."""
    if not run.adapter_path.exists():
        raise InputError(
            f"{run.path} is no adopted run; pass the images too: adopt(model, data, out)."
        )
    kept = dict(read_record(run.adapter_path, "options")["options"])
    adapted = adapt(model, **(kept | options))
    _same(run, digest_of(files_of(model), adapted), kept | options)
    hold(run, adapted)
    return _finish(run, stages)


def _finish(run: RunFolder, stages: Collection[str]) -> RunFolder:
    """Go through the stages, on the very images that the run was begun with.

    Raises:
        InputError: They have changed since.
    """
    open_data(run.config(), run)
    return finish_run(run, stages)


def _same(run: RunFolder, digest: str, options: dict[str, Any]) -> None:
    """See that the folder is that of the model with this digest, taken in this way.

    Raises:
        InputError: It is another's.
    """
    there = read_record(run.adapter_path, "digest", "options")
    if there["digest"] != digest:
        raise InputError(
            f"{run.path} was made with another model (or other weights of it). Choose another folder."
        )
    now = _plain(options)
    differing = [key for key, value in there["options"].items() if now.get(key, value) != value]
    if differing or set(now) - set(there["options"]):
        names = ", ".join([*differing, *sorted(set(now) - set(there["options"]))])
        raise InputError(f"{run.path} was made with another {names}. Choose another folder.")


def _images(data: Any, run: RunFolder) -> tuple[str, tuple[int | None, int | None]]:
    """The SPEC of images; those in memory are written into the run folder first."""
    if isinstance(data, (str, Path)):
        return absolute_spec(str(data)), (None, None)
    pixels = np.asarray(data)
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or pixels.shape[1] != pixels.shape[2]:
        raise InputError(
            f"Expected square images (n, h, w, 1 or 3), got {pixels.shape}; put the channels last, "
            "and crop them."
        )
    if pixels.dtype != np.uint8:
        if pixels.dtype.kind != "f" or not (pixels.min() >= 0 and pixels.max() <= 1):
            raise InputError(
                f"Expected uint8 images, or floats in [0, 1], got {pixels.dtype} from {pixels.min()} to "
                f"{pixels.max()}."
            )
        pixels = np.round(pixels * 255).astype(np.uint8)
    from latentshape.codes import save_array

    folder = run.path.with_name(run.path.name + ".images")
    place = folder / "images.npy"
    if not place.exists() or not np.array_equal(np.load(place, mmap_mode="r"), pixels):
        if run.adapter_path.exists():
            raise InputError(f"{run.path} was made with other images. Choose another folder.")
        save_array(place, pixels)
    return f"arrays:{place.resolve()}", (pixels.shape[1], pixels.shape[3])


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Options that a later process can read again; a Keras decoder in memory is not one."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in options.items()
        if value is None or isinstance(value, (str, int, float, bool, tuple, list))
    }


def _spatial(adapted: Adapted) -> str:
    shape = adapted.code_shape
    return f", {' x '.join(map(str, shape))} flattened" if len(shape) > 1 else ""
