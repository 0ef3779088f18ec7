"""FloatArray as a container: codes that stay what they are, NumPy's names and keywords, seeds, own types."""

import inspect
import math

import ml_dtypes
import numpy as np
import pytest
from support import CATALOGUE_16, P3109_8, all_values, name_of

import floatlab as fl
from floatlab import reference
from floatlab.array import FloatArray
from floatlab.array.protocols import FUNCTIONS, _required
from floatlab.errors import (
    DtypeError,
    FloatlabError,
    FormatError,
    FormatMismatchError,
    OptionError,
    ShapeError,
)
from floatlab.formats import FloatFormat, get_format

WITH_NANS = [fmt for fmt in CATALOGUE_16 if fmt.specials == "ieee" and fmt.bits == 16]
SHORT = [fmt for fmt in (*CATALOGUE_16, *P3109_8) if fmt.bits <= 8]


def everything(fmt):
    codes = np.arange(1 << fmt.bits).astype(fmt.code_dtype)
    return codes, fl.from_codes(codes, fmt)


# -- codes of NaNs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", [*SHORT, *WITH_NANS], ids=name_of)
def test_negation_changes_the_sign_bit_and_nothing_else(fmt):
    codes, x = everything(fmt)
    if fmt.has_negative_zero:
        wanted = codes ^ fmt.sign_mask
    elif fmt.signed:  # of the one zero, and the NaN in the place of -0, the bit is no sign
        wanted = np.where(codes & (fmt.sign_mask - 1) == 0, codes, codes ^ fmt.sign_mask)
    else:
        return
    np.testing.assert_array_equal((-x).codes, wanted)
    np.testing.assert_array_equal(np.negative(-x).codes, codes)


@pytest.mark.parametrize("fmt", [*SHORT, *WITH_NANS], ids=name_of)
def test_an_absolute_value_clears_the_sign_bit_and_nothing_else(fmt):
    codes, x = everything(fmt)
    one_nan = fmt.signed and not fmt.has_negative_zero
    wanted = np.where(one_nan & (codes == fmt.sign_mask), codes, codes & ((1 << fmt.magnitude_bits) - 1))
    np.testing.assert_array_equal(abs(x).codes, wanted)
    np.testing.assert_array_equal(np.fabs(x).codes, wanted)
    valued = fl.array(x.values, fmt)
    np.testing.assert_array_equal(abs(valued).codes, fl.array(abs(valued.values), fmt).codes)


@pytest.mark.parametrize("fmt", [fmt for fmt in (*SHORT, *WITH_NANS) if fmt.signed], ids=name_of)
def test_copysign_takes_the_sign_bit_of_numbers_zeros_and_nans(fmt):
    codes, x = everything(fmt)
    magnitude = codes & (fmt.sign_mask - 1)
    bare = magnitude == 0 if not fmt.has_negative_zero else np.zeros(codes.shape, bool)
    minus, plus = np.where(bare, codes, magnitude | fmt.sign_mask), np.where(bare, codes, magnitude)
    for sign in (-1, -0.0, -math.inf, -math.nan, np.float32(-0.0), np.float32(-math.nan)):
        np.testing.assert_array_equal(np.copysign(x, sign).codes, minus, str(sign))
    for sign in (1, 0, 0.0, math.nan, 2**70):
        np.testing.assert_array_equal(np.copysign(x, sign).codes, plus, str(sign))
    signs = fl.from_codes(codes[::-1].copy(), fmt)
    negative = (signs.codes & fmt.sign_mask != 0) & ~bare[::-1]
    np.testing.assert_array_equal(np.copysign(x, signs).codes, np.where(negative, minus, plus))
    one = np.copysign(1.0, signs)
    np.testing.assert_array_equal(one.values, np.where(negative, -1.0, 1.0))


def test_negation_in_a_format_without_a_sign_is_a_conversion():
    x = fl.from_codes([0, 1, 5], "binary8p3ue")
    assert np.signbit((-x).values).sum() == 0
    wanted = [reference.round(-v, x.format).code for v in x.tolist()]
    assert (-x).codes.tolist() == wanted


