"""Any test file over device arrays: a pytest plugin.

Every function of floatlab's numeric rooms that a test module calls gets stand-in device arrays in place of its NumPy
arrays, and has to give device arrays back; what the test sees are NumPy arrays again, so that its assertions stay::

    PYTHONPATH=tests python -m pytest -p device.plugin -n 0 tests/rounding --device-report=report.json

`--device-real` takes CuPy itself and its arrays, where there is a GPU.
`--device-strict` refuses NumPy's functions on device arrays, `--no-flush` leaves float32 subnormals alone, so that one
sees what else differs. The report lists failures by reason, readings of the host and flushed numbers by line.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

from .arrays import held, ndarray
from .flushing import names
from .ledger import LEDGER
from .module import installed, missing

__all__ = ["HostResultError", "on_device"]

ROOMS = ("rounding", "codes", "operations", "functions", "sums")
# What takes arrays and answers with something else, or with arrays of the host by its nature.
_SPARED = names("value_table make_rule rule_of plan choose")
_ANSWERS_HERE = names("classify dots_to_odd")  # texts, which no device holds; and what the host is asked for
_OF_THE_CPU = names(
    "test_a_blas_that_is_as_wrong_as_it_may_be_changes_no_bit "
    "test_a_blas_that_is_more_wrong_than_it_may_be_changes_bits "
    "test_a_bound_of_a_quarter_would_let_bits_change "
    "test_half_of_the_bound_is_not_enough_where_norms_and_sums_are_the_same"
)


class _Arrays:
    """Which arrays stand for a device's, and how numbers get there and back: the stand-in's, or CuPy's own."""

    kind: type = ndarray
    send: Callable[[Any], Any] = staticmethod(ndarray._of)
    fetch: Callable[[Any], Any] = staticmethod(held)


def _take_cupy() -> None:
    import cupy

    _Arrays.kind, _Arrays.send, _Arrays.fetch = cupy.ndarray, cupy.asarray, cupy.asnumpy


_reasons: Counter[tuple[str, str]] = Counter()
_calls: Counter[str] = Counter()


class HostResultError(AssertionError):
    """A function answered a device array with an array of the host."""


def to_device(x: Any) -> Any:
    """Return device arrays for NumPy arrays that a device can hold, also in tuples and lists; all else as it is."""
    if type(x) is np.ndarray:
        able = x.dtype.char in "?bBhHiIlLqQefd" and x.dtype.isnative
        return _Arrays.send(x) if able else x
    if isinstance(x, tuple) and not hasattr(x, "_fields"):
        return tuple(map(to_device, x))
    if isinstance(x, list) and x and all(type(one) is np.ndarray for one in x):
        return list(map(to_device, x))
    return x


def has_device(x: Any) -> bool:
    """Return whether there is a device array in arguments."""
    return isinstance(x, _Arrays.kind) or (isinstance(x, tuple | list) and any(map(has_device, x)))


