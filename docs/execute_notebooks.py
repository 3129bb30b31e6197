"""Execute the notebooks of docs/notebooks, each in a fresh kernel, and keep what they show.

    python docs/execute_notebooks.py [NAME ...]

They are executed in one empty folder, so that those that train the same model train it once. Their pictures
are kept in 256 colours, because a repository keeps every version of a picture for ever; lines on standard
error (what is being done, how far it is) are not kept.
"""

import base64
import io
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from latentshape.images import palette_png

NOTEBOOKS = Path(__file__).parent / "notebooks"


def executed(path: Path, folder: Path, timeout: int = 900) -> nbformat.NotebookNode:
    """A notebook as it is after all its cells ran in ``folder``, in a kernel of its own.

    Raises:
        CellExecutionError: A cell raised; the message holds its traceback.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=timeout, resources={"metadata": {"path": str(folder)}}, record_timing=False
    )  # fmt: skip
    client.execute()
    return notebook


def kept(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook as it goes into the repository."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata = {}
        cell.outputs = _merged([one for one in cell.outputs if one.get("name") != "stderr"])
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = _palette(data["image/png"])
    return notebook


def _merged(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """What was printed in several pieces, as one."""
    merged: list[nbformat.NotebookNode] = []
    for one in outputs:
        if merged and one.output_type == merged[-1].output_type == "stream":
            merged[-1].text += one.text
        else:
            merged.append(one)
    return merged


def _palette(encoded: str) -> str:
    return base64.b64encode(palette_png(io.BytesIO(base64.b64decode(encoded)))).decode()


def main() -> None:
    """Execute the notebooks that are named on the command line; without a name all of them."""
    names = sys.argv[1:] or sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path, began = NOTEBOOKS / f"{name}.ipynb", time.perf_counter()
            notebook = kept(executed(path, Path(folder)))
            nbformat.write(notebook, path)
            size = path.stat().st_size / 1000
            print(f"{name}: {time.perf_counter() - began:.0f} s, {size:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
