"""Integers from numbers: every code against fractions, in every mode, and what cannot be quantized."""

import math
from decimal import Decimal
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from integer_oracle import MODES, STOCHASTIC, code, float32_of

import floatlab as fl
from floatlab.block_formats.groups import groups_of
from floatlab.block_formats.integer_format import get_int_format
from floatlab.errors import DtypeError, FloatlabError, OptionError, ShapeError

RNG = np.random.default_rng(15)


def expected(x, fmt, scale, zero=0, mode="nearest_even", wraps=False, integers=None, bits=0):
    """Return the codes of numbers by the oracle; scale and zero point broadcast to them."""
    fmt = get_int_format(fmt)
    flat = (
        [x] if np.ndim(x) == 0 and not isinstance(x, np.ndarray) else list(np.asarray(x, object).reshape(-1))
    )
    shape = np.shape(x)
    scales = np.broadcast_to(scale, shape).reshape(-1)
    zeros = np.broadcast_to(zero, shape).reshape(-1)
    drawn = np.zeros(len(flat), int) if integers is None else np.broadcast_to(integers, shape).reshape(-1)
    found = [
        code(
            n if isinstance(n, int | Fraction) else float(n),
            s,
            z,
            fmt.min,
            fmt.max,
            mode,
            wraps,
            int(R),
            bits,
        )
        for n, s, z, R in zip(flat, scales, zeros, drawn, strict=True)
    ]
    return np.array(found, fmt.dtype).reshape(shape)


def hard_numbers(scale, dtype, top=140):
    """Return numbers at ties and whole quotients of a scale, next to them, and others of every size."""
    marks = np.arange(-2 * top, 2 * top + 1) / 2
    tiny = [0.0, -0.0, 5e-324, -5e-324, 1e-45, 1e-40, 1e300, -1e300, 3e38, -3e38]
    spread = RNG.normal(size=100) * np.exp(RNG.normal(size=100) * 3) * float(scale)
    with np.errstate(over="ignore", under="ignore"):
        near = (marks * float(scale)).astype(dtype)
        inf = np.array(np.inf, dtype)
        rows = [
            near,
            np.nextafter(near, inf),
            np.nextafter(near, -inf),
            np.array(tiny, dtype),
            spread.astype(dtype),
        ]
    x = np.concatenate(rows)
    return RNG.permutation(x[np.isfinite(x)])[:500]


def single(x):
    """Return those of some numbers that are finite in float32."""
    with np.errstate(over="ignore", under="ignore"):
        x = x.astype(np.float32)
    return x[np.isfinite(x)]


