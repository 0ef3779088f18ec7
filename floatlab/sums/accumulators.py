"""What adds up a row of terms, and how wide is it? The accumulators, as data.

An accumulator is named by a short string, or built from the classes here::

    wide                 the exact sum, rounded once; computed quickly           Wide()
    exact                the exact sum, rounded once; computed by slices         Exact()
    fp16                 one after the other, every partial sum rounded          Sequential("fp16")
    pairwise:fp16        neighbours first, then neighbouring sums, ...           Pairwise("fp16")
    chunked:fp16:fp32:64 chunks of 64 terms in fp16, their sums in fp32          Chunked("fp16", "fp32", 64)
    kahan:bf16           one after the other, with the lost part carried along   Kahan("bf16")

A *term* of a matrix product is the exact product of two operands, as in a fused multiply-add: each addition
rounds the exact sum of a partial sum and a product once. With a `product_format` the
products are rounded first. All elements of the result are accumulated side by side.

See Also
--------
floatlab.sums.matmul : sums, dot products and matrix products with an accumulator

References
----------
N. J. Higham, "The accuracy of floating point summation", SIAM Journal on Scientific Computing 14 (1993), 783-799
    (orders).
W. Kahan, "Further remarks on reducing truncation errors", Communications of the ACM 8 (1965), 40 (compensation).
N. Wang and others, "Training deep neural networks with 8-bit floating point numbers", NeurIPS 2018 (chunks).
D. E. Knuth, "The Art of Computer Programming", volume 2, section 4.2.2 (what an addition loses).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from functools import cached_property, lru_cache, reduce
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module, asnumpy, is_gpu_array
from floatlab.errors import FormatError, OptionError, nearest_name
from floatlab.formats import FloatFormat, aliases, formats, get_format
from floatlab.rounding.modes import MODES, cancelled, draws
from floatlab.rounding.options import Rule, make_rule
from floatlab.rounding.quantize import quantize
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.rounding.ratios import round_ratio
from floatlab.sums.certified import quantum
from floatlab.sums.exact import add_to_odd

__all__ = [
    "Accumulator",
    "Chunked",
    "Exact",
    "Kahan",
    "Pairwise",
    "Rounder",
    "Sequential",
    "Terms",
    "Wide",
    "get_accumulator",
]

Add = Callable[[float, float], float]

_FEW_ROWS = 32  # so many rows are added faster one by one
_BLOCK = 1 << 21  # terms that are held at a time where many are added side by side
_HIGH = 900  # partial sums below 2^_HIGH are added with Python floats, which can then be rounded by adding
_NEAR_THE_TOP = 969  # with exponents below, no float64 beside a partial sum makes an infinity
_ODD_BITS = 51  # so many bits of a number rounded to odd at 53 may be looked at
_SMALLEST, _LARGEST = 2.0**-1074, float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Rounder:
    """How every partial sum is rounded: the options of `quantize`, whichever the format."""

    rounding: str = "nearest_even"
    overflow: str | None = None
    subnormals: str = "gradual"
    rng: np.random.Generator | None = None
    random_bits: int | None = None

    @cached_property
    def options(self) -> dict[str, Any]:
        """The options of `quantize`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def rule(self, fmt: FloatFormat) -> Rule:
        """Return the rule of a format, whose partial sums are never flushed."""
        return make_rule(fmt, self.rounding, self.overflow, self.subnormals, False)

    def extra_bits(self) -> int:
        """Return how many bits below a format's last place are looked at one by one."""
        if not draws(self.rounding):
            return 0
        return 1 + RandomIntegers(self.rng, self.random_bits, None).bits

    def __call__(self, x: Array, fmt: FloatFormat) -> Array:
        """Round a float64 array in place, and return it; fractions (see `Terms`) to a new one."""
        if x.dtype == object:
            return _round_fractions(x, fmt, self)
        return quantize(x, fmt, out=x, **self.options)

    def add(self, x: Array, y: Array, fmt: FloatFormat, *, exact: bool, terms: bool = False) -> Array:
        """Return x + y rounded once; `exact` says that float64 holds the sum without error.

        `terms` says that both may be terms, which lie anywhere; else one is a value of the format.
        """
        if x.dtype == object or y.dtype == object or self._looks_far(fmt):
            return self(_sum_of_fractions(x, y, self.rounding), fmt)
        if exact or fmt.precision == 53:
            total = x + y
        else:
            total = add_to_odd(x, y)
        if MODES[self.rounding].cancels_to_minus:
            xp = array_module(total)
            total = xp.where((total == 0) & (xp.signbit(x) | xp.signbit(y)), -0.0, total)
        far = terms or fmt.emax >= _NEAR_THE_TOP
        if far and (fmt.precision < 53 or self.overflow not in (None, "infinity")):
            return self._below_the_top(x, y, total, fmt)
        return self(total, fmt)

    def _looks_far(self, fmt: FloatFormat) -> bool:
        """Return whether a stochastic rounding looks at bits that a sum rounded to odd does not have."""
        return draws(self.rounding) and fmt.precision + self.extra_bits() > _ODD_BITS

    def _below_the_top(self, x: Array, y: Array, total: Array, fmt: FloatFormat) -> Array:
        """Round a sum which float64 may have made an infinity, though it is a finite number beyond its end."""
        xp = array_module(total)
        beyond = xp.isinf(total) & xp.isfinite(x) & xp.isfinite(y)
        if not beyond.any():
            return self(total, fmt)
        half = add_to_odd(x * 0.5, y * 0.5)
        # What lies above the largest float64 and below 2^1024 is, rounded to odd, the largest float64.
        nearest = xp.copysign(np.finfo(np.float64).max, half)
        result = self(xp.where(beyond, nearest, total), fmt)
        over = self.rule(fmt).over
        if fmt.precision < 53:
            beyond &= xp.abs(half) >= 2.0**1023
        return xp.where(beyond, xp.where(half < 0, over[1], over[0]), result)

    def check(self, fmt: FloatFormat) -> None:
        """Raise an error if the options make no sense for `fmt`, or its sums cannot be rounded once."""
        self.rule(fmt)
        if fmt.precision > 51 and not (
            fmt.same_as(get_format("float64")) and self.rounding == "nearest_even"
        ):
            raise OptionError(
                "A partial sum is rounded to at most 51 bits, or to float64 by nearest_even. "
                f'Got {fmt.name} and rounding={self.rounding!r}. Use accumulator="exact".'
            )


