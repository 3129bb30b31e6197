"""What the documents say is what the program does: every command and snippet of README and pages is run."""

import inspect
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
from tiny_run import copy, finished, hurry  # noqa: F401  (fixtures)
from tiny_run import words as tiny_words

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FEW = "standard-normal,gaussian,pairwise-ellipse,training-codes"
#: Later words win on the command line, so these shrink any documented run to seconds.
SMALL = shlex.split(
    "--data faces:n=260 --size 32 --filters 8,16 --latent-dim 8 --epochs 1 --judged 20 --judged-draws 2"
    f" --samplers {FEW}"
)


#: The site: its pages, those that a program wrote or that only tell what has been, and all others.
PAGES = sorted((ROOT / "docs").glob("*.md"))
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands(text: str = README) -> list[list[str]]:
    return [words for block in blocks("sh", text) for words in commands_of(block)]


def commands_of(block: str) -> list[list[str]]:
    lines = block.replace("\\\n", " ").splitlines()
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
    adopt = latentshape.adopt
    monkeypatch.setattr(
        latentshape,
        "adopt",
        lambda *args, **options: adopt(*args, **options, n=12, draws=2, samplers=FEW),
    )
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
    assert np.asarray(Image.open(place / "new-faces.png")).shape[2] == 3


#: Words of a shell that are not ours.
OUTSIDE = {"curl", "make", "pip", "python", "python3"}


