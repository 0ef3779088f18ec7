"""A sweep: the regions that are shaded end between the settings, and a NaN is in no mean."""

import numpy as np
import pytest

from floatlab.errors import ExperimentError, OptionError
from floatlab.plots import plot_sweep


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
