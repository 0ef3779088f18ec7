"""What may be passed in: options of the wrong kind are refused in our words, by every public numeric function."""

import numpy as np
import pytest

import floatlab as fl
from floatlab import accumulate
from floatlab.array.contexts import Arithmetic
from floatlab.errors import FloatlabError
from floatlab.functions import evaluate

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


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("option", SHARED_OPTIONS)
@pytest.mark.parametrize("name", EVERYWHERE)
def test_an_option_of_the_wrong_type_is_refused_in_our_words(name, option, wrong):
    with pytest.raises(FloatlabError, match=f"{option} must be one of"):
        EVERYWHERE[name](X, "e4m3", **{option: wrong})


@pytest.mark.parametrize(
    "wrong", [[], {}, np.array([1, 2]), np.array(1), object(), 7, 1.5, "x", b"x", None], ids=repr
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
    ids=repr,
)
@pytest.mark.parametrize("name", EVERYWHERE | PLAIN)
def test_what_is_no_format_is_refused_by_every_function(name, wrong):
    with pytest.raises(FloatlabError):
        (EVERYWHERE | PLAIN)[name](X, wrong)


@pytest.mark.parametrize(
    "wrong", [[], {}, np.array([1, 2]), object(), 7, 1.5, b"wide", "x", np.nan, None], ids=repr
)
@pytest.mark.parametrize("name", SUMS)
def test_what_is_no_accumulator_is_refused(name, wrong):
    with pytest.raises(FloatlabError, match="accumulator"):
        SUMS[name](X, "e4m3", accumulator=wrong)


@pytest.mark.parametrize(
    "wrong", [0, 49, True, 1.0, "16", [16], np.array([1, 2]), np.float64(3), 10**400], ids=repr
)
@pytest.mark.parametrize("name", ["quantize", "encode", "array", "add", "sqrt", "fma", "exp", "evaluate"])
def test_random_bits_are_an_integer_from_1_to_48(name, wrong):
    rng = np.random.default_rng(0)
    with pytest.raises(FloatlabError, match="random_bits is an integer"):
        ELEMENTWISE[name](X, "e4m3", rounding="stochastic", rng=rng, random_bits=wrong)


@pytest.mark.parametrize(
    "wrong",
    [[1.5], "1", [[1], [2, 3]], {}, object(), np.ma.array([1, 2, 3], mask=[0, 1, 0]), [True], -1, 2**70],
    ids=repr,
)
@pytest.mark.parametrize("name", ["quantize", "encode", "array", "add", "sqrt", "fma", "exp", "evaluate"])
def test_random_integers_are_integers_in_a_regular_array(name, wrong):
    with pytest.raises(FloatlabError, match=r"random_integers|random integer"):
        ELEMENTWISE[name](X, "e4m3", rounding="stochastic", random_integers=wrong)


@pytest.mark.parametrize(
    "wrong", [0, 7, "rng", np.random, np.random.RandomState(0), [np.random.default_rng(0)]], ids=repr
)
@pytest.mark.parametrize("name", ["quantize", "encode", "array", "add", "sqrt", "fma", "exp", "evaluate"])
def test_what_is_no_generator_is_refused(name, wrong):
    with pytest.raises(FloatlabError, match=r"numpy\.random\.Generator"):
        ELEMENTWISE[name](X, "e4m3", rounding="stochastic", rng=wrong)


@pytest.mark.parametrize("option", ["rounding", "overflow", "subnormals", "accumulator"])
@pytest.mark.parametrize("wrong", [[], {}, np.array(["a", "b"]), object(), 7], ids=repr)
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
