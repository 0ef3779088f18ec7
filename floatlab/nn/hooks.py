"""Who looks on when a layer computes? Functions that are told what goes in and what comes out, and may change it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from floatlab.autograd.backward import Handle
from floatlab.errors import AutogradError, DtypeError

__all__ = ["Hooked"]


class Hooked:
    """The hooks of a module, by PyTorch's names."""

    #: Those before and those after; None, as for nearly all modules, costs a call nothing.
    _hooks: tuple[list[Any], list[Any]] | None = None

    def register_forward_pre_hook(self, hook: Callable[[Any, tuple[Any, ...]], Any]) -> Handle:
        """Call ``hook(module, inputs)`` before `forward`; what it returns, if not None, goes in instead."""
        return self._add(0, hook)

    def register_forward_hook(self, hook: Callable[[Any, tuple[Any, ...], Any], Any]) -> Handle:
        """Call ``hook(module, inputs, output)`` after `forward`; what it returns, if not None, comes out instead.

        >>> import floatlab as fl
        >>> layer, seen = fl.nn.ReLU(), []
        >>> handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.tolist()))
        >>> y = layer(fl.tensor([-1.0, 2.0]))
        >>> handle.remove()
        >>> seen
        [[0.0, 2.0]]
        """
        return self._add(1, hook)

    def register_full_backward_hook(self, hook: Any) -> NoReturn:
        """Refuse: a gradient is watched at the tensor that it belongs to."""
        raise AutogradError(
            "A gradient is watched at its tensor. Got a backward hook of a module. Register a forward hook that calls "
            "output.register_hook(...)."
        )

    def _add(self, place: int, hook: Any) -> Handle:
        if not callable(hook):
            raise DtypeError(
                f"A hook is a function. Got {type(hook).__name__}. Give one that takes the module first."
            )
        if self._hooks is None:
            object.__setattr__(self, "_hooks", ([], []))
        hooks: Any = self._hooks
        hooks[place].append(hook)
        return Handle(hooks[place], hook)

    def _watched(self, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what `forward` gives, between the hooks."""
        before, after = self._hooks or ((), ())
        for hook in list(before):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        output = forward(*args, **kwargs)
        for hook in list(after):
            changed = hook(self, args, output)
            output = output if changed is None else changed
        return output
