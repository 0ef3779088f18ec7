"""Codes against the reference and ml_dtypes, bit for bit; neighbours against the sorted values."""

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import (
    CATALOGUE,
    CATALOGUE_8,
    CATALOGUE_16,
    DETERMINISTIC,
    LARGE,
    ODD,
    SMALL,
    STOCHASTIC,
    WIDE,
    all_values,
    bits64,
    critical_points,
    disagreements,
    float32_points,
    name_of,
    near_the_ends,
    policies_of,
)

from floatlab import reference
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode
from floatlab.codes.neighbours import classify, next_down, next_up, spacing, ulp
from floatlab.errors import DtypeError, FloatlabError, FormatError, OptionError, OverflowPolicyError
from floatlab.formats import FloatFormat, formats, get_format
from floatlab.formats.info import finfo
from floatlab.reference import Special
from floatlab.rounding.quantize import quantize
from floatlab.verify.oracle import random_format

E4M3, E8M0, FP16, FP32 = (get_format(name) for name in ("e4m3", "e8m0", "fp16", "fp32"))


def points_of(fmt: FloatFormat) -> list[np.ndarray]:
    return [critical_points(fmt, fmt.has_nan), float32_points(fmt, fmt.has_nan)]


def some_codes(fmt: FloatFormat) -> np.ndarray:
    """Return all codes of a format of at most 16 bits, and some thousands of a longer one."""
    if fmt.bits <= 16:
        return np.arange(2**fmt.bits, dtype=fmt.code_dtype)
    rng = np.random.default_rng(0)
    edges = [0, 1, 2, fmt.max_code - 1, fmt.max_code, fmt.inf_code, fmt.nan_code, 1 << fmt.mantissa_bits]
    edges += [(1 << fmt.mantissa_bits) - 1, fmt.bias << fmt.mantissa_bits, fmt.max_code + 2]
    edges += [code | fmt.sign_mask for code in edges]
    return np.concatenate([np.array(edges, np.uint64), rng.integers(0, 2**fmt.bits, 3000, np.uint64)])


# -- decode ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", (*SMALL, *LARGE, *WIDE), ids=name_of)
def test_decode_of_every_code_is_that_of_the_reference(fmt):
    codes = some_codes(fmt)
    values = decode(codes, fmt)
    assert values.dtype == fmt.value_dtype
    expected = [reference.to_float(reference.decode(int(code), fmt)) for code in codes]
    assert np.array_equal(bits64(values, fmt.nan_has_sign), bits64(expected, fmt.nan_has_sign))


@pytest.mark.parametrize("fmt", [fmt for fmt in CATALOGUE if fmt.dtype], ids=name_of)
def test_decode_of_an_array_of_the_formats_own_dtype_reads_its_bits(fmt):
    codes = some_codes(fmt).astype(fmt.code_dtype)
    values = decode(codes.view(fmt.dtype), fmt)
    assert np.array_equal(bits64(values, fmt.nan_has_sign), bits64(decode(codes, fmt), fmt.nan_has_sign))


@pytest.mark.parametrize(
    "codes",
    [
        [1, 2, 3],
        [[1], [2]],
        5,
        np.uint8(5),
        np.array(5),
        np.array([1, 2], np.int64),
        np.array([3], ">u4"),
        (1, 2),
    ],
)
def test_codes_of_any_integer_type_and_shape_are_decoded(codes):
    result = decode(codes, E4M3)
    assert result.shape == np.shape(codes)
    assert np.array_equal(result, np.asarray(codes).astype(int) * 2.0**-9)


def test_decode_takes_any_memory_layout():
    codes = np.random.default_rng(0).integers(0, 256, (200, 400), np.uint8)
    expected = all_values(E4M3)[codes]
    for view, values in ((codes[::2, ::-3], expected[::2, ::-3]), (np.asfortranarray(codes), expected)):
        assert np.array_equal(decode(view, E4M3), values, equal_nan=True)
    read_only = np.broadcast_to(codes[0], (300, 400))
    assert np.array_equal(decode(read_only, E4M3), expected[np.zeros(300, int)], equal_nan=True)
    assert decode(np.zeros((0, 3), np.uint8), E4M3).shape == (0, 3)
    assert decode([], E4M3).shape == (0,)


