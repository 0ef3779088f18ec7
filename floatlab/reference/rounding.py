"""What is the exact answer? A slow scalar oracle on integers and fractions.

Everything here is done one number at a time with Python's `int` and `fractions.Fraction`, in which
nothing overflows and nothing is ever inexact. It exists to be believed, so it shares no code with the
fast rooms that are tested against it: it reads a format's description and derives the rest again.

A number is a `Fraction`, or a `Special` where a fraction has no such value:

    Fraction(3, 2)   Fraction(0)   Special.NEGATIVE_ZERO   Special.INFINITY   Special.NAN   ...

How a number is rounded (`round`): codes are counted like the marks on a ruler. The mark at or below
|x| is its *place*, and the distance to it, in parts of the gap, is the *discarded fraction* v::

    float4_e2m1fn     0    0.5    1    1.5    2         3         4                   6
    code              0     1     2     3     4         5         6                   7
    x = 2.75                                      x = place 4 + v, v = 3/4

The ruler goes on above the largest value as if the exponent had no upper end. A mode decides from v, the
sign and the place alone whether to stay or to go one mark up; only then is the mark compared
with the largest finite code, and what lies above it has overflowed.

Rules that the standards leave open, as decided here:

- Every NaN is quiet, and a NaN that an invalid operation makes is the positive one. An operand that is NaN
  gives a NaN with the first such operand's sign and raises no flag, in fma too.
- A result that is flushed, or that lands on a subnormal without being exact, raises underflow. Whether a
  result is tiny is asked after rounding (IEEE 754-2019, 7.5).
- An infinity that is not delivered as one, and a zero or a negative number that the format does not have, is an
  invalid operation, as IEEE 754-2019, 5.8, has it for integers; the overflow policy says what is delivered.
- A number below zero in an unsigned P3109 format is rounded first, and what becomes zero is in range (IEEE P3109,
  4.7.5, saturates what has been rounded). The mode has no part in what becomes of an infinity.
- Every number above zero but below the smallest value of a format without zero (e8m0) becomes that value,
  the only neighbour it has.

Sources: IEEE 754-2019, sections 4.3 (rounding), 6 (infinity, NaN, sign of zero), 7 (flags); IEEE P3109
interim report (stochastic rounding A, B, C; unsigned formats; parity at precision 1).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from floatlab.errors import OptionError, OverflowPolicyError, check_option
from floatlab.formats import FloatFormat

__all__ = [
    "Number",
    "Result",
    "Special",
    "add",
    "decode",
    "divide",
    "dot",
    "encode",
    "exact",
    "fma",
    "multiply",
    "round",
    "sqrt",
    "subtract",
    "sum",
    "to_float",
]

MODES = (
    "nearest_even",
    "nearest_away",
    "nearest_zero",
    "toward_zero",
    "toward_positive",
    "toward_negative",
    "to_odd",
    "stochastic",
    "stochastic_b",
    "stochastic_c",
)


class Special(Enum):
    """A value that no fraction can be."""

    NEGATIVE_ZERO = "-0"
    INFINITY = "+inf"
    NEGATIVE_INFINITY = "-inf"
    NAN = "nan"
    NEGATIVE_NAN = "-nan"


Number = Fraction | Special

_NANS = (Special.NAN, Special.NEGATIVE_NAN)
_INFINITIES = (Special.INFINITY, Special.NEGATIVE_INFINITY)
_MINUS = (Special.NEGATIVE_ZERO, Special.NEGATIVE_INFINITY, Special.NEGATIVE_NAN)
_ZERO = Fraction(0)

Flags = frozenset[str]
_NO_FLAGS: Flags = frozenset()
_INEXACT = frozenset({"inexact"})
_UNDERFLOW = frozenset({"underflow", "inexact"})
_OVERFLOW = frozenset({"overflow", "inexact"})
_INVALID = frozenset({"invalid"})
_DIVIDE_BY_ZERO = frozenset({"divide_by_zero"})


class Result(NamedTuple):
    """The code that a rounding delivers, and the flags that it raises."""

    code: int
    flags: Flags
    fmt: FloatFormat

    @property
    def value(self) -> Number:
        """What the code means."""
        return decode(self.code, self.fmt)


def exact(x: Any) -> Number:
    """Return the number that a Python or NumPy scalar is, exactly.

    >>> exact(0.1) - Fraction(1, 10)
    Fraction(1, 180143985094819840)
    >>> exact(-0.0)
    <Special.NEGATIVE_ZERO: '-0'>
    """
    if isinstance(x, Fraction | Special):
        return x
    if hasattr(x, "__index__"):
        return Fraction(operator.index(x))
    x = float(x)
    minus = math.copysign(1.0, x) < 0
    if math.isnan(x):
        return Special.NEGATIVE_NAN if minus else Special.NAN
    if math.isinf(x):
        return Special.NEGATIVE_INFINITY if minus else Special.INFINITY
    return Special.NEGATIVE_ZERO if x == 0 and minus else Fraction(x)


def to_float(x: Number) -> float:
    """Return a number as a Python float; every value of a format is one.

    >>> to_float(Fraction(7, 2)), to_float(Special.NEGATIVE_ZERO)
    (3.5, -0.0)
    """
    return float(x) if isinstance(x, Fraction) else float(x.value)


# -- what the codes of a format mean -------------------------------------------------------------------


class _Layout(NamedTuple):
    m: int  # mantissa bits
    bias: int
    sign: int  # the sign bit as a mask, 0 in an unsigned format
    largest: int  # the code of the largest finite value
    infinity: int | None
    nan: int | None
    signed_nan: bool  # the sign bit may be set in a NaN
    negative_zero: bool
    zero: bool  # an exponent field of 0 means 0.mantissa, not 1.mantissa
    ieee_nans: bool  # every code above infinity is a NaN


@lru_cache(maxsize=1024)
def _layout(fmt: FloatFormat) -> _Layout:
    m, width, kind = fmt.mantissa_bits, fmt.exponent_bits + fmt.mantissa_bits, fmt.specials
    assert fmt.bias is not None
    last = 2**width - 1  # every bit of the magnitude set
    sign = 2**width if fmt.signed else 0
    infinity: int | None = None
    nan: int | None = None
    if kind == "ieee":
        infinity = (2**fmt.exponent_bits - 1) * 2**m  # exponent all ones, mantissa 0
        largest, nan = infinity - 1, infinity + 2**m // 2
    elif kind in ("fn", "scale"):
        largest, nan = last - 1, last
    elif kind == "finite":
        largest = last
    elif fmt.signed:  # fnuz and P3109: NaN is where -0 would be
        nan = sign
        largest, infinity = (last - 1, last) if kind == "p3109_extended" else (last, None)
    else:
        nan = last
        largest, infinity = (last - 2, last - 1) if kind == "p3109_extended" else (last - 1, None)
    usual = kind in ("ieee", "fn", "finite")  # the sign bit is free to mean a sign, whatever follows it
    return _Layout(
        m=m,
        bias=fmt.bias,
        sign=sign,
        largest=largest,
        infinity=infinity,
        nan=nan,
        signed_nan=fmt.signed and usual and nan is not None,
        negative_zero=fmt.signed and usual,
        zero=kind != "scale",
        ieee_nans=kind == "ieee",
    )


def decode(code: int, fmt: FloatFormat) -> Number:
    """Return the number that a code means.

    >>> from floatlab.formats import get_format
    >>> decode(0b1_01111_1000000000, get_format("float16"))
    Fraction(-3, 2)
    """
    form = _layout(fmt)
    if not 0 <= code < 2 ** (fmt.exponent_bits + form.m + (form.sign > 0)):
        raise OptionError(f"A code of {fmt.name} has {fmt.bits} bits. Got {code}. Mask it first.")
    minus = bool(code & form.sign)
    magnitude = code - form.sign if minus else code
    if code == form.nan or (form.signed_nan and magnitude == form.nan):
        return Special.NEGATIVE_NAN if minus and form.signed_nan else Special.NAN
    if magnitude == form.infinity:
        return Special.NEGATIVE_INFINITY if minus else Special.INFINITY
    if form.ieee_nans and magnitude > form.largest:
        return Special.NEGATIVE_NAN if minus else Special.NAN
    field, mantissa = divmod(magnitude, 2**form.m)
    if form.zero and field == 0:
        if mantissa == 0 and minus:
            return Special.NEGATIVE_ZERO
        significand, exponent = mantissa, 1 - form.bias - form.m  # 0.mantissa * 2**(1 - bias)
    else:
        significand, exponent = 2**form.m + mantissa, field - form.bias - form.m  # 1.mantissa
    significand = -significand if minus else significand
    return Fraction(significand << exponent) if exponent >= 0 else Fraction(significand, 1 << -exponent)


def encode(value: Any, fmt: FloatFormat) -> int:
    """Return the code of a value that the format has; no rounding.

    Raises
    ------
    OptionError
        If the format has no such value.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> hex(encode(448, get_format("e4m3")))
    '0x7e'
    """
    form, number = _layout(fmt), exact(value)
    if number in _NANS and form.nan is not None:
        return form.nan | (form.sign if number is Special.NEGATIVE_NAN and form.signed_nan else 0)
    if isinstance(number, Fraction) or number is Special.NEGATIVE_ZERO:
        code = round(number, fmt, overflow="saturate").code
        if decode(code, fmt) == number:
            return code
    elif number in _INFINITIES and form.infinity is not None and (form.sign or number is Special.INFINITY):
        return form.infinity | (form.sign if number is Special.NEGATIVE_INFINITY else 0)
    raise OptionError(f"encode takes a value of the format. Got {value!r} for {fmt.name}. Round it first.")


# -- rounding --------------------------------------------------------------------------------------------


def round(
    x: Any,
    fmt: FloatFormat,
    rounding: str = "nearest_even",
    overflow: str | None = None,
    subnormals: str = "gradual",
    flush_inputs: bool = False,
    random_integer: int = 0,
    random_bits: int = 0,
) -> Result:
    """Round a number to a format.

    Parameters
    ----------
    x : Fraction, Special, int or float
        The number, taken exactly.
    fmt : FloatFormat
        The format to round to.
    rounding, overflow, subnormals, flush_inputs
        As in `floatlab.quantize`. "flush" turns a result that is subnormal into a zero of its sign;
        `flush_inputs` takes an `x` below the smallest normal value for a zero, and raises no flag.
    random_integer, random_bits : int
        R and N of the stochastic modes, with ``0 <= R < 2**N``.

    Raises
    ------
    OverflowPolicyError
        If the policy needs an infinity or a NaN that the format does not have.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> result = round(Fraction(1, 10), get_format("float16"))
    >>> hex(result.code), result.value, sorted(result.flags)
    ('0x2e66', Fraction(819, 8192), ['inexact'])
    """
    check_option("rounding", rounding, MODES)
    check_option("subnormals", subnormals, ("gradual", "flush"))
    form = _layout(fmt)
    policy = _policy(fmt, form, overflow)
    x = exact(x)
    if isinstance(x, Special) and x is not Special.NEGATIVE_ZERO:
        return _round_special(x, fmt, form, policy)
    minus = x is Special.NEGATIVE_ZERO or x < 0
    n, d = (0, 1) if x is Special.NEGATIVE_ZERO else (abs(x.numerator), x.denominator)
    if flush_inputs and _below_power_of_two(n, d, form.zero - form.bias):
        n, d = 0, 1
    if n == 0:
        if not form.zero:
            return _out_of_range(fmt, form, policy, minus, _INVALID, lowest=True)
        return Result(form.sign if minus and form.negative_zero else 0, _NO_FLAGS, fmt)
    p3109 = fmt.specials.startswith("p3109")
    if minus and not form.sign and not p3109:
        return _out_of_range(fmt, form, policy, minus, _INVALID, lowest=True)

    def to_mark(spot: _Spot) -> int:
        return spot.place + _goes_up(spot, minus, fmt, rounding, random_integer, random_bits)

    spot = _spot(n, d, form, bounded=True)
    code, is_exact = to_mark(spot), spot.rest == 0
    if not form.zero and spot.place < 0:
        # No value lies below this one; it is tiny unless it is rounded up to the smallest one anyway.
        return Result(0, _UNDERFLOW if code < 0 else _INEXACT, fmt)
    flushed = form.zero and subnormals == "flush" and 0 < code < 1 << form.m
    if minus and not form.sign and code > 0 and not flushed:
        if policy in ("infinity", "nan") and rounding not in ("toward_zero", "toward_positive"):
            return Result(form.nan or 0, _INVALID, fmt)
        return Result(0, _INVALID, fmt)
    if code > form.largest:
        if policy == "propagate" or _stops_at_largest(rounding, minus, form.largest, fmt):
            return Result(form.largest + (form.sign if minus else 0), _OVERFLOW, fmt)
        return _out_of_range(fmt, form, policy, minus, _OVERFLOW)
    flags = _NO_FLAGS if is_exact else _INEXACT
    if form.zero and _below_power_of_two(n, d, 1 - form.bias):
        smallest_normal = 1 << form.m
        if code < smallest_normal and subnormals == "flush":
            code, flags = 0, _UNDERFLOW
        elif not is_exact and to_mark(_spot(n, d, form, bounded=False)) < smallest_normal:
            flags = _UNDERFLOW  # tiny after rounding, as if no exponent were too small
    if code == 0:
        return Result(form.sign if minus and form.negative_zero else 0, flags, fmt)
    return Result(code + (form.sign if minus else 0), flags, fmt)


def _policy(fmt: FloatFormat, form: _Layout, overflow: str | None) -> str:
    """Return what happens to a result that is too large: "infinity", "nan", "saturate" or "propagate"."""
    if overflow is None:
        if form.infinity is not None:
            return "infinity"
        return "saturate" if fmt.specials in ("finite", "p3109_finite") else "nan"
    check_option("overflow", overflow, ("infinity", "nan", "saturate", "propagate"))
    if overflow == "infinity" and form.infinity is None:
        raise OverflowPolicyError(f'{fmt.name} has no infinity. Got overflow="infinity". Use "saturate".')
    if overflow == "nan" and form.nan is None:
        raise OverflowPolicyError(f'{fmt.name} has no NaN. Got overflow="nan". Use "saturate".')
    return overflow


class _Spot(NamedTuple):
    place: int  # the mark at or below, as a code
    rest: int  # v = rest / gap
    gap: int
    above_zero: bool  # the mark below is zero


def _spot(n: int, d: int, form: _Layout, bounded: bool) -> _Spot:
    """Return where n/d lies on the ruler of codes.

    `bounded` says whether the marks stop getting closer below the smallest normal value, as they do
    in a format with subnormals; otherwise the ruler goes on to below 0.
    """
    e = n.bit_length() - d.bit_length()  # floor(log2(n/d)), or one more
    if _below_power_of_two(n, d, e):
        e -= 1
    if bounded and form.zero:
        e = max(e, 1 - form.bias)
    shift = e - form.m  # the gap between two marks is 2**shift
    gap = d << shift if shift > 0 else d
    significand, rest = divmod(n << -shift if shift < 0 else n, gap)
    # A significand 1.mantissa counts 2**m; the exponent field says so already, hence one field less.
    return _Spot(((e + form.bias - 1) << form.m) + significand, rest, gap, significand == 0)


def _below_power_of_two(n: int, d: int, e: int) -> bool:
    return n < d << e if e >= 0 else n << -e < d


def _goes_up(
    spot: _Spot, minus: bool, fmt: FloatFormat, rounding: str, random_integer: int, random_bits: int
) -> bool:
    """Say whether a magnitude at or above a mark goes to the next one up."""
    rest, gap = spot.rest, spot.gap
    if rest == 0:
        return False
    odd = bool(spot.place & 1)
    match rounding:
        case "nearest_even":
            if 2 * rest != gap:
                return 2 * rest > gap
            if fmt.mantissa_bits == 0 and not fmt.specials.startswith("p3109"):
                return not spot.above_zero  # 1 digit is always odd: the larger one (IEEE 754-2019, 4.3.1)
            return odd
        case "nearest_away":
            return 2 * rest >= gap
        case "nearest_zero":
            return 2 * rest > gap
        case "toward_zero":
            return False
        case "toward_positive":
            return not minus
        case "toward_negative":
            return minus
        case "to_odd":
            return not odd
    N, R = random_bits, random_integer
    if not 0 <= R < 1 << N:
        raise OptionError(f"random_integer lies in 0 .. 2**random_bits - 1. Got {R} for {N}. Mask it first.")
    if rounding == "stochastic":
        return (rest << N) // gap + R >= 1 << N
    if rounding == "stochastic_b":
        return (rest << N + 1) // gap + 2 * R + 1 >= 1 << N + 1
    whole, rest = divmod(rest << N, gap)
    to_even = whole + (2 * rest > gap or (2 * rest == gap and whole & 1))
    return to_even + R >= 1 << N


def _stops_at_largest(rounding: str, minus: bool, largest: int, fmt: FloatFormat) -> bool:
    """Say whether a mode rounds inward, and so never past the largest finite value.

    In P3109 infinity is the next mark after it, and `to_odd` goes to that of the two whose code is odd.
    """
    if rounding == "to_odd" and fmt.specials == "p3109_extended":
        return largest % 2 == 1
    inward = "toward_positive" if minus else "toward_negative"
    return rounding in ("toward_zero", "to_odd", inward)


def _round_special(x: Special, fmt: FloatFormat, form: _Layout, policy: str) -> Result:
    minus = x in _MINUS
    if x in _NANS:
        if form.nan is None:
            raise OverflowPolicyError(f"{fmt.name} has no NaN. Got one. Replace it first.")
        return Result(form.nan | (form.sign if minus and form.signed_nan else 0), _NO_FLAGS, fmt)
    if form.infinity is not None and policy != "saturate" and (form.sign or not minus):
        return Result(form.infinity | (form.sign if minus else 0), _NO_FLAGS, fmt)
    if policy == "propagate":  # an infinity that cannot stay becomes what it does by default
        policy = _policy(fmt, form, None)
    return _out_of_range(fmt, form, policy, minus, _INVALID, lowest=minus and not form.sign)


def _out_of_range(
    fmt: FloatFormat, form: _Layout, policy: str, minus: bool, flags: Flags, lowest: bool = False
) -> Result:
    """Deliver what the policy says; `lowest` marks what lies below the values of an unsigned format."""
    sign = form.sign if minus else 0
    if policy in ("saturate", "propagate"):
        return Result(0 if lowest else form.largest + sign, flags, fmt)
    if policy == "infinity" and not lowest:
        assert form.infinity is not None
        return Result(form.infinity + sign, flags, fmt)
    assert form.nan is not None
    return Result(form.nan | (sign if form.signed_nan else 0), flags, fmt)


# -- operations ------------------------------------------------------------------------------------------
# Each computes the exact result, then rounds it once. `options` are those of `round`.


def _nan_of(*operands: Number) -> Number | None:
    return next((x for x in operands if x in _NANS), None)


def _is_minus(x: Number) -> bool:
    return x in _MINUS if isinstance(x, Special) else x < 0


def _is_zero(x: Number) -> bool:
    return x is Special.NEGATIVE_ZERO or x == 0


def _negate(x: Number) -> Number:
    if isinstance(x, Fraction):
        return -x if x else Special.NEGATIVE_ZERO
    pairs = {Special.INFINITY: Special.NEGATIVE_INFINITY, Special.NAN: Special.NEGATIVE_NAN}
    pairs |= {value: key for key, value in pairs.items()}
    return pairs.get(x, _ZERO)


def _signed(x: Number, minus: bool) -> Number:
    """Return a number of x's magnitude and the given sign."""
    return x if _is_minus(x) == minus else _negate(x)


