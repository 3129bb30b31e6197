"""The explorer as a folder of files: no server, no Python; the browser decodes.

What a page asks a server (`latentshape.explorer.session`) it finds here in files or reckons itself:

==========================  =========================================================================
``index.html``, ``*.js``    the explorer's own page; ``source.js`` is that of ``serverless/``, which answers
                            from files where the other one asks the server; nothing else differs
``decoder.onnx``            see `latentshape.onnx_export`; ``onnxruntime-web/`` runs it
``data/facts.json``         what the page has to know first: what there is, mean, axes' deviations, legends
``data/factor.f32``         F with the covariance F F^T, (d, r): planes, radii and paths come from it
``data/axes.f32`` ...       ``axes`` (p, d), ``readouts`` of attributes (k, d)
``data/codes.f32``          codes (n, d) of every split, evenly thinned
``data/colour-J.f32``       a value for each of them, (n,)
``data/drawn-NAME.f32``     what a sampler draws from its first seeds, (m, d)
``data/planes.json``        contours, and what the ellipses hold of all training codes, for the leading planes
``data/components.json``    number distributions; and ``correlation radius shape verdict scorecard``
==========================  =========================================================================

Numbers are little-endian float32, row by row, as the server gives them. No image that a code was encoded
from is written, and no name of a file: the page names codes by their row.

All statistics are of all training codes. What the page itself counts (the share of codes inside an ellipse
of a plane that is not among the leading ones, nearest neighbours) is of the codes that it holds, and it says
so.
"""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentshape._checks import check_count
from latentshape.errors import InputError
from latentshape.explorer.onnxruntime_web import FILES, find_runtime
from latentshape.explorer.session import MOST_CODES, MOST_DRAWN, Session, finite
from latentshape.files import exported_folder, write_json
from latentshape.progress import say
from latentshape.samplers import Sampler
from latentshape.shape import Moments
from latentshape.shape.wide import WHOLE

if TYPE_CHECKING:
    from latentshape.runs import RunFolder

__all__ = ["CODES", "DRAWS", "Exported", "export_static"]

#: Codes and draws of each sampler that are shipped unless others are asked for.
CODES, DRAWS = 20_000, 300
#: Leading principal axes whose planes have contours.
LEADING = 4
#: Radii of training codes that are told, evenly spread over the sorted ones.
RADII = 4097
#: Digits of numbers that are drawn, and of no other use.
DIGITS = 6
#: Ways from code to code that a browser reckons; the third is a search.
PATHS = ("linear", "spherical")
#: Laws that take minutes to fit: only where they were fitted already.
SLOW = ("flow",)
#: Tells that a folder is an earlier export, and which of its files may be replaced.
MARK = "latentshape-export.json"
#: What the browser may load: the folder's own files, and pictures that the page made.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
#: What the policy stands behind.
BEGINNING = '<meta charset="utf-8">'


@dataclass(frozen=True)
class Exported:
    """A folder that was written.

    Attributes:
        path: Where.
        sizes: Bytes by what they are for: ``page``, ``decoder``, ``onnxruntime-web``, ``codes``, ``draws``,
            ``statistics``.
        codes: Codes that are shipped, and of how many.
        difference: Of the decoder from the model's own pictures; None without a decoder.
    """

    path: Path
    sizes: dict[str, int]
    codes: tuple[int, int]
    difference: float | None

    def words(self) -> str:
        """Sizes in megabytes, in one line."""
        parts = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in self.sizes.items() if size)
        return f"{sum(self.sizes.values()) / 1e6:.1f} MB ({parts})"


def export_static(
    source: RunFolder | Session,
    folder: str | Path,
    *,
    codes: int = CODES,
    draws: int = DRAWS,
    runtime: str | Path | None = None,
) -> Exported:
    """Write the explorer of a run, or of bare codes, as a folder for any file server.

    Args:
        source: A run folder with codes, or the session of one or of bare codes.
        folder: A new or empty folder, or an earlier export, whose files are replaced.
        codes: Codes to ship at most, over all splits.
        draws: Draws of each sampler to ship.
        runtime: Folder of onnxruntime-web, where it is known; see
            `latentshape.explorer.onnxruntime_web.find_runtime`.

    Raises:
        InputError: The folder holds something else, or one of the parts cannot be had.

    Example:
        >>> import tempfile
        >>> z = np.random.default_rng(0).standard_normal((300, 3)).astype(np.float32)
        >>> made = export_static(Session({"codes": z}, "cloud"), tempfile.mkdtemp(), codes=100, draws=5)
        >>> made.codes, (made.path / "data" / "codes.f32").stat().st_size
        ((100, 300), 1200)
    """
    session = source if isinstance(source, Session) else Session.of_run(source)
    codes = check_count(codes, name="codes", minimum=len(session.codes))
    draws = check_count(draws, name="draws", minimum=1, maximum=MOST_DRAWN)
    if not isinstance(session.moments, Moments):
        raise InputError(
            "A page without a server reckons with the covariance of all components, which is formed up to "
            f"{WHOLE:,}; these codes have {session.d:,}. Show them with: latentshape explore."
        )
    with exported_folder(folder, MARK, "export of a page") as (building, facts):
        # What may be missing is looked for before anything is written.
        found = find_runtime(runtime) if session.model is not None else {}
        difference = _write_decoder(session, building, found)
        _write_page(building)
        shipped = _Shipped(session, codes, draws, building / "data")
        shipped.write()
        sizes = _sizes(building)
        facts |= {"name": session.name, "codes": shipped.n, "draws": draws}
    return Exported(Path(folder).resolve(), sizes, (shipped.n, shipped.total), difference)


