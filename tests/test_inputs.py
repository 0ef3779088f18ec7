"""What may be passed in: any real number, exactly, and options of the right kind, by every public numeric function."""

import collections
import re
import warnings
from decimal import Decimal
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from support import DETERMINISTIC, STOCHASTIC, bits64

import floatlab as fl
from floatlab import reference
from floatlab.context import Arithmetic
from floatlab.errors import DtypeError, FloatlabError
from floatlab.formats import FloatFormat, get_format
from floatlab.functions.evaluate import evaluate
from floatlab.sums import matmul as accumulate


def label(x):
    """Return a test's name for a value: its text, without what differs from process to process."""
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(x))


ONE_OPERAND = (
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
)
ONE_OPERAND += ("sigmoid", "softplus", "erf", "gelu", "rsqrt", "sqrt", "square", "reciprocal")
TWO_OPERANDS = ("add", "subtract", "multiply", "divide")
X = np.array([0.5, 1.0, 2.0])

# Every public numeric function, with operands of its kind; what it is given beside them comes last.
ELEMENTWISE = {
    "quantize": lambda x, fmt, **kw: fl.quantize(x, fmt, **kw),
    "encode": lambda x, fmt, **kw: fl.encode(x, fmt, **kw),
    "array": lambda x, fmt, **kw: fl.array(x, fmt, **kw),
    **{name: lambda x, fmt, f=name, **kw: getattr(fl, f)(x, fmt, **kw) for name in ONE_OPERAND},
    **{name: lambda x, fmt, f=name, **kw: getattr(fl, f)(x, x, fmt, **kw) for name in TWO_OPERANDS},
    "fma": lambda x, fmt, **kw: fl.fma(x, x, x, fmt, **kw),
    "evaluate": lambda x, fmt, **kw: evaluate("exp", x, fmt, **kw),
    "cumsum": lambda x, fmt, **kw: fl.cumsum(x, fmt, **kw),
    "cumprod": lambda x, fmt, **kw: fl.cumprod(x, fmt, **kw),
    "prod": lambda x, fmt, **kw: fl.prod(x, fmt, **kw),
}
SUMS = {
    "sum": lambda x, fmt, **kw: fl.sum(x, fmt, **kw),
    "mean": lambda x, fmt, **kw: fl.mean(x, fmt, **kw),
    "dot": lambda x, fmt, **kw: fl.dot(x, x, fmt, **kw),
    "matmul": lambda x, fmt, **kw: fl.matmul(x, x, fmt, **kw),
    "accumulate.sum": lambda x, fmt, **kw: accumulate.sum(x, fmt, **kw),
}
PLAIN = {
    name: lambda x, fmt, f=name: getattr(fl, f)(x, fmt)
    for name in ("asarray", "classify", "spacing", "ulp", "next_up", "next_down")
}
EVERYWHERE = ELEMENTWISE | SUMS

WRONG = [
    [],
    {},
    ["nearest_even"],
    np.array([1, 2]),
    np.array("saturate"),
    object(),
    7,
    1.5,
    b"saturate",
    "x",
    np.nan,
]
SHARED_OPTIONS = ("rounding", "overflow", "subnormals")


@pytest.mark.parametrize("wrong", WRONG, ids=label)
@pytest.mark.parametrize("option", SHARED_OPTIONS)
@pytest.mark.parametrize("name", EVERYWHERE)
def test_an_option_of_the_wrong_type_is_refused_in_our_words(name, option, wrong):
    with pytest.raises(FloatlabError, match=f"{option} must be one of"):
        EVERYWHERE[name](X, "e4m3", **{option: wrong})


@pytest.mark.parametrize(
    "wrong", [[], {}, np.array([1, 2]), np.array(1), object(), 7, 1.5, "x", b"x", None], ids=label
)
@pytest.mark.parametrize("name", [n for n in EVERYWHERE if n not in ("array", "cumsum", "cumprod", "prod")])
def test_a_switch_is_true_or_false(name, wrong):
    options = ["return_flags"] if name != "accumulate.sum" else []
    options += [] if name in SUMS else ["flush_inputs"]
    for option in options:
        with pytest.raises(FloatlabError, match=f"{option} is True or False"):
            EVERYWHERE[name](X, "e4m3", **{option: wrong})


@pytest.mark.parametrize("true", [True, np.True_, 1, np.int8(1), 1.0])
def test_what_equals_true_is_true(true):
    assert fl.quantize([0.001], "e4m3", flush_inputs=true).tolist() == [0.0]
    assert len(fl.quantize([0.001], "e4m3", return_flags=true)) == 2


@pytest.mark.parametrize(
    "wrong",
    [[], {}, {"a": 1}, ["e4m3"], np.array([1, 2]), object(), 7, 1.5, b"e4m3", np.int32, "x=", "", np.nan],
    ids=label,
)
@pytest.mark.parametrize("name", EVERYWHERE | PLAIN)
def test_what_is_no_format_is_refused_by_every_function(name, wrong):
    with pytest.raises(FloatlabError):
        (EVERYWHERE | PLAIN)[name](X, wrong)