class Terms:
    """The terms of each element of ``a @ b + addend``, the addend first, then in the order of the index.

    They are float64 arrays. Where products may lie beyond float64's ends (`as_fractions`), they are arrays of exact
    numbers: fractions, and floats for zeros, infinities and NaNs. This is slow, and always right; with `in_float64`
    the products are those of float64 in any case.

    >>> terms = Terms(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([[0.5]]))
    >>> terms.stack(0, 3).ravel()
    array([0.5, 3. , 8. ])
    """

    def __init__(
        self,
        a: Array,
        b: Array,
        addend: Array | None = None,
        round_product: Callable[[Array], Array] | None = None,
        *,
        in_float64: bool = False,
    ) -> None:
        xp = array_module(a)
        depth = max(a.ndim, b.ndim)
        a = a.reshape((1,) * (depth - a.ndim) + a.shape)
        b = b.reshape((1,) * (depth - b.ndim) + b.shape)
        self.a = xp.ascontiguousarray(xp.moveaxis(a, -1, 0))[..., :, None]  # (K, ..., M, 1)
        self.b = xp.ascontiguousarray(xp.moveaxis(b, -2, 0))[..., None, :]  # (K, ..., 1, N)
        self.addend, self.round_product = addend, round_product
        self.first = int(addend is not None)
        self.count = len(self.a) + self.first
        self.shape: tuple[int, ...] = np.broadcast_shapes(self.a.shape[1:], self.b.shape[1:])
        self.size = math.prod(self.shape)
        self.as_fractions = not in_float64 and self._leave_float64()
        if self.as_fractions:
            self.a, self.b = asnumpy(self.a), asnumpy(self.b)
            self.addend = None if addend is None else asnumpy(addend)

    def _leave_float64(self) -> bool:
        """Return whether some product may be beyond float64's ends, where it would not be the exact one."""
        if not (len(self.a) and self.size):
            return False
        unit, largest = self.product
        if largest <= _LARGEST and unit >= _SMALLEST:
            return False
        (low, high), (lower, higher) = _ends(self.a), _ends(self.b)
        return high * higher > _LARGEST or low * lower < _SMALLEST

    @cached_property
    def product(self) -> tuple[float, float]:
        """A power of two of which all products are multiples, and a bound of their magnitudes; NaN if one is."""
        with np.errstate(all="ignore"):
            unit = quantum(self.a, None) * quantum(self.b, None)
            return float(unit), float(abs(self.a).max() * abs(self.b).max())

    def stack(self, start: int, stop: int, step: int = 1) -> Array:
        """Return the terms start, start + step ... before stop, as an array of shape (n, ..., M, N)."""
        xp = array_module(self.a)
        head = []
        if self.first:
            if start == 0:
                head = [xp.broadcast_to(self.addend, self.shape)[None]]
                start += step
            start, stop = start - 1, stop - 1
        factors = self.a[start:stop:step], self.b[start:stop:step]
        products = _PRODUCTS(*factors) if self.as_fractions else factors[0] * factors[1]
        if self.round_product:
            products = self.round_product(products)
        return xp.concatenate([*head, products]) if head else products

    def __getitem__(self, k: int) -> Array:
        return self.stack(k, k + 1)[0]

    def adds_exactly(self, fmt: FloatFormat, *, compensated: bool = False) -> bool:
        """Return whether float64 adds any two numbers without error that meet on the way to a sum in `fmt`.

        All of them are multiples of a unit: the smallest of the terms, or that of the largest value, which an overflow
        may put in the place of a sum. (Rounding turns a multiple of one power of two into a multiple of
        another one, unless it changes nothing.) So it is enough that none reaches 2^53 units.

        In every mode a rounded number is one of the two neighbours of the exact one. With u = 2^(1 - p) and q the
        smallest value above zero, that is at most |x| (1 + u) + q: a term far below q may become q. After n terms of at
        most L, a partial sum is at most n (L + q) (1 + u)^n, which is less than 3 n (L + q) for n u <= 1. A
        compensated sum also adds what was lost: by induction all its numbers are less than 3 n (L + 8 q) for
        16 n u <= 1. No partial sum is larger than the format's largest value, and saturating or flushing
        make it smaller.
        """
        if len(self.a) == 0 or self.size == 0 or not fmt.has_zero:
            return False
        if self.round_product is not None or self.as_fractions:
            return False
        unit, largest = self.product
        if self.addend is not None:
            unit = min(unit, quantum(self.addend, None))
            largest = max(largest, abs(self.addend).max())
        unit = min(unit, math.ldexp(1.0, fmt.emax - fmt.mantissa_bits))
        few = self.count * (16 if compensated else 1) <= 2 ** (fmt.precision - 1)
        sums = 3.0 * self.count * (largest + 8.0 * fmt.smallest_subnormal) if few else np.inf
        return bool(2.0 * (min(sums, fmt.max) + largest) < 2.0**53 * unit < np.inf)


