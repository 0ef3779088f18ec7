"""What does a matrix unit that rounds as it goes compute? Exact sums and fp32 steps, subnormals flushed or not.

Each function is one step of its instruction: the products that it takes at once, and the accumulator. `chain` in
`matrix_units.py` does many.

- `mi100`: AMD's CDNA1, an exact sum rounded once. `mi250`: CDNA2, fp32 sums of pairs, flushed.
- `avx512_bf16` and `amx_bf16`: Intel's and AMD's VDPBF16PS, and Intel's TDPBF16PS.
- `arm_bf16` and `arm_ebf16`: Arm's BFDOT and BFMMLA, without and with the extended behaviour.
- `vnni` and `maddubs`: VPDPBUSD, VPDPBUSDS and the like; VPMADDUBSW with the two instructions that follow it.

Sources: P. Xie and others, "MMA-Sim", arXiv:2511.10909 (CDNA1, CDNA2); Intel 64 and IA-32 Architectures Software
Developer's Manual, volume 2 (VDPBF16PS, TDPBF16PS, VPDPBUSD, VPDPBUSDS, VPMADDUBSW); Arm Architecture Reference
Manual for A-profile, pseudocode BFDotAdd, BFMulH, BFAdd, BFRound, FPDotAdd.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from floatlab.formats import FloatFormat, get_format
from floatlab.reference.alignment import power, products_of
from floatlab.reference.numbers import NANS, ZERO, Number, Special, exact, is_minus, with_sign
from floatlab.reference.operations import add, exact_sum, fma, multiply
from floatlab.reference.rounding import round

__all__ = ["amx_bf16", "arm_bf16", "arm_ebf16", "avx512_bf16", "maddubs", "mi100", "mi250", "vnni"]

BF16, FP32 = get_format("bf16"), get_format("fp32")
WIDE = FloatFormat("fp32_without_limits", 11, 23)
"""The precision of fp32, with exponents that no sum of bf16 products leaves."""


def _one_nan(x: Number | None) -> Number:
    return Special.NAN if x is None or x in NANS else x


def _is_subnormal(x: Number, fmt: FloatFormat) -> bool:
    return isinstance(x, Fraction) and x != 0 and abs(x) < power(fmt.emin)


def _flushed(x: Number, fmt: FloatFormat) -> Number:
    """Return a zero of the number's sign for a number below the normal ones."""
    return with_sign(ZERO, is_minus(x)) if _is_subnormal(x, fmt) else x


# -- AMD -----------------------------------------------------------------------------------------------


def mi100(a: Sequence[Any], b: Sequence[Any], c: Any) -> Number:
    """Return one step of a CDNA1 matrix core (MI100): the exact sum of c and the products, rounded once to fp32.

    It takes 4 products of fp16, or 2 of bf16. Rounding is to nearest even; subnormals stay.

    Examples
    --------
    >>> mi100([-(2.0**13), -0.5, -0.25, -0.125], [2.0**10, 1, 1, 1], 2.0**23)
    Fraction(-7, 8)
    """
    terms = [*products_of(a, b), exact(c)]
    known = [x for x in terms if x is not None]
    total = exact_sum(known, "nearest_even") if len(known) == len(terms) else None
    return _one_nan(None if total is None else round(total, FP32).value)


def mi250(a: Sequence[Any], b: Sequence[Any], c: Any, *, operands: tuple[FloatFormat, FloatFormat]) -> Number:
    """Return one step of a CDNA2 matrix core (MI250): c + ((p0 + p1) + (p2 + p3)), or c + (p0 + p1).

    Every product and sum is rounded to fp32, to nearest even, and a subnormal result becomes a zero of its sign.
    Subnormal operands, and a subnormal c, are +0. Four products are those of fp16 and of the bf16 instructions of
    the name ``_1k``, two those of the older bf16 instructions.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> fp16 = get_format("fp16")
    >>> mi250([-(2.0**13), -0.5, -0.25, -0.125], [2.0**10, 1, 1, 1], 2.0**23, operands=(fp16, fp16))
    Fraction(0, 1)
    """
    first, second = (
        [_without_subnormals(x, fmt) for x in v] for v, fmt in zip((a, b), operands, strict=True)
    )
    sums = [multiply(x, y, FP32, subnormals="flush").value for x, y in zip(first, second, strict=True)]
    while len(sums) > 1:
        sums = [
            add(x, y, FP32, subnormals="flush").value for x, y in zip(sums[0::2], sums[1::2], strict=True)
        ]
    return _one_nan(add(_without_subnormals(c, FP32), sums[0], FP32, subnormals="flush").value)


def _without_subnormals(x: Any, fmt: FloatFormat) -> Number:
    number = exact(x)
    return ZERO if _is_subnormal(number, fmt) else number


# -- x86 -----------------------------------------------------------------------------------------------


def avx512_bf16(a: Sequence[Any], b: Sequence[Any], c: Any) -> Number:
    """Return what VDPBF16PS adds to one element of its destination: the odd pair first, then the even one.

    Each is a fused multiply-add of fp32, to nearest even whatever MXCSR says. Subnormal operands are zeros of their
    sign, and so is a result that is tiny, which is asked after it was rounded to 24 bits.

    Examples
    --------
    >>> avx512_bf16([1.0, 1.0], [2.0**-24, 2.0**-24], 1)  # the odd product is lost in the 1, the even one after it
    Fraction(1, 1)
    >>> avx512_bf16([1.0, 3.0], [-1.0, 2.0**-24], 1)
    Fraction(1, 4194304)
    """
    total = _flushed(exact(c), FP32)
    for k in (1, 0):
        total = _flushed_fma(a[k], b[k], total)
    return _one_nan(total)


