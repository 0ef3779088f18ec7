"""The story of one rounding: its facts against the reference, its words, and its lines within 80 columns."""

import itertools
import math
import random
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
from floatlab.explain.text import BIT_COLOURS
from floatlab.formats import get_format
from floatlab.plots.colours import BITS, contrast

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
        assert told.below.value <= told.source <= told.above.value
        if "overflow" not in told.flags and "invalid" not in told.flags and told.decision.find("flushed") < 0:
            assert told.value in (told.below.value, told.above.value)
            words = told.decision.split(": ")[-1]
            assert ("above" in words) == (told.value == told.above.value) or told.fraction == 0, str(told)
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

    assert why(0.1, "e4m3") == "more than half a unit: the nearer one is above"
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
        why(3, "e8m0")
        == "a tie, exactly half a unit: with one digit every value is odd, so away from zero, above"
    )
    assert why(0, "e8m0") == "float8_e8m0fnu has no zero: becomes NaN"
    assert why(1e-300, "e8m0").startswith("nothing lies nearer to zero")
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
    text = str(explain(0.1, "e4m3", full=True))
    assert text.startswith("0.1 to float8_e4m3fn, nearest_even\n")
    assert "0.1000000000000000055511151231257827021181583404541015..." in text
    assert "0 01111111011 1001100110011001100110011001100110011001100110011010" in text
    assert "0 0011 101 = 0x1D" in text and "flags     inexact" in text
    assert told.rows[0][0] == "source" and dict(told.rows)["flags"] == "inexact"


def test_a_notebook_shows_a_table_and_nothing_that_could_be_markup():
    page = explain(0.1, "e4m3", full=True)._repr_html_()
    assert page.startswith("<table") and "2^-4 &lt;= |x| &lt; 2^-3" in page
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


# -- formats that nobody has named -----------------------------------------------------------------------------------

KINDS = ("ieee", "fn", "fnuz", "finite", "p3109_extended", "p3109_finite", "scale")


def any_format(rnd):
    while True:
        kind, e, m = (
            rnd.choice(KINDS),
            rnd.randint(1, 11),
            rnd.choice([0, 1, 2, 3, 7, 10, 23, 40, 50, 51, 52]),
        )
        bias = rnd.choice([None, rnd.randint(-1100, 1200)])
        signed = kind != "scale" and rnd.random() < 0.6
        try:
            return fl.FloatFormat("any", e, 0 if kind == "scale" else m, bias, kind, signed)
        except FloatlabError:
            continue


def any_number(fmt, rnd):
    sign = rnd.choice([1, -1])
    match rnd.choice(["special", "edge", "inside", "inside", "far"]):
        case "special":
            return rnd.choice([0.0, -0.0, math.inf, -math.inf, math.nan])
        case "edge":
            edge = Fraction(rnd.choice([fmt.max, fmt.smallest_subnormal, fmt.smallest_normal]))
            past = Fraction(1, 2 ** (fmt.precision + rnd.choice([0, 60])))
            return sign * edge * rnd.choice([1, 2, Fraction(1, 2), Fraction(3, 2), Fraction(1, 3), 1 + past])
        case "inside":
            exponent = rnd.randint(fmt.emin - fmt.mantissa_bits - 3, fmt.emax + 3) - 70
            return sign * (rnd.getrandbits(70) + 1) * Fraction(2) ** exponent
    return sign * Fraction(10) ** rnd.choice([400, -400, 300, -320])


