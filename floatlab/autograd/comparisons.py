"""What are the operators of comparison called? PyTorch's names, for whatever has Python's operators."""

from __future__ import annotations

from typing import Any

__all__ = ["Comparisons"]


class Comparisons:
    """``x.lt(y)`` is ``x < y``, and so on."""

    __slots__ = ()

    def eq(self, other: Any) -> Any:
        """Return where the values equal others."""
        return self == other

    def ne(self, other: Any) -> Any:
        """Return where the values differ from others."""
        return self != other

    def lt(self, other: Any) -> Any:
        """Return where the values are less than others."""
        return self < other

    def le(self, other: Any) -> Any:
        """Return where the values are at most others."""
        return self <= other

    def gt(self, other: Any) -> Any:
        """Return where the values are greater than others."""
        return self > other

    def ge(self, other: Any) -> Any:
        """Return where the values are at least others."""
        return self >= other
