"""The fast ways to values and codes against the readable one: elements, one rounding each, times their scales."""

from __future__ import annotations

import numpy as np
import pytest
from block_oracle import FLOATS, NAMES, RULES

import floatlab as fl
from floatlab.block_formats import quantize as of_arrays
from floatlab.block_formats.conversion import Conversion
from floatlab.block_formats.magnitudes import largest_words
from floatlab.block_formats.units import round_by_units

NVFP4 = ("nvfp4", "nvfp4_16x16")


def words(step: int, *offsets: int) -> np.ndarray:
    """Return finite float32 numbers: every `step`-th word of all, from some offsets on, in order of their size."""
    w = np.concatenate([np.arange(offset, 0x7F800000, step, np.uint32) for offset in offsets])
    x = np.sort(w).view(np.float32)
    return np.concatenate([x, -x])


#: Every number of 8 bits, what lies beside it, and half way to the next.
EVERY = words(1 << 16, 0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)


def some_blocks(length: int = 32, seed: int = 0) -> np.ndarray:
    """Return blocks of neighbours in size, of numbers of all sizes, and of one large number among small ones."""
    rng = np.random.default_rng(seed)
    near = EVERY[: EVERY.size // length * length].reshape(-1, length)
    mixed = rng.permuted(EVERY)[: near.size].reshape(-1, length)
    spread = near * np.exp2(-rng.integers(0, 12, near.shape)).astype(np.float32)
    return np.concatenate([near, mixed, spread])


def readable(job) -> tuple[np.ndarray, np.ndarray]:
    """Return the elements and the scales of a job whose blocks lie in rows."""
    found = [
        [part.copy() for part in job.conversion.elements(blocks, integers, blocks.shape[1], *room)]
        for _, blocks, integers, room in job.pieces()
    ]
    elements, scales = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return elements, scales


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("element", FLOATS)
def test_rounded_where_they_are_numbers_have_the_bits_of_element_times_scale(element, rule, monkeypatch):
    x = some_blocks()[::3]
    amax = np.abs(x).max(1)
    x = x[((amax > 2.0**-60) & (amax < 2.0**90)) | (amax == 0)]
    elements, scales = readable(of_arrays._Job("quantize", x, NAMES[element], {"rule": rule}))
    wanted = elements * scales.astype(np.float32)[:, None]
    monkeypatch.delattr(Conversion, "divided")  # the other way
    got = fl.quantize(x, NAMES[element], rule=rule)
    assert got.size > 100_000
    np.testing.assert_array_equal(got.view(np.uint32), wanted.view(np.uint32))  # the sign of zeros too


@pytest.mark.parametrize("element", FLOATS)
def test_so_have_they_where_blocks_lie_at_the_ends_of_float32(element):
    x = some_blocks()[::5]
    x = x[np.abs(x).max(1) < 2.0**127]
    got = fl.quantize(x, NAMES[element], rule="rceil")
    elements, scales = readable(of_arrays._Job("quantize", x, NAMES[element], {"rule": "rceil"}))
    wanted = elements.astype(np.float64) * scales[:, None]
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("element", FLOATS)
def test_codes_that_are_looked_up_are_those_of_the_elements(element, rule):
    x = some_blocks()[::3]
    x[5, 3], x[9, 0], x[11, 31] = np.nan, np.inf, -np.inf
    job = of_arrays._Job("encode", x, NAMES[element], {"rule": rule})
    elements, _ = readable(job)
    got = fl.encode(x, NAMES[element], rule=rule)
    np.testing.assert_array_equal(got.codes, job.format.parts.encode(elements))


@pytest.mark.parametrize("rounding", ["nearest_even", "nearest_away", "nearest_zero", "toward_zero"])
@pytest.mark.parametrize("subnormals", ["gradual", "flush"])
def test_codes_decode_to_the_values_in_every_mode(rounding, subnormals):
    x = some_blocks()[::101]
    x = x[np.abs(x).max(1) < 2.0**120]
    options = {"rounding": rounding, "subnormals": subnormals, "rule": "rceil"}
    for name in ("mxfp8_e4m3", "mxfp4"):
        np.testing.assert_array_equal(fl.encode(x, name, **options).decode(), fl.quantize(x, name, **options))


@pytest.mark.parametrize("fmt", NVFP4)
@pytest.mark.parametrize("tensor_scale", [None, 1.0, 2.0**-40])
def test_nvfp4_rounds_every_quotient_once(fmt, tensor_scale):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((512, 64)).astype(np.float32) * np.exp2(rng.integers(-20, 8, (512, 64))).astype(
        np.float32
    )
    x[0] = np.repeat(x[0, ::16], 16) * np.tile([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 6], 8) / 6  # ties
    blocks = fl.encode(x, fmt, **({} if tensor_scale is None else {"tensor_scale": tensor_scale}))
    by = blocks.spread_scales()
    values = fl.get_format("e2m1")
    with np.errstate(all="ignore"):
        exact = fl.quantize(np.where(by == 0, np.copysign(0.0, x), x / by), values, overflow="saturate")
    np.testing.assert_array_equal(blocks.elements, exact)
    np.testing.assert_array_equal(
        fl.quantize(x, fmt, **({} if tensor_scale is None else {"tensor_scale": tensor_scale})),
        blocks.decode(np.float64),
    )


@pytest.mark.parametrize("name", ["e4m3", "e5m2", "e2m3", "e3m2", "e2m1", "e3m4"])
def test_counting_in_units_is_rounding_to_nearest_even_below_the_largest_value(name):
    fmt = fl.get_format(name)
    x = EVERY[np.abs(EVERY) <= fmt.max]
    for start in (0, 7):  # rows need not be aligned
        part = x[start:]
        got = round_by_units(
            part, np.float32(fmt.smallest_normal), fmt.mantissa_bits, np.empty(part.shape, np.int32), None
        )
        np.testing.assert_array_equal(
            np.clip(got, -fmt.max, fmt.max).view(np.uint32), fl.quantize(part, fmt).view(np.uint32)
        )


@pytest.mark.parametrize("length", [1, 2, 3, 7, 12, 16, 31, 32, 48, 256])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_word_of_a_block_is_found_for_every_length(length, dtype):
    x = np.random.default_rng(length).standard_normal((50, length)).astype(dtype)
    np.testing.assert_array_equal(largest_words(x).view(dtype), np.abs(x).max(1))


def test_a_block_of_zeros_and_one_far_from_1_do_not_disturb_their_neighbours():
    x = some_blocks()[1000:1064].copy()
    x[::4] = 0.0
    x[1, :] *= np.float32(2.0**-100)
    plain = fl.quantize(x, "mxfp8_e4m3", rule="rceil")
    for k, row in enumerate(x):
        np.testing.assert_array_equal(
            plain[k].view(np.uint32), fl.quantize(row, "mxfp8_e4m3", rule="rceil").view(np.uint32)
        )


def test_the_fast_way_is_taken_where_it_is_meant_to_be():
    x = np.ones((4, 32), np.float32)

    def asked(fmt, **options):
        return of_arrays._Job("quantize", x, fmt, options).conversion.rounds_in_place(np.dtype(np.float32))

    assert all(asked(name) for name in ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp4"))
    assert not asked("nvfp4") and not asked("mxint8") and not asked("fp8_1x128")
    assert not asked("mxfp4", rounding="nearest_away") and not asked("mxfp4", rounding="stochastic", rng=0)
