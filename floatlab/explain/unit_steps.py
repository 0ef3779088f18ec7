"""What does one block of a matrix unit do? The steps of each kind of instruction, on exact fractions.

`steps_of(how, a, b, c, formats)` takes one block apart: terms that are aligned and cut (`Part`), sums that are rounded
(`UnitStep`). It is written from what the instructions say of themselves (`floatlab.matrix_units`), not with their
code, and the tests hold every told value to theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

from floatlab.errors import OptionError
from floatlab.explain.numbers import rounded
from floatlab.explain.text import binary_exponent, power_of_two
from floatlab.formats import FloatFormat, get_format
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.amd import ExactBlock, FlushedPairs, TwoStages
from floatlab.matrix_units.instruction import Instruction
from floatlab.matrix_units.processors import FusedPairs, OddPairs, OncePairs, TwoChains
from floatlab.matrix_units.steps import InTwoSteps
from floatlab.rounding.options import make_rule

__all__ = ["Number", "Part", "UnitStep", "add_in_float32", "steps_of"]

Number = Fraction | float  # a float only for infinities and NaN
Formats = tuple[FloatFormat, FloatFormat]

_FLOAT32 = get_format("float32")
_WIDE = get_format("e11m23")  # 24 bits, and exponents that no step leaves
_TINY, _HUGE = power_of_two(-126), power_of_two(128)
_PRODUCT_BITS, _OWN_BITS = 24, 31  # of an MI300: below the largest product; below a sum's own leading bit


@dataclass(frozen=True)
class Part:
    """A term that is aligned with others.

    Attributes
    ----------
    name : str
        The number of the product, "c", or which sum it is.
    value : Fraction
    exponent : int
        The exponent that it takes part with.
    units : int
        What is kept of it, in units of ``2**place``.
    place : int
    """

    name: str
    value: Fraction
    exponent: int
    units: int
    place: int

    @property
    def kept(self) -> Fraction:
        """What is kept of it."""
        return self.units * power_of_two(self.place)

    @property
    def lost(self) -> Fraction:
        """What is cut off."""
        return self.value - self.kept


@dataclass(frozen=True)
class UnitStep:
    """One sum or product, and what it is rounded to.

    Attributes
    ----------
    name : str
        What is added or multiplied.
    exact : Fraction or float
        The sum of what is kept of the parts, or the exact result; a float only for infinities and NaN.
    value : Fraction or float
        What it is rounded to.
    how : str
        How it is rounded, or "" where it stays as it is.
    parts : tuple of Part
        The terms that are aligned, those that are not zero.
    exponent : int or None
        The largest exponent of the parts.
    zeros : int
        How many products are zero.
    """

    name: str
    exact: Number
    value: Number
    how: str = ""
    parts: tuple[Part, ...] = ()
    exponent: int | None = None
    zeros: int = 0


def steps_of(
    how: Instruction, a: Sequence[Number], b: Sequence[Number], c: Number, formats: Formats
) -> tuple[UnitStep, ...]:
    """Return the steps of one block; the value of the last one is the next accumulator."""
    story = _STORIES.get(type(how))
    if story is None:
        raise OptionError(
            f"Steps are told of the instructions of floatlab. Got {type(how).__name__}. Use fl.matmul for the result."
        )
    products = [(str(k), _product(x, y), x, y) for k, (x, y) in enumerate(zip(a, b, strict=True))]
    return tuple(story(how, products, c, formats))


def add_in_float32(name: str, x: Number, y: Number) -> UnitStep:
    """Return a sum of two accumulators, to nearest even."""
    total = _sum(x, y)
    return UnitStep(name, total, _round(total, _FLOAT32), "float32, nearest_even")


Products = list[tuple[str, Number, Number, Number]]  # the name, the product, its factors
Story = Callable[[Any, Products, Number, Formats], list[UnitStep]]


# -- numbers -------------------------------------------------------------------------------------------


def _product(x: Number, y: Number) -> Number:
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x * y
    return _sign(x) * _sign(y)


def _sum(x: Number, y: Number) -> Number:
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x + y
    return (x if isinstance(x, float) else 0.0) + (y if isinstance(y, float) else 0.0)


def _sign(x: Number) -> float:
    return x if isinstance(x, float) else float((x > 0) - (x < 0))


def _of(value: float) -> Number:
    return Fraction(value) if math.isfinite(value) else value


def _round(x: Number, fmt: FloatFormat, mode: str = "nearest_even") -> Number:
    """Return a number as a value of a format; what is too large becomes an infinity."""
    if isinstance(x, float):
        return x
    if mode != "nearest_even" and abs(x) >= power_of_two(fmt.emax + 1):
        return math.copysign(math.inf, x)
    rule = make_rule(fmt, mode, "infinity", "gradual", False)
    return _of(rounded(x, fmt, rule, {"rounding": mode, "overflow": "infinity"})[0])


def _exponent(x: Fraction, fmt: FloatFormat) -> int:
    return max(binary_exponent(abs(x)), fmt.emin) if x else fmt.emin


def _flushed(x: Number, least: Fraction = _TINY) -> Number:
    return Fraction(0) if isinstance(x, Fraction) and abs(x) < least else x


def _short(x: Number, mode: str = "nearest_even") -> Number:
    """Return 24 bits of a number in fp32's range without its subnormals."""
    x = _flushed(_round(x, _WIDE, mode))
    return math.copysign(math.inf, x) if isinstance(x, Fraction) and abs(x) >= _HUGE else x


