"""Constants typed in from the publications, and descriptions that no format can have."""

import copy
import dataclasses
import gc
import math
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from support import CATALOGUE, ODD, P3109_8, P3109_16, SMALL, name_of

from floatlab import reference
from floatlab.errors import FormatError
from floatlab.formats import FloatFormat, aliases, formats, get_format
from floatlab.formats.notation import SPECIALS
from floatlab.sums.accumulators import Chunked, Kahan, Pairwise, Sequential
from floatlab.sums.names import get_accumulator

# IEEE 754-2019 table 3.5; OCP OFP8 1.0 table 1; OCP MX 1.0 tables 1 to 5; the headers of LLVM's APFloat.
# name, bits, E, M, bias, max, smallest normal, smallest above zero, +inf code, NaN codes, has -0
INF16, BF_INF = range(0x7C01, 0x8000), range(0x7F81, 0x8000)
PUBLISHED = [
    ("float64", 64, 11, 52, 1023, (2 - 2.0**-52) * 2.0**1023, 2.0**-1022, 5e-324, 0x7FF0 << 48, None, True),
    ("float32", 32, 8, 23, 127, (2 - 2.0**-23) * 2.0**127, 2.0**-126, 2.0**-149, 0x7F800000, None, True),
    ("tf32", 19, 8, 10, 127, (2 - 2.0**-10) * 2.0**127, 2.0**-126, 2.0**-136, 0x3FC00, None, True),
    (
        "float16",
        16,
        5,
        10,
        15,
        65504,
        2.0**-14,
        2.0**-24,
        0x7C00,
        [*INF16, *(c + 0x8000 for c in INF16)],
        True,
    ),
    (
        "bfloat16",
        16,
        8,
        7,
        127,
        255 * 2.0**120,
        2.0**-126,
        2.0**-133,
        0x7F80,
        [*BF_INF, *(c + 0x8000 for c in BF_INF)],
        True,
    ),
    ("float8_e5m2", 8, 5, 2, 15, 57344, 2.0**-14, 2.0**-16, 0x7C, [0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF], True),
    ("float8_e4m3fn", 8, 4, 3, 7, 448, 2.0**-6, 2.0**-9, None, [0x7F, 0xFF], True),
    ("float8_e4m3", 8, 4, 3, 7, 240, 2.0**-6, 2.0**-9, 0x78, [*range(0x79, 0x80), *range(0xF9, 0x100)], True),
    (
        "float8_e3m4",
        8,
        3,
        4,
        3,
        15.5,
        2.0**-2,
        2.0**-6,
        0x70,
        [*range(0x71, 0x80), *range(0xF1, 0x100)],
        True,
    ),
    ("float8_e5m2fnuz", 8, 5, 2, 16, 57344, 2.0**-15, 2.0**-17, None, [0x80], False),
    ("float8_e4m3fnuz", 8, 4, 3, 8, 240, 2.0**-7, 2.0**-10, None, [0x80], False),
    ("float8_e4m3b11fnuz", 8, 4, 3, 11, 30, 2.0**-10, 2.0**-13, None, [0x80], False),
    ("float8_e8m0fnu", 8, 8, 0, 127, 2.0**127, 2.0**-127, 2.0**-127, None, [0xFF], False),
    ("float6_e2m3fn", 6, 2, 3, 1, 7.5, 1, 2.0**-3, None, [], True),
    ("float6_e3m2fn", 6, 3, 2, 3, 28, 2.0**-2, 2.0**-4, None, [], True),
    ("float4_e2m1fn", 4, 2, 1, 1, 6, 1, 0.5, None, [], True),
]
NAMES = [row[0] for row in PUBLISHED]