def _invalid(fmt: FloatFormat, **options: Any) -> Result:
    return round(Special.NAN, fmt, **options)._replace(flags=_INVALID)


def _exact_sum(terms: Sequence[Number], rounding: str) -> Number | None:
    """Return the exact sum, or None where it is invalid (infinities of both signs)."""
    nan = _nan_of(*terms)
    if nan is not None:
        return nan
    infinities = {x for x in terms if x in _INFINITIES}
    if infinities:
        return infinities.pop() if len(infinities) == 1 else None
    total = _ZERO
    for x in terms:
        if isinstance(x, Fraction):
            total += x
    if total:
        return total
    # A zero sum of zeros of one sign has that sign; any other is +0, but -0 in toward_negative (6.3).
    signs = {_is_minus(x) if _is_zero(x) else None for x in terms}
    if signs in ({True}, {False}):
        return Special.NEGATIVE_ZERO if signs == {True} else _ZERO
    return Special.NEGATIVE_ZERO if rounding == "toward_negative" and terms else _ZERO


def _exact_product(a: Number, b: Number) -> Number | None:
    """Return the exact product, or None where it is invalid (zero times infinity)."""
    nan = _nan_of(a, b)
    if nan is not None:
        return nan
    minus = _is_minus(a) != _is_minus(b)
    if a in _INFINITIES or b in _INFINITIES:
        return None if _is_zero(a) or _is_zero(b) else _signed(Special.INFINITY, minus)
    if isinstance(a, Fraction) and isinstance(b, Fraction) and a and b:
        return a * b
    return _signed(_ZERO, minus)


