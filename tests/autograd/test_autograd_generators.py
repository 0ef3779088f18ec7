"""A generator under `no_grad` builds no graph while it runs, and leaves its caller alone between its values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import floatlab as fl

x = fl.ones(1, requires_grad=True)


def test_a_decorated_generator_computes_without_a_graph_and_its_caller_with_one() -> None:
    @fl.no_grad()
    def batches() -> Iterator[bool]:
        yield (2 * x).requires_grad
        yield (2 * x).requires_grad

    seen = []
    for inside in batches():
        seen.append((inside, (2 * x).requires_grad))
    assert seen == [(False, True), (False, True)]


def test_a_generator_is_sent_values_returns_one_and_is_closed() -> None:
    closed = []

    @fl.no_grad()
    def echo() -> Any:
        try:
            first = yield 1
            yield first
            return "end"
        finally:
            closed.append((2 * x).requires_grad)

    running = echo()
    assert next(running) == 1
    assert running.send("again") == "again"
    try:
        next(running)
    except StopIteration as end:
        assert end.value == "end"
    other = echo()
    next(other)
    other.close()
    assert len(closed) == 2
    assert (2 * x).requires_grad


def test_enable_grad_holds_in_a_generator_that_is_asked_under_no_grad() -> None:
    @fl.enable_grad()
    def values() -> Iterator[bool]:
        yield (2 * x).requires_grad

    with fl.no_grad():
        assert list(values()) == [True]
        assert not (2 * x).requires_grad
