"""How are schedules put together? One after the other, at the same time, or after a warm-up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from floatlab.errors import OptionError, StateError
from floatlab.optim.lr_scheduler.base import LRScheduler, factor_of, milestones_of, steps_of
from floatlab.optim.lr_scheduler.plateau import ReduceLROnPlateau
from floatlab.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "LinearWarmup", "SequentialLR"]


class _Plan(LRScheduler):
    """Several schedules of one optimizer, which are stepped together or in turn."""

    def __init__(self, optimizer: Any, schedulers: Any, last_epoch: int = -1) -> None:
        given = list(schedulers) if isinstance(schedulers, Sequence) else [schedulers]
        if not given:
            raise OptionError(f"{type(self).__name__} is made of schedules. Got none. Give at least one.")
        for schedule in given:
            if not isinstance(schedule, LRScheduler) or isinstance(schedule, ReduceLROnPlateau):
                raise OptionError(
                    f"{type(self).__name__} is made of schedules that go by the step. Got {type(schedule).__name__}. "
                    "Step any other yourself."
                )
        self.schedules: list[LRScheduler] = given
        optimizer = given[0].optimizer if optimizer is None else optimizer
        if any(schedule.optimizer is not optimizer for schedule in given):
            raise OptionError(
                "All schedules set the rates of one optimizer. Got some of another one. Create them with the same."
            )
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the position, and the state of each schedule."""
        own = super().state_dict()
        return {**own, "schedules": [schedule.state_dict() for schedule in self.schedules]}

    def _checked(self, state_dict: Mapping[str, Any]) -> LRScheduler:
        new = super()._checked(state_dict)
        states = state_dict.get("schedules")
        if not isinstance(states, list | tuple) or len(states) != len(self.schedules):
            raise StateError(
                f"The state of a plan holds one of each of its schedules. Got {states!r:.80} for "
                f"{len(self.schedules)}. Create the plan that was saved."
            )
        for schedule, state in zip(self.schedules, states, strict=True):
            schedule.check_state_dict(state)
        return new

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned, and set the optimizer's rates accordingly."""
        super().load_state_dict(state_dict)
        for schedule, state in zip(self.schedules, state_dict["schedules"], strict=True):
            schedule.load_state_dict(state)


class SequentialLR(_Plan):
    """One schedule after the other: at each of the `milestones` the next one begins, from its step 0.

    Examples
    --------
    >>> import floatlab as fl
    >>> from floatlab.optim import lr_scheduler
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = lr_scheduler.LinearLR(sgd, start_factor=0.5, total_iters=2)
    >>> decay = lr_scheduler.ExponentialLR(sgd, gamma=0.5)
    >>> schedule = lr_scheduler.SequentialLR(sgd, [warm_up, decay], milestones=[2])
    >>> rates = schedule.get_last_lr()
    >>> for _ in range(4):
    ...     schedule.step()
    ...     rates += schedule.get_last_lr()
    >>> rates
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    _settings = ("milestones",)

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self.milestones: Any = milestones
        super().__init__(optimizer, schedulers, last_epoch)

    def _check(self) -> None:
        self.milestones = milestones_of(self.milestones)
        if len(self.milestones) != len(self.schedules) - 1:
            raise OptionError(
                f"Between two schedules there is one milestone. Got {len(self.milestones)} for "
                f"{len(self.schedules)} schedules. Give one fewer than there are schedules."
            )

    def _apply(self) -> None:
        """Begin, or go on: let the schedule whose turn it is set the rates."""
        turn = bisect_right(self.milestones, self.last_epoch)
        if self.last_epoch == 0 or (turn and self.milestones[turn - 1] == self.last_epoch):
            self.schedules[turn]._restart()
        else:
            self.schedules[turn].step()


class ChainedScheduler(_Plan):
    """Several schedules at the same time: their factors multiply.

    Examples
    --------
    >>> import floatlab as fl
    >>> from floatlab.optim import lr_scheduler
    >>> sgd = fl.optim.SGD([fl.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> half = lr_scheduler.ConstantLR(sgd, factor=0.5, total_iters=2)
    >>> schedule = lr_scheduler.ChainedScheduler([half, lr_scheduler.ExponentialLR(sgd, gamma=0.5)])
    >>> rates = schedule.get_last_lr()
    >>> for _ in range(2):
    ...     schedule.step()
    ...     rates += schedule.get_last_lr()
    >>> rates
    [0.5, 0.25, 0.25]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        super().__init__(optimizer, schedulers)

    def _apply(self) -> None:
        if self.last_epoch:  # each has begun by itself
            for schedule in self.schedules:
                schedule.step()

    def _restart(self) -> None:
        self.last_epoch = 0
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for schedule in self.schedules:
            schedule.last_epoch = 0
            schedule._set = list(schedule.base_lrs)
            schedule._go()
        self._last_lr = self._in_force()


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

    _settings = ("steps", "start_factor")

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        start_factor: float = 0.0,
        after: LRScheduler | None = None,
    ) -> None:
        if after is not None:
            if not isinstance(after, LRScheduler) or isinstance(after, _Plan | ReduceLROnPlateau):
                raise OptionError(
                    f"What comes after a warm-up is a schedule with a rate for each step. Got {type(after).__name__}. "
                    "Use SequentialLR."
                )
            if after.optimizer is not optimizer:
                raise OptionError(
                    "Both schedules set the rates of one optimizer. Got `after` with another one. Create it "
                    "with the same."
                )
            for group, own in zip(optimizer.param_groups, after._set, strict=False):
                if group["lr"] == own:  # its turn has not come
                    group["lr"] = group["initial_lr"]
        self.steps, self.start_factor = steps, start_factor
        self.after = after
        super().__init__(optimizer)

    def _check(self) -> None:
        self.steps = steps_of("steps", self.steps)
        self.start_factor = factor_of("start_factor", self.start_factor)

    def rate(self, base: float, n: int, group: int) -> float:
        """Return ``base * (start_factor + (1 - start_factor) * n / steps)``, later what `after` says."""
        if n < self.steps:
            return base * (self.start_factor + (1.0 - self.start_factor) * n / self.steps)
        return base if self.after is None else self.after.rate(base, n - self.steps, group)

    def state_dict(self) -> dict[str, Any]:
        """Return what every schedule remembers, and the settings of `after`."""
        after = {} if self.after is None else {"after": self.after.state_dict()}
        return {**super().state_dict(), **after}

    def _checked(self, state_dict: Mapping[str, Any]) -> LRScheduler:
        new = super()._checked(state_dict)
        if self.after is not None and "after" in state_dict:
            self.after.check_state_dict(state_dict["after"])
        return new

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned: the settings too, and the optimizer's rates."""
        if self.after is not None and "after" in state_dict:
            self._checked(state_dict)
            self.after.load_state_dict(state_dict["after"])  # which sets rates that are none yet
        super().load_state_dict(state_dict)
