"""Write the tables of the pages that show data of the code.

Loss scales, autocast's lists, the rooms of the house, what rules of block formats make of the same numbers, units.

    python docs/make_tables.py            write them
    python docs/make_tables.py --check    say which pages are out of date, and fail

A table stands between two comments of a page, ``<!-- table: NAME -->`` and ``<!-- end of table -->``; all else is prose
and left alone. `TABLES` says what goes in.
"""

from __future__ import annotations

import argparse
import importlib
import math
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from floatlab.amp.casting import AUTOCAST_TABLE
from floatlab.amp.presets import PRESETS
from floatlab.autograd.ops.table import TABLE
from floatlab.matrix_units import get_unit, units
from floatlab.matrix_units.shown import lines_of

DOCS = Path(__file__).parent
PAGES = ("loss-scaling.md", "autocast.md", "architecture.md", "block-formats.md", "units.md")

_MARKED = re.compile(r"(<!-- table: (?P<name>.+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def power(x: float) -> str:
    """Return a power of two as readers know it.

    >>> power(65536.0), power(1.0), power(0.0), power(math.inf)
    ('2^16', '1', 'none', 'none')
    """
    if x == 0 or math.isinf(x):
        return "none"
    mantissa, exponent = math.frexp(x)
    return f"2^{exponent - 1}" if mantissa == 0.5 and abs(exponent) > 5 else f"{x:g}"


def loss_scales() -> str:
    """Return how the frameworks' loss scales start and move."""
    head = ["preset", "first scale", "grows by", "after good steps", "falls by", "after bad steps"]
    head += ["smallest", "largest", "as in"]
    rows = (
        [
            f"`{name}`",
            power(rule.init_scale),
            f"× {rule.growth_factor:g}",
            str(rule.growth_interval),
            f"× {rule.backoff_factor:g}",
            str(rule.hysteresis),
            power(rule.min_scale),
            power(rule.max_scale),
            rule.origin,
        ]
        for name, rule in PRESETS.items()
    )
    return markdown(head, rows)


def autocast_lists() -> str:
    """Return which operation runs in which format; the last row is what stands in no list."""
    runs_in = {
        "low precision": "autocast's format",
        "float32": "fp32",
        "refused": "nowhere: an error says what to use instead",
        "widest input": "the widest format among its inputs; fp32 if none holds the others",
    }
    listed = {name for names in AUTOCAST_TABLE.values() for name in names}
    rows = [[title, runs_in[title], names] for title, names in AUTOCAST_TABLE.items()]
    rows.append(
        [
            "none",
            "the format of its inputs",
            [name for name in TABLE if name not in listed and name != "cast"],
        ]
    )
    return markdown(
        ["list", "runs in", "operations"],
        ([title, where, ", ".join(f"`{name}`" for name in names)] for title, where, names in rows),
    )


def rooms() -> str:
    """Return the table of docs/architecture.toml."""
    rows = tomllib.loads((DOCS / "architecture.toml").read_text(encoding="utf-8"))["room"]
    return markdown(
        ["room", "the question it answers", "may import", "libraries", "its files, in order"],
        (
            [
                f"`{row['name']}{'/' if 'order' in row else ''}`",
                row["question"],
                ", ".join(row["may_import"]) or "nothing",
                ", ".join(row.get("libraries", [])),
                ", ".join(name for name in row.get("order", []) if not name.endswith("__init__")),
            ]
            for row in rows
        ),
    )


def block_differences() -> str:
    """Return what the rules and the libraries make of the same numbers."""
    sys.path.insert(0, str(DOCS))
    try:
        found = importlib.import_module("block_table").rows()
    finally:
        sys.path.remove(str(DOCS))
    return markdown(["numbers", "rule or library", "the first one becomes"], found)


def matrix_units() -> str:
    """Return what each unit multiplies, and how it adds; units that do the same share their rows."""
    same: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for name in units():
        same.setdefault(tuple(line.cells() for line in lines_of(get_unit(name).instructions)), []).append(
            name
        )
    rows = (
        [", ".join(f"`{name}`" for name in names), *line] for lines, names in same.items() for line in lines
    )
    return markdown(["unit", "operands", "L", "F", "rounding", "result"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "loss scales": loss_scales,
    "autocast": autocast_lists,
    "rooms": rooms,
    "block differences": block_differences,
    "matrix units": matrix_units,
}


def with_tables(page: str) -> str:
    """Return the text of a page with its tables made anew.

    Raises
    ------
    KeyError
        If a page asks for a table that is not in `TABLES`.
    """
    return _MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found['name']]()}\n\n{found[3]}", page)


def main() -> None:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")
    check = parser.parse_args().check
    stale = []
    for name in PAGES:
        old = (DOCS / name).read_text(encoding="utf-8")
        if (new := with_tables(old)) != old:
            stale.append(name)
            if not check:
                (DOCS / name).write_text(new, encoding="utf-8")
    if stale:
        print(("Out of date: " if check else "Written: ") + ", ".join(stale))
    sys.exit(check and bool(stale))


if __name__ == "__main__":
    main()
