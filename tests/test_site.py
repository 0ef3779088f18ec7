"""The pages: every public name is in the reference, figures have words, links lead somewhere, commands run.

Every name of floatlab's on a page exists, and what the README says is what the pages say.

Whether the site is built without a warning is looked at by .ci/run, which has Sphinx; what is here needs none of it.
"""

import importlib
import importlib.util
import inspect
import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import floatlab as fl

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MADE = {DOCS / "tutorials", DOCS / "reference", DOCS / "_build"}  # when the site is built
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if not MADE & set(path.parents)]
TEXTS = [ROOT / "README.md", *PAGES]
EACH = pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))


def script(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference, tutorials, check_site = (script(n) for n in ("make_reference", "make_tutorials", "check_site"))


# -- the reference ---------------------------------------------------------------------------------------------------


def test_every_public_module_has_a_page_of_the_reference():
    rooms = {f"floatlab.{name}" for name in fl.__all__ if inspect.ismodule(getattr(fl, name))}
    assert rooms <= set(reference.MODULES)
    for module in reference.MODULES:
        found = importlib.import_module(module)
        inner = {f"{module}.{name}" for name in found.__all__ if inspect.ismodule(getattr(found, name))}
        assert inner <= set(reference.MODULES), module


@pytest.mark.parametrize("module", reference.MODULES)
def test_every_public_name_is_described_once_and_named_on_the_page_of_its_module(module):
    where = reference.homes()
    page = reference.page(module, where)
    for name, thing in vars(importlib.import_module(module)).items():
        if name in importlib.import_module(module).__all__ and not inspect.ismodule(thing):
            assert f"{module}.{name}" in where
    for path in (path for path in where if path.rpartition(".")[0] == module):
        assert f"<{where[path]}>`\n    " in page, path
        described = re.findall(rf"^\.\. auto\w+:: {re.escape(path)}$", page, re.MULTILINE)
        assert len(described) == (where[path] == path), path


def test_a_name_that_two_modules_have_is_described_in_the_first():
    where = reference.homes()
    assert where["floatlab.autograd.Tensor"] == "floatlab.Tensor" == where["floatlab.Tensor"]
    assert where["floatlab.nn.functional.relu"] != "floatlab.relu" or fl.nn.functional.relu is fl.relu


def test_every_public_name_has_a_sentence():
    for module in reference.MODULES:
        for name, thing in reference.public(module).items():
            assert len(reference.first_sentence(thing)) > 5, f"{module}.{name}"


# -- what stands on a page -------------------------------------------------------------------------------------------


def resolve(name):
    """Return what a name such as fl.nn.Linear stands for."""
    thing = fl
    for part in name.split(".")[1:]:
        thing = getattr(thing, part)
    return thing


@EACH
def test_every_name_of_floatlab_on_a_page_exists(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`([^`\n]+)`", text):
        for name in re.findall(r"\bfl(?:\.[A-Za-z_]\w*)+", code):
            resolve(name)


@pytest.mark.parametrize("page", sorted((DOCS / "bridges").glob("*.md")), ids=lambda page: page.name)
def test_every_format_and_option_in_the_tables_of_a_bridge_exists(page):
    from floatlab.rounding.modes import MODES
    from floatlab.rounding.options import OVERFLOW_POLICIES, SUBNORMAL_RULES

    known = {"rounding": MODES, "overflow": OVERFLOW_POLICIES, "subnormals": SUBNORMAL_RULES}
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert rows or page.name == "index.md"
    for code in (code for row in rows for code in re.findall(r"`([^`]+)`", row)):
        if found := re.fullmatch(r'(\w+)="(\w+)"', code):
            assert found[2] in known[found[1]], code
        elif found := re.fullmatch(r'"(\w+)"', code):
            assert found[1] in MODES or fl.get_format(found[1]), code


@EACH
def test_every_picture_has_words(page):
    for words, path in re.findall(
        r"!\[([^\]]*(?:\\\][^\]]*)*)\]\(([^)]+)\)", page.read_text(encoding="utf-8")
    ):
        assert len(words.split()) > 5, path


def test_every_figure_of_a_notebook_has_words():
    notebooks = [*(ROOT / "tutorials").glob("*.ipynb"), *(ROOT / "tutorials" / "solutions").glob("*.ipynb")]
    figures = 0
    for path in notebooks:
        shown = tutorials.page(path.read_text(encoding="utf-8"))
        for cell in json.loads(shown)["cells"]:
            pictures = [o for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})]
            figures += len(pictures)
            assert len(pictures) < 2, f"{path.name}: a cell with two figures has words for one only"
            for output in pictures:
                words = output["metadata"]["image/png"]["alt"]
                assert len(words) > 30 and cell["metadata"]["mystnb"]["image"]["alt"] == words
    assert figures >= 2 * 19


@EACH
def test_every_link_of_a_page_leads_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        aim = page.parent / path if path else page
        assert aim.exists(), target
        if anchor and aim.suffix == ".md":
            assert anchor in anchors(aim.read_text(encoding="utf-8")), target


