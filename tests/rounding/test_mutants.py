"""Would the tests notice? Kernels with one careless mistake each must fail the short check.

Each mutant is a fresh copy of floatlab/rounding and floatlab/codes with one thing changed, or a function around
the right one that makes a mistake other libraries are known for. `support.short_check` has to find every one.
"""

import dataclasses
import importlib
import pkgutil
import sys
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from support import CATALOGUE_8, FloatFormat, get_format, short_check

KINDS = tuple(get_format(name) for name in ("e4m3", "e5m2", "e4m3fnuz", "fp4", "e8m0", "binary8p4se"))

ROOMS = ("floatlab.rounding", "floatlab.codes")


def names_of_rooms() -> list[str]:
    """Return the packages of the rooms, and their modules."""
    found = list(ROOMS)
    for room in ROOMS:
        found += [
            info.name for info in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}.")
        ]
    return found


def fresh() -> SimpleNamespace:
    """Return new copies of the modules of the rooms, which import one another and leave the real ones alone."""
    names = names_of_rooms()
    package = sys.modules["floatlab"]
    saved = {name: sys.modules.pop(name, None) for name in names}
    attributes = {room: getattr(package, room.rpartition(".")[2]) for room in ROOMS}
    copies = {name: importlib.import_module(name) for name in names}
    for name in names:
        del sys.modules[name]
        if saved[name] is not None:
            sys.modules[name] = saved[name]
    for room, module in attributes.items():
        setattr(package, room.rpartition(".")[2], module)
    return SimpleNamespace(**{name.rpartition(".")[2]: module for name, module in copies.items()})


MUTANTS: dict[str, Callable] = {}


def mutant(function: Callable) -> Callable:
    MUTANTS[function.__name__] = function
    return function


# -- one thing changed inside -------------------------------------------------------------------------


def renamed_mode(m: SimpleNamespace, mode: str, other: str) -> None:
    setattr(m.counting.Kernel, mode, getattr(m.counting.Kernel, other))


@mutant
def ties_go_away_from_zero(m):
    renamed_mode(m, "nearest_even", "nearest_away")


@mutant
def ties_go_to_zero(m):
    renamed_mode(m, "nearest_even", "nearest_zero")


@mutant
def nearest_truncates(m):
    renamed_mode(m, "nearest_even", "toward_zero")


@mutant
def ties_away_go_to_even(m):
    renamed_mode(m, "nearest_away", "nearest_even")


@mutant
def ties_to_zero_go_to_even(m):
    renamed_mode(m, "nearest_zero", "nearest_even")


@mutant
def toward_positive_forgets_the_sign(m):
    renamed_mode(m, "toward_negative", "toward_positive")


@mutant
def to_odd_truncates(m):
    renamed_mode(m, "to_odd", "toward_zero")


def with_property(m: SimpleNamespace, name: str, change: Callable) -> None:
    original = next(kind.__dict__[name] for kind in m.counting.Kernel.__mro__ if name in kind.__dict__).func
    setattr(m.counting.Kernel, name, property(lambda self: change(self, original(self))))


@mutant
def one_mantissa_bit_too_many(m):
    with_property(m, "places", lambda self, places: places + self.binade)


@mutant
def one_mantissa_bit_too_few(m):
    with_property(m, "places", lambda self, places: places - self.binade)


@mutant
def subnormals_keep_their_full_precision(m):
    with_property(m, "smallest_normal", lambda self, smallest: smallest / 8)


@mutant
def subnormals_start_a_binade_too_high(m):
    with_property(m, "smallest_normal", lambda self, smallest: smallest * 2)


def changed_rule(m: SimpleNamespace, **changes: object) -> None:
    original = m.quantize.make_rule

    def make_rule(*arguments):
        rule = original(*arguments)
        return dataclasses.replace(rule, **{name: change(rule) for name, change in changes.items()})

    for module in vars(m).values():
        if hasattr(module, "make_rule"):
            module.make_rule = make_rule