# IEEE P3109 interim report, value tables: name, bias, max, smallest above zero, +inf code, NaN code
P3109_PUBLISHED = [
    ("binary8p3se", 16, 49152, 2.0**-17, 0x7F, 0x80),
    ("binary8p3sf", 16, 57344, 2.0**-17, None, 0x80),
    ("binary8p4se", 8, 224, 2.0**-10, 0x7F, 0x80),
    ("binary8p4sf", 8, 240, 2.0**-10, None, 0x80),
    ("binary8p5se", 4, 15, 2.0**-7, 0x7F, 0x80),
    ("binary8p5sf", 4, 15.5, 2.0**-7, None, 0x80),
    ("binary8p1se", 64, 2.0**62, 2.0**-63, 0x7F, 0x80),
    ("binary8p1uf", 128, 2.0**126, 2.0**-127, None, 0xFF),
    ("binary8p3ue", 32, 1.25 * 2.0**31, 2.0**-33, 0xFE, 0xFF),
    ("binary8p3uf", 32, 1.5 * 2.0**31, 2.0**-33, None, 0xFF),
    ("binary4p2se", 2, 2, 2.0**-2, 0x7, 0x8),
    ("binary3p1sf", 2, 2, 2.0**-1, None, 0x4),
]


@pytest.mark.parametrize("row", PUBLISHED, ids=NAMES)
def test_constants_are_the_published_ones(row):
    name, bits, e, m, bias, largest, normal, smallest, inf_code, _, _ = row
    fmt = get_format(name)
    assert (fmt.bits, fmt.exponent_bits, fmt.mantissa_bits, fmt.bias) == (bits, e, m, bias)
    assert (fmt.max, fmt.smallest_normal, fmt.smallest_subnormal) == (largest, normal, smallest)
    assert fmt.inf_code == inf_code
    assert fmt.has_infinity == (inf_code is not None)
    assert (fmt.precision, fmt.eps, fmt.unit_roundoff) == (m + 1, 2.0**-m, 2.0 ** -(m + 1))
    assert 2.0**fmt.emin == normal
    assert 2.0**fmt.emax <= largest < 2 * Fraction(2) ** fmt.emax


@pytest.mark.parametrize("row", PUBLISHED, ids=NAMES)
def test_nan_infinity_and_minus_zero_are_where_the_publications_have_them(row):
    name, bits, *_, nans, negative_zero = row
    fmt = get_format(name)
    assert fmt.has_negative_zero == negative_zero
    assert fmt.has_nan == (nans != [])
    if nans is not None:
        found = [c for c in range(2**bits) if "nan" in str(getattr(reference.decode(c, fmt), "value", ""))]
        assert found == nans
        assert fmt.nan_code is None if not nans else fmt.nan_code in nans


@pytest.mark.parametrize("row", P3109_PUBLISHED, ids=[row[0] for row in P3109_PUBLISHED])
def test_p3109_constants_are_the_published_ones(row):
    name, bias, largest, smallest, inf_code, nan_code = row
    fmt = get_format(name)
    assert (fmt.bias, fmt.max, fmt.smallest_subnormal) == (bias, largest, smallest)
    assert (fmt.inf_code, fmt.nan_code, fmt.has_negative_zero) == (inf_code, nan_code, False)
    assert fmt.lowest == (-largest if "s" in name[-2:] else 0)


def test_the_catalogue_is_complete_and_goes_from_wide_to_narrow():
    assert [fmt.name for fmt in formats()] == NAMES
    bits = [fmt.bits for fmt in formats()]
    assert bits == sorted(bits, reverse=True)


@pytest.mark.parametrize("fmt", (*CATALOGUE, *SMALL, *P3109_16), ids=name_of)
def test_every_constant_follows_from_the_codes(fmt):
    assert reference.decode(fmt.max_code, fmt) == Fraction(fmt.max)
    if fmt.inf_code is not None:
        assert reference.decode(fmt.inf_code, fmt) is reference.Special.INFINITY
    if fmt.nan_code is not None:
        assert reference.decode(fmt.nan_code, fmt) is reference.Special.NAN
    one_up = 1 if fmt.has_zero else 0
    assert reference.decode(one_up, fmt) == Fraction(fmt.smallest_subnormal)
    assert reference.decode(0, fmt) == (0 if fmt.has_zero else Fraction(fmt.smallest_normal))
    minus_zero = reference.decode(fmt.sign_mask, fmt) is reference.Special.NEGATIVE_ZERO
    assert minus_zero == fmt.has_negative_zero
    lowest = reference.decode(fmt.max_code | fmt.sign_mask if fmt.signed else 0, fmt)
    assert lowest == Fraction(fmt.lowest)