@pytest.mark.parametrize(
    "wrong", [[], {}, np.array([1, 2]), object(), 7, 1.5, b"wide", "x", np.nan, None], ids=label
)
@pytest.mark.parametrize("name", SUMS)
def test_what_is_no_accumulator_is_refused(name, wrong):
    with pytest.raises(FloatlabError, match="accumulator"):
        SUMS[name](X, "e4m3", accumulator=wrong)


@pytest.mark.parametrize(
    "wrong", [0, 49, True, 1.0, "16", [16], np.array([1, 2]), np.float64(3), 10**400], ids=label
)
@pytest.mark.parametrize("name", ["quantize", "encode", "array", "add", "sqrt", "fma", "exp", "evaluate"])
def test_random_bits_are_an_integer_from_1_to_48(name, wrong):
    rng = np.random.default_rng(0)
    with pytest.raises(FloatlabError, match="random_bits is an integer"):
        ELEMENTWISE[name](X, "e4m3", rounding="stochastic", rng=rng, random_bits=wrong)


@pytest.mark.parametrize(
    "wrong",
    [[1.5], "1", [[1], [2, 3]], {}, object(), np.ma.array([1, 2, 3], mask=[0, 1, 0]), [True], -1, 2**70],
    ids=label,
)
@pytest.mark.parametrize("name", ["quantize", "encode", "array", "add", "sqrt", "fma", "exp", "evaluate"])
def test_random_integers_are_integers_in_a_regular_array(name, wrong):
    with pytest.raises(FloatlabError, match=r"random_integers|random integer"):
        ELEMENTWISE[name](X, "e4m3", rounding="stochastic", random_integers=wrong)


@pytest.mark.parametrize(
    "wrong", [1.5, -1, "rng", np.random, np.random.RandomState(0), [np.random.default_rng(0)]], ids=label
)
@pytest.mark.parametrize("name", ["quantize", "encode", "array", "add", "sqrt", "fma", "exp", "evaluate"])
def test_what_is_no_generator_is_refused(name, wrong):
    with pytest.raises(FloatlabError, match=r"numpy\.random\.Generator"):
        ELEMENTWISE[name](X, "e4m3", rounding="stochastic", rng=wrong)


@pytest.mark.parametrize("option", ["rounding", "overflow", "subnormals", "accumulator"])
@pytest.mark.parametrize("wrong", [[], {}, np.array(["a", "b"]), object(), 7], ids=label)
def test_the_context_refuses_the_same(option, wrong):
    with pytest.raises(FloatlabError):
        Arithmetic(**{option: wrong})
    with pytest.raises(FloatlabError), fl.arithmetic(**{option: wrong}):
        pass


# -- out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("source", [np.float16, np.float32, np.float64, int])
@pytest.mark.parametrize("fmt", ["e4m3", "e5m2", "fp4", "fp16", "e3m4", "binary8p3se"])
@pytest.mark.parametrize("n", [3, 10_000])
def test_out_may_have_any_type_that_holds_every_value(dtype, source, fmt, n):
    x = (np.arange(n) % 97 - 40).astype(source) * source(0.75 if source is not int else 1)
    out = np.empty(n, dtype)
    assert fl.quantize(x, fmt, out=out) is out
    assert np.array_equal(out, fl.quantize(x, fmt))
    again, _ = fl.quantize(x, fmt, out=np.empty(n, dtype), return_flags=True)
    assert again.dtype == dtype and np.array_equal(again, out)
    strided = np.empty(2 * n, dtype)[::2]
    assert np.array_equal(fl.quantize(x, fmt, out=strided), out)


LACKING = [("bf16", np.float16), ("e8m0", np.float16), ("tf32", np.float16), ("fp32", np.float16)]
LACKING += [("fp64", np.float32), ("e9m5", np.float32), ("e5m11", np.float16), ("e4m3b30", np.float16)]


@pytest.mark.parametrize(("fmt", "dtype"), LACKING)
def test_out_of_a_type_that_lacks_a_value_is_refused(fmt, dtype):
    fmt = fl.get_format(fmt)
    with np.errstate(all="ignore"):
        ends = (fmt.smallest_subnormal, fmt.max, fmt.magnitude(fmt.max_code - 1))
        assert any(float(dtype(x)) != x for x in ends)
    with pytest.raises(FloatlabError, match="out must hold every value"):
        fl.quantize(X, fmt, out=np.empty(3, dtype))


@pytest.mark.parametrize(
    "out",
    [
        [0.0] * 3,
        (1, 2, 3),
        np.zeros(3, int),
        np.zeros(3, ">f4"),
        np.ma.zeros(3, np.float32),
        np.float32(1),
        "x",
    ],
)
def test_what_is_no_array_of_floats_is_no_out(out):
    with pytest.raises(FloatlabError):
        fl.quantize(X, "e4m3", out=out)


