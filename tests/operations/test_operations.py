"""Arithmetic on plain values: every route, every mode, every flag, against oracles that share no code with it."""

import itertools
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import DETERMINISTIC, STOCHASTIC, all_values, name_of

from floatlab import reference
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode_values
from floatlab.errors import DtypeError, FormatError, OptionError, OverflowPolicyError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.double_rounding import choose
from floatlab.operations.error_free import NATIVE
from floatlab.operations.integers import EXACT
from floatlab.operations.operate import OPERATIONS, operate
from floatlab.rounding.options import make_rule
from floatlab.rounding.quantize import quantize
from floatlab.rounding.ratios import round_ratio

FLAGS = ("invalid", "divide_by_zero", "overflow", "underflow", "inexact")
ORACLE = {name: getattr(reference, name) for name in OPERATIONS}


def _named(name, count):
    return lambda *args, **options: operate(name, args[:count], args[count], **options)


add, subtract, multiply, divide, sqrt, fma = (_named(*item) for item in OPERATIONS.items())


def formats(names):
    return [get_format(name) for name in names]


def expected(name, operands, fmt, *, random_integers=None, random_bits=0, **options):
    """Return the reference's codes and flags, element by element."""
    draws = np.zeros(len(operands[0]), int) if random_integers is None else random_integers
    results = [
        ORACLE[name](*map(float, xs), fmt, random_integer=int(r), random_bits=random_bits, **options)
        for *xs, r in zip(*operands, draws, strict=True)
    ]
    codes = np.array([result.code for result in results], np.uint64)
    return codes, {flag: np.array([flag in result.flags for result in results]) for flag in FLAGS}


def check(name, operands, fmt, formats=(), **options):
    """Hold `operate`, with flags and without, to the reference."""
    codes, flags = expected(name, operands, fmt, **options)
    plain = operate(name, operands, fmt, formats=formats, **options)
    values, found = operate(name, operands, fmt, formats=formats, return_flags=True, **options)
    assert plain.dtype == values.dtype == fmt.value_dtype
    for result in (plain, values):
        wrong = np.flatnonzero(encode_values(result, fmt).astype(np.uint64) != codes)
        assert not wrong.size, [
            (name, [float(x[i]) for x in operands], result[i], hex(codes[i])) for i in wrong[:5]
        ]
    for flag in FLAGS:
        wrong = np.flatnonzero(getattr(found, flag) != flags[flag])
        assert not wrong.size, [(flag, name, [float(x[i]) for x in operands], values[i]) for i in wrong[:5]]


def random_values(fmt, rng, n, count):
    """Return `count` arrays of n values of a format, finite or infinite, special ones among them."""
    found = []
    for _ in range(count):
        bits = fmt.code_dtype.type((1 << fmt.bits) - 1)
        codes = rng.integers(0, 2**64 - 1, n, np.uint64, endpoint=True).astype(fmt.code_dtype) & bits
        values = decode(codes, fmt)
        found.append(np.where(np.isnan(values), fmt.value_dtype.type(fmt.max), values))
    if fmt.bits > 16:  # else hardly any two of them have anything to do with each other
        near = rng.random(n) < 0.5
        for values in found:
            size = rng.standard_normal(n) * 2.0 ** rng.integers(-12, 12, n)
            values[near] = quantize(size, fmt)[near]
    return found


def draws(mode, rng, n, bits=12):
    if not mode.startswith("stochastic"):
        return {}
    return {"random_bits": bits, "random_integers": rng.integers(0, 1 << bits, n)}


# -- against the reference -----------------------------------------------------------------------------------

FORMATS = (
    "e4m3",
    "e5m2",
    "e4m3fnuz",
    "binary8p3se",
    "binary8p1uf",
    "e2m3",
    "bf16",
    "fp16",
    "tf32",
    "fp32",
    "e6m11",
    "e6m12",
    "e10m51",
    "fp64",
)


@pytest.mark.parametrize("mode", (*DETERMINISTIC, *STOCHASTIC))
@pytest.mark.parametrize("fmt", formats(FORMATS), ids=name_of)
def test_values_of_a_format_give_what_the_reference_gives(fmt, mode):
    rng = np.random.default_rng(list(fmt.name.encode() + mode.encode()))
    n = 100 if fmt.bits > 32 else 300
    for name, arity in OPERATIONS.items():
        xs = random_values(fmt, rng, n, arity)
        if not fmt.has_nan:  # no invalid operation, then
            xs = [np.where(x == 0, fmt.value_dtype.type(1), x) for x in xs]
            xs = [np.abs(x) for x in xs] if name == "sqrt" else xs
        check(name, xs, fmt, formats=(fmt,) * arity, rounding=mode, **draws(mode, rng, n))
        check(name, xs, fmt, rounding=mode, **draws(mode, rng, n))


