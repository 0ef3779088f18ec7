"""How does the command print? A console, tables, and a few words that more than one command uses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from floatlab.errors import OptionError
from floatlab.system.terminal import make_console

__all__ = ["power", "seeds_of", "table_console", "table_of", "verdict"]

_MOST_SEEDS = 100


def table_console() -> Console:
    """Return a console; in a file or a pipe, one that is wide enough for the tables."""
    return make_console(width_elsewhere=110)


def table_of(title: str, columns: Sequence[str], gap: int | None = None) -> Table:
    """Return an empty table; a column whose name ends in ">" is aligned to the right.

    With a gap there is so much room between columns, and nothing is wrapped.
    """
    style: dict[str, Any] = {} if gap is None else {"padding": (0, gap, 0, 0)}
    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, **style)
    for name in columns:
        justify: Any = "right" if name.endswith(">") else "left"
        table.add_column(name.rstrip(">"), justify=justify, no_wrap=gap is not None)
    return table


def verdict(fails: int, total: int) -> str:
    """Say in how many of so many runs nothing is learnt.

    >>> verdict(0, 3), verdict(1, 3)
    ('[green]learns[/green]', '[yellow]fails in 1 of 3[/yellow]')
    """
    if fails == 0:
        return "[green]learns[/green]"
    return "[red]fails[/red]" if fails == total else f"[yellow]fails in {fails} of {total}[/yellow]"


def power(value: float) -> str:
    """Write a power of two as such.

    >>> power(0.25), power(3.0)
    ('2^-2', '3')
    """
    mantissa, exponent = math.frexp(value)
    return f"2^{exponent - 1}" if mantissa == 0.5 else f"{value:.6g}"


def seeds_of(text: str) -> tuple[int, ...]:
    """Return the seeds that ``--seeds`` asks for: so many from 0 on, or the ones that are listed.

    Raises
    ------
    OptionError
        If there is none, or the text is something else.

    Examples
    --------
    >>> seeds_of("3"), seeds_of("3,4,5"), seeds_of("7,")
    ((0, 1, 2), (3, 4, 5), (7,))
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words if word or len(words) == 1):
        numbers: list[int] = []
    else:
        numbers = [int(word) for word in words if word]
    chosen = tuple(range(numbers[0])) if len(words) == 1 and numbers else tuple(dict.fromkeys(numbers))
    if not 1 <= len(chosen) <= _MOST_SEEDS:
        raise OptionError(
            f"Seeds are a number of them from 1 to {_MOST_SEEDS}, or a list with commas. Got {text!r}. "
            "Use 3 (for 0, 1, 2), or 3,4,5, or 7, for one alone."
        )
    return chosen