# -- numbers that are no float64 ---------------------------------------------------------------------

MODES = (*DETERMINISTIC, *STOCHASTIC)
# Formats for which 53 bits rounded to odd are not enough: wide ones, and those whose ends are float64's.
FULL_WIDTH = [
    FloatFormat("e11m51", 11, 51),
    FloatFormat("e8m52", 8, 52),
    FloatFormat("e5m52fn", 5, 52, specials="fn"),
    FloatFormat("e10m51finite", 10, 51, specials="finite"),
    FloatFormat("unsigned", 9, 52, 300, "p3109_extended", False),
    get_format("float64"),
]
AT_THE_ENDS = [
    FloatFormat("low", 8, 3, 1070),
    FloatFormat("low, one bit", 8, 0, 1073, "fn"),
    FloatFormat("low scale", 8, 0, 1074, "scale", False),
    FloatFormat("high", 8, 3, -769),
    FloatFormat("high, one bit", 8, 0, -768, "p3109_finite"),
    FloatFormat("high, unsigned", 8, 2, -768, "fn", False),
]
USUAL = [
    get_format(name)
    for name in ("fp32", "bf16", "e4m3", "e8m0", "fp4", "binary8p1se", "binary8p3uf", "e4m3fnuz")
]
ALL_KINDS = FULL_WIDTH + AT_THE_ENDS + USUAL


def hard_numbers(fmt, rng, n):
    """Return fractions close to values of the format and to the middles between them, and beyond its ends."""
    found = []
    for _ in range(n):
        code = int(rng.integers(0, fmt.max_code + 1, dtype=np.uint64)) if rng.random() < 0.9 else fmt.max_code
        low = Fraction(fmt.magnitude(code))
        high = Fraction(fmt.magnitude(code + 1)) if code < fmt.max_code else low + low / 2**fmt.precision
        part = Fraction(int(rng.integers(0, 9)), 8)
        nudge = (high - low) * int(rng.integers(-1, 2)) * Fraction(1, 3 ** int(rng.integers(20, 80)))
        found.append(rng.choice([-1, 1]).item() * (low + part * (high - low) + nudge))
    ends = [
        Fraction(2) ** e * f for e in (-1200, -1076, -1075, -1074, 1024, 1100) for f in (1, Fraction(4, 3))
    ]
    return found + ends + [-x for x in ends]


def check_against_reference(x, numbers, fmt, bits=(4, 16, 48), **options):
    """Compare values, flags and codes with the scalar reference, in every mode."""
    if fmt.specials == "finite":
        options = options | {"overflow": "saturate"}
    rng = np.random.default_rng(5)
    for rounding in MODES:
        for random_bits in bits if rounding.startswith("stochastic") else (0,):
            R = rng.integers(0, 1 << random_bits, len(numbers))
            drawn = {"random_bits": random_bits, "random_integers": R} if random_bits else {}
            wanted = [
                reference.round(
                    number, fmt, rounding, **options, random_integer=int(r), random_bits=random_bits
                )
                for number, r in zip(numbers, R, strict=True)
            ]
            codes = [result.code for result in wanted]
            values = np.array([reference.to_float(result.value) for result in wanted])
            assert fl.encode(x, fmt, rounding=rounding, **options, **drawn).tolist() == codes, (fmt, rounding)
            got, flags = fl.quantize(x, fmt, rounding=rounding, **options, **drawn, return_flags=True)
            assert np.array_equal(bits64(got), bits64(values)), (fmt, rounding)
            again = fl.quantize(x, fmt, rounding=rounding, **options, **drawn)
            assert np.array_equal(bits64(again), bits64(values)), (fmt, rounding)
            for name in ("invalid", "overflow", "underflow", "inexact"):
                raised = [name in result.flags for result in wanted]
                assert getattr(flags, name).tolist() == raised, (fmt, rounding, name)


@pytest.mark.parametrize("fmt", ALL_KINDS, ids=str)
def test_fractions_are_rounded_once_in_every_mode_with_flags(fmt):
    numbers = hard_numbers(fmt, np.random.default_rng(1), 30)
    check_against_reference(numbers, numbers, fmt)


@pytest.mark.parametrize("fmt", [*FULL_WIDTH[:3], *AT_THE_ENDS[:4], get_format("bf16")], ids=str)
@pytest.mark.parametrize(
    "options", [{"overflow": "saturate"}, {"subnormals": "flush"}, {"flush_inputs": True}]
)
def test_fractions_follow_the_policies(fmt, options):
    numbers = hard_numbers(fmt, np.random.default_rng(2), 20)
    check_against_reference(numbers, numbers, fmt, bits=(7,), **options)


