"""The scalar oracle, held to oracles of other people: ml_dtypes, NumPy, MPFR, SoftFloat, gfloat."""

import itertools
import math
import struct
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import (
    CATALOGUE_8,
    CATALOGUE_16,
    DETERMINISTIC,
    ODD,
    P3109_8,
    SMALL,
    STOCHASTIC,
    bits64,
    critical_points,
    expected_codes,
    float32_points,
    magnitudes,
    name_of,
    p3109,
    policies_of,
    scalar_codes,
)

from floatlab import reference
from floatlab.errors import OptionError, OverflowPolicyError
from floatlab.formats import FloatFormat, get_format
from floatlab.reference import Special, exact, to_float

FP16, BF16, FP32, FP64 = (get_format(name) for name in ("fp16", "bf16", "fp32", "fp64"))
E4M3, E5M2, FP4 = (get_format(name) for name in ("e4m3", "e5m2", "fp4"))
E8M0 = get_format("e8m0")
IEEE = tuple(
    get_format(name) for name in ("fp32", "tf32", "fp16", "bf16", "e5m2", "fp8_e4m3_ieee", "e3m4", "e6m9")
)
rng = np.random.default_rng(20240229)


@pytest.fixture(autouse=True)
def _the_same_numbers_whatever_runs_before():
    global rng
    rng = np.random.default_rng(20240229)


def spread(count: int, low: int, high: int) -> np.ndarray:
    """Return float64 numbers of both signs whose exponents are uniform in [low, high)."""
    return np.ldexp(rng.uniform(1, 2, count), rng.integers(low, high, count)) * rng.choice([-1, 1], count)


# -- what codes mean -------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", [fmt for fmt in CATALOGUE_16 if fmt.dtype], ids=name_of)
def test_every_code_means_what_numpy_and_ml_dtypes_say(fmt):
    codes = np.arange(2**fmt.bits, dtype=fmt.code_dtype)
    with np.errstate(invalid="ignore"):  # a signaling NaN
        theirs = codes.view(fmt.dtype).astype(np.float32)
    ours = [to_float(reference.decode(int(code), fmt)) for code in codes]
    assert np.array_equal(bits64(ours, fmt.nan_has_sign), bits64(theirs, fmt.nan_has_sign))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wide_codes_mean_what_numpy_says(dtype):
    fmt = get_format(dtype)
    edges = [
        0,
        1,
        2**fmt.mantissa_bits - 1,
        2**fmt.mantissa_bits,
        fmt.max_code,
        fmt.max_code + 1,
        fmt.max_code + 2,
    ]
    codes = np.concatenate([np.array(edges, np.uint64), rng.integers(0, 2**fmt.bits, 2000, np.uint64)])
    codes = np.concatenate([codes, codes ^ np.uint64(fmt.sign_mask)]).astype(fmt.code_dtype)
    ours = [to_float(reference.decode(int(code), fmt)) for code in codes]
    assert np.array_equal(bits64(ours), bits64(codes.view(dtype)))


@pytest.mark.parametrize("k", range(3, 9))
def test_every_p3109_code_means_what_gfloat_says(k):
    gfloat = pytest.importorskip("gfloat")
    from gfloat.formats import format_info_p3109

    for fmt in p3109(k):
        domain = gfloat.Domain.Finite if fmt.name.endswith("f") else gfloat.Domain.Extended
        sign = gfloat.Signedness.Signed if fmt.signed else gfloat.Signedness.Unsigned
        info = format_info_p3109(k, fmt.precision, sign, domain)
        theirs = [gfloat.decode_float(info, code).fval for code in range(2**k)]
        ours = [to_float(reference.decode(code, fmt)) for code in range(2**k)]
        assert np.array_equal(bits64(ours, False), bits64(theirs, False)), fmt.name


@pytest.mark.parametrize("fmt", SMALL, ids=name_of)
def test_encode_is_the_inverse_of_decode(fmt):
    for code in range(2**fmt.bits):
        value = reference.decode(code, fmt)
        again = reference.encode(value, fmt)
        if value in (Special.NAN, Special.NEGATIVE_NAN):
            assert reference.decode(again, fmt) == value
        else:
            assert again == code


