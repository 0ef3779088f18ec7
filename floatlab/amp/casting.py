"""Which operation runs in which format? PyTorch's op lists as a table, and the context that applies it.

Inside ``autocast("fp16")`` the weights stay fp32 leaves. What an operation of the first list reads is
cast first, and the cast is part of the graph: a weight's gradient comes back through fp16 on its way to
fp32.

    x fp32 ──cast──> fp16 ─┐
                           linear ──> fp16 ──relu──> fp16 ──cast──> fp32 ──cross_entropy──> fp32
    w fp32 ──cast──> fp16 ─┘

The lists are those of PyTorch's CUDA autocast, for the operations that there are here. A float64 tensor
is never cast, as there.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Self, TypeVar

from floatlab.amp.blocks import enter, leave
from floatlab.amp.positional import merge_positional
from floatlab.autograd import Tensor, cast_policy
from floatlab.autograd.devices import check_device, is_device
from floatlab.autograd.rounding import is_subset
from floatlab.context import current
from floatlab.errors import AutogradError, OptionError, check_switch
from floatlab.formats import FloatFormat, get_format

__all__ = [
    "AUTOCAST_TABLE",
    "autocast",
    "custom_bwd",
    "custom_fwd",
    "get_autocast_format",
    "is_autocast_enabled",
]

_FP32 = get_format("float32")
_FP64 = get_format("float64")

#: What autocast does to an operation's inputs. An operation in no list runs in the format of its inputs: relu, tanh,
#: sigmoid, gelu, max, mean, reshape, pooling, batch_norm (whose weights stay fp32) and all the others.
AUTOCAST_TABLE: dict[str, tuple[str, ...]] = {
    # Sums of many products: what tensor cores are for, and what tolerates narrow operands.
    "low precision": ("matmul", "linear", "conv2d", "conv_transpose2d"),
    # Results that leave a narrow format's range easily, or that add up many terms.
    "float32": (
        "pow",
        "exp",
        "log",
        "expm1",
        "log2",
        "log10",
        "log1p",
        "arccos",
        "arcsin",
        "cosh",
        "sinh",
        "tan",
        "rsqrt",
        "norm",
        "cumsum",
        "prod",
        "normalize",
        "cosine_similarity",
        "softplus",
        "softmax",
        "log_softmax",
        "layer_norm",
        "group_norm",
        "sum",
        "cross_entropy",
        "soft_cross_entropy",
        "nll",
        "mse",
        "l1",
        "smooth_l1",
        "huber",
        "kl_div",
        "bce_with_logits",
    ),
    # A sigmoid in a narrow format is 1 long before its logit is large, and the loss then has no gradient to give.
    "refused": ("bce",),
    # Operations that meet inputs of several formats.
    "widest input": (
        "add",
        "add_scaled",
        "sub",
        "mul",
        "div",
        "arctan2",
        "hypot",
        "logaddexp",
        "logaddexp2",
        "maximum",
        "minimum",
        "where",
        "put",
        "scatter_add",
        "cat",
        "stack",
    ),
}
_HERE = ("format", "enabled", "gradient_format")
_AS_IN_PYTORCH = ("device_type", "dtype", "enabled", "cache_enabled")
_DEFAULTS = {**dict.fromkeys((*_HERE, *_AS_IN_PYTORCH)), "enabled": True}
_RULE = {name: rule for rule, names in AUTOCAST_TABLE.items() for name in names}


def widest(tensors: tuple[Tensor, ...]) -> FloatFormat:
    """Return the format among the tensors' that holds all values of the others.

    It is fp32 if none does, as with fp16 and bf16.

    >>> widest((Tensor([1.0], format="fp16"), Tensor([1.0], format="bf16"))).name
    'float32'
    """
    formats = [t.format for t in tensors]
    for fmt in formats:
        if all(is_subset(other, fmt) for other in formats):
            return fmt
    return _FP32


class _Caster:
    """The cast policy of one autocast block: called by `apply` with an operation and its inputs."""

    def __init__(self, fmt: FloatFormat, gradient_format: FloatFormat, cache: dict[Any, Tensor]) -> None:
        self.format, self.gradient_format, self.cache = fmt, gradient_format, cache

    def __call__(self, name: str, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        rule = _RULE.get(name)
        if rule == "low precision":
            return tuple(self._narrow(t) for t in tensors)
        if rule == "float32":
            return tuple(t if t.format.same_as(_FP64) else t.to(_FP32) for t in tensors)
        if rule == "refused":
            raise AutogradError(
                f"binary_cross_entropy and BCELoss are unsafe to autocast. Got {tensors[0].format.spec} probabilities. "
                "Leave the sigmoid out and use binary_cross_entropy_with_logits or BCEWithLogitsLoss."
            )
        if rule == "widest input":
            first = tensors[0].format
            if any(t.format is not first for t in tensors):
                fmt = widest(tensors)
                return tuple(t if t.format.same_as(fmt) else t.to(fmt) for t in tensors)
        return tensors

    def _narrow(self, t: Tensor) -> Tensor:
        if t.format is self.format or t.format.same_as(_FP64):
            return t
        if not (t.is_leaf and t.requires_grad):
            return t.to(self.format, self.gradient_format)
        # A weight is cast once in a block, however often it is used. The key holds its version, so that a
        # weight that has been updated is cast anew. A cast that has no graph (made under no_grad, or freed by
        # backward) cannot be used again either, nor one that was rounded in another context.
        key = (id(t), t._version[0], self.format, self.gradient_format)
        cast = self.cache.get(key)
        node = None if cast is None else cast._node
        if cast is None or node is None or node.kept is None or node.arithmetic != current():
            cast = self.cache[key] = t.to(self.format, self.gradient_format)
        return cast


class autocast(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Run matrix products in a narrow format and delicate operations in fp32; see `AUTOCAST_TABLE`.

    Parameters
    ----------
    format : str or FloatFormat
        The narrow format, by default fp16. Any: "fp16", "bf16", "e4m3" ...
    enabled : bool
        If False, nothing is cast inside, not even where an outer block would.
    gradient_format : str or FloatFormat, optional
        The format of the gradients that go back through the narrow tensors; by default `format` itself. fp8
        training keeps values in e4m3 and gradients in e5m2.
    device_type, dtype, cache_enabled : optional
        PyTorch's words, as in ``autocast("cuda", dtype="bf16")``: `dtype` is the format, by default fp16, and bf16 for
        "cpu"; what else a device and a cache are means nothing here.

    The first three may come by position, or PyTorch's four (`device_type`, `dtype`, `enabled`, `cache_enabled`) where
    the first is the name of a device. Blocks may be nested; the innermost counts. One may be entered in several threads
    at once. It is also a decorator.

    Raises
    ------
    FormatError
        If a format is unknown.
    OptionError
        If an option has a value that it cannot take, or comes twice.

    Examples
    --------
    >>> import floatlab as fl
    >>> w = fl.Tensor([[1.0, 2.0]], requires_grad=True)
    >>> with autocast("fp16"):
    ...     y = w @ fl.Tensor([[0.1], [0.1]])
    >>> y.format.name, y.item()
    ('float16', 0.2998046875)
    >>> y.backward()
    >>> w.grad.format.name, w.grad.data  # fp32, after fp16 has rounded it
    ('float32', array([[0.09997559, 0.09997559]], dtype=float32))
    """

    def __init__(
        self,
        *given: Any,
        format: str | FloatFormat | None = None,
        enabled: bool = True,
        gradient_format: str | FloatFormat | None = None,
        device_type: str | None = None,
        dtype: str | FloatFormat | None = None,
        cache_enabled: bool | None = None,
    ) -> None:
        named = {
            "format": format,
            "enabled": enabled,
            "gradient_format": gradient_format,
            "device_type": device_type,
            "dtype": dtype,
            "cache_enabled": cache_enabled,
        }
        names = _AS_IN_PYTORCH if given and is_device(given[0]) else _HERE
        options = merge_positional("autocast", names, given, named, _DEFAULTS)
        device, formats = options["device_type"], [options["format"], options["dtype"]]
        if device is not None:
            check_device("device_type", device)
        if None not in formats:
            raise OptionError(
                f"dtype is PyTorch's word for the format. Got dtype={formats[1]!r} beside {formats[0]!r}. Give one."
            )
        default = "bf16" if device is not None and device.partition(":")[0] == "cpu" else "fp16"  # as PyTorch
        self.format = get_format(next((fmt for fmt in formats if fmt is not None), default))
        back = options["gradient_format"]
        self.gradient_format = self.format if back is None else get_format(back)
        self.enabled = check_switch("enabled", options["enabled"])
        if options["cache_enabled"] is not None:
            check_switch("cache_enabled", options["cache_enabled"])

    def __enter__(self) -> Self:
        outer = cast_policy.get()
        policy = None
        if self.enabled:
            # An inner block shares the outer one's cache; the outermost one's goes with its policy at the
            # end.
            cache = outer.cache if isinstance(outer, _Caster) else {}
            policy = _Caster(self.format, self.gradient_format, cache)
        enter(self, cast_policy, policy)
        return self

    def __exit__(self, *exception: object) -> None:
        leave(self)

    def __repr__(self) -> str:
        formats = f"{self.format.spec!r}, gradient_format={self.gradient_format.spec!r}"
        return f"autocast({formats}, enabled={self.enabled})"