@pytest.mark.parametrize("fmt", [*FULL_WIDTH, *USUAL], ids=str)
@pytest.mark.parametrize("dtype", [np.int64, np.uint64, object])
def test_integers_beyond_2_to_the_53_are_rounded_once_in_every_mode(fmt, dtype):
    rng = np.random.default_rng(3)
    numbers = [
        int(n) >> int(s) for n, s in zip(rng.integers(0, 2**63, 60), rng.integers(0, 12, 60), strict=True)
    ]
    numbers += [2**k + 2**j + i for k in (53, 54, 60, 62) for j in (0, 1, 7, 30) for i in (-1, 0, 1)]
    if dtype is np.int64:
        numbers = [n * (-1) ** i for i, n in enumerate(numbers)] + [-(2**63), 2**63 - 1, 1, 0]
    elif dtype is np.uint64:
        numbers += [2**64 - 1, 2**63, 2**63 + 1, 2**63 + 2**10 + 1, 2**64 - 2**10, 5]
    else:
        numbers += [2**64 + 1, -(2**63) - 1, 2**200 + 1, 3]
    check_against_reference(np.array(numbers, dtype), [Fraction(n) for n in numbers], fmt, bits=(8, 30))


def test_a_list_of_integers_and_floats_is_not_rounded_to_float64_first():
    assert fl.quantize([2**60 + 2**36 + 1, 0.5], "fp32").tolist() == [2.0**60 + 2.0**37, 0.5]


BIG = 2**60 + 2**36 + 1  # in float32 above a tie, which a float64 takes it for


@pytest.mark.parametrize(
    "x",
    [
        [BIG, 0.5],
        (BIG, 0.5),
        [[BIG], [0.5]],
        [(BIG,), [0.5]],
        [np.int64(BIG), np.float64(0.5)],
        [np.int64(BIG), np.float32(0.5)],
        [np.uint64(BIG), np.int64(-1)],
        [BIG, -1, 2**63],
        [BIG, np.inf],
        [np.nan, BIG],
        [BIG, True, 0.5],
        [np.array(BIG), 0.5],
        [np.array(np.longdouble(BIG)), np.float32(0.5)],
        [np.array([BIG]), np.array([0.5])],
        [BIG, Fraction(1, 2)],
        [BIG, Decimal("0.5")],
        [str(BIG), 0.5],
        [BIG, np.longdouble(0.5)],
        [ml_dtypes.bfloat16(0.5), BIG],
        [2**70 + 2**46 + 1, 0.5],
        [0.5, 2**70, BIG],
        np.array([BIG, 0.5], object),
        np.array([str(BIG), "0.5"]),
        np.array([str(BIG).encode(), b"0.5"]),
        collections.deque([BIG, 1]),
        BIG,
        Fraction(BIG),
        Decimal(BIG),
        str(BIG),
    ],
    ids=label,
)
def test_an_integer_is_taken_exactly_wherever_it_stands(x):
    flat = fl.quantize(x, "fp32").reshape(-1)
    assert 2.0**60 + 2.0**37 in flat or 2.0**70 + 2.0**47 in flat
    assert 2.0**60 not in flat


@pytest.mark.parametrize(
    ("x", "rounding", "value"),
    [
        ("0.1", "toward_zero", 0.09999999999999999),
        ("0.1", "toward_positive", 0.1),
        (0.1, "toward_zero", 0.1),
        (Fraction(1, 10), "toward_zero", 0.09999999999999999),
        (Decimal("0.1"), "toward_zero", 0.09999999999999999),
        ("1e400", "nearest_even", np.inf),
        ("-1e400", "toward_zero", -np.finfo(float).max),
        ("1e99999999999999999999", "nearest_even", np.inf),
        ("1e-99999999999999999999", "toward_positive", 5e-324),
        (Decimal("1e999999"), "toward_zero", np.finfo(float).max),
        (Decimal("-1e-999999"), "toward_negative", -5e-324),
        ("  +2.50E+1 ", "nearest_even", 25.0),
        (".5", "nearest_even", 0.5),
        ("5.", "nearest_even", 5.0),
        ("inf", "nearest_even", np.inf),
        ("-Infinity", "nearest_even", -np.inf),
        ("9007199254740993", "toward_positive", 9007199254740994.0),
        ("9007199254740993.0000000000000000000000000000000000000001", "nearest_even", 9007199254740994.0),
        ("2.47032822920623272089e-324", "nearest_even", 5e-324),  # just above half of the smallest
        ("2.4703282292062327208e-324", "nearest_even", 0.0),
        ("1" * 5000 + "e-4999", "toward_zero", 1.111111111111111),
        (b"0.25", "nearest_even", 0.25),
        (np.str_("0.25"), "nearest_even", 0.25),
        (10**400, "nearest_even", np.inf),
        (Fraction(10**400, 3 * 10**400), "toward_zero", 0.3333333333333333),
    ],
)
def test_a_number_in_words_is_rounded_once_from_what_it_says(x, rounding, value):
    assert fl.quantize(x, "fp64", rounding=rounding).item() == value
    assert fl.quantize([x, 1], "fp64", rounding=rounding).tolist() == [value, 1.0]


