"""What the documents say is what the program does: every command and snippet of the README is run."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import latentshape
from latentshape.cli import main
from latentshape.config import PRESETS, make_config
from latentshape.data.crops import CROPS
from latentshape.data.faces import LAWS
from latentshape.data.layouts import LAYOUTS
from latentshape.data.spec import KINDS
from latentshape.files import write_json
from latentshape.runs import RunFolder
from latentshape.samplers import SAMPLERS
from latentshape.shape import measure
from tiny_run import hurry

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Later words win on the command line, so these shrink any documented run to seconds.
SMALL = shlex.split(
    "--data faces:n=260 --size 32 --filters 8,16 --latent-dim 8 --epochs 1 --judged 20 --judged-draws 2"
)


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands(text: str = README) -> list[list[str]]:
    lines = "".join(blocks("sh", text)).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def test_the_readme_documents_both_make_targets_and_they_exist() -> None:
    documented = [words[1] for words in commands() if words[0] == "make"]
    assert documented == ["demo", "test"]
    for target in documented:
        done = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_demo_is_the_documented_run_command() -> None:
    """Then running the documented command below is running what ``make demo`` runs."""
    done = subprocess.run(
        ["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ran = shlex.split(next(line for line in done.stdout.splitlines() if "latentshape run" in line))[
        1:
    ]
    documented = next(c[1:] for c in commands() if c[:2] == ["latentshape", "run"])
    parse = latentshape.cli._parser().parse_args  # type: ignore[attr-defined]
    assert vars(parse(ran)) == vars(parse(documented))


def test_every_command_of_the_page_on_data_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    ran = [words[1:] for words in commands(text)]
    assert {words[1] for words in ran} == {"inspect", "make", "cache"}
    for words in ran:
        assert main(words) == 0
    for sheet in ("contact-sheet.png", "heavy.png", "yaw.png"):
        with Image.open(sheet) as picture:
            assert picture.width > 400


def test_the_page_on_data_names_what_there_is() -> None:
    text = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    for crop, box in CROPS.items():
        assert f"| `{crop}` | {', '.join(map(str, box))} |" in text
    for law in LAWS:
        assert f"| `{law}` |" in text
    assert f"`{' '.join(KINDS)}`" in text
    assert f"`{' '.join(LAYOUTS)}`" in text


def test_every_command_and_snippet_of_the_readme_runs(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    hurry(monkeypatch)
    served: list[object] = []
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: served.append(server))
    ran = [words[1:] for words in commands() if words[0] == "latentshape"]
    assert len(ran) >= 3
    shrunk = {
        **dict.fromkeys(("run", "train", "sweep"), SMALL),
        "explore": ["--no-browser", "--port", "0"],
    }
    for words in ran:
        assert main([*words, *shrunk.get(words[0], [])]) == 0
    assert len(served) == 1  # it would have answered until it is interrupted
    for artefact in ("report.html", "shape.json", "scorecard.json", "model.safetensors"):
        assert (place / "runs/faces" / artefact).stat().st_size > 0
    assert len(list((place / "new-faces/images").iterdir())) == 16
    assert (place / "shape-of-any-array/shape.json").exists()
    snippets = blocks("python")
    assert len(snippets) == 2
    assert len([line for line in snippets[0].splitlines() if line.strip()]) == 8
    exec(compile(snippets[0], "README.md", "exec"), {})
    exec(compile(snippets[1], "README.md", "exec"), theirs())
    assert (place / "runs/mine/report.html").exists()
    [explorer] = blocks("python", (ROOT / "docs/explorer.md").read_text(encoding="utf-8"))
    exec(compile(explorer, "docs/explorer.md", "exec"), {})
    assert np.asarray(Image.open(place / "new-faces.png")).shape[2] == 3


def theirs() -> dict[str, object]:
    """A model and images of a reader's own, as the README has them."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((3 * 16 * 16, 4)))[0].astype(np.float32)

    def encode(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1) @ basis

    def decode(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(z @ basis.T))).reshape(-1, 3, 16, 16)

    images = rng.integers(0, 256, (120, 16, 16, 3), dtype=np.uint8)
    return {"ls": latentshape, "your_model": (encode, decode), "images": images}


