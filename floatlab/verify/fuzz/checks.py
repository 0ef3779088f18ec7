"""What is tried, and what should come out? One entry for each kind of call, judged by `floatlab.reference`.

Every oracle here goes by the definition, one number at a time: a sequential sum is a loop of the reference's additions,
a neighbour is the next code. None calls what it judges.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from floatlab import reference
from floatlab.formats import FloatFormat, get_format
from floatlab.functions.evaluate import FUNCTIONS, FUNCTIONS_OF_TWO
from floatlab.rounding.options import RoundingOptions
from floatlab.verify.functions import exact_pair, exact_value
from floatlab.verify.fuzz.case import (
    REFUSED,
    Case,
    Check,
    Words,
    array_text,
    code_words,
    flag_words,
    format_text,
    number_text,
    reference_floats,
    value_words,
)
from floatlab.verify.fuzz.draw import (
    DTYPES,
    any_code,
    any_format,
    any_layout,
    any_number,
    any_options,
    narrowed,
    value_of,
)

__all__ = ["CHECKS"]

SIZES = (1, 1, 2, 3, 5, 8, 40)


def _shape(draw: Random, size: int) -> tuple[int, ...]:
    shapes = [(size,), (size,), (1, size), (size, 1)]
    if size % 2 == 0:
        shapes.append((size // 2, 2))
    if size == 1:
        shapes.append(())
    return draw.choice(shapes)


def _integers(draw: Random, options: dict[str, Any], size: int) -> tuple[int, ...]:
    bits = options.get("random_bits")
    return tuple(draw.getrandbits(bits) for _ in range(size)) if bits else ()


def _random(case: Case, i: int) -> dict[str, Any]:
    """Return the reference's options of a stochastic rounding of element i."""
    if not case.integers:
        return {}
    return {"random_integer": case.integers[i], "random_bits": case.options["random_bits"]}


def _options(case: Case) -> dict[str, Any]:
    return {name: value for name, value in case.options.items() if name != "random_bits"}


def _results(results: Sequence[reference.Result], case: Case, flags: bool) -> Words:
    words: Words = {"values": value_words(reference_floats(results), case.fmt.nan_has_sign)}
    if flags:
        words["flags"] = flag_words(result.flags for result in results)
    return words


# -- conversions -------------------------------------------------------------------------------------------


def _draw_conversion(draw: Random, check: str) -> Case:
    fmt = any_format(draw)
    size, dtype, options = draw.choice(SIZES), draw.choice(DTYPES), any_options(draw, fmt)
    length = draw.choice([8192, 8191, 66_003]) + draw.randint(0, 2) if draw.random() < 0.04 else 0
    layout = any_layout(draw)
    if layout == "list":
        dtype, length = "f8", 0
    return Case(
        check, fmt, (tuple(narrowed([any_number(draw, fmt) for _ in range(size)], dtype)),), _shape(draw, size),
        dtype, layout, options, _integers(draw, options, size),
        "flags" if check == "quantize" and not length and draw.random() < 0.4 else "", length=length,
    )  # fmt: skip


def _conversion_text(case: Case) -> str:
    flags = {"return_flags": True} if case.what == "flags" else {}
    return f"fl.{case.check}({case.operand()}, {format_text(case.fmt)}{case.arguments(**flags)})"


def _rounded(case: Case) -> list[reference.Result]:
    return [
        reference.round(x, case.fmt, **_options(case), **_random(case, i))
        for i, x in enumerate(case.numbers[0])
    ]


def _expect_quantize(case: Case) -> Words:
    return _results(_rounded(case), case, case.what == "flags")


def _expect_encode(case: Case) -> Words:
    return {"codes": code_words(result.code for result in _rounded(case))}


def _draw_decode(draw: Random) -> Case:
    fmt, size = any_format(draw), draw.choice(SIZES)
    codes = tuple(any_code(draw, fmt) for _ in range(size))
    return Case("decode", fmt, (codes,), _shape(draw, size), fmt.code_dtype.str[1:], any_layout(draw))


def _expect_decode(case: Case) -> Words:
    values = [value_of(code, case.fmt) for code in case.numbers[0]]
    return {"values": value_words(values, case.fmt.nan_has_sign)}


# -- neighbours --------------------------------------------------------------------------------------------


