"""Every example is run: those of the docstrings, and the Python of README.md and of the pages in docs/."""

import ast
import doctest
import importlib
import math
import pkgutil
import re
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest

import floatlab as fl

ROOT = Path(__file__).parent.parent
MODULES = ["floatlab", *(info.name for info in pkgutil.walk_packages(fl.__path__, "floatlab."))]
SCRIPTS = [path for folder in ("docs", "benchmarks") for path in sorted((ROOT / folder).glob("*.py"))]
TAUGHT = [ROOT / "docs" / "block-formats.md", ROOT / "docs" / "int8.md", ROOT / "docs" / "units.md"]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
    *sorted((ROOT / "docs" / "bridges").glob("*.md")),
]


def examples(text: str, names: dict, where: str) -> list[doctest.DocTest]:
    """Return the examples of each docstring in a source text, found by reading it.

    What is found by looking at the objects of a module misses what a decorator hides: a cached_property, for one.
    """
    parser, found = doctest.DocTestParser(), []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (doc := ast.get_docstring(node)):
            name = f"{where}: {getattr(node, 'name', '')}"
            line = node.body[0].lineno - 1
            found.append(parser.get_doctest(doc, dict(names), name, where, line))
    return [test for test in found if test.examples]


def failures(tests: list[doctest.DocTest]) -> str:
    """Return what the examples say that differs from what stands below them."""
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in tests:
        with warnings.catch_warnings():
            runner.run(test, out=said.append)
    return "".join(said)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_file_give_what_they_say(name, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    text = Path(module.__file__).read_text(encoding="utf-8")
    tests = examples(text, vars(module), module.__file__)
    assert sum(len(test.examples) for test in tests) == len(re.findall(r"^ *>>> ", text, re.MULTILINE))
    monkeypatch.chdir(tmp_path)
    assert failures(tests) == ""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_examples_of_a_script_give_what_they_say(path):
    text = path.read_text(encoding="utf-8")
    if ">>> " in text:
        assert failures(examples(text, runpy.run_path(str(path)), str(path))) == ""


def test_a_wrong_example_is_found_wherever_it_stands():
    text = '''
import functools
class A:
    """
    >>> 1 + 1
    2
    """
    @functools.cached_property
    def b(self):
        """
        >>> 1 + 2
        4
        """
'''
    assert "Got:\n    3\n" in failures(examples(text, {}, "text"))
    assert failures(examples(text.replace("4", "3"), {}, "text")) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    rng = np.random.default_rng(0)
    model = fl.nn.Linear(64, 10, rng=0)
    names = {
        "fl": fl,
        "np": np,
        "inf": math.inf,
        "print": lambda *text: None,
        "rng": rng,
        "data": fl.data.digits(),
        "model": model,
        "optimizer": fl.optim.SGD(model.parameters(), lr=0.1),
    }
    for block in blocks:
        exec(block, names)


def test_the_pages_with_python_are_found():
    text = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
    assert {name for name in text if "```python" in text[name]} == {
        *(
            "README.md",
            "add.md",
            "block-recipes.md",
            "checkpoint.md",
            "chip-product.md",
            "chop.md",
            "data.md",
            "gallery.md",
            "large-jobs.md",
        ),
        *(
            "lecture.md",
            "loss-scaling.md",
            "ml-dtypes.md",
            "pytorch.md",
            "slides.md",
            "units.md",
            "verification.md",
        ),
    }


@pytest.mark.parametrize("page", TAUGHT, ids=lambda page: page.name)
def test_a_page_that_teaches_shows_what_its_lines_give(page):
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```pycon\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == text.count("```pycon") > 0 and ">>>" not in re.sub(
        r"^```pycon\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE
    )
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {"fl": fl, "np": np}, page.name, None, 0)
    assert failures([test]) == ""


def test_the_answers_to_questions_are_what_the_lines_show():
    text = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```pycon\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == text.count("\n## ") >= 18
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {"fl": fl, "np": np}, "questions", None, 0)
    assert failures([test]) == ""
