"""What does a matrix unit that aligns its products compute? One dot product at a time, on integers.

A tensor core does not add in fp32. It shifts the products of one block, and the accumulator with them, until their
exponents agree, drops the bits below the F-th fraction bit of the largest, adds what is left without an error, and
rounds or cuts that once. The chips differ in F, in the length of a block, and in what is done at the end; here these
are parameters, and which chip has which is not known.

- `fused`: one block of a tensor core. `scaled`: with a power of two for each operand (MX).
  `grouped`: sixteen fp4 products at a time are summed exactly, and only the sums are aligned (MXFP4, NVFP4).
- `fp8_as_fp16`: what `mma.sync` makes of fp8 on a chip that has no such instruction.
- `mi300`: AMD's CDNA3, which aligns the products and the accumulator in two steps, and floors.
- `chain`: block after block, the result of one being the accumulator of the next.

The units that round as they go, and those on integers, are in `stepwise_units.py`.

Sources: F. A. Khattak, M. Mikaitis, "Accurate Models of NVIDIA Tensor Cores", arXiv:2512.07004; P. Xie and others,
"MMA-Sim: Bit-Accurate Reference Model of Tensor Cores and Matrix Cores", arXiv:2511.10909. Vendors document none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from floatlab.formats import FloatFormat, get_format
from floatlab.reference.alignment import (
    Term,
    cut,
    exponent_of,
    finite,
    floored,
    largest_exponent,
    leading_exponent,
    not_finite,
    power,
    product_exponent,
    products_of,
    rounded,
)
from floatlab.reference.numbers import NANS, ZERO, Number, Special, exact, is_minus, negate, with_sign
from floatlab.reference.operations import add

__all__ = ["chain", "fp8_as_fp16", "fused", "grouped", "mi300", "scaled"]

FP16, FP32 = get_format("fp16"), get_format("fp32")
Operands = tuple[FloatFormat, FloatFormat]


def chain(
    step: Callable[..., Number],
    a: Sequence[Any],
    b: Sequence[Any],
    c: Any,
    *,
    block: int,
    scales: tuple[Sequence[Any], Sequence[Any]] | None = None,
    scale_block: int = 32,
) -> Number:
    """Return c + a.b, computed block by block; the last block is filled up with zeros.

    Parameters
    ----------
    step : callable
        ``step(a, b, c)`` is one block; ``step(a, b, c, scales_a, scales_b)`` if there are scales.
    a, b : sequence
        The operands, of equal lengths.
    c : Fraction, Special, int or float
        The accumulator at the beginning. Without operands it is the result.
    block : int
        How many products `step` takes.
    scales : pair of sequences, optional
        A scale of each operand for every `scale_block` numbers.
    scale_block : int
        How many numbers share a scale.

    Examples
    --------
    >>> from functools import partial
    >>> step = partial(fused, operands=(FP16, FP16), fraction_bits=23, result=FP32, zero_exponent=-131)
    >>> chain(step, [1] * 9, [1] * 9, 2**24 - 4, block=4) == 2**24  # 1 is below the last place of 2**24
    True
    """
    total = exact(c)
    for start in range(0, len(a), block):
        parts = [[exact(x) for x in numbers[start : start + block]] for numbers in (a, b)]
        parts = [part + [ZERO] * (block - len(part)) for part in parts]
        if scales is not None:
            part_of_scales = slice(start // scale_block, -(-(start + block) // scale_block))
            total = step(*parts, total, scales[0][part_of_scales], scales[1][part_of_scales])
        else:
            total = step(*parts, total)
    return total


# -- tensor cores --------------------------------------------------------------------------------------


def fused(
    a: Sequence[Any],
    b: Sequence[Any],
    c: Any,
    *,
    operands: Operands,
    fraction_bits: int,
    result: FloatFormat,
    zero_exponent: int,
    kept: FloatFormat | None = None,
    rounding: str = "toward_zero",
    scale_exponent: int = 0,
) -> Number:
    """Return one block of a tensor core: c and the products, aligned, cut, summed and rounded.

    Parameters
    ----------
    a, b : sequence
        The operands of one block, values of their formats.
    c : Fraction, Special, int or float
        The accumulator, a value of `result`.
    operands : pair of FloatFormat
        The formats of `a` and `b`: their smallest exponents are those of their subnormal values.
    fraction_bits : int
        F: what lies below the F-th fraction bit of the largest exponent is dropped, toward zero.
    result : FloatFormat
        The format of `c`, and of what is delivered.
    zero_exponent : int
        The exponent of a term that is zero, and so the least that the largest can be.
    kept : FloatFormat, optional
        The format to whose precision the sum is rounded. Default: `result`.
    rounding : str
        How it is rounded.
    scale_exponent : int
        Added to the exponents of all products.

    Returns
    -------
    Fraction or Special
        A zero is +0, a NaN is the positive one. What is too large is an infinity, even if the sum is cut.

    Examples
    --------
    The products are 2**23 times -1 and three small ones, of which F decides how many bits stay:

    >>> a, b = [-(2.0**13), -0.5, -0.25, -0.125], [2.0**10, 1.0, 1.0, 1.0]
    >>> for bits in (23, 24, 25, 26):
    ...     print(fused(a, b, 2.0**23, operands=(FP16, FP16), fraction_bits=bits, result=FP32, zero_exponent=-131))
    0
    -1/2
    -3/4
    -7/8
    """
    c = exact(c)
    products = products_of(a, b)
    special = not_finite([*products, c])
    if special is not None:
        return special
    shift = power(scale_exponent)
    terms = [
        (finite(product) * shift, product_exponent(exact(x), exact(y), operands) + scale_exponent)
        for product, x, y in zip(products, a, b, strict=True)
    ]
    terms.append(_accumulator(c, result))
    return rounded(_aligned_sum(terms, fraction_bits, zero_exponent), kept or result, rounding)


def _accumulator(c: Number, fmt: FloatFormat) -> Term:
    value = finite(c)
    return value, exponent_of(value, fmt) if value else 0


def _aligned_sum(terms: Sequence[Term], fraction_bits: int, zero_exponent: int) -> Fraction:
    place = largest_exponent(terms, zero_exponent) - fraction_bits
    total = 0
    for value, _ in terms:
        total += cut(value, place)
    return total * power(place)


def scaled(
    a: Sequence[Any], b: Sequence[Any], c: Any, scale_a: Sequence[Any], scale_b: Sequence[Any], **options: Any
) -> Number:
    """Return one block of a tensor core whose operands have a scale each, a power of two.

    The exponents of the scales are added to those of the products, so that a scale costs no bit. A scale that is NaN
    gives NaN.

    Parameters
    ----------
    a, b, c
        As in `fused`.
    scale_a, scale_b : sequence
        One e8m0 value each.
    **options
        Those of `fused`.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> e4m3 = get_format("e4m3")
    >>> options = {"operands": (e4m3, e4m3), "fraction_bits": 25, "result": FP32, "zero_exponent": -133}
    >>> scaled([1.5, 1.0], [1.0, 0.5], 1, [4.0], [0.5], **options)
    Fraction(5, 1)
    """
    scales = [exact(scale) for scale in (*scale_a, *scale_b)]
    if any(scale in NANS for scale in scales):
        return Special.NAN
    exponent = sum(leading_exponent(finite(scale)) for scale in scales)
    return fused(a, b, c, scale_exponent=exponent, **options)


def grouped(
    a: Sequence[Any],
    b: Sequence[Any],
    c: Any,
    scale_a: Sequence[Any],
    scale_b: Sequence[Any],
    *,
    scale_format: FloatFormat,
    fraction_bits: int,
    result: FloatFormat,
    zero_exponent: int,
    group: int = 16,
) -> Number:
    """Return one block of a tensor core for fp4: sums of 16 products, exact, times their scales, aligned and cut.

    A group's exponent is that of its two scales, whatever its sum is; a group has the exponent of a zero only if all
    of its products are zero, or a scale is. The scales' significands multiply the sum before it is cut. The
    signs of scales are not looked at (NVFP4's are of the unsigned ue4m3).

    Parameters
    ----------
    a, b : sequence
        The operands of one block.
    c, fraction_bits, result, zero_exponent
        As in `fused`.
    scale_a, scale_b : sequence
        The scales of the block, each for as many groups.
    scale_format : FloatFormat
        Their format, e8m0 or e4m3.
    group : int
        How many products are summed exactly.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> options = {"fraction_bits": 35, "result": FP32, "zero_exponent": -139}
    >>> scales = [1.5, 1.0], [1.0, 0.25]
    >>> grouped([0.5] * 32, [3.0] * 32, 1, *scales, scale_format=get_format("e4m3"), **options)
    Fraction(43, 1)
    """
    c = exact(c)
    scales = [[_magnitude(x) for x in numbers] for numbers in (scale_a, scale_b)]
    if any(scale in NANS for numbers in scales for scale in numbers):
        return Special.NAN
    products = products_of(a, b)
    special = not_finite([*products, c])
    if special is not None:
        return special
    terms = [_accumulator(c, result)]
    for start in range(0, len(products), group):
        parts = [finite(product) for product in products[start : start + group]]
        first, second = (finite(numbers[start * len(numbers) // len(products)]) for numbers in scales)
        if any(parts) and first and second:
            exponent = exponent_of(first, scale_format) + exponent_of(second, scale_format)
            terms.append((sum(parts, ZERO) * first * second, exponent))
            if not terms[-1][0]:  # products that cancel: no bits, but their exponent counts
                zero_exponent = max(zero_exponent, exponent)
    return rounded(_aligned_sum(terms, fraction_bits, zero_exponent), result, "toward_zero")


def _magnitude(x: Any) -> Number:
    number = exact(x)
    return negate(number) if is_minus(number) else number


def fp8_as_fp16(
    a: Sequence[Any],
    b: Sequence[Any],
    c: Any,
    *,
    fraction_bits: int,
    result: FloatFormat,
    zero_exponent: int,
    rounding: str = "toward_zero",
) -> Number:
    """Return 32 products of fp8 as `mma.sync` has them on a chip that multiplies fp16 instead.

    The operands become fp16. The 16 products whose index is 0 or 1 modulo 4 are a block of its own, without the
    accumulator, the other 16 are the next, and c is added to their sum at the end, to nearest even.

    Examples
    --------
    >>> fp8_as_fp16([1.0] * 32, [1.0] * 32, 2**24, fraction_bits=25, result=FP32, zero_exponent=-133) - 2**24
    Fraction(32, 1)
    """
    total: Number = ZERO
    for wanted in ((0, 1), (2, 3)):
        chosen = [k for k in range(len(a)) if k % 4 in wanted]
        total = fused(
            [a[k] for k in chosen],
            [b[k] for k in chosen],
            total,
            operands=(FP16, FP16),
            fraction_bits=fraction_bits,
            result=result,
            zero_exponent=zero_exponent,
            rounding=rounding,
        )
    value = add(total, c, result).value
    return Special.NAN if value in NANS else value


# -- AMD's CDNA3 ---------------------------------------------------------------------------------------


def mi300(
    a: Sequence[Any],
    b: Sequence[Any],
    c: Any,
    *,
    operands: Operands,
    fraction_bits: int = 24,
    alternating: bool = False,
) -> Number:
    """Return one block of a CDNA3 matrix core (MI300): products aligned among themselves, then with c, and floored.

    Products are cut at the F-th fraction bit of the largest, toward zero. Their sum and c are aligned to the larger
    of their exponents, where the sum is floored at the 32nd fraction bit and c at the F-th; what these add up to is
    floored at the 31st fraction bit below its own leading bit, and rounded to fp32, to nearest even. So a tiny
    negative c may cost a whole unit: 1 + (-1e-18) is less than 1.

    Parameters
    ----------
    a, b, c
        The operands of one block, values of their formats, and the accumulator, of fp32.
    operands : pair of FloatFormat
        Their formats. A product of 2**128 or more is an infinity.
    fraction_bits : int
        F.
    alternating : bool
        As for fp8: products of even and of odd index are aligned apart, and each sum is floored at the F-th fraction
        bit of the larger exponent; a c of less than half a unit there is dropped.

    Examples
    --------
    >>> options = {"operands": (FP16, FP16)}
    >>> 1 - mi300([1.0], [1.0], -1e-18, **options), mi300([1.0], [1.0], 1e-18, **options)
    (Fraction(1, 16777216), Fraction(1, 1))
    """
    c = exact(c)
    products = [_overflowed(product) for product in products_of(a, b)]
    special = not_finite([*products, c])
    if special is not None:
        return special
    terms = [
        (finite(product), product_exponent(exact(x), exact(y), operands))
        for product, x, y in zip(products, a, b, strict=True)
    ]
    lanes = [terms[0::2], terms[1::2]] if alternating else [terms]
    sums = [lane_sum for lane_sum in (_lane(lane, fraction_bits) for lane in lanes) if lane_sum is not None]
    value = finite(c)
    c_exponent = exponent_of(value, FP32) if value else FP32.emin
    total = ZERO
    largest = c_exponent
    if sums:
        place = max(exponent for _, exponent in sums) - fraction_bits
        total = sum((floored(lane, place) for lane, _ in sums), 0) * power(place)
        largest = max(c_exponent, place + fraction_bits)
    total = floored(total, largest - 32) * power(largest - 32)
    if not (alternating and c_exponent < largest - fraction_bits - 1):
        total += floored(value, largest - fraction_bits) * power(largest - fraction_bits)
    if not total:
        return ZERO
    place = exponent_of(total, FP32) - 31
    return rounded(floored(total, place) * power(place), FP32, "nearest_even")


def _overflowed(product: Number | None) -> Number | None:
    if isinstance(product, Fraction) and abs(product) >= power(FP32.emax + 1):
        return with_sign(Special.INFINITY, product < 0)
    return product


def _lane(terms: Sequence[Term], fraction_bits: int) -> Term | None:
    """Return the sum of products that are aligned together, and their largest exponent; None if all are zero."""
    exponents = [exponent for value, exponent in terms if value]
    if not exponents:
        return None
    largest = max(exponents)
    return _aligned_sum(terms, fraction_bits, largest), largest