def test_a_code_that_is_too_long_is_refused():
    with pytest.raises(OptionError, match="8 bits"):
        reference.decode(256, E4M3)


@pytest.mark.parametrize("value", [449, Fraction(1, 3), math.inf])
def test_encode_refuses_what_the_format_does_not_have(value):
    with pytest.raises(OptionError, match="Round it first"):
        reference.encode(value, E4M3)
    with pytest.raises(OptionError, match="Round it first"):
        reference.encode(-0.0, get_format("e4m3fnuz"))


# -- rounding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", [fmt for fmt in CATALOGUE_16 if fmt.dtype and fmt is not E8M0], ids=name_of)
def test_nearest_even_from_float32_is_that_of_ml_dtypes(fmt):
    x = float32_points(fmt, nan=fmt.has_nan)
    if len(x) > 20000:
        x = np.concatenate([rng.choice(x, 12000, replace=False), x[np.isnan(x)]])
    random = rng.integers(0, 2**32, 4000, np.uint32).view(np.float32)
    x = np.concatenate([x, random[~np.isnan(random)]])  # NumPy keeps the payloads of NaNs in float16
    with np.errstate(over="ignore", invalid="ignore"):
        theirs = x.astype(fmt.dtype).view(fmt.code_dtype)
    assert np.array_equal(scalar_codes(x, fmt), theirs)


def test_e8m0_is_that_of_ml_dtypes_except_for_float32_subnormals_which_it_rounds_wrongly():
    x = float32_points(E8M0, nan=True)
    theirs = x.astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)
    ours = scalar_codes(x, E8M0)
    normal = np.abs(x) >= np.float32(2.0**-126)
    assert np.array_equal(ours[normal], theirs[normal])
    # 1.25 * 2**-127 lies between 2**-127 (code 0) and 2**-126 (code 1), nearer to the former.
    source = np.float32(1.25 * 2.0**-127)
    assert reference.round(source, E8M0).code == 0
    assert np.array([source]).astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)[0] == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_nearest_even_from_float64_is_that_of_numpy(dtype):
    fmt = get_format(dtype)
    x = spread(5000, fmt.emin - fmt.mantissa_bits - 3, fmt.emax + 3)
    some = rng.integers(0, fmt.max_code, 3000)
    for_halves = [to_float(reference.decode(int(c), fmt)) for c in some]
    above = [to_float(reference.decode(int(c) + 1, fmt)) for c in some]
    midpoints = (np.array(for_halves) + np.array(above)) / 2
    x = np.concatenate([x, midpoints, np.nextafter(midpoints, 0), np.nextafter(midpoints, np.inf)])
    x = np.concatenate([x, [0.0, -0.0, math.inf, -math.inf, math.nan, -math.nan]])
    with np.errstate(over="ignore"):
        theirs = x.astype(dtype).view(fmt.code_dtype)
    assert np.array_equal(scalar_codes(x, fmt), theirs)


MPFR_MODES = {
    "nearest_even": "RoundToNearest",
    "toward_zero": "RoundToZero",
    "toward_positive": "RoundUp",
    "toward_negative": "RoundDown",
}


def mpfr_context(fmt: FloatFormat, rounding: str):
    gmpy2 = pytest.importorskip("gmpy2")
    emax = fmt.max_code >> fmt.mantissa_bits  # MPFR's significands lie in [1/2, 1)
    return gmpy2.context(
        precision=fmt.mantissa_bits + 1,
        emax=emax - fmt.bias + 1,
        emin=2 - fmt.bias - fmt.mantissa_bits,
        subnormalize=True,
        round=getattr(gmpy2, MPFR_MODES[rounding]),
    )


def points_for(fmt: FloatFormat, count: int) -> list[float]:
    if fmt.bits <= 16:
        x = critical_points(fmt)
        return rng.choice(x, min(count, len(x)), replace=False).tolist()
    return spread(count, fmt.emin - fmt.mantissa_bits - 3, fmt.emax + 3).tolist()


