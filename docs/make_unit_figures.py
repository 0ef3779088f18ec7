"""Draw the figures of docs/units.md: one block of a matrix unit, and what the experiments of units have found.

python docs/make_unit_figures.py            some minutes, most of them for the rare class; goes on where it stopped

With --look FOLDER it writes there, instead, every figure at full and at half size, on white and on dark paper.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import floatlab as fl
from floatlab import plots
from floatlab.experiments import counting, long_sums, one_dot_product, registry, same_seed
from floatlab.experiments.one_dot_product import Case
from floatlab.plots.style import LINES, Canvas, canvas, label_lines, row_names, series_styles, tidy

DOCS = Path(__file__).parent
PICTURES = DOCS / "figures" / "units"
SEEDS = (21, 22, 23)  # on which no prediction was looked at
SHOWN = (  # of each way of adding one
    ("v100", "fp16"), ("a100", "fp16"), ("h100", "fp16"), ("h100", "e5m2"), ("b200", "e5m2"), ("mi100", "fp16"),
    ("mi250", "fp16"), ("mi300", "fp16"), ("mi300", "e5m2fnuz"), ("avx512_bf16", "bf16"), ("amx_bf16", "bf16"),
    ("arm_bf16", "bf16"), ("arm_ebf16", "bf16"),
)  # fmt: skip


# -- one block -------------------------------------------------------------------------------------------

A, B, C = (-7.5, 1.875, 0.8125, 0.109375), (11.0, 0.9375, 0.203125, 0.0390625), 97.2890625
HIGH, LOW = 7, -16  # the places that are shown
NAMES = ("c", "a0 b0", "a1 b1", "a2 b2", "a3 b3")


def block_of_terms() -> tuple[list[float], int, int, float]:
    """Return the terms of one block, the largest exponent, the place of the last bit that is kept, and the result.

    >>> terms, largest, place, result = block_of_terms()
    >>> len(terms), largest, place, result
    (5, 6, -7, 16.7109375)
    """
    terms = [C, *(a * b for a, b in zip(A, B, strict=True))]
    bits = fl.get_unit("h100").instructions[-1].fraction_bits
    largest = max(math.frexp(x)[1] - 1 for x in terms)
    operands = [[list(A)], [[b] for b in B]]
    result = fl.matmul(*operands, "fp32", bias=[[C]], unit="h100", bias_first=True, formats=("e4m3", "e4m3"))
    return terms, largest, largest - bits, float(result[0, 0])


def draw_block(**look: Any) -> Any:
    """Draw the terms of one block, bit by bit: what lies beyond the cut is lost, the rest is added exactly."""
    terms, largest, place, result = block_of_terms()
    kept = [math.trunc(x / 2.0**place) * 2.0**place for x in terms]
    rows = [*zip(NAMES, terms, kept, strict=True), ("sum", sum(kept), sum(kept)), ("d", result, result)]
    with canvas(**look) as made:
        axes, theme = made.axes, made.theme
        for row, (_, value, left) in enumerate(rows):
            _draw_bits(made, row, value, place)
            if row < len(terms):
                lost = f"{left:.10g}".replace("-", "−") + ("" if left == value else "  (cut)")
            else:
                lost = f"{left:.10g}".replace("-", "−")
            axes.text(LOW - 0.9, row, lost, va="center", ha="left", color=theme.ink, fontsize=0.8 * made.font)
        axes.plot([place - 0.5] * 2, [-0.9, len(terms) - 0.4], color=theme.alarm, lw=0.16 * made.font)
        axes.text(place - 0.6, -0.95, "cut", color=theme.alarm, va="bottom", ha="left", fontsize=made.font)
        axes.annotate(
            "",
            (place - 0.4, -0.75),
            (largest + 0.4, -0.75),
            arrowprops={"arrowstyle": "<->", "color": theme.soft},
        )
        axes.text((largest + place) / 2, -0.95, f"E = {largest}, and F = {largest - place} bits below it", ha="center",
                  va="bottom", color=theme.soft, fontsize=0.9 * made.font)  # fmt: skip
        axes.axhline(len(terms) - 0.5, color=theme.soft, lw=1)
        axes.set_xlim(HIGH + 0.7, LOW - 5.5)
        row_names(axes, [name for name, *_ in rows], theme)
        axes.set_ylim(len(rows) - 0.4, -1.6)
        ticks = range(HIGH - 1, LOW, -4)
        axes.set_xticks(ticks, [f"$2^{{{k}}}$" for k in ticks])
        axes.spines["bottom"].set_visible(False)
        axes.set_xlabel("place of the bit; beside it what is left of the term")
        title = f"One block of an H100's fp8 unit: {sum(terms):.7g} becomes {result:.7g}"
        return made.finish(None, title)


def _draw_bits(made: Canvas, row: int, value: float, place: int) -> None:
    theme, size = made.theme, made.font
    made.axes.text(HIGH + 0.3, row, "−" if value < 0 else "+", ha="center", va="center", fontsize=size)
    digits = math.floor(abs(value) / 2.0**LOW)
    top = digits.bit_length() + LOW - 1
    for k in range(top, LOW - 1, -1):
        bit = digits >> (k - LOW) & 1
        rest = digits & ((1 << (k - LOW + 1)) - 1)
        if not rest:
            break
        lost = k < place
        fill = theme.region("lost") if lost else theme.bits("fraction")
        made.axes.add_patch(_cell(k, row, fill, theme.paper, "/" if lost else ""))
        made.axes.text(
            k, row, str(bit), ha="center", va="center", color=theme.ink_on(fill), fontsize=0.8 * size
        )


def _cell(k: int, row: int, fill: str, edge: str, hatch: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (k - 0.5, row - 0.36), 1, 0.72, facecolor=fill, edgecolor=edge, lw=1, hatch=hatch, alpha=0.95
    )


# -- sums of one dot product, and of ones ----------------------------------------------------------------


def _label(case: Case) -> str:
    return f"{case.unit}  {case.operands}"


def draw_counting(**look: Any) -> Any:
    """Draw where 1 + 1 + ... stops on each unit: a point where it was measured, a bar to where it was predicted."""
    cases = [Case(*one) for one in SHOWN]
    found = [(counting.predicted(case)[0], _measured_count(case)) for case in cases]
    with canvas(**look) as made:
        axes, theme = made.axes, made.theme
        for row, (guess, count) in enumerate(found):
            axes.barh(row, math.log2(guess), height=0.55, color=theme.bits("fraction"), edgecolor="none")
            axes.plot(math.log2(count), row, "o", color=theme.ink, ms=0.45 * made.font)
            text = f"$2^{{{round(math.log2(count))}}}$" + (" + 4" if count % 8 else "")
            axes.text(math.log2(count) + 0.35, row, text, va="center", fontsize=0.9 * made.font)
        row_names(axes, [_label(case) for case in cases], theme)
        axes.set_xlim(0, 32)
        axes.set_xticks(range(0, 31, 5), [f"$2^{{{k}}}$" for k in range(0, 31, 5)])
        axes.set_xlabel(
            made.note("the count at which a block of ones changes nothing (bar: predicted; point: measured)")
        )
        tidy(axes, grid="x")
        return made.finish(None, "1 + 1 + ... stops: where depends on the chip, and on what it multiplies")


@cache
def _measured_count(case: Case) -> int:
    return counting.measured(case)


def draw_dot(**look: Any) -> Any:
    """Draw what each unit makes of one dot product, beside the exact value."""
    cases = [Case(*one) for one in SHOWN]
    with canvas(**look) as made:
        axes, theme = made.axes, made.theme
        axes.axvline(one_dot_product.EXACT, color=theme.soft, lw=1.5, zorder=0)
        axes.text(one_dot_product.EXACT, -0.75, "exact: −0.875", ha="center", va="bottom", color=theme.soft)
        for row, case in enumerate(cases):
            value, why = one_dot_product.measured(case), one_dot_product.predicted(case)[1]
            right = value == one_dot_product.EXACT
            axes.plot(
                value,
                row,
                "o" if right else "D",
                color=theme.ink if right else theme.alarm,
                ms=0.6 * made.font,
            )
            axes.text(0.14, row, f"{value:g}".replace("-", "−"), va="center", ha="right", fontsize=made.font)
            short = (
                why.partition(", and then")[0]
                .partition(": 2^23 has")[0]
                .partition(", rounded to -2")[0]
                .replace("-", "−")
            )
            axes.text(0.18, row, short, va="center", color=theme.soft, fontsize=0.7 * made.font)
        row_names(axes, [_label(case) for case in cases], theme)
        axes.set_ylim(len(cases) - 0.4, -1.4)
        axes.set_xlim(-1.45, 1.1)
        axes.set_xticks([-1.25, -1, -0.75, -0.5, -0.25, 0], ["−1.25", "−1", "−0.75", "−0.5", "−0.25", "0"])
        axes.set_xlabel("$2^{23} - 2^{13}·2^{10}$ − 1/2 − 1/4 − 1/8", loc="left")
        tidy(axes, grid="x")
        return made.finish(None, "One dot product, seven answers")


# -- long sums -------------------------------------------------------------------------------------------


@cache
def _errors(data: str) -> dict[str, list[float]]:
    lines = {
        unit: [long_sums.measured(unit, data, k, SEEDS[0]) for k in long_sums.LENGTHS]
        for unit in long_sums.UNITS
    }
    lines["operands"] = [long_sums.operand_error(data, k, SEEDS[0]) for k in long_sums.LENGTHS]
    return lines


def draw_long_sums(**look: Any) -> Any:
    """Draw the relative error of fp8 products against their length: lines predicted, points measured."""
    names = {
        "h100": "H100",
        "h100:promote=128": "promoted",
        "b200": "B200",
        "operands": "rounding of\noperands",
    }
    titles = {"uniform": "uniform on [0, 1): all of one sign", "gaussian": "Gaussian: around zero"}
    with canvas(1, 2, sharey=True, **look) as made:
        for axes, data in zip(made.axes, long_sums.DATA, strict=True):
            labels = []
            for style, (name, errors) in zip(LINES, _errors(data).items(), strict=False):
                shown = [(k, e) for k, e in zip(long_sums.LENGTHS, errors, strict=True) if e > 1e-6]
                colour = style.colour(made.theme)
                axes.plot(*zip(*shown, strict=True), style.marker, color=colour, ms=0.5 * made.font)
                guesses = (
                    []
                    if name == "operands"
                    else [long_sums.predicted(name, data, k) for k in long_sums.LENGTHS]
                )
                if guesses and guesses[0] is not None:
                    axes.plot(long_sums.LENGTHS, guesses, color=colour, lw=0.14 * made.font)
                labels.append((names[name], shown[-1][1], colour))
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.set_ylim(1e-6, 1.5)
            axes.set_yticks(
                [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1],
                ["0.0001%", "0.001%", "0.01%", "0.1%", "1%", "10%", "100%"],
            )
            axes.set_title(titles[data], loc="left", fontsize=made.font)
            axes.set_xlabel("K (line: predicted, point: measured)")
            tidy(axes)
            label_lines(axes, labels, float(long_sums.LENGTHS[-1]), gap=0.075, size=0.85 * made.font)
        made.axes[0].set_ylabel("relative error of the product")
        return made.finish(
            None, "fp8 on a Hopper: long sums of one sign are far off, sums around zero are not"
        )


# -- training --------------------------------------------------------------------------------------------


@cache
def _runs() -> list[same_seed.Trained]:
    return [same_seed.trained(unit, SEEDS[0]) for unit in same_seed.UNITS]


def draw_same_seed(**look: Any) -> Any:
    """Draw how far networks of one seed are apart, step by step, and how many images they take for something else."""
    runs = _runs()
    with canvas(**look) as made:
        axes, labels = made.axes, []
        for style, (x, y) in zip(LINES, combinations(runs, 2), strict=False):
            far = np.linalg.norm(x.course - y.course, axis=1) / np.linalg.norm(x.course, axis=1)
            steps = np.arange(1, len(far) + 1)
            colour = style.colour(made.theme)
            axes.plot(steps[far > 0], far[far > 0], color=colour, lw=0.14 * made.font)
            changed = int((x.guesses != y.guesses).sum())
            labels.append(
                (f"{x.unit}, {y.unit}:\n{changed} of {len(x.guesses)} changed", float(far[-1]), colour)
            )
        axes.set_yscale("log")
        axes.set_xlim(0, len(runs[0].course))
        axes.set_xlabel("step")
        axes.set_ylabel("distance of the weights, relative to them")
        tidy(axes)
        label_lines(axes, labels, float(len(runs[0].course)), gap=0.13, size=0.85 * made.font)
        return made.finish(
            None,
            f"One seed on three GPUs: other weights from the first steps on, {runs[0].accuracy:.1%} right on each",
        )


@cache
def _records() -> list[dict[str, Any]]:
    return registry.run("rare-class-in-fp8", SEEDS, jobs=0, out=DOCS / "_build" / "units" / "rare-class")


def draw_rare_class(**look: Any) -> Any:
    """Draw which rate each way of adding believes, beside the true one."""
    records = _records()
    kinds = list(dict.fromkeys(r["run"].rsplit(",", 1)[0] for r in records))
    styles = series_styles(["1%", "5%"])
    with canvas(**look) as made:
        axes, theme = made.axes, made.theme
        for name, rate in (("1%", 0.01), ("5%", 0.05)):
            colour = styles[name].colour(theme)
            axes.axvline(rate, color=colour, lw=1.2, zorder=0)
            axes.text(
                rate, -0.75, f"true: {name}", ha="center", va="bottom", color=colour, fontsize=0.9 * made.font
            )
            for row, kind in enumerate(kinds):
                mine = [r for r in records if r["run"] == f"{kind}, {name}"]
                axes.plot(
                    [r["expected"] for r in mine], [row] * len(mine), "|", color=theme.ink, ms=1.6 * made.font
                )
                axes.plot(
                    [r["found"] for r in mine],
                    [row] * len(mine),
                    styles[name].marker,
                    color=colour,
                    ms=0.6 * made.font,
                )
        row_names(axes, kinds, theme)
        axes.set_ylim(len(kinds) - 0.4, -1.3)
        axes.set_xscale("log")
        ticks = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
        axes.set_xlim(0.008, 0.4)
        axes.set_xticks(ticks, [f"{t:.0%}" for t in ticks])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("rate that is believed in the end (stroke: predicted; points: three seeds)")
        tidy(axes, grid="x")
        return made.finish(
            None, "Sorted by class, an H100's fp8 sums make a rare class several times too frequent"
        )


FIGURES: dict[str, Callable[..., Any]] = {
    "block": draw_block,
    "counting": draw_counting,
    "one-dot-product": draw_dot,
    "long-sums": draw_long_sums,
    "same-seed": draw_same_seed,
    "rare-class": draw_rare_class,
}


def main() -> None:
    """Write the figures, or the ones to look at."""
    looking = sys.argv[1:2] == ["--look"]
    for name, draw in FIGURES.items():
        if not looking:
            plots.save(draw(), PICTURES / f"{name}.png", dpi=80)
            continue
        for size in ("full", "half"):
            for dark in (False, True):
                path = Path(sys.argv[2]) / f"{name}-{size}{'-dark' * dark}.png"
                plots.save(draw(size=size, dark=dark), path, dpi=80)


if __name__ == "__main__":
    main()