SCALES = [
    1.0,
    0.5,
    3.0,
    0.1,
    float(np.float32(0.1)),
    float(np.float32(1 / 127)),
    2.0**-149,
    2.0**-1074,
    1e30,
    1e-200,
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_a_code_is_the_exact_quotient_rounded_once(mode, dtype):
    for scale in SCALES:
        x = hard_numbers(scale, dtype)
        for fmt, zero in (("int8", 0), ("uint8", 131), ("int4", -8), ("int8_narrow", 127)):
            got = fl.quantize_int(x, fmt, scale=scale, zero_point=zero, rounding=mode)
            np.testing.assert_array_equal(got.codes, expected(x, fmt, scale, zero, mode))
            assert got.codes.dtype == get_int_format(fmt).dtype and got.zero_point == zero


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fmt", ["int8", "uint4", "int16", "uint32"])
def test_what_wraps_keeps_the_low_bits_of_the_exact_quotient(mode, fmt):
    for scale in (1.0, 0.1, float(np.float32(0.1)), 2.0**-149, 1e30):
        x = np.concatenate([hard_numbers(scale, d).astype(np.float64) for d in (np.float32, np.float64)])
        for given in (x, single(x)):
            got = fl.quantize_int(given, fmt, scale=scale, zero_point=1, rounding=mode, overflow="wrap")
            np.testing.assert_array_equal(got.codes, expected(given, fmt, scale, 1, mode, wraps=True))


@pytest.mark.parametrize("mode", STOCHASTIC)
@pytest.mark.parametrize("bits", [1, 8, 16, 40, 48])
def test_stochastic_rounding_compares_the_exact_part_with_the_random_integer(mode, bits):
    for scale in (0.1, float(np.float32(0.1)), 3.0, 2.0**-4):
        for dtype in (np.float32, np.float64):
            x = hard_numbers(scale, dtype)
            R = RNG.integers(0, 2**bits, x.shape)
            R[::3] = 2**bits - 1
            for fmt, zero, overflow in (
                ("int8", 3, "saturate"),
                ("uint16", 0, "saturate"),
                ("int4", 0, "wrap"),
            ):
                got = fl.quantize_int(
                    x, fmt, scale=scale, zero_point=zero, rounding=mode, random_bits=bits, random_integers=R,
                    overflow=overflow,
                )  # fmt: skip
                want = expected(x, fmt, scale, zero, mode, overflow == "wrap", R, bits)
                np.testing.assert_array_equal(got.codes, want)


def test_a_part_just_below_a_mark_of_the_random_bits_is_below_it():
    """float64 rounds the quotient up to the mark, where the exact one stays below, and loses the draw."""
    scale, found = 0.1, 0
    for k in range(1, 256):
        x = math.nextafter(0.1 * k / 256, 0)
        exact = Fraction(x) / Fraction(scale)
        R = 256 - k
        if x / scale == k / 256 and exact < Fraction(k, 256):
            found += 1
            got = fl.quantize_int(x, scale=scale, rounding="stochastic", random_bits=8, random_integers=R)
            assert got.codes == 0
    assert found


def test_drawn_integers_go_to_the_elements_in_order():
    x = np.full((300, 100), 0.25, np.float32)
    a = fl.quantize_int(x, scale=1.0, rounding="stochastic", rng=7, random_bits=8)
    R = np.random.default_rng(7).integers(0, 2**64 - 1, x.size // 4, np.uint64, endpoint=True)
    R = (R.astype("<u8").view("<u2") >> 8).reshape(x.shape)
    np.testing.assert_array_equal(a.codes, 0.25 * 256 + R >= 256)
    assert 0.24 < a.codes.mean() < 0.26
    blocks = fl.quantize_int(x, scale=1.0, rounding="stochastic", rng=7, random_bits=8, granularity=32)
    np.testing.assert_array_equal(blocks.codes, a.codes)  # also where the last block is shorter
    with pytest.raises(OptionError, match="rng"):
        fl.quantize_int(x, scale=1.0, rounding="stochastic")


# -- fixed point -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["q8.8", "q1.15", "uq4.4", "q16.16", "q8.8_narrow", "q1.31"])
@pytest.mark.parametrize("mode", MODES)
def test_fixed_point_is_the_nearest_multiple_of_its_step(name, mode):
    fmt = get_int_format(name)
    x = np.concatenate([hard_numbers(fmt.step, np.float64), [1e5, -1e5, fmt.largest, fmt.lowest]])
    got = fl.quantize_int(x, name, rounding=mode)
    np.testing.assert_array_equal(got.codes, expected(x, name, fmt.step, 0, mode))
    np.testing.assert_array_equal(got.decode("float64"), got.codes * fmt.step)
    assert got.scale == fmt.step and not got.zero_point.any()


def test_fixed_point_rounds_as_the_float_format_of_the_same_grid():
    """e1m6 with a bias has no exponent to speak of: its values are the multiples of its smallest subnormal."""
    grid = fl.FloatFormat("grid", 1, 6, 1, specials="finite")
    x = RNG.uniform(-2, 2, 1000)
    step = grid.smallest_subnormal
    got = fl.quantize_int(x, scale=step).decode("float64")
    inside = np.abs(x) <= grid.max
    np.testing.assert_array_equal(got[inside], fl.quantize(x, grid)[inside])


# -- numbers of every kind -----------------------------------------------------------------------------------------


def test_integers_beyond_float64_are_taken_at_their_value():
    big = [2**60 + 1, 2**60 + 2, 2**60 + 3, -(2**60) - 1, 2**63 - 1, 0, 2**53 + 1]
    for x in (big, np.array(big)):
        for mode in MODES:
            got = fl.quantize_int(x, "int8", scale=2.0**54, rounding=mode)
            np.testing.assert_array_equal(
                got.codes, expected(np.array(big, object), "int8", 2.0**54, 0, mode)
            )
            got = fl.quantize_int(x, "int8", scale=2.0, rounding=mode, overflow="wrap")
            want = expected(np.array(big, object), "int8", 2.0, 0, mode, wraps=True)
            np.testing.assert_array_equal(got.codes, want)
    unsigned = np.array([2**64 - 1, 2**63 + 2**10 + 1], np.uint64)
    assert fl.quantize_int(unsigned, "uint8", scale=2.0**57).codes.tolist() == [128, 64]
    assert fl.quantize_int([2**70, -(2**80)], "int4").scale == float32_of(Fraction(2**80, 7))


@pytest.mark.parametrize(
    "third",
    [Fraction(1, 3), Decimal(1) / 3, "0.3333333333333333333333", np.longdouble(1) / 3],
    ids=["fraction", "decimal", "text", "long double"],
)
def test_a_number_that_is_no_float64_is_not_rounded_on_the_way(third):
    exact = Fraction(*third.as_integer_ratio()) if not isinstance(third, str) else Fraction(third)
    scale = float(exact) * 2  # so that the quotient is next to a half
    for mode in MODES:
        got = fl.quantize_int(third, scale=scale, rounding=mode)
        assert got.codes == code(exact, scale, 0, -128, 127, mode)
    assert {int(fl.quantize_int(third, scale=scale, rounding=m).codes) for m in MODES} == {0, 1}


def test_arrays_may_lie_in_memory_as_they_like():
    x = RNG.normal(size=(6, 8)).astype(np.float32)
    want = fl.quantize_int(x, granularity="channel", axis=1)
    read_only = x.copy()
    read_only.flags.writeable = False
    before = x.copy()
    for dress in (
        read_only, np.asfortranarray(x), x.astype(">f4"), np.repeat(x, 3, 1)[:, ::3], x[::-1].copy()[::-1],
        x.tolist(), x.astype(np.longdouble), x.astype(object),
    ):  # fmt: skip
        got = fl.quantize_int(dress, granularity="channel", axis=1)
        np.testing.assert_array_equal(got.codes, want.codes)
        np.testing.assert_array_equal(got.scale, want.scale)
        assert got.codes.flags.c_contiguous
    np.testing.assert_array_equal(x, before)
    small = np.array([[1, -2], [3, 4]])
    for dtype in (
        np.int8,
        np.int16,
        np.int32,
        np.int64,
        ml_dtypes.bfloat16,
        np.float16,
        bool,
        ml_dtypes.int4,
    ):
        given = small.astype(dtype)
        np.testing.assert_array_equal(
            fl.quantize_int(given).codes, fl.quantize_int(given.astype(np.float64)).codes
        )


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (1,), (1, 1, 1)])
@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
def test_arrays_without_elements_or_dimensions_are_arrays(shape, scheme):
    got = fl.quantize_int(np.ones(shape), scheme=scheme)
    assert got.codes.shape == shape and got.scale.shape == ()
    assert got.decode().shape == shape
    if shape:
        for granularity in ("channel", 4):
            got = fl.quantize_int(np.ones(shape), scheme=scheme, granularity=granularity)
            assert got.shape == shape and got.decode().shape == shape
            assert got.scale.shape == groups_of(shape, granularity, None).scale_shape