@pytest.mark.parametrize(
    ("codes", "name"),
    [
        ([256], "e4m3"),
        ([-1], "e4m3"),
        ([64], "fp6_e2m3"),
        (np.uint8([16]), "fp4"),
        (np.uint32([1 << 19]), "tf32"),
        ([1.0], "e4m3"),
        (["1"], "e4m3"),
        ([True], "e4m3"),
        ([None], "e4m3"),
        (np.float32([1]).astype(ml_dtypes.float8_e5m2), "e4m3"),
        (np.int64([-1]), "fp64"),
        ([[1, 2], [3]], "e4m3"),
        ([2**64], "fp64"),
    ],
)
def test_what_is_no_code_of_the_format_is_refused(codes, name):
    with pytest.raises(DtypeError):
        decode(codes, name)


# -- encode ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", SMALL, ids=name_of)
def test_codes_of_small_formats_are_those_of_the_oracle_in_every_mode(fmt):
    for x in points_of(fmt):
        for rounding in DETERMINISTIC:
            assert disagreements(quantize, encode, fmt, x, rounding=rounding) == []
        ends = near_the_ends(fmt, x)
        for policy in policies_of(fmt):
            for subnormals in ("gradual", "flush"):
                options = {"overflow": policy, "subnormals": subnormals}
                assert disagreements(quantize, encode, fmt, ends, **options) == []


@pytest.mark.parametrize("fmt", LARGE, ids=name_of)
def test_codes_of_16_bit_formats_are_those_of_the_oracle(fmt):
    for x in points_of(fmt):
        for rounding in ("nearest_even", "toward_negative", "to_odd"):
            assert disagreements(quantize, encode, fmt, x, rounding=rounding) == []


@pytest.mark.parametrize("fmt", (*SMALL, *LARGE, *WIDE), ids=name_of)
def test_encode_is_the_inverse_of_decode(fmt):
    codes = some_codes(fmt)
    codes = codes[~np.isnan(decode(codes, fmt))]
    assert np.array_equal(encode(decode(codes, fmt), fmt), codes)
    assert encode(decode(codes, fmt), fmt).dtype == fmt.code_dtype


@pytest.mark.parametrize("fmt", [fmt for fmt in CATALOGUE_16 if fmt.dtype and fmt is not E8M0], ids=name_of)
def test_codes_from_float32_are_those_of_ml_dtypes_bit_for_bit(fmt):
    rng = np.random.default_rng(0)
    random = rng.integers(0, 2**32, 2**18, np.uint32).view(np.float32)
    x = np.concatenate([float32_points(fmt), random[~np.isnan(random)]])
    if fmt.has_nan:  # fp6 and fp4 have none: ml_dtypes gives -0, encode an error
        x = np.concatenate([x, np.float32([np.nan, -np.nan])])
    with np.errstate(all="ignore"):
        theirs = x.astype(fmt.dtype).view(fmt.code_dtype)
    assert np.array_equal(encode(x, fmt), theirs)