@pytest.mark.parametrize("fmt", (*CATALOGUE, *ODD), ids=name_of)
def test_the_value_dtype_is_the_narrower_float_that_holds_every_value(fmt):
    values = [fmt.max, fmt.smallest_subnormal, fmt.magnitude(fmt.max_code - 1), fmt.magnitude(1)]
    values += [fmt.magnitude(c) for c in range(1, min(fmt.max_code, 300))]
    with np.errstate(over="ignore", under="ignore"):
        narrow = all(float(np.float32(value)) == value for value in values)
    assert fmt.value_dtype == (np.float32 if narrow else np.float64)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("half", "float16"),
        ("fp16", "float16"),
        ("bf16", "bfloat16"),
        ("single", "float32"),
        ("double", "float64"),
        ("e4m3", "float8_e4m3fn"),  # OCP's, whose maximum is 448
        ("fp8_e4m3", "float8_e4m3fn"),
        ("e5m2", "float8_e5m2"),
        ("e8m0", "float8_e8m0fnu"),
        ("fp4", "float4_e2m1fn"),
        (" FP16 ", "float16"),
        ("Float8-E4M3FN", "float8_e4m3fn"),
    ],
)
def test_the_names_people_say_are_known(alias, name):
    assert get_format(alias).name == name


def test_an_alias_names_one_format_only():
    said = [alias for fmt in formats() for alias in (fmt.name, *aliases(fmt))]
    assert len(said) == len(set(said))
    for fmt in formats():
        assert all(get_format(alias) is fmt for alias in aliases(fmt))
    assert aliases(get_format("e6m9")) == ()


