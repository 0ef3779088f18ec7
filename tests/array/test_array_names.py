"""Every function of NumPy: with a FloatArray it gives the right value, or an error of ours that names it.

The expected value is what NumPy makes of the same numbers in float64, rounded to the format; the numbers are few and
short, so that float64 is exact, or far from every tie. The array comes positionally and by keyword, with its codes
and with its values.
"""

import inspect

import numpy as np
import pytest

import floatlab as fl
from floatlab.array.core import FloatArray
from floatlab.array.protocols import FUNCTIONS, UFUNCS
from floatlab.errors import FloatlabError

FMT = "e5m2"


class Operand:
    """Stands for an array in a call."""

    def __init__(self, values):
        self.values = np.array(values, float)

    def plain(self):
        return self.values.copy()

    def ours(self, coded):
        made = fl.array(self.values, FMT)
        return fl.from_codes(made.codes.copy(), FMT) if coded else made


A, B = Operand([[1.0, -2.5, 3.0], [0.5, 4.0, -0.25]]), Operand([[2.0, 1.5, -1.0], [0.75, 2.0, 3.0]])
S, V, W = Operand([[2.0, 0.5], [-1.0, 3.0]]), Operand([1.0, -2.0, 3.0]), Operand([2.0, 0.5, -4.0])
SORTED, NANS, POSITIVE = Operand([1.0, 2.0, 4.0]), Operand([1.0, np.nan, 3.0]), Operand([0.5, 1.0, 2.0])
EMPTY = np.zeros((0,))
MASK = np.array([[True, False, True], [False, True, False]])


def case(*positional, **keywords):
    return positional, keywords


