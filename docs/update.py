"""Rewrite what the documents say of runs: numbers from any run, pictures from procedural faces alone.

    python docs/update.py runs/faces runs/celeba runs/series

A folder of the series (``latentshape series``) fills docs/series.md and the comparators' tables. Each run
fills the section of its preset in docs/results.md (numbers only). A run of procedural faces also
draws the README's picture and fills its table; strips are drawn of procedural faces and of digits. Nothing
made from other data may be shown.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from latentshape import RunFolder
from latentshape.files import read_json
from latentshape.images import palette_png, save_png
from latentshape.report import SHOWN_ROWS, at, cell, ordered, seconds
from latentshape.report import table as record_table
from latentshape.shape.battery import TOLERANCES

HERE = Path(__file__).parent
STRIPS = ("real", "reconstruction", "gaussian", "cube")
ROWS = (
    ("real", "held-out images"),
    ("reconstruction", "the same, encoded and decoded: the floor"),
    ("training-codes", "codes of training images, decoded"),
    ("gaussian", "**N(μ, Σ)**: right centre, right covariance"),
    ("elliptical", "**elliptical**: the same with the codes' own radii"),
    ("zero-mean", "N(0, Σ): wrong centre"),
    ("centred", "N(μ, s²I): wrong covariance"),
    ("standard-normal", "N(0, I): both wrong"),
    ("cube", "uniform cube around the origin"),
    ("phase-scrambled", "images with scrambled phases: the detector's floor"),
)

#: Columns of docs/results.md after the distances: words, key in a row, decimals.
MEASURED = (
    ("precision", "sampler_precision", 2),
    ("recall", "sampler_recall", 2),
    ("diversity", "diversity", 2),
    ("novelty", "novelty", 2),
    ("Mahalanobis radius", "radius", 1),
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


def number(value: float | None, spec: str) -> str:
    """A number as text, or a dash where there is none."""
    return "–" if value is None else format(value, spec)


def unmeasured(what: str, part: dict[str, Any]) -> list[str]:
    """A sentence that says why a part of the record could not be measured; none where it could."""
    return [f"{what} not measured: {part['why'].rstrip('.')}."] if set(part) == {"why"} else []


def interval(entry: dict[str, Any] | None, digits: int = 3) -> str:
    """A scorecard entry with its interval."""
    if not entry or entry.get("value") is None:
        return "–"
    return f"{cell(entry, digits)} ({entry['low']:.{digits}f}–{entry['high']:.{digits}f})"


def results(run: RunFolder) -> str:
    """A run's section of docs/results.md: numbers only."""
    card, shape, data = (
        read_json(p) for p in (run.scorecard_path, run.shape_path, run.dataset_path)
    )
    config, stages, metrics = run.config(), run.stages(), run.metrics()
    spaces = list(card["features"])
    splits = ", ".join(f"{n:,} {name}" for name, n in data["splits"].items())
    model, training = config.model, stages["train"]
    lines = [
        f"{data['images']:,} images ({splits}) at {config.data.size} px; filters "
        f"{', '.join(map(str, model.filters))}, z = {model.latent_dim}, "
        f"{training['parameters'] / 1e6:.2f} million parameters; {config.training.epochs} epochs, "
        f"{training['precision']}, {training['threads']} threads, seed {config.training.seed}. Held-out "
        f"squared error per pixel **{metrics[-1]['heldout_mse']:.5f}**.",
        "",
        "Wall time: "
        + ", ".join(f"{name} {seconds(stage['seconds'])}" for name, stage in stages.items())
        + f"; together {seconds(sum(s['seconds'] for s in stages.values()))}.",
        "",
        "| the cloud | codes | Gaussian control |",
        "|---|---|---|",
    ]
    m, c = shape["mahalanobis"], shape["centre"]
    lines.append(
        f"| origin's distance from the centre, in σ (√d = {c['sqrt_d']:.1f}) "
        f"| {number(c['offset_sigma'], '.1f')} | |"
    )
    lines.append(
        "| share of codes nearer to the centre than the origin "
        f"| {number(c['origin_quantile'], '.4f')} | |"
    )
    lines.append(
        f"| `mahalanobis.variance_ratio` to the exact law | {number(m['variance_ratio'], '.2f')} "
        f"| {number(m.get('control', m)['variance_ratio'], '.2f')} |"
    )
    if m.get("held_out", {}).get("n") is not None:
        fresh = m["held_out"]
        lines.append(
            f"| the same on {fresh['n']:,} held-out codes | {number(fresh['variance_ratio'], '.2f')} "
            f"| {number(fresh['control']['variance_ratio'], '.2f')} |"
        )
    lines += [
        f"| pairs' {r['sigma']:g}σ coverage (a Gaussian's: {r['expected']:.4f}) | {r['observed']:.4f} "
        f"± {r['std']:.4f} | {number(r['control'], '.4f')} ± {number(r['control_std'], '.4f')} |"
        for r in shape["ellipses"]["coverage"]
    ]
    counts, control = shape["correlation"]["counts"], shape["correlation"]["control"]["counts"]
    lines.append(
        f"| pairs with \\|r\\| above {', '.join(counts)} (of {shape['correlation']['n_pairs']:,}) "
        f"| {', '.join(map(str, counts.values()))} | {', '.join(map(str, control.values()))} |"
    )
    effective = shape["pca"]
    lines.append(
        f"| effective dimension (Σλ)²/Σλ² of {shape['d']} | {effective['effective_dimension']:.1f} "
        f"| {effective['control']['effective_dimension']:.1f} |"
    )
    radius = shape["radius"]
    lines.append(
        f"| length of the codes | {radius['mean']:.2f} ± {radius['std']:.2f} "
        f"| {radius['control']['mean']:.2f} ± {radius['control']['std']:.2f} |"
    )
    lines.append(
        f"| best matching cube: b, and its radius | {radius['best_cube_b']:.2f}: "
        f"{radius['cube']['mean']:.2f} ± {radius['cube']['std']:.2f} | |"
    )
    columns = [("face rate", ("face_rate",), 3)]
    columns += [(f"gap {s}", ("gap", s), 2) for s in spaces]
    columns += [(f"Fréchet {s}", ("frechet", s), 2) for s in spaces]
    columns += [(words, (key,), digits) for words, key, digits in MEASURED]
    lines += ["", "| pictures from | " + " | ".join(words for words, _, _ in columns) + " |",
              "|---" * (1 + len(columns)) + "|"]  # fmt: skip
    for name in ordered(card["rows"]):
        row = card["rows"][name]
        cells = [interval(at(row, path), digits) for _, path, digits in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"n = {card['n']} pictures a row and draw, {card['draws']} draws, seed {card['seed']}; precision "
        "and recall among reconstructions, novelty over that of held-out reconstructions.",
    ]
    return "\n".join(lines)


