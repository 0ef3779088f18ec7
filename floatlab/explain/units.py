"""What does a chip's matrix unit make of this dot product? Block after block, with the bits that are kept and lost.

The steps come from `floatlab.explain.unit_steps`, on exact fractions; what is reported as the result comes from
`floatlab.matmul`, and the tests hold them together.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab.array import FloatArray, matmul
from floatlab.codes.encode import encode_values
from floatlab.context import DEFAULT, using
from floatlab.errors import FormatError, ShapeError, check_switch
from floatlab.explain.text import beside, code_text, decimal, value_text
from floatlab.explain.unit_facts import DotBlock, DotExplanation
from floatlab.explain.unit_steps import Number, Part, UnitStep, add_in_float32, steps_of
from floatlab.formats import FloatFormat, get_format
from floatlab.matrix_units import MatrixUnit, get_unit
from floatlab.matrix_units.instruction import Instruction
from floatlab.matrix_units.operands import cut

__all__ = ["explain_dot"]

_FLOAT32 = get_format("float32")
_DIGITS = 14  # of a term
_LOST = 12  # bits that are shown of what is cut off
_SHORT_BLOCKS = 6  # after the first one


def explain_dot(
    a: Any, b: Any, c: Any = 0, unit: str | MatrixUnit = "h100", formats: Any = None, *, full: bool = False
) -> DotExplanation:
    """Explain a dot product as a matrix unit forms it: what is aligned, what is cut off, how the sum is rounded.

    Parameters
    ----------
    a, b : array_like, shape (K,)
        The operands: FloatArrays, or plain numbers with `formats`.
    c : float
        The accumulator before the first block, a value of the unit's accumulator.
    unit : str or MatrixUnit
        Which unit; `floatlab.get_unit` has the names.
    formats : pair of str or FloatFormat, optional
        The formats of plain operands.
    full : bool
        Whether every block is told as a whole, and not only the first. The data are the same.

    Returns
    -------
    DotExplanation
        Its `value` is ``fl.matmul(a, b, ..., unit=unit, bias=c, bias_first=True)``.

    Raises
    ------
    ShapeError
        If the operands are not two rows of as many numbers, or c is not one number.
    FormatError, DtypeError, OptionError
        Those of `floatlab.matmul`: an unknown unit, formats that it does not multiply, numbers that are not values of
        their format.

    Notes
    -----
    A tensor core aligns the products and the accumulator to the largest exponent, and keeps some bits below it. The
    lines of the terms have the value, the exponent, and the bits: those behind ``|`` are cut off.

    Examples
    --------
    The exact result is -0.875; a V100 gives 0, an A100 -0.5:

    >>> a, b = [-(2.0**13), -0.5, -0.25, -0.125], [2.0**10, 1, 1, 1]
    >>> print(explain_dot(a, b, 2.0**23, unit="h100", formats=("fp16", "fp16")))
    dot product of 4 terms on h100: float16 * float16, float32 accumulator
    <BLANKLINE>
      block     products 0 to 3, and 12 zeros that fill it up
      largest   exponent 23: of product 0, c
      cut       at 2^-2 = 0.25, 25 bits below
      0         -8388608         23  -10000000000000000000000000|
      1         -0.5             -1                          -10|
      2         -0.25            -2                           -1|
      3         -0.125           -3                           -0|1
      c         8388608          23   10000000000000000000000000|
      sum       -3 units = -0.75
      rounding  24 bits, toward_zero: -0.75
      result    -0.75   1 01111110 10000000000000000000000 = 0xBF400000
      exactly   -0.875
      error     0.125 = 14.3 %
    """
    check_switch("full", full)
    unit = get_unit(unit)
    x, y, start = (_given(v, what) for v, what in ((a, "a"), (b, "b"), (c, "c")))
    if x.ndim != 1 or x.shape != y.shape or start.size != 1:
        raise ShapeError(
            "One dot product is explained: two rows of as many numbers, and one accumulator. "
            f"Got {x.shape}, {y.shape} and {start.shape}. Choose a row and a column."
        )
    options: dict[str, Any] = {} if formats is None else {"formats": formats}
    named = _formats(a, b, formats)
    register = unit.instruction(*named).register if named else _FLOAT32
    bias = np.asarray(c.values if isinstance(c, FloatArray) else c).reshape(())[
        ()
    ]  # as it came, for `matmul`
    with using(DEFAULT):  # the unit's accumulator, whatever results are rounded to outside
        result = matmul(a, b, register, bias=bias, unit=unit, bias_first=True, **options)
    value = float(np.asarray(result.values if isinstance(result, FloatArray) else result))
    assert named is not None  # or the product was refused
    how = unit.instruction(*named)
    if how.carrier is not None:
        x, y = cut(x, named[0]), cut(y, named[1])
    numbers = [_number(v) for v in x.tolist()], [_number(v) for v in y.tolist()]
    first = _number(start.item())
    blocks = tuple(_chain(unit, how, numbers, first, named))
    return _told(unit, how, named, numbers, first, blocks, value, full)


# -- what is given -------------------------------------------------------------------------------------


def _given(v: Any, what: str) -> Any:
    """Return numbers as float64, for their shape and their story; `matmul` judges them."""
    if hasattr(v, "scales") or hasattr(v, "zero_point"):
        raise FormatError(
            f"A dot product is told of floats without scales. Got {what}, {type(v).__name__}. "
            "Pass elements as plain numbers, with formats=."
        )
    values = v.values if isinstance(v, FloatArray) else v
    try:
        if values is None:  # a NaN for NumPy
            raise TypeError
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ShapeError(
            f"One dot product is explained: rows of numbers. Got {what}={v!r}. Pass a list of floats."
        ) from None


def _formats(a: Any, b: Any, formats: Any) -> tuple[FloatFormat, FloatFormat] | None:
    """Return the formats of the operands, or None where `matmul` will say what is missing."""
    if isinstance(a, FloatArray) and isinstance(b, FloatArray):
        return a.format, b.format
    if isinstance(formats, tuple | list) and len(formats) in (2, 3):
        return get_format(formats[0]), get_format(formats[1])
    return None


def _number(x: float) -> Number:
    return Fraction(x) if math.isfinite(x) else x


def _chain(
    unit: MatrixUnit,
    how: Instruction,
    numbers: tuple[list[Number], list[Number]],
    c: Number,
    formats: tuple[FloatFormat, FloatFormat],
) -> list[DotBlock]:
    """Return the blocks, one after the other, and promotions between them."""
    length = len(numbers[0])
    span = unit.promote or max(length, 1)
    blocks: list[DotBlock] = []
    total = c
    for begin in range(0, length, span):
        end = min(begin + span, length)
        d = Fraction(0) if begin else c
        for start in range(begin, end, how.block):
            stop = min(start + how.block, end)
            a, b = ([*v[start:stop], *[Fraction(0)] * (how.block - stop + start)] for v in numbers)
            steps = steps_of(how, a, b, d, formats)
            blocks.append(DotBlock(start, stop - 1, d, steps, steps[-1].value))
            d = steps[-1].value
        if begin:
            from_here = add_in_float32("promoted", total, d)
            blocks.append(DotBlock(begin, end - 1, total, (from_here,), from_here.value))
            d = from_here.value
        total = d
    return blocks


# -- as text -------------------------------------------------------------------------------------------


def _told(
    unit: MatrixUnit,
    how: Instruction,
    formats: tuple[FloatFormat, FloatFormat],
    numbers: tuple[list[Number], list[Number]],
    c: Number,
    blocks: tuple[DotBlock, ...],
    value: float,
    full: bool,
) -> DotExplanation:
    rows: list[tuple[str, str]] = []
    for i, block in enumerate(blocks):
        if full or i == 0:
            rows += _block_rows(block, how)
        elif i <= _SHORT_BLOCKS or i == len(blocks) - 1:
            rows.append(_short_row(block))
        elif i == _SHORT_BLOCKS + 1:
            rows.append(("...", f"{len(blocks) - i - 1} more blocks"))
    code = int(encode_values(np.array([value]), how.register)[0])
    rows.append(("result", beside(value_text(value), code_text(code, how.register))))
    exact = error = None
    finite = [[v for v in some if isinstance(v, Fraction)] for some in numbers]
    if all(len(some) == len(finite[0]) == len(numbers[0]) for some in finite) and isinstance(c, Fraction):
        exact = sum((x * y for x, y in zip(*finite, strict=True)), c)
        rows.append(("exactly", decimal(exact, 56, False)))
        if math.isfinite(value):
            error = Fraction(value) - exact
            share = f" = {float(abs(error / exact)) * 100:.3g} %" if error and exact else ""
            rows.append(("error", decimal(error, 40, False) + share))
    size = len(numbers[0])
    title = (
        f"dot product of {size} term{'s' if size != 1 else ''} on {unit}: {formats[0]} * {formats[1]}, "
        f"{how.register} accumulator"
    )
    return DotExplanation(title, unit, how.register, blocks, value, code, exact, error, tuple(rows), full)


def _span(block: DotBlock) -> str:
    return (
        f"product {block.first}" if block.first == block.last else f"products {block.first} to {block.last}"
    )


def _block_rows(block: DotBlock, how: Instruction) -> list[tuple[str, str]]:
    missing = how.block - (block.last - block.first + 1)
    filled = f", and {missing} zero{'s' if missing > 1 else ''} that fill{'s' * (missing == 1)} it up"
    promoted = block.steps[0].name == "promoted"
    rows = [] if promoted else [("block", _span(block) + (filled if missing > 0 else ""))]
    for step in block.steps:
        rows += [(_counted(label, block.first), text) for label, text in _step_rows(step, block.first)]
    return rows


def _counted(label: str, first: int) -> str:
    """Return a label such as "p0+p1" with the numbers of the products in the whole."""
    return re.sub(r"p(\d+)", lambda found: f"p{int(found[1]) + first}", label)


def _step_rows(step: UnitStep, first: int) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if step.exponent is not None and step.parts:
        rows = _part_rows(step, first)
    shown = _text(step.exact)
    if step.parts and isinstance(step.exact, Fraction):
        place = min(part.place for part in step.parts)
        units = step.exact / Fraction(2) ** place
        shown = f"{units} unit{'s' * (abs(units) != 1)} = {shown}"
    elif step.exponent is not None:
        shown = f"{shown}: all products are 0"
    if step.name == "special":
        return [*rows, ("special", f"{step.how}: {_text(step.value)}")]
    if not step.how:
        return [*rows, (step.name, shown)]
    if step.parts or step.exponent is not None:
        return [*rows, (step.name, shown), ("rounding", f"{step.how}: {_text(step.value)}")]
    if step.value == step.exact:
        return [*rows, (step.name, _text(step.value))]
    return [*rows, (step.name, f"{shown} becomes {_text(step.value)}: {step.how}")]


def _part_rows(step: UnitStep, first: int) -> list[tuple[str, str]]:
    setters = [_name(part, first) for part in step.parts if part.exponent == step.exponent]
    if setters:
        products = [name for name in setters if name.isdecimal()]
        others = [name for name in setters if not name.isdecimal()]
        named = [
            f"product{'s' * (len(products) > 1)} {', '.join(products[:6])}{', ...' * (len(products) > 6)}"
        ]
        whose = ", ".join(named * bool(products) + others)
    else:
        whose = "a zero, as no term is larger"
    rows = [("largest", f"exponent {step.exponent}: of {whose}")]
    places = sorted({part.place for part in step.parts})
    assert step.exponent is not None
    for place in places:
        whose = f"{', '.join(part.name for part in step.parts if part.place == place)} " * (len(places) > 1)
        below = f"{step.exponent - place} bits below"
        rows.append(("cut", f"{whose}at 2^{place} = {_text(Fraction(2) ** place)}, {below}"))
    width = max(len(_kept_bits(part)) for part in step.parts)
    in_bits = (
        len(places) == 1
        and width <= 30
        and all(part.units == int(part.value / Fraction(2) ** part.place) for part in step.parts)
    )
    for part in step.parts:
        head = f"{decimal(part.value, _DIGITS, False):<{_DIGITS}} {part.exponent:>4}  "
        if in_bits:
            text = f"{head}{_kept_bits(part):>{width}}|{_lost_bits(part)}"
        else:
            text = f"{head}kept {_text(part.kept)}" + (f", lost {_text(part.lost)}" if part.lost else "")
        rows.append((_name(part, first), text))
    return rows


def _name(part: Part, first: int) -> str:
    return str(int(part.name) + first) if part.name.isdecimal() else part.name


def _kept_bits(part: Part) -> str:
    return f"{'-' * (part.value < 0)}{abs(part.units):b}"


def _lost_bits(part: Part) -> str:
    """Return the first of the bits behind the cut."""
    rest, bits = abs(part.lost) / Fraction(2) ** part.place, ""
    while rest and len(bits) < _LOST:
        rest *= 2
        bits += str(int(rest))
        rest -= int(rest)
    return bits + "..." * bool(rest)


def _short_row(block: DotBlock) -> tuple[str, str]:
    step = block.steps[-1]
    if step.name == "promoted":
        return "promoted", f"{_text(block.before)} + these = {_text(block.value)}"
    parts = [part for one in block.steps for part in one.parts]
    lossy = sum(part.lost != 0 for part in parts)
    text = f"{_span(block)}: "
    tops = [one.exponent for one in block.steps if one.exponent is not None]
    if tops:
        text += f"largest exponent {max(tops)}, {lossy} of {len(parts)} terms lose bits; "
    return "block", text + _text(block.value)


def _text(x: Number) -> str:
    return value_text(x) if isinstance(x, float) else decimal(x, 24, False)
