"""Codes alone: `analyze(z)` measures any array, and the answer shows itself where it is looked at.

The record is `latentshape.shape.measure`'s, word for word what ``shape.json`` holds; beside it the codes, so
that figures can be drawn. A terminal shows a few lines of it, a notebook facts, verdict and two figures.
"""

from __future__ import annotations

import base64
import functools
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from latentshape import shape
from latentshape._checks import check_choice, check_codes, finite_rows
from latentshape.data.cache import NULLS, cache_folder
from latentshape.errors import InputError
from latentshape.files import write_json
from latentshape.progress import bar, say
from latentshape.shape.measuring import plain
from latentshape.shape.measuring_wide import Reduction
from latentshape.shape.spatial import as_codes, measure_positions, one_position
from latentshape.shape.wide import WHOLE, AnyMoments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TREATMENTS", "Analysis", "analyze"]

TREATMENTS = ("auto", "flat", "positions", "low-rank")
"""How codes are looked at: all components together; one position of each code; joint laws in leading
coordinates beside a low-rank Gaussian; ``auto``: low-rank beyond 1,024 components, else flat."""

#: Codes from which on positions are measured without being asked for.
FEWEST = 10
#: Figures that a notebook shows; all others are asked for by name.
SHOWN = ("radius", "planes")


