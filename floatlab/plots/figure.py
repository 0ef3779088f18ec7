"""How does a figure get to those who look at it? It shows itself in a notebook, and `save` writes it to a file.

A figure of floatlab belongs to whoever asked for it: it is not one of pyplot's, so none stays open, and a notebook
needs no ``%matplotlib inline``. Front ends ask an object for its picture (`_repr_png_`), and those that can for the
words beside it (`_repr_mimebundle_`); that is all it takes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as MatplotlibFigure

from floatlab.errors import DataError, OptionError, nearest_name
from floatlab.plots.description import describe

__all__ = ["Figure", "Svg", "figure_of", "file_type", "save"]

# What decides how letters look is the style's, whenever a figure is drawn and whatever a user has set.
LETTERS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with Matplotlib: the same figure everywhere
    "svg.hashsalt": "floatlab",
    "savefig.facecolor": "auto",  # the figure's own
    "hatch.linewidth": 0.8,
}
# Nothing that changes from day to day or from machine to machine is written into a file.
_NO_DATE: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


class Svg(str):
    """A picture as text, which a notebook shows as a picture. It is a plain str for everybody else."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<Svg of {len(self)} characters>"


class Figure(MatplotlibFigure):
    """A Matplotlib figure that shows itself in every notebook, as PNG; `svg` is the same as SVG.

    >>> from floatlab import plots
    >>> figure = plots.plot_ranges(["fp16", "bf16"])
    >>> figure._repr_png_()[1:4], figure.svg()[:5]
    (b'PNG', '<?xml')
    """

    def _repr_png_(self) -> bytes:
        return self._written("png", dpi=self.dpi)

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        picture = base64.b64encode(self._repr_png_()).decode()
        return {"image/png": picture, "text/plain": repr(self)}, {"image/png": {"alt": self.alt()}}

    def svg(self) -> Svg:
        """Return the figure as SVG. A notebook shows it; it is text, and can be written to a file."""
        return Svg(self._written("svg", {"Title": self.alt()}).decode())

    def alt(self) -> str:
        """Return what the figure shows in words, for those who do not see it: titles, axes, series, labels.

        A notebook keeps it beside the picture, where screen readers and converters look for it.

        >>> from floatlab import plots
        >>> plots.plot_operation("add", "e4m3").alt()
        'Chart: a + b in fp8 E4M3: 18% exact, 1% overflow. Across: b, −448 to 448. Up: a, −448 to 448.'
        """
        return describe(self)

    def _written(self, kind: str, metadata: Mapping[str, Any] | None = None, **options: Any) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format=kind, metadata={**_NO_DATE[kind], **(metadata or {})}, **options)
        return buffer.getvalue()

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure; see `matplotlib.figure.Figure.savefig`."""
        with mpl.rc_context(LETTERS):
            super().savefig(fname, **options)

    def __repr__(self) -> str:
        width, height = self.get_size_inches()
        count = len(self.axes)
        return f"<Figure of {width:g} x {height:g} inches, {count} {'panel' if count == 1 else 'panels'}>"


def new_canvas(size: tuple[float, float], dpi: float, paper: str) -> Figure:
    """Return an empty figure outside of pyplot."""
    figure = Figure(figsize=size, dpi=dpi, layout="constrained", facecolor=paper)
    FigureCanvasAgg(figure)
    return figure


def figure_of(axes: Axes) -> MatplotlibFigure:
    """Return the figure that holds axes, however deep in subfigures they lie."""
    found: Any = axes.figure
    while found is not None and found.figure is not None and found.figure is not found:
        found = found.figure
    return found


def file_type(path: str | Path) -> str:
    """Return the type that a file's name asks for.

    >>> file_type("ranges.SVG")
    'svg'
    """
    path = Path(path)
    known = sorted(FigureCanvasBase.get_supported_filetypes())
    kind = path.suffix[1:].lower()
    if kind in known:
        return kind
    guess = nearest_name(kind, known) or "png"
    raise OptionError(
        f"The end of a figure's name says its type, one of: {', '.join(known)}. Got {str(path)!r}. "
        f'Use "{path.with_suffix("." + guess)}".'
    )


def save(figure: MatplotlibFigure, path: str | Path, *, dpi: int = 160) -> Path:
    """Write a figure to `path`; the same figure gives the same bytes, for no date is put into it.

    Parameters
    ----------
    figure : Figure
        What a function of `floatlab.plots` returned, or any other figure of Matplotlib's.
    path : path
        Its end says the type: ``.png``, ``.svg``, ``.pdf`` ... Folders are made.
    dpi : int
        Points for each inch, where the type has any.

    Raises
    ------
    OptionError
        If Matplotlib knows no such type, or what is to be saved is no figure; nothing is drawn or written then.
    DataError
        If the file cannot be written.
    """
    if not isinstance(figure, MatplotlibFigure):
        raise OptionError(
            f"What is saved is a figure. Got a {type(figure).__name__}. Pass what a plot_ function returned."
        )
    path = Path(path)
    kind = file_type(path)
    metadata: Mapping[str, Any] | None = _NO_DATE.get(kind)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(LETTERS):
            figure.savefig(path, format=kind, dpi=dpi, metadata=metadata)
    except OSError as error:
        raise DataError(
            f"A figure is written where there is room. Got {error}. Use another place."
        ) from error
    return path