def test_zeros_and_nans_in_words_keep_their_signs():
    words = ["-0", "-0.0e5", Decimal("-0.00"), "0", "nan", "-nan", Decimal("-NaN"), Decimal("sNaN"), "+inf"]
    got = fl.quantize(words, "fp16")
    assert np.signbit(got).tolist() == [True, True, True, False, False, True, True, False, False]
    assert np.isnan(got).tolist() == [False] * 4 + [True] * 4 + [False]


@pytest.mark.parametrize(
    "x",
    [
        "",
        "x",
        "1,5",
        "1e",
        "1_000",
        "--1",
        "1 2",
        "٣",
        "nan123",
        "infinit",
        b"\xff",
        "1e5.5",
        ".",
    ],
)
def test_other_words_are_refused(x):
    for given in (x, [x, 1.0], np.array([x])):
        with pytest.raises(DtypeError, match=r"decimal.*Got .*Correct it"):
            fl.quantize(given, "fp16")


@pytest.mark.parametrize("fmt", [*FULL_WIDTH, *AT_THE_ENDS, *USUAL], ids=str)
def test_long_doubles_are_rounded_once_in_every_mode(fmt):
    if np.finfo(np.longdouble).nmant == 52:
        pytest.skip("long double is float64 here")
    rng = np.random.default_rng(4)
    size = rng.standard_normal(40).astype(np.longdouble) + rng.standard_normal(40) * np.longdouble(2) ** -62
    with np.errstate(all="ignore"):
        x = size * np.longdouble(2) ** rng.integers(fmt.emin - fmt.mantissa_bits - 3, fmt.emax + 3, 40)
        ends = [np.longdouble(2) ** e * f for e in (-16000, -1075, 1023, 1024, 16000) for f in (1, -1.5)]
    x = np.concatenate([x, np.array([*ends, np.longdouble(1) / 3, 1, 0], np.longdouble)])
    numbers = [Fraction(*n.as_integer_ratio()) for n in x]
    check_against_reference(x, numbers, fmt, bits=(5, 20))
    check_against_reference(x.tolist(), numbers, fmt, bits=(9,))


def test_a_long_double_keeps_its_infinities_nans_and_signs():
    x = np.array([np.inf, -np.inf, np.nan, -0.0, 0.0, 1.5], np.longdouble)
    for given in (x, x[::-1][::-1], x.astype(x.dtype.newbyteorder("S")), list(x)):
        assert np.array_equal(bits64(fl.quantize(given, "fp64")), bits64(x.astype(float)))


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_exact_numbers_of_an_array_find_their_places(order):
    x = np.array([[2**53 + 1, 1, 2**54 + 2], [5, 2**60 + 1, -(2**53) - 1]], order=order)
    out = np.zeros((4, 6))[::2, ::2]
    got = fl.quantize(x, "fp64", rounding="toward_positive", out=out)
    assert got is out
    assert got.tolist() == [[2.0**53 + 2, 1, 2.0**54 + 4], [5, 2.0**60 + 256, -(2.0**53)]]
    for strided in (x.T, x[:, ::-1], x[::-1]):
        got = fl.quantize(strided, "fp64", rounding="toward_positive")
        for value, n in zip(got.reshape(-1).tolist(), strided.reshape(-1).tolist(), strict=True):
            unit = 1 << max(abs(n).bit_length() - 53, 0)
            assert int(value) == -(-n // unit) * unit


def test_drawn_integers_are_the_same_with_and_without_exact_numbers():
    x = [2**53 + 1, 0.3, 0.7, *[1.1] * 50]
    draw = {"rounding": "stochastic", "random_bits": 30}
    got = fl.quantize(x, "fp32", **draw, rng=np.random.default_rng(1))
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**64 - 1, 27, np.uint64, endpoint=True).astype("<u8").view("<u4")[:53] >> 2
    assert np.array_equal(got, fl.quantize(x, "fp32", **draw, random_integers=words))


@pytest.mark.parametrize(
    "name", ["add", "sqrt", "exp", "log", "sum", "dot", "mean", "fma", "matmul", "cumsum"]
)
@pytest.mark.parametrize(
    "x", [[2**60 + 1, 0.5, 1.0], ["0.1", 1, 2], [Fraction(1, 3)] * 3, [Decimal("1e-400")] * 3]
)
def test_an_operand_that_is_no_float64_is_refused_and_not_rounded(name, x):
    if name == "sum" and all(isinstance(n, int) for n in x):
        pytest.skip("the exact sum of integers is known")
    with pytest.raises(DtypeError, match="float64"):
        EVERYWHERE[name](x, "bf16")


