"""How do eight bits reach? By a scale for each tensor: recipes for the products of Linear and Conv2d.

E4M3 spans 18 binades, subnormals included, E5M2 32; a tensor's values seldom fill them, but often lie
elsewhere. So an operand is multiplied by a scale that puts its largest magnitude (amax) at the format's
maximum, cast, multiplied, and the scales are taken off the product:

    x * s_x ──cast──> E4M3 ─┐
                            product, named accumulator ── * 1 / (s_x s_w) ──> y
    w * s_w ──cast──> E4M3 ─┘
    in backward:  dy * s_g ──cast──> E5M2, with the same cast x and w on the other side

A recipe says where a scale comes from. `Unscaled`: it is 1. `CurrentScaling`: from the tensor at hand.
`DelayedScaling`: from the largest magnitudes of past steps, so that the tensor need not be read twice.

A recipe is a frozen dataclass with one method, ``scale(slot, amax, fmt)``. What one remembers about a
tensor lives in a `Slot`. Recipes with a scale for each block are others (`floatlab.amp.block_recipes`): their blocks
lie along the axis that a product sums, and so a tensor is cast anew for each product.

Sources: Micikevicius et al. 2022, "FP8 formats for deep learning"; NVIDIA Transformer Engine (its
recipes' names and defaults).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from floatlab.amp.blocks import enter, leave
from floatlab.amp.casting import autocast
from floatlab.amp.loss_scale import float32
from floatlab.amp.slots import Slot, Slots
from floatlab.autograd import (
    Event,
    Function,
    Tensor,
    accumulator,
    apply,
    cast_policy,
    is_recording,
    observers,
    scope,
)
from floatlab.autograd.recording import recording
from floatlab.errors import OptionError, check_option, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.nn.functional import product_rule
from floatlab.operations.operate import operate
from floatlab.optim.parameters import is_number, is_whole
from floatlab.rounding.options import OVERFLOW_POLICIES
from floatlab.rounding.quantize import quantize
from floatlab.sums.names import get_accumulator

__all__ = ["CurrentScaling", "DelayedScaling", "Recipe", "Slot", "Unscaled", "fp8_autocast"]

Array = NDArray[Any]
_FP32 = get_format("float32")
_LARGEST_SCALE = 2.0**127


@dataclass(frozen=True)
class Recipe:
    """What all recipes share.

    Parameters
    ----------
    forward, backward : str or FloatFormat
        The formats of inputs and weights, and of gradients: E4M3 and E5M2 is the usual hybrid.
    accumulator : str or Accumulator, optional
        How the products add up: "wide", a format, a matrix unit, or any other of `floatlab.matmul`. By default as the
        context says.
    output : str or FloatFormat, optional
        The format of the result; by default that of the input.
    power_of_two : bool
        Round each scale down to a power of two, so that scaling itself never rounds.
    overflow : str
        What becomes of a scaled value beyond the maximum: "saturate", as hardware does, or see
        `floatlab.quantize`.
    """

    forward: str | FloatFormat = "float8_e4m3fn"
    backward: str | FloatFormat = "float8_e5m2"
    accumulator: Any = None
    output: str | FloatFormat | None = None
    power_of_two: bool = False
    overflow: str | None = "saturate"

    def __post_init__(self) -> None:
        for name in ("forward", "backward", "output"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, get_format(getattr(self, name)))
        if self.overflow is not None:
            check_option("overflow", self.overflow, OVERFLOW_POLICIES)
        object.__setattr__(self, "power_of_two", check_switch("power_of_two", self.power_of_two))
        if self.accumulator is not None:
            get_accumulator(self.accumulator)  # an unknown one is an error now, not in the first product

    def scale(self, slot: Slot, amax: float, fmt: FloatFormat) -> float:
        """Return the scale for a tensor whose largest magnitude is `amax`."""
        return 1.0

    def end_step(self, slot: Slot, fmt: FloatFormat) -> None:
        """Take what a step has seen into the slot."""

    def quantize(
        self, values: Array, fmt: FloatFormat, slot: Slot, remember: bool = True, phase: str = "forward"
    ) -> tuple[Array, float]:
        """Return scaled values of `fmt`, and by what to multiply a product of them to take the scale off.

        The product of a value of float32 or less and the scale is exact in float64, so that scaling and casting
        round once. Observers are told of it as of an operation "quantize" of this `phase`.
        """
        amax = float(np.abs(values).max()) if values.size else 0.0
        scale = self.scale(slot, amax, fmt)
        if remember:
            slot.pending = amax if slot.pending is None else float(np.maximum(slot.pending, amax))
        scaled = values.astype(np.float64) * scale
        narrow = quantize(scaled, fmt, overflow=self.overflow).astype(np.float32)
        for watch in observers.get():
            watch(Event(phase, "quantize", scope.get(), (), scaled, narrow, fmt))
        return narrow, float32(1.0 / scale)

    def _fill(self, amax: float, fmt: FloatFormat, otherwise: float) -> float:
        """Return the scale that puts `amax` at the maximum of `fmt`, or `otherwise` where there is none."""
        if not 0.0 < amax < math.inf:
            return otherwise
        scale = min(float32(fmt.max / amax), _LARGEST_SCALE)
        return 2.0 ** (math.frexp(scale)[1] - 1) if self.power_of_two else scale


@dataclass(frozen=True)
class Unscaled(Recipe):
    """Every scale is 1: what the format's range does not hold is lost or saturates."""


