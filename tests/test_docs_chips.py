"""Every row of the table of chips has a year, sources that are listed with an address and a date, and known formats."""

from __future__ import annotations

import re
from pathlib import Path

import floatlab as fl

PAGE = (Path(__file__).parents[1] / "docs" / "chips.md").read_text(encoding="utf-8")
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|") and not line.startswith("|---")
]
HEAD, ROWS = TABLE[0], TABLE[1:]
SOURCES = dict(re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |^## )", PAGE, re.MULTILINE | re.DOTALL))


def known(name):
    """Return whether this is floatlab's own name of a format, and no alias."""
    try:
        return fl.get_format(name).spec == name
    except fl.FloatlabError:
        return False


def test_the_rows_are_found():
    assert HEAD == ["chip", "year", "operands", "sums", "source"]
    assert len(ROWS) >= 25 and len({row[0] for row in ROWS}) == len(ROWS)
    for maker in ("NVIDIA", "AMD", "Google", "AWS", "Intel", "Arm", "Apple"):
        assert any(row[0].startswith(maker) for row in ROWS)


def test_the_page_is_dated_and_so_are_its_rows():
    assert re.search(r"^As of \d+ \w+ 20\d\d", PAGE, re.MULTILINE)
    assert re.search(r"^Looked up on \d+ \w+ 20\d\d, ", PAGE, re.MULTILINE)
    assert all(2017 <= int(row[1]) <= 2026 for row in ROWS)


def test_every_row_has_a_source_with_title_and_address():
    cited = set()
    for row in ROWS:
        numbers = re.findall(r"\[(\d+)\]", row[4])
        assert numbers and row[4] == ", ".join(f"[{number}]" for number in numbers), row[0]
        cited |= set(numbers)
    assert cited == set(SOURCES) and sorted(map(int, SOURCES)) == list(range(1, len(SOURCES) + 1))
    for text in SOURCES.values():
        assert re.search(r"\*.+?\*|\".+?\"", text, re.DOTALL) and re.search(r"<https://[^>]+>", text), text


def test_every_operand_is_a_format_of_floatlab_or_said_to_be_none():
    for row in ROWS:
        for name in row[2].split(", "):
            assert known(name) or re.fullmatch(r"none: .+", name), (row[0], name)


def test_sums_are_kept_in_formats_of_floatlab_or_not_said():
    for row in ROWS:
        assert row[3] == "not said" or all(
            known(part.split(" ")[0]) for part in re.split(r", |; ", row[3])
        ), row[0]