@pytest.mark.parametrize(
    "x", [[Fraction(1, 2), 1, 2], ["0.5", "1", "2"], [Decimal("0.5"), 1, 2.0], np.array(["0.5", "1", "2"])]
)
@pytest.mark.parametrize("name", EVERYWHERE)
def test_an_operand_that_is_a_float64_is_taken_however_it_is_written(name, x):
    got, wanted = EVERYWHERE[name](x, "e5m2"), EVERYWHERE[name](X, "e5m2")
    assert np.array_equal(np.asarray(got), np.asarray(wanted))


def test_comparisons_with_integers_are_exact_beyond_2_to_the_53():
    a = fl.array([2.0**60, -(2.0**60), 2.0**63, 1.0], "fp64")
    b = [2**60 + 1, -(2**60) - 1, 2**63 - 1, 1]
    for other in (b, np.array(b), np.array(b, object), [Fraction(n) for n in b]):
        assert (a == other).tolist() == [False, False, False, True]
        assert (a != other).tolist() == [True, True, True, False]
        assert (a < other).tolist() == [True, False, False, False]
        assert (a <= other).tolist() == [True, False, False, True]
        assert (a > other).tolist() == [False, True, True, False]
        assert (other >= a).tolist() == [True, False, False, True]
    assert np.logical_and(a, 2**60 + 1).all()
    assert not (a == 10**400).any() and (a < 10**400).all() and (a > -(10**400)).all()
    tenth, tiny = Decimal("0.1"), Decimal("1e-999")
    assert (fl.array([0.1], "fp64") > [tenth]).all() and (fl.array([0.0], "fp64") < [tiny]).all()


BEYOND_FLOAT64 = [2**1024, 2**1024 - 1, 10**400, Fraction(10**400, 3), Decimal("1e999"), Decimal("1e99999")]
if np.finfo(np.longdouble).maxexp > 1024:
    BEYOND_FLOAT64.append(np.longdouble("1e4000"))


@pytest.mark.parametrize("number", BEYOND_FLOAT64, ids=lambda n: f"{type(n).__name__}-{str(n)[:8]}")
def test_a_number_beyond_float64_lies_between_its_largest_value_and_infinity(number):
    largest = np.finfo(np.float64).max
    values = fl.array([-np.inf, -largest, largest, np.inf], "fp64")
    for sign, less in ((1, [True, True, True, False]), (-1, [True, False, False, False])):
        for other in (sign * number, np.array([sign * number] * 4, object)):
            assert (values < other).tolist() == (values <= other).tolist() == less
            assert (values > other).tolist() == (values >= other).tolist() == [not below for below in less]
            assert not (values == other).any() and (values != other).all()
        assert np.searchsorted(values, [sign * number]).tolist() == [sum(less)]


@pytest.mark.parametrize("fmt", ["fp32", "bf16", "e5m2"])
@pytest.mark.parametrize("accumulator", ["wide", "exact"])
@pytest.mark.parametrize("rounding", ["nearest_even", "toward_negative", "toward_positive", "to_odd"])
def test_a_sum_of_integers_beyond_2_to_the_53_is_that_of_the_integers(fmt, accumulator, rounding):
    x = np.array([[2**60 + 1, -(2**60), 5], [2**62 + 1, 2**61 + 1, -(2**62) - 2**61 - 1], [2**53 + 1, 1, 7]])
    options = {"accumulator": accumulator, "rounding": rounding}
    rows = [6, 1, 2**53 + 9]
    got = fl.sum(x, fmt, axis=1, **options)
    assert got.tolist() == fl.quantize(rows, fmt, rounding=rounding).tolist()
    assert fl.sum(x, fmt, axis=1, keepdims=True, **options).tolist() == got[:, None].tolist()
    assert fl.sum(x, fmt, **options) == fl.quantize(2**53 + 16, fmt, rounding=rounding)
    assert fl.sum(x[0].tolist(), fmt, **options) == 6
    unsigned = np.array([2**64 - 1, 1, 2**63 + 1], np.uint64)
    assert fl.sum(unsigned, fmt, **options) == fl.quantize(2**64 + 2**63 + 1, fmt, rounding=rounding)
    with pytest.raises(DtypeError, match="float64"):
        fl.sum(x, fmt, accumulator=fmt)
    assert fl.sum(x, "fp64", accumulator="exact", rounding=rounding) == 2**53 + 16


# -- codes -----------------------------------------------------------------------------------------


def test_a_list_of_codes_on_both_sides_of_2_to_the_63_is_a_list_of_codes():
    assert fl.decode([0x3FF0000000000000, 0xBFF0000000000000], "fp64").tolist() == [1.0, -1.0]
    assert fl.from_codes([0x3FF0000000000000, 0xC000000000000000], "fp64").values.tolist() == [1.0, -2.0]