def test_many_numbers_are_what_each_is_alone():
    """Parts, blocks with a shorter end, and axes in every place, against one number at a time."""
    x = RNG.normal(size=(3, 70, 400)).astype(np.float32)
    for granularity, axis in (("tensor", None), ("channel", 1), ("channel", -1), (32, 2), (32, 1), (7, 0)):
        for scheme in ("symmetric", "affine"):
            got = fl.quantize_int(x, granularity=granularity, axis=axis, scheme=scheme)
            scale = got.groups.spread(got.scale).astype(np.float64)
            zero = got.groups.spread(got.zero_point)
            plain = np.clip(np.rint(x / scale) + zero, -128, 127)
            np.testing.assert_array_equal(got.codes, plain)


# -- scales --------------------------------------------------------------------------------------------------------


def test_a_symmetric_scale_is_the_largest_magnitude_over_the_largest_code():
    for _ in range(200):
        x = RNG.normal(size=20) * np.exp(RNG.normal() * 20)
        for fmt in ("int8", "int4", "int16"):
            got = fl.quantize_int(x, fmt)
            top = get_int_format(fmt).max
            assert got.scale.dtype == np.float32
            assert got.scale == float32_of(Fraction(float(np.abs(x).max())) / top)
            np.testing.assert_array_equal(got.codes, expected(x, fmt, float(got.scale)))
            assert np.abs(got.codes).max() == top


