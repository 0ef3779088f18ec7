"""Formats that nobody thought of: every way to round, to code and to step gives what the scalar reference says.

The formats are drawn from all that `FloatFormat` accepts, with biases at both ends of it and wherever float32, float64
or 1 ends; see `floatlab.verify.oracle.random_format`. Seeds are fixed, so a failure can be run again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support import DETERMINISTIC, STOCHASTIC, bits64, policies_of

from floatlab import reference
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode, encode_values
from floatlab.codes.neighbours import classify, next_down, next_up, spacing, ulp
from floatlab.formats import FloatFormat, get_format
from floatlab.reference import Special
from floatlab.rounding.kernels.choose import kernel_for
from floatlab.rounding.options import make_rule
from floatlab.rounding.plan import Plan, Readable, plan
from floatlab.rounding.quantize import quantize
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.verify.oracle import random_format, random_points

FLAGS = ("invalid", "divide_by_zero", "overflow", "underflow", "inexact")
MANY = 8192  # elements from which on tables are made


def draw(seed: int, points: int = 40) -> tuple[FloatFormat, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    fmt = random_format(rng)
    return fmt, random_points(fmt, rng, points), rng


def narrow(x: np.ndarray) -> np.ndarray:
    """Return float32 numbers near the float64 ones."""
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(np.float32)


def blocks_of(x: np.ndarray, fmt: FloatFormat, rng: np.random.Generator) -> list[np.ndarray]:
    """Return indices of all, and of some among which a kernel meets fewer kinds of large numbers."""
    size = np.abs(x.astype(np.float64))
    bounds = [np.inf, min(fmt.max * 2.0**20, 1.7e308), fmt.max, fmt.max / 4]
    with np.errstate(invalid="ignore"):
        parts = [np.flatnonzero(size < np.inf), *(np.flatnonzero(size <= bound) for bound in bounds)]
    some = parts[rng.integers(len(parts))]
    return [np.arange(len(x)), *([some] if some.size else [])]


def expected(
    x: np.ndarray, fmt: FloatFormat, rounding: str, integers: np.ndarray, bits: int, **options: Any
) -> tuple[np.ndarray, np.ndarray, list[frozenset[str]]]:
    """Return codes, values and flags by the reference."""
    if rounding in STOCHASTIC:
        options |= {"random_bits": bits}
    results = [
        reference.round(n, fmt, rounding, random_integer=r if rounding in STOCHASTIC else 0, **options)
        for n, r in zip(x.tolist(), integers.tolist(), strict=True)
    ]
    codes = np.array([result.code for result in results], np.uint64).astype(fmt.code_dtype)
    values = bits64(np.array([reference.to_float(result.value) for result in results]), fmt.nan_has_sign)
    return codes, values, [result.flags for result in results]


def options_of(fmt: FloatFormat, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "overflow": rng.choice(np.array(list(policies_of(fmt)), object)),
        "subnormals": str(rng.choice(["gradual", "gradual", "flush"])),
        "flush_inputs": bool(rng.random() < 0.25),
    }


def check_rounding(fmt: FloatFormat, x: np.ndarray, rounding: str, options: dict[str, Any], rng: Any) -> None:
    """Hold every path that rounds to the reference, for blocks with and without what is large."""
    bits = int(rng.choice([1, 2, 5, 8, 16, 24, 31, 40, 48]))
    integers = rng.integers(0, 1 << bits, len(x))
    integers[: len(x) // 3] = rng.choice([0, (1 << bits) - 1], len(x) // 3)
    stochastic = rounding in STOCHASTIC
    codes, values, flags = expected(x, fmt, rounding, integers, bits, **options)
    where = f"{fmt!r} {rounding} {options} {x.dtype} random_bits={bits}"
    rule = make_rule(fmt, rounding, *options.values())

    def hold(got: Any, wanted: np.ndarray, part: np.ndarray, path: str) -> None:
        wrong = np.flatnonzero(got != wanted)
        if wrong.size:
            i = part[wrong[0]]
            raise AssertionError(
                f"{path}: {where}\nx = {float(x[i]).hex()}, R = {integers[i]}, {len(part)} numbers: "
                f"{got[wrong[0]]:#x}, not {wanted[wrong[0]]:#x}"
            )

    for part in blocks_of(x, fmt, rng):
        given: dict[str, Any] = {"rounding": rounding, **options}
        if stochastic:
            given |= {"random_bits": bits, "random_integers": integers[part]}
        source = x[part]
        hold(bits64(quantize(source, fmt, **given), fmt.nan_has_sign), values[part], part, "quantize")
        hold(encode(source, fmt, **given), codes[part], part, "encode")
        for carrier in (np.dtype(np.float32), np.dtype(np.float64)):
            kernel = kernel_for(fmt, carrier)
            few = kernel is not None and (not stochastic or bits <= kernel.random_bits_limit())
            if source.dtype.itemsize > carrier.itemsize or not few:
                continue
            run_and_hold(
                Plan(rule, carrier, kernel, Readable(rule)), source, bits, integers[part], part, hold, values
            )
        readable = Plan(rule, np.dtype(np.float64), None, Readable(rule))
        run_and_hold(readable, source, bits, integers[part], part, hold, values)
    everything = np.arange(len(x))
    given = {"rounding": rounding, **options}
    if stochastic:
        given |= {"random_bits": bits, "random_integers": integers}
    got, raised = quantize(x, fmt, return_flags=True, **given)
    hold(bits64(got, fmt.nan_has_sign), values, everything, "quantize with flags")
    for flag in FLAGS:
        hold(getattr(raised, flag), np.array([flag in f for f in flags]), everything, f"flag {flag}")


def run_and_hold(
    conversion: Plan,
    source: np.ndarray,
    bits: int,
    integers: np.ndarray,
    part: np.ndarray,
    hold: Any,
    values: Any,
) -> None:
    rule = conversion.rule
    out = np.empty(len(source), max(rule.fmt.value_dtype, source.dtype))
    random = None
    if rule.variant is not None:
        random = RandomIntegers(None, bits, integers)
        random.fit(source)
    with np.errstate(all="ignore"):
        conversion.run(out, source, random)
    path = f"{'readable' if conversion.kernel is None else 'kernel'} in {conversion.carrier}"
    hold(bits64(out, rule.fmt.nan_has_sign), values[part], part, path)


@pytest.mark.parametrize("seed", range(6))
def test_every_path_rounds_any_format_as_the_reference_does(seed):
    for i in range(12):
        fmt, x, rng = draw(1000 * seed + i)
        for rounding in (*DETERMINISTIC, *STOCHASTIC):
            options = options_of(fmt, rng)
            check_rounding(fmt, x if rng.random() < 0.6 else narrow(x), rounding, options, rng)


def below_one(fmt: FloatFormat) -> bool:
    return fmt.specials == "ieee" and fmt.emax < 0


def in_the_last_binade(fmt: FloatFormat) -> bool:
    return fmt.emax in (126, 127) and fmt.value_dtype == np.float32


def with_a_smallest_value_above_one(fmt: FloatFormat) -> bool:
    return fmt.emin > fmt.mantissa_bits


def of_subnormals_alone(fmt: FloatFormat) -> bool:
    return fmt.emax < fmt.emin


@pytest.mark.parametrize(
    "corner", [below_one, in_the_last_binade, with_a_smallest_value_above_one, of_subnormals_alone]
)
def test_every_path_rounds_right_where_constants_come_to_an_end(corner):
    found = 0
    for seed in range(10_000, 30_000):
        fmt = random_format(np.random.default_rng(seed))
        if not corner(fmt):
            continue
        found += 1
        rng = np.random.default_rng(seed)
        x = random_points(fmt, rng, 40)
        for rounding in rng.choice([*DETERMINISTIC, *STOCHASTIC], 4, replace=False):
            check_rounding(
                fmt, x if rng.random() < 0.5 else narrow(x), str(rounding), options_of(fmt, rng), rng
            )
        if found == 6:
            return
    raise AssertionError(f"only {found} such formats were drawn")


@pytest.mark.parametrize("seed", range(4))
def test_large_arrays_get_what_small_ones_get_by_tables(seed):
    done = 0
    for i in range(1000 * seed + 500, 1000 * seed + 600):
        fmt, x, rng = draw(i)
        if (
            plan(make_rule(fmt, "nearest_even", None, "gradual", False), np.dtype(np.float32), None).lookup
            is None
        ):
            continue
        x = narrow(x)
        rounding, options = str(rng.choice(DETERMINISTIC)), options_of(fmt, rng)
        codes, values, _ = expected(x, fmt, rounding, np.zeros(len(x), int), 0, **options)
        many = np.resize(x, MANY)
        got = quantize(many, fmt, rounding=rounding, **options)
        where = f"{fmt!r} {rounding} {options}"
        assert np.array_equal(bits64(got, fmt.nan_has_sign), np.resize(values, MANY)), where
        assert np.array_equal(encode(many, fmt, rounding=rounding, **options), np.resize(codes, MANY)), where
        assert np.array_equal(encode_values(got, fmt), np.resize(codes, MANY)), where
        done += 1
        if done == 6:
            return
    raise AssertionError(f"only {done} such formats were drawn")


# -- codes, neighbours, classes --------------------------------------------------------------------------


def some_codes(fmt: FloatFormat, rng: np.random.Generator) -> np.ndarray:
    top = (1 << fmt.bits) - 1
    ends = [
        0,
        1,
        fmt.max_code - 1,
        fmt.max_code,
        fmt.max_code + 1,
        fmt.sign_mask,
        fmt.sign_mask + 1,
        top - 1,
        top,
    ]
    ends += [1 << fmt.mantissa_bits, (1 << fmt.mantissa_bits) - 1, fmt.sign_mask | fmt.max_code]
    codes = {
        *(code & top for code in ends),
        *(int(c) for c in rng.integers(0, top, 20, np.uint64, endpoint=True)),
    }
    return np.array(sorted(codes), np.uint64).astype(fmt.code_dtype)


@pytest.mark.parametrize("seed", range(4))
def test_codes_of_any_format_mean_what_the_reference_says_and_back(seed):
    for i in range(60):
        rng = np.random.default_rng(5000 + 100 * seed + i)
        fmt = random_format(rng)
        codes = some_codes(fmt, rng)
        wanted = [reference.decode(int(code), fmt) for code in codes]
        values = decode(codes, fmt)
        numbers = np.array([reference.to_float(number) for number in wanted])
        assert np.array_equal(bits64(values, fmt.nan_has_sign), bits64(numbers, fmt.nan_has_sign)), fmt
        back = np.array([reference.encode(number, fmt) for number in wanted], np.uint64)
        assert np.array_equal(encode(values, fmt), back.astype(fmt.code_dtype)), fmt


def step(x: float, fmt: FloatFormat, up: bool) -> float:
    """Return the neighbour of x by the reference: the last value that is not beyond x, and one code further."""
    if math.isnan(x):
        return math.nan
    codes = sorted(
        ((-1 if fmt.signed and c & fmt.sign_mask else 1) * (c & ~fmt.sign_mask), c)
        for c in range(1 << fmt.bits)
    )
    values = [reference.decode(code, fmt) for _, code in codes]
    numbers = [
        reference.to_float(value) for value in values if value not in (Special.NAN, Special.NEGATIVE_NAN)
    ]
    beyond = [v for v in numbers if (v > x if up else v < x)]
    if beyond:
        nearest = min(beyond) if up else max(beyond)
        zero = math.copysign(0.0, -1.0 if up and Special.NEGATIVE_ZERO in values else 1.0)
        return zero if nearest == 0 else nearest
    if fmt.specials == "finite":
        return max(numbers) if up else min(numbers)
    return (math.inf if up else -math.inf) if (math.inf if up else -math.inf) in numbers else math.nan


@pytest.mark.parametrize("seed", range(3))
def test_neighbours_spacing_ulp_and_classes_of_any_short_format_are_those_of_the_sorted_values(seed):
    done = 0
    for i in range(7000 + 100 * seed, 7100 + 100 * seed):
        fmt, x, _ = draw(i)
        if fmt.bits > 8:
            continue
        done += 1
        for up, function in ((True, next_up), (False, next_down)):
            wanted = np.array([step(number, fmt, up) for number in x.tolist()])
            assert np.array_equal(bits64(function(x, fmt), False), bits64(wanted, False)), (fmt, function)
        finite = x[np.isfinite(x)]
        exact = [reference.exact(number) for number in finite.tolist()]
        size = [0 if number is Special.NEGATIVE_ZERO else abs(number) for number in exact]
        exponents = [
            math.frexp(abs(n))[1] - 1 if s else -5000 for n, s in zip(finite.tolist(), size, strict=True)
        ]
        lowest = (fmt.specials != "scale") - fmt.bias
        units = np.array([math.ldexp(1.0, max(e, lowest) - fmt.mantissa_bits) for e in exponents])
        assert np.array_equal(ulp(finite, fmt), units), fmt
        values = [reference.round(n, fmt).value for n in x.tolist()]
        assert classify(x, fmt).tolist() == [kind_of(value, fmt) for value in values], fmt
        numbers = np.array([reference.to_float(value) for value in values])
        away = np.array([step(n, fmt, n >= 0) for n in numbers.tolist()])
        with np.errstate(invalid="ignore"):
            assert np.array_equal(spacing(x, fmt), away - numbers, equal_nan=True), fmt
        if done == 20:
            return


def kind_of(value: Any, fmt: FloatFormat) -> str:
    number = reference.to_float(value)
    if math.isnan(number):
        return "nan"
    sign = "-" if math.copysign(1.0, number) < 0 else ""
    if math.isinf(number):
        return f"{sign}infinity"
    small = abs(number) < 2.0 ** ((fmt.specials != "scale") - fmt.bias)
    return sign + ("zero" if number == 0 else "subnormal" if small else "normal")


# -- the cases that people met ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "numbers, name, wanted",
    [
        ([0.01, 0.002, 5.0], "e4m3b20", [0.009765625, 0.001953125, math.inf]),
        ([0.5, 1e6], "e4m3b15", [0.5, math.inf]),
        ([0.5, -math.inf, math.nan], "e4m3b15", [0.5, -math.inf, math.nan]),
        ([2.0**-40, -1.0], "e5m2b60", [2.0**-40, -math.inf]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_overflow_leaves_its_block_alone_in_a_format_whose_maximum_is_below_1(
    numbers, name, wanted, dtype
):
    x = np.array(numbers, dtype)
    got = quantize(x, name)
    assert np.array_equal(got, wanted, equal_nan=True)
    results = [reference.round(n, get_format(name)) for n in x.tolist()]
    assert np.array_equal(got, [reference.to_float(r.value) for r in results], equal_nan=True)
    assert np.array_equal(encode(x, name), [r.code for r in results])


@pytest.mark.parametrize("name", ["e7m2b-1", "e6m3b-65", "e5m2b-97", "e4m3b-113", "e7m7b-1"])
def test_infinity_has_the_code_of_infinity_in_the_last_binade_of_float32(name):
    fmt = get_format(name)
    assert fmt.emax == 127
    x = np.array([np.inf, -np.inf, fmt.max, -fmt.max, 3.4e38, np.nan], np.float32)
    wanted = [reference.round(n, fmt).code for n in x.tolist()]
    assert encode(x, fmt).tolist() == wanted
    assert encode(np.resize(x, MANY), fmt).tolist() == np.resize(wanted, MANY).tolist()
    assert encode(x.astype(np.float64), fmt).tolist() == wanted
    assert wanted[0] == fmt.inf_code
