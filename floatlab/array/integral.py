"""What is the whole part of a quotient, and what is left? ``// % fmod divmod modf frexp ldexp heaviside round``.

Each result is the exact one, rounded once to the format, in every rounding mode. Most of them are exact: what is left
of a division, the parts of a number and its mantissa are values of the format, unless its exponents end before.

Infinities, zeros and signs are those of NumPy and of C: ``fmod`` has the sign of the dividend (ISO C, 7.12.10.1 and
F.10.7.1), ``remainder`` and ``floor_divide`` go with the floor, as Python's ``%`` and ``//``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np

from floatlab.array.calls import operation
from floatlab.array.core import FloatArray
from floatlab.array.protocols import FUNCTIONS, UFUNCS
from floatlab.array.ratios import Pair, as_pair, has_room, ratio, round_once
from floatlab.array.stand_ins import elementwise, into
from floatlab.backend import Array
from floatlab.context import current
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.error_free import two_product, two_sum
from floatlab.operations.integers import EXACT
from floatlab.operations.operate import operate
from floatlab.operations.special_values import flags_of_operation, sign_nans
from floatlab.rounding.flags import is_tracking
from floatlab.rounding.inputs import as_source
from floatlab.sums.exact import add_to_odd
from floatlab.sums.signatures import OperationOptions, of_two

__all__ = ["floor_divide", "fmod", "frexp", "heaviside", "ldexp", "modf", "remainder", "round_decimals"]

_FLOAT64 = get_format("float64")
_WHOLE = 2.0**52  # from here on every float64 is an integer
_SHORT = 24  # bits of operands whose quotients have no long runs of zeros or ones

Exact = tuple[Array, dict[int, Pair]]
Compute = Callable[
    [list[Array], bool, bool], Exact
]  # operands, whether they are short, whether there is room


def _operation(
    name: str, operands: tuple[Any, ...], fmt: Any, options: OperationOptions, compute: Compute
) -> Any:
    """Round what `compute(xs, short, room)` finds: float64 results, and exact ones in their stead."""
    call = operation(name, operands, fmt, options)
    xs = _float64(name, call.values)
    if call.options["flush_inputs"]:
        xs = [_flush(x, call.fmt) for x in xs]
    short = all(f is not None and f.precision <= _SHORT for f in (*call.formats, call.fmt))
    with np.errstate(all="ignore"):
        total, exceptions = compute(xs, short, has_room(call.fmt, call.options))
    total = np.array(total, np.float64, order="C")
    sign_nans(xs, total, call.fmt)
    values, flags = round_once(total, call.fmt, call.options, call.wanted, exceptions)
    if flags is not None:
        flags = flags_of_operation("divide" if name == "floor_divide" else name, xs, total, flags)
    return call.finish(values, flags)


def _flush(x: Array, fmt: FloatFormat) -> Array:
    flushed: Array = np.where(np.abs(x) < fmt.smallest_normal, np.copysign(0.0, x), x)
    return flushed


def _float64(name: str, values: list[Any]) -> list[Array]:
    xs = [as_source(x, _FLOAT64).astype(np.float64, copy=False) for x in values]
    try:
        return [np.ascontiguousarray(x).reshape(x.shape) for x in np.broadcast_arrays(*xs)]
    except ValueError:
        shapes = " and ".join(str(x.shape) for x in xs)
        raise ShapeError(
            f"The operands of {name} have shapes that broadcast. Got {shapes}. Reshape one of them."
        ) from None


# -- division -------------------------------------------------------------------------------------------------


@of_two
def fmod(a: Any, b: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return what is left of a after taking off b as often as it fits: a - trunc(a / b) * b, with the sign of a.

    Of operands of one format it is exact. ``fmod(a, 0)`` and ``fmod(infinity, b)`` are NaN and invalid, and
    ``fmod(a, infinity)`` is a. Parameters as in `floatlab.add`.

    >>> import floatlab as fl
    >>> fl.fmod(fl.array([5.5, -5.5, 448.0], "e4m3"), 3)
    FloatArray([ 2.5, -2.5,  1. ], format=float8_e4m3fn)
    """
    return _operation("fmod", (a, b), fmt, options, _fmod)


def _fmod(xs: list[Array], short: bool, room: bool) -> Exact:
    return np.fmod(*xs), {}  # a float64 is exact here, as any IEEE format would be


