"""Where would it run? Names of devices, which PyTorch's calls begin with and which mean nothing here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from floatlab.errors import OptionError

__all__ = ["check_device", "is_device", "merge_positional"]

_DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "xla", "mtia", "npu", "meta")


def is_device(value: object) -> bool:
    """Whether this is the name of a device, with or without its number.

    >>> is_device("cuda:0"), is_device("fp16")
    (True, False)
    """
    return isinstance(value, str) and value.partition(":")[0] in _DEVICES


def check_device(option: str, value: object) -> None:
    """Raise OptionError if this is not the name of a device; there is one machine here, whatever it is called."""
    if not is_device(value):
        raise OptionError(
            f"{option} is one of: {', '.join(_DEVICES)}. Got {value!r:.80}. Leave it out: all runs on the CPU here."
        )


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
