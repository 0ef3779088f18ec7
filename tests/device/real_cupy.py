"""The installed CuPy, without leaving it among the modules: what finds it there takes it for in use."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

NAMES = ("cupy", "cupyx", "cupy_backends")
_modules: dict[str, ModuleType] = {}  # all of CuPy's, since it was first imported: a second import would fail


@contextlib.contextmanager
def real_cupy() -> Iterator[ModuleType]:
    """Have the installed CuPy among the modules for a while, in place of what stands there under its name.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    others = _taken()
    if not _modules and getattr(others.get("cupy"), "__file__", None):  # someone has imported it already
        _modules.update(others)
    sys.modules.update(_modules)
    try:
        yield importlib.import_module("cupy")
    finally:
        _modules.update(_taken())
        sys.modules.update(others)


def _taken() -> dict[str, ModuleType]:
    """Take CuPy's modules, or what stands for them, out of the modules, and return them."""
    found = [name for name in sys.modules if name.partition(".")[0] in NAMES]
    return {name: sys.modules.pop(name) for name in found}