@pytest.mark.parametrize("policy", ["saturate", "nan", "infinity"])
@pytest.mark.parametrize("fmt", formats(("e4m3", "e5m2", "fp16", "bf16", "fp32", "fp64")), ids=name_of)
def test_every_overflow_policy_is_that_of_the_reference(fmt, policy):
    if policy == "infinity" and not fmt.has_infinity:
        with pytest.raises(OverflowPolicyError, match="infinity"):
            operate("add", (1.0, 1.0), fmt, overflow=policy)
        return
    rng = np.random.default_rng(1)
    large = [np.float64(fmt.max) * rng.choice([1, -1, 0.5, 0.75], 40) for _ in range(3)]
    large[0][:2], large[1][:4] = np.inf, fmt.smallest_subnormal
    large = [quantize(x, fmt).astype(fmt.value_dtype) for x in large]
    for name, arity in OPERATIONS.items():
        for mode in ("nearest_even", "toward_zero", "toward_positive"):
            check(name, large[:arity], fmt, formats=(fmt,) * arity, rounding=mode, overflow=policy)


@pytest.mark.parametrize("mode", ["nearest_even", "toward_negative", "to_odd"])
@pytest.mark.parametrize("fmt", formats(("e4m3", "fp16", "fp32", "fp64")), ids=name_of)
def test_flushed_results_are_those_of_the_reference(fmt, mode):
    rng = np.random.default_rng(2)
    tiny = [fmt.smallest_normal * rng.uniform(-2, 2, 60) for _ in range(3)]
    tiny = [quantize(x, fmt).astype(fmt.value_dtype) for x in tiny]
    ones = quantize(rng.uniform(-2, 2, 60), fmt).astype(fmt.value_dtype)
    for name in ("add", "subtract", "multiply", "divide", "fma"):
        xs = [tiny[0], ones, tiny[1]] if name in ("multiply", "divide", "fma") else tiny
        check(name, xs[: OPERATIONS[name]], fmt, rounding=mode, subnormals="flush")


WIDE = {
    "of one sign, far apart": ([1.0, -1.0, 3.0], [2.0**-60, 2.0**-200, -(2.0**-1074)]),
    "beyond float64": ([1.7e308, -1.7e308, 1e308], [1.7e308, -1.7e308, 1e-308]),
    "below float64": ([1e-300, -1e-310, 5e-324], [1e-300, 3e-10, 5e-324]),
    "cancelling": ([1.0 + 2**-52, 1e16, -7.0], [-1.0, -1e16, 7.0]),
    "long": ([1 / 3, 0.1, 2.0**0.5], [1 / 7, -0.3, 2.0**0.5]),
}


@pytest.mark.parametrize("mode", (*DETERMINISTIC, "stochastic_c"))
@pytest.mark.parametrize("fmt", formats(("e4m3", "fp16", "fp32", "e11m46", "fp64")), ids=name_of)
def test_operands_need_not_be_values_of_the_format(fmt, mode):
    rng = np.random.default_rng(3)
    for a, b in WIDE.values():
        xs = [np.array(a), np.array(b), np.array(b[::-1])]
        for name, arity in OPERATIONS.items():
            check(name, xs[:arity], fmt, rounding=mode, **draws(mode, rng, 3, 3))


def test_a_fused_multiply_add_sees_what_the_product_hides():
    a = np.array([1 + 2**-30, 1 - 2**-27, 2.0**600, 1 + 2**-52, 1e-200])
    b = np.array([1 - 2**-30, 1 + 2**-27, 2.0**600, 1 - 2**-53, 1e-200])
    c = np.array([-1.0, -1.0, -np.inf, -1.0, 1.0])
    for fmt, mode in itertools.product(map(get_format, ("fp16", "fp32", "fp64")), DETERMINISTIC):
        check("fma", (a, b, c), fmt, rounding=mode)
        check("fma", (a, -b, -c), fmt, rounding=mode)