@pytest.mark.parametrize(
    ("given", "suggestion"),
    [
        ("float17", "float16"),
        ("bfloat17", "bfloat16"),
        ("fp8_e4m4", "fp8_e4m3"),
        ("float8_e4m3fm", "float8_e4m3fn"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(given, suggestion):
    with pytest.raises(FormatError, match=f'Got {given!r}. Did you mean "{suggestion}"'):
        get_format(given)


def test_a_name_like_no_other_points_to_the_catalogue():
    with pytest.raises(FormatError, match=r"See floatlab.formats\(\)"):
        get_format("zzz")


@pytest.mark.parametrize(
    "given",
    [
        np.int32,
        "int8",
        None,
        16,
        1.5,
        ["float16"],
        object(),
        np.complex64,
        str,
        b"float17",
        np.nan,
        np.dtype("V8"),
    ],
)
def test_what_is_not_a_format_is_refused(given):
    with pytest.raises(FormatError):
        get_format(given)


@pytest.mark.parametrize("given", [[], {}, {"a": 1}, {"names": ["a"]}, (1, 2), np.zeros(3)], ids=repr)
def test_what_numpy_fails_to_take_for_a_type_is_refused_in_our_words(given):
    with pytest.raises(FormatError):
        get_format(given)


@pytest.mark.parametrize(
    "dtype",
    [
        np.float16,
        np.float32,
        np.float64,
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e4m3fn,
        ml_dtypes.float8_e5m2fnuz,
        ml_dtypes.float8_e8m0fnu,
        ml_dtypes.float6_e2m3fn,
        ml_dtypes.float4_e2m1fn,
        ml_dtypes.float8_e3m4,
    ],
)
def test_a_dtype_names_its_format_and_back(dtype):
    fmt = get_format(dtype)
    assert fmt is get_format(np.dtype(dtype))
    assert fmt.dtype == np.dtype(dtype)
    assert fmt.name == np.dtype(dtype).name
    assert fmt.code_dtype.itemsize == np.dtype(dtype).itemsize


def test_a_byte_swapped_dtype_names_the_same_format():
    assert get_format(np.dtype(">f4")) is get_format("fp32")


def test_a_format_without_a_dtype_says_so():
    assert get_format("tf32").dtype is None
    assert get_format("e6m9").dtype is None


def test_a_description_that_matches_a_dtype_has_it_whatever_it_is_called():
    mine = FloatFormat("my_half", 5, 10)
    assert mine.dtype == np.float16
    assert mine.same_as(get_format("fp16"))
    assert mine != get_format("fp16")
    assert not mine.same_as(FloatFormat("biased_half", 5, 10, 16))


@pytest.mark.parametrize(
    ("name", "bits", "largest"),
    [
        ("e6m9", 16, (2 - 2.0 ** (-9)) * 2.0**31),
        ("e4m3b5", 8, 2.0 ** (-4) * 15 * 2.0**10),
        ("e2m5finite", 8, 7.875),
        ("e5m10fn", 16, 2.0**17 - 2.0**7),
        ("e4m3b11fnuz", 8, 30),
        ("e4m3b-5", 8, 240.0 * 2**12),
    ],
)
def test_fields_name_a_format(name, bits, largest):
    fmt = get_format(name)
    assert (fmt.bits, fmt.max) == (bits, largest)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("x", 0, 3), "exponent_bits is an integer of at least 1"),
        (("x", 4, -1), "mantissa_bits is an integer of at least 0"),
        (("x", 4.0, 3), "exponent_bits is an integer"),
        (("x", 4, "3"), "mantissa_bits is an integer"),
        (("x", 4, 3, 7.5), "bias is an integer"),
        (("x", 4, 3, None, "iee"), 'Use "ieee"'),
        (("x", 4, 0), "needs 2 exponent bits, and a mantissa bit"),
        (("x", 1, 3), "needs 2 exponent bits"),
        (("x", 1, 0, None, "fn"), "a finite value above 0"),
        (("x", 8, 53), "must be a float64"),
        (("x", 12, 3), "must be a float64"),
        (("x", 20000, 3), "must be a float64"),
        (("x", 10**5000, 3), "a small integer"),
        (("x", 5, 2, -(10**5000)), "a small integer"),
        (("x", True, 3), "exponent_bits is an integer"),
        (("x", 5, np.True_), "mantissa_bits is an integer"),
        (("x", 5, 3, False), "bias is an integer"),
        (("x", 5, np.float64(2)), "mantissa_bits is an integer"),
        (("x", np.array([5, 5]), 2), "exponent_bits is an integer"),
        ((5, 5, 2), "name of a format is a text"),
        ((None, 5, 2), "name of a format is a text"),
        (("x", 5, 2, None, []), "specials must be one of"),
        (("x", 5, 2, None, "ieee", "yes"), "signed is True or False"),
        (("x", 11, 52, 1024), "must be a float64"),
        (("x", 8, 3, 2000), "must be a float64"),
        (("x", 8, 3, -2000), "must be a float64"),
        (("x", 4, 3, None, "scale", False), "must be a float64|scale"),
        # An unsigned format has no place of -0 for fnuz to put its NaN; a scale has no sign.
        (("x", 4, 4, None, "fnuz", False), "fnuz"),
        (("x", 4, 0, None, "scale", True), "scale"),
    ],
)
def test_an_impossible_description_is_refused(arguments, rule):
    with pytest.raises(FormatError, match=rule):
        FloatFormat(*arguments)


