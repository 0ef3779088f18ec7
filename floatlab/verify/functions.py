"""Is every elementary function correctly rounded? All codes of the 8- and 16-bit formats, against MPFR.

Functions of two numbers are compared on all pairs of codes of short formats, and on random pairs of fp16, bf16 and
fp32. The functions of `floatlab.functions.float64`, which are not correctly rounded, are held to the error that they
promise, at random and on both sides of every point where the way of computing changes.

MPFR (through gmpy2) gives each result cut off at 80 bits, and says whether anything was cut off. Where it was, half a
unit of the last of these bits is added, which stands for all that follows; that number lies on the same side of every
value and midpoint as the exact result, and `floatlab.reference` rounds it, in every mode.

sigmoid, softplus, gelu and logaddexp are built from MPFR's functions at 600 bits. Where one of them is nearer to a
simple number than 600 bits can tell (sigmoid of 1000 is 1 but for a tail below 2^-1000), a number just beside that one
stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from floatlab import reference
from floatlab.formats import FloatFormat, get_format
from floatlab.functions import float64 as wide
from floatlab.functions.evaluate import FUNCTIONS, FUNCTIONS_OF_TWO, evaluate, evaluate_pair
from floatlab.reference import Special
from floatlab.verify.oracle import DETERMINISTIC, code_values, find, float_bits
from floatlab.verify.tasks import Outcome, Tally, Task

__all__ = ["check", "exact_pair", "exact_value", "tasks"]

BITS = 80
WORKING_BITS = 600
TINY = Fraction(1, 1 << 700)  # less than any format or working precision can show beside a number near 1

Number = Fraction | Special

ALL_CODES, ALL_PAIRS, RANDOM_PAIRS = "all codes, MPFR", "all pairs, MPFR", "random pairs, MPFR"
FLOAT64 = "float64 functions, errors in ulp, MPFR"
# The formats of which all pairs are compared; the short form takes those of at most 6 bits
PAIRED = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "binary8p3se")
PAIRED_SHORT = ("float6_e3m2fn", "float6_e2m3fn", "float4_e2m1fn", "binary4p2sf")


def tasks(full: bool, kinds: Sequence[FloatFormat]) -> list[Task]:
    """Return the tasks: one for each format and function. The short form samples the 16-bit codes, at nearest even."""
    found = []
    for fmt in kinds:
        if fmt.bits > 16 or fmt.specials in ("finite", "scale") or not fmt.signed:
            continue
        for name in FUNCTIONS:
            count = 1 << fmt.bits if full or fmt.bits <= 8 else 4096
            seconds = count * (5e-6 + 5e-6 * (len(DETERMINISTIC) if full else 1)) + 0.02
            found.append(Task("functions", ALL_CODES, fmt.name, ("gmpy2",), seconds, full=full, detail=name))
    names = {fmt.name: fmt for fmt in kinds}
    for fmt in (names[name] for name in (*PAIRED, *PAIRED_SHORT) if name in names):
        if full or fmt.name in PAIRED_SHORT:
            for name in FUNCTIONS_OF_TWO:
                seconds = 4.0**fmt.bits * (60e-6 if fmt.bits <= 6 else 40e-6) + 0.02
                found.append(
                    Task("functions", ALL_PAIRS, fmt.name, ("gmpy2",), seconds, full=full, detail=name)
                )
    for fmt in (names[name] for name in ("float16", "bfloat16", "float32") if name in names):
        for name in FUNCTIONS_OF_TWO:
            seconds = 2.0 if full else 0.1
            found.append(
                Task("functions", RANDOM_PAIRS, fmt.name, ("gmpy2",), seconds, full=full, detail=name)
            )
    if "float64" in names:
        for name in WIDE:
            seconds = 10.0 if full else 0.3
            found.append(Task("functions", FLOAT64, "float64", ("gmpy2",), seconds, full=full, detail=name))
    return found


def check(task: Task) -> Outcome:
    """Run one task."""
    match task.part:
        case "all codes, MPFR":
            return _check_codes(task)
        case "float64 functions, errors in ulp, MPFR":
            return _check_float64(task)
    return _check_pairs(task)


def _check_codes(task: Task) -> Outcome:
    fmt, tally, name = find(task.subject), Tally(), task.detail
    codes = np.arange(1 << fmt.bits)
    if not task.full and codes.size > 4096:
        codes = np.concatenate([codes[::37], codes[:128], codes[-128:]])
    x = code_values(fmt)[codes]
    exact = [exact_value(name, float(number)) for number in x]
    for mode in DETERMINISTIC if task.full else ("nearest_even",):
        got = evaluate(name, x.astype(fmt.value_dtype), fmt, rounding=mode)
        _compare(tally, got, exact, fmt, mode, lambda i: f"{name}({float(x[i]).hex()})")
    return tally.outcome()


def _compare(
    tally: Tally, got: Any, exact: list[Number], fmt: FloatFormat, mode: str, describe: Callable[[int], str]
) -> None:
    """Compare results with the exact ones, rounded by the reference."""
    expected = np.array([reference.to_float(_rounded(y, fmt, mode)) for y in exact])
    values = np.asarray(got).astype(np.float64)
    tally.compare(  # which sign a NaN has is left open
        np.where(np.isnan(values), np.uint64(1), float_bits(values, fmt)),
        np.where(np.isnan(expected), np.uint64(1), float_bits(expected, fmt)),
        lambda i: f"{describe(i)} in {fmt.name}, {mode}, as bits",
    )


def _rounded(y: Number, fmt: FloatFormat, mode: str) -> Number:
    return reference.round(y, fmt, mode).value


# -- the exact result, or a stand-in that rounds as it does ----------------------------------------------


@lru_cache(maxsize=4)
def _context(bits: int, towards_zero: bool = False) -> Any:
    import gmpy2

    rounding = gmpy2.RoundToZero if towards_zero else gmpy2.RoundToNearest
    return gmpy2.context(precision=bits, emin=-(2**40), emax=2**40, round=rounding)


def exact_value(name: str, x: float) -> Number:
    """Return f(x), or a number that every rounding to a short format takes for it."""
    if np.isnan(x):
        return Special.NAN
    if name in _COMPOSED:
        return _COMPOSED[name](x)
    if name == "rsqrt" and x == 0:  # IEEE 754-2019, 9.2.1; MPFR makes +inf of -0
        return Special.NEGATIVE_INFINITY if np.signbit(x) else Special.INFINITY
    import gmpy2

    context = _context(BITS, towards_zero=True)
    context.clear_flags()
    function = {"rsqrt": "rec_sqrt"}.get(name, name.replace("arc", "a"))
    y = getattr(context, function)(gmpy2.mpfr(x, context=_context(53)))
    return _number(y, bool(context.inexact))


def _number(y: Any, inexact: bool) -> Number:
    """Return an MPFR number, cut off at BITS bits, as a fraction; half a unit is added if it is inexact."""
    import gmpy2

    if gmpy2.is_nan(y):
        return Special.NAN
    minus = gmpy2.is_signed(y)
    if gmpy2.is_infinite(y):
        return Special.NEGATIVE_INFINITY if minus else Special.INFINITY
    if gmpy2.is_zero(y) and inexact:  # below MPFR's own range: exp(-1e30)
        return -_below_everything() if minus else _below_everything()
    if gmpy2.is_zero(y):
        return Special.NEGATIVE_ZERO if minus else Fraction(0)
    significand, exponent = y.as_mantissa_exp()
    n, e = abs(int(significand)), int(exponent)
    if inexact:
        shift = BITS + 1 - n.bit_length()  # the significand comes without trailing zeros
        n, e = (n << shift) + 1, e - shift
    e = max(min(e, 5000), -5000)  # beyond every format on either side; the fraction need not be astronomical
    value = Fraction(n << e) if e >= 0 else Fraction(n, 1 << -e)
    return -value if minus else value


def _fraction(y: Any) -> Fraction:
    value = _number(y, inexact=False)
    assert isinstance(value, Fraction)
    return value


def _reciprocal(x: float) -> Number:
    if x == 0:
        return Special.NEGATIVE_INFINITY if np.signbit(x) else Special.INFINITY
    if np.isinf(x):
        return Special.NEGATIVE_ZERO if x < 0 else Fraction(0)
    return 1 / Fraction(x)


def _sigmoid(x: float) -> Number:
    if x == np.inf:
        return Fraction(1)
    if x == -np.inf or x == 0:
        return Fraction(0) if x < 0 else Fraction(1, 2)
    if x > 300:  # 1 - exp(-x): nearer to 1 than any format shows
        return 1 - TINY
    if x < -4000:
        return _below_everything()
    if abs(x) < 2.0**-200:  # 1/2 + x/4
        return Fraction(1, 2) + (TINY if x > 0 else -TINY)
    context = _context(WORKING_BITS)
    return _fraction(context.div(1, context.add(1, context.exp(_mpfr(-x)))))


def _softplus(x: float) -> Number:
    if x == np.inf:
        return Special.INFINITY
    if x == -np.inf:
        return Fraction(0)
    if x > 300:  # x + exp(-x)
        return Fraction(x) + TINY
    if x < -4000:
        return _below_everything()
    if 0 < abs(x) < 2.0**-200:  # log(2) + x/2: log(2) is no number at which a rounding turns
        x = 0.0
    context = _context(WORKING_BITS)
    return _fraction(context.log1p(context.exp(_mpfr(x))))


def _gelu(x: float) -> Number:
    if x == np.inf:
        return Special.INFINITY
    if x == -np.inf or x == 0:
        return Special.NEGATIVE_ZERO if np.signbit(x) else Fraction(0)
    if x > 25:  # x less x times a tail below exp(-x^2/2)
        return Fraction(x) - TINY
    if x < -60:
        return -_below_everything()
    if abs(x) < 2.0**-200:  # x/2 + x^2/sqrt(2 pi): a little above x/2
        return Fraction(x) / 2 + abs(Fraction(x)) * TINY
    context = _context(WORKING_BITS)
    half = context.div(_mpfr(x), 2)
    return _fraction(context.mul(half, context.erfc(context.div(_mpfr(-x), context.sqrt(2)))))


def _mpfr(x: float) -> Any:
    import gmpy2

    return gmpy2.mpfr(x, context=_context(53))


def _below_everything() -> Fraction:
    """Return a positive number below half the smallest value of every 16-bit format."""
    return Fraction(1, 1 << 5000)


def _degrees(to_radians: bool) -> Callable[[float], Number]:
    def convert(x: float) -> Number:
        if x == 0:
            return Special.NEGATIVE_ZERO if np.signbit(x) else Fraction(0)
        if np.isinf(x):
            return Special.INFINITY if x > 0 else Special.NEGATIVE_INFINITY
        context = _context(WORKING_BITS)
        ratio = context.div(context.const_pi(), 180)
        return _fraction(context.mul(_mpfr(x), ratio) if to_radians else context.div(_mpfr(x), ratio))

    return convert


_COMPOSED: dict[str, Callable[[float], Number]] = {
    "deg2rad": _degrees(True),
    "rad2deg": _degrees(False),
    "reciprocal": _reciprocal,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "gelu": _gelu,
}


# -- two arguments ---------------------------------------------------------------------------------------


def _check_pairs(task: Task) -> Outcome:
    fmt, tally, name = find(task.subject), Tally(), task.detail
    modes: tuple[str, ...]
    if task.part == ALL_PAIRS:
        values = code_values(fmt)
        a, b = (part.reshape(-1) for part in np.meshgrid(values, values, indexing="ij"))
        modes = DETERMINISTIC if fmt.bits <= 6 else ("nearest_even", "toward_negative", "to_odd")
    else:
        a, b = _random_pairs(fmt, 20_000 if task.full else 1000)
        modes = ("nearest_even", "toward_positive")
    exact = [exact_pair(name, x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    if fmt.specials == "finite":
        kept = [i for i, y in enumerate(exact) if y is not Special.NAN]
        tally.exclude("pairs whose result is NaN, which the format does not have", len(exact) - len(kept))
        a, b, exact = a[kept], b[kept], [exact[i] for i in kept]
    for mode in modes:
        got = evaluate_pair(name, a.astype(fmt.value_dtype), b.astype(fmt.value_dtype), fmt, rounding=mode)
        _compare(tally, got, exact, fmt, mode, lambda i: f"{name}({float(a[i]).hex()}, {float(b[i]).hex()})")
    return tally.outcome()


def _random_pairs(fmt: FloatFormat, count: int) -> tuple[Any, Any]:
    """Return pairs of values: of any exponent, ordinary, and short ones, whose results are often exact."""
    rng = np.random.default_rng(20)

    def numbers() -> Any:
        wild = rng.choice([-1, 1], count) * 2.0 ** rng.uniform(fmt.emin - fmt.mantissa_bits, fmt.emax, count)
        short = rng.integers(-40, 41, count) * 2.0 ** rng.integers(-4, 3, count)
        kinds = np.stack([wild, rng.normal(0, 3, count), short])
        chosen = kinds[rng.integers(0, 3, count), np.arange(count)]
        shift = 2.0 ** (np.maximum(np.frexp(chosen)[1] - 1, fmt.emin) - fmt.mantissa_bits)
        return np.trunc(chosen / shift) * shift  # to a value of the format, without the code under test

    return numbers(), numbers()


def exact_pair(name: str, a: float, b: float) -> Number:
    """Return f(a, b), or a number that every rounding to a short format takes for it."""
    if name.startswith("logaddexp"):
        return _log_of_sum(a, b, 2 if name == "logaddexp2" else 0)
    context = _context(BITS, towards_zero=True)
    context.clear_flags()
    function = {"arctan2": "atan2", "power": "pow"}.get(name, name)
    y = getattr(context, function)(_mpfr(a), _mpfr(b))
    return _number(y, bool(context.inexact))


def _log_of_sum(a: float, b: float, base: int) -> Number:
    if np.isnan(a) or np.isnan(b):
        return Special.NAN
    larger, smaller = max(a, b), min(a, b)
    if np.isinf(larger):
        return Special.INFINITY if larger > 0 else Special.NEGATIVE_INFINITY
    if np.isinf(smaller):
        return Fraction(larger)
    if base == 2 and larger == smaller:
        return Fraction(larger) + 1
    distance = Fraction(larger) - Fraction(smaller)
    if distance > 700:
        return Fraction(larger) + _below_everything()
    context = _context(WORKING_BITS)
    tail = context.exp2(_mpfr(0) - _exactly(distance)) if base == 2 else context.exp(-_exactly(distance))
    tail = context.log1p(tail)
    if base == 2:
        tail = context.div(tail, context.log(2))
    return Fraction(larger) + _fraction(tail)


def _exactly(x: Fraction) -> Any:
    import gmpy2

    return gmpy2.mpfr(gmpy2.mpq(x.numerator, x.denominator), context=_context(WORKING_BITS))


# -- float64 ---------------------------------------------------------------------------------------------

# function: the error that its docstring promises, in ulp, and the points where its way of computing changes
WIDE: dict[str, tuple[float, tuple[float, ...]]] = {
    "exp": (1, (-745.1, -708.3964, -708, 0, 709, 709.7)),
    "expm1": (2, (-50, -37, 0, 708, 709, 709.7)),
    "log": (1.5, (2.0**-1022, 0.7, 1, 1.4)),
    "log1p": (2, (-0.99, -0.3, 0, 0.4, 1)),
    "tanh": (1, (-20, 0, 2.0**-8, 19.06, 20)),
    "sigmoid": (1, (-745.1, -708.3964, -40, 0, 36.7, 40)),
    "sin": (2, (0, np.pi, 2 * np.pi, 2.0**17)),
    "cos": (2, (np.pi / 2, 3 * np.pi / 2, 2.0**17)),
    "erf": (2, (-6, 0, 2.0**-9, 5.92, 6)),
    "softplus": (2.5, (-745.1, -708.3964, -40, 0, 36.7, 40)),
    "gelu": (4, (-38.56, -37.62, -37.5, -8.3, -1, 0, 8.3, 8.4853)),
}


def _check_float64(task: Task) -> Outcome:
    name, tally, fmt = task.detail, Tally(), get_format("float64")
    bound, points = WIDE[name]
    rng = np.random.default_rng(21)
    count = 4000 if task.full else 60
    distances = (rng.uniform(-1, 1, count) * 10 ** rng.uniform(-16, -1, count) for _ in points)
    parts = [point + d * max(abs(point), 1e-3) for point, d in zip(points, distances, strict=True)]
    x = np.concatenate([*parts, rng.normal(0, 10, count)])
    x = x[(x > 0) if name == "log" else (x > -1) if name == "log1p" else (np.abs(x) < 2.0**18)]
    if name in ("exp", "expm1"):
        x = x[x < 709.78]  # what is beyond the largest number has no error in ulp
    function = getattr(wide, f"{name}_64" if name == "expm1" else f"{name}64")
    for number, y in zip(x.tolist(), function(x).tolist(), strict=True):
        exact = exact_value(name, number)
        size = abs(exact) if isinstance(exact, Fraction) else Fraction(0)
        place = max(size.numerator.bit_length() - size.denominator.bit_length(), fmt.emin) - fmt.mantissa_bits
        if isinstance(exact, Fraction) and size < Fraction(2) ** (place + fmt.mantissa_bits):
            place = max(place - 1, fmt.emin - fmt.mantissa_bits)
        good = (
            isinstance(exact, Fraction) and abs(Fraction(y) - exact) <= Fraction(bound) * Fraction(2) ** place
        )
        tally.note(
            good,
            f"{name}({number.hex()}) in float64 is {y!r}, further than {bound} ulp from the exact result",
        )
    tally.digest(function(x))
    return tally.outcome()