# The arguments of one call each. Named ones are given positionally as well, in this order.
CALLS = {
    # of single elements
    **{
        name: case(A)
        for name in [
            "negative",
            "positive",
            "absolute",
            "fabs",
            "sign",
            "floor",
            "ceil",
            "trunc",
            "rint",
            "square",
            "isnan",
            "isinf",
            "isfinite",
            "signbit",
            "logical_not",
            "conjugate",
            "exp",
            "sin",
            "cos",
            "tanh",
            "frexp",
            "modf",
            "spacing",
            "reciprocal",
        ]
    },
    **{
        name: case(POSITIVE)
        for name in ["sqrt", "log", "log2", "log10", "log1p", "exp2", "expm1", "sinh", "cosh", "tan"]
    },
    **{
        name: case(A, B)
        for name in [
            "add",
            "subtract",
            "multiply",
            "divide",
            "floor_divide",
            "remainder",
            "fmod",
            "divmod",
            "heaviside",
            "copysign",
            "nextafter",
            "maximum",
            "minimum",
            "fmax",
            "fmin",
            "equal",
            "not_equal",
            "less",
            "less_equal",
            "greater",
            "greater_equal",
            "logical_and",
            "logical_or",
            "logical_xor",
        ]
    },
    "power": case(POSITIVE, 2),
    "float_power": case(POSITIVE, 2),
    "ldexp": case(A, 2),
    "matmul": case(S, A),
    "vecdot": case(A, B),
    "matvec": case(A, V),
    "vecmat": case(V, Operand(A.values.T)),
    "round": case(a=A, decimals=1),
    "around": case(a=A, decimals=0),
    "fix": case(x=A),
    "clip": case(a=A, a_min=-1, a_max=2),
    "nan_to_num": case(x=NANS),
    "real": case(val=A),
    "imag": case(val=A),
    "real_if_close": case(a=A),
    # sums and other reductions
    **{
        name: case(a=A, axis=1)
        for name in [
            "sum",
            "prod",
            "mean",
            "max",
            "min",
            "amax",
            "amin",
            "cumsum",
            "cumprod",
            "ptp",
            "std",
            "var",
            "median",
        ]
    },
    **{
        name: case(a=NANS, axis=0)
        for name in [
            "nansum",
            "nanmean",
            "nanprod",
            "nanmax",
            "nanmin",
            "nanstd",
            "nanvar",
            "nanmedian",
            "nancumsum",
            "nancumprod",
        ]
    },
    "quantile": case(a=A, q=0.25, axis=1),
    "percentile": case(a=A, q=50, axis=0),
    "nanquantile": case(a=NANS, q=0.5),
    "nanpercentile": case(a=NANS, q=50),
    "average": case(a=A, axis=1, weights=V),
    "cumulative_sum": case(V),
    "cumulative_prod": case(V),
    "diff": case(a=A, n=1, axis=0),
    "ediff1d": case(ary=A),
    "trace": case(a=S),
    # products
    "dot": case(a=A, b=Operand(B.values.T)),
    "vdot": case(V, W),
    "inner": case(A, B),
    "outer": case(a=V, b=W),
    "kron": case(a=S, b=V),
    "cross": case(a=V, b=W),
    "einsum": case("ij,kj->ik", A, B),
    "tensordot": case(a=A, b=B, axes=([1], [1])),
    "linalg.norm": case(x=V),
    "linalg.vector_norm": case(A),
    "linalg.matrix_norm": case(A),
    "linalg.vecdot": case(A, B),
    "linalg.matmul": case(A, Operand(B.values.T)),
    "linalg.outer": case(V, W),
    "linalg.cross": case(V, W),
    "linalg.tensordot": case(A, B, axes=2),
    "linalg.diagonal": case(S),
    "linalg.trace": case(S),
    "linalg.matrix_transpose": case(A),
    # moving
    **{
        name: case(a=A)
        for name in [
            "ravel",
            "transpose",
            "copy",
            "resize",
            "squeeze",
            "rot90",
            "diagonal",
            "sort",
            "argsort",
            "argmax",
            "argmin",
            "argwhere",
            "flatnonzero",
            "nonzero",
            "count_nonzero",
            "any",
            "all",
        ]
        if name not in ("rot90", "resize")
    },
    "reshape": case(A, (3, 2)),
    "resize": case(a=A, new_shape=(3, 3)),
    "swapaxes": case(a=A, axis1=0, axis2=1),
    "moveaxis": case(a=A, source=0, destination=1),
    "rollaxis": case(a=A, axis=1),
    "expand_dims": case(a=A, axis=0),
    "broadcast_to": case(array=A, shape=(2, 2, 3)),
    "broadcast_arrays": case(A, V),
    "flip": case(m=A, axis=0),
    "fliplr": case(m=A),
    "flipud": case(m=A),
    "rot90": case(m=A, k=1),
    "roll": case(a=A, shift=1, axis=1),
    "repeat": case(a=A, repeats=2, axis=0),
    "tile": case(A=A, reps=2),
    "take": case(a=A, indices=[0, 1], axis=1),
    "take_along_axis": case(arr=A, indices=np.array([[0], [1]]), axis=1),
    "compress": case(condition=[True, False, True], a=A, axis=1),
    "extract": case(condition=MASK, arr=A),
    "delete": case(arr=A, obj=1, axis=1),
    "diag": case(v=V),
    "diagflat": case(v=V),
    "tril": case(m=A),
    "triu": case(m=A),
    "matrix_transpose": case(A),
    "append": case(arr=A, values=B, axis=0),
    "insert": case(arr=A, obj=1, values=W, axis=0),
    "pad": case(array=A, pad_width=1),
    "trim_zeros": case(filt=Operand([0.0, 1.0, 0.0])),
    "unstack": case(A),
    "meshgrid": case(V, W),
    "concatenate": case([A, B]),
    "stack": case(arrays=[A, B]),
    "vstack": case(tup=[A, B]),
    "hstack": case(tup=[A, B]),
    "dstack": case(tup=[A, B]),
    "column_stack": case(tup=[A, B]),
    "block": case(arrays=[A, B]),
    **{name: case(ary=A, indices_or_sections=[1]) for name in ["split", "array_split", "hsplit", "vsplit"]},
    "dsplit": case(ary=Operand(np.ones((1, 2, 3))), indices_or_sections=[1]),
    "atleast_1d": case(V),
    "atleast_2d": case(V),
    "atleast_3d": case(V),
    "where": case(MASK, A, B),
    "select": case(condlist=[MASK], choicelist=[A], default=1),
    "choose": case(a=np.array([0, 1, 0]), choices=[V, W]),
    "unique": case(ar=A),
    "unique_values": case(A),
    "unique_counts": case(A),
    "unique_inverse": case(A),
    "unique_all": case(A),
    **{name: case(ar1=V, ar2=W) for name in ["union1d", "intersect1d", "setdiff1d", "setxor1d"]},
    "partition": case(a=V, kth=1),
    "argpartition": case(a=V, kth=1),
    "lexsort": case(keys=[V, W]),
    "searchsorted": case(a=SORTED, v=W),
    "digitize": case(x=V, bins=SORTED),
    "isin": case(element=A, test_elements=V),
    "nanargmax": case(a=NANS),
    "nanargmin": case(a=NANS),
    "histogram": case(a=V, bins=3),
    "histogram_bin_edges": case(a=V, bins=3),
    "linspace": case(start=Operand(0.0), stop=Operand(1.0), num=5),
    # making
    "zeros_like": case(a=A),
    "ones_like": case(a=A),
    "full_like": case(a=A, fill_value=0.3),
    # questions
    "isclose": case(a=A, b=B),
    "allclose": case(a=A, b=A),
    "array_equal": case(a1=A, a2=A),
    "array_equiv": case(a1=A, a2=A),
    "isneginf": case(x=A),
    "isposinf": case(x=A),
    "iscomplex": case(x=A),
    "isreal": case(x=A),
    "iscomplexobj": case(x=A),
    "isrealobj": case(x=A),
    "shape": case(a=A),
    "ndim": case(a=A),
    "size": case(a=A),
    "array2string": case(a=Operand([1.0, 2.0])),
    "array_str": case(a=Operand([1.0, 2.0])),
    "tril_indices_from": case(arr=A),
    "triu_indices_from": case(arr=A),
    "diag_indices_from": case(arr=S),
    # not dispatched, but right: what NumPy makes of the values
    "asarray": case(A),
    "array": case(A),
    "asanyarray": case(A),
    "ascontiguousarray": case(A),
    "asfortranarray": case(A),
    "asarray_chkfinite": case(A),
    "isscalar": case(A),
    "iterable": case(A),
    "require": case(A),
}