def test_the_tables_of_the_documents_come_from_a_runs_own_files(place: Path) -> None:
    """After the test above, on the run that it made."""
    update = runpy.run_path(str(ROOT / "docs/update.py"))
    run = RunFolder.open(place / "runs/faces")
    card = json.loads(run.scorecard_path.read_text())
    shape = json.loads(run.shape_path.read_text())
    table, results = update["table"](run), update["results"](run)
    for words in ("N(μ, Σ)", "uniform cube", "seed 0", f"n = {card['n']} pictures"):
        assert words in table
    assert f"{card['rows']['gaussian']['face_rate']['value']:.3f}" in table
    assert f"{shape['mahalanobis']['variance_ratio']:.2f}" in results
    for name in card["rows"]:
        assert f"| {name} |" in results
    assert update["picture"](run, columns=4).shape == (4 * 32 + 3 * 6, 4 * 32, 3)


#: Codes of which much cannot be measured: too few, one component alone, nothing but one that varies.
POOR = {
    "few": np.random.default_rng(0).standard_normal((6, 16)),
    "line": np.random.default_rng(0).standard_normal((300, 1)),
    "alone": np.pad(np.random.default_rng(0).standard_normal((300, 1)), ((0, 0), (0, 3))),
}


@pytest.mark.parametrize("kind", POOR)
def test_what_could_not_be_measured_is_a_dash_or_a_reason(kind: str, tmp_path: Path) -> None:
    update = runpy.run_path(str(ROOT / "docs/update.py"))
    shape = measure(POOR[kind], held_out=POOR[kind] + 1)
    card = {"features": {"pixels": {}}, "rows": {}, "n": 3, "draws": 1, "seed": 0}
    paths = {name: tmp_path / f"{name}.json" for name in ("shape", "scorecard", "dataset")}
    for path, content in zip(paths.values(), (shape, card, {"images": 9, "splits": {"train": 9}})):
        write_json(path, content)
    stage = {"seconds": 1, "parameters": 5, "precision": "fp32", "threads": 1}
    run = SimpleNamespace(
        config=make_config,
        stages=lambda: {"train": stage},
        metrics=lambda: [{"heldout_mse": 0.1}],
        **{f"{name}_path": path for name, path in paths.items()},
    )
    pages = {name: update[name](run) for name in ("results", "cloud", "series")}
    for text in pages.values():
        assert "None" not in text
        assert not re.search(r"\bnan\b", text)
        tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
        for table in tables:
            rows = [row.replace("\\|", "").count("|") for row in table.splitlines()]
            assert len(set(rows)) == 1, table
    unknown = [shape[part]["why"] for part in ("planes", "voids", "origin") if "why" in shape[part]]
    assert unknown
    for why in unknown:
        assert f"not measured: {why.rstrip('.')}." in pages["cloud"]
    unmade = {t["why"].rstrip(".") for name, t in shape["normality"].items() if "why" in t}
    for why in unmade:
        assert f": {why}." in pages["cloud"]
    if shape["mahalanobis"]["variance_ratio"] is None:
        assert "to the exact law | – | – |" in pages["results"]


def test_the_committed_tables_are_filled() -> None:
    results = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    for text in (README, results):
        sections = re.findall(
            r"<!-- (?:run|table): (.*?) -->\n(.*?)<!-- end -->", text, flags=re.DOTALL
        )
        assert sections
        for name, section in sections:
            assert "| gaussian |" in section or "| **N(μ, Σ)**" in section
            preset = name if name in PRESETS else "faces-64"
            assert f"n = {make_config(preset).evaluation.n} pictures" in section
            assert "seed 0" in section
            row = next(
                r
                for r in section.splitlines()
                if r.startswith("| reconstruction") or "floor |" in r
            )
            assert "| – |" not in row or name == "mnist"  # digits have no faces to count


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_section_of_a_document_is_empty() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for name, section in re.findall(
            r"<!-- (.*?) -->\n(.*?)<!-- end -->", text, flags=re.DOTALL
        ):
            assert section.strip(), f"{page.name}: {name}"


def test_public_names_are_what_all_says() -> None:
    assert set(latentshape.__all__) == set(latentshape._HOMES)
    for name in latentshape.__all__:
        assert getattr(latentshape, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        latentshape.nothing  # noqa: B018


def test_the_count_of_samplers_is_true() -> None:
    words = {14: "fourteen", 15: "fifteen", 16: "sixteen"}
    assert f"in {words[len(SAMPLERS)]} ways" in README.replace("\n", " ")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("\n  ", " ")
    assert f"`{' '.join(SAMPLERS)}`" in changelog