def _write_decoder(session: Session, folder: Path, runtime: dict[str, Path]) -> float | None:
    if session.model is None:
        return None
    from latentshape.onnx_export import export_model

    for name in FILES:
        _copy(runtime[name], folder / "onnxruntime-web" / name)
    licence = _package("serverless") / "onnxruntime-web-LICENSE.txt"
    (folder / "onnxruntime-web" / "LICENSE.txt").write_bytes(licence.read_bytes())
    return export_model(session.model, session.train, folder, ("decoder",))["decoder"].difference


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _package(name: str) -> Any:
    return resources.files("latentshape.explorer") / name


def _write_page(folder: Path) -> None:
    """The page's own modules, with the source that answers from files in the place of the server's."""
    for part in ("static", "serverless"):  # the second has the last word
        for entry in _package(part).iterdir():
            if entry.is_file() and not entry.name.endswith("LICENSE.txt"):
                (folder / entry.name).write_bytes(entry.read_bytes())
    page = folder / "index.html"
    text = page.read_text(encoding="utf-8")
    policy = f'{BEGINNING}\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page.write_text(text.replace(BEGINNING, policy, 1), encoding="utf-8")


def _sizes(folder: Path) -> dict[str, int]:
    sizes = dict.fromkeys(("page", "decoder", "onnxruntime-web", "codes", "draws", "statistics"), 0)
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        inner = path.relative_to(folder).parts
        kind = "page"
        if path.name == "decoder.onnx":
            kind = "decoder"
        elif inner[0] == "onnxruntime-web":
            kind = inner[0]
        elif inner[0] == "data":
            kind = "statistics"
            if path.name.startswith(("codes.", "colour-")):
                kind = "codes"
            elif path.name.startswith("drawn-"):
                kind = "draws"
        sizes[kind] += path.stat().st_size
    return sizes


