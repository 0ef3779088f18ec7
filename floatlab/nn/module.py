"""What is a layer? Modules: parameters and submodules by name, training mode, formats, and their state.

A `Module` finds what it is made of by the attributes that are assigned to it, as in PyTorch::

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(64, 32, rng=0)     # its weight is the parameter "hidden.weight"

        def forward(self, x):
            return self.hidden(x).relu()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from floatlab.autograd import Tensor, scope
from floatlab.autograd.devices import check_device, is_device
from floatlab.errors import AutogradError, DtypeError, FloatlabError, OptionError, StateError
from floatlab.formats import FloatFormat, get_format
from floatlab.nn.hooks import Hooked
from floatlab.nn.making import ModuleType, found_instead
from floatlab.nn.parameter import Parameter
from floatlab.nn.shown import module_in_html
from floatlab.rounding.quantize import quantize

__all__ = ["Module"]

_OWN = ("_parameters", "_buffers", "_modules", "_scope", "_hooks", "training")  # a module's own


class Module(Hooked, metaclass=ModuleType):
    """The base of all layers and models: subclasses define `forward`.

    Examples
    --------
    >>> import floatlab as fl
    >>> class Double(Module):
    ...     def forward(self, x):
    ...         return x + x
    >>> Double()(fl.Tensor([1.0])).data
    array([2.], dtype=float32)
    """

    training: bool

    def __init__(self) -> None:
        own = object.__setattr__
        own(self, "_parameters", {})
        own(self, "_buffers", {})
        own(self, "_modules", {})
        own(self, "_scope", "")
        own(self, "training", True)

    # -- attributes --------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__:
            raise AutogradError(
                f"A module is set up before it is given parts. Got {name!r} first. Call super().__init__() "
                f"in {type(self).__name__}.__init__."
            )
        tables = (self._parameters, self._buffers, self._modules)
        if isinstance(value, Parameter):
            self._place(name, self._parameters, value)
            value.name = value.name or name
        elif isinstance(value, Module):
            self._place(name, self._modules, value)
            object.__setattr__(value, "_scope", name)
        elif name in self._buffers and isinstance(value, Tensor):
            self._buffers[name] = value
        else:
            if value is not None:
                self._keep_registered(name, value)
            for table in tables:
                table.pop(name, None)
            object.__setattr__(self, name, value)

    def _keep_registered(self, name: str, value: Any) -> None:
        """Raise DtypeError where a value would silently take a part of the model out of it."""
        homes = (
            (self._parameters, "A parameter", "Parameter"),
            (self._modules, "A submodule", "Module"),
            (self._buffers, "A buffer", "Tensor"),
        )
        for home, what, kind in homes:
            if name in home:
                way_out = f"Use a {kind}, or del it first."
                if home is self._parameters:
                    way_out = f"Use nn.Parameter(...), or change its values: {name}.copy_(...)."
                raise DtypeError(
                    f"{what} of a module is replaced by another {kind}, or by None. "
                    f"Got {type(value).__name__} for {name!r} of {type(self).__name__}. {way_out}"
                )

    def _place(self, name: str, home: dict[str, Any], value: Any) -> None:
        for table in (self._parameters, self._buffers, self._modules, self.__dict__):
            if table is not home:
                table.pop(name, None)
        home[name] = value

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(table, {})
            if name in found:
                return found[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if table.pop(name, None) is not None:
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def register_buffer(self, name: str, tensor: Tensor | None) -> None:
        """Keep a tensor that is part of the state but is not trained, such as a running mean; None: there is none."""
        self._check_name(name)
        if tensor is None:
            object.__setattr__(self, name, None)
            return
        if not isinstance(tensor, Tensor):
            raise DtypeError(
                f"A buffer is a Tensor. Got {type(tensor).__name__} for {name!r}. Use Tensor(...) around the array."
            )
        self._place(name, self._buffers, tensor)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Keep a parameter under `name`; None says that there is none, as for a layer without a bias."""
        self._check_name(name)
        if parameter is None:
            object.__setattr__(self, name, None)
            return
        if not isinstance(parameter, Parameter):
            raise DtypeError(
                f"A module trains parameters. Got {type(parameter).__name__} for {name!r}. Use nn.Parameter(...)."
            )
        setattr(self, name, parameter)

    def add_module(self, name: str, module: Module | None) -> None:
        """Keep a submodule under `name`; None says that there is none."""
        self._check_name(name)
        if module is not None and not isinstance(module, Module):
            raise DtypeError(f"{type(self).__name__} is made of modules. {found_instead(module)}")
        setattr(self, name, module)

    def _check_name(self, name: Any) -> None:
        taken = isinstance(name, str) and (hasattr(type(self), name) or name in _OWN)
        if not isinstance(name, str) or not name or "." in name or taken:
            why = "It is a method or an attribute." if taken else "Use letters."
            raise OptionError(f"A part of a module has a name without a dot. Got {name!r}. {why}")

    # -- running -----------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output; every subclass defines it."""
        raise AutogradError(f"A module computes in forward(). {type(self).__name__} has none. Define it.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`; operations remember the layer, and an error inside says in which it happened."""
        above = scope.get()
        token = scope.set(f"{above}.{self._scope}" if above and self._scope else above or self._scope)
        try:
            if self._hooks is not None:
                return self._watched(self.forward, args, kwargs)
            return self.forward(*args, **kwargs)
        except FloatlabError as error:
            if error.args and not getattr(error, "layer", None):
                error.layer = scope.get() or type(self).__name__  # type: ignore[attr-defined]
                where = f"layer {scope.get()!r}, " if scope.get() else ""
                error.args = (f"{error.args[0]} (In {where}{self!r}.)", *error.args[1:])
            raise
        finally:
            scope.reset(token)

    # -- walking -----------------------------------------------------------------------------------

    def named_modules(self, prefix: str = "", _seen: set[int] | None = None) -> Iterator[tuple[str, Module]]:
        """Yield this module and all below it, each once, with its dotted name ("" for this one)."""
        seen = set() if _seen is None else _seen
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, module in self._modules.items():
            yield from module.named_modules(f"{prefix}.{name}" if prefix else name, seen)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules directly below this one, with their names."""
        yield from self._modules.items()

    def children(self) -> Iterator[Module]:
        """Yield the modules directly below this one."""
        yield from self._modules.values()

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield every parameter once with its dotted name, which the parameter itself is given as well.

        So an error or a record that names a parameter names it from the model that was walked last.
        """
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            for name, parameter in module._parameters.items():
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    parameter.name = f"{prefix}.{name}" if prefix else name
                    yield parameter.name, parameter

    def parameters(self) -> Iterator[Parameter]:
        """Yield every parameter once."""
        for _, parameter in self.named_parameters():
            yield parameter

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every buffer with its dotted name."""
        for prefix, module in self.named_modules():
            for name, buffer in module._buffers.items():
                yield f"{prefix}.{name}" if prefix else name, buffer

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call `function` on every module, children first; return this module."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # -- modes and formats -------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Switch to training (dropout drops, batch norm takes the batch's statistics); return this module."""
        for module in self.modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Switch to evaluation; return this module."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or fill them with zeros if `set_to_none` is False."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Train all parameters, or none; return this module."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def to(
        self,
        fmt: str | FloatFormat | None = None,
        *,
        device: Any = None,
        dtype: str | FloatFormat | None = None,
    ) -> Self:
        """Round all parameters and buffers to another format, in place; return this module.

        Gradients are forgotten. Build the optimizer afterwards: the format of its state follows from the
        weights. A device ("cpu", "cuda:0") means nothing here and changes nothing; `dtype` is PyTorch's name of the
        format.

        Examples
        --------
        >>> import floatlab as fl
        >>> fl.nn.Linear(2, 2, rng=0).to("bf16").weight.format.name
        'bfloat16'
        """
        check_device("device", "cpu" if device is None else device)
        fmt = dtype if fmt is None or is_device(fmt) else fmt
        if fmt is None:
            return self
        target = get_format(fmt)
        for _, tensor in [*self.named_parameters(), *self.named_buffers()]:
            _convert(tensor, target)
        return self

    def cpu(self) -> Self:
        """Return this module: there is no other memory here."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Return this module: every format is emulated on the processor."""
        return self

    def float(self) -> Self:
        """Round all parameters and buffers to fp32; return this module."""
        return self.to("float32")

    def double(self) -> Self:
        """Convert all parameters and buffers to fp64; return this module."""
        return self.to("float64")

    def half(self) -> Self:
        """Round all parameters and buffers to fp16; return this module."""
        return self.to("float16")

    def bfloat16(self) -> Self:
        """Round all parameters and buffers to bf16; return this module."""
        return self.to("bfloat16")

    # -- state -------------------------------------------------------------------------------------

    def _own_state(self) -> dict[str, Tensor]:
        return dict([*self.named_parameters(), *self.named_buffers()])

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of every parameter and buffer, by dotted name.

        A copy is read only: PyTorch's state is the model's own memory, and a loop that writes to it there to change
        the model would change nothing here. Write to the parameters, or to a ``clone()`` that is loaded.
        """
        state = {
            name: Tensor._wrap(t.array.copy(), t.format, t.format) for name, t in self._own_state().items()
        }
        for copied in state.values():
            copied.array.flags.writeable = False
        return state

    def check_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> None:
        """Raise an error if `state_dict` does not fit this module; change nothing.

        Raises
        ------
        StateError
            If a name is missing or unknown (with `strict`), or a shape or a format differs.
        """
        mine = self._own_state()
        missing = [name for name in mine if name not in state_dict]
        unknown = [name for name in state_dict if name not in mine]
        if strict and (missing or unknown):
            raise StateError(
                f"A state has the names of the module's parameters and buffers. Got missing {missing}, "
                f"unknown {unknown}. Build the same model, or use strict=False."
            )
        for name, tensor in mine.items():
            if name not in state_dict:
                continue
            saved = state_dict[name]
            shape = tuple(np.shape(saved.array if isinstance(saved, Tensor) else saved))
            if shape != tensor.shape:
                raise StateError(
                    f"A saved tensor must have the shape of the one it is loaded into. Got {shape} for "
                    f"{name!r} of shape {tensor.shape}. Build the same model."
                )
            if isinstance(saved, Tensor) and not saved.format.same_as(tensor.format):
                raise StateError(
                    "A saved tensor must have the format of the one it is loaded into. Got "
                    f"{saved.format.spec} for {name!r} in {tensor.format.spec}. Convert the model with "
                    f".to({saved.format.spec!r}) first."
                )

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> None:
        """Copy a state into this module; the whole of it is checked before anything changes.

        Values are Tensors of the right format, or arrays, which are rounded to it.
        """
        self.check_state_dict(state_dict, strict)
        for name, tensor in self._own_state().items():
            if name in state_dict:
                saved = state_dict[name]
                values = saved.array if isinstance(saved, Tensor) else np.asarray(saved, np.float64)
                tensor.array[...] = quantize(values, tensor.format)
                tensor.mark_changed()

    # -- printing ----------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return what stands between the brackets when a layer is printed."""
        return ""

    def __repr__(self) -> str:
        inside = [f"  ({name}): " + repr(m).replace("\n", "\n  ") for name, m in self._modules.items()]
        if not inside:
            return f"{type(self).__name__}({self.extra_repr()})"
        return "\n".join([f"{type(self).__name__}({self.extra_repr()}", *inside, ")"])

    def _repr_html_(self) -> str:
        return module_in_html(self)


def _convert(tensor: Tensor, target: FloatFormat) -> None:
    values = tensor.array
    tensor.format = tensor.gradient_format = target
    tensor.data = values  # rounds
    tensor.grad = None