@pytest.mark.parametrize("seed", range(30))
def test_any_number_in_any_format_is_explained_as_the_reference_rounds_it(seed):
    rnd = random.Random(seed)
    for _ in range(20):
        fmt = any_format(rnd)
        x = any_number(fmt, rnd)
        options = {
            "rounding": rnd.choice([*DETERMINISTIC, *STOCHASTIC]),
            "overflow": rnd.choice([None, None, "saturate", "nan", "infinity"]),
            "subnormals": rnd.choice(["gradual", "flush"]),
            "flush_inputs": rnd.random() < 0.2,
        }
        bits = rnd.choice([1, 8, 48])
        R = rnd.choice([0, (1 << bits) - 1, rnd.getrandbits(bits)])
        random_to_explain, random_to_round = {}, {}
        if options["rounding"] in STOCHASTIC:
            random_to_explain = {"random_bits": bits, "random_integers": R}
            random_to_round = {"random_bits": bits, "random_integer": R}
        try:
            wanted = reference.round(x, fmt, **options, **random_to_round)
        except FloatlabError as error:
            with pytest.raises(type(error)):
                explain(x, fmt, **options, **random_to_explain)
            continue
        check(explain(x, fmt, **options, **random_to_explain), wanted)


@pytest.mark.parametrize("m", [3, 30, 50, 52])
def test_a_negative_number_in_an_unsigned_format_of_any_width_is_explained(m):
    for kind in ("fn", "p3109_extended", "p3109_finite", "finite"):
        fmt = fl.FloatFormat("unsigned", 6, m, None, kind, signed=False)
        for x in (-1.0, -1e30, "-1e-30", Fraction(-1, 3), -math.inf, -0.0):
            for policy in (None, "saturate"):
                number = Fraction(x) if isinstance(x, str) else x
                told = explain(x, fmt, overflow=policy)
                check(told, reference.round(number, fmt, overflow=policy))
                if x != 0 and not math.isinf(float(x)):
                    assert ("no negative values" in told.decision) == ("invalid" in told.flags)


def test_a_tie_with_zero_goes_to_zero_where_one_digit_is_all():
    fmt = fl.FloatFormat("powers", 4, 0, None, "fn")
    told = explain(Fraction(fmt.smallest_normal) / 2, fmt)
    check(told, reference.round(Fraction(fmt.smallest_normal) / 2, fmt))
    assert told.value == 0 and told.decision.endswith("the one whose code is even is below")


def test_subnormals_of_wide_formats_are_flushed_in_the_story_too():
    for fmt in ("fp64", "e8m50", "e5m52"):
        fmt = get_format(fmt)
        for x in (Fraction(fmt.smallest_normal) / 3, -Fraction(fmt.smallest_subnormal)):
            told = explain(x, fmt, subnormals="flush")
            check(told, reference.round(x, fmt, subnormals="flush"))
            assert told.value == 0 and "flushed to zero" in told.decision


def test_functions_are_explained_with_the_digits_that_wide_formats_need():
    for name, x, digits in (
        ("rsqrt", 2.0, "0.70710678118654752440084436210484903928"),
        ("exp", 1.0, "2.71828182845904523536028747135266249775"),
        ("reciprocal", 3.0, "0.33333333333333333333333333333333333333"),
        ("log", 2.0, "0.69314718055994530941723212145817656807"),
        ("sin", 1.0, "0.84147098480789650665250232163029899962"),
    ):
        for fmt in ("e11m30", "e11m47", "fp64"):
            for mode in ("nearest_even", "toward_positive", "toward_negative", "to_odd"):
                told = explain((name, x), fmt, rounding=mode)
                wanted = reference.round(Fraction(digits), get_format(fmt), mode)
                assert (told.code, told.flags) == (wanted.code, ("inexact",)), (name, fmt, mode)
    assert explain(("exp", 0.0), "fp64").flags == () and explain(("exp", 0.0), "fp64").value == 1.0
    assert (
        explain(("rsqrt", 0.25), "fp64").flags == ()
        and explain(("reciprocal", 0.0), "fp16").value == math.inf
    )
    with pytest.raises(OptionError, match="51 bits"):
        explain(("tanh", 1e6), "fp64")


# -- what is told beside the rounding --------------------------------------------------------------------------------


def row(told, label):
    return dict(told.rows).get(label)


def test_below_and_above_are_so_by_value_on_both_sides_of_zero():
    for x in (0.3, -0.3):
        for mode in DETERMINISTIC:
            told = explain(x, "e4m3", rounding=mode)
            assert told.below.value < told.source < told.above.value
            assert (told.value == told.above.value) == told.decision.endswith("above")
    told = explain(-1e6, "fp16")  # beyond the end the neighbours have their sign, too
    assert told.below.value < told.source < told.above.value < 0


