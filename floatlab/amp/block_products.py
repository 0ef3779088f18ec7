"""Which layers compute on blocks? Those inside of `block_autocast`, by a recipe, but for those that it keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from floatlab.amp.block_casts import in_product
from floatlab.amp.block_operands import BlockRecipe
from floatlab.amp.blocks import enter, leave
from floatlab.autograd import Tensor, accumulator, apply, is_recording, observers, scope
from floatlab.block_formats.block_array import matmul
from floatlab.errors import OptionError, StateError, check_switch, nearest_name
from floatlab.formats import FloatFormat
from floatlab.nn import Module
from floatlab.nn.functional import product_rule
from floatlab.optim.parameters import is_whole

__all__ = ["Operands", "block_autocast"]

Array = NDArray[Any]
T = TypeVar("T")


class Operands:
    """What makes the operands of one layer's three products, once more the same if they are asked again.

    Parameters
    ----------
    recipe : BlockRecipe
    number : int
        Which product of the run the forward one is.
    groups : int
        How many products a convolution has at a time.
    layer : str
        The place in the model.
    """

    def __init__(self, recipe: BlockRecipe, number: int, groups: int, layer: str) -> None:
        self.recipe, self._number, self._groups, self._layer = recipe, number, groups, layer
        self._seen: dict[tuple[str, str], int] = {}

    def __call__(self, a: Array, b: Array, roles: tuple[str, str]) -> tuple[Array, Array]:
        """Return what becomes of both operands of a product."""
        return self._made(self.recipe.operands, a, b, roles)

    def multiply(
        self,
        a: Array,
        b: Array,
        roles: tuple[str, str],
        fmt: FloatFormat,
        bias: Array | None,
        options: dict[str, Any],
    ) -> Array:
        """Return the product of two operands' blocks as a matrix unit, the accumulator among the options, forms it."""
        blocks = self._made(self.recipe.blocks, a, b, roles)
        return matmul(*blocks, fmt, bias=bias, **options)

    def _made(
        self, make: Callable[..., tuple[T, T]], a: Array, b: Array, roles: tuple[str, str]
    ) -> tuple[T, T]:
        group = self._seen.get(roles, 0)
        self._seen[roles] = (group + 1) % self._groups
        rng = np.random.default_rng((self.recipe.seed, self._number, group, int("weight" in roles)))
        if not observers.get():
            return make(a, b, roles, rng)
        with in_product(self._layer, roles):
            return make(a, b, roles, rng)


