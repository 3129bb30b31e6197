"""The stages of the main job, each a function of the run folder; the verbs of the main job call nothing else.

``train -> encode -> analyze -> evaluate -> report``. Each stage reads what earlier ones wrote, writes
its own artefacts whole, notes its wall time in ``stages.json``, and is skipped by :func:`run_all` when
it has been done. So the same command after an interruption goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentshape.config import ADOPTED, Config
from latentshape.errors import InputError, suggestion
from latentshape.files import write_json
from latentshape.progress import bar, say
from latentshape.runs import RunFolder, read_record

if TYPE_CHECKING:
    from latentshape.attributes import Directions
    from latentshape.data import Dataset
    from latentshape.evaluation.wishes import Witness
    from latentshape.models.base import Autoencoder
    from latentshape.samplers import Sampler

__all__ = ["STAGES", "analyze_codes", "analyze_run", "came_true", "directions_of", "encode_run",
           "evaluate_run", "fitted_where", "report_run", "run_all", "sample_run", "train_run",
           "witness_of"]  # fmt: skip

#: The stages of the main job, in order.
STAGES = ("train", "encode", "analyze", "evaluate", "report")
#: The sampler of large enough classes where nothing was judged: of those that need no further package
#: and no training, the one whose pictures of classes were nearest to the classes' reconstructions.
WHERE_SAMPLER = "elliptical"
#: Pictures drawn without a condition, to know how often chance satisfies it.
UNCONDITIONAL = 500
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
        if config.model.model != ADOPTED:
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


def analyze_codes(
    z: np.ndarray, out: Path, held_out: np.ndarray | None = None, *, drop: bool = False
) -> dict[str, Any]:
    """``shape.json`` and the figures of any codes (n, d), without a model.

    Args:
        z: Codes, an array or memory map.
        out: The folder to write into.
        held_out: Codes of other images.
        drop: Leave out rows with NaN or infinite values, and say how many, instead of refusing them.
    """
    from latentshape import plots, shape
    from latentshape._checks import check_codes, finite_rows
    from latentshape.data.cache import NULLS, cache_folder

    z = check_codes(z, finite=False)
    dropped = 0
    if drop:
        finite = finite_rows(z)
        dropped = int((~finite).sum())
        if dropped:
            say(f"  note: {dropped:,} of {len(z):,} codes are not finite and left out")
            z = check_codes(np.asarray(z[finite]), finite=False)
    reads = 4 * len(z) + (2 * len(held_out) if held_out is not None else 0)
    with bar(reads, "measuring", unit="rows") as progress:
        record = shape.measure(
            z, held_out=held_out, progress=progress.update, folder=cache_folder() / NULLS,
            stage=progress.set_description_str,
        )  # fmt: skip
    record["dropped"] = dropped
    if not record["pca"]["eigenvalues"][0] > 0:
        raise InputError(
            f"All {len(z)} codes are equal: there is no shape to measure. Check what they were saved "
            "from; an encoder that gives one code for every image has collapsed."
        )
    write_json(out / "shape.json", record)
    plots.shape_figures(record, z, out / "figures")
    return record


def analyze_run(run: RunFolder) -> dict[str, Any]:
    """Measure the training codes, beside a control; held-out codes against their own law."""
    from latentshape.codes import load_codes

    train, held_out = load_codes(run, "train"), load_codes(run, "validation")
    with run.stage("analyze"):
        record = analyze_codes(train.z, run.path, held_out.z)
        _picture_ends(run, train.z, record)
        return record


def _picture_ends(run: RunFolder, z: np.ndarray, record: dict[str, Any], each: int = 8) -> None:
    """Decode the codes at both ends of the two least Gaussian directions: what deviates there?"""
    from latentshape.decoding import decode_pixels
    from latentshape.images import grid, save_png
    from latentshape.models import load_model

    directions = record["normality"]["least-gaussian"].get("directions")
    if not directions or len(z) < 4 * each or not run.model_path.exists():
        return
    rows = []
    for direction in directions[:2]:
        order = np.argsort(np.asarray(z) @ np.asarray(direction, np.float32), kind="stable")
        rows += [*order[:each], *order[-each:]]
    sheet = grid(decode_pixels(load_model(run), np.asarray(z[np.array(rows)])), columns=each)
    save_png(run.figures_path / "least-gaussian-ends.png", sheet)


def fitted(run: RunFolder, name: str, options: dict[str, Any] | None = None) -> Sampler:
    """A sampler fitted to the run's training codes; ``auto`` is the one that ``evaluate`` recommends."""
    from latentshape.codes import load_codes
    from latentshape.samplers import load_sampler, make_sampler

    if name == "auto":
        name = recommended(run, options)
    saved = run.samplers_path / name
    if not options and saved.with_name(f"{name}.json").exists() and run.done("evaluate"):
        return load_sampler(saved)  # the very law that was judged
    return make_sampler(name, **(options or {})).fit(load_codes(run, "train").z)


