"""What a chart of formats draws is exact: every edge is a constant of the format, and every count is counted."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from floatlab import plots, reference
from floatlab.errors import FormatError, OptionError
from floatlab.formats import FloatFormat, formats, get_format
from floatlab.plots.edges import edges_of, overflow_threshold
from floatlab.reference import Special
from floatlab.reference import decode as decode_one

SMALL = [
    get_format(name)
    for name in (
        "e2m1", "e2m3", "e3m2", "binary4p2se", "binary5p3sf", "binary3p1ue", "binary6p4uf", "e3m2fn", "e3m1fnuz",
        "e2m2", "e1m2finite", "e4m1",
    )
]  # fmt: skip
LARGER = [*SMALL, *(get_format(name) for name in ("e4m3", "e5m2", "e8m0", "fp16", "bf16", "fp32", "fp64"))]


def values_of(fmt: FloatFormat) -> list[Fraction]:
    """Return the finite values of a format in order, by the oracle: both zeros as one."""
    found = {decode_one(code, fmt) for code in range(1 << fmt.bits)}
    finite = {x for x in found if isinstance(x, Fraction)}
    return sorted(finite | ({Fraction(0)} if Special.NEGATIVE_ZERO in found else set()))


def becomes(x: Fraction, fmt: FloatFormat) -> tuple[Fraction | Special, bool]:
    """Return what the oracle makes of a number, -0 as 0, and whether that is an overflow."""
    result = reference.round(x, fmt, overflow=None if fmt.has_nan else "saturate")
    value = Fraction(0) if result.value is Special.NEGATIVE_ZERO else result.value
    return value, bool(result.flags & {"overflow", "invalid"})


# -- edges ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", LARGER, ids=str)
def test_edges_are_the_constants_of_the_format(fmt):
    edges = edges_of(fmt)
    assert math.ldexp(1.0, int(edges.subnormal)) == fmt.smallest_subnormal or not fmt.has_subnormals
    assert math.ldexp(1.0, int(edges.normal)) == fmt.smallest_normal
    assert edges.largest == pytest.approx(math.log2(fmt.max), rel=1e-15)
    assert edges.lost == (edges.subnormal - 1 if fmt.has_zero else -math.inf)


@pytest.mark.parametrize("fmt", [fmt for fmt in LARGER if fmt.name != "float64"], ids=str)
def test_overflow_begins_at_the_threshold_and_nowhere_else(fmt):
    threshold = Fraction(overflow_threshold(fmt))
    tiny = threshold / 10**12
    assert becomes(threshold - tiny, fmt) == (Fraction(fmt.max), False)
    assert becomes(threshold + tiny, fmt)[1]
    assert edges_of(fmt).overflow == pytest.approx(math.log2(threshold), rel=1e-14)


def test_the_threshold_of_float64_is_no_float64():
    assert overflow_threshold("fp64") == math.inf and edges_of("fp64").overflow == 1024


@pytest.mark.parametrize("fmt", [fmt for fmt in LARGER if fmt.has_zero and fmt.bits < 64], ids=str)
def test_what_is_lost_becomes_zero_and_no_more(fmt):
    half = Fraction(fmt.smallest_subnormal) / 2
    if fmt.has_subnormals:
        assert becomes(half, fmt)[0] == 0 and becomes(half * Fraction(1001, 1000), fmt)[0] == 2 * half
        assert 2.0 ** edges_of(fmt).lost == float(half)


# -- ranges --------------------------------------------------------------------------------------------


def bars(axes, row):
    """Return the left and right ends of the bars of a row."""
    boxes = [p.get_bbox() for p in axes.patches if p.get_y() < row < p.get_y() + p.get_height()]
    return [(box.x0, box.x1) for box in boxes]


def test_bars_end_at_the_constants():
    names = ["fp32", "fp16", "e4m3", "e8m0"]
    axes = plots.plot_ranges(names).axes[0]
    for row, name in enumerate(names):
        fmt, drawn = get_format(name), bars(axes, row)
        subnormal, normal = drawn[0], drawn[-1]
        assert normal == pytest.approx((math.log2(fmt.smallest_normal), math.log2(fmt.max)), rel=1e-15)
        if fmt.has_subnormals:
            assert subnormal == (math.log2(fmt.smallest_subnormal), math.log2(fmt.smallest_normal))
        else:
            assert len(drawn) == 1
    words = [text.get_text() for text in axes.texts]
    assert "65504, then ∞" in words and "448, then NaN" in words and "24 bits" in words and "1 bit" in words


def test_range_data_are_columns_of_one_length():
    data = plots.range_data(formats())
    assert {len(column) for column in data.values()} == {len(formats())}
    assert data["max"] == [fmt.max for fmt in formats()]
    assert dict(zip(data["format"], data["beyond"], strict=True))["float8_e4m3fn"] == "NaN"


def test_a_format_is_drawn_once_whatever_it_is_called():
    assert plots.range_data(["fp16", "half", FloatFormat("mine", 5, 10)])["format"] == ["float16"]


def test_titles_come_from_the_data():
    title = plots.plot_ranges(["bf16", "fp16"]).axes[0].get_title(loc="left")
    assert (
        title.replace("\n", " ")
        == "bf16 reaches farthest, over 261 powers of two; fp16 is finest, with 11 bits"
    )
    assert plots.plot_ranges(["fp16"], title="").axes[0].get_title(loc="left") == ""


# -- precision -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", [fmt for fmt in SMALL if fmt.has_zero], ids=str)
def test_spacing_is_the_distance_of_the_next_value(fmt):
    data, values = plots.precision_data(fmt), [v for v in values_of(fmt) if v > 0]
    for e, spacing, relative in zip(data["exponent"], data["spacing"], data["relative"], strict=True):
        start = Fraction(2) ** int(e)
        inside = [v for v in values if start <= v < 2 * start]
        assert inside[0] == start and Fraction(spacing) / start / 2 == Fraction(relative)
        following = [v for v in values if v > start]
        if following and following[0] <= 2 * start:
            assert following[0] - start == Fraction(spacing)
    assert data["exponent"][0] == int(math.log2(values[0]))
    assert 2.0 ** data["exponent"][-1] <= values[-1] < 2.0 ** (data["exponent"][-1] + 1)


def test_the_lines_end_where_the_format_does():
    left, right = plots.plot_precision(["e4m3"], exponents=(-12, 10)).axes[:2]
    x, y = left.lines[0].get_data()
    assert (x[0], x[-1]) == (-9, math.log2(448)) and (y[0], y[-1]) == (-9, 5)
    x, y = right.lines[0].get_data()
    assert (
        y[0] == -1 and y.max() == -1 and y[list(x).index(-6.0) + 1] == -4
    )  # 2^-1 at the smallest, 2^-4 at normal ones


@pytest.mark.parametrize("exponents", [(5, 5), (9, 1), "ab", 3, (1, None)])
def test_ends_of_an_axis_are_a_smaller_and_a_larger_number(exponents):
    with pytest.raises(OptionError, match="exponents"):
        plots.plot_precision("fp16", exponents=exponents)


# -- values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", SMALL, ids=str)
def test_every_value_stands_on_the_line_with_what_rounds_to_it(fmt):
    data = plots.value_data(fmt)
    values = values_of(fmt)
    assert [Fraction(v) for v in data["value"]] == values
    ends = zip(values, data["low"], data["high"], data["low_belongs"], data["high_belongs"], strict=True)
    for value, low, high, low_belongs, high_belongs in ends:
        low, high = Fraction(low), Fraction(high)
        inside = [low + (high - low) * Fraction(k, 1000) for k in (1, 500, 999)]
        assert {becomes(x, fmt) for x in inside} == {(value, False)}
        assert (becomes(low, fmt) == (value, False)) == low_belongs
        assert (becomes(high, fmt) == (value, False)) == high_belongs
    assert all(a == b for a, b in zip(data["high"][:-1], data["low"][1:], strict=True))
    ties = zip(data["high_belongs"][:-1], data["low_belongs"][1:], strict=True)
    assert all(a != b for a, b in ties)  # a tie belongs to one side


def test_the_code_of_a_value_means_it():
    for fmt in SMALL:
        data = plots.value_data(fmt)
        assert [decode_one(int(c), fmt) for c in data["code"]] == [Fraction(v) for v in data["value"]]


def test_the_regions_are_drawn_where_the_data_say():
    axes, data = plots.plot_values("e2m1").axes[0], plots.value_data("e2m1")
    drawn = sorted((p.get_x(), p.get_x() + p.get_width()) for p in axes.patches if p.get_gid() == "region")
    np.testing.assert_allclose(drawn, np.column_stack([data["low"], data["high"]]))
    stems = [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "value"]
    assert stems == data["value"].tolist()
    assert any("overflow from 7: becomes 6" in text.get_text() for text in axes.texts)


def test_where_the_last_tie_stays_overflow_begins_beyond_it():
    fmt = FloatFormat("ends even", 3, 2, specials="fn")  # its last value has an even code, as that of E4M3
    assert plots.value_data(fmt)["high_belongs"][-1]
    assert any("overflow beyond 26" in text.get_text() for text in plots.plot_values(fmt).axes[0].texts)


@pytest.mark.parametrize("name", ["e4m3", "fp16", "fp32"])
def test_a_line_has_room_for_64_values(name):
    with pytest.raises(FormatError, match="at most 6 bits"):
        plots.plot_values(name)


# -- codes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", [*SMALL, *(fmt for fmt in formats() if fmt.bits == 8)], ids=str)
def test_every_code_means_what_the_oracle_says(fmt):
    data = plots.code_data(fmt)
    assert data["code"].tolist() == list(range(1 << fmt.bits))
    for code, value, kind, exponent in zip(*data.values(), strict=True):
        expected = decode_one(int(code), fmt)
        if isinstance(expected, Fraction):
            assert Fraction(value) == expected
            if expected:
                assert Fraction(2) ** int(exponent) <= abs(expected) < Fraction(2) ** (int(exponent) + 1)
                assert (kind == "subnormal") == (abs(expected) < Fraction(fmt.smallest_normal))
            else:
                assert kind == "zero" and not np.signbit(value)
        elif expected is Special.NEGATIVE_ZERO:
            assert kind == "zero" and np.signbit(value)
        else:
            assert kind == ("infinity" if "inf" in expected.value else "nan")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", ["full", "half"])
def test_every_number_in_a_cell_can_be_read(size, dark):
    from matplotlib.colors import to_hex

    from floatlab.plots.colours import contrast

    axes = plots.plot_codes("e5m2", size=size, dark=dark).axes[0]
    assert len(axes.texts) == 256
    cells = {p.get_xy(): to_hex(p.get_facecolor()) for p in axes.patches if p.get_fill()}
    assert len(cells) == 256
    for text in axes.texts:
        x, y = text.get_position()
        assert contrast(to_hex(text.get_color()), cells[int(x), int(y)]) >= 4.5


def test_neighbouring_powers_of_two_have_other_shades():
    from matplotlib.colors import to_hex

    axes, data = plots.plot_codes("e4m3").axes[0], plots.code_data("e4m3")
    fills = [to_hex(p.get_facecolor()) for p in axes.patches if p.get_fill()]
    shades = {int(e): fill for e, fill, kind in zip(data["exponent"], fills, data["kind"], strict=True)
              if kind in ("normal", "subnormal")}  # fmt: skip
    assert len(set(shades.values())) == len(shades) == 18


@pytest.mark.parametrize("name", ["fp16", "e5m6"])
def test_a_page_has_room_for_256_codes(name):
    with pytest.raises(FormatError, match="2 to 8 bits"):
        plots.plot_codes(name)


# -- two formats ---------------------------------------------------------------------------------------


PAIRS = [("e2m1", "e2m3"), ("e5m2", "e4m3"), ("e4m3", "e3m2"), ("e5m2", "e5m2fnuz"), ("e8m0", "e5m2"), ("e3m4", "e4m3"),
         ("e1m2finite", "binary6p4uf")]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_shared_values_are_those_in_both_sets(a, b):
    first, second = (set(v for v in values_of(get_format(name)) if v > 0) for name in (a, b))
    data = plots.compare_data(a, b)
    for row, e in enumerate(data["exponent"]):
        low = Fraction(2) ** int(e)
        inside = [{v for v in values if low <= v < 2 * low} for values in (first, second, first & second)]
        assert [len(s) for s in inside] == [data[name][row] for name in ("a", "b", "shared")], e
    assert sum(data["a"]) == len(first) and sum(data["b"]) == len(second)


def test_formats_too_large_to_list_are_counted_too():
    data = plots.compare_data("fp64", "fp32")
    assert sum(data["shared"]) == sum(data["b"]) == 255 * 2**23 - 1
    assert sum(data["a"]) == 2047 * 2**52 - 1
    assert "Every value of fp32 is a value of fp64" in plots.plot_compare("fp64", "fp32").axes[0].get_title(
        loc="left"
    )


def test_a_format_is_not_compared_with_itself():
    with pytest.raises(FormatError, match="twice"):
        plots.plot_compare("fp16", "half")


def test_steps_stand_between_powers_of_two():
    axes = plots.plot_compare("e5m2", "e4m3").axes[0]
    data = plots.compare_data("e5m2", "e4m3")
    heights, edges, _ = axes.patches[1].get_data()
    assert edges.tolist() == [*data["exponent"].tolist(), 16]
    assert [2.0**h if h >= 0 else 0 for h in heights] == data["a"].tolist()


# -- bad input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "draw", [plots.plot_ranges, plots.plot_precision, plots.range_data, plots.precision_data]
)
@pytest.mark.parametrize("nothing", [[], ["fp61"], 3, [3], None, [None], {}])
def test_what_names_no_format_is_an_error(draw, nothing):
    with pytest.raises(FormatError, match=r"Got "):
        draw(nothing)


ONE_FORMAT = [plots.plot_values, plots.plot_codes, plots.plot_rounding, plots.value_data, plots.code_data]


@pytest.mark.parametrize("draw", ONE_FORMAT)
@pytest.mark.parametrize("nothing", ["fp61", 3, None, ["e2m1", "e3m2"]])
def test_what_names_no_single_format_is_an_error(draw, nothing):
    with pytest.raises(FormatError, match=r"Got "):
        draw(nothing)


@pytest.mark.parametrize(
    "options", [{"size": "ful"}, {"size": (0, 3)}, {"size": (1, 2, 3)}, {"dark": "yes"}, {"ax": 1}]
)
def test_a_look_that_there_is_not_is_an_error(options):
    with pytest.raises(OptionError, match=r"Got .* (Use|Take)"):
        plots.plot_ranges(["fp16"], **options)
