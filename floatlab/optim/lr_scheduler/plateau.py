"""When does the rate fall because nothing gets better? After so many steps without a better value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from floatlab.autograd import Tensor
from floatlab.errors import OptionError, StateError, check_option
from floatlab.optim.lr_scheduler.base import LRScheduler, factor_of, steps_of
from floatlab.optim.optimizer import Optimizer
from floatlab.optim.parameters import is_number

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """The rate is multiplied by `factor` when a value has not become better for more than `patience` steps.

    The rules and defaults are those of torch.optim.lr_scheduler. A value that is NaN is not better.

    Parameters
    ----------
    optimizer : Optimizer
        As in `LRScheduler`.
    mode : str
        Whether "min" or "max" is better.
    factor : float
        What the rate is multiplied by, below 1.
    patience : int
        How many steps without a better value are endured.
    threshold : float
        By how much a value has to be better to count.
    threshold_mode : str
        "rel": by that share of the best one. "abs": by that amount.
    cooldown : int
        For how many steps after a change none is counted.
    min_lr : float or list of float
        The rate falls no further.
    eps : float
        A change that is not larger is left out.

    Examples
    --------
    >>> import floatlab as fl
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = fl.optim.lr_scheduler.ReduceLROnPlateau(sgd, patience=1)
    >>> for loss in 3.0, 2.0, 2.0, 2.0:
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    _settings = (
        "mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps",
    )  # fmt: skip
    _counts = ("best", "num_bad_epochs", "cooldown_counter")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.min_lr, self.eps = cooldown, min_lr, eps
        self.best = -math.inf if mode == "max" else math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)

    def _check(self) -> None:
        check_option("mode", self.mode, ("min", "max"))
        check_option("threshold_mode", self.threshold_mode, ("rel", "abs"))
        if factor_of("factor", self.factor) >= 1.0:
            raise OptionError(f"factor is below 1. Got {self.factor!r}. The usual one is 0.1.")
        self.patience = steps_of("patience", self.patience, least=0)
        self.cooldown = steps_of("cooldown", self.cooldown, least=0)
        self.threshold, self.eps = factor_of("threshold", self.threshold), factor_of("eps", self.eps)
        if isinstance(self.min_lr, list | tuple):
            self.min_lr = [factor_of("min_lr", low) for low in self.min_lr]
            self._lowest()
        else:
            self.min_lr = factor_of("min_lr", self.min_lr)

    def _take_in(self, groups: list[dict[str, Any]]) -> None:
        """Note the rates as they are: a plateau has no base rate, and leaves none for others."""
        self.base_lrs += [float(group["lr"]) for group in groups]
        self._set += [None] * len(groups)

    def _lowest(self) -> list[float]:
        """Return the lowest rate of each group."""
        count = len(self.optimizer.param_groups)
        lowest = self.min_lr if isinstance(self.min_lr, list) else [self.min_lr] * count
        if len(lowest) != count:
            raise OptionError(
                f"min_lr is one number, or one a group. Got {len(lowest)} for {count} groups. Give one for all."
            )
        return lowest

    def rate(self, base: float, n: int, group: int) -> float:
        """Return `base`: what a plateau does depends on more than the step."""
        return base

    def carried(self, lr: float, base: float, n: int, group: int) -> float:
        """Return `lr`: only a plateau changes it."""
        return lr

    def step(self, metrics: Any = None) -> None:
        """Take the value of a step (or epoch) in, and lower the rate if it is time.

        Raises
        ------
        OptionError
            If it is no number.
        """
        value = metrics.item() if isinstance(metrics, Tensor) and metrics.size == 1 else metrics
        if not is_number(value):
            raise OptionError(
                f"A plateau is seen in a number. Got {metrics!r:.80}. Use step(loss), with the loss of the validation."
            )
        value = float(value)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            for group, low in zip(self.optimizer.param_groups, self._lowest(), strict=True):
                old = float(group["lr"])
                new = max(old * self.factor, low)
                if old - new > self.eps:
                    group["lr"] = new
        self._last_lr = self._in_force()

    def _is_better(self, value: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            bound = self.best * (1.0 + sign * self.threshold)
        else:
            bound = self.best + sign * self.threshold
        return value > bound if self.mode == "max" else value < bound

    def state_dict(self) -> dict[str, Any]:
        """Return what every schedule remembers, the best value, and how many steps have been worse."""
        return {**super().state_dict(), "counts": {name: getattr(self, name) for name in self._counts}}

    def _checked(self, state_dict: Mapping[str, Any]) -> LRScheduler:
        new = super()._checked(state_dict)
        counts = state_dict.get("counts")
        if not (
            isinstance(counts, Mapping)
            and set(counts) == set(self._counts)
            and all(map(is_number, counts.values()))
        ):
            raise StateError(
                f"The state of a plateau holds the numbers {', '.join(self._counts)}. Got {counts!r:.80}. "
                "Load what state_dict() returned."
            )
        return new

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned: the settings too, and the optimizer's rates."""
        super().load_state_dict(state_dict)
        for name, value in state_dict["counts"].items():
            setattr(self, name, value)
