"""Who is told what became of a product's operands? Observers, of each cast to blocks as of an operation "quantize".

What is told are the elements: before, each number over the scale of its block, and after, what that was rounded to. So
an underflow is a number that its block's scale has flushed, a saturation one beyond the largest element, and a NaN one
of a block that is lost. With them go the scales. Nobody listens in most runs, and then nothing of this is computed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.autograd import BlockCast, Event, observers, scope
from floatlab.block_formats.elements import Element, element_of
from floatlab.block_formats.integer_format import IntFormat
from floatlab.formats import FloatFormat

__all__ = ["in_product", "is_watched", "tell"]

Array = NDArray[Any]
_phase: ContextVar[str] = ContextVar(
    "floatlab_block_phase", default=""
)  # "" outside of products that are watched


def is_watched() -> bool:
    """Return whether anybody is to be told: whether a product is computed, and somebody listens."""
    return _phase.get() != ""


@contextlib.contextmanager
def in_product(layer: str, roles: tuple[str, str]) -> Iterator[None]:
    """Have what is told inside the block be of this layer, and of the phase in which such operands are multiplied.

    >>> with in_product("head", ("gradient", "weight")):
    ...     _phase.get()
    'backward'
    """
    place = scope.set(layer)
    phase = _phase.set("backward" if "gradient" in roles else "forward")
    try:
        yield
    finally:
        _phase.reset(phase)
        scope.reset(place)


def tell(
    name: str, operand: str, element: Element, numbers: Array, elements: Array, scales: Array, of: Array
) -> None:
    """Tell observers of a cast.

    Parameters
    ----------
    name, operand : str
        The block format, and what was cast: "input", "weight" or "gradient".
    element : Element
        Of which `elements` are values.
    numbers : array
        What was cast.
    elements : array
        What its elements are now.
    scales : array
        One for each block, without the tensor's; NaN of one that is lost.
    of : array
        For each number what its element is multiplied by, in an array that broadcasts to them.
    """
    with np.errstate(all="ignore"):
        before = numbers.astype(np.float64) / of
    # What a scale of 0 or NaN makes of an element is what it decodes to.
    after = np.where(np.isnan(of), np.nan, np.where(of == 0, 0.0, elements))
    cast = BlockCast(name, operand, scales)
    for watch in observers.get():
        watch(
            Event(_phase.get(), "quantize", scope.get(), (), before, after, _format(element), block_cast=cast)
        )


def _format(element: Element) -> FloatFormat:
    """Return a format whose largest value is that of the element: of integers, what both signs have."""
    kind = element.format
    return element_of(replace(kind, narrow=True)).grid if isinstance(kind, IntFormat) else kind