def test_an_affine_scale_spreads_the_range_that_holds_0_over_all_codes():
    for i in range(200):
        x = RNG.normal(size=20) * np.exp(RNG.normal() * 20) + RNG.normal() * 3
        x = [x, np.abs(x), -np.abs(x)][i % 3]
        for fmt in ("int8", "uint8", "uint4"):
            of = get_int_format(fmt)
            low, high = min(Fraction(float(x.min())), Fraction(0)), max(Fraction(float(x.max())), Fraction(0))
            got = fl.quantize_int(x, fmt, scheme="affine")
            assert got.scale == float32_of((high - low) / (of.max - of.min))
            zero = of.min - round(low / Fraction(float(got.scale)))
            assert got.zero_point == min(max(zero, of.min), of.max)
            np.testing.assert_array_equal(got.codes, expected(x, fmt, float(got.scale), zero))
            assert fl.quantize_int(0.0, fmt, scale=got.scale, zero_point=got.zero_point).decode() == 0


def test_the_range_of_two_float64_numbers_is_not_rounded_before_it_is_divided():
    """1 + 2^-60 over 255 lies above the middle of two float32 numbers that 1 lies on."""
    found = 0
    for k in range(2**23, 2**23 + 300):
        middle = Fraction(2 * k + 1, 2**24) * 255  # of two scales
        high = float(middle)
        if Fraction(high) == middle:
            for low in (-(2.0**-60), -(2.0**-900)):
                got = fl.quantize_int([low, high], scheme="affine")
                assert got.scale == float32_of((Fraction(high) - Fraction(low)) / 255)
                found += float(got.scale) != float(np.float32((high - low) / 255))
    assert found


def test_a_zero_point_is_rounded_from_the_exact_quotient():
    """Just beyond a middle, where float32 would see the middle itself, and go to the even side."""
    low = -26.5 - 2.0**-30
    got = fl.quantize_int([low, 255 + low], scheme="affine")
    assert got.scale == 1 and got.zero_point == -128 + 27


