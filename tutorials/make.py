"""Make the notebooks of the course from their sources, `tutorials/src/NN_name.py`, and one of exercises alone.

    python tutorials/make.py            all of them
    python tutorials/make.py 02 find    those whose names begin so
    python tutorials/make.py --check    make nothing; say where a committed output is no longer what the code gives

A source is a text in jupytext's percent form. Each becomes three notebooks:

- ``tutorials/NN_name.ipynb``: the lecture, with outputs. The exercises are there, and not their solutions.
- ``tutorials/exercises/NN_name.ipynb``: the same without outputs, to be worked in.
- ``tutorials/solutions/NN_name.ipynb``: with the solutions in the place of the gaps, and with outputs.

A cell with the tag "gap" is what students begin with; the one with the tag "solution" after it is what stands there in
the end. It needs what ``pip install "floatlab[course]"`` brings.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
SOURCES = HERE / "src"
EDITIONS = {
    "": "solution",
    "exercises": "solution",
    "solutions": "gap",
}  # folder, and the tag that is left out


def sources() -> list[Path]:
    """Return the files that the notebooks are made of."""
    return sorted(SOURCES.glob("*.py"))


def edition(source: Path, without: str) -> Any:
    """Return the notebook of a source, not run yet, without the cells of one tag."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.cells = [cell for cell in notebook.cells if without not in cell.metadata.get("tags", [])]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{source.stem[:2]}-{number:02d}"
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return notebook


def run(notebook: Any) -> Any:
    """Run a notebook in a clean kernel, and leave nothing in it that differs from run to run."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    place = {"metadata": {"path": str(HERE)}}
    NotebookClient(notebook, timeout=300, resources=place, coalesce_streams=True).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = _smaller(data["image/png"])
    return notebook


def _smaller(picture: str) -> str:
    """Return a picture in a palette, at most as large."""
    from base64 import b64decode, b64encode

    image = Image.open(io.BytesIO(b64decode(picture))).convert("RGB").quantize(96, dither=Image.Dither.NONE)
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return b64encode(written.getvalue()).decode()


def shown(notebook: Any) -> list[list[str]]:
    """Return the texts that each code cell shows: what a committed notebook is compared by."""
    return [
        [
            re.sub(
                r"0x[0-9a-f]{9,}", "0x...", output.get("text") or output.get("data", {}).get("text/plain", "")
            )
            for output in cell.outputs
            if output.output_type in ("stream", "execute_result", "display_data")
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def make(source: Path) -> None:
    """Write the three notebooks of a source."""
    for folder, without in EDITIONS.items():
        notebook = edition(source, without)
        if folder != "exercises":
            notebook = run(notebook)
        path = HERE / folder / f"{source.stem}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
        print(f"Written: {path.relative_to(HERE.parent)}, {path.stat().st_size // 1024} KiB")


def differences(source: Path) -> list[str]:
    """Return what a committed lecture shows that the code of today does not."""
    path = HERE / f"{source.stem}.ipynb"
    old, new = nbformat.read(path, as_version=4), run(edition(source, "solution"))
    if [cell.source for cell in old.cells] != [cell.source for cell in new.cells]:
        return [f"{path.name} was not made from {source.name} as it is now."]
    return [
        f"{path.name}, code cell {number}: shows {now!r:.200}, and not {before!r:.200}."
        for number, (before, now) in enumerate(zip(shown(old), shown(new), strict=True))
        if before != now
    ]


def main() -> int:
    """Make the notebooks that are asked for, or compare them."""
    asked = [word for word in sys.argv[1:] if not word.startswith("-")]
    chosen = [source for source in sources() if not asked or source.stem.startswith(tuple(asked))]
    if "--check" in sys.argv[1:]:
        found = [line for source in chosen for line in differences(source)]
        print("\n".join(found) or "Every notebook shows what the code gives.")
        return bool(found)
    for source in chosen:
        make(source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
