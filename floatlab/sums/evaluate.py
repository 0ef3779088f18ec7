"""What does a product of matrices round to? As its accumulator says: in order, or the exact sum, once.

The exact sums come from a float64 product and its error bound where these decide, else rounded to odd, else as integers
(`floatlab.sums.matmul` says when). What infinities, NaNs and zeros of either sign add up to is found here, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module, asnumpy, ignore_float_errors, is_gpu_array
from floatlab.errors import OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.operate import operate
from floatlab.rounding.flags import Flags
from floatlab.rounding.modes import MODES, draws
from floatlab.rounding.options import make_rule
from floatlab.rounding.quantize import quantize
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.rounding.ratios import round_ratio
from floatlab.sums.accumulators import Accumulator, Exact, Sequential, Wide
from floatlab.sums.certified import (
    NEAREST_FLOAT32,
    certified_matmul,
    exact_product,
    norms,
    with_addend,
)
from floatlab.sums.exact import integer_matmul, integers_to_odd, is_in_range
from floatlab.sums.native import add_in_order
from floatlab.sums.on_device import certified_on_device
from floatlab.sums.operands import MatrixProduct
from floatlab.sums.partial_sums import ODD_BITS, PLAIN, Rounder
from floatlab.sums.terms import Terms
from floatlab.sums.words import words_of

__all__ = [
    "CERTIFIED_PRECISION",
    "Sums",
    "evaluate",
    "exact_sums",
    "is_float64_loop",
    "looked_at",
    "refuse_flags",
    "round_sums",
    "rounded",
]

CERTIFIED_PRECISION = 40  # above, the float64 error bound would leave most elements open
_FLOAT32, _FLOAT64 = get_format("float32"), get_format("float64")


def evaluate(
    product: MatrixProduct,
    fmt: FloatFormat,
    how: Accumulator,
    rounder: Rounder,
    product_format: str | FloatFormat | None,
    *,
    return_flags: bool = False,
) -> Any:
    """Return the product in the format, and the flags if they are asked for."""
    with ignore_float_errors(product.a):
        if not isinstance(how, Wide | Exact):
            refuse_flags(how, return_flags)
            if how.forms_products:
                if product_format is not None:
                    raise OptionError(
                        f"A matrix unit has products of its own. Got product_format beside {str(how)!r}. Leave it out."
                    )
                whole = how.multiply(product.a, product.b, product.addend, product.formats)
                return rounded(whole, fmt, rounder)
            return rounded(_ordered(product, how, rounder, product_format), fmt, rounder)
        if product_format is not None:
            raise OptionError(
                f"product_format belongs to an accumulator with an order. Got it with {str(how)!r}. "
                f'Use accumulator="{fmt.spec}".'
            )
        if isinstance(how, Wide) and product.plain:
            if is_float64_loop(how, True, fmt, rounder) and product.a.shape[-1]:
                if rounder.overflow in (None, "infinity"):
                    total = _in_float64(product)
                else:  # which the loop's own infinities do not obey
                    total = _ordered(product, Sequential(_FLOAT64), rounder, None)
                total = rounded(total, fmt, rounder)
                return (total, _flags_of_loop(product, rounder)) if return_flags else total
            if fmt.precision <= CERTIFIED_PRECISION and not return_flags and not _is_empty(product):
                certain = _certified(product, fmt, rounder)
                if certain is not None:
                    return rounded(certain, fmt, rounder, one_nan=True)
        return round_sums(exact_sums(product, fmt, rounder), fmt, rounder, 1, return_flags)


def is_float64_loop(how: Accumulator, plain: bool, fmt: FloatFormat, rounder: Rounder) -> bool:
    """Return whether a sum is that of a loop in float64: "wide", of the caller's own terms, to nearest_even."""
    nearest = rounder is PLAIN or rounder.rounding == "nearest_even"
    return nearest and plain and isinstance(how, Wide) and fmt.same_as(_FLOAT64)


def _is_empty(product: MatrixProduct) -> bool:
    return product.a.shape[-1] == 0 or 0 in product.shape


def refuse_flags(how: Accumulator, return_flags: bool) -> None:
    """Raise an error if flags are asked of an accumulator that rounds more than once."""
    if return_flags:
        raise OptionError(
            'Flags of a sum are known for the accumulators "wide" and "exact", which round once. '
            f"Got {str(how)!r}. Leave return_flags out."
        )


