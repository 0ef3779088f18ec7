"""A figure shows itself, stays out of pyplot, and is written only where its type is known."""

from __future__ import annotations

import base64
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.text import Text

from floatlab import plots
from floatlab.errors import DataError, OptionError
from floatlab.plots.figure import Figure, file_type

CALLS = {name: getattr(plots, name) for name in plots.__all__ if name.startswith("plot_")}
PLAIN = {
    "plot_quantization": "plots.plot_quantization([0.1, 0.2, 3.0], 'e4m3')",
    "plot_rules": "plots.plot_rules([448.0, 100.0, 30.0, 1.0], 'mxfp4')",
    "plot_histogram": "plots.plot_histogram([0.1, 1e-9, 3.0])",
    "plot_cliff": "plots.plot_cliff([RUN])",
    "plot_training": "plots.plot_training([RUN])",
    "plot_experiment": "plots.plot_experiment([RUN])",
    "plot_gradients": "plots.plot_gradients({'a': {'b': ([-3, -2], [1, 2])}})",
    "plot_sweep": "plots.plot_sweep([RUN], 'loss_weight')",
    "plot_memory": "plots.plot_memory({'a': [dict(kind='weights', bytes=4, format='float32')]})",
    "plot_layers": "plots.plot_layers([OPERATION])",
    "plot_underflow": "plots.plot_underflow([OPERATION])",
    "plot_lost_updates": "plots.plot_lost_updates([UPDATE])",
}
SETUP = """
from floatlab import plots
RUN = dict(run="fp16", loss_weight=1.0, test_accuracy=0.9, seed=0, epoch_losses=[1.0, 0.5], loss_scaling="none",
           steps=2, steps_per_epoch=1, scale_changes=[], overflow_steps=[], outcome=0.9, failed=False,
           predicted_failure=False, expected=0.0, found=0.0)
OPERATION = dict(kind="operation", step=0, phase="backward", layer="0", op="linear", of="weight", format="float16",
                 calls=1, values=9, rounded=9, zeros=0, underflows=1, subnormals=0, overflows=0, saturations=0,
                 infinities=0, nans=0, bins=[[-20, 6], [-19, 3]])
UPDATE = dict(kind="update", step=0, parameter="w", format="bfloat16", updated_in="bfloat16", values=10, driven=8,
              lost=6, hidden=0)
"""


def call(name: str) -> str:
    """Return a call of a function of `plots` that needs no more than `SETUP`."""
    return PLAIN.get(name, f"plots.{name}()")


def test_a_figure_is_a_picture_in_two_ways():
    figure = plots.plot_ranges(["fp16"])
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG") and figure.svg()._repr_svg_().startswith("<?xml")
    assert str(figure.svg()) == figure.svg() == plots.plot_ranges(["fp16"]).svg()
    assert repr(figure) == "<Figure of 13.333 x 7.5 inches, 1 panel>"
    assert len(repr(figure.svg())) < 40


def test_a_figure_says_in_words_what_it_shows():
    figure, axes = plots.subplots(size="half")
    axes.set(title="Loss", xlabel="step")
    axes.plot([0, 1, 9], [2.3, 9.0, 0.5], label="fp16")
    axes.plot([0, 9], [np.nan, 0.25], label="fp8")
    axes.text(0, 1, "$2^{-14}$")
    assert figure.alt() == (
        "Chart: Loss. Across: step, 0 to 8. Up: 0 to 8. fp16: from 2.3 to 0.5. fp8: 0.25. Labels: 2^-14."
    )
    axes.set_title("Another")  # from what is drawn when it is asked
    assert figure.alt().startswith("Chart: Another. ")
    assert plots.subplots(size="half")[0].alt()


def test_the_words_say_the_exponents_of_an_axis_as_powers_and_name_every_panel():
    said = plots.plot_precision(["fp16"]).alt()
    assert said.startswith("Chart of 2 panels: ") and "Panel 2: Largest relative error" in said
    assert "fp16: from 2^-24 to 2^5." in said


def test_the_words_stand_beside_the_picture_in_a_notebook_and_in_svg():
    figure = plots.plot_ranges(["fp16"])
    data, metadata = figure._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]) == figure._repr_png_() and data["text/plain"] == repr(figure)
    assert metadata == {"image/png": {"alt": figure.alt()}}
    assert f"<title>{figure.alt()}</title>" in figure.svg()


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_chart_has_words_of_its_own(name):
    names: dict = {}
    exec(f"{SETUP}figure = {call(name)}", names)
    figure = names["figure"]
    said, title = figure.alt(), plain(figure.get_suptitle() or figure.axes[0].get_title("left"))
    assert 30 < len(said) < 2000 and title in said and (title or name == "plot_memory")
    assert not any(mark in said for mark in "${}\\\n")