def left_out(words: list[str]) -> str | None:
    """Why a documented command is parsed here and not run; None where it is run."""
    verb = words[0]
    if verb in ("train", "encode", "analyze", "evaluate", "report") and "runs/faces" in words:
        return "a stage of the run that was made already"
    if verb == "run" and "runs/faces" not in words:
        return "another run: its config is resolved, by --dry-run"
    if verb == "sweep" and "train" not in words:
        return "minutes; the README's sweep is run"
    if verb == "series" and "--quick" not in words:
        return "minutes to hours; the README's experiments are run"
    if verb == "series" and "--run" not in words:
        return "half an hour; tests/test_series.py goes through it"
    if verb == "export" and ("--static" in words or "--onnx" in words):
        return "needs ONNX; tests/frameworks has it"
    if verb == "adopt":
        return "needs ONNX or Keras; tests/frameworks has them"
    if "--where" in words:
        return "needs more faces than the tiny run has; the README's wish is run"
    if any("celeba" in word for word in words):
        return "needs CelebA"
    return None


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "data.md"], ids=lambda p: p.stem
)
def test_every_command_and_snippet_of_a_page_runs(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the page, as a reader would; ``runs/faces`` is the tests' tiny run."""
    text = page.read_text(encoding="utf-8")
    steps = re.findall(r"```(sh|python)\n(.*?)```", text, flags=re.DOTALL)
    parse = latentshape.cli._parser().parse_args  # type: ignore[attr-defined]
    todo: list[list[str] | str] = []
    for language, block in steps:
        if language == "python":
            if "owner/name" not in block:  # asks the hub; tests/test_sharing.py plays it
                todo.append(block)
            continue
        for words in commands_of(block):
            if words[0] != "latentshape":
                assert words[0] in OUTSIDE
                continue
            parse(words[1:])
            if words[1] == "run" and left_out(words[1:]):
                assert main([*words[1:], "--dry-run"]) == 0
            elif not left_out(words[1:]):
                todo.append(words[1:])
    if not todo:
        return
    run = request.getfixturevalue("copy")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/faces").symlink_to(run.path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: None)
    adopt = latentshape.adopt
    monkeypatch.setattr(
        latentshape,
        "adopt",
        lambda *args, **options: adopt(*args, **options | {"stages": ["encode"]}),
    )
    shrunk = {
        **dict.fromkeys(("run", "train", "sweep"), tiny_words()),
        "explore": ["--no-browser", "--port", "0"],
    }
    namespace = theirs(64 if page.stem == "adapters" else 16)
    for step in todo:
        if isinstance(step, str):
            exec(compile(step, page.name, "exec"), namespace)
        else:
            assert main([*step, *shrunk.get(step[0], [])]) == 0, step


def theirs(side: int = 16) -> dict[str, object]:
    """A model and images of a reader's own, as the README and the pages have them."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((3 * side * side, 4)))[0].astype(np.float32)

    def encode(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1) @ basis

    def decode(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(z @ basis.T))).reshape(-1, 3, side, side)

    images = rng.integers(0, 256, (120, side, side, 3), dtype=np.uint8)
    model = (encode, decode)
    return {"ls": latentshape, "your_model": model, "model": model, "images": images}


def test_the_tables_of_the_documents_come_from_a_runs_own_files(
    finished: RunFolder,  # noqa: F811
) -> None:
    update = runpy.run_path(str(ROOT / "docs/update.py"))
    run = finished
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
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *NOTEBOOKS):
        if "_build" in page.parts:
            continue
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_in_the_sites_table_of_contents() -> None:
    docs = ROOT / "docs"
    index = (docs / "index.md").read_text(encoding="utf-8")
    entries = " ".join(re.findall(r"```{toctree}\n(.*?)```", index, flags=re.DOTALL)).split()
    pages = {
        page.relative_to(docs).with_suffix("").as_posix()
        for page in (*PAGES, *NOTEBOOKS, *(docs / "api").glob("*.md"))
    }
    assert sorted(entries[k] for k in range(len(entries)) if entries[k] in pages) == sorted(
        pages - {"index"}
    )


def test_the_page_on_the_command_line_is_what_the_program_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If this fails: python docs/reference.py."""
    monkeypatch.setenv("COLUMNS", "43")  # the page does not depend on anybody's terminal
    reference = runpy.run_path(str(ROOT / "docs/reference.py"))
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert page == reference["cli_page"]()
    verbs = [name for name, _, _ in reference["_verbs"](latentshape.cli._parser())]  # type: ignore[attr-defined]
    assert {"run", "sample", "data inspect"} <= set(verbs)
    assert re.findall(r"^## latentshape (.+)$", page, flags=re.MULTILINE) == verbs
    # Options of the config stand there once, all others with their command.
    for flag in (
        "--latent-dim N",
        "--towards-neighbours S",
        "--pixel-range LOW,HIGH",
        "--layout NAME",
    ):
        assert page.count(f"`{flag}`") == 1


def test_every_public_name_is_on_the_page_about_python() -> None:
    reference = runpy.run_path(str(ROOT / "docs/reference.py"))
    shown = re.findall(
        r"^\.\. auto\w+:: latentshape\.(?:\w+\.)*(\w+)$", reference["public_names"](), re.MULTILINE
    )
    assert sorted(shown) == sorted(latentshape.__all__)
    samplers = reference["samplers"]()
    for name in SAMPLERS:
        assert f"`{name} <" in samplers


@pytest.mark.parametrize("name", latentshape.__all__)
def test_every_public_name_is_documented_typed_and_shown(name: str) -> None:
    value = getattr(latentshape, name)
    pages = [README, *(page.read_text(encoding="utf-8") for page in PAGES)]
    snippets = "".join(block for text in pages for block in blocks("python", text))
    documented = inspect.getdoc(value) or ""
    if name not in (
        "InputError",
        "SAMPLERS",
    ):  # shown by those that raise it, and by a table of its own
        assert ">>> " in documented or re.search(rf"\bls\.{name}\b", snippets), "no example"
    if not callable(value) or (inspect.isclass(value) and issubclass(value, Exception)):
        return
    signature = inspect.signature(value)
    for parameter in signature.parameters.values():
        assert parameter.annotation is not parameter.empty, parameter
        assert re.search(rf"^ +\**{parameter.name}: ", documented, re.MULTILINE), parameter
    if not inspect.isclass(value):
        assert signature.return_annotation is not signature.empty
        assert ("Returns:" in documented) == (signature.return_annotation not in (None, "None"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_were_executed_from_top_to_bottom(path: Path) -> None:
    """That they still run: tests/frameworks/test_notebooks.py."""
    assert path.stat().st_size < 700_000
    cells = [
        c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"
    ]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert sum("image/png" in o.get("data", {}) for o in outputs) >= 2
    assert not re.search(
        r"/(home|tmp|root|work)/", json.dumps([c["source"] for c in cells] + outputs)
    )


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