@dataclass(frozen=True)
class CurrentScaling(Recipe):
    """Each tensor's own largest magnitude goes to the maximum; the scale is 1 if that is 0 or not finite."""

    def scale(self, slot: Slot, amax: float, fmt: FloatFormat) -> float:
        """Return ``max / amax``."""
        return self._fill(amax, fmt, otherwise=1.0)


@dataclass(frozen=True)
class DelayedScaling(Recipe):
    """The scale comes from the steps before this one, as by default in Transformer Engine.

    At the end of a step its amax joins the history, and ``scale = (max / amax of the history) /
    2**margin`` for the next one; an amax that is 0 or not finite leaves the scale as it was. The first
    step's scale is 1.

    Parameters
    ----------
    margin : int
        How many binades to leave free above the largest value.
    history_length : int
        How many steps to remember.
    amax : str
        "max" of the history, or the "most_recent" entry.
    """

    margin: int = 0
    history_length: int = 1024
    amax: str = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("amax", self.amax, ("max", "most_recent"))
        if not (is_number(self.margin) and abs(self.margin) <= 1000):
            raise OptionError(
                f"margin is a number of binades. Got {self.margin!r}. Transformer Engine has 0."
            )
        if not (is_whole(self.history_length) and self.history_length >= 1):
            raise OptionError(
                f"history_length is at least 1. Got {self.history_length!r}. Transformer Engine has 1024."
            )

    def scale(self, slot: Slot, amax: float, fmt: FloatFormat) -> float:
        """Return what the steps before have left."""
        return slot.scale

    def end_step(self, slot: Slot, fmt: FloatFormat) -> None:
        """Move the history on by one step, and compute the next scale."""
        if slot.pending is None:
            return
        slot.history = [slot.pending, *slot.history][: self.history_length]
        slot.pending = None
        amax = slot.history[0] if self.amax == "most_recent" else float(np.max(slot.history))
        slot.scale = self._fill(amax * 2.0**self.margin, fmt, otherwise=slot.scale)


# -- the product -------------------------------------------------------------------------------------


class _Eight:
    """Operands as they are, and the formats that they have: tensors of fp32 do not tell, and matrix units ask."""

    def __init__(self, recipe: Recipe) -> None:
        self._forward, self._backward = get_format(recipe.forward), get_format(recipe.backward)

    def __call__(self, a: Array, b: Array, roles: tuple[str, str]) -> tuple[Array, Array]:
        return a, b

    def formats(self, roles: tuple[str, str]) -> list[FloatFormat]:
        """Return the formats of two operands with these roles."""
        return [self._backward if role == "gradient" else self._forward for role in roles]


