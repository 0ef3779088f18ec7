"""Shared test data, and oracles that share no code with what they check.

`critical_points(fmt)` are the float64 numbers on which a wrong rounding shows: every value, every midpoint,
the quarter points, one float64 step to each side of them, the ends of the range, zeros, infinities.

`expected_codes` is a second, vectorised oracle for `quantize` and `encode`. It knows no bit trick: it looks
numbers up in the sorted table of the format's values, which comes from `floatlab.reference`, and compares
distances, which are exact in float64. `tests/reference/test_reference.py` holds it to the scalar oracle.

`disagreements` runs any pair of quantize and encode functions against it; the mutants of
`tests/rounding/test_mutants.py` must not survive it.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from floatlab import reference
from floatlab.errors import FloatlabError, OverflowPolicyError
from floatlab.formats import FloatFormat, formats, get_format
from floatlab.reference import Special

DETERMINISTIC = (
    "nearest_even",
    "nearest_away",
    "nearest_zero",
    "toward_zero",
    "toward_positive",
    "toward_negative",
    "to_odd",
)
STOCHASTIC = ("stochastic", "stochastic_b", "stochastic_c")
POLICIES = (None, "infinity", "nan", "saturate", "propagate")

# -- formats ---------------------------------------------------------------------------------------

CATALOGUE = formats()
CATALOGUE_16 = tuple(fmt for fmt in CATALOGUE if fmt.bits <= 16)
CATALOGUE_8 = tuple(fmt for fmt in CATALOGUE if fmt.bits <= 8)
WIDE = tuple(fmt for fmt in CATALOGUE if fmt.bits > 16)


def p3109(k: int) -> list[FloatFormat]:
    """Return every P3109 format of k bits whose values are all float64 numbers."""
    found = []
    for sign, domain in itertools.product("su", "ef"):
        for p in range(1, k + (sign == "u")):
            if k - p - (sign == "s") <= 10:  # exponent bits; the values of 11 reach beyond float64
                found.append(get_format(f"binary{k}p{p}{sign}{domain}"))
    return found


P3109_8 = tuple(fmt for k in (3, 4, 5, 8) for fmt in p3109(k))
P3109_16 = tuple(get_format(name) for name in ("binary12p5se", "binary16p11sf", "binary16p8ue"))

# Descriptions that nobody ships, each with a corner of its own.
ODD = (
    FloatFormat("e5m6", 5, 6),
    FloatFormat("e2m5finite", 2, 5, specials="finite"),  # hardly any normal numbers
    FloatFormat("e8m3b120", 8, 3, 120),  # reaches beyond float32: values in float64
    FloatFormat("e4m3b-5", 4, 3, -5),  # the smallest subnormal is 8
    FloatFormat("e1m3finite", 1, 3, specials="finite"),  # one normal binade
    FloatFormat("e1m4fn", 1, 4, specials="fn"),
    FloatFormat("e1m3fnuz", 1, 3, specials="fnuz"),
    FloatFormat("e2m1", 2, 1),  # the smallest IEEE-style format: one mantissa bit
    FloatFormat("e6m1fn", 6, 1, specials="fn"),
    FloatFormat("e9m2", 9, 2),  # more exponent bits than float32
    FloatFormat("e10m1fnuz", 10, 1, specials="fnuz"),
    FloatFormat("e3m0finite", 3, 0, specials="finite"),  # precision 1: powers of two and zero
    FloatFormat("e5m0fn", 5, 0, specials="fn"),
    FloatFormat("e4m0fnuz", 4, 0, specials="fnuz"),
    FloatFormat("e4m4fn_unsigned", 4, 4, specials="fn", signed=False),
    FloatFormat("e4m4_unsigned", 4, 4, signed=False),
    FloatFormat("e3m3finite_unsigned", 3, 3, specials="finite", signed=False),
    FloatFormat("e4m0scale", 4, 0, specials="scale", signed=False),
    FloatFormat("e8m0scale_b140", 8, 0, 140, "scale", False),  # below float32's smallest subnormal
)
ODD_16 = (FloatFormat("e6m9", 6, 9), FloatFormat("e9m6", 9, 6), FloatFormat("e8m7fn", 8, 7, specials="fn"))

SMALL = (*CATALOGUE_8, *P3109_8, *ODD)
P3109_SOME = ("8p1se", "8p3se", "8p4sf", "8p7se", "8p1uf", "8p4ue", "8p8uf", "4p2se", "3p1sf")
SOME = (*CATALOGUE_8, *ODD, *(get_format(f"binary{name}") for name in P3109_SOME))
LARGE = tuple(fmt for fmt in (*CATALOGUE_16, *P3109_16, *ODD_16) if fmt.bits > 8)


def name_of(fmt: object) -> str:
    """Return a name for a parametrised test."""
    return fmt.name if isinstance(fmt, FloatFormat) else str(fmt)


# -- values and the points between them ------------------------------------------------------------


@functools.cache
def magnitudes(fmt: FloatFormat) -> np.ndarray:
    """Return the finite values without a sign in the order of their codes, as float64, read-only."""
    sign = 1 << fmt.exponent_bits + fmt.mantissa_bits
    values = []
    for code in range(sign):
        value = reference.decode(code, fmt)
        if isinstance(value, Special):
            break
        values.append(reference.to_float(value))
    table = np.array(values)
    assert np.all(np.diff(table) > 0)
    table.flags.writeable = False
    return table


@functools.cache
def marks(fmt: FloatFormat) -> np.ndarray:
    """Return `magnitudes` and one more: the value that would come next if the exponent had no upper end."""
    table = magnitudes(fmt)
    binade = math.frexp(table[-1])[1] - 1
    smallest = table[1] if table[0] == 0 else table[0]
    gap = max(2.0 ** (binade - fmt.mantissa_bits), smallest)
    ruler = np.append(table, table[-1] + gap)
    ruler.flags.writeable = False
    return ruler


@functools.cache
def critical_points(fmt: FloatFormat, nan: bool = False) -> np.ndarray:
    """Return the float64 numbers of both signs on which a wrong rounding shows; NaN only if asked for."""
    ruler = marks(fmt)
    if ruler[0] > 0:
        ruler = np.insert(ruler, 0, ruler[0] / 2)
    lower, gap = ruler[:-1], np.diff(ruler)
    points = [ruler, np.nextafter(ruler, np.inf), np.nextafter(ruler, 0)]
    midpoints = lower + gap / 2
    points += [midpoints, np.nextafter(midpoints, np.inf), np.nextafter(midpoints, 0)]
    points += [lower + gap / 4, lower + gap * 3 / 4]
    largest, tiny = ruler[-2], ruler[ruler > 0][0]
    with np.errstate(over="ignore"):
        ends = [largest * 2, largest * 4, np.nextafter(largest * 2, 0), 1e300, np.finfo(float).max]
    ends += [tiny / 2, tiny / 4, tiny / 1024, 5e-324, 1e-300, 2.0**-126, 2.0**-149, 2.0**-150, 2.0**-1022]
    normal = ruler[min(1 << fmt.mantissa_bits, len(ruler) - 1)]
    ends += [normal, np.nextafter(normal, 0), normal - tiny / 2, normal - tiny / 4, normal - tiny / 8]
    beyond = _binades(math.frexp(largest)[1], 1023)
    below = [-e for e in _binades(1 - math.frexp(tiny)[1], 1073)]
    points += [np.ldexp(c, np.array(exponents, int)) for c in (1.0, 1.8125) for exponents in (beyond, below)]
    magnitude = np.concatenate([*points, np.array(ends), [0.0, np.inf]])
    magnitude = np.unique(magnitude[~np.isnan(magnitude)])
    both = np.concatenate([magnitude, -magnitude])
    if nan:
        both = np.concatenate([both, [np.nan, -np.nan]])
    both.flags.writeable = False
    return both


def _binades(first: int, last: int) -> list[int]:
    """Return exponents from first to last: all near the ends and near float32's, and some of the others."""
    near = [*range(first, first + 40), *range(95, 152), *range(last - 60, last + 1), *range(first, last, 29)]
    return sorted({e for e in near if first <= e <= last})