# -- the accumulators ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Accumulator:
    """The base of all accumulators. ``str(accumulator)`` is the name that `get_accumulator` knows it by."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "size":
                if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                    raise OptionError(f"A chunk has at least one term. Got size={value!r}. Use 64.")
            else:
                object.__setattr__(self, field.name, get_format(value))

    def __str__(self) -> str:
        values = [getattr(self, field.name) for field in fields(self)]
        parts = [value.spec if isinstance(value, FloatFormat) else str(value) for value in values]
        return ":".join([type(self).__name__.lower(), *parts])

    def formats(self) -> tuple[FloatFormat, ...]:
        """Return the formats that partial sums are rounded to."""
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(value for value in values if isinstance(value, FloatFormat))

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Return the sums of at least one term, in float64, not yet rounded to the result's format."""
        raise TypeError(f"{type(self).__name__} has no order of its own.")


@dataclass(frozen=True)
class Wide(Accumulator):
    """The correctly rounded sum, from float64 products whose error is bounded (see `floatlab.sums.certified`)."""


@dataclass(frozen=True)
class Exact(Accumulator):
    """The correctly rounded sum, from sliced operands (see `floatlab.sums.exact`)."""


@dataclass(frozen=True)
class Sequential(Accumulator):
    """One term after the other, in the order of the index, every partial sum rounded to `format`.

    >>> str(Sequential("fp16"))
    'sequential:float16'
    """

    format: FloatFormat

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Add the terms up."""

        def in_order(row: list[float], add: Add) -> float:
            return reduce(add, row[1:], add(row[0], -0.0))

        total = _with_floats(in_order, terms, self.format, rounder, terms.adds_exactly(self.format))
        return _sequential(terms, 0, terms.count, 1, self.format, rounder) if total is None else total


@dataclass(frozen=True)
class Pairwise(Accumulator):
    """Terms 0 and 1, 2 and 3, ... are added, then the sums in the same way, until one is left.

    Every sum is rounded to `format`. What has no partner waits for the next round.
    """

    format: FloatFormat

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Add the terms up."""
        exact = terms.adds_exactly(self.format)

        def tree(start: int, stop: int) -> Array:
            if stop - start == 1:
                return terms[start]
            if (stop - start) * terms.size > _BLOCK:  # the same tree, cut at its root
                middle = start + (1 << (stop - start - 1).bit_length() - 1)
                halves = tree(start, middle), tree(middle, stop)
                return rounder.add(*halves, self.format, exact=exact, terms=True)
            sums = terms.stack(start, stop)
            while len(sums) > 1:
                even = len(sums) // 2 * 2
                left_over = sums[even:]
                sums = rounder.add(sums[0:even:2], sums[1:even:2], self.format, exact=exact, terms=True)
                if len(left_over):
                    sums = array_module(sums).concatenate([sums, left_over])
            return sums[0]

        return rounder(tree(0, terms.count), self.format)