class _ScaledProduct(Function):
    """A bilinear operation of the table (linear, a convolution) on scaled fp8 operands."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        *,
        op: str,
        params: Any,
        recipe: Recipe,
        slots: Any,
        remember: bool,
    ) -> Tensor:
        ctx.recipe, ctx.slots, ctx.scope = recipe, slots, scope.get()
        fmt = get_format(recipe.forward)
        a, ctx.a = recipe.quantize(x.array, fmt, slots["input"], remember)
        b, ctx.b = recipe.quantize(weight.array, fmt, slots["weight"], remember)
        # fp32 tensors that hold fp8 values: the product is rounded once, to fp32. The graph of this one operation
        # is kept, so that backward finds its derivatives in the table.
        ctx.operands = tuple(
            Tensor(t, requires_grad=needed) for t, needed in zip((a, b), ctx.needs_input_grad, strict=True)
        )
        token = recording.set(True)
        try:
            named = (
                contextlib.nullcontext() if recipe.accumulator is None else accumulator(recipe.accumulator)
            )
            with autocast(enabled=False), named:
                ctx.product = apply(op, *ctx.operands, operands=_Eight(recipe), **params)
        finally:
            recording.reset(token)
        return _unscaled(ctx.product.array, ctx.a * ctx.b)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        recipe, operands = ctx.recipe, ctx.operands
        token, layer = recording.set(True), scope.set(ctx.scope)
        try:
            fmt, slot = get_format(recipe.backward), ctx.slots["gradient"]
            g, inverse = recipe.quantize(gradient.array, fmt, slot, phase="backward")
            for operand in operands:
                operand.grad = None
            ctx.product.backward(g, retain_graph=True)
        finally:
            recording.reset(token)
            scope.reset(layer)
        # The gradient of the input holds the weight's scale, and the other way round.
        return tuple(
            None if operand.grad is None else _unscaled(operand.grad.array, inverse * other)
            for operand, other in zip(operands, (ctx.b, ctx.a), strict=True)
        )


def _unscaled(values: Array, factor: float) -> Tensor:
    """Return float32 `values` times the product of two float32 scales, which has up to 48 bits, rounded once.

    Float64 rounds such a product before float32 does. That can be seen only where it ends on a tie of float32, whose
    last 29 bits are a 1 and zeros, or among the subnormals of float32, whose ties lie elsewhere.
    """
    product = np.multiply(values, factor, dtype=np.float64)
    if float32(factor) != factor:
        tie = (product.view(np.int64) & (1 << 29) - 1) == 1 << 28
        if (tie | ((abs(product) < _FP32.smallest_normal) & (product != 0))).any():
            product = operate("multiply", (values, factor), _FP32)
    return Tensor(product)


class fp8_autocast(contextlib.ContextDecorator):  # noqa: N801 - Transformer Engine's name
    """Compute the products of `nn.Linear` and of convolutions, transposed ones too, inside the block by an fp8 recipe.

    The object remembers scales and histories, one slot for each layer's input, weight and gradient:
    create it once and enter it once a training step. Everything but these products runs as it would
    without. Where an autocast block is in force too, it comes first: operands are cast to its format, then scaled and
    cast to fp8, and the result has its format.

    A layer is told by its weight and its place in the model, so that layers which share a weight have slots of their
    own. One whose weight is computed anew each time is told by its place and the weight's shape.

    Parameters
    ----------
    recipe : Recipe
        `Unscaled`, `CurrentScaling` or `DelayedScaling`.
    enabled : bool
        If False, the block changes nothing.

    Raises
    ------
    OptionError
        If it is given no recipe.
    StateError
        In the block, if nothing tells a layer of which the recipe remembers something: a weight that is computed anew
        and belongs to no module.

    Examples
    --------
    >>> import floatlab as fl
    >>> layer = fl.nn.Linear(2, 1, bias=False, rng=0)
    >>> layer.load_state_dict({"weight": [[2.0**-12, 2.0**-13]]})  # below all that E4M3 holds
    >>> x = fl.Tensor([[1.0, 1.0]])
    >>> for recipe in Unscaled(), CurrentScaling(power_of_two=True):
    ...     with fp8_autocast(recipe):
    ...         print(layer(x).item() / 2.0**-13)
    0.0
    3.0
    """

    def __init__(self, recipe: Recipe, enabled: bool = True) -> None:
        if not isinstance(recipe, Recipe):
            given = recipe.__name__ if isinstance(recipe, type) else repr(recipe)
            raise OptionError(
                f"A recipe says how fp8 is scaled. Got {given:.80}. Use DelayedScaling(); "
                "recipes of blocks go to block_autocast."
            )
        self.recipe, self.enabled = recipe, check_switch("enabled", enabled)
        self._remembers = type(recipe).end_step is not Recipe.end_step
        self._slots = Slots()

    def __enter__(self) -> Self:
        if self.enabled and is_recording():
            for slots in self._slots:
                for name, slot in slots.items():
                    self.recipe.end_step(slot, self._format(name))
        enter(self, product_rule, self._product if self.enabled else None)
        return self

    def __exit__(self, *exception: object) -> None:
        leave(self)

    def _format(self, name: str) -> FloatFormat:
        return get_format(self.recipe.backward if name == "gradient" else self.recipe.forward)

    def slots(self, weight: Tensor, layer: str | None = None) -> dict[str, Slot]:
        """Return the slots "input", "weight" and "gradient" of the layer that has this weight.

        Where several layers share it, `layer` says which: its dotted name in the model.
        """
        return self._slots.of_weight(weight, layer)

    def _product(self, op: str, x: Tensor, weight: Tensor, bias: Tensor | None, **params: Any) -> Tensor:
        slots = self._slots.of(weight, scope.get(), self._remembers)
        policy = cast_policy.get()
        if policy is not None:  # autocast comes first
            x, weight, *others = policy(op, (x, weight) if bias is None else (x, weight, bias))
            bias = others[0] if others else None
        output = x.format if self.recipe.output is None else self.recipe.output
        y = _ScaledProduct.apply(
            x, weight, op=op, params=params, recipe=self.recipe, slots=slots, remember=is_recording()
        )
        if bias is not None:
            y = y + bias.to(_FP32).reshape(-1, *(1,) * (0 if op == "linear" else y.ndim - 2))
        return y.to(output)

    def state_dict(self) -> dict[str, Any]:
        """Return the scales and histories, by the names of the weights."""
        return self._slots.state()

    def load_state_dict(self, state_dict: Mapping[str, Any], named_parameters: Any) -> None:
        """Load what `state_dict` returned, for a model's ``named_parameters()``."""
        self._slots.load(state_dict, dict(named_parameters))

    def __repr__(self) -> str:
        return f"fp8_autocast({self.recipe})"
