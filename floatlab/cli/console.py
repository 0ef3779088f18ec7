"""How does the command print? A console, tables, and a few words that more than one command uses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from rich import box
from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from floatlab.errors import OptionError
from floatlab.system.terminal import make_console

__all__ = [
    "BITS",
    "BIT_COLOURS",
    "fit_columns",
    "power",
    "print_table",
    "seeds_of",
    "table_console",
    "table_of",
    "verdict",
]


class _Bits(RegexHighlighter):
    """Sign, exponent and fraction of a code, each in its colour."""

    base_style = "bits."
    highlights: ClassVar[list[str]] = [
        r"(?<![\w.])(?P<sign>[01]) (?P<exponent>[01]+) (?P<fraction>[01]+)(?![\w.])"
    ]


BITS = _Bits()
BIT_COLOURS = Theme({"bits.sign": "bold", "bits.exponent": "dark_orange", "bits.fraction": "bright_blue"})

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


def fit_columns(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    dispensable: Sequence[str],
    width: int | None,
    gap: int,
) -> list[int]:
    """Return which columns of a table are shown: whole ones only, the most dispensable left out first.

    Parameters
    ----------
    columns, rows
        The names and the cells.
    dispensable : sequence of str
        The columns that may go, in the order in which they go.
    width : int or None
        How many letters there is room for; None where there is no limit, in a file or a pipe.
    gap : int
        How many letters stand between two columns.

    Examples
    --------
    >>> fit_columns(["name", "also", "bits"], [["float16", "fp16, half", "16"]], ["also", "bits"], 20, 1)
    [0, 2]
    """
    widths = [max(len(name.rstrip(">")), *(len(row[k]) for row in rows)) for k, name in enumerate(columns)]
    kept = list(range(len(columns)))
    for name in dispensable:
        if width is None or sum(widths[k] + gap + 1 for k in kept) <= width:  # rich draws a space beside each
            break
        kept.remove(list(columns).index(name))
    return kept


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], dispensable: Sequence[str], gap: int
) -> None:
    """Print a table of whole columns: as many as the terminal has room for, and all of them in a file or a pipe."""
    console = make_console()
    width = console.width if console.is_terminal else None
    kept = fit_columns(columns, rows, dispensable, width, gap)
    table = table_of(title, [columns[k] for k in kept], gap=gap)
    for row in rows:
        table.add_row(*(BITS(Text(row[k])) for k in kept))
    make_console(width_elsewhere=10_000, theme=BIT_COLOURS).print(table)


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