@pytest.mark.parametrize(
    "codes",
    [
        [[2**62], [2**63]],
        (2**62, 2**63),
        [np.uint64(2**62), np.int64(2**62), 2**63],
        [2**62, np.uint64(2**63)],
        np.array([2**62, 2**63], object),
        [np.array([2**62]), np.array([2**63], np.uint64)],
        [2**62, 2**63, True - 1],
    ],
    ids=label,
)
def test_codes_are_taken_exactly_wherever_they_stand(codes):
    flat = np.asarray(codes, dtype=object).reshape(-1).astype(np.uint64)
    assert np.array_equal(fl.decode(codes, "fp64").reshape(-1), flat.view(np.float64))


@pytest.mark.parametrize(
    "codes",
    [
        [1.0, 2.0],
        [2**62, 0.5],
        [0.5],
        0.5,
        ["1"],
        [2**64],
        [-1],
        [None],
        [Fraction(1)],
        [True, False],
        np.array([1.5, 2], object),
        np.ma.array([1, 2], mask=[0, 1]),
        [np.ma.array([1, 2], mask=[0, 1])],
        np.ma.array([1.0, 2.0], mask=[0, 1]),
        [1, np.ma.masked],
        [[1], [2, 3]],
        1j,
        object(),
    ],
    ids=label,
)
def test_what_is_no_code_is_refused(codes):
    for function in (fl.decode, fl.from_codes):
        with pytest.raises(DtypeError):
            function(codes, "fp64")


@pytest.mark.parametrize("fmt", ["tf32", "e11m51", "binary8p3se"])
@pytest.mark.parametrize("codes", [[1.0, 2.0], np.array([1.0, 2.0]), np.float64(1.0)])
def test_floats_are_no_codes_of_a_format_without_a_type(fmt, codes):
    for function in (fl.decode, fl.from_codes):
        with pytest.raises(DtypeError, match="Codes are unsigned integers"):
            function(codes, fmt)


def test_values_of_the_formats_own_type_are_taken_for_codes_only_as_arrays():
    for x in (np.array([1.0, -2.0]), [np.float64(1.0), np.float64(-2.0)]):
        assert fl.decode(x, "fp64").tolist() == [1.0, -2.0]
    assert fl.decode(np.float64(1.5), "fp64").item() == 1.5
    assert fl.decode(np.float16([1.5]), "fp16").tolist() == [1.5]


# -- masks -----------------------------------------------------------------------------------------

MASKED = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])


@pytest.mark.parametrize("name", EVERYWHERE | PLAIN)
@pytest.mark.parametrize(
    "x", [MASKED, [MASKED], [[1.0, np.ma.masked, 2.0]], np.ma.ones(3, np.float16), [1.0, np.ma.masked]]
)
def test_a_masked_array_is_refused_by_every_function(name, x):
    with pytest.raises(DtypeError, match=r"masked array.*filled"):
        (EVERYWHERE | PLAIN)[name](x, "e5m2")


@pytest.mark.parametrize("fmt", [None, "fp64", "fp16"])
def test_a_masked_array_of_the_formats_own_type_is_refused(fmt):
    for dtype in (np.float64, np.float16, np.float32):
        x = np.ma.array([1.0, 2.0, 3.0], dtype, mask=[False, True, False])
        for make in (fl.array, fl.asarray):
            with pytest.raises(DtypeError, match=r"masked array.*filled"):
                make(x, fmt)


# -- tensors ---------------------------------------------------------------------------------------


def test_a_tensor_takes_integers_exactly_or_refuses_them():
    x = fl.Tensor([-(2.0**60), 1.0], format="fp64")
    with pytest.raises(DtypeError, match="float64"):
        x + (2**60 + 1)  # the exact sum is 1, and not 0
    with pytest.raises(DtypeError, match="float64"):
        x * np.int64(2**60 + 1)
    with pytest.raises(DtypeError, match="float64"):
        x - 10**400
    assert (x + 2**60).data.tolist() == [0.0, 2.0**60]
    assert (x * np.longdouble(0.5)).data.tolist() == [-(2.0**59), 0.5]


def test_a_tensor_is_filled_exactly():
    assert fl.Tensor([BIG, 0.5]).data.tolist() == [2.0**60 + 2.0**37, 0.5]
    x = fl.Tensor([0.0, 0.0])
    x.data = [BIG, 0.5]
    assert x.data.tolist() == [2.0**60 + 2.0**37, 0.5]
    assert x.copy_([0.5, BIG]).data.tolist() == [0.5, 2.0**60 + 2.0**37]
    y = fl.Tensor([1.0, 2.0], requires_grad=True)
    (y * 1.0).backward([BIG, "0.5"])
    assert y.grad.data.tolist() == [2.0**60 + 2.0**37, 0.5]
    with pytest.raises(DtypeError, match="masked"):
        fl.Tensor(MASKED)
    with pytest.raises(DtypeError, match="masked"):
        x.data = np.ma.ones(2)


# -- signaling NaNs, and others that make a processor raise a flag -------------------------------------