@dataclass(frozen=True)
class Chunked(Accumulator):
    """Chunks of `size` terms are added sequentially in `inner`, and their sums sequentially in `outer`.

    The first chunk's sum is rounded to `outer` as the others' partial sums are, which shows where `outer` lacks it.

    >>> Chunked("fp16", "fp32", 64).size
    64
    """

    inner: FloatFormat
    outer: FloatFormat
    size: int = 64

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Add the terms up, the chunks side by side as far as memory allows."""
        together = max(1, _BLOCK // max(1, terms.size)) * self.size
        total = None
        for start in range(0, terms.count, together):
            stop = min(start + together, terms.count)
            for chunk in _sequential(terms, start, stop, self.size, self.inner, rounder, side_by_side=True):
                if total is None:
                    total = rounder(chunk, self.outer)  # as a register of the outer format holds it
                else:
                    total = rounder.add(total, chunk, self.outer, exact=False)
        assert total is not None
        return total


@dataclass(frozen=True)
class Kahan(Accumulator):
    """Kahan's compensated sum: what an addition loses is taken off the next term; all of it in `format`."""

    format: FloatFormat

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Add the terms up."""
        exact = terms.adds_exactly(self.format, compensated=True)
        total = _with_floats(_kahan_row, terms, self.format, rounder, exact)
        if total is not None:
            return total

        def add(x: Array, y: Array) -> Array:
            return rounder.add(x, y, self.format, exact=exact)

        total = rounder(terms[0], self.format)
        excess = array_module(total).zeros_like(total)  # by how much `total` is too large
        for k in range(1, terms.count):
            term = add(terms[k], -excess)
            new = add(total, term)
            excess = add(add(new, -total), -term)
            total = new
        return total


def _kahan_row(row: list[float], add: Add) -> float:
    total, excess = add(row[0], -0.0), 0.0
    for term in row[1:]:
        term = add(term, -excess)
        new = add(total, term)
        excess = add(add(new, -total), -term)
        total = new
    return total


def _sequential(
    terms: Terms,
    start: int,
    stop: int,
    step: int,
    fmt: FloatFormat,
    rounder: Rounder,
    *,
    side_by_side: bool = False,
) -> Array:
    """Add terms in order; side by side, those of each chunk of `step` terms, along a new first axis."""
    exact = terms.adds_exactly(fmt)
    if not side_by_side:
        total = rounder(terms[start], fmt)
        for k in range(start + step, stop, step):
            total = rounder.add(total, terms[k], fmt, exact=exact)
        return total
    total = rounder(terms.stack(start, stop, step), fmt)
    for k in range(start + 1, min(start + step, stop)):
        term = terms.stack(k, stop, step)
        n = len(term)  # the last chunk may be shorter
        total[:n] = rounder.add(total[:n], term, fmt, exact=exact)
    return total


# -- a few long rows -------------------------------------------------------------------------------


def _with_floats(
    add_up: Callable[[list[float], Add], float],
    terms: Terms,
    fmt: FloatFormat,
    rounder: Rounder,
    exact: bool,
) -> Array | None:
    """Add up a few rows in Python floats, which take a hundredth of the time of an array of one element.

    Returns None where there are too many rows, or where not every partial sum is the usual: rounded to
    nearest, finite, far from float64's ends, with gradual underflow.
    """
    usual = (rounder.rounding, rounder.subnormals) == ("nearest_even", "gradual")
    if not usual or terms.size > _FEW_ROWS or terms.as_fractions or is_gpu_array(terms.a):
        return None
    if not (fmt.signed and fmt.has_zero and 2 <= fmt.precision <= 51 and fmt.emin < _HIGH):
        return None
    add = _float_adder(fmt, exact)
    rows = terms.stack(0, terms.count).reshape(terms.count, terms.size).T.tolist()
    try:
        return np.array([add_up(row, add) for row in rows]).reshape(terms.shape)
    except OverflowError:
        return None


@lru_cache(maxsize=64)
def _magic(fmt: FloatFormat) -> dict[int, float]:
    """Return for each exponent e, as `math.frexp` has it, what is added and subtracted to round a number to the format.

    Adding and subtracting 1.5 * 2^(52 + k) rounds a float64 to a multiple of 2^k.
    """
    lowest = fmt.etiny
    return {e: math.ldexp(1.5, 52 + max(e - fmt.precision, lowest)) for e in range(-1074, _HIGH + 1)}


def _float_adder(fmt: FloatFormat, exact: bool) -> Add:
    """Return the function that adds two floats and rounds the sum to the format, once."""
    largest, magic = fmt.max, _magic(fmt)
    highest = math.ldexp(1.0, _HIGH - 1)
    zero = -0.0 if fmt.has_negative_zero else 0.0  # x + -0 is x, and -0 + 0 is 0

    def add(x: float, y: float) -> float:
        total = x + y
        if not abs(total) < highest:  # or a NaN
            raise OverflowError
        if not exact:
            back = total - x
            error = (x - (total - back)) + (y - back)  # Knuth
            if error and not int(math.ldexp(math.frexp(total)[0], 53)) & 1:  # to odd
                total = math.nextafter(total, math.copysign(math.inf, error))
        unit = magic[math.frexp(total)[1]]
        rounded = math.copysign((total + unit) - unit, total)
        if abs(rounded) > largest:
            raise OverflowError
        return rounded + zero

    return add


# -- exact terms -----------------------------------------------------------------------------------


def _ends(x: Array) -> tuple[float, float]:
    """Return the lowest bit that is set anywhere, and the largest finite magnitude; 1 and 0 if all are zero."""
    xp = array_module(x)
    size = abs(x[xp.isfinite(x) & (x != 0)])
    if not size.size:
        return 1.0, 0.0
    return max(float(quantum(size, None)), _SMALLEST), float(size.max())


def _fraction(x: float) -> Fraction | float:
    """Return a finite number other than zero as a fraction; of the rest a float knows the sign."""
    return Fraction(x) if x and math.isfinite(x) else x


def _product(x: float, y: float) -> Fraction | float:
    """Return x * y; of more than 53 bits those that float64 would keep if its exponent had no ends."""
    if not (x and y and math.isfinite(x) and math.isfinite(y)):
        return x * y
    n, e = math.frexp(x)
    m, f = math.frexp(y)
    rounded = n * m  # between 1/4 and 1
    return Fraction(rounded) * Fraction(2) ** (e + f)


def _total(x: Any, y: Any, zero: float) -> Fraction | float:
    """Return x + y; `zero` is what terms that cancel become."""
    a, b = (_fraction(z) if isinstance(z, float) else z for z in (x, y))
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a + b or zero
    if isinstance(a, float) and isinstance(b, float):
        return zero if a == b == 0 and math.copysign(1.0, a) != math.copysign(1.0, b) else a + b
    special, other = (a, b) if isinstance(a, float) else (b, a)
    return other if special == 0 else special


_PRODUCTS: Callable[..., Array] = np.frompyfunc(_product, 2, 1)
_TOTALS: Callable[..., Array] = np.frompyfunc(_total, 3, 1)


def _sum_of_fractions(x: Array, y: Array, rounding: str) -> Array:
    return _TOTALS(x, y, cancelled(rounding))


def _round_fractions(x: Array, fmt: FloatFormat, rounder: Rounder) -> Array:
    """Round an array of fractions and floats to the format, one by one."""
    rule = rounder.rule(fmt)
    draws, bits = np.zeros(x.size, np.int64), 0
    options = rounder.options
    if rule.variant is not None:
        source = RandomIntegers(rounder.rng, rounder.random_bits, None)
        source.fit(np.zeros(0))
        draws, bits = source.block(0, x.size), source.bits
        options = options | {"rounding": "nearest_even"}  # zeros, infinities and NaNs take no chances
    result = np.zeros(x.size)
    special = np.array([isinstance(item, float) for item in x.flat], bool)
    result[special] = x.reshape(-1)[special].astype(np.float64)
    result[special] = quantize(result[special], fmt, **options)
    for i in np.flatnonzero(~special).tolist():
        item = x.flat[i]
        result[i] = round_ratio(item.numerator, item.denominator, rule, int(draws[i]), bits).value
    return result.reshape(x.shape)


# -- names -----------------------------------------------------------------------------------------

_KINDS: dict[str, type[Accumulator]] = {
    kind.__name__.lower(): kind for kind in (Wide, Exact, Sequential, Pairwise, Chunked, Kahan)
}


def get_accumulator(accumulator: str | FloatFormat | Accumulator) -> Accumulator:
    """Return the accumulator that a name, a format (sequential), or an accumulator stands for.

    Raises
    ------
    OptionError
        If the name is unknown; the message suggests the nearest one.

    Examples
    --------
    >>> get_accumulator("chunked:fp16:fp32:64") == Chunked("fp16", "fp32", 64)
    True
    >>> str(get_accumulator("bf16"))
    'sequential:bfloat16'
    >>> get_accumulator("pairwse:fp16")
    Traceback (most recent call last):
    ...
    floatlab.errors.OptionError: An accumulator is wide, exact, a format, or one of pairwise:FORMAT, \
