"""Which option came by which place? The positional forms of PyTorch's calls, with what came by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from floatlab.errors import OptionError

__all__ = ["merge_positional"]


def merge_positional(
    call: str, names: Sequence[str], given: Sequence[Any], named: dict[str, Any], defaults: dict[str, Any]
) -> dict[str, Any]:
    """Return the options of a call by name, those that came by position included.

    Raises
    ------
    OptionError
        If there are too many, or one comes twice.
    """
    if len(given) > len(names):
        raise OptionError(
            f"{call} takes {', '.join(names)} by position. Got {len(given)} of them. Name the others."
        )
    for name, value in zip(names, given, strict=False):
        if named[name] != defaults[name]:
            raise OptionError(
                f"An option is given once. Got {name}={named[name]!r} beside {value!r} in {call}. Leave one out."
            )
        named[name] = value
    return named