def amx_bf16(a: Sequence[Any], b: Sequence[Any], c: Any) -> Number:
    """Return what TDPBF16PS adds to one element of its tile: c plus the sum of two chains.

    The products of even index and those of odd index are two chains of fused multiply-adds that begin at +0; both
    are added up, then to c. The steps round and flush as those of `avx512_bf16` do.

    Examples
    --------
    >>> amx_bf16([1.0] * 32, [1.0] * 32, 2**24)
    Fraction(16777248, 1)
    """
    lanes: list[Number] = []
    for first in (0, 1):
        total: Number = ZERO
        for x, y in zip(a[first::2], b[first::2], strict=True):
            total = _flushed_fma(x, y, total)
        lanes.append(total)
    return _one_nan(_flushed_fma(1, _flushed_fma(1, lanes[0], lanes[1]), _flushed(exact(c), FP32)))


def _flushed_fma(x: Any, y: Any, c: Number) -> Number:
    """Return x * y + c for bf16 or fp32 numbers, with subnormal operands and tiny results flushed."""
    first, second = (_flushed(exact(number), BF16) for number in (x, y))
    unlimited = fma(first, second, c, WIDE).value
    return round(_flushed(unlimited, FP32), FP32).value


# -- Arm -----------------------------------------------------------------------------------------------


def arm_bf16(a: Sequence[Any], b: Sequence[Any], c: Any) -> Number:
    """Return what BFDOT adds to one element: both products, their sum and the sum with c, each rounded to odd.

    So it is for BFMMLA, pair after pair, on a processor without the extended behaviour. Subnormal operands and
    results are zeros of their sign, and what reaches 2**128 is an infinity.

    Examples
    --------
    >>> arm_bf16([1.0, 1.0], [1.0, 2.0**-30], 0) - 1  # odd: the sum keeps a trace of what it lost
    Fraction(1, 8388608)
    """
    first, second = ([_flushed(exact(x), BF16) for x in numbers] for numbers in (a, b))
    products = [None if x is None else _odd_step(x) for x in products_of(first, second)]
    return _one_nan(_odd_sum(_flushed(exact(c), FP32), _odd_sum(*products)))


def _odd_sum(x: Number | None, y: Number | None) -> Number | None:
    if x is None or y is None:
        return None
    total = exact_sum((x, y), "to_odd")
    return None if total is None else _odd_step(total)


def _odd_step(x: Number) -> Number:
    """Return a product or a sum as BFRound delivers it."""
    if isinstance(x, Fraction) and abs(x) >= power(FP32.emax + 1):
        return with_sign(Special.INFINITY, x < 0)
    return round(_flushed(x, FP32), FP32, rounding="to_odd").value


def arm_ebf16(a: Sequence[Any], b: Sequence[Any], c: Any) -> Number:
    """Return what BFDOT adds to one element under the extended behaviour (FPCR.EBF): c + (p0 + p1).

    The sum of the two exact products is rounded once, that with c once more, both to nearest even; subnormals stay.

    Examples
    --------
    >>> arm_ebf16([1.0, 1.0], [1.0, 2.0**-30], 0)
    Fraction(1, 1)
    """
    products = [x for x in products_of(a, b) if x is not None]
    total = exact_sum(products, "nearest_even") if len(products) == len(a) else None
    return _one_nan(None if total is None else add(round(total, FP32).value, c, FP32).value)


# -- integers ------------------------------------------------------------------------------------------


def vnni(a: Sequence[int], b: Sequence[int], c: int, *, saturate: bool = False) -> int:
    """Return c and the products as an int32: wrapped (VPDPBUSD), or saturated once at the end (VPDPBUSDS).

    VPDPBUSD multiplies four uint8 `a` by int8 `b`; with two int16 each it is VPDPWSSD and VPDPWSSDS.

    Examples
    --------
    >>> vnni([255] * 4, [127] * 4, 2**31 - 1), vnni([255] * 4, [127] * 4, 2**31 - 1, saturate=True)
    (-2147354109, 2147483647)
    """
    total = int(c) + sum(int(x) * int(y) for x, y in zip(a, b, strict=True))
    return _saturated(total, 32) if saturate else _wrapped(total, 32)


def maddubs(a: Sequence[int], b: Sequence[int], c: int) -> int:
    """Return c and four products by VPMADDUBSW, VPMADDWD with ones and VPADDD: each pair saturates at int16.

    Examples
    --------
    >>> maddubs([255] * 4, [127] * 4, 0)
    65534
    """
    products = [int(x) * int(y) for x, y in zip(a, b, strict=True)]
    pairs = [_saturated(x + y, 16) for x, y in zip(products[0::2], products[1::2], strict=True)]
    return _wrapped(int(c) + sum(pairs), 32)


def _wrapped(x: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (x + half) % (2 * half) - half


def _saturated(x: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return max(-half, min(x, half - 1))
