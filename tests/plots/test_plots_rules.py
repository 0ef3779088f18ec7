"""The chart of rules draws what `compare_rules` finds."""

from __future__ import annotations

import numpy as np
import pytest

import floatlab as fl
from floatlab import plots
from floatlab.errors import FormatError, ShapeError

X = [448.0, 100.0, 30.0, 0.0, -1.0]


def test_the_data_are_those_of_compare_rules():
    data, found = plots.rule_data(X, "mxfp4"), fl.compare_rules(X, "mxfp4")
    assert data["rule"] == [one.rule for one in found]
    assert data["scale"].tolist() == [one.scale for one in found]
    for values, error, one in zip(data["values"], data["error"], found, strict=True):
        assert values.tolist() == fl.quantize(X, "mxfp4", rule=one.rule).tolist()
        assert error.tolist() == (values - X).tolist()
    for fate, one in zip(data["fate"], found, strict=True):
        assert np.count_nonzero(fate == "saturated") == one.counts.saturated
        assert np.count_nonzero(fate == "zero") == one.counts.flushed
    assert data["fate"][0].tolist() == ["saturated", "rounded", "rounded", "rounded", "zero"]


@pytest.mark.parametrize("fmt", ["mxfp8_e5m2", "nvfp4", "fp8_128x128", "int4:4"])
def test_every_rule_stands_in_the_row_that_has_its_errors(fmt):
    figure, data = plots.plot_rules(X, fmt), plots.rule_data(X, fmt)
    rows = {}
    for axes in figure.axes:
        names = axes.get_title(loc="left").split("   ")[0].split(" = ")
        errors = tuple(segment[1][1] for segment in axes.collections[0].get_segments())
        rows |= dict.fromkeys(names, errors)
    assert rows == {
        name: tuple(error.tolist()) for name, error in zip(data["rule"], data["error"], strict=True)
    }


def test_rules_that_agree_share_a_row():
    titles = [axes.get_title(loc="left") for axes in plots.plot_rules(X, "mxfp4").axes]
    assert [title.split("   ")[0] for title in titles] == ["floor = nearest", "ceil = even = rceil"]


def test_marks_stand_where_numbers_saturate_or_vanish():
    axes = plots.plot_rules(X, "mxfp4").axes[0]
    marks = {line.get_label(): line.get_xdata().tolist() for line in axes.lines[:2]}
    assert marks == {"saturated": [0], "zero": [4]}


def test_a_lost_block_has_no_errors_and_the_title_says_so():
    figure = plots.plot_rules([np.inf, 1.0], "mxfp4")
    assert "lost by every rule" in figure._suptitle.get_text()


def test_too_many_numbers_and_formats_of_single_numbers_are_refused():
    with pytest.raises(ShapeError, match="256"):
        plots.plot_rules(np.ones(257), "mxfp4")
    with pytest.raises(FormatError):
        plots.plot_rules(X, "e4m3")
