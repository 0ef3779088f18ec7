"""Who computes a function of NumPy, and with which arguments? Two tables, and the arguments in their order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["FUNCTIONS", "UFUNCS", "by_table", "in_order", "of_values"]


class _Table(dict[Any, Callable[..., Any]]):
    """Who computes: a ufunc, or any other function of NumPy, and what stands in for it."""

    def __setitem__(self, function: Any, stand_in: Callable[..., Any]) -> None:
        if function in self:  # then one of the two would never be called
            raise ValueError(
                f"A function of NumPy has one stand-in. Got a second one for {function.__name__}."
            )
        super().__setitem__(function, stand_in)

    def fill(self, names: Iterable[str], make: Callable[[str], Callable[..., Any]]) -> None:
        """Let ``make(name)`` stand in for each function of these names that this version of NumPy has."""
        for name in names:
            if hasattr(np, name):
                self[getattr(np, name)] = make(name)


# Filled by the other files here.
UFUNCS, FUNCTIONS = _Table(), _Table()


def by_table(name: str, doc: str) -> Callable[..., Any]:
    """Return a method that does what stands in for a function of NumPy of the same name."""
    function = getattr(np, name)

    def method(self: Any, axis: Any = None, **options: Any) -> Any:
        return FUNCTIONS[function](self, axis=axis, **options)

    method.__name__, method.__doc__ = name, doc
    return method


def of_values(name: str, doc: str) -> Callable[..., Any]:
    """Return a method that does what the values' own method of the same name does."""

    def method(self: Any, axis: Any = None, **options: Any) -> Any:
        return getattr(self.values, name)(axis, **options)

    method.__name__, method.__doc__ = name, doc
    return method


# Functions of NumPy that are written in C, and had no signature to ask before NumPy 2.4.
_REQUIRED = {
    "dot": ("a", "b"),
    "copyto": ("dst", "src"),
    "putmask": ("a", "mask", "values"),
    "lexsort": ("keys",),
}


@lru_cache(maxsize=512)
def _required(function: Any) -> tuple[str, ...]:
    """Return the names of the arguments that a function of NumPy must be given."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return _REQUIRED.get(function.__name__, ())
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind in kinds and p.default is p.empty)


def in_order(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return the arguments in their order, and take those out of `kwargs` that were given by name: np.sort(a=x).

    What stands in for a function takes the required ones by place, whatever NumPy calls them.
    """
    if kwargs:
        for name in _required(function)[len(args) :]:
            if name not in kwargs:
                break
            args = (*args, kwargs.pop(name))
    return args
