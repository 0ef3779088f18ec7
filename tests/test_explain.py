"""The story of one rounding: its facts against the reference, its words, and its lines within 80 columns."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import DETERMINISTIC, POLICIES, STOCHASTIC, critical_points, name_of

import floatlab as fl
from floatlab import reference
from floatlab.errors import DtypeError, FloatlabError, OptionError, ShapeError
from floatlab.explain import Explanation, explain
from floatlab.formats import get_format

FORMATS = [
    get_format(name)
    for name in (
        "e4m3",
        "e5m2",
        "fp16",
        "bf16",
        "fp32",
        "fp64",
        "fp4",
        "e8m0",
        "e4m3fnuz",
        "binary8p3se",
        "binary6p1uf",
    )
]


def check(told, wanted):
    """Hold an explanation to a result of the reference, and its fields to each other."""
    assert (told.code, set(told.flags)) == (wanted.code, set(wanted.flags)), str(told)
    value = wanted.value
    if isinstance(value, Fraction):
        assert told.value == float(value)
    if told.fraction is not None:
        assert abs(told.source) == (told.count + told.fraction) * Fraction(2) ** told.unit_exponent
        assert 0 <= told.fraction < 1
        assert Fraction(2) ** told.exponent <= abs(told.source) < Fraction(2) ** (told.exponent + 1)
        for neighbour in (told.below, told.above):
            if neighbour.code is not None and told.format.bits < 64:
                assert reference.exact(reference.to_float(reference.decode(neighbour.code, told.format))) in (
                    neighbour.value,
                    reference.Special.NEGATIVE_ZERO,
                )
        assert abs(told.below.value) <= abs(told.source) <= abs(told.above.value)
        if "overflow" not in told.flags and "invalid" not in told.flags and told.decision.find("flushed") < 0:
            assert told.value in (told.below.value, told.above.value)
            assert ("above" in told.decision.split(": ")[-1]) == (
                told.value == told.above.value
            ) or told.fraction == 0
    if told.error is not None:
        assert told.error == Fraction(told.value) - told.source
    assert all(len(line) <= 80 for line in str(told).splitlines()), str(told)


@pytest.mark.parametrize("mode", DETERMINISTIC)
@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if fmt.bits <= 16], ids=name_of)
def test_every_critical_number_is_explained_as_the_reference_rounds_it(fmt, mode):
    points = critical_points(fmt)
    for x in points[:: max(len(points) // 40, 1)]:
        for policy in (None, "saturate"):
            check(
                explain(float(x), fmt, rounding=mode, overflow=policy),
                reference.round(float(x), fmt, mode, policy),
            )


@given(st.sampled_from(FORMATS), st.floats(allow_nan=False), st.sampled_from(DETERMINISTIC))
def test_any_float64_is_explained_as_the_reference_rounds_it(fmt, x, mode):
    check(explain(x, fmt, rounding=mode), reference.round(x, fmt, mode))


@given(st.sampled_from(FORMATS), st.fractions(), st.sampled_from(DETERMINISTIC))
def test_any_fraction_is_rounded_once(fmt, x, mode):
    check(explain(x, fmt, rounding=mode), reference.round(x, fmt, mode))
    check(explain(str(x), fmt, rounding=mode), reference.round(x, fmt, mode))


@given(
    st.sampled_from(FORMATS),
    st.sampled_from(["+", "-", "*", "/"]),
    st.floats(),
    st.floats(),
    st.sampled_from(["nearest_even", "toward_negative", "to_odd"]),
)
def test_any_operation_is_explained_as_the_reference_computes_it(fmt, symbol, a, b, mode):
    function = {"+": reference.add, "-": reference.subtract, "*": reference.multiply, "/": reference.divide}[
        symbol
    ]
    try:
        wanted = function(a, b, fmt, rounding=mode)
    except FloatlabError:  # NaN in a format without one
        with pytest.raises(FloatlabError, match="NaN"):
            explain((a, symbol, b), fmt, rounding=mode)
        return
    if math.isnan(a) or math.isnan(b):
        assert math.isnan(explain((a, symbol, b), fmt, rounding=mode).value)
        return
    check(explain((a, symbol, b), fmt, rounding=mode), wanted)


@given(
    st.sampled_from(["e4m3", "fp16", "fp32", "fp64"]),
    st.lists(st.floats(allow_nan=False), min_size=3, max_size=3),
)
def test_fma_and_roots_are_explained_as_the_reference_computes_them(fmt, xs):
    fmt = get_format(fmt)
    for mode in ("nearest_even", "toward_negative"):
        check(explain(("fma", *xs), fmt, rounding=mode), reference.fma(*xs, fmt, rounding=mode))
        check(explain(("sqrt", xs[0]), fmt, rounding=mode), reference.sqrt(xs[0], fmt, rounding=mode))


def test_special_operands_are_explained():
    special = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf]
    fmt = get_format("fp16")
    for (a, b), mode in itertools.product(
        itertools.product(special, repeat=2), ("nearest_even", "toward_negative")
    ):
        for symbol, name in (("+", "add"), ("-", "subtract"), ("*", "multiply"), ("/", "divide")):
            check(
                explain((a, symbol, b), fmt, rounding=mode),
                getattr(reference, name)(a, b, fmt, rounding=mode),
            )
        for c in special:
            check(explain(("fma", a, b, c), fmt, rounding=mode), reference.fma(a, b, c, fmt, rounding=mode))
    assert explain(("1e400", "+", math.inf), "fp16").value == math.inf
    assert (
        explain(("0.1", "+", -0.0), "fp64").code == reference.round(Fraction(1, 10), get_format("fp64")).code
    )


@pytest.mark.parametrize("mode", STOCHASTIC)
def test_a_stochastic_rounding_is_told_with_its_random_integer(mode):
    for fmt, bits, x in itertools.product(
        map(get_format, ("e4m3", "fp32", "fp64")), (3, 40), (0.3, -1e5, 1e-9)
    ):
        for R in (0, 1, (1 << bits) - 1):
            told = explain(x, fmt, rounding=mode, random_bits=bits, random_integers=R)
            check(told, reference.round(x, fmt, mode, random_integer=R, random_bits=bits))
    assert "R =" in explain(0.3, "e4m3", rounding="stochastic", random_bits=3, random_integers=5).decision
    with pytest.raises(OptionError, match="random_integers"):
        explain(0.3, "e4m3", rounding="stochastic")


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_and_flushing_are_told(policy):
    for fmt, x in itertools.product(
        map(get_format, ("fp16", "e5m2")), (1e9, -math.inf, 2.0**-15, -(2.0**-30))
    ):
        told = explain(x, fmt, overflow=policy, subnormals="flush")
        check(told, reference.round(x, fmt, overflow=policy, subnormals="flush"))
    told = explain(2.0**-15, "fp16", subnormals="flush")
    assert "flushed to zero" in told.decision and told.value == 0
    assert "flushed" not in explain(2.0**-30, "fp16", subnormals="flush").decision  # it is zero anyway
    assert dict(explain(2.0**-15, "fp16", flush_inputs=True).rows)["inputs"].endswith("taken as 0")


def test_the_words_say_why():
    def why(x, fmt, **options):
        return explain(x, fmt, **options).decision

    assert why(0.1, "e4m3") == "above half a unit: the nearer one is above"
    assert why(464, "e4m3") == "a tie, exactly half a unit: the one whose code is even is below"
    assert (
        why(464, "e4m3", rounding="nearest_away", overflow="saturate")
        == "beyond the largest value 448: saturates to 448"
    )
    assert why(465, "e4m3") == "beyond the largest value 448: becomes NaN"
    assert why(1e6, "fp16") == "beyond the largest value 65504: becomes infinity"
    assert (
        why(1e6, "fp16", rounding="toward_zero") == "beyond the largest value 65504: toward_zero stops there"
    )
    assert (
        why(-1e6, "fp16", rounding="toward_positive")
        == "beyond the largest value 65504: toward_positive stops there"
    )
    assert why(100, "fp4") == "beyond the largest value 6: saturates to 6"
    assert (
        why(3, "e8m0") == "a tie, exactly half a unit: with one digit every value is odd, so the larger one"
    )
    assert why(0, "e8m0") == "float8_e8m0fnu has no zero: becomes NaN"
    assert why(1e-300, "e8m0").startswith("there is nothing below")
    assert why(-1, "binary8p3ue") == "binary8p3ue has no negative values: becomes NaN"
    assert why(-1, "binary8p3ue", overflow="saturate") == "binary8p3ue has no negative values: saturates to 0"
    assert why(0.3, "fp16", rounding="toward_negative") == "inexact: towards -infinity is below"
    assert why(0.3, "fp16", rounding="to_odd") == "inexact: the one whose code is odd is above"
    assert why(1.5, "fp16") == "exact: nothing is discarded"
    assert why(math.nan, "fp16") == "NaN stays NaN"
    assert why(math.inf, "fp16") == "infinity stays infinity"
    assert why(math.inf, "e4m3") == "float8_e4m3fn has no such infinity: becomes NaN"
    assert why((1.0, "/", 0.0), "fp16") == "an exact infinity of finite numbers: infinity"
    assert why(("sqrt", -1.0), "fp16") == "an invalid operation: NaN"
    assert why(-0.0, "e4m3fnuz") == "float8_e4m3fnuz has one zero, without a sign"
    assert why(0, "fp16") == "zero is exact"


def test_it_is_data_and_prints_well():
    told = explain(0.1, "e4m3")
    assert isinstance(told, Explanation)
    assert (told.value, told.code, told.bits) == (0.1015625, 0x1D, "0 0011 101")
    assert (told.exponent, told.unit_exponent, told.count) == (-4, -7, 12)
    assert (told.below.code, told.above.code) == (0x1C, 0x1D)
    assert float(told.error_in_ulps) == pytest.approx(0.2) and float(told.relative_error) == pytest.approx(
        0.015625
    )
    text = str(told)
    assert text.startswith("0.1 to float8_e4m3fn, nearest_even\n")
    assert "0.1000000000000000055511151231257827021181583404541015..." in text
    assert "0 01111111011 1001100110011001100110011001100110011001100110011010" in text
    assert "0 0011 101 = 0x1D" in text and "flags     inexact" in text
    assert told.rows[0][0] == "source" and dict(told.rows)["flags"] == "inexact"


def test_a_notebook_shows_a_table_and_nothing_that_could_be_markup():
    page = explain(0.1, "e4m3")._repr_html_()
    assert page.startswith("<table>") and "2^-4 &lt;= |x| &lt; 2^-3" in page
    assert "<b>" not in explain(0.1, fl.FloatFormat("<b>", 4, 3))._repr_html_()


def test_a_string_is_exact_and_a_float_is_what_it_is():
    assert explain("0.1", "fp64").flags == ("inexact",) and explain(0.1, "fp64").flags == ()
    assert explain("1/3", "bf16").source == Fraction(1, 3)
    assert explain("0x1.8p1", "fp16").value == 3 and explain("-inf", "fp16").value == -math.inf
    assert explain("-0", "fp16").code == 0x8000
    assert explain(np.float32(0.1), "fp16").rows[1][0] == "float32"
    assert explain(10**30, "fp16").value == math.inf
    assert explain(("exp", 1.0), "fp16").value == 2.71875
    assert "2.718281828459045..." in str(explain(("exp", 1.0), "fp16"))
    assert explain(("log", 0.0), "fp16").flags == ("divide_by_zero",)


def test_elements_of_arrays_bring_their_format():
    a = fl.FloatArray([1.5, 2.5], "e4m3")
    told = explain((a[0], "*", a[1]))
    assert told.format.name == "float8_e4m3fn" and told.value == 3.75 and told.source == Fraction(15, 4)
    assert explain(a[1], "fp4").value == 2.0
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        explain(a, "fp4")


def test_what_cannot_be_explained_says_why():
    for wrong in ("one", "1/0", "0x", None, 1j, ["a"]):
        with pytest.raises(DtypeError):
            explain(wrong, "fp16")
    for wrong in ((1, "^", 2), ("sqrt",), (), ("pow", 1, 2), (1, 2, 3)):
        with pytest.raises(OptionError, match="operation is a tuple"):
            explain(wrong, "fp16")
    with pytest.raises(OptionError, match="format"):
        explain(1.0)
    with pytest.raises(OptionError, match="float64"):
        explain(("exp", "0.1"), "fp16")
    with pytest.raises(FloatlabError, match="nearest_even"):
        explain(1.0, "fp16", rounding="nearest_evn")