def recommended(run: RunFolder, options: dict[str, Any] | None = None) -> str:
    """The sampler that the run's scorecard recommends; the reason is said.

    Raises:
        InputError: There is no scorecard yet, no sampler was judged, or options are given, whose
            meaning would depend on the choice.
    """
    run.need(run.scorecard_path, "evaluate")
    choice = read_record(run.scorecard_path, "rows").get("recommendation")
    if not isinstance(choice, dict) or choice.get("value") is None:
        why = "no sampler was judged" if choice else "an earlier version wrote it, or it is damaged"
        raise InputError(
            f"{run.scorecard_path} recommends no sampler ({why}). Make it again with: latentshape "
            f"evaluate {run.path}"
        )
    if options:
        raise InputError(
            f"--option goes with a named sampler; 'auto' is {choice['value']!r} here. Use --sampler "
            f"{choice['value']}."
        )
    say(f"Sampler {choice['value']}: {choice.get('why', 'no reason was kept')}.")
    return str(choice["value"])


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


def sample_run(
    run: RunFolder,
    sampler: str,
    n: int,
    seed: int,
    out: Path,
    options: dict[str, Any] | None = None,
    towards_neighbours: float = 0.0,
    where: str | None = None,
) -> Path:
    """Draw n pictures: ``grid.png``, ``images/``, ``codes.npy``; picture i comes from seed + i.

    Args:
        run: With a model and codes.
        sampler: A name in the registry, or ``auto``; under a condition also ``conditional``, the closed form.
        n: How many pictures.
        seed: Of the first one.
        out: Folder, made if it is not there.
        options: Of the sampler.
        towards_neighbours: Strength, from 0 to 1, at which each drawn code is moved toward its nearest
            training codes: `latentshape.neighbourhood.towards_neighbours`.
        where: What the pictures shall show, as `latentshape.conditions` has it; how often they do is
            written to ``where.json``.

    Returns:
        The grid's path.
    """
    from latentshape.codes import load_codes, save_array
    from latentshape.decoding import decode
    from latentshape.images import grid, save_png, to_pixels
    from latentshape.models import load_model
    from latentshape.neighbourhood import towards_neighbours as move

    if n < 1 or seed < 0:
        raise InputError(f"-n must be at least 1 and --seed at least 0, got {n} and {seed}.")
    if where is None:
        if sampler == "conditional":
            raise InputError(
                "The sampler 'conditional' is a law under a condition: say with --where what the pictures "
                "shall show."
            )
        law = fitted(run, sampler, options)
    else:
        law, record = fitted_where(run, where, sampler, options)
    model = load_model(run)
    z = law.sample_at(range(seed, seed + n))
    if towards_neighbours:
        train = load_codes(run, "train").z
        z = move(z, train, strength=towards_neighbours, keep_radius=True)
    if where is not None:
        record |= came_true(run, model, where, z, record["sampler"], options)
        write_json(out / "where.json", record)
        _say_where(record)
    else:
        (out / "where.json").unlink(missing_ok=True)  # of an earlier draw
    save_array(out / "codes.npy", z)
    # Drawn into a folder beside and exchanged at the end: pictures of two draws never mix.
    building = out / "images.part"
    shutil.rmtree(building, ignore_errors=True)
    shown: list[np.ndarray] = []
    done = 0
    try:
        with bar(n, "drawing") as progress:
            for images in decode(model, z):
                for picture in to_pixels(images):
                    save_png(building / f"{seed + done:06d}.png", picture)
                    if done < 256:
                        shown.append(picture)
                    done += 1
                    progress.update()
        shutil.rmtree(out / "images", ignore_errors=True)
        building.rename(out / "images")
    finally:
        shutil.rmtree(building, ignore_errors=True)
    save_png(out / "grid.png", grid(np.stack(shown), columns=min(16, int(np.ceil(np.sqrt(n))))))
    return out / "grid.png"


def directions_of(run: RunFolder, method: str = "discriminant") -> Directions:
    """Directions of every attribute that varies among a run's training images: what sliders move along.

    Raises:
        InputError: Nothing is known of the images, or no such method exists.
    """
    from latentshape.attributes import fit_directions
    from latentshape.codes import load_codes
    from latentshape.facts import Facts

    train = load_codes(run, "train")
    facts = Facts.of(train)
    if not facts.varying():
        raise InputError(
            f"Nothing that varies is known of the images of {run.path}, so that there is no direction of an "
            "attribute; use a dataset that has attributes, such as CelebA or procedural faces."
        )
    return fit_directions(train.z, facts, method)


