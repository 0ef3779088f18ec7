"""Blocks against their definitions (`block_oracle.py`), whatever the layout, the mode and the source."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from block_oracle import FLOATS, NAMES, RULES, blocks_in_float64, magnitudes, mx_block, round_element

import floatlab as fl
from floatlab.block_formats.layout import layout
from floatlab.errors import (
    DtypeError,
    FloatlabError,
    FormatError,
    FormatMismatchError,
    OptionError,
    ShapeError,
)

MODES = ("nearest_even", "nearest_away", "toward_zero", "toward_positive", "toward_negative", "to_odd")


def some_blocks(rng, element: str, n: int) -> np.ndarray:
    """Return float32 blocks: of every size, at and beside the thresholds of the rules, with ties, zeros, subnormals."""
    largest = float(magnitudes(element)[-1])
    x = rng.standard_normal((n, 32)) * np.exp2(rng.integers(-8, 9, (n, 32)))
    tops = np.array([largest, largest * 0.75, 2 ** np.floor(np.log2(largest)), largest * 1.5, 1.0])
    top = tops[rng.integers(0, len(tops), n)] * np.exp2(rng.integers(-150, 100, n))
    x *= (top / np.abs(x).max(axis=1))[:, None]
    x = x.astype(np.float32)
    x[np.arange(n), np.abs(x).argmax(axis=1)] = top.astype(np.float32)
    kind = rng.integers(0, 4, n)
    steps = np.nextafter(x, np.float32(np.inf), dtype=np.float32)
    x = np.where((kind == 1)[:, None], steps, x)
    x = np.where((kind == 2)[:, None], np.nextafter(x, np.float32(0), dtype=np.float32), x)
    short = (x.view(np.uint32) & np.uint32(0xFFF80000)).view(np.float32)  # few bits: many ties
    x = np.where((kind == 3)[:, None], short, x)
    x[rng.random((n, 32)) < 0.05] = 0.0
    x[rng.random((n, 32)) < 0.02] = -0.0
    x[rng.random(n) < 0.02] = 0.0
    return x


def floats(values) -> list[float]:
    return [float(v) for v in values]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("element", NAMES)
def test_blocks_are_those_of_the_definition(element, rule):
    x = some_blocks(np.random.default_rng(len(element) + 7 * RULES.index(rule)), element, 60)
    found = fl.encode(x, NAMES[element], rule=rule)
    values = found.decode(np.float64)
    for k, block in enumerate(x):
        scale, expected = mx_block(block, element, rule)
        assert found.scales[k, 0] == scale, (block.tolist(), rule)
        assert values[k].tolist() == floats(expected)


@pytest.mark.parametrize("rounding", MODES)
@pytest.mark.parametrize("element", NAMES)
def test_every_mode_rounds_the_exact_quotient(element, rounding):
    rng = np.random.default_rng(len(rounding))
    x = some_blocks(rng, element, 12).astype(np.float64)
    x[:6] *= 1 + rng.random((6, 32)) * 2.0**-40  # more bits than a float32 has
    x[0, 3], x[1, 4], x[2, 5] = (
        5e-324,
        -5e-324,
        2.0**-1060,
    )  # lost on the way, if the quotient were taken in float64
    values = fl.quantize(x, NAMES[element], rule="rceil", rounding=rounding)
    for block, got in zip(x, values, strict=True):
        assert got.tolist() == floats(mx_block(block, element, "rceil", rounding)[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rounding", MODES)
def test_a_tiny_number_beside_a_large_one_is_not_lost_where_it_decides(rounding, dtype):
    x = np.array([2.0**100, 2.0**-140, -(2.0**-140)] + [0.0] * 29, dtype)
    got = fl.quantize(x, "mxfp8_e5m2", rounding=rounding)
    assert got.tolist() == floats(mx_block(x, "e5m2", "floor", rounding)[1])
    assert (np.count_nonzero(got) > 1) == (rounding in ("toward_positive", "toward_negative", "to_odd"))


@pytest.mark.parametrize("element", ["e4m3", "e2m1", "int8"])
@pytest.mark.parametrize("bits", [1, 8, 16, 33])
def test_stochastic_rounding_takes_the_integers_that_it_is_given(element, bits):
    rng = np.random.default_rng(bits)
    x = some_blocks(rng, element, 8)
    R = rng.integers(0, 2**bits, x.shape)
    got = fl.quantize(x, NAMES[element], rounding="stochastic", random_bits=bits, random_integers=R)
    for block, integers, values in zip(x, R, got, strict=True):
        expected = mx_block(block, element, "floor", "stochastic", integers, bits)[1]
        assert values.tolist() == floats(expected)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("element", NAMES)
def test_thousands_of_blocks_are_those_of_the_second_oracle(element, rule):
    x = some_blocks(np.random.default_rng(99), element, 3000)
    found = fl.encode(x, NAMES[element], rule=rule)
    scales, values = blocks_in_float64(x, element, rule)
    np.testing.assert_array_equal(found.scales[:, 0], scales)
    np.testing.assert_array_equal(found.decode(np.float64).view(np.uint64), values.view(np.uint64))
    short = x[np.abs(values).max(axis=1) < 2.0**128]
    np.testing.assert_array_equal(
        fl.quantize(short, NAMES[element], rule=rule), values[np.abs(values).max(axis=1) < 2.0**128]
    )


def test_the_oracles_agree():
    for element in NAMES:
        x = some_blocks(np.random.default_rng(5), element, 20)
        for rule in RULES:
            scales, values = blocks_in_float64(x, element, rule)
            for k, block in enumerate(x):
                assert mx_block(block, element, rule) == (scales[k], [Fraction(float(v)) for v in values[k]])


# -- numbers of every kind ---------------------------------------------------------------------------------------


def test_integers_fractions_and_texts_are_taken_exactly():
    numbers = [2**60 + 2**36 + 1, Fraction(1, 3), "0.1", 7] + [0] * 28
    exact = [Fraction(2**60 + 2**36 + 1), Fraction(1, 3), Fraction(1, 10), Fraction(7)] + [Fraction(0)] * 28
    for rounding in ("nearest_even", "toward_positive", "to_odd"):
        got = fl.quantize(numbers, "mxfp8_e5m2", rounding=rounding)
        assert got.tolist() == floats(mx_block(exact, "e5m2", "floor", rounding)[1])


def test_an_integer_just_above_a_threshold_takes_the_next_scale():
    beside = [448 * 2**54 + 1, 0]
    assert fl.encode(beside, "mxfp8_e4m3", rule="rceil").scales.tolist() == [127 + 55]
    assert fl.encode([448 * 2**54, 0], "mxfp8_e4m3", rule="rceil").scales.tolist() == [127 + 54]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", ">f4", ">f8", "int8", "uint16", "bool"])
def test_every_type_of_number_gives_the_values_of_its_float64(dtype):
    x = np.arange(64).astype(np.dtype(dtype) if dtype != "bfloat16" else fl.get_format("bf16").dtype)
    expected = fl.quantize(x.astype(np.float64), "mxfp4")
    np.testing.assert_array_equal(fl.quantize(x, "mxfp4").astype(np.float64), expected)


def test_float32_gives_float32_and_float64_gives_float64():
    x = np.ones((2, 32), np.float32)
    assert fl.quantize(x, "mxfp4").dtype == np.float32
    assert fl.quantize(x.astype(np.float64), "mxfp4").dtype == np.float64
    assert fl.quantize(x, "nvfp4").dtype == np.float64  # element times scale times tensor's scale has 30 bits
    assert fl.quantize(x, "fp8_1x128").dtype == np.float64
    assert fl.quantize(x, "fp8_1x128:pow2").dtype == np.float64


def test_what_float32_does_not_hold_is_refused_and_float64_holds_it():
    x = np.full(32, np.finfo(np.float32).max)
    with pytest.raises(DtypeError, match="float64"):
        fl.quantize(x, "mxfp8_e4m3", rule="ceil")
    assert fl.quantize(x.astype(np.float64), "mxfp8_e4m3", rule="ceil")[0] == 2.0**128
    assert fl.encode(x, "mxfp8_e4m3", rule="ceil").decode()[0] == 2.0**128
    assert np.isfinite(fl.quantize(x, "mxfp8_e4m3")).all()


# -- where blocks lie ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["mxfp4", "nvfp4", "mxint8", "fp8_1x128", "int4:5"])
@pytest.mark.parametrize("shape", [(70,), (3, 33), (40, 3), (2, 37, 5), (2, 3, 200), (0, 5), (5, 0), (1, 1)])
def test_along_any_axis_each_line_is_quantized_as_if_it_stood_alone(fmt, shape):
    rng = np.random.default_rng(len(shape))
    x = (rng.standard_normal(shape) * np.exp2(rng.integers(-9, 9, shape))).astype(np.float32)
    options = {"tensor_scale": 0.5} if fmt == "nvfp4" else {}
    length = fl.get_format(fmt).block[0]
    for axis in range(-x.ndim, x.ndim):
        got = fl.quantize(x, fmt, axis=axis, **options)
        coded = fl.encode(x, fmt, axis=axis, **options)
        lines, results = np.moveaxis(x, axis, -1), np.moveaxis(got, axis, -1)
        for at in np.ndindex(lines.shape[:-1]):
            pieces = [lines[at][i : i + length] for i in range(0, lines.shape[-1], length)]
            alone = [fl.quantize(piece.copy(), fmt, **options) for piece in pieces]
            assert results[at].tolist() == (np.concatenate(alone).tolist() if alone else [])
        np.testing.assert_array_equal(coded.decode(got.dtype), got)


@pytest.mark.parametrize("shape", [(128, 256), (130, 140), (2, 16, 40), (3, 2, 5, 17), (1, 1), (0, 16)])
@pytest.mark.parametrize("fmt", ["nvfp4_16x16", "fp8_128x128"])
def test_tiles_are_quantized_as_if_each_stood_alone(fmt, shape):
    rng = np.random.default_rng(len(shape))
    x = (rng.standard_normal(shape) * np.exp2(rng.integers(-9, 9, shape))).astype(np.float32)
    options = {"tensor_scale": 0.25} if fmt.startswith("nvfp4") else {}
    side = fl.get_format(fmt).block[0]
    got = fl.quantize(x, fmt, **options)
    for at in np.ndindex(shape[:-2]):
        for i in range(0, shape[-2], side):
            for j in range(0, shape[-1], side):
                tile = x[at][i : i + side, j : j + side]
                alone = fl.quantize(tile.copy(), fmt, **options)
                np.testing.assert_array_equal(got[at][i : i + side, j : j + side], alone)
    np.testing.assert_array_equal(fl.encode(x, fmt, **options).decode(), got)


@pytest.mark.parametrize("fmt", ["mxfp8_e4m3", "nvfp4", "nvfp4_16x16"])
def test_a_view_of_any_strides_gives_what_its_copy_gives(fmt):
    base = np.random.default_rng(0).standard_normal((70, 96)).astype(np.float32)
    for view in (base.T, base[::2, ::3], base[::-1, ::-1], np.asfortranarray(base), base[:, 5:47]):
        np.testing.assert_array_equal(fl.quantize(view, fmt), fl.quantize(view.copy(), fmt))
        drawn = [fl.quantize(v, fmt, rounding="stochastic", rng=3) for v in (view, view.copy())]
        np.testing.assert_array_equal(*drawn)


def test_stochastic_rounding_gives_an_element_the_integer_of_its_place_in_c_order():
    x = np.random.default_rng(1).standard_normal((64, 48)).astype(np.float32)
    integers = np.random.default_rng(2).integers(0, 256, x.shape)
    options = {"rounding": "stochastic", "random_bits": 8}
    along = fl.quantize(x.T.copy(), "mxfp4", random_integers=integers.T.copy(), **options)
    across = fl.quantize(x, "mxfp4", axis=0, random_integers=integers, **options)
    np.testing.assert_array_equal(across, along.T)


def test_large_arrays_are_quantized_as_their_blocks_are():
    x = np.random.default_rng(4).standard_normal(200_000).astype(np.float32)
    whole = fl.quantize(x, "mxfp6_e3m2")
    for start in (0, 32, 65_504, 65_536, 131_072, 199_968):
        np.testing.assert_array_equal(
            whole[start : start + 32], fl.quantize(x[start : start + 32].copy(), "mxfp6_e3m2")
        )


def test_layouts_cover_every_element_once():
    for shape in [(7,), (64,), (3, 40), (5, 4, 33), (33, 70), (2, 33, 70)]:
        for block in [(32,), (5,), (16, 16), (3, 7)]:
            if len(block) > len(shape):
                continue
            for axis in range(len(shape)) if len(block) == 1 else [None]:
                where = layout(shape, block, axis, "short")
                seen = np.zeros(where.three, int)
                for chunk in where.chunks(64):
                    counts = chunk.take(seen) + 1
                    chunk.put(seen, counts)
                assert (seen == 1).all()


def test_out_may_be_the_source_and_must_have_the_type_of_the_result():
    x = np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32)
    expected = fl.quantize(x, "mxfp4")
    for out in (np.empty_like(x), np.empty((4, 128), np.float32)[:, ::2], x):
        assert fl.quantize(x, "mxfp4", out=out) is out
        np.testing.assert_array_equal(out, expected)
    with pytest.raises(DtypeError, match="float32"):
        fl.quantize(x, "mxfp4", out=np.empty(x.shape))
    with pytest.raises(OptionError, match="read-only"):
        closed = np.empty_like(x)
        closed.flags.writeable = False
        fl.quantize(x, "mxfp4", out=closed)


# -- NaN and infinity ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "fmt", ["mxfp8_e4m3", "mxfp4", "mxint8", "nvfp4", "fp8_1x128", "int4:32", "fp8_1x128:pow2"]
)
def test_a_block_with_a_nan_or_an_infinity_is_lost_and_its_neighbours_are_not(fmt, bad):
    x = np.random.default_rng(0).standard_normal(512).astype(np.float32)
    clean = fl.quantize(x, fmt)
    x[200] = bad
    size = fl.get_format(fmt).block[0]
    block = slice(200 // size * size, 200 // size * size + size)
    got, coded = fl.quantize(x, fmt), fl.encode(x, fmt)
    assert np.isnan(got[block]).all()
    assert np.isnan(coded.scale_values[200 // size])
    rest = np.ones(512, bool)
    rest[block] = False
    if fmt != "nvfp4":  # whose tensor scale may have been that block's
        np.testing.assert_array_equal(got[rest], clean[rest])
    assert np.isfinite(got[rest]).all()
    np.testing.assert_array_equal(coded.decode(got.dtype), got)


def test_an_infinity_takes_the_largest_scale_where_it_saturates():
    x = np.array([np.inf, -np.inf, 1.0, 2.0**120] + [0.0] * 28)
    found = fl.encode(x, "mxfp8_e4m3", nonfinite="saturate")
    assert found.scales.tolist() == [254]
    assert found.decode()[:4].tolist() == [448 * 2.0**127, -448 * 2.0**127, 0.0, 2.0**120]
    assert np.isnan(fl.quantize([np.nan, 1.0], "mxfp8_e4m3", nonfinite="saturate")).all()
    with pytest.raises(OptionError, match="finite"):
        fl.quantize(x, "mxfp8_e4m3", nonfinite="error")


# -- NVFP4, exactly ------------------------------------------------------------------------------------------------

E4M3 = magnitudes("e4m3")


def nearest(x: Fraction, element: str) -> Fraction:
    return round_element(x, element)


def nvfp4_block(block, t: Fraction, size_of_largest: int = 6):
    """Return the scale, and the values, of one block."""
    numbers = [Fraction(float(x)) for x in block]
    s = nearest(max(map(abs, numbers)) / (size_of_largest * t), "e4m3")
    if s == 0:
        return s, [Fraction(0)] * len(numbers)
    return s, [(1 if x >= 0 else -1) * nearest(abs(x) / (s * t), "e2m1") * s * t for x in numbers]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [0, 6, 40])
def test_nvfp4_rounds_each_scale_and_each_element_once(spread, dtype):
    rng = np.random.default_rng(spread)
    x = (rng.standard_normal((12, 16)) * np.exp2(rng.integers(-spread, spread + 1, (12, 1)))).astype(dtype)
    found = fl.encode(x, "nvfp4")
    t = Fraction(float(found.tensor_scale))
    exact = Fraction(float(np.abs(x).max())) / 2688
    assert abs(exact - t) <= abs(Fraction(float(np.spacing(found.tensor_scale)))) / 2
    for k, block in enumerate(x):
        s, values = nvfp4_block(block, t)
        assert float(found.scale_values[k, 0]) == s
        assert found.decode()[k].tolist() == floats(values)


def test_four_over_six_takes_the_smaller_error_and_six_at_a_tie():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 16)).astype(np.float32)
    x[:20] = np.exp2(rng.integers(-3, 3, (20, 16)))  # few bits: ties
    found = fl.encode(x, "nvfp4", rule="nvfp4_4over6")
    t, fours = Fraction(float(found.tensor_scale)), 0
    for k, block in enumerate(x):
        ways = [nvfp4_block(block, t, size) for size in (6, 4)]
        errors = [sum(abs(Fraction(float(a)) - b) for a, b in zip(block, v, strict=True)) for _, v in ways]
        best = ways[errors[1] < errors[0]]
        fours += errors[1] < errors[0]
        assert (float(found.scale_values[k, 0]), found.decode()[k].tolist()) == (best[0], floats(best[1]))
    assert 50 < fours < 250


def test_a_given_tensor_scale_is_taken_as_it_is():
    x = np.linspace(-3, 3, 32).astype(np.float32)
    found = fl.encode(x, "nvfp4", tensor_scale=1.0)
    assert found.tensor_scale == 1.0
    assert found.scale_values.tolist() == [float(nearest(Fraction(float(x.max())) / 6, "e4m3"))] * 2


@pytest.mark.parametrize("rounding", MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scales_with_a_mantissa_divide_exactly_in_every_mode(rounding, dtype):
    rng = np.random.default_rng(8)
    x = (rng.standard_normal((4, 32)) * np.exp2(rng.integers(-6, 3, (4, 32)))).astype(dtype)
    x[0, :4] = [0.3, -0.3, 7 * 0.1, 0.0]
    found = fl.encode(x, "int4:32", rounding=rounding)
    values = tuple(Fraction(k) for k in range(8))
    for k, block in enumerate(x):
        s = Fraction(float(found.scale_values[k, 0]))
        for number, got in zip(block, found.elements[k], strict=True):
            q, sign = abs(Fraction(float(number))) / s, -1 if number < 0 else 1
            low = min(int(q), 7)
            share = min(q, Fraction(7)) - low
            up = {"nearest_even": share > Fraction(1, 2) or (share == Fraction(1, 2) and low % 2),
                  "nearest_away": share >= Fraction(1, 2), "toward_zero": False,
                  "toward_positive": share > 0 and sign > 0, "toward_negative": share > 0 and sign < 0,
                  "to_odd": share > 0 and low % 2 == 0}[rounding]  # fmt: skip
            assert got == sign * values[low + up]


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"rule": "rceli"}, OptionError, 'Use "rceil"'),
        ({"rule": "amax"}, OptionError, "floor, ceil, even, rceil, nearest"),
        ({"axis": 2}, ShapeError, "axis=2"),
        ({"axis": 0.5}, ShapeError, "axis=0.5"),
        ({"axis": True}, ShapeError, "axis=True"),
        ({"roundng": "to_odd"}, OptionError, "rounding"),
        ({"overflow": "infinity"}, OptionError, "saturate"),
        ({"nonfinite": "ignore"}, OptionError, "nonfinite"),
        ({"tail": "pad"}, OptionError, "short"),
        ({"tail": "error"}, ShapeError, "40 numbers"),
        ({"arithmetic": "te"}, OptionError, "exact"),
        ({"tensor_scale": 1.0}, OptionError, "nvfp4"),
        ({"rounding": "stochastic"}, OptionError, "rng"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(options, error, says):
    with pytest.raises(error, match=says):
        fl.quantize(np.ones((2, 40), np.float32), "mxfp4", **options)


@pytest.mark.parametrize("given", [{"rng": "none"}, {"random_bits": 99}, {"random_integers": [0.5]}], ids=str)
def test_randomness_that_rounding_to_nearest_does_not_need_is_taken_as_for_single_numbers(given):
    """What a float format leaves alone, a block, an integer and a transform leave alone; else each of them says so."""
    x = np.ones(16, np.float32)
    calls = (fl.quantize, fl.encode)
    all_of_them = [partial(call, x, fmt) for call in calls for fmt in ("e4m3", "mxfp4", "nvfp4")]
    for call in (*all_of_them, partial(fl.quantize_int, x), partial(fl.hadamard, x)):
        call(rounding="nearest_even", **given)
        with pytest.raises(FloatlabError, match="Got"):
            call(rounding="stochastic", **given)


@pytest.mark.parametrize(
    ("name", "meant"), [("transformer_engine", "te"), ("torch_ao", "torchao"), ("exct", "exact")]
)
def test_a_misspelt_arithmetic_is_told_the_right_one(name, meant):
    with pytest.raises(OptionError, match=f'Use "{meant}"'):
        fl.quantize(np.ones(16, np.float32), "nvfp4", arithmetic=name)


@pytest.mark.parametrize("scale", [0, -1.0, np.inf, np.nan, 0.1, True, "1"])
def test_a_tensor_scale_is_a_positive_float32(scale):
    with pytest.raises(OptionError, match="positive float32"):
        fl.quantize(np.ones(16), "nvfp4", tensor_scale=scale)


def test_libraries_compute_in_float32():
    with pytest.raises(DtypeError, match="float32"):
        fl.quantize(np.ones(16), "nvfp4", arithmetic="te")


def test_unknown_formats_and_parts_that_do_not_fit_are_refused():
    with pytest.raises(FormatError, match="mxfp8_e4m3"):
        fl.get_format("mxfp8")
    with pytest.raises(FormatError):
        fl.get_format("int9999:32")
    with pytest.raises(FormatError, match="block"):
        fl.BlockFormat("x", "e4m3", 0, "e8m0")
    with pytest.raises(OptionError, match="floor"):
        fl.BlockFormat("x", "e4m3", 32, "e8m0", rule="nvfp4")
    with pytest.raises(FormatError, match="sign"):
        fl.BlockFormat("x", "e8m0", 32, "e8m0")
    with pytest.raises(FormatError, match="e4m3"):
        fl.BlockFormat("x", "e2m1", 32, "e8m0", tensor_scale="amax")
    with pytest.raises(ShapeError, match="last two axes"):
        fl.quantize(np.ones(16), "nvfp4_16x16")


def test_there_is_no_arithmetic_on_blocks():
    a = fl.encode(np.ones((2, 32)), "mxfp4")
    for operation in (
        lambda: a + 1,
        lambda: 1 - a,
        lambda: np.ones(32) * a,
        lambda: -a,
        lambda: a[0],
        lambda: a < 1,
    ):
        with pytest.raises(FormatMismatchError, match="decode"):
            operation()
    with pytest.raises(FormatMismatchError, match="decode"):
        fl.exp(a)
    with pytest.raises(OptionError, match="transpose of the original"):
        _ = a.T
    with pytest.raises(FormatMismatchError, match="BlockArray"):
        a @ np.ones((32, 1))


def test_flags_of_blocks_are_refused_and_not_invented():
    with fl.track_flags(), pytest.raises(OptionError, match="Flags"):
        fl.quantize([1.0], "mxfp4")


def test_every_element_format_of_floats_has_the_values_that_the_oracle_lists():
    for element in FLOATS:
        assert float(magnitudes(element)[-1]) == fl.get_format(element).max
        assert float(magnitudes(element)[1]) == fl.get_format(element).smallest_subnormal


def test_at_the_ends_of_float64_the_scale_stays_and_elements_saturate_or_vanish():
    x = np.array([1e300, -1e300, 448 * 2.0**127, 2.0**118, 1.0] + [0.0] * 27)
    assert fl.encode(x, "mxfp8_e4m3").scales.tolist() == [254]
    assert fl.quantize(x, "mxfp8_e4m3")[:5].tolist() == [
        448 * 2.0**127,
        -448 * 2.0**127,
        448 * 2.0**127,
        2.0**118,
        0,
    ]
    tiny = np.array([2.0**-134, -(2.0**-137), 2.0**-1074] + [0.0] * 29)
    assert fl.encode(tiny, "mxfp8_e4m3").scales.tolist() == [0]
    assert fl.quantize(tiny, "mxfp8_e4m3")[:3].tolist() == [2.0**-134, -0.0, 0.0]
    assert fl.quantize(tiny, "mxfp8_e4m3", subnormals="flush")[:2].tolist() == [0.0, -0.0]


# -- scales in float32 ---------------------------------------------------------------------------------------------


def float32_of(x: Fraction) -> Fraction:
    return Fraction(float(fl.quantize(x, "fp32")))


def power_above(x: Fraction) -> Fraction:
    e = -200
    while Fraction(2) ** e < x:
        e += 1
    return Fraction(2) ** e


SCALE_OF = {
    "absmax": lambda amax: float32_of(amax / 448) if amax else Fraction(1),
    "amax": lambda amax: float32_of(max(amax, Fraction(float(np.float32(1e-4)))) / 448),
    "amax_pow2": lambda amax: power_above(max(amax, Fraction(float(np.float32(1e-4)))) / 448),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", SCALE_OF)
def test_scales_in_float32_are_rounded_once_and_so_are_the_elements(rule, dtype):
    rng = np.random.default_rng(6)
    x = (rng.standard_normal((8, 128)) * np.exp2(rng.integers(-30, 30, (8, 1)))).astype(dtype)
    x[0], x[1, 0] = 0.0, 448.0 * 2.0**31
    found = fl.encode(x, "fp8_1x128", rule=rule)
    for k, block in enumerate(x):
        numbers = [Fraction(float(v)) for v in block]
        s = SCALE_OF[rule](max(map(abs, numbers)))
        assert float(found.scale_values[k, 0]) == s
        values = [(1 if v >= 0 else -1) * round_element(abs(v) / s, "e4m3") * s for v in numbers]
        assert found.decode()[k].tolist() == floats(values)


def test_deepseek_divides_and_transformer_engine_clears_a_mantissa():
    f32, rng = np.float32, np.random.default_rng(7)
    x = rng.standard_normal((16, 128)).astype(f32)
    amax = np.abs(x).max(axis=1)
    found = fl.encode(x, "fp8_1x128", arithmetic="deepseek")
    scales = (amax / f32(448)).astype(f32)
    np.testing.assert_array_equal(found.scale_values[:, 0], scales)
    np.testing.assert_array_equal(
        found.elements, fl.quantize(x / scales[:, None], "e4m3", overflow="saturate")
    )
    found = fl.encode(x, "fp8_1x128:pow2", arithmetic="te")
    factors = np.exp2(np.floor(np.log2(448.0 / amax.astype(np.float64))))
    np.testing.assert_array_equal(1 / found.scale_values[:, 0], factors)
    assert fl.encode(np.zeros(128, f32), "fp8_1x128:pow2", arithmetic="te").scale_values.tolist() == [1.0]


# -- formats of one's own ------------------------------------------------------------------------------------------


def test_a_format_is_known_by_its_fields_and_not_by_its_name():
    e8m0 = fl.FloatFormat("mine", 8, 0, 127, "scale", signed=False)
    e4m3 = fl.FloatFormat("float8_e8m0fnu", 4, 3, specials="fn")
    x = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    mine = fl.BlockFormat("mxfp8_e5m2", e4m3, 32, e8m0)
    np.testing.assert_array_equal(fl.quantize(x, mine), fl.quantize(x, "mxfp8_e4m3"))
    with pytest.raises(OptionError, match="nvfp4"):
        fl.BlockFormat("mine", "e2m1", 32, e4m3)  # whose name is that of another scale


ELEMENTS = [
    "e3m4",
    "e5m6b20",
    "e2m3",
    "e4m3fnuz",
    "binary8p3se",
    "binary6p2sf",
    "e8m4",
    "bf16",
    "fp16",
    "e1m6finite",
]


@pytest.mark.parametrize("rounding", MODES)
@pytest.mark.parametrize("element", ELEMENTS)
def test_elements_of_any_format_are_rounded_once_from_the_exact_quotient(element, rounding):
    fmt, rng = fl.get_format(element), np.random.default_rng(len(element))
    for dtype in (np.float32, np.float64):
        x = (rng.standard_normal((4, 32)) * np.exp2(rng.integers(-30, 30, (4, 32)))).astype(dtype)
        x[0] *= dtype(1e-38)
        for scale, rule in (("e8m0", "floor"), ("e8m0", "nearest"), ("e8m0", "even"), ("fp32", "absmax")):
            blocks = fl.BlockFormat("mine", fmt, 32, scale, rule=rule)
            found = fl.encode(x, blocks, rounding=rounding)
            for k, block in enumerate(x):
                s = Fraction(float(found.scale_values[k, 0]))
                exact = [Fraction(float(v)) / s for v in block]
                expected = fl.quantize(exact, fmt, rounding=rounding, overflow="saturate")
                assert found.elements[k].tolist() == expected.tolist()
                np.testing.assert_array_equal(
                    found.decode(np.float64)[k], expected.astype(np.float64) * float(s)
                )


@pytest.mark.parametrize("element", ["fp64", "uint8", "e8m0"])
def test_what_is_no_element_is_refused(element):
    from floatlab.block_formats.integer_format import get_int_format

    fmt = get_int_format(element) if "int" in element else element
    with pytest.raises(FormatError):
        fl.BlockFormat("mine", fmt, 32, "fp32", rule="absmax")


def test_an_integer_element_may_have_its_lowest_code():
    wide = fl.BlockFormat("wide", fl.IntFormat(8, frac_bits=6), 4, "e8m0")
    x = [-2.0, -1.99, 1.99, -0.0]
    found = fl.encode(x, wide)
    assert found.scales.tolist() == [128]  # -2 is what floor takes for one binade more
    at_one = fl.encode([-1.0, 127 / 64 / 2, 0.0, -0.5], wide)
    assert at_one.elements.tolist() == [-1.0, 1.0, 0.0, -0.5]
    lowest = fl.quantize([-1.996, 1.0, 0.0, 0.0], wide)
    assert lowest[0] == -2.0
    assert fl.encode([-1.996, 1.0, 0.0, 0.0], wide).codes[0] == 0x80
    assert fl.encode([1.996, 1.0, 0.0, 0.0], wide).codes[0] == 0x7F
    narrow = fl.BlockFormat("narrow", fl.IntFormat(8, frac_bits=6, narrow=True), 4, "e8m0")
    assert fl.quantize([-1.996, 1.0, 0.0, 0.0], narrow)[0] == -127 / 64


def test_numbers_of_other_libraries_come_back_as_they_went_in():
    pandas = pytest.importorskip("pandas")
    series = pandas.Series([1.0, 3.3, 100.0], index=list("abc"))
    got = fl.quantize(series, "mxfp4")
    assert isinstance(got, pandas.Series)
    assert got.tolist() == fl.quantize([1.0, 3.3, 100.0], "mxfp4").tolist()
    assert fl.quantize(fl.array([1.0, 3.25, 100.0], "fp16"), "mxfp4").tolist() == [0.0, 0.0, 96.0]


@pytest.mark.parametrize(
    ("name", "says"),
    [("mxfp5", "mxfp"), ("nvfp44", "nvfp4"), ("uint4:32", "int4:32"), ("int4:3.5", "element:length"),
     ("mx", "mxfp8_e4m3"), ("fp8_1x129", "fp8_1x128")],
)  # fmt: skip
def test_a_name_that_is_nearly_one_is_answered_with_it(name, says):
    for use in (
        lambda: fl.get_format(name),
        lambda: fl.quantize([1.0], name),
        lambda: fl.encode([1.0], name),
    ):
        with pytest.raises(FormatError, match=says):
            use()


def test_a_tensor_is_told_what_to_do_with_blocks():
    for function in (fl.quantize, fl.encode):
        with pytest.raises(DtypeError, match="block_autocast"):
            function(fl.Tensor([1.0]), "mxfp4")


def test_names_of_the_room_may_be_used_first_by_threads_at_once():
    import subprocess
    import sys

    code = """
import sys, threading, floatlab as fl
sys.setswitchinterval(1e-6)
names, failed = ["BlockArray", "inspect", "compare_rules", "quantize_int", "block_formats", "BlockFormat"] * 2, []
barrier = threading.Barrier(len(names))
def first(name):
    barrier.wait()
    try:
        getattr(fl, name)
    except BaseException as error:
        failed.append(repr(error))
threads = [threading.Thread(target=first, args=(name,)) for name in names]
[t.start() for t in threads]; [t.join() for t in threads]
print(failed)
"""
    for _ in range(3):
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout.strip() == "[]"