def rounded(total: Array, fmt: FloatFormat, rounder: Rounder, *, one_nan: bool = False) -> Array:
    """Round float64 numbers to the format, in its array type; `one_nan` says that no NaN is another than NumPy's."""
    if not one_nan:
        xp = array_module(total)
        nan = xp.isnan(total)
        if xp is not np or nan.any():  # the sign of a NaN is the processor's
            total = xp.where(nan, np.nan, total)
    if is_gpu_array(total):
        return rounder.to_values(total, fmt)
    if fmt is _FLOAT32 and rounder is PLAIN:  # for which the conversion of NumPy is right, and faster
        return total.astype(np.float32)
    return rounder(total, fmt).astype(fmt.value_dtype, copy=False)


def _ordered(
    product: MatrixProduct, how: Accumulator, rounder: Rounder, product_format: str | FloatFormat | None
) -> Array:
    """Add up the terms as the accumulator does."""
    round_product: Callable[[Array], Array] | None = None
    of_product = None if product_format is None else get_format(product_format)
    if of_product is not None:
        rounder.check(of_product)
        round_product = partial(rounder, fmt=of_product)

    for fmt in how.formats():
        rounder.check(fmt)
    operands = product.a, product.b, product.addend
    terms = Terms(*operands, round_product, of_product, in_float64=product.narrow)
    xp = array_module(product.a)
    return xp.asarray(how.add_up(terms, rounder)) if terms.count else xp.zeros(terms.shape)


def _certified(product: MatrixProduct, fmt: FloatFormat, rounder: Rounder) -> Array | None:
    """Return float64 numbers that round as the exact sums do; None where the BLAS cannot be trusted at all."""
    if is_gpu_array(product.a):
        return _certified_on_device(product, fmt, rounder)
    sizes = norms(product.a, product.b)
    largest = product.largest(sizes)
    if (
        not largest < np.inf
        or not (product.narrow or all(is_in_range(x) for x in product.operands()))
        or draws(rounder.rounding)  # which looks at every bit that is lost
    ):
        return None
    quanta = product.quanta(largest)
    grid = NEAREST_FLOAT32 if fmt is _FLOAT32 and rounder is PLAIN else fmt.precision + 1
    total = certified_matmul(product.a, product.b, product.addend, grid, sizes, quanta)
    zero = total == 0
    if zero.any():
        total += 0.0  # -0 + 0 is +0, which is right for most
        _sign_zeros(total, zero, product, rounder)
    return total


def _certified_on_device(product: MatrixProduct, fmt: FloatFormat, rounder: Rounder) -> Array | None:
    if draws(rounder.rounding):
        return None
    found = certified_on_device(product, fmt.precision + 1, MODES[rounder.rounding].cancels_to_minus)
    if found is None:
        return None
    total, has_doubtful_zeros = found
    if has_doubtful_zeros:
        _sign_zeros(total, total == 0, product, rounder)
    return total


def _in_float64(product: MatrixProduct) -> Array:
    """Add the products one after the other in float64: no BLAS, whose order is its own."""
    terms = Terms(product.a, product.b, product.addend, in_float64=True)
    if not is_gpu_array(terms.a):
        return add_in_order(terms.a, terms.b, terms.addend)
    total: Array = array_module(product.a).zeros(terms.shape)
    total[...] = terms[0]  # not 0 + term, which would lose a -0
    for k in range(1, terms.count):
        total += terms[k]
    return total


def _flags_of_loop(product: MatrixProduct, rounder: Rounder) -> Flags:
    """Return the flags of `_in_float64`: those of every product and of every addition."""
    total: Any = product.addend
    flags: Flags | None = None
    for k in range(product.a.shape[-1]):
        factors = (product.a[..., :, k, None], product.b[..., k, None, :])
        term, found = operate("multiply", factors, _FLOAT64, return_flags=True)
        flags = found if flags is None else flags | found
        if total is not None:
            term, found = operate("add", (total, term), _FLOAT64, return_flags=True)
            flags = flags | found
        total = term
    assert flags is not None and total is not None
    found = quantize(total, _FLOAT64, return_flags=True, **rounder.options)[1]
    return Flags(*(getattr(flags, name) | getattr(found, name) for name in flags.__dataclass_fields__))