def to_host(x: Any, name: str | None) -> Any:
    """Return NumPy arrays for device arrays; HostResultError for a NumPy array if `name` promised device arrays."""
    if isinstance(x, _Arrays.kind):
        return _Arrays.fetch(x)
    if isinstance(x, tuple):
        parts = [to_host(one, name) for one in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    if isinstance(x, list):
        return [to_host(one, name) for one in x]
    if type(x).__name__ == "Flags":
        return type(x)(*(to_host(getattr(x, field.name), name) for field in dataclasses.fields(x)))
    if isinstance(x, np.ndarray) and name is not None:
        raise HostResultError(f"{name} returned a NumPy array for a device array")
    return x


def on_device(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of NumPy arrays that calls `function` with device arrays, and demands device arrays back."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        given, named = to_device(args), {name: to_device(x) for name, x in kwargs.items()}
        device = has_device(given) or has_device(list(named.values()))
        name = f"{function.__module__}.{function.__name__}"
        _calls[name] += device
        answers_there = device and function.__name__ not in _ANSWERS_HERE
        return to_host(function(*given, **named), name if answers_there else None)

    called.of_device = True  # type: ignore[attr-defined]
    return called


def _is_numeric(x: Any) -> bool:
    """Return whether a name of a test module is a function of the numeric rooms, not yet on the device."""
    return (
        isinstance(x, FunctionType)
        and x.__module__.split(".")[:1] == ["floatlab"]
        and x.__module__.split(".")[1:2] in [[room] for room in ROOMS]
        and x.__name__ not in _SPARED
        and not hasattr(x, "of_device")
    )


class _Face(ModuleType):
    """A module of floatlab as a test sees it: its functions are on the device."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__)
        self.__dict__["of"], self.__dict__["kept"] = module, {}

    def __getattr__(self, name: str) -> Any:
        return _shown(getattr(self.__dict__["of"], name))

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__["kept"].setdefault(name, vars(self.__dict__["of"]).get(name))
        setattr(self.__dict__["of"], name, value)

    def __delattr__(
        self, name: str
    ) -> None:  # as monkeypatch undoes, which does not find `name` in our own __dict__
        if name in self.__dict__["kept"]:
            setattr(self.__dict__["of"], name, self.__dict__["kept"].pop(name))


def _shown(x: Any) -> Any:
    if _is_numeric(x):
        return on_device(x)
    if isinstance(x, ModuleType) and not isinstance(x, _Face):
        parts = x.__name__.split(".")
        if parts[0] == "floatlab" and parts[1:2] in [[], *([room] for room in ROOMS)]:
            return _Face(x)
    return x


# -- hooks -------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("device")
    group.addoption("--device-report", help="write failures by reason, readings and flushes by line, as JSON")
    group.addoption("--device-real", action="store_true", help="take CuPy and its GPU")
    group.addoption("--device-strict", action="store_true", help="refuse NumPy's functions on device arrays")
    group.addoption("--no-flush", action="store_true", help="leave float32 subnormals alone")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--device-real"):
        _take_cupy()
        return
    reason = missing()
    if reason:
        pytest.exit(f"No stand-in for CuPy here: {reason}", returncode=0)
    strict, flushes = config.getoption("--device-strict"), not config.getoption("--no-flush")
    context = installed(strict=strict, flushes=flushes)
    context.__enter__()
    config.add_cleanup(lambda: context.__exit__(None, None, None))


def pytest_collection_modifyitems(items: list[Any]) -> None:
    for item in items:
        if item.name in _OF_THE_CPU:
            item.add_marker(pytest.mark.skip(reason="it plants a matmul of NumPy's own"))
    for module in {item.module for item in items if hasattr(item, "module")}:
        for name, value in list(vars(module).items()):
            shown = _shown(value)
            if shown is not value:
                setattr(module, name, shown)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:
    yield
    if call.when == "call" and call.excinfo is not None:
        error = call.excinfo
        lines = [
            entry
            for entry in error.traceback
            if "/floatlab/" in str(entry.path) and "/tests/" not in str(entry.path)
        ]
        where = (
            f"{'/'.join(Path(lines[-1].path).parts[-3:])}:{lines[-1].lineno + 1}"
            if lines
            else "the test itself"
        )
        _reasons[f"{error.type.__name__}: {str(error.value).partition(chr(10))[0][:110]}", where] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--device-report")
    if path:
        counts = {
            "reasons": [[*key, n] for key, n in _reasons.most_common()],
            "readings": [[*key, n] for key, n in LEDGER.readings.most_common(80)],
            "flushed": LEDGER.flushed.most_common(80),
            "sendings": LEDGER.sendings.most_common(40),
            "scatters": LEDGER.scatters.most_common(40),
            "calls": _calls.most_common(80),
        }
        Path(path).write_text(json.dumps(counts, indent=1), encoding="utf-8")