def float32_points(fmt: FloatFormat, nan: bool = False) -> np.ndarray:
    """Return the critical points among the float32 numbers: the float32 neighbours in place of float64's."""
    with np.errstate(over="ignore"):
        near = critical_points(fmt, nan).astype(np.float32)
    around = np.concatenate(
        [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, -np.float32(np.inf))]
    )
    return np.concatenate(
        [np.unique(around[~np.isnan(around)]), around[np.isnan(around)], np.float32([0.0, -0.0])]
    )


# -- the vectorised oracle -------------------------------------------------------------------------


def expected_codes(
    x: np.ndarray,
    fmt: FloatFormat,
    *,
    rounding: str = "nearest_even",
    overflow: str | None = None,
    subnormals: str = "gradual",
    flush_inputs: bool = False,
    random_integers: np.ndarray | int = 0,
    random_bits: int = 0,
) -> np.ndarray:
    """Return the codes (int64) that the float64 numbers `x` round to, by looking them up in a table."""
    values, ruler = magnitudes(fmt), marks(fmt)
    largest, p3109_parity = len(values) - 1, fmt.specials.startswith("p3109")
    has_zero = values[0] == 0
    minus, size = np.signbit(x), np.abs(x)
    normal = 2.0 ** ((1 if has_zero else 0) - fmt.bias)
    if flush_inputs:
        size = np.where(size < normal, 0.0, size)

    code = np.searchsorted(ruler, size, side="right") - 1  # the last mark that is not above it
    below = code < 0  # only where there is no zero
    lower = ruler[np.clip(code, 0, largest)]
    gap = ruler[np.clip(code + 1, 1, largest + 1)] - lower
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        rest = np.where(code > largest, 0.0, size - lower)
        v = rest / gap  # both exact: lower <= size <= 2 * lower, or lower is 0; and a gap is a power of 2
        v = np.where((rest > 0) & (v == 0), 5e-324, v)
        odd, unit = code % 2 == 1, 2.0**random_bits
        match rounding:
            case "nearest_even":
                tie_up = (
                    (code > 0) | ~np.full(x.shape, has_zero)
                    if fmt.mantissa_bits == 0 and not p3109_parity
                    else odd
                )
                up = (v > 0.5) | ((v == 0.5) & tie_up)
            case "nearest_away":
                up = v >= 0.5
            case "nearest_zero":
                up = v > 0.5
            case "toward_zero":
                up = np.zeros(x.shape, bool)
            case "toward_positive":
                up = (v > 0) & ~minus
            case "toward_negative":
                up = (v > 0) & minus
            case "to_odd":
                up = (v > 0) & ~odd
            case "stochastic":
                up = np.floor(v * unit) + random_integers >= unit
            case "stochastic_b":
                up = np.floor(v * 2 * unit) + 2 * np.asarray(random_integers) + 1 >= 2 * unit
                up &= v > 0
            case "stochastic_c":
                up = np.rint(v * unit) + random_integers >= unit
    code = np.where(below, 0, code + (up & ~below))

    stops = (rounding in ("toward_zero", "to_odd")) | np.where(
        minus, rounding == "toward_positive", rounding == "toward_negative"
    )
    sign = 1 << fmt.exponent_bits + fmt.mantissa_bits if fmt.signed else 0
    nan = next((c for c in range(largest + 1, 2 * sign or 2 * largest + 4) if _is_nan(c, fmt)), None)
    infinity = largest + 1 if fmt.specials in ("ieee", "p3109_extended") else None
    if fmt.specials == "ieee":
        nan = infinity + (1 << fmt.mantissa_bits - 1)  # the quiet one
    policy = overflow or (
        "infinity" if infinity is not None else "saturate" if "finite" in fmt.specials else "nan"
    )
    beyond = {"infinity": infinity, "nan": nan}.get(policy, largest)
    if rounding == "to_odd" and fmt.specials == "p3109_extended" and largest % 2 == 0:
        stops = np.zeros(x.shape, bool)  # of the largest value and infinity, infinity has the odd code

    if subnormals == "flush" and has_zero:
        code = np.where(code < 1 << fmt.mantissa_bits, 0, code)
    over = code > largest
    code = np.where(over, np.where(stops, largest, beyond), code)
    clamps = policy in ("saturate", "propagate")
    if policy == "propagate" and infinity is None:
        nowhere = largest if "finite" in fmt.specials else nan
    else:
        nowhere = beyond if infinity is None or policy == "saturate" else infinity
    code = np.where(np.isinf(x), nowhere, code)
    below = minus & (size > 0) & np.isfinite(x) & (not fmt.signed)
    if p3109_parity:  # what rounds to zero is in range
        below &= code > 0
    if not has_zero:
        below |= size == 0
    inward = p3109_parity and rounding in ("toward_zero", "toward_positive")
    code = np.where(below, 0 if clamps or inward else nan, code)
    if not fmt.signed:  # minus infinity is kept by nobody
        default = overflow is None and "finite" in fmt.specials
        stays_in = policy == "saturate" or (policy == "propagate" and "finite" in fmt.specials) or default
        code = np.where(x == -np.inf, 0 if stays_in else nan, code)
    code = np.where(np.isnan(x), -1 if nan is None else nan, code)
    unsigned_nan = np.full(x.shape, nan is not None and fmt.specials not in ("ieee", "fn")) & (code == nan)
    unsigned_zero = (code == 0) & (fmt.specials not in ("ieee", "fn", "finite"))
    return code + np.where(minus & ~unsigned_nan & ~unsigned_zero, sign, 0)