def test_codes_of_e8m0_are_those_of_ml_dtypes_except_for_float32_subnormals():
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [float32_points(E8M0, True), rng.integers(0, 2**32, 2**16, np.uint32).view(np.float32)]
    )
    normal = ~(np.abs(x) < 2.0**-126) | (x == 0)
    with np.errstate(invalid="ignore"):  # a signaling NaN
        theirs = x.astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)
    assert np.array_equal(encode(x[normal], E8M0), theirs[normal])
    # ml_dtypes gives code 1 here; 1.25 * 2**-127 is nearer to 2**-127, which is code 0.
    assert encode(np.float32(1.25 * 2.0**-127), E8M0) == 0


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (448, "e4m3", 0b0_1111_110),
        (-0.0, "e4m3", 0b1_0000_000),
        (math.nan, "e4m3", 0b0_1111_111),
        (-math.nan, "e4m3", 0b1_1111_111),
        (1e9, "e4m3", 0b0_1111_111),
        (-1e9, "e4m3", 0b1_1111_111),
        (-0.0, "e4m3fnuz", 0),
        (-1e-9, "e4m3fnuz", 0),
        (-math.nan, "e4m3fnuz", 0x80),
        (math.nan, "fp16", 0x7E00),
        (-math.nan, "fp16", 0xFE00),
        (-math.inf, "fp16", 0xFC00),
        (-math.inf, "e5m2", 0xFC),
        (math.nan, "e5m2", 0x7E),
        (math.inf, "binary8p4se", 0x7F),
        (-math.inf, "binary8p4se", 0xFF),
        (-math.nan, "binary8p4se", 0x80),
        (math.inf, "binary8p4ue", 0xFE),
        (-1, "binary8p4ue", 0xFF),  # NaN
        (-math.inf, "binary8p4ue", 0xFF),
        (-1e-30, "binary8p4ue", 0),
        (1, "e8m0", 127),
        (0, "e8m0", 255),
        (math.inf, "fp4", 7),
        (-math.inf, "fp4", 15),
        (-0.0, "fp4", 8),
        (1, "tf32", 0x1FC00),
        (-0.0, "fp64", 1 << 63),
        (math.nan, "fp64", 0x7FF8 << 48),
    ],
)
def test_known_codes(number, name, code):
    assert encode(number, name) == code
    assert encode([number, number], name).tolist() == [code, code]


def test_noncanonical_nans_become_the_canonical_one():
    words = np.array([0x7F800001, 0xFFC12345], np.uint32)
    for name, codes in (
        ("fp16", [0x7E00, 0xFE00]),
        ("bf16", [0x7FC0, 0xFFC0]),
        ("fp32", [0x7FC00000, 0xFFC00000]),
    ):
        assert encode(words.view(np.float32), name).tolist() == codes
    halves = np.array([0x7C01, 0xFD55], np.uint16).view(np.float16)
    assert encode(halves, "fp16").tolist() == [0x7E00, 0xFE00]


@pytest.mark.parametrize("rounding", STOCHASTIC)
@pytest.mark.parametrize("name", ["fp16", "bf16", "e4m3", "e8m0", "fp4"])
def test_encode_and_quantize_make_the_same_random_choices(rounding, name):
    x = np.abs(np.random.default_rng(1).standard_normal(100001)).astype(np.float32) + np.float32(0.01)
    options = {"rounding": rounding, "random_bits": 7}
    codes = encode(x, name, rng=np.random.default_rng(5), **options)
    assert np.array_equal(decode(codes, name), quantize(x, name, rng=np.random.default_rng(5), **options))
    integers = np.random.default_rng(6).integers(0, 128, x.shape)
    codes = encode(x, name, random_integers=integers, **options)
    assert np.array_equal(decode(codes, name), quantize(x, name, random_integers=integers, **options))
    assert np.array_equal(
        encode(x[:6].reshape(2, 3), name, random_integers=[[5], [90]], **options).ravel()[3:],
        encode(x[3:6], name, random_integers=90, **options),
    )


@pytest.mark.parametrize("size", [1, 2, (1 << 14) - 1, 1 << 14, (1 << 14) + 1, (1 << 17) + 3, (1 << 19) + 5])
@pytest.mark.parametrize("name", ["e4m3", "e5m2", "e8m0", "fp6_e3m2", "fp4_e2m1", "binary8p3ue", "fp16"])
def test_many_codes_are_decoded_as_each_by_itself(name, size):
    """Codes of 8 bits go in pairs where there are many: an odd one out, and every place of a pair, tells them apart."""
    fmt = get_format(name)
    each = decode(np.arange(1 << fmt.bits), fmt)
    codes = np.random.default_rng(size).integers(0, 1 << fmt.bits, size).astype(fmt.code_dtype)
    strided = np.zeros(3 * size, fmt.code_dtype)
    strided[::3] = codes
    for some, threads in ((codes, 1), (codes, 2), (strided[::3], 1), (codes[::-1], 1)):
        assert np.array_equal(decode(some, fmt, threads=threads).view(np.int32), each[some].view(np.int32))


