"""What does `floatlab units` print? Matrix units as a table, one of them in full, or one dot product on all of them."""

from __future__ import annotations

import json
from typing import Any

from floatlab.cli.console import print_table
from floatlab.errors import OptionError
from floatlab.matrix_units import MatrixUnit, get_unit, units
from floatlab.matrix_units.catalogue import CHIPS
from floatlab.matrix_units.shown import HEAD, lines_of
from floatlab.system.terminal import make_console

__all__ = ["units_command"]

# In the order of the table; and which columns go first where there is no room for all.
_COLUMNS = ("unit", "chip", "operands", "L>", "F>", "rounding", "result")
_DISPENSABLE = ("chip", "result", "rounding", "L>", "F>")
_OF_ONE = tuple(f"{name}>" if name in ("L", "F") else name for name in HEAD)
_OF_DOTS = ("unit", "operands", "predicted>", "result>", "why")


def units_command(name: str = "", *, dot: bool = False, as_json: bool = False) -> int:
    """Print all units, or one, or what each makes of one dot product; return 1 if that was not predicted."""
    if dot:
        if name:
            raise OptionError(
                f"The dot product is computed on all units. Got {name!r} and --dot. Leave one out."
            )
        return _dots(as_json)
    if as_json:
        found: Any = _data(name) if name else [_data(one) for one in units()]
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif name:
        _one(name)
    else:
        _all()
    return 0


def _all() -> None:
    rows = []
    for name in units():
        unit = get_unit(name)
        for line in lines_of(unit.instructions):
            rows.append((name, unit.about, line.family, *line.cells()[1:]))
    print_table("Matrix units", _COLUMNS, rows, _DISPENSABLE, gap=1)
    make_console().print(
        "L products are added at a time; F bits are kept below the largest of them. `floatlab units h100` "
        "shows one with all its instructions; `--dot` lets all of them compute the same.",
        highlight=False,
    )


def _one(name: str) -> None:
    unit = get_unit(name)
    console = make_console()
    if unit.about:
        console.print(unit.about, style="bold", highlight=False)
    for one in (unit, *_variants(name)):
        rows = [line.cells() for line in lines_of(one.instructions)]
        print_table(str(one), _OF_ONE, rows, ("result", "rounding", "L>", "F>"), gap=1)
    for heading, texts in (("Sources", unit.sources), ("Checked against", unit.proven)):
        if texts:
            console.print(f"{heading}: {'; '.join(texts)}", highlight=False)


def _variants(name: str) -> list[MatrixUnit]:
    """Return a chip's other instructions, as units; none of a name that is one of them already."""
    return [get_unit(f"{name}:{suffix}") for suffix in CHIPS[name]().variants] if name in CHIPS else []


def _data(name: str) -> dict[str, Any]:
    unit = get_unit(name)
    instructions = {
        str(one): [line.data() for line in lines_of(one.instructions)] for one in (unit, *_variants(name))
    }
    return {
        "unit": str(unit), "chip": unit.about, "instructions": instructions,
        "sources": list(unit.sources), "checked": list(unit.proven),
    }  # fmt: skip


def _dots(as_json: bool) -> int:
    from floatlab.experiments.one_dot_product import EXACT, TEXT, cases, measured, predicted

    rows = [(case.unit, case.operands, *predicted(case), measured(case)) for case in cases()]
    if as_json:
        names = ("unit", "operands", "predicted", "why", "result")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2, ensure_ascii=False))
    else:
        texts = [(unit, kind, f"{p:g}", f"{found:g}", why) for unit, kind, p, why, found in rows]
        make_console().print(TEXT, highlight=False)
        print_table(f"Exact: {EXACT:g}", _OF_DOTS, texts, ("why", "predicted>"), gap=1)
    return 0 if all(found == guess for _, _, guess, _, found in rows) else 1