# -- terms that are aligned ----------------------------------------------------------------------------


def _terms(products: Products, formats: Formats) -> list[tuple[str, Fraction, int]]:
    """Return the products that are not zero, with their exponents, which are the sums of those of the factors."""
    found = []
    for name, product, x, y in products:
        if isinstance(x, Fraction) and isinstance(y, Fraction) and isinstance(product, Fraction) and product:
            found.append((name, product, _exponent(x, formats[0]) + _exponent(y, formats[1])))
    return found


def _cut(x: Fraction, place: int) -> int:
    units = x / power_of_two(place)
    return int(units)  # toward zero


def _floor(x: Fraction, place: int) -> int:
    return math.floor(x / power_of_two(place))


def _special(products: Products, c: Number, least_infinity: Fraction | None = None) -> list[UnitStep]:
    """Return the step of a block that has an infinity or a NaN among its terms; nothing if it has none."""
    terms = [product for _, product, _, _ in products] + [c]
    if least_infinity is not None:
        terms[:-1] = [
            math.copysign(math.inf, x) if isinstance(x, Fraction) and abs(x) >= least_infinity else x
            for x in terms[:-1]
        ]
    if all(isinstance(x, Fraction) for x in terms):
        return []
    total = reduce(_sum, terms)
    why = "an infinite term wins"
    if isinstance(total, float) and math.isnan(total):
        why = "NaN, 0 times infinity, or infinities of both signs make NaN"
    return [UnitStep("special", total, total, why)]


def _aligned(
    how: Aligned, products: Products, c: Number, formats: Formats, called: str = "c"
) -> list[UnitStep]:
    special = _special(products, c)
    if special or not isinstance(c, Fraction):
        return special
    terms = _terms(products, formats)
    if c:
        terms.append((called, c, _exponent(c, how.register)))
    assert how.zero_exponent is not None and how.kept is not None
    top = max([how.zero_exponent, *(exponent for _, _, exponent in terms)])
    place = top - how.fraction_bits
    parts = tuple(Part(name, x, exponent, _cut(x, place), place) for name, x, exponent in terms)
    total = sum(part.units for part in parts) * power_of_two(place)
    if abs(total) >= power_of_two(how.kept.emax + 1):
        value: Number = math.copysign(math.inf, total)
    else:
        value = _round(total, how.kept, how.rounding)
    said = f"{how.kept.precision} bits, {how.rounding}"
    return [UnitStep("sum", total, value, said, parts, top, len(products) - len(terms) + bool(c))]


def _in_two_steps(how: InTwoSteps, products: Products, c: Number, formats: Formats) -> list[UnitStep]:
    wide = how.through.operands[0], how.through.operands[0]
    steps: list[UnitStep] = []
    d: Number = Fraction(0)
    for first in (True, False):
        some = [product for product in products if (int(product[0]) % 4 < 2) == first]
        steps += _aligned(how.through, some, d, wide, "first sum")
        d = steps[-1].value
    total = _sum(d, c)
    return [*steps, UnitStep("+ c", total, _round(total, how.register), f"{how.register}, nearest_even")]


def _two_stages(how: TwoStages, products: Products, c: Number, formats: Formats) -> list[UnitStep]:
    special = _special(products, c, _HUGE)
    if special or not isinstance(c, Fraction):
        return special
    steps, sums = [], []
    for i in range(how.parts):
        some = products[i :: how.parts]
        terms = _terms(some, formats)
        if terms:
            top = max(exponent for _, _, exponent in terms)
            parts = tuple(
                Part(name, x, e, _cut(x, top - _PRODUCT_BITS), top - _PRODUCT_BITS) for name, x, e in terms
            )
            name = "products" if how.parts == 1 else ("even", "odd")[i]
            total = sum((part.kept for part in parts), Fraction(0))
            steps.append(UnitStep(name, total, total, "", parts, top, len(some) - len(terms)))
            sums.append((name, total, top))
    largest = max((top for _, _, top in sums), default=None)
    value = Fraction(0)
    if largest is not None:
        value = sums[0][1]
        if how.parts > 1:
            place = largest - _PRODUCT_BITS
            parts = tuple(Part(name, x, top, _floor(x, place), place) for name, x, top in sums)
            value = sum((part.kept for part in parts), Fraction(0))
            steps.append(UnitStep("both", value, value, "", parts, largest))
    e_c = _exponent(c, _FLOAT32)
    top = e_c if largest is None else max(largest, e_c)
    place, c_place = top - _OWN_BITS - 1, top - _PRODUCT_BITS
    dropped = how.parts > 1 and e_c < top - _PRODUCT_BITS - 1
    both = [Part("products", value, top if largest is None else largest, _floor(value, place), place)] * bool(
        value
    )
    both += [Part("c", c, e_c, 0 if dropped else _floor(c, c_place), c_place)] * bool(c)
    total = sum((part.kept for part in both), Fraction(0))
    steps.append(UnitStep("with c", total, total, "", tuple(both), top))
    own = _exponent(total, _FLOAT32) - _OWN_BITS
    short = _floor(total, own) * power_of_two(own)
    said = f"{_OWN_BITS} bits below its own leading bit, floored; float32, nearest_even"
    return [*steps, UnitStep("sum", total, _round(short, _FLOAT32), said)]