# The functions that change an array: what is compared is the array.
WRITING = {
    "copyto": case(A, B),
    "put": case(A, [0, 4], [7.0, 8.0]),
    "put_along_axis": case(A, np.array([[0], [1]]), 5.0, 1),
    "place": case(A, MASK, [1.5, 2.5]),
    "putmask": case(A, MASK, B),
    "fill_diagonal": case(A, 9.0),
}

# What has no meaning of its own in a format, with a call that NumPy would carry out.
REFUSED = {
    "angle": (A,),
    "apply_over_axes": (np.sum, A, [0]),
    "bincount": (SORTED,),
    "bitwise_and": (A, A),
    "bitwise_count": (A,),
    "bitwise_or": (A, A),
    "bitwise_xor": (A, A),
    "common_type": (A,),
    "convolve": (V, W),
    "corrcoef": (A,),
    "correlate": (V, W),
    "cov": (A,),
    "gcd": (A, A),
    "gradient": (V,),
    "histogram2d": (V, W),
    "histogramdd": (A,),
    "i0": (V,),
    "interp": (V, SORTED, W),
    "invert": (A,),
    "ix_": (V,),
    "isnat": (A,),
    "lcm": (A, A),
    "left_shift": (A, 1),
    "packbits": (A,),
    "piecewise": (V, [V.values > 0], [1.0]),
    "poly": (V,),
    "polyadd": (V, W),
    "polyder": (V,),
    "polydiv": (V, W),
    "polyfit": (V, W, 1),
    "polyint": (V,),
    "polymul": (V, W),
    "polysub": (V, W),
    "polyval": (V, W),
    "right_shift": (A, 1),
    "roots": (V,),
    "sinc": (A,),
    "sort_complex": (A,),
    "trapezoid": (V,),
    "unpackbits": (A,),
    "unwrap": (V,),
    "vander": (V,),
    "geomspace": (SORTED, 4.0),
    "logspace": (SORTED, 4.0),
    "linalg.cholesky": (S,),
    "linalg.cond": (S,),
    "linalg.det": (S,),
    "linalg.eig": (S,),
    "linalg.eigh": (S,),
    "linalg.eigvals": (S,),
    "linalg.eigvalsh": (S,),
    "linalg.inv": (S,),
    "linalg.lstsq": (S, S),
    "linalg.matrix_power": (S, 2),
    "linalg.matrix_rank": (S,),
    "linalg.multi_dot": ([S, S],),
    "linalg.pinv": (S,),
    "linalg.qr": (S,),
    "linalg.slogdet": (S,),
    "linalg.solve": (S, S),
    "linalg.svd": (S,),
    "linalg.svdvals": (S,),
    "linalg.tensorinv": (Operand(np.ones((1, 1))), 1),
    "linalg.tensorsolve": (S, S),
    "fft.fft": (V,),
    "fft.rfft": (V,),
    "fft.ifft": (V,),
    "fft.fftshift": (V,),
}


