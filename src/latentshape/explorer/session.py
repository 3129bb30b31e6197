"""All that a person asks of a cloud of codes, answered: no web, no page, no state.

A session is made once from a run folder (or from bare codes, an array (n, d)) and then only read: answers
depend on the question alone, so that any number of pages may ask at once and none sees another's. What
takes long is worked out when it is first asked for, and kept.

Codes are float32 and pixels uint8 (n, h, w, c), as everywhere. What is said of the cloud's shape is about its
*training* codes; all splits are shown.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentshape._checks import check_codes, check_count, row_blocks, thinned
from latentshape.attributes import Directions, fit_directions, separability
from latentshape.errors import InputError, suggestion
from latentshape.explorer.axes import Axes, PlaneOfAxes
from latentshape.explorer.references import PLACES, parse_reference
from latentshape.facts import Facts
from latentshape.neighbourhood import nearest_codes
from latentshape.samplers import SAMPLERS, Sampler, sampler_class
from latentshape.shape import (
    MahalanobisLaw,
    Moments,
    confidence_ellipse,
    density,
    expected_coverage,
    fit_gaussians,
    mahalanobis_squared,
    number_distributions,
)
from latentshape.shape.correlation import clustered_order
from latentshape.shape.moments import singular_why
from latentshape.shape.radius_histogram import radius_histogram
from latentshape.shape.spatial import as_codes
from latentshape.shape.wide import WideMoments, moments_of
from latentshape.walks import METHODS, morph

if TYPE_CHECKING:
    from latentshape.data import Dataset
    from latentshape.models.base import Autoencoder
    from latentshape.runs import RunFolder

__all__ = ["BARE", "Session", "finite"]

Record = dict[str, Any]

#: Name of the one split of bare codes.
BARE = "codes"
#: Levels of the ellipses and contours.
SIGMAS = (1.0, 2.0, 3.0)
#: Half a side of the first look at a plane, in standard deviations.
SPAN = 3.8
#: Points of an ellipse.
ELLIPSE = 121
#: Planes whose points are kept (200,000 codes: 1.6 MB each), and sets of sliders.
PLANES, SLIDES = 16, 4
#: Sliders that are offered unless others are asked for.
PCA_SLIDERS, ATTRIBUTE_SLIDERS = 8, 8
#: What of an attribute's read-out the others' must not tell, in sigmas, for it to be offered beside them.
OWN = 0.5
#: Neighbours named with a code.
NEAREST = 6
#: Codes in one question, at most: a strip, a film, drawn points.
MOST_CODES, MOST_DRAWN = 64, 5000
#: Training images in which faces are looked for, to know where they usually are.
FRAMED = 60
#: Codes behind a histogram of radii at most.
RADII = 100_000
#: Radii that differ by less, relatively, are equal: a training code is as far out as itself, also in float32.
SAME_RADIUS = 1e-5


class Kept:
    """Answers worked out once each, however many ask at the same time; the oldest go first."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._answers: dict[Hashable, Any] = {}
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, work_out: Callable[[], Any]) -> Any:
        """The answer of a key; worked out by whoever comes first, while the others wait."""
        with self._lock:
            if key in self._answers:
                self._answers[key] = self._answers.pop(key)  # the newest
                return self._answers[key]
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._lock:
                if key in self._answers:
                    return self._answers[key]
            try:
                answer = work_out()
            except BaseException:  # nothing is kept of what failed, not even its name
                with self._lock:
                    self._locks.pop(key, None)
                raise
            with self._lock:
                self._answers[key] = answer
                self._locks.pop(key, None)
                while len(self._answers) > self._most:
                    self._answers.pop(next(iter(self._answers)))
            return answer


