"""The notebooks of the site run, each in a fresh kernel, and show what they are committed to show."""

import runpy
from pathlib import Path

import nbformat
import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"
SCRIPT = runpy.run_path(str(DOCS / "execute_notebooks.py"))
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all: those that train the same model train it once."""
    return tmp_path_factory.mktemp("notebooks")


def kinds(notebook):
    """Of every code cell: what kinds of output it has, as they are kept."""
    return [
        sorted({kind for o in cell.outputs for kind in o.get("data", {"text/plain": ""})})
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(path, folder):
    ran = SCRIPT["kept"](SCRIPT["executed"](path, folder))
    assert kinds(ran) == kinds(nbformat.read(path, as_version=4))


def test_whatever_a_page_would_fetch_from_elsewhere_is_found():
    foreign = runpy.run_path(str(DOCS / "offline.py"))["foreign"]
    assert foreign(
        """<script async src="https://a.org/x.js"></script> <link href="//b.org/s.css" rel="stylesheet">
        <img alt="" src='http://c.org/i.png'> @import url(https://d.org/f.css); src: url("https://e.org/f.woff2")"""
    ) == [
        "https://a.org/x.js",
        "//b.org/s.css",
        "http://c.org/i.png",
        "https://d.org/f.css",
        "https://e.org/f.woff2",
    ]
    assert not foreign(
        '<a href="https://a.org">a</a> <link rel="next" href="b.html"> <img src="c.png">'
    )