MOVES = {
    "copy": lambda x: x.copy(),
    "positive": lambda x: +x,
    "conjugate": np.conjugate,
    "index": lambda x: x[np.arange(x.size)],
    "mask": lambda x: x[np.ones(x.size, bool)],
    "where": lambda x: np.where(np.ones(x.size, bool), x, 1.0),
    "where else": lambda x: np.where(np.zeros(x.size, bool), fl.array(np.ones(x.size), x.format), x),
    "concatenate": lambda x: np.concatenate([x[:3], x[3:]]),
    "concatenate with values": lambda x: np.concatenate([fl.array([1.0], x.format), x])[1:],
    "stack": lambda x: np.stack([x, x])[1],
    "hstack": lambda x: np.hstack([x]),
    "take": lambda x: np.take(x, np.arange(x.size)),
    "take_along_axis": lambda x: np.take_along_axis(x, np.arange(x.size), 0),
    "roll": lambda x: np.roll(np.roll(x, 5), -5),
    "reshape": lambda x: np.reshape(x, (2, -1)).ravel(),
    "flip": lambda x: np.flip(np.flip(x)),
    "repeat": lambda x: np.repeat(x, 2)[::2],
    "tile": lambda x: np.tile(x, 2)[x.size :],
    "delete": lambda x: np.delete(np.concatenate([x, x[:1]]), -1),
    "insert": lambda x: np.insert(x, 2, 1.0)[np.delete(np.arange(x.size + 1), 2)],
    "split": lambda x: np.concatenate(np.split(x, 2)),
    "compress": lambda x: np.compress(np.ones(x.size, bool), x),
    "extract": lambda x: np.extract(np.ones(x.size, bool), x),
    "broadcast_to": lambda x: np.broadcast_to(x, (3, x.size))[2],
    "full_like": lambda x: np.concatenate([np.full_like(v, v) for v in x[:, None]]),
    "array": lambda x: fl.array(x),
    "astype": lambda x: x.astype(x.format),
    "diag": lambda x: np.diag(np.diag(x[:4])) if x.format.has_zero else x[:4],
    "triangles": lambda x: np.diagonal(np.tril(np.triu(x.reshape(1, -1)[:, :1]))),
    "atleast_2d": lambda x: np.atleast_2d(x)[0],
    "flat": lambda x: x.flat[:],
    "iteration": lambda x: np.stack(list(x)),
    "to own type": lambda x: fl.asarray(x.to_ml_dtypes()),
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("fmt", [get_format("e5m2"), get_format("fp16"), get_format("bf16")], ids=name_of)
def test_what_is_moved_keeps_every_code(fmt, name):
    codes, x = everything(fmt)
    codes, x = codes[-2048:], x[-2048:]  # with all NaNs of one sign
    moved = MOVES[name](x)
    np.testing.assert_array_equal(moved.codes, codes[: moved.size])


@pytest.mark.parametrize(("fmt", "code"), [("fp32", 0xFF800123), ("fp64", 0xFFF0000000000123)])
def test_nans_of_the_wide_formats_keep_their_codes_too(fmt, code):
    x = fl.from_codes([code, 1], fmt)
    mask = x.format.sign_mask
    assert x.codes[0] == code and (-x).codes[0] == code ^ mask and abs(x).codes[0] == code & ~mask
    assert np.concatenate([x, fl.array([1.0], fmt)]).codes[0] == code
    plain = np.array([code], x.format.code_dtype).view(x.format.dtype)
    assert fl.asarray(plain).codes[0] == fl.array(plain).codes[0] == code
    assert np.shares_memory(fl.asarray(plain).values, plain)
    assert fl.asarray(plain).to_ml_dtypes().view(x.format.code_dtype)[0] == code
    assert np.asarray(fl.asarray(plain), copy=False).dtype == x.format.dtype


def test_what_is_put_in_order_keeps_the_codes_of_nans():
    codes = np.array([0x7E01, 0x3C00, 0xFE02, 0xBC00, 0x7C05], np.uint16)
    x = fl.from_codes(codes, "fp16")
    assert np.sort(x).codes.tolist() == [0xBC00, 0x3C00, 0x7E01, 0xFE02, 0x7C05]
    assert np.sort(x.reshape(1, 5), axis=None).codes.tolist()[-3:] == [0x7E01, 0xFE02, 0x7C05]
    assert np.sort(x.reshape(5, 1), 0).codes.ravel().tolist() == np.sort(x).codes.tolist()
    assert sorted(np.partition(x, 1).codes.tolist()) == sorted(codes.tolist())
    assert np.unique(x).codes.tolist() == [0xBC00, 0x3C00, 0x7E01]
    found, places, counts = np.unique(x, return_index=True, return_counts=True)
    assert found.codes.tolist()[2] == 0x7E01 and places.tolist() == [3, 1, 0] and counts.tolist() == [1, 1, 3]
    assert np.unique(x.reshape(5, 1), axis=0).shape[1] == 1
    x.sort()
    assert x.codes.tolist() == [0xBC00, 0x3C00, 0x7E01, 0xFE02, 0x7C05]


def test_what_is_written_into_codes_is_codes():
    nan = fl.from_codes([0x7C05, 0xFE02], "fp16")
    x = fl.from_codes(np.zeros(4, np.uint16), "fp16")
    x[0] = nan[0]
    np.copyto(x[1:2], nan[1:])
    np.putmask(x, np.array([False, False, True, False]), nan)
    np.put(x, [3], nan[1])
    assert x.codes.tolist() == [0x7C05, 0xFE02, 0x7C05, 0xFE02]
    np.place(x, [True, False, False, False], 0.1)
    x.flat[1] = 0.1
    assert x.codes.tolist()[:2] == [0x2E66, 0x2E66]
    square = fl.from_codes(np.zeros((2, 2), np.uint16), "fp16")
    np.fill_diagonal(square, nan)
    assert square.codes.tolist() == [[0x7C05, 0], [0, 0xFE02]]
    plain = np.zeros(2, np.float32)
    np.putmask(plain, [True, False], fl.array([2.0, 3.0], "fp16"))
    assert plain.tolist() == [2.0, 0.0]
    for attempt in (
        lambda: np.putmask(x, [True] * 4, fl.array([1.0], "bf16")),
        lambda: np.full_like(x, fl.array(1.0, "bf16")),
        lambda: np.insert(x, 0, fl.array(1.0, "bf16")),
        lambda: np.take(x, [0], out=fl.array([1.0], "bf16")),
    ):
        with pytest.raises(FormatMismatchError):
            attempt()


# -- a format without zero -------------------------------------------------------------------------------------------


def test_nothing_fills_a_format_without_zero_with_zeros():
    x = fl.array([1.0, 2.0], "e8m0")
    for coded in (x, fl.from_codes(x.codes, "e8m0")):
        for attempt in (
            lambda x=coded: np.diag(x),
            lambda x=coded: np.diag(x[:1], 1),
            lambda x=coded: np.resize(x[:0], 3),
            lambda x=coded: np.zeros_like(x),
            lambda x=coded: np.tril(x.reshape(1, 2)),
            lambda x=coded: np.triu(x.reshape(2, 1)),
        ):
            with pytest.raises(FormatError, match="zero"):
                attempt()
        assert np.diag(np.stack([coded, coded])).tolist() == [1.0, 2.0]
        assert np.diag(coded[:1]).tolist() == [[1.0]]
        assert np.resize(coded, 3).tolist() == [1.0, 2.0, 1.0] and np.resize(coded[:0], 0).size == 0
        assert np.empty_like(coded).shape == (2,) and np.ones_like(coded).tolist() == [1.0, 1.0]
    y = fl.array([1.0, 2.0], "e4m3")
    assert np.diag(y).tolist() == [[1.0, 0.0], [0.0, 2.0]] and np.resize(y[:0], 2).tolist() == [0.0, 0.0]
    assert np.tril(np.stack([y, y])).tolist() == [[1.0, 0.0], [1.0, 2.0]]


# -- arguments by name -----------------------------------------------------------------------------------------------

SQUARE = [[1.0, -2.0], [4.0, 3.0]]
ARGUMENTS = {  # what the required arguments are called, beside the array
    "indices": np.array([[0, 1], [1, 0]]),
    "shape": (2, 2),
    "axis1": 0,
    "axis2": 1,
    "source": 0,
    "destination": 1,
    "axis": 0,
    "shift": 1,
    "repeats": 2,
    "reps": 2,
    "new_shape": (3, 3),
    "condition": np.array([True, False]),
    "obj": 0,
    "indices_or_sections": 2,
    "kth": 1,
    "fill_value": 0.1,
    "bins": np.array([0.0, 1.0, 2.0]),
    "mask": np.array([[True, False], [False, True]]),
    "ind": [0],
    "decimals": 1,
}


def sample(name, parameter):
    x = fl.array(SQUARE, "e4m3")
    if name in ("diag", "searchsorted") or (name == "digitize" and parameter == "bins"):
        x = fl.array([1.0, 2.0, 3.0], "e4m3")
    return x.reshape(2, 2, 1) if name == "dsplit" else x


@pytest.mark.parametrize("name", sorted({f.__name__ for f in FUNCTIONS if hasattr(np, f.__name__)}))
def test_the_array_can_be_given_by_name(name):
    function = getattr(np, name)
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    names = _required(function)
    by_place = name.startswith("unique_")  # whatever NumPy's signature says
    if (
        by_place
        or not names
        or kinds[0] in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    ):
        pytest.skip("takes its first arguments by place")
    given = {}
    for parameter in names:
        value = ARGUMENTS.get(parameter)
        if name == "take_along_axis" and parameter == "indices":
            value = np.array([[0, 1], [1, 0]])
        if value is None:
            value = sample(name, parameter)
            value = [value, value] if parameter in ("arrays", "tup", "keys") else value
        given[parameter] = value
    if name == "extract":
        given["condition"] = np.array(SQUARE) > 0
    if name == "insert":
        given["values"] = fl.array([1.0, 2.0], "e4m3")
    if name == "dsplit":
        given["indices_or_sections"] = 1
    if name == "clip":
        given |= {"a_min": 0.0, "a_max": 2.0}
    try:
        wanted = function(*(copied(v) for v in given.values()))
    except FloatlabError as error:
        with pytest.raises(type(error)):
            function(**given)
        return
    assert repr(function(**given)) == repr(wanted)


def copied(x):
    return x.copy() if isinstance(x, FloatArray) else x


def test_names_and_places_can_be_mixed():
    x = fl.array([[1.0, 2.0]], "e4m3")
    assert np.transpose(a=x).shape == (2, 1)
    assert np.take(x, axis=1, indices=[1]).tolist() == [[2.0]]
    assert np.split(x, axis=1, indices_or_sections=2)[1].tolist() == [[2.0]]
    assert np.outer(b=x, a=x).shape == (2, 2)
    assert np.clip(x, min=1.5).tolist() == [[1.5, 2.0]]
    assert np.swapaxes(x, axis2=1, axis1=0).shape == (2, 1)
    assert np.searchsorted(v=fl.array(1.5, "e4m3"), a=[1.0, 2.0]) == 1
    assert np.argmax(axis=1, a=x).tolist() == [1]
    out = fl.array([0.0], "e4m3")
    assert np.take(x, [1], out=out) is out and out.tolist() == [2.0]
    with pytest.raises(DtypeError, match=r"\.values"):
        np.linalg.inv(a=x)
    with pytest.raises(FormatError, match="Got none"):
        np.maximum([1.0], [2.0], out=out)


def test_a_second_array_is_an_argument_and_not_the_one_that_is_moved():
    x = fl.array([5.0, 0.0, 7.0], "e4m3")
    other = fl.array([1.0, 2.0, 3.0], "fp16")
    assert np.extract(x, other).tolist() == [1.0, 3.0] and np.extract(x, other).format.name == "float16"
    assert np.extract(x, np.array([1, 2, 3])).tolist() == [1, 3]
    assert np.compress(x, other).tolist() == [1.0, 3.0]
    assert [y.format.name for y in np.atleast_1d(x, other)] == ["float8_e4m3fn", "float16"]


def test_shapes_that_do_not_fit_are_named():
    x, y = fl.array([1.0, 2.0], "e4m3"), fl.array([1.0, 2.0, 3.0], "e4m3")
    for attempt in (
        lambda: np.maximum(x, y),
        lambda: x < y,
        lambda: np.copysign(x, y),
        lambda: np.fmin(x, y),
        lambda: np.nextafter(x, y),
    ):
        with pytest.raises(ShapeError, match=r"\(2,\) and \(3,\)"):
            attempt()


# -- what an array of ml_dtypes has --------------------------------------------------------------------------------


def test_attributes_are_those_of_the_formats_own_type():
    for fmt, dtype in (("bf16", ml_dtypes.bfloat16), ("fp16", np.float16), ("fp32", np.float32)):
        own = np.array([[1.0, 2.0, 3.0]]).astype(dtype)
        for x in (fl.array(own), fl.array(own.astype(np.float64), fmt)):
            assert (x.dtype, x.itemsize, x.nbytes) == (own.dtype, own.itemsize, own.nbytes)
    custom = fl.array([1.0, 2.0], "e5m6")
    assert (custom.dtype, custom.itemsize, custom.nbytes) == (np.float32, 2, 4)
    assert fl.quantize(fl.array([1.3], "bf16"), "e4m3").dtype == np.float32
    assert fl.decode(fl.array([1.5], "bf16"), "bf16").tolist() == [1.5]
    with pytest.raises(DtypeError, match="Codes"):
        fl.decode(fl.array([1.5], "bf16"), "fp16")


METHODS = {
    "any": (),
    "all": (),
    "argsort": (),
    "argmax": (1,),
    "argmin": (0,),
    "nonzero": (),
    "take": ([1, 0],),
    "repeat": (2,),
    "compress": ([True, False], 0),
    "copy": (),
    "squeeze": (),
    "swapaxes": (0, 1),
    "clip": (0, 2),
    "diagonal": (),
    "flatten": (),
    "ravel": (),
    "reshape": (3, 2),
    "transpose": (),
    "item": (1,),
    "tolist": (),
    "cumsum": (),
    "cumprod": (),
    "trace": (),
    "conj": (),
    "max": (),
    "min": (1,),
    "sum": (),
    "prod": (),
    "mean": (),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_do_what_those_of_an_ml_dtypes_array_do(name):
    values = np.array([[1.0, 0.0, 2.0], [-2.0, 4.0, 1.0]], np.float32)
    x = fl.array(values, "bf16")
    wanted = getattr(values, name)(*METHODS[name])
    got = getattr(x, name)(*METHODS[name])
    if isinstance(got, FloatArray):
        np.testing.assert_array_equal(got.values, wanted)
    else:
        assert repr(got) == repr(wanted)
    if name in ("any", "all", "argmax", "max", "sum"):
        keep = getattr(x, name)(axis=1, keepdims=True)
        np.testing.assert_array_equal(np.asarray(keep), getattr(values, name)(axis=1, keepdims=True))


def test_an_array_can_be_sorted_and_filled_in_place():
    x = fl.array([[3.0, 1.0], [2.0, 5.0]], "bf16")
    x.sort()
    assert x.tolist() == [[1.0, 3.0], [2.0, 5.0]]
    x.T.sort(axis=0)
    assert np.ptp(x) == x.ptp() == 4.0
    x.fill(0.1)
    assert x.tolist() == [[0.10009765625] * 2] * 2
    flat = fl.array(np.arange(6).reshape(2, 3), "fp16").T.flat
    assert len(flat) == 6 and [float(v) for v in flat] == [0, 3, 1, 4, 2, 5]
    assert x.view(np.uint16).tolist() == x.codes.tolist() and x.view(x.dtype).dtype == ml_dtypes.bfloat16
    with pytest.raises(DtypeError, match="codes or as its own type"):
        x.view(np.int32)
    with pytest.raises(DtypeError, match="codes or as its own type"):
        fl.array([1.0], "e9m30b100").view(np.float64)  # it has no type of its own


def test_one_element_is_formatted_and_rounded_like_a_number():
    x = fl.array([2.5, 0.1], "e4m3")
    assert f"{x[0]:.2f} {x[1]:8.3e}|{x[0]:>6}" == f"{2.5:.2f} {0.1015625:8.3e}|{2.5:>6}"
    assert f"{x[:1]:.1f}" == "2.5" and f"{x}" == str(x)
    assert round(x[0]) == 2 and isinstance(round(x[0]), int) and complex(x[0]) == 2.5
    with pytest.raises(DtypeError, match="for one number"):
        f"{x:.2f}"
    with pytest.raises(ValueError, match="2f"):
        f"{x[0]:2f2f}"


@pytest.mark.skipif(np.round not in FUNCTIONS, reason="numpy.round is not served")
def test_digits_of_round_are_decimals():
    x = fl.array([2.5, 0.1], "e4m3")
    assert round(x, 1).tolist() == np.round(x, 1).tolist() == x.round(1).tolist()
    assert round(x[1], 1).item() == 0.1015625


# -- options, masks, seeds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", ["ml_dtypes", "codes", "values"])
def test_options_hold_for_arrays_of_the_formats_own_type(own):
    codes = np.array(
        [0x7C, 0xFC, 0x01, 0x81, 0x7D, 0x04, 0x00, 0x80], np.uint8
    )  # inf, subnormals, a NaN, 2^-14
    x = fl.from_codes(codes, "e5m2")
    given = {
        "ml_dtypes": codes.view(ml_dtypes.float8_e5m2),
        "codes": x,
        "values": fl.array(x.values, "e5m2"),
    }[own]
    nan = 0x7E if own == "values" else 0x7D  # the canonical one
    flushed = [0x7C, 0xFC, 0x00, 0x80, nan, 0x04, 0x00, 0x80]
    saturated = [0x7B, 0xFB, 0x01, 0x81, nan, 0x04, 0x00, 0x80]
    for options, wanted in (
        ({"subnormals": "flush"}, flushed),
        ({"flush_inputs": True}, flushed),
        ({"overflow": "saturate"}, saturated),
        ({"rounding": "toward_positive"}, [0x7C, 0xFC, 0x01, 0x81, nan, 0x04, 0x00, 0x80]),
        ({"rounding": "stochastic", "rng": 0}, [0x7C, 0xFC, 0x01, 0x81, nan, 0x04, 0x00, 0x80]),
    ):
        assert fl.array(given, "e5m2", **options).codes.tolist() == wanted, options
        if isinstance(given, FloatArray):
            assert given.astype("e5m2", **options).codes.tolist() == wanted
        with fl.arithmetic(**options):
            assert fl.array(given).codes.tolist() == wanted, options
            y = fl.array(np.ones(8), "e5m2")
            y[...] = given if not isinstance(given, FloatArray) else given.to_ml_dtypes()
            assert [c for c in y.codes.tolist() if c & 0x7F <= 0x7C] == [
                c for c in wanted if c & 0x7F <= 0x7C
            ]
    with pytest.raises(OptionError):
        fl.array(given, "e5m2", rounding="upwards")
    with pytest.raises(FloatlabError):
        fl.array(given, "e5m2", overflow="wrap")


def test_flags_of_a_conversion_to_the_own_type_are_noted():
    x = fl.array([2.0**-24, 1.0], "fp16")
    with fl.track_flags() as flags:
        fl.array(x, subnormals="flush")
    assert flags.by_operation["array"]["underflow"] == 1


def test_masks_are_not_lost():
    for dtype in (np.float64, np.float16, ml_dtypes.bfloat16, np.int32):
        masked = np.ma.array(np.array([1.0, 2.0]).astype(dtype), mask=[True, False])
        for fmt in ("fp64", "fp16", "bf16", "e4m3"):
            for make in (fl.array, fl.asarray, FloatArray, fl.quantize):
                with pytest.raises(DtypeError, match=r"masked.*filled"):
                    make(masked, fmt)
        with pytest.raises(DtypeError, match="masked"):
            fl.array([1.0, 2.0], "fp16")[:] = masked
    codes = np.ma.array([1, 2], mask=[True, False], dtype=np.uint8)
    with pytest.raises(DtypeError, match="masked"):
        fl.from_codes(codes, "e4m3")
    with pytest.raises(DtypeError, match="masked"):
        fl.asarray(np.ma.array(np.float16([1.0]), mask=[True]))


def test_a_seed_is_a_generator():
    x = np.random.default_rng(0).normal(size=200_000)
    options = {"rounding": "stochastic", "random_bits": 9}
    wanted = fl.quantize(x, "e4m3", rng=np.random.default_rng(5), **options)
    for seed in (5, np.int64(5)):
        np.testing.assert_array_equal(fl.quantize(x, "e4m3", rng=seed, **options), wanted)
        np.testing.assert_array_equal(fl.array(x, "e4m3", rng=seed, **options).values, wanted)
        codes = fl.encode(x, "e4m3", rng=seed, **options)  # one generator for all its blocks
        np.testing.assert_array_equal(codes, fl.encode(wanted, "e4m3"))
        with fl.arithmetic(rng=seed, **options):
            np.testing.assert_array_equal(fl.array(x, "e4m3").values, wanted)
    for wrong in (-1, True, 1.0, "5"):
        with pytest.raises(OptionError, match="seed"):
            fl.quantize(x, "e4m3", rng=wrong, **options)
        with pytest.raises(OptionError, match="seed"), fl.arithmetic(rng=wrong):
            pass


def test_a_seed_in_a_context_is_one_generator_and_not_one_for_each_operation():
    third = fl.array(np.ones(1000), "e4m3")
    with fl.arithmetic(rounding="stochastic", rng=3):
        first = third / 3
        with fl.arithmetic(overflow="saturate"):
            second = third / 3
    assert (first != second).any()
    rng = np.random.default_rng(3)
    with fl.arithmetic(rounding="stochastic", rng=rng):
        assert ((third / 3) == first).all() and ((third / 3) == second).all()


def test_a_seed_of_partial_sums_is_not_sown_at_every_step():
    x = fl.array(np.full((3, 400), 0.03), "e4m3")
    for function in (fl.cumsum, fl.cumprod):
        got = function(x, axis=1, rounding="stochastic", rng=1)
        wanted = function(x, axis=1, rounding="stochastic", rng=np.random.default_rng(1))
        assert got.codes.tolist() == wanted.codes.tolist()
    for name in ("sum", "mean"):
        one, other = (
            getattr(fl, name)(x, axis=1, rounding="stochastic", accumulator="e4m3", rng=rng)
            for rng in (1, np.random.default_rng(1))
        )
        assert one.codes.tolist() == other.codes.tolist()


# -- layouts -----------------------------------------------------------------------------------------------------------

LAYOUTS = {
    "transposed": lambda x: x.T,
    "strided": lambda x: x[::2, ::-1],
    "zero-dimensional": lambda x: x[0, 0],
    "empty": lambda x: x[:0],
    "read-only": lambda x: np.broadcast_to(x, x.shape),
    "fortran": lambda x: x.copy("F"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fmt", ["e4m3", "bf16", "fp32", "e8m0", "e4m3fnuz", "e9m30b100"])
def test_every_layout_gives_the_same_numbers(fmt, layout):
    rng = np.random.default_rng(8)
    wide = np.abs(rng.normal(size=(6, 4))) + 0.25
    for x in (fl.array(wide, fmt), fl.from_codes(fl.array(wide, fmt).codes.copy(), fmt)):
        y = LAYOUTS[layout](x)
        plain = np.ascontiguousarray(y.values).reshape(y.shape)
        straight = fl.array(plain, fmt)
        for compute in (
            lambda a: a + a,
            lambda a: a * 0.7,
            lambda a: np.sqrt(a),
            lambda a: np.maximum(a, 0.5),
            lambda a: np.clip(a, 0.3, 1e30),
            lambda a: abs(-a) if a.format.signed else abs(a),
            lambda a: np.copysign(a, 1.0),
            lambda a: np.where(a > 0.5, a, 1.0),
            lambda a: np.nextafter(a, 2),
            lambda a: np.concatenate([np.atleast_1d(a), np.atleast_1d(a)]),
        ):
            got, wanted = compute(y), compute(straight)
            assert got.shape == wanted.shape and got.codes.tolist() == wanted.codes.tolist()
        assert (y < 0.5).tolist() == (plain < 0.5).tolist()


BIASES = [
    FloatFormat("low", 4, 3, 100, "fnuz"),
    FloatFormat("lower", 4, 3, 1000, "finite"),
    FloatFormat("high", 3, 2, -100),
    FloatFormat("higher", 4, 5, -900, "fn"),
    FloatFormat("unsigned", 3, 2, 5, "p3109_extended", False),
    FloatFormat("one", 2, 0, 1, "finite"),
    FloatFormat("fnuz", 3, 3, 130, "fnuz"),
]


@pytest.mark.parametrize("fmt", BIASES, ids=name_of)
def test_arithmetic_in_formats_of_any_bias_is_the_references(fmt):
    codes = np.arange(1 << fmt.bits)
    pairs = np.random.default_rng(4).choice(codes, (60, 2))
    a, b = (fl.from_codes(pairs[:, i].astype(fmt.code_dtype), fmt) for i in (0, 1))
    numbers = [all_values(fmt)[pairs[:, i]] for i in (0, 1)]
    for name in ("add", "subtract", "multiply", "divide"):
        ok = [i for i in range(60) if answer(name, numbers, i, fmt) is not None]
        got = getattr(np, name)(a[ok], b[ok]).values
        wanted = np.array([answer(name, numbers, i, fmt) for i in ok])
        np.testing.assert_array_equal(got, wanted)
    for i in range(60):
        x, y = numbers[0][i], numbers[1][i]
        assert (a[i] < b[i]).item() == bool(x < y) and (a[i] == y).item() == bool(x == y)


def answer(name, numbers, i, fmt):
    try:
        result = getattr(reference, name)(float(numbers[0][i]), float(numbers[1][i]), fmt)
    except FloatlabError:  # a NaN, of which the format has none
        return None
    return reference.to_float(result.value)
