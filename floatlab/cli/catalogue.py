"""What does `floatlab formats` print? The catalogue, as a table or as JSON."""

from __future__ import annotations

import json
from typing import Any

from floatlab.cli.console import power, print_table
from floatlab.formats import aliases, formats
from floatlab.system.terminal import make_console

__all__ = ["formats_command"]

# In the order of the table; and which columns go first where there is no room for all.
_COLUMNS = ("name", "also", "bits>", "e/m>", "max>", "min normal>", "min>", "special")
_DISPENSABLE = ("also", "special", "min normal>", "e/m>", "min>", "bits>", "max>")


def formats_command(*, as_json: bool) -> None:
    """Print the catalogue: as many columns as there is room for, and never a part of a name."""
    rows = [
        (
            fmt.name,
            ", ".join(sorted(aliases(fmt), key=len)[:2]),
            str(fmt.bits),
            f"{fmt.exponent_bits}/{fmt.mantissa_bits}",
            f"{fmt.max:.5g}",
            power(fmt.smallest_normal),
            power(fmt.smallest_subnormal),
            ", ".join(_specials(fmt)) or "none",
        )
        for fmt in formats()
    ]
    if as_json:
        print(json.dumps([_format_data(fmt) for fmt in formats()], indent=2, ensure_ascii=False))
        return
    print_table("Formats", _COLUMNS, rows, _DISPENSABLE, gap=1)
    make_console().print("Also binary8p3se and so on (IEEE P3109), and fields such as e6m9, e4m3fn, e5m2b20.")


def _specials(fmt: Any) -> list[str]:
    special = [word for word, has in (("inf", fmt.has_infinity), ("NaN", fmt.has_nan)) if has]
    return special + ([] if fmt.has_negative_zero else ["no -0"] if fmt.has_zero else ["no zero"])


def _format_data(fmt: Any) -> dict[str, Any]:
    names = (
        *("name", "bits", "exponent_bits", "mantissa_bits", "bias", "specials", "signed", "max", "lowest"),
        *("smallest_normal", "smallest_subnormal", "eps", "has_infinity", "has_nan", "has_negative_zero"),
    )
    return {name: getattr(fmt, name) for name in names} | {"aliases": list(aliases(fmt))}