def test_encode_takes_any_memory_layout_and_shape():
    x = np.random.default_rng(2).standard_normal((300, 333))
    expected = encode(x.copy(), "e4m3")
    big = np.zeros((600, 999), ">f8")
    big[::2, ::3] = x
    assert np.array_equal(encode(big[::2, ::3], "e4m3"), expected)
    assert np.array_equal(encode(np.asfortranarray(x), "e4m3"), expected)
    assert np.array_equal(encode(x[::-1, ::-1], "e4m3"), expected[::-1, ::-1])
    assert encode(np.zeros((0, 3)), "e4m3").shape == (0, 3)
    assert encode(1.5, "e4m3").shape == ()
    assert encode([[1, 2]], "e4m3").shape == (1, 2)


@pytest.mark.parametrize("shape", [(3,), (0,), ()])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rounding": "nearest"}, OptionError),
        ({"overflow": "infinity"}, OverflowPolicyError),
        ({"rounding": "stochastic"}, OptionError),
        ({"rounding": "stochastic", "random_integers": 2, "random_bits": 1}, OptionError),
        ({"subnormals": "none"}, OptionError),
    ],
)
def test_wrong_options_are_refused_whatever_the_shape(shape, options, error):
    with pytest.raises(error):
        encode(np.ones(shape), "e4m3", **options)


@pytest.mark.parametrize("x", [1j, "one", None, [[1, 2], [3]], np.ma.masked_array([1.0], [True]), [object()]])
def test_what_is_not_a_real_number_is_refused(x):
    with pytest.raises(DtypeError):
        encode(x, "fp16")


def test_a_nan_has_no_code_in_fp4_and_an_unknown_format_no_codes_at_all():
    with pytest.raises(OverflowPolicyError, match="NaN"):
        encode([1.0, math.nan], "fp4")
    with pytest.raises(FormatError, match="Did you mean"):
        encode(1.0, "fp17")
    with pytest.raises(FormatError, match="Did you mean"):
        decode(1, "fp17")
    with pytest.raises(FloatlabError):
        encode([1.0], "fp16", out=np.zeros(1, np.uint16))


# -- neighbours and spacing ------------------------------------------------------------------------------


def line_of(fmt: FloatFormat) -> np.ndarray:
    values = all_values(fmt)
    return np.unique(values[np.isfinite(values)] + 0.0)


