"""Where would it run? Names of devices, which PyTorch's code passes everywhere and which mean nothing here."""

from __future__ import annotations

from typing import Any

from floatlab.errors import OptionError

__all__ = ["check_device", "is_device"]

_DEVICES = ("cpu", "cuda", "mps", "xpu", "hip", "hpu", "xla", "mtia", "npu", "meta")


def is_device(value: Any) -> bool:
    """Whether a value names a device, with or without its number: "cpu", "cuda:0", or an object of another library.

    >>> is_device("cuda:1"), is_device("float16"), is_device(None)
    (True, False, False)
    """
    if isinstance(value, str):
        return value.partition(":")[0] in _DEVICES
    return type(value).__name__ == "device"


def check_device(option: str, value: Any) -> None:
    """Raise OptionError if this names no device; there is one machine here, whatever it is called."""
    if not is_device(value):
        raise OptionError(
            f"{option} is one of: {', '.join(_DEVICES)}. Got {value!r:.80}. Leave it out: all runs on the CPU here."
        )