@pytest.mark.parametrize("integer", [np.int64, np.uint8, np.int16, np.array])
def test_fields_may_be_any_integers_and_are_pythons_afterwards(integer):
    fmt = FloatFormat("x", integer(5), integer(2), integer(15), signed=np.True_)
    assert fmt == FloatFormat("x", 5, 2, 15)
    fields = (fmt.exponent_bits, fmt.mantissa_bits, fmt.bias, fmt.signed)
    assert [type(field) for field in fields] == [int, int, int, bool]
    assert fmt.spec == "x=e5m2b15"
    assert fmt.max == 57344


@pytest.mark.parametrize(
    "name",
    [
        "e20000m3",
        "e3m20000",
        "e12m2",
        "e999999999m1",
        "e1m1b999999999",
        "e5m2b-999999999",
        "e1m1b99999999999",
        "binary20000p3se",
        "binary999999999p1uf",
        "binary99999999999p1uf",
        "x=e20000m3",
    ],
)
def test_a_name_of_fields_far_too_wide_is_refused_at_once(name):
    with pytest.raises(FormatError):
        get_format(name.replace("9", "9" * 5000))
    with pytest.raises(FormatError):
        get_format(name)


@pytest.mark.parametrize("name", ["float", "double", "single", "half", "float16", "float32", "float64"])
def test_a_name_that_numpy_knows_means_what_it_means_to_numpy(name):
    assert get_format(name) is get_format(np.dtype(name))


def test_float_is_what_python_calls_float():
    assert get_format("float") is get_format(float) is get_format("float64")


@pytest.mark.parametrize("name", ["binary8p0se", "binary8p8se", "binary8p9ue", "binary2p1se"])
def test_an_impossible_p3109_name_is_refused(name):
    with pytest.raises(FormatError, match="K > 2"):
        get_format(name)


def test_binary_k_with_p_equal_to_k_exists_only_without_a_sign():
    fmt = get_format("binary8p8ue")
    assert (fmt.exponent_bits, fmt.mantissa_bits, fmt.bias, fmt.max) == (1, 7, 1, 1 + 125 / 128)


@pytest.mark.parametrize("fmt", CATALOGUE, ids=name_of)
def test_a_format_is_a_value_that_hashes_pickles_and_prints_its_name(fmt):
    again = pickle.loads(pickle.dumps(fmt))
    assert again == fmt
    assert hash(again) == hash(fmt)
    assert str(fmt) == fmt.name
    with pytest.raises(AttributeError):
        fmt.bias = 3


@pytest.mark.parametrize("fmt", P3109_8, ids=name_of)
def test_p3109_biases_and_smallest_values_follow_the_rule(fmt):
    k, p = fmt.bits, fmt.precision
    bias = Fraction(2) ** (k - p - 1 if fmt.signed else k - p)
    # Binary{K}p{K-1}s and p{K}u have a bias of 1: one exponent bit.
    assert fmt.bias == bias
    assert Fraction(fmt.smallest_subnormal) == Fraction(2) ** (2 - p - int(bias))
    assert Fraction(fmt.smallest_normal) == Fraction(2) ** (1 - int(bias))
    assert not math.isinf(fmt.max)


# -- the text form of every format -----------------------------------------------------------------


@st.composite
def any_format(draw):
    """Any format that can be made, of any name."""
    specials = draw(st.sampled_from(SPECIALS))
    signed = specials == "fnuz" or (specials != "scale" and draw(st.booleans()))
    e, m = draw(st.integers(1, 11)), 0 if specials == "scale" else draw(st.integers(0, 52))
    bias = draw(st.none() | st.integers(-1100, 2200))
    letters = st.characters(codec=None, categories=None)
    name = draw(st.text(letters, max_size=8) | st.sampled_from(["float16", "e4m3", "wide", "E5M6", "a=e5m2"]))
    try:
        return FloatFormat(name, e, m, bias, specials, signed)
    except FormatError:
        return reject()


@given(any_format())
@settings(max_examples=500)
def test_every_format_comes_back_from_its_spec(fmt):
    assert get_format(fmt.spec) == fmt
    assert fmt.spec.isascii() and fmt.spec.lower() == fmt.spec  # so that it survives lower()
    assert not any(c.isspace() or c == ":" for c in fmt.spec)


