"""The gallery shows every chart of formats and numbers, and its page is the one that its script writes."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path

from floatlab import plots

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
assert spec is not None and spec.loader is not None
make_gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_gallery)


def test_the_page_is_the_one_that_the_script_writes():
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == make_gallery.page()


# plot_sweep draws the records of an experiment, which takes minutes.
def test_every_chart_with_a_look_is_in_the_gallery():
    charts = {name for name in plots.__all__ if name.startswith("plot_")
              and "dark" in inspect.signature(getattr(plots, name)).parameters and name != "plot_sweep"}  # fmt: skip
    assert {call.split("(")[0] for call, _ in make_gallery.CHARTS} == charts


def test_every_picture_is_there():
    page = make_gallery.page()
    pictures = sorted(path.name for path in (DOCS / "figures" / "gallery").glob("*.png"))
    assert len(pictures) == 13 and all(f"figures/gallery/{name})" in page for name in pictures)


def test_every_chart_has_a_twin_that_returns_its_data():
    for call, _ in make_gallery.CHARTS:
        assert callable(getattr(plots, make_gallery.twin_of(call.split("(")[0]).split(".")[-1]))