def _is_nan(code: int, fmt: FloatFormat) -> bool:
    bits = fmt.exponent_bits + fmt.mantissa_bits + fmt.signed
    return code < 1 << bits and reference.decode(code, fmt) in (Special.NAN, Special.NEGATIVE_NAN)


@functools.cache
def all_values(fmt: FloatFormat) -> np.ndarray:
    """Return the value of every code as float64, NaNs with the sign of their code; by the reference."""
    bits = fmt.exponent_bits + fmt.mantissa_bits + fmt.signed
    return np.array([reference.to_float(reference.decode(code, fmt)) for code in range(1 << bits)])


def scalar_codes(x: np.ndarray, fmt: FloatFormat, random_integers: Any = 0, **options: Any) -> np.ndarray:
    """Return what the scalar reference says, as int64 codes."""
    integers = np.broadcast_to(random_integers, x.shape)
    return np.array(
        [
            reference.round(number, fmt, random_integer=integer, **options).code
            for number, integer in zip(x.tolist(), integers.tolist(), strict=True)
        ],
        np.int64,
    )


def bits64(values: np.ndarray, keep_nan_sign: bool = True) -> np.ndarray:
    """Return the bit patterns of values as float64, with one pattern for NaN (of either sign if kept)."""
    with np.errstate(invalid="ignore"):  # a signaling NaN
        wide = np.array(values, np.float64)
    nan = np.isnan(wide)
    sign = np.signbit(wide) & keep_nan_sign
    words = wide.view(np.uint64)
    return np.where(nan, np.where(sign, np.uint64(0xFFF8 << 48), np.uint64(0x7FF8 << 48)), words)