def lookup(name):
    module, _, own = name.rpartition(".")
    return getattr(getattr(np, module) if module else np, own, None)


def put_in(x, make):
    if isinstance(x, Operand):
        return make(x)
    if isinstance(x, list):
        return [put_in(part, make) for part in x]
    return x


def assert_same(found, wanted):
    if isinstance(found, tuple | list):
        assert len(found) == len(wanted)
        for left, right in zip(found, wanted, strict=True):
            assert_same(left, right)
    elif isinstance(found, FloatArray):
        assert found.format.name == "float8_e5m2" and found.shape == np.shape(wanted)
        np.testing.assert_array_equal(found.values, fl.quantize(wanted, FMT))
    elif isinstance(found, str):
        assert found == wanted
    else:
        np.testing.assert_array_equal(found, wanted)


ONLY_BY_KEYWORD = ("linalg.tensordot",)
EXPECTED = {  # where NumPy itself rounds more than once, or has another meaning
    "spacing": lambda x: fl.spacing(x, FMT),
    "nextafter": lambda a, b: np.where(a < b, fl.next_up(a, FMT), fl.next_down(a, FMT)),
}


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated")
@pytest.mark.parametrize("coded", (False, True), ids=("values", "codes"))
@pytest.mark.parametrize("name", CALLS)
def test_a_function_gives_the_right_value(name, coded):
    function = lookup(name)
    if function is None:
        pytest.skip("this NumPy has no such function")
    positional, keywords = CALLS[name]
    plain = (
        [put_in(x, Operand.plain) for x in positional],
        {k: put_in(v, Operand.plain) for k, v in keywords.items()},
    )
    with np.errstate(all="ignore"):
        wanted = EXPECTED.get(name, function)(*plain[0], **plain[1])

    def ours(x):
        return put_in(x, lambda operand: operand.ours(coded))

    assert_same(function(*map(ours, positional), **{k: ours(v) for k, v in keywords.items()}), wanted)
    if keywords and name not in ONLY_BY_KEYWORD:
        assert_same(function(*map(ours, positional), *map(ours, keywords.values())), wanted)


@pytest.mark.parametrize("coded", (False, True), ids=("values", "codes"))
@pytest.mark.parametrize("name", WRITING)
def test_a_function_that_writes_rounds_what_it_writes(name, coded):
    (target, *rest), _ = WRITING[name]
    plain, ours = target.plain(), target.ours(coded)
    lookup(name)(plain, *(put_in(x, Operand.plain) for x in rest))
    assert lookup(name)(ours, *(put_in(x, lambda operand: operand.ours(coded)) for x in rest)) is None
    assert_same(ours, plain)
    into_plain = target.plain()
    if any(isinstance(x, Operand) for x in rest):
        lookup(name)(into_plain, *(put_in(x, lambda operand: operand.ours(coded)) for x in rest))
        np.testing.assert_array_equal(into_plain, plain)


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused_by_name(name):
    function = lookup(name)
    if function is None:
        pytest.skip("this NumPy has no such function")
    args = [put_in(x, lambda operand: operand.ours(False)) for x in REFUSED[name]]
    with pytest.raises(FloatlabError) as caught:
        function(*args)
    assert name.rpartition(".")[2] in str(caught.value) and "Use" in str(caught.value)


