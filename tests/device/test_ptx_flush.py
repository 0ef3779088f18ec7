"""Tests of the tests: what a chip does to float32 under CuPy's options shows in the text, and in the machine's bits.

CuPy adds `-ftz=true` to every kernel after the kernel's own options. These kernels are planted: each has what no
kernel of floatlab may have, and each must be caught by both nets, by the text check and by the bits.
"""

from dataclasses import replace

import numpy as np
import pytest

from device.nvrtc import ARCHITECTURES, call, compiled, faults, launched
from floatlab.backend import Elementwise

TINY = np.float32(2.0**-126)  # the smallest normal number
SUBNORMAL = np.arange(1, 400, dtype=np.uint32).view(np.float32)
f4, f8 = np.dtype("f4"), np.dtype("f8")

ADDITION = Elementwise("float32 x, float32 z", "float32 y", "y = x + z", "planted_addition")

# float32's operations in float64, between two conversions that inline assembly keeps from being flushed.
WIDE = r"""
__device__ inline double wide(float x) { double y; asm("cvt.f64.f32 %0, %1;" : "=d"(y) : "f"(x)); return y; }
__device__ inline float narrow(double x) { float y; asm("cvt.rn.f32.f64 %0, %1;" : "=f"(y) : "d"(x)); return y; }
"""
SOUND = Elementwise("float32 x, float32 z", "float32 y", "y = narrow(wide(x) + wide(z))", "sound", WIDE)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_planted_float32_addition_is_caught_in_the_text(architecture):
    found = faults(
        compiled(ADDITION, (f4, f4, f4), architecture=architecture), float64=True, conversions=True
    )
    assert len(found) == 1
    assert found[0].startswith("add.rn.ftz.f32")
    assert found[0].endswith(": .ftz")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_planted_float32_addition_flushes_in_the_machine(architecture):
    (y,) = call(ADDITION, SUBNORMAL, np.zeros_like(SUBNORMAL), outputs=[f4], architecture=architecture)
    assert (y == 0).all()  # on the processor it is x
    (y,) = call(ADDITION, SUBNORMAL, np.full_like(SUBNORMAL, -TINY), outputs=[f4], architecture=architecture)
    assert (y == -TINY).all()


def test_our_own_options_cannot_switch_the_flush_off():
    class Asked(Elementwise):
        options = ("-ftz=false", *Elementwise.options)

    asked = Asked(ADDITION.inputs, ADDITION.outputs, ADDITION.operation, "asked")
    assert [fault.rpartition(": ")[2] for fault in faults(compiled(asked, (f4, f4, f4)))] == [".ftz"]


PLANTED = {
    "a comparison": "y = x < z ? 1.0f : 2.0f",
    "a maximum": "y = max(x, z)",
    "an absolute value": "y = fabsf(x)",
    "a floor": "y = floorf(x)",
    "a cast to float64": "y = __int_as_float(__double2hiint((double)x))",
    "a cast from float64": "y = (float)__longlong_as_double((long long)__float_as_int(x) << 32)",
    "an intrinsic addition": "y = __fadd_rn(x, z)",
    "a square root": "y = sqrtf(x)",
    "a quotient": "y = x / z",
}


@pytest.mark.parametrize("what", PLANTED)
def test_each_float32_operation_is_caught_in_the_text_because_it_flushes(what):
    kernel = replace(ADDITION, operation=PLANTED[what])
    found = faults(compiled(kernel, (f4, f4, f4)), float64=True, conversions=True)
    assert any(fault.endswith(": .ftz") for fault in found), found


@pytest.mark.parametrize("what", PLANTED)
def test_each_float32_operation_gives_other_bits_in_the_machine(what):
    x, z = -SUBNORMAL, np.full_like(SUBNORMAL, 2.0**-120)
    if what in ("a comparison", "a maximum"):
        z = np.flip(x)
    if what == "a cast from float64":  # the upper words of float64 numbers that are subnormal in float32
        x = (0x37A00000 + 1024 * np.arange(399, dtype=np.uint32)).view(f4)
    text = compiled(replace(ADDITION, operation=PLANTED[what]), (f4, f4, f4))
    (flushed,) = launched(text, (x, z), [f4])
    (kept,) = launched(text.replace(".ftz", ""), (x, z), [f4])  # what a processor computes
    assert (flushed.view(np.uint32) != kept.view(np.uint32)).any()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_addition_between_pinned_conversions_is_neither_flushed_nor_a_fault(architecture):
    text = compiled(SOUND, (f4, f4, f4), architecture=architecture)
    assert faults(text, float64=True, conversions=True) == []
    assert (
        len(faults(text)) == 4
    )  # two conversions, a sum, a conversion: none of them for a kernel of integers
    z = np.resize(np.float32([0.0, -TINY, TINY, 1.5 * TINY, -(2.0**-149), 1.0]), SUBNORMAL.shape)
    (y,) = call(SOUND, SUBNORMAL, z, outputs=[f4], architecture=architecture)
    np.testing.assert_array_equal(y.view(np.uint32), (SUBNORMAL + z).view(np.uint32))


FUSED = Elementwise("float64 a, float64 b, float64 c", "float64 y", "y = a * b + c", "product_and_sum")


def test_a_product_and_a_sum_stay_two_operations_that_name_their_rounding():
    assert faults(compiled(FUSED, (f8,) * 4), float64=True) == []
    a = np.full(4, 1 + 2.0**-30)
    (y,) = call(FUSED, a, a, -(a * a), outputs=[f8])
    assert (y == 0).all()  # fused, the sum would be what the product rounded away


def test_without_the_option_they_would_be_fused_and_that_is_caught():
    class Careless(Elementwise):
        options = ("--std=c++17",)

    careless = Careless(FUSED.inputs, FUSED.outputs, FUSED.operation, "careless")
    assert [fault.rpartition(": ")[2] for fault in faults(compiled(careless, (f8,) * 4), float64=True)] == [
        "fused"
    ]


def test_an_approximate_function_is_caught():
    kernel = Elementwise("float32 x", "float32 y", "y = __expf(x)", "approximate")
    assert any("approx" in fault for fault in faults(compiled(kernel, (f4, f4)), float64=True))


def test_scalars_and_arrays_and_types_by_letter_reach_a_kernel_as_cupy_hands_them_over():
    kernel = Elementwise(
        "T x, uint64 add, raw uint32 table", "T y", "y = x * 2 + (T)add + table[x & 3]", "mixed"
    )
    x = np.arange(1000, dtype=np.uint32)
    table = np.array([5, 6, 7, 8], np.uint32)
    (y,) = call(kernel, x, np.uint64(2**33 + 9), table, outputs=["u4"])
    np.testing.assert_array_equal(y, x * 2 + np.uint32(9) + table[x & 3])
