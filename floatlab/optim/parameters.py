"""What may an optimizer be given? Its parameters, in groups or not, and numbers for options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from floatlab.autograd import Tensor
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.optim.saved_state import label_of

__all__ = ["Params", "check_gradient", "groups_of", "is_number", "is_whole", "make_generator", "tensors_of"]

Params = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]


def groups_of(params: Any) -> list[Mapping[str, Any]]:
    """Return what an optimizer was given as groups, each with the key "params".

    Raises
    ------
    OptionError
        If it is nothing that can be gone through, or empty.
    """
    given: list[Any] = [params] if isinstance(params, Tensor) else _listed(params)
    if not given:
        raise OptionError("An optimizer needs at least one parameter. Got none. Pass model.parameters().")
    return given if isinstance(given[0], Mapping) else [{"params": given}]


def tensors_of(group: Any) -> list[Tensor]:
    """Return the tensors of a group; one that comes as (name, tensor) is given its name.

    Raises
    ------
    OptionError
        If the group has none, or something else among them.
    """
    if not isinstance(group, Mapping) or "params" not in group:
        raise OptionError(
            'A group of parameters is a dictionary with the key "params". '
            f"Got {_shown(group)}. Write {{'params': model.parameters(), 'lr': 0.1}}."
        )
    given = group["params"]
    members = [given] if isinstance(given, Tensor) else _listed(given)
    pairs = [member if _is_named(member) else (None, member) for member in members]
    for _, tensor in pairs:
        if not isinstance(tensor, Tensor):
            raise OptionError(
                f"A parameter is a Tensor. Got {type(tensor).__name__}. Pass model.parameters()."
            )
    for name, tensor in pairs:
        if name is not None:
            tensor.name = name
    return [tensor for _, tensor in pairs]


def _is_named(member: Any) -> bool:
    return isinstance(member, tuple) and len(member) == 2 and isinstance(member[0], str)


def _listed(params: Any) -> list[Any]:
    if isinstance(params, Mapping | str | bytes | np.ndarray) or not isinstance(params, Iterable):
        way_out = (
            "it in a list" if isinstance(params, Mapping) and "params" in params else "model.parameters()"
        )
        raise OptionError(
            f"The parameters come as a list or an iterator of tensors. Got {_shown(params)}. Pass {way_out}."
        )
    return list(params)


def _shown(value: Any) -> str:
    return f"{value!r:.80}" if isinstance(value, Mapping | str | int | float) else type(value).__name__


def check_gradient(p: Tensor, position: int) -> None:
    """Raise an error if the gradient of a parameter is none that it could have.

    Raises
    ------
    DtypeError
        If it is no tensor.
    ShapeError
        If it has another shape, which would be broadcast.
    """
    gradient: Any = p.grad
    if not isinstance(gradient, Tensor):
        raise DtypeError(
            f"A gradient is a Tensor. Got {type(gradient).__name__} for {label_of(p, position)}. "
            "Use Tensor(array, format=p.format)."
        )
    if gradient.shape != p.shape:
        raise ShapeError(
            f"A gradient has the shape of its parameter. Got {gradient.shape} for {label_of(p, position)} of shape "
            f"{p.shape}. Sum over what was broadcast, or use backward()."
        )


def is_number(value: object) -> bool:
    """Whether an option is a real number, of Python or of NumPy; True and False are none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Whether an option is a whole number, of Python or of NumPy; True and False, and 2.0, are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def make_generator(rng: Any) -> np.random.Generator | None:
    """Return a generator from itself or from a seed, or None.

    Raises
    ------
    OptionError
        If it is neither.
    """
    if rng is None:
        return None
    if not isinstance(rng, np.random.Generator | np.random.BitGenerator | np.random.SeedSequence) and not (
        is_whole(rng) and rng >= 0
    ):
        raise OptionError(
            f"rng is a numpy.random.Generator or a seed of at least 0. Got {rng!r}. "
            "Use numpy.random.default_rng(0)."
        )
    return np.random.default_rng(rng)
