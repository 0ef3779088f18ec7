"""What do the commands about numbers print? show and compute: tables, stories, and the same as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from floatlab.cli.console import BIT_COLOURS, BITS, print_table
from floatlab.cli.expression import evaluate
from floatlab.errors import FloatlabError, OptionError
from floatlab.explain import explain
from floatlab.explain.codes import explain_code
from floatlab.formats import formats, get_format
from floatlab.system.terminal import make_console

__all__ = ["compute_command", "show_all", "show_codes", "show_numbers"]


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))


# -- one number ---------------------------------------------------------------------------------------------


def show_numbers(numbers: Sequence[str], fmt: str, *, full: bool, as_json: bool, **options: Any) -> None:
    """Print how each number is rounded to a format."""
    options = {name: value for name, value in options.items() if value is not None}
    told = [explain(_number(text), fmt, full=full, **options) for text in _given(numbers)]
    _print_stories(told, as_json)


def show_codes(codes: Sequence[str], fmt: str, *, as_json: bool) -> None:
    """Print what each code stands for."""
    _print_stories([explain_code(_code(text), fmt) for text in codes], as_json)


def show_all(numbers: Sequence[str], *, as_json: bool, **options: Any) -> None:
    """Print what each number becomes in every format of the catalogue."""
    options = {name: value for name, value in options.items() if value is not None}
    data = []
    for text in _given(numbers):
        explain(
            _number(text), "float64", **options
        )  # what is wrong with the number or an option is wrong everywhere
        rows = []
        for fmt in formats():
            try:
                told = explain(_number(text), fmt, **options)
            except FloatlabError:  # NaN in a format without one, for example
                rows.append((fmt.name, "none", "", ""))
                continue
            data.append(told.to_dict())
            error = told.relative_error
            code = told.bits if fmt.bits <= 19 else f"0x{told.code:0{fmt.bits // 4}X}"
            rows.append(
                (fmt.name, f"{told.value:.9g}", code, "" if error is None else f"{float(abs(error)):.2g}")
            )
        if not as_json:
            columns = ("format", "value>", "code", "relative error>")
            print_table(f"{text} in every format", columns, rows, ("relative error>", "code"), gap=2)
    if as_json:
        _print_json(data)


def _print_stories(told: Sequence[Any], as_json: bool) -> None:
    if as_json:
        _print_json([story.to_dict() for story in told])
        return
    console = make_console(theme=BIT_COLOURS)
    for k, story in enumerate(told):
        if k:
            console.print()
        console.print(BITS(Text(str(story))), soft_wrap=True)


def _given(numbers: Sequence[str]) -> list[str]:
    """Return the numbers, those of standard input in the place of "-"."""
    found: list[str] = []
    for text in numbers:
        found += sys.stdin.read().split() if text == "-" else [text]
    if not found:
        raise OptionError("show takes a number. Got none. Write one: floatlab show 0.1 --format e4m3.")
    return found


def _number(text: str) -> str:
    return text.replace("−", "-")


def _code(text: str) -> int:
    try:
        return int(text.replace("_", ""), 0)
    except ValueError:
        raise OptionError(
            f"A code is an integer, in decimal, hexadecimal or binary: 126, 0x7E or 0b1111110. Got {text!r}. Use one."
        ) from None


# -- an expression ------------------------------------------------------------------------------------------


def compute_command(expression: str, fmt: str, *, full: bool, as_json: bool, **options: Any) -> None:
    """Print an expression step by step: every number is rounded to the format, then every operation."""
    options = {name: value for name, value in options.items() if value is not None}
    steps = evaluate(_number(expression), get_format(fmt), full=full, **options)
    _print_stories(steps, as_json)