def test_a_quotient_of_two_float32_numbers_may_hide_a_middle_beyond_2_to_the_28():
    found = 0
    for S in range(2**23 + 1, 2**23 + 400, 2):
        M = -pow(S, -1, 2**32) % 2**32  # so that 2 x = M S + 1 has 24 bits and zeros
        x = (M * S + 1) // 2
        if M > 2**30 and (M // 2) % 2 == 0:
            found += 1
            given = np.array([x], np.float32)
            assert int(given[0]) == x
            assert fl.quantize_int(given, "uint32", scale=float(S)).codes == M // 2 + 1
            assert (
                fl.quantize_int(given, "uint8", scale=float(S), overflow="wrap").codes == (M // 2 + 1) % 256
            )
    assert found


def test_scales_of_groups_are_those_of_their_elements():
    x = RNG.normal(size=(4, 10, 6)) * np.exp(RNG.normal(size=(4, 10, 6)) * 2)
    for scheme in ("symmetric", "affine"):
        channel = fl.quantize_int(x, granularity="channel", axis=1, scheme=scheme)
        assert channel.scale.shape == (1, 10, 1) and channel.axis == 1
        for i in range(10):
            alone = fl.quantize_int(x[:, i], scheme=scheme)
            assert channel.scale[0, i, 0] == alone.scale and channel.zero_point[0, i, 0] == alone.zero_point
            np.testing.assert_array_equal(channel.codes[:, i], alone.codes)
        blocks = fl.quantize_int(x, granularity=4, axis=1, scheme=scheme)
        assert blocks.scale.shape == (4, 3, 6)
        for i, j, k in np.ndindex(4, 3, 6):
            alone = fl.quantize_int(x[i, 4 * j : 4 * j + 4, k], scheme=scheme)
            assert blocks.scale[i, j, k] == alone.scale and blocks.zero_point[i, j, k] == alone.zero_point
            np.testing.assert_array_equal(blocks.codes[i, 4 * j : 4 * j + 4, k], alone.codes)
    assert fl.quantize_int(x, granularity="channel").axis == 0
    assert fl.quantize_int(x, granularity=3).axis == 2


def test_nothing_but_zeros_has_the_scale_1():
    for scheme in ("symmetric", "affine"):
        got = fl.quantize_int(np.array([[0.0, -0.0], [1.0, 2.0]]), granularity="channel", scheme=scheme)
        assert got.scale[0, 0] == 1.0 and not got.decode()[0].any()


@pytest.mark.parametrize("tiny", [1e-43, 1e-40, 1.8e-43, 3e-44, 1e-45, 5e-324, 1.4e-38])
def test_a_scale_that_would_underflow_is_rounded_up_and_is_not_0(tiny):
    for scheme in ("symmetric", "affine"):
        got = fl.quantize_int([tiny, -tiny / 3], scheme=scheme)
        steps = 127 if scheme == "symmetric" else 255
        span = Fraction(tiny) + (0 if scheme == "symmetric" else Fraction(tiny / 3))
        scale = Fraction(float(got.scale))
        assert scale > 0
        if scale < Fraction(2) ** -126:
            assert scale >= span / steps and scale - Fraction(2) ** -149 < span / steps
        assert abs(Fraction(float(got.decode("float64")[0])) - Fraction(tiny)) <= scale
        np.testing.assert_array_equal(
            got.codes, expected([tiny, -tiny / 3], "int8", float(scale), int(got.zero_point))
        )


def test_a_scale_may_have_a_format_of_its_own():
    x = RNG.normal(size=(8, 64))
    got = fl.quantize_int(x, "int4", granularity=32, scale_format="fp16")
    want = fl.divide(np.abs(x.reshape(8, 2, 32)).max(-1), 7.0, "fp16")
    np.testing.assert_array_equal(got.scale, want)
    with pytest.raises(OptionError, match="float64"):
        fl.quantize_int(x, scale_format="float64")


@pytest.mark.parametrize("of", ["e8m0", "e4m3", "e5m2", "bf16"])
def test_a_coarse_scale_is_rounded_up_so_that_nothing_saturates(of):
    for top in (300.0, 254.0, 253.9, 1.0, 127.1):
        for fmt in ("int8", "int4"):
            got = fl.quantize_int([top, -top / 3, 0.0], fmt, scale_format=of)
            fine = fl.get_format(of).precision >= get_int_format(fmt).bits
            steps = Fraction(top) / get_int_format(fmt).max
            rounded = fl.quantize(steps, of, rounding="nearest_even" if fine else "toward_positive")
            assert got.scale == rounded
            assert abs(got.decode("float64")[0] - top) <= float(got.scale) * 0.51
    zeros = fl.quantize_int(np.zeros(3), scale_format=of)
    assert zeros.scale == 1 and not zeros.codes.any()


def test_given_scales_are_taken_at_their_value():
    x = np.array([[0.05, 0.15, -0.25], [1.0, 2.0, 3.0]])
    assert fl.quantize_int(x[0], scale=0.1).scale.dtype == np.float64  # 0.1 is no float32
    assert fl.quantize_int(x[0], scale=np.float32(0.1)).scale.dtype == np.float32
    for scale in ([0.1, 0.5], [[0.1], [0.5]]):
        got = fl.quantize_int(x, scale=scale, granularity="channel", zero_point=[1, -1])
        want = expected(x, "int8", np.array([[0.1], [0.5]]), np.array([[1], [-1]]))
        np.testing.assert_array_equal(got.codes, want)
    one = fl.quantize_int(x, scale=0.5, granularity="channel")
    assert one.scale.shape == (2, 1)
    with pytest.raises(ShapeError, match="a number for each group"):
        fl.quantize_int(x, scale=[0.1, 0.2, 0.3], granularity="channel")
    for bad in (0.0, -1.0, np.inf, np.nan, 1e400):
        with pytest.raises(FloatlabError, match="Got"):
            fl.quantize_int(x, scale=bad)
    for bad in (128, -129, 0.5, "1", [0, 0]):
        with pytest.raises(FloatlabError, match="Got"):
            fl.quantize_int(x, scale=1.0, zero_point=bad)


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_nan_or_an_infinity_has_no_scale(scheme, bad):
    for granularity in ("tensor", "channel", 2):
        with pytest.raises(DtypeError, match=r"Got (NaN|an infinity)\. Replace it"):
            fl.quantize_int([1.0, bad, 2.0], scheme=scheme, granularity=granularity)


def test_an_infinity_saturates_where_the_scale_is_given_and_a_nan_is_refused():
    for mode in MODES:
        got = fl.quantize_int([np.inf, -np.inf, 1.0], scale=0.3, zero_point=2, rounding=mode)
        assert got.codes[:2].tolist() == [127, -128]
    assert fl.quantize_int([np.inf, -np.inf], "q8.8").codes.tolist() == [32767, -32768]
    for options in ({"scale": 0.3}, {"fmt": "q8.8"}):
        with pytest.raises(DtypeError, match="Got NaN"):
            fl.quantize_int([np.nan, np.inf], **options)
        with pytest.raises(DtypeError, match="an infinity"):
            fl.quantize_int([np.inf], overflow="wrap", **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scheme": "symetric"}, '"symmetric"'),
        ({"overflow": "wrapp"}, '"wrap"'),
        ({"rounding": "nearest"}, '"nearest_even"'),
        ({"preset": "pytorch"}, '"torch"'),
        ({"roundng": "to_odd"}, '"rounding"'),
        ({"zero_points": 1}, '"zero_point"'),
        ({"granularity": "row"}, '"channel"'),
        ({"granularity": "chanel"}, '"channel"'),
        ({"granularity": "rows of 4"}, "length of a block"),
        ({"scale": 1.0, "scale_format": "bf16"}, "Leave it out"),
        ({"scale": 1.0, "scale_format": "float32"}, "Leave it out"),
        ({"scale": 1.0, "scale_format": "no such"}, "Leave it out"),
        ({"fmt": "q8.8", "scale_format": "bf16"}, "Leave it out"),
        ({"granularity": 0}, "length of a block"),
        ({"granularity": True}, "length of a block"),
        ({"granularity": "channel", "axis": 2}, "-2 to 1"),
        ({"axis": 0}, "Leave it out"),
        ({"zero_point": 1}, "scale= as well"),
        ({"scale": 1.0, "scheme": "affine"}, "Pass one of them"),
        ({"fmt": "int7x"}, "Got 'int7x'"),
        ({"fmt": "int32"}, "Pass scale="),
        ({"fmt": "q8.8", "scale": 1.0}, "int16"),
        ({"fmt": "q8.8", "scheme": "affine"}, "int16"),
        ({"fmt": "uint8"}, "affine"),
        ({"fmt": "int8_narrow", "overflow": "wrap"}, '"int8"'),
        ({"random_bits": 0, "rounding": "stochastic", "rng": 0}, "1 to 48"),
    ],
)
def test_an_option_that_is_none_is_refused_with_the_way_out(options, said):
    with pytest.raises(FloatlabError) as found:
        fl.quantize_int([[1.0, -2.0]], **options)
    assert said in str(found.value) and str(found.value).count(". ") >= 2


def test_the_scale_of_pytorch_has_the_format_that_it_has():
    with pytest.raises(OptionError, match="Leave it out"):
        fl.quantize_int(np.float32([1.0, -2.0]), preset="torch", scale_format="bf16")


def test_a_range_beyond_float32_is_refused():
    with pytest.raises(OptionError, match="power of two"):
        fl.quantize_int([1e300, 1.0])
    with pytest.raises(OptionError, match="power of two"):
        fl.quantize_int([1.7e308, -1.7e308], scheme="affine")
    assert fl.quantize_int([3e38, 1.0]).codes.tolist() == [127, 0]


@pytest.mark.parametrize(
    "stranger",
    [
        None,
        "one",
        np.ones(2) + 1j,
        np.ma.array([1.0, 2.0], mask=[0, 1]),
        [[1.0], [1.0, 2.0]],
        {"a": 1},
        b"\0",
    ],
    ids=str,
)
def test_what_is_no_array_of_numbers_is_refused(stranger):
    with pytest.raises(FloatlabError, match="Got"):
        fl.quantize_int(stranger)


def test_numbers_go_by_keyword_too_and_tensors_are_numbers():
    assert fl.quantize_int(x=[1.0, -1.0], fmt="int4").codes.tolist() == [7, -7]
    assert fl.quantize_int(fl.Tensor([1.0, -0.5])).codes.tolist() == [127, -64]
    assert fl.quantize_int(fl.array([1.0, -0.5], "bf16")).codes.tolist() == [127, -64]
