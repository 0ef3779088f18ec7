"""How is a layer made? What is said of arguments that it does not take, of devices, and of what is no module."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from floatlab.autograd.devices import check_device
from floatlab.errors import FloatlabError, OptionError, nearest_name

__all__ = ["ModuleType", "found_instead"]

_M = TypeVar("_M")


class ModuleType(type):
    """The class of module classes: it says in our words which arguments a layer takes."""

    def __call__(cls: type[_M], *args: Any, **options: Any) -> _M:
        """Make a layer; arguments that it does not take are an OptionError."""
        try:
            made: _M = super().__call__(*args, **options)  # type: ignore[misc]
        except TypeError as error:
            if isinstance(error, FloatlabError) or cls._fits(args, options):  # type: ignore[attr-defined]
                raise
            if "device" in options:  # there is one memory here, and it is called by any name
                device = options.pop("device")
                if device is not None:
                    check_device("device", device)
                return cls(*args, **options)
            raise OptionError(cls._misfit(options, error)) from None  # type: ignore[attr-defined]
        return made

    def _fits(cls, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
        """Whether the arguments can be passed at all: if so, the error is one of what is done with them."""
        try:
            inspect.signature(cls.__init__).bind(None, *args, **options)  # type: ignore[misc]
        except TypeError:
            return False
        return True

    def _misfit(cls, options: dict[str, Any], error: TypeError) -> str:
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        known = list(signature.parameters)[1:]
        unknown = next((name for name in options if name not in known), None)
        takes = f"{cls.__name__} takes {', '.join(known) or 'no options'}."
        if unknown is None:
            return (
                f"{takes} Got arguments that do not fit: {error}. Give each once, in this order or by name."
            )
        nearest = nearest_name(unknown, known)
        way_out = f'Use "{nearest}".' if nearest else "Leave it out."
        return f"{takes} Got {unknown!r}. {way_out}"


def found_instead(given: Any) -> str:
    """Return what was given in place of a module, and the way out."""
    if isinstance(given, ModuleType):
        return f"Got the class {given.__name__}. Make one: nn.{given.__name__}(...)."
    if callable(given):
        name = getattr(given, "__name__", type(given).__name__)
        return f"Got the function {name!r}. Use a layer such as nn.ReLU(), or call it in forward()."
    if isinstance(given, list | tuple):
        return f"Got a {type(given).__name__}. Write a star before it: Sequential(*layers)."
    return f"Got {type(given).__name__}. Use modules."
