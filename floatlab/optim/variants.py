"""How does a weight move? RAdam, Adamax and Lion: Adam with a corrected start, with maxima, or by signs alone.

The rules and defaults of the first two are those of torch.optim (single-tensor forms); how to read them is said in
adam.py. Papers: RAdam, Liu et al. 2020; Adamax, Kingma and Ba 2015, section 7; Lion, Chen et al. 2023 ("Symbolic
discovery of optimization algorithms", program 1).
"""

from __future__ import annotations

import math
from typing import Unpack

import numpy as np

from floatlab.optim.adam import State, average_square, decayed, with_decay
from floatlab.optim.optimizer import Arithmetic, Array, Optimizer, Params
from floatlab.optim.scalars import power
from floatlab.optim.workbench import Workbench

__all__ = ["Adamax", "Lion", "RAdam"]


class RAdam(Optimizer):
    """Adam whose first steps, when the second moment is known from a few gradients only, are held back.

    See `Optimizer` for `params` and for the formats. While the length of the running mean is at most 5, the step goes
    by the mean of the gradient alone.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.optim.RAdam([fl.Tensor([1.0], requires_grad=True)]).param_groups[0]["lr"]
    0.001
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
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
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **arithmetic)

    def _update(self, b: Workbench, weight: Array, grad: Array, state: State, group: State) -> None:
        (beta1, beta2), step, lr = group["betas"], state["step"], group["lr"]
        grad = decayed(b, weight, grad, group, group["decoupled_weight_decay"])
        if "exp_avg" not in state:
            state["exp_avg"], state["exp_avg_sq"] = b.new_state(), b.new_state()
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        b.blend(mean, grad, 1.0 - beta1, to=b.state, out=mean)
        average_square(b, square, grad, beta2)
        mean = b.divide(mean, 1.0 - power(beta1, step), to=b.compute, out=b.c)
        # How many gradients the mean of the squares is worth, at most and now.
        correction = 1.0 - power(beta2, step)
        longest = 2.0 / (1.0 - beta2) - 1.0
        length = longest - 2.0 * step * power(beta2, step) / correction
        if length <= 5.0:
            b.add(weight, mean, -lr, to=b.weight, out=weight)
            return
        rectified = math.sqrt(
            (length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length)
        )
        root = b.sqrt(square, to=b.compute, out=b.b)
        b.shift(root, group["eps"], to=b.compute, out=root)
        b.add_quotient(weight, mean, root, -lr * rectified * math.sqrt(correction), to=b.weight, out=weight)


class Adamax(Optimizer):
    """Adam with the largest gradient so far, which slowly fades, in place of the root of the mean square.

    See `Optimizer` for `params` and for the formats.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.optim.Adamax([fl.Tensor([1.0], requires_grad=True)]).param_groups[0]["lr"]
    0.002
    """

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **arithmetic: Unpack[Arithmetic],
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults, **arithmetic)

    def _update(self, b: Workbench, weight: Array, grad: Array, state: State, group: State) -> None:
        beta1, beta2 = group["betas"]
        grad = with_decay(b, weight, grad, group)
        if "exp_avg" not in state:
            state["exp_avg"], state["exp_inf"] = b.new_state(), b.new_state()
        mean, largest = state["exp_avg"], state["exp_inf"]
        b.blend(mean, grad, 1.0 - beta1, to=b.state, out=mean)
        b.scale(largest, beta2, to=b.state, out=largest)
        size = b.shift(np.abs(grad), group["eps"], to=b.state, out=np.empty_like(largest))
        b.maximum(largest, size, out=largest)
        factor = -group["lr"] / (1.0 - power(beta1, state["step"]))
        b.add_quotient(weight, mean, largest, factor, to=b.weight, out=weight)


class Lion(Optimizer):
    """By the sign of the momentum alone: every weight moves by the learning rate, up or down.

    See `Optimizer` for `params` and for the formats. Its rate is three to ten times lower than Adam's, its weight
    decay, which is decoupled, as much higher.

    Examples
    --------
    >>> import floatlab as fl
    >>> w = fl.Tensor([1.0, 1.0, 1.0], requires_grad=True)
    >>> w.grad = fl.Tensor([3.0, -0.001, 0.0])
    >>> fl.optim.Lion([w], lr=0.25).step()
    >>> w.data
    array([0.75, 1.25, 1.  ], dtype=float32)
    """

    _non_negative = ("lr", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **arithmetic: Unpack[Arithmetic],
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults, **arithmetic)

    def _update(self, b: Workbench, weight: Array, grad: Array, state: State, group: State) -> None:
        (beta1, beta2), lr = group["betas"], group["lr"]
        grad = decayed(b, weight, grad, group, True)
        if "exp_avg" not in state:
            state["exp_avg"] = b.new_state()
        mean = state["exp_avg"]
        direction = b.blend(mean, grad, 1.0 - beta1, to=b.compute, out=b.b)
        np.sign(direction, out=direction)
        b.add(weight, direction, -lr, to=b.weight, out=weight)
        b.blend(mean, grad, 1.0 - beta2, to=b.state, out=mean)
