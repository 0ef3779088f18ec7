"""Codes and scales in one array: packing, size, the transpose of tiles, and the one operation on blocks."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest
from block_oracle import NAMES

import floatlab as fl
from floatlab.errors import DtypeError, FormatMismatchError, ShapeError


def test_two_codes_of_four_bits_make_a_byte_the_even_index_low():
    a = fl.encode([[0.5, 6.0, 1.0], [-0.5, 0.0, -6.0]], "mxfp4", tensor_scale=None)
    low, high = a.codes[:, 0::2], np.pad(a.codes[:, 1::2], ((0, 0), (0, 1)))
    np.testing.assert_array_equal(a.packed(), low | high << 4)


def test_four_codes_of_six_bits_make_three_bytes_from_the_lowest_bit_on():
    a = fl.encode(np.linspace(-7, 7, 32), "mxfp6_e2m3")
    word = sum(int(code) << 6 * i for i, code in enumerate(a.codes))
    assert a.packed().tobytes() == word.to_bytes(24, "little")


def test_eight_bits_are_bytes():
    a = fl.encode(np.linspace(-7, 7, 33), "mxint8")
    np.testing.assert_array_equal(a.packed(), a.codes)
    assert a.packed().dtype == np.uint8


BITS = {
    "mxfp8_e4m3": 8.25, "mxfp8_e5m2": 8.25, "mxfp6_e2m3": 6.25, "mxfp6_e3m2": 6.25, "mxfp4": 4.25, "mxint8": 8.25,
    "nvfp4": 4.5, "nvfp4_16x16": 4.03125, "fp8_1x128": 8.25, "fp8_1x128:pow2": 8.25,
    "fp8_128x128": 8 + 32 / 16384, "fp8_128x128:pow2": 8 + 32 / 16384, "int4:32": 5.0,
}  # fmt: skip


@pytest.mark.parametrize(("fmt", "bits"), BITS.items())
def test_bits_of_a_value(fmt, bits):
    assert fl.get_format(fmt).bits_per_value == bits
    a = fl.encode(np.ones((128, 128), np.float32), fmt)
    tensor = 32 if a.tensor_scale is not None else 0
    assert a.bits_per_value == bits + tensor / 128**2
    assert (
        a.nbytes
        == (bits * 128**2 + tensor) / 8
        == len(a.packed().reshape(-1)) + a.scales.nbytes + tensor // 8
    )


def test_a_shorter_last_block_costs_a_scale():
    assert fl.encode(np.ones(33), "mxfp4").nbytes == 17 + 2


def test_tiles_may_be_transposed_and_blocks_may_not():
    x = np.random.default_rng(0).standard_normal((40, 70)).astype(np.float32)
    a = fl.encode(x, "nvfp4_16x16")
    np.testing.assert_array_equal(a.T.decode(), a.decode().T)
    np.testing.assert_array_equal(a.T.scales, fl.encode(x.T, "nvfp4_16x16").scales)


@pytest.mark.parametrize("fmt", [*NAMES.values(), "nvfp4", "fp8_1x128"])
def test_a_product_is_the_exact_sum_of_the_decoded_products_rounded_once(fmt):
    rng = np.random.default_rng(1)
    x, w = (rng.standard_normal(s) * np.exp2(rng.integers(-20, 20, s)) for s in ((3, 70), (70, 2)))
    a, b = fl.encode(x, fmt), fl.encode(w, fmt, axis=0)
    left, right = ([[Fraction(float(v)) for v in row] for row in m.decode(np.float64)] for m in (a, b))
    for got in (fl.matmul(a, b), a @ b):
        assert got.dtype == np.float32
        for i in range(3):
            for j in range(2):
                exact = sum(left[i][k] * right[k][j] for k in range(70))
                assert got[i, j] == fl.quantize(exact, "fp32")


def test_blocks_of_a_product_lie_along_the_axis_that_it_sums():
    a, b = fl.encode(np.ones((4, 32)), "mxfp4"), fl.encode(np.ones((32, 4)), "mxfp4")
    with pytest.raises(ShapeError, match="axis=-2"):
        fl.matmul(a, b)
    with pytest.raises(FormatMismatchError, match="BlockArrays"):
        fl.matmul(a, np.ones((32, 4)))
    tiles = fl.encode(np.ones((16, 16)), "nvfp4_16x16")
    assert (fl.matmul(tiles, tiles) == 16).all()


def test_codes_and_scales_decode_to_what_quantize_gives():
    x = np.random.default_rng(2).standard_normal((8, 64)).astype(np.float32)
    for fmt in (*NAMES.values(), "nvfp4", "fp8_1x128", "int4:32"):
        a = fl.array(x, fmt)
        np.testing.assert_array_equal(a.decode(), fl.quantize(x, fmt))
        np.testing.assert_array_equal(fl.decode(a), a.decode())
        np.testing.assert_array_equal(np.asarray(a), a.decode())
        assert a.decode(np.float32).dtype == np.float32


def test_the_printed_form_shows_values_format_and_scales():
    assert (
        repr(fl.encode([1.0, 448.0], "mxfp8_e4m3"))
        == "BlockArray([  1., 448.], format=mxfp8_e4m3, scales=[2^0])"
    )
    text = repr(fl.encode(np.ones((1000, 64)), "nvfp4"))
    assert len(text) < 800
    assert "tensor_scale=0.000372024" in text


def test_an_array_of_blocks_can_be_copied_and_pickled():
    a = fl.encode(np.linspace(-1, 1, 64).reshape(2, 32), "nvfp4")
    for other in (copy.deepcopy(a), pickle.loads(pickle.dumps(a))):
        np.testing.assert_array_equal(other.decode(), a.decode())
        assert (other.format, other.axis, other.rule) == (a.format, a.axis, a.rule)


def test_formats_show_themselves():
    html = fl.get_format("nvfp4")._repr_html_()
    assert "4.5" in html
    assert "float8_e4m3fn" in html
    assert str(fl.get_format("MXFP4")) == "mxfp4"
    assert fl.get_format("nvfp4").max == 448 * 6


def test_a_product_takes_the_options_of_rounding():
    a, b = fl.encode([[1.0, 2.0**-20]], "mxfp8_e5m2"), fl.encode([[1.0], [2.0**-10]], "mxfp8_e5m2", axis=0)
    up, down = (fl.matmul(a, b, "bf16", rounding=f"toward_{way}") for way in ("positive", "negative"))
    assert (up >= down).all()
    exact = sum(
        Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a.decode()[0], b.decode()[:, 0], strict=True)
    )
    assert up.item() == fl.quantize(exact, "bf16", rounding="toward_positive")


@pytest.mark.parametrize("dtype", ["foo", "int8", "mxfp4", np.float16])
def test_blocks_are_decoded_to_float32_or_float64(dtype):
    with pytest.raises(DtypeError, match="float64"):
        fl.encode([1.0], "mxfp4").decode(dtype)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(fl.encode([1.0], "mxfp4"), copy=False)


def test_the_product_of_long_integers_does_not_wrap_unless_asked():
    a, b = fl.quantize_int(np.ones((1, 3)), "int16"), fl.quantize_int(np.ones((3, 1)), "int16")
    exact = 3 * (a.decode("float64")[0, 0]) ** 2
    assert fl.matmul(a, b).item() == np.float32(exact)
    assert fl.matmul(a, b, accumulator="int32").item() < 0
    many = fl.matmul(fl.quantize_int(np.ones((1, 150_000))), fl.quantize_int(np.ones((150_000, 1))))
    assert abs(many.item() - 150_000) < 1
