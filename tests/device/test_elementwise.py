"""Kernels of C++ strings, compiled for the processor and run over the stand-in's arrays."""

import numpy as np
import pytest

from device.ledger import LEDGER
from floatlab.backend import Elementwise

AXPY = Elementwise("float64 x, float64 y, int32 n", "float64 r", "r = n * x + y", "axpy")


def test_a_kernel_broadcasts_and_takes_numbers(cupy):
    x, y = np.arange(6.0).reshape(2, 3), np.array([10.0, 20.0, 30.0])
    result = AXPY(cupy.asarray(x), cupy.asarray(y), 3)
    assert isinstance(result, cupy.ndarray)
    assert np.array_equal(result.get(), 3 * x + y)
    assert LEDGER.launches["axpy"] == 1


def test_strided_inputs_and_outputs_are_walked(cupy):
    x, room = np.arange(24.0).reshape(4, 6), np.zeros((8, 3))
    device, out = cupy.asarray(x), cupy.asarray(room)
    got = AXPY(device[::2, ::2].T, device[1::2, 1::2].T, 2, out[1:7:2, :2])
    room[1:7:2, :2] = (2 * x[::2, ::2] + x[1::2, 1::2]).T
    assert np.array_equal(out.get(), room) and got.shape == (3, 2)


def test_an_output_may_be_an_input(cupy):
    x = cupy.asarray([1.0, 2.0])
    AXPY(x, x, 1, x)
    assert x.tolist() == [2.0, 4.0]


def test_several_outputs_and_generic_types(cupy):
    both = Elementwise("T x", "T low, int32 sign", "low = x < 0 ? x : 0; sign = x < 0", "both")
    for dtype in (np.float32, np.float64, np.int64):
        low, sign = both(cupy.asarray([-2, 3], dtype))
        assert low.dtype == dtype and low.tolist() == [-2, 0] and sign.tolist() == [1, 0]


def test_raw_arrays_are_pointers(cupy):
    look = Elementwise("int32 place, raw float64 table", "float64 r", "r = table[place]", "look")
    assert look(cupy.asarray([2, 0], np.int32), cupy.asarray([5.0, 6.0, 7.0])).tolist() == [7.0, 5.0]


def test_products_and_sums_are_not_contracted(cupy):
    x, y, z = 1 + 2.0**-30, 1 - 2.0**-30, -1.0
    got = Elementwise("float64 x, float64 y, float64 z", "float64 r", "r = x * y + z", "two")(
        cupy.asarray([x]), y, z
    )
    assert got.tolist() == [x * y + z] == [0.0]


def test_the_words_of_cuda_are_there(cupy):
    text = """
        r = (unsigned long long)__clz((int)x) * 1000 + __clzll((long long)x) + __umul64hi(x, 1ull << 63)
            + __float_as_uint(__uint_as_float((unsigned)x)) + (unsigned long long)__popcll(x)
            + (__double_as_longlong(__longlong_as_double((long long)x)) == (long long)x);
    """
    x = np.array([1, 5, 0x7F800000 >> 3], np.uint64)
    got = Elementwise("uint64 x", "uint64 r", text, "words")(cupy.asarray(x)).tolist()
    want = []
    for n in x.tolist():
        clz = 32 - n.bit_length()
        want.append(clz * 1000 + clz + 32 + (n >> 1) + n + n.bit_count() + 1)
    assert got == want


def test_float32_inputs_reach_a_kernel_unflushed(cupy):
    bits = Elementwise("float32 x", "uint32 r", "r = __float_as_uint(x)", "bits")
    x = np.array([1e-45, -1e-40], np.float32)
    assert bits(cupy.asarray(x)).tolist() == x.view(np.uint32).tolist()


def test_an_array_of_another_type_is_refused(cupy):
    with pytest.raises(TypeError, match="float64"):
        AXPY(cupy.asarray([1, 2]), cupy.asarray([1.0, 2.0]), 1)
    with pytest.raises(TypeError, match=r"numpy\.ndarray"):
        AXPY(np.ones(2), cupy.ones(2), 1)
