"""Operations of float32 numbers on a device: what their PTX computes, in the machine of `ptx` and on the processor.

A sum, a product, a quotient or a root is formed in float64 and rounded once to float32, which is float32's own result:
so NumPy's float32 operations, subnormals and all, are the oracle, which shares no code with the kernels. What only
floatlab forms (the exact result, rounded to odd or in a direction) is compared with the same C++ on the processor.

An ordinary run takes 4,000 pairs in the machine and 200,000 on the processor; 100,000 and six million with

    FLOATLAB_PTX=all python -m pytest tests/device/test_ptx_operations.py
"""

import os

import numpy as np
import pytest

from device.compiler import compiler
from device.every_kernel import F32, F64, KERNELS, OPERATIONS, WAYS, operation_example, rounding_example
from device.nvrtc import ARCHITECTURES, call

ALL = os.environ.get("FLOATLAB_PTX") == "all"
BY_MACHINE, BY_PROCESSOR = (100_000, 6_000_000) if ALL else (4_000, 200_000)
NUMPY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "sqrt": np.sqrt,
}


def operands(count, dtype=F32, number=2):
    """Return operands of which many are subnormal, near each other's size, or give a subnormal result; and all ends."""
    rng = np.random.default_rng(count + dtype.itemsize)
    bits, stored = 8 * dtype.itemsize, np.finfo(dtype).nmant
    word = np.dtype(f"u{dtype.itemsize}")
    top = 2 * np.finfo(dtype).maxexp - 1
    first = rng.integers(0, top + 1, count)
    fields = [first, np.clip(first + rng.integers(-30, 31, count), 0, top), np.clip(top // 2 - first, 0, top)]
    fields.append(
        np.where(rng.integers(0, 2, count) == 0, 0, rng.integers(0, 40, count))
    )  # subnormal or small
    chosen = []
    for k in range(number):
        field = np.choose(rng.integers(0, 4, count) * (k > 0), fields)
        fraction = rng.integers(0, 1 << stored, count, np.uint64) >> rng.integers(0, stored, count, np.uint64)
        sign = rng.integers(0, 2, count).astype(np.uint64) << np.uint64(bits - 1)
        chosen.append(
            (sign | field.astype(np.uint64) << np.uint64(stored) | fraction).astype(word).view(dtype)
        )
    info = np.finfo(dtype)
    ends = np.array([0, 1, info.tiny, info.smallest_subnormal, info.max, np.inf, np.nan, 3], dtype)
    ends = np.concatenate([ends, -ends])
    for k, x in enumerate(chosen):
        grid = np.meshgrid(*[ends] * number)[k].ravel()[: count // 4]
        x[: grid.size] = grid
    return chosen


def differences(got, expected, x):
    """Return how many words differ: of a NaN that an operand is, its sign counts; of a new NaN, that it is positive."""
    words = f"u{got.dtype.itemsize}"
    nan = np.isnan(got) & np.isnan(expected)
    sign = np.zeros(got.shape, bool)
    for operand in reversed(x):
        sign = np.where(np.isnan(operand), np.signbit(operand), sign)
    wrong = np.where(nan, np.signbit(got) != sign, got.view(words) != expected.view(words))
    return np.count_nonzero(wrong)


@pytest.mark.parametrize("name", NUMPY)
def test_float32_operations_have_numpys_bits_in_the_machine(name):
    x = operands(BY_MACHINE, number=OPERATIONS[name])
    architecture = ARCHITECTURES[[*NUMPY].index(name)]
    exact = operation_example(name, "direct", (F32,) * len(x), to_minus=False).kernel
    (wide,) = call(exact, *x, outputs=[F64], architecture=architecture)
    kernel = rounding_example("fp32", F64, "nearest_even", result=F32).kernel
    (words,) = call(kernel, wide.view(np.uint64), outputs=[np.uint32], architecture=architecture)
    with np.errstate(all="ignore"):
        assert differences(words.view(F32), NUMPY[name](*x), x) == 0


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize("name", NUMPY)
def test_float32_operations_have_numpys_bits_on_the_processor(name, cupy):
    x = operands(BY_PROCESSOR, number=OPERATIONS[name])
    exact = operation_example(name, "direct", (F32,) * len(x), to_minus=False).kernel
    wide = exact(*map(cupy.asarray, x))
    words = rounding_example("fp32", F64, "nearest_even", result=F32).kernel(wide.view(np.uint64)).get()
    with np.errstate(all="ignore"):
        assert differences(words.view(F32), NUMPY[name](*x), x) == 0


def test_a_float32_becomes_a_float64_as_on_the_processor_nans_signs_and_payloads_too():
    (x,) = operands(BY_MACHINE, number=1)
    x[:4] = np.array([0x7FC01234, 0xFFC00001, 0x7F800001, 0xFF923456], np.uint32).view(F32)
    kernel = next(KERNELS["backend._WIDEN"].examples()).kernel
    for architecture in ARCHITECTURES:
        (wide,) = call(kernel, x, outputs=[F64], architecture=architecture)
        with np.errstate(invalid="ignore"):  # a signaling NaN becomes a quiet one
            assert np.array_equal(wide.view(np.uint64), x.astype(F64).view(np.uint64))


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize("way", ["direct", *WAYS])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_exact_result_has_the_same_bits_in_the_machine_as_on_the_processor(name, way, cupy):
    dtype = F64 if way == "to_odd" else F32
    x = operands(BY_MACHINE, dtype, OPERATIONS[name])
    kernel = operation_example(name, way, (dtype,) * len(x), extremes=True).kernel
    expected = [part.get() for part in kernel(*map(cupy.asarray, x))]
    got = call(
        kernel, *x, outputs=[F64, np.dtype(bool), np.dtype(bool)], architecture=ARCHITECTURES[len(way) % 7]
    )
    settled = ~expected[1]  # what may be wrong because of float64's ends is settled elsewhere
    assert np.array_equal(got[1], expected[1])
    assert np.array_equal(got[0].view(np.uint64)[settled], expected[0].view(np.uint64)[settled])
    assert np.array_equal(got[2][settled], expected[2][settled])
