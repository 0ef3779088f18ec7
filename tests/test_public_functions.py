"""Whatever is passed to a public function: the right value, or an error of ours, and never one from inside NumPy.

`CALLS` has an entry for every public function that takes numbers; the first test fails for a new one without. The right
value is that of the same numbers in a plain array of float64, which other tests hold to oracles.
"""

import inspect
import warnings
from decimal import Decimal
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import FloatlabError
from floatlab.names import PLACES

# No numbers go in, or a test of their own has them.
NOT_NUMERIC = {
    "arithmetic",
    "explain",
    "explain_dot",  # tests/explain/test_explain_dot.py
    "finfo",
    "formats",
    "get_format",
    "get_unit",
    "units",
    "hadamard",  # tests/block_formats
    "inspect",
    "quantize_int",
    "threads",
    "track_flags",
    "device",
    "load",
    "save",
}
NOT_NUMERIC |= set(PLACES)  # of tensors: tests/autograd/test_autograd_names.py

FMT = "float16"
_UNARY = (
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "cos", "cosh", "deg2rad",
    "erf", "exp", "exp2", "expm1", "gelu", "log", "log1p", "log2", "log10", "rad2deg", "reciprocal",
    "rsqrt", "sigmoid", "sin", "sinh", "softplus", "sqrt", "square", "tan", "tanh",
)  # fmt: skip
_BINARY = (
    "add", "arctan2", "divide", "floor_divide", "fmod", "hypot", "logaddexp", "logaddexp2", "multiply",
    "power", "remainder", "subtract",
)  # fmt: skip
_ALONG_AN_AXIS = (
    "average", "cumprod", "cumsum", "mean", "median", "nanmean", "nansum", "norm", "prod", "std", "sum",
    "var",
)  # fmt: skip
_OF_VALUES = (
    "array", "asarray", "classify", "encode", "next_down", "next_up", "quantize", "spacing", "ulp",
)  # fmt: skip

# Each takes an array of any shape; matrices are squared, vectors multiplied with themselves.
CALLS = {
    **{name: lambda x, f=name: getattr(fl, f)(x, FMT) for name in (*_UNARY, *_ALONG_AN_AXIS, *_OF_VALUES)},
    **{name: lambda x, f=name: getattr(fl, f)(x, x, FMT) for name in _BINARY},
    "fma": lambda x: fl.fma(x, x, x, FMT),
    "ldexp": lambda x: fl.ldexp(x, 2, FMT),
    "linspace": lambda x: fl.linspace(x, x, 3, FMT),
    "quantile": lambda x: fl.quantile(x, 0.5, FMT),
    "dot": lambda x: fl.dot(x, x, FMT),
    "matmul": lambda x: fl.matmul(x, x, FMT),
    "vecdot": lambda x: fl.vecdot(x, x, FMT),
    "tensordot": lambda x: fl.tensordot(x, x, FMT, axes=0),
    "einsum": lambda x: fl.einsum("...,...->...", x, x, fmt=FMT),
    "decode": lambda x: fl.decode(fl.encode(x, FMT), FMT),
    "from_codes": lambda x: fl.from_codes(fl.encode(x, FMT), FMT),
    "compare_rules": lambda x: tuple(one.values for one in fl.compare_rules(x, "mxfp4")),
}
# The same functions with a format whose numbers share scales.
IN_BLOCKS = {
    "quantize in blocks": lambda x: fl.quantize(x, "mxfp4"),
    "quantize in blocks along the first axis": lambda x: fl.quantize(x, "int4:2", axis=0),
    "encode in blocks": lambda x: fl.encode(x, "nvfp4").codes,
    "array of blocks": lambda x: fl.array(x, "mxfp8_e4m3").decode(np.float64),
}
ALL_CALLS = CALLS | IN_BLOCKS

# Small integers, so that every type below holds them.
NUMBERS = np.array([[1.0, 2.0, -3.0], [4.0, 0.0, 5.0], [7.0, -1.0, 6.0]])
SPECIALS = np.array([[np.nan, -np.nan, 1.0], [np.inf, -np.inf, -0.0], [0.0, 3.0, -2.0]])


class Subclass(np.ndarray):
    """An array of a class of its own, as astropy's quantities or pandas' are."""


