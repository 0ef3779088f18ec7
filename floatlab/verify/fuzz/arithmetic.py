"""What is a op b, and f(x)? Tries of operations and of elementary functions."""

from __future__ import annotations

import math
from random import Random

from floatlab import reference
from floatlab.formats import FloatFormat
from floatlab.functions.evaluate import FUNCTIONS, FUNCTIONS_OF_TWO
from floatlab.verify.functions import exact_pair, exact_value
from floatlab.verify.fuzz.case import Case, Check, Words, format_text, reference_floats, value_words
from floatlab.verify.fuzz.common import SIZES, integers_of, options_of, random_of, shape_of, words_of
from floatlab.verify.fuzz.draw import any_code, any_format, any_layout, any_number, any_options, value_of

__all__ = ["ARITHMETIC", "FUNCTION"]

OPERATIONS = {"add": 2, "subtract": 2, "multiply": 2, "divide": 2, "sqrt": 1, "fma": 3}
_SIGNS = {"add": "a + b", "subtract": "a - b", "multiply": "a * b", "divide": "a / b"}


def _draw_arithmetic(draw: Random) -> Case:
    fmt, size, what = any_format(draw), draw.choice(SIZES), draw.choice(list(OPERATIONS))
    kinds: tuple[FloatFormat, ...] = ()
    if draw.random() < 0.7:
        own = draw.random() < 0.7
        kinds = tuple(fmt if own else any_format(draw) for _ in range(OPERATIONS[what]))
        operands = [[value_of(any_code(draw, kind), kind) for _ in range(size)] for kind in kinds]
    else:
        operands = [[any_number(draw, fmt) for _ in range(size)] for _ in range(OPERATIONS[what])]
    if what in ("add", "subtract") and draw.random() < 0.2:  # cancelling
        operands[1] = [-x if draw.random() < 0.7 else x for x in operands[0]]
        kinds = kinds and (kinds[0], kinds[0]) if all(kind.signed for kind in kinds) else ()
    in_context = bool(kinds) and set(kinds) == {fmt} and what in _SIGNS and draw.random() < 0.3
    options = any_options(draw, fmt, stochastic=not in_context)
    style = "+context" if in_context else "+flags" if draw.random() < 0.4 else ""
    return Case(
        "arithmetic", fmt, tuple(map(tuple, operands)), shape_of(draw, size), "f8", any_layout(draw), options,
        integers_of(draw, options, size), what + style, kinds,
    )  # fmt: skip


def _arithmetic_text(case: Case) -> str:
    operands = [case.operand(i) for i in range(len(case.numbers))]
    if case.kinds:
        operands = [
            f"fl.array({x}, {format_text(kind)})" for x, kind in zip(operands, case.kinds, strict=True)
        ]
    name, _, style = case.what.partition("+")
    more = {"return_flags": True} if style == "flags" else {}
    if case.what.endswith("context"):  # the same options, from `fl.arithmetic`; the arrays are made outside
        options = case.arguments().removeprefix(", ")
        return f"(lambda a, b: fl.arithmetic({options})(lambda: {_SIGNS[name]})())({', '.join(operands)})"
    return f"fl.{name}({', '.join(operands)}, {format_text(case.fmt)}{case.arguments(**more)})"


def _expect_arithmetic(case: Case) -> Words:
    name, _, style = case.what.partition("+")
    options = options_of(case)
    flush = options.pop("flush_inputs", False)
    results = []
    for i in range(case.size):
        operands = [numbers[i] for numbers in case.numbers]
        if case.kinds:  # as `fl.array` rounds them, if they are not values of their formats already
            pairs = zip(operands, case.kinds, strict=True)
            operands = reference_floats([reference.round(x, kind) for x, kind in pairs])
        if flush:
            operands = [math.copysign(0.0, x) if abs(x) < case.fmt.smallest_normal else x for x in operands]
        results.append(getattr(reference, name)(*operands, case.fmt, **options, **random_of(case, i)))
    return words_of(results, case, style == "flags")


# -- functions --------------------------------------------------------------------------------------------


def _draw_function(draw: Random) -> Case:
    while True:
        fmt = any_format(draw, 11)
        if fmt.smallest_subnormal >= 2.0**-200 and fmt.max <= 2.0**200 and fmt.has_nan:
            break
    size, what = draw.choice([1, 2, 5]), draw.choice([*FUNCTIONS, *FUNCTIONS_OF_TWO])
    operands = 2 if what in FUNCTIONS_OF_TWO else 1
    numbers = tuple(tuple(value_of(any_code(draw, fmt), fmt) for _ in range(size)) for _ in range(operands))
    options = any_options(draw, fmt, stochastic=False)
    return Case("function", fmt, numbers, (size,), options=options, what=what)


def _function_text(case: Case) -> str:
    operands = ", ".join(case.operand(i) for i in range(len(case.numbers)))
    return f"fl.{case.what}({operands}, {format_text(case.fmt)}{case.arguments()})"


def _expect_function(case: Case) -> Words:
    options = options_of(case)
    flush = options.pop("flush_inputs", False)
    results = []
    for operands in zip(*case.numbers, strict=True):
        if flush:
            operands = tuple(
                math.copysign(0.0, x) if abs(x) < case.fmt.smallest_normal else x for x in operands
            )
        exact = exact_value(case.what, *operands) if len(operands) == 1 else exact_pair(case.what, *operands)
        results.append(reference.round(exact, case.fmt, **options))
    return {"values": value_words(reference_floats(results), False)}


ARITHMETIC = Check(_draw_arithmetic, _arithmetic_text, _expect_arithmetic, 4)
FUNCTION = Check(_draw_function, _function_text, _expect_function, 1, False, ("gmpy2",))
