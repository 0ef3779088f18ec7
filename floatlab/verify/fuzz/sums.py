"""What do terms add up to? Tries of sums, means and products, with every kind of accumulator."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

from floatlab import reference
from floatlab.formats import FloatFormat, get_format
from floatlab.verify.fuzz.case import (
    Case,
    Check,
    Words,
    array_text,
    format_text,
    reference_floats,
    value_words,
)
from floatlab.verify.fuzz.common import options_of
from floatlab.verify.fuzz.draw import any_code, any_format, any_options, value_of

__all__ = ["SUM"]

_TINY_OR_HUGE = (1.0, 1.0, 1.0, 2.0**-40, 2.0**-200, 2.0**40, 2.0**300)


def _draw_sum(draw: Random) -> Case:
    fmt = any_format(draw, 51)
    operand = fmt if draw.random() < 0.6 else any_format(draw, 26)
    what = draw.choice(["sum", "sum", "mean", "dot", "matmul"])
    if what in ("dot", "matmul") and operand.precision > 26:  # of which products are exact
        operand = any_format(draw, 26)
    rows = draw.choice([1, 2, 40]) if what == "sum" else draw.choice([1, 2]) if what == "matmul" else 1
    length = draw.choice([1, 2, 3, 4, 7, 12]) if rows < 40 else draw.randint(1, 5)
    shape = (rows, length) if what in ("matmul", "sum") and draw.random() < 0.7 else (rows * length,)
    numbers = []
    for _ in range(2 if what in ("dot", "matmul") else 1):
        scale = draw.choice(_TINY_OR_HUGE)
        row = [_term(draw, operand, scale) for _ in range(rows * length)]
        if draw.random() < 0.3 and len(row) > 1:  # cancelling
            half = len(row) // 2
            row[half : 2 * half] = [-x for x in row[:half]]
        numbers.append(tuple(row))
    options = {k: v for k, v in any_options(draw, fmt, stochastic=False).items() if k != "flush_inputs"}
    once = what == "mean" or draw.random() < 0.35
    kinds = (draw.choice(["Wide", "Exact"]),) if once else _any_accumulator(draw, fmt)
    if kinds == ("Wide",) and fmt.precision > 40:
        kinds = ("Exact",)
    return Case("sum", fmt, tuple(numbers), shape, options=options, what=what, kinds=kinds)


def _term(draw: Random, fmt: FloatFormat, scale: float) -> float:
    value = value_of(any_code(draw, fmt), fmt)
    if math.isfinite(value):
        value = min(max(value * scale, -1.7e308), 1.7e308)
        return value if draw.random() < 0.9 else draw.choice([0.0, -0.0, -value])
    return value if draw.random() < 0.15 else draw.choice([0.0, 1.0, -1.0])


def _any_accumulator(draw: Random, fmt: FloatFormat) -> tuple[Any, ...]:
    own = fmt if draw.random() < 0.6 else any_format(draw, 51)
    kind = draw.choice(["Sequential", "Sequential", "Pairwise", "Chunked", "Kahan"])
    if kind == "Chunked":
        return (kind, own, fmt if draw.random() < 0.5 else any_format(draw, 51), draw.randint(1, 4))
    return (kind, own)


def _sum_text(case: Case) -> str:
    kind, *parts = case.kinds
    parts = [format_text(part) if isinstance(part, FloatFormat) else str(part) for part in parts]
    operands = [case.operand(i) for i in range(len(case.numbers))]
    if case.what == "matmul" and len(case.shape) == 2:
        operands[1] = array_text(case.numbers[1], case.shape[::-1], "f8")
    axis = ", axis=-1" if case.what == "sum" else ""
    accumulator = f"accumulators.{kind}({', '.join(parts)})"
    return (
        f"fl.{case.what}({', '.join(operands)}, {format_text(case.fmt)}{axis}{case.arguments()}, "
        f"accumulator={accumulator})"
    )


def _expect_sum(case: Case) -> Words:
    results = [_add_up(terms, case) for terms in _rows(case)]
    return {"values": value_words(reference_floats(results), False)}


def _rows(case: Case) -> list[list[Any]]:
    """Return the terms of each result: numbers, or pairs of factors."""
    x = case.numbers[0]
    if case.what in ("sum", "mean"):
        n = case.shape[-1]
        return [list(x[i : i + n]) for i in range(0, len(x), n)]
    y = case.numbers[1]
    if len(case.shape) == 1:
        return [list(zip(x, y, strict=True))]
    rows, n = case.shape
    return [[(x[i * n + k], y[k * rows + j]) for k in range(n)] for i in range(rows) for j in range(rows)]


def _add_up(terms: list[Any], case: Case) -> reference.Result:
    kind, *parts = case.kinds
    fmt, options = case.fmt, options_of(case)
    pairs = isinstance(terms[0], tuple)
    if case.what == "mean":
        return _mean(terms, fmt, options)
    if kind in ("Wide", "Exact"):
        if pairs:
            x, y = zip(*terms, strict=True)
            return reference.dot(x, y, fmt, **options)
        return reference.sum(terms, fmt, **options)
    exact = [_product(*term) if pairs else reference.exact(term) for term in terms]
    total = _ORDERED[kind](exact, *parts, options)
    return reference.round(total, fmt, **options)


def _product(x: float, y: float) -> reference.Number:
    """Return an exact product: a term of an accumulator."""
    if math.isfinite(x) and math.isfinite(y) and x and y:
        return Fraction(x) * Fraction(y)
    # a zero, an infinity or a NaN, with its sign
    return reference.multiply(x, y, get_format("float64")).value


def _mean(terms: list[float], fmt: FloatFormat, options: dict[str, Any]) -> reference.Result:
    """Return the exact sum divided by the number of terms, rounded once."""
    if all(math.isfinite(x) for x in terms):
        total = sum(map(Fraction, terms))
        if total:
            return reference.round(total / len(terms), fmt, **options)
    # A sum that is 0, infinite or not a number stays so when it is divided: its rounding is the mean's.
    return reference.sum(terms, fmt, **options)


def _sequential(terms: list[Any], fmt: FloatFormat, options: dict[str, Any]) -> reference.Number:
    total = reference.round(terms[0], fmt, **options).value
    for term in terms[1:]:
        total = reference.add(total, term, fmt, **options).value
    return total


def _pairwise(terms: list[Any], fmt: FloatFormat, options: dict[str, Any]) -> reference.Number:
    while len(terms) > 1:
        even = len(terms) // 2 * 2
        sums = [reference.add(terms[i], terms[i + 1], fmt, **options).value for i in range(0, even, 2)]
        terms = sums + terms[even:]
    return reference.round(terms[0], fmt, **options).value


def _chunked(
    terms: list[Any], inner: FloatFormat, outer: FloatFormat, size: int, options: dict[str, Any]
) -> reference.Number:
    chunks = [_sequential(terms[i : i + size], inner, options) for i in range(0, len(terms), size)]
    return _sequential(chunks, outer, options)


def _kahan(terms: list[Any], fmt: FloatFormat, options: dict[str, Any]) -> reference.Number:
    def add(x: reference.Number, y: reference.Number) -> reference.Number:
        return reference.add(x, y, fmt, **options).value

    def less(x: reference.Number, y: reference.Number) -> reference.Number:
        return reference.subtract(x, y, fmt, **options).value

    total = reference.round(terms[0], fmt, **options).value
    excess: reference.Number = Fraction(0)
    for term in terms[1:]:
        corrected = less(term, excess)
        new = add(total, corrected)
        excess = less(less(new, total), corrected)
        total = new
    return total


_ORDERED: dict[str, Callable[..., reference.Number]] = {
    "Sequential": _sequential,
    "Pairwise": _pairwise,
    "Chunked": _chunked,
    "Kahan": _kahan,
}


SUM = Check(_draw_sum, _sum_text, _expect_sum, 3, signed_nan=False)
