"""One meaning per colour, and nothing that only a colour says: tested from the style, and from the axes."""

from __future__ import annotations

import textwrap
from itertools import combinations

import numpy as np
import pytest

from floatlab.formats import FloatFormat, formats, get_format
from floatlab.plots import plot_precision, plot_ranges, subplots
from floatlab.plots.colours import (
    BITS,
    FORMATS,
    REGIONS,
    THEMES,
    contrast,
    format_colour,
    format_styles,
    short_name,
)
from floatlab.plots.memory import _KINDS
from floatlab.plots.style import LINES, RUN_STYLES, SIZES, _balanced, plain_number

# What is often drawn together.
TOGETHER = (
    "float32", "tf32", "bfloat16", "float16", "float8_e5m2", "float8_e4m3fn", "float6_e3m2fn", "float6_e2m3fn",
    "float4_e2m1fn",
)  # fmt: skip

# G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, "A physiologically-based model for simulation of color vision
# deficiency", IEEE TVCG 15 (2009), 1291-1298: severity 1.0, on linear RGB.
EYES = {
    "all colours": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Return CIE 1976 L*a*b* of linear sRGB."""
    x = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(axis=1)
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_simulations_leave_grey_as_it_is():
    for eye in EYES.values():
        np.testing.assert_allclose(eye @ np.ones(3), np.ones(3), atol=2e-6)
    red, green = linear("#C00000"), linear("#6B6B00")
    seen = {name: np.linalg.norm(lab(eye @ red) - lab(eye @ green)) for name, eye in EYES.items()}
    assert seen["deuteranopia"] < seen["all colours"] / 2


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("eye", EYES)
def test_formats_that_are_drawn_together_are_told_apart_by_every_eye(eye, theme):
    seen = {name: lab(EYES[eye] @ linear(getattr(FORMATS[name], theme))) for name in TOGETHER}
    distances = {(a, b): np.linalg.norm(seen[a] - seen[b]) for a, b in combinations(TOGETHER, 2)}
    assert min(distances.values()) > 20, min(distances, key=distances.get)


@pytest.mark.parametrize("dark", [False, True])
def test_text_and_lines_have_a_contrast_of_four_and_a_half(dark):
    theme = THEMES[dark]
    inks = [theme.ink, theme.soft, theme.alarm, *(s.colour(theme) for s in (*FORMATS.values(), *LINES))]
    assert min(contrast(ink, theme.paper) for ink in inks) >= 4.5
    fills = [theme.region(name) for name in REGIONS] + [theme.bits(name) for name in BITS]
    assert min(contrast(theme.ink_on(fill), fill) for fill in fills) >= 4.5
    assert min(contrast(theme.ink, theme.region(name)) for name in REGIONS) >= 4.5
    kinds = [fills[dark] for fills in _KINDS.values()]
    assert min(contrast(theme.ink_on(fill), fill) for fill in kinds) >= 4.5


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#FFFFFF", "#000000") == contrast("#000000", "#FFFFFF") == 21
    assert contrast("#777777", "#FFFFFF") == pytest.approx(
        4.48, abs=0.005
    )  # the well-known grey that just fails


def test_every_format_has_a_colour_a_marker_and_a_hatch_of_its_own():
    assert set(FORMATS) == {fmt.name for fmt in formats()}
    for kind in ("light", "dark", "marker", "hatch"):
        values = [getattr(style, kind) for style in FORMATS.values()]
        assert len(set(values)) == len(values), kind


def test_no_colour_means_two_things():
    for dark in (0, 1):
        formats_ = [(s.light, s.dark)[dark] for s in (*FORMATS.values(), *LINES)]
        others = [fills[dark] for fills in (*REGIONS.values(), *BITS.values())]
        theme = THEMES[bool(dark)]
        everything = [*formats_, *others, theme.alarm, theme.soft, theme.grid, theme.behind]
        assert len(set(everything)) == len(everything)


def test_a_format_has_its_colour_under_every_name():
    assert format_colour("fp16") == format_colour("half") == format_colour(FloatFormat("mine", 5, 10))
    assert format_colour("e5m6") == format_colour(FloatFormat("another", 5, 6))


def test_formats_of_ones_own_share_no_marker_and_no_hatch():
    mine = [FloatFormat(f"mine{m}", 5, m) for m in range(3, 12)] + ["fp16", "bf16"]
    styles = format_styles(mine).values()
    for kind in ("marker", "hatch"):
        values = [getattr(style, kind) for style in styles]
        assert len(set(values)) == len(values), kind
    assert format_styles(mine)[get_format("fp16")] == FORMATS["float16"]


def test_lines_that_are_no_formats_differ_in_more_than_colour():
    for kind in ("light", "dark", "marker", "hatch"):
        assert len({getattr(style, kind) for style in LINES}) == len(LINES)


def test_runs_differ_in_dashes_or_marker():
    looks = {(style.solid, style.marker) for style in RUN_STYLES.values()}
    assert len(looks) == len(RUN_STYLES)


@pytest.mark.parametrize("dark", [False, True])
def test_no_two_series_of_one_axes_share_line_style_and_marker(dark):
    figure = plot_precision([fmt for fmt in formats() if fmt.bits < 17], dark=dark)
    for axes in figure.axes:
        looks = [(line.get_linestyle(), str(line.get_marker())) for line in axes.lines]
        assert len(set(looks)) == len(looks) > 10


@pytest.mark.parametrize("size", SIZES)
def test_sizes_are_those_of_a_slide(size):
    width, height = plot_ranges(["fp16"], size=size).get_size_inches()
    assert width / height == pytest.approx(16 / 9, abs=2e-3)
    assert width == pytest.approx({"full": 13.333, "half": 6.667}[size])


def test_letters_can_be_read_at_half_a_slide():
    from matplotlib.text import Text

    for size, least in (("full", 10), ("half", 6)):
        figure = plot_ranges(size=size)
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes) >= least


def test_dark_paper_is_dark_and_its_ink_is_light():
    figure = plot_ranges(["fp16"], dark=True)
    assert contrast("#FFFFFF", THEMES[True].paper) > 15
    assert figure.get_facecolor() == figure.axes[0].get_facecolor()


def test_a_chart_draws_into_axes_of_ones_own():
    figure, (left, right) = subplots(1, 2, dark=True)
    assert plot_ranges(["fp16"], ax=left, dark=True, title="Left") is figure
    assert left.get_title(loc="left") == "Left" and not right.lines


def test_a_chart_draws_into_axes_of_anybody():
    from matplotlib.figure import Figure

    figure = Figure()
    below = figure.subfigures(2, 1)[1]
    assert plot_ranges(["fp16"], ax=below.subplots()) is figure


def test_numbers_are_written_as_they_are_said():
    assert [plain_number(x) for x in (448.0, 0.1, -28.0, 1e-10, np.inf, 0.0, 1e6)] == [
        "448", "0.1", "-28", "1e-10", "inf", "0", "1e6",
    ]  # fmt: skip


def test_a_short_name_is_that_of_the_format_whatever_it_is_called():
    assert short_name("half") == "fp16" and short_name(FloatFormat("float16", 4, 3)) == "float16"


@pytest.mark.parametrize("letters", [20, 40, 80, 110])
def test_a_remark_of_several_lines_leaves_no_word_alone(letters):
    text = (
        "grey: fp32; line: geometric mean of 3 seeds, band: their range; scale: seed 0; "
        "×: gradients overflowed, step skipped"
    )
    lines = _balanced(text, letters)
    assert " ".join(lines) == text and max(map(len, lines)) <= letters
    assert len(lines) == len(textwrap.wrap(text, letters))  # as few as there were
    assert min(map(len, lines)) > letters // 3 and _balanced("short", letters) == ["short"]