class Session:
    """One cloud of codes, with its decoder where there is one.

    Args:
        codes: By split, each (n, d); the first is the one whose shape is told.
        name: For people.
        facts: What is known of the images, by split; none for bare codes.
        run: The run folder they come from.
        model: Its autoencoder.

    Example:
        >>> session = Session({"codes": np.random.default_rng(0).standard_normal((500, 3))}, "a cloud")
        >>> session.points("component:0", "pca:1").shape, session.about()["decodes"]
        ((2, 500), False)
    """

    def __init__(
        self,
        codes: dict[str, np.ndarray],
        name: str,
        *,
        facts: dict[str, Facts] | None = None,
        ids: dict[str, np.ndarray] | None = None,
        run: RunFolder | None = None,
        model: Autoencoder | None = None,
    ) -> None:
        first = next(iter(codes))
        d = check_codes(codes[first], finite=False).shape[1]
        self.codes = {
            split: check_codes(z, latent_dim=d, finite=False) for split, z in codes.items()
        }
        self.name, self.run, self.model = name, run, model
        self.facts, self.ids = facts or {}, ids or {}
        self.train = self.codes[first]
        self.d = d
        self._first = first
        # Apart, so that a walk through hundreds of components forgets no fitted sampler.
        self._kept, self._views, self._planes = Kept(), Kept(), Kept(PLANES)
        self._slides = Kept(SLIDES)
        self._drawing = threading.Lock()
        self.moments = moments_of(self.train)
        self.axes = Axes(self.moments, self._directions())

    @classmethod
    def of_run(cls, run: RunFolder) -> Session:
        """The session of a run folder that holds codes.

        Raises:
            InputError: There are no codes, or what is there is damaged.
        """
        from latentshape.codes import load_codes
        from latentshape.data import SPLITS
        from latentshape.models import load_model

        splits = {split: load_codes(run, split) for split in SPLITS}
        splits = {split: codes for split, codes in splits.items() if len(codes.z)}
        return cls(
            {split: codes.z for split, codes in splits.items()},
            run.path.resolve().name,
            facts={split: Facts.of(codes) for split, codes in splits.items()},
            ids={split: codes.ids for split, codes in splits.items()},
            run=run,
            model=load_model(run) if run.model_path.exists() else None,
        )

    @classmethod
    def of_codes(cls, path: Path) -> Session:
        """The session of bare codes, an ``.npy`` file (n, d) or (n, c, h, w), read as a memory map."""
        from latentshape.codes import load_array

        return cls({BARE: check_codes(as_codes(load_array(path))[0])}, path.stem)

    # --- what there is -------------------------------------------------------------------------------

    def about(self) -> Record:
        """What the page has to know before it asks anything."""
        start, splits = 0, []
        for split, z in self.codes.items():
            splits.append({"name": split, "start": start, "n": len(z)})
            start += len(z)
        pca = self.axes.n_pca
        recommended = self.recommended()
        return {
            "name": self.name,
            "n": start,
            "d": self.d,
            "splits": splits,
            "decodes": self.model is not None,
            "encodes": self.model is not None,
            "images": self.run is not None,
            "size": self.size,
            "channels": self.channels,
            "samplers": list(SAMPLERS),
            "sampler_words": {name: sampler_class(name).description for name in SAMPLERS},
            "recommended": recommended,
            "axes": {"component": self.d, "pca": pca, "attribute": list(self.axes.attributes)},
            "default": {
                "x": "pca:0" if pca else "component:0",
                "y": "pca:1" if pca > 1 else f"component:{min(1, self.d - 1)}",
                "ref": "mean",
                "sampler": recommended or ("low-rank" if self._wide else "gaussian"),
            },
            "sigmas": list(SIGMAS),
            "colours": self._colours(),
            "attributes": self._attributes(),
            "radius": self._radius_facts(),
            "paths": list(METHODS),
            "files": ["png", "strip", "gif"],
            "limits": {"codes": MOST_CODES, "drawn": MOST_DRAWN},
        }

    def warm(self) -> None:
        """Work out what the page asks first, so that it need not wait."""
        first = self.about()["default"]
        self.plane(first["x"], first["y"])
        self.lift(first["x"], first["y"])
        self.slide()
        if self.model is not None:
            self.picture(first["ref"])

    @property
    def size(self) -> int | None:
        """Side of the pictures in pixels."""
        return self.run.config().data.size if self.run else None

    @property
    def channels(self) -> int | None:
        """3 or 1."""
        return self.run.config().data.channels if self.run else None

    def recommended(self) -> str | None:
        """The sampler that the scorecard recommends, where there is one."""
        choice = (self._record("scorecard_path") or {}).get("recommendation")
        value = choice.get("value") if isinstance(choice, dict) else None
        return value if value in SAMPLERS else None

    def _record(self, path: str) -> Record | None:
        from latentshape.runs import read_record

        if self.run is None or not getattr(self.run, path).exists():
            return None
        return read_record(getattr(self.run, path))

    def _colours(self) -> list[Record]:
        found = [{"by": "density", "label": "density"}]
        if len(self.codes) > 1:
            found.append({"by": "split", "label": "split"})
        if self.singular is None:
            found.append({"by": "radius", "label": "Mahalanobis radius"})
        names = self.facts[self._first].varying() if self.facts else ()
        return found + [{"by": f"attribute:{name}", "label": name} for name in names]

    def _attributes(self) -> list[Record]:
        if not self.facts:
            return []
        facts = self.facts[self._first]
        kinds = dict(zip(facts.names, np.where(facts.answers, "yes/no", "number").tolist()))
        return [{"name": name, "kind": kinds[name]} for name in facts.varying()]

    def _directions(self) -> Directions | None:
        facts = self.facts.get(self._first)
        if facts is None or not facts.varying() or singular_why(self.moments) is not None:
            return None
        return fit_directions(self.train, facts, moments=self._whole())

    @property
    def _wide(self) -> bool:
        """Whether there are too many components for a covariance of all."""
        return isinstance(self.moments, WideMoments)

    # --- the cloud's own scale -----------------------------------------------------------------------

    @functools.cached_property
    def singular(self) -> str | None:
        """Why there are no Mahalanobis radii, if so."""
        return singular_why(self.moments)

    def _radii(self) -> np.ndarray:
        """Mahalanobis radii of all codes, split after split."""
        return self._kept.get(
            "radii",
            lambda: np.concatenate(
                [
                    np.sqrt(mahalanobis_squared(block, self.moments)).astype(np.float32)
                    for z in self.codes.values()
                    for block in row_blocks(z)
                ]
            ),
        )

    def sorted_radii(self) -> np.ndarray:
        """Mahalanobis radii of the training codes, rising, (n,) float32."""
        return self._kept.get("sorted radii", lambda: np.sort(self._radii()[: len(self.train)]))

    def _radius_facts(self) -> Record:
        if self.singular:
            return {"why": f"no Mahalanobis radii: z {self.singular}"}
        radii = self.sorted_radii()
        shares = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
        values = np.quantile(radii, shares)
        return {
            "mean": float(radii.mean()), "std": float(radii.std()), "median": float(values[3]),
            "quantiles": {str(share): float(value) for share, value in zip(shares, values)},
            "sqrt_d": float(np.sqrt(self.d)),
        }  # fmt: skip

    # --- codes by name -------------------------------------------------------------------------------

    def code(self, reference: str) -> np.ndarray:
        """The code (d,), float32, of a name as `latentshape.explorer.references` has it.

        Raises:
            InputError: There is none of that name.
        """
        found = parse_reference(reference, self.d)
        if found.z is not None:
            return found.z
        if found.kind in PLACES:
            mean = self.moments.mean.astype(np.float32)
            return mean if found.kind == "mean" else np.zeros_like(mean)
        if found.kind in self.codes:
            z = self.codes[found.kind]
            if found.number >= len(z):
                raise InputError(
                    f"The split {found.kind!r} has rows 0 to {len(z) - 1}, got {found.number}."
                )
            return np.array(z[found.number], np.float32)
        if found.kind in SAMPLERS:
            return self.sampler(found.kind).sample_at([found.number])[0].astype(np.float32)
        known = [*PLACES, *self.codes, *SAMPLERS]
        raise InputError(
            f"Neither a split nor a sampler is called {found.kind!r}{suggestion(found.kind, known)}"
        )

    def sampler(self, name: str) -> Sampler:
        """A sampler fitted to the training codes; the very law that was judged, where there is one.

        Raises:
            InputError: There is none of that name, or it cannot be fitted to these codes.
        """
        from latentshape.drawing import fitted
        from latentshape.samplers import make_sampler

        sampler_class(name)

        def fit() -> Sampler:
            return fitted(self.run, name) if self.run else make_sampler(name).fit(self.train)

        return self._kept.get(("sampler", name), fit)

    def gallery(self, split: str, start: int, n: int) -> Record:
        """Names of some images of a split, in order.

        Raises:
            InputError: There is no such split, or it ends before ``start``.
        """
        if split not in self.codes:
            raise InputError(f"No split is called {split!r}{suggestion(split, self.codes)}")
        n = check_count(n, name="n", maximum=MOST_CODES)
        total = len(self.codes[split])
        if not 0 <= start < total:
            raise InputError(f"The split {split!r} has rows 0 to {total - 1}, got {start}.")
        rows = range(start, min(start + n, total))
        ids = self.ids.get(split)
        return {
            "refs": [f"{split}:{row}" for row in rows],
            "ids": [str(ids[row]) if ids is not None else str(row) for row in rows],
            "total": total,
        }

    # --- planes --------------------------------------------------------------------------------------

    def _plane(self, x: str, y: str) -> PlaneOfAxes:
        return self._views.get(("plane", x, y), lambda: self.axes.plane(x, y))

    def points(self, x: str, y: str) -> np.ndarray:
        """Where all codes lie in a plane, split after split: (2, n) float32."""
        plane = self._plane(x, y)

        def project() -> np.ndarray:
            found = np.empty((2, sum(map(len, self.codes.values()))), np.float32)
            start = 0
            readouts = plane.readouts.astype(np.float32)
            # About the mean, so that single precision loses nothing where a cloud lies far out.
            centre = self.moments.mean.astype(np.float32)
            at = plane.readouts @ centre.astype(np.float64) + plane.offset
            for z in self.codes.values():
                for block in row_blocks(z):
                    there = (np.asarray(block, np.float32) - centre) @ readouts.T + at
                    found[:, start : start + len(block)] = there.T
                    start += len(block)
            return found

        return self._planes.get((x, y), project)

    def plane(self, x: str, y: str) -> Record:
        """Ellipses, contours, centre, origin and range of a plane."""
        plane = self._plane(x, y)
        return self._views.get(("plane facts", x, y), lambda: self._plane_facts(plane))

    def _plane_facts(self, plane: PlaneOfAxes) -> Record:
        points = self.points(plane.x.name, plane.y.name)[:, : len(self.train)]
        squared = mahalanobis_squared(points.T.astype(np.float64), plane.moments)
        std = plane.moments.std
        return {
            "x": _axis_facts(plane, 0),
            "y": _axis_facts(plane, 1),
            "same_unit": plane.x.unit == plane.y.unit,
            "correlation": float(plane.moments.correlation()[0, 1]),
            "offset": plane.offset.tolist(),
            "ellipses": [
                {
                    "sigma": k,
                    "expected": float(expected_coverage(k)),
                    "observed": float((squared <= k * k).mean()),
                    "points": confidence_ellipse(plane.moments, 0, 1, k, ELLIPSE).tolist(),
                }
                for k in SIGMAS
            ],
            "contours": self._contours(points),
            "origin": plane.offset.tolist(),
            "range": {
                name: [float(m - SPAN * s), float(m + SPAN * s)]
                for name, m, s in zip("xy", plane.mean, std)
            },
            "n": points.shape[1],
        }

    @staticmethod
    def _contours(points: np.ndarray) -> list[Record]:
        """Highest-density contours that hold as much as the ellipses, as closed lines."""
        from contourpy import contour_generator

        try:
            found = density(points.T, 0, 1)
        except InputError:  # two axes so close to one that no grid resolves them
            return []
        lines = contour_generator(found.x, found.y, found.values.T).lines
        return [
            {"sigma": k, "lines": [np.asarray(line).tolist() for line in lines(level)]}
            for k, level in zip(SIGMAS, found.levels(SIGMAS))
            if np.isfinite(level)
        ]

    def lift(self, x: str, y: str) -> np.ndarray:
        """What makes a code of a place, (7, d) float32.

        Rows: the read-outs of x and y, the plain steps, the conditional steps, the mean; see
        `latentshape.explorer.axes`.
        """
        plane = self._plane(x, y)
        rows = [*plane.readouts, *plane.plain, *plane.conditional, self.moments.mean]
        return np.asarray(rows, np.float32)

    def drawn(self, sampler: str, seed: int, n: int, x: str, y: str) -> np.ndarray:
        """Places (2, n) float32 of the codes ``SAMPLER:seed``, ``SAMPLER:seed+1``, ..."""
        n = check_count(n, name="n", maximum=MOST_DRAWN)
        plane = self._plane(x, y)
        z = self.sampler(sampler).sample_at(range(seed, seed + n))
        return plane.project(z).T.astype(np.float32)

    def colour(self, by: str) -> np.ndarray:
        """A value for each code, split after split, (n,) float32; NaN where it is not known."""
        kind, _, name = by.partition(":")
        if kind == "split":
            lengths = [len(z) for z in self.codes.values()]
            return np.repeat(np.arange(len(lengths), dtype=np.float32), lengths)
        if kind == "radius":
            self._need_radii()
            return self._radii()
        if kind == "attribute":
            if not self.facts:
                raise InputError("Nothing is known of these codes' images to colour them by.")
            return np.concatenate([f[name] for f in self.facts.values()]).astype(np.float32)
        raise InputError(
            f"Codes are coloured by 'split', 'radius' or 'attribute:NAME', got {by[:60]!r}."
        )

    def legend(self, by: str) -> Record:
        """What the values of `colour` mean."""
        values = self.colour(by)
        kind, _, name = by.partition(":")
        if kind == "split":
            return {"by": by, "label": "split", "kind": "category", "labels": list(self.codes)}
        if (
            kind == "attribute"
            and self.facts[self._first].answers[self.facts[self._first].index(name)]
        ):
            return {"by": by, "label": name, "kind": "category", "labels": ["no", "yes"]}
        known = values[np.isfinite(values)]
        low, high = np.quantile(known, (0.01, 0.99)) if len(known) else (0.0, 1.0)
        label = "Mahalanobis radius" if kind == "radius" else name
        return {"by": by, "label": label, "kind": "number", "low": float(low), "high": float(high)}

    # --- pictures ------------------------------------------------------------------------------------

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Pixels (m, h, w, c) of codes (m, d), each decoded by itself, so that none depends on others.

        Raises:
            InputError: There is no decoder, or these are no codes of its dimension.
        """
        from latentshape.decoding import decode_pixels

        if self.model is None:
            raise InputError(
                "There is no decoder here: these are bare codes. Open a run folder to see pictures."
            )
        z = self._checked(z)
        with self._drawing:
            return decode_pixels(self.model, z, batch=1)

    def picture(self, reference: str) -> np.ndarray:
        """Pixels (h, w, c) of a named code."""
        return self.decode(self.code(reference)[None])[0]

    def image(self, reference: str) -> np.ndarray:
        """The original image (h, w, c) that a code like ``test:3`` was encoded from.

        Raises:
            InputError: It was not encoded from one, or the images are not there any more.
        """
        found = parse_reference(reference, self.d)
        if found.kind not in self.codes or self.run is None:
            raise InputError(f"{reference[:60]!r} was not encoded from an image.")
        self.code(reference)
        dataset = self._dataset()
        row = dataset.indices(found.kind)[found.number]
        return np.array(dataset.pixels[row])

    def _dataset(self) -> Dataset:
        from latentshape.pipeline import open_data

        assert self.run is not None
        run = self.run

        def open_it() -> Dataset:
            dataset = open_data(run.config(), run)
            for split, ids in self.ids.items():
                if not np.array_equal(ids, dataset.ids[dataset.indices(split)]):
                    raise InputError(
                        "The codes are of other images than the run's own, which therefore cannot be shown."
                    )
            return dataset

        return self._kept.get("dataset", open_it)

    def encode(self, content: bytes, crop: str = "auto") -> tuple[np.ndarray, np.ndarray]:
        """The code (d,) of a photo, and the square (h, w, c) of it that was encoded.

        Args:
            content: The file.
            crop: As `latentshape.photos.square_of` has it.

        Raises:
            InputError: There is no encoder, or the file is no picture that can be read.
        """
        from latentshape.codes import encode_pixels
        from latentshape.photos import square_of
        from latentshape.pipeline import precision_of

        if self.model is None or self.run is None:
            raise InputError("There is no encoder here: these are bare codes.")
        pixels = square_of(self.run, content, crop, frame=self.frame)
        with self._drawing:
            z = next(encode_pixels(self.model, pixels[None], np.array([0]), precision_of(self.run)))
        return z[0], pixels

    def frame(self) -> np.ndarray | None:
        """Where faces lie in this run's images; None where that cannot be known. Seconds, the first time."""
        from latentshape.photos import usual_frame

        def look() -> np.ndarray | None:
            try:
                dataset = self._dataset()
            except InputError:
                return None
            rows = thinned(dataset.indices(self._first), FRAMED)
            return usual_frame(dataset.pixels[rows])

        return self._kept.get("frame", look)

    # --- moves ---------------------------------------------------------------------------------------

    def describe(self, z: np.ndarray) -> Record:
        """Where a code (d,) lies: radius, scores, nearest training codes."""
        z = self._checked(np.atleast_2d(z))[:1]
        std = np.where(self.axes.pca.std > 0, self.axes.pca.std, np.inf)[: self.axes.n_pca]
        axes = self.axes.pca.axes[: min(self.axes.n_pca, PCA_SLIDERS)]
        scores = (axes @ (z[0].astype(np.float64) - self.moments.mean)) / std[: len(axes)]
        found: Record = {
            **self._place(z),
            "pca": scores.tolist(),
            "attributes": [],
            "nearest": [],
        }
        if self.axes.directions is not None:
            values = self.axes.directions.scores(z)[0]
            found["attributes"] = [
                {"name": name, "score": float(value)}
                for name, value in zip(self.axes.attributes, values)
            ]
        k = min(NEAREST, len(self.train))
        near = nearest_codes(z, self.train, k)
        ids = self.ids.get(self._first)
        found["nearest"] = [
            {
                "ref": f"{self._first}:{row}",
                "id": str(ids[row]) if ids is not None else str(row),
                "distance": float(distance),
            }
            for row, distance in zip(near.rows[0].tolist(), near.distances[0])
        ]
        return found

    def _place(self, z: np.ndarray) -> Record:
        if self.singular:
            why = f"no Mahalanobis radius: z {self.singular}"
            return {"radius": None, "radius_share": None, "words": why}
        radius = float(np.sqrt(mahalanobis_squared(z, self.moments))[0])
        radii = self.sorted_radii()
        share = float(np.searchsorted(radii, radius * (1 + SAME_RADIUS)) / len(radii))
        if radius > radii[-1] * (1 + SAME_RADIUS):
            words = f"outside: no training code lies as far out (the farthest at {radii[-1]:.1f})"
        elif share < 0.001:
            words = f"nearer to the mean than nearly every training code (the nearest at {radii[0]:.1f})"
        else:
            words = f"inside the cloud: {1 - share:.1%} of the training codes lie farther out"
        return {
            "radius": radius,
            "radius_share": share,
            "words": f"Mahalanobis radius {radius:.1f}, {words}.",
        }

    def slide(
        self, attributes: Sequence[str] | None = None, pca: int = PCA_SLIDERS
    ) -> tuple[Record, np.ndarray, np.ndarray]:
        """Sliders: what they are called, what one sigma of each adds to a code, how a code's place is read.

        A step along a principal axis leaves all others where they are; one of an attribute is the
        shortest that holds the other listed attributes.

        Args:
            attributes: Which; None: those that held-out codes tell best, no two of them alike.
            pca: How many principal axes.

        Returns:
            Names and ends, ready for JSON; steps (k, d); read-outs (k, d + 1), the last column added.

        Raises:
            InputError: No such attribute, or attributes that cannot be moved apart.
        """
        names = tuple(self._telling() if attributes is None else dict.fromkeys(attributes))
        key = ("slide", names, pca)
        return self._slides.get(key, lambda: self._slide(names, pca))

    def _slide(self, names: tuple[str, ...], pca: int) -> tuple[Record, np.ndarray, np.ndarray]:
        count = min(check_count(pca, name="pca", minimum=0), self.axes.n_pca)
        axes, std = self.axes.pca.axes[:count], self.axes.pca.std[:count]
        readouts = axes / std[:, None]
        steps = [*(axes * std[:, None])]
        ends = [
            {"name": f"principal axis {k + 1}", "axis": f"pca:{k}", "low": -4.0, "high": 4.0}
            for k in range(count)
        ]
        record: Record = {"pca": ends, "attributes": []}
        if names:
            directions = self.axes.directions
            if directions is None:
                raise InputError("Nothing is known of these images that a slider could move.")
            rows = directions.readouts[[directions.index(name) for name in names]]
            readouts = np.concatenate([readouts, rows])
            steps += [directions.displacement({name: 1.0}, hold=names) for name in names]
            low, high = self.ends_of(names)
            record["attributes"] = [
                {"name": n, "axis": f"attribute:{n}", "low": float(a), "high": float(b)}
                for n, a, b in zip(names, low, high)
            ]
        offset = -readouts @ self.moments.mean
        return (
            record,
            np.asarray(steps, np.float32).reshape(-1, self.d),
            np.column_stack([readouts, offset]).astype(np.float32),
        )

    def ends_of(self, names: Sequence[str]) -> np.ndarray:
        """Least and greatest score of training codes along attributes, (2, k), in sigmas."""
        assert self.axes.directions is not None
        scores = self.axes.directions.scores(thinned(self.train, 20_000), names)
        return np.stack([scores.min(axis=0), scores.max(axis=0)])

    def _telling(self) -> tuple[str, ...]:
        """Attributes whose read-outs tell most on held-out codes, no two of them nearly the same."""
        directions = self.axes.directions
        if directions is None:
            return ()

        def choose() -> tuple[str, ...]:
            held_out = list(self.codes)[-1]
            z, facts = self.codes[held_out], self.facts[held_out]
            found = separability(directions, z, facts)
            how_well = [
                -1.0
                if s is None
                else abs(s.value - 0.5) * 2
                if s.measure == "auc"
                else abs(s.value)
                for s in found
            ]
            # Read-outs as vectors whose products are their correlations; what is left of each after
            # those chosen before it is what it can still be moved by while they are held.
            left = directions.readouts @ self._whole().factor()
            chosen: list[int] = []
            for j in np.argsort(how_well)[::-1]:
                own = float(np.linalg.norm(left[j]))
                if how_well[j] > 0 and own >= OWN and len(chosen) < ATTRIBUTE_SLIDERS:
                    chosen.append(int(j))
                    unit = left[j] / own
                    left -= np.outer(left @ unit, unit)
            return tuple(directions.names[j] for j in chosen)

        return self._kept.get("telling", choose)

    def path(self, ends: np.ndarray, kind: str, steps: int) -> np.ndarray:
        """Codes (steps, d) float32 from one of two codes (2, d) to the other.

        Raises:
            InputError: No such kind, ends that are equal, or none of that kind between them.
        """
        ends = self._checked(ends)
        if len(ends) != 2:
            raise InputError(f"A path has two ends, got {len(ends)} codes.")
        steps = check_count(steps, name="steps", minimum=2, maximum=MOST_CODES)
        walk = morph(self.moments, start=ends[0], end=ends[1], method=kind, steps=steps)
        return walk.codes.astype(np.float32)

    def radii(self, z: np.ndarray) -> np.ndarray:
        """Mahalanobis radii (m,) of codes (m, d)."""
        self._need_radii()
        return np.sqrt(mahalanobis_squared(self._checked(z), self.moments))

    # --- the shape -----------------------------------------------------------------------------------

    def shape(self, *, wait: bool = False) -> Record | None:
        """``shape.json`` of the run; of bare codes, measured in the background: None until it is done.

        Args:
            wait: Until it is.

        Raises:
            InputError: The codes cannot be measured.
        """
        record = self._record("shape_path")
        if record is not None:
            return record
        measuring = self._kept.get("measurement", self._begin_measuring)
        return measuring.result() if wait or measuring.done() else None

    def _begin_measuring(self) -> Future[Record]:
        """Measure in a thread of its own: a minute or more, which no answer is to wait for."""
        from latentshape.data.cache import NULLS, cache_folder
        from latentshape.shape import measure

        found: Future[Record] = Future()

        def work() -> None:
            try:
                found.set_result(measure(self.train, folder=cache_folder() / NULLS))
            except BaseException as error:
                found.set_exception(error)  # it is raised where the answer is asked for

        threading.Thread(target=work, name="measuring", daemon=True).start()
        return found

    def verdict(self) -> list[Record] | None:
        """The verdict of `shape`, question by question; None until it is there."""
        record = self.shape()
        if record is None:
            return None
        return [
            {"question": name, **entry}
            for name, entry in record["verdict"].items()
            if isinstance(entry, dict)  # not its summary
        ]

    def component(self, j: int) -> Record:
        """The number distribution of a component with its Gaussian.

        Raises:
            InputError: There is no such component.
        """
        if not 0 <= j < self.d:
            raise InputError(f"Components are numbered 0 to {self.d - 1}, got {j}.")
        return self._views.get(("component", j), lambda: self._component(j))

    def _component(self, j: int) -> Record:
        own = self.moments.part([j])
        column = np.array(self.train[:, [j]])
        counted = number_distributions(column, own)
        fit = fit_gaussians(counted, own)
        edges = counted.edges(0)
        x = np.linspace(edges[0], edges[-1], 200)
        centred = column[:, 0].astype(np.float64) - own.mean[0]
        centred /= max(float(np.sqrt(np.square(centred).mean())), 1e-300)
        half = float(counted.half_widths()[0])
        return {
            "j": j,
            "edges": edges.tolist(),
            "counts": counted.counts[0][: len(edges) - 1].tolist(),
            "mean": float(own.mean[0]),
            "std": float(own.std[0]),
            "half_width": half if np.isfinite(half) else None,
            "skewness": float((centred**3).mean()),
            "excess_kurtosis": float((centred**4).mean() - 3),
            "fit": {"x": x.tolist(), "y": fit.curve(0, x).tolist(), "r2": float(fit.r2[0])},
        }

    def order(self) -> list[int]:
        """Components reordered so that correlated ones are neighbours."""
        work = lambda: clustered_order(self._whole().correlation()).tolist()  # noqa: E731
        return self._kept.get("order", work)

    def correlation(self) -> np.ndarray:
        """Pearson coefficients (d, d) float32, in the order of `order`."""
        order = self.order()
        return self._whole().correlation()[np.ix_(order, order)].astype(np.float32)

    def radius(self) -> Record:
        """The radius law: codes, an equal-size Gaussian control, the exact law, the origin."""
        self._need_radii()
        return self._kept.get("radius", self._radius)

    def _radius(self) -> Record:
        found = radius_histogram(thinned(self.train, RADII), self._whole())
        squared = np.square(self._radii()[: len(self.train)].astype(np.float64))
        origin = mahalanobis_squared(np.zeros((1, self.d)), self.moments)
        expected = MahalanobisLaw(self.moments.n, self.d).variance
        return {
            "edges": found.edges.tolist(),
            "observed": found.codes.tolist(),
            "control": found.control.tolist(),
            "law": {"x": found.x.tolist(), "y": found.law.tolist()},
            "name": "exact law of a Gaussian's Mahalanobis radii",
            "variance_ratio": float(squared.var() / expected),
            "origin": float(np.sqrt(origin)[0]),
        }

    def scorecard(self) -> Record:
        """``scorecard.json`` of the run.

        Raises:
            InputError: Nothing was judged.
        """
        record = self._record("scorecard_path")
        if record is None:
            what = "bare codes are not judged" if self.run is None else "nothing was judged yet"
            how = "" if self.run is None else f" Judge with: latentshape evaluate {self.run.path}"
            raise InputError(f"There is no scorecard: {what}.{how}")
        return record

    def _whole(self) -> Moments:
        """The moments, with the covariance of all components.

        Raises:
            InputError: There are too many for one.
        """
        if isinstance(self.moments, Moments):
            return self.moments
        raise InputError(
            f"There is no map of all pairs of {self.d:,} components; shape.json counts and lists them. Look "
            "at pairs in the plane."
        )

    # --- checks --------------------------------------------------------------------------------------

    def _checked(self, z: np.ndarray) -> np.ndarray:
        z = check_codes(z, min_samples=1, latent_dim=self.d)
        if len(z) > MOST_CODES:
            raise InputError(f"At most {MOST_CODES} codes in one question, got {len(z)}.")
        return np.asarray(z, np.float32)

    def _need_radii(self) -> None:
        if self.singular:
            raise InputError(f"There are no Mahalanobis radii: z {self.singular}.")


def _axis_facts(plane: PlaneOfAxes, k: int) -> Record:
    axis = (plane.x, plane.y)[k]
    return {
        "axis": axis.name,
        "label": axis.label,
        "mean": float(plane.mean[k]),
        "std": float(plane.moments.std[k]),
        "unit": axis.unit,
    }


def finite(found: Any) -> Any:
    """A record with None for what is no number: JSON has no NaN."""
    if isinstance(found, dict):
        return {key: finite(value) for key, value in found.items()}
    if isinstance(found, list):
        return [finite(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found
