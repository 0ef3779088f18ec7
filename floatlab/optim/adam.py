"""How does a weight move? SGD and the Adam family; each `_update` is the rule, line for line.

Each call on the bench `b` is one operation whose result is rounded into the format named by `to`:
`b.compute` for intermediate results, `b.state` for what is remembered, `b.weight` for the weight. In the
comments g is the gradient, w the weight.

The rules, defaults and order of operations are those of torch.optim (single-tensor forms). Papers: SGD with
momentum and Nesterov, Sutskever et al. 2013; Adam, Kingma and Ba 2015; AdamW, Loshchilov and Hutter 2019;
NAdam, Dozat 2016.
"""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from floatlab.errors import OptionError
from floatlab.optim.optimizer import Arithmetic, Array, Optimizer, Params
from floatlab.optim.scalars import power
from floatlab.optim.workbench import Workbench

__all__ = ["SGD", "Adam", "AdamW", "NAdam"]

State = dict[str, Any]


def with_decay(b: Workbench, weight: Array, grad: Array, group: State) -> Array:
    """Return the gradient of the loss plus the L2 penalty: g + weight_decay * w."""
    if group["weight_decay"] == 0.0:
        return grad
    return b.add(grad, weight, group["weight_decay"], to=b.compute, out=b.a)


def decayed(b: Workbench, weight: Array, grad: Array, group: State, decoupled: bool) -> Array:
    """Apply weight decay: to the weight itself where it is decoupled, else to the gradient, which is returned."""
    if not decoupled:
        return with_decay(b, weight, grad, group)
    if group["weight_decay"] != 0.0:
        b.scale(weight, 1.0 - group["lr"] * group["weight_decay"], to=b.weight, out=weight)
    return grad