# -- the exact sums --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sums:
    """Exact sums: rounded to odd at 53 bits, and where that says too little, as integers * 2**exponent, too.

    In `odd` the infinities, the NaNs, and the zeros with their signs are final.
    """

    odd: Array
    invalid: Array  # where a NaN is nobody's but the sum's
    integers: np.ndarray | None = None
    exponent: int = 0


def exact_sums(product: MatrixProduct, fmt: FloatFormat, rounder: Rounder, divisor: int = 1) -> Sums:
    """Return the exact sums, in the form that rounding the sum divided by `divisor` needs."""
    a, b, addend = product.a, product.b, product.addend
    xp = array_module(a)
    if _is_empty(product):
        total = product.without_terms()
        return Sums(total, xp.zeros(total.shape, bool))
    special, invalid = None, xp.zeros(product.shape, bool)
    if not all(xp.isfinite(x).all() for x in product.operands()):
        special = _nonfinite(product)
        invalid = xp.isnan(special) & ~_has_nan(product)
        a, b = xp.where(xp.isfinite(a), a, 0.0), xp.where(xp.isfinite(b), b, 0.0)
        addend = None if addend is None else xp.where(xp.isfinite(addend), addend, 0.0)
    integers, exponent = None, 0
    if looked_at(fmt, rounder, divisor) <= ODD_BITS and all(
        is_in_range(x) for x in (a, b, addend) if x is not None
    ):
        total = exact_product(a, b, addend)
        zero = total == 0
    else:
        if addend is not None:
            a, b = with_addend(a, b, addend)
        integers, exponent = integer_matmul(asnumpy(a), asnumpy(b))
        total = xp.asarray(integers_to_odd(integers, exponent))
        zero = xp.asarray(integers == 0)
    xp.copyto(total, 0.0, where=zero)
    _sign_zeros(total, zero, product, rounder)
    if special is not None:
        total = xp.where(special == 0, total, special)
    return Sums(total, invalid, integers, exponent)


def looked_at(fmt: FloatFormat, rounder: Rounder, divisor: int) -> int:
    """Return how many bits of a sum decide about the rounding of the sum divided by `divisor`.

    The quotient is compared with marks, and the sum with so many times a mark, which has that many bits more.
    """
    return fmt.precision + rounder.extra_bits() + (divisor.bit_length() if divisor > 1 else 0)


def _has_nan(product: MatrixProduct) -> Array:
    """Return for which elements an operand is a NaN."""
    xp = array_module(product.a)
    rows, columns = xp.isnan(product.a).any(axis=-1), xp.isnan(product.b).any(axis=-2)
    found = xp.broadcast_to(rows[..., :, None] | columns[..., None, :], product.shape)
    return found if product.addend is None else found | xp.isnan(product.addend)


def round_sums(sums: Sums, fmt: FloatFormat, rounder: Rounder, divisor: int, return_flags: bool) -> Any:
    """Return the sums divided by `divisor`, rounded once, and the flags if they are asked for."""
    if sums.integers is not None:
        values, flags = _round_integers(sums, fmt, rounder, divisor)
    elif divisor != 1:
        fraction = (sums.odd, float(divisor))
        if not return_flags:
            return operate("divide", fraction, fmt, **rounder.options).astype(fmt.value_dtype, copy=False)
        values, flags = operate("divide", fraction, fmt, return_flags=True, **rounder.options)
    elif return_flags:
        values, flags = quantize(sums.odd, fmt, **rounder.options, return_flags=True)
    else:
        return rounded(sums.odd, fmt, rounder)
    values = values.astype(fmt.value_dtype, copy=False)
    if not return_flags:
        return values
    flags = Flags(
        flags.invalid | sums.invalid, flags.divide_by_zero, flags.overflow, flags.underflow, flags.inexact
    )
    return values, flags


