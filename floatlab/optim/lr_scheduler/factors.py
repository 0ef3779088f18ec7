"""Which schedules multiply the rate? By a function, at every step, every so often, or along a line or a power.

The rules and defaults are those of torch.optim.lr_scheduler.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from floatlab.errors import OptionError
from floatlab.optim.lr_scheduler.base import LRScheduler, factor_of, milestones_of, steps_of
from floatlab.optim.optimizer import Optimizer
from floatlab.optim.parameters import is_number
from floatlab.optim.scalars import power

__all__ = [
    "ConstantLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "StepLR",
]


class LambdaLR(LRScheduler):
    """The base rate times a function of the step; it says the rate whatever others have set.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.LambdaLR(sgd, lambda n: 1 / (n + 1))
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        several = isinstance(self.lr_lambda, list | tuple)
        functions: Any = self.lr_lambda if several else [self.lr_lambda]
        for function in functions:
            if not callable(function):
                raise OptionError(
                    f"lr_lambda is a function of the step. Got {function!r}. Write it as in lambda n: 0.9**n."
                )
        groups = len(self.optimizer.param_groups)
        if several and len(functions) != groups:
            raise OptionError(
                f"{type(self).__name__} takes one function, or one a group. Got {len(functions)} for {groups} groups. "
                "Give as many as there are groups."
            )

    def _factor(self, n: int, group: int) -> float:
        function: Any = self.lr_lambda
        if isinstance(function, list | tuple):
            if group >= len(function):
                raise OptionError(
                    f"{type(self).__name__} has one function a group. Got none for group {group}, which was added "
                    "later. Give one function for all."
                )
            function = function[group]
        factor = function(n)
        if not is_number(factor):
            raise OptionError(f"lr_lambda returns a number. Got {factor!r} at step {n}. Return a factor.")
        return float(factor)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * lr_lambda(n)``."""
        return base * self._factor(n, group)

    def carried(self, lr: float, base: float, n: int, group: int) -> float:
        """Return ``base * lr_lambda(n)``."""
        return self.rate(base, n, group)


class MultiplicativeLR(LambdaLR):
    """The rate is multiplied by a function of the step, at each step from the first on.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.lr_scheduler.MultiplicativeLR(sgd, lambda n: 0.5)
    >>> for _ in range(3): schedule.step()
    >>> schedule.get_last_lr()
    [0.125]
    """

    _is_closed = False

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * lr_lambda(1) * ... * lr_lambda(n)``."""
        return math.prod((self._factor(k, group) for k in range(1, n + 1)), start=base)

    def carried(self, lr: float, base: float, n: int, group: int) -> float:
        """Return ``lr * lr_lambda(n)``."""
        return lr * self._factor(n, group) if n else lr


class StepLR(LRScheduler):
    """The rate is multiplied by `gamma` every `step_size` steps.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.StepLR(sgd, step_size=2, gamma=0.5)
    >>> for _ in range(4): schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    _settings = ("step_size", "gamma")

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        self.step_size, self.gamma = steps_of("step_size", self.step_size), factor_of("gamma", self.gamma)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * gamma ** (n // step_size)``."""
        return base * power(self.gamma, n // self.step_size)

    def carried(self, lr: float, base: float, n: int, group: int) -> float:
        """Return ``lr * gamma`` every `step_size` steps."""
        return lr if n == 0 or n % self.step_size else lr * self.gamma


class MultiStepLR(LRScheduler):
    """The rate is multiplied by `gamma` at each of the `milestones`; at one that is given twice, twice.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.lr_scheduler.MultiStepLR(sgd, milestones=[1, 3], gamma=0.5)
    >>> for _ in range(3): schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    _settings = ("milestones", "gamma")

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones: Any = milestones
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        self.milestones, self.gamma = milestones_of(self.milestones, 0), factor_of("gamma", self.gamma)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * gamma ** m``, m the number of milestones up to `n`."""
        return base * power(self.gamma, bisect_right(self.milestones, n))

    def carried(self, lr: float, base: float, n: int, group: int) -> float:
        """Return ``lr * gamma`` at a milestone."""
        return lr * power(self.gamma, self.milestones.count(n))


class ExponentialLR(LRScheduler):
    """The rate is multiplied by `gamma` at every step.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
    >>> for _ in range(3): schedule.step()
    >>> schedule.get_last_lr()
    [0.125]
    """

    _settings = ("gamma",)

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        self.gamma = factor_of("gamma", self.gamma)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * gamma ** n``."""
        return base * power(self.gamma, n)

    def carried(self, lr: float, base: float, n: int, group: int) -> float:
        """Return ``lr * gamma``."""
        return lr * self.gamma if n else lr


class ConstantLR(LRScheduler):
    """The rate is `factor` times the base rate for `total_iters` steps; then it is the base rate.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.lr_scheduler.ConstantLR(sgd, factor=0.5, total_iters=2)
    >>> rates = schedule.get_last_lr()
    >>> for _ in range(2):
    ...     schedule.step()
    ...     rates += schedule.get_last_lr()
    >>> rates
    [0.5, 0.5, 1.0]
    """

    _settings = ("factor", "total_iters")

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        self.factor = factor_of("factor", self.factor, most=1.0)
        self.total_iters = steps_of("total_iters", self.total_iters)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * factor`` while ``n < total_iters``, then `base`."""
        return base * self.factor if n < self.total_iters else base


class LinearLR(LRScheduler):
    """The rate goes in a straight line from `start_factor` to `end_factor` times the base rate.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.lr_scheduler.LinearLR(sgd, start_factor=0.5, total_iters=2)
    >>> rates = schedule.get_last_lr()
    >>> for _ in range(3):
    ...     schedule.step()
    ...     rates += schedule.get_last_lr()
    >>> rates
    [0.5, 0.75, 1.0, 1.0]
    """

    _settings = ("start_factor", "end_factor", "total_iters")

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        self.start_factor = factor_of("start_factor", self.start_factor, most=1.0)
        self.end_factor = factor_of("end_factor", self.end_factor, most=1.0)
        self.total_iters = steps_of("total_iters", self.total_iters)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * (start + (end - start) * min(n, total_iters) / total_iters)``."""
        gap = self.end_factor - self.start_factor
        return base * (self.start_factor + gap * min(n, self.total_iters) / self.total_iters)


class PolynomialLR(LRScheduler):
    """The rate falls to 0 in `total_iters` steps, as a power of what is left of them.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.lr_scheduler.PolynomialLR(sgd, total_iters=4, power=2.0)
    >>> for _ in range(2): schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    _settings = ("total_iters", "power")

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        self.total_iters = steps_of("total_iters", self.total_iters)
        self.power = factor_of("power", self.power)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * (1 - min(n, total_iters) / total_iters) ** power``."""
        return base * power(1.0 - min(n, self.total_iters) / self.total_iters, self.power)