kahan:FORMAT, chunked:INNER:OUTER:SIZE. Got 'pairwse:fp16'. Did you mean "pairwise"?
    """
    if isinstance(accumulator, Accumulator):
        return accumulator
    if isinstance(accumulator, FloatFormat):
        return Sequential(accumulator)
    if isinstance(accumulator, str):
        return _by_name(accumulator)
    raise OptionError(
        f'An accumulator is a name, a format, or an Accumulator. Got {accumulator!r}. Use "wide" or "exact".'
    )


@lru_cache(maxsize=256)
def _by_name(text: str) -> Accumulator:
    kind, *parts = text.strip().split(":")
    kind = kind.lower()  # and no more: a format's own name may have capitals
    if kind in _KINDS:
        return _from_parts(text, _KINDS[kind], parts)
    try:
        return Sequential(get_format(text))
    except FormatError:
        names = [*_KINDS, *(name for fmt in formats() for name in (fmt.name, *aliases(fmt)))]
        guess = nearest_name(kind, names)
        way_out = f'Did you mean "{guess}"?' if guess else 'Use "wide" or "exact".'
        raise OptionError(
            "An accumulator is wide, exact, a format, or one of pairwise:FORMAT, kahan:FORMAT, "
            f"chunked:INNER:OUTER:SIZE. Got {text!r}. {way_out}"
        ) from None


def _from_parts(text: str, kind: type[Accumulator], parts: list[str]) -> Accumulator:
    names = [field.name for field in fields(kind)]
    least = sum(field.default is MISSING for field in fields(kind))
    if not least <= len(parts) <= len(names):
        example = {Wide: "wide", Exact: "exact", Chunked: "chunked:fp16:fp32:64"}.get(
            kind, f"{kind.__name__.lower()}:fp16"
        )
        raise OptionError(
            f"{kind.__name__.lower()} is followed by: {', '.join(names) or 'nothing'}. "
            f'Got {text!r}. Write it as "{example}".'
        )
    values: dict[str, Any] = dict(zip(names, parts, strict=False))
    if values.get("size", "").isdecimal():
        values["size"] = int(values["size"])
    return kind(**values)
