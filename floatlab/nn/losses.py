"""The losses as layers: each a function of `functional` and its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from floatlab.autograd.ops.losses import REDUCTIONS, smoothing_of
from floatlab.errors import OptionError, check_option
from floatlab.nn import functional as F  # noqa: N812
from floatlab.nn.arguments import is_whole, number
from floatlab.nn.functions import CHECKS, FunctionLayer

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
    "SmoothL1Loss",
]


def _whole(name: str, value: Any) -> None:
    if not is_whole(value):
        raise OptionError(f"{name} is an integer. Got {value!r}. Use a label that is no class.")


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    **CHECKS,
    "reduction": lambda name, value: check_option(name, value, REDUCTIONS),
    "label_smoothing": lambda name, value: smoothing_of(value),
    "ignore_index": _whole,
    "delta": lambda name, value: number(name, value, 0.0, beyond=True),
    "beta": lambda name, value: number(name, value, 0.0),
}


class _Loss(FunctionLayer):
    _checks = _CHECKS


class CrossEntropyLoss(_Loss):
    """Minus the log of the softmax of scores (N, classes, d1, ...) at integer labels (N, d1, ...), or at targets.

    Options as in `functional.cross_entropy`; all but the first are given by name.

    Examples
    --------
    >>> import floatlab as fl
    >>> CrossEntropyLoss(ignore_index=0)(fl.Tensor([[0.0, 0.0], [9.0, 0.0]]), [1, 0]).item()
    0.6931471824645996
    """

    _function = staticmethod(F.cross_entropy)

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
        )


class NLLLoss(_Loss):
    """Minus the log-probabilities (N, classes, d1, ...) at integer labels (N, d1, ...)."""

    _function = staticmethod(F.nll_loss)

    def __init__(self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction)


class MSELoss(_Loss):
    """The squared difference of two tensors of one shape."""

    _function = staticmethod(F.mse_loss)

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class L1Loss(_Loss):
    """The magnitude of the difference of two tensors of one shape."""

    _function = staticmethod(F.l1_loss)

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class SmoothL1Loss(_Loss):
    """The magnitude of the difference less beta / 2; below beta a parabola (Girshick 2015)."""

    _function = staticmethod(F.smooth_l1_loss)

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction, beta=beta)


class HuberLoss(_Loss):
    """Half the squared difference; beyond delta a straight line (Huber 1964)."""

    _function = staticmethod(F.huber_loss)

    def __init__(self, *, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction, delta=delta)


class KLDivLoss(_Loss):
    """How far log-probabilities are from target probabilities; options as in `functional.kl_div`."""

    _function = staticmethod(F.kl_div)
    _checks = {  # noqa: RUF012 - a table like that of the others
        **_CHECKS,
        "reduction": lambda name, value: check_option(name, value, (*REDUCTIONS, "batchmean")),
    }

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction=reduction, log_target=log_target)


class BCELoss(_Loss):
    """The cross entropy of probabilities from 0 to 1 against targets from 0 to 1.

    Under autocast it is refused, as in PyTorch: a sigmoid in fp16 is 1 long before its logit is large.
    """

    _function = staticmethod(F.binary_cross_entropy)

    def __init__(self, weight: Any = None, *, reduction: str = "mean") -> None:
        super().__init__(weight=weight, reduction=reduction)


class BCEWithLogitsLoss(_Loss):
    """The cross entropy of sigmoid(x) against targets from 0 to 1."""

    _function = staticmethod(F.binary_cross_entropy_with_logits)

    def __init__(self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(weight=weight, reduction=reduction, pos_weight=pos_weight)
