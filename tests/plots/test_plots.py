"""Figures say in words what they show, draw what they were given, and are the same every time."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from floatlab import plots
from floatlab.errors import ExperimentError, ShapeError
from floatlab.formats import formats, get_format
from floatlab.plots.colours import FORMATS
from floatlab.plots.edges import format_regions
from floatlab.plots.style import RUN_STYLES, power_of_ten, spread
from floatlab.rounding.quantize import quantize

PANELS = {
    "loss weight 1": {"of outputs": ([-12, -11, -10], [1, 5, 2]), "of weights": ([-11, -10], [3, 4])},
    "loss weight 1e-6": {"of outputs": ([-32, -31], [1, 5]), "of weights": ([-30], [4])},
}


def record(run="fp16", weight=1.0, seed=0, scaling="none", losses=(2.0, 1.0, 0.5), accuracy=0.9, **more):
    return {
        "run": run, "loss_weight": weight, "seed": seed, "loss_scaling": scaling, "epoch_losses": list(losses),
        "test_accuracy": accuracy, "steps": 6, "steps_per_epoch": 2, "scale_changes": [[0, 8.0], [3, 16.0]],
        "overflow_steps": [], **more,
    }  # fmt: skip


def words(figure: Figure) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("fmt", [f for f in formats() if f.signed], ids=str)
def test_regions_are_where_rounding_says_they_are(fmt):
    lost, normal, overflow = (float(np.exp2(e)) if e < 1024 else np.inf for e in format_regions(fmt))
    assert quantize(lost, fmt) == 0 and quantize(np.nextafter(lost, np.inf), fmt) == fmt.smallest_subnormal
    assert normal == fmt.smallest_normal
    assert fmt.max < overflow <= 2 * fmt.max
    if fmt.name != "float64":  # whose threshold is no float64
        overflows = quantize([overflow * (1 - 2.0**-40), overflow * (1 + 2.0**-40)], fmt, return_flags=True)[
            1
        ].overflow
        assert overflows.tolist() == [False, True]


def test_a_gradient_figure_names_regions_formats_and_panels():
    text = words(plots.plot_gradients(PANELS, notes={"loss weight 1": "nothing is lost"}))
    for part in (
        "lost: rounds to 0",
        "subnormal",
        "normal",
        "fp16",
        "fp8 E5M2",
        "bf16",
        *PANELS,
        "nothing is lost",
    ):
        assert part in text


def test_a_histogram_is_drawn_as_shares_of_its_own_total():
    figure = plots.plot_gradients(PANELS)
    values = [patch.get_data().values for patch in figure.axes[0].patches if hasattr(patch, "get_data")]
    np.testing.assert_allclose(values[0], np.array([1, 5, 2]) / 8)
    np.testing.assert_allclose(values[1], np.array([3, 4]) / 7)


def test_a_histogram_of_nothing_can_be_drawn():
    plots.plot_gradients({"empty": {"of outputs": ([], [])}}).canvas.draw()


def test_a_histogram_with_unequal_parts_is_an_error():
    with pytest.raises(ShapeError, match=r"\(2,\) and \(1,\)"):
        plots.plot_gradients({"x": {"y": ([1, 2], [3])}})


def test_training_curves_are_geometric_means_over_seeds():
    records = [record(seed=0, losses=(4.0, 1.0)), record(seed=1, losses=(1.0, 0.25))]
    figure = plots.plot_training(records)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [2.0, 0.5])


def test_a_curve_ends_where_the_loss_is_not_a_number():
    figure = plots.plot_training([record(losses=(2.0, 1.0, None, float("nan")))])
    assert list(figure.axes[0].lines[0].get_xdata()) == [1, 2]


def test_the_scale_is_drawn_step_by_step_and_overflows_are_marked():
    figure = plots.plot_training([record("fp16 dynamic", scaling="dynamic", overflow_steps=[4])])
    line, marks = figure.axes[1].lines
    assert list(line.get_ydata()) == [8, 8, 8, 16, 16, 16]
    assert list(marks.get_ydata()) == [16] and list(marks.get_xdata()) == [2.25]
    assert "overflow" in words(figure)


def test_a_column_for_each_loss_weight_and_a_label_for_each_run():
    records = [record(run, weight) for run in RUN_STYLES for weight in (1.0, 1e-6)]
    figure = plots.plot_training(records, title="What happened")
    text = words(figure)
    for part in ("loss weight 1", "loss weight $10^{-6}$", "What happened", *RUN_STYLES):
        assert part in text


def test_the_cliff_figure_draws_means_and_predictions():
    records = [record(weight=w, seed=s, accuracy=a) for w, a in ((1.0, 0.9), (1e-6, 0.1)) for s in (0, 1)]
    records += [record(weight=1.0, seed=2, accuracy=0.6), record(weight=1e-6, seed=2, accuracy=0.1)]
    figure = plots.plot_cliff(records, predicted={"fp16": 2e-5, "bf16": 1e-38}, title="Cliffs")
    curve, *_, cliff = figure.axes[0].lines
    np.testing.assert_allclose(curve.get_ydata(), [80, 80, 10, 10])
    np.testing.assert_allclose(
        curve.get_xdata(), [1, 1e-3, 1e-3, 1e-6]
    )  # a step in the middle of a logarithmic axis
    assert list(cliff.get_xdata()) == [2e-5, 2e-5]
    assert "predicted\nfor fp16" in words(figure) and "predicted\nfor bf16" not in words(figure)


@pytest.mark.parametrize(
    "nan", [{"losses": (2.0, None)}, {"losses": (2.0, float("nan"))}, {"accuracy": None}]
)
def test_a_nan_is_drawn_as_one_and_never_as_an_accuracy(nan):
    records = [record(weight=w, seed=s, accuracy=0.9) for w in (1.0, 1e-3) for s in (0, 1)]
    records += [record(weight=1e-6, seed=s, **({"accuracy": 0.1} | nan)) for s in (0, 1)]
    axes = plots.plot_cliff(records).axes[0]
    drawn = axes.lines[0].get_ydata()
    assert np.isnan(drawn[-2:]).all() and set(drawn[:-2]) == {90.0}
    assert "NaN" in [label.get_text() for label in axes.get_yticklabels()]
    assert sum(list(line.get_ydata()) == [-7.0] for line in axes.lines) == 1
    mixed = plots.plot_cliff([*records[:-1], record(weight=1e-6, seed=1, accuracy=0.8)]).axes[0]
    assert mixed.lines[0].get_ydata()[-1] == 80.0  # of the seed that has one


def test_what_fails_has_an_open_marker_and_the_criterion_is_written_down():
    records = [record(weight=w, accuracy=a, failed=a < 0.5) for w, a in ((1.0, 0.9), (1e-6, 0.1))]
    figure = plots.plot_cliff(records, criterion="A run fails if it is slow.")
    fills = [line.get_markerfacecolor() for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert fills == [FORMATS["float16"].light, "#FFFFFF"]
    assert "A run fails if it is slow." in words(figure) and "open: fails" in words(figure)


def test_every_run_has_a_panel_with_fp32_in_grey_behind_it():
    records = [record(run, 1.0, seed=s, losses=losses) for run, losses in (("fp32", (2.0, 0.5)), ("bf16", (2.0, 1.0)))
               for s in (0, 1)]  # fmt: skip
    figure = plots.plot_training(records)
    own, behind = figure.axes[0].lines
    assert own.get_ydata().tolist() == [2.0, 1.0] and behind.get_ydata().tolist() == [2.0, 0.5]
    assert len(figure.axes) == 2 and own.get_zorder() > behind.get_zorder()
    assert "grey: fp32" in words(figure) and "2 seeds" in words(figure)


def test_the_figure_says_whose_scale_it_shows_and_who_has_become_nan():
    records = [
        record("fp16 dynamic", scaling="dynamic", seed=s, losses=(2.0, x)) for s, x in ((3, None), (5, 1.0))
    ]
    text = words(plots.plot_training(records))
    assert "scale: seed 3" in text and "NaN: 1 of 2 seeds" in text


@pytest.mark.parametrize("draw", [plots.plot_training, plots.plot_cliff, plots.plot_experiment])
def test_a_figure_of_no_runs_is_an_error(draw):
    options = {"outcome": "accuracy"} if draw is plots.plot_experiment else {}
    with pytest.raises(ExperimentError, match="Run"):
        draw([], **options)


def test_the_same_figure_has_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        plots.save(plots.plot_gradients(PANELS), tmp_path / name)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_labels_keep_their_distance_and_move_as_little_as_possible():
    places = spread([0.1, 0.11, 0.12, 0.5, 0.9], 0.07)
    assert all(b - a >= 0.07 - 1e-12 for a, b in pairwise(places))
    np.testing.assert_allclose(places, [0.04, 0.11, 0.18, 0.5, 0.9])


def test_powers_of_ten_are_written_as_such():
    assert [power_of_ten(x) for x in (1.0, 0.1, 1e-6, 3e-6, 100.0)] == [
        "1",
        "0.1",
        "$10^{-6}$",
        "3e-06",
        "$10^{2}$",
    ]


def test_a_run_has_the_colour_of_its_format_and_dashes_where_the_loss_is_scaled():
    formats_of = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "fp8": "float8_e5m2"}
    for name, style in RUN_STYLES.items():
        home = FORMATS[formats_of[name.split()[0]]]
        assert (style.light, style.dark) == (home.light, home.dark)
        assert style.solid == (" " not in name)
    looks = [(s.light, s.solid, s.marker) for s in RUN_STYLES.values()]
    assert len(set(looks)) == len(looks)


def test_a_figure_of_no_gradients_is_an_error():
    for nothing in ({}, {"a panel": {}}):
        with pytest.raises(ShapeError, match="Got none"):
            plots.plot_gradients(nothing)


def test_nothing_touches_the_global_state_of_pyplot():
    code = "import sys; from floatlab import plots; plots.plot_cliff([dict(run='a', loss_weight=1, test_accuracy=1)])"
    code += "; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_floatlab_does_not_import_matplotlib():
    code = "import sys, floatlab; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_formats_of_a_figure_can_be_any():
    assert "E3M4" in words(plots.plot_gradients(PANELS, formats=["e3m4", get_format("fp16")]))


def test_an_experiment_shows_every_seed_and_says_what_came_true():
    runs = [("fp32", 0.9, 0.0, False), ("fp16", 0.1, 1.0, True), ("fp8", None, 1.0, True)]
    records = [
        {"run": run, "outcome": x, "expected": share, "found": share, "predicted_failure": bad, "failed": bad}
        for run, x, share, bad in runs
        for seed in range(3)
    ]
    records[0]["failed"] = True
    figure = plots.plot_experiment(
        records,
        outcome="test accuracy",
        expected="lost",
        title="What happened",
        criterion="A run fails if it does.",
    )
    text = words(figure)
    for part in (
        "What happened", "A run fails if it does.", "test accuracy", "lost", "fp16",
        "predicted: learns   came out: fails 1/3",
        "predicted: fails   came out: fails", "predicted: fails   came out: fails (NaN)",
    ):  # fmt: skip
        assert part in text
    assert len(figure.axes[1].lines) == 6  # three seeds of two runs; a NaN has no place


def test_a_prediction_is_drawn_beside_what_was_measured_for_every_seed():
    records = [
        {"run": "fp16", "outcome": 0.1, "expected": e, "found": f, "predicted_failure": True, "failed": True}
        for e, f in ((0.2, 0.9), (0.9, 0.2), (0.5, None))
    ]
    left = plots.plot_experiment(records, criterion="A run fails if it is slow.").axes[0]
    rings = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    strokes = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "|"]
    pairs = [
        list(line.get_xdata())
        for line in left.lines
        if line.get_linestyle() == "-" and len(line.get_xdata()) == 2
    ]
    assert rings == [0.2, 0.9, 0.5] and strokes == [0.9, 0.2] and pairs == [[0.2, 0.9], [0.9, 0.2]]
    assert "A run fails if it is slow." in words(left.figure)


def test_a_run_without_an_answer_is_a_ring_and_neither_right_nor_wrong():
    record = {
        "run": "fp16",
        "seed": 0,
        "outcome": 0.5,
        "predicted_failure": True,
        "expected": 0.9,
        "found": 0.9,
    }
    records = [record | {"failed": True}, record | {"failed": None, "outcome": 0.1, "seed": 1}]
    axes = plots.plot_experiment(records).axes
    said = [text.get_text() for axis in axes for text in (*axis.texts, axis.title)]
    assert any("predicted: fails   came out: fails" in text for text in said)
    rings = [line for axis in axes for line in axis.lines if line.get_markerfacecolor() == "none"]
    assert any(0.1 in np.asarray(line.get_xdata(), float) for line in rings)
