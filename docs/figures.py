"""Rewrite the README's picture and table from a run of procedural faces.

    python docs/figures.py runs/faces

Only procedural faces or MNIST may be shown: a run of any other data is refused.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from latentshape import RunFolder
from latentshape.files import read_json
from latentshape.images import save_png
from latentshape.report import cell, seconds

HERE = Path(__file__).parent
STRIPS = ("real", "reconstruction", "gaussian", "cube")
ROWS = (
    ("real", "held-out images"),
    ("reconstruction", "the same, encoded and decoded"),
    ("training-codes", "codes of training images, decoded: the floor"),
    ("gaussian", "**N(μ, Σ)**: right centre, right covariance"),
    ("elliptical", "**elliptical**: the same with the codes' own radii"),
    ("zero-mean", "N(0, Σ): wrong centre"),
    ("centred", "N(μ, s²I): wrong covariance"),
    ("standard-normal", "N(0, I): both wrong"),
    ("cube", "uniform cube around the origin"),
    ("phase-scrambled", "images with scrambled phases: the detector's floor"),
)


def picture(run: RunFolder, columns: int = 14, gap: int = 6) -> np.ndarray:
    """One row of pictures per strip, from the run's own sample sheets, enlarged twice."""
    from PIL import Image

    side, rows = run.config().data.size, []
    for name in STRIPS:
        sheet = np.asarray(Image.open(run.samples_path / f"{name}.png").convert("RGB"))
        tiles = [
            sheet[top : top + side, left : left + side]
            for top in range(0, sheet.shape[0], side + 2)
            for left in range(0, sheet.shape[1], side + 2)
        ]
        rows.append(np.concatenate(tiles[:columns], axis=1))
    white = np.full((gap, rows[0].shape[1], 3), 255, np.uint8)
    stacked = [part for row in rows for part in (row, white)][:-1]
    return np.concatenate(stacked)


def table(run: RunFolder) -> str:
    """The README's result table, in Markdown, with n and seed."""
    card, data = read_json(run.scorecard_path), read_json(run.dataset_path)
    lines = ["| pictures from | face rate | gap |", "|---|---|---|"]
    for name, words in ROWS:
        row = card["rows"][name]
        lines.append(
            f"| {words} | {cell(row['face_rate'])} | {cell(row['gap']['random-conv'], 2)} |"
        )
    training = run.stages()["train"]
    return "\n".join(
        [
            *lines,
            "",
            f"`make demo`: {data['splits']['train']:,} procedural faces, {run.config().training.epochs} "
            f"epochs in {seconds(training['seconds'])} on {training['threads']} CPU cores; n = {card['n']} "
            f"pictures a row, {card['draws']} draws, seed {card['seed']}.",
        ]
    )


def main() -> None:
    """Write the picture and the table of the run named on the command line."""
    run = RunFolder.open(sys.argv[1])
    if read_json(run.dataset_path)["kind"] not in ("faces", "mnist"):
        sys.exit("Pictures of this dataset must not enter the repository; use procedural faces.")
    save_png(HERE / "faces.png", picture(run))
    readme = HERE.parent / "README.md"
    text = re.sub(
        r"(<!-- table: .*? -->\n).*?(<!-- end of table -->)",
        lambda m: f"{m[1]}{table(run)}\n{m[2]}",
        readme.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