def test_operands_that_are_no_values_of_the_format_are_named():
    told = explain((0.1, "+", 0.25), "e4m3")
    assert row(told, "operands").startswith("0.1 is no value of float8_e4m3fn: taken exactly")
    assert "0.1 and 0.3 are no values" in row(explain((0.1, "*", 0.3), "e4m3"), "operands")
    for operands in ((0.5, "+", 0.25), (448.0, "-", 2.0**-9), (math.inf, "+", 1.0), (-0.0, "*", 3.0)):
        assert row(explain(operands, "e4m3"), "operands") is None
    assert row(explain((2.0**-10, "+", 1.0), "e4m3"), "operands") and row(
        explain((480.0, "+", 1.0), "e4m3"), "operands"
    )
    assert row(explain((-1.0, "+", 2.0), "binary8p3ue"), "operands")  # a format without sign


def test_alignment_cancellation_and_the_width_of_a_product_are_told():
    told = explain((1000.5, "-", 1000.0), "fp16")
    assert row(told, "align") == "the operands begin at 2^9 and 2^9: the same place"
    assert row(told, "cancels") == "the first 10 digits of the larger operand"
    told = explain((1.0, "+", 2.0**-11), "fp16")
    assert row(told, "align").endswith("11 places apart") and row(told, "cancels") is None
    assert row(explain((1.0, "-", 1.0), "fp16"), "cancels") is None  # all of it: the result is zero
    assert row(explain((1.375, "*", 1.25), "fp16"), "width") == "4 bits times 3 bits: 6 bits"
    assert (
        row(explain((2.0**-10 + 1, "*", 2.0**-10 + 1), "fp16"), "width") == "11 bits times 11 bits: 21 bits"
    )
    assert row(explain(("1/3", "*", 3.0), "fp16"), "width") is None


def test_a_stochastic_rounding_introduces_its_fraction_and_its_random_integer():
    told = explain(0.3, "e4m3", rounding="stochastic", random_bits=4, random_integers=9)
    assert row(told, "random").startswith("v = 0.5999") and "R = 9, drawn from 0 to 2^4 - 1" in row(
        told, "random"
    )
    assert "random" in str(told)


def test_a_decimal_is_exact_and_shown_as_it_is_written():
    from decimal import Decimal

    told = explain(Decimal("65519.999999999999999"), "fp16")
    assert (
        told.value == 65504
        and row(told, "source") == "65519.999999999999999"
        and row(told, "float64") is None
    )
    assert row(explain("0.1", "fp16"), "source") == "0.1"
    assert row(explain("1/3", "fp16"), "source").endswith("3333...")


def test_a_first_look_leaves_the_steps_out_and_full_prints_them_all():
    short, full = explain(0.1, "e4m3"), explain(0.1, "e4m3", full=True)
    assert short.rows == full.rows and len(str(short).splitlines()) < len(str(full).splitlines())
    assert [label for label, _ in short.shown] == ["source", "below", "above", "decision", "result", "error"]
    assert full.shown == full.rows
    with pytest.raises(OptionError, match="full"):
        explain(0.1, "e4m3", full="yes")


def test_a_number_too_long_to_be_written_down_is_refused_in_words():
    for x in (10**5000, Fraction(1, 10**5000), "1e999999999", "1e2000", "2^-3500"):
        with pytest.raises(OptionError, match="quantize"):
            explain(x, "fp16")
    assert explain(("2^2999", "*", "2^2999"), "fp16").value == math.inf
    assert explain(("2^-2999", "/", "2^2999"), "fp64", full=True).value == 0
    assert "e" in str(explain("1e-400", "fp16")) and "-0 ulp" not in str(explain("1e-400", "fp16"))