def _draw_neighbour(draw: Random) -> Case:
    fmt, size = any_format(draw), draw.choice(SIZES)
    what = draw.choice(["next_up", "next_down", "ulp", "spacing", "classify"])
    if what in ("next_up", "next_down"):
        numbers = [any_number(draw, fmt) for _ in range(size)]
    else:
        numbers = [value_of(any_code(draw, fmt), fmt) for _ in range(size)]
    return Case("neighbour", fmt, (tuple(numbers),), _shape(draw, size), what=what)


def _next(x: float, fmt: FloatFormat, up: bool) -> float:
    """Return the neighbour of a number, by one step along the codes."""
    if math.isnan(x):
        return math.nan
    end, other = (fmt.max, fmt.lowest) if up else (fmt.lowest, fmt.max)
    if (x >= end) if up else (x <= end):
        if fmt.has_infinity and (up or fmt.signed):
            return math.inf if up else -math.inf
        return math.nan if fmt.has_nan else end
    if (x < other) if up else (x > other):
        return other
    inward = "toward_negative" if up else "toward_positive"
    code = reference.round(x, fmt, inward, overflow="saturate").code
    size, sign = code & (1 << fmt.magnitude_bits) - 1, code & fmt.sign_mask
    if fmt.has_zero and size == 0:
        return value_of(1 if up else fmt.sign_mask | 1, fmt)
    if bool(sign) != up:  # away from zero
        return value_of(code + 1, fmt)
    return 0.0 if size == 1 and not fmt.has_negative_zero and fmt.has_zero else value_of(code - 1, fmt)


def _expect_neighbour(case: Case) -> Words:
    fmt = case.fmt
    if case.what in ("next_up", "next_down"):
        values = [_next(x, fmt, case.what == "next_up") for x in case.numbers[0]]
        return {"values": value_words(values, False)}
    if case.what == "classify":
        return {"values": [_class(_value(x, fmt), fmt) for x in case.numbers[0]]}
    return {"values": value_words([_unit(_value(x, fmt), fmt, case.what) for x in case.numbers[0]], False)}


def _value(x: float, fmt: FloatFormat) -> float:
    return reference.to_float(reference.round(x, fmt).value)


def _unit(x: float, fmt: FloatFormat, what: str) -> float:
    if not math.isfinite(x):
        return math.nan
    if what == "ulp":
        return math.ldexp(1.0, (max(math.frexp(x)[1] - 1, fmt.emin) if x else fmt.emin) - fmt.mantissa_bits)
    return _next(x, fmt, x >= 0) - x


def _class(x: float, fmt: FloatFormat) -> str:
    sign = "-" if math.copysign(1.0, x) < 0 else ""
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return sign + "infinity"
    return sign + ("zero" if x == 0 else "subnormal" if abs(x) < fmt.smallest_normal else "normal")


# -- arithmetic --------------------------------------------------------------------------------------------

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
        "arithmetic", fmt, tuple(map(tuple, operands)), _shape(draw, size), "f8", any_layout(draw), options,
        _integers(draw, options, size), what + style, kinds,
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
    options = _options(case)
    flush = options.pop("flush_inputs", False)
    results = []
    for i in range(case.size):
        operands = [numbers[i] for numbers in case.numbers]
        if case.kinds:  # as `fl.array` rounds them, if they are not values of their formats already
            pairs = zip(operands, case.kinds, strict=True)
            operands = reference_floats([reference.round(x, kind) for x, kind in pairs])
        if flush:
            operands = [math.copysign(0.0, x) if abs(x) < case.fmt.smallest_normal else x for x in operands]
        results.append(getattr(reference, name)(*operands, case.fmt, **options, **_random(case, i)))
    return _results(results, case, style == "flags")


# -- sums --------------------------------------------------------------------------------------------------

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
    fmt, options = case.fmt, _options(case)
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
    return reference.multiply(
        x, y, get_format("float64")
    ).value  # a zero, an infinity or a NaN, with its sign


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


# -- functions ---------------------------------------------------------------------------------------------


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
    options = _options(case)
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


# -- numbers of other kinds --------------------------------------------------------------------------------


def _draw_source(draw: Random) -> Case:
    fmt, size = any_format(draw), draw.choice([1, 2, 3, 5])
    numbers = tuple(_any_real(draw, fmt) for _ in range(size))
    return Case("source", fmt, (numbers,), (size,), options=any_options(draw, fmt, stochastic=False))