def fitted_where(
    run: RunFolder, where: str, name: str = "auto", options: dict[str, Any] | None = None
) -> tuple[Sampler, dict[str, Any]]:
    """The law of the run's codes under a condition, and what is to be said of it.

    ``auto`` is the sampler that ``evaluate`` recommends (where nothing was judged, `WHERE_SAMPLER`),
    fitted to the codes of the training images that satisfy the condition; and where these are too few,
    the closed form, which every training image takes part in.

    Args:
        run: With codes.
        where: The condition.
        name: ``auto``, ``conditional`` for the closed form, or a name in the registry.
        options: Of the sampler.

    Raises:
        InputError: The condition cannot be asked of these images, or no such law can be fitted.
    """
    from latentshape.codes import load_codes
    from latentshape.conditional import CONDITIONAL, choose_law, fit_where
    from latentshape.conditions import parse_condition
    from latentshape.facts import Facts

    condition = parse_condition(where)
    train = load_codes(run, "train")
    facts = Facts.of(train)
    facts.check(condition)
    count = int(facts.satisfying(condition).sum())
    chosen = name
    if name == "auto":
        if options:
            raise InputError(
                "--option goes with a named sampler; with --where give --sampler NAME beside it."
            )
        chosen = choose_law(count, train.z.shape[1], "auto")
    if chosen == "auto":
        chosen = recommended(run) if run.scorecard_path.exists() else WHERE_SAMPLER
    try:
        law = fit_where(chosen, where, train.z, facts, **(options or {}))
    except InputError as refusal:
        if name != "auto" or chosen == CONDITIONAL:
            raise
        say(f"  note: {refusal}")
        chosen, law = CONDITIONAL, fit_where(CONDITIONAL, where, train.z, facts)
    record = {
        "where": str(condition),
        "sampler": chosen,
        "law": "closed form, from all training images"
        if chosen == CONDITIONAL
        else "of the codes of the training images that satisfy the condition",
        "training": {"satisfying": count, "n": len(facts)},
    }
    return law, record


def came_true(
    run: RunFolder,
    model: Autoencoder,
    where: str,
    z: np.ndarray,
    sampler: str,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """How often the attribute network finds in pictures what was asked for, beside what it is to be held to.

    Args:
        run: With codes, and with its images still there.
        model: The run's.
        where: The condition.
        z: Codes (n, d) drawn under it.
        sampler: Whose law they were drawn from.
        options: Of the sampler.

    Returns:
        As `latentshape.evaluation.wishes.Witness.record` has it; or ``why`` nobody could look.
    """
    from latentshape.conditional import CONDITIONAL
    from latentshape.conditions import parse_condition

    free = fitted(run, "gaussian" if sampler == CONDITIONAL else sampler, options)
    try:
        witness = witness_of(run, model)
        said = (witness.says(codes) for codes in (z, free.sample(UNCONDITIONAL)))
        return witness.record(parse_condition(where), *said)
    except InputError as refusal:
        return {"why": f"nobody looked at the pictures: {refusal}"}


def witness_of(run: RunFolder, model: Autoencoder) -> Witness:
    """The attribute network of a run (trained now, where the cache has none) and its held-out images.

    Raises:
        InputError: The images are not there any more, or nothing is known of them.
    """
    from latentshape.codes import load_codes
    from latentshape.evaluation.attribute_features import AttributeFeatures
    from latentshape.evaluation.wishes import Witness
    from latentshape.facts import Facts

    network = AttributeFeatures(open_data(run.config(), run), precision=precision_of(run))
    held_out = [load_codes(run, split) for split in ("validation", "test")]
    known = [Facts.of(codes) for codes in held_out]
    z = np.concatenate([codes.z for codes in held_out])
    return Witness(model, network, z, known[0].joined(known[1]))


def _say_where(record: dict[str, Any]) -> None:
    """What a person wants to know of a draw under a condition, in sentences."""
    training = record["training"]
    say(
        f"{training['satisfying']:,} of {training['n']:,} training images satisfy {record['where']!r}; law "
        f"{record['sampler']}, {record['law']}."
    )
    if "why" in record:
        say(f"  note: {record['why']}")
        return

    def percent(name: str) -> str:
        value = record[name]["value"]
        return "unknown" if value is None else f"{value:.1%}"

    ratio = record["ratio"]
    beside = (
        f"{ratio['value']:.2f} times as often ({ratio['low']:.2f} to {ratio['high']:.2f})"
        if ratio["value"] is not None
        else f"no ratio: {ratio['why']}"
    )
    say(
        f"By the attribute network it came true in {percent('drawn')} of {record['drawn']['n']} drawn "
        f"pictures, in {percent('reconstruction')} of {record['reconstruction']['n']} reconstructions of "
        f"held-out images that satisfy it ({beside}), and in {percent('unconditional')} without it."
    )


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
    from latentshape.shape import Moments
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
    moments = Moments.of(z)
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
    from latentshape.evaluation.faces import detector_missing

    run = train_run(config, Path(out), tensorboard)
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
