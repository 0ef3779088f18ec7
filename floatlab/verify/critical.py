"""Is every rounding right where it could go wrong? All critical points of all formats, in every mode, under every rule.

The points are every value, every midpoint, the float64 numbers next to each of them, the quarter points, what lies
beyond the ends, zeros, infinities and NaNs. Codes, values and flags are compared with those of `floatlab.reference`,
from float64 and, for the points among them, from float32; and again without what is large, so that the kernel's paths
for blocks with and without overflow all see them.

The same is asked of formats that nobody thought of, drawn at random from all that there can be.

IEEE-style formats are also held to MPFR (through gmpy2), in the four modes that it has, with its own emulation of
subnormals. Formats of more than 16 bits are sampled.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from floatlab import reference
from floatlab.codes.encode import encode
from floatlab.formats import FloatFormat
from floatlab.rounding.quantize import quantize
from floatlab.verify.oracle import (
    DETERMINISTIC,
    STOCHASTIC,
    all_formats,
    critical_points,
    find,
    float_bits,
    magnitudes,
    policies,
    random_format,
    random_points,
)
from floatlab.verify.tasks import Array, Outcome, Tally, Task

__all__ = ["check", "tasks"]

FLAGS = ("invalid", "divide_by_zero", "overflow", "underflow", "inexact")
RANDOM_BITS = 11
SAMPLE_SHORT, SAMPLE_LONG = 4_000, 200_000  # numbers, of formats that have too many
RANDOM = "random formats, reference"
RANDOM_FORMATS, RANDOM_POINTS = 20, 60  # of a task, and of a format


def tasks(full: bool, kinds: Sequence[FloatFormat]) -> list[Task]:
    """Return the tasks: one for each format (of 9 bits or more: for each mode), and one with MPFR.

    Where all formats are asked for, some at random come with them.
    """
    found = []
    if list(kinds) == all_formats(full):
        pieces = 256 if full else 8
        found += [Task("rounding", RANDOM, "any", (), 2, piece, pieces, full) for piece in range(pieces)]
    for fmt in kinds:
        points = _point_count(fmt, full)
        part = "critical points, reference"
        if fmt.bits <= 8:
            seconds = 2.2e-5 * points * (len(DETERMINISTIC + STOCHASTIC) * (8 if full else 2))
            found.append(Task("rounding", part, fmt.name, (), seconds, full=full))
        else:
            for mode in (*DETERMINISTIC, *STOCHASTIC):
                found.append(Task("rounding", part, fmt.name, (), 2.2e-5 * points, full=full, detail=mode))
        if fmt.specials == "ieee" and fmt.signed and fmt.bits < 64:
            part = "critical points, MPFR"
            found.append(Task("rounding", part, fmt.name, ("gmpy2",), 1.1e-5 * points, full=full))
    return found


def _point_count(fmt: FloatFormat, full: bool) -> int:
    if fmt.bits <= 16 and (full or fmt.bits <= 8):
        return 10 << fmt.bits
    return SAMPLE_LONG if full else SAMPLE_SHORT


def _points(fmt: FloatFormat, full: bool) -> Array:
    """Return the critical points, or a sample of them where they are too many."""
    if fmt.bits <= 16:
        points = critical_points(fmt)
        if full or fmt.bits <= 8:
            return points
        rng = np.random.default_rng(fmt.bits)
        ends = _near_the_ends(points, fmt)
        return np.concatenate(
            [rng.choice(points, SAMPLE_SHORT), rng.choice(ends, SAMPLE_SHORT // 2), points[-2:]]
        )
    return _sampled_points(fmt, SAMPLE_LONG if full else SAMPLE_SHORT)


def _sampled_points(fmt: FloatFormat, count: int) -> Array:
    """Return values, midpoints and their neighbours of a long format, from random codes and the ends of the range."""
    rng = np.random.default_rng(fmt.bits)
    top = fmt.max_code
    codes = [int(code) for code in rng.integers(0, top, count // 12)]
    codes += [0, 1, 2, top - 1, (1 << fmt.mantissa_bits) - 1, 1 << fmt.mantissa_bits]
    lower = np.array([reference.to_float(reference.decode(code, fmt)) for code in codes])
    upper = np.array([reference.to_float(reference.decode(code + 1, fmt)) for code in codes])
    with np.errstate(over="ignore"):
        middle = lower + (upper - lower) / 2
        points = [lower, middle, np.nextafter(middle, 0), np.nextafter(middle, np.inf)]
        points += [np.nextafter(lower, np.inf), np.nextafter(upper, 0)]
        largest = upper[-3]  # of code `top`
        ends = [largest, np.nextafter(largest, np.inf), largest * (1 + fmt.eps / 4), largest * 2]
    points.append(np.array([*ends, np.inf, 5e-324, 1e-300]))
    magnitude = np.concatenate(points)
    return np.concatenate([magnitude, -magnitude, [np.nan, -np.nan]])


def _near_the_ends(points: Array, fmt: FloatFormat) -> Array:
    """Return the points that the rules for overflow and subnormals are about, and a few others."""
    size = np.abs(points)
    table = magnitudes(fmt) if fmt.bits <= 16 else np.array([0.0, fmt.smallest_subnormal, fmt.max, np.inf])
    largest = table[-min(2, len(table))]
    normal = 2.0 ** ((fmt.specials != "scale") - (fmt.bias or 0))
    with np.errstate(invalid="ignore"):
        few = (size < normal * 1.1) & (size > normal * 0.9)
        few |= (size >= largest) | (size <= table[min(3, len(table) - 1)])
    few[:: max(1, points.size // 200)] = True
    return points[few | np.isnan(points)]


def check(task: Task) -> Outcome:
    """Run one task."""
    if task.part == RANDOM:
        return _check_random(task)
    fmt = find(task.subject)
    if "MPFR" in task.part:
        return _check_mpfr(fmt, _points(fmt, task.full))
    modes = (task.detail,) if task.detail else (*DETERMINISTIC, *STOCHASTIC)
    points, tally = _points(fmt, task.full), Tally()
    ends = points if task.full and fmt.bits <= 6 else _near_the_ends(points, fmt)
    rules = list(itertools.product(policies(fmt), ("gradual", "flush"), (False, True)))
    if not task.full:
        rules = [rule for i, rule in enumerate(rules) if i == 0 or i % 3 == 1]
    for mode, (overflow, subnormals, flush_inputs) in itertools.product(modes, rules):
        first = (overflow, subnormals, flush_inputs) == rules[0]
        options = {
            "rounding": mode,
            "overflow": overflow,
            "subnormals": subnormals,
            "flush_inputs": flush_inputs,
        }
        x = points if first else ends
        _compare(x, fmt, options, tally, first)
    if fmt.specials == "finite":
        tally.exclude("NaN, which the format does not have", 2)
    return tally.outcome()


def _check_random(task: Task) -> Outcome:
    """Compare formats drawn at random, in every mode, under rules drawn at random."""
    rng, tally = np.random.default_rng([task.piece, task.pieces]), Tally()
    for _ in range(RANDOM_FORMATS):
        fmt = random_format(rng)
        points = random_points(fmt, rng, RANDOM_POINTS)
        possible = policies(fmt)
        for mode in (*DETERMINISTIC, *STOCHASTIC):
            options = {
                "rounding": mode,
                "overflow": possible[rng.integers(len(possible))],
                "subnormals": ("gradual", "gradual", "flush")[rng.integers(3)],
                "flush_inputs": bool(rng.random() < 0.25),
            }
            _compare(points, fmt, options, tally, flags=True)
    return tally.outcome()


def _compare(x: Array, fmt: FloatFormat, options: dict[str, Any], tally: Tally, flags: bool) -> None:
    """Compare codes and values (and flags) of every x with the reference."""
    integers = np.random.default_rng(len(x)).integers(0, 1 << RANDOM_BITS, len(x))
    stochastic = options["rounding"] in STOCHASTIC
    results = [
        reference.round(number, fmt, **options, random_integer=r, random_bits=RANDOM_BITS)
        if stochastic
        else reference.round(number, fmt, **options)
        for number, r in zip(x.tolist(), integers.tolist(), strict=True)
    ]
    expected = np.array([result.code for result in results], fmt.code_dtype)
    values = np.array([reference.to_float(result.value) for result in results])

    def given(where: Any) -> dict[str, Any]:
        random = {"random_bits": RANDOM_BITS, "random_integers": integers[where]} if stochastic else {}
        return options | random

    def describe(what: str, numbers: Any) -> Any:
        words = ", ".join(f"{key}={value}" for key, value in options.items())
        return lambda i: f"{what}({float(numbers[i]).hex()}, {fmt.name}, {words})"

    everything = np.ones(len(x), bool)
    subsets: list[tuple[Any, Any]] = [(everything, np.float64)]
    with np.errstate(invalid="ignore", over="ignore"):
        narrow = x.astype(np.float32).astype(np.float64)
        subsets.append((np.abs(x) <= fmt.max, np.float64))
        subsets.append((np.abs(x) < fmt.max, np.float64))
        exact = (narrow == x) | np.isnan(x)
        # How a block is rounded depends on its largest number: an infinity, far beyond the maximum, near it, below.
        bounds = [np.abs(x) <= min(fmt.max * 2.0**far, 1.7e308) for far in (4, 20, 60)]
    subsets += [(bounds[1], np.float64), (exact, np.float32), (exact & subsets[1][0], np.float32)]
    subsets += [(exact & bound, np.float32) for bound in bounds]
    for where, dtype in subsets:
        numbers = x[where].astype(dtype)
        codes = encode(numbers, fmt, **given(where))
        tally.compare(codes, expected[where], describe("encode", numbers))
        got = np.asarray(quantize(numbers, fmt, **given(where))).astype(np.float64)
        tally.compare(float_bits(got, fmt), float_bits(values[where], fmt), describe("quantize", numbers))
    if flags:
        _, raised = quantize(x, fmt, return_flags=True, **given(everything))
        for name in FLAGS:
            wanted = np.array([name in result.flags for result in results])
            tally.compare(np.asarray(getattr(raised, name)), wanted, describe(f"flag {name} of quantize", x))


# -- MPFR ------------------------------------------------------------------------------------------------


def _check_mpfr(fmt: FloatFormat, points: Array) -> Outcome:
    """Compare with MPFR: precision, exponent range and subnormals as the format has them."""
    import gmpy2

    tally, m, bias = Tally(), fmt.mantissa_bits, fmt.bias or 0
    modes = {
        "nearest_even": gmpy2.RoundToNearest,
        "toward_zero": gmpy2.RoundToZero,
        "toward_positive": gmpy2.RoundUp,
        "toward_negative": gmpy2.RoundDown,
    }
    largest_field = (1 << fmt.exponent_bits) - 2
    wide = gmpy2.context(precision=53, emin=-1100, emax=1100)
    numbers = [gmpy2.mpfr(float(x), context=wide) for x in points]
    for mode, rounding in modes.items():
        # MPFR's significand lies in [1/2, 1), so its exponents are one larger; emin is that of the smallest subnormal.
        context = gmpy2.context(
            precision=m + 1,
            emax=largest_field - bias + 1,
            emin=1 - bias - m + 1,
            subnormalize=True,
            round=rounding,
        )
        expected = np.array([float(context.plus(number)) for number in numbers])
        expected = np.copysign(
            expected, np.where(np.isnan(points), np.sign(np.copysign(1, points)), expected)
        )
        got = np.asarray(quantize(points, fmt, rounding=mode)).astype(np.float64)
        tally.compare(
            float_bits(got, fmt),
            float_bits(expected, fmt),
            lambda i, mode=mode: f"quantize({float(points[i]).hex()}, {fmt.name}, {mode})",
        )
    return tally.outcome()
