"""Which operations are there, and what are their derivatives? One flat table; each entry is an `Op`.

The entries stand in the files below, by what they do. To add an operation, add an `Op` to the `OPS` of the
file where it belongs; tests/autograd/test_autograd_ops.py then fails until it has a case for the gradient check.
"""

from __future__ import annotations

from floatlab.autograd.operation import Op
from floatlab.autograd.ops import (
    activations,
    convolution,
    directions,
    element_losses,
    elementwise,
    functions,
    losses,
    movement,
    normalization,
    places,
    pooling,
    rectifiers,
    reductions,
    statistics,
    whole_numbers,
)
from floatlab.errors import OptionError, check_option

__all__ = ["TABLE", "find_op"]

GROUPS = (
    elementwise,
    functions,
    rectifiers,
    activations,
    movement,
    places,
    reductions,
    statistics,
    losses,
    element_losses,
    convolution,
    pooling,
    normalization,
    directions,
    whole_numbers,
)
TABLE: dict[str, Op] = {op.name: op for group in GROUPS for op in group.OPS}


def find_op(name: str) -> Op:
    """Return the entry of the table with this name; an unknown one is an error that suggests the nearest."""
    op = TABLE.get(name)
    if op is None:
        check_option("operation", name, TABLE, OptionError)
    return TABLE[name]
