"""Is a graph built? Inside `no_grad` it is not."""

from __future__ import annotations

import contextlib
import inspect
from contextvars import ContextVar, Token
from functools import wraps
from typing import Any, Self

from floatlab.errors import check_switch

__all__ = ["enable_grad", "inference_mode", "is_recording", "no_grad", "recording", "set_grad_enabled"]

recording: ContextVar[bool] = ContextVar("floatlab_recording", default=True)


class _Recording(contextlib.ContextDecorator):
    """A block, or a decorated function, in which operations are recorded or not."""

    _mode: bool

    def __init__(self) -> None:
        self._tokens: list[Token[bool]] = []

    def _recreate_cm(self) -> Self:
        made = type(self)()  # a decorated function may run in several threads
        made._mode = self._mode
        return made

    def __call__(self, function: Any) -> Any:
        """Decorate a function; a generator computes so while it runs, and its caller as before."""
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            running, answer = function(*args, **kwargs), None
            try:
                while True:
                    try:
                        with self._recreate_cm():
                            made = running.send(answer)
                    except StopIteration as end:
                        return end.value
                    answer = yield made
            finally:
                running.close()

        return generate

    def __enter__(self) -> None:
        self._tokens.append(recording.set(self._mode))

    def __exit__(self, *exception: object) -> None:
        recording.reset(self._tokens.pop())


class no_grad(_Recording):  # noqa: N801 - PyTorch's name
    """Compute without building a graph inside the block, or inside the decorated function.

    Examples
    --------
    >>> from floatlab.autograd import Tensor
    >>> x = Tensor([1.0], requires_grad=True)
    >>> with no_grad():
    ...     print((2 * x).requires_grad)
    False
    """

    _mode = False


class inference_mode(no_grad):  # noqa: N801 - PyTorch's name
    """The same as `no_grad`; ``inference_mode(False)`` changes nothing."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self._mode = not check_switch("mode", mode) and recording.get()


class enable_grad(_Recording):  # noqa: N801 - PyTorch's name
    """Build a graph inside the block, or the decorated function, also where `no_grad` is in force around it."""

    _mode = True


class set_grad_enabled(contextlib.AbstractContextManager[None]):  # noqa: N801 - PyTorch's name
    """Build graphs from now on, or none; as a context manager, until its block ends.

    >>> from floatlab.autograd import Tensor
    >>> with set_grad_enabled(False):
    ...     print((2 * Tensor([1.0], requires_grad=True)).requires_grad)
    False
    """

    def __init__(self, mode: bool) -> None:
        self._token = recording.set(check_switch("mode", mode))

    def __exit__(self, *exception: object) -> None:
        recording.reset(self._token)


def is_recording() -> bool:
    """Return whether operations build a graph: not inside `no_grad`."""
    return recording.get()