@pytest.mark.parametrize("mode", DETERMINISTIC)
@pytest.mark.parametrize("name", [n for n in OPERATIONS if OPERATIONS[n] > 1])
def test_special_operands_give_what_ieee_754_says(name, mode):
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, -np.nan, 65504.0, 2.0**-24]
    for fmt in map(get_format, ("fp16", "e4m3", "e5m2fnuz", "fp64")):
        values = [x for x in special if abs(x) <= fmt.max or x - x != 0]
        if name == "fma":
            values = values[:8]
        grid = np.array(list(itertools.product(values, repeat=OPERATIONS[name]))).T
        if not fmt.has_infinity:
            grid = np.where(np.isinf(grid), 1.0, grid)
        if fmt.smallest_subnormal > 2.0**-24:
            grid = np.where(grid == 2.0**-24, fmt.smallest_subnormal, grid)
        check(name, list(grid), fmt, rounding=mode)
        narrow = [x.astype(fmt.value_dtype) for x in grid]
        if fmt.has_negative_zero:
            check(name, narrow, fmt, formats=(fmt,) * len(narrow), rounding=mode)


@given(
    st.sampled_from(["e4m3", "fp16", "bf16", "fp32", "e5m6", "fp64"]),
    st.sampled_from(list(OPERATIONS)),
    st.sampled_from(DETERMINISTIC),
    st.lists(st.floats(allow_nan=False), min_size=3, max_size=3),
)
def test_any_float64_operands_are_rounded_once(fmt, name, mode, xs):
    check(name, [np.array([x]) for x in xs[: OPERATIONS[name]]], get_format(fmt), rounding=mode)


# -- against Berkeley SoftFloat --------------------------------------------------------------------------------

SOFTFLOAT_MODES = {
    "nearest_even": "NEAR_EVEN",
    "toward_zero": "MIN_MAG",
    "toward_negative": "MIN",
    "toward_positive": "MAX",
    "nearest_away": "NEAR_MAX_MAG",
}
SOFTFLOAT_NAMES = {"subtract": "sub", "multiply": "mul", "divide": "div", "fma": "mul_add"}
SOFTFLOAT_FLAGS = {"inexact": 1, "underflow": 2, "overflow": 4, "divide_by_zero": 8, "invalid": 16}


def edge_cases(fmt, rng, n):
    """Return codes around everything that matters, in pairs with each other and with random ones."""
    one = fmt.bias << fmt.mantissa_bits
    edges = [0, 1, 2, (1 << fmt.mantissa_bits) - 1, 1 << fmt.mantissa_bits, one - 1, one, one + 1]
    edges += [
        fmt.max_code - 1,
        fmt.max_code,
        fmt.inf_code,
        one + (1 << fmt.mantissa_bits),
        one | 1 << fmt.mantissa_bits - 1,
    ]
    edges = np.array([*edges, *(code | fmt.sign_mask for code in edges)], np.uint64)
    size = 1 << fmt.magnitude_bits
    random = rng.integers(0, size, n, np.uint64) | rng.integers(0, 2, n, np.uint64) << np.uint64(
        fmt.magnitude_bits
    )
    random[random % size > fmt.inf_code] = one
    near = rng.integers(one - (3 << fmt.mantissa_bits), one + (3 << fmt.mantissa_bits), n).astype(np.uint64)
    return np.concatenate(
        [
            rng.choice(edges, n),
            random,
            near | rng.integers(0, 2, n, np.uint64) << np.uint64(fmt.magnitude_bits),
        ]
    )


