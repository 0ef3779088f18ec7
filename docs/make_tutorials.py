"""Lay the course where Sphinx finds it: the notebooks of tutorials/, with their outputs, and their list.

python docs/make_tutorials.py          into docs/tutorials; the site's conf.py does the same

Nothing is run. Links are changed to where their targets are in the site, and the alternative text of a figure, which a
notebook keeps beside its output, is put where MyST-NB looks for it.
"""

import json
import re
import shutil
from pathlib import Path

DOCS = Path(__file__).parent
COURSE = DOCS.parent / "tutorials"
EDITIONS = ("exercises", "solutions")  # to be downloaded; they are no pages

# How pages are linked in the repository, and how in the site. MyST wants a name of its own for each word of the
# glossary.
_LINKS = (
    (re.compile(r'<a id="([\w-]+)"></a>'), r"(glossary-\1)="),
    (re.compile(r"\]\((?:\.\./)*glossary\.md#([\w-]+)\)"), r"](#glossary-\1)"),
    (re.compile(r"\]\(\.\./((?:\.\./)*tutorials/)"), r"](\1"),
    (re.compile(r"(\]\((?:\.\./)*tutorials/)README\.md\)"), r"\1index.md)"),
)


def write(folder: Path) -> None:
    """Write the pages of the course into a folder that holds nothing else.

    A page that is there already, and is the same, is left alone, so that Sphinx need not read it again.
    """
    lectures = sorted(COURSE.glob("*.ipynb"))  # the numbered ones come first
    for edition in EDITIONS:
        (folder / edition).mkdir(parents=True, exist_ok=True)
        for lecture in lectures:
            shutil.copy2(COURSE / edition / lecture.name, folder / edition / lecture.name)
    _write(folder / "index.md", index([lecture.stem for lecture in lectures]))
    for lecture in lectures:
        _write(folder / lecture.name, page(lecture.read_text(encoding="utf-8")))


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def index(names: list[str]) -> str:
    """Return the list of the course: the one of the repository, and below it what can be downloaded."""
    text = (COURSE / "README.md").read_text(encoding="utf-8")
    for place in (*EDITIONS, "src"):
        text = text.replace(f"[{place}]({place})", f"`tutorials/{place}`")
    rows = [
        f"| {name[:2] if name[0].isdigit() else name.replace('_', ' ')} | "
        + " | ".join(f"{{download}}`{name}.ipynb <{edition}/{name}.ipynb>`" for edition in EDITIONS)
        + " |"
        for name in names
    ]
    toctree = ["```{toctree}", ":hidden:", "", *names, "```"]
    head = ["## To download", "", "| notebook | to work in | to compare with |", "|---|---|---|"]
    return "\n".join([text, *head, *rows, "", *toctree, ""])


def page(text: str) -> str:
    """Return a notebook as the site shows it.

    >>> cell = {"cell_type": "code", "metadata": {}, "outputs": [{"metadata": {"image/png": {"alt": "A line."}}}]}
    >>> json.loads(page(json.dumps({"cells": [cell]})))["cells"][0]["metadata"]
    {'mystnb': {'image': {'alt': 'A line.'}}}
    """
    notebook = json.loads(text.replace("](../docs/", "](../").replace("](#Sources)", "](#sources)"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
                cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def with_links(text: str) -> str:
    """Return the text of a page whose links to the course, and to words of the glossary, are those of the site.

    >>> with_links('<a id="tie"></a>'), with_links("[tie](../glossary.md#tie)")
    ('(glossary-tie)=', '[tie](#glossary-tie)')
    >>> with_links("[the course](../../tutorials/README.md)"), with_links("[01](../tutorials/01_x.ipynb)")
    ('[the course](../tutorials/index.md)', '[01](tutorials/01_x.ipynb)')
    """
    for pattern, link in _LINKS:
        text = pattern.sub(link, text)
    return text


if __name__ == "__main__":
    write(DOCS / "tutorials")
