"""Figures of telemetry: what is drawn is what was recorded, and every label says so."""

import json
import sys

import numpy as np
import pytest

import floatlab as fl
from floatlab import nn
from floatlab.amp import autocast
from floatlab.autograd import Tensor
from floatlab.errors import ExperimentError, OptionError
from floatlab.formats import FloatFormat
from floatlab.optim import SGD
from floatlab.telemetry import watch

pytest.importorskip("matplotlib")

from floatlab.plots.colours import THEMES
from floatlab.plots.figure import save
from floatlab.plots.telemetry import plot_layers, plot_underflow
from floatlab.plots.updates import plot_lost_updates


def operation(**changes):
    row = {
        "kind": "operation", "step": 0, "phase": "backward", "layer": "0", "op": "linear", "of": "weight",
        "format": "float16", "calls": 1, "values": 100, "rounded": 100, "zeros": 0, "underflows": 0,
        "subnormals": 0, "overflows": 0, "saturations": 0, "infinities": 0, "nans": 0,
        "bins": [[-20, 60], [-19, 40]],
    }  # fmt: skip
    return row | changes


def update(**changes):
    row = {
        "kind": "update", "step": 0, "parameter": "0.weight", "format": "bfloat16", "updated_in": "bfloat16",
        "values": 10, "driven": 8, "lost": 6, "hidden": 0,
    }  # fmt: skip
    return row | changes


def texts(axis):
    return [text.get_text() for text in axis.texts]


def spans(axis):
    """Return the left and right ends of the shaded regions."""
    boxes = [patch.get_extents().transformed(axis.transData.inverted()) for patch in axis.patches]
    return [(round(box.x0, 6), round(box.x1, 6)) for box in boxes[:3]]


@pytest.fixture(scope="module")
def rows():
    model = nn.Sequential(nn.Linear(8, 8, rng=0), nn.ReLU(), nn.Linear(8, 4, rng=1))
    optimizer = SGD(model.parameters(), lr=1e-3)
    x = np.random.default_rng(0).normal(size=(16, 8))
    with watch(model, optimizer) as log:
        for _ in range(3):
            optimizer.zero_grad()
            with autocast("fp16"):
                loss = nn.functional.cross_entropy(model(Tensor(x)), np.zeros(16, int)) * 1e-4
            loss.backward()
            optimizer.step()
    return log.rows()


# -- layers --------------------------------------------------------------------------------------


def test_layers_stand_in_the_order_of_the_forward_pass(rows):
    figure = plot_layers(rows, phase="backward")
    assert [texts(axis)[0] for axis in figure.axes] == ["0", "2", "(no layer)"]


def test_a_layer_that_rounds_nothing_is_left_out(rows):
    names = [texts(axis)[0] for axis in plot_layers(rows, phase="forward").axes]
    assert "1" not in names and {"0", "2"} <= set(names)


def test_the_regions_end_where_the_format_does():
    bins = [[e, 5] for e in range(-30, 16)]
    figure = plot_layers([operation(bins=bins)])
    figure.canvas.draw()
    lost, subnormal, overflow = spans(figure.axes[0])
    assert (
        lost[1] == subnormal[0] == -25
        and subnormal[1] == -14
        and overflow[0] == round(float(np.log2(65520)), 6)
    )


def test_another_format_has_other_regions():
    figure = plot_layers([operation(format="float8_e5m2", bins=[[-18, 1], [-10, 1]])])
    figure.canvas.draw()
    lost, subnormal = spans(figure.axes[0])[:2]
    assert lost[1] == subnormal[0] == -17 and subnormal[1] == -14


def test_a_histogram_shows_every_step_and_operation_of_its_layer():
    figure = plot_layers([operation(), operation(step=1, op="cast", bins=[[-20, 20], [-18, 10]])])
    (stairs,) = [p for p in figure.axes[0].patches if type(p).__name__ == "StepPatch"]
    heights, edges, _ = stairs.get_data()
    assert edges.tolist() == [-20, -19, -18, -17]
    assert np.allclose(heights, [1.0, 0.5, 0.125])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"underflows": 25}, "25% become 0"),
        ({"overflows": 1}, "1% overflow"),
        ({"saturations": 50}, "50% saturate"),
        ({"values": 1000, "underflows": 1}, "<1% become 0"),
        ({"values": 1000, "underflows": 999}, ">99% become 0"),
        ({"underflows": 2, "overflows": 3}, "2% become 0\n3% overflow"),
        ({}, "none lost"),
    ],
)
def test_the_remark_says_what_was_lost(counts, expected):
    assert texts(plot_layers([operation(**counts)]).axes[0])[1] == expected


def test_the_narrowest_format_is_drawn_unless_another_is_named():
    records = [operation(layer="a"), operation(layer="b", format="float32")]
    assert texts(plot_layers(records).axes[0])[0] == "a"
    assert texts(plot_layers(records, format="fp32").axes[0])[0] == "b"


@pytest.mark.parametrize("records", [[], [operation(phase="forward")], [operation(bins=[])], [update()]])
def test_no_histogram_is_an_error(records):
    with pytest.raises(ExperimentError, match="backward"):
        plot_layers(records)
    with pytest.raises(ExperimentError, match="bfloat16"):
        plot_layers(records, format="bfloat16")