@pytest.mark.parametrize("mode", SOFTFLOAT_MODES)
@pytest.mark.parametrize("fmt", formats(("fp16", "fp32", "fp64")), ids=name_of)
def test_results_and_flags_are_those_of_softfloat(fmt, mode):
    softfloat = pytest.importorskip("softfloatpy")
    prefix = f"f{fmt.bits}"
    make = getattr(softfloat, f"Float{fmt.bits}").from_bytes
    rng = np.random.default_rng(4)
    softfloat.set_tininess_mode(softfloat.TininessMode.AFTER_ROUNDING)
    softfloat.set_rounding_mode(getattr(softfloat.RoundingMode, SOFTFLOAT_MODES[mode]))
    try:
        for name, arity in OPERATIONS.items():
            codes = [
                rng.permutation(edge_cases(fmt, rng, 2000 if fmt.bits < 64 else 400)) for _ in range(arity)
            ]
            function = getattr(softfloat, f"{prefix}_{SOFTFLOAT_NAMES.get(name, name)}")
            wanted, raised = [], []
            for operands in zip(*codes, strict=True):
                softfloat.set_exception_flags(0)
                bits = function(*(make(int(c).to_bytes(fmt.bits // 8, "big")) for c in operands)).to_bytes()
                wanted.append(int.from_bytes(bits, "big"))
                raised.append(int(softfloat.get_exception_flags()))
            wanted, raised = np.array(wanted, np.uint64), np.array(raised)
            xs = [decode(c.astype(fmt.code_dtype), fmt) for c in codes]
            values, flags = operate(name, xs, fmt, formats=(fmt,) * arity, rounding=mode, return_flags=True)
            plain = operate(name, xs, fmt, formats=(fmt,) * arity, rounding=mode)
            quiet = np.isnan(decode(wanted.astype(fmt.code_dtype), fmt))
            for result in (values, plain):
                found = encode_values(result, fmt).astype(np.uint64)
                wrong = np.flatnonzero(np.where(quiet, ~np.isnan(result), found != wanted))
                assert not wrong.size, [(name, [float(x[i]) for x in xs], result[i]) for i in wrong[:5]]
            for flag, bit in SOFTFLOAT_FLAGS.items():
                wrong = np.flatnonzero(getattr(flags, flag) != (raised & bit > 0))
                assert not wrong.size, [(flag, name, [float(x[i]) for x in xs], values[i]) for i in wrong[:5]]
    finally:
        softfloat.set_rounding_mode(softfloat.RoundingMode.NEAR_EVEN)


# -- against ml_dtypes, whose operators round a float32 result once -----------------------------------------------


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
@pytest.mark.parametrize("fmt", formats(("e4m3", "e5m2", "e3m4", "e4m3fnuz", "e4m3b11")), ids=name_of)
def test_all_pairs_of_eight_bit_values_are_those_of_ml_dtypes(fmt, name):
    codes = np.arange(256, dtype=np.uint8)
    a, b = (x.ravel() for x in np.meshgrid(codes, codes))
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(a.view(fmt.dtype), b.view(fmt.dtype)).astype(np.float32)
    values = operate(name, (decode(a, fmt), decode(b, fmt)), fmt, formats=(fmt, fmt))
    np.testing.assert_array_equal(values, wanted)
    np.testing.assert_array_equal(np.signbit(values[values == 0]), np.signbit(wanted[wanted == 0]))


def test_bfloat16_values_are_those_of_ml_dtypes():
    fmt, rng = get_format("bf16"), np.random.default_rng(5)
    a, b = (rng.integers(0, 1 << 16, 200_000).astype(np.uint16) for _ in range(2))
    for name in ("add", "multiply", "divide"):
        with np.errstate(all="ignore"):
            wanted = getattr(np, name)(a.view(ml_dtypes.bfloat16), b.view(ml_dtypes.bfloat16)).astype(
                np.float32
            )
        values = operate(name, (decode(a, fmt), decode(b, fmt)), fmt, formats=(fmt, fmt))
        normal = ~(np.abs(wanted) < 2.0**-126)  # below, its float32 result has been rounded before
        np.testing.assert_array_equal(values[normal], wanted[normal])


# -- the routes -----------------------------------------------------------------------------------------------------


def route(name, fmt, mode="nearest_even", flags=False, known=True, bits=0, sizes=None):
    fmt = get_format(fmt)
    arity = OPERATIONS[name]
    formats = (fmt if known else None,) * arity
    return choose(name, fmt, formats, sizes or (fmt.value_dtype.itemsize,) * arity, mode, True, flags, bits)


def test_the_direct_route_is_taken_where_it_is_right_and_only_there():
    for name in ("add", "subtract", "multiply", "divide", "sqrt"):
        assert route(name, "fp16")[:2] == ("direct", np.float32)
    assert route("add", "e4m3", "to_odd", flags=True)[:2] == ("direct", np.float32)  # the sum is exact
    assert route("add", "fp16", "to_odd")[:2] == ("direct", np.float64)  # exact there
    assert route("multiply", "bf16") == (
        "direct",
        np.float32,
        True,
        False,
        True,
    )  # subnormal products are watched
    assert route("multiply", "bf16", flags=True).carrier == np.float64
    assert route("multiply", "bf16", "stochastic", bits=16).carrier == np.float64  # float32 lacks the bits
    assert route("divide", "e7m11b100").carrier == np.float64  # float32 may hide which side of a tie
    assert route("add", "fp16", known=False).name == "odd"  # of float32 numbers, which may be close to a tie
    assert route("add", "fp32").name == "direct"
    assert route("add", "fp32", "toward_zero").name == "odd"
    assert route("add", "fp32", flags=True).name == "odd"
    assert route("multiply", "fp32", "toward_zero")[:2] == ("direct", np.float64)
    assert route("fma", "fp16").name == "odd"
    assert route("fma", "e4m3").name == "direct"
    assert route("add", "fp64").name == "direct"
    assert route("add", "e6m10").carrier == np.float32 and route("add", "e6m11").carrier == np.float64
    assert route("divide", "e10m50").name == "odd" and route("divide", "e10m51").name == "integers"
    assert route("add", "fp64", "toward_zero").name == "steps"
    assert route("add", "fp64", "nearest_away").name == "integers"
    assert route("divide", "fp16", "stochastic", bits=24).name == "direct"
    assert route("divide", "fp32", "stochastic", bits=40).name == "integers"


def test_one_and_a_half_ulp_of_doubt_is_not_rounded_twice():
    # 1 + 2^-11 is a tie in float16; 2^-60 more decides it, which a float64 sum cannot hold
    tie = np.float64(1 + 2**-11)
    assert add(tie, 2.0**-60, "fp16") == 1 + 2**-10
    assert add(tie, -(2.0**-60), "fp16") == 1
    assert subtract(-tie, 2.0**-60, "fp16") == -1 - 2**-10


def test_every_route_gives_the_same_stochastic_result():
    rng = np.random.default_rng(6)
    fmt = get_format("fp16")
    a, b = random_values(fmt, rng, 500, 2)
    for mode in STOCHASTIC:
        options = draws(mode, rng, 500, 24) | {"rounding": mode}
        fast = operate("divide", (a, b), fmt, formats=(fmt, fmt), **options)
        slow = operate("divide", (a.astype(float), b.astype(float)), fmt, **options)
        np.testing.assert_array_equal(fast, slow)


def test_a_generator_is_used_as_quantize_uses_it():
    a = np.full(10, 1.0, np.float32)
    options = {"rounding": "stochastic", "random_bits": 8}
    first = divide(a, 3.0, "e4m3", rng=np.random.default_rng(7), **options)
    again = divide(a, 3.0, "e4m3", rng=np.random.default_rng(7), **options)
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(divide(np.ones(99), 3.0, "e4m3", rng=np.random.default_rng(8), **options))) == 2


def test_inputs_are_flushed_before_the_operation():
    fmt = get_format("fp16")
    tiny, one = np.float32(2.0**-15), np.float32(1.0)
    assert add(tiny, -tiny / 2, fmt, flush_inputs=True) == 0
    assert multiply(tiny, 2.0**10, fmt) == 2.0**-5
    values, flags = multiply([tiny, -tiny], 2.0**10, fmt, flush_inputs=True, return_flags=True)
    assert values.tolist() == [0, 0] and np.signbit(values).tolist() == [False, True]
    assert not any(flags.counts.values())
    assert divide(one, tiny, fmt, flush_inputs=True) == np.inf
    assert multiply(2.0**-14, 0.5, fmt, flush_inputs=True) == 2.0**-15  # a result is not an input


# -- shapes, types, errors ----------------------------------------------------------------------------------------


def test_operands_broadcast_and_may_have_any_strides():
    rng = np.random.default_rng(9)
    a, b = rng.standard_normal((5, 1, 4)), rng.standard_normal((3, 4))
    wanted = quantize(a + b, "e4m3")  # the float64 sum is good enough for random numbers
    np.testing.assert_array_equal(add(a, b, "e4m3"), wanted)
    np.testing.assert_array_equal(add(a.T, b.T[..., None], "e4m3").shape, (4, 3, 5))
    values, flags = subtract(a.T, a.T, "fp16", rounding="toward_negative", return_flags=True)
    assert np.signbit(values).all() and flags.inexact.shape == (4, 1, 5)
    assert add(np.zeros((0, 3)), 1.0, "fp16").shape == (0, 3)
    assert add(1.0, 2.0, "fp16").shape == ()


def test_the_operands_are_not_written_to():
    a, b = np.float32([1.5, np.nan]), np.float32([0.1, 1.0])
    for name, fmt in itertools.product(("add", "fma", "sqrt"), ("fp16", "fp32", "fp64")):
        xs = (a, b, a)[: OPERATIONS[name]]
        operate(name, xs, fmt, rounding="toward_negative")
        operate(name, [x.astype(float) for x in xs], fmt)
    np.testing.assert_array_equal(a, np.float32([1.5, np.nan]))
    np.testing.assert_array_equal(b, np.float32([0.1, 1.0]))


def test_integers_and_narrow_types_are_taken_exactly():
    assert add(np.int64(2**53 - 1), 2, "fp64").item() == 2.0**53 + 0  # 2^53 + 1 is a tie
    assert multiply(np.array([3], np.int8), np.float16([0.5]), "e4m3").item() == 1.5
    assert add(ml_dtypes.bfloat16(1.5), True, "fp16").item() == 2.5


def test_what_is_no_number_is_refused():
    for wrong in ("a", 1j, None, [[1], [1, 2]]):
        with pytest.raises(DtypeError):
            add(wrong, 1.0, "fp16")
    with pytest.raises(ShapeError, match=r"\(3,\) and \(4,\)"):
        add(np.ones(3), np.ones(4), "fp16")
    with pytest.raises(OptionError, match="nearest_even"):
        add(1.0, 1.0, "fp16", rounding="nearest_evn")
    with pytest.raises(FormatError, match="float16"):
        add(1.0, 1.0, "float17")
    with pytest.raises(OptionError, match="Generator"):
        add(1.0, 1.0, "fp16", rounding="stochastic")
    with pytest.raises(OptionError, match="formats has one entry"):
        operate("add", (1.0, 1.0), "fp16", formats=(get_format("fp16"),))


def test_an_invalid_operation_in_a_format_without_nan_is_an_error():
    with pytest.raises(OverflowPolicyError, match="NaN"):
        divide(0.0, 0.0, "fp4")
    assert divide(1.0, 0.0, "fp4").item() == 6


# -- integers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", DETERMINISTIC)
def test_integers_are_rounded_as_the_reference_rounds_fractions(mode):
    rng = np.random.default_rng(10)
    for fmt in (get_format("fp16"), get_format("fp64"), FloatFormat("e3m2", 3, 2)):
        for _ in range(300):
            n = int(rng.integers(-(2**62), 2**62)) >> int(rng.integers(0, 60)) or 1
            e = int(rng.integers(-90, 10)) - 20 * (fmt.bits == 64)
            number = Fraction(n) * Fraction(2) ** e
            rule = make_rule(fmt, mode, None, "gradual", False)
            found = round_ratio(number.numerator, number.denominator, rule)
            wanted = reference.round(number, fmt, mode)
            assert found.value == reference.to_float(wanted.value)
            for flag in ("overflow", "inexact", "underflow"):
                assert getattr(found, flag) == (flag in wanted.flags)


def test_quotients_and_roots_say_by_their_last_bit_that_there_is_more():
    n, e = EXACT["divide"](53, 1.0, 3.0)
    assert n & 1 and abs(Fraction(n) * Fraction(2) ** e - Fraction(1, 3)) < Fraction(2) ** -53
    n, e = EXACT["sqrt"](53, 2.0**-1074)
    assert Fraction(n) * Fraction(2) ** e == Fraction(2) ** -537
    n, e = EXACT["sqrt"](53, 2.0)
    assert n & 1 and abs((Fraction(n) * Fraction(2) ** e) ** 2 - 2) < Fraction(2) ** -50
    assert EXACT["divide"](53, -6.0, 2.0)[0] < 0


def test_all_pairs_of_a_small_format_in_every_mode():
    fmt = get_format("fp4")
    values = all_values(fmt).astype(np.float32)
    a, b = (x.ravel() for x in np.meshgrid(values, values))
    b1 = np.where(b == 0, np.float32(1), b)
    for mode, name in itertools.product(DETERMINISTIC, ("add", "subtract", "multiply", "divide", "fma")):
        xs = [a, b1 if name == "divide" else b, b][: OPERATIONS[name]]
        check(name, xs, fmt, formats=(fmt,) * len(xs), rounding=mode)


def test_short_operands_may_have_a_result_that_only_float64_holds():
    wide, short = FloatFormat("e2m1b-279", 2, 1, -279), formats(["e5m2", "e5m2"])
    product = operate("multiply", (np.float32([2.0]), np.float32([-0.0])), wide, formats=short)
    assert product.dtype == np.float64 and product[0] == 0 and np.signbit(product[0])
    assert operate("sqrt", (np.float32([0.0]),), wide, formats=short[:1]).dtype == np.float64


def test_flushing_below_a_bound_that_float32_lacks_makes_no_noise():
    scale = FloatFormat("e2m0b-167", 2, 0, -167, "scale", False)
    with np.errstate(all="raise"):
        values, flags = operate("sqrt", (np.float32([1e-4]),), scale, flush_inputs=True, return_flags=True)
    assert np.isnan(values).all() and flags.invalid.all()


# -- what a mistake in one route would change ------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_fma_beside_a_tie_of_float64_is_rounded_once(sign):
    # The product is 1 - 2^-60, the tie 2^53 + 3: what is left after the first addition is rounded to odd, not to 1.
    a, b, c = 1.0 + 2.0**-30, 1.0 - 2.0**-30, 2.0**53 + 2.0
    assert fma(sign * a, b, sign * c, "fp64") == sign * (2.0**53 + 2.0)
    assert fma(sign * (1.0 + 2.0**-30), 1.0 + 2.0**-31, sign * 2.0**53, "fp64") == sign * (2.0**53 + 2.0)
    assert fma(sign * a, -b, sign * (2.0**53 + 4.0), "fp64") == sign * (2.0**53 + 3.0 + 1.0)
    rng = np.random.default_rng(0)
    fmt = get_format("fp64")
    for _ in range(200):
        k, top = int(rng.integers(27, 45)), float(rng.integers(2**52, 2**53))
        x, y = 1.0 + 2.0**-k, 1.0 - 2.0**-k * float(rng.choice([-1.0, 1.0, 0.5]))
        z = top * 2.0 + float(rng.choice([0.0, 2.0]))
        wanted = reference.to_float(reference.fma(x, y, z, fmt).value)
        assert fma(x, y, z, "fp64") == wanted, (x, y, z)


def test_the_addend_of_an_fma_is_flushed_as_its_factors_are():
    options = {"rounding": "toward_positive", "flush_inputs": True}
    assert fma(1.0, 1.0, 2.0**-20, "fp16", **options) == 1.0
    assert fma(2.0**-20, 1.0, 1.0, "fp16", **options) == 1.0
    assert fma(1.0, 2.0**-20, 1.0, "fp16", **options) == 1.0
    assert fma(1.0, 1.0, 2.0**-20, "fp16", rounding="toward_positive") > 1.0


@pytest.mark.parametrize("rounding", STOCHASTIC)
def test_stochastic_sums_in_float64_follow_every_random_integer(rounding):
    fmt = get_format("fp64")
    for bits, tail in (
        (2, 2.0**-55),
        (2, 2.0**-53),
        (3, 3 * 2.0**-55),
        (3, 2.0**-56 + 2.0**-90),
        (2, -(2.0**-55)),
    ):
        for integer in range(1 << bits):
            got = add(
                1.0, tail, "fp64", rounding=rounding, random_bits=bits, random_integers=np.array(integer)
            )
            wanted = reference.add(
                1.0, tail, fmt, rounding=rounding, random_bits=bits, random_integer=integer
            )
            assert got == reference.to_float(wanted.value), (bits, tail, integer)


@pytest.mark.parametrize("bits", [11, 12, 13, 24, 25, 26, 27, 28])
def test_quotients_and_sums_of_every_precision_near_a_carrier_are_rounded_once(bits):
    fmt, rng = FloatFormat(f"p{bits}", 9, bits - 1), np.random.default_rng(bits)
    top = 2 ** (bits - 1)
    a = rng.integers(top, 2 * top, 3000) / top
    b = rng.integers(top, 2 * top, 3000) / top
    # Quotients as near to a midpoint m as they can be: a 2^bits - m b is 1 or -1.
    for y in (rng.integers(top // 2, top, 3000) * 2 + 1).tolist():
        for side in (1, -1):
            m = side * pow(y, -1, 1 << bits) % (1 << bits) + (1 << bits)
            x = (m * y - side) >> bits
            if x < 2 * top:
                a, b = np.append(a, x / top), np.append(b, y / top)
    got = divide(a, b, fmt, formats=(fmt, fmt)).astype(float)
    for x, y, value in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
        q = Fraction(x) / Fraction(y)
        unit = Fraction(2) ** ((0 if q >= 1 else -1) - (bits - 1))
        assert Fraction(value) == round(q / unit) * unit, (x, y)
    small = rng.choice([-bits - 1, -bits, -bits + 1, -2 * bits, -2 * bits - 1], a.size)
    terms = b * np.exp2(small)
    sums = add(a, terms, fmt, formats=(fmt, fmt)).astype(float)
    for x, y, value in zip(a.tolist(), terms.tolist(), sums.tolist(), strict=True):
        total = Fraction(x) + Fraction(y)
        unit = Fraction(2) ** ((1 if total >= 2 else 0) - (bits - 1))
        assert Fraction(value) == round(total / unit) * unit, (x, y)


# -- formats that begin where float32 ends ---------------------------------------------------------------------


def test_what_leaves_float32_does_not_leave_a_format_of_wider_range():
    wide, above = FloatFormat("e9m1", 9, 1), FloatFormat("e2m1b-311", 2, 1, -311)
    a, b = np.float32([65472.0]), np.float32([2.0**125])
    short = formats(["fp16", "bf16"])
    assert operate("multiply", (a, b), wide, formats=short)[0] == 2.0**141
    assert operate("divide", (a, 1 / b), wide, formats=short)[0] == 2.0**141
    assert operate("divide", (-a, 1 / b), above, formats=short)[0] == 0  # far below its smallest value, 2^311


def test_flags_of_float32_operands_know_formats_beyond_float32():
    above = FloatFormat("e2m1b-260", 2, 1, -260)
    terms = np.float32([6.0]), np.float32([np.inf])
    values, flags = operate(
        "add", terms, above, overflow="saturate", return_flags=True, formats=formats(["e3m2", "fp16"])
    )
    assert values[0] == above.max and flags.invalid.all() and not flags.inexact.any()


@pytest.mark.parametrize("bias", [-993, -513, 127, 1023, 1073])
def test_any_tiny_result_is_the_smallest_value_of_a_scale(bias):
    scale = FloatFormat("scale", 3, 0, bias, "scale", False)
    tiny = scale.lowest / 2**8 if scale.lowest > 2.0**-1000 else 0.0
    operands = (np.array([tiny]), np.array([1.0])) if tiny else (np.array([2.0**-540]), np.array([2.0**-545]))
    values, flags = operate("multiply", operands, scale, return_flags=True)
    assert values[0] == scale.lowest
    assert flags.underflow.all() and flags.inexact.all() and not flags.invalid.any()


@pytest.mark.parametrize("fields", [(6, 4, 1070), (1, 51, 1), (11, 2, 1024)])
def test_a_negative_result_that_rounds_to_zero_is_zero_in_an_unsigned_p3109_format(fields):
    fmt = FloatFormat("unsigned", *fields, "p3109_extended", False)
    values, flags = operate(
        "multiply", (np.array([-(2.0**-600)]), np.array([2.0**-600])), fmt, return_flags=True
    )
    assert values[0] == 0 and flags.underflow.all() and not flags.invalid.any()
    assert np.isnan(operate("subtract", (np.array([0.0]), np.array([fmt.max])), fmt)[0])


def test_a_result_that_rounds_up_to_the_smallest_value_of_float64_is_not_tiny():
    fmt = FloatFormat("powers", 3, 0, 1073, "p3109_extended")
    smallest = 2.0**-1072
    xs = np.array([smallest]), np.array([-(2.0**-1068)]), np.array([smallest])
    values, flags = operate("fma", xs, fmt, return_flags=True, formats=(fmt,) * 3)
    assert values[0] == smallest and flags.inexact.all() and not flags.underflow.any()


WATCHED = ("bf16", "e8m3", "e8m10", "e7m10b100", "e7m3b90fn")


@pytest.mark.parametrize("mode", DETERMINISTIC)
@pytest.mark.parametrize("fmt", formats(WATCHED), ids=name_of)
@pytest.mark.parametrize("name", ["multiply", "divide"])
def test_results_that_float32_would_round_twice_below_its_normal_numbers_are_rounded_once(name, fmt, mode):
    """Around 2^-126, where the normal numbers of float32 end, many results or few, among zeros and ordinary ones."""
    assert choose(name, fmt, (fmt, fmt), (4, 4), mode, True, False, 0).watched
    rng, n = np.random.default_rng(8), 4000
    significands = 1 + rng.integers(0, 1 << fmt.mantissa_bits, (2, n)) / 2.0**fmt.mantissa_bits
    if name == "multiply":
        exponents = rng.integers(-75, -55, (2, n))
    else:
        top = min(fmt.emax - 1, 60)
        exponents = np.array([rng.integers(top - 138, top - 118, n), rng.integers(top - 8, top, n)])
    tiny = significands * 2.0**exponents
    for share in (1.0, 0.02):  # up to a sixteenth they are mended one by one
        x, y = quantize(np.where(rng.random(n) < share, tiny, significands), fmt).astype(np.float32)
        x[::97], x = 0.0, x * rng.choice([-1, 1], n).astype(np.float32)
        got = operate(name, (x, y), fmt, formats=(fmt, fmt), rounding=mode)
        wide = NATIVE[name](x.astype(np.float64), y.astype(np.float64))  # exact, or hidden: Figueroa 1995
        wanted = quantize(wide, fmt, rounding=mode)
        assert np.array_equal(got, wanted) and np.array_equal(np.signbit(got), np.signbit(wanted))
        for a, b, value in zip(x[:400].tolist(), y[:400].tolist(), got.tolist(), strict=False):
            exact = Fraction(a) * Fraction(b) if name == "multiply" else Fraction(a) / Fraction(b)
            assert not exact or value == reference.to_float(reference.round(exact, fmt, mode).value)
    assert (np.abs(NATIVE[name](*quantize(tiny, fmt))) < 2.0**-126).sum() > n / 4