@pytest.mark.parametrize("rounding", MPFR_MODES)
@pytest.mark.parametrize("fmt", IEEE, ids=name_of)
def test_conversions_are_those_of_mpfr(fmt, rounding):
    gmpy2 = pytest.importorskip("gmpy2")
    context = mpfr_context(fmt, rounding)
    for number in points_for(fmt, 2500):
        source = gmpy2.mpfr(number, 53)
        context.clear_flags()
        theirs = context.plus(source)
        ours = reference.round(number, fmt, rounding)
        assert bits64([to_float(ours.value)]) == bits64([float(theirs)]), number
        assert ("overflow" in ours.flags) == context.overflow, number
        assert bool(ours.flags) == context.inexact or math.isinf(number), number


OPERATIONS = {"add": 2, "subtract": 2, "multiply": 2, "divide": 2, "sqrt": 1, "fma": 3}


def operands_of(fmt: FloatFormat, arity: int, count: int) -> list[tuple[int, ...]]:
    """Return tuples of codes: the special ones in every combination, uniform ones, and near neighbours."""
    one = fmt.bias << fmt.mantissa_bits
    small = [0, 1, 1 << fmt.mantissa_bits, one, one + 1, fmt.max_code, fmt.inf_code, fmt.nan_code]
    edges = [code | sign for code in small for sign in (0, fmt.sign_mask)]
    grid = list(itertools.product(edges, repeat=arity))
    grid = [grid[i] for i in rng.choice(len(grid), min(len(grid), count), replace=False)]
    uniform = rng.integers(0, 2**fmt.bits, (count, arity), np.uint64).astype(object)
    near = rng.integers(0, fmt.max_code, (count, 1)).astype(object) + rng.integers(-40, 40, (count, arity))
    near = np.clip(near, 0, fmt.max_code) + rng.choice(np.array([0, fmt.sign_mask], object), (count, arity))
    # c = -(a * b), rounded: the case that fma exists for
    rows = [*grid, *uniform.tolist(), *near.tolist()]
    if arity == 3:
        for a, b, _ in uniform[: count // 2].tolist():
            c = reference.multiply(reference.decode(a, fmt), reference.decode(b, fmt), fmt).code
            rows.append([a, b, c ^ fmt.sign_mask])
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("rounding", MPFR_MODES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_arithmetic_of_every_ieee_format_is_that_of_mpfr(operation, rounding):
    pytest.importorskip("gmpy2")
    import gmpy2

    names = {"subtract": "sub", "multiply": "mul", "divide": "div"}
    for fmt in IEEE:
        context = mpfr_context(fmt, rounding)
        function = getattr(context, names.get(operation, operation))
        for codes in operands_of(fmt, OPERATIONS[operation], 60):
            operands = [reference.decode(code, fmt) for code in codes]
            ours = getattr(reference, operation)(*operands, fmt, rounding=rounding)
            context.clear_flags()
            theirs = function(*[gmpy2.mpfr(to_float(x), 53) for x in operands])
            label = (fmt.name, operands)
            assert bits64([to_float(ours.value)], False) == bits64([float(theirs)], False), label
            assert ("overflow" in ours.flags) == context.overflow, label
            assert ("divide_by_zero" in ours.flags) == context.divzero, label


SOFTFLOAT_MODES = {
    "nearest_even": "NEAR_EVEN",
    "nearest_away": "NEAR_MAX_MAG",
    "toward_zero": "MIN_MAG",
    "toward_positive": "MAX",
    "toward_negative": "MIN",
}
SOFTFLOAT_NAMES = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "sqrt": "sqrt",
    "fma": "mul_add",
}


class SoftFloat:
    """One width of Berkeley SoftFloat, from codes to a code and the names of the flags."""

    def __init__(self, bits: int, rounding: str) -> None:
        self.library = pytest.importorskip("softfloatpy")
        self.bits = bits
        self.type = getattr(self.library, f"Float{bits}")
        self.library.set_rounding_mode(getattr(self.library.RoundingMode, SOFTFLOAT_MODES[rounding]))
        self.library.set_tininess_mode(self.library.TininessMode.AFTER_ROUNDING)

    def __call__(self, name: str, *codes: int) -> tuple[int, set[str]]:
        self.library.set_exception_flags(0)
        operands = [self.type.from_bytes(code.to_bytes(self.bits // 8, "big")) for code in codes]
        result = getattr(self.library, f"f{self.bits}_{name}")(*operands)
        raised, flag = self.library.get_exception_flags(), self.library.ExceptionFlag
        names = {
            "invalid": flag.INVALID,
            "divide_by_zero": flag.INFINITE,
            "overflow": flag.OVERFLOW,
            "underflow": flag.UNDERFLOW,
            "inexact": flag.INEXACT,
        }
        return int.from_bytes(result.to_bytes(), "big"), {
            name for name, bit in names.items() if raised & int(bit)
        }


@pytest.mark.parametrize("rounding", SOFTFLOAT_MODES)
@pytest.mark.parametrize("fmt", [FP16, FP32, FP64], ids=name_of)
def test_arithmetic_and_its_flags_are_those_of_softfloat(fmt, rounding):
    softfloat = SoftFloat(fmt.bits, rounding)
    for operation, arity in OPERATIONS.items():
        for codes in operands_of(fmt, arity, 300):
            operands = [reference.decode(code, fmt) for code in codes]
            ours = getattr(reference, operation)(*operands, fmt, rounding=rounding)
            code, flags = softfloat(SOFTFLOAT_NAMES[operation], *codes)
            label = (operation, [f"{code:#x}" for code in codes])
            if reference.decode(code, fmt) in (Special.NAN, Special.NEGATIVE_NAN):  # of any sign and payload
                assert ours.value in (Special.NAN, Special.NEGATIVE_NAN), label
            else:
                assert ours.code == code, label
            if Special.NAN not in operands and Special.NEGATIVE_NAN not in operands:  # SoftFloat's may signal
                assert ours.flags == flags, label


@pytest.mark.parametrize("rounding", SOFTFLOAT_MODES)
def test_conversions_and_their_flags_are_those_of_softfloat(rounding):
    softfloat = SoftFloat(64, rounding)
    for fmt, name in ((FP16, "to_f16"), (FP32, "to_f32")):
        for number in points_for(fmt, 3000):
            code, flags = softfloat(name, int.from_bytes(struct.pack(">d", number), "big"))
            ours = reference.round(number, fmt, rounding)
            assert (ours.code, ours.flags) == (code, flags), number


GFLOAT_MODES = {
    "nearest_even": "TiesToEven",
    "nearest_away": "TiesToAway",
    "toward_zero": "TowardZero",
    "toward_positive": "TowardPositive",
    "toward_negative": "TowardNegative",
    "stochastic": "StochasticFastest",
    "stochastic_b": "StochasticFast",
    "stochastic_c": "Stochastic",
}


def gfloat_format(fmt: FloatFormat):
    gfloat = pytest.importorskip("gfloat")
    from gfloat import formats

    if fmt.name.startswith("binary"):
        domain = gfloat.Domain.Finite if fmt.name.endswith("f") else gfloat.Domain.Extended
        sign = gfloat.Signedness.Signed if fmt.signed else gfloat.Signedness.Unsigned
        return formats.format_info_p3109(fmt.bits, fmt.precision, sign, domain)
    short = fmt.name.partition("_")[2].removesuffix("fn")
    return getattr(formats, f"format_info_ocp_{short}")


OCP = tuple(get_format(name) for name in ("e5m2", "e4m3", "e2m3", "e3m2", "e2m1"))


@pytest.mark.parametrize("rounding", GFLOAT_MODES)
@pytest.mark.parametrize("saturate", [False, True])
def test_ocp_and_p3109_rounding_is_that_of_gfloat(rounding, saturate):
    gfloat = pytest.importorskip("gfloat")
    mode = getattr(gfloat.RoundMode, GFLOAT_MODES[rounding])
    for fmt in OCP + tuple(rng.choice(np.array(P3109_8, object), 24, replace=False)):
        info = gfloat_format(fmt)
        if fmt.specials == "finite" and not saturate:
            continue  # gfloat raises
        x = critical_points(fmt)
        if rounding in ("nearest_away", *STOCHASTIC):
            # gfloat adds the discarded fraction and 1/2 in float64, and 0.49999999999999994 + 0.5 is 1.
            x = np.unique(float32_points(fmt)).astype(np.float64)
        x = x if fmt.signed else x[x >= 0]  # gfloat leaves negative numbers alone in unsigned formats
        if fmt.mantissa_bits == 0:
            x = x[(np.abs(x) >= magnitudes(fmt)[1]) | (x == 0)]  # and has numbers below the smallest one
        overflow = "saturate" if saturate else "nan" if not fmt.has_infinity else None
        for number in rng.choice(x, min(len(x), 150), replace=False).tolist():
            bits = int(rng.integers(1, 9)) if rounding in STOCHASTIC else 0
            integer = int(rng.integers(0, 2**bits))
            theirs = gfloat.round_float(info, number, mode, saturate, integer, bits)
            ours = reference.round(number, fmt, rounding, overflow, random_integer=integer, random_bits=bits)
            label = (fmt.name, number, integer, bits)
            assert bits64([to_float(ours.value)], False) == bits64([theirs], False), label


@pytest.mark.parametrize("fmt", SMALL, ids=name_of)
def test_the_table_oracle_of_the_tests_agrees_with_this_one(fmt):
    x = critical_points(fmt, nan=fmt.has_nan)
    x = rng.choice(x, min(len(x), 120), replace=False)
    choices = list(policies_of(fmt))
    for rounding in DETERMINISTIC + STOCHASTIC:
        bits = 3 if rounding in STOCHASTIC else 0
        integers = rng.integers(0, 2**bits, x.shape)
        options = {
            "rounding": rounding,
            "random_bits": bits,
            "overflow": choices[int(rng.integers(len(choices)))],
            "subnormals": str(rng.choice(["gradual", "flush"])),
            "flush_inputs": bool(rng.integers(2)),
        }
        expected = expected_codes(x, fmt, random_integers=integers, **options)
        assert np.array_equal(scalar_codes(x, fmt, integers, **options), expected), options


@given(st.integers(-(2**60), 2**60), st.integers(-90, 40))
def test_rounding_to_odd_first_makes_a_second_rounding_harmless(significand, exponent):
    # Boldo and Melquiond 2008: with at least two more bits, and room below for the exponent.
    wide = FloatFormat("e8m12", 8, 12)
    number = Fraction(significand) * Fraction(2) ** exponent
    through = reference.round(number, wide, "to_odd").value
    assert reference.round(through, FP16).code == reference.round(number, FP16).code


@given(st.fractions(min_value=-70000, max_value=70000))
def test_nearest_zero_differs_from_nearest_even_only_in_ties(number):
    zero, even = (reference.round(number, FP16, mode) for mode in ("nearest_zero", "nearest_even"))
    inward = reference.round(number, FP16, "toward_zero")
    away = reference.round(number, FP16, "toward_negative" if number < 0 else "toward_positive")
    if all(isinstance(r.value, Fraction) for r in (inward, away)) and 2 * number == inward.value + away.value:
        assert zero.value == inward.value
    else:
        assert zero == even


@pytest.mark.parametrize(
    ("number", "name", "rounding", "expected"),
    [
        (-431.99999999999994, "e4m3", "nearest_even", -416),  # through float32 it would become -448
        (1 + 2**-8 + 2**-40, "bf16", "nearest_even", 1.0078125),  # through float32 it would become 1
        (464, "e4m3", "nearest_even", 448),  # the last tie goes to the even code
        (65519.99999999999, "fp16", "nearest_even", 65504),
        (65520, "fp16", "nearest_even", math.inf),
        (65520, "fp16", "nearest_zero", 65504),
        (1e9, "e4m3", "toward_zero", 448),
        (-1e9, "e4m3", "toward_positive", -448),
        (450, "e4m3", "to_odd", 448),
        (5, "fp4", "nearest_even", 4),
        (3, "e8m0", "nearest_even", 4),  # no even significand at precision 1: the larger (IEEE 754, 4.3.1)
        (2**53 + 1, "fp64", "nearest_even", 2**53),
        (2**53 + 1, "fp32", "toward_positive", 2**53 + 2**30),
        (2.0**-25, "fp16", "nearest_even", 0),
        (Fraction(2**25 + 1, 2**50), "fp16", "nearest_even", 2.0**-24),
    ],
)
def test_known_conversions(number, name, rounding, expected):
    assert to_float(reference.round(number, get_format(name), rounding).value) == expected


def test_ties_at_precision_1_follow_the_parity_of_the_code_in_p3109_formats():
    fmt = get_format("binary5p1se")
    values = magnitudes(fmt)
    for code in range(1, len(values) - 1):
        tie = (values[code] + values[code + 1]) / 2
        assert reference.round(tie, fmt).code == code + code % 2


# -- specials, zeros and flags ---------------------------------------------------------------------


@pytest.mark.parametrize("a", [1, Fraction(1, 2), 448])
def test_a_difference_of_equals_is_plus_zero_except_toward_negative(a):
    for rounding in DETERMINISTIC:
        result = reference.subtract(a, a, FP16, rounding=rounding)
        assert result.code == (0x8000 if rounding == "toward_negative" else 0)
        assert result.flags == frozenset()


def test_the_sum_of_zeros_keeps_a_common_sign():
    assert reference.add(-0.0, -0.0, FP16).value is Special.NEGATIVE_ZERO
    assert reference.add(-0.0, 0.0, FP16).value == 0
    assert reference.add(-0.0, 0.0, FP16, rounding="toward_negative").value is Special.NEGATIVE_ZERO
    assert reference.sum([-0.0] * 3, FP16).value is Special.NEGATIVE_ZERO
    assert reference.sum([], FP16, rounding="toward_negative").value == 0


def test_minus_zero_becomes_zero_where_there_is_none():
    for name in ("e4m3fnuz", "binary8p4se", "binary8p4ue"):
        assert reference.round(-0.0, get_format(name)).code == 0
        assert reference.round(-1e-300 if get_format(name).signed else -0.0, get_format(name)).code == 0


@pytest.mark.parametrize(
    ("operation", "operands"),
    [
        ("add", (math.inf, -math.inf)),
        ("subtract", (math.inf, math.inf)),
        ("multiply", (0.0, -math.inf)),
        ("divide", (0.0, -0.0)),
        ("divide", (math.inf, math.inf)),
        ("sqrt", (-1,)),
        ("sqrt", (-math.inf,)),
        ("fma", (math.inf, 0.0, 1)),
        ("fma", (math.inf, 1, -math.inf)),
    ],
)
def test_invalid_operations_give_a_nan_and_the_flag(operation, operands):
    result = getattr(reference, operation)(*operands, E5M2)
    assert result.value is Special.NAN
    assert result.flags == {"invalid"}
    with pytest.raises(OverflowPolicyError, match="float4_e2m1fn has no NaN"):
        getattr(reference, operation)(*operands, FP4)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_nan_operand_gives_its_sign_and_no_flag(operation):
    operands = [1, 0, math.inf][: OPERATIONS[operation]]
    for position in range(len(operands)):
        changed = list(operands)
        changed[position] = -math.nan
        result = getattr(reference, operation)(*changed, FP16)
        assert (result.value, result.flags) == (Special.NEGATIVE_NAN, frozenset())


@pytest.mark.parametrize(
    ("number", "name", "options", "value", "flags"),
    [
        (65535, "fp16", {"rounding": "toward_zero"}, 65504, {"inexact"}),
        (65536, "fp16", {"rounding": "toward_zero"}, 65504, {"overflow", "inexact"}),
        (65536, "fp16", {"overflow": "saturate"}, 65504, {"overflow", "inexact"}),
        (65536, "fp16", {"overflow": "nan"}, math.nan, {"overflow", "inexact"}),
        (math.inf, "fp16", {"overflow": "nan"}, math.inf, set()),
        (math.inf, "fp16", {"overflow": "saturate"}, 65504, {"invalid"}),
        (math.inf, "e4m3", {"rounding": "toward_zero"}, math.nan, {"invalid"}),
        (math.inf, "fp4", {}, 6, {"invalid"}),
        (7, "fp4", {}, 6, {"overflow", "inexact"}),
        (0, "e8m0", {}, math.nan, {"invalid"}),
        (0, "e8m0", {"overflow": "saturate"}, 2.0**-127, {"invalid"}),
        (2.0**-300, "e8m0", {}, 2.0**-127, {"underflow", "inexact"}),
        (-1, "binary8p3ue", {}, math.nan, {"invalid"}),
        (-math.inf, "binary8p3ue", {}, math.nan, {"invalid"}),
        (-1, "binary8p3ue", {"rounding": "toward_zero"}, 0, {"invalid"}),
        (-1, "binary8p3ue", {"overflow": "propagate"}, 0, {"invalid"}),
        (-1e-30, "binary8p3ue", {}, 0, {"underflow", "inexact"}),
        (-1e-30, "binary8p3ue", {"rounding": "toward_negative"}, math.nan, {"invalid"}),
        (1e9, "binary8p4se", {"rounding": "to_odd"}, math.inf, {"overflow", "inexact"}),
        (1e9, "fp16", {"overflow": "propagate"}, 65504, {"overflow", "inexact"}),
        (math.inf, "fp16", {"overflow": "propagate"}, math.inf, set()),
        (math.inf, "e4m3", {"overflow": "propagate"}, math.nan, {"invalid"}),
        (-1, "binary8p3ue", {"overflow": "saturate"}, 0, {"invalid"}),
        (2.0**-24, "fp16", {}, 2.0**-24, set()),  # exact: no underflow
        (2.0**-24, "fp16", {"subnormals": "flush"}, 0, {"underflow", "inexact"}),
        (2.0**-24, "fp16", {"flush_inputs": True}, 0, set()),
        (1.25 * 2.0**-24, "fp16", {}, 2.0**-24, {"underflow", "inexact"}),
        # Both become 2**-14, but with an unbounded exponent only the second does: tiny after rounding.
        (
            2.0**-14 - 2.0**-25 - 2.0**-27,
            "fp16",
            {"rounding": "toward_positive"},
            2.0**-14,
            {"underflow", "inexact"},
        ),
        (2.0**-14 - 2.0**-27, "fp16", {}, 2.0**-14, {"inexact"}),
        (2.0**-14 - 2.0**-25, "fp16", {"subnormals": "flush"}, 2.0**-14, {"underflow", "inexact"}),
    ],
)
def test_known_flags(number, name, options, value, flags):
    result = reference.round(number, get_format(name), **options)
    assert bits64([to_float(result.value)]) == bits64([value])
    assert result.flags == flags


def test_a_finite_number_over_zero_divides_by_zero():
    assert reference.divide(-1, 0, FP16) == (0xFC00, {"divide_by_zero"}, FP16)
    assert reference.divide(math.inf, -0.0, FP16) == (0xFC00, frozenset(), FP16)
    assert reference.divide(1, 0, E4M3).value is Special.NAN


def test_a_policy_that_the_format_cannot_carry_out_is_an_error():
    with pytest.raises(OverflowPolicyError, match="no infinity"):
        reference.round(1, E4M3, overflow="infinity")
    with pytest.raises(OverflowPolicyError, match="no NaN"):
        reference.round(1, FP4, overflow="nan")
    with pytest.raises(OverflowPolicyError, match="no NaN"):
        reference.round(math.nan, FP4, overflow="saturate")
    with pytest.raises(OptionError, match='Use "nearest_even"'):
        reference.round(1, FP4, "nearest_evn")
    with pytest.raises(OptionError, match="random_integer"):
        reference.round(Fraction(1, 3), FP4, "stochastic", random_integer=8, random_bits=3)


# -- sums ------------------------------------------------------------------------------------------


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), max_size=20))
def test_the_exact_sum_is_that_of_fsum(terms):
    try:
        expected = math.fsum(terms)
    except OverflowError:
        return
    assert to_float(reference.sum(terms, FP64).value) == expected


@pytest.mark.parametrize(
    ("name", "stop"), [("fp16", 2048), ("bf16", 256), ("e4m3", 16), ("e5m2", 8), ("fp4", 4)]
)
def test_adding_ones_stops_where_one_is_half_a_unit(name, stop):
    fmt = get_format(name)
    assert reference.sum([1] * (stop + 50), fmt, sequential=True).value == stop
    assert reference.dot([1] * (stop + 50), [1] * (stop + 50), fmt, sequential=True).value == stop


@pytest.mark.parametrize(
    ("name", "stop", "term"), [("bf16", 5.0625, 65), ("fp16", 7.0859375, 513), ("e5m2", 2, 5)]
)
def test_the_harmonic_series_converges(name, stop, term):
    fmt = get_format(name)
    terms = [reference.round(Fraction(1, n), fmt).value for n in range(1, 1000)]
    assert to_float(reference.sum(terms, fmt, sequential=True).value) == stop
    assert to_float(reference.sum(terms[: term - 1], fmt, sequential=True).value) == stop
    assert to_float(reference.sum(terms[: term - 2], fmt, sequential=True).value) < stop


def test_an_exact_dot_product_rounds_once_and_a_sequential_one_each_time():
    a, b = [2048, 1, 1, -2048], [1, 1, 1, 1]
    assert reference.dot(a, b, FP16).value == 2
    assert reference.dot(a, b, FP16, sequential=True).value == 0
    assert "inexact" in reference.dot(a, b, FP16, sequential=True).flags
    # The product is not rounded before it is added: 255 * 257 - 65536 = -1 needs 16 bits on the way.
    assert reference.dot([65536, 255], [-1, 257], FP32, sequential=True).value == -1
    assert reference.dot([math.inf, 1], [0, 1], FP16).flags == {"invalid"}
    assert reference.dot([math.inf, math.nan], [0, 1], FP16) == (0x7E00, frozenset(), FP16)
    assert reference.dot([], [], FP16).code == 0
    with pytest.raises(ValueError, match="shorter"):
        reference.dot([1], [], FP16)


def test_exact_takes_numpy_and_python_scalars_as_they_are():
    assert exact(np.float32(0.1)) == Fraction(13421773, 2**27)
    assert exact(np.int64(2**62 + 1)) == 2**62 + 1
    assert exact(ml_dtypes.bfloat16(-0.0)) is Special.NEGATIVE_ZERO
    assert exact(10**400) == 10**400
    assert exact(-math.nan) is Special.NEGATIVE_NAN


def test_roots_of_squares_are_exact_and_others_never_are():
    for code in range(E4M3.max_code + 1):
        value = reference.decode(code, E4M3)
        root = reference.sqrt(value * value, E4M3)
        assert (root.code, root.flags) == (code, frozenset())
    assert reference.sqrt(2, FP64, rounding="toward_zero").flags == {"inexact"}
    assert to_float(reference.sqrt(2, FP64).value) == math.sqrt(2)


@pytest.mark.parametrize("rounding", STOCHASTIC)
def test_stochastic_rounding_goes_up_as_often_as_the_discarded_fraction_says(rounding):
    # 1.375 lies 3/4 of the way from 1.25 to ... no further: e5m2 has 1.25 and 1.5 around it, so v is 1/2.
    ups = [
        reference.round(1.375, E5M2, rounding, random_integer=r, random_bits=4).value == 1.5
        for r in range(16)
    ]
    assert ups.count(True) == 8
    assert ups == sorted(ups)
    exact_value = [
        reference.round(1.25, E5M2, rounding, random_integer=r, random_bits=4).value for r in range(16)
    ]
    assert exact_value == [Fraction(5, 4)] * 16


def test_odd_formats_cover_every_kind_of_specials():
    assert {fmt.specials for fmt in ODD} >= {"ieee", "fn", "fnuz", "finite", "scale"}
    assert {fmt.bits for fmt in CATALOGUE_8} == {4, 6, 8}