# -- the short check -------------------------------------------------------------------------------

Round = Callable[..., np.ndarray]


def policies_of(fmt: FloatFormat) -> Iterator[str | None]:
    """Yield the overflow policies that a format can carry out."""
    for policy in POLICIES:
        possible = {"infinity": fmt.specials in ("ieee", "p3109_extended"), "nan": fmt.specials != "finite"}
        if possible.get(policy or "", True):
            yield policy


def near_the_ends(fmt: FloatFormat, x: np.ndarray) -> np.ndarray:
    """Return those of `x` that overflow policies and subnormals are about, and some more."""
    size, table = np.abs(x.astype(np.float64)), magnitudes(fmt)
    normal = table[min(1 << fmt.mantissa_bits, len(table) - 1)]
    keep = (
        (size >= table[-2])
        | (size <= table[min(3, len(table) - 1)])
        | ((size > 0.9 * normal) & (size < 1.1 * normal))
    )
    keep[:: max(1, len(x) // 500)] = True
    return x[keep]


def pieces(fmt: FloatFormat, x: np.ndarray) -> list[np.ndarray | slice]:
    """Return indices of all of `x`, and of those below the places where a block of numbers stops being ordinary.

    The kernel looks at the largest number of a block to see whether it must look for overflow, for infinities
    and NaNs; a mistake there shows only in blocks without any larger number.
    """
    size, ruler = np.abs(x.astype(np.float64)), marks(fmt)
    normal = ruler[min(1 << fmt.mantissa_bits, len(ruler) - 1)]
    bounds = [np.inf, 2 * ruler[-1], ruler[-1], (ruler[-1] + ruler[-2]) / 2, ruler[-2], normal]
    bounds += [math.ldexp(ruler[-1], e) for e in (4, 9, 17, 25) if ruler[-1] < 2.0**900]
    bounds += [2.0**e for e in (100, 107, 115, 127, 500, 960)]
    found: dict[int, np.ndarray | slice] = {len(x): slice(None)}
    for bound in bounds:
        for keep in (size <= bound, size < bound):
            found.setdefault(np.count_nonzero(keep), keep)
    found.pop(0, None)
    return list(found.values())


def disagreements(
    quantize: Round,
    encode: Round | None,
    fmt: FloatFormat,
    x: np.ndarray,
    parts: Sequence[np.ndarray | slice] = (slice(None),),
    **options: Any,
) -> list[str]:
    """Compare both functions with the oracle on `x`, and describe every number on which they differ.

    With `parts`, the functions get one part of `x` after the other instead of all at once.
    """
    wide = x.astype(np.float64)
    codes = expected_codes(wide, fmt, **options)
    values = all_values(fmt)[codes]
    expected = bits64(values)
    label = f"{fmt.name} {options}"
    found = []
    for part in parts:
        given = options
        if "random_integers" in options:
            given = options | {"random_integers": options["random_integers"][part]}
        try:
            got = np.asarray(quantize(x[part], fmt, **given))
            got_codes = None if encode is None else np.asarray(encode(x[part], fmt, **given)).astype(np.int64)
        except (FloatlabError, RuntimeWarning) as error:
            found.append(f"{label}: {error!r}")
            continue
        wrong = bits64(got) != expected[part]
        if wrong.any():
            rows = zip(wide[part][wrong], got[wrong], values[part][wrong], strict=True)
            found += [f"{label}: quantize({a!r}) is {b!r}, not {c!r}" for a, b, c in rows]
        if got_codes is not None and not np.array_equal(got_codes, codes[part]):
            wrong = got_codes != codes[part]
            rows = zip(wide[part][wrong], got_codes[wrong], codes[part][wrong], strict=True)
            found += [f"{label}: encode({a!r}) is {b:#x}, not {c:#x}" for a, b, c in rows]
    return found


def short_check(
    quantize: Round, encode: Round | None = None, kinds: tuple[FloatFormat, ...] = CATALOGUE_8
) -> list[str]:
    """Run the points where careless rounding fails, from float32 and float64; return the disagreements.

    Stops at the first mode that has any.
    """
    found: list[str] = []
    for fmt in kinds:
        nan = fmt.specials != "finite"
        for x in (critical_points(fmt, nan), float32_points(fmt, nan)):
            parts = pieces(fmt, x)
            for rounding in DETERMINISTIC:
                found += disagreements(quantize, encode, fmt, x, parts, rounding=rounding)
                if found:
                    return found
            for rounding in STOCHASTIC:
                integers = np.random.default_rng(6).integers(0, 2**6, x.shape)
                options = {"rounding": rounding, "random_bits": 6, "random_integers": integers}
                found += disagreements(quantize, encode, fmt, x, parts, **options)
            ends = near_the_ends(fmt, x)
            for policy in policies_of(fmt):
                for rounding in ("nearest_even", "toward_zero", "toward_positive", "toward_negative"):
                    options = {"rounding": rounding, "overflow": policy}
                    found += disagreements(quantize, encode, fmt, ends, **options)
            for rounding in ("nearest_even", "toward_positive"):
                for options in ({"subnormals": "flush"}, {"flush_inputs": True}):
                    found += disagreements(quantize, encode, fmt, ends, rounding=rounding, **options)
        try:
            quantize(np.array([np.nan]), fmt)
            refused = False
        except OverflowPolicyError:
            refused = True
        if refused == nan:
            found.append(f"{fmt.name}: a NaN is {'refused' if refused else 'accepted'}")
    return found
