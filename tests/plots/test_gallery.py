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


# Records of runs take minutes to make: those figures are in the README, and where an experiment writes them.
def test_every_chart_of_formats_and_numbers_is_in_the_gallery():
    first = {name: next(iter(inspect.signature(getattr(plots, name)).parameters)) for name in plots.__all__
             if name.startswith("plot_")}  # fmt: skip
    charts = {name for name, parameter in first.items() if parameter not in ("records", "reports", "panels")}
    assert {call.split("(")[0] for call, _ in make_gallery.CHARTS} == charts


def test_every_chart_has_a_size_and_a_dark_variant():
    charts = [name for name in plots.__all__ if name.startswith("plot_")]
    assert len(charts) > 20
    for name in charts:
        options = inspect.signature(getattr(plots, name)).parameters
        assert {"size", "dark", "title"} <= set(options), name
        assert options["title"].default is None, name  # the chart's own, from what it draws


def test_every_picture_is_there():
    page = make_gallery.page()
    pictures = sorted(path.name for path in (DOCS / "figures" / "gallery").glob("*.png"))
    assert len(pictures) == 14 and all(f"figures/gallery/{name})" in page for name in pictures)


def test_every_chart_has_a_twin_that_returns_its_data():
    for call, _ in make_gallery.CHARTS:
        assert callable(getattr(plots, make_gallery.twin_of(call.split("(")[0]).split(".")[-1]))
