"""What does a chip's matrix unit make of it? Tries of products with every unit, in all that a call of one can say.

The unit's own parameters are those of `floatlab.verify.chips`, typed apart from the catalogue; what lies around them
(promotion, the bias, the last rounding) is a loop of the reference's additions here.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

from floatlab import reference
from floatlab.errors import DtypeError
from floatlab.formats import FloatFormat, get_format
from floatlab.reference import Number
from floatlab.verify.chips import FP8, FP8_AS_FP16, OTHERS, TENSOR_CORES, oracle, short_name
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
from floatlab.verify.fuzz.draw import any_code, any_format, any_layout, any_options, value_of

__all__ = ["UNIT"]

FP16, FP32, TF32 = get_format("fp16"), get_format("fp32"), get_format("tf32")
_OF_OTHERS = {
    "mi100": ("fp16", "bf16"),
    "mi250": ("fp16", "bf16"),
    "mi300": ("fp16", "bf16", "tf32", "e4m3fnuz", "e5m2fnuz"),
}
_WITHOUT_FP16 = ("bf16", "tf32")  # operands of which no result is fp16
_PROMOTED = (64, 128)  # multiples of every block

#: The unit, its instruction, the format of its operands.
_INSTRUCTIONS = [
    *TENSOR_CORES,
    *((unit, suffix, operand) for unit, suffix in FP8_AS_FP16 for operand in FP8.split()),
    *((unit, None, operand) for unit in OTHERS for operand in _OF_OTHERS.get(unit, ("bf16",))),
    ("mi250", "bf16", "bf16"),
]


def _draw_unit(draw: Random) -> Case:
    unit, suffix, operand = draw.choice(_INSTRUCTIONS)
    core = unit not in OTHERS
    half = core and operand not in _WITHOUT_FP16 and draw.random() < 0.3
    second = operand
    mates = [other for name, kind, other in _INSTRUCTIONS if (name, kind) == (unit, suffix)]
    if get_format(operand).bits <= 8 and draw.random() < 0.4:
        second = draw.choice([other for other in mates if get_format(other).bits <= 8])
    first = draw.random() < 0.5
    promote = draw.choice(_PROMOTED) if draw.random() < 0.25 else 0
    name = ":".join(part for part in (unit, suffix, "fp16" if half else None) if part)
    m, k, n = draw.randint(1, 3), draw.choice([1, 2, 5, 16, 33, 40, 70, 140]), draw.randint(1, 3)
    kinds = (name, operand, second, promote, first)
    formats = [get_format(operand), get_format(second), FP16 if half and first else FP32]
    if core and draw.random() < 0.5:  # its tf32 operands are fp32 numbers, of which it reads some bits
        formats[:2] = [FP32 if fmt.same_as(TF32) else fmt for fmt in formats[:2]]
    scales = draw.random() < 0.5  # of like size, or of every
    numbers = [
        tuple(_operand(draw, fmt, scales) for _ in range(size))
        for fmt, size in zip(formats, (m * k, k * n, m * n), strict=True)
    ]
    if k > 1 and draw.random() < 0.3:  # cancelling
        numbers[0] = tuple(
            (-1) ** (i % k % 2) * numbers[0][i - i % k % 2] if i % k < k // 2 * 2 else numbers[0][i]
            for i in range(m * k)
        )
        numbers[1] = tuple(numbers[1][i - n * (i // n % 2)] for i in range(k * n))
    fmt = draw.choice([FP32, FP16, any_format(draw, 51)])
    options = {k: v for k, v in any_options(draw, fmt, stochastic=False).items() if k != "flush_inputs"}
    what = draw.choice(["plain", "plain", "no bias", "arrays", "context"])
    if what == "no bias":
        numbers = numbers[:2]
    layout = any_layout(draw) if what in ("plain", "no bias") else "plain"
    if what in ("arrays", "context"):  # which tell their formats, so that tf32 is tf32
        numbers[:2] = [
            tuple(_cut(x, get_format(name)) for x in some)
            for some, name in zip(numbers[:2], (operand, second), strict=True)
        ]
    return Case(
        "unit", fmt, tuple(numbers), (m, k, n), layout=layout, options=options, what=what, kinds=kinds
    )


def _operand(draw: Random, fmt: FloatFormat, alike: bool) -> float:
    kind = draw.random()
    if alike and kind < 0.9:
        return reference.to_float(reference.round(draw.gauss(0.0, 1.0), fmt, overflow="saturate").value)
    value = value_of(any_code(draw, fmt), fmt)
    if not math.isfinite(value) and draw.random() < 0.9:
        return 0.0
    return value if math.isfinite(value) or kind < 0.5 else 1.0


def _cut(x: float, fmt: FloatFormat) -> float:
    """Return a number without the bits that a unit does not read."""
    return reference.to_float(reference.round(x, fmt, rounding="toward_zero").value)


def _unit_text(case: Case) -> str:
    name, first, second, promote, bias_first = case.kinds
    m, k, n = case.shape
    a = array_text(case.numbers[0], (m, k), "f8", case.layout)
    b = array_text(case.numbers[1], (k, n), "f8", case.layout)
    unit = name + (f":promote={promote}" if promote else "")
    more: dict[str, Any] = {"unit": unit, "formats": (first, second)}
    if case.what in ("arrays", "context"):
        a, b = f"fl.array({a}, {first!r})", f"fl.array({b}, {second!r})"
        del more["formats"]
    bias = ""
    if len(case.numbers) > 2:
        bias = f", bias={array_text(case.numbers[2], (m, n), 'f8')}"
        more["bias_first"] = bias_first
    if case.what == "context":
        del more["unit"]
        call = f"fl.matmul({a}, {b}, {format_text(case.fmt)}{bias}{case.arguments(**more)})"
        return f"fl.arithmetic(unit={unit!r})(lambda: {call})()"
    return f"fl.matmul({a}, {b}, {format_text(case.fmt)}{bias}{case.arguments(**more)})"


def _expect_unit(case: Case) -> Words:
    name, first, second, _, _ = case.kinds
    m, k, n = case.shape
    chip = name.partition(":")[0]
    a, b = (
        [_read(x, get_format(operand), chip) for x in some]
        for some, operand in zip(case.numbers, (first, second), strict=False)
    )
    results = []
    for i in range(m):
        for j in range(n):
            c = case.numbers[2][i * n + j] if len(case.numbers) > 2 else None
            total = _dot(a[i * k : (i + 1) * k], b[j::n], c, case)
            results.append(reference.round(total, case.fmt, **options_of(case)))
    return {"values": value_words(reference_floats(results), False)}


def _read(x: float, fmt: FloatFormat, chip: str) -> Number:
    """Return what a unit reads of an operand; one that is no value of its format must be refused."""
    given = FP32 if fmt.same_as(TF32) and chip not in OTHERS else fmt
    value = reference.to_float(reference.round(x, given).value)
    if value != x and not (math.isnan(value) and math.isnan(x)):
        raise DtypeError(f"{x} is none of {given}")
    return reference.exact(_cut(x, fmt))


def _dot(a: list[Number], b: list[Number], c: float | None, case: Case) -> Number:
    name, first, second, promote, bias_first = case.kinds
    parts = name.split(":")
    half = parts[-1] == "fp16"
    suffix = ":".join(parts[1:-1] if half else parts[1:]) or None
    pair = short_name(get_format(first)), short_name(get_format(second))
    dot = oracle(parts[0], suffix, pair, "fp16" if half else "fp32")
    start: Any = c if c is not None and bias_first else 0
    step = promote or len(a)
    total = dot(a[:step], b[:step], start)
    for i in range(step, len(a), step):
        total = reference.add(total, dot(a[i : i + step], b[i : i + step], 0), FP32).value
    if c is not None and not bias_first:
        total = reference.add(total, c, FP32).value
    return total


UNIT = Check(_draw_unit, _unit_text, _expect_unit, 2, signed_nan=False)