@mutant
def subnormals_are_always_flushed(m):
    changed_rule(m, subnormals=lambda rule: "flush")


@mutant
def subnormals_are_never_flushed(m):
    changed_rule(m, subnormals=lambda rule: "gradual")


@mutant
def flush_inputs_does_nothing(m):
    changed_rule(m, flush_inputs=lambda rule: False)


@mutant
def overflow_is_always_infinite(m):
    changed_rule(m, over=lambda rule: (np.inf, -np.inf))


@mutant
def saturation_forgets_the_infinities(m):
    changed_rule(m, infinite=lambda rule: (np.inf, -np.inf))


@mutant
def negative_overflow_has_the_wrong_sign(m):
    changed_rule(m, over=lambda rule: (rule.over[0], rule.over[0]))


# -- mistakes around it ----------------------------------------------------------------------------------


def around(m: SimpleNamespace, wrong: Callable) -> None:
    right = m.quantize.quantize
    m.quantize.quantize = m.encode.quantize = lambda x, fmt, **options: wrong(
        right, np.asarray(x), fmt, **options
    )


def renamed(m: SimpleNamespace, names: dict[str, str]) -> None:
    def wrong(right, x, fmt, **options):
        rounding = options.pop("rounding", "nearest_even")
        return right(x, fmt, rounding=names.get(rounding, rounding), **options)

    around(m, wrong)


@mutant
def stochastic_a_is_b(m):
    renamed(m, {"stochastic": "stochastic_b"})


@mutant
def stochastic_c_is_a(m):
    renamed(m, {"stochastic_c": "stochastic"})


@mutant
def float64_goes_through_float32(m):
    def wrong(right, x, fmt, **options):
        return right(x.astype(np.float32), fmt, **options)

    around(m, wrong)


@mutant
def subnormals_are_rounded_twice(m):
    def wrong(right, x, fmt, **options):
        if fmt.mantissa_bits == 0 or not fmt.signed:
            return right(x, fmt, **options)
        long = FloatFormat("long", 11, fmt.mantissa_bits)
        mode = {"rounding": options.get("rounding", "nearest_even")}
        mode |= {name: options[name] for name in ("random_bits", "random_integers") if name in options}
        return right(right(x.astype(np.float64), long, **mode), fmt, **options)

    around(m, wrong)


@mutant
def minus_zero_is_lost(m):
    around(m, lambda right, x, fmt, **options: right(x, fmt, **options) + 0.0)


@mutant
def small_negative_numbers_lose_their_sign(m):
    def wrong(right, x, fmt, **options):
        result = right(x, fmt, **options)
        return np.where((result == 0) & (x < 0), 0.0, result)

    around(m, wrong)


@mutant
def the_last_tie_overflows(m):
    def wrong(right, x, fmt, **options):
        result = right(x, fmt, **options)
        tie = fmt.max + np.ldexp(1.0, fmt.emax - fmt.mantissa_bits - 1)
        nearest = options.get("rounding", "nearest_even") == "nearest_even" and fmt.name == "float8_e4m3fn"
        return np.where((np.abs(x) == tie) & nearest, right(2 * x, fmt, **options), result)

    around(m, wrong)


@mutant
def overflow_begins_one_float64_late(m):
    def wrong(right, x, fmt, **options):
        tie = fmt.max + np.ldexp(1.0, fmt.emax - fmt.mantissa_bits - 1)
        first = np.nextafter(tie, np.inf) if fmt.name == "float8_e4m3fn" else tie
        return right(np.where(np.abs(x) == first, np.copysign(fmt.max, x), x), fmt, **options)

    around(m, wrong)


@mutant
def overflow_begins_above_the_largest_value(m):
    def wrong(right, x, fmt, **options):
        return right(np.where(np.abs(x) > fmt.max, 4 * np.sign(x) * fmt.max, x), fmt, **options)

    around(m, wrong)


@mutant
def e4m3_ends_at_480(m):
    def wrong(right, x, fmt, **options):
        full = FloatFormat("full", 4, 3, specials="finite")
        return right(x, full if fmt.name == "float8_e4m3fn" and not np.isnan(x).any() else fmt, **options)

    around(m, wrong)


