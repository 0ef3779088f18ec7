"""The tables of the pages are those of the code, and what stands in two places is the same in both."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import floatlab as fl
from floatlab.amp.casting import AUTOCAST_TABLE
from floatlab.amp.presets import PRESETS
from floatlab.autograd.ops.table import TABLE

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
_spec = importlib.util.spec_from_file_location("make_tables", DOCS / "make_tables.py")
assert _spec is not None and _spec.loader is not None
make_tables = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_tables)


def table_of(page: str) -> list[list[str]]:
    """Return the cells of the one marked table of a page, without its head."""
    marked = re.findall(r"<!-- table: .*? -->(.*?)<!-- end of table -->", page, re.DOTALL)
    assert len(marked) == 1
    lines = [line for line in marked[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("name", make_tables.PAGES)
def test_the_committed_page_is_what_the_code_says(name):
    page = (DOCS / name).read_text(encoding="utf-8")
    assert make_tables.with_tables(page) == page, "run docs/make_tables.py"
    assert table_of(page)


def test_every_preset_stands_on_the_page_with_its_numbers():
    rows = {row[0].strip("`"): row for row in table_of((DOCS / "loss-scaling.md").read_text())}
    assert list(rows) == list(PRESETS)
    assert rows["torch"][1:8] == ["2^16", "× 2", "2000", "× 0.5", "1", "none", "none"]
    assert rows["megatron"][1:8] == ["2^32", "× 2", "1000", "× 0.5", "2", "1", "none"]
    assert rows["apex"][7] == "2^24" and rows["jmp"][6] == "1"


def test_every_operation_stands_on_the_page_once():
    rows = table_of((DOCS / "autocast.md").read_text())
    named = [name.strip("` ") for row in rows for name in row[2].split(",")]
    assert len(named) == len(set(named))
    assert set(named) == set(TABLE) - {"cast"}
    assert [row[0] for row in rows] == [*AUTOCAST_TABLE, "none"]


def test_a_page_that_is_out_of_date_is_noticed_and_prose_is_left_alone(tmp_path, monkeypatch, capsys):
    page = "Prose.\n\n<!-- table: loss scales -->\nold\n<!-- end of table -->\n\nMore prose.\n"
    for name in make_tables.PAGES:
        (tmp_path / name).write_text(page)
    monkeypatch.setattr(make_tables, "DOCS", tmp_path)
    for arguments, expected in ((["--check"], 1), ([], 0), (["--check"], 0)):
        monkeypatch.setattr("sys.argv", ["make_tables.py", *arguments])
        with pytest.raises(SystemExit) as stop:
            make_tables.main()
        assert int(stop.value.code) == expected
        changed = (tmp_path / "autocast.md").read_text() != page
        assert changed == (arguments == [] or expected == 0)
    text = (tmp_path / "autocast.md").read_text()
    assert text.startswith("Prose.\n") and text.endswith("More prose.\n") and "old" not in text
    assert "Out of date" in capsys.readouterr().out
    with pytest.raises(KeyError):
        make_tables.with_tables(page.replace("loss scales", "unknown"))


def test_the_version_has_one_home_and_the_citation_follows_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"] and "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "floatlab/__init__.py"
    citation = (ROOT / "CITATION.cff").read_text()
    said = dict(line.split(": ", 1) for line in citation.splitlines() if re.match(r"\w[\w-]*: \S", line))
    assert said["version"] == fl.__version__
    assert said["license"] == project["project"]["license"]
    assert project["project"]["authors"] == [{"name": "The floatlab developers"}]
    assert "  - name: The floatlab developers\n" in citation
    assert set(said) <= {
        "cff-version",
        "message",
        "type",
        "title",
        "version",
        "license",
        "abstract",
    }  # nothing invented
    keywords = re.findall(r"^  - ([a-z0-9 ]+)$", citation, re.MULTILINE)
    assert keywords == project["project"]["keywords"]


def test_the_changelog_has_the_sections_of_its_convention():
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "Unreleased"
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