def average_square(b: Workbench, square: Array, grad: Array, decay: float) -> None:
    """Move the running mean of the squared gradient on: decay * square + (1 - decay) * g * g."""
    b.scale(square, decay, to=b.compute, out=b.b)
    b.add_product(b.b, grad, grad, 1.0 - decay, to=b.state, out=square)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum, Nesterov's momentum and weight decay.

    See `Optimizer` for `params` and for the formats (`state_format`, `master_weights`, `rounding`, ...).

    Examples
    --------
    >>> import numpy as np, floatlab as fl
    >>> w = fl.Tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> fl.optim.SGD([w], lr=0.25).step()
    >>> w.data
    array([0.5, 1. ], dtype=float32)
    """

    _non_negative = ("lr", "momentum", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **arithmetic: Unpack[Arithmetic],
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **arithmetic)

    def _check_group(self, group: State) -> None:
        super()._check_group(group)
        if group["nesterov"] and (group["momentum"] <= 0.0 or group["dampening"] != 0.0):
            raise OptionError(
                "Nesterov's momentum needs a momentum above 0 and no dampening. Got "
                f"momentum={group['momentum']}, dampening={group['dampening']}. Use momentum=0.9, "
                "dampening=0."
            )

    def _update(self, b: Workbench, weight: Array, grad: Array, state: State, group: State) -> None:
        momentum = group["momentum"]
        grad = with_decay(b, weight, grad, group)
        if momentum != 0.0:
            velocity = state.get("momentum_buffer")
            if velocity is None:  # the first step: v = g, without dampening
                velocity = state["momentum_buffer"] = b.new_state()
                b.scale(grad, 1.0, to=b.state, out=velocity)
            else:  # v = momentum * v + (1 - dampening) * g
                b.scale(velocity, momentum, to=b.compute, out=b.b)
                b.add(b.b, grad, 1.0 - group["dampening"], to=b.state, out=velocity)
            if group["nesterov"]:  # look ahead: g + momentum * v
                grad = b.add(grad, velocity, momentum, to=b.compute, out=b.a)
            else:
                grad = velocity
        b.add(weight, grad, -group["lr"], to=b.weight, out=weight)  # w = w - lr * v


class Adam(Optimizer):
    """Adam: the mean of the gradient divided by the root of the mean of its square.

    See `Optimizer` for `params` and for the formats. With `amsgrad` the largest mean of the square so far takes the
    place of the mean (Reddi et al. 2018). In pure fp16 the default epsilon of 1e-8 rounds to
    0, so a weight whose gradient is 0 becomes 0/0; in pure bf16 a second moment decayed by 0.999 never
    shrinks.

    Examples
    --------
    >>> import floatlab as fl
    >>> w = fl.Tensor([1.0], requires_grad=True, format="fp16")
    >>> adam = fl.optim.Adam([w], lr=0.1)
    >>> w.grad = fl.Tensor([0.0], format="fp16")
    >>> adam.step()
    >>> w.data  # epsilon has become 0: 0 / (sqrt(0) + 0)
    array([nan], dtype=float32)
    """

    #: Whether weight decay shrinks the weight directly (AdamW) or is added to the gradient (L2).
    _decoupled = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **arithmetic: Unpack[Arithmetic],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **arithmetic)

    def _update(self, b: Workbench, weight: Array, grad: Array, state: State, group: State) -> None:
        beta1, beta2 = group["betas"]
        grad = decayed(b, weight, grad, group, self._decoupled)
        if "exp_avg" not in state:
            state["exp_avg"], state["exp_avg_sq"] = b.new_state(), b.new_state()
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        b.blend(mean, grad, 1.0 - beta1, to=b.state, out=mean)
        average_square(b, square, grad, beta2)
        # Both means start at 0 and are too small at first by the factor 1 - beta**step.
        correction1 = 1.0 - power(beta1, state["step"])
        correction2 = 1.0 - power(beta2, state["step"])
        if group["amsgrad"]:  # the largest mean so far
            if "max_exp_avg_sq" not in state:
                state["max_exp_avg_sq"] = b.new_state()
            square = b.maximum(state["max_exp_avg_sq"], square, out=state["max_exp_avg_sq"])
        root = b.sqrt(square, to=b.compute, out=b.b)
        b.divide(root, math.sqrt(correction2), to=b.compute, out=root)
        b.shift(root, group["eps"], to=b.compute, out=root)
        b.add_quotient(weight, mean, root, -group["lr"] / correction1, to=b.weight, out=weight)


class AdamW(Adam):
    """Adam with decoupled weight decay: the weight is multiplied by 1 - lr * weight_decay.

    See `Adam` and `Optimizer`.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.optim.AdamW([fl.Tensor([1.0], requires_grad=True)]).param_groups[0]["weight_decay"]
    0.01
    """

    _decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **arithmetic: Unpack[Arithmetic],
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, **arithmetic)


class NAdam(Optimizer):
    """Adam with Nesterov's momentum.

    See `Optimizer` for `params` and for the formats.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.optim.NAdam([fl.Tensor([1.0], requires_grad=True)]).param_groups[0]["lr"]
    0.002
    """

    _non_negative = ("lr", "weight_decay", "eps", "momentum_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **arithmetic: Unpack[Arithmetic],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **arithmetic)

    def _update(self, b: Workbench, weight: Array, grad: Array, state: State, group: State) -> None:
        (beta1, beta2), step, lr = group["betas"], state["step"], group["lr"]
        grad = decayed(b, weight, grad, group, group["decoupled_weight_decay"])
        if "exp_avg" not in state:
            state["exp_avg"], state["exp_avg_sq"], state["mu_product"] = b.new_state(), b.new_state(), 1.0
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        # The momentum rises over time: mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2).
        now, following = (
            beta1 * (1.0 - 0.5 * power(0.96, t * group["momentum_decay"])) for t in (step, step + 1)
        )
        state["mu_product"] = _float32(state["mu_product"] * now)  # PyTorch keeps this product in float32
        product = state["mu_product"]
        b.blend(mean, grad, 1.0 - beta1, to=b.state, out=mean)
        average_square(b, square, grad, beta2)
        root = b.divide(square, 1.0 - power(beta2, step), to=b.compute, out=b.b)
        b.sqrt(root, to=b.compute, out=root)
        b.shift(root, group["eps"], to=b.compute, out=root)
        b.add_quotient(weight, grad, root, -lr * (1.0 - now) / (1.0 - product), to=b.weight, out=weight)
        b.add_quotient(
            weight, mean, root, -lr * following / (1.0 - product * following), to=b.weight, out=weight
        )


def _float32(value: float) -> float:
    return float(np.float32(value))