# -- over the steps ------------------------------------------------------------------------------


def test_the_share_of_zeros_is_that_of_the_rounded_results():
    records = [
        operation(underflows=10),
        operation(op="cast", underflows=30),  # 40 of 200
        operation(op="relu", rounded=0, values=1000),
        operation(step=1, underflows=100),
        operation(layer="", underflows=5),
    ]
    axis = plot_underflow(records).axes[0]
    drawn = {tuple(line.get_xdata()): line.get_ydata().tolist() for line in axis.lines}
    assert drawn == {(0, 1): [20.0, 100.0], (0,): [5.0]}
    assert {"0", "(no layer)"} == set(texts(axis))


def heat(figure):
    """Return the shares of a heat map, a row for each parameter, NaN where there is none."""
    return figure.axes[0].collections[0].get_array().filled(np.nan)


def test_lost_updates_are_a_share_of_those_that_had_a_reason_to_move():
    figure = plot_lost_updates(
        [update(), update(step=1, lost=2), update(step=2, driven=0, lost=0), operation()]
    )
    np.testing.assert_array_equal(heat(figure), [[75.0, 25.0, np.nan]])
    assert texts(figure.axes[0]) == ["50%"]  # 8 of 16, whatever the steps


def test_every_parameter_has_a_row_and_every_step_a_column():
    records = [
        update(parameter=f"p{i}", driven=10, lost=i, step=5 * s) for i in range(9) for s in range(3) if i != s
    ]
    figure = plot_lost_updates(records)
    expected = [[10.0 * i if i != s else np.nan for s in range(3)] for i in range(9)]
    np.testing.assert_array_equal(heat(figure), expected)
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == [f"p{i}" for i in range(9)]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "5", "10"]


def test_beyond_six_lines_the_smaller_ones_are_grey_and_counted():
    records = [operation(layer=f"p{i}", rounded=10, underflows=i, step=s) for i in range(9) for s in range(2)]
    axis = plot_underflow(records).axes[0]
    grey = [line for line in axis.lines if line.get_color() == THEMES[False].behind]
    assert len(axis.lines) == 9 and len(grey) == 3
    assert sorted(texts(axis)) == [f"p{i}" for i in range(3, 9)]
    assert "3 with smaller" in axis.get_xlabel()


def test_where_nothing_is_lost_the_figure_says_so():
    axis = plot_underflow([operation(), operation(layer="1")]).axes[0]
    assert texts(axis) == ["none in any step"] and axis.get_xlabel() == "step"


@pytest.mark.parametrize(("underflows", "top"), [(4, "5%"), (5, "5%"), (6, "10%"), (60, "100%")])
def test_the_axis_reaches_as_far_as_the_shares(underflows, top):
    axis = plot_underflow([operation(underflows=underflows)]).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()][-1] == top


def test_lines_without_records_are_an_error():
    with pytest.raises(ExperimentError, match="telemetry"):
        plot_underflow([update()])
    with pytest.raises(ExperimentError, match="telemetry"):
        plot_lost_updates([operation()])


# -- all of them ---------------------------------------------------------------------------------


def test_records_read_from_a_file_draw_the_same_figure(rows, tmp_path):
    read = json.loads(json.dumps(rows))
    for plot in (plot_layers, plot_underflow, plot_lost_updates):
        a = save(plot(rows, title="A title"), tmp_path / "a.png", dpi=60).read_bytes()
        b = save(plot(read, title="A title"), tmp_path / "b.png", dpi=60).read_bytes()
        assert a == b and len(a) > 5000


def test_pyplot_stays_out_of_it(rows):
    plot_layers(rows)
    assert "matplotlib.pyplot" not in sys.modules


def test_the_smallest_figure_is_one_layer_and_one_step(tmp_path):
    assert len(plot_layers([operation()]).axes) == 1
    save(plot_underflow([operation(underflows=3)]), tmp_path / "one.png", dpi=50)
    assert fl.get_format("fp16").emin == -14


def test_an_unknown_phase_is_refused_with_the_nearest():
    for plot in (plot_layers, plot_underflow):
        with pytest.raises(OptionError, match='Use "backward"'):
            plot([], phase="bakward")


MINE = FloatFormat("My format", 5, 6)
OTHER = FloatFormat("float16", 4, 3, specials="fn")


@pytest.mark.parametrize("fmt", [MINE, OTHER, FloatFormat("mine", 5, 10)], ids=str)
def test_layers_in_a_format_of_ones_own_are_drawn(fmt):
    model = nn.Sequential(nn.Linear(8, 4, rng=0)).to(fmt)
    with watch(model, SGD(model.parameters())) as log:
        model(Tensor(np.ones((2, 8)), format=fmt)).sum().backward()
    for chosen in (None, fmt, fmt.spec):
        assert len(plot_layers(log.rows(), format=chosen, phase="forward").axes) >= 1
    if fmt == OTHER:
        with pytest.raises(ExperimentError, match="format float16"):
            plot_layers(log.rows(), format="float16", phase="forward")


def test_an_older_record_with_a_name_alone_is_drawn_where_that_is_the_format():
    rows = [operation(format="mine"), operation()]
    assert len(plot_layers(rows, format=FloatFormat("mine", 5, 6)).axes) == 1
    assert len(plot_layers(rows, format="float16").axes) == 1
