"""Why did this number become that one? One conversion, or one operation, step by step.

`explain` takes the four steps of rounding that `floatlab.rounding` describes (find the unit, count units, decide, look
at the ends) with exact fractions, and keeps each as data. What it reports as the result comes from the same functions
that round arrays, so the story and the number cannot come apart unnoticed: the tests hold them together.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal, overload

from floatlab.errors import OptionError, check_switch
from floatlab.explain.facts import Explanation, Neighbour
from floatlab.explain.numbers import exact_number, exact_result, format_of, read, rounded
from floatlab.explain.story import Story
from floatlab.explain.sums import SumExplanation, explain_sum
from floatlab.explain.unit_facts import DotExplanation
from floatlab.explain.units import explain_dot
from floatlab.rounding.options import RoundingOptions, check_names, make_rule

__all__ = ["DotExplanation", "Explanation", "Neighbour", "SumExplanation", "explain", "explain_dot"]


@overload
def explain(x: tuple[Literal["sum"], Any], fmt: Any = None, **options: Any) -> SumExplanation: ...
@overload
def explain(
    x: Any,
    fmt: Any = None,
    *,
    rounding: str = ...,
    overflow: str | None = ...,
    subnormals: str = ...,
    flush_inputs: bool = ...,
    random_bits: int | None = ...,
    random_integers: int | None = ...,
    full: bool = ...,
) -> Explanation: ...
def explain(
    x: Any,
    fmt: Any = None,
    *,
    rounding: str = "nearest_even",
    overflow: str | None = None,
    subnormals: str = "gradual",
    flush_inputs: bool = False,
    random_bits: int | None = None,
    random_integers: int | None = None,
    full: bool = False,
    **unknown: Any,
) -> Explanation | SumExplanation:
    """Explain how a number, or the result of an operation, is rounded to a format.

    Parameters
    ----------
    x : number, str, Fraction, FloatArray of one element, or tuple
        A number, taken exactly; a string is a number, a quotient or a power, taken exactly too ("0.1" is one tenth, 0.1
        is the float64 next to it; "1/3", "2^-24", "0x1.8p-3"), and so is a `Decimal`. A tuple is an operation:
        ``(a, "+", b)`` with + - * or /, ``("sqrt", a)``, ``("fma", a, b, c)``, the name of an elementary function
        and its argument, ``("exp", a)``, or ``("sum", terms)``: where does it stall?
    fmt : str, FloatFormat or dtype
        The format. It may be left out where an operand is a FloatArray.
    rounding, overflow, subnormals, flush_inputs, random_bits, random_integers
        As in `quantize`; the modes of stochastic rounding need the last two.
    full : bool
        Whether every step is printed, and not only what a first look needs. The data are the same.

    Returns
    -------
    Explanation or SumExplanation
        The latter for ``("sum", terms)``.

    Examples
    --------
    >>> print(explain(0.1, "e4m3"))
    0.1 to float8_e4m3fn, nearest_even
    <BLANKLINE>
      source    0.1000000000000000055511151231257827021181583404541015...
      below     12 units = 0.09375     0 0011 100 = 0x1C
      above     13 units = 0.1015625   0 0011 101 = 0x1D
      decision  more than half a unit: the nearer one is above
      result    0.1015625 (normal)   0 0011 101 = 0x1D
      error     0.0015624999999999... = 0.2 ulp, 1.56 %
    >>> print(explain(0.1, "e4m3", full=True))
    0.1 to float8_e4m3fn, nearest_even
    <BLANKLINE>
      source    0.1000000000000000055511151231257827021181583404541015...
      float64   0 01111111011 1001100110011001100110011001100110011001100110011010
      binade    2^-4 <= |x| < 2^-3
      unit      2^-7 = 0.0078125
      count     12.800000000000000710542735760100185871124267578... units
      below     12 units = 0.09375     0 0011 100 = 0x1C
      above     13 units = 0.1015625   0 0011 101 = 0x1D
      decision  more than half a unit: the nearer one is above
      result    0.1015625 (normal)   0 0011 101 = 0x1D
      error     0.0015624999999999... = 0.2 ulp, 1.56 %
      flags     inexact
    """
    check_switch("full", full)
    check_names("explain", unknown, [name for name in RoundingOptions.__annotations__ if name != "rng"])
    if isinstance(x, tuple) and len(x) == 2 and x[0] == "sum":
        return explain_sum(
            x[1],
            format_of([x[1]], fmt),
            rounding=rounding,
            overflow=overflow,
            subnormals=subnormals,
            flush_inputs=flush_inputs,
        )
    name, operands = read(x)
    fmt = format_of(operands, fmt)
    rule = make_rule(fmt, rounding, overflow, subnormals, flush_inputs)
    options: dict[str, Any] = {"rounding": rounding, "overflow": overflow, "subnormals": subnormals}
    if rule.variant is not None:
        if random_integers is None or random_bits is None:
            raise OptionError(
                "A stochastic rounding is explained for one random integer. "
                f"Got random_bits={random_bits!r}, random_integers={random_integers!r}. Give both."
            )
        options |= {"random_bits": random_bits, "random_integers": random_integers}
    numbers = [exact_number(operand) for operand in operands]
    flushed = []
    if flush_inputs:
        flushed = [
            i for i, n in enumerate(numbers) if isinstance(n, Fraction) and 0 != abs(n) < fmt.smallest_normal
        ]
        numbers = [math.copysign(0.0, n) if i in flushed else n for i, n in enumerate(numbers)]
    source, endless, raised = exact_result(name, numbers, fmt, rounding)
    value, flags = rounded(source, fmt, rule, options)
    unflushed = value
    if subnormals == "flush":
        gradual = make_rule(fmt, rounding, overflow, "gradual", flush_inputs)
        unflushed, found = rounded(source, fmt, gradual, options | {"subnormals": "gradual"})
        if "invalid" in found and "invalid" not in flags:
            # Below zero in a format without sign, but for the flush.
            unflushed = math.nan
    return Story(
        name,
        operands,
        numbers,
        bool(flushed),
        source,
        endless,
        fmt,
        rule,
        options,
        value,
        unflushed,
        (raised,) if raised else flags,
        full,
    ).tell()