class _Shipped:
    """What of a session goes into ``data/``."""

    def __init__(self, session: Session, codes: int, draws: int, folder: Path) -> None:
        self.session, self.draws, self.folder = session, draws, folder
        self.total = sum(map(len, session.codes.values()))
        self.every = _strides({s: len(z) for s, z in session.codes.items()}, codes)
        self.n = sum(-(-len(z) // self.every[s]) for s, z in session.codes.items())
        folder.mkdir()

    def write(self) -> None:
        """Write all of it."""
        session = self.session
        about = self._about()
        for place, colour in enumerate(about["colours"]):
            if colour["by"] not in ("density", "split"):
                self._numbers(f"colour-{place}", self._thinned(session.colour(colour["by"])))
        self._numbers(
            "codes",
            np.concatenate([z[:: self.every[s]] for s, z in session.codes.items()]),
        )
        axes = session.axes
        assert isinstance(session.moments, Moments)  # the export began with that
        self._numbers("factor", session.moments.factor())
        self._numbers("axes", axes.pca.axes[: axes.n_pca])
        directions = axes.directions
        self._numbers(
            "readouts", np.empty((0, session.d)) if directions is None else directions.readouts
        )
        self._numbers("correlation", session.correlation())
        if session.singular is None:
            self._numbers("training-radii", _spread_evenly(session.sorted_radii(), RADII))
            self._record("radius", _short(session.radius()))
        self._record("planes", self._planes())
        say(f"Number distributions of {session.d} components.")
        self._record("components", [_short(session.component(j)) for j in range(session.d)])
        if session.shape() is None:
            say("Measuring the shape of the codes.")
        self._record("shape", session.shape(wait=True))
        self._record("verdict", session.verdict())
        self._record("scorecard", self._scorecard())
        self._record("facts", self._facts(about))

    # --- what there is

    def _about(self) -> dict[str, Any]:
        about = self.session.about()
        start = 0
        for split in about["splits"]:
            every = self.every[split["name"]]
            split |= {"start": start, "n": -(-split["n"] // every), "every": every}
            start += split["n"]
        samplers = self._write_draws(about["samplers"])
        recommended = about["recommended"] if about["recommended"] in samplers else None
        usual = about["default"]["sampler"]
        about["default"]["sampler"] = usual if usual in samplers else next(iter(samplers), "")
        return about | {
            "n": start,
            "encodes": False,
            "images": False,
            "samplers": samplers,
            "sampler_words": {name: about["sampler_words"][name] for name in samplers},
            "recommended": recommended,
            "paths": [name for name in about["paths"] if name in PATHS and self._has(name)],
            "files": ["png", "strip"],
            "limits": {"codes": MOST_CODES, "drawn": self.draws, "seeds": self.draws},
            "shipped": {"of": self.total, "trained": len(self.session.train)},
        }

    def _has(self, path: str) -> bool:
        return path == "linear" or self.session.singular is None

    def _write_draws(self, names: Iterable[str]) -> list[str]:
        kept = []
        for name in names:
            try:
                self._numbers(f"drawn-{name}", self._sampler(name).sample_at(range(self.draws)))
                kept.append(name)
            except InputError as refusal:
                say(f"  note: no draws of {name}: {refusal}")
        return kept

    def _sampler(self, name: str) -> Sampler:
        run = self.session.run
        judged = run is not None and (run.samplers_path / f"{name}.json").exists()
        if name in SLOW and not judged:
            raise InputError("it takes minutes to fit; latentshape evaluate does.")
        return self.session.sampler(name)

    def _facts(self, about: dict[str, Any]) -> dict[str, Any]:
        session = self.session
        axes = session.axes
        colours = [c["by"] for c in about["colours"] if c["by"] != "density"]
        return {
            "about": about,
            "mean": session.moments.mean.tolist(),
            "singular": session.singular,
            "pca": {
                "std": axes.pca.std[: axes.n_pca].tolist(),
                "explained": axes.pca.explained[: axes.n_pca].tolist(),
            },
            "attributes": self._attributes(),
            "legends": {by: session.legend(by) for by in colours},
            "order": session.order(),
        }

    def _attributes(self) -> dict[str, Any]:
        names = list(self.session.axes.attributes)
        found: dict[str, Any] = {"names": names, "telling": [], "low": [], "high": []}
        if names:
            ends = self.session.ends_of(names)
            found |= {"low": ends[0].tolist(), "high": ends[1].tolist()}
            sliders = self.session.slide()[0]["attributes"]
            found["telling"] = [slider["name"] for slider in sliders]
        return found

    # --- statistics

    def _planes(self) -> dict[str, Any]:
        """Contours and observed shares of the planes that are looked at most."""
        leading = min(LEADING, self.session.axes.n_pca)
        names = [f"pca:{k}" for k in range(leading)]
        planes = {}
        for x, y in itertools.combinations(names, 2):
            facts = self.session.plane(x, y)
            planes[f"{x} {y}"] = {
                "observed": [ellipse["observed"] for ellipse in facts["ellipses"]],
                "contours": _short(facts["contours"]),
            }
        return {"planes": planes, "words": f"the planes of the first {leading} principal axes"}

    def _scorecard(self) -> dict[str, Any] | None:
        try:
            return self.session.scorecard()
        except InputError:
            return None

    # --- files

    def _thinned(self, values: np.ndarray) -> np.ndarray:
        """Of values of all codes, those of the codes that are shipped."""
        parts, start = [], 0
        for split, z in self.session.codes.items():
            parts.append(values[start : start + len(z)][:: self.every[split]])
            start += len(z)
        return np.concatenate(parts)

    def _numbers(self, name: str, values: np.ndarray) -> None:
        # The folder gets its name when it is whole: its files need no care of their own.
        content = np.ascontiguousarray(values, "<f4").tobytes()
        (self.folder / f"{name}.f32").write_bytes(content)

    def _record(self, name: str, value: Any) -> None:
        write_json(self.folder / f"{name}.json", finite(value))


def _strides(lengths: dict[str, int], most: int) -> dict[str, int]:
    """By how much each split is thinned, so that all together are at most so many.

    Example:
        >>> _strides({"train": 800, "test": 200}, 1000), _strides({"train": 800, "test": 200}, 300)
        ({'train': 1, 'test': 1}, {'train': 4, 'test': 4})
    """
    every = max(1, math.ceil(sum(lengths.values()) / most))
    while sum(-(-n // every) for n in lengths.values()) > most:
        every += 1
    return dict.fromkeys(lengths, every)


def _spread_evenly(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many of sorted values, the first and the last among them."""
    if len(values) <= most:
        return values
    return values[np.round(np.linspace(0, len(values) - 1, most)).astype(np.intp)]


def _short(found: Any) -> Any:
    """A record whose numbers have the digits that can be seen."""
    if isinstance(found, dict):
        return {key: _short(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_short(value) for value in found]
    return float(f"{found:.{DIGITS}g}") if isinstance(found, float) else found
