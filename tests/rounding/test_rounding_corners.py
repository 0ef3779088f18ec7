"""Corners of rounding in which a small mistake would show nowhere else."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from floatlab import reference
from floatlab.errors import FormatError
from floatlab.formats import FloatFormat, get_format
from floatlab.formats.notation import SPECIALS
from floatlab.rounding.kernels import workspace
from floatlab.rounding.kernels.choose import kernel_for
from floatlab.rounding.quantize import quantize

FLAGS = ("invalid", "divide_by_zero", "overflow", "underflow", "inexact")


def raised(x: float, name: str, **options: object) -> set[str]:
    flags = quantize([x], name, return_flags=True, **options)[1]
    found = {flag for flag in FLAGS if getattr(flags, flag)[0]}
    assert found == reference.round(x, get_format(name), **options).flags
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["tf32", "fp16", "e4m3", "bf16", "fp32", "e8m0", "fp4"])
def test_flushed_inputs_are_not_written_back_to_the_array_of_the_caller(name, dtype):
    tiny = get_format(name).smallest_normal / 4
    x = np.array([tiny, 1.0, -tiny] * 5, dtype)
    if not x[0]:
        pytest.skip("there is no such number")
    before = x.copy()
    quantize(x, name, flush_inputs=True)
    quantize(x[::2], name, flush_inputs=True)
    assert np.array_equal(x, before)


@pytest.mark.parametrize("step", [1, 7, -3])
def test_an_out_that_overlaps_the_input_is_written_as_if_it_did_not(step):
    for shift, name in itertools.product((1, 2, 5), ("bf16", "e4m3", "fp16")):
        buffer = np.random.default_rng(0).standard_normal(300_000).astype(np.float32)
        source, out = buffer[: 200_000 : abs(step)][:: int(math.copysign(1, step))], None
        out = buffer[shift : shift + source.size * abs(step) : abs(step)]
        expected = quantize(source.copy(), name)
        quantize(source, name, out=out)
        assert np.array_equal(out, expected)


@pytest.mark.parametrize(
    "size",
    [
        1,
        3,
        workspace._SHORT,
        workspace._SHORT + 1,
        workspace.ROW - 1,
        workspace.ROW,
        workspace.ROW + 1,
        3 * workspace.ROW + 7,
    ],
)
def test_a_row_of_bounds_bounds_every_element(size):
    for dtype in (np.float32, np.float64):
        x = np.random.default_rng(size).standard_normal(size).astype(dtype)
        y = np.empty_like(x)
        for ufunc in (np.maximum, np.minimum):
            workspace.bound(ufunc, x, dtype(0.25), out=y)
            assert np.array_equal(y, ufunc(x, dtype(0.25)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mantissa_bits", [1, 2, 3, 7])
def test_the_largest_format_that_a_kernel_takes_is_right_at_its_ends(mantissa_bits, dtype):
    carrier, last = np.dtype(dtype), 127 if dtype == np.float32 else 1023
    largest: dict[int, FloatFormat] = {}
    for e, bias in itertools.product((3, 5, 6, 9), range(-1000, 1100)):
        try:
            fmt = FloatFormat("edge", e, mantissa_bits, bias, "fn")
        except FormatError:
            continue
        if kernel_for(fmt, carrier) and (e not in largest or fmt.emax > largest[e].emax):
            largest[e] = fmt
    assert len(largest) >= 3
    for fmt in largest.values():
        near = [fmt.max * c for c in (1, 0.99, 0.51, 0.26, 1.02, 1.1)]
        exponents = {*range(fmt.emax - 2, fmt.emax + 8), *range(last - 4, last + 1)}
        far = [math.ldexp(c, k) for k in sorted(exponents) for c in (1.0, 1.9)]
        x = np.array([*near, *far, -far[3]], dtype)
        for mode in ("nearest_even", "nearest_away", "nearest_zero", "to_odd"):
            wanted = [reference.to_float(reference.round(v, fmt, mode).value) for v in x.tolist()]
            for start in range(0, len(x), 5):  # blocks with other largest numbers
                part = slice(start, start + 5)
                assert np.array_equal(quantize(x[part], fmt, rounding=mode), wanted[part], equal_nan=True), (
                    fmt
                )


def test_emax_is_the_exponent_of_the_largest_value_even_where_every_value_is_subnormal():
    seen = 0
    for e, m, specials, signed in itertools.product((1, 2), (0, 1, 2), SPECIALS, (True, False)):
        try:
            fmt = FloatFormat("small", e, m, 1, specials, signed)
        except FormatError:
            continue
        seen += 1
        assert 2.0**fmt.emax <= fmt.max < 2.0 ** (fmt.emax + 1), fmt
    assert seen > 20
    fmt = FloatFormat("subnormal", 1, 1, specials="p3109_extended", signed=False)
    assert (fmt.max_code, fmt.emax) == (1, fmt.emin - 1)


def test_float16_is_kept_only_where_it_holds_the_smallest_value():
    for bias, kept in ((15, True), (16, False), (17, False)):
        fmt = FloatFormat("b", 5, 10, bias)
        assert (quantize(np.float16([1.0]), fmt).dtype == np.float16) == kept
        tiny = fmt.smallest_subnormal
        assert quantize(np.float64([tiny]), fmt)[0] == tiny
    assert quantize(np.float16([1.0]), FloatFormat("b", 5, 9, 16)).dtype == np.float16
    assert quantize(np.float16([1.0]), FloatFormat("b", 5, 9, 17)).dtype == np.float32


def test_an_overflow_is_inexact_even_where_the_policy_delivers_the_value():
    assert raised(480.0, "e4m3", overflow="saturate") == {"overflow", "inexact"}
    assert raised(1e9, "fp16") == {"overflow", "inexact"}
    assert raised(1e9, "fp16", overflow="nan") == {"overflow", "inexact"}
    assert raised(9.0, "fp4", rounding="toward_zero") == {"overflow", "inexact"}
    assert raised(7.0, "fp4", rounding="toward_zero") == {"inexact"}


def test_zero_is_an_invalid_operation_only_where_there_is_none():
    assert raised(0.0, "e8m0") == {"invalid"}
    assert raised(-0.0, "e8m0", overflow="saturate") == {"invalid"}
    assert raised(0.0, "fp4") == set()


def test_an_exact_zero_raises_nothing_when_results_are_flushed():
    for zero in (0.0, -0.0):
        assert raised(zero, "fp16", subnormals="flush") == set()
    assert raised(2.0**-24, "fp16", subnormals="flush") == {"underflow", "inexact"}


def test_an_input_that_counts_as_zero_raises_nothing():
    for tiny in (1e-6, -(2.0**-24), 2.0**-15):
        assert raised(tiny, "fp16", flush_inputs=True) == set()
    assert raised(1e-6, "e8m0", flush_inputs=True) == {"inexact"}