def _round_integers(sums: Sums, fmt: FloatFormat, rounder: Rounder, divisor: int) -> tuple[Array, Flags]:
    """Round integers * 2**exponent / divisor, one at a time; zeros, infinities and NaNs as `quantize` does."""
    assert sums.integers is not None
    rule = make_rule(fmt, rounder.rounding, rounder.overflow, rounder.subnormals, False)
    draws, bits = np.zeros(sums.odd.size, np.int64), 0
    if rule.variant is not None:
        source = RandomIntegers(rounder.rng, rounder.random_bits, None)
        source.fit(np.zeros(0))
        draws, bits = source.block(0, sums.odd.size), source.bits
    xp = array_module(sums.odd)
    ordinary = asnumpy((sums.odd != 0) & xp.isfinite(sums.odd))
    kept = rounder.options | {"rounding": "nearest_even" if rule.variant else rounder.rounding}
    values, flags = quantize(xp.where(xp.asarray(ordinary), 0.0, sums.odd), fmt, return_flags=True, **kept)
    values = asnumpy(values).astype(np.float64)
    raised = {name: asnumpy(getattr(flags, name)).copy() for name in flags.__dataclass_fields__}
    up, down = 1 << max(sums.exponent, 0), divisor << max(-sums.exponent, 0)
    for i in np.flatnonzero(ordinary).tolist():
        found = round_ratio(int(sums.integers.flat[i]) * up, down, rule, int(draws[i]), bits)
        values.flat[i] = found.value
        for name in ("invalid", "overflow", "underflow", "inexact"):
            raised[name].flat[i] = getattr(found, name)
    return xp.asarray(values), Flags(**{name: xp.asarray(flag) for name, flag in raised.items()})


def _nonfinite(product: MatrixProduct) -> Array:
    """Return infinity or NaN where IEEE 754 makes the sum one, and 0 elsewhere.

    It is a NaN if a term is one (0 times infinity, for instance) or if infinite terms have both signs. The
    terms are counted by products of small integers, so this needs no order either.
    """
    a, b, addend = product.a, product.b, product.addend
    xp = array_module(a)
    sign_a, sign_b = (xp.where(xp.isnan(x), 0.0, xp.sign(x)) for x in (a, b))
    infinite_a, infinite_b = (xp.where(xp.isinf(x), xp.sign(x), 0.0) for x in (a, b))
    finite_a = sign_a - infinite_a
    count = abs(infinite_a) @ abs(sign_b) + abs(finite_a) @ abs(infinite_b)
    balance = infinite_a @ sign_b + finite_a @ infinite_b
    invalid = abs(infinite_a) @ (b == 0) + (a == 0) @ abs(infinite_b) > 0
    invalid |= xp.isnan(a).any(axis=-1)[..., :, None] | xp.isnan(b).any(axis=-2)[..., None, :]
    invalid |= abs(balance) != count
    total = xp.where(invalid, np.nan, xp.where(count > 0, xp.copysign(np.inf, balance), 0.0))
    return total if addend is None else total + xp.where(xp.isfinite(addend), 0.0, addend)


def _sign_zeros(total: Array, zero: Array, product: MatrixProduct, rounder: Rounder) -> None:
    """Give the sums that are exactly zero, and +0 so far, the sign that IEEE 754 asks for; in place.

    Terms that cancel leave the mode's zero. A sum keeps the other one if all its terms, and the addend, have its sign.
    """
    if not zero.any():
        return
    xp = array_module(total)
    a, b, addend = product.a, product.b, product.addend
    terms = a.shape[-1]
    down = MODES[rounder.rounding].cancels_to_minus
    if down:
        xp.copyto(total, -0.0, where=zero)
    # The minus signs of row and column rule most sums out: if all terms are negative, there are as many as terms, and
    # if none is, as many in the row as in the column.
    minus_a, minus_b = xp.signbit(a), xp.signbit(xp.swapaxes(b, -1, -2))
    rows, columns = minus_a.sum(axis=-1), minus_b.sum(axis=-1)
    if not down and int(rows.max()) + int(columns.max()) < terms:
        return
    wanted = columns if down else terms - columns
    zero = zero & (rows[..., :, None] == wanted[..., None, :])
    if addend is not None:
        zero = zero & (xp.signbit(addend) != down)
    where = xp.nonzero(zero)
    if not where[0].size:
        return
    same = xp.ones(len(where[0]), bool)
    for left, right in words_of(minus_a, minus_b if down else ~minus_b, total.shape, where):
        same &= left == right
    total[tuple(indices[same] for indices in where)] = 0.0 if down else -0.0