@pytest.mark.parametrize("fmt", (*SMALL, FP16, get_format("bf16")), ids=name_of)
def test_neighbours_are_the_next_values_in_order(fmt):
    line, x = line_of(fmt), critical_points(fmt)
    x = x[np.isfinite(x)]
    infinite = math.inf if fmt.has_infinity else math.nan
    above, below = (infinite, -infinite) if fmt.has_nan else (line[-1], line[0])
    if not fmt.signed and fmt.has_nan:
        below = math.nan
    up = np.append(line, above)[np.searchsorted(line, x, side="right")]
    down = np.append(below, line)[np.searchsorted(line, x, side="left")]
    assert np.array_equal(next_up(x, fmt), up, equal_nan=True)
    assert np.array_equal(next_down(x, fmt), down, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_neighbours_and_spacing_are_those_of_numpy(dtype):
    fmt = get_format(dtype)
    x = decode(some_codes(fmt), fmt).astype(dtype)
    x = x[~np.isnan(x)]
    with np.errstate(all="ignore"):
        assert np.array_equal(bits64(next_up(x, fmt)), bits64(np.nextafter(x, dtype(np.inf))))
        assert np.array_equal(bits64(next_down(x, fmt)), bits64(np.nextafter(x, dtype(-np.inf))))
        inside = x[(np.abs(x) < fmt.max) & (x != 0)]  # NumPy's own types differ at the ends and at -0,
        inside = inside[inside > 0] if dtype is np.float16 else inside  # and float16 below 0
        assert np.array_equal(spacing(inside, fmt), np.spacing(inside))
        assert np.array_equal(ulp(inside, fmt), np.abs(np.spacing(inside)))


def test_neighbours_of_the_infinities_and_of_nan_are_as_in_ieee_754():
    assert next_up([math.inf, -math.inf, math.nan], "fp16").tolist()[:2] == [math.inf, -65504]
    assert next_down([math.inf, -math.inf], "fp16").tolist() == [65504, -math.inf]
    assert np.isnan(next_up(math.nan, "fp16"))
    # nextUp of the negative number of least magnitude is -0 (IEEE 754-2019, 5.3.1)
    assert np.signbit(next_up(-(2.0**-24), "fp16"))
    assert not np.signbit(next_down(2.0**-24, "fp16"))
    assert not np.signbit(next_up(-(2.0**-10), "e4m3fnuz"))


@given(st.sampled_from((*CATALOGUE, *ODD)), st.floats(allow_nan=False, allow_infinity=False))
def test_going_up_and_down_again_returns_to_a_value(fmt, number):
    value = quantize(number if fmt.signed else abs(number) or 1.0, fmt, overflow="saturate")
    up = next_up(value, fmt)
    if np.isfinite(up) and up != value:
        assert next_down(up, fmt) == value


@pytest.mark.parametrize("fmt", CATALOGUE_8, ids=name_of)
def test_the_ulp_of_a_number_is_the_distance_between_the_values_around_it(fmt):
    line = line_of(fmt)
    middle = (line[:-1] + line[1:]) / 2
    assert np.array_equal(ulp(middle, fmt), np.diff(line))
    assert np.all(np.isnan(ulp([math.inf, -math.inf, math.nan], fmt)))


def test_ulp_and_spacing_of_known_numbers():
    assert ulp([1.0, 0.99, 0.0, 448.0, 1e-9], "e4m3").tolist() == [0.125, 0.0625, 2.0**-9, 32.0, 2.0**-9]
    assert spacing([1.0, -1.0, 0.0], "e4m3").tolist() == [0.125, -0.125, 2.0**-9]


@pytest.mark.parametrize("fmt", (*CATALOGUE_16, *ODD), ids=name_of)
def test_every_code_is_classified_as_its_fields_say(fmt):
    codes = some_codes(fmt)
    kinds = classify(decode(codes, fmt), fmt)
    for code, kind in zip(codes.tolist(), kinds.tolist(), strict=True):
        value = reference.decode(code, fmt)
        if value in (Special.NAN, Special.NEGATIVE_NAN):
            expected = "nan"
        elif isinstance(value, Special):
            expected = {"+inf": "infinity", "-inf": "-infinity", "-0": "-zero"}[value.value]
        else:
            field = (code & ~fmt.sign_mask) >> fmt.mantissa_bits
            sub = "zero" if value == 0 else "normal" if field or not fmt.has_zero else "subnormal"
            expected = ("-" if value < 0 else "") + sub
        assert kind == expected, code


@pytest.mark.parametrize("fmt", [fmt for fmt in CATALOGUE if fmt.dtype], ids=name_of)
def test_finfo_is_that_of_numpy_and_ml_dtypes(fmt):
    theirs = ml_dtypes.finfo(fmt.dtype)
    ours = finfo(fmt)
    names = ["bits", "eps", "max", "min", "nmant", "smallest_normal", "smallest_subnormal", "tiny"]
    names += ["epsneg", "negep", "machep", "minexp", "maxexp", "iexp"]
    if fmt.name in ("float16", "float32", "float64"):
        names += ["precision", "resolution"]
    for name in names:
        one, other = getattr(ours, name), getattr(theirs, name)
        if name == "resolution":  # 0.001 to the nearest float16
            one, other = fmt.dtype.type(one), fmt.dtype.type(other)
        assert float(one) == float(other), name


def test_epsneg_is_the_distance_from_1_to_the_value_below():
    named = [
        get_format(name)
        for name in ("fp4", "fp6_e2m3", "e3m4b0", "e4m3b1", "e4m3b2", "binary8p7se", "binary8p8uf")
    ]
    drawn = [random_format(np.random.default_rng(seed)) for seed in range(300)]
    asked = 0
    for fmt in (*named, *formats(), *drawn):
        if fmt.max < 1 or quantize(1.0, fmt) != 1 or fmt.smallest_subnormal > 0.5:
            continue
        info, below = finfo(fmt), next_down(1.0, fmt).item()
        if below > 0 and info.negep > -54:
            assert (info.epsneg, info.negep) == (1 - below, math.log2(1 - below)), fmt
            asked += 1
    assert asked > 60