def plain(text: str) -> str:
    """Return a title as it is read out."""
    return " ".join(text.replace("$", "").replace("{", "").replace("}", "").split()).rstrip(".:")


def test_what_a_user_sets_for_matplotlib_does_not_change_a_figure():
    import matplotlib as mpl

    expected = plots.plot_ranges(["fp16"])._repr_png_()
    with mpl.rc_context({"font.size": 30, "font.family": "monospace", "axes.grid": False, "figure.dpi": 20}):
        assert plots.plot_ranges(["fp16"])._repr_png_() == expected


@pytest.mark.parametrize("name", ["a.pgn", "a", "a.docx", "a.png.zip"])
def test_an_unknown_type_is_refused_before_anything_is_drawn(name, tmp_path):
    figure = plots.plot_ranges(["fp16"])
    figure.draw = None  # nothing may call it
    with pytest.raises(OptionError, match=r"Use \".*\.\w+\"\.$"):
        plots.save(figure, tmp_path / "folder" / name)
    assert not (tmp_path / "folder").exists()


def test_what_is_no_figure_is_not_saved(tmp_path):
    with pytest.raises(OptionError, match="Got a str"):
        plots.save("figure", tmp_path / "a.png")


def test_a_place_without_room_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Use another place"):
        plots.save(plots.plot_ranges(["fp16"]), tmp_path / "file" / "a.png")


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_figure_has_the_same_bytes_in_every_type(kind, tmp_path):
    for name in "ab":
        plots.save(plots.plot_codes("e2m1"), tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_the_end_of_a_name_may_have_capitals():
    assert file_type("A.B.PDF") == "pdf"


def test_nothing_is_left_open():
    code = f"{SETUP}\nimport sys\n"
    code += "\n".join(f"{call(name)}._repr_png_()" for name in ("plot_ranges", "plot_cliff"))
    code += "\nassert 'matplotlib.pyplot' not in sys.modules\n"
    code += "import matplotlib; matplotlib.use('agg'); from matplotlib import pyplot; assert not pyplot.get_fignums()"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_chart_shows_one_image_in_a_clean_kernel():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [SETUP, *map(call, CALLS), "plots.plot_ranges().svg()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    # This Python, whichever kernels are installed for others.
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "python3"}
    nbclient.NotebookClient(notebook, timeout=300).execute()
    shown = [[kind for output in cell.outputs for kind in output.get("data", {}) if kind.startswith("image/")]
             for cell in notebook.cells]  # fmt: skip
    assert shown[0] == []
    wrong = [name for name, kinds in zip(CALLS, shown[1:-1], strict=True) if kinds != ["image/png"]]
    assert wrong == []
    assert shown[-1] == ["image/svg+xml"]
    assert all(output.output_type != "stream" for cell in notebook.cells for output in cell.outputs)


@pytest.mark.parametrize("name", CALLS)
def test_no_word_is_cut_off_in_either_size(name):
    scope: dict = {}
    exec(SETUP, scope)
    for size, dark in (("full", False), ("half", True)):
        options = f"size={size!r}, dark={dark}"
        figure = eval(call(name).replace("()", "(*[])")[:-1] + f", {options})", scope)
        figure.draw_without_rendering()
        room, hidden = figure.get_window_extent(), _out_of_view(figure)
        for text in figure.findobj(Text):
            shown = text.get_visible() and (text.axes is None or text.axes.get_visible())
            if shown and text.get_text().strip() and text.get_text() not in hidden:
                box = text.get_window_extent()
                if np.isfinite(box.extents).all():
                    assert box.x1 <= room.x1 + 2 and box.x0 >= room.x0 - 2, (size, text.get_text())


def _out_of_view(figure) -> set[str]:
    """Return tick labels that an axis has, but does not show."""
    hidden = set()
    for axes in figure.axes:
        for axis, (low, high) in (
            (axes.xaxis, sorted(axes.get_xlim())),
            (axes.yaxis, sorted(axes.get_ylim())),
        ):
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high or not tick.label1.get_visible():
                    hidden.add(tick.label1.get_text())
    return hidden