# What is not about arrays of numbers: types, printing, files, text, dates, settings, and makers of plain arrays.
ELSEWHERE = set(
    [
        "apply_along_axis",
        "arange",
        "array_repr",
        "asmatrix",
        "astype",
        "bartlett",
        "base_repr",
        "binary_repr",
        "blackman",
        "bmat",
        "broadcast_shapes",
        "busday_count",
        "busday_offset",
        "can_cast",
        "datetime_as_string",
        "datetime_data",
        "diag_indices",
        "einsum_path",
        "empty",
        "empty_like",
        "eye",
        "format_float_positional",
        "format_float_scientific",
        "from_dlpack",
        "frombuffer",
        "fromfile",
        "fromfunction",
        "fromiter",
        "frompyfunc",
        "fromregex",
        "fromstring",
        "full",
        "genfromtxt",
        "get_include",
        "get_printoptions",
        "getbufsize",
        "geterr",
        "geterrcall",
        "hamming",
        "hanning",
        "identity",
        "indices",
        "info",
        "isfortran",
        "is_busday",
        "isdtype",
        "issubdtype",
        "kaiser",
        "load",
        "loadtxt",
        "mask_indices",
        "may_share_memory",
        "min_scalar_type",
        "mintypecode",
        "nested_iters",
        "ones",
        "printoptions",
        "promote_types",
        "ravel_multi_index",
        "result_type",
        "row_stack",
        "save",
        "savetxt",
        "savez",
        "savez_compressed",
        "set_printoptions",
        "setbufsize",
        "seterr",
        "seterrcall",
        "shares_memory",
        "show_config",
        "show_runtime",
        "test",
        "tri",
        "tril_indices",
        "triu_indices",
        "typename",
        "unravel_index",
        "zeros",
        "linalg.test",
        "trapz",
        "in1d",
    ]
)
# Names whose values the tests of elementary functions hold.
FUNCTIONS_OF_ANALYSIS = set(
    [
        "arccos",
        "arccosh",
        "arcsin",
        "arcsinh",
        "arctan",
        "arctan2",
        "arctanh",
        "cbrt",
        "deg2rad",
        "degrees",
        "hypot",
        "logaddexp",
        "logaddexp2",
        "rad2deg",
        "radians",
    ]
)


def all_names():
    for prefix, module in (("", np), ("linalg.", np.linalg)):
        for own in dir(module):
            function = getattr(module, own)
            if own[0] == "_" or not callable(function) or inspect.isclass(function):
                continue
            yield prefix + own, function


def test_every_function_of_numpy_is_in_one_of_these_tables():
    known = {*CALLS, *WRITING, *REFUSED, *ELSEWHERE, *FUNCTIONS_OF_ANALYSIS}
    functions = {
        id(lookup(name)) for name in known
    }  # aliases, as concat and permute_dims, are known with them
    missing = [name for name, function in all_names() if name not in known and id(function) not in functions]
    assert not missing, f"New in NumPy {np.__version__}? Say what they do with a FloatArray: {missing}"


def test_functions_that_are_not_registered_are_refused_and_never_computed():
    x = fl.array([[1.0, 2.0], [3.0, 4.0]], FMT)
    for name, function in all_names():
        if (
            function in FUNCTIONS
            or function in UFUNCS
            or not isinstance(function, np.ufunc)
            or function.nin != 1
        ):
            continue
        with pytest.raises(FloatlabError, match=function.__name__):
            function(x)
        assert name not in CALLS


def takes_out(function) -> bool:
    if isinstance(function, np.ufunc):
        return function.nout == 1
    try:
        return "out" in inspect.signature(function).parameters
    except ValueError:  # written in C, without a signature before NumPy 2.4
        return function.__name__ in ("dot", "concatenate")


WITH_OUT = [name for name in CALLS if (function := lookup(name)) is not None and takes_out(function)]


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated")
@pytest.mark.parametrize("name", WITH_OUT)
def test_out_is_written_or_refused_and_never_passed_over(name):
    positional, keywords = CALLS[name]
    positional = [put_in(x, lambda v: v.ours(True)) for x in positional]
    keywords = {k: put_in(v, lambda v: v.ours(True)) for k, v in keywords.items()}
    with np.errstate(all="ignore"):
        wanted = lookup(name)(*positional, **keywords)
        out = wanted.copy() if isinstance(wanted, fl.FloatArray) else np.array(wanted)
        out[...] = 1
        try:
            made = lookup(name)(*positional, **keywords, out=out)
        except FloatlabError:
            return
    assert made is out
    assert np.array_equal(np.asarray(out), np.asarray(wanted), equal_nan=True)
