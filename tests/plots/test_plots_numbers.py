"""What a chart of numbers draws is what floatlab computes, held to fractions: nothing is estimated."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import floatlab as fl
from floatlab import plots, reference
from floatlab.errors import DataError, DtypeError, FloatlabError, FormatError, OptionError, ShapeError
from floatlab.formats import get_format
from floatlab.plots.edges import edges_of
from floatlab.reference import Special

DATA = [
    (
        "quantization",
        lambda x: plots.quantization_data(x, "e4m3"),
        lambda x: plots.plot_quantization(x, "e4m3"),
    ),
    ("histogram", lambda x: plots.histogram_data(x), lambda x: plots.plot_histogram(x)),
    ("accumulation", lambda x: plots.accumulation_data(x), lambda x: plots.plot_accumulation(x)),
    ("bits", lambda x: plots.bit_data(x), lambda x: plots.plot_bits(x)),
]


# -- what cannot be drawn ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "data", "draw"), DATA, ids=[d[0] for d in DATA])
@pytest.mark.parametrize(
    ("x", "error"),
    [
        (np.array([]), ShapeError), ([], ShapeError), (np.full(3, np.nan), DataError), (np.arange(5), DtypeError),
        (np.array([True]), DtypeError), (np.array(["a"]), DtypeError), (np.array([1j]), DtypeError),
        (np.array([None]), DtypeError), ([[1.0], [1.0, 2.0]], DtypeError), (np.uint8([1, 2]), DtypeError),
    ],
)  # fmt: skip
def test_what_is_no_floating_point_data_is_an_error_before_anything_is_drawn(
    name, data, draw, x, error, monkeypatch
):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a figure was made")

    monkeypatch.setattr("floatlab.plots.style.new_canvas", never)
    for function in (data, draw):
        with pytest.raises(error, match=r"\. Got .*\. \w.*\.$"):
            function(x)


@pytest.mark.parametrize("draw", [plots.plot_quantization, plots.plot_accumulation])
def test_a_line_of_numbers_has_one_dimension(draw):
    with pytest.raises(ShapeError, match=r"Got the shape \(2, 2\)"):
        draw(np.ones((2, 2)))


def test_numbers_may_be_floats_of_every_type():
    numbers = np.float32([0.1, 300.0])
    types = (np.float16, np.float64, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2)
    for x in (
        numbers,
        numbers.tolist(),
        fl.array(numbers, "e4m3"),
        fl.Tensor(numbers),
        *map(numbers.astype, types),
    ):
        assert plots.histogram_data(x)["bins"]["count"][-1] == 1


# -- quantization --------------------------------------------------------------------------------------


def test_every_number_meets_the_fate_that_the_oracle_says():
    fmt = get_format("e4m3")
    x = np.array(
        [0.1, 1.0, 1e-4, 2.0**-10, 2.0**-10 * 1.01, 464.0, 464.01, 1e9, -500.0, np.nan, np.inf, -0.0, 0.0]
    )
    data = plots.quantization_data(x, fmt)
    for number, value, error, half, fate in zip(
        x, data["quantized"], data["error"], data["half_ulp"], data["fate"], strict=True
    ):
        if math.isnan(number):
            assert fate == "nan" and math.isnan(value)
            continue
        result = reference.round(reference.exact(float(number)), fmt)
        if math.isfinite(number) and "overflow" in result.flags:
            assert fate == "overflow"
        elif isinstance(result.value, Fraction) or result.value is Special.NEGATIVE_ZERO:
            expected = Fraction(0) if result.value is Special.NEGATIVE_ZERO else result.value
            assert Fraction(float(value)) == expected and abs(error) <= half
            assert error == float(expected - Fraction(float(number)))
            assert fate == (
                "exact" if expected == Fraction(float(number)) else "rounded" if expected else "zero"
            )


def test_the_error_is_drawn_as_it_is_and_what_overflows_is_marked():
    x = np.array([0.1, np.nan, 1000.0, 1e-5])
    above, below = plots.plot_quantization(x, "e4m3").axes
    assert any(t.get_text() == "overflowed: 1" for t in above.get_legend().get_texts())
    assert any(t.get_text() == "became 0: 1" for t in above.get_legend().get_texts())
    segments = [s for c in below.collections if hasattr(c, "get_segments") for s in c.get_segments()]
    drawn = [segment[1][1] for segment in segments if len(segment) == 2 and not np.isnan(segment[1][1])]
    data = plots.quantization_data(x, "e4m3")
    assert drawn == [data["error"][0], data["error"][3]]
    line = above.lines[0].get_ydata()
    assert np.isnan(line[1]) and line[2] == 1000


def test_options_of_rounding_reach_the_data():
    data = plots.quantization_data([1.06, 1000.0], "e4m3", rounding="toward_positive", overflow="saturate")
    assert data["quantized"].tolist() == [1.125, 448.0] and data["fate"].tolist() == ["rounded", "overflow"]
    with pytest.raises(OptionError, match="nearest_even"):
        plots.plot_quantization([1.0], rounding="nearest_evn")


# -- histograms ----------------------------------------------------------------------------------------


def test_shares_are_counted_one_by_one():
    rng = np.random.default_rng(3)
    x = rng.normal(size=400) * 10.0 ** rng.uniform(-12, 8, 400)
    x[:5] = [0.0, -0.0, np.inf, np.nan, 2.0**-25]
    names = ["fp16", "e4m3", "e2m1"]
    data = plots.histogram_data(x, names)
    finite = [abs(Fraction(float(v))) for v in x if math.isfinite(v) and v]
    for row, name in enumerate(names):
        fmt = get_format(name)
        results = [reference.round(v, fmt, overflow=None if fmt.has_nan else "saturate") for v in finite]
        lost = sum(r.value == 0 for r in results)
        small = sum(
            isinstance(r.value, Fraction) and 0 < r.value < Fraction(fmt.smallest_normal) for r in results
        )
        over = sum("overflow" in r.flags for r in results)
        got = [data["formats"][key][row] for key in ("lost", "subnormal", "overflow")]
        assert got == [n / len(finite) for n in (lost, small, over)]
    bins = dict(zip(data["bins"]["exponent"], data["bins"]["count"], strict=True))
    for e, count in bins.items():
        assert count == sum(Fraction(2) ** e <= v < Fraction(2) ** (e + 1) for v in finite)
    assert sum(bins.values()) == len(finite)
    assert data["others"] == {"zeros": [2], "infinities": [1], "nans": [1]}


@pytest.mark.parametrize("name", ["fp16", "e4m3", "e5m2", "e2m1"])
def test_shaded_regions_end_at_the_edges_of_the_format(name):
    x = np.exp2(np.random.default_rng(0).uniform(-40, 30, 1000))
    below = plots.plot_histogram(x, [name]).axes[1]
    regions = {p.get_gid(): (p.get_x(), p.get_x() + p.get_width()) for p in below.patches}
    edges = edges_of(name)
    low, high = below.get_xlim()
    expected = {"lost": (low, edges.lost), "subnormal": (edges.lost, edges.normal),
                "normal": (edges.normal, edges.overflow), "overflow": (edges.overflow, high)}  # fmt: skip
    assert regions.keys() == expected.keys()
    for region, ends in expected.items():
        assert regions[region] == pytest.approx(ends, abs=1e-12)


def test_a_histogram_of_zeros_has_nothing_to_draw():
    with pytest.raises(DataError, match="finite and not zero"):
        plots.plot_histogram([0.0, np.inf, np.nan])


# -- rounding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["e2m1", "e4m3", "binary5p3se", "e5m2"])
def test_every_stair_is_the_one_of_the_oracle(name):
    fmt = get_format(name)
    modes = [
        "nearest_even",
        "nearest_away",
        "nearest_zero",
        "to_odd",
        "toward_zero",
        "toward_positive",
        "toward_negative",
    ]
    data = plots.rounding_data(fmt, modes)
    for mode, x, rounded in zip(data["mode"], data["x"], data["rounded"], strict=True):
        value = reference.round(Fraction(float(x)), fmt, rounding=str(mode)).value
        assert Fraction(float(rounded)) == (Fraction(0) if value is Special.NEGATIVE_ZERO else value), (
            mode,
            x,
        )


@pytest.mark.parametrize("mode", ["stochastic", "stochastic_b", "stochastic_c"])
def test_a_probability_is_the_share_of_the_gap(mode):
    data = plots.rounding_data("e4m3", [mode], limits=(1.0, 1.5))
    assert np.isnan(data["rounded"][data["down"] < data["up"]]).all()
    for x, down, up, p in zip(data["x"], data["down"], data["up"], data["probability"], strict=True):
        if down < up:
            assert Fraction(p) == (Fraction(x) - Fraction(down)) / (Fraction(up) - Fraction(down))
        else:
            assert p == 0 and x == down
    ups = fl.quantize(np.full(4000, 1.03125), "e4m3", rounding=mode, rng=np.random.default_rng(0))
    assert abs(np.mean(ups == 1.125) - data["probability"][data["x"] == 1.03125][0]) < 0.03


def test_stairs_are_as_long_as_what_rounds_to_them():
    figure = plots.plot_rounding("e2m1", ["nearest_even", "toward_zero", "to_odd"], limits=(0.0, 1.5))

    def steps(axes):
        return {
            line.get_ydata()[0]: tuple(line.get_xdata())
            for line in axes.lines[1:-1]
            if len(line.get_xdata()) == 2
        }

    even, zero, odd = (steps(axes) for axes in figure.axes[:3])
    assert (
        even == {0.0: (0.0, 0.25), 0.5: (0.3125 - 1 / 32, 0.71875), 1.0: (0.75, 1.25), 1.5: (1.28125, 1.5)}
        or even
    )
    assert zero[0.5] == (0.5, 1.0) and zero[1.0] == (1.0, 1.5)
    assert odd[0.5] == (0.0, 1.0) and 1.0 not in odd


def test_ties_are_marked_on_the_side_where_they_go():
    figure = plots.plot_rounding("e2m1", ["nearest_even", "nearest_away"], limits=(0.0, 1.5))
    even, away = (axes.lines[-1].get_data() for axes in figure.axes[:2])
    assert list(zip(*even, strict=True)) == [(0.25, 0.0), (0.75, 1.0), (1.25, 1.0)]
    assert list(zip(*away, strict=True)) == [(0.25, 0.5), (0.75, 1.0), (1.25, 1.5)]


@pytest.mark.parametrize(
    "limits", [(1.0, 1.0), (2.0, 1.0), (1.0, np.inf), (-400.0, 400.0), "ab", (1.01, 1.02), 3]
)
def test_limits_hold_a_few_values(limits):
    with pytest.raises(OptionError, match="limits hold 2 to 129 values"):
        plots.plot_rounding("e4m3", limits=limits)


@pytest.mark.parametrize("modes", [[], ["nearest_evn"], "toward", [3]])
def test_modes_are_those_that_floatlab_knows(modes):
    with pytest.raises(OptionError, match="Got"):
        plots.rounding_data("e2m1", modes)


# -- accumulation --------------------------------------------------------------------------------------


def test_drift_is_measured_from_the_exact_sum():
    x = np.random.default_rng(1).random(200) - 0.3
    data = plots.accumulation_data(x, ["fp16", "kahan:bf16", "chunked:bf16:fp32:16", "exact"], points=9)
    for name, count, total, exact, error in zip(*data.values(), strict=True):
        truth = sum(Fraction(float(v)) for v in x[:count])
        assert exact == float(truth)
        assert total == float(fl.sum(x[:count], "float64", accumulator=str(name)))
        assert error == float(abs(Fraction(float(total)) - truth) / abs(truth))
    assert data["terms"].max() == 200


@pytest.mark.parametrize("name", ["fp16", "bf16", "e4m3", "fp32"])
def test_a_sum_in_sequence_goes_on_where_it_was(name):
    x = np.random.default_rng(2).normal(size=300)
    data = plots.accumulation_data(x, [name], points=30)
    for count, total in zip(data["terms"], data["sum"], strict=True):
        assert total == float(fl.sum(x[:count], "float64", accumulator=name))


def test_a_sum_that_overflows_ends_its_line_and_says_so():
    figure = plots.plot_accumulation(np.full(100, 100.0), ["e4m3", "fp32"])
    axes = figure.axes[0]
    assert any("becomes nan" in text.get_text() for text in axes.texts)
    assert np.isnan(axes.lines[0].get_ydata()).any() and "holds nan" in axes.get_title(loc="left")


def test_two_accumulators_of_one_format_have_its_colour_and_other_markers():
    lines = (
        plots.plot_accumulation(np.ones(9), ["bf16", "kahan:bf16", "pairwise:bf16", "fp32", "exact"])
        .axes[0]
        .lines
    )
    assert len({line.get_color() for line in lines[:3]}) == 1
    assert len({str(line.get_marker()) for line in lines}) == 5 and {
        line.get_linestyle() for line in lines
    } == {"-"}


@pytest.mark.parametrize(
    "options", [{"accumulators": []}, {"accumulators": ["fp61"]}, {"points": 1}, {"points": 2.5}]
)
def test_an_accumulation_that_cannot_be_is_an_error(options):
    with pytest.raises(OptionError, match="Got"):
        plots.plot_accumulation([1.0, 2.0], **options)


def test_an_infinite_term_is_an_error():
    with pytest.raises(DataError, match="Got 1 others"):
        plots.accumulation_data([1.0, np.inf])


# -- bits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fp64", "fp32", "fp16", "e4m3", "e2m1", "e8m0", "binary6p4ue"])
@pytest.mark.parametrize("x", [0.1, 3.0, 1e-40, 5e5])
def test_bits_are_those_of_the_code(name, x):
    fmt = get_format(name)
    row = {key: column[0] for key, column in plots.bit_data(x, name).items()}
    result = reference.round(Fraction(x), fmt, overflow=None if fmt.has_nan else "saturate")
    assert row["code"] == result.code
    bits = f"{result.code:0{fmt.bits}b}"
    assert row["sign"] + row["exponent"] + row["fraction"] == bits
    assert [len(row[key]) for key in ("sign", "exponent", "fraction")] == [
        int(fmt.signed), fmt.exponent_bits, fmt.mantissa_bits,
    ]  # fmt: skip
    if isinstance(result.value, Fraction):
        assert Fraction(float(row["value"])) == result.value
        assert row["relative_error"] == float((result.value - Fraction(x)) / Fraction(x))


def test_every_bit_has_the_colour_of_its_field_and_fractions_begin_in_line():
    axes = plots.plot_bits(0.1, ["fp32", "e4m3", "e2m1"]).axes[0]
    for row, fmt in enumerate(map(get_format, ["fp32", "e4m3", "e2m1"])):
        boxes = [p for p in axes.patches if p.get_y() < row < p.get_y() + p.get_height()]
        fields = [p.get_gid() for p in sorted(boxes, key=lambda p: p.get_x())]
        assert fields == ["sign"] + ["exponent"] * fmt.exponent_bits + ["fraction"] * fmt.mantissa_bits
        assert min(p.get_x() for p in boxes if p.get_gid() == "fraction") == 9


def test_a_page_of_bits_has_sixteen_rows():
    with pytest.raises(ShapeError, match="at most 16 rows"):
        plots.plot_bits(np.linspace(0, 1, 9), ["fp16", "bf16"])


# -- operations ----------------------------------------------------------------------------------------

OPERATIONS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("name", ["e2m1", "binary4p2se", "e2m2", "e3m1fnuz", "e2m2fn", "binary3p1ue"])
def test_every_pair_is_what_the_oracle_says(op, name):
    fmt = get_format(name)
    data = plots.operation_data(op, fmt)
    exactly = {"add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
               "divide": lambda a, b: a / b}[op]  # fmt: skip
    for a, b, result, exact, error, outcome in zip(*data.values(), strict=True):
        plain = all(math.isfinite(v) for v in (a, b)) and not (op == "divide" and b == 0)
        if not plain:
            assert outcome in ("nan", "infinite", "exact")
            continue
        options = {} if fmt.has_nan else {"overflow": "saturate"}
        expected = getattr(reference, op)(float(a), float(b), fmt, **options)
        if "invalid" in expected.flags:
            assert outcome == "nan"
            continue
        truth = exactly(Fraction(float(a)), Fraction(float(b)))
        assert exact == float(truth)
        if "overflow" in expected.flags:
            assert outcome == "overflow"
            continue
        value = Fraction(0) if expected.value is Special.NEGATIVE_ZERO else expected.value
        assert Fraction(float(result)) == value
        unit = Fraction(float(fl.ulp(float(truth), fmt)))
        assert error == float(abs(value - truth) / unit)
        kinds = {"exact": value == truth, "zero": value == 0 != truth, "tie": abs(value - truth) * 2 == unit}
        assert outcome == next((kind for kind, holds in kinds.items() if holds), "rounded")


def test_a_picture_has_a_dot_for_each_pair_and_the_legend_counts_them():
    from matplotlib.colors import to_rgb

    from floatlab.plots.colours import THEMES

    axes = plots.plot_operation("multiply", "e4m3").axes[0]
    data = plots.operation_data("multiply", "e4m3")
    picture = axes.images[0].get_array()
    n = picture.shape[0]
    assert n == 255 and len(data["a"]) == n * n  # 254 values with both zeros, and one NaN
    nan = (data["outcome"] == "nan").reshape(n, n)
    np.testing.assert_allclose(picture[nan], np.tile(to_rgb(THEMES[False].alarm), (nan.sum(), 1)))
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any(word.startswith(f"exact: {(data['outcome'] == 'exact').sum():,} ") for word in words)


def test_dividing_by_zero_is_infinite_where_there_is_an_infinity():
    data = plots.operation_data("divide", "e5m2")
    at = (data["a"] == 1) & (data["b"] == 0)
    assert set(data["outcome"][at]) == {"infinite"} and set(np.abs(data["result"][at])) == {np.inf}
    at = (data["a"] == 0) & (data["b"] == 0)
    assert set(data["outcome"][at]) == {"nan"}


@pytest.mark.parametrize(
    ("op", "fmt", "error"),
    [
        ("plus", "e2m1", OptionError),
        ("add", "fp16", FormatError),
        (None, "e2m1", OptionError),
        ("add", "fp61", FormatError),
    ],
)
def test_an_operation_that_cannot_be_drawn_is_an_error(op, fmt, error):
    with pytest.raises(error, match="Got"):
        plots.plot_operation(op, fmt)


# -- functions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sqrt", "reciprocal", "sigmoid"])
@pytest.mark.parametrize("fmt", ["e4m3", "e5m2", "e3m2", "binary8p3se"])
def test_functions_of_floatlab_are_right_for_all_inputs(name, fmt):
    data = plots.agreement_data(name, fmt)
    assert data["right"].all() and data["error"].max() <= 0.5 + 1e-9


def test_the_error_of_a_function_is_measured_in_units_of_the_result():
    data = plots.agreement_data(lambda x: x * x * x, "e4m3", exact=lambda x: x**3)
    for x, result, error, right in zip(data["x"], data["result"], data["error"], data["right"], strict=True):
        truth = Fraction(float(x)) ** 3
        expected = reference.round(truth, get_format("e4m3"))
        if "overflow" in expected.flags:
            assert error == (0 if math.isnan(result) else math.inf)
        elif math.isfinite(result):
            unit = Fraction(float(fl.ulp(float(truth), "e4m3")))
            assert error == pytest.approx(float(abs(Fraction(float(result)) - truth) / unit), rel=1e-9)
            assert right == (
                Fraction(float(result)) == (expected.value if isinstance(expected.value, Fraction) else 0)
            )
        else:
            assert error == math.inf and not right


def test_a_number_where_none_should_be_is_infinitely_wrong():
    data = plots.agreement_data(lambda x: np.zeros(x.shape), "e4m3", exact="log")
    assert np.isinf(data["error"][data["x"] < 0]).all() and not data["right"][data["x"] < 0].any()


def test_every_finite_input_is_there_once():
    for name in ("e4m3", "fp16"):
        fmt = get_format(name)
        x = plots.agreement_data("exp", name)["x"]
        assert len(np.unique(x)) == len(x) == 2 * (fmt.max_code + 1) - 1


def test_the_criterion_is_drawn_and_the_curve_ends_with_the_inputs():
    figure = plots.plot_agreement("sqrt", ["e4m3"])
    (axes,) = figure.axes  # there is no root of a negative number
    assert [
        line.get_ydata()[0] for line in axes.lines if line.get_xdata()[0] == 0 and len(line.get_xdata()) == 2
    ] == [-1]
    assert any("½ ulp" in text.get_text() for text in axes.texts)
    assert "correctly rounded for all" in axes.get_title(loc="left") + figure._suptitle.get_text()


def test_two_formats_of_one_name_are_two_formats():
    mine = fl.FloatFormat("float16", 4, 3)
    data = plots.agreement_data("exp", ["fp16", mine])
    assert len(set(data["format"])) == 2


@pytest.mark.parametrize(
    ("f", "options", "error"),
    [
        ("expo", {}, OptionError), (lambda x: x, {}, OptionError), (3, {}, OptionError),
        ("exp", {"formats": ["fp32"]}, FormatError), (lambda x: x[:3], {"exact": "exp"}, ShapeError),
        ("exp", {"exact": "expo"}, OptionError), ("exp", {"exact": lambda x: x[:3]}, ShapeError),
    ],
)  # fmt: skip
def test_a_comparison_that_says_nothing_is_an_error(f, options, error):
    with pytest.raises(error, match="Got"):
        plots.plot_agreement(f, **options)


def test_every_error_is_one_of_ours():
    assert issubclass(DataError, FloatlabError)