@given(any_format(), any_format())
def test_every_accumulator_comes_back_from_its_name(one, two):
    for accumulator in (Sequential(one), Pairwise(two), Kahan(one), Chunked(one, two, 7)):
        assert get_accumulator(str(accumulator)) == accumulator


@pytest.mark.parametrize("fmt", [*CATALOGUE, *P3109_8, *P3109_16], ids=name_of)
def test_the_spec_of_a_known_format_is_its_name(fmt):
    assert fmt.spec == fmt.name


@pytest.mark.parametrize(
    ("fmt", "spec"),
    [
        (FloatFormat("mine", 5, 6, specials="finite"), "mine=e5m6b15finite"),
        (FloatFormat("Mine: a b", 5, 6), "%4dine%3a%20a%20b=e5m6b15"),
        (FloatFormat("float16", 5, 2), "float16=e5m2b15"),
        (FloatFormat("low", 4, 3, -3, "fn"), "low=e4m3b-3fn"),
        (FloatFormat("", 4, 3, 20, "p3109_extended", False), "=e4m3b20p3109_extended_unsigned"),
        (FloatFormat("E4M3", 4, 3, specials="fn"), "%454%4d3=e4m3b7fn"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_spec_reads_like_this(fmt, spec):
    assert fmt.spec == spec
    assert get_format(spec) == fmt


def test_a_spec_written_by_hand_keeps_its_capitals_and_may_leave_out_the_bias():
    assert get_format("Mine=e5m2") == FloatFormat("Mine", 5, 2)
    assert str(get_accumulator("kahan:Mine=e5m2")) == "kahan:%4dine=e5m2b15"


@pytest.mark.parametrize(
    "given", ["a=", "=", "a=b=e5m2", "a=float16", "%ff=e5m2", "a b=e5m2", "%4=e5m2", "a=e5m2x"]
)
def test_a_text_that_is_no_spec_is_refused(given):
    with pytest.raises(FormatError, match=r"name=e5m6b15finite\. Got .*FloatFormat\.spec"):
        get_format(given)


# -- one object a format -----------------------------------------------------------------------------


def test_a_format_is_one_object_wherever_it_is_made() -> None:
    made = FloatFormat("mine", 5, 6)
    others = [
        FloatFormat("mine", np.int64(5), np.uint8(6), 15),
        FloatFormat(name="mine", exponent_bits=5, mantissa_bits=6, specials="ieee", signed=np.True_),
        pickle.loads(pickle.dumps(made)),
        copy.copy(made),
        copy.deepcopy(made),
        dataclasses.replace(made),
        get_format(made.spec),
    ]
    assert all(other is made for other in others)
    assert FloatFormat("Mine", 5, 6) is not made and FloatFormat("Mine", 5, 6) != made
    assert FloatFormat("Mine", 5, 6).same_as(made)


def test_threads_that_make_a_format_at_once_get_the_same() -> None:
    with ThreadPoolExecutor(8) as pool:
        for bias in range(40, 80):
            together = threading.Barrier(8)

            def make(_: int, bias: int = bias, together: threading.Barrier = together) -> FloatFormat:
                together.wait()
                return FloatFormat("at once", 6, 3, bias)

            made = list(pool.map(make, range(8)))
            assert all(one is made[0] for one in made)


def test_a_format_that_nobody_holds_goes() -> None:
    made = weakref.ref(FloatFormat("for a moment", 3, 2, 5))
    gc.collect()
    assert made() is None


@pytest.mark.parametrize("fmt", formats(), ids=str)
def test_the_smallest_step_is_that_between_the_smallest_values(fmt: FloatFormat) -> None:
    smallest = fmt.magnitude(1) - fmt.magnitude(0)
    assert 2.0**fmt.etiny == smallest