def _any_real(draw: Random, fmt: FloatFormat) -> Any:
    """Return an integer, a fraction, a decimal, its text, or a float: near where roundings turn, if it can be."""
    near = any_number(draw, fmt)
    kind = draw.choice(["float", "integer", "fraction", "decimal", "text"])
    if kind == "float" or not math.isfinite(near):
        return near
    if kind == "integer":
        return int(near) + draw.choice([0, 1, -1]) if abs(near) > 2.0**60 else draw.getrandbits(90) - 2**89
    if kind == "fraction":
        return Fraction(near) + draw.choice([0, 1, -1]) * Fraction(1, 3) * Fraction(2) ** draw.randint(
            -1200, -60
        )
    decimal = Decimal(near) if draw.random() < 0.3 and abs(near) > 1e-60 else Decimal(repr(near))
    return str(decimal) if kind == "text" else decimal


def _expect_source(case: Case) -> Words:
    return _results(
        [reference.round(_exactly(x), case.fmt, **_options(case)) for x in case.numbers[0]], case, False
    )


def _exactly(x: Any) -> Any:
    """Return a number that `floatlab.reference` takes: a fraction, but for floats, and zeros with a sign."""
    if isinstance(x, float | int):
        return x
    return float(x) if Fraction(x) == 0 else Fraction(x)


# -- arrays: what moves, what has a sign, what is compared ---------------------------------------------------


def _draw_array(draw: Random) -> Case:
    fmt, size = any_format(draw), draw.choice([1, 2, 3, 5])
    codes = tuple(tuple(any_code(draw, fmt) for _ in range(size)) for _ in range(2))
    names = [name for name in _ON_CODES if fmt.signed or name not in ("negative", "absolute", "copysign")]
    return Case("array", fmt, codes, (size,), fmt.code_dtype.str[1:], what=draw.choice(names))


def _negated(code: int, fmt: FloatFormat) -> int:
    """Return a code with its sign bit turned round, where there is a value of the other sign."""
    magnitude = code & ~fmt.sign_mask
    return code if magnitude == 0 and not fmt.has_negative_zero else code ^ fmt.sign_mask


def _without_sign(code: int, fmt: FloatFormat) -> int:
    return _negated(code, fmt) if code & fmt.sign_mask else code


def _with_sign(code: int, like: int, fmt: FloatFormat) -> int:
    nan_in_place_of_zero = not fmt.has_negative_zero and like == fmt.sign_mask  # it has no sign
    minus = bool(like & fmt.sign_mask) and not nan_in_place_of_zero
    size = _without_sign(code, fmt)
    return _negated(size, fmt) if minus else size


# How it is written, with {a} and {b}; and what becomes of the codes.
_ON_CODES: dict[str, tuple[str, Callable[[list[int], list[int], FloatFormat], list[int]]]] = {
    "reverse": ("{a}[::-1]", lambda a, b, fmt: a[::-1]),
    "roll": ("np.roll({a}, 1)", lambda a, b, fmt: a[-1:] + a[:-1]),
    "join": ("np.concatenate([{a}, {b}])", lambda a, b, fmt: a + b),
    "repeat": ("np.repeat({a}, 2)", lambda a, b, fmt: [code for code in a for _ in range(2)]),
    "columns": ("{a}.reshape(-1, 1).T.copy().ravel()", lambda a, b, fmt: a),
    "where": (
        "np.where(np.arange({a}.size) % 2 == 0, {a}, {b})",
        lambda a, b, fmt: [(a, b)[i % 2][i] for i in range(len(a))],
    ),
    "take": ("np.take({a}, [-1, 0])", lambda a, b, fmt: [a[-1], a[0]]),
    "negative": ("-{a}", lambda a, b, fmt: [_negated(code, fmt) for code in a]),
    "absolute": ("abs({a})", lambda a, b, fmt: [_without_sign(code, fmt) for code in a]),
    "copysign": (
        "np.copysign({a}, {b})",
        lambda a, b, fmt: [_with_sign(x, y, fmt) for x, y in zip(a, b, strict=True)],
    ),
}


def _array_text(case: Case) -> str:
    a, b = (f"fl.from_codes({case.operand(i)}, {format_text(case.fmt)})" for i in range(2))
    return f"({_ON_CODES[case.what][0].format(a=a, b=b)}).codes"


def _expect_array(case: Case) -> Words:
    a, b = map(list, case.numbers)
    return {"codes": code_words(_ON_CODES[case.what][1](a, b, case.fmt))}


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_BOUNDS = ("maximum", "minimum")