class Foreign:
    """What PyTorch's tensors and pandas' series look like from here: an object that gives an array when asked."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self._array, dtype=dtype)

    @property
    def shape(self):
        return self._array.shape

    @property
    def dtype(self):
        return "torch.float64"


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def memory_mapped(x, folder):
    np.save(folder / "x.npy", x)
    return np.load(folder / "x.npy", mmap_mode="r")


# The same numbers in other clothes.
CLOTHES = {
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "read-only": read_only,
    "non-contiguous": lambda x: np.repeat(np.repeat(x, 2, -1), 3, 0)[::3, ::2],
    "transposed": lambda x: x.T.copy().T,
    "reversed": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "subclassed": lambda x: x.view(Subclass),
    "foreign": Foreign,
    "a list": lambda x: x.tolist(),
    "a tuple": lambda x: tuple(map(tuple, x.tolist())),
}
WHOLE = {  # of whole numbers
    "int8": lambda x: x.astype(np.int8),
    "int64": lambda x: x.astype(np.int64),
    "big-endian int32": lambda x: x.astype(">i4"),
    "bfloat16": lambda x: x.astype(ml_dtypes.bfloat16),
    "long double": lambda x: x.astype(np.longdouble),
    "Python integers": lambda x: x.astype(int).astype(object),
    "fractions": lambda x: np.array([[Fraction(int(i)) for i in row] for row in x.tolist()]),
    "decimals": lambda x: np.array([[Decimal(int(i)) for i in row] for row in x.tolist()]),
    "decimal texts": lambda x: np.array([[str(i) for i in row] for row in x.tolist()]),
}
STRANGERS = {
    "masked": lambda: np.ma.array(NUMBERS, mask=NUMBERS == 2),
    "complex": lambda: NUMBERS + 1j,
    "text": lambda: np.array(["one", "two"]),
    "a text": lambda: "one",
    "bytes": lambda: b"\x00",
    "objects": lambda: np.array([None, 1.0], object),
    "None": lambda: None,
    "a dict": lambda: {"a": 1.0},
    "a ragged list": lambda: [[1.0], [1.0, 2.0]],
    "dates": lambda: np.array(["2020-01-01"], "M8[D]"),
    "a structured array": lambda: np.zeros(2, [("a", "f4")]),
    "a generator": lambda: (x for x in (1.0, 2.0)),
    "a set": lambda: {1.0, 2.0},
    "a function": lambda: len,
}


def plain(result):
    """Return results as arrays that can be compared bit for bit."""
    if isinstance(result, tuple):
        return [part for item in result for part in plain(item)]
    array = result.values if isinstance(result, fl.FloatArray) else np.asarray(result)
    return [np.ascontiguousarray(array)]


def outcome(name, x):
    """Return what a call gives: arrays, or the class of an error of ours. Anything else fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return plain(ALL_CALLS[name](x))
        except FloatlabError as error:
            assert str(error).count(".") >= 2, f"no rule, value and way out: {error}"
            return type(error)


def assert_same(got, expected):
    if isinstance(expected, type):
        assert got is expected
        return
    assert not isinstance(got, type), got
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        if a.dtype.kind == "f":
            assert np.array_equal(a, b, equal_nan=True)
            assert np.array_equal(np.signbit(a), np.signbit(b))
        else:
            assert np.array_equal(a, b)


def test_every_public_function_of_numbers_is_called_here():
    functions = {name for name in fl.__all__ if inspect.isfunction(getattr(fl, name))}
    assert functions - NOT_NUMERIC == set(CALLS)


@pytest.mark.parametrize("name", sorted(ALL_CALLS))
def test_an_array_may_lie_in_memory_as_it_likes(name, tmp_path):
    for numbers in (NUMBERS, SPECIALS):
        expected = outcome(name, numbers)
        for dress in CLOTHES.values():
            assert_same(outcome(name, dress(numbers)), expected)
        assert_same(outcome(name, memory_mapped(numbers, tmp_path)), expected)


@pytest.mark.parametrize("name", sorted(ALL_CALLS))
def test_whole_numbers_may_be_of_any_type(name):
    expected = outcome(name, NUMBERS)
    for dress in WHOLE.values():
        assert_same(outcome(name, dress(NUMBERS)), expected)
    assert_same(outcome(name, np.array([True, False, True])), outcome(name, np.array([1.0, 0.0, 1.0])))


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("name", sorted(ALL_CALLS))
def test_what_is_no_array_of_numbers_is_refused_in_our_words(name, stranger):
    assert isinstance(outcome(name, STRANGERS[stranger]()), type)


@pytest.mark.parametrize("name", sorted(ALL_CALLS))
def test_arrays_without_elements_or_dimensions_are_arrays(name):
    for shape in ((0,), (0, 3), (3, 0)):
        outcome(name, np.zeros(shape))
    scalars = [np.float64(3.0), 3.0, 3, np.float32(3.0), np.array(3), Fraction(3), Decimal(3), "3"]
    expected = outcome(name, np.array(3.0))
    for scalar in scalars:
        assert_same(outcome(name, scalar), expected)


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"decode", "from_codes"}))
def test_pytorch_tensors_and_pandas_series_are_numbers(name):
    expected = outcome(name, NUMBERS[0])
    try:
        import torch
    except ImportError:
        pass
    else:
        assert_same(outcome(name, torch.from_numpy(NUMBERS[0].copy())), expected)
    try:
        import pandas
    except ImportError:
        pass
    else:
        assert_same(outcome(name, pandas.Series(NUMBERS[0])), expected)
    assert_same(outcome(name, Foreign(NUMBERS[0])), expected)


@pytest.mark.parametrize(
    "name", sorted(set(CALLS) - {"compare_rules", "decode", "from_codes", "einsum", "linspace"})
)
def test_operands_go_by_keyword_too(name):
    function = getattr(fl, name)
    names = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind != p.VAR_KEYWORD
    ]
    operands = [n for n in names if n != "fmt"]
    given = {n: (0.5 if n == "q" else 2 if n == "n" else NUMBERS) for n in operands}
    more = {"axes": 0} if name == "tensordot" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_name = plain(function(**given, fmt=FMT, **more))
    assert_same(by_name, outcome(name, NUMBERS))


@pytest.mark.parametrize("name", sorted(ALL_CALLS))
def test_a_call_leaves_its_operands_alone(name):
    for numbers in (NUMBERS, SPECIALS):
        x = numbers.copy()
        outcome(name, x)
        assert x.tobytes() == numbers.tobytes()
