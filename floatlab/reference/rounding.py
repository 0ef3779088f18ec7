"""Which value does a number become? The mark of a ruler at or below it, or the one above.

Codes are counted like the marks on a ruler. The mark at or below |x| is its *place*, and the distance to it, in parts
of the gap, is the *discarded fraction* v::

    float4_e2m1fn     0    0.5    1    1.5    2         3         4                   6
    code              0     1     2     3     4         5         6                   7
    x = 2.75                                      x = place 4 + v, v = 3/4

The ruler goes on above the largest value as if the exponent had no upper end. A mode decides from v, the
sign and the place alone whether to stay or to go one mark up; only then is the mark compared
with the largest finite code, and what lies above it has overflowed.

Sources: IEEE 754-2019, sections 4.3 (rounding), 7 (flags); IEEE P3109 interim report (stochastic rounding A, B, C;
unsigned formats; parity at precision 1).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from floatlab.errors import OptionError, OverflowPolicyError, check_option
from floatlab.formats import FloatFormat
from floatlab.reference.numbers import (
    INFINITIES,
    MINUS,
    NANS,
    Layout,
    Number,
    Special,
    decode,
    exact,
    layout_of,
)

__all__ = ["DIVIDE_BY_ZERO", "INVALID", "MODES", "Flags", "Result", "encode", "round"]

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


Flags = frozenset[str]
NO_FLAGS: Flags = frozenset()
INEXACT = frozenset({"inexact"})
UNDERFLOW = frozenset({"underflow", "inexact"})
OVERFLOW = frozenset({"overflow", "inexact"})
INVALID = frozenset({"invalid"})
DIVIDE_BY_ZERO = frozenset({"divide_by_zero"})


class Result(NamedTuple):
    """The code that a rounding delivers, and the flags that it raises."""

    code: int
    flags: Flags
    fmt: FloatFormat

    @property
    def value(self) -> Number:
        """What the code means."""
        return decode(self.code, self.fmt)


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
    form, number = layout_of(fmt), exact(value)
    if number in NANS and form.nan is not None:
        return form.nan | (form.sign if number is Special.NEGATIVE_NAN and form.signed_nan else 0)
    if isinstance(number, Fraction) or number is Special.NEGATIVE_ZERO:
        code = round(number, fmt, overflow="saturate").code
        if decode(code, fmt) == number:
            return code
    elif number in INFINITIES and form.infinity is not None and (form.sign or number is Special.INFINITY):
        return form.infinity | (form.sign if number is Special.NEGATIVE_INFINITY else 0)
    raise OptionError(f"encode takes a value of the format. Got {value!r} for {fmt.name}. Round it first.")


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
    form = layout_of(fmt)
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
            return _out_of_range(fmt, form, policy, minus, INVALID, lowest=True)
        return Result(form.sign if minus and form.negative_zero else 0, NO_FLAGS, fmt)
    p3109 = fmt.specials.startswith("p3109")
    if minus and not form.sign and not p3109:
        return _out_of_range(fmt, form, policy, minus, INVALID, lowest=True)

    def to_mark(spot: _Spot) -> int:
        return spot.place + _goes_up(spot, minus, fmt, rounding, random_integer, random_bits)

    spot = _spot(n, d, form, bounded=True)
    code, is_exact = to_mark(spot), spot.rest == 0
    if not form.zero and spot.place < 0:
        # No value lies below this one; it is tiny unless it is rounded up to the smallest one anyway.
        return Result(0, UNDERFLOW if code < 0 else INEXACT, fmt)
    flushed = form.zero and subnormals == "flush" and 0 < code < 1 << form.m
    if minus and not form.sign and code > 0 and not flushed:
        if policy in ("infinity", "nan") and rounding not in ("toward_zero", "toward_positive"):
            return Result(form.nan or 0, INVALID, fmt)
        return Result(0, INVALID, fmt)
    if code > form.largest:
        if policy == "propagate" or _stops_at_largest(rounding, minus, form.largest, fmt):
            return Result(form.largest + (form.sign if minus else 0), OVERFLOW, fmt)
        return _out_of_range(fmt, form, policy, minus, OVERFLOW)
    flags = NO_FLAGS if is_exact else INEXACT
    if form.zero and _below_power_of_two(n, d, 1 - form.bias):
        smallest_normal = 1 << form.m
        if code < smallest_normal and subnormals == "flush":
            code, flags = 0, UNDERFLOW
        elif not is_exact and to_mark(_spot(n, d, form, bounded=False)) < smallest_normal:
            flags = UNDERFLOW  # tiny after rounding, as if no exponent were too small
    if code == 0:
        return Result(form.sign if minus and form.negative_zero else 0, flags, fmt)
    return Result(code + (form.sign if minus else 0), flags, fmt)


def _policy(fmt: FloatFormat, form: Layout, overflow: str | None) -> str:
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


def _spot(n: int, d: int, form: Layout, bounded: bool) -> _Spot:
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


def _round_special(x: Special, fmt: FloatFormat, form: Layout, policy: str) -> Result:
    minus = x in MINUS
    if x in NANS:
        if form.nan is None:
            raise OverflowPolicyError(f"{fmt.name} has no NaN. Got one. Replace it first.")
        return Result(form.nan | (form.sign if minus and form.signed_nan else 0), NO_FLAGS, fmt)
    if form.infinity is not None and policy != "saturate" and (form.sign or not minus):
        return Result(form.infinity | (form.sign if minus else 0), NO_FLAGS, fmt)
    if policy == "propagate":  # an infinity that cannot stay becomes what it does by default
        policy = _policy(fmt, form, None)
    return _out_of_range(fmt, form, policy, minus, INVALID, lowest=minus and not form.sign)


def _out_of_range(
    fmt: FloatFormat, form: Layout, policy: str, minus: bool, flags: Flags, lowest: bool = False
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