def cloud(run: RunFolder) -> str:
    """The joint law of a run's codes: verdict, tests, contours, origin, voids; numbers only."""
    shape = read_json(run.shape_path)
    v, tests, joint = shape["verdict"], shape["normality"], shape["joint_law"]
    answer = {True: "yes", False: "no", None: "undecided"}
    lines = ["| question | verdict | why |", "|---|---|---|"]
    for key, words in (
        ("pairs_normal", "pairs normal?"),
        ("elliptical", "elliptical?"),
        ("multivariate_normal", "jointly normal?"),
    ):
        lines.append(f"| {words} | {answer[v[key]['value']]} | {v[key]['why']} |")
    count = v["regions"]["value"]
    lines.append(f"| regions | {'undecided' if count is None else count} | {v['regions']['why']} |")
    lines += ["", "| test | n | statistic | effect | control's effect | tolerance |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    for name, tolerance in TOLERANCES.items():
        t = tests[name]
        lines.append(
            f"| {name} | {t['n_used']:,} | {number(t['statistic'], '.4g')} | {number(t['effect'], '.3g')} "
            f"| {number((t['control'] or {}).get('effect'), '.2g')} | {tolerance:g} |"
        )
    missing: dict[str, list[str]] = {}
    for name in TOLERANCES:
        if "why" in tests[name]:
            missing.setdefault(tests[name]["why"].rstrip("."), []).append(name)
    lines += [""] + [f"No {', '.join(names)}: {why}." for why, names in missing.items()]
    ellipticity, radius = joint.get("ellipticity", joint), joint.get("radius", joint)
    if "statistics" in ellipticity:
        lines += ["| departure from the fitted elliptical law | effect | null's | tolerance |",
                  "|---|---|---|---|"]  # fmt: skip
        lines += [
            f"| {name} | {number(t['effect'], '.2f')} | {number(t['null_effect'], '.2f')} "
            f"| {t['tolerance']:g} |"
            for name, t in ellipticity["statistics"].items()
        ]
        lines.append("")
    if radius.get("coverage"):
        lines += [
            "| pairs inside | Gaussian | foretold by the radius | codes |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {r['sigma']:g}σ | {r['normal']:.4f} | {number(r['predicted'], '.4f')} "
            f"| {number(r['observed'], '.4f')} |"
            for r in radius["coverage"]
        ]
        lines.append("")
    words = _radius(radius) + unmeasured("Ellipticity was", ellipticity)
    words += _contours(shape["planes"]) + _gaps(shape["voids"])
    words += _slabs(shape["origin"], shape["n"])
    return "\n".join([*lines, " ".join(words)])


def _radius(radius: dict[str, Any]) -> list[str]:
    if "t" not in radius:
        return unmeasured("The law of the radius was", radius)
    t, blind = radius["t"], radius["blind_sigma"]
    nu = "∞" if t["nu"] is None else f"{t['nu']:.1f} ± {t['nu_error']:.1f}"
    end = f"; an elliptical cloud of this radius is blind at {blind:.2f}σ." if blind else "."
    return [f"The radius as of a Student t: ν = {nu}{end}"]


def _contours(planes: dict[str, Any]) -> list[str]:
    notable = [c for c in planes.get("contours", []) if c["plane"] == "components"]
    means = [
        [
            sum(c[kind][k]["rms"] for c in notable) / len(notable)
            for kind in ("deviation", "control")
        ]
        for k in (0, 2, 4)
        if notable
        and all(c[kind][k]["rms"] is not None for c in notable for kind in ("deviation", "control"))
    ]
    if not means:
        return unmeasured("Planes were", planes)
    return [
        f"Density contours are off their ellipses by {', '.join(f'{a:.0%}' for a, _ in means)} (rms over "
        f"directions, at 1, 2, 3σ, mean of {len(notable)} notable planes; control "
        f"{', '.join(f'{b:.0%}' for _, b in means)})."
    ]


def _gaps(voids: dict[str, Any]) -> list[str]:
    gaps = {g["place"]: g["ratio"] for g in voids.get("places", []) if g["whitened"]}
    if not gaps:
        return unmeasured("Voids were", voids)
    return [
        f"Nearest code over the control's: at the centre {number(gaps['centre'], '.2f')}, at the origin "
        f"{number(gaps['origin'], '.2f')}, anywhere {number(gaps['anywhere'], '.2f')}."
    ]


def _slabs(origin: dict[str, Any], n: int) -> list[str]:
    if not origin.get("planes"):
        return unmeasured("The place of the origin was", origin)
    slab = origin["planes"][0]["slabs"][0]
    return [
        f"Codes with |x| ≤ {slab['b']:g} in all components but the two of the most correlated pair: "
        f"{slab['count']} of {n:,} (control {slab['control']})."
    ]


def strips(run: RunFolder, columns: int = 8) -> None:
    """``strips-<preset>.png``: a line of pictures for every sampler, from the run's own sheets."""
    from PIL import Image

    from latentshape.sampling_plots import save_strips

    side, rows = run.config().data.size, []
    for name in ordered(read_json(run.scorecard_path)["rows"]):
        path = run.samples_path / f"{name}.png"
        if path.exists():
            sheet = np.asarray(Image.open(path).convert("RGB"))
            tiles = [
                sheet[top : top + side, left : left + side]
                for top in range(0, sheet.shape[0], side + 2)
                for left in range(0, sheet.shape[1], side + 2)
            ]
            rows.append((name, np.stack(tiles[:columns])))
    path = HERE / f"strips-{run.config().preset}.png"
    save_strips(rows, path)
    # 256 colours a sheet: a repository keeps every version of a picture for ever.
    path.write_bytes(palette_png(path))


def experiments(run: RunFolder) -> str:
    """Tables of the experiments of ``latentshape series`` that were run."""
    parts = []
    for path in sorted(run.series_path.glob("*.json")):
        record = read_json(path)
        columns, cells = record_table(record["rows"][:SHOWN_ROWS])
        more = len(record["rows"]) - len(cells)
        parts += [
            f"**{path.stem}.** {record['question']}",
            "",
            "| " + " | ".join(columns) + " |",
            "|---" * len(columns) + "|",
            *("| " + " | ".join(row) + " |" for row in cells),
            "",
            *([f"And {more} rows more.", ""] if more else []),
            *([record["note"], ""] if "note" in record else []),
        ]
        protocol = record["protocol"]
    if not parts:
        return "Not run yet: `latentshape series --run RUN`."
    return "\n".join([*parts, f"n = {protocol['n']} pictures a row, seed {protocol['seed']}; judged against "
                      f"{protocol['reference']}."])  # fmt: skip


def series(run: RunFolder) -> str:
    """What the published experiments found on CelebA beside what this run's codes show."""
    shape = read_json(run.shape_path)
    counts, pairs = shape["correlation"]["counts"], shape["correlation"]["pairs"]
    fits = shape["component_summary"]
    dominant = len(fits["dominant"])
    rows = {r["sigma"]: r for r in shape["ellipses"]["coverage"]}
    slabs = [s for p in shape["origin"].get("planes", []) for s in p["slabs"] if s["b"] == 1.5]
    share = [f"{s['count']}" for s in slabs]
    axes = shape["pca"]["axes"]
    table = [
        ("codes, dimension", "170,000 x 256 (96 px)", f"{shape['n']:,} x {shape['d']}"),
        ("dominant components", "20", f"{dominant}"),
        (
            "pairs with |r| above 0.1, 0.2, 0.3, 0.4, 0.5, 0.6 (of 32,640)",
            "1456, 158, 44, 25, 16, 8 (on 5,000 codes)",
            ", ".join(map(str, counts.values())),
        ),
        ("strongest correlation", "-0.846", f"{pairs[0]['r']:.3f}" if pairs else "–"),
        (
            "cube of matching length",
            "b = 1.5 (1 to 2 usable)",
            f"b = {shape['radius']['best_cube_b']:.2f}",
        ),
        (
            "codes with |x| ≤ 1.5 in all components but two",
            "39 to 70 of 80,000, by pair",
            f"{', '.join(share)} of {shape['n']:,}" if share else "–",
        ),
        (
            "codes inside 1, 2, 3σ ellipses",
            "70 to 90 % (2σ), about 97 % (3σ), by eye",
            ", ".join(f"{rows[k]['observed']:.1%}" if k in rows else "–" for k in (1.0, 2.0, 3.0))
            + " (law: 39.3 %, 86.5 %, 98.9 %)",
        ),
        (
            "components Gaussian",
            "by eye, yes",
            f"fits explain {number(fits['fit_r2_mean'], '.4f')} of the counts (control "
            f"{number(fits['control']['fit_r2_mean'], '.4f')})",
        ),
        (
            "principal axes Gaussian",
            "by eye, yes",
            "excess kurtosis of the first ten: "
            + ", ".join(number(a["excess_kurtosis"], ".2f") for a in axes[:10]),
        ),
        ("one region", "by eye, yes", number(shape["verdict"]["regions"]["value"], "")),
        (
            "multivariate normal",
            "claimed, by pairs of ellipses",
            {True: "yes", False: "no: see the tests above", None: "undecided"}[
                shape["verdict"]["multivariate_normal"]["value"]
            ],
        ),
    ]
    lines = ["| figure | the series | here |", "|---|---|---|"]
    escape = str.maketrans({"|": "\\|"})
    lines += [f"| {a.translate(escape)} | {b} | {c} |" for a, b, c in table]
    return "\n".join(lines)


def fill(path: Path, begin: str, text: str) -> None:
    """Replace what stands between ``begin`` and the next end marker."""
    found = re.sub(
        rf"({re.escape(begin)}\n).*?(<!-- end -->)",
        lambda m: f"{m[1]}{text}\n{m[2]}",
        path.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    if text not in found:
        sys.exit(f"{path} has no line {begin!r}: add it, and <!-- end --> below it.")
    path.write_text(found, encoding="utf-8")


def comparators(record: dict[str, Any]) -> str:
    """The table that published comparisons leave out: models by laws, for each subject."""
    from latentshape.experiments.comparators import LAWS

    protocol, parts = record["protocol"], []
    named = {"standard-normal": "N(0, I)", "zero-mean": "N(0, Σ)", "gaussian": "N(μ, Σ)"}
    columns = ("reconstruction", *LAWS)
    for subject, options in record["subjects"].items():
        rows = [row for row in record["rows"] if row["subject"] == subject]
        laws = {(row["model"], row["law"]): row for row in rows if "law" in row}
        models = list(dict.fromkeys(row["model"] for row in rows if "law" in row))
        first = laws[models[0], "reconstruction"]
        real = laws[models[0], "real"]
        parts += [
            f"### {subject}", "",
            f"Preset {options['preset']}, {options['epochs']} epochs ({first['steps']:,} steps), n = "
            f"{first['n']} pictures a draw, {protocol['draws']} draws a seed. Real images against "
            "real images: "
            + ", ".join(
                f"{space} {spread(real[f'frechet.{space}'])}" for space in ("random-conv", "attributes")
            ) + ".", "",
        ]  # fmt: skip
        for space in ("random-conv", "attributes"):
            heads = ["reconstructions", *(named.get(law, law) for law in LAWS)]
            lead = (
                ["model", "seeds", "training", "squared error"]
                if space == "random-conv"
                else ["model"]
            )
            parts += [
                f"Fréchet distance to real test images, {space} features (gap to reconstructions "
                "in brackets):", "",
                "| " + " | ".join([*lead, *heads]) + " |", "|---" * (len(lead) + len(heads)) + "|",
            ]  # fmt: skip
            for model in models:
                row = laws[model, "reconstruction"]
                own = [model]
                if len(lead) > 1:
                    own += [
                        str(len(row["seeds"])),
                        seconds(row["train_seconds"]),
                        f"{row['mse']['value']:.5f}",
                    ]
                known = [laws[model, law][f"frechet.{space}"] for law in LAWS]
                best = min(entry["value"] for entry in known if entry)
                cells = []
                for law in columns:
                    entry, gap = (laws[model, law][f"{key}.{space}"] for key in ("frechet", "gap"))
                    if not entry or not gap:
                        cells.append("–")
                        continue
                    text = f"{spread(entry)} ({number(gap['value'], '.1f')})"
                    cells.append(
                        f"**{text}**"
                        if law != "reconstruction" and entry["value"] == best
                        else text
                    )
                parts.append("| " + " | ".join([*own, *cells]) + " |")
            parts.append("")
        parts += [*(f"- {sentence}" for sentence in record["answer"][subject]), ""]
        parts += [
            f"{row['model']}, seed {row['seeds'][0]}: not finished: {row['why']}"
            for row in rows
            if "why" in row and "law" not in row
        ]
    parts += [f"{name}: not measured. {why}" for name, why in record["not_measured"].items()]
    return "\n".join(parts).rstrip()


def spread(entry: dict[str, Any]) -> str:
    """A mean over seeds and draws with half its range."""
    return f"{entry['value']:.1f} ± {(entry['high'] - entry['low']) / 2:.1f}"


def series_page(folder: Path) -> None:
    """docs/series.md and the comparators' tables from a folder of the series."""
    from latentshape.experiments.series import series_markdown

    path = folder / "series.json"
    if path.exists():
        fill(HERE / "series.md", "<!-- claims -->", series_markdown(read_json(path)))
    path = folder / "comparators.json"
    if path.exists():
        fill(HERE / "results.md", "<!-- comparators -->", comparators(read_json(path)))


#: Pictures of the explorer: file, and state in the address.
VIEWS = (
    ("explorer", "ref=mixture:6&drawn=mixture&drawn_n=200"),
    ("explorer-gallery", "view=gallery"),
)


def explorer_pictures(run: RunFolder, width: int = 1280, height: int = 860) -> None:
    """Photograph the explorer of a run, in the browser that is installed."""
    from playwright.sync_api import sync_playwright

    from latentshape.explorer.session import Session

    sys.path.append(str(HERE.parent / "tests"))
    from explorer_page import BROWSERS
    from explorer_server import serving

    browser_path = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if browser_path is None:
        print("No Chromium: pictures of the explorer stay as they are.")
        return
    session = Session.of_run(run)
    session.warm()
    with serving(session) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for name, state in VIEWS:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(f"{address}#{state}")
            page.evaluate("() => window.explorer.ready")
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(1500)
            page.screenshot(path=HERE / f"{name}.png")
            (HERE / f"{name}.png").write_bytes(palette_png(HERE / f"{name}.png"))
            page.close()
        browser.close()


def main() -> None:
    """Update the documents from the runs named on the command line."""
    for folder in sys.argv[1:]:
        if any((Path(folder) / name).exists() for name in ("series.json", "comparators.json")):
            series_page(Path(folder))
            continue
        run = RunFolder.open(folder)
        preset = run.config().preset
        fill(HERE / "results.md", f"<!-- run: {preset} -->", results(run))
        fill(HERE / "results.md", f"<!-- cloud: {preset} -->", cloud(run))
        if preset == "celeba-64":
            fill(HERE / "results.md", "<!-- series -->", series(run))
        fill(HERE / "results.md", f"<!-- experiments: {preset} -->", experiments(run))
        kind = read_json(run.dataset_path)["kind"]
        if kind in ("faces", "mnist"):  # whose pictures may be passed on
            strips(run)
        if kind == "faces":
            for name in ("truncation", "pairwise-draws"):
                if (run.series_path / f"{name}.png").exists():
                    shutil.copy(run.series_path / f"{name}.png", HERE / f"{name}.png")
            save_png(HERE / "faces.png", picture(run))
            explorer_pictures(run)
            fill(
                HERE.parent / "README.md",
                "<!-- table: python docs/update.py runs/faces -->",
                table(run),
            )


if __name__ == "__main__":
    main()