@final
class Analysis(Mapping[str, Any]):
    """What was measured of a cloud of codes: a mapping of ``shape.json``'s keys, with figures.

    Attributes:
        record: The record, plain Python, ready for JSON.
        z: The codes that it is of, (n, d): flattened, or one position of each, as they were measured.
        moments: Their mean and covariance.
    """

    def __init__(
        self, record: dict[str, Any], z: np.ndarray, moments: AnyMoments | None = None
    ) -> None:
        self.record, self.z = record, z
        self._moments = moments

    @functools.cached_property
    def moments(self) -> AnyMoments:
        """Mean and covariance of the codes; where it was never formed, what stands in its place."""
        return self._moments if self._moments is not None else shape.Moments.of(self.z)

    def __getitem__(self, key: str) -> Any:
        return self.record[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.record)

    def __len__(self) -> int:
        return len(self.record)

    def figure(self, name: str) -> Figure:
        """One of the figures of the report.

        Args:
            name: From `latentshape.shape_plots.SHEETS`, such as ``radius``, ``planes``, ``coverage``.

        Raises:
            InputError: No figure has this name, or these codes have nothing to show in it.
        """
        from latentshape.shape_plots import sheet

        made = sheet(name, self.record, self.z, self.moments)
        if made is None:
            raise InputError(
                f"These codes ({self['n']:,} of {self['d']} components) have nothing to show in "
                f"the figure {name!r}: it needs several components, or parts that deep=False leaves out."
            )
        # IPython shows figures that pyplot made; another one shows itself if it says how.
        setattr(made, "_repr_png_", functools.partial(_png, made))  # noqa: B010
        return made

    def save(self, folder: str | Path) -> Path:
        """Write ``shape.json`` and every figure.

        Args:
            folder: Made if it is not there.

        Returns:
            The path of ``shape.json``.
        """
        from latentshape.shape_plots import shape_figures

        folder = Path(folder)
        write_json(folder / "shape.json", self.record)
        shape_figures(self.record, self.z, folder / "figures", moments=self.moments)
        return folder / "shape.json"

    def __repr__(self) -> str:
        """A few lines, each number beside what it is to be compared with.

        Example:
            >>> z = np.random.default_rng(0).standard_normal((2000, 2)) + [3.0, 0.0]
            >>> print(analyze(z, deep=False))
            Analysis of 2,000 codes, d = 2
              centre      3.0 sigma from the origin (sqrt d = 1.4)
              2 sigma     86.2 % of codes inside ellipses (Gaussian 86.5 %, control 86.9 %)
              radius^2    0.93 times a Gaussian's variance (control 1.01)
        """
        m, c = self["mahalanobis"], self["centre"]
        lines = [f"Analysis of {self['n']:,} codes, d = {self['d']}"]
        if c["offset_sigma"] is not None:
            lines.append(
                f"  centre      {c['offset_sigma']:.1f} sigma from the origin (sqrt d = {c['sqrt_d']:.1f})"
            )
        lines += [
            f"  2 sigma     {row['observed']:.1%} of codes inside ellipses (Gaussian {row['expected']:.1%}, "
            f"control {row['control']:.1%})".replace("%", " %")
            for row in self["ellipses"]["coverage"]
            if row["sigma"] == 2
        ]
        if m["variance_ratio"] is not None:
            lines.append(
                f"  radius^2    {m['variance_ratio']:.2f} times a Gaussian's variance (control "
                f"{m['control']['variance_ratio']:.2f})"
            )
        elif "why" in m:
            lines.append(f"  radius      {m['why']}")
        if "verdict" in self:
            lines.append(f"  verdict     {self['verdict']['summary']}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """For notebooks: facts beside their controls, the verdict with its reasons, two figures."""
        return self._html

    @functools.cached_property
    def _html(self) -> str:
        from latentshape.report import render
        from latentshape.shape_plots import sheet

        made = {name: sheet(name, self.record, self.z, self.moments) for name in SHOWN}
        return render(
            "analysis.html",
            {
                "shape": self.record,
                "dropped": self.record.get("dropped", 0),
                "pictures": {
                    k: _data_uri(figure) for k, figure in made.items() if figure is not None
                },
            },
        )


def _png(made: Figure) -> bytes:
    held = io.BytesIO()
    made.savefig(held, format="png", dpi=110)
    return held.getvalue()


def _data_uri(made: Figure) -> str:
    return "data:image/png;base64," + base64.b64encode(_png(made)).decode("ascii")


def analyze(
    z: Any,
    *,
    held_out: Any = None,
    seed: int = 0,
    deep: bool = True,
    drop: bool = False,
    treatment: str = "auto",
    code_shape: tuple[int, ...] | None = None,
) -> Analysis:
    """Measure the shape of any codes, each number beside a control.

    Args:
        z: Codes (n, d), one per row, or with a shape, (n, c, h, w): an array, a memory map, a data frame of
            numbers, a tensor.
        held_out: Codes of other images, (m, d), to be compared with the law of new codes.
        seed: Of the control's draw.
        deep: Also ask what takes longer: planes, origin, voids, joint law, tests of normality, regions,
            and the verdict. A minute at 170,000 codes of 256 components.
        drop: Leave out rows with NaN or infinite values, and say how many, instead of refusing them.
        treatment: From `TREATMENTS`. Of codes with a shape every treatment adds what they are position by
            position.
        code_shape: Of one code, where z is flattened; (c, h, w) makes positions of it.

    Returns:
        A mapping with the keys of ``shape.json``, which shows itself in a notebook, draws its figures
            (``.figure("radius")``) and writes itself (``.save(folder)``).

    Raises:
        InputError: These are no codes, all are equal, or the treatment does not fit them.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.standard_normal((3000, 4)) * rng.gamma(4.0, 0.25, (3000, 1)) + 2.0
        >>> found = analyze(z, deep=False)
        >>> found["n"], found["mahalanobis"]["variance_ratio"] > 3, sorted(found)[:3]
        (3000, True, ['centre', 'component_summary', 'components'])
    """
    check_choice(treatment, name="treatment", choices=TREATMENTS)
    z, own = as_codes(z)
    code_shape = own or code_shape
    z, dropped = check_codes(z, finite=False), 0
    if drop:
        finite = finite_rows(z)
        dropped = int((~finite).sum())
        if dropped:
            say(f"  note: {dropped:,} of {len(z):,} codes are not finite and left out")
            z = check_codes(np.asarray(z[finite]), finite=False)
    if held_out is not None:
        held_out = check_codes(as_codes(held_out)[0], name="held_out", latent_dim=z.shape[1])
    whole, reduction = z, None
    spatial = code_shape is not None and _count(code_shape) > 1
    if treatment == "positions":
        if not spatial or code_shape is None:
            raise InputError(
                "The treatment 'positions' needs codes with a shape, (n, c, h, w), got "
                f"{(len(z), *(code_shape or z.shape[1:]))}; pass such an array, or another treatment."
            )
        say(f"  treatment: positions, one of the {_count(code_shape):,} of each code at random")
        z = one_position(z, code_shape)
        held_out = None if held_out is None else one_position(held_out, code_shape, seed=1)
    elif treatment == "low-rank" or (treatment == "auto" and z.shape[1] > WHOLE):
        reduction = Reduction.of(z)
        say(
            f"  treatment: low-rank ({z.shape[1]:,} components): joint laws in {reduction.rank} leading "
            f"coordinates, beside a Gaussian of {reduction.law.rank} factors"
        )
    reads = 4 * len(z) + (2 * len(held_out) if held_out is not None else 0)
    with bar(reads, "measuring", unit="rows") as progress:
        record = shape.measure(
            z, seed=seed, held_out=held_out, deep=deep, progress=progress.update,
            folder=cache_folder() / NULLS, stage=progress.set_description_str,
            treatment=reduction or "flat",
        )  # fmt: skip
    if treatment == "positions" and code_shape is not None:
        record["treatment"] = {
            "kind": "positions", "d": math.prod(code_shape), "rank": z.shape[1],
            "why": f"one position of each code, drawn at random: a law of {z.shape[1]} channels, blind to "
            "everything that hangs together between positions (positions.ignored)",
        }  # fmt: skip
    if spatial and code_shape is not None and len(whole) >= FEWEST:
        rank = None if reduction is None else reduction.law.rank
        record["positions"] = plain(measure_positions(whole, code_shape, rank=rank))
    record["dropped"] = dropped
    if not record["pca"]["eigenvalues"][0] > 0:
        raise InputError(
            f"All {len(z)} codes are equal: there is no shape to measure. Check what they were saved "
            "from; an encoder that gives one code for every image has collapsed."
        )
    return Analysis(record, z, reduction.moments if reduction is not None else None)


def _count(code_shape: tuple[int, ...]) -> int:
    """Positions of a code of shape (c, h, w); 1 of any other."""
    return code_shape[1] * code_shape[2] if len(code_shape) == 3 else 1
