"""New pictures from a run: a law of its codes, drawn from and decoded, under a condition where one is given.

Without a condition the law is that of a sampler, by name or as the scorecard recommends. With one
(`latentshape.conditions`) it is the law of the codes of those training images that satisfy it, or the closed
form from all of them (`latentshape.conditional`); and an attribute network says how often the pictures show
what was asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentshape.errors import InputError
from latentshape.files import atomic_folder, write_json
from latentshape.pipeline import open_data, precision_of
from latentshape.progress import bar, say
from latentshape.runs import RunFolder, read_record

if TYPE_CHECKING:
    from latentshape.attributes import Directions
    from latentshape.evaluation.wishes import Witness
    from latentshape.models.base import Autoencoder
    from latentshape.samplers import Sampler

__all__ = ["came_true", "directions_of", "fitted", "fitted_where", "recommended", "sample_run",
           "witness_of"]  # fmt: skip

#: The sampler of large enough classes where nothing was judged: of those that need no further package
#: and no training, the one whose pictures of classes were nearest to the classes' reconstructions.
WHERE_SAMPLER = "elliptical"
#: Pictures drawn without a condition, to know how often chance satisfies it.
UNCONDITIONAL = 500


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
    shown: list[np.ndarray] = []
    done = 0
    # Exchanged at the end: pictures of two draws never mix.
    with atomic_folder(out / "images") as building, bar(n, "drawing") as progress:
        for images in decode(model, z):
            for picture in to_pixels(images):
                save_png(building / f"{seed + done:06d}.png", picture)
                if done < 256:
                    shown.append(picture)
                done += 1
                progress.update()
    save_png(out / "grid.png", grid(np.stack(shown), columns=min(16, int(np.ceil(np.sqrt(n))))))
    return out / "grid.png"


def fitted(run: RunFolder, name: str, options: dict[str, Any] | None = None) -> Sampler:
    """A sampler fitted to the run's training codes; ``auto`` is the one that ``evaluate`` recommends."""
    from latentshape.codes import load_codes
    from latentshape.samplers import load_sampler, make_sampler

    if name == "auto":
        name = recommended(run, options)
    saved = run.samplers_path / name
    if not options and saved.with_name(f"{name}.json").exists() and run.done("evaluate"):
        return load_sampler(saved)  # the very law that was judged
    if not run.codes_path.exists():
        there = sorted(path.stem for path in run.samplers_path.glob("*.json"))
        if there:
            raise InputError(
                f"{run.path} has no codes that {name!r} could be fitted to; the law that it holds is "
                f"{', '.join(there)}. Use --sampler {there[0]}."
            )
    return make_sampler(name, **(options or {})).fit(load_codes(run, "train").z)


def recommended(
    run: RunFolder, options: dict[str, Any] | None = None, *, otherwise: str | None = None
) -> str:
    """The sampler that the run's scorecard recommends; the reason is said.

    Args:
        run: The run.
        options: Of a sampler; there must be none, because their meaning would depend on the choice.
        otherwise: The sampler where there is no scorecard, or none that could be recommended was judged.

    Raises:
        InputError: Nothing is recommended and ``otherwise`` is None, the scorecard is damaged, or options are
            given.
    """
    if otherwise is not None and not run.scorecard_path.exists():
        return otherwise
    run.need(run.scorecard_path, "evaluate")
    choice = read_record(run.scorecard_path, "rows").get("recommendation")
    if not isinstance(choice, dict) or "value" not in choice:
        raise InputError(
            f"{run.scorecard_path} recommends no sampler (an earlier version wrote it, or it is damaged). "
            f"Make it again with: latentshape evaluate {run.path}"
        )
    name = choice["value"]
    if name is None:
        if otherwise is not None:
            return otherwise
        raise InputError(
            f"{run.scorecard_path} recommends no sampler: none that draws new codes was judged. Name "
            "one, such as --sampler gaussian."
        )
    if options:
        raise InputError(
            f"--option goes with a named sampler; 'auto' is {name!r} here. Use --sampler {name}."
        )
    say(f"Sampler {name}: {choice.get('why', 'no reason was kept')}.")
    return str(name)


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
        chosen = recommended(run, otherwise=WHERE_SAMPLER)
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