def test_bits_have_colours_and_nothing_is_wider_than_the_page():
    page = explain(0.1, "e4m3")._repr_html_()
    for (paper, ink), bits, part in zip(BIT_COLOURS, ("0", "0011", "101"), BITS, strict=True):
        assert f'<span style="background:{paper};color:{ink}">{bits}</span>' in page
        assert (
            paper == BITS[part][0].lower() and contrast(paper, ink) >= 4.5
        )  # one meaning for a colour everywhere
    assert "overflow-wrap:anywhere" in page and "white-space:pre-wrap" in page


# -- sums ------------------------------------------------------------------------------------------------------------


def plain_sums(terms, fmt, mode):
    """Add up with the reference, one rounding after the other."""
    total, partial = reference.exact(0.0), []
    for term in terms:
        total = reference.add(total, reference.exact(float(term)), fmt, rounding=mode).value
        partial.append(float(total) if isinstance(total, Fraction) else reference.to_float(total))
    return partial


@pytest.mark.parametrize("mode", ["nearest_even", "toward_zero", "toward_negative", "to_odd"])
@pytest.mark.parametrize("name", ["e4m3", "bf16", "fp16"])
def test_a_sum_is_that_of_the_reference_term_by_term(name, mode):
    fmt, rng = get_format(name), np.random.default_rng(3)
    for scale in (2.0**-8, 1.0, 40.0):
        terms = fl.quantize(rng.normal(size=40) * scale, fmt, rounding=mode)
        told = explain(("sum", terms), fmt, rounding=mode)
        assert told.partial_sums.tolist() == plain_sums(terms.tolist(), fmt, mode)
        assert (
            told.exact == sum(map(Fraction, terms.tolist()))
            and told.error == Fraction(told.value) - told.exact
        )
        before = [0.0, *told.partial_sums.tolist()[:-1]]
        assert told.lost == sum(
            a == b and t != 0 for a, b, t in zip(before, told.partial_sums, terms, strict=True)
        )


def test_where_a_sum_stalls_is_after_its_last_change():
    told = explain(("sum", [0.1] * 4096), "fp16")
    assert told.value == 256 and told.stalls_at == told.partial_sums.tolist().index(256.0) + 1
    assert "at 256: there one unit is 0.25" in dict(told.rows)["stalls"]
    assert explain(("sum", [256.0, 1.0]), "bf16").stalls_at == 1
    for alive in ([1.0, 2.0, 3.0], [256.0, 1.0, 2.0], [1.0, 0.0], [60000.0, 60000.0, 1.0]):
        assert explain(("sum", alive), "bf16" if alive[0] != 60000 else "fp16").stalls_at is None
    assert (
        explain(("sum", [1e-9, 2.0]), "fp16").lost == 0
    )  # a term that rounds to zero is lost before, not here


def test_sums_that_are_infinite_or_of_one_term_are_told_too():
    assert explain(("sum", [60000.0] * 3), "fp16").value == math.inf
    told = explain(("sum", [math.inf, 1.0]), "fp16")
    assert told.exact is None and told.error is None and "exactly" not in dict(told.rows)
    assert explain(("sum", [3.0]), "fp16").value == 3
    assert explain(("sum", fl.array([[1.0, 2.0], [3.0, 4.0]], "e4m3"))).value == 10
    assert "<table" in told._repr_html_() and told.to_dict()["value"] == "infinity"
    flushed = explain(("sum", [2.0**-15, 2.0**-15]), "fp16", flush_inputs=True)  # no option is passed over
    assert flushed.value == 0 and explain(("sum", [2.0**-15, 2.0**-15]), "fp16").value == 2.0**-14
    with pytest.raises(OptionError, match='Use "nearest_even"'):
        explain(("sum", [1.0]), "fp16", rounding="nearest")
    with pytest.raises(OptionError, match="rounding"):
        explain(("sum", [1.0]), "fp16", rounding=3)
    with pytest.raises(ShapeError, match="no terms"):
        explain(("sum", []), "fp16")
    with pytest.raises(OptionError, match="draws nothing"):
        explain(("sum", [1.0]), "fp16", rounding="stochastic", random_bits=3, random_integers=1)
