"""What is known of a dot product on a matrix unit? Its blocks and steps as data, which print themselves."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from floatlab.explain.text import BIT_COLOURS, as_html, as_lines, value_text
from floatlab.explain.unit_steps import Number, UnitStep
from floatlab.formats import FloatFormat
from floatlab.matrix_units import MatrixUnit

__all__ = ["DotBlock", "DotExplanation"]

_BITS = re.compile(r"(-?[01]+)\|([01]*)")  # what is kept, and what is lost


@dataclass(frozen=True)
class DotBlock:
    """One block of a dot product, or a promotion.

    Attributes
    ----------
    first, last : int
        Its first and last product.
    before : Fraction or float
        The accumulator before; a float only for infinities and NaN.
    steps : tuple of UnitStep
        What is added, and what it is rounded to.
    value : Fraction or float
        The accumulator after it.
    """

    first: int
    last: int
    before: Number
    steps: tuple[UnitStep, ...]
    value: Number


@dataclass(frozen=True)
class DotExplanation:
    """A dot product as a matrix unit forms it. Print it, or read its fields.

    Attributes
    ----------
    title : str
    unit : MatrixUnit
    format : FloatFormat
        That of the accumulator and the result.
    blocks : tuple of DotBlock
    value : float
        The result, that of `floatlab.matmul`.
    code : int
        Its code.
    exact : Fraction or None
        The exact result; None if a term is infinite or NaN.
    error : Fraction or None
        Result minus exact result.
    rows : tuple of (str, str)
        All of it as text, line by line.
    full : bool
        Whether it prints every block as a whole.
    """

    title: str
    unit: MatrixUnit
    format: FloatFormat
    blocks: tuple[DotBlock, ...]
    value: float
    code: int
    exact: Fraction | None
    error: Fraction | None
    rows: tuple[tuple[str, str], ...]
    full: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as a dict of plain values, for JSON: exact numbers as quotients, "3/8"."""
        blocks = [
            {
                "products": [block.first, block.last],
                "before": _plain(block.before),
                "steps": [_step_data(step) for step in block.steps],
                "value": _plain(block.value),
            }
            for block in self.blocks
        ]
        return {
            "title": self.title,
            "unit": str(self.unit),
            "format": self.format.spec,
            "blocks": blocks,
            "value": self.value if math.isfinite(self.value) else value_text(self.value),
            "code": self.code,
            "exact": None if self.exact is None else str(self.exact),
            "error": None if self.error is None else str(self.error),
        }

    def __str__(self) -> str:
        return as_lines(self.title, self.rows)

    def _repr_html_(self) -> str:
        """Show a table in a notebook, the bits that are kept and those that are lost in colours."""
        (_, _), lost, kept = BIT_COLOURS
        spans = "".join(
            f'<span style="background:{paper};color:{ink}">\\{k}</span>'
            for k, (paper, ink) in ((1, kept), (2, lost))
        )
        narrow = [(label, re.sub(" {3,}", "  ", text)) for label, text in self.rows]
        return _BITS.sub(spans, as_html(self.title, narrow))


def _plain(x: Number) -> str:
    return value_text(x) if isinstance(x, float) else str(x)


def _step_data(step: UnitStep) -> dict[str, Any]:
    parts = [
        {
            "name": part.name,
            "value": str(part.value),
            "exponent": part.exponent,
            "kept": str(part.kept),
            "lost": str(part.lost),
        }
        for part in step.parts
    ]
    return {
        "name": step.name,
        "largest": step.exponent,
        "terms": parts,
        "exact": _plain(step.exact),
        "value": _plain(step.value),
        "how": step.how,
    }