def is_autocast_enabled() -> bool:
    """Return whether an enabled autocast block is in force.

    >>> with autocast("bf16"):
    ...     print(is_autocast_enabled())
    True
    """
    return isinstance(cast_policy.get(), _Caster)


def get_autocast_format() -> FloatFormat | None:
    """Return the narrow format of the autocast block in force, or None."""
    policy = cast_policy.get()
    return policy.format if isinstance(policy, _Caster) else None


# -- custom operations -------------------------------------------------------------------------------

_Method = TypeVar("_Method", bound=Callable[..., Any])


def custom_fwd(
    forward: _Method | None = None, *, cast_inputs: str | FloatFormat | None = None
) -> _Method | Callable[[_Method], _Method]:
    """Decorate the `forward` of a custom `Function` for use under autocast.

    With `cast_inputs`, tensors are cast to that format and the body runs with autocast off (outside an
    autocast block it does nothing). Without, the body runs under whatever autocast is in force. Either
    way `custom_bwd` finds the same state again in backward.

    Examples
    --------
    >>> class Square:
    ...     @staticmethod
    ...     @custom_fwd(cast_inputs="fp32")
    ...     def forward(ctx, x):
    ...         return x * x
    """
    if forward is None:
        return functools.partial(custom_fwd, cast_inputs=cast_inputs)  # type: ignore[return-value]

    @functools.wraps(forward)
    def wrapper(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        policy = cast_policy.get()
        if cast_inputs is None or not isinstance(policy, _Caster):
            ctx._autocast_policy = policy
            return forward(ctx, *args, **kwargs)
        ctx._autocast_policy = None
        fmt = get_format(cast_inputs)
        with autocast(fmt, enabled=False):
            return forward(
                ctx, *(_cast(a, fmt) for a in args), **{k: _cast(v, fmt) for k, v in kwargs.items()}
            )

    return wrapper


def custom_bwd(backward: _Method) -> _Method:
    """Decorate the `backward` of a custom `Function`: it runs under the autocast of its `custom_fwd`."""

    @functools.wraps(backward)
    def wrapper(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(ctx, "_autocast_policy"):
            raise AutogradError(
                "custom_bwd replays the autocast state that custom_fwd has noted. Got a forward without it. "
                "Decorate forward with custom_fwd too."
            )
        token = cast_policy.set(ctx._autocast_policy)
        try:
            return backward(ctx, *args, **kwargs)
        finally:
            cast_policy.reset(token)

    return wrapper  # type: ignore[return-value]


def _cast(value: Any, fmt: FloatFormat) -> Any:
    if isinstance(value, Tensor):
        return value if value.format.same_as(_FP64) else value.to(fmt)
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(item, fmt) for item in value)
    return {key: _cast(item, fmt) for key, item in value.items()} if isinstance(value, dict) else value