def anchors(text):
    """Return what can be linked to in a page: its headings, as GitHub and MyST name them, and marks of its own."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([\w-]+)">', text))


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for page in PAGES:
        for block in re.findall(
            r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            names = [line for line in block.splitlines() if line and not line.startswith(":")]
            listed |= {(page.parent / f"{name}.md").resolve() for name in names}
    assert {page for page in PAGES if page.name != "index.md" or page.parent != DOCS} <= listed


# -- commands --------------------------------------------------------------------------------------------------------

SLOW = ("floatlab demo", "floatlab verify", "floatlab run")


def commands(page):
    """Return the commands of floatlab that a page writes behind a prompt and that take no minutes."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ floatlab")]
    return [line.partition(" > ")[0] for line in lines if not line.startswith(SLOW)]


@pytest.mark.parametrize(
    "page", [DOCS / "index.md", *sorted((DOCS / "how-to").glob("*.md"))], ids=lambda page: page.name
)
def test_the_commands_of_a_page_run_as_they_are_written(page, tmp_path, monkeypatch):
    from safetensors.numpy import save_file

    from floatlab.cli import app

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    tensors = {"weight": rng.normal(0, 0.02, (64, 64)), "gradient": rng.normal(0, 1e-6, (64, 64))}
    save_file({"weight": tensors["weight"].astype("float32")}, "model.safetensors")
    np.savez("model.npz", **tensors)
    for command in commands(page):
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        refused = "--fail-if" in command and result.exit_code == 1
        assert result.exit_code == 0 or refused, f"{command}: {result.output} {result.exception!r}"


def test_the_doors_have_commands():
    assert len(commands(DOCS / "index.md")) >= 6
    assert (DOCS / "index.md").read_text(encoding="utf-8").count("\n## You ") == 5


# -- the README ------------------------------------------------------------------------------------------------------


def test_the_facts_of_the_readme_are_those_of_the_pages():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    proof = (DOCS / "verification.md").read_text(encoding="utf-8")
    short, full = re.findall(
        r"^\*\*([\d,]+) results compared, (\d+) disagreements\.(.*)\*\*$", proof, re.MULTILINE
    )
    assert (
        f"{short[0]} results compared with oracles that share no code with it, {short[1]} disagreements"
        in readme
    )
    assert f"{full[0]}, {full[1]} disagreements, by its full form" in readme
    assert ("not finished yet" in readme) == ("Unfinished" in full[2])
    speed = (DOCS / "performance.md").read_text(encoding="utf-8")
    every, slower, faster = re.search(
        r"Of (\d+) comparisons with equal results, floatlab is the slower one in (\d+), the faster one in (\d+)",
        speed,
    ).groups()
    assert f"Of {every} comparisons with" in readme
    assert f"slower in {slower} and faster in {faster}" in readme
    assert ("CPFloat, a library in C, was not on that machine" in readme) == ("CPFloat not found" in speed)


def test_the_first_screen_of_the_readme_has_the_facts_the_picture_and_the_commands():
    head = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:36]
    text = "\n".join(head)
    assert "docs/figures/show.svg" in text and "disagreements" in text and "comparisons" in text
    assert "    python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/floatlab demo" in head
    assert "    python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/pytest" in head


def test_the_picture_of_the_readme_is_what_the_command_prints():
    show = script("make_show")
    assert "http" not in re.sub(r'xmlns="[^"]*"|<!--.*?-->', "", show.PICTURE.read_text(encoding="utf-8"))
    written = re.findall(r"<text [^>]*>(.*?)</text>", show.PICTURE.read_text(encoding="utf-8"))
    drawn = re.findall(r"<text [^>]*>(.*?)</text>", show.svg())
    assert written == drawn and len(written) > 10


def test_the_example_of_the_readme_prints_what_stands_below_it(capsys):
    block = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    exec(block, {})
    assert f"# {capsys.readouterr().out.strip()}\n" in block


def test_the_short_form_of_the_tests_names_folders_that_are_there():
    short = re.search(r"`\.venv/bin/pytest (tests/[^`]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))[
        1
    ]
    assert all((ROOT / folder).is_dir() for folder in short.split())


# -- what looks at the site ------------------------------------------------------------------------------------------


def test_a_broken_site_is_found(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><img src="b.png" alt="a line that falls"><a href="a.html#top">a</a><a href="https://x.y">x</a>'
    )
    (tmp_path / "b.png").write_bytes(b"")
    assert check_site.faults(tmp_path) == []
    (tmp_path / "c.html").write_text(
        '<script src="https://cdn.x/y.js"></script><img src="b.png"><a href="d.html">d</a><a href="a.html#no">a</a>'
        '<link rel="stylesheet" href="//fonts.x/y.css"><link rel="canonical" href="https://x.y">'
    )
    said = "\n".join(check_site.faults(tmp_path))
    for fault in (
        "elsewhere: https://cdn",
        "elsewhere: //fonts",
        "no words",
        "nowhere: d.html",
        "place: a.html#no",
    ):
        assert fault in said
    assert said.count("\n") == 4
    monkeypatch.setattr(sys, "argv", ["check_site.py", str(tmp_path)])
    assert check_site.main() == 1 and "c.html" in capsys.readouterr().out
