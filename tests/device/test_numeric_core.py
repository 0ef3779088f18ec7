"""Operations, functions and sums of device arrays: the bits of the CPU, in few launches and readings."""

import itertools

import numpy as np
import pytest

from device.flushing import settings
from device.ledger import LEDGER
from floatlab.errors import DtypeError, FloatEnvironmentError
from floatlab.functions.evaluate import FUNCTIONS, FUNCTIONS_OF_TWO, evaluate, evaluate_pair
from floatlab.operations.operate import OPERATIONS, operate
from floatlab.sums import on_device
from floatlab.sums.matmul import matmul, mean
from floatlab.sums.matmul import sum as total

RNG = np.random.default_rng(7)
ENDS = [
    0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    -np.nan,
    1e-45,
    -1e-40,
    3e38,
    1,
    -1,
    2,
    0.5,
    30,
    1e-20,
    27,
    100,
    -0.25,
    710,
]
A = np.concatenate([RNG.standard_normal(60), RNG.standard_normal(20) * 50, ENDS]).astype(np.float32)
B = RNG.permutation(A)


def bits(x):
    """Return the bits of values, with one pattern for a NaN of each sign."""
    x = np.asarray(x, np.float64)
    return np.where(np.isnan(x), np.copysign(7e300, x), x).view(np.int64)


def assert_same(got, want):
    """Compare values of a device, or values and flags, with those of the CPU."""
    if isinstance(want, tuple):
        for name in want[1].__dataclass_fields__:
            np.testing.assert_array_equal(getattr(got[1], name).get(), getattr(want[1], name), name)
        got, want = got[0], want[0]
    assert got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_array_equal(bits(got.get()), bits(want))


def on_both(cupy, function, *arrays, **options):
    """Call a function here and there, compare, and return the readings and the launches of the device."""
    settings.refuse_flush = True
    with np.errstate(all="ignore"):
        want = function(*arrays, **options)
        sent = [cupy.asarray(x) for x in arrays]
        LEDGER.clear()
        got = function(*sent, **options)
    readings, launches = sum(LEDGER.readings.values()), sum(LEDGER.launches.values())
    assert_same(got, want)
    return readings, launches


MODES = ("nearest_even", "toward_negative", "toward_zero", "to_odd")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_have_the_bits_and_the_flags_of_the_cpu(cupy, name, dtype):
    xs = [x.astype(dtype) for x in (A, B, A[::-1].copy())[: OPERATIONS[name]]]
    for fmt, rounding, flags in itertools.product(("bf16", "fp32", "fp64", "e4m3"), MODES, (False, True)):
        on_both(
            cupy, lambda *xs, **o: operate(name, xs, **o), *xs, fmt=fmt, rounding=rounding, return_flags=flags
        )


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_of_wide_numbers_near_the_ends_of_float64(cupy, name):
    wide = np.array([1e308, 1e-308, 5e-324, -1e300, 1e-300, 1.0, 0.0, 3.0])
    xs = [wide, wide[::-1].copy(), np.roll(wide, 3)][: OPERATIONS[name]]
    for fmt, rounding in itertools.product(("fp16", "fp64"), MODES):
        on_both(cupy, lambda *xs, **o: operate(name, xs, **o), *xs, fmt=fmt, rounding=rounding)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_two_kernels_and_reads_nothing(cupy, name):
    xs = [A.reshape(11, 9), B.reshape(11, 9).T.copy().T, A[::-1].reshape(11, 9)][: OPERATIONS[name]]
    for fmt in ("fp16", "fp32", "e5m2"):
        counts = on_both(cupy, lambda *xs, **o: operate(name, xs, **o), *xs, fmt=fmt)
        assert counts == (0, 2)


