"""Which layers are nothing but a function? Activations, pooling, shapes: each calls `functional` with its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from floatlab.autograd import Tensor
from floatlab.errors import OptionError, check_option, check_switch
from floatlab.nn import functional as F  # noqa: N812
from floatlab.nn.arguments import is_whole, number, pair
from floatlab.nn.module import Module

__all__ = [
    "CHECKS",
    "ELU",
    "GELU",
    "SELU",
    "Flatten",
    "FunctionLayer",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "Upsample",
]


def _axis(name: str, value: Any) -> None:
    if not is_whole(value):
        raise OptionError(f"{name} is the number of an axis. Got {value!r}. Use -1 for the last one.")


def _pooled(name: str, value: Any) -> None:
    sizes = value if isinstance(value, tuple | list) else (value, value)
    pair(name, tuple(1 if size is None else size for size in sizes))


#: What an option can be: a wrong one is an error when the layer is made, and not in the first batch.
CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "approximate": lambda name, value: check_option(name, value, ("none", "tanh")),
    "negative_slope": number,
    "alpha": number,
    "min_val": number,
    "max_val": number,
    "beta": lambda name, value: number(name, value, 0.0, beyond=True),
    "dim": _axis,
    "start_dim": _axis,
    "end_dim": _axis,
    "kernel_size": pair,
    "stride": lambda name, value: None if value is None else pair(name, value),
    "padding": lambda name, value: pair(name, value, 0),
    "output_size": _pooled,
}


class FunctionLayer(Module):
    """A layer without weights: a function of `functional` and its options, which become attributes."""

    _function: Any
    _checks = CHECKS

    def __init__(self, *, inplace: bool = False, **options: Any) -> None:
        super().__init__()
        check_switch("inplace", inplace)
        self._options = options
        known = list(inspect.signature(type(self)._function).parameters)[1:]
        for name, value in options.items():
            if name not in known:
                raise OptionError(
                    f"{type(self).__name__} takes {', '.join(known) or 'no options'}. Got {name!r}. Leave it out."
                )
            if name in self._checks:
                self._checks[name](name, value)
            setattr(self, name, value)

    def forward(self, *inputs: Any) -> Tensor:
        """Call the function."""
        result: Tensor = type(self)._function(*inputs, **self._options)
        return result

    def extra_repr(self) -> str:
        """Return the options."""
        return ", ".join(f"{name}={value!r}" for name, value in self._options.items())


class _Plain(FunctionLayer):
    """A function without options; `inplace` is accepted and changes nothing: a new tensor is returned."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class Identity(FunctionLayer):
    """Returns its input."""

    _function = staticmethod(lambda x: x)

    def __init__(self) -> None:
        super().__init__()


# -- activations -------------------------------------------------------------------------------------


class ReLU(_Plain):
    """max(x, 0). `inplace` is accepted and changes nothing."""

    _function = staticmethod(F.relu)


class ReLU6(_Plain):
    """x, kept between 0 and 6."""

    _function = staticmethod(F.relu6)


class SELU(_Plain):
    """An ELU that keeps mean 0 and variance 1 (Klambauer et al. 2017)."""

    _function = staticmethod(F.selu)


class SiLU(_Plain):
    """x times sigmoid(x), also called swish."""

    _function = staticmethod(F.silu)


class Mish(_Plain):
    """x times tanh(softplus(x)) (Misra 2019)."""

    _function = staticmethod(F.mish)


class Hardswish(_Plain):
    """x times (x + 3) / 6, that kept between 0 and 1 (Howard et al. 2019)."""

    _function = staticmethod(F.hardswish)


class Hardsigmoid(_Plain):
    """(x + 3) / 6, kept between 0 and 1."""

    _function = staticmethod(F.hardsigmoid)


class Tanh(FunctionLayer):
    """The hyperbolic tangent."""

    _function = staticmethod(F.tanh)

    def __init__(self) -> None:
        super().__init__()


class Sigmoid(FunctionLayer):
    """1 / (1 + e^-x)."""

    _function = staticmethod(F.sigmoid)

    def __init__(self) -> None:
        super().__init__()


class LogSigmoid(FunctionLayer):
    """The logarithm of sigmoid."""

    _function = staticmethod(F.logsigmoid)

    def __init__(self) -> None:
        super().__init__()


class Softsign(FunctionLayer):
    """``x / (1 + |x|)``."""

    _function = staticmethod(F.softsign)

    def __init__(self) -> None:
        super().__init__()


class LeakyReLU(FunctionLayer):
    """x where it is positive, negative_slope * x elsewhere."""

    _function = staticmethod(F.leaky_relu)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class ELU(FunctionLayer):
    """x where it is positive, alpha * (e^x - 1) elsewhere (Clevert et al. 2015)."""

    _function = staticmethod(F.elu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(alpha=alpha, inplace=inplace)


class Hardtanh(FunctionLayer):
    """x, kept between two bounds; at a bound there is no gradient."""

    _function = staticmethod(F.hardtanh)

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(min_val=min_val, max_val=max_val, inplace=inplace)
        if not min_val < max_val:
            raise OptionError(f"min_val is below max_val. Got {min_val!r} and {max_val!r}. Exchange them.")


class GELU(FunctionLayer):
    """x times the normal distribution function of x (Hendrycks and Gimpel 2016)."""

    _function = staticmethod(F.gelu)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class Softplus(FunctionLayer):
    """log(1 + e^(beta x)) / beta, exact for every x: there is no threshold beyond which it would be x."""

    _function = staticmethod(F.softplus)

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__(beta=beta)


class Softmax(FunctionLayer):
    """e^x divided by its sum along an axis."""

    _function = staticmethod(F.softmax)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class LogSoftmax(FunctionLayer):
    """The logarithm of softmax."""

    _function = staticmethod(F.log_softmax)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


# -- shapes and windows ------------------------------------------------------------------------------


class Flatten(FunctionLayer):
    """Makes the axes from `start_dim` to `end_dim` one; the batch axis stays."""

    _function = staticmethod(F.flatten)

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__(start_dim=start_dim, end_dim=end_dim)


class Upsample(FunctionLayer):
    """Images (N, C, H, W) in another size; options as in `functional.interpolate`."""

    _function = staticmethod(F.interpolate)

    def __init__(
        self,
        size: F.Pair | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        check_option("mode", mode, ("nearest", "bilinear"))
        super().__init__(size=size, scale_factor=scale_factor, mode=mode, align_corners=align_corners)