def _draw_comparison(draw: Random) -> Case:
    fmt, size = any_format(draw), draw.choice([1, 2, 3])
    values = tuple(value_of(any_code(draw, fmt), fmt) for _ in range(size))
    number = any_number(draw, fmt)
    if math.isfinite(number) and abs(number) > 2.0**54 and draw.random() < 0.5:
        number = int(number) + draw.choice([-1, 0, 1])
    what = draw.choice([*_COMPARISONS, *_BOUNDS])
    return Case("comparison", fmt, (values,), (size,), what=what, kinds=(number,))


def _comparison_text(case: Case) -> str:
    a, number = f"fl.array({case.operand()}, {format_text(case.fmt)})", number_text(case.kinds[0])
    return f"np.{case.what}({a}, {number})" if case.what in _BOUNDS else f"{a} {case.what} {number}"


def _expect_comparison(case: Case) -> Words:
    number, fmt = case.kinds[0], case.fmt
    values = [_value(x, fmt) for x in case.numbers[0]]
    if case.what in _COMPARISONS:  # Python compares floats and integers exactly
        return {"values": [str(_COMPARISONS[case.what](x, number)) for x in values]}
    return {"values": value_words([_bounded(x, number, fmt, case.what) for x in values], False)}


def _bounded(x: float, number: Any, fmt: FloatFormat, what: str) -> float:
    """Return the larger or smaller one, by what they are; the number is rounded only if it is the one."""
    if x != x or number != number:
        return _value(math.nan, fmt)
    if x == number == 0:
        minus = [math.copysign(1.0, zero) < 0 for zero in (x, number)]
        return _value(-0.0 if (all if what == "maximum" else any)(minus) else 0.0, fmt)
    if x == number:
        return x
    own = (x > number) == (what == "maximum")
    return x if own else _value(number, fmt)


# -- misspelt options --------------------------------------------------------------------------------------

_WITH_OPTIONS = (
    "array",
    "cumsum",
    "encode",
    "exp",
    "mean",
    "median",
    "norm",
    "prod",
    "quantize",
    "sqrt",
    "sum",
    "var",
)


def _draw_misspelt(draw: Random) -> Case:
    fmt, size, name = any_format(draw), draw.choice(SIZES), draw.choice(list(RoundingOptions.__annotations__))
    gone = draw.randrange(len(name))
    length = draw.choice([8191, 8192, 66_003]) if draw.random() < 0.1 else 0
    what = f"{draw.choice(_WITH_OPTIONS)} {name[:gone]}{name[gone + 1 :]}"
    return Case("misspelt", fmt, ((1.0,) * size,), _shape(draw, size), "f4", what=what, length=length)


def _misspelt_text(case: Case) -> str:
    function, option = case.what.split()
    return f"fl.{function}({case.operand()}, {format_text(case.fmt)}, {option}=None)"


CHECKS: dict[str, Check] = {
    "source": Check(
        _draw_source,
        lambda case: (
            f"fl.quantize([{', '.join(map(number_text, case.numbers[0]))}], {format_text(case.fmt)}{case.arguments()})"
        ),
        _expect_source,
        1,
    ),
    "array": Check(_draw_array, _array_text, _expect_array, 1),
    "comparison": Check(_draw_comparison, _comparison_text, _expect_comparison, 1, signed_nan=False),
    "quantize": Check(lambda draw: _draw_conversion(draw, "quantize"), _conversion_text, _expect_quantize, 4),
    "encode": Check(lambda draw: _draw_conversion(draw, "encode"), _conversion_text, _expect_encode, 2),
    "decode": Check(
        _draw_decode, lambda case: f"fl.decode({case.operand()}, {format_text(case.fmt)})", _expect_decode, 1
    ),
    "neighbour": Check(
        _draw_neighbour,
        lambda case: f"fl.{case.what}({case.operand()}, {format_text(case.fmt)})",
        _expect_neighbour,
        1,
        signed_nan=False,
    ),
    "arithmetic": Check(_draw_arithmetic, _arithmetic_text, _expect_arithmetic, 4),
    "sum": Check(_draw_sum, _sum_text, _expect_sum, 3, signed_nan=False),
    "misspelt": Check(_draw_misspelt, _misspelt_text, lambda case: REFUSED, 1),
    "function": Check(_draw_function, _function_text, _expect_function, 1, False, ("gmpy2",)),
}