def test_numbers_follow_the_device_and_arrays_of_numpy_do_not(cupy):
    x = cupy.asarray(A)
    assert_same(operate("multiply", (x, 2.0), "fp16"), operate("multiply", (A, 2.0), "fp16"))
    for call in (lambda: operate("add", (x, A), "fp16"), lambda: matmul(x, A, "fp16")):
        with pytest.raises(DtypeError, match=r"cupy\.asarray"):
            call()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_bits_and_the_flags_of_the_cpu(cupy, name):
    for fmt, rounding, flags in itertools.product(("fp32", "e4m3"), MODES[::2], (False, True)):
        readings, _ = on_both(
            cupy, lambda x, **o: evaluate(name, x, **o), A, fmt=fmt, rounding=rounding, return_flags=flags
        )
        assert readings <= (6 if flags else 2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_in_float64_have_the_bits_of_the_cpu(cupy, name):
    try:
        evaluate(name, 0.5, "fp64")
    except ValueError:
        return  # no such function
    on_both(cupy, lambda x, **o: evaluate(name, x, **o), A.astype(np.float64), fmt="fp64")


@pytest.mark.parametrize("name", FUNCTIONS_OF_TWO)
def test_functions_of_two_have_the_bits_and_the_flags_of_the_cpu(cupy, name):
    for fmt, rounding, flags in itertools.product(("fp32", "e4m3"), MODES[::2], (False, True)):
        on_both(
            cupy,
            lambda x, y, **o: evaluate_pair(name, x, y, **o),
            A,
            B,
            fmt=fmt,
            rounding=rounding,
            return_flags=flags,
        )


def operands(case):
    """Return matrices of a kind, and a row to add."""
    rng = np.random.default_rng(3)
    a, b, c = (rng.standard_normal(shape).astype(np.float32) for shape in ((20, 50), (50, 12), (12,)))
    match case:
        case "zeros":
            a[0], a[1], b[:, 1] = 0.0, -0.0, 0.0
        case "sparse":
            a, b = a * (rng.random(a.shape) < 0.05), b * (rng.random(b.shape) < 0.05)
        case "tiny":
            a, b, c = (x * scale for x, scale in ((a, 1e-30), (b, 1e-12), (c, 1e-42)))
        case "special":
            a[0, 0], b[1, 1], a[3, 3], b[3, 2] = np.inf, np.nan, 3e38, np.inf
        case "minus zero":
            a[:], b, c[:] = 0.0, -abs(b), -0.0
        case "ties":
            a, b = np.rint(a * 4), np.rint(b * 4)
    return a.astype(np.float32), b.astype(np.float32), c.astype(np.float32)


CASES = ("usual", "zeros", "sparse", "tiny", "special", "minus zero", "ties")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "accumulator", ["wide", "exact", "fp32", "pairwise:fp16", "chunked:fp16:fp32:16", "kahan:bf16"]
)
def test_products_have_the_bits_of_the_cpu(cupy, case, accumulator):
    a, b, c = operands(case)
    for fmt, rounding in itertools.product(("fp32", "fp16", "e4m3"), ("nearest_even", "toward_negative")):
        options = {"fmt": fmt, "rounding": rounding, "accumulator": accumulator}
        on_both(cupy, matmul, a, b, **options)
        on_both(cupy, lambda a, b, c, **o: matmul(a, b, bias=c, **o), a, b, c, **options)


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "e4m3"])
def test_a_product_reads_one_number(cupy, fmt):
    matmul(
        cupy.ones((1, 1)), [[1.0]], fmt
    )  # the first product of a device is preceded by one with a known answer
    a, b, c = operands("usual")
    a[:, 0] = 0.0  # a zero is nothing to ask about
    readings, launches = on_both(cupy, matmul, a, b, fmt=fmt)
    assert readings == 1 and launches <= 20
    readings, _ = on_both(cupy, lambda a, b, c, **o: matmul(a, b, bias=c, **o), a, b, c, fmt=fmt)
    assert readings == 1


def test_a_device_whose_products_are_not_those_of_float64_is_refused_by_name(cupy, monkeypatch):
    on_device._try_products.cache_clear()
    right = cupy.matmul
    monkeypatch.setattr(cupy, "matmul", lambda a, b: right(a, b) * (1 + 2.0**-38))
    with pytest.raises(FloatEnvironmentError, match="CUBLAS_EMULATE_DOUBLE_PRECISION"):
        matmul(cupy.ones((1, 1)), [[1.0]], "fp16")
    monkeypatch.setattr(cupy, "matmul", lambda a, b: right(a, b) * (1 + 2.0**-52))  # as rounding may
    assert matmul(cupy.ones((1, 1)), [[1.0]], "fp16").tolist() == [[1.0]]
    on_device._try_products.cache_clear()


def test_sums_and_means_have_the_bits_of_the_cpu(cupy):
    a, *_ = operands("usual")
    for function, fmt, axis in itertools.product((total, mean), ("fp32", "bf16", "fp64"), (None, 0, 1)):
        on_both(cupy, function, a, fmt=fmt, axis=axis)
        on_both(cupy, function, a, fmt=fmt, axis=axis, rounding="toward_zero", return_flags=True)
