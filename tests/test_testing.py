"""Distances in units of the last place."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from support import CATALOGUE_8, all_values, name_of

import floatlab as fl
from floatlab.codes.neighbours import next_up
from floatlab.errors import FormatError, FormatMismatchError, OptionError, ShapeError
from floatlab.formats import get_format
from floatlab.testing import assert_ulp, ulp_distance


@pytest.mark.parametrize("fmt", CATALOGUE_8, ids=name_of)
def test_the_distance_counts_the_values_on_the_way(fmt):
    values = all_values(fmt)
    order = np.unique(values[~np.isnan(values)])  # -0 and +0 are one value
    x = fl.array(order, fmt)
    found = ulp_distance(x[:, None], x[None, :])
    places = np.arange(len(order))
    np.testing.assert_array_equal(found, np.abs(places[:, None] - places[None, :]))


@pytest.mark.parametrize("name", ("fp16", "bf16", "fp32", "fp64"))
def test_the_next_value_is_one_step_away_on_both_sides_of_zero(name):
    fmt = get_format(name)
    x = np.array([1.0, -1.0, 0.0, -0.0, fmt.max, -fmt.smallest_subnormal, fmt.smallest_normal, 3.0])
    up = next_up(x, fmt)
    assert ulp_distance(up, x, fmt).tolist() == [1] * 8
    whole = ulp_distance(-np.inf, np.inf, fmt)
    assert int(whole) == 2 * (fmt.max_code + 1)
    assert whole.dtype == np.uint64


def test_zeros_are_one_value_and_nans_are_another():
    x = fl.from_codes([0x80, 0x7F, 0xFF, 0x7F], "e4m3")
    assert ulp_distance(x, [0.0, np.nan, np.nan, 1.0]).tolist() == [0, 0, 0, 2**64 - 1]
    payloads = fl.from_codes([0x7D, 0xFE], "e5m2")
    assert ulp_distance(payloads, payloads[::-1]).tolist() == [0, 0]
    assert ulp_distance(np.nan, 0.0, "float8_e4m3fnuz").item() == 2**64 - 1  # whose NaN has the code of -0


def test_a_message_shows_the_worst_elements_with_their_codes():
    x = fl.array([[1.0, 2.0], [3.0, np.nan]], "e4m3")
    with pytest.raises(AssertionError) as caught:
        assert_ulp(x, [[1.25, 2.0], [16.0, 5.0]])
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "3 of 4 elements of float8_e4m3fn are more than 1 ulp from what is desired; the worst: a NaN and a number."
    )
    assert lines[1] == "  at (1, 1): actual nan (0x7f), desired 5.0 (0x4a): a NaN and a number"
    assert lines[2] == "  at (1, 0): actual 3.0 (0x44), desired 16.0 (0x58): 20 ulp"
    assert lines[3] == "  at (0, 0): actual 1.0 (0x38), desired 1.25 (0x3a): 2 ulp"
    many = np.zeros(100)
    with pytest.raises(AssertionError, match=r"100 of 100 .*\n(.*\n){5}  and 95 more"):
        assert_ulp(many, many + 1, fmt="fp16")


def test_what_is_near_enough_passes_and_gives_the_distances():
    x = fl.array([1.0, 2.0], "fp16")
    assert assert_ulp(x, x.values + np.float32(2**-11), 1).tolist() == [0, 0]
    assert assert_ulp(actual=x, desired=[1.0009765625, 2.0], max_ulp=np.int64(1)).tolist() == [1, 0]
    with pytest.raises(AssertionError):
        assert_ulp(x, [1.0009765625, 2.0], max_ulp=0)
    assert assert_ulp(fl.array([], "fp16"), []).shape == (0,)
    assert assert_ulp(fl.array(1.0, "fp16"), 1.0).shape == ()
    native = np.array([1, 2], ml_dtypes.bfloat16)
    assert assert_ulp(native, [1.0, 2.0]).tolist() == [0, 0]
    with (
        fl.arithmetic(rounding="toward_positive"),
        fl.track_flags() as flags,
    ):  # which are for results, not for tests
        assert ulp_distance(x, [1.0 + 2**-20, 2.0]).tolist() == [0, 0]
    assert not flags.by_operation


def test_what_cannot_be_compared_says_so():
    x = fl.array([1.0, 2.0], "fp16")
    with pytest.raises(FormatError, match="fmt="):
        ulp_distance([1.0], [1.0])
    with pytest.raises(FormatMismatchError, match="astype"):
        ulp_distance(x, x.astype("bf16"))
    with pytest.raises(FormatMismatchError):
        ulp_distance(x, x, "bf16")
    with pytest.raises(ShapeError, match=r"\(2,\) and \(3,\)"):
        ulp_distance(x, [1.0, 2.0, 3.0])
    with pytest.raises(AssertionError, match=r"\(2,\) and \(3,\)"):
        assert_ulp(x, [1.0, 2.0, 3.0])
    for bad in (-1, 1.5, True, None):
        with pytest.raises(OptionError, match="max_ulp"):
            assert_ulp(x, x, bad)


def test_the_room_is_loaded_when_it_is_first_used():
    program = (
        "import sys, floatlab as fl; assert 'floatlab.testing' not in sys.modules; fl.testing.assert_ulp"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
