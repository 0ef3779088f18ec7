"""What have arrays of codes in common? A shape, and no arithmetic: codes stand for numbers by scales of their own.

Whoever adds two such arrays chooses a scale for the sum, and does it with the numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NoReturn

from floatlab.backend import Array

__all__ = ["Coded", "refused"]


def refused(what: str) -> Any:
    """Return a method that raises what the array says of something that it does not have."""

    def refuse(self: Coded, *others: Any, **options: Any) -> NoReturn:
        raise self._refusal(what)

    return refuse


class Coded(ABC):
    """Codes with scales: what `BlockArray` and `IntArray` share."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    codes: Array

    @abstractmethod
    def _refusal(self, what: str) -> Exception:
        """Return the error that says what there is instead of `what`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.codes.shape

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return self.codes.ndim

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.codes.size

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = __pos__ = refused("arithmetic")
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __abs__ = __round__ = refused("arithmetic")
    __mod__ = __rmod__ = __divmod__ = __rdivmod__ = __pow__ = __rpow__ = refused("arithmetic")
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __invert__ = refused("arithmetic")
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = refused("arithmetic")
    __eq__ = __ne__ = refused("comparison number by number")
    __lt__ = __le__ = __gt__ = __ge__ = refused("order")
    __bool__ = refused("truth value")
    __float__ = __int__ = __complex__ = __index__ = refused("single value")
    __getitem__ = __setitem__ = __iter__ = __contains__ = refused("elements without their scales")
    __array_ufunc__ = refused("function of NumPy")
