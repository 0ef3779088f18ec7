"""How does a weight move? RMSprop, Adagrad and Adadelta: the gradient divided by its own size so far.

The rules, defaults and order of operations are those of torch.optim (single-tensor forms); how to read them
is said in adam.py. Papers: RMSprop, Hinton's lecture 6e, 2012; Adagrad, Duchi et al. 2011; Adadelta,
Zeiler 2012.
"""

from __future__ import annotations

from typing import Unpack

from floatlab.errors import OptionError
from floatlab.optim.adam import State, average_square, with_decay
from floatlab.optim.optimizer import Arithmetic, Array, Optimizer, Params
from floatlab.optim.workbench import Workbench

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class RMSprop(Optimizer):
    """The gradient divided by the root of the running mean of its square.

    See `Optimizer` for `params` and for the formats. `centered` subtracts the square of the running mean.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.optim.RMSprop([fl.Tensor([1.0], requires_grad=True)]).param_groups[0]["alpha"]
    0.99
    """

    _non_negative = ("lr", "alpha", "eps", "weight_decay", "momentum")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **arithmetic: Unpack[Arithmetic],
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **arithmetic)

    def _update(self, b: Workbench, weight: Array, grad: Array, state: State, group: State) -> None:
        alpha, lr, momentum = group["alpha"], group["lr"], group["momentum"]
        grad = with_decay(b, weight, grad, group)
        names = ["square_avg", *["grad_avg"] * group["centered"], *["momentum_buffer"] * (momentum > 0.0)]
        for name in names:
            if name not in state:
                state[name] = b.new_state()
        square = state["square_avg"]
        average_square(b, square, grad, alpha)
        root = b.b
        if group["centered"]:
            mean = state["grad_avg"]
            b.blend(mean, grad, 1.0 - alpha, to=b.state, out=mean)
            b.add_product(square, mean, mean, -1.0, to=b.compute, out=root)
            b.sqrt(root, to=b.compute, out=root)
        else:
            b.sqrt(square, to=b.compute, out=root)
        b.shift(root, group["eps"], to=b.compute, out=root)
        if momentum > 0.0:
            velocity = state["momentum_buffer"]
            b.scale(velocity, momentum, to=b.compute, out=b.c)
            b.add_quotient(b.c, grad, root, to=b.state, out=velocity)
            b.add(weight, velocity, -lr, to=b.weight, out=weight)
        else:
            b.add_quotient(weight, grad, root, -lr, to=b.weight, out=weight)


class Adagrad(Optimizer):
    """The gradient divided by the root of the sum of all its squares so far.

    See `Optimizer` for `params` and for the formats. That sum only grows, so in a narrow format it soon stops
    taking anything in.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.optim.Adagrad([fl.Tensor([1.0], requires_grad=True)]).param_groups[0]["eps"]
    1e-10
    """

    _non_negative = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        **arithmetic: Unpack[Arithmetic],
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **arithmetic)

    def _update(self, b: Workbench, weight: Array, grad: Array, state: State, group: State) -> None:
        grad = with_decay(b, weight, grad, group)
        if "sum" not in state:
            state["sum"] = b.new_state(group["initial_accumulator_value"])
        lr = group["lr"] / (1.0 + (state["step"] - 1) * group["lr_decay"])
        b.add_product(state["sum"], grad, grad, to=b.state, out=state["sum"])
        root = b.sqrt(state["sum"], to=b.compute, out=b.b)
        b.shift(root, group["eps"], to=b.compute, out=root)
        b.add_quotient(weight, grad, root, -lr, to=b.weight, out=weight)


class Adadelta(Optimizer):
    """Steps in units of the weight itself: root mean square of the updates over that of the gradients.

    See `Optimizer` for `params` and for the formats.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.optim.Adadelta([fl.Tensor([1.0], requires_grad=True)]).param_groups[0]["lr"]
    1.0
    """

    _non_negative = ("lr", "eps", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **arithmetic: Unpack[Arithmetic],
    ) -> None:
        defaults = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults, **arithmetic)

    def _check_group(self, group: State) -> None:
        super()._check_group(group)
        if not 0.0 <= group["rho"] <= 1.0:
            raise OptionError(f"rho lies in [0, 1]. Got {group['rho']!r}. The usual one is 0.9.")

    def _update(self, b: Workbench, weight: Array, grad: Array, state: State, group: State) -> None:
        rho, eps = group["rho"], group["eps"]
        grad = with_decay(b, weight, grad, group)
        if "square_avg" not in state:
            state["square_avg"], state["acc_delta"] = b.new_state(), b.new_state()
        square, moved = state["square_avg"], state["acc_delta"]
        average_square(b, square, grad, rho)
        root = b.shift(square, eps, to=b.compute, out=b.b)
        b.sqrt(root, to=b.compute, out=root)
        delta = b.shift(moved, eps, to=b.compute, out=b.c)
        b.sqrt(delta, to=b.compute, out=delta)
        b.divide(delta, root, to=b.compute, out=delta)
        b.multiply(delta, grad, to=b.compute, out=delta)  # sqrt(moved + eps) / sqrt(square + eps) * g
        average_square(b, moved, delta, rho)
        b.add(weight, delta, -group["lr"], to=b.weight, out=weight)
