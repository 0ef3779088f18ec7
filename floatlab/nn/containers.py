"""How are layers put together? One after the other, in a list or a dictionary, or around a short cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from floatlab.autograd import Tensor
from floatlab.errors import DtypeError, OptionError, ShapeError, check_option
from floatlab.nn.module import Module
from floatlab.nn.parameter import Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterList", "Residual", "Sequential"]


class _Parts(Module):
    """Modules by number: what a sequence and a list have in common."""

    def append(self, module: Module) -> Self:
        """Add a module at the end; return this one."""
        self.add_module(str(len(self._modules)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end; return this one."""
        for module in _several("extend", modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one with this index; return this one."""
        modules = list(self._modules.values())
        modules.insert(index, module)
        self.add_module(str(len(self._modules)), module)  # refuses what is no module
        self._modules.clear()
        return self.extend(modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        modules = list(self._modules.values())
        if isinstance(index, slice):
            return type(self)._of(modules[index])
        return modules[self._place_of(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(list(self._modules)[self._place_of(index)], module)

    def _place_of(self, index: Any) -> int:
        count = len(self._modules)
        if not isinstance(index, int | np.integer) or not -count <= index < count:
            raise OptionError(
                f"{type(self).__name__} has {count} modules, counted from 0. Got {index!r}. Use a smaller index."
            )
        return int(index)

    @classmethod
    def _of(cls, modules: list[Module]) -> Any:
        return cls(*modules)


def _several(name: str, given: Any) -> Iterable[Any]:
    if isinstance(given, Module | type) or not isinstance(given, Iterable):
        raise DtypeError(f"{name} takes a list of modules. Got {type(given).__name__}. Write [ ] around it.")
    return given


class Sequential(_Parts):
    """Modules that run one after the other, named "0", "1", ... or by the keys of a dictionary.

    Examples
    --------
    >>> import floatlab as fl
    >>> model = Sequential(fl.nn.Linear(4, 3, rng=0), fl.nn.ReLU())
    >>> model(fl.Tensor([[1.0, 2.0, 3.0, 4.0]])).shape, len(model)
    ((1, 3), 2)
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        for position, given in enumerate(modules):
            named = given if isinstance(given, Mapping) else {str(position): given}
            if None in named.values():
                raise DtypeError(
                    "Sequential is made of modules. Got none. Leave it out, or use nn.Identity()."
                )
            for name, module in named.items():
                self.add_module(name, module)

    def forward(self, x: Any) -> Any:
        """Run the modules in order."""
        for module in self._modules.values():
            x = module(x)
        return x


class ModuleList(_Parts):
    """A list of modules, which are part of the model; it computes nothing itself.

    Examples
    --------
    >>> import floatlab as fl
    >>> len(list(ModuleList([fl.nn.Linear(1, 1, rng=0), fl.nn.Tanh()]).parameters()))
    2
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(_several("ModuleList", modules))

    @classmethod
    def _of(cls, modules: list[Module]) -> Any:
        return cls(modules)


class ModuleDict(Module):
    """Modules by name, which are part of the model; it computes nothing itself.

    Examples
    --------
    >>> import floatlab as fl
    >>> heads = ModuleDict({"digit": fl.nn.Linear(4, 10, rng=0), "parity": fl.nn.Linear(4, 2, rng=0)})
    >>> list(heads), heads["parity"](fl.Tensor([[1.0, 2.0, 3.0, 4.0]])).shape
    (['digit', 'parity'], (1, 2))
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update({} if modules is None else modules)

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add modules by their names, in place of those that have the names now."""
        if not isinstance(modules, Mapping | ModuleDict):
            raise DtypeError(
                f"ModuleDict takes names and modules. Got {type(modules).__name__}. Use a dictionary."
            )
        for name, module in modules.items():
            self[name] = module

    def __getitem__(self, name: str) -> Any:
        check_option("name", name, self._modules)
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        check_option("name", name, self._modules)
        del self._modules[name]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """Return the modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Return names and modules."""
        return self._modules.items()


class ParameterList(Module):
    """A list of parameters, which are part of the model; a tensor that is none becomes one.

    Examples
    --------
    >>> import floatlab as fl
    >>> weights = ParameterList([fl.Tensor([1.0]), fl.Tensor([2.0])])
    >>> [name for name, _ in weights.named_parameters()], weights[1].requires_grad
    (['0', '1'], True)
    """

    def __init__(self, parameters: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.extend(parameters)

    def append(self, parameter: Tensor) -> Self:
        """Add a parameter at the end; return this list."""
        if isinstance(parameter, Tensor) and not isinstance(parameter, Parameter):
            parameter = Parameter(parameter.array, format=parameter.format)
        self.register_parameter(str(len(self._parameters)), parameter)
        return self

    def extend(self, parameters: Iterable[Tensor]) -> Self:
        """Add parameters at the end; return this list."""
        if isinstance(parameters, Tensor) or not isinstance(parameters, Iterable):
            raise DtypeError(
                f"ParameterList takes a list of tensors. Got {type(parameters).__name__}. Write [ ] around it."
            )
        for parameter in parameters:
            self.append(parameter)
        return self

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters.values())

    def __getitem__(self, index: int) -> Parameter:
        count = len(self)
        if not isinstance(index, int | np.integer) or not -count <= index < count:
            raise OptionError(
                f"This list has {count} parameters, counted from 0. Got {index!r}. Use a smaller index."
            )
        return list(self._parameters.values())[index]


class Residual(Module):
    """A residual block: ``body(x) + shortcut(x)`` (He et al. 2015).

    Without a short cut of its own, x itself is added.

    Examples
    --------
    >>> import floatlab as fl
    >>> block = Residual(fl.nn.Sequential(fl.nn.Linear(4, 4, rng=0), fl.nn.ReLU()))
    >>> block(fl.Tensor([[1.0, 2.0, 3.0, 4.0]])).shape
    (1, 4)
    """

    def __init__(self, body: Module, shortcut: Module | None = None) -> None:
        super().__init__()
        self.body: Module
        self.shortcut: Module | None
        self.add_module("body", body)
        self.add_module("shortcut", shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``body(x) + shortcut(x)``."""
        branch: Tensor = self.body(x)
        straight: Tensor = x if self.shortcut is None else self.shortcut(x)
        if branch.shape != straight.shape:
            raise ShapeError(
                "The two branches of a residual block must have one shape. "
                f"Got {branch.shape} from the body and {straight.shape} from the short cut. "
                "Give it a shortcut that changes the shape alike."
            )
        return branch + straight
