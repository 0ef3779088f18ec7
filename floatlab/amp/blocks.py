"""Which block was entered last? In this thread: the same object can be entered in several at once, and again inside."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any

from floatlab.errors import StateError

__all__ = ["enter", "leave"]

_open: ContextVar[tuple[tuple[object, ContextVar[Any], Token[Any]], ...]] = ContextVar(
    "floatlab_open_blocks", default=()
)


def enter(block: object, variable: ContextVar[Any], value: Any) -> None:
    """Set a context variable until `block` is left in this thread."""
    _open.set((*_open.get(), (block, variable, variable.set(value))))


def leave(block: object) -> None:
    """Give back its value to what the last `enter` of this block has set.

    Raises
    ------
    StateError
        If it has not been entered here.
    """
    entered = _open.get()
    for position in reversed(range(len(entered))):
        found, variable, token = entered[position]
        if found is block:
            variable.reset(token)
            _open.set(entered[:position] + entered[position + 1 :])
            return
    raise StateError(
        f"A block is left in the thread that has entered it, as often as it was entered. Got {block!r}. "
        "Use it in a with statement."
    )