def _finish(result: Number | None, fmt: FloatFormat, **options: Any) -> Result:
    return _invalid(fmt, **options) if result is None else round(result, fmt, **options)


def add(a: Any, b: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return a + b, rounded once.

    >>> from floatlab.formats import get_format
    >>> add(448, 32, get_format("e4m3"), overflow="saturate").value
    Fraction(448, 1)
    """
    terms = (exact(a), exact(b))
    return _finish(_exact_sum(terms, options.get("rounding", "nearest_even")), fmt, **options)


def subtract(a: Any, b: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return a - b, rounded once."""
    b = exact(b)
    return add(a, b if b in _NANS else _negate(b), fmt, **options)


def multiply(a: Any, b: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return a * b, rounded once."""
    return _finish(_exact_product(exact(a), exact(b)), fmt, **options)


def divide(a: Any, b: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return a / b, rounded once. A finite number over zero is an infinity and raises divide_by_zero."""
    a, b = exact(a), exact(b)
    nan = _nan_of(a, b)
    if nan is not None:
        return round(nan, fmt, **options)
    minus = _is_minus(a) != _is_minus(b)
    if (a in _INFINITIES and b in _INFINITIES) or (_is_zero(a) and _is_zero(b)):
        return _invalid(fmt, **options)
    if a in _INFINITIES:
        return round(_signed(Special.INFINITY, minus), fmt, **options)
    if _is_zero(b):
        return round(_signed(Special.INFINITY, minus), fmt, **options)._replace(flags=_DIVIDE_BY_ZERO)
    if _is_zero(a) or b in _INFINITIES:
        return round(_signed(_ZERO, minus), fmt, **options)
    return round(Fraction(a, b), fmt, **options)


def fma(a: Any, b: Any, c: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return a * b + c, rounded once."""
    a, b, c = exact(a), exact(b), exact(c)
    nan = _nan_of(a, b, c)
    if nan is not None:
        return round(nan, fmt, **options)
    product = _exact_product(a, b)
    if product is None:
        return _invalid(fmt, **options)
    return add(product, c, fmt, **options)


def sqrt(x: Any, fmt: FloatFormat, **options: Any) -> Result:
    """Return the square root of x, rounded once. That of -0 is -0; of less, an invalid operation.

    >>> from floatlab.formats import get_format
    >>> to_float(sqrt(2, get_format("bfloat16")).value)
    1.4140625
    """
    x = exact(x)
    if x in _NANS or _is_zero(x) or x is Special.INFINITY:
        return round(x, fmt, **options)
    if _is_minus(x):
        return _invalid(fmt, **options)
    # On a grid of 2**-k the root lies on a point or strictly between two. The grid is so fine that all marks,
    # midpoints and stochastic thresholds lie on it, so the middle of the cell rounds as the root does.
    n, d = x.numerator, x.denominator
    form = _layout(fmt)
    smallest_place = max(0, form.m + form.bias, (d.bit_length() - n.bit_length()) // 2 + 1 + form.m)
    k = smallest_place + options.get("random_bits", 0) + 4
    cell = math.isqrt((n << 2 * k) // d)
    on_grid = cell * cell * d == n << 2 * k
    return round(Fraction(2 * cell + (not on_grid), 2 << k), fmt, **options)


def sum(terms: Iterable[Any], fmt: FloatFormat, *, sequential: bool = False, **options: Any) -> Result:
    """Return the sum of the terms: exact and rounded once, or with every partial sum rounded.

    The sequential sum starts from the first term, rounded to `fmt`. An empty sum is +0.

    >>> from floatlab.formats import get_format
    >>> e4m3 = get_format("e4m3")
    >>> to_float(sum([1] * 64, e4m3).value), to_float(sum([1] * 64, e4m3, sequential=True).value)
    (64.0, 16.0)
    """
    numbers = [exact(x) for x in terms]
    if not sequential or not numbers:
        return _finish(_exact_sum(numbers, options.get("rounding", "nearest_even")), fmt, **options)
    total = round(numbers[0], fmt, **options)
    for x in numbers[1:]:
        total = _with_flags(add(total.value, x, fmt, **options), total.flags)
    return total


def dot(
    a: Iterable[Any], b: Iterable[Any], fmt: FloatFormat, *, sequential: bool = False, **options: Any
) -> Result:
    """Return the sum of products: exact and rounded once, or with every partial sum rounded.

    Products are exact in both cases; the sequential form is a chain of fma that starts with a product.
    """
    pairs = [(exact(x), exact(y)) for x, y in zip(a, b, strict=True)]
    if not sequential or not pairs:
        products = [_exact_product(x, y) for x, y in pairs]
        if None in products and not any(_nan_of(*pair) for pair in pairs):
            return _invalid(fmt, **options)
        return sum([x for x in products if x is not None], fmt, **options)
    total = multiply(*pairs[0], fmt, **options)
    for x, y in pairs[1:]:
        total = _with_flags(fma(x, y, total.value, fmt, **options), total.flags)
    return total


def _with_flags(result: Result, earlier: Flags) -> Result:
    return result._replace(flags=result.flags | earlier)
