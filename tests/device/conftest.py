"""The stand-in for CuPy as a fixture: installed for one test, and undone."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from device.module import installed, missing


@pytest.fixture
def cupy() -> Iterator[ModuleType]:
    """Let the stand-in be CuPy for one test; without CuPy's signatures or a C++ compiler the test is skipped."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with installed() as module:
        yield module