@mutant
def a_nan_loses_its_sign(m):
    def wrong(right, x, fmt, **options):
        result = right(x, fmt, **options)
        return np.where(np.isnan(result), np.nan, result)

    around(m, wrong)


@mutant
def a_nan_in_fp4_becomes_zero(m):
    def wrong(right, x, fmt, **options):
        return right(
            x if fmt.has_nan else np.nan_to_num(x, nan=-0.0, posinf=np.inf, neginf=-np.inf), fmt, **options
        )

    around(m, wrong)


@mutant
def infinities_become_nan(m):
    around(
        m,
        lambda right, x, fmt, **options: right(
            np.where(np.isinf(x) & fmt.has_nan, np.nan, x), fmt, **options
        ),
    )


@mutant
def ties_of_powers_of_two_go_down(m):
    def wrong(right, x, fmt, **options):
        down = fmt.mantissa_bits == 0 and options.get("rounding", "nearest_even") == "nearest_even"
        return right(x, fmt, **{**options, "rounding": "nearest_zero"} if down else options)

    around(m, wrong)


@mutant
def directed_modes_overflow_inward(m):
    def wrong(right, x, fmt, **options):
        result = right(x, fmt, **options)
        if options.get("rounding") == "toward_zero":
            result = np.where(
                np.abs(x) >= 2.0 ** (fmt.emax + 1),
                right(x, fmt, **{**options, "rounding": "nearest_away"}),
                result,
            )
        return result

    around(m, wrong)


def coded(m: SimpleNamespace, change: Callable) -> None:
    right = m.encode.encode
    m.encode.encode = lambda x, fmt, **options: change(right(x, fmt, **options), fmt)


@mutant
def the_nan_code_is_another_nan(m):
    coded(
        m,
        lambda codes, fmt: (
            np.where((codes & 0x7F) == 0x7E, codes - 1, codes) if fmt.name == "float8_e5m2" else codes
        ),
    )


@mutant
def fnuz_keeps_minus_zero_as_its_nan(m):
    right = m.encode.encode

    def encode(x, fmt, **options):
        codes = right(x, fmt, **options)
        lost = (codes == 0) & np.signbit(x) & (fmt.specials == "fnuz")
        return np.where(lost, fmt.sign_mask, codes)

    m.encode.encode = encode


@mutant
def codes_of_subnormals_are_one_too_small(m):
    coded(m, lambda codes, fmt: np.where((codes > 1) & (codes < 1 << fmt.mantissa_bits), codes - 1, codes))


@mutant
def the_sign_bit_is_forgotten(m):
    coded(
        m,
        lambda codes, fmt: (
            codes & ~np.array(fmt.sign_mask, codes.dtype) if fmt.specials == "finite" else codes
        ),
    )


# -- the claim ----------------------------------------------------------------------------------------------


def test_the_original_passes_the_short_check():
    m = fresh()
    assert short_check(m.quantize.quantize, m.encode.encode, CATALOGUE_8) == []


@pytest.mark.parametrize("name", MUTANTS)
def test_the_short_check_notices(name):
    m = fresh()
    MUTANTS[name](m)
    assert any(short_check(m.quantize.quantize, m.encode.encode, (fmt,)) for fmt in KINDS)


def test_mutants_leave_the_real_modules_alone():
    import floatlab.codes.encode
    import floatlab.rounding.kernels.counting

    before = floatlab.codes.encode.encode, floatlab.rounding.kernels.counting.Kernel.nearest_even
    m = fresh()
    ties_go_away_from_zero(m)
    assert m.counting.Kernel is not floatlab.rounding.kernels.counting.Kernel
    assert before == (floatlab.codes.encode.encode, floatlab.rounding.kernels.counting.Kernel.nearest_even)
    assert sys.modules["floatlab.rounding.kernels.counting"] is floatlab.rounding.kernels.counting
