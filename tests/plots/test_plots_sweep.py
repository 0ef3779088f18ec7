"""A sweep: the regions that are shaded end between the settings, and a NaN is in no mean."""

import numpy as np
import pytest

from floatlab.errors import ExperimentError, OptionError
from floatlab.plots import plot_sweep
from floatlab.plots.colours import FORMATS


def ladder(seeds=3, **changes):
    """Return runs of the scales 1, 4, 16 ... 4096, of which those below 16 and the last fail."""
    return [
        {"scale": 4.0**k, "seed": s, "outcome": 0.9 + 0.01 * s if 1 < k < 6 else 0.1, "failed": not 1 < k < 6,
         "predicted_failure": k < 2, **changes}
        for k in range(7) for s in range(seeds)
    ]  # fmt: skip


def spans(axes):
    return [(p.get_x(), p.get_x() + p.get_width()) for p in axes.patches if p.get_gid() == "fails"]


def test_shaded_regions_end_in_the_middle_of_two_settings():
    axes = plot_sweep(ladder(), "scale").axes[0]
    np.testing.assert_allclose(spans(axes), [(0.5, 8.0), (2048.0, 8192.0)])
    line = axes.lines[0]
    np.testing.assert_allclose(line.get_ydata(), [0.1, 0.1, 0.91, 0.91, 0.91, 0.91, 0.1])
    assert line.get_xdata().tolist() == [4.0**k for k in range(7)]


def test_every_seed_is_a_point_and_what_fails_is_a_cross():
    axes = plot_sweep(ladder(), "scale").axes[0]
    dots, crosses = axes.lines[1:3]
    assert (dots.get_marker(), len(dots.get_xdata())) == ("o", 12)
    assert (crosses.get_marker(), len(crosses.get_xdata())) == ("X", 9)
    predicted = next(line for line in axes.lines if line.get_gid() == "predicted")
    assert predicted.get_xdata().tolist() == [1.0, 4.0]


def test_most_seeds_decide():
    records = ladder()
    records[6]["failed"] = True  # one of three at 16
    assert spans(plot_sweep(records, "scale").axes[0])[0][1] == 8.0
    records[7]["failed"] = True  # two of three
    assert spans(plot_sweep(records, "scale").axes[0])[0][1] == 32.0


def test_a_nan_is_in_no_mean_and_is_marked():
    records = ladder()
    records[6]["outcome"] = None
    axes = plot_sweep(records, "scale").axes[0]
    assert axes.lines[0].get_ydata()[2] == pytest.approx((0.91 + 0.92) / 2)
    assert next(line for line in axes.lines if line.get_gid() == "NaN").get_xdata().tolist() == [16.0]
    assert "NaN" in axes.get_xlabel()


def test_the_criterion_is_written_down_and_the_title_comes_from_the_data():
    axes = plot_sweep(ladder(), "scale", criterion="A run fails if it is slow.").axes[0]
    assert "A run fails if it is slow." in axes.get_xlabel()
    assert axes.get_title(loc="left") == "3 of 7 settings of scale fail"
    assert (
        plot_sweep(ladder(failed=False), "scale")
        .axes[0]
        .get_title(loc="left")
        .startswith("No setting of scale fails")
    )


@pytest.mark.parametrize(
    ("records", "options", "error"),
    [
        ([], {"x": "scale"}, ExperimentError), (ladder(), {"x": "scal"}, OptionError),
        (ladder(), {"x": "failed"}, OptionError),
        (ladder(scale=0.0), {"x": "scale"}, OptionError), (ladder(scale=None), {"x": "scale"}, OptionError),
        (ladder(), {"x": "scale", "y": "accuracy"}, OptionError), (ladder(), {"x": "scale", "base": 3}, OptionError),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_an_error(records, options, error):
    with pytest.raises(error, match="Got"):
        plot_sweep(records, **options)


def kinds():
    """Return measured runs at one rate, and what is predicted along it: bf16 fails below 1e-2."""
    measured = [
        {"run": run, "rate": 1e-3, "lost": lost + 0.01 * s, "failed": run == "bf16", "seed": s}
        for run, lost in (("fp32", 0.0), ("bf16", 0.9), ("bf16 stochastic", 0.8)) for s in range(3)
    ]  # fmt: skip
    predicted = [
        {"run": run, "rate": 10.0**-k, "lost": lost, "predicted_failure": run == "bf16" and k > 2}
        for run, lost in (("fp32", 0.0), ("bf16", 0.9), ("bf16 stochastic", 0.8)) for k in range(1, 6)
    ]  # fmt: skip
    return measured, predicted


def drawn(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def test_lines_are_what_was_predicted_and_points_what_was_measured():
    measured, predicted = kinds()
    axes = plot_sweep(measured, "rate", y="lost", by="run", base=10, predicted=predicted).axes[0]
    lines = drawn(axes, "line")
    assert [line.get_ydata().tolist() for line in lines] == [[0.0] * 5, [0.9] * 5, [0.8] * 5]
    np.testing.assert_allclose(lines[0].get_xdata(), [1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    points = [line for line in axes.lines if line.get_linestyle() == "None" and len(line.get_xdata())]
    np.testing.assert_allclose(
        [p.get_ydata() for p in points], [[0, 0.01, 0.02], [0.9, 0.91, 0.92], [0.8, 0.81, 0.82]]
    )
    assert [p.get_marker() for p in points] == ["o", "X", "v"]  # bf16 has failed


def test_the_band_is_where_a_line_is_predicted_to_fail():
    measured, predicted = kinds()
    (band,) = drawn(
        plot_sweep(measured, "rate", y="lost", by="run", base=10, predicted=predicted).axes[0], "band"
    )
    np.testing.assert_allclose(band.get_xdata()[~np.isnan(band.get_ydata())], [1e-5, 1e-4, 1e-3])


def test_a_line_has_the_colour_of_its_format_and_a_marker_of_its_own():
    measured, predicted = kinds()
    lines = drawn(
        plot_sweep(measured, "rate", y="lost", by="run", base=10, predicted=predicted).axes[0], "line"
    )
    assert [line.get_color() for line in lines] == [
        FORMATS[f].light for f in ("float32", "bfloat16", "bfloat16")
    ]
    assert len({line.get_marker() for line in lines}) == 3


def test_without_predictions_a_line_goes_through_the_means_of_its_seeds():
    measured, _ = kinds()
    axes = plot_sweep(measured, "rate", y="lost", by="run", base=10).axes[0]
    np.testing.assert_allclose([line.get_ydata()[0] for line in drawn(axes, "line")], [0.01, 0.91, 0.81])
    assert axes.get_title(loc="left") == "1 of 3 kinds of run fail somewhere: bf16"
    assert not spans(axes) and not drawn(axes, "band")


def test_settings_that_are_few_integers_are_numbered_themselves():
    rows = [{"bits": b, "outcome": 0.5} for b in (3, 4, 8, 11)]
    axes = plot_sweep(rows, "bits").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["3", "4", "8", "11"]


def test_a_field_of_lines_that_is_missing_is_an_error():
    with pytest.raises(OptionError, match="'run'"):
        plot_sweep(ladder(), "scale", by="run")
