"""The command line: it parses, calls one function, and prints; nothing else lives here.

Options of ``run`` and ``train`` are the fields of the config dataclasses, so a new field is a new flag.
Heavy imports wait until a command runs: ``--help`` costs no torch.

Exit codes: 0 done; 2 a mistake that you can mend, said in one sentence; 130 interrupted, and the same
command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import errno
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from latentshape import __version__
from latentshape.config import PRESETS, Config, field_sections, make_config
from latentshape.errors import InputError, Interrupted
from latentshape.experiments import EXPERIMENTS, STUDIES
from latentshape.progress import say
from latentshape.samplers import SAMPLERS

__all__ = ["main"]


#: Kinds of walks, for the help, which must not wait for NumPy; a test holds them to `walks.WALKS`.
WALK_KINDS = ("origin", "component", "plane", "pca", "morph", "grid")
#: What a disk may answer to a write that is no defect of latentshape.
UNWRITABLE = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR,
    errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EIO,
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """argparse with its usage errors in our manner: the sentence, and where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"latentshape: {message}. See: {self.prog} --help\n")


def _numbers(text: str) -> tuple[int, ...]:
    """``32,64,128`` as a tuple."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected numbers such as 32,64,128, got {text!r}"
        ) from None


def _add_config(parser: argparse.ArgumentParser, preset: str | None = "faces-64") -> None:
    parser.add_argument(
        "--preset",
        default=preset,
        help=f"one of {', '.join(PRESETS)}; it goes before the defaults in [] below [faces-64]",
    )
    for name, (section, field) in field_sections().items():
        flag = "--" + name.replace("_", "-")
        # "-n" is what a user of `sample` knows; the scorecard's n needs a name of its own.
        flag = {"--n": "--judged", "--draws": "--judged-draws"}.get(flag, flag)
        group = next((g for g in parser._action_groups if g.title == section), None)
        group = group or parser.add_argument_group(section)
        kind: dict[str, Any] = {"metavar": _metavar(field), "type": type(field.default)}
        if isinstance(field.default, bool):
            kind = {"action": argparse.BooleanOptionalAction}
        elif isinstance(field.default, tuple):
            kind["type"] = _numbers
        group.add_argument(
            flag,
            dest=name,
            default=None,
            help=f"{field.metadata['help']} {_default(field)}",
            **kind,
        )


def _metavar(field: dataclasses.Field[Any]) -> str:
    if isinstance(field.default, tuple):
        return "N,N,..."
    return {"int": "N", "float": "X"}.get(type(field.default).__name__, "NAME")


def _default(field: dataclasses.Field[Any]) -> str:
    if isinstance(field.default, tuple):
        return f"[{','.join(map(str, field.default))}]" if field.default else ""
    return f"[{field.default}]"


def _parser() -> _Parser:
    parser = _Parser(
        prog="latentshape",
        description="See the shape of a latent space, and sample from it.",
        epilog="Start with: latentshape run   (procedural faces, a few minutes, no download)",
    )
    parser.add_argument("--version", action="version", version=f"latentshape {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)

    def verb(name: str, help_text: str, *, run: bool = True) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=help_text, description=help_text)
        if run:
            sub.add_argument("run", metavar="RUN", type=Path, help="run folder, e.g. runs/faces")
        return sub

    for name, text in (
        ("run", "train, encode, analyze, evaluate and report: the main job"),
        ("train", "train an autoencoder into a run folder; the same command again resumes"),
    ):
        sub = verb(name, text, run=False)
        sub.add_argument(
            "--out", type=Path, default=Path("runs/faces"), help="run folder [runs/faces]"
        )
        sub.add_argument(
            "--tensorboard", action="store_true", help="also write metrics to OUT/tensorboard"
        )
        sub.add_argument(
            "--dry-run", action="store_true", help="print the resolved config and stop"
        )
        _add_config(sub)
    sub = verb("encode", "the codes of every split")
    sub.add_argument("--data", metavar="SPEC", help="other images than the run's own")
    sub = verb("analyze", "measure the codes: shape.json and figures", run=False)
    sub.add_argument(
        "codes",
        metavar="RUN|codes.npy",
        type=Path,
        help="a run, or any (n, d) or (n, c, h, w) array",
    )
    sub.add_argument(
        "--treatment", default="auto", metavar="auto|flat|positions|low-rank",
        help="how codes are looked at: all components together (flat), one position of each (positions), "
        "joint laws in leading coordinates beside a low-rank Gaussian (low-rank) [auto: low-rank beyond "
        "1,024 components, else flat]",
    )  # fmt: skip
    sub.add_argument("--out", type=Path, help="where to write, for an array [beside it]")
    sub.add_argument(
        "--drop",
        action="store_true",
        help="leave out codes with NaN or infinite values, for an array",
    )
    sub = verb("sample", "draw new codes and decode them")
    sub.add_argument(
        "--sampler",
        help=f"auto (what evaluate recommends), {', '.join(SAMPLERS)} [gaussian; auto with --where]",
    )
    sub.add_argument(
        "--where", metavar="CONDITION",
        help="what the pictures shall show, such as 'Smiling & ~Male & Eyeglasses' or 'age > 0.5 | Hat'; "
        "--sampler conditional is the closed form, any other is fitted to the training images that do",
    )  # fmt: skip
    sub.add_argument("-n", type=int, default=64, metavar="N", help="how many pictures [64]")
    sub.add_argument(
        "--seed", type=int, default=0, metavar="N", help="picture i is drawn from seed + i [0]"
    )
    sub.add_argument(
        "--out", type=Path, help="folder [RUN/samples/SAMPLER, or RUN/samples/where-...]"
    )
    sub.add_argument(
        "--towards-neighbours", type=float, default=0.0, metavar="S",
        help="move each drawn code toward its nearest training codes, at equal radius, 0 to 1 [0]",
    )  # fmt: skip
    _add_options(sub, "the sampler", "temperature=0.8")
    sub = verb("walk", "walk through the codes: strip, path and film")
    sub.add_argument("--kind", default="origin", help=f"{', '.join(WALK_KINDS)} [origin]")
    sub.add_argument("--out", type=Path, help="folder [RUN/walks/KIND]")
    sub.add_argument(
        "--between", metavar="A,B", default="",
        help="where a morph begins and ends (a grid: its 4 corners): ids of images of the run, picture "
        "files, or .npy files of one code",
    )  # fmt: skip
    sub.add_argument(
        "--film",
        default="gif",
        choices=("gif", "webp", "mp4", "none"),
        help="[gif]; mp4 needs ffmpeg",
    )
    _add_options(sub, "the walk", "steps=12, pairs=[[1,2]], coordinates=pca, offset=4")
    verb("evaluate", "judge every sampler: scorecard.json")
    verb("report", "one self-contained report.html")
    sub = verb(
        "adopt",
        "a run folder for a model of somebody else's: measured, judged and explored",
        run=False,
    )
    sub.add_argument(
        "model", metavar="MODEL",
        help="encoder.onnx,decoder.onnx; a .keras file; the folder of an AutoencoderKL",
    )  # fmt: skip
    sub.add_argument("--data", metavar="SPEC", required=True, help="images, as for run")
    sub.add_argument("--out", type=Path, default=Path("runs/adopted"), help="[runs/adopted]")
    sub.add_argument(
        "--size", type=int, metavar="N", help="side of its pictures, where it does not say"
    )
    sub.add_argument("--channels", type=int, metavar="N", help="3 or 1 [as the model says, else 3]")
    sub.add_argument(
        "--split", metavar="LAYER", help="of a Keras model: the layer that gives the code"
    )
    sub.add_argument(
        "--pixel-range", metavar="LOW,HIGH", help="of its pixels [0,1; -1,1 for an AutoencoderKL]"
    )
    sub.add_argument(
        "--channels-last", action=argparse.BooleanOptionalAction, help="(n, h, w, c) [Keras: yes]"
    )
    sub.add_argument("--judged", type=int, default=1000, metavar="N", help="pictures a row [1000]")
    sub.add_argument(
        "--samplers", default="all", metavar="NAME",
        help="samplers to judge, such as gaussian,mixture; all of them [all]",
    )  # fmt: skip
    sub = verb("explore", "walk through the codes in a browser", run=False)
    sub.add_argument("codes", metavar="RUN|codes.npy", type=Path, help="a run, or any (n, d) array")
    sub.add_argument("--port", type=int, default=8765, metavar="N", help="[8765]; 0: any free one")
    sub.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="where to listen [127.0.0.1: this machine only]; on another, with a token",
    )  # fmt: skip
    sub.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    _add_export(verb("export", "the explorer without a server; the model as ONNX", run=False))
    sub = verb("sweep", "runs over a grid of any config fields: one table, one figure", run=False)
    sub.add_argument(
        "grid", nargs="+", metavar="GRID",
        help="FIELD=VALUE,VALUE,... (every combination), such as latent_dim=16,64 batch_norm=no,yes; values "
        "with commas of their own are separated by semicolons; or one .toml or .json file",
    )  # fmt: skip
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the sweep")
    sub.add_argument(
        "--stages", default="analyze,evaluate", metavar="NAME,...",
        help="what to do of each run, with what it builds on [analyze,evaluate]",
    )  # fmt: skip
    _add_jobs(sub)
    sub.add_argument(
        "--engine", default="processes", choices=("processes", "ray"),
        help="what runs them: processes of this machine, or a Ray cluster (RAY_ADDRESS) [processes]",
    )  # fmt: skip
    _add_config(sub, preset=None)
    sub = verb(
        "series", "the published experiments, claim by claim; or some of them, by NAME", run=False
    )
    sub.add_argument(
        "names", nargs="*", metavar="NAME",
        help=f"experiments on a trained run: {', '.join(EXPERIMENTS)} [all of them]; studies with "
        f"trainings of their own: {', '.join(STUDIES)}",
    )  # fmt: skip
    sub.add_argument(
        "--run", metavar="RUN", type=Path,
        help="the trained run to experiment on [none: the whole series, on runs of its own]",
    )  # fmt: skip
    sub.add_argument(
        "--out", type=Path, default=Path("runs/series"), metavar="DIR",
        help="where the series and its studies train and write [runs/series]",
    )  # fmt: skip
    sub.add_argument(
        "--subjects", default="", metavar="NAME,...",
        help="datasets of a study, such as faces,mnist; others than faces lie below LATENTSHAPE_DATA [all]",
    )  # fmt: skip
    sub.add_argument(
        "--others", metavar="SPEC",
        help="for datasets: photographs of people who are no celebrities; without them not measured",
    )  # fmt: skip
    sub.add_argument("--quick", action="store_true", help="as little as shows that it works")
    _add_jobs(sub)
    _add_data_verbs(verb("data", "what lies at a path; make datasets; the cache", run=False))
    return parser


def _add_export(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "what", metavar="RUN|codes.npy", type=Path, help="a run, or (--static, --table) any (n, d) array"
    )  # fmt: skip
    sub.add_argument(
        "--static", metavar="DIR", type=Path,
        help="a folder for any file server: the explorer's page, in which the browser itself decodes",
    )  # fmt: skip
    sub.add_argument(
        "--onnx", metavar="DIR", type=Path, help="decoder.onnx and encoder.onnx, checked against the model"
    )  # fmt: skip
    sub.add_argument(
        "--pretrained", metavar="DIR", type=Path,
        help="the model with the law of its codes and a model card: what latentshape.from_pretrained takes",
    )  # fmt: skip
    sub.add_argument(
        "--table", metavar="FILE", type=Path,
        help="codes, places and attributes of every image, as .parquet or .csv",
    )  # fmt: skip
    group = sub.add_argument_group("with --pretrained")
    group.add_argument(
        "--sampler", default="auto", help="the law [auto: what evaluate recommends, else gaussian]"
    )
    group = sub.add_argument_group("with --static")
    group.add_argument(
        "--codes", type=int, default=20_000, metavar="N",
        help="codes in the page at most, evenly thinned [20000]",
    )  # fmt: skip
    group.add_argument(
        "--draws", type=int, default=300, metavar="N", help="draws of each sampler in the page [300]"
    )  # fmt: skip
    group.add_argument(
        "--onnxruntime-web", metavar="DIR", type=Path,
        help="the npm package [node_modules here or above, else the cache, else fetched by npm]",
    )  # fmt: skip


def _add_jobs(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--jobs", type=int, default=1, metavar="N", help="trainings side by side [1]")


def _add_options(sub: argparse.ArgumentParser, whose: str, example: str) -> None:
    sub.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE",
        help=f"an option of {whose}, e.g. {example}; may be repeated",
    )  # fmt: skip


def _add_data_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="data_verb", metavar="COMMAND", required=True)

    def verb(name: str, help_text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=help_text, description=help_text)

    sub = verb(
        "inspect", "what is recognised and why, counts, attributes, duplicates, a contact sheet"
    )
    sub.add_argument("spec", metavar="SPEC", help="as for --data: faces, a path, KIND:PATH, ...")
    for name in ("size", "channels", "crop"):
        _, field = field_sections()[name]
        sub.add_argument(
            f"--{name}", metavar=_metavar(field), type=type(field.default), default=field.default,
            help=f"{field.metadata['help']} {_default(field)}",
        )  # fmt: skip
    sub.add_argument(
        "--out", type=Path, default=Path("contact-sheet.png"), metavar="FILE",
        help="where the contact sheet goes [contact-sheet.png]",
    )  # fmt: skip
    sub.add_argument("--json", action="store_true", help="the facts as JSON")
    sub = verb("make", "write procedural faces as a dataset on disk")
    sub.add_argument("spec", metavar="SPEC", help="faces, or faces:law=gaussian,seed=1, ...")
    sub.add_argument("--n", type=int, metavar="N", help="how many faces [as in SPEC, or 12000]")
    sub.add_argument("--seed", type=int, metavar="N", help="of the population [as in SPEC, or 0]")
    sub.add_argument(
        "--layout", default="celeba", metavar="NAME",
        help="celeba, celeba-official, celeba-kaggle, celeba-parquet, celeba-wild, folder [celeba]",
    )  # fmt: skip
    sub.add_argument("--png", action="store_true", help="lossless .png files instead of .jpg")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    sub = verb("cache", "list what is decoded already, or clear it")
    sub.add_argument(
        "keys", nargs="*", metavar="KEY", help="entries to clear, by their first letters"
    )
    sub.add_argument("--clear", action="store_true", help="remove these entries; without KEY all")


def _config(given: argparse.Namespace) -> Config:
    options = {name: getattr(given, name) for name in field_sections()}
    return make_config(given.preset, **options)


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"Expected --option NAME=VALUE, got {pair!r}.")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options


def _place_of(where: str) -> str:
    """A folder's name for a condition: two conditions of one name do not meet, for its hash is in it.

    Example:
        >>> _place_of("Smiling & ~Male")
        'where-Smiling-and-not-Male-295a'
    """
    words = where
    for sign, word in (("&", " and "), ("|", " or "), ("~", " not ")):
        words = words.replace(sign, word)
    words = "-".join(re.findall(r"\w+", words))[:60]
    return f"where-{words}-{hashlib.blake2b(where.encode(), digest_size=2).hexdigest()}"


def _make(given: argparse.Namespace) -> None:
    config = _config(given)
    if given.dry_run:
        print(json.dumps(config.to_dict(), indent=1))
        return
    from latentshape import pipeline

    if given.verb == "train":
        run = pipeline.train_run(config, given.out, given.tensorboard)
        print(run.model_path)
        return
    run = pipeline.run_all(config, given.out, given.tensorboard)
    from latentshape.report import scorecard_text

    print(scorecard_text(run))
    print(f"Report: {run.report_path}")


def _use(given: argparse.Namespace) -> None:
    from latentshape import drawing, pipeline, walking
    from latentshape.runs import RunFolder

    run = RunFolder.open(given.run)
    if given.verb == "encode":
        print(pipeline.encode_run(run, given.data))
    elif given.verb == "sample":
        name = given.sampler or ("gaussian" if given.where is None else "auto")
        place = name if given.where is None else _place_of(given.where)
        print(
            drawing.sample_run(
                run, name, given.n, given.seed, given.out or run.samples_path / place,
                _options(given.option), given.towards_neighbours, given.where,
            )
        )  # fmt: skip
    elif given.verb == "walk":
        out = given.out or run.walks_path / given.kind
        ends = tuple(end for end in given.between.split(",") if end)
        film = None if given.film == "none" else given.film
        print(walking.walk_run(run, given.kind, out, _options(given.option), ends, film))
    elif given.verb == "evaluate":
        pipeline.evaluate_run(run)
        from latentshape.report import scorecard_text

        print(scorecard_text(run))
    else:
        print(pipeline.report_run(run))


def _analyze(given: argparse.Namespace) -> None:
    from latentshape import pipeline
    from latentshape.runs import RunFolder

    if given.codes.is_dir():
        if given.drop or given.out:
            raise InputError(
                "--drop and --out go with an array of codes; a run's results belong into its folder."
            )
        run = RunFolder.open(given.codes)
        pipeline.analyze_run(run, given.treatment)
        print(run.shape_path)
        return
    from latentshape.analysis import analyze
    from latentshape.codes import load_array

    out = given.out or given.codes.with_suffix("")
    if out.exists() and not out.is_dir():
        raise InputError(
            f"{out} is a file, where a folder for the results was to be. Give another --out."
        )
    found = analyze(load_array(given.codes), drop=given.drop, treatment=given.treatment)
    print(found.save(out))


def _adopt(given: argparse.Namespace) -> None:
    from latentshape.adopting import adopt

    options: dict[str, Any] = {}
    if given.pixel_range is not None:
        try:
            low, high = map(float, given.pixel_range.split(","))
        except ValueError:
            raise InputError(
                f"--pixel-range is two numbers such as -1,1, got {given.pixel_range!r}."
            ) from None
        options["pixel_range"] = (low, high)
    for name in ("split", "channels_last"):
        if getattr(given, name) is not None:
            options[name] = getattr(given, name)
    run = adopt(
        given.model, given.data, given.out, size=given.size, channels=given.channels, n=given.judged,
        samplers=given.samplers, **options,
    )  # fmt: skip
    print(run.report_path)


def _explore(given: argparse.Namespace) -> None:
    from latentshape.explorer.app import serve

    serve(_session_of(given.codes), given.host, given.port, browser=not given.no_browser)


def _session_of(path: Path) -> Any:
    """What is explored: a run, or bare codes."""
    from latentshape.explorer.session import Session
    from latentshape.runs import RunFolder

    if path.is_dir():
        return Session.of_run(RunFolder.open(path))
    return Session.of_codes(path)


def _export(given: argparse.Namespace) -> None:
    kinds = {
        "onnx": _export_onnx,
        "pretrained": _export_pretrained,
        "table": _export_table,
        "static": _export_static,
    }
    wanted = [export for kind, export in kinds.items() if getattr(given, kind)]
    if not wanted:
        raise InputError(
            "Say what to export: --static DIR (the explorer's page), --pretrained DIR (the model with "
            "its law), --onnx DIR or --table FILE."
        )
    for export in wanted:
        export(given)


def _export_pretrained(given: argparse.Namespace) -> None:
    from latentshape.sharing import save_pretrained

    print(save_pretrained(given.what, given.pretrained, given.sampler))


def _export_table(given: argparse.Namespace) -> None:
    from latentshape.code_tables import write_code_table

    print(write_code_table(given.what, given.table))


def _export_onnx(given: argparse.Namespace) -> None:
    from latentshape.onnx_export import export_onnx
    from latentshape.runs import RunFolder

    for made in export_onnx(RunFolder.open(given.what), given.onnx).values():
        words = (
            f"{made.size / 1e6:.1f} MB, at most {made.difference:.1g} from the model's own answers"
        )
        print(f"{made.path} ({words})")


def _export_static(given: argparse.Namespace) -> None:
    from latentshape.explorer.static_export import export_static

    made = export_static(
        _session_of(given.what), given.static,
        codes=given.codes, draws=given.draws, runtime=given.onnxruntime_web,
    )  # fmt: skip
    held, total = made.codes
    decoder = ""
    if made.difference is not None:
        decoder = (
            f"; its pictures are at most {made.difference:.1g} from the model's own, in [0, 1]"
        )
    say(f"{held:,} of {total:,} codes, {made.words()}{decoder}.")
    say(f"Look at it with: python -m http.server --bind 127.0.0.1 --directory {made.path}")
    print(made.path / "index.html")


def _sweep(given: argparse.Namespace) -> None:
    from latentshape.experiments.cells import grid_of
    from latentshape.experiments.sweep_record import run_sweep

    options = {name: getattr(given, name) for name in field_sections()}
    rows = run_sweep(
        grid_of(given.grid), given.out, preset=given.preset, options=options,
        stages=_names(given.stages), jobs=given.jobs, engine=given.engine,
    )["rows"]  # fmt: skip
    print(given.out / "sweep.html")
    failed = [row for row in rows if "why" in row]
    if failed:
        raise InputError(
            f"{len(failed)} of {len(rows)} runs could not be finished, the others are done; the first is "
            f"{failed[0]['name']}: {failed[0]['why']}"
        )


def _series(given: argparse.Namespace) -> None:
    from latentshape.experiments import run_series, run_study
    from latentshape.runs import RunFolder

    subjects = _names(given.subjects)
    options: dict[str, Any] = {"quick": given.quick, "jobs": given.jobs, "others": given.others}
    if not given.names and given.run is None:
        from latentshape.experiments.series import the_series

        print(the_series(given.out, subjects, **options))
        return
    studies = [name for name in given.names if name in STUDIES]
    others = [name for name in given.names if name not in STUDIES]
    for name in studies:
        run_study(name, given.out, subjects, **options)
        print(given.out / ("quick" if given.quick else "") / f"{name}.json")
    if studies and not others:
        return
    if given.run is None:
        raise InputError(
            "These experiments ask a trained run: give --run RUN, or name a study that trains its own "
            f"({', '.join(STUDIES)})."
        )
    run = RunFolder.open(given.run)
    for name in run_series(run, others, quick=given.quick):
        print(run.series_path / ("quick" if given.quick else "") / f"{name}.json")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _data(given: argparse.Namespace) -> None:
    {"inspect": _inspect, "make": _make_data, "cache": _cache}[given.data_verb](given)


def _inspect(given: argparse.Namespace) -> None:
    from latentshape.data.inspection import inspect_dataset, inspection_text
    from latentshape.images import save_png

    facts, sheet = inspect_dataset(
        given.spec, size=given.size, channels=given.channels, crop=given.crop
    )
    print(json.dumps(facts, indent=1) if given.json else inspection_text(facts))
    if sheet is not None:
        save_png(given.out, sheet)
        say(f"Contact sheet: {given.out}")


def _make_data(given: argparse.Namespace) -> None:
    from latentshape.data.layouts import make_faces
    from latentshape.data.procedural import parse_recipe

    kind, _, options = given.spec.partition(":")
    if kind != "faces":
        raise InputError(f"Only procedural faces can be made: expected faces, got {given.spec!r}.")
    numbers = {name: getattr(given, name) for name in ("n", "seed")}
    recipe = parse_recipe(options, **{k: v for k, v in numbers.items() if v is not None})
    make_faces(recipe, given.layout, given.out, suffix=".png" if given.png else ".jpg")
    print(given.out)


def _cache(given: argparse.Namespace) -> None:
    from latentshape.data.cache import cache_entries, cache_folder, clear_cache

    if given.clear:
        print(f"{clear_cache(given.keys) / 1e6:,.1f} MB cleared from {cache_folder()}")
        return
    if given.keys:
        raise InputError("To remove entries add --clear; without it all entries are listed.")
    entries = cache_entries()
    for entry in entries:
        what = "damaged or unfinished; --clear removes it"
        if not entry["damaged"]:
            options = entry["options"]
            what = f"{entry['images']:>9,} images  {options.get('size')} px  {entry['source']}"
        used = time.strftime("%Y-%m-%d", time.localtime(entry["used"]))
        print(f"{entry['key']:<26} {entry['bytes'] / 1e6:>9,.1f} MB  {used}  {what}")
    total = sum(entry["bytes"] for entry in entries) / 1e6
    print(f"{len(entries)} entries, {total:,.1f} MB in {cache_folder()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: Words after the program's name; default: the process's own.
    """
    given = _parser().parse_args(arguments)
    try:
        verbs = {
            "run": _make,
            "train": _make,
            "adopt": _adopt,
            "analyze": _analyze,
            "explore": _explore,
            "export": _export,
            "data": _data,
            "series": _series,
            "sweep": _sweep,
        }
        verbs.get(given.verb, _use)(given)
        sys.stdout.flush()
    except InputError as error:
        print(f"latentshape: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read our output has seen enough, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        place = f" ({error.filename})" if error.filename else ""
        print(
            f"latentshape: cannot write{place}: {os.strerror(error.errno)}. What was complete is kept; "
            "make room or choose another place, then give the same command again.",
            file=sys.stderr,
        )
        return 2
    except (KeyboardInterrupt, Interrupted):
        print("\nInterrupted. Give the same command again to go on from here.", file=sys.stderr)
        return 130
    return 0
