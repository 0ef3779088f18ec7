"""How does the learning rate change over time? Schedules, each a function of the step.

A schedule multiplies the learning rate of every group of an optimizer by ``factor(n)``, n counting the
calls of `step` from 0. (PyTorch updates the rate from its last value; the closed form gives the same
rates without collecting rounding errors, and a resumed run needs nothing but n.)

A step that a gradient scaler skipped is not a step: ask ``scaler.last_step_was_skipped`` before
``schedule.step()``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from floatlab.errors import OptionError, StateError
from floatlab.optim.optimizer import Optimizer
from floatlab.optim.parameters import is_number
from floatlab.optim.scalars import cosine_of_pi, power

__all__ = ["CosineAnnealingLR", "LRScheduler", "LambdaLR", "LinearWarmup", "StepLR"]


class LRScheduler:
    """The base of the schedules: subclasses define `rate`.

    Parameters
    ----------
    optimizer : Optimizer
        Whose groups' ``lr`` is set. The rate of each group at this moment is its base rate.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise OptionError(
                f"A schedule sets the rates of an optimizer. Got {type(optimizer).__name__}. "
                "Create the optimizer first, and give it."
            )
        self.optimizer = optimizer
        self.last_epoch = 0
        self.base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self._apply()

    def rate(self, base: float, n: int, group: int) -> float:
        """Return the learning rate after `n` steps of the schedule, for a group whose base rate is `base`."""
        raise TypeError(f"{type(self).__name__} has no rate. Define rate(base, n, group) in the subclass.")

    def step(self) -> None:
        """Go on by one step (or epoch: the unit is yours)."""
        self.last_epoch += 1
        self._apply()

    def get_last_lr(self) -> list[float]:
        """Return the learning rates now in force, one a group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def _apply(self) -> None:
        for position, (group, base) in enumerate(
            zip(self.optimizer.param_groups, self.base_lrs, strict=True)
        ):
            group["lr"] = self.rate(base, self.last_epoch, position)

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the schedule and the base rates."""
        return {
            "schedule": type(self).__name__,
            "last_epoch": self.last_epoch,
            "base_lrs": list(self.base_lrs),
        }

    def check_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Raise StateError if `state_dict` does not fit this schedule; change nothing."""
        mine = self.state_dict()
        if set(state_dict) != set(mine) or state_dict["schedule"] != mine["schedule"]:
            raise StateError(
                "A schedule's state is loaded into a schedule of its kind. Got "
                f"{state_dict.get('schedule')!r} for {mine['schedule']!r}. Create the schedule that was "
                "saved."
            )
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise StateError(
                f"A schedule has one base rate a group. Got {len(state_dict['base_lrs'])} for "
                f"{len(self.base_lrs)}. "
                "Create the optimizer with the same groups."
            )

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned, and set the optimizer's rates accordingly."""
        self.check_state_dict(state_dict)
        self.last_epoch, self.base_lrs = state_dict["last_epoch"], list(state_dict["base_lrs"])
        self._apply()


class LambdaLR(LRScheduler):
    """The base rate times a function of the step.

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
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | list[Callable[[int], float]]
    ) -> None:
        groups = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, list) else [lr_lambda] * groups
        for function in self.lr_lambdas:
            if not callable(function):
                raise OptionError(
                    f"lr_lambda is a function of the step. Got {function!r}. Write it as in lambda n: 0.9**n."
                )
        if len(self.lr_lambdas) != groups:
            raise OptionError(
                f"LambdaLR takes one function, or one a group. Got {len(self.lr_lambdas)} for {groups} "
                "groups. "
                "Give as many as there are groups."
            )
        super().__init__(optimizer)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * lr_lambda(n)``."""
        return base * float(self.lr_lambdas[group](n))


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

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = _steps("step_size", step_size), _finite("gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * gamma ** (n // step_size)``."""
        return base * power(self.gamma, n // self.step_size)


class CosineAnnealingLR(LRScheduler):
    """From the base rate down to `eta_min` along half a cosine of `T_max` steps (Loshchilov and Hutter 2017).

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.CosineAnnealingLR(sgd, T_max=2)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = _steps("T_max", T_max), _finite("eta_min", eta_min)
        super().__init__(optimizer)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``eta_min + (base - eta_min) * (1 + cos(pi n / T_max)) / 2``."""
        return self.eta_min + (base - self.eta_min) * (1.0 + cosine_of_pi(n, self.T_max)) / 2.0


class LinearWarmup(LRScheduler):
    """The rate rises in a straight line over `steps` steps; then it stays, or follows `after`.

    Parameters
    ----------
    optimizer : Optimizer
        As in `LRScheduler`.
    steps : int
        How many steps the rise takes.
    start_factor : float
        What share of the base rate it starts from.
    after : LRScheduler, optional
        The schedule that then begins, at its own step 0. Create it first, for the same optimizer.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.LinearWarmup(sgd, 4, after=fl.optim.StepLR(sgd, 1))
    >>> rates = schedule.get_last_lr()
    >>> for _ in range(5):
    ...     schedule.step()
    ...     rates += schedule.get_last_lr()
    >>> rates
    [0.0, 0.25, 0.5, 0.75, 1.0, 0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        start_factor: float = 0.0,
        after: LRScheduler | None = None,
    ) -> None:
        if after is not None and after.optimizer is not optimizer:
            raise OptionError(
                "Both schedules set the rates of one optimizer. Got `after` with another one. Create it "
                "with the same."
            )
        self.steps, self.start_factor = _steps("steps", steps), _finite("start_factor", start_factor)
        self.after = after
        super().__init__(optimizer)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * (start_factor + (1 - start_factor) * n / steps)``, later what `after` says."""
        if n < self.steps:
            return base * (self.start_factor + (1.0 - self.start_factor) * n / self.steps)
        return base if self.after is None else self.after.rate(base, n - self.steps, group)


def _steps(option: str, value: Any) -> int:
    if not (isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1):
        raise OptionError(f"{option} is at least 1. Got {value!r}. Give a whole number of steps.")
    return int(value)


def _finite(option: str, value: Any) -> float:
    if not (is_number(value) and math.isfinite(value)):
        raise OptionError(f"{option} is a finite number. Got {value!r}. Write it as in {option}=0.1.")
    return float(value)
