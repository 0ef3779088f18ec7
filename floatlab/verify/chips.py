"""What should a matrix unit's dot product be? The parameters of every chip, typed once more, and its oracle.

`oracle(unit, instruction, operands, result)` is an instruction on integers and fractions (`floatlab.reference`), with
the parameters of the published tables: nothing here knows the catalogue of `floatlab.matrix_units`, so that a number
that is wrong in one of them shows. Formats are called by their short names: "fp16", "e4m3".

Sources: F. A. Khattak and M. Mikaitis, "Accurate models of NVIDIA tensor cores", arXiv:2512.07004; P. Xie and others,
"MMA-Sim", arXiv:2511.10909; Intel and Arm manuals, as `floatlab.reference.stepwise_units` has them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

from floatlab import reference
from floatlab.formats import FloatFormat, get_format
from floatlab.reference import Number, Special, matrix_units, stepwise_units
from floatlab.verify.tasks import Array

__all__ = [
    "FP8",
    "SCALED",
    "TENSOR_CORES",
    "Dot",
    "Tensor",
    "numbers",
    "oracle",
    "same",
    "short_name",
    "step_of",
]


class Tensor(NamedTuple):
    """How a tensor core has a block: F, L, the precision kept for fp32, exponents of a zero for fp32 and fp16."""

    fraction_bits: int
    block: int
    kept: str
    zero_exponent: dict[str, int]


BEFORE_TURING, TURING, HOPPER = ({"fp32": -131 - n, "fp16": -19 - n} for n in range(3))
FP8 = "e4m3 e5m2"
FP8_TO_FP4 = f"{FP8} e2m3 e3m2 e2m1"
AMPERE_AND_ADA = "a100 a2 ada l40s"
FROM_HOPPER = "h100 h200 b200 rtx_blackwell"
TENSOR_CORES: dict[tuple[str, str | None, str], Tensor] = {
    (unit, None, operand): Tensor(fraction_bits, block, kept, zeros)
    for units, operands, fraction_bits, block, kept, zeros in (
        ("v100", "fp16", 23, 4, "fp32", BEFORE_TURING),
        ("t4", "fp16", 24, 8, "fp32", TURING),
        (AMPERE_AND_ADA, "fp16 bf16", 24, 8, "fp32", TURING),
        (AMPERE_AND_ADA, "tf32", 24, 4, "fp32", TURING),
        (FROM_HOPPER, "fp16 bf16", 25, 16, "fp32", HOPPER),
        (FROM_HOPPER, "tf32", 25, 8, "fp32", HOPPER),
        ("ada l40s", FP8, 13, 16, "e8m13", TURING),
        ("h100 h200", FP8, 13, 32, "e8m13", HOPPER),
        ("b200 rtx_blackwell", FP8_TO_FP4, 25, 32, "fp32", HOPPER),
    )
    for unit in units.split()
    for operand in operands.split()
}
TENSOR_CORES["t4", "m8n8k4", "fp16"] = TENSOR_CORES["v100", None, "fp16"]
FP8_AS_FP16 = tuple((unit, "mma.sync") for unit in ("h100", "h200", "b200"))
SCALED = {  # instruction: products, numbers to a scale; and whether groups of 16 are summed first
    "mxf8f6f4": (32, 32, False),
    "mxf4": (64, 32, True),
    "mxf4nvf4": (64, 16, True),
}
ACCUMULATOR = get_format("fp32")


Dot = Callable[..., Number]
"""``dot(a, b, c)``, or ``dot(a, b, c, scales=(of a, of b))``, of numbers; any length."""


NAMES = tuple(["fp16", "bf16", "tf32", "e4m3", "e5m2", "e2m3", "e3m2", "e2m1", "e4m3fnuz", "e5m2fnuz"])


def short_name(fmt: FloatFormat) -> str:
    """Return what a format of operands is called here.

    >>> short_name(get_format("float8_e4m3fn"))
    'e4m3'
    """
    return next(name for name in NAMES if get_format(name).same_as(fmt))


def oracle(
    unit: str, instruction: str | None, operands: tuple[str, str], result: str, scale: str | None = None
) -> Dot:
    """Return an instruction on integers and fractions, chained over any number of products."""
    step, block = step_of(unit, instruction, operands, result, scale)
    if scale is None:
        return partial(matrix_units.chain, step, block=block)
    assert instruction is not None
    return partial(matrix_units.chain, step, block=block, scale_block=SCALED[instruction][1])


def step_of(
    unit: str, instruction: str | None, operands: tuple[str, str], result: str, scale: str | None = None
) -> tuple[Callable[..., Number], int]:
    """Return one block of an instruction, and how many products it takes."""
    formats = get_format(operands[0]), get_format(operands[1])
    if unit in OTHERS:
        return OTHERS[unit](instruction, operands[0], formats)
    if instruction in SCALED:
        block, _, grouped = SCALED[instruction]
        if grouped:
            assert scale is not None
            options: dict[str, Any] = {"fraction_bits": 35, "zero_exponent": -139}
            return partial(
                matrix_units.grouped, scale_format=get_format(scale), result=ACCUMULATOR, **options
            ), block
        options = {"operands": formats, "fraction_bits": 25, "zero_exponent": -133}
        return partial(matrix_units.scaled, result=ACCUMULATOR, **options), block
    rounding = "nearest_even" if result == "fp16" else "toward_zero"
    options = {"result": get_format(result), "rounding": rounding}
    if (unit, instruction) in FP8_AS_FP16 and operands[0] in FP8.split():
        core = TENSOR_CORES[unit, None, "fp16"]
        options |= {"fraction_bits": core.fraction_bits, "zero_exponent": core.zero_exponent[result]}
        return partial(matrix_units.fp8_as_fp16, **options), 32
    core = TENSOR_CORES[unit, instruction, operands[0]]
    options |= {"fraction_bits": core.fraction_bits, "zero_exponent": core.zero_exponent[result]}
    kept = get_format(core.kept if result == "fp32" else result)
    return partial(matrix_units.fused, operands=formats, kept=kept, **options), core.block


Formats = tuple[FloatFormat, FloatFormat]


def _mi100(_: str | None, operand: str, formats: Formats) -> tuple[Callable[..., Number], int]:
    return stepwise_units.mi100, 4 if operand == "fp16" else 2


def _mi250(instruction: str | None, operand: str, formats: Formats) -> tuple[Callable[..., Number], int]:
    return partial(stepwise_units.mi250, operands=formats), 2 if instruction == "bf16" else 4


def _mi300(_: str | None, operand: str, formats: Formats) -> tuple[Callable[..., Number], int]:
    fp8 = operand.endswith("fnuz")
    step = partial(matrix_units.mi300, operands=formats, alternating=fp8)
    return step, 16 if fp8 else 4 if operand == "tf32" else 8


OTHERS: dict[str, Callable[..., tuple[Callable[..., Number], int]]] = {
    "mi100": _mi100,
    "mi250": _mi250,
    "mi300": _mi300,
    "avx512_bf16": lambda *_: (stepwise_units.avx512_bf16, 2),
    "amx_bf16": lambda *_: (stepwise_units.amx_bf16, 32),
    "arm_bf16": lambda *_: (stepwise_units.arm_bf16, 2),
    "arm_ebf16": lambda *_: (stepwise_units.arm_ebf16, 2),
}

# -- numbers -------------------------------------------------------------------------------------------


@cache
def _value(code: int, fmt: FloatFormat) -> Number:
    return reference.decode(code, fmt)


def numbers(codes: Array, name: str) -> list[Number]:
    """Return what the codes of one row mean."""
    fmt = get_format(name)
    decode = _value if fmt.bits < 32 else reference.decode
    return [decode(code, fmt) for code in codes.tolist()]


def same(x: Number, y: Number, *, any_zero: bool = False) -> bool:
    """Say whether two results are one: NaN as NaN; for AMD's units the sign of a zero aside."""
    nans = (Special.NAN, Special.NEGATIVE_NAN)
    if x in nans or y in nans:
        return x in nans and y in nans
    zeros = (0, Special.NEGATIVE_ZERO)
    return x == y or (any_zero and x in zeros and y in zeros)
