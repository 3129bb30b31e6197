"""A walk through a run's codes as it is shown: decoded steps, their path over the codes, a film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from latentshape.drawing import fitted
from latentshape.errors import InputError
from latentshape.files import write_json
from latentshape.pipeline import precision_of
from latentshape.runs import RunFolder

__all__ = ["walk_run"]


def walk_run(
    run: RunFolder,
    kind: str,
    out: Path,
    options: dict[str, Any] | None = None,
    ends: tuple[str, ...] = (),
    animation: str | None = "gif",
) -> Path:
    """Walk through the run's codes: ``strip.png``, ``path.png``, ``walk.json``, ``codes.npy``, a film.

    Args:
        run: With a model and codes.
        kind: From `latentshape.walks.WALKS`.
        out: Folder, made if it is not there.
        options: Of the kind; and ``law``, a sampler with a density, for a morph that follows it.
        ends: For a morph two, for a grid four places: ids of the run's images, picture files, or
            ``.npy`` files of one code each.
        animation: ``gif``, ``webp``, ``mp4`` or None.

    Returns:
        The strip's path.
    """
    from latentshape import plots
    from latentshape.animation import need_ffmpeg, save_animation, there_and_back, walk_frames
    from latentshape.codes import load_codes, save_array
    from latentshape.decoding import decode_pixels
    from latentshape.images import grid, save_png
    from latentshape.models import load_model
    from latentshape.shape.wide import moments_of
    from latentshape.walk_plots import walk_figure
    from latentshape.walks import make_walk

    if animation == "mp4":
        need_ffmpeg()
    model, z = load_model(run), load_codes(run, "train").z
    options = dict(options or {})
    if ends:
        wanted = {"morph": ("start", "end"), "grid": ("corners",)}.get(kind)
        if wanted is None or len(ends) != (2 if kind == "morph" else 4):
            raise InputError(
                f"--between takes 2 places for a morph, or 4 for a grid; got {len(ends)} for {kind!r}."
            )
        places = np.stack([_place(run, model, end) for end in ends])
        options |= dict(zip(wanted, places)) if kind == "morph" else {"corners": places}
    for name in options:
        if name in ("z", "log_prob", "gradient", "start", "end", "corners") and not ends:
            raise InputError(
                f"--option {name} is not for the command line: give places with --between, and a density "
                "to follow with --option law=NAME."
            )
    if "law" in options:
        if kind != "morph":
            raise InputError(f"--option law goes with --kind morph, got {kind!r}; leave it out.")
        options["log_prob"] = fitted(run, str(options.pop("law"))).log_prob
    moments = moments_of(z)
    walk = make_walk(kind, z, moments, **options)
    pixels = decode_pixels(model, walk.codes)
    for film in out.glob("walk.*"):  # of an earlier walk
        film.unlink()
    save_array(out / "codes.npy", walk.codes)
    write_json(out / "walk.json", walk.to_dict())
    save_png(out / "strip.png", grid(pixels, columns=walk.columns))
    plots.save(walk_figure(walk, z, moments), out / "path.png")
    if animation is not None:
        frames = there_and_back(walk_frames(pixels, walk.rows, walk.columns))
        save_animation(out / f"walk.{animation}", frames)
    return out / "strip.png"


def _place(run: RunFolder, model: Any, end: str) -> np.ndarray:
    """The code of one end of a walk: an image of the run by its id, a picture file, or a code file."""
    from latentshape.codes import encode_pixels, load_array, load_codes
    from latentshape.data import SPLITS
    from latentshape.photos import square_of

    path = Path(end)
    if path.suffix == ".npy" and path.is_file():
        z = np.asarray(load_array(path))
        if z.size != model.latent_dim:
            raise InputError(
                f"{end} must hold one code of {model.latent_dim} components, got an array of shape "
                f"{z.shape}."
            )
        return z.reshape(-1)
    for split in SPLITS:
        codes = load_codes(run, split)
        rows = np.flatnonzero(codes.ids == end)
        if len(rows):
            return np.array(codes.z[rows[0]])
    if path.is_file():
        pixels = square_of(run, path.read_bytes())
        return next(encode_pixels(model, pixels[None], np.array([0]), precision_of(run)))[0]
    example = str(load_codes(run, "test").ids[0])
    raise InputError(
        f"{end!r} is neither the id of an image of this run (such as {example!r}), nor a picture, nor a "
        ".npy file of one code."
    )
