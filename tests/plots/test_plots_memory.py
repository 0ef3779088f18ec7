"""Figures of memory: the length of every bar is its bytes."""

import pytest

from floatlab.errors import ExperimentError, OptionError

pytest.importorskip("matplotlib")

from floatlab.plots.figure import save
from floatlab.plots.memory import plot_memory


def row(kind, size, fmt="float32"):
    return {"layer": "0", "kind": kind, "what": "0.weight", "format": fmt, "elements": 1, "bytes": size}


REPORTS = {
    "fp32": [row("weights", 4096), row("state", 8192), row("weights", 1024)],
    "fp16": [row("weights", 2048, "float16"), row("master", 4096)],
}


def bars(figure):
    """Return (row, left, width) of every piece that is not empty."""
    pieces = [
        (round(p.get_y() + p.get_height() / 2), p.get_x(), p.get_width()) for p in figure.axes[0].patches
    ]
    return [piece for piece in pieces if piece[2] > 0]


def test_pieces_stand_one_after_the_other_and_sum_to_the_total():
    figure = plot_memory(REPORTS)
    assert sorted(bars(figure)) == [(0, 0.0, 5.0), (0, 5.0, 8.0), (1, 0.0, 2.0), (1, 2.0, 4.0)]
    assert figure.axes[0].get_xlabel() == "KiB"
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words.count("13") == 1 and words.count("6") == 1


def test_only_the_kinds_that_occur_are_named():
    legend = plot_memory(REPORTS).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["weights", "master", "state"]


def test_formats_come_largest_first():
    figure = plot_memory(REPORTS, by="format")
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["float32", "float16"]
    assert sorted(bars(figure)) == [(0, 0.0, 13.0), (1, 0.0, 4.0), (1, 4.0, 2.0)]


@pytest.mark.parametrize(
    ("size", "unit", "width"),
    [(1000, "bytes", 1000.0), (1024, "KiB", 1.0), (3 * 2**20, "MiB", 3.0), (5 * 2**30, "GiB", 5.0)],
)
def test_the_unit_fits_the_largest_bar(size, unit, width):
    figure = plot_memory({"one": [row("weights", size)]})
    assert figure.axes[0].get_xlabel() == unit and bars(figure) == [(0, 0.0, width)]


def test_a_title_stays_clear_of_the_legend(tmp_path):
    figure = plot_memory(REPORTS, title="A title")
    save(figure, tmp_path / "memory.png", dpi=60)
    figure.canvas.draw()
    legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.y1 < figure._suptitle.get_window_extent().y0


@pytest.mark.parametrize("reports", [{}, {"none": []}, {"zero": [row("weights", 0)]}])
def test_nothing_to_draw_is_an_error(reports):
    with pytest.raises(ExperimentError, match="measure"):
        plot_memory(reports)


def test_an_unknown_division_is_refused():
    with pytest.raises(OptionError, match="Got 'layr'"):
        plot_memory(REPORTS, by="layr")
