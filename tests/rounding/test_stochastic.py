"""Which random integer an element gets depends on its place in C order and on nothing else."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import STOCHASTIC

from floatlab.codes import encode as codec
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode, encode_values
from floatlab.errors import DtypeError, OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding import plan as blocks
from floatlab.rounding.quantize import quantize
from floatlab.rounding.random_integers import RandomIntegers


def seeded(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


# -- golden streams: a seed gives these bits, in this version and in every later one ----------------------


@pytest.mark.parametrize(
    ("bits", "ups"),
    [
        (None, [0, 1, 1, 0, 1, 0, 0, 0]),
        (5, [0, 1, 1, 0, 1, 0, 0, 0]),  # the upper bits of the same 16
        (17, [1, 0, 0, 0, 0, 0, 0, 0]),
        (32, [1, 0, 0, 0, 0, 0, 0, 0]),
        (33, [0, 0, 0, 0, 1, 1, 0, 0]),
        (48, [0, 0, 0, 0, 1, 1, 0, 0]),
    ],
)
@pytest.mark.parametrize("mode", STOCHASTIC)
def test_a_seed_rounds_a_quarter_of_a_unit_up_where_it_always_did(mode, bits, ups):
    x = np.full(8, 1 + 2.0**-9)
    values = quantize(x, "bf16", rounding=mode, random_bits=bits, rng=seeded(0))
    assert ((values - 1) * 128).astype(int).tolist() == ups


GOLDEN = {
    ("bf16", 3): "810f02af118da678",
    ("bf16", 16): "22deb6bdd6339e15",
    ("bf16", 20): "bcc8f2cb9178281c",
    ("bf16", 40): "dd05c00f0bd5e471",
    ("e4m3", 3): "ee616a169092b708",
    ("e4m3", 16): "3aab2d267b1f188b",
    ("e4m3", 20): "6e542a1b4905f6fb",
    ("e4m3", 40): "cc3e2035ef0f0e4f",
    ("fp16", 3): "9e10875ad137f6f7",
    ("fp16", 16): "14eae489f5ff40ee",
    ("binary8p1ue", 3): "2004b48206c1ec1a",
    ("binary8p1ue", 20): "ec35d8d59f7a630a",
}


@pytest.mark.parametrize(("name", "bits"), GOLDEN)
def test_a_seed_gives_the_codes_that_it_always_gave(name, bits):
    x = (np.arange(200_003) * 0.37).astype(np.float32)
    options = {"rounding": "stochastic", "random_bits": bits, "overflow": "saturate"}
    codes = encode(x, name, rng=seeded(7), **options)
    little = codes.astype(codes.dtype.newbyteorder("<"))
    assert hashlib.sha256(little.tobytes()).hexdigest().startswith(GOLDEN[name, bits])


def test_the_integers_of_a_seed_are_the_upper_bits_of_the_words_that_numpy_draws():
    words = seeded(3).integers(0, 2**64 - 1, 100, np.uint64, endpoint=True)
    for bits, width in ((1, 16), (16, 16), (17, 32), (32, 32), (33, 64), (48, 64)):
        draw = RandomIntegers(seeded(3), bits, None)
        draw.fit(np.zeros(50))
        parts = [(words >> np.uint64(low)) & np.uint64(2**width - 1) for low in range(0, 64, width)]
        stream = np.stack(parts, 1).reshape(-1) >> np.uint64(width - bits)
        assert np.array_equal(draw.block(0, 50), stream[:50])


@given(st.lists(st.integers(0, 9), max_size=12), st.sampled_from([1, 16, 20, 40]))
def test_the_integers_of_a_seed_do_not_depend_on_the_lengths_of_blocks(lengths, bits):
    whole, pieces = (RandomIntegers(seeded(1), bits, None) for _ in range(2))
    x = np.zeros(sum(lengths))
    whole.fit(x)
    pieces.fit(x)
    drawn = [pieces.block(0, n).copy() for n in lengths]
    assert np.array_equal(np.concatenate([np.zeros(0, int), *drawn]), whole.block(0, x.size))


# -- layouts ---------------------------------------------------------------------------------------------


def views(x: np.ndarray) -> dict[str, np.ndarray]:
    """Return arrays equal to x, each laid out in another way."""
    spread = np.zeros(tuple(3 * n for n in x.shape), x.dtype)
    spread[tuple(slice(None, None, 3) for _ in x.shape)] = x
    padded = np.zeros((*x.shape[:-1], x.shape[-1] + 5), x.dtype)
    padded[..., 2:-3] = x
    backwards = x[tuple(slice(None, None, -1) for _ in x.shape)].copy()
    return {
        "every third": spread[tuple(slice(None, None, 3) for _ in x.shape)],
        "a part of rows": padded[..., 2:-3],
        "Fortran order": np.asfortranarray(x),
        "transposed": np.ascontiguousarray(x.T).T,
        "backwards": backwards[tuple(slice(None, None, -1) for _ in x.shape)],
        "the other byte order": x.astype(x.dtype.newbyteorder()),
        "read-only": np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    }


SHAPES = ((70_001,), (3, 30_003), (2, 3, 11_001), (257, 511))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["bf16", "e4m3", "fp16", "e8m0", "fp64"])
def test_a_seed_rounds_every_layout_as_it_rounds_the_contiguous_array(shape, name):
    rng = np.random.default_rng(len(shape))
    x = (np.abs(rng.standard_normal(shape)) + 0.01).astype(rng.choice([np.float32, np.float64]))
    options = {"rounding": str(rng.choice(STOCHASTIC)), "random_bits": int(rng.choice([5, 16, 20, 40]))}
    expected = quantize(x, name, rng=seeded(), **options)
    for layout, view in views(x).items():
        assert np.array_equal(view, x)
        assert np.array_equal(quantize(view, name, rng=seeded(), **options), expected), layout
        codes = encode(view, name, rng=seeded(), **options)
        assert np.array_equal(decode(codes, name), expected), layout
        out = np.zeros((*shape, 2), np.float64)[..., 0]
        quantize(view, name, rng=seeded(), out=out, **options)
        assert np.array_equal(out, expected), layout
        values, _ = quantize(view, name, rng=seeded(), return_flags=True, **options)
        assert np.array_equal(values, expected), layout


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.integers(2, 40),
    st.sampled_from([3, 16, 17, 33]),
    st.sampled_from(STOCHASTIC),
    st.sampled_from(["bf16", "e4m3", "fp16", "e5m10b15", "binary8p3ue"]),
)
def test_a_seed_rounds_alike_whatever_the_shape_and_the_length_of_blocks(shape, length, bits, mode, name):
    x = np.random.default_rng(0).random(tuple(shape)) * 3
    options = {"rounding": mode, "random_bits": bits}
    expected = quantize(x, name, rng=seeded(), **options)
    with pytest.MonkeyPatch.context() as patch:
        for room in (blocks, codec):
            patch.setattr(room, "block_length", lambda itemsize: length)
        for layout, view in views(x).items():
            assert np.array_equal(quantize(view, name, rng=seeded(), **options), expected), layout
            codes = encode(view, name, rng=seeded(), **options)
            assert np.array_equal(decode(codes, name), expected), layout
        integers = np.random.default_rng(1).integers(0, 1 << bits, x.shape)
        whole = quantize(x, name, random_integers=integers, **options)
        again = encode(np.asfortranarray(x), name, random_integers=np.asfortranarray(integers), **options)
        assert np.array_equal(decode(again, name), whole)


def test_broadcast_arrays_get_an_integer_for_each_element():
    x = np.broadcast_to(np.float32([[1.001], [1.002]]), (2, 50_000))
    expected = quantize(x.copy(), "e4m3", rounding="stochastic", rng=seeded())
    assert np.array_equal(quantize(x, "e4m3", rounding="stochastic", rng=seeded()), expected)
    assert len(np.unique(expected)) == 2


def test_encode_follows_quantize_with_large_integers_and_many_random_bits():
    for mode in STOCHASTIC:
        options = {"rounding": mode, "random_bits": 30, "random_integers": 2**29}
        x = np.array([2**60 + 2**36 + 1, -(2**62) - 2**30, 3], np.int64)
        assert np.array_equal(decode(encode(x, "bf16", **options), "bf16"), quantize(x, "bf16", **options))


# -- options, and what a name means ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 100_000])
@pytest.mark.parametrize("function", [encode, quantize])
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("roundng", "rounding"),
        ("overflows", "overflow"),
        ("subnormal", "subnormals"),
        ("random_bit", "random_bits"),
    ],
)
def test_an_option_that_nobody_knows_is_refused_whatever_the_size(function, size, wrong, right):
    x = np.full(size, 1.06, np.float32)
    with pytest.raises(OptionError, match=f"option of {function.__name__} .* Got '{wrong}'. Use \"{right}\""):
        function(x, "e4m3", **{wrong: "toward_positive"})
    with pytest.raises(OptionError, match="Got 'zzz'"):
        function(x, "e4m3", rounding="stochastic", rng=seeded(), zzz=1)
    with pytest.raises(OptionError, match=right):
        function(x, "e4m3", return_flags=True, **{wrong: None})


def test_encode_has_no_out():
    with pytest.raises(DtypeError, match="new array"):
        encode(np.ones(3), "e4m3", out=np.zeros(3, np.uint8))
    assert encode(np.ones(3), "e4m3", out=None).tolist() == [56, 56, 56]


def test_encode_returns_flags_with_the_codes():
    codes, flags = encode(np.float32([1.0, 1.06, 1e9]), "e4m3", return_flags=True)
    assert codes.tolist() == [56, 56, 127]
    assert flags.inexact.tolist() == [False, True, True]


@pytest.mark.parametrize("size", [3, 10_000])
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float8_e4m3fn", "float64"])
def test_a_format_is_told_by_its_rule_and_not_by_its_name(name, size):
    mine, same = FloatFormat(name, 6, 5, 20), FloatFormat("mine", 6, 5, 20)
    for dtype in (np.float16, np.float32, np.float64):
        x = np.resize([1.0, -1.5, 0.0625], size).astype(dtype)
        assert np.array_equal(encode(x, mine), encode(x, same))
        assert np.array_equal(encode_values(quantize(x, mine), mine), encode(x, same))
        assert np.array_equal(decode(encode(x, mine), mine), x)
    assert np.array_equal(encode_values(np.float16([1.0, 2.0]), mine), encode([1.0, 2.0], same))
    half = FloatFormat("mine", 5, 10)
    assert encode_values(np.float16([1.0, -0.0]), half).tolist() == [0x3C00, 0x8000]
    assert mine.dtype is None
    assert half.dtype == get_format("fp16").dtype
