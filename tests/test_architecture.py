"""Imports point one way, and what is light stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import latentshape

ROOT = Path(latentshape.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

#: Rooms from the bottom up; a room may import rooms of lower or equal rank.
RANK = {
    "errors": 0, "files": 0, "config": 0, "runs": 0, "images": 0, "processes": 0, "progress": 0, "_checks": 0,
    "adapters": 1, "animation": 1, "conditions": 1, "data": 1, "facts": 1, "models": 1, "samplers": 1,
    "shape": 1,
    "attributes": 2, "code_tables": 2, "codes": 2, "conditional": 2, "flows": 2, "neighbourhood": 2,
    "training": 2, "walks": 2,
    "decoding": 3, "innermost": 3,
    "evaluation": 4, "onnx_export": 4,
    "analysis": 5, "innermost_plots": 5, "photos": 5, "plots": 5, "position_plots": 5,
    "report": 5, "sampling_plots": 5, "shape_plots": 5, "walk_plots": 5,
    "drawing": 6, "pipeline": 6, "walking": 6,
    "adopting": 7, "experiments": 7, "explorer": 7, "sharing": 7,
    "cli": 8,
    "__main__": 9,
}  # fmt: skip
HEAVY = ("torch", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "jinja2", "safetensors",
         "starlette", "uvicorn")  # fmt: skip
#: The codes' rooms: they know arrays, and nothing of pictures or networks.
NUMPY_ONLY = {
    "samplers": {"_checks", "errors", "files", "shape"},
    "shape": {"_checks", "errors", "files", "samplers"},
}


def room(path: Path) -> str:
    part = path.relative_to(ROOT).parts[0]
    return part.removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module a file imports anywhere, in full; type-checking imports left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms_imported(path: Path) -> set[str]:
    parts = (name.split(".") for name in imported(path) if name.startswith("latentshape."))
    return {name[1] for name in parts if name[1] in RANK}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_room_has_its_rank_and_every_rank_its_room():
    assert {room(path) for path in MODULES} - {"__init__"} == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_point_one_way(path):
    if room(path) == "__init__":
        return  # public names, imported on first use
    for other in rooms_imported(path):
        assert RANK[other] <= RANK[room(path)], f"{name(path)} imports {other}"


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) in NUMPY_ONLY], ids=name)
def test_shape_and_samplers_know_neither_torch_nor_pictures(path):
    assert rooms_imported(path) - {room(path)} <= NUMPY_ONLY[room(path)]
    for module in imported(path):
        assert module.split(".")[0] not in ("torch", "PIL", "matplotlib"), module


def test_data_and_models_do_not_know_each_other():
    for path in MODULES:
        if room(path) in ("data", "models"):
            assert not rooms_imported(path) & ({"data", "models"} - {room(path)}), name(path)


def test_only_the_main_module_imports_the_command_line():
    users = {room(path) for path in MODULES if "cli" in rooms_imported(path)}
    assert users == {"__main__"}


def test_only_images_opens_pictures_and_only_the_border_modules_change_their_range():
    openers = {name(path) for path in MODULES if "Image.open(" in path.read_text(encoding="utf-8")}
    assert openers == {"images.py"}


def test_no_pickle_and_no_torchvision():
    for path in MODULES:
        roots = {module.split(".")[0] for module in imported(path)}
        assert not roots & {"pickle", "torchvision"}, name(path)
        files = {
            m for m in imported(path) if m.split(".")[0] == "joblib"
        }  # for its processes alone
        assert files <= {"joblib", "joblib.Parallel", "joblib.delayed"}, name(path)
        text = path.read_text(encoding="utf-8")
        if name(path) != "evaluation/weights.py":  # where a user's own file of weights is read
            assert "torch.load(" not in text, name(path)
            continue
        calls = [
            node
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
        ]
        assert text.count("torch.load(") == len(calls) == 1
        assert "weights_only=True" in ast.unparse(calls[0])


def loaded(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import latentshape", HEAVY),
        ("import latentshape.shape, latentshape.samplers; latentshape.samplers.Sampler",
         ("torch", "matplotlib", "PIL", "jinja2")),
        ("import latentshape.cli, contextlib\n"
         "for words in (['--help'], ['run', '--help'], ['sample', '--help'], ['--version']):\n"
         "    with contextlib.suppress(SystemExit): latentshape.cli.main(words)", HEAVY),
        ("import latentshape.cli\nlatentshape.cli.main(['run', '--dry-run'])", HEAVY),
    ],
    ids=["package", "shape-samplers", "help", "dry-run"],
)  # fmt: skip
def test_what_is_light_stays_light(statement, absent):
    modules = loaded(statement)
    assert "latentshape" in modules
    assert not modules & set(absent)


def test_the_public_names_are_there():
    assert sorted(latentshape.__all__, key=str.casefold) == sorted(
        latentshape._HOMES, key=str.casefold
    )
    for public in latentshape.__all__:
        assert getattr(latentshape, public) is not None
    assert set(latentshape.__all__) <= set(dir(latentshape))
    with pytest.raises(AttributeError, match="nonsense"):
        latentshape.nonsense  # noqa: B018
