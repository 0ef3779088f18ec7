"""Draw the gallery: every chart of `floatlab.plots` that draws formats or numbers, and the page that shows them.

python docs/make_gallery.py            half a minute; writes docs/gallery.md and docs/figures/gallery/

With --look FOLDER it writes there, instead, every chart at full and at half size, on dark paper, in grey, and as eyes
with deuteranopia see it (G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, IEEE TVCG 15 (2009), 1291-1298).
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import floatlab as fl
from floatlab import plots

DOCS = Path(__file__).parent
PICTURES = DOCS / "figures" / "gallery"
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
GREY = np.tile([0.2126, 0.7152, 0.0722], (3, 1))


def wave() -> Any:
    """Return two turns of a sine, which grows, and leaves the range of E4M3 in the end."""
    t = np.linspace(0, 4 * np.pi, 72)
    return np.exp(0.65 * t) * np.sin(t)


def gradients() -> Any:
    """Return numbers as gradients are spread: over many powers of two, most of them small."""
    rng = np.random.default_rng(0)
    return rng.normal(size=100_000) * np.exp(rng.normal(size=100_000) * 2) * 1e-5


def logistic(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)), rounded after every operation."""
    return 1 / (1 + fl.exp(-x))


def block() -> Any:
    """Return a block of 32 numbers: gradients, of which one is larger than the rest."""
    x = np.random.default_rng(4).normal(size=32)
    x[7] = -3.9
    return x


# The call as the page shows it, and the same for this script. In the order of the page; the first ten are used most.
CHARTS: list[tuple[str, Callable[..., Any]]] = [
    ("plot_ranges()", lambda **look: plots.plot_ranges(**look)),
    ("plot_precision()", lambda **look: plots.plot_precision(**look)),
    ('plot_values("e2m1")', lambda **look: plots.plot_values("e2m1", **look)),
    ('plot_codes("e4m3")', lambda **look: plots.plot_codes("e4m3", **look)),
    ("plot_histogram(gradients())", lambda **look: plots.plot_histogram(gradients(), **look)),
    ('plot_quantization(wave(), "e4m3")', lambda **look: plots.plot_quantization(wave(), "e4m3", **look)),
    ('plot_rounding("e2m1")', lambda **look: plots.plot_rounding("e2m1", **look)),
    ("plot_accumulation()", lambda **look: plots.plot_accumulation(**look)),
    ("plot_bits(0.1)", lambda **look: plots.plot_bits(0.1, **look)),
    ('plot_compare("e5m2", "e4m3")', lambda **look: plots.plot_compare("e5m2", "e4m3", **look)),
    ('plot_operation("add", "e4m3")', lambda **look: plots.plot_operation("add", "e4m3", **look)),
    (
        'plot_agreement(logistic, ["fp16", "e4m3"], exact="sigmoid")',
        lambda **look: plots.plot_agreement(logistic, ["fp16", "e4m3"], exact="sigmoid", **look),
    ),
    ('plot_rules(block(), "mxfp4")', lambda **look: plots.plot_rules(block(), "mxfp4", **look)),
]


def main() -> None:
    """Write the page and its pictures, or the pictures to look at."""
    if sys.argv[1:2] == ["--look"]:
        look(Path(sys.argv[2]))
        return
    for call, draw in CHARTS:
        plots.save(draw(), PICTURES / f"{call.split('(')[0]}.png", dpi=80)
    plots.save(plots.plot_ranges(dark=True), PICTURES / "plot_ranges-dark.png", dpi=80)
    (DOCS / "gallery.md").write_text(page(), encoding="utf-8")


@cache
def page() -> str:
    """Return the text of the page."""
    lines = [
        "# The gallery",
        "",
        "Every picture is made by the call above it; `python docs/make_gallery.py` makes them all again. A chart shows",
        "itself in a notebook; `fl.plots.save(figure, path)` writes it, and the twin named with it returns the numbers",
        'that it draws. All take `size="half"` for half a slide, `dark=True`, and a title of your own.',
        "",
        "A colour means one thing in all of them: fp32 is black, fp16 brown, bf16 blue, E5M2 purple, E4M3 green. A",
        "dashed line is one with scaling. Markers and hatches say the same as colours do.",
    ]
    for call, draw in CHARTS:
        name = call.split("(")[0]
        sentence = (inspect.getdoc(getattr(plots, name)) or "").split("\n\n")[0].replace("\n", " ")
        lines += [
            "",
            f"## {name}",
            "",
            sentence,
            "",
            "```python",
            *source_of(call),
            f"fl.plots.{call}",
            "```",
            "",
        ]
        lines += [picture(name, draw()), "", f"The data: `{twin_of(name)}`."]
    lines += ["", "## On dark paper", "", "```python", "fl.plots.plot_ranges(dark=True)", "```", ""]
    return "\n".join([*lines, picture("plot_ranges-dark", plots.plot_ranges(dark=True)), ""])


def picture(name: str, figure: Any) -> str:
    """Return a picture with the words that its figure says, and where it can be had."""
    path = f"figures/gallery/{name}.png"
    words = re.sub(r"([\\[\]_*`])", r"\\\1", figure.alt())
    return f"![{words}]({path})\n\n[The picture]({path}), to download."


def source_of(call: str) -> list[str]:
    """Return the text of the function of this file that a call names, without its docstring, if there is one."""
    for function in (wave, gradients, logistic, block):
        if function.__name__ in call:
            lines = inspect.getsource(function).replace(" -> Any", "").replace("x: Any", "x").splitlines()
            return ["import numpy as np", "", "", *lines[:1], *lines[2:], "", ""]
    return []


def twin_of(name: str) -> str:
    """Return the name of the function that returns the data of a chart."""
    twins = {name.removeprefix("plot_"), name.removeprefix("plot_").removesuffix("s")}
    return next(f"fl.plots.{twin}_data" for twin in sorted(twins) if hasattr(plots, f"{twin}_data"))


def look(folder: Path) -> None:
    """Write every chart in every form in which it has to be legible."""
    import matplotlib.image

    for call, draw in CHARTS:
        name = call.split("(")[0]
        for form, options in {"full": {}, "half": {"size": "half"}, "dark": {"dark": True}}.items():
            plots.save(draw(**options), folder / f"{name}-{form}.png", dpi=75 if form != "half" else 120)
        picture = matplotlib.image.imread(folder / f"{name}-full.png")[:, :, :3]
        linear = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
        for form, matrix in {"deuteranopia": DEUTERANOPIA, "grey": GREY}.items():
            seen = np.clip(linear @ matrix.T, 0, 1)
            shown = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
            matplotlib.image.imsave(folder / f"{name}-{form}.png", np.clip(shown, 0, 1))


if __name__ == "__main__":
    main()
