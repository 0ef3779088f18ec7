"""Every notebook has the same anatomy, three editions, exercises that can be solved, and shows what the code gives."""

from __future__ import annotations

import importlib.util
import math
import re
from pathlib import Path

import numpy as np
import pytest

import floatlab as fl
from floatlab.course.exercises import EXERCISES

TUTORIALS = Path(__file__).parents[2] / "tutorials"
SOURCES = sorted((TUTORIALS / "src").glob("*.py"))
LECTURES = [source for source in SOURCES if source.stem[:2].isdigit()]
EACH = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
EACH_LECTURE = pytest.mark.parametrize("source", LECTURES, ids=lambda path: path.stem)

ANATOMY = [
    "What you need to know", "New words", "Predict", "Run", "Explain", "Exercises", "What next", "Sources",
]  # fmt: skip


@pytest.fixture(scope="module")
def maker():
    for name in ("jupytext", "nbformat", "nbclient", "PIL"):
        pytest.importorskip(name)
    spec = importlib.util.spec_from_file_location("make_notebooks", TUTORIALS / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(source):
    """Return the words of a source, without the marks of a comment."""
    return re.sub(r"^# ?", "", source.read_text(encoding="utf-8"), flags=re.MULTILINE)


def cells(source, tag):
    """Return the code of the cells with a tag."""
    parts = re.split(r"^# %%", source.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [part.partition("\n")[2] for part in parts if f'tags=["{tag}"]' in part.partition("\n")[0]]


@EACH_LECTURE
def test_the_anatomy_is_that_of_every_lecture(source):
    text = text_of(source)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ANATOMY
    assert re.match(rf"%% \[markdown\]\n# {source.stem[:2]} \w+", text)
    assert "**Aim.**" in text and re.search(r"\*\*Time:\*\* \d+ minutes", text)
    assert text.count("fl.course.predict(") >= 2
    assert text.count(".compare(") == text.count("fl.course.predict(")


@EACH_LECTURE
def test_new_words_are_in_the_glossary_and_linked_there(source):
    words = text_of(source).split("## New words")[1].split("%%")[0]
    anchors = re.findall(r"\]\(\.\./docs/glossary\.md#([\w-]+)\)", words)
    glossary = (TUTORIALS.parent / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert anchors and all(f'<a id="{anchor}"></a>' in glossary for anchor in anchors)


def test_the_glossary_is_in_order():
    glossary = (TUTORIALS.parent / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = [word.casefold() for word in re.findall(r"^\*\*(.+?)\*\* ·", glossary, re.MULTILINE)]
    assert words == sorted(words) and len(words) == glossary.count("<a id=")


@EACH
def test_lines_are_short_enough_to_be_read_beside_each_other(source):
    assert [line for line in source.read_text(encoding="utf-8").splitlines() if len(line) > 120] == []


@EACH
def test_links_lead_somewhere(source):
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", text_of(source)):
        assert (TUTORIALS / target).exists(), target


@EACH
def test_the_editions_are_made_of_the_source(source, maker):
    import nbformat

    for folder, without in maker.EDITIONS.items():
        made = nbformat.read(TUTORIALS / folder / f"{source.stem}.ipynb", as_version=4)
        assert [c.source for c in made.cells] == [c.source for c in maker.edition(source, without).cells]
        shows = [cell for cell in made.cells if cell.get("outputs")]
        assert bool(shows) == (folder != "exercises")
        assert not any(o.output_type == "error" for cell in shows for o in cell.outputs)


@EACH
def test_no_line_of_a_solution_is_left_where_students_work(source):
    for folder in ("", "exercises"):
        page = (TUTORIALS / folder / f"{source.stem}.ipynb").read_text(encoding="utf-8")
        gaps = "\n".join(cells(source, "gap"))
        for line in "\n".join(cells(source, "solution")).splitlines():
            words = line.split("  #")[0].strip()
            if len(words) > 12 and words not in gaps:
                assert words.replace("\\", "\\\\").replace('"', '\\"') not in page, words


@EACH
def test_every_solution_passes_and_every_gap_fails_with_a_hint(source):
    number = source.stem[:2] if source in LECTURES else "F"
    mine = [name for name in EXERCISES if name.startswith(f"{number}.")]
    checked = re.findall(r'fl\.course\.check\("([\w.]+)", (\w+)\)', source.read_text(encoding="utf-8"))
    assert [name for name, _ in checked] == mine
    for tag, passes in (("solution", True), ("gap", False)):
        namespace = {"fl": fl, "np": np, "math": math}
        for code in cells(source, tag):
            exec(code, namespace)
        for name, function in checked:
            verdict = fl.course.check(name, namespace[function])
            assert verdict.passed == passes, str(verdict)
            assert passes or (verdict.hint and "raises" not in verdict.said)


@EACH
def test_the_notebook_shows_what_the_code_gives(source, maker, monkeypatch):
    monkeypatch.setenv("FLOATLAB_QUICK", "")
    assert maker.differences(source) == []


def test_the_folder_is_small():
    size = sum(path.stat().st_size for path in TUTORIALS.rglob("*.ipynb"))
    assert size < 5_000_000


def test_the_list_of_the_course_names_every_notebook():
    page = (TUTORIALS / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\w+\.ipynb)\)", page) == [f"{source.stem}.ipynb" for source in SOURCES]


def test_what_is_wrong_in_the_code_to_mend_is_a_mistake_that_the_check_knows():
    source = TUTORIALS / "src" / "find_the_mistake.py"
    text = source.read_text(encoding="utf-8")
    namespace = {"fl": fl, "np": np, "math": math}
    for code in cells(source, "gap"):
        exec(code, namespace)
    for name, function in re.findall(r'fl\.course\.check\("([\w.]+)", (\w+)\)', text):
        assert fl.course.check(name, namespace[function]).mistake == "as it was given"
    headings = re.findall(r"^## (.*)$", text_of(source), re.MULTILINE)
    assert headings == ["What you need to know", "Formulas", "Loops", "What next", "Sources"]