@of_two
def remainder(a: Any, b: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return a - floor(a / b) * b, rounded once: what ``a % b`` is in Python and NumPy, with the sign of b.

    It is not always a value of the format: -2^-9 % 1 is 1 - 2^-9, which rounds to 1. ``remainder(a, 0)`` and
    ``remainder(infinity, b)`` are NaN and invalid. Parameters as in `floatlab.add`.

    >>> import floatlab as fl
    >>> fl.array([5.5, -5.5, -0.001953125], "e4m3") % 3
    FloatArray([2.5, 0.5, 3. ], format=float8_e4m3fn)
    """
    return _operation("remainder", (a, b), fmt, options, _remainder)


def _remainder(xs: list[Array], short: bool, room: bool) -> Exact:
    a, b = xs
    rest: Array = np.fmod(a, b)
    rest = np.where(rest == 0, np.copysign(0.0, b), rest)
    other_side = (rest != 0) & (np.signbit(rest) != np.signbit(b)) & ~np.isnan(rest)
    total = np.where(other_side, add_to_odd(rest, b), rest)
    exceptions: dict[int, Pair] = {}
    if not room:
        inexact = other_side & (np.abs(two_sum(rest, b)[1]) > 0)
        for i in np.flatnonzero(inexact).tolist():
            exceptions[i] = EXACT["add"](0, float(rest.flat[i]), float(b.flat[i]))
    return total, exceptions


@of_two
def floor_divide(a: Any, b: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return the floor of the exact quotient a / b, rounded once: ``a // b``.

    A number over zero is an infinity, and raises divide_by_zero; an infinity over anything, and 0 / 0, is NaN
    and invalid, as in NumPy. Parameters as in `floatlab.add`.

    >>> import floatlab as fl
    >>> fl.array([7.0, -7.0, 448.0], "e4m3") // 2
    FloatArray([  3.,  -4., 224.], format=float8_e4m3fn)
    """
    return _operation("floor_divide", (a, b), fmt, options, _floor_divide)


def _floor_divide(xs: list[Array], short: bool, room: bool) -> Exact:
    """Take the floor of the quotient rounded to odd, which lies between the same integers as the exact one.

    From 2^52 on it has no bits left for a fraction. If its operands have p <= 24 bits, no run of zeros or ones in
    the quotient is longer than p, so its first 53 bits tell on which side of every mark of a format of 24 bits the
    floor lies, too. All others are divided as integers.
    """
    a, b = xs
    quotient = operate("divide", (a, b), "float64", rounding="to_odd")
    opposite = np.signbit(a) != np.signbit(b)
    quotient = np.where(np.isinf(b) & opposite & (a != 0) & np.isfinite(a), -1.0, quotient)
    total = np.where(np.isinf(a), np.nan, np.floor(quotient))
    exceptions: dict[int, Pair] = {}
    if not (short and room):
        large = np.isfinite(a) & np.isfinite(b) & (b != 0) & (np.abs(quotient) >= _WHOLE)
        for i in np.flatnonzero(large).tolist():
            exceptions[i] = _floor_of_integers(float(a.flat[i]), float(b.flat[i]))
    return total, exceptions


def _floor_of_integers(a: float, b: float) -> Pair:
    (n, e), (m, f) = as_pair(a), as_pair(b)
    shift = e - f  # a long quotient
    return ((n << shift) // m if shift >= 0 else n // (m << -shift)), 0


def _divmod(a: Any, b: Any) -> tuple[Any, Any]:
    return floor_divide(a, b), remainder(a, b)


# -- the parts of a number ---------------------------------------------------------------------------------------


def modf(x: Any) -> tuple[FloatArray, FloatArray]:
    """Return the fractional and the whole part of each element, both with its sign.

    >>> import floatlab as fl
    >>> [part.tolist() for part in modf(fl.array([3.5, -0.75], "e4m3"))]
    [[0.5, -0.75], [3.0, -0.0]]
    """
    whole = _operation("modf", (x,), None, {}, lambda xs, short, room: (np.trunc(xs[0]), {}))
    return _operation("modf", (x,), None, {}, lambda xs, short, room: (_fraction(xs[0]), {})), whole


def _fraction(x: Array) -> Array:
    return np.modf(x)[0]


def frexp(x: Any) -> tuple[FloatArray, Any]:
    """Return a mantissa from 0.5 to 1 and an exponent of two for each element: ``x == mantissa * 2**exponent``.

    The mantissa is rounded once, where the format is too coarse near 0.5 to hold it.

    >>> import floatlab as fl
    >>> frexp(fl.array([6.0, 0.375], "e4m3"))
    (FloatArray([0.75, 0.75], format=float8_e4m3fn), array([ 3, -1], dtype=int32))
    """
    mantissa = _operation("frexp", (x,), None, {}, lambda xs, short, room: (np.frexp(xs[0])[0], {}))
    values = np.asarray(x.values, np.float64)
    return mantissa, np.frexp(_flush(values, x.format) if current().flush_inputs else values)[1]


@of_two
def ldexp(x: Any, n: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return x * 2^n, rounded once; n is an integer, or an array of integers. Other parameters as in `floatlab.add`.

    >>> import floatlab as fl
    >>> fl.ldexp(fl.array([1.5, 1.75], "e4m3"), [3, -9])
    FloatArray([12.        ,  0.00390625], format=float8_e4m3fn)
    """
    if isinstance(n, FloatArray):
        raise DtypeError(
            f"The exponents of ldexp are integers. Got a FloatArray of {n.format}. Use multiply for other factors."
        )
    exponents = _regular(n)
    if exponents.dtype.kind not in "iub" and not all(isinstance(i, int) for i in exponents.flat):
        raise DtypeError(
            f"The exponents of ldexp are integers. Got dtype {exponents.dtype}. Use multiply for other factors."
        )
    steps = np.array(
        np.clip(exponents.astype(object), -5000, 5000), np.int64
    )  # farther than any float64 reaches

    def compute(xs: list[Array], short: bool, room: bool) -> Exact:
        try:
            x, by = np.broadcast_arrays(xs[0], steps)
        except ValueError:
            raise ShapeError(
                f"The operands of ldexp have shapes that broadcast. Got {xs[0].shape} and {steps.shape}. "
                "Reshape one of them."
            ) from None
        total = np.ldexp(x, by)
        lost = np.isfinite(x) & (x != 0) & ~((np.ldexp(total, -by) == x) & np.isfinite(total))
        exceptions = {}
        for i in np.flatnonzero(lost).tolist():
            m, e = as_pair(float(x.flat[i]))
            exceptions[i] = (m, e + int(by.flat[i]))
        xs[0] = np.ascontiguousarray(x).reshape(x.shape)
        return total, exceptions

    return _operation("ldexp", (x,), fmt, options, compute)


def _regular(n: Any) -> Array:
    try:
        return np.asarray(n)
    except ValueError:
        raise DtypeError(
            "The exponents of ldexp form a regular array. Got a ragged sequence. Pad it."
        ) from None


def heaviside(x: Any, at_zero: Any) -> Any:
    """Return 0 below zero, 1 above, and `at_zero` at zero; see `numpy.heaviside`.

    >>> import floatlab as fl
    >>> heaviside(fl.array([-2.0, 0.0, 3.0], "e4m3"), 0.5)
    FloatArray([0. , 0.5, 1. ], format=float8_e4m3fn)
    """
    return _operation("heaviside", (x, at_zero), None, {}, _heaviside)


def _heaviside(xs: list[Array], short: bool, room: bool) -> Exact:
    x, at_zero = xs
    return np.select([x < 0, x > 0, x == 0], [0.0, 1.0, at_zero], np.copysign(np.nan, x)), {}


# -- decimals ----------------------------------------------------------------------------------------------------

_EXACT_POWERS = 22  # 10^22 is a float64, 10^23 is not
_LARGEST_POWER = 309  # no float64 is half of 10^310
_FINEST_POWER = 1074  # every float64 is a multiple of 2^-1074, and so of 10^-1074


def round_decimals(x: Any, decimals: int = 0) -> Any:
    """Return the nearest multiple of 10^-decimals, ties to the even one, and that rounded once to the format.

    `numpy.round` scales, rounds and scales back, each with a rounding error; this is the exact multiple.

    >>> import floatlab as fl
    >>> np.round(fl.array([0.34375, 2.5, 1.25], "e4m3"), 1)
    FloatArray([0.3125, 2.5   , 1.25  ], format=float8_e4m3fn)
    """
    if isinstance(decimals, bool) or not isinstance(decimals, int | np.integer):
        raise OptionError(f"decimals is an integer. Got {decimals!r}. Use 0 for whole numbers.")
    places = int(decimals)
    x_format = x.format

    def compute(xs: list[Array], short: bool, room: bool) -> Exact:
        total = x = xs[0]
        if places == 0:
            return np.rint(x), {}
        if places < -_LARGEST_POWER:
            return np.where(np.isfinite(x), np.copysign(0.0, x), x), {}
        open_ = np.isfinite(x) & (x != 0) & (places <= _FINEST_POWER)
        rounding = "to_odd" if room else _rounding_of_float64(x_format)
        if 0 < places <= _EXACT_POWERS and rounding is not None:
            total, settled = _few_decimals(x, 10.0**places, rounding)
            open_ &= ~settled
        total = total.copy()
        exceptions = {}
        for i in np.flatnonzero(open_).tolist():
            exact = _decimal(float(x.flat[i]), places)
            if exact[0]:
                exceptions[i] = exact
            else:
                total.flat[i] = np.copysign(0.0, x.flat[i])
        return total, exceptions

    return _operation("round", (x,), None, {}, compute)


def _rounding_of_float64(fmt: FloatFormat) -> str | None:
    """Return a mode in which float64 itself may round, if nobody asks for flags."""
    known = ("nearest_even", "toward_zero", "toward_positive", "toward_negative")
    rounding = current().rounding
    return rounding if fmt.same_as(_FLOAT64) and rounding in known and not is_tracking() else None


def _few_decimals(x: Array, power: float, rounding: str) -> tuple[Array, Array]:
    """Return the multiples of 1 / power, rounded once, and where they are right: below 2^50 of them."""
    product, error = two_product(x, np.full(x.shape, power))
    count = np.rint(product)
    # The exact product is product + error. It matters where the product lies on a tie, or was an integer by rounding.
    tie = np.abs(product - np.trunc(product)) == 0.5
    count = np.where(
        tie & (error > 0), np.ceil(product), np.where(tie & (error < 0), np.floor(product), count)
    )
    settled = (np.abs(product) < 2.0**50) & ((np.abs(x) > 2.0**-400) | (x == 0)) & np.isfinite(x)
    count = np.where(settled, count, 0.0)
    quotient = np.copysign(operate("divide", (count, power), "float64", rounding=rounding), x)
    return np.where(settled, quotient, x), settled


def _decimal(x: float, places: int) -> Pair:
    """Return the multiple of 10^-places nearest to x, rounded to odd at more bits than any format has."""
    n, e = as_pair(x)
    up, down = (10**places, 1) if places > 0 else (1, 10**-places)
    n, d = (n * up << e, down) if e >= 0 else (n * up, down << -e)
    count, rest = divmod(n, d)
    count += 2 * rest > d or (2 * rest == d and count & 1)
    return ratio(count * down, up)


# -- NumPy's names ---------------------------------------------------------------------------------------------


def _pair(name: str, compute: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
    """Return the stand-in of a ufunc with two results."""

    def both(method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kwargs = dict(kwargs)
        outs = kwargs.pop("out", None) or (None, None)
        made = elementwise(name, compute)(method, inputs, kwargs)
        return tuple(x if out is None else into(name, out, x) for x, out in zip(made, outs, strict=True))

    return both


def _round(x: Any, decimals: int = 0, out: Any = None) -> Any:
    result = round_decimals(x, decimals)
    return result if out is None else into("round", out, result)


def _fix(x: Any, out: Any = None) -> Any:
    return np.trunc(x) if out is None else np.trunc(x, out=out)


_OF_TWO = ("fmod", "remainder", "floor_divide", "ldexp", "heaviside")
_PAIRS: dict[str, Callable[..., Any]] = {"divmod": _divmod, "modf": modf, "frexp": frexp}
UFUNCS.fill(_OF_TWO, lambda name: elementwise(name, globals()[name]))
UFUNCS.fill(_PAIRS, lambda name: _pair(name, _PAIRS[name]))
FUNCTIONS.fill(("round", "around"), lambda name: _round)
FUNCTIONS.fill(("fix",), lambda name: _fix)  # deprecated since NumPy 2.5, in favour of trunc