# -- sums that are rounded as they go ------------------------------------------------------------------


def _exact_block(how: ExactBlock, products: Products, c: Number, formats: Formats) -> list[UnitStep]:
    total = reduce(_sum, [product for _, product, _, _ in products], c)
    return [UnitStep("sum", total, _round(total, _FLOAT32), "float32, nearest_even")]


def _flushed_pairs(how: FlushedPairs, products: Products, c: Number, formats: Formats) -> list[UnitStep]:
    least = [fmt.smallest_normal for fmt in formats]
    said = "float32, nearest_even; subnormals become 0"
    steps, sums = [], []
    for name, _, x, y in products:
        exact = _product(_flushed(x, Fraction(least[0])), _flushed(y, Fraction(least[1])))
        value = _flushed(_round(exact, _FLOAT32))
        sums.append((f"p{name}", value))
        if exact or value != exact:
            steps.append(UnitStep(f"p{name}", exact, value, said))
    while len(sums) > 1:
        pairs = []
        for (first, x), (second, y) in zip(sums[::2], sums[1::2], strict=True):
            exact, name = _sum(x, y), f"{first}+{second}" if "+" not in first else "both"
            value = _flushed(_round(exact, _FLOAT32))
            pairs.append((name, value))
            steps.append(UnitStep(name, exact, value, said))
        sums = pairs
    total = _sum(_flushed(c), sums[0][1])
    return [*steps, UnitStep("+ c", total, _flushed(_round(total, _FLOAT32)), said)]


_FUSED = "24 bits, nearest_even; below 2^-126 it is 0"


def _fused_pairs(how: FusedPairs, products: Products, c: Number, formats: Formats) -> list[UnitStep]:
    return _fused(products[::-1], _flushed(c))


def _fused(products: Products, d: Number) -> list[UnitStep]:
    """Return fused multiply-adds, one after the other."""
    steps = []
    for name, _, x, y in products:
        product = _product(_flushed(x), _flushed(y))
        exact = _sum(product, d)
        if product or _short(exact) != d:
            steps.append(UnitStep(f"+ p{name}", exact, _short(exact), _FUSED))
        d = _short(exact)
    return steps or [UnitStep("sum", d, d)]


def _two_chains(how: TwoChains, products: Products, c: Number, formats: Formats) -> list[UnitStep]:
    chains = [_fused(products[i::2], Fraction(0)) for i in (0, 1)]
    steps, ends = [], []
    for chain in chains:
        ends.append(chain[-1].value)
        steps += [step for step in chain if step.how]
    pair = _sum(*ends)
    steps.append(UnitStep("even+odd", pair, _short(pair), _FUSED))
    total = _sum(_flushed(c), _short(pair))
    return [*steps, UnitStep("+ c", total, _short(total), _FUSED)]


def _odd_pairs(how: OddPairs, products: Products, c: Number, formats: Formats) -> list[UnitStep]:
    said = "24 bits, to_odd; below 2^-126 it is 0"
    steps = []
    for name, _, x, y in products:
        exact = _product(_flushed(x), _flushed(y))
        steps.append(UnitStep(f"p{name}", exact, _short(exact, "to_odd"), said))
    pair = reduce(_sum, [step.value for step in steps])
    steps.append(UnitStep("p0+p1", pair, _short(pair, "to_odd"), said))
    total = _sum(_flushed(c), steps[-1].value)
    return [*steps, UnitStep("+ c", total, _short(total, "to_odd"), said)]


def _once_pairs(how: OncePairs, products: Products, c: Number, formats: Formats) -> list[UnitStep]:
    said = "float32, nearest_even"
    pair = reduce(_sum, [product for _, product, _, _ in products])
    first = UnitStep("p0+p1", pair, _round(pair, _FLOAT32), said)
    total = _sum(c, first.value)
    return [first, UnitStep("+ c", total, _round(total, _FLOAT32), said)]


_STORIES: dict[type[Instruction], Story] = {
    Aligned: _aligned,
    InTwoSteps: _in_two_steps,
    ExactBlock: _exact_block,
    FlushedPairs: _flushed_pairs,
    TwoStages: _two_stages,
    FusedPairs: _fused_pairs,
    TwoChains: _two_chains,
    OddPairs: _odd_pairs,
    OncePairs: _once_pairs,
}