SIGNALING = {
    "float16": np.array([0x3C00, 0x7C01, 0xFC01, 0x7DFF], np.uint16).view(np.float16),
    "float32": np.array([0x3F800000, 0x7F800001, 0xFF800001, 0x7FBFFFFF], np.uint32).view(np.float32),
    "float64": np.array([0x3FF << 52, 0x7FF0000000000001, 0xFFF0000000000001, 0x7FF7 << 48], np.uint64).view(
        np.float64
    ),
    "bfloat16": np.array([0x3F80, 0x7F81, 0xFF81, 0x7FBF], np.uint16).view(ml_dtypes.bfloat16),
    "float8_e5m2": np.array([0x3C, 0x7D, 0xFD, 0x7D], np.uint8).view(ml_dtypes.float8_e5m2),
    "ends of float64": np.array([1.0, 1e308, -1e-308, 5e-324]),
    "ends of float32": np.array([1.0, 3e38, -1e-38, 1e-45], np.float32),
    "infinities": np.array([1.0, np.inf, -np.inf, -0.0]),
}
SILENT = EVERYWHERE | PLAIN
SILENT |= {
    f"{name} with flags": lambda x, fmt, f=name: EVERYWHERE[f](x, fmt, return_flags=True)
    for name in EVERYWHERE
    if name not in ("array", "cumsum", "cumprod", "prod", "accumulate.sum")
}
SILENT |= {
    f"{name}, {accumulator}": lambda x, fmt, f=name, a=accumulator: SUMS[f](x, fmt, accumulator=a)
    for name in SUMS
    for accumulator in ("exact", "pairwise:fp16", "chunked:fp16:fp32:2")
}
SILENT |= {
    "stochastic": lambda x, fmt: fl.quantize(x, fmt, rounding="stochastic", rng=np.random.default_rng(0)),
    "toward_negative": lambda x, fmt: fl.quantize(x, fmt, rounding="toward_negative", overflow="saturate"),
    "flush": lambda x, fmt: fl.quantize(x, fmt, subnormals="flush", flush_inputs=True),
    "half out": lambda x, fmt: fl.quantize(x, "e4m3", out=np.empty(x.shape, np.float16)),
    "comparison": lambda x, fmt: fl.array([1.0], fmt) < x,
    "equality": lambda x, fmt: fl.array([1.0], fmt) == x,
    "isnan": lambda x, fmt: np.isnan(fl.array(x, fmt)),
    "maximum": lambda x, fmt: np.maximum(fl.array(x, fmt), 0.0),
    "fmin": lambda x, fmt: np.fmin(fl.array(x, fmt), 0.0),
    "sign": lambda x, fmt: np.sign(fl.array(x, fmt)),
    "negative": lambda x, fmt: -fl.array(x, fmt),
    "clip": lambda x, fmt: np.clip(fl.array(x, fmt), -1.0, 1.0),
    "sort": lambda x, fmt: np.sort(fl.array(x, fmt)),
    "max": lambda x, fmt: fl.array(x, fmt).max(),
    "argmax": lambda x, fmt: fl.array(x, fmt).argmax(),
    "repr": lambda x, fmt: repr(fl.array(x, fmt)),
    "Tensor": lambda x, fmt: fl.Tensor(x, format=fmt),
    "own type": lambda x, fmt: own_type(x),
}


def own_type(x):
    """Walk through what arrays of the format's own type do, which are taken as they are."""
    a = fl.asarray(x)
    for compute in (
        np.sqrt,
        np.exp,
        np.negative,
        np.sum,
        np.mean,
        np.max,
        np.sort,
        np.isnan,
        np.nextafter,
        np.equal,
    ):
        compute(a, a) if compute in (np.nextafter, np.equal) else compute(a)
    fl.next_up(a, a.format), fl.ulp(a, a.format), fl.spacing(a, a.format), fl.classify(a, a.format)
    (
        fl.decode(a.codes, a.format),
        repr(a),
        a.tolist(),
        a == a,
        a.astype("bf16"),
        a + a,
        fl.Tensor(a),
        fl.encode(a, "fp64"),
    )


@pytest.mark.parametrize("kind", SIGNALING)
@pytest.mark.parametrize("name", SILENT)
def test_no_warning_comes_from_inside(name, kind):
    x = SIGNALING[kind]
    for fmt in ("float32", "bf16", "e4m3", "float64"):
        if fmt == "float64" and (name in UP_TO_24 or any(word in name for word in ("flags", "fp", "bf16"))):
            continue
        with warnings.catch_warnings(), np.errstate(all="raise"):
            warnings.simplefilter("error")
            SILENT[name](x.copy(), fmt)


# No function of float64 but these, and no flags.
UP_TO_24 = [
    name for name in ONE_OPERAND if name not in ("exp", "log", "sin", "cos", "tanh", "sqrt", "square")
]