class block_autocast(contextlib.ContextDecorator):  # noqa: N801 - beside autocast and fp8_autocast
    """Compute the products of `nn.Linear` and of convolutions, transposed ones too, inside the block on block formats.

    All three products of a layer, the forward one and those of its two gradients, multiply what the recipe makes of
    their operands, and round the result once to the format that it has without the block; a bias is one more term of
    the sum. Everything but these products runs as it would without. Where an autocast block is in force too, it comes
    first: operands are cast to its format, then quantized, and the result has its format.

    A convolution is the product of its unrolled windows, (positions, channels * height * width): blocks lie along such
    a row, or for the gradient of the weight along positions. With groups, each has a product of its own.

    Parameters
    ----------
    recipe : BlockRecipe
        `MXFP8`, `MXFP6`, `MXFP4`, `NVFP4`, `Tiles`, `Int8`, or `BlockScaling` of any block format.
    model : Module, optional
        The model, whose layers the recipe's `keep` names.
    enabled : bool
        If False, the block changes nothing.

    Raises
    ------
    OptionError
        If it is given no recipe, or one that keeps a layer which the model has not.

    Notes
    -----
    Create it once and enter it once a training step: it counts the products, and each draws random numbers of its own
    from the recipe's seed and its number. Products that need no gradient (inside `no_grad`) are not counted.

    Examples
    --------
    >>> import floatlab as fl
    >>> layer = fl.nn.Linear(2, 1, bias=False, rng=0)
    >>> layer.load_state_dict({"weight": [[6.0, 0.3]]})  # E2M1 has 0 and 0.5 beside 6
    >>> with block_autocast(fl.amp.MXFP4()):
    ...     print(layer(fl.Tensor([[1.0, 1.0]])).item())
    6.5
    """

    def __init__(self, recipe: BlockRecipe, model: Module | None = None, enabled: bool = True) -> None:
        if not isinstance(recipe, BlockRecipe):
            given = recipe.__name__ if isinstance(recipe, type) else repr(recipe)
            raise OptionError(
                f"A recipe of blocks says how operands are quantized. Got {given:.80}. "
                "Use MXFP8() or another; those of one scale a tensor go to fp8_autocast."
            )
        self.recipe, self.enabled = recipe, check_switch("enabled", enabled)
        self._kept = _Kept(recipe.keep, model)
        self._count = 0

    def __enter__(self) -> Self:
        enter(self, product_rule, self._product if self.enabled else None)
        return self

    def __exit__(self, *exception: object) -> None:
        leave(self)

    def _product(self, op: str, x: Tensor, weight: Tensor, bias: Tensor | None, **params: Any) -> Tensor:
        if self._kept.holds(scope.get(), weight):
            return apply(op, x, weight, bias, **params)
        operands = self._operands(params.get("groups", 1))
        if self.recipe.accumulator is None:
            return apply(op, x, weight, bias, operands=operands, **params)
        with accumulator(self.recipe.accumulator):
            return apply(op, x, weight, bias, operands=operands, **params)

    def _operands(self, groups: int) -> Operands:
        operands = Operands(self.recipe, self._count, groups, scope.get())
        self._count += is_recording()
        return operands

    def state_dict(self) -> dict[str, int]:
        """Return how many products were counted: from there on a run goes on as if it had not been interrupted."""
        return {"products": self._count}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned.

        Raises
        ------
        StateError
            If it is something else.
        """
        count = state_dict.get("products") if isinstance(state_dict, Mapping) else None
        if count is None or not is_whole(count) or count < 0:
            raise StateError(
                f"The state of a block_autocast is a number of products. Got {state_dict!r:.80}. "
                "Load what state_dict() returned."
            )
        self._count = int(count)

    def __repr__(self) -> str:
        return f"block_autocast({self.recipe})"


class _Kept:
    """The layers that are left alone: told by their place in the model, or called by themselves by their weights."""

    def __init__(self, keep: str | tuple[str, ...], model: Module | None) -> None:
        if model is not None and not isinstance(model, Module):
            raise OptionError(
                f"model is a module. Got {type(model).__name__}. Pass the model, or recipe.keep=()."
            )
        if keep and model is None:
            raise OptionError(
                f"keep names layers of a model. Got {keep!r} and no model. Use block_autocast(recipe, model)."
            )
        modules = {} if model is None else dict(model.named_modules())
        for name in keep:
            if name not in modules:
                guess = nearest_name(name, list(modules))
                ways = f'Did you mean "{guess}"?' if guess else "Use a name of model.named_modules()."
                raise OptionError(f"keep names layers that the model has. Got {name!r}. {ways}")
        self._places = {place: _covers(keep, place) for place in modules if place}
        self._weights = [weight for name in keep for weight in modules[name].parameters()]

    def holds(self, place: str, weight: Tensor) -> bool:
        """Return whether the layer at this place, or with this weight if there is no such place, is kept."""
        if not self._weights:
            return False
        kept = self._places.get(place)
        return any(weight is other for other in self._weights) if kept is None else kept


def _covers(keep: str | tuple[str, ...], place: str) -> bool:
    """Return whether a place is one of those named, or in one.

    >>> _covers(("head",), "head.0"), _covers(("head",), "header")
    (True, False)
    """
    return any(place == name or place.startswith(f"{name}.") for name in keep)
